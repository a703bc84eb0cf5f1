//! What a correlation rule made of what a sensor said, for whoever asks why.
//!
//! Every case is looked at: this is asked by people, never on a reading's way.

use super::Correlator;
use crate::bundle::Front;
use crate::explain::{CaseLook, FrontLook, MEMBERS_SHOWN_MAX, NEIGHBOURS_SHOWN_MAX, NeighbourLook};
use crate::incident::{Case, Source};
use crate::place::Position;
use crate::reading::Reading;
use crate::time::{Millis, Timestamp};

/// Where a reading's source is, and when it observed what the rule asks the time of.
#[derive(Clone, Copy)]
struct Spot<'a> {
    place: Position,
    front: Option<(&'a Front, Timestamp)>,
}

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
        let own: Vec<_> = own.into_iter().flatten().collect();
        let place = own.iter().find_map(|member| member.position);
        let shares = own.iter().any(|member| self.same.asks(&member.shared));
        let is_placed = place.is_some() && self.rule.within_m > 0
            || self.network.node(&report.sensor).is_some()
            || shares;
        let front = self.rule.front.as_ref().filter(|front| {
            let mut raised = own.iter().flat_map(|member| member.raised_by());
            raised.any(|rule| front.asks(rule))
        });
        let spot = place.map(|place| Spot {
            place,
            front: front.map(|front| (front, reading.observed_at)),
        });
        Some(self.look_at(slot, case, is_placed, spot))
    }

    fn look_at(&self, slot: u32, case: &Case, is_placed: bool, spot: Option<Spot<'_>>) -> CaseLook {
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
            is_placed,
            neighbours: spot.map_or_else(Vec::new, |spot| self.neighbours(slot, spot)),
        }
    }

    /// The nearest members of other cases.
    fn neighbours(&self, slot: u32, spot: Spot<'_>) -> Vec<NeighbourLook> {
        let others = self.cases.with_slots().filter(|(other, _)| *other != slot);
        let mut found: Vec<_> = others
            .flat_map(|(other, case)| {
                let members = case.cluster.members();
                members.filter_map(move |(source, member)| {
                    let distance_m = member.position?.distance_m(spot.place);
                    let front = spot.front.zip(case.incident.observed);
                    Some(NeighbourLook {
                        sensor: source.sensor.clone(),
                        distance_m,
                        front: front.map(|((front, observed_at), observed)| {
                            front_look(front, distance_m, observed_at, observed)
                        }),
                        incident: case.incident.opened_at.map(|_| case.incident.id),
                        is_of_another_group: !self.same.may_be_one(slot, other),
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

/// How far apart a reading and what others observed so far from it are, and may be.
fn front_look(
    front: &Front,
    distance_m: u32,
    observed_at: Timestamp,
    observed: (Timestamp, Timestamp),
) -> FrontLook {
    let (first, last) = observed;
    let before = (first - observed_at).max(Millis::ZERO);
    let after = (observed_at - last).max(Millis::ZERO);
    FrontLook {
        observed,
        apart: before.max(after),
        allowed: front.allowed(Some(distance_m)),
        speed_m_per_s: front.speed_m_per_s,
    }
}
