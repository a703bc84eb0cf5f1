//! Log lines that strangers can cause, told sparingly.
//!
//! Arrives: that something happened which is worth a line. Leaves: whether the line may be written,
//! and how many before it were left out. Promise: whoever connects and misbehaves again and again
//! fills no disk with lines; what is left out is counted in the next line, and by metrics as ever.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many lines of one sort there are in a second.
const LINES_MAX: u64 = 10;

/// One sort of lines.
#[derive(Debug, Default)]
pub(crate) struct Sparing {
    /// The second, and how many lines were asked for in it.
    second: AtomicU64,
    asked: AtomicU64,
    left_out: AtomicU64,
}

impl Sparing {
    pub const fn new() -> Self {
        Self {
            second: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written now: then how many were left out since the last one.
    pub fn line(&self) -> Option<u64> {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.line_at(BEGAN.elapsed().as_secs())
    }

    /// The same, in this second. Threads that meet at its very beginning may write some lines more.
    fn line_at(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.asked.store(0, Ordering::Relaxed);
        }
        if self.asked.fetch_add(1, Ordering::Relaxed) >= LINES_MAX {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_of_many_lines_in_a_second_some_are_written_and_the_next_says_how_many_were_not() {
        let sparing = Sparing::new();
        let in_second = |second| (0..100).map(move |_| second);
        let written = in_second(1).filter_map(|second| sparing.line_at(second));
        let written: Vec<_> = written.collect();
        assert_eq!(written, vec![0; LINES_MAX as usize]);
        assert_eq!(sparing.line_at(2), Some(100 - LINES_MAX));
        assert_eq!(sparing.line_at(2), Some(0));
    }
}
