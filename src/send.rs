//! `ioc send`: sends recorded readings again, to MQTT, NATS or HTTP, at their own pace, faster, or
//! at a rate.
//!
//! Arrives: JSONL, one native reading a line, from a file or stdin. Leaves: the same lines,
//! verbatim; at the end how many were acknowledged, how fast, and what could not be sent.
//! Promise: the lines of one sensor stay in order, on one connection; every line is acknowledged
//! or the command fails (QoS 0 apart, where nobody acknowledges).
//!
//! `lines.rs` reads, `pace.rs` times, `relay.rs` shares out; [publishers](crate::publisher) or
//! `http.rs` send.

mod lines;
mod pace;
mod relay;
mod http;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::access::{Access, AccessArgs, AccessError};
use crate::args::{self, Address, MqttAddress, NatsAddress, PasswordFileError, Target};
use crate::progress::{Progress, span, thousands};
use crate::publisher::{
    LinkError, Message, NatsPublisher, NatsPublisherOptions, OnLink, Percentiles,
};
use crate::publisher::{PublishError, Publisher, PublisherOptions, Quality, Tally, client_id};
use crate::reach::Waiting;
use crate::simulate::interrupted;

use http::{Poster, PosterOptions};
use lines::{Flaw, Lines, Position};
use relay::{Failure, Relay};

pub use http::PostError;
pub use pace::Pace;

/// How long the last acknowledgements may take after Ctrl-C.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// Batches that may wait for a connection.
const WAITING_BATCHES_MAX: usize = 16;
/// So many flawed lines are told one by one; all are counted.
const FLAWS_TOLD_MAX: u64 = 10;

const EXAMPLES: &str = "\
Examples:
  ioc send evening.jsonl.gz                      as recorded, in real time
  ioc send --speed 60 evening.jsonl.gz           an hour of it in a minute
  ioc send --fast --connections 8 evening.jsonl  as fast as the server takes it
  ioc send --rate 5000 --json evening.jsonl      5,000 a second, and how long each took
  ioc send --fast --to http://127.0.0.1:8080 evening.jsonl
  ioc send --to nats://127.0.0.1:4222 --stream READINGS evening.jsonl
  ioc send --to mqtts://mqtt.city.example --user ops --password-file mqtt.password evening.jsonl
  zcat *.jsonl.gz | ioc send --fast -

Each line is one native reading and is sent as it is, under its \"sensor\". The recorded time of a
line is its received_at, else its observed_at. Let the server run with --clock readings to live in
the recording's time: it judges them in the order in which they come, urgent ones too, as ioc
backtest does (then use one connection, so that everything stays in order).

At the end it tells how long acknowledgements took: counted from when each line was to leave, with
--rate and as recorded, so that a receiver that falls behind cannot look quick (no coordinated
omission); with --fast from when it left. A rate waits for nobody: what is late is told as late.

Over NATS a line goes to ioc.v1.readings.<sensor>. With --qos 1 a JetStream stream acknowledges it.

Ends with 0 when every line was acknowledged. Lines that are not JSON or name no sensor are told with
their numbers and not sent: all others are, and then it ends with 1 and says how many they are.";

/// Sends recorded readings to an MQTT listener, a NATS server or an HTTP intake.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct SendArgs {
    /// The recording: JSONL, plain or .gz; - for stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to: mqtt://HOST:PORT, nats://HOST:PORT or http://HOST:PORT; with TLS mqtts:// or tls://
    #[arg(long, value_name = "ADDRESS", default_value = "mqtt://127.0.0.1:1883")]
    pub to: Target,
    /// So many times faster than recorded
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::positive)]
    pub speed: f64,
    /// As fast as the receiver takes it
    #[arg(long, conflicts_with = "speed")]
    pub fast: bool,
    /// So many lines a second, whatever was recorded; not held back by a slow receiver
    #[arg(long, value_name = "N", value_parser = args::positive,
          conflicts_with_all = ["speed", "fast"])]
    pub rate: Option<f64>,
    /// MQTT, NATS: 1: every line is acknowledged and sent again if need be; 0: neither
    #[arg(long, value_name = "0|1", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: u8,
    /// How many connections share the sensors
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub connections: u16,
    /// MQTT, NATS: the most lines of one connection that wait for their acknowledgement
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub inflight: u16,
    /// HTTP: the most lines in one request
    #[arg(long, value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// Give up when nothing is acknowledged for so long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = args::duration)]
    pub timeout: Duration,
    /// NATS: the JetStream stream that keeps the readings; made if it is missing
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// Print what it came to as JSON on stdout; latencies in microseconds
    #[arg(long)]
    pub json: bool,
    /// How we get in.
    #[command(flatten)]
    pub access: AccessArgs,
    /// HTTP: a file whose first line is the key (see `ioc key new`)
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// What to do where nobody listens yet.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// Why not everything was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The recording cannot be read, or not to its end.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file with the key cannot be read.
    #[error(transparent)]
    Key(#[from] PasswordFileError),
    /// Nobody gets in like that.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The broker refused a connection, or acknowledged nothing for too long. How many lines that
    /// concerns, the report says.
    #[error("gave up on {address}")]
    Publish {
        /// Where to.
        address: Address,
        /// What happened last.
        source: LinkError,
    },
    /// The HTTP intake refused a request, or did not answer for too long.
    #[error("gave up on {address}")]
    Post {
        /// Where to.
        address: String,
        /// Why.
        source: PostError,
    },
    /// Somebody stopped it before the end.
    #[error("interrupted before the end of the recording")]
    Interrupted,
    /// There was not one line that could be sent.
    #[error("nothing could be sent: {} has no readings, {flawed} lines are something else",
            path.display())]
    NoReadings {
        /// Which recording.
        path: PathBuf,
        /// How many lines it has.
        flawed: u64,
    },
    /// All others were sent.
    #[error("{count} lines could not be sent")]
    Flawed {
        /// How many.
        count: u64,
    },
    /// Some lines were read and never acknowledged.
    #[error("{count} lines were not acknowledged")]
    NotAcknowledged {
        /// How many.
        count: u64,
    },
}

impl From<PublishError> for SendError {
    fn from(error: PublishError) -> Self {
        let PublishError {
            address, source, ..
        } = error;
        Self::Publish { address, source }
    }
}

/// What sending came to.
#[derive(Debug, Clone)]
pub struct SendReport {
    /// Lines that could be sent.
    pub lines: u64,
    /// Whether those are all of the recording, or only as many as were read.
    pub is_whole: bool,
    /// Lines that could not.
    pub flawed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lines handed to a socket.
    pub sent: u64,
    /// Lines that the receiver says it has.
    pub acknowledged: u64,
    /// Those of them that became dead letters, where the receiver says so (HTTP).
    pub dead_lettered: Option<u64>,
    /// Lines sent again after a connection broke.
    pub resent: u64,
    /// How long it took.
    pub took: Duration,
    /// How long acknowledgements took, from when each line was to leave; `None` if there were none.
    pub latency: Option<Percentiles>,
    /// What was asked of the receiver.
    pub quality: Quality,
}

/// Sends the recording; tells the report on stderr.
pub async fn command(args: SendArgs) -> Result<(), SendError> {
    let (progress, position) = (bar(&args.file), Position::default());
    let sending = Sending::new(&args, position.clone(), progress.clone())?;
    let showing = tokio::spawn(show(progress.clone(), Arc::clone(&sending.tally), position));
    let (report, ended) = sending.run(&args).await;
    showing.abort();
    progress.finish();
    progress.note(&report);
    if args.json {
        // Whoever reads it may have gone.
        let _ = writeln!(io::stdout(), "{}", report.json());
    }
    ended?;
    report.verdict(&args.file)
}

fn bar(path: &Path) -> Progress {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => Progress::bytes("sending", file.len()),
        Ok(_) | Err(_) => Progress::spinner("sending"),
    }
}

/// Whether a recording has an end.
fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file())
}

async fn show(progress: Progress, tally: Arc<Tally>, position: Position) {
    let began = Instant::now();
    let mut tick = interval(Duration::from_millis(250));
    loop {
        let seconds = (tick.tick().await - began).as_secs_f64();
        progress.reached(position.get());
        progress.says(format!(
            "{} sent, {} acknowledged, {}/s",
            thousands(tally.sent()),
            thousands(tally.acknowledged()),
            thousands((tally.sent() as f64 / seconds.max(0.001)) as u64)
        ));
    }
}

/// Everything that runs while a recording is sent.
struct Sending {
    relay: Relay,
    /// Why the recording was not read to its end, if it was not.
    failure: Failure,
    senders: JoinSet<Result<(), SendError>>,
    tally: Arc<Tally>,
    dead_lettered: Arc<AtomicU64>,
    progress: Progress,
}

impl Sending {
    fn new(args: &SendArgs, position: Position, progress: Progress) -> Result<Self, SendError> {
        let lines = Lines::open(&args.file, position).map_err(|source| SendError::Read {
            path: args.file.clone(),
            source,
        })?;
        let access = args.access.load(args.to.transport())?;
        let key = args.key_file.as_deref().map(args::first_line).transpose()?;
        let on_link: OnLink = {
            let progress = progress.clone();
            Arc::new(move |event| progress.note(event))
        };
        let pace = match (args.fast, args.rate) {
            (true, _) => Pace::Fast,
            (false, Some(rate)) => Pace::Rate(rate),
            (false, None) => Pace::Recorded(args.speed),
        };
        let (batches, failure) = relay::read_ahead(lines);
        let mut sending = Self {
            relay: Relay::new(pace, batches),
            failure,
            senders: JoinSet::new(),
            tally: Arc::default(),
            dead_lettered: Arc::default(),
            progress,
        };
        for index in 0..usize::from(args.connections) {
            let (connection, source) = mpsc::channel(WAITING_BATCHES_MAX);
            sending.relay.connect(connection);
            let (access, on_link) = (access.clone(), Arc::clone(&on_link));
            match &args.to {
                Target::Mqtt(to) => {
                    let options = publisher_options(args, to, index, access);
                    sending.spawn_publisher(options, source, on_link);
                }
                Target::Nats(to) => {
                    let options = nats_options(args, to, index, access);
                    sending.spawn_nats(options, source, on_link);
                }
                Target::Http(to) => {
                    let options = PosterOptions {
                        address: to.clone(),
                        key: key.clone(),
                        batch_max: usize::from(args.batch),
                        patience: args.timeout,
                    };
                    sending.spawn_poster(options, source, on_link);
                }
            }
        }
        Ok(sending)
    }

    fn spawn_publisher(
        &mut self,
        options: PublisherOptions,
        source: mpsc::Receiver<Vec<Message>>,
        on_link: OnLink,
    ) {
        let publisher = Publisher::new(options, Arc::clone(&self.tally), on_link);
        self.senders
            .spawn(async move { Ok(publisher.run(source).await?) });
    }

    fn spawn_nats(
        &mut self,
        options: NatsPublisherOptions,
        source: mpsc::Receiver<Vec<Message>>,
        on_link: OnLink,
    ) {
        let publisher = NatsPublisher::new(options, Arc::clone(&self.tally), on_link);
        self.senders
            .spawn(async move { Ok(publisher.run(source).await?) });
    }

    fn spawn_poster(
        &mut self,
        options: PosterOptions,
        source: mpsc::Receiver<Vec<Message>>,
        on_link: OnLink,
    ) {
        let address = options.address.0.to_string();
        let (tally, dead) = (Arc::clone(&self.tally), Arc::clone(&self.dead_lettered));
        let poster = Poster::new(options, tally, dead, on_link);
        self.senders.spawn(async move {
            let ended = poster.run(source).await;
            ended.map_err(|source| SendError::Post { address, source })
        });
    }

    async fn run(mut self, args: &SendArgs) -> (SendReport, Result<(), SendError>) {
        let began = Instant::now();
        let mut told = 0;
        let progress = &self.progress;
        let mut tell = |flaw: &Flaw| {
            told += 1;
            if told <= FLAWS_TOLD_MAX {
                progress.note(format_args!("line {} {}; not sent", flaw.line, flaw.reason));
            }
        };
        let relayed = self.relay.counts();
        let relaying = async {
            self.relay.run(&mut tell).await;
            Ok(())
        };
        let ended = tokio::select! {
            ended = async { tokio::try_join!(relaying, all_ended(&mut self.senders)) } => {
                ended.map(|((), ())| ())
            }
            () = interrupted() => Err(SendError::Interrupted),
        };
        // Whatever ended it, what is on its way may still be acknowledged.
        self.relay.let_end();
        let drained = timeout(DRAIN_WITHIN, all_ended(&mut self.senders)).await;
        let ended = ended.and(drained.unwrap_or(Ok(())));
        let is_whole = match (&ended, is_file(&args.file)) {
            (Ok(()), _) => true,
            // A person does not wait for the rest to be read, and a pipe may never end.
            (Err(SendError::Interrupted), _) | (Err(_), false) => false,
            (Err(_), true) => tokio::select! {
                () = self.relay.count_the_rest(&mut tell) => true,
                () = interrupted() => false,
            },
        };
        let unread = self.failure.take().map(|source| SendError::Read {
            path: args.file.clone(),
            source,
        });
        let report = SendReport {
            lines: relayed.lines(),
            is_whole: is_whole && unread.is_none(),
            flawed: relayed.flawed(),
            bytes: relayed.bytes(),
            sent: self.tally.sent(),
            acknowledged: self.tally.acknowledged(),
            dead_lettered: match args.to {
                Target::Http(_) => Some(self.dead_lettered.load(Ordering::Relaxed)),
                Target::Mqtt(_) | Target::Nats(_) => None,
            },
            resent: self.tally.resent(),
            took: began.elapsed(),
            latency: self.tally.latency().percentiles(),
            quality: quality(args),
        };
        (report, unread.map_or(ended, Err))
    }
}

fn publisher_options(
    args: &SendArgs,
    to: &MqttAddress,
    index: usize,
    access: Access,
) -> PublisherOptions {
    PublisherOptions {
        address: to.clone(),
        client_id: client_id("send", index),
        access,
        quality: quality(args),
        inflight_max: args.inflight,
        patience: Some(args.timeout),
    }
}

fn nats_options(
    args: &SendArgs,
    to: &NatsAddress,
    index: usize,
    access: Access,
) -> NatsPublisherOptions {
    NatsPublisherOptions {
        address: to.clone(),
        name: client_id("send", index),
        access,
        quality: quality(args),
        stream: args.stream.clone(),
        inflight_max: args.inflight,
        patience: Some(args.timeout),
    }
}

fn quality(args: &SendArgs) -> Quality {
    match (&args.to, args.qos) {
        (Target::Mqtt(_) | Target::Nats(_), 0) => Quality::AtMostOnce,
        (Target::Mqtt(_) | Target::Nats(_) | Target::Http(_), _) => Quality::AtLeastOnce,
    }
}

async fn all_ended(senders: &mut JoinSet<Result<(), SendError>>) -> Result<(), SendError> {
    while let Some(ended) = senders.join_next().await {
        ended.expect("a sender does not panic")?;
    }
    Ok(())
}

impl SendReport {
    /// Whether the recording was sent.
    fn verdict(&self, path: &Path) -> Result<(), SendError> {
        if self.lines == 0 && self.flawed > 0 {
            return Err(SendError::NoReadings {
                path: path.to_owned(),
                flawed: self.flawed,
            });
        }
        match (self.not_acknowledged(), self.flawed) {
            (0, 0) => Ok(()),
            (0, count) => Err(SendError::Flawed { count }),
            (count, _) => Err(SendError::NotAcknowledged { count }),
        }
    }

    /// For machines.
    fn json(&self) -> Value {
        let seconds = self.took.as_secs_f64();
        json!({
            "lines": self.lines, "read_to_the_end": self.is_whole, "flawed": self.flawed, "bytes": self.bytes, "sent": self.sent,
            "acknowledged": self.acknowledged, "not_acknowledged": self.not_acknowledged(),
            "dead_lettered": self.dead_lettered, "resent": self.resent, "took_s": seconds,
            "rate": self.sent as f64 / seconds.max(0.001),
            "latency_us": self.latency.map(|latency| latency.json()),
        })
    }

    /// Lines that were read and that nobody says to have; with QoS 0 those not even written.
    pub fn not_acknowledged(&self) -> u64 {
        match self.quality {
            Quality::AtLeastOnce => self.lines.saturating_sub(self.acknowledged),
            Quality::AtMostOnce => self.lines.saturating_sub(self.sent),
        }
    }
}

impl fmt::Display for SendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64().max(0.001);
        let rate = thousands((self.sent as f64 / seconds) as u64);
        let share_sent = self.sent as f64 / self.lines.max(1) as f64;
        let megabytes = self.bytes as f64 * share_sent.min(1.0) / 1e6;
        let of = if self.is_whole { "of" } else { "of the first" };
        let (sent, lines) = (thousands(self.sent), thousands(self.lines));
        write!(f, "{sent} {of} {lines} lines sent")?;
        write!(
            f,
            " in {} ({rate}/s, {:.1} MB/s)",
            span(self.took),
            megabytes / seconds
        )?;
        match self.quality {
            Quality::AtLeastOnce => {
                write!(f, ", {} acknowledged", thousands(self.acknowledged))?;
            }
            Quality::AtMostOnce => write!(f, ", not acknowledged (QoS 0)")?,
        }
        if let Some(dead) = self.dead_lettered {
            write!(f, ", {} of them dead letters", thousands(dead))?;
        }
        if self.resent > 0 {
            write!(f, ", {} sent again", thousands(self.resent))?;
        }
        if self.flawed > 0 {
            write!(f, "; {} lines could not be sent", thousands(self.flawed))?;
        }
        match &self.latency {
            Some(latency) => write!(f, "\n{latency}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
