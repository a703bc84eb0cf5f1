//! The settings of a process, checked: addresses, paths and bounds.
//!
//! Arrives: `config/ioc.yaml` as shipped, the same file of a configuration, and the environment,
//! the later over the earlier. Leaves: [`Settings`], or every mistake. Promise: the shipped file is
//! the list of the keys and the only place of their defaults, so it cannot be out of date. Beyond
//! loopback nothing listens that does not ask who is there. Not here: rules and city
//! (`source.rs`); whether an address is free. Next: `settings/layers.rs`.

mod layers;
mod written;
mod service_links;
pub mod brokers;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ioc_core::record::{ClockKind, DeadLetter};
use ioc_gateway::catalogue::Unregistered;
use ioc_gateway::door::{Lanes, Rates, WhenFull};

use super::field::Field;
use super::mistake::Mistakes;
use crate::retention::{Keep, Retention};
use crate::snapshots::Due;
use crate::space::batch_bytes;
use brokers::Brokers;
pub use layers::FILE;
use layers::Layers;
pub use written::Written;

/// The shipped settings with every key explained; what `ioc config` prints.
pub const DEFAULTS: &str = include_str!("../../config/ioc.yaml");

/// All settings of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The directory of the logs.
    pub data: PathBuf,
    /// What logical time follows.
    pub clock: ClockKind,
    /// The HTTP port.
    pub http: Http,
    /// The MQTT listener.
    pub mqtt: Mqtt,
    /// Brokers elsewhere.
    pub brokers: Brokers,
    /// The way from the listeners to the engine.
    pub door: Door,
    /// Both logs.
    pub journal: Journal,
    /// Snapshots.
    pub snapshots: Due,
    /// How much of the logs is kept.
    pub retention: Retention,
    /// The judgement.
    pub core: Core,
    /// Consoles.
    pub window: Window,
    /// The way out.
    pub shutdown: Shutdown,
    /// What is written on stderr.
    pub log: Log,
    /// Variables of the environment that only look like settings.
    pub service_links: Vec<String>,
    /// What is allowed, and probably not meant.
    pub doubts: Mistakes,
}

/// The HTTP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; on loopback.
    pub listen: SocketAddr,
    /// Host names that are answered besides those of loopback, in lower case, without a port.
    pub hosts: Vec<String>,
    /// The file of keys that may push (see `keys.rs`), if anybody is to be asked.
    pub keys_file: Option<PathBuf>,
}

/// The MQTT listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt {
    /// Where to listen; beyond loopback only with `users_file`.
    pub listen: SocketAddr,
    /// The file of users and passwords (see `users.rs`), if anybody is to be asked.
    pub users_file: Option<PathBuf>,
    /// How many clients may be connected.
    pub connections_max: u32,
    /// How many QoS 1 messages of a connection may be read and not yet durable.
    pub inflight_max: u16,
    /// The largest packet.
    pub packet_bytes_max: u32,
    /// How many bytes all connections together may hold.
    pub held_bytes_max: u64,
    /// How long a full door may make a connection wait before it is closed.
    pub overload_wait: Duration,
}

/// The way from the listeners to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// How many bytes may wait for the engine in each lane.
    pub waiting_bytes_max: Lanes<u32>,
    /// What happens to telemetry when its lane is full.
    pub when_full: WhenFull,
    /// How many readings a source may send a second.
    pub rates: Rates,
    /// What happens to readings of sensors that are not registered.
    pub unregistered: Unregistered,
}

/// Both logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    /// When a segment is closed.
    pub segment_bytes: u64,
    /// The most records in a batch.
    pub batch_records_max: u32,
    /// The most bytes in a batch.
    pub batch_bytes_max: u32,
}

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Core {
    /// Over how many threads the sensors are shared out.
    pub shards: NonZeroUsize,
}

/// Consoles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many may be connected.
    pub sessions_max: u32,
    /// How many decisions are held for those who come back.
    pub ring_decisions_max: u32,
}

/// The way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long a shutdown may take.
    pub drain: Duration,
}

/// What is written on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A filter of `tracing-subscriber`.
    pub filter: String,
}

impl Settings {
    /// The settings of a configuration directory, or the shipped ones without it, under the
    /// variables of the environment. Variables whose name does not begin with `IOC_` are ignored,
    /// and so are those that Kubernetes makes for a Service named `ioc`.
    ///
    /// # Errors
    /// All mistakes of the file and of the environment.
    pub fn load(
        dir: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let layers = Layers::read(dir, env, &mut mistakes);
        let mut settings = Self::check(&layers, dir, &mut mistakes);
        if let Some(settings) = &mut settings {
            settings.doubts = mistakes.take_doubts();
        }
        mistakes.or(settings)
    }

    fn check(layers: &Layers, dir: Option<&Path>, mistakes: &mut Mistakes) -> Option<Self> {
        let data = layers.field("data").text(mistakes, "a directory");
        let clock = clock(&layers.field("clock"), mistakes);
        let http = http(layers, dir, mistakes);
        let mqtt = mqtt(layers, dir, mistakes);
        let brokers = Brokers::read(layers, dir, mistakes);
        let door = door(layers, mistakes);
        let journal = journal(layers, mistakes);
        let snapshots = snapshots(layers, mistakes);
        let retention = retention(layers, mistakes);
        let core = core(layers, mistakes);
        let window = window(layers, mistakes);
        let shutdown = shutdown(layers, mistakes);
        let filter = layers
            .field("log.filter")
            .text(mistakes, "a filter such as `info`");
        let settings = Self {
            data: data?.into(),
            clock: clock?,
            http: http?,
            mqtt: mqtt?,
            brokers: brokers?,
            door: door?,
            journal: journal?,
            snapshots: snapshots?,
            retention: retention?,
            core: core?,
            window: window?,
            shutdown: shutdown?,
            log: Log {
                filter: filter?.to_owned(),
            },
            service_links: layers.service_links().to_vec(),
            doubts: Mistakes::default(),
        };
        settings.check_together(layers, mistakes);
        Some(settings)
    }

    /// What no key can get wrong alone.
    fn check_together(&self, layers: &Layers, mistakes: &mut Mistakes) {
        let packet = self.mqtt.packet_bytes_max;
        let waiting = self.door.waiting_bytes_max;
        let holds_a_packet = [
            ("journal.batch_bytes_max", self.journal.batch_bytes_max),
            ("door.waiting_bytes_max", waiting.telemetry),
            ("door.urgent_bytes_max", waiting.urgent),
        ];
        for (path, bytes) in holds_a_packet.iter().filter(|(_, bytes)| *bytes < packet) {
            // The mistake lies where something was changed.
            let changed = Some(layers.field(path)).filter(|_| layers.is_written(path));
            let changed = changed.unwrap_or_else(|| layers.field("mqtt.packet_bytes_max"));
            let what = format!(
                "mqtt.packet_bytes_max ({packet}) is more than {path} ({bytes}), which must hold \
                 a packet; lower the one or raise the other"
            );
            changed.wrong(mistakes, what);
        }
    }
}

/// What logical time follows, as `--clock` and the key `clock` write it: `system`, `scaled:60` or
/// `readings`.
///
/// # Errors
/// What to write instead.
pub fn parse_clock(text: &str) -> Result<ClockKind, String> {
    const WANTED: &str = "not `system`, `readings` or `scaled:N` with N from 1 to 100000";
    match (text, text.strip_prefix("scaled:")) {
        ("system", _) => Ok(ClockKind::System),
        ("readings", _) => Ok(ClockKind::Readings),
        (_, Some(speed)) => match speed.parse() {
            Ok(speed @ 1..=100_000) => Ok(ClockKind::Scaled(speed)),
            _ => Err(format!("`{text}` is {WANTED}")),
        },
        _ => Err(format!("`{text}` is {WANTED}")),
    }
}

fn clock(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<ClockKind> {
    let text = field.text(mistakes, "a clock")?;
    match parse_clock(text) {
        Ok(clock) => Some(clock),
        Err(what) => {
            field.wrong(mistakes, what);
            None
        }
    }
}

fn http(layers: &Layers, dir: Option<&Path>, mistakes: &mut Mistakes) -> Option<Http> {
    let field = layers.field("http.listen");
    let listen = address(&field, mistakes);
    if listen.is_some_and(|address| !address.ip().is_loopback()) {
        let what = "is not on loopback, and HTTP asks nobody who he is (http.keys_file asks only \
                    who pushes, and without encryption); write `127.0.0.1:8080` and let others in \
                    through a proxy or an SSH tunnel that asks";
        field.wrong(mistakes, what);
    }
    let hosts = layers.field("http.hosts").items();
    let hosts: Vec<_> = hosts.iter().map(|field| host(field, mistakes)).collect();
    let keys_file = layers
        .optional("http.keys_file")
        .and_then(|field| field.file(dir, mistakes, "a file of keys (see `ioc key new`)"));
    Some(Http {
        listen: listen?,
        hosts: hosts.into_iter().collect::<Option<_>>()?,
        keys_file,
    })
}

fn mqtt(layers: &Layers, dir: Option<&Path>, mistakes: &mut Mistakes) -> Option<Mqtt> {
    let field = layers.field("mqtt.listen");
    let listen = address(&field, mistakes);
    let users_file = layers
        .optional("mqtt.users_file")
        .and_then(|field| field.file(dir, mistakes, "a file of `user:password` lines"));
    if listen.is_some_and(|address| !address.ip().is_loopback()) && users_file.is_none() {
        let what = "is not on loopback, and without users nobody is asked who he is; \
                    name a file of users in mqtt.users_file, or write `127.0.0.1:1883`";
        field.wrong(mistakes, what);
    }
    let connections_max = layers
        .field("mqtt.connections_max")
        .integer(mistakes, 1..=100_000);
    let inflight_max = layers
        .field("mqtt.inflight_max")
        .integer(mistakes, 1..=65_535);
    let packet_bytes_max = layers
        .field("mqtt.packet_bytes_max")
        .bytes(mistakes, 1 << 10..=16 << 20);
    let held_bytes_max = layers
        .field("mqtt.held_bytes_max")
        .bytes(mistakes, 1 << 20..=1 << 40);
    let overload_wait = seconds(&layers.field("mqtt.overload_wait_s"), 3600, mistakes);
    Some(Mqtt {
        listen: listen?,
        users_file,
        connections_max: connections_max? as u32,
        inflight_max: inflight_max? as u16,
        packet_bytes_max: packet_bytes_max? as u32,
        held_bytes_max: held_bytes_max?,
        overload_wait: overload_wait?,
    })
}

fn door(layers: &Layers, mistakes: &mut Mistakes) -> Option<Door> {
    let mut bytes = |path| {
        let field = layers.field(path);
        field.bytes(mistakes, 1 << 20..=u64::from(u32::MAX))
    };
    let urgent = bytes("door.urgent_bytes_max");
    let telemetry = bytes("door.waiting_bytes_max");
    let urgent_rate = layers.field("door.urgent_rate");
    let urgent_rate = urgent_rate.integer(mistakes, 1..=1_000_000);
    let telemetry_rate = layers.optional("door.telemetry_rate");
    let telemetry_rate = telemetry_rate.map(|field| field.integer(mistakes, 100..=1_000_000));
    let words = [("conflate", WhenFull::Conflate), ("wait", WhenFull::Wait)];
    let when_full = layers.field("door.when_full").choice(mistakes, &words);
    let words = [
        ("accept", Unregistered::Accept),
        ("refuse", Unregistered::Refuse),
    ];
    let unregistered = layers.field("door.unregistered").choice(mistakes, &words);
    Some(Door {
        waiting_bytes_max: Lanes {
            urgent: urgent? as u32,
            telemetry: telemetry? as u32,
        },
        when_full: when_full?,
        rates: Lanes {
            urgent: Some(urgent_rate? as u32),
            telemetry: match telemetry_rate {
                None => None,
                Some(per_s) => Some(per_s? as u32),
            },
        },
        unregistered: unregistered?,
    })
}

/// The smallest segment of a log. The longest record fits into it beside the reserve, with what is
/// said of it: what does not would wait for room for ever.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;
const _: () =
    assert!(batch_bytes(DeadLetter::PAYLOAD_BYTES_MAX + (256 << 10)) <= SEGMENT_BYTES_MIN / 8 * 7);

fn journal(layers: &Layers, mistakes: &mut Mistakes) -> Option<Journal> {
    let segment_bytes = layers
        .field("journal.segment_bytes")
        .bytes(mistakes, SEGMENT_BYTES_MIN..=16 << 30);
    let batch_records_max = layers
        .field("journal.batch_records_max")
        .integer(mistakes, 1..=1_000_000);
    let batch_bytes_max = layers
        .field("journal.batch_bytes_max")
        .bytes(mistakes, 64 << 10..=256 << 20);
    Some(Journal {
        segment_bytes: segment_bytes?,
        batch_records_max: batch_records_max? as u32,
        batch_bytes_max: batch_bytes_max? as u32,
    })
}

fn snapshots(layers: &Layers, mistakes: &mut Mistakes) -> Option<Due> {
    let every = seconds(&layers.field("snapshots.every_s"), 86_400, mistakes);
    let records = layers.field("snapshots.records");
    let records = records.integer(mistakes, 1..=1_000_000_000);
    Some(Due {
        every: every?,
        records: records?,
    })
}

fn retention(layers: &Layers, mistakes: &mut Mistakes) -> Option<Retention> {
    let mut keep = |log: &str| {
        let days = layers.field(&format!("retention.{log}_days"));
        let bytes = layers.field(&format!("retention.{log}_bytes"));
        let days = days.integer(mistakes, 1..=36_500);
        let bytes = bytes.bytes(mistakes, 1 << 20..=1 << 50);
        Some(Keep {
            age: Duration::from_secs(days? * 86_400),
            bytes: bytes?,
        })
    };
    let (inputs, decisions) = (keep("inputs"), keep("decisions"));
    Some(Retention {
        inputs: inputs?,
        decisions: decisions?,
    })
}

fn core(layers: &Layers, mistakes: &mut Mistakes) -> Option<Core> {
    let shards = layers.field("core.shards").integer(mistakes, 1..=64)?;
    Some(Core {
        shards: NonZeroUsize::new(shards as usize)?,
    })
}

fn window(layers: &Layers, mistakes: &mut Mistakes) -> Option<Window> {
    let sessions_max = layers
        .field("window.sessions_max")
        .integer(mistakes, 1..=10_000);
    let ring_decisions_max = layers
        .field("window.ring_decisions_max")
        .integer(mistakes, 1000..=10_000_000);
    Some(Window {
        sessions_max: sessions_max? as u32,
        ring_decisions_max: ring_decisions_max? as u32,
    })
}

fn shutdown(layers: &Layers, mistakes: &mut Mistakes) -> Option<Shutdown> {
    let drain = seconds(&layers.field("shutdown.drain_s"), 600, mistakes)?;
    Some(Shutdown { drain })
}

fn address(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<SocketAddr> {
    let wanted = "an address and a port, such as `127.0.0.1:8080` or `[::1]:8080`";
    field.read(mistakes, wanted, |text| text.parse().ok())
}

fn host(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let wanted = "a host name without a port, such as `ioc.city.example`";
    let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    field.read(mistakes, wanted, |text| {
        let valid = (1..=253).contains(&text.len()) && text.chars().all(is_label);
        valid.then(|| text.to_ascii_lowercase())
    })
}

fn seconds(field: &Field<'_>, most: u64, mistakes: &mut Mistakes) -> Option<Duration> {
    field.integer(mistakes, 1..=most).map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
