//! After downtime: who is to be asked whether it is silent, in steps.
//!
//! Arrives: a start, before which timers of silence were due: as many as there are sensors, where a
//! process was away for longer than sensors are. Downtime is not silence, so that all that comes of
//! each is another time at which to ask (`silence.rs`). Leaves: that time, given to one sensor of each
//! bucket after the other, in the order of their names: to those that are alone in theirs by the start
//! itself, to one of each eighth bucket a millisecond from then on. Promise: no record visits more
//! sensors than there are buckets; whose turn comes when depends on its bucket alone, so not on
//! shards. Until then a sensor is as it was: nobody takes it to be silent.
//!
//! What waits is what is due from before the start; so nothing of it is in bytes but the time of the
//! next step. Who waits to take other rules over is asked when it has (`reload.rs`). Next: `reload.rs`.

use super::timers::Timer;
use super::{Moment, SensorStage};
use crate::detection::Finding;
use crate::limits::{ASKED_BUCKETS_APART, ASKED_STEP, SENSOR_BUCKETS};
use crate::time::Timestamp;

/// Sensors that wait to be asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    /// When the next are asked: so many steps after the start before which it was due what waits.
    pub next: Timestamp,
}

impl SensorStage {
    /// A start: what is due of silence from before it waits for its turn.
    pub(super) fn begin_asking(&mut self, at: Timestamp) {
        self.silences.wait_before(at);
        let next = at + ASKED_STEP;
        self.asking = Some(Asking { next });
        self.end_asking();
    }

    /// Asks those that are alone in their buckets.
    pub(super) fn ask_those_alone(&mut self, moment: Moment, found: &mut Vec<Finding>) {
        if self.asking.is_none() {
            return;
        }
        let first = found.len();
        for bucket in 0..SENSOR_BUCKETS {
            if let [number] = self.buckets[bucket][..] {
                self.ask(number, moment, found);
            }
        }
        self.end_asking();
        found[first..].sort_by(Finding::order);
    }

    /// When the next sensors are asked, if any wait.
    pub(super) fn asks_at(&self) -> Option<Timestamp> {
        self.asking.map(|asking| asking.next)
    }

    /// The time has come to ask the next sensors.
    pub(super) fn ask_more(&mut self, moment: Moment, found: &mut Vec<Finding>) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let step = (asking.next - self.started_at).0 / ASKED_STEP.0 - 1;
        asking.next = asking.next + ASKED_STEP;
        let step = step.unsigned_abs() as usize;
        let (turn, from) = (step / ASKED_BUCKETS_APART, step % ASKED_BUCKETS_APART);
        let buckets = || (from..SENSOR_BUCKETS).step_by(ASKED_BUCKETS_APART);
        for bucket in buckets() {
            if let Some(&number) = self.buckets[bucket].get(turn) {
                self.look_at_silences(number);
            }
        }
        for bucket in buckets() {
            if let Some(&number) = self.buckets[bucket].get(turn) {
                self.ask(number, moment, found);
            }
        }
        self.end_asking();
    }

    /// Fires what is due of a sensor's silence from before the start.
    fn ask(&mut self, number: u32, moment: Moment, found: &mut Vec<Finding>) {
        if self.waits(number as usize) {
            return;
        }
        let timers = self.sensors[number as usize].silence_timers();
        let before = |(due, _): &(Timestamp, u32)| *due < self.started_at;
        let mut waiting: Vec<_> = timers.filter(before).collect();
        waiting.sort_unstable();
        for (due, rule) in waiting {
            self.silences.cancel(Timer {
                due,
                rule,
                sensor: number,
            });
            self.fire_silence(number as usize, (due, rule as usize), moment, found);
        }
    }

    /// Nobody waits any more; who takes other rules over may.
    pub(super) fn end_asking(&mut self) {
        if self.reloading.is_none() && !self.silences.has_waiting() {
            self.asking = None;
            self.silences.wait_no_more();
        }
    }
}
