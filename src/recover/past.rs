//! What was released, as the decisions log tells.
//!
//! Arrives: the decisions log. Leaves: how far it has come, and what of it stands as it is because
//! it is not derived again; on the way, what was released is shown again to those who come back.
//! Next: `recover.rs`.

use std::sync::Arc;

use ioc_core::CodecError;
use ioc_core::decision::{Decision, DecisionHash, Released};
use ioc_core::record::{BuildHash, Seq};

use super::RecoverError;
use crate::journal::disk::Disk;
use crate::journal::{BatchHeader, Contents, Mark};
use crate::pipeline::Numbering;
use crate::writer::Outlet;

/// What was released, as the decisions log tells.
pub(super) struct Past {
    /// The last decision.
    pub(super) numbering: Numbering,
    /// The last input that decisions follow from.
    pub(super) mark: Mark,
    /// The same, for what [`Stands`].
    pub(super) standing: (Numbering, Mark),
}

/// What was released and is not derived again: it stands as it is in the decisions log.
#[derive(Clone, Copy)]
pub(super) struct Stands {
    /// What another build than this one released.
    pub(super) build: BuildHash,
    /// What follows from the records up to this one: later, one of them was skipped.
    pub(super) up_to: Seq,
}

impl Past {
    /// Reads the decisions log; what was released is shown again as it was. Where that begins in
    /// the middle, `known` is a decision whose hash is known.
    pub(super) fn read(
        disk: &dyn Disk,
        contents: &Contents,
        stands: Stands,
        known: Numbering,
        outlet: &mut dyn Outlet,
    ) -> Result<Self, RecoverError> {
        let mut past = Self {
            numbering: known,
            mark: Mark::default(),
            standing: (Numbering::default(), Mark::default()),
        };
        let mut before = (contents.end.first == 1).then(Numbering::default);
        contents.for_each(disk, 0, |header, payload| {
            let holds_known = header.first <= known.last + 1 && known.last < header.next();
            let from = before.or(holds_known.then_some(known));
            let last = header.next() - 1;
            let mut hash = from.map_or(header.mark.hash, |from| from.hash);
            if let Some(from) = from {
                let skip = from.last + 1 - header.first;
                let decisions = decode_decisions(header, payload, skip, &mut hash)?;
                if !decisions.is_empty() {
                    outlet.release(decisions);
                }
            }
            before = Some(Numbering { last, hash });
            past.numbering = Numbering { last, hash };
            past.mark = header.mark;
            if header.build != stands.build || header.mark.number <= stands.up_to {
                past.standing = (past.numbering, past.mark);
            }
            Ok::<_, RecoverError>(())
        })?;
        Ok(past)
    }

    /// A snapshot as of the last decision must have come to the same hash.
    pub(super) fn check(&self, known: Numbering) -> Result<(), RecoverError> {
        if self.numbering.last == known.last && self.numbering.hash != known.hash {
            return Err(RecoverError::Diverged { number: known.last });
        }
        Ok(())
    }
}

/// The decisions of a batch of the decisions log but the first ones, and the rolling hash up to its
/// last.
pub fn decode_decisions(
    header: &BatchHeader,
    mut payload: &[u8],
    mut skip: u64,
    hash: &mut DecisionHash,
) -> Result<Vec<Released>, RecoverError> {
    let mut decisions = Vec::with_capacity(header.count as usize);
    let damaged = |source| RecoverError::Record {
        seq: header.first,
        source,
    };
    while !payload.is_empty() {
        let cut = || damaged(CodecError("cut short"));
        let (length, rest) = payload.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (encoded, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        payload = rest;
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let decision = Decision::decode(encoded).map_err(damaged)?;
        *hash = hash.after(encoded);
        decisions.push(Released {
            decision: Arc::new(decision),
            hash: *hash,
        });
    }
    Ok(decisions)
}
