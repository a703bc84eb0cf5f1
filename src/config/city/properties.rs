//! The properties of a feature: those that mean something here, and the names of the others.
//!
//! Arrives: the object `properties`. Leaves: the known ones as [`Scalar`]s; all others are let
//! through, for real data has many, but named, for some are misspelt. Next: `city/misspelt.rs`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::geojson::Scalar;

/// The known properties, and the names of the others.
#[derive(Debug, Default)]
pub struct Properties<'a> {
    /// What the feature is: `zone`, `sensor`, …
    pub feature: Scalar<'a>,
    /// Its name for people.
    pub name: Scalar<'a>,
    /// Of a zone: the zone that it is part of.
    pub parent: Scalar<'a>,
    /// Of a sensor: what it measures.
    pub kind: Scalar<'a>,
    /// In which unit.
    pub unit: Scalar<'a>,
    /// Its zone.
    pub zone: Scalar<'a>,
    /// How often it reports.
    pub interval_s: Scalar<'a>,
    /// Its own moderate level.
    pub warning: Scalar<'a>,
    /// Its own severe level.
    pub danger: Scalar<'a>,
    /// Of an actuator: what it can be ordered to do, not read yet.
    pub commands: Option<&'a RawValue>,
    /// What may be done about a command of which nobody knows whether it arrived.
    pub effect: Scalar<'a>,
    /// For how long a command may be sent.
    pub deadline_s: Scalar<'a>,
    /// How much longer its outcome is waited for.
    pub outcome_within_s: Scalar<'a>,
    /// Of a sensor or an asset: what feeds it.
    pub fed_by: Scalar<'a>,
    /// Where its water goes.
    pub flows_to: Scalar<'a>,
    /// How long the water takes.
    pub lag_s: Scalar<'a>,
    /// The river that it lies on.
    pub river: Scalar<'a>,
    /// The line that it is a stop of.
    pub line: Scalar<'a>,
    /// Where on the line.
    pub order: Scalar<'a>,
    /// The names of all others.
    pub others: Vec<Cow<'a, str>>,
}

impl<'a> Properties<'a> {
    /// The known property of this name.
    pub fn known(&mut self, name: &str) -> Option<&mut Scalar<'a>> {
        Some(match name {
            "type" => &mut self.feature,
            "name" => &mut self.name,
            "parent" => &mut self.parent,
            "kind" => &mut self.kind,
            "unit" => &mut self.unit,
            "zone" => &mut self.zone,
            "interval_s" => &mut self.interval_s,
            "warning" => &mut self.warning,
            "danger" => &mut self.danger,
            "effect" => &mut self.effect,
            "deadline_s" => &mut self.deadline_s,
            "outcome_within_s" => &mut self.outcome_within_s,
            "fed_by" => &mut self.fed_by,
            "flows_to" => &mut self.flows_to,
            "lag_s" => &mut self.lag_s,
            "river" => &mut self.river,
            "line" => &mut self.line,
            "order" => &mut self.order,
            _ => return None,
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Properties<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut properties = Properties::default();
                while let Some(key) = map.next_key()? {
                    let Scalar::Text(key) = key else {
                        return Err(A::Error::custom("a key that is no text"));
                    };
                    if key == "commands" {
                        properties.commands = Some(map.next_value()?);
                        continue;
                    }
                    match properties.known(&key) {
                        Some(Scalar::Nothing) => {}
                        Some(_) => return Err(A::Error::custom(format!("`{key}` twice"))),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                            properties.others.push(key);
                            continue;
                        }
                    }
                    let value = map.next_value()?;
                    if let Some(known) = properties.known(&key) {
                        *known = value;
                    }
                }
                Ok(properties)
            }
        }
        deserializer.deserialize_map(Object)
    }
}
