//! What happens in the simulated city: messages in the order in which they are measured.

use std::fmt;

use ioc_core::time::{Millis, Timestamp};

use super::city::{Kind, SENSORS};
use super::model::Sent;
use crate::chance::Chance;

/// What a publisher has to send.
#[derive(Debug, Clone)]
pub enum Message {
    /// A reading.
    Reading {
        /// Who says it.
        sensor: &'static str,
        /// What it measures.
        kind: Kind,
        /// Unique within the sensor.
        id: String,
        /// When it was measured.
        observed_at: Timestamp,
        /// The value.
        value: f64,
    },
    /// Bytes that are no reading.
    Garbage(u64),
}

impl Message {
    /// The bytes to send: they say by which connection, so that the log can be compared with it.
    pub fn payload(&self, connection: usize, place: usize) -> String {
        match self {
            Self::Reading {
                sensor,
                kind,
                id,
                observed_at,
                value,
            } => format!(
                r#"{{"id":"{id}","sensor":"{sensor}","kind":"{}","observed_at":"{observed_at}","value":{value},"attributes":{{"via":"{connection}"}}}}"#,
                kind.word()
            ),
            Self::Garbage(word) => format!("{{garbage {word} via {connection}-{place}"),
        }
    }

    /// What of it the log must show.
    pub fn sent(&self, payload: String) -> Sent {
        match self {
            Self::Reading { sensor, id, .. } => Sent::Reading((*sensor).to_owned(), id.clone()),
            Self::Garbage(_) => Sent::Garbage(payload),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reading { id, value, .. } => write!(f, "{id}={value}"),
            Self::Garbage(_) => f.write_str("garbage"),
        }
    }
}

/// Draws what happens.
#[derive(Debug)]
pub struct Workload {
    chance: Chance,
    /// How many readings each sensor has made.
    made: [u64; SENSORS.len()],
    /// Where each sensor's value is.
    values: [f64; SENSORS.len()],
    /// When each sensor measured last: no two readings of it are of one instant.
    measured: [Timestamp; SENSORS.len()],
    /// One message in so many is no reading.
    garbage_one_in: u64,
}

impl Workload {
    /// The workload of this seed.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "workload");
        Self {
            garbage_one_in: [1000, 50, 7][chance.below(3)],
            chance,
            made: [0; SENSORS.len()],
            values: [1.0; SENSORS.len()],
            measured: [Timestamp::default(); SENSORS.len()],
        }
    }

    /// The next message, and which of so many publishers has it.
    pub fn next(&mut self, now: Timestamp, publishers: usize) -> (usize, Message) {
        let place = self.chance.below(SENSORS.len());
        if self.chance.one_in(self.garbage_one_in) {
            return (
                place % publishers,
                Message::Garbage(self.chance.within(0..1000)),
            );
        }
        let (sensor, kind) = SENSORS[place];
        self.made[place] += 1;
        self.measured[place] = now.max(self.measured[place] + Millis(1));
        let message = Message::Reading {
            sensor,
            kind,
            id: format!("{sensor}.{}", self.made[place]),
            observed_at: self.measured[place],
            value: self.value(place),
        };
        (place % publishers, message)
    }

    /// Values stay where they are, drift, or jump: levels are crossed again and again.
    fn value(&mut self, place: usize) -> f64 {
        let value = &mut self.values[place];
        match self.chance.below(10) {
            0 => *value = 1.0,
            1 | 2 => *value = 6.0,
            3..=5 => *value = (*value + 1.25).min(7.0),
            6 | 7 => *value = (*value - 1.25).max(0.0),
            _ => {}
        }
        *value
    }
}
