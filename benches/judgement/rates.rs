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
/// How many batches are timed together.
const PART: usize = 10;

/// Nanoseconds for each reading.
pub type Nanos = f64;

/// What a round cost, part by part: the same readings in each round, so that of each part the
/// least can be taken. A machine that does something else for a while spoils parts, not rounds.
#[derive(Debug, Clone)]
pub struct Parts(Vec<Duration>);

impl Parts {
    /// Times the work on so many batches, one part after the other.
    fn timed<B>(batches: &[B], mut work: impl FnMut(&B)) -> Self {
        let parts = batches.chunks(PART);
        let parts = parts.map(|part| spent(|| part.iter().for_each(&mut work)).0);
        Self(parts.collect())
    }

    /// Of each part the least of both rounds.
    fn or_less(&mut self, other: &Self) {
        for (part, other) in self.0.iter_mut().zip(&other.0) {
            *part = (*part).min(*other);
        }
    }

    fn per_reading(&self) -> Nanos {
        self.0.iter().sum::<Duration>().as_nanos() as f64 / READINGS as f64
    }
}

/// What each of these costs for a reading: so many rounds of all in turns, of each part the least.
pub fn least<const N: usize>(rounds: usize, costs: [&dyn Fn() -> Parts; N]) -> [Nanos; N] {
    let mut least = costs.map(|cost| cost());
    for _ in 1..rounds {
        for (least, cost) in least.iter_mut().zip(costs) {
            least.or_less(&cost());
        }
    }
    least.map(|parts| parts.per_reading())
}

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

fn judge(judgement: &mut Judgement, log: &Log, next: &mut Seq) -> Parts {
    let mut decisions = Vec::new();
    Parts::timed(&log.batches, |batch| {
        let records = Records::new(*next, batch).map(|record| record.expect("framed here"));
        let records: Vec<_> = records.collect();
        *next += records.len() as Seq;
        judgement.apply(&records, &mut decisions);
        decisions.clear();
    })
}

fn judgement(bundle: &Arc<Bundle>) -> (Judgement, Log) {
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    judgement.provide(Arc::clone(bundle));
    let mut log = Log::new();
    log.begin_batch();
    log.push(&Input::Reload(bundle.hash));
    (judgement, log)
}

/// What a reading costs on its way: its JSON, and that with its bytes in the log and their hash; and
/// judging it where no rule looks at it, and where one finds it normal.
pub struct Shares {
    pub parse: Nanos,
    pub parse_and_log: Nanos,
    pub of_no_rule: Nanos,
    pub normal: Nanos,
    /// A line of memory that is waited for.
    pub cold_line: Nanos,
}

pub fn shares(sensors: usize, rounds: usize) -> Shares {
    let lines = lines(sensors);
    let [parse, parse_and_log, of_no_rule, normal, cold_line] = least(
        rounds,
        [
            &|| parse(&lines),
            &|| parse_and_log(&lines),
            &|| of_kind("unheard_of", sensors, 10),
            &|| of_kind("voltage", sensors, 10),
            &cold_line,
        ],
    );
    Shares {
        parse,
        parse_and_log,
        of_no_rule,
        normal,
        cold_line,
    }
}

/// Readings as JSON, in batches.
fn lines(sensors: usize) -> Vec<Vec<String>> {
    let line = |n: usize| {
        let at = begin() + Millis(n as i64);
        format!(
            "{{\"id\":\"r{n}\",\"sensor\":\"{}\",\"kind\":\"unheard_of\",\"observed_at\":\"{at}\",\
             \"value\":1.5,\"position\":[101.5,3.1]}}",
            name(n % sensors)
        )
    };
    let lines: Vec<_> = (0..READINGS).map(line).collect();
    lines.chunks(BATCH).map(<[_]>::to_vec).collect()
}

fn catalogue() -> Catalogue {
    Catalogue {
        unregistered: Unregistered::Accept,
        ..Catalogue::default()
    }
}

fn parse(lines: &[Vec<String>]) -> Parts {
    let (catalogue, mut scratch) = (catalogue(), native::Scratch::default());
    Parts::timed(lines, |lines| {
        for line in lines {
            let reading = native::decode(line.as_bytes(), None, &catalogue, &mut scratch);
            black_box(reading.expect("a reading"));
        }
    })
}

fn parse_and_log(lines: &[Vec<String>]) -> Parts {
    let (catalogue, mut scratch) = (catalogue(), native::Scratch::default());
    let mut payload = Vec::new();
    Parts::timed(lines, |lines| {
        payload.clear();
        for line in lines {
            let reading = native::decode(line.as_bytes(), None, &catalogue, &mut scratch);
            let input = Input::Reading(reading.expect("a reading"));
            Record::frame_input(begin(), &input, &mut payload);
        }
        black_box(blake3::hash(&payload));
    })
}

/// What it costs to wait for a line of memory that no cache has, where nothing else can be done
/// meanwhile: a walk through lines of which each says which is next.
pub fn cold_line() -> Parts {
    /// About as much as the state of 100,000 sensors.
    const LINES: usize = 1 << 20;
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Line {
        next: u32,
    }
    let mut lines: Vec<_> = (0..LINES as u32).map(|next| Line { next }).collect();
    // One circle through all of them (Sattolo), the same each time.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..LINES).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        lines.swap(last, (random % last as u64) as usize);
    }
    let steps: Vec<_> = (0..READINGS.div_ceil(BATCH))
        .map(|batch| BATCH.min(READINGS - batch * BATCH))
        .collect();
    let mut at = 0;
    Parts::timed(&steps, |steps| {
        for _ in 0..*steps {
            at = lines[at as usize].next;
        }
        black_box(at);
    })
}

/// What judging a normal reading of this kind costs under so many rules, each of a kind of its own.
pub fn of_kind(kind: &str, sensors: usize, rules: usize) -> Parts {
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
    judge(&mut judgement, &log, &mut next)
}

/// What judging a reading costs that joins an incident or leaves it, while so many are open.
pub fn joining(incidents: usize) -> Parts {
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
    let cost = judge(&mut judgement, &log, &mut next);
    assert_eq!(judgement.counters().incidents_live as usize, incidents);
    cost
}
