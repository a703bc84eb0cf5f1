//! What is kept between connections: deliveries that wait for their device, the last decision of
//! each zone, and the deadlines.
//!
//! Bounds: of the deliveries on their way there are at most [`PARCELS_MAX`] of
//! [`PARCEL_BYTES_MAX`] together, of which [`PARCELS_PER_TOPIC_MAX`] wait for one topic; when one
//! is reached, the oldest that waits is lost, and if none waits the new one is. What decoders want
//! said back has places of its own ([`REPLIES_MAX`]): however often a stranger makes them ask, no
//! command is lost for it. Of retained
//! messages there are at most [`RETAINED_MAX`] of [`RETAINED_BYTES_MAX`]; the one that was
//! published longest ago is forgotten.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;

use super::parcel::{Delivery, Load, Lost, Parcel, Sort};

/// How many deliveries may be on their way, to all devices.
pub(super) const PARCELS_MAX: usize = 4096;
/// How many bytes they may have.
pub(super) const PARCEL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many may wait for one topic.
pub(super) const PARCELS_PER_TOPIC_MAX: usize = 16;
/// How many replies may be on their way, to all devices.
pub(super) const REPLIES_MAX: usize = 256;
/// How many bytes they may have.
const REPLY_BYTES_MAX: usize = 256 * 1024;
/// How many topics have a retained message.
pub(super) const RETAINED_MAX: usize = 16_384;
/// How many bytes the retained messages have.
const RETAINED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Numbers what is kept, in the order in which it came.
    next: u64,
    is_closed: bool,
    commands: Queue,
    replies: Queue,
    deadlines: BTreeMap<(Instant, u64), Weak<Parcel>>,
    retained: BTreeMap<u64, (Arc<str>, Bytes)>,
    retained_by_topic: HashMap<Arc<str>, u64>,
    retained_bytes: usize,
}

/// What of one sort is on its way, and which of it waits for its device.
#[derive(Debug, Default)]
struct Queue {
    load: Arc<Load>,
    waiting: BTreeMap<u64, Arc<Parcel>>,
    by_topic: HashMap<Box<str>, VecDeque<u64>>,
}

impl Sort {
    /// How many of it may be on their way, and how many bytes they may have.
    const fn bounds(self) -> (usize, usize) {
        match self {
            Self::Command => (PARCELS_MAX, PARCEL_BYTES_MAX),
            Self::Reply => (REPLIES_MAX, REPLY_BYTES_MAX),
        }
    }

    /// How many of it may wait for one topic: what is asked once more is asked no less.
    const fn per_topic_max(self) -> usize {
        match self {
            Self::Command => PARCELS_PER_TOPIC_MAX,
            Self::Reply => 1,
        }
    }
}

impl Queue {
    /// Takes out one of those that wait, if it does.
    fn forget(&mut self, parcel: &Arc<Parcel>) {
        let topic = parcel.topic().as_str();
        let Some(queue) = self.by_topic.get_mut(topic) else {
            return;
        };
        let is_it = |number: &u64| Arc::ptr_eq(&self.waiting[number], parcel);
        let Some(place) = queue.iter().position(is_it) else {
            return;
        };
        if let Some(number) = queue.remove(place) {
            self.waiting.remove(&number);
        }
        if queue.is_empty() {
            self.by_topic.remove(topic);
        }
    }

    /// Lets one wait; returns the oldest that does for its topic, if there is no room.
    fn wait(&mut self, number: u64, parcel: &Arc<Parcel>) -> Option<Arc<Parcel>> {
        self.waiting.insert(number, Arc::clone(parcel));
        let topic = parcel.topic().as_str();
        let queue = match self.by_topic.get_mut(topic) {
            Some(queue) => queue,
            None => self.by_topic.entry(topic.into()).or_default(),
        };
        queue.push_back(number);
        if queue.len() <= parcel.sort().per_topic_max() {
            return None;
        }
        let oldest = queue.pop_front()?;
        self.waiting.remove(&oldest)
    }
}

impl Kept {
    /// Takes a delivery on, making room for it; `None` if it cannot be. Those that are lost for it
    /// are added to `dead`, and are of the same sort.
    pub fn admit(
        &mut self,
        delivery: Delivery,
        sort: Sort,
        dead: &mut Vec<(Arc<Parcel>, Lost)>,
    ) -> Option<Arc<Parcel>> {
        let (parcels_max, bytes_max) = sort.bounds();
        let queue = self.queue(sort);
        let parcel = Arc::new(Parcel::new(delivery, sort, &queue.load));
        // Those that die give their room back only when they have been told.
        let (mut parcels, mut bytes) = (queue.load.parcels(), queue.load.bytes());
        while parcels > parcels_max || bytes > bytes_max {
            let Some((_, oldest)) = queue.waiting.first_key_value() else {
                break;
            };
            let oldest = Arc::clone(oldest);
            queue.forget(&oldest);
            parcels -= 1;
            bytes -= oldest.bytes();
            dead.push((oldest, Lost::QueueFull));
        }
        let lost = match &parcel {
            _ if self.is_closed => Some(Lost::Stopping),
            parcel if parcel.is_too_long() => Some(Lost::TooLong),
            _ if parcels > parcels_max || bytes > bytes_max => Some(Lost::QueueFull),
            _ => None,
        };
        if let Some(lost) = lost {
            dead.push((parcel, lost));
            return None;
        }
        if let Some(at) = parcel.not_after() {
            let number = self.number();
            self.deadlines.insert((at, number), Arc::downgrade(&parcel));
            // What is over keeps its deadline; there are no more of those than of parcels.
            if self.deadlines.len() > 2 * (PARCELS_MAX + REPLIES_MAX) {
                self.deadlines.retain(|_, parcel| parcel.strong_count() > 0);
            }
        }
        Some(parcel)
    }

    fn queue(&mut self, sort: Sort) -> &mut Queue {
        match sort {
            Sort::Command => &mut self.commands,
            Sort::Reply => &mut self.replies,
        }
    }

    /// How much is on its way.
    #[cfg(test)]
    pub fn load(&self, sort: Sort) -> &Load {
        match sort {
            Sort::Command => &self.commands.load,
            Sort::Reply => &self.replies.load,
        }
    }

    /// Lets a parcel wait for its device; returns the oldest that does, if there is no room.
    pub fn wait(&mut self, parcel: &Arc<Parcel>) -> Option<Arc<Parcel>> {
        let number = self.number();
        self.queue(parcel.sort()).wait(number, parcel)
    }

    /// Takes out those that wait and that somebody is there for now.
    pub fn take_waiting(&mut self, is_for: impl Fn(&Parcel) -> bool) -> Vec<Arc<Parcel>> {
        let waiting = self.commands.waiting.values();
        let waiting = waiting.chain(self.replies.waiting.values());
        let taken: Vec<_> = waiting.filter(|parcel| is_for(parcel)).cloned().collect();
        for parcel in &taken {
            self.forget(parcel);
        }
        taken
    }

    /// Takes out those whose deadline has come, and says when the next one does.
    pub fn take_due(&mut self, now: Instant) -> (Vec<Arc<Parcel>>, Option<Instant>) {
        let mut due = Vec::new();
        while let Some(((at, _), _)) = self.deadlines.first_key_value() {
            if *at > now {
                return (due, Some(*at));
            }
            let (_, parcel) = self.deadlines.pop_first().expect("there is a first");
            if let Some(parcel) = parcel.upgrade() {
                self.forget(&parcel);
                due.push(parcel);
            }
        }
        (due, None)
    }

    /// Takes out all that wait, and takes on no more.
    pub fn close(&mut self) -> Vec<Arc<Parcel>> {
        self.is_closed = true;
        let queues = [&mut self.commands, &mut self.replies];
        let waiting = queues.map(|queue| {
            queue.by_topic.clear();
            std::mem::take(&mut queue.waiting).into_values()
        });
        waiting.into_iter().flatten().collect()
    }

    /// Takes one out of those that wait, if it does.
    fn forget(&mut self, parcel: &Arc<Parcel>) {
        self.queue(parcel.sort()).forget(parcel);
    }

    /// Retains a message as the last of its topic.
    pub fn retain(&mut self, topic: &str, payload: &Bytes) {
        let number = self.number();
        let topic = match self.retained_by_topic.get_key_value(topic) {
            Some((topic, _)) => Arc::clone(topic),
            None => topic.into(),
        };
        if let Some(older) = self.retained_by_topic.insert(Arc::clone(&topic), number) {
            self.forget_retained(older);
        }
        self.retained_bytes += topic.len() + payload.len();
        self.retained.insert(number, (topic, payload.clone()));
        while self.retained.len() > RETAINED_MAX || self.retained_bytes > RETAINED_BYTES_MAX {
            let Some((oldest, (topic, _))) = self.retained.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            self.retained_by_topic.remove(topic);
            self.forget_retained(oldest);
        }
    }

    fn forget_retained(&mut self, number: u64) {
        if let Some((topic, payload)) = self.retained.remove(&number) {
            self.retained_bytes -= topic.len() + payload.len();
        }
    }

    /// The retained messages, those that were published first before the others.
    pub fn retained(&self) -> impl Iterator<Item = &(Arc<str>, Bytes)> {
        self.retained.values()
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
