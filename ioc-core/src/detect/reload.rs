//! Other rules: what is kept, what is lost and what clears by that.
//!
//! Arrives: a reload, which holds for all from its record on. Leaves: sensors that take the new
//! rules over one by one: the first of each bucket with the record itself, each other when it is
//! heard next, and who is not heard when its turn comes, by a clock of one of each eighth bucket a
//! millisecond. Promise: no record visits more sensors than there are buckets; whose turn comes when
//! depends on its bucket alone, so not on shards. Until then a sensor is as it was: it could not be
//! silent or abnormal for long enough meanwhile.
//!
//! In bytes those that wait have taken over already, and what was found by that waits with them
//! (`bytes.rs`), so that the rules of before are in no snapshot. Another reload before all have
//! taken over ends the waiting at once. Next: `bytes.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sensor::Sensor;
use super::timers::Timer;
use super::{Moment, SensorStage, bucket};
use crate::bundle::Test;
use crate::counters::RuleCounters;
use crate::detection::{Detection, Finding};
use crate::hash::hash_text;
use crate::id::RuleId;
use crate::limits::{RELOAD_BUCKETS_APART, RELOAD_STEP, SENSOR_BUCKETS};
use crate::record::{BundleHash, Record};
use crate::rules::Rules;
use crate::time::Timestamp;

/// Sensors that wait to take other rules over.
#[derive(Debug)]
pub(super) struct Reloading {
    /// The rules that they are under still; `None` if they were read from bytes.
    old: Option<Arc<Rules>>,
    /// When the new rules began to hold.
    pub at: Timestamp,
    /// The last start by then.
    started_at: Timestamp,
    /// When the next take over.
    pub next: Timestamp,
    /// How many sensors of each bucket have had their turn, in the order of their names.
    turns: Vec<u16>,
    /// How many sensors wait.
    left: usize,
    /// What was found when sensors took over that were read from bytes.
    held: BTreeMap<u32, Vec<(RuleId, Detection)>>,
}

impl Reloading {
    /// That of sensors that were read from bytes, each with what was found by its taking over.
    pub fn restored(
        (at, next): (Timestamp, Timestamp),
        held: BTreeMap<u32, Vec<(RuleId, Detection)>>,
    ) -> Self {
        Self {
            old: None,
            at,
            started_at: at,
            next,
            turns: vec![0; SENSOR_BUCKETS],
            left: held.len(),
            held,
        }
    }

    /// A sensor that was not there has this place among those of its bucket.
    pub fn make_room(&mut self, bucket: usize, place: usize) {
        let turns = &mut self.turns[bucket];
        *turns += u16::from(place < usize::from(*turns));
    }

    /// A sensor that waits, as it is when it has taken over, with what is found by that.
    pub fn taken_over(
        &self,
        number: u32,
        sensor: &Sensor,
        new: &Rules,
    ) -> (Option<Sensor>, Vec<(RuleId, Detection)>) {
        let Some(old) = &self.old else {
            let held = self.held.get(&number).cloned();
            return (None, held.unwrap_or_default());
        };
        let mut copy = sensor.copy(old);
        let found = self.take_over(&mut copy, old, new);
        (Some(copy), found)
    }

    fn take_over(&self, sensor: &mut Sensor, old: &Rules, new: &Rules) -> Vec<(RuleId, Detection)> {
        let heard_at = sensor.heard_at.max(self.started_at);
        let found = sensor.reload(old, new, heard_at, self.at).into_iter();
        let named = |(rule, detection)| (old.detection(rule).name.clone(), detection);
        found.map(named).collect()
    }
}

impl SensorStage {
    /// Puts other rules into force: an unchanged rule keeps its state, a changed or removed one
    /// loses it and its detections clear.
    pub(super) fn reload(
        &mut self,
        record: &Record<'_>,
        hash: BundleHash,
        found: &mut Vec<Finding>,
    ) {
        let first = found.len();
        let moment = Moment {
            seq: record.seq,
            at: record.at,
            due: None,
        };
        while self.reloading.is_some() {
            (0..SENSOR_BUCKETS).for_each(|bucket| self.take_turn(bucket, moment, found));
            self.end_reloading();
        }
        let new = self.provided.get(hash);
        let old = std::mem::replace(&mut self.rules, new);
        self.keep_counters(&old);
        self.generation += 1;
        self.slots.free_all();
        self.reloading = Some(Reloading {
            old: Some(old),
            at: record.at,
            started_at: self.started_at,
            next: record.at + RELOAD_STEP,
            turns: vec![0; SENSOR_BUCKETS],
            left: self.sensors.len(),
            held: BTreeMap::new(),
        });
        for bucket in 0..SENSOR_BUCKETS {
            if self.buckets[bucket].len() == 1 {
                self.take_turn(bucket, moment, found);
            }
        }
        self.end_reloading();
        let registered = self.rules.sensors() / self.shard.count;
        let more = registered.saturating_sub(self.sensors.len());
        self.sensors.reserve(more);
        self.numbers.reserve(more);
        found[first..].sort_by(Finding::order);
    }

    /// Whether a sensor is still under the rules of before.
    pub(super) fn waits(&self, number: usize) -> bool {
        self.sensors[number].generation != self.generation
    }

    /// The rules that a sensor is under.
    pub(super) fn rules_of(&self, number: usize) -> &Rules {
        let reloading = self.reloading.as_ref().filter(|_| self.waits(number));
        let old = reloading.and_then(|reloading| reloading.old.as_deref());
        old.unwrap_or(&self.rules)
    }

    /// When the next sensors take over, if any wait.
    pub(super) fn reloads_at(&self) -> Option<Timestamp> {
        self.reloading.as_ref().map(|reloading| reloading.next)
    }

    /// The time has come for the next sensors to take over.
    pub(super) fn reload_more(&mut self, moment: Moment, found: &mut Vec<Finding>) {
        let Some(reloading) = &mut self.reloading else {
            return;
        };
        let steps = (reloading.next - reloading.at).0 / RELOAD_STEP.0;
        reloading.next = reloading.next + RELOAD_STEP;
        let from = steps.unsigned_abs() as usize % RELOAD_BUCKETS_APART;
        for bucket in (from..SENSOR_BUCKETS).step_by(RELOAD_BUCKETS_APART) {
            self.take_turn(bucket, moment, found);
        }
        self.end_reloading();
    }

    /// It is the turn of a bucket: the first of its sensors that waits takes over.
    fn take_turn(&mut self, bucket: usize, moment: Moment, found: &mut Vec<Finding>) {
        while let Some(reloading) = &mut self.reloading {
            let turn = &mut reloading.turns[bucket];
            let Some(&number) = self.buckets[bucket].get(usize::from(*turn)) else {
                return;
            };
            *turn += 1;
            if self.sensors[number as usize].generation != self.generation {
                return self.take_over(number as usize, moment, found);
            }
        }
    }

    /// Nothing is left of a reload that all have taken over.
    pub(super) fn end_reloading(&mut self) {
        if let Some(reloading) = self.reloading.take_if(|reloading| reloading.left == 0) {
            self.provided.put_aside(reloading.old);
        }
    }

    /// A sensor takes the rules over that hold.
    pub(super) fn take_over(&mut self, number: usize, moment: Moment, found: &mut Vec<Finding>) {
        let reloading = self.reloading.as_mut().expect("some sensor waits");
        reloading.left -= 1;
        let sensor = &mut self.sensors[number];
        sensor.generation = self.generation;
        let before = match &reloading.old {
            Some(old) => sensor.timers(old),
            None => Vec::new(),
        };
        let (held, reloading) = (reloading.held.remove(&(number as u32)), &*reloading);
        let detections = match &reloading.old {
            Some(old) => reloading.take_over(sensor, old, &self.rules),
            None => held.unwrap_or_default(),
        };
        for (rule, detection) in detections {
            let registered = sensor.registered;
            let zone = registered.and_then(|number| self.rules.sensor_zone(number));
            found.push(Finding {
                seq: moment.seq,
                due: moment.due,
                rule,
                sensor: sensor.id.clone(),
                observed_at: moment.at,
                zone: zone.cloned(),
                // What clears because its rule is gone does so whoever may be trusted.
                doubted: false,
                quiet: false,
                detection,
            });
        }
        let bucket = bucket(hash_text(sensor.id.as_str()));
        sensor.silences_due(|due| self.slots.take(bucket, due.max(moment.at)));
        self.fire_overdue(number, moment, found);
        let after = self.sensors[number].timers(&self.rules);
        let timer = |(due, rule)| Timer {
            due,
            rule,
            sensor: number as u32,
        };
        for before in before.into_iter().filter(|timer| !after.contains(timer)) {
            self.timers.cancel(timer(before));
        }
        for after in after {
            self.timers.arm(timer(after));
        }
    }

    /// What a sensor's rules had waited for while it waited itself.
    fn fire_overdue(&mut self, number: usize, moment: Moment, found: &mut Vec<Finding>) {
        loop {
            let timers = self.sensors[number].timers(&self.rules);
            let overdue = timers.into_iter().filter(|(due, rule)| {
                let test = &self.rules.detection(*rule).test;
                *due <= moment.at && !matches!(test, Test::Silence(_))
            });
            let Some((_, rule)) = overdue.min() else {
                return;
            };
            self.fire_state(number, rule as usize, moment, found);
        }
    }

    fn keep_counters(&mut self, old: &Rules) {
        let before = |name: &RuleId| {
            let place = old
                .detections()
                .binary_search_by(|rule| rule.name.cmp(name));
            place.map_or_else(
                |_| RuleCounters::default(),
                |place| self.rule_counters[place],
            )
        };
        let rules = self.rules.detections().iter();
        self.rule_counters = rules.map(|rule| before(&rule.name)).collect();
    }
}
