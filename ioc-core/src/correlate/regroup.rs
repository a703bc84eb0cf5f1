//! What belongs together by a person's word: incidents that are one, parts that are not, evidence
//! that belongs elsewhere.
//!
//! Arrives: what is asked about incidents of one rule. Leaves: mergers, splits and moves, told with
//! the sources that they concern. Promise: what was merged and is split again has the members that
//! it had (INV-13), whether a rule or a person merged it; membership stays a partition (INV-12); what
//! a person has split is not merged again by evidence. Where thousands are meant they go over in steps,
//! spread over logical time: who is still to go is marked as the other's, and each step tells whom it
//! took. Next: `merge.rs`.

use super::family::{Joined, Origin};
use super::people::refused;
use super::{Correlator, Turn};
use crate::book::{Book, For};
use crate::decision::{Cause, Condition, Named, Refusal, RefusalCode, Severity, Verdict};
use crate::id::IncidentId;
use crate::incident::{Asked, Case, Cluster, Incident, Member, Purpose, Source, Word};
use crate::limits::{EVIDENCE_PER_DECISION_MAX, MEMBERS_MOVED_PER_STEP, MERGERS_ASKED_MAX};
use crate::time::Timestamp;

/// Which members are meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// What became part of it when this incident merged into it.
    Merged(IncidentId),
    /// Those that are named, a line each: a sensor, or `sensor/reading` for one report.
    Named(&'a str),
}

/// Who of an incident's members is meant, in the order of their names, and how many they are.
#[derive(Debug)]
struct Meant {
    members: Vec<bool>,
    count: usize,
}

/// Asks of one member after another, in the order of their names, whether it is meant.
struct Asking<'a> {
    book: &'a Book,
    /// What became part of it when this incident merged into it.
    merged: Option<IncidentId>,
    /// The last answer to that.
    went_through: Option<(IncidentId, bool)>,
    /// Those that are named, in order: a sensor, or one of its reports.
    named: Vec<(&'a str, Option<&'a str>)>,
    /// How many of these come before the member that is asked of.
    passed: usize,
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
            let incident = &mut self.case_mut(slot).incident;
            incident.apart.retain(|each| *each != other);
            // What was to go over stays where both will be.
            incident.asked.retain(|asked| asked.other != other);
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

    /// A part of an incident is another one, of this id if nothing has it.
    pub fn split(
        &mut self,
        id: IncidentId,
        (part, wanted): (Part<'_>, IncidentId),
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let slot = self.open_slot(id)?;
        let meant = self.meant(slot, part, turn)?;
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
        let (sources, said) = self.go_over(slot, &meant, (new, cause), turn);
        self.move_sources(&sources, slot, part);
        self.begin_part(part, said, turn);
        self.part_where_it_is([slot, part], turn);
        // Nobody knew of it: nothing appears that was hidden.
        let _ = self.heed_cause(part, turn);
        self.case_mut(slot).incident.keep_apart(new);
        let told = Verdict::IncidentSplit {
            incident: self.case(part).state(),
            from: id,
            moved: Named::of(&sources, EVIDENCE_PER_DECISION_MAX),
        };
        turn.decide(told, cause.clone());
        self.time_the_escalation(part, turn);
        if sources.len() == meant.count {
            self.have_gone(slot, part, turn);
        }
        self.touch(part);
        Ok(())
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
        let meant = self.meant(from, Part::Named(named), turn)?;
        self.tell_what_waits(from, turn);
        self.tell_what_waits(into, turn);
        let (sources, _) = self.go_over(from, &meant, (to, cause), turn);
        self.take_sources(&sources, [from, into], cause, turn);
        if sources.len() == meant.count {
            self.have_gone(from, into, turn);
        }
        Ok(())
    }

    /// The time has come for further members that a person's word lets go over to another incident.
    /// Returns whether any were awaited.
    pub(super) fn go_over_more(&mut self, slot: u32, turn: &mut Turn<'_>) -> bool {
        let incident = &self.case(slot).incident;
        let Some(asked) = incident.going_over() else {
            return false;
        };
        let (mark, cause) = (asked.other, asked.cause());
        let into = self.slots.get(&mark).copied().or_else(|| {
            let (now, _) = turn.desk.book.find(mark)?;
            self.slots.get(&now).copied()
        });
        let cluster = &self.case(slot).cluster;
        let sources = cluster.first_of(mark, MEMBERS_MOVED_PER_STEP + 1);
        let into = into.filter(|&into| into != slot && !sources.is_empty());
        let is_last = sources.len() <= MEMBERS_MOVED_PER_STEP;
        if is_last || into.is_none() {
            self.take_asked(slot, mark);
        }
        if let Some(into) = into {
            let step = &sources[..sources.len().min(MEMBERS_MOVED_PER_STEP)];
            self.take_sources(step, [slot, into], &cause, turn);
            if is_last {
                self.have_gone(slot, into, turn);
            }
        }
        true
    }

    /// Members of one incident are another's, and that is told.
    fn take_sources(
        &mut self,
        sources: &[Source],
        [from, into]: [u32; 2],
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) {
        self.note_what_moves(sources, [from, into], turn);
        let [others, own] = [from, into].map(|slot| &self.case(slot).cluster);
        let (weightless, before) = (others.weightless_of(sources, own), own.sources());
        let said = self.move_sources(sources, from, into);
        self.part_where_it_is([from, into], turn);
        let case = self.case_mut(into);
        let (severity, certainty) = said.verdict(&case.cluster);
        case.is_joined_by_weightless(weightless, before);
        let was = case.incident.own_severity();
        case.incident.rise_anew(severity, certainty);
        if case.is_judged() {
            sources
                .iter()
                .for_each(|source| case.cluster.is_judged_by(source));
        }
        let unshelved = &mut turn.desk.unshelved;
        case.incident.show_if_graver(was, unshelved);
        case.incident.urgent = false;
        case.cluster.measure();
        let appears = self.heed_cause(into, turn);
        let told = Verdict::IncidentEvidenceMoved {
            incident: self.case(into).state(),
            from: self.case(from).incident.id,
            moved: Named::of(sources, EVIDENCE_PER_DECISION_MAX),
        };
        self.weigh_on_parent(into, turn);
        turn.decide(told, cause.clone());
        if appears {
            self.appear(into, turn);
        }
        self.time_the_escalation(into, turn);
        self.heed_who_tells(from, turn);
        self.touch(from);
        self.touch(into);
    }

    /// What is hidden behind its cause is about to take in evidence of something that was told: it
    /// is hidden still if the cause has caused that too.
    fn note_what_moves(&self, sources: &[Source], [from, into]: [u32; 2], turn: &mut Turn<'_>) {
        let [told, hidden] = [from, into].map(|slot| &self.case(slot).incident);
        if told.suppressed || !hidden.suppressed {
            return;
        }
        let own = Joined::of(hidden, self.origin(hidden.id));
        let moved = Joined {
            id: hidden.id,
            parent: None,
            by_person: false,
            suppressed: false,
            origin: self.origin_of_some(from, sources),
        };
        turn.desk.family.has_taken_in([own, moved]);
    }

    /// Members of the first of two incidents are the other's: what of them was to part still is, wherever
    /// it and what feeds it are by now.
    fn part_where_it_is(&mut self, both: [u32; 2], turn: &mut Turn<'_>) {
        let [from, _] = both;
        let due = self.case(from).incident.dues[Purpose::Part as usize];
        for slot in both {
            self.part_by_both(slot, due, turn);
        }
    }

    /// All of those who were to go over have.
    fn have_gone(&mut self, from: u32, into: u32, turn: &mut Turn<'_>) {
        let [whole, other] = [from, into].map(|slot| self.case(slot).incident.id);
        self.case_mut(from).rests_on_less();
        if self.case(from).incident.apart.contains(&other) {
            self.case_mut(into).rests_on_less();
            self.divided.push([whole, other]);
        }
        let left = self.case(into).cluster.gravest();
        self.tell_the_rest(from, left, turn);
    }

    /// What a person has split by now, the whole and its part each: of the children of the one some may
    /// follow the other.
    pub fn take_divided(&mut self) -> Vec<[IncidentId; 2]> {
        std::mem::take(&mut self.divided)
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
        // Of thousands that are near few have been split from anything: the others are not read.
        let says = |slot: u32, of: u32| {
            if !self.brief(slot).is_split {
                return false;
            }
            let id = self.brief(of).id;
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
    /// together. Who is to go over to another incident is none of this one's any more.
    fn meant(&self, slot: u32, part: Part<'_>, turn: &Turn<'_>) -> Result<Meant, Refusal> {
        let Case { incident, cluster } = self.case(slot);
        let going = incident.all_going_over();
        let mut asking = Asking::of(part, &turn.desk.book);
        let mut ask = |(source, member): (&Source, &Member)| {
            let origin = member.origin.or(cluster.origin());
            let goes = member.origin.is_some_and(|origin| going.contains(&origin));
            let leads = member.is_led_to(source);
            (goes, leads, !goes && asking.means(source, origin))
        };
        let mut all = cluster.members().peekable();
        let (mut members, mut stays) = (Vec::with_capacity(cluster.len()), 0);
        let mut asked = Vec::new();
        while let Some((first, member)) = all.next() {
            asked.push(ask((first, member)));
            // Only of one that is not the first of its sensor need the name be read for that.
            while let Some(next) = all.next_if(|(next, _)| next.is_further_of(first)) {
                asked.push(ask(next));
            }
            let led = asked.iter().any(|(_, leads, meant)| *leads && *meant);
            for (goes, leads, meant) in asked.drain(..) {
                members.push(!goes && (meant || led && leads));
                stays += usize::from(!goes);
            }
        }
        let count = members.iter().filter(|meant| **meant).count();
        let code = match count {
            0 => RefusalCode::NoSuchSource,
            all if all == stays => RefusalCode::NothingLeft,
            _ => return Ok(Meant { members, count }),
        };
        Err(refused(code, &self.case(slot).state()))
    }

    /// Those who go over to another incident at once. If they are too many for one step, the others are
    /// marked as its, and follow. With what all who are meant say.
    fn go_over(
        &mut self,
        slot: u32,
        meant: &Meant,
        (to, cause): (IncidentId, &Cause),
        turn: &mut Turn<'_>,
    ) -> (Vec<Source>, Word) {
        let Case { incident, cluster } = self.case_mut(slot);
        let in_steps = incident.asked.len() < MERGERS_ASKED_MAX;
        let room = if in_steps {
            MEMBERS_MOVED_PER_STEP
        } else {
            usize::MAX
        };
        let (sources, said) = cluster.mark(&meant.members, room, to);
        if sources.len() < meant.count {
            incident.asked.push(Asked::of(to, cause));
            self.time_the_uniting(slot, turn);
        }
        (sources, said)
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

    /// Moves members from one case to another, with all that leads to them. Returns what they say.
    fn move_sources(&mut self, sources: &[Source], from: u32, to: u32) -> Word {
        let id = self.case(to).incident.id;
        let mut said = Word::NONE;
        for source in sources {
            let Some(mut member) = self.case_mut(from).cluster.remove(source) else {
                continue;
            };
            said.add(source, &member);
            member.belongs_to(None);
            self.lead_out(from, source, &member);
            let member = self.one_of_its_name(to, source, member);
            self.lead_to(to, from, source, &member);
            self.case_mut(to).cluster.take_over(source, member, id);
        }
        said
    }

    /// What a part is when it begins: as grave as its members, as old as the first of them.
    fn begin_part(&mut self, part: u32, said: Word, turn: &mut Turn<'_>) {
        let Case { incident, cluster } = self.case_mut(part);
        let (severity, certainty) = said.of_part(cluster);
        incident.says(severity, certainty);
        incident.condition = cluster.condition();
        incident.begun_at = said.since.unwrap_or(turn.at);
        if let Some(parent) = incident.parent {
            turn.desk.family.add(parent, incident.id);
            turn.desk.family.risen(parent, incident.weight_on_parent());
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

impl<'a> Asking<'a> {
    fn of(part: Part<'a>, book: &'a Book) -> Self {
        let (merged, named) = match part {
            Part::Merged(id) => (Some(id), ""),
            Part::Named(lines) => (None, lines),
        };
        let named = named.lines().map(|line| match line.split_once('/') {
            None => (line, None),
            Some((sensor, report)) => (sensor, Some(report)),
        });
        let mut named: Vec<_> = named.collect();
        named.sort_unstable();
        Self {
            book,
            merged,
            went_through: None,
            named,
            passed: 0,
        }
    }

    /// Whether this one is meant, which was first a member of `origin`.
    fn means(&mut self, source: &Source, origin: Option<IncidentId>) -> bool {
        match (self.merged, origin) {
            (Some(id), Some(origin)) => self.has_gone_through(origin, id),
            (Some(_), None) => false,
            (None, _) => self.names(source),
        }
    }

    /// Most members have one origin.
    fn has_gone_through(&mut self, origin: IncidentId, id: IncidentId) -> bool {
        match self.went_through {
            Some((last, went)) if last == origin => went,
            _ => {
                let went = self.book.went_through(origin, id);
                self.went_through = Some((origin, went));
                went
            }
        }
    }

    fn names(&mut self, source: &Source) -> bool {
        let sensor = source.sensor.as_str();
        let before = self.named[self.passed..].iter();
        self.passed += before.take_while(|(name, _)| *name < sensor).count();
        let own = self.named[self.passed..].iter();
        let mut own = own.take_while(|(name, _)| *name == sensor);
        own.any(|(_, report)| match (report, &source.report) {
            (None, _) => true,
            (Some(report), Some(own)) => *report == own.as_str(),
            (Some(_), None) => false,
        })
    }
}
