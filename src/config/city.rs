//! The city: zones and sensors from GeoJSON (RFC 7946), checked against the kinds.
//!
//! Arrives: the text of a city file. Leaves: the [`City`] of a bundle, sorted by id, and the units
//! that its sensors are registered with where they are not those of their kinds. Promise:
//! every mistake of every feature is told, with the feature's id and line; a hundred thousand
//! sensors are read in a fraction of a second, borrowed from the text. A sensor's levels are
//! converted to the unit of its kind; one whose unit nobody can convert is judged by its own
//! levels only ([`Scale::Own`]). An asset is its id and its places in the networks. Rivers are
//! accepted and left for those who will need them. Not here: `.gz` (see `source.rs`), the zone of a sensor that names none (the
//! core's). Next: `city/geojson.rs`.

mod actuator;
mod geojson;
mod misspelt;
mod networks;
mod properties;
mod whole;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;
use std::str::FromStr;

use ioc_core::bundle::{Actuator, ActuatorCommand, City, Scale, Sensor, Zone};
use ioc_core::id::{ActuatorId, ReadingKind, SensorId, ZoneId};
use ioc_core::place::{Polygon, Position};
use ioc_core::reading::Reading;
use ioc_core::time::Millis;
use ioc_gateway::formats::units;

use super::kinds::{Kind, Kinds};
use super::mistake::{Mistakes, Place};
use super::suggest::did_you_mean;
use geojson::{Feature, Lines, Scalar, Shape};
use misspelt::{Misspelt, Owner};

/// The most features that a city may have.
pub const FEATURES_MAX: usize = 1_000_000;
/// The longest interval at which a sensor may report.
const INTERVAL_MAX_S: f64 = 31.0 * 86_400.0;
/// What `properties.type` may say.
const TYPES: [&str; 5] = ["zone", "sensor", "river", "asset", "actuator"];

/// The units of sensors that are registered with another one than they are judged in.
pub type OtherUnits = HashMap<SensorId, String>;

/// Reads a city file. `file` is only for messages.
pub fn read(
    file: &str,
    text: &str,
    kinds: &Kinds,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> (City, OtherUnits) {
    let features = match geojson::features(text) {
        Ok(features) => features,
        Err(error) => {
            let place = Place {
                line: error.line() as u32,
                column: (error.column() as u32).max(1),
                ..Place::whole(file)
            };
            let error = geojson::without_place(&error);
            mistakes.add(
                &place,
                "",
                format!("not a GeoJSON FeatureCollection: {error}"),
            );
            return Default::default();
        }
    };
    if features.len() > FEATURES_MAX {
        let what = format!(
            "{} features are too many; at most {FEATURES_MAX}",
            features.len()
        );
        mistakes.add(&Place::whole(file), "", what);
        return Default::default();
    }
    let mut lines = Lines::new(text);
    let mut reader = Reader::new(file, kinds, mistakes);
    for (index, feature) in features.iter().enumerate() {
        let (line, column) = lines.place(feature.get());
        reader.place.line = line;
        reader.place.column = column;
        reader.feature(index, feature.get());
    }
    reader.finish(warnings)
}

/// Reads one feature after another.
struct Reader<'r> {
    kinds: &'r Kinds,
    mistakes: &'r mut Mistakes,
    zones: Vec<Zone>,
    sensors: Vec<Sensor>,
    /// Where each zone is written.
    zone_places: BTreeMap<ZoneId, Place>,
    sensor_names: HashSet<SensorId>,
    actuators: Vec<Actuator>,
    actuator_names: HashSet<ActuatorId>,
    /// The commands that a sensor confirms, each with where it is written and of what.
    confirmations: Vec<((Place, String), ActuatorCommand)>,
    networks: networks::Written,
    other_units: OtherUnits,
    /// How many sensors measure in a unit that cannot be converted to their kind's: (unit, kind's).
    foreign_units: BTreeMap<(String, String), usize>,
    misspelt: Misspelt,
    /// Where the feature begins that is being read, and how messages name it.
    place: Place,
    name: String,
}

impl<'r> Reader<'r> {
    fn new(file: &str, kinds: &'r Kinds, mistakes: &'r mut Mistakes) -> Self {
        Self {
            kinds,
            mistakes,
            zones: Vec::new(),
            sensors: Vec::new(),
            zone_places: BTreeMap::new(),
            sensor_names: HashSet::new(),
            actuators: Vec::new(),
            actuator_names: HashSet::new(),
            confirmations: Vec::new(),
            networks: networks::Written::default(),
            other_units: OtherUnits::new(),
            foreign_units: BTreeMap::new(),
            misspelt: Misspelt::default(),
            place: Place::whole(file),
            name: String::new(),
        }
    }

    fn feature(&mut self, index: usize, raw: &str) {
        self.name = format!("feature {}", index + 1);
        let feature: Feature<'_> = match serde_json::from_str(raw) {
            Ok(feature) => feature,
            Err(error) => {
                let error = geojson::without_place(&error);
                return self.wrong("", format!("not a GeoJSON feature: {error}"));
            }
        };
        let id = match &feature.id {
            Scalar::Text(id) => id.to_string(),
            Scalar::Number(id) => id.to_string(),
            Scalar::Nothing | Scalar::Other(_) => {
                return self.wrong(
                    "",
                    "has no id; write `\"id\": \"wl-0412\"` beside `properties`",
                );
            }
        };
        self.name = format!("feature {} ({id})", index + 1);
        match &feature.properties.feature {
            Scalar::Text(kind) => match kind.as_ref() {
                "zone" => {
                    self.zone(&id, &feature);
                    self.misspelt
                        .note(Owner::Zone, feature.properties, &self.place);
                }
                "sensor" => {
                    self.sensor(&id, &feature);
                    self.misspelt
                        .note(Owner::Sensor, feature.properties, &self.place);
                }
                "actuator" => {
                    self.actuator(&id, &feature);
                    self.misspelt
                        .note(Owner::Actuator, feature.properties, &self.place);
                }
                "asset" => {
                    self.asset(&id, &feature.properties);
                    self.misspelt
                        .note(Owner::Asset, feature.properties, &self.place);
                }
                "river" => {}
                other => {
                    let hint = did_you_mean(other, TYPES);
                    let what = format!("`{other}` is not one of {}{hint}", TYPES.join(", "));
                    self.wrong("type", what);
                }
            },
            _ => self.wrong(
                "type",
                format!("is missing; write one of {}", TYPES.join(", ")),
            ),
        }
    }

    fn zone(&mut self, id: &str, feature: &Feature<'_>) {
        let properties = &feature.properties;
        let zone_id = self.parsed::<ZoneId>("id", id);
        let parent = self
            .text("parent", &properties.parent)
            .and_then(|parent| self.parsed("parent", parent));
        let name = self.text("name", &properties.name).unwrap_or(id).to_owned();
        let areas = match feature.geometry.as_ref().map(geojson::Geometry::shape) {
            None => Vec::new(),
            Some(Ok(Shape::Areas(areas))) => self.areas(areas),
            Some(Ok(Shape::Point(_) | Shape::Other)) => {
                let what = "a zone needs a geometry of type Polygon or MultiPolygon, or null";
                return self.wrong("geometry", what);
            }
            Some(Err(what)) => return self.wrong("geometry", what),
        };
        let Some(id) = zone_id else {
            return;
        };
        if let Some(first) = self.zone_places.get(&id) {
            let what = format!("another zone of this id is at {first}; rename one");
            return self.wrong("id", what);
        }
        self.zone_places.insert(id.clone(), self.place.clone());
        self.zones.push(Zone {
            id,
            name,
            parent,
            areas,
        });
    }

    /// The outer rings of polygons.
    fn areas(&mut self, areas: Vec<Vec<Vec<[f64; 2]>>>) -> Vec<Polygon> {
        let mut polygons = Vec::new();
        for rings in areas {
            if rings.len() > 1 {
                let what = "has a hole, and a zone cannot have one; make the inner area a zone of \
                            its own";
                self.wrong("geometry", what);
            }
            for ring in rings.iter().take(1) {
                polygons.extend(self.polygon(ring));
            }
        }
        polygons
    }

    fn polygon(&mut self, ring: &[[f64; 2]]) -> Option<Polygon> {
        let mut corners = Vec::with_capacity(ring.len());
        for corner in ring {
            corners.push(self.position(*corner)?);
        }
        let polygon = Polygon::new(corners);
        if polygon.is_none() {
            let what = "a ring needs at least four positions, the last equal to the first";
            self.wrong("geometry", what);
        }
        polygon
    }

    fn sensor(&mut self, id: &str, feature: &Feature<'_>) {
        let properties = &feature.properties;
        let sensor_id = self.parsed::<SensorId>("id", id);
        let kind = self.kind(&properties.kind);
        let unit = self.unit(&properties.unit);
        let zone = self
            .text("zone", &properties.zone)
            .and_then(|zone| self.parsed("zone", zone));
        let gateway = self
            .text("gateway", &properties.gateway)
            .and_then(|gateway| self.parsed("gateway", gateway));
        let interval = self.interval(&properties.interval_s);
        let warning = self.number("warning", &properties.warning);
        let danger = self.number("danger", &properties.danger);
        let position = self.point(feature);
        let (Some(id), Some((kind, of_kind))) = (sensor_id, kind) else {
            return;
        };
        if !self.sensor_names.insert(id.clone()) {
            return self.wrong("id", "another sensor has this id; rename one");
        }
        self.links(
            id.as_str().parse().expect("a sensor's name is a node's"),
            properties,
        );
        let scaled = self.in_unit_of_kind(unit, of_kind, [warning, danger]);
        let [warning, danger] = scaled.levels;
        if let Some(unit) = unit.filter(|unit| *unit != scaled.unit) {
            self.other_units.insert(id.clone(), unit.to_owned());
        }
        self.sensors.push(Sensor {
            id,
            kind,
            unit: scaled.unit,
            position,
            zone,
            gateway,
            interval,
            warning,
            danger,
            scale: scaled.scale,
        });
    }

    fn kind(&mut self, kind: &Scalar<'_>) -> Option<(ReadingKind, &'r Kind)> {
        if *kind == Scalar::Nothing {
            self.wrong(
                "kind",
                "is missing; write what it measures, such as `water_level`",
            );
        }
        let name: ReadingKind = self
            .text("kind", kind)
            .and_then(|name| self.parsed("kind", name))?;
        let kind = self.kinds.get(name.as_str());
        if kind.is_none() {
            self.wrong("kind", self.kinds.unknown(name.as_str()));
        }
        Some((name, kind?))
    }

    fn unit<'v>(&mut self, unit: &'v Scalar<'_>) -> Option<&'v str> {
        let text = self.text("unit", unit)?;
        if text.is_empty() || text.len() > Reading::UNIT_BYTES_MAX {
            self.wrong("unit", "must have 1 to 32 bytes, such as `m`");
            return None;
        }
        Some(text)
    }

    fn interval(&mut self, seconds: &Scalar<'_>) -> Option<Millis> {
        let seconds = self.number("interval_s", seconds)?;
        if !(0.001..=INTERVAL_MAX_S).contains(&seconds) {
            let what = format!("{seconds} is not from 0.001 to {INTERVAL_MAX_S} seconds");
            self.wrong("interval_s", what);
            return None;
        }
        Some(Millis((seconds * 1e3).round() as i64))
    }

    fn point(&mut self, feature: &Feature<'_>) -> Option<Position> {
        match feature.geometry.as_ref()?.shape() {
            Ok(Shape::Point(point)) => return self.position(point),
            Ok(Shape::Areas(_) | Shape::Other) => {
                self.wrong(
                    "geometry",
                    "a sensor or an actuator needs a geometry of type Point, or null",
                );
            }
            Err(what) => self.wrong("geometry", what),
        }
        None
    }

    fn position(&mut self, [lon, lat]: [f64; 2]) -> Option<Position> {
        let position = Position::from_degrees(lon, lat);
        if position.is_none() {
            let what = format!(
                "[{lon}, {lat}] is not on the globe; write longitude (-180 to 180), then \
                 latitude (-90 to 90)"
            );
            self.wrong("geometry", what);
        }
        position
    }

    /// Unit and levels as the core sees them: in the unit of the kind, if that can be told.
    fn in_unit_of_kind(
        &mut self,
        unit: Option<&str>,
        kind: &Kind,
        levels: [Option<f64>; 2],
    ) -> Scaled {
        let wanted = kind.unit.as_deref();
        let (Some(unit), Some(wanted)) = (unit, wanted) else {
            return Scaled {
                unit: wanted.or(unit).unwrap_or_default().to_owned(),
                scale: Scale::OfKind,
                levels,
            };
        };
        if units::convert(0.0, unit, wanted).is_err() {
            let pair = (unit.to_owned(), wanted.to_owned());
            *self.foreign_units.entry(pair).or_default() += 1;
            return Scaled {
                unit: unit.to_owned(),
                scale: Scale::Own,
                levels,
            };
        }
        Scaled {
            unit: wanted.to_owned(),
            scale: Scale::OfKind,
            levels: levels.map(|level| units::convert(level?, unit, wanted).ok()),
        }
    }

    fn wrong(&mut self, property: &str, what: impl Into<String>) {
        let separator = if property.is_empty() { "" } else { " " };
        let key = format!("{}{separator}{property}", self.name);
        self.mistakes.add(&self.place, &key, what);
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, property: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(property, format!("`{text}`: {error}"));
                None
            }
        }
    }

    fn text<'v>(&mut self, property: &str, value: &'v Scalar<'_>) -> Option<&'v str> {
        match value {
            Scalar::Nothing => None,
            Scalar::Text(text) => Some(text),
            Scalar::Number(_) | Scalar::Other(_) => {
                self.wrong(property, format!("{value} is not a text"));
                None
            }
        }
    }

    fn number(&mut self, property: &str, value: &Scalar<'_>) -> Option<f64> {
        match value {
            Scalar::Nothing => None,
            Scalar::Number(number) if number.is_finite() => Some(*number),
            Scalar::Number(_) | Scalar::Text(_) | Scalar::Other(_) => {
                self.wrong(property, format!("{value} is not a number"));
                None
            }
        }
    }
}

/// A sensor's unit and levels, in the unit of its kind where that can be told.
struct Scaled {
    unit: String,
    scale: Scale,
    /// Warning and danger.
    levels: [Option<f64>; 2],
}

#[cfg(test)]
mod tests;
