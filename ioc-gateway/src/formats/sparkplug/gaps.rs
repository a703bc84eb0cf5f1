//! Edge nodes of which messages are missing, until it is time to ask for them.
//!
//! Arrives: that numbers are missing, since when. Leaves: the nodes that are to be looked at again,
//! though nothing more has come of them (section 5, Sparkplug Host Application Message Ordering: the
//! reorder timeout ends by itself). Kept with the connection that a node speaks over, for it is asked
//! there. Bound: [`GAPS_MAX`]; a node beyond it is asked when its next message comes.

use std::collections::VecDeque;

use ioc_core::time::Timestamp;
use tokio::time::{Duration, Instant};

use super::nodes::REORDER_WITHIN;

/// How many nodes of one connection are looked at again without a message of theirs.
pub const GAPS_MAX: usize = 1024;

/// The nodes of one connection, those first that are due first.
#[derive(Debug, Default)]
pub struct Gaps(VecDeque<Gap>);

/// A node of which something is missing.
#[derive(Debug)]
pub(super) struct Gap {
    pub node: Box<str>,
    /// Since when, by the clock that messages are timed by.
    pub since: Timestamp,
    /// When it is looked at again. By another clock: the other one may stand still meanwhile.
    due: Instant,
}

impl Gaps {
    /// From this moment on something is missing of a node.
    pub(super) fn begins(&mut self, node: &str, since: Timestamp) {
        if self.0.len() < GAPS_MAX {
            let within = u64::try_from(REORDER_WITHIN.0).expect("it is no negative time");
            self.0.push_back(Gap {
                node: node.into(),
                since,
                due: Instant::now() + Duration::from_millis(within),
            });
        }
    }

    /// When the next one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.front().map(|gap| gap.due)
    }

    /// The next one, if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Gap> {
        self.0.pop_front_if(|gap| gap.due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_no_more_gaps_are_kept_than_the_bound() {
        let mut gaps = Gaps::default();
        for number in 0..=GAPS_MAX {
            gaps.begins(&number.to_string(), Timestamp::default());
        }
        let due = gaps.due().unwrap();
        assert!(gaps.pop(due - Duration::from_millis(1)).is_none());
        assert_eq!(&*gaps.pop(due).unwrap().node, "0");
        let late = Instant::now() + Duration::from_secs(60);
        let others = std::iter::from_fn(|| gaps.pop(late)).count();
        assert_eq!(others, GAPS_MAX - 1);
    }
}
