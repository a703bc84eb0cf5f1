//! Decisions out: to every connection that subscribed to `ioc/v1/decisions/…`.
//!
//! Arrives: a decision's zone and JSON, once. Leaves: one PUBLISH of quality 0, encoded once for
//! each version of MQTT, shared by the queues of all subscribers that want it. When a subscriber's
//! queue is full, it misses the decision and that is counted: nobody waits for a slow subscriber.
//! Neither gets it a decision longer than the packets that it takes. Who must miss nothing uses
//! the WebSocket stream, which resumes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use dashmap::DashMap;
use ioc_core::id::ZoneId;
use tokio::sync::mpsc;

use super::codec::{self, Version};
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
    takes: Takes,
    queue: mpsc::Sender<Bytes>,
}

/// What packets a subscriber takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    /// What it speaks.
    pub version: Version,
    /// The longest packet that it takes (5.0: section 3.1.2.11.4).
    pub packet_bytes_max: usize,
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
        let mut packets = Packets::new(&zone, json);
        for subscriber in &self.0.by_number {
            if subscriber.wants(&zone)
                && let Some(packet) = packets.of(subscriber.takes.version)
            {
                subscriber.send(packet);
            }
        }
    }

    /// A subscription that wants nothing yet; at most so many decisions wait in it.
    pub(super) fn subscribe(&self, decisions_max: usize, takes: Takes) -> Subscription {
        let (sender, queue) = mpsc::channel(decisions_max.max(1));
        let filters = Arc::<ArcSwap<Vec<Filter>>>::default();
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let subscriber = Subscriber {
            filters: Arc::clone(&filters),
            takes,
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

impl Subscriber {
    fn wants(&self, escaped_zone: &str) -> bool {
        let filters = self.filters.load();
        filters.iter().any(|filter| filter.matches(escaped_zone))
    }

    fn send(&self, packet: &Bytes) {
        if packet.len() > self.takes.packet_bytes_max {
            telemetry::mqtt_decision_withheld();
        } else if self.queue.try_send(packet.clone()).is_err() {
            telemetry::mqtt_decision_missed();
        }
    }
}

/// A decision's packet in each version, once somebody wants it.
struct Packets<'a> {
    escaped_zone: &'a str,
    json: &'a [u8],
    v311: Option<Bytes>,
    v5: Option<Bytes>,
}

impl<'a> Packets<'a> {
    const fn new(escaped_zone: &'a str, json: &'a [u8]) -> Self {
        Self {
            escaped_zone,
            json,
            v311: None,
            v5: None,
        }
    }

    /// The packet; `None` if the decision is longer than a packet can be.
    fn of(&mut self, version: Version) -> Option<&Bytes> {
        let packet = match version {
            Version::V311 => &mut self.v311,
            Version::V5 => &mut self.v5,
        };
        if packet.is_none() {
            let topic = format!("{PREFIX}{}", self.escaped_zone);
            *packet = codec::publish_at_most_once(version, &topic, self.json);
            if packet.is_none() {
                telemetry::mqtt_decision_too_long(self.json.len());
            }
        }
        packet.as_ref()
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

    /// Removes a filter; whether it was there.
    pub fn remove(&self, filter: &Filter) -> bool {
        let mut filters = Vec::clone(&self.filters.load());
        let before = filters.len();
        filters.retain(|own| own != filter);
        let was_there = filters.len() < before;
        self.filters.store(Arc::new(filters));
        was_there
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
    /// The longest zone in a filter: each byte may be escaped. None is published to a longer one,
    /// and what could never match is not kept for a client.
    const ZONE_BYTES_MAX: usize = 3 * ZoneId::BYTES_MAX;

    /// The filter of a SUBSCRIBE; `None` for topics that nothing is published to.
    pub fn parse(filter: &str) -> Option<Self> {
        match filter.strip_prefix(PREFIX)? {
            "#" | "+" => Some(Self::Every),
            zone if zone.is_empty() || zone.contains('/') => None,
            zone if zone.len() > Self::ZONE_BYTES_MAX => None,
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

    const V311: Takes = Takes {
        version: Version::V311,
        packet_bytes_max: usize::MAX,
    };

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
        let (mut one, mut all) = (decisions.subscribe(8, V311), decisions.subscribe(8, V311));
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
        assert!(one.remove(&zone("z1")) && !one.remove(&zone("z1")));
        decisions.publish("z1", b"{}");
        assert_eq!(one.try_next(), None);
    }

    #[test]
    fn each_subscriber_gets_it_in_its_version_and_no_longer_than_it_takes() {
        let decisions = Decisions::default();
        let takes = |packet_bytes_max| Takes {
            version: Version::V5,
            packet_bytes_max,
        };
        let expected = b"\x30\x2d\0\x13ioc/v1/decisions/z1\x15\x01\x01\x03\0\x10application/json{}";
        let mut subscriptions = [V311, takes(expected.len()), takes(expected.len() - 1)]
            .map(|takes| decisions.subscribe(8, takes));
        for subscription in &subscriptions {
            assert!(subscription.add(Filter::Every));
        }
        decisions.publish("z1", b"{}");
        let [old, new, narrow] = &mut subscriptions;
        let old = old.try_next().unwrap();
        assert_eq!(&old[..], b"\x30\x17\0\x13ioc/v1/decisions/z1{}");
        assert_eq!(&new.try_next().unwrap()[..], expected);
        assert_eq!(narrow.try_next(), None);
    }

    #[test]
    fn a_slow_subscriber_misses_what_its_queue_cannot_hold() {
        let decisions = Decisions::default();
        let mut slow = decisions.subscribe(2, V311);
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
        let mut every = decisions.subscribe(8, V311);
        every.add(Filter::Every);
        decisions.publish("a/b+#%", b"");
        let packet = every.try_next().unwrap();
        assert!(packet.ends_with(b"ioc/v1/decisions/a%2Fb%2B%23%25"));
        assert_eq!(decisions.0.by_number.len(), 1);
        drop(every);
        assert_eq!(decisions.0.by_number.len(), 0);
    }

    #[test]
    fn p5_a_filter_is_no_longer_than_a_zone_can_be() {
        let decisions = Decisions::default();
        let mut subscription = decisions.subscribe(1, V311);
        let longest = "%".repeat(ZoneId::BYTES_MAX);
        let filter = Filter::parse(&format!("{PREFIX}{}", escaped(&longest)));
        assert!(subscription.add(filter.unwrap()));
        decisions.publish(&longest, b"{}");
        assert!(subscription.try_next().is_some());
        let longer = "x".repeat(Filter::ZONE_BYTES_MAX + 1);
        assert_eq!(Filter::parse(&format!("{PREFIX}{longer}")), None);
    }

    #[test]
    fn filters_have_a_bound() {
        let decisions = Decisions::default();
        let subscription = decisions.subscribe(1, V311);
        for n in 0..Subscription::FILTERS_MAX {
            assert!(subscription.add(zone(&format!("z{n}"))));
        }
        assert!(!subscription.add(Filter::Every));
        assert!(subscription.add(zone("z0")), "one that is there already");
    }
}
