//! What one rule knows of one sensor, whichever question it asks of its readings.
//!
//! Arrives: a rule's test, and what a reading says to it. Leaves: an [`Outcome`]. One arm for each
//! question, and nothing else. Next: `threshold.rs`, `rate.rs`, `becomes.rs`.

use super::threshold::{self, Outcome};
use super::{becomes, rate};
use crate::bundle::{DetectionRule, Sensor, Test};
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, Severity};
use crate::detection::{Detection, Sighting};
use crate::reading::Reading;
use crate::time::Timestamp;

/// What one rule knows of one sensor. Small, for a reading of a kind that many rules judge touches
/// all of theirs: what needs more is behind a pointer.
#[derive(Debug)]
pub(super) enum RuleState {
    Threshold(threshold::State),
    Rate(Box<rate::State>),
    Becomes(Box<becomes::State>),
    Report,
}

/// Two of them share a cache line.
const _: () = assert!(size_of::<RuleState>() <= 32);

/// What a rule hears of a reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// What the rule asks about: the value, or the place of a state in its lists.
    pub signal: f64,
    /// When it was observed, but not after it was received.
    pub observed_at: Timestamp,
    /// When it was received, in logical time.
    pub at: Timestamp,
}

/// What a reading says to a test: nothing, if it lacks the attribute that is asked for.
pub(super) fn signal(test: &Test, reading: &Reading<'_>) -> Option<f64> {
    match test {
        Test::Becomes(rule) => becomes::signal(rule, reading),
        Test::Threshold(_) | Test::Rate(_) | Test::Silence(_) | Test::Report(_) => {
            Some(reading.value)
        }
    }
}

impl RuleState {
    /// What a rule knows of a sensor that says nothing yet.
    pub fn new(test: &Test, sensor: Option<&Sensor>) -> Self {
        match test {
            Test::Threshold(rule) => Self::Threshold(threshold::State::new(rule, sensor)),
            Test::Rate(rule) => Self::Rate(Box::new(rate::State::new(rule))),
            Test::Becomes(rule) => Self::Becomes(Box::new(becomes::State::new(rule))),
            Test::Report(_) => Self::Report,
            Test::Silence(_) => unreachable!("silence judges no reading"),
        }
    }

    /// Judges a reading. `sighting` is made only if it may become evidence.
    pub fn judge(
        &mut self,
        test: &Test,
        sensor: Option<&Sensor>,
        said: Said,
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        let Said { signal, .. } = said;
        let times = (said.observed_at, said.at);
        match (test, self) {
            (Test::Threshold(rule), Self::Threshold(state)) => {
                state.judge(rule, sensor, signal, times, sighting)
            }
            (Test::Rate(rule), Self::Rate(state)) => state.judge(rule, signal, times, sighting),
            (Test::Becomes(rule), Self::Becomes(state)) => {
                state.judge(rule, signal, times, sighting)
            }
            (Test::Report(rule), Self::Report) => Outcome::Reported(sighting(rule.severity, 0.0)),
            _ => unreachable!("states are made for the rules they stand beside"),
        }
    }

    /// When its timer is due, if one runs.
    pub fn due(&self, test: &Test) -> Option<Timestamp> {
        match (test, self) {
            (Test::Threshold(rule), Self::Threshold(state)) => state.due(rule),
            (Test::Rate(rule), Self::Rate(state)) => state.due(rule),
            (Test::Becomes(rule), Self::Becomes(state)) => state.due(rule),
            _ => None,
        }
    }

    /// Its timer is due. Of a silent sensor nothing is known.
    pub fn fire(&mut self, test: &Test, due: Timestamp, silent: bool) -> Outcome {
        match (test, self) {
            (Test::Threshold(rule), Self::Threshold(state)) => state.fire(rule, due, silent),
            (Test::Rate(rule), Self::Rate(state)) => state.fire(rule, due, silent),
            (Test::Becomes(rule), Self::Becomes(state)) => state.fire(rule, due, silent),
            _ => unreachable!("only a state that waits has a timer"),
        }
    }

    /// Takes over a rule that means the same, and what may have changed of the sensor.
    pub fn refit(&mut self, test: &Test, sensor: Option<&Sensor>) {
        match (test, self) {
            (Test::Threshold(rule), Self::Threshold(state)) => state.refit(rule, sensor),
            (Test::Rate(rule), Self::Rate(state)) => state.refit(rule),
            (Test::Becomes(rule), Self::Becomes(state)) => state.refit(rule),
            _ => {}
        }
    }

    /// Lets what is observed by a clock that was set back be judged: nothing of it is late.
    pub fn set_clock_back(&mut self) {
        match self {
            Self::Threshold(state) => state.set_clock_back(),
            Self::Rate(state) => state.set_clock_back(),
            Self::Becomes(state) => state.set_clock_back(),
            Self::Report => {}
        }
    }

    /// Whether its detection is raised.
    pub fn is_raised(&self) -> bool {
        match self {
            Self::Threshold(state) => state.is_raised(),
            Self::Rate(state) => state.is_raised(),
            Self::Becomes(state) => state.is_raised(),
            Self::Report => false,
        }
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, test: &Test, out: &mut impl Put) {
        match (test, self) {
            (Test::Threshold(rule), Self::Threshold(state)) => state.put(rule, out),
            (Test::Rate(rule), Self::Rate(state)) => state.put(rule, out),
            (Test::Becomes(rule), Self::Becomes(state)) => state.put(rule, out),
            _ => {}
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(
        take: &mut Take<'_>,
        test: &Test,
        sensor: Option<&Sensor>,
    ) -> Result<Self, CodecError> {
        Ok(match test {
            Test::Threshold(rule) => Self::Threshold(threshold::State::take(take, rule, sensor)?),
            Test::Rate(rule) => Self::Rate(Box::new(rate::State::take(take, rule)?)),
            Test::Becomes(rule) => Self::Becomes(Box::new(becomes::State::take(take, rule)?)),
            Test::Report(_) => Self::Report,
            Test::Silence(_) => unreachable!("silence judges no reading"),
        })
    }
}

impl Outcome {
    /// What is found by it, if anything.
    pub fn into_detection(self, rule: &DetectionRule) -> Option<Detection> {
        let certainty = Certainty::Observed;
        Some(match self {
            Self::Unknown | Self::Normal | Self::Held | Self::Late => return None,
            Self::Pending | Self::Subsided => Detection::Stirred,
            Self::Raised(severity, sightings) => Detection::Raised {
                severity,
                certainty,
                sightings,
            },
            Self::Updated(severity, sighting) => Detection::Updated {
                severity,
                certainty,
                sighting,
            },
            Self::Worsened(severity) => Detection::Worsened(severity),
            Self::Cleared => Detection::Cleared,
            Self::Reported(sighting) => reported(rule, sighting),
        })
    }
}

/// Somebody reports something: evidence by itself, until it decays. Nothing that a source said
/// before makes what it says now more or less of a report. Who said it twice is the duplicates'
/// question, how many agree the correlation's.
fn reported(rule: &DetectionRule, sighting: Sighting) -> Detection {
    let Test::Report(report) = &rule.test else {
        unreachable!("only reports are evidence by themselves");
    };
    Detection::Reported {
        severity: report.severity,
        certainty: report.certainty,
        until: sighting.at + report.lasting,
        sighting,
    }
}
