//! Deterministic timers: ordered, part of the state, fired by the time of the next record.
//!
//! Arrives: what is due when. Leaves: timers in the order of (due, rule, subject), so that nobody
//! can tell how many sets of them there were. Promise: a timer that is armed while another fires
//! is due later than that one, or is of the engine. Each sensor or incident has at most one timer
//! per rule and purpose, which bounds them. Next: `detect.rs`.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::id::RuleId;
use crate::time::Timestamp;

/// What is due: when, by which rule, about whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer<S> {
    pub due: Timestamp,
    pub rule: RuleId,
    pub subject: S,
}

/// Timers about subjects of one kind.
#[derive(Debug)]
pub(crate) struct Timers<S> {
    set: BTreeSet<Timer<S>>,
    /// The earliest due time, so that a record that fires nothing costs one comparison.
    next: Timestamp,
    /// What comes before this waits until somebody takes it.
    from: Option<Timer<S>>,
}

impl<S: Ord> FromIterator<Timer<S>> for Timers<S> {
    fn from_iter<I: IntoIterator<Item = Timer<S>>>(timers: I) -> Self {
        let mut timers = Self {
            set: timers.into_iter().collect(),
            next: Timestamp::MAX,
            from: None,
        };
        timers.find_next();
        timers
    }
}

impl<S: Ord> Timers<S> {
    pub fn new() -> Self {
        Self {
            set: BTreeSet::new(),
            next: Timestamp::MAX,
            from: None,
        }
    }

    /// What comes before this waits from here on, until it is [taken](Self::pop_waiting).
    pub fn wait_before(&mut self, from: Option<Timer<S>>) {
        self.from = from;
        self.find_next();
    }

    /// Whether anything waits so.
    pub fn has_waiting(&self) -> bool {
        self.set.first() < self.from.as_ref() && !self.set.is_empty()
    }

    /// Takes the first of what waits.
    pub fn pop_waiting(&mut self) -> Option<Timer<S>> {
        match self.has_waiting() {
            true => self.set.pop_first(),
            false => None,
        }
    }

    pub fn arm(&mut self, due: Timestamp, rule: RuleId, subject: S) {
        let timer = Timer { due, rule, subject };
        if self.from.as_ref().is_none_or(|from| *from <= timer) {
            self.next = self.next.min(due);
        }
        self.set.insert(timer);
    }

    pub fn cancel(&mut self, due: Timestamp, rule: RuleId, subject: S) {
        self.set.remove(&Timer { due, rule, subject });
        self.find_next();
    }

    /// Moves the one timer that a rule has about a subject.
    pub fn replace(
        &mut self,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
        rule: &RuleId,
        subject: &S,
    ) where
        S: Clone,
    {
        if let Some(due) = before {
            self.cancel(due, rule.clone(), subject.clone());
        }
        if let Some(due) = after {
            self.arm(due, rule.clone(), subject.clone());
        }
    }

    /// Whether this timer runs.
    pub fn runs(&self, due: Timestamp, rule: &RuleId, subject: &S) -> bool
    where
        S: Clone,
    {
        self.set.contains(&Timer {
            due,
            rule: rule.clone(),
            subject: subject.clone(),
        })
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// When the next is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.first().map(|timer| timer.due)
    }

    /// The next that is due by `to`.
    pub fn first_due(&self, to: Timestamp) -> Option<&Timer<S>> {
        if self.next > to {
            return None;
        }
        self.first().filter(|timer| timer.due <= to)
    }

    /// The first that does not wait.
    fn first(&self) -> Option<&Timer<S>> {
        match &self.from {
            None => self.set.first(),
            Some(from) => {
                let all = (Bound::Included(from), Bound::Unbounded);
                self.set.range::<Timer<S>, _>(all).next()
            }
        }
    }

    /// Takes the next that is due by `to`.
    pub fn pop_due(&mut self, to: Timestamp) -> Option<Timer<S>>
    where
        S: Clone,
    {
        let timer = match &self.from {
            None => {
                self.first_due(to)?;
                self.set.pop_first()
            }
            Some(_) => {
                let timer = self.first_due(to)?.clone();
                self.set.take(&timer)
            }
        };
        self.find_next();
        timer
    }

    fn find_next(&mut self) {
        self.next = self.next_due().unwrap_or(Timestamp::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_by_due_then_rule_then_subject() {
        let at = Timestamp::from_millis;
        let rule = |name: &str| name.parse::<RuleId>().unwrap();
        let mut timers = Timers::new();
        for (due, name, subject) in [
            (2, "a", 1),
            (1, "b", 1),
            (1, "a", 2),
            (1, "a", 1),
            (3, "a", 1),
        ] {
            timers.arm(at(due), rule(name), subject);
        }
        timers.cancel(at(2), rule("a"), 1);
        assert_eq!(timers.next_due(), Some(at(1)));
        let fired: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(2)))
            .map(|timer| (timer.due.as_millis(), timer.rule.to_string(), timer.subject))
            .collect();
        assert_eq!(
            fired,
            [(1, "a".into(), 1), (1, "a".into(), 2), (1, "b".into(), 1)]
        );
        assert_eq!(timers.next_due(), Some(at(3)));
    }

    #[test]
    fn what_waits_is_fired_by_nobody_and_taken_in_order() {
        let at = Timestamp::from_millis;
        let rule: RuleId = "a".parse().unwrap();
        let timer = |due, subject| Timer {
            due: at(due),
            rule: rule.clone(),
            subject,
        };
        let mut timers = Timers::from_iter([timer(1, 7), timer(2, 3), timer(4, 5)]);
        timers.wait_before(Some(timer(3, 0)));
        timers.arm(at(2), rule.clone(), 1);
        assert_eq!(timers.next_due(), Some(at(4)));
        assert_eq!(timers.pop_due(at(9)), Some(timer(4, 5)));
        assert_eq!(timers.pop_due(at(9)), None);
        let taken = std::iter::from_fn(|| timers.pop_waiting());
        let taken: Vec<_> = taken.map(|timer| timer.subject).collect();
        assert_eq!((taken, timers.has_waiting()), (vec![7, 1, 3], false));
    }
}
