//! Cities to be judged: bundles built in place, as large and as plain as a scene needs.

use std::sync::Arc;

use ioc_core::bundle::{
    Across, Aggregate, Along, Bundle, City, CorrelationRule, Counted, DetectionRule, Effect,
    GroupBy, HandlingRules, Lag, Level, Node, Scale, Sensor, Side, Silence, Statistic,
    SuppressionRules, Test, Threshold, Window,
};
use ioc_core::decision::Severity;
use ioc_core::place::Position;
use ioc_core::record::BundleHash;
use ioc_core::time::Millis;

/// A bundle that is being built.
#[derive(Debug)]
pub struct Builder(Bundle);

/// The place so many metres east and north of a corner of the city.
pub fn metres(east: usize, north: usize) -> Position {
    let udeg = |metres: usize| (metres * 8_993 / 1_000) as i32;
    let place = Position::from_micro_degrees(101_000_000 + udeg(east), 2_000_000 + udeg(north));
    place.expect("within the globe")
}

/// The place of a sensor on a square grid, so many metres between two.
pub fn on_grid(number: usize, apart: usize) -> Position {
    const COLUMNS: usize = 320;
    metres(number % COLUMNS * apart, number / COLUMNS * apart)
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// Without sensors and rules.
    pub fn new() -> Self {
        Self(Bundle {
            hash: BundleHash([1; 32]),
            detections: Vec::new(),
            correlations: Vec::new(),
            handling: HandlingRules::NONE,
            suppression: SuppressionRules::USUAL,
            city: City::default(),
        })
    }

    /// So many sensors of a kind that should report every ten minutes.
    pub fn sensors(
        mut self,
        count: usize,
        kind: &str,
        name: impl Fn(usize) -> String,
        place: impl Fn(usize) -> Position,
    ) -> Self {
        let sensor = |number| Sensor {
            id: name(number).parse().expect("a sensor's name"),
            kind: kind.parse().expect("a kind"),
            unit: String::new(),
            position: Some(place(number)),
            zone: None,
            gateway: None,
            interval: Some(Millis::minutes(10)),
            warning: None,
            danger: None,
            scale: Scale::OfKind,
        };
        self.0.city.sensors.extend((0..count).map(sensor));
        self
    }

    /// What feeds a thing; nothing if its name is empty.
    pub fn fed_by(mut self, id: &str, feeder: &str) -> Self {
        self.0.city.nodes.push(Node {
            id: id.parse().expect("a node's name"),
            fed_by: (!feeder.is_empty()).then(|| feeder.parse().expect("a node's name")),
            flows_to: None,
            river: None,
            stop: None,
        });
        self
    }

    /// Abnormal above 3, normal again below 2.
    pub fn above_three(self, name: &str, kind: &str, hash: u64) -> Self {
        self.detection(name, kind, hash, Test::Threshold(above_three()))
    }

    /// The same of the mean of the last hour, each minute.
    pub fn mean_of_an_hour(self, name: &str, kind: &str) -> Self {
        let window = Window {
            of: Aggregate::Mean,
            length: Millis::minutes(60),
            step: Millis::minutes(1),
            lateness: Millis::ZERO,
            at_least: 1,
            threshold: above_three(),
        };
        self.detection(name, kind, 1, Test::Window(window))
    }

    /// Above 3 is a percentile of all sensors' values of the last hour, each minute: of those that each
    /// said last, or of all that they said.
    pub fn percentile_of_all(self, name: &str, kind: &str, counts: Counted) -> Self {
        let across = Across {
            by: GroupBy::City,
            of: Statistic::Percentile(90),
            counts,
            fresh: Millis::minutes(60),
            step: Millis::minutes(1),
            lateness: Millis::ZERO,
            sensors_min: 2,
            threshold: above_three(),
        };
        self.detection(name, kind, 1, Test::Across(across))
    }

    /// Silent after two intervals.
    pub fn silent(self, name: &str, kind: &str) -> Self {
        let silence = Silence {
            intervals: 2,
            at_least: Millis::minutes(1),
        };
        self.detection(name, kind, 1, Test::Silence(silence))
    }

    fn detection(mut self, name: &str, kind: &str, hash: u64, test: Test) -> Self {
        self.0.detections.push(DetectionRule {
            name: name.parse().expect("a rule's name"),
            hash,
            kind: kind.parse().expect("a kind"),
            matching: Vec::new(),
            settle: Millis::ZERO,
            test,
        });
        self
    }

    /// One source opens it, what is within a kilometre joins it.
    pub fn incidents(
        mut self,
        name: &str,
        incident: &str,
        detection: &str,
        set: impl FnOnce(&mut CorrelationRule),
    ) -> Self {
        let mut rule = CorrelationRule {
            name: name.parse().expect("a rule's name"),
            hash: 1,
            incident: incident.parse().expect("a kind of incident"),
            detections: vec![detection.parse().expect("a rule's name")],
            weights: vec![1],
            within_m: 1_000,
            along: Along::default(),
            same: Vec::new(),
            group_by: Vec::new(),
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

    /// The bundle, under a hash that begins so.
    pub fn build(mut self, hash: u8) -> Arc<Bundle> {
        let bundle = &mut self.0;
        bundle.hash = BundleHash([hash; 32]);
        bundle.detections.sort_by(|a, b| a.name.cmp(&b.name));
        bundle.correlations.sort_by(|a, b| a.name.cmp(&b.name));
        bundle.city.sensors.sort_by(|a, b| a.id.cmp(&b.id));
        bundle.city.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        Arc::new(self.0)
    }
}

fn above_three() -> Threshold {
    Threshold {
        side: Side::Above,
        levels: vec![Level {
            severity: Severity::Severe,
            value: 3.0,
        }],
        margin_percent: 0,
        clear_gap: 1.0,
        readings_min: 1,
        readings_among: None,
        lasting: Millis::ZERO,
        clear_readings_min: 1,
    }
}

/// An effect within so many metres, up to an hour after and ten minutes before.
pub fn effect(incident: &str, within_m: u32) -> Effect {
    Effect {
        incident: incident.parse().expect("a kind of incident"),
        within_m,
        along: Along::default(),
        lag: Lag::AfterLast(Millis::minutes(60)),
        before: Millis::minutes(10),
        symptom: false,
    }
}
