//! A person's word that a record is to be passed over: whether it may be, and from when on it is.
//!
//! Arrives: the number of a record. Leaves: an entry of the durable list of skipped records, or why
//! not. Promise: no decision that was released is derived otherwise from then on; so a record that
//! this build has judged and gone on from is never skipped. Next: `skipped.rs`.

use std::sync::Arc;

use ioc_core::record::{BuildHash, Frames, Input, Seq, Skip};

use super::{Opened, RecoverError};
use crate::journal::BatchHeader;
use crate::skipped::{Skipped, SkippedError, Unread, fingerprint};
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
            list.add(self.skippable(seq)?)?;
            list.store(&*self.disk, self.options.data, self.journal())?;
            self.skipped = Arc::new(list);
            telemetry::record_skipped(seq);
        }
        Ok(())
    }

    /// The entry of a record that may be skipped.
    fn skippable(&self, seq: Seq) -> Result<Skipped, RecoverError> {
        let last = self.inputs.1.end.next() - 1;
        if seq == 0 || seq > last {
            return Err(SkippedError::Missing { seq, last }.into());
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
            found.released(header);
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
    /// This build has judged it.
    judged: bool,
    /// The last record that released decisions follow from.
    released: Seq,
    /// It was skipped once, and the list has forgotten it.
    before: Option<Skip>,
}

impl Found {
    const fn new(seq: Seq, build: BuildHash) -> Self {
        Self {
            seq,
            build,
            record: [0; 32],
            judged: false,
            released: 0,
            before: None,
        }
    }

    /// A batch of the inputs log: the one with the record, or a later one.
    fn inputs(&mut self, header: &BatchHeader, payload: &[u8]) -> Result<(), RecoverError> {
        // The engine sends a batch only after it has judged the one before.
        self.judged |= header.first > self.seq && header.build == self.build;
        for frame in Frames::new(header.first, payload) {
            let frame = frame.map_err(|(seq, error)| Unread::Codec(seq, error))?;
            if frame.seq == self.seq {
                self.record = fingerprint(&frame);
            }
            if let Ok(Input::Skipped(skip)) = Input::decode(frame.input()) {
                self.before = self
                    .before
                    .or(Some(skip).filter(|skip| skip.seq == self.seq));
            }
        }
        Ok(())
    }

    /// A batch of the decisions log.
    fn released(&mut self, header: &BatchHeader) {
        let through = header.mark.number;
        self.judged |= header.build == self.build && through >= self.seq;
        self.released = self.released.max(through);
    }

    fn entry(self, log_end: Seq) -> Result<Skipped, RecoverError> {
        let seq = self.seq;
        match self.before {
            // The log says so already.
            Some(skip) => Ok(Skipped { skip, log_end: 0 }),
            None if self.judged => Err(SkippedError::Judged { seq }.into()),
            None => {
                let skip = Skip {
                    seq,
                    record: self.record,
                    released: self.released,
                };
                Ok(Skipped { skip, log_end })
            }
        }
    }
}
