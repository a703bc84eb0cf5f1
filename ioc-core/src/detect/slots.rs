//! When timers of silence are due, so that not all of a city's are at one instant.
//!
//! Arrives: when a sensor's timer is wanted. Leaves: when it is due: then, or the first millisecond
//! after it in which no other timer of its bucket is. Promise: part of no shard's business, for a
//! bucket is whole in one; so many sensors as there are buckets, and no more, are asked in one
//! millisecond whether they are silent. Follows from the sensors' timers: part of no digest.
//! Next: `silence.rs`.

use std::collections::BTreeSet;

use crate::limits::SENSOR_BUCKETS;
use crate::time::{Millis, Timestamp};

/// The times at which timers of silence are due, by bucket.
#[derive(Debug)]
pub(super) struct Slots(Vec<BTreeSet<Timestamp>>);

impl Slots {
    pub fn new() -> Self {
        Self(vec![BTreeSet::new(); SENSOR_BUCKETS])
    }

    /// Takes the first free time from the one that is wanted on.
    pub fn take(&mut self, bucket: usize, wanted: Timestamp) -> Timestamp {
        let mut due = wanted;
        while !self.0[bucket].insert(due) {
            due = due + Millis(1);
        }
        due
    }

    /// A timer is due then, wherever others are.
    pub fn hold(&mut self, bucket: usize, due: Timestamp) {
        self.0[bucket].insert(due);
    }

    /// The timer that was due then is no more.
    pub fn free(&mut self, bucket: usize, due: Timestamp) {
        self.0[bucket].remove(&due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_bucket_is_due_at_a_time_and_those_of_others_do_not_matter() {
        let at = Timestamp::from_millis;
        let mut slots = Slots::new();
        let taken = [at(5), at(5), at(6), at(5)].map(|wanted| slots.take(3, wanted));
        assert_eq!(taken, [5, 6, 7, 8].map(at));
        assert_eq!(slots.take(4, at(5)), at(5));
        slots.free(3, at(6));
        assert_eq!(slots.take(3, at(5)), at(6));
    }
}
