//! From files to what the core judges by and the door decodes by.
//!
//! Arrives: a [`Source`]. Leaves: the [`Bundle`], the [`Kinds`] and, of both, the [`Catalogue`]; or
//! every mistake of every file. Here is checked what no file can get wrong alone: whether the
//! levels of the city's sensors fit the rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ioc_core::bundle::{
    Bundle, City, DetectionRule, Scale, Sensor, Side, SuppressionRules, Test, Threshold,
};
use ioc_core::decision::Severity;
use ioc_gateway::catalogue::{Catalogue, Now, Registered, Unregistered};
use ioc_gateway::commands::CommandBook;
use ioc_gateway::formats::{Mappings, Nodes};

use super::city::{self, OtherUnits};
use super::field::Section;
use super::kinds::Kinds;
use super::mappings;
use super::mistake::{Mistakes, Place};
use super::rules::Rules;
use super::source::{CITY, KINDS, MAPPINGS, RULES, Source, SourceFile};
use super::suggest::did_you_mean;
use super::yaml::{self, Node};

/// What a source means.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What the core judges by.
    pub bundle: Arc<Bundle>,
    /// The kinds of reading.
    pub kinds: Kinds,
    /// The units of sensors that are registered with another one than they are judged in: what
    /// their readings are in that name none.
    pub other_units: OtherUnits,
    /// What messages are that are no native readings.
    pub mappings: Mappings,
    /// What is allowed, and probably not meant.
    pub warnings: Mistakes,
}

impl Source {
    /// Understands the files.
    ///
    /// # Errors
    /// All mistakes of all files.
    pub fn compile(&self) -> Result<Compiled, Mistakes> {
        let mut mistakes = Mistakes::default();
        let mut warnings = self.warnings().clone();
        let kinds = self
            .file(KINDS)
            .and_then(|file| tree(file, &mut mistakes))
            .map(|root| Kinds::read(&root, &mut mistakes));
        let readable = kinds.is_some();
        let kinds = kinds.unwrap_or_default();
        let trees: Vec<_> = self
            .files()
            .iter()
            .filter(|file| file.name.starts_with(RULES))
            .filter_map(|file| tree(file, &mut mistakes))
            .collect();
        if !readable {
            // Without kinds every rule and sensor would seem wrong.
            if mistakes.is_empty() {
                mistakes.add(&Place::whole(KINDS), "", "is missing");
            }
            // What can be told of the other files without them is told all the same.
            for file in [MAPPINGS, CITY].iter().filter_map(|name| self.file(name)) {
                tree(file, &mut mistakes);
            }
            return Err(mistakes);
        }
        let rules = Rules::read(&trees, &kinds, &mut mistakes, &mut warnings);
        let (mut city, other_units) = match self.file(CITY) {
            Some(file) => read_city(file, &kinds, &mut mistakes, &mut warnings),
            None => Default::default(),
        };
        let shown = self.file(CITY).map_or(CITY, |file| &file.shown);
        fit_levels(
            &mut city,
            &rules.detections,
            &Place::whole(shown),
            &mut mistakes,
        );
        fit_windows(&city, &trees, &rules.suppression, &mut mistakes);
        warn_of_unwatched(&city, &rules.detections, shown, &mut warnings);
        let mappings = self
            .file(MAPPINGS)
            .and_then(|file| tree(file, &mut mistakes))
            .map(|root| mappings::read(&root, &kinds, &mut mistakes))
            .unwrap_or_default();
        let bundle = Bundle {
            hash: self.hash(),
            detections: rules.detections,
            correlations: rules.correlations,
            handling: rules.handling,
            suppression: rules.suppression,
            city,
        };
        warnings.append(mistakes.take_doubts());
        mistakes.or(Some(Compiled {
            bundle: Arc::new(bundle),
            kinds,
            other_units,
            mappings,
            warnings,
        }))
    }

    fn file(&self, name: &str) -> Option<&SourceFile> {
        self.files().iter().find(|file| file.name == name)
    }
}

impl Compiled {
    /// What the door decodes by: sensors with kind and unit, the unit and the lane of each kind, and
    /// mappings; the time is the machine's.
    pub fn catalogue(&self, unregistered: Unregistered) -> Catalogue {
        let sensors = self.bundle.city.sensors.iter().map(|sensor| {
            let unnamed = self.other_units.get(&sensor.id);
            let registered = Registered {
                kind: sensor.kind.as_str().into(),
                unit: sensor.unit.as_str().into(),
                unit_unnamed: unnamed.map_or("", String::as_str).into(),
            };
            (sensor.id.as_str().into(), registered)
        });
        let kind_units = self.kinds.iter().filter_map(|(name, kind)| {
            let unit = kind.unit.as_deref()?;
            Some((name.as_str().into(), unit.into()))
        });
        Catalogue {
            sensors: sensors.collect(),
            kind_units: kind_units.collect(),
            urgent: self.urgent_kinds().collect(),
            reports: self.report_kinds().collect(),
            unregistered,
            mappings: self.mappings.clone(),
            commands: CommandBook::default(),
            sparkplug: Nodes::default(),
            now: Now::default(),
        }
    }
}

impl Compiled {
    /// The kinds whose readings are urgent: as `kinds.yaml` says, else those that some rule takes
    /// as reports, for each of these says by itself that something has happened.
    fn urgent_kinds(&self) -> impl Iterator<Item = &str> {
        let urgent = self.kinds.iter().filter(move |(name, kind)| {
            let is_report = || self.report_kinds().any(|own| own == name.as_str());
            kind.urgent.unwrap_or_else(is_report)
        });
        urgent.map(|(name, _)| name.as_str())
    }

    /// The kinds that some rule takes as reports; one of them maybe several times.
    fn report_kinds(&self) -> impl Iterator<Item = &str> {
        let rules = self.bundle.detections.iter();
        let reports = rules.filter(|rule| matches!(rule.test, Test::Report(_)));
        reports.map(|rule| rule.kind.as_str())
    }
}

/// Sensors that say how often they are heard, and that could die without anybody being told.
fn warn_of_unwatched(
    city: &City,
    detections: &[DetectionRule],
    shown: &str,
    warnings: &mut Mistakes,
) {
    let silences = detections.iter();
    let silences = silences.filter(|rule| matches!(rule.test, Test::Silence(_)));
    let watched: BTreeSet<_> = silences.map(|rule| &rule.kind).collect();
    let mut unwatched = BTreeMap::<_, usize>::new();
    for sensor in city.sensors.iter().filter(|own| own.interval.is_some()) {
        if !watched.contains(&sensor.kind) {
            *unwatched.entry(&sensor.kind).or_default() += 1;
        }
    }
    for (kind, sensors) in unwatched {
        let what = format!(
            "{sensors} of kind {kind} have an `interval_s`, and no rule tells when one falls silent; \
             write one: `{kind}-silent: {{ kind: {kind}, silent: 5 intervals, at_least: 5 min }}`"
        );
        warnings.add(&Place::whole(shown), "interval_s", what);
    }
}

fn tree(file: &SourceFile, mistakes: &mut Mistakes) -> Option<Node> {
    yaml::parse(&file.shown, text(file, mistakes)?, mistakes)
}

fn text<'f>(file: &'f SourceFile, mistakes: &mut Mistakes) -> Option<&'f str> {
    let text = std::str::from_utf8(&file.bytes);
    if text.is_err() {
        mistakes.add(&Place::whole(&file.shown), "", "is not UTF-8 text");
    }
    text.ok()
}

fn read_city(
    file: &SourceFile,
    kinds: &Kinds,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> (City, OtherUnits) {
    match text(file, mistakes) {
        Some(text) => city::read(&file.shown, text, kinds, mistakes, warnings),
        None => Default::default(),
    }
}

/// Makes sure that each sensor's levels and the rules' levels make one ladder. Levels of its own
/// that contradict each other or the rules are a mistake. A sensor whose own level lies beyond a
/// graver one of a rule (a river that is usually at 5 m, under a rule that calls 3.8 m severe)
/// keeps its own only.
fn fit_levels(
    city: &mut City,
    detections: &[DetectionRule],
    file: &Place,
    mistakes: &mut Mistakes,
) {
    let mut of_kind: HashMap<&str, Vec<&Threshold>> = HashMap::new();
    for rule in detections {
        if let Test::Threshold(threshold) = &rule.test {
            let rules = of_kind.entry(rule.kind.as_str()).or_default();
            rules.push(threshold);
        }
    }
    let own_levels = |sensor: &&mut Sensor| sensor.warning.is_some() || sensor.danger.is_some();
    for sensor in city.sensors.iter_mut().filter(own_levels) {
        let rules = of_kind
            .get(sensor.kind.as_str())
            .map_or(&[][..], Vec::as_slice);
        if let Some(what) = contradiction(sensor, rules) {
            mistakes.add(file, &format!("sensor {}", sensor.id), what);
        } else if rules.iter().any(|rule| !is_ladder(rule, sensor)) {
            sensor.scale = Scale::Own;
        }
    }
}

/// Makes sure that the zones and sensors of maintenance windows are of the city.
fn fit_windows(city: &City, trees: &[Node], rules: &SuppressionRules, mistakes: &mut Mistakes) {
    for window in &rules.windows {
        let path = format!("suppression.windows.{}.match", window.name);
        let mut places = trees.iter();
        let place = places.find_map(|root| place_of_window(root, window.name.as_str()));
        let place = place.unwrap_or_else(|| Place::whole(RULES));
        if let Some(zone) = &window.matching.zone
            && city.zone(zone).is_none()
        {
            let names = city.zones.iter().map(|zone| zone.id.as_str());
            let hint = did_you_mean(zone.as_str(), names);
            mistakes.add(
                &place,
                &path,
                format!("the city has no zone `{zone}`{hint}"),
            );
        }
        if let Some(sensor) = &window.matching.sensor
            && city
                .sensors
                .binary_search_by(|own| own.id.cmp(sensor))
                .is_err()
        {
            let what = format!("the city has no sensor `{sensor}`; register it, or match its kind");
            mistakes.add(&place, &path, what);
        }
    }
}

/// Where it is written what a window matches.
fn place_of_window(root: &Node, name: &str) -> Option<Place> {
    let unheard = &mut Mistakes::default();
    let suppression = Section::root(root, unheard)?.optional("suppression")?;
    let windows = Section::of(&suppression, unheard)?.optional("windows")?;
    let windows = Section::of(&windows, unheard)?;
    let (_, window) = windows.entries().find(|(entry, _)| entry.key == name)?;
    let matching = Section::of(&window, unheard)?.optional("match")?;
    Some(matching.node.place.clone())
}

/// What is wrong with a sensor's own levels under these rules of its kind.
fn contradiction(sensor: &Sensor, rules: &[&Threshold]) -> Option<String> {
    let side = rules.first()?.side;
    if rules.iter().any(|rule| rule.side != side) {
        return Some(format!(
            "rules look both above and below the levels of {}, and `warning` and `danger` cannot \
             say which they mean; remove them, or the rules of one side",
            sensor.kind
        ));
    }
    let (warning, danger) = (sensor.warning?, sensor.danger?);
    let (abnormal, wrong) = match side {
        Side::Above => ("above", "below"),
        Side::Below => ("below", "above"),
    };
    is_beyond(side, warning, danger).then(|| {
        format!(
            "danger {danger} lies {wrong} warning {warning}, but {} is abnormal {abnormal} its \
             levels; exchange them",
            sensor.kind
        )
    })
}

/// Whether a rule's levels, with the sensor's own in their places, still rise with severity.
fn is_ladder(rule: &Threshold, sensor: &Sensor) -> bool {
    let level_of = |severity, level| match severity {
        Severity::Moderate => sensor.warning.unwrap_or(level),
        Severity::Severe => sensor.danger.unwrap_or(level),
        Severity::Unknown | Severity::Minor | Severity::Extreme => level,
    };
    let levels = rule
        .levels
        .iter()
        .map(|level| level_of(level.severity, level.value));
    levels.is_sorted_by(|lesser, graver| !is_beyond(rule.side, *lesser, *graver))
}

fn is_beyond(side: Side, value: f64, level: f64) -> bool {
    match side {
        Side::Above => value > level,
        Side::Below => value < level,
    }
}

#[cfg(test)]
mod tests;
