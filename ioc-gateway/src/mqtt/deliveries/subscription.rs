//! One connection's end of what is published.

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::filter::{Filter, Grant};
use super::kept::Kept;
use super::mailbox::Mailbox;
use super::parcel::{Lost, Parcel};
use super::{DECISIONS, Message, Packets, Shared, Takes};
use crate::mqtt::budget::Holding;
use crate::mqtt::codec::RetainHandling;
use crate::rights::Devices;
use crate::telemetry;

/// One connection's end, gone when dropped. What it was to be delivered and was not is then
/// delivered to others, or waits.
#[derive(Debug)]
pub(in crate::mqtt) struct Subscription {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    pub(super) filters: Arc<ArcSwap<Vec<Filter>>>,
    pub(super) takes: Takes,
    pub(super) devices: Devices,
    /// Retained messages, to be written before what is published from now on; one of each topic.
    /// They share the bytes of what is kept, and are encoded when there is room to write them.
    pub(super) retained: VecDeque<Retained>,
    pub(super) decisions: mpsc::Receiver<Message>,
    pub(super) holding: Option<Arc<Holding>>,
    pub(super) mailbox: Arc<Mailbox>,
}

/// A retained message that is to be written.
#[derive(Debug)]
pub(super) struct Retained {
    topic: Arc<str>,
    payload: Bytes,
    grant: Grant,
}

impl Subscription {
    /// How many filters one connection may have; more are refused.
    pub const FILTERS_MAX: usize = 64;

    /// Where its deliveries wait.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    /// Adds a filter, or changes what is granted for it; whether there was room.
    pub fn add(&mut self, filter: &Filter, retained: RetainHandling) -> bool {
        let mut filters = Vec::clone(&self.filters.load());
        let place = filters.iter().position(|own| own.is_same(filter));
        match place {
            Some(place) => filters[place] = filter.clone(),
            None if filters.len() == Self::FILTERS_MAX => return false,
            None => filters.push(filter.clone()),
        }
        let wants_retained = match retained {
            RetainHandling::Always => true,
            RetainHandling::IfNew => place.is_none(),
            RetainHandling::Never => false,
        };
        let shared = Arc::clone(&self.shared);
        let mut kept = shared.lock();
        self.filters.store(Arc::new(filters));
        if wants_retained {
            self.put_retained(filter, &kept);
        }
        let is_for = |parcel: &Parcel| {
            filter.chooses(parcel.topic()) && self.devices.have(parcel.topic().device())
        };
        let waiting = kept.take_waiting(is_for);
        let put = waiting
            .iter()
            .filter_map(|parcel| self.mailbox.put(parcel, filter.grant.qos));
        let lost: Vec<_> = put.collect();
        drop(kept);
        for parcel in lost {
            parcel.lose(Lost::QueueFull);
        }
        telemetry::mqtt_subscribed();
        true
    }

    fn put_retained(&mut self, filter: &Filter, kept: &Kept) {
        let is_chosen = |topic: &str| {
            let zone = topic.strip_prefix(DECISIONS);
            zone.is_some_and(|zone| filter.chooses_zone(zone))
        };
        self.retained.retain(|older| !is_chosen(&older.topic));
        let chosen = kept.retained().filter(|kept| is_chosen(&kept.0));
        self.retained
            .extend(chosen.map(|(topic, payload)| Retained {
                topic: Arc::clone(topic),
                payload: payload.clone(),
                grant: filter.grant,
            }));
    }

    /// The next of the retained messages.
    fn next_retained(&mut self) -> Option<Message> {
        loop {
            let next = self.retained.pop_front()?;
            let mut packets = Packets::new(&next.topic, &next.payload);
            let message = packets.of(self.takes.version, next.grant);
            match message {
                Some(message) if message.packet.len() <= self.takes.packet_bytes_max => {
                    return Some(Message {
                        retain: true,
                        ..message
                    });
                }
                Some(_) => telemetry::mqtt_decision_withheld(),
                None => {}
            }
        }
    }

    /// Removes a filter; whether it was there.
    pub fn remove(&self, filter: &Filter) -> bool {
        let mut filters = Vec::clone(&self.filters.load());
        let before = filters.len();
        filters.retain(|own| !own.is_same(filter));
        let was_there = filters.len() < before;
        let _kept = self.shared.lock();
        self.filters.store(Arc::new(filters));
        was_there
    }

    /// The next decision.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn next(&mut self) -> Message {
        if let Some(message) = self.next_retained() {
            return message;
        }
        match self.decisions.recv().await {
            Some(message) => self.taken(message),
            // The sender lies in the table until this subscription is dropped.
            None => std::future::pending().await,
        }
    }

    /// The next decision, if there is one.
    pub fn try_next(&mut self) -> Option<Message> {
        if let Some(message) = self.next_retained() {
            return Some(message);
        }
        let message = self.decisions.try_recv().ok()?;
        Some(self.taken(message))
    }

    /// It no longer waits.
    fn taken(&self, message: Message) -> Message {
        if let Some(holding) = &self.holding {
            holding.subtract(message.packet.len());
        }
        message
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.by_number.remove(&self.number);
        // Nothing is put into the queues any more: who does so looks into the table.
        while let Ok(message) = self.decisions.try_recv() {
            self.taken(message);
        }
        let mut dead = Vec::new();
        let left = self.mailbox.empty();
        let mut kept = self.shared.lock();
        for taken in &left {
            if taken.parcel.is_waiting() {
                self.shared.route(&taken.parcel, &mut kept, &mut dead);
            }
        }
        drop(kept);
        for (parcel, lost) in dead {
            parcel.lose(lost);
        }
    }
}
