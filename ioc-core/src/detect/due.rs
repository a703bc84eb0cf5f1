//! Timers of the sensor stage: silence, and what has been abnormal for long enough.
//!
//! Promise: a timer that is armed while another fires is due later than that one, or is the same
//! again, so that merging what several stages found gives the order that one would have given. Next: `reload.rs`.

use std::sync::Arc;

use super::rule_state::Heard;
use super::{Moment, SensorStage, finding, silence};
use crate::bundle::Test;
use crate::detection::{Detection, Finding};
use crate::record::Seq;
use crate::time::Timestamp;

impl SensorStage {
    /// Fires the timers that are due by `to`, before the record `seq`.
    pub(super) fn advance(&mut self, to: Timestamp, seq: Seq, found: &mut Vec<Finding>) {
        while let Some(timer) = self.timers.pop_due(to) {
            let moment = Moment {
                seq,
                at: timer.due,
                due: Some(timer.due),
            };
            let number = self.numbers.get(timer.subject.as_str());
            let number = *number.expect("timers are about known sensors") as usize;
            let rules = Arc::clone(&self.rules);
            let detections = rules.detections();
            let rule = detections.binary_search_by(|rule| rule.name.cmp(&timer.rule));
            let rule = rule.expect("timers are of rules that hold");
            match &detections[rule].test {
                Test::Silence(_) => self.fire_silence(number, rule, moment, found),
                Test::Threshold(_)
                | Test::Rate(_)
                | Test::Usual(_)
                | Test::Becomes(_)
                | Test::Window(_) => {
                    self.fire_rule(number, rule, moment, found);
                }
                Test::Report(_)
                | Test::Fault(_)
                | Test::SiteSilence(_)
                | Test::Sequence(_)
                | Test::Across(_) => {
                    unreachable!("none has timers here")
                }
            }
        }
    }

    fn fire_silence(&mut self, number: usize, rule: usize, moment: Moment, f: &mut Vec<Finding>) {
        let sensor = &mut self.sensors[number];
        let heard_at = sensor.heard_at.max(self.started_at);
        let own = sensor.silences.iter_mut();
        let mut own = own.filter(|(number, _)| *number as usize == rule);
        let (_, state) = own.next().expect("its timer is the sensor's own");
        let detection_rule = &self.rules.detections()[rule];
        match state.fire(moment.at, heard_at) {
            silence::Outcome::AskAgain(due) => {
                let name = detection_rule.name.clone();
                self.timers.arm(due, name, sensor.id.clone());
            }
            silence::Outcome::Silent => {
                self.rule_counters[rule].silent += 1;
                let sensor = &self.sensors[number];
                let detection = Detection::Silent(sensor.hearing(&self.rules, sensor.heard_at));
                f.push(finding(
                    &self.rules,
                    sensor,
                    detection_rule,
                    moment,
                    detection,
                ));
            }
        }
    }

    fn fire_rule(&mut self, number: usize, rule: usize, moment: Moment, f: &mut Vec<Finding>) {
        let detection_rule = &self.rules.detections()[rule];
        let sensor = &mut self.sensors[number];
        let heard = Heard {
            silent: sensor.is_silent(),
            started_at: self.started_at,
        };
        let registered = sensor.registered.map(|number| self.rules.sensor(number));
        let state = sensor.rule_state(&self.rules, rule as u32);
        let outcome = state.fire(detection_rule, registered, moment.at, heard);
        let due = state.due(detection_rule);
        let observed_at = state.observed_to().unwrap_or(moment.at).min(moment.at);
        self.timers
            .replace(None, due, &detection_rule.name, &sensor.id);
        if let Some(detection) = self.rule_counters[rule].count(detection_rule, outcome) {
            let sensor = &self.sensors[number];
            f.push(Finding {
                observed_at,
                ..finding(&self.rules, sensor, detection_rule, moment, detection)
            });
        }
    }
}
