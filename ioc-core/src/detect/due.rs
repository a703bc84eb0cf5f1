//! Timers of the sensor stage: silence, and what has been abnormal for long enough.
//!
//! Promise: a timer that is armed while another fires is due no sooner than that one, and what is
//! found is put in the one order, so that merging what several stages found gives the order that one
//! would have given. Next: `asking.rs`.

use super::rule_state::Heard;
use super::timers::Timer;
use super::{LOOKED_AHEAD_FROM, Moment, SensorStage, finding, silence};
use crate::bundle::Test;
use crate::detection::{Detection, Finding};
use crate::record::Seq;
use crate::time::{Millis, Timestamp};

impl SensorStage {
    /// Fires the timers that are due by `to`, before the record `seq`.
    pub(super) fn advance(&mut self, to: Timestamp, seq: Seq, found: &mut Vec<Finding>) {
        let first = found.len();
        let mut fired = 0;
        loop {
            let timer = self.first_due(to).map(|timer| timer.due);
            let reloads = self.reloads_at().filter(|at| *at <= to);
            let asks = self.asks_at().filter(|at| *at <= to);
            let comes_first = |at: Timestamp| timer.is_none_or(|due| at <= due);
            match (timer, reloads, asks) {
                (_, Some(at), asks) if comes_first(at) && asks.is_none_or(|asks| at <= asks) => {
                    self.reload_more(moment(seq, at), found);
                }
                (_, _, Some(at)) if comes_first(at) => self.ask_more(moment(seq, at), found),
                (Some(_), ..) => {
                    if fired % Self::LOOK_AHEAD == 0 {
                        self.look_at_due(to);
                    }
                    fired += 1;
                    self.fire_next(to, seq, found);
                }
                (None, ..) => break,
            }
        }
        if found.len() > first + 1 {
            // Timers of one time fire by numbers, which show nowhere, and beside sensors that take
            // other rules over.
            found[first..].sort_by(Finding::order);
        }
    }

    /// Reads the sensors whose timers are due next, as [`Self::look_ahead`] does those of readings.
    fn look_at_due(&self, to: Timestamp) {
        if self.sensors.len() < LOOKED_AHEAD_FROM {
            return;
        }
        for timer in self.silences.due(to).take(Self::LOOK_AHEAD) {
            self.look_at_silences(timer.sensor);
        }
    }

    /// Reads what is touched when a sensor is asked whether it is silent.
    pub(super) fn look_at_silences(&self, number: u32) {
        let sensor = &self.sensors[number as usize];
        sensor.look_at_silences();
        self.slots.look_at(usize::from(sensor.bucket));
    }

    /// The next timer that is due by `to`, of silence or another.
    fn first_due(&self, to: Timestamp) -> Option<&Timer> {
        let both = [self.timers.first_due(to), self.silences.first_due(to)];
        both.into_iter().flatten().min()
    }

    fn fire_next(&mut self, to: Timestamp, seq: Seq, found: &mut Vec<Finding>) {
        let is_silence = self.first_due(to) == self.silences.first_due(to);
        let timers = match is_silence {
            true => &mut self.silences,
            false => &mut self.timers,
        };
        let timer = timers.pop_due(to).expect("one is due");
        let moment = moment(seq, timer.due);
        let (number, rule) = (timer.sensor as usize, timer.rule as usize);
        if self.waits(number) {
            return;
        }
        let detections = self.rules.detections();
        match &detections[rule].test {
            Test::Silence(_) => self.fire_silence(number, (timer.due, rule), moment, found),
            Test::Threshold(_)
            | Test::Rate(_)
            | Test::Usual(_)
            | Test::Becomes(_)
            | Test::Window(_) => {
                let due = self.fire_state(number, rule, moment, found);
                let of = (timer.rule, timer.sensor);
                self.timers.replace(None, due, of);
            }
            Test::Fault(_) => {
                let due = self.fire_fault(number, timer.rule, moment, found);
                self.timers.replace(None, due, (timer.rule, timer.sensor));
            }
            Test::Report(_)
            | Test::SiteSilence(_)
            | Test::Across(_)
            | Test::Alone(_)
            | Test::Sequence(_) => {
                unreachable!("none has timers here")
            }
        }
    }

    /// What was due of a sensor's silence, at the moment that its turn has come.
    pub(super) fn fire_silence(
        &mut self,
        number: usize,
        (due, rule): (Timestamp, usize),
        moment: Moment,
        f: &mut Vec<Finding>,
    ) {
        let sensor = &mut self.sensors[number];
        let registered = sensor.registered.map(|number| self.rules.sensor(number));
        let interval = registered.and_then(|own| own.interval);
        let heard = silence::Heard {
            at: sensor.heard_at,
            interval: interval.unwrap_or(Millis::ZERO),
            started_at: self.started_at,
            away: &self.away,
        };
        let own = sensor.silences.iter_mut();
        let mut own = own.filter(|(number, _)| *number as usize == rule);
        let (_, state) = own.next().expect("its timer is the sensor's own");
        let detection_rule = &self.rules.detections()[rule];
        let bucket = usize::from(sensor.bucket);
        self.slots.free(bucket, due);
        match state.fire(moment.at, heard) {
            silence::Outcome::AskAgain(wanted) => {
                let due = self.slots.take(bucket, wanted);
                state.ask_at(due);
                self.silences.arm(Timer {
                    due,
                    rule: rule as u32,
                    sensor: number as u32,
                });
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

    /// What a rule has waited for has come. Returns what it waits for next.
    pub(super) fn fire_state(
        &mut self,
        number: usize,
        rule: usize,
        moment: Moment,
        f: &mut Vec<Finding>,
    ) -> Option<Timestamp> {
        let ends_silence = self.ends_silence(number, rule, moment.at);
        let detection_rule = &self.rules.detections()[rule];
        let sensor = &mut self.sensors[number];
        let heard = Heard {
            // Whoever was not heard since the start may have said anything meanwhile.
            silent: sensor.is_silent() || sensor.heard_at < self.started_at,
            started_at: self.started_at,
        };
        let registered = sensor.registered.map(|number| self.rules.sensor(number));
        let in_doubt = sensor.is_doubted(&self.rules, detection_rule);
        let state = sensor.rule_state(&self.rules, rule as u32);
        state.hears_after_silence(ends_silence);
        state.hears_in_doubt(in_doubt);
        let outcome = state.fire(detection_rule, registered, moment.at, heard);
        let due = state.due(detection_rule);
        let observed_at = state.observed_to().unwrap_or(moment.at).min(moment.at);
        if let Some(detection) = self.rule_counters[rule].count(detection_rule, outcome) {
            let sensor = &self.sensors[number];
            f.push(Finding {
                observed_at,
                ..finding(&self.rules, sensor, detection_rule, moment, detection)
            });
        }
        due
    }

    /// Whether the reading whose turn it is when this is due ends a silence, of a rule that puts
    /// readings in order first.
    fn ends_silence(&mut self, number: usize, rule: usize, due: Timestamp) -> bool {
        let detection_rule = &self.rules.detections()[rule];
        let state = self.sensors[number].rule_state(&self.rules, rule as u32);
        let between = state.fires_between(detection_rule, due);
        let kind = &detection_rule.kind;
        between.is_some_and(|between| self.pauses(number).end_at(kind.as_str(), between))
    }
}

/// The moment at which something is due, before a record.
const fn moment(seq: Seq, due: Timestamp) -> Moment {
    Moment {
        seq,
        at: due,
        due: Some(due),
    }
}
