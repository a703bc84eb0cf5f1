//! The properties of a feature: those that mean something here, and the names of the others.
//!
//! Arrives: the object `properties`. Leaves: the known ones as [`Scalar`]s; all others are let
//! through, for real data has many, but named, for some are misspelt. Next: `city/misspelt.rs`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::geojson::Scalar;

macro_rules! properties {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)+) => {
        /// The known properties, and the names of the others.
        #[derive(Debug, Default)]
        pub struct Properties<'a> {
            $($(#[$doc])* pub $field: Scalar<'a>,)+
            /// Of an actuator: what it can be ordered to do, not read yet.
            pub commands: Option<&'a RawValue>,
            /// The names of all others.
            pub others: Vec<Cow<'a, str>>,
        }

        impl<'a> Properties<'a> {
            /// The known property of this name.
            pub fn known(&mut self, name: &str) -> Option<&mut Scalar<'a>> {
                match name {
                    $($name => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

properties! {
    /// What the feature is: `zone`, `sensor`, …
    feature = "type",
    /// Its name for people.
    name = "name",
    /// Of a zone: the zone that it is part of.
    parent = "parent",
    /// Of a sensor: what it measures.
    kind = "kind",
    /// In which unit.
    unit = "unit",
    /// Its zone.
    zone = "zone",
    /// What its readings come through.
    gateway = "gateway",
    /// How often it reports.
    interval_s = "interval_s",
    /// Its own moderate level.
    warning = "warning",
    /// Its own severe level.
    danger = "danger",
    /// What may be done about a command of which nobody knows whether it arrived.
    effect = "effect",
    /// For how long a command may be sent.
    deadline_s = "deadline_s",
    /// How much longer its outcome is waited for.
    outcome_within_s = "outcome_within_s",
    /// Of a sensor or an asset: what feeds it.
    fed_by = "fed_by",
    /// Where its water goes.
    flows_to = "flows_to",
    /// How long the water takes.
    lag_s = "lag_s",
    /// The river that it lies on.
    river = "river",
    /// The line that it is a stop of.
    line = "line",
    /// Where on the line.
    order = "order",
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
                        Some(known @ Scalar::Nothing) => *known = map.next_value()?,
                        Some(_) => return Err(A::Error::custom(format!("`{key}` twice"))),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                            properties.others.push(key);
                        }
                    }
                }
                Ok(properties)
            }
        }
        deserializer.deserialize_map(Object)
    }
}
