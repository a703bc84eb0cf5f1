//! Builds bundles and records for tests, and runs them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ioc_core::bundle::{
    Across, Actuator, ActuatorCommand, Aggregate, Alone, Along, AttributeMatch, Becomes, Bundle,
    Changes, City, ConfirmedBy, CorrelationRule, Counted, DetectionRule, Direction, Effect,
    Expected, Fault, FaultSign, Flapping, GroupBy, HandlingRules, Level, MaintenanceWindow, Near,
    Node, Rate, Report, Scale, Schedule, Seen, Sensor, Sequence, Side, Silence, SiteSilence,
    States, Statistic, SuppressionRules, Test, Threshold, Usual, Window, Zone,
};
use ioc_core::decision::{Certainty, Decision, EffectClass, Matcher, Severity, SiteBy, Verdict};
use ioc_core::folded::Folded;
use ioc_core::judgement::{Judgement, STATE_FORMAT};
use ioc_core::place::Position;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{BundleHash, Input, Record, Seq};
use ioc_core::time::{Millis, Timestamp};

/// When every test's day begins: 2026-03-14T00:00:00Z.
pub const MIDNIGHT: Timestamp = Timestamp::from_millis(1_773_446_400_000);

/// The point so many metres east and north of the middle of the tests' city.
pub fn metres(east: i32, north: i32) -> Position {
    // At 3.1° of latitude a metre is about nine micro-degrees either way.
    let udeg = |metres: i32| (i64::from(metres) * 8_993 / 1_000) as i32;
    Position::from_micro_degrees(101_700_000 + udeg(east), 3_100_000 + udeg(north)).unwrap()
}

/// Builds a bundle; `build` sorts it and derives every hash from what it holds.
#[derive(Debug, Clone)]
pub struct BundleBuilder(Bundle);

impl BundleBuilder {
    pub fn new() -> Self {
        Self(Bundle {
            hash: BundleHash([0; 32]),
            detections: Vec::new(),
            correlations: Vec::new(),
            handling: HandlingRules::NONE,
            suppression: SuppressionRules::USUAL,
            city: City::default(),
        })
    }

    /// What is asked of people; nothing unless it is said.
    pub fn handling(mut self, set: impl FnOnce(&mut HandlingRules)) -> Self {
        set(&mut self.0.handling);
        self
    }

    /// What may be kept quiet; as usual unless it is said.
    pub fn suppression(mut self, set: impl FnOnce(&mut SuppressionRules)) -> Self {
        set(&mut self.0.suppression);
        self
    }

    /// A maintenance window.
    pub fn window(self, name: &str, schedule: Schedule, set: impl FnOnce(&mut Matcher)) -> Self {
        let mut matching = Matcher::default();
        set(&mut matching);
        let mut window = MaintenanceWindow {
            name: name.parse().unwrap(),
            hash: 0,
            matching,
            schedule,
            reason: "works".into(),
            owner: "the pump crew".parse().unwrap(),
        };
        window.hash = short_hash(&format!("{window:?}"));
        self.suppression(|rules| rules.windows.push(window))
    }

    /// A sensor without interval or levels of its own.
    pub fn sensor(self, id: &str, kind: &str, place: Position) -> Self {
        self.sensor_with(id, kind, |sensor| sensor.position = Some(place))
    }

    pub fn sensor_with(mut self, id: &str, kind: &str, set: impl FnOnce(&mut Sensor)) -> Self {
        let mut sensor = Sensor {
            id: id.parse().unwrap(),
            kind: kind.parse().unwrap(),
            unit: String::new(),
            position: None,
            zone: None,
            gateway: None,
            interval: None,
            warning: None,
            danger: None,
            scale: Scale::OfKind,
        };
        set(&mut sensor);
        self.0.city.sensors.push(sensor);
        self
    }

    /// A place in the networks.
    pub fn node(mut self, id: &str, set: impl FnOnce(&mut Node)) -> Self {
        let mut node = Node {
            id: id.parse().unwrap(),
            fed_by: None,
            flows_to: None,
            river: None,
            stop: None,
        };
        set(&mut node);
        self.0.city.nodes.push(node);
        self
    }

    pub fn without_node(mut self, id: &str) -> Self {
        self.0.city.nodes.retain(|node| node.id.as_str() != id);
        self
    }

    pub fn fed_by(self, id: &str, feeder: &str) -> Self {
        self.node(id, |node| node.fed_by = Some(feeder.parse().unwrap()))
    }

    pub fn zone(mut self, zone: Zone) -> Self {
        self.0.city.zones.push(zone);
        self
    }

    /// An actuator with these commands, each with what confirms it. A command may be sent for a
    /// minute, and its outcome takes two more.
    pub fn actuator(
        mut self,
        id: &str,
        effect: EffectClass,
        commands: &[(&str, Option<(&str, Expected)>)],
    ) -> Self {
        let confirmed_by = |(sensor, expected): (&str, Expected)| ConfirmedBy {
            sensor: sensor.parse().unwrap(),
            expected,
        };
        let mut commands: Vec<_> = commands
            .iter()
            .map(|(name, by)| ActuatorCommand {
                name: name.parse().unwrap(),
                confirmed_by: by.map(confirmed_by),
            })
            .collect();
        commands.sort_by(|a, b| a.name.cmp(&b.name));
        self.0.city.actuators.push(Actuator {
            id: id.parse().unwrap(),
            position: Some(metres(0, 0)),
            zone: None,
            effect,
            deadline: Millis::minutes(1),
            outcome_within: Millis::minutes(2),
            commands,
        });
        self
    }

    /// A threshold that one reading exceeds and one clears.
    pub fn threshold(
        self,
        name: &str,
        kind: &str,
        levels: &[(Severity, f64)],
        set: impl FnOnce(&mut Threshold),
    ) -> Self {
        let level = |&(severity, value): &(Severity, f64)| Level { severity, value };
        let mut threshold = Threshold {
            side: Side::Above,
            levels: levels.iter().map(level).collect(),
            margin_percent: 0,
            clear_gap: 0.0,
            readings_min: 1,
            readings_among: None,
            lasting: Millis::ZERO,
            clear_readings_min: 1,
        };
        set(&mut threshold);
        self.detection(name, kind, Test::Threshold(threshold))
    }

    /// The last threshold rule, asked of how much the value changes over a time.
    pub fn of_change(mut self, direction: Direction, over: Millis) -> Self {
        let threshold = self.last_threshold();
        self.last().test = Test::Rate(Rate {
            direction,
            over,
            threshold,
        });
        self
    }

    /// The last threshold rule, asked of how far the value is from what is usual.
    pub fn of_usual(mut self, direction: Direction, weeks_min: u32, spreads: u32) -> Self {
        let threshold = self.last_threshold();
        self.last().test = Test::Usual(Usual {
            direction,
            weeks_min,
            spreads,
            threshold,
        });
        self
    }

    /// The last threshold rule, asked of states: a list for each level.
    pub fn of_states(
        mut self,
        attribute: Option<&str>,
        states: &[States],
        from: Option<States>,
    ) -> Self {
        let mut threshold = self.last_threshold();
        for (level, place) in threshold.levels.iter_mut().zip(0..) {
            level.value = f64::from(place) + 0.5;
        }
        self.last().test = Test::Becomes(Becomes {
            attribute: attribute.map(str::to_owned),
            states: states.to_vec(),
            from,
            threshold,
        });
        self
    }

    /// The last threshold rule, asked of what the readings of a time come to.
    pub fn of_window(mut self, of: Aggregate, length: Millis, step: Millis) -> Self {
        let threshold = self.last_threshold();
        self.last().test = Test::Window(Window {
            of,
            length,
            step,
            lateness: Millis::seconds(30),
            at_least: 1,
            threshold,
        });
        self
    }

    /// Lets the last rule put readings in order first.
    pub fn settling(mut self, settle: Millis) -> Self {
        self.last().settle = settle;
        self
    }

    fn last(&mut self) -> &mut DetectionRule {
        self.0.detections.last_mut().unwrap()
    }

    fn last_threshold(&mut self) -> Threshold {
        self.last().test.threshold().unwrap().clone()
    }

    pub fn silence(self, name: &str, kind: &str, intervals: u32, at_least: Millis) -> Self {
        let silence = Silence {
            intervals,
            at_least,
        };
        self.detection(name, kind, Test::Silence(silence))
    }

    /// A fault, which distrusts its sensor.
    pub fn fault(self, name: &str, kind: &str, sign: FaultSign) -> Self {
        let fault = Fault {
            sign,
            distrust: true,
            of: Vec::new(),
        };
        self.detection(name, kind, Test::Fault(fault))
    }

    /// Flapping by the states that all level rules of the kind see so far.
    pub fn flapping(self, name: &str, kind: &str, high: u32, low: u32) -> Self {
        self.flapping_of(name, kind, &[], (high, low))
    }

    /// Flapping by the states that some level rules of the kind see, and of what they find; if none
    /// is named, of all.
    pub fn flapping_of(self, name: &str, kind: &str, of: &[&str], (high, low): (u32, u32)) -> Self {
        let rules = self.0.detections.iter();
        let rules = rules.filter(|rule| rule.kind.as_str() == kind);
        let rules = rules.filter(|rule| of.is_empty() || of.contains(&rule.name.as_str()));
        let seen = rules.filter_map(|rule| match &rule.test {
            Test::Threshold(threshold) => Some(Seen::Level(threshold.clone())),
            Test::Becomes(becomes) => Some(Seen::State(becomes.clone())),
            _ => None,
        });
        let by = Changes::Of(seen.collect());
        let flapping = Flapping { by, high, low };
        let mut builder = self.fault(name, kind, FaultSign::Flapping(flapping));
        if let Test::Fault(fault) = &mut builder.last().test {
            fault.of = of.iter().map(|name| name.parse().unwrap()).collect();
        }
        builder
    }

    /// Takes a correlation rule out again.
    pub fn without_correlation(mut self, name: &str) -> Self {
        let rules = &mut self.0.correlations;
        rules.retain(|rule| rule.name.as_str() != name);
        self
    }

    /// Takes a detection rule out again.
    pub fn without(mut self, name: &str) -> Self {
        self.0.detections.retain(|rule| rule.name.as_str() != name);
        self
    }

    /// A sensor that leaps alone within two minutes, with one neighbour at least.
    pub fn alone(self, name: &str, kind: &str, height: f64, near: Near) -> Self {
        self.alone_with(name, kind, height, near, |_| ())
    }

    /// The same, otherwise.
    pub fn alone_with(
        self,
        name: &str,
        kind: &str,
        height: f64,
        near: Near,
        change: impl FnOnce(&mut Alone),
    ) -> Self {
        let mut alone = Alone {
            height,
            within: Millis::minutes(2),
            near,
            speed_m_per_s: None,
            neighbours_min: 1,
        };
        change(&mut alone);
        self.detection(name, kind, Test::Alone(alone))
    }

    /// A threshold of what several sensors come to: their values of the last five minutes, each
    /// minute, of at least two, ten seconds late.
    pub fn across(
        mut self,
        (by, of): (GroupBy, Statistic),
        change: impl FnOnce(&mut Across),
    ) -> Self {
        let rule = self.0.detections.last_mut().expect("a threshold rule");
        let Test::Threshold(threshold) = &rule.test else {
            panic!("it has no levels");
        };
        let mut across = Across {
            by,
            of,
            counts: Counted::Sensors,
            fresh: Millis::minutes(5),
            step: Millis::minutes(1),
            lateness: Millis::seconds(10),
            sensors_min: 2,
            threshold: threshold.clone(),
        };
        change(&mut across);
        rule.test = Test::Across(across);
        self
    }

    /// Half of a site, and at least two sensors, that are silent within two minutes.
    pub fn site_silence(
        self,
        name: &str,
        by: SiteBy,
        change: impl FnOnce(&mut SiteSilence),
    ) -> Self {
        let mut site = SiteSilence {
            by,
            percent: 50,
            sensors_min: 2,
            hold: Millis::minutes(2),
            explained_by: Vec::new(),
        };
        change(&mut site);
        self.detection(name, "any", Test::SiteSilence(site))
    }

    /// A detection after another one within 500 m and 30 minutes.
    pub fn sequence(
        mut self,
        name: &str,
        (first, then): (&str, &str),
        set: impl FnOnce(&mut Sequence),
    ) -> Self {
        let mut sequence = Sequence {
            first: first.parse().unwrap(),
            then: then.parse().unwrap(),
            absent: false,
            unless: None,
            within: Millis::minutes(30),
            within_m: 500,
            fed_by: false,
            severity: Severity::Severe,
            certainty: Certainty::Likely,
        };
        set(&mut sequence);
        let about = if sequence.absent { first } else { then };
        let mut rules = self.0.detections.iter();
        let about = rules.find(|rule| rule.name.as_str() == about).unwrap();
        let kind = about.kind.to_string();
        self = self.detection(name, &kind, Test::Sequence(sequence));
        self
    }

    /// Lets the last fault rule say what is wrong, and trust its sensor all the same.
    pub fn trusting(mut self) -> Self {
        match &mut self.last().test {
            Test::Fault(fault) => fault.distrust = false,
            _ => panic!("no fault rule"),
        }
        self
    }

    pub fn report(self, name: &str, kind: &str, severity: Severity, lasting: Millis) -> Self {
        let report = Report {
            severity,
            certainty: Certainty::Possible,
            lasting,
            value_min: None,
            until: None,
            replaces: None,
            distinct: None,
        };
        self.detection(name, kind, Test::Report(report))
    }

    /// Lets readings say until when they count as what these rules take them for, and which they
    /// replace.
    pub fn replacing(mut self, names: &[&str]) -> Self {
        let rules = self.0.detections.iter_mut();
        for rule in rules.filter(|rule| names.contains(&rule.name.as_str())) {
            let Test::Report(report) = &mut rule.test else {
                panic!("no report rule");
            };
            report.until = Some("until".to_owned());
            report.replaces = Some("replaces".to_owned());
        }
        self
    }

    /// Lets an attribute of readings say who reports what these rules take.
    pub fn distinct(mut self, names: &[&str], attribute: &str) -> Self {
        let rules = self.0.detections.iter_mut();
        for rule in rules.filter(|rule| names.contains(&rule.name.as_str())) {
            let Test::Report(report) = &mut rule.test else {
                panic!("no report rule");
            };
            report.distinct = Some(attribute.to_owned());
        }
        self
    }

    /// A report that says something only by a value of at least so much.
    pub fn report_of(
        self,
        name: &str,
        kind: &str,
        severity: Severity,
        lasting: Millis,
        value_min: f64,
    ) -> Self {
        let report = Report {
            severity,
            certainty: Certainty::Likely,
            lasting,
            value_min: Some(value_min),
            until: None,
            replaces: None,
            distinct: None,
        };
        self.detection(name, kind, Test::Report(report))
    }

    pub fn detection(mut self, name: &str, kind: &str, test: Test) -> Self {
        self.0.detections.push(DetectionRule {
            name: name.parse().unwrap(),
            hash: 0,
            kind: kind.parse().unwrap(),
            matching: Vec::new(),
            settle: Millis::ZERO,
            test,
        });
        self
    }

    /// Asks the last detection rule's readings for an attribute.
    pub fn matching(mut self, name: &str, value: &str) -> Self {
        self.last().matching.push(AttributeMatch {
            name: name.into(),
            values: vec![value.into()],
        });
        self
    }

    /// One source opens it; within 1 km and an hour; clears after 10 minutes, reopens within 30.
    pub fn correlation(
        mut self,
        name: &str,
        incident: &str,
        detections: &[&str],
        set: impl FnOnce(&mut CorrelationRule),
    ) -> Self {
        let mut rule = CorrelationRule {
            name: name.parse().unwrap(),
            hash: 0,
            incident: incident.parse().unwrap(),
            detections: detections
                .iter()
                .map(|name| name.parse().unwrap())
                .collect(),
            weights: vec![1; detections.len()],
            within_m: 1_000,
            same: Vec::new(),
            group_by: Vec::new(),
            along: Along::default(),
            front: None,
            stale_after: None,
            within: Millis::minutes(60),
            sources_min: 1,
            clear_after: Millis::minutes(10),
            reopen_within: Millis::minutes(30),
            may_cause: Vec::new(),
        };
        set(&mut rule);
        self.0.correlations.push(rule);
        self
    }

    /// Changes every effect.
    pub fn effects(mut self, change: impl Fn(&mut Effect)) -> Self {
        let rules = self.0.correlations.iter_mut();
        rules.flat_map(|rule| &mut rule.may_cause).for_each(change);
        self
    }

    pub fn build(mut self) -> Arc<Bundle> {
        let bundle = &mut self.0;
        for rule in &mut bundle.detections {
            let mut meaning = words(&rule.kind) + &words(&rule.matching) + &words(&rule.test);
            if rule.settle != Millis::ZERO {
                meaning += &words(&rule.settle);
            }
            rule.hash = short_hash(&meaning);
        }
        for rule in &mut bundle.correlations {
            rule.hash = 0;
            rule.hash = short_hash(&words(rule));
        }
        bundle.detections.sort_by(|a, b| a.name.cmp(&b.name));
        bundle.correlations.sort_by(|a, b| a.name.cmp(&b.name));
        bundle
            .suppression
            .windows
            .sort_by(|a, b| a.name.cmp(&b.name));
        bundle.city.zones.sort_by(|a, b| a.id.cmp(&b.id));
        bundle.city.sensors.sort_by(|a, b| a.id.cmp(&b.id));
        bundle.city.actuators.sort_by(|a, b| a.id.cmp(&b.id));
        bundle.city.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        bundle.hash = BundleHash(*blake3::hash(words(bundle).as_bytes()).as_bytes());
        Arc::new(self.0)
    }
}

/// What a rule is made of, in words. What it does not use is not in them, so that the golden days
/// stay as they are when rules learn to ask more.
fn words(rule: &impl std::fmt::Debug) -> String {
    let unused = [
        ", readings_among: None",
        ", settle: Millis(0)",
        ", margin_percent: 0",
        ", front: None",
        ", stale_after: None",
        ", nested_after: None",
        ", same: []",
        ", group_by: []",
        ", until: None, replaces: None",
        ", gateway: None",
        ", of: []",
        ", symptom: false",
        ", except_below: None, except_above: None",
        ", distinct: None",
        ", counts: Sensors",
    ];
    let words = format!("{rule:?}");
    let words = words.replace(", at_least: 1, threshold:", ", threshold:");
    let words = words.replace(&format!(" handling: {:?},", HandlingRules::NONE), "");
    let words = words.replace(&format!(" suppression: {:?},", SuppressionRules::USUAL), "");
    // What an effect was made of before it came along networks, and before its time could run from the beginning of its cause.
    let along = format!(", along: {:?}, lag:", Along::default());
    let words = words.replace(&along, ", lag:");
    let words = words.replace("lag: AfterLast(Millis(", "after: Millis(");
    let words = words.replace(")), before: Millis(", "), before: Millis(");
    unused
        .iter()
        .fold(words, |words, unused| words.replace(unused, ""))
}

fn short_hash(text: &str) -> u64 {
    u64::from_le_bytes(
        *blake3::hash(text.as_bytes())
            .as_bytes()
            .first_chunk()
            .unwrap(),
    )
}

/// A history: inputs as bytes, each with its logical time, and the bundles they name.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub bundles: Vec<Arc<Bundle>>,
    pub inputs: Vec<(Timestamp, Vec<u8>)>,
}

/// How a history is run: nobody must be able to tell.
#[derive(Debug, Clone)]
pub struct Manner {
    pub shards: usize,
    /// The sizes of the batches, over and over.
    pub batches: Vec<usize>,
    /// After how many records its state is saved and loaded again, and into how many shards.
    pub restarts: Vec<(usize, usize)>,
}

impl Manner {
    pub fn plain() -> Self {
        Self {
            shards: 1,
            batches: vec![1],
            restarts: Vec::new(),
        }
    }
}

/// What came of a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub decisions: Vec<Decision>,
    pub digest: [u8; 32],
}

impl History {
    /// A history that begins by putting a bundle into force.
    pub fn new(bundle: Arc<Bundle>) -> Self {
        let mut history = Self::default();
        history.reload(MIDNIGHT, bundle);
        history
    }

    pub fn push(&mut self, at: Timestamp, input: &Input<'_>) {
        let mut bytes = Vec::new();
        input.encode(&mut bytes);
        self.inputs.push((at, bytes));
    }

    pub fn reload(&mut self, at: Timestamp, bundle: Arc<Bundle>) {
        self.push(at, &Input::Reload(bundle.hash));
        self.bundles.push(bundle);
    }

    /// Says a level, under an id of its own.
    pub fn say(&mut self, at: Timestamp, sensor: &str, value: f64) {
        let id = format!("r{}", self.inputs.len());
        let reading = Reading {
            id: &id,
            sensor,
            kind: "level",
            observed_at: at,
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        self.push(at, &Input::Reading(reading));
    }

    /// Checks that it comes to the same when it is saved and loaded after each record from this one
    /// on, and however it is sharded.
    pub fn assert_restarts_from(&self, first: usize) {
        let restarts = (first..=self.inputs.len()).map(|after| (after, 3));
        let restarted = Manner {
            restarts: restarts.collect(),
            ..Manner::plain()
        };
        let plain = self.run(&Manner::plain());
        assert_eq!(self.run(&restarted), plain);
        let batches = Manner {
            shards: 4,
            batches: vec![7, 3],
            restarts: Vec::new(),
        };
        assert_eq!(self.run(&batches), plain);
    }

    /// Readings of a sensor, a second apart, as the door folds them: the least, the greatest and the
    /// last as readings, then what accounts for the others. Returns those that were left out.
    pub fn fold(
        &mut self,
        at: Timestamp,
        (sensor, kind): (&str, &str),
        ids: &str,
        values: &[f64],
    ) -> Vec<Vec<u8>> {
        let first = |value: f64| values.iter().position(|own| *own == value).unwrap();
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let last = values.len() - 1;
        let observed_at = |number: usize| at - Millis::seconds((last - number) as i64);
        let mut left_out = Vec::new();
        for (number, value) in values.iter().enumerate() {
            let id = format!("{ids}-{number}");
            let reading = Input::Reading(Reading {
                id: &id,
                sensor,
                kind,
                observed_at: observed_at(number),
                received_at: None,
                value: *value,
                unit: "",
                position: None,
                attributes: Attributes::default(),
            });
            if [first(min), first(max), last].contains(&number) {
                self.push(at, &reading);
            } else {
                let mut bytes = Vec::new();
                reading.encode(&mut bytes);
                left_out.push(bytes);
            }
        }
        if !left_out.is_empty() {
            self.push(
                at,
                &Input::Folded(Folded {
                    sensor,
                    kind,
                    unit: "",
                    left_out: left_out.len() as u32,
                    from: observed_at(0),
                    to: at,
                    min,
                    max,
                    last: values[last],
                }),
            );
        }
        left_out
    }

    /// The records, numbered.
    pub fn records(&self) -> Vec<Record<'_>> {
        let numbered = (1 as Seq..).zip(&self.inputs);
        numbered
            .map(|(seq, (at, bytes))| Record {
                seq,
                at: *at,
                input: Input::decode(bytes).unwrap(),
            })
            .collect()
    }

    pub fn run(&self, manner: &Manner) -> Outcome {
        let (judgement, decisions) = self.judge(manner);
        Outcome {
            decisions,
            digest: judgement.digest(),
        }
    }

    pub fn judge(&self, manner: &Manner) -> (Judgement, Vec<Decision>) {
        let shards = NonZeroUsize::new(manner.shards).unwrap();
        let mut judgement = self.with_bundles(Judgement::new(shards));
        let records = self.records();
        let mut decisions = Vec::new();
        let mut done = 0;
        for size in manner.batches.iter().cycle() {
            if done == records.len() {
                break;
            }
            let end = records.len().min(done + size.max(&1));
            while done < end {
                if let Some(shards) = manner.restart_after(done) {
                    judgement = self.restarted(&judgement, shards);
                }
                let cuts = done + 1..end;
                let mut cuts = cuts.filter(|done| manner.restart_after(*done).is_some());
                let cut = cuts.next().unwrap_or(end);
                judgement.apply(&records[done..cut], &mut decisions);
                done = cut;
            }
        }
        (judgement, decisions)
    }

    fn with_bundles(&self, mut judgement: Judgement) -> Judgement {
        for bundle in &self.bundles {
            judgement.provide(Arc::clone(bundle));
        }
        judgement
    }

    /// The judgement, saved and loaded again into so many shards.
    pub fn restarted(&self, judgement: &Judgement, shards: usize) -> Judgement {
        let mut bytes = Vec::new();
        judgement.save(&mut bytes);
        let hash = Judgement::saved_under(STATE_FORMAT, &bytes).unwrap();
        let mut bundles = self.bundles.iter();
        let bundle = hash.map(|hash| bundles.find(|bundle| bundle.hash == hash).unwrap());
        let shards = NonZeroUsize::new(shards).unwrap();
        let loaded = Judgement::load(STATE_FORMAT, shards, &bytes, bundle.cloned()).unwrap();
        assert_eq!(loaded.audit(), []);
        assert_eq!(loaded.digest(), judgement.digest());
        assert_eq!(loaded.counters(), judgement.counters());
        assert_eq!(loaded.next_due(), judgement.next_due());
        let mut again = Vec::new();
        loaded.save(&mut again);
        assert!(again == bytes, "what was loaded is saved otherwise");
        self.with_bundles(loaded)
    }
}

impl Manner {
    fn restart_after(&self, records: usize) -> Option<usize> {
        let mut restarts = self.restarts.iter();
        let restart = restarts.find(|(after, _)| *after == records);
        restart.map(|(_, shards)| *shards)
    }
}

/// Decisions without any number that depends on how many records there were.
pub fn without_numbers(decisions: &[Decision]) -> Vec<Decision> {
    let mut decisions = decisions.to_vec();
    for decision in &mut decisions {
        decision.seq = 0;
        decision
            .cause
            .evidence
            .iter_mut()
            .for_each(|evidence| evidence.seq = 0);
        if let Verdict::Command(_, command) = &mut decision.verdict {
            command.answer.iter_mut().for_each(|answer| answer.seq = 0);
            command
                .confirmation
                .iter_mut()
                .for_each(|shown| shown.seq = 0);
        }
    }
    decisions
}
