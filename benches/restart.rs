//! What memory the sensors take, and how soon a server that was killed is ready again.
//!
//! Sketch: a sensor is some 700 bytes with what is remembered of its readings, so 100,000 take
//! 70 MB, whatever number of readings they send. A record is 130 bytes: 10 million of them, 83
//! minutes at 2,000 a second, are 1.3 GB, which is read at 1 to 2 GB/s from the page cache, hashed
//! at 3 GB/s, and judged at 2 million records a second if each costs 500 ns.
//!
//! Run with `cargo bench --bench restart`.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use ioc_bench::flood::{Flood, FloodOptions};
use ioc_bench::options::Common;
use ioc_bench::pace::{PROBE_KIND, PaceOptions, Pacing, Schedule};
use ioc_bench::report::{self, Target};
use ioc_bench::servers::Ioc;

const IOC: &str = env!("CARGO_BIN_EXE_ioc");

/// Memory over many readings of many sensors; then `kill -9` while readings arrive, and how long
/// it takes until the server is ready again; then how fast its journal is judged from the
/// beginning (`ioc backtest DATA`).
///
/// Example: cargo bench --bench restart -- --readings 2000000 --sensors 10000
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench restart --")]
struct Options {
    /// How many sensors there are.
    #[arg(long, default_value_t = 100_000)]
    sensors: u32,
    /// How many readings they send in all: at 2,000 a second, 10 million are 83 minutes. They are
    /// sent as fast as they are taken.
    #[arg(long, default_value_t = 10_000_000)]
    readings: u64,
    /// How many readings a second arrive when the server is killed.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// For how many seconds before that they do.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How often it is killed and started again.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    common: Common,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let data = scratch.path().join("data");
    let mut server = Ioc::start(IOC, &data, None)?;
    fill(&options, &server)?;

    let mut starts = Vec::new();
    for round in 1..=options.rounds {
        arrive_and_kill(&options, server)?;
        server = Ioc::start(IOC, &data, None)?;
        let (took, usage) = (server.ready_after, server.usage()?);
        println!(
            "kill {round}: ready again after {}, {} resident",
            report::time(took),
            report::bytes(usage.resident_bytes)
        );
        starts.push(took.as_secs_f64());
    }
    let verdict = Target::AtMost(10.0).judge(report::median(starts));
    println!("seconds until ready, median: {verdict}");
    server.kill();
    replay(&options, &data)
}

/// Sends the readings, and tells the memory on the way.
fn fill(options: &Options, server: &Ioc) -> io::Result<()> {
    const STEPS: u64 = 10;
    let before = server.usage()?.resident_bytes;
    println!(
        "{:>12} {:>12} {:>14}",
        "readings", "resident", "bytes/sensor"
    );
    let tell = |readings: u64| -> io::Result<u64> {
        let resident = server.usage()?.resident_bytes;
        println!(
            "{readings:>12} {:>12} {:>14}",
            report::bytes(resident),
            resident.saturating_sub(before) / u64::from(options.sensors)
        );
        Ok(resident)
    };
    tell(0)?;
    let flood = Flood::start(
        server.mqtt,
        FloodOptions {
            connections: 8,
            in_flight: 1000,
            sensors: options.sensors,
            readings: options.readings,
            first: 0,
        },
    )?;
    let began = Instant::now();
    let mut early = 0;
    for step in 1..=STEPS {
        flood.wait_for(options.readings * step / STEPS);
        let resident = tell(flood.acknowledged())?;
        if step == 2 {
            early = resident;
        }
    }
    let sent = flood.finish()?;
    let rate = sent as f64 / began.elapsed().as_secs_f64();
    let late = server.usage()?.resident_bytes;
    println!(
        "{} readings at {}/s; from a fifth of them to the last memory grew by {:.1} %",
        sent,
        report::rate(rate),
        (late as f64 / early as f64 - 1.0) * 100.0
    );
    Ok(())
}

/// Lets readings arrive at a steady rate and kills the server among them.
fn arrive_and_kill(options: &Options, server: Ioc) -> io::Result<()> {
    let pace = PaceOptions {
        connections: 4,
        rate: options.rate,
        readings: u64::MAX,
        sensors: options.sensors,
        alarm_every: 0,
        alarm_kind: PROBE_KIND,
    };
    let pacing = Pacing::start(server.mqtt, pace, Schedule::soon(options.rate))?;
    thread::sleep(Duration::from_secs(u64::from(options.seconds)));
    server.kill();
    pacing.abandon();
    Ok(())
}

/// Judges the whole journal from its beginning.
fn replay(options: &Options, data: &Path) -> io::Result<()> {
    let mut rates = Vec::new();
    for _ in 0..options.rounds {
        let began = Instant::now();
        let mut backtest = Command::new(IOC);
        backtest
            .arg("backtest")
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = backtest.status()?;
        if !status.success() {
            return Err(io::Error::other(format!(
                "ioc backtest ended with {status}"
            )));
        }
        rates.push(options.readings as f64 / began.elapsed().as_secs_f64());
    }
    println!(
        "replay of the journal, records/s: {}",
        report::spread(rates.clone(), report::rate)
    );
    println!(
        "of 2 million: {}",
        Target::AtLeast(1.0).judge(report::median(rates) / 2e6)
    );
    Ok(())
}
