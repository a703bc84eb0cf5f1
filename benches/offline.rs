//! How fast recorded readings are judged, beside merely parsing them.
//!
//! Sketch: a native reading is about 190 bytes; serde_json parses it into a borrowed struct in
//! 200–350 ns on one core. On top come decoding it to the journal's bytes and reading those
//! (copies of 150 bytes, validity checks: 100 ns), and judging it (one look-up, one duplicate
//! scan, one state access: 100 ns, with 100,000 sensors two or three cache misses more). A sensor
//! that is heard for the first time costs some 700 ns more: memory that the system has never given
//! out, so with few readings of many sensors the ratio is lower.
//!
//! Run with `cargo bench --bench offline`; it prints a table of ratios from one run. Each figure
//! is the median of several rounds in which parsing, decoding and judging take turns.

use std::borrow::Cow;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clap::Parser;
use ioc::config::compile::Compiled;
use ioc::config::source::Source;
use ioc_bench::report::{self, Target};
use ioc_core::judgement::Judgement;
use ioc_core::record::{Input, Record, Records, Seq};
use ioc_core::time::{Millis, Timestamp};
use ioc_gateway::catalogue::Unregistered;
use ioc_gateway::formats::native;
use serde::Deserialize;

/// How fast native readings are judged from memory (JSON in, decisions out, one core), beside
/// merely parsing the same lines with serde_json into a borrowed struct.
///
/// Example: cargo bench --bench offline -- --sensors 20000 --rounds 9
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench offline --")]
struct Options {
    /// How many sensors send the readings, in turns; several numbers make a line each.
    #[arg(long, value_delimiter = ',', default_values_t = [500, 100_000])]
    sensors: Vec<usize>,
    /// How many readings.
    #[arg(long, default_value_t = 2_000_000)]
    readings: usize,
    /// How many rounds; the medians are told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// `cargo bench` says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

const BATCH: usize = 1024;

/// What the same lines are merely parsed into.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only parsed")]
struct Parsed<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    sensor: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    observed_at: Cow<'a, str>,
    value: f64,
    #[serde(borrow)]
    unit: Cow<'a, str>,
    position: [f64; 2],
    #[serde(borrow)]
    received_at: Cow<'a, str>,
}

fn main() {
    let options = Options::parse();
    println!(
        "{:>8} {:>10} {:>10} {:>10}  ratio of judging to parsing",
        "sensors", "parse/s", "decode/s", "judge/s"
    );
    for &sensors in &options.sensors {
        let [parsed, decoded, judged] = rates(sensors, &options);
        // Many sensors do not fit into the processor's caches.
        let target = if sensors <= 1000 { 0.5 } else { 0.4 };
        let ratio = Target::AtLeast(target).judge(judged / parsed);
        println!("{sensors:>8} {parsed:>10.0} {decoded:>10.0} {judged:>10.0}  {ratio}");
    }
}

/// Readings a second, parsed, decoded and judged: medians of rounds in which they take turns.
fn rates(sensors: usize, options: &Options) -> [f64; 3] {
    let lines = lines(sensors, options.readings);
    let compiled = Source::read(None, None).and_then(|source| source.compile());
    let compiled = compiled.expect("the shipped rules have no mistakes");
    let mut rounds: Vec<[Duration; 3]> = Vec::new();
    for _ in 0..options.rounds {
        rounds.push([
            timed(|| parse(&lines)),
            timed(|| decode(&lines, &compiled)),
            timed(|| judge(&lines, &compiled)),
        ]);
    }
    [0, 1, 2].map(|what| {
        let taken = rounds.iter().map(|round| round[what].as_secs_f64());
        options.readings as f64 / report::median(taken.collect())
    })
}

/// How long something takes; not how long what it made takes to be freed.
fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    let made = work();
    let taken = began.elapsed();
    drop(made);
    taken
}

/// Readings of so many sensors in turn, one in 250 of them abnormal.
fn lines(sensors: usize, readings: usize) -> Vec<String> {
    let begin = Timestamp::parse(b"2026-03-14T00:00:00Z").expect("a time");
    let line = |n: usize| {
        let (sensor, round) = (n % sensors, n / sensors);
        let at = begin + Millis((round * 10_000 + sensor * 10_000 / sensors) as i64);
        let received = at + Millis(40);
        let value = if n.is_multiple_of(250) {
            90.0
        } else {
            10.0 + (n % 60) as f64 + 0.25
        };
        let lon = -46.5 + (sensor * 7 % 40_000) as f64 / 1e5;
        let lat = -23.4 + (sensor % 30_000) as f64 / 1e5;
        format!(
            "{{\"id\":\"e{n:010}\",\"sensor\":\"s-{sensor:06}\",\"kind\":\"pm25\",\
             \"observed_at\":\"{at}\",\"value\":{value},\"unit\":\"ug/m3\",\
             \"position\":[{lon:.5},{lat:.5}],\"received_at\":\"{received}\"}}"
        )
    };
    (0..readings).map(line).collect()
}

fn parse(lines: &[String]) {
    for line in lines {
        let parsed: Parsed<'_> = serde_json::from_slice(line.as_bytes()).expect("a reading");
        black_box(parsed);
    }
}

fn decode(lines: &[String], compiled: &Compiled) {
    let catalogue = compiled.catalogue(Unregistered::Accept);
    let mut scratch = native::Scratch::default();
    for line in lines {
        let reading = native::decode(line.as_bytes(), None, &catalogue, &mut scratch);
        black_box(reading.expect("a reading"));
    }
}

/// What `ioc backtest` does with each line, but for reading the file and printing.
fn judge(lines: &[String], compiled: &Compiled) -> Judgement {
    let catalogue = compiled.catalogue(Unregistered::Accept);
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    judgement.provide(compiled.bundle.clone());
    let reload = Input::Reload(compiled.bundle.hash);
    let mut scratch = native::Scratch::default();
    let (mut payload, mut decisions) = (Vec::new(), Vec::new());
    let mut first = 1;
    for (place, chunk) in lines.chunks(BATCH).enumerate() {
        payload.clear();
        for (n, line) in chunk.iter().enumerate() {
            let reading = native::decode(line.as_bytes(), None, &catalogue, &mut scratch);
            let reading = reading.expect("a reading");
            let at = reading.received_at.expect("recorded");
            if (place, n) == (0, 0) {
                Record::frame_input(at, &reload, &mut payload);
            }
            Record::frame_input(at, &Input::Reading(reading), &mut payload);
        }
        let records: Vec<_> = Records::new(first, &payload)
            .map(|record| record.expect("framed here"))
            .collect();
        first += records.len() as Seq;
        judgement.apply(&records, &mut decisions);
        decisions.clear();
    }
    black_box(&decisions);
    judgement
}
