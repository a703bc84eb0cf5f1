//! What the sensors of incidents that are over said of those: a reading is evidence of one.
//!
//! Arrives: the members of an incident that ends for good. Leaves: whether a reading was evidence
//! then. A window says what it counted again as long as it lasts, and a detection what it waited
//! with, however soon an incident ends and another begins (INV-12). Promise: of each sensor one
//! number, up to which record it was heard; of more sensors than the bound, those that spoke
//! longest ago are forgotten. What was heard by then and was no evidence is taken to have been.
//! Next: `lifecycle.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{CodecError, Put, Take};
use crate::id::SensorId;
use crate::incident::{Member, Source};
use crate::limits::TOLD_SENSORS_MAX;
use crate::record::Seq;

/// Up to which record each sensor was told.
#[derive(Debug, Default, Clone)]
pub(crate) struct Told {
    to: BTreeMap<SensorId, Seq>,
    oldest: BTreeSet<(Seq, SensorId)>,
}

impl Told {
    /// Whether a reading of a sensor was evidence of an incident that is over.
    pub fn has(&self, sensor: &SensorId, seq: Seq) -> bool {
        !self.to.is_empty() && self.to.get(sensor).is_some_and(|to| seq <= *to)
    }

    /// What a member of an incident measured for it was told. Reports come once.
    pub fn remember(&mut self, source: &Source, member: &Member) {
        let newest = member.newest().filter(|_| source.report.is_none());
        if let Some(seq) = newest {
            self.note(&source.sensor, seq);
        }
    }

    /// Forgets so much of what nobody asks for any more; returns whether anything is left.
    pub fn forget(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some((_, sensor)) = self.oldest.pop_first() else {
                return false;
            };
            self.to.remove(&sensor);
        }
        !self.oldest.is_empty()
    }

    fn note(&mut self, sensor: &SensorId, seq: Seq) {
        let before = self.to.get(sensor).copied();
        if before >= Some(seq) {
            return;
        }
        if let Some(before) = before {
            self.oldest.remove(&(before, sensor.clone()));
        }
        self.to.insert(sensor.clone(), seq);
        self.oldest.insert((seq, sensor.clone()));
        if self.to.len() > TOLD_SENSORS_MAX
            && let Some((_, sensor)) = self.oldest.pop_first()
        {
            self.to.remove(&sensor);
        }
    }

    /// Puts the whole state, sensors in the order of their names.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.to.len());
        for (sensor, to) in &self.to {
            out.put_text(sensor.as_str());
            out.put_u64(*to);
        }
    }

    /// It as it was put; before format 3 nothing was remembered.
    pub fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        if format < 3 {
            return Ok(Self::default());
        }
        let count = take.count(TOLD_SENSORS_MAX)?;
        let told = take.each(count, |take| {
            Ok((take.parsed::<SensorId>("sensor")?, take.u64()?))
        })?;
        if !told.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(CodecError("sensors that were told are not in order"));
        }
        let oldest = told.iter().map(|(sensor, to)| (*to, sensor.clone()));
        Ok(Self {
            oldest: oldest.collect(),
            to: told.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_of_more_sensors_than_the_bound_those_that_spoke_longest_ago_are_forgotten() {
        let sensor = |number: u64| format!("s-{number}").parse::<SensorId>().unwrap();
        let mut told = Told::default();
        for number in 1..=TOLD_SENSORS_MAX as u64 + 1 {
            told.note(&sensor(number), number + 10);
        }
        assert_eq!(told.to.len(), TOLD_SENSORS_MAX);
        assert_eq!(told.oldest.len(), TOLD_SENSORS_MAX);
        assert!(!told.has(&sensor(1), 11));
        assert!(told.has(&sensor(2), 12) && told.has(&sensor(2), 3));
        assert!(!told.has(&sensor(2), 13));
    }

    #[test]
    fn a_sensor_is_told_up_to_the_last_of_its_incidents() {
        let sensor: SensorId = "s".parse().unwrap();
        let mut told = Told::default();
        for seq in [5, 9, 7] {
            told.note(&sensor, seq);
        }
        assert!(told.has(&sensor, 9) && !told.has(&sensor, 10));
        let mut bytes = Vec::new();
        told.put(&mut bytes);
        let taken = Told::take(3, &mut Take(&bytes)).unwrap();
        assert_eq!((taken.to, taken.oldest), (told.to, told.oldest));
    }
}
