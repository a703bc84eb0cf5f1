//! A flood: rain over the upper river; about ten minutes later the river rises there, and the wave
//! runs downstream; about five minutes after the river, the streets beside it.

use super::super::chance::Chance;
use super::super::map::{Bank, CityMap, Reach, Sensor, Site};
use super::super::normal::Physics;
use super::{CallsAbout, Course, Effect, Happening, HappeningKind, Moment, Observation, bell};

const RIVER_AFTER_RAIN_S: f64 = 600.0;
const STREET_AFTER_RIVER_S: f64 = 300.0;
/// How fast the crest of the wave runs.
const WAVE_M_PER_S: f64 = 3.0;
/// The wave flattens to about a third over this way.
const WAVE_LASTS_M: f64 = 9000.0;
/// Gauges so far upstream of the middle rise too, and those of no river within it.
const UPSTREAM_M: f64 = 400.0;
const RAIN_WIDTH_M: f64 = 2600.0;
const STREET_WIDTH_M: f64 = 600.0;
/// The water is in the streets from this share of the danger level on.
const BANKS: f64 = 0.55;

#[derive(Debug, Clone)]
pub(super) struct Flood {
    rain_at: Site,
    rain: Course,
    rain_mm_per_h: f64,
    wave: Course,
    /// How high the wave is where it begins: 1 is the danger level.
    height: f64,
    /// How it reaches each sensor, if it does.
    reached: Vec<Option<Reached>>,
    usual: Vec<f64>,
}

/// When and how strongly a sensor feels the wave.
#[derive(Debug, Clone, Copy)]
struct Reached {
    delay_s: f64,
    /// How much of the wave's height is left there.
    share: f64,
    /// How much of what leaves the banks gets there: less away from the river.
    wet: f64,
}

impl Flood {
    pub(super) fn draw(
        from_s: f64,
        map: &CityMap,
        seed: u64,
        chance: &mut Chance,
    ) -> Option<Happening> {
        let gauge = &map.sensors[*chance.pick(&map.of(Physics::WaterLevel))?];
        let source = on_river(gauge.bank).map(|reach| Reach {
            // In the upper half, so that there is a way to run.
            along_m: map.rivers[reach.river].length_m * chance.between(0.05, 0.5),
            ..reach
        });
        let middle = source.map_or(gauge.site, |reach| {
            map.rivers[reach.river].site_at(reach.along_m)
        });
        let flood = Self {
            rain_at: middle.moved(chance.between(-600.0, 600.0), chance.between(-200.0, 900.0)),
            rain: Course {
                from_s,
                comes_s: 240.0,
                stays_s: 1500.0,
                goes_s: 480.0,
            },
            rain_mm_per_h: chance.between(70.0, 95.0),
            wave: Course {
                from_s: from_s + RIVER_AFTER_RAIN_S,
                comes_s: 480.0,
                stays_s: chance.between(1500.0, 2400.0),
                goes_s: 2700.0,
            },
            height: chance.between(1.1, 1.35),
            reached: map
                .sensors
                .iter()
                .map(|each| reach(map, source, middle, each))
                .collect(),
            usual: map.sensors.iter().map(|each| each.usual(seed)).collect(),
        };
        Some(flood.into_happening(map, chance))
    }

    fn into_happening(self, map: &CityMap, chance: &mut Chance) -> Happening {
        let longest_s = self.reached.iter().flatten().map(|reached| reached.delay_s);
        let last_s = self.wave.until_s() + longest_s.fold(0.0, f64::max) + STREET_AFTER_RIVER_S;
        let wet: Vec<Site> = (map.sensors.iter().zip(&self.reached))
            .filter(|(each, _)| each.physics == Physics::StreetWater)
            .filter(|(_, reached)| reached.is_some_and(|it| it.share * it.wet > 0.35))
            .map(|(each, _)| each.site)
            .collect();
        let begins_s = self.wave.from_s + STREET_AFTER_RIVER_S;
        let calls = CallsAbout {
            category: "flood",
            text: "water in the street",
            count: (10.0, 18.0),
            between_s: (begins_s + 120.0, begins_s + 2400.0),
            within_m: 300.0,
        };
        Happening {
            kind: HappeningKind::Flood,
            until_s: last_s,
            calls: calls.draw(&wet, chance),
            consequences: Vec::new(),
            effect: Effect::Flood(self),
        }
    }

    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        let Moment { sensor, at_s, .. } = moment;
        if sensor.physics == Physics::Rainfall {
            let near = bell(sensor.site.distance_m(self.rain_at), RAIN_WIDTH_M);
            seen.value += self.rain_mm_per_h * near * self.rain.at(at_s);
            return;
        }
        let Some(Reached {
            delay_s,
            share,
            wet,
        }) = self.reached[moment.index]
        else {
            return;
        };
        let wave = share * self.height * self.wave.later(delay_s).at(at_s);
        let in_the_street = wet * ((wave - BANKS) / (1.0 - BANKS)).max(0.0);
        match sensor.physics {
            Physics::WaterLevel => {
                seen.value += (sensor.danger - self.usual[moment.index]) * wave;
            }
            Physics::StreetWater => seen.value += 1.6 * sensor.danger * in_the_street,
            // Cars drive slowly through water, but they drive.
            Physics::TrafficSpeed => seen.value *= 1.0 - 0.35 * in_the_street.min(1.0),
            _ => {}
        }
    }
}

fn on_river(bank: Option<Bank>) -> Option<Reach> {
    bank.filter(|bank| bank.distance_m < 300.0)
        .map(|bank| bank.reach)
}

/// When and how strongly a sensor feels the wave.
fn reach(map: &CityMap, source: Option<Reach>, middle: Site, sensor: &Sensor) -> Option<Reached> {
    let run_m = match source {
        Some(source) => {
            let above = Reach {
                along_m: (source.along_m - UPSTREAM_M).max(0.0),
                ..source
            };
            map.downstream_m(above, sensor.bank?.reach)?
        }
        None => middle.distance_m(sensor.site),
    };
    let aside_m = sensor.bank.map_or(run_m, |bank| bank.distance_m);
    let after_river_s = match sensor.physics {
        Physics::WaterLevel => 0.0,
        Physics::StreetWater => STREET_AFTER_RIVER_S,
        Physics::TrafficSpeed if aside_m < STREET_WIDTH_M => STREET_AFTER_RIVER_S,
        _ => return None,
    };
    Some(Reached {
        delay_s: run_m / WAVE_M_PER_S + after_river_s,
        share: (-run_m / WAVE_LASTS_M).exp(),
        wet: bell(aside_m, STREET_WIDTH_M),
    })
}
