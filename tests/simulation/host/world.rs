//! The simulated world: it decides what happens next, and lets the outside hear of it.
//!
//! Arrives: a seed. Leaves: what the run reached, or the first promise that it broke. Chance is
//! drawn from a stream for each purpose, so that another fault does not shift the workload.
//! Next: `process.rs` for the host, `checks.rs` for what must hold at the end.

use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use ioc::clock::TimeSource;
use ioc::journal::disk::Disk;
use ioc::journal::{JournalError, JournalId};
use ioc::pipeline::Stepped;
use ioc::recover::RecoverError;
use ioc::snapshots::FollowerOptions;
use ioc::snapshots::SNAPSHOTS_DIR;
use ioc::snapshots::follower::Followed;
use ioc_core::bundle::Bundle;
use ioc_core::decision::Severity;
use ioc_core::record::BuildHash;
use tokio::runtime::{Builder, Runtime};

use super::checks::Logs;
use super::city;
use super::model::{Broken, Model, Promise, Reached, SharedModel, expect};
use super::operator::Operator;
use super::plan::{self, Plan};
use super::process::{DATA, NotStarted, Process, Start};
use super::publisher::Publisher;
use super::sabotage::Sabotage;
use super::sessions::Session;
use super::story::Story;
use super::tide::{CAPACITY, Tide};
use super::time::SimulatedTime;
use super::workload::Workload;
use crate::chance::Chance;
use crate::disk::{Ending, FaultDisk, Faults};

/// How many rounds it may take until everything is settled, once nothing fails any more.
const SETTLING_ROUNDS_MAX: u64 = 1000;
/// How often the parts are stepped before a process that ends cleanly is believed to be stuck.
const ENDING_ROUNDS_MAX: u64 = 1000;

/// One run.
pub struct World {
    plan: Plan,
    sabotage: Sabotage,
    schedule: Chance,
    faults: Chance,
    people: Chance,
    workload: Workload,
    disk: FaultDisk,
    tide: Tide,
    time: Arc<SimulatedTime>,
    model: SharedModel,
    story: Story,
    bundles: Arc<Vec<Arc<Bundle>>>,
    publishers: Vec<Publisher>,
    operators: Vec<Operator>,
    /// The host's ends of the operators' connections.
    sessions: Vec<Option<Session>>,
    process: Option<Process>,
    lives: u64,
    /// The executable that ran last, and whether it ended cleanly.
    build: u8,
    ended_cleanly: bool,
    /// Whether something is to go wrong with the disk.
    armed: bool,
    /// Timers of sessions are made, but nobody turns this clock: they never fire.
    runtime: Runtime,
}

/// How a process that was asked to stop came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// With all that it had taken settled.
    Cleanly,
    /// Before that, or it did not run.
    Died,
}

impl World {
    /// The world of this seed; `tell` if its story is wanted.
    pub fn new(seed: u64, sabotage: Sabotage, tell: bool) -> Self {
        let plan = Plan::new(seed);
        let disk = FaultDisk::new(seed, CAPACITY, tell);
        let severities = [None, None, Some(Severity::Severe)];
        let operator = |(number, severity)| Operator::new(format!("op{number}"), severity);
        let publisher = |number| Publisher::new(format!("pub{number}"));
        let runtime = Builder::new_current_thread().enable_time().build();
        Self {
            sabotage,
            schedule: Chance::new(seed, "schedule"),
            faults: Chance::new(seed, "faults"),
            people: Chance::new(seed, "people"),
            workload: Workload::new(seed),
            story: Story::new(disk.clone()),
            disk,
            tide: Tide::new(seed),
            time: Arc::default(),
            model: Arc::default(),
            bundles: Arc::new(city::bundles()),
            publishers: (0..plan.publishers).map(publisher).collect(),
            operators: (0..)
                .zip(severities)
                .take(plan.operators)
                .map(operator)
                .collect(),
            sessions: (0..plan.operators).map(|_| None).collect(),
            process: None,
            lives: 0,
            build: 1,
            ended_cleanly: true,
            armed: false,
            runtime: runtime.unwrap(),
            plan,
        }
    }

    /// What has happened so far.
    pub fn story(&self) -> Vec<String> {
        self.disk.story()
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Result<Reached, Broken> {
        self.story.tell(|| format!("{:?}", self.plan));
        for step in 0..self.plan.steps {
            self.story.at(step, self.time.passed_us());
            self.step()?;
            self.model().verdict()?;
        }
        self.settle()?;
        // A file that could not be made ahead is missed only now: then once more.
        while self.stop_cleanly()? == Stopped::Died {
            self.settle()?;
        }
        self.check()?;
        Ok(self.model().reached.clone())
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    fn reached(&self, what: &'static str) {
        self.model().reached(what, 1);
    }

    fn step(&mut self) -> Result<(), Broken> {
        self.tide.turn(&self.disk, self.plan.segment_bytes);
        if self.schedule.one_in(self.plan.fault_one_in) {
            return self.fault();
        }
        match self.schedule.below(100) {
            0..16 => self.measure(),
            16..28 => self.publisher_turns(),
            28..42 => self.step_engine(),
            42..60 => self.step_writer(),
            60..64 => self.step_keeper(),
            64..68 => self.step_follower()?,
            68..76 => self.step_sessions(),
            76..94 => self.operator_turns()?,
            _ => self.time_passes(),
        }
        if self.process.is_none() && self.schedule.one_in(4) {
            self.start()?;
        }
        Ok(())
    }

    // What happens outside.

    fn measure(&mut self) {
        for _ in 0..self.schedule.within(1..5) {
            let now = self.time.wall();
            let (publisher, message) = self.workload.next(now, self.publishers.len());
            self.publishers[publisher].publish(message);
        }
    }

    fn publisher_turns(&mut self) {
        let number = self.schedule.below(self.publishers.len());
        let publisher = &mut self.publishers[number];
        let model = &mut self.model.lock().unwrap();
        match self.schedule.below(20) {
            0 => publisher.lose_connection(&mut self.people, model, &self.story),
            1 => publisher.repeat(&mut self.people),
            2..9 => publisher.hear(model, &self.story),
            _ => {
                if let Some(process) = &self.process {
                    publisher.send(&process.door, &mut self.people, model, &self.story);
                }
            }
        }
    }

    fn operator_turns(&mut self) -> Result<(), Broken> {
        let number = self.schedule.below(self.operators.len());
        let operator = &mut self.operators[number];
        match self.schedule.below(20) {
            0 => operator.lose_connection(&self.story),
            1..4 => operator.command(&mut self.people, &self.story),
            4..10 if !operator.is_connected() => self.connect(number),
            _ => {
                if self.people.one_in(self.plan.lazy) {
                    let most = self.people.within(1..8);
                    operator.act(most, &mut self.model.lock().unwrap(), &self.story)?;
                }
            }
        }
        Ok(())
    }

    fn connect(&mut self, number: usize) {
        let Some(process) = &self.process else { return };
        let (theirs, ours) = tokio::io::duplex(self.plan.pipe_bytes);
        let _entered = self.runtime.enter();
        self.sessions[number] = Some(Session::new(process.window.clone(), ours));
        self.operators[number].connect(theirs, &mut self.people, &self.story);
    }

    fn time_passes(&mut self) {
        let most_ms = [20, 2000, 20_000][self.schedule.below(3)];
        self.time
            .pass(Duration::from_millis(self.schedule.within(1..most_ms)));
        if self.schedule.one_in(20) {
            let by_ms = self.schedule.within(0..120_000) as i64 - 60_000;
            self.story
                .tell(|| format!("the wall clock is set by {by_ms} ms"));
            self.time.step_wall(by_ms * 1000);
        }
    }

    // What the process does.

    fn step_engine(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        if let Some(pipeline) = &mut process.pipeline {
            let stepped = pipeline.step();
            self.story.tell(|| format!("engine: {stepped:?}"));
        }
    }

    fn step_writer(&mut self) {
        let most = self.schedule.within(0..5) as usize;
        let Some(process) = &mut self.process else {
            return;
        };
        process.belt.carry(most);
        if self.schedule.one_in(3) {
            // Its thread has not come to it yet.
            return;
        }
        let stepped = process.writer.step();
        self.story.tell(|| format!("writer: {stepped:?}"));
        if stepped.is_err() || self.disk.ended().is_some() {
            self.reached(match self.disk.ended() {
                None => "ended by a failed operation",
                Some(Ending::Process) => "process killed within an operation",
                Some(Ending::Power) => "power cut within an operation",
            });
            self.die();
        }
    }

    fn step_keeper(&mut self) {
        if let Some(process) = &mut self.process {
            process.step_keeper();
        }
    }

    fn step_follower(&mut self) -> Result<(), Broken> {
        for _ in 0..self.schedule.within(1..20) {
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
                self.expect_excusable(error)?;
            }
            if self.disk.ended().is_some() {
                self.reached("ended beside the engine");
                self.die();
            }
            if !matches!(followed, Ok(Followed::Some)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A follower may only fail because the disk did.
    fn expect_excusable(&self, error: &RecoverError) -> Result<(), Broken> {
        let by_disk = matches!(error, RecoverError::Journal(JournalError::Disk { .. }));
        expect(by_disk, Promise::P2SameInputsSameDecisions, || {
            format!("what was judged beside the engine is not what it judged: {error}")
        })
    }

    fn step_sessions(&mut self) {
        let _entered = self.runtime.enter();
        for session in &mut self.sessions {
            if session.as_mut().is_some_and(|session| !session.step()) {
                *session = None;
            }
        }
    }

    // How it begins and ends.

    fn start(&mut self) -> Result<(), Broken> {
        if self.faults.one_in(self.plan.faulty_start_one_in) {
            self.arm(60);
        }
        self.begin()
    }

    fn begin(&mut self) -> Result<(), Broken> {
        self.lives += 1;
        let build = match self.people.one_in(8) {
            true => 3 - self.build,
            false => self.build,
        };
        let start = self.draw_start(build);
        self.story.tell(|| {
            let (lives, shards, bundle) = (self.lives, start.shards, start.bundle.hash.0[0]);
            format!("start {lives} of build {build} with {shards} shards, bundle {bundle}")
        });
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let time: Arc<dyn TimeSource> = Arc::clone(&self.time) as Arc<dyn TimeSource>;
        match Process::start(&start, &disk, &time, &self.model) {
            Ok(process) => {
                if build != self.build {
                    self.reached("another build took over");
                }
                (self.build, self.ended_cleanly) = (build, false);
                self.process = Some(process);
                if self.tide.is_full() {
                    self.reached("started on a full disk");
                }
                self.expect_all_released()
            }
            Err(NotStarted::Recover(RecoverError::Journal(JournalError::Disk { .. })))
                if self.armed =>
            {
                self.reached("ended while it started");
                self.armed = false;
                self.disk.restart();
                Ok(())
            }
            Err(NotStarted::Recover(RecoverError::ForeignTail { .. })) if build != self.build => {
                self.reached("another build was refused a tail");
                let holds = !self.ended_cleanly;
                expect(holds, Promise::AnotherBuildTakesOver, || {
                    format!(
                        "build {} ended cleanly, build {build} is refused",
                        self.build
                    )
                })
            }
            Err(NotStarted::Recover(RecoverError::Journal(JournalError::Full { .. })))
                if self.tide.is_full() =>
            {
                self.reached("refused to start on a full disk");
                self.armed = false;
                self.disk.restart();
                Ok(())
            }
            Err(error) => Err(Broken {
                promise: Promise::ItStartsAgain,
                how: format!("{error:?}"),
            }),
        }
    }

    fn draw_start(&mut self, build: u8) -> Start {
        let bundle = self.people.below(3 * self.bundles.len()) / 3;
        Start {
            build: BuildHash([build; 32]),
            shards: plan::shards(&mut self.people),
            bundle: Arc::clone(&self.bundles[bundle]),
            bundles: Arc::clone(&self.bundles),
            new_journal: JournalId([self.lives as u8; 16]),
            segment_bytes: self.plan.segment_bytes,
            decisions_shown: self.plan.decisions_shown,
            snapshots: FollowerOptions {
                every: Duration::from_secs(60),
                records: self.plan.snapshot_records,
            },
            limits: self.plan.limits,
            waiting_bytes_max: self.plan.waiting_bytes_max,
            window: self.plan.window,
            sabotage: self.sabotage,
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

    fn fault(&mut self) -> Result<(), Broken> {
        match self.faults.below(10) {
            0 => {
                self.reached("process killed");
                self.story.tell(|| "the process is killed".into());
                self.die();
            }
            1 => {
                self.reached("power cut");
                self.disk.cut_power();
                self.die();
            }
            2 => drop(self.stop_cleanly()?),
            3 => self.rot_a_snapshot(),
            _ => self.arm(15),
        }
        Ok(())
    }

    /// A snapshot is only a short cut: damaged, it is passed over.
    fn rot_a_snapshot(&mut self) {
        let dir = Path::new(DATA).join(SNAPSHOTS_DIR);
        if self.armed {
            return;
        }
        let mut found = self.disk.list(&dir).expect("nothing fails now");
        found.retain(|path| path.extension() == Some("snapshot".as_ref()));
        if found.is_empty() {
            return;
        }
        let path = &found[self.faults.below(found.len())];
        let length = self.disk.read(path).map_or(0, |bytes| bytes.len());
        if length > 0 {
            self.reached("snapshot rotten");
            self.disk.rot(path, self.faults.below(length), 3);
        }
    }

    /// Something will go wrong within so many operations of the disk.
    fn arm(&mut self, within: u64) {
        let at = self.faults.within(1..within);
        let faults = match self.faults.below(4) {
            0 => Faults {
                ends: Some((at, Ending::Process)),
                ..Faults::default()
            },
            1 => Faults {
                fails: vec![at],
                ..Faults::default()
            },
            _ => Faults {
                ends: Some((at, Ending::Power)),
                ..Faults::default()
            },
        };
        self.story.tell(|| format!("to come: {faults:?}"));
        self.disk.arm(faults);
        self.armed = true;
    }

    /// There is space, and the process has noticed.
    fn make_space(&mut self) -> Result<(), Broken> {
        if self.tide.make_space(&self.disk) {
            self.time.pass(Duration::from_secs(2));
            if self.process.is_some() {
                self.write_on()?;
            }
        }
        Ok(())
    }

    /// The process is gone, however. What had left it may still arrive.
    fn die(&mut self) {
        if self.faults.one_in(2) {
            self.step_sessions();
        }
        for publisher in &mut self.publishers {
            let model = &mut self.model.lock().unwrap();
            if !self.faults.one_in(4) {
                publisher.hear(model, &self.story);
            }
            publisher.lose_connection(&mut self.people, model, &self.story);
        }
        self.sessions.iter_mut().for_each(|session| *session = None);
        self.process = None;
        self.armed = false;
        self.disk.restart();
        self.story.tell(|| "the process is gone".into());
    }

    /// Nothing new is taken; what was taken is settled; the process ends by itself.
    fn stop_cleanly(&mut self) -> Result<Stopped, Broken> {
        self.story.tell(|| "the process is to stop".into());
        self.make_space()?;
        for _ in 0..ENDING_ROUNDS_MAX {
            let Some(process) = &mut self.process else {
                return Ok(Stopped::Died);
            };
            let Some(pipeline) = &mut process.pipeline else {
                break;
            };
            process.belt.carry(usize::MAX);
            let has_room = process.belt.is_empty();
            if pipeline.step() == Ok(Stepped::Idle) && has_room {
                process.pipeline = None;
            }
            self.write_on()?;
        }
        for _ in 0..ENDING_ROUNDS_MAX {
            let Some(process) = &mut self.process else {
                return Ok(Stopped::Died);
            };
            process.belt.carry(usize::MAX);
            if self.write_on()? == Some(Stepped::Ended) {
                self.ended_cleanly()?;
                return Ok(Stopped::Cleanly);
            }
        }
        self.stuck("the process does not end")
    }

    /// One step of the writer; `None` if the process died of it.
    fn write_on(&mut self) -> Result<Option<Stepped>, Broken> {
        let process = self.process.as_mut().expect("asked for by the caller");
        let stepped = process.writer.step();
        if stepped.is_err() || self.disk.ended().is_some() {
            self.story.tell(|| format!("stopping: {stepped:?}"));
            self.die();
        }
        self.model().verdict()?;
        Ok(stepped.ok())
    }

    fn ended_cleanly(&mut self) -> Result<(), Broken> {
        self.ended_cleanly = true;
        self.reached("stopped cleanly");
        self.story.tell(|| "the process has stopped".into());
        let model = Arc::clone(&self.model);
        for publisher in &mut self.publishers {
            publisher.hear(&mut model.lock().unwrap(), &self.story);
            let settled = publisher.nothing_under_way();
            expect(settled, Promise::Liveness, || {
                "a clean end left something unsettled that it had taken".into()
            })?;
        }
        let process = self.process.as_mut().expect("it has just stopped");
        let released = process.writer.released();
        if let Some(follower) = process.follower.take()
            && let Err(error) = follower.finish(released)
        {
            self.expect_excusable(&error)?;
        }
        self.die();
        Ok(())
    }

    // The end of the run.

    /// Nothing fails any more: everything is acknowledged, told and answered within a bound.
    fn settle(&mut self) -> Result<(), Broken> {
        self.disk.arm(Faults::default());
        self.armed = false;
        self.make_space()?;
        for round in 0..SETTLING_ROUNDS_MAX {
            self.story
                .at(self.plan.steps + round, self.time.passed_us());
            if self.process.is_none() {
                self.begin()?;
            }
            self.time.pass(Duration::from_millis(20));
            self.step_engine();
            self.step_writer();
            self.step_keeper();
            for number in 0..self.operators.len() {
                if !self.operators[number].is_connected() {
                    self.connect(number);
                }
                self.step_sessions();
                self.operators[number].act(20, &mut self.model.lock().unwrap(), &self.story)?;
            }
            for publisher in &mut self.publishers {
                let model = &mut self.model.lock().unwrap();
                publisher.hear(model, &self.story);
                if let Some(process) = &self.process {
                    publisher.send(&process.door, &mut self.people, model, &self.story);
                }
            }
            self.model().verdict()?;
            if self.is_settled() {
                self.model().reached("rounds to settle", round);
                return Ok(());
            }
        }
        self.stuck("not everything is settled")
    }

    fn is_settled(&self) -> bool {
        let model = self.model();
        let operators = self.operators.iter().all(|each| each.is_settled(&model));
        operators && self.publishers.iter().all(Publisher::is_settled)
    }

    fn stuck<T>(&self, how: &str) -> Result<T, Broken> {
        Err(Broken {
            promise: Promise::Liveness,
            how: format!("{how}: {:?} {:?}", self.publishers, self.operators),
        })
    }

    /// The logs, and a last start from them.
    fn check(&mut self) -> Result<(), Broken> {
        let logs = Logs::read(&self.disk)?;
        logs.check(&self.model())?;
        while self.process.is_none() {
            self.begin()?;
        }
        let process = self.process.as_ref().expect("begun above");
        let judgement = process.pipeline.as_ref().expect("it runs").judgement();
        let broken = judgement.audit();
        expect(broken.is_empty(), Promise::InvariantsHold, || {
            format!("{broken:?}")
        })?;
        let mut model = self.model();
        let lives = self.lives;
        model.reached("lives", lives);
        let told = model.last();
        model.reached("decisions", told);
        model.verdict()
    }
}
