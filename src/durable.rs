//! How far both logs are durable: written by the journal's thread, read by whoever follows a log.
//! And how far the judgement for snapshots has followed, so that it is not left behind for ever.

use std::sync::atomic::{AtomicU64, Ordering};

use ioc_core::decision::DecisionSeq;
use ioc_core::record::Seq;

/// The last durable numbers; all only grow.
#[derive(Debug)]
pub struct Durable {
    inputs: AtomicU64,
    decisions: AtomicU64,
    followed: AtomicU64,
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
