//! The numbered decisions of late, in a bounded ring that every session reads at its own pace.
//!
//! Arrives: released decisions, from the host alone, through `keeper.rs`. Leaves: [`Batch`]es, shared, each with the
//! frame that an unfiltered session sends as it is. Promise: whoever resumes at a number gets every
//! decision after it, or is told why a snapshot is needed (P4); a session holds no queue, only its
//! number, so a slow one costs nothing (P5). Next: `view.rs`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use ioc_core::decision::{Decision, DecisionHash, DecisionSeq, Released, Verdict};
use ioc_core::id::IncidentId;
use ioc_core::time::Timestamp;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::frame::{self, Resume};
use crate::wire::{self, decision_json};

/// A decision on its way out: with the hash up to it and its JSON, made once.
#[derive(Debug, Clone)]
pub struct Published {
    /// The decision.
    pub decision: Arc<Decision>,
    /// The rolling hash up to and including it.
    pub hash: DecisionHash,
    /// Its JSON, on one line.
    pub json: Bytes,
}

impl Published {
    /// Serialises a released decision.
    pub fn new(released: Released) -> Self {
        Self {
            json: decision_json(&released.decision),
            decision: released.decision,
            hash: released.hash,
        }
    }
}

/// A point in the stream of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The number of the last decision; 0 before the first.
    pub seq: DecisionSeq,
    /// The rolling hash up to it.
    pub hash: DecisionHash,
    /// When it was decided, in logical time.
    pub at: Timestamp,
}

/// A decision in the ring.
#[derive(Debug)]
pub(crate) struct Entry {
    pub decision: Arc<Decision>,
    pub hash: DecisionHash,
    /// A part of the batch's frame.
    pub json: Bytes,
    /// Whether a slow session keeps it: everything but an update that makes nothing graver.
    pub control: bool,
}

impl Entry {
    fn head(&self) -> Head {
        Head {
            seq: self.decision.seq,
            hash: self.hash,
            at: self.decision.at,
        }
    }
}

/// Consecutive decisions, with the frame that holds them. Never empty.
#[derive(Debug)]
pub(crate) struct Batch {
    entries: Vec<Entry>,
    frame: Utf8Bytes,
}

impl Batch {
    /// The most decisions in one batch: what the ring lets go at once.
    pub(crate) const DECISIONS_MAX: usize = 256;
    /// A batch with more bytes takes no further decision.
    pub(crate) const BYTES_MAX: usize = 256 << 10;

    /// Joins the decisions' JSON into one frame, of which each entry keeps its part.
    ///
    /// Precondition: there is at least one, and their numbers are consecutive.
    pub(crate) fn new(mut entries: Vec<Entry>) -> Self {
        let (from, to) = (&entries[0], &entries[entries.len() - 1]);
        let mut text = frame::open_frame(from.decision.seq, to.head());
        let mut places = Vec::with_capacity(entries.len());
        for entry in &entries {
            if !places.is_empty() {
                text.push(b',');
            }
            let start = text.len();
            text.extend_from_slice(&entry.json);
            places.push(start..text.len());
        }
        text.extend_from_slice(frame::CLOSE_FRAME);
        let text = Bytes::from(text);
        for (entry, place) in entries.iter_mut().zip(places) {
            entry.json = text.slice(place);
        }
        let frame = Utf8Bytes::try_from(text).expect("JSON is UTF-8");
        Self { entries, frame }
    }

    /// The whole batch as one frame.
    pub(crate) const fn frame(&self) -> &Utf8Bytes {
        &self.frame
    }

    pub(crate) fn first(&self) -> DecisionSeq {
        self.entries[0].decision.seq
    }

    pub(crate) fn head(&self) -> Head {
        self.entries[self.entries.len() - 1].head()
    }

    /// The decisions after this number.
    pub(crate) fn after(&self, seq: DecisionSeq) -> &[Entry] {
        let known = (seq + 1).saturating_sub(self.first()) as usize;
        &self.entries[known.min(self.entries.len())..]
    }
}

/// Why a console gets a snapshot rather than the decisions since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotReason {
    /// It did not ask to resume.
    First,
    /// Its number belongs to another journal.
    EpochChanged,
    /// Another decision has its number now: a backup was restored.
    HashDiffers,
    /// The ring does not reach back so far.
    TooOld,
    /// It knows more than we do.
    Ahead,
    /// It was connected, and too slow even for folded updates.
    Behind,
}

impl SnapshotReason {
    /// The reason as a stable word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::EpochChanged => "epoch_changed",
            Self::HashDiffers => "hash_differs",
            Self::TooOld => "too_old",
            Self::Ahead => "ahead",
            Self::Behind => "behind",
        }
    }
}

/// The ring, and the number of the newest decision as something to wait for.
#[derive(Debug)]
pub(crate) struct Feed {
    decisions_max: usize,
    ring: RwLock<Ring>,
    head: watch::Sender<Head>,
}

#[derive(Debug)]
struct Ring {
    batches: VecDeque<Arc<Batch>>,
    decisions: usize,
    /// The number and hash before the first batch, if that is known.
    before: Option<(DecisionSeq, DecisionHash)>,
}

impl Feed {
    /// An empty ring for so many decisions.
    pub(crate) fn new(decisions_max: usize) -> Self {
        let ring = Ring {
            batches: VecDeque::new(),
            decisions: 0,
            before: Some((0, DecisionHash::default())),
        };
        Self {
            decisions_max,
            ring: RwLock::new(ring),
            head: watch::Sender::new(Head::default()),
        }
    }

    /// Appends consecutive decisions, in as few batches as their bounds allow.
    pub(crate) fn push_all(&self, entries: Vec<Entry>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            bytes += entry.json.len();
            batch.push(entry);
            if batch.len() >= Batch::DECISIONS_MAX || bytes >= Batch::BYTES_MAX {
                self.push(Batch::new(std::mem::take(&mut batch)));
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.push(Batch::new(batch));
        }
    }

    /// Appends a batch and tells everybody who waits. Called by the host alone.
    pub(crate) fn push(&self, batch: Batch) {
        let head = batch.head();
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if ring.batches.is_empty() && batch.first() != ring.first() {
            ring.before = None;
        }
        ring.decisions += batch.entries.len();
        ring.batches.push_back(Arc::new(batch));
        ring.evict(self.decisions_max);
        drop(ring);
        self.head.send_replace(head);
    }

    /// Goes on after a decision that is not held. Before anything is pushed.
    pub(crate) fn restore(&self, head: Head) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.before = Some((head.seq, head.hash));
        drop(ring);
        self.head.send_replace(head);
    }

    /// The newest decision.
    pub(crate) fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// The newest decision, to wait for the next.
    pub(crate) fn watch(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Where a console goes on that knows `resume`, or why it cannot.
    pub(crate) fn resume(&self, epoch: &str, resume: &Resume) -> Result<Head, SnapshotReason> {
        if epoch.is_empty() || resume.epoch != epoch {
            return Err(SnapshotReason::EpochChanged);
        }
        let ring = self.ring();
        if resume.seq > ring.last() {
            return Err(SnapshotReason::Ahead);
        }
        let here = ring.head_at(resume.seq).ok_or(SnapshotReason::TooOld)?;
        if wire::parse_hash(&resume.hash) == Some(here.hash) {
            Ok(here)
        } else {
            Err(SnapshotReason::HashDiffers)
        }
    }

    /// The batches that hold the decisions after this number, oldest first, until they take more
    /// than `bytes_max` (at least one, if there is any). `None` if the ring does not reach back.
    pub(crate) fn since(&self, seq: DecisionSeq, bytes_max: usize) -> Option<Vec<Arc<Batch>>> {
        let ring = self.ring();
        if seq >= ring.last() {
            return Some(Vec::new());
        }
        if seq + 1 < ring.first() {
            return None;
        }
        let mut bytes = 0;
        let fits = |batch: &&Arc<Batch>| {
            let before = bytes;
            bytes += batch.frame.as_str().len();
            before < bytes_max
        };
        let start = ring.place_of(seq + 1);
        Some(
            ring.batches
                .range(start..)
                .take_while(fits)
                .cloned()
                .collect(),
        )
    }

    /// The newest decision, and the last batches: as many as hold `count` decisions, if there are.
    pub(crate) fn newest(&self, count: usize) -> (Head, Vec<Arc<Batch>>) {
        let ring = self.ring();
        let mut decisions = 0;
        let wanted = |batch: &&Arc<Batch>| {
            let before = decisions;
            decisions += batch.entries.len();
            before < count
        };
        let mut batches: Vec<_> = ring
            .batches
            .iter()
            .rev()
            .take_while(wanted)
            .cloned()
            .collect();
        batches.reverse();
        let head = batches.last().map(|batch| batch.head()).unwrap_or_default();
        (head, batches)
    }

    /// The decisions about an incident that the ring still holds: the newest `count_max`. Those
    /// that merged another incident into it are about it as well, and so is what was told of that
    /// before, but for plain updates: people have done it about what is one with it.
    pub(crate) fn about(&self, id: IncidentId, count_max: usize) -> About {
        let batches: Vec<_> = self.ring().batches.iter().cloned().collect();
        let mut about = About::default();
        let mut others = BTreeSet::new();
        for entry in batches.iter().rev().flat_map(|b| b.entries.iter().rev()) {
            let told_of = entry.decision.verdict.incident().map(|told| told.id);
            let of_another = told_of.is_some_and(|told| others.contains(&told));
            let merged = match &entry.decision.verdict {
                Verdict::IncidentMerged { incident, into } => Some((incident.id, *into)),
                _ => None,
            };
            let into_another = merged.is_some_and(|(_, into)| others.contains(&into));
            let of_another = into_another || of_another && entry.control;
            if !is_about(&entry.decision, id) && !of_another {
                continue;
            }
            // What is older was told of what has merged before it did.
            others.extend(merged.map(|(merged, _)| merged));
            if about.newest_first.len() < count_max {
                let decision = Arc::clone(&entry.decision);
                about.newest_first.push((decision, entry.json.clone()));
            } else {
                about.left_out += 1;
            }
        }
        about
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the ring knows about one incident.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// The decisions with their JSON.
    pub newest_first: Vec<(Arc<Decision>, Bytes)>,
    /// How many older ones there are beyond the bound.
    pub left_out: usize,
}

fn is_about(decision: &Decision, id: IncidentId) -> bool {
    let verdict = &decision.verdict;
    let own = verdict.incident().is_some_and(|own| own.id == id);
    let had = verdict.moved().is_some_and(|(_, from, _)| from == id);
    own || had || matches!(verdict, Verdict::IncidentMerged { into, .. } if *into == id)
}

impl Ring {
    fn evict(&mut self, decisions_max: usize) {
        while let Some(oldest) = self.batches.front() {
            if self.decisions - oldest.entries.len() < decisions_max {
                break;
            }
            self.decisions -= oldest.entries.len();
            let before = oldest.head();
            self.before = Some((before.seq, before.hash));
            self.batches.pop_front();
        }
    }

    /// The number of the oldest decision held; of the next, while there is none.
    fn first(&self) -> DecisionSeq {
        let next = || self.before.map_or(1, |(seq, _)| seq + 1);
        self.batches
            .front()
            .map_or_else(next, |batch| batch.first())
    }

    /// The number of the newest decision, held or not.
    fn last(&self) -> DecisionSeq {
        let before = || self.before.map_or(0, |(seq, _)| seq);
        self.batches
            .back()
            .map_or_else(before, |batch| batch.head().seq)
    }

    /// The index of the batch that holds this number, or of the first after it.
    fn place_of(&self, seq: DecisionSeq) -> usize {
        self.batches.partition_point(|batch| batch.head().seq < seq)
    }

    /// The point just after this number; `None` if its hash is not known any more.
    fn head_at(&self, seq: DecisionSeq) -> Option<Head> {
        if seq + 1 == self.first() {
            let (_, hash) = self.before?;
            let at = Timestamp::default();
            return Some(Head { seq, hash, at });
        }
        let batch = self.batches.get(self.place_of(seq))?;
        let index = seq.checked_sub(batch.first())? as usize;
        batch.entries.get(index).map(Entry::head)
    }
}

#[cfg(test)]
mod tests;
