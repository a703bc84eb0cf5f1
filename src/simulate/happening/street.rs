//! What happens on the street: a crash that stops the traffic, and too many people in one place.

use super::super::chance::Chance;
use super::super::map::{CityMap, Site};
use super::super::normal::Physics;
use super::{CallsAbout, Course, Effect, Happening, HappeningKind, Moment, Observation};
use super::{any_sensor, bell};

/// Road sensors so near a crash see the queue, or not.
const QUEUE_M: f64 = 700.0;
const CROWD_WIDTH_M: f64 = 350.0;

/// A crash: the traffic stands at one road sensor, and perhaps at others near by.
#[derive(Debug, Clone)]
pub(super) struct Crash {
    course: Course,
    /// The sensors that see it, and the speed that they see.
    seen_by: Vec<(usize, f64)>,
}

impl Crash {
    pub(super) fn draw(from_s: f64, map: &CityMap, chance: &mut Chance) -> Option<Happening> {
        let roads = map.of(Physics::TrafficSpeed);
        let first = *chance.pick(&roads)?;
        let at = map.sensors[first].site;
        let mut seen_by = Vec::new();
        for road in roads {
            let is_near = map.sensors[road].site.distance_m(at) < QUEUE_M;
            if road == first || (is_near && chance.happens(0.5)) {
                seen_by.push((road, chance.between(2.0, 5.0)));
            }
        }
        let stays_s = chance.between(480.0, 1500.0);
        let course = Course {
            from_s,
            comes_s: 30.0,
            stays_s,
            goes_s: 240.0,
        };
        let calls = CallsAbout {
            category: "crash",
            text: "road collision",
            count: (1.0, 4.0),
            between_s: (from_s + 60.0, from_s + 480.0),
            within_m: 120.0,
        };
        Some(Happening {
            kind: HappeningKind::Crash,
            until_s: course.until_s(),
            calls: calls.draw(&[at], chance),
            consequences: Vec::new(),
            effect: Effect::Crash(Self { course, seen_by }),
        })
    }

    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        let felt = self
            .seen_by
            .iter()
            .find(|(index, _)| *index == moment.index);
        if let Some((_, speed)) = felt {
            let share = self.course.at(moment.at_s);
            seen.value += (speed - seen.value) * share;
        }
    }
}

/// Too many people in one place.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    at: Site,
    course: Course,
    height: f64,
}

impl Crowd {
    pub(super) fn draw(from_s: f64, map: &CityMap, chance: &mut Chance) -> Option<Happening> {
        let (_, place) = any_sensor(map, Physics::CrowdDensity, chance)?;
        let stays_s = chance.between(600.0, 1200.0);
        let course = Course {
            from_s,
            comes_s: 480.0,
            stays_s,
            goes_s: 600.0,
        };
        let calls = CallsAbout {
            category: "crowd_crush",
            text: "people crushed",
            count: (2.0, 6.0),
            between_s: (from_s + 420.0, from_s + 1200.0),
            within_m: 150.0,
        };
        Some(Happening {
            kind: HappeningKind::Crowd,
            until_s: course.until_s(),
            calls: calls.draw(&[place.site], chance),
            consequences: Vec::new(),
            effect: Effect::Crowd(Self {
                at: place.site,
                course,
                height: chance.between(4.9, 5.7),
            }),
        })
    }

    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        if moment.sensor.physics == Physics::CrowdDensity {
            let near = bell(moment.sensor.site.distance_m(self.at), CROWD_WIDTH_M);
            seen.value += self.height * near * self.course.at(moment.at_s);
        }
    }
}
