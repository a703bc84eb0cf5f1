//! Simulated time: it passes when the world says so.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ioc::clock::TimeSource;

/// When the simulated world begins: 2026-03-14T00:00:00Z.
const BEGINNING_US: i64 = 1_773_446_400_000_000;

/// Both clocks of the simulated machine.
#[derive(Debug)]
pub struct SimulatedTime {
    wall_us: AtomicI64,
    monotonic_us: AtomicU64,
}

impl Default for SimulatedTime {
    fn default() -> Self {
        Self {
            wall_us: AtomicI64::new(BEGINNING_US),
            monotonic_us: AtomicU64::new(0),
        }
    }
}

impl SimulatedTime {
    /// Time passes.
    pub fn pass(&self, span: Duration) {
        let us = span.as_micros() as u64;
        self.monotonic_us.fetch_add(us, Ordering::Relaxed);
        self.wall_us.fetch_add(us as i64, Ordering::Relaxed);
    }

    /// Somebody sets the wall clock.
    pub fn step_wall(&self, by_us: i64) {
        self.wall_us.fetch_add(by_us, Ordering::Relaxed);
    }

    /// How long the world has lasted, in microseconds.
    pub fn passed_us(&self) -> u64 {
        self.monotonic_us.load(Ordering::Relaxed)
    }
}

impl TimeSource for SimulatedTime {
    fn wall_us(&self) -> i64 {
        self.wall_us.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.passed_us())
    }
}
