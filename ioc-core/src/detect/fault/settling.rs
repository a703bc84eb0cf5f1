//! Readings that are put in order before a fault rule sees them.
//!
//! Arrives: readings in any order. Leaves: each when its time of observation and the rule's `settle`
//! are over, by a timer; so that whether a sensor is trusted does not depend on the order in which its
//! readings came, where what it finds does not. Bounded as for other rules (`../settle.rs`).

use super::{Heard, Memory, NOT_SAID, Outcome, Row, State, Told, Waiting};
use crate::bundle::{Changes, Fault, FaultSign, Seen, Sensor};
use crate::codec::{CodecError, Put, Take};
use crate::detect::becomes;
use crate::id::ReadingId;
use crate::limits::{FLAPPING_STATES_MAX, SETTLING_READINGS_MAX};
use crate::place::Position;
use crate::reading::Reading;
use crate::record::Seq;
use crate::time::{Millis, Timestamp};

/// A reading that waits, with what is told of it if it shows a fault.
#[derive(Debug)]
pub(in crate::detect) struct Settling {
    pub value: f64,
    pub seq: Seq,
    pub position: Option<Position>,
    /// When it was received.
    at: Timestamp,
    claimed_at: Timestamp,
    /// Its places among the states that the rule sees.
    states: [u8; FLAPPING_STATES_MAX],
}

/// One that has waited, and what it came to.
pub(in crate::detect) type Settled = (ReadingId, Settling, Outcome);

impl State {
    /// Lets a reading wait. Beyond the bound the first that waits is examined before its time.
    pub fn wait(
        &mut self,
        rule: &Fault,
        sensor: Option<&Sensor>,
        reading: &Reading<'_>,
        (at, seq, position): (Timestamp, Seq, Option<Position>),
    ) -> Option<Settled> {
        let waiting = self.memory.waiting_mut();
        let id: ReadingId = reading.id.parse().expect("a reading's id is valid");
        waiting.insert(
            (reading.observed_at.min(at), id),
            Settling {
                value: reading.value,
                seq,
                position,
                at,
                claimed_at: reading.observed_at,
                states: states(rule, reading),
            },
        );
        let is_full = waiting.len() > SETTLING_READINGS_MAX;
        is_full.then(|| self.release(rule, sensor))
    }

    /// When the first that waits is examined.
    pub fn due(&self, settle: Millis) -> Option<Timestamp> {
        let (observed_at, _) = self.memory.waiting()?.keys().next()?;
        Some(*observed_at + settle)
    }

    /// Examines the first that waits.
    pub fn release(&mut self, rule: &Fault, sensor: Option<&Sensor>) -> Settled {
        let first = self.memory.waiting_mut().pop_first();
        let ((observed_at, id), first) = first.expect("one waits");
        let heard = Heard {
            value: first.value,
            said: Told::Before(&first.states),
            claimed_at: first.claimed_at,
            observed_at,
            at: first.at,
        };
        let outcome = self.hear(rule, sensor, heard);
        (id, first, outcome)
    }

    pub(super) fn put_settling(&self, out: &mut impl Put) {
        let waiting = self.memory.waiting();
        out.put_u8(waiting.map_or(0, |waiting| waiting.len() as u8));
        for ((observed_at, id), reading) in waiting.into_iter().flat_map(|waiting| waiting.iter()) {
            out.put_time(*observed_at);
            out.put_text(id.as_str());
            out.put_f64(reading.value);
            out.put_u64(reading.seq);
            out.put_option(reading.position, Put::put_position);
            out.put_time(reading.at);
            out.put_time(reading.claimed_at);
            out.put(&reading.states);
        }
    }
}

impl Memory {
    fn waiting(&self) -> Option<&Waiting> {
        match self {
            Self::Settling(both) => Some(&both.1),
            Self::Flapping(_)
            | Self::Stuck(_)
            | Self::Impossible(_)
            | Self::Skewed(_)
            | Self::Spiking(_) => None,
        }
    }

    fn waiting_mut(&mut self) -> &mut Waiting {
        if self.waiting().is_none() {
            self.await_all(Waiting::new());
        }
        match self {
            Self::Settling(both) => &mut both.1,
            _ => unreachable!("it awaits from here on"),
        }
    }

    /// Lets all these wait.
    pub(super) fn await_all(&mut self, waiting: Waiting) {
        let own = std::mem::replace(self, Self::Impossible(Row::default()));
        *self = Self::Settling(Box::new((own, waiting)));
    }
}

/// What waits, as it was put.
pub(super) fn take(take: &mut Take<'_>) -> Result<Waiting, CodecError> {
    let count = usize::from(take.u8()?);
    if count > SETTLING_READINGS_MAX {
        return Err(CodecError("more readings than wait"));
    }
    let waiting = take.each(count, |take| {
        let place = (take.time()?, take.parsed("reading id")?);
        let reading = Settling {
            value: take.f64()?,
            seq: take.u64()?,
            position: take.option(Take::position)?,
            at: take.time()?,
            claimed_at: take.time()?,
            states: take.array()?,
        };
        Ok((place, reading))
    })?;
    if !waiting.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(CodecError("readings do not wait in order"));
    }
    Ok(waiting.into_iter().collect())
}

/// The places of a reading among the states that a rule sees.
fn states(rule: &Fault, reading: &Reading<'_>) -> [u8; FLAPPING_STATES_MAX] {
    let mut states = [NOT_SAID; FLAPPING_STATES_MAX];
    if let FaultSign::Flapping(flapping) = &rule.sign
        && let Changes::Of(seen) = &flapping.by
    {
        for (state, seen) in states.iter_mut().zip(seen) {
            if let Seen::State(rule) = seen {
                let place = becomes::signal(rule, reading);
                *state = place.map_or(NOT_SAID, |place| place.max(0.0) as u8);
            }
        }
    }
    states
}
