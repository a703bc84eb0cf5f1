//! A delivery on its way, and what is told of it to whoever sent it.
//!
//! Each subscriber that gets it has the same parcel; what they do together is one outcome. It is
//! over when it is confirmed, or when nobody has it any more.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::topic::Topic;
use crate::mqtt::codec::Outgoing;
use crate::telemetry;

/// What is sent to a device.
pub struct Delivery {
    /// The device's topic.
    pub topic: Topic,
    /// What it is told.
    pub payload: Bytes,
    /// What the payload is, for clients of version 5; one that begins with `text/`, or is JSON, is
    /// said to be UTF-8.
    pub content_type: Option<&'static str>,
    /// When it must not be written any more. Of the monotonic clock, as all waiting here is: logical
    /// time may stand still or run faster, and only the host knows how it runs.
    pub not_after: Option<Instant>,
    /// Whether it is wanted still, asked before it is written: what it asks of a device may have been
    /// overtaken while it waited. Asked by the listener's tasks, as `told` is told.
    pub is_wanted: Option<IsWanted>,
    /// Is told what becomes of it: by the listener's tasks, so it must neither wait nor work long.
    pub told: Option<Tell>,
}

/// Says whether a delivery is wanted still.
pub type IsWanted = Box<dyn Fn() -> bool + Send + Sync>;

/// Who is told of an [`Outcome`].
pub type Tell = Box<dyn Fn(Outcome) + Send + Sync>;

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// What became of a delivery. All but the first two are the last that is told of it; so is
/// [`Outcome::Written`] to a subscriber of quality 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No subscriber is connected: it waits for one, until its deadline.
    Queued,
    /// It was handed to the socket of a subscriber; told once.
    Written {
        /// Whether the subscriber will confirm it: it is of quality 1.
        is_confirmed: bool,
    },
    /// A subscriber has acknowledged it (PUBACK): its client has it. What it did is for feedback
    /// to say.
    Confirmed,
    /// A subscriber of version 5 has refused it with this reason code, and none has confirmed it.
    Refused(u8),
    /// It was written, but the connection ended before it was confirmed: whether the device has it
    /// is unknown. It is not written again: who knows whether it may be done twice sends it again.
    Unconfirmed,
    /// Its deadline came before it could be written. It was not, and will not be.
    Expired,
    /// It was not wanted any more when it could have been written. It was not, and will not be.
    Withdrawn,
    /// It was not written, and will not be.
    Lost(Lost),
}

/// Why a delivery was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It was the oldest of a queue that was full.
    QueueFull,
    /// It is longer than [`Delivery::PAYLOAD_BYTES_MAX`], or than all its subscribers take.
    TooLong,
    /// The listener has ended.
    Stopping,
}

impl Delivery {
    /// The longest payload.
    pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
}

impl Outcome {
    /// The word that it is counted by.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Written { .. } => "written",
            Self::Confirmed => "confirmed",
            Self::Refused(_) => "refused",
            Self::Unconfirmed => "unconfirmed",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Lost(Lost::QueueFull) => "queue_full",
            Self::Lost(Lost::TooLong) => "too_long",
            Self::Lost(Lost::Stopping) => "stopping",
        }
    }
}

/// Which places a delivery takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A person or a playbook ordered it.
    Command,
    /// A decoder wants it said back; it asks again when it must.
    Reply,
}

/// How much is on its way.
#[derive(Debug, Default)]
pub(super) struct Load {
    parcels: AtomicUsize,
    bytes: AtomicUsize,
}

impl Load {
    pub fn parcels(&self) -> usize {
        self.parcels.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A delivery on its way.
pub(in crate::mqtt) struct Parcel {
    delivery: Delivery,
    sort: Sort,
    progress: Mutex<Progress>,
    load: Arc<Load>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// Nobody has got a byte of it.
    Waiting,
    /// It was written.
    Written {
        is_confirmed: bool,
        refused: Option<u8>,
    },
    /// The last was told.
    Over,
}

impl Parcel {
    pub(super) fn new(delivery: Delivery, sort: Sort, load: &Arc<Load>) -> Self {
        load.parcels.fetch_add(1, Ordering::Relaxed);
        load.bytes.fetch_add(bytes(&delivery), Ordering::Relaxed);
        Self {
            delivery,
            sort,
            progress: Mutex::new(Progress::Waiting),
            load: Arc::clone(load),
        }
    }

    pub(super) const fn sort(&self) -> Sort {
        self.sort
    }

    pub(super) const fn topic(&self) -> &Topic {
        &self.delivery.topic
    }

    pub(super) const fn not_after(&self) -> Option<Instant> {
        self.delivery.not_after
    }

    /// How much memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        bytes(&self.delivery)
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.delivery.payload.len() > Delivery::PAYLOAD_BYTES_MAX
    }

    /// Whether it still waits for somebody to write it.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(*self.lock(), Progress::Waiting)
    }

    /// Whether it may be written at this moment. If not for its deadline, or because nobody wants it
    /// any more, it is over.
    pub fn may_be_written(&self, now: Instant) -> bool {
        if self.delivery.not_after.is_some_and(|at| at <= now) {
            self.expire();
            return false;
        }
        if self
            .delivery
            .is_wanted
            .as_ref()
            .is_some_and(|is_wanted| !is_wanted())
        {
            self.end_unwritten(Outcome::Withdrawn);
            return false;
        }
        !matches!(*self.lock(), Progress::Over)
    }

    /// As a message of this packet identifier.
    pub fn message(&self, packet_id: Option<u16>, now: Instant) -> Outgoing<'_> {
        let delivery = &self.delivery;
        let content_type = delivery.content_type;
        let is_text = |kind: &str| kind.starts_with("text/") || kind.ends_with("json");
        Outgoing {
            topic: delivery.topic.as_str(),
            payload: &delivery.payload,
            content_type,
            is_text: content_type.is_some_and(is_text),
            expires_in_s: delivery.not_after.map(|at| whole_seconds(at - now)),
            packet_id,
        }
    }

    /// It was handed to a socket.
    pub fn written(&self, is_confirmed: bool) {
        let is_first = {
            let mut progress = self.lock();
            match &mut *progress {
                Progress::Waiting => {
                    *progress = Progress::Written {
                        is_confirmed,
                        refused: None,
                    };
                    true
                }
                Progress::Written {
                    is_confirmed: before,
                    ..
                } => {
                    *before |= is_confirmed;
                    false
                }
                Progress::Over => false,
            }
        };
        if is_first {
            self.tell(Outcome::Written { is_confirmed });
        }
    }

    /// A subscriber has acknowledged it, with this reason code.
    pub fn acknowledged(&self, code: u8) {
        if code >= 0x80 {
            if let Progress::Written { refused, .. } = &mut *self.lock() {
                refused.get_or_insert(code);
            }
            return;
        }
        self.end(|_| Some(Outcome::Confirmed));
    }

    /// It waits for a subscriber.
    pub(super) fn queued(&self) {
        if self.is_waiting() {
            self.tell(Outcome::Queued);
        }
    }

    /// Its deadline has come.
    pub(super) fn expire(&self) {
        self.end_unwritten(Outcome::Expired);
    }

    /// Nobody will write it, unless somebody has.
    pub fn lose(&self, lost: Lost) {
        self.end_unwritten(Outcome::Lost(lost));
    }

    fn end_unwritten(&self, outcome: Outcome) {
        self.end(|progress| match progress {
            Progress::Waiting => Some(outcome),
            Progress::Written { .. } | Progress::Over => None,
        });
    }

    /// Ends it, if there is something last to tell.
    fn end(&self, outcome: impl FnOnce(Progress) -> Option<Outcome>) {
        let told = {
            let mut progress = self.lock();
            let told = match *progress {
                Progress::Over => None,
                progress => outcome(progress),
            };
            if told.is_some() {
                *progress = Progress::Over;
            }
            told
        };
        if let Some(outcome) = told {
            self.tell(outcome);
        }
    }

    fn tell(&self, outcome: Outcome) {
        telemetry::mqtt_delivery(outcome.word());
        if let Some(told) = &self.delivery.told {
            told(outcome);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.end(|progress| match progress {
            Progress::Waiting => Some(Outcome::Lost(Lost::Stopping)),
            Progress::Written {
                refused: Some(code),
                ..
            } => Some(Outcome::Refused(code)),
            Progress::Written { is_confirmed, .. } => is_confirmed.then_some(Outcome::Unconfirmed),
            Progress::Over => None,
        });
        self.load.parcels.fetch_sub(1, Ordering::Relaxed);
        self.load.bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.delivery.fmt(f)
    }
}

fn bytes(delivery: &Delivery) -> usize {
    size_of::<Parcel>() + delivery.topic.as_str().len() + delivery.payload.len()
}

/// The message expiry interval for so much time: rounded down, so that who passes it on is not
/// late either; but not to 0, which some take for none.
fn whole_seconds(left: Duration) -> u32 {
    u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1)
}
