//! What the readings of one step come to, of all sensors of a group: how many, their sum, the least
//! and the greatest, how they are spread, and the worst of whom to tell.
//!
//! Arrives: readings of one step, in any order. Leaves: what they come to, alone or with those of
//! other steps. Promise: the same whatever the order; bounded, whatever the number of readings.
//! Next: `across.rs`.

use super::across::{Value, worst_first};
use super::spread::Spread;
use crate::bundle::{Side, Statistic};
use crate::codec::{CodecError, Put, Take};
use crate::detect::{FIXED_POINT, VALUE_MAX, fixed};
use crate::id::SensorId;
use crate::limits::ACROSS_TOLD_MAX;

#[derive(Debug, Clone)]
pub(super) struct Pane {
    count: u64,
    /// In millionths of the unit.
    sum: i128,
    least: f64,
    greatest: f64,
    /// Where a percentile is asked for.
    spread: Spread,
    /// The worst reading of each of the sensors that have said the worst, the worst first.
    worst: Vec<(SensorId, Value)>,
}

impl Pane {
    /// Of no reading yet.
    pub fn new() -> Self {
        Self {
            count: 0,
            sum: 0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            spread: Spread::default(),
            worst: Vec::new(),
        }
    }

    /// Takes a reading in.
    pub fn note(&mut self, (of, side): (Statistic, Side), sensor: &SensorId, reading: &Value) {
        let value = reading.sighting.value;
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(fixed(value));
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        if is_of_spread(of) {
            self.spread.note(value);
        }
        self.tell(side, sensor, reading);
    }

    /// Takes the readings of another step in.
    pub fn merge(&mut self, side: Side, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        self.spread.merge(&other.spread);
        for (sensor, reading) in &other.worst {
            self.tell(side, sensor, reading);
        }
    }

    /// Whoever is among the worst of all is among those of each part of all.
    fn tell(&mut self, side: Side, sensor: &SensorId, reading: &Value) {
        let known = self.worst.iter_mut().find(|(known, _)| known == sensor);
        match known {
            Some((_, known)) if !reading.is_worse(known, side) => return,
            Some((_, known)) => *known = reading.clone(),
            None => self.worst.push((sensor.clone(), reading.clone())),
        }
        worst_first(&mut self.worst, side);
        self.worst.truncate(ACROSS_TOLD_MAX);
    }

    /// What they come to; nothing where there are too few.
    pub fn value(&self, of: Statistic) -> Option<f64> {
        let sum = || self.sum as f64 / FIXED_POINT;
        match of {
            Statistic::Count => Some(self.count as f64),
            Statistic::Sum => Some(sum()),
            // A vote is of sensors.
            Statistic::Vote(_) => None,
            Statistic::Mean | Statistic::Percentile(_) if self.count == 0 => None,
            Statistic::Mean => Some(sum() / self.count as f64),
            Statistic::Percentile(0) => Some(self.least),
            Statistic::Percentile(100) => Some(self.greatest),
            Statistic::Percentile(percent) => {
                // The nearest rank, from the least, counted from 1.
                let rank = u128::from(self.count) * u128::from(percent);
                let rank = (rank.div_ceil(100) as u64).max(1);
                self.spread.at(rank, (self.least, self.greatest))
            }
        }
    }

    /// The worst readings, each of another sensor, the worst first.
    pub fn worst(&self) -> &[(SensorId, Value)] {
        &self.worst
    }

    pub fn put(&self, out: &mut impl Put) {
        out.put_u64(self.count);
        out.put(&self.sum.to_le_bytes());
        out.put_f64(self.least);
        out.put_f64(self.greatest);
        self.spread.put(out);
        out.put_count(self.worst.len());
        for (sensor, reading) in &self.worst {
            out.put_text(sensor.as_str());
            reading.put(out);
        }
    }

    pub fn take(take: &mut Take<'_>, of: Statistic) -> Result<Self, CodecError> {
        let pane = Self {
            count: take.u64()?,
            sum: i128::from_le_bytes(take.array()?),
            least: take.f64()?,
            greatest: take.f64()?,
            spread: Spread::take(take)?,
            worst: {
                let count = take.count(ACROSS_TOLD_MAX)?;
                take.each(count, |take| {
                    Ok((take.parsed("sensor")?, Value::take(take)?))
                })?
            },
        };
        let most = fixed(VALUE_MAX).saturating_mul(i128::from(pane.count));
        let told = if is_of_spread(of) { pane.count } else { 0 };
        let sound = pane.count > 0
            && pane.sum.unsigned_abs() <= most.unsigned_abs()
            && pane.least <= pane.greatest
            && pane.spread.count() == told
            && !pane.worst.is_empty();
        if sound {
            Ok(pane)
        } else {
            Err(CodecError("a pane contradicts itself"))
        }
    }
}

/// Whether it must be known how values are spread.
fn is_of_spread(of: Statistic) -> bool {
    matches!(of, Statistic::Percentile(1..=99))
}
