//! A message of a stream that cannot be read over the connection that delivers it.
//!
//! Arrives: where a consumer stands whose connection breaks again and again. Leaves: the messages
//! up to the last that is unreadable through the door, such ones as dead letters, and the consumer
//! behind them. Whoever may publish can write headers, or a subject, that the library ends the
//! connection at; the stream delivers such a message again for ever, and nothing behind it would be
//! heard. So where breaks repeat and nothing is acknowledged between them, what is under way is asked
//! for one by one (`STREAM.MSG.GET`): there, headers are data. Bound: [`LOOKED_AT_MAX`] messages at a
//! time; the next look goes on from there.

use std::ops::RangeInclusive;
use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use async_nats::{HeaderMap, HeaderName, Message, StatusCode};

use tokio::time::Instant;

use super::kept::{Kept, Stored};
use super::{Connected, LinkError, Subscriber, consumer, message};
use crate::brokers::epoch::Epoch;
use crate::formats::{Reason, Reject};
use crate::telemetry;

/// How many messages are looked at before the connection is used again.
const LOOKED_AT_MAX: usize = 1024;
/// For how long, at most: over a slow line the next connection looks on sooner.
const LOOKED_FOR: Duration = Duration::from_secs(5);
/// So many connections must have begun at one place, with something under way, before it is looked
/// at what that is; after one that was unreadable, one is enough.
const STUCK_AFTER: u32 = 2;

/// Whether a consumer makes its way, from one connection to the next.
#[derive(Debug)]
pub(super) struct Progress {
    /// Up to which message all were acknowledged.
    floor: u64,
    /// How many connections began there with something under way.
    begun: u32,
    /// How many may, before it is looked at what is under way.
    patience: u32,
    /// Up to which message all are readable.
    readable: u64,
    /// Up to which message all are durable, such that cannot be read as dead letters.
    put_aside: u64,
    /// The connection before could not ask what the stream has.
    is_unseen: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            floor: 0,
            begun: 0,
            patience: STUCK_AFTER,
            readable: 0,
            put_aside: 0,
            is_unseen: false,
        }
    }
}

impl Progress {
    /// A connection begins. Which messages are to be looked at, if it is time to.
    fn begins(&mut self, info: &Info) -> Option<RangeInclusive<u64>> {
        let floor = info.ack_floor.stream_sequence;
        if self.floor != floor || info.num_ack_pending == 0 {
            *self = Self {
                floor,
                begun: 0,
                readable: floor,
                put_aside: floor,
                ..*self
            };
        }
        self.begun += u32::from(info.num_ack_pending > 0);
        let under_way = self.readable + 1..=info.delivered.stream_sequence;
        (self.begun >= self.patience && !under_way.is_empty()).then_some(under_way)
    }

    /// It could not be asked what the stream has.
    pub const fn could_not_look(&mut self) {
        self.is_unseen = true;
    }

    /// Whether a connection that begins may ask what the stream has: not if the one before could
    /// not; the one after it may again.
    pub const fn may_look(&mut self) -> bool {
        let may_look = !self.is_unseen;
        self.is_unseen = false;
        may_look
    }

    /// It could not be looked, or not be passed over: connections are used as they are again, or
    /// none would ever be.
    const fn gives_up(&mut self) {
        self.begun = 0;
        self.patience = STUCK_AFTER;
    }
}

/// Looks, if it is time to, for a message that cannot be read, and gets the consumer over it.
/// Whether it stands elsewhere now. Where the server does not allow that, the connection is used as
/// it is: what broke the others may have been something else.
pub(super) async fn pass_over(
    subscriber: &Subscriber,
    stream: &str,
    info: &Info,
    connected: &mut Connected,
    epoch: &mut Epoch,
) -> Result<bool, LinkError> {
    let Some(under_way) = subscriber.progress().begins(info) else {
        return Ok(false);
    };
    let kept = Kept::new(&connected.client, stream, subscriber);
    match kept
        .pass_over(subscriber, under_way, info, connected, epoch)
        .await
    {
        Err(error @ LinkError::EngineStopped) => Err(error),
        Err(error) => {
            subscriber.progress().gives_up();
            telemetry::nats_not_passed_over(subscriber.link.name(), &error.to_string());
            // A server that forbids something may end what was said on the connection, too.
            match connected.is_broken() {
                true => Err(error),
                false => Ok(false),
            }
        }
        moved => moved,
    }
}

impl Kept<'_> {
    /// Looks at these, and makes all up to the last that cannot be read durable, and the consumer
    /// anew behind it.
    async fn pass_over(
        &self,
        subscriber: &Subscriber,
        under_way: RangeInclusive<u64>,
        info: &Info,
        connected: &mut Connected,
        epoch: &mut Epoch,
    ) -> Result<bool, LinkError> {
        let looked = tokio::select! {
            looked = self.look(subscriber, under_way) => looked?,
            error = connected.broken() => return Err(error),
        };
        let Some(unreadable) = looked else {
            return Ok(false);
        };
        subscriber.progress().patience = 1;
        let put_aside = subscriber.progress().put_aside;
        let mut next = info.ack_floor.stream_sequence.max(put_aside) + 1;
        while next <= unreadable || epoch.in_flight() > 0 {
            while next <= unreadable && epoch.has_room(subscriber.options.inflight_max.into()) {
                match self.next(next).await? {
                    Some(stored) if stored.sequence <= unreadable => {
                        next = stored.sequence + 1;
                        stored.take(subscriber, epoch);
                    }
                    // It is gone since.
                    Some(_) | None => next = unreadable + 1,
                }
            }
            epoch.hand_over()?;
            connected.reply(epoch);
            if epoch.in_flight() > 0 {
                tokio::select! {
                    progress = epoch.progress() => progress?,
                    error = connected.broken() => return Err(error),
                }
            }
        }
        subscriber.progress().put_aside = unreadable;
        consumer::begin_behind(&self.client, self.stream, subscriber, unreadable).await?;
        Ok(true)
    }

    /// The last message that cannot be read, if one of these is: of those behind them, as many as
    /// are looked at. Whoever writes one may write more, and each would break the link.
    async fn look(
        &self,
        subscriber: &Subscriber,
        under_way: RangeInclusive<u64>,
    ) -> Result<Option<u64>, LinkError> {
        let (mut next, mut found) = (*under_way.start(), None);
        let until = Instant::now() + LOOKED_FOR;
        for _ in 0..LOOKED_AT_MAX {
            if Instant::now() >= until {
                break;
            }
            let Some(stored) = self.next(next).await? else {
                break;
            };
            if found.is_none() && !under_way.contains(&stored.sequence) {
                break;
            }
            if stored.message().is_none() {
                found = Some(stored.sequence);
            }
            if found.is_none() {
                subscriber.progress().readable = stored.sequence;
            }
            next = stored.sequence + 1;
        }
        Ok(found)
    }
}

impl Stored {
    /// As the library would deliver it, if it can.
    fn message(&self) -> Option<Message> {
        // What was no UTF-8 came as this character; the library looks for spaces between what is
        // around the subject, and takes more for one where there are headers.
        let is_space = |c: char| match self.headers.is_empty() {
            true => c == ' ',
            false => c.is_whitespace(),
        };
        if self
            .subject
            .contains(|c| c == char::REPLACEMENT_CHARACTER || is_space(c))
        {
            return None;
        }
        let headers = match &self.headers[..] {
            [] => None,
            headers => Some(read_headers(headers)?),
        };
        Some(Message {
            subject: self.subject.as_str().into(),
            reply: None,
            payload: self.payload.clone().into(),
            headers,
            status: None,
            description: None,
            length: self.payload.len(),
        })
    }

    fn take(&self, subscriber: &Subscriber, epoch: &mut Epoch) {
        let mut topic = String::new();
        if let Some(message) = self.message() {
            if let Some(why) = subscriber.unwanted(&message) {
                return epoch.pass_over(why);
            }
            let taken_at = self.taken_at;
            return message::taken(&message, taken_at, &mut topic, |message| {
                epoch.take(message);
            });
        }
        message::put_topic(&self.subject, &mut topic);
        let detail = format!(
            "message {} of the stream: its headers, or its subject, cannot be read",
            self.sequence
        );
        let reject = Reject::new(Reason::HeadersMalformed, detail);
        epoch.take_beginning(&topic, &reject, &self.payload, self.payload.len());
        telemetry::nats_unreadable(subscriber.link.name(), self.sequence);
    }
}

/// The headers in this block (ADR-4), as the library reads them; `None` if it cannot.
fn read_headers(block: &[u8]) -> Option<HeaderMap> {
    let mut lines = std::str::from_utf8(block).ok()?.lines().peekable();
    let status = lines.next()?.strip_prefix("NATS/1.0")?.trim();
    let status = status.split_once(' ').map_or(status, |(status, _)| status);
    if !status.is_empty() {
        status.parse::<StatusCode>().ok()?;
    }
    let mut headers = HeaderMap::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':')?;
        let name: HeaderName = name.parse().ok()?;
        let mut value = value.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        headers.append(name, value.trim());
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(subject: &str, headers: &[u8]) -> Stored {
        Stored {
            subject: subject.to_owned(),
            sequence: 1,
            headers: headers.to_vec(),
            payload: b"{}".to_vec(),
            taken_at: None,
        }
    }

    #[test]
    fn where_it_cannot_be_looked_the_next_connection_is_used_as_it_is() {
        let info = |floor: u64| {
            let at =
                |stream: u64| serde_json::json!({"consumer_seq": stream, "stream_seq": stream});
            let info = serde_json::json!({
                "stream_name": "s", "name": "c", "created": "2026-03-14T06:45:10Z",
                "config": {"deliver_policy": "all", "ack_policy": "all", "replay_policy": "instant"},
                "delivered": at(floor + 9), "ack_floor": at(floor),
                "num_ack_pending": 9, "num_redelivered": 0, "num_waiting": 0, "num_pending": 0,
            });
            serde_json::from_value::<Info>(info).unwrap()
        };
        let mut progress = Progress::default();
        assert_eq!(progress.begins(&info(5)), None);
        assert_eq!(progress.begins(&info(5)), Some(6..=14));
        progress.patience = 1;
        progress.gives_up();
        assert_eq!(progress.begins(&info(5)), None);
        assert_eq!(progress.begins(&info(5)), Some(6..=14), "and later again");
    }

    #[test]
    fn what_the_library_reads_is_a_message_with_its_headers() {
        assert!(
            stored("city.water", b"")
                .message()
                .unwrap()
                .headers
                .is_none()
        );
        let status = b"NATS/1.0 408 Request Timeout\r\n\r\n";
        assert!(stored("city.water", status).message().is_some());
        let block = b"NATS/1.0\r\nContent-Type: a/b\r\nlong: x\r\n y\r\n\r\n";
        let headers = stored("city.water", block)
            .message()
            .unwrap()
            .headers
            .unwrap();
        assert_eq!(headers.get("Content-Type").unwrap().as_str(), "a/b");
        assert_eq!(headers.get("long").unwrap().as_str(), "x y");
    }

    #[test]
    fn what_it_ends_the_connection_at_is_unreadable() {
        for headers in [
            &b"garbage\r\n\r\n"[..],
            b"NATS/1.0 9x9 hm\r\n\r\n",
            b"NATS/1.0\r\nName: \xe9\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
        ] {
            assert!(stored("city.water", headers).message().is_none());
        }
        let named = b"NATS/1.0\r\na: b\r\n\r\n";
        assert!(stored("city.\u{fffd}", b"").message().is_none());
        assert!(stored("city.\u{3000}", named).message().is_none());
        assert!(stored("city.\u{3000}", b"").message().is_some());
    }
}
