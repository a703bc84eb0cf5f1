//! Messages of a core subject that a subject before it should have got, too.
//!
//! Arrives: such messages. Leaves: whether each was heard there, or is ours. Nothing of a core subject comes
//! again, and a connection may have died unseen: so a message is kept here until the server has answered
//! the other reader's asking whether it is there, asked since: it sends in order, so what it had before has
//! come. Where the other's connection breaks first, the message is ours; what both have read then is known
//! again by its readings' ids, or is two readings where nothing in it says its time. Bound:
//! [`DOUBTED_BYTES_MAX`], beyond which the oldest are ours, too.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::earlier::Earlier;
use super::floor::Heard;
use super::wire::{Owned, Raw};

/// How many bytes of one subject may wait for the word of those before it.
pub(super) const DOUBTED_BYTES_MAX: usize = 16 << 20;

/// What waits, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Doubted {
    messages: VecDeque<One>,
    bytes: usize,
}

#[derive(Debug)]
struct One {
    message: Owned,
    /// Which of those before should have it,
    to: usize,
    /// and since when.
    came: Instant,
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Decided {
    /// The other has it.
    Heard,
    /// Nobody has it but us, as far as is known; and when it came.
    Ours(Owned, Instant),
}

impl Doubted {
    /// Keeps a message that came now.
    pub fn keep(&mut self, raw: Raw<'_>, to: usize, came: Instant) {
        let message = Owned::new(raw);
        self.bytes += message.held_bytes();
        self.messages.push_back(One { message, to, came });
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// What became of the first that waits, if that is known by now; else those before are asked.
    pub fn decide(&mut self, earlier: &Earlier) -> Option<Decided> {
        let first = self.messages.front_mut()?;
        let heard = loop {
            match earlier.heard(first.to, first.came) {
                // Another may have it, which had been there, too.
                Heard::No => match earlier.hears_else(first.message.raw().subject, first.came) {
                    Some(to) => first.to = to,
                    None => break false,
                },
                Heard::Yes => break true,
                Heard::Unknown if self.bytes > DOUBTED_BYTES_MAX => break false,
                Heard::Unknown => {
                    earlier.doubt(first.to);
                    return None;
                }
            }
        };
        let (message, came) = self.pop()?;
        Some(match heard {
            true => Decided::Heard,
            false => Decided::Ours(message, came),
        })
    }

    /// The first that waits, and when it came: nobody's word is waited for any longer.
    pub fn pop(&mut self) -> Option<(Owned, Instant)> {
        let One { message, came, .. } = self.messages.pop_front()?;
        self.bytes -= message.held_bytes();
        Some((message, came))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::floor::Floor;
    use super::*;

    fn raw(payload: &[u8]) -> Raw<'_> {
        Raw {
            subject: b"city.gauges.1",
            reply: b"",
            headers: b"",
            payload,
        }
    }

    /// Two subjects before `city.>`.
    fn two() -> ([Floor; 2], Earlier) {
        let floors = [Floor::kept(None), Floor::kept(None)];
        let subjects = ["city.gauges.*".to_owned(), "city.*.1".to_owned()];
        let earlier = Earlier::of("city.>", subjects.iter().zip(&floors));
        (floors, earlier)
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_should_have_is_ours_unless_its_server_has_answered_since() {
        let ([first, second], earlier) = two();
        first.opened(0);
        let later = async || {
            tokio::time::advance(Duration::from_millis(1)).await;
            Instant::now()
        };
        let mut doubted = Doubted::default();
        let before = later().await;
        for _ in 0..2 {
            let to = earlier.hears(b"city.gauges.1").unwrap();
            doubted.keep(raw(b"a"), to, later().await);
        }
        first.proven(before);
        assert!(doubted.decide(&earlier).is_none(), "asked before it came");
        // One that is not there when it came is no help.
        later().await;
        second.opened(0);
        let asked = later().await;
        first.proven(asked);
        assert!(matches!(doubted.decide(&earlier), Some(Decided::Heard)));
        assert!(matches!(doubted.decide(&earlier), Some(Decided::Heard)));
        let came = later().await;
        doubted.keep(raw(b"b"), 0, came);
        doubted.keep(raw(b"c"), 0, came);
        first.closed();
        assert!(doubted.decide(&earlier).is_none(), "the second may have it");
        second.proven(later().await);
        assert!(matches!(doubted.decide(&earlier), Some(Decided::Heard)));
        second.closed();
        let heard = doubted.decide(&earlier);
        assert!(
            matches!(heard, Some(Decided::Heard)),
            "it was before it broke"
        );
        let came = later().await;
        doubted.keep(raw(b"d"), 1, came);
        later().await;
        second.opened(0);
        let ours = doubted.decide(&earlier);
        let is_ours = matches!(ours, Some(Decided::Ours(_, at)) if at == came);
        assert!(is_ours, "it was not there");
        assert!(doubted.is_empty() && doubted.bytes == 0);
    }

    #[test]
    fn p5_what_waits_for_the_word_of_another_is_bounded() {
        let ([first, _], earlier) = two();
        first.opened(0);
        let (mut doubted, long) = (Doubted::default(), vec![b'x'; 1 << 20]);
        (0..20).for_each(|_| doubted.keep(raw(&long), 0, Instant::now()));
        while let Some(decided) = doubted.decide(&earlier) {
            assert!(matches!(decided, Decided::Ours(..)), "nobody knows");
        }
        assert_eq!(doubted.len(), 15, "of 1 MiB and its own size");
    }
}
