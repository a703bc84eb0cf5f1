//! What edge nodes said of themselves when they were born: the metrics that their later messages
//! name by a number only, with datatypes and units.
//!
//! Shared by all connections: a host that reads a broker over several hears the birth on one and
//! the data on another. Forgotten when the node dies, and when this process ends; and where there is
//! no room for another: first who has no metric of a kind that is known, then who has no registered
//! sensor, and of these who was silent longest. A stranger who makes nodes up so takes the places of
//! his own. Whoever was forgotten is asked to be born again when it speaks. Bounds: [`NODES_MAX`],
//! [`STATE_BYTES_MAX`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use ioc_core::time::{Millis, Timestamp};

use super::metric::Metric;
use crate::formats::{Reason, Reject};
use crate::telemetry;

/// How many edge nodes are known at once.
pub const NODES_MAX: usize = 4096;
/// How many bytes all that they said of their metrics takes, with what the look-ups take.
pub const STATE_BYTES_MAX: usize = 64 << 20;
/// The longest path of a metric: group, node, device and name. A sensor's name is shorter.
pub(super) const PATH_BYTES_MAX: usize = 512;
/// How long a node is not asked again to be born again.
const REBIRTH_EVERY: Millis = Millis(10_000);
/// How long a message may come after one that follows it (section 5, Sparkplug Host Application
/// Message Ordering: the reorder timeout): what is spread over several connections overtakes.
pub(super) const REORDER_WITHIN: Millis = Millis(2_000);
/// So many messages of a node may be out of order at once.
const OUT_OF_ORDER_MAX: usize = 64;
/// So many messages in a row may be of those that came before, as what an MQTT broker sends again;
/// more are what a node says after much was lost.
const REPEATED_MAX: usize = 16;
/// So many more are forgotten where one must be, so that not each birth looks through all of them.
const FORGOTTEN_AT_ONCE: usize = 64;
/// About what a metric, or a device, takes beside its texts.
const METRIC_BYTES: usize = 192;

/// The edge nodes.
#[derive(Debug, Clone, Default)]
pub struct Nodes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// By group and node, with `/` between them.
    nodes: DashMap<Box<str>, Node>,
    bytes: AtomicUsize,
    /// How many messages of born nodes were heard: who was silent longest is who was heard at the
    /// least of these.
    heard: AtomicU64,
    /// When those that were not born, or of which something is missing, were asked.
    asked: DashMap<Box<str>, Timestamp>,
}

/// An edge node, and what holds since it was born.
#[derive(Debug)]
pub(super) struct Node {
    /// Which message the last one was.
    heard: u64,
    /// The number of the session (`bdSeq`).
    session: Option<u64>,
    /// The number of the newest message (section 6.4.5).
    seq: Option<u64>,
    /// The numbers before it that have not come, and since when that is so.
    missing: Vec<u64>,
    missing_since: Timestamp,
    /// How many in a row had come before.
    repeated: usize,
    /// By name; the node itself has none.
    devices: HashMap<Box<str>, Device>,
}

/// What a device said of its metrics.
#[derive(Debug, Default)]
pub(super) struct Device {
    metrics: Vec<Known>,
    by_name: HashMap<Box<str>, usize>,
    by_alias: HashMap<u64, usize>,
    /// Who has which alias that several have: it stands for none of them, for a reload may make a
    /// reading of any.
    shared: Vec<(u64, usize)>,
    /// Whether one of those was a reading at the birth.
    is_ambiguous: bool,
    bytes: usize,
    worth: Worth,
}

/// What the city loses where something is forgotten, the least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// None of its metrics is a reading here.
    #[default]
    Nothing,
    /// Readings of a known kind.
    Readings,
    /// Readings of a sensor that is registered.
    Registered,
}

/// A metric, as its birth certificate says.
#[derive(Debug, PartialEq)]
pub(super) struct Known {
    pub name: Box<str>,
    /// `GROUP/NODE/DEVICE/NAME`.
    pub path: Box<str>,
    /// The same with `:`, as sensors are named.
    pub sensor: Box<str>,
    pub unit: Box<str>,
    pub datatype: u64,
}

/// What the number of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    /// Nothing is missing, or not for long.
    Whole,
    /// From this message, and this moment, on something is.
    Lacks(Timestamp),
    /// Something is missing, and too much of it or for too long.
    Gap,
}

impl Nodes {
    /// Does something with a node that was born; nothing if it was not.
    pub(super) fn with<T>(&self, key: &str, act: impl FnOnce(&mut Node) -> T) -> Option<T> {
        let mut node = self.0.nodes.get_mut(key)?;
        node.heard = self.next();
        Some(act(&mut node))
    }

    /// Begins the session of a node, if there is a place for it: nothing that it said before holds
    /// any longer.
    pub(super) fn born(
        &self,
        key: &str,
        session: Option<u64>,
        seq: Option<u64>,
        own: Device,
    ) -> Result<(), Reject> {
        if !self.make_room(key, own.bytes, own.worth) {
            let detail = format!(
                "{NODES_MAX} edge nodes, or {STATE_BYTES_MAX} bytes of what they say of their \
                 metrics, are known of registered sensors, and this is of none"
            );
            return Err(Reject::new(Reason::BirthsTooMany, detail));
        }
        self.reserve(own.bytes)?;
        let node = Node {
            heard: self.next(),
            session,
            seq,
            missing: Vec::new(),
            missing_since: Timestamp::default(),
            repeated: 0,
            devices: [("".into(), own)].into(),
        };
        let before = self.0.nodes.insert(key.into(), node);
        self.0.asked.remove(key);
        self.give_back(before.map_or(0, |node| node.bytes()));
        Ok(())
    }

    /// Makes room for what a node, or a device of it, says of its metrics: forgets others, but none
    /// of a registered sensor for one of none. Whether there is room now; if there can be none,
    /// nobody is forgotten.
    pub(super) fn make_room(&self, key: &str, bytes: usize, worth: Worth) -> bool {
        let is_new = usize::from(!self.0.nodes.contains_key(key));
        let places = (self.0.nodes.len() + is_new).saturating_sub(NODES_MAX);
        let held = self.0.bytes.load(Ordering::Relaxed);
        let bytes = (held + bytes).saturating_sub(STATE_BYTES_MAX);
        if places == 0 && bytes == 0 {
            return true;
        }
        let most = worth.max(Worth::Readings);
        let others = self
            .0
            .nodes
            .iter()
            .filter(|other| other.key().as_ref() != key);
        let others = others.map(|other| (other.worth(), other.heard, other.bytes()));
        let mut others: Vec<_> = others.filter(|(worth, ..)| *worth <= most).collect();
        others.sort_unstable();
        let (mut freed, mut last) = ((0, 0), None);
        for (worth, heard, bytes_of) in others {
            let is_enough = freed.0 >= places && freed.1 >= bytes;
            if is_enough && (freed.0 >= FORGOTTEN_AT_ONCE || worth == Worth::Registered) {
                break;
            }
            freed = (freed.0 + 1, freed.1 + bytes_of);
            last = Some((worth, heard));
        }
        if freed.0 < places || freed.1 < bytes {
            return false;
        }
        self.0.nodes.retain(|name, node| {
            let stays = name.as_ref() == key || Some((node.worth(), node.heard)) > last;
            if !stays {
                self.give_back(node.bytes());
                telemetry::sparkplug_forgotten();
            }
            stays
        });
        true
    }

    fn next(&self) -> u64 {
        self.0.heard.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends the session of a node; says which devices went with it. `None` if it is another session
    /// that the certificate is of.
    pub(super) fn died(&self, key: &str, session: Option<u64>) -> Option<Vec<Box<str>>> {
        let (_, node) = self.0.nodes.remove_if(key, |_, node| {
            session.is_none() || node.session.is_none() || session == node.session
        })?;
        self.give_back(node.bytes());
        let devices = node.devices.into_keys().filter(|device| !device.is_empty());
        let mut devices: Vec<Box<str>> = devices.collect();
        devices.sort_unstable();
        Some(devices)
    }

    /// Whether what was missing of a node then has not come; it is not waited for any longer.
    pub(super) fn gives_up(&self, key: &str, since: Timestamp) -> bool {
        let node = self.0.nodes.get_mut(key);
        node.is_some_and(|mut node| node.gives_up(since))
    }

    /// Whether a node may be asked now to be born again; then it counts as asked.
    pub(super) fn ask(&self, key: &str, now: Timestamp) -> bool {
        let is_due = self.0.asked.get(key).is_none_or(|asked_at| {
            // A clock that was set back makes it due too.
            !(*asked_at..*asked_at + REBIRTH_EVERY).contains(&now)
        });
        if is_due {
            if self.0.asked.len() >= NODES_MAX {
                // Some are asked once more than need be.
                self.0.asked.clear();
            }
            self.0.asked.insert(key.into(), now);
        }
        is_due
    }

    /// Takes in what a device said of itself.
    pub(super) fn device_born(
        &self,
        node: &mut Node,
        name: &str,
        own: Device,
    ) -> Result<(), Reject> {
        self.reserve(own.bytes)?;
        let before = node.devices.insert(name.into(), own);
        self.give_back(before.map_or(0, |device| device.bytes));
        Ok(())
    }

    /// Forgets a device; whether it was there.
    pub(super) fn device_died(&self, node: &mut Node, name: &str) -> bool {
        let device = node.devices.remove(name);
        self.give_back(device.as_ref().map_or(0, |device| device.bytes));
        device.is_some()
    }

    fn reserve(&self, bytes: usize) -> Result<(), Reject> {
        let before = self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= STATE_BYTES_MAX {
            return Ok(());
        }
        self.give_back(bytes);
        let detail =
            format!("what edge nodes say of their metrics takes more than {STATE_BYTES_MAX} bytes");
        Err(Reject::new(Reason::BirthsTooMany, detail))
    }

    fn give_back(&self, bytes: usize) {
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Numbers of messages go around.
const NUMBERS: u64 = 256;

impl Node {
    fn bytes(&self) -> usize {
        self.devices.values().map(|device| device.bytes).sum()
    }

    fn worth(&self) -> Worth {
        let devices = self.devices.values().map(|device| device.worth);
        devices.max().unwrap_or_default()
    }

    /// Notes the number of a message (section 6.4.5): from 0 to 255, and again.
    pub fn follow(&mut self, seq: Option<u64>, now: Timestamp) -> Sequence {
        match (seq, self.seq) {
            (Some(seq), Some(newest)) => self.take(seq % NUMBERS, newest % NUMBERS, now),
            _ => Sequence::Whole,
        }
    }

    /// What a device said of its metrics; the node itself has no name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.get(name)
    }

    /// Whether something is missing that was missing then; it is not waited for any longer.
    fn gives_up(&mut self, since: Timestamp) -> bool {
        let lacks = !self.missing.is_empty() && self.missing_since == since;
        if lacks {
            self.missing.clear();
        }
        lacks
    }

    fn take(&mut self, seq: u64, newest: u64, now: Timestamp) -> Sequence {
        let was_whole = self.missing.is_empty();
        let ahead = (seq + NUMBERS - newest) % NUMBERS;
        let is_behind = ahead == 0 || NUMBERS - ahead <= OUT_OF_ORDER_MAX as u64;
        if let Some(place) = self.missing.iter().position(|missing| *missing == seq) {
            self.missing.remove(place);
        } else if is_behind && self.repeated < REPEATED_MAX {
            self.repeated += 1;
        } else if ahead != 0 {
            self.repeated = 0;
            if self.missing.is_empty() {
                self.missing_since = now;
            }
            self.seq = Some(seq);
            let skipped = (1..ahead).map(|step| (newest + step) % NUMBERS);
            self.missing.extend(skipped);
        }
        let within = self.missing_since..self.missing_since + REORDER_WITHIN;
        // A clock that was set back makes it late too.
        let is_gap = self.missing.len() > OUT_OF_ORDER_MAX
            || !self.missing.is_empty() && !within.contains(&now);
        if !is_gap {
            return match was_whole && !self.missing.is_empty() {
                true => Sequence::Lacks(now),
                false => Sequence::Whole,
            };
        }
        self.missing.clear();
        Sequence::Gap
    }
}

/// The place of an alias that several metrics have, which is nobody's: aliases are unique (section
/// 6.4.7), and the value of another metric is worse than none.
const SHARED: usize = usize::MAX;

impl Device {
    /// A device of this path that has said nothing yet.
    pub fn new(path: &str) -> Self {
        Self {
            bytes: METRIC_BYTES + path.len(),
            ..Self::default()
        }
    }

    /// Takes in a metric of a birth certificate. One whose path is too long for any sensor is left
    /// out.
    pub fn learn(&mut self, origin: &str, metric: &Metric<'_>) {
        let path = format!("{origin}/{}", metric.name);
        if path.len() > PATH_BYTES_MAX || metric.unit.len() > PATH_BYTES_MAX {
            return;
        }
        self.bytes += METRIC_BYTES + 2 * path.len() + 2 * metric.name.len() + metric.unit.len();
        let place = self.metrics.len();
        self.by_name.insert(metric.name.into(), place);
        if let Some(alias) = metric.alias {
            match self.by_alias.insert(alias, place) {
                None => {}
                Some(first) if self.is_called(first, metric.name) => {}
                Some(first) => {
                    self.by_alias.insert(alias, SHARED);
                    self.shared
                        .extend((first != SHARED).then_some((alias, first)));
                    self.shared.push((alias, place));
                }
            }
        }
        self.metrics.push(Known {
            name: metric.name.into(),
            sensor: path.replace('/', ":").into(),
            path: path.into(),
            unit: metric.unit.into(),
            datatype: metric.datatype,
        });
    }

    /// Whether the metric of this place has this name.
    fn is_called(&self, place: usize, name: &str) -> bool {
        let metric = self.metrics.get(place);
        metric.is_some_and(|metric| *metric.name == *name)
    }

    /// Notes what its metrics are to the city.
    pub fn weigh(&mut self, worth_of: impl FnMut(&Known) -> Worth) {
        let worths: Vec<_> = self.metrics.iter().map(worth_of).collect();
        self.worth = worths.iter().copied().max().unwrap_or_default();
        let mut shared = self.shared.iter();
        self.is_ambiguous = shared.any(|(_, place)| worths[*place] > Worth::Nothing);
    }

    /// What it takes of the room for all, and what it is to the city.
    pub const fn claim(&self) -> (usize, Worth) {
        (self.bytes, self.worth)
    }

    /// The metric that a message means: by its name, or by the alias of its birth certificate.
    pub fn known(&self, metric: &Metric<'_>) -> Option<&Known> {
        let place = match (metric.name, metric.alias) {
            ("", Some(alias)) => self.by_alias.get(&alias)?,
            (name, _) => self.by_name.get(name)?,
        };
        self.metrics.get(*place)
    }

    /// The metrics that a message may mean, where it means one by an alias that several have.
    pub fn sharing(&self, metric: &Metric<'_>) -> impl Iterator<Item = &Known> {
        let alias = metric.alias.filter(|_| metric.name.is_empty());
        let shared = self.shared.iter();
        let of_alias = shared.filter(move |(shared, _)| alias == Some(*shared));
        of_alias.map(|(_, place)| &self.metrics[*place])
    }

    /// Whether there is an alias that several metrics have of which one is a reading.
    pub const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_773_470_710_933);

    fn device(metrics: usize, name_bytes: usize) -> Device {
        let mut device = Device::new("g/n");
        for number in 0..metrics {
            let name = format!("{number:0name_bytes$}");
            let mut metric = Metric::default();
            metric.name = &name;
            metric.alias = Some(number as u64);
            device.learn("g/n", &metric);
        }
        device
    }

    fn born(nodes: &Nodes, key: &str, own: Device) -> Result<(), Reject> {
        nodes.born(key, Some(1), Some(0), own)
    }

    fn of_worth(worth: Worth) -> Device {
        Device {
            worth,
            ..device(1, 8)
        }
    }

    fn is_known(nodes: &Nodes, key: &str) -> bool {
        nodes.with(key, |_| ()).is_some()
    }

    #[test]
    fn p5_no_more_nodes_are_known_than_the_bound() {
        let nodes = Nodes::default();
        for number in 0..=NODES_MAX {
            assert!(nodes.ask(&format!("g/{number}"), NOW));
        }
        assert!(nodes.0.asked.len() <= NODES_MAX);
        for number in 0..NODES_MAX {
            born(&nodes, &format!("b/{number}"), of_worth(Worth::Registered)).unwrap();
        }
        // Nobody with a registered sensor goes for one without.
        let reject = born(&nodes, "b/more", of_worth(Worth::Readings)).unwrap_err();
        assert_eq!(reject.reason, Reason::BirthsTooMany);
        assert!(nodes.ask("b/more", NOW));
        born(&nodes, "b/more", of_worth(Worth::Registered)).unwrap();
        assert_eq!(nodes.0.nodes.len(), NODES_MAX);
        nodes.died("b/7", None).unwrap();
        born(&nodes, "b/other", Device::default()).unwrap();
    }

    #[test]
    fn p5_for_a_further_node_that_is_forgotten_which_says_least_and_was_silent_longest() {
        let nodes = Nodes::default();
        born(&nodes, "g/plant", of_worth(Worth::Registered)).unwrap();
        born(&nodes, "g/old", of_worth(Worth::Readings)).unwrap();
        for number in 0..NODES_MAX - 2 {
            born(&nodes, &format!("x/{number}"), Device::default()).unwrap();
        }
        // Who speaks was not silent longest.
        assert!(is_known(&nodes, "x/0"));
        born(&nodes, "g/new", Device::default()).unwrap();
        assert!(!is_known(&nodes, "x/1"), "forgotten");
        assert!(nodes.ask("x/1", NOW), "and asked when it speaks");
        // However many nodes a stranger makes up, they take the places of his own.
        for number in 0..2 * NODES_MAX {
            born(&nodes, &format!("y/{number}"), Device::default()).unwrap();
        }
        assert!(is_known(&nodes, "g/plant") && is_known(&nodes, "g/old"));
        for number in 0..2 * NODES_MAX {
            born(&nodes, &format!("z/{number}"), of_worth(Worth::Readings)).unwrap();
        }
        assert!(is_known(&nodes, "g/plant") && !is_known(&nodes, "g/old"));
        born(&nodes, "g/old", Device::default()).unwrap();
        assert!(nodes.0.nodes.len() <= NODES_MAX);
    }

    #[test]
    fn p5_what_nodes_say_of_themselves_is_bounded_and_given_back() {
        let nodes = Nodes::default();
        born(&nodes, "g/plant", of_worth(Worth::Registered)).unwrap();
        let count = 40;
        for number in 0..count {
            born(&nodes, &format!("g/{number}"), device(4000, 400)).unwrap();
            assert!(nodes.0.bytes.load(Ordering::Relaxed) <= STATE_BYTES_MAX);
        }
        assert!(is_known(&nodes, "g/plant") && !is_known(&nodes, "g/0"));
        // A device of a node that is there has no room before others are forgotten.
        let own = device(8000, 400);
        let (bytes, worth) = own.claim();
        let mut count = count;
        while nodes.0.bytes.load(Ordering::Relaxed) + bytes <= STATE_BYTES_MAX {
            born(&nodes, &format!("g/{count}"), device(4000, 400)).unwrap();
            count += 1;
        }
        let reject = nodes
            .with("g/plant", |node| {
                nodes.device_born(node, "d", device(8000, 400))
            })
            .unwrap();
        assert_eq!(reject.unwrap_err().reason, Reason::BirthsTooMany);
        assert!(nodes.make_room("g/plant", bytes, worth));
        let done = nodes.with("g/plant", |node| nodes.device_born(node, "d", own));
        done.unwrap().unwrap();
        // What is more than all has no room, and nobody is forgotten for it.
        let before = nodes.0.nodes.len();
        assert!(!nodes.make_room("g/plant", STATE_BYTES_MAX + 1, Worth::Registered));
        assert_eq!(nodes.0.nodes.len(), before);
        // Born again it takes the place of what it said before.
        for _ in 0..3 {
            assert!(born(&nodes, "g/39", device(10, 20)).is_ok());
        }
        nodes.died("g/plant", None).unwrap();
        for number in 0..count {
            nodes.died(&format!("g/{number}"), Some(1));
        }
        assert_eq!(nodes.0.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn p5_a_metric_whose_path_is_too_long_is_left_out() {
        let named = |bytes: usize| {
            let own = device(1, bytes);
            own.metrics.len()
        };
        let room = PATH_BYTES_MAX - "g/n/".len();
        assert_eq!((named(room), named(room + 1)), (1, 0));
    }

    #[test]
    fn a_node_is_asked_now_and_then_and_a_birth_answers() {
        let nodes = Nodes::default();
        assert!(nodes.ask("g/n", NOW));
        assert!(!nodes.ask("g/n", NOW + Millis(9_999)));
        assert!(nodes.ask("g/n", NOW + Millis(10_000)));
        born(&nodes, "g/n", Device::default()).unwrap();
        assert!(nodes.ask("g/n", NOW + Millis(10_001)));
        assert!(nodes.ask("g/n", NOW), "the clock was set back");
    }

    #[test]
    fn numbers_follow_each_other_around() {
        let nodes = Nodes::default();
        nodes
            .born("g/n", None, Some(254), Device::default())
            .unwrap();
        let follow = |seq| nodes.with("g/n", |node| node.follow(seq, NOW)).unwrap();
        assert_eq!(follow(Some(255)), Sequence::Whole);
        assert_eq!(follow(Some(0)), Sequence::Whole);
        assert_eq!(follow(Some(0)), Sequence::Whole, "once more");
        assert_eq!(follow(None), Sequence::Whole);
    }

    /// What the numbers of messages say that come at these milliseconds.
    fn told(messages: &[(i64, u64)]) -> Vec<Sequence> {
        let nodes = Nodes::default();
        nodes.born("g/n", None, Some(0), Device::default()).unwrap();
        let follow = |(at, seq): &(i64, u64)| {
            let now = NOW + Millis(*at);
            nodes
                .with("g/n", |node| node.follow(Some(*seq), now))
                .unwrap()
        };
        messages.iter().map(follow).collect()
    }

    /// From this millisecond on something is missing.
    fn lacks(at: i64) -> Sequence {
        Sequence::Lacks(NOW + Millis(at))
    }

    #[test]
    fn messages_that_overtake_each_other_are_whole() {
        let swapped = [
            (0, 2),
            (1, 1),
            (2, 3),
            (3, 6),
            (900, 5),
            (2_002, 4),
            (9_000, 7),
        ];
        let mut expected = [Sequence::Whole; 7];
        (expected[0], expected[3]) = (lacks(0), lacks(3));
        assert_eq!(told(&swapped), expected);
        let around: Vec<_> = (1..=300_u64)
            .map(|n| (n as i64, (if n % 2 == 1 { n + 1 } else { n - 1 }) % 256))
            .collect();
        for (n, pair) in (1..).step_by(2).zip(told(&around).chunks(2)) {
            assert_eq!(pair, [lacks(n), Sequence::Whole]);
        }
    }

    #[test]
    fn messages_that_come_again_are_whole_and_what_follows_a_great_loss_is_not() {
        let again = (1..=100).chain(90..=100).chain(101..=110).chain([95]);
        let again: Vec<_> = again.map(|seq| (0, seq)).collect();
        assert!(!told(&again).contains(&Sequence::Gap));
        // 200 were lost: what follows looks like what came before.
        let lost = (1..=100).chain(301..=330);
        let lost: Vec<_> = lost.map(|seq| (0, seq % NUMBERS)).collect();
        let gap = told(&lost).iter().position(|told| *told == Sequence::Gap);
        assert_eq!(gap, Some(100 + REPEATED_MAX));
    }

    #[test]
    fn what_stays_missing_is_a_gap_and_is_told_once() {
        let lost = [
            (0, 1),
            (1, 3),
            (2_000, 4),
            (2_001, 5),
            (2_002, 6),
            (4_100, 7),
        ];
        let mut expected = [Sequence::Whole; 6];
        (expected[1], expected[3]) = (lacks(1), Sequence::Gap);
        assert_eq!(told(&lost), expected);
    }

    #[test]
    fn p5_more_out_of_order_than_the_bound_is_a_gap_at_once() {
        let most = OUT_OF_ORDER_MAX as u64;
        assert_eq!(told(&[(0, most + 1)]), [lacks(0)]);
        assert_eq!(
            told(&[(0, most + 2), (1, most + 3)]),
            [Sequence::Gap, Sequence::Whole]
        );
    }
}
