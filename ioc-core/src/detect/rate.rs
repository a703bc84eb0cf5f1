//! Does the value rise or fall too fast? Robust against one spike.
//!
//! Arrives: one sensor's readings, in the order they were received. Leaves: how much the value
//! changes over the rule's time, which levels, hysteresis and persistence are then asked of
//! (`threshold.rs`). It is the median over all pairs of recent readings of how much each pair says
//! (Theil and Sen): no fewer than four readings tell, so that a wrong one is outvoted. Times are
//! those of observation, so that a backlog that comes at once does not look like a wave. Next:
//! `becomes.rs`.

use crate::bundle::{Direction, Rate};
use crate::codec::{CodecError, Put, Take};
use crate::decision::Severity;
use crate::detect::threshold::{self, Outcome};
use crate::detection::Sighting;
use crate::explain::LevelsLook;
use crate::limits::{RATE_READINGS_MAX, RATE_READINGS_MIN, RATE_STRETCH_MAX};
use crate::time::{Millis, Timestamp};

/// What one rate rule knows of one sensor.
#[derive(Debug)]
pub(super) struct State {
    /// Recent readings by the times at which they were observed, the newest last.
    points: Vec<Point>,
    change: threshold::State,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    observed_at: Timestamp,
    value: f64,
}

impl State {
    pub fn new(rule: &Rate) -> Self {
        Self {
            points: Vec::new(),
            change: threshold::State::new(&rule.threshold, None),
        }
    }

    /// Takes over a rule that means the same.
    pub fn refit(&mut self, rule: &Rate) {
        self.change.refit(&rule.threshold, None);
    }

    /// Forgets what was observed by a clock that has been set back since.
    pub fn set_clock_back(&mut self) {
        self.points.clear();
        self.change.set_clock_back();
    }

    /// When the latest that was judged was observed.
    pub fn observed_to(&self) -> Timestamp {
        self.change.observed_to()
    }

    /// How grave it is, if it is raised.
    pub fn raised(&self) -> Option<Severity> {
        self.change.raised()
    }

    /// Takes over what another rule had raised of a sensor that nobody hears.
    pub fn stay_raised(&mut self, rule: &Rate, severity: Severity) {
        self.change.stay_raised(&rule.threshold, severity);
    }

    /// Whether what it judges next is the first after its sensor was silent.
    pub fn hears_after_silence(&mut self, so: bool) {
        self.change.hears_after_silence(so);
    }

    /// Judges one reading.
    pub fn judge(
        &mut self,
        rule: &Rate,
        value: f64,
        (observed_at, at): (Timestamp, Timestamp),
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        if self.change.is_late(observed_at) {
            // Its place among the others is past; what is raised takes it as evidence.
            let change = self.change(rule).unwrap_or(0.0);
            let times = (observed_at, at);
            return self
                .change
                .judge(&rule.threshold, None, change, times, sighting);
        }
        self.note(rule, Point { observed_at, value });
        match self.change(rule) {
            Some(change) => {
                let times = (observed_at, at);
                self.change
                    .judge(&rule.threshold, None, change, times, sighting)
            }
            None => {
                self.change.hear(observed_at);
                Outcome::Unknown
            }
        }
    }

    pub fn due(&self, rule: &Rate) -> Option<Timestamp> {
        self.change.due(&rule.threshold)
    }

    pub fn fire(&mut self, rule: &Rate, due: Timestamp, silent: bool) -> Outcome {
        self.change.fire(&rule.threshold, due, silent)
    }

    /// Remembers a reading. The newest is always there; the others are a part of the rule's time
    /// from each other, so that few of them cover it, however many come.
    fn note(&mut self, rule: &Rate, point: Point) {
        if let [.., before, last] = self.points[..]
            && last.observed_at - before.observed_at < apart(rule)
        {
            self.points.pop();
        }
        if self.points.len() == RATE_READINGS_MAX {
            self.points.remove(0);
        }
        if self.points.is_empty() {
            self.points.reserve_exact(RATE_READINGS_MAX);
        }
        self.points.push(point);
        let oldest = point.observed_at - stretch(rule);
        self.points.retain(|point| point.observed_at >= oldest);
    }

    /// How it stands to the levels, for whoever asks why.
    pub fn look(&self, rule: &Rate) -> LevelsLook {
        self.change.look(&rule.threshold, None, self.change(rule))
    }

    /// How much the value changes over the rule's time, in its direction; `None` while there are
    /// too few readings to tell, or they cover too little of the time.
    fn change(&self, rule: &Rate) -> Option<f64> {
        let last = self.points.last()?;
        let begin = last.observed_at - rule.over;
        let within = self
            .points
            .partition_point(|point| point.observed_at < begin);
        // A sensor that reports seldom is asked by its last few readings, though they go back
        // further.
        let enough = self.points.len().checked_sub(RATE_READINGS_MIN)?;
        let points = &self.points[within.min(enough)..];
        let covered = last.observed_at - points[0].observed_at;
        if covered.0 * 2 < rule.over.0 {
            return None;
        }
        // Two values at both ends of all numbers are further apart than any number.
        let change = median_change(points, rule.over).clamp(-f64::MAX, f64::MAX);
        Some(match rule.direction {
            Direction::Rises => change,
            Direction::Falls => -change,
        })
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, rule: &Rate, out: &mut impl Put) {
        self.change.put(&rule.threshold, out);
        out.put_u8(self.points.len() as u8);
        for point in &self.points {
            out.put_time(point.observed_at);
            out.put_f64(point.value);
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(take: &mut Take<'_>, rule: &Rate) -> Result<Self, CodecError> {
        let change = threshold::State::take(take, &rule.threshold, None)?;
        let count = usize::from(take.u8()?);
        if count > RATE_READINGS_MAX {
            return Err(CodecError("more readings than a rate is told by"));
        }
        let points = take.each(count, |take| {
            let point = Point {
                observed_at: take.time()?,
                value: take.f64()?,
            };
            Ok(point)
        })?;
        let in_order = points.is_sorted_by_key(|point| point.observed_at);
        if !in_order || points.iter().any(|point| !point.value.is_finite()) {
            return Err(CodecError("readings of a rate are not in order"));
        }
        Ok(Self { points, change })
    }
}

/// How far remembered readings are from each other, at least.
fn apart(rule: &Rate) -> Millis {
    // Two fewer than are remembered: the newest, and one before the time begins.
    Millis(rule.over.0 / (RATE_READINGS_MAX as i64 - 2))
}

/// How far back readings are of use at all.
fn stretch(rule: &Rate) -> Millis {
    Millis(rule.over.0.saturating_mul(RATE_STRETCH_MAX))
}

/// The median of how much each pair of points says that the value changes over a time. Of an even
/// number of pairs the one nearer to no change, for what is half believed is not believed.
fn median_change(points: &[Point], over: Millis) -> f64 {
    let mut changes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (place, later) in points.iter().enumerate() {
        for earlier in &points[..place] {
            let apart = later.observed_at - earlier.observed_at;
            // Two of one instant say nothing.
            if apart.0 > 0 {
                // A time of at most some weeks is exact as a number.
                let part = over.0 as f64 / apart.0 as f64;
                changes.push((later.value - earlier.value) * part);
            }
        }
    }
    let pairs = changes.len();
    if pairs == 0 {
        return 0.0;
    }
    let (below, &mut upper, _) = changes.select_nth_unstable_by(pairs / 2, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp);
    match lower.filter(|_| pairs.is_multiple_of(2)) {
        Some(lower) if lower.abs() < upper.abs() => lower,
        Some(_) | None => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Level, Side, Threshold};

    fn rule(direction: Direction) -> Rate {
        Rate {
            direction,
            over: Millis::minutes(15),
            threshold: Threshold {
                side: Side::Above,
                levels: vec![Level {
                    severity: Severity::Severe,
                    value: 0.5,
                }],
                margin_percent: 0,
                clear_gap: 0.3,
                readings_min: 1,
                readings_among: None,
                lasting: Millis::ZERO,
                clear_readings_min: 1,
            },
        }
    }

    /// Asks a rule about one value a minute; tells the minutes in which it was raised and cleared.
    fn told(rule: &Rate, minutes: i64, value: impl Fn(i64) -> f64) -> Vec<String> {
        let mut state = State::new(rule);
        let mut told = Vec::new();
        for minute in 0..minutes {
            let at = Timestamp::from_millis(minute * 60_000);
            let value = value(minute);
            let sighting = |severity, excess| Sighting {
                reading: minute.to_string().parse().unwrap(),
                seq: 0,
                at,
                value,
                severity,
                excess,
                position: None,
                shared: Default::default(),
            };
            match state.judge(rule, value, (at, at), sighting) {
                Outcome::Raised(..) => told.push(format!("{minute} raised")),
                Outcome::Cleared => told.push(format!("{minute} cleared")),
                _ => {}
            }
            assert!(state.points.len() <= RATE_READINGS_MAX);
        }
        told
    }

    /// Flat, then up by 12 cm a minute for twenty minutes, then flat.
    fn wave(minute: i64) -> f64 {
        1.0 + (minute - 30).clamp(0, 20) as f64 * 0.12
    }

    #[test]
    fn a_rise_is_told_and_ends_when_it_is_flat_again() {
        let told = told(&rule(Direction::Rises), 90, wave);
        assert_eq!(told, ["36 raised", "60 cleared"]);
    }

    #[test]
    fn a_fall_mirrors_a_rise() {
        let falls = told(&rule(Direction::Falls), 90, |minute| 9.0 - wave(minute));
        assert_eq!(falls, ["36 raised", "60 cleared"]);
        assert!(told(&rule(Direction::Falls), 90, wave).is_empty());
    }

    #[test]
    fn one_spike_changes_nothing_and_two_in_a_row_do_not_either() {
        let spikes = |minute| if minute % 20 < 2 { 99.0 } else { 1.0 };
        assert!(told(&rule(Direction::Rises), 90, spikes).is_empty());
        assert!(told(&rule(Direction::Falls), 90, spikes).is_empty());
    }

    #[test]
    fn too_few_readings_or_too_little_time_tell_nothing() {
        let steep = |minute| minute as f64;
        assert!(told(&rule(Direction::Rises), 8, steep).is_empty());
        assert_eq!(told(&rule(Direction::Rises), 9, steep), ["8 raised"]);
    }

    #[test]
    fn more_readings_than_are_remembered_cover_the_whole_time() {
        let rule = rule(Direction::Rises);
        let mut state = State::new(&rule);
        for second in 0..3_600 {
            let observed_at = Timestamp::from_millis(second * 1_000);
            let value = second as f64 / 900.0;
            state.note(&rule, Point { observed_at, value });
        }
        assert_eq!(state.points.len(), RATE_READINGS_MAX);
        let newest = state.points[RATE_READINGS_MAX - 1].observed_at;
        assert_eq!(newest, Timestamp::from_millis(3_599_000));
        assert!(newest - state.points[1].observed_at >= Millis::minutes(14));
        let change = state.change(&rule).unwrap();
        assert!((change - 1.0).abs() < 1e-9, "{change}");
    }

    #[test]
    fn a_sensor_that_reports_seldom_is_asked_by_its_last_four() {
        let rule = rule(Direction::Rises);
        let mut state = State::new(&rule);
        let mut raised = Vec::new();
        for (number, value) in [1.0, 1.0, 1.0, 1.7, 2.4, 3.1].into_iter().enumerate() {
            let at = Timestamp::from_millis(number as i64 * 900_000);
            state.note(
                &rule,
                Point {
                    observed_at: at,
                    value,
                },
            );
            raised.push(state.change(&rule).is_some_and(|change| change > 0.5));
        }
        assert_eq!(raised, [false, false, false, false, false, true]);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_one_nearer_to_no_change() {
        let points = |values: &[f64]| {
            let point = |(minute, value): (i64, &f64)| Point {
                observed_at: Timestamp::from_millis(minute * 60_000),
                value: *value,
            };
            (0..).zip(values).map(point).collect::<Vec<_>>()
        };
        let minute = Millis::minutes(1);
        assert_eq!(median_change(&points(&[0.0, 0.0, 0.0, 9.0]), minute), 0.0);
        assert_eq!(median_change(&points(&[0.0, 1.0, 2.0, 3.0]), minute), 1.0);
        assert_eq!(median_change(&points(&[3.0, 2.0, 1.0, 0.0]), minute), -1.0);
        assert_eq!(median_change(&points(&[1.0]), minute), 0.0);
    }
}
