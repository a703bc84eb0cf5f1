//! The sensor stage: one sensor's readings at a time, sharing nothing with any other sensor.
//!
//! Arrives: every record, in order. Leaves: the [`Finding`]s of the sensors of this stage's shard,
//! in the order described there. Promise: however many stages there are, the findings merged are
//! the same; a normal reading costs one look-up of its sensor, one scan for redeliveries and one
//! access to the rule's state, and allocates nothing. Not here: what belongs together
//! (`correlate.rs`), and anything that concerns two sensors. Next: `detect/rule_state.rs`.

mod rule_state;
mod threshold;
mod rate;
mod usual;
mod window;
mod becomes;
mod settle;
mod silence;
mod pauses;
mod slots;
mod fault;
mod examine;
mod sensor;
mod memory;
mod taken_back;
mod timers;
mod due;
mod asking;
mod reload;
mod bytes;
mod explain;

use std::collections::VecDeque;
use std::sync::Arc;

use self::asking::Asking;
pub(crate) use self::bytes::{bytes_expected, meters, put, take};
use self::memory::{Arrival, Full, Recall};
use self::pauses::Pauses;
use self::reload::Reloading;
use self::rule_state::Said;
use self::sensor::{Sensor, Track};
use self::slots::Slots;
pub(crate) use self::threshold::{Outcome, State as Levels, excess, least, severity_of};
use self::timers::{Timer, Timers};
pub(crate) use self::window::{FIXED_POINT, VALUE_MAX, fixed};
use crate::away::Away;
use crate::bundle::{DetectionRule, Test};
use crate::counters::{RuleCounters, SensorCounters};
use crate::decision::Severity;
use crate::detection::{Detection, Finding, Observed, Sighting};
use crate::folded::Folded;
use crate::hash::{WideMap, hash_text};
use crate::id::{RuleId, SensorId};
use crate::invariant::{Audit, Invariant};
use crate::limits::{
    KINDS_PER_SENSOR_MAX, LONG_MEMORIES_PER_BUCKET_MAX, REPORT_COUNTS_MAX, SENSOR_BUCKETS,
    SENSORS_PER_BUCKET_MAX, SENSORS_PER_BUCKET_REGISTERED_MAX,
};
use crate::reading::Reading;
use crate::record::{Input, Record, Seq};
use crate::rules::{Provided, Rules};
use crate::shared::Shared;
use crate::time::{Millis, Timestamp};

/// The sensors of one shard and what each rule knows of them.
#[derive(Debug)]
pub struct SensorStage {
    shard: Shard,
    rules: Arc<Rules>,
    provided: Provided,
    /// Dense, in the order they were first heard: a number that shows nowhere.
    sensors: Vec<Sensor>,
    numbers: WideMap<SensorId, u32>,
    /// The sensors of each bucket, in the order of their names.
    buckets: Vec<Vec<u32>>,
    /// How many of them have a long memory.
    long_memories: Vec<u16>,
    timers: Timers,
    /// Those of silence.
    silences: Timers,
    /// When those are due.
    slots: Slots,
    /// How many reloads there were; it shows nowhere.
    generation: u64,
    /// The sensors that have not taken over what the last one brought.
    reloading: Option<Reloading>,
    /// The sensors that have not been asked since the last start whether they are silent.
    asking: Option<Asking>,
    /// The last start: nobody could be heard before it.
    started_at: Timestamp,
    /// When nobody was there.
    away: Away,
    counters: SensorCounters,
    /// Of each detection rule, by its number.
    rule_counters: Vec<RuleCounters>,
    /// The sensors of the records that come next, where they were found. A hint that changes
    /// nothing but how long memory is waited for.
    ahead: VecDeque<(Seq, u32)>,
}

/// Which part of all sensors a stage has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: usize,
    /// How many there are; at least 1.
    pub count: usize,
}

/// The moment in which something is found.
#[derive(Debug, Clone, Copy)]
struct Moment {
    seq: Seq,
    at: Timestamp,
    due: Option<Timestamp>,
}

impl Moment {
    /// That of a record itself.
    const fn of(record: &Record<'_>) -> Self {
        Self {
            seq: record.seq,
            at: record.at,
            due: None,
        }
    }
}

impl SensorStage {
    /// A stage without rules that has heard of no sensor.
    pub fn new(shard: Shard) -> Self {
        Self {
            shard,
            rules: Arc::new(Rules::none()),
            provided: Provided::default(),
            sensors: Vec::new(),
            numbers: WideMap::default(),
            buckets: vec![Vec::new(); SENSOR_BUCKETS],
            long_memories: vec![0; SENSOR_BUCKETS],
            timers: Timers::new(),
            silences: Timers::new(),
            slots: Slots::new(),
            generation: 0,
            reloading: None,
            asking: None,
            started_at: Timestamp::MIN,
            away: Away::default(),
            counters: SensorCounters::default(),
            rule_counters: Vec::new(),
            ahead: VecDeque::new(),
        }
    }

    /// Makes rules known. They hold from the `Reload` record on that names them.
    pub fn provide(&mut self, rules: Arc<Rules>) {
        self.provided.push(rules);
    }

    /// Finds the sensors of the records that are applied next and reads their state. With many
    /// sensors most of it is not in the processor's caches: here one is waited for beside others,
    /// in [`Self::apply`] one after another. Nothing is decided, and leaving it out only costs
    /// time. At most [`Self::LOOK_AHEAD`] records are of use.
    pub fn look_ahead(&mut self, records: &[Record<'_>]) {
        self.ahead.clear();
        if self.sensors.len() < LOOKED_AHEAD_FROM {
            return;
        }
        for record in records {
            let Some(reading) = record.input.reading() else {
                continue;
            };
            if let Some(&number) = self.numbers.get(reading.sensor) {
                self.sensors[number as usize].look_at();
                self.ahead.push_back((record.seq, number));
            }
        }
    }

    /// How many records are worth being looked at ahead: their sensors' state fits into a
    /// processor's nearest caches.
    pub const LOOK_AHEAD: usize = 32;

    /// Applies one record: first the timers due by its time, then the record itself.
    pub fn apply(&mut self, record: &Record<'_>, findings: &mut Vec<Finding>) {
        if let Input::Started(started) = record.input {
            // Before any timer: downtime is not silence.
            self.started_at = record.at;
            if let Some(from) = started.down_from {
                self.away.note(from, started.down_to);
            }
            self.begin_asking(record.at);
        }
        self.advance(record.at, record.seq, findings);
        match record.input {
            Input::Reading(reading) | Input::Reread(reading) => {
                self.reading(record, &reading, findings);
            }
            Input::Folded(folded) => self.folded(record, &folded, findings),
            Input::Reload(hash) => self.reload(record, hash, findings),
            Input::Started(_) => {
                self.ask_those_alone(Moment::of(record), findings);
            }
            Input::DeadLetter(_)
            | Input::Command(_)
            | Input::Tick
            | Input::Skipped(_)
            | Input::Adopted(_)
            | Input::Effect(_)
            | Input::Replayed(_) => {}
        }
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        let timers = [self.timers.next_due(), self.silences.next_due()];
        let steps = [self.reloads_at(), self.asks_at()];
        timers.into_iter().chain(steps).flatten().min()
    }

    /// What became of the readings.
    pub fn counters(&self) -> SensorCounters {
        self.counters
    }

    /// What each detection rule made of them, in the order of the rules' names.
    pub fn rule_counters(&self) -> impl Iterator<Item = (&RuleId, &RuleCounters)> {
        let names = self.rules.detections().iter().map(|rule| &rule.name);
        names.zip(&self.rule_counters)
    }

    /// How many sensors it has heard.
    pub fn sensors_known(&self) -> usize {
        self.sensors.len()
    }

    /// Whether a sensor is of this stage's shard.
    fn has(&self, sensor: &str) -> bool {
        let Shard { number, count } = self.shard;
        count == 1 || bucket(hash_text(sensor)) % count == number
    }

    /// Readings that were left out: nothing is found by them, and none that comes again is news.
    fn folded(&mut self, record: &Record<'_>, folded: &Folded<'_>, found: &mut Vec<Finding>) {
        if !self.has(folded.sensor) {
            return;
        }
        let left_out = u64::from(folded.left_out);
        match self.sensor(folded.sensor, record, found) {
            Some(number) => {
                self.counters.readings_folded += left_out;
                let memory = &mut self.sensors[number].memory;
                memory.forget_to(folded.kind, folded.to);
            }
            None => self.counters.readings_of_sensors_over_limit += left_out,
        }
    }

    fn reading(&mut self, record: &Record<'_>, reading: &Reading<'_>, found: &mut Vec<Finding>) {
        if !self.has(reading.sensor) {
            return;
        }
        let ahead = self.found_ahead(record.seq, reading.sensor);
        let Some(number) = ahead.or_else(|| self.sensor(reading.sensor, record, found)) else {
            self.counters.readings_of_sensors_over_limit += 1;
            return;
        };
        let moment = Moment::of(record);
        if self.waits(number) {
            self.take_over(number, moment, found);
            // It may have been the last that waited.
            self.end_reloading();
        }
        let is_reread = matches!(record.input, Input::Reread(_));
        let known = self.known_track(number, reading.kind);
        let recall = self.recall(number, known, (reading, is_reread), moment);
        match recall {
            Recall::New => {}
            Recall::NewByAClockSetBack => self.counters.clocks_set_back += 1,
            Recall::Known => {
                self.counters.readings_duplicate += 1;
                return;
            }
            Recall::Beyond => {
                self.counters.readings_beyond_memory += 1;
                return;
            }
        }
        let sensor = &mut self.sensors[number];
        // What it said before it was heard last does not say that it speaks again.
        if !is_reread || reading.observed_at > sensor.heard_at {
            let heard_before = std::mem::replace(&mut sensor.heard_at, moment.at);
            self.return_if_silent(number, heard_before, moment, found);
        }
        self.show(number, reading, moment, found);
        if reading.observed_at > moment.at {
            self.counters.readings_from_the_future += 1;
        }
        let track = known.map_or_else(|| self.begin_track(number, reading.kind), Ok);
        let own = track.as_ref().ok().copied();
        match track {
            Ok(track) => {
                self.counters.readings_judged += 1;
                if recall == Recall::NewByAClockSetBack {
                    let said = Said {
                        signal: reading.value,
                        observed_at: reading.observed_at.min(moment.at),
                        at: moment.at,
                    };
                    self.sensors[number].set_clock_back(&self.rules, track, said);
                }
                self.examine(number, track, reading, moment, found);
                self.judge(number, track, reading, moment, found);
                self.contribute(number, track, reading, moment, found);
            }
            Err(NotJudged::NoRule) => self.counters.readings_of_no_rule += 1,
            Err(NotJudged::TooManyKinds) => self.counters.readings_of_kinds_over_limit += 1,
        }
        // Last, so that what takes the place of something finds where that was.
        self.take_back(number, own, reading, moment, found);
    }

    /// Whether a reading of a sensor is new: one that was read again is, unless it is remembered. One
    /// that is full of reports, or of readings of one instant, is given a longer memory while there is
    /// room. By what is read again no clock is set back.
    fn recall(
        &mut self,
        number: usize,
        track: Option<usize>,
        (reading, is_reread): (&Reading<'_>, bool),
        moment: Moment,
    ) -> Recall {
        let Sensor { memory, tracks, .. } = &mut self.sensors[number];
        let track = track.map(|track| &tracks[track]);
        let arrival = Arrival {
            id: hash_text(reading.id),
            kind: reading.kind,
            observed_at: reading.observed_at,
            received_at: moment.at,
            late: !is_reread
                && track.is_some_and(|track| track.is_late(&self.rules, reading, moment.at)),
        };
        let lengthens = |full| {
            if full == Full::InTime && !tracks.iter().any(Track::is_of_reports) {
                return false;
            }
            let held = &mut self.long_memories[bucket(hash_text(reading.sensor))];
            let room = *held < LONG_MEMORIES_PER_BUCKET_MAX;
            *held += u16::from(room);
            room
        };
        if is_reread && memory.is_beyond(&arrival) {
            return Recall::New;
        }
        memory.recall(&arrival, lengthens)
    }

    /// The number of the sensor of this name, if it was looked for ahead of this record.
    fn found_ahead(&mut self, seq: Seq, name: &str) -> Option<usize> {
        let number = loop {
            let &(found_for, number) = self.ahead.front()?;
            if found_for > seq {
                return None;
            }
            self.ahead.pop_front();
            if found_for == seq {
                break number as usize;
            }
        };
        let known = self.sensors.get(number);
        known.filter(|sensor| sensor.id.as_str() == name)?;
        Some(number)
    }

    /// The number of the sensor of this name, which is given one if it is new; `None` beyond the
    /// bound. Anybody can compute which names fill a bucket: a registered sensor has a place all the
    /// same.
    fn sensor(
        &mut self,
        name: &str,
        record: &Record<'_>,
        found: &mut Vec<Finding>,
    ) -> Option<usize> {
        if let Some(&number) = self.numbers.get(name) {
            return Some(number as usize);
        }
        let bucket = bucket(hash_text(name));
        let max = match self.rules.sensor_number(name) {
            Some(_) => SENSORS_PER_BUCKET_REGISTERED_MAX,
            None => SENSORS_PER_BUCKET_MAX,
        };
        if self.buckets[bucket].len() >= usize::from(max) {
            return None;
        }
        let number = self.sensors.len();
        let id: SensorId = name.parse().expect("a reading's sensor is a valid name");
        self.put_in_bucket(bucket, number, &id);
        let rules = (&*self.rules, self.generation);
        let mut sensor = Sensor::new(id.clone(), rules, record.at);
        for (due, rule) in sensor.silences_due(|due| self.slots.take(bucket, due)) {
            let sensor = number as u32;
            self.silences.arm(Timer { due, rule, sensor });
        }
        self.numbers.insert(id, number as u32);
        self.sensors.push(sensor);
        self.tell_of_meter(number, Moment::of(record), found);
        Some(number)
    }

    /// Puts a sensor among those of its bucket that is not there yet.
    fn put_in_bucket(&mut self, bucket: usize, number: usize, id: &SensorId) {
        let sensors = &self.sensors;
        let held = &mut self.buckets[bucket];
        let before = |other: &u32| sensors[*other as usize].id < *id;
        let place = held.partition_point(before);
        held.insert(place, number as u32);
        if let Some(reloading) = &mut self.reloading {
            reloading.make_room(bucket, place);
        }
    }

    /// The sensor's track of this kind of reading, if it has begun.
    fn known_track(&self, number: usize, kind: &str) -> Option<usize> {
        let known = |track: &Track| self.rules.kind(track.kind).kind.as_str() == kind;
        self.sensors[number].tracks.iter().position(known)
    }

    /// Begins the sensor's track of this kind of reading.
    fn begin_track(&mut self, number: usize, kind: &str) -> Result<usize, NotJudged> {
        let sensor = &mut self.sensors[number];
        let kind = self.rules.kind_number(kind);
        let kind = kind.filter(|&kind| !self.rules.kind(kind).judges_nothing());
        let kind = kind.ok_or(NotJudged::NoRule)?;
        if sensor.tracks.len() == KINDS_PER_SENSOR_MAX {
            return Err(NotJudged::TooManyKinds);
        }
        let track = Track::new(kind, &self.rules, &sensor.id, sensor.registered);
        // Nearly all sensors send one kind.
        sensor.tracks.reserve_exact(1);
        sensor.tracks.push(track);
        Ok(sensor.tracks.len() - 1)
    }

    /// Asks every rule of the reading's kind.
    fn judge(
        &mut self,
        number: usize,
        track: usize,
        reading: &Reading<'_>,
        moment: Moment,
        found: &mut Vec<Finding>,
    ) {
        let kind = self.sensors[number].tracks[track].kind;
        for place in 0..self.rules.kind(kind).judging.len() {
            let rule_number = self.rules.kind(kind).judging[place];
            let rule = self.rules.detection(rule_number);
            let signal = rule_state::signal(&rule.test, reading);
            let signal = signal.filter(|_| concerns(rule, reading, moment.at));
            let is_over = self.sensors[number].has_taken_back(rule, reading);
            let Some(signal) = signal.filter(|_| !is_over) else {
                let counters = &mut self.rule_counters[rule_number as usize];
                match signal {
                    Some(_) => counters.taken_back += 1,
                    None => counters.unmatched += 1,
                }
                if let Some(names) = withdrawn(rule, reading) {
                    let detection = Detection::Withdrawn(names);
                    let sensor = &self.sensors[number];
                    found.push(finding(&self.rules, sensor, rule, moment, detection));
                }
                continue;
            };
            let said = Said {
                signal,
                observed_at: reading.observed_at.min(moment.at),
                at: moment.at,
            };
            let state = &self.sensors[number].tracks[track].states[place];
            let after_silence = state
                .judges_between(rule, said)
                .is_some_and(|between| self.pauses(number).end_at(reading.kind, between));
            let sensor = &mut self.sensors[number];
            let own = &mut sensor.tracks[track];
            let in_doubt = own.doubted && own.doubts(&self.rules, &rule.name, None);
            let state = &mut own.states[place];
            state.hears_in_doubt(in_doubt);
            let registered = sensor.registered.map(|number| self.rules.sensor(number));
            let position = reading.position.or(registered.and_then(|own| own.position));
            let sighting = |severity, excess| Sighting {
                reading: reading.id.parse().expect("a reading's id is valid"),
                seq: moment.seq,
                at: moment.at,
                value: reading.value,
                severity,
                excess,
                position,
                shared: Shared::of(
                    self.rules.asked_in_common(rule_number),
                    rule,
                    reading,
                    registered,
                ),
            };
            let before = state.due(rule);
            state.hears_after_silence(after_silence);
            let outcome = state.judge(rule, registered, said, sighting);
            let after = state.due(rule);
            if before != after {
                let of = (rule_number, number as u32);
                self.timers.replace(before, after, of);
            }
            let detection = self.rule_counters[rule_number as usize].count(rule, outcome);
            if let Some(mut detection) = detection {
                if let Detection::Reported {
                    until, replaces, ..
                } = &mut detection
                {
                    let most = moment.at + REPORT_COUNTS_MAX;
                    *until = says_until(rule, reading).map_or(*until, |said| said.min(most));
                    *replaces = withdrawn(rule, reading);
                }
                let sensor = &self.sensors[number];
                found.push(Finding {
                    observed_at: reading.observed_at.min(moment.at),
                    ..finding(&self.rules, sensor, rule, moment, detection)
                });
            }
        }
    }

    /// Hands a reading over to the rules about several sensors of its kind. What is too late for any
    /// of their steps goes no further.
    fn contribute(
        &mut self,
        number: usize,
        track: usize,
        reading: &Reading<'_>,
        moment: Moment,
        found: &mut Vec<Finding>,
    ) {
        let rules = Arc::clone(&self.rules);
        let sensor = &self.sensors[number];
        for &rule_number in &rules.kind(sensor.tracks[track].kind).across {
            let rule = rules.detection(rule_number);
            let too_late = match &rule.test {
                Test::Across(across) => Millis(across.step.0.saturating_add(across.lateness.0)),
                Test::Alone(_) => Millis(i64::MAX),
                _ => unreachable!("only rules about several sensors are asked across them"),
            };
            let counters = &mut self.rule_counters[rule_number as usize];
            let observed_at = reading.observed_at.min(moment.at);
            if !concerns(rule, reading, moment.at) {
                counters.unmatched += 1;
                continue;
            }
            if moment.at - observed_at >= too_late {
                counters.late += 1;
                continue;
            }
            counters.gathered += 1;
            let registered = sensor.registered.map(|number| rules.sensor(number));
            let detection = Detection::Contributed(Sighting {
                reading: reading.id.parse().expect("a reading's id is valid"),
                seq: moment.seq,
                at: moment.at,
                value: reading.value,
                severity: Severity::Unknown,
                excess: 0.0,
                position: reading.position.or(registered.and_then(|own| own.position)),
                shared: Shared::of(
                    rules.asked_in_common(rule_number),
                    rule,
                    reading,
                    registered,
                ),
            });
            found.push(Finding {
                observed_at,
                ..finding(&rules, sensor, rule, moment, detection)
            });
        }
    }

    /// Tells that a silent sensor speaks again.
    fn return_if_silent(
        &mut self,
        number: usize,
        heard_before: Timestamp,
        moment: Moment,
        found: &mut Vec<Finding>,
    ) {
        for place in 0..self.sensors[number].silences.len() {
            let sensor = &mut self.sensors[number];
            let (rule, state) = &mut sensor.silences[place];
            if !state.is_silent() {
                continue;
            }
            let bucket = bucket(hash_text(sensor.id.as_str()));
            let due = self.slots.take(bucket, state.speaks(moment.at));
            state.ask_at(due);
            self.silences.arm(Timer {
                due,
                rule: *rule,
                sensor: number as u32,
            });
            let rule = self.rules.detection(*rule);
            let sensor = &self.sensors[number];
            let hearing = sensor.hearing(&self.rules, heard_before);
            let detection = Detection::Returned(hearing);
            found.push(finding(&self.rules, sensor, rule, moment, detection));
        }
    }

    /// What tells of a sensor's pauses.
    fn pauses(&self, number: usize) -> Pauses<'_> {
        let sensor = &self.sensors[number];
        let registered = sensor.registered.map(|number| self.rules.sensor(number));
        Pauses {
            memory: &sensor.memory,
            silences: &sensor.silences,
            interval: registered.and_then(|own| own.interval),
            started_at: self.started_at,
            away: &self.away,
        }
    }

    /// Tells that a sensor is heard, if others are judged by its word.
    fn tell_of_meter(&self, number: usize, moment: Moment, found: &mut Vec<Finding>) {
        let sensor = &self.sensors[number];
        let networks = self.rules.networks();
        if sensor.registered.is_none() || !networks.is_meter(sensor.id.as_str()) {
            return;
        }
        found.push(Finding {
            seq: moment.seq,
            due: moment.due,
            rule: self.rules.meters().clone(),
            sensor: sensor.id.clone(),
            observed_at: moment.at,
            zone: None,
            doubted: false,
            quiet: false,
            detection: Detection::Heard(sensor.amiss(&self.rules)),
        });
    }

    /// Tells what a sensor says that shows outcomes of commands.
    fn show(&self, number: usize, reading: &Reading<'_>, moment: Moment, found: &mut Vec<Finding>) {
        let sensor = &self.sensors[number];
        let shows = |own| self.rules.shows_outcomes(own, reading.kind);
        if !sensor.registered.is_some_and(shows) {
            return;
        }
        let observed = Observed {
            reading: reading.id.parse().expect("a reading's id is valid"),
            value: reading.value,
            observed_at: reading.observed_at,
        };
        found.push(Finding {
            seq: moment.seq,
            due: moment.due,
            rule: self.rules.outcomes().clone(),
            sensor: sensor.id.clone(),
            observed_at: reading.observed_at.min(moment.at),
            zone: None,
            doubted: false,
            quiet: false,
            detection: Detection::Observed(observed),
        });
    }

    /// Checks that exactly the timers run that its sensors wait for.
    pub(crate) fn audit(&self, audit: &mut Audit) {
        let mut awaited = 0;
        for (number, sensor) in self.sensors.iter().enumerate() {
            let waits = self.waits(number);
            for (due, rule) in sensor.timers(self.rules_of(number)) {
                let timer = Timer {
                    due,
                    rule,
                    sensor: number as u32,
                };
                let runs = self.timers.runs(timer) || self.silences.runs(timer);
                // What was due while its sensor waited to take other rules over is no more.
                awaited += usize::from(runs || !waits);
                audit.expect(runs || waits, Invariant::TimersAgree, &sensor.id);
            }
        }
        let agree = awaited == self.timers.len() + self.silences.len();
        audit.expect(agree, Invariant::TimersAgree, "a sensor stage");
    }

    /// The last start, which all stages know alike.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }
}

/// From how many sensors on their state is more than the processor's caches hold.
const LOOKED_AHEAD_FROM: usize = 2048;

/// Why no rule looked at a reading.
enum NotJudged {
    NoRule,
    TooManyKinds,
}

/// The bucket of a sensor's name, by its hash. Shards are made of whole buckets.
fn bucket(hash: u64) -> usize {
    hash as usize % SENSOR_BUCKETS
}

/// What a reading says itself of until when it counts as a report, if that can be read.
fn says_until(rule: &DetectionRule, reading: &Reading<'_>) -> Option<Timestamp> {
    let Test::Report(report) = &rule.test else {
        return None;
    };
    let text = reading.attributes.get(report.until.as_deref()?)?;
    Timestamp::parse(text.as_bytes()).ok()
}

/// What a reading says is no more of what its source reported before.
fn withdrawn(rule: &DetectionRule, reading: &Reading<'_>) -> Option<Arc<str>> {
    let Test::Report(report) = &rule.test else {
        return None;
    };
    let names = reading.attributes.get(report.replaces.as_deref()?)?;
    (!names.is_empty()).then(|| names.into())
}

/// Whether the reading has all the attributes that a rule asks for, and as a report the value, and
/// says of itself that it counts still.
fn concerns(rule: &DetectionRule, reading: &Reading<'_>, now: Timestamp) -> bool {
    let says_enough = match &rule.test {
        Test::Report(report) => {
            report.value_min.is_none_or(|least| reading.value >= least)
                && says_until(rule, reading).is_none_or(|until| until > now)
        }
        Test::Threshold(_)
        | Test::Rate(_)
        | Test::Usual(_)
        | Test::Becomes(_)
        | Test::Window(_)
        | Test::Fault(_)
        | Test::SiteSilence(_)
        | Test::Across(_)
        | Test::Alone(_)
        | Test::Sequence(_)
        | Test::Silence(_) => true,
    };
    says_enough
        && rule.matching.iter().all(|asked| {
            let value = reading.attributes.get(&asked.name);
            value.is_some_and(|value| asked.values.iter().any(|any| any == value))
        })
}

fn finding(
    rules: &Rules,
    sensor: &Sensor,
    rule: &DetectionRule,
    moment: Moment,
    detection: Detection,
) -> Finding {
    let registered = sensor.registered;
    let zone = registered.and_then(|number| rules.sensor_zone(number));
    Finding {
        seq: moment.seq,
        due: moment.due,
        rule: rule.name.clone(),
        sensor: sensor.id.clone(),
        observed_at: moment.at,
        zone: zone.cloned(),
        doubted: sensor.is_doubted(rules, rule),
        quiet: false,
        detection,
    }
}

impl RuleCounters {
    /// Counts what a rule made of a reading, and makes a detection of it if it is one.
    fn count(&mut self, rule: &DetectionRule, outcome: Outcome) -> Option<Detection> {
        let counter = match &outcome {
            Outcome::Gathered => &mut self.gathered,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Normal | Outcome::Subsided => &mut self.normal,
            Outcome::Held | Outcome::Worsened(_) | Outcome::Eased(_) => &mut self.held,
            Outcome::Pending => &mut self.pending,
            Outcome::Late => &mut self.late,
            Outcome::Raised(..) => &mut self.raised,
            Outcome::Updated(..) | Outcome::Reported(_) => &mut self.evidence,
            Outcome::Cleared => &mut self.cleared,
        };
        *counter += 1;
        if let Outcome::Raised(_, sightings) = &outcome {
            self.evidence += sightings.len() as u64;
        }
        outcome.into_detection(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{self, Bundle, City, HandlingRules, Scale, SuppressionRules};
    use crate::limits::READINGS_REMEMBERED;
    use crate::reading::Attributes;
    use crate::record::BundleHash;

    fn reading<'a>(sensor: &'a str, id: &'a str) -> Input<'a> {
        Input::Reading(Reading {
            id,
            sensor,
            kind: "level",
            observed_at: Timestamp::default(),
            received_at: None,
            value: 1.0,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        })
    }

    fn stage_over(inputs: &[Input<'_>], shard: Shard) -> SensorStage {
        let mut stage = SensorStage::new(shard);
        for (input, seq) in inputs.iter().zip(1..) {
            let record = Record {
                seq,
                at: Timestamp::default(),
                input: *input,
            };
            stage.apply(&record, &mut Vec::new());
        }
        stage
    }

    #[test]
    fn a_full_bucket_takes_no_further_sensor_and_counts_what_it_says() {
        let names = (0..).map(|number| format!("s-{number}"));
        let names = names.filter(|name| bucket(hash_text(name)) == 5);
        let names: Vec<_> = names
            .take(usize::from(SENSORS_PER_BUCKET_MAX) + 1)
            .collect();
        let inputs: Vec<_> = names.iter().map(|name| reading(name, "a")).collect();
        let shards = [(0, 1), (5, 8)].map(|(number, count)| Shard { number, count });
        for shard in shards {
            let stage = stage_over(&inputs, shard);
            assert_eq!(stage.sensors_known(), usize::from(SENSORS_PER_BUCKET_MAX));
            assert_eq!(stage.counters().readings_of_sensors_over_limit, 1);
        }
    }

    #[test]
    fn invented_names_that_fill_a_bucket_silence_no_registered_sensor() {
        let names = (0..).map(|number| format!("s-{number}"));
        let mut names = names.filter(|name| bucket(hash_text(name)) == 5);
        let invented: Vec<_> = names
            .by_ref()
            .take(usize::from(SENSORS_PER_BUCKET_MAX))
            .collect();
        let inputs: Vec<_> = invented.iter().map(|name| reading(name, "a")).collect();
        let mut stage = stage_over(
            &inputs,
            Shard {
                number: 0,
                count: 1,
            },
        );
        let registered = names.next().expect("names go on");
        stage.rules = Arc::new(Rules::new(Arc::new(city_of(&registered))));
        for (name, seq) in [names.next().expect("names go on"), registered]
            .iter()
            .zip(2_000..)
        {
            let record = Record {
                seq,
                at: Timestamp::default(),
                input: reading(name, "b"),
            };
            stage.apply(&record, &mut Vec::new());
        }
        assert_eq!(
            stage.sensors_known(),
            usize::from(SENSORS_PER_BUCKET_MAX) + 1
        );
        assert_eq!(stage.counters().readings_of_sensors_over_limit, 1);
    }

    /// A city of one sensor, without rules.
    fn city_of(sensor: &str) -> Bundle {
        let sensor = bundle::Sensor {
            id: sensor.parse().unwrap(),
            kind: "level".parse().unwrap(),
            unit: String::new(),
            position: None,
            zone: None,
            gateway: None,
            interval: None,
            warning: None,
            danger: None,
            scale: Scale::OfKind,
        };
        Bundle {
            hash: BundleHash([1; 32]),
            detections: Vec::new(),
            correlations: Vec::new(),
            handling: HandlingRules::NONE,
            suppression: SuppressionRules::USUAL,
            city: City {
                sensors: vec![sensor],
                ..City::default()
            },
        }
    }

    #[test]
    fn only_so_many_sensors_of_a_bucket_have_a_long_memory() {
        let names = (0..).map(|number| format!("s-{number}"));
        let names = names.filter(|name| bucket(hash_text(name)) == 5);
        let room = usize::from(LONG_MEMORIES_PER_BUCKET_MAX);
        let names: Vec<_> = names.take(room + 1).collect();
        // All of one instant, so that each wants a long memory for what exceeds the short one.
        let ids: Vec<_> = (0..=READINGS_REMEMBERED)
            .map(|number| format!("r-{number}"))
            .collect();
        let said = |name| ids.iter().map(move |id| reading(name, id));
        let mut inputs: Vec<_> = names.iter().flat_map(|name| said(name)).collect();
        inputs.extend(names.iter().map(|name| reading(name, &ids[0])));
        for (number, count) in [(0, 1), (5, 8)] {
            let stage = stage_over(&inputs, Shard { number, count });
            assert_eq!(stage.long_memories[5], LONG_MEMORIES_PER_BUCKET_MAX);
            assert_eq!(stage.counters().readings_duplicate, room as u64);
        }
    }

    #[test]
    fn looking_ahead_changes_nothing_whatever_comes_then() {
        let names = ["a", "b", "a", "c", "b", "a"];
        let ids = ["1", "1", "2", "1", "1", "3"];
        let inputs: Vec<_> = names
            .iter()
            .zip(ids)
            .map(|(name, id)| reading(name, id))
            .collect();
        let records = inputs.iter().zip(1..).map(|(&input, seq)| Record {
            seq,
            at: Timestamp::default(),
            input,
        });
        let records: Vec<_> = records.collect();
        let shard = Shard {
            number: 0,
            count: 1,
        };
        let plain = stage_over(&inputs, shard).counters();
        for (ahead, applied) in [(0..6, 0..6), (3..6, 0..6), (0..3, 0..6)] {
            let mut stage = SensorStage::new(shard);
            for record in &records[applied] {
                // Each time with hints about others, too.
                stage.look_ahead(&records[ahead.clone()]);
                stage.apply(record, &mut Vec::new());
            }
            assert_eq!((stage.counters(), stage.sensors_known()), (plain, 3));
        }
        assert_eq!(plain.readings_duplicate, 1);
        let mut misled = SensorStage::new(shard);
        misled.apply(&records[0], &mut Vec::new());
        misled.look_ahead(&records[2..3]);
        let other = Record {
            seq: 3,
            ..records[1]
        };
        misled.apply(&other, &mut Vec::new());
        assert_eq!(
            misled.sensors_known(),
            2,
            "a number is believed only with its name"
        );
    }

    #[test]
    fn each_sensor_is_of_exactly_one_shard() {
        let names: Vec<_> = (0..100).map(|number| format!("s-{number}")).collect();
        let inputs: Vec<_> = names.iter().map(|name| reading(name, "a")).collect();
        for count in 1..=9 {
            let shards = (0..count).map(|number| Shard { number, count });
            let known = shards.map(|shard| stage_over(&inputs, shard).sensors_known());
            assert_eq!(known.sum::<usize>(), names.len());
        }
    }
}
