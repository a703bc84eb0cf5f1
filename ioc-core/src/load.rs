//! How much is asked of an operator: when somebody is called, counted in one way for all.
//!
//! Arrives: decisions, in order. Leaves: how often they called somebody, and how often of late.
//! An operator is *called* by an incident that opens, that comes back or is to be seen anew, that
//! becomes graver than it was told before, or that is suppressed by design no more; by none that is
//! suppressed or shelved. Who has been called for a cause is not called for what it causes while it
//! lasts: a child that opens calls if its parent is over, or a person has dismissed it. That a sensor
//! is heard again of which nothing was known calls nobody: it is the same incident. That one is passed
//! on, because nobody has seen it, is another matter: it is the same call, to somebody else. Bounded:
//! it knows of incidents, and of calls within [`LOAD_OVER`], of at most so many each.

use std::collections::{BTreeMap, VecDeque};

use crate::decision::{Condition, Decision, Handling, IncidentState, Severity, Verdict};
use crate::id::IncidentId;
use crate::limits::{CALLS_REMEMBERED, INCIDENTS_MAX};
use crate::time::{Millis, Timestamp};

/// For how long the busiest time of an operator is counted (EEMUA 191).
pub const LOAD_OVER: Millis = Millis::minutes(10);

/// How often an operator was called.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How often in all.
    pub calls: u64,
    /// The most of it within [`LOAD_OVER`].
    pub busiest: usize,
    recent: VecDeque<Timestamp>,
    /// What was told last of each incident.
    told: BTreeMap<IncidentId, Told>,
}

/// What was told of an incident.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// How grave at most since it opened, or came back.
    severity: Severity,
    episode: u32,
    handling: Handling,
    /// Whether it goes on.
    lasts: bool,
}

impl Told {
    fn of(incident: &IncidentState) -> Self {
        Self {
            severity: incident.severity,
            episode: incident.episode,
            handling: incident.handling,
            lasts: incident.condition != Condition::Cleared,
        }
    }

    /// Whether what it causes is no news to whoever was called for it.
    fn stands_for_its_effects(&self) -> bool {
        self.lasts && self.handling.dismissal().is_none()
    }

    /// Whether an incident that is back is to be seen again.
    fn is_seen_anew(&self, now: &IncidentState) -> bool {
        let new = |handling| handling == Handling::New;
        now.episode > self.episode || new(now.handling) && !new(self.handling)
    }
}

impl Load {
    /// Takes note of a decision. Whether somebody is called by it.
    pub fn take(&mut self, decision: &Decision) -> bool {
        let Some(incident) = decision.verdict.incident() else {
            return false;
        };
        let before = self.told.get(&incident.id).copied();
        let is_graver = before.is_some_and(|before| incident.severity > before.severity);
        let parent = incident.parent.and_then(|parent| self.told.get(&parent));
        let calls = match &decision.verdict {
            // Of a parent that nothing is known of it was told before anything was counted.
            Verdict::IncidentOpened(_) => match incident.parent {
                Some(_) => parent.is_some_and(|parent| !parent.stands_for_its_effects()),
                None => true,
            },
            Verdict::IncidentReopened(_) => {
                before.is_none_or(|before| before.is_seen_anew(incident))
            }
            Verdict::IncidentSuppressed(_) => incident.handling.dismissal().is_none(),
            Verdict::IncidentUpdated(_) => is_graver,
            _ => false,
        };
        if let Verdict::IncidentMerged { .. } = &decision.verdict {
            self.told.remove(&incident.id);
        } else {
            let now = Told::of(incident);
            // What is over was as grave as it was no more.
            let before = before.filter(|before| before.lasts && now.lasts);
            let most = before.map_or(now.severity, |before| before.severity.max(now.severity));
            let told = Told {
                severity: most,
                ..now
            };
            self.told.insert(incident.id, told);
        }
        while self.told.len() > INCIDENTS_MAX {
            self.told.pop_first();
        }
        let calls = calls && !incident.suppressed && incident.shelved_until.is_none();
        if calls {
            self.call(decision.at);
        }
        calls
    }

    /// How often somebody was called within [`LOAD_OVER`] until now.
    pub fn lately(&self, now: Timestamp) -> usize {
        let from = now - LOAD_OVER;
        let earlier = self.recent.partition_point(|at| *at <= from);
        self.recent.len() - earlier
    }

    fn call(&mut self, at: Timestamp) {
        self.calls += 1;
        self.recent.push_back(at);
        while self
            .recent
            .front()
            .is_some_and(|first| at - *first >= LOAD_OVER)
        {
            self.recent.pop_front();
        }
        if self.recent.len() > CALLS_REMEMBERED {
            self.recent.pop_front();
        }
        self.busiest = self.busiest.max(self.recent.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Cause, Certainty, Dismissal};

    fn incident(severity: Severity) -> IncidentState {
        IncidentState {
            id: IncidentId::derive(&["a"]),
            kind: "flood".parse().unwrap(),
            severity,
            certainty: Certainty::Observed,
            condition: Condition::Active,
            handling: Handling::New,
            position: None,
            radius_m: 0,
            zone: "_".parse().unwrap(),
            opened_at: Timestamp::from_millis(0),
            episode: 1,
            sensors: 1,
            readings: 1,
            parent: None,
            escalated: None,
            shelved_until: None,
            suppressed: false,
        }
    }

    fn decision(verdict: Verdict) -> Decision {
        Decision {
            seq: 1,
            at: Timestamp::from_millis(0),
            verdict,
            cause: Cause::default(),
        }
    }

    #[test]
    fn an_operator_is_called_by_what_opens_comes_back_or_gets_graver_and_by_no_symptom() {
        let mut load = Load::default();
        let mut calls = |verdict| load.take(&decision(verdict));
        let severe = || incident(Severity::Severe);
        let extreme = || incident(Severity::Extreme);
        let symptom = |suppressed| IncidentState {
            suppressed,
            ..extreme()
        };
        let child = IncidentState {
            parent: Some(IncidentId::derive(&["b"])),
            ..severe()
        };
        let shelved = IncidentState {
            shelved_until: Some(Timestamp::MAX),
            ..extreme()
        };
        assert!(!calls(Verdict::IncidentOpened(child)));
        assert!(calls(Verdict::IncidentOpened(severe())));
        assert!(!calls(Verdict::IncidentUpdated(severe())));
        assert!(!calls(Verdict::IncidentUpdated(shelved)));
        let cleared = IncidentState {
            condition: Condition::Cleared,
            ..severe()
        };
        let again = IncidentState {
            episode: 2,
            ..severe()
        };
        assert!(!calls(Verdict::IncidentCleared(cleared)));
        assert!(calls(Verdict::IncidentReopened(again)));
        assert!(calls(Verdict::IncidentUpdated(extreme())));
        assert!(!calls(Verdict::IncidentRated(severe())));
        assert!(!calls(Verdict::IncidentUpdated(extreme())), "it was told");
        assert!(!calls(Verdict::IncidentEscalated(extreme())));
        assert!(!calls(Verdict::IncidentSuppressed(symptom(true))));
        assert!(calls(Verdict::IncidentSuppressed(symptom(false))));
        assert_eq!(load.calls, 4);
    }

    #[test]
    fn who_was_called_for_a_cause_is_called_for_its_effect_when_that_stands_alone() {
        let mut load = Load::default();
        let mut calls = |verdict| load.take(&decision(verdict));
        let cause = || incident(Severity::Severe);
        let child_of = |parent: &str| IncidentState {
            id: IncidentId::derive(&["child"]),
            parent: Some(IncidentId::derive(&[parent])),
            ..incident(Severity::Severe)
        };
        assert!(calls(Verdict::IncidentOpened(cause())));
        assert!(!calls(Verdict::IncidentOpened(child_of("a"))));
        assert!(!calls(Verdict::IncidentOpened(child_of("told before"))));
        let dismissed = IncidentState {
            handling: Handling::Dismissed(Dismissal::FalseAlarm),
            ..cause()
        };
        assert!(!calls(Verdict::IncidentRated(dismissed)));
        assert!(calls(Verdict::IncidentOpened(child_of("a"))));
        let cleared = IncidentState {
            condition: Condition::Cleared,
            ..cause()
        };
        assert!(!calls(Verdict::IncidentCleared(cleared)));
        assert!(calls(Verdict::IncidentOpened(child_of("a"))));
    }

    #[test]
    fn that_a_sensor_is_heard_again_calls_nobody() {
        let mut load = Load::default();
        let mut calls = |verdict| load.take(&decision(verdict));
        let handled = |handling| IncidentState {
            handling,
            ..incident(Severity::Severe)
        };
        let unknown = IncidentState {
            condition: Condition::Unknown,
            ..handled(Handling::Acknowledged)
        };
        assert!(calls(Verdict::IncidentOpened(handled(Handling::New))));
        assert!(!calls(Verdict::IncidentUnknown(unknown)));
        let back = || handled(Handling::Acknowledged);
        assert!(!calls(Verdict::IncidentReopened(back())));
        let overruled = handled(Handling::New);
        assert!(
            calls(Verdict::IncidentReopened(overruled)),
            "it is to be seen anew"
        );
    }

    #[test]
    fn the_busiest_ten_minutes_of_an_operator_are_counted() {
        let mut load = Load::default();
        let minute = |minute: i64| Timestamp::from_millis(minute * 60_000);
        for at in [0, 1, 9, 10, 30] {
            load.call(minute(at));
        }
        assert_eq!((load.calls, load.busiest), (5, 3));
        assert_eq!([30, 39, 40].map(|at| load.lately(minute(at))), [1, 1, 0]);
    }

    #[test]
    fn p5_no_more_calls_are_remembered_than_the_bound() {
        let mut load = Load::default();
        for _ in 0..=CALLS_REMEMBERED {
            load.call(Timestamp::from_millis(0));
        }
        assert_eq!(load.calls, CALLS_REMEMBERED as u64 + 1);
        assert_eq!(load.busiest, CALLS_REMEMBERED);
    }
}
