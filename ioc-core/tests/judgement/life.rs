//! How an incident goes on, gets less and ends: what is heard no more ends nothing, and what gets
//! less says so.

use expect_test::{Expect, expect};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::check_with;

/// Two gauges of one river that report each minute, one far from them that is asked for three
/// readings in a row, and people who are asked to look.
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
        .threshold(
            "river-high",
            "water_level",
            &[(Moderate, 3.0), (Severe, 3.8), (Extreme, 4.5)],
            |rule| rule.clear_gap = 0.3,
        )
        .silence("river-silent", "water_level", 3, Millis::minutes(3))
        .report("call", "call", Minor, Millis::minutes(60))
        .correlation("floods", "flood", &["river-high", "call"], |rule| {
            rule.clear_after = Millis::minutes(10);
        })
        .handling(|rules| {
            let minutes = |minutes| Some(Millis::minutes(minutes));
            rules.acknowledge_within = [None, minutes(30), minutes(10), minutes(3), minutes(1)];
            rules.report_lasting = Millis::minutes(60);
            rules.lowers = true;
        })
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    check_with(&city().build(), timeline, &expected);
}

#[test]
fn who_says_that_all_is_well_and_dies_has_ended_nothing() {
    check(
        "10:00 river-1 3.1
         10:01 river-1 2.0
         10:40 river-1 2.0
         10:41-10:51/1 river-1 2.0",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:04 sensor_silent river-1 last heard 10:01
            10:04 unknown flood#1 moderate
            10:10 escalated flood#1 moderate to shift_supervisor
            10:20 escalated flood#1 moderate to duty_officer
            10:30 escalated flood#1 moderate to phone_tree
            10:40 sensor_returned river-1 last heard 10:01
            10:40 reopened flood#1 moderate
            10:50 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn who_was_well_for_long_enough_may_die() {
    check(
        "10:00 river-1 3.1
         10:00-10:20/1 river-2 3.1
         10:01-10:12/1 river-1 2.0
         10:21-10:31/1 river-2 2.0",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:00:00.250 updated flood#1 moderate 2 sensors: river-2 3.1 599 m
            10:01 updated flood#1 moderate 2 sensors: river-2 3.1
            10:02 updated flood#1 moderate 2 sensors: river-2 3.1
            10:03 updated flood#1 moderate 2 sensors: river-2 3.1
            10:04 updated flood#1 moderate 2 sensors: river-2 3.1
            10:05 updated flood#1 moderate 2 sensors: river-2 3.1
            10:06 updated flood#1 moderate 2 sensors: river-2 3.1
            10:07 updated flood#1 moderate 2 sensors: river-2 3.1
            10:08 updated flood#1 moderate 2 sensors: river-2 3.1
            10:09 updated flood#1 moderate 2 sensors: river-2 3.1
            10:10 escalated flood#1 moderate 2 sensors to shift_supervisor
            10:10:00.250 updated flood#1 moderate 2 sensors: river-2 3.1
            10:11 updated flood#1 moderate 2 sensors: river-2 3.1
            10:12 updated flood#1 moderate 2 sensors: river-2 3.1
            10:13 updated flood#1 moderate 2 sensors: river-2 3.1
            10:14 updated flood#1 moderate 2 sensors: river-2 3.1
            10:15 sensor_silent river-1 last heard 10:12
            10:15 updated flood#1 moderate 2 sensors: river-2 3.1
            10:16 updated flood#1 moderate 2 sensors: river-2 3.1
            10:17 updated flood#1 moderate 2 sensors: river-2 3.1
            10:18 updated flood#1 moderate 2 sensors: river-2 3.1
            10:19 updated flood#1 moderate 2 sensors: river-2 3.1
            10:20 escalated flood#1 moderate 2 sensors to duty_officer
            10:20:00.250 updated flood#1 moderate 2 sensors: river-2 3.1
            10:30 escalated flood#1 moderate 2 sensors to phone_tree
            10:31 cleared flood#1 moderate 2 sensors
        "#]],
    );
}

#[test]
fn who_is_heard_to_be_well_speaks_for_who_died_too_soon() {
    check(
        "10:00 river-1 3.1
         10:00-10:01/1 river-2 3.1
         10:02-10:13/1 river-1 2.0
         10:02 river-2 2.0",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:00:00.250 updated flood#1 moderate 2 sensors: river-2 3.1 599 m
            10:01 updated flood#1 moderate 2 sensors: river-2 3.1
            10:05 sensor_silent river-2 last heard 10:02
            10:10 escalated flood#1 moderate 2 sensors to shift_supervisor
            10:12 cleared flood#1 moderate 2 sensors
        "#]],
    );
}

#[test]
fn a_person_who_is_there_ends_what_nobody_is_heard_of() {
    check(
        "10:00 river-1 3.1
         10:01 river-1 2.0
         10:30 do all_clear flood#1 by=ana note=looked
         10:31 tick
         10:45 river-1 3.1",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:04 sensor_silent river-1 last heard 10:01
            10:04 unknown flood#1 moderate
            10:10 escalated flood#1 moderate to shift_supervisor
            10:20 escalated flood#1 moderate to duty_officer
            10:30 escalated flood#1 moderate to phone_tree
            10:30 cleared flood#1 moderate by ana "looked"
            10:45 sensor_returned river-1 last heard 10:01
            10:45 reopened flood#1 moderate episode 2: river-1 3.1
        "#]],
    );
}

#[test]
fn who_dies_after_it_was_over_begins_nothing() {
    check(
        "10:00 river-1 3.1
         10:01-10:11/1 river-1 2.0
         10:30 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:10 escalated flood#1 moderate to shift_supervisor
            10:11 cleared flood#1 moderate
            10:14 sensor_silent river-1 last heard 10:11
        "#]],
    );
}
