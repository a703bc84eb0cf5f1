//! Folds telemetry that waits for a full lane, so that it takes less and what lies behind it can be
//! read: the least, the greatest and the last reading of each sensor stay, the rest are counted.
//!
//! Arrives: encoded inputs in their order. Leaves: fewer, in the same order, then a [`Folded`] for
//! each sensor and kind that accounts for those that are left out. Promise: what they are together
//! stands for as many as before; nothing is left out but what was observed after the one before it,
//! said the same attributes, and is no report. Once more folded, the same holds for all together.
//! Next: `turns.rs`.

use std::collections::HashMap;

use ioc_core::folded::Folded;
use ioc_core::reading::Reading;
use ioc_core::record::Input;
use ioc_core::time::Timestamp;

use super::inputs::{Encoded, Place};

/// A record takes the place of those that are left out: fewer than so many are not worth one.
const LEFT_OUT_MIN: u32 = 2;

/// Whose readings are folded together.
type Key<'a> = (&'a str, &'a str, &'a str, &'a [u8]);

/// Readings of one sensor, kind and unit with the same attributes, one after another.
#[derive(Debug)]
struct Group<'a> {
    first: Reading<'a>,
    least: (f64, usize),
    greatest: (f64, usize),
    last: (f64, usize),
    to: Timestamp,
    count: u32,
}

/// What became of an input.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It stays as it is.
    Stays,
    /// It may be left out for others of its group.
    Member(usize),
    /// It accounts for readings that were left out before.
    Account,
}

impl<'a> Group<'a> {
    fn new(reading: Reading<'a>, number: usize) -> Self {
        let own = (reading.value, number);
        Self {
            to: reading.observed_at,
            first: reading,
            least: own,
            greatest: own,
            last: own,
            count: 1,
        }
    }

    /// Takes a reading in if it comes after all of them.
    fn add(&mut self, reading: &Reading<'a>, number: usize) -> bool {
        if reading.observed_at <= self.to {
            return false;
        }
        let own = (reading.value, number);
        if own.0 < self.least.0 {
            self.least = own;
        }
        if own.0 > self.greatest.0 {
            self.greatest = own;
        }
        self.last = own;
        self.to = reading.observed_at;
        self.count += 1;
        true
    }

    fn keeps(&self, number: usize) -> bool {
        [self.least, self.greatest, self.last]
            .iter()
            .any(|(_, kept)| *kept == number)
    }

    /// How many need not stay.
    fn spare(&self) -> u32 {
        let mut kept = [self.least.1, self.greatest.1, self.last.1];
        kept.sort_unstable();
        let kept = 1 + kept.windows(2).filter(|pair| pair[0] != pair[1]).count();
        self.count - kept as u32
    }

    /// What accounts for those that are left out.
    fn account(&self) -> Folded<'a> {
        Folded {
            sensor: self.first.sensor,
            kind: self.first.kind,
            unit: self.first.unit,
            left_out: self.spare(),
            from: self.first.observed_at,
            to: self.to,
            min: self.least.0,
            max: self.greatest.0,
            last: self.last.0,
        }
    }
}

/// Adds an account to those of the same sensor, kind and unit.
fn merge<'a>(accounts: &mut Accounts<'a>, account: Folded<'a>) {
    let key = (account.sensor, account.kind, account.unit);
    let place = *accounts.places.entry(key).or_insert(accounts.all.len());
    let Some(own) = accounts.all.get_mut(place) else {
        accounts.all.push(account);
        return;
    };
    own.left_out = own.left_out.saturating_add(account.left_out);
    own.from = own.from.min(account.from);
    own.min = own.min.min(account.min);
    own.max = own.max.max(account.max);
    if account.to >= own.to {
        (own.to, own.last) = (account.to, account.last);
    }
}

/// The accounts in the order in which they began.
#[derive(Default)]
struct Accounts<'a> {
    all: Vec<Folded<'a>>,
    places: HashMap<(&'a str, &'a str, &'a str), usize>,
}

/// Folds inputs; returns what is left, and how many readings were left out.
pub(super) fn fold(inputs: &Encoded) -> (Encoded, u32) {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: HashMap<Key<'_>, usize> = HashMap::new();
    let mut accounts = Accounts::default();
    let mut fates = Vec::with_capacity(inputs.records() as usize);
    let mut place = Place::default();
    while let Some((input, stays)) = inputs.entry(&mut place) {
        let number = fates.len();
        fates.push(match Input::decode(input) {
            Ok(Input::Reading(reading)) if !stays && reading.received_at.is_none() => {
                let attributes = reading.attributes.as_bytes();
                let key = (reading.sensor, reading.kind, reading.unit, attributes);
                let group = *places.entry(key).or_insert(groups.len());
                match groups.get_mut(group) {
                    None => {
                        groups.push(Group::new(reading, number));
                        Fate::Member(group)
                    }
                    Some(own) => match own.add(&reading, number) {
                        true => Fate::Member(group),
                        false => Fate::Stays,
                    },
                }
            }
            Ok(Input::Folded(folded)) => {
                merge(&mut accounts, folded);
                Fate::Account
            }
            Ok(_) | Err(_) => Fate::Stays,
        });
    }
    let has_account = |group: &Group<'_>| {
        let Reading {
            sensor, kind, unit, ..
        } = group.first;
        accounts.places.contains_key(&(sensor, kind, unit))
    };
    let worth = |group: &Group<'_>| {
        let spare = group.spare();
        spare >= LEFT_OUT_MIN || spare > 0 && has_account(group)
    };
    let folds: Vec<bool> = groups.iter().map(worth).collect();
    let mut left = Encoded::standing_for(inputs);
    let (mut place, mut left_out) = (Place::default(), 0);
    for (number, fate) in fates.into_iter().enumerate() {
        let begin = place;
        let read = inputs.entry(&mut place);
        debug_assert!(read.is_some(), "as many as there were");
        match fate {
            Fate::Member(group) if folds[group] && !groups[group].keeps(number) => left_out += 1,
            Fate::Member(_) | Fate::Stays => left.copy(inputs, begin, place),
            Fate::Account => {}
        }
    }
    let folded = groups.iter().zip(&folds).filter(|(_, folds)| **folds);
    folded.for_each(|(group, _)| merge(&mut accounts, group.account()));
    for account in &accounts.all {
        left.append(&Input::Folded(*account));
    }
    (left, left_out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ioc_core::reading::AttributesBuffer;
    use ioc_core::record::DeadLetter;
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::Catalogue;
    use crate::door::{Inputs, Lane};

    /// What a sensor says: which one, by how much later than before, the value, and about what.
    type Said = (u8, i64, u8, bool);

    fn catalogue() -> Catalogue {
        Catalogue {
            reports: ["call"].into_iter().collect(),
            ..Catalogue::default()
        }
    }

    fn push(inputs: &mut Inputs, number: usize, (sensor, at, value, about): (u8, i64, u8, bool)) {
        let mut attributes = AttributesBuffer::default();
        if about {
            attributes.push("about", "water").unwrap();
        }
        let reading = Reading {
            id: &format!("r{number}"),
            sensor: &format!("s{sensor}"),
            kind: if sensor == 3 { "call" } else { "level" },
            observed_at: Timestamp::from_millis(at),
            received_at: None,
            value: f64::from(value),
            unit: "",
            position: None,
            attributes: attributes.as_attributes(),
        };
        inputs.push_reading(&reading, &catalogue());
    }

    fn push_letter(inputs: &mut Inputs) {
        inputs.push_dead_letter(&DeadLetter {
            source: "test",
            topic: "",
            reason: "none",
            detail: "",
            ..DeadLetter::default()
        });
    }

    /// What is left, in words.
    fn told(inputs: &Encoded) -> Vec<String> {
        let told = |bytes| match Input::decode(bytes).unwrap() {
            Input::Reading(reading) => format!("{} {}", reading.sensor, reading.value),
            Input::Folded(folded) => format!(
                "{} {} left out of {}..{}: {} to {}, then {}",
                folded.sensor,
                folded.left_out,
                folded.from.as_millis(),
                folded.to.as_millis(),
                folded.min,
                folded.max,
                folded.last
            ),
            Input::DeadLetter(_) => "letter".to_owned(),
            other => panic!("{other:?}"),
        };
        inputs.iter().map(told).collect()
    }

    #[test]
    fn the_least_the_greatest_and_the_last_stay_and_the_rest_is_counted() {
        let mut inputs = Inputs::default();
        let values = [(1, 5), (2, 9), (3, 5), (4, 1), (5, 5), (6, 4)];
        for (number, (at, value)) in values.into_iter().enumerate() {
            push(&mut inputs, number, (1, at, value, false));
            if number == 2 {
                push_letter(&mut inputs);
                push(&mut inputs, 90, (2, at, 7, false));
            }
        }
        let mut telemetry = inputs.take(Lane::Telemetry);
        assert_eq!(telemetry.fold(), 3);
        let account = "s1 3 left out of 1..6: 1 to 9, then 4";
        let left = ["s1 9", "letter", "s2 7", "s1 1", "s1 4", account];
        assert_eq!(told(&telemetry), left);
        assert_eq!((telemetry.count(), telemetry.records()), (8, 6));
        assert_eq!(telemetry.fold(), 0, "nothing is left to fold");
        assert_eq!(told(&telemetry), left);
    }

    #[test]
    fn what_was_folded_is_folded_with_what_came_after_it() {
        let mut inputs = Inputs::default();
        let mut number = 0;
        let mut left_out = 0;
        for _ in 0..4 {
            for value in [4, 6, 5, 5] {
                number += 1;
                push(&mut inputs, number, (1, number as i64, value, false));
            }
            left_out += inputs.fold(0);
        }
        let telemetry = inputs.take(Lane::Telemetry);
        let account = "s1 13 left out of 1..16: 4 to 6, then 5";
        assert_eq!(told(&telemetry), ["s1 4", "s1 6", "s1 5", account]);
        assert_eq!((left_out, telemetry.count()), (13, 16));
    }

    #[test]
    fn what_cannot_be_told_from_a_redelivery_or_counts_by_itself_is_not_left_out() {
        let same_time = |number: usize| -> Said { (1, 7, number as u8, false) };
        let report = |number: usize| -> Said { (3, number as i64, number as u8, false) };
        for said in [&same_time as &dyn Fn(usize) -> Said, &report] {
            let mut inputs = Inputs::default();
            (0..50).for_each(|number| push(&mut inputs, number, said(number)));
            assert_eq!(inputs.fold(0), 0);
            assert_eq!(inputs.take(Lane::Telemetry).records(), 50);
        }
    }

    /// Everything that the inputs stand for, as far as the next test asks.
    #[derive(Debug, Default, PartialEq)]
    struct Extent {
        stand_for: u64,
        min: Option<f64>,
        max: Option<f64>,
        last: Option<(i64, f64)>,
    }

    impl Extent {
        fn note(&mut self, count: u32, to: Timestamp, [min, max, last]: [f64; 3]) {
            self.stand_for += u64::from(count);
            self.min = Some(self.min.map_or(min, |own| own.min(min)));
            self.max = Some(self.max.map_or(max, |own| own.max(max)));
            let to = to.as_millis();
            if self.last.is_none_or(|(at, _)| at < to) {
                self.last = Some((to, last));
            }
        }
    }

    fn extents(inputs: &Encoded, accounts: bool) -> BTreeMap<String, Extent> {
        let mut extents = BTreeMap::<String, Extent>::new();
        for bytes in inputs.iter() {
            match Input::decode(bytes).unwrap() {
                Input::Reading(reading) => {
                    let own = extents.entry(reading.sensor.to_owned()).or_default();
                    own.note(1, reading.observed_at, [reading.value; 3]);
                }
                Input::Folded(folded) if accounts => {
                    let own = extents.entry(folded.sensor.to_owned()).or_default();
                    let values = [folded.min, folded.max, folded.last];
                    own.note(folded.left_out, folded.to, values);
                }
                _ => {}
            }
        }
        extents
    }

    proptest! {
        #[test]
        fn p1_p7_folded_inputs_stand_for_as_many_and_keep_their_extremes_and_their_order(
            said in prop::collection::vec((0..5u8, -1..3i64, 0..9u8, any::<bool>()), 1..200),
            folds in prop::collection::btree_set(0..200usize, 0..6),
        ) {
            let (mut plain, mut folded) = (Inputs::default(), Inputs::default());
            let (mut now, mut left_out) = (0, 0);
            for (number, (sensor, after, value, about)) in said.iter().enumerate() {
                now += after;
                for inputs in [&mut plain, &mut folded] {
                    push(inputs, number, (*sensor, now, *value, *about));
                }
                if folds.contains(&number) {
                    left_out += folded.fold(0);
                }
            }
            left_out += folded.fold(0);
            let [plain, folded] = [plain, folded].map(|mut inputs| inputs.take(Lane::Telemetry));
            prop_assert_eq!(folded.count(), plain.count());
            prop_assert!(folded.bytes() <= plain.bytes() + 400);
            // The readings that stay suffice for the extremes; with the accounts all are there.
            let whole = extents(&plain, false);
            let accounted = extents(&folded, true);
            prop_assert_eq!(&accounted, &whole);
            for (sensor, extent) in extents(&folded, false) {
                let own = &whole[&sensor];
                prop_assert_eq!((extent.min, extent.max, extent.last), (own.min, own.max, own.last));
            }
            let stand_for: u64 = accounted.values().map(|extent| extent.stand_for).sum();
            prop_assert_eq!(stand_for, said.len() as u64);
            let readings = |inputs: &Encoded| -> Vec<Vec<u8>> {
                let bytes = inputs.iter().map(<[u8]>::to_vec);
                let is_reading = |bytes: &Vec<u8>| {
                    matches!(Input::decode(bytes), Ok(Input::Reading(_)))
                };
                bytes.filter(is_reading).collect()
            };
            let stay = readings(&folded);
            prop_assert_eq!(stay.len() + left_out as usize, said.len());
            let mut all = readings(&plain).into_iter();
            prop_assert!(stay.iter().all(|own| all.any(|each| each == *own)), "in their order");
        }
    }
}
