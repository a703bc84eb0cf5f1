//! What do the values of several sensors come to: their mean, a percentile, a vote?
//!
//! Of each sensor the latest value counts, or every reading.
//!
//! Arrives: the readings of one kind, each as something that its sensor contributes, in any order.
//! Leaves: findings about those sensors that are beyond the level themselves, the worst first, when
//! what all of them come to is; and their end when it is normal again. Promise: what a step comes to,
//! and by which evidence, does not depend on the order in which readings came by its end and the
//! lateness that the rule allows; sums are of whole millionths, percentiles those of a list in
//! order. Steps close by timers, so that nothing waits for another reading; of fewer sensors than
//! the rule asks for nothing is known, and nothing changes. Each group's steps begin at a moment of
//! their own. Bounded: so many sensors of a group, and so many values of each as steps are open; of
//! every reading, what those of each step come to (`pane.rs`).
//!
//! Not here: who is in which group (`rules.rs`). Next: `correlate.rs`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::pane::{Pane, Together};
use super::watch::Moment;
use crate::bundle::{Across, Counted, DetectionRule, Side, Statistic, Test, Threshold};
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, Severity};
use crate::detect::{FIXED_POINT, Levels, Outcome, excess, fixed, least, severity_of};
use crate::detection::{Detection, Finding, Sighting};
use crate::explain::TogetherLook;
use crate::hash::hash_text;
use crate::id::{ReadingKind, RuleId, SensorId, ZoneId};
use crate::limits::{ACROSS_SENSORS_MAX, ACROSS_TOLD_MAX};
use crate::reading::Reading;
use crate::rules::Rules;
use crate::time::{Millis, Timestamp};

/// One rule at work.
#[derive(Debug)]
pub(super) struct Crowds {
    name: RuleId,
    hash: u64,
    kind: ReadingKind,
    rule: Across,
    /// Those of which some sensor has been heard of late, or that are raised.
    groups: BTreeMap<String, Crowd>,
}

/// What became of something that a sensor contributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is of no group, or weighs nothing.
    Apart,
    /// It is in.
    In,
    /// The step that it is of is closed.
    Late,
    /// Its group has as many sensors as there may be.
    OverLimit,
}

/// The sensors of one group.
#[derive(Debug)]
struct Crowd {
    /// By how much its steps begin after those of 1970, in milliseconds.
    phase: i64,
    /// How many steps are closed, from 1970 on.
    closed_to: i64,
    sensors: BTreeMap<SensorId, Values>,
    /// What was observed in each step that an open window may still need, if every reading counts.
    panes: BTreeMap<i64, Pane>,
    levels: Levels,
    /// The sensors that it is raised about.
    raised: BTreeSet<SensorId>,
}

/// What one sensor said last.
#[derive(Debug, Default)]
struct Values {
    /// Of the steps that are closed.
    closed: Option<Value>,
    /// Of each that is open and of which there is one, in order: of most sensors one.
    open: Vec<(i64, Value)>,
}

#[derive(Debug, Clone)]
pub(super) struct Value {
    pub observed_at: Timestamp,
    pub zone: Option<ZoneId>,
    pub sighting: Sighting,
}

impl Value {
    /// Whether it is later than another; of one instant the one with the greater id.
    fn is_later(&self, other: &Self) -> bool {
        let order = |value: &Self| (value.observed_at, value.sighting.reading.clone());
        order(self) > order(other)
    }

    /// Whether another one is further in the abnormal direction.
    pub fn is_less_bad(&self, other: &Self, side: Side) -> bool {
        excess(side, self.sighting.value, other.sighting.value) < 0.0
    }

    /// Whether it is further in the abnormal direction than another of its sensor; of equal ones the
    /// later is.
    pub fn is_worse(&self, other: &Self, side: Side) -> bool {
        let further = excess(side, self.sighting.value, other.sighting.value);
        further > 0.0 || further == 0.0 && self.is_later(other)
    }
}

impl Crowds {
    pub fn new(rule: &DetectionRule) -> Self {
        Self {
            name: rule.name.clone(),
            hash: rule.hash,
            kind: rule.kind.clone(),
            rule: across_of(rule).clone(),
            groups: BTreeMap::new(),
        }
    }

    /// Whether it is a rule of this meaning.
    pub fn means(&self, rule: &DetectionRule) -> bool {
        self.hash == rule.hash
    }

    /// The kind whose readings it looks at.
    pub const fn kind(&self) -> &ReadingKind {
        &self.kind
    }

    pub fn is_raised(&self, sensor: &SensorId) -> bool {
        self.groups
            .values()
            .any(|group| group.raised.contains(sensor))
    }

    /// When a group's next step closes, if any of its sensors was heard of late.
    pub fn due(&self, group: &str) -> Option<Timestamp> {
        self.groups
            .get(group)
            .and_then(|crowd| crowd.due(&self.rule))
    }

    /// The groups whose steps close, each with when.
    pub fn waiting(&self) -> impl Iterator<Item = (&String, Timestamp)> {
        let groups = self.groups.iter();
        groups.filter_map(|(name, crowd)| Some((name, crowd.due(&self.rule)?)))
    }

    /// The group that a finding's sensor is of.
    pub fn group_of(&self, finding: &Finding, rules: &Rules) -> Option<String> {
        let Detection::Contributed(sighting) = &finding.detection else {
            return None;
        };
        rules.group_of(&finding.sensor, sighting.position, self.rule.by)
    }

    /// Takes in what a sensor of a group contributes.
    pub fn take(&mut self, group: &str, moment: Moment<'_>) -> Taken {
        let Moment { finding, at, .. } = moment;
        let Detection::Contributed(sighting) = &finding.detection else {
            return Taken::Apart;
        };
        if finding.doubted {
            return Taken::Apart;
        }
        let rule = &self.rule;
        let crowd = self.groups.entry(group.to_owned());
        let crowd = crowd.or_insert_with(|| Crowd::new(rule, group));
        // Whatever was due by now has fired, or there was nobody to ask.
        let closed_to = crowd.step_of(rule, at - rule.lateness);
        crowd.close_to(rule, closed_to);
        let value = Value {
            observed_at: finding.observed_at,
            zone: finding.zone.clone(),
            sighting: sighting.clone(),
        };
        let taken = crowd.take(rule, &finding.sensor, value);
        if crowd.is_over(rule) {
            self.groups.remove(group);
        }
        taken
    }

    /// A step of a group closes.
    pub fn fire(&mut self, group: &str, due: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        let Some(crowd) = self.groups.get_mut(group) else {
            return found;
        };
        let about = About {
            name: &self.name,
            due,
            found: &mut found,
        };
        crowd.close(&self.rule, about);
        if crowd.is_over(&self.rule) {
            self.groups.remove(group);
        }
        found
    }

    /// What the values of its sensor's group come to so far, for whoever asks why.
    pub fn look(&self, reading: &Reading<'_>, rules: &Rules) -> Option<TogetherLook> {
        let sensor: SensorId = reading.sensor.parse().ok()?;
        let rule = &self.rule;
        let registered = rules.sensor_number(reading.sensor);
        let registered = registered.and_then(|number| rules.sensor(number).position);
        let group = rules.group_of(&sensor, reading.position.or(registered), rule.by);
        let crowd = group.as_ref().and_then(|group| self.groups.get(group));
        let unheard = Crowd::new(rule, "");
        let (sensors, value) = crowd.map_or((0, None), |crowd| crowd.so_far(rule));
        let levels = &crowd.unwrap_or(&unheard).levels;
        Some(TogetherLook {
            by: rule.by,
            of: rule.of,
            sensors: (sensors, rule.sensors_min.max(1)),
            levels: levels.look(&rule.threshold, None, value),
            asked_at: crowd.and_then(|crowd| crowd.due(rule)),
            raised: crowd.is_some_and(|crowd| crowd.raised.contains(&sensor)),
            group,
        })
    }

    /// Another city holds: who is of another group by now is heard there from here on. Where every
    /// reading counts, those of before count where they were taken in. A group that loses all its
    /// sensors by that is no more.
    pub fn regroup(&mut self, rules: &Rules, at: Timestamp, found: &mut Vec<Finding>) {
        let by = self.rule.by;
        for (name, crowd) in &mut self.groups {
            let was_heard = !crowd.sensors.is_empty();
            crowd.sensors.retain(|sensor, values| {
                let place = values.last().and_then(|value| value.sighting.position);
                rules.group_of(sensor, place, by).as_ref() == Some(name)
            });
            if was_heard && crowd.sensors.is_empty() {
                crowd.levels = Levels::new(&self.rule.threshold, None);
                crowd.panes.clear();
                let raised = std::mem::take(&mut crowd.raised);
                found.extend(raised.iter().map(|sensor| cleared(&self.name, sensor, at)));
            }
        }
        let rule = &self.rule;
        self.groups.retain(|_, crowd| !crowd.is_over(rule));
    }

    /// The rule is gone, and what it has raised with it.
    pub fn end(&self, at: Timestamp, found: &mut Vec<Finding>) {
        for crowd in self.groups.values() {
            let raised = crowd.raised.iter();
            found.extend(raised.map(|sensor| cleared(&self.name, sensor, at)));
        }
    }

    /// Puts the whole state.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.groups.len());
        for (name, crowd) in &self.groups {
            out.put_text(name);
            out.put_u64(crowd.closed_to as u64);
            out.put_count(crowd.sensors.len());
            for (sensor, values) in &crowd.sensors {
                out.put_text(sensor.as_str());
                values.put(out);
            }
            if self.rule.counts == Counted::Readings {
                out.put_count(crowd.panes.len());
                for (step, pane) in &crowd.panes {
                    out.put_u64(*step as u64);
                    pane.put(out);
                }
            }
            crowd.levels.put(&self.rule.threshold, out);
            out.put_count(crowd.raised.len());
            for sensor in &crowd.raised {
                out.put_text(sensor.as_str());
            }
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take_bytes(rule: &DetectionRule, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut crowds = Self::new(rule);
        let rule = crowds.rule.clone();
        for _ in 0..take.u32()? {
            let name = take.text()?.to_owned();
            let mut crowd = Crowd::new(&rule, &name);
            crowd.closed_to = take.u64()? as i64;
            for _ in 0..take.count(ACROSS_SENSORS_MAX)? {
                let sensor = take.parsed("sensor")?;
                let values = Values::take(take, crowd.closed_to)?;
                crowd.sensors.insert(sensor, values);
            }
            if rule.counts == Counted::Readings {
                let count = take.count(panes_max(&rule))?;
                let panes = take.each(count, |take| {
                    Ok((take.u64()? as i64, Pane::take(take, rule.of)?))
                })?;
                if !panes.is_sorted_by(|(one, _), (next, _)| one < next) {
                    return Err(CodecError("panes are not in order"));
                }
                crowd.panes = panes.into_iter().collect();
            }
            crowd.levels = Levels::take(take, &rule.threshold, None)?;
            for _ in 0..take.count(ACROSS_TOLD_MAX)? {
                crowd.raised.insert(take.parsed("sensor")?);
            }
            if crowd.levels.is_raised() == crowd.raised.is_empty() {
                return Err(CodecError("a group is raised about nobody"));
            }
            crowds.groups.insert(name, crowd);
        }
        Ok(crowds)
    }
}

/// What is new in a step that is beyond a level.
struct News<'a> {
    severity: Severity,
    is_graver: bool,
    said: &'a Said,
}

/// Who has said something in a step.
enum Said {
    /// Those of whom something is known that was observed since the step began.
    Since(Timestamp),
    /// What those of whom to tell have said, the worst of each.
    Worst(Vec<(SensorId, Value)>),
}

impl Said {
    /// What a sensor has said in it, of which this is known now.
    fn by<'a>(&'a self, sensor: &SensorId, known: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Since(begin) => (known.observed_at >= *begin).then_some(known),
            Self::Worst(all) => {
                let own = all.iter().find(|(own, _)| own == sensor);
                own.map(|(_, value)| value)
            }
        }
    }
}

/// What the values of a window come to.
struct Sum {
    /// `None` where nothing is known.
    value: Option<f64>,
    /// Of whom to tell, the worst first.
    worst: Vec<(SensorId, Value)>,
    said: Said,
}

/// What a closing step finds.
struct About<'a> {
    name: &'a RuleId,
    due: Timestamp,
    found: &'a mut Vec<Finding>,
}

impl Crowd {
    fn new(rule: &Across, name: &str) -> Self {
        Self {
            phase: (hash_text(name) % rule.step.0.unsigned_abs()) as i64,
            closed_to: i64::MIN,
            sensors: BTreeMap::new(),
            panes: BTreeMap::new(),
            levels: Levels::new(&rule.threshold, None),
            raised: BTreeSet::new(),
        }
    }

    /// Whether there is nothing to remember.
    fn is_over(&self, rule: &Across) -> bool {
        self.sensors.is_empty() && self.raised.is_empty() && !self.ends_by_itself(rule)
    }

    fn due(&self, rule: &Across) -> Option<Timestamp> {
        let is_asked = !self.sensors.is_empty() || self.ends_by_itself(rule);
        is_asked.then(|| self.end_of(rule, self.closed_to) + rule.lateness)
    }

    /// Whether it is abnormal and will not be for nobody says anything.
    fn ends_by_itself(&self, rule: &Across) -> bool {
        knows_of_nobody(rule) && self.levels.is_abnormal()
    }

    /// The step that an instant lies in.
    fn step_of(&self, rule: &Across, at: Timestamp) -> i64 {
        let ms = at.as_millis().saturating_sub(self.phase);
        ms.div_euclid(rule.step.0)
    }

    /// When a step ends.
    fn end_of(&self, rule: &Across, step: i64) -> Timestamp {
        let ms = step.saturating_add(1).saturating_mul(rule.step.0);
        Timestamp::from_millis(ms.saturating_add(self.phase))
    }

    fn take(&mut self, rule: &Across, sensor: &SensorId, value: Value) -> Taken {
        let step = self.step_of(rule, value.observed_at);
        if step < self.closed_to {
            return Taken::Late;
        }
        if self.sensors.len() >= ACROSS_SENSORS_MAX && !self.sensors.contains_key(sensor) {
            return Taken::OverLimit;
        }
        if rule.counts == Counted::Readings {
            let pane = self.panes.entry(step).or_insert_with(Pane::new);
            pane.note((rule.of, rule.threshold.side), sensor, &value);
        }
        let open = &mut self.sensors.entry(sensor.clone()).or_default().open;
        match open.binary_search_by_key(&step, |(open, _)| *open) {
            Err(place) => open.insert(place, (step, value)),
            Ok(place) if value.is_later(&open[place].1) => open[place].1 = value,
            Ok(_) => {}
        }
        Taken::In
    }

    /// How many sensors have said something that is fresh when the step ends that closes next, and
    /// what all that is known by now comes to.
    fn so_far(&self, rule: &Across) -> (u32, Option<f64>) {
        let from = self.end_of(rule, self.closed_to) - rule.fresh;
        let fresh = self.sensors.values().filter_map(Values::last);
        let fresh = fresh.filter(|value| value.observed_at > from);
        let mut values: Vec<_> = fresh.map(|value| value.sighting.value).collect();
        let sensors = values.len() as u32;
        let side = rule.threshold.side;
        let value = match rule.counts {
            Counted::Sensors => {
                values.sort_unstable_by(|one, other| in_order(side, *one, *other));
                statistic(rule.of, side, &values)
            }
            Counted::Readings => {
                let begin = self.closed_to.saturating_add(1).saturating_sub(steps(rule));
                let panes = self.panes.range(begin..).map(|(_, pane)| pane);
                Together::of(panes, side).value(rule.of)
            }
        };
        let enough = knows_of_nobody(rule) || sensors >= rule.sensors_min.max(1);
        (sensors, value.filter(|_| enough))
    }

    /// Closes the first step that is open.
    fn close(&mut self, rule: &Across, mut about: About<'_>) {
        let step = self.closed_to;
        let end = self.end_of(rule, step);
        self.closed_to = step.saturating_add(1);
        let from = match rule.counts {
            Counted::Sensors => end - rule.fresh,
            // The first moment of its first step.
            Counted::Readings => end - rule.fresh - Millis(1),
        };
        self.sensors.retain(|_, values| {
            values.close(step);
            values.is_fresh(from) || !values.open.is_empty()
        });
        let sum = match rule.counts {
            Counted::Sensors => self.latest(rule, from, step),
            Counted::Readings => self.window(rule, from, step),
        };
        let before = self.levels.raised();
        let Some(outcome) = self.judge(rule, &sum, (end, about.due)) else {
            return;
        };
        match outcome {
            Outcome::Raised(severity, _) | Outcome::Updated(severity, _) => {
                if Some(severity) < before {
                    self.ease(severity, &mut about);
                }
                let news = News {
                    severity,
                    is_graver: Some(severity) > before,
                    said: &sum.said,
                };
                self.tell(rule, &sum.worst, &news, &mut about);
            }
            Outcome::Eased(severity) => self.ease(severity, &mut about),
            Outcome::Cleared => {
                for sensor in std::mem::take(&mut self.raised) {
                    let cleared = finding(about.name, &sensor, about.due, Detection::Cleared);
                    about.found.push(cleared);
                }
            }
            Outcome::Gathered
            | Outcome::Unknown
            | Outcome::Normal
            | Outcome::Held
            | Outcome::Pending
            | Outcome::Subsided
            | Outcome::Late
            | Outcome::Worsened(_)
            | Outcome::Reported(_) => {}
        }
        about
            .found
            .sort_by(|one, other| one.sensor.cmp(&other.sensor));
    }

    /// Tells of all that it was told of that they are no graver than this.
    fn ease(&self, severity: Severity, about: &mut About<'_>) {
        for sensor in &self.raised {
            let eased = finding(about.name, sensor, about.due, Detection::Eased(severity));
            about.found.push(eased);
        }
    }

    /// What the latest values come to that are fresh.
    fn latest(&self, rule: &Across, from: Timestamp, step: i64) -> Sum {
        let side = rule.threshold.side;
        let fresh = self.sensors.iter().filter_map(|(sensor, values)| {
            let value = values.closed.as_ref();
            let value = value.filter(|value| value.observed_at > from)?;
            Some((value.sighting.value, sensor, value))
        });
        let mut worst = Vec::with_capacity(self.sensors.len());
        worst.extend(fresh);
        let mut values: Vec<_> = worst.iter().map(|(value, ..)| *value).collect();
        values.sort_unstable_by(|one, other| in_order(side, *one, *other));
        let enough = values.len() >= rule.sensors_min.max(1) as usize;
        let value = enough.then(|| statistic(rule.of, side, &values));
        // Of thousands few are told of: the others need not be in order.
        let by_worst = |(one, a, _): &(f64, &SensorId, &Value),
                        (other, b, _): &(_, &SensorId, &_)| {
            in_order(side, *one, *other).then_with(|| a.cmp(b))
        };
        if worst.len() > ACROSS_TOLD_MAX {
            worst.select_nth_unstable_by(ACROSS_TOLD_MAX, by_worst);
            worst.truncate(ACROSS_TOLD_MAX);
        }
        worst.sort_unstable_by(by_worst);
        let told = worst.into_iter();
        let told = told.map(|(_, sensor, value)| (sensor.clone(), value.clone()));
        Sum {
            value: value.flatten(),
            worst: told.collect(),
            said: Said::Since(self.end_of(rule, step.saturating_sub(1))),
        }
    }

    /// Nothing is asked of what was before this step any more.
    fn close_to(&mut self, rule: &Across, step: i64) {
        if step > self.closed_to {
            self.closed_to = step;
            let begin = step.saturating_add(1).saturating_sub(steps(rule));
            self.panes = self.panes.split_off(&begin);
        }
    }

    /// What all readings of the window come to that ends with a step, and forgets those of before.
    fn window(&mut self, rule: &Across, from: Timestamp, step: i64) -> Sum {
        let begin = step.saturating_add(1).saturating_sub(steps(rule));
        self.panes = self.panes.split_off(&begin);
        let closed = self.panes.range(..=step).map(|(_, pane)| pane);
        let all = Together::of(closed, rule.threshold.side);
        let worst = all.worst();
        let said = self.panes.get(&step).map(Pane::worst).unwrap_or_default();
        let sensors = self.sensors.values().filter(|values| values.is_fresh(from));
        let enough = knows_of_nobody(rule) || sensors.count() >= rule.sensors_min.max(1) as usize;
        // Beyond a level without a single reading: no evidence, no finding.
        let value = all.value(rule.of).filter(|value| {
            enough && !(worst.is_empty() && self.levels.would_exceed(&rule.threshold, *value))
        });
        Sum {
            value,
            worst,
            said: Said::Worst(said.to_vec()),
        }
    }

    /// Asks the levels of what the values come to.
    fn judge(
        &mut self,
        rule: &Across,
        sum: &Sum,
        times: (Timestamp, Timestamp),
    ) -> Option<Outcome> {
        let worst = sum.worst.first();
        let sighting = |severity, excess| {
            let (_, worst) = worst.expect("what is beyond a level has evidence");
            Sighting {
                severity,
                excess,
                at: times.1,
                ..worst.sighting.clone()
            }
        };
        let levels = &mut self.levels;
        Some(levels.judge(&rule.threshold, None, sum.value?, times, sighting))
    }

    /// Tells of the sensors that are beyond the level themselves, or of the worst one: of new ones,
    /// of what others have said in this step, and that all are so grave.
    fn tell(
        &mut self,
        rule: &Across,
        heard: &[(SensorId, Value)],
        news: &News<'_>,
        about: &mut About<'_>,
    ) {
        let severity = news.severity;
        let certainty = Certainty::Observed;
        let is_of_values = !matches!(rule.of, Statistic::Count | Statistic::Sum);
        for (place, (sensor, value)) in heard.iter().enumerate() {
            let own = is_beyond(&rule.threshold, value.sighting.value);
            if place > 0 && is_of_values && !own {
                break;
            }
            let is_known = self.raised.contains(sensor);
            if !is_known && self.raised.len() >= ACROSS_TOLD_MAX {
                break;
            }
            let said = news.said.by(sensor, value).filter(|said| {
                // What it says by now may be well within the level, though what it said before is not.
                !is_of_values || is_beyond(&rule.threshold, said.sighting.value)
            });
            let detection = match (is_known, said) {
                (false, _) => Detection::Raised {
                    severity,
                    certainty,
                    sightings: vec![sighting_of(rule, value, about.due)],
                },
                (true, Some(said)) => Detection::Updated {
                    severity,
                    certainty,
                    sighting: sighting_of(rule, said, about.due),
                },
                (true, None) if news.is_graver => Detection::Worsened(severity),
                (true, None) => continue,
            };
            let value = said.filter(|_| is_known).unwrap_or(value);
            self.raised.insert(sensor.clone());
            let found = finding(about.name, sensor, about.due, detection);
            about.found.push(Finding {
                zone: value.zone.clone(),
                observed_at: value.observed_at,
                ..found
            });
        }
    }
}

impl Values {
    fn last(&self) -> Option<&Value> {
        let last = self.open.last().map(|(_, value)| value);
        last.or(self.closed.as_ref())
    }

    /// Whether what it said last, of the steps that are closed, was observed after this.
    fn is_fresh(&self, from: Timestamp) -> bool {
        let closed = self.closed.as_ref();
        closed.is_some_and(|value| value.observed_at > from)
    }

    /// Takes the value of a step over, when that closes, if there is one.
    fn close(&mut self, step: i64) {
        if let Ok(place) = self.open.binary_search_by_key(&step, |(open, _)| *open) {
            let (_, value) = self.open.remove(place);
            self.closed = Some(value);
        }
    }

    fn put(&self, out: &mut impl Put) {
        out.put_option(self.closed.as_ref(), |out, value| value.put(out));
        out.put_count(self.open.len());
        for (step, value) in &self.open {
            out.put_u64(*step as u64);
            value.put(out);
        }
    }

    fn take(take: &mut Take<'_>, closed_to: i64) -> Result<Self, CodecError> {
        let closed = take.option(Value::take)?;
        let count = take.u32()? as usize;
        let open = take.each(count, |take| Ok((take.u64()? as i64, Value::take(take)?)))?;
        let in_order = open.is_sorted_by(|(one, _), (next, _)| one < next);
        if !in_order || open.first().is_some_and(|(step, _)| *step < closed_to) {
            return Err(CodecError("steps are not in order"));
        }
        if closed.is_none() && open.is_empty() {
            return Err(CodecError("a sensor of a group has said nothing"));
        }
        Ok(Self { closed, open })
    }
}

impl Value {
    pub fn put(&self, out: &mut impl Put) {
        out.put_time(self.observed_at);
        out.put_option(self.zone.as_ref(), |out, zone| out.put_text(zone.as_str()));
        self.sighting.put(out);
    }

    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            observed_at: take.time()?,
            zone: take.option(|take| take.parsed("zone"))?,
            sighting: Sighting::take(take)?,
        })
    }
}

/// The furthest in the abnormal direction first; of equal ones by name.
pub(super) fn by_worst(
    side: Side,
    (one, a): &(SensorId, Value),
    (other, b): &(SensorId, Value),
) -> Ordering {
    in_order(side, a.sighting.value, b.sighting.value).then_with(|| one.cmp(other))
}

/// The furthest in the abnormal direction first.
fn in_order(side: Side, one: f64, other: f64) -> Ordering {
    let by_value = one.total_cmp(&other);
    match side {
        Side::Above => by_value.reverse(),
        Side::Below => by_value,
    }
}

/// What values come to, which are sorted, the worst first; nothing where there are too few.
fn statistic(of: Statistic, side: Side, values: &[f64]) -> Option<f64> {
    let count = values.len();
    let sum = || values.iter().map(|value| fixed(*value)).sum::<i128>();
    match of {
        Statistic::Count => Some(count as f64),
        Statistic::Sum => Some(sum() as f64 / FIXED_POINT),
        Statistic::Mean if count == 0 => None,
        Statistic::Mean => Some(sum() as f64 / count as f64 / FIXED_POINT),
        Statistic::Percentile(percent) => {
            // The nearest rank, from the least, counted from 1.
            let rank = (usize::from(percent) * count)
                .div_ceil(100)
                .clamp(1, count.max(1));
            let place = match side {
                Side::Above => count.checked_sub(rank)?,
                Side::Below => rank - 1,
            };
            values.get(place).copied()
        }
        Statistic::Vote(sensors) => values.get((sensors as usize).checked_sub(1)?).copied(),
    }
}

/// How many steps a value is fresh for.
fn steps(rule: &Across) -> i64 {
    rule.fresh.0 / rule.step.0
}

/// The most steps of which something is kept: those of one window, those of the lateness, and the one
/// that is being filled.
fn panes_max(rule: &Across) -> usize {
    let late = rule.lateness.0 / rule.step.0 + 2;
    (steps(rule) + late) as usize
}

/// Whether something is known of a time in which nobody says anything: how many readings there were,
/// and their sum.
fn knows_of_nobody(rule: &Across) -> bool {
    let adds = matches!(rule.of, Statistic::Count | Statistic::Sum);
    rule.counts == Counted::Readings && adds
}

fn is_beyond(threshold: &Threshold, value: f64) -> bool {
    excess(threshold.side, value, least(threshold, None)) > 0.0
}

/// A reading as evidence, from when its step closes.
fn sighting_of(rule: &Across, value: &Value, at: Timestamp) -> Sighting {
    let own = value.sighting.value;
    let threshold = &rule.threshold;
    Sighting {
        severity: severity_of(threshold, None, own),
        excess: excess(threshold.side, own, least(threshold, None)),
        at,
        ..value.sighting.clone()
    }
}

/// The end of what is raised about a sensor, by no timer.
fn cleared(rule: &RuleId, sensor: &SensorId, at: Timestamp) -> Finding {
    let finding = finding(rule, sensor, at, Detection::Cleared);
    Finding {
        due: None,
        ..finding
    }
}

fn finding(rule: &RuleId, sensor: &SensorId, due: Timestamp, detection: Detection) -> Finding {
    Finding {
        seq: 0,
        due: Some(due),
        rule: rule.clone(),
        sensor: sensor.clone(),
        observed_at: due,
        zone: None,
        doubted: false,
        quiet: false,
        detection,
    }
}

fn across_of(rule: &DetectionRule) -> &Across {
    match &rule.test {
        Test::Across(across) => across,
        _ => unreachable!("only rules of this sort are made into it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank_whichever_side_is_worst() {
        let rising: Vec<f64> = (1..=10).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        for (percent, wanted) in [
            (0, 1.0),
            (10, 1.0),
            (11, 2.0),
            (50, 5.0),
            (90, 9.0),
            (100, 10.0),
        ] {
            let of = Statistic::Percentile(percent);
            assert_eq!(
                statistic(of, Side::Above, &falling),
                Some(wanted),
                "p{percent}"
            );
            assert_eq!(
                statistic(of, Side::Below, &rising),
                Some(wanted),
                "p{percent}"
            );
        }
        assert_eq!(statistic(Statistic::Percentile(50), Side::Above, &[]), None);
    }

    #[test]
    fn a_vote_is_the_value_that_so_many_reach() {
        let worst_first = [25.0, 12.0, 11.0, 4.0];
        assert_eq!(
            statistic(Statistic::Vote(3), Side::Above, &worst_first),
            Some(11.0)
        );
        assert_eq!(
            statistic(Statistic::Vote(5), Side::Above, &worst_first),
            None
        );
    }

    #[test]
    fn a_sum_does_not_depend_on_the_order() {
        let one = [0.1, 0.2, 0.3, 1e12];
        let other = [1e12, 0.3, 0.1, 0.2];
        for of in [Statistic::Sum, Statistic::Mean] {
            assert_eq!(
                statistic(of, Side::Above, &one),
                statistic(of, Side::Above, &other)
            );
        }
    }
}
