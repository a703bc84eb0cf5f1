//! How many readings a second are taken, stored and judged, beside a broker that only relays.
//!
//! Sketch: a message of 220 bytes costs the generator 50 ns and the server a decode of 200 ns on a
//! connection's thread, a judgement of 300 ns and 150 bytes of log on two others; 1,000 in flight
//! share one sync of some 100 µs. So about a million a second if nothing but that is done; the
//! kernel's share of loopback takes the rest of two cores. A broker spends 10 to 20 µs on each
//! message: it writes each to the subscriber, and each acknowledgement by itself.
//!
//! Run with `cargo bench --bench ingest`. Both servers are measured in each round, in turns.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use ioc_bench::flood::{Flood, FloodOptions};
use ioc_bench::options::Common;
use ioc_bench::process::Usage;
use ioc_bench::report::{self, Target};
use ioc_bench::servers::{self, Ioc, Mosquitto};

/// MQTT publish to acknowledgement at quality 1: `ioc`, which stores and judges each reading before
/// it acknowledges, beside mosquitto, which relays it to one subscriber. Closed loop: a bound on
/// what is in flight, over all connections together.
///
/// Example: cargo bench --bench ingest -- --sensors 500 --connections 4
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench ingest --")]
struct Options {
    /// How many connections publish.
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// How many messages may be in flight, of all connections together.
    #[arg(long, default_value_t = 1000)]
    in_flight: u32,
    /// How many sensors there are. All have spoken before the measurement begins.
    #[arg(long, default_value_t = 100_000)]
    sensors: u32,
    /// How many rounds; the median is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each server is measured in each round, in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Leaves the broker out.
    #[arg(long)]
    alone: bool,
    #[command(flatten)]
    common: Common,
}

/// One server's figures in one round.
struct Figures {
    rate: f64,
    server_cores: f64,
    own_cores: f64,
    resident_max: u64,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let broker = match options.alone {
        true => None,
        false => Mosquitto::find(),
    };
    if broker.is_none() && !options.alone {
        println!("mosquitto is not installed (apt-get install mosquitto): nothing to compare with");
    }
    println!(
        "QoS 1 publish to acknowledgement: {} connections, {} in flight in all, {} sensors",
        options.connections, options.in_flight, options.sensors
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let figures = measure_ioc(&options)?;
        tell(round, "ioc", &figures);
        ours.push(figures.rate);
        if let Some(broker) = &broker {
            let figures = measure_mosquitto(&options, broker)?;
            tell(round, "mosquitto", &figures);
            theirs.push(figures.rate);
        }
    }
    conclude(ours, theirs, broker.as_deref());
    Ok(())
}

fn tell(round: usize, name: &str, figures: &Figures) {
    println!(
        "round {round} {name:<10} {:>6} acknowledged/s  server {:.2} cores, {} resident at most; \
         generator {:.2} cores",
        report::rate(figures.rate),
        figures.server_cores,
        report::bytes(figures.resident_max),
        figures.own_cores,
    );
}

fn conclude(ours: Vec<f64>, theirs: Vec<f64>, broker: Option<&Path>) {
    println!();
    println!("ioc        {}", report::spread(ours.clone(), report::rate));
    let Some(broker) = broker else { return };
    println!(
        "mosquitto  {}  ({}, QoS 1 to one subscriber, nothing stored)",
        report::spread(theirs.clone(), report::rate),
        Mosquitto::version(broker)
    );
    let ratio = report::median(ours) / report::median(theirs);
    println!(
        "ratio of the medians: {}",
        Target::AtLeast(10.0).judge(ratio)
    );
}

impl Options {
    fn flood(&self) -> FloodOptions {
        FloodOptions {
            connections: self.connections,
            in_flight: self.in_flight,
            sensors: self.sensors,
            readings: u64::MAX,
            first: 0,
        }
    }

    fn span(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn measure_ioc(options: &Options) -> io::Result<Figures> {
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let ioc = env!("CARGO_BIN_EXE_ioc");
    let server = Ioc::start(ioc, &scratch.path().join("data"), None)?;
    let flood = Flood::start(server.mqtt, options.flood())?;
    // Until every sensor is known, and memory that the system has never given out is.
    flood.wait_for(2 * u64::from(options.sensors));
    let figures = measure(&flood, options.span(), || server.usage())?;
    let acknowledged = flood.stop()?;
    check_judged(&server, options, acknowledged)?;
    Ok(figures)
}

/// Whether all that was acknowledged was judged, none taken for a redelivery say. The server tells
/// its count a second later, when something more comes.
fn check_judged(server: &Ioc, options: &Options, acknowledged: u64) -> io::Result<()> {
    thread::sleep(Duration::from_millis(1100));
    let more = FloodOptions {
        first: acknowledged + u64::from(options.in_flight),
        readings: u64::from(options.connections),
        ..options.flood()
    };
    Flood::start(server.mqtt, more)?.finish()?;
    let judged = server.judged()?;
    if judged < acknowledged {
        println!("only {judged} of {acknowledged} acknowledged readings were judged");
    }
    Ok(())
}

fn measure_mosquitto(options: &Options, broker: &Path) -> io::Result<Figures> {
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let server = Mosquitto::start(broker, scratch.path())?;
    let delivered = servers::subscribe(server.mqtt, |_, _| {})?;
    let flood = Flood::start(server.mqtt, options.flood())?;
    flood.wait_for(20_000);
    let figures = measure(&flood, options.span(), || server.usage())?;
    let acknowledged = flood.stop()?;
    let until = Instant::now() + Duration::from_secs(10);
    while delivered.load(Ordering::Relaxed) < acknowledged && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    let missing = acknowledged.saturating_sub(delivered.load(Ordering::Relaxed));
    if missing > 0 {
        println!("mosquitto acknowledged {missing} that it had not delivered 10 s later");
    }
    Ok(figures)
}

fn measure(
    flood: &Flood,
    span: Duration,
    usage: impl Fn() -> io::Result<Usage>,
) -> io::Result<Figures> {
    let (server, own) = (usage()?, Usage::of(std::process::id())?);
    let rate = flood.rate_over(span);
    let after = usage()?;
    Ok(Figures {
        rate,
        server_cores: after.cores_since(&server),
        own_cores: Usage::of(std::process::id())?.cores_since(&own),
        resident_max: after.resident_max_bytes,
    })
}
