//! `ioc labels`: which readings belong to one happening, and whether it was real, as people said.
//!
//! Arrives: a data directory. Leaves: a line of JSON for each reading that is evidence of an
//! incident about which a person has said something: what is one (merge), what is not (split, move),
//! what caused what (link), what was real and what was a false alarm. Promise: what rules decided and
//! nobody looked at is no label. Only reads, also beside a running server. Rules are tried against
//! them: with `ioc backtest`, or as a story for `ioc test`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use ioc_core::decision::{Decision, Evidence, Handling, IncidentState, Named, Verdict};
use ioc_core::id::{IncidentId, IncidentKind, ReadingId, SensorId};
use ioc_core::record::Seq;
use serde_json::{Value, json};

use crate::inspect::{self, InspectError};

/// The most readings that are held: about 100 bytes each. Those beyond are counted.
pub const LABELLED_MAX: usize = 4_000_000;

/// The word for what people have confirmed.
const REAL: &str = "real";

/// What was labelled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Incidents about which somebody has said something.
    pub incidents: usize,
    /// Lines.
    pub readings: usize,
    /// Readings that may have no line or the wrong incident: beyond [`LABELLED_MAX`], moved by a
    /// person together with more sources than a decision names, or of an incident that became part of
    /// one of which the log does not tell any more.
    pub unsure: u64,
}

/// Prints the labels of a data directory.
///
/// # Errors
/// A log cannot be read, or the output is closed. What is whole before damage is printed.
pub fn run(data: &Path, out: &mut dyn Write) -> Result<Summary, InspectError> {
    let mut labels = Labels::new(LABELLED_MAX);
    let read = inspect::each_decision(data, |decision| labels.take(decision));
    let summary = labels.tell(out)?;
    read.map(|()| summary)
}

/// What people have said about incidents, and what is evidence of them.
#[derive(Debug)]
struct Labels {
    /// How many readings may still be held.
    room: usize,
    incidents: BTreeMap<IncidentId, Labelled>,
    /// Which one an incident has become.
    became: BTreeMap<IncidentId, IncidentId>,
    unsure: u64,
}

#[derive(Debug)]
struct Labelled {
    kind: IncidentKind,
    evidence: Vec<Reading>,
    /// Who has said something about it.
    by: BTreeSet<String>,
    /// Whether people took it to be real, in a word; `None` while nobody has said.
    verdict: Option<&'static str>,
    parent: Option<IncidentId>,
}

#[derive(Debug)]
struct Reading {
    sensor: SensorId,
    id: ReadingId,
    seq: Seq,
}

impl Labelled {
    /// What people took it to be, by how it stands now. A dismissal that evidence has overruled says
    /// nothing any more.
    fn stands(&mut self, handling: Handling) {
        self.verdict = match handling {
            Handling::New | Handling::Acknowledged => None,
            Handling::Confirmed | Handling::Responding | Handling::Contained => Some(REAL),
            // What is closed is what it was.
            Handling::Resolved | Handling::Closed => self.verdict.or(Some(REAL)),
            Handling::Dismissed(reason) => Some(reason.word()),
            Handling::Merged => self.verdict,
        };
    }
}

impl Labels {
    fn new(readings_max: usize) -> Self {
        Self {
            room: readings_max,
            incidents: BTreeMap::new(),
            became: BTreeMap::new(),
            unsure: 0,
        }
    }

    fn take(&mut self, decision: &Decision) {
        let Some(state) = decision.verdict.incident() else {
            return;
        };
        let new = decision.cause.evidence.iter().map(Reading::from);
        let new: Vec<_> = new.take(self.room).collect();
        self.unsure += (decision.cause.evidence.len() - new.len()) as u64;
        self.room -= new.len();
        self.of(state).evidence.extend(new);
        self.of(state).stands(state.handling);
        if let Some((_, actor)) = &decision.cause.request {
            self.says(actor.as_str(), state, &decision.verdict);
        }
        match &decision.verdict {
            Verdict::IncidentMerged { into, .. } => self.becomes(state.id, *into),
            Verdict::IncidentSplit { from, moved, .. }
            | Verdict::IncidentEvidenceMoved { from, moved, .. } => {
                self.moves(*from, state.id, moved);
            }
            _ => {}
        }
    }

    fn of(&mut self, state: &IncidentState) -> &mut Labelled {
        let new = || Labelled {
            kind: state.kind.clone(),
            evidence: Vec::new(),
            by: BTreeSet::new(),
            verdict: None,
            parent: None,
        };
        let labelled = self.incidents.entry(state.id).or_insert_with(new);
        labelled.parent = state.parent;
        labelled
    }

    /// A person has said something about an incident, and perhaps about a second one.
    fn says(&mut self, actor: &str, state: &IncidentState, verdict: &Verdict) {
        let other = match verdict {
            Verdict::IncidentMerged { into, .. } => Some(into),
            Verdict::IncidentSplit { from, .. } | Verdict::IncidentEvidenceMoved { from, .. } => {
                Some(from)
            }
            Verdict::IncidentLinked(state) => state.parent.as_ref(),
            Verdict::IncidentHandled { .. } | Verdict::IncidentRated(_) => None,
            // Who has merely seen it, or wants to be left alone, has said nothing about it.
            _ => return,
        };
        for id in [Some(&state.id), other].into_iter().flatten() {
            if let Some(labelled) = self.incidents.get_mut(id) {
                labelled.by.insert(actor.to_owned());
            }
        }
    }

    fn becomes(&mut self, ended: IncidentId, into: IncidentId) {
        self.became.insert(ended, into);
        let Some(ended) = self.incidents.remove(&ended) else {
            return;
        };
        // The beginning of a log that was tidied may have told of it.
        let Some(survivor) = self.incidents.get_mut(&into) else {
            self.unsure += ended.evidence.len() as u64;
            return;
        };
        survivor.evidence.extend(ended.evidence);
        survivor.by.extend(ended.by);
        // Whoever saw a part of it burn has seen it burn.
        if ended.verdict == Some(REAL) {
            survivor.verdict = ended.verdict;
        }
    }

    fn moves(&mut self, from: IncidentId, to: IncidentId, moved: &Named) {
        self.unsure += u64::from(moved.count) - (moved.first.len() as u64).min(moved.count.into());
        let is_moved = |reading: &mut Reading| {
            let mut named = moved.first.iter();
            named.any(|(sensor, report)| {
                *sensor == reading.sensor && report.as_ref().is_none_or(|id| *id == reading.id)
            })
        };
        let taken: Vec<_> = match self.incidents.get_mut(&from) {
            Some(from) => from.evidence.extract_if(.., is_moved).collect(),
            None => return,
        };
        if let Some(to) = self.incidents.get_mut(&to) {
            to.evidence.extend(taken);
        }
    }

    /// Which one an incident is by now.
    fn now(&self, mut id: IncidentId) -> IncidentId {
        // What became another ended before: no circle.
        while let Some(into) = self.became.get(&id) {
            id = *into;
        }
        id
    }

    fn tell(&self, out: &mut dyn Write) -> io::Result<Summary> {
        let mut summary = Summary {
            unsure: self.unsure,
            ..Summary::default()
        };
        let labelled = self
            .incidents
            .iter()
            .filter(|(_, each)| !each.by.is_empty());
        for (id, labelled) in labelled {
            summary.incidents += 1;
            let mut evidence: Vec<_> = labelled.evidence.iter().collect();
            evidence.sort_unstable_by_key(|reading| reading.seq);
            for reading in evidence {
                summary.readings += 1;
                let mut line = json!({
                    "sensor": reading.sensor.as_str(),
                    "reading": reading.id.as_str(),
                    "record": reading.seq,
                    "incident": id.to_string(),
                    "kind": labelled.kind.as_str(),
                    "verdict": labelled.verdict,
                    "by": labelled.by,
                });
                if let Some(parent) = labelled.parent {
                    line["caused_by"] = Value::from(self.now(parent).to_string());
                }
                writeln!(out, "{line}")?;
            }
        }
        Ok(summary)
    }
}

impl From<&Evidence> for Reading {
    fn from(evidence: &Evidence) -> Self {
        Self {
            sensor: evidence.sensor.clone(),
            id: evidence.reading.clone(),
            seq: evidence.seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use ioc_core::decision::{Cause, Certainty, Condition, Dismissal, Severity, Step};
    use ioc_core::time::Timestamp;

    use super::*;

    fn decision(verdict: fn(IncidentState) -> Verdict, readings: &[&str]) -> Decision {
        decision_of("one", Handling::Confirmed, verdict, readings)
    }

    fn decision_of(
        incident: &str,
        handling: Handling,
        verdict: impl FnOnce(IncidentState) -> Verdict,
        readings: &[&str],
    ) -> Decision {
        let state = IncidentState {
            id: IncidentId::derive(&[incident]),
            kind: "flood".parse().unwrap(),
            severity: Severity::Severe,
            certainty: Certainty::Likely,
            condition: Condition::Active,
            handling,
            position: None,
            radius_m: 0,
            zone: "_".parse().unwrap(),
            opened_at: Timestamp::default(),
            episode: 1,
            sensors: 1,
            readings: 1,
            parent: None,
            escalated: None,
            shelved_until: None,
            suppressed: false,
        };
        let evidence = |id: &&str| Evidence {
            reading: id.parse().unwrap(),
            seq: 1,
            sensor: "wl-1".parse().unwrap(),
            rule: "river-high".parse().unwrap(),
            value: 3.5,
            distance_m: None,
            through: None,
        };
        Decision {
            seq: 1,
            at: Timestamp::default(),
            verdict: verdict(state),
            cause: Cause {
                evidence: readings.iter().map(evidence).collect(),
                request: Some(("r-1".parse().unwrap(), "ana".parse().unwrap())),
                ..Cause::default()
            },
        }
    }

    #[test]
    fn p5_no_more_readings_are_labelled_than_the_bound_and_the_rest_is_counted() {
        let mut labels = Labels::new(3);
        labels.take(&decision(Verdict::IncidentUpdated, &["a", "b"]));
        let confirmed = |incident| Verdict::IncidentHandled {
            step: Step::Confirm,
            before: Handling::New,
            incident,
        };
        labels.take(&decision(confirmed, &["c", "d", "e"]));
        let mut out = Vec::new();
        let summary = labels.tell(&mut out).unwrap();
        let expected = Summary {
            incidents: 1,
            readings: 3,
            unsure: 2,
        };
        assert_eq!(summary, expected);
        let told = String::from_utf8(out).unwrap();
        assert_eq!(told.matches("\"verdict\":\"real\"").count(), 3, "{told}");
    }

    fn handled(step: Step) -> impl FnOnce(IncidentState) -> Verdict {
        move |incident| Verdict::IncidentHandled {
            step,
            before: Handling::New,
            incident,
        }
    }

    fn told(labels: &Labels) -> String {
        let mut out = Vec::new();
        labels.tell(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_dismissal_that_evidence_has_overruled_is_no_label() {
        let mut labels = Labels::new(10);
        let dismissed = Handling::Dismissed(Dismissal::FalseAlarm);
        let dismiss = handled(Step::Dismiss(Dismissal::FalseAlarm));
        labels.take(&decision_of("fire", dismissed, dismiss, &["a"]));
        assert!(told(&labels).contains("\"verdict\":\"false_alarm\""));
        labels.take(&decision_of(
            "fire",
            Handling::New,
            Verdict::IncidentUpdated,
            &["b"],
        ));
        assert_eq!(told(&labels).matches("\"verdict\":null").count(), 2);
    }

    #[test]
    fn what_merges_with_a_confirmed_fire_is_no_false_alarm() {
        let mut labels = Labels::new(10);
        let dismissed = Handling::Dismissed(Dismissal::FalseAlarm);
        let dismiss = handled(Step::Dismiss(Dismissal::FalseAlarm));
        labels.take(&decision_of("smoke", dismissed, dismiss, &["a"]));
        let confirm = handled(Step::Confirm);
        labels.take(&decision_of("fire", Handling::Confirmed, confirm, &["b"]));
        let merged = |incident| Verdict::IncidentMerged {
            incident,
            into: IncidentId::derive(&["smoke"]),
        };
        labels.take(&decision_of("fire", Handling::Merged, merged, &[]));
        let told = told(&labels);
        assert_eq!(told.matches("\"verdict\":\"real\"").count(), 2, "{told}");
    }
}
