//! The networks: what feeds what, where water goes, which stop on which line.
//!
//! Arrives: the properties `fed_by`, `flows_to` with `lag_s`, `river`, `line` with `order` of sensors
//! and assets. Leaves: [`Node`]s, one for each sensor or asset that lies in a network. Promise: every
//! link names a sensor or an asset, nothing feeds itself and no water flows in a circle; each
//! mistake is told where it is written. Next: `city/whole.rs`.

use std::collections::{BTreeMap, BTreeSet};

use ioc_core::bundle::{Flow, Node, Stop};
use ioc_core::id::NodeId;
use ioc_core::limits::NETWORK_DEPTH_MAX;
use ioc_core::time::Millis;

use super::Reader;
use super::geojson::Scalar;
use super::properties::Properties;
use crate::config::mistake::Place;
use crate::config::suggest::did_you_mean;

/// The longest that water takes from one place to the next: 30 days.
const LAG_MAX_S: f64 = 30.0 * 86_400.0;
/// The longest name of a river or a line, in bytes.
const NAME_MAX: usize = 128;
/// How far stops are counted, either way.
const ORDER_MAX: f64 = 1e6;

/// The sensors and assets that lie in a network, as written.
#[derive(Debug, Default)]
pub struct Written {
    nodes: BTreeMap<NodeId, (Node, Place)>,
    /// Where each asset is written.
    assets: BTreeMap<NodeId, Place>,
}

impl Reader<'_> {
    /// An asset: it has nothing but its id and its places in the networks.
    pub(super) fn asset(&mut self, id: &str, properties: &Properties<'_>) {
        let Some(id) = self.parsed::<NodeId>("id", id) else {
            return;
        };
        let here = self.place.clone();
        if let Some(first) = self.networks.assets.insert(id.clone(), here) {
            let what = format!("another asset of this id is at {first}; rename one");
            return self.wrong("id", what);
        }
        self.links(id, properties);
    }

    /// Reads the links of a sensor or an asset.
    pub(super) fn links(&mut self, id: NodeId, properties: &Properties<'_>) {
        let fed_by = self
            .text("fed_by", &properties.fed_by)
            .and_then(|feeder| self.parsed("fed_by", feeder));
        let river = self.label("river", &properties.river);
        let node = Node {
            fed_by,
            flows_to: self.flow(properties),
            river,
            stop: self.stop(properties),
            id: id.clone(),
        };
        let is_linked = node.fed_by.is_some()
            || node.flows_to.is_some()
            || node.river.is_some()
            || node.stop.is_some();
        if is_linked {
            let here = self.place.clone();
            self.networks.nodes.insert(id, (node, here));
        }
    }

    fn flow(&mut self, properties: &Properties<'_>) -> Option<Flow> {
        let to = self
            .text("flows_to", &properties.flows_to)
            .and_then(|to| self.parsed("flows_to", to));
        let lag = self.number("lag_s", &properties.lag_s);
        let is_written = |value: &Scalar<'_>| *value != Scalar::Nothing;
        match (
            is_written(&properties.flows_to),
            is_written(&properties.lag_s),
        ) {
            (true, false) => {
                let what = "is missing; write how long the water takes to `flows_to`, such as 600";
                self.wrong("lag_s", what);
            }
            (false, true) => {
                self.wrong("flows_to", "is missing; write the next place downstream");
            }
            (true, true) | (false, false) => {}
        }
        let (to, lag) = (to?, lag?);
        if !(1.0..=LAG_MAX_S).contains(&lag) {
            self.wrong(
                "lag_s",
                format!("{lag} is not from 1 to {LAG_MAX_S} seconds"),
            );
            return None;
        }
        let lag = Millis((lag * 1e3).round() as i64);
        Some(Flow { to, lag })
    }

    fn stop(&mut self, properties: &Properties<'_>) -> Option<Stop> {
        let line = self.label("line", &properties.line);
        let order = self.number("order", &properties.order);
        match (&properties.line, &properties.order) {
            (Scalar::Nothing, Scalar::Nothing) => {}
            (Scalar::Nothing, _) => self.wrong("line", "is missing; write the line's name"),
            (_, Scalar::Nothing) => {
                let what = "is missing; write where on the line it is: 1, 2, 3, …";
                self.wrong("order", what);
            }
            _ => {}
        }
        let (line, order) = (line?, order?);
        if order.fract() != 0.0 || order.abs() > ORDER_MAX {
            let what = format!("{order} is not a whole number from -{ORDER_MAX} to {ORDER_MAX}");
            self.wrong("order", what);
            return None;
        }
        let order = order as i32;
        Some(Stop { line, order })
    }

    fn label(&mut self, property: &str, value: &Scalar<'_>) -> Option<String> {
        let text = self.text(property, value)?;
        if text.is_empty() {
            return None;
        }
        if text.len() > NAME_MAX {
            self.wrong(property, format!("is longer than {NAME_MAX} bytes"));
            return None;
        }
        Some(text.to_owned())
    }

    /// The nodes, sorted, when every feature has been read: those with links, and what they name.
    pub(super) fn nodes(&mut self) -> Vec<Node> {
        let Written { mut nodes, assets } = std::mem::take(&mut self.networks);
        for (id, place) in &assets {
            if self.sensor_names.contains(id.as_str()) {
                let what = format!("a sensor has the id `{id}` too; rename one");
                self.mistakes.add(place, &format!("asset {id}"), what);
            }
        }
        let mut named = BTreeSet::new();
        for (node, place) in nodes.values() {
            let to = node.flows_to.as_ref().map(|flow| &flow.to);
            let links = [("fed_by", node.fed_by.as_ref()), ("flows_to", to)];
            for (property, target) in links {
                let Some(target) = target else { continue };
                if assets.contains_key(target) || self.sensor_names.contains(target.as_str()) {
                    named.insert(target.clone());
                    continue;
                }
                let known = assets.keys().map(NodeId::as_str);
                let sensors = self.sensor_names.iter().map(|id| id.as_str());
                let hint = did_you_mean(target.as_str(), known.chain(sensors));
                let what = format!("no sensor or asset has the id `{target}`{hint}");
                let key = format!("{} {property}", node.id);
                self.mistakes.add(place, &key, what);
            }
        }
        self.check_circles(&nodes);
        for id in named {
            nodes.entry(id.clone()).or_insert_with(|| {
                let node = Node {
                    id,
                    fed_by: None,
                    flows_to: None,
                    river: None,
                    stop: None,
                };
                (node, Place::whole(&self.place.file))
            });
        }
        nodes.into_values().map(|(node, _)| node).collect()
    }

    fn check_circles(&mut self, nodes: &BTreeMap<NodeId, (Node, Place)>) {
        let feeder = |node: &Node| node.fed_by.clone();
        let to = |node: &Node| node.flows_to.as_ref().map(|flow| flow.to.clone());
        let circle = self.circle(nodes, "fed_by", "feeds itself", feeder);
        if !circle {
            self.check_depth(nodes);
        }
        self.circle(nodes, "flows_to", "flows back to where it came from", to);
    }

    /// Tells of each circle once, at its first node. Returns whether there is one.
    fn circle(
        &mut self,
        nodes: &BTreeMap<NodeId, (Node, Place)>,
        property: &str,
        what: &str,
        next: impl Fn(&Node) -> Option<NodeId>,
    ) -> bool {
        let mut found = false;
        // The walk on which each node was met.
        let mut met: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (walk, start) in nodes.keys().enumerate() {
            let mut way = Vec::new();
            let mut at = Some(start.clone());
            while let Some(id) = at {
                match met.get(&id) {
                    Some(other) if *other == walk => {
                        let from = way.iter().position(|own| *own == id).unwrap_or(0);
                        let names: Vec<_> = way[from..].iter().map(NodeId::as_str).collect();
                        let names = format!("{} → {id}", names.join(" → "));
                        let text = format!("{what}: {names}; remove one of these");
                        let (_, place) = &nodes[&id];
                        self.mistakes.add(place, &format!("{id} {property}"), text);
                        found = true;
                        break;
                    }
                    Some(_) => break,
                    None => {}
                }
                met.insert(id.clone(), walk);
                at = nodes.get(&id).and_then(|(node, _)| next(node));
                way.push(id);
            }
        }
        found
    }

    fn check_depth(&mut self, nodes: &BTreeMap<NodeId, (Node, Place)>) {
        let feeder = |id: &NodeId| nodes.get(id).and_then(|(node, _)| node.fed_by.clone());
        for (id, (_, place)) in nodes {
            let levels = std::iter::successors(feeder(id), feeder);
            if levels.take(NETWORK_DEPTH_MAX + 1).count() > NETWORK_DEPTH_MAX {
                let what = format!("is more than {NETWORK_DEPTH_MAX} levels below what feeds all");
                self.mistakes.add(place, &format!("{id} fed_by"), what);
            }
        }
    }
}
