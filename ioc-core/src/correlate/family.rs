//! Who caused whom, as the correlation rules see it: parents, children, and what passes between.
//!
//! Arrives: incidents that open, rise, merge and end. Leaves: for the engine, which looks across
//! rules (`engine/family.rs`), what is near enough in place and time to be a cause or an effect.
//! Promise: who has children is known without a look at every incident; derived from the
//! incidents, part of no digest.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;

use super::along::Nearness;
use super::reach::Nodes;
use super::symptom::Explained;
use super::{Correlator, Turn};
use crate::bundle::{Along, Effect};
use crate::decision::{IncidentState, Severity, Verdict, Way};
use crate::id::{IncidentId, IncidentKind};
use crate::incident::{Case, Incident, Purpose, Source};
use crate::limits::EFFECTS_LOOKED_AT;
use crate::place::Position;
use crate::time::Timestamp;

/// All parents and children that live, and what waits within a moment to be passed on.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// Each parent, as its child names it, with the child.
    children: BTreeSet<(IncidentId, IncidentId)>,
    /// Parents that have merged away and still have children that name them.
    gone: BTreeSet<IncidentId>,
    /// Children as grave as this, each with its parent: empty between two moments.
    risen: VecDeque<(IncidentId, Severity)>,
    /// Survivors of mergers in this moment that have a parent.
    merged: VecDeque<Survivor>,
    /// What has become one in this moment and may have come from different causes.
    parts: Vec<Joined>,
    /// Which of them explain their children, and whose are to be judged again.
    pub explained: Explained,
}

/// What has merged and has a parent.
#[derive(Debug)]
pub(crate) struct Survivor {
    pub id: IncidentId,
    /// The parent that people were told of.
    pub before: Option<IncidentId>,
    /// Not all of it is known to have come from its parent.
    pub in_part: bool,
}

/// One of those that have become one in this moment, as it was before.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Under which name it is found now.
    pub id: IncidentId,
    pub parent: Option<IncidentId>,
    /// A person said what caused it, or that nothing is known to have.
    pub by_person: bool,
    /// Nobody was called for it, by design.
    pub suppressed: bool,
    pub origin: Origin,
}

/// What an incident began with, as far as causes are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub kind: IncidentKind,
    pub begun_at: Timestamp,
    pub middle: Option<Position>,
    /// Its members in networks along which it may have a cause.
    pub nodes: Nodes,
}

/// The times of a cause by which it is told what may have come of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(super) begun_at: Timestamp,
    pub(super) opened_at: Timestamp,
    pub(super) last_evidence_at: Timestamp,
}

impl Span {
    /// Whether what began then may be this effect of it.
    pub(super) fn has(self, effect: &Effect, begun_at: Timestamp) -> bool {
        begun_at + effect.before >= self.begun_at
            && begun_at <= effect.lag.end(self.opened_at, self.last_evidence_at)
    }
}

/// A possible cause or effect: the nearest first, of these the earliest, then the least id.
pub(crate) type Relative = (Nearness, Timestamp, IncidentId);

/// No relative is nearer.
pub(crate) const NEAREST: Relative = (Nearness::Steps(0), Timestamp::MIN, IncidentId::MIN);

/// Leaves the nearest, in order, as many as are looked at together. Returns the last of them if there
/// were more.
fn keep_nearest(found: &mut Vec<Relative>) -> Option<Relative> {
    let is_more = found.len() > EFFECTS_LOOKED_AT;
    if is_more {
        found.select_nth_unstable(EFFECTS_LOOKED_AT);
        found.truncate(EFFECTS_LOOKED_AT);
    }
    found.sort_unstable();
    found.last().copied().filter(|_| is_more)
}

impl Joined {
    /// An incident as it is.
    pub fn of(incident: &Incident, origin: Origin) -> Self {
        Self {
            id: incident.id,
            parent: incident.parent,
            by_person: incident.parent_by_person,
            suppressed: incident.suppressed,
            origin,
        }
    }
}

impl Family {
    pub fn add(&mut self, parent: IncidentId, child: IncidentId) {
        self.children.insert((parent, child));
    }

    pub fn remove(&mut self, parent: IncidentId, child: IncidentId) {
        self.children.remove(&(parent, child));
        if !self.has_children(parent) {
            self.gone.remove(&parent);
        }
    }

    pub fn has(&self, parent: IncidentId, child: IncidentId) -> bool {
        self.children.contains(&(parent, child))
    }

    /// The children that name this parent, in the order of their ids.
    pub fn children(&self, parent: IncidentId) -> impl Iterator<Item = IncidentId> {
        self.children_after(parent, None)
    }

    /// The same, from the one after `last` on.
    pub fn children_after(
        &self,
        parent: IncidentId,
        last: Option<IncidentId>,
    ) -> impl Iterator<Item = IncidentId> {
        let from = match last {
            Some(last) => Bound::Excluded((parent, last)),
            None => Bound::Included((parent, IncidentId::MIN)),
        };
        let own = self.children.range((from, Bound::Unbounded));
        own.take_while(move |(own, _)| *own == parent)
            .map(|(_, child)| *child)
    }

    pub fn has_children(&self, parent: IncidentId) -> bool {
        self.children(parent).next().is_some()
    }

    /// How many have a parent.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// A child is as grave as this.
    pub fn risen(&mut self, parent: IncidentId, severity: Severity) {
        self.risen.push_back((parent, severity));
    }

    pub fn next_risen(&mut self) -> Option<(IncidentId, Severity)> {
        self.risen.pop_front()
    }

    pub fn next_merged(&mut self) -> Option<Survivor> {
        self.merged.pop_front()
    }

    /// What has become one in this moment, in the order in which it did, each once.
    pub fn take_parts(&mut self) -> Vec<Joined> {
        std::mem::take(&mut self.parts)
    }

    /// Something has become part of an incident, by a person's word.
    pub fn has_taken_in(&mut self, parts: [Joined; 2]) {
        self.parts.extend(parts);
    }

    /// Whether what becomes one has not, or may not have, the same cause.
    fn may_differ(&self, both: [(IncidentId, Option<IncidentId>); 2]) -> bool {
        let [(_, one), (_, other)] = both;
        let is_known = |id| self.parts.iter().any(|part| part.id == id);
        one != other || both.into_iter().any(|(id, _)| is_known(id))
    }

    /// Parents that have merged away and still have children.
    pub fn gone(&self) -> impl Iterator<Item = IncidentId> {
        self.gone.iter().copied()
    }

    /// A parent has merged away: its children will follow.
    pub fn set_gone(&mut self, parent: IncidentId) {
        if self.has_children(parent) {
            self.gone.insert(parent);
        }
    }

    /// Two incidents are one from here on. `parents`: the survivor's and the other's before.
    pub fn after_merging(
        &mut self,
        survivor: IncidentId,
        other: IncidentId,
        parents: [Option<IncidentId>; 2],
        parent: Option<IncidentId>,
    ) {
        // A parent that has merged away keeps this child, if it had one of the two.
        let gone = parent.filter(|parent| self.gone.contains(parent));
        for (before, child) in parents.into_iter().zip([survivor, other]) {
            if let Some(before) = before {
                self.remove(before, child);
            }
        }
        self.gone.extend(gone);
        if let Some(parent) = parent {
            self.add(parent, survivor);
            self.merged.push_back(Survivor {
                id: survivor,
                before: parents[0],
                in_part: parents[0] != parents[1],
            });
        }
        self.set_gone(other);
    }

    /// An incident with this parent has taken in more than it was itself, of which nobody was told.
    pub fn after_taking_in(&mut self, id: IncidentId, parent: IncidentId) {
        self.merged.push_back(Survivor {
            id,
            before: Some(parent),
            in_part: true,
        });
    }
}

impl Correlator {
    /// Two incidents are about to become one: if they may have come from different causes, what has
    /// caused all of that is looked for when all of this moment have become one.
    pub(super) fn note_parts(&self, slots: [u32; 2], turn: &mut Turn<'_>) {
        let incidents = slots.map(|slot| &self.case(slot).incident);
        let both = incidents.map(|incident| (incident.id, incident.parent));
        let family = &mut turn.desk.family;
        if !family.may_differ(both) {
            return;
        }
        for incident in incidents {
            if family.parts.iter().all(|part| part.id != incident.id) {
                let origin = self.origin(incident.id);
                family.parts.push(Joined::of(incident, origin));
            }
        }
    }

    /// Whether an incident of this kind is a symptom of this rule's incidents.
    pub fn calls_symptom(&self, kind: &IncidentKind) -> bool {
        self.symptoms.binary_search(kind).is_ok()
    }

    /// What an incident began with.
    pub fn origin(&self, id: IncidentId) -> Origin {
        self.origin_of(id, self.nodes_of(id))
    }

    /// The same, if it had only these members in the networks.
    pub fn origin_of(&self, id: IncidentId, nodes: Nodes) -> Origin {
        let case = self.case(self.slots[&id]);
        Origin {
            kind: case.incident.kind.clone(),
            begun_at: case.incident.begun_at,
            middle: case.cluster.middle(),
            nodes,
        }
    }

    /// What these sources of a case would have begun with by themselves.
    pub(super) fn origin_of_some(&self, slot: u32, sources: &[Source]) -> Origin {
        let Case { incident, cluster } = self.case(slot);
        let members = sources.iter().filter_map(|source| cluster.member(source));
        let first = members.map(|member| member.heard().0).min();
        Origin {
            kind: incident.kind.clone(),
            begun_at: first.unwrap_or(incident.begun_at),
            middle: cluster.middle_of(sources),
            nodes: self.nodes_of_some(slot, sources),
        }
    }

    /// The incident that caused this one.
    pub fn parent(&self, id: IncidentId) -> Option<IncidentId> {
        self.case(self.slots[&id]).incident.parent
    }

    /// The incidents that have a parent, each with it.
    pub fn with_parents(&self) -> impl Iterator<Item = (IncidentId, IncidentId)> {
        let incidents = self.cases.iter().map(|case| &case.incident);
        incidents.filter_map(|incident| Some((incident.parent?, incident.id)))
    }

    /// The incidents of this rule that may have caused one that began so.
    pub fn causes_of(&self, origin: &Origin) -> Vec<Relative> {
        let mut effects = self.rule.may_cause.iter();
        let Some(effect) = effects.find(|effect| effect.incident == origin.kind) else {
            return Vec::new();
        };
        if self.lies_along(&effect.along, &origin.nodes) {
            return self.causes_along(effect, origin);
        }
        let Some(middle) = origin.middle else {
            return Vec::new();
        };
        let is_cause = |slot: u32| self.fits(slot, effect, origin.begun_at);
        self.opened_near(effect, middle, is_cause).collect()
    }

    /// Whether an incident of this rule may have had this effect, if that began then.
    fn fits(&self, slot: u32, effect: &Effect, begun_at: Timestamp) -> bool {
        self.span_of(slot).has(effect, begun_at)
    }

    /// When an incident began, opened and was last noticed.
    pub fn span(&self, id: IncidentId) -> Span {
        self.span_of(self.slots[&id])
    }

    pub(super) fn span_of(&self, slot: u32) -> Span {
        let case = self.brief(slot);
        Span {
            begun_at: case.begun_at,
            opened_at: case.opened_at.unwrap_or(case.begun_at),
            last_evidence_at: case.last_evidence_at,
        }
    }

    /// The incidents of this rule without a parent that began in the time for this effect of what
    /// happened at a place.
    pub fn effects_at(
        &self,
        effect: &Effect,
        middle: Position,
        span: Span,
    ) -> impl Iterator<Item = Relative> {
        let is_effect = move |slot: u32| {
            let case = self.brief(slot);
            let by_metres = effect.along == Along::default();
            let is_of_place = || by_metres || !self.lies_along(&effect.along, &self.nodes(slot));
            case.is_free && span.has(effect, case.begun_at) && is_of_place()
        };
        self.opened_near(effect, middle, is_effect)
    }

    fn opened_near(
        &self,
        effect: &Effect,
        middle: Position,
        is_meant: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = Relative> {
        let near = self.index.in_reach(middle).into_iter();
        let near = near.filter(|near| effect.within_m > 0 && near.distance_m <= effect.within_m);
        let near = near.filter(move |near| self.is_live(near.slot) && is_meant(near.slot));
        near.filter_map(|near| {
            let case = self.brief(near.slot);
            let nearness = Nearness::Metres(near.distance_m);
            Some((nearness, case.opened_at?, case.id))
        })
    }

    /// Gives an incident that is told already another parent, or none, and tells, with the way from
    /// there.
    pub fn link(
        &mut self,
        id: IncidentId,
        (parent, way): (Option<IncidentId>, Option<Box<Way>>),
        turn: &mut Turn<'_>,
    ) {
        self.set_parent(id, parent, turn);
        self.tell_by(self.slots[&id], Verdict::IncidentLinked, way, turn);
        self.cases.freshen();
    }

    /// Whether a person has said what has caused it, or that nothing has.
    pub fn is_said_by_person(&mut self, id: IncidentId, said: bool) {
        self.case_mut(self.slots[&id]).incident.parent_by_person = said;
    }

    /// The same, where nobody was told of the parent before.
    pub fn set_parent(&mut self, id: IncidentId, parent: Option<IncidentId>, turn: &mut Turn<'_>) {
        let slot = self.slots[&id];
        let before = std::mem::replace(&mut self.case_mut(slot).incident.parent, parent);
        if let Some(before) = before {
            turn.desk.family.remove(before, id);
        }
        if let Some(parent) = parent {
            turn.desk.family.add(parent, id);
        }
    }

    /// A child is as grave as this; then so is its parent (INV-18).
    pub fn rise_with_child(&mut self, id: IncidentId, severity: Severity, turn: &mut Turn<'_>) {
        let slot = self.slots[&id];
        let incident = &mut self.case_mut(slot).incident;
        incident.from_children = incident.from_children.max(severity);
        // What a person has judged was the incident itself.
        if severity > incident.severity {
            incident.severity = severity;
            incident.docket.graded();
            self.tell(slot, Verdict::IncidentUpdated, turn);
        }
        self.cases.freshen();
    }

    /// How grave an incident makes its parent: not at all if it is over, or a person has dismissed it.
    pub fn weight_on_parent(&self, id: IncidentId) -> Severity {
        self.case(self.slots[&id]).incident.weight_on_parent()
    }

    /// Lets the parent of an incident be as grave as it is.
    pub(super) fn weigh_on_parent(&self, slot: u32, turn: &mut Turn<'_>) {
        let incident = &self.case(slot).incident;
        if let Some(parent) = incident.parent {
            let severity = incident.weight_on_parent();
            turn.desk.family.risen(parent, severity);
        }
    }

    /// A person says what caused it, or that nothing is known to have.
    pub fn link_by_person(
        &mut self,
        id: IncidentId,
        parent: Option<IncidentId>,
        turn: &mut Turn<'_>,
    ) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.parent_by_person = true;
        self.link(id, (parent, None), turn);
    }

    /// How grave the children are that an incident has left.
    pub fn children_are(&mut self, id: IncidentId, gravest: Severity) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.from_children = gravest;
        self.touch(slot);
    }

    /// The same, as rules have found: it is less grave by itself, but not at once.
    pub fn children_are_less(&mut self, id: IncidentId, gravest: Severity, turn: &mut Turn<'_>) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.from_children = gravest;
        self.time_the_lowering(slot, turn);
    }

    /// The gravest that any of an incident's children is known to have been.
    pub fn gravest_child(&self, id: IncidentId) -> Severity {
        self.case(self.slots[&id]).incident.from_children
    }

    /// How grave an incident is.
    pub fn severity(&self, id: IncidentId) -> Severity {
        self.case(self.slots[&id]).incident.severity
    }

    /// How grave an incident is by itself, its children apart.
    pub fn own_severity(&self, id: IncidentId) -> Severity {
        self.case(self.slots[&id]).incident.own_severity()
    }

    /// The incident as operators see it.
    pub fn state(&self, id: IncidentId) -> IncidentState {
        self.case(self.slots[&id]).state()
    }

    /// What an incident has caused before it was known itself waits to be taken as children.
    pub fn await_effects(&mut self, id: IncidentId, effects: impl Iterator<Item = IncidentId>) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.adopts.extend(effects);
    }

    /// The same of all that was found: the nearest of what was not looked at yet. Of the others it is
    /// remembered that there are some.
    pub fn await_nearest(&mut self, id: IncidentId, mut found: Vec<Relative>) {
        let slot = self.slots[&id];
        let incident = &mut self.case_mut(slot).incident;
        if let Some(seen) = incident.seeks_beyond.take() {
            found.retain(|effect| *effect > seen);
        }
        incident.seeks_beyond = keep_nearest(&mut found);
        let nearest = found.into_iter().map(|(.., effect)| effect);
        incident.adopts.extend(nearest);
    }

    /// The same of what was found where it has grown. Where there is too much of it, all that the
    /// incident has caused is looked for anew.
    pub fn await_more(&mut self, id: IncidentId, mut found: Vec<Relative>) {
        let is_cut = keep_nearest(&mut found).is_some();
        let slot = self.slots[&id];
        let incident = &mut self.case_mut(slot).incident;
        if is_cut {
            incident.seeks_beyond = Some(NEAREST);
        }
        let nearest = found.into_iter().map(|(.., effect)| effect);
        incident.adopts.extend(nearest);
    }

    /// The next of them.
    pub fn next_effect(&mut self, id: IncidentId) -> Option<IncidentId> {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.adopts.pop_front()
    }

    /// Whether any waits.
    pub fn awaits_effects(&self, id: IncidentId) -> bool {
        !self.case(self.slots[&id]).incident.adopts.is_empty()
    }

    /// Whether any waits, or is to be looked for still.
    pub fn seeks_effects(&self, id: IncidentId) -> bool {
        self.awaits_effects(id) || self.case(self.slots[&id]).incident.seeks_beyond.is_some()
    }

    /// What caused an incident, unless a person says so.
    pub fn parent_by_rule(&self, id: IncidentId) -> Option<IncidentId> {
        let incident = &self.case(self.slots[&id]).incident;
        incident.parent.filter(|_| !incident.parent_by_person)
    }

    /// Whether nothing is known to have caused an incident, and no person says that nothing has.
    pub fn is_free(&self, id: IncidentId) -> bool {
        self.case(self.slots[&id]).incident.is_free()
    }

    /// Lets an incident take further children at a time, or at none.
    pub fn adopt_at(&mut self, id: IncidentId, due: Option<Timestamp>, turn: &mut Turn<'_>) {
        self.set_timer(self.slots[&id], Purpose::Adopt, due, turn);
    }

    /// The time at which an incident takes further children has come.
    pub fn adopts_now(&mut self, id: IncidentId) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.dues[Purpose::Adopt as usize] = None;
    }
}
