//! Where the evidence of an incident comes from: from itself, from what merged into it, and from those
//! that a person has split it off, or moved evidence of.
//!
//! Arrives: the decisions that say so, in order. Leaves: of every decision what of it is about the
//! incident: of what another was told before it lost those sources, the readings of these. Next:
//! `incident.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ioc_core::decision::{Decision, DecisionSeq, Evidence, Verdict};
use ioc_core::id::{IncidentId, ReadingId, SensorId};

/// A sensor, or one of its reports.
type Name = (SensorId, Option<ReadingId>);

/// The incidents that an incident's evidence was told of.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// It, and all that merged into it.
    own: BTreeSet<IncidentId>,
    /// Others, each with what it lost to it.
    lost: BTreeMap<IncidentId, Vec<Lost>>,
}

/// Sources that another incident lost, and by which decision.
#[derive(Debug, Clone)]
struct Lost {
    by: DecisionSeq,
    sources: Arc<BTreeSet<Name>>,
}

/// What two incidents have to do with each other.
#[derive(Debug)]
pub(super) enum Event {
    /// The first became part of the second.
    Merged(IncidentId, IncidentId),
    /// Sources of the first are the second's.
    Moved(IncidentId, IncidentId, BTreeSet<Name>, DecisionSeq),
}

impl Event {
    /// What a decision says of that, if it does.
    pub fn of(decision: &Decision) -> Option<Self> {
        if let Verdict::IncidentMerged { incident, into } = &decision.verdict {
            return Some(Self::Merged(incident.id, *into));
        }
        let (incident, from, moved) = decision.verdict.moved()?;
        let names = moved.first.iter().cloned().collect();
        Some(Self::Moved(from, incident.id, names, decision.seq))
    }
}

impl Lineage {
    /// That of an incident, by all that was decided.
    pub fn of(id: IncidentId, events: &[Event]) -> Self {
        let mut lineage = Self {
            own: BTreeSet::from([id]),
            lost: BTreeMap::new(),
        };
        // What merges later into what merged earlier is found from the end.
        events
            .iter()
            .rev()
            .for_each(|event| lineage.come_before(event));
        lineage
    }

    fn come_before(&mut self, event: &Event) {
        match event {
            Event::Merged(gone, into) => {
                if self.own.contains(into) {
                    self.own.insert(*gone);
                }
                if let Some(lost) = self.lost.get(into).cloned() {
                    self.lost.entry(*gone).or_default().extend(lost);
                }
            }
            Event::Moved(from, to, names, seq) => {
                let whole = self.own.contains(to).then(|| names.clone());
                let lost = self.lost.get(to).into_iter().flatten();
                let onwards = lost.flat_map(|lost| lost.sources.intersection(names).cloned());
                let sources: BTreeSet<_> = whole.into_iter().flatten().chain(onwards).collect();
                if !sources.is_empty() {
                    let lost = self.lost.entry(*from).or_default();
                    let (by, sources) = (*seq, Arc::new(sources));
                    lost.push(Lost { by, sources });
                }
            }
        }
    }

    /// What of a decision is about the incident.
    pub fn tells(&self, decision: &Arc<Decision>) -> Option<Arc<Decision>> {
        let about = decision.verdict.incident().map(|incident| incident.id);
        // What left it is part of its story too.
        let left = decision.verdict.moved().map(|(_, from, _)| from);
        let mut both = about.into_iter().chain(left);
        if both.any(|incident| self.own.contains(&incident)) {
            return Some(Arc::clone(decision));
        }
        let lost = self.lost.get(&about?)?;
        let is_taken = |evidence: &Evidence| {
            let mut lost = lost.iter().filter(|lost| decision.seq < lost.by);
            lost.any(|Lost { sources, .. }| {
                let report = (evidence.sensor.clone(), Some(evidence.reading.clone()));
                let sensor = (evidence.sensor.clone(), None);
                sources.contains(&sensor) || sources.contains(&report)
            })
        };
        let mut own = Decision::clone(decision);
        own.cause.evidence.retain(is_taken);
        (!own.cause.evidence.is_empty()).then(|| Arc::new(own))
    }
}

#[cfg(test)]
mod tests {
    use ioc_core::decision::{Cause, Certainty, Condition, Handling, IncidentState, Severity};
    use ioc_core::time::Timestamp;

    use super::*;

    fn id(name: &str) -> IncidentId {
        IncidentId::derive(&[name])
    }

    fn moved(from: &str, to: &str, names: &[&str], seq: DecisionSeq) -> Event {
        let names = names.iter().map(|name| (name.parse().unwrap(), None));
        Event::Moved(id(from), id(to), names.collect(), seq)
    }

    /// A decision about an incident that names a reading of each of these sensors.
    fn names(incident: &str, sensors: &[&str], seq: DecisionSeq) -> Arc<Decision> {
        let evidence = sensors.iter().map(|sensor| Evidence {
            reading: "r".parse().unwrap(),
            seq,
            sensor: sensor.parse().unwrap(),
            rule: "high".parse().unwrap(),
            value: 4.0,
            distance_m: None,
            through: None,
        });
        let at = Timestamp::from_millis(0);
        Arc::new(Decision {
            seq,
            at,
            verdict: Verdict::IncidentUpdated(IncidentState {
                id: id(incident),
                kind: "flood".parse().unwrap(),
                severity: Severity::Moderate,
                certainty: Certainty::Observed,
                condition: Condition::Active,
                handling: Handling::New,
                position: None,
                radius_m: 0,
                zone: "z".parse().unwrap(),
                opened_at: at,
                episode: 1,
                sensors: 1,
                readings: 1,
                parent: None,
                escalated: None,
                shelved_until: None,
                suppressed: false,
            }),
            cause: Cause {
                evidence: evidence.collect(),
                ..Cause::default()
            },
        })
    }

    #[test]
    fn what_was_split_off_rests_on_the_readings_that_the_whole_was_told_of() {
        // Two became one, and of that one a part was split off, and of that another.
        let events = [
            Event::Merged(id("north"), id("whole")),
            moved("whole", "part", &["a", "b"], 10),
            moved("part", "last", &["b"], 20),
        ];
        let told = |of: &str, decision: &Arc<Decision>| -> Vec<String> {
            let told = Lineage::of(id(of), &events).tells(decision);
            let told = told.iter().flat_map(|told| &told.cause.evidence);
            told.map(|own| own.sensor.to_string()).collect()
        };
        let before = names("north", &["a", "b", "c"], 1);
        assert_eq!(told("part", &before), ["a", "b"]);
        assert_eq!(told("last", &before), ["b"]);
        assert_eq!(told("whole", &before), ["a", "b", "c"]);
        assert_eq!(told("last", &names("part", &["a", "b"], 15)), ["b"]);
        // What it is told of later is its own.
        assert_eq!(told("part", &names("whole", &["a"], 11)), [""; 0]);
        assert_eq!(told("part", &names("elsewhere", &["a"], 1)), [""; 0]);
    }
}
