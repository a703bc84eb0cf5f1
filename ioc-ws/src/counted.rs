//! What counted of late, for whoever asks what a suppression would have hidden of it.
//!
//! Arrives: what the host's second judgement has noted of durable records ([`Noting`]), batch by
//! batch. Leaves: the newest of it, with since when and up to which record. Promise: nothing of it
//! is in any log; after a start it begins anew. Bounded: [`NOTED_MAX`], the oldest goes first. Next:
//! `preview.rs`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ioc_core::limits::NOTED_MAX;
use ioc_core::noted::{Noted, Noting};
use ioc_core::record::Seq;
use ioc_core::time::Timestamp;
use tokio::sync::watch;

/// What counted of late; clones are the same.
#[derive(Debug, Clone)]
pub struct Counted {
    held: Arc<Mutex<Held>>,
    through: watch::Sender<Seq>,
}

#[derive(Debug, Default)]
struct Held {
    noted: VecDeque<Arc<Noted>>,
    /// Since when all of it is held; `None` before there is anybody who notes.
    since: Option<Timestamp>,
    /// The time of the last record that it was noted of.
    at: Timestamp,
}

/// What counted between two times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    pub noted: Vec<Arc<Noted>>,
    /// Since when all of it is held.
    pub since: Option<Timestamp>,
    /// Up to when.
    pub at: Timestamp,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            held: Arc::default(),
            through: watch::Sender::new(0),
        }
    }
}

impl Counted {
    /// From here on it is noted what counts: after this record, which was at this time. Before the
    /// first record, at none.
    pub fn begin(&self, through: Seq, at: Timestamp) {
        let mut held = self.held();
        held.noted.clear();
        held.since = Some(match through {
            0 => Timestamp::MIN,
            _ => at,
        });
        held.at = at;
        drop(held);
        self.through.send_replace(through);
    }

    /// What counted of the records up to this one, which was at this time.
    pub fn note(&self, through: Seq, at: Timestamp, noting: Noting) {
        let Noting { noted, lost } = noting;
        let mut held = self.held();
        if lost > 0 {
            held.noted.clear();
            held.since = noted.first().map(|first| first.at).or(Some(at));
        }
        held.noted.extend(noted.into_iter().map(Arc::new));
        while held.noted.len() > NOTED_MAX {
            let gone = held.noted.pop_front().map(|gone| gone.at);
            held.since = gone.map(|gone| gone + ioc_core::time::Millis(1));
        }
        held.at = held.at.max(at);
        drop(held);
        self.through.send_replace(through);
    }

    /// Waits until this record is among what was noted, for at most so long; or not at all if nobody
    /// notes anything.
    pub(crate) async fn wait_for(&self, through: Seq, within: Duration) {
        if self.held().since.is_none() {
            return;
        }
        let mut reached = self.through.subscribe();
        let reached = reached.wait_for(|reached| *reached >= through);
        // Whoever is told is told up to when.
        let _ = tokio::time::timeout(within, reached).await;
    }

    /// What counted since then.
    pub(crate) fn look(&self, from: Timestamp) -> Look {
        let held = self.held();
        let since = held.noted.partition_point(|noted| noted.at < from);
        Look {
            noted: held.noted.range(since..).cloned().collect(),
            since: held.since,
            at: held.at,
        }
    }

    /// The last record that it was noted of.
    pub(crate) fn through(&self) -> Seq {
        *self.through.borrow()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
