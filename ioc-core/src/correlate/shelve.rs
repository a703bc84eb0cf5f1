//! What people have kept quiet, as incidents see it: those that nobody is called for, and members
//! that somebody works at.
//!
//! An incident that is shelved goes on in every way; nobody is told that nobody has seen it. It is
//! shelved no more when it becomes extreme (INV-16) or its evidence makes it graver than it was, for
//! who wanted it quiet has not known it so; when a person opens one here; when it is over; and when it
//! becomes one with another that is not. What it has caused makes it graver too, and is told by
//! itself. A sensor that is out of service is one that says nothing.

use super::{Correlator, Turn};
use crate::decision::{Cause, Ending, Severity, Verdict};
use crate::id::{IncidentId, SensorId};
use crate::incident::{Incident, Source};
use crate::time::Timestamp;

impl Correlator {
    /// Nobody is called for an incident until then, or somebody is again.
    pub fn shelve(
        &mut self,
        id: IncidentId,
        until: Option<Timestamp>,
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) {
        let slot = self.slots[&id];
        let case = self.case_mut(slot);
        if case.incident.shelved_until == until {
            return;
        }
        case.incident.shelved_until = until;
        self.explain_others(slot, turn);
        let case = self.case(slot);
        let state = case.state();
        turn.decide(Verdict::IncidentShelved(state), cause.clone());
        self.time_the_escalation(slot, turn);
    }

    /// Somebody works at a sensor: its members are blind. Returns whether one of them was silent.
    pub fn lose_sight_of(&mut self, sensor: &SensorId, at: Timestamp) -> bool {
        let Some(slot) = self.slot_of(sensor) else {
            return false;
        };
        let source = Source::of_sensor(sensor);
        let sure_after = self.rule.clear_after;
        let case = self.case_mut(slot);
        let was_silent = case.cluster.is_silent(&source);
        case.fall_silent(&source, at, sure_after);
        self.touch(slot);
        was_silent
    }

    /// Nobody works at it any more, and it is heard.
    pub fn see_again(&mut self, sensor: &SensorId, at: Timestamp) {
        if let Some(slot) = self.slot_of(sensor) {
            let source = Source::of_sensor(sensor);
            self.case_mut(slot).cluster.speak(&source, at);
            self.touch(slot);
        }
    }
}

impl Incident {
    /// What is extreme is not hidden.
    pub fn show_if_extreme(&mut self, unshelved: &mut Vec<(IncidentId, Ending)>) {
        if self.severity == Severity::Extreme {
            self.unshelve(Ending::Extreme, unshelved);
        }
    }

    /// Who wanted it quiet has not known it as grave as its evidence has made it. `before`: how grave it
    /// was by itself.
    pub fn show_if_graver(&mut self, before: Severity, unshelved: &mut Vec<(IncidentId, Ending)>) {
        self.show_if_extreme(unshelved);
        if self.own_severity() > before {
            self.urgent |= self.shelved_until.is_some();
            self.unshelve(Ending::Graver, unshelved);
        }
    }

    /// A person has opened one here, and did not know, or not mean, that this one is kept quiet.
    pub fn show_what_is_opened(&mut self, unshelved: &mut Vec<(IncidentId, Ending)>) {
        self.urgent |= self.shelved_until.is_some();
        self.unshelve(Ending::Reported, unshelved);
    }

    /// It is not shelved any more.
    pub fn unshelve(&mut self, why: Ending, unshelved: &mut Vec<(IncidentId, Ending)>) {
        if self.shelved_until.take().is_some() {
            unshelved.push((self.id, why));
        }
    }
}
