//! Maintenance windows: when each opens next.
//!
//! Each opens at its own time, which is part of the state, so that a restart neither opens one
//! twice nor forgets one. What a reload leaves as it was goes on; what it changes or removes ends,
//! and what it brings is open at once if it is its time. Where logical time has not begun, as before
//! the first of recorded readings, windows wait for it: none of the weeks since 1970 is told.

use std::collections::{BTreeMap, BTreeSet};

use super::{Follow, Suppressions, of_window};
use crate::bundle::MaintenanceWindow;
use crate::codec::{CodecError, Put, Take};
use crate::correlate::Turn;
use crate::decision::{Cause, Ending, How, SuppressionState, Target};
use crate::id::{RuleId, SuppressionId};
use crate::invariant::{Audit, Invariant};
use crate::limits::WINDOWS_MAX;
use crate::rules::Rules;
use crate::time::Timestamp;

/// The windows that hold.
#[derive(Debug, Default)]
pub(super) struct Windows {
    known: BTreeMap<RuleId, Known>,
    openings: BTreeSet<(Timestamp, RuleId)>,
    /// How many of them wait for time to begin.
    asleep: usize,
}

/// No time yet: recorded readings bring theirs.
const NO_TIME: Timestamp = Timestamp::from_millis(0);

/// A window that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    hash: u64,
    /// When it opens next; `None` if never again, [`NO_TIME`] if time has not begun.
    opens: Option<Timestamp>,
}

impl Known {
    /// A window of which is known what follows from this time.
    fn new(window: &MaintenanceWindow, opens: Option<Timestamp>) -> Self {
        Self {
            hash: window.hash,
            opens,
        }
    }

    fn is_asleep(&self) -> bool {
        self.opens == Some(NO_TIME)
    }

    fn opens(&self) -> Option<Timestamp> {
        self.opens.filter(|_| !self.is_asleep())
    }
}

impl Windows {
    /// When the next one opens.
    pub fn next_opening(&self) -> Option<Timestamp> {
        self.openings.first().map(|(due, _)| *due)
    }

    fn set(&mut self, name: &RuleId, known: Option<Known>) {
        let opens = known.as_ref().and_then(Known::opens);
        self.asleep += usize::from(known.as_ref().is_some_and(Known::is_asleep));
        let before = match known {
            Some(known) => self.known.insert(name.clone(), known),
            None => self.known.remove(name),
        };
        self.asleep -= usize::from(before.as_ref().is_some_and(Known::is_asleep));
        if let Some(due) = before.and_then(|before| before.opens()) {
            self.openings.remove(&(due, name.clone()));
        }
        self.openings.extend(opens.map(|due| (due, name.clone())));
    }

    pub fn audit(&self, audit: &mut Audit) {
        let known = self.known.iter();
        let openings = known.filter_map(|(name, known)| Some((known.opens()?, name.clone())));
        let agree = self.openings == openings.collect();
        audit.expect(agree, Invariant::TimersAgree, "maintenance windows");
    }

    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.known.len());
        for (name, known) in &self.known {
            out.put_text(name.as_str());
            out.put_u64(known.hash);
            out.put_option(known.opens, Put::put_time);
        }
    }

    /// The windows as they were put under the same rules.
    pub fn take(take: &mut Take<'_>, rules: &Rules) -> Result<Self, CodecError> {
        let mut windows = Self::default();
        let hold = &rules.suppression().windows;
        if take.count(WINDOWS_MAX)? != hold.len() {
            return Err(CodecError("other maintenance windows than hold"));
        }
        for window in hold {
            if (take.text()?, take.u64()?) != (window.name.as_str(), window.hash) {
                return Err(CodecError("a maintenance window meant something else"));
            }
            let known = Known::new(window, take.option(Take::time)?);
            windows.set(&window.name, Some(known));
        }
        Ok(windows)
    }
}

impl Suppressions {
    /// Opens the window whose time has come.
    ///
    /// Precondition: there is one.
    pub(super) fn open_window(&mut self, turn: &mut Turn<'_>) -> Vec<Follow> {
        let (due, name) = self.windows.openings.first().cloned().expect("one is due");
        let rules = turn.rules;
        let window = rules.suppression().window(&name);
        let window = window.expect("windows are of the configuration that holds");
        let known = Known::new(window, window.schedule.opens_after(due));
        self.windows.set(&name, Some(known));
        match window.schedule.open_at_or_after(due) {
            Some((from, until)) if from <= due => self.start_window(window, until, turn),
            Some(_) | None => Vec::new(),
        }
    }

    fn start_window(
        &mut self,
        window: &MaintenanceWindow,
        until: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Vec<Follow> {
        let from = turn.at.as_millis().to_string();
        let mut id = SuppressionId::derive(&["maintenance", window.name.as_str(), &from]);
        while self.active.contains_key(&id) || self.over.contains(&id) {
            id = SuppressionId::derive(&[&id.to_string()]);
        }
        let state = SuppressionState {
            id,
            how: How::Maintenance,
            target: Target::Detections(window.matching.clone()),
            by: window.owner.clone(),
            reason: window.reason.clone(),
            window: Some(window.name.clone()),
            from: turn.at,
            until,
            detections: 0,
            let_through: 0,
            sensors: Vec::new(),
            ended: None,
        };
        let cause = Cause {
            due: turn.due,
            ..of_window(&window.name)
        };
        self.start(state, cause, turn)
    }

    /// Other windows hold.
    pub fn reload(&mut self, new: &Rules, turn: &mut Turn<'_>) -> Vec<Follow> {
        let mut follow = Vec::new();
        let new = new.suppression();
        let means_the_same = |name: &RuleId, hash| {
            let window = new.window(name);
            window.is_some_and(|window| window.hash == hash)
        };
        let known = self.windows.known.iter();
        let gone = known.filter(|(name, known)| !means_the_same(name, known.hash));
        let gone: Vec<_> = gone.map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.windows.set(&name, None);
            let active = self.active.iter();
            let of_it = active.filter(|(_, each)| each.state.window.as_ref() == Some(&name));
            let of_it: Vec<_> = of_it.map(|(id, _)| *id).collect();
            for id in of_it {
                follow.extend(self.end(id, Ending::RulesChanged, of_window(&name), turn));
            }
        }
        for window in &new.windows {
            if !self.windows.known.contains_key(&window.name) {
                follow.extend(self.bring(window, turn));
            }
        }
        follow
    }

    /// A window holds from here on.
    fn bring(&mut self, window: &MaintenanceWindow, turn: &mut Turn<'_>) -> Vec<Follow> {
        let opens = match turn.at {
            NO_TIME => Some(NO_TIME),
            now => window.schedule.opens_after(now),
        };
        self.windows
            .set(&window.name, Some(Known::new(window, opens)));
        if opens == Some(NO_TIME) {
            return Vec::new();
        }
        match window.schedule.open_at_or_after(turn.at) {
            Some((from, until)) if from <= turn.at => self.start_window(window, until, turn),
            Some(_) | None => Vec::new(),
        }
    }

    /// Whether windows wait for time to begin, and it has by now.
    pub fn may_wake(&self, now: Timestamp) -> bool {
        self.windows.asleep > 0 && now != NO_TIME
    }

    /// Time has begun: what waited for it holds from here on.
    pub fn wake(&mut self, turn: &mut Turn<'_>) -> Vec<Follow> {
        let mut follow = Vec::new();
        let rules = turn.rules;
        for window in &rules.suppression().windows {
            let known = self.windows.known.get(&window.name);
            if known.is_some_and(Known::is_asleep) {
                follow.extend(self.bring(window, turn));
            }
        }
        follow
    }
}
