//! The journal's thread: makes batches durable, then releases what follows from them.
//!
//! Arrives: batches to write and, in the same queue, what the engine made of them. Leaves:
//! decisions to the decisions log and the outlets, acknowledgements, answers. Promise: nothing
//! that follows from a record leaves before the record is durable, and what follows from durable
//! ones waits for no later sync; one sync serves all that waits; a failed write or sync ends the process with all withheld output discarded.
//! Next: `ioc-ws/src/view.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use ioc_core::CodecError;
use ioc_core::decision::{DecisionSeq, Released};
use ioc_core::record::{Input, Record, Seq};
use ioc_core::time::Timestamp;
use ioc_gateway::door::AckToken;
use ioc_ws::RefusalReason;
use tokio::sync::oneshot;

use crate::clock::TimeSource;
use crate::durable::Durable;
use crate::journal::{JournalError, Log, Mark};
use crate::pipeline::{Stepped, WORK_MAX};
use crate::snapshots::Snapshot;
use crate::telemetry;

/// What the engine wants written or released.
#[derive(Debug)]
pub enum Work {
    /// Records to make durable.
    Append(Append),
    /// What followed from a batch that was sent before.
    Release(Release),
}

/// A batch of framed records.
#[derive(Debug)]
pub struct Append {
    /// How many.
    pub count: u32,
    /// Their bytes, which the engine reads at the same time.
    pub payload: Arc<Vec<u8>>,
    /// The last decision judged before.
    pub mark: Mark,
}

/// What followed from a batch.
#[derive(Debug)]
pub struct Release {
    /// The batch's last record.
    pub through: Seq,
    /// Decisions, numbered.
    pub decisions: Vec<Released>,
    /// The bytes of those decisions, each with its length.
    pub encoded: Vec<u8>,
    /// What connections may now acknowledge.
    pub acks: Vec<AckToken>,
    /// What people are waiting to hear.
    pub answers: Vec<Answer>,
    /// Messages that could not be read.
    pub dead_letters: Vec<OwnedDeadLetter>,
}

/// What came of a person's command: the number of the decision as of which it is done, or why not.
pub type Outcome = Result<DecisionSeq, RefusalReason>;

/// Who waits for what came of a command, and what came of it.
pub type Answer = (oneshot::Sender<Outcome>, Outcome);

/// A dead letter, as the encoded input that it is.
#[derive(Debug)]
pub struct OwnedDeadLetter {
    /// Its number.
    pub seq: Seq,
    /// When it was received.
    pub at: Timestamp,
    /// Its bytes.
    pub input: Vec<u8>,
}

impl OwnedDeadLetter {
    /// The dead letter that a record is, if it is one.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let Input::DeadLetter(_) = record.input else {
            return None;
        };
        let mut input = Vec::new();
        record.input.encode(&mut input);
        Some(Self {
            seq: record.seq,
            at: record.at,
            input,
        })
    }
}

/// Where released decisions go.
pub trait Outlet: Send {
    /// Takes decisions, in order. Never waits for a reader.
    fn release(&mut self, decisions: Vec<Released>);
    /// Takes a message that could not be read.
    fn dead_letter(&mut self, letter: &OwnedDeadLetter);
    /// Goes on from a snapshot, before anything else.
    ///
    /// # Errors
    /// What is in it for this outlet cannot be read.
    fn resume(&mut self, snapshot: &Snapshot) -> Result<(), CodecError> {
        let _ = snapshot;
        Ok(())
    }
}

/// How long released decisions may lie in the decisions log without a sync: until then they are
/// derived again after a crash, identically.
const DECISIONS_SYNC_EVERY: Duration = Duration::from_secs(1);

/// The journal's thread.
pub struct Writer {
    inputs: Log,
    decisions: Log,
    work: Receiver<Work>,
    spare: Sender<Vec<u8>>,
    outlet: Box<dyn Outlet>,
    /// Batches that are written; the engine may still be reading them.
    written: VecDeque<Arc<Vec<u8>>>,
    judged: VecDeque<Release>,
    /// The last released state, for the decisions log's mark.
    released: Mark,
    time: Arc<dyn TimeSource>,
    durable: Arc<Durable>,
    /// By the monotonic clock.
    decisions_dirty_since: Option<Duration>,
}

impl Writer {
    /// A writer over both logs; `released` is how far the decisions log has come. It tells
    /// `durable` how far both are durable.
    pub fn new(
        (inputs, decisions): (Log, Log),
        (work, spare): (Receiver<Work>, Sender<Vec<u8>>),
        outlet: Box<dyn Outlet>,
        released: Mark,
        time: Arc<dyn TimeSource>,
        durable: Arc<Durable>,
    ) -> Self {
        Self {
            inputs,
            decisions,
            work,
            spare,
            outlet,
            written: VecDeque::new(),
            judged: VecDeque::new(),
            released,
            time,
            durable,
            decisions_dirty_since: None,
        }
    }

    /// Runs until the engine is gone and all it sent is durable and released.
    /// Returns what was released last.
    pub fn run(mut self) -> Result<Mark, JournalError> {
        loop {
            match self.next_work() {
                Ok(work) => self.drain(work)?,
                Err(RecvTimeoutError::Timeout) => self.sync_decisions()?,
                Err(RecvTimeoutError::Disconnected) => {
                    self.finish()?;
                    return Ok(self.released);
                }
            }
        }
    }

    /// What was released last.
    pub const fn released(&self) -> Mark {
        self.released
    }

    /// Does what waits, as [`run`](Self::run) would, but waits for nothing. After
    /// [`Stepped::Ended`] there is no further step.
    pub fn step(&mut self) -> Result<Stepped, JournalError> {
        match self.work.try_recv() {
            Ok(work) => self.drain(work)?,
            Err(TryRecvError::Empty) if self.decisions_sync_in() == Some(Duration::ZERO) => {
                self.sync_decisions()?;
            }
            Err(TryRecvError::Empty) => return Ok(Stepped::Idle),
            Err(TryRecvError::Disconnected) => {
                self.finish()?;
                return Ok(Stepped::Ended);
            }
        }
        Ok(Stepped::Worked)
    }

    fn next_work(&self) -> Result<Work, RecvTimeoutError> {
        match self.decisions_sync_in() {
            Some(left) => self.work.recv_timeout(left),
            None => self.work.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// How long the decisions log may still wait for its sync; `None` if it has none coming.
    fn decisions_sync_in(&self) -> Option<Duration> {
        let due = self.decisions_dirty_since? + DECISIONS_SYNC_EVERY;
        Some(due.saturating_sub(self.time.monotonic()))
    }

    /// Writes all that waits, syncs once, then releases what is judged of it. At most a queue's
    /// worth: an engine that is never out of work must not put off the sync for ever.
    fn drain(&mut self, first: Work) -> Result<(), JournalError> {
        let mut written = 0;
        let mut taken = 0;
        let mut next = Some(first);
        while let Some(work) = next {
            taken += 1;
            match work {
                Work::Append(batch) => {
                    written += 1;
                    self.append(batch)?;
                }
                // Judging took longer than the sync: the next one must not be waited for.
                Work::Release(release) if release.through <= self.durable.inputs() => {
                    self.release(release)?;
                }
                Work::Release(release) => self.judged.push_back(release),
            }
            next = match taken {
                WORK_MAX => None,
                _ => self.work.try_recv().ok(),
            };
        }
        if written > 0 {
            self.sync(written)?;
        }
        // The engine sends a batch before what it made of it: all of these are durable now.
        while let Some(release) = self.judged.pop_front() {
            self.release(release)?;
        }
        match self.decisions_sync_in() {
            Some(Duration::ZERO) => self.sync_decisions(),
            Some(_) | None => Ok(()),
        }
    }

    fn sync(&mut self, written: u64) -> Result<(), JournalError> {
        let began = self.time.monotonic();
        self.inputs.sync()?;
        self.durable.set_inputs(self.inputs.next() - 1);
        let took = self.time.monotonic().saturating_sub(began);
        telemetry::inputs_synced(written, took);
        Ok(())
    }

    fn append(&mut self, batch: Append) -> Result<(), JournalError> {
        self.inputs
            .append(batch.count, &batch.payload, batch.mark, self.time.wall())?;
        self.written.push_back(batch.payload);
        Ok(())
    }

    fn release(&mut self, release: Release) -> Result<(), JournalError> {
        debug_assert!(release.through <= self.durable.inputs());
        let hash = release
            .decisions
            .last()
            .map_or(self.released.hash, |last| last.hash);
        self.released = Mark {
            number: release.through,
            hash,
        };
        if !release.decisions.is_empty() {
            let count = release.decisions.len() as u32;
            self.decisions
                .append(count, &release.encoded, self.released, self.time.wall())?;
            let time = &self.time;
            self.decisions_dirty_since
                .get_or_insert_with(|| time.monotonic());
            self.outlet.release(release.decisions);
        }
        for letter in &release.dead_letters {
            self.outlet.dead_letter(letter);
        }
        for ack in release.acks {
            ack.settle();
        }
        for (sender, answer) in release.answers {
            // Whoever asked may have gone.
            let _ = sender.send(answer);
        }
        self.reuse();
        Ok(())
    }

    /// Gives the batch's memory back to the engine, which has let go of it by now.
    fn reuse(&mut self) {
        let payload = self.written.pop_front().map(Arc::try_unwrap);
        if let Some(Ok(mut buffer)) = payload {
            buffer.clear();
            // If the engine has enough of them, this one is freed.
            let _ = self.spare.try_send(buffer);
        }
    }

    fn sync_decisions(&mut self) -> Result<(), JournalError> {
        self.decisions_dirty_since = None;
        self.decisions.sync()?;
        self.durable.set_decisions(self.decisions.next() - 1);
        Ok(())
    }

    /// A clean end: the decisions log says up to which input it is complete, so that the next
    /// build need not derive anything again.
    fn finish(&mut self) -> Result<(), JournalError> {
        self.decisions
            .append(0, &[], self.released, self.time.wall())?;
        self.sync_decisions()
    }
}

#[cfg(test)]
mod tests;
