//! What may follow what: a case's transitions and its timers.
//!
//! Arrives: cases that changed in this moment, and timers that are due. Leaves: one decision per
//! transition of the incident's state machine, its evidence in parts if there is much of it.
//!
//! A candidate opens when enough sources agree at one time. An incident is active until all its
//! members have been normal for `clear_after`; it is unknown while none is heard to be abnormal
//! but some fell silent, and then never clears by itself: nor if they fell silent before they had
//! been normal for `clear_after`, and no other is heard to be. A cleared one reopens within
//! `reopen_within`, as grave as what reopens it, and has to be seen again (INV-10).

use super::{Correlator, Turn};
use crate::book::{For, Past};
use crate::decision::{
    Cause, Certainty, Condition, Ending, Handling, IncidentState, Severity, Tier, Verdict, Way,
};
use crate::id::{IncidentId, RuleId, SensorId};
use crate::incident::{Case, Incident, Purpose, World};
use crate::limits::{EVIDENCE_PER_DECISION_MAX, TELL_INTERVAL};
use crate::time::{Millis, Timestamp};

impl Correlator {
    /// Decides what follows from what changed in this moment, up to an incident that opens and
    /// may have a cause or effects: returned, for it to be [announced](Self::announce) when they
    /// are known, and this to go on.
    #[must_use]
    pub fn settle(&mut self, turn: &mut Turn<'_>) -> Option<IncidentId> {
        while let Some(id) = self.touched.pop_front() {
            // What merged away or ended since has nothing left to settle.
            if let Some(&slot) = self.slots.get(&id)
                && let Some(opening) = self.settle_case(slot, turn)
            {
                return Some(opening);
            }
        }
        self.passed.clear();
        self.cases.freshen();
        None
    }

    fn settle_case(&mut self, slot: u32, turn: &mut Turn<'_>) -> Option<IncidentId> {
        let case = self.case(slot);
        let decay = case.cluster.next_decay();
        match case.incident.opened_at {
            None if case.cluster.is_empty() => {
                turn.desk.counters.candidates_ended += 1;
                self.end_candidate(slot, turn);
                None
            }
            None => {
                self.set_timer(slot, Purpose::Decay, decay, turn);
                self.open_if_enough(slot, turn)
            }
            Some(_) => {
                self.set_timer(slot, Purpose::Decay, decay, turn);
                self.follow_world(slot, turn);
                None
            }
        }
    }

    /// A timer of one of its cases is due.
    pub fn fire(&mut self, id: IncidentId, purpose: Purpose, turn: &mut Turn<'_>) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.dues[purpose as usize] = None;
        match purpose {
            Purpose::Decay => self.decay(slot, turn),
            Purpose::Tell => self.tell(slot, Verdict::IncidentUpdated, turn),
            Purpose::Clear => self.clear(slot, turn),
            Purpose::Retire => self.retire(slot, turn),
            Purpose::Escalate => self.escalate(slot, turn),
            Purpose::Lower => self.lower(slot, turn),
            Purpose::Unite => self.unite_more(slot, turn),
            Purpose::Adopt | Purpose::Part => {
                unreachable!("the engine's, for children are of other rules, and streets of none")
            }
        }
    }

    /// Whether something has not lasted until its timer is due, for nobody could be heard: then it is
    /// waited for longer.
    pub fn waits_on(&mut self, id: IncidentId, why: Purpose, turn: &mut Turn<'_>) -> bool {
        let slot = self.slots[&id];
        let incident = &self.case(slot).incident;
        let (Some(place), Some(due)) = (why.lasting(), incident.dues[why as usize]) else {
            return false;
        };
        if why == Purpose::Part && incident.parts_from.is_some() {
            // Who has to follow has had the time for it; what is left of the round is steps.
            return false;
        }
        let Some((since, mut due)) = turn.desk.away.waits_on(incident.lasts_since[place], due)
        else {
            return false;
        };
        if why == Purpose::Part {
            due = self.before_it_retires(slot, due);
        }
        if due <= turn.at {
            return false;
        }
        self.set_timer(slot, why, Some(due), turn);
        self.case_mut(slot).incident.lasts_since[place] = since;
        true
    }

    /// Opens a candidate if enough sources agree and there is room to remember it.
    /// Returns it if it may have a cause or effects, and is to be announced.
    fn open_if_enough(&mut self, slot: u32, turn: &mut Turn<'_>) -> Option<IncidentId> {
        let cluster = &self.case(slot).cluster;
        // A silent sensor that is trusted again by a reload says nothing that is new.
        let is_heard = cluster.world() == World::GoesOn;
        let gravest = cluster.gravest();
        if !is_heard || cluster.weight() < u64::from(self.rule.sources_min) {
            return None;
        }
        let book = &mut turn.desk.book;
        let by_person = || cluster.is_raised_by(turn.rules.by_person());
        let mut room = book.make_room(For::Rules);
        if room.is_none() && by_person() {
            room = book.make_room(For::People);
        }
        let Some(forgotten) = room else {
            turn.desk.counters.incidents_over_limit += 1;
            return None;
        };
        turn.desk.counters.incidents_forgotten += forgotten;
        let incident = &mut self.case_mut(slot).incident;
        // Some of it may have become less grave while it waited for company.
        incident.says(gravest, incident.certainty);
        let id = self.leave_candidates(slot, turn);
        turn.desk.book.opened(id, self.rule.name.clone());
        let case = self.case_mut(slot);
        case.incident.opened_at = Some(turn.at);
        // It begins with what is believed of it: who was doubted before decides nothing.
        let since = case.cluster.weighs_since();
        case.incident.begun_at = since.unwrap_or(case.incident.begun_at);
        let causes = turn.rules.causes(&self.rule.incident);
        if !causes.is_empty() || !self.rule.may_cause.is_empty() {
            return Some(id);
        }
        self.tell(slot, Verdict::IncidentOpened, turn);
        None
    }

    /// Tells that an incident has opened, and by what it was caused, with the way from there.
    pub fn announce(
        &mut self,
        id: IncidentId,
        (parent, way): (Option<IncidentId>, Option<Box<Way>>),
        turn: &mut Turn<'_>,
    ) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.parent = parent;
        if let Some(parent) = parent {
            turn.desk.family.add(parent, id);
        }
        self.tell_by(slot, Verdict::IncidentOpened, way, turn);
        self.cases.freshen();
    }

    /// Takes a case out of the candidates. If an incident of another rule that began with the same
    /// reading opened first, it has the id, and this one takes another.
    fn leave_candidates(&mut self, slot: u32, turn: &mut Turn<'_>) -> IncidentId {
        let incident = &self.case(slot).incident;
        let (wanted, begun_at) = (incident.id, incident.begun_at);
        self.candidates.remove(&(begun_at, wanted));
        let is_used = |id| id != wanted && self.slots.contains_key(&id);
        let id = self.unused_id(wanted, turn, is_used);
        if id != wanted {
            let dues = [Purpose::Decay, Purpose::Unite]
                .map(|why| (why, self.case(slot).incident.dues[why as usize]));
            for (why, _) in dues {
                self.set_timer(slot, why, None, turn);
            }
            self.slots.remove(&wanted);
            self.slots.insert(id, slot);
            let case = self.case_mut(slot);
            case.incident.id = id;
            case.cluster.is_of(id);
            for (why, due) in dues {
                self.set_timer(slot, why, due, turn);
            }
        }
        id
    }

    /// Brings an incident's condition in line with what its members say.
    fn follow_world(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let case = self.case_mut(slot);
        let world = case.cluster.world();
        // Who was believed may be gone, so that what others said before they were not counts again.
        case.incident
            .rise(case.cluster.gravest(), Certainty::Unknown);
        let sources = turn.rules.handling().overruled_by;
        let grounds = case.grounds();
        let overruled = case.incident.docket.is_overruled(grounds, sources);
        if overruled {
            case.incident.docket.see_anew();
        }
        let overruled = std::mem::take(&mut case.incident.reopens) || overruled;
        match (case.incident.condition, world) {
            (Condition::Active, World::GoesOn | World::Quiet)
            | (Condition::Unknown, World::Blind)
            | (Condition::Cleared, World::Quiet)
                if overruled =>
            {
                self.tell(slot, Verdict::IncidentReopened, turn);
            }
            (Condition::Active, World::GoesOn | World::Quiet)
            | (Condition::Unknown, World::Blind)
            | (Condition::Cleared, World::Quiet) => self.tell_growth(slot, turn),
            (Condition::Active, World::Blind) => {
                case.incident.condition = Condition::Unknown;
                self.tell(slot, Verdict::IncidentUnknown, turn);
            }
            (Condition::Unknown, World::GoesOn | World::Quiet) => {
                case.incident.condition = Condition::Active;
                self.tell(slot, Verdict::IncidentReopened, turn);
            }
            (Condition::Cleared, World::GoesOn) => self.reopen(slot, turn),
            (Condition::Cleared, World::Blind) => {
                // What was kept quiet counts again, of a sensor that fell silent meanwhile.
                self.reopen(slot, turn);
                self.case_mut(slot).incident.condition = Condition::Unknown;
                self.tell(slot, Verdict::IncidentUnknown, turn);
            }
        }
        self.explain_others(slot, turn);
        self.time_the_end(slot, world, turn);
        self.time_the_lowering(slot, turn);
    }

    /// An incident that cleared is back: another episode, for people to see anew.
    fn reopen(&mut self, slot: u32, turn: &mut Turn<'_>) {
        self.set_timer(slot, Purpose::Retire, None, turn);
        let case = self.case_mut(slot);
        let incident = &mut case.incident;
        incident.condition = Condition::Active;
        incident.docket.back(incident.awaited.is_some());
        incident.episode += 1;
        let (severity, certainty) = case.cluster.verdict();
        incident.says(severity, certainty);
        incident.severity = incident.severity.max(incident.from_children);
        self.tell(slot, Verdict::IncidentReopened, turn);
    }

    /// Lets the time until it clears run while all members are normal, and only then.
    fn time_the_end(&mut self, slot: u32, world: World, turn: &mut Turn<'_>) {
        let incident = &self.case(slot).incident;
        let running = incident.dues[Purpose::Clear as usize];
        let due = match (incident.condition, world, running) {
            (Condition::Active, World::Quiet, None) => Some(turn.at + self.rule.clear_after),
            (Condition::Active, World::Quiet, running) => running,
            _ => None,
        };
        self.set_timer(slot, Purpose::Clear, due, turn);
    }

    /// Lets the time run until nobody having seen it is told, while nobody has and it goes on: what
    /// is over wakes nobody. Graver, it is told sooner; less grave, as if it had been so from when
    /// the time began.
    pub(super) fn time_the_escalation(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Case { incident, cluster } = self.case(slot);
        let is_over = incident.condition == Condition::Cleared;
        if incident.awaited.is_some() && is_over && cluster.world() == World::GoesOn {
            // It is back in this moment, and goes on to wait as what has become part of it does.
            return;
        }
        let waits = incident.waits_to_be_seen();
        let next = Tier::after(incident.docket.escalated).filter(|_| waits);
        let within = turn.rules.handling().acknowledge_within(incident.severity);
        let running = incident.dues[Purpose::Escalate as usize];
        let timed = next.zip(within).map(|(tier, within)| {
            // The first is told after that time, the second after twice that, and so on.
            let whole = Millis(within.0.saturating_mul(tier.number()));
            let soonest = turn.at + within;
            let by_pace = incident.unseen_since.map(|since| since + whole);
            let due = match (by_pace, running) {
                (Some(by_pace), Some(running)) if by_pace < running => running.min(soonest),
                (Some(by_pace), _) => by_pace.max(turn.at),
                (None, running) => running.map_or(soonest, |running| running.min(soonest)),
            };
            (due - whole, due)
        });
        let incident = &mut self.case_mut(slot).incident;
        incident.unseen_since = timed.map(|(since, _)| since);
        incident.awaited = None;
        self.set_timer(slot, Purpose::Escalate, timed.map(|(_, due)| due), turn);
    }

    /// Nobody has seen it in time: the next one is told.
    fn escalate(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let docket = &mut self.case_mut(slot).incident.docket;
        docket.escalated = Tier::after(docket.escalated);
        self.tell(slot, Verdict::IncidentEscalated, turn);
    }

    /// Lets the time until it is less grave run while its evidence is, and only then.
    pub(super) fn time_the_lowering(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let case = self.case(slot);
        let running = case.incident.dues[Purpose::Lower as usize];
        let lowers = turn.rules.handling().lowers
            && case.incident.condition == Condition::Active
            && case.cluster.world() == World::GoesOn
            && case.is_less_grave()
            && !case.incident.docket.rated;
        let due = lowers.then(|| running.unwrap_or(turn.at + self.rule.clear_after));
        let own = case.cluster.gravest();
        let lowers_to = match (lowers, running) {
            (true, Some(_)) => case.incident.lowers_to.max(own),
            (true, None) => own,
            (false, _) => Severity::Unknown,
        };
        self.case_mut(slot).incident.lowers_to = lowers_to;
        self.set_timer(slot, Purpose::Lower, due, turn);
    }

    /// It has been less grave for as long as it would take to clear: as grave as it was at most in
    /// that time. What its children keep grave is less grave by itself all the same, and explains
    /// less. What has become still less grave since goes on to be waited for.
    fn lower(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let case = self.case_mut(slot);
        let own = case.cluster.gravest().max(case.incident.lowers_to);
        let incident = &mut case.incident;
        let gravest = own.max(incident.from_children);
        incident.said = incident.said.min(own);
        if gravest >= incident.severity {
            let id = incident.id;
            self.judge_again(id, turn);
        } else {
            incident.severity = gravest;
            incident.docket.graded();
            self.tell(slot, Verdict::IncidentRated, turn);
        }
        self.time_the_lowering(slot, turn);
    }

    /// A member was abnormal for a moment: the time until its incident clears begins anew.
    pub(super) fn begin_quiet_anew(&mut self, sensor: &SensorId, turn: &mut Turn<'_>) {
        let Some(slot) = self.slot_of(sensor) else {
            return;
        };
        if self.case(slot).incident.dues[Purpose::Clear as usize].is_some() {
            let due = turn.at + self.rule.clear_after;
            self.set_timer(slot, Purpose::Clear, Some(due), turn);
        }
    }

    /// Reports that no longer count.
    fn decay(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let id = self.case(slot).incident.id;
        while let Some(source) = self.case_mut(slot).cluster.decay_one(turn.at) {
            if self.case(slot).incident.opened_at.is_none() {
                self.dismiss_if_normal(slot, &source);
            }
        }
        self.touched.push_back(id);
    }

    pub(super) fn clear(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let case = self.case_mut(slot);
        case.cluster.let_go();
        case.incident.condition = Condition::Cleared;
        self.tell(slot, Verdict::IncidentCleared, turn);
        let due = turn.at + self.rule.reopen_within;
        self.set_timer(slot, Purpose::Retire, Some(due), turn);
        self.part_in_time(slot, turn);
    }

    /// An incident is over for good; only how it ended is remembered.
    pub(super) fn retire(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let unshelved = &mut turn.desk.unshelved;
        let case = self.cases.get_mut(slot).expect("a slot in use");
        case.incident.unshelve(Ending::IncidentOver, unshelved);
        let case = self.case(slot);
        let (id, parent) = (case.incident.id, case.incident.parent);
        let mut docket = case.incident.docket.clone();
        docket.escalated = None;
        let mut state = case.state();
        state.escalated = None;
        self.drop_case(slot, turn);
        if let Some(parent) = parent {
            turn.desk.family.remove(parent, id);
        }
        turn.desk.book.over(Past { state, docket }, turn.at);
    }

    pub(super) fn end_candidate(&mut self, slot: u32, turn: &mut Turn<'_>) {
        self.drop_case(slot, turn);
    }

    /// Tells what has grown: at once if it is urgent or much, else at most every
    /// [`TELL_INTERVAL`].
    fn tell_growth(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let incident = &self.case(slot).incident;
        let much = incident.untold.len() >= EVIDENCE_PER_DECISION_MAX;
        let next: Timestamp = incident.told_at + TELL_INTERVAL;
        if incident.urgent || much || (!incident.untold.is_empty() && next <= turn.at) {
            self.tell(slot, Verdict::IncidentUpdated, turn);
        } else if !incident.untold.is_empty() {
            self.set_timer(slot, Purpose::Tell, Some(next), turn);
        }
    }

    /// Decides about an incident, with all evidence that is not yet told: what exceeds one
    /// decision follows as updates.
    pub(super) fn tell(
        &mut self,
        slot: u32,
        how: impl FnOnce(IncidentState) -> Verdict,
        turn: &mut Turn<'_>,
    ) {
        self.tell_by(slot, how, None, turn);
    }

    /// The same, with the way by which it has come from its parent.
    pub(super) fn tell_by(
        &mut self,
        slot: u32,
        how: impl FnOnce(IncidentState) -> Verdict,
        mut way: Option<Box<Way>>,
        turn: &mut Turn<'_>,
    ) {
        self.set_timer(slot, Purpose::Tell, None, turn);
        let rule = self.rule.name.clone();
        let case = self.case_mut(slot);
        case.incident.show_if_extreme(&mut turn.desk.unshelved);
        case.cluster.measure();
        let appears = self.heed_cause(slot, turn);
        let case = self.case_mut(slot);
        let state = case.state();
        let merged = state.handling == Handling::Merged;
        let incident = &mut case.incident;
        incident.urgent = false;
        incident.told_at = turn.at;
        if let Some(parent) = state.parent {
            turn.desk.family.risen(parent, incident.weight_on_parent());
        }
        let mut how = Some(how);
        loop {
            let verdict = match how.take() {
                Some(how) => how(state.clone()),
                None => Verdict::IncidentUpdated(state.clone()),
            };
            let part = incident.untold.len().min(EVIDENCE_PER_DECISION_MAX);
            let cause = Cause {
                rule: Some(rule.clone()),
                evidence: incident.untold.drain(..part).collect(),
                due: turn.due,
                way: way.take(),
                ..Cause::default()
            };
            turn.decide(verdict, cause);
            // What has merged is told no more: its survivor names the rest.
            if incident.untold.is_empty() || merged {
                break;
            }
        }
        if appears {
            self.appear(slot, turn);
        }
        if !merged {
            self.time_the_escalation(slot, turn);
        }
    }

    pub(super) fn set_timer(
        &mut self,
        slot: u32,
        why: Purpose,
        due: Option<Timestamp>,
        turn: &mut Turn<'_>,
    ) {
        let rule = &self.rule.name;
        let case = self.cases.get_mut(slot);
        let incident = &mut case.expect("a slot in use").incident;
        set_timer(incident, rule, why, due, turn);
    }

    pub(super) fn cancel_timers(&self, incident: &mut Incident, turn: &mut Turn<'_>) {
        for why in Purpose::ALL {
            set_timer(incident, &self.rule.name, why, None, turn);
        }
    }
}

/// Moves an incident's timer of this purpose.
fn set_timer(
    incident: &mut Incident,
    rule: &RuleId,
    why: Purpose,
    due: Option<Timestamp>,
    turn: &mut Turn<'_>,
) {
    let before = std::mem::replace(&mut incident.dues[why as usize], due);
    if before != due {
        if let Some(place) = why.lasting() {
            incident.lasts_since[place] = turn.at;
        }
        let subject = (incident.id, why);
        turn.desk.timers.replace(before, due, rule, &subject);
    }
}
