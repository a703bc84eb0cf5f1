//! The disk fills, and after a while somebody makes space again.

use crate::chance::Chance;
use crate::disk::FaultDisk;

/// How many bytes the disk has: more than a run needs.
pub const CAPACITY: u64 = 1 << 30;

/// Fills the disk and frees it, by chance.
#[derive(Debug)]
pub struct Tide {
    chance: Chance,
    /// The disk fills once in so many turns.
    fills_one_in: u64,
    is_full: bool,
    /// Whether the process may not know yet that there is space again.
    is_unnoticed: bool,
}

impl Tide {
    /// The tide of this seed: in many runs the disk never fills.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "tide");
        Self {
            fills_one_in: [20, 60, 100_000][chance.below(3)],
            chance,
            is_full: false,
            is_unnoticed: false,
        }
    }

    /// Perhaps the disk fills, to less than a few segments, or is free again.
    pub fn turn(&mut self, disk: &FaultDisk, segment_bytes: u64) {
        if self.is_full {
            if self.chance.one_in(40) {
                self.free(disk);
            }
        } else if self.chance.one_in(self.fills_one_in) {
            let left = self.chance.within(0..3 * segment_bytes);
            disk.resize(disk.used() + left);
            self.is_full = true;
        }
    }

    /// Space is made, if there is none; returns whether somebody may have to notice.
    pub fn make_space(&mut self, disk: &FaultDisk) -> bool {
        if self.is_full {
            self.free(disk);
        }
        std::mem::take(&mut self.is_unnoticed)
    }

    fn free(&mut self, disk: &FaultDisk) {
        disk.resize(CAPACITY);
        self.is_full = false;
        self.is_unnoticed = true;
    }

    /// Whether the disk has been filled, and not freed since.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }
}
