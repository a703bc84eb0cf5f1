//! When messages of a stream that are durable are acknowledged: many with one word.
//!
//! Arrives: how many are durable, and how many are not. Leaves: whether to acknowledge now, or by
//! when. A server that takes an acknowledgement delivers nothing meanwhile, so under load there is one
//! for [`AT_ONCE`] messages instead of one for each sync of our disk. Promise: who has nothing more
//! under way acknowledges at once; nothing that is durable waits for longer than [`WITHIN`].

use std::time::Duration;

use tokio::time::Instant;

/// So many are acknowledged together while more are under way,
const AT_ONCE: u64 = 1024;
/// or as many as have become durable within so long.
const WITHIN: Duration = Duration::from_millis(10);

/// What of one connection is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Together {
    acknowledged: u64,
    /// Since when more is durable.
    since: Option<Instant>,
}

/// Whether there is something to acknowledge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Now,
    By(Instant),
}

impl Together {
    /// So many are durable, and so many are under way.
    pub fn due(&mut self, durable: u64, under_way: u64, now: Instant) -> Due {
        let count = durable - self.acknowledged;
        if count == 0 {
            return Due::Nothing;
        }
        let by = *self.since.get_or_insert(now) + WITHIN;
        if under_way == 0 || count >= AT_ONCE || now >= by {
            // Where that is not possible yet, it is tried again after a while.
            self.since = None;
            return Due::Now;
        }
        Due::By(by)
    }

    /// So many are acknowledged.
    pub const fn acknowledged(&mut self, durable: u64) {
        self.acknowledged = durable;
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_durable_is_acknowledged_when_nothing_more_comes_or_it_is_much_or_late() {
        let (mut together, began) = (Together::default(), Instant::now());
        let by = began + WITHIN;
        assert_eq!(together.due(0, 5, began), Due::Nothing);
        assert_eq!(together.due(5, 0, began), Due::Now);
        together.acknowledged(5);
        assert_eq!(together.due(5, 7, began), Due::Nothing);
        assert_eq!(together.due(6, 6, began), Due::By(by));
        assert_eq!(together.due(7, 5, began + WITHIN / 2), Due::By(by));
        assert_eq!(together.due(7, 5, by), Due::Now);
        together.acknowledged(7);
        let later = by + WITHIN;
        assert_eq!(together.due(8, 4, by), Due::By(later));
        assert_eq!(together.due(7 + AT_ONCE, 4, by), Due::Now);
    }

    #[test]
    fn what_could_not_be_acknowledged_is_tried_again() {
        let (mut together, began) = (Together::default(), Instant::now());
        assert_eq!(together.due(AT_ONCE, 5, began), Due::Now);
        assert_eq!(together.due(AT_ONCE, 5, began), Due::Now);
        together.acknowledged(AT_ONCE);
        let late = began + WITHIN;
        assert_eq!(together.due(AT_ONCE + 1, 5, began), Due::By(late));
        assert_eq!(together.due(AT_ONCE + 1, 5, late), Due::Now);
        assert_eq!(together.due(AT_ONCE + 1, 5, late), Due::By(late + WITHIN));
    }
}
