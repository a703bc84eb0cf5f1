//! The inputs log judged once more: at a start, and beside the engine for snapshots.
//!
//! Arrives: batches as they were written. Leaves: the records of each, and a judgement that stands
//! where the one stood that wrote the next. Promise: what the batches' marks say was decided is
//! what has been derived, or it is an error (P2); a record that cannot be judged is named, and
//! passed over only where a person has said so. Next: `recover.rs`, `snapshots/follower.rs`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ioc_core::decision::Decision;
use ioc_core::judgement::Judgement;
use ioc_core::record::{BundleHash, Input, Record, Seq};
use ioc_core::time::Timestamp;

use crate::journal::{BatchHeader, Mark};
use crate::pipeline::Numbering;
use crate::recover::{Bundles, RecoverError};
use crate::skipped::{SkippedError, SkippedList};
use crate::writer::OwnedDeadLetter;

/// A judgement on its way through the log.
#[derive(Debug)]
pub struct Rejudge {
    /// The state.
    pub judgement: Judgement,
    /// The last decision.
    pub numbering: Numbering,
    /// The next record.
    pub next: Seq,
    /// The time of the last record.
    pub last_at: Option<Timestamp>,
    /// The bundle that holds.
    pub bundle: Option<BundleHash>,
    /// The records that are passed over.
    pub skipped: Arc<SkippedList>,
}

impl Rejudge {
    /// Before the first record.
    pub const fn new(judgement: Judgement, skipped: Arc<SkippedList>) -> Self {
        Self {
            judgement,
            numbering: Numbering {
                last: 0,
                hash: ioc_core::decision::DecisionHash([0; 32]),
            },
            next: 1,
            last_at: None,
            bundle: None,
            skipped,
        }
    }

    /// What had been decided when the batch was written must be what has been derived now.
    pub fn check_mark(&self, header: &BatchHeader) -> Result<(), RecoverError> {
        let derived = Mark {
            number: self.numbering.last,
            hash: self.numbering.hash,
        };
        if header.mark == derived {
            return Ok(());
        }
        Err(RecoverError::Diverged {
            number: header.mark.number,
        })
    }

    /// Reads a batch's records: rules that they name are provided, dead letters handed to
    /// `letter`. They are to be judged by the caller.
    pub fn read<'a>(
        &mut self,
        header: &BatchHeader,
        payload: &'a [u8],
        bundles: Bundles<'_>,
        letter: &mut dyn FnMut(OwnedDeadLetter),
    ) -> Result<Vec<Record<'a>>, RecoverError> {
        let mut records = Vec::with_capacity(header.count as usize);
        let skipped = Arc::clone(&self.skipped);
        for record in skipped.records(header.first, payload) {
            let record = record?;
            self.note(&record, &skipped, bundles)?;
            if let Some(owned) = OwnedDeadLetter::of(&record) {
                letter(owned);
            }
            records.push(record);
        }
        self.next = header.next();
        Ok(records)
    }

    /// Judges records and numbers what is decided.
    pub fn judge(&mut self, records: &[Record<'_>]) -> Result<(), RecoverError> {
        let mut decisions: Vec<Decision> = Vec::new();
        self.apply(records, &mut decisions)?;
        self.numbering.number(decisions, &mut Vec::new());
        Ok(())
    }

    /// Judges records. After an error the judgement is of no use any more.
    pub fn apply(
        &mut self,
        records: &[Record<'_>],
        decisions: &mut Vec<Decision>,
    ) -> Result<(), RecoverError> {
        let judgement = &mut self.judgement;
        let judged = catch_unwind(AssertUnwindSafe(|| judgement.apply(records, decisions)));
        judged.map_err(|panic| RecoverError::Unjudged {
            seq: self.judgement.judging(),
            reason: words_of(&*panic).to_owned(),
        })
    }

    /// What the host itself must know of a record.
    fn note(
        &mut self,
        record: &Record<'_>,
        skipped: &SkippedList,
        bundles: Bundles<'_>,
    ) -> Result<(), RecoverError> {
        self.last_at = Some(record.at);
        match record.input {
            Input::Reload(hash) => {
                let seq = record.seq;
                let bundle = bundles(hash).map_err(|reason| RecoverError::Rules { seq, reason })?;
                self.judgement.provide(bundle);
                self.bundle = Some(hash);
            }
            Input::Skipped(skip) if skipped.find(skip.seq) != Some(&skip) => {
                return Err(SkippedError::Forgotten { seq: skip.seq }.into());
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a panic said.
fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("it stopped without a word")
}
