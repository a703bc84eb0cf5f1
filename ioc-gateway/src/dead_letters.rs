//! The newest dead letters, for people to look at.
//!
//! Arrives: each dead letter once it is durable, and again at a replay: they are records of the
//! inputs log, so this list needs no storage of its own. Leaves: copies, newest first, with the
//! beginnings of long messages. Bound: [`DeadLetters::COUNT_MAX`]; for one more the oldest that was
//! replayed is forgotten here (not in the log, which is what is replayed), or else the oldest of
//! all, and counted. Which of them were replayed is remembered with them. Next: `replay.rs`.

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
    /// Of no bytes.
    whole: LastWhole,
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
    /// Of one that is listed, the beginning. The letters of one message share it.
    pub payload: Arc<[u8]>,
    pub payload_bytes: u32,
    pub place: Box<str>,
    pub content_type: Box<str>,
    pub event: Box<str>,
    /// Whether all of the message is in the log, so that it can be read again: with the letter, or
    /// with the first of those of the same message.
    pub is_whole: bool,
}

/// The message of which the last part came that kept it as a whole. Parts of it that come behind
/// keep just themselves: letters of one message stand one after another.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastWhole(Option<NotedLetter>);

impl LastWhole {
    /// Looks at the next letter. Returns the message that it is a part of, if it keeps just itself
    /// and the one before it of the same message does more.
    pub fn of(&mut self, letter: &DeadLetter<'_>, payload_kept: usize) -> Option<&NotedLetter> {
        if letter.is_whole() {
            if !letter.place.is_empty() {
                let kept = &letter.payload[..payload_kept.min(letter.payload.len())];
                self.0 = Some(NotedLetter::of(0, Timestamp::default(), letter, kept));
            }
            return None;
        }
        let is_of = |whole: &&NotedLetter| {
            !letter.place.is_empty()
                && *whole.source == *letter.source
                && *whole.topic == *letter.topic
                && whole.payload_bytes == letter.payload_bytes
                && *whole.content_type == *letter.content_type
                && *whole.event == *letter.event
        };
        self.0.as_ref().filter(is_of)
    }
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
    /// A letter with this of its message.
    pub(crate) fn of(seq: Seq, at: Timestamp, letter: &DeadLetter<'_>, payload: &[u8]) -> Self {
        Self {
            seq,
            at,
            source: letter.source.into(),
            topic: letter.topic.into(),
            reason: letter.reason.into(),
            detail: letter.detail.into(),
            payload: payload.into(),
            payload_bytes: letter.payload_bytes,
            place: letter.place.into(),
            content_type: letter.content_type.into(),
            event: letter.event.into(),
            is_whole: letter.is_whole(),
        }
    }

    /// The letter as its record has it, but for what of the message is not listed.
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
        let shown = letter.payload.len().min(DeadLetter::BEGINNING_BYTES_MAX);
        let mut own = NotedLetter::of(seq, at, letter, &letter.payload[..shown]);
        self.with(|noted| {
            own.is_whole |= noted.whole.of(letter, 0).is_some();
            noted.total += 1;
        });
        self.keep(own);
    }

    /// Goes on from what a snapshot kept: one of the newest, which is counted in the total.
    /// `is_whole` as in [`NotedLetter::is_whole`].
    pub fn restore(&self, seq: Seq, at: Timestamp, letter: &DeadLetter<'_>, is_whole: bool) {
        let own = NotedLetter::of(seq, at, letter, letter.payload);
        self.keep(NotedLetter { is_whole, ..own });
    }

    /// Goes on from how many a snapshot says were noted.
    pub fn restore_total(&self, total: u64) {
        self.with(|noted| noted.total = total);
    }

    fn keep(&self, letter: NotedLetter) {
        self.with(|noted| {
            if noted.newest_last.len() == Self::COUNT_MAX {
                noted.make_room();
            }
            noted.newest_last.push_back(Arc::new(letter));
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

    /// Whether a letter of the list was replayed, or is about to be.
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
    fn a_long_message_is_listed_by_its_beginning_and_is_whole_in_the_log() {
        let letters = DeadLetters::default();
        let message = vec![b' '; DeadLetter::BEGINNING_BYTES_MAX + 1];
        let of = |place, payload| DeadLetter {
            payload,
            payload_bytes: message.len() as u32,
            place,
            ..letter("none")
        };
        let other = DeadLetter {
            topic: "elsewhere",
            ..of("/2", b"{}")
        };
        let parts = [
            of("/0", b"{}"),
            of("/1", &message),
            of("/2", b"{}"),
            other,
            of("", &message),
            of("", b"{}"),
        ];
        for (seq, part) in (1..).zip(&parts) {
            letters.note(seq, Timestamp::default(), part);
        }
        let listed = letters.newest(usize::MAX);
        let whole: Vec<_> = listed.iter().rev().map(|letter| letter.is_whole).collect();
        assert_eq!(whole, [false, true, true, false, true, false]);
        let longest = listed.iter().map(|letter| letter.payload.len()).max();
        assert_eq!(longest, Some(DeadLetter::BEGINNING_BYTES_MAX));
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
