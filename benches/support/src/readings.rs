//! Native readings, written by hand.
//!
//! Arrives: what one reading says, in numbers. Leaves: its topic and its JSON, about 190 bytes,
//! appended to a buffer in some 30 ns, so that the generator is not what is measured.

use std::time::{SystemTime, UNIX_EPOCH};

use ioc_core::time::Timestamp;

use crate::mqtt::Publish;

/// What the topics of readings begin with; the sensor's name follows.
pub const TOPIC: &str = "ioc/v1/readings/";
/// How many sensors and readings have names of their own.
const SENSOR_DIGITS: usize = 6;
const NUMBER_DIGITS: usize = 10;

/// What one reading says.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// Its number: its id is `e` and ten digits.
    pub number: u64,
    /// Its sensor's number, of six digits.
    pub sensor: u32,
    /// The value's whole part, 10 to 99; a quarter follows.
    pub value: u8,
    /// When it is observed, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Writes readings of one kind, by sensors whose names begin alike.
#[derive(Debug, Clone)]
pub struct Readings {
    topic: String,
    before_sensor: String,
    before_time: String,
    before_position: String,
    /// The millisecond that was written last, and its text.
    shown: (i64, String),
}

impl Readings {
    /// Readings of this kind and unit; sensors are named by a letter and their number.
    pub fn new(letter: char, kind: &str, unit: &str) -> Self {
        Self {
            topic: format!("{TOPIC}{letter}-"),
            before_sensor: format!(r#"","sensor":"{letter}-"#),
            before_time: format!(r#"","kind":"{kind}","observed_at":""#),
            before_position: format!(r#".25,"unit":"{unit}","position":[101."#),
            shown: (0, Timestamp::from_millis(0).to_string()),
        }
    }

    /// Appends a PUBLISH of a reading.
    pub fn put_publish(&mut self, packet_id: u16, said: &Said, out: &mut Vec<u8>) {
        let publish = Publish::begin(out);
        self.put_topic(said, out);
        publish.put_packet_id(packet_id, out);
        self.put_json(said, out);
        publish.end(out);
    }

    /// Appends the topic.
    pub fn put_topic(&self, said: &Said, out: &mut Vec<u8>) {
        out.extend_from_slice(self.topic.as_bytes());
        put_digits::<SENSOR_DIGITS>(u64::from(said.sensor), out);
    }

    /// Appends the JSON. Sensors lie on a grid of 0.01 degrees, a kilometre apart; every 10,000th
    /// has the same place.
    pub fn put_json(&mut self, said: &Said, out: &mut Vec<u8>) {
        if self.shown.0 != said.at_ms {
            self.shown = (said.at_ms, Timestamp::from_millis(said.at_ms).to_string());
        }
        out.extend_from_slice(br#"{"id":"e"#);
        put_digits::<NUMBER_DIGITS>(said.number, out);
        out.extend_from_slice(self.before_sensor.as_bytes());
        put_digits::<SENSOR_DIGITS>(u64::from(said.sensor), out);
        out.extend_from_slice(self.before_time.as_bytes());
        out.extend_from_slice(self.shown.1.as_bytes());
        out.extend_from_slice(br#"","value":"#);
        put_digits::<2>(u64::from(said.value), out);
        out.extend_from_slice(self.before_position.as_bytes());
        put_digits::<2>(u64::from(said.sensor % 100), out);
        out.extend_from_slice(b"000,3.");
        put_digits::<2>(u64::from(said.sensor / 100 % 100), out);
        out.extend_from_slice(b"000]}");
    }
}

/// The number of a reading's id, if it is one of ours.
pub fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix('e')?.parse().ok()
}

/// The wall clock in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

fn put_digits<const N: usize>(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json_and_names_its_number() {
        let mut readings = Readings::new('s', "pm25", "ug/m3");
        let said = Said {
            number: 4711,
            sensor: 1207,
            value: 42,
            at_ms: 1_773_470_710_933,
        };
        let (mut topic, mut json) = (Vec::new(), Vec::new());
        readings.put_topic(&said, &mut topic);
        readings.put_json(&said, &mut json);
        assert_eq!(topic, b"ioc/v1/readings/s-001207");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(json["sensor"], "s-001207");
        assert_eq!(json["observed_at"], "2026-03-14T06:45:10.933Z");
        assert_eq!(json["value"], 42.25);
        assert_eq!(json["position"][0], 101.07);
        assert_eq!(json["position"][1], 3.12);
        let id = json["id"].as_str().expect("a text");
        assert_eq!(number_of(id), Some(4711));
    }
}
