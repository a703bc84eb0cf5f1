//! The last message of a client that is gone without a word (section 3.1.2.5).
//!
//! Arrives: with CONNECT, what to publish then. Leaves: when the connection has ended and the
//! client did not take it back, what any message of it becomes, through the door. Promise: it comes
//! behind all that the client sent. Its delay (5.0: section 3.1.3.2.2) is kept although no session
//! is: the client that is back in time, without asking for a clean start, has not been away. Bound:
//! [`Will::BYTES_MAX`], [`DELAY_MAX`], and [`WAITING_MAX`] at a time, beyond which one is published
//! without delay; one without delay has the place of its connection until it is published, so that
//! there are no more of them than of connections, however long the door is full. All count towards
//! what all connections hold together.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::budget::Account;
use super::codec;
use super::registry::{Entry, Successor};
use super::session::message;
use crate::door::{Counts, Inputs, Ledger, Source};
use crate::formats::{Message, Workspace};
use crate::places::Place;
use crate::rights::{Devices, Rights, Sensors};
use crate::telemetry;

/// How many wills wait at a time for their delay to pass.
const WAITING_MAX: usize = 4096;
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(3600);

/// What a client left to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Will {
    topic: Box<str>,
    payload: Box<[u8]>,
    content_type: Option<Box<str>>,
    /// The attributes of the CloudEvent whose data it is, if it is of one.
    event: Box<[(Box<str>, Box<str>)]>,
    delay: Duration,
}

/// The will is longer than is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WillTooLong;

impl Will {
    /// How many bytes its topic, content type, payload, and what it says of an event have, at most.
    pub const BYTES_MAX: usize = 16 * 1024;

    /// The will of a CONNECT whose session shall outlast its connection by so many seconds: with
    /// the session, the standard has the will published.
    pub fn new(will: &codec::Will<'_>, session_expiry_s: u32) -> Result<Self, WillTooLong> {
        let content_type = will.content_type.unwrap_or_default();
        let bytes = will.topic.len() + will.message.len() + content_type.len();
        if bytes + will.event_properties.len() > Self::BYTES_MAX {
            return Err(WillTooLong);
        }
        let event = will.event().into_iter();
        let delay_s = will.delay_s.min(session_expiry_s);
        Ok(Self {
            topic: will.topic.into(),
            payload: will.message.into(),
            content_type: will.content_type.map(Into::into),
            event: event
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            delay: Duration::from_secs(delay_s.into()).min(DELAY_MAX),
        })
    }

    /// How much memory it takes, about.
    pub fn bytes(&self) -> usize {
        let content_type = self.content_type.as_ref().map_or(0, |text| text.len());
        let event = self.event.iter();
        let event =
            event.map(|(name, value)| size_of::<(Box<str>, Box<str>)>() + name.len() + value.len());
        self.topic.len() + self.payload.len() + content_type + event.sum::<usize>()
    }

    fn event(&self) -> Vec<(&str, &str)> {
        let event = self.event.iter();
        event.map(|(name, value)| (&**name, &**value)).collect()
    }
}

/// What a connection leaves that ended.
#[derive(Debug)]
pub(super) struct Left {
    pub will: Will,
    /// What its client has left of what it may send.
    pub quota: Source,
    /// Who sends it.
    pub source: String,
    /// The sensors that it may be a reading of.
    pub sensors: Sensors,
    /// What its connection held, and it holds.
    pub account: Account,
    /// The client's place in the registry, until the will is published or the client is back.
    pub entry: Entry,
}

/// The places of wills that wait.
#[derive(Debug)]
pub(super) struct Wills(Semaphore);

impl Default for Wills {
    fn default() -> Self {
        Self(Semaphore::new(WAITING_MAX))
    }
}

impl Wills {
    /// A place to wait, if it has to and there is one.
    fn place_of(&self, will: &Will) -> Option<SemaphorePermit<'_>> {
        if will.delay.is_zero() {
            return None;
        }
        self.0.try_acquire().ok()
    }

    /// Publishes what a connection left, once its delay has passed, unless the client is back
    /// before. Until then it has a place among those that wait, or keeps that of its connection.
    pub async fn publish(
        &self,
        left: Left,
        place: Place,
        shared: &Shared,
        stopping: watch::Receiver<bool>,
    ) {
        let waits = self.place_of(&left.will);
        let _place = waits.is_none().then_some(place);
        let published = async {
            if waits.is_some() && is_back_in_time(&left, stopping).await {
                return "taken_back";
            }
            self.publish_now(&left, shared).await
        };
        let outcome = select! {
            outcome = published => outcome,
            // All together hold too much, and nobody more than this.
            () = left.account.closed() => "lost",
        };
        telemetry::mqtt_will(outcome);
    }

    /// Publishes what a connection left; the word for what came of it.
    async fn publish_now(&self, left: &Left, shared: &Shared) -> &'static str {
        let mut inputs = left.quota.inputs();
        inputs.at(Instant::now());
        let message = Message {
            topic: &left.will.topic,
            payload: &left.will.payload,
            content_type: left.will.content_type.as_deref(),
            event: &left.will.event(),
            ..Message::default()
        };
        let catalogue = shared.door.catalogue();
        let mut workspace = Workspace::default();
        // Whoever wrote it could not know when.
        workspace.native.observed_now(&catalogue);
        let rights = Rights {
            sensors: left.sensors.clone(),
            // A will is no answer to a command.
            devices: Devices::these([]),
        };
        let became = message::append(
            &mut inputs,
            message,
            (&left.source, &rights),
            &catalogue,
            &mut workspace,
        );
        drop(catalogue);
        telemetry::readings_decoded(telemetry::Adapter::Mqtt, became.readings);
        hand_over(inputs, shared).await
    }
}

/// Waits for the delay to pass; whether the client was back before, with its session. One that
/// begins anew ends the session that the will belongs to, and so does the end of this process.
async fn is_back_in_time(left: &Left, mut stopping: watch::Receiver<bool>) -> bool {
    let successor = select! {
        () = sleep(left.will.delay) => None,
        successor = left.entry.taken_over() => Some(successor),
        _ = stopping.wait_for(|stopping| *stopping) => None,
    };
    successor == Some(Successor::GoesOn)
}

/// Hands a will over, and waits until it is durable; the word for what came of it.
async fn hand_over(mut inputs: Inputs, shared: &Shared) -> &'static str {
    if inputs.is_empty() {
        // A death may be no reading, and be noted all the same.
        return "published";
    }
    let ledger = Arc::<Ledger>::default();
    let (options, mut upto) = (&shared.options, Counts::default());
    let door = &shared.door;
    let handing_over = door.hand_over_all(&mut inputs, &ledger, &mut upto);
    match timeout(options.overload_wait_max, handing_over).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => return "lost",
    }
    // So that a stop does not come before it.
    let durable = ledger.settled_up_to(upto);
    match timeout(options.drain_wait_max, durable).await {
        Ok(Ok(())) => "published",
        Ok(Err(_)) | Err(_) => "not_durable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_a_will_has_a_bound_and_its_delay_too() {
        let will = |bytes: usize| vec![b'x'; bytes];
        let of = |payload: &[u8], delay_s, session_expiry_s| {
            let will = codec::Will {
                topic: "t",
                message: payload,
                qos: 0,
                retain: false,
                delay_s,
                content_type: Some("c"),
                event_properties: b"",
            };
            Will::new(&will, session_expiry_s)
        };
        assert!(of(&will(Will::BYTES_MAX - 2), 0, 0).is_ok());
        assert_eq!(of(&will(Will::BYTES_MAX - 1), 0, 0), Err(WillTooLong));
        let delay = |delay_s, expiry_s| of(b"", delay_s, expiry_s).unwrap().delay.as_secs();
        assert_eq!(delay(5, 60), 5);
        assert_eq!(delay(60, 5), 5, "its session ends before");
        assert_eq!(delay(5, 0), 0);
        assert_eq!(delay(u32::MAX, u32::MAX), 3600);
    }

    #[test]
    fn p5_one_will_too_many_is_published_at_once() {
        let will = |delay| Will {
            topic: "t".into(),
            payload: b"".as_slice().into(),
            content_type: None,
            event: [].into(),
            delay,
        };
        let wills = Wills::default();
        let delayed = will(Duration::from_secs(1));
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| wills.place_of(&delayed)).collect();
        assert!(waiting.iter().all(Option::is_some));
        assert!(wills.place_of(&delayed).is_none());
        drop(waiting);
        assert!(wills.place_of(&delayed).is_some());
        assert!(wills.place_of(&will(Duration::ZERO)).is_none());
    }
}
