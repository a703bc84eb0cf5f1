//! Who causes the load: how often each sensor was behind what operators were told, day by day.
//!
//! Kept are the last days, and so many sensors; for a further one that with the least load is
//! forgotten, so that who causes much stays. Next: `view.rs`.

use std::collections::{BTreeMap, BTreeSet};

use ioc_core::CodecError;
use ioc_core::codec::{Put, Take};
use ioc_core::decision::{Decision, Verdict};
use ioc_core::id::SensorId;
use ioc_core::time::Timestamp;

/// Of how many sensors the load is counted at most.
const SENSORS_COUNTED_MAX: usize = 4096;
/// How many bad actors are named.
pub(super) const BAD_ACTORS_MAX: usize = 10;
/// Over how many days the load is counted, today included.
pub(crate) const DAYS: usize = 7;
const DAY_MS: i64 = 86_400_000;

/// The load that sensors cause.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// The day, since 1970, that counts as the first of [`Sensor::days`].
    today: i64,
    sensors: BTreeMap<SensorId, Sensor>,
    /// All of them, the least loaded first.
    ranks: BTreeSet<(Rank, SensorId)>,
}

/// What one sensor caused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sensor {
    /// Of each day, today first.
    days: [Counts; DAYS],
}

/// How often a sensor was behind something that operators were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Incidents that opened or reopened with evidence of it.
    pub alarms: u32,
    /// Faults and silences of its own.
    pub faults: u32,
    /// Other news of incidents that named evidence of it.
    pub updates: u32,
}

/// By alarms and faults, then by updates.
type Rank = (u32, u32);

impl Counts {
    /// How many interruptions that were, which is what bad actors are ranked by.
    pub(crate) const fn load(&self) -> u32 {
        self.alarms.saturating_add(self.faults)
    }

    const fn rank(&self) -> Rank {
        (self.load(), self.updates)
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            alarms: self.alarms.saturating_add(other.alarms),
            faults: self.faults.saturating_add(other.faults),
            updates: self.updates.saturating_add(other.updates),
        }
    }
}

impl Sensor {
    fn sum(&self) -> Counts {
        let days = self.days.iter().copied();
        days.fold(Counts::default(), Counts::plus)
    }
}

impl Load {
    /// Counts a decision for the sensors that it names.
    pub(crate) fn count(&mut self, decision: &Decision) {
        let one = match &decision.verdict {
            Verdict::IncidentOpened(_) | Verdict::IncidentReopened(_) => Counts {
                alarms: 1,
                ..Counts::default()
            },
            Verdict::SensorSilent(_) | Verdict::SensorFaulty(..) => Counts {
                faults: 1,
                ..Counts::default()
            },
            Verdict::IncidentUpdated(_) => Counts {
                updates: 1,
                ..Counts::default()
            },
            // They end something, are people's own, or name evidence that was told before.
            Verdict::IncidentMerged { .. }
            | Verdict::IncidentCleared(_)
            | Verdict::IncidentUnknown(_)
            | Verdict::IncidentLinked(_)
            | Verdict::IncidentAcknowledged(_)
            | Verdict::IncidentHandled { .. }
            | Verdict::IncidentEscalated(_)
            | Verdict::IncidentRated(_)
            | Verdict::IncidentShelved(_)
            | Verdict::IncidentSuppressed(_)
            | Verdict::Suppression(..)
            | Verdict::IncidentSplit { .. }
            | Verdict::IncidentEvidenceMoved { .. }
            | Verdict::SensorReturned(_)
            | Verdict::SensorSound(..)
            | Verdict::SiteSilent(_)
            | Verdict::SiteReturned(_)
            | Verdict::RulesChanged(_)
            | Verdict::CommandRefused(_)
            | Verdict::Command(..) => return,
        };
        self.turn_to(decision.at);
        if let Some(sensor) = decision.verdict.sensor() {
            self.add(&sensor.id, one);
            return;
        }
        let evidence = decision.cause.evidence.iter();
        let mut named: Vec<_> = evidence.map(|evidence| &evidence.sensor).collect();
        named.sort_unstable();
        named.dedup();
        named.into_iter().for_each(|sensor| self.add(sensor, one));
    }

    /// Those that cause the most, worst first; each with what it caused.
    pub(crate) fn worst(&self) -> impl Iterator<Item = (&SensorId, Counts)> {
        let worst = self.ranks.iter().rev().take(BAD_ACTORS_MAX);
        worst.map(|(_, id)| (id, self.sensors[id].sum()))
    }

    /// What all that are counted caused together.
    pub(crate) fn total(&self) -> Counts {
        let sensors = self.sensors.values().map(Sensor::sum);
        sensors.fold(Counts::default(), Counts::plus)
    }

    /// Begins new days, and forgets who caused nothing in those that are left.
    fn turn_to(&mut self, now: Timestamp) {
        let today = now.as_millis().div_euclid(DAY_MS);
        let passed = usize::try_from(today - self.today).unwrap_or(0).min(DAYS);
        if passed == 0 {
            return;
        }
        self.today = today;
        for sensor in self.sensors.values_mut() {
            sensor.days.rotate_right(passed);
            sensor.days[..passed].fill(Counts::default());
        }
        self.sensors
            .retain(|_, sensor| sensor.sum() != Counts::default());
        self.rank_all();
    }

    fn rank_all(&mut self) {
        let sensors = self.sensors.iter();
        let ranks = sensors.map(|(id, sensor)| (sensor.sum().rank(), id.clone()));
        self.ranks = ranks.collect();
    }

    fn add(&mut self, id: &SensorId, counts: Counts) {
        if !self.sensors.contains_key(id)
            && self.sensors.len() == SENSORS_COUNTED_MAX
            && let Some((_, least)) = self.ranks.pop_first()
        {
            self.sensors.remove(&least);
        }
        let sensor = self.sensors.entry(id.clone()).or_default();
        self.ranks.remove(&(sensor.sum().rank(), id.clone()));
        sensor.days[0] = sensor.days[0].plus(counts);
        self.ranks.insert((sensor.sum().rank(), id.clone()));
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.today as u64);
        out.put_count(self.sensors.len());
        for (id, sensor) in &self.sensors {
            out.put_text(id.as_str());
            for day in &sensor.days {
                out.put_u32(day.alarms);
                out.put_u32(day.faults);
                out.put_u32(day.updates);
            }
        }
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut load = Self {
            today: take.u64()? as i64,
            ..Self::default()
        };
        for _ in 0..take.count(SENSORS_COUNTED_MAX)? {
            let id = take.parsed("no sensor's id")?;
            let mut sensor = Sensor::default();
            for day in &mut sensor.days {
                *day = Counts {
                    alarms: take.u32()?,
                    faults: take.u32()?,
                    updates: take.u32()?,
                };
            }
            load.sensors.insert(id, sensor);
        }
        load.rank_all();
        Ok(load)
    }
}
