//! Many become one: incidents that evidence shows to be one happening, and candidates with them.
//!
//! Promise: who survives depends on when incidents opened and on their ids alone; the work is that
//! of moving the members of the smaller part, whoever survives. Where thousands are shown to be one
//! they become so in steps, spread over logical time; and so do two that both have many members, by
//! evidence or a person's word: those of the smaller go over first, and what is left of it merges.
//! Next: `lifecycle.rs`.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::along::Kin;
use super::{Correlator, Turn};
use crate::decision::{Certainty, Condition, Ending, Handling, Severity, Tier, Verdict};
use crate::id::IncidentId;
use crate::incident::{Asked, Case, Cluster, Incident, Member, Purpose, Source};
use crate::limits::{CHILDREN_STEP, MEMBERS_MOVED_PER_STEP, MERGED_PER_STEP};
use crate::time::Timestamp;

impl Correlator {
    /// Makes one of all that evidence at one place shows to be one happening. Returns its slot.
    pub(super) fn unite(&mut self, slot: u32, near: &[Kin], turn: &mut Turn<'_>) -> u32 {
        let mut one = slot;
        let others = near.iter().map(|near| near.slot);
        let others = others.filter(|&other| other != slot && self.joins(other));
        let others = others.map(|other| (self.seniority(other), other));
        // Where thousands are near, memory is asked for once.
        let mut all = Vec::with_capacity(near.len());
        all.extend(others);
        // In an order that has nothing to do with slots: no two are as senior.
        all.sort_unstable();
        let (others, rest) = all.split_at(all.len().min(MERGED_PER_STEP));
        let rest = rest.iter();
        let rest = rest.filter(|(_, other)| !self.are_apart(slot, *other, turn));
        let rest: Vec<_> = rest.map(|((.., id), _)| *id).collect();
        let mut large = Vec::new();
        for &((.., id), other) in others {
            if self.are_apart(one, other, turn) || !self.same.may_be_one(one, other) {
                continue;
            }
            if self.are_large(one, other) {
                large.push(id);
            } else {
                one = self.merge(one, other, turn);
            }
        }
        let unites = &mut self.case_mut(one).incident.unites;
        unites.extend(large);
        unites.extend(rest);
        self.time_the_uniting(one, turn);
        one
    }

    /// The time has come for others that are the same, or for what goes over to another first. What
    /// exceeds one step follows.
    pub(super) fn unite_more(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if self.go_over_more(slot, turn) {
            self.time_the_uniting(slot, turn);
            return;
        }
        let mut one = slot;
        for _ in 0..MERGED_PER_STEP {
            let Some(other) = self.case_mut(one).incident.unites.pop_front() else {
                break;
            };
            let asked = self.take_asked(one, other);
            let other = self.slots.get(&other).copied().or_else(|| {
                let (now, _) = turn.desk.book.find(other)?;
                self.slots.get(&now).copied()
            });
            let both = [Some(one), other];
            let join = both.into_iter().flatten().all(|slot| self.joins(slot));
            let may_be_one = other.is_some_and(|other| self.same.may_be_one(one, other));
            let join = (join && may_be_one) || asked.is_some();
            let Some(other) = other.filter(|&other| other != one && join) else {
                continue;
            };
            if self.are_apart(one, other, turn) {
                continue;
            }
            if self.are_large(one, other) {
                let id = self.case(other).incident.id;
                let incident = &mut self.case_mut(one).incident;
                incident.unites.push_front(id);
                incident.asked.extend(asked.map(|asked| asked.with(id)));
                self.move_some_members(one, other, turn);
                break;
            }
            let begin = turn.decisions.len();
            one = self.merge(one, other, turn);
            if let Some(asked) = asked {
                asked.followed_by(&mut turn.decisions[begin..]);
            }
        }
        self.time_the_uniting(one, turn);
        self.touch(one);
    }

    /// Whether a person has asked for what waits to become one with a case: it is not waited for again.
    pub(super) fn take_asked(&mut self, slot: u32, other: IncidentId) -> Option<Asked> {
        let asked = &mut self.case_mut(slot).incident.asked;
        let place = asked.iter().position(|asked| asked.other == other)?;
        Some(asked.remove(place))
    }

    /// Lets those that are to become one with a case follow soon, if there are any.
    pub(super) fn time_the_uniting(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let incident = &self.case(slot).incident;
        let running = incident.dues[Purpose::Unite as usize];
        let waits = !(incident.unites.is_empty() && incident.asked.is_empty());
        let due = waits.then(|| running.unwrap_or(turn.at + CHILDREN_STEP));
        self.set_timer(slot, Purpose::Unite, due, turn);
    }

    /// Whether a case becomes one with another near it. A cleared incident does not: it is over,
    /// unless its own sensors reopen it.
    pub(super) fn joins(&self, slot: u32) -> bool {
        self.brief(slot).condition != Condition::Cleared
    }

    /// What decides who survives a merger: incidents before candidates, then the earliest, then
    /// the least id.
    fn seniority(&self, slot: u32) -> (bool, Timestamp, IncidentId) {
        let case = self.brief(slot);
        let since = case.opened_at.unwrap_or(case.begun_at);
        (case.opened_at.is_none(), since, case.id)
    }

    /// Merges two cases, at the cost of the one with fewer members. Returns the survivor's slot.
    pub(super) fn merge(&mut self, one: u32, other: u32, turn: &mut Turn<'_>) -> u32 {
        let one_survives = self.seniority(one) < self.seniority(other);
        let (survivor, loser) = if one_survives {
            (one, other)
        } else {
            (other, one)
        };
        let adopts = |slot| self.case(slot).incident.dues[Purpose::Adopt as usize].is_some();
        let loser_adopts = adopts(loser);
        let incident = &self.case(loser).incident;
        let (docket, suppressed) = (incident.docket.clone(), incident.suppressed);
        let loser_parts = self.case(loser).incident.dues[Purpose::Part as usize];
        let clocks = [survivor, loser].map(|slot| Clock::of(&self.case(slot).incident));
        // What was over is as grave as what it comes back with.
        let incident = &self.case(survivor).incident;
        let is_over = incident.condition == Condition::Cleared;
        let severity = (!is_over).then_some(incident.severity);
        if self.case(loser).incident.opened_at.is_some() {
            self.note_parts([survivor, loser], turn);
        }
        self.end_by_merging(loser, survivor, turn);
        let mut loser_case = self.take_case(loser);
        loser_case.incident.docket = docket;
        loser_case.incident.suppressed = suppressed;
        let mut survivor_case = self.take_case(survivor);
        if loser_case.incident.opened_at.is_some() {
            // Who wanted one of them quiet has not heard of the other.
            let unshelved = &mut turn.desk.unshelved;
            let both = loser_case.incident.shelved_until.is_some();
            loser_case
                .incident
                .unshelve(Ending::IncidentOver, unshelved);
            if !both {
                survivor_case
                    .incident
                    .unshelve(Ending::IncidentOver, unshelved);
            }
        }
        let before = survivor_case.cluster.sources();
        let mut weightless = 0;
        if loser_case.incident.opened_at.is_none() {
            survivor_case.is_joined_by(&loser_case.cluster);
            if survivor_case.incident.docket.handling.dismissal().is_some() {
                weightless = loser_case.cluster.weightless_for(&survivor_case.cluster);
            }
        }
        forget_common(&mut survivor_case, &mut loser_case);
        if loser_case.incident.opened_at.is_none() && survivor_case.is_judged() {
            loser_case.cluster.is_judged();
        }
        let loser_id = loser_case.incident.id;
        let between_incidents = loser_case.incident.opened_at.is_some();
        let parents = [&survivor_case, &loser_case].map(|case| case.incident.parent);
        let was = survivor_case.incident.own_severity();
        let mut incident = survivor_case.incident.after_merging(loser_case.incident);
        if !between_incidents {
            incident.show_if_graver(was, &mut turn.desk.unshelved);
        }
        // A candidate has no family, and may have the id of another rule's incident that has.
        if between_incidents {
            let family = &mut turn.desk.family;
            family.after_merging(incident.id, loser_id, parents, incident.parent);
        }
        if !between_incidents {
            // What nobody was told of was a part of the survivor from its beginning.
            loser_case.cluster.is_of(incident.id);
        }
        let loser_is_larger = loser_case.cluster.len() > survivor_case.cluster.len();
        if let Some(parent) = incident
            .parent
            .filter(|_| !between_incidents && loser_is_larger)
        {
            turn.desk.family.after_taking_in(incident.id, parent);
        }
        let (stays, moves, slot, from) = if loser_is_larger {
            (loser_case.cluster, survivor_case.cluster, loser, survivor)
        } else {
            (survivor_case.cluster, loser_case.cluster, survivor, loser)
        };
        self.slots.insert(incident.id, slot);
        let cluster = stays;
        self.cases.put(slot, Case { incident, cluster });
        self.move_members(moves, from, slot);
        // What a person judged of one of them is no word about both.
        let case = self.case_mut(slot);
        case.is_joined_by_weightless(weightless, before);
        let (said, gravest) = (case.cluster.gravest(), case.gravest());
        case.incident.rise(said, Certainty::Unknown);
        case.incident.rise_to(gravest);
        case.incident.urgent |= case.incident.suppressed && case.cluster.is_told_by_person();
        self.free.push(from);
        self.go_on_waiting(slot, clocks, severity, turn);
        self.time_the_uniting(slot, turn);
        if between_incidents && turn.desk.family.has_children(loser_id) || loser_adopts {
            let due = turn.at + CHILDREN_STEP;
            self.set_timer(slot, Purpose::Adopt, Some(due), turn);
        }
        if between_incidents {
            self.part_by_both(slot, loser_parts, turn);
        }
        slot
    }

    /// What nobody had seen of the one that has become part of an incident goes on to wait for
    /// somebody, where that, which was so grave, does not: it was explained, over, or seen as it was.
    /// Where both wait it is the one that is passed on further, if it is as grave; of these the one
    /// that is passed on first. Who was called for what is less grave has not been for the other.
    fn go_on_waiting(
        &mut self,
        slot: u32,
        [own, other]: [Option<Clock>; 2],
        severity: Option<Severity>,
        turn: &mut Turn<'_>,
    ) {
        let incident = &mut self.case_mut(slot).incident;
        let is_new = incident.docket.handling == Handling::New;
        let Some(other) = other.filter(|_| is_new) else {
            return;
        };
        if own.is_none_or(|own| other.is_further_than(&own)) {
            let as_grave = severity.is_none_or(|severity| other.severity >= severity);
            incident.docket.escalated = other.passed_to.filter(|_| as_grave);
            incident.unseen_since = other.since.filter(|_| as_grave);
            incident.awaited = Some(other.severity).max(severity);
            self.set_timer(slot, Purpose::Escalate, other.due, turn);
        }
    }

    /// Whether too many members would move if two cases became one at once.
    pub(super) fn are_large(&self, one: u32, other: u32) -> bool {
        let members = [one, other].map(|slot| self.case(slot).cluster.len());
        members.into_iter().min() > Some(MEMBERS_MOVED_PER_STEP)
    }

    /// Moves some members of the smaller of two cases to the larger, which it is about to become one
    /// with.
    fn move_some_members(&mut self, one: u32, other: u32, turn: &mut Turn<'_>) {
        let members = |slot: u32| self.case(slot).cluster.len();
        let (from, to) = match members(one) < members(other) {
            true => (one, other),
            false => (other, one),
        };
        let cluster = &self.case(from).cluster;
        let origin = cluster.origin();
        let first = cluster.members().take(MEMBERS_MOVED_PER_STEP);
        let first: Vec<_> = first.map(|(source, _)| source.clone()).collect();
        let weightless = cluster.weightless_of(&first, &self.case(to).cluster);
        let sources = |slot: u32| self.case(slot).cluster.sources();
        let [before, before_there] = [to, from].map(sources);
        for source in first {
            let moved = self.case_mut(from).cluster.remove(&source);
            let member = moved.expect("it is a member");
            self.lead_out(from, &source, &member);
            let member = self.one_of_its_name(to, &source, member);
            self.lead_to(to, from, &source, &member);
            self.case_mut(to).cluster.gain_of(source, member, origin);
        }
        let others = self.case(from);
        let opened = others.incident.opened_at.is_some();
        let moved = before_there.saturating_sub(others.cluster.sources());
        let mut docket = others.incident.docket.clone();
        let case = self.case_mut(to);
        if opened {
            // Who dismissed both knew of them.
            let more = case.cluster.sources().saturating_sub(before);
            let own = &mut case.incident.docket;
            own.rests_on_more(moved, more, &mut docket);
        } else {
            case.is_joined_by_weightless(weightless, before);
        }
        let (severity, certainty) = case.cluster.verdict();
        case.incident.rise(severity, certainty);
        if opened {
            let case = self.case_mut(from);
            case.incident.docket = docket;
            case.rests_on_less();
        }
        let parts = self.case(from).incident.dues[Purpose::Part as usize];
        self.part_by_both(to, parts, turn);
        self.heed_who_tells(from, turn);
        self.heed_who_tells(to, turn);
        self.touch(from);
        self.touch(to);
    }

    /// Nothing leads to a member of a case any more but its sensor's name.
    pub(super) fn lead_out(&mut self, from: u32, source: &Source, member: &Member) {
        if let Some(place) = member.position {
            self.index.remove(from, place);
        }
        self.network.remove(from, &source.sensor);
        self.same.remove(from, &member.shared);
        self.reports.remove(from, source);
    }

    /// What led to a member of one case leads to another.
    pub(super) fn lead_to(&mut self, to: u32, from: u32, source: &Source, member: &Member) {
        if let Some(place) = member.position {
            self.index.insert(to, place);
        }
        self.network.insert(to, &source.sensor);
        self.same.insert(to, &member.shared);
        self.reports.insert(to, source);
        let leads = member.is_led_to(source);
        if leads && self.by_sensor.get(&source.sensor) == Some(&from) {
            self.by_sensor.insert(source.sensor.clone(), to);
        }
    }

    /// Moves all members of a cluster from its slot to another case.
    fn move_members(&mut self, moves: Cluster, from: u32, to: u32) {
        self.case_mut(to).cluster.add_counts(&moves);
        let origin = moves.origin();
        for (source, member) in moves.into_members() {
            self.lead_out(from, &source, &member);
            let member = self.one_of_its_name(to, &source, member);
            self.lead_to(to, from, &source, &member);
            self.case_mut(to).cluster.adopt_of(source, member, origin);
        }
    }

    /// Tells that an incident ends in another, and stops its timers. Of a candidate nobody knows.
    fn end_by_merging(&mut self, loser: u32, into: u32, turn: &mut Turn<'_>) {
        let into = self.case(into).incident.id;
        let incident = &mut self.case_mut(loser).incident;
        if incident.opened_at.is_some() {
            incident.docket.handling = Handling::Merged;
            incident.docket.escalated = None;
        }
        let (id, begun_at) = (incident.id, incident.begun_at);
        if incident.opened_at.is_some() {
            self.tell(
                loser,
                |incident| Verdict::IncidentMerged { incident, into },
                turn,
            );
            turn.desk.book.merged(id, into, turn.at);
        }
        let mut case = self.take_case(loser);
        self.cancel_timers(&mut case.incident, turn);
        self.cases.put(loser, case);
        self.candidates.remove(&(begun_at, id));
        self.slots.remove(&id);
    }
}

/// How long nobody has seen an incident that waits for somebody.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// How grave the incident is.
    severity: Severity,
    /// Whom it was passed to last.
    passed_to: Option<Tier>,
    since: Option<Timestamp>,
    /// When it is passed on next, unless it has been to all.
    due: Option<Timestamp>,
}

impl Clock {
    fn of(incident: &Incident) -> Option<Self> {
        let waits = incident.waits_to_be_seen() || incident.awaited.is_some();
        waits.then(|| Self {
            severity: incident.awaited.unwrap_or(incident.severity),
            passed_to: incident.docket.escalated,
            since: incident.unseen_since,
            due: incident.dues[Purpose::Escalate as usize],
        })
    }

    /// Whether it is of something as grave that was passed on further, or is passed on sooner.
    fn is_further_than(&self, own: &Self) -> bool {
        let place = |clock: &Self| (clock.passed_to, clock.due.map(Reverse));
        self.severity >= own.severity && place(self) > place(own)
    }
}

/// Forgets evidence that waits to be told and that the other case has too: as a report a reading may
/// have joined one incident, and as a measurement another.
fn forget_common(survivor: &mut Case, loser: &mut Case) {
    let waiting = survivor.incident.untold.len() + loser.incident.untold.len();
    let mut both_wait = BTreeSet::new();
    loser.incident.untold.retain(|evidence| {
        let common = survivor.cluster.has_evidence(evidence);
        if common {
            both_wait.insert(evidence.seq);
        }
        !common
    });
    survivor.incident.untold.retain(|evidence| {
        both_wait.contains(&evidence.seq) || !loser.cluster.has_evidence(evidence)
    });
    let left = survivor.incident.untold.len() + loser.incident.untold.len();
    let common = (waiting - left) as u64;
    loser.cluster.readings = loser.cluster.readings.saturating_sub(common);
}
