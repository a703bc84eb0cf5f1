//! The whole judgement over a batch of records: sensor stages, merged into the engine.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::decision::Decision;
use crate::record::Record;
use crate::time::Timestamp;

/// The judgement's whole state.
#[derive(Debug)]
pub struct Judgement {}

impl Judgement {
    /// A judgement without rules, whose sensors are shared out to so many sensor stages.
    pub fn new(shards: NonZeroUsize) -> Self {
        let _ = shards;
        Self {}
    }

    /// Makes a bundle known. It holds from the `Reload` record on that names it.
    pub fn provide(&mut self, bundle: Arc<Bundle>) {
        let _ = bundle;
    }

    /// Applies records in order: before each, every timer that is due. Appends what is decided.
    pub fn apply(&mut self, records: &[Record<'_>], decisions: &mut Vec<Decision>) {
        let _ = (records, decisions);
    }

    /// When the next timer is due: a `Tick` at that time is wanted if nothing else comes.
    pub fn next_due(&self) -> Option<Timestamp> {
        None
    }

    /// The hash of the whole state: equal for equal histories, however sharded and batched.
    pub fn digest(&self) -> [u8; 32] {
        [0; 32]
    }
}
