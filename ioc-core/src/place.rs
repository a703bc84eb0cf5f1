//! Where things are: points in integer micro-degrees, and distances in whole metres.
//!
//! Arrives: GeoJSON degrees (RFC 7946 section 3.1.1: longitude, then latitude). Leaves: points
//! that compare exactly and distances that are the same on every machine. Promise: no float
//! function of `libm` is called; up to 100 km and 70° of latitude a distance is within 0.5 % of
//! the haversine's. Next: `reading.rs`.

/// A point on the earth (WGS 84), in micro-degrees; one is at most 0.12 m.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    lon_udeg: i32,
    lat_udeg: i32,
}

const HALF_TURN: i64 = 180_000_000;
const FULL_TURN: i64 = 360_000_000;
/// Millimetres in a micro-degree of a great circle of the mean earth (radius 6,371,008.8 m),
/// times 1,000.
const UM_PER_UDEG: i64 = 111_195;
/// Two squares of less than this many millimetres (2,147 km) add up without overflow; what is
/// farther is measured in metres.
const SQUARES_FIT_MM: u64 = 1 << 31;

impl Position {
    /// Before all others, in the order by which they are sorted.
    pub(crate) const MIN: Self = Self {
        lon_udeg: -180_000_000,
        lat_udeg: -90_000_000,
    };
    /// After all others.
    pub(crate) const MAX: Self = Self {
        lon_udeg: 180_000_000,
        lat_udeg: 90_000_000,
    };

    /// The point at these micro-degrees; `None` beyond ±180° of longitude or ±90° of latitude.
    pub const fn from_micro_degrees(lon_udeg: i32, lat_udeg: i32) -> Option<Self> {
        if lon_udeg.unsigned_abs() <= 180_000_000 && lat_udeg.unsigned_abs() <= 90_000_000 {
            Some(Self { lon_udeg, lat_udeg })
        } else {
            None
        }
    }

    /// The point at these degrees, rounded to the nearest micro-degree; `None` beyond the globe.
    pub fn from_degrees(lon: f64, lat: f64) -> Option<Self> {
        if !(lon.abs() <= 180.0 && lat.abs() <= 90.0) {
            return None;
        }
        let round = |degrees: f64| (degrees * 1e6 + 0.5f64.copysign(degrees)) as i32;
        Self::from_micro_degrees(round(lon), round(lat))
    }

    /// Longitude, in micro-degrees east of Greenwich.
    pub const fn lon_micro_degrees(self) -> i32 {
        self.lon_udeg
    }

    /// Latitude, in micro-degrees north of the equator.
    pub const fn lat_micro_degrees(self) -> i32 {
        self.lat_udeg
    }

    /// Longitude and latitude in degrees, as GeoJSON orders them.
    pub fn to_degrees(self) -> [f64; 2] {
        [
            f64::from(self.lon_udeg) / 1e6,
            f64::from(self.lat_udeg) / 1e6,
        ]
    }

    /// The distance in metres, across the date line where that is shorter.
    ///
    /// Equirectangular with the cosine at the middle latitude: exact enough for what one city or
    /// one river basin asks, cheap enough to ask for every reading.
    pub fn distance_m(self, other: Self) -> u32 {
        self.apart(other).metres()
    }

    /// The distance to the farthest of these. Roots are drawn of two squares only.
    pub fn farthest_m(self, others: impl Iterator<Item = Self>) -> u32 {
        let mut farthest = [Apart::SquareMm(0), Apart::SquareM(0)];
        for other in others {
            let apart = self.apart(other);
            let most = &mut farthest[usize::from(matches!(apart, Apart::SquareM(_)))];
            *most = (*most).max(apart);
        }
        let [near, far] = farthest.map(Apart::metres);
        near.max(far)
    }

    fn apart(self, other: Self) -> Apart {
        let lat = i64::from(self.lat_udeg) - i64::from(other.lat_udeg);
        let mut lon = (i64::from(self.lon_udeg) - i64::from(other.lon_udeg)).abs();
        if lon > HALF_TURN {
            lon = FULL_TURN - lon;
        }
        let middle = (i64::from(self.lat_udeg) + i64::from(other.lat_udeg)) / 2;
        let north_mm = lat * UM_PER_UDEG / 1000;
        let east_mm = lon * UM_PER_UDEG / 1000 * cosine_millionths(middle) / 1_000_000;
        let (north, east) = (north_mm.unsigned_abs(), east_mm.unsigned_abs());
        if (north | east) < SQUARES_FIT_MM {
            Apart::SquareMm(north * north + east * east)
        } else {
            let (north, east) = (north / 1000, east / 1000);
            Apart::SquareM(north * north + east * east)
        }
    }
}

/// The square of a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Apart {
    /// In millimetres, where these fit.
    SquareMm(u64),
    SquareM(u64),
}

impl Apart {
    fn metres(self) -> u32 {
        match self {
            Self::SquareMm(square) => ((root(square) + 500) / 1000) as u32,
            Self::SquareM(square) => root(square) as u32,
        }
    }
}

/// The integer below the root. That of a float is exact to its last bit on every machine (IEEE 754,
/// section 5.4.1) and a fifth of the work; what is lost by the conversions is made good.
fn root(square: u64) -> u64 {
    let mut root = (square as f64).sqrt() as u64;
    while root * root > square {
        root -= 1;
    }
    while (root + 1) * (root + 1) <= square {
        root += 1;
    }
    root
}

/// The cosine of a latitude in micro-degrees, in millionths: a table by degree, linear between;
/// off by at most 40 millionths.
pub(crate) fn cosine_millionths(lat_udeg: i64) -> i64 {
    let lat = lat_udeg.unsigned_abs() as usize;
    let (degree, rest) = (lat / 1_000_000, (lat % 1_000_000) as i64);
    let here = i64::from(COSINES[degree]);
    let next = i64::from(COSINES[(degree + 1).min(90)]);
    here - (here - next) * rest / 1_000_000
}

/// Cosines of 0° to 90°, in millionths.
#[rustfmt::skip]
const COSINES: [u32; 91] = [
    1000000, 999848, 999391, 998630, 997564, 996195, 994522, 992546, 990268, 987688,
    984808, 981627, 978148, 974370, 970296, 965926, 961262, 956305, 951057, 945519,
    939693, 933580, 927184, 920505, 913545, 906308, 898794, 891007, 882948, 874620,
    866025, 857167, 848048, 838671, 829038, 819152, 809017, 798636, 788011, 777146,
    766044, 754710, 743145, 731354, 719340, 707107, 694658, 681998, 669131, 656059,
    642788, 629320, 615661, 601815, 587785, 573576, 559193, 544639, 529919, 515038,
    500000, 484810, 469472, 453990, 438371, 422618, 406737, 390731, 374607, 358368,
    342020, 325568, 309017, 292372, 275637, 258819, 241922, 224951, 207912, 190809,
    173648, 156434, 139173, 121869, 104528, 87156, 69756, 52336, 34899, 17452,
    0,
];

/// An area with one outer ring, for zones. Holes are not modelled: zones of a city have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polygon {
    ring: Vec<Position>,
    south_west: Position,
    north_east: Position,
}

impl Polygon {
    /// The area within a closed ring (first point = last, at least four); `None` for others.
    pub fn new(ring: Vec<Position>) -> Option<Self> {
        if ring.len() < 4 || ring.first() != ring.last() {
            return None;
        }
        let lon = |p: &Position| p.lon_udeg;
        let lat = |p: &Position| p.lat_udeg;
        let south_west = Position {
            lon_udeg: ring.iter().map(lon).min()?,
            lat_udeg: ring.iter().map(lat).min()?,
        };
        let north_east = Position {
            lon_udeg: ring.iter().map(lon).max()?,
            lat_udeg: ring.iter().map(lat).max()?,
        };
        Some(Self {
            ring,
            south_west,
            north_east,
        })
    }

    /// Whether the point lies within: the even–odd rule in exact integers. A point on a shared
    /// border lies in exactly one of the two areas.
    pub fn contains(&self, point: Position) -> bool {
        let outside = point.lon_udeg < self.south_west.lon_udeg
            || point.lon_udeg > self.north_east.lon_udeg
            || point.lat_udeg < self.south_west.lat_udeg
            || point.lat_udeg > self.north_east.lat_udeg;
        if outside {
            return false;
        }
        let crossings = self
            .ring
            .windows(2)
            .filter(|edge| crosses_eastward(point, edge[0], edge[1]));
        crossings.count() % 2 == 1
    }

    /// The ring, closed.
    pub fn ring(&self) -> &[Position] {
        &self.ring
    }
}

/// Whether the ray from `point` to the east crosses the edge.
fn crosses_eastward(point: Position, from: Position, to: Position) -> bool {
    if (from.lat_udeg > point.lat_udeg) == (to.lat_udeg > point.lat_udeg) {
        return false;
    }
    let (low, high) = if from.lat_udeg < to.lat_udeg {
        (from, to)
    } else {
        (to, from)
    };
    let wide = |a: i32, b: i32| i64::from(a) - i64::from(b);
    let cross = wide(high.lon_udeg, low.lon_udeg) * wide(point.lat_udeg, low.lat_udeg)
        - wide(point.lon_udeg, low.lon_udeg) * wide(high.lat_udeg, low.lat_udeg);
    cross > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lon: f64, lat: f64) -> Position {
        Position::from_degrees(lon, lat).unwrap()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the tests' measure, compared within a tolerance; no decision depends on it"
    )]
    fn haversine_m(a: Position, b: Position) -> f64 {
        let ([lon_a, lat_a], [lon_b, lat_b]) = (
            a.to_degrees().map(f64::to_radians),
            b.to_degrees().map(f64::to_radians),
        );
        let half = |x: f64| (x / 2.0).sin().powi(2);
        let h = half(lat_b - lat_a) + lat_a.cos() * lat_b.cos() * half(lon_b - lon_a);
        2.0 * 6_371_008.8 * h.sqrt().asin()
    }

    #[test]
    fn refuses_what_is_not_on_the_globe() {
        assert_eq!(Position::from_degrees(180.1, 0.0), None);
        assert_eq!(Position::from_degrees(0.0, -90.000_1), None);
        assert_eq!(Position::from_degrees(f64::NAN, 0.0), None);
        assert_eq!(Position::from_degrees(0.0, f64::INFINITY), None);
    }

    #[test]
    fn knows_the_way_across_the_date_line() {
        assert_eq!(at(179.999, 0.0).distance_m(at(-179.999, 0.0)), 222);
    }

    #[test]
    fn measures_from_pole_to_pole() {
        assert_eq!(at(0.0, 90.0).distance_m(at(0.0, -90.0)), 20_015_100);
        let (below, above) = (
            at(0.0, 0.0).distance_m(at(0.0, 19.31)),
            at(0.0, 0.0).distance_m(at(0.0, 19.32)),
        );
        assert_eq!((below, above), (2_147_175, 2_148_287));
    }

    #[test]
    fn a_zone_holds_what_lies_within_and_shares_no_point() {
        let square = |west: f64| {
            let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
            Polygon::new(corners.iter().map(|(x, y)| at(west + x, *y)).collect()).unwrap()
        };
        let (left, right) = (square(0.0), square(1.0));
        assert!(left.contains(at(0.5, 0.5)) && !right.contains(at(0.5, 0.5)));
        let shared = at(1.0, 0.5);
        assert!(left.contains(shared) != right.contains(shared));
        assert!(!left.contains(at(0.5, 1.5)));
        assert_eq!(
            Polygon::new(vec![at(0.0, 0.0), at(1.0, 0.0), at(0.0, 0.0)]),
            None
        );
    }

    proptest::proptest! {
        #[test]
        fn distance_is_within_its_stated_error(
            lon in -180.0..180.0f64, lat in -69.0..69.0f64, dx in -0.3..0.3f64, dy in -0.6..0.6f64,
        ) {
            let a = at(lon, lat);
            let b = at((lon + dx).clamp(-180.0, 180.0), lat + dy);
            let (got, want) = (f64::from(a.distance_m(b)), haversine_m(a, b));
            proptest::prop_assert!((got - want).abs() <= want * 0.005 + 1.0, "{got} {want}");
            proptest::prop_assert_eq!(a.distance_m(b), b.distance_m(a));
        }

        #[test]
        fn a_root_is_the_integer_below_it(side in 0..1_u64 << 31, less in 0..3_u64) {
            for square in [side * side, (side * side).saturating_sub(less), side * side + less, side] {
                proptest::prop_assert_eq!(root(square), square.isqrt());
            }
        }

        #[test]
        fn the_farthest_is_as_far_as_the_farthest_by_itself(
            near in proptest::collection::vec((101.0..101.2f64, 3.0..3.2f64), 0..20),
            far in proptest::collection::vec((-180.0..=180.0f64, -90.0..=90.0f64), 0..3),
        ) {
            let here = at(101.1, 3.1);
            let places: Vec<_> = near.iter().chain(&far).map(|(lon, lat)| at(*lon, *lat)).collect();
            let farthest = places.iter().map(|place| here.distance_m(*place)).max();
            let found = here.farthest_m(places.into_iter());
            proptest::prop_assert_eq!(found, farthest.unwrap_or(0));
        }

        #[test]
        fn any_two_places_are_some_distance_apart(
            a in (-180.0..=180.0f64, -90.0..=90.0f64), b in (-180.0..=180.0f64, -90.0..=90.0f64),
        ) {
            let (a, b) = (at(a.0, a.1), at(b.0, b.1));
            let apart = a.distance_m(b);
            proptest::prop_assert_eq!(apart, b.distance_m(a));
            let north = u64::from(a.lat_udeg.abs_diff(b.lat_udeg)) * UM_PER_UDEG as u64 / 1_000_000;
            proptest::prop_assert!(u64::from(apart) + 1 >= north, "{apart} {north}");
        }
    }
}
