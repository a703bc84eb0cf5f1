//! The middle of places, in exact integers.
//!
//! Promise: it depends neither on the order in which places enter nor on those that left.

use crate::place::Position;

/// The sum of places, from which members can be taken out again.
///
/// Longitudes are summed as offsets from the first, the short way round, so that the middle of
/// what lies on both sides of the date line lies between.
#[derive(Debug, Default)]
pub(super) struct Places {
    anchor: i64,
    lon: i64,
    lat: i64,
    count: i64,
}

const HALF_TURN: i64 = 180_000_000;

impl Places {
    pub fn enter(&mut self, place: Option<Position>) {
        let Some(place) = place else { return };
        if self.count == 0 {
            self.anchor = i64::from(place.lon_micro_degrees());
        }
        self.lon += self.offset(place);
        self.lat += i64::from(place.lat_micro_degrees());
        self.count += 1;
    }

    pub fn leave(&mut self, place: Option<Position>) {
        let Some(place) = place else { return };
        self.lon -= self.offset(place);
        self.lat -= i64::from(place.lat_micro_degrees());
        self.count -= 1;
    }

    fn offset(&self, place: Position) -> i64 {
        wrap(i64::from(place.lon_micro_degrees()) - self.anchor)
    }

    pub fn middle(&self) -> Option<Position> {
        if self.count == 0 {
            return None;
        }
        let lon = wrap(self.anchor + self.lon.div_euclid(self.count));
        let lat = self.lat.div_euclid(self.count);
        Position::from_micro_degrees(lon as i32, lat as i32)
    }
}

/// A longitude or a difference of two, brought between half a turn west and half a turn east.
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
            places in proptest::collection::vec((101.0..102.0f64, 2.0..4.0f64), 1..20),
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
