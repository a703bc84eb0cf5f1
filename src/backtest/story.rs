//! What became of each incident of a run, as far as two runs are compared by it.
//!
//! Arrives: decisions. Leaves: [`Story`]: incidents with when they opened and ended and how grave
//! they were, and the readings that are their evidence, by a hash of sensor and id. Bounded: beyond
//! [`EVIDENCE_MAX`] readings no more are kept, only counted. Next: `remap.rs`, `difference.rs`.

use std::collections::HashMap;

use ioc_core::decision::{Decision, Evidence, IncidentState, Severity, Verdict};
use ioc_core::id::{IncidentId, IncidentKind, RuleId, ZoneId};
use ioc_core::load::Load;
use ioc_core::time::Timestamp;

/// The most readings that are kept as evidence of incidents: 16 bytes each.
pub(super) const EVIDENCE_MAX: usize = 8_000_000;

/// All incidents of a run, in the order in which they opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    pub incidents: Vec<Told>,
    by_id: HashMap<IncidentId, u32>,
    /// When it began, if something may have been open by then.
    pub since: Option<Timestamp>,
    /// Which reading is evidence of which incident, in the order it was told.
    pub evidence: Vec<(u64, u32)>,
    /// Readings that were not kept any more.
    pub evidence_beyond: u64,
    pub load: Load,
}

/// What became of an incident.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub id: IncidentId,
    pub kind: IncidentKind,
    pub zone: ZoneId,
    pub rule: Option<RuleId>,
    pub opened_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
    pub worst: Severity,
    pub sensors: u32,
    pub readings: u64,
    /// What caused it, as it was told last.
    pub parent: Option<IncidentId>,
    /// How often an operator was called for it.
    pub calls: u64,
    /// The one that it has become part of.
    pub merged_into: Option<u32>,
}

impl Story {
    /// Takes note of a decision.
    pub fn take(&mut self, decision: &Decision) {
        let Some(incident) = decision.verdict.incident() else {
            return;
        };
        let number = self.number(incident, decision);
        let calls = self.load.take(decision);
        let told = &mut self.incidents[number as usize];
        told.worst = told.worst.max(incident.severity);
        told.sensors = told.sensors.max(incident.sensors);
        told.readings = incident.readings;
        told.parent = incident.parent;
        told.calls += u64::from(calls);
        match &decision.verdict {
            Verdict::IncidentCleared(_) => told.cleared_at = Some(decision.at),
            Verdict::IncidentReopened(_) => told.cleared_at = None,
            Verdict::IncidentMerged { into, .. } => {
                let into = self.by_id.get(into).copied();
                self.incidents[number as usize].merged_into = into.filter(|into| *into != number);
            }
            _ => {}
        }
        for evidence in &decision.cause.evidence {
            self.note(key(evidence), number);
        }
    }

    fn note(&mut self, key: u64, number: u32) {
        if self.evidence.len() == EVIDENCE_MAX {
            self.evidence_beyond += 1;
        } else {
            self.evidence.push((key, number));
        }
    }

    fn number(&mut self, incident: &IncidentState, decision: &Decision) -> u32 {
        let incidents = &mut self.incidents;
        *self.by_id.entry(incident.id).or_insert_with(|| {
            incidents.push(Told {
                id: incident.id,
                kind: incident.kind.clone(),
                zone: incident.zone.clone(),
                rule: decision.cause.rule.clone(),
                opened_at: incident.opened_at,
                cleared_at: None,
                worst: Severity::Unknown,
                sensors: 0,
                readings: 0,
                parent: None,
                calls: 0,
                merged_into: None,
            });
            (incidents.len() - 1) as u32
        })
    }

    /// The number of an incident.
    pub fn find(&self, id: IncidentId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Which incidents were open when it began, and what those have become.
    pub fn open_before(&self) -> Vec<bool> {
        let mut open = vec![false; self.incidents.len()];
        for (number, told) in (0..).zip(&self.incidents) {
            if self.since.is_some_and(|since| told.opened_at <= since) {
                open[number as usize] = true;
                open[self.root(number) as usize] = true;
            }
        }
        open
    }

    /// The incidents that have become part of others, by what those have become, in the order in
    /// which they opened.
    pub fn parts(&self) -> HashMap<u32, Vec<u32>> {
        let mut parts: HashMap<u32, Vec<u32>> = HashMap::new();
        for number in 0..self.incidents.len() as u32 {
            let root = self.root(number);
            if root != number {
                parts.entry(root).or_default().push(number);
            }
        }
        parts
    }

    /// The incident that one has become by now.
    pub fn root(&self, mut number: u32) -> u32 {
        // No circle is longer than all incidents.
        for _ in 0..self.incidents.len() {
            match self.incidents[number as usize].merged_into {
                Some(into) => number = into,
                None => break,
            }
        }
        number
    }
}

/// A reading, as both runs know it.
fn key(evidence: &Evidence) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(evidence.sensor.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(evidence.reading.as_str().as_bytes());
    let hash = hasher.finalize();
    let (first, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_no_more_evidence_is_kept_than_the_bound_and_the_rest_is_counted() {
        let mut story = Story {
            evidence: vec![(0, 0); EVIDENCE_MAX - 1],
            ..Story::default()
        };
        (0..3).for_each(|key| story.note(key, 0));
        assert_eq!(
            (story.evidence.len(), story.evidence_beyond),
            (EVIDENCE_MAX, 2)
        );
    }
}
