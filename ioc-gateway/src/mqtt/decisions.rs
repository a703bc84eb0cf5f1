//! Decisions out: to every connection that subscribed to `ioc/v1/decisions/…`.
//!
//! Arrives: a decision's zone and JSON, once. Leaves: one PUBLISH of quality 0, encoded once,
//! shared by the queues of all subscribers that want it. When a subscriber's queue is full, it
//! misses the decision and that is counted: nobody waits for a slow subscriber. Who must miss
//! nothing uses the WebSocket stream, which resumes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::mpsc;

use super::codec;
use crate::telemetry;

/// What all topics of decisions begin with.
const PREFIX: &str = "ioc/v1/decisions/";

/// The publisher's handle: cheap to clone, one for the process.
#[derive(Debug, Clone, Default)]
pub struct Decisions(Arc<Subscribers>);

#[derive(Debug, Default)]
struct Subscribers {
    by_number: DashMap<u64, Subscriber>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Subscriber {
    filters: Arc<ArcSwap<Vec<Filter>>>,
    queue: mpsc::Sender<Bytes>,
}

impl Decisions {
    /// Publishes a decision to `ioc/v1/decisions/<zone>`. Never waits. Decisions published by one
    /// thread reach each subscriber in that order.
    ///
    /// In the topic, `%`, `+`, `#` and `/` of a zone's id are percent-escaped: they mean something
    /// else there.
    pub fn publish(&self, zone: &str, json: &[u8]) {
        if self.0.by_number.is_empty() {
            return;
        }
        let zone = escaped(zone);
        let Some(packet) = codec::publish_at_most_once(&format!("{PREFIX}{zone}"), json) else {
            telemetry::mqtt_decision_too_long(json.len());
            return;
        };
        for subscriber in &self.0.by_number {
            let wants = subscriber
                .filters
                .load()
                .iter()
                .any(|filter| filter.matches(&zone));
            if wants && subscriber.queue.try_send(packet.clone()).is_err() {
                telemetry::mqtt_decision_missed();
            }
        }
    }

    /// A subscription that wants nothing yet; at most so many decisions wait in it.
    pub(super) fn subscribe(&self, decisions_max: usize) -> Subscription {
        let (sender, queue) = mpsc::channel(decisions_max.max(1));
        let filters = Arc::<ArcSwap<Vec<Filter>>>::default();
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let subscriber = Subscriber {
            filters: Arc::clone(&filters),
            queue: sender,
        };
        self.0.by_number.insert(number, subscriber);
        Subscription {
            subscribers: Arc::clone(&self.0),
            number,
            filters,
            queue,
        }
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

/// One connection's end, gone when dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    subscribers: Arc<Subscribers>,
    number: u64,
    filters: Arc<ArcSwap<Vec<Filter>>>,
    queue: mpsc::Receiver<Bytes>,
}

impl Subscription {
    /// How many filters one connection may have; more are refused.
    pub const FILTERS_MAX: usize = 64;

    /// Adds a filter; whether it was granted.
    pub fn add(&self, filter: Filter) -> bool {
        let mut filters = Vec::clone(&self.filters.load());
        if !filters.contains(&filter) {
            if filters.len() == Self::FILTERS_MAX {
                return false;
            }
            filters.push(filter);
        }
        self.filters.store(Arc::new(filters));
        telemetry::mqtt_subscribed();
        true
    }

    /// Removes a filter.
    pub fn remove(&self, filter: &Filter) {
        let mut filters = Vec::clone(&self.filters.load());
        filters.retain(|own| own != filter);
        self.filters.store(Arc::new(filters));
    }

    /// The next decision's packet.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn next(&mut self) -> Bytes {
        match self.queue.recv().await {
            Some(packet) => packet,
            // The sender lies in the table until this subscription is dropped.
            None => std::future::pending().await,
        }
    }

    /// The next decision's packet, if there is one.
    pub fn try_next(&mut self) -> Option<Bytes> {
        self.queue.try_recv().ok()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.subscribers.by_number.remove(&self.number);
    }
}

/// A topic filter that decisions can be subscribed to with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// `ioc/v1/decisions/#` or `ioc/v1/decisions/+`: every zone is one level.
    Every,
    /// `ioc/v1/decisions/<zone>`, the zone as it is escaped in the topic.
    Zone(Box<str>),
}

impl Filter {
    /// The filter of a SUBSCRIBE; `None` for topics that nothing is published to.
    pub fn parse(filter: &str) -> Option<Self> {
        match filter.strip_prefix(PREFIX)? {
            "#" | "+" => Some(Self::Every),
            zone if zone.is_empty() || zone.contains('/') => None,
            zone => Some(Self::Zone(zone.into())),
        }
    }

    fn matches(&self, escaped_zone: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Zone(own) => **own == *escaped_zone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(zone: &str) -> Filter {
        Filter::parse(&format!("{PREFIX}{zone}")).unwrap()
    }

    #[test]
    fn only_decisions_can_be_subscribed_to() {
        assert_eq!(Filter::parse("ioc/v1/decisions/#"), Some(Filter::Every));
        assert_eq!(Filter::parse("ioc/v1/decisions/+"), Some(Filter::Every));
        assert_eq!(
            Filter::parse("ioc/v1/decisions/z21"),
            Some(Filter::Zone("z21".into()))
        );
        for other in [
            "#",
            "ioc/v1/readings/#",
            "ioc/v1/decisions",
            "ioc/v1/decisions/",
            "ioc/v1/decisions/z21/#",
            "$SYS/#",
        ] {
            assert_eq!(Filter::parse(other), None, "{other}");
        }
    }

    #[test]
    fn each_subscriber_gets_what_it_asked_for_once() {
        let decisions = Decisions::default();
        decisions.publish("z1", b"nobody hears this");
        let (mut one, mut all) = (decisions.subscribe(8), decisions.subscribe(8));
        assert!(one.add(zone("z1")) && all.add(zone("z1")) && all.add(Filter::Every));
        decisions.publish("z1", b"{}");
        decisions.publish("z2", b"{}");
        assert_eq!(
            &one.try_next().unwrap()[..],
            b"\x30\x17\0\x13ioc/v1/decisions/z1{}"
        );
        assert_eq!(one.try_next(), None);
        assert!(all.try_next().is_some() && all.try_next().is_some());
        assert_eq!(all.try_next(), None);
        one.remove(&zone("z1"));
        decisions.publish("z1", b"{}");
        assert_eq!(one.try_next(), None);
    }

    #[test]
    fn a_slow_subscriber_misses_what_its_queue_cannot_hold() {
        let decisions = Decisions::default();
        let mut slow = decisions.subscribe(2);
        slow.add(Filter::Every);
        for _ in 0..5 {
            decisions.publish("z1", b"{}");
        }
        assert!(slow.try_next().is_some() && slow.try_next().is_some());
        assert_eq!(slow.try_next(), None);
    }

    #[test]
    fn a_zone_is_one_level_of_the_topic() {
        let decisions = Decisions::default();
        let mut every = decisions.subscribe(8);
        every.add(Filter::Every);
        decisions.publish("a/b+#%", b"");
        let packet = every.try_next().unwrap();
        assert!(packet.ends_with(b"ioc/v1/decisions/a%2Fb%2B%23%25"));
        assert_eq!(decisions.0.by_number.len(), 1);
        drop(every);
        assert_eq!(decisions.0.by_number.len(), 0);
    }

    #[test]
    fn filters_have_a_bound() {
        let decisions = Decisions::default();
        let subscription = decisions.subscribe(1);
        for n in 0..Subscription::FILTERS_MAX {
            assert!(subscription.add(zone(&format!("z{n}"))));
        }
        assert!(!subscription.add(Filter::Every));
        assert!(subscription.add(zone("z0")), "one that is there already");
    }
}
