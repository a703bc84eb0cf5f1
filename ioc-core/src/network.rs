//! The city's networks, prepared for look-ups: what feeds what, where water goes, who is next.
//!
//! Arrives: the nodes of a [`City`](crate::bundle::City). Leaves: the same by number, so that a way
//! along a network hashes nothing. Promise: a way ends after [`NETWORK_DEPTH_MAX`] steps, whatever
//! the city says. The numbers are of this city alone and show nowhere. Next: `rules.rs`.

use std::fmt::Write;

use crate::bundle::{City, Node};
use crate::hash::Map;
use crate::id::{NodeId, ReadingKind, SensorId};
use crate::limits::NETWORK_DEPTH_MAX;
use crate::place::Position;
use crate::time::Millis;

/// The nodes of all networks, by number.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    numbers: Map<NodeId, u32>,
    nodes: Vec<Linked>,
    /// Of all nodes.
    hash: [u8; 32],
}

/// A node with its links as numbers.
#[derive(Debug)]
struct Linked {
    id: NodeId,
    sensor: Option<(SensorId, ReadingKind)>,
    position: Option<Position>,
    feeder: Option<u32>,
    feeds: Vec<u32>,
    flow: Option<(u32, Millis)>,
    receives: bool,
    river: Option<u32>,
    stop: Option<(u32, i32)>,
}

impl Networks {
    pub fn new(city: &City) -> Self {
        let ids = city.nodes.iter().map(|node| node.id.clone());
        let mut networks = Self {
            numbers: ids.zip(0..).collect(),
            nodes: Vec::with_capacity(city.nodes.len()),
            hash: [0; 32],
        };
        let (mut rivers, mut lines) = (Names::default(), Names::default());
        for node in &city.nodes {
            let linked = networks.linked(node, city, &mut rivers, &mut lines);
            networks.nodes.push(linked);
        }
        for number in 0..networks.nodes.len() as u32 {
            let node = &networks.nodes[number as usize];
            let (feeder, flow) = (node.feeder, node.flow);
            if let Some(feeder) = feeder {
                networks.nodes[feeder as usize].feeds.push(number);
            }
            if let Some((to, _)) = flow {
                networks.nodes[to as usize].receives = true;
            }
        }
        networks.hash = networks.hash_of_nodes();
        networks
    }

    /// Equal for equal networks: no index of them needs to be made anew.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    fn hash_of_nodes(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut words = String::new();
        for node in &self.nodes {
            words.clear();
            write!(words, "{node:?}").expect("a string grows");
            hasher.update(words.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    fn linked<'a>(
        &self,
        node: &'a Node,
        city: &City,
        rivers: &mut Names<'a>,
        lines: &mut Names<'a>,
    ) -> Linked {
        let number = |id: &NodeId| self.numbers.get(id).copied();
        let of_this = |id: &SensorId| id.as_str().cmp(node.id.as_str());
        let sensor = city.sensors.binary_search_by(|sensor| of_this(&sensor.id));
        let sensor = sensor.ok().map(|place| &city.sensors[place]);
        let flow = node.flows_to.as_ref();
        let stop = node.stop.as_ref();
        Linked {
            id: node.id.clone(),
            sensor: sensor.map(|sensor| (sensor.id.clone(), sensor.kind.clone())),
            position: sensor.and_then(|sensor| sensor.position),
            feeder: node.fed_by.as_ref().and_then(number),
            feeds: Vec::new(),
            flow: flow.and_then(|flow| Some((number(&flow.to)?, flow.lag))),
            receives: false,
            river: node.river.as_deref().map(|river| rivers.number(river)),
            stop: stop.map(|stop| (lines.number(&stop.line), stop.order)),
        }
    }

    pub fn number(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    pub fn id(&self, node: u32) -> &NodeId {
        &self.nodes[node as usize].id
    }

    /// The sensor that the node is, if it is one.
    pub fn sensor(&self, node: u32) -> Option<&SensorId> {
        self.nodes[node as usize].sensor.as_ref().map(|(id, _)| id)
    }

    /// What the node measures, if it is a sensor.
    pub fn kind(&self, node: u32) -> Option<&ReadingKind> {
        let sensor = self.nodes[node as usize].sensor.as_ref();
        sensor.map(|(_, kind)| kind)
    }

    /// Where the sensor is registered to stand, if the node is one.
    pub fn position(&self, node: u32) -> Option<Position> {
        self.nodes[node as usize].position
    }

    /// Whether it is fed or feeds.
    pub fn is_powered(&self, node: u32) -> bool {
        let node = &self.nodes[node as usize];
        node.feeder.is_some() || !node.feeds.is_empty()
    }

    /// Whether anything hangs on it.
    pub fn is_feeder(&self, node: u32) -> bool {
        !self.nodes[node as usize].feeds.is_empty()
    }

    /// The feeders that hang on it directly.
    pub fn feeders_on(&self, node: u32) -> impl Iterator<Item = u32> {
        let feeds = self.nodes[node as usize].feeds.iter().copied();
        feeds.filter(|node| self.is_feeder(*node))
    }

    /// Whether others are judged by what a sensor of this name says or does not say: it feeds them, or
    /// their water comes to it.
    pub fn is_meter(&self, id: &str) -> bool {
        let node = self.number(id).map(|node| &self.nodes[node as usize]);
        node.is_some_and(|node| node.sensor.is_some() && (!node.feeds.is_empty() || node.receives))
    }

    /// What hangs on a node directly.
    pub fn feeds(&self, node: u32) -> &[u32] {
        &self.nodes[node as usize].feeds
    }

    /// Whether water comes or goes.
    pub fn is_watered(&self, node: u32) -> bool {
        let node = &self.nodes[node as usize];
        node.flow.is_some() || node.receives
    }

    /// What feeds it, the nearest first.
    pub fn feeders(&self, node: u32) -> impl Iterator<Item = u32> {
        let feeder = |node: u32| self.nodes[node as usize].feeder;
        std::iter::successors(feeder(node), move |&node| feeder(node)).take(NETWORK_DEPTH_MAX)
    }

    /// Where its water goes, the nearest first, and how long it takes from here.
    pub fn downstream(&self, node: u32) -> impl Iterator<Item = (u32, Millis)> {
        let flow = |node: u32| self.nodes[node as usize].flow;
        let further = move |&(node, lag): &(u32, Millis)| {
            let (to, more) = flow(node)?;
            Some((to, Millis(lag.0.saturating_add(more.0))))
        };
        std::iter::successors(flow(node), further).take(NETWORK_DEPTH_MAX)
    }

    pub fn river(&self, node: u32) -> Option<u32> {
        self.nodes[node as usize].river
    }

    /// Its line, and where on it.
    pub fn stop(&self, node: u32) -> Option<(u32, i32)> {
        self.nodes[node as usize].stop
    }
}

/// Numbers for names, in the order that they come.
#[derive(Default)]
struct Names<'a>(Map<&'a str, u32>);

impl<'a> Names<'a> {
    fn number(&mut self, name: &'a str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Flow;

    fn node(id: &str, fed_by: Option<&str>, flows_to: Option<(&str, i64)>) -> Node {
        Node {
            id: id.parse().unwrap(),
            fed_by: fed_by.map(|id| id.parse().unwrap()),
            flows_to: flows_to.map(|(to, minutes)| Flow {
                to: to.parse().unwrap(),
                lag: Millis::minutes(minutes),
            }),
            river: None,
            stop: None,
        }
    }

    fn networks(nodes: Vec<Node>) -> Networks {
        Networks::new(&City {
            nodes,
            ..City::default()
        })
    }

    #[test]
    fn ways_go_up_level_by_level_and_down_with_the_water() {
        let networks = networks(vec![
            node("a", Some("b"), Some(("b", 5))),
            node("b", Some("c"), Some(("c", 7))),
            node("c", None, None),
            node("d", None, None),
        ]);
        let names = |numbers: Vec<u32>| -> Vec<String> {
            let ids = numbers
                .into_iter()
                .map(|node| networks.id(node).to_string());
            ids.collect()
        };
        let a = networks.number("a").unwrap();
        assert_eq!(names(networks.feeders(a).collect()), ["b", "c"]);
        let lags: Vec<_> = networks.downstream(a).map(|(_, lag)| lag).collect();
        assert_eq!(lags, [Millis::minutes(5), Millis::minutes(12)]);
        let d = networks.number("d").unwrap();
        assert!(!networks.is_powered(d) && !networks.is_watered(d));
        assert_eq!(networks.number("e"), None);
    }

    #[test]
    fn p5_a_way_in_a_circle_ends() {
        let networks = networks(vec![
            node("a", Some("b"), Some(("b", 1))),
            node("b", Some("a"), Some(("a", 1))),
        ]);
        assert_eq!(networks.feeders(0).count(), NETWORK_DEPTH_MAX);
        assert_eq!(networks.downstream(0).count(), NETWORK_DEPTH_MAX);
    }
}
