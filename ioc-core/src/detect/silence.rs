//! Has the sensor said nothing? Lazy deadlines, so that a reading costs no timer.
//!
//! Arrives: when the sensor was last heard, and the timer when it is due. Leaves: whether it is
//! silent by now, or when to ask again. Downtime is not silence: after a start every sensor has
//! its whole deadline again. Sensors that were never heard are never silent. Next: `sensor.rs`.

use crate::codec::{CodecError, Put, Take};
use crate::time::{Millis, Timestamp};

/// What one silence rule knows of one sensor.
#[derive(Debug)]
pub(super) struct State {
    /// How long the sensor may say nothing.
    allowance: Millis,
    /// When the rule began to watch it.
    watched_from: Timestamp,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Heard; the timer that asks again is due then.
    Heard { timer_due: Timestamp },
    /// Silent since the timer fired; no timer runs.
    Silent,
}

/// What a due timer came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was heard in the meantime: ask again then.
    AskAgain(Timestamp),
    /// It is silent.
    Silent,
}

impl State {
    /// Begins to watch a sensor that was heard just now, or before.
    pub fn new(allowance: Millis, now: Timestamp) -> Self {
        Self {
            allowance,
            watched_from: now,
            status: Status::Heard {
                timer_due: now + allowance,
            },
        }
    }

    /// When the timer is due, if one runs.
    pub fn timer_due(&self) -> Option<Timestamp> {
        match self.status {
            Status::Heard { timer_due } => Some(timer_due),
            Status::Silent => None,
        }
    }

    pub fn is_silent(&self) -> bool {
        self.status == Status::Silent
    }

    /// The timer is due. `heard_at` is the last reading's time or the last start's.
    pub fn fire(&mut self, due: Timestamp, heard_at: Timestamp) -> Outcome {
        let deadline = self.deadline(heard_at);
        if deadline > due {
            self.status = Status::Heard {
                timer_due: deadline,
            };
            return Outcome::AskAgain(deadline);
        }
        self.status = Status::Silent;
        Outcome::Silent
    }

    /// It speaks again: watch it from now on. Returns when its timer is wanted.
    pub fn speaks(&mut self, now: Timestamp) -> Timestamp {
        let timer_due = now + self.allowance;
        self.status = Status::Heard { timer_due };
        timer_due
    }

    /// Its timer is due then, for others are due when it was wanted.
    pub fn ask_at(&mut self, timer_due: Timestamp) {
        self.status = Status::Heard { timer_due };
    }

    /// Takes over what a reload allows now.
    pub fn refit(&mut self, allowance: Millis, heard_at: Timestamp, now: Timestamp) {
        if allowance == self.allowance {
            // Its timer asks again for what was heard since.
            return;
        }
        self.allowance = allowance;
        if let Status::Heard { timer_due } = &mut self.status {
            *timer_due = self.watched_from.max(heard_at) + allowance;
            *timer_due = (*timer_due).max(now);
        }
    }

    fn deadline(&self, heard_at: Timestamp) -> Timestamp {
        heard_at.max(self.watched_from) + self.allowance
    }

    /// Puts the whole state, for a digest or a snapshot.
    pub fn put(&self, out: &mut impl Put) {
        out.put_time(self.watched_from);
        out.put_option(self.timer_due(), Put::put_time);
    }

    /// The state as it was put.
    pub fn take(take: &mut Take<'_>, allowance: Millis) -> Result<Self, CodecError> {
        let watched_from = take.time()?;
        let timer_due = take.option(Take::time)?;
        Ok(Self {
            allowance,
            watched_from,
            status: timer_due.map_or(Status::Silent, |timer_due| Status::Heard { timer_due }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_timer_asks_again_for_what_was_heard_since() {
        let mut state = State::new(Millis(100), at(0));
        assert_eq!(state.timer_due(), Some(at(100)));
        assert_eq!(state.fire(at(100), at(60)), Outcome::AskAgain(at(160)));
        assert_eq!(state.fire(at(160), at(60)), Outcome::Silent);
        assert_eq!((state.is_silent(), state.timer_due()), (true, None));
        assert_eq!(state.speaks(at(500)), at(600));
        state.ask_at(at(603));
        assert_eq!(state.timer_due(), Some(at(603)));
    }

    #[test]
    fn a_reload_never_sets_a_deadline_in_the_past() {
        let mut state = State::new(Millis(100), at(0));
        state.refit(Millis(10), at(0), at(50));
        assert_eq!(state.timer_due(), Some(at(50)));
    }
}
