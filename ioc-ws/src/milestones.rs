//! How an incident came to be what it is: its opening and its control decisions, however long ago.
//!
//! Arrives: the decisions about one incident, in order, from the view. Leaves: those that the ring
//! may have let go of, as JSON. Promise: the opening stays for as long as the incident does; of
//! the control decisions the newest [`LATER_MAX`]; plain updates are only counted. Next: `rest.rs`.

use std::collections::VecDeque;

use bytes::Bytes;
use ioc_core::CodecError;
use ioc_core::codec::{Put, Take};
use ioc_core::decision::DecisionSeq;

use crate::saved::{put_long, take_json};

/// How many control decisions are kept beside the opening.
const LATER_MAX: usize = 32;

/// What is kept of the decisions about one incident.
#[derive(Debug, Clone, Default)]
pub(crate) struct Milestones {
    /// The first that was told about it.
    opening: Option<(DecisionSeq, Bytes)>,
    later: VecDeque<(DecisionSeq, Bytes)>,
    told: usize,
}

impl Milestones {
    /// Takes the next decision about the incident. `control` says that nobody may miss it.
    pub(crate) fn tell(&mut self, seq: DecisionSeq, json: &Bytes, control: bool) {
        self.told += 1;
        if self.opening.is_none() {
            self.opening = Some((seq, json.clone()));
        } else if control {
            if self.later.len() == LATER_MAX {
                self.later.pop_front();
            }
            self.later.push_back((seq, json.clone()));
        }
    }

    /// Takes what is kept of another incident that becomes part of this one.
    pub(crate) fn take_in(&mut self, other: &Self) {
        // How it opened is the first that makes room for what people did.
        let room = self.later.len() + other.later.len() < LATER_MAX;
        let opening = other.opening.iter().filter(|_| room);
        self.later.extend(opening.chain(&other.later).cloned());
        self.told += other.later.len() + usize::from(other.opening.is_some());
        self.later
            .make_contiguous()
            .sort_unstable_by_key(|(seq, _)| *seq);
        self.later
            .drain(..self.later.len().saturating_sub(LATER_MAX));
    }

    /// Puts all of it, for a snapshot.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.told as u64);
        let kept = self.opening.iter().chain(&self.later);
        out.put_u32(kept.clone().count() as u32);
        for (seq, json) in kept {
            out.put_u64(*seq);
            put_long(out, json);
        }
    }

    /// What was put.
    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let told = take.u64()? as usize;
        let mut kept = VecDeque::new();
        for _ in 0..take.u32()? {
            kept.push_back((take.u64()?, take_json(take)?));
        }
        Ok(Self {
            opening: kept.pop_front(),
            later: kept,
            told,
        })
    }

    /// How many decisions about it there have been.
    pub(crate) const fn told(&self) -> usize {
        self.told
    }

    /// Those before this number, oldest first.
    pub(crate) fn before(&self, seq: DecisionSeq) -> impl Iterator<Item = &Bytes> {
        let opened = self.opening.as_ref().map_or(0, |(seq, _)| *seq);
        // Of what has become part of it some may have been told before it opened.
        let older = self.later.partition_point(|(seq, _)| *seq < opened);
        let all = self.later.range(..older).chain(&self.opening);
        let all = all.chain(self.later.range(older..));
        all.take_while(move |(own, _)| *own < seq)
            .map(|(_, json)| json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_part_of_it_stands_between_its_own() {
        let [mut own, mut other] = [Milestones::default(), Milestones::default()];
        let json = |seq: DecisionSeq| Bytes::from(seq.to_string());
        for seq in [1, 4, 6] {
            own.tell(seq, &json(seq), true);
        }
        for seq in [2, 3, 5] {
            other.tell(seq, &json(seq), seq != 3);
        }
        own.take_in(&other);
        assert_eq!(own.before(9).collect::<Vec<_>>(), ["1", "2", "4", "5", "6"]);
        assert_eq!(own.told(), 5);
    }

    #[test]
    fn what_was_told_before_it_opened_and_becomes_part_of_it_comes_first() {
        let [mut own, mut other] = [Milestones::default(), Milestones::default()];
        other.tell(1, &Bytes::from("1"), true);
        own.tell(2, &Bytes::from("2"), true);
        own.tell(3, &Bytes::from("3"), true);
        own.take_in(&other);
        assert_eq!(own.before(9).collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(own.before(2).collect::<Vec<_>>(), ["1"]);
    }

    #[test]
    fn p5_however_much_becomes_part_of_it_the_newest_are_kept() {
        let mut own = Milestones::default();
        own.tell(1, &Bytes::new(), true);
        for other in 1..=50 {
            let mut merged = Milestones::default();
            (0..40).for_each(|step| merged.tell(other * 100 + step, &Bytes::new(), true));
            own.take_in(&merged);
        }
        assert_eq!(own.before(DecisionSeq::MAX).count(), 1 + LATER_MAX);
        assert_eq!(own.later.front().map(|(seq, _)| *seq), Some(5_008));
    }

    #[test]
    fn p5_the_opening_stays_however_much_is_told_after_it() {
        let mut milestones = Milestones::default();
        for seq in 1..=1000 {
            let json = Bytes::from(seq.to_string());
            milestones.tell(seq, &json, seq % 2 == 0);
        }
        assert_eq!(milestones.told(), 1000);
        let kept: Vec<_> = milestones.before(990).collect();
        assert_eq!(kept[0], "1");
        assert_eq!(kept[1], "938");
        assert_eq!(*kept.last().unwrap(), "988");
    }
}
