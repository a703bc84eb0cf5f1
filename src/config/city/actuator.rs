//! Actuators: what can be ordered to do something, and what shows that it was done.
//!
//! Arrives: a feature with `type: actuator`. Leaves: an [`Actuator`] of the city, its commands
//! sorted. `commands` is a list of names or, where a sensor shows what was done, an object:
//!
//! ```json
//! {"close": {"confirmed_by": {"sensor": "gate-7-shut", "is": 1}}, "flash": {}}
//! ```

use std::collections::BTreeMap;

use ioc_core::bundle::{Actuator, ActuatorCommand, ConfirmedBy, Expected};
use ioc_core::decision::EffectClass;
use ioc_core::id::{ActuatorId, CommandName, SensorId};
use ioc_core::limits::NOT_AFTER_MAX;
use ioc_core::time::Millis;
use serde::Deserialize;

use super::Reader;
use super::geojson::{self, Feature, Scalar};
use crate::config::suggest::did_you_mean;

/// The most commands of one actuator.
const COMMANDS_MAX: usize = 100;
/// For how long a command may be sent where neither the city nor the order says so, and how much
/// longer its outcome is waited for.
const USUAL: Millis = Millis::minutes(1);

/// A command as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object, perhaps with `confirmed_by`"
)]
struct CommandText {
    confirmed_by: Option<ConfirmedByText>,
}

/// What confirms it, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `sensor`")]
struct ConfirmedByText {
    sensor: String,
    is: Option<f64>,
    above: Option<f64>,
    below: Option<f64>,
}

impl Reader<'_> {
    pub(super) fn actuator(&mut self, id: &str, feature: &Feature<'_>) {
        let properties = &feature.properties;
        let actuator_id = self.parsed::<ActuatorId>("id", id);
        let zone = self
            .text("zone", &properties.zone)
            .and_then(|zone| self.parsed("zone", zone));
        let effect = self.effect(&properties.effect);
        let deadline = self.span("deadline_s", &properties.deadline_s);
        let outcome_within = self.span("outcome_within_s", &properties.outcome_within_s);
        let commands = self.commands(properties.commands.map(|raw| raw.get()));
        let position = self.point(feature);
        let (Some(id), Some(commands)) = (actuator_id, commands) else {
            return;
        };
        if !self.actuator_names.insert(id.clone()) {
            return self.wrong("id", "another actuator has this id; rename one");
        }
        let places = commands
            .iter()
            .filter(|command| command.confirmed_by.is_some());
        let shown: Vec<_> = places.cloned().collect();
        for command in shown {
            let place = (self.place.clone(), self.name.clone());
            self.confirmations.push((place, command));
        }
        self.actuators.push(Actuator {
            id,
            position,
            zone,
            effect: effect.unwrap_or_default(),
            deadline: deadline.unwrap_or(USUAL),
            outcome_within: outcome_within.unwrap_or(USUAL),
            commands,
        });
    }

    fn effect(&mut self, effect: &Scalar<'_>) -> Option<EffectClass> {
        let word = self.text("effect", effect)?;
        let found = EffectClass::from_word(word);
        if found.is_none() {
            let words = EffectClass::ALL.iter().map(|each| each.word());
            let hint = did_you_mean(word, words.clone());
            let words: Vec<_> = words.collect();
            self.wrong(
                "effect",
                format!("`{word}` is not one of {}{hint}", words.join(", ")),
            );
        }
        found
    }

    fn span(&mut self, property: &str, seconds: &Scalar<'_>) -> Option<Millis> {
        let max = NOT_AFTER_MAX.0 as f64 / 1e3;
        let seconds = self.number(property, seconds)?;
        if !(0.001..=max).contains(&seconds) {
            self.wrong(
                property,
                format!("{seconds} is not from 0.001 to {max} seconds"),
            );
            return None;
        }
        Some(Millis((seconds * 1e3).round() as i64))
    }

    /// The commands, sorted by name; `None` if they are none.
    fn commands(&mut self, raw: Option<&str>) -> Option<Vec<ActuatorCommand>> {
        const WANTED: &str = "write what it can be ordered to do, as in `\"commands\": [\"open\", \
                              \"close\"]`";
        let Some(raw) = raw.filter(|raw| *raw != "null") else {
            self.wrong("commands", format!("is missing; {WANTED}"));
            return None;
        };
        let read: Result<BTreeMap<String, CommandText>, _> = match raw.as_bytes().first() {
            Some(b'[') => serde_json::from_str(raw).map(|names: Vec<String>| {
                let plain = |name| (name, CommandText::default());
                names.into_iter().map(plain).collect()
            }),
            _ => serde_json::from_str(raw),
        };
        let written = match read {
            Ok(written) => written,
            Err(error) => {
                let error = geojson::without_place(&error);
                self.wrong("commands", format!("{error}; {WANTED}"));
                return None;
            }
        };
        if written.is_empty() || written.len() > COMMANDS_MAX {
            let count = written.len();
            self.wrong(
                "commands",
                format!("{count} are not from 1 to {COMMANDS_MAX}"),
            );
            return None;
        }
        let commands = written
            .into_iter()
            .map(|(name, text)| self.command(&name, text));
        commands.collect()
    }

    fn command(&mut self, name: &str, text: CommandText) -> Option<ActuatorCommand> {
        let name: CommandName = self.parsed("commands", name)?;
        let confirmed_by = match text.confirmed_by {
            None => None,
            Some(by) => Some(self.confirmed_by(&name, &by)?),
        };
        Some(ActuatorCommand { name, confirmed_by })
    }

    fn confirmed_by(&mut self, name: &CommandName, by: &ConfirmedByText) -> Option<ConfirmedBy> {
        let sensor: SensorId = self.parsed("commands", &by.sensor)?;
        let expected = match (by.is, by.above, by.below) {
            (Some(value), None, None) => Expected::Is(value),
            (None, Some(level), None) => Expected::Above(level),
            (None, None, Some(level)) => Expected::Below(level),
            _ => {
                let what = format!("`confirmed_by` of {name} needs one of `is`, `above`, `below`");
                self.wrong("commands", what);
                return None;
            }
        };
        Some(ConfirmedBy { sensor, expected })
    }

    /// Every sensor that confirms a command is one of the city's.
    pub(super) fn check_confirmations(&mut self) {
        for ((place, name), command) in std::mem::take(&mut self.confirmations) {
            let Some(by) = command.confirmed_by else {
                continue;
            };
            if !self.sensor_names.contains(&by.sensor) {
                let names = self.sensor_names.iter().map(SensorId::as_str);
                let hint = did_you_mean(by.sensor.as_str(), names);
                let what = format!("no sensor has the id `{}`{hint}", by.sensor);
                self.mistakes
                    .add(&place, &format!("{name} commands {}", command.name), what);
            }
        }
    }
}
