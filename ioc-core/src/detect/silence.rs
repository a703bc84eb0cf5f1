//! Has the sensor said nothing? Lazy deadlines, so that a reading costs no timer.
//!
//! Arrives: when the sensor was last heard, and the timer when it is due. Leaves: whether it is
//! silent by now, or when to ask again. Downtime is not silence: its deadline is so much later, and
//! after a start it has a grace, in which whoever lives says something and brokers deliver what they
//! kept; but not its whole deadline again, so that starts hide nobody who is dead. Sensors that were
//! never heard are never silent. Next: `pauses.rs`.

use crate::away::Away;
use crate::codec::{CodecError, Put, Take};
use crate::limits::SILENCE_GRACE;
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

/// What is known of a sensor when its timer is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard<'a> {
    /// The time of its last reading.
    pub at: Timestamp,
    /// How often it says something.
    pub interval: Millis,
    /// The last start.
    pub started_at: Timestamp,
    pub away: &'a Away,
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

    /// The timer is due.
    pub fn fire(&mut self, due: Timestamp, heard: Heard<'_>) -> Outcome {
        let deadline = self.deadline(heard);
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

    /// Takes over what a reload allows now. Its timer may be due before its deadline, and asks again.
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

    fn deadline(&self, heard: Heard<'_>) -> Timestamp {
        let at = heard.at.max(self.watched_from);
        self.lasts_until(Heard { at, ..heard })
    }

    /// Whether one that says nothing between these may be silent at the end: asked with each reading.
    pub fn ends_between(&self, from: Timestamp, to: Timestamp) -> bool {
        to - from >= self.allowance
    }

    /// Until when one that says nothing more is not silent, whenever it began to be watched.
    pub fn lasts_until(&self, heard: Heard<'_>) -> Timestamp {
        let since = heard.at;
        let due = since + self.allowance;
        let longer = heard.away.waits_on(since, due);
        let deadline = longer.map_or(due, |(_, due)| due);
        if heard.started_at <= since {
            return deadline;
        }
        let grace = Millis(heard.interval.0.saturating_add(SILENCE_GRACE.0));
        deadline.max(heard.started_at + grace.min(self.allowance))
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
        let away = Away::default();
        let heard = |ms| Heard {
            at: at(ms),
            interval: Millis(50),
            started_at: at(0),
            away: &away,
        };
        let mut state = State::new(Millis(100), at(0));
        assert_eq!(state.timer_due(), Some(at(100)));
        assert_eq!(state.fire(at(100), heard(60)), Outcome::AskAgain(at(160)));
        assert_eq!(state.fire(at(160), heard(60)), Outcome::Silent);
        assert_eq!((state.is_silent(), state.timer_due()), (true, None));
        assert_eq!(state.speaks(at(500)), at(600));
        state.ask_at(at(603));
        assert_eq!(state.timer_due(), Some(at(603)));
    }

    /// In which minute a sensor is silent that was heard in the first, and says something so often, if
    /// nobody was there in these.
    fn silent_in(allowance_min: i64, interval_min: i64, gaps: &[(i64, i64)]) -> i64 {
        let minute = |minute: i64| Timestamp::default() + Millis::minutes(minute);
        let mut away = Away::default();
        for (from, to) in gaps {
            away.note(minute(*from), minute(*to));
        }
        let mut state = State::new(Millis::minutes(allowance_min), minute(0));
        let heard = Heard {
            at: minute(0),
            interval: Millis::minutes(interval_min),
            started_at: gaps.last().map_or(minute(0), |(_, to)| minute(*to)),
            away: &away,
        };
        match state.fire(minute(allowance_min), heard) {
            Outcome::AskAgain(at) => (at - minute(0)).0 / 60_000,
            Outcome::Silent => allowance_min,
        }
    }

    #[test]
    fn downtime_is_added_and_a_start_leaves_time_for_one_interval() {
        assert_eq!(silent_in(180, 60, &[]), 180);
        assert_eq!(silent_in(180, 60, &[(-100, 0)]), 180);
        // Long before its deadline, and just before.
        assert_eq!(silent_in(180, 60, &[(10, 70)]), 240);
        assert_eq!(silent_in(180, 60, &[(10, 70), (80, 90)]), 250);
        assert_eq!(silent_in(180, 60, &[(150, 151)]), 151 + 65);
        // Never more than its whole time.
        assert_eq!(silent_in(5, 1, &[(4, 9)]), 14);
    }

    #[test]
    fn a_reload_never_sets_a_deadline_in_the_past() {
        let mut state = State::new(Millis(100), at(0));
        state.refit(Millis(10), at(0), at(50));
        assert_eq!(state.timer_due(), Some(at(50)));
    }
}
