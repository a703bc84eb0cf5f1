//! How many values are how great: what percentiles of more values than can be kept are told by.
//!
//! Arrives: values, in any order. Leaves: the value of a rank. Promise: what it comes to does not
//! depend on the order of the values nor on how they are put together. While they are few different
//! ones it is exact; of more it tells those apart that differ by enough of themselves. How much that
//! is follows from which values there are: the least by which no more than [`ACROSS_VALUES_MAX`]
//! remain. Those of several steps are not put together to be asked: the value of a rank is looked for
//! among all of them, so that asking costs a look at each and no more. Next: `pane.rs`.

use crate::codec::{CodecError, Put, Take};
use crate::limits::ACROSS_VALUES_MAX;

/// Values by their place among all numbers, without so many of its last bits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spread {
    left_out: u32,
    /// How many are at which place, in the order of the places.
    counts: Vec<(i64, u64)>,
}

impl Spread {
    pub fn note(&mut self, value: f64) {
        let place = place(value) >> self.left_out;
        match self.counts.binary_search_by_key(&place, |(own, _)| *own) {
            Ok(found) => self.counts[found].1 += 1,
            Err(free) => {
                self.counts.insert(free, (place, 1));
                self.fit();
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The value of a rank, counted from 1, of all that several hold, between the least and the
    /// greatest of them. Only where one of them had to be coarse, so are all.
    pub fn at<'a>(
        all: impl Iterator<Item = &'a Self> + Clone,
        rank: u64,
        (least, greatest): (f64, f64),
    ) -> Option<f64> {
        let left_out = all.clone().map(|spread| spread.left_out).max()?;
        let mut counts = Vec::with_capacity(all.clone().map(|spread| spread.counts.len()).sum());
        for spread in all {
            let further = left_out - spread.left_out;
            let own = spread.counts.iter();
            counts.extend(own.map(|(place, count)| (place >> further, *count)));
        }
        let found = place_of_rank(&mut counts, rank)?;
        // The middle of all that it may be.
        let last = (1_i64 << left_out) - 1;
        let from = (found << left_out).max(place(least));
        let to = ((found << left_out) | last).min(place(greatest));
        Some(number(from + (to - from) / 2))
    }

    /// Leaves out as few bits as must be so that no more remain than may.
    fn fit(&mut self) {
        if self.counts.len() <= ACROSS_VALUES_MAX {
            return;
        }
        // How many become one with the place before them when so many bits are left out, and not before.
        let mut merged = [0_usize; i64::BITS as usize + 1];
        for pair in self.counts.windows(2) {
            let differ = i64::BITS - (pair[0].0 ^ pair[1].0).leading_zeros();
            merged[differ as usize] += 1;
        }
        let over = self.counts.len() - ACROSS_VALUES_MAX;
        let by = merged.iter().scan(0, |fewer, more| {
            *fewer += more;
            Some(*fewer)
        });
        let by = by.take_while(|fewer| *fewer < over).count();
        self.coarsen(by as u32);
    }

    fn coarsen(&mut self, by: u32) {
        self.left_out += by;
        for (place, _) in &mut self.counts {
            *place >>= by;
        }
        self.counts.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
    }

    pub fn put(&self, out: &mut impl Put) {
        out.put_u32(self.left_out);
        out.put_count(self.counts.len());
        for (place, count) in &self.counts {
            out.put_u64(*place as u64);
            out.put_u64(*count);
        }
    }

    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let left_out = take.u32()?;
        let count = take.count(ACROSS_VALUES_MAX)?;
        let counts = take.each(count, |take| Ok((take.u64()? as i64, take.u64()?)))?;
        let in_order = counts.is_sorted_by(|(one, _), (next, _)| one < next);
        // By then all that is of one sign is one value.
        if left_out >= i64::BITS - 1 || !in_order {
            return Err(CodecError("values are not in order"));
        }
        Ok(Self { left_out, counts })
    }
}

/// The place of a rank, counted from 1, among places in any order, each with how many are there: they
/// are parted in two about the middle one, and the half that has it again.
fn place_of_rank(mut counts: &mut [(i64, u64)], mut rank: u64) -> Option<i64> {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    if rank > all {
        return None;
    }
    while counts.len() > 1 {
        let middle = counts.len() / 2;
        counts.select_nth_unstable(middle);
        let (before, from) = counts.split_at_mut(middle);
        let fewer: u64 = before.iter().map(|(_, count)| count).sum();
        counts = if rank <= fewer {
            before
        } else {
            rank -= fewer;
            from
        };
    }
    counts.first().map(|(place, _)| *place)
}

/// The place of a number among all: greater for the greater one.
fn place(value: f64) -> i64 {
    // Zero is one number.
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// The number of a place.
fn number(place: i64) -> f64 {
    f64::from_bits((place ^ ((place >> 63) as u64 >> 1) as i64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What it is meant to be: all in one list in order, of which so many last bits are left out, one
    /// by one, until few enough remain.
    #[derive(Debug, Default)]
    struct Plain {
        left_out: u32,
        counts: BTreeMap<i64, u64>,
    }

    impl Plain {
        fn note(&mut self, value: f64) {
            let place = place(value) >> self.left_out;
            *self.counts.entry(place).or_default() += 1;
            while self.counts.len() > ACROSS_VALUES_MAX {
                self.coarsen(1);
            }
        }

        fn coarsen(&mut self, by: u32) {
            self.left_out += by;
            let mut counts = BTreeMap::new();
            for (place, count) in std::mem::take(&mut self.counts) {
                *counts.entry(place >> by).or_default() += count;
            }
            self.counts = counts;
        }

        fn merge(&mut self, other: &Self) {
            self.coarsen(other.left_out.saturating_sub(self.left_out));
            let further = self.left_out - other.left_out;
            for (place, count) in &other.counts {
                *self.counts.entry(place >> further).or_default() += count;
            }
        }

        fn at(&self, rank: u64, (least, greatest): (f64, f64)) -> Option<f64> {
            let mut up_to = 0;
            let (found, _) = self.counts.iter().find(|(_, count)| {
                up_to += **count;
                up_to >= rank
            })?;
            let last = (1_i64 << self.left_out) - 1;
            let from = (found << self.left_out).max(place(least));
            let to = ((found << self.left_out) | last).min(place(greatest));
            Some(number(from + (to - from) / 2))
        }
    }

    fn at(values: &Spread, rank: u64, ends: (f64, f64)) -> Option<f64> {
        Spread::at(std::iter::once(values), rank, ends)
    }

    proptest! {
        /// So many values of each step, some alike and some of wholly other sizes: whatever is kept of
        /// each, and whatever rank is asked for, is what one list of all of them says.
        #[test]
        fn p2_what_steps_hold_is_asked_as_one_list_of_all_would_be(
            steps in prop::collection::vec((0_usize..1_500, 1_u32..2_000, -40_i32..40), 1..8),
            percent in 1_u64..100,
        ) {
            let (mut kept, mut plain) = (Vec::new(), Plain::default());
            let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
            for (count, different, size) in steps {
                let (mut own, mut own_plain) = (Spread::default(), Plain::default());
                for number in 0..count as u32 {
                    let value = f64::from(number.wrapping_mul(2_654_435_761) % different) - 500.0;
                    let value = value * f64::from(size).exp2();
                    (least, greatest) = (value.min(least), value.max(greatest));
                    own.note(value);
                    own_plain.note(value);
                }
                prop_assert_eq!(own.left_out, own_plain.left_out);
                let counts: Vec<_> = own_plain.counts.clone().into_iter().collect();
                prop_assert_eq!(&own.counts, &counts);
                plain.merge(&own_plain);
                kept.push(own);
            }
            let all: u64 = kept.iter().map(Spread::count).sum();
            for rank in [1, (all * percent).div_ceil(100).max(1), all.max(1), all + 1] {
                let told = Spread::at(kept.iter(), rank, (least, greatest));
                prop_assert_eq!(told, plain.at(rank, (least, greatest)));
            }
        }
    }

    fn spread(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut spread = Spread::default();
        values.into_iter().for_each(|value| spread.note(value));
        spread
    }

    #[test]
    fn numbers_keep_their_order() {
        let numbers = [-1e20, -3.5, -1e-9, 0.0, 1e-9, 2.0, 2.000_001, 1e20];
        assert!(numbers.is_sorted_by(|one, next| place(*one) < place(*next)));
        assert_eq!(place(-0.0), place(0.0));
        for value in numbers {
            assert_eq!(number(place(value)), value);
        }
    }

    #[test]
    fn few_different_values_are_told_exactly() {
        let value = |number: u32| f64::from(number) / 10.0 - 20.0;
        let values = spread((0..100_000).map(|number| value(number % 500)));
        assert_eq!(values.count(), 100_000);
        let ends = (value(0), value(499));
        for (rank, wanted) in [(1, 0), (200, 0), (201, 1), (90_000, 449), (100_000, 499)] {
            assert_eq!(at(&values, rank, ends), Some(value(wanted)));
        }
        assert_eq!(at(&values, 100_001, ends), None);
    }

    #[test]
    fn p5_of_many_different_values_each_is_told_within_a_hundredth_of_itself() {
        // From 5 to 500.
        let value = |number: u32| 5.0 + f64::from(number) * 0.004_95;
        let values = spread((0..=100_000).map(value));
        assert!(values.counts.len() <= ACROSS_VALUES_MAX);
        for number in (0..=100_000).step_by(997) {
            let told = at(&values, u64::from(number) + 1, (5.0, 500.0)).unwrap();
            let off = (told - value(number)).abs() / value(number);
            assert!(off < 0.01, "{told} of {}", value(number));
        }
    }

    #[test]
    fn inv_19_neither_the_order_of_values_nor_how_they_are_put_together_counts() {
        let value = |number: u32| f64::from(number.wrapping_mul(2_654_435_761) >> 8) - 1e6;
        let one = spread((0..5_000).map(value));
        assert!(one.left_out > 0);
        assert_eq!(one, spread((0..5_000).rev().map(value)));
        let parts = [0..10, 10..2_000, 2_000..5_000].map(|part| spread(part.map(value)));
        let ends = (-1e6, f64::from(u32::MAX >> 8) - 1e6);
        let together = |order: [usize; 3], rank| {
            let parts = order.iter().map(|part| &parts[*part]);
            Spread::at(parts, rank, ends)
        };
        for rank in [1, 2_500, 4_999, 5_000] {
            assert!(together([0, 1, 2], rank).is_some());
            assert_eq!(together([0, 1, 2], rank), together([2, 0, 1], rank));
        }
        assert_eq!(together([0, 1, 2], 5_001), None);
    }

    #[test]
    fn the_furthest_apart_numbers_are_told_apart_by_their_sign_at_least() {
        let mut values = spread([-1e300, 1e300]);
        values.coarsen(62);
        assert_eq!(values.count(), 2);
        assert!(at(&values, 1, (-1e300, 1e300)).unwrap() < 0.0);
        assert!(at(&values, 2, (-1e300, 1e300)).unwrap() > 0.0);
        let mut bytes = Vec::new();
        values.put(&mut bytes);
        assert_eq!(Spread::take(&mut Take(&bytes)).unwrap(), values);
    }
}
