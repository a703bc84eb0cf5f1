//! Which decisions nobody may miss: all but an update that makes nothing graver.
//!
//! Arrives: decisions in order. Leaves: for each whether it is such a *control* decision. It knows
//! how grave each open incident was said to be, and nothing else, so that frames need not wait for
//! the picture. Bounded by the incidents that are open. Next: `keeper.rs`.

use std::collections::BTreeMap;

use ioc_core::decision::{Decision, DecisionSeq, Severity, Verdict};
use ioc_core::id::IncidentId;

use crate::saved::Saved;

/// How grave each open incident was last said to be.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    severities: BTreeMap<IncidentId, Severity>,
    /// Decisions up to this one are part of what was restored.
    known_to: DecisionSeq,
}

impl Controls {
    /// Goes on from what was saved.
    pub(crate) fn restore(&mut self, saved: &Saved) {
        self.known_to = saved.head.seq;
        let open = saved.incidents.iter().filter(|each| each.ended.is_none());
        self.severities = open
            .map(|each| (each.state.id, each.state.severity))
            .collect();
    }

    /// Whether nobody may miss this decision. What was known before a restore is for those who
    /// come back, and what it changed is not known any more: nobody may miss it.
    pub(crate) fn is_control(&mut self, decision: &Decision) -> bool {
        if decision.seq <= self.known_to {
            return true;
        }
        match &decision.verdict {
            Verdict::IncidentUpdated(state) => {
                self.severities.insert(state.id, state.severity) != Some(state.severity)
            }
            Verdict::IncidentOpened(state)
            | Verdict::IncidentUnknown(state)
            | Verdict::IncidentLinked(state)
            | Verdict::IncidentSplit {
                incident: state, ..
            }
            | Verdict::IncidentEvidenceMoved {
                incident: state, ..
            }
            | Verdict::IncidentReopened(state) => {
                self.severities.insert(state.id, state.severity);
                true
            }
            Verdict::IncidentCleared(state)
            | Verdict::IncidentMerged {
                incident: state, ..
            } => {
                self.severities.remove(&state.id);
                true
            }
            // What is done about those that are over makes them no graver.
            Verdict::IncidentHandled {
                incident: state, ..
            }
            | Verdict::IncidentRated(state)
            | Verdict::IncidentShelved(state)
            | Verdict::IncidentSuppressed(state)
            | Verdict::IncidentEscalated(state) => {
                if let Some(severity) = self.severities.get_mut(&state.id) {
                    *severity = state.severity;
                }
                true
            }
            Verdict::IncidentAcknowledged(_)
            | Verdict::SensorSilent(_)
            | Verdict::SensorReturned(_)
            | Verdict::SensorFaulty(..)
            | Verdict::SensorSound(..)
            | Verdict::SiteSilent(_)
            | Verdict::SiteReturned(_)
            | Verdict::RulesChanged(_)
            | Verdict::CommandRefused(_)
            | Verdict::Suppression(..)
            | Verdict::Command(..) => true,
        }
    }
}
