//! The machine that the host runs on: a disk that may fail, and at most one process.
//!
//! Arrives: what the world wants done. Leaves: the parts of the process, stepped; the process
//! started, stopped or gone. Promise: whatever the disk did, the process starts again and knows all
//! that had left before. The world looks at [`Machine::has_ended`] after each step, for it has to
//! break the connections. Next: `process.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use ioc::clock::TimeSource;
use ioc::journal::disk::Disk;
use ioc::journal::{JournalError, JournalId};
use ioc::pipeline::Stepped;
use ioc::recover::RecoverError;
use ioc::retention::{Keep, Retention};
use ioc::skipped::SkippedError;
use ioc::snapshots::follower::Followed;
use ioc::snapshots::{Due, SNAPSHOTS_DIR};
use ioc_core::bundle::Bundle;
use ioc_core::record::BuildHash;

use super::archive::Archive;
use super::city;
use super::devices::Broker;
use super::model::{Broken, Model, Promise, SharedModel, expect};
use super::plan::{self, Plan};
use super::process::{DATA, NotStarted, Process, Start};
use super::sabotage::Sabotage;
use super::story::Story;
use super::tide::{CAPACITY, Tide};
use super::time::SimulatedTime;
use crate::chance::Chance;
use crate::disk::{Ending, FaultDisk, Faults};

/// How often the parts are stepped before a process that is to end is believed to be stuck.
const STOPPING_ROUNDS_MAX: u64 = 1000;

/// The machine.
pub struct Machine {
    /// Its disk.
    pub disk: FaultDisk,
    /// What was removed from it.
    pub archive: Archive,
    /// Its clocks.
    pub time: Arc<SimulatedTime>,
    /// The process, while one runs.
    pub process: Option<Process>,
    /// How often one was started.
    pub lives: u64,
    tide: Tide,
    plan: Plan,
    sabotage: Sabotage,
    model: SharedModel,
    /// Where commands to devices go: it goes on while no process runs.
    pub broker: Broker,
    bundles: Arc<Vec<Arc<Bundle>>>,
    chance: Chance,
    faults: Chance,
    /// Whether the process must be gone, though it is still there to be looked at.
    ended: bool,
    /// Whether something is to go wrong with the disk.
    armed: bool,
    /// The snapshots that are damaged.
    rotten: BTreeSet<PathBuf>,
    /// The executable that ran last.
    build: u8,
    /// The state of the judgement in which the last process stopped, if it stopped cleanly.
    stopped: Option<[u8; 32]>,
}

/// How a process that was asked to stop came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// With all that it had taken settled.
    Cleanly,
    /// Before that, or there was none.
    Died,
}

impl Machine {
    /// A machine with an empty disk.
    pub fn new(seed: u64, plan: Plan, sabotage: Sabotage, tell: bool) -> Self {
        Self {
            disk: FaultDisk::new(seed, CAPACITY, tell),
            archive: Archive::default(),
            time: Arc::default(),
            process: None,
            lives: 0,
            tide: Tide::new(seed),
            plan,
            sabotage,
            model: Arc::default(),
            broker: Arc::default(),
            bundles: Arc::new(city::bundles()),
            chance: Chance::new(seed, "starts"),
            faults: Chance::new(seed, "disk faults"),
            ended: false,
            armed: false,
            rotten: BTreeSet::new(),
            build: 1,
            stopped: None,
        }
    }

    /// What the outside was told.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    /// Whether the process is to be taken away.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// The digest of the judgement's state, if the last process stopped cleanly.
    pub const fn stopped(&self) -> Option<[u8; 32]> {
        self.stopped
    }

    fn reached(&self, what: &'static str) {
        self.model().reached(what, 1);
    }

    // The parts of the process.

    /// The engine takes what has arrived.
    pub fn step_engine(&mut self, story: &Story) {
        let process = self.process.as_mut();
        if let Some(pipeline) = process.and_then(|process| process.pipeline.as_mut()) {
            let stepped = pipeline.step();
            story.tell(|| format!("engine: {stepped:?}"));
        }
    }

    /// Up to so many pieces of work reach the writer's queue.
    pub fn carry(&mut self, most: usize) {
        if let Some(process) = &mut self.process {
            process.belt.carry(most);
        }
    }

    /// The writer does what waits; nothing if it cannot go on.
    pub fn step_writer(&mut self, story: &Story) -> Option<Stepped> {
        let stepped = self.process.as_mut()?.writer.step();
        story.tell(|| format!("writer: {stepped:?}"));
        if stepped.is_err() || self.disk.ended().is_some() {
            self.ended = true;
            self.reached(match self.disk.ended() {
                None => "ended by a failed operation",
                Some(Ending::Process) => "process killed within an operation",
                Some(Ending::Power) => "power cut within an operation",
            });
            return None;
        }
        stepped.ok()
    }

    /// What is to be sent to devices is. Precondition: within a runtime.
    pub fn step_sender(&mut self) {
        if let Some(process) = &mut self.process {
            process.sender.step();
        }
    }

    /// The window takes what it was told.
    pub fn step_keeper(&mut self) {
        if let Some(process) = &mut self.process {
            process.step_keeper();
        }
    }

    /// The follower judges some of what is durable, and may make a snapshot.
    pub fn step_follower(&mut self, most: u64) -> Result<(), Broken> {
        for _ in 0..most {
            let Some(process) = &mut self.process else {
                return Ok(());
            };
            let Some(follower) = &mut process.follower else {
                return Ok(());
            };
            let before = follower.saved();
            let followed = follower.step();
            let made = follower.saved() > before;
            if followed.is_err() {
                process.follower = None;
            }
            if made {
                self.reached("snapshot made");
            }
            if let Err(error) = &followed {
                expect_excusable(error)?;
            }
            if self.disk.ended().is_some() {
                self.reached("ended beside the engine");
                self.ended = true;
            }
            if !matches!(followed, Ok(Followed::Some)) {
                return Ok(());
            }
        }
        Ok(())
    }

    // How a process begins.

    /// Starts a process, maybe with something about to go wrong.
    pub fn start(&mut self, story: &Story) -> Result<(), Broken> {
        if self.faults.one_in(self.plan.faulty_start_one_in) {
            self.arm(60, story);
        }
        self.begin(story)
    }

    /// Starts a process; there may be none after it, if something went wrong or if it is of another
    /// build than what the last one left.
    pub fn begin(&mut self, story: &Story) -> Result<(), Broken> {
        self.lives += 1;
        let build = match self.chance.one_in(8) {
            true => 3 - self.build,
            false => self.build,
        };
        let start = self.draw_start(build);
        story.tell(|| {
            let (lives, shards, bundle) = (self.lives, start.shards, start.bundle.hash.0[0]);
            format!("start {lives} of build {build} with {shards} shards, bundle {bundle}")
        });
        let disk = self.archive.watch(self.disk.clone());
        let time: Arc<dyn TimeSource> = Arc::clone(&self.time) as Arc<dyn TimeSource>;
        let outside = (&self.model, &self.broker);
        match Process::start(&start, &disk, &time, outside) {
            Ok(process) => {
                if build != self.build {
                    self.reached("another build took over");
                }
                (self.build, self.stopped) = (build, None);
                self.process = Some(process);
                if self.tide.is_full() {
                    self.reached("started on a full disk");
                }
                self.expect_all_released()
            }
            Err(error) => self.not_started(build, &error),
        }
    }

    fn not_started(&mut self, build: u8, error: &NotStarted) -> Result<(), Broken> {
        let (by_disk, by_space) = match error {
            NotStarted::Recover(error) => (is_by_disk(error), is_by_space(error)),
            NotStarted::Clock | NotStarted::Writer(_) => (false, false),
        };
        let of_another_build = matches!(
            error,
            NotStarted::Recover(RecoverError::ForeignTail { .. }) if build != self.build
        );
        self.ended = true;
        if by_disk && self.armed {
            self.reached("ended while it started");
            Ok(())
        } else if by_space && self.tide.is_full() {
            self.reached("refused to start on a full disk");
            Ok(())
        } else if of_another_build {
            self.reached("another build was refused a tail");
            let excusable = self.stopped.is_none();
            expect(excusable, Promise::AnotherBuildTakesOver, || {
                format!("build {} stopped cleanly, {build} is refused", self.build)
            })
        } else {
            Err(Broken {
                promise: Promise::ItStartsAgain,
                how: format!("{error:?}"),
            })
        }
    }

    fn draw_start(&mut self, build: u8) -> Start {
        let bundle = self.chance.below(3 * self.bundles.len()) / 3;
        Start {
            build: BuildHash([build; 32]),
            shards: plan::shards(&mut self.chance),
            bundle: Arc::clone(&self.bundles[bundle]),
            bundles: Arc::clone(&self.bundles),
            new_journal: JournalId([self.lives as u8; 16]),
            segment_bytes: self.plan.segment_bytes,
            decisions_shown: self.plan.decisions_shown,
            snapshots: Due {
                every: Duration::from_secs(60),
                records: self.plan.snapshot_records,
            },
            retention: self.retention(),
            limits: self.plan.limits,
            waiting_bytes_max: self.plan.waiting_bytes_max,
            window: self.plan.window,
            sabotage: self.sabotage,
        }
    }

    fn retention(&self) -> Retention {
        let keep = Keep {
            bytes: self.plan.keep_bytes,
            age: Duration::MAX,
        };
        Retention {
            inputs: keep,
            decisions: keep,
        }
    }

    /// Whatever left before is known to the new process before it serves anybody.
    fn expect_all_released(&mut self) -> Result<(), Broken> {
        self.step_keeper();
        let process = self.process.as_ref().expect("it has just started");
        let (shown, told) = (process.window.head().seq, self.model().last());
        expect(shown == told, Promise::NumbersKeepTheirMeaning, || {
            format!("decision {told} had left, the new process knows {shown}")
        })
    }

    // How it ends.

    /// Nothing new is taken; what was judged is settled; the process ends by itself. It is still
    /// there to be looked at.
    pub fn stop(&mut self, story: &Story) -> Result<Stopped, Broken> {
        story.tell(|| "the process is to stop".into());
        for _ in 0..STOPPING_ROUNDS_MAX {
            let Some(process) = &mut self.process else {
                return Ok(Stopped::Died);
            };
            process.belt.carry(usize::MAX);
            let has_room = process.belt.is_empty();
            if let Some(pipeline) = &mut process.pipeline
                && pipeline.step() == Ok(Stepped::Idle)
                && has_room
            {
                self.stopped = Some(pipeline.judgement().digest());
                process.pipeline = None;
            }
            match self.step_writer(story) {
                None => {
                    self.stopped = None;
                    return Ok(Stopped::Died);
                }
                Some(Stepped::Ended) => return self.stopped_cleanly(story),
                Some(Stepped::Worked | Stepped::Idle) => {}
            }
        }
        Err(Broken {
            promise: Promise::Liveness,
            how: "the process does not end".into(),
        })
    }

    fn stopped_cleanly(&mut self, story: &Story) -> Result<Stopped, Broken> {
        self.reached("stopped cleanly");
        story.tell(|| "the process has stopped".into());
        self.ended = true;
        let process = self.process.as_mut().expect("it has just stopped");
        let released = process.writer.released();
        if let Some(follower) = process.follower.take()
            && let Err(error) = follower.finish(released)
        {
            expect_excusable(&error)?;
        }
        Ok(Stopped::Cleanly)
    }

    /// The process is killed, or the power is cut.
    pub fn kill(&mut self, ending: Ending, story: &Story) {
        self.ended = true;
        match ending {
            Ending::Process => {
                self.reached("process killed");
                story.tell(|| "the process is killed".into());
            }
            Ending::Power => {
                self.reached("power cut");
                self.disk.cut_power();
            }
        }
    }

    /// The process is gone, and the machine is there again.
    pub fn clear(&mut self, story: &Story) {
        self.process = None;
        self.ended = false;
        self.disk.restart();
        self.armed = false;
        story.tell(|| "the process is gone".into());
    }

    /// Something will go wrong within so many operations of the disk.
    pub fn arm(&mut self, within: u64, story: &Story) {
        let at = self.faults.within(1..within);
        let mut faults = Faults::default();
        match self.faults.below(4) {
            0 => faults.ends = Some((at, Ending::Process)),
            1 => faults.fails = vec![at],
            _ => faults.ends = Some((at, Ending::Power)),
        }
        story.tell(|| format!("to come: {faults:?}"));
        self.disk.arm(faults);
        self.armed = true;
    }

    /// Nothing will go wrong any more.
    pub fn disarm(&mut self, story: &Story) {
        self.disk.arm(Faults::default());
        self.armed = false;
        self.make_space(story);
    }

    /// Perhaps the disk fills, or is free again.
    pub fn tide_turns(&mut self) {
        self.tide.turn(&self.disk, self.plan.segment_bytes);
    }

    /// There is space, and the process has noticed.
    pub fn make_space(&mut self, story: &Story) {
        if self.tide.make_space(&self.disk) {
            self.time.pass(Duration::from_secs(2));
            self.step_writer(story);
        }
    }

    /// A bit of a snapshot flips. It is only a short cut: damaged, it is passed over.
    pub fn rot_a_snapshot(&mut self) {
        if self.armed {
            return;
        }
        let dir = Path::new(DATA).join(SNAPSHOTS_DIR);
        let mut found = self.disk.list(&dir).expect("nothing fails now");
        found.retain(|path| path.extension() == Some("snapshot".as_ref()));
        // Of the two one is good, or nobody could start where the logs begin later.
        if found.is_empty() || found.iter().any(|path| self.rotten.contains(path)) {
            return;
        }
        let path = &found[self.faults.below(found.len())];
        let length = self.disk.read(path).map_or(0, |bytes| bytes.len());
        if length > 0 {
            self.reached("snapshot rotten");
            self.disk.rot(path, self.faults.below(length), 3);
            self.rotten.insert(path.clone());
        }
    }
}

/// A follower may only fail because the disk did.
fn expect_excusable(error: &RecoverError) -> Result<(), Broken> {
    expect(
        is_by_disk(error),
        Promise::P2SameInputsSameDecisions,
        || format!("what was judged beside the engine is not what it judged: {error}"),
    )
}

fn is_by_disk(error: &RecoverError) -> bool {
    matches!(journal_error(error), Some(JournalError::Disk { .. }))
}

fn is_by_space(error: &RecoverError) -> bool {
    matches!(journal_error(error), Some(JournalError::Full { .. }))
}

fn journal_error(error: &RecoverError) -> Option<&JournalError> {
    match error {
        RecoverError::Journal(error) | RecoverError::Skipped(SkippedError::Journal(error)) => {
            Some(error)
        }
        _ => None,
    }
}
