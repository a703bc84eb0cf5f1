//! What happens in the city, and what it does to a sensor's reading.
//!
//! A [`Happening`] has a beginning, an end, calls from people, and one way of reaching sensors: in
//! water, in the air, on the street, through the grid, through the ground, or as a fault of the
//! sensor itself. [`Happening::touch`] changes an [`Observation`] in place. Which happenings there
//! are, and when, is the business of `schedule.rs`.

mod air;
mod fault;
mod grid;
mod ground;
mod street;
mod water;

use super::chance::{Chance, smooth};
use super::map::{CityMap, Sensor, Site};

/// A kind of happening, as `--happenings` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HappeningKind {
    /// Rain, then the river downstream, then the streets beside it.
    Flood,
    /// Smoke and heat near by, smoke and dust downwind.
    Fire,
    /// Traffic stands on one road or a few.
    Crash,
    /// A feeder falls, and with it the signals and pumps that it supplies.
    Outage,
    /// The whole city shakes; gas leaks and outages may follow.
    Quake,
    /// Gas gathers around one place.
    Gas,
    /// Too many people in one place.
    Crowd,
    /// Sensors that are stuck, spike, flap, fall silent, come late or say everything twice.
    Faults,
}

impl HappeningKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Flood,
        Self::Fire,
        Self::Crash,
        Self::Outage,
        Self::Quake,
        Self::Gas,
        Self::Crowd,
        Self::Faults,
    ];

    /// The word on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Fire => "fire",
            Self::Crash => "crash",
            Self::Outage => "outage",
            Self::Quake => "quake",
            Self::Gas => "gas",
            Self::Crowd => "crowd",
            Self::Faults => "faults",
        }
    }
}

/// Which kinds of happenings there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happenings(u8);

impl Happenings {
    /// Every kind.
    pub const ALL: Self = Self(u8::MAX);
    /// A quiet city.
    pub const NONE: Self = Self(0);

    /// Whether this kind may happen.
    pub const fn include(self, kind: HappeningKind) -> bool {
        self.0 >> kind as u8 & 1 == 1
    }

    /// These and one more kind.
    #[must_use]
    pub const fn and(self, kind: HappeningKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }
}

impl std::str::FromStr for Happenings {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self::ALL),
            "none" => return Ok(Self::NONE),
            _ => {}
        }
        let mut chosen = Self::NONE;
        for word in text.split(',') {
            let kind = HappeningKind::ALL
                .into_iter()
                .find(|kind| kind.word() == word);
            let kind = kind.ok_or_else(|| {
                let words = HappeningKind::ALL.map(HappeningKind::word).join(", ");
                format!("nothing is called \"{word}\"; write all, none, or some of {words}")
            })?;
            chosen = chosen.and(kind);
        }
        Ok(chosen)
    }
}

/// A person's call to the call centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) at_s: f64,
    pub(super) site: Site,
    pub(super) category: &'static str,
    pub(super) text: &'static str,
}

/// One reading as it is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Observation {
    pub(super) value: f64,
    /// Nothing is sent at all.
    pub(super) silent: bool,
    /// How much later than usual it is sent.
    pub(super) late_s: f64,
    /// It is sent twice.
    pub(super) twice: bool,
}

/// Which reading of which sensor is touched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) sensor: &'a Sensor,
    /// The sensor's index in the map.
    pub(super) index: usize,
    /// Seconds since the simulation began.
    pub(super) at_s: f64,
    /// The number of the reading.
    pub(super) n: u64,
    /// Seconds between two readings of this sensor.
    pub(super) period_s: f64,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) kind: HappeningKind,
    pub(super) until_s: f64,
    /// In no particular order.
    pub(super) calls: Vec<Call>,
    /// What it sets off, and when.
    pub(super) consequences: Vec<(f64, HappeningKind)>,
    effect: Effect,
}

#[derive(Debug, Clone)]
enum Effect {
    Flood(water::Flood),
    Fire(air::Fire),
    Gas(air::GasLeak),
    Crash(street::Crash),
    Crowd(street::Crowd),
    Outage(grid::Outage),
    Quake(ground::Quake),
    Fault(fault::Fault),
}

impl Happening {
    /// Draws one of this kind that begins now; `None` if the city lacks the sensors for it.
    pub(super) fn draw(
        kind: HappeningKind,
        from_s: f64,
        map: &CityMap,
        seed: u64,
        chance: &mut Chance,
    ) -> Option<Self> {
        match kind {
            HappeningKind::Flood => water::Flood::draw(from_s, map, seed, chance),
            HappeningKind::Fire => air::Fire::draw(from_s, map, chance),
            HappeningKind::Gas => air::GasLeak::draw(from_s, map, chance),
            HappeningKind::Crash => street::Crash::draw(from_s, map, chance),
            HappeningKind::Crowd => street::Crowd::draw(from_s, map, chance),
            HappeningKind::Outage => grid::Outage::draw(from_s, map, chance),
            HappeningKind::Quake => ground::Quake::draw(from_s, map, chance),
            HappeningKind::Faults => fault::Fault::draw(from_s, map, seed, chance),
        }
    }

    /// Changes a reading of a sensor that it reaches.
    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        match &self.effect {
            Effect::Flood(flood) => flood.touch(moment, seen),
            Effect::Fire(fire) => fire.touch(moment, seen),
            Effect::Gas(leak) => leak.touch(moment, seen),
            Effect::Crash(crash) => crash.touch(moment, seen),
            Effect::Crowd(crowd) => crowd.touch(moment, seen),
            Effect::Outage(outage) => outage.touch(moment, seen),
            Effect::Quake(quake) => quake.touch(moment, seen),
            Effect::Fault(fault) => fault.touch(moment, seen),
        }
    }
}

/// How strongly something is felt over time: it comes, stays and goes.
#[derive(Debug, Clone, Copy)]
struct Course {
    from_s: f64,
    comes_s: f64,
    stays_s: f64,
    goes_s: f64,
}

impl Course {
    const fn until_s(self) -> f64 {
        self.from_s + self.comes_s + self.stays_s + self.goes_s
    }

    /// 0 before and after, 1 at its height.
    fn at(self, at_s: f64) -> f64 {
        let coming = smooth((at_s - self.from_s) / self.comes_s);
        let going = smooth((self.until_s() - at_s) / self.goes_s);
        coming.min(going)
    }

    /// The same, so much later.
    const fn later(self, by_s: f64) -> Self {
        Self {
            from_s: self.from_s + by_s,
            ..self
        }
    }
}

/// A bell over a distance: 1 in the middle, about a third at `width`.
fn bell(distance: f64, width: f64) -> f64 {
    (-(distance / width).powi(2)).exp()
}

/// What people call about.
struct CallsAbout {
    category: &'static str,
    text: &'static str,
    count: (f64, f64),
    /// They call between these, seconds since the simulation began.
    between_s: (f64, f64),
    /// How far from the place they stand, at most.
    within_m: f64,
}

impl CallsAbout {
    /// Draws the calls, each near one of the places.
    fn draw(&self, places: &[Site], chance: &mut Chance) -> Vec<Call> {
        let count = chance.between(self.count.0, self.count.1).round() as usize;
        (0..count)
            .filter_map(|_| self.draw_one(places, chance))
            .collect()
    }

    fn draw_one(&self, places: &[Site], chance: &mut Chance) -> Option<Call> {
        let place = *chance.pick(places)?;
        let east = chance.between(-self.within_m, self.within_m);
        let north = chance.between(-self.within_m, self.within_m);
        let at_s = chance.between(self.between_s.0, self.between_s.1);
        let site = place.moved(east, north);
        Some(Call {
            at_s,
            site,
            category: self.category,
            text: self.text,
        })
    }
}

/// A sensor of this kind, drawn.
fn any_sensor<'a>(
    map: &'a CityMap,
    physics: super::normal::Physics,
    chance: &mut Chance,
) -> Option<(usize, &'a Sensor)> {
    let index = *chance.pick(&map.of(physics))?;
    Some((index, &map.sensors[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_chosen_by_their_words() {
        let chosen: Happenings = "flood,fire".parse().unwrap();
        assert!(chosen.include(HappeningKind::Flood) && !chosen.include(HappeningKind::Quake));
        assert_eq!("all".parse(), Ok(Happenings::ALL));
        assert_eq!("none".parse(), Ok(Happenings::NONE));
        assert!(
            "flood,war"
                .parse::<Happenings>()
                .unwrap_err()
                .contains("crowd")
        );
    }

    #[test]
    fn a_course_comes_stays_and_goes() {
        let course = Course {
            from_s: 10.0,
            comes_s: 10.0,
            stays_s: 20.0,
            goes_s: 5.0,
        };
        let at = |s| course.at(s);
        assert_eq!(
            [at(9.0), at(15.0), at(20.0), at(39.0), at(46.0)],
            [0.0, 0.5, 1.0, 1.0, 0.0]
        );
        assert_eq!(course.later(5.0).at(20.0), 0.5);
    }
}
