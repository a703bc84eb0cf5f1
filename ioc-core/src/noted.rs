//! What counted of late, and what of it something would have kept quiet that nobody has asked for.
//!
//! Arrives: the findings that pass what is kept quiet on purpose (`suppress/gate.rs`). Leaves: those
//! that begin, change or end something that people are told of ([`Noted`]); and of a suppression
//! that is not there what it would have hidden of them ([`would_hide`]). Promise: it is decided by
//! what decides it when it is there, over what counted. Nothing is judged anew: that a sequence of
//! which a part is hidden does not end, or what else stays too little for an incident, is not looked
//! at. Bounded: the newest [`NOTED_MAX`] are held until somebody takes them. It is no part of the
//! state. Next: `suppress/preview.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::decision::{How, Matcher, Severity};
use crate::detection::{Detection, Finding, Sighting};
use crate::id::{RuleId, SensorId};
use crate::limits::NOTED_MAX;
use crate::place::Position;
use crate::record::Seq;
use crate::rules::Rules;
use crate::suppress;
use crate::time::Timestamp;

/// A finding that counted.
#[derive(Debug, Clone)]
pub struct Noted {
    /// When, in logical time.
    pub at: Timestamp,
    /// The record that was being applied.
    pub seq: Seq,
    /// The record that brought the first reading that is evidence by it.
    pub(crate) since: Seq,
    pub(crate) finding: Finding,
}

/// What was noted.
#[derive(Debug, Default)]
pub struct Noting {
    /// In the order in which it counted.
    pub noted: Vec<Noted>,
    /// How many went before anybody took them; they came before the others.
    pub lost: u64,
}

/// What a suppression would have hidden.
#[derive(Debug, Clone, Default)]
pub struct WouldHide {
    /// How many detections it would have counted as kept quiet.
    pub detections: u64,
    /// How many silences and faults of sensors, which would have counted and not been told.
    pub of_sensors: u64,
    /// How many would have been told because they are extreme.
    pub let_through: u64,
    /// The sensors and rules of those detections.
    pub subjects: BTreeSet<(SensorId, RuleId)>,
    /// From which record on what a rule finds about a sensor would have stood how.
    pub(crate) stood: BTreeMap<SensorId, BTreeMap<RuleId, Vec<(Seq, Stood)>>>,
}

/// How what a rule finds about a sensor would have stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stood {
    Hidden,
    Told,
    Over,
}

/// What is noted until it is taken.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The record that is being applied.
    pub seq: Seq,
    noted: VecDeque<Noted>,
    lost: u64,
    /// How that stands which goes on: one more reading that says the same is nothing new.
    standing: BTreeMap<(SensorId, RuleId), Standing>,
}

/// How grave it is, and where, if its sensor is registered in no zone.
type Standing = (Severity, Option<Position>);

/// What a suppression of this sort would have hidden of what was noted, under these rules.
pub fn would_hide<'n>(
    rules: &Rules,
    how: How,
    matcher: &Matcher,
    noted: impl IntoIterator<Item = &'n Noted>,
) -> WouldHide {
    suppress::would_hide(rules, (how, matcher), noted)
}

impl Noted {
    fn new(at: Timestamp, seq: Seq, finding: &Finding) -> Self {
        let mut finding = finding.clone();
        let since = match &mut finding.detection {
            Detection::Raised { sightings, .. } => {
                let since = sightings.first().map(|first| first.seq);
                // The last says where it is.
                sightings.drain(..sightings.len().saturating_sub(1));
                since
            }
            Detection::Updated { sighting, .. } | Detection::Reported { sighting, .. } => {
                Some(sighting.seq)
            }
            _ => None,
        };
        Self {
            at,
            seq,
            since: since.unwrap_or(seq),
            finding,
        }
    }

    /// The detection rule.
    pub const fn rule(&self) -> &RuleId {
        &self.finding.rule
    }

    /// Whether something begins by it: a detection, a report, a silence, a fault.
    pub const fn begins(&self) -> bool {
        matches!(
            self.finding.detection,
            Detection::Raised { .. }
                | Detection::Reported { .. }
                | Detection::Silent(_)
                | Detection::Faulty(_)
        )
    }
}

impl Notes {
    /// Notes a finding that counts, unless it says nothing new.
    pub fn note(&mut self, at: Timestamp, finding: &Finding) {
        if !self.is_news(finding) {
            return;
        }
        if self.noted.len() == NOTED_MAX {
            self.noted.pop_front();
            self.lost += 1;
        }
        self.noted.push_back(Noted::new(at, self.seq, finding));
    }

    fn is_news(&mut self, finding: &Finding) -> bool {
        let subject = || (finding.sensor.clone(), finding.rule.clone());
        let place = |sighting: &Sighting| match finding.zone {
            Some(_) => None,
            None => sighting.position,
        };
        match &finding.detection {
            Detection::Raised {
                severity,
                sightings,
                ..
            } => {
                let place = sightings.last().and_then(place);
                self.stands(subject(), (*severity, place));
                true
            }
            Detection::Updated {
                severity, sighting, ..
            } => self.goes_on(subject(), (*severity, place(sighting))),
            Detection::Worsened(severity) => {
                let subject = subject();
                let before = self.standing.get(&subject);
                let place = before.and_then(|(_, place)| *place);
                self.goes_on(subject, (*severity, place))
            }
            Detection::Cleared => {
                self.standing.remove(&subject());
                true
            }
            Detection::Reported { .. } => true,
            // What nobody was told would not have been hidden.
            Detection::Silent(_)
            | Detection::Returned(_)
            | Detection::SilenceForgotten(_)
            | Detection::Faulty(_)
            | Detection::Sound(_) => !finding.detection.is_untold(),
            Detection::Stirred
            | Detection::Eased(_)
            | Detection::Withdrawn(_)
            | Detection::SiteSilent(_)
            | Detection::SiteReturned(_)
            | Detection::Contributed(_)
            | Detection::Observed(_)
            | Detection::Heard(_) => false,
        }
    }

    /// Whether it stands otherwise than before.
    fn goes_on(&mut self, subject: (SensorId, RuleId), standing: Standing) -> bool {
        let is_news = self.standing.get(&subject) != Some(&standing);
        if is_news {
            self.stands(subject, standing);
        }
        is_news
    }

    /// Of what finds no room each further reading is noted.
    fn stands(&mut self, subject: (SensorId, RuleId), standing: Standing) {
        if self.standing.len() < NOTED_MAX || self.standing.contains_key(&subject) {
            self.standing.insert(subject, standing);
        }
    }

    pub fn take(&mut self) -> Noting {
        Noting {
            noted: std::mem::take(&mut self.noted).into(),
            lost: std::mem::take(&mut self.lost),
        }
    }
}

impl WouldHide {
    /// Whether the evidence that this record brought of a sensor would have been hidden from whoever
    /// takes what these rules find: by all of them that found anything. `None` if it began before
    /// anything was noted of it.
    pub fn hides(&self, sensor: &SensorId, seq: Seq, rules: &[RuleId]) -> Option<bool> {
        let of_sensor = self.stood.get(sensor)?;
        let mut hidden = None;
        for rule in rules {
            let stood = of_sensor.get(rule).into_iter().flatten().rev();
            let mut until = stood.filter(|(since, _)| *since <= seq);
            match until.next() {
                Some((_, Stood::Told)) => return Some(false),
                Some((_, Stood::Hidden)) => hidden = Some(true),
                Some((_, Stood::Over)) | None => {}
            }
        }
        hidden
    }
}
