//! The simulated world: it decides what happens next, and lets the outside hear of it.
//!
//! Arrives: a seed. Leaves: what the run came to, or the first promise that it broke. Chance is
//! drawn from a stream for each purpose, so that another fault does not shift the workload.
//! Next: `machine.rs` for the host's side, `checks.rs` for what must hold at the end.

use std::time::Duration;

use ioc::clock::TimeSource;
use ioc_core::decision::Severity;
use tokio::runtime::{Builder, Runtime};

use super::checks::Logs;
use super::devices::Devices;
use super::machine::{Machine, Stopped};
use super::model::{Broken, Promise, Reached, expect};
use super::operator::Operator;
use super::plan::Plan;
use super::publisher::Publisher;
use super::sabotage::Sabotage;
use super::sessions::Session;
use super::story::Story;
use super::workload::Workload;
use crate::chance::Chance;
use crate::disk::Ending;

/// How many rounds it may take until everything is settled, once nothing fails any more.
const SETTLING_ROUNDS_MAX: u64 = 1000;

/// How many rounds it may take until what was handed over is settled, before a clean end.
const DRAINING_ROUNDS_MAX: u64 = 200;

/// One run.
pub struct World {
    plan: Plan,
    schedule: Chance,
    faults: Chance,
    people: Chance,
    workload: Workload,
    machine: Machine,
    story: Story,
    publishers: Vec<Publisher>,
    operators: Vec<Operator>,
    devices: Devices,
    /// The host's ends of the operators' connections.
    sessions: Vec<Option<Session>>,
    /// Timers of sessions are made, but nobody turns this clock: they never fire.
    runtime: Runtime,
}

impl World {
    /// The world of this seed; `tell` if its story is wanted.
    pub fn new(seed: u64, sabotage: Sabotage, tell: bool) -> Self {
        let plan = Plan::new(seed);
        let machine = Machine::new(seed, plan.clone(), sabotage, tell);
        let severities = [None, None, Some(Severity::Severe)].into_iter();
        let operators = (0..plan.operators).zip(severities);
        let operator = |(number, severity)| Operator::new(format!("op{number}"), severity);
        let publisher = |number| Publisher::new(format!("pub{number}"), plan.in_flight, sabotage);
        let runtime = Builder::new_current_thread().enable_time().build();
        Self {
            schedule: Chance::new(seed, "schedule"),
            faults: Chance::new(seed, "faults"),
            people: Chance::new(seed, "people"),
            workload: Workload::new(seed),
            story: Story::new(machine.disk.clone()),
            machine,
            publishers: (0..plan.publishers).map(publisher).collect(),
            operators: operators.map(operator).collect(),
            devices: Devices::default(),
            sessions: (0..plan.operators).map(|_| None).collect(),
            runtime: runtime.unwrap(),
            plan,
        }
    }

    /// What has happened so far.
    pub fn story(&self) -> Vec<String> {
        self.machine.disk.story()
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Result<Reached, Broken> {
        self.story.tell(|| format!("{:?}", self.plan));
        for step in 0..self.plan.steps {
            self.story.at(step, self.machine.time.passed_us());
            self.step()?;
            self.machine.model().verdict()?;
        }
        self.settle()?;
        // A file that could not be made ahead is missed only now: then once more.
        while self.stop()? == Stopped::Died {
            self.settle()?;
        }
        self.check()
    }

    fn step(&mut self) -> Result<(), Broken> {
        self.machine.tide_turns();
        if self.schedule.one_in(self.plan.fault_one_in) {
            self.fault()?;
        } else {
            self.something()?;
        }
        self.bury();
        if self.machine.process.is_none() && self.schedule.one_in(4) {
            self.machine.start(&self.story)?;
            self.bury();
        }
        Ok(())
    }

    fn something(&mut self) -> Result<(), Broken> {
        match self.schedule.below(100) {
            0..16 => self.measure(),
            16..28 => self.publisher_turns(),
            28..42 => self.machine.step_engine(&self.story),
            42..60 => self.writer_turns(),
            60..64 => self.machine.step_keeper(),
            64..68 => self.machine.step_follower(self.schedule.within(1..20))?,
            68..76 => self.step_sessions(),
            76..92 => self.operator_turns()?,
            92..95 => self.devices_turn(),
            _ => self.time_passes(),
        }
        Ok(())
    }

    fn fault(&mut self) -> Result<(), Broken> {
        match self.faults.below(10) {
            0 => self.machine.kill(Ending::Process, &self.story),
            1 => self.machine.kill(Ending::Power, &self.story),
            2 => drop(self.stop()?),
            3 => self.machine.rot_a_snapshot(),
            _ => self.machine.arm(15, &self.story),
        }
        Ok(())
    }

    fn measure(&mut self) {
        for _ in 0..self.schedule.within(1..5) {
            let now = self.machine.time.wall();
            let (publisher, message) = self.workload.next(now, self.publishers.len());
            self.publishers[publisher].publish(message);
        }
    }

    fn publisher_turns(&mut self) {
        let number = self.schedule.below(self.publishers.len());
        let publisher = &mut self.publishers[number];
        let model = &mut self.machine.model();
        match self.schedule.below(20) {
            0 => publisher.lose_connection(&mut self.people, model, &self.story),
            1 => publisher.repeat(&mut self.people),
            2..9 => publisher.hear(model, &self.story),
            _ => {
                if let Some(process) = &self.machine.process {
                    publisher.send(&process.door, &mut self.people, model, &self.story);
                }
            }
        }
    }

    /// What is carried to the writer may lie there for a while, until its thread comes to it.
    fn writer_turns(&mut self) {
        self.machine.carry(self.schedule.below(5));
        if !self.schedule.one_in(3) {
            self.machine.step_writer(&self.story);
        }
    }

    fn operator_turns(&mut self) -> Result<(), Broken> {
        let number = self.schedule.below(self.operators.len());
        let operator = &mut self.operators[number];
        match self.schedule.below(20) {
            0 => operator.lose_connection(&self.story),
            1..4 => operator.command(&mut self.people, &self.machine.model(), &self.story),
            4..10 if !operator.is_connected() => self.connect(number),
            _ if self.people.one_in(self.plan.lazy) => {
                let most = self.people.within(1..8);
                operator.act(most, &mut self.machine.model(), &self.story)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, number: usize) {
        let Some(process) = &self.machine.process else {
            return;
        };
        let (theirs, ours) = tokio::io::duplex(self.plan.pipe_bytes);
        let _entered = self.runtime.enter();
        self.sessions[number] = Some(Session::new(process.window.clone(), ours));
        self.operators[number].connect(theirs, &mut self.people, &self.story);
    }

    fn step_sessions(&mut self) {
        let _entered = self.runtime.enter();
        for session in &mut self.sessions {
            if session.as_mut().is_some_and(|session| !session.step()) {
                *session = None;
            }
        }
    }

    /// The host sends what is to be sent; devices hear some of it, and answer some.
    fn devices_turn(&mut self) {
        let _entered = self.runtime.enter();
        self.machine.step_sender();
        let model = &mut self.machine.model();
        if let Some(process) = &self.machine.process {
            let to = (&self.machine.broker, &process.door);
            self.devices.act(to, &mut self.people, model, &self.story);
        }
    }

    fn time_passes(&mut self) {
        let time = &self.machine.time;
        let most_ms = [20, 2000, 20_000][self.schedule.below(3)];
        time.pass(Duration::from_millis(self.schedule.within(1..most_ms)));
        if self.schedule.one_in(20) {
            let by_ms = self.schedule.within(0..120_000) as i64 - 60_000;
            let line = || format!("the wall clock is set by {by_ms} ms");
            self.story.tell(line);
            time.step_wall(by_ms * 1000);
        }
    }

    /// Takes a process away that has ended. What had left it may still arrive.
    fn bury(&mut self) {
        if !self.machine.has_ended() {
            return;
        }
        if self.faults.one_in(2) {
            self.step_sessions();
        }
        for publisher in &mut self.publishers {
            let model = &mut self.machine.model();
            if !self.faults.one_in(4) {
                publisher.hear(model, &self.story);
            }
            publisher.lose_connection(&mut self.people, model, &self.story);
        }
        self.devices.lose_connection(&mut self.machine.model());
        self.sessions.iter_mut().for_each(|session| *session = None);
        self.machine.clear(&self.story);
    }

    /// A clean end, if it comes to that: as the host does it, what was handed over is settled first.
    fn stop(&mut self) -> Result<Stopped, Broken> {
        self.machine.make_space(&self.story);
        self.drain()?;
        let stopped = match self.machine.has_ended() {
            true => Stopped::Died,
            false => self.machine.stop(&self.story)?,
        };
        self.machine.model().verdict()?;
        self.bury();
        Ok(stopped)
    }

    fn drain(&mut self) -> Result<(), Broken> {
        for _ in 0..DRAINING_ROUNDS_MAX {
            for publisher in &mut self.publishers {
                let model = &mut self.machine.model();
                publisher.hear(model, &self.story);
                if let Some(process) = &self.machine.process {
                    publisher.hand_over(&process.door, model);
                }
            }
            let settled = self.publishers.iter().all(Publisher::nothing_under_way);
            if settled || self.machine.process.is_none() || self.machine.has_ended() {
                return Ok(());
            }
            self.machine.time.pass(Duration::from_millis(20));
            self.machine.step_engine(&self.story);
            self.machine.carry(usize::MAX);
            self.machine.step_writer(&self.story);
        }
        Err(Broken {
            promise: Promise::Liveness,
            how: format!("not settled before the end: {:?}", self.publishers),
        })
    }

    /// Nothing fails any more: everything is acknowledged, told and answered within a bound.
    fn settle(&mut self) -> Result<(), Broken> {
        self.machine.disarm(&self.story);
        self.bury();
        for round in 0..SETTLING_ROUNDS_MAX {
            let step = self.plan.steps + round;
            self.story.at(step, self.machine.time.passed_us());
            if self.machine.process.is_none() {
                self.machine.begin(&self.story)?;
            }
            self.machine.time.pass(Duration::from_millis(20));
            self.machine.step_engine(&self.story);
            self.writer_turns();
            self.machine.step_keeper();
            self.settle_operators()?;
            self.settle_publishers();
            self.bury();
            self.machine.model().verdict()?;
            if self.is_settled() {
                self.machine.model().reached("rounds to settle", round);
                return Ok(());
            }
        }
        let (publishers, operators) = (&self.publishers, &self.operators);
        Err(Broken {
            promise: Promise::Liveness,
            how: format!("not everything is settled: {publishers:?} {operators:?}"),
        })
    }

    fn settle_operators(&mut self) -> Result<(), Broken> {
        for number in 0..self.operators.len() {
            if !self.operators[number].is_connected() {
                self.connect(number);
            }
            self.step_sessions();
            let model = &mut self.machine.model();
            self.operators[number].act(20, model, &self.story)?;
        }
        Ok(())
    }

    fn settle_publishers(&mut self) {
        for publisher in &mut self.publishers {
            let model = &mut self.machine.model();
            publisher.hear(model, &self.story);
            if let Some(process) = &self.machine.process {
                publisher.send(&process.door, &mut self.people, model, &self.story);
            }
        }
    }

    fn is_settled(&self) -> bool {
        let model = self.machine.model();
        let operators = self.operators.iter().all(|each| each.is_settled(&model));
        operators && self.publishers.iter().all(Publisher::is_settled)
    }

    /// The logs, and a last start from them.
    fn check(&mut self) -> Result<Reached, Broken> {
        let logs = Logs::read(&self.machine.disk, &self.machine.archive)?;
        let digest = self.machine.stopped().expect("it has stopped cleanly");
        logs.check(&self.machine.model(), digest)?;
        while self.machine.process.is_none() {
            self.machine.begin(&self.story)?;
        }
        let process = self.machine.process.as_ref().expect("begun above");
        let (kept, logged) = (process.letters.total(), logs.dead_letters() as u64);
        expect(kept == logged, Promise::ItStartsAgain, || {
            format!("{logged} messages could not be read, {kept} are known of")
        })?;
        let judgement = process.pipeline.as_ref().expect("it runs").judgement();
        let broken = judgement.audit();
        let sound = broken.is_empty();
        expect(sound, Promise::InvariantsHold, || format!("{broken:?}"))?;
        let mut model = self.machine.model();
        let told = model.last();
        model.reached("lives", self.machine.lives);
        let removed = self.machine.archive.len() as u64;
        if removed > 0 {
            model.reached("segments removed", removed);
        }
        model.reached("decisions", told);
        model.verdict()?;
        Ok(model.reached.clone())
    }
}
