//! What scenarios are played on: rules, a city and a door.
//!
//! Arrives: a compiled configuration. Leaves: readings as the door makes them of what a scenario
//! says, and a mistake for all that is not in the city or the rules. Promise: what passes
//! [`Stage::check`] can be played. Next: `play.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use ioc_core::bundle::Bundle;
use ioc_core::place::Position;
use ioc_core::time::Timestamp;
use ioc_gateway::catalogue::{Catalogue, Unregistered};
use ioc_gateway::formats::native;
use serde_json::{Map, Value, json};

use super::script::{Expected, Name, Said, Scenario, Spot, Trait, Wanted, What};
use crate::config::compile::Compiled;
use crate::config::mistake::{Mistakes, Place};
use crate::config::suggest::did_you_mean;

/// Rules, a city, and what the door decodes by.
#[derive(Debug)]
pub(super) struct Stage {
    bundle: Arc<Bundle>,
    catalogue: Catalogue,
}

/// Metres in a degree of a great circle of the mean earth.
const METRES_PER_DEGREE: f64 = 111_195.0;

impl Stage {
    pub fn new(compiled: &Compiled, unregistered: Unregistered) -> Self {
        Self {
            catalogue: compiled.catalogue(unregistered),
            bundle: Arc::clone(&compiled.bundle),
        }
    }

    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Tells of all that a scenario names and nothing has, and of readings that are dead letters.
    pub fn check(&self, scenario: &Scenario, mistakes: &mut Mistakes) {
        let mut looked_at = BTreeSet::new();
        for step in &scenario.steps {
            match &step.what {
                What::Said(said) => {
                    // What is said over a period is said once.
                    if looked_at.insert((step.place.line, said.sensor.as_str())) {
                        self.check_said(said, step.at, &step.place, mistakes);
                    }
                }
                What::Took { incident, .. } => {
                    self.check_incident(incident, &step.place, mistakes);
                }
                What::Started { .. } => {}
            }
        }
        for expected in &scenario.expected {
            self.check_expected(expected, mistakes);
        }
        for (kind, place) in &scenario.ignored {
            let name = Name {
                kind: kind.clone(),
                number: None,
            };
            self.check_incident(&name, place, mistakes);
        }
    }

    fn check_said(&self, said: &Said, at: Timestamp, place: &Place, mistakes: &mut Mistakes) {
        if let Some(Spot::Near { of, .. }) = &said.spot
            && self.spot(said).is_none()
        {
            let hint = did_you_mean(of, self.sensors());
            let what = format!("{of} is no sensor that is registered with a place{hint}");
            return mistakes.add(place, &said.sensor, what);
        }
        if said.kind.is_none() && !self.catalogue.sensors.contains_key(said.sensor.as_str()) {
            let hint = did_you_mean(&said.sensor, self.sensors());
            let what = format!(
                "is not registered{hint}; of a sensor that is not, say the kind: `{} water_level \
                 3.5 m`",
                said.sensor
            );
            return mistakes.add(place, &said.sensor, what);
        }
        let payload = self.payload(said, at);
        let mut scratch = native::Scratch::default();
        if let Err(reject) = native::decode(&payload, None, &self.catalogue, &mut scratch) {
            let what = format!(
                "would be a dead letter: {}: {}",
                reject.reason.word(),
                reject.detail
            );
            mistakes.add(place, &said.sensor, what);
        }
    }

    fn check_expected(&self, expected: &Expected, mistakes: &mut Mistakes) {
        let place = &expected.place;
        match &expected.what {
            Wanted::Nothing => {}
            Wanted::Sensor { sensor, .. } => {
                if !self.catalogue.sensors.contains_key(sensor.as_str()) {
                    let hint = did_you_mean(sensor, self.sensors());
                    mistakes.add(place, sensor, format!("is not registered{hint}"));
                }
            }
            Wanted::Site { site, .. } => {
                let city = &self.bundle.city;
                let gateways = city.sensors.iter().filter_map(|own| own.gateway.as_ref());
                let zones = city.zones.iter().map(|zone| zone.id.as_str());
                let mut sites = gateways.map(|gateway| gateway.as_str()).chain(zones);
                // A feeder that is measured is a sensor.
                let is_feeder = self.catalogue.sensors.contains_key(site.as_str());
                if !is_feeder && !sites.any(|own| own == site) {
                    let what = "is no zone and no feeder that is a sensor, and no sensor is registered \
                                with such a `gateway`";
                    mistakes.add(place, site, what);
                }
            }
            Wanted::Incident { name, traits, .. } => {
                self.check_incident(name, place, mistakes);
                for wanted in traits {
                    self.check_trait(wanted, place, mistakes);
                }
            }
        }
    }

    fn check_trait(&self, wanted: &Trait, place: &Place, mistakes: &mut Mistakes) {
        match wanted {
            Trait::Severity(_)
            | Trait::Certainty(_)
            | Trait::Sensors(_)
            | Trait::Episode(_)
            | Trait::Uncaused => {}
            Trait::CausedBy(name) | Trait::Into(name) => self.check_incident(name, place, mistakes),
            Trait::Zone(zone) => {
                let zones = || self.bundle.city.zones.iter().map(|zone| zone.id.as_str());
                if zone != "_" && !zones().any(|own| own == zone) {
                    let hint = did_you_mean(zone, zones());
                    mistakes.add(place, zone, format!("is no zone of this city{hint}"));
                }
            }
            Trait::Rule(rule) => {
                let detections = self.bundle.detections.iter().map(|rule| rule.name.as_str());
                let correlations = self.bundle.correlations.iter();
                let correlations = correlations.map(|rule| rule.name.as_str());
                let rules: Vec<_> = detections.chain(correlations).collect();
                if !rules.contains(&rule.as_str()) {
                    let hint = did_you_mean(rule, rules);
                    mistakes.add(place, rule, format!("is no rule{hint}"));
                }
            }
        }
    }

    fn check_incident(&self, name: &Name, place: &Place, mistakes: &mut Mistakes) {
        let kinds = || {
            let rules = self.bundle.correlations.iter();
            rules.map(|rule| rule.incident.as_str())
        };
        if !kinds().any(|kind| kind == name.kind) {
            let hint = did_you_mean(&name.kind, kinds());
            let what = format!("no rule makes incidents of this kind{hint}");
            mistakes.add(place, &name.kind, what);
        }
    }

    fn sensors(&self) -> impl Iterator<Item = &str> {
        let sensors = self.bundle.city.sensors.iter();
        sensors.map(|sensor| sensor.id.as_str())
    }

    /// Where something is said, if that is written and can be told.
    fn spot(&self, said: &Said) -> Option<Position> {
        match said.spot.as_ref()? {
            Spot::At(position) => Some(*position),
            Spot::Near {
                of,
                east_m,
                north_m,
            } => {
                let mut sensors = self.bundle.city.sensors.iter();
                let from = sensors.find(|sensor| sensor.id.as_str() == of)?.position?;
                let [lon, lat] = from.to_degrees();
                let east = east_m / METRES_PER_DEGREE / lat.to_radians().cos();
                Position::from_degrees(lon + east, lat + north_m / METRES_PER_DEGREE)
            }
        }
    }

    /// What is said, as the door would be sent it.
    pub fn payload(&self, said: &Said, at: Timestamp) -> Vec<u8> {
        let mut reading = Map::new();
        reading.insert("id".into(), json!(said.id));
        reading.insert("sensor".into(), json!(said.sensor));
        if let Some(kind) = &said.kind {
            reading.insert("kind".into(), json!(kind));
        }
        let observed = said.observed.unwrap_or(at);
        reading.insert("observed_at".into(), json!(observed.to_string()));
        reading.insert("value".into(), json!(said.value));
        if !said.unit.is_empty() {
            reading.insert("unit".into(), json!(said.unit));
        }
        if let Some(position) = self.spot(said) {
            reading.insert("position".into(), json!(position.to_degrees()));
        }
        if !said.attributes.is_empty() {
            let own = said.attributes.iter();
            let own = own.map(|(name, value)| (name.clone(), json!(value)));
            reading.insert("attributes".into(), Value::Object(own.collect()));
        }
        Value::Object(reading).to_string().into_bytes()
    }
}
