//! Builds every part, wires them, waits, and stops them in order. All bounds are visible here.
//!
//! Threads: `engine` (one, decides), `journal` (one, writes and releases), `segments` (makes files
//! ahead), and tokio's workers for every socket. Order at start: settings, rules, lock, journal,
//! replay, sockets, `ready`. Order at the end: sockets stop reading, what was handed over is
//! settled, the engine ends, the journal ends.

use std::fs::File;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use crossbeam_channel::bounded;
use ioc_core::bundle::Bundle;
use ioc_core::record::{Adopted, BuildHash, ClockKind, Seq};
use ioc_core::time::Timestamp;
use ioc_gateway::GatewayError;
use ioc_gateway::catalogue::Now;
use ioc_gateway::door::{Door, DoorOptions, WhenFull};
use ioc_ws::{Commands, Token, VIEW_FORMAT, Window, WindowOptions};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::clock::{Clock, ClockMode, ClockRefused, Face, SystemTimeSource, TimeSource};
use crate::config::settings::{Settings, Written};
use crate::config::source::{CITY, Source, StoreError};
use crate::decisions_out::DecisionsLog;
use crate::descriptors;
use crate::engine::{Engine, EngineStart};
use crate::identity;
use crate::inputs_log::LiveInputs;
use crate::journal::disk::{Disk, SystemDisk};
use crate::journal::{JournalError, JournalId};
use crate::outlets::Outlets;
use crate::pipeline::{BatchLimits, Samples};
use crate::progress::tell;
use crate::recall;
use crate::recover::{self, INPUTS_DIR, Opened, RecoverError, RecoverOptions};
use crate::reload::{self, Reloader, Turns};
use crate::rules::{Chosen, Rules};
use crate::servers::{CommandsOut, Servers, Sockets};
use crate::shadow::{Shadow, ShadowStart};
use crate::snapshots::follower::{self, Surroundings};
use crate::snapshots::{FollowerOptions, Section};
use crate::status::RefusedSign;
use crate::telemetry;

/// What `ioc run` was asked for.
#[derive(Debug)]
pub struct RunOptions {
    /// The settings.
    pub settings: Settings,
    /// The directory of the rules; `None` for those compiled in.
    pub config: Option<PathBuf>,
    /// The city file in place of the configuration's.
    pub city: Option<PathBuf>,
    /// Whether a clock far from the journal's last record is to be believed.
    pub accept_clock: bool,
    /// Records that are to be passed over from now on.
    pub skip_records: Vec<Seq>,
    /// Whose devices obey.
    pub devices: Devices,
}

/// Whose devices the commands go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// Those of the world: nothing is sent while time is another than the world's.
    OfTheWorld,
    /// Those of a simulation, which lives in the server's time, whatever that is.
    Simulated,
}

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Settings or rules that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A file that is needed.
    #[error("cannot {attempt} {path}")]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error("another ioc uses {path}: stop it, or give this one another --data directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The clock cannot be believed.
    #[error(transparent)]
    Clock(#[from] ClockRefused),
    /// The journal cannot be gone on with.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The MQTT listener.
    #[error(transparent)]
    Mqtt(#[from] GatewayError),
    /// The HTTP socket.
    #[error("cannot listen for HTTP on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The rules cannot be stored, so they must not be named.
    #[error("cannot store the rules")]
    Bundle(#[source] StoreError),
    /// The machine refuses threads or sockets.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The journal could not be written: nothing withheld was released.
    #[error("the journal cannot be written; nothing unwritten was acknowledged")]
    Journal(#[from] JournalError),
    /// A bug.
    #[error(
        "the {0} thread ended unexpectedly; nothing it withheld was released. Start again: if a \
         record stops this build, the start names it"
    )]
    Thread(&'static str),
}

impl HostError {
    /// For `map_err`: what was attempted on what.
    pub fn file(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            attempt,
            path,
            source,
        }
    }
}

/// Runs the server until a signal asks it to end.
pub fn run(options: RunOptions) -> Result<(), HostError> {
    let drain = options.settings.shutdown.drain;
    telemetry::start_logging(&options.settings.log.filter);
    if !options.settings.service_links.is_empty() {
        telemetry::service_links_ignored(&options.settings.service_links);
    }
    if !options.settings.doubts.is_empty() {
        telemetry::rules_warning(&options.settings.doubts.to_string());
    }
    let host = Host::start(options)?;
    // Whoever reads `ready` may ask it to end at once.
    let asked = host.shutdown_signal();
    announce(&host);
    tell(format_args!("console: {}", host.console_url()));
    match host.wait(asked) {
        Ended::Asked => {
            telemetry::draining(drain);
            host.stop(drain)
        }
        Ended::Failed => host.stop(Duration::ZERO),
    }
}

/// Lets this executable take over, at its next start, what another left unfinished. Returns what
/// that is, and this build; `None` if there is nothing: then no word is left.
pub fn adopt(data: &Path) -> Result<Option<(Adopted, BuildHash)>, HostError> {
    let _lock = identity::lock(data)?;
    let build = identity::build_hash()?;
    let Some(tail) = open_stopped(data, build, |opened| Ok(opened.foreign_tail()))? else {
        return Ok(None);
    };
    recover::adopt(&SystemDisk, data, build)?;
    Ok(Some((tail, build)))
}

/// Has a record passed over from the next start on. Returns whether it was not so before.
pub fn skip(data: &Path, seq: Seq) -> Result<bool, HostError> {
    let _lock = identity::lock(data)?;
    open_stopped(data, identity::build_hash()?, |opened| {
        let is_new = !opened.is_skipped(seq);
        opened.skip(&[seq])?;
        Ok(is_new)
    })
}

/// Opens a journal that no server uses, as a start does, but judges nothing.
fn open_stopped<T>(
    data: &Path,
    build: BuildHash,
    work: impl FnOnce(&mut Opened<'_>) -> Result<T, RecoverError>,
) -> Result<T, HostError> {
    let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
    let options = RecoverOptions {
        data,
        segment_bytes: STOPPED_SEGMENT_BYTES,
        build,
        new_journal: JournalId(identity::random()?),
        decisions_shown: 0,
        time: &SystemTimeSource::default(),
    };
    Ok(work(&mut recover::open(&disk, options)?)?)
}

/// The next start makes segments of its own: nothing but a tail is written to these.
const STOPPED_SEGMENT_BYTES: u64 = 1 << 20;

/// Says where everything is: for people, and for programs that wait for `ready`. Whoever reads our
/// output may have gone: that is no reason to stop serving a city.
pub fn announce(host: &Host) {
    let (http, mqtt) = (host.http, host.mqtt);
    let mut out = io::stdout().lock();
    let _ = write!(out, "listening http {http}\nlistening mqtt {mqtt}\nready\n");
    let _ = out.flush();
}

/// Why a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Somebody asked.
    Asked,
    /// It cannot go on: [`Host::stop`] says why.
    Failed,
}

/// A running server.
#[derive(Debug)]
pub struct Host {
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where MQTT is served.
    pub mqtt: SocketAddr,
    token: String,
    runtime: Runtime,
    servers: Servers,
    engine: Engine,
    reloader: Reloader,
    shadow: Option<Shadow>,
    // Declared last: the directory is another's only when all else is gone.
    _lock: File,
}

impl Host {
    /// Starts everything; returns when it is ready.
    pub fn start(options: RunOptions) -> Result<Self, HostError> {
        let RunOptions {
            settings,
            config,
            city,
            accept_clock,
            skip_records,
            devices,
        } = options;
        descriptors::provide(&settings)?;
        let metrics = telemetry::start_metrics();
        let data = &settings.data;
        identity::data_dir(data)?;
        let lock = identity::lock(data)?;
        let token = identity::console_token(data)?;
        let build = identity::build_hash()?;
        let rules = Rules::new(data, config.as_deref(), city.as_deref());

        let began = Instant::now();
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let time: Arc<dyn TimeSource> = Arc::new(SystemTimeSource::default());
        let segment_bytes = settings.journal.segment_bytes;
        let new_journal = JournalId(identity::random()?);
        let options = RecoverOptions {
            data,
            segment_bytes,
            build,
            new_journal,
            decisions_shown: u64::from(settings.window.ring_decisions_max),
            time: &*time,
        };
        let mut opened = recover::open(&disk, options)?;
        opened.skip(&skip_records)?;

        let runtime = Runtime::new().map_err(HostError::Start)?;
        let entered = runtime.enter();
        let face = Arc::new(OnceLock::new());
        let (window, commands) = window(&settings, opened.journal(), &token, Arc::clone(&face));
        let mut outlets = Outlets::new(window.clone());
        let recovered = opened.replay(settings.core.shards, &*rules.bundles(), &mut outlets)?;
        telemetry::recovered(&recovered, began.elapsed());
        let mode = ClockMode(settings.clock);
        let clock = Clock::start(Arc::clone(&time), mode, recovered.last_at, accept_clock)?;
        face.get_or_init(|| clock.face());

        let refused = RefusedSign::default();
        let Chosen {
            is_new,
            source,
            compiled,
        } = rules.choose(recovered.bundle, &refused)?;
        window.set_city(city_of(&source));
        window.set_actuators(compiled.bundle.city.actuators.as_slice().into());
        window.set_bundle(Arc::clone(&compiled.bundle));
        recall::start(data, recovered.next, window.clone()).map_err(HostError::Start)?;
        let turns = Turns::under(clock.kind());
        let mut catalogue = turns.catalogue(&compiled, settings.door.unregistered);
        let logical = clock.face();
        catalogue.now = Now::new(move || logical.now());
        let book = outlets.commands.clone();
        let judgement = &recovered.judgement;
        book.begin(judgement.commands_pending(), judgement.commands_over());
        catalogue.commands = book.clone();
        let commands_out = CommandsOut {
            book,
            now: catalogue.now.clone(),
            may_send: clock.kind() == ClockKind::System || devices == Devices::Simulated,
        };
        let door_options = DoorOptions {
            waiting_bytes_max: settings.door.waiting_bytes_max,
            when_full: match turns {
                Turns::UrgentFirst => settings.door.when_full,
                // Offline nothing is left out either.
                Turns::AsSent => WhenFull::Wait,
            },
            rates: settings.door.rates,
        };
        let catalogue = Arc::new(ArcSwap::from_pointee(catalogue));
        let (door, arrivals) = Door::new(door_options, Arc::clone(&catalogue));
        let (orders, reloads) = bounded(RELOADS_MAX);
        let reloader = Reloader::new(reload::Parts {
            data: data.clone(),
            config: config.clone(),
            city: city.clone(),
            unregistered: settings.door.unregistered,
            turns,
            catalogue,
            window: window.clone(),
            orders,
            held: Mutex::new(compiled.bundle.hash),
            refused: refused.clone(),
            settings: Written::read(config.as_deref(), std::env::vars()).unwrap_or_default(),
        });
        let decisions = DecisionsLog {
            disk: Arc::clone(&disk),
            data: data.clone(),
            journal: recovered.logs.0.journal(),
            durable: Arc::clone(&recovered.durable),
        };
        let follower = {
            let around = Surroundings {
                disk,
                data: data.clone(),
                journal: recovered.logs.0.journal(),
                build,
                time: Arc::clone(&time),
                durable: Arc::clone(&recovered.durable),
                bundles: rules.bundles(),
                view: view_of(window.clone()),
                counted: window.counted(),
            };
            let options = FollowerOptions {
                due: settings.snapshots,
                retention: settings.retention,
                decisions_shown: u64::from(settings.window.ring_decisions_max),
            };
            follower::beside(around, options, &recovered, &outlets.dead_letters)
        };
        let inputs = LiveInputs {
            disk: Arc::new(SystemDisk),
            dir: data.join(INPUTS_DIR),
            durable: Arc::clone(&recovered.durable),
        };
        let shadow = shadow(&source, config.as_deref()).map(|own| {
            let start = ShadowStart {
                disk: Arc::new(SystemDisk),
                data: data.clone(),
                durable: Arc::clone(&recovered.durable),
                held: recovered.bundle.and_then(|hash| rules.bundles()(hash).ok()),
                bundles: rules.bundles(),
                rules: own,
            };
            Shadow::start(start, &recovered)
        });
        let shadow = shadow.transpose().map_err(HostError::Start)?;
        let start = EngineStart {
            recovered,
            clock,
            build,
            rules: is_new.then_some(compiled.bundle),
            arrivals,
            commands,
            reloads,
            samples: Samples::new(window.clone()),
            limits: BatchLimits {
                records_max: settings.journal.batch_records_max,
                bytes_max: settings.journal.batch_bytes_max as usize,
            },
            outlet: Box::new(outlets.clone()),
            follower,
        };
        let engine = Engine::start(start)?;
        let sockets = Sockets {
            door,
            window,
            outlets,
            inputs,
            token: Token::new(&token),
            metrics,
            full: engine.full(),
            room: engine.room(),
            refused,
            decisions,
            commands: commands_out,
            reloader: reloader.clone(),
            shadow: shadow.as_ref().map(Shadow::view),
        };
        let servers = runtime.block_on(Servers::start(&settings, sockets))?;
        drop(entered);
        let (http, mqtt) = (servers.http, servers.mqtt);
        Ok(Self {
            http,
            mqtt,
            token,
            runtime,
            servers,
            engine,
            reloader,
            shadow,
            _lock: lock,
        })
    }

    /// The console's address, with the token that lets it command.
    pub fn console_url(&self) -> String {
        format!("http://{}/#token={}", self.http, self.token)
    }

    /// SIGTERM or Ctrl-C, from the call on; and SIGHUP in a terminal, which is gone then. Where there
    /// is none, SIGHUP has the rules read again.
    pub fn shutdown_signal(&self) -> impl Future<Output = ()> + use<> {
        use tokio::signal::unix::{SignalKind, signal};
        let _entered = self.runtime.enter();
        let listen = |kind| signal(kind).expect("signals can be listened for");
        let mut terminate = listen(SignalKind::terminate());
        let mut interrupt = listen(SignalKind::interrupt());
        let mut hangup = listen(SignalKind::hangup());
        let reloader = self.reloader.clone();
        async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => return,
                    _ = interrupt.recv() => return,
                    _ = hangup.recv() => {
                        if is_in_terminal() {
                            return;
                        }
                        tokio::spawn(reloader.clone().reload_and_tell());
                    }
                }
            }
        }
    }

    /// Waits until `shutdown` is over, or until the server cannot go on.
    pub fn wait(&self, shutdown: impl Future<Output = ()>) -> Ended {
        self.runtime.block_on(async {
            tokio::select! {
                () = shutdown => Ended::Asked,
                () = self.engine.ended() => Ended::Failed,
            }
        })
    }

    /// Runs something on the server's runtime, beside it.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(work)
    }

    /// Stops everything in order: what was handed over is settled, within the deadline.
    pub fn stop(self, drain: Duration) -> Result<(), HostError> {
        let Self {
            runtime,
            servers,
            engine,
            shadow,
            _lock,
            ..
        } = self;
        let in_time = runtime.block_on(servers.stop(drain));
        if !in_time {
            telemetry::drain_overrun();
        }
        if let Some(shadow) = shadow {
            shadow.stop();
        }
        let ended = engine.stop(drain);
        runtime.shutdown_timeout(Duration::from_secs(1));
        if ended.is_ok() {
            telemetry::drained();
        }
        ended
    }
}

/// The rules that are judged by beside the live ones, if there are some and they have no mistake.
fn shadow(live: &Source, config: Option<&Path>) -> Option<Arc<Bundle>> {
    let shadow = live.shadow(config?);
    let shadow = shadow.and_then(|shadow| shadow.map(|it| it.compile()).transpose());
    match shadow {
        Ok(shadow) => shadow.map(|compiled| compiled.bundle),
        Err(mistakes) => {
            telemetry::shadow_refused(&mistakes.to_string());
            None
        }
    }
}

/// Reloads that wait for the engine: they come one at a time.
const RELOADS_MAX: usize = 1;

/// Whether a person at a terminal runs this process.
fn is_in_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// What consoles see, as a snapshot keeps it.
fn view_of(window: Window) -> Box<dyn FnMut() -> Section + Send> {
    Box::new(move || Section {
        format: VIEW_FORMAT,
        bytes: window.save(),
    })
}

fn window(
    settings: &Settings,
    journal: JournalId,
    token: &str,
    face: Arc<OnceLock<Arc<Face>>>,
) -> (Window, Commands) {
    // Nothing is served before the clock runs.
    let now = move || face.get().map_or(Timestamp::default(), |face| face.now());
    let mut options = WindowOptions::new(journal.to_string(), Token::new(token), Arc::new(now));
    options.sessions_max = settings.window.sessions_max as usize;
    options.ring_decisions_max = settings.window.ring_decisions_max as usize;
    Window::new(options)
}

/// The city as its file says it; an empty one if there is none.
pub(crate) fn city_of(source: &Source) -> Bytes {
    let city = source.files().iter().find(|file| file.name == CITY);
    const NOWHERE: &[u8] = br#"{"type":"FeatureCollection","features":[]}"#;
    city.map_or(Bytes::from_static(NOWHERE), |file| {
        Bytes::copy_from_slice(&file.bytes)
    })
}
