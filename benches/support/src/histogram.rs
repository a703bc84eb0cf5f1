//! Percentiles of durations, in a fixed amount of memory.
//!
//! Buckets grow with the value: 64 to each doubling, so a percentile is told at most 1.6 % too high
//! and never too low.

use std::time::Duration;

/// Buckets to each doubling, as a power of two.
const SUB_BITS: u32 = 6;
const SUBS: u64 = 1 << SUB_BITS;

/// How often each duration was seen.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; (u64::BITS - SUB_BITS + 1) as usize * SUBS as usize],
            total: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        self.record_many(duration, 1);
    }

    /// Counts one duration so many times.
    pub fn record_many(&mut self, duration: Duration, times: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += times;
        self.total += times;
        self.max = self.max.max(nanos);
    }

    /// How many were counted.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The longest.
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The least duration that this part of all (0.5, 0.99) does not exceed; zero if there are none.
    pub fn percentile(&self, part: f64) -> Duration {
        let wanted = ((self.total as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(bucket).min(self.max));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < SUBS {
        return nanos as usize;
    }
    let doublings = nanos.ilog2() - SUB_BITS;
    let sub = (nanos >> doublings) - SUBS;
    ((u64::from(doublings) + 1) * SUBS + sub) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUBS {
        return bucket;
    }
    let (doublings, sub) = (bucket / SUBS - 1, bucket % SUBS);
    ((SUBS + sub) << doublings) + ((1 << doublings) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_is_hardly_wider_than_it() {
        for nanos in (0..5000).chain([u64::MAX, u64::MAX / 3, 1 << 40]) {
            let top = upper(bucket(nanos));
            assert!(
                top >= nanos && (top - nanos) as f64 <= nanos as f64 / 64.0,
                "{nanos}: {top}"
            );
            assert_eq!(bucket(top), bucket(nanos));
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), Duration::ZERO);
        (1..=100).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        let near = |part, micros: u64| {
            let told = histogram.percentile(part).as_nanos() as f64 / 1e3;
            assert!(
                told >= micros as f64 && told < micros as f64 * 1.02,
                "{part}: {told}"
            );
        };
        near(0.5, 50);
        near(0.99, 99);
        assert_eq!(histogram.percentile(1.0), Duration::from_micros(100));
        assert_eq!(
            (histogram.count(), histogram.max()),
            (100, Duration::from_micros(100))
        );
    }
}
