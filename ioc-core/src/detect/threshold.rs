//! Is the value beyond a level? With hysteresis and persistence.
//!
//! Arrives: one sensor's readings, in the order they were received. Leaves: an [`Outcome`] each.
//! Each level asks for its own persistence, so that one spike does not make a moderate detection
//! severe. What is raised is less grave when readings are back from its level as far, and as often in
//! a row, as the rule asks of what is normal again. A value exactly at a level is not beyond it, and
//! one exactly at the limit to clear is normal again: with a gap of zero the two are the same
//! value. Not here: what a reading's place or id is. Next: `silence.rs`.

mod explain;

use crate::bundle::{Level, Scale, Sensor, Side, Threshold};
use crate::codec::{CodecError, Put, Take};
use crate::decision::Severity;
use crate::detection::Sighting;
use crate::limits::PENDING_READINGS_MAX;
use crate::time::Timestamp;

/// What one threshold rule knows of one sensor. While all is normal, two numbers.
#[derive(Debug)]
pub(crate) struct State {
    /// The level that is reached first, in the sensor's own terms.
    least: f64,
    /// The latest `observed_at` that was judged.
    observed_to: Timestamp,
    /// What is judged next is the first after a silence.
    after_silence: bool,
    abnormal: Option<Box<Abnormal>>,
}

/// More than normal: beyond some level, or raised and not yet cleared.
#[derive(Debug)]
struct Abnormal {
    /// For each level of the rule, how long and how often in a row it has been exceeded.
    runs: Vec<Run>,
    raised: Option<Severity>,
    /// The last readings that were back from its level, if any.
    easing: Option<Easing>,
    /// Normal readings in a row since it was raised.
    normal_in_a_row: u32,
    /// The evidence, until it is raised.
    pending: Vec<Sighting>,
    /// The sensor fell silent before time could tell, or has said no more than one thing since: only
    /// a reading raises it now.
    unheard: bool,
}

/// Readings in a row that stand for less than what is raised.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Easing {
    readings: u32,
    /// The gravest that one of them stands for.
    to: Severity,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    /// How many readings were beyond the level: in a row, or among the last that the rule asks of.
    count: u32,
    /// Those last ones, the newest in the lowest bit, if the rule does not ask for a row.
    recent: u64,
    since: Timestamp,
}

/// What a reading, or a timer, came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Taken in, to be judged later.
    Gathered,
    /// There are not enough readings to tell.
    Unknown,
    /// Normal, and nothing is raised.
    Normal,
    /// Nothing changes: neither abnormal nor normal, or not normal for long enough.
    Held,
    /// Abnormal, not yet for long or often enough.
    Pending,
    /// Normal, after abnormal readings that were not enough.
    Subsided,
    /// Observed before one already judged, and no evidence.
    Late,
    /// Raised by these.
    Raised(Severity, Vec<Sighting>),
    /// Evidence for what is raised, which is so grave by now.
    Updated(Severity, Sighting),
    /// Raised, and so grave by now, by time alone.
    Worsened(Severity),
    /// Raised, and no graver than this by now, by a reading that is no evidence.
    Eased(Severity),
    /// Normal again.
    Cleared,
    /// Evidence by itself, which no level was asked of.
    Reported(Sighting),
}

/// A rule's levels in the terms of one sensor, the least with its margin.
fn levels(rule: &Threshold, sensor: Option<&Sensor>) -> impl Iterator<Item = Level> {
    let mut first = named_levels(rule, sensor).map(|level| level.value);
    let margin = match (first.next(), first.next()) {
        (Some(least), Some(next)) if rule.margin_percent > 0 && (next - least).is_finite() => {
            (next - least) * f64::from(rule.margin_percent) / 100.0
        }
        _ => 0.0,
    };
    let mut levels = named_levels(rule, sensor);
    let least = levels.next().map(|level| Level {
        value: level.value + margin,
        ..level
    });
    least.into_iter().chain(levels)
}

/// Its own `warning` and `danger` replace the moderate and the severe level. One that does not
/// exist for it lies beyond all values.
fn named_levels(rule: &Threshold, sensor: Option<&Sensor>) -> impl Iterator<Item = Level> {
    let (warning, danger) = sensor.map_or((None, None), |own| (own.warning, own.danger));
    let nowhere = match rule.side {
        Side::Above => f64::INFINITY,
        Side::Below => f64::NEG_INFINITY,
    };
    let scale = sensor.map_or(Scale::OfKind, |own| own.scale);
    rule.levels.iter().map(move |level| {
        let own = match level.severity {
            Severity::Moderate => warning,
            Severity::Severe => danger,
            Severity::Unknown | Severity::Minor | Severity::Extreme => None,
        };
        Level {
            severity: level.severity,
            value: own.unwrap_or(match scale {
                Scale::OfKind => level.value,
                Scale::Own => nowhere,
            }),
        }
    })
}

/// The level that is reached first.
pub(crate) fn least(rule: &Threshold, sensor: Option<&Sensor>) -> f64 {
    let least = match rule.margin_percent {
        // Asked with each reading.
        0 => reached_first(rule.side, named_levels(rule, sensor)),
        _ => reached_first(rule.side, levels(rule, sensor)),
    };
    least.expect("a threshold has at least one level")
}

fn reached_first(side: Side, levels: impl Iterator<Item = Level>) -> Option<f64> {
    let values = levels.map(|level| level.value);
    match side {
        Side::Above => values.min_by(f64::total_cmp),
        Side::Below => values.max_by(f64::total_cmp),
    }
}

/// How far `value` is beyond `level`: positive if it is.
pub(crate) fn excess(side: Side, value: f64, level: f64) -> f64 {
    match side {
        Side::Above => value - level,
        Side::Below => level - value,
    }
}

/// Whether a value is far enough back from the least level. The limit is computed as people write
/// it: 0.3 below 3.0 is 2.7, though 3.0 - 2.7 is not 0.3 in binary.
pub(super) fn is_normal(rule: &Threshold, value: f64, least: f64) -> bool {
    match rule.side {
        Side::Above => value <= least - rule.clear_gap,
        Side::Below => value >= least + rule.clear_gap,
    }
}

impl State {
    pub fn new(rule: &Threshold, sensor: Option<&Sensor>) -> Self {
        Self {
            least: least(rule, sensor),
            observed_to: Timestamp::MIN,
            after_silence: false,
            abnormal: None,
        }
    }

    /// Takes over the sensor's registered levels after they may have changed.
    pub fn refit(&mut self, rule: &Threshold, sensor: Option<&Sensor>) {
        self.least = least(rule, sensor);
    }

    /// Forgets how late it was, by a clock that has been set back since.
    pub fn set_clock_back(&mut self) {
        self.observed_to = Timestamp::MIN;
    }

    /// Whether a reading of this time would be late.
    pub fn is_late(&self, observed_at: Timestamp) -> bool {
        observed_at < self.observed_to
    }

    /// When the latest that was judged was observed.
    pub fn observed_to(&self) -> Timestamp {
        self.observed_to
    }

    /// Whether what it judges next is the first after its sensor was silent: it makes nothing graver
    /// that has to persist, for what was so before and is so once afterwards need not have been so in
    /// between.
    pub fn hears_after_silence(&mut self, so: bool) {
        self.after_silence = so;
    }

    /// Takes note of a reading's time that cannot be judged.
    pub fn hear(&mut self, observed_at: Timestamp) {
        self.observed_to = self.observed_to.max(observed_at);
    }

    /// Takes over what another rule had raised of a sensor that nobody hears: only a reading tells
    /// what has become of that.
    pub fn stay_raised(&mut self, rule: &Threshold, severity: Severity) {
        let mut abnormal = Abnormal::new(rule);
        (abnormal.raised, abnormal.unheard) = (Some(severity), true);
        self.abnormal = Some(Box::new(abnormal));
    }

    /// What is raised counts no more, for nothing is known that tells of it.
    pub fn forget(&mut self) -> Outcome {
        self.abnormal = None;
        Outcome::Cleared
    }

    /// Whether the detection is raised.
    pub fn is_raised(&self) -> bool {
        matches!(&self.abnormal, Some(abnormal) if abnormal.raised.is_some())
    }

    /// How grave it is, if it is raised.
    pub fn raised(&self) -> Option<Severity> {
        self.abnormal.as_ref().and_then(|abnormal| abnormal.raised)
    }

    /// Whether it is raised, or some readings are beyond a level and not yet enough.
    pub fn is_abnormal(&self) -> bool {
        self.abnormal.is_some()
    }

    /// Whether a value is beyond the least level.
    pub fn would_exceed(&self, rule: &Threshold, value: f64) -> bool {
        excess(rule.side, value, self.least) > 0.0
    }

    /// Judges one reading. `sighting` is made only if the reading may become evidence.
    pub fn judge(
        &mut self,
        rule: &Threshold,
        sensor: Option<&Sensor>,
        value: f64,
        (observed_at, at): (Timestamp, Timestamp),
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        let asks_for_more = rule.readings_min > 1 || rule.lasting.0 > 0;
        let alone = self.after_silence && asks_for_more;
        let beyond = excess(rule.side, value, self.least);
        let late = self.is_late(observed_at);
        self.hear(observed_at);
        if self.abnormal.is_none() && (late || beyond <= 0.0) {
            return if late { Outcome::Late } else { Outcome::Normal };
        }
        let sighting = || sighting(severity_of(rule, sensor, value), beyond);
        if late {
            return self.evidence_if_raised(beyond, sighting);
        }
        if beyond <= 0.0 {
            return self.recede(rule, sensor, value, at);
        }
        self.exceed(rule, sensor, value, (at, alone), sighting())
    }

    /// A late reading is evidence for what is raised, and moves nothing.
    fn evidence_if_raised(&self, beyond: f64, sighting: impl FnOnce() -> Sighting) -> Outcome {
        let raised = self.abnormal.as_ref().and_then(|abnormal| abnormal.raised);
        match raised {
            Some(severity) if beyond > 0.0 => Outcome::Updated(severity, sighting()),
            Some(_) | None => Outcome::Late,
        }
    }

    /// A value that is not beyond the least level.
    fn recede(
        &mut self,
        rule: &Threshold,
        sensor: Option<&Sensor>,
        value: f64,
        at: Timestamp,
    ) -> Outcome {
        let Some(abnormal) = &mut self.abnormal else {
            return Outcome::Normal;
        };
        let runs = abnormal.runs.iter_mut();
        runs.for_each(|run| run.note(rule, false, Timestamp::MIN));
        if abnormal.raised.is_none() {
            if abnormal.runs.iter().any(|run| run.count > 0) {
                return Outcome::Held;
            }
            self.abnormal = None;
            return Outcome::Subsided;
        }
        if is_normal(rule, value, self.least) {
            abnormal.normal_in_a_row += 1;
        } else {
            abnormal.normal_in_a_row = 0;
        }
        if abnormal.normal_in_a_row >= rule.clear_readings_min {
            self.abnormal = None;
            return Outcome::Cleared;
        }
        let eased = abnormal.ease(rule, stands_for(rule, sensor, value), at);
        eased.map_or(Outcome::Held, Outcome::Eased)
    }

    /// A value beyond the least level. `alone`: the first after a silence.
    fn exceed(
        &mut self,
        rule: &Threshold,
        sensor: Option<&Sensor>,
        value: f64,
        (at, alone): (Timestamp, bool),
        sighting: Sighting,
    ) -> Outcome {
        let new = || Box::new(Abnormal::new(rule));
        let abnormal = self.abnormal.get_or_insert_with(new);
        abnormal.normal_in_a_row = 0;
        abnormal.unheard = alone;
        for (run, level) in abnormal.runs.iter_mut().zip(levels(rule, sensor)) {
            run.note(rule, excess(rule.side, value, level.value) > 0.0, at);
        }
        let graver = abnormal.persisted(rule, at).filter(|_| !alone);
        match (abnormal.raised, graver) {
            (Some(severity), Some(graver)) if graver > severity => {
                (abnormal.raised, abnormal.easing) = (Some(graver), None);
                Outcome::Updated(graver, sighting)
            }
            (Some(severity), _) => {
                let eased = abnormal.ease(rule, stands_for(rule, sensor, value), at);
                Outcome::Updated(eased.unwrap_or(severity), sighting)
            }
            (None, graver) => {
                abnormal.keep(rule, sighting);
                graver.map_or(Outcome::Pending, |severity| abnormal.raise(severity))
            }
        }
    }

    /// When time alone would raise it, or make it graver.
    pub fn due(&self, rule: &Threshold) -> Option<Timestamp> {
        let abnormal = self.abnormal.as_ref()?;
        if rule.lasting.0 <= 0 || abnormal.unheard {
            return None;
        }
        let levels = rule.levels.iter().zip(&abnormal.runs);
        levels
            .filter(|(level, run)| {
                let graver = abnormal.raised.is_none_or(|raised| raised < level.severity);
                graver && run.count >= rule.readings_min
            })
            .map(|(_, run)| run.since + rule.lasting)
            .min()
    }

    /// Time has passed: [`Self::due`] is reached and no reading contradicts. Of a silent sensor
    /// nothing is known, so that only its next reading can tell.
    pub fn fire(&mut self, rule: &Threshold, due: Timestamp, silent: bool) -> Outcome {
        let Some(abnormal) = &mut self.abnormal else {
            return Outcome::Normal;
        };
        if silent {
            abnormal.unheard = true;
            return Outcome::Held;
        }
        match (abnormal.raised, abnormal.persisted(rule, due)) {
            (None, Some(severity)) => abnormal.raise(severity),
            (Some(before), Some(severity)) if severity > before => {
                (abnormal.raised, abnormal.easing) = (Some(severity), None);
                Outcome::Worsened(severity)
            }
            (_, _) => Outcome::Held,
        }
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, rule: &Threshold, out: &mut impl Put) {
        out.put_time(self.observed_to);
        out.put_option(self.abnormal.as_deref(), |out, abnormal| {
            abnormal.put(rule, out);
        });
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(
        take: &mut Take<'_>,
        rule: &Threshold,
        sensor: Option<&Sensor>,
    ) -> Result<Self, CodecError> {
        Ok(Self {
            least: least(rule, sensor),
            observed_to: take.time()?,
            after_silence: false,
            abnormal: take.option(|take| Abnormal::take(take, rule).map(Box::new))?,
        })
    }
}

/// The gravest level that one value alone is beyond.
pub(crate) fn severity_of(rule: &Threshold, sensor: Option<&Sensor>, value: f64) -> Severity {
    levels(rule, sensor)
        .filter(|level| excess(rule.side, value, level.value) > 0.0)
        .map(|level| level.severity)
        .max()
        .unwrap_or(Severity::Unknown)
}

/// The gravest level that a value is not back from, as far as the rule asks of what is normal again;
/// at least the one that is reached first.
fn stands_for(rule: &Threshold, sensor: Option<&Sensor>, value: f64) -> Severity {
    let first = least(rule, sensor);
    levels(rule, sensor)
        .filter(|level| {
            let is_first = excess(rule.side, level.value, first) <= 0.0;
            is_first || !is_normal(rule, value, level.value)
        })
        .map(|level| level.severity)
        .max()
        .unwrap_or(Severity::Unknown)
}

impl Abnormal {
    /// Of nothing that has been heard.
    fn new(rule: &Threshold) -> Self {
        let none = Run {
            count: 0,
            recent: 0,
            since: Timestamp::MIN,
        };
        Self {
            runs: vec![none; rule.levels.len()],
            raised: None,
            easing: None,
            normal_in_a_row: 0,
            pending: Vec::new(),
            unheard: false,
        }
    }

    /// Takes a reading of what is raised into account that stands for so much, if no more than that
    /// has lasted. Returns how grave it is by now, if that is less than before.
    fn ease(&mut self, rule: &Threshold, stands: Severity, at: Timestamp) -> Option<Severity> {
        let stands = self
            .persisted(rule, at)
            .map_or(stands, |graver| graver.max(stands));
        if self.raised.is_none_or(|raised| stands >= raised) {
            self.easing = None;
            return None;
        }
        let before = self.easing.take();
        let easing = before.map_or(
            Easing {
                readings: 1,
                to: stands,
            },
            |before| Easing {
                readings: before.readings + 1,
                to: before.to.max(stands),
            },
        );
        if easing.readings < rule.clear_readings_min {
            self.easing = Some(easing);
            return None;
        }
        self.raised = Some(easing.to);
        self.raised
    }

    /// The gravest level that has been exceeded often and long enough.
    fn persisted(&self, rule: &Threshold, at: Timestamp) -> Option<Severity> {
        let levels = rule.levels.iter().zip(&self.runs);
        levels
            .filter(|(_, run)| run.count > 0 && run.count >= rule.readings_min)
            .filter(|(_, run)| at >= run.since + rule.lasting)
            .map(|(level, _)| level.severity)
            .max()
    }

    fn keep(&mut self, rule: &Threshold, sighting: Sighting) {
        if self.pending.len() == PENDING_READINGS_MAX {
            self.pending.remove(1);
        }
        self.pending.push(sighting);
        if rule.readings_among.is_some() {
            // What is no more among the last readings raises nothing, so it is no evidence either.
            let counts = self.runs.iter().map(|run| run.count).max();
            let counts = counts.unwrap_or(0) as usize;
            let gone = self.pending.len().saturating_sub(counts);
            self.pending.drain(..gone);
        }
    }

    fn raise(&mut self, severity: Severity) -> Outcome {
        self.raised = Some(severity);
        Outcome::Raised(severity, std::mem::take(&mut self.pending))
    }

    fn put(&self, rule: &Threshold, out: &mut impl Put) {
        for run in &self.runs {
            run.put(rule, out);
        }
        out.put_option(self.raised, |out, severity| match self.easing {
            None => out.put_u8(severity as u8),
            Some(easing) => {
                out.put_u8(severity as u8 | IS_EASING);
                out.put_u32(easing.readings);
                out.put_u8(easing.to as u8);
            }
        });
        out.put_u32(self.normal_in_a_row);
        out.put_count(self.pending.len());
        for sighting in &self.pending {
            sighting.put(out);
        }
        out.put_flag(self.unheard);
    }

    fn take(take: &mut Take<'_>, rule: &Threshold) -> Result<Self, CodecError> {
        let runs = take.each(rule.levels.len(), |take| Run::take(take, rule))?;
        let raised = take.option(take_raised)?;
        let easing = raised.and_then(|(_, easing)| easing);
        let raised = raised.map(|(severity, _)| severity);
        let normal_in_a_row = take.u32()?;
        let pending = take.count(PENDING_READINGS_MAX)?;
        Ok(Self {
            runs,
            raised,
            easing,
            normal_in_a_row,
            pending: take.each(pending, Sighting::take)?,
            unheard: take.flag()?,
        })
    }
}

/// Beside the severity that is raised: some readings were back from it. Without that it is kept as it
/// was before severities fell.
const IS_EASING: u8 = 0x80;

fn take_raised(take: &mut Take<'_>) -> Result<(Severity, Option<Easing>), CodecError> {
    let byte = take.u8()?;
    let severity = Severity::take(&mut Take(&[byte & !IS_EASING]))?;
    if byte & IS_EASING == 0 {
        return Ok((severity, None));
    }
    let easing = Easing {
        readings: take.u32()?,
        to: Severity::take(take)?,
    };
    Ok((severity, Some(easing)))
}

impl Run {
    fn note(&mut self, rule: &Threshold, beyond: bool, at: Timestamp) {
        if beyond && self.count == 0 {
            self.since = at;
        }
        match rule.readings_among {
            Some(among) => {
                self.recent = (self.recent << 1 | u64::from(beyond)) & last(among);
                self.count = self.recent.count_ones();
            }
            None if beyond => self.count = self.count.saturating_add(1),
            None => self.count = 0,
        }
    }

    /// Since when matters only while it lasts.
    fn put(self, rule: &Threshold, out: &mut impl Put) {
        match rule.readings_among {
            Some(_) => out.put_u64(self.recent),
            None => out.put_u32(self.count),
        }
        if self.count > 0 {
            out.put_time(self.since);
        }
    }

    fn take(take: &mut Take<'_>, rule: &Threshold) -> Result<Self, CodecError> {
        let (count, recent) = match rule.readings_among {
            Some(among) => {
                let recent = take.u64()?;
                if recent & !last(among) != 0 {
                    return Err(CodecError("more readings than the rule asks of"));
                }
                (recent.count_ones(), recent)
            }
            None => (take.u32()?, 0),
        };
        let since = if count > 0 {
            take.time()?
        } else {
            Timestamp::MIN
        };
        Ok(Self {
            count,
            recent,
            since,
        })
    }
}

/// The bits of so many readings.
const fn last(readings: u32) -> u64 {
    u64::MAX >> (u64::BITS - readings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;

    fn rule(side: Side, readings_min: u32, lasting: Millis) -> Threshold {
        let level = |severity, value| Level { severity, value };
        let levels = match side {
            Side::Above => [3.0, 4.0],
            Side::Below => [4.0, 3.0],
        };
        Threshold {
            side,
            levels: vec![
                level(Severity::Moderate, levels[0]),
                level(Severity::Severe, levels[1]),
            ],
            margin_percent: 0,
            clear_gap: 0.5,
            readings_min,
            readings_among: None,
            lasting,
            clear_readings_min: 1,
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn sighting(ms: i64, value: f64) -> impl FnOnce(Severity, f64) -> Sighting {
        move |severity, excess| Sighting {
            reading: ms.to_string().parse().unwrap(),
            seq: 0,
            at: at(ms),
            value,
            severity,
            excess,
            position: None,
            shared: Default::default(),
        }
    }

    fn sensor(warning: Option<f64>, danger: Option<f64>) -> Sensor {
        Sensor {
            id: "gauge".parse().unwrap(),
            kind: "level".parse().unwrap(),
            unit: String::new(),
            position: None,
            zone: None,
            gateway: None,
            interval: None,
            warning,
            danger,
            scale: Scale::OfKind,
        }
    }

    /// What each (time, value) comes to, in a word.
    fn outcomes(rule: &Threshold, sensor: Option<&Sensor>, said: &[(i64, f64)]) -> Vec<String> {
        let mut state = State::new(rule, sensor);
        let judge = |&(ms, value): &(i64, f64)| {
            let times = (at(ms), at(ms));
            match state.judge(rule, sensor, value, times, sighting(ms, value)) {
                Outcome::Raised(severity, sightings) => {
                    format!("raised {} by {}", severity.word(), sightings.len())
                }
                Outcome::Updated(severity, _) => format!("updated {}", severity.word()),
                Outcome::Eased(severity) => format!("eased {}", severity.word()),
                other => format!("{other:?}").to_lowercase(),
            }
        };
        said.iter().map(judge).collect()
    }

    #[test]
    fn below_mirrors_above() {
        let said = [(0, 3.0), (1, 3.1), (2, 4.1), (3, 2.9), (4, 2.5), (5, 2.0)];
        let mirrored = said.map(|(ms, value)| (ms, 7.0 - value));
        let above = outcomes(&rule(Side::Above, 1, Millis::ZERO), None, &said);
        let words = [
            "normal",
            "raised moderate by 1",
            "updated severe",
            "eased moderate",
            "cleared",
            "normal",
        ];
        assert_eq!(above, words);
        let below = outcomes(&rule(Side::Below, 1, Millis::ZERO), None, &mirrored);
        assert_eq!(below, words);
    }

    #[test]
    fn a_margin_is_of_the_way_to_the_second_level_be_it_the_sensor_s_own() {
        let mut rule = rule(Side::Above, 1, Millis::ZERO);
        rule.margin_percent = 25;
        let said = [
            (0, 3.2),
            (1, 3.25),
            (2, 3.26),
            (3, 4.1),
            (4, 2.9),
            (5, 2.75),
        ];
        let words = [
            "normal",
            "normal",
            "raised moderate by 1",
            "updated severe",
            "eased moderate",
            "cleared",
        ];
        assert_eq!(outcomes(&rule, None, &said), words);
        let mut own = sensor(Some(1.0), Some(2.0));
        let said = [(0, 1.2), (1, 1.3)];
        let words = ["normal", "raised moderate by 1"];
        assert_eq!(outcomes(&rule, Some(&own), &said), words);
        // Without a second level of its own in a unit of its own, the first stays as it is.
        own.danger = None;
        own.scale = Scale::Own;
        let words = ["raised moderate by 1", "updated moderate"];
        assert_eq!(outcomes(&rule, Some(&own), &said), words);
    }

    #[test]
    fn persistence_asks_for_readings_in_a_row_and_for_time() {
        let rule = rule(Side::Above, 3, Millis(100));
        let said = [
            (0, 3.5),
            (10, 3.5),
            (20, 2.0),
            (30, 3.5),
            (40, 4.5),
            (50, 4.5),
            (130, 3.5),
        ];
        let words = [
            "pending",
            "pending",
            "subsided",
            "pending",
            "pending",
            "pending",
            "raised moderate by 4",
        ];
        assert_eq!(outcomes(&rule, None, &said), words);
    }

    #[test]
    fn persistence_among_the_last_readings_bears_with_normal_ones() {
        let mut rule = rule(Side::Above, 3, Millis::ZERO);
        rule.readings_among = Some(5);
        let said = [3.5, 1.0, 3.5, 1.0, 1.0, 3.5, 1.0, 4.5, 3.5, 3.0, 2.0];
        let said: Vec<_> = (0..).zip(said).collect();
        let words = [
            "pending",
            "held",
            "pending",
            "held",
            "held",
            "pending",
            "held",
            "pending",
            "raised moderate by 3",
            "held",
            "cleared",
        ];
        assert_eq!(outcomes(&rule, None, &said), words);
        let once: Vec<_> = (0..).zip([3.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).collect();
        let words = outcomes(&rule, None, &once);
        assert_eq!(words[4..], ["held", "subsided", "normal"]);
    }

    #[test]
    fn what_is_back_from_a_level_is_less_grave_and_still_raised() {
        let mut rule = rule(Side::Above, 1, Millis::ZERO);
        let said = [4.1, 3.9, 3.6, 3.5, 4.0, 4.1, 3.4, 2.8, 2.5];
        let said: Vec<_> = (0..).zip(said).collect();
        let words = [
            "raised severe by 1",
            "updated severe",
            "updated severe",
            "updated moderate",
            "updated moderate",
            "updated severe",
            "updated moderate",
            "held",
            "cleared",
        ];
        assert_eq!(outcomes(&rule, None, &said), words);
        // As many in a row as clear it; a trough of fewer is none.
        rule.clear_readings_min = 3;
        let said = [4.1, 3.4, 3.4, 3.6, 3.4, 2.9, 2.4, 2.4, 2.4];
        let said: Vec<_> = (0..).zip(said).collect();
        let words = [
            "raised severe by 1",
            "updated severe",
            "updated severe",
            "updated severe",
            "updated severe",
            "held",
            "eased moderate",
            "held",
            "cleared",
        ];
        assert_eq!(outcomes(&rule, None, &said), words);
    }

    #[test]
    fn what_is_among_the_last_readings_still_is_as_grave() {
        let mut rule = rule(Side::Above, 2, Millis::ZERO);
        rule.readings_among = Some(4);
        let said = [4.1, 4.1, 3.4, 3.4, 3.4];
        let said: Vec<_> = (0..).zip(said).collect();
        let words = [
            "pending",
            "raised severe by 2",
            "updated severe",
            "updated severe",
            "updated moderate",
        ];
        assert_eq!(outcomes(&rule, None, &said), words);
    }

    #[test]
    fn time_alone_raises_and_worsens() {
        let rule = rule(Side::Above, 1, Millis(100));
        let mut state = State::new(&rule, None);
        let judge = |state: &mut State, ms, value| {
            state.judge(&rule, None, value, (at(ms), at(ms)), sighting(ms, value));
            state.due(&rule)
        };
        assert_eq!(judge(&mut state, 0, 3.5), Some(at(100)));
        assert_eq!(judge(&mut state, 30, 4.5), Some(at(100)));
        let raised = state.fire(&rule, at(100), false);
        assert!(
            matches!(raised, Outcome::Raised(Severity::Moderate, sightings) if sightings.len() == 2)
        );
        assert_eq!(state.due(&rule), Some(at(130)));
        assert_eq!(
            state.fire(&rule, at(130), false),
            Outcome::Worsened(Severity::Severe)
        );
        assert_eq!(state.due(&rule), None);
    }

    #[test]
    fn of_a_silent_sensor_only_a_reading_tells() {
        let rule = rule(Side::Above, 1, Millis(100));
        let mut state = State::new(&rule, None);
        state.judge(&rule, None, 3.5, (at(0), at(0)), sighting(0, 3.5));
        assert_eq!(state.fire(&rule, at(100), true), Outcome::Held);
        assert_eq!(state.due(&rule), None);
        let outcome = state.judge(&rule, None, 3.5, (at(200), at(200)), sighting(200, 3.5));
        assert!(matches!(outcome, Outcome::Raised(Severity::Moderate, _)));
    }

    #[test]
    fn a_sensors_own_levels_replace_those_of_their_severity() {
        let sensor = Sensor {
            id: "weir".parse().unwrap(),
            kind: "level".parse().unwrap(),
            unit: String::new(),
            position: None,
            zone: None,
            gateway: None,
            interval: None,
            // Out of order: danger is reached first, and is what must be left to clear.
            warning: Some(2.0),
            danger: Some(1.0),
            scale: Scale::OfKind,
        };
        let rule = rule(Side::Above, 1, Millis::ZERO);
        let said = [(0, 1.0), (1, 1.5), (2, 2.5), (3, 0.6), (4, 0.5)];
        let words = [
            "normal",
            "raised severe by 1",
            "updated severe",
            "held",
            "cleared",
        ];
        assert_eq!(outcomes(&rule, Some(&sensor), &said), words);
    }

    #[test]
    fn a_sensor_on_a_scale_of_its_own_knows_no_level_but_its_own() {
        let sensor = |warning| Sensor {
            id: "weir".parse().unwrap(),
            kind: "level".parse().unwrap(),
            unit: String::new(),
            position: None,
            zone: None,
            gateway: None,
            interval: None,
            warning,
            danger: None,
            scale: Scale::Own,
        };
        let rule = rule(Side::Above, 1, Millis::ZERO);
        let said = [(0, 9.0), (1, 11.0), (2, 1e300), (3, 9.5)];
        let own = outcomes(&rule, Some(&sensor(Some(10.0))), &said);
        assert_eq!(
            own,
            [
                "normal",
                "raised moderate by 1",
                "updated moderate",
                "cleared"
            ]
        );
        assert_eq!(outcomes(&rule, Some(&sensor(None)), &said), ["normal"; 4]);
    }
}
