//! The timers of a sensor stage, by numbers: a city's silence is asked for a hundred thousand times
//! in minutes, and names would be read from all over memory.
//!
//! Arrives: what is due when. Leaves: timers in the order of their due times. Promise: which of
//! those of one time comes first shows nowhere, for a stage's sensors share nothing and what is
//! found is put in order afterwards. Each sensor has at most one timer per rule. Next: `due.rs`.

use std::collections::BTreeSet;

use crate::time::Timestamp;

/// A timer of one rule about one sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub due: Timestamp,
    /// The number of the rule.
    pub rule: u32,
    /// The number of the sensor.
    pub sensor: u32,
}

/// All that run.
#[derive(Debug)]
pub(super) struct Timers {
    set: BTreeSet<Timer>,
    /// The earliest due time, so that a record that fires nothing costs one comparison.
    next: Timestamp,
    /// What is due before this waits until somebody takes it.
    from: Timestamp,
}

impl FromIterator<Timer> for Timers {
    fn from_iter<I: IntoIterator<Item = Timer>>(timers: I) -> Self {
        let mut timers = Self {
            set: timers.into_iter().collect(),
            next: Timestamp::MAX,
            from: Timestamp::MIN,
        };
        timers.find_next();
        timers
    }
}

impl Timers {
    pub fn new() -> Self {
        Self::from_iter([])
    }

    /// What is due before then waits: it is not fired, but taken by whoever cancels it.
    pub fn wait_before(&mut self, from: Timestamp) {
        self.from = from;
        self.find_next();
    }

    /// Whether anything waits so.
    pub fn has_waiting(&self) -> bool {
        let first = self.set.first();
        first.is_some_and(|timer| timer.due < self.from)
    }

    pub fn arm(&mut self, timer: Timer) {
        if timer.due >= self.from {
            self.next = self.next.min(timer.due);
        }
        self.set.insert(timer);
    }

    pub fn cancel(&mut self, timer: Timer) {
        if self.set.remove(&timer) && timer.due == self.next {
            self.find_next();
        }
    }

    /// Moves the one timer that a rule has about a sensor.
    pub fn replace(
        &mut self,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
        (rule, sensor): (u32, u32),
    ) {
        let timer = |due| Timer { due, rule, sensor };
        if let Some(due) = before {
            self.cancel(timer(due));
        }
        if let Some(due) = after {
            self.arm(timer(due));
        }
    }

    pub fn runs(&self, timer: Timer) -> bool {
        self.set.contains(&timer)
    }

    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// When the next is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.firing().next().map(|timer| timer.due)
    }

    /// The next that is due by `to`.
    pub fn first_due(&self, to: Timestamp) -> Option<&Timer> {
        if self.next > to {
            return None;
        }
        self.due(to).next()
    }

    /// All that are due by `to`, in order.
    pub fn due(&self, to: Timestamp) -> impl Iterator<Item = &Timer> {
        self.firing().take_while(move |timer| timer.due <= to)
    }

    /// All but those that wait, in order.
    fn firing(&self) -> impl Iterator<Item = &Timer> {
        let first = Timer {
            due: self.from,
            rule: 0,
            sensor: 0,
        };
        self.set.range(first..)
    }

    /// Takes the next that is due by `to`.
    pub fn pop_due(&mut self, to: Timestamp) -> Option<Timer> {
        let timer = *self.first_due(to)?;
        self.set.remove(&timer);
        self.find_next();
        Some(timer)
    }

    fn find_next(&mut self) {
        self.next = self.next_due().unwrap_or(Timestamp::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_what_is_cancelled_does_not() {
        let at = Timestamp::from_millis;
        let timer = |due, sensor| Timer {
            due: at(due),
            rule: 1,
            sensor,
        };
        let mut timers = Timers::new();
        for (due, sensor) in [(3, 1), (1, 2), (2, 3), (1, 4)] {
            timers.arm(timer(due, sensor));
        }
        timers.cancel(timer(1, 2));
        timers.replace(Some(at(2)), Some(at(5)), (1, 3));
        assert_eq!(timers.first_due(at(0)), None);
        let fired = std::iter::from_fn(|| timers.pop_due(at(4)));
        let fired: Vec<_> = fired.map(|timer| timer.sensor).collect();
        assert_eq!(fired, [4, 1]);
        assert!(timers.runs(timer(5, 3)) && timers.len() == 1);
        assert_eq!(timers.next_due(), Some(at(5)));
    }

    #[test]
    fn what_is_due_before_a_start_waits_until_it_is_taken() {
        let at = Timestamp::from_millis;
        let timer = |due| Timer {
            due: at(due),
            rule: 1,
            sensor: 1,
        };
        let mut timers = Timers::from_iter([1, 4, 6].map(timer));
        timers.wait_before(at(5));
        assert_eq!(
            (timers.next_due(), timers.has_waiting()),
            (Some(at(6)), true)
        );
        assert_eq!(timers.pop_due(at(9)), Some(timer(6)));
        assert_eq!(timers.pop_due(at(9)), None);
        [1, 4].into_iter().for_each(|due| timers.cancel(timer(due)));
        assert!(!timers.has_waiting() && timers.len() == 0);
    }
}
