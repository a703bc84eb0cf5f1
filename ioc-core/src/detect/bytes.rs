//! All sensors as bytes, in the order of their names, however they are shared out.
//!
//! Arrives: all stages, or the bytes that they were put into. Leaves: those bytes, or as many
//! stages as are asked for. Numbers, buckets, timers and how many memories are long follow from
//! the sensors and are made anew. Next: `timer.rs`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::sensor::Sensor;
use super::{SensorStage, Shard, bucket};
use crate::codec::{CodecError, Put, Take};
use crate::counters::{RuleCounters, SensorCounters};
use crate::hash::hash_text;
use crate::id::SensorId;
use crate::limits::{LONG_MEMORIES_PER_BUCKET_MAX, SENSOR_BUCKETS, SENSORS_PER_BUCKET_MAX};
use crate::rules::Rules;
use crate::time::Timestamp;
use crate::timer::{Timer, Timers};

/// How many sensors there can be in all.
const SENSORS_MAX: usize = SENSOR_BUCKETS * SENSORS_PER_BUCKET_MAX as usize;

/// What a sensor with a full short memory under a few rules takes, about.
const SENSOR_BYTES_USUAL: usize = 700;

/// How many bytes the sensors will take, about.
pub(crate) fn bytes_expected(stages: &[SensorStage]) -> usize {
    let sensors = stages.iter().map(SensorStage::sensors_known);
    sensors.sum::<usize>() * SENSOR_BYTES_USUAL
}

/// Puts the sensors of all stages.
pub(crate) fn put(stages: &[SensorStage], out: &mut impl Put) {
    let sensors = stages.iter().flat_map(|stage| {
        let rules = &*stage.rules;
        stage.sensors.iter().map(move |sensor| (sensor, rules))
    });
    let mut sensors: Vec<_> = sensors.collect();
    sensors.sort_unstable_by_key(|(sensor, _)| &sensor.id);
    out.put_count(sensors.len());
    for (sensor, rules) in sensors {
        sensor.put(rules, out);
    }
}

/// The sensors as they were put under the same rules, shared out to so many stages.
pub(crate) fn take(
    take: &mut Take<'_>,
    rules: &Arc<Rules>,
    started_at: Timestamp,
    shards: NonZeroUsize,
) -> Result<Vec<SensorStage>, CodecError> {
    let count = take.count(SENSORS_MAX)?;
    // No more room than the bytes that are there will fill.
    let expected = count.min(take.0.len() / SENSOR_BYTES_USUAL) / shards;
    let shards = (0..shards.get()).map(|number| Shard {
        number,
        count: shards.get(),
    });
    let mut stages: Vec<_> = shards
        .map(|shard| Restored::new(shard, rules, started_at, expected))
        .collect();
    let mut last: Option<SensorId> = None;
    for _ in 0..count {
        let sensor = Sensor::take(take, rules)?;
        if last.is_some_and(|last| last >= sensor.id) {
            return Err(CodecError("sensors are not in order"));
        }
        last = Some(sensor.id.clone());
        let bucket = bucket(hash_text(sensor.id.as_str()));
        let shard = bucket % stages.len();
        stages[shard].add(sensor, bucket)?;
    }
    Ok(stages.into_iter().map(Restored::finish).collect())
}

/// A stage that sensors are put back into.
struct Restored {
    stage: SensorStage,
    timers: Vec<Timer<SensorId>>,
}

impl Restored {
    fn new(shard: Shard, rules: &Arc<Rules>, started_at: Timestamp, sensors: usize) -> Self {
        let mut stage = SensorStage::new(shard);
        stage.provide(Arc::clone(rules));
        stage.rule_counters = vec![RuleCounters::default(); rules.detections().len()];
        stage.rules = Arc::clone(rules);
        stage.started_at = started_at;
        stage.sensors.reserve(sensors);
        stage.numbers.reserve(sensors);
        let timers = Vec::new();
        Self { stage, timers }
    }

    fn add(&mut self, sensor: Sensor, bucket: usize) -> Result<(), CodecError> {
        let stage = &mut self.stage;
        stage.buckets[bucket] += 1;
        stage.long_memories[bucket] += u16::from(sensor.memory.is_long());
        if stage.buckets[bucket] > SENSORS_PER_BUCKET_MAX
            || stage.long_memories[bucket] > LONG_MEMORIES_PER_BUCKET_MAX
        {
            return Err(CodecError("more sensors than a bucket holds"));
        }
        for (due, rule) in sensor.timers(&stage.rules) {
            self.timers.push(Timer {
                due,
                rule: stage.rules.detection(rule).name.clone(),
                subject: sensor.id.clone(),
            });
        }
        let number = stage.sensors.len() as u32;
        stage.numbers.insert(sensor.id.clone(), number);
        stage.sensors.push(sensor);
        Ok(())
    }

    fn finish(mut self) -> SensorStage {
        self.stage.timers = Timers::from_iter(self.timers);
        self.stage
    }
}

impl SensorStage {
    /// Goes on counting from what all stages had counted.
    pub(crate) fn count_from(&mut self, sensors: SensorCounters, rules: Vec<RuleCounters>) {
        self.counters = sensors;
        self.rule_counters = rules;
    }
}
