//! One thing after another, near it: or one thing that is not followed by another.
//!
//! Arrives: findings of the detections that a rule names. Leaves: findings of the rule itself:
//! about the sensor of the second detection if it follows in time, or, where its absence is
//! abnormal, about that of the first, in the moment in which its time is over. What is doubted
//! (`detect/examine.rs`) begins nothing and ends nothing. A third detection near by, in the
//! meantime or still there, keeps the rule quiet. What is kept quiet on purpose (`suppress.rs`) begins
//! nothing and follows nothing either, but it has happened: what it contradicts is not found.
//!
//! What follows is over when the second detection is. An absence is over when the first detection
//! is, or when the second comes after all. Next: `correlate.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::watch::{Moment, News, Seen, Watch, news};
use crate::away::Away;
use crate::bundle::{DetectionRule, Sequence, Test};
use crate::codec::{CodecError, Put, Take};
use crate::detection::{Detection, Finding, Sighting};
use crate::explain::{OtherLook, SequenceLook};
use crate::id::{RuleId, SensorId, ZoneId};
use crate::limits::SEQUENCE_SENSORS_MAX;
use crate::place::Position;
use crate::rules::Rules;
use crate::time::Timestamp;

/// One rule at work.
#[derive(Debug)]
pub(super) struct Sequencer {
    name: RuleId,
    hash: u64,
    rule: Sequence,
    first: Watch,
    then: Watch,
    unless: Watch,
    /// Sensors of the first detection that are not followed yet, with when their time is over.
    waiting: BTreeMap<SensorId, Timestamp>,
    /// Sensors that the rule is raised about.
    raised: BTreeSet<SensorId>,
    /// What waits no longer since this was last looked at.
    pub ended: Vec<(SensorId, Timestamp)>,
}

impl Sequencer {
    pub fn new(rule: &DetectionRule) -> Self {
        Self {
            name: rule.name.clone(),
            hash: rule.hash,
            rule: sequence_of(rule).clone(),
            first: Watch::default(),
            then: Watch::default(),
            unless: Watch::default(),
            waiting: BTreeMap::new(),
            raised: BTreeSet::new(),
            ended: Vec::new(),
        }
    }

    /// Whether it is a rule of this meaning.
    pub fn means(&self, rule: &DetectionRule) -> bool {
        self.hash == rule.hash
    }

    pub fn is_raised(&self, sensor: &SensorId) -> bool {
        self.raised.contains(sensor)
    }

    /// The detection whose sensors it is raised about.
    pub const fn about(&self) -> &RuleId {
        if self.rule.absent {
            &self.rule.first
        } else {
            &self.rule.then
        }
    }

    /// When a sensor's time is over, if it waits.
    pub fn due(&self, sensor: &SensorId) -> Option<Timestamp> {
        self.waiting.get(sensor).copied()
    }

    pub fn waiting(&self) -> impl Iterator<Item = (&SensorId, Timestamp)> {
        self.waiting.iter().map(|(sensor, due)| (sensor, *due))
    }

    /// Takes what is found, and adds what follows from it. Returns for how many sensors there was
    /// no room.
    pub fn take(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) -> u64 {
        let rule = &moment.finding.rule;
        let mut over_limit = 0;
        self.withdraw(moment, found);
        if Some(rule) == self.rule.unless.as_ref() {
            over_limit += self.note(Part::Unless, moment);
        }
        if *rule == self.rule.then {
            over_limit += self.note(Part::Then, moment);
            self.follow(moment, found);
        }
        if *rule == self.rule.first {
            let began = self.begins(&self.first, moment);
            over_limit += self.note(Part::First, moment);
            self.begin(moment, began, found);
        }
        over_limit
    }

    /// Takes what is kept quiet on purpose: by that nothing is missing, and what keeps the rule quiet does.
    /// Adds what is over by it. Returns for how many sensors there was no room.
    pub fn overhear(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) -> u64 {
        let rule = &moment.finding.rule;
        let mut over_limit = 0;
        if Some(rule) == self.rule.unless.as_ref() {
            over_limit += self.note(Part::Unless, moment);
        }
        if self.rule.absent && *rule == self.rule.then {
            over_limit += self.note(Part::Then, moment);
            self.follow(moment, found);
        }
        over_limit
    }

    /// What a source reported before is no more: it keeps nothing quiet, nothing is waited for
    /// because of it, and what followed from it is no more either.
    fn withdraw(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) {
        let Finding { rule, sensor, .. } = moment.finding;
        let names = moment.finding.detection.withdraws();
        let Some(names) = names.filter(|_| !moment.finding.doubted) else {
            return;
        };
        if Some(rule) == self.rule.unless.as_ref() {
            self.unless.withdraw(moment, names);
        }
        if *rule == self.rule.then {
            self.then.withdraw(moment, names);
        }
        if *rule == self.rule.first && self.first.withdraw(moment, names) {
            self.stop_waiting(sensor);
        }
        let is_about = *rule == *self.about();
        if is_about {
            let (zone, observed_at) = (moment.finding.zone.clone(), moment.finding.observed_at);
            let detection = Detection::Withdrawn(Arc::clone(names));
            found.push(self.finding(sensor, zone, observed_at, detection));
        }
    }

    fn note(&mut self, part: Part, moment: Moment<'_>) -> u64 {
        let keep_from = moment.at - self.rule.within;
        // What a report says to keep quiet lasts for as long as it counts.
        match part {
            Part::First => self.first.note(moment, keep_from, |at, _| at),
            Part::Then => self.then.note(moment, keep_from, |at, _| at),
            Part::Unless => self.unless.note(moment, keep_from, |_, until| until),
        }
    }

    /// Whether a finding begins what was not there.
    fn begins(&self, watch: &Watch, moment: Moment<'_>) -> bool {
        match news(moment.finding) {
            Some(News::Begins(_) | News::Reported(..)) => true,
            Some(News::GoesOn(_)) => !watch.lasts(&moment.finding.sensor),
            Some(News::Ends) | None => false,
        }
    }

    /// The first detection was found: where the other one's absence is abnormal, its time runs.
    fn begin(&mut self, moment: Moment<'_>, began: bool, found: &mut Vec<Finding>) {
        if !self.rule.absent {
            return;
        }
        let sensor = &moment.finding.sensor;
        if let Some(News::Ends) = news(moment.finding) {
            self.stop_waiting(sensor);
            if self.raised.remove(sensor) {
                found.push(self.finding(
                    sensor,
                    moment.finding.zone.clone(),
                    moment.finding.observed_at,
                    Detection::Cleared,
                ));
            }
            return;
        }
        let has_room = self.first.0.contains_key(sensor);
        let waits = self.waiting.contains_key(sensor) || self.raised.contains(sensor);
        if began && has_room && !waits && !self.is_followed(moment) {
            self.waiting
                .insert(sensor.clone(), moment.at + self.rule.within);
        }
    }

    /// Whether the second detection lasts near a sensor already.
    fn is_followed(&self, moment: Moment<'_>) -> bool {
        let own = (
            &moment.finding.sensor,
            &self.first.0[&moment.finding.sensor],
        );
        let mut then = self.then.0.iter();
        then.any(|other| other.1.ended.is_none() && self.is_near(own, other, moment.rules))
    }

    /// The second detection was found, went on or ended.
    fn follow(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) {
        if self.rule.absent {
            if !matches!(news(moment.finding), Some(News::Ends) | None) {
                self.come_after_all(moment, found);
            }
            return;
        }
        let sensor = &moment.finding.sensor;
        let detection = match &moment.finding.detection {
            Detection::Cleared if self.raised.remove(sensor) => Detection::Cleared,
            Detection::Updated { sighting, .. } if self.raised.contains(sensor) => {
                Detection::Updated {
                    severity: self.rule.severity,
                    certainty: self.rule.certainty,
                    sighting: sighting.clone(),
                }
            }
            _ if !self.follows(moment) => return,
            Detection::Raised { sightings, .. } => {
                self.raised.insert(sensor.clone());
                self.raising(sightings.clone())
            }
            Detection::Updated { sighting, .. } => {
                self.raised.insert(sensor.clone());
                self.raising(vec![sighting.clone()])
            }
            Detection::Reported {
                until, sighting, ..
            } => Detection::Reported {
                severity: self.rule.severity,
                certainty: self.rule.certainty,
                until: *until,
                sighting: sighting.clone(),
                replaces: None,
            },
            _ => return,
        };
        let finding = self.finding(
            sensor,
            moment.finding.zone.clone(),
            moment.finding.observed_at,
            detection,
        );
        let doubted = moment.finding.doubted;
        found.push(Finding { doubted, ..finding });
    }

    /// Whether what is found follows the first detection near by, in time and not kept quiet.
    fn follows(&self, moment: Moment<'_>) -> bool {
        let sensor = &moment.finding.sensor;
        let Some(seen) = self.then.0.get(sensor) else {
            return false;
        };
        if moment.finding.doubted || seen.since != moment.at {
            return false;
        }
        let own = (sensor, seen);
        let from = moment.at - self.rule.within;
        let mut first = self.first.0.iter();
        first.any(|other| {
            other.1.since >= from
                && self.is_near(own, other, moment.rules)
                && !self.is_kept_quiet(own, other.1.since, moment.rules)
        })
    }

    /// The second detection came: nothing near it waits for it, and what missed it is over.
    fn come_after_all(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) {
        let Some(seen) = self.then.0.get(&moment.finding.sensor) else {
            return;
        };
        // A report that counts only by now came when it was said.
        let came_at = match news(moment.finding) {
            Some(News::Reported(sighting, _)) => sighting.at,
            _ => moment.at,
        };
        let own = (&moment.finding.sensor, seen);
        let is_missed = |other: &(&SensorId, &Seen)| {
            other.1.since <= came_at && self.is_near(own, *other, moment.rules)
        };
        let first = self.first.0.iter().filter(is_missed);
        let first: Vec<_> = first
            .map(|(sensor, seen)| (sensor.clone(), seen.zone.clone()))
            .collect();
        for (sensor, zone) in first {
            self.stop_waiting(&sensor);
            if self.raised.remove(&sensor) {
                found.push(self.finding(
                    &sensor,
                    zone,
                    moment.finding.observed_at,
                    Detection::Cleared,
                ));
            }
        }
    }

    fn stop_waiting(&mut self, sensor: &SensorId) {
        if let Some(due) = self.waiting.remove(sensor) {
            self.ended.push((sensor.clone(), due));
        }
    }

    /// A sensor's time is over, and nothing has followed; or nobody was there to hear of it, and it is
    /// waited for longer.
    pub fn fire(
        &mut self,
        sensor: &SensorId,
        due: Timestamp,
        away: &Away,
        rules: &Rules,
    ) -> Option<Finding> {
        self.waiting.remove(sensor);
        let seen = self.first.0.get(sensor)?;
        let longer = away.waits_on(seen.since, seen.since + self.rule.within);
        if let Some((_, longer)) = longer.filter(|(_, longer)| *longer > due) {
            self.waiting.insert(sensor.clone(), longer);
            return None;
        }
        if self.is_kept_quiet((sensor, seen), seen.since, rules) {
            return None;
        }
        let zone = seen.zone.clone();
        let detection = if seen.ended == Some(seen.since) {
            // A report is of its own moment, and nothing ends what did not follow it but time.
            Detection::Reported {
                severity: self.rule.severity,
                certainty: self.rule.certainty,
                until: due + self.rule.within,
                sighting: seen.sighting.clone(),
                replaces: None,
            }
        } else {
            self.raising(vec![seen.sighting.clone()])
        };
        if matches!(detection, Detection::Raised { .. }) {
            self.raised.insert(sensor.clone());
        }
        let finding = self.finding(sensor, zone, due, detection);
        Some(Finding {
            due: Some(due),
            ..finding
        })
    }

    /// The rule is gone, and what it has raised with it.
    pub fn end(&self, at: Timestamp, found: &mut Vec<Finding>) {
        let raised = self.raised.iter();
        found.extend(raised.map(|sensor| self.finding(sensor, None, at, Detection::Cleared)));
    }

    /// How what a rule finds of a sensor is a part of the sequence, for whoever asks why.
    pub fn look(&self, rule: &RuleId, sensor: &SensorId, rules: &Rules) -> Option<SequenceLook> {
        let is_then = match rule {
            rule if *rule == self.rule.then => true,
            rule if *rule == self.rule.first => false,
            _ => return None,
        };
        let (own, others, other) = match is_then {
            true => (&self.then, &self.first, &self.rule.first),
            false => (&self.first, &self.then, &self.rule.then),
        };
        let seen = own.0.get(sensor)?;
        let looks = others.0.iter().map(|(other, other_seen)| {
            let sighting = (&seen.sighting, &other_seen.sighting);
            let places = sighting.0.position.zip(sighting.1.position);
            let about = if is_then {
                (sensor, seen)
            } else {
                (other, other_seen)
            };
            OtherLook {
                sensor: other.clone(),
                since: other_seen.since,
                distance_m: places.map(|(one, other)| one.distance_m(other)),
                is_near: self.is_near((sensor, seen), (other, other_seen), rules),
                is_kept_quiet: self.is_kept_quiet(about, seen.since.min(other_seen.since), rules),
            }
        });
        let missed_by = |look: &OtherLook| {
            let apart = (seen.since - look.since).0.abs();
            let far = look.distance_m.unwrap_or(u32::MAX);
            (!look.is_near, apart, far, look.sensor.clone())
        };
        Some(SequenceLook {
            rule: self.name.clone(),
            takers: rules.takers(&self.name).to_vec(),
            raised: self.raised.contains(sensor),
            since: seen.since,
            is_then,
            other: other.clone(),
            absent: self.rule.absent,
            within: self.rule.within,
            within_m: self.rule.within_m,
            waits_until: self.due(sensor),
            nearest: looks.min_by_key(missed_by),
        })
    }

    /// Whether the third detection was found near by since then, or lasts.
    fn is_kept_quiet(&self, own: (&SensorId, &Seen), since: Timestamp, rules: &Rules) -> bool {
        let mut unless = self.unless.0.iter();
        unless.any(|other| {
            other.1.ended.is_none_or(|ended| ended >= since) && self.is_near(own, other, rules)
        })
    }

    fn is_near(
        &self,
        (one, seen): (&SensorId, &Seen),
        (other, other_seen): (&SensorId, &Seen),
        rules: &Rules,
    ) -> bool {
        let places = seen.sighting.position.zip(other_seen.sighting.position);
        let by_metres = |(a, b): (Position, Position)| a.distance_m(b) <= self.rule.within_m;
        one == other || places.is_some_and(by_metres) || self.is_fed(one, other, rules)
    }

    /// Whether one feeds the other, over whatever levels, if the rule follows that network.
    fn is_fed(&self, one: &SensorId, other: &SensorId, rules: &Rules) -> bool {
        if !self.rule.fed_by {
            return false;
        }
        let networks = rules.networks();
        let nodes = [one, other].map(|sensor| networks.number(sensor.as_str()));
        let [Some(one), Some(other)] = nodes else {
            return false;
        };
        let feeds = |feeder, node| networks.feeders(node).any(|each| each == feeder);
        feeds(one, other) || feeds(other, one)
    }

    fn raising(&self, sightings: Vec<Sighting>) -> Detection {
        Detection::Raised {
            severity: self.rule.severity,
            certainty: self.rule.certainty,
            sightings,
        }
    }

    fn finding(
        &self,
        sensor: &SensorId,
        zone: Option<ZoneId>,
        observed_at: Timestamp,
        detection: Detection,
    ) -> Finding {
        Finding {
            seq: 0,
            due: None,
            rule: self.name.clone(),
            sensor: sensor.clone(),
            zone,
            observed_at,
            doubted: false,
            quiet: false,
            detection,
        }
    }

    /// Puts the whole state.
    pub fn put(&self, out: &mut impl Put) {
        for watch in [&self.first, &self.then, &self.unless] {
            watch.put(out);
        }
        out.put_count(self.waiting.len());
        for (sensor, due) in &self.waiting {
            out.put_text(sensor.as_str());
            out.put_time(*due);
        }
        out.put_count(self.raised.len());
        for sensor in &self.raised {
            out.put_text(sensor.as_str());
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take_bytes(rule: &DetectionRule, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut sequencer = Self::new(rule);
        sequencer.first = Watch::take_bytes(take)?;
        sequencer.then = Watch::take_bytes(take)?;
        sequencer.unless = Watch::take_bytes(take)?;
        for _ in 0..take.count(SEQUENCE_SENSORS_MAX)? {
            let sensor = take.parsed("sensor")?;
            sequencer.waiting.insert(sensor, take.time()?);
        }
        for _ in 0..take.count(SEQUENCE_SENSORS_MAX)? {
            sequencer.raised.insert(take.parsed("sensor")?);
        }
        Ok(sequencer)
    }
}

/// The detections of a sequence.
#[derive(Clone, Copy)]
enum Part {
    First,
    Then,
    Unless,
}

fn sequence_of(rule: &DetectionRule) -> &Sequence {
    match &rule.test {
        Test::Sequence(sequence) => sequence,
        _ => unreachable!("only rules of sequences are made into sequencers"),
    }
}
