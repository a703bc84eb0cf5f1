//! Who is near along a network: under one feeder, in the same water, on the same line.
//!
//! Arrives: the members of a correlation rule's cases that lie in a network that the rule follows.
//! Leaves: which cases have one near a node, and by what. Promise: the cost depends on how many
//! levels a network has and on how many cases are near, never on how many there are. Each member
//! is written down where others look for it: at its own node, at all that feeds it, at all that
//! its water reaches, at its stop. Derived from the members and the city: part of no digest.
//!
//! What has the same feeder belongs together if nobody measures that feeder; if it is measured, it
//! says itself when it fails, and things that fail beside each other while it is well must be near
//! by metres too. A meter that nobody hears or believes measures nothing (`meters.rs`). Two feeders are two outages, unless what feeds both fails: it says so, or nobody
//! measures it and most of the feeders that hang on it are dead.

mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use self::ways::Nearness;

use super::index::{CellIndex, Near};
use crate::bundle::{Along, CorrelationRule};
use crate::hash::Map;
use crate::id::{NodeId, ReadingKind, SensorId};
use crate::limits::NETWORK_DEPTH_MAX;
use crate::meters::Meters;
use crate::network::Networks;
use crate::place::Position;
use crate::rules::Rules;
use crate::time::{Millis, Timestamp};

/// How near a case is: along a network first, then by metres.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// By what it has in common: the name's place in the rule, and the value.
    Same(u32, NodeId),
    /// So many steps along a network, by the node of this number: the feeder, or where the water comes
    /// from. Numbers are in the order of the names.
    Along(u32, u32),
    /// So many metres.
    Metres(u32),
}

/// A case that something belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kin {
    pub slot: u32,
    pub how: How,
}

/// The members of one correlation rule's cases in the networks that it follows.
#[derive(Debug)]
pub(crate) struct NetworkIndex {
    along: Along,
    /// The kinds of reading that the rule looks at: a node that sends one is measured.
    kinds: Vec<ReadingKind>,
    networks: Arc<Networks>,
    spots: Map<Spot, BTreeMap<Occupant, u32>>,
    rivers: Map<u32, CellIndex>,
    /// How many members each case has in the networks; none is not in it.
    anchors: Map<u32, u32>,
    /// The same members in the networks along which causes and effects are looked for, if they are.
    reach: Option<Box<Self>>,
    /// Nodes in those networks that cases came to have in this moment, each with its case.
    grown: Vec<(u32, u32)>,
}

/// Where members are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Spot {
    At(u32),
    /// Somewhere below this feeder.
    Below(u32),
    /// Its water comes to this node.
    Above(u32),
    Stop(u32, i32),
    /// Somewhere on this river.
    River(u32),
}

/// A case, and the node of it that matters there; `None` where only the case does.
type Occupant = (u32, Option<u32>);

impl NetworkIndex {
    /// An empty index for a rule.
    pub fn new(rule: &CorrelationRule, rules: &Rules) -> Self {
        let reach = rules.reach_along(rule);
        let follows = reach != Along::default();
        let reach = follows.then(|| Box::new(Self::following(reach, rule, rules)));
        Self {
            reach,
            ..Self::following(rule.along, rule, rules)
        }
    }

    fn following(along: Along, rule: &CorrelationRule, rules: &Rules) -> Self {
        let all = rules.detections();
        let place = |name| all.binary_search_by(|rule| rule.name.cmp(name)).ok();
        let kinds = rule.detections.iter().filter_map(place);
        Self {
            along,
            kinds: kinds.map(|place| all[place].kind.clone()).collect(),
            networks: Arc::clone(rules.networks()),
            spots: Map::default(),
            rivers: Map::default(),
            anchors: Map::default(),
            reach: None,
            grown: Vec::new(),
        }
    }

    /// Whether another index for the same rule would hold the same.
    pub fn is_like(&self, other: &Self) -> bool {
        let reach = match (&self.reach, &other.reach) {
            (Some(reach), Some(other)) => reach.is_like(other),
            (reach, other) => reach.is_none() && other.is_none(),
        };
        let follows = (&self.along, &self.kinds) == (&other.along, &other.kinds);
        reach && follows && self.networks.hash() == other.networks.hash()
    }

    /// The node that a sensor is in a network that the rule follows.
    pub fn node(&self, sensor: &SensorId) -> Option<u32> {
        if self.along == Along::default() {
            return None;
        }
        let node = self.networks.number(sensor.as_str())?;
        self.follows(node).then_some(node)
    }

    fn follows(&self, node: u32) -> bool {
        self.lies_in(&self.along, node)
    }

    /// Whether a node lies in one of these networks.
    fn lies_in(&self, along: &Along, node: u32) -> bool {
        let networks = &self.networks;
        along.fed_by && networks.is_powered(node)
            || along.flows_to_percent.is_some() && networks.is_watered(node)
            || along.river_m.is_some() && networks.river(node).is_some()
            || along.line_stops.is_some() && networks.stop(node).is_some()
    }

    /// What a node is called.
    pub fn name(&self, node: u32) -> &NodeId {
        self.networks.id(node)
    }

    /// Whether a case has a member in a network.
    pub fn is_anchored(&self, slot: u32) -> bool {
        self.anchors.contains_key(&slot)
    }

    /// How long what a sensor feeds may stay dark when it is well again, if it feeds anything and
    /// the rule asks.
    pub fn nested_after(&self, sensor: &SensorId) -> Option<Millis> {
        let after = self.along.nested_after?;
        let node = self.node(sensor)?;
        self.networks.is_feeder(node).then_some(after)
    }

    /// The node that feeds a sensor directly.
    pub fn hangs_on(&self, sensor: &SensorId) -> Option<u32> {
        self.networks.feeders(self.node(sensor)?).next()
    }

    /// The sensors that feed what hangs on a node, over all levels, the nearest first.
    pub fn feeding(&self, node: u32) -> impl Iterator<Item = &SensorId> {
        let feeders = std::iter::once(node).chain(self.networks.feeders(node));
        let feeders = feeders.take(NETWORK_DEPTH_MAX);
        feeders.filter_map(|node| self.networks.sensor(node))
    }

    /// The sensors that feed a sensor.
    pub fn feeders_of(&self, sensor: &SensorId) -> impl Iterator<Item = &SensorId> {
        let node = self.hangs_on(sensor).into_iter();
        node.flat_map(|node| self.feeding(node))
    }

    /// Whether a case has a member under the same feeder, and the node feeds nothing itself.
    pub fn has_sibling(&self, slot: u32, node: u32) -> bool {
        let feeder = self.networks.feeders(node).next();
        let feeder = feeder.filter(|_| !self.networks.is_feeder(node));
        let below = feeder.and_then(|feeder| self.spots.get(&Spot::Below(feeder)));
        self.along.fed_by && below.is_some_and(|below| below.contains_key(&(slot, None)))
    }

    /// Puts a member of a case in.
    pub fn insert(&mut self, slot: u32, sensor: &SensorId) {
        if let Some(reach) = &mut self.reach {
            reach.insert(slot, sensor);
            let node = reach.node(sensor);
            self.grown.extend(node.map(|node| (slot, node)));
        }
        let Some(node) = self.node(sensor) else {
            return;
        };
        *self.anchors.entry(slot).or_default() += 1;
        for (spot, occupant) in self.places(slot, node) {
            let occupants = self.spots.entry(spot).or_default();
            *occupants.entry(occupant).or_default() += 1;
        }
        if let Some((river, within_m, place)) = self.on_river(node) {
            let cells = self.rivers.entry(river);
            let cells = cells.or_insert_with(|| CellIndex::new(within_m));
            cells.insert(slot, place);
        }
    }

    /// Takes a member of a case out.
    pub fn remove(&mut self, slot: u32, sensor: &SensorId) {
        if let Some(reach) = &mut self.reach {
            reach.remove(slot, sensor);
        }
        let Some(node) = self.node(sensor) else {
            return;
        };
        count_down(&mut self.anchors, &slot);
        for (spot, occupant) in self.places(slot, node) {
            let Some(occupants) = self.spots.get_mut(&spot) else {
                continue;
            };
            if let Some(count) = occupants.get_mut(&occupant) {
                *count -= 1;
                if *count == 0 {
                    occupants.remove(&occupant);
                }
            }
            if occupants.is_empty() {
                self.spots.remove(&spot);
            }
        }
        if let Some((river, _, place)) = self.on_river(node)
            && let Some(cells) = self.rivers.get_mut(&river)
        {
            cells.remove(slot, place);
            if cells.is_empty() {
                self.rivers.remove(&river);
            }
        }
    }

    /// Everywhere that a member is looked for.
    fn places(&self, slot: u32, node: u32) -> Vec<(Spot, Occupant)> {
        let mut places = vec![(Spot::At(node), (slot, None))];
        if self.along.fed_by {
            let below = |feeder| (Spot::Below(feeder), (slot, None));
            places.extend(self.networks.feeders(node).map(below));
        }
        if self.along.flows_to_percent.is_some() {
            let above = |(to, _)| (Spot::Above(to), (slot, Some(node)));
            places.extend(self.networks.downstream(node).map(above));
        }
        if let Some((line, order)) = self.on_line(node) {
            places.push((Spot::Stop(line, order), (slot, Some(node))));
        }
        if let Some((river, ..)) = self.on_river(node) {
            places.push((Spot::River(river), (slot, Some(node))));
        }
        places
    }

    fn on_river(&self, node: u32) -> Option<(u32, u32, Position)> {
        let within_m = self.along.river_m?;
        let place = self.networks.position(node)?;
        Some((self.networks.river(node)?, within_m, place))
    }

    fn on_line(&self, node: u32) -> Option<(u32, i32)> {
        self.along.line_stops.and(self.networks.stop(node))
    }

    /// The cases that are near a node along the networks, each by the shortest way.
    /// Told by the caller: who measures, and which cases are not over. Without those that are near
    /// [by water](Self::near_by_water) alone.
    pub fn near(&self, node: u32, meters: &Meters, is_live: impl Fn(u32) -> bool) -> Vec<Kin> {
        let mut near = Vec::new();
        self.add_all(Spot::At(node), 0, node, &mut near);
        if self.along.fed_by {
            self.near_by_power(node, meters, is_live, &mut near);
        }
        if let (Some(stops), Some((line, order))) = (self.along.line_stops, self.on_line(node)) {
            let stops = i32::try_from(stops).unwrap_or(i32::MAX);
            let (from, to) = (order.saturating_sub(stops), order.saturating_add(stops));
            for stop in from..=to {
                let away = order.abs_diff(stop);
                for (slot, other) in self.occupants(Spot::Stop(line, stop)) {
                    near.push(self.along(slot, away, other.unwrap_or(node)));
                }
            }
        }
        if let Some((river, _, place)) = self.on_river(node) {
            let cells = self.rivers.get(&river);
            let found = cells.map_or_else(Vec::new, |cells| cells.near(place));
            let by_metres = |Near { slot, distance_m }| Kin {
                slot,
                how: How::Metres(distance_m),
            };
            near.extend(found.into_iter().map(by_metres));
        }
        near.sort_unstable();
        near.dedup_by_key(|kin| kin.slot);
        near
    }

    fn near_by_power(
        &self,
        node: u32,
        meters: &Meters,
        is_live: impl Fn(u32) -> bool,
        near: &mut Vec<Kin>,
    ) {
        for (steps, feeder) in (1..).zip(self.networks.feeders(node)) {
            self.add_all(Spot::At(feeder), steps, feeder, near);
        }
        self.add_all(Spot::Below(node), 1, node, near);
        let feeder = self.networks.feeders(node).next();
        let unmeasured = feeder.filter(|feeder| !self.is_measured(*feeder, meters));
        let seems_dead = |feeder: &u32| {
            !self.networks.is_feeder(node) || self.seems_dead(*feeder, node, meters, &is_live)
        };
        if let Some(feeder) = unmeasured.filter(seems_dead) {
            self.add_all(Spot::Below(feeder), 2, feeder, near);
        }
    }

    /// Whether several, and more than half, of the feeders on a node are dead, counting this one.
    fn seems_dead(
        &self,
        node: u32,
        this: u32,
        meters: &Meters,
        is_live: impl Fn(u32) -> bool,
    ) -> bool {
        let holds = |spot| self.occupants(spot).any(|(slot, _)| is_live(slot));
        let is_dead = |feeder: u32| {
            let own = holds(Spot::At(feeder));
            let below = || holds(Spot::Below(feeder));
            feeder == this || own || !self.is_measured(feeder, meters) && below()
        };
        let (mut all, mut dead) = (0, 0);
        for feeder in self.networks.feeders_on(node) {
            all += 1;
            dead += u32::from(is_dead(feeder));
        }
        dead > 1 && 2 * dead > all
    }

    /// Whether a node says itself when it fails.
    fn is_measured(&self, node: u32, meters: &Meters) -> bool {
        let sensor = self.networks.sensor(node);
        self.asks_for(node) && sensor.is_some_and(|sensor| meters.tells(sensor))
    }

    /// Whether the rule looks at what a node measures.
    fn asks_for(&self, node: u32) -> bool {
        let kind = self.networks.kind(node);
        kind.is_some_and(|kind| self.kinds.contains(kind))
    }

    /// What hangs on a feeder of this name directly, if the rule would hear from it when it fails.
    pub fn judged_by(&self, feeder: &SensorId) -> &[u32] {
        let node = self.node(feeder).filter(|_| self.along.fed_by);
        let node = node.filter(|node| self.asks_for(*node));
        node.map_or(&[], |node| self.networks.feeds(node))
    }

    /// Whether anything hangs on a node.
    pub fn feeds(&self, node: u32) -> bool {
        self.networks.is_feeder(node)
    }

    /// The cases with a member at a node.
    pub fn at(&self, node: u32) -> impl Iterator<Item = u32> {
        self.occupants(Spot::At(node)).map(|(slot, _)| slot)
    }

    /// What feeds a sensor directly.
    pub fn feeder_of(&self, sensor: &SensorId) -> Option<&NodeId> {
        let feeder = self.networks.feeders(self.node(sensor)?).next();
        feeder.map(|feeder| self.name(feeder))
    }

    /// How long the water of a gauge may take to the next one that the rule hears, if it goes there:
    /// to the next that is to be heard, where none can be yet.
    pub fn on_its_way(&self, sensor: &SensorId, meters: &Meters) -> Option<Millis> {
        let percent = self.along.flows_to_percent?;
        let node = self.node(sensor)?;
        let below = || self.networks.downstream(node);
        let heard = below().find(|(node, _)| self.is_measured(*node, meters));
        let (_, lag) = heard.or_else(|| below().find(|(node, _)| self.asks_for(*node)))?;
        Some(within(lag, percent))
    }

    /// Adds the cases from which water may have come to a node by now, or to which it may have gone.
    /// Told by the caller: when a sensor was first and last heard to be abnormal in a case.
    pub fn near_by_water(
        &self,
        node: u32,
        now: Timestamp,
        heard: impl Fn(u32, &SensorId) -> Option<(Timestamp, Timestamp)>,
        near: &mut Vec<Kin>,
    ) {
        let Some(percent) = self.along.flows_to_percent else {
            return;
        };
        for (slot, above) in self.occupants(Spot::Above(node)) {
            let Some(above) = above else { continue };
            let Some((steps, lag)) = self.way(above, node) else {
                continue;
            };
            let window = within(lag, percent);
            let sensor = self.networks.sensor(above);
            let in_time = sensor
                .and_then(|sensor| heard(slot, sensor))
                .is_some_and(|(_, last)| now - last <= window);
            if in_time {
                near.push(self.along(slot, steps, above));
            }
        }
        for (steps, (below, lag)) in (1..).zip(self.networks.downstream(node)) {
            let Some(sensor) = self.networks.sensor(below) else {
                continue;
            };
            for (slot, _) in self.occupants(Spot::At(below)) {
                let in_time = heard(slot, sensor).is_some_and(|(first, _)| now - first <= lag);
                if in_time {
                    near.push(self.along(slot, steps, below));
                }
            }
        }
    }

    /// How many places further down a node lies, and how long the water takes.
    fn way(&self, from: u32, to: u32) -> Option<(u32, Millis)> {
        let mut way = (1..).zip(self.networks.downstream(from));
        let found = way.find(|(_, (node, _))| *node == to);
        found.map(|(steps, (_, lag))| (steps, lag))
    }

    fn add_all(&self, spot: Spot, steps: u32, by: u32, near: &mut Vec<Kin>) {
        let Some(occupants) = self.spots.get(&spot) else {
            return;
        };
        // Of thousands it is known how many they are.
        near.reserve(occupants.len());
        let slots = occupants.keys().map(|(slot, _)| *slot);
        near.extend(slots.map(|slot| self.along(slot, steps, by)));
    }

    fn occupants(&self, spot: Spot) -> impl Iterator<Item = Occupant> {
        let occupants = self.spots.get(&spot).into_iter();
        occupants.flat_map(|occupants| occupants.keys().copied())
    }

    fn along(&self, slot: u32, steps: u32, by: u32) -> Kin {
        Kin {
            slot,
            how: How::Along(steps, by),
        }
    }

    /// How many members it holds. The order of the cases does not matter to a sum.
    pub fn members(&self) -> usize {
        self.anchors.values().map(|count| *count as usize).sum()
    }
}

/// A share of the time that the water takes.
fn within(lag: Millis, percent: u32) -> Millis {
    Millis(lag.0.saturating_mul(i64::from(percent)) / 100)
}

fn count_down(counts: &mut Map<u32, u32>, key: &u32) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
