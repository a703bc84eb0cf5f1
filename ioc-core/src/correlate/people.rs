//! What people do to a rule's incidents: their steps, their word on how grave one is, and what they
//! report themselves.
//!
//! Arrives: what is asked about an incident of this rule. Leaves: one decision for each step, or why
//! it cannot be taken and where the incident stands. Promise: a person moves `handling` and nothing
//! else (INV-10), with one exception: who is there may say that something is over which no sensor
//! is heard to deny. Next: `incident/docket.rs`.

use super::{Correlator, Turn};
use crate::decision::{
    About, Cause, Condition, Evidence, Handling, IncidentState, Refusal, RefusalCode,
};
use crate::decision::{Severity, Step, Verdict};
use crate::detection::{Detection, Finding, Sighting};
use crate::id::{Actor, IncidentId, SensorId};
use crate::incident::{PERSON, Purpose, Source, Statement};
use crate::record::{Said, Seq};
use crate::shared::Shared;
use crate::time::Timestamp;

/// A person's word that is evidence, and the request that brought it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    pub said: Said,
    pub request: &'a str,
    /// The input record that brought it.
    pub seq: Seq,
}

impl Report<'_> {
    /// Who it is of: nobody knows the caller, so each is a source by itself. Its time is in its name,
    /// for a request that is long forgotten may come again.
    fn source(&self, at: Timestamp) -> SensorId {
        let name = format!("{PERSON}{}@{}", self.request, at.as_millis());
        name.parse().expect("a request's characters are a sensor's")
    }

    /// The report as what a sensor stage would have found: a source of its own, which counts for as
    /// long as reports do.
    pub fn finding(&self, turn: &Turn<'_>) -> Finding {
        let sighting = Sighting {
            reading: self.request.parse().expect("a request is a reading's id"),
            seq: self.seq,
            at: turn.at,
            value: 1.0,
            severity: self.said.severity,
            excess: 0.0,
            position: self.said.position,
            shared: Shared::default(),
        };
        Finding {
            seq: self.seq,
            due: None,
            rule: turn.rules.by_person().clone(),
            sensor: self.source(turn.at),
            observed_at: turn.at,
            zone: None,
            doubted: false,
            quiet: false,
            detection: Detection::Reported {
                severity: self.said.severity,
                certainty: self.said.certainty,
                until: turn.at + turn.rules.handling().report_lasting,
                sighting,
                replaces: None,
            },
        }
    }
}

/// The decision that tells a step.
pub(crate) fn told(step: Step, before: Handling, incident: IncidentState) -> Verdict {
    match step {
        Step::Acknowledge => Verdict::IncidentAcknowledged(incident),
        Step::Reopen => Verdict::IncidentReopened(incident),
        Step::Confirm
        | Step::Respond
        | Step::Contain
        | Step::Resolve
        | Step::Close
        | Step::Dismiss(_)
        | Step::Undo => Verdict::IncidentHandled {
            step,
            before,
            incident,
        },
    }
}

/// Why something cannot be done about an incident, and where it stands.
pub(crate) fn refused(code: RefusalCode, state: &IncidentState) -> Refusal {
    let about = match code {
        RefusalCode::AlreadyAcknowledged => About::Incident(state.id),
        _ => About::Standing {
            incident: state.id,
            handling: state.handling,
            condition: state.condition,
        },
    };
    Refusal { code, about }
}

impl Correlator {
    /// A person takes a step. It is no less grave than its children after it, as grave as `floor`.
    pub fn step(
        &mut self,
        id: IncidentId,
        (step, floor): (Step, Severity),
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let slot = self.slots[&id];
        let case = self.case_mut(slot);
        let grounds = case.grounds();
        let incident = &mut case.incident;
        let severity = &mut incident.severity;
        let followed = incident
            .docket
            .follow(step, (actor(cause), turn.at), grounds, severity);
        if let Ok(before) = followed
            && step == Step::Undo
        {
            *severity = (*severity).max(floor);
            if before == incident.docket.handling {
                // His word on how grave it is was one about itself, too.
                incident.said = incident.said.max(case.cluster.gravest());
            }
        }
        case.incident.show_if_extreme(&mut turn.desk.unshelved);
        let before = followed.map_err(|code| refused(code, &case.state()))?;
        let appears = self.heed_cause(slot, turn);
        self.weigh_on_parent(slot, turn);
        let state = self.case(slot).state();
        turn.decide(told(step, before, state), cause.clone());
        if appears {
            self.appear(slot, turn);
        }
        self.time_the_escalation(slot, turn);
        Ok(())
    }

    /// A person says how grave an incident is. What it is no less grave than because of its children,
    /// `floor`, does not make his word about itself less.
    pub fn rate(
        &mut self,
        id: IncidentId,
        (severity, floor): (Severity, Severity),
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let slot = self.slots[&id];
        let case = self.case_mut(slot);
        let gravest = case.gravest_known();
        let incident = &mut case.incident;
        let rated = incident.docket.rate(
            severity,
            actor(cause),
            (gravest, floor),
            &mut incident.severity,
        );
        incident.show_if_extreme(&mut turn.desk.unshelved);
        rated.map_err(|code| refused(code, &case.state()))?;
        case.cluster.is_judged();
        if severity < floor {
            case.incident.said = case.incident.said.min(severity);
        }
        let appears = self.heed_cause(slot, turn);
        self.weigh_on_parent(slot, turn);
        let state = self.case(slot).state();
        turn.decide(Verdict::IncidentRated(state), cause.clone());
        if appears {
            self.appear(slot, turn);
        }
        self.set_timer(slot, Purpose::Lower, None, turn);
        self.time_the_escalation(slot, turn);
        Ok(())
    }

    /// Who is there says that it is over.
    pub fn all_clear(&mut self, id: IncidentId, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let slot = self.slots[&id];
        let case = self.case_mut(slot);
        if case.incident.condition == Condition::Cleared {
            return Err(refused(RefusalCode::AlreadyThere, &case.state()));
        }
        if case.cluster.is_heard_to_be_abnormal() {
            return Err(refused(RefusalCode::SensorsSayOtherwise, &case.state()));
        }
        case.cluster.all_clear();
        for why in [Purpose::Decay, Purpose::Clear, Purpose::Lower] {
            self.set_timer(slot, why, None, turn);
        }
        self.clear(slot, turn);
        Ok(())
    }

    /// Adds a report to an incident, wherever it is said to be.
    pub fn report(&mut self, id: IncidentId, report: &Report<'_>, turn: &mut Turn<'_>) {
        let finding = report.finding(turn);
        let Detection::Reported {
            severity,
            certainty,
            until,
            sighting,
            replaces: _,
        } = &finding.detection
        else {
            unreachable!("a report is one");
        };
        let slot = self.slots[&id];
        let statement = Statement {
            rule: &finding.rule,
            weight: self.weight_of(&finding.rule),
            severity: *severity,
            certainty: *certainty,
            until: Some(*until),
            doubted: false,
            renews: false,
            judged: false,
            sighting,
        };
        let source = Source {
            sensor: finding.sensor.clone(),
            report: Some(sighting.reading.clone()),
        };
        let middle = self.case(slot).cluster.middle();
        let metres = |place| Some(middle?.distance_m(place));
        let evidence = Evidence {
            reading: sighting.reading.clone(),
            seq: sighting.seq,
            sensor: finding.sensor.clone(),
            rule: finding.rule.clone(),
            value: sighting.value,
            distance_m: sighting.position.and_then(metres),
            through: None,
        };
        let by_sensor = sighting.position.is_none();
        self.add(slot, source, by_sensor, &statement, evidence, turn);
        self.touch(slot);
    }
}

/// Who asks.
pub(crate) fn actor(cause: &Cause) -> &Actor {
    let request = cause.request.as_ref();
    let (_, actor) = request.expect("a person asks by a request");
    actor
}
