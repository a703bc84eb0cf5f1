//! The incident: what it is, what the world does, what people do, and what is not yet told of it.
//!
//! Two axes that never mix: sensors drive `condition`, people drive `handling` (INV-10). A
//! candidate is an incident that has not opened yet: nobody was told of it. Who its members are is
//! in `incident/cluster.rs`; what may follow what is in `correlate/lifecycle.rs`.

mod docket;
mod cluster;
mod member;
mod places;
mod taken;
mod asked;
mod voices;
mod explain;

use std::collections::VecDeque;

pub(crate) use self::asked::Asked;
pub(crate) use self::cluster::{Cluster, PERSON, Source, Word, World};
pub(crate) use self::docket::{Docket, Grounds};
pub(crate) use self::member::{Member, Raised, Statement};
use crate::codec::{CodecError, Put, Take};
use crate::correlate::{NEAREST, Nearness, Relative};
use crate::decision::{Certainty, Condition, Evidence, Handling, IncidentState, Severity};
use crate::id::{IncidentId, IncidentKind, RuleId, SensorId, ZoneId};
use crate::limits::{APART_MAX, CANDIDATE_EVIDENCE_MAX, MERGERS_ASKED_MAX};
use crate::record::{Seq, incident_id};
use crate::time::{Millis, Timestamp};

/// Why an incident has a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Reports decay.
    Decay,
    /// Its growth is told.
    Tell,
    /// It has been normal for long enough.
    Clear,
    /// It can no longer reopen.
    Retire,
    /// It takes further children.
    Adopt,
    /// Nobody has seen it in time.
    Escalate,
    /// It has been less grave for long enough.
    Lower,
    /// What stays dark parts from it.
    Part,
    /// Others that are the same follow.
    Unite,
}

impl Purpose {
    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Decay,
        Self::Tell,
        Self::Clear,
        Self::Retire,
        Self::Adopt,
        Self::Escalate,
        Self::Lower,
        Self::Part,
        Self::Unite,
    ];

    /// Whether what nobody was told of yet may wait for it.
    const fn is_of_candidates(self) -> bool {
        matches!(self, Self::Decay | Self::Unite)
    }

    /// How many there are.
    pub const COUNT: usize = 9;

    /// Its place among those that wait for something to last, so that it is decided by what is heard.
    pub const fn lasting(self) -> Option<usize> {
        match self {
            Self::Clear => Some(0),
            Self::Lower => Some(1),
            Self::Part => Some(2),
            Self::Decay
            | Self::Tell
            | Self::Retire
            | Self::Adopt
            | Self::Escalate
            | Self::Unite => None,
        }
    }

    /// How many of those there are.
    pub const LASTING: usize = 3;
}

/// An incident, or a candidate for one, with its members.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Case {
    pub incident: Incident,
    pub cluster: Cluster,
}

/// What an incident is apart from its members. What is asked of each of thousands that are near
/// stands first and together, so that asking waits for one line of memory.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Incident {
    pub id: IncidentId,
    /// When its first evidence came.
    pub begun_at: Timestamp,
    /// When people were told; `None` for a candidate.
    pub opened_at: Option<Timestamp>,
    /// What caused it.
    pub parent: Option<IncidentId>,
    pub severity: Severity,
    pub certainty: Certainty,
    pub condition: Condition,
    /// A person said what caused it, or that nothing is known to have.
    pub parent_by_person: bool,
    /// The gravest that any of its children ever was: it is never less grave itself (INV-18).
    pub from_children: Severity,
    /// How grave its own evidence makes it, its children and people's words apart.
    pub said: Severity,
    /// Something that cannot wait for the next telling.
    pub urgent: bool,
    pub kind: IncidentKind,
    pub zone: ZoneId,
    /// What people do about it.
    pub docket: Docket,
    pub episode: u32,
    /// Evidence that no decision has named yet.
    pub untold: VecDeque<Evidence>,
    /// When it was last told.
    pub told_at: Timestamp,
    /// When each of its timers is due, by [`Purpose`].
    pub dues: [Option<Timestamp>; Purpose::COUNT],
    /// Since when those run that wait for something to last, by their places among these; and while
    /// something parts from it in steps, when the round after this one is due: [`Timestamp::MAX`] if
    /// none is.
    pub lasts_since: [Timestamp; Purpose::LASTING],
    /// When its sources first and last observed it; of rules with a front only.
    pub observed: Option<(Timestamp, Timestamp)>,
    /// From which of its sensors on those that stay dark are to part from it, while they do.
    pub parts_from: Option<SensorId>,
    /// Cases that evidence has shown to be the same happening and that are to become one with it.
    pub unites: VecDeque<IncidentId>,
    /// Those of them that people have asked to become one with it, and others that members of it go over
    /// to by a person's word.
    pub asked: Vec<Asked>,
    /// What it has caused before it was known itself, and that it has not taken as children yet.
    pub adopts: VecDeque<IncidentId>,
    /// What it has caused is to be looked for further than this, when it has taken those.
    pub seeks_beyond: Option<Relative>,
    /// What a person has split from it, or it from: evidence makes no one of them again.
    pub apart: Vec<IncidentId>,
    /// Until when nobody is called for it, by a person's word.
    pub shelved_until: Option<Timestamp>,
    /// It is a symptom of its parent, which lasts: nobody is called for it, by design.
    pub suppressed: bool,
    /// The gravest that its evidence was since its time to become less grave runs.
    pub lowers_to: Severity,
    /// From when on it is counted how long nobody has seen it, while that is. In its place it is saved when
    /// it was dismissed, while it is: one of the two is asked for at most.
    pub unseen_since: Option<Timestamp>,
    /// In this moment: how grave that is which has become part of it, waited to be seen, and goes on to
    /// wait; nothing has, if not.
    pub awaited: Option<Severity>,
    /// In this moment: a source has overruled its dismissal by itself.
    pub reopens: bool,
}

impl Incident {
    /// A candidate that begins now.
    pub fn begin(id: IncidentId, kind: IncidentKind, zone: ZoneId, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            zone,
            begun_at: now,
            opened_at: None,
            severity: Severity::Unknown,
            certainty: Certainty::Unknown,
            condition: Condition::Active,
            docket: Docket::new(),
            episode: 1,
            untold: VecDeque::new(),
            told_at: now,
            urgent: false,
            dues: [None; Purpose::COUNT],
            lasts_since: [Timestamp::MIN; Purpose::LASTING],
            parent: None,
            observed: None,
            parts_from: None,
            from_children: Severity::Unknown,
            said: Severity::Unknown,
            parent_by_person: false,
            unites: VecDeque::new(),
            asked: Vec::new(),
            adopts: VecDeque::new(),
            seeks_beyond: None,
            apart: Vec::new(),
            shelved_until: None,
            suppressed: false,
            lowers_to: Severity::Unknown,
            unseen_since: None,
            awaited: None,
            reopens: false,
        }
    }

    /// Adds evidence to tell. A candidate forgets what is neither the first nor among the newest;
    /// returns whether it did.
    pub fn note(&mut self, evidence: Evidence) -> bool {
        self.untold.push_back(evidence);
        self.opened_at.is_none() && self.forget_evidence()
    }

    /// The rule that a reading is evidence by, while it is not yet told.
    pub fn names_rule(&mut self, sensor: &SensorId, seq: Seq) -> Option<&mut RuleId> {
        let mut untold = self.untold.iter_mut().rev();
        let evidence = untold.find(|own| own.seq == seq && own.sensor == *sensor);
        evidence.map(|evidence| &mut evidence.rule)
    }

    /// Forgets evidence beyond the bound of candidates; returns whether it did.
    fn forget_evidence(&mut self) -> bool {
        let full = self.untold.len() > CANDIDATE_EVIDENCE_MAX;
        while self.untold.len() > CANDIDATE_EVIDENCE_MAX {
            self.untold.swap(0, 1);
            self.untold.pop_front();
        }
        full
    }

    /// Whether people are called until one of them has seen it: what is over wakes nobody.
    pub fn waits_to_be_seen(&self) -> bool {
        self.opened_at.is_some()
            && self.docket.handling == Handling::New
            && self.condition != Condition::Cleared
            && self.shelved_until.is_none()
            && !self.suppressed
    }

    /// The survivor of a merger: as grave as the graver of the two. What a person has seen does not
    /// hold for a survivor that another incident made graver. It has its own cause still, until it
    /// is known what has caused all of it.
    #[must_use]
    pub fn after_merging(mut self, mut loser: Self) -> Self {
        let between_incidents = loser.opened_at.is_some();
        if between_incidents {
            // Who has seen a part of something else has not seen what was told by itself. What goes on to
            // wait for another is to be seen anew already.
            match (self.suppressed, loser.suppressed) {
                (true, false) if self.awaited.is_none() => self.docket.appears(),
                (false, true) => loser.docket.appears(),
                (true, _) | (false, false) => {}
            }
            let goes_on = loser.condition != Condition::Cleared;
            if self.condition == Condition::Cleared && goes_on && self.awaited.is_none() {
                self.docket.is_back_with_another();
            }
            let other_is = loser.severity.cmp(&self.severity);
            self.docket.after_merging(&loser.docket, other_is);
        }
        if between_incidents {
            // As grave as the graver, whatever a person judged of one of them; it may be owed to its
            // children.
            if loser.severity > self.severity {
                self.severity = loser.severity;
                self.docket.graded();
            }
            self.said = self.said.max(loser.said);
            self.certainty = self.certainty.max(loser.certainty);
        } else {
            self.rise_anew(loser.severity, loser.certainty);
        }
        self.from_children = self.from_children.max(loser.from_children);
        if let Some((first, last)) = loser.observed {
            self.observe(first);
            self.observe(last);
        }
        if between_incidents {
            let both = [self.id, loser.id];
            self.parent = self.parent.filter(|parent| !both.contains(parent));
        }
        self.parent_by_person |= between_incidents && loser.parent_by_person;
        self.unites.extend(loser.unites);
        self.asked.extend(loser.asked);
        self.asked.truncate(MERGERS_ASKED_MAX);
        self.adopts.extend(loser.adopts);
        if self.seeks_beyond.is_some() || loser.seeks_beyond.is_some() {
            // What is near to both may be far from one of them.
            self.seeks_beyond = Some(NEAREST);
        }
        self.apart.extend(loser.apart);
        self.unites.retain(|other| !self.apart.contains(other));
        let over = self.apart.len().saturating_sub(APART_MAX);
        self.apart.drain(..over);
        self.urgent |= between_incidents;
        self.untold.extend(loser.untold);
        let untold = self.untold.make_contiguous();
        untold.sort_by_key(|evidence| evidence.seq);
        if self.opened_at.is_none() {
            self.forget_evidence();
        }
        self
    }

    /// What members of it go over to next, by a person's word.
    pub fn going_over(&self) -> Option<&Asked> {
        let mut asked = self.asked.iter();
        asked.find(|asked| !self.unites.contains(&asked.other))
    }

    /// All that members of it are to go over to.
    pub fn all_going_over(&self) -> Vec<IncidentId> {
        let asked = self.asked.iter().map(|asked| asked.other);
        asked.filter(|other| !self.unites.contains(other)).collect()
    }

    /// Whether nothing is known to have caused it, and no person says that nothing has.
    pub fn is_free(&self) -> bool {
        self.parent.is_none() && !self.parent_by_person
    }

    /// A source observed it at this time.
    pub fn observe(&mut self, at: Timestamp) {
        let (first, last) = self.observed.unwrap_or((at, at));
        self.observed = Some((first.min(at), last.max(at)));
    }

    /// Rises to what new evidence says; a graver incident is told at once. What a person has seen
    /// and judged to be less raises nothing.
    pub fn rise(&mut self, severity: Severity, certainty: Certainty) {
        self.rise_to(severity);
        if severity > self.said.max(self.docket.judged) {
            self.said = severity;
            // It may be graver than what explains it.
            self.urgent |= self.suppressed;
        }
        self.certainty = self.certainty.max(certainty);
    }

    /// The same by what no person's word holds against: nobody has judged what was not there.
    pub fn rise_anew(&mut self, severity: Severity, certainty: Certainty) {
        if severity > self.severity {
            self.is_graver(severity);
        }
        if severity > self.said {
            self.said = severity;
            self.urgent |= self.suppressed;
        }
        self.certainty = self.certainty.max(certainty);
    }

    /// The same, by whatever it is so grave.
    pub fn rise_to(&mut self, severity: Severity) {
        if severity > self.severity.max(self.docket.judged) {
            self.is_graver(severity);
        }
    }

    fn is_graver(&mut self, severity: Severity) {
        self.severity = severity;
        self.urgent = true;
        self.docket.graded();
    }

    /// Its evidence is as grave as this from here on, and no graver.
    pub fn says(&mut self, severity: Severity, certainty: Certainty) {
        (self.severity, self.certainty) = (severity, certainty);
        self.said = severity;
    }

    /// How grave it is by itself, whatever it has caused: as a person says, else as its evidence does.
    pub fn own_severity(&self) -> Severity {
        match self.docket.rated {
            true => self.severity,
            false => self.said.min(self.severity),
        }
    }

    /// How grave it makes its parent: as it is while it goes on, unless a person has dismissed it
    /// (INV-18).
    pub fn weight_on_parent(&self) -> Severity {
        match (self.condition, self.docket.handling) {
            (Condition::Cleared, _) | (_, Handling::Merged | Handling::Dismissed(_)) => {
                Severity::Unknown
            }
            (Condition::Active | Condition::Unknown, _) => self.severity,
        }
    }

    /// Evidence makes no one of it and another. Of those beyond the bound the oldest is forgotten.
    pub fn keep_apart(&mut self, other: IncidentId) {
        if self.apart.len() == APART_MAX {
            self.apart.remove(0);
        }
        self.apart.push(other);
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, out: &mut impl Put) {
        out.put_u64(self.id.to_bits());
        out.put_text(self.kind.as_str());
        out.put_text(self.zone.as_str());
        out.put_time(self.begun_at);
        out.put_option(self.opened_at, Put::put_time);
        out.put_u8(self.severity as u8);
        out.put_u8(self.certainty as u8);
        out.put_u8(self.condition as u8);
        self.docket.put(out);
        out.put_u32(self.episode);
        out.put_count(self.untold.len());
        for evidence in &self.untold {
            evidence.put(out);
        }
        out.put_time(self.told_at);
        out.put_flag(self.urgent);
        for due in self.dues {
            out.put_option(due, Put::put_time);
        }
        out.put_option(self.parent, |out, parent| out.put_u64(parent.to_bits()));
        out.put_option(self.observed, |out, (first, last)| {
            out.put_time(first);
            out.put_time(last);
        });
        out.put_option(self.parts_from.as_ref(), |out, sensor| {
            out.put_text(sensor.as_str());
        });
        out.put_u8(self.from_children as u8);
        out.put_flag(self.parent_by_person);
        out.put_count(self.apart.len());
        self.apart.iter().for_each(|id| out.put_u64(id.to_bits()));
        for waiting in [&self.unites, &self.adopts] {
            out.put_count(waiting.len());
            waiting.iter().for_each(|id| out.put_u64(id.to_bits()));
        }
        out.put_option(self.shelved_until, Put::put_time);
        out.put_flag(self.suppressed);
        out.put_u8(self.said as u8);
        out.put_option(self.seeks_beyond, put_relative);
        Asked::put_all(&self.asked, out);
        let since = self.docket.dismissed_at().or(self.unseen_since);
        out.put_option(since, Put::put_time);
        out.put_u8(self.lowers_to as u8);
        self.put_lasts_since(out);
    }

    /// The incident as it was put; before format 2 none had a parent, before format 3 none was
    /// shelved, before format 4 none was a symptom, before format 5 a cause explained what was as
    /// grave as it is with its children, before format 6 people's mergers were done at once and what got
    /// less grave was passed on as soon.
    pub fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut incident = Self {
            id: incident_id(take)?,
            kind: take.parsed("incident kind")?,
            zone: take.parsed("zone")?,
            begun_at: take.time()?,
            opened_at: take.option(Take::time)?,
            severity: Severity::take(take)?,
            certainty: Certainty::take(take)?,
            condition: Condition::take(take)?,
            docket: Docket::take(format, take)?,
            episode: take.u32()?,
            untold: take_untold(take)?,
            told_at: take.time()?,
            urgent: take.flag()?,
            dues: take_dues(format, take)?,
            lasts_since: [Timestamp::MIN; Purpose::LASTING],
            parent: match format {
                1 => None,
                _ => take.option(incident_id)?,
            },
            observed: match format {
                1 => None,
                _ => take.option(|take| Ok((take.time()?, take.time()?)))?,
            },
            parts_from: match format {
                1 => None,
                _ => take.option(|take| take.parsed("sensor"))?,
            },
            from_children: match format {
                1 => Severity::Unknown,
                _ => Severity::take(take)?,
            },
            said: Severity::Unknown,
            parent_by_person: format > 1 && take.flag()?,
            apart: match format {
                1 => Vec::new(),
                _ => {
                    let count = take.count(APART_MAX)?;
                    take.each(count, incident_id)?
                }
            },
            unites: take_waiting(format, take)?,
            adopts: take_waiting(format, take)?,
            seeks_beyond: None,
            asked: Vec::new(),
            shelved_until: match format {
                1 | 2 => None,
                _ => take.option(Take::time)?,
            },
            suppressed: format > 3 && take.flag()?,
            lowers_to: Severity::Unknown,
            unseen_since: None,
            awaited: None,
            reopens: false,
        };
        incident.said = match format {
            1..=4 => incident.severity,
            _ => Severity::take(take)?,
        };
        incident.seeks_beyond = match format {
            1..=4 => None,
            _ => take.option(take_relative)?,
        };
        if format > 5 {
            incident.asked = Asked::take_all(take)?;
        }
        let since = match format {
            1..=5 => None,
            _ => take.option(Take::time)?,
        };
        match incident.docket.handling.dismissal() {
            Some(_) => incident.docket.was_dismissed_at(since),
            None => incident.unseen_since = since,
        }
        incident.lowers_to = match format {
            1..=5 => Severity::Unknown,
            _ => Severity::take(take)?,
        };
        if format > 6 {
            incident.take_lasts_since(take)?;
        }
        let of_incidents = Purpose::ALL.into_iter().zip(incident.dues);
        let mut of_incidents = of_incidents.filter(|(why, _)| !why.is_of_candidates());
        let of_incidents = of_incidents.find_map(|(_, due)| due);
        let of_incidents = of_incidents.or(incident.parent.map(|_| incident.begun_at));
        let of_incidents = of_incidents.or(incident.shelved_until);
        let of_incidents = of_incidents.or(since);
        let waits = of_incidents.is_some() || incident.suppressed || !incident.asked.is_empty();
        if incident.opened_at.is_none() && waits {
            return Err(CodecError("a candidate waits for what only incidents do"));
        }
        Ok(incident)
    }
}

impl Incident {
    /// Since when something lasts is known while it is waited for.
    fn put_lasts_since(&self, out: &mut impl Put) {
        for why in Purpose::ALL {
            if let (Some(place), Some(_)) = (why.lasting(), self.dues[why as usize]) {
                out.put_time(self.lasts_since[place]);
            }
        }
    }

    fn take_lasts_since(&mut self, take: &mut Take<'_>) -> Result<(), CodecError> {
        for why in Purpose::ALL {
            if let (Some(place), Some(_)) = (why.lasting(), self.dues[why as usize]) {
                self.lasts_since[place] = take.time()?;
            }
        }
        Ok(())
    }
}

fn put_relative(out: &mut impl Put, (nearness, since, id): Relative) {
    let (tag, far) = match nearness {
        Nearness::Steps(steps) => (0, steps),
        Nearness::Metres(metres) => (1, metres),
    };
    out.put_u8(tag);
    out.put_u32(far);
    out.put_time(since);
    out.put_u64(id.to_bits());
}

fn take_relative(take: &mut Take<'_>) -> Result<Relative, CodecError> {
    let (tag, far) = (take.u8()?, take.u32()?);
    let nearness = match tag {
        0 => Nearness::Steps(far),
        1 => Nearness::Metres(far),
        _ => return Err(CodecError("a nearness that is none")),
    };
    Ok((nearness, take.time()?, incident_id(take)?))
}

fn take_untold(take: &mut Take<'_>) -> Result<VecDeque<Evidence>, CodecError> {
    let count = take.u32()? as usize;
    take.each(count, Evidence::decode).map(VecDeque::from)
}

/// Incidents that wait for a step; before format 3 none did.
fn take_waiting(format: u16, take: &mut Take<'_>) -> Result<VecDeque<IncidentId>, CodecError> {
    if format < 3 {
        return Ok(VecDeque::new());
    }
    let count = take.u32()? as usize;
    take.each(count, incident_id).map(VecDeque::from)
}

fn take_dues(
    format: u16,
    take: &mut Take<'_>,
) -> Result<[Option<Timestamp>; Purpose::COUNT], CodecError> {
    let mut dues = [None; Purpose::COUNT];
    let count = match format {
        1 => 4,
        2 => 8,
        _ => Purpose::COUNT,
    };
    for due in &mut dues[..count] {
        *due = take.option(Take::time)?;
    }
    Ok(dues)
}

impl Case {
    /// It rises to what one of its sources says. A person's word about how grave it is holds against
    /// what each source had said by then, and against nothing else. `before`: how grave this one was
    /// taken for then, and at most since, if it was known.
    pub fn rise_by(&mut self, before: Option<Severity>, severity: Severity, certainty: Certainty) {
        if before.is_none_or(|before| severity > before) {
            self.incident.rise_anew(severity, certainty);
        } else {
            self.incident.rise(severity, certainty);
        }
    }

    /// How grave one of its sources was taken for when a person said how grave it is, and at most since, if
    /// it is known.
    pub fn known_for(&self, source: &Source) -> Option<Severity> {
        self.cluster.member(source).map(Member::known_for)
    }

    /// What had opened nothing becomes a part of it: nobody knew of that.
    pub fn is_joined_by(&mut self, other: &Cluster) {
        let docket = &mut self.incident.docket;
        if docket.dismissed_at().is_some() {
            let first = other.members().map(|(_, member)| member.heard().0).min();
            first
                .into_iter()
                .for_each(|first| docket.is_joined_by(first));
        }
    }

    /// So many of the sources that have joined it, of which there were so many `before`, weigh nothing:
    /// they overrule no dismissal.
    pub fn is_joined_by_weightless(&mut self, weightless: u32, before: u32) {
        let further = self.cluster.sources().saturating_sub(before);
        let docket = &mut self.incident.docket;
        docket.is_joined_by_weightless(weightless.min(further));
    }

    /// A source has said something, and weighed so much before, if it has weighed anything. If it would
    /// open an incident by itself now, and nobody knew of it when this one was dismissed, that is overruled
    /// (INV-20): nothing is hidden in a false alarm near by. While it weighs nothing it is no further
    /// source. `is_further`: it has just become a member.
    pub fn heed(&mut self, source: &Source, is_further: bool, before: Option<u32>, opens_at: u32) {
        let Some(member) = self.cluster.member(source) else {
            return;
        };
        let (first_heard, _) = member.heard();
        let now = self.cluster.weighed(source);
        let opens = before.unwrap_or(0) < opens_at && now.unwrap_or(0) >= opens_at;
        let docket = &mut self.incident.docket;
        if is_further {
            docket.is_joined_by(first_heard);
        }
        let dismissed = docket.handling.dismissal().is_some();
        match (is_further, before, now) {
            (true, _, None) => docket.is_joined_by_weightless(1),
            (false, None, Some(_)) if docket.knew_nothing_of(first_heard) => docket.one_weighs(),
            _ => {}
        }
        let is_further = is_further || docket.knew_nothing_of(first_heard);
        if dismissed && is_further && opens {
            docket.see_anew();
            self.incident.reopens = true;
        }
    }

    /// Somebody has reported again, who weighed so much before by all that he had reported: the same is
    /// asked of him as of any other source.
    pub fn heed_again(&mut self, source: &Source, before: u32, opens_at: u32) {
        let docket = &self.incident.docket;
        let Some((who, now)) = self.cluster.voice(source) else {
            return;
        };
        let weighs = before == 0 && now > 0;
        let opens = before < opens_at && now >= opens_at;
        if docket.handling.dismissal().is_none() || !(weighs || opens) {
            return;
        }
        let heard = self.cluster.heard_of(who, source);
        let further = heard.filter(|(first_heard, _)| docket.knew_nothing_of(*first_heard));
        let Some((_, has_weighed)) = further else {
            return;
        };
        let docket = &mut self.incident.docket;
        if !has_weighed {
            docket.one_weighs();
        }
        if opens {
            docket.see_anew();
            self.incident.reopens = true;
        }
    }

    /// A detection about a member is graver by time alone.
    pub fn worsen(&mut self, source: &Source, rule: &RuleId, severity: Severity, doubted: bool) {
        let before = self.known_for(source);
        if self.cluster.worsen(source, rule, severity, doubted) {
            self.rise_by(before, severity, Certainty::Unknown);
        }
        self.keep_what_is_known(source);
    }

    /// Whether a person has said how grave it is, and that holds.
    pub fn is_judged(&self) -> bool {
        self.incident.docket.judged > Severity::Unknown
    }

    /// What a source is taken for is known from here on.
    fn keep_what_is_known(&mut self, source: &Source) {
        if self.is_judged() {
            self.cluster.is_known_for_this(source);
        }
    }

    /// A sensor is trusted again in what these rules find, of which these are raised: they count.
    pub fn trust(&mut self, source: &Source, rules: &[RuleId], raised: &[RuleId], at: Timestamp) {
        let before = self.known_for(source);
        self.cluster.trust(source, rules, raised, at);
        if self.cluster.stands(source) {
            let own = self.cluster.member(source).map(Member::believed);
            let (severity, certainty) = own.expect("it stands");
            self.rise_by(before, severity, certainty);
            let (severity, certainty) = self.cluster.verdict();
            self.incident.rise(severity, certainty);
        }
        self.keep_what_is_known(source);
    }

    /// A sensor fell silent, who was last heard then. What goes on is not over because of that,
    /// unless it was normal for `sure_after`; what is over stays so.
    pub fn fall_silent(&mut self, source: &Source, last_heard_at: Timestamp, sure_after: Millis) {
        let goes_on = match self.incident.condition {
            Condition::Active | Condition::Unknown => true,
            Condition::Cleared => false,
        };
        let sure_after = goes_on.then_some(sure_after);
        self.cluster.fall_silent(source, last_heard_at, sure_after);
    }

    /// How sure it is that it is there: nobody knows while it rests on sensors alone that nobody believes
    /// any more, unless people are at work at it.
    pub fn certainty(&self) -> Certainty {
        let is_work = self.incident.docket.handling.is_work();
        match !is_work && self.cluster.is_all_doubted() {
            true => Certainty::Unknown,
            false => self.incident.certainty,
        }
    }

    /// The incident as operators see it.
    ///
    /// Precondition: it has opened.
    pub fn state(&self) -> IncidentState {
        let incident = &self.incident;
        let position = self.cluster.middle();
        IncidentState {
            id: incident.id,
            kind: incident.kind.clone(),
            severity: incident.severity,
            certainty: self.certainty(),
            condition: incident.condition,
            handling: incident.docket.handling,
            position,
            radius_m: self.cluster.radius_m(),
            zone: incident.zone.clone(),
            opened_at: incident.opened_at.expect("only what has opened is told"),
            episode: incident.episode,
            sensors: self.cluster.sources(),
            readings: self.cluster.readings,
            parent: incident.parent,
            escalated: incident.docket.escalated,
            shelved_until: incident.shelved_until,
            suppressed: incident.suppressed,
        }
    }

    /// What it rests on.
    pub fn grounds(&self) -> Grounds {
        Grounds {
            condition: self.incident.condition,
            sources: self.cluster.sources(),
            severity: self.gravest_known(),
            own: self.cluster.gravest_known(),
        }
    }

    /// Some of its members went to another incident.
    pub fn rests_on_less(&mut self) {
        let grounds = self.grounds();
        self.incident.docket.rests_on_less(grounds);
    }

    /// The gravest that its members say at this time, and its children ever said.
    pub fn gravest(&self) -> Severity {
        self.cluster.gravest().max(self.incident.from_children)
    }

    /// The same with what was said by those who are distrusted by now: who judges it knows of that.
    pub fn gravest_known(&self) -> Severity {
        let from_children = self.incident.from_children;
        self.cluster.gravest_known().max(from_children)
    }

    /// Whether it is less grave than it was told to be, by all that makes it grave or by its own
    /// evidence alone.
    pub fn is_less_grave(&self) -> bool {
        self.gravest() < self.incident.severity || self.cluster.gravest() < self.incident.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_an_incident_is_kept_apart_from_so_many_others_and_no_more() {
        let id = |number: usize| IncidentId::derive(&[&number.to_string()]);
        let (kind, zone) = ("flood".parse().unwrap(), "_".parse().unwrap());
        let mut incident = Incident::begin(id(0), kind, zone, Timestamp::from_millis(0));
        (1..=APART_MAX + 1).for_each(|number| incident.keep_apart(id(number)));
        assert_eq!(incident.apart.len(), APART_MAX);
        assert!(!incident.apart.contains(&id(1)) && incident.apart.contains(&id(2)));
    }
}
