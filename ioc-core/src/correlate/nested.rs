//! Nested outages: what stays dark when what feeds it is well again is an outage of its own.
//!
//! Arrives: feeders among the members of an incident that are normal again. Leaves: what is fed by
//! them and has not followed within `nested_after` opens as children of the incident, each group of
//! things that belong together by itself, so that nobody takes the last dark street for a part of
//! what is repaired. Promise: it needs no company to open, for people know of it already; many are
//! parted in steps, spread over logical time. Next: `family.rs`.

use std::collections::BTreeSet;

use super::{Correlator, Turn};
use crate::book::For;
use crate::decision::Way;
use crate::id::{IncidentId, SensorId};
use crate::incident::{Case, Cluster, Incident, Purpose, Source};
use crate::limits::{CHILDREN_PER_STEP, CHILDREN_STEP, MEMBERS_PER_STEP, TELL_INTERVAL};
use crate::place::Position;

impl Correlator {
    /// A sensor is normal again. If others of its incident hang on it, they have so long to follow.
    pub(super) fn time_the_parting(&mut self, sensor: &SensorId, turn: &mut Turn<'_>) {
        let Some(slot) = self.slot_of(sensor) else {
            return;
        };
        let Some(after) = self.network.nested_after(sensor) else {
            return;
        };
        let case = self.case(slot);
        if case.incident.opened_at.is_some() && case.cluster.has_lasting() {
            self.case_mut(slot).incident.parts_from = None;
            self.set_timer(slot, Purpose::Part, Some(turn.at + after), turn);
        }
    }

    /// A sensor is believed again, or speaks again. If it feeds others, it may be well; if it is dark
    /// where all is well above it, it has so long to follow.
    pub(super) fn time_the_parting_anew(&mut self, sensor: &SensorId, turn: &mut Turn<'_>) {
        self.time_the_parting(sensor, turn);
        let Some((slot, after)) = self.slot_of(sensor).zip(self.rule.along.nested_after) else {
            return;
        };
        let Case { incident, cluster } = self.case(slot);
        let is_timed = incident.dues[Purpose::Part as usize].is_some();
        let is_dark = || cluster.hears(&Source::of_sensor(sensor));
        if incident.opened_at.is_some()
            && !is_timed
            && is_dark()
            && self.is_restored(sensor, cluster)
        {
            self.set_timer(slot, Purpose::Part, Some(turn.at + after), turn);
        }
    }

    /// The time has come for what is still dark. What exceeds one step follows.
    pub(super) fn part(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let parent = self.case(slot).incident.id;
        let (nested, next) = self.nested(slot);
        let parted = nested
            .iter()
            .map_while(|sensor| self.part_one(slot, sensor, turn));
        let children: BTreeSet<_> = parted.collect();
        if !children.is_empty() {
            // The whole is less than was told of it; told when all steps are done.
            self.set_timer(slot, Purpose::Tell, Some(turn.at + TELL_INTERVAL), turn);
        }
        for child in children {
            let child = self.slots[&child];
            if self.case(child).incident.opened_at.is_none() {
                self.open_nested(child, parent, turn);
            }
            self.touch(child);
        }
        let due = next.as_ref().map(|_| turn.at + CHILDREN_STEP);
        self.case_mut(slot).incident.parts_from = next;
        self.set_timer(slot, Purpose::Part, due, turn);
        self.touch(slot);
    }

    /// The members that are heard to be dark, and believed, below a feeder which is normal again, while
    /// nothing that feeds it stands: as many as one step takes, and from where the next goes on. Who is
    /// silent or distrusted opens nothing by itself.
    fn nested(&self, slot: u32) -> (Vec<SensorId>, Option<SensorId>) {
        let Case { incident, cluster } = self.case(slot);
        let mut nested = Vec::new();
        let sensors = cluster.sensors_from(incident.parts_from.as_ref());
        for (number, sensor) in sensors.enumerate() {
            if number == MEMBERS_PER_STEP || nested.len() == CHILDREN_PER_STEP {
                return (nested, Some(sensor.clone()));
            }
            if cluster.hears(&Source::of_sensor(sensor)) && self.is_restored(sensor, cluster) {
                nested.push(sensor.clone());
            }
        }
        (nested, None)
    }

    /// Whether the highest of the members that feed a sensor is normal again.
    fn is_restored(&self, sensor: &SensorId, cluster: &Cluster) -> bool {
        let feeders = self.network.feeders_of(sensor);
        let members = feeders.map(Source::of_sensor);
        let highest = members
            .filter(|source| cluster.member(source).is_some())
            .last();
        highest.is_some_and(|highest| !cluster.stands(&highest))
    }

    /// Parts one member: it joins what was parted already and belongs together with it, or begins
    /// an incident. Returns that one; nothing if there is no room for another.
    fn part_one(
        &mut self,
        slot: u32,
        sensor: &SensorId,
        turn: &mut Turn<'_>,
    ) -> Option<IncidentId> {
        let source = Source::of_sensor(sensor);
        let parent = self.case(slot).incident.id;
        let member = self.case(slot).cluster.member(&source)?;
        let (place, shared) = (member.position, member.shared.clone());
        let mut near = self.near(Some(slot), &source, (place, &shared), turn.at);
        near.retain(|kin| self.case(kin.slot).incident.parent == Some(parent));
        let to = match self.nearest(&near) {
            Some(child) => child,
            None => self.begin_nested(sensor, place, parent, turn)?,
        };
        let member = self.case_mut(slot).cluster.part_with(&source)?;
        if let Some(place) = place {
            self.index.remove(slot, place);
            self.index.insert(to, place);
        }
        self.network.remove(slot, sensor);
        self.network.insert(to, sensor);
        self.same.remove(slot, &shared);
        self.same.insert(to, &shared);
        self.by_sensor.insert(sensor.clone(), to);
        let case = self.case_mut(to);
        let (severity, certainty) = member.verdict();
        case.incident.rise(severity, certainty);
        let child = case.incident.id;
        case.cluster.take_over(&source, member, child);
        Some(child)
    }

    fn begin_nested(
        &mut self,
        sensor: &SensorId,
        place: Option<Position>,
        parent: IncidentId,
        turn: &mut Turn<'_>,
    ) -> Option<u32> {
        let Some(forgotten) = turn.desk.book.make_room(For::Rules) else {
            turn.desk.counters.incidents_over_limit += 1;
            return None;
        };
        turn.desk.counters.incidents_forgotten += forgotten;
        let due = turn.at.as_millis().to_string();
        let id = IncidentId::derive(&[self.rule.name.as_str(), sensor.as_str(), &due]);
        let id = self.unused_id(id, turn, |id| self.slots.contains_key(&id));
        let zone = turn.rules.zone_at(place);
        let mut incident = Incident::begin(id, self.rule.incident.clone(), zone, turn.at);
        incident.parent = Some(parent);
        let cluster = Cluster::of(id);
        Some(self.put_case(Case { incident, cluster }))
    }

    /// Tells of an incident that was parted from another.
    fn open_nested(&mut self, child: u32, parent: IncidentId, turn: &mut Turn<'_>) {
        let incident = &mut self.case_mut(child).incident;
        incident.opened_at = Some(turn.at);
        let id = incident.id;
        turn.desk.book.opened(id, self.rule.name.clone());
        turn.desk.counters.incidents_nested += 1;
        let way = self.way_from_restored(child, parent);
        self.announce(id, (Some(parent), way), turn);
    }

    /// The way from what is well again to what stays dark.
    fn way_from_restored(&self, child: u32, parent: IncidentId) -> Option<Box<Way>> {
        let cluster = &self.case(self.slots[&parent]).cluster;
        let dark = self.case(child).cluster.sensors_from(None).next()?;
        let is_member = |sensor: &SensorId| cluster.member(&Source::of_sensor(sensor)).is_some();
        let way = self.network.way_from_highest(dark, is_member);
        way.map(Box::new)
    }
}
