//! Does its state change too often? Over the last 21 readings, newer changes weighing more.
//!
//! A change weighs 0.75 if it is the oldest of the 20 that there can be, 1.25 if it is the newest,
//! and in between by its age: so monitoring systems have long judged services that come and go.
//! Their sum, in hundredths of 20, must reach one level to begin and fall below another to end.
//! Before there are so many readings, those that are missing count as without a change. Next:
//! `stuck.rs`.

use super::{Heard, NOT_SAID, Sign, Told};
use crate::bundle::{Changes, Flapping, Seen, Sensor, Side};
use crate::codec::{CodecError, Put, Take};
use crate::detect::{becomes, threshold};
use crate::limits::{FLAPPING_READINGS, FLAPPING_STATES_MAX};
use crate::time::Timestamp;

/// The last readings of a sensor, as changes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Which of them were changes, the newest in the lowest bit.
    changes: u32,
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    value: f64,
    observed_at: Timestamp,
    /// The states in the eyes of the first rules that see any.
    states: [u8; FLAPPING_STATES_MAX],
}

/// The changes that there can be.
const CHANGES: u32 = FLAPPING_READINGS - 1;

impl Memory {
    pub fn judge(&mut self, rule: &Flapping, sensor: Option<&Sensor>, heard: Heard<'_>) -> Sign {
        let before = self.last;
        let mut now = Last {
            value: heard.value,
            observed_at: heard.observed_at,
            states: before.map_or([0; FLAPPING_STATES_MAX], |last| last.states),
        };
        let changed = match &rule.by {
            Changes::Of(seen) => {
                for (place, (state, seen)) in now.states.iter_mut().zip(seen).enumerate() {
                    *state = see((place, seen), sensor, heard, *state);
                }
                before.is_some_and(|last| last.states != now.states)
            }
            Changes::Jumps { by, within } => before.is_some_and(|last| {
                let soon = now.observed_at - last.observed_at <= *within;
                soon && (now.value - last.value).abs() > *by
            }),
        };
        self.last = Some(now);
        self.changes = (self.changes << 1 | u32::from(changed)) & u32::MAX >> (32 - CHANGES);
        let weight = self.weight();
        // In thousandths of a change each, of CHANGES changes, in hundredths.
        let level = |hundredths: u32| hundredths * CHANGES * 10;
        if weight >= level(rule.high) {
            Sign::Fault
        } else if weight < level(rule.low) {
            Sign::Sound
        } else {
            Sign::Neither
        }
    }

    /// What the changes weigh together, in thousandths.
    fn weight(&self) -> u32 {
        let (mut changes, mut weight) = (self.changes, 0);
        while changes != 0 {
            let place = changes.trailing_zeros();
            weight += 1250 - 500 * place / (CHANGES - 1);
            changes &= changes - 1;
        }
        weight
    }

    pub fn put(&self, out: &mut impl Put) {
        out.put_u32(self.changes);
        out.put_option(self.last, |out, last| {
            out.put_f64(last.value);
            out.put_time(last.observed_at);
            out.put(&last.states);
        });
    }

    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let changes = take.u32()?;
        if changes >> CHANGES != 0 {
            return Err(CodecError("more readings than show that a sensor flaps"));
        }
        let last = take.option(|take| {
            Ok(Last {
                value: take.f64()?,
                observed_at: take.time()?,
                states: take.array()?,
            })
        })?;
        Ok(Self { changes, last })
    }
}

/// The state in the eyes of a rule: what it was, where the rule does not say.
fn see((place, seen): (usize, &Seen), sensor: Option<&Sensor>, heard: Heard<'_>, before: u8) -> u8 {
    match seen {
        Seen::Level(rule) => {
            let least = threshold::least(rule, sensor);
            let beyond = match rule.side {
                Side::Above => heard.value - least,
                Side::Below => least - heard.value,
            };
            if beyond > 0.0 {
                1
            } else if threshold::is_normal(rule, heard.value, least) {
                0
            } else {
                before
            }
        }
        // Lists are a few, one for each severity; states that are in none are one.
        Seen::State(rule) => match heard.said {
            Told::Now(reading) => {
                becomes::signal(rule, reading).map_or(before, |place| place.max(0.0) as u8)
            }
            Told::Before(states) if states[place] == NOT_SAID => before,
            Told::Before(states) => states[place],
        },
    }
}
