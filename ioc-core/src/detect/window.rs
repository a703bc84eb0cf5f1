//! What do the readings of some time come to: how many, their sum, mean, least or greatest?
//!
//! Arrives: one sensor's readings, in any order. Leaves: for each window of the times at which they
//! were observed, once it closes, a value that levels, hysteresis and persistence are asked of
//! (`threshold.rs`). Promise: what a window comes to, and by which evidence, does not depend on the
//! order in which its readings came, for sums are of whole millionths. A window closes by a timer,
//! when the logical time is its end and the lateness that the rule allows. Next: `becomes.rs`.
//!
//! Windows overlap by steps. Readings are summed up by pane, one for each step, and a window is the
//! sum of its panes. Each sensor's steps begin at a moment of their own, so that those of a city do
//! not all end at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::rule_state::{Heard, Said};
use super::threshold::{self, Outcome};
use crate::bundle::{Aggregate, Side, Window};
use crate::codec::{CodecError, Put, Take};
use crate::decision::Severity;
use crate::detection::Sighting;
use crate::explain::LevelsLook;
use crate::hash::hash_text;
use crate::limits::{PENDING_READINGS_MAX, WINDOW_STEPS_MAX};
use crate::time::Timestamp;

/// What one window rule knows of one sensor.
#[derive(Debug)]
pub(super) struct State {
    /// By how much its steps begin after those of 1970, in milliseconds.
    phase: i64,
    /// The end of the last window that is closed, counted in steps.
    closed_to: i64,
    /// The step of its first reading: windows that begin before it cannot tell what is missing.
    watched_from: i64,
    /// What was observed in each step that an open window may still need.
    panes: BTreeMap<i64, Pane>,
    /// What it said last before the windows that are open, where windows in which it says nothing
    /// count. Of what may still come in another order nothing is kept here.
    last: Option<Sighting>,
    levels: threshold::State,
}

/// The readings of one step.
#[derive(Debug)]
struct Pane {
    count: u32,
    /// In millionths of the unit.
    sum: i128,
    least: f64,
    greatest: f64,
    /// The reading furthest in the abnormal direction; of several that with the least id.
    worst: Sighting,
}

/// What a window comes to.
struct Sum<'a> {
    count: u64,
    sum: i128,
    least: f64,
    greatest: f64,
    /// The worst reading of each pane, the newest pane last.
    worst: Vec<&'a Sighting>,
}

/// A value in millionths of its unit.
pub(crate) const FIXED_POINT: f64 = 1e6;
/// Beyond all that is measured; the sum of as many as can be counted is still a number.
pub(crate) const VALUE_MAX: f64 = 1e20;

impl State {
    /// A state of a sensor that is heard for the first time.
    pub fn new(rule: &Window, sensor: &str) -> Self {
        Self {
            phase: phase(rule, sensor),
            closed_to: i64::MIN,
            watched_from: i64::MAX,
            panes: BTreeMap::new(),
            last: None,
            levels: threshold::State::new(&rule.threshold, None),
        }
    }

    /// Takes over a rule that means the same.
    pub fn refit(&mut self, rule: &Window) {
        self.levels.refit(&rule.threshold, None);
    }

    /// How grave it is, if it is raised.
    pub fn raised(&self) -> Option<Severity> {
        self.levels.raised()
    }

    /// Takes over what another rule had raised by this time of a sensor that nobody hears: the next
    /// window of which something is known tells.
    pub fn stay_raised(&mut self, rule: &Window, severity: Severity, now: Timestamp) {
        self.closed_to = self.step_of(rule, now - rule.lateness);
        self.levels.stay_raised(&rule.threshold, severity);
    }

    /// Takes one reading in.
    pub fn judge(
        &mut self,
        rule: &Window,
        said: Said,
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        // Whatever was due by now has fired, or was of windows in which nothing was said.
        let closed_to = self.step_of(rule, said.at - rule.lateness);
        self.closed_to = self.closed_to.max(closed_to);
        let step = self.step_of(rule, said.observed_at);
        if step.saturating_add(steps(rule)) <= self.closed_to {
            return Outcome::Late;
        }
        self.watched_from = self.watched_from.min(step);
        self.note(rule, step, said.signal, || sighting(Severity::Unknown, 0.0));
        Outcome::Gathered
    }

    fn note(&mut self, rule: &Window, step: i64, value: f64, sighting: impl FnOnce() -> Sighting) {
        match self.panes.entry(step) {
            Entry::Vacant(place) => {
                place.insert(Pane::of(value, sighting()));
            }
            Entry::Occupied(mut pane) => {
                pane.get_mut().take_in(rule.threshold.side, value, sighting);
            }
        }
    }

    /// When its timer is due, if one runs: for the next window that can tell something, or for what
    /// has been so for long enough.
    pub fn due(&self, rule: &Window) -> Option<Timestamp> {
        let closes = self.next_end(rule).map(|end| self.closes_at(rule, end));
        let lasts = self.levels.due(&rule.threshold);
        closes.into_iter().chain(lasts).min()
    }

    /// The end of the next window to close, counted in steps.
    fn next_end(&self, rule: &Window) -> Option<i64> {
        let first = self.panes.keys().next().copied();
        let has_spoken = self.last.is_some() || (counts_missing(rule) && first.is_some());
        let empty_tells = match rule.of {
            Aggregate::Count | Aggregate::Sum => self.levels.is_abnormal() || has_spoken,
            Aggregate::Mean | Aggregate::Least | Aggregate::Greatest => false,
        };
        let after = if empty_tells {
            self.closed_to
        } else {
            self.closed_to.max(first?)
        };
        Some(after.saturating_add(1))
    }

    fn closes_at(&self, rule: &Window, end: i64) -> Timestamp {
        self.time_of(rule, end) + rule.lateness
    }

    /// The timer is due: a window closes, or what it came to has lasted for long enough.
    pub fn fire(&mut self, rule: &Window, due: Timestamp, heard: Heard) -> Outcome {
        let end = self.next_end(rule);
        match end.filter(|end| self.closes_at(rule, *end) <= due) {
            Some(end) => self.close(rule, end, due, heard),
            None => self.levels.fire(&rule.threshold, due, heard.silent),
        }
    }

    fn close(&mut self, rule: &Window, end: i64, due: Timestamp, heard: Heard) -> Outcome {
        let begin = end.saturating_sub(steps(rule));
        let outcome = self.judge_window(rule, (begin, end), due, heard);
        self.closed_to = end;
        let open = self.panes.split_off(&begin.saturating_add(1));
        let mut over = std::mem::replace(&mut self.panes, open);
        if counts_missing(rule)
            && let Some((_, newest)) = over.pop_last()
        {
            self.last = Some(newest.worst);
        }
        if self.panes.is_empty() {
            // Nobody could be heard before the start; a long downtime is passed over at once.
            let started = self.step_of(rule, heard.started_at - rule.lateness);
            self.closed_to = self.closed_to.max(started);
        }
        outcome
    }

    fn judge_window(
        &mut self,
        rule: &Window,
        (begin, end): (i64, i64),
        due: Timestamp,
        heard: Heard,
    ) -> Outcome {
        let sum = Sum::of(self.panes.range(begin..end).map(|(_, pane)| pane));
        let unheard = begin < self.watched_from || self.time_of(rule, begin) < heard.started_at;
        if counts_missing(rule) && unheard {
            return Outcome::Unknown;
        }
        let Some(value) = sum.value(rule) else {
            return Outcome::Unknown;
        };
        let newest = sum.worst.last().copied().or(self.last.as_ref());
        if newest.is_none() && self.levels.would_exceed(&rule.threshold, value) {
            // It is beyond a level without a single reading: no evidence, no finding.
            return Outcome::Unknown;
        }
        // What was heard in it counts from when it closes, whenever it was received.
        let sighting = |severity, excess| Sighting {
            severity,
            excess,
            at: due,
            ..newest.expect("what exceeds a level has evidence").clone()
        };
        let times = (self.time_of(rule, end), due);
        let outcome = self
            .levels
            .judge(&rule.threshold, None, value, times, sighting);
        match outcome {
            Outcome::Raised(severity, pending) => {
                let evidence = evidence((severity, due), pending, &sum.worst);
                Outcome::Raised(severity, evidence)
            }
            other => other,
        }
    }

    /// How what is open so far stands to the levels, for whoever asks why.
    pub fn look(&self, rule: &Window) -> LevelsLook {
        let end = self.next_end(rule);
        let value = end.and_then(|end| {
            let begin = end.saturating_sub(steps(rule));
            Sum::of(self.panes.range(begin..end).map(|(_, pane)| pane)).value(rule)
        });
        self.levels.look(&rule.threshold, None, value)
    }

    /// The step that an instant lies in.
    fn step_of(&self, rule: &Window, at: Timestamp) -> i64 {
        let ms = at.as_millis().saturating_sub(self.phase);
        ms.div_euclid(rule.step.0)
    }

    /// When a step begins.
    fn time_of(&self, rule: &Window, step: i64) -> Timestamp {
        let ms = step.saturating_mul(rule.step.0);
        Timestamp::from_millis(ms.saturating_add(self.phase))
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, rule: &Window, out: &mut impl Put) {
        out.put_u64(self.closed_to as u64);
        out.put_u64(self.watched_from as u64);
        out.put_count(self.panes.len());
        for (step, pane) in &self.panes {
            out.put_u64(*step as u64);
            pane.put(out);
        }
        out.put_option(self.last.as_ref(), |out, sighting| sighting.put(out));
        self.levels.put(&rule.threshold, out);
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(take: &mut Take<'_>, rule: &Window, sensor: &str) -> Result<Self, CodecError> {
        let closed_to = take.u64()? as i64;
        let watched_from = take.u64()? as i64;
        let count = take.count(panes_max(rule))?;
        let panes = take.each(count, |take| Ok((take.u64()? as i64, Pane::take(take)?)))?;
        if !panes.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(CodecError("panes are not in order"));
        }
        Ok(Self {
            phase: phase(rule, sensor),
            closed_to,
            watched_from,
            panes: panes.into_iter().collect(),
            last: take.option(Sighting::take)?,
            levels: threshold::State::take(take, &rule.threshold, None)?,
        })
    }
}

/// By how much a sensor's steps begin later than those of 1970.
fn phase(rule: &Window, sensor: &str) -> i64 {
    (hash_text(sensor) % rule.step.0.unsigned_abs()) as i64
}

/// How many steps a window has.
fn steps(rule: &Window) -> i64 {
    rule.length.0 / rule.step.0
}

/// The most panes that open windows need: those of one window, those of the lateness, and the one
/// that is being filled.
fn panes_max(rule: &Window) -> usize {
    let late = rule.lateness.0 / rule.step.0 + 2;
    (steps(rule) + late) as usize
}

const _: () = assert!(WINDOW_STEPS_MAX <= PENDING_READINGS_MAX);

/// Whether a window in which nothing was said may be abnormal.
fn counts_missing(rule: &Window) -> bool {
    let adds = matches!(rule.of, Aggregate::Count | Aggregate::Sum);
    adds && rule.threshold.side == Side::Below
}

/// What raised it: what was pending from the windows before, then the worst reading of each pane in
/// the order of time, which does not depend on when it was received.
fn evidence(
    (severity, at): (Severity, Timestamp),
    pending: Vec<Sighting>,
    worst: &[&Sighting],
) -> Vec<Sighting> {
    let is_of_pane = |sighting: &Sighting| worst.iter().any(|worst| worst.seq == sighting.seq);
    let mut all = pending;
    all.retain(|sighting| !is_of_pane(sighting));
    all.dedup_by_key(|sighting| sighting.seq);
    all.extend(worst.iter().map(|worst| Sighting {
        severity,
        at,
        ..(*worst).clone()
    }));
    all.split_off(all.len().saturating_sub(PENDING_READINGS_MAX))
}

/// A value in whole millionths.
pub(crate) fn fixed(value: f64) -> i128 {
    (value.clamp(-VALUE_MAX, VALUE_MAX) * FIXED_POINT).round() as i128
}

impl Pane {
    fn of(value: f64, worst: Sighting) -> Self {
        Self {
            count: 1,
            sum: fixed(value),
            least: value,
            greatest: value,
            worst,
        }
    }

    fn take_in(&mut self, side: Side, value: f64, sighting: impl FnOnce() -> Sighting) {
        self.count = self.count.saturating_add(1);
        self.sum += fixed(value);
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        let further = match side {
            Side::Above => value > self.worst.value,
            Side::Below => value < self.worst.value,
        };
        if further || value == self.worst.value {
            let sighting = sighting();
            if further || sighting.reading < self.worst.reading {
                self.worst = sighting;
            }
        }
    }

    fn put(&self, out: &mut impl Put) {
        out.put_u32(self.count);
        out.put(&self.sum.to_le_bytes());
        out.put_f64(self.least);
        out.put_f64(self.greatest);
        self.worst.put(out);
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let pane = Self {
            count: take.u32()?,
            sum: i128::from_le_bytes(take.array()?),
            least: take.f64()?,
            greatest: take.f64()?,
            worst: Sighting::take(take)?,
        };
        let most = fixed(VALUE_MAX) * i128::from(pane.count);
        let sound = pane.count > 0
            && pane.sum.unsigned_abs() <= most.unsigned_abs()
            && pane.least <= pane.greatest;
        if sound {
            Ok(pane)
        } else {
            Err(CodecError("a pane contradicts itself"))
        }
    }
}

impl<'a> Sum<'a> {
    fn of(panes: impl Iterator<Item = &'a Pane>) -> Self {
        let mut sum = Self {
            count: 0,
            sum: 0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            worst: Vec::new(),
        };
        for pane in panes {
            sum.count += u64::from(pane.count);
            sum.sum += pane.sum;
            sum.least = sum.least.min(pane.least);
            sum.greatest = sum.greatest.max(pane.greatest);
            sum.worst.push(&pane.worst);
        }
        sum
    }

    /// What is asked for; `None` if that is no number, or too little was said to know it.
    fn value(&self, rule: &Window) -> Option<f64> {
        let sum = self.sum as f64 / FIXED_POINT;
        let value = match rule.of {
            Aggregate::Count => return Some(self.count as f64),
            Aggregate::Sum => return Some(sum),
            Aggregate::Mean => sum / self.count as f64,
            Aggregate::Least => self.least,
            Aggregate::Greatest => self.greatest,
        };
        (self.count >= u64::from(rule.at_least.max(1))).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Level, Threshold};
    use crate::time::Millis;

    fn rule(of: Aggregate, side: Side, level: f64) -> Window {
        Window {
            of,
            length: Millis(40),
            step: Millis(10),
            lateness: Millis(5),
            at_least: 1,
            threshold: Threshold {
                side,
                levels: vec![Level {
                    severity: Severity::Moderate,
                    value: level,
                }],
                margin_percent: 0,
                clear_gap: 0.0,
                readings_min: 1,
                readings_among: None,
                lasting: Millis::ZERO,
                clear_readings_min: 1,
            },
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// Tells a rule readings as (received, observed, value), after a sensor's steps were shifted
    /// to begin with those of 1970; returns what it comes to until a time.
    fn told(rule: &Window, said: &[(i64, i64, f64)], until: i64) -> Vec<String> {
        let mut state = State::new(rule, "sensor");
        state.phase = 0;
        let mut told = Vec::new();
        let heard = Heard {
            silent: false,
            started_at: Timestamp::MIN,
        };
        let fire = |state: &mut State, to: i64, told: &mut Vec<String>| {
            while let Some(due) = state.due(rule).filter(|due| *due <= at(to)) {
                let ms = due.as_millis();
                match state.fire(rule, due, heard) {
                    Outcome::Raised(_, sightings) => {
                        let values = sightings.iter().map(|sighting| sighting.value.to_string());
                        let values = values.collect::<Vec<_>>().join(" ");
                        told.push(format!("{ms} raised by {values}"));
                    }
                    Outcome::Cleared => told.push(format!("{ms} cleared")),
                    _ => {}
                }
                assert!(state.panes.len() <= panes_max(rule));
            }
        };
        for (number, &(received, observed, value)) in (1..).zip(said) {
            fire(&mut state, received, &mut told);
            let sighting = |severity, excess| Sighting {
                reading: format!("r{observed}").parse().unwrap(),
                seq: number,
                at: at(received),
                value,
                severity,
                excess,
                position: None,
                shared: Default::default(),
            };
            let said = Said {
                signal: value,
                observed_at: at(observed),
                at: at(received),
            };
            if state.judge(rule, said, sighting) == Outcome::Late {
                told.push(format!("{received} late"));
            }
        }
        fire(&mut state, until, &mut told);
        told
    }

    #[test]
    fn a_mean_is_known_of_as_many_readings_as_the_rule_asks_for() {
        let wet = |at_least| Window {
            at_least,
            ..rule(Aggregate::Mean, Side::Above, 7.0)
        };
        // Heard for the first time, and once; then as often as it should be.
        let said = [
            (2, 2, 9.0),
            (101, 101, 9.0),
            (111, 111, 1.0),
            (121, 121, 14.0),
        ];
        assert_eq!(
            told(&wet(1), &said, 1_000),
            ["15 raised by 9", "125 cleared", "135 raised by 9 1 14"]
        );
        assert_eq!(told(&wet(3), &said, 1_000), ["135 raised by 9 1 14"]);
    }

    #[test]
    fn a_window_closes_by_itself_when_its_lateness_is_over() {
        let said = [(0, 0, 1.0), (12, 12, 2.0), (13, 13, 5.0)];
        let sum = told(&rule(Aggregate::Sum, Side::Above, 7.0), &said, 1_000);
        // Of the first ten, then of twenty; the first ten leave the window that ends at fifty.
        assert_eq!(sum, ["25 raised by 1 5", "55 cleared"]);
        let count = told(&rule(Aggregate::Count, Side::Above, 2.0), &said, 1_000);
        assert_eq!(count, ["25 raised by 1 5", "55 cleared"]);
        let mean = told(&rule(Aggregate::Mean, Side::Above, 3.0), &said, 1_000);
        // Nothing said is no mean: it stays as it is.
        assert_eq!(mean, ["55 raised by 5"]);
        let least = told(&rule(Aggregate::Least, Side::Above, 1.5), &said, 1_000);
        assert_eq!(least, ["55 raised by 5"]);
        let most = told(&rule(Aggregate::Greatest, Side::Above, 4.0), &said, 1_000);
        assert_eq!(most, ["25 raised by 1 5"]);
    }

    #[test]
    fn what_comes_within_the_lateness_counts_and_what_comes_later_does_not() {
        let sum = rule(Aggregate::Sum, Side::Above, 7.0);
        let within = [(0, 0, 1.0), (14, 9, 7.0)];
        assert_eq!(told(&sum, &within, 30), ["15 raised by 7"]);
        let later = [(0, 0, 1.0), (56, 9, 7.0)];
        assert_eq!(told(&sum, &later, 30), ["56 late"]);
        // Too late for the windows that are closed, not for the one that is open.
        let between = [(0, 0, 1.0), (46, 19, 8.0)];
        assert_eq!(told(&sum, &between, 90), ["55 raised by 8", "65 cleared"]);
    }

    #[test]
    fn what_is_missing_is_told_without_another_reading_and_not_of_the_time_before_the_first() {
        let few = rule(Aggregate::Count, Side::Below, 2.0);
        let said: Vec<_> = (0..8).map(|n| (20 + n * 10, 20 + n * 10, 1.0)).collect();
        assert_eq!(told(&few, &said, 500), ["135 raised by 1"]);
    }

    #[test]
    fn the_order_of_readings_does_not_matter() {
        let values = [0.1, 0.2, 0.3, 1e15, -1e15, 0.7];
        let said = |order: &[usize]| -> Vec<_> {
            let received = (20..).zip(order);
            received
                .map(|(received, &place)| (received, place as i64, values[place]))
                .collect()
        };
        let sum = rule(Aggregate::Sum, Side::Above, 1.2);
        let forth = told(&sum, &said(&[0, 1, 2, 3, 4, 5]), 500);
        assert_eq!(forth.len(), 2, "{forth:?}");
        for order in [[5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]] {
            let other = told(&sum, &said(&order), 500);
            assert_eq!(forth, other);
        }
    }
}
