//! Which readings of a source are evidence already: a reading is evidence of an incident once.
//!
//! Arrives: the number of the record that brought each reading. Leaves: whether it was there
//! before. A reading comes again when another detection rule takes it too: in the same record, or
//! later out of what that rule's persistence waited with, which may be older than all that is here.
//!
//! Promise: no reading is new twice. The last ones are known exactly; of those between the first
//! and the last that is forgotten each is taken to be there, for most are. Next: `book.rs`.

use std::collections::VecDeque;

use crate::codec::{CodecError, Put, Take};
use crate::record::Seq;

/// The readings of one source, or of several, that are evidence.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// In order.
    last: VecDeque<Seq>,
    /// The first and the last of those that are not remembered one by one.
    forgotten: Option<(Seq, Seq)>,
}

impl Taken {
    /// Whether a reading is among them.
    pub fn has(&self, seq: Seq) -> bool {
        let forgotten = self.forgotten;
        forgotten.is_some_and(|(from, to)| (from..=to).contains(&seq))
            || self.last.binary_search(&seq).is_ok()
    }

    /// The newest of them.
    pub fn newest(&self) -> Option<Seq> {
        let forgotten = self.forgotten.map(|(_, to)| to);
        self.last.back().copied().max(forgotten)
    }

    /// Takes a reading in, and remembers at most `max` of them one by one.
    pub fn insert(&mut self, seq: Seq, max: usize) {
        match self.last.back() {
            Some(&last) if seq <= last => {
                if let Err(place) = self.last.binary_search(&seq) {
                    self.last.insert(place, seq);
                }
            }
            Some(_) | None => self.last.push_back(seq),
        }
        if self.last.len() > max
            && let Some(first) = self.last.pop_front()
        {
            self.forget(first, first);
        }
    }

    /// Takes in all of another.
    pub fn extend(&mut self, other: &Self, max: usize) {
        if let Some((from, to)) = other.forgotten {
            self.forget(from, to);
        }
        other.last.iter().for_each(|&seq| self.insert(seq, max));
    }

    fn forget(&mut self, from: Seq, to: Seq) {
        let (own_from, own_to) = self.forgotten.unwrap_or((from, to));
        self.forgotten = Some((own_from.min(from), own_to.max(to)));
    }

    /// Puts the whole state.
    pub fn put(&self, out: &mut impl Put) {
        out.put_option(self.forgotten, |out, (from, to)| {
            out.put_u64(from);
            out.put_u64(to);
        });
        out.put_count(self.last.len());
        self.last.iter().for_each(|&seq| out.put_u64(seq));
    }

    /// The readings as they were put, at most `max` of them one by one.
    pub fn take(take: &mut Take<'_>, max: usize) -> Result<Self, CodecError> {
        let forgotten = take.option(|take| Ok((take.u64()?, take.u64()?)))?;
        let count = take.count(max)?;
        let last = take.each(count, Take::u64)?;
        if !last.is_sorted_by(|one, next| one < next) {
            return Err(CodecError("readings are not in order"));
        }
        Ok(Self {
            last: last.into(),
            forgotten,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_came_before_the_first_is_not_there() {
        let mut taken = Taken::default();
        (100..300).for_each(|seq| taken.insert(seq, 64));
        assert!(!taken.has(99) && taken.has(100) && taken.has(299) && !taken.has(300));
        taken.insert(50, 64);
        assert!(taken.has(50));
    }

    proptest! {
        #[test]
        fn what_was_taken_in_is_there_and_what_is_remembered_is_exact(
            seqs in proptest::collection::vec(1..400u64, 0..100), max in 1..50usize,
        ) {
            let mut taken = Taken::default();
            seqs.iter().for_each(|&seq| taken.insert(seq, max));
            prop_assert!(taken.last.len() <= max && taken.last.iter().is_sorted());
            let mut bytes = Vec::new();
            taken.put(&mut bytes);
            prop_assert_eq!(Taken::take(&mut Take(&bytes), max), Ok(taken.clone()));
            prop_assert!(seqs.iter().all(|&seq| taken.has(seq)));
            let known = taken.forgotten.is_none();
            prop_assert!(!known || (1..400).all(|seq| taken.has(seq) == seqs.contains(&seq)));
        }
    }
}
