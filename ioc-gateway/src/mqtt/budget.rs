//! What all connections together hold in memory, and who is closed when it is too much.
//!
//! Arrives: what each connection holds: received and not taken, decoded and not handed over, not
//! written, waiting in its queue, and its will. Leaves: to a connection, that it is to end.
//! Promise: when the bound is passed, those that hold most are closed first, as many as it takes;
//! of those that hold the same, the one that came last. Nobody else is disturbed, or read more
//! slowly. Less than [`STEP`] of a connection is not looked at, so that small messages cost
//! nothing; nor is the spare room of its buffers.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dashmap::DashMap;
use tokio::sync::Notify;

/// In what steps it is counted what a connection holds.
const STEP: usize = 4096;

/// What all connections together may hold.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    held: AtomicUsize,
    next: AtomicU64,
    by_number: DashMap<u64, Arc<Holding>>,
    /// Held by who looks for those to close: one is enough.
    closing: Mutex<()>,
}

/// What one connection holds.
#[derive(Debug)]
pub(super) struct Holding {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
    is_closing: AtomicBool,
    close: Notify,
}

/// A connection's account, settled when dropped.
#[derive(Debug)]
pub(super) struct Account {
    number: u64,
    /// What it was last said to hold itself.
    own: Share,
}

/// What one part of a connection holds, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    holding: Arc<Holding>,
    bytes: usize,
}

impl Budget {
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            held: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            by_number: DashMap::new(),
            closing: Mutex::new(()),
        })
    }

    /// An account for a new connection.
    pub fn open(self: &Arc<Self>) -> Account {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let holding = Arc::new(Holding {
            budget: Arc::clone(self),
            bytes: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
            close: Notify::new(),
        });
        self.by_number.insert(number, Arc::clone(&holding));
        let own = holding.share();
        Account { number, own }
    }

    fn is_passed(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.bytes_max
    }

    /// Tells as many connections to end as it takes, those that hold most first.
    fn close_worst(&self) {
        let Ok(_closing) = self.closing.try_lock() else {
            return;
        };
        let mut staying = Vec::new();
        let mut held = 0;
        for entry in &self.by_number {
            let bytes = entry.bytes.load(Ordering::Relaxed);
            if bytes > 0 && !entry.is_closing.load(Ordering::Relaxed) {
                held += bytes;
                staying.push((bytes, *entry.key()));
            }
        }
        staying.sort_unstable_by_key(|held| Reverse(*held));
        for (bytes, number) in staying {
            if held <= self.bytes_max {
                return;
            }
            held -= bytes;
            if let Some(holding) = self.by_number.get(&number) {
                holding.is_closing.store(true, Ordering::Relaxed);
                holding.close.notify_one();
            }
        }
    }
}

impl Holding {
    /// For what a part of the connection holds, and counts itself.
    pub fn share(self: &Arc<Self>) -> Share {
        Share {
            holding: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Waits until the connection is to end.
    pub async fn closed(&self) {
        self.close.notified().await;
    }

    /// It holds so many bytes more.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        if self.budget.is_passed() {
            self.budget.close_worst();
        }
    }

    /// It holds so many bytes less, all of which were added.
    pub fn subtract(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Account {
    /// For what others put into its queue.
    pub fn holding(&self) -> Arc<Holding> {
        Arc::clone(&self.own.holding)
    }

    /// Says how much the connection holds itself.
    #[inline]
    pub fn set(&mut self, bytes: usize) {
        self.own.set(bytes);
    }

    /// Waits until the connection is to end.
    pub async fn closed(&self) {
        self.own.holding.closed().await;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.own.holding.budget.by_number.remove(&self.number);
    }
}

impl Share {
    /// Says how much that part holds.
    #[inline]
    pub fn set(&mut self, bytes: usize) {
        let bytes = bytes - bytes % STEP;
        if bytes != self.bytes {
            self.change(bytes);
        }
    }

    fn change(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        match bytes.checked_sub(before) {
            Some(more) => self.holding.add(more),
            None => self.holding.subtract(before - bytes),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_closed(account: &Account) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        pin!(account.closed()).poll(context).is_ready()
    }

    #[test]
    fn p5_those_that_hold_most_are_closed_first_and_no_more_than_it_takes() {
        let budget = Budget::new(10 * STEP);
        let mut accounts: Vec<_> = (0..4).map(|_| budget.open()).collect();
        for (account, steps) in accounts.iter_mut().zip([3, 4, 2, 1]) {
            account.set(steps * STEP + 1);
        }
        assert!(!accounts.iter().any(is_closed), "as much as may be");
        accounts[3].set(2 * STEP);
        let closed: Vec<_> = accounts.iter().map(is_closed).collect();
        assert_eq!(closed, [false, true, false, false]);
        // It is not told twice, nor others for what it has not yet given back.
        accounts[2].set(3 * STEP);
        assert!(!accounts.iter().any(is_closed));
        drop(accounts.remove(1));
        assert_eq!(budget.held.load(Ordering::Relaxed), 8 * STEP);
        // Of two that hold the same, the one that came last.
        accounts[2].set(5 * STEP);
        let closed: Vec<_> = accounts.iter().map(is_closed).collect();
        assert_eq!(closed, [false, false, true]);
        drop(accounts);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
        assert!(budget.by_number.is_empty());
    }

    #[test]
    fn what_others_put_into_its_queue_counts() {
        let budget = Budget::new(STEP);
        let mut account = budget.open();
        let queue = account.holding();
        account.set(STEP);
        queue.add(1);
        assert!(is_closed(&account));
        queue.subtract(1);
        drop(account);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
