//! Is the sensor broken? Seen by its own readings, in the order of observation.
//!
//! Arrives: one sensor's readings of one kind. Leaves: whether a fault begins or ends with one of
//! them. Each sign of a fault says of a reading that it shows the fault, that it shows none, or
//! neither; here that becomes one beginning and one end. Late readings say nothing, but of a clock.
//! Where rules of the kind put readings in order first, so is it done here (`fault/settling.rs`): that
//! has the only timer, for a sensor that says nothing is silent, whatever it was before. Not here: what a fault
//! means for what the sensor finds (`sensor.rs`, `correlate.rs`). Next: `fault/flapping.rs`.

mod flapping;
mod impossible;
mod skewed;
mod spiking;
mod stuck;
mod settling;

use std::collections::BTreeMap;

pub(super) use self::settling::Settling;
use super::rule_state::Said;
use crate::bundle::{DetectionRule, Fault, FaultSign, Sensor};
use crate::codec::{CodecError, Put, Take};
use crate::decision::FaultKind;
use crate::id::ReadingId;
use crate::limits::FLAPPING_STATES_MAX;
use crate::reading::Reading;
use crate::time::{Millis, Timestamp};

/// What one rule knows of one sensor's fault.
#[derive(Debug)]
pub(super) struct State {
    raised: bool,
    /// The latest `observed_at` that was judged.
    observed_to: Timestamp,
    memory: Memory,
}

/// All that a reading touches of a fault rule is one cache line.
const _: () = assert!(size_of::<State>() <= 64);

#[derive(Debug)]
enum Memory {
    Flapping(flapping::Memory),
    Stuck(stuck::Memory),
    Impossible(Row),
    Skewed(skewed::Memory),
    Spiking(spiking::Memory),
    /// One of these, with readings that wait to be put in order, if any ever did.
    Settling(Box<(Memory, Waiting)>),
}

/// Readings that wait, by when they were observed; those of one instant by their ids.
type Waiting = BTreeMap<(Timestamp, ReadingId), Settling>;

/// What a reading shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// The fault.
    Fault,
    /// None.
    Sound,
    /// Nothing that changes what is thought.
    Neither,
}

/// What a reading is to a fault rule.
#[derive(Debug, Clone, Copy)]
struct Heard<'a> {
    value: f64,
    said: Told<'a>,
    /// When its source says that it was observed.
    claimed_at: Timestamp,
    /// When it was observed, but not after it was received.
    observed_at: Timestamp,
    /// When it was received, in logical time.
    at: Timestamp,
}

/// Where it stands what a reading says besides its value.
#[derive(Debug, Clone, Copy)]
enum Told<'a> {
    /// In itself.
    Now(&'a Reading<'a>),
    /// It has waited since: its places among the states that the rule sees, [`NOT_SAID`] for none.
    Before(&'a [u8; FLAPPING_STATES_MAX]),
}

/// A reading says nothing of a state.
const NOT_SAID: u8 = u8::MAX;

impl<'a> Heard<'a> {
    fn of(reading: &'a Reading<'a>, at: Timestamp) -> Self {
        Self {
            value: reading.value,
            said: Told::Now(reading),
            claimed_at: reading.observed_at,
            observed_at: reading.observed_at.min(at),
            at,
        }
    }
}

/// What a reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The fault begins.
    Faulty,
    /// It is over.
    Sound,
    /// Nothing changes: it goes on, or there is none.
    Held(bool),
}

impl State {
    pub fn new(rule: &Fault) -> Self {
        Self {
            raised: false,
            observed_to: Timestamp::MIN,
            memory: Memory::new(&rule.sign),
        }
    }

    /// Whether the fault is there.
    pub fn is_raised(&self) -> bool {
        self.raised
    }

    /// Whether a reading of this time would say nothing: of a clock the late ones say most.
    pub fn is_late(&self, observed_at: Timestamp) -> bool {
        observed_at < self.observed_to && !matches!(self.memory, Memory::Skewed(_))
    }

    /// Lets what is observed from this reading on be judged, by a clock that was set back.
    pub fn set_clock_back(&mut self, rule: &Fault, said: Said) {
        if said.observed_at < self.observed_to {
            self.observed_to = Timestamp::MIN;
        }
        if let (FaultSign::Skewed(rule), Memory::Skewed(memory)) = (&rule.sign, &mut self.memory) {
            memory.set_clock_back(rule, said.at - said.observed_at);
        }
    }

    /// Judges one reading, received at this time.
    pub fn judge(
        &mut self,
        rule: &Fault,
        sensor: Option<&Sensor>,
        reading: &Reading<'_>,
        at: Timestamp,
    ) -> Outcome {
        self.hear(rule, sensor, Heard::of(reading, at))
    }

    fn hear(&mut self, rule: &Fault, sensor: Option<&Sensor>, heard: Heard<'_>) -> Outcome {
        let late = heard.observed_at < self.observed_to;
        self.observed_to = self.observed_to.max(heard.observed_at);
        let sign = match (&rule.sign, self.memory.own_mut()) {
            (FaultSign::Skewed(rule), Memory::Skewed(memory)) => memory.judge(rule, heard),
            _ if late => Sign::Neither,
            (FaultSign::Flapping(rule), Memory::Flapping(memory)) => {
                memory.judge(rule, sensor, heard)
            }
            (FaultSign::Stuck(rule), Memory::Stuck(memory)) => memory.judge(rule, heard),
            (FaultSign::Impossible(rule), Memory::Impossible(row)) => {
                impossible::judge(rule, row, heard.value)
            }
            (FaultSign::Spiking(rule), Memory::Spiking(memory)) => memory.judge(rule, heard.value),
            _ => unreachable!("states are made for the rules they stand beside"),
        };
        match (self.raised, sign) {
            (false, Sign::Fault) => {
                self.raised = true;
                Outcome::Faulty
            }
            (true, Sign::Sound) => {
                self.raised = false;
                Outcome::Sound
            }
            (raised, Sign::Fault | Sign::Sound | Sign::Neither) => Outcome::Held(raised),
        }
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, settle: Millis, out: &mut impl Put) {
        out.put_flag(self.raised);
        out.put_time(self.observed_to);
        self.memory.put(out);
        if settle > Millis::ZERO {
            self.put_settling(out);
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(
        format: u16,
        take: &mut Take<'_>,
        settle: Millis,
        rule: &Fault,
    ) -> Result<Self, CodecError> {
        let mut state = Self {
            raised: take.flag()?,
            observed_to: take.time()?,
            memory: match &rule.sign {
                FaultSign::Flapping(_) => Memory::Flapping(flapping::Memory::take(take)?),
                FaultSign::Stuck(_) => Memory::Stuck(stuck::Memory::take(take)?),
                FaultSign::Impossible(_) => Memory::Impossible(Row::take(take)?),
                FaultSign::Skewed(_) => Memory::Skewed(skewed::Memory::take(format, take)?),
                FaultSign::Spiking(_) => Memory::Spiking(spiking::Memory::take(take)?),
            },
        };
        if settle > Millis::ZERO {
            state.memory.await_all(settling::take(take)?);
        }
        Ok(state)
    }
}

impl Memory {
    fn new(sign: &FaultSign) -> Self {
        match sign {
            FaultSign::Flapping(_) => Self::Flapping(flapping::Memory::default()),
            FaultSign::Stuck(_) => Self::Stuck(stuck::Memory::default()),
            FaultSign::Impossible(_) => Self::Impossible(Row::default()),
            FaultSign::Skewed(_) => Self::Skewed(skewed::Memory::default()),
            FaultSign::Spiking(_) => Self::Spiking(spiking::Memory::default()),
        }
    }

    /// What is remembered, apart from what waits.
    fn own_mut(&mut self) -> &mut Self {
        match self {
            Self::Settling(both) => &mut both.0,
            own => own,
        }
    }

    fn put(&self, out: &mut impl Put) {
        match self {
            Self::Flapping(memory) => memory.put(out),
            Self::Stuck(memory) => memory.put(out),
            Self::Impossible(row) => row.put(out),
            Self::Skewed(memory) => memory.put(out),
            Self::Spiking(memory) => memory.put(out),
            Self::Settling(both) => both.0.put(out),
        }
    }
}

/// For how long readings wait before this rule sees them: a clock shows by when they come.
pub(super) fn settle(rule: &DetectionRule, fault: &Fault) -> Millis {
    match fault.sign {
        FaultSign::Skewed(_) => Millis::ZERO,
        FaultSign::Flapping(_)
        | FaultSign::Stuck(_)
        | FaultSign::Impossible(_)
        | FaultSign::Spiking(_) => rule.settle,
    }
}

/// The word for a fault of this rule.
pub(super) const fn kind(rule: &Fault) -> FaultKind {
    match rule.sign {
        FaultSign::Flapping(_) => FaultKind::Flapping,
        FaultSign::Stuck(_) => FaultKind::Stuck,
        FaultSign::Impossible(_) => FaultKind::Impossible,
        FaultSign::Skewed(_) => FaultKind::Skewed,
        FaultSign::Spiking(_) => FaultKind::Spiking,
    }
}

/// How many readings in a row were wrong, or right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Row {
    wrong: u32,
    right: u32,
}

impl Row {
    /// Counts a reading; so many wrong ones in a row are the fault, so many right ones its end.
    fn count(&mut self, wrong: bool, wrong_min: u32, right_min: u32) -> Sign {
        if wrong {
            self.wrong = self.wrong.saturating_add(1);
            self.right = 0;
        } else {
            self.wrong = 0;
            self.right = self.right.saturating_add(1);
        }
        if self.wrong >= wrong_min {
            Sign::Fault
        } else if self.right >= right_min {
            Sign::Sound
        } else {
            Sign::Neither
        }
    }

    fn put(self, out: &mut impl Put) {
        out.put_u32(self.wrong);
        out.put_u32(self.right);
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            wrong: take.u32()?,
            right: take.u32()?,
        })
    }
}

#[cfg(test)]
mod tests;
