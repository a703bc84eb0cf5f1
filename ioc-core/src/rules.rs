//! A bundle, prepared for look-ups: rules by kind, sensors by name, takers by detection.
//!
//! Arrives: a checked [`Bundle`]. Leaves: [`Rules`], shared by all sensor stages and the engine.
//! The numbers that it gives to rules and kinds are of this bundle alone; they never show in a
//! decision, a tie or a digest. Next: `detection.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::bundle::{
    Actuator, Along, Bundle, City, CorrelationRule, DetectionRule, Effect, GroupBy, HandlingRules,
    Sensor, Silence, SuppressionRules, Test,
};
use crate::decision::SiteBy;
use crate::hash::Map;
use crate::id::{IncidentKind, NodeId, ReadingKind, RuleId, SensorId, ZoneId};
use crate::limits::BUNDLES_WAITING_MAX;
use crate::network::Networks;
use crate::place::Position;
use crate::record::BundleHash;
use crate::shared;
use crate::time::Millis;

/// What evidence that a person gives names in place of a rule. No rule may have this name.
pub const BY_PERSON: &str = "by-person";

/// A bundle with its indices.
#[derive(Debug)]
pub struct Rules {
    bundle: Arc<Bundle>,
    kinds: Vec<KindRules>,
    kind_numbers: Map<ReadingKind, u32>,
    sensor_numbers: Map<SensorId, u32>,
    /// Of each registered sensor, by its number; `None` if it lies in none.
    zones: Vec<Option<ZoneId>>,
    takers: Map<RuleId, Vec<RuleId>>,
    /// The correlation rules that take something which is found by readings of a kind.
    takers_of_kind: Map<ReadingKind, Vec<RuleId>>,
    /// Of each detection rule, by its number, what those that take what it finds ask to be in
    /// common, sorted; empty if none asks.
    in_common: Vec<Vec<String>>,
    /// The attributes by which readings take reports back, sorted.
    replacing: Vec<String>,
    /// Of each registered sensor, by its number, whether it shows outcomes of commands; empty if
    /// none does.
    shows_outcomes: Vec<bool>,
    /// What findings about outcomes name in place of a rule.
    outcomes: RuleId,
    /// What those that a meter is heard do.
    meters: RuleId,
    /// What evidence that a person gives names in place of a rule.
    by_person: RuleId,
    networks: Arc<Networks>,
    /// How many sensors that some silence rule watches each zone and each gateway has.
    sites: Map<(SiteBy, String), u32>,
    /// How many each street has, by its node, if some rule asks.
    streets: Map<u32, u32>,
    /// The correlation rules that part from their incidents what stays dark.
    nesting: Vec<RuleId>,
    causes: Map<IncidentKind, Vec<RuleId>>,
    nowhere: ZoneId,
}

/// The detection rules that look at one kind of reading, each by its place in the bundle.
#[derive(Debug)]
pub(crate) struct KindRules {
    pub kind: ReadingKind,
    /// All that look at each reading, in the order of their names.
    pub judging: Vec<u32>,
    /// Silence, in the order of their names.
    pub silences: Vec<u32>,
    /// Faults of sensors, in the order of their names.
    pub faults: Vec<u32>,
    /// About several sensors that send such readings, in the order of their names.
    pub across: Vec<u32>,
}

impl KindRules {
    /// Whether no rule looks at a reading.
    pub fn judges_nothing(&self) -> bool {
        self.judging.is_empty() && self.faults.is_empty() && self.across.is_empty()
    }
}

impl Rules {
    /// Prepares a bundle.
    ///
    /// # Panics
    /// If its detection rules are not sorted by name, each once, as a bundle promises.
    pub fn new(bundle: Arc<Bundle>) -> Self {
        let sorted = bundle.detections.is_sorted_by(|a, b| a.name < b.name);
        assert!(sorted, "a bundle's rules are sorted by name");
        let nowhere: ZoneId = "_".parse().expect("_ is a zone's id");
        let sensors = &bundle.city.sensors;
        let zones = sensors.iter();
        let zones = zones.map(|sensor| zone_of(&bundle.city, sensor)).collect();
        let sensor_numbers = sensors
            .iter()
            .zip(0..)
            .map(|(sensor, number)| (sensor.id.clone(), number))
            .collect();
        let kinds = kinds(&bundle.detections);
        let kind_numbers = kinds
            .iter()
            .zip(0..)
            .map(|(rules, number)| (rules.kind.clone(), number))
            .collect();
        let rules = Self {
            takers: takers(&bundle.correlations),
            takers_of_kind: takers_of_kind(&bundle),
            in_common: in_common(&bundle.detections, &bundle.correlations),
            replacing: replacing(&bundle),
            sites: Map::default(),
            streets: Map::default(),
            nesting: nesting(&bundle.correlations),
            shows_outcomes: shows_outcomes(&bundle.city),
            outcomes: "outcome".parse().expect("a word is a rule's name"),
            meters: "meter".parse().expect("a word is a rule's name"),
            by_person: BY_PERSON.parse().expect("a word is a rule's name"),
            networks: Arc::new(Networks::new(&bundle.city)),
            causes: causes(&bundle.correlations),
            kinds,
            kind_numbers,
            sensor_numbers,
            zones,
            nowhere,
            bundle,
        };
        let sites = rules.count_sites();
        let streets = rules.count_streets();
        Self {
            sites,
            streets,
            ..rules
        }
    }

    /// How many watched sensors each node feeds itself, if some rule asks what is silent with its feeder
    /// and what explains it.
    fn count_streets(&self) -> Map<u32, u32> {
        let mut streets = Map::default();
        let asks = |test: &Test| match test {
            Test::SiteSilence(rule) => rule.by == SiteBy::Feeder && !rule.explained_by.is_empty(),
            _ => false,
        };
        if self.detections().iter().any(|rule| asks(&rule.test)) {
            let sensors = self.bundle.city.sensors.iter();
            let watched = sensors.filter(|sensor| self.may_be_silent(&sensor.id));
            for street in watched.filter_map(|sensor| self.street_of(&sensor.id)) {
                *streets.entry(street).or_insert(0) += 1;
            }
        }
        streets
    }

    /// The node that feeds a sensor, by its number in the networks: its street.
    pub(crate) fn street_of(&self, sensor: &SensorId) -> Option<u32> {
        let networks = self.networks();
        networks.feeders(networks.number(sensor.as_str())?).next()
    }

    /// How many sensors of a street may be silent; none if no rule asks.
    pub(crate) fn sensors_of_street(&self, street: u32) -> u32 {
        self.streets.get(&street).copied().unwrap_or(0)
    }

    /// Whether it is known which streets are silent as a whole.
    pub(crate) fn knows_streets(&self) -> bool {
        !self.streets.is_empty()
    }

    /// The correlation rules that part from their incidents what stays dark.
    pub(crate) fn nesting(&self) -> &[RuleId] {
        &self.nesting
    }

    /// How many watched sensors each site has, if some rule asks for it.
    fn count_sites(&self) -> Map<(SiteBy, String), u32> {
        let mut sites = Map::default();
        let mut rules = self.detections().iter();
        if !rules.any(|rule| matches!(rule.test, Test::SiteSilence(_))) {
            return sites;
        }
        for sensor in &self.bundle.city.sensors {
            for by in SiteBy::ALL.iter().copied() {
                if let Some(site) = self.site_of(&sensor.id, by) {
                    *sites.entry((by, site.to_owned())).or_insert(0) += 1;
                }
            }
        }
        sites
    }

    /// The site of a sensor that some silence rule watches.
    pub(crate) fn site_of(&self, sensor: &SensorId, by: SiteBy) -> Option<&str> {
        let number = self.sensor_number(sensor.as_str())?;
        if !self.may_be_silent(sensor) {
            return None;
        }
        match by {
            SiteBy::Zone => self.sensor_zone(number).map(ZoneId::as_str),
            SiteBy::Gateway => self.sensor(number).gateway.as_ref().map(NodeId::as_str),
            SiteBy::Feeder => self.measured_feeder(sensor).map(SensorId::as_str),
        }
    }

    /// The nearest that feeds a sensor and is measured itself: transformers between them tell nothing.
    fn measured_feeder(&self, sensor: &SensorId) -> Option<&SensorId> {
        let networks = self.networks();
        let node = networks.number(sensor.as_str())?;
        networks
            .feeders(node)
            .find_map(|node| networks.sensor(node))
    }

    /// Whether some silence rule watches a sensor.
    pub(crate) fn may_be_silent(&self, sensor: &SensorId) -> bool {
        let number = self.sensor_number(sensor.as_str());
        number.is_some_and(|number| self.silences(number).next().is_some())
    }

    /// How many such sensors a site has.
    pub(crate) fn sensors_of_site(&self, site: &str, by: SiteBy) -> u32 {
        let count = self.sites.get(&(by, site.to_owned()));
        count.copied().unwrap_or(0)
    }

    /// No rules, no city.
    pub fn none() -> Self {
        Self::new(Arc::new(Bundle {
            hash: BundleHash([0; 32]),
            detections: Vec::new(),
            correlations: Vec::new(),
            handling: HandlingRules::NONE,
            suppression: SuppressionRules::USUAL,
            city: City::default(),
        }))
    }

    /// The name of the bundle.
    pub fn hash(&self) -> BundleHash {
        self.bundle.hash
    }

    pub(crate) fn detections(&self) -> &[DetectionRule] {
        &self.bundle.detections
    }

    pub(crate) fn detection(&self, number: u32) -> &DetectionRule {
        &self.bundle.detections[number as usize]
    }

    /// The detection rule of this name.
    pub(crate) fn detection_named(&self, name: &RuleId) -> Option<&DetectionRule> {
        let rules = &self.bundle.detections;
        let place = rules.binary_search_by(|rule| rule.name.cmp(name));
        place.ok().map(|place| &rules[place])
    }

    /// What makes incidents of detections, by their names.
    pub fn correlations(&self) -> &[CorrelationRule] {
        &self.bundle.correlations
    }

    /// The correlation rules whose incidents may cause one of this kind, in the order of names.
    pub(crate) fn causes(&self, kind: &IncidentKind) -> &[RuleId] {
        self.causes.get(kind).map_or(&[], Vec::as_slice)
    }

    /// How far from its places a rule's incidents are looked for as causes or effects; `None` if
    /// they are neither.
    pub(crate) fn reach_m(&self, rule: &CorrelationRule) -> Option<u32> {
        let own = rule.may_cause.iter();
        let all = self.correlations().iter();
        let of_others = all.flat_map(|other| &other.may_cause);
        let caused = of_others.filter(|effect| effect.incident == rule.incident);
        let metres = own.chain(caused).map(|effect| effect.within_m);
        metres.filter(|metres| *metres > 0).max()
    }

    /// The networks along which a rule's incidents are looked for as causes or effects, each as far
    /// as any of them asks.
    pub(crate) fn reach_along(&self, rule: &CorrelationRule) -> Along {
        let own = rule.may_cause.iter();
        let all = self.correlations().iter();
        let of_others = all.flat_map(|other| &other.may_cause);
        let caused = of_others.filter(|effect| effect.incident == rule.incident);
        own.chain(caused)
            .fold(Along::default(), |reach, Effect { along, .. }| Along {
                fed_by: reach.fed_by || along.fed_by,
                flows_to_percent: reach.flows_to_percent.max(along.flows_to_percent),
                river_m: reach.river_m.max(along.river_m),
                line_stops: reach.line_stops.max(along.line_stops),
                nested_after: None,
            })
    }

    pub(crate) fn networks(&self) -> &Arc<Networks> {
        &self.networks
    }

    pub(crate) fn kind(&self, number: u32) -> &KindRules {
        &self.kinds[number as usize]
    }

    pub(crate) fn kind_number(&self, kind: &str) -> Option<u32> {
        self.kind_numbers.get(kind).copied()
    }

    pub(crate) fn sensor_number(&self, name: &str) -> Option<u32> {
        self.sensor_numbers.get(name).copied()
    }

    pub(crate) fn sensor(&self, number: u32) -> &Sensor {
        &self.bundle.city.sensors[number as usize]
    }

    /// How many sensors are registered.
    pub(crate) fn sensors(&self) -> usize {
        self.bundle.city.sensors.len()
    }

    /// The zone that a registered sensor is registered in or lies in.
    pub(crate) fn sensor_zone(&self, number: u32) -> Option<&ZoneId> {
        self.zones[number as usize].as_ref()
    }

    /// Whether a registered sensor shows outcomes of commands by readings of this kind.
    pub(crate) fn shows_outcomes(&self, sensor: u32, kind: &str) -> bool {
        let shows = self.shows_outcomes.get(sensor as usize);
        shows == Some(&true) && self.sensor(sensor).kind.as_str() == kind
    }

    /// What is asked of people.
    pub(crate) fn handling(&self) -> &HandlingRules {
        &self.bundle.handling
    }

    /// What may be kept quiet.
    pub(crate) fn suppression(&self) -> &SuppressionRules {
        &self.bundle.suppression
    }

    /// The city.
    pub(crate) fn city(&self) -> &City {
        &self.bundle.city
    }

    /// The zone and those that it is part of, the innermost first, so many levels at most.
    pub(crate) fn zones_around(&self, zone: &ZoneId) -> impl Iterator<Item = &ZoneId> {
        self.bundle.city.zones_around(zone)
    }

    /// What evidence that a person gives names in place of a rule.
    pub(crate) fn by_person(&self) -> &RuleId {
        &self.by_person
    }

    /// What findings that a meter is heard name in place of a rule.
    pub(crate) fn meters(&self) -> &RuleId {
        &self.meters
    }

    /// What findings about outcomes name in place of a rule.
    pub(crate) fn outcomes(&self) -> &RuleId {
        &self.outcomes
    }

    /// The actuator of this name.
    pub(crate) fn actuator(&self, name: &str) -> Option<&Actuator> {
        self.bundle.city.actuator(name)
    }

    /// The zone that an actuator is registered in or lies in, else `_`.
    pub(crate) fn actuator_zone(&self, actuator: &Actuator) -> ZoneId {
        let registered = actuator.zone.clone();
        registered.unwrap_or_else(|| self.zone_at(actuator.position))
    }

    /// The zone that a place lies in, if it has one; else `_`.
    pub(crate) fn zone_at(&self, place: Option<Position>) -> ZoneId {
        let zone = place.and_then(|place| self.bundle.city.zone_at(place));
        zone.map_or_else(|| self.nowhere.clone(), |zone| zone.id.clone())
    }

    /// The correlation rules that take what a detection rule finds, in the order of their names.
    pub(crate) fn takers(&self, detection: &RuleId) -> &[RuleId] {
        self.takers.get(detection).map_or(&[], Vec::as_slice)
    }

    /// The correlation rules of which a sensor may be a member that is heard by readings of this kind,
    /// in the order of their names.
    pub(crate) fn takers_of_kind(&self, kind: &ReadingKind) -> &[RuleId] {
        self.takers_of_kind.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The group that a sensor is of. Who is registered in no zone is in that of its place.
    pub(crate) fn group_of(
        &self,
        sensor: &SensorId,
        place: Option<Position>,
        by: GroupBy,
    ) -> Option<String> {
        let number = self.sensor_number(sensor.as_str());
        let zone = || match number {
            Some(number) => self.sensor_zone(number).cloned(),
            None => self.bundle.city.zone_at(place?).map(|zone| zone.id.clone()),
        };
        let node = || {
            let node = self.networks.number(sensor.as_str())?;
            self.bundle.city.nodes.get(node as usize)
        };
        match by {
            GroupBy::Zone => zone().map(|zone| zone.to_string()),
            GroupBy::ParentZone => {
                let zone = zone()?;
                let mut zones = self.bundle.city.zones.iter();
                let parent = zones
                    .find(|own| own.id == zone)
                    .and_then(|own| own.parent.clone());
                Some(parent.unwrap_or(zone).to_string())
            }
            GroupBy::City => Some("city".to_owned()),
            GroupBy::Gateway => self.sensor(number?).gateway.as_ref().map(NodeId::to_string),
            GroupBy::River => node()?.river.clone(),
            GroupBy::Line => node()?.stop.as_ref().map(|stop| stop.line.clone()),
            GroupBy::Stop => {
                let stop = node()?.stop.as_ref()?;
                Some(format!("{} {}", stop.line, stop.order))
            }
            GroupBy::Feeder => node()?.fed_by.as_ref().map(NodeId::to_string),
        }
    }

    /// What is asked to be in common of what a detection rule finds, sorted.
    pub(crate) fn asked_in_common(&self, detection: u32) -> &[String] {
        let asked = self.in_common.get(detection as usize);
        asked.map_or(&[], Vec::as_slice)
    }

    /// The attributes by which some rule lets readings take reports back, sorted.
    pub(crate) fn replacing(&self) -> &[String] {
        &self.replacing
    }

    /// The silence rules that hold for a registered sensor, each with how long it may say nothing.
    pub(crate) fn silences(&self, sensor: u32) -> impl Iterator<Item = (u32, Millis)> {
        let registered = self.sensor(sensor);
        let kind = self.kind_number(registered.kind.as_str());
        let rules = kind.map_or(&[][..], |kind| &self.kind(kind).silences);
        let interval = registered.interval;
        rules.iter().filter_map(move |&rule| {
            let Test::Silence(silence) = &self.detection(rule).test else {
                return None;
            };
            Some((rule, allowance(*silence, interval?)))
        })
    }
}

/// How long a sensor of this interval may say nothing.
fn allowance(silence: Silence, interval: Millis) -> Millis {
    let intervals = interval.0.saturating_mul(i64::from(silence.intervals));
    // At least a millisecond, so that a timer that arms itself again is due later.
    Millis(intervals.max(silence.at_least.0).max(1))
}

fn zone_of(city: &City, sensor: &Sensor) -> Option<ZoneId> {
    let registered = sensor.zone.clone();
    registered.or_else(|| city.zone_at(sensor.position?).map(|zone| zone.id.clone()))
}

/// The attributes by which readings take reports back.
fn replacing(bundle: &Bundle) -> Vec<String> {
    let attributes = bundle
        .detections
        .iter()
        .filter_map(|rule| match &rule.test {
            Test::Report(report) => report.replaces.clone(),
            _ => None,
        });
    let attributes: BTreeSet<_> = attributes.collect();
    attributes.into_iter().collect()
}

/// What correlation rules ask to be in common, of what each detection rule finds and of what others
/// find by it; nothing at all if none asks.
///
/// Those by which groups are told apart begin with a blank and come first. A reading carries
/// [`SHARED_MAX`](crate::limits::SHARED_MAX) of them at most, of which one is who reports.
#[must_use]
pub fn in_common(
    detections: &[DetectionRule],
    correlations: &[CorrelationRule],
) -> Vec<Vec<String>> {
    let asking = || {
        correlations
            .iter()
            .filter(|rule| !rule.same.is_empty() || !rule.group_by.is_empty())
    };
    if asking().next().is_none() {
        return Vec::new();
    }
    let asked_of = |name: &RuleId| -> Vec<String> {
        let taking = asking().filter(|rule| rule.detections.contains(name));
        let names = |rule: &CorrelationRule| {
            let groups = rule.group_by.iter().map(|name| shared::group(name));
            rule.same.iter().cloned().chain(groups).collect::<Vec<_>>()
        };
        taking.flat_map(names).collect()
    };
    let each = detections.iter().map(|rule| {
        let about = detections.iter().filter(|other| other.names(&rule.name));
        let of_others = about.flat_map(|other| asked_of(&other.name));
        let all: BTreeSet<_> = asked_of(&rule.name).into_iter().chain(of_others).collect();
        all.into_iter().collect()
    });
    each.collect()
}

fn shows_outcomes(city: &City) -> Vec<bool> {
    let commands = city
        .actuators
        .iter()
        .flat_map(|actuator| &actuator.commands);
    let confirming = commands.filter_map(|command| Some(&command.confirmed_by.as_ref()?.sensor));
    let confirming: BTreeSet<_> = confirming.collect();
    if confirming.is_empty() {
        return Vec::new();
    }
    let sensors = city.sensors.iter();
    sensors
        .map(|sensor| confirming.contains(&sensor.id))
        .collect()
}

fn kinds(detections: &[DetectionRule]) -> Vec<KindRules> {
    let mut kinds: Vec<KindRules> = Vec::new();
    for (rule, number) in detections.iter().zip(0..) {
        if let Test::Sequence(_) | Test::SiteSilence(_) = rule.test {
            // It looks at findings, not at readings.
            continue;
        }
        let place = kinds.iter().position(|rules| rules.kind == rule.kind);
        let place = place.unwrap_or_else(|| {
            kinds.push(KindRules {
                kind: rule.kind.clone(),
                judging: Vec::new(),
                silences: Vec::new(),
                faults: Vec::new(),
                across: Vec::new(),
            });
            kinds.len() - 1
        });
        match rule.test {
            Test::Threshold(_)
            | Test::Rate(_)
            | Test::Usual(_)
            | Test::Becomes(_)
            | Test::Window(_)
            | Test::Report(_) => kinds[place].judging.push(number),
            Test::Silence(_) => kinds[place].silences.push(number),
            Test::Fault(_) => kinds[place].faults.push(number),
            Test::Across(_) | Test::Alone(_) => kinds[place].across.push(number),
            Test::Sequence(_) | Test::SiteSilence(_) => unreachable!("passed over"),
        }
    }
    kinds
}

fn causes(correlations: &[CorrelationRule]) -> Map<IncidentKind, Vec<RuleId>> {
    let mut causes: Map<IncidentKind, Vec<RuleId>> = Map::default();
    for rule in correlations {
        for effect in &rule.may_cause {
            let of_this = causes.entry(effect.incident.clone()).or_default();
            if of_this.last() != Some(&rule.name) {
                of_this.push(rule.name.clone());
            }
        }
    }
    causes
}

fn nesting(correlations: &[CorrelationRule]) -> Vec<RuleId> {
    let along = |rule: &&CorrelationRule| rule.along.fed_by && rule.along.nested_after.is_some();
    let nesting = correlations.iter().filter(along);
    nesting.map(|rule| rule.name.clone()).collect()
}

fn takers(correlations: &[CorrelationRule]) -> Map<RuleId, Vec<RuleId>> {
    let mut takers: Map<RuleId, Vec<RuleId>> = Map::default();
    for rule in correlations {
        for detection in &rule.detections {
            let of_this = takers.entry(detection.clone()).or_default();
            if of_this.last() != Some(&rule.name) {
                of_this.push(rule.name.clone());
            }
        }
    }
    takers
}

fn takers_of_kind(bundle: &Bundle) -> Map<ReadingKind, Vec<RuleId>> {
    let named = |name: &RuleId| {
        let rules = &bundle.detections;
        let place = rules.binary_search_by(|rule| rule.name.cmp(name));
        place.ok().map(|place| &rules[place])
    };
    let mut takers: Map<ReadingKind, Vec<RuleId>> = Map::default();
    for rule in &bundle.correlations {
        for detection in rule.detections.iter().filter_map(named) {
            let kinds = match &detection.test {
                Test::Sequence(sequence) => {
                    let steps = [named(&sequence.first), named(&sequence.then)];
                    steps.map(|step| step.map(|step| &step.kind))
                }
                _ => [Some(&detection.kind), None],
            };
            for kind in kinds.into_iter().flatten() {
                let of_this = takers.entry(kind.clone()).or_default();
                if of_this.last() != Some(&rule.name) {
                    of_this.push(rule.name.clone());
                }
            }
        }
    }
    takers
}

/// Bundles that were provided and that no record has named yet.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    waiting: Vec<Arc<Rules>>,
    /// Rules that hold for nobody any more: to give back the memory of a large city takes a while,
    /// which is to be no record's.
    aside: Vec<Arc<Rules>>,
}

impl Provided {
    /// Beside what a record asks for: memory is given back here.
    pub fn push(&mut self, rules: Arc<Rules>) {
        self.aside.clear();
        self.waiting.retain(|other| other.hash() != rules.hash());
        if self.waiting.len() == BUNDLES_WAITING_MAX {
            self.waiting.remove(0);
        }
        self.waiting.push(rules);
    }

    /// Keeps rules that nobody is under any more until others are provided.
    pub fn put_aside(&mut self, rules: Option<Arc<Rules>>) {
        if self.aside.len() == BUNDLES_WAITING_MAX {
            self.aside.clear();
        }
        self.aside.extend(rules);
    }

    /// The bundle of this name, which stays known: a later record may name it again.
    ///
    /// # Panics
    /// If it was never provided, or so long ago that others took its place: the host's mistake.
    pub fn get(&self, hash: BundleHash) -> Arc<Rules> {
        let found = self.waiting.iter().find(|rules| rules.hash() == hash);
        Arc::clone(found.expect("a bundle is provided before the record that names it"))
    }
}
