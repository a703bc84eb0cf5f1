//! Causes along networks: what feeds, floods or blocks what an incident is about.
//!
//! Arrives: what an incident began with, and nodes that causes and effects come to have. Leaves: for
//! the engine, the incidents of this rule that may have caused it, and what those may have caused
//! before they were known. Promise: an incident comes along a network with all of its members that lie
//! in one, or not at all, for a part that has another cause makes it an incident of its own, and so
//! does a part at which nobody looks, because there are so many; what lies in no network is judged by
//! metres alone (`family.rs`). Next: `along/ways.rs`.

use std::collections::BTreeMap;

use super::Correlator;
use super::along::Nearness;
use super::family::{Origin, Relative, Span};
use crate::bundle::{Along, Effect};
use crate::decision::Way;
use crate::id::IncidentId;
use crate::incident::Source;
use crate::limits::{REACH_MEMBERS_MAX, WAYS_COMPARED_MAX};
use crate::time::{Millis, Timestamp};

/// The members of an incident that lie in networks along which it may cause or be caused.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nodes {
    /// Those that are looked at, each with when it was first heard.
    seen: Vec<(u32, Timestamp)>,
    /// There are more.
    cut: bool,
}

impl Span {
    /// Whether what was first noticed then may be this effect, if the water takes so long.
    fn has_after(self, effect: &Effect, heard_at: Timestamp, way: Millis) -> bool {
        let percent = effect.along.flows_to_percent.unwrap_or(100);
        let share = |percent: u32| Millis(way.0.saturating_mul(i64::from(percent)) / 100);
        let soonest = self.begun_at + share(200_u32.saturating_sub(percent).min(100));
        let latest = effect.lag.end(self.opened_at, self.last_evidence_at) + share(percent);
        heard_at + effect.before >= soonest && heard_at <= latest
    }

    /// Whether what began then, and was first heard at one of its nodes then, may be this effect, if
    /// the way there takes so long.
    fn has_come(
        self,
        effect: &Effect,
        (heard_at, begun_at): (Timestamp, Timestamp),
        way: Millis,
    ) -> bool {
        match way {
            Millis::ZERO => self.has(effect, begun_at),
            way => self.has_after(effect, heard_at, way),
        }
    }
}

impl Correlator {
    /// The members of a case that lie in the networks along which its rule's incidents cause or are
    /// caused.
    pub(super) fn nodes(&self, slot: u32) -> Nodes {
        let Some(reach) = self.network.reach() else {
            return Nodes::default();
        };
        let members = self.case(slot).cluster.members().take(REACH_MEMBERS_MAX);
        let node = members.filter_map(|(source, member)| {
            let (first, _) = member.heard();
            Some((reach.node(&source.sensor)?, first))
        });
        let seen: Vec<_> = node.collect();
        let cut = seen.len() < reach.members_of(slot);
        Nodes { seen, cut }
    }

    /// The same, of these alone.
    pub(super) fn nodes_of_some(&self, slot: u32, sources: &[Source]) -> Nodes {
        let Some(reach) = self.network.reach() else {
            return Nodes::default();
        };
        let cluster = &self.case(slot).cluster;
        let node = |source: &Source| {
            let (first, _) = cluster.member(source)?.heard();
            Some((reach.node(&source.sensor)?, first))
        };
        Nodes {
            seen: sources.iter().filter_map(node).collect(),
            cut: false,
        }
    }

    /// The same, of those of an incident.
    pub fn nodes_of(&self, id: IncidentId) -> Nodes {
        self.nodes(self.slots[&id])
    }

    /// The incidents that came to have members in this moment, each with their nodes.
    pub fn grown(&mut self) -> BTreeMap<IncidentId, Nodes> {
        let mut grown: BTreeMap<_, Nodes> = BTreeMap::new();
        for (slot, node) in self.network.take_grown() {
            let case = self.cases.get(slot);
            let Some(case) = case.filter(|case| case.incident.opened_at.is_some()) else {
                continue;
            };
            let nodes = grown.entry(case.incident.id).or_default();
            if nodes.seen.len() == REACH_MEMBERS_MAX {
                nodes.cut = true;
                continue;
            }
            let sensor = self.network.sensor(node);
            let heard = sensor.and_then(|sensor| case.cluster.heard(sensor));
            let first = heard.map_or(case.cluster.last_evidence_at, |(first, _)| first);
            nodes.seen.push((node, first));
        }
        grown
    }

    /// Whether something of what an incident began with lies in these networks, or may.
    pub(super) fn lies_along(&self, along: &Along, nodes: &Nodes) -> bool {
        let reach = self.network.reach().filter(|_| *along != Along::default());
        reach.is_some_and(|reach| nodes.cut || !reach.lying_in(along, &nodes.seen).is_empty())
    }

    /// The incidents of this rule from which all that lies in its networks may have come.
    pub(super) fn causes_along(&self, effect: &Effect, origin: &Origin) -> Vec<Relative> {
        let reach = self.network.reach().filter(|_| !origin.nodes.cut);
        let Some(reach) = reach else {
            return Vec::new();
        };
        let mut nodes = reach
            .lying_in(&effect.along, &origin.nodes.seen)
            .into_iter();
        let Some(first) = nodes.next() else {
            return Vec::new();
        };
        let mut causes = self.causes_of_node(effect, first, origin.begun_at);
        for node in nodes {
            if causes.is_empty() {
                break;
            }
            let of_this = self.causes_of_node(effect, node, origin.begun_at);
            causes.retain(|slot, nearest| {
                let near = of_this.get(slot);
                near.is_some_and(|near| {
                    *nearest = (*nearest).min(*near);
                    true
                })
            });
        }
        let relative = |(slot, nearness)| {
            let case = self.brief(slot);
            Some((nearness, case.opened_at?, case.id))
        };
        causes.into_iter().filter_map(relative).collect()
    }

    /// The cases from which something may have come to a node that was first heard then, each by its
    /// shortest way.
    fn causes_of_node(
        &self,
        effect: &Effect,
        (node, heard_at): (u32, Timestamp),
        begun_at: Timestamp,
    ) -> BTreeMap<u32, Nearness> {
        let mut causes = BTreeMap::new();
        let reach = self.network.reach();
        let sources = reach.map(|reach| reach.sources_of(&effect.along, node));
        for source in sources.into_iter().flatten() {
            if !self.is_live(source.slot) {
                continue;
            }
            let span = self.span_of(source.slot);
            if span.has_come(effect, (heard_at, begun_at), source.lag) {
                let nearest = causes.entry(source.slot).or_insert(source.nearness);
                *nearest = (*nearest).min(source.nearness);
            }
        }
        causes
    }

    /// Whether an incident of this rule has caused another that was found where it reaches. What lies
    /// in networks must have come from it with all of its members.
    pub fn has_caused(&self, id: IncidentId, origin: &Origin) -> bool {
        let mut effects = self.rule.may_cause.iter();
        let effect = effects.find(|effect| effect.incident == origin.kind);
        effect.is_none_or(|effect| {
            let mut causes = self.causes_along(effect, origin).into_iter();
            !self.lies_along(&effect.along, &origin.nodes) || causes.any(|(.., cause)| cause == id)
        })
    }

    /// The way along a network by which something that began so has come from an incident of this rule:
    /// the shortest to one of the first of its nodes.
    pub fn way_to(&self, origin: &Origin, id: IncidentId) -> Option<Box<Way>> {
        let mut effects = self.rule.may_cause.iter();
        let effect = effects.find(|effect| effect.incident == origin.kind)?;
        let reach = self.network.reach()?;
        let (slot, span) = (*self.slots.get(&id)?, self.span(id));
        let nodes = reach.lying_in(&effect.along, &origin.nodes.seen);
        let nodes = nodes.into_iter().take(WAYS_COMPARED_MAX);
        let legs = nodes.flat_map(|(node, heard_at)| {
            let times = (heard_at, origin.begun_at);
            let legs = reach.legs_from(slot, &effect.along, node).into_iter();
            let in_time = legs.filter(move |leg| span.has_come(effect, times, leg.lag));
            in_time.map(move |leg| (leg, node))
        });
        let (leg, to) = legs.min()?;
        Some(Box::new(reach.told(leg, to)))
    }

    /// The incidents of this rule without a parent to which something may have come along networks
    /// from one of these nodes, each once, by its shortest way; [`has_caused`](Self::has_caused) knows.
    pub fn effects_along(&self, effect: &Effect, nodes: &Nodes, span: Span) -> Vec<Relative> {
        let mut effects = Vec::new();
        let Some(reach) = self.network.reach() else {
            return Vec::new();
        };
        for (node, _) in &nodes.seen {
            for reached in reach.fed_from(&effect.along, *node) {
                let in_time = || {
                    let case = self.cases.brief(reached.slot);
                    case.is_some_and(|case| span.has(effect, case.begun_at))
                };
                if reached.lag != Millis::ZERO || in_time() {
                    effects.push((reached.slot, reached.nearness));
                }
            }
        }
        effects.sort_unstable();
        effects.dedup_by_key(|(slot, _)| *slot);
        let relative = |(slot, nearness): (u32, Nearness)| {
            let case = self.cases.brief(slot)?;
            let opened_at = case.opened_at.filter(|_| case.is_free)?;
            Some((nearness, opened_at, case.id))
        };
        effects.into_iter().filter_map(relative).collect()
    }
}
