//! What one rule knows of one sensor, whichever question it asks of its readings.
//!
//! Arrives: a rule's test, and what a reading says to it. Leaves: an [`Outcome`]. One arm for each
//! question, and nothing else. Next: `threshold.rs`, `rate.rs`, `usual.rs`, `window.rs`, `becomes.rs`,
//! `settle.rs`.

use super::threshold::{self, Outcome};
use super::{becomes, rate, settle, usual, window};
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
    Usual(Box<usual::State>),
    Becomes(Box<becomes::State>),
    Window(Box<window::State>),
    Report,
    /// Any of them but windows and reports, whose readings are put in order first.
    Settled(Box<settle::State>),
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
        Test::Threshold(_)
        | Test::Rate(_)
        | Test::Usual(_)
        | Test::Window(_)
        | Test::Silence(_)
        | Test::Fault(_)
        | Test::SiteSilence(_)
        | Test::Across(_)
        | Test::Alone(_)
        | Test::Sequence(_)
        | Test::Report(_) => Some(reading.value),
    }
}

/// What is known when a timer fires.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    /// The sensor is silent: of it nothing is known.
    pub silent: bool,
    /// The last start: nobody could be heard before it.
    pub started_at: Timestamp,
}

impl RuleState {
    /// What a rule knows of a sensor that says nothing yet.
    pub fn new(rule: &DetectionRule, name: &str, sensor: Option<&Sensor>) -> Self {
        let state = match &rule.test {
            Test::Threshold(rule) => Self::Threshold(threshold::State::new(rule, sensor)),
            Test::Rate(rule) => Self::Rate(Box::new(rate::State::new(rule))),
            Test::Usual(rule) => Self::Usual(Box::new(usual::State::new(rule))),
            Test::Becomes(rule) => Self::Becomes(Box::new(becomes::State::new(rule))),
            Test::Window(rule) => Self::Window(Box::new(window::State::new(rule, name))),
            Test::Report(_) => Self::Report,
            Test::Silence(_)
            | Test::Fault(_)
            | Test::SiteSilence(_)
            | Test::Across(_)
            | Test::Alone(_)
            | Test::Sequence(_) => {
                unreachable!("they judge no level of a reading")
            }
        };
        if settles(rule) {
            Self::Settled(Box::new(settle::State::new(state)))
        } else {
            state
        }
    }

    /// Judges a reading. `sighting` is made only if it may become evidence.
    pub fn judge(
        &mut self,
        rule: &DetectionRule,
        sensor: Option<&Sensor>,
        said: Said,
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        let outcome = self.judge_said(rule, sensor, said, sighting);
        // That holds for this reading, whether it has been asked for or not.
        self.hears_after_silence(false);
        outcome
    }

    fn judge_said(
        &mut self,
        rule: &DetectionRule,
        sensor: Option<&Sensor>,
        said: Said,
        sighting: impl FnOnce(Severity, f64) -> Sighting,
    ) -> Outcome {
        let Said { signal, .. } = said;
        let times = (said.observed_at, said.at);
        match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.judge(rule, sensor, said, sighting),
            (Test::Threshold(rule), Self::Threshold(state)) => {
                state.judge(rule, sensor, signal, times, sighting)
            }
            (Test::Rate(rule), Self::Rate(state)) => state.judge(rule, signal, times, sighting),
            (Test::Usual(rule), Self::Usual(state)) => state.judge(rule, signal, times, sighting),
            (Test::Becomes(rule), Self::Becomes(state)) => {
                state.judge(rule, signal, times, sighting)
            }
            (Test::Window(rule), Self::Window(state)) => state.judge(rule, said, sighting),
            (Test::Report(rule), Self::Report) => Outcome::Reported(sighting(rule.severity, 0.0)),
            _ => unreachable!("states are made for the rules they stand beside"),
        }
    }

    /// When its timer is due, if one runs.
    pub fn due(&self, rule: &DetectionRule) -> Option<Timestamp> {
        match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.due(rule),
            (Test::Threshold(rule), Self::Threshold(state)) => state.due(rule),
            (Test::Rate(rule), Self::Rate(state)) => state.due(rule),
            (Test::Usual(rule), Self::Usual(state)) => state.due(rule),
            (Test::Becomes(rule), Self::Becomes(state)) => state.due(rule),
            (Test::Window(rule), Self::Window(state)) => state.due(rule),
            _ => None,
        }
    }

    /// Its timer is due. One that is due at the same time again has more to tell.
    pub fn fire(
        &mut self,
        rule: &DetectionRule,
        sensor: Option<&Sensor>,
        due: Timestamp,
        heard: Heard,
    ) -> Outcome {
        let Heard { silent, .. } = heard;
        match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.fire(rule, sensor, due, heard),
            (Test::Threshold(rule), Self::Threshold(state)) => state.fire(rule, due, silent),
            (Test::Rate(rule), Self::Rate(state)) => state.fire(rule, due, silent),
            (Test::Usual(rule), Self::Usual(state)) => state.fire(rule, due, silent),
            (Test::Becomes(rule), Self::Becomes(state)) => state.fire(rule, due, silent),
            (Test::Window(rule), Self::Window(state)) => state.fire(rule, due, heard),
            _ => unreachable!("only a state that waits has a timer"),
        }
    }

    /// When the last that it has judged was observed, and when what it judges by this reading was; nothing
    /// where it is normal and stays so, as for nearly all readings.
    pub fn judges_between(
        &self,
        rule: &DetectionRule,
        said: Said,
    ) -> Option<(Timestamp, Timestamp)> {
        let observed_at = match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.judges(rule, said)?,
            (Test::Threshold(rule), Self::Threshold(state))
                if !state.is_abnormal() && !state.would_exceed(rule, said.signal) =>
            {
                return None;
            }
            _ => said.observed_at,
        };
        Some((self.observed_to()?, observed_at))
    }

    /// The same of what is put in order first and judged when its timer is due.
    pub fn fires_between(
        &self,
        rule: &DetectionRule,
        due: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Settled(settled) => Some((self.observed_to()?, settled.fires(rule, due)?)),
            _ => None,
        }
    }

    /// Whether what it judges next is the first after its sensor was silent: by that alone nothing
    /// has persisted. Windows are asked of times, and reports of none.
    pub fn hears_after_silence(&mut self, so: bool) {
        match self {
            Self::Threshold(state) => state.hears_after_silence(so),
            Self::Rate(state) => state.hears_after_silence(so),
            Self::Usual(state) => state.hears_after_silence(so),
            Self::Becomes(state) => state.hears_after_silence(so),
            Self::Settled(settled) => settled.state.hears_after_silence(so),
            Self::Window(_) | Self::Report => {}
        }
    }

    /// Whether what it judges next is of a sensor that is not to be trusted: what is usual is not
    /// learnt by that. All else goes on, so that it counts when the sensor is trusted again.
    pub fn hears_in_doubt(&mut self, so: bool) {
        match self {
            Self::Usual(state) => state.hears_in_doubt(so),
            Self::Settled(settled) => settled.state.hears_in_doubt(so),
            Self::Threshold(_)
            | Self::Rate(_)
            | Self::Becomes(_)
            | Self::Window(_)
            | Self::Report => {}
        }
    }

    /// Takes over a rule that means the same, and what may have changed of the sensor.
    pub fn refit(&mut self, test: &Test, sensor: Option<&Sensor>) {
        match (test, self) {
            (_, Self::Settled(settled)) => settled.state.refit(test, sensor),
            (Test::Threshold(rule), Self::Threshold(state)) => state.refit(rule, sensor),
            (Test::Rate(rule), Self::Rate(state)) => state.refit(rule),
            (Test::Usual(rule), Self::Usual(state)) => state.refit(rule),
            (Test::Becomes(rule), Self::Becomes(state)) => state.refit(rule),
            (Test::Window(rule), Self::Window(state)) => state.refit(rule),
            _ => {}
        }
    }

    /// Lets what is observed by a clock that was set back be judged: nothing of it is late. What is
    /// told by time alone, windows, takes the times as they are.
    pub fn set_clock_back(&mut self) {
        match self {
            Self::Threshold(state) => state.set_clock_back(),
            Self::Rate(state) => state.set_clock_back(),
            Self::Usual(state) => state.set_clock_back(),
            Self::Becomes(state) => state.set_clock_back(),
            Self::Settled(settled) => settled.state.set_clock_back(),
            Self::Window(_) | Self::Report => {}
        }
    }

    /// Whether a reading of this time would be late.
    pub fn is_late(&self, observed_at: Timestamp) -> bool {
        self.observed_to().is_some_and(|to| observed_at < to)
    }

    /// When the latest that it has judged was observed, if order means something to it.
    pub fn observed_to(&self) -> Option<Timestamp> {
        let observed_to = match self {
            Self::Threshold(state) => state.observed_to(),
            Self::Rate(state) => state.observed_to(),
            Self::Usual(state) => state.observed_to(),
            Self::Becomes(state) => state.observed_to(),
            Self::Settled(settled) => return settled.state.observed_to(),
            Self::Window(_) | Self::Report => return None,
        };
        Some(observed_to).filter(|at| *at > Timestamp::MIN)
    }

    /// Whether its detection is raised.
    pub fn is_raised(&self) -> bool {
        self.raised().is_some()
    }

    /// How grave its detection is, if it is raised.
    pub fn raised(&self) -> Option<Severity> {
        match self {
            Self::Threshold(state) => state.raised(),
            Self::Rate(state) => state.raised(),
            Self::Usual(state) => state.raised(),
            Self::Becomes(state) => state.raised(),
            Self::Window(state) => state.raised(),
            Self::Settled(settled) => settled.state.raised(),
            Self::Report => None,
        }
    }

    /// Takes over what a rule that meant something else had raised, by this time, of a sensor that
    /// nobody hears. Returns whether it can: reports are of their own moment.
    pub fn stay_raised(&mut self, test: &Test, severity: Severity, now: Timestamp) -> bool {
        match (test, self) {
            (_, Self::Settled(settled)) => return settled.state.stay_raised(test, severity, now),
            (Test::Threshold(rule), Self::Threshold(state)) => state.stay_raised(rule, severity),
            (Test::Rate(rule), Self::Rate(state)) => state.stay_raised(rule, severity),
            (Test::Usual(rule), Self::Usual(state)) => state.stay_raised(rule, severity),
            (Test::Becomes(rule), Self::Becomes(state)) => state.stay_raised(rule, severity),
            (Test::Window(rule), Self::Window(state)) => state.stay_raised(rule, severity, now),
            _ => return false,
        }
        true
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, rule: &DetectionRule, out: &mut impl Put) {
        match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.put(rule, out),
            (Test::Threshold(rule), Self::Threshold(state)) => state.put(rule, out),
            (Test::Rate(rule), Self::Rate(state)) => state.put(rule, out),
            (Test::Usual(rule), Self::Usual(state)) => state.put(rule, out),
            (Test::Becomes(rule), Self::Becomes(state)) => state.put(rule, out),
            (Test::Window(rule), Self::Window(state)) => state.put(rule, out),
            _ => {}
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(
        take: &mut Take<'_>,
        rule: &DetectionRule,
        name: &str,
        sensor: Option<&Sensor>,
    ) -> Result<Self, CodecError> {
        let own = |take: &mut Take<'_>| Self::take_own(take, &rule.test, name, sensor);
        if settles(rule) {
            let settled = settle::State::take(take, own)?;
            return Ok(Self::Settled(Box::new(settled)));
        }
        own(take)
    }

    fn take_own(
        take: &mut Take<'_>,
        test: &Test,
        name: &str,
        sensor: Option<&Sensor>,
    ) -> Result<Self, CodecError> {
        Ok(match test {
            Test::Threshold(rule) => Self::Threshold(threshold::State::take(take, rule, sensor)?),
            Test::Rate(rule) => Self::Rate(Box::new(rate::State::take(take, rule)?)),
            Test::Usual(rule) => Self::Usual(Box::new(usual::State::take(take, rule)?)),
            Test::Becomes(rule) => Self::Becomes(Box::new(becomes::State::take(take, rule)?)),
            Test::Window(rule) => Self::Window(Box::new(window::State::take(take, rule, name)?)),
            Test::Report(_) => Self::Report,
            Test::Silence(_)
            | Test::Fault(_)
            | Test::SiteSilence(_)
            | Test::Across(_)
            | Test::Alone(_)
            | Test::Sequence(_) => {
                unreachable!("they judge no level of a reading")
            }
        })
    }
}

/// Whether a rule's readings are put in order first.
fn settles(rule: &DetectionRule) -> bool {
    rule.settle.0 > 0 && !matches!(rule.test, Test::Window(_) | Test::Report(_))
}

impl Outcome {
    /// What is found by it, if anything.
    pub fn into_detection(self, rule: &DetectionRule) -> Option<Detection> {
        let certainty = Certainty::Observed;
        Some(match self {
            Self::Gathered | Self::Unknown | Self::Normal | Self::Held | Self::Late => return None,
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
            Self::Eased(severity) => Detection::Eased(severity),
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
        replaces: None,
    }
}
