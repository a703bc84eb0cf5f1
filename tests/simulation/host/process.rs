//! One life of the host: the real parts, built as the host builds them, without their threads.
//!
//! Arrives: a disk after whatever happened to it, and how the process is started. Leaves: the parts,
//! which the world steps in the order that it likes. Between engine and writer lies a [`Belt`].

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, TryRecvError, bounded};
use ioc::clock::{Clock, ClockMode, TimeSource};
use ioc::engine::{EngineStart, Parts};
use ioc::journal::JournalId;
use ioc::journal::disk::Disk;
use ioc::outlets::Outlets;
use ioc::pipeline::{BatchLimits, Pipeline, Samples, WORK_MAX, WriterGone};
use ioc::recover::{self, RecoverError, RecoverOptions};
use ioc::retention::Retention;
use ioc::snapshots::follower::{self, Surroundings};
use ioc::snapshots::{Due, Follower, FollowerOptions, Section, Snapshot};
use ioc::writer::{Outlet, OwnedDeadLetter, Work, Writer};
use ioc_core::CodecError;
use ioc_core::bundle::Bundle;
use ioc_core::decision::Released;
use ioc_core::record::{BuildHash, BundleHash, ClockKind};
use ioc_gateway::catalogue::{Catalogue, Now};
use ioc_gateway::dead_letters::DeadLetters;
use ioc_gateway::door::{Door, DoorOptions, Lanes};
use ioc_ws::{Keeper, Token, VIEW_FORMAT, Window, WindowOptions};

use super::city;
use super::devices::{Broker, Sender};
use super::model::SharedModel;
use super::sabotage::Sabotage;

/// The data directory of all lives.
pub const DATA: &str = "/data";
/// What operators show to command.
pub const TOKEN: &str = "token";
/// How a process is started.
#[derive(Debug, Clone)]
pub struct Start {
    /// The executable.
    pub build: BuildHash,
    /// Over how many shards the sensors are shared out.
    pub shards: NonZeroUsize,
    /// The bundle in the configuration.
    pub bundle: Arc<Bundle>,
    /// All that were ever stored.
    pub bundles: Arc<Vec<Arc<Bundle>>>,
    /// The journal's identity if it is new.
    pub new_journal: JournalId,
    /// How many bytes a segment is made with.
    pub segment_bytes: u64,
    /// How many decisions before a snapshot are shown again.
    pub decisions_shown: u64,
    /// When snapshots are made.
    pub snapshots: Due,
    /// How much of the logs is kept.
    pub retention: Retention,
    /// How large batches grow.
    pub limits: BatchLimits,
    /// How much may wait at the door.
    pub waiting_bytes_max: u32,
    /// The window's bounds, as far as a run varies them.
    pub window: WindowBounds,
    /// What is broken on purpose.
    pub sabotage: Sabotage,
}

/// The bounds of the window that make operators slow.
#[derive(Debug, Clone, Copy)]
pub struct WindowBounds {
    /// See [`WindowOptions::ring_decisions_max`].
    pub ring_decisions_max: usize,
    /// See [`WindowOptions::fold_after_decisions`].
    pub fold_after_decisions: u64,
    /// See [`WindowOptions::round_bytes_max`].
    pub round_bytes_max: usize,
}

/// A running process. Dropped, it is killed.
pub struct Process {
    /// The way in.
    pub door: Door,
    /// The way out.
    pub window: Window,
    /// Decides; gone once the process is to end cleanly.
    pub pipeline: Option<Pipeline>,
    /// Lies between.
    pub belt: Belt,
    /// Makes durable, and releases.
    pub writer: Writer,
    /// The messages that could not be read.
    pub letters: DeadLetters,
    /// Makes snapshots, until that fails.
    pub follower: Option<Follower>,
    /// Sends commands to devices.
    pub sender: Sender,
    keeper: Arc<Mutex<Keeper>>,
}

/// Why a process did not start.
#[derive(Debug)]
pub enum NotStarted {
    /// The journal could not be opened.
    Recover(RecoverError),
    /// The clock was not believed.
    Clock,
    /// The writer ended at once.
    Writer(WriterGone),
}

impl From<RecoverError> for NotStarted {
    fn from(error: RecoverError) -> Self {
        Self::Recover(error)
    }
}

impl Process {
    /// Starts as the host does: opens the journal, judges it again, tells the window.
    pub fn start(
        start: &Start,
        disk: &Arc<dyn Disk>,
        time: &Arc<dyn TimeSource>,
        (model, broker): (&SharedModel, &Broker),
    ) -> Result<Self, NotStarted> {
        let options = RecoverOptions {
            data: Path::new(DATA),
            segment_bytes: start.segment_bytes,
            build: start.build,
            new_journal: start.new_journal,
            decisions_shown: start.decisions_shown,
            time: &**time,
        };
        let opened = recover::open(disk, options)?;
        let epoch = opened.journal().to_string();
        let (window, commands, keeper) = Window::unattended(window_options(start, &epoch, time));
        let keeper = Arc::new(Mutex::new(keeper));
        let mut outlet = Watched {
            outlets: Outlets::new(window.clone()),
            keeper: Arc::clone(&keeper),
            waiting: 0,
            model: Arc::clone(model),
            sabotage: start.sabotage,
        };
        model.lock().unwrap().shows_epoch(&epoch);
        let bundles = |hash| stored(&start.bundles, hash);
        let recovered = opened.replay(start.shards, &bundles, &mut outlet)?;
        if recovered.snapshot.is_some() {
            model.lock().unwrap().reached("started from a snapshot", 1);
        }
        let mode = ClockMode(ClockKind::System);
        let clock = Clock::start(Arc::clone(time), mode, recovered.last_at, false);
        let clock = clock.map_err(|_| NotStarted::Clock)?;

        let is_new = recovered.bundle != Some(start.bundle.hash);
        let face = clock.face();
        let now = Now::new(move || face.now());
        let book = outlet.outlets.commands.clone();
        let judgement = &recovered.judgement;
        let pending = judgement.commands_pending();
        let pending: Vec<_> = pending
            .map(|(command, is_begun)| (start.sabotage.recover(command), is_begun))
            .collect();
        let pending = pending
            .iter()
            .map(|(command, is_begun)| (command, *is_begun));
        book.begin(pending, judgement.commands_over());
        let catalogue = Catalogue {
            commands: book.clone(),
            now: now.clone(),
            ..city::catalogue()
        };
        let catalogue = Arc::new(ArcSwap::from_pointee(catalogue));
        let door_options = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| start.waiting_bytes_max),
            ..DoorOptions::default()
        };
        let (door, arrivals) = Door::new(door_options, catalogue);
        let around = Surroundings {
            disk: Arc::clone(disk),
            data: DATA.into(),
            journal: recovered.logs.0.journal(),
            build: start.build,
            time: Arc::clone(time),
            durable: Arc::clone(&recovered.durable),
            bundles: {
                let bundles = Arc::clone(&start.bundles);
                Box::new(move |hash| stored(&bundles, hash))
            },
            view: {
                let keeper = Arc::clone(&keeper);
                let saved = move || keeper.lock().unwrap().save();
                Box::new(move || Section {
                    format: VIEW_FORMAT,
                    bytes: saved(),
                })
            },
            counted: ioc_ws::Counted::default(),
        };
        let letters = outlet.outlets.dead_letters.clone();
        let options = FollowerOptions {
            due: start.snapshots,
            retention: start.retention,
            decisions_shown: start.decisions_shown,
        };
        let follower = follower::beside(around, options, &recovered, &letters);
        let engine = EngineStart {
            recovered,
            clock,
            build: start.build,
            rules: is_new.then(|| Arc::clone(&start.bundle)),
            arrivals,
            commands,
            reloads: crossbeam_channel::never(),
            samples: Samples::new(window.clone()),
            limits: start.limits,
            outlet: Box::new(outlet),
            follower,
        };
        let (belt, work, to_do) = Belt::new(start.sabotage, model);
        let Parts {
            mut pipeline,
            writer,
            first,
            follower,
            ..
        } = engine
            .parts((work, to_do))
            .map_err(|error| NotStarted::Recover(error.into()))?;
        pipeline.begin(&first).map_err(NotStarted::Writer)?;
        let sender = Sender::new(&book, &door, &now, (broker, model));
        Ok(Self {
            sender,
            door,
            window,
            pipeline: Some(pipeline),
            belt,
            writer,
            letters,
            follower: Some(follower()?),
            keeper,
        })
    }

    /// Lets the window take what it was told.
    pub fn step_keeper(&mut self) {
        self.keeper.lock().unwrap().step();
    }
}

fn window_options(start: &Start, epoch: &str, time: &Arc<dyn TimeSource>) -> WindowOptions {
    let time = Arc::clone(time);
    let now = Arc::new(move || time.wall());
    let mut options = WindowOptions::new(epoch.to_owned(), Token::new(TOKEN), now);
    options.ring_decisions_max = start.window.ring_decisions_max;
    options.fold_after_decisions = start.window.fold_after_decisions;
    options.round_bytes_max = start.window.round_bytes_max;
    options
}

fn stored(bundles: &[Arc<Bundle>], hash: BundleHash) -> Result<Arc<Bundle>, String> {
    let found = bundles.iter().find(|bundle| bundle.hash == hash);
    found.cloned().ok_or_else(|| format!("no bundle {hash:?}"))
}

/// The outlets of the host; the model sees what passes.
struct Watched {
    outlets: Outlets,
    keeper: Arc<Mutex<Keeper>>,
    /// How much the keeper may not have taken yet.
    waiting: usize,
    model: SharedModel,
    sabotage: Sabotage,
}

impl Outlet for Watched {
    fn release(&mut self, decisions: Vec<Released>) {
        let mut model = self.model.lock().unwrap();
        decisions.iter().for_each(|each| model.released(each));
        drop(model);
        self.waiting += 1;
        // On its thread the keeper would take them by itself before the queue is full.
        if self.waiting == 32 {
            self.waiting = 0;
            self.keeper.lock().unwrap().step();
        }
        self.outlets.release(self.sabotage.hide(decisions));
    }

    fn dead_letter(&mut self, letter: &OwnedDeadLetter) {
        self.outlets.dead_letter(letter);
    }

    fn resume(&mut self, snapshot: &Snapshot) -> Result<(), CodecError> {
        self.keeper
            .lock()
            .unwrap()
            .restore(snapshot.view.format, &snapshot.view.bytes)?;
        follower::restore_letters(&snapshot.letters, &self.outlets.dead_letters)
    }
}

/// Carries work from the engine to the writer, as much at a time as the world likes: so the writer
/// may find a batch without what follows from it, or several at once.
pub struct Belt {
    from_engine: Receiver<Work>,
    to_writer: Option<crossbeam_channel::Sender<Work>>,
    sabotage: Sabotage,
    model: SharedModel,
}

impl Belt {
    /// A belt, and the ends of the engine and of the writer.
    fn new(
        sabotage: Sabotage,
        model: &SharedModel,
    ) -> (Self, crossbeam_channel::Sender<Work>, Receiver<Work>) {
        let (work, from_engine) = bounded(WORK_MAX);
        let (to_writer, to_do) = bounded(WORK_MAX);
        let belt = Self {
            from_engine,
            to_writer: Some(to_writer),
            sabotage,
            model: Arc::clone(model),
        };
        (belt, work, to_do)
    }

    /// Whether nothing lies on it.
    pub fn is_empty(&self) -> bool {
        self.from_engine.is_empty()
    }

    /// Carries up to so many pieces; once the engine is gone and all is carried, ends.
    pub fn carry(&mut self, most: usize) {
        let Some(to_writer) = &self.to_writer else {
            return;
        };
        for _ in 0..most {
            if to_writer.is_full() {
                return;
            }
            match self.from_engine.try_recv() {
                Ok(work) => {
                    let work = self.sabotage.spoil(work, &self.model);
                    // A writer that is gone says why itself.
                    let _ = to_writer.send(work);
                }
                Err(TryRecvError::Disconnected) => {
                    self.to_writer = None;
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }
}
