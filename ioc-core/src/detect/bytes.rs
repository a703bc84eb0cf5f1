//! All sensors as bytes, in the order of their names, however they are shared out.
//!
//! Arrives: all stages, or the bytes that they were put into. Leaves: those bytes, or as many
//! stages as are asked for. Numbers, buckets, timers and how many memories are long follow from
//! the sensors and are made anew. Next: `timer.rs`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::asking::Asking;
use super::reload::Reloading;
use super::sensor::Sensor;
use super::timers::{Timer, Timers};
use super::{SensorStage, Shard, bucket};
use crate::away::Away;
use crate::codec::{CodecError, Put, Take};
use crate::counters::{RuleCounters, SensorCounters};
use crate::detection::Detection;
use crate::hash::hash_text;
use crate::id::{RuleId, SensorId};
use crate::limits::{
    LONG_MEMORIES_PER_BUCKET_MAX, SENSOR_BUCKETS, SENSORS_PER_BUCKET_REGISTERED_MAX,
};
use crate::rules::Rules;
use crate::time::Timestamp;

/// How many sensors there can be in all.
const SENSORS_MAX: usize = SENSOR_BUCKETS * SENSORS_PER_BUCKET_REGISTERED_MAX as usize;

/// What a sensor with a full short memory under a few rules takes, about.
const SENSOR_BYTES_USUAL: usize = 700;

/// How many bytes the sensors will take, about.
pub(crate) fn bytes_expected(stages: &[SensorStage]) -> usize {
    let sensors = stages.iter().map(SensorStage::sensors_known);
    sensors.sum::<usize>() * SENSOR_BYTES_USUAL
}

/// Puts the sensors of all stages, and when those take over that wait to, if any do.
pub(crate) fn put(stages: &[SensorStage], out: &mut impl Put) {
    let sensors = stages.iter().flat_map(|stage| {
        let sensors = (0..).zip(&stage.sensors);
        sensors.map(move |(number, sensor)| (sensor, number, stage))
    });
    let mut sensors: Vec<_> = sensors.collect();
    sensors.sort_unstable_by_key(|(sensor, ..)| &sensor.id);
    let reloading = stages.iter().find_map(|stage| stage.reloading.as_ref());
    out.put_option(reloading, |out, reloading| {
        out.put_time(reloading.at);
        out.put_time(reloading.next);
    });
    let asks = stages.iter().find_map(SensorStage::asks_at);
    out.put_option(asks, Put::put_time);
    let away = stages.first().map(|stage| &stage.away);
    away.expect("there is at least one stage").put(out);
    out.put_count(sensors.len());
    for (sensor, number, stage) in sensors {
        stage.put_sensor(number, sensor, reloading.is_some(), out);
    }
}

/// The sensors as they were put under the same rules, shared out to so many stages.
pub(crate) fn take(
    format: u16,
    take: &mut Take<'_>,
    rules: &Arc<Rules>,
    started_at: Timestamp,
    shards: NonZeroUsize,
) -> Result<Vec<SensorStage>, CodecError> {
    let reloading = match format {
        1 | 2 => None,
        _ => take.option(|take| Ok((take.time()?, take.time()?)))?,
    };
    let asks = match format {
        1..=5 => None,
        _ => take.option(Take::time)?,
    };
    // Before format 7 a start gave everybody the whole time again, as if nobody had been there before.
    let mut away = Away::default();
    match format {
        1..=6 => away.note(Timestamp::MIN, started_at),
        _ => away = Away::take(take)?,
    }
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
        let sensor = Sensor::take(format, take, rules)?;
        let held = match reloading {
            None => None,
            Some(_) => take.option(take_held)?,
        };
        if last.is_some_and(|last| last >= sensor.id) {
            return Err(CodecError("sensors are not in order"));
        }
        last = Some(sensor.id.clone());
        let bucket = bucket(hash_text(sensor.id.as_str()));
        let shard = bucket % stages.len();
        stages[shard].add(sensor, bucket, held)?;
    }
    let stages = stages
        .into_iter()
        .map(|stage| stage.finish(reloading, asks, &away));
    stages.collect()
}

/// The sensors by whose word others are judged, each with the rules by which it is silent or distrusted:
/// for what was saved before that was kept.
pub(crate) fn meters(stages: &[SensorStage]) -> impl Iterator<Item = (SensorId, Vec<RuleId>)> {
    let sensors = stages.iter().flat_map(|stage| {
        let sensors = stage.sensors.iter();
        sensors.map(|sensor| (sensor, &stage.rules))
    });
    let meters = sensors.filter(|(sensor, rules)| {
        let registered = sensor.registered.is_some();
        registered && rules.networks().is_meter(sensor.id.as_str())
    });
    meters.map(|(sensor, rules)| (sensor.id.clone(), sensor.amiss(rules)))
}

/// What was found when a sensor took over, by the names of the rules.
type Held = Vec<(RuleId, Detection)>;

fn put_held(held: &Held, out: &mut impl Put) {
    out.put_count(held.len());
    for (rule, detection) in held {
        out.put_text(rule.as_str());
        detection.put_of_reload(out);
    }
}

fn take_held(take: &mut Take<'_>) -> Result<Held, CodecError> {
    let count = take.u32()? as usize;
    take.each(count, |take| {
        Ok((take.parsed("rule")?, Detection::take_of_reload(take)?))
    })
}

/// A stage that sensors are put back into.
struct Restored {
    stage: SensorStage,
    timers: Vec<Timer>,
    silences: Vec<Timer>,
    held: BTreeMap<u32, Held>,
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
        stage.generation = 1;
        Self {
            stage,
            timers: Vec::new(),
            silences: Vec::new(),
            held: BTreeMap::new(),
        }
    }

    fn add(
        &mut self,
        mut sensor: Sensor,
        bucket: usize,
        held: Option<Held>,
    ) -> Result<(), CodecError> {
        let stage = &mut self.stage;
        let number = stage.sensors.len() as u32;
        // They come in the order of their names.
        stage.buckets[bucket].push(number);
        stage.long_memories[bucket] += u16::from(sensor.memory.is_long());
        if stage.buckets[bucket].len() > usize::from(SENSORS_PER_BUCKET_REGISTERED_MAX)
            || stage.long_memories[bucket] > LONG_MEMORIES_PER_BUCKET_MAX
        {
            return Err(CodecError("more sensors than a bucket holds"));
        }
        match held {
            Some(held) => {
                self.held.insert(number, held);
            }
            None => {
                sensor.generation = stage.generation;
                for (due, _) in sensor.silence_timers() {
                    stage.slots.hold(bucket, due);
                }
                let timer = |(due, rule)| Timer {
                    due,
                    rule,
                    sensor: number,
                };
                let timers = sensor.state_timers(&stage.rules);
                self.timers.extend(timers.into_iter().map(timer));
                self.silences.extend(sensor.silence_timers().map(timer));
            }
        }
        stage.numbers.insert(sensor.id.clone(), number);
        stage.sensors.push(sensor);
        Ok(())
    }

    fn finish(
        mut self,
        reloading: Option<(Timestamp, Timestamp)>,
        asks: Option<Timestamp>,
        away: &Away,
    ) -> Result<SensorStage, CodecError> {
        self.stage.away = away.clone();
        self.stage.timers = Timers::from_iter(self.timers);
        self.stage.silences = Timers::from_iter(self.silences);
        self.stage.silences.wait_before(self.stage.started_at);
        let held = self.held;
        let reloading = reloading.filter(|_| !held.is_empty());
        self.stage.reloading = reloading.map(|times| Reloading::restored(times, held));
        self.stage.asking = asks.map(|next| Asking { next });
        self.stage.end_asking();
        let waits = self.stage.silences.has_waiting() && self.stage.asking.is_none();
        if waits || asks.is_some_and(|next| next <= self.stage.started_at) {
            return Err(CodecError("sensors wait to be asked, and never are"));
        }
        Ok(self.stage)
    }
}

impl SensorStage {
    /// Puts a sensor; if it waits to take other rules over, as it is when it has.
    fn put_sensor(&self, number: u32, sensor: &Sensor, reloading: bool, out: &mut impl Put) {
        let waits = self.reloading.as_ref();
        let waits = waits.filter(|_| self.waits(number as usize));
        let after = waits.map(|waits| waits.taken_over(number, sensor, &self.rules));
        let (copy, held) = after.unzip();
        copy.as_ref().unwrap_or(sensor).put(&self.rules, out);
        if reloading {
            out.put_option(held.as_ref(), |out, held| put_held(held, out));
        }
    }

    /// Goes on counting from what all stages had counted.
    pub(crate) fn count_from(&mut self, sensors: SensorCounters, rules: Vec<RuleCounters>) {
        self.counters = sensors;
        self.rule_counters = rules;
    }
}
