//! What the rules of a reading's kind know of its sensor, for whoever asks why.
//!
//! Next: `threshold/explain.rs`.

use super::SensorStage;
use super::rule_state::{self, RuleState};
use crate::bundle::{DetectionRule, Sensor, Test};
use crate::explain::{LevelsLook, RuleLook, StateLook};
use crate::id::{RuleId, SensorId};
use crate::reading::Reading;
use crate::time::Timestamp;

impl SensorStage {
    /// A look at each rule of the reading's kind; empty if its sensor or kind is not known here.
    pub(crate) fn looks_of(&self, reading: &Reading<'_>) -> Vec<RuleLook> {
        let Some(&number) = self.numbers.get(reading.sensor) else {
            return Vec::new();
        };
        let sensor = &self.sensors[number as usize];
        let own_rules = self.rules_of(number as usize);
        let kind = own_rules.kind_number(reading.kind);
        let mut tracks = sensor.tracks.iter();
        let Some(track) = tracks.find(|track| Some(track.kind) == kind) else {
            return Vec::new();
        };
        let registered = sensor.registered.map(|number| own_rules.sensor(number));
        let rules = own_rules.kind(track.kind).judging.iter();
        let states = rules.zip(&track.states);
        let across = own_rules.kind(track.kind).across.iter();
        let across = across.map(|&rule| own_rules.detection(rule));
        let across = across.filter(|rule| matches!(rule.test, Test::Across(_)));
        let across = across.map(|rule| {
            let distrusted_by = track.distrusted_by(own_rules, &rule.name);
            self.look_of(rule, distrusted_by)
        });
        states
            .map(|(&rule, state)| {
                let rule = own_rules.detection(rule);
                let signal = rule_state::signal(&rule.test, reading);
                RuleLook {
                    levels: signal.and_then(|signal| state.levels(rule, registered, signal)),
                    waits_until: state.waits_until(rule),
                    state: state.said(rule, reading),
                    learnt: state.learnt(rule, reading.observed_at),
                    ..self.look_of(rule, track.distrusted_by(own_rules, &rule.name))
                }
            })
            .chain(across)
            .collect()
    }

    /// What is known of a rule whatever it made of the reading.
    fn look_of(&self, rule: &DetectionRule, distrusted_by: Vec<RuleId>) -> RuleLook {
        RuleLook {
            rule: rule.name.clone(),
            outcome: "",
            levels: None,
            waits_until: None,
            takers: self.rules.takers(&rule.name).to_vec(),
            distrusted_by,
            state: None,
            learnt: None,
            sequences: Vec::new(),
            together: None,
        }
    }
}

impl SensorStage {
    /// The rules of faults by which a sensor is not to be trusted in what any of these rules found,
    /// sorted.
    pub(crate) fn distrusted_by(&self, sensor: &SensorId, found: &[RuleId]) -> Vec<RuleId> {
        let Some(&number) = self.numbers.get(sensor.as_str()) else {
            return Vec::new();
        };
        let rules = self.rules_of(number as usize);
        let mut by = Vec::new();
        for track in &self.sensors[number as usize].tracks {
            let judging = track.judging(rules).filter(|rule| found.contains(rule));
            by.extend(judging.flat_map(|rule| track.distrusted_by(rules, &rule)));
        }
        by.sort_unstable();
        by.dedup();
        by
    }
}

impl RuleState {
    fn levels(
        &self,
        rule: &DetectionRule,
        sensor: Option<&Sensor>,
        signal: f64,
    ) -> Option<LevelsLook> {
        match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.state.levels(rule, sensor, signal),
            (Test::Threshold(rule), Self::Threshold(state)) => {
                Some(state.look(rule, sensor, Some(signal)))
            }
            (Test::Rate(rule), Self::Rate(state)) => Some(state.look(rule)),
            (Test::Usual(rule), Self::Usual(state)) => Some(state.look(rule)),
            (Test::Becomes(rule), Self::Becomes(state)) => Some(state.look(rule, signal)),
            (Test::Window(rule), Self::Window(state)) => Some(state.look(rule)),
            _ => None,
        }
    }

    /// Which state a reading says, if the rule asks what a state becomes.
    fn said(&self, rule: &DetectionRule, reading: &Reading<'_>) -> Option<StateLook> {
        match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.state.said(rule, reading),
            (Test::Becomes(rule), Self::Becomes(state)) => state.said(rule, reading),
            _ => None,
        }
    }

    /// In how many weeks an hour was seen, and how many it takes, if the rule asks what is usual.
    fn learnt(&self, rule: &DetectionRule, at: Timestamp) -> Option<(u32, u32)> {
        match (&rule.test, self) {
            (_, Self::Settled(settled)) => settled.state.learnt(rule, at),
            (Test::Usual(rule), Self::Usual(state)) => Some(state.learnt(rule, at)),
            _ => None,
        }
    }

    /// Until when what was said last waits to be judged, or for its window to close.
    fn waits_until(&self, rule: &DetectionRule) -> Option<Timestamp> {
        match self {
            Self::Settled(_) | Self::Window(_) => self.due(rule),
            Self::Threshold(_)
            | Self::Rate(_)
            | Self::Usual(_)
            | Self::Becomes(_)
            | Self::Report => None,
        }
    }
}
