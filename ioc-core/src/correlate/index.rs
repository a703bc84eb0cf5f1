//! Who is near: cells of the earth's surface, about as wide as "near" is.
//!
//! Arrives: the places of members. Leaves: which cases have one near a place, and how near.
//! Promise: what it finds is what a comparison with every place would find, at a cost that depends
//! on what lies in the neighbourhood and not on how many incidents there are. Rows follow the
//! latitude; a row has as many columns as its circle has widths of "near", so cells stay about
//! square from the equator to the poles. Derived from the members: part of no digest.

use std::collections::BTreeMap;

use crate::place::{Position, cosine_millionths};

/// The places of the members of one correlation rule's cases.
#[derive(Debug)]
pub(crate) struct CellIndex {
    within_m: u32,
    height_udeg: i64,
    /// How many members of a case have a place. What lies side by side in a row is found at one
    /// stretch.
    places: BTreeMap<Spot, u32>,
}

/// The same places twice: for what is near, and for what an incident reaches as cause or effect.
#[derive(Debug)]
pub(crate) struct PlaceIndex {
    near: CellIndex,
    reach: Option<CellIndex>,
}

impl PlaceIndex {
    /// Empty. `reach_m`: how far causes and effects are looked for, if they are.
    pub fn new(within_m: u32, reach_m: Option<u32>) -> Self {
        Self {
            near: CellIndex::new(within_m),
            reach: reach_m.map(CellIndex::new),
        }
    }

    /// Whether causes and effects are looked for so far, if they are.
    pub fn reaches(&self, reach_m: Option<u32>) -> bool {
        self.reach.as_ref().map(|reach| reach.within_m) == reach_m
    }

    pub fn insert(&mut self, slot: u32, place: Position) {
        self.near.insert(slot, place);
        if let Some(reach) = &mut self.reach {
            reach.insert(slot, place);
        }
    }

    /// Takes one place of a case out.
    pub fn remove(&mut self, slot: u32, place: Position) {
        self.near.remove(slot, place);
        if let Some(reach) = &mut self.reach {
            reach.remove(slot, place);
        }
    }

    /// The cases that have a member near the place, each with the distance to its nearest.
    pub fn near(&self, place: Position) -> Vec<Near> {
        self.near.near(place)
    }

    /// The cases that have a member within reach of the place, each with the distance.
    pub fn in_reach(&self, place: Position) -> Vec<Near> {
        self.reach
            .as_ref()
            .map_or_else(Vec::new, |reach| reach.near(place))
    }

    /// How many places it holds of these cases.
    pub fn places(&self, of: impl Fn(u32) -> bool) -> usize {
        let places = self.near.places(&of);
        let reached = self.reach.as_ref();
        let reached = reached.map_or(places, |reach| reach.places(&of));
        debug_assert_eq!(places, reached, "both hold the same places");
        places
    }
}

/// A place of a case within a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    row: i32,
    column: i32,
    slot: u32,
    place: Position,
}

/// A case near a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Near {
    pub slot: u32,
    pub distance_m: u32,
}

const QUARTER_TURN: i64 = 90_000_000;
const HALF_TURN: i64 = 180_000_000;
const FULL_TURN: i64 = 360_000_000;
/// Micrometres in a micro-degree of a great circle, as `place.rs` has it.
const UM_PER_UDEG: i64 = 111_195;

impl CellIndex {
    /// An empty index for places at most so far apart.
    pub fn new(within_m: u32) -> Self {
        // One metre more than asked, because distances are rounded.
        let height = (i64::from(within_m) + 1) * 1_000_000 / UM_PER_UDEG + 1;
        Self {
            within_m,
            height_udeg: height.min(HALF_TURN),
            places: BTreeMap::new(),
        }
    }

    pub fn insert(&mut self, slot: u32, place: Position) {
        *self.places.entry(self.spot(slot, place)).or_default() += 1;
    }

    /// Takes one place of a case out.
    pub fn remove(&mut self, slot: u32, place: Position) {
        let spot = self.spot(slot, place);
        if let Some(members) = self.places.get_mut(&spot) {
            *members -= 1;
            if *members == 0 {
                self.places.remove(&spot);
            }
        }
    }

    /// The cases that have a member near the place, each with the distance to its nearest.
    /// In the order of their slots, which means nothing.
    pub fn near(&self, place: Position) -> Vec<Near> {
        let mut near = Vec::new();
        let row = self.row(place);
        for row in row - 1..=row + 1 {
            self.near_in_row(row, place, &mut near);
        }
        // Each cell's are in order: a sort that sees that has little to do.
        near.sort();
        near.dedup_by_key(|near| near.slot);
        near
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many places it holds of these cases.
    pub fn places(&self, of: impl Fn(u32) -> bool) -> usize {
        let places = self.places.iter().filter(|(spot, _)| of(spot.slot));
        places.map(|(_, members)| *members as usize).sum()
    }

    fn near_in_row(&self, row: i64, place: Position, near: &mut Vec<Near>) {
        let columns = self.columns(row);
        let east = i64::from(place.lon_micro_degrees()) + HALF_TURN;
        let lat = i64::from(place.lat_micro_degrees()).abs();
        let reach = width(self.height_udeg, lat.max(self.farthest_from_equator(row))) + 1;
        if 2 * reach >= FULL_TURN {
            return self.near_in_columns(row, (0, columns - 1), place, near);
        }
        let column = |lon: i64| (lon * columns).div_euclid(FULL_TURN);
        let from = column(east - reach);
        let to = column(east + reach).min(from + columns - 1);
        // A row goes around the earth.
        let (from, to) = (from.rem_euclid(columns), to.rem_euclid(columns));
        if from <= to {
            self.near_in_columns(row, (from, to), place, near);
        } else {
            self.near_in_columns(row, (0, to), place, near);
            self.near_in_columns(row, (from, columns - 1), place, near);
        }
    }

    fn near_in_columns(
        &self,
        row: i64,
        (from, to): (i64, i64),
        place: Position,
        near: &mut Vec<Near>,
    ) {
        let spot = |column, slot, place| Spot {
            row: row as i32,
            column: column as i32,
            slot,
            place,
        };
        let all = spot(from, 0, Position::MIN)..=spot(to, u32::MAX, Position::MAX);
        let mut last = None;
        for (spot, _) in self.places.range(all) {
            let distance_m = place.distance_m(spot.place);
            if distance_m > self.within_m {
                continue;
            }
            let slot = spot.slot;
            match near
                .last_mut()
                .filter(|_| last == Some((spot.column, slot)))
            {
                Some(nearest) => nearest.distance_m = nearest.distance_m.min(distance_m),
                None => near.push(Near { slot, distance_m }),
            }
            last = Some((spot.column, slot));
        }
    }

    fn spot(&self, slot: u32, place: Position) -> Spot {
        let row = self.row(place);
        let columns = self.columns(row);
        let east = i64::from(place.lon_micro_degrees()) + HALF_TURN;
        Spot {
            row: row as i32,
            column: (east * columns / FULL_TURN % columns) as i32,
            slot,
            place,
        }
    }

    fn row(&self, place: Position) -> i64 {
        (i64::from(place.lat_micro_degrees()) + QUARTER_TURN) / self.height_udeg
    }

    /// How many columns a row has.
    fn columns(&self, row: i64) -> i64 {
        (FULL_TURN / width(self.height_udeg, self.farthest_from_equator(row))).max(1)
    }

    /// The greatest latitude in a row, north or south.
    fn farthest_from_equator(&self, row: i64) -> i64 {
        let south = row * self.height_udeg - QUARTER_TURN;
        let north = south + self.height_udeg;
        south.abs().max(north.abs()).min(QUARTER_TURN)
    }
}

/// How many micro-degrees of longitude at a latitude are as long as `height` of latitude.
fn width(height_udeg: i64, lat_udeg: i64) -> i64 {
    let cosine = cosine_millionths(lat_udeg);
    if cosine == 0 {
        return FULL_TURN;
    }
    // Rounding of the cosine, a millionth at most, counts near the poles.
    (height_udeg * 1_000_000 / (cosine - 1).max(1)).min(FULL_TURN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forgets_what_is_taken_out() {
        let place = Position::from_degrees(101.7, 3.1).unwrap();
        let mut index = CellIndex::new(100);
        index.insert(1, place);
        index.insert(1, place);
        index.remove(1, place);
        assert_eq!(index.near(place).len(), 1);
        index.remove(1, place);
        assert!(index.near(place).is_empty() && index.is_empty());
    }

    fn places() -> impl Strategy<Value = (i32, i32)> {
        let globe = (-180_000_000..=180_000_000i32, -90_000_000..=90_000_000i32);
        let poles = (-180_000_000..=180_000_000i32, 89_990_000..=90_000_000i32);
        let date_line = (179_990_000..=180_000_000i32, -10_000..=10_000i32);
        prop_oneof![globe, poles, date_line]
    }

    proptest! {
        #[test]
        fn finds_what_a_comparison_with_all_finds(
            (lon, lat) in places(),
            offsets in proptest::collection::vec((-40_000..40_000i32, -4_000..4_000i32), 1..40),
            within_m in prop_oneof![0..5u32, 50..500u32, 1_000..400_000u32, Just(u32::MAX)],
        ) {
            let here = Position::from_micro_degrees(lon, lat).unwrap();
            let mut index = CellIndex::new(within_m);
            let mut all = Vec::new();
            for (slot, (dx, dy)) in (0..).zip(&offsets) {
                let turned = (lon + dx + 180_000_000).rem_euclid(360_000_000) - 180_000_000;
                let lat = (lat + dy).clamp(-90_000_000, 90_000_000);
                let place = Position::from_micro_degrees(turned, lat).unwrap();
                index.insert(slot, place);
                let distance_m = here.distance_m(place);
                all.extend((distance_m <= within_m).then_some(Near { slot, distance_m }));
            }
            prop_assert_eq!(index.near(here), all);
        }
    }
}
