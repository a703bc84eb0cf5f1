//! The simulated city: few sensors, quick rules, so that much happens in little time.
//!
//! Every detection rule feeds one correlation rule only: a reading is evidence of one incident, so
//! a second use of it is a broken promise.

use std::sync::Arc;

use ioc_core::bundle::{
    Actuator, ActuatorCommand, Along, Bundle, City, CorrelationRule, DetectionRule, HandlingRules,
    Level, Report, Scale, Sensor, Side, Silence, SuppressionRules, Test, Threshold,
};
use ioc_core::decision::{Certainty, EffectClass, Severity};
use ioc_core::place::Position;
use ioc_core::record::BundleHash;
use ioc_core::time::Millis;
use ioc_gateway::catalogue::Catalogue;

/// What a sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two levels, hysteresis, and silence.
    Water,
    /// One level that must last.
    Heat,
    /// Reports by people: each is evidence by itself.
    Call,
}

/// The sensors, by name.
pub const SENSORS: [(&str, Kind); 9] = [
    ("call-1", Kind::Call),
    ("call-2", Kind::Call),
    ("heat-1", Kind::Heat),
    ("heat-2", Kind::Heat),
    ("heat-3", Kind::Heat),
    ("water-1", Kind::Water),
    ("water-2", Kind::Water),
    ("water-3", Kind::Water),
    ("water-4", Kind::Water),
];

impl Kind {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Water => "water_level",
            Self::Heat => "heat",
            Self::Call => "call",
        }
    }
}

/// What the door decodes by: calls are urgent.
pub fn catalogue() -> Catalogue {
    Catalogue {
        urgent: [Kind::Call.word()].into_iter().collect(),
        ..Catalogue::default()
    }
}

/// The bundles that a host may be started with.
pub fn bundles() -> Vec<Arc<Bundle>> {
    vec![bundle(1, 3.0, 2), bundle(2, 4.0, 1)]
}

/// The bundle of this name: floods begin at a level, fires need so many sensors.
fn bundle(name: u8, flood_level: f64, fire_sources: u32) -> Arc<Bundle> {
    Arc::new(Bundle {
        hash: BundleHash([name; 32]),
        detections: vec![
            detection("calls", Kind::Call, 1, calls()),
            detection("heat-lasting", Kind::Heat, 1, heat()),
            detection("water-high", Kind::Water, name, water(flood_level)),
            detection("water-silent", Kind::Water, 1, silence()),
        ],
        correlations: vec![
            correlation("crowd", "calls", 1, 2),
            correlation("fire", "heat-lasting", name, fire_sources),
            correlation("flood", "water-high", 1, 1),
        ],
        handling: HandlingRules::NONE,
        suppression: SuppressionRules::USUAL,
        city: City {
            zones: Vec::new(),
            sensors: (0..).zip(SENSORS).map(sensor).collect(),
            actuators: ACTUATORS.map(actuator).into(),
            nodes: Vec::new(),
        },
    })
}

/// What can be ordered to do something, by name.
pub const ACTUATORS: [(&str, EffectClass); 2] = [
    ("gate-1", EffectClass::Idempotent),
    ("siren-1", EffectClass::AtMostOnce),
];

/// What each of them can be ordered to do.
pub const COMMAND: &str = "go";

fn actuator((id, effect): (&str, EffectClass)) -> Actuator {
    Actuator {
        id: id.parse().unwrap(),
        position: None,
        zone: None,
        effect,
        deadline: Millis::seconds(20),
        outcome_within: Millis::seconds(20),
        commands: vec![ActuatorCommand {
            name: COMMAND.parse().unwrap(),
            confirmed_by: None,
        }],
    }
}

fn sensor((place, (id, kind)): (i32, (&str, Kind))) -> Sensor {
    // About 550 m apart: neighbours are near enough to be one incident.
    let position = Position::from_micro_degrees(101_700_000 + 5_000 * place, 3_100_000);
    Sensor {
        id: id.parse().unwrap(),
        kind: kind.word().parse().unwrap(),
        unit: String::new(),
        position,
        zone: None,
        gateway: None,
        interval: (kind == Kind::Water).then_some(Millis::seconds(5)),
        warning: None,
        danger: None,
        scale: Scale::OfKind,
    }
}

fn detection(name: &str, kind: Kind, hash: u8, test: Test) -> DetectionRule {
    DetectionRule {
        name: name.parse().unwrap(),
        hash: u64::from(hash),
        kind: kind.word().parse().unwrap(),
        matching: Vec::new(),
        settle: Millis::ZERO,
        test,
    }
}

fn water(moderate: f64) -> Test {
    let level = |severity, value| Level { severity, value };
    Test::Threshold(Threshold {
        side: Side::Above,
        levels: vec![
            level(Severity::Moderate, moderate),
            level(Severity::Severe, 5.0),
        ],
        margin_percent: 0,
        clear_gap: 0.5,
        readings_min: 1,
        readings_among: None,
        lasting: Millis::ZERO,
        clear_readings_min: 1,
    })
}

fn heat() -> Test {
    Test::Threshold(Threshold {
        side: Side::Above,
        levels: vec![Level {
            severity: Severity::Severe,
            value: 4.0,
        }],
        margin_percent: 0,
        clear_gap: 1.0,
        readings_min: 2,
        readings_among: None,
        lasting: Millis::seconds(2),
        clear_readings_min: 2,
    })
}

fn calls() -> Test {
    Test::Report(Report {
        severity: Severity::Minor,
        certainty: Certainty::Possible,
        lasting: Millis::seconds(40),
        value_min: None,
        until: None,
        replaces: None,
        distinct: None,
    })
}

fn silence() -> Test {
    Test::Silence(Silence {
        intervals: 3,
        at_least: Millis::seconds(10),
    })
}

fn correlation(name: &str, detection: &str, hash: u8, sources_min: u32) -> CorrelationRule {
    CorrelationRule {
        name: name.parse().unwrap(),
        hash: u64::from(hash),
        incident: name.replace('-', "_").parse().unwrap(),
        detections: vec![detection.parse().unwrap()],
        weights: vec![1],
        within_m: 1_200,
        same: Vec::new(),
        group_by: Vec::new(),
        along: Along::default(),
        front: None,
        stale_after: None,
        within: Millis::minutes(2),
        sources_min,
        clear_after: Millis::seconds(15),
        reopen_within: Millis::seconds(60),
        may_cause: Vec::new(),
    }
}
