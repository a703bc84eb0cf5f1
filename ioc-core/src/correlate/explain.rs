//! What a correlation rule made of what a sensor said, for whoever asks why.
//!
//! Every case is looked at: this is asked by people, never on a reading's way.

use super::Correlator;
use crate::explain::{CaseLook, MEMBERS_SHOWN_MAX, NEIGHBOURS_SHOWN_MAX, NeighbourLook};
use crate::incident::{Case, Source};
use crate::place::Position;
use crate::reading::Reading;

impl Correlator {
    /// The case that a reading's sensor is a member of, or the reading itself as a report.
    pub fn look(&self, reading: &Reading<'_>) -> Option<CaseLook> {
        let sensor = reading.sensor.parse().ok()?;
        let report = reading.id.parse().ok()?;
        let report = Source {
            sensor,
            report: Some(report),
        };
        let by_itself = || {
            let mut cases = self.cases.with_slots();
            cases.find_map(|(slot, case)| {
                let member = case.cluster.member(&report);
                member.map(|_| slot)
            })
        };
        let slot = self.slot_of(&report.sensor);
        let slot = by_itself().or(slot)?;
        let case = self.case(slot);
        let lasting = Source {
            sensor: report.sensor.clone(),
            report: None,
        };
        let own = [&report, &lasting].map(|source| case.cluster.member(source));
        let place = own.iter().flatten().find_map(|member| member.position);
        Some(self.look_at(slot, case, place))
    }

    fn look_at(&self, slot: u32, case: &Case, place: Option<Position>) -> CaseLook {
        let Case { incident, cluster } = case;
        CaseLook {
            rule: self.rule.name.clone(),
            kind: incident.kind.clone(),
            incident: incident.opened_at.map(|_| incident.id),
            condition: incident.condition,
            weight: (cluster.weight(), self.rule.sources_min),
            within_m: self.rule.within_m,
            members: cluster.looks(MEMBERS_SHOWN_MAX),
            members_count: cluster.len(),
            neighbours: place.map_or_else(Vec::new, |place| self.neighbours(slot, place)),
        }
    }

    /// The nearest members of other cases.
    fn neighbours(&self, slot: u32, place: Position) -> Vec<NeighbourLook> {
        let others = self.cases.with_slots().filter(|(other, _)| *other != slot);
        let mut found: Vec<_> = others
            .flat_map(|(_, case)| {
                let members = case.cluster.members();
                members.filter_map(move |(source, member)| {
                    Some(NeighbourLook {
                        sensor: source.sensor.clone(),
                        distance_m: member.position?.distance_m(place),
                        incident: case.incident.opened_at.map(|_| case.incident.id),
                        last_evidence_at: case.cluster.last_evidence_at,
                    })
                })
            })
            .collect();
        found.sort_by(|a, b| (a.distance_m, &a.sensor).cmp(&(b.distance_m, &b.sensor)));
        found.truncate(NEIGHBOURS_SHOWN_MAX);
        found
    }
}
