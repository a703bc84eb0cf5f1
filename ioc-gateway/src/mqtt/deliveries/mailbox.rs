//! The deliveries that wait for one connection to write them.
//!
//! Bound: [`Mailbox::PARCELS_MAX`]; then the oldest is lost, and told so; a reply is lost itself,
//! rather than a command for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::parcel::{Parcel, Sort};

/// One connection's mailbox: filled by whoever sends, emptied by the connection.
#[derive(Debug, Default)]
pub(in crate::mqtt) struct Mailbox(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    parcels: VecDeque<Taken>,
    waker: Option<Waker>,
}

/// A parcel, and in which quality it is granted.
#[derive(Debug, Clone)]
pub(in crate::mqtt) struct Taken {
    pub parcel: Arc<Parcel>,
    pub qos: u8,
}

impl Mailbox {
    /// How many parcels wait for one connection.
    pub const PARCELS_MAX: usize = 64;

    /// Puts one in, unless it is there; returns the one that is lost if there is no room.
    pub(super) fn put(&self, parcel: &Arc<Parcel>, qos: u8) -> Option<Arc<Parcel>> {
        let mut inside = self.lock();
        let is_there = |taken: &Taken| Arc::ptr_eq(&taken.parcel, parcel);
        if inside.parcels.iter().any(is_there) {
            return None;
        }
        let is_full = inside.parcels.len() == Self::PARCELS_MAX;
        if is_full && parcel.sort() == Sort::Reply {
            return Some(Arc::clone(parcel));
        }
        let oldest = if is_full {
            inside.parcels.pop_front()
        } else {
            None
        };
        inside.parcels.push_back(Taken {
            parcel: Arc::clone(parcel),
            qos,
        });
        if let Some(waker) = inside.waker.take() {
            waker.wake();
        }
        oldest.map(|taken| taken.parcel)
    }

    /// Takes the oldest out. One task only may wait.
    pub fn poll_take(&self, context: &Context<'_>) -> Poll<Taken> {
        let mut inside = self.lock();
        match inside.parcels.pop_front() {
            Some(taken) => Poll::Ready(taken),
            None => {
                inside.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Puts one back that was taken and not written.
    pub fn give_back(&self, taken: Taken) {
        self.lock().parcels.push_front(taken);
    }

    /// Takes all out.
    pub(super) fn empty(&self) -> VecDeque<Taken> {
        std::mem::take(&mut self.lock().parcels)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
