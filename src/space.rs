//! Room in the logs, reserved before the engine steps: what it judges must fit on the disk.
//!
//! Arrives: how much room each log has, as the journal's thread finds. Leaves: how large a batch
//! may be, by what is in it. Promise: what fits by this fits on the disk, whatever is under way;
//! the last of it is kept for people. When it runs out, readings wait at the door, unacknowledged;
//! further down ticks wait too (what is due fires with the next record); at the end orders are
//! refused with a reason. All goes on by itself when there is space again. Readings also wait
//! while the judgement for snapshots is left too far behind.
//! Not here: trying again and telling (see `writer.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::durable::Durable;
use crate::journal::{Ahead, BatchHeader, JournalError, Log, Room};
use crate::snapshots::follower::BEHIND_RECORDS_MAX;

/// How often those who wait for room look whether there is some.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a batch is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What the door let in: leaves the reserve of both logs alone.
    Reading,
    /// A timer that is due: leaves half of it alone.
    Tick,
    /// What a person orders: takes the inputs log's to the end. Of the decisions log's a quarter
    /// is left for what follows from the last of them.
    Order,
}

/// What both threads know.
#[derive(Debug)]
struct Shared {
    /// Up to which byte, counted from the start of the process, batches of inputs fit for certain.
    inputs_up_to: AtomicU64,
    /// How many bytes of decisions fit for certain.
    decisions: AtomicU64,
    full: AtomicBool,
}

/// The engine's end: asks, and counts what it has sent.
#[derive(Debug)]
pub struct Space {
    shared: Arc<Shared>,
    durable: Arc<Durable>,
    inputs_reserve: u64,
    decisions_reserve: u64,
    sent_bytes: u64,
}

/// The end of whoever writes: says how much room there is.
#[derive(Debug)]
pub struct Gauge {
    shared: Arc<Shared>,
    inputs_reserve: u64,
    decisions_reserve: u64,
    written_bytes: u64,
}

/// How short of space the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// The next segments are there.
    None,
    /// They cannot be made; what there is still takes readings.
    Near,
    /// Only the reserve is left: readings wait.
    Full,
}

/// Whether the disk is full, for those who are asked how the process is.
#[derive(Debug, Clone)]
pub struct FullSign(Arc<Shared>);

/// Both ends, for these logs as they stand.
pub fn space(
    inputs: &mut Log,
    decisions: &mut Log,
    durable: Arc<Durable>,
) -> Result<(Space, Gauge), JournalError> {
    let shared = Arc::new(Shared {
        inputs_up_to: AtomicU64::new(0),
        decisions: AtomicU64::new(0),
        full: AtomicBool::new(false),
    });
    let space = Space {
        shared: Arc::clone(&shared),
        inputs_reserve: inputs.reserve_bytes(),
        decisions_reserve: decisions.reserve_bytes(),
        sent_bytes: 0,
        durable,
    };
    let gauge = Gauge {
        shared,
        inputs_reserve: space.inputs_reserve,
        decisions_reserve: space.decisions_reserve,
        written_bytes: 0,
    };
    gauge.show(inputs.room()?, decisions.room()?);
    Ok((space, gauge))
}

impl Space {
    /// How many bytes a batch for this purpose may take, its header included.
    pub fn room(&self, purpose: Purpose) -> u64 {
        let (inputs_kept, decisions_kept) = match purpose {
            Purpose::Reading => (self.inputs_reserve, self.decisions_reserve),
            Purpose::Tick => (self.inputs_reserve / 2, self.decisions_reserve / 2),
            Purpose::Order => (0, self.decisions_reserve / 4),
        };
        if self.shared.decisions.load(Ordering::Acquire) < decisions_kept {
            return 0;
        }
        if purpose == Purpose::Reading && self.durable.behind() > BEHIND_RECORDS_MAX {
            return 0;
        }
        let up_to = self.shared.inputs_up_to.load(Ordering::Acquire);
        up_to.saturating_sub(self.sent_bytes + inputs_kept)
    }

    /// Says that a batch with so many bytes of records is on its way.
    pub fn sent(&mut self, payload_bytes: usize) {
        self.sent_bytes += batch_bytes(payload_bytes);
    }

    /// For those who are asked how the process is.
    pub fn sign(&self) -> FullSign {
        FullSign(Arc::clone(&self.shared))
    }
}

/// What a batch with so many bytes of records takes.
pub const fn batch_bytes(payload_bytes: usize) -> u64 {
    (BatchHeader::BYTES + payload_bytes) as u64
}

impl Gauge {
    /// Says that a batch with so many bytes of records is in the inputs log.
    pub fn written(&mut self, payload_bytes: usize) {
        self.written_bytes += batch_bytes(payload_bytes);
    }

    /// Says how much room there is now; returns how the next segments stand, the worse of the two,
    /// and how short of space that is. While they are being made, it is as short as it was.
    pub fn show(&self, inputs: Room, decisions: Room) -> (Ahead, Option<Shortage>) {
        let ahead = inputs.ahead.max(decisions.ahead);
        let up_to = self.written_bytes + inputs.bytes;
        self.shared.inputs_up_to.store(up_to, Ordering::Release);
        self.shared
            .decisions
            .store(decisions.bytes, Ordering::Release);
        let takes_readings = inputs.bytes > self.inputs_reserve + batch_bytes(0)
            && decisions.bytes >= self.decisions_reserve;
        let shortage = match ahead {
            Ahead::Made => Shortage::None,
            Ahead::Full if takes_readings => Shortage::Near,
            Ahead::Full => Shortage::Full,
            Ahead::Making => return (ahead, None),
        };
        let full = shortage == Shortage::Full;
        self.shared.full.store(full, Ordering::Release);
        (ahead, Some(shortage))
    }
}

impl FullSign {
    /// Whether readings wait because there is no space for a further segment.
    pub fn is_up(&self) -> bool {
        self.0.full.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_readings_wait_for_snapshots_that_are_left_too_far_behind_and_people_do_not() {
        let durable = Arc::new(Durable::default());
        let shared = Arc::new(Shared {
            inputs_up_to: AtomicU64::new(1000),
            decisions: AtomicU64::new(1000),
            full: AtomicBool::new(false),
        });
        let space = Space {
            shared,
            durable: Arc::clone(&durable),
            inputs_reserve: 100,
            decisions_reserve: 100,
            sent_bytes: 0,
        };
        let rooms = || [Purpose::Reading, Purpose::Tick, Purpose::Order].map(|of| space.room(of));
        durable.set_inputs(BEHIND_RECORDS_MAX + 1);
        assert_eq!(rooms(), [900, 950, 1000], "nobody follows");
        durable.set_followed(1);
        assert_eq!(rooms(), [900, 950, 1000]);
        durable.set_followed(0);
        assert_eq!(rooms(), [0, 950, 1000]);
        durable.stop_following();
        assert_eq!(
            rooms(),
            [900, 950, 1000],
            "what has failed is not waited for"
        );
    }
}
