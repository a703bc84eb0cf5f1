//! The two parts that decide and release, the threads that they run on, and how those end.
//!
//! A simulation takes the parts without the threads, and steps them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use ioc_core::bundle::Bundle;
use ioc_core::record::{BuildHash, Input, Started};
use ioc_gateway::door::Arrivals;
use ioc_ws::Commands;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::host::HostError;
use crate::journal::{JournalError, Mark};
use crate::pipeline::{BatchLimits, Pipeline, Queues, ReloadOrder, Samples, WORK_MAX, WriterGone};
use crate::priority;
use crate::recover::Recovered;
use crate::room::RoomSign;
use crate::snapshots::follower::MakeFollower;
use crate::space::{FullSign, space};
use crate::telemetry;
use crate::writer::{Ends, Outlet, Work, Writer};

/// What the parts start from.
pub struct EngineStart {
    /// The state and the logs.
    pub recovered: Recovered,
    /// Logical time.
    pub clock: Clock,
    /// The executable.
    pub build: BuildHash,
    /// The bundle to come to hold, if it is another than the one that holds.
    pub rules: Option<Arc<Bundle>>,
    /// From the door.
    pub arrivals: Arrivals,
    /// From people.
    pub commands: Commands,
    /// Other rules; never closed before the engine ends.
    pub reloads: Receiver<ReloadOrder>,
    /// To those who watch readings.
    pub samples: Samples,
    /// How large batches grow.
    pub limits: BatchLimits,
    /// Where released decisions go.
    pub outlet: Box<dyn Outlet>,
    /// Makes the follower of the engine, on its own thread.
    pub follower: MakeFollower,
}

/// The parts before they run.
pub struct Parts {
    /// Decides.
    pub pipeline: Pipeline,
    /// Makes durable, and releases.
    pub writer: Writer,
    /// What the host itself has to say (that it started, which rules hold): the first to be
    /// journaled, by [`Pipeline::begin`].
    pub first: Vec<Input<'static>>,
    /// Dropped when the process shall end.
    pub stop: Sender<()>,
    /// Makes snapshots.
    pub follower: MakeFollower,
    /// Whether the disk is full.
    pub full: FullSign,
}

impl EngineStart {
    /// Builds both parts. What the pipeline sends to the first end, the writer is to take from the
    /// second.
    pub fn parts(
        self,
        (work, to_do): (Sender<Work>, Receiver<Work>),
    ) -> Result<Parts, JournalError> {
        let Self {
            recovered,
            mut clock,
            build,
            rules,
            ..
        } = self;
        let Recovered {
            mut judgement,
            logs: (mut inputs, mut decisions),
            next,
            numbering,
            released,
            last_at,
            durable,
            ..
        } = recovered;
        let (spare, spares) = bounded(WORK_MAX);
        let (stop, stopped) = bounded(0);
        let time = Arc::clone(clock.time());
        let (space, gauge) = space(&mut inputs, &mut decisions, Arc::clone(&durable))?;
        let full = space.sign();
        let ends = Ends {
            work: to_do,
            spare,
            gauge,
            stop: stopped.clone(),
        };
        let logs = (inputs, decisions);
        let writer = Writer::new(logs, ends, self.outlet, released, time, durable);
        let started = Started {
            down_from: last_at,
            down_to: clock.now(),
            build,
            clock: clock.kind(),
        };
        let mut first = vec![Input::Started(started)];
        if let Some(bundle) = rules {
            first.push(Input::Reload(bundle.hash));
            judgement.provide(bundle);
        }
        let queues = Queues {
            arrivals: self.arrivals,
            commands: self.commands,
            reloads: self.reloads,
            stop: stopped,
            work,
            spare: spares,
            space,
        };
        let position = (next, numbering);
        let pipeline = Pipeline::new(
            judgement,
            clock,
            queues,
            self.limits,
            position,
            self.samples,
        );
        Ok(Parts {
            pipeline,
            writer,
            first,
            stop,
            follower: self.follower,
            full,
        })
    }
}

/// The running threads.
#[derive(Debug)]
pub struct Engine {
    stop: Sender<()>,
    full: FullSign,
    room: RoomSign,
    deciding: JoinHandle<()>,
    writing: JoinHandle<Result<Mark, JournalError>>,
    following: JoinHandle<()>,
    /// Tells the follower what was released last.
    released: Sender<Mark>,
    ended: Arc<Notify>,
}

impl Engine {
    /// Starts both on threads of their own.
    pub fn start(start: EngineStart) -> Result<Self, HostError> {
        let Parts {
            mut pipeline,
            writer,
            first,
            stop,
            follower,
            full,
        } = start.parts(bounded(WORK_MAX))?;
        let room = pipeline.room();
        let (released, ended_at) = bounded(1);
        let ended = Arc::new(Notify::new());
        let writing = spawn("journal", &ended, move || writer.run())?;
        let deciding = spawn("engine", &ended, move || {
            // If the writer is gone, it says why.
            if pipeline.begin(&first) != Err(WriterGone) {
                pipeline.run();
            }
        })?;
        // The city goes on without snapshots, so nobody is told when this one ends.
        let following = thread::Builder::new().name("snapshots".into());
        let following = following.spawn(move || {
            priority::be_patient();
            match follower() {
                Ok(follower) => follower.run(&ended_at),
                Err(error) => telemetry::following_failed(&error),
            }
        });
        Ok(Self {
            stop,
            full,
            room,
            deciding,
            writing,
            following: following.map_err(HostError::Start)?,
            released,
            ended,
        })
    }

    /// Whether the disk is full.
    pub fn full(&self) -> FullSign {
        self.full.clone()
    }

    /// Whether there is room for what readings bring.
    pub fn room(&self) -> RoomSign {
        self.room.clone()
    }

    /// Waits until a thread ends though nobody stopped it.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Lets the engine finish what has arrived, then the journal what was decided; then a snapshot
    /// is made of it all, unless the engine has failed. One that is not made `within` so long is
    /// given up: the journal is enough to start again, and the next start judges what came after
    /// the snapshot before.
    pub fn stop(self, within: Duration) -> Result<(), HostError> {
        drop(self.stop);
        let decided = self.deciding.join();
        let written = self
            .writing
            .join()
            .map_err(|_| HostError::Thread("journal"))?;
        let released = written?;
        if decided.is_ok() {
            // If it has ended, it has told why.
            let _ = self.released.send(released);
        }
        drop(self.released);
        let until = Instant::now() + within;
        while !self.following.is_finished() {
            if Instant::now() >= until {
                telemetry::last_snapshot_given_up(within);
                return decided.map_err(|_| HostError::Thread("engine"));
            }
            thread::sleep(LOOK_EVERY);
        }
        let followed = self.following.join();
        decided.map_err(|_| HostError::Thread("engine"))?;
        followed.map_err(|_| HostError::Thread("snapshots"))
    }
}

/// How often it is looked whether the last snapshot is made.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Starts a thread that tells when it ends, however it ends.
fn spawn<T: Send + 'static>(
    name: &str,
    ended: &Arc<Notify>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, HostError> {
    let ending = Ending(Arc::clone(ended));
    let run = move || {
        let _ending = ending;
        work()
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(HostError::Start)
}

struct Ending(Arc<Notify>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests;
