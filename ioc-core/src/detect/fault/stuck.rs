//! Has it said the same for too long?
//!
//! For so long by the times of observation, and by a few readings at least: what a sensor sends
//! once an hour is not stuck after two. Values that may last are excepted. Next: `impossible.rs`.

use super::{Heard, Sign};
use crate::bundle::Stuck;
use crate::codec::{CodecError, Put, Take};
use crate::limits::STUCK_READINGS_MIN;
use crate::time::Timestamp;

/// The value that was said last, and since when.
#[derive(Debug, Default)]
pub(super) struct Memory {
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    value: f64,
    since: Timestamp,
    /// How many readings in a row said it.
    readings: u32,
    /// How many readings in a row each said something else than the one before.
    moves: u32,
}

impl Memory {
    pub fn judge(&mut self, rule: &Stuck, heard: Heard<'_>) -> Sign {
        let value = heard.value;
        let last = match self.last {
            Some(last) if last.value == value => Last {
                readings: last.readings.saturating_add(1),
                moves: 0,
                ..last
            },
            before => Last {
                value,
                since: heard.observed_at,
                readings: 1,
                moves: before.map_or(0, |last| last.moves.saturating_add(1)),
            },
        };
        self.last = Some(last);
        let lasts = last.since + rule.lasting <= heard.observed_at;
        if lasts && last.readings >= STUCK_READINGS_MIN && !rule.excepts(value) {
            Sign::Fault
        } else if last.moves >= rule.clear_readings_min {
            Sign::Sound
        } else {
            Sign::Neither
        }
    }

    pub fn put(&self, out: &mut impl Put) {
        out.put_option(self.last, |out, last| {
            out.put_f64(last.value);
            out.put_time(last.since);
            out.put_u32(last.readings);
            out.put_u32(last.moves);
        });
    }

    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let last = take.option(|take| {
            Ok(Last {
                value: take.f64()?,
                since: take.time()?,
                readings: take.u32()?,
                moves: take.u32()?,
            })
        })?;
        Ok(Self { last })
    }
}
