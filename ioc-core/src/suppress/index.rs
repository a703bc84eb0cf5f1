//! Which suppressions may keep a finding quiet, without looking at all of them.
//!
//! Each lies under one name that it asks for: the one that fits the fewest findings.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::Matcher;
use crate::detection::{Detection, Finding};
use crate::id::{ReadingKind, RuleId, SensorId, SuppressionId, ZoneId};
use crate::place::Position;
use crate::rules::Rules;

type Ids = BTreeSet<SuppressionId>;

/// The matchers, by a name in each.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Index {
    sensors: BTreeMap<SensorId, Ids>,
    rules: BTreeMap<RuleId, Ids>,
    zones: BTreeMap<ZoneId, Ids>,
    kinds: BTreeMap<ReadingKind, Ids>,
    /// How many ask for a zone, whatever they lie under.
    with_zones: usize,
}

/// What a finding is told by.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    pub sensor: &'a SensorId,
    pub rule: &'a RuleId,
    pub kind: Option<&'a ReadingKind>,
    /// The zone and those around it; empty where nobody asks for zones.
    pub zones: Vec<&'a ZoneId>,
}

impl Index {
    pub fn insert(&mut self, id: SuppressionId, matcher: &Matcher) {
        self.with_zones += usize::from(matcher.zone.is_some());
        if let Some(sensor) = &matcher.sensor {
            self.sensors.entry(sensor.clone()).or_default().insert(id);
        } else if let Some(rule) = &matcher.rule {
            self.rules.entry(rule.clone()).or_default().insert(id);
        } else if let Some(zone) = &matcher.zone {
            self.zones.entry(zone.clone()).or_default().insert(id);
        } else if let Some(kind) = &matcher.kind {
            self.kinds.entry(kind.clone()).or_default().insert(id);
        }
    }

    pub fn remove(&mut self, id: SuppressionId, matcher: &Matcher) {
        self.with_zones -= usize::from(matcher.zone.is_some());
        if let Some(sensor) = &matcher.sensor {
            remove(&mut self.sensors, sensor, id);
        } else if let Some(rule) = &matcher.rule {
            remove(&mut self.rules, rule, id);
        } else if let Some(zone) = &matcher.zone {
            remove(&mut self.zones, zone, id);
        } else if let Some(kind) = &matcher.kind {
            remove(&mut self.kinds, kind, id);
        }
    }

    /// Those that ask for this sensor, whatever else they ask for.
    pub fn of_sensor(&self, sensor: &SensorId) -> impl Iterator<Item = SuppressionId> {
        self.sensors.get(sensor).into_iter().flatten().copied()
    }

    /// Those that may fit.
    pub fn near<'i>(&'i self, marks: &'i Marks<'_>) -> impl Iterator<Item = SuppressionId> + 'i {
        let zones = marks.zones.iter().filter_map(|zone| self.zones.get(*zone));
        let sensor = self.sensors.get(marks.sensor).into_iter();
        let rule = self.rules.get(marks.rule).into_iter();
        let kind = marks.kind.and_then(|kind| self.kinds.get(kind));
        let all = sensor.chain(rule).chain(zones).chain(kind);
        all.flatten().copied()
    }

    /// What a finding of this rule about this sensor is told by. A zone is looked for if any is
    /// asked for.
    pub fn marks<'a>(
        &self,
        (sensor, rule): (&'a SensorId, &'a RuleId),
        zone: Option<&ZoneId>,
        place: Option<Position>,
        rules: &'a Rules,
    ) -> Marks<'a> {
        let mut marks = Marks {
            sensor,
            rule,
            kind: rules.detection_named(rule).map(|rule| &rule.kind),
            zones: Vec::new(),
        };
        if self.with_zones > 0 {
            let zone = zone.cloned().unwrap_or_else(|| rules.zone_at(place));
            marks.zones = rules.zones_around(&zone).collect();
        }
        marks
    }
}

impl Marks<'_> {
    pub fn fit(&self, matcher: &Matcher) -> bool {
        let Matcher {
            sensor,
            zone,
            kind,
            rule,
        } = matcher;
        sensor.as_ref().is_none_or(|own| own == self.sensor)
            && rule.as_ref().is_none_or(|own| own == self.rule)
            && kind.as_ref().is_none_or(|own| self.kind == Some(own))
            && zone.as_ref().is_none_or(|own| self.zones.contains(&own))
    }
}

/// Where a finding is.
pub(super) fn place_of(finding: &Finding) -> Option<Position> {
    match &finding.detection {
        Detection::Raised { sightings, .. } => sightings.last()?.position,
        Detection::Updated { sighting, .. } | Detection::Reported { sighting, .. } => {
            sighting.position
        }
        Detection::Silent(hearing)
        | Detection::Returned(hearing)
        | Detection::SilenceForgotten(hearing) => hearing.position,
        Detection::Faulty(malady) | Detection::Sound(malady) => malady.hearing.position,
        Detection::Stirred
        | Detection::Worsened(_)
        | Detection::Eased(_)
        | Detection::Cleared
        | Detection::Withdrawn(_)
        | Detection::SiteSilent(_)
        | Detection::SiteReturned(_)
        | Detection::Contributed(_)
        | Detection::Observed(_)
        | Detection::Heard(_) => None,
    }
}

fn remove<K: Ord>(ids: &mut BTreeMap<K, Ids>, key: &K, id: SuppressionId) {
    if let Some(own) = ids.get_mut(key) {
        own.remove(&id);
        if own.is_empty() {
            ids.remove(key);
        }
    }
}
