//! From publishing a reading that opens an incident to its frame at a console.
//!
//! Sketch: on this path a reading crosses a socket, is decoded, handed to the engine, written and
//! synced while it is judged, released, and framed and written to a console: two sockets, one sync
//! (100 µs here) of which another may be under way (half of one more), and four wake-ups of
//! threads (20 to 50 µs each on a virtual machine whose core sleeps). So about 300 µs, beside 50 µs
//! for a broker's relay over two sockets plus 100 µs for a sync.
//!
//! Open loop: each reading has an intended send time, from which its latency counts. Run with
//! `cargo bench --bench latency`; `ioc` and the baseline are measured in each round, in turns.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use ioc_bench::console::{Console, openers};
use ioc_bench::histogram::Histogram;
use ioc_bench::options::Common;
use ioc_bench::pace::{PROBE_KIND, PROBE_UNIT, PaceOptions, Pacing, Schedule};
use ioc_bench::process::Usage;
use ioc_bench::readings::number_of;
use ioc_bench::report::{self, Target};
use ioc_bench::servers::{self, Ioc, Mosquitto};

/// From publishing a reading that opens an incident to its frame at a console, while 10,000
/// readings a second arrive; beside a broker's bare relay at the same rate plus one fdatasync on
/// the same file system.
///
/// The baseline's percentiles are the sums of the relay's and the sync's: for the p99 that is more
/// than the p99 of the sum, for the median about the same.
///
/// Example: cargo bench --bench latency -- --rate 1000 --rounds 3
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench latency --")]
struct Options {
    /// Readings a second.
    #[arg(long, default_value_t = 10_000)]
    rate: u32,
    /// Of so many readings one opens an incident.
    #[arg(long, default_value_t = 100)]
    alarm_every: u32,
    /// How many sensors speak in turns, besides those that open incidents.
    #[arg(long, default_value_t = 10_000)]
    sensors: u32,
    /// How many connections publish, in turns.
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// How many rounds; the medians are told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each is measured in each round, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Leaves the broker out.
    #[arg(long)]
    alone: bool,
    /// Measures `ioc` alone, at this rate and at so many times as much: what opens incidents is then
    /// of an urgent kind and comes as often as before, the rest is telemetry on the same connections.
    #[arg(long, value_name = "TIMES")]
    storm: Option<u32>,
    #[command(flatten)]
    common: Common,
}

/// Percentiles of one round, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
    max: f64,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    if let Some(times) = options.storm {
        return storm(&options, times);
    }
    let broker = match options.alone {
        true => None,
        false => Mosquitto::find(),
    };
    if broker.is_none() && !options.alone {
        println!("mosquitto is not installed (apt-get install mosquitto): nothing to compare with");
    }
    println!(
        "open loop: {} readings/s over {} connections, one in {} opens an incident",
        options.rate, options.connections, options.alarm_every
    );
    let (mut relays, mut syncs, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        if let Some(broker) = &broker {
            relays.push(told(round, "relay", &measure_relay(&options, broker)?));
        }
        syncs.push(told(round, "fdatasync", &measure_sync(&options)?));
        ours.push(told(round, "ioc", &measure_ioc(&options)?));
    }
    conclude(&relays, &syncs, &ours, broker.as_deref());
    Ok(())
}

/// P7: what is urgent at the usual rate and in a storm, in turns.
fn storm(options: &Options, times: u32) -> io::Result<()> {
    let (rate, alarm_every) = (options.rate * times, options.alarm_every * times);
    println!(
        "open loop: {} readings/s and {rate}, over {} connections; {} of them a second are urgent",
        options.rate,
        options.connections,
        options.rate / options.alarm_every
    );
    let stormy = Options {
        rate,
        alarm_every,
        common: options.common.clone(),
        ..*options
    };
    let (mut usual, mut storms) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        usual.push(told(round, "usual", &measure_ioc(options)?));
        storms.push(told(round, "storm", &measure_ioc(&stormy)?));
    }
    let (usual, storms) = (Percentiles::medians(&usual), Percentiles::medians(&storms));
    println!("\nmedians of the rounds:");
    println!("usual            {usual}");
    println!("storm            {storms}");
    println!("ratio of p50: {:.2}", storms.p50 / usual.p50);
    println!("ratio of p99: {:.2}", storms.p99 / usual.p99);
    Ok(())
}

fn told(round: usize, name: &str, histogram: &Histogram) -> Percentiles {
    let percentiles = Percentiles::of(histogram);
    println!(
        "round {round} {name:<10} {percentiles}  ({} counted)",
        histogram.count()
    );
    percentiles
}

fn conclude(
    relays: &[Percentiles],
    syncs: &[Percentiles],
    ours: &[Percentiles],
    broker: Option<&Path>,
) {
    let (sync, own) = (Percentiles::medians(syncs), Percentiles::medians(ours));
    println!("\nmedians of the rounds:");
    println!("fdatasync        {sync}");
    if let Some(broker) = broker {
        let relay = Percentiles::medians(relays);
        println!("relay            {relay}  ({})", Mosquitto::version(broker));
        let (p50, p99) = (relay.p50 + sync.p50, relay.p99 + sync.p99);
        let max = relay.max + sync.max;
        println!("relay + sync     {}", Percentiles { p50, p99, max });
        println!("ioc              {own}");
        println!("ratio of p50: {}", Target::AtMost(2.5).judge(own.p50 / p50));
        println!("ratio of p99: {}", Target::AtMost(4.0).judge(own.p99 / p99));
    } else {
        println!("ioc              {own}");
    }
}

impl Percentiles {
    fn of(histogram: &Histogram) -> Self {
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        Self {
            p50: micros(histogram.percentile(0.5)),
            p99: micros(histogram.percentile(0.99)),
            max: micros(histogram.max()),
        }
    }

    fn medians(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| report::median(rounds.iter().map(figure).collect());
        Self {
            p50: of(|round| round.p50),
            p99: of(|round| round.p99),
            max: of(|round| round.max),
        }
    }
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, max] = [self.p50, self.p99, self.max].map(report::micros);
        write!(f, "p50 {p50:>8}  p99 {p99:>8}  max {max:>8}")
    }
}

impl Options {
    fn pace(&self) -> PaceOptions {
        PaceOptions {
            connections: self.connections,
            rate: self.rate,
            readings: u64::from(self.rate) * u64::from(self.warm_up() + self.seconds),
            sensors: self.sensors,
            alarm_every: self.alarm_every,
            alarm_kind: self.alarm_kind(),
        }
    }

    /// In a storm alarms are of a kind of their own, which is urgent.
    fn alarm_kind(&self) -> &'static str {
        match self.storm {
            None => PROBE_KIND,
            Some(_) => "alarm",
        }
    }

    /// Seconds until every sensor has spoken; what is sent until then is not counted.
    fn warm_up(&self) -> u32 {
        self.sensors.div_ceil(self.rate) + 1
    }

    /// Whether a reading counts.
    fn counts(&self, number: u64) -> bool {
        number >= u64::from(self.rate) * u64::from(self.warm_up())
    }
}

/// Latencies that a receiver's thread records.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Histogram>>);

impl Recorder {
    fn record(&self, from: Instant, to: Instant) {
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        histogram.record(to.saturating_duration_since(from));
    }

    fn taken(&self) -> Histogram {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for so many, or long enough.
    fn wait_for(&self, count: u64) -> Histogram {
        let until = Instant::now() + Duration::from_secs(10);
        while self.taken().count() < count && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        self.taken()
    }
}

/// A broker's bare relay of all readings to one subscriber.
fn measure_relay(options: &Options, broker: &Path) -> io::Result<Histogram> {
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let server = Mosquitto::start(broker, scratch.path())?;
    let schedule = Schedule::soon(options.rate);
    let recorder = Recorder::default();
    let (at_subscriber, pace) = (recorder.clone(), options.pace());
    let first = u64::from(options.rate) * u64::from(options.warm_up());
    servers::subscribe(server.mqtt, move |payload, now| {
        let number = payload
            .get(8..18)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let number = number.and_then(|digits| digits.parse().ok());
        if let Some(number) = number.filter(|&number| number >= first && pace.is_alarm(number)) {
            at_subscriber.record(schedule.of(number), now);
        }
    })?;
    Pacing::start(server.mqtt, options.pace(), schedule)?.finish()?;
    Ok(recorder.wait_for(expected(options)))
}

fn expected(options: &Options) -> u64 {
    let alarms = (0..options.pace().readings).filter(|&number| options.pace().is_alarm(number));
    alarms.filter(|&number| options.counts(number)).count() as u64
}

/// One write of 4 KiB into a file whose bytes are there already, and one fdatasync: back to back.
fn measure_sync(options: &Options) -> io::Result<Histogram> {
    const SYNCS: usize = 2000;
    const BYTES: usize = 4096;
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let path = scratch.path().join("preallocated");
    fs::write(&path, vec![0; SYNCS * BYTES])?;
    let mut file = File::options().write(true).open(&path)?;
    file.sync_all()?;
    let mut histogram = Histogram::default();
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[1; BYTES])?;
        file.sync_data()?;
        histogram.record(began.elapsed());
    }
    Ok(histogram)
}

/// Every alarm opens an incident of its own: its sensor is alone within a kilometre.
fn write_rules(dir: &Path, options: &Options) -> io::Result<()> {
    fs::create_dir_all(dir.join("rules"))?;
    let alarm_kind = options.alarm_kind();
    let kinds = format!(
        "kinds:\n  {PROBE_KIND}:\n    unit: \"{PROBE_UNIT}\"\n    normal: 1 {PROBE_UNIT}\n    \
         means: Readings of the bench.\n"
    );
    let alarms = format!(
        "  {alarm_kind}:\n    unit: \"{PROBE_UNIT}\"\n    normal: 1 {PROBE_UNIT}\n    \
         urgent: yes\n    means: Alarms of the bench.\n"
    );
    let kinds = match options.storm {
        None => kinds,
        Some(_) => kinds + &alarms,
    };
    fs::write(dir.join("kinds.yaml"), kinds)?;
    let rules = format!(
        "detections:\n  probe-high:\n    kind: {alarm_kind}\n    \
         above: {{ severe: 85 {PROBE_UNIT} }}\n    clear: below 80 {PROBE_UNIT}\n\
         correlations:\n  probe:\n    incident: probe\n    from: [probe-high]\n    sources: 1\n    \
         within: 100 m\n    within_time: 30 min\n"
    );
    fs::write(dir.join("rules/probe.yaml"), rules)
}

fn measure_ioc(options: &Options) -> io::Result<Histogram> {
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let config = scratch.path().join("config");
    write_rules(&config, options)?;
    let data = scratch.path().join("data");
    let when_full = match options.storm {
        None => "wait",
        Some(_) => "conflate",
    };
    let setting = ("IOC_DOOR_WHEN_FULL", when_full);
    let server = Ioc::start_with(env!("CARGO_BIN_EXE_ioc"), &data, Some(&config), setting)?;
    let schedule = Schedule::soon(options.rate);
    let recorder = Recorder::default();
    let at_console = recorder.clone();
    let first = u64::from(options.rate) * u64::from(options.warm_up());
    Console::open(server.http)?.listen(move |frame, now| {
        for number in openers(frame).filter_map(number_of) {
            if number >= first {
                at_console.record(schedule.of(number), now);
            }
        }
    });
    let (before, own) = (server.usage()?, Usage::of(std::process::id())?);
    let paced = Pacing::start(server.mqtt, options.pace(), schedule)?.finish()?;
    let (after, own_after) = (server.usage()?, Usage::of(std::process::id())?);
    println!(
        "  server {:.2} cores, bench {:.2} cores; sent late by p50 {}, p99 {}; {} of {} acknowledged",
        after.cores_since(&before),
        own_after.cores_since(&own),
        report::time(paced.lateness.percentile(0.5)),
        report::time(paced.lateness.percentile(0.99)),
        paced.acknowledged,
        paced.sent,
    );
    let histogram = recorder.wait_for(expected(options));
    let missing = expected(options).saturating_sub(histogram.count());
    if missing > 0 {
        println!("  {missing} incidents were not seen at the console");
    }
    Ok(histogram)
}
