//! When timers of silence are due, so that not all of a city's are at one instant.
//!
//! Arrives: when a sensor's timer is wanted. Leaves: when it is due: then, or the first millisecond
//! after it in which no other timer of its bucket is. Promise: part of no shard's business, for a
//! bucket is whole in one; so many sensors as there are buckets, and no more, are asked in one
//! millisecond whether they are silent. Follows from the sensors' timers: part of no digest.
//! Next: `silence.rs`.

use std::collections::BTreeSet;
use std::hint::black_box;

use crate::limits::SENSOR_BUCKETS;
use crate::time::{Millis, Timestamp};

/// The times at which timers of silence are due, by bucket.
#[derive(Debug)]
pub(super) struct Slots {
    buckets: Vec<Bucket>,
    /// How many times all were let go.
    generation: u64,
}

#[derive(Debug, Default)]
struct Bucket {
    generation: u64,
    taken: BTreeSet<Timestamp>,
    /// All times from the first to the last of these are taken: where many want the same, the
    /// next free one is looked for behind them.
    run: Option<(Timestamp, Timestamp)>,
}

impl Slots {
    pub fn new() -> Self {
        let buckets = (0..SENSOR_BUCKETS).map(|_| Bucket::default());
        Self {
            buckets: buckets.collect(),
            generation: 0,
        }
    }

    /// Lets all times go at once. The memory of each bucket is given back when it is next used.
    pub fn free_all(&mut self) {
        self.generation += 1;
    }

    /// Takes the first free time from the one that is wanted on.
    pub fn take(&mut self, bucket: usize, wanted: Timestamp) -> Timestamp {
        let bucket = self.bucket(bucket);
        let run = bucket
            .run
            .filter(|(from, to)| *from <= wanted && wanted <= *to);
        let mut due = run.map_or(wanted, |(_, to)| to + Millis(1));
        while !bucket.taken.insert(due) {
            due = due + Millis(1);
        }
        let from = run.map_or(wanted, |(from, _)| from);
        bucket.run = Some((from, due));
        due
    }

    /// A timer is due then, wherever others are.
    pub fn hold(&mut self, bucket: usize, due: Timestamp) {
        self.bucket(bucket).taken.insert(due);
    }

    /// The timer that was due then is no more.
    pub fn free(&mut self, bucket: usize, due: Timestamp) {
        let bucket = self.bucket(bucket);
        bucket.taken.remove(&due);
        bucket.run = bucket.run.filter(|(from, to)| due < *from || *to < due);
    }

    /// Reads a bucket, so that it is waited for beside others.
    pub fn look_at(&self, bucket: usize) {
        let bucket = &self.buckets[bucket];
        black_box(bucket.taken.first());
        black_box(bucket.taken.last());
    }

    fn bucket(&mut self, bucket: usize) -> &mut Bucket {
        let bucket = &mut self.buckets[bucket];
        if bucket.generation != self.generation {
            *bucket = Bucket {
                generation: self.generation,
                ..Bucket::default()
            };
        }
        bucket
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

    proptest::proptest! {
        #[test]
        fn what_is_taken_is_the_first_that_is_free_whatever_was_before(
            asked in proptest::collection::vec((0..4usize, 0..12i64), 1..80),
        ) {
            let mut slots = Slots::new();
            let mut taken = std::collections::BTreeSet::new();
            for (what, ms) in asked {
                let at = Timestamp::from_millis(ms);
                if what == 0 {
                    slots.free(7, at);
                    taken.remove(&ms);
                } else {
                    let free = (ms..).find(|ms| taken.insert(*ms)).unwrap();
                    proptest::prop_assert_eq!(slots.take(7, at), Timestamp::from_millis(free));
                }
            }
            slots.free_all();
            let again = Timestamp::from_millis(3);
            proptest::prop_assert_eq!(slots.take(7, again), again);
        }
    }
}
