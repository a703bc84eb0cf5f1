//! What is published to the listener's subscribers: decisions to all who want them, deliveries to
//! devices.
//!
//! Arrives: a decision's zone and JSON; a [`Delivery`] with the topic of a device. Leaves: to the
//! queues of those connections whose filters choose the topic. Promise: nobody waits for a slow
//! subscriber. A decision that does not fit its queue is missed by it, and counted; who must miss
//! nothing uses the WebSocket stream, which resumes. The last decision of each zone is retained. A
//! delivery is written to each subscriber at most once, never after its deadline, and whoever sent
//! it is told what became of it; while no subscriber is connected it waits. Not here: who may
//! subscribe to what (`deliveries/filter.rs`), packet identifiers (`session/outbox.rs`). Next:
//! `deliveries/parcel.rs`, one delivery on its way.

mod topic;
mod filter;
mod parcel;
mod mailbox;
mod kept;
mod subscription;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use dashmap::DashMap;
use tokio::select;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep_until;

pub use self::parcel::{Delivery, Lost, Outcome};
pub use self::topic::{Topic, TopicError};

pub(super) use self::filter::Filter;
pub(super) use self::mailbox::{Mailbox, Taken};
pub(super) use self::parcel::Parcel;
pub(super) use self::subscription::Subscription;

use self::filter::Grant;
use self::kept::Kept;
use self::parcel::Sort;
use super::budget::Holding;
use super::codec::{self, Outgoing, Version};
use crate::rights::Devices;
use crate::telemetry;

/// What all topics of decisions begin with.
const DECISIONS: &str = "ioc/v1/decisions/";

/// The publisher's handle: cheap to clone, one for the process.
#[derive(Debug, Clone, Default)]
pub struct Deliveries(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    by_number: DashMap<u64, Subscriber>,
    next: AtomicU64,
    /// Held while something is published and while a filter is added, so that what is published
    /// meanwhile is neither missed nor overtaken by what was kept. Never taken while a reference
    /// into the table is held.
    kept: Mutex<Kept>,
    /// There is a new deadline.
    deadline_set: Notify,
}

#[derive(Debug)]
struct Subscriber {
    filters: Arc<ArcSwap<Vec<Filter>>>,
    takes: Takes,
    devices: Devices,
    decisions: mpsc::Sender<Message>,
    /// Counts the bytes that wait there.
    holding: Option<Arc<Holding>>,
    mailbox: Arc<Mailbox>,
}

/// What packets a subscriber takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    /// What it speaks.
    pub version: Version,
    /// The longest packet that it takes (5.0: section 3.1.2.11.4).
    pub packet_bytes_max: usize,
}

/// A decision for one subscriber, but for what is the subscriber's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Encoded once for all who take it in the same version and quality.
    pub packet: Bytes,
    /// Where its packet identifier is to be written; `None` at quality 0.
    pub packet_id_at: Option<usize>,
    /// Whether it says that it is retained.
    pub retain: bool,
}

impl Deliveries {
    /// Publishes a decision to `ioc/v1/decisions/<zone>`, whose last one is retained. Never waits.
    /// Decisions published by one thread reach each subscriber in that order.
    ///
    /// In the topic, `%`, `+`, `#` and `/` of a zone's id are percent-escaped: they mean something
    /// else there.
    pub fn decision(&self, zone: &str, json: &Bytes) {
        let topic = format!("{DECISIONS}{}", escaped(zone));
        let mut kept = self.0.lock();
        kept.retain(&topic, json);
        let mut packets = Packets::new(&topic, json);
        for subscriber in &self.0.by_number {
            if let Some(grant) = subscriber.grant_of_decision(&topic)
                && let Some(message) = packets.of(subscriber.takes.version, grant)
            {
                subscriber.send(message);
            }
        }
    }

    /// Sends to the device that the topic names, as soon as a subscriber of it is connected. Never
    /// waits. What becomes of it is told to the sender.
    pub fn send(&self, delivery: Delivery) {
        self.send_of(Sort::Command, delivery);
    }

    /// The same for what a decoder wants said back, which takes no place of a command.
    pub(super) fn reply(&self, delivery: Delivery) {
        self.send_of(Sort::Reply, delivery);
    }

    fn send_of(&self, sort: Sort, delivery: Delivery) {
        // What dies here is told when the lock is free again: the sender may send at once.
        let mut dead = Vec::new();
        let mut kept = self.0.lock();
        let parcel = kept.admit(delivery, sort, &mut dead);
        let mut is_queued = false;
        if let Some(parcel) = &parcel {
            is_queued = !self.0.route(parcel, &mut kept, &mut dead);
        }
        drop(kept);
        for (parcel, lost) in dead {
            parcel.lose(lost);
        }
        if let Some(parcel) = parcel {
            if is_queued {
                parcel.queued();
            }
            self.0.deadline_set.notify_one();
        }
    }

    /// A subscription that wants nothing yet; at most so many decisions wait in it.
    pub(super) fn subscribe(
        &self,
        decisions_max: usize,
        takes: Takes,
        devices: Devices,
        holding: Option<Arc<Holding>>,
    ) -> Subscription {
        let (sender, decisions) = mpsc::channel(decisions_max.max(1));
        let filters = Arc::<ArcSwap<Vec<Filter>>>::default();
        let mailbox = Arc::<Mailbox>::default();
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let subscriber = Subscriber {
            filters: Arc::clone(&filters),
            takes,
            devices: devices.clone(),
            decisions: sender,
            holding: holding.clone(),
            mailbox: Arc::clone(&mailbox),
        };
        self.0.by_number.insert(number, subscriber);
        Subscription {
            shared: Arc::clone(&self.0),
            number,
            filters,
            takes,
            devices,
            retained: VecDeque::new(),
            decisions,
            holding,
            mailbox,
        }
    }

    /// Ends deliveries at their deadlines, for as long as it is awaited.
    pub(super) async fn keep_deadlines(&self) -> Infallible {
        loop {
            let next = self.expire(Instant::now());
            let due = async {
                match next {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            select! {
                () = due => {}
                () = self.0.deadline_set.notified() => {}
            }
        }
    }

    /// Ends those whose deadline has come; returns the next one.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let (due, next) = self.0.lock().take_due(now);
        for parcel in due {
            parcel.expire();
        }
        next
    }

    /// Ends all that wait: nobody will be served any more.
    pub(super) fn close(&self) {
        let waiting = self.0.lock().close();
        for parcel in waiting {
            parcel.lose(Lost::Stopping);
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a parcel into the mailboxes of those who are there for it; if nobody is, into the
    /// queue. Whether somebody was.
    fn route(
        &self,
        parcel: &Arc<Parcel>,
        kept: &mut Kept,
        dead: &mut Vec<(Arc<Parcel>, Lost)>,
    ) -> bool {
        let mut is_heard = false;
        for subscriber in &self.by_number {
            if let Some(grant) = subscriber.grant_of(parcel.topic()) {
                is_heard = true;
                let oldest = subscriber.mailbox.put(parcel, grant.qos);
                dead.extend(oldest.map(|oldest| (oldest, Lost::QueueFull)));
            }
        }
        if !is_heard {
            let oldest = kept.wait(parcel);
            dead.extend(oldest.map(|oldest| (oldest, Lost::QueueFull)));
        }
        is_heard
    }
}

impl Subscriber {
    /// What it gets of a decision's topic.
    fn grant_of_decision(&self, topic: &str) -> Option<Grant> {
        let zone = &topic[DECISIONS.len()..];
        let filters = self.filters.load();
        let grants = filters.iter().filter(|filter| filter.chooses_zone(zone));
        grants.map(|filter| filter.grant).reduce(Grant::or)
    }

    /// What it gets of a device's topic.
    fn grant_of(&self, topic: &Topic) -> Option<Grant> {
        let filters = self.filters.load();
        let grants = filters.iter().filter(|filter| filter.chooses(topic));
        let grant = grants.map(|filter| filter.grant).reduce(Grant::or)?;
        self.devices.have(topic.device()).then_some(grant)
    }

    fn send(&self, message: Message) {
        let bytes = message.packet.len();
        if bytes > self.takes.packet_bytes_max {
            telemetry::mqtt_decision_withheld();
            return;
        }
        // Before the other end can take it out, which subtracts it.
        if let Some(holding) = &self.holding {
            holding.add(bytes);
        }
        if self.decisions.try_send(message).is_err() {
            telemetry::mqtt_decision_missed();
            if let Some(holding) = &self.holding {
                holding.subtract(bytes);
            }
        }
    }
}

/// A decision's packet in each version and quality, once somebody wants it.
struct Packets<'a> {
    topic: &'a str,
    json: &'a [u8],
    made: [Option<(Bytes, usize)>; 4],
}

impl<'a> Packets<'a> {
    const fn new(topic: &'a str, json: &'a [u8]) -> Self {
        Self {
            topic,
            json,
            made: [const { None }; 4],
        }
    }

    /// The message; `None` if the decision is longer than a packet can be.
    fn of(&mut self, version: Version, grant: Grant) -> Option<Message> {
        let is_confirmed = grant.qos > 0;
        let made = &mut self.made[2 * version as usize + usize::from(is_confirmed)];
        if made.is_none() {
            let outgoing = Outgoing {
                topic: self.topic,
                payload: self.json,
                content_type: Some("application/json"),
                is_text: true,
                // A decision does not expire.
                expires_in_s: None,
                // The identifier is each subscriber's own.
                packet_id: is_confirmed.then_some(0),
            };
            let mut packet = BytesMut::new();
            match codec::put_message(&mut packet, version, &outgoing) {
                Some(packet_id_at) => *made = Some((packet.freeze(), packet_id_at)),
                None => telemetry::mqtt_decision_too_long(self.json.len()),
            }
        }
        made.as_ref().map(|(packet, packet_id_at)| Message {
            packet: packet.clone(),
            packet_id_at: is_confirmed.then_some(*packet_id_at),
            retain: grant.retain_as_published,
        })
    }
}

fn escaped(zone: &str) -> String {
    let mut out = String::with_capacity(zone.len());
    for character in zone.chars() {
        match character {
            '%' => out.push_str("%25"),
            '+' => out.push_str("%2B"),
            '#' => out.push_str("%23"),
            '/' => out.push_str("%2F"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
