//! The middle of places, in exact integers.
//!
//! Promise: it depends neither on the order in which places enter nor on those that left.

use crate::place::Position;

/// The sum of places, from which members can be taken out again.
///
/// Where places lie on both sides of the date line, those west of Greenwich count as a turn further
/// east, so that the middle of what is within a quarter of a turn lies between.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    lon: i64,
    lat: i64,
    /// How many lie in each quarter of the globe, the date line eastward.
    quarters: [i64; 4],
}

const QUARTER_TURN: i64 = 90_000_000;
const HALF_TURN: i64 = 180_000_000;

impl Places {
    pub fn enter(&mut self, place: Option<Position>) {
        self.count(place, 1);
    }

    pub fn leave(&mut self, place: Option<Position>) {
        self.count(place, -1);
    }

    fn count(&mut self, place: Option<Position>, times: i64) {
        let Some(place) = place else { return };
        let lon = i64::from(place.lon_micro_degrees());
        self.lon += times * lon;
        self.lat += times * i64::from(place.lat_micro_degrees());
        // The date line is both its ends.
        let quarter = (lon + HALF_TURN) / QUARTER_TURN % 4;
        self.lon -= if lon == HALF_TURN {
            times * 2 * HALF_TURN
        } else {
            0
        };
        self.quarters[quarter as usize] += times;
    }

    pub fn middle(&self) -> Option<Position> {
        let count: i64 = self.quarters.iter().sum();
        if count == 0 {
            return None;
        }
        let [far_west, west, _, far_east] = self.quarters;
        let across_the_date_line = far_west > 0 && far_east > 0;
        let turned = if across_the_date_line {
            far_west + west
        } else {
            0
        };
        let lon = wrap((self.lon + turned * 2 * HALF_TURN).div_euclid(count));
        let lat = self.lat.div_euclid(count);
        Position::from_micro_degrees(lon as i32, lat as i32)
    }
}

/// A longitude brought between half a turn west and half a turn east.
fn wrap(lon: i64) -> i64 {
    (lon + HALF_TURN).rem_euclid(2 * HALF_TURN) - HALF_TURN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lon: f64, lat: f64) -> Option<Position> {
        Position::from_degrees(lon, lat)
    }

    #[test]
    fn the_middle_lies_between_across_the_date_line() {
        let mut places = Places::default();
        places.enter(at(179.0, 1.0));
        places.enter(at(-179.0, 3.0));
        assert_eq!(places.middle(), at(-180.0, 2.0));
        places.leave(at(179.0, 1.0));
        assert_eq!(places.middle(), at(-179.0, 3.0));
        places.leave(at(-179.0, 3.0));
        assert_eq!(places.middle(), None);
    }

    proptest::proptest! {
        #[test]
        fn the_middle_does_not_depend_on_the_order(
            places in proptest::prop_oneof![
                proptest::collection::vec((101.0..102.0f64, 2.0..4.0f64), 1..20),
                proptest::collection::vec((-180.0..180.0f64, -90.0..90.0f64), 1..20),
            ],
            turn in 0..20usize,
        ) {
            let middle = |places: &[(f64, f64)]| {
                let mut sum = Places::default();
                places.iter().for_each(|(lon, lat)| sum.enter(at(*lon, *lat)));
                sum.middle()
            };
            let mut turned = places.clone();
            turned.rotate_left(turn % places.len());
            proptest::prop_assert_eq!(middle(&places), middle(&turned));
        }
    }
}
