//! One simulated reading, and its JSON: the native reading that the gateway takes.

use std::io::Write;

use ioc_core::time::{Millis, Timestamp};

use super::chance::{mix, salt};
use super::map::CityMap;

/// The sensor that people's calls come from.
pub(super) const CALL_CENTRE: &str = "call-centre";

/// What a sensor or a caller said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedReading {
    /// Microseconds since the simulation began.
    pub(super) observed_us: i64,
    pub(super) said: Said,
    /// Differs from every other of the same sensor.
    pub(super) serial: u64,
}

/// Adds to a reading's JSON when it was received, as a recording says it.
pub(super) fn add_received_at(json: &mut Vec<u8>, received_at: Timestamp) {
    let brace = json.pop();
    debug_assert_eq!(brace, Some(b'}'), "a reading is one JSON object");
    let written = write!(json, r#","received_at":"{received_at}"}}"#);
    written.expect("memory takes everything");
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Said {
    Measured {
        sensor: usize,
        value: f64,
    },
    Called {
        position: [f64; 2],
        category: &'static str,
        text: &'static str,
    },
}

impl SimulatedReading {
    /// The name of the sensor that says it.
    pub fn sensor<'a>(&self, map: &'a CityMap) -> &'a str {
        match self.said {
            Said::Measured { sensor, .. } => &map.sensors[sensor].id,
            Said::Called { .. } => CALL_CENTRE,
        }
    }

    /// Whose readings belong on one connection, as a number.
    pub(super) const fn source(&self) -> usize {
        match self.said {
            Said::Measured { sensor, .. } => sensor,
            Said::Called { .. } => 0,
        }
    }

    /// The native reading as one JSON object, where the simulation began at `origin`.
    ///
    /// The id depends on the origin too: two runs with the same seed are two histories.
    pub fn to_json(&self, map: &CityMap, origin: Timestamp) -> Vec<u8> {
        let observed_at = origin + Millis(self.observed_us.div_euclid(1000));
        let sensor = self.sensor(map);
        let id = mix(&[self.serial, salt(sensor), origin.as_millis() as u64]) >> 12;
        let mut json = Vec::with_capacity(256);
        let written = match self.said {
            Said::Measured {
                sensor: index,
                value,
            } => {
                let registered = &map.sensors[index];
                let [lon, lat] = registered.position;
                let (kind, unit) = (&registered.kind, &registered.unit);
                write!(
                    json,
                    r#"{{"id":"{id:013x}","sensor":"{sensor}","kind":"{kind}","observed_at":"{observed_at}","value":{value},"unit":"{unit}","position":[{lon},{lat}]}}"#
                )
            }
            Said::Called {
                position: [lon, lat],
                category,
                text,
            } => write!(
                json,
                r#"{{"id":"{id:013x}","sensor":"{sensor}","kind":"emergency_call","observed_at":"{observed_at}","value":1,"unit":"call","position":[{lon},{lat}],"attributes":{{"category":"{category}","text":"{text}"}}}}"#
            ),
        };
        written.expect("memory takes everything");
        json
    }
}
