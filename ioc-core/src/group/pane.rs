//! What the readings of one step come to, of all sensors of a group: how many, their sum, the least
//! and the greatest, how they are spread, and the worst of whom to tell.
//!
//! Arrives: readings of one step, in any order. Leaves: what they come to, alone or with those of
//! other steps. Promise: the same whatever the order; bounded, whatever the number of readings.
//! Next: `across.rs`.

use super::across::{Value, by_worst};
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

    fn tell(&mut self, side: Side, sensor: &SensorId, reading: &Value) {
        let known = self.worst.iter_mut().find(|(known, _)| known == sensor);
        match known {
            Some((_, known)) if !reading.is_worse(known, side) => return,
            Some((_, known)) => *known = reading.clone(),
            None => self.worst.push((sensor.clone(), reading.clone())),
        }
        self.worst.sort_by(|one, other| by_worst(side, one, other));
        self.worst.truncate(ACROSS_TOLD_MAX);
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

/// What the readings of several steps come to.
#[derive(Debug)]
pub(super) struct Together<'a> {
    panes: Vec<&'a Pane>,
    side: Side,
}

impl<'a> Together<'a> {
    pub fn of(panes: impl Iterator<Item = &'a Pane>, side: Side) -> Self {
        Self {
            panes: panes.collect(),
            side,
        }
    }

    /// What they come to; nothing where there are too few.
    pub fn value(&self, of: Statistic) -> Option<f64> {
        let panes = || self.panes.iter();
        let add = |all: i128, pane: &&Pane| all.saturating_add(pane.sum);
        let sum = || panes().fold(0, add) as f64 / FIXED_POINT;
        let add = |all: u64, pane: &&Pane| all.saturating_add(pane.count);
        let count = panes().fold(0, add);
        let least = || panes().fold(f64::INFINITY, |least, pane| least.min(pane.least));
        let greatest = || panes().fold(f64::NEG_INFINITY, |most, pane| most.max(pane.greatest));
        match of {
            Statistic::Count => Some(count as f64),
            Statistic::Sum => Some(sum()),
            // A vote is of sensors.
            Statistic::Vote(_) => None,
            Statistic::Mean | Statistic::Percentile(_) if count == 0 => None,
            Statistic::Mean => Some(sum() / count as f64),
            Statistic::Percentile(0) => Some(least()),
            Statistic::Percentile(100) => Some(greatest()),
            Statistic::Percentile(percent) => {
                // The nearest rank, from the least, counted from 1.
                let rank = u128::from(count) * u128::from(percent);
                let rank = (rank.div_ceil(100) as u64).max(1);
                let spreads = panes().map(|pane| &pane.spread);
                Spread::at(spreads, rank, (least(), greatest()))
            }
        }
    }

    /// The worst readings, each of another sensor, the worst first. Whoever is among the worst of all
    /// is among those of each part of all.
    pub fn worst(&self) -> Vec<(SensorId, Value)> {
        let mut worst: Vec<&(SensorId, Value)> = Vec::with_capacity(ACROSS_TOLD_MAX + 1);
        for pane in &self.panes {
            for own in &pane.worst {
                let last = worst.get(ACROSS_TOLD_MAX - 1);
                if last.is_some_and(|(_, last)| own.1.is_less_bad(last, self.side)) {
                    // So are all that come after it.
                    break;
                }
                match worst.iter_mut().find(|known| known.0 == own.0) {
                    Some(known) if !own.1.is_worse(&known.1, self.side) => continue,
                    Some(known) => *known = own,
                    None => worst.push(own),
                }
                worst.sort_by(|one, other| by_worst(self.side, one, other));
                worst.truncate(ACROSS_TOLD_MAX);
            }
        }
        worst.into_iter().cloned().collect()
    }
}

/// Whether it must be known how values are spread.
fn is_of_spread(of: Statistic) -> bool {
    matches!(of, Statistic::Percentile(1..=99))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decision::Severity;
    use crate::shared::Shared;
    use crate::time::Timestamp;

    fn value(number: u64, value: f64) -> Value {
        let at = Timestamp::from_millis(number as i64 / 2);
        Value {
            observed_at: at,
            zone: None,
            sighting: crate::detection::Sighting {
                reading: format!("r{}", number % 7).parse().unwrap(),
                seq: number,
                at,
                value,
                severity: Severity::Minor,
                excess: 0.0,
                position: None,
                shared: Shared::default(),
            },
        }
    }

    fn told(worst: &[(SensorId, Value)]) -> Vec<(String, u64)> {
        let told = worst.iter();
        let told = told.map(|(sensor, value)| (sensor.to_string(), value.sighting.seq));
        told.collect()
    }

    proptest! {
        /// Whatever is told of several steps is what one would be told of that had all their readings.
        #[test]
        fn p2_several_steps_come_to_what_one_of_all_their_readings_does(
            said in prop::collection::vec((0_u8..40, -30_i32..30, 0_usize..6), 1..300),
            above in any::<bool>(),
        ) {
            let side = if above { Side::Above } else { Side::Below };
            let of = Statistic::Percentile(37);
            let (mut steps, mut one) = (vec![Pane::new(); 6], Pane::new());
            for (number, (sensor, tenths, step)) in (0..).zip(said) {
                let sensor = format!("s{sensor}").parse().unwrap();
                // Zero of either sign too.
                let reading = value(number, f64::from(tenths) / -10.0);
                steps[step].note((of, side), &sensor, &reading);
                one.note((of, side), &sensor, &reading);
            }
            let several = Together::of(steps.iter(), side);
            let one = Together::of(std::iter::once(&one), side);
            prop_assert_eq!(told(&several.worst()), told(&one.worst()));
            for of in [Statistic::Count, Statistic::Sum, Statistic::Mean]
                .into_iter()
                .chain((0..=100).map(Statistic::Percentile))
            {
                prop_assert_eq!(several.value(of), one.value(of));
            }
        }
    }
}
