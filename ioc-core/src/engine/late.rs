//! After downtime: what had come due of incidents while nobody was there, in steps.
//!
//! Arrives: a start, before which timers of incidents were due: of thousands, where a process was away
//! after a storm. Leaves: what follows from them, in the order in which they were due: of the first as
//! if nobody had been away; of the others so many with each step, at the time of the step, each with the
//! time at which it was due as its cause. Promise: no record fires more of them than one step does. What
//! comes meanwhile finds the incidents of the others as they were: a timer that comes late is like one
//! that has not come. Next: `correlate/lifecycle.rs`.

use super::Engine;
use crate::codec::{CodecError, Put, Take};
use crate::decision::Decision;
use crate::id::IncidentId;
use crate::incident::Purpose;
use crate::limits::{LATE_PER_STEP, LATE_STEP};
use crate::time::Timestamp;
use crate::timer::Timer;

/// Timers that come late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Late {
    /// The start before which they were due.
    before: Timestamp,
    /// When the next of them come.
    pub next: Timestamp,
}

/// How much of a step it takes to let thousands leave, or to judge symptoms again, as one step of their
/// own does.
pub(super) const LIKE_LEAVING: usize = LATE_PER_STEP / 2;
pub(super) const LIKE_A_STEP: usize = LATE_PER_STEP / 8;

/// How much of a step a timer takes.
pub(super) const fn weight(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Adopt | Purpose::Part | Purpose::Unite => LIKE_A_STEP,
        Purpose::Decay
        | Purpose::Tell
        | Purpose::Clear
        | Purpose::Retire
        | Purpose::Escalate
        | Purpose::Lower => 1,
    }
}

impl Late {
    /// Puts when they were due, and when they come.
    pub fn put(self, out: &mut impl Put) {
        out.put_time(self.before);
        out.put_time(self.next);
    }

    /// It as it was put.
    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let (before, next) = (take.time()?, take.time()?);
        match before < next {
            true => Ok(Self { before, next }),
            false => Err(CodecError("what is late comes before it was due")),
        }
    }
}

impl Engine {
    /// A process has begun: what was late already comes with all that was due since.
    pub(super) fn begin_anew(&mut self) {
        self.let_wait(None);
    }

    /// As much has been done as one step does. What else was due before this start comes late.
    pub(super) fn be_late(&mut self, start: Timestamp) {
        let next = start + LATE_STEP;
        let before = start;
        self.let_wait(Some(Late { before, next }));
        self.desk.leaving.wait_until(next);
        self.desk.family.explained.wait_until(next);
    }

    /// The time has come for the next of them.
    pub(super) fn fire_late(&mut self, at: Timestamp, out: &mut Vec<Decision>) {
        let mut room = LATE_PER_STEP;
        while room > 0
            && let Some(timer) = self.desk.timers.pop_waiting()
        {
            let (_, purpose) = timer.subject;
            room = room.saturating_sub(weight(purpose));
            self.fire(&timer, at, out);
        }
        let late = self.late.filter(|_| self.desk.timers.has_waiting());
        let next = at + LATE_STEP;
        self.let_wait(late.map(|late| Late { next, ..late }));
    }

    /// These come late, or none do.
    pub(super) fn let_wait(&mut self, late: Option<Late>) {
        self.late = late;
        let first = late.map(|late| Timer {
            due: late.before,
            rule: self.first_rule.clone(),
            subject: (IncidentId::MIN, Purpose::ALL[0]),
        });
        self.desk.timers.wait_before(first);
    }
}
