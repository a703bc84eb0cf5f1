//! What is left of an incident that is over for good: its members, taken apart little by little.
//!
//! Arrives: an incident that ends with thousands of members. Leaves: all that led to them, some
//! with each record, so that none pays for all. Promise: whoever looks finds that the incident is
//! gone from the moment it ended; how far it is taken apart shows in no decision and no digest.
//! Next: `told.rs`.

use std::collections::VecDeque;

use super::{Correlator, Desk, Leaving, Told, Turn};
use crate::id::SensorId;
use crate::incident::{Case, Cluster, Member, Source};
use crate::limits::MEMBERS_LET_GO_PER_RECORD;
use crate::record::Seq;

/// What is left of one case that is over.
#[derive(Debug)]
struct Husk {
    /// The slot that still leads to it, and that nothing else has meanwhile.
    slot: u32,
    members: Cluster,
    /// Whether its evidence was told: that of a candidate was not.
    told: bool,
}

/// What is left of all that are over.
#[derive(Debug, Default)]
pub(crate) struct Husks(VecDeque<Husk>);

impl Husks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, each with the slot that leads to it.
    pub fn members(&self) -> impl Iterator<Item = (u32, &Source, &Member)> {
        let husks = self.0.iter();
        husks.flat_map(|husk| {
            let members = husk.members.members();
            members.map(|(source, member)| (husk.slot, source, member))
        })
    }

    /// Nobody remembers what was told.
    pub fn forget(&mut self) {
        self.0.iter_mut().for_each(|husk| husk.told = false);
    }

    fn told(&self) -> impl Iterator<Item = &Cluster> {
        let told = self.0.iter().filter(|husk| husk.told);
        told.map(|husk| &husk.members)
    }

    /// Whether a reading of a sensor was evidence of one of them.
    pub fn has_told(&self, sensor: &SensorId, seq: Seq) -> bool {
        if self.0.is_empty() {
            return false;
        }
        self.told().any(|members| members.has_heard(sensor, seq))
    }
}

impl Correlator {
    /// The slot of the case that a sensor's name leads to.
    pub(super) fn slot_of(&self, sensor: &SensorId) -> Option<u32> {
        let slot = self.by_sensor.get(sensor).copied();
        slot.filter(|&slot| self.is_live(slot))
    }

    /// Whether a sensor is silent that is part of an incident.
    pub fn is_silent(&self, sensor: &SensorId) -> bool {
        let source = Source::of_sensor(sensor);
        let slot = self.slot_of(sensor);
        slot.is_some_and(|slot| self.case(slot).cluster.is_silent(&source))
    }

    /// Whether a slot is that of a case, and of none that is over.
    pub(super) fn is_live(&self, slot: u32) -> bool {
        self.cases.has(slot)
    }

    /// Whether a reading of a sensor was evidence of an incident that is over, or leaves.
    pub(super) fn has_told(&self, sensor: &SensorId, seq: Seq, turn: &Turn<'_>) -> bool {
        let leaving = &turn.desk.leaving;
        self.told.has(sensor, seq)
            || self.husks.has_told(sensor, seq)
            || leaving.has_told(&self.rule.name, sensor, seq)
    }

    /// What was told of incidents that are over, whole.
    pub(super) fn all_told(&self, leaving: &Leaving) -> Told {
        let mut told = self.told.clone();
        self.add_told_of_husks(&mut told);
        leaving.add_told(&self.rule.name, &mut told);
        told
    }

    /// Adds what was told of incidents of which members are left.
    pub(super) fn add_told_of_husks(&self, told: &mut Told) {
        for members in self.husks.told() {
            members
                .members()
                .for_each(|(source, member)| told.remember(source, member));
        }
    }

    /// Lets go of the members of a case that is over: of a few at once, of many little by little.
    pub(super) fn let_go(&mut self, slot: u32, case: Case, desk: &mut Desk) {
        desk.husks += 1;
        self.take_some_apart(
            Husk {
                slot,
                members: case.cluster,
                told: case.incident.opened_at.is_some(),
            },
            desk,
        );
    }

    /// Takes some members of what is over out of all that leads to them.
    pub fn take_apart(&mut self, desk: &mut Desk) {
        if let Some(husk) = self.husks.0.pop_front() {
            self.take_some_apart(husk, desk);
        }
    }

    fn take_some_apart(&mut self, mut husk: Husk, desk: &mut Desk) {
        for _ in 0..MEMBERS_LET_GO_PER_RECORD {
            let Some((source, member)) = husk.members.take_first() else {
                break;
            };
            if husk.told {
                self.told.remember(&source, &member);
            }
            self.forget_member(husk.slot, &source, &member);
        }
        if husk.members.is_empty() {
            self.free.push(husk.slot);
            desk.husks -= 1;
        } else {
            self.husks.0.push_back(husk);
        }
    }

    fn forget_member(&mut self, slot: u32, source: &Source, member: &Member) {
        if let Some(place) = member.position {
            self.index.remove(slot, place);
        }
        self.network.remove(slot, &source.sensor);
        self.same.remove(slot, &member.shared);
        self.reports.remove(slot, source);
        if self.by_sensor.get(&source.sensor) == Some(&slot) {
            self.by_sensor.remove(&source.sensor);
        }
    }
}
