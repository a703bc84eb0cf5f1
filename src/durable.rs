//! How far both logs are durable: written by the journal's thread, read by whoever follows a log.

use std::sync::atomic::{AtomicU64, Ordering};

use ioc_core::decision::DecisionSeq;
use ioc_core::record::Seq;

/// The last durable numbers; both only grow.
#[derive(Debug, Default)]
pub struct Durable {
    inputs: AtomicU64,
    decisions: AtomicU64,
}

impl Durable {
    /// As a start found it.
    pub const fn new(inputs: Seq, decisions: DecisionSeq) -> Self {
        Self {
            inputs: AtomicU64::new(inputs),
            decisions: AtomicU64::new(decisions),
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

    /// Records are durable up to this one.
    pub fn set_inputs(&self, last: Seq) {
        self.inputs.store(last, Ordering::Release);
    }

    /// Decisions are durable up to this one.
    pub fn set_decisions(&self, last: DecisionSeq) {
        self.decisions.store(last, Ordering::Release);
    }
}
