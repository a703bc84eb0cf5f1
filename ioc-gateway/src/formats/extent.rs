//! Where something lies that is no point: in the middle of what it covers.
//!
//! Arrives: corners, one by one. Leaves: the middle of the smallest box around them, and how far it
//! is from there to a corner of that box. A box that is narrower across the 180th meridian is taken
//! across it.

use ioc_core::place::Position;

/// A circle around the earth, in micro-degrees.
const AROUND: i64 = 360_000_000;

/// The smallest box around some places.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Extent(Option<Sides>);

#[derive(Debug, Clone, Copy)]
struct Sides {
    lat: Span,
    /// From the meridian of Greenwich both ways.
    lon: Span,
    /// All of it eastwards.
    lon_eastwards: Span,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
}

impl Span {
    const fn of(at: i64) -> Self {
        Self { from: at, to: at }
    }

    fn add(&mut self, at: i64) {
        self.from = self.from.min(at);
        self.to = self.to.max(at);
    }

    const fn length(self) -> i64 {
        self.to - self.from
    }

    const fn middle(self) -> i64 {
        self.from + self.length() / 2
    }
}

impl Extent {
    /// Takes in a place.
    pub fn add(&mut self, place: Position) {
        let lat = i64::from(place.lat_micro_degrees());
        let lon = i64::from(place.lon_micro_degrees());
        let eastwards = lon.rem_euclid(AROUND);
        match &mut self.0 {
            None => {
                self.0 = Some(Sides {
                    lat: Span::of(lat),
                    lon: Span::of(lon),
                    lon_eastwards: Span::of(eastwards),
                });
            }
            Some(sides) => {
                sides.lat.add(lat);
                sides.lon.add(lon);
                sides.lon_eastwards.add(eastwards);
            }
        }
    }

    /// The middle; `None` if there was no place.
    pub fn middle(self) -> Option<Position> {
        let sides = self.0?;
        place(sides.lat.middle(), sides.lon().middle())
    }

    /// How far the corners of the box are from its middle.
    pub fn radius_m(self) -> Option<u32> {
        let sides = self.0?;
        let corner = place(sides.lat.from, sides.lon().from)?;
        Some(corner.distance_m(self.middle()?))
    }
}

impl Sides {
    fn lon(self) -> Span {
        if self.lon_eastwards.length() < self.lon.length() {
            self.lon_eastwards
        } else {
            self.lon
        }
    }
}

fn place(lat: i64, lon: i64) -> Option<Position> {
    let half = AROUND / 2;
    let lon = if lon > half { lon - AROUND } else { lon };
    Position::from_micro_degrees(i32::try_from(lon).ok()?, i32::try_from(lat).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(degrees: &[(f64, f64)]) -> Extent {
        let mut extent = Extent::default();
        for (lon, lat) in degrees {
            extent.add(Position::from_degrees(*lon, *lat).unwrap());
        }
        extent
    }

    fn middle(degrees: &[(f64, f64)]) -> Option<[f64; 2]> {
        Some(extent(degrees).middle()?.to_degrees())
    }

    #[test]
    fn the_middle_is_that_of_the_smallest_box() {
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[(101.6, 3.1)]), Some([101.6, 3.1]));
        let triangle = [(101.0, 3.0), (102.0, 3.0), (101.0, 4.0)];
        assert_eq!(middle(&triangle), Some([101.5, 3.5]));
        let fiji = [(177.0, -18.0), (-178.0, -17.0)];
        assert_eq!(middle(&fiji), Some([179.5, -17.5]));
        let beyond = [(179.0, -18.0), (-177.0, -18.0)];
        assert_eq!(middle(&beyond), Some([-179.0, -18.0]));
        assert_eq!(middle(&[(-1.0, 51.0), (1.0, 51.0)]), Some([0.0, 51.0]));
    }

    #[test]
    fn the_radius_reaches_the_corners() {
        assert_eq!(extent(&[(101.6, 3.1)]).radius_m(), Some(0));
        // A degree of latitude is 111 km.
        let radius = extent(&[(101.0, 3.0), (101.0, 5.0)]).radius_m().unwrap();
        assert!((110_000..112_500).contains(&radius), "{radius}");
    }
}
