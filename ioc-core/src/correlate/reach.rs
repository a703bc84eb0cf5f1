//! Causes along networks: what feeds, floods or blocks what an incident is about.
//!
//! Arrives: what an incident began with, and nodes that causes come to have. Leaves: for the engine,
//! the incidents of this rule that may have caused it, and what those may have caused before they
//! were known. Promise: an incident comes along a network with all of its members that lie in one,
//! or not at all, for a part that has another cause makes it an incident of its own; what lies in
//! no network is judged by metres alone (`family.rs`). Next: `along/ways.rs`.

use std::collections::BTreeMap;

use super::Correlator;
use super::along::Nearness;
use super::family::{Origin, Relative, Span};
use crate::bundle::{Along, Effect};
use crate::id::IncidentId;
use crate::limits::REACH_MEMBERS_MAX;
use crate::time::{Millis, Timestamp};

impl Span {
    /// Whether what was first noticed then may be this effect, if the water takes so long.
    fn has_after(self, effect: &Effect, heard_at: Timestamp, way: Millis) -> bool {
        let percent = effect.along.flows_to_percent.unwrap_or(100);
        let share = |percent: u32| Millis(way.0.saturating_mul(i64::from(percent)) / 100);
        let soonest = self.begun_at + share(200_u32.saturating_sub(percent).min(100));
        let latest = effect.lag.end(self.opened_at, self.last_evidence_at) + share(percent);
        heard_at + effect.before >= soonest && heard_at <= latest
    }
}

impl Correlator {
    /// The members of a case that lie in the networks along which its rule's incidents cause or are
    /// caused, as many as are looked at, each with when it was first heard.
    pub(super) fn nodes(&self, slot: u32) -> Vec<(u32, Timestamp)> {
        let Some(reach) = self.network.reach() else {
            return Vec::new();
        };
        let members = self.case(slot).cluster.members().take(REACH_MEMBERS_MAX);
        let node = members.filter_map(|(source, member)| {
            let (first, _) = member.heard();
            Some((reach.node(&source.sensor)?, first))
        });
        node.collect()
    }

    /// The same, of those of an incident.
    pub fn nodes_of(&self, id: IncidentId) -> Vec<u32> {
        let nodes = self.nodes(self.slots[&id]);
        nodes.into_iter().map(|(node, _)| node).collect()
    }

    /// The incidents that came to have members in this moment, each with their nodes.
    pub fn grown(&mut self) -> BTreeMap<IncidentId, Vec<u32>> {
        let mut grown: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (slot, node) in self.network.take_grown() {
            let incident = self.cases[slot as usize]
                .as_ref()
                .map(|case| &case.incident);
            if let Some(incident) = incident.filter(|incident| incident.opened_at.is_some()) {
                grown.entry(incident.id).or_default().push(node);
            }
        }
        grown
    }

    /// Whether something of what an incident began with lies in these networks.
    pub(super) fn lies_along(&self, along: &Along, nodes: &[(u32, Timestamp)]) -> bool {
        let reach = self.network.reach();
        reach.is_some_and(|reach| !reach.lying_in(along, nodes).is_empty())
    }

    /// The incidents of this rule from which all that lies in its networks may have come.
    pub(super) fn causes_along(&self, effect: &Effect, origin: &Origin) -> Vec<Relative> {
        let Some(reach) = self.network.reach() else {
            return Vec::new();
        };
        let mut nodes = reach.lying_in(&effect.along, &origin.nodes).into_iter();
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
            let incident = &self.case(slot).incident;
            Some((nearness, incident.opened_at?, incident.id))
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
            let in_time = match source.lag {
                Millis::ZERO => span.has(effect, begun_at),
                way => span.has_after(effect, heard_at, way),
            };
            if in_time {
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

    /// The incidents of this rule without a parent to which something may have come along networks
    /// from one of these nodes; [`has_caused`](Self::has_caused) knows.
    pub fn effects_along<'a>(
        &'a self,
        effect: &'a Effect,
        nodes: &'a [u32],
        span: Span,
    ) -> impl Iterator<Item = Relative> + 'a {
        let reach = self.network.reach().into_iter();
        let all = reach.flat_map(move |reach| nodes.iter().map(move |node| (reach, *node)));
        let reached = all.flat_map(|(reach, node)| reach.fed_from(&effect.along, node));
        reached.filter_map(move |reached| {
            let incident = &self.cases[reached.slot as usize].as_ref()?.incident;
            let in_time = reached.lag != Millis::ZERO || span.has(effect, incident.begun_at);
            let opened_at = incident.opened_at?;
            (in_time && incident.is_free()).then_some((reached.nearness, opened_at, incident.id))
        })
    }
}
