//! One source of an incident: what it said, how it stands, and where it is.
//!
//! Kept are the first, the worst and the last sighting, and which readings are evidence; all the
//! evidence lies in the decisions. When a person has said how grave the incident is, it is kept with the
//! worst sighting how grave the source was taken for then, and at most since. Next: `places.rs`.

use super::Source;
use super::taken::Taken;
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, Severity};
use crate::detection::Sighting;
use crate::id::{IncidentId, ReadingId, RuleId};
use crate::limits::EVIDENCE_REMEMBERED;
use crate::place::Position;
use crate::record::{Seq, incident_id};
use crate::shared::Shared;
use crate::time::{Millis, Timestamp};

/// One source.
#[derive(Debug)]
pub(crate) struct Member {
    /// The detections about it that are raised.
    pub(super) raised: Vec<Raised>,
    /// Its sensor is silent.
    pub(super) silent: bool,
    /// Since when it is normal again, as it says.
    normal_since: Option<Timestamp>,
    /// It fell silent before it had been normal for long enough: nobody knows whether it is over.
    gone: bool,
    /// When it stops counting, if it is a report that counts.
    pub(super) until: Option<Timestamp>,
    /// Where it was last.
    pub position: Option<Position>,
    /// What it last had in common with others, if a rule asks.
    pub shared: Shared,
    first: Sighting,
    /// While a person's word about how grave it is holds, as grave as the source was taken for then and at
    /// most since, by what could be believed.
    worst: Sighting,
    last: Sighting,
    /// The readings that it gave.
    pub(super) taken: Taken,
    /// How many of them count as its own: a report and a threshold may take the same one.
    pub(super) count: u64,
    /// The incident that it was first a member of, if that is not what most members of its cluster
    /// were.
    pub origin: Option<IncidentId>,
}

/// A detection about a source.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(super) rule: RuleId,
    /// Given by the correlation rule, so it is not part of the state.
    weight: u32,
    pub(super) severity: Severity,
    pub(super) certainty: Certainty,
    pub(super) trust: Trust,
}

/// What may be known of a member. The first alone is how silence was kept before there were others.
const IS_SILENT: u8 = 1;
const IS_GONE: u8 = 2;
const HAS_NORMAL_SINCE: u8 = 4;

/// Whether a detection is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Trust {
    /// Its sensor is trusted.
    Full,
    /// It counted when its sensor came to be distrusted: since then nobody knows.
    Lost,
    /// The same, and the sensor says that it is normal, which nobody knows either.
    LostCleared,
    /// Said by a sensor that was distrusted already: it belongs to the picture and decides nothing.
    Doubted,
}

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Normal,
    /// Abnormal, but of no weight: it belongs to the picture and decides nothing.
    Context,
    Abnormal,
    Silent,
    Reported,
    /// Abnormal when its sensor came to be distrusted: since then nobody knows.
    Lost,
    /// Normal again as it said, and silent before that had lasted.
    Gone,
}

/// How a member stands, how much it weighs, and how grave what it says is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stand {
    pub standing: Standing,
    /// Its sensor is silent.
    pub silent: bool,
    pub weight: u32,
    pub severity: Severity,
    /// How grave that is which counted when its sensor came to be distrusted.
    pub lost: Severity,
}

/// What a source says: a sighting with what it amounts to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub rule: &'a RuleId,
    /// How much the source counts by it.
    pub weight: u32,
    pub severity: Severity,
    pub certainty: Certainty,
    /// When it stops counting, if it is a report.
    pub until: Option<Timestamp>,
    /// Its sensor is not to be trusted.
    pub doubted: bool,
    /// It takes the place of what the source has said of the same already.
    pub renews: bool,
    /// A person has said how grave the incident is that it is about.
    pub judged: bool,
    pub sighting: &'a Sighting,
}

impl Member {
    pub(super) fn new(sighting: &Sighting) -> Self {
        Self {
            raised: Vec::new(),
            silent: false,
            normal_since: None,
            gone: false,
            until: None,
            position: None,
            shared: Shared::default(),
            first: sighting.clone(),
            worst: sighting.clone(),
            last: sighting.clone(),
            taken: Taken::default(),
            count: 0,
            origin: None,
        }
    }

    /// A sensor of a street that stays silent, as a rule about sites has found. What it said last is no
    /// evidence of anything: only when that was is known.
    pub fn unheard(rule: &RuleId, weight: u32, sighting: &Sighting) -> Self {
        Self {
            raised: vec![Raised {
                rule: rule.clone(),
                weight,
                severity: sighting.severity,
                certainty: Certainty::Possible,
                trust: Trust::Full,
            }],
            silent: true,
            position: sighting.position,
            ..Self::new(sighting)
        }
    }

    /// Whether its sensor's name leads to it: all but reports with a place or a group of their own.
    pub fn is_led_to(&self, source: &Source) -> bool {
        source.report.is_none() || (self.position.is_none() && !self.shared.is_grouped())
    }

    /// From here on it is what most members of its cluster are, or of another incident.
    pub fn belongs_to(&mut self, origin: Option<IncidentId>) {
        self.origin = origin;
    }

    /// Whether it gave this reading.
    pub fn gave(&self, seq: Seq) -> bool {
        self.taken.has(seq)
    }

    /// The last record that brought a reading of it.
    pub fn newest(&self) -> Option<Seq> {
        self.taken.newest()
    }

    /// Since when it is normal again, as it says, if it is.
    pub fn normal_since(&self) -> Option<Timestamp> {
        self.normal_since
    }

    /// Whether it stands: says at this time that something is wrong.
    pub fn stands(&self) -> bool {
        !matches!(self.standing(), Standing::Normal | Standing::Gone)
    }

    /// Whether it is heard to be abnormal, and believed.
    pub fn is_heard(&self) -> bool {
        self.standing() == Standing::Abnormal
    }

    /// How grave it was taken for when a person said how grave the incident is, and at most since. Nothing
    /// is known of that if nobody has.
    pub fn known_for(&self) -> Severity {
        self.worst.severity.max(self.believed().0)
    }

    /// The gravest and the surest that is said about it and is to be believed.
    pub fn believed(&self) -> (Severity, Certainty) {
        gravest(self.raised.iter())
    }

    /// The same of what is believed still.
    pub(super) fn says(&self) -> (Severity, Certainty) {
        let raised = self.raised.iter();
        gravest(raised.filter(|raised| !raised.trust.is_lost()))
    }

    /// The same of what counted when its sensor came to be distrusted.
    pub(super) fn had_said(&self) -> (Severity, Certainty) {
        let raised = self.raised.iter();
        gravest(raised.filter(|raised| raised.trust.is_lost()))
    }

    /// A person says how grave the incident is, and knows what this one says of it at this time.
    pub(super) fn is_judged(&mut self) {
        self.worst.severity = self.believed().0;
    }

    /// It has been as grave as it is now, since a person has said how grave the incident is.
    pub(super) fn is_known_for_this(&mut self) {
        self.worst.severity = self.known_for();
    }

    /// When it was first and last heard.
    pub fn heard(&self) -> (Timestamp, Timestamp) {
        (self.first.at, self.last.at)
    }

    /// Where a sighting shows it to be: nowhere new, if it is not news.
    pub fn place_in(&self, sighting: &Sighting) -> Option<Position> {
        sighting.position.filter(|_| !self.gave(sighting.seq))
    }

    /// What a sighting has in common with others, if that is news.
    pub fn shared_in<'a>(&self, sighting: &'a Sighting) -> Option<&'a Shared> {
        let is_news = !sighting.shared.is_empty() && !self.gave(sighting.seq);
        is_news.then_some(&sighting.shared)
    }

    /// The rules whose detections are raised about it.
    pub fn raised_by(&self) -> impl Iterator<Item = &RuleId> {
        self.raised.iter().map(|raised| &raised.rule)
    }

    /// Whether it would weigh something if its sensor were trusted.
    pub(super) fn is_doubted(&self) -> bool {
        let mut raised = self.raised.iter();
        raised.any(|raised| raised.trust == Trust::Doubted && raised.weight > 0)
    }

    pub(super) fn standing(&self) -> Standing {
        self.stand().standing
    }

    /// Whether it is believed: a sensor that is heard, or was abnormal when it fell silent, or a report that
    /// counts.
    pub(super) fn is_believed(&self, source: &Source) -> bool {
        match self.standing() {
            Standing::Abnormal | Standing::Silent | Standing::Reported => true,
            Standing::Normal => !self.silent && source.report.is_none(),
            Standing::Context | Standing::Lost | Standing::Gone => false,
        }
    }

    /// Whether nothing that it has said has weighed anything so far: it weighs nothing by what it says, or
    /// was doubted from the first. Of a report that counts no more nobody knows what it weighed: it is taken
    /// to have weighed something.
    pub(super) fn has_never_weighed(&self, source: &Source) -> bool {
        match self.standing() {
            Standing::Normal if source.report.is_some() => false,
            Standing::Normal | Standing::Context => self.normal_since.is_none(),
            Standing::Abnormal
            | Standing::Silent
            | Standing::Reported
            | Standing::Lost
            | Standing::Gone => false,
        }
    }

    /// How it stands; it weighs as much as its weightiest detection that is to be believed.
    pub(super) fn stand(&self) -> Stand {
        let weightiest = |lost: bool| {
            let raised = self.raised.iter();
            let raised = raised.filter(|raised| raised.trust.is_lost() == lost);
            raised.map(Raised::believed_weight).max()
        };
        let (weight, lost) = (weightiest(false), weightiest(true));
        let standing = match (weight, self.until, self.silent) {
            (None | Some(0), _, _) if lost > Some(0) => Standing::Lost,
            (None | Some(0), _, _) if self.gone => Standing::Gone,
            (None, _, _) if lost.is_none() => Standing::Normal,
            (None | Some(0), _, _) => Standing::Context,
            (Some(_), Some(_), _) => Standing::Reported,
            (Some(_), None, true) => Standing::Silent,
            (Some(_), None, false) => Standing::Abnormal,
        };
        Stand {
            standing,
            silent: self.silent,
            weight: weight.unwrap_or(0),
            severity: self.says().0,
            lost: self.had_said().0,
        }
    }

    /// Its sensor is no longer to be trusted in what this rule found.
    pub(super) fn distrust(&mut self, rule: &RuleId) {
        let raised = self.raised.iter_mut().find(|raised| raised.rule == *rule);
        if let Some(raised) = raised.filter(|raised| raised.trust == Trust::Full) {
            raised.trust = Trust::Lost;
        }
    }

    /// It is again in what these rules find: what it still says counts, which is what is raised.
    /// Who is silent says nothing still: of it only what counted before does.
    pub(super) fn trust(&mut self, rules: &[RuleId], raised: &[RuleId], at: Timestamp) {
        let silent = self.silent;
        let before = self.standing();
        self.raised.retain_mut(|own| {
            if !rules.contains(&own.rule) {
                return true;
            }
            let unheard = silent && own.trust == Trust::Doubted;
            own.trust = Trust::Full;
            raised.contains(&own.rule) && !unheard
        });
        self.has_stood(before, at);
    }

    /// It is over, whatever is not known of it: neither what counted before its sensor came to be
    /// distrusted, nor what it would have said.
    pub(super) fn let_go(&mut self) {
        self.raised.retain(|raised| !raised.trust.is_lost());
        self.gone = false;
    }

    /// Its sensor says nothing any more, and was last heard then. What had not been normal for so
    /// long may go on: whoever burns says that all is well, and then nothing.
    pub(super) fn fall_silent(&mut self, last_heard_at: Timestamp, sure_after: Option<Millis>) {
        let since = self.normal_since.filter(|_| !self.silent);
        if let (Some(since), Some(sure_after)) = (since, sure_after) {
            self.gone = last_heard_at - since < sure_after;
        }
        self.silent = true;
    }

    /// Its sensor is heard again. What it says from here on counts, and what it said before does not.
    pub(super) fn speak(&mut self, at: Timestamp) {
        self.silent = false;
        if std::mem::take(&mut self.gone) {
            self.normal_since = Some(at);
        }
    }

    /// Its sensor speaks elsewhere from here on.
    pub(super) fn leave_behind(&mut self, at: Timestamp) {
        self.raised.clear();
        // That the sensor is silent is true of where it is.
        (self.silent, self.gone) = (false, false);
        // Of what was reported once it is never known.
        self.normal_since.get_or_insert(at);
    }

    /// Whether its sensor speaks elsewhere by now.
    pub(super) fn has_left(&self, source: &Source) -> bool {
        source.report.is_some() && self.normal_since.is_some()
    }

    /// Some readings that it gave.
    pub(super) fn readings(&self) -> impl Iterator<Item = &ReadingId> {
        let all = [&self.first, &self.worst, &self.last];
        all.into_iter().map(|sighting| &sighting.reading)
    }

    /// Two of one name, of which one at least has left, are one: what goes on is the other. It counts
    /// for what this does.
    pub fn with(self, other: Self, source: &Source) -> Self {
        let (count, origin) = (self.count, self.origin);
        let goes_on = match self.has_left(source) {
            true => other,
            false => self,
        };
        Self {
            count,
            origin,
            ..goes_on
        }
    }

    /// What a person has seen of it: nothing is wrong there any more.
    pub(super) fn is_well(&mut self) {
        self.until = None;
        self.raised.clear();
        self.gone = false;
    }

    /// Who was abnormal may be normal by now, and who was normal abnormal.
    fn has_stood(&mut self, before: Standing, at: Timestamp) {
        let is_wrong = |standing| match standing {
            Standing::Abnormal | Standing::Silent | Standing::Reported | Standing::Lost => true,
            Standing::Normal | Standing::Context | Standing::Gone => false,
        };
        match (is_wrong(before), is_wrong(self.standing())) {
            (_, true) => self.normal_since = None,
            (true, false) => self.normal_since = Some(at),
            (false, false) => {}
        }
    }

    /// What a rule found is graver by now. Returns whether that can be believed.
    pub(super) fn worsen(&mut self, rule: &RuleId, severity: Severity, doubted: bool) -> bool {
        let mut raised = self.raised.iter_mut();
        let raised = raised.find(|raised| raised.rule == *rule);
        let Some(raised) = raised.filter(|raised| !doubted || !raised.trust.is_lost()) else {
            return false;
        };
        raised.severity = raised.severity.max(severity);
        !doubted && raised.weight > 0
    }

    /// What a rule found is no graver than this by now, as a sensor says that is trusted or not. What
    /// counted before it came to be distrusted stays as grave as it was.
    pub(super) fn ease(&mut self, rule: &RuleId, severity: Severity, doubted: bool) {
        let mut raised = self.raised.iter_mut();
        let raised = raised.find(|raised| raised.rule == *rule);
        if let Some(raised) = raised.filter(|raised| !doubted || !raised.trust.is_lost()) {
            raised.severity = raised.severity.min(severity);
        }
    }

    /// What a rule found has cleared, as a sensor says that is trusted or not. What counted before
    /// it came to be distrusted stays until it is trusted again. Returns what counts no more.
    pub(super) fn clear(&mut self, rule: &RuleId, doubted: bool, at: Timestamp) -> Option<Raised> {
        let before = self.standing();
        let place = self.raised.iter().position(|raised| raised.rule == *rule)?;
        let raised = &mut self.raised[place];
        let cleared = if doubted && raised.trust.is_lost() {
            raised.trust = Trust::LostCleared;
            None
        } else {
            Some(self.raised.remove(place))
        };
        self.has_stood(before, at);
        cleared
    }

    /// What it said counts until then, though it is normal by now.
    pub(super) fn counts_until(&mut self, said: impl Iterator<Item = Raised>, until: Timestamp) {
        self.raised.extend(said);
        self.until = Some(until);
    }

    /// The first rule that is raised about it and that is none of these.
    pub fn raised_but(&self, rules: &[RuleId]) -> Option<&RuleId> {
        let raised = self.raised.iter().map(|raised| &raised.rule);
        raised.into_iter().find(|rule| !rules.contains(rule))
    }

    pub(super) fn is_raised_by(&self, rule: &RuleId) -> bool {
        self.raised.iter().any(|raised| raised.rule == *rule)
    }

    /// A report is taken back as what a rule took it for. Returns whether nothing of it counts now.
    pub(super) fn withdraw(&mut self, rule: &RuleId) -> bool {
        self.raised.retain(|raised| raised.rule != *rule);
        let ends = self.raised.is_empty();
        if ends {
            self.until = None;
        }
        ends
    }

    pub(super) fn note(&mut self, statement: &Statement<'_>, known: bool) {
        self.taken
            .insert(statement.sighting.seq, EVIDENCE_REMEMBERED);
        let before = self.standing();
        // Whoever speaks is not silent.
        self.speak(statement.sighting.at);
        if statement.until.is_none() && self.until.take().is_some() {
            // A sensor that was abnormal, and is so anew.
            self.raised.clear();
        }
        self.until = self.until.max(statement.until);
        let said = Raised {
            rule: statement.rule.clone(),
            weight: statement.weight,
            severity: statement.severity,
            certainty: statement.certainty,
            trust: match statement.doubted {
                true => Trust::Doubted,
                false => Trust::Full,
            },
        };
        match self
            .raised
            .iter_mut()
            .find(|raised| raised.rule == said.rule)
        {
            // What counted stays as grave as it was while it could be believed.
            Some(raised) if statement.doubted && raised.trust.is_lost() => {
                raised.trust = Trust::Lost;
            }
            Some(raised) => *raised = said,
            None => self.raised.push(said),
        }
        self.has_stood(before, statement.sighting.at);
        if statement.judged {
            self.note_as_judged(statement, known);
        }
        if !known {
            return;
        }
        if !statement.judged && graver(statement.sighting, &self.worst) {
            self.worst = statement.sighting.clone();
        }
        let order = |sighting: &Sighting| (sighting.at, sighting.seq);
        if order(statement.sighting) >= order(&self.last) {
            self.last = statement.sighting.clone();
        }
    }

    /// The same where a person has said how grave the incident is: not what the value is by itself counts,
    /// but what it is taken for.
    fn note_as_judged(&mut self, statement: &Statement<'_>, known: bool) {
        if !known {
            self.worst.severity = Severity::Unknown;
        }
        if !statement.doubted && statement.severity > self.worst.severity {
            self.worst = Sighting {
                severity: statement.severity,
                ..statement.sighting.clone()
            };
        }
    }

    pub(super) fn put(&self, out: &mut impl Put) {
        let mut raised: Vec<_> = self.raised.iter().collect();
        raised.sort_by_key(|raised| &raised.rule);
        out.put_count(raised.len());
        raised.iter().for_each(|raised| raised.put(out));
        let since = self.normal_since;
        let marks = [
            (self.silent, IS_SILENT),
            (self.gone, IS_GONE),
            (since.is_some(), HAS_NORMAL_SINCE),
        ];
        let marks = marks.iter().filter(|(holds, _)| *holds);
        out.put_u8(marks.map(|(_, mark)| mark).sum());
        if let Some(since) = since {
            out.put_time(since);
        }
        out.put_option(self.until, Put::put_time);
        out.put_option(self.position, Put::put_position);
        for sighting in [&self.first, &self.worst, &self.last] {
            sighting.put(out);
        }
        self.taken.put(out);
        out.put_u64(self.count);
        out.put_option(self.origin, |out, origin| out.put_u64(origin.to_bits()));
        self.shared.put(out);
    }

    /// The member as it was put; before format 2 all sensors were trusted, and before
    /// format 3 nobody asked what they have in common.
    pub(super) fn take(
        format: u16,
        take: &mut Take<'_>,
        weight_of: impl Fn(&RuleId) -> u32,
    ) -> Result<Self, CodecError> {
        let count = take.u32()? as usize;
        let raised = take.each(count, |take| Raised::take(format, take, &weight_of))?;
        if !raised.is_sorted_by(|one, next| one.rule < next.rule) {
            return Err(CodecError("detections are not in order"));
        }
        let marks = take.u8()?;
        if marks & !(IS_SILENT | IS_GONE | HAS_NORMAL_SINCE) != 0 {
            return Err(CodecError("a member stands in an unknown way"));
        }
        Ok(Self {
            raised,
            silent: marks & IS_SILENT != 0,
            gone: marks & IS_GONE != 0,
            normal_since: match marks & HAS_NORMAL_SINCE {
                0 => None,
                _ => Some(take.time()?),
            },
            until: take.option(Take::time)?,
            position: take.option(Take::position)?,
            first: Sighting::take(take)?,
            worst: Sighting::take(take)?,
            last: Sighting::take(take)?,
            taken: Taken::take(take, EVIDENCE_REMEMBERED)?,
            count: take.u64()?,
            origin: match format {
                1 => None,
                _ => take.option(incident_id)?,
            },
            shared: match format {
                1 | 2 => Shared::default(),
                _ => Shared::take(take)?,
            },
        })
    }
}

impl Trust {
    const ALL: [Self; 4] = [Self::Full, Self::Lost, Self::LostCleared, Self::Doubted];

    const fn is_lost(self) -> bool {
        matches!(self, Self::Lost | Self::LostCleared)
    }
}

impl Raised {
    /// How much its source weighs by it, or would if its sensor had not come to be distrusted.
    const fn believed_weight(&self) -> u32 {
        match self.trust {
            Trust::Full | Trust::Lost | Trust::LostCleared => self.weight,
            Trust::Doubted => 0,
        }
    }

    /// What it says of how grave its incident is: nothing, if its sensor was distrusted when it said so, or
    /// if it weighs nothing.
    pub(super) fn verdict(&self) -> (Severity, Certainty) {
        match self.trust {
            Trust::Full | Trust::Lost | Trust::LostCleared if self.weight > 0 => {
                (self.severity, self.certainty)
            }
            Trust::Full | Trust::Lost | Trust::LostCleared | Trust::Doubted => {
                (Severity::Unknown, Certainty::Unknown)
            }
        }
    }

    fn put(&self, out: &mut impl Put) {
        out.put_text(self.rule.as_str());
        out.put_u8(self.severity as u8);
        out.put_u8(self.certainty as u8);
        out.put_u8(self.trust as u8);
    }

    fn take(
        format: u16,
        take: &mut Take<'_>,
        weight_of: impl Fn(&RuleId) -> u32,
    ) -> Result<Self, CodecError> {
        let rule = take.parsed("rule")?;
        Ok(Self {
            weight: weight_of(&rule),
            rule,
            severity: Severity::take(take)?,
            certainty: Certainty::take(take)?,
            trust: match format {
                1 => Trust::Full,
                _ => take_trust(take)?,
            },
        })
    }
}

/// The gravest and the surest that is said and was to be believed when it was.
fn gravest<'a>(said: impl Iterator<Item = &'a Raised>) -> (Severity, Certainty) {
    let none = (Severity::Unknown, Certainty::Unknown);
    said.map(Raised::verdict)
        .fold(none, |one, other| (one.0.max(other.0), one.1.max(other.1)))
}

fn take_trust(take: &mut Take<'_>) -> Result<Trust, CodecError> {
    let found = Trust::ALL.get(usize::from(take.u8()?)).copied();
    found.ok_or(CodecError("trusted in an unknown way"))
}

/// Whether one sighting is worse than another: by severity, then by how far it is beyond.
fn graver(one: &Sighting, other: &Sighting) -> bool {
    let by_severity = one.severity.cmp(&other.severity);
    by_severity
        .then(one.excess.total_cmp(&other.excess))
        .is_gt()
}
