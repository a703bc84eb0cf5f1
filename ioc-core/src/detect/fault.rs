//! Is the sensor broken? Seen by its own readings, in the order of observation.
//!
//! Arrives: one sensor's readings of one kind. Leaves: whether a fault begins or ends with one of
//! them. Each sign of a fault says of a reading that it shows the fault, that it shows none, or
//! neither; here that becomes one beginning and one end. Late readings say nothing, but of a clock.
//! No timer: a sensor that says nothing is silent, whatever it was before. Not here: what a fault
//! means for what the sensor finds (`sensor.rs`, `correlate.rs`). Next: `fault/flapping.rs`.

mod flapping;
mod impossible;
mod skewed;
mod spiking;
mod stuck;

use crate::bundle::{Fault, FaultSign, Sensor};
use crate::codec::{CodecError, Put, Take};
use crate::decision::FaultKind;
use crate::reading::Reading;
use crate::time::Timestamp;

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
}

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
    reading: &'a Reading<'a>,
    /// When it was observed, but not after it was received.
    observed_at: Timestamp,
    /// When it was received, in logical time.
    at: Timestamp,
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

    /// Lets what is observed by a clock that was set back be judged.
    pub fn set_clock_back(&mut self) {
        self.observed_to = Timestamp::MIN;
    }

    /// Judges one reading, received at this time.
    pub fn judge(
        &mut self,
        rule: &Fault,
        sensor: Option<&Sensor>,
        reading: &Reading<'_>,
        at: Timestamp,
    ) -> Outcome {
        let heard = Heard {
            reading,
            observed_at: reading.observed_at.min(at),
            at,
        };
        let late = heard.observed_at < self.observed_to;
        self.observed_to = self.observed_to.max(heard.observed_at);
        let sign = match (&rule.sign, &mut self.memory) {
            (FaultSign::Skewed(rule), Memory::Skewed(memory)) => memory.judge(rule, heard),
            _ if late => Sign::Neither,
            (FaultSign::Flapping(rule), Memory::Flapping(memory)) => {
                memory.judge(rule, sensor, heard)
            }
            (FaultSign::Stuck(rule), Memory::Stuck(memory)) => memory.judge(rule, heard),
            (FaultSign::Impossible(rule), Memory::Impossible(row)) => {
                impossible::judge(rule, row, reading.value)
            }
            (FaultSign::Spiking(rule), Memory::Spiking(memory)) => {
                memory.judge(rule, reading.value)
            }
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
    pub fn put(&self, out: &mut impl Put) {
        out.put_flag(self.raised);
        out.put_time(self.observed_to);
        match &self.memory {
            Memory::Flapping(memory) => memory.put(out),
            Memory::Stuck(memory) => memory.put(out),
            Memory::Impossible(row) => row.put(out),
            Memory::Skewed(memory) => memory.put(out),
            Memory::Spiking(memory) => memory.put(out),
        }
    }

    /// The state as it was put, of a rule that means the same.
    pub fn take(take: &mut Take<'_>, rule: &Fault) -> Result<Self, CodecError> {
        Ok(Self {
            raised: take.flag()?,
            observed_to: take.time()?,
            memory: match &rule.sign {
                FaultSign::Flapping(_) => Memory::Flapping(flapping::Memory::take(take)?),
                FaultSign::Stuck(_) => Memory::Stuck(stuck::Memory::take(take)?),
                FaultSign::Impossible(_) => Memory::Impossible(Row::take(take)?),
                FaultSign::Skewed(_) => Memory::Skewed(skewed::Memory::take(take)?),
                FaultSign::Spiking(_) => Memory::Spiking(spiking::Memory::take(take)?),
            },
        })
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
