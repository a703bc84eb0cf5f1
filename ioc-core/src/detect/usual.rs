//! Is the value another than usual for this hour of the week? Robust, and in bounded memory.
//!
//! Arrives: one sensor's readings, in the order they were received. Leaves: how far the value is
//! from what is usual in this hour, which levels, hysteresis and persistence are then asked of
//! (`threshold.rs`). Usual is the median of the same hour of the last weeks, each of them the median
//! of that hour's readings: so neither a spike nor a feast day makes itself usual. A departure that
//! is within what those weeks differ by is none. What a sensor says that is not to be trusted teaches
//! nothing, nor does what it said before in the same hour. Until an hour has been seen in as many weeks as the
//! rule asks for, nothing is told of it. Hours are those of UTC, by the times of observation. Next:
//! `becomes.rs`.

use crate::bundle::{Direction, Usual};
use crate::codec::{CodecError, Put, Take};
use crate::decision::Severity;
use crate::detect::threshold::{self, Outcome};
use crate::detection::Sighting;
use crate::explain::LevelsLook;
use crate::limits::{USUAL_READINGS_MAX, USUAL_WEEKS_MAX};
use crate::time::Timestamp;

const HOUR_MS: i64 = 3_600_000;
const HOURS: usize = 7 * 24;
/// From the median distance to the median to the standard deviation, if chance is normal.
const DEVIATION: f64 = 1.4826;

/// What one rule knows of one sensor.
#[derive(Debug)]
pub(super) struct State {
    /// Of each hour of the week what it was in the last weeks, the newest last.
    weeks: Vec<Weeks>,
    /// The hour that is being learnt.
    hour: Hour,
    departure: threshold::State,
    /// Whether what it judges next is not to be trusted. Said anew before each.
    doubted: bool,
}

/// The medians of one hour of the week, week by week.
#[derive(Debug, Clone, Copy, Default)]
struct Weeks {
    medians: [f32; USUAL_WEEKS_MAX],
    count: u8,
}

/// An hour, counted since 1970, and some of its readings, evenly taken.
#[derive(Debug, Default)]
struct Hour {
    number: i64,
    values: Vec<f64>,
    /// One of so many readings is kept, …
    stride: u32,
    /// … and so many have come since the last.
    passed: u32,
}

impl State {
    pub fn new(rule: &Usual) -> Self {
        Self {
            weeks: Vec::new(),
            hour: Hour::default(),
            departure: threshold::State::new(&rule.threshold, None),
            doubted: false,
        }
    }

    /// Takes over a rule that means the same.
    pub fn refit(&mut self, rule: &Usual) {
        self.departure.refit(&rule.threshold, None);
    }

    /// Forgets how late it was, by a clock that has been set back since.
    pub fn set_clock_back(&mut self) {
        self.departure.set_clock_back();
        self.hour = Hour::default();
    }

    /// How grave it is, if it is raised.
    pub fn raised(&self) -> Option<Severity> {
        self.departure.raised()
    }

    /// Takes over what another rule had raised of a sensor that nobody hears, until it is heard: by
    /// what is usual nothing can be told of it for weeks.
    pub fn stay_raised(&mut self, rule: &Usual, severity: Severity) {
        self.departure.stay_raised(&rule.threshold, severity);
    }

    /// Whether what it judges next is the first after its sensor was silent.
    pub fn hears_after_silence(&mut self, so: bool) {
        self.departure.hears_after_silence(so);
    }

    /// Whether what it judges next is not to be trusted, and teaches nothing.
    pub fn hears_in_doubt(&mut self, so: bool) {
        self.doubted = so;
    }

    /// Judges one reading.
    pub fn judge(
        &mut self,
        rule: &Usual,
        value: f64,
        (observed_at, at): (Timestamp, Timestamp),
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        let hour = observed_at.as_millis().div_euclid(HOUR_MS);
        let departure = self.departure_of(rule, hour, value);
        let knows_nothing = self.weeks.is_empty();
        if !self.departure.is_late(observed_at) {
            self.learn(hour, value);
        }
        let Some(departure) = departure else {
            self.departure.hear(observed_at);
            return match knows_nothing && self.departure.raised().is_some() {
                true => self.departure.forget(),
                false => Outcome::Unknown,
            };
        };
        let times = (observed_at, at);
        self.departure
            .judge(&rule.threshold, None, departure, times, sighting)
    }

    /// The latest `observed_at` that was judged.
    pub fn observed_to(&self) -> Timestamp {
        self.departure.observed_to()
    }

    /// How it stands to the levels, for whoever asks why.
    pub fn look(&self, rule: &Usual) -> LevelsLook {
        self.departure.look(&rule.threshold, None, None)
    }

    /// In how many weeks an hour was seen, and how many it takes.
    pub fn learnt(&self, rule: &Usual, at: Timestamp) -> (u32, u32) {
        let weeks = self.weeks.get(place_of(at.as_millis().div_euclid(HOUR_MS)));
        let known = weeks.map_or(0, |weeks| u32::from(weeks.count));
        (known, rule.weeks_min)
    }

    pub fn due(&self, rule: &Usual) -> Option<Timestamp> {
        self.departure.due(&rule.threshold)
    }

    pub fn fire(&mut self, rule: &Usual, due: Timestamp, silent: bool) -> Outcome {
        self.departure.fire(&rule.threshold, due, silent)
    }

    /// How far a value is from what is usual in an hour, in the rule's direction: nothing, if it is
    /// as near as those weeks are to each other. `None` while that is not known.
    fn departure_of(&self, rule: &Usual, hour: i64, value: f64) -> Option<f64> {
        let weeks = self.weeks.get(place_of(hour))?;
        let medians = weeks.known();
        if medians.len() < rule.weeks_min as usize {
            return None;
        }
        let usual = median(medians.iter().map(|median| f64::from(*median)));
        let apart = medians
            .iter()
            .map(|median| (f64::from(*median) - usual).abs());
        let (_, spread) = middle(apart);
        let departure = match rule.direction {
            Direction::Rises => value - usual,
            Direction::Falls => usual - value,
        };
        let departure = departure.clamp(-f64::MAX, f64::MAX);
        let within = departure <= f64::from(rule.spreads) * DEVIATION * spread;
        Some(if within {
            departure.min(0.0)
        } else {
            departure
        })
    }

    /// Takes a reading into its hour; a new hour ends the one before.
    fn learn(&mut self, hour: i64, value: f64) {
        if hour != self.hour.number {
            let ended = std::mem::take(&mut self.hour);
            if !ended.values.is_empty() {
                if self.weeks.is_empty() {
                    self.weeks = vec![Weeks::default(); HOURS];
                }
                let median = median(ended.values.iter().copied());
                self.weeks[place_of(ended.number)].add(median as f32);
            }
            self.hour.number = hour;
            self.hour.stride = 1;
        }
        if self.doubted {
            // What made it doubtful came before it was found out.
            self.hour.values.clear();
            return;
        }
        self.hour.add(value);
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, rule: &Usual, out: &mut impl Put) {
        self.departure.put(&rule.threshold, out);
        out.put_u64(self.hour.number as u64);
        out.put_u32(self.hour.stride);
        out.put_u32(self.hour.passed);
        out.put_u8(self.hour.values.len() as u8);
        for value in &self.hour.values {
            out.put_f64(*value);
        }
        out.put_u8(self.weeks.len() as u8);
        for weeks in &self.weeks {
            out.put_u8(weeks.count);
            for median in weeks.known() {
                out.put_u32(median.to_bits());
            }
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(take: &mut Take<'_>, rule: &Usual) -> Result<Self, CodecError> {
        let departure = threshold::State::take(take, &rule.threshold, None)?;
        let (number, stride, passed) = (take.u64()? as i64, take.u32()?, take.u32()?);
        let values = usize::from(take.u8()?);
        if values > USUAL_READINGS_MAX {
            return Err(CodecError("more readings than an hour is learnt by"));
        }
        let values = take.each(values, Take::f64)?;
        let hours = usize::from(take.u8()?);
        if hours != 0 && hours != HOURS {
            return Err(CodecError("another week than of seven days"));
        }
        Ok(Self {
            weeks: take.each(hours, Weeks::take)?,
            hour: Hour {
                number,
                values,
                stride,
                passed,
            },
            departure,
            doubted: false,
        })
    }
}

impl Weeks {
    fn known(&self) -> &[f32] {
        &self.medians[..usize::from(self.count)]
    }

    /// Adds a week; beyond the bound the oldest goes.
    fn add(&mut self, median: f32) {
        let count = usize::from(self.count);
        if count == USUAL_WEEKS_MAX {
            self.medians.rotate_left(1);
            self.medians[count - 1] = median;
        } else {
            self.medians[count] = median;
            self.count += 1;
        }
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut weeks = Self {
            count: take.u8()?,
            ..Self::default()
        };
        if usize::from(weeks.count) > USUAL_WEEKS_MAX {
            return Err(CodecError("more weeks than an hour is remembered of"));
        }
        for median in &mut weeks.medians[..usize::from(weeks.count)] {
            *median = f32::from_bits(take.u32()?);
        }
        Ok(weeks)
    }
}

impl Hour {
    /// Keeps one of so many readings. When there is no more room every other one goes, and half as
    /// many are kept from then on: they lie evenly over the hour however many come.
    fn add(&mut self, value: f64) {
        self.passed += 1;
        if self.passed < self.stride {
            return;
        }
        self.passed = 0;
        if self.values.len() == USUAL_READINGS_MAX {
            let mut number = 0;
            self.values.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            self.stride = self.stride.saturating_mul(2);
        }
        self.values.push(value);
    }
}

/// The place of an hour in the week.
fn place_of(hour: i64) -> usize {
    hour.rem_euclid(HOURS as i64) as usize
}

/// The median; of nothing 0.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let (lower, upper) = middle(values);
    // Not their sum, which may be more than any number.
    lower / 2.0 + upper / 2.0
}

/// The two values in the middle, which are one of an odd number; of nothing 0.
fn middle(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    (at(count.saturating_sub(1) / 2), at(count / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Level, Side, Threshold};
    use crate::time::Millis;

    fn rule(direction: Direction, weeks_min: u32, spreads: u32) -> Usual {
        Usual {
            direction,
            weeks_min,
            spreads,
            threshold: Threshold {
                side: Side::Above,
                levels: vec![Level {
                    severity: Severity::Moderate,
                    value: 10.0,
                }],
                clear_gap: 5.0,
                margin_percent: 0,
                readings_min: 1,
                readings_among: None,
                lasting: Millis::ZERO,
                clear_readings_min: 1,
            },
        }
    }

    /// Asks a rule about four readings an hour; tells the hours in which it was raised and cleared.
    fn told(rule: &Usual, hours: i64, value: impl Fn(i64) -> f64) -> Vec<String> {
        let mut state = State::new(rule);
        let mut told = Vec::new();
        for quarter in 0..hours * 4 {
            let at = Timestamp::from_millis(quarter * HOUR_MS / 4);
            let value = value(quarter / 4);
            let sighting = |severity, excess| Sighting {
                reading: quarter.to_string().parse().unwrap(),
                seq: 0,
                at,
                value,
                severity,
                excess,
                position: None,
                shared: Default::default(),
            };
            match state.judge(rule, value, (at, at), sighting) {
                Outcome::Raised(..) => told.push(format!("{} raised", quarter / 4)),
                Outcome::Cleared => told.push(format!("{} cleared", quarter / 4)),
                _ => {}
            }
        }
        let mut bytes = Vec::new();
        state.put(rule, &mut bytes);
        let mut again = Vec::new();
        State::take(&mut Take(&bytes), rule)
            .unwrap()
            .put(rule, &mut again);
        assert_eq!(bytes, again);
        told
    }

    const WEEK: i64 = HOURS as i64;

    /// A market: full on one day of the week from 8 to 12, empty else.
    fn market(hour: i64) -> f64 {
        match hour % WEEK {
            56..60 => 80.0,
            _ => 5.0,
        }
    }

    #[test]
    fn what_is_usual_on_a_market_day_is_not_on_another() {
        let rule = rule(Direction::Rises, 3, 0);
        let crowd = |hour| match hour {
            hour if hour == 3 * WEEK + 20 => 80.0,
            hour => market(hour),
        };
        assert_eq!(told(&rule, 4 * WEEK, crowd), ["524 raised", "525 cleared"]);
        // And that nobody comes is a departure the other way.
        let falls = self::rule(Direction::Falls, 3, 0);
        let nobody = |hour| if hour > 3 * WEEK { 5.0 } else { market(hour) };
        assert_eq!(
            told(&falls, 4 * WEEK, nobody),
            ["560 raised", "564 cleared"]
        );
    }

    #[test]
    fn nothing_is_told_before_it_has_learnt_for_as_long_as_the_rule_says() {
        let odd = |hour: i64| {
            if hour % WEEK == 20 {
                5.0 + hour as f64
            } else {
                5.0
            }
        };
        assert!(told(&rule(Direction::Rises, 3, 0), 3 * WEEK, odd).is_empty());
        assert_eq!(
            told(&rule(Direction::Rises, 2, 0), 3 * WEEK, odd)[0],
            "356 raised"
        );
    }

    #[test]
    fn one_feast_day_does_not_become_usual() {
        let rule = rule(Direction::Rises, 3, 0);
        let feast = |hour| match hour {
            hour if [2, 5].contains(&(hour / WEEK)) && hour % WEEK == 30 => 60.0,
            _ => 5.0,
        };
        let (third, sixth) = (2 * WEEK + 30, 5 * WEEK + 30);
        let told = told(&rule, 6 * WEEK, feast);
        assert_eq!(
            told,
            [format!("{sixth} raised"), format!("{} cleared", sixth + 1)]
        );
        assert!(third < 3 * WEEK, "in the third week it was still learning");
    }

    #[test]
    fn what_is_not_to_be_trusted_teaches_nothing() {
        let rule = rule(Direction::Rises, 3, 0);
        // Stuck for four weeks, which is found in the middle of an hour, and mended.
        let (from, to) = (2 * WEEK + 10, 6 * WEEK + 10);
        let departures = |doubts: bool| {
            let mut state = State::new(&rule);
            for quarter in 0..7 * WEEK * 4 {
                let at = Timestamp::from_millis(quarter * HOUR_MS / 4);
                let broken = (from * 4..to * 4).contains(&quarter);
                let value = if broken { 90.0 } else { 5.0 };
                state.hears_in_doubt(doubts && broken && quarter > from * 4 + 1);
                state.judge(&rule, value, (at, at), |_, _| sighting(at));
            }
            let departs = |hour| state.departure_of(&rule, hour, 60.0);
            [7 * WEEK + 9, 7 * WEEK + 10, 7 * WEEK + 11].map(departs)
        };
        assert_eq!(departures(true), [Some(55.0); 3]);
        // Else what is far from usual would be none.
        assert_eq!(departures(false)[2], Some(-30.0));
    }

    fn sighting(at: Timestamp) -> Sighting {
        Sighting {
            reading: "r".parse().unwrap(),
            seq: 0,
            at,
            value: 0.0,
            severity: Severity::Moderate,
            excess: 0.0,
            position: None,
            shared: Default::default(),
        }
    }

    #[test]
    fn what_those_weeks_differ_by_themselves_is_no_departure() {
        let value = |hour: i64| {
            if hour % WEEK == 30 {
                (hour / WEEK % 3 * 20) as f64
            } else {
                5.0
            }
        };
        assert!(!told(&rule(Direction::Rises, 3, 0), 9 * WEEK, value).is_empty());
        assert!(told(&rule(Direction::Rises, 3, 3), 9 * WEEK, value).is_empty());
    }

    #[test]
    fn p5_an_hour_is_learnt_by_a_bounded_number_of_readings_evenly_taken() {
        let mut hour = Hour {
            stride: 1,
            ..Hour::default()
        };
        for value in 0..3_600 {
            hour.add(f64::from(value));
            assert!(hour.values.len() <= USUAL_READINGS_MAX);
        }
        let middle = median(hour.values.iter().copied());
        assert!((middle - 1_800.0).abs() < 300.0, "{middle}");
        let mut weeks = Weeks::default();
        (0..30_u8).for_each(|week| weeks.add(f32::from(week)));
        let last: Vec<_> = (30 - USUAL_WEEKS_MAX as u8..30).map(f32::from).collect();
        assert_eq!(weeks.known(), last);
    }
}
