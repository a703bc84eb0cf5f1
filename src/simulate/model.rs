//! The simulated city: from a map and a seed to readings in the order in which they arrive.
//!
//! Arrives: the seconds that have passed in the city. Leaves: [`SimulatedReading`]s, ordered by
//! when they arrive. Promise: pure: the same map, seed and options give the same readings, however
//! the time is stepped. Not here: wall clocks, sockets, JSON (`reading.rs`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::chance::{Chance, mix, salt, unit};
use super::happening::{Call, Happenings, Moment, Observation};
use super::map::{CityMap, Sensor, Site};
use super::reading::{Said, SimulatedReading};
use super::schedule::Schedule;

/// Readings on their way, at most; beyond it a late one is not late.
const IN_TRANSIT_MAX: usize = 100_000;
/// What a message takes to arrive, at least and beyond that at most. Sensors that speak more often
/// than registered are quicker in proportion, so that their readings stay in order.
const TRANSPORT_S: (f64, f64) = (0.02, 0.5);
/// From one stray call to the next, on average.
const STRAY_CALL_MEAN_S: f64 = 200.0;
/// What people call about when nothing happens.
const STRAY_CALLS: [&str; 6] = [
    "theft",
    "lost_property",
    "noise_complaint",
    "medical",
    "flood",
    "fire",
];

/// What kind of city it is.
#[derive(Debug, Clone, Copy)]
pub struct CityOptions {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// What may happen.
    pub happenings: Happenings,
    /// Each sensor speaks so many times as often as it is registered to.
    pub chattiness: f64,
}

/// A city that goes its way.
#[derive(Debug, Clone)]
pub struct City {
    map: Arc<CityMap>,
    options: CityOptions,
    schedule: Schedule,
    stray: Chance,
    next_stray_us: i64,
    /// When each sensor speaks next.
    due: BinaryHeap<Reverse<Due>>,
    in_transit: BinaryHeap<Reverse<InTransit>>,
    serial: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_us: i64,
    sensor: usize,
    n: u64,
}

/// Ordered by arrival, then by when it was put on its way.
#[derive(Debug, Clone)]
struct InTransit {
    arrives_us: i64,
    serial: u64,
    reading: SimulatedReading,
}

impl PartialEq for InTransit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for InTransit {}

impl PartialOrd for InTransit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InTransit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrives_us, self.serial).cmp(&(other.arrives_us, other.serial))
    }
}

impl City {
    /// The city at its beginning.
    pub fn new(map: Arc<CityMap>, options: CityOptions) -> Self {
        let mut stray = Chance::new(options.seed, "stray calls");
        let next_stray_us = micros(stray.waiting(STRAY_CALL_MEAN_S));
        let mut city = Self {
            schedule: Schedule::new(options.seed, options.happenings),
            map,
            options,
            stray,
            next_stray_us,
            due: BinaryHeap::new(),
            in_transit: BinaryHeap::new(),
            serial: 0,
        };
        for (sensor, each) in city.map.sensors.iter().enumerate() {
            let key = mix(&[options.seed, salt(&each.id), 2]);
            let at_us = micros(each.interval_s / options.chattiness * unit(key));
            city.due.push(Reverse(Due {
                at_us,
                sensor,
                n: 0,
            }));
        }
        city
    }

    /// How many readings all sensors send in a second of the city's time.
    pub fn readings_per_s(&self) -> f64 {
        natural_rate(&self.map) * self.options.chattiness
    }

    /// The readings that arrive up to so many microseconds after the beginning and were not
    /// returned before, in the order of arrival.
    pub fn readings_until(&mut self, until_us: i64) -> impl Iterator<Item = SimulatedReading> {
        std::iter::from_fn(move || self.next_arrival(until_us).map(|(_, reading)| reading))
    }

    /// The next of them, and how many microseconds after the beginning it arrives.
    pub fn next_arrival(&mut self, until_us: i64) -> Option<(i64, SimulatedReading)> {
        loop {
            let arrives_us = self
                .in_transit
                .peek()
                .map_or(i64::MAX, |next| next.0.arrives_us);
            let due_us = self.due.peek().map_or(i64::MAX, |next| next.0.at_us);
            let begins_us = micros(self.schedule.next_begin_s());
            // What begins comes before what is measured, and that before what arrives.
            let first_us = arrives_us
                .min(due_us)
                .min(begins_us)
                .min(self.next_stray_us);
            if first_us > until_us {
                return None;
            }
            if first_us == begins_us {
                self.begin();
            } else if first_us == self.next_stray_us {
                self.stray_call();
            } else if first_us == due_us {
                self.measure();
            } else {
                return self
                    .in_transit
                    .pop()
                    .map(|Reverse(arrival)| (arrival.arrives_us, arrival.reading));
            }
        }
    }

    fn begin(&mut self) {
        let begun = self.schedule.begin_next(&self.map);
        let calls = begun.map(|happening| happening.calls.clone());
        for call in calls.unwrap_or_default() {
            self.take_call(call);
        }
    }

    fn measure(&mut self) {
        let Some(Reverse(due)) = self.due.pop() else {
            return;
        };
        let sensor = &self.map.sensors[due.sensor];
        let period_s = sensor.interval_s / self.options.chattiness;
        let moment = Moment {
            sensor,
            index: due.sensor,
            at_s: due.at_us as f64 / 1e6,
            n: due.n,
            period_s,
        };
        let seen = self.observe(moment);
        let reading = SimulatedReading {
            observed_us: due.at_us,
            said: Said::Measured {
                sensor: due.sensor,
                value: rounded(sensor, seen.value),
            },
            serial: mix(&[salt(&sensor.id), due.n]),
        };
        let next_us = due.at_us + micros(period_s).max(1);
        self.due.push(Reverse(Due {
            at_us: next_us,
            n: due.n + 1,
            ..due
        }));
        if !seen.silent {
            self.send(reading, seen.late_s);
            if seen.twice {
                self.send(reading, seen.late_s + 0.2);
            }
        }
    }

    fn observe(&self, moment: Moment<'_>) -> Observation {
        let normal = moment
            .sensor
            .normal(self.options.seed, moment.at_s, moment.n);
        let mut seen = Observation {
            value: normal,
            silent: false,
            late_s: 0.0,
            twice: false,
        };
        let active = self
            .schedule
            .active()
            .filter(|each| each.until_s > moment.at_s);
        for happening in active {
            happening.touch(moment, &mut seen);
        }
        seen
    }

    fn stray_call(&mut self) {
        let at_s = self.next_stray_us as f64 / 1e6;
        self.next_stray_us += micros(1.0 + self.stray.waiting(STRAY_CALL_MEAN_S));
        let sensor = &self.map.sensors[self.stray.index(self.map.sensors.len())];
        let stray = |chance: &mut Chance| chance.between(-900.0, 900.0);
        let site = sensor
            .site
            .moved(stray(&mut self.stray), stray(&mut self.stray));
        let category = STRAY_CALLS[self.stray.index(STRAY_CALLS.len())];
        self.take_call(Call {
            at_s,
            site,
            category,
            text: "caller report",
        });
    }

    fn take_call(&mut self, call: Call) {
        let observed_us = micros(call.at_s);
        let Site { east_m, north_m } = call.site;
        let reading = SimulatedReading {
            observed_us,
            said: Said::Called {
                position: self.map.position(call.site),
                category: call.category,
                text: call.text,
            },
            serial: mix(&[salt(call.category), east_m.to_bits(), north_m.to_bits()]),
        };
        self.send(reading, 0.0);
    }

    fn send(&mut self, reading: SimulatedReading, late_s: f64) {
        self.serial += 1;
        let late_s = if self.in_transit.len() < IN_TRANSIT_MAX {
            late_s
        } else {
            0.0
        };
        let transport_s = (TRANSPORT_S.0 + TRANSPORT_S.1 * unit(mix(&[reading.serial, 3])))
            / self.options.chattiness.max(1.0);
        let arrives_us = reading.observed_us + micros(transport_s + late_s);
        self.in_transit.push(Reverse(InTransit {
            arrives_us,
            serial: self.serial,
            reading,
        }));
    }
}

/// How many readings the sensors of a map are registered to send in a second.
pub(super) fn natural_rate(map: &CityMap) -> f64 {
    map.sensors
        .iter()
        .map(|sensor| 1.0 / sensor.interval_s)
        .sum()
}

/// Saturates, so that "never" is the last instant there is.
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

/// As an instrument would say it: four digits after the point, none below its scale.
fn rounded(sensor: &Sensor, value: f64) -> f64 {
    let digits = if sensor.physics == super::normal::Physics::Seismic {
        1e5
    } else {
        1e4
    };
    ((value * digits).round() / digits).max(0.0)
}

#[cfg(test)]
mod tests;
