//! Nested outages: what stays dark when what feeds it is well again is an outage of its own.
//!
//! Arrives: feeders among the members of an incident that are normal again, and streets that are silent
//! as a whole since they failed (`group/sites.rs`). Leaves: what is fed by them and has not followed
//! within `nested_after` opens as children of the incident, each group of things that belong together
//! by itself, so that nobody takes the last dark street for a part of what is repaired. Promise: it
//! needs no company to open, for people know of it already; it waits for what feeds it and not for
//! other blocks, of which one may be restored every few minutes for hours; a sensor that is silent by
//! itself opens nothing, and a street that nobody hears is unknown until it is heard; many are parted in
//! steps, spread over logical time.
//!
//! A round asks all members, some with each step. One is awaited, or under way, as long as a feeder among
//! the members that is normal again has not been for long enough: each round finds out when the next is
//! due, a minute later at least, from whom it passes by and from what becomes normal behind its back.
//! Next: `family.rs`.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::{Correlator, Spot, Turn};
use crate::away::Away;
use crate::book::For;
use crate::decision::{Severity, Way};
use crate::detection::Sighting;
use crate::group::Unheard;
use crate::hash::Map;
use crate::id::{IncidentId, RuleId, SensorId};
use crate::incident::{Case, Cluster, Incident, Member, Purpose, Source};
use crate::limits::{
    CHILDREN_PER_STEP, CHILDREN_STEP, MEMBERS_PER_STEP, PARTINGS_APART, TELL_INTERVAL,
};
use crate::place::Position;
use crate::shared::Shared;
use crate::time::Timestamp;

/// How grave a street is that nobody hears since its feeder failed: as a dark one.
const UNHEARD: Severity = Severity::Moderate;

/// The place of what is to part among what has to last.
const PARTS: usize = match Purpose::Part.lasting() {
    Some(place) => place,
    None => panic!("who has to follow has so long while somebody hears him"),
};

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
        if self.may_part(slot, turn) && !self.awaits_a_round(slot) {
            self.part_by(slot, turn.at + after, turn);
        }
    }

    /// A sensor is believed again, or speaks again. If it feeds others, it may be well; if it is dark
    /// where all is well above it, it has so long to follow.
    pub(super) fn time_the_parting_anew(&mut self, sensor: &SensorId, turn: &mut Turn<'_>) {
        self.time_the_parting(sensor, turn);
        if let Some(slot) = self.slot_of(sensor) {
            self.time_if_dark_below(slot, sensor, turn);
        }
    }

    /// A sensor says something that is a member, and did not before: if it is dark where all is well above
    /// it, it has so long to follow.
    pub(super) fn time_if_dark_below(&mut self, slot: u32, sensor: &SensorId, turn: &mut Turn<'_>) {
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
        let is_restored = || {
            let mut below = Below::new(self, slot, &turn.desk.away);
            below.restored_for_long_at(sensor).is_some()
        };
        if !self.awaits_a_round(slot) && is_restored() {
            self.part_by(slot, turn.at + after, turn);
        }
    }

    /// Whether anything may be there that parts from a case.
    fn may_part(&self, slot: u32, turn: &Turn<'_>) -> bool {
        let Case { incident, cluster } = self.case(slot);
        let lasts = cluster.has_lasting() || turn.rules.knows_streets();
        incident.opened_at.is_some() && lasts
    }

    /// Whether a round is awaited that has not begun: it comes sooner than what has to follow from now on
    /// has had the time, and finds out when the next is due.
    fn awaits_a_round(&self, slot: u32) -> bool {
        let incident = &self.case(slot).incident;
        incident.dues[Purpose::Part as usize].is_some() && incident.parts_from.is_none()
    }

    /// Two incidents are one, or some members are another's by now. The next round comes no later than
    /// that of the `other` would have; and what of the one may hang on what is well of the other has as
    /// long as ever.
    pub(super) fn part_by_both(
        &mut self,
        slot: u32,
        other: Option<Timestamp>,
        turn: &mut Turn<'_>,
    ) {
        let after = self.rule.along.nested_after;
        if let Some(after) = after.filter(|_| self.may_part(slot, turn)) {
            self.part_by(slot, other.unwrap_or(turn.at + after), turn);
        }
    }

    /// The next round of an incident comes no later than then: the one after this, while one is under
    /// way.
    fn part_by(&mut self, slot: u32, due: Timestamp, turn: &mut Turn<'_>) {
        let incident = &mut self.case_mut(slot).incident;
        if incident.opened_at.is_none() {
            return;
        }
        if incident.parts_from.is_some() {
            let next = &mut incident.lasts_since[PARTS];
            *next = due.min(*next);
            return;
        }
        let running = incident.dues[Purpose::Part as usize];
        if running.is_none_or(|running| due < running) {
            self.time_the_round(slot, due, turn);
        }
    }

    /// A round comes then, or a further step of it: no later than an incident of which nothing lasts can
    /// be forgotten, which waits for the steps.
    fn time_the_round(&mut self, slot: u32, due: Timestamp, turn: &mut Turn<'_>) {
        let due = self.before_it_retires(slot, due);
        let due = due.max(turn.at + CHILDREN_STEP);
        self.set_timer(slot, Purpose::Part, Some(due), turn);
        if self.retires_at(slot).is_some_and(|retires| retires <= due) {
            self.set_timer(slot, Purpose::Retire, Some(due + CHILDREN_STEP), turn);
        }
    }

    /// An incident is over: what is to part from it does before it is forgotten.
    pub(super) fn part_in_time(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let running = self.case(slot).incident.dues[Purpose::Part as usize];
        if let Some(due) = running.filter(|due| self.before_it_retires(slot, *due) < *due) {
            self.time_the_round(slot, due, turn);
        }
    }

    /// This time, or the last before an incident of which nothing lasts is forgotten.
    pub(super) fn before_it_retires(&self, slot: u32, due: Timestamp) -> Timestamp {
        match self.retires_at(slot) {
            Some(retires) => due.min(retires - CHILDREN_STEP),
            None => due,
        }
    }

    /// When an incident of which nothing lasts is forgotten.
    fn retires_at(&self, slot: u32) -> Option<Timestamp> {
        let Case { incident, cluster } = self.case(slot);
        let retires = incident.dues[Purpose::Retire as usize];
        retires.filter(|_| !cluster.has_lasting())
    }

    /// Whether an incident is forgotten before there can be another round.
    fn is_last_round(&self, slot: u32, at: Timestamp) -> bool {
        let retires = self.retires_at(slot);
        retires.is_some_and(|retires| retires - CHILDREN_STEP <= at + CHILDREN_STEP)
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
        let Case { incident, cluster } = self.case_mut(slot);
        incident.dues[Purpose::Part as usize] = None;
        let passed = match incident.parts_from {
            Some(_) => incident.lasts_since[PARTS],
            None => Timestamp::MAX,
        };
        let members = cluster.len();
        let Found {
            nested,
            goes_on,
            next,
        } = self.nested(slot, unheard, turn);
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
        let next = passed.min(next);
        let steps_follow = goes_on.is_some();
        self.case_mut(slot).incident.parts_from = goes_on;
        if steps_follow {
            self.time_the_round(slot, turn.at + CHILDREN_STEP, turn);
            self.case_mut(slot).incident.lasts_since[PARTS] = next;
        } else if next < Timestamp::MAX && !self.is_last_round(slot, turn.at) {
            self.time_the_round(slot, next.max(turn.at + PARTINGS_APART), turn);
        }
        self.touch(slot);
    }

    /// What is below feeders that have been normal for long enough, while nothing that feeds them stands:
    /// the members that are heard to be dark, and believed, and who is silent with his street. Who is
    /// silent by himself or distrusted opens nothing.
    fn nested(
        &self,
        slot: u32,
        (unheard, rest): (Vec<Unheard>, Option<SensorId>),
        turn: &Turn<'_>,
    ) -> Found {
        let Case { incident, cluster } = self.case(slot);
        let mut below = Below::new(self, slot, &turn.desk.away);
        let is_last = self.is_last_round(slot, turn.at);
        let (mut nested, mut goes_on) = (Vec::new(), rest);
        let next = Cell::new(Timestamp::MAX);
        let waits_until = |ripe: Timestamp| next.set(ripe.min(next.get()));
        let mut is_to_part = |sensor: &SensorId| match below.restored_for_long_at(sensor) {
            Some(ripe) if ripe > turn.at && !is_last => {
                waits_until(ripe);
                false
            }
            restored => restored.is_some(),
        };
        let sensors = cluster.sensors_from(incident.parts_from.as_ref());
        for (number, (sensor, member)) in sensors.enumerate() {
            if number == MEMBERS_PER_STEP || nested.len() == CHILDREN_PER_STEP {
                goes_on = goes_on.into_iter().chain([sensor.clone()]).min();
                break;
            }
            if member.is_heard() {
                if is_to_part(sensor) {
                    nested.push(Stays::Dark(sensor.clone()));
                }
            } else if let Some(ripe) = self.normal_for_long_at(member, &turn.desk.away)
                && ripe > turn.at
                && self.network.nested_after(sensor).is_some()
            {
                // What is bright below it now may be dark when its time is over.
                waits_until(ripe);
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
            if is_to_part(stays.sensor()) {
                nested.push(stays);
            }
        }
        nested.sort_by(|one, other| one.sensor().cmp(other.sensor()));
        if let Some(goes_on) = &goes_on {
            nested.retain(|stays| stays.sensor() < goes_on);
        }
        if let Some(first) = nested.get(CHILDREN_PER_STEP) {
            goes_on = Some(first.sensor().clone());
            nested.truncate(CHILDREN_PER_STEP);
        }
        Found {
            nested,
            goes_on,
            next: next.get(),
        }
    }

    /// When a member that is normal again has been for long enough, while somebody could hear it.
    fn normal_for_long_at(&self, member: &Member, away: &Away) -> Option<Timestamp> {
        let since = member.normal_since()?;
        let due = since + self.rule.along.nested_after?;
        let longer = away.waits_on(since, due);
        Some(longer.map_or(due, |(_, due)| due))
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
        let (severity, certainty) = member.believed();
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
        near.retain(|kin| {
            let is_child = self.case(kin.slot).incident.parent == Some(parent);
            is_child && self.same.may_be_of(kin.slot, shared)
        });
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
        let (dark, _) = self.case(child).cluster.sensors_from(None).next()?;
        let is_member = |sensor: &SensorId| cluster.member(&Source::of_sensor(sensor)).is_some();
        let way = self.network.way_from_highest(dark, is_member);
        way.map(Box::new)
    }
}

/// What one step of a round finds.
#[derive(Debug)]
struct Found {
    /// What parts, as much as one step takes.
    nested: Vec<Stays>,
    /// From where the next step goes on.
    goes_on: Option<SensorId>,
    /// When the first of those that it has passed by will have had the time to follow, or the first feeder
    /// that is normal again will have been for long enough; [`Timestamp::MAX`] if there are none.
    next: Timestamp,
}

/// What hangs on the members of an incident, for as long as none of them changes. Of those that hang on
/// one feeder it is found out once.
struct Below<'a> {
    correlator: &'a Correlator,
    cluster: &'a Cluster,
    away: &'a Away,
    known: Map<u32, Option<Timestamp>>,
}

impl<'a> Below<'a> {
    fn new(correlator: &'a Correlator, slot: u32, away: &'a Away) -> Self {
        Self {
            correlator,
            cluster: &correlator.case(slot).cluster,
            away,
            known: Map::default(),
        }
    }

    /// If the highest of the members that feed a sensor is normal again: from when on it, and all others
    /// of them that are, have been for long enough.
    fn restored_for_long_at(&mut self, sensor: &SensorId) -> Option<Timestamp> {
        let feeder = self.correlator.network.hangs_on(sensor)?;
        if let Some(known) = self.known.get(&feeder) {
            return *known;
        }
        let feeding = self.correlator.network.feeding(feeder);
        let sources = feeding.map(Source::of_sensor);
        let members = sources.filter_map(|source| self.cluster.member(&source));
        let (mut highest_stands, mut ripe) = (true, Timestamp::MIN);
        for member in members {
            highest_stands = member.stands();
            let own = self.correlator.normal_for_long_at(member, self.away);
            ripe = ripe.max(own.unwrap_or(Timestamp::MIN));
        }
        let restored = (!highest_stands).then_some(ripe);
        self.known.insert(feeder, restored);
        restored
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
