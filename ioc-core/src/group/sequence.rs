//! One thing after another, near it: or one thing that is not followed by another.
//!
//! Arrives: findings of the detections that a rule names. Leaves: findings of the rule itself:
//! about the sensor of the second detection if it follows in time, or, where its absence is
//! abnormal, about that of the first, in the moment in which its time is over. What is doubted
//! (`detect/examine.rs`) begins nothing and ends nothing. A third detection near by, in the
//! meantime or still there, keeps the rule quiet. What is kept quiet on purpose (`suppress.rs`) begins
//! nothing and follows nothing either, but it has happened: what it contradicts is not found.
//!
//! Whom nobody hears, or nobody believes, does not say that something lasts: it did when it was last
//! heard, and what was taken for followed by that later waits. Who is heard again goes on with what is
//! raised about him, until he says otherwise.
//!
//! What follows is over when the second detection is. An absence is over when the first detection
//! is, or when the second comes after all. Next: `correlate.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sites::Change;
use super::watch::{Moment, News, Seen, Watch, news};
use crate::away::Away;
use crate::bundle::{DetectionRule, Sequence, Test};
use crate::codec::{CodecError, Put, Take};
use crate::detection::{Detection, Finding, Hearing, Malady, Sighting};
use crate::explain::{OtherLook, SequenceLook};
use crate::id::{RuleId, SensorId, ZoneId};
use crate::limits::SEQUENCE_SENSORS_MAX;
use crate::place::Position;
use crate::rules::Rules;
use crate::time::{Millis, Timestamp};

/// How many pairs of sensors are asked in one moment whether one follows the other, after a third was
/// lost.
const PAIRS_AT_ONCE: usize = 16_384;

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
    /// What has become of timers since this was last looked at.
    pub timers: Vec<Change>,
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
            timers: Vec::new(),
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
    fn due(&self, sensor: &SensorId) -> Option<Timestamp> {
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
        self.lose_or_regain(moment);
        if Some(rule) == self.rule.unless.as_ref() {
            over_limit += self.note(Part::Unless, moment);
        }
        if *rule == self.rule.then {
            over_limit += self.note(Part::Then, moment);
            self.follow(moment, found);
        }
        over_limit + self.take_unheard(moment, found)
    }

    /// Takes what a sensor said before it fell silent, and which counts from now on: it may begin the
    /// rule, for nobody has heard that it is over, but neither follows now nor keeps quiet.
    pub fn take_unheard(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) -> u64 {
        if !self.rule.absent && moment.finding.rule == self.rule.then {
            // It is raised already, or has not come now.
            self.follow(moment, found);
        }
        if moment.finding.rule != self.rule.first {
            return 0;
        }
        let began = self.begins(&self.first, moment);
        let over_limit = self.note(Part::First, moment);
        self.begin(moment, began, found);
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

    /// What a sensor said to last does so no more when nobody hears it, or nobody believes it; and
    /// again when it is heard.
    fn lose_or_regain(&mut self, moment: Moment<'_>) {
        match &moment.finding.detection {
            Detection::Silent(hearing) => self.fall_silent(hearing.last_heard_at, moment),
            Detection::Returned(hearing) => self.hear_again(hearing, moment),
            Detection::Faulty(malady) if malady.fault.distrusted => self.distrust(malady, moment),
            _ => {}
        }
    }

    /// A sensor is silent: what it says to last did so when it was last heard. What began since then
    /// was taken for followed by a word older than itself. What itself began it may last, for all that
    /// is known, and is missed with the other's silence: it is begun anew only by being heard again.
    fn fall_silent(&mut self, last_heard_at: Timestamp, moment: Moment<'_>) {
        let sensor = &moment.finding.sensor;
        self.unless.lose(sensor, last_heard_at);
        // What follows is asked once, when it comes.
        if !self.rule.absent {
            return;
        }
        if let Some(lost) = self.then.lose(sensor, last_heard_at) {
            let (within, at) = (self.rule.within, moment.at);
            let due = |seen: &Seen| {
                let began_since = seen.since > last_heard_at;
                began_since.then(|| (seen.since + within).max(at))
            };
            self.ask_again((sensor, &lost), due, moment);
        }
    }

    /// A sensor is heard again, and what it says now is found after this: what is raised about it goes on
    /// until then, though a value that neither begins nor ends it is not found at all. By that alone nothing
    /// comes after all. What begins the rule begins it anew, unless it waits or is missed already.
    fn hear_again(&mut self, hearing: &Hearing, moment: Moment<'_>) {
        let sensor = &moment.finding.sensor;
        let is_raised = |rule: &RuleId| hearing.raised.contains(rule);
        if self.rule.unless.as_ref().is_some_and(is_raised) {
            self.unless.go_on(sensor);
        }
        if !self.rule.absent {
            return;
        }
        if is_raised(&self.rule.then) {
            self.then.go_on(sensor);
        }
        if self.waiting.contains_key(sensor) || self.raised.contains(sensor) {
            return;
        }
        let lasted = self.first.lose(sensor, moment.at).is_some();
        if !lasted || moment.finding.doubted || !is_raised(&self.rule.first) {
            return;
        }
        let Some(seen) = self.first.0.get_mut(sensor) else {
            return;
        };
        (seen.since, seen.ended) = (moment.at, None);
        if !self.is_followed(sensor, moment.rules) {
            let patience = self.patience(sensor, hearing.last_heard_at, moment.rules);
            self.wait(sensor.clone(), moment.at + patience);
        }
    }

    /// How long what is heard again after an outage waits: until what ran near it, and fell silent no
    /// earlier, has had time to say that it still does.
    fn patience(&self, sensor: &SensorId, last_heard_at: Timestamp, rules: &Rules) -> Millis {
        let own = (sensor, &self.first.0[sensor]);
        let intervals = self.then.0.iter().filter_map(|other| {
            let said_at = other.1.sighting.at;
            // What was over by its own word was so by a later one than said that it lasts.
            let is_lost = other.1.ended == Some(said_at);
            let number = is_lost.then(|| rules.sensor_number(other.0.as_str()))?;
            let interval = rules.sensor(number?).interval?;
            let with_it = said_at + interval >= last_heard_at;
            (with_it && self.is_near(own, other, rules)).then_some(interval)
        });
        intervals.fold(self.rule.within, Millis::max)
    }

    /// A sensor is not to be trusted: what it says to last is nothing that has come.
    fn distrust(&mut self, malady: &Malady, moment: Moment<'_>) {
        let sensor = &moment.finding.sensor;
        let concerns = |rule: &RuleId| malady.concerned.contains(rule);
        if self.rule.unless.as_ref().is_some_and(concerns) {
            self.unless.0.remove(sensor);
        }
        if !self.rule.absent {
            return;
        }
        let begun_now = |seen: &Seen| seen.since == moment.at;
        if concerns(&self.rule.first) && self.first.0.get(sensor).is_some_and(begun_now) {
            // It is heard again by what shows that it is not to be trusted.
            self.first.0.remove(sensor);
            self.stop_waiting(sensor);
        }
        if !concerns(&self.rule.then) {
            return;
        }
        if let Some(lost) = self.then.0.remove(sensor)
            && lost.ended.is_none()
        {
            let due = moment.at + self.rule.within;
            self.ask_again((sensor, &lost), |_| Some(due), moment);
        }
    }

    /// Somebody works at a sensor: what it says says nothing from here on, and nothing is waited for
    /// because of it.
    pub fn lose_sight_of(&mut self, sensor: &SensorId, at: Timestamp) {
        self.unless.lose(sensor, at);
        if !self.rule.absent {
            return;
        }
        self.then.lose(sensor, at);
        if !self.raised.contains(sensor) {
            self.first.lose(sensor, at);
            self.stop_waiting(sensor);
        }
    }

    /// What goes on and was taken for followed by a sensor whose word counts no more, and by no other,
    /// waits until then.
    fn ask_again(
        &mut self,
        own: (&SensorId, &Seen),
        due: impl Fn(&Seen) -> Option<Timestamp>,
        moment: Moment<'_>,
    ) {
        let rules = moment.rules;
        let goes_on = |seen: &Seen| match seen.ended {
            None => true,
            Some(ended) => ended == seen.since && ended + self.rule.within > moment.at,
        };
        let waits = |sensor| self.waiting.contains_key(sensor) || self.raised.contains(sensor);
        let first = self.first.0.iter().filter_map(|first| {
            let (sensor, seen) = first;
            let due = due(seen).filter(|_| goes_on(seen) && !waits(sensor))?;
            self.is_near(own, first, rules).then_some((first, due))
        });
        let first: Vec<_> = first.collect();
        let Some(earliest) = first.iter().map(|((_, seen), _)| seen.since).min() else {
            return;
        };
        // Of thousands few last, and are near enough to be near what is near this one.
        let then = self.then.0.iter();
        let then = then.filter(|other| lasted(other.1, earliest) && self.may_share(own, *other));
        let then: Vec<_> = then.collect();
        let mut pairs = 0;
        let is_left = |(first, _): &((&SensorId, &Seen), Timestamp)| {
            pairs += then.len();
            // Beyond what one moment can ask, it is asked when its time is over.
            let mut asked = then.iter().filter(|_| pairs <= PAIRS_AT_ONCE);
            let follows = |other: &(&SensorId, &Seen)| {
                lasted(other.1, first.1.since) && self.is_near(*first, *other, rules)
            };
            !asked.any(follows)
        };
        let again = first.into_iter().filter(is_left);
        let again = again.map(|((sensor, _), due)| (sensor.clone(), due));
        for (sensor, due) in again.collect::<Vec<_>>() {
            self.wait(sensor, due);
        }
    }

    /// Whether something may be near both of these.
    fn may_share(&self, own: (&SensorId, &Seen), other: (&SensorId, &Seen)) -> bool {
        let places = own.1.sighting.position.zip(other.1.sighting.position);
        let apart = places.map(|(one, other)| one.distance_m(other));
        let reach = self.rule.within_m.saturating_mul(2);
        self.rule.fed_by || apart.is_none_or(|apart| apart <= reach.saturating_add(2))
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
        if began && has_room && !waits && !self.is_followed(sensor, moment.rules) {
            self.wait(sensor.clone(), moment.at + self.rule.within);
        }
    }

    /// Whether the second detection lasts near a sensor already.
    fn is_followed(&self, sensor: &SensorId, rules: &Rules) -> bool {
        let own = (sensor, &self.first.0[sensor]);
        let mut then = self.then.0.iter();
        then.any(|other| other.1.ended.is_none() && self.is_near(own, other, rules))
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

    fn wait(&mut self, sensor: SensorId, due: Timestamp) {
        self.timers.push(Change::Armed(sensor.clone(), due));
        self.waiting.insert(sensor, due);
    }

    fn stop_waiting(&mut self, sensor: &SensorId) {
        if let Some(due) = self.waiting.remove(sensor) {
            self.timers.push(Change::Ended(sensor.clone(), due));
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
            self.wait(sensor.clone(), longer);
            return None;
        }
        if self.is_followed(sensor, rules) {
            // It is heard again and goes on, and has not been found since: that may be over by what it
            // says next. While nobody was there it could not say it.
            let next = due + self.rule.within;
            let next = away.waits_on(due, next).map_or(next, |(_, longer)| longer);
            self.wait(sensor.clone(), next);
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

    /// Takes what a rule of the same name had raised of such sensors, if it was about the same.
    pub fn keep_raised(&mut self, before: &mut Self, is_kept: impl Fn(&SensorId) -> bool) {
        let same = self.rule.absent == before.rule.absent && self.about() == before.about();
        let (own, others) = match self.rule.absent {
            true => (&mut self.first, &before.first),
            false => (&mut self.then, &before.then),
        };
        let is_kept = |sensor: &SensorId| same && is_kept(sensor) && others.0.contains_key(sensor);
        let kept: Vec<_> = before.raised.iter().filter(|own| is_kept(own)).collect();
        let seen = kept
            .iter()
            .map(|sensor| ((*sensor).clone(), others.0[*sensor].clone()));
        own.0.extend(seen);
        self.raised.extend(kept.into_iter().cloned());
        before.raised.retain(|sensor| !self.raised.contains(sensor));
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

/// Whether a detection was found since then, or lasted.
fn lasted(seen: &Seen, since: Timestamp) -> bool {
    seen.ended.is_none_or(|ended| ended >= since)
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
