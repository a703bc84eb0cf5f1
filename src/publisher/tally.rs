//! Counts of what was sent and acknowledged, and how long the acknowledgements took.
//!
//! Several connections add to one tally; a progress bar reads it meanwhile. Counters are
//! independent: a reader sees each as it is, not all at one instant.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::progress::span;

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

/// Buckets to each doubling, as a power of two.
const SUB_BITS: usize = 6;
const SUBDIVISIONS: usize = 1 << SUB_BITS;
const BUCKETS: usize = (u64::BITS as usize - SUB_BITS + 1) * SUBDIVISIONS;

/// A histogram of durations: 64 buckets to each doubling of a microsecond, so that a quantile is
/// at most one part in 64 too high, and never too low.
pub struct Latency {
    buckets: [AtomicU64; BUCKETS],
    max_us: AtomicU64,
}

/// How long acknowledgements took: what so many of a hundred did not exceed, and the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub p99_9: Duration,
    pub max: Duration,
}

impl Percentiles {
    const NAMES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

    const fn values(&self) -> [Duration; 5] {
        [self.p50, self.p90, self.p99, self.p99_9, self.max]
    }

    /// In microseconds.
    pub fn json(&self) -> Value {
        let us = |of: Duration| u64::try_from(of.as_micros()).unwrap_or(u64::MAX);
        let members = Self::NAMES.iter().zip(self.values());
        members
            .map(|(name, value)| (name.replace('.', "_"), Value::from(us(value))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl fmt::Display for Percentiles {
    /// Two lines, in columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "latency   ")?;
        for name in Self::NAMES {
            write!(f, "{name:>10}")?;
        }
        write!(f, "\n          ")?;
        for value in self.values() {
            write!(f, "{:>10}", span(value))?;
        }
        Ok(())
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            max_us: AtomicU64::new(0),
        }
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
        self.buckets[bucket_of(us)].fetch_add(times, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    /// All that is told of them; `None` if there are none.
    pub fn percentiles(&self) -> Option<Percentiles> {
        Some(Percentiles {
            p50: self.quantile(0.5)?,
            p90: self.quantile(0.9)?,
            p99: self.quantile(0.99)?,
            p99_9: self.quantile(0.999)?,
            max: self.max(),
        })
    }

    fn max(&self) -> Duration {
        Duration::from_micros(self.max_us.load(Ordering::Relaxed))
    }

    /// The duration that this share of all (0 to 1) did not exceed; `None` if there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|n| n.load(Ordering::Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(Duration::from_micros(highest_of(bucket)).min(self.max()));
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
    let within = (us >> (doubling - SUB_BITS)) as usize % SUBDIVISIONS;
    (doubling - SUB_BITS + 1) * SUBDIVISIONS + within
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
    fn quantiles_are_hardly_too_high_and_the_longest_is_exact() {
        let latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for us in 1..=1000 {
            latency.add(Duration::from_micros(us), 1);
        }
        for (share, exact) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latency.quantile(share).unwrap().as_micros() as f64;
            assert!(
                (exact..exact * 65.0 / 64.0 + 1.0).contains(&found),
                "{share}: {found}"
            );
        }
        latency.add(Duration::from_micros(123_457), 1);
        let told = latency.percentiles().unwrap();
        assert_eq!(told.max, Duration::from_micros(123_457));
        assert_eq!(told.json()["max"], 123_457);
        assert_eq!(told.json()["p99_9"], 1007, "the top of its bucket");
        assert_eq!(told.to_string().lines().count(), 2);
    }
}
