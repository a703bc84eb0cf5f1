//! What belongs together by a person's word: incidents that are one, parts that are not, evidence
//! that belongs elsewhere.
//!
//! Arrives: what is asked about incidents of one rule. Leaves: mergers, splits and moves, told with
//! the sources that they concern. Promise: what was merged and is split again has the members that
//! it had (INV-13), whether a rule or a person merged it; membership stays a partition (INV-12); what
//! a person has split is not merged again by evidence. Next: `merge.rs`.

use super::family::Origin;
use super::people::refused;
use super::{Correlator, Turn};
use crate::book::For;
use crate::decision::{Cause, Condition, Named, Refusal, RefusalCode, Severity, Verdict};
use crate::id::{IncidentId, SensorId};
use crate::incident::{Asked, Case, Cluster, Incident, Member, Source};
use crate::limits::{EVIDENCE_PER_DECISION_MAX, MERGERS_ASKED_MAX};
use crate::time::Timestamp;

/// Which members are meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// What became part of it when this incident merged into it.
    Merged(IncidentId),
    /// Those that are named, a line each: a sensor, or `sensor/reading` for one report.
    Named(&'a str),
}

impl Correlator {
    /// Two incidents are one: at once, or when the members of the smaller have moved, if both have
    /// many.
    pub fn merge_by_person(
        &mut self,
        [id, other]: [IncidentId; 2],
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let [one, two] = [self.open_slot(id)?, self.open_slot(other)?];
        for (slot, other) in [(one, other), (two, id)] {
            let apart = &mut self.case_mut(slot).incident.apart;
            apart.retain(|each| *each != other);
        }
        let under_way = self.case(one).incident.asked.len();
        if self.are_large(one, two) && under_way < MERGERS_ASKED_MAX {
            let incident = &mut self.case_mut(one).incident;
            incident.unites.push_front(other);
            incident.asked.push(Asked::of(other, cause));
            self.time_the_uniting(one, turn);
            return Ok(());
        }
        let slot = self.merge(one, two, turn);
        self.touch(slot);
        Ok(())
    }

    /// A part of an incident is another one, of this id if nothing has it. Returns the one that it has.
    pub fn split(
        &mut self,
        id: IncidentId,
        (part, wanted): (Part<'_>, IncidentId),
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) -> Result<IncidentId, Refusal> {
        let slot = self.open_slot(id)?;
        let sources = self.meant(slot, part, turn)?;
        if turn.desk.book.make_room(For::People).is_none() {
            return Err(refused(
                RefusalCode::TooManyIncidents,
                &self.case(slot).state(),
            ));
        }
        self.tell_what_waits(slot, turn);
        let new = self.unused_id(wanted, turn, |id| self.slots.contains_key(&id));
        let incident = self.case(slot).incident.part(new, turn.at);
        turn.desk.book.opened(new, self.rule.name.clone());
        let part = self.put_case(Case {
            incident,
            cluster: Cluster::of(new),
        });
        self.move_sources(&sources, slot, part);
        self.begin_part(part, turn);
        // Nobody knew of it: nothing appears that was hidden.
        let _ = self.heed_cause(part, turn);
        self.case_mut(part).rests_on_less();
        self.case_mut(slot).rests_on_less();
        self.case_mut(slot).incident.keep_apart(new);
        let told = Verdict::IncidentSplit {
            incident: self.case(part).state(),
            from: id,
            moved: Named::of(&sources, EVIDENCE_PER_DECISION_MAX),
        };
        turn.decide(told, cause.clone());
        self.time_the_escalation(part, turn);
        let left = self.case(part).gravest();
        self.tell_the_rest(slot, left, turn);
        self.touch(part);
        Ok(new)
    }

    /// Evidence of one incident belongs to another.
    pub fn move_evidence(
        &mut self,
        [id, to]: [IncidentId; 2],
        named: &str,
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let [from, into] = [self.open_slot(id)?, self.open_slot(to)?];
        let sources = self.meant(from, Part::Named(named), turn)?;
        self.tell_what_waits(from, turn);
        self.tell_what_waits(into, turn);
        self.move_sources(&sources, from, into);
        self.case_mut(from).rests_on_less();
        let case = self.case_mut(into);
        let (severity, certainty) = case.cluster.verdict();
        case.incident.rise(severity, certainty);
        case.incident.urgent = false;
        let appears = self.heed_cause(into, turn);
        let case = self.case(into);
        let told = Verdict::IncidentEvidenceMoved {
            incident: case.state(),
            from: id,
            moved: Named::of(&sources, EVIDENCE_PER_DECISION_MAX),
        };
        if let Some(parent) = case.incident.parent {
            turn.desk.family.risen(parent, case.incident.severity);
        }
        turn.decide(told, cause.clone());
        if appears {
            self.appear(into, turn);
        }
        self.time_the_escalation(into, turn);
        self.tell_the_rest(from, severity, turn);
        self.touch(into);
        Ok(())
    }

    /// Whether a part that a person split from an incident is nearer to what began so than the rest is.
    pub fn has_taken_along(&self, [rest, part]: [IncidentId; 2], origin: &Origin) -> bool {
        if !self.case(self.slots[&part]).incident.apart.contains(&rest) {
            return false;
        }
        let causes = self.causes_of(origin).into_iter();
        let both = causes.filter(|(.., id)| [rest, part].contains(id));
        both.min().is_some_and(|(.., nearest)| nearest == part)
    }

    /// Whether a person has said that two cases are not one.
    pub(super) fn are_apart(&self, one: u32, other: u32, turn: &Turn<'_>) -> bool {
        let says = |slot: u32, of: u32| {
            let id = self.case(of).incident.id;
            let mut apart = self.case(slot).incident.apart.iter();
            apart.any(|each| {
                let now = turn.desk.book.find(*each).map(|(now, _)| now);
                now.unwrap_or(*each) == id
            })
        };
        says(one, other) || says(other, one)
    }

    /// The slot of an incident that is not over.
    fn open_slot(&self, id: IncidentId) -> Result<u32, Refusal> {
        let slot = self.slots[&id];
        let case = self.case(slot);
        match case.incident.condition {
            Condition::Active | Condition::Unknown => Ok(slot),
            Condition::Cleared => Err(refused(RefusalCode::IncidentOver, &case.state())),
        }
    }

    /// The members that are meant: some, but not all. What leads to a case by one sensor's name stays
    /// together.
    fn meant(&self, slot: u32, part: Part<'_>, turn: &Turn<'_>) -> Result<Vec<Source>, Refusal> {
        let case = self.case(slot);
        let book = &turn.desk.book;
        let is_named = |source: &Source| match part {
            Part::Merged(id) => {
                let origin = case.cluster.origin_of(source);
                origin.is_some_and(|origin| book.went_through(origin, id))
            }
            Part::Named(lines) => lines.lines().any(|line| source.is_called(line)),
        };
        let members = || case.cluster.members();
        let named = members().filter(|(source, _)| is_named(source));
        let leading = named.filter(|(source, member)| member.is_led_to(source));
        let leading: Vec<&SensorId> = leading.map(|(source, _)| &source.sensor).collect();
        let is_meant = |(source, member): &(&Source, &Member)| {
            let led = member.is_led_to(source) && leading.binary_search(&&source.sensor).is_ok();
            led || is_named(source)
        };
        let meant = members().filter(is_meant);
        let meant: Vec<_> = meant.map(|(source, _)| source.clone()).collect();
        let code = match meant.len() {
            0 => RefusalCode::NoSuchSource,
            all if all == case.cluster.len() => RefusalCode::NothingLeft,
            _ => return Ok(meant),
        };
        Err(refused(code, &case.state()))
    }

    fn tell_what_waits(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if !self.case(slot).incident.untold.is_empty() {
            self.tell(slot, Verdict::IncidentUpdated, turn);
        }
    }

    /// Tells what is left of an incident. What made it as grave as it was may have `left`.
    fn tell_the_rest(&mut self, slot: u32, left: Severity, turn: &mut Turn<'_>) {
        let case = self.case_mut(slot);
        let gravest = case.gravest();
        if gravest < left && case.incident.severity <= left && !case.incident.docket.rated {
            case.incident.severity = gravest;
        }
        case.incident.said = case.incident.said.min(case.cluster.gravest());
        self.tell(slot, Verdict::IncidentUpdated, turn);
        self.touch(slot);
    }

    /// Moves members from one case to another, with all that leads to them.
    fn move_sources(&mut self, sources: &[Source], from: u32, to: u32) {
        let id = self.case(to).incident.id;
        for source in sources {
            let Some(mut member) = self.case_mut(from).cluster.remove(source) else {
                continue;
            };
            member.belongs_to(None);
            self.lead_to(to, from, source, &member);
            self.case_mut(to).cluster.take_over(source, member, id);
        }
    }

    /// What a part is when it begins: as grave as its members, as old as the first of them.
    fn begin_part(&mut self, part: u32, turn: &mut Turn<'_>) {
        let Case { incident, cluster } = self.case_mut(part);
        let (severity, certainty) = cluster.verdict();
        incident.says(severity, certainty);
        incident.condition = cluster.condition();
        incident.begun_at = cluster.begun_at().unwrap_or(turn.at);
        if let Some(parent) = incident.parent {
            turn.desk.family.add(parent, incident.id);
            turn.desk.family.risen(parent, incident.severity);
        }
    }
}

impl Incident {
    /// A part of it, that begins to be another incident: people have done about it what they did
    /// about the whole.
    fn part(&self, id: IncidentId, at: Timestamp) -> Self {
        let mut part = Self::begin(id, self.kind.clone(), self.zone.clone(), at);
        part.opened_at = Some(at);
        part.docket = self.docket.of_part();
        part.parent = self.parent;
        part.observed = self.observed;
        part.keep_apart(self.id);
        part
    }
}
