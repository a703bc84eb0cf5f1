//! What kind of run a seed gives: bounds and rates, drawn once, so that runs differ in character
//! and not only in detail.

use std::num::NonZeroUsize;

use ioc::pipeline::BatchLimits;

use super::process::WindowBounds;
use crate::chance::Chance;

/// The bounds and rates of one run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many steps before everything is let settle.
    pub steps: u64,
    /// How many publishers.
    pub publishers: usize,
    /// How many operators.
    pub operators: usize,
    /// How many bytes a segment is made with.
    pub segment_bytes: u64,
    /// How many decisions before a snapshot are shown again.
    pub decisions_shown: u64,
    /// A snapshot is made after so many records.
    pub snapshot_records: u64,
    /// How many bytes of each log are kept.
    pub keep_bytes: u64,
    /// How large batches grow.
    pub limits: BatchLimits,
    /// How much may wait at the door.
    pub waiting_bytes_max: u32,
    /// The window's bounds.
    pub window: WindowBounds,
    /// How much lies in a connection to an operator.
    pub pipe_bytes: usize,
    /// One step in so many is a fault.
    pub fault_one_in: u64,
    /// One life in so many has a fault in its start.
    pub faulty_start_one_in: u64,
    /// How many messages of a publisher may be under way.
    pub in_flight: usize,
    /// An operator reads once in so many turns.
    pub lazy: u64,
}

impl Plan {
    /// The plan of this seed.
    pub fn new(seed: u64) -> Self {
        let chance = &mut Chance::new(seed, "plan");
        let mut one_of = |of: [u64; 3]| of[chance.below(3)];
        Self {
            steps: one_of([100, 200, 400]),
            publishers: one_of([1, 2, 3]) as usize,
            operators: one_of([1, 2, 3]) as usize,
            segment_bytes: one_of([2 << 10, 4 << 10, 16 << 10]),
            limits: BatchLimits {
                records_max: one_of([1, 8, 64]) as u32,
                bytes_max: one_of([200, 1000, 8000]) as usize,
            },
            waiting_bytes_max: one_of([300, 3000, 30_000]) as u32,
            window: WindowBounds {
                ring_decisions_max: one_of([4, 20, 1000]) as usize,
                fold_after_decisions: one_of([0, 2, 100]),
                round_bytes_max: one_of([1000, 5000, 100_000]) as usize,
            },
            pipe_bytes: one_of([200, 2000, 50_000]) as usize,
            fault_one_in: one_of([15, 40, 10_000]),
            faulty_start_one_in: one_of([2, 4, 10_000]),
            lazy: one_of([1, 4, 15]),
            decisions_shown: one_of([0, 5, 1000]),
            snapshot_records: one_of([3, 30, 300]),
            keep_bytes: one_of([0, 10_000, u64::MAX]),
            in_flight: one_of([24, 60, 400]) as usize,
        }
    }
}

/// Over how many shards sensors may be shared out.
pub fn shards(chance: &mut Chance) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(chance.below(4))
}
