//! What no feature of a city can get wrong alone: zones in zones, and zones that nothing describes.

use std::collections::BTreeMap;

use ioc_core::bundle::{City, Zone};
use ioc_core::id::ZoneId;

use super::{OtherUnits, Reader};
use crate::config::mistake::{Mistakes, Place, counted};
use crate::config::suggest::did_you_mean;

/// How many zones may lie in one another.
const ZONE_DEPTH_MAX: usize = 16;

impl Reader<'_> {
    /// The city, sorted, when every feature has been read.
    pub(super) fn finish(mut self, warnings: &mut Mistakes) -> (City, OtherUnits) {
        self.check_parents();
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
        let city = City {
            zones: self.zones,
            sensors: self.sensors,
        };
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
