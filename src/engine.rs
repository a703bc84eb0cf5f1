//! The two threads that decide and release, and how they end.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded};
use ioc_core::bundle::Bundle;
use ioc_core::record::{BuildHash, Input, Started};
use ioc_gateway::door::Arrivals;
use ioc_ws::Commands;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::host::HostError;
use crate::journal::JournalError;
use crate::pipeline::{BatchLimits, Pipeline, Queues, Samples, WORK_MAX, WriterGone};
use crate::recover::Recovered;
use crate::writer::{Outlet, Writer};

/// What the threads start from.
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
    /// To those who watch readings.
    pub samples: Samples,
    /// How large batches grow.
    pub limits: BatchLimits,
    /// Where released decisions go.
    pub outlet: Box<dyn Outlet>,
}

/// The running threads.
#[derive(Debug)]
pub struct Engine {
    stop: Sender<()>,
    deciding: JoinHandle<()>,
    writing: JoinHandle<Result<(), JournalError>>,
    ended: Arc<Notify>,
}

impl Engine {
    /// Starts both; what the host itself has to say (that it started, which rules hold) is the
    /// first to be journaled.
    pub fn start(start: EngineStart) -> Result<Self, HostError> {
        let EngineStart {
            recovered,
            mut clock,
            build,
            rules,
            ..
        } = start;
        let Recovered {
            mut judgement,
            logs,
            next,
            numbering,
            released,
            last_at,
            ..
        } = recovered;
        let (work, to_do) = bounded(WORK_MAX);
        let (spare, spares) = bounded(WORK_MAX);
        let (stop, stopped) = bounded(0);
        let writer = Writer::new(logs, to_do, spare, start.outlet, released);
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
            arrivals: start.arrivals,
            commands: start.commands,
            stop: stopped,
            work,
            spare: spares,
        };
        let position = (next, numbering);
        let mut pipeline = Pipeline::new(
            judgement,
            clock,
            queues,
            start.limits,
            position,
            start.samples,
        );

        let ended = Arc::new(Notify::new());
        let writing = spawn("journal", &ended, move || writer.run())?;
        let deciding = spawn("engine", &ended, move || {
            // If the writer is gone, it says why.
            if pipeline.begin(&first) != Err(WriterGone) {
                pipeline.run();
            }
        })?;
        Ok(Self {
            stop,
            deciding,
            writing,
            ended,
        })
    }

    /// Waits until a thread ends though nobody stopped it.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Lets the engine finish what has arrived, then the journal what was decided.
    pub fn stop(self) -> Result<(), HostError> {
        drop(self.stop);
        let decided = self.deciding.join();
        let written = self
            .writing
            .join()
            .map_err(|_| HostError::Thread("journal"))?;
        written?;
        decided.map_err(|_| HostError::Thread("engine"))
    }
}

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
