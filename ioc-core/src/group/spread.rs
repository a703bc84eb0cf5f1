//! How many values are how great: what percentiles of more values than can be kept are told by.
//!
//! Arrives: values, in any order. Leaves: the value of a rank. Promise: what it comes to does not
//! depend on the order of the values nor on how they are put together. While they are few different
//! ones it is exact; of more it tells those apart that differ by enough of themselves. How much that
//! is follows from which values there are: the least by which no more than [`ACROSS_VALUES_MAX`]
//! remain. Next: `pane.rs`.

use std::collections::BTreeMap;

use crate::codec::{CodecError, Put, Take};
use crate::limits::ACROSS_VALUES_MAX;

/// Values by their place among all numbers, without so many of its last bits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spread {
    left_out: u32,
    counts: BTreeMap<i64, u64>,
}

impl Spread {
    pub fn note(&mut self, value: f64) {
        *self
            .counts
            .entry(place(value) >> self.left_out)
            .or_default() += 1;
        self.fit();
    }

    /// Takes in what another one holds. Both may hold more together than one alone: only where one
    /// had to be coarse, so are both.
    pub fn merge(&mut self, other: &Self) {
        self.coarsen(other.left_out.saturating_sub(self.left_out));
        let further = self.left_out - other.left_out;
        for (place, count) in &other.counts {
            *self.counts.entry(place >> further).or_default() += count;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The value of a rank, counted from 1, of values between the least and the greatest.
    pub fn at(&self, rank: u64, (least, greatest): (f64, f64)) -> Option<f64> {
        let mut up_to = 0;
        let (found, _) = self.counts.iter().find(|(_, count)| {
            up_to += **count;
            up_to >= rank
        })?;
        // The middle of all that it may be.
        let last = (1_i64 << self.left_out) - 1;
        let from = (found << self.left_out).max(place(least));
        let to = ((found << self.left_out) | last).min(place(greatest));
        Some(number(from + (to - from) / 2))
    }

    fn fit(&mut self) {
        while self.counts.len() > ACROSS_VALUES_MAX {
            self.coarsen(1);
        }
    }

    fn coarsen(&mut self, by: u32) {
        if by == 0 {
            return;
        }
        self.left_out += by;
        let mut counts = BTreeMap::new();
        for (place, count) in std::mem::take(&mut self.counts) {
            *counts.entry(place >> by).or_default() += count;
        }
        self.counts = counts;
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
        let counts = counts.into_iter().collect();
        Ok(Self { left_out, counts })
    }
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
    use super::*;

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
            assert_eq!(values.at(rank, ends), Some(value(wanted)));
        }
        assert_eq!(values.at(100_001, ends), None);
    }

    #[test]
    fn p5_of_many_different_values_each_is_told_within_a_hundredth_of_itself() {
        // From 5 to 500.
        let value = |number: u32| 5.0 + f64::from(number) * 0.004_95;
        let values = spread((0..=100_000).map(value));
        assert!(values.counts.len() <= ACROSS_VALUES_MAX);
        for number in (0..=100_000).step_by(997) {
            let told = values.at(u64::from(number) + 1, (5.0, 500.0)).unwrap();
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
        let together = |order: [usize; 3]| {
            let mut all = Spread::default();
            order.iter().for_each(|part| all.merge(&parts[*part]));
            all
        };
        assert_eq!(together([0, 1, 2]), together([2, 0, 1]));
        assert_eq!(together([0, 1, 2]).count(), 5_000);
    }

    #[test]
    fn the_furthest_apart_numbers_are_told_apart_by_their_sign_at_least() {
        let mut values = spread([-1e300, 1e300]);
        values.coarsen(62);
        assert_eq!(values.count(), 2);
        assert!(values.at(1, (-1e300, 1e300)).unwrap() < 0.0);
        assert!(values.at(2, (-1e300, 1e300)).unwrap() > 0.0);
        let mut bytes = Vec::new();
        values.put(&mut bytes);
        assert_eq!(Spread::take(&mut Take(&bytes)).unwrap(), values);
    }
}
