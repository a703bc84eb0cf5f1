//! Where a delivery of a stream stands, and how it is answered: its reply subject (ADR-15).
//!
//! `$JS.ACK.<stream>.<consumer>.<deliveries>.<message>.<delivery>.<time>.<pending>`, with the domain
//! and the account before the stream, and something random behind, on servers that say them. Those of
//! one consumer begin alike, so of each no more is kept than its numbers.

use std::fmt::{self, Write as _};
use std::str::Bytes;
use std::sync::Arc;

use ioc_core::time::Timestamp;

/// The reply subject of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// Up to the consumer and its dot.
    beginning: Arc<str>,
    deliveries: u64,
    /// The message's number in the stream.
    pub message: u64,
    /// The delivery's among the consumer's.
    pub delivery: u64,
    nanos: u64,
    pending: u64,
    /// From the dot behind those on.
    end: Option<Box<str>>,
}

impl Reply {
    /// Whether the message was delivered before.
    pub const fn is_again(&self) -> bool {
        self.deliveries > 1
    }

    /// When the stream took the message.
    pub const fn taken_at(&self) -> Timestamp {
        // Nanoseconds that fit into 64 bits are milliseconds that fit with a sign.
        Timestamp::from_millis((self.nanos / 1_000_000).cast_signed())
    }

    /// The subject, in room for it.
    pub fn put<'r>(&self, room: &'r mut String) -> &'r str {
        room.clear();
        write!(room, "{self}").expect("a string takes what is written");
        room
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            beginning,
            deliveries,
            message,
            delivery,
            nanos,
            pending,
            end,
        } = self;
        write!(
            f,
            "{beginning}{deliveries}.{message}.{delivery}.{nanos}.{pending}"
        )?;
        f.write_str(end.as_deref().unwrap_or_default())
    }
}

/// The reply subjects of a consumer's deliveries.
#[derive(Debug)]
pub(super) struct Replies {
    /// How the last one began.
    beginning: Arc<str>,
}

impl Default for Replies {
    fn default() -> Self {
        Self {
            beginning: "".into(),
        }
    }
}

impl Replies {
    /// What the reply subject of a delivery says; none if it is no delivery.
    pub fn read(&mut self, reply: &[u8]) -> Option<Reply> {
        let reply = std::str::from_utf8(reply).ok()?;
        let numbers = match reply.strip_prefix(&*self.beginning) {
            Some(numbers) if !self.beginning.is_empty() => numbers,
            Some(_) | None => {
                let beginning = beginning_of(reply)?;
                self.beginning = reply[..beginning].into();
                &reply[beginning..]
            }
        };
        let mut digits = numbers.bytes();
        let deliveries = number(&mut digits)?;
        let message = number(&mut digits)?;
        let delivery = number(&mut digits)?;
        let nanos = number(&mut digits)?;
        let behind = numbers.len() - digits.len();
        let pending = number(&mut digits)?;
        let end = numbers[behind..]
            .find('.')
            .map(|at| numbers[behind + at..].into());
        Some(Reply {
            beginning: Arc::clone(&self.beginning),
            deliveries,
            message,
            delivery,
            nanos,
            pending,
            end,
        })
    }
}

/// How long the part of a reply subject is that comes before the numbers.
fn beginning_of(reply: &str) -> Option<usize> {
    const ACK: &str = "$JS.ACK.";
    let named = match reply.strip_prefix(ACK)?.split('.').count() {
        7 => 2,
        9.. => 4,
        _ => return None,
    };
    let mut dots = reply.match_indices('.').skip(1 + named);
    dots.next().map(|(at, _)| at + 1)
}

/// The number up to the next dot.
fn number(digits: &mut Bytes<'_>) -> Option<u64> {
    let mut number = None;
    for byte in digits {
        match byte {
            b'.' => break,
            b'0'..=b'9' => {
                let more = number.unwrap_or(0_u64).checked_mul(10)?;
                number = Some(more.checked_add(u64::from(byte - b'0'))?);
            }
            _ => return None,
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_where_its_message_stands_and_is_said_again_as_it_was() {
        let short = "$JS.ACK.READINGS.ioc-1.2.100.207.1790230470084404000.42";
        let long = "$JS.ACK.hub.ACC.READINGS.ioc-1.1.100.207.1790230470084404000.42.rnd";
        let longest = "$JS.ACK.hub.ACC.READINGS.ioc-1.1.100.207.1790230470084404000.0.rnd.x";
        let mut replies = Replies::default();
        let mut room = "what was there before".to_owned();
        for (reply, is_again) in [
            (short, true),
            (long, false),
            (longest, false),
            (short, true),
        ] {
            let read = replies.read(reply.as_bytes()).unwrap();
            assert_eq!((read.message, read.delivery), (100, 207));
            assert_eq!(read.is_again(), is_again);
            assert_eq!(read.taken_at(), Timestamp::from_millis(1_790_230_470_084));
            assert_eq!(read.put(&mut room), reply);
        }
    }

    #[test]
    fn what_is_no_delivery_has_no_place() {
        let mut replies = Replies::default();
        for other in [
            &b""[..],
            b"_INBOX.a",
            b"$JS.ACK.s.c.1.2.3",
            b"$JS.ACK.s.c.1.x.3.4.5",
            b"$JS.ACK.s.c.1.2.3.x.5",
            b"$JS.ACK.s.c.1.2.3.4.",
            b"$JS.ACK.s.c.1.2.3.4.99999999999999999999",
            b"$JS.ACK.s\xff.c.1.2.3.4.5",
        ] {
            assert_eq!(replies.read(other), None, "{}", other.escape_ascii());
        }
    }
}
