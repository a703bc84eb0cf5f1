//! A person's word that a record is to be passed over: whether it may be, and from when on it is.
//!
//! Arrives: the number of a record. Leaves: an entry of the durable list of skipped records, or why
//! not. Promise: no decision that was released is derived otherwise from then on. So a record that
//! this build has judged and gone on from is not skipped; but rules that it names may have been lost
//! since: then all stands as it was released. Next: `skipped.rs`.

use std::sync::Arc;

use ioc_core::decision::DecisionSeq;
use ioc_core::record::{BuildHash, Frames, Input, Seq, Skip};

use super::{DECISIONS_DIR, Opened, RecoverError};
use crate::journal::disk::Disk;
use crate::journal::{BatchHeader, Contents, LogKind, Mark, scan};
use crate::skipped::{Skipped, SkippedError, SkippedList, Unread, fingerprint};
use crate::telemetry;

impl Opened<'_> {
    /// Passes records over from now on. What is said here is durable when this returns, and what
    /// had been said before is not said again.
    pub fn skip(&mut self, seqs: &[Seq]) -> Result<(), RecoverError> {
        for &seq in seqs {
            if self.skipped.find(seq).is_some() {
                continue;
            }
            let mut list = (*self.skipped).clone();
            let skipped = self.skippable(seq)?;
            list.add(skipped)?;
            self.settle(skipped.skip.released)?;
            list.store(&*self.disk, self.options.data, self.journal())?;
            self.skipped = Arc::new(list);
            telemetry::record_skipped(seq);
        }
        Ok(())
    }

    /// Says in the decisions log that nothing more follows from the records up to this one.
    fn settle(&mut self, released: Seq) -> Result<(), RecoverError> {
        let (log, held) = &mut self.decisions;
        let said = held
            .end
            .last
            .map_or_else(Mark::default, |(last, _)| last.mark);
        if released > said.number {
            let mark = Mark {
                number: released,
                hash: said.hash,
            };
            log.append(0, &[], mark, self.options.time.wall())?;
            log.sync()?;
            let dir = self.options.data.join(DECISIONS_DIR);
            *held = scan::scan(&*self.disk, &dir, LogKind::Decisions, self.known_decisions)?;
        }
        Ok(())
    }

    /// The entry of a record that may be skipped. One that was once is so again, as it was.
    fn skippable(&self, seq: Seq) -> Result<Skipped, RecoverError> {
        let last = self.inputs.1.end.next() - 1;
        if seq == 0 || seq > last {
            return Err(SkippedError::Missing { seq, last }.into());
        }
        let said = self.snapshot.iter().flat_map(|held| &held.skipped);
        if let Some(&skip) = said.into_iter().find(|skip| skip.seq == seq) {
            return Ok(Skipped { skip, log_end: 0 });
        }
        let through = self.snapshot.as_ref().map_or(0, |held| held.point.through);
        if seq <= through {
            return Err(SkippedError::Snapshotted { seq, through }.into());
        }
        let mut found = Found::new(seq, self.options.build);
        let (held, released) = (&self.inputs.1, &self.decisions.1);
        held.for_each(&*self.disk, seq, |header, payload| {
            found.inputs(header, payload)
        })?;
        released.for_each(&*self.disk, 0, |header, _| {
            found.decisions(header);
            Ok::<_, RecoverError>(())
        })?;
        found.entry(last)
    }
}

/// What both logs say about a record.
struct Found {
    seq: Seq,
    build: BuildHash,
    record: [u8; 32],
    /// It names rules, which may be lost though this build has judged it once.
    is_reload: bool,
    /// The last record that this build is known to have judged, if that is this one or later.
    judged: Seq,
    /// The last decision that it had come to by then.
    derived: DecisionSeq,
    /// The last decision in the log, and the last record that it follows from.
    released: (DecisionSeq, Seq),
    /// It was skipped once, and the list has forgotten it.
    before: Option<Skip>,
}

impl Found {
    const fn new(seq: Seq, build: BuildHash) -> Self {
        Self {
            seq,
            build,
            record: [0; 32],
            is_reload: false,
            judged: 0,
            derived: 0,
            released: (0, 0),
            before: None,
        }
    }

    /// A batch of the inputs log: the one with the record, or a later one.
    fn inputs(&mut self, header: &BatchHeader, payload: &[u8]) -> Result<(), RecoverError> {
        if header.first > self.seq && header.build == self.build {
            // The engine sends a batch only after it has judged the one before.
            self.judged = header.first - 1;
            self.derived = header.mark.number;
        }
        for frame in Frames::new(header.first, payload) {
            let frame = frame.map_err(|(seq, error)| Unread::Codec(seq, error))?;
            let input = Input::decode(frame.input());
            if frame.seq == self.seq {
                self.record = fingerprint(&frame);
                self.is_reload = matches!(input, Ok(Input::Reload(_)));
            }
            if let Ok(Input::Skipped(skip)) = input {
                self.before = self
                    .before
                    .or(Some(skip).filter(|skip| skip.seq == self.seq));
            }
        }
        Ok(())
    }

    /// A batch of the decisions log.
    fn decisions(&mut self, header: &BatchHeader) {
        let through = header.mark.number;
        if header.build == self.build && through >= self.seq {
            self.judged = self.judged.max(through);
        }
        self.released = (header.next() - 1, through);
    }

    fn entry(self, log_end: Seq) -> Result<Skipped, RecoverError> {
        let (seq, record) = (self.seq, self.record);
        if let Some(skip) = self.before {
            // The log says so already.
            return Ok(Skipped { skip, log_end: 0 });
        }
        let (last, released) = self.released;
        let is_published = self.derived <= last;
        if self.judged > 0 && !(self.is_reload && is_published) {
            return Err(SkippedError::Judged { seq }.into());
        }
        let released = released.max(self.judged);
        let skip = Skip {
            seq,
            record,
            released,
        };
        Ok(Skipped { skip, log_end })
    }
}

/// The error that the log, from a record on, says that one was skipped of which the list does not
/// know.
pub fn forgotten(
    disk: &dyn Disk,
    held: &Contents,
    from: Seq,
    skipped: &SkippedList,
) -> Option<RecoverError> {
    let looked = held.for_each(disk, from, |header, payload| {
        for frame in Frames::new(header.first, payload).map_while(Result::ok) {
            if let Ok(Input::Skipped(skip)) = Input::decode(frame.input())
                && skipped.find(skip.seq) != Some(&skip)
            {
                return Err(SkippedError::Forgotten { seq: skip.seq }.into());
            }
        }
        Ok(())
    });
    looked.err()
}
