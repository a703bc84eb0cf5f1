//! An outage: a feeder falls, the signals and pumps that it supplies say so as long as their
//! batteries do, and some of the sensors around it fall silent.

use super::super::chance::Chance;
use super::super::map::CityMap;
use super::super::normal::Physics;
use super::{CallsAbout, Course, Effect, Happening, HappeningKind, Moment, Observation};

/// Sensors of other kinds so near the feeder may hang on it.
const NEIGHBOURHOOD_M: f64 = 900.0;

/// An outage of one feeder.
#[derive(Debug, Clone)]
pub(super) struct Outage {
    course: Course,
    feeder: usize,
    /// Sensors without a battery.
    silent: Vec<usize>,
}

impl Outage {
    pub(super) fn draw(from_s: f64, map: &CityMap, chance: &mut Chance) -> Option<Happening> {
        let feeder = *chance.pick(&map.of(Physics::Feeder))?;
        let at = map.sensors[feeder].site;
        let mut silent = Vec::new();
        for (index, sensor) in map.sensors.iter().enumerate() {
            let is_near = sensor.site.distance_m(at) < NEIGHBOURHOOD_M;
            let probability = if sensor.fed_by == Some(feeder) {
                0.15
            } else {
                0.2
            };
            let may_hang_on_it = sensor.fed_by == Some(feeder) || (is_near && index != feeder);
            if may_hang_on_it && chance.happens(probability) {
                silent.push(index);
            }
        }
        let stays_s = chance.between(900.0, 2400.0);
        let course = Course {
            from_s,
            comes_s: 4.0,
            stays_s,
            goes_s: 30.0,
        };
        let calls = CallsAbout {
            category: "outage",
            text: "no electricity",
            count: (3.0, 9.0),
            between_s: (from_s + 60.0, from_s + 900.0),
            within_m: 700.0,
        };
        Some(Happening {
            kind: HappeningKind::Outage,
            until_s: course.until_s(),
            calls: calls.draw(&[at], chance),
            consequences: Vec::new(),
            effect: Effect::Outage(Self {
                course,
                feeder,
                silent,
            }),
        })
    }

    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        let share = self.course.at(moment.at_s);
        if share <= 0.0 {
            return;
        }
        if moment.index == self.feeder {
            seen.value *= 1.0 - 0.99 * share;
        } else if self.silent.contains(&moment.index) {
            seen.silent = true;
        } else if moment.sensor.fed_by == Some(self.feeder) {
            seen.value = 0.0;
        }
    }
}
