//! When nobody was there: what has to last for some time has not lasted while nobody could be heard.
//!
//! Arrives: each start, with the gap before it. Leaves: by how much what waits has to wait longer, so
//! that it is decided by what was heard and never by what was not: that all is normal, that something
//! is less grave, that a street stays dark, that nothing has followed, that a sensor says nothing.
//! What people are waited for goes on: they could see the console go dark. Promise: of at most
//! [`DOWNTIMES_MAX`] gaps; of more, the two that came first count as one, and the time between as if
//! nobody had been there. Next: `engine/late.rs`.

use crate::codec::{CodecError, Put, Take};
use crate::limits::DOWNTIMES_MAX;
use crate::time::Timestamp;

/// The last gaps, in order, none overlapping another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Away(Vec<(Timestamp, Timestamp)>);

impl Away {
    /// Nobody was there between these.
    pub fn note(&mut self, from: Timestamp, to: Timestamp) {
        let last = self.0.last().map(|(_, to)| *to);
        let from = last.map_or(from, |last| from.max(last));
        if from >= to {
            return;
        }
        if self.0.len() == DOWNTIMES_MAX {
            let (first, _) = self.0.remove(0);
            self.0[0].0 = first;
        }
        self.0.push((from, to));
    }

    /// From and until when something goes on to be waited for that is waited for between these; `None`
    /// if somebody was there all the time. What was waited for before has been heard.
    pub fn waits_on(&self, since: Timestamp, due: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let mut waits = (since, due);
        for &(from, to) in &self.0 {
            if to > waits.0 && from < waits.1 {
                waits = (to, waits.1 + (to - from.max(waits.0)));
            }
        }
        (waits.1 != due).then_some(waits)
    }

    /// Puts all of them.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.0.len());
        for (from, to) in &self.0 {
            out.put_time(*from);
            out.put_time(*to);
        }
    }

    /// All of them, as they were put.
    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let count = take.count(DOWNTIMES_MAX)?;
        let gaps = take.each(count, |take| Ok((take.time()?, take.time()?)))?;
        let in_order = gaps.is_sorted_by(|(_, to), (from, _)| to <= from);
        match in_order && gaps.iter().all(|(from, to)| from < to) {
            true => Ok(Self(gaps)),
            false => Err(CodecError("gaps are not in order")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn away(gaps: &[(i64, i64)]) -> Away {
        let mut away = Away::default();
        for &(from, to) in gaps {
            away.note(at(from), at(to));
        }
        away
    }

    #[test]
    fn what_waits_waits_longer_by_the_time_in_which_nobody_was_there() {
        let away = away(&[(5, 35), (38, 50)]);
        assert_eq!(away.waits_on(at(36), at(37)), None);
        assert_eq!(away.waits_on(at(0), at(5)), None);
        assert_eq!(away.waits_on(at(0), at(6)), Some((at(35), at(36))));
        assert_eq!(away.waits_on(at(0), at(10)), Some((at(50), at(52))));
        assert_eq!(away.waits_on(at(20), at(22)), Some((at(35), at(37))));
    }

    #[test]
    fn p5_of_too_many_gaps_the_first_two_are_one() {
        let gaps: Vec<_> = (0..=DOWNTIMES_MAX as i64)
            .map(|gap| (10 * gap + 1, 10 * gap + 2))
            .collect();
        let away = away(&gaps);
        assert_eq!(away.0.len(), DOWNTIMES_MAX);
        assert_eq!(away.0[0], (at(1), at(12)));
    }

    proptest! {
        #[test]
        fn downtime_is_not_silence_so_all_that_is_waited_for_is_heard(
            lengths in prop::collection::vec((1_i64..50, 1_i64..50), 0..DOWNTIMES_MAX),
            since in 0_i64..200,
            lasts in 1_i64..100,
        ) {
            let mut gaps = Vec::new();
            let mut now = 0;
            for (heard, gone) in lengths {
                gaps.push((now + heard, now + heard + gone));
                now += heard + gone;
            }
            let away = away(&gaps);
            let heard = |minute: &i64| !gaps.iter().any(|(from, to)| (*from..*to).contains(minute));
            let mut minutes = (since..).filter(heard);
            let expected = minutes.nth(lasts as usize - 1).unwrap() + 1;
            // Asked again and again, as each timer that fires asks.
            let mut waits = (at(since), at(since + lasts));
            while let Some(longer) = away.waits_on(waits.0, waits.1) {
                waits = longer;
            }
            prop_assert_eq!(waits.1, at(expected));
        }
    }
}
