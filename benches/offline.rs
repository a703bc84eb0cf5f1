//! How fast recorded readings are judged, beside merely parsing them.
//!
//! Sketch: a native reading is about 190 bytes; serde_json parses it into a borrowed struct in
//! 200–350 ns on one core. On top come decoding it to the journal's bytes and reading those
//! (copies of 150 bytes, validity checks: 100 ns), and judging it (one look-up, one duplicate
//! scan, one state access: 100 ns, with 100,000 sensors two or three cache misses more).
//!
//! Run with `cargo bench --bench offline`; it prints a table of ratios from one run. Each figure
//! is the median of several rounds in which parsing, decoding and judging take turns.

use std::borrow::Cow;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use ioc::config::compile::Compiled;
use ioc::config::source::Source;
use ioc_core::judgement::Judgement;
use ioc_core::record::{Input, Record, Records, Seq};
use ioc_core::time::{Millis, Timestamp};
use ioc_gateway::catalogue::Unregistered;
use ioc_gateway::formats::native;
use serde::Deserialize;

const READINGS: usize = 500_000;
const ROUNDS: usize = 5;
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
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>6}",
        "sensors", "parse/s", "decode/s", "judge/s", "ratio"
    );
    for sensors in [500, 100_000] {
        let lines = lines(sensors);
        let compiled = Source::read(None, None).and_then(|source| source.compile());
        let compiled = compiled.expect("the shipped rules have no mistakes");
        let mut rounds: Vec<[Duration; 3]> = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push([
                timed(|| parse(&lines)),
                timed(|| decode(&lines, &compiled)),
                timed(|| judge(&lines, &compiled)),
            ]);
        }
        let [parsed, decoded, judged] = [0, 1, 2].map(|what| {
            let mut taken: Vec<_> = rounds.iter().map(|round| round[what]).collect();
            taken.sort();
            READINGS as f64 / taken[ROUNDS / 2].as_secs_f64()
        });
        let ratio = judged / parsed;
        println!("{sensors:>8} {parsed:>10.0} {decoded:>10.0} {judged:>10.0} {ratio:>6.2}");
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// Readings of so many sensors in turn, one in 250 of them abnormal.
fn lines(sensors: usize) -> Vec<String> {
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
    (0..READINGS).map(line).collect()
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
fn judge(lines: &[String], compiled: &Compiled) {
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
}
