//! The city as the simulation needs it: sensors with their places in metres, and rivers.
//!
//! Arrives: a city file (`GeoJSON`, RFC 7946, plain or gzip). Leaves: a [`CityMap`]. A river's
//! first point is its source: water runs in the order of its points, and on into the river that
//! its `flows_to` names. Features that are no sensor, river or actuator are passed over; a sensor
//! without a place or a kind is an error that names it.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use ioc_core::id::{ReadingKind, SensorId};
use serde_json::Value;

use super::normal::Physics;

/// How many actuators obey: as many as one connection may listen for.
const ACTUATORS_MAX: usize = 64;

/// Why a city file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// It cannot be unpacked.
    #[error("the city file is not whole gzip data")]
    Gzip(#[source] std::io::Error),
    /// It is no JSON.
    #[error("the city file is not JSON")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but no city.
    #[error("the city file has no list of features; a GeoJSON FeatureCollection was expected")]
    NoFeatures,
    /// One feature is not as it should be.
    #[error("the city file's feature {id} has no {what}")]
    Feature {
        /// Its id.
        id: String,
        /// What it lacks.
        what: &'static str,
    },
    /// There is nothing to simulate.
    #[error("the city file registers no sensors")]
    NoSensors,
}

/// A place in metres east and north of the city's middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Site {
    pub(super) east_m: f64,
    pub(super) north_m: f64,
}

impl Site {
    pub(super) fn distance_m(self, other: Self) -> f64 {
        (self.east_m - other.east_m).hypot(self.north_m - other.north_m)
    }

    pub(super) fn moved(self, east_m: f64, north_m: f64) -> Self {
        Self {
            east_m: self.east_m + east_m,
            north_m: self.north_m + north_m,
        }
    }
}

/// A registered sensor.
#[derive(Debug, Clone)]
pub(super) struct Sensor {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) unit: String,
    pub(super) physics: Physics,
    /// Longitude and latitude, as registered.
    pub(super) position: [f64; 2],
    pub(super) site: Site,
    pub(super) interval_s: f64,
    /// The sensor (a feeder) that supplies it.
    pub(super) fed_by: Option<usize>,
    /// Its own levels, else those of its kind.
    pub(super) warning: f64,
    pub(super) danger: f64,
    /// The nearest place on a river, if the city has one.
    pub(super) bank: Option<Bank>,
}

/// The nearest place on a river.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bank {
    pub(super) reach: Reach,
    pub(super) distance_m: f64,
}

/// A place along a river.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) river: usize,
    /// Metres from its source.
    pub(super) along_m: f64,
}

#[derive(Debug, Clone)]
pub(super) struct River {
    id: String,
    points: Vec<Site>,
    pub(super) length_m: f64,
    /// Where it joins another.
    joins: Option<Reach>,
}

/// What the simulation knows of a city.
#[derive(Debug, Clone)]
pub struct CityMap {
    pub(super) sensors: Vec<Sensor>,
    pub(super) rivers: Vec<River>,
    /// The names of the actuators that obey.
    pub(super) actuators: Arc<[String]>,
    projection: Projection,
}

impl CityMap {
    /// The city that ships with the product: Kota Seraya.
    pub fn compiled_in() -> Self {
        let file = include_bytes!("../../config/city.geojson");
        Self::parse(file).expect("the city that ships with the product is well formed")
    }

    /// Reads a city file, plain or gzip.
    pub fn parse(file: &[u8]) -> Result<Self, MapError> {
        let unpacked;
        let text = if file.starts_with(&[0x1f, 0x8b]) {
            let mut bytes = Vec::new();
            MultiGzDecoder::new(file)
                .read_to_end(&mut bytes)
                .map_err(MapError::Gzip)?;
            unpacked = bytes;
            &unpacked
        } else {
            file
        };
        let root: Value = serde_json::from_slice(text)?;
        let features = root["features"].as_array().ok_or(MapError::NoFeatures)?;
        let of_type = |wanted: &'static str| {
            features
                .iter()
                .filter(move |each| each["properties"]["type"] == wanted)
        };
        let projection = Projection::around(of_type("sensor").filter_map(point));
        let mut rivers: Vec<River> = of_type("river")
            .filter_map(|each| River::read(each, projection))
            .collect();
        join_rivers(&mut rivers, of_type("river"));
        let sensors = of_type("sensor")
            .map(|each| Sensor::read(each, projection, &rivers))
            .collect::<Result<Vec<_>, _>>()?;
        if sensors.is_empty() {
            return Err(MapError::NoSensors);
        }
        let actuators = of_type("actuator").filter_map(|each| each["id"].as_str());
        let actuators = actuators.take(ACTUATORS_MAX);
        let mut map = Self {
            sensors,
            rivers,
            actuators: actuators.map(str::to_owned).collect(),
            projection,
        };
        map.connect_feeders(of_type("sensor"));
        Ok(map)
    }

    fn connect_feeders<'a>(&mut self, features: impl Iterator<Item = &'a Value>) {
        let by_id: HashMap<String, usize> = (self.sensors.iter().enumerate())
            .map(|(index, sensor)| (sensor.id.clone(), index))
            .collect();
        for (sensor, feature) in self.sensors.iter_mut().zip(features) {
            let feeder = feature["properties"]["fed_by"].as_str();
            sensor.fed_by = feeder.and_then(|id| by_id.get(id).copied());
        }
    }

    /// The sensors of this kind, by index.
    pub(super) fn of(&self, physics: Physics) -> Vec<usize> {
        (0..self.sensors.len())
            .filter(|index| self.sensors[*index].physics == physics)
            .collect()
    }

    /// How far the water runs from one place to another; `None` if it never gets there.
    pub(super) fn downstream_m(&self, from: Reach, to: Reach) -> Option<f64> {
        let (mut at, mut run_m) = (from, 0.0);
        // No city has so many rivers in a row; a circle of them ends here too.
        for _ in 0..=self.rivers.len() {
            if at.river == to.river {
                return (to.along_m >= at.along_m).then_some(run_m + to.along_m - at.along_m);
            }
            let river = &self.rivers[at.river];
            run_m += river.length_m - at.along_m;
            at = river.joins?;
        }
        None
    }

    /// Longitude and latitude of a place.
    pub(super) fn position(&self, site: Site) -> [f64; 2] {
        self.projection.unproject(site)
    }
}

impl Sensor {
    fn read(feature: &Value, projection: Projection, rivers: &[River]) -> Result<Self, MapError> {
        let properties = &feature["properties"];
        let id = feature["id"].as_str().unwrap_or_default().to_owned();
        if !SensorId::is_valid(&id) {
            return Err(MapError::Feature {
                id: feature["id"].to_string(),
                what: "valid id",
            });
        }
        let lacks = |what| MapError::Feature {
            id: id.clone(),
            what,
        };
        let kind = properties["kind"]
            .as_str()
            .filter(|kind| ReadingKind::is_valid(kind));
        let kind = kind.ok_or_else(|| lacks("valid kind"))?;
        let position = point(feature).ok_or_else(|| lacks("point"))?;
        let physics = Physics::of_kind(kind);
        let unit = properties["unit"].as_str().unwrap_or(physics.unit());
        if unit.contains(['"', '\\']) || unit.contains(char::is_control) {
            return Err(lacks("valid unit"));
        }
        let own = |level: &str| properties[level].as_f64();
        let site = projection.project(position);
        Ok(Self {
            kind: kind.to_owned(),
            unit: unit.to_owned(),
            physics,
            position,
            site,
            interval_s: own("interval_s")
                .filter(|s| *s > 0.0)
                .unwrap_or(physics.interval_s()),
            fed_by: None,
            warning: own("warning").unwrap_or(physics.warning()),
            danger: own("danger")
                .or(own("warning").map(|warning| warning * physics.danger_per_warning()))
                .unwrap_or(physics.danger()),
            bank: nearest_bank(rivers, site),
            id,
        })
    }
}

fn point(feature: &Value) -> Option<[f64; 2]> {
    let geometry = &feature["geometry"];
    if geometry["type"] != "Point" {
        return None;
    }
    coordinates(&geometry["coordinates"])
}

fn coordinates(value: &Value) -> Option<[f64; 2]> {
    Some([value[0].as_f64()?, value[1].as_f64()?])
}

impl River {
    fn read(feature: &Value, projection: Projection) -> Option<Self> {
        let points: Vec<Site> = feature["geometry"]["coordinates"]
            .as_array()?
            .iter()
            .filter_map(coordinates)
            .map(|position| projection.project(position))
            .collect();
        if points.len() < 2 {
            return None;
        }
        let length_m = points
            .windows(2)
            .map(|pair| pair[0].distance_m(pair[1]))
            .sum();
        let id = feature["id"].as_str()?.to_owned();
        Some(Self {
            id,
            points,
            length_m,
            joins: None,
        })
    }

    /// The nearest place on it: how far away, and how far along.
    fn nearest(&self, site: Site) -> (f64, f64) {
        let (mut best, mut run_m) = ((f64::INFINITY, 0.0), 0.0);
        for pair in self.points.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let step_m = from.distance_m(to);
            let (east, north) = (to.east_m - from.east_m, to.north_m - from.north_m);
            let dot = (site.east_m - from.east_m) * east + (site.north_m - from.north_m) * north;
            let share = (dot / (step_m * step_m).max(1e-9)).clamp(0.0, 1.0);
            let distance_m = from.moved(east * share, north * share).distance_m(site);
            if distance_m < best.0 {
                best = (distance_m, run_m + share * step_m);
            }
            run_m += step_m;
        }
        best
    }

    /// The place so far along.
    pub(super) fn site_at(&self, along_m: f64) -> Site {
        let mut left_m = along_m;
        for pair in self.points.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let step_m = from.distance_m(to);
            if left_m <= step_m {
                let share = left_m / step_m.max(1e-9);
                let (east, north) = (to.east_m - from.east_m, to.north_m - from.north_m);
                return from.moved(east * share, north * share);
            }
            left_m -= step_m;
        }
        *self.points.last().expect("a river has two points at least")
    }
}

fn join_rivers<'a>(rivers: &mut [River], features: impl Iterator<Item = &'a Value>) {
    let into: HashMap<&str, &str> = features
        .filter_map(|each| {
            Some((
                each["id"].as_str()?,
                each["properties"]["flows_to"].as_str()?,
            ))
        })
        .collect();
    for index in 0..rivers.len() {
        let target = into.get(rivers[index].id.as_str());
        let target = target.and_then(|id| rivers.iter().position(|river| river.id == **id));
        let mouth = *rivers[index]
            .points
            .last()
            .expect("a river has two points at least");
        rivers[index].joins = target.map(|river| Reach {
            river,
            along_m: rivers[river].nearest(mouth).1,
        });
    }
}

fn nearest_bank(rivers: &[River], site: Site) -> Option<Bank> {
    let banks = rivers.iter().enumerate().map(|(river, line)| {
        let (distance_m, along_m) = line.nearest(site);
        Bank {
            reach: Reach { river, along_m },
            distance_m,
        }
    });
    banks.min_by(|a, b| a.distance_m.total_cmp(&b.distance_m))
}

/// Degrees to metres around one point: good to a percent within a few hundred kilometres.
#[derive(Debug, Clone, Copy)]
struct Projection {
    origin: [f64; 2],
    east_m_per_degree: f64,
}

const NORTH_M_PER_DEGREE: f64 = 110_574.0;

impl Projection {
    fn around(positions: impl Iterator<Item = [f64; 2]>) -> Self {
        let (mut count, mut sum) = (0.0, [0.0, 0.0]);
        for position in positions {
            count += 1.0;
            sum = [sum[0] + position[0], sum[1] + position[1]];
        }
        let origin = sum.map(|sum| sum / f64::max(count, 1.0));
        let east_m_per_degree = 111_320.0 * origin[1].to_radians().cos().max(0.01);
        Self {
            origin,
            east_m_per_degree,
        }
    }

    fn project(self, [lon, lat]: [f64; 2]) -> Site {
        Site {
            east_m: (lon - self.origin[0]) * self.east_m_per_degree,
            north_m: (lat - self.origin[1]) * NORTH_M_PER_DEGREE,
        }
    }

    fn unproject(self, site: Site) -> [f64; 2] {
        let lon = self.origin[0] + site.east_m / self.east_m_per_degree;
        let lat = self.origin[1] + site.north_m / NORTH_M_PER_DEGREE;
        [lon, lat].map(|degrees| (degrees * 1e6).round() / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_city_that_ships_with_the_product_has_what_happenings_need() {
        let map = CityMap::compiled_in();
        assert!(
            (250..=300).contains(&map.sensors.len()),
            "{}",
            map.sensors.len()
        );
        assert_eq!(map.rivers.len(), 2);
        for sensor in &map.sensors {
            let powered = matches!(sensor.physics, Physics::TrafficSignal | Physics::Pump);
            assert_eq!(powered, sensor.fed_by.is_some(), "{}", sensor.id);
            assert_ne!(sensor.physics, Physics::Other, "{}", sensor.id);
        }
    }

    #[test]
    fn p5_so_many_actuators_of_a_city_obey() {
        let actuator = |number: usize| {
            format!(r#",{{"id":"a{number}","properties":{{"type":"actuator","commands":["on"]}}}}"#)
        };
        let actuators: String = (0..=ACTUATORS_MAX).map(actuator).collect();
        let city = format!(
            r#"{{"features":[{{"id":"s","geometry":{{"type":"Point","coordinates":[101.6,3.1]}},
            "properties":{{"type":"sensor","kind":"pump","unit":"state"}}}}{actuators}]}}"#
        );
        let map = CityMap::parse(city.as_bytes()).unwrap();
        assert_eq!(map.actuators.len(), ACTUATORS_MAX);
        assert!(CityMap::compiled_in().actuators.len() >= 3);
    }

    #[test]
    fn water_runs_from_the_tributary_into_the_river_and_never_back() {
        let map = CityMap::compiled_in();
        let gauge = |id: &str| {
            let sensor = map.sensors.iter().find(|sensor| sensor.id == id).unwrap();
            sensor.bank.unwrap().reach
        };
        let (first, last, tributary) = (gauge("wl-0001"), gauge("wl-0014"), gauge("wl-0017"));
        assert!(map.downstream_m(first, last).unwrap() > 10_000.0);
        assert!(map.downstream_m(tributary, last).unwrap() > 5_000.0);
        assert!(map.downstream_m(last, first).is_none());
        assert!(map.downstream_m(first, tributary).is_none());
    }

    #[test]
    fn a_file_that_is_no_city_is_refused_with_the_reason() {
        let refused = |text: &str| CityMap::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("{").contains("not JSON"));
        assert!(refused("{}").contains("features"));
        assert!(refused(r#"{"features":[]}"#).contains("no sensors"));
        let no_kind = r#"{"features":[{"id":"a","properties":{"type":"sensor"}}]}"#;
        assert!(refused(no_kind).contains("feature a has no valid kind"));
    }
}
