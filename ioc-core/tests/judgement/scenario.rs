//! Stories of a small city, as a control room would tell them.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Bundle, Side};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::{check_reloading, check_with};

/// Three river gauges 600 m apart that report each minute, smoke detectors around a square, road
/// sensors, and a call centre.
fn city() -> BundleBuilder {
    let gauge = |east: i32| {
        move |sensor: &mut ioc_core::bundle::Sensor| {
            sensor.position = Some(metres(east, 0));
            sensor.interval = Some(Millis::minutes(1));
        }
    };
    BundleBuilder::new()
        .sensor_with("river-1", "water_level", gauge(0))
        .sensor_with("river-2", "water_level", gauge(600))
        .sensor_with("river-3", "water_level", gauge(1200))
        .sensor("smoke-1", "smoke", metres(0, 5_000))
        .sensor("smoke-2", "smoke", metres(100, 5_000))
        .sensor("smoke-3", "smoke", metres(500, 5_000))
        .sensor("road-1", "speed", metres(0, -5_000))
        .sensor_with("calls", "call", |_| ())
        .threshold(
            "river-high",
            "water_level",
            &[(Moderate, 3.0), (Severe, 3.8), (Extreme, 4.5)],
            |rule| rule.clear_gap = 0.3,
        )
        .silence("river-silent", "water_level", 3, Millis::minutes(5))
        .threshold(
            "smoke-high",
            "smoke",
            &[(Moderate, 3.0), (Severe, 8.0)],
            |rule| {
                rule.readings_min = 2;
                rule.clear_readings_min = 2;
            },
        )
        .threshold("road-slow", "speed", &[(Moderate, 15.0)], |rule| {
            rule.side = Side::Below;
            rule.lasting = Millis::minutes(5);
        })
        .report("call", "call", Minor, Millis::minutes(60))
        .correlation("floods", "flood", &["river-high"], |rule| {
            rule.clear_after = Millis::minutes(60);
        })
        .correlation("fires", "fire", &["smoke-high"], |rule| {
            rule.within_m = 300;
            rule.sources_min = 2;
        })
        .correlation("jams", "jam", &["road-slow"], |_| ())
        .correlation("crowds", "crowd", &["call"], |rule| {
            rule.within_m = 200;
            rule.within = Millis::minutes(30);
            rule.sources_min = 3;
        })
}

fn check(timeline: &str, expected: Expect) {
    check_with(&city().build(), timeline, &expected);
}

#[test]
fn a_flood_opens_grows_and_clears() {
    check(
        "10:00 river-1 1.2
         10:01 river-1 3.1
         10:02 river-1 3.2
         10:03 river-2 3.9
         10:04 river-1 2.8
         10:05 river-1 2.7
         10:06 river-2 2.5
         11:06 tick",
        expect![[r#"
            10:01 opened flood#1 moderate: river-1 3.1
            10:02 updated flood#1 moderate: river-1 3.2
            10:03 updated flood#1 severe 2 sensors: river-2 3.9 599 m
            10:10 sensor_silent river-1 last heard 10:05
            10:11 sensor_silent river-2 last heard 10:06
            11:06 cleared flood#1 severe 2 sensors
        "#]],
    );
}
