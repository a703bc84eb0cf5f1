//! What happened in a simulated run, as a timeline that a person can read.
//!
//! It is the disk's story: what the world does stands between the operations that it led to. A run
//! that is only to be judged keeps none; one that failed is run again from its seed and told.

use std::cell::Cell;

use crate::disk::FaultDisk;

/// The story of one run.
#[derive(Debug)]
pub struct Story {
    disk: FaultDisk,
    /// The step, and the simulated time in microseconds.
    at: Cell<(u64, u64)>,
}

impl Story {
    /// The story of this disk's world.
    pub fn new(disk: FaultDisk) -> Self {
        Self {
            disk,
            at: Cell::default(),
        }
    }

    /// From here on it is this step, at this time.
    pub fn at(&self, step: u64, time_us: u64) {
        self.at.set((step, time_us));
    }

    /// Something happened.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        let (step, time_us) = self.at.get();
        let (seconds, millis) = (time_us / 1_000_000, time_us / 1000 % 1000);
        self.disk
            .tell(|| format!("{step:>5} {seconds:>5}.{millis:03} s  {}", line()));
    }
}
