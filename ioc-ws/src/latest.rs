//! The last reading of each sensor.
//!
//! Arrives: what the host journals, batch by batch, from the keeper alone. Leaves: copies of a few
//! entries for whoever asks over REST. Promise: one entry for each sensor, up to a bound; a question
//! holds the keeper up for no longer than it takes to copy so many entries, and the host never.
//! What is known goes with the process, but the host has the newest records looked through when it
//! starts: what a sensor said in those it is known to have said, until it speaks.
//! Next: `sensors.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use ioc_core::bundle::Bundle;
use ioc_core::id::{ReadingKind, SensorId};
use ioc_core::place::Position;
use ioc_core::record::{Frames, Input, Record, Seq};
use ioc_core::time::Timestamp;

use crate::view::Sample;

/// The last values, shared by the keeper, who writes, and those who ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latest(Arc<RwLock<Table>>);

#[derive(Debug, Default)]
struct Table {
    sensors: BTreeMap<SensorId, Last>,
    /// Each kind and unit once, whoever measures it.
    kinds: BTreeSet<ReadingKind>,
    units: BTreeSet<Arc<str>>,
    /// The city, if it is known.
    bundle: Option<Arc<Bundle>>,
    /// How many of the sensors are not of the city.
    strangers: usize,
}

/// Framed records, the first of which has this number, and how many of them count for nothing.
pub(crate) type Noted<'a> = (Seq, &'a [u8], usize);

/// What a sensor said last: about 170 bytes with its name and its place in the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Last {
    pub kind: ReadingKind,
    pub unit: Arc<str>,
    pub value: f64,
    pub observed_at: Timestamp,
    /// In logical time.
    pub received_at: Timestamp,
    /// Where it said that it was, if it did.
    pub position: Option<Position>,
}

impl Last {
    /// The same for consoles.
    pub fn sample(&self, sensor: SensorId) -> Sample {
        Sample {
            sensor,
            kind: self.kind.clone(),
            value: self.value,
            unit: Arc::clone(&self.unit),
            observed_at: self.observed_at,
            position: self.position,
        }
    }
}

/// A reading as a record has it.
struct Said<'a> {
    sensor: &'a str,
    kind: &'a str,
    unit: &'a str,
    value: f64,
    observed_at: Timestamp,
    position: Option<Position>,
}

/// What sensors said last in records of before the start, which are taken in their order.
#[derive(Debug)]
pub struct Recollection {
    table: Table,
    sensors_max: usize,
}

impl Recollection {
    /// Takes a record. Of more sensors than there is room for, those that spoke first are known.
    pub fn take(&mut self, record: &Record<'_>) {
        self.table.take(record, self.sensors_max);
    }

    /// What each said.
    pub(crate) fn said(self) -> impl Iterator<Item = (SensorId, Last)> {
        self.table.sensors.into_iter()
    }
}

impl Latest {
    /// Takes the readings of framed records, the first of which has this number, but the first so
    /// many of them. Returns how many readings were of sensors beyond the bound.
    pub fn take(&self, (first, framed, left_out): Noted<'_>, sensors_max: usize) -> usize {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let frames = Frames::new(first, framed).flatten().skip(left_out);
        let records = frames.filter_map(|frame| frame.record().ok());
        let taken = records.map(|record| table.take(&record, sensors_max));
        taken.filter(|taken| !taken).count()
    }

    /// Room for what was said before the start, first for sensors of the city.
    pub fn recollection(&self, sensors_max: usize) -> Recollection {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let bundle = table.bundle.clone();
        let table = Table {
            bundle,
            ..Table::default()
        };
        Recollection { table, sensors_max }
    }

    /// Takes what sensors said before the start, but of those that have spoken since. Returns how
    /// many are beyond the bound.
    pub fn recall(&self, said: &[(SensorId, Last)], sensors_max: usize) -> usize {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut beyond = 0;
        for (sensor, last) in said {
            if table.sensors.contains_key(sensor) {
                continue;
            }
            if table.admit(sensor.as_str(), sensors_max) {
                table.sensors.insert(sensor.clone(), last.clone());
            } else {
                beyond += 1;
            }
        }
        beyond
    }

    /// Knows the city: its sensors find a place before others do.
    pub fn set_city(&self, bundle: Arc<Bundle>, sensors_max: usize) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.bundle = Some(bundle);
        table.make_room(sensors_max);
    }

    /// What a sensor said last.
    pub fn of(&self, sensor: &SensorId) -> Option<Last> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.sensors.get(sensor).cloned()
    }

    /// The sensors behind this one in the order of their names, so many at most.
    pub fn after(&self, sensor: Option<&SensorId>, count: usize) -> Vec<(SensorId, Last)> {
        let from = sensor.map_or(Bound::Unbounded, Bound::Excluded);
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let behind = table
            .sensors
            .range::<SensorId, _>((from, Bound::Unbounded))
            .take(count);
        behind
            .map(|(sensor, last)| (sensor.clone(), last.clone()))
            .collect()
    }
}

impl Table {
    fn has(&self, sensor: &str) -> bool {
        let own = self.bundle.as_ref().map(|bundle| &*bundle.city.sensors);
        let own = own.unwrap_or_default();
        own.binary_search_by(|each| each.id.as_str().cmp(sensor))
            .is_ok()
    }

    /// How many sensors that are not of the city have a place: those of it keep theirs.
    fn strangers_max(&self, sensors_max: usize) -> usize {
        let own = self.bundle.as_ref();
        let own = own.map_or(0, |bundle| bundle.city.sensors.len());
        sensors_max.saturating_sub(own)
    }

    /// Whether there is a place for one more sensor; it then has it.
    fn admit(&mut self, sensor: &str, sensors_max: usize) -> bool {
        if self.has(sensor) {
            return self.sensors.len() < sensors_max;
        }
        let has_place = self.strangers < self.strangers_max(sensors_max);
        self.strangers += usize::from(has_place);
        has_place
    }

    /// The sensors of the city that holds now find their places free.
    fn make_room(&mut self, sensors_max: usize) {
        let strangers = self.sensors.keys().filter(|own| !self.has(own.as_str()));
        let strangers: Vec<_> = strangers.cloned().collect();
        let most = self.strangers_max(sensors_max);
        for beyond in strangers.iter().skip(most) {
            self.sensors.remove(beyond);
        }
        self.strangers = strangers.len().min(most);
    }

    /// Takes a record; `false` if it is a reading that there was no room for.
    fn take(&mut self, record: &Record<'_>, sensors_max: usize) -> bool {
        const VALID: &str = "a reading's names are valid";
        let said = match record.input {
            Input::Reading(reading) | Input::Reread(reading) => Said {
                sensor: reading.sensor,
                kind: reading.kind,
                unit: reading.unit,
                value: reading.value,
                // No clock that is ahead: all that comes after would be older.
                observed_at: reading.observed_at.min(record.at),
                position: reading.position,
            },
            Input::Folded(folded) => Said {
                sensor: folded.sensor,
                kind: folded.kind,
                unit: folded.unit,
                value: folded.last,
                observed_at: folded.to.min(record.at),
                position: None,
            },
            Input::DeadLetter(_)
            | Input::Command(_)
            | Input::Tick
            | Input::Started(_)
            | Input::Skipped(_)
            | Input::Adopted(_)
            | Input::Effect(_)
            | Input::Reload(_)
            | Input::Replayed(_) => return true,
        };
        if let Some(last) = self.sensors.get_mut(said.sensor) {
            // A reading that was observed before another is not what the sensor says now.
            if said.observed_at < last.observed_at && said.kind == last.kind.as_str() {
                return true;
            }
            if last.kind.as_str() == said.kind && *last.unit == *said.unit {
                last.value = said.value;
                last.observed_at = said.observed_at;
                last.received_at = record.at;
                last.position = said.position.or(last.position);
                return true;
            }
        } else if !self.admit(said.sensor, sensors_max) {
            return false;
        }
        let last = Last {
            kind: shared(&mut self.kinds, said.kind, || {
                said.kind.parse().expect(VALID)
            }),
            unit: shared(&mut self.units, said.unit, || said.unit.into()),
            value: said.value,
            observed_at: said.observed_at,
            received_at: record.at,
            position: said.position,
        };
        let sensor = said.sensor.parse().expect(VALID);
        self.sensors.insert(sensor, last);
        true
    }
}

/// How many kinds and units are shared at most; further ones are held by each sensor itself.
const SHARED_MAX: usize = 4_096;

/// The one that all share, which is made if it is the first.
fn shared<T: Ord + Clone + std::borrow::Borrow<str>>(
    all: &mut BTreeSet<T>,
    text: &str,
    make: impl FnOnce() -> T,
) -> T {
    if let Some(known) = all.get(text) {
        return known.clone();
    }
    let made = make();
    if all.len() < SHARED_MAX {
        all.insert(made.clone());
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use ioc_core::reading::{Attributes, Reading};

    fn framed(readings: &[(&str, &str, f64, i64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, &(sensor, kind, value, observed)) in readings.iter().enumerate() {
            let id = number.to_string();
            let reading = Reading {
                id: &id,
                sensor,
                kind,
                observed_at: Timestamp::from_millis(observed),
                received_at: None,
                value,
                unit: "m",
                position: None,
                attributes: Attributes::default(),
            };
            let at = Timestamp::from_millis(1_000 + number as i64);
            Record::frame_input(at, &Input::Reading(reading), &mut bytes);
        }
        bytes
    }

    #[test]
    fn the_last_reading_is_what_was_observed_last_and_names_are_in_order() {
        let latest = Latest::default();
        let said = framed(&[
            ("b", "level", 1.0, 10),
            ("a", "level", 2.0, 10),
            ("b", "level", 3.0, 30),
            ("b", "level", 4.0, 20),
        ]);
        assert_eq!(latest.take((1, &said, 0), 10), 0);
        let b = latest.of(&"b".parse().unwrap()).unwrap();
        assert_eq!((b.value, b.received_at.as_millis()), (3.0, 1_002));
        let names = |after: Option<&str>, count| {
            let after = after.map(|after| after.parse().unwrap());
            let found = latest.after(after.as_ref(), count);
            let names = found.into_iter().map(|(sensor, _)| sensor.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(None, 10), ["a", "b"]);
        assert_eq!(names(None, 1), ["a"]);
        assert_eq!(names(Some("a"), 10), ["b"]);
        // Another kind is another reading, whenever it was observed.
        latest.take((5, &framed(&[("b", "rain", 9.0, 1)]), 0), 10);
        assert_eq!(
            latest.of(&"b".parse().unwrap()).unwrap().kind.as_str(),
            "rain"
        );
    }

    #[test]
    fn p5_values_of_more_sensors_than_the_bound_are_not_kept() {
        let latest = Latest::default();
        let said = framed(&[("a", "level", 1.0, 1), ("b", "level", 1.0, 1)]);
        assert_eq!(latest.take((1, &said, 0), 1), 1);
        assert_eq!(latest.after(None, 10).len(), 1);
        let again = framed(&[("a", "level", 2.0, 2)]);
        assert_eq!(latest.take((3, &again, 0), 1), 0);
        assert_eq!(latest.of(&"a".parse().unwrap()).unwrap().value, 2.0);
    }

    #[test]
    fn what_was_said_before_the_start_is_known_until_the_sensor_speaks() {
        let latest = Latest::default();
        let take = |latest: &Latest, said: &[_]| latest.take((9, &framed(said), 0), 2);
        assert_eq!(take(&latest, &[("a", "level", 7.0, 1)]), 0);
        let mut before = latest.recollection(10);
        let said = framed(&[
            ("b", "level", 1.0, 10),
            ("a", "level", 2.0, 10),
            ("b", "level", 3.0, 30),
            ("c", "level", 4.0, 20),
        ]);
        for frame in Frames::new(1, &said).flatten() {
            before.take(&frame.record().unwrap());
        }
        let before: Vec<_> = before.said().collect();
        assert_eq!(latest.recall(&before, 2), 1, "there is no room for c");
        let value = |sensor: &str| latest.of(&sensor.parse().unwrap()).map(|last| last.value);
        assert_eq!(
            [value("a"), value("b"), value("c")],
            [Some(7.0), Some(3.0), None]
        );
        take(&latest, &[("b", "level", 5.0, 40)]);
        assert_eq!(value("b"), Some(5.0));
    }

    #[test]
    fn of_a_long_batch_the_newest_records_count() {
        let latest = Latest::default();
        let said = framed(&[("a", "level", 1.0, 1), ("b", "level", 1.0, 1)]);
        assert_eq!(latest.take((1, &said, 1), 10), 0);
        let known = latest.after(None, 10);
        assert_eq!(known[0].0.as_str(), "b");
        assert_eq!(
            (known.len(), known[0].1.received_at.as_millis()),
            (1, 1_001)
        );
    }

    #[test]
    fn strangers_keep_no_sensor_of_the_city_out() {
        let latest = Latest::default();
        let city = |sensors: &[&str]| Arc::new(crate::examples::bundle(sensors));
        let names = |latest: &Latest| {
            let known = latest.after(None, 10).into_iter();
            known.map(|(id, _)| id.to_string()).collect::<Vec<_>>()
        };
        latest.set_city(city(&["n", "z"]), 3);
        let all = ["a", "b", "c", "n", "z", "d"].map(|sensor| (sensor, "level", 1.0, 1));
        assert_eq!(latest.take((1, &framed(&all), 0), 3), 3);
        assert_eq!(names(&latest), ["a", "n", "z"]);
        // Another city's sensors find their places free as well.
        latest.set_city(city(&["b", "c", "n"]), 3);
        assert_eq!(names(&latest), ["n"]);
        assert_eq!(latest.take((7, &framed(&all), 0), 3), 3);
        assert_eq!(names(&latest), ["b", "c", "n"]);
    }

    #[test]
    fn p5_so_many_kinds_and_units_are_shared_and_no_more() {
        let mut all: BTreeSet<Arc<str>> = BTreeSet::new();
        for number in 0..SHARED_MAX + 1 {
            let text = number.to_string();
            assert_eq!(*shared(&mut all, &text, || text.as_str().into()), *text);
        }
        assert_eq!(all.len(), SHARED_MAX);
    }
}
