//! What a reading costs: beside its parsing and logging, and however many rules and open
//! incidents there are.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ioc_bench::city::{Builder, on_grid};
use ioc_bench::stepped::spent;
use ioc_core::bundle::Bundle;
use ioc_core::judgement::Judgement;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{Input, Record, Records, Seq};
use ioc_core::time::{Millis, Timestamp};
use ioc_gateway::catalogue::{Catalogue, Unregistered};
use ioc_gateway::formats::native;

/// How many readings a round judges.
const READINGS: usize = 200_000;
const BATCH: usize = 1_024;

/// Nanoseconds for each reading.
pub type Nanos = f64;

fn begin() -> Timestamp {
    Timestamp::parse(b"2026-03-14T00:00:00Z").expect("a time")
}

fn name(number: usize) -> String {
    format!("s-{number:06}")
}

/// Records as the log holds them: so many readings of sensors in turn.
struct Log {
    batches: Vec<Vec<u8>>,
    at: Timestamp,
}

impl Log {
    fn new() -> Self {
        Self {
            batches: Vec::new(),
            at: begin(),
        }
    }

    fn begin_batch(&mut self) {
        self.batches.push(Vec::new());
    }

    fn push(&mut self, input: &Input<'_>) {
        let batch = self.batches.last_mut().expect("a batch is begun");
        Record::frame_input(self.at, input, batch);
    }

    fn reads(&mut self, id: usize, sensor: &str, kind: &str, value: f64) {
        let id = format!("r{id}");
        let reading = Reading {
            id: &id,
            sensor,
            kind,
            observed_at: self.at,
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        self.push(&Input::Reading(reading));
    }
}

fn judge(judgement: &mut Judgement, log: &Log, next: &mut Seq) {
    let mut decisions = Vec::new();
    for batch in &log.batches {
        let records = Records::new(*next, batch).map(|record| record.expect("framed here"));
        let records: Vec<_> = records.collect();
        *next += records.len() as Seq;
        judgement.apply(&records, &mut decisions);
        decisions.clear();
    }
}

fn judgement(bundle: &Arc<Bundle>) -> (Judgement, Log) {
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    judgement.provide(Arc::clone(bundle));
    let mut log = Log::new();
    log.begin_batch();
    log.push(&Input::Reload(bundle.hash));
    (judgement, log)
}

fn per_reading(spent: Duration) -> Nanos {
    spent.as_nanos() as f64 / READINGS as f64
}

/// What a reading costs on its way: its JSON, its bytes in the log with their hash, and judging it
/// where no rule looks at it, and where one finds it normal. The least of so many rounds.
pub struct Shares {
    pub parse: Nanos,
    pub log: Nanos,
    pub of_no_rule: Nanos,
    pub normal: Nanos,
}

pub fn shares(sensors: usize, rounds: usize) -> Shares {
    let mut least = Shares {
        parse: Nanos::MAX,
        log: Nanos::MAX,
        of_no_rule: Nanos::MAX,
        normal: Nanos::MAX,
    };
    for _ in 0..rounds {
        let (parse, log) = parse_and_log(sensors);
        least.parse = least.parse.min(parse);
        least.log = least.log.min(log);
        least.of_no_rule = least.of_no_rule.min(of_kind("unheard_of", sensors, 10));
        least.normal = least.normal.min(of_kind("voltage", sensors, 10));
    }
    least
}

fn parse_and_log(sensors: usize) -> (Nanos, Nanos) {
    let line = |n: usize| {
        let at = begin() + Millis(n as i64);
        format!(
            "{{\"id\":\"r{n}\",\"sensor\":\"{}\",\"kind\":\"unheard_of\",\"observed_at\":\"{at}\",\
             \"value\":1.5,\"position\":[101.5,3.1]}}",
            name(n % sensors)
        )
    };
    let lines: Vec<_> = (0..READINGS).map(line).collect();
    let catalogue = Catalogue {
        unregistered: Unregistered::Accept,
        ..Catalogue::default()
    };
    let mut scratch = native::Scratch::default();
    let (parse, ()) = spent(|| {
        for line in &lines {
            let reading = native::decode(line.as_bytes(), None, &catalogue, &mut scratch);
            black_box(reading.expect("a reading"));
        }
    });
    let mut payload = Vec::new();
    let (both, ()) = spent(|| {
        for lines in lines.chunks(BATCH) {
            payload.clear();
            for line in lines {
                let reading = native::decode(line.as_bytes(), None, &catalogue, &mut scratch);
                let input = Input::Reading(reading.expect("a reading"));
                Record::frame_input(begin(), &input, &mut payload);
            }
            black_box(blake3::hash(&payload));
        }
    });
    let (parse, both) = (per_reading(parse), per_reading(both));
    (parse, both - parse)
}

/// What judging a normal reading of this kind costs under so many rules, each of a kind of its own.
pub fn of_kind(kind: &str, sensors: usize, rules: usize) -> Nanos {
    let mut city = Builder::new();
    for rule in 0..rules - 1 {
        let kind = format!("kind_{rule}");
        city = city.above_three(&format!("alarm-{rule}"), &kind, 1);
        city = city.incidents(
            &format!("incidents-{rule}"),
            &format!("incident_{rule}"),
            &format!("alarm-{rule}"),
            |_| (),
        );
    }
    let city = city.above_three("voltage-high", "voltage", 1);
    let city = city.incidents("outages", "outage", "voltage-high", |_| ());
    let (mut judgement, mut log) = judgement(&city.build(1));
    for number in 0..sensors {
        log.reads(number, &name(number), kind, 1.0);
    }
    let mut next = 1;
    judge(&mut judgement, &log, &mut next);
    let mut log = Log::new();
    for n in 0..READINGS {
        if n % BATCH == 0 {
            log.begin_batch();
        }
        log.at = begin() + Millis(n as i64);
        log.reads(sensors + n, &name(n % sensors), kind, 1.5);
    }
    let (cost, ()) = spent(|| judge(&mut judgement, &log, &mut next));
    per_reading(cost)
}

/// What judging a reading costs that joins an incident or leaves it, while so many are open.
pub fn joining(incidents: usize) -> Nanos {
    let speakers = 1_000;
    let other = |number: usize| format!("other-{number:06}");
    let city = Builder::new()
        .sensors(speakers, "voltage", name, |number| {
            on_grid(number % 10, 3_000)
        })
        .sensors(incidents, "voltage", other, |number| on_grid(number, 3_000))
        .above_three("alarm", "voltage", 1)
        .incidents("outages", "outage", "alarm", |_| ());
    let (mut judgement, mut log) = judgement(&city.build(1));
    for number in 0..incidents {
        log.reads(number, &other(number), "voltage", 5.0);
    }
    let mut next = 1;
    judge(&mut judgement, &log, &mut next);
    assert_eq!(judgement.counters().incidents_live as usize, incidents);
    let mut log = Log::new();
    for n in 0..READINGS {
        if n % BATCH == 0 {
            log.begin_batch();
        }
        log.at = begin() + Millis((n / 10) as i64);
        let value = if n / speakers % 2 == 0 { 5.0 } else { 1.0 };
        log.reads(incidents + n, &name(n % speakers), "voltage", value);
    }
    let (cost, ()) = spent(|| judge(&mut judgement, &log, &mut next));
    assert_eq!(judgement.counters().incidents_live as usize, incidents);
    per_reading(cost)
}
