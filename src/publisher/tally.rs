//! Counts of what was sent and acknowledged, and how long the acknowledgements took.
//!
//! Several connections add to one tally; a progress bar reads it meanwhile. Counters are
//! independent: a reader sees each as it is, not all at one instant.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What publishers did so far.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    resent: AtomicU64,
    lost: AtomicU64,
    latency: Latency,
}

impl Tally {
    /// Messages handed to a socket, each counted once.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Messages whose receiver says that it has them.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Messages sent again because a connection broke before they were acknowledged.
    pub fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    /// Messages that went down with a connection, where none are acknowledged (QoS 0).
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// How long acknowledgements took.
    pub const fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Counts messages handed to a socket.
    pub fn add_sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts messages sent again.
    pub fn add_resent(&self, count: u64) {
        self.resent.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts messages lost.
    pub fn add_lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts messages acknowledged, all after the same time.
    pub fn add_acknowledged(&self, count: u64, took: Duration) {
        self.acknowledged.fetch_add(count, Ordering::Relaxed);
        self.latency.add(took, count);
    }
}

const SUBDIVISIONS: usize = 16;
const BUCKETS: usize = 61 * SUBDIVISIONS;

/// A histogram of durations: sixteen buckets to each doubling of a microsecond, so that a
/// quantile is at most a sixteenth too high.
pub struct Latency([AtomicU64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

impl Latency {
    /// Adds a duration, so many times.
    pub fn add(&self, took: Duration, times: u64) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[bucket_of(us)].fetch_add(times, Ordering::Relaxed);
    }

    /// The duration that this share of all (0 to 1) did not exceed; `None` if there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.0.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(Duration::from_micros(highest_of(bucket)));
            }
        }
        None
    }
}

const fn bucket_of(us: u64) -> usize {
    if us < SUBDIVISIONS as u64 {
        return us as usize;
    }
    let doubling = us.ilog2() as usize;
    let within = (us >> (doubling - 4)) as usize % SUBDIVISIONS;
    (doubling - 3) * SUBDIVISIONS + within
}

const fn highest_of(bucket: usize) -> u64 {
    if bucket < SUBDIVISIONS {
        return bucket as u64;
    }
    let shift = bucket / SUBDIVISIONS - 1;
    let lowest = ((SUBDIVISIONS + bucket % SUBDIVISIONS) as u64) << shift;
    lowest + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_without_gap() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(highest_of(bucket)), bucket);
            assert_eq!(bucket_of(highest_of(bucket) + 1), bucket + 1);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_at_most_a_sixteenth_too_high() {
        let latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for us in 1..=1000 {
            latency.add(Duration::from_micros(us), 1);
        }
        for (share, exact) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latency.quantile(share).unwrap().as_micros() as f64;
            assert!(
                (exact..exact * 17.0 / 16.0 + 1.0).contains(&found),
                "{share}: {found}"
            );
        }
    }
}
