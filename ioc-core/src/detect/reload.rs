//! Other rules: what is kept, what is lost and what clears by that.
//!
//! Arrives: a reload, which holds for all from its record on. Leaves: sensors that take the new
//! rules over one by one: the first of each bucket with the record itself, each other when it is
//! heard next, and who is not heard when its turn comes, by a clock of one of each eighth bucket a
//! millisecond. Promise: no record visits more sensors than there are buckets; whose turn comes when
//! depends on its bucket alone, so not on shards. Until then a sensor is as it was: it could not be
//! silent or abnormal for long enough meanwhile.
//!
//! Another reload before all have taken over makes those wait for both: each takes over one after the
//! other when its turn comes. One too many of them ends the waiting at once.
//!
//! In bytes those that wait have taken over already, and what was found by that waits with them
//! (`bytes.rs`), so that the rules of before are in no snapshot. Next: `bytes.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::sensor::Sensor;
use super::timers::Timer;
use super::{Moment, SensorStage};
use crate::bundle::Test;
use crate::counters::RuleCounters;
use crate::detection::{Detection, Finding};
use crate::id::RuleId;
use crate::limits::{RELOAD_BUCKETS_APART, RELOAD_STEP, RELOADS_WAITED_FOR_MAX, SENSOR_BUCKETS};
use crate::record::{BundleHash, Record};
use crate::rules::Rules;
use crate::time::Timestamp;

/// Sensors that wait to take other rules over.
#[derive(Debug)]
pub(super) struct Reloading {
    /// The reloads that some of them wait for, in order.
    steps: VecDeque<Step>,
    /// When the new rules began to hold.
    pub at: Timestamp,
    /// When the next take over.
    pub next: Timestamp,
    /// How many sensors of each bucket have had their turn, in the order of their names.
    turns: Vec<u16>,
    /// How many sensors wait.
    left: usize,
}

/// One reload that sensors wait for.
#[derive(Debug)]
struct Step {
    /// How many reloads there had been before it: those of this generation wait for it first.
    generation: u64,
    before: Before,
    /// When it came.
    at: Timestamp,
}

/// How sensors are that wait for a reload.
#[derive(Debug)]
enum Before {
    /// Under these rules still.
    Under(Arc<Rules>),
    /// They were read from bytes and have taken over already: what was found by that, of each.
    Held(BTreeMap<u32, Found>),
}

/// What is found when a sensor takes over, by the names of the rules.
type Found = Vec<(RuleId, Detection)>;

impl Reloading {
    /// That of sensors that were read from bytes, each with what was found by its taking over.
    pub fn restored((at, next): (Timestamp, Timestamp), held: BTreeMap<u32, Found>) -> Self {
        let left = held.len();
        let step = Step {
            generation: 0,
            before: Before::Held(held),
            at,
        };
        Self {
            steps: VecDeque::from([step]),
            at,
            next,
            turns: vec![0; SENSOR_BUCKETS],
            left,
        }
    }

    /// A sensor that was not there has this place among those of its bucket.
    pub fn make_room(&mut self, bucket: usize, place: usize) {
        let turns = &mut self.turns[bucket];
        *turns += u16::from(place < usize::from(*turns));
    }

    /// A sensor that waits, as it is when it has taken over, with what is found by that.
    pub fn taken_over(&self, number: u32, sensor: &Sensor, new: &Rules) -> (Sensor, Found) {
        let mut copy = sensor.copy(self.rules_of(sensor.generation, new));
        copy.generation = sensor.generation;
        let found = self.take_over(number, &mut copy, new);
        (copy, found)
    }

    /// The rules that sensors of a generation are under.
    fn rules_of<'r>(&'r self, generation: u64, new: &'r Rules) -> &'r Rules {
        let first = self.first_of(generation);
        let mut steps = self.steps.range(first..);
        let under = steps.find_map(Step::rules);
        under.unwrap_or(new)
    }

    /// The place of the first step that sensors of a generation wait for.
    fn first_of(&self, generation: u64) -> usize {
        self.steps
            .partition_point(|step| step.generation < generation)
    }

    /// A sensor takes over what it waits for, one after the other.
    fn take_over(&self, number: u32, sensor: &mut Sensor, new: &Rules) -> Found {
        let mut all = Found::new();
        for place in self.first_of(sensor.generation)..self.steps.len() {
            let step = &self.steps[place];
            match &step.before {
                Before::Held(held) => all.extend(held.get(&number).cloned().unwrap_or_default()),
                Before::Under(old) => {
                    let new = self.rules_of(step.generation + 1, new);
                    let found = sensor.reload(old, new, step.at).into_iter();
                    let named = |(rule, detection)| (old.detection(rule).name.clone(), detection);
                    all.extend(found.map(named));
                }
            }
        }
        all
    }

    /// The timers that run of a sensor that waits: of one that was read from bytes none does.
    fn timers_of(&self, sensor: &Sensor) -> Vec<(Timestamp, u32)> {
        let step = self.steps.get(self.first_of(sensor.generation));
        let old = step.and_then(Step::rules);
        old.map_or_else(Vec::new, |old| sensor.timers(old))
    }
}

impl Step {
    fn rules(&self) -> Option<&Rules> {
        match &self.before {
            Before::Under(rules) => Some(rules),
            Before::Held(_) => None,
        }
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
        let moment = Moment::of(record);
        let too_many = |waiting: &Reloading| waiting.steps.len() == RELOADS_WAITED_FOR_MAX;
        while self.reloading.as_ref().is_some_and(too_many) {
            (0..SENSOR_BUCKETS).for_each(|bucket| self.take_turn(bucket, moment, found));
            self.end_reloading();
        }
        let new = self.provided.get(hash);
        let old = std::mem::replace(&mut self.rules, new);
        self.keep_counters(&old);
        let before = self.reloading.take();
        let mut steps = before.map_or_else(VecDeque::new, |before| before.steps);
        steps.push_back(Step {
            generation: self.generation,
            before: Before::Under(old),
            at: record.at,
        });
        self.generation += 1;
        // Who takes over is asked from then on.
        self.asking = None;
        self.slots.free_all();
        self.reloading = Some(Reloading {
            steps,
            at: record.at,
            next: record.at + RELOAD_STEP,
            turns: vec![0; SENSOR_BUCKETS],
            left: self.sensors.len(),
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
        found[first..].sort_by(Finding::order);
    }

    /// Whether a sensor is still under the rules of before.
    pub(super) fn waits(&self, number: usize) -> bool {
        self.sensors[number].generation != self.generation
    }

    /// The rules that a sensor is under.
    pub(super) fn rules_of(&self, number: usize) -> &Rules {
        match &self.reloading {
            Some(waiting) => waiting.rules_of(self.sensors[number].generation, &self.rules),
            None => &self.rules,
        }
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
            self.look_at_turn(bucket);
        }
        for bucket in (from..SENSOR_BUCKETS).step_by(RELOAD_BUCKETS_APART) {
            self.take_turn(bucket, moment, found);
        }
        self.end_reloading();
    }

    /// Reads the sensor whose turn it is in a bucket, so that it is waited for beside others.
    fn look_at_turn(&self, bucket: usize) {
        let Some(reloading) = &self.reloading else {
            return;
        };
        let next = self.buckets[bucket].get(usize::from(reloading.turns[bucket]));
        if let Some(&number) = next {
            self.sensors[number as usize].look_at();
            self.look_at_silences(number);
        }
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
        let waiting = self.reloading.take_if(|reloading| reloading.left == 0);
        let steps = waiting.into_iter().flat_map(|waiting| waiting.steps);
        for step in steps {
            if let Before::Under(old) = step.before {
                self.provided.put_aside(Some(old));
            }
        }
        self.end_asking();
    }

    /// A sensor takes the rules over that hold.
    pub(super) fn take_over(&mut self, number: usize, moment: Moment, found: &mut Vec<Finding>) {
        let reloading = self.reloading.as_mut().expect("some sensor waits");
        reloading.left -= 1;
        let sensor = &mut self.sensors[number];
        let before = reloading.timers_of(sensor);
        let detections = reloading.take_over(number as u32, sensor, &self.rules);
        sensor.generation = self.generation;
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
        let bucket = usize::from(sensor.bucket);
        sensor.silences_due(|due| self.slots.take(bucket, due.max(moment.at)));
        self.tell_of_meter(number, moment, found);
        self.fire_overdue(number, moment, found);
        let timer = |(due, rule)| Timer {
            due,
            rule,
            sensor: number as u32,
        };
        for before in before.into_iter().map(timer) {
            self.timers.cancel(before);
            self.silences.cancel(before);
        }
        let sensor = &self.sensors[number];
        for after in sensor.state_timers(&self.rules).into_iter().map(timer) {
            self.timers.arm(after);
        }
        for after in sensor.silence_timers().map(timer) {
            self.silences.arm(after);
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
