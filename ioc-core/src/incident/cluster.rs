//! Who an incident consists of: its sources, which of them stand, and where they are.
//!
//! Arrives: sightings of sources and what became of them. Leaves: what the world does, the middle
//! and the radius. Promise: none of it depends on the order in which members came, for sums are of
//! integers; a reading counts once, by however many rules; and so does who reports again and again, if
//! the rule tells who it is (`voices.rs`). Next: `member.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::member::{Member, Raised, Stand, Standing, Statement};
use super::places::Places;
use super::taken::Taken;
use super::voices::Voices;
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, Condition, Evidence, Severity};
use crate::id::{IncidentId, NodeId, ReadingId, RuleId, SensorId};
use crate::limits::EVIDENCE_OF_OTHERS_REMEMBERED;
use crate::place::Position;
use crate::record::{Seq, incident_id};
use crate::time::{Millis, Timestamp};

/// Who gives evidence: a sensor, or one report by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub sensor: SensorId,
    pub report: Option<ReadingId>,
}

/// What the members say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    /// At least one is abnormal and heard.
    GoesOn,
    /// None is, but some fell silent while they were abnormal; or came to be distrusted or fell
    /// silent as soon as they were normal, and no other sensor is heard to say that it is over.
    Blind,
    /// All are normal again.
    Quiet,
}

/// What the name of a source begins with that is a person's word.
pub(crate) const PERSON: &str = "person:";

/// The members of an incident.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    members: BTreeMap<Source, Member>,
    /// How many members stand how, by [`Standing`].
    standing: [u32; 7],
    /// How many sensors among them are heard to be normal again, and trusted.
    well: u32,
    /// What the members that say something is wrong weigh together, but for reports of whom it is
    /// known who they are …
    weight: u64,
    /// … which are weighed here.
    voices: Voices,
    /// How many members say how grave it is, by [`Severity`]: of each what is gravest …
    severities: [u32; 5],
    /// … and how many had said so when they came to be distrusted.
    lost: [u32; 5],
    /// When which report stops counting, each once.
    decays: BTreeSet<(Timestamp, Source)>,
    places: Places,
    /// How far the farthest of them is from the middle, if none has moved since it was measured.
    farthest_m: Option<u32>,
    /// The readings of sources beyond the bound.
    of_others: Taken,
    /// How many readings are evidence.
    pub readings: u64,
    /// When the last of them came.
    pub last_evidence_at: Timestamp,
    /// The incident that its members were first members of, where they do not say otherwise.
    origin: Option<IncidentId>,
}

/// What some members say together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    /// The gravest and the surest that is believed still …
    says: (Severity, Certainty),
    /// … and with what was said by those who are distrusted by now.
    known: (Severity, Certainty),
    /// Whether one of them is believed.
    is_believed: bool,
    /// When the first of them was heard, if there is any.
    pub since: Option<Timestamp>,
}

impl Word {
    /// Nobody says anything.
    pub const NONE: Self = Self {
        says: (Severity::Unknown, Certainty::Unknown),
        known: (Severity::Unknown, Certainty::Unknown),
        is_believed: false,
        since: None,
    };

    pub fn add(&mut self, source: &Source, member: &Member) {
        self.says = graver(self.says, member.says());
        self.known = graver(self.known, member.believed());
        self.is_believed |= member.is_believed(source);
        let (first, _) = member.heard();
        self.since = Some(self.since.map_or(first, |since| since.min(first)));
    }

    /// The gravest and the surest that they say: what one said before he came to be distrusted counts where
    /// there is nobody who is believed, neither among them nor beside them.
    pub fn verdict(&self, beside: &Cluster) -> (Severity, Certainty) {
        match self.is_believed || beside.has_believed() {
            true => self.says,
            false => self.known,
        }
    }

    /// The same of a part that begins to be another incident; where who is believed is well, that is about
    /// what was said before.
    pub fn of_part(&self, part: &Cluster) -> (Severity, Certainty) {
        match self.verdict(part) {
            (Severity::Unknown, _) => self.known,
            verdict => verdict,
        }
    }
}

impl Source {
    /// A sensor, by its measurements.
    pub fn of_sensor(sensor: &SensorId) -> Self {
        Self {
            sensor: sensor.clone(),
            report: None,
        }
    }

    /// The same sensor, as the source of one of its readings taken in the other way.
    fn otherwise(&self, reading: &ReadingId) -> Self {
        Self {
            sensor: self.sensor.clone(),
            report: self.report.is_none().then(|| reading.clone()),
        }
    }

    /// Whether it is a report of the same sensor as one before it in order.
    pub fn is_further_of(&self, before: &Self) -> bool {
        self.report.is_some() && self.sensor == before.sensor
    }

    fn put(&self, out: &mut impl Put) {
        out.put_text(self.sensor.as_str());
        out.put_option(self.report.as_ref(), |out, id| out.put_text(id.as_str()));
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            sensor: take.parsed("sensor")?,
            report: take.option(|take| take.parsed("reading id"))?,
        })
    }
}

impl Cluster {
    /// That of an incident, without members.
    pub fn of(incident: IncidentId) -> Self {
        Self {
            origin: Some(incident),
            ..Self::default()
        }
    }

    /// The incident is called otherwise from here on.
    pub fn is_of(&mut self, incident: IncidentId) {
        self.origin = Some(incident);
    }

    /// What its members were first members of, where they do not say otherwise.
    pub fn origin(&self) -> Option<IncidentId> {
        self.origin
    }

    /// The first members, as many as fit; the others of those that are meant are another incident's from
    /// here on, and go over to it later. `meant`: of each member in order whether it is. With what all of
    /// them say.
    pub fn mark(&mut self, meant: &[bool], most: usize, other: IncidentId) -> (Vec<Source>, Word) {
        let (mut first, mut said) = (Vec::new(), Word::NONE);
        let members = self.members.iter_mut().zip(meant);
        for ((source, member), _) in members.filter(|(_, meant)| **meant) {
            said.add(source, member);
            if first.len() < most {
                first.push(source.clone());
            } else {
                member.origin = Some(other);
            }
        }
        (first, said)
    }

    /// The first members that are another incident's, at most so many.
    pub fn first_of(&self, other: IncidentId, most: usize) -> Vec<Source> {
        let members = self.members.iter();
        let own = members.filter(|(_, member)| member.origin == Some(other));
        own.take(most).map(|(source, _)| source.clone()).collect()
    }

    /// A source is a new member of this incident.
    pub fn joined(&mut self, source: &Source, incident: IncidentId) {
        let origin = (self.origin != Some(incident)).then_some(incident);
        if let Some(member) = self.members.get_mut(source) {
            member.origin = origin;
        }
    }

    /// Takes a member of another incident, with what it counts for.
    pub fn take_over(&mut self, source: &Source, member: Member, incident: IncidentId) {
        self.readings += member.count;
        self.last_evidence_at = self.last_evidence_at.max(member.heard().1);
        self.adopt(source.clone(), member);
        self.joined(source, incident);
    }

    /// What the world does, as its members say.
    pub fn condition(&self) -> Condition {
        match self.world() {
            World::GoesOn | World::Quiet => Condition::Active,
            World::Blind => Condition::Unknown,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// How many sources have given evidence: who has reported more than once is one.
    pub fn sources(&self) -> u32 {
        self.members.len() as u32 - self.voices.repeated()
    }

    pub fn member(&self, source: &Source) -> Option<&Member> {
        self.members.get(source)
    }

    /// Whether a report is of a source that has reported already: it takes the place of what that has
    /// said, or it is told who reports.
    pub fn knows(&self, source: &Source, statement: &Statement<'_>) -> bool {
        let who = statement.sighting.shared.who();
        let who = who.filter(|_| source.report.is_some());
        let own = usize::from(self.members.contains_key(source));
        statement.renews || who.is_some_and(|who| self.voices.reports_of(who) > own)
    }

    /// A person says how grave the incident is, and knows what each of its sources says of it.
    pub fn is_judged(&mut self) {
        self.members.values_mut().for_each(Member::is_judged);
    }

    /// One of its sources comes where a person has said how grave it is, who did not know of it.
    pub fn is_judged_by(&mut self, source: &Source) {
        if let Some(member) = self.members.get_mut(source) {
            member.is_judged();
        }
    }

    /// A source has been as grave as it is now, since a person has said how grave the incident is.
    pub fn is_known_for_this(&mut self, source: &Source) {
        if let Some(member) = self.members.get_mut(source) {
            member.is_known_for_this();
        }
    }

    /// How much a source weighs at this time, if it has weighed anything so far.
    pub fn weighed(&self, source: &Source) -> Option<u32> {
        let member = self.members.get(source);
        let member = member.filter(|member| !member.has_never_weighed(source));
        member.map(|member| member.stand().weight)
    }

    /// Who a report is of that is a member, if it is known, and how much he weighs by all his reports.
    pub fn voice(&self, source: &Source) -> Option<(&NodeId, u32)> {
        let who = who(source, self.member(source)?)?;
        Some((who, self.voices.weight_of(who)))
    }

    /// How much somebody weighs at this time, by all his reports.
    pub fn weight_of_voice(&self, who: Option<&NodeId>) -> u32 {
        who.map_or(0, |who| self.voices.weight_of(who))
    }

    /// When somebody was first heard but by this report, if he was, and whether that has weighed anything.
    pub fn heard_of(&self, somebody: &NodeId, but: &Source) -> Option<(Timestamp, bool)> {
        let members = self
            .members
            .iter()
            .filter(|(source, member)| *source != but && who(source, member) == Some(somebody));
        let told = members.map(|(source, member)| {
            let (first_heard, _) = member.heard();
            (first_heard, !member.has_never_weighed(source))
        });
        told.reduce(|one, other| (one.0.min(other.0), one.1 || other.1))
    }

    /// How many of its sources have weighed nothing so far and would be further ones of another: who has
    /// reported more than once is one, and none where he has reported already.
    pub fn weightless_for(&self, other: &Self) -> u32 {
        weightless_for(other, self.members.iter())
    }

    /// The same of these alone.
    pub fn weightless_of(&self, sources: &[Source], other: &Self) -> u32 {
        let members = sources.iter();
        let members = members.filter_map(|source| self.members.get_key_value(source));
        weightless_for(other, members)
    }

    /// The members in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = (&Source, &Member)> {
        self.members.iter()
    }

    /// The sensors among them in the order of their names, from this one on.
    pub fn sensors_from(
        &self,
        from: Option<&SensorId>,
    ) -> impl Iterator<Item = (&SensorId, &Member)> {
        let from = match from {
            Some(sensor) => Bound::Included(Source::of_sensor(sensor)),
            None => Bound::Unbounded,
        };
        let members = self.members.range((from, Bound::Unbounded));
        let sensors = members.filter(|(source, _)| source.report.is_none());
        sensors.map(|(source, member)| (&source.sensor, member))
    }

    pub fn into_members(self) -> impl Iterator<Item = (Source, Member)> {
        self.members.into_iter()
    }

    /// Takes the first member out of what is over: nothing is summed of it any more.
    pub fn take_first(&mut self) -> Option<(Source, Member)> {
        self.members.pop_first()
    }

    /// How much the sources weigh that say at this time that something is wrong, silent ones
    /// included: who was washed away has not withdrawn what it said.
    pub fn weight(&self) -> u64 {
        self.weight + self.voices.weight()
    }

    /// Whether a sensor among them is abnormal, which lasts until it is normal again. A report is
    /// of its own moment.
    pub fn has_lasting(&self) -> bool {
        let [_, _, abnormal, silent, _, lost, _] = self.standing;
        abnormal + silent + lost > 0
    }

    /// Whether this place is so near one of its members that things may belong together. By what
    /// weighs nothing at this time they do not, for there is haze all over the city.
    pub fn is_near(&self, place: Position, within_m: u32) -> bool {
        let is_near = |member: &Member| {
            let own = member.position;
            own.is_some_and(|own| own.distance_m(place) <= within_m)
        };
        let weighs = |member: &Member| member.standing() != Standing::Context;
        let mut members = self.members.values();
        members.any(|member| weighs(member) && is_near(member))
    }

    /// Whether some of it weighs nothing at this time.
    pub fn has_context(&self) -> bool {
        self.standing[Standing::Context as usize] > 0
    }

    /// Whether all that it rests on was said by sensors that came to be distrusted since.
    pub fn is_all_doubted(&self) -> bool {
        self.standing[Standing::Lost as usize] > 0 && !self.has_believed()
    }

    /// Whether a sensor is heard to be abnormal at this time.
    pub fn is_heard_to_be_abnormal(&self) -> bool {
        self.standing[Standing::Abnormal as usize] > 0
    }

    pub fn world(&self) -> World {
        let [_, _, abnormal, silent, reported, lost, gone] = self.standing;
        // Where a sensor is heard to be normal nobody needs to be asked who cannot be believed, or
        // would have to be waited for.
        let unsure = lost + gone > 0 && self.well == 0;
        if abnormal + reported > 0 {
            World::GoesOn
        } else if silent > 0 || unsure {
            World::Blind
        } else {
            World::Quiet
        }
    }

    /// The gravest that its members say at this time. What one said before it came to be distrusted counts
    /// where there is nobody who is believed.
    pub fn gravest(&self) -> Severity {
        match self.has_believed() {
            true => gravest_of(&self.severities),
            false => self.gravest_known(),
        }
    }

    /// The same of all that is known to whoever looks at it: also of what nobody believes any more.
    pub fn gravest_known(&self) -> Severity {
        gravest_of(&self.severities).max(gravest_of(&self.lost))
    }

    /// Whether one of its members is believed: a sensor that is heard, or was abnormal when it fell silent,
    /// or a report that counts.
    fn has_believed(&self) -> bool {
        let [_, _, abnormal, silent, reported, _, _] = self.standing;
        abnormal + silent + reported + self.well > 0
    }

    /// The gravest and the surest that its members say at this time.
    pub fn verdict(&self) -> (Severity, Certainty) {
        let alone = !self.has_believed();
        let mut verdict = (Severity::Unknown, Certainty::Unknown);
        for member in self.members.values() {
            let (severity, certainty) = match alone {
                true => member.believed(),
                false => member.says(),
            };
            verdict = (verdict.0.max(severity), verdict.1.max(certainty));
        }
        verdict
    }

    /// Whether a reading of this source is evidence already, by this or another rule.
    pub fn has_taken(&self, source: &Source, reading: &ReadingId, seq: Seq) -> bool {
        let own = self.members.get(source);
        let by_others = || own.is_none() && self.of_others.has(seq);
        own.is_some_and(|member| member.taken.has(seq))
            || self.took_otherwise(source, reading, seq).is_some()
            || by_others()
    }

    /// Who took a reading of the same sensor in the other way: as a report, or as a measurement.
    fn took_otherwise(&self, source: &Source, reading: &ReadingId, seq: Seq) -> Option<Source> {
        let other = source.otherwise(reading);
        let took = |member: &Member| member.taken.has(seq);
        self.members.get(&other).is_some_and(took).then_some(other)
    }

    /// Whether this is evidence here, of whichever member.
    pub fn has_evidence(&self, evidence: &Evidence) -> bool {
        // Of the few members of most clusters none is of the sensor: nothing needs to be made to
        // find that.
        let few = self.members.len() <= 4;
        if few
            && self
                .members
                .keys()
                .all(|source| source.sensor != evidence.sensor)
        {
            return false;
        }
        let sensor = Source {
            sensor: evidence.sensor.clone(),
            report: None,
        };
        let took = |member: &Member| member.taken.has(evidence.seq);
        let by_sensor = self.members.get(&sensor).is_some_and(took);
        by_sensor || {
            let report = sensor.otherwise(&evidence.reading);
            self.members.get(&report).is_some_and(took)
        }
    }

    /// Counts a reading of a source beyond the bound.
    pub fn take_of_other(&mut self, seq: Seq) {
        self.of_others.insert(seq, EVIDENCE_OF_OTHERS_REMEMBERED);
    }

    /// Whether evidence stays when a member is taken out that it was taken from: if it is not its
    /// own, or another took it too, whose it is from then on.
    pub fn keeps(&mut self, evidence: &Evidence, gone: &Source, member: &Member) -> bool {
        let concerns = evidence.sensor == gone.sensor
            && gone
                .report
                .as_ref()
                .is_none_or(|id| *id == evidence.reading);
        if !concerns {
            return true;
        }
        let Some(heir) = self.took_otherwise(gone, &evidence.reading, evidence.seq) else {
            return false;
        };
        let heir = self.members.get_mut(&heir).expect("it took the reading");
        let was_of_gone = match gone.report {
            Some(_) => member.count > 0,
            None => heir.count == 0,
        };
        if was_of_gone {
            heir.count += 1;
            self.readings += 1;
        }
        true
    }

    /// Counts a reading as evidence. `keeps`: more may join because of it.
    pub fn count_reading(&mut self, at: Timestamp, keeps: bool) {
        self.readings += 1;
        if keeps {
            self.last_evidence_at = self.last_evidence_at.max(at);
        }
    }

    /// Takes what a source says. `counts`: its reading is no evidence by anything else.
    pub fn hear(&mut self, source: &Source, statement: &Statement<'_>, counts: bool) {
        let sighting = statement.sighting;
        let member = self.members.remove(source);
        let before = member.as_ref().map(Member::stand);
        if let Some(member) = &member {
            self.shift(source, who(source, member), before, None);
        }
        let mut member = member.unwrap_or_else(|| Member::new(sighting));
        if let Some(position) = member.place_in(sighting) {
            self.leave(member.position.filter(|_| before.is_some()));
            self.enter(Some(position));
            member.position = Some(position);
        }
        if let Some(shared) = member.shared_in(sighting) {
            member.shared = shared.clone();
        }
        member.count += u64::from(counts);
        let until = member.until;
        member.note(statement, before.is_some());
        if member.until != until {
            let decay = |until| (until, source.clone());
            until.map(|until| self.decays.remove(&decay(until)));
            self.decays.extend(member.until.map(decay));
        }
        self.shift(source, who(source, &member), None, Some(member.stand()));
        self.members.insert(source.clone(), member);
    }

    /// A detection about a sensor is graver by time alone. Returns whether it counts here.
    pub fn worsen(
        &mut self,
        source: &Source,
        rule: &RuleId,
        severity: Severity,
        doubted: bool,
    ) -> bool {
        let mut counts = false;
        self.change(source, |member| {
            counts = member.worsen(rule, severity, doubted);
        });
        counts
    }

    /// A detection about a sensor is no graver than this by now, as a sensor says that is trusted or
    /// `doubted`.
    pub fn ease(&mut self, source: &Source, rule: &RuleId, severity: Severity, doubted: bool) {
        self.change(source, |member| member.ease(rule, severity, doubted));
    }

    /// A detection about a sensor has cleared, as a sensor says that is trusted or `doubted`. Returns
    /// what counts no more by that.
    pub fn settle(
        &mut self,
        source: &Source,
        rule: &RuleId,
        doubted: bool,
        at: Timestamp,
    ) -> Option<Raised> {
        let mut cleared = None;
        self.change(source, |member| cleared = member.clear(rule, doubted, at));
        cleared
    }

    /// What a sensor said that is normal by now counts until then.
    pub fn counts_until(
        &mut self,
        source: &Source,
        said: impl Iterator<Item = Raised>,
        until: Timestamp,
    ) {
        if !self.members.contains_key(source) {
            return;
        }
        self.change(source, |member| member.counts_until(said, until));
        self.decays.insert((until, source.clone()));
    }

    /// A sensor is no longer to be trusted in what these rules found.
    pub fn distrust(&mut self, source: &Source, rules: &[RuleId]) {
        self.change(source, |member| {
            rules.iter().for_each(|rule| member.distrust(rule));
        });
    }

    /// A sensor is trusted again in what these rules find, of which these are raised.
    pub fn trust(&mut self, source: &Source, rules: &[RuleId], raised: &[RuleId], at: Timestamp) {
        self.change(source, |member| member.trust(rules, raised, at));
    }

    /// It is over, as its other sensors say: who is distrusted, or gone, is not waited for.
    pub fn let_go(&mut self) {
        let [.., lost, gone] = self.standing;
        if lost + gone == 0 {
            return;
        }
        let members = self.members.iter();
        let unsure = |standing| matches!(standing, Standing::Lost | Standing::Gone);
        let unsure = members.filter(|(_, member)| unsure(member.standing()));
        let unsure: Vec<_> = unsure.map(|(source, _)| source.clone()).collect();
        for source in unsure {
            self.change(&source, Member::let_go);
        }
    }

    /// A sensor fell silent, who was last heard then. That all is well is sure if it said so for
    /// this long, or is not asked any more.
    pub fn fall_silent(
        &mut self,
        source: &Source,
        last_heard_at: Timestamp,
        sure_after: Option<Millis>,
    ) {
        self.change(source, |member| {
            member.fall_silent(last_heard_at, sure_after);
        });
    }

    /// A sensor that was silent speaks again.
    pub fn speak(&mut self, source: &Source, at: Timestamp) {
        self.change(source, |member| member.speak(at));
    }

    /// Whether a member says nothing.
    pub fn is_silent(&self, source: &Source) -> bool {
        self.members.get(source).is_some_and(|member| member.silent)
    }

    /// When a sensor was first and last heard to be abnormal.
    pub fn heard(&self, sensor: &SensorId) -> Option<(Timestamp, Timestamp)> {
        let source = Source {
            sensor: sensor.clone(),
            report: None,
        };
        self.members.get(&source).map(Member::heard)
    }

    /// Whether a sensor among them was heard by this record.
    pub fn has_heard(&self, sensor: &SensorId, seq: Seq) -> bool {
        let member = self.members.get(&Source::of_sensor(sensor));
        let newest = member.and_then(Member::newest);
        newest.is_some_and(|newest| seq <= newest)
    }

    /// When the next report stops counting.
    pub fn next_decay(&self) -> Option<Timestamp> {
        self.decays.first().map(|(until, _)| *until)
    }

    /// Lets one report stop counting that does so by `now`.
    pub fn decay_one(&mut self, now: Timestamp) -> Option<Source> {
        if self.next_decay()? > now {
            return None;
        }
        let (_, source) = self.decays.pop_first()?;
        self.change(&source, |member| {
            member.until = None;
            member.raised.clear();
        });
        Some(source)
    }

    /// A report counts no more as what a rule took it for: its source takes it back. Returns
    /// whether it counted.
    pub fn withdraw(&mut self, source: &Source, rule: &RuleId) -> bool {
        let Some(member) = self.members.get(source) else {
            return false;
        };
        let Some(until) = member.until.filter(|_| member.is_raised_by(rule)) else {
            return false;
        };
        let mut ends = false;
        self.change(source, |member| ends = member.withdraw(rule));
        if ends {
            self.decays.remove(&(until, source.clone()));
        }
        true
    }

    /// Whether any of its members says what this rule takes it for.
    pub fn is_raised_by(&self, rule: &RuleId) -> bool {
        self.members
            .values()
            .any(|member| member.is_raised_by(rule))
    }

    /// Whether this source stands: says at this time that something is wrong.
    pub fn stands(&self, source: &Source) -> bool {
        self.members.get(source).is_some_and(Member::stands)
    }

    /// Whether this source is heard to be abnormal, and believed.
    pub fn hears(&self, source: &Source) -> bool {
        self.members.get(source).is_some_and(Member::is_heard)
    }

    /// Whether a person has told of it, however long ago.
    pub fn is_told_by_person(&self) -> bool {
        let least = PERSON.parse().expect("it is a sensor's name");
        let from = self.members.range(Source::of_sensor(&least)..);
        let mut own = from.take_while(|(source, _)| source.sensor.as_str().starts_with(PERSON));
        own.any(|(source, _)| source.report.is_some())
    }

    /// When the first of its members was heard that weigh something at this time.
    pub fn weighs_since(&self) -> Option<Timestamp> {
        let members = self.members.values();
        let weighing = members.filter(|member| member.stand().weight > 0);
        weighing.map(|member| member.heard().0).min()
    }

    /// Whether a sensor's name leads here: by any member but a report with a place or a group of its own.
    pub fn is_led_to_by(&self, sensor: &SensorId) -> bool {
        let mut own = self.said_by(sensor);
        own.any(|(source, member)| member.is_led_to(source))
    }

    /// Whether one of its members is a report of this sensor that has no place.
    pub fn has_placeless(&self, sensor: &SensorId) -> bool {
        let mut own = self.said_by(sensor);
        own.any(|(source, member)| source.report.is_some() && member.position.is_none())
    }

    /// The members that have one name: the sensor itself, and its reports.
    fn said_by(&self, sensor: &SensorId) -> impl Iterator<Item = (&Source, &Member)> {
        let least = Source {
            sensor: sensor.clone(),
            report: None,
        };
        let from = self.members.range(least..);
        from.take_while(move |(source, _)| source.sensor == *sensor)
    }

    /// Takes a member out.
    pub fn remove(&mut self, source: &Source) -> Option<Member> {
        let member = self.members.remove(source)?;
        self.shift(source, who(source, &member), Some(member.stand()), None);
        self.leave(member.position);
        if let Some(until) = member.until {
            self.decays.remove(&(until, source.clone()));
        }
        self.readings -= member.count.min(self.readings);
        Some(member)
    }

    /// Takes in what another cluster has counted, whose members follow.
    pub fn add_counts(&mut self, other: &Self) {
        self.readings += other.readings;
        self.last_evidence_at = self.last_evidence_at.max(other.last_evidence_at);
        let max = EVIDENCE_OF_OTHERS_REMEMBERED;
        self.of_others.extend(&other.of_others, max);
    }

    /// Takes in a member of another cluster, which was first a member of `origin` if it does not say
    /// otherwise. Precondition: the source is not a member here.
    pub fn adopt_of(&mut self, source: Source, mut member: Member, origin: Option<IncidentId>) {
        let origin = member.origin.or(origin);
        member.origin = origin.filter(|_| origin != self.origin);
        self.adopt(source, member);
    }

    /// The same of a member that comes alone, with what it counts for.
    pub fn gain_of(&mut self, source: Source, member: Member, origin: Option<IncidentId>) {
        self.readings += member.count;
        self.last_evidence_at = self.last_evidence_at.max(member.heard().1);
        self.adopt_of(source, member, origin);
    }

    /// Takes a member out that goes on in another incident: what it has said was said of this one.
    pub fn part_with(&mut self, source: &Source) -> Option<Member> {
        let readings = self.readings;
        let mut member = self.remove(source)?;
        self.readings = readings;
        member.count = 0;
        member.origin = None;
        Some(member)
    }

    /// Whether a sensor says something again that had ended, as far as it may be believed.
    pub fn says_anew(&self, source: &Source, statement: &Statement<'_>) -> bool {
        let member = self.members.get(source);
        member.is_some_and(|member| match member.standing() {
            Standing::Normal | Standing::Gone | Standing::Context => {
                statement.weight > 0 && !statement.doubted
            }
            Standing::Abnormal | Standing::Silent | Standing::Reported | Standing::Lost => false,
        })
    }

    /// By which name a sensor may be a member that speaks elsewhere from here on, if its own need not
    /// lead here any more: by that of a reading of it that is not a member already, as a report.
    pub fn name_to_leave(&self, source: &Source) -> Option<Source> {
        let member = self.members.get(source)?;
        let mut own = self.of_sensor(source);
        let is_bound = source.report.is_some()
            || member.until.is_some()
            || own.any(|(other, member)| other != source && member.is_led_to(other));
        let names = member.readings().filter(|_| !is_bound);
        let mut names = names.map(|reading| Source {
            sensor: source.sensor.clone(),
            report: Some(reading.clone()),
        });
        names.find(|name| !self.members.contains_key(name))
    }

    /// A sensor speaks elsewhere from here on. What it has said stays, by a name that leads to nothing
    /// else. Precondition: it is a member by the one name, and none is by the other.
    pub fn leave_behind(&mut self, source: &Source, left: &Source, at: Timestamp) {
        let mut member = self.members.remove(source).expect("it is a member");
        self.shift(source, who(source, &member), Some(member.stand()), None);
        member.leave_behind(at);
        self.shift(left, who(left, &member), None, Some(member.stand()));
        self.members.insert(left.clone(), member);
    }

    /// A sensor that has left before is a member again by its name. Returns by which it was one.
    pub fn take_back(&mut self, source: &Source) -> Option<Source> {
        if self.members.contains_key(source) {
            return None;
        }
        let has_left =
            |(other, member): (&Source, &Member)| member.has_left(other).then(|| other.clone());
        let left = self.of_sensor(source).find_map(has_left)?;
        let member = self.members.remove(&left).expect("it was found");
        self.shift(&left, who(&left, &member), Some(member.stand()), None);
        self.shift(source, who(source, &member), None, Some(member.stand()));
        self.members.insert(source.clone(), member);
        Some(left)
    }

    /// The members of a source's sensor.
    fn of_sensor(&self, source: &Source) -> impl Iterator<Item = (&Source, &Member)> {
        let sensor = source.sensor.clone();
        let from = self.members.range(Source::of_sensor(&sensor)..);
        from.take_while(move |(source, _)| source.sensor == sensor)
    }

    /// Takes in a member of another cluster. Precondition: the source is not a member here.
    fn adopt(&mut self, source: Source, member: Member) {
        self.count_in(&source, &member);
        self.members.insert(source, member);
    }

    /// Adds a member to all that is kept in sums.
    fn count_in(&mut self, source: &Source, member: &Member) {
        self.shift(source, who(source, member), None, Some(member.stand()));
        self.enter(member.position);
        if let Some(until) = member.until {
            self.decays.insert((until, source.clone()));
        }
    }

    /// The middle of its members, if any has a place.
    pub fn middle(&self) -> Option<Position> {
        self.places.middle()
    }

    /// The middle of these alone.
    pub fn middle_of(&self, sources: &[Source]) -> Option<Position> {
        let mut places = Places::default();
        let members = sources.iter().filter_map(|source| self.member(source));
        members.for_each(|member| places.enter(member.position));
        places.middle()
    }

    fn enter(&mut self, place: Option<Position>) {
        self.places.enter(place);
        self.farthest_m = None;
    }

    fn leave(&mut self, place: Option<Position>) {
        self.places.leave(place);
        self.farthest_m = None;
    }

    /// Finds how far it reaches and remembers that, for it is asked for whenever it is told.
    pub fn measure(&mut self) {
        if self.farthest_m.is_none() {
            self.farthest_m = Some(self.radius_m());
        }
    }

    /// The distance from the middle to the farthest member.
    pub fn radius_m(&self) -> u32 {
        if let Some(measured) = self.farthest_m {
            return measured;
        }
        let Some(middle) = self.middle() else {
            return 0;
        };
        let places = self.members.values().filter_map(|member| member.position);
        middle.farthest_m(places)
    }

    /// Whether all that is kept in sums is what a count finds.
    pub fn sums_agree(&self) -> bool {
        let mut counted = Self::default();
        for (source, member) in &self.members {
            counted.count_in(source, member);
        }
        (counted.standing, counted.weight, counted.severities)
            == (self.standing, self.weight, self.severities)
            && counted.lost == self.lost
            && counted.well == self.well
            && counted.voices == self.voices
            && counted.places == self.places
            && counted.decays == self.decays
    }

    fn change(&mut self, source: &Source, change: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(source) else {
            return;
        };
        let before = member.stand();
        change(member);
        let after = member.stand();
        let who = who(source, member).cloned();
        self.shift(source, who.as_ref(), Some(before), Some(after));
    }

    fn shift(
        &mut self,
        source: &Source,
        who: Option<&NodeId>,
        from: Option<Stand>,
        to: Option<Stand>,
    ) {
        let is_well = |stand: &Stand| {
            let is_heard = stand.standing == Standing::Normal && !stand.silent;
            is_heard && source.report.is_none()
        };
        if let Some(stand) = from {
            self.well -= u32::from(is_well(&stand));
            self.standing[stand.standing as usize] -= 1;
            self.severities[stand.severity as usize] -= 1;
            self.lost[stand.lost as usize] -= 1;
            match who {
                Some(who) => self.voices.leave(who, stand.weight),
                None => self.weight -= u64::from(stand.weight),
            }
        }
        if let Some(stand) = to {
            self.well += u32::from(is_well(&stand));
            self.standing[stand.standing as usize] += 1;
            self.severities[stand.severity as usize] += 1;
            self.lost[stand.lost as usize] += 1;
            match who {
                Some(who) => self.voices.enter(who, stand.weight),
                None => self.weight += u64::from(stand.weight),
            }
        }
    }

    /// What nobody hears any more, and what people reported, is over, as a person has seen.
    pub fn all_clear(&mut self) {
        // Of thousands all are asked once, and none is looked for.
        let mut members = std::mem::take(&mut self.members);
        for (source, member) in &mut members {
            let before = member.stand();
            let lost = before.standing == Standing::Lost;
            let unheard = member.silent || member.until.is_some() || lost;
            if !unheard || before.standing == Standing::Normal {
                continue;
            }
            if let Some(until) = member.until {
                self.decays.remove(&(until, source.clone()));
            }
            member.is_well();
            let who = who(source, member);
            self.shift(source, who, Some(before), Some(member.stand()));
        }
        self.members = members;
    }

    /// Puts the whole state, members in the order of their names.
    pub fn put(&self, out: &mut impl Put) {
        out.put_u64(self.readings);
        out.put_time(self.last_evidence_at);
        self.of_others.put(out);
        out.put_option(self.origin, |out, origin| out.put_u64(origin.to_bits()));
        out.put_count(self.members.len());
        for (source, member) in &self.members {
            source.put(out);
            member.put(out);
        }
    }

    /// The members as they were put, and all that is summed of them. `weight_of`: how much a
    /// source counts by a detection rule.
    pub fn take(
        format: u16,
        incident: IncidentId,
        take: &mut Take<'_>,
        weight_of: impl Fn(&RuleId) -> u32,
    ) -> Result<Self, CodecError> {
        let mut cluster = Self {
            readings: take.u64()?,
            last_evidence_at: take.time()?,
            of_others: Taken::take(take, EVIDENCE_OF_OTHERS_REMEMBERED)?,
            origin: match format {
                1 => Some(incident),
                _ => take.option(incident_id)?,
            },
            ..Self::default()
        };
        let count = take.u32()? as usize;
        let member = |take: &mut Take<'_>| {
            Ok((Source::take(take)?, Member::take(format, take, &weight_of)?))
        };
        let members = take.each(count, member)?;
        if !members.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(CodecError("members are not in order"));
        }
        for (source, member) in &members {
            cluster.count_in(source, member);
        }
        cluster.members = members.into_iter().collect();
        Ok(cluster)
    }
}

/// How many sources of these members have weighed nothing so far, and have not reported to another yet.
fn weightless_for<'a>(
    other: &Cluster,
    members: impl Iterator<Item = (&'a Source, &'a Member)>,
) -> u32 {
    let mut alone = 0;
    let mut known_by_name = BTreeMap::new();
    for (source, member) in members {
        let weightless = member.has_never_weighed(source);
        match who(source, member) {
            None => alone += u32::from(weightless),
            Some(who) => *known_by_name.entry(who).or_insert(true) &= weightless,
        }
    }
    let further = known_by_name.into_iter();
    let further = further.filter(|(who, weightless)| *weightless && !other.voices.has(who));
    alone + further.count() as u32
}

/// The graver and the surer of two.
fn graver(
    (severity, certainty): (Severity, Certainty),
    other: (Severity, Certainty),
) -> (Severity, Certainty) {
    (severity.max(other.0), certainty.max(other.1))
}

/// The gravest of which there is any.
fn gravest_of(severities: &[u32; 5]) -> Severity {
    let mut said = Severity::ALL.iter().rev();
    let gravest = said.find(|severity| severities[**severity as usize] > 0);
    gravest.copied().unwrap_or(Severity::Unknown)
}

/// Who reports, if a member is a report and its rule tells.
pub(super) fn who<'a>(source: &Source, member: &'a Member) -> Option<&'a NodeId> {
    let report = source.report.as_ref();
    report.and_then(|_| member.shared.who())
}
