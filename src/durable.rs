//! How far both logs are durable: written by the journal's thread, read by whoever follows a log.
//! And how far the judgement for snapshots has followed, so that it is not left behind for ever.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ioc_core::decision::DecisionSeq;
use ioc_core::record::Seq;

use crate::journal::Mark;

/// The last durable numbers; all only grow.
#[derive(Debug)]
pub struct Durable {
    inputs: AtomicU64,
    decisions: AtomicU64,
    followed: AtomicU64,
    /// The record up to which decisions were released, and the beginning of their rolling hash;
    /// the record is 0 while the two are being changed.
    released: (AtomicU64, AtomicU64),
    short_of_space: AtomicBool,
}

/// What has been followed where nobody follows.
const NOBODY: u64 = u64::MAX;

impl Default for Durable {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

impl Durable {
    /// As a start found it.
    pub const fn new(inputs: Seq, decisions: DecisionSeq) -> Self {
        Self {
            inputs: AtomicU64::new(inputs),
            decisions: AtomicU64::new(decisions),
            followed: AtomicU64::new(NOBODY),
            released: (AtomicU64::new(0), AtomicU64::new(0)),
            short_of_space: AtomicBool::new(false),
        }
    }

    /// The last durable record.
    pub fn inputs(&self) -> Seq {
        self.inputs.load(Ordering::Acquire)
    }

    /// The last durable decision.
    pub fn decisions(&self) -> DecisionSeq {
        self.decisions.load(Ordering::Acquire)
    }

    /// Whether there is no space for the next segments.
    pub fn is_short_of_space(&self) -> bool {
        self.short_of_space.load(Ordering::Relaxed)
    }

    /// Says whether there is no space for the next segments.
    pub fn set_short_of_space(&self, is_short: bool) {
        self.short_of_space.store(is_short, Ordering::Relaxed);
    }

    /// Says what was released last: the record, and the rolling hash.
    pub fn set_released(&self, released: Mark) {
        let (number, hash) = &self.released;
        number.store(0, Ordering::SeqCst);
        hash.store(beginning(released), Ordering::SeqCst);
        number.store(released.number, Ordering::SeqCst);
    }

    /// Whether this is what was released last; `None` if that is as of another record.
    pub fn agrees(&self, derived: Mark) -> Option<bool> {
        let (number, hash) = &self.released;
        let is_it = || number.load(Ordering::SeqCst) == derived.number;
        let agrees = is_it().then(|| hash.load(Ordering::SeqCst) == beginning(derived));
        agrees.filter(|_| is_it())
    }

    /// How many durable records the judgement for snapshots has not judged; 0 if there is none.
    pub fn behind(&self) -> u64 {
        self.inputs()
            .saturating_sub(self.followed.load(Ordering::Acquire))
    }

    /// The judgement for snapshots has judged this record.
    pub fn set_followed(&self, last: Seq) {
        self.followed.store(last, Ordering::Release);
    }

    /// Nobody makes snapshots any more: nobody is to be waited for.
    pub fn stop_following(&self) {
        self.followed.store(NOBODY, Ordering::Release);
    }

    /// Records are durable up to this one.
    pub fn set_inputs(&self, last: Seq) {
        self.inputs.store(last, Ordering::Release);
    }

    /// Decisions are durable up to this one.
    pub fn set_decisions(&self, last: DecisionSeq) {
        self.decisions.store(last, Ordering::Release);
    }
}

/// The first bytes of a hash: enough to notice that two differ.
fn beginning(mark: Mark) -> u64 {
    let (first, _) = mark.hash.0.split_first_chunk().expect("a hash is longer");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use ioc_core::decision::DecisionHash;

    use super::*;

    #[test]
    fn what_was_released_is_compared_as_of_its_record_only() {
        let mark = |number, byte| Mark {
            number,
            hash: DecisionHash([byte; 32]),
        };
        let durable = Durable::default();
        assert_eq!(durable.agrees(mark(3, 1)), None);
        durable.set_released(mark(3, 1));
        assert_eq!(durable.agrees(mark(3, 1)), Some(true));
        assert_eq!(durable.agrees(mark(3, 2)), Some(false));
        assert_eq!(durable.agrees(mark(4, 1)), None);
    }
}
