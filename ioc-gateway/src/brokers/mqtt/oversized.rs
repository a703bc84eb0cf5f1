//! A message that is longer than any that is read, of a broker that was not told or does not care.
//!
//! In version 3.1.1 there is no way to say how long a packet may be, and a session brings again
//! what is not acknowledged: a link that is closed for one such message never gets beyond it. So
//! the message is passed over as it streams in, its beginning becomes a dead letter, and it is
//! acknowledged like any other. Bound: no more than the longest topic and what a dead letter keeps
//! is held of it.

use bytes::{Buf, BytesMut};
use ioc_core::record::DeadLetter;

use super::Version;
use super::packets::{Delivery, Malformed, PACKET_BYTES_MAX};
use crate::formats::{Reason, Reject};

/// The most bytes that a remaining length takes (3.1.1: section 2.2.3; 5.0: section 2.1.4).
const LENGTH_BYTES: usize = 4;
/// The most bytes of a message before its payload: fixed header, topic, packet identifier, and in
/// version 5 as much for its properties. Of one that has more of those, less is kept.
const HEAD_BYTES: usize = 2 * (1 + LENGTH_BYTES + 2 + 65_535 + 2);

/// What stands at the front of the bytes of a broker.
#[derive(Debug)]
pub(super) enum Ahead {
    /// No message that is too long.
    Other,
    /// One, but not enough of it.
    Part,
    /// The beginning of one.
    Oversized(Oversized),
}

/// A message of which only the beginning is kept.
#[derive(Debug)]
pub(super) struct Oversized {
    pub topic: Box<str>,
    /// The first bytes of the payload.
    pub beginning: Box<[u8]>,
    pub payload_bytes: usize,
    pub delivery: Delivery,
    pub duplicate: bool,
    /// How many bytes the packet has.
    bytes: usize,
    /// How many of them are still to be passed over.
    left: usize,
}

impl Oversized {
    /// Looks for one.
    pub fn ahead(version: Version, received: &[u8]) -> Result<Ahead, Malformed> {
        let Some((header_bytes, remaining)) = fixed_header(received) else {
            return Ok(Ahead::Other);
        };
        let (is_publish, bytes) = (received[0] >> 4 == 3, header_bytes + remaining);
        if !is_publish || bytes <= PACKET_BYTES_MAX as usize {
            return Ok(Ahead::Other);
        }
        let Some(here) = received.get(..HEAD_BYTES + DeadLetter::BEGINNING_BYTES_MAX) else {
            return Ok(Ahead::Part);
        };
        let flags = received[0] & 0x0f;
        let read = Self::read(version, flags, &here[header_bytes..], remaining);
        let read = read.ok_or_else(|| Malformed("a message that is too long".to_owned()))?;
        Ok(Ahead::Oversized(Self {
            bytes,
            left: bytes,
            ..read
        }))
    }

    /// Reads the beginning of the `remaining` bytes behind the fixed header (section 3.3).
    fn read(version: Version, flags: u8, mut body: &[u8], remaining: usize) -> Option<Self> {
        let whole = body.len();
        let topic_bytes = body.try_get_u16().ok()?.into();
        let topic = std::str::from_utf8(body.split_off(..topic_bytes)?).ok()?;
        let delivery = match (flags >> 1) & 3 {
            0 => Delivery::Unacknowledged,
            1 => Delivery::Acknowledged(body.try_get_u16().ok()?),
            2 => Delivery::ExactlyOnce(body.try_get_u16().ok()?),
            _ => return None,
        };
        let mut head_bytes = whole - body.len();
        if version == Version::V5 {
            let (length_bytes, properties) = variable(body)?;
            head_bytes += length_bytes + properties;
            body = body.get(length_bytes + properties..).unwrap_or_default();
        }
        let kept = body.len().min(DeadLetter::BEGINNING_BYTES_MAX);
        Some(Self {
            topic: topic.into(),
            beginning: body[..kept].into(),
            payload_bytes: remaining.checked_sub(head_bytes)?,
            delivery,
            duplicate: flags & 8 != 0,
            bytes: 0,
            left: 0,
        })
    }

    /// Passes over what was received, as far as it is of this packet. Whether all of it has been.
    pub fn pass_over(&mut self, received: &mut BytesMut) -> bool {
        let passed = self.left.min(received.len());
        received.advance(passed);
        self.left -= passed;
        self.left == 0
    }

    /// Why it is a dead letter.
    pub fn reject(&self) -> Reject {
        let detail = format!(
            "a packet of {} bytes; of a broker at most {PACKET_BYTES_MAX} are taken",
            self.bytes
        );
        Reject::new(Reason::PayloadTooLong, detail)
    }
}

/// How long the fixed header is and what remains behind it; `None` if it is not here, or is none.
fn fixed_header(received: &[u8]) -> Option<(usize, usize)> {
    let (length_bytes, remaining) = variable(received.get(1..)?)?;
    Some((1 + length_bytes, remaining))
}

/// A variable byte integer and how many bytes it takes (5.0: section 1.5.5).
fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(LENGTH_BYTES).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((1 + place, value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of so many bytes behind its fixed header, and what it says before its payload.
    fn message(version: Version, first: u8, remaining: u32) -> Vec<u8> {
        let length = [
            remaining as u8 | 0x80,
            (remaining >> 7) as u8 | 0x80,
            (remaining >> 14) as u8 | 0x80,
            (remaining >> 21) as u8,
        ];
        let properties: &[u8] = match version {
            Version::V311 => &[],
            Version::V5 => &[2, 1, 0],
        };
        let head = [&[first][..], &length, b"\0\x03a/b\0\x07", properties];
        let mut packet = head.concat();
        packet.resize(5 + remaining as usize, b'x');
        packet
    }

    #[test]
    fn p5_a_message_beyond_the_bound_is_passed_over_and_its_beginning_kept() {
        for (version, head_bytes) in [(Version::V311, 7), (Version::V5, 10)] {
            let packet = message(version, 0x3a, PACKET_BYTES_MAX);
            let mut received = BytesMut::from(&packet[..100_000]);
            let ahead = Oversized::ahead(version, &received).unwrap();
            assert!(matches!(ahead, Ahead::Part), "{ahead:?}");
            received.extend_from_slice(&packet[100_000..300_000]);
            let Ahead::Oversized(mut found) = Oversized::ahead(version, &received).unwrap() else {
                panic!("enough of it is here");
            };
            assert_eq!(&*found.topic, "a/b");
            assert_eq!(found.delivery, Delivery::Acknowledged(7));
            assert!(found.duplicate);
            assert_eq!(found.payload_bytes, PACKET_BYTES_MAX as usize - head_bytes);
            assert!(found.beginning.iter().all(|byte| *byte == b'x'));
            assert_eq!(found.beginning.len(), DeadLetter::BEGINNING_BYTES_MAX);
            assert!(!found.pass_over(&mut received));
            assert!(received.is_empty());
            received.extend_from_slice(&packet[300_000..]);
            received.extend_from_slice(b"next");
            assert!(found.pass_over(&mut received));
            assert_eq!(&received[..], b"next");
            assert!(
                found
                    .reject()
                    .detail
                    .starts_with("a packet of 16777221 bytes")
            );
        }
    }

    #[test]
    fn what_is_no_message_beyond_the_bound_is_left_to_others() {
        let longest = PACKET_BYTES_MAX - 5;
        for packet in [
            message(Version::V311, 0x32, longest),
            message(Version::V311, 0x90, PACKET_BYTES_MAX),
            vec![0x32, 0xff, 0xff],
            vec![0x32, 0xff, 0xff, 0xff, 0xff, 0x01],
            vec![],
        ] {
            let ahead = Oversized::ahead(Version::V311, &packet);
            assert!(matches!(ahead, Ok(Ahead::Other)), "{ahead:?}");
        }
        let mut no_topic = message(Version::V311, 0x32, PACKET_BYTES_MAX);
        no_topic[7] = 0xff;
        assert!(Oversized::ahead(Version::V311, &no_topic).is_err());
    }
}
