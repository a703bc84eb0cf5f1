//! Does a sensor leap while its neighbours stay where they are? Then it is broken.
//!
//! Arrives: the readings of one kind, each as something that its sensor contributes. Leaves: findings
//! about the sensor: that it spikes, some time after it leapt, when what is real would have come to
//! enough of its neighbours by then, they have been heard and none has moved with it, neither in one
//! leap nor little by little; and that it is sound again, when it comes back to where it was or a
//! neighbour follows after all. Who is upstream must have moved before. Of a sensor with too few
//! neighbours that are heard nothing is known. Late readings say nothing. Bounded: the
//! last value of each sensor of the kind, and so many neighbours of one that has leapt. The cost of a
//! leap is that of its neighbourhood; a reading that does not leap costs one look-up. What a sensor
//! says that has leapt is not doubted: a dam that breaks has neighbours that stay flat.
//!
//! Not here: single readings far from those around them (`detect/fault/spiking.rs`). Next:
//! `correlate.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::sites::Change;
use super::watch::Moment;
use crate::bundle::{Alone, DetectionRule, Near, Test};
use crate::codec::{CodecError, Put, Take};
use crate::correlate::CellIndex;
use crate::decision::{FaultKind, SensorFault};
use crate::detection::{Detection, Finding, Hearing, Malady, Sighting};
use crate::id::{ReadingKind, RuleId, SensorId, ZoneId};
use crate::limits::NEIGHBOURS_MAX;
use crate::place::Position;
use crate::rules::Rules;
use crate::time::{Millis, Timestamp};

/// One rule at work.
#[derive(Debug)]
pub(super) struct Leaps {
    name: RuleId,
    hash: u64,
    kind: ReadingKind,
    rule: Alone,
    sensors: BTreeMap<SensorId, Last>,
    leaps: BTreeMap<SensorId, Leap>,
    /// Where its sensors stand, each by its place in `names`. Follows from them.
    cells: CellIndex,
    names: Vec<SensorId>,
    /// The places in it that nobody has any more.
    free: Vec<u32>,
    /// Its sensors by group. Follows from them.
    groups: BTreeMap<String, BTreeSet<SensorId>>,
    /// What has become of timers since this was last looked at.
    pub timers: Vec<Change>,
}

/// What a sensor said last.
#[derive(Debug)]
struct Last {
    observed_at: Timestamp,
    zone: Option<ZoneId>,
    sighting: Sighting,
    /// What it said when it moved last, or when it was heard first: less than half of a leap away.
    reference: f64,
    /// When it moved last, and whether it rose.
    moved: Option<(Timestamp, bool)>,
    /// Where it is looked for. Follows from its place and the city.
    spot: Spot,
}

/// Where a sensor is looked for by its neighbours.
#[derive(Debug)]
enum Spot {
    Nowhere,
    Cell(u32, Position),
    Group(String),
}

/// A sensor that has leapt.
#[derive(Debug)]
struct Leap {
    /// What it said before.
    from: f64,
    up: bool,
    observed_at: Timestamp,
    /// When it is asked whether it is alone; `None`: it is.
    due: Option<Timestamp>,
    /// Those that were heard of late then, the nearest first.
    neighbours: Vec<SensorId>,
}

/// How what is real comes from a sensor to its neighbour, or from that to it.
struct Way {
    /// So long after the sensor leapt it has come to the neighbour.
    by: Millis,
    /// So long before it may have been there.
    back: Millis,
}

/// What neighbours did.
#[derive(Default)]
struct Answer {
    flat: u32,
    moved: u32,
}

/// How many times as long as a leap takes one that a neighbour made before belongs to it, at least.
const BACK: i64 = 10;

impl Leaps {
    pub fn new(rule: &DetectionRule) -> Self {
        let Test::Alone(own) = &rule.test else {
            unreachable!("only rules of this sort are made into it");
        };
        Self {
            name: rule.name.clone(),
            hash: rule.hash,
            kind: rule.kind.clone(),
            rule: *own,
            sensors: BTreeMap::new(),
            leaps: BTreeMap::new(),
            cells: cells(own),
            names: Vec::new(),
            free: Vec::new(),
            groups: BTreeMap::new(),
            timers: Vec::new(),
        }
    }

    /// Whether it is a rule of this meaning.
    pub fn means(&self, rule: &DetectionRule) -> bool {
        self.hash == rule.hash
    }

    /// The sensors that have leapt and are not asked about yet, each with when.
    pub fn waiting(&self) -> impl Iterator<Item = (&SensorId, Timestamp)> {
        let leaps = self.leaps.iter();
        leaps.filter_map(|(sensor, leap)| Some((sensor, leap.due?)))
    }

    /// Takes in what a sensor contributes, and adds what follows from it.
    pub fn take(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) {
        let finding = moment.finding;
        let Detection::Contributed(sighting) = &finding.detection else {
            return;
        };
        let sensor = &finding.sensor;
        let last = self.sensors.get(sensor);
        if finding.doubted || last.is_some_and(|last| finding.observed_at < last.observed_at) {
            return;
        }
        let before = last.map(|last| (last.observed_at, last.sighting.value));
        let is_new = self.note(moment, sighting);
        if self.leaps.contains_key(sensor) {
            return self.go_on(moment, sighting, found);
        }
        let Some((observed_at, value)) = before.filter(|_| !is_new) else {
            return;
        };
        let far = (sighting.value - value).abs() > self.rule.height;
        if far && finding.observed_at - observed_at <= self.rule.within {
            self.leap(moment, value, sighting);
        }
    }

    /// Takes note of what a sensor said last. Returns whether it was not known.
    fn note(&mut self, moment: Moment<'_>, sighting: &Sighting) -> bool {
        let sensor = &moment.finding.sensor;
        let known = self.sensors.remove(sensor);
        let is_new = known.is_none();
        let (mut reference, mut moved) = known.as_ref().map_or((sighting.value, None), |known| {
            (known.reference, known.moved)
        });
        if (sighting.value - reference).abs() * 2.0 >= self.rule.height {
            moved = Some((moment.finding.observed_at, sighting.value > reference));
            reference = sighting.value;
        }
        let stays = |known: &Last| known.sighting.position == sighting.position;
        let spot = match known {
            Some(known) if stays(&known) => known.spot,
            known => {
                if let Some(known) = known {
                    self.forget(sensor, &known.spot);
                }
                self.place(sensor, sighting, moment.rules)
            }
        };
        let last = Last {
            observed_at: moment.finding.observed_at,
            zone: moment.finding.zone.clone(),
            sighting: sighting.clone(),
            reference,
            moved,
            spot,
        };
        self.sensors.insert(sensor.clone(), last);
        is_new
    }

    fn place(&mut self, sensor: &SensorId, sighting: &Sighting, rules: &Rules) -> Spot {
        match (self.rule.near, sighting.position) {
            (Near::Metres(_), None) => Spot::Nowhere,
            (Near::Metres(_), Some(place)) => {
                let slot = self.free.pop().unwrap_or(self.names.len() as u32);
                self.cells.insert(slot, place);
                match self.names.get_mut(slot as usize) {
                    Some(name) => *name = sensor.clone(),
                    None => self.names.push(sensor.clone()),
                }
                Spot::Cell(slot, place)
            }
            (Near::Group(by), place) => match rules.group_of(sensor, place, by) {
                None => Spot::Nowhere,
                Some(group) => {
                    let sensors = self.groups.entry(group.clone()).or_default();
                    sensors.insert(sensor.clone());
                    Spot::Group(group)
                }
            },
        }
    }

    fn forget(&mut self, sensor: &SensorId, spot: &Spot) {
        match spot {
            Spot::Nowhere => {}
            Spot::Cell(slot, place) => {
                self.cells.remove(*slot, *place);
                self.free.push(*slot);
            }
            Spot::Group(group) => {
                if let Some(sensors) = self.groups.get_mut(group) {
                    sensors.remove(sensor);
                }
            }
        }
    }

    /// The nearest of the sensors near one that were heard of late.
    fn neighbours(
        &self,
        sensor: &SensorId,
        sighting: &Sighting,
        moment: Moment<'_>,
    ) -> Vec<SensorId> {
        let from = moment.finding.observed_at - self.rule.within;
        let is_heard = |other: &&SensorId| {
            let last = self.sensors.get(*other);
            *other != sensor && last.is_some_and(|last| last.observed_at >= from)
        };
        match self.rule.near {
            Near::Metres(_) => {
                let near = sighting
                    .position
                    .map_or_else(Vec::new, |place| self.cells.near(place));
                let named = near.into_iter();
                let named = named.map(|near| (near.distance_m, &self.names[near.slot as usize]));
                let mut near: Vec<_> = named.collect();
                near.sort_unstable();
                let near = near.into_iter().map(|(_, other)| other).filter(is_heard);
                near.take(NEIGHBOURS_MAX).cloned().collect()
            }
            Near::Group(by) => {
                // All are as near; they are in the order of their names already.
                let group = moment.rules.group_of(sensor, sighting.position, by);
                let group = group.and_then(|group| self.groups.get(&group));
                let near = group.into_iter().flatten().filter(is_heard);
                near.take(NEIGHBOURS_MAX).cloned().collect()
            }
        }
    }

    /// A sensor leaps: is it alone? Not if a neighbour has moved with it already.
    fn leap(&mut self, moment: Moment<'_>, from: f64, sighting: &Sighting) {
        let sensor = &moment.finding.sensor;
        let leap = Leap {
            from,
            up: sighting.value > from,
            observed_at: moment.finding.observed_at,
            due: None,
            neighbours: self.neighbours(sensor, sighting, moment),
        };
        let Some(by) = self.reached_by(sensor, &leap, moment.rules) else {
            return;
        };
        if self.ask(sensor, &leap, moment.rules).moved > 0 {
            return;
        }
        let due = moment.at + by;
        self.timers.push(Change::Armed(sensor.clone(), due));
        let due = Some(due);
        self.leaps.insert(sensor.clone(), Leap { due, ..leap });
    }

    /// A sensor that has leapt says something more.
    fn go_on(&mut self, moment: Moment<'_>, sighting: &Sighting, found: &mut Vec<Finding>) {
        let sensor = &moment.finding.sensor;
        let leap = &self.leaps[sensor];
        let is_back = (sighting.value - leap.from).abs() * 2.0 < self.rule.height;
        if !is_back && self.ask(sensor, leap, moment.rules).moved == 0 {
            return;
        }
        let due = leap.due;
        self.leaps.remove(sensor);
        match due {
            Some(due) => self.timers.push(Change::Ended(sensor.clone(), due)),
            None => {
                let malady = self.malady(Some(sighting), moment.at, sighting);
                found.push(Finding {
                    rule: self.name.clone(),
                    detection: Detection::Sound(malady),
                    ..moment.finding.clone()
                });
            }
        }
    }

    /// How long after a leap what is real has come to as many neighbours as the rule asks for;
    /// `None` if it has not so many.
    fn reached_by(&self, sensor: &SensorId, leap: &Leap, rules: &Rules) -> Option<Millis> {
        let neighbours = leap.neighbours.iter();
        let ways = neighbours.map(|other| self.way(sensor, other, rules).by);
        let mut ways: Vec<_> = ways.collect();
        ways.sort_unstable();
        ways.get(self.rule.neighbours_min as usize - 1).copied()
    }

    /// How long what is real takes between a sensor that leaps and a neighbour.
    fn way(&self, sensor: &SensorId, other: &SensorId, rules: &Rules) -> Way {
        let networks = rules.networks();
        let node = |sensor: &SensorId| networks.number(sensor.as_str());
        let lag = |from, to| {
            let mut places = networks.downstream(from);
            places.find(|(place, _)| *place == to).map(|(_, lag)| lag)
        };
        let nodes = node(sensor).zip(node(other));
        let down = nodes.and_then(|(own, other)| lag(own, other));
        let up = nodes.and_then(|(own, other)| lag(other, own));
        let place = |sensor| {
            self.sensors
                .get(sensor)
                .and_then(|last| last.sighting.position)
        };
        let metres = || Some(i64::from(place(sensor)?.distance_m(place(other)?)));
        let by_speed = || {
            Some(Millis(
                metres()? * 1_000 / i64::from(self.rule.speed_m_per_s?),
            ))
        };
        let takes = match (down, up) {
            // Half as long again: no two waves are as fast.
            (Some(lag), _) => Millis(lag.0.saturating_mul(3) / 2),
            // It was there before.
            (None, Some(_)) => Millis::ZERO,
            (None, None) => by_speed().unwrap_or_default(),
        };
        let by = takes.max(self.rule.within);
        let lag = up.unwrap_or(by).max(by);
        let back =
            Millis(lag.0.saturating_mul(2)).max(Millis(self.rule.within.0.saturating_mul(BACK)));
        Way { by, back }
    }

    /// What the neighbours of a sensor that has leapt did: how many have stayed where they were,
    /// though what is real would have come to them by now, and how many have moved with it.
    fn ask(&self, sensor: &SensorId, leap: &Leap, rules: &Rules) -> Answer {
        let mut answer = Answer::default();
        let by = self.reached_by(sensor, leap, rules);
        for other in &leap.neighbours {
            let Some(last) = self.sensors.get(other) else {
                continue;
            };
            let way = self.way(sensor, other, rules);
            let moved = last
                .moved
                .is_some_and(|(at, up)| up == leap.up && at + way.back >= leap.observed_at);
            let is_heard = last.observed_at > leap.observed_at
                && last.observed_at + self.rule.within > leap.observed_at + way.by;
            if moved {
                answer.moved += 1;
            } else if is_heard && Some(way.by) <= by {
                answer.flat += 1;
            }
        }
        answer
    }

    /// A sensor has leapt for long enough to ask whether it is alone.
    pub fn fire(&mut self, sensor: &SensorId, due: Timestamp, rules: &Rules) -> Option<Finding> {
        let leap = self.leaps.get(sensor)?;
        let answer = self.ask(sensor, leap, rules);
        if answer.moved > 0 || answer.flat < self.rule.neighbours_min {
            self.leaps.remove(sensor);
            return None;
        }
        self.leaps.get_mut(sensor)?.due = None;
        let last = &self.sensors[sensor];
        let malady = self.malady(Some(&last.sighting), last.sighting.at, &last.sighting);
        Some(Finding {
            seq: 0,
            due: Some(due),
            rule: self.name.clone(),
            sensor: sensor.clone(),
            observed_at: last.observed_at.min(due),
            zone: last.zone.clone(),
            doubted: false,
            quiet: false,
            detection: Detection::Faulty(malady),
        })
    }

    fn malady(&self, shown: Option<&Sighting>, at: Timestamp, last: &Sighting) -> Malady {
        Malady {
            fault: SensorFault {
                kind: FaultKind::Spiking,
                distrusted: false,
            },
            hearing: Hearing {
                kind: self.kind.clone(),
                position: last.position,
                last_heard_at: at,
                raised: Vec::new(),
                heard_by: Vec::new(),
                untold: false,
            },
            concerned: Vec::new(),
            shown: shown.cloned(),
        }
    }

    /// Another city holds: who is near whom follows from it.
    pub fn regroup(&mut self, rules: &Rules) {
        self.cells = cells(&self.rule);
        self.names.clear();
        self.free.clear();
        self.groups.clear();
        for (sensor, last) in std::mem::take(&mut self.sensors) {
            let spot = self.place(&sensor, &last.sighting, rules);
            self.sensors.insert(sensor, Last { spot, ..last });
        }
    }

    /// The rule is gone, and what it found with it.
    pub fn end(&self, at: Timestamp, found: &mut Vec<Finding>) {
        let faulty = self.leaps.iter().filter(|(_, leap)| leap.due.is_none());
        for (sensor, _) in faulty {
            let last = &self.sensors[sensor];
            let malady = self.malady(None, last.sighting.at, &last.sighting);
            found.push(Finding {
                seq: 0,
                due: None,
                rule: self.name.clone(),
                sensor: sensor.clone(),
                observed_at: at,
                zone: last.zone.clone(),
                doubted: false,
                quiet: false,
                detection: Detection::Sound(malady),
            });
        }
    }

    /// Puts the whole state.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.sensors.len());
        for (sensor, last) in &self.sensors {
            out.put_text(sensor.as_str());
            out.put_time(last.observed_at);
            out.put_option(last.zone.as_ref(), |out, zone| out.put_text(zone.as_str()));
            last.sighting.put(out);
            out.put_f64(last.reference);
            out.put_option(last.moved, |out, (at, up)| {
                out.put_time(at);
                out.put_flag(up);
            });
        }
        out.put_count(self.leaps.len());
        for (sensor, leap) in &self.leaps {
            out.put_text(sensor.as_str());
            out.put_f64(leap.from);
            out.put_flag(leap.up);
            out.put_time(leap.observed_at);
            out.put_option(leap.due, Put::put_time);
            out.put_count(leap.neighbours.len());
            for neighbour in &leap.neighbours {
                out.put_text(neighbour.as_str());
            }
        }
    }

    /// The state as it was put, of a rule that means the same, in the same city.
    pub fn take_bytes(
        rule: &DetectionRule,
        take: &mut Take<'_>,
        rules: &Rules,
    ) -> Result<Self, CodecError> {
        let mut leaps = Self::new(rule);
        for _ in 0..take.u32()? {
            let sensor = take.parsed("sensor")?;
            let last = Last {
                observed_at: take.time()?,
                zone: take.option(|take| take.parsed("zone"))?,
                sighting: Sighting::take(take)?,
                reference: take.f64()?,
                moved: take.option(|take| Ok((take.time()?, take.flag()?)))?,
                spot: Spot::Nowhere,
            };
            leaps.sensors.insert(sensor, last);
        }
        for _ in 0..take.u32()? {
            let sensor = take.parsed("sensor")?;
            let mut leap = Leap {
                from: take.f64()?,
                up: take.flag()?,
                observed_at: take.time()?,
                due: take.option(Take::time)?,
                neighbours: Vec::new(),
            };
            for _ in 0..take.count(NEIGHBOURS_MAX)? {
                leap.neighbours.push(take.parsed("sensor")?);
            }
            if !leaps.sensors.contains_key(&sensor) {
                return Err(CodecError("a sensor has leapt that has said nothing"));
            }
            leaps.leaps.insert(sensor, leap);
        }
        leaps.regroup(rules);
        Ok(leaps)
    }
}

fn cells(rule: &Alone) -> CellIndex {
    match rule.near {
        Near::Metres(metres) => CellIndex::new(metres),
        Near::Group(_) => CellIndex::new(1),
    }
}
