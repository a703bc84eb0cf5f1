//! What one connection handed over, and what of it is durable.
//!
//! Arrives: [`AckToken`]s that the host settles, in the order of each lane. Leaves: [`Counts`], a
//! watermark for each lane. Promise: no allocation, lock or future per message. A connection that
//! must acknowledge in order keeps, for each message, how many inputs of both lanes there were up
//! to it: all that is before the message is durable when both watermarks have come so far. Next:
//! `turns.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::DoorClosed;
use super::lane::{Counts, Lane, Lanes};

/// The promise to settle what a connection handed over in a lane, once it is durable.
///
/// Dropped without settling, it tells the connection that this will never be.
#[derive(Debug)]
pub struct AckToken {
    ledger: Arc<Ledger>,
    lane: Lane,
    upto: u64,
    settled: bool,
}

impl AckToken {
    pub(super) const fn new(ledger: Arc<Ledger>, lane: Lane, upto: u64) -> Self {
        Self {
            ledger,
            lane,
            upto,
            settled: false,
        }
    }

    /// Says that everything of its lane up to here is durable. In the order of handing over.
    pub fn settle(mut self) {
        self.settled = true;
        let settled = self.ledger.settled.of(self.lane);
        settled.fetch_max(self.upto, Ordering::Release);
        self.ledger.wake.notify_one();
    }
}

impl Drop for AckToken {
    fn drop(&mut self) {
        if !self.settled {
            self.ledger.abandoned.store(true, Ordering::Release);
            self.ledger.wake.notify_one();
        }
    }
}

/// What one connection handed over and what of it is durable: a counter for each lane. The
/// connection that owns it waits; the host settles.
#[derive(Debug, Default)]
pub struct Ledger {
    settled: Lanes<AtomicU64>,
    abandoned: AtomicBool,
    wake: Notify,
}

impl Ledger {
    /// How many inputs of this connection are durable, counted from its first.
    pub fn settled(&self) -> Counts {
        Lanes::each(|lane| self.settled.of(lane).load(Ordering::Acquire))
    }

    /// Waits until so many are durable.
    ///
    /// # Errors
    /// As [`Self::settled_beyond`].
    pub async fn settled_up_to(&self, counts: Counts) -> Result<(), DoorClosed> {
        let mut settled = self.settled();
        while !settled.cover(counts) {
            settled = self.settled_beyond(settled).await?;
        }
        Ok(())
    }

    /// Waits until more than `seen` are durable, in any lane; returns how many are. An error if
    /// the engine dropped some of them: what comes after those is never durable for this
    /// connection.
    ///
    /// No wake-up is lost between looking and waiting: [`Notify`] keeps one permit.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing: ask again. Only one task may wait on a ledger.
    pub async fn settled_beyond(&self, seen: Counts) -> Result<Counts, DoorClosed> {
        loop {
            let settled = self.settled();
            if !seen.cover(settled) {
                return Ok(settled);
            }
            if self.abandoned.load(Ordering::Acquire) {
                return Err(DoorClosed);
            }
            self.wake.notified().await;
        }
    }
}
