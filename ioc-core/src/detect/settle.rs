//! A sensor's readings, put in order before a rule judges them.
//!
//! Arrives: readings in any order. Leaves: what the rule makes of them, in the order in which they
//! were observed. Promise: readings that come before their time of observation and the rule's
//! `settle` are over give the same findings at the same times in whatever order they come; each is
//! judged at exactly that time, by a timer. One that comes later is judged at once, and is late if
//! a newer one was. Next: `silence.rs`.

use std::collections::BTreeMap;

use super::rule_state::{Heard, RuleState, Said};
use super::threshold::Outcome;
use crate::bundle::{DetectionRule, Sensor};
use crate::codec::{CodecError, Put, Take};
use crate::decision::Severity;
use crate::detection::Sighting;
use crate::id::ReadingId;
use crate::limits::SETTLING_READINGS_MAX;
use crate::time::Timestamp;

/// What one rule knows of one sensor, and the readings that it does not know yet.
#[derive(Debug)]
pub(super) struct State {
    /// By when they were observed; those of one instant by their ids.
    waiting: BTreeMap<(Timestamp, ReadingId), Waiting>,
    pub state: RuleState,
}

#[derive(Debug)]
struct Waiting {
    signal: f64,
    sighting: Sighting,
}

impl State {
    pub fn new(state: RuleState) -> Self {
        Self {
            waiting: BTreeMap::new(),
            state,
        }
    }

    /// Lets a reading wait, or judges it if its time is over. Beyond the bound the first is judged
    /// before its time.
    pub fn judge(
        &mut self,
        rule: &DetectionRule,
        sensor: Option<&Sensor>,
        said: Said,
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        if said.observed_at + rule.settle <= said.at {
            return self.state.judge(rule, sensor, said, sighting);
        }
        let sighting = sighting(Severity::Unknown, 0.0);
        let place = (said.observed_at, sighting.reading.clone());
        let signal = said.signal;
        self.waiting.insert(place, Waiting { signal, sighting });
        if self.waiting.len() > SETTLING_READINGS_MAX {
            return self.release(rule, sensor, said.at);
        }
        Outcome::Gathered
    }

    /// When that was observed which is judged by a reading, if any is.
    pub fn judges(&self, rule: &DetectionRule, said: Said) -> Option<Timestamp> {
        if said.observed_at + rule.settle <= said.at {
            return Some(said.observed_at);
        }
        let is_full = self.waiting.len() == SETTLING_READINGS_MAX;
        let first = self.first().filter(|_| is_full);
        first.map(|first| first.min(said.observed_at))
    }

    /// The same of what is judged when the timer is due, unless it is the state's own.
    pub fn fires(&self, rule: &DetectionRule, due: Timestamp) -> Option<Timestamp> {
        let is_own = self.state.due(rule).is_some_and(|own| own <= due);
        self.first().filter(|_| !is_own)
    }

    /// When the first that waits was observed.
    fn first(&self) -> Option<Timestamp> {
        let first = self.waiting.keys().next();
        first.map(|(observed_at, _)| *observed_at)
    }

    pub fn due(&self, rule: &DetectionRule) -> Option<Timestamp> {
        let settled = self.first().map(|observed_at| observed_at + rule.settle);
        settled.into_iter().chain(self.state.due(rule)).min()
    }

    /// The timer is due: the state's own, or the first reading's. If more are due at the same time,
    /// it is due again.
    pub fn fire(
        &mut self,
        rule: &DetectionRule,
        sensor: Option<&Sensor>,
        due: Timestamp,
        heard: Heard,
    ) -> Outcome {
        if self.state.due(rule).is_some_and(|own| own <= due) {
            return self.state.fire(rule, sensor, due, heard);
        }
        self.release(rule, sensor, due)
    }

    /// Judges the first that waits.
    fn release(&mut self, rule: &DetectionRule, sensor: Option<&Sensor>, at: Timestamp) -> Outcome {
        let first = self.waiting.pop_first();
        let ((observed_at, _), waiting) = first.expect("one waits");
        let Waiting { signal, sighting } = waiting;
        let said = Said {
            signal,
            observed_at,
            at,
        };
        let judged = |severity, excess| Sighting {
            severity,
            excess,
            at,
            ..sighting
        };
        self.state.judge(rule, sensor, said, judged)
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, rule: &DetectionRule, out: &mut impl Put) {
        out.put_u8(self.waiting.len() as u8);
        for ((observed_at, _), waiting) in &self.waiting {
            out.put_time(*observed_at);
            out.put_f64(waiting.signal);
            waiting.sighting.put(out);
        }
        self.state.put(rule, out);
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(
        take: &mut Take<'_>,
        new: impl FnOnce(&mut Take<'_>) -> Result<RuleState, CodecError>,
    ) -> Result<Self, CodecError> {
        let count = usize::from(take.u8()?);
        if count > SETTLING_READINGS_MAX {
            return Err(CodecError("more readings than wait"));
        }
        let waiting = take.each(count, |take| {
            let observed_at = take.time()?;
            let signal = take.f64()?;
            let sighting = Sighting::take(take)?;
            let place = (observed_at, sighting.reading.clone());
            Ok((place, Waiting { signal, sighting }))
        })?;
        if !waiting.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(CodecError("readings do not wait in order"));
        }
        Ok(Self {
            waiting: waiting.into_iter().collect(),
            state: new(take)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Level, Side, Test, Threshold};
    use crate::time::Millis;

    fn rule() -> DetectionRule {
        DetectionRule {
            name: "high".parse().unwrap(),
            hash: 0,
            kind: "level".parse().unwrap(),
            matching: Vec::new(),
            settle: Millis(100),
            test: Test::Threshold(Threshold {
                side: Side::Above,
                levels: vec![Level {
                    severity: Severity::Moderate,
                    value: 3.0,
                }],
                margin_percent: 0,
                clear_gap: 0.0,
                readings_min: 2,
                readings_among: None,
                lasting: Millis::ZERO,
                clear_readings_min: 1,
            }),
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    const HEARD: Heard = Heard {
        silent: false,
        started_at: Timestamp::MIN,
    };

    /// Lets a state hear (received, observed, value).
    fn hear(
        state: &mut RuleState,
        rule: &DetectionRule,
        (received, observed, value): (i64, i64, f64),
    ) -> Outcome {
        let said = Said {
            signal: value,
            observed_at: at(observed),
            at: at(received),
        };
        let sighting = |severity, excess| Sighting {
            reading: format!("r{observed}").parse().unwrap(),
            seq: 0,
            at: at(received),
            value,
            severity,
            excess,
            position: None,
            shared: Default::default(),
        };
        state.judge(rule, None, said, sighting)
    }

    #[test]
    fn readings_are_judged_in_order_when_their_time_is_over() {
        let rule = rule();
        let mut state = RuleState::new(&rule, "gauge", None);
        // In a row only if they are put in order.
        for said in [(20, 20, 3.5), (50, 40, 1.0), (51, 30, 3.6)] {
            assert_eq!(hear(&mut state, &rule, said), Outcome::Gathered);
        }
        let mut told = Vec::new();
        while let Some(due) = state.due(&rule) {
            told.push((due.as_millis(), state.fire(&rule, None, due, HEARD)));
        }
        let words: Vec<_> = told
            .iter()
            .map(|(due, outcome)| match outcome {
                Outcome::Raised(_, sightings) => format!("{due} raised by {}", sightings.len()),
                other => format!("{due} {other:?}"),
            })
            .collect();
        assert_eq!(words, ["120 Pending", "130 raised by 2", "140 Cleared"]);
    }

    #[test]
    fn a_reading_whose_time_is_over_is_judged_at_once_and_is_late_after_a_newer_one() {
        let rule = rule();
        let mut state = RuleState::new(&rule, "gauge", None);
        let first = hear(&mut state, &rule, (200, 100, 3.5));
        assert_eq!(first, Outcome::Pending);
        assert_eq!(hear(&mut state, &rule, (201, 99, 3.5)), Outcome::Late);
        assert_eq!(state.due(&rule), None);
    }

    #[test]
    fn more_readings_than_wait_are_judged_before_their_time() {
        let rule = rule();
        let mut state = RuleState::new(&rule, "gauge", None);
        for number in 0..SETTLING_READINGS_MAX as i64 {
            let said = (64, number, 1.0);
            assert_eq!(hear(&mut state, &rule, said), Outcome::Gathered);
        }
        assert_eq!(state.due(&rule), Some(at(100)));
        assert_eq!(hear(&mut state, &rule, (64, 64, 1.0)), Outcome::Normal);
        assert_eq!(state.due(&rule), Some(at(101)));
    }
}
