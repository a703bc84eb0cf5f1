//! Nested outages: what stays dark when what feeds it is well again is an outage of its own.
//!
//! Arrives: feeders among the members of an incident that are normal again, and streets that are silent
//! as a whole since they failed (`group/sites.rs`). Leaves: what is fed by them and has not followed
//! within `nested_after` opens as children of the incident, each group of things that belong together
//! by itself, so that nobody takes the last dark street for a part of what is repaired. Promise: it
//! needs no company to open, for people know of it already; a sensor that is silent by itself opens
//! nothing, and a street that nobody hears is unknown until it is heard; many are parted in steps,
//! spread over logical time. Next: `family.rs`.

use std::collections::BTreeSet;

use super::{Correlator, Spot, Turn};
use crate::book::For;
use crate::decision::{Severity, Way};
use crate::detection::Sighting;
use crate::group::Unheard;
use crate::id::{IncidentId, RuleId, SensorId};
use crate::incident::{Case, Cluster, Incident, Member, Purpose, Source};
use crate::limits::{CHILDREN_PER_STEP, CHILDREN_STEP, MEMBERS_PER_STEP, TELL_INTERVAL};
use crate::place::Position;
use crate::shared::Shared;
use crate::time::{Millis, Timestamp};

/// How grave a street is that nobody hears since its feeder failed: as a dark one.
const UNHEARD: Severity = Severity::Moderate;

impl Correlator {
    /// A sensor is normal again. If others of its incident hang on it, or streets may be silent below it,
    /// they have so long to follow.
    pub(super) fn time_the_parting(&mut self, sensor: &SensorId, turn: &mut Turn<'_>) {
        let Some(slot) = self.slot_of(sensor) else {
            return;
        };
        let Some(after) = self.network.nested_after(sensor) else {
            return;
        };
        let case = self.case(slot);
        let may_part = case.cluster.has_lasting() || turn.rules.knows_streets();
        if case.incident.opened_at.is_some() && may_part {
            self.case_mut(slot).incident.parts_from = None;
            self.time_to_part(slot, after, turn);
        }
    }

    /// A sensor is believed again, or speaks again. If it feeds others, it may be well; if it is dark
    /// where all is well above it, it has so long to follow.
    pub(super) fn time_the_parting_anew(&mut self, sensor: &SensorId, turn: &mut Turn<'_>) {
        self.time_the_parting(sensor, turn);
        let Some(slot) = self.slot_of(sensor) else {
            return;
        };
        let cluster = &self.case(slot).cluster;
        if cluster.hears(&Source::of_sensor(sensor)) {
            self.time_if_restored(slot, sensor, turn);
        }
    }

    /// A sensor fell silent. If what feeds it failed and is well again, its street has so long to speak.
    pub fn time_the_street(&mut self, sensor: &SensorId, turn: &mut Turn<'_>) {
        let slot = {
            let mut feeders = self.network.feeders_of(sensor);
            feeders.find_map(|feeder| self.slot_of(feeder))
        };
        if let Some(slot) = slot {
            self.time_if_restored(slot, sensor, turn);
        }
    }

    fn time_if_restored(&mut self, slot: u32, sensor: &SensorId, turn: &mut Turn<'_>) {
        let Some(after) = self.rule.along.nested_after else {
            return;
        };
        let Case { incident, cluster } = self.case(slot);
        let is_timed = incident.dues[Purpose::Part as usize].is_some();
        if incident.opened_at.is_some() && !is_timed && self.is_restored(sensor, cluster) {
            self.time_to_part(slot, after, turn);
        }
    }

    /// What is still dark then parts from an incident: no later than that can be forgotten.
    fn time_to_part(&mut self, slot: u32, after: Millis, turn: &mut Turn<'_>) {
        let mut due = self.before_it_retires(slot, turn.at + after);
        let Case { incident, cluster } = self.case(slot);
        if !cluster.has_lasting() && incident.dues[Purpose::Retire as usize].is_none() {
            let soonest: Timestamp = turn.at + self.rule.clear_after + self.rule.reopen_within;
            due = due.min(soonest - CHILDREN_STEP);
        }
        self.set_timer(slot, Purpose::Part, Some(due.max(turn.at)), turn);
    }

    /// This time, or the last before an incident of which nothing lasts is forgotten.
    pub(super) fn before_it_retires(&self, slot: u32, due: Timestamp) -> Timestamp {
        let Case { incident, cluster } = self.case(slot);
        let retires = incident.dues[Purpose::Retire as usize];
        match retires.filter(|_| !cluster.has_lasting()) {
            Some(retires) => due.min(retires - CHILDREN_STEP),
            None => due,
        }
    }

    /// From which of its sensors on the next step parts what stays dark.
    pub fn parts_from(&self, id: IncidentId) -> Option<&SensorId> {
        self.case(self.slots[&id]).incident.parts_from.as_ref()
    }

    /// Whether a sensor is of a street that parted from an incident because nobody hears it.
    pub fn misses(&self, sensor: &SensorId) -> bool {
        self.missed_by(sensor).is_some()
    }

    /// The rule about sites by which it is.
    pub(super) fn missed_by(&self, sensor: &SensorId) -> Option<RuleId> {
        let slot = self.slot_of(sensor)?;
        let member = self.case(slot).cluster.member(&Source::of_sensor(sensor))?;
        member.raised_but(&self.rule.detections).cloned()
    }

    /// The time has come for what is still dark. What exceeds one step follows. `unheard`: who is silent
    /// with his street, of as many as one step looks at, and from where the next does.
    pub fn part(
        &mut self,
        id: IncidentId,
        unheard: (Vec<Unheard>, Option<SensorId>),
        turn: &mut Turn<'_>,
    ) {
        let slot = self.slots[&id];
        self.case_mut(slot).incident.dues[Purpose::Part as usize] = None;
        let members = self.case(slot).cluster.len();
        let (nested, next) = self.nested(slot, unheard);
        let parted = nested
            .iter()
            .map_while(|stays| self.part_one(slot, stays, turn));
        let children: BTreeSet<_> = parted.collect();
        if self.case(slot).cluster.len() < members {
            // The whole is less than was told of it; told when all steps are done.
            self.set_timer(slot, Purpose::Tell, Some(turn.at + TELL_INTERVAL), turn);
        }
        for child in children {
            let child = self.slots[&child];
            if self.case(child).incident.opened_at.is_none() {
                self.open_nested(child, id, turn);
            }
            self.touch(child);
        }
        let due = next.as_ref().map(|_| turn.at + CHILDREN_STEP);
        self.case_mut(slot).incident.parts_from = next;
        self.set_timer(slot, Purpose::Part, due, turn);
        self.touch(slot);
    }

    /// What is below a feeder that is normal again, while nothing that feeds it stands: the members that
    /// are heard to be dark, and believed, and who is silent with his street; as many as one step takes,
    /// and from where the next goes on. Who is silent by himself or distrusted opens nothing.
    fn nested(
        &self,
        slot: u32,
        (unheard, rest): (Vec<Unheard>, Option<SensorId>),
    ) -> (Vec<Stays>, Option<SensorId>) {
        let Case { incident, cluster } = self.case(slot);
        let (mut nested, mut next) = (Vec::new(), rest);
        let sensors = cluster.sensors_from(incident.parts_from.as_ref());
        for (number, sensor) in sensors.enumerate() {
            if number == MEMBERS_PER_STEP || nested.len() == CHILDREN_PER_STEP {
                next = next.into_iter().chain([sensor.clone()]).min();
                break;
            }
            if cluster.hears(&Source::of_sensor(sensor)) && self.is_restored(sensor, cluster) {
                nested.push(Stays::Dark(sensor.clone()));
            }
        }
        for unheard in unheard {
            let source = Source::of_sensor(&unheard.sensor);
            let stays = match self.slot_of(&unheard.sensor) {
                None => Stays::Unheard(unheard),
                // What he said before he fell silent was said of this outage.
                Some(own)
                    if own == slot && cluster.stands(&source) && cluster.is_silent(&source) =>
                {
                    Stays::Dark(unheard.sensor)
                }
                Some(_) => continue,
            };
            if self.is_restored(stays.sensor(), cluster) {
                nested.push(stays);
            }
        }
        nested.sort_by(|one, other| one.sensor().cmp(other.sensor()));
        if let Some(next) = &next {
            nested.retain(|stays| stays.sensor() < next);
        }
        if let Some(first) = nested.get(CHILDREN_PER_STEP) {
            next = Some(first.sensor().clone());
            nested.truncate(CHILDREN_PER_STEP);
        }
        (nested, next)
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

    /// Parts one member, or who is silent: it joins what was parted already and belongs together with
    /// it, or begins an incident. Returns that one; nothing if there is no room for another.
    fn part_one(&mut self, slot: u32, stays: &Stays, turn: &mut Turn<'_>) -> Option<IncidentId> {
        let sensor = stays.sensor();
        let source = Source::of_sensor(sensor);
        let (place, shared) = match stays {
            Stays::Dark(_) => {
                let member = self.case(slot).cluster.member(&source)?;
                (member.position, member.shared.clone())
            }
            Stays::Unheard(unheard) => (unheard.position, Shared::default()),
        };
        let to = self.nested_near(slot, &source, (place, &shared), turn)?;
        let member = match stays {
            Stays::Dark(_) => self.case_mut(slot).cluster.part_with(&source)?,
            Stays::Unheard(unheard) => unheard.member(self.weight_of(&unheard.rule)),
        };
        if let Some(place) = place {
            if let Stays::Dark(_) = stays {
                self.index.remove(slot, place);
            }
            self.index.insert(to, place);
        }
        if let Stays::Dark(_) = stays {
            self.network.remove(slot, sensor);
            self.same.remove(slot, &shared);
        }
        self.network.insert(to, sensor);
        self.same.insert(to, &shared);
        self.by_sensor.insert(sensor.clone(), to);
        let case = self.case_mut(to);
        let (severity, certainty) = member.verdict();
        case.incident.rise(severity, certainty);
        let child = case.incident.id;
        case.cluster.take_over(&source, member, child);
        Some(child)
    }

    /// The incident that has parted already and that something belongs to, or one that begins.
    fn nested_near(
        &mut self,
        slot: u32,
        source: &Source,
        (place, shared): Spot<'_>,
        turn: &mut Turn<'_>,
    ) -> Option<u32> {
        let parent = self.case(slot).incident.id;
        let mut near = self.near(Some(slot), source, (place, shared), turn);
        near.retain(|kin| self.case(kin.slot).incident.parent == Some(parent));
        match self.nearest(&near) {
            Some(child) => Some(child),
            None => self.begin_nested(&source.sensor, place, parent, turn),
        }
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
        let mut cluster = Cluster::of(id);
        // That it has not followed is said of it now, although it may be silent for long.
        cluster.last_evidence_at = turn.at;
        Some(self.put_case(Case { incident, cluster }))
    }

    /// Tells of an incident that was parted from another.
    fn open_nested(&mut self, child: u32, parent: IncidentId, turn: &mut Turn<'_>) {
        let Case { incident, cluster } = self.case_mut(child);
        incident.opened_at = Some(turn.at);
        incident.condition = cluster.condition();
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

/// What stays dark.
#[derive(Debug)]
enum Stays {
    /// A member of the incident.
    Dark(SensorId),
    /// Nobody has heard it since before.
    Unheard(Unheard),
}

impl Stays {
    fn sensor(&self) -> &SensorId {
        match self {
            Self::Dark(sensor) => sensor,
            Self::Unheard(unheard) => &unheard.sensor,
        }
    }
}

impl Unheard {
    /// What it is in the incident of its street.
    fn member(&self, weight: u32) -> Member {
        let sighting = Sighting {
            reading: "silent".parse().expect("a word is a reading's id"),
            seq: 0,
            at: self.last_heard_at,
            value: 0.0,
            severity: UNHEARD,
            excess: 0.0,
            position: self.position,
            shared: Shared::default(),
        };
        Member::unheard(&self.rule, weight, &sighting)
    }
}
