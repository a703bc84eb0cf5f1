//! Who is near: cells of the earth's surface, about as wide as "near" is.
//!
//! Arrives: the places of members. Leaves: which cases have one near a place, and how near.
//! Promise: what it finds is what a comparison with every place would find, at a cost that depends
//! on what lies in the neighbourhood and not on how many incidents there are. Rows follow the
//! latitude; a row has as many columns as its circle has widths of "near", so cells stay about
//! square from the equator to the poles. Derived from the members: part of no digest.

use crate::hash::Map;
use crate::place::{Position, cosine_millionths};

/// The places of the members of one correlation rule's cases.
#[derive(Debug)]
pub(crate) struct CellIndex {
    within_m: u32,
    height_udeg: i64,
    cells: Map<Cell, Vec<Occupant>>,
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

    /// Takes all places of a case out that lie in the cell of this one.
    pub fn remove_around(&mut self, slot: u32, place: Position) {
        self.near.remove_around(slot, place);
        if let Some(reach) = &mut self.reach {
            reach.remove_around(slot, place);
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Cell {
    row: i64,
    column: i64,
}

/// The places of one case within a cell.
#[derive(Debug)]
struct Occupant {
    slot: u32,
    places: Vec<Position>,
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
            cells: Map::default(),
        }
    }

    pub fn insert(&mut self, slot: u32, place: Position) {
        let occupants = self.cells.entry(self.cell(place)).or_default();
        match occupants.iter_mut().find(|occupant| occupant.slot == slot) {
            Some(occupant) => occupant.places.push(place),
            None => occupants.push(Occupant {
                slot,
                places: vec![place],
            }),
        }
    }

    /// Takes one place of a case out.
    pub fn remove(&mut self, slot: u32, place: Position) {
        let cell = self.cell(place);
        let Some(occupants) = self.cells.get_mut(&cell) else {
            return;
        };
        let Some(at) = occupants.iter().position(|occupant| occupant.slot == slot) else {
            return;
        };
        let places = &mut occupants[at].places;
        if let Some(at) = places.iter().position(|other| *other == place) {
            places.swap_remove(at);
        }
        if places.is_empty() {
            occupants.swap_remove(at);
        }
        if occupants.is_empty() {
            self.cells.remove(&cell);
        }
    }

    /// Takes all places of a case out that lie in the cell of this one.
    pub fn remove_around(&mut self, slot: u32, place: Position) {
        let cell = self.cell(place);
        if let Some(occupants) = self.cells.get_mut(&cell) {
            occupants.retain(|occupant| occupant.slot != slot);
            if occupants.is_empty() {
                self.cells.remove(&cell);
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
        near.sort_unstable();
        near.dedup_by_key(|near| near.slot);
        near
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many places it holds of these cases. The order of the cells does not matter to a sum.
    pub fn places(&self, of: impl Fn(u32) -> bool) -> usize {
        let occupants = self.cells.values().flatten();
        let occupants = occupants.filter(|occupant| of(occupant.slot));
        occupants.map(|occupant| occupant.places.len()).sum()
    }

    fn near_in_row(&self, row: i64, place: Position, near: &mut Vec<Near>) {
        let columns = self.columns(row);
        let east = i64::from(place.lon_micro_degrees()) + HALF_TURN;
        let lat = i64::from(place.lat_micro_degrees()).abs();
        let reach = width(self.height_udeg, lat.max(self.farthest_from_equator(row))) + 1;
        let (from, to) = if 2 * reach >= FULL_TURN {
            (0, columns - 1)
        } else {
            let column = |lon: i64| (lon * columns).div_euclid(FULL_TURN);
            let from = column(east - reach);
            (from, column(east + reach).min(from + columns - 1))
        };
        for column in from..=to {
            let column = column.rem_euclid(columns);
            let occupants = self.cells.get(&Cell { row, column });
            for occupant in occupants.into_iter().flatten() {
                let distances = occupant.places.iter().map(|other| place.distance_m(*other));
                let nearest = distances.min().filter(|nearest| *nearest <= self.within_m);
                near.extend(nearest.map(|distance_m| Near {
                    slot: occupant.slot,
                    distance_m,
                }));
            }
        }
    }

    fn cell(&self, place: Position) -> Cell {
        let row = self.row(place);
        let columns = self.columns(row);
        let east = i64::from(place.lon_micro_degrees()) + HALF_TURN;
        Cell {
            row,
            column: east * columns / FULL_TURN % columns,
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
        assert!(index.near(place).is_empty() && index.cells.is_empty());
        index.insert(2, place);
        index.remove_around(2, place);
        assert!(index.cells.is_empty());
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
