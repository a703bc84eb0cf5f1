//! What spreads in the air: a fire with its plume downwind, and a gas leak.

use super::super::chance::Chance;
use super::super::map::{CityMap, Sensor, Site};
use super::super::normal::Physics;
use super::{CallsAbout, Course, Effect, Happening, HappeningKind, Moment, Observation};
use super::{any_sensor, bell};

const HEAT_WIDTH_M: f64 = 220.0;
const SMOKE_WIDTH_M: f64 = 380.0;
const LEAK_WIDTH_M: f64 = 280.0;

/// A fire.
#[derive(Debug, Clone)]
pub(super) struct Fire {
    at: Site,
    /// Where the wind blows to: a direction of length 1.
    wind: [f64; 2],
    course: Course,
    strength: f64,
}

impl Fire {
    pub(super) fn draw(from_s: f64, map: &CityMap, chance: &mut Chance) -> Option<Happening> {
        let nearest = well_watched(map, chance)?;
        let at = nearest
            .site
            .moved(chance.between(-60.0, 60.0), chance.between(-60.0, 60.0));
        let (north, east) = chance.between(0.0, std::f64::consts::TAU).sin_cos();
        let stays_s = chance.between(1200.0, 2100.0);
        let course = Course {
            from_s,
            comes_s: 240.0,
            stays_s,
            goes_s: 600.0,
        };
        let calls = CallsAbout {
            category: "fire",
            text: "smoke and flames",
            count: (3.0, 8.0),
            between_s: (from_s + 90.0, from_s + 900.0),
            within_m: 250.0,
        };
        let fire = Self {
            at,
            wind: [east, north],
            course,
            strength: chance.between(0.9, 1.3),
        };
        Some(Happening {
            kind: HappeningKind::Fire,
            until_s: course.until_s(),
            calls: calls.draw(&[at], chance),
            consequences: Vec::new(),
            effect: Effect::Fire(fire),
        })
    }

    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        let strength = self.strength * self.course.at(moment.at_s);
        if strength <= 0.0 {
            return;
        }
        let site = moment.sensor.site;
        let distance_m = site.distance_m(self.at);
        match moment.sensor.physics {
            Physics::Temperature => seen.value += 62.0 * strength * bell(distance_m, HEAT_WIDTH_M),
            Physics::Smoke => {
                let near = bell(distance_m, SMOKE_WIDTH_M);
                seen.value += strength * (13.0 * near + 9.0 * self.plume(site, 1200.0));
            }
            Physics::Pm25 => {
                let near = bell(distance_m, 2.0 * SMOKE_WIDTH_M);
                seen.value += strength * (180.0 * near + 190.0 * self.plume(site, 2000.0));
            }
            _ => {}
        }
    }

    /// How much of the plume is there: it widens and thins out downwind.
    fn plume(&self, site: Site, length_m: f64) -> f64 {
        let (east, north) = (site.east_m - self.at.east_m, site.north_m - self.at.north_m);
        let downwind_m = east * self.wind[0] + north * self.wind[1];
        if downwind_m <= 0.0 {
            return 0.0;
        }
        let aside_m = east * self.wind[1] - north * self.wind[0];
        (-downwind_m / length_m).exp() * bell(aside_m, 90.0 + 0.25 * downwind_m)
    }
}

/// A smoke sensor among the best accompanied of a few: a fire that one sensor alone sees is hard to
/// tell from a fault, also for people.
fn well_watched<'a>(map: &'a CityMap, chance: &mut Chance) -> Option<&'a Sensor> {
    const CANDIDATES: usize = 5;
    let company = |at: &Sensor| {
        let near = |other: &&Sensor| other.site.distance_m(at.site) < SMOKE_WIDTH_M;
        let sees = |other: &&Sensor| matches!(other.physics, Physics::Smoke | Physics::Temperature);
        map.sensors.iter().filter(near).filter(sees).count()
    };
    let candidates: Vec<&Sensor> = (0..CANDIDATES)
        .filter_map(|_| any_sensor(map, Physics::Smoke, chance))
        .map(|(_, sensor)| sensor)
        .collect();
    candidates.into_iter().max_by_key(|sensor| company(sensor))
}

/// A gas leak.
#[derive(Debug, Clone)]
pub(super) struct GasLeak {
    at: Site,
    course: Course,
    height_lel: f64,
}

impl GasLeak {
    pub(super) fn draw(from_s: f64, map: &CityMap, chance: &mut Chance) -> Option<Happening> {
        let (_, nearest) = any_sensor(map, Physics::Gas, chance)?;
        let at = nearest
            .site
            .moved(chance.between(-80.0, 80.0), chance.between(-80.0, 80.0));
        let stays_s = chance.between(900.0, 1800.0);
        let course = Course {
            from_s,
            comes_s: 180.0,
            stays_s,
            goes_s: 420.0,
        };
        let calls = CallsAbout {
            category: "gas_leak",
            text: "smell of gas",
            count: (2.0, 6.0),
            between_s: (from_s + 120.0, from_s + 900.0),
            within_m: 250.0,
        };
        Some(Happening {
            kind: HappeningKind::Gas,
            until_s: course.until_s(),
            calls: calls.draw(&[at], chance),
            consequences: Vec::new(),
            effect: Effect::Gas(Self {
                at,
                course,
                height_lel: chance.between(28.0, 48.0),
            }),
        })
    }

    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        if moment.sensor.physics == Physics::Gas {
            let near = bell(moment.sensor.site.distance_m(self.at), LEAK_WIDTH_M);
            seen.value += self.height_lel * near * self.course.at(moment.at_s);
        }
    }
}
