//! The journal's thread: makes batches durable, then releases what follows from them.
//!
//! Arrives: batches to write and, in the same queue, what the engine made of them. Leaves:
//! decisions to the decisions log and the outlets, acknowledgements, answers. Promise: nothing
//! that follows from a record leaves before the record is durable, and what follows from durable
//! ones waits for no later sync; one sync serves all that waits; a failed write or sync ends the
//! process with all withheld output discarded. A full disk ends nothing: what has no room waits, in
//! order, and space is looked for every second.
//! Next: `ioc-ws/src/view.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, after};
use ioc_core::CodecError;
use ioc_core::decision::{DecisionSeq, Released};
use ioc_core::record::{Input, Record, Seq};
use ioc_core::time::Timestamp;
use ioc_gateway::dead_letters::DeadLetters;
use ioc_gateway::door::AckToken;
use ioc_ws::RefusalReason;
use tokio::sync::oneshot;

use crate::clock::TimeSource;
use crate::durable::Durable;
use crate::journal::{Ahead, JournalError, Log, Mark};
use crate::pipeline::{Stepped, WORK_MAX};
use crate::snapshots::Snapshot;
use crate::space::{Gauge, LOOK_EVERY, Shortage};
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

/// A dead letter, or the word that one was replayed, as the encoded input that it is.
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
    /// What a record says of dead letters, if it does.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let (Input::DeadLetter(_) | Input::Replayed(_)) = record.input else {
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

    /// Notes it in a list.
    pub fn note(&self, letters: &DeadLetters) {
        match Input::decode(&self.input) {
            Ok(Input::DeadLetter(letter)) => letters.note(self.seq, self.at, &letter),
            Ok(Input::Replayed(replayed)) => letters.note_replayed(replayed.letter),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Where released decisions go.
pub trait Outlet: Send {
    /// Takes decisions, in order. Never waits for a reader.
    fn release(&mut self, decisions: Vec<Released>);
    /// Takes a message that could not be read, or the word that it was read again.
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

/// How often space is looked for on a full disk.
const SPACE_RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that the disk is full, as long as it is.
const FULL_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What the writer takes from, and what it gives back.
#[derive(Debug)]
pub struct Ends {
    /// From the engine.
    pub work: Receiver<Work>,
    /// Memory, to the engine.
    pub spare: Sender<Vec<u8>>,
    /// Room, to the engine.
    pub gauge: Gauge,
    /// Closed when the process shall end.
    pub stop: Receiver<()>,
}

/// The journal's thread.
pub struct Writer {
    inputs: Log,
    decisions: Log,
    ends: Ends,
    outlet: Box<dyn Outlet>,
    /// Batches that are written; the engine may still be reading them.
    written: VecDeque<Arc<Vec<u8>>>,
    judged: VecDeque<Release>,
    /// That the first of them waits for room in the decisions log.
    waits: Option<JournalError>,
    /// How the next segments stood when they were looked at.
    ahead: Ahead,
    /// When there was last an attempt to find space, by the monotonic clock.
    tried: Duration,
    /// How short of space the disk was said to be, and when.
    shortage_told: (Shortage, Duration),
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
        ends: Ends,
        outlet: Box<dyn Outlet>,
        released: Mark,
        time: Arc<dyn TimeSource>,
        durable: Arc<Durable>,
    ) -> Self {
        Self {
            inputs,
            decisions,
            ends,
            outlet,
            written: VecDeque::new(),
            judged: VecDeque::new(),
            waits: None,
            ahead: Ahead::Making,
            tried: Duration::ZERO,
            shortage_told: (Shortage::None, Duration::ZERO),
            released,
            time,
            durable,
            decisions_dirty_since: None,
        }
    }

    /// Runs until the engine is gone and all it sent is durable and released. Told to stop while
    /// it waits for space, it gives up: what it withholds, the next start derives again.
    /// Returns what was released last.
    pub fn run(mut self) -> Result<Mark, JournalError> {
        loop {
            if self.waits.is_some() {
                self.wait_for_space()?;
                continue;
            }
            match self.next_work() {
                Ok(work) => self.drain(work)?,
                Err(RecvTimeoutError::Timeout) => self.do_due()?,
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
        if self.waits.is_some() {
            if self.space_look_in() == Some(Duration::ZERO) {
                self.do_due()?;
            }
            return Ok(match self.waits {
                Some(_) => Stepped::Idle,
                None => Stepped::Worked,
            });
        }
        match self.ends.work.try_recv() {
            Ok(work) => self.drain(work)?,
            Err(TryRecvError::Empty) if self.due_in() == Some(Duration::ZERO) => self.do_due()?,
            Err(TryRecvError::Empty) => return Ok(Stepped::Idle),
            Err(TryRecvError::Disconnected) => {
                self.finish()?;
                return Ok(Stepped::Ended);
            }
        }
        Ok(Stepped::Worked)
    }

    fn next_work(&self) -> Result<Work, RecvTimeoutError> {
        let work = &self.ends.work;
        match self.due_in() {
            Some(left) => work.recv_timeout(left),
            None => work.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Takes nothing more until there is space for what waits, or until told to stop.
    fn wait_for_space(&mut self) -> Result<(), JournalError> {
        let look = after(self.due_in().unwrap_or(LOOK_EVERY));
        crossbeam_channel::select! {
            recv(look) -> _ => self.do_due(),
            recv(self.ends.stop) -> _ => {
                self.release_judged()?;
                // Nothing of it was released: the next start derives it again.
                self.waits.take().map_or(Ok(()), Err)
            }
        }
    }

    /// How long until something is to be done though no work comes; `None` for ever.
    fn due_in(&self) -> Option<Duration> {
        let due = [self.decisions_sync_in(), self.space_look_in()];
        due.into_iter().flatten().min()
    }

    /// Does what is due.
    fn do_due(&mut self) -> Result<(), JournalError> {
        if self.space_look_in() == Some(Duration::ZERO) {
            self.tried = self.time.monotonic();
            self.inputs.retry();
            self.decisions.retry();
            self.release_judged()?;
            self.look_at_space()?;
        }
        match self.decisions_sync_in() {
            Some(Duration::ZERO) => self.sync_decisions(),
            Some(_) | None => Ok(()),
        }
    }

    /// How long until the next segments are looked at again; `None` if they are there, and enough.
    fn space_look_in(&self) -> Option<Duration> {
        let every = match self.ahead {
            Ahead::Made if self.waits.is_none() => return None,
            Ahead::Making => LOOK_EVERY,
            Ahead::Made | Ahead::Full => SPACE_RETRY_EVERY,
        };
        Some((self.tried + every).saturating_sub(self.time.monotonic()))
    }

    /// Finds out how much room there is, shows it to the engine, and tells of a full disk.
    fn look_at_space(&mut self) -> Result<(), JournalError> {
        let (inputs, decisions) = (self.inputs.room()?, self.decisions.room()?);
        let now = self.time.monotonic();
        let (ahead, shortage) = self.ends.gauge.show(inputs, decisions);
        self.ahead = ahead;
        let Some(shortage) = shortage else {
            return Ok(());
        };
        self.durable.set_short_of_space(shortage != Shortage::None);
        let (told, told_at) = self.shortage_told;
        let again = shortage != Shortage::None && now.saturating_sub(told_at) >= FULL_TOLD_EVERY;
        if shortage != told || again {
            self.shortage_told = (shortage, now);
            let segment_bytes = self.inputs.segment_bytes();
            telemetry::storage(shortage, segment_bytes, (inputs.bytes, decisions.bytes));
        }
        Ok(())
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
                Work::Release(release) => {
                    let is_durable = release.through <= self.durable.inputs();
                    self.judged.push_back(release);
                    // Judging took longer than the sync: the next one must not be waited for.
                    if is_durable {
                        self.release_judged()?;
                    }
                }
            }
            next = match taken {
                WORK_MAX => None,
                _ => self.ends.work.try_recv().ok(),
            };
        }
        if written > 0 {
            self.sync(written)?;
        }
        // The engine sends a batch before what it made of it: all of these are durable now.
        self.release_judged()?;
        self.look_at_space()?;
        self.do_due()
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
        self.ends.gauge.written(batch.payload.len());
        self.written.push_back(batch.payload);
        Ok(())
    }

    /// Releases what is judged, in order, as far as there is room for it.
    fn release_judged(&mut self) -> Result<(), JournalError> {
        self.waits = None;
        while let Some(release) = self.judged.pop_front() {
            if let Err((full, unreleased)) = self.release(release)? {
                self.judged.push_front(unreleased);
                self.waits = Some(full);
                break;
            }
        }
        Ok(())
    }

    /// Releases what followed from a batch; gives it back if the decisions log has no room for it.
    fn release(
        &mut self,
        release: Release,
    ) -> Result<Result<(), (JournalError, Release)>, JournalError> {
        debug_assert!(release.through <= self.durable.inputs());
        let last = release.decisions.last();
        let mark = Mark {
            number: release.through,
            hash: last.map_or(self.released.hash, |last| last.hash),
        };
        if !release.decisions.is_empty() {
            let (count, wall) = (release.decisions.len() as u32, self.time.wall());
            match self.decisions.append(count, &release.encoded, mark, wall) {
                Err(full @ JournalError::Full { .. }) => return Ok(Err((full, release))),
                appended => appended?,
            }
            let time = &self.time;
            self.decisions_dirty_since
                .get_or_insert_with(|| time.monotonic());
            self.outlet.release(release.decisions);
        }
        self.released = mark;
        self.durable.set_released(self.released);
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
        Ok(Ok(()))
    }

    /// Gives the batch's memory back to the engine, which has let go of it by now.
    fn reuse(&mut self) {
        let payload = self.written.pop_front().map(Arc::try_unwrap);
        if let Some(Ok(mut buffer)) = payload {
            buffer.clear();
            // If the engine has enough of them, this one is freed.
            let _ = self.ends.spare.try_send(buffer);
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
