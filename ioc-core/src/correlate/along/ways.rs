//! The ways that causes take: down from a feeder, down with the water, along a line or a river.
//!
//! Arrives: a node of what may have a cause, or of what may be one. Leaves: the cases at the other
//! end of the way, how near they are, and how long the water takes. Promise: the cost is that of the
//! way and of the cases on it, never of how many there are. Who is a cause in place and time is
//! decided by who asks. Next: `../reach.rs`.

use super::{NetworkIndex, Spot};
use crate::bundle::Along;
use crate::decision::{Far, Network, Way};
use crate::id::SensorId;
use crate::limits::REACH_MEMBERS_MAX;
use crate::time::Millis;

/// How near a cause is to its effect: what is linked to it along a network is nearer than what
/// stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// So many steps along a network.
    Steps(u32),
    Metres(u32),
}

/// A case at the other end of a way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached {
    pub slot: u32,
    pub nearness: Nearness,
    /// How long the water takes from one end to the other.
    pub lag: Millis,
}

/// How something has come from a node of a case: the shortest way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leg {
    pub nearness: Nearness,
    /// How long the water takes.
    pub lag: Millis,
    pub along: Network,
    pub from: u32,
}

impl NetworkIndex {
    /// The members in the networks along which causes and effects are looked for, if they are.
    pub fn reach(&self) -> Option<&Self> {
        self.reach.as_deref()
    }

    /// Nodes that cases came to have in this moment, each with its case.
    pub fn take_grown(&mut self) -> Vec<(u32, u32)> {
        std::mem::take(&mut self.grown)
    }

    /// Whether all growth of this moment was taken.
    pub fn has_taken_growth(&self) -> bool {
        self.grown.is_empty()
    }

    /// How many members it holds in the networks along which causes and effects are looked for.
    pub fn reach_members(&self) -> usize {
        self.reach().map_or(0, Self::members)
    }

    /// How many members of a case it holds.
    pub fn members_of(&self, slot: u32) -> usize {
        self.anchors.get(&slot).map_or(0, |count| *count as usize)
    }

    /// The sensor at a node.
    pub fn sensor(&self, node: u32) -> Option<&SensorId> {
        self.networks.sensor(node)
    }

    /// Whether a sensor lies in one of those.
    pub fn is_in_reach(&self, sensor: &SensorId) -> bool {
        self.reach()
            .is_some_and(|reach| reach.node(sensor).is_some())
    }

    /// Those of these nodes that lie in one of these networks.
    pub fn lying_in<T: Copy>(&self, along: &Along, nodes: &[(u32, T)]) -> Vec<(u32, T)> {
        let nodes = nodes.iter().copied();
        nodes
            .filter(|(node, _)| self.lies_in(along, *node))
            .collect()
    }

    /// The cases from which something comes along these networks to a node: a case may be found by
    /// several ways.
    pub fn sources_of(&self, along: &Along, node: u32) -> Vec<Reached> {
        let mut found = self.at_both_ends(along, node);
        if along.fed_by {
            for (steps, feeder) in (1..).zip(self.networks.feeders(node)) {
                self.reach_all(Spot::At(feeder), steps, Millis::ZERO, &mut found);
            }
        }
        if along.flows_to_percent.is_some() {
            for (slot, above) in self.occupants(Spot::Above(node)) {
                let way = above.and_then(|above| self.way(above, node));
                found.extend(way.map(|(steps, lag)| Reached {
                    slot,
                    nearness: Nearness::Steps(steps),
                    lag,
                }));
            }
        }
        found
    }

    /// The cases to which something comes along these networks from a node.
    pub fn fed_from(&self, along: &Along, node: u32) -> Vec<Reached> {
        let mut found = self.at_both_ends(along, node);
        if along.fed_by {
            self.reach_all(Spot::Below(node), 1, Millis::ZERO, &mut found);
        }
        if along.flows_to_percent.is_some() {
            for (steps, (below, lag)) in (1..).zip(self.networks.downstream(node)) {
                self.reach_all(Spot::At(below), steps, lag, &mut found);
            }
        }
        found
    }

    /// The ways along these networks from one case to a node. Of nodes upstream or on its river so many
    /// are looked at.
    pub fn legs_from(&self, slot: u32, along: &Along, node: u32) -> Vec<Leg> {
        let leg = |along, from, nearness, lag| Leg {
            nearness,
            lag,
            along,
            from,
        };
        let steps = |along, from, steps| leg(along, from, Nearness::Steps(steps), Millis::ZERO);
        let mut legs = Vec::new();
        if self.own(Spot::At(node), slot).next().is_some() {
            let along = self.first_of(along, node);
            legs.extend(along.map(|along| steps(along, node, 0)));
        }
        if along.fed_by {
            let mut feeders = (1..).zip(self.networks.feeders(node));
            let nearest =
                feeders.find(|(_, feeder)| self.own(Spot::At(*feeder), slot).next().is_some());
            legs.extend(nearest.map(|(away, feeder)| steps(Network::FedBy, feeder, away)));
        }
        if along.flows_to_percent.is_some() {
            let above = self.own(Spot::Above(node), slot).flatten();
            legs.extend(above.take(REACH_MEMBERS_MAX).filter_map(|above| {
                let (away, lag) = self.way(above, node)?;
                Some(leg(Network::FlowsTo, above, Nearness::Steps(away), lag))
            }));
        }
        if let (Some(stops), Some((line, order))) = (along.line_stops, self.on_line(node)) {
            let stops = i32::try_from(stops).unwrap_or(i32::MAX);
            for stop in order.saturating_sub(stops)..=order.saturating_add(stops) {
                let other = self.own(Spot::Stop(line, stop), slot).flatten().next();
                legs.extend(other.map(|other| steps(Network::Line, other, order.abs_diff(stop))));
            }
        }
        if let (Some(within_m), Some((river, _, place))) = (along.river_m, self.on_river(node)) {
            let others = self.own(Spot::River(river), slot).flatten();
            legs.extend(others.take(REACH_MEMBERS_MAX).filter_map(|other| {
                let metres = self.networks.position(other)?.distance_m(place);
                let far = Nearness::Metres(metres);
                (metres <= within_m).then(|| leg(Network::River, other, far, Millis::ZERO))
            }));
        }
        legs
    }

    /// A way as people are told of it.
    pub fn told(&self, leg: Leg, to: u32) -> Way {
        Way {
            along: leg.along,
            from: self.name(leg.from).clone(),
            to: self.name(to).clone(),
            far: match leg.nearness {
                Nearness::Steps(steps) => Far::Steps(steps),
                Nearness::Metres(metres) => Far::Metres(metres),
            },
            lag: leg.lag,
        }
    }

    /// The way to a sensor from the highest of those that feed it which are meant.
    pub fn way_from_highest(
        &self,
        sensor: &SensorId,
        is_meant: impl Fn(&SensorId) -> bool,
    ) -> Option<Way> {
        let to = self.node(sensor)?;
        let feeders = (1..).zip(self.networks.feeders(to));
        let highest = feeders.filter(|(_, feeder)| self.sensor(*feeder).is_some_and(&is_meant));
        let (away, from) = highest.last()?;
        let leg = Leg {
            nearness: Nearness::Steps(away),
            lag: Millis::ZERO,
            along: Network::FedBy,
            from,
        };
        Some(self.told(leg, to))
    }

    /// The first of these networks in which a node lies.
    fn first_of(&self, along: &Along, node: u32) -> Option<Network> {
        let networks = &self.networks;
        let lies = [
            (Network::FedBy, along.fed_by && networks.is_powered(node)),
            (
                Network::FlowsTo,
                along.flows_to_percent.is_some() && networks.is_watered(node),
            ),
            (
                Network::River,
                along.river_m.is_some() && networks.river(node).is_some(),
            ),
            (
                Network::Line,
                along.line_stops.is_some() && networks.stop(node).is_some(),
            ),
        ];
        let first = lies.into_iter().find(|(_, lies)| *lies);
        first.map(|(network, _)| network)
    }

    /// What one case has at a spot, in the order of the names of the nodes.
    fn own(&self, spot: Spot, slot: u32) -> impl Iterator<Item = Option<u32>> {
        let occupants = self.spots.get(&spot).into_iter();
        let of_case = (slot, None)..=(slot, Some(u32::MAX));
        let own = occupants.flat_map(move |occupants| occupants.range(of_case.clone()));
        own.map(|((_, node), _)| *node)
    }

    /// The cases at the node itself, and those that ways lead to in both directions.
    fn at_both_ends(&self, along: &Along, node: u32) -> Vec<Reached> {
        let mut found = Vec::new();
        if self.lies_in(along, node) {
            self.reach_all(Spot::At(node), 0, Millis::ZERO, &mut found);
        }
        if let (Some(stops), Some((line, order))) = (along.line_stops, self.on_line(node)) {
            let stops = i32::try_from(stops).unwrap_or(i32::MAX);
            for stop in order.saturating_sub(stops)..=order.saturating_add(stops) {
                let away = order.abs_diff(stop);
                self.reach_all(Spot::Stop(line, stop), away, Millis::ZERO, &mut found);
            }
        }
        if let (Some(within_m), Some((river, _, place))) = (along.river_m, self.on_river(node)) {
            let cells = self.rivers.get(&river).into_iter();
            let near = cells.flat_map(|cells| cells.near(place));
            let near = near.filter(|near| near.distance_m <= within_m);
            found.extend(near.map(|near| Reached {
                slot: near.slot,
                nearness: Nearness::Metres(near.distance_m),
                lag: Millis::ZERO,
            }));
        }
        found
    }

    fn reach_all(&self, spot: Spot, steps: u32, lag: Millis, found: &mut Vec<Reached>) {
        let occupants = self.occupants(spot);
        found.extend(occupants.map(|(slot, _)| Reached {
            slot,
            nearness: Nearness::Steps(steps),
            lag,
        }));
    }
}
