//! Random days of a small and busy city, under every kind of rule there is.
//!
//! A day is drawn by proptest or, where two builds must see the same one, from a number.

use std::sync::Arc;

use ioc_core::bundle::{
    Aggregate, Along, BY_SENSOR, Bundle, Changes, Counted, Direction, Effect as MayCause, Expected,
    FaultSign, Flapping, Flow, Front, GroupBy, HandlingRules, Impossible, Lag, Near, Scale,
    Schedule, Side, Skewed, Spiking, States, Statistic, Stop, Stuck, Zone,
};
use ioc_core::decision::AnswerWord;
use ioc_core::decision::EffectClass::{AtMostOnce, Idempotent};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::decision::{Certainty, How, Severity, SiteBy, Step};
use ioc_core::id::{CommandKey, IncidentId, NodeId, SuppressionId};
use ioc_core::limits::BUNDLES_WAITING_MAX;
use ioc_core::place::Polygon;
use ioc_core::reading::{Attributes, AttributesBuffer, Reading};
use ioc_core::record::{
    Action, Ask, BuildHash, ClockKind, Command, DeadLetter, Effect, EffectNews, Input, Open,
    Operate, Quieted, Resuppress, Said as Word, Started, Suppress,
};
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;

use crate::support::{BundleBuilder, History, MIDNIGHT, metres};

/// Sensors of every sort: registered with and without interval, with levels of their own, in
/// reach of each other and not; a vehicle that sends two kinds, and callers, that nobody registered;
/// and one that shows whether a gate is shut.
pub const SENSORS: [(&str, &str); 14] = [
    ("gauge-1", "level"),
    ("gauge-2", "level"),
    ("gauge-3", "level"),
    ("gauge-4", "level"),
    ("gauge-5", "level"),
    ("smoke-1", "smoke"),
    ("smoke-2", "smoke"),
    ("road-1", "speed"),
    ("road-2", "speed"),
    ("vehicle", "smoke"),
    ("calls", "call"),
    ("nowhere", "call"),
    ("vehicle", "level"),
    ("gate-shut", "state"),
];

/// What can be ordered: actuators and what they are told, not all of which they can do.
pub const ORDERS: [(&str, &str); 7] = [
    ("gate-1", "close"),
    ("gate-1", "open"),
    ("gate-1", "flash"),
    ("siren-1", "sound"),
    ("siren-1", "close"),
    ("pump-1", "start"),
    ("nobody", "start"),
];

/// Which rules and city hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Usual,
    /// One detection rule, one correlation rule and an interval are changed, a silence rule is gone.
    Changed,
    /// Further rules, levels of their own for other sensors, and one sensor is not registered.
    Grown,
    /// No rules and no city at all.
    Empty,
    /// Rules of every further sort.
    Asking,
    /// The same, with some of them changed.
    AskingOtherwise,
    /// Rules of every sort, and rules about faults of sensors.
    Doubting,
    /// The same, with some of them changed.
    DoubtingOtherwise,
    /// As usual, and something is asked of people.
    Handling,
    /// The same, but something else.
    HandlingOtherwise,
    /// Rules of every sort, and those about several sensors.
    Grouping,
    /// The same, with some of them changed.
    GroupingOtherwise,
    /// Rules of every sort, and maintenance windows.
    Quieting,
    /// The same, with other windows.
    QuietingOtherwise,
    /// The same, and callers may take back what they said.
    Replacing,
    /// The same, of other rules.
    ReplacingOtherwise,
    /// Rules of every sort; sensors are doubted in some of what they say, and causes have effects
    /// that begin soon after themselves.
    Discerning,
    /// The same, with some of them changed.
    DiscerningOtherwise,
    /// Rules that ask more, whose effects are symptoms; people handle what happens.
    Explaining,
    /// The same, with fewer symptoms.
    ExplainingOtherwise,
    /// The same, and effects come along networks too.
    Reaching,
    /// The same, along others.
    ReachingOtherwise,
    /// Rules of every sort; it is known who reports, and whose clocks are asked.
    Naming,
    /// The same, by something else.
    NamingOtherwise,
    /// Rules of every sort, and those that count every reading of several sensors.
    Gathering,
    /// The same, with some of them changed.
    GatheringOtherwise,
}

impl Variant {
    /// Those of the first golden days.
    pub const FIRST: [Self; 4] = [Self::Usual, Self::Changed, Self::Grown, Self::Empty];
    /// Those of the second ones.
    pub const ASKING: [Self; 6] = [
        Self::Usual,
        Self::Changed,
        Self::Grown,
        Self::Empty,
        Self::Asking,
        Self::AskingOtherwise,
    ];
    /// Those of the days on which sensors are doubted.
    pub const DOUBTING: [Self; 8] = [
        Self::Usual,
        Self::Changed,
        Self::Grown,
        Self::Empty,
        Self::Asking,
        Self::AskingOtherwise,
        Self::Doubting,
        Self::DoubtingOtherwise,
    ];
    /// Those that ask something of people.
    pub const HANDLING: [Self; 2] = [Self::Handling, Self::HandlingOtherwise];
    /// Those that ask about several sensors.
    pub const GROUPING: [Self; 4] = [
        Self::Usual,
        Self::Doubting,
        Self::Grouping,
        Self::GroupingOtherwise,
    ];
    /// Those under which people keep things quiet.
    pub const QUIETING: [Self; 2] = [Self::Quieting, Self::QuietingOtherwise];
    /// Those under which callers take back what they said.
    pub const REPLACING: [Self; 4] = [
        Self::Asking,
        Self::Quieting,
        Self::Replacing,
        Self::ReplacingOtherwise,
    ];
    /// Those under which it is told apart what is to be believed, and what causes what.
    pub const DISCERNING: [Self; 4] = [
        Self::Doubting,
        Self::Grouping,
        Self::Discerning,
        Self::DiscerningOtherwise,
    ];
    /// Those that explain symptoms.
    pub const EXPLAINING: [Self; 2] = [Self::Explaining, Self::ExplainingOtherwise];
    /// Those that look for causes along networks.
    pub const REACHING: [Self; 3] = [Self::Explaining, Self::Reaching, Self::ReachingOtherwise];
    /// Those under which it is known who reports.
    pub const NAMING: [Self; 3] = [Self::Grouping, Self::Naming, Self::NamingOtherwise];
    /// Those under which every reading of several sensors counts.
    pub const GATHERING: [Self; 3] = [Self::Grouping, Self::Gathering, Self::GatheringOtherwise];
    pub const ALL: [Self; 26] = [
        Self::Usual,
        Self::Changed,
        Self::Grown,
        Self::Empty,
        Self::Asking,
        Self::AskingOtherwise,
        Self::Doubting,
        Self::DoubtingOtherwise,
        Self::Handling,
        Self::HandlingOtherwise,
        Self::Grouping,
        Self::GroupingOtherwise,
        Self::Quieting,
        Self::QuietingOtherwise,
        Self::Replacing,
        Self::ReplacingOtherwise,
        Self::Discerning,
        Self::DiscerningOtherwise,
        Self::Explaining,
        Self::ExplainingOtherwise,
        Self::Reaching,
        Self::ReachingOtherwise,
        Self::Naming,
        Self::NamingOtherwise,
        Self::Gathering,
        Self::GatheringOtherwise,
    ];

    fn gathers(self) -> bool {
        matches!(self, Self::Gathering | Self::GatheringOtherwise)
    }

    fn names(self) -> bool {
        matches!(self, Self::Naming | Self::NamingOtherwise)
    }

    fn explains(self) -> bool {
        Self::EXPLAINING.contains(&self) || Self::REACHING.contains(&self)
    }

    fn asks_more(self) -> bool {
        matches!(self, Self::Asking | Self::AskingOtherwise) || self.explains() || self.doubts()
    }

    fn doubts(self) -> bool {
        matches!(self, Self::Doubting | Self::DoubtingOtherwise) || self.groups()
    }

    fn groups(self) -> bool {
        matches!(self, Self::Grouping | Self::GroupingOtherwise)
            || self.quiets()
            || self.discerns()
            || self.names()
            || self.gathers()
    }

    fn quiets(self) -> bool {
        Self::QUIETING.contains(&self) || self.replaces()
    }

    fn replaces(self) -> bool {
        matches!(self, Self::Replacing | Self::ReplacingOtherwise)
    }

    fn discerns(self) -> bool {
        matches!(self, Self::Discerning | Self::DiscerningOtherwise)
    }

    fn otherwise(self) -> bool {
        matches!(
            self,
            Self::AskingOtherwise
                | Self::DoubtingOtherwise
                | Self::HandlingOtherwise
                | Self::GroupingOtherwise
                | Self::QuietingOtherwise
                | Self::ReplacingOtherwise
                | Self::DiscerningOtherwise
                | Self::ExplainingOtherwise
                | Self::ReachingOtherwise
                | Self::NamingOtherwise
                | Self::GatheringOtherwise
        )
    }
}

/// A city under all kinds of rules.
pub fn bundle(variant: Variant) -> Arc<Bundle> {
    if variant == Variant::Empty {
        return BundleBuilder::new().build();
    }
    let builder = actuators(sensors(BundleBuilder::new(), variant), variant);
    let mut builder = correlations(detections(builder, variant), variant);
    if variant.asks_more() {
        builder = asking(builder, variant);
    }
    if variant.doubts() {
        builder = doubting(builder, variant);
    }
    if variant.groups() {
        builder = grouping(builder, variant);
    }
    if Variant::HANDLING.contains(&variant) {
        builder = builder.handling(|rules| handling(variant, rules));
    }
    if variant.quiets() {
        builder = quieting(builder, variant);
    }
    if variant.replaces() {
        let rules = ["call", "call-wet", "call-big", "smoke-said"];
        let some = if variant.otherwise() { 1.. } else { 0.. };
        builder = builder.replacing(&rules[some]);
    }
    if variant.discerns() {
        builder = discerning(builder, variant);
    }
    if variant.explains() {
        builder = builder.handling(|rules| handling(variant, rules));
        builder = builder.effects(|effect| {
            let kept = !variant.otherwise() || effect.incident.as_str() == "fire";
            effect.symptom = kept;
        });
        let smoke = if variant.otherwise() { 1.0 } else { 2.0 };
        builder = builder
            .alone("level-alone", "level", 1.5, Near::Metres(900))
            .alone("smoke-alone", "smoke", smoke, Near::Group(GroupBy::City));
    }
    if matches!(variant, Variant::Reaching | Variant::ReachingOtherwise) {
        builder = builder.effects(|effect| reaching(effect, variant.otherwise()));
    }
    if variant.gathers() {
        builder = gathering(builder, variant.otherwise());
    }
    if variant.names() {
        builder = naming(builder, variant.otherwise());
    }
    builder.build()
}

/// What every reading of several sensors comes to.
fn gathering(builder: BundleBuilder, otherwise: bool) -> BundleBuilder {
    builder
        .threshold(
            "level-gathered",
            "level",
            &[(Moderate, 2.5), (Severe, 3.5)],
            |rule| rule.clear_gap = 0.5,
        )
        .across(
            (
                GroupBy::Zone,
                Statistic::Percentile(if otherwise { 50 } else { 70 }),
            ),
            |rule| {
                rule.counts = Counted::Readings;
                rule.fresh = Millis::minutes(3);
                rule.lateness = Millis::minutes(1);
            },
        )
        .threshold("calls-gathered", "call", &[(Minor, 1.5)], |rule| {
            rule.readings_min = 2;
        })
        .across((GroupBy::City, Statistic::Count), |rule| {
            rule.counts = Counted::Readings;
            rule.fresh = Millis::minutes(2);
            rule.lateness = Millis::minutes(1);
        })
        .threshold("smoke-gathered", "smoke", &[(Moderate, 5.0)], |_| ())
        .across((GroupBy::ParentZone, Statistic::Sum), |rule| {
            rule.counts = Counted::Readings;
            rule.lateness = Millis::minutes(1);
        })
        .threshold("level-gathered-low", "level", &[(Minor, 1.5)], |rule| {
            rule.side = Side::Below;
        })
        .across((GroupBy::River, Statistic::Mean), |rule| {
            rule.counts = Counted::Readings;
            rule.step = Millis::seconds(30);
            rule.fresh = Millis::minutes(if otherwise { 2 } else { 1 });
            rule.lateness = Millis::minutes(1);
            rule.sensors_min = 1;
        })
        .correlation(
            "gathered",
            "surge",
            &[
                "level-gathered",
                "calls-gathered",
                "smoke-gathered",
                "level-gathered-low",
            ],
            |rule| {
                rule.within_m = 600;
                rule.clear_after = Millis::minutes(2);
            },
        )
        .correlation(
            "by-subject",
            "subject",
            &["call", "level-gathered", "level-low"],
            |rule| {
                rule.group_by = vec!["about".to_owned()];
                rule.within_m = if otherwise { 500 } else { 900 };
                rule.clear_after = Millis::minutes(2);
                rule.reopen_within = Millis::minutes(3);
            },
        )
}

/// Whoever reports again is one source, whose clock is not asked; sensors may say for long what is
/// little; and what one feeder feeds is told as a whole.
fn naming(builder: BundleBuilder, otherwise: bool) -> BundleBuilder {
    let stuck = Stuck {
        lasting: Millis::seconds(30),
        except: Vec::new(),
        except_below: Some(2.5),
        except_above: otherwise.then_some(4.5),
        clear_readings_min: 1,
    };
    let by = if otherwise { BY_SENSOR } else { "about" };
    builder
        .distinct(&["call", "call-wet", "call-big"], by)
        .distinct(&["smoke-said"], BY_SENSOR)
        .fault("speed-stuck", "speed", FaultSign::Stuck(stuck))
        .settling(Millis::seconds(if otherwise { 20 } else { 10 }))
        .site_silence("feeder-silent", SiteBy::Feeder, |rule| {
            rule.percent = if otherwise { 70 } else { 40 };
            rule.sensors_min = 2;
            rule.explained_by = vec!["level-high".parse().unwrap()];
        })
        .correlation(
            "shocks",
            "shock",
            &["call", "level-high", "smoke-high", "smoke-said"],
            |rule| {
                rule.within_m = 900;
                rule.within = Millis::minutes(6);
                rule.weights = vec![1, 2, 2, 1];
                rule.sources_min = 3;
                rule.front = Some(Front {
                    tolerance: Millis::seconds(if otherwise { 20 } else { 60 }),
                    speed_m_per_s: otherwise.then_some(10),
                    of: ["level-high", "smoke-high"]
                        .map(|rule| rule.parse().unwrap())
                        .into(),
                });
            },
        )
}

/// What comes along all networks, and what lies in none by metres if it is so.
fn reaching(effect: &mut MayCause, otherwise: bool) {
    effect.along = Along {
        fed_by: true,
        flows_to_percent: Some(if otherwise { 100 } else { 300 }),
        river_m: Some(if otherwise { 300 } else { 900 }),
        line_stops: (!otherwise).then_some(1),
        nested_after: None,
    };
    if otherwise {
        effect.within_m = 0;
    }
}

/// What is asked of people: soon enough to be seen in a day.
pub fn handling(variant: Variant, rules: &mut HandlingRules) {
    let otherwise = variant.otherwise();
    let minutes = |minutes| Some(Millis::minutes(minutes));
    rules.acknowledge_within = [None, minutes(9), minutes(6), minutes(3), minutes(1)];
    rules.overruled_by = if otherwise { 1 } else { 2 };
    rules.report_lasting = Millis::minutes(if otherwise { 5 } else { 12 });
    rules.lowers = !otherwise;
}

/// Windows that open within a day, and one that is open when it begins; short times.
fn quieting(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let otherwise = variant.otherwise();
    let every = |minute, minutes| Schedule::Every {
        day: None,
        minute,
        lasting: Millis::minutes(minutes),
        ahead: Millis::ZERO,
    };
    let once = Schedule::Once {
        from: MIDNIGHT + Millis::minutes(30),
        until: MIDNIGHT + Millis::minutes(if otherwise { 60 } else { 50 }),
    };
    let zone = |name: &str| Zone {
        id: name.parse().unwrap(),
        name: name.into(),
        parent: Some("west".parse().unwrap()),
        areas: Vec::new(),
    };
    builder
        .zone(zone("in-west"))
        .sensor_with("inner", "level", |sensor| {
            sensor.zone = Some("in-west".parse().unwrap());
        })
        .handling(|rules| handling(Variant::Handling, rules))
        .suppression(|rules| {
            rules.remind_before = Millis::minutes(2);
            rules.shelved_max = Millis::minutes(45);
        })
        .window("nightly", every(10, 15), |own| {
            own.zone = Some("west".parse().unwrap());
        })
        .window("beginning", every(1_430, 20), |own| {
            own.kind = Some("smoke".parse().unwrap());
        })
        .window("once", once, |own| {
            own.sensor = Some("gauge-2".parse().unwrap());
            own.rule = Some("level-high".parse().unwrap());
        })
}

fn sensors(mut builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let grown = variant == Variant::Grown;
    for (number, (id, kind)) in (0..).zip(&SENSORS[..9]) {
        if grown && number == 8 {
            continue;
        }
        builder = builder.sensor_with(id, kind, |sensor| {
            sensor.position = Some(metres(number * 400, number % 3 * 300));
            sensor.interval = (number % 4 != 3).then_some(Millis::minutes(2));
            if variant.groups() {
                sensor.gateway = (number < 6).then(|| gateway(variant));
                sensor.interval = Some(Millis::minutes(2));
            }
            let own_levels = number == 1 || grown && number == 0;
            sensor.warning = own_levels.then_some(2.5);
            sensor.danger = own_levels.then_some(3.5);
            if number == 3 {
                sensor.scale = Scale::Own;
                sensor.warning = Some(4.5);
            }
            if variant == Variant::Changed && number == 2 {
                sensor.interval = Some(Millis::minutes(1));
            }
        });
    }
    let ring = [
        (-200, -200),
        (900, -200),
        (900, 700),
        (-200, 700),
        (-200, -200),
    ];
    let ring = ring.map(|(east, north)| metres(east, north));
    let builder = nodes(builder, variant);
    builder.zone(Zone {
        id: "west".parse().unwrap(),
        name: "West".into(),
        parent: None,
        areas: vec![Polygon::new(ring.to_vec()).unwrap()],
    })
}

fn actuators(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let shut = |expected| Some(("gate-shut", expected));
    let close = ("close", shut(Expected::Above(3.0)));
    let open = ("open", shut(Expected::Below(2.5)));
    let mut builder = builder.sensor("gate-shut", "state", metres(0, 0));
    if variant != Variant::Grown {
        builder = builder.actuator("gate-1", Idempotent, &[close, open, ("flash", None)]);
    }
    let wet = Some(("gauge-1", Expected::Is(3.0)));
    builder
        .actuator("siren-1", AtMostOnce, &[("sound", None)])
        .actuator("pump-1", AtMostOnce, &[("start", wet)])
}

/// The gauges lie in one another's water, on a line and on what feeds them; a vehicle is fed too.
fn nodes(mut builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    for number in 1..6 {
        builder = builder.node(&format!("gauge-{number}"), |node| {
            let next = number % 5 + 1;
            let feeder = ["main", "gauge-1", "pole", "pole", "gauge-3"][number as usize - 1];
            node.fed_by = Some(feeder.parse().unwrap());
            node.flows_to = (next > number).then(|| Flow {
                to: format!("gauge-{next}").parse().unwrap(),
                lag: Millis::minutes(2),
            });
            node.river = (number % 2 == 1).then(|| "odd".into());
            let line = "tram".to_owned();
            node.stop = Some(Stop {
                line,
                order: number,
            });
        });
    }
    let above_pole = if variant == Variant::Changed {
        "gauge-1"
    } else {
        "main"
    };
    builder
        .fed_by("pole", above_pole)
        .fed_by("vehicle", "pole")
        .node("main", |_| ())
}

fn detections(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let levels = [(Moderate, 3.0), (Severe, 4.0), (Extreme, 5.0)];
    let mut builder = builder
        .threshold("level-high", "level", &levels, |rule| {
            rule.clear_gap = 0.5;
            rule.clear_readings_min = 2;
        })
        .threshold(
            "level-long",
            "level",
            &[(Moderate, 2.0), (Severe, 3.0)],
            |rule| {
                rule.lasting = Millis::minutes(3);
            },
        )
        .threshold("level-slow", "level", &[(Minor, 1.5)], |rule| {
            // Longer than a gauge may be silent.
            rule.lasting = Millis::minutes(7);
        })
        .threshold("smoke-high", "smoke", &levels[..2], |rule| {
            rule.readings_min = if variant == Variant::Changed { 3 } else { 2 };
        })
        .threshold(
            "speed-low",
            "speed",
            &[(Minor, 2.0), (Moderate, 1.0)],
            |rule| {
                rule.side = Side::Below;
            },
        )
        .report("call", "call", Minor, Millis::minutes(8))
        .report("call-wet", "call", Moderate, Millis::minutes(5))
        .matching("about", "water")
        .report("smoke-said", "smoke", Severe, Millis::minutes(6))
        .matching("about", "water")
        .report_of("call-big", "call", Severe, Millis::minutes(2), 5.0)
        .silence("level-silent", "level", 2, Millis::minutes(3));
    if variant != Variant::Changed {
        builder = builder.silence("speed-silent", "speed", 3, Millis::minutes(1));
    }
    if variant == Variant::Grown {
        builder = builder
            .threshold("a-level", "level", &levels[1..], |rule| {
                rule.readings_min = 2;
                rule.lasting = Millis::minutes(1);
            })
            .silence("smoke-silent", "smoke", 1, Millis::minutes(4));
    }
    builder
}

fn correlations(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let mut builder = builder
        .correlation("floods", "flood", &["level-high", "call-wet"], |rule| {
            rule.may_cause = effects(&["crowd", "fire", "flood"]);
            rule.within_m = 500;
            rule.within = Millis::minutes(5);
            rule.clear_after = Millis::minutes(if variant == Variant::Changed { 3 } else { 4 });
            rule.reopen_within = Millis::minutes(6);
        })
        .correlation(
            "slow-floods",
            "flood",
            &["level-high", "level-long", "level-slow"],
            |rule| {
                rule.within_m = 900;
                rule.sources_min = 2;
            },
        )
        .correlation(
            "fires",
            "fire",
            &["smoke-high", "speed-low", "smoke-said"],
            |rule| {
                rule.may_cause = effects(&["flood", "trouble"]);
                rule.within_m = 450;
                rule.weights = vec![2, 0, 2];
                rule.sources_min = 2;
                rule.clear_after = Millis::ZERO;
                rule.reopen_within = Millis::ZERO;
            },
        )
        .correlation("big-fires", "fire", &["smoke-high", "smoke-said"], |rule| {
            rule.within_m = 450;
            rule.weights = vec![2, 1];
            rule.sources_min = 4;
            rule.clear_after = Millis::minutes(1);
        })
        .correlation(
            "crowds",
            "crowd",
            &["call", "call-wet", "call-big"],
            |rule| {
                rule.within_m = 250;
                rule.within = Millis::minutes(4);
                rule.sources_min = 3;
            },
        );
    let along = [
        (
            "fed",
            Along {
                fed_by: true,
                ..Along::default()
            },
        ),
        (
            "flowing",
            Along {
                flows_to_percent: Some(150),
                ..Along::default()
            },
        ),
        (
            "lined",
            Along {
                line_stops: Some(1),
                river_m: Some(900),
                ..Along::default()
            },
        ),
    ];
    for (name, along) in along {
        let detections = ["level-high", "smoke-high", "call-wet"];
        builder = builder.correlation(name, "trouble", &detections, |rule| {
            rule.along = along;
            rule.within_m = 450;
            rule.within = Millis::minutes(5);
            rule.weights = vec![2, 1, 1];
            rule.sources_min = 2;
            rule.clear_after = Millis::minutes(2);
            rule.reopen_within = Millis::minutes(3);
        });
    }
    if variant == Variant::Grown {
        builder = builder.correlation("any-flood", "flood", &["a-level", "level-long"], |_| ());
    }
    builder
}

/// Each within 900 m and ten minutes, up to two before.
fn effects(kinds: &[&str]) -> Vec<MayCause> {
    let effect = |kind: &&str| MayCause {
        incident: kind.parse().unwrap(),
        within_m: 900,
        along: Along::default(),
        lag: Lag::AfterLast(Millis::minutes(10)),
        before: Millis::minutes(2),
        symptom: false,
    };
    kinds.iter().map(effect).collect()
}

/// What the first golden days did not know to ask.
fn asking(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let otherwise = variant.otherwise();
    let levels = [(Moderate, 1.0), (Severe, 2.0)];
    builder
        .threshold(
            "level-often",
            "level",
            &[(Moderate, 2.5), (Extreme, 4.5)],
            |rule| {
                rule.readings_min = if otherwise { 3 } else { 2 };
                rule.readings_among = Some(4);
                rule.clear_gap = 1.0;
            },
        )
        .threshold("smoke-often", "smoke", &[(Minor, 2.0)], |rule| {
            rule.readings_min = 3;
            rule.readings_among = Some(6);
            rule.lasting = Millis::minutes(2);
        })
        .threshold("level-rises", "level", &levels, |rule| {
            rule.clear_gap = 0.5;
        })
        .of_change(Direction::Rises, Millis::minutes(2))
        .threshold("speed-falls", "speed", &levels, |rule| {
            rule.lasting = Millis::minutes(if otherwise { 2 } else { 1 });
        })
        .of_change(Direction::Falls, Millis::minutes(4))
        .threshold("speed-stops", "speed", &levels, |rule| {
            rule.readings_min = 2;
        })
        .of_states(
            None,
            &[States::Values(vec![1.0, 2.0]), States::Values(vec![0.0])],
            None,
        )
        .threshold("smoke-wet", "smoke", &levels[..1], |rule| {
            rule.clear_readings_min = 2;
        })
        .of_states(
            Some("about"),
            &[States::Texts(vec!["water".into()])],
            Some(States::Texts(vec!["smoke".into(), "fire".into()])),
        )
        .threshold(
            "calls-many",
            "call",
            &[(Moderate, 2.0), (Severe, 4.0)],
            |_| (),
        )
        .of_window(Aggregate::Count, Millis::minutes(6), Millis::minutes(2))
        .threshold("level-mean", "level", &[(Moderate, 3.0)], |rule| {
            rule.clear_gap = 0.5;
            rule.readings_min = 2;
        })
        .of_window(
            Aggregate::Mean,
            Millis::minutes(4),
            Millis::minutes(if otherwise { 2 } else { 1 }),
        )
        .threshold("level-few", "level", &[(Minor, 2.0)], |rule| {
            rule.side = Side::Below;
            rule.lasting = Millis::minutes(4);
        })
        .of_window(Aggregate::Count, Millis::minutes(20), Millis::minutes(5))
        .threshold("smoke-most", "smoke", &[(Severe, 4.0)], |_| ())
        .of_window(Aggregate::Greatest, Millis::minutes(1), Millis::minutes(1))
        .threshold(
            "level-settled",
            "level",
            &[(Moderate, 2.0), (Severe, 4.0)],
            |rule| {
                rule.readings_min = 2;
                rule.clear_gap = 0.5;
                rule.lasting = Millis::seconds(90);
            },
        )
        .settling(Millis::minutes(1))
        .threshold("speed-settled", "speed", &levels[..1], |_| ())
        .of_change(Direction::Rises, Millis::minutes(3))
        .settling(Millis::minutes(if otherwise { 1 } else { 2 }))
        .correlation(
            "windows",
            "flood",
            &["level-mean", "level-few", "calls-many", "level-settled"],
            |rule| rule.sources_min = 2,
        )
        .correlation("settled", "jam", &["speed-settled", "smoke-most"], |_| ())
        .correlation(
            "asked-floods",
            "flood",
            &["level-often", "level-rises", "smoke-wet"],
            |rule| rule.within_m = 600,
        )
        .correlation(
            "nested",
            "outage",
            &["level-often", "level-rises", "smoke-often"],
            |rule| {
                rule.within_m = 450;
                rule.weights = vec![2, 1, 1];
                rule.sources_min = 2;
                rule.clear_after = Millis::minutes(2);
                rule.along = Along {
                    fed_by: true,
                    nested_after: Some(Millis::minutes(if otherwise { 2 } else { 1 })),
                    ..Along::default()
                };
                rule.may_cause = effects(&["quake"]);
            },
        )
        .correlation(
            "fronts",
            "quake",
            &["smoke-often", "level-rises", "call", "smoke-said"],
            |rule| {
                rule.within_m = 900;
                rule.within = Millis::minutes(5);
                rule.front = Some(Front {
                    tolerance: Millis::seconds(if otherwise { 5 } else { 40 }),
                    speed_m_per_s: Some(10),
                    of: Vec::new(),
                });
                rule.stale_after = (!otherwise).then_some(Millis::minutes(3));
                rule.may_cause = effects(&["fire", "quake"]);
            },
        )
        .correlation(
            "asked-jams",
            "jam",
            &["speed-falls", "speed-stops", "smoke-often"],
            |rule| rule.sources_min = 2,
        )
}

/// Faults of every sort, so easily found that they come and go.
fn doubting(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let otherwise = variant.otherwise();
    let jumps = Flapping {
        by: Changes::Jumps {
            by: 2.5,
            within: Millis::minutes(3),
        },
        high: 10,
        low: 5,
    };
    let stuck = Stuck {
        lasting: Millis::seconds(if otherwise { 60 } else { 30 }),
        except: vec![2.5],
        except_below: None,
        except_above: None,
        clear_readings_min: 2,
    };
    let impossible = Impossible {
        below: Some(0.2),
        above: Some(5.8),
        readings_min: 1,
        clear_readings_min: 2,
    };
    let skewed = Skewed {
        ahead: Some(Millis::seconds(20)),
        behind: Some(Millis::seconds(90)),
        readings_min: if otherwise { 2 } else { 1 },
        clear_readings_min: 1,
    };
    let spiking = Spiking {
        height: 1.0,
        spikes_min: 2,
        among: 12,
    };
    let mut builder = builder
        .flapping("level-flaps", "level", 15, 10)
        .flapping("smoke-flaps", "smoke", 20, 15)
        .fault("speed-jumps", "speed", FaultSign::Flapping(jumps))
        .fault("level-stuck", "level", FaultSign::Stuck(stuck))
        .fault(
            "smoke-impossible",
            "smoke",
            FaultSign::Impossible(impossible),
        )
        .matching("about", "water")
        .fault("call-skewed", "call", FaultSign::Skewed(skewed))
        .fault("level-skewed", "level", FaultSign::Skewed(skewed))
        .trusting();
    // Each hour of a random day is new: only what the rules know before is told by this.
    builder = builder
        .threshold("level-unusual", "level", &[(Moderate, 1.0)], |_| ())
        .of_usual(Direction::Rises, 1, 1)
        .threshold("speed-unusual", "speed", &[(Minor, 0.5)], |_| ())
        .of_usual(Direction::Falls, if otherwise { 2 } else { 1 }, 0)
        .sequence("wet-then-smoke", ("level-high", "smoke-high"), |rule| {
            rule.within = Millis::minutes(if otherwise { 2 } else { 4 });
            rule.within_m = 900;
            rule.unless = Some("speed-low".parse().unwrap());
        })
        .sequence("called-then-wet", ("call", "level-long"), |rule| {
            rule.within_m = 3_000;
        })
        .sequence("wet-then-called", ("level-often", "call-wet"), |rule| {
            rule.within_m = 3_000;
            rule.fed_by = true;
        })
        .sequence("smoke-and-no-call", ("smoke-often", "call"), |rule| {
            rule.absent = true;
            rule.within = Millis::seconds(90);
            rule.within_m = 700;
        })
        .sequence("called-and-not-wet", ("call-big", "level-high"), |rule| {
            rule.absent = true;
            rule.within = Millis::minutes(3);
            rule.unless = Some("smoke-high".parse().unwrap());
        })
        .correlation(
            "sequences",
            "sequence",
            &[
                "wet-then-smoke",
                "called-then-wet",
                "wet-then-called",
                "smoke-and-no-call",
                "called-and-not-wet",
            ],
            |rule| rule.clear_after = Millis::minutes(3),
        );
    if !otherwise {
        builder = builder.fault("level-spikes", "level", FaultSign::Spiking(spiking));
    }
    // Of a kind that no other rule looks at.
    builder.fault(
        "state-impossible",
        "state",
        FaultSign::Impossible(impossible),
    )
}

/// A gauge is doubted at the level at which it flaps and not far beyond it, and at both if it flaps
/// there too; and what causes what soon after it began.
fn discerning(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let otherwise = variant.otherwise();
    let near: &[&str] = if otherwise {
        &["level-high", "level-long"]
    } else {
        &["level-high", "level-across"]
    };
    builder
        .without("level-flaps")
        .threshold(
            "level-far",
            "level",
            &[(Moderate, 3.0), (Severe, 5.0)],
            |rule| rule.margin_percent = 50,
        )
        .flapping_of("level-flaps", "level", near, (15, 10))
        .flapping_of("level-far-flaps", "level", &["level-far"], (10, 5))
        .correlation("far", "deluge", &["level-far", "level-high"], |rule| {
            rule.weights = vec![2, 1];
            rule.sources_min = 2;
            rule.clear_after = Millis::minutes(2);
            let mut effects = effects(&["crowd", "fire", "flood"]);
            for effect in &mut effects {
                effect.lag = Lag::AfterOpening(Millis::minutes(if otherwise { 1 } else { 3 }));
            }
            rule.may_cause = effects;
        })
}

/// What comes through one gateway, by another one where it is asked otherwise.
fn gateway(variant: Variant) -> NodeId {
    let name = if variant.otherwise() { "gw-2" } else { "gw-1" };
    name.parse().unwrap()
}

/// What several sensors say together.
fn grouping(builder: BundleBuilder, variant: Variant) -> BundleBuilder {
    let otherwise = variant.otherwise();
    builder
        .silence("level-quiet", "level", 1, Millis::minutes(1))
        .silence("smoke-silent", "smoke", 1, Millis::minutes(2))
        .site_silence("west-silent", SiteBy::Zone, |rule| {
            rule.percent = 40;
            rule.hold = Millis::minutes(1);
        })
        .site_silence("gateway-silent", SiteBy::Gateway, |rule| {
            rule.percent = if otherwise { 60 } else { 50 };
            rule.explained_by = ["call-wet", "level-high"]
                .map(|rule| rule.parse().unwrap())
                .into();
        })
        .threshold(
            "level-across",
            "level",
            &[(Moderate, 2.5), (Severe, 3.5)],
            |rule| {
                rule.clear_gap = 0.5;
            },
        )
        .across((GroupBy::Zone, Statistic::Percentile(60)), |rule| {
            rule.sensors_min = 2;
            rule.fresh = Millis::minutes(3);
        })
        .threshold("level-vote", "level", &[(Severe, 3.0)], |rule| {
            rule.readings_min = if otherwise { 1 } else { 2 };
            rule.clear_readings_min = 2;
        })
        .across((GroupBy::River, Statistic::Vote(2)), |rule| {
            rule.step = Millis::seconds(30);
            rule.fresh = Millis::minutes(4);
            rule.lateness = Millis::seconds(60);
        })
        .threshold("calls-across", "call", &[(Minor, 1.0)], |_| ())
        .across((GroupBy::City, Statistic::Count), |rule| {
            rule.fresh = Millis::minutes(2);
            rule.sensors_min = 1;
        })
        .threshold("smoke-sum", "smoke", &[(Moderate, 5.0)], |_| ())
        .matching("about", "water")
        .across((GroupBy::ParentZone, Statistic::Sum), |rule| {
            rule.sensors_min = 1;
        })
        .threshold("level-low", "level", &[(Minor, 1.5)], |rule| {
            rule.side = Side::Below;
        })
        .across((GroupBy::Gateway, Statistic::Mean), |rule| {
            rule.lateness = Millis::ZERO;
        })
        .correlation(
            "across",
            "surge",
            &[
                "level-across",
                "level-vote",
                "calls-across",
                "smoke-sum",
                "level-low",
            ],
            |rule| {
                rule.within_m = 600;
                rule.clear_after = Millis::minutes(2);
            },
        )
        .correlation(
            "same-cause",
            "tampering",
            &["smoke-often", "call", "wet-then-smoke", "level-settled"],
            |rule| {
                rule.same = ["about", "gateway"].map(str::to_owned).into();
                rule.within_m = 0;
                rule.within = Millis::minutes(4);
                rule.sources_min = if otherwise { 3 } else { 2 };
                rule.clear_after = Millis::minutes(2);
                rule.reopen_within = Millis::minutes(2);
            },
        )
        .correlation(
            "same-cause-or-near",
            "tampering",
            &["level-often", "smoke-said"],
            |rule| {
                rule.same = vec!["gateway".to_owned()];
                rule.within_m = 300;
                rule.within = Millis::minutes(2);
                rule.along.fed_by = true;
            },
        )
}

/// Of what takes readings back: those that come after it.
pub const AHEAD: usize = 4;

/// A day: under which rules it begins, and what happens.
#[derive(Debug, Clone)]
pub struct Day {
    pub first: Variant,
    pub events: Vec<Event>,
}

/// One thing that happens, so long after the one before.
#[derive(Debug, Clone)]
pub struct Event {
    pub after_ms: i64,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Reading(Said),
    /// So many readings at once that most are left out; maybe one of those comes again.
    Folded {
        sensor: usize,
        values: Vec<f64>,
        again: bool,
    },
    /// The same message of a sensor once more: of the last few, counted back.
    Redelivery(usize),
    /// A person acknowledges what an earlier reading may have begun.
    Acknowledge {
        reading: usize,
        kind: usize,
        request: u8,
    },
    /// A person asks something about what an earlier reading may have begun.
    Ask {
        reading: usize,
        kind: usize,
        ask: Ask,
        /// What another reading may have begun, and the source that is meant.
        other: usize,
        by: usize,
        request: u8,
    },
    /// A person knows of something.
    Open {
        kind: usize,
        said: Word,
        request: u8,
    },
    /// A person orders something, perhaps in place of what was ordered last.
    Order {
        what: usize,
        within_ms: Option<i64>,
        replaces: bool,
        request: u8,
    },
    /// A device answers one of the last orders, counted back: its own, or another's.
    Answer {
        back: usize,
        word: AnswerWord,
        is_its_own: bool,
    },
    /// The executor is about to send one of the last commands.
    Send(usize),
    Reload(Variant),
    Restart,
    DeadLetter,
    /// A person keeps something quiet.
    Quiet {
        what: Quieting,
        minutes: i64,
        request: u8,
    },
    /// A person ends it, or has it end at another time: of the last few, counted back.
    QuietOtherwise {
        back: usize,
        minutes: Option<i64>,
        request: u8,
    },
    /// Far from everything else the water rises at three places, and a person says that what one of
    /// the first two says belongs to the third.
    Moved,
}

/// What a person keeps quiet.
#[derive(Debug, Clone, Copy)]
pub enum Quieting {
    Sensor(usize),
    /// A sensor, in readings of its kind.
    Kind(usize),
    Zone,
    Rule(usize),
    OutOfService(usize),
    /// What an earlier reading may have begun.
    Incident {
        reading: usize,
        kind: usize,
    },
}

/// Rules that people shelve, not all of which hold.
const SHELVED_RULES: [&str; 5] = [
    "level-high",
    "smoke-high",
    "call-wet",
    "level-silent",
    "no-such-rule",
];

#[derive(Debug, Clone)]
pub struct Said {
    pub sensor: usize,
    pub value: f64,
    pub observed_before_ms: i64,
    pub place: Option<(i32, i32)>,
    pub about: Option<&'static str>,
    /// Which earlier reading of its sensor it takes the place of, counted back; [`AHEAD`]: those
    /// that come after it.
    pub replaces: Option<usize>,
    /// For how long it says that it counts.
    pub until_ms: Option<i64>,
}

fn said() -> impl Strategy<Value = Said> {
    let value = prop_oneof![
        4 => 0.0..6.0f64, 4 => Just(3.0), 4 => Just(2.5), 4 => Just(0.5), 4 => 2.9..3.1f64,
        1 => Just(0.0), 1 => Just(1.0), 1 => Just(2.0),
    ];
    let late = prop_oneof![4 => Just(0), 1 => 0..200_000i64, 1 => -90_000..0i64];
    let place = prop::option::weighted(0.5, (0..3_000i32, 0..900i32));
    let about = prop_oneof![
        2 => Just(Some("water")), 1 => Just(Some("fire")), 1 => Just(None),
    ];
    let replaces = prop::option::weighted(0.2, 0..=AHEAD);
    let until_ms = prop::option::weighted(0.1, -1_000..600_000i64);
    let said = (0..SENSORS.len(), value, late, place);
    let words = (about, replaces, until_ms);
    (said, words).prop_map(|(said, (about, replaces, until_ms))| {
        let (sensor, value, observed_before_ms, place) = said;
        Said {
            sensor,
            value,
            observed_before_ms,
            // Gauges stand where they stand.
            place: place.filter(|_| sensor >= 9),
            about,
            replaces,
            until_ms,
        }
    })
}

/// The kinds of incident that people know of, not all of which some rule makes.
pub const KINDS: [&str; 6] = ["flood", "fire", "crowd", "trouble", "jam", "riot"];

/// What readings of a kind may begin.
fn kinds_of(kind: &str) -> [&'static str; 2] {
    match kind {
        "level" => ["flood", "trouble"],
        "smoke" => ["fire", "trouble"],
        "speed" => ["jam", "fire"],
        _ => ["crowd", "flood"],
    }
}

/// Who asks.
pub const PEOPLE: [&str; 2] = ["ana", "ben"];

fn word_of_a_person() -> impl Strategy<Value = Word> {
    let place = prop::option::weighted(0.7, (0..3_000i32, 0..900i32));
    let parts = (
        prop::sample::select(Severity::ALL),
        prop::sample::select(Certainty::ALL),
        place.prop_map(|place| place.map(|(east, north)| metres(east, north))),
    );
    parts.prop_map(|(severity, certainty, position)| Word {
        severity,
        certainty,
        position,
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        12 => prop::sample::select(Step::ALL).prop_map(Ask::Step),
        3 => Just(Ask::Step(Step::Undo)),
        2 => prop::sample::select(Severity::ALL).prop_map(Ask::Rate),
        1 => Just(Ask::AllClear),
        2 => word_of_a_person().prop_map(Ask::Report),
        // Which, is drawn beside it.
        3 => Just(Ask::Merge(IncidentId::derive(&[]))),
        4 => Just(Ask::Split),
        6 => Just(Ask::Move(IncidentId::derive(&[]))),
        2 => Just(Ask::Link(Some(IncidentId::derive(&[])))),
        1 => Just(Ask::Link(None)),
    ]
}

fn quieting_by_people() -> impl Strategy<Value = What> {
    let sensor = || 0..SENSORS.len();
    let what = prop_oneof![
        3 => sensor().prop_map(Quieting::Sensor),
        1 => sensor().prop_map(Quieting::Kind),
        1 => Just(Quieting::Zone),
        2 => (0..SHELVED_RULES.len()).prop_map(Quieting::Rule),
        3 => sensor().prop_map(Quieting::OutOfService),
        4 => (0..8usize, 0..2usize)
            .prop_map(|(reading, kind)| Quieting::Incident { reading, kind }),
    ];
    let begins = (what, -1..60i64, any::<u8>()).prop_map(|(what, minutes, request)| What::Quiet {
        what,
        minutes,
        request: request % 64,
    });
    let minutes = prop::option::weighted(0.6, -1..60i64);
    let other = (0..4usize, minutes, any::<u8>());
    let other = other.prop_map(|(back, minutes, request)| What::QuietOtherwise {
        back,
        minutes,
        request: request % 64,
    });
    prop_oneof![2 => begins, 1 => other]
}

fn event() -> impl Strategy<Value = Event> {
    let what = prop_oneof![
        60 => said().prop_map(What::Reading),
        4 => (0..10usize, prop::collection::vec(0.0..6.0f64, 5..12), any::<bool>())
            .prop_map(|(sensor, values, again)| What::Folded { sensor, values, again }),
        5 => (0..20usize).prop_map(What::Redelivery),
        4 => (0..200usize, 0..3usize, 0..4u8)
            .prop_map(|(reading, kind, request)| What::Acknowledge { reading, kind, request }),
        24 => (0..8usize, 0..KINDS.len(), ask(), 0..16usize, 0..6usize, any::<u8>())
            .prop_map(|(reading, kind, ask, other, by, request)| What::Ask {
                reading, kind, ask, other, by: usize::from(by == 0), request,
            }),
        2 => (0..KINDS.len(), word_of_a_person(), 0..8u8)
            .prop_map(|(kind, said, request)| What::Open { kind, said, request }),
        6 => (0..ORDERS.len(), prop::option::of(-1_000..200_000i64), any::<bool>(), any::<u8>())
            .prop_map(|(what, within_ms, replaces, request)| What::Order {
                what, within_ms, replaces, request: request % 32,
            }),
        6 => (0..4usize, prop::sample::select(AnswerWord::ALL), prop::bool::weighted(0.9))
            .prop_map(|(back, word, is_its_own)| What::Answer { back, word, is_its_own }),
        12 => (0..3usize).prop_map(What::Send),
        1 => prop::sample::select(&Variant::ALL).prop_map(What::Reload),
        3 => Just(What::Restart),
        1 => Just(What::DeadLetter),
        8 => quieting_by_people(),
        1 => Just(What::Moved),
    ];
    let after_ms = prop_oneof![
        3 => Just(0), 10 => 0..1_000i64, 10 => 0..60_000i64, 1 => Just(250), 1 => 0..900_000i64,
    ];
    (after_ms, what).prop_map(|(after_ms, what)| Event { after_ms, what })
}

pub fn day() -> impl Strategy<Value = Day> {
    let first = prop_oneof![
        Just(Variant::Usual),
        Just(Variant::Asking),
        Just(Variant::AskingOtherwise),
        Just(Variant::Doubting),
        Just(Variant::Doubting),
        Just(Variant::Handling),
        Just(Variant::Quieting),
        Just(Variant::Explaining),
        Just(Variant::Explaining),
        Just(Variant::Replacing),
    ];
    let events = prop::collection::vec(event(), 1..200);
    (first, events).prop_map(|(first, events)| Day { first, events })
}

/// The history of a day, with enough time at its end for everything to happen.
pub fn history(day: &Day) -> History {
    let mut history = History::new(bundle(day.first));
    let mut now = MIDNIGHT;
    let mut readings: Vec<(String, usize, Vec<u8>)> = Vec::new();
    let mut orders: Vec<(CommandKey, &'static str)> = Vec::new();
    let mut quiet: Vec<SuppressionId> = Vec::new();
    let last = |orders: &[(CommandKey, &'static str)], back: usize| {
        let place = orders.len().checked_sub(1 + back % orders.len().max(1));
        place.map(|place| orders[place])
    };
    for event in &day.events {
        now = now + Millis(event.after_ms);
        match &event.what {
            What::Reading(said) => {
                let id = format!("r{}", readings.len());
                let own = readings.iter().rev();
                let mut own = own.filter(|(_, sensor, _)| *sensor == said.sensor);
                let replaces = said.replaces.and_then(|which| match which {
                    ..AHEAD => own.nth(which).map(|(id, ..)| id.clone()),
                    // Whoever comes next may be of the same sensor.
                    AHEAD.. => {
                        let next = readings.len() + 1..readings.len() + 12;
                        let names: Vec<_> = next.map(|next| format!("r{next}")).collect();
                        Some(names.join(" "))
                    }
                });
                push_reading(&mut history, now, (&id, replaces.as_deref()), said);
                let bytes = history.inputs.last().unwrap().1.clone();
                readings.push((id, said.sensor, bytes));
            }
            What::Folded {
                sensor,
                values,
                again,
            } => {
                let ids = format!("f{}", history.inputs.len());
                let left_out = history.fold(now, SENSORS[*sensor], &ids, values);
                match left_out.into_iter().next() {
                    Some(bytes) if *again => history.inputs.push((now, bytes)),
                    _ => history.push(now, &Input::Tick),
                }
            }
            What::Redelivery(back) if !readings.is_empty() => {
                // Among the last few, so that each sensor still remembers it.
                let again = readings.len() - 1 - back % readings.len();
                history.inputs.push((now, readings[again].2.clone()));
            }
            What::Acknowledge {
                reading,
                kind,
                request,
            } if !readings.is_empty() => {
                let (id, sensor, _) = &readings[reading % readings.len()];
                let kind = ["flood", "fire", "crowd"][*kind];
                let incident = IncidentId::derive(&[kind, SENSORS[*sensor].0, id]);
                push_acknowledge(&mut history, now, incident, *request);
            }
            What::Ask {
                reading,
                kind,
                ask,
                other,
                by,
                request,
            } if !readings.is_empty() => {
                let begun_with = |reading: usize| {
                    let (id, sensor, _) = &readings[reading % readings.len()];
                    let (sensor, kinds) = (SENSORS[*sensor].0, kinds_of(SENSORS[*sensor].1));
                    let kind = kinds[kind % kinds.len()];
                    IncidentId::derive(&[kind, sensor, id])
                };
                let other = begun_with(*other);
                // Gauges more than others, for they have neighbours.
                let sensor = SENSORS[usize::from(*request) % 7].0;
                let named = matches!(ask, Ask::Move(_)) || *ask == Ask::Split && request % 2 == 0;
                let action = Action::About {
                    incident: begun_with(*reading),
                    ask: match ask {
                        Ask::Merge(_) => Ask::Merge(other),
                        Ask::Move(_) => Ask::Move(other),
                        Ask::Link(Some(_)) => Ask::Link(Some(other)),
                        ask => *ask,
                    },
                    sources: if named { sensor } else { "" },
                    note: "as seen",
                };
                push_command(
                    &mut history,
                    now,
                    PEOPLE[*by],
                    &format!("a-{request}"),
                    action,
                );
            }
            What::Open {
                kind,
                said,
                request,
            } => {
                let action = Action::Open(Open {
                    kind: KINDS[*kind],
                    said: *said,
                    note: "",
                });
                push_command(
                    &mut history,
                    now,
                    PEOPLE[0],
                    &format!("p-{request}"),
                    action,
                );
            }
            What::Redelivery(_) | What::Acknowledge { .. } | What::Ask { .. } => {
                history.push(now, &Input::Tick);
            }
            What::Order {
                what,
                within_ms,
                replaces,
                request,
            } => {
                let (actuator, command) = ORDERS[*what];
                let request = format!("o-{request}");
                let operate = Operate {
                    actuator,
                    command,
                    parameters: r#"{"speed":3}"#,
                    not_after: within_ms.map(|within| now + Millis(within)),
                    replaces: last(&orders, 0).filter(|_| *replaces).map(|(key, _)| key),
                };
                push_order(&mut history, now, &request, operate);
                let parts = [actuator, &request, &now.as_millis().to_string()];
                orders.push((CommandKey::derive(&parts), actuator));
            }
            What::Answer {
                back,
                word,
                is_its_own,
            } => {
                let (key, device) =
                    last(&orders, *back).unwrap_or((CommandKey::derive(&[]), "gate-1"));
                let news = EffectNews::Answered {
                    device: if *is_its_own { device } else { "a-stranger" },
                    word: *word,
                    detail: "motor",
                };
                history.push(now, &Input::Effect(Effect { key, news }));
            }
            What::Send(back) => {
                let (key, _) = last(&orders, *back).unwrap_or((CommandKey::derive(&[]), ""));
                let news = EffectNews::Started;
                history.push(now, &Input::Effect(Effect { key, news }));
            }
            What::Reload(variant) => {
                let bundle = bundle(*variant);
                // All are provided before the day begins, and so many are kept.
                let mut known: Vec<_> = history.bundles.iter().map(|known| known.hash).collect();
                known.push(bundle.hash);
                known.sort_unstable();
                known.dedup();
                if known.len() <= BUNDLES_WAITING_MAX {
                    history.reload(now, bundle);
                }
            }
            What::Restart => {
                let before = history.inputs.last().unwrap().0;
                push_restart(&mut history, before, now);
            }
            What::DeadLetter => push_dead_letter(&mut history, now),
            What::Moved => push_moved(&mut history, now),
            What::Quiet {
                what,
                minutes,
                request,
            } => {
                let request = format!("q-{request}");
                let begun_with = |reading: usize, kind: usize| {
                    let (id, sensor, _) = readings.get(reading % readings.len().max(1))?;
                    let (sensor, kinds) = (SENSORS[*sensor].0, kinds_of(SENSORS[*sensor].1));
                    Some(IncidentId::derive(&[kinds[kind % kinds.len()], sensor, id]))
                };
                let suppress = suppress(*what, now + Millis::minutes(*minutes), begun_with);
                let action = Action::Suppress(suppress);
                push_command(&mut history, now, PEOPLE[0], &request, action);
                quiet.push(SuppressionId::of_request(&request.parse().unwrap(), now));
            }
            What::QuietOtherwise {
                back,
                minutes,
                request,
            } => {
                let place = quiet.len().checked_sub(1 + back % quiet.len().max(1));
                let place = place.map(|place| quiet[place]);
                let until = minutes.map(|minutes| now + Millis::minutes(minutes));
                let action = Action::Resuppress {
                    suppression: place.unwrap_or(SuppressionId::derive(&[])),
                    what: until.map_or(Resuppress::End, Resuppress::Until),
                    note: "as agreed",
                };
                let request = format!("e-{request}");
                push_command(&mut history, now, PEOPLE[1], &request, action);
            }
        }
    }
    history.push(now + Millis::minutes(300), &Input::Tick);
    history
}

fn suppress(
    what: Quieting,
    until: Timestamp,
    begun_with: impl FnOnce(usize, usize) -> Option<IncidentId>,
) -> Suppress<'static> {
    let of = |sensor, zone, kind, rule| Quieted::Detections {
        sensor,
        zone,
        kind,
        rule,
    };
    let target = match what {
        Quieting::Sensor(sensor) | Quieting::OutOfService(sensor) => {
            of(SENSORS[sensor].0, "", "", "")
        }
        Quieting::Kind(sensor) => of(SENSORS[sensor].0, "", SENSORS[sensor].1, ""),
        Quieting::Zone => of("", "west", "", ""),
        Quieting::Rule(rule) => of("", "", "", SHELVED_RULES[rule]),
        Quieting::Incident { reading, kind } => {
            let incident = begun_with(reading, kind);
            Quieted::Incident(incident.unwrap_or(IncidentId::derive(&[])))
        }
    };
    Suppress {
        how: match what {
            Quieting::OutOfService(_) => How::OutOfService,
            _ => How::Shelved,
        },
        target,
        until,
        reason: "works",
    }
}

fn push_reading(
    history: &mut History,
    at: Timestamp,
    (id, replaces): (&str, Option<&str>),
    said: &Said,
) {
    let (sensor, kind) = SENSORS[said.sensor];
    let mut attributes = AttributesBuffer::default();
    if let Some(about) = said.about {
        attributes.push("about", about).unwrap();
    }
    if let Some(replaces) = replaces {
        attributes.push("replaces", replaces).unwrap();
    }
    if let Some(until_ms) = said.until_ms {
        let until = (at + Millis(until_ms)).to_string();
        attributes.push("until", &until).unwrap();
    }
    let reading = Reading {
        id,
        sensor,
        kind,
        observed_at: at - Millis(said.observed_before_ms),
        received_at: None,
        value: said.value,
        unit: "",
        position: said.place.map(|(east, north)| metres(east, north)),
        attributes: attributes.as_attributes(),
    };
    history.push(at, &Input::Reading(reading));
}

/// Two places that are one flood and a third that is another; evidence of the first goes to it.
fn push_moved(history: &mut History, at: Timestamp) {
    let number = history.inputs.len();
    let level = |history: &mut History, place: i32| {
        let id = format!("m{number}");
        let sensor = format!("far-{number}-{place}");
        let north = 30_000 + 2_000 * number as i32;
        let reading = Reading {
            id: &id,
            sensor: &sensor,
            kind: "level",
            observed_at: at,
            received_at: None,
            value: 4.5,
            unit: "",
            position: Some(metres(place, north)),
            attributes: Attributes::default(),
        };
        history.push(at, &Input::Reading(reading));
        IncidentId::derive(&["flood", &sensor, &id])
    };
    let [one, _, other] = [0, 100, 1_500].map(|place| level(history, place));
    let action = Action::About {
        incident: one,
        ask: Ask::Move(other),
        sources: &format!("far-{number}-100"),
        note: "as seen",
    };
    push_command(history, at, PEOPLE[0], &format!("m-{number}"), action);
}

fn push_acknowledge(history: &mut History, at: Timestamp, incident: IncidentId, request: u8) {
    // Of the few numbers some come twice.
    let request = format!("{incident}-{request}");
    let command = Command {
        request: &request,
        actor: "ana",
        action: Action::Acknowledge(incident),
    };
    history.push(at, &Input::Command(command));
}

fn push_order(history: &mut History, at: Timestamp, request: &str, operate: Operate<'_>) {
    push_command(history, at, "ana", request, Action::Operate(operate));
}

fn push_command(
    history: &mut History,
    at: Timestamp,
    actor: &str,
    request: &str,
    action: Action<'_>,
) {
    let command = Command {
        request,
        actor,
        action,
    };
    history.push(at, &Input::Command(command));
}

fn push_restart(history: &mut History, down_from: Timestamp, down_to: Timestamp) {
    let started = Started {
        down_from: Some(down_from),
        down_to,
        build: BuildHash([1; 32]),
        clock: ClockKind::System,
    };
    history.push(down_to, &Input::Started(started));
}

fn push_dead_letter(history: &mut History, at: Timestamp) {
    let letter = DeadLetter {
        source: "mqtt",
        topic: "t",
        reason: "value_missing",
        detail: "no value",
        payload: b"{}",
        payload_bytes: 2,
        ..DeadLetter::default()
    };
    history.push(at, &Input::DeadLetter(letter));
}
