//! Sensors that move: what one says far from what its incident knows.
//!
//! Arrives: evidence of a sensor that is a member already. Leaves: whether it is evidence of that still,
//! and of a place. What goes on while its sensor moves stays one happening, wherever that comes to. What
//! a sensor says anew, after it was normal, farther than the rule calls near from where it spoke before
//! and from all that is known of its incident, is evidence where it is now. What it said before stays in
//! its incident, in its place, and is no word of a sensor that is heard there. What has not ended when
//! its sensor has come to another incident so far makes no two of them one: it is evidence of the first,
//! and of no place. Promise: a sensor's name leads to one case (INV-12), what it has said is evidence
//! once, and whoever comes back is the source that he was. Next: `lifecycle.rs`.

use super::{Correlator, Turn};
use crate::detection::{Finding, Sighting};
use crate::incident::{Member, Source, Statement};
use crate::place::Position;
use crate::time::Timestamp;

/// What becomes of a member that speaks from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// It leaves this case.
    Leaves(u32),
    /// It stays, and says nothing of where it is.
    Stays,
}

impl Correlator {
    /// Whether a member speaks from elsewhere, and where something else is or it begins anew.
    pub(super) fn parting(
        &self,
        finding: &Finding,
        statement: &Statement<'_>,
        turn: &Turn<'_>,
    ) -> Option<Parting> {
        let sighting = statement.sighting;
        if statement.until.is_some() || sighting.position.is_none() {
            return None;
        }
        let own = self.slot_of(&finding.sensor)?;
        let source = &Source::of_sensor(&finding.sensor);
        if !self.is_away(own, source, sighting) {
            return None;
        }
        let case = self.case(own);
        if case.cluster.says_anew(source, statement) {
            return Some(Parting::Leaves(own));
        }
        // It may have followed what it sees, unless there is something else.
        let near = self.near_in_time(None, source, (finding, sighting), turn);
        if !near.iter().any(|kin| self.joins(kin.slot)) {
            return None;
        }
        match (case.incident.opened_at, case.cluster.len()) {
            (Some(_), _) => Some(Parting::Stays),
            // Nobody was told, and nobody else says so: all that is known is where the sensor is.
            (None, 1) => None,
            (None, _) => Some(Parting::Leaves(own)),
        }
    }

    /// Whether a member speaks from farther than what is near, of where it was and of all that its case
    /// knows. What lies in a network stays where it is, and what has something in common is near.
    fn is_away(&self, own: u32, source: &Source, sighting: &Sighting) -> bool {
        let cluster = &self.case(own).cluster;
        let Some(member) = cluster.member(source) else {
            return false;
        };
        let moved = member.place_in(sighting).zip(member.position);
        let is_far = |(place, before): &(_, _)| self.is_far(*place, *before);
        let Some((place, _)) = moved.filter(is_far) else {
            return false;
        };
        let is_bound = self.network.node(&source.sensor).is_some()
            || self.same.asks(&sighting.shared)
            || cluster.name_to_leave(source).is_none();
        !is_bound && self.index.near(place).iter().all(|near| near.slot != own)
    }

    fn is_far(&self, place: Position, before: Position) -> bool {
        self.rule.within_m > 0 && before.distance_m(place) > self.rule.within_m
    }

    /// A sensor leaves its case.
    pub(super) fn leave_case(&mut self, slot: u32, source: &Source, at: Timestamp) {
        self.touch(slot);
        if self.case(slot).incident.opened_at.is_none() {
            return self.dismiss(slot, source);
        }
        let case = self.cases.get_mut(slot).expect("a slot in use");
        let member = case.cluster.member(source).expect("a member leaves");
        self.told.remember(source, member);
        let left = case.cluster.name_to_leave(source);
        let left = left.expect("only who may leave does");
        case.cluster.leave_behind(source, &left, at);
        self.reports.insert(slot, &left);
        self.by_sensor.remove(&source.sensor);
    }

    /// A sensor that has left a case before is a member of it again, if it is one of its.
    pub(super) fn take_back(&mut self, slot: u32, source: &Source) {
        if let Some(left) = self.case_mut(slot).cluster.take_back(source) {
            self.reports.remove(slot, &left);
        }
    }

    /// What is to go over to a case in which another is called the same: a reading by which its sensor is
    /// called there that has left, or that has left here. They are one.
    pub(super) fn one_of_its_name(&mut self, to: u32, source: &Source, member: Member) -> Member {
        let cluster = &mut self.case_mut(to).cluster;
        let own = source.report.as_ref();
        let Some(own) = own.and_then(|_| cluster.part_with(source)) else {
            return member;
        };
        self.lead_out(to, source, &own);
        member.with(own, source)
    }
}
