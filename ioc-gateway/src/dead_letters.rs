//! The newest dead letters, for people to look at.
//!
//! Arrives: each dead letter once it is durable, and again at a replay: they are records of the
//! inputs log, so this list needs no storage of its own. Leaves: copies, newest first. Bound:
//! [`DeadLetters::COUNT_MAX`]; for one more the oldest that was replayed is forgotten here (not in
//! the log), or else the oldest of all, and counted. Which of them were replayed is remembered with
//! them. Next: `replay.rs`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ioc_core::record::{DeadLetter, Seq};
use ioc_core::time::Timestamp;

/// The list: one for the process, shared by whoever notes and whoever shows.
#[derive(Debug, Clone, Default)]
pub struct DeadLetters(Arc<Mutex<Noted>>);

#[derive(Debug, Clone, Default)]
struct Noted {
    newest_last: VecDeque<Arc<NotedLetter>>,
    /// Which of them were replayed.
    replayed: BTreeSet<Seq>,
    total: u64,
}

/// A dead letter as it was noted. The fields are those of [`DeadLetter`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the record")]
pub struct NotedLetter {
    /// The number of its record.
    pub seq: Seq,
    /// When it was received, in logical time.
    pub at: Timestamp,
    pub source: Box<str>,
    pub topic: Box<str>,
    pub reason: Box<str>,
    pub detail: Box<str>,
    pub payload: Box<[u8]>,
    pub payload_bytes: u32,
    pub place: Box<str>,
    pub content_type: Box<str>,
    pub event: Box<str>,
}

impl Noted {
    /// Forgets one: the oldest that was replayed, for nobody waits for it any more; or the oldest.
    fn make_room(&mut self) {
        let replayed = self.replayed.pop_first();
        let place = replayed.and_then(|replayed| self.place(replayed));
        self.newest_last.remove(place.unwrap_or(0));
    }

    fn place(&self, seq: Seq) -> Option<usize> {
        let kept = &self.newest_last;
        kept.binary_search_by_key(&seq, |kept| kept.seq).ok()
    }
}

impl NotedLetter {
    /// The letter as its record has it.
    pub fn record(&self) -> DeadLetter<'_> {
        DeadLetter {
            source: &self.source,
            topic: &self.topic,
            reason: &self.reason,
            detail: &self.detail,
            payload: &self.payload,
            payload_bytes: self.payload_bytes,
            place: &self.place,
            content_type: &self.content_type,
            event: &self.event,
        }
    }

    /// Whether less is kept than the message, so that it cannot be read again.
    pub fn is_cut(&self) -> bool {
        self.payload.len() < self.payload_bytes as usize
    }
}

impl DeadLetters {
    /// How many are kept.
    pub const COUNT_MAX: usize = 1000;

    /// A list of its own, with what is in this one.
    pub fn copy(&self) -> Self {
        self.with(|noted| Self(Arc::new(Mutex::new(noted.clone()))))
    }

    /// Notes one. In the order of their numbers.
    pub fn note(&self, seq: Seq, at: Timestamp, letter: &DeadLetter<'_>) {
        self.keep(seq, at, letter);
        self.with(|noted| noted.total += 1);
    }

    /// Goes on from what a snapshot kept: one of the newest, which is counted in the total.
    pub fn restore(&self, seq: Seq, at: Timestamp, letter: &DeadLetter<'_>) {
        self.keep(seq, at, letter);
    }

    /// Goes on from how many a snapshot says were noted.
    pub fn restore_total(&self, total: u64) {
        self.with(|noted| noted.total = total);
    }

    fn keep(&self, seq: Seq, at: Timestamp, letter: &DeadLetter<'_>) {
        let letter = Arc::new(NotedLetter {
            seq,
            at,
            source: letter.source.into(),
            topic: letter.topic.into(),
            reason: letter.reason.into(),
            detail: letter.detail.into(),
            payload: letter.payload.into(),
            payload_bytes: letter.payload_bytes,
            place: letter.place.into(),
            content_type: letter.content_type.into(),
            event: letter.event.into(),
        });
        self.with(|noted| {
            if noted.newest_last.len() == Self::COUNT_MAX {
                noted.make_room();
            }
            noted.newest_last.push_back(letter);
        });
    }

    /// Notes that a letter was replayed, if it is still here.
    pub fn note_replayed(&self, letter: Seq) {
        self.with(|noted| {
            if noted.place(letter).is_some() {
                noted.replayed.insert(letter);
            }
        });
    }

    /// Whether a letter was replayed, or is about to be.
    pub fn is_replayed(&self, letter: Seq) -> bool {
        self.with(|noted| noted.replayed.contains(&letter))
    }

    /// The newest, newest first.
    pub fn newest(&self, limit: usize) -> Vec<Arc<NotedLetter>> {
        self.with(|noted| {
            noted
                .newest_last
                .iter()
                .rev()
                .take(limit)
                .cloned()
                .collect()
        })
    }

    /// How many were noted, with those that are forgotten.
    pub fn total(&self) -> u64 {
        self.with(|noted| noted.total)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Noted) -> T) -> T {
        // A panic while it was held cannot have left the list in a bad state.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(detail: &str) -> DeadLetter<'_> {
        DeadLetter {
            source: "http",
            topic: "/api/v1/readings",
            reason: "value_missing",
            detail,
            payload: b"{}",
            payload_bytes: 2,
            ..DeadLetter::default()
        }
    }

    #[test]
    fn a_letter_that_was_replayed_is_remembered_as_long_as_it_is_kept() {
        let letters = DeadLetters::default();
        let note = |seq| letters.note(seq, Timestamp::default(), &letter("none"));
        (1..=3).for_each(note);
        [2, 7].iter().for_each(|seq| letters.note_replayed(*seq));
        assert_eq!(
            [1, 2, 3, 7].map(|seq| letters.is_replayed(seq)),
            [false, true, false, false]
        );
        let count = DeadLetters::COUNT_MAX as u64;
        (4..=count + 1).for_each(note);
        assert!(!letters.is_replayed(2), "it is forgotten with its letter");
        let oldest = |letters: &DeadLetters| letters.newest(usize::MAX).last().unwrap().seq;
        assert_eq!(
            oldest(&letters),
            1,
            "who waits stays for one that was replayed"
        );
        note(count + 2);
        assert_eq!(oldest(&letters), 3, "none was replayed");
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_are_forgotten() {
        let letters = DeadLetters::default();
        let count = DeadLetters::COUNT_MAX as u64 + 5;
        for seq in 1..=count {
            letters.note(
                seq,
                Timestamp::from_millis(seq as i64),
                &letter("value is left out"),
            );
        }
        assert_eq!(letters.total(), count);
        let seqs: Vec<_> = letters.newest(3).iter().map(|letter| letter.seq).collect();
        assert_eq!(seqs, [count, count - 1, count - 2]);
        let all = letters.newest(usize::MAX);
        assert_eq!(all.len(), DeadLetters::COUNT_MAX);
        assert_eq!(all.last().unwrap().seq, 6);
    }
}
