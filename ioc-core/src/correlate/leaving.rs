//! What is left of correlation rules that a reload has changed or taken away: their incidents clear
//! in steps, for there may be thousands.
//!
//! Arrives: such a rule with all its cases. Leaves: one of them after the other, in the order of
//! their ids, those of the first reload first. Promise: from the reload on nothing joins them, nothing
//! comes due about them, what their members say changes nothing about them, and nothing is caused by
//! them; to people they are as they were until each clears, or until somebody asks about one, which
//! clears then. A rule that comes back meanwhile begins anew. What the sensors of one have said is
//! evidence of nothing that the rule of its name makes. What follows is told when their turn comes.
//!
//! What led to the members goes with them (`husk.rs`); how far that has come shows nowhere.
//! Next: `engine/leaving.rs`.

use std::collections::VecDeque;

use super::symptom::Reasons;
use super::{Correlator, Desk, Told, Turn};
use crate::bundle::{Along, CorrelationRule, Effect, Lag};
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Condition, DecisionSeq, Verdict};
use crate::id::{IncidentId, IncidentKind, RuleId, SensorId};
use crate::incident::Purpose;
use crate::invariant::{Audit, Invariant};
use crate::limits::{LEAVING_STEP, MEMBERS_LET_GO_PER_RECORD};
use crate::record::Seq;
use crate::rules::Rules;
use crate::time::{Millis, Timestamp};
use crate::timer::Timer;

/// To let so many members go takes as long as to tell that an incident is over.
const MEMBERS_LIKE_AN_INCIDENT: usize = 16;

/// All that leave, in the order in which they do.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    gone: VecDeque<Gone>,
    /// When the next of them do.
    due: Option<Timestamp>,
    /// What nobody remembers any more, taken out of memory little by little. It shows nowhere.
    forgotten: Vec<Told>,
}

/// One rule that a reload has changed or taken away.
#[derive(Debug)]
pub(crate) struct Gone {
    /// The decision that told of the reload.
    since: DecisionSeq,
    cases: Box<Correlator>,
}

impl Leaving {
    /// Nothing leaves, and nothing is left of what did.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty()
    }

    /// When the next leave.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due
    }

    /// A rule leaves with this reload.
    pub fn begin(&mut self, since: DecisionSeq, cases: Correlator) {
        let cases = Box::new(cases);
        self.gone.push_back(Gone { since, cases });
    }

    /// Whether a case of a rule of this name leaves.
    pub fn has(&self, rule: &RuleId, id: IncidentId) -> bool {
        self.place(rule, id).is_some()
    }

    /// The place of what has a case of a rule of this name.
    pub fn place(&self, rule: &RuleId, id: IncidentId) -> Option<usize> {
        let mut gone = self.gone.iter();
        gone.position(|gone| gone.name() == rule && gone.cases.slots.contains_key(&id))
    }

    /// Takes out what is at a place, to be [put back](Self::put_back) there.
    pub fn take_out(&mut self, place: usize) -> Option<Gone> {
        self.gone.remove(place)
    }

    pub fn put_back(&mut self, place: usize, gone: Gone) {
        self.gone.insert(place, gone);
    }

    /// The place of the first that has cases.
    pub fn first(&self) -> Option<usize> {
        self.gone.iter().position(Gone::has_cases)
    }

    /// How many there are, with those of which only members are left.
    pub fn len(&self) -> usize {
        self.gone.len()
    }

    /// Of how many reloads something leaves still.
    pub fn reloads(&self) -> usize {
        let mut since: Vec<_> = self.with_cases().map(|gone| gone.since).collect();
        since.dedup();
        since.len()
    }

    /// The first reload of which something leaves still.
    pub fn first_reload(&self) -> Option<DecisionSeq> {
        self.with_cases().next().map(|gone| gone.since)
    }

    /// Lets the next leave soon, if any are left; forgets what nothing is left of.
    pub fn wait(&mut self, now: Timestamp) {
        self.gone.retain(|gone| !gone.is_done());
        let running = self.due.filter(|due| *due > now);
        let waits = self.first().is_some();
        self.due = waits.then(|| running.unwrap_or(now + LEAVING_STEP));
    }

    /// The next leave no sooner than then.
    pub fn wait_until(&mut self, at: Timestamp) {
        self.due = self.due.map(|due| due.max(at));
    }

    /// What was told of incidents of rules that nothing goes on from is forgotten, little by little.
    pub fn forget(&mut self, told: impl Iterator<Item = Told>) {
        self.forgotten.extend(told);
    }

    /// Whether anything is being forgotten.
    pub fn forgets(&self) -> bool {
        !self.forgotten.is_empty()
    }

    /// Forgets a part of it, and what nothing is left of.
    pub fn forget_more(&mut self) {
        if let Some(told) = self.forgotten.last_mut()
            && !told.forget(MEMBERS_LET_GO_PER_RECORD)
        {
            self.forgotten.pop();
        }
        self.gone.retain(|gone| !gone.is_done());
    }

    /// A timer is due about a case of this rule. Whether it leaves: then nothing comes of it.
    pub fn comes_due(&mut self, rule: &RuleId, id: IncidentId, purpose: Purpose) -> bool {
        let Some(place) = self.place(rule, id) else {
            return false;
        };
        let cases = &mut self.gone[place].cases;
        let slot = cases.slots[&id];
        cases.case_mut(slot).incident.dues[purpose as usize] = None;
        true
    }

    /// Whether a reading of a sensor was evidence of what leaves of a rule of this name, or is left
    /// of it.
    pub fn has_told(&self, rule: &RuleId, sensor: &SensorId, seq: Seq) -> bool {
        let mut of_rule = self.gone.iter().filter(|gone| gone.name() == rule);
        of_rule.any(|gone| gone.cases.has_told_of_its_cases(sensor, seq))
    }

    /// What is left of such incidents that are over and whose rule is remembered by its name.
    pub fn add_told(&self, rule: &RuleId, told: &mut Told) {
        let of_rule = self.gone.iter().filter(|gone| gone.name() == rule);
        of_rule.for_each(|gone| gone.cases.add_told_of_husks(told));
    }

    /// How many incidents leave.
    pub fn incidents(&self) -> usize {
        self.gone.iter().map(|gone| gone.cases.incidents()).sum()
    }

    /// Those that go on and explain others until they leave, each with what.
    pub fn explaining(&self) -> impl Iterator<Item = (IncidentId, Reasons)> {
        self.gone.iter().flat_map(|gone| gone.cases.explaining())
    }

    /// Those that have a parent, each with it.
    pub fn with_parents(&self) -> impl Iterator<Item = (IncidentId, IncidentId)> {
        self.gone.iter().flat_map(|gone| gone.cases.with_parents())
    }

    /// Checks every invariant of them. Returns how many timers run of them.
    pub fn audit(&self, desk: &Desk, audit: &mut Audit) -> usize {
        let waits = self.first().is_some() == self.due.is_some();
        audit.expect(waits, Invariant::TimersAgree, "what leaves");
        let gone = self.gone.iter();
        gone.map(|gone| gone.cases.audit_leaving(desk, audit)).sum()
    }

    fn with_cases(&self) -> impl Iterator<Item = &Gone> {
        self.gone.iter().filter(|gone| gone.has_cases())
    }

    /// Puts what leaves still, in its order.
    pub fn put(&self, out: &mut impl Put) {
        out.put_option(self.due, Put::put_time);
        out.put_count(self.with_cases().count());
        for gone in self.with_cases() {
            out.put_u64(gone.since);
            gone.put(out);
        }
    }

    /// What leaves, as it was put. Adds the timers that run of it.
    pub fn take(
        format: u16,
        take: &mut Take<'_>,
        rules: &Rules,
        timers: &mut Vec<Timer<(IncidentId, Purpose)>>,
    ) -> Result<Self, CodecError> {
        let due = take.option(Take::time)?;
        let count = take.u32()? as usize;
        let gone = take.each(count, |take| {
            let since = take.u64()?;
            let cases = take_cases(format, take, rules, timers)?;
            Ok(Gone {
                since,
                cases: Box::new(cases),
            })
        })?;
        let in_order =
            gone.is_sorted_by(|one, next| (one.since, one.name()) < (next.since, next.name()));
        if !in_order || !gone.iter().all(Gone::has_cases) {
            return Err(CodecError("rules that leave are not in order"));
        }
        Ok(Self {
            gone: gone.into(),
            due,
            forgotten: Vec::new(),
        })
    }
}

impl Gone {
    /// What the rule is called, or was.
    pub fn name(&self) -> &RuleId {
        &self.cases.rule.name
    }

    fn has_cases(&self) -> bool {
        !self.cases.slots.is_empty()
    }

    fn is_done(&self) -> bool {
        !self.has_cases() && self.cases.husks.is_empty()
    }

    /// Lets as many leave as there is room for in a step; returns the room that is left. `heir`: the
    /// rule of the same name that holds, which remembers what was said. Where there is none, nobody
    /// does.
    pub fn leave(
        &mut self,
        room: usize,
        heir: Option<&mut Correlator>,
        turn: &mut Turn<'_>,
    ) -> usize {
        self.with_heir(heir, |cases| {
            let mut room = room;
            while room > 0
                && let Some((&id, _)) = cases.slots.first_key_value()
            {
                room = room.saturating_sub(cases.leave(id, turn));
            }
            room
        })
    }

    /// Lets one leave, for somebody asks about it.
    pub fn leave_one(
        &mut self,
        id: IncidentId,
        heir: Option<&mut Correlator>,
        turn: &mut Turn<'_>,
    ) {
        self.with_heir(heir, |cases| {
            cases.leave(id, turn);
        });
    }

    /// Takes a part of what is over out of memory.
    pub fn take_apart(&mut self, heir: Option<&mut Correlator>, desk: &mut Desk) {
        self.with_heir(heir, |cases| cases.take_apart(desk));
    }

    fn with_heir<T>(
        &mut self,
        heir: Option<&mut Correlator>,
        work: impl FnOnce(&mut Correlator) -> T,
    ) -> T {
        let cases = &mut *self.cases;
        match heir {
            Some(heir) => {
                std::mem::swap(&mut cases.told, &mut heir.told);
                let done = work(cases);
                std::mem::swap(&mut cases.told, &mut heir.told);
                done
            }
            None => {
                let done = work(cases);
                cases.husks.forget();
                cases.told = Told::default();
                done
            }
        }
    }

    /// Puts what is known of the rule by its cases, and these.
    fn put(&self, out: &mut impl Put) {
        let CorrelationRule { name, incident, .. } = &self.cases.rule;
        out.put_text(name.as_str());
        out.put_text(incident.as_str());
        out.put_count(self.cases.symptoms.len());
        for kind in &*self.cases.symptoms {
            out.put_text(kind.as_str());
        }
        self.cases.put_cases(out);
    }
}

/// The cases of a rule that does not hold any more, as they were put.
fn take_cases(
    format: u16,
    take: &mut Take<'_>,
    rules: &Rules,
    timers: &mut Vec<Timer<(IncidentId, Purpose)>>,
) -> Result<Correlator, CodecError> {
    let (name, incident) = (take.parsed("rule")?, take.parsed("incident kind")?);
    let count = take.u32()? as usize;
    let symptoms: Vec<IncidentKind> = take.each(count, |take| take.parsed("incident kind"))?;
    if !symptoms.is_sorted_by(|one, next| one < next) {
        return Err(CodecError("symptoms are not in order"));
    }
    let mut cases = Correlator::new(remembered(name, incident, symptoms), rules);
    cases.take_cases(format, take, timers)?;
    Ok(cases)
}

/// A rule of which only that is remembered by which its cases leave.
fn remembered(
    name: RuleId,
    incident: IncidentKind,
    symptoms: Vec<IncidentKind>,
) -> CorrelationRule {
    let symptom = |incident| Effect {
        incident,
        within_m: 0,
        along: Along::default(),
        lag: Lag::AfterLast(Millis::ZERO),
        before: Millis::ZERO,
        symptom: true,
    };
    CorrelationRule {
        name,
        hash: 0,
        incident,
        detections: Vec::new(),
        weights: Vec::new(),
        within_m: 0,
        along: Along::default(),
        same: Vec::new(),
        group_by: Vec::new(),
        front: None,
        stale_after: None,
        within: Millis::ZERO,
        sources_min: 1,
        clear_after: Millis::ZERO,
        reopen_within: Millis::ZERO,
        may_cause: symptoms.into_iter().map(symptom).collect(),
    }
}

impl Correlator {
    /// Another rule of the same name goes on from what the sensors of its incidents have said.
    pub fn take_told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// The rule is gone, and nobody remembers what was said of its incidents.
    pub fn forget_told(&mut self) {
        self.husks.forget();
    }

    /// Whether anything is left of it.
    pub fn has_anything(&self) -> bool {
        !self.slots.is_empty() || !self.husks.is_empty()
    }

    /// Whether a reading of a sensor was evidence of an incident that it has, or is left of one.
    fn has_told_of_its_cases(&self, sensor: &SensorId, seq: Seq) -> bool {
        let case = self.slot_of(sensor).map(|slot| self.case(slot));
        let told = case.filter(|case| case.incident.opened_at.is_some());
        told.is_some_and(|case| case.cluster.has_heard(sensor, seq))
            || self.husks.has_told(sensor, seq)
    }

    /// One of its cases is over, because the rule is gone: no rule is the cause of that. Returns how
    /// much of a step that takes.
    fn leave(&mut self, id: IncidentId, turn: &mut Turn<'_>) -> usize {
        let slot = self.slots[&id];
        let case = self.case_mut(slot);
        let members = case.cluster.len().min(MEMBERS_LET_GO_PER_RECORD);
        match case.incident.opened_at {
            None => self.end_candidate(slot, turn),
            Some(_) => {
                if case.incident.condition != Condition::Cleared {
                    case.incident.condition = Condition::Cleared;
                    let told = turn.decisions.len();
                    self.tell(slot, Verdict::IncidentCleared, turn);
                    for decision in &mut turn.decisions[told..] {
                        decision.cause.rule = None;
                    }
                }
                self.retire(slot, turn);
            }
        }
        1 + members / MEMBERS_LIKE_AN_INCIDENT
    }
}
