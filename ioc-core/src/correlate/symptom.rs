//! Symptoms: incidents that are explained by what caused them, while that lasts.
//!
//! Arrives: incidents that open, are linked, rise and clear; causes that begin and cease to go on.
//! Leaves: in each incident's state whether it is suppressed by design (ISA-18.2): nobody is called
//! for it, for its cause has been told; and where nothing else tells of a change, a decision that
//! does. Promise: it follows from the incident and its cause alone: the cause's rule calls this kind
//! a symptom, the cause goes on or nobody knows, it is believed, no person has dismissed it, and the
//! incident is not extreme (INV-16) and no person has told of it. When the cause is over, each symptom that still goes on is news: what somebody
//! has acknowledged as a part of something else is to be seen anew. What is normal by then is not
//! told (INV-15). Nothing explains what is graver than itself, and what a person has shelved only
//! what is minor: who was told of the one has not heard of the other. The children of one cause are
//! judged again in steps, spread over logical time; what waits for its step is part of the state.
//! Next: `engine/family.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Correlator, Desk, Family, Turn};
use crate::book::Entry;
use crate::bundle::CorrelationRule;
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Cause, Condition, Handling, Severity, Verdict};
use crate::id::{IncidentId, IncidentKind};
use crate::incident::{Case, Incident};
use crate::invariant::{Audit, Invariant};
use crate::limits::{CHILDREN_PER_STEP, CHILDREN_STEP};
use crate::record::incident_id;
use crate::time::Timestamp;

/// The kinds of incident that are symptoms of a rule's incidents, sorted.
pub(crate) type Symptoms = Arc<[IncidentKind]>;

/// What an incident explains: what is of these kinds and no graver than this.
pub(crate) type Reasons = (Symptoms, Severity);

/// The kinds of incident that a rule calls symptoms of its own.
pub(super) fn symptoms_of(rule: &CorrelationRule) -> Symptoms {
    let effects = rule.may_cause.iter().filter(|effect| effect.symptom);
    effects.map(|effect| effect.incident.clone()).collect()
}

/// What goes on and explains its symptoms, and whose children are to be judged again.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    /// Incidents of rules with symptoms that go on. It follows from them.
    causes: BTreeMap<IncidentId, Reasons>,
    /// Those that began or ceased to go on, each with the child that was judged last since.
    changed: BTreeMap<IncidentId, Option<IncidentId>>,
    /// When the next of their children are.
    due: Option<Timestamp>,
}

impl Explained {
    /// When children are to be judged again.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Children are judged again no sooner than then.
    pub fn wait_until(&mut self, at: Timestamp) {
        self.due = self.due.map(|due| due.max(at));
    }

    /// An incident goes on, and explains so much.
    pub fn goes_on(&mut self, id: IncidentId, reasons: Reasons) {
        self.causes.insert(id, reasons);
    }

    /// Whether the children of an incident wait to be judged again.
    pub fn waits(&self, cause: IncidentId) -> bool {
        self.changed.contains_key(&cause)
    }

    /// Whether an incident goes on and explains one of this kind, as grave as this.
    fn explains(&self, id: IncidentId, kind: &IncidentKind, severity: Severity) -> bool {
        let reasons = self.causes.get(&id);
        reasons.is_some_and(|(symptoms, most)| {
            severity <= *most && symptoms.binary_search(kind).is_ok()
        })
    }

    fn change(&mut self, cause: IncidentId, at: Timestamp) {
        self.changed.insert(cause, None);
        let due = at + CHILDREN_STEP;
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// Puts what waits.
    pub fn put(&self, out: &mut impl Put) {
        out.put_option(self.due, Put::put_time);
        out.put_count(self.changed.len());
        for (cause, last) in &self.changed {
            out.put_u64(cause.to_bits());
            out.put_option(*last, |out, last| out.put_u64(last.to_bits()));
        }
    }

    /// What waits, as it was put.
    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let due = take.option(Take::time)?;
        let count = take.u32()? as usize;
        let changed = take.each(count, |take| {
            Ok((incident_id(take)?, take.option(incident_id)?))
        })?;
        if !changed.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(CodecError("causes that changed are not in order"));
        }
        Ok(Self {
            causes: BTreeMap::new(),
            changed: changed.into_iter().collect(),
            due,
        })
    }

    /// Checks that what waits has a time, and that the causes are those that go on.
    pub fn audit(&self, causes: impl Iterator<Item = (IncidentId, Reasons)>, audit: &mut Audit) {
        let waits = self.changed.is_empty() != self.due.is_some();
        audit.expect(waits, Invariant::TimersAgree, "symptoms");
        let agree = self.causes == causes.collect();
        audit.expect(agree, Invariant::FamilyAgrees, "symptoms");
    }
}

impl Family {
    /// What was saved before it was known how grave a cause is by itself, or when more was believed, is
    /// judged again at a time.
    pub fn explain_anew(&mut self, causes: &[IncidentId], at: Timestamp) {
        for cause in causes {
            if self.has_children(*cause) {
                self.explained.change(*cause, at);
            }
        }
    }

    /// Those that explain others.
    pub fn explaining(&self) -> Vec<IncidentId> {
        self.explained.causes.keys().copied().collect()
    }

    /// The next children to be judged again, as many as one step takes.
    pub fn next_explained(&mut self, at: Timestamp) -> Vec<IncidentId> {
        let mut next = Vec::new();
        // A cause that has lost its children meanwhile takes a place too.
        for _ in 0..CHILDREN_PER_STEP {
            let Some((cause, last)) = self.explained.changed.pop_first() else {
                break;
            };
            let room = CHILDREN_PER_STEP - next.len();
            next.extend(self.children_after(cause, last).take(room));
            if next.len() == CHILDREN_PER_STEP {
                let last = next.last().copied();
                self.explained.changed.insert(cause, last);
                break;
            }
        }
        let waits = !self.explained.changed.is_empty();
        self.explained.due = waits.then_some(at + CHILDREN_STEP);
        next
    }
}

impl Case {
    /// Whether it goes on, is believed, and people take it to be real: then it explains its symptoms.
    fn explains(&self) -> bool {
        let incident = &self.incident;
        incident.opened_at.is_some()
            && incident.condition != Condition::Cleared
            && incident.docket.handling != Handling::Merged
            && incident.docket.handling.dismissal().is_none()
            && self.certainty().is_believed(incident.docket.handling)
    }
}

impl Incident {
    /// How grave what it explains may be: no graver than it is itself, and minor while a person wants it
    /// quiet, who knew of it alone.
    fn explains_up_to(&self) -> Severity {
        let most = match self.shelved_until {
            Some(_) => Severity::Minor,
            None => Severity::Extreme,
        };
        self.own_severity().min(most)
    }

    /// Whether it may be hidden behind its cause.
    fn may_be_suppressed(&self) -> bool {
        self.goes_on() && self.severity < Severity::Extreme
    }

    fn goes_on(&self) -> bool {
        self.condition != Condition::Cleared && self.docket.handling != Handling::Merged
    }
}

impl Correlator {
    /// The incidents of this rule that go on and explain others, each with what.
    pub fn explaining(&self) -> impl Iterator<Item = (IncidentId, Reasons)> {
        let cases = self.cases.iter().filter(|_| !self.symptoms.is_empty());
        let explaining = cases.filter(|case| case.explains());
        explaining.map(|case| (case.incident.id, self.reasons(&case.incident)))
    }

    /// When any incident of this rule was told last.
    pub fn last_told_at(&self) -> Option<Timestamp> {
        let incidents = self.cases.iter().map(|case| &case.incident);
        incidents.map(|incident| incident.told_at).max()
    }

    fn reasons(&self, incident: &Incident) -> Reasons {
        (self.symptoms.clone(), incident.explains_up_to())
    }

    /// An incident may explain others from here on, or more or less than before: then these are judged
    /// again, soon.
    pub(super) fn explain_others(&self, slot: u32, turn: &mut Turn<'_>) {
        if self.symptoms.is_empty() {
            return;
        }
        let case = self.case(slot);
        let id = case.incident.id;
        let family = &mut turn.desk.family;
        let reasons = case.explains().then(|| self.reasons(&case.incident));
        let causes = &mut family.explained.causes;
        let before = match &reasons {
            Some(reasons) => causes.insert(id, reasons.clone()),
            None => causes.remove(&id),
        };
        if before == reasons {
            return;
        }
        let book = &turn.desk.book;
        let is_own = |named: &IncidentId| book.find(*named).is_some_and(|(now, _)| now == id);
        let others = family.gone().filter(is_own);
        let named: Vec<_> = others.chain([id]).collect();
        for named in named {
            if family.has_children(named) {
                family.explained.change(named, turn.at);
            }
        }
    }

    /// Whether an incident is a symptom of what caused it, as both stand.
    pub(super) fn is_explained(&self, slot: u32, desk: &Desk) -> bool {
        let case = self.case(slot);
        let incident = &case.incident;
        let cause = incident.parent.filter(|_| incident.may_be_suppressed());
        match cause.and_then(|cause| desk.book.find(cause)) {
            // What a person tells of is told, unless he says himself what has caused it.
            Some(_) if !incident.parent_by_person && case.cluster.is_told_by_person() => false,
            // What parted from its like when that was repaired is no symptom of it.
            Some((cause, Entry::Live(rule))) => {
                let explained = &desk.family.explained;
                let severity = incident.own_severity();
                *rule != self.rule.name && explained.explains(cause, &incident.kind, severity)
            }
            Some((_, Entry::Over(_) | Entry::Merged(_))) | None => false,
        }
    }

    /// Brings an incident in line with its cause, and what it causes in line with it. Returns
    /// whether it is news by itself from here on: it is to [appear](Self::appear) when what the
    /// caller decides is told.
    #[must_use]
    pub(super) fn heed_cause(&mut self, slot: u32, turn: &mut Turn<'_>) -> bool {
        self.explain_others(slot, turn);
        let explained = self.is_explained(slot, turn.desk);
        let case = self.case_mut(slot);
        let incident = &mut case.incident;
        let before = std::mem::replace(&mut incident.suppressed, explained);
        turn.desk.counters.incidents_suppressed += u64::from(explained && !before);
        before && !explained && incident.goes_on()
    }

    /// What explained an incident does no more, and it goes on. If something has become part of it
    /// that waits to be seen, that goes on to wait.
    pub(super) fn appear(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let incident = &mut self.case_mut(slot).incident;
        if incident.awaited.is_none() {
            incident.docket.appears();
        }
        self.tell_suppression(slot, turn);
    }

    /// Judges an incident again whose cause has begun or ceased to go on.
    pub fn judge_again(&mut self, id: IncidentId, turn: &mut Turn<'_>) {
        let slot = self.slots[&id];
        let before = self.case(slot).incident.suppressed;
        let appears = self.heed_cause(slot, turn);
        let after = self.case(slot).incident.suppressed;
        if appears {
            self.appear(slot, turn);
        } else if after && !before {
            self.tell_suppression(slot, turn);
        }
        if after != before {
            self.time_the_escalation(slot, turn);
        }
        self.cases.freshen();
    }

    /// Who tells of an incident may be one of another by now, or of this.
    pub(super) fn heed_who_tells(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let incident = &self.case(slot).incident;
        if incident.parent.is_some() {
            let id = incident.id;
            self.judge_again(id, turn);
        }
    }

    /// The causes of incidents that are hidden and that nothing explains, as it is known now.
    pub fn hidden_by_nothing(&self, desk: &Desk) -> Vec<IncidentId> {
        let hidden = self.cases.with_slots().filter_map(|(slot, case)| {
            let parent = case.incident.parent.filter(|_| case.incident.suppressed)?;
            let (now, _) = desk.book.find(parent)?;
            let explained = self.is_explained(slot, desk) || desk.family.explained.waits(parent);
            (now == parent && !explained).then_some(parent)
        });
        hidden.collect()
    }

    fn tell_suppression(&self, slot: u32, turn: &mut Turn<'_>) {
        let cause = Cause {
            rule: Some(self.rule.name.clone()),
            due: turn.due,
            ..Cause::default()
        };
        let state = self.case(slot).state();
        turn.decide(Verdict::IncidentSuppressed(state), cause);
    }
}
