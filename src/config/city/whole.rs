//! What no feature of a city can get wrong alone: zones in zones, zones that nothing describes,
//! sensors in no zone.

use std::collections::BTreeMap;

use ioc_core::bundle::{City, Sensor, Zone};
use ioc_core::id::ZoneId;
use ioc_core::place::Position;

use super::{OtherUnits, Reader};
use crate::config::mistake::{Mistakes, Place, counted};
use crate::config::suggest::did_you_mean;

/// How many sensors a warning names.
const NAMED_MAX: usize = 3;
/// How many zones may lie in one another.
const ZONE_DEPTH_MAX: usize = 16;

impl Reader<'_> {
    /// The city, sorted, when every feature has been read.
    pub(super) fn finish(mut self, warnings: &mut Mistakes) -> (City, OtherUnits) {
        self.check_parents();
        self.check_confirmations();
        self.warn(warnings);
        let unwritten = self.zones_without_feature();
        self.zones.extend(unwritten.into_keys().map(|id| Zone {
            name: id.to_string(),
            id,
            parent: None,
            areas: Vec::new(),
        }));
        self.zones.sort_by(|a, b| a.id.cmp(&b.id));
        self.sensors.sort_by(|a, b| a.id.cmp(&b.id));
        self.actuators.sort_by(|a, b| a.id.cmp(&b.id));
        let nodes = self.nodes();
        let city = City {
            zones: self.zones,
            sensors: self.sensors,
            actuators: self.actuators,
            nodes,
        };
        let file = Place::whole(&self.place.file);
        if let Some(what) = sensors_in_no_zone(&city) {
            warnings.add(&file, "", what);
        }
        (city, self.other_units)
    }

    /// Every parent is a zone, and no zone lies in itself.
    fn check_parents(&mut self) {
        let parents: BTreeMap<_, _> = self
            .zones
            .iter()
            .map(|zone| (&zone.id, zone.parent.as_ref()))
            .collect();
        for (id, parent) in &parents {
            let Some(parent) = parent else {
                continue;
            };
            let up = std::iter::successors(Some(*parent), |zone| *parents.get(zone)?);
            let what = if !parents.contains_key(parent) {
                let names = parents.keys().map(|id| id.as_str());
                let hint = did_you_mean(parent.as_str(), names);
                format!("no zone has the id `{parent}`{hint}")
            } else if up.take(ZONE_DEPTH_MAX).count() == ZONE_DEPTH_MAX {
                format!("lies in itself, or more than {ZONE_DEPTH_MAX} zones deep")
            } else {
                continue;
            };
            self.mistakes
                .add(&self.zone_places[*id], &format!("zone {id} parent"), what);
        }
    }

    /// The zones that sensors name and no feature describes, with how many sensors name them.
    fn zones_without_feature(&self) -> BTreeMap<ZoneId, usize> {
        let mut unwritten = BTreeMap::new();
        for zone in self
            .sensors
            .iter()
            .filter_map(|sensor| sensor.zone.as_ref())
        {
            if !self.zone_places.contains_key(zone) {
                *unwritten.entry(zone.clone()).or_default() += 1;
            }
        }
        unwritten
    }

    fn warn(&self, warnings: &mut Mistakes) {
        self.misspelt.warn(warnings);
        let file = Place::whole(&self.place.file);
        for ((unit, wanted), count) in &self.foreign_units {
            let what = format!(
                "`{unit}` of {} cannot be converted to `{wanted}`: only their own `warning` and \
                 `danger` count",
                counted(*count, "sensor")
            );
            warnings.add(&file, "", what);
        }
        // A city without any zone of its own only groups its sensors by name.
        for (zone, count) in self.zones_without_feature() {
            if self.zone_places.is_empty() {
                break;
            }
            let hint = did_you_mean(zone.as_str(), self.zone_places.keys().map(ZoneId::as_str));
            let sensors = counted(count, "sensor");
            let what = format!("no feature describes zone `{zone}` of {sensors}{hint}");
            warnings.add(&file, "", what);
        }
    }
}

/// What to say of sensors that are in no zone, in a city that has zones to be in.
fn sensors_in_no_zone(city: &City) -> Option<String> {
    if city.zones.iter().all(|zone| zone.areas.is_empty()) {
        return None;
    }
    let is_within = |place: Option<Position>| place.is_some_and(|at| city.zone_at(at).is_some());
    let strays: Vec<_> = city
        .sensors
        .iter()
        .filter(|sensor| sensor.zone.is_none() && !is_within(sensor.position))
        .collect();
    let names = strays.iter().map(|sensor| format!("`{}`", sensor.id));
    let first = names.take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    let more = match strays.len() {
        0 => return None,
        count if count <= NAMED_MAX => String::new(),
        count => format!(" and {} more", count - NAMED_MAX),
    };
    let exchanged = |sensor: &&&Sensor| is_within(sensor.position.and_then(exchanged));
    let hint = match strays.iter().filter(exchanged).count() {
        0 => String::new(),
        count => format!(
            "; {count} would be with coordinates exchanged: GeoJSON has the longitude first"
        ),
    };
    let is = if strays.len() == 1 { "is" } else { "are" };
    let count = counted(strays.len(), "sensor");
    Some(format!("{count} {is} in no zone: {first}{more}{hint}"))
}

/// The place that is meant if latitude and longitude were written in the wrong order.
fn exchanged(place: Position) -> Option<Position> {
    let [lon, lat] = place.to_degrees();
    Position::from_degrees(lat, lon)
}
