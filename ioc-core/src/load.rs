//! How much is asked of an operator: when somebody is called, counted in one way for all.
//!
//! Arrives: decisions, in order. Leaves: how often they called somebody, and how often of late.
//! An operator is *called* by an incident that opens and is nobody's child, that comes back, that
//! becomes graver than it was told before, or that is suppressed by design no more; by none that is
//! suppressed or shelved. That it is passed on, because nobody has seen it, is another matter: it is
//! the same call, to somebody else. Bounded: it knows of incidents that are open, and of calls
//! within [`LOAD_OVER`], of at most so many each.

use std::collections::{BTreeMap, VecDeque};

use crate::decision::{Decision, Severity, Verdict};
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
    /// How grave each incident was told at most since it opened, or came back.
    told: BTreeMap<IncidentId, Severity>,
}

impl Load {
    /// Takes note of a decision. Whether somebody is called by it.
    pub fn take(&mut self, decision: &Decision) -> bool {
        let Some(incident) = decision.verdict.incident() else {
            return false;
        };
        let before = self.told.get(&incident.id).copied();
        let is_graver = before.is_some_and(|before| incident.severity > before);
        let calls = match &decision.verdict {
            Verdict::IncidentOpened(_) => incident.parent.is_none(),
            Verdict::IncidentReopened(_) | Verdict::IncidentSuppressed(_) => true,
            Verdict::IncidentUpdated(_) => is_graver,
            _ => false,
        };
        match &decision.verdict {
            Verdict::IncidentCleared(_) | Verdict::IncidentMerged { .. } => {
                self.told.remove(&incident.id);
            }
            _ => {
                let told = before.unwrap_or(incident.severity).max(incident.severity);
                self.told.insert(incident.id, told);
            }
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
    use crate::decision::{Cause, Certainty, Condition, Handling, IncidentState};

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

    #[test]
    fn an_operator_is_called_by_what_opens_comes_back_or_gets_graver_and_by_no_symptom() {
        let mut load = Load::default();
        let mut calls = |verdict| {
            load.take(&Decision {
                seq: 1,
                at: Timestamp::from_millis(0),
                verdict,
                cause: Cause::default(),
            })
        };
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
        assert!(!calls(Verdict::IncidentCleared(severe())));
        assert!(calls(Verdict::IncidentReopened(severe())));
        assert!(calls(Verdict::IncidentUpdated(extreme())));
        assert!(!calls(Verdict::IncidentRated(severe())));
        assert!(!calls(Verdict::IncidentUpdated(extreme())), "it was told");
        assert!(!calls(Verdict::IncidentEscalated(extreme())));
        assert!(!calls(Verdict::IncidentSuppressed(symptom(true))));
        assert!(calls(Verdict::IncidentSuppressed(symptom(false))));
        assert_eq!(load.calls, 4);
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
