//! A fault of one sensor: nothing happens in the city, but its readings are wrong, missing, late
//! or doubled.

use super::super::chance::{Chance, mix, unit};
use super::super::map::CityMap;
use super::{Effect, Happening, HappeningKind, Moment, Observation};

/// A faulty sensor.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    sensor: usize,
    from_s: f64,
    how: How,
    key: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// It says the same for ever.
    Stuck(f64),
    /// One absurd reading.
    Spike,
    /// Absurd and normal by turns.
    Flapping,
    /// It says nothing.
    Silent,
    /// What it says comes minutes later, and out of order.
    Late,
    /// It says most things twice.
    Twice,
}

impl Fault {
    pub(super) fn draw(
        from_s: f64,
        map: &CityMap,
        seed: u64,
        chance: &mut Chance,
    ) -> Option<Happening> {
        let sensor = chance.index(map.sensors.len());
        let faulty = &map.sensors[sensor];
        let (how, lasts_s) = match chance.index(7) {
            0 => (
                How::Stuck(faulty.normal(seed, from_s, 0)),
                chance.between(900.0, 3600.0),
            ),
            1 | 2 => (How::Spike, 2.0 * faulty.interval_s),
            3 => (How::Flapping, chance.between(300.0, 900.0)),
            4 => (How::Silent, chance.between(900.0, 2400.0)),
            5 => (How::Late, chance.between(600.0, 1800.0)),
            _ => (How::Twice, chance.between(600.0, 1800.0)),
        };
        Some(Happening {
            kind: HappeningKind::Faults,
            until_s: from_s + lasts_s,
            calls: Vec::new(),
            consequences: Vec::new(),
            effect: Effect::Fault(Self {
                sensor,
                from_s,
                how,
                key: chance.word(),
            }),
        })
    }

    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        if moment.index != self.sensor {
            return;
        }
        let drawn = unit(mix(&[self.key, moment.n]));
        match self.how {
            How::Stuck(value) => seen.value = value,
            How::Spike => {
                if moment.at_s - self.from_s < moment.period_s {
                    seen.value = moment.sensor.absurd();
                }
            }
            How::Flapping => {
                if moment.n.is_multiple_of(2) {
                    seen.value = moment.sensor.absurd();
                }
            }
            How::Silent => seen.silent = true,
            How::Late => seen.late_s += 30.0 + 210.0 * drawn,
            How::Twice => seen.twice = drawn < 0.7,
        }
    }
}
