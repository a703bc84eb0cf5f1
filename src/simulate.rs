//! `ioc simulate`: a city whose sensors speak MQTT or NATS, for demonstrations and for load.
//!
//! Arrives: a city file and a seed. Leaves: native readings on `ioc/v1/readings/<sensor>`, in the
//! city's own time, which may run faster than ours. Promise: the same seed gives the same
//! readings; what is acknowledged is counted, what could not be sent in time is too.
//!
//! The model is pure and knows no clock ([`City`], from `map.rs`, `normal.rs`, `happening.rs` and
//! `schedule.rs`); `publish.rs` paces it and hands it to [publishers](crate::publisher),
//! `devices.rs` has its actuators obey, `record.rs` writes it down.

mod chance;
mod map;
mod normal;
mod happening;
mod schedule;
mod reading;
mod model;
mod publish;
mod devices;
mod record;

use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use ioc_core::time::Timestamp;
use tokio::time::{Instant, interval};

use crate::access::{AccessArgs, AccessError};
use crate::args::{self, Address, Broker};
use crate::progress::{Progress, tell, thousands};
use crate::publisher::{OnLink, Quality, Tally};
use crate::reach::Waiting;

pub use happening::{HappeningKind, Happenings};
pub use map::{CityMap, MapError};
pub use model::{City, CityOptions};
pub use publish::{Bounds, SimulateOptions, Simulator, Summary};
pub use reading::SimulatedReading;
pub use record::{RecordOptions, Recorded, record};

/// How many times faster than ours the demonstration's time runs, unless said: something happens
/// within the first seconds, and a flood takes a minute, not half an hour.
pub const DEMO_SPEED: f64 = 30.0;

/// Bytes of a recording that are written at once.
const OUT_BYTES: usize = 256 << 10;

const EXAMPLES: &str = "\
Examples:
  ioc simulate                              the city that ships with ioc, in real time
  ioc simulate --speed 30                   half an hour of the city in a minute
  ioc simulate --rate 20000 --connections 4 --for 60s
                                            load: 20,000 readings a second for a minute
  ioc simulate --to nats://127.0.0.1:4222 --stream READINGS --rate 5000 --for 60s --json
                                            the same to a JetStream stream, made if it is missing
  ioc simulate --happenings none            a quiet city: no incident should open
  ioc simulate --city my-town.geojson --seed 7 --happenings flood,faults

A recording, to judge offline or to send later:
  ioc simulate --to - --count 10000 > readings.jsonl
  ioc simulate --to - --for 2h --seed 7 | gzip > evening.jsonl.gz
  ioc backtest readings.jsonl

With --to - the readings go to stdout, a line each, as fast as they can be written; each has its
received_at, --for and --rate count the city's time, and what was asked for ends now.

At the end it tells how long acknowledgements took, each counted from when its reading was to leave
(every 10 ms some are): a broker that falls behind cannot look quick (no coordinated omission).

Readings are native JSON on the topics ioc/v1/readings/<sensor>, over NATS on the subjects
ioc.v1.readings.<sensor>, where with --qos 1 a JetStream stream acknowledges them. On this machine the
city's actuators take the commands that come to them there, and say that they are done.
The same seed gives the same city, happenings and noise. With --speed above 1 the readings' observed_at runs ahead of the
wall clock: run the server with the same --clock scaled:N.";

/// Lets a simulated city publish its readings to an MQTT broker or a NATS server.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Where to publish: mqtt://HOST:PORT or nats://HOST:PORT, with TLS mqtts:// or tls://; - writes a recording to stdout
    #[arg(long, value_name = "ADDRESS", default_value = "mqtt://127.0.0.1:1883")]
    pub to: Destination,
    /// The city: a GeoJSON file, plain or .gz [default: Kota Seraya, compiled in]
    #[arg(long, value_name = "FILE")]
    pub city: Option<PathBuf>,
    /// What everything is drawn from: the same seed, the same readings
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many times faster than the wall clock the city's time runs
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::positive)]
    pub speed: f64,
    /// Readings a second, whatever the sensors' own intervals are; not held back by a slow broker
    #[arg(long, value_name = "N", value_parser = args::positive)]
    pub rate: Option<f64>,
    /// Stop after so long: 90s, 10m, 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = args::duration)]
    pub duration: Option<Duration>,
    /// Stop after so many readings, told or skipped
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// all, none, or some of flood,fire,crash,outage,quake,gas,crowd,faults
    #[arg(long, value_name = "KINDS", default_value = "all")]
    pub happenings: Happenings,
    /// How many connections share the sensors
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub connections: u16,
    /// 1: every reading is acknowledged and sent again if need be; 0: neither
    #[arg(long, value_name = "0|1", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: u8,
    /// The most readings of one connection that wait for their acknowledgement
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub inflight: u16,
    /// NATS: the JetStream stream that keeps the readings; made if it is missing
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// Print what it came to as JSON on stdout; latencies in microseconds
    #[arg(long)]
    pub json: bool,
    /// How we get in.
    #[command(flatten)]
    pub access: AccessArgs,
    /// What to do where nobody listens yet.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// Where the readings go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To a broker, in time.
    Broker(Broker),
    /// To stdout, as a recording: `-`.
    Stdout,
}

impl Destination {
    /// Where somebody is to listen, if it is to a broker.
    pub const fn address(&self) -> Option<&Address> {
        match self {
            Self::Broker(broker) => Some(broker.address()),
            Self::Stdout => None,
        }
    }
}

impl FromStr for Destination {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "-" => Ok(Self::Stdout),
            _ => text.parse().map(Self::Broker),
        }
    }
}

/// Why the simulation cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The city file cannot be read.
    #[error("cannot read the city file {}", path.display())]
    ReadCity {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The city file is no city.
    #[error("cannot use the city file {}", path.display())]
    Map {
        /// Which.
        path: PathBuf,
        /// Why.
        source: MapError,
    },
    /// Nobody gets in like that.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Stdout cannot be written.
    #[error("cannot write the recording")]
    Record(#[source] io::Error),
    /// The broker refused a connection for good.
    #[error(transparent)]
    Publish(#[from] crate::publisher::PublishError),
    /// A run that was to end by itself ended before everything was acknowledged.
    #[error("the run is over, and {count} of {had} readings never reached the broker")]
    NotAcknowledged {
        /// How many were not; with QoS 0: were not even written.
        count: u64,
        /// Of how many.
        had: u64,
    },
}

/// Runs the command until a bound is reached or it is interrupted; tells its summary on stderr.
pub async fn command(args: SimulateArgs) -> Result<(), SimulateError> {
    match args.to.clone() {
        Destination::Broker(broker) => publish(args, broker).await,
        // Nothing else waits in this process, so writing may block.
        Destination::Stdout => record_to_stdout(args),
    }
}

fn record_to_stdout(args: SimulateArgs) -> Result<(), SimulateError> {
    let options = RecordOptions {
        map: Arc::new(load_map(args.city)?),
        seed: args.seed,
        happenings: args.happenings,
        rate: args.rate,
        bounds: Bounds {
            duration: args.duration,
            count: args.count,
        },
        now: now(),
    };
    let mut out = BufWriter::with_capacity(OUT_BYTES, io::stdout().lock());
    match record(&options, &mut out) {
        Ok(recorded) => {
            tell(recorded);
            Ok(())
        }
        // Whoever reads has had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(SimulateError::Record(error)),
    }
}

async fn publish(args: SimulateArgs, to: Broker) -> Result<(), SimulateError> {
    let is_bounded = args.duration.is_some() || args.count.is_some();
    let access = args.access.load(to.transport())?;
    let options = SimulateOptions {
        to,
        stream: args.stream,
        access,
        map: Arc::new(load_map(args.city)?),
        seed: args.seed,
        happenings: args.happenings,
        speed: args.speed,
        rate: args.rate,
        origin: now(),
        quality: if args.qos == 0 {
            Quality::AtMostOnce
        } else {
            Quality::AtLeastOnce
        },
        connections: usize::from(args.connections),
        inflight_max: args.inflight,
        bounds: Bounds {
            duration: args.duration,
            count: args.count,
        },
    };
    let progress = Progress::spinner("simulating");
    let on_link: OnLink = {
        let progress = progress.clone();
        Arc::new(move |event| progress.note(event))
    };
    let simulator = Simulator::new(options, on_link);
    let showing = tokio::spawn(show(progress.clone(), simulator.tally()));
    let summary = simulator.run(interrupted()).await;
    showing.abort();
    progress.finish();
    let summary = summary?;
    progress.note(&summary);
    if args.json {
        // Whoever reads it may have gone.
        let _ = writeln!(io::stdout(), "{}", summary.json());
    }
    match summary.not_acknowledged() {
        count if count > 0 && is_bounded => Err(SimulateError::NotAcknowledged {
            count,
            had: summary.had,
        }),
        _ => Ok(()),
    }
}

fn load_map(path: Option<PathBuf>) -> Result<CityMap, SimulateError> {
    let Some(path) = path else {
        return Ok(CityMap::compiled_in());
    };
    match fs::read(&path) {
        Ok(file) => CityMap::parse(&file).map_err(|source| SimulateError::Map { path, source }),
        Err(source) => Err(SimulateError::ReadCity { path, source }),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(since.as_millis() as i64)
}

/// Resolves when somebody wants the command to end: Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

async fn show(progress: Progress, tally: Arc<Tally>) {
    let began = Instant::now();
    let mut tick = interval(Duration::from_millis(250));
    loop {
        let seconds = (tick.tick().await - began).as_secs_f64();
        let rate = tally.sent() as f64 / seconds.max(0.001);
        progress.says(format!(
            "{} sent, {} acknowledged, {}/s",
            thousands(tally.sent()),
            thousands(tally.acknowledged()),
            thousands(rate as u64)
        ));
    }
}
