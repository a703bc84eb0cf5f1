//! What is kept quiet on purpose: shelved, in a maintenance window, out of service.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Bundle, Schedule, Zone};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::decision::{Decision, How, RefusalCode, SuppressionChange, Verdict};
use ioc_core::limits::{
    SHELVED_MAX, SUPPRESSED_PER_STEP, SUPPRESSED_SENSORS_NAMED, SUPPRESSIONS_MAX,
};
use ioc_core::place::Polygon;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{Action, Command, Input, Quieted, Suppress};
use ioc_core::time::{Millis, Timestamp};

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::{check_reloading, check_with, run};

/// Two rivers' gauges, of which the first two stand in the harbour, in the old town; and callers.
fn builder() -> BundleBuilder {
    let ring = [
        (-100, -100),
        (1_000, -100),
        (1_000, 100),
        (-100, 100),
        (-100, -100),
    ];
    let ring = ring.map(|(east, north)| metres(east, north)).to_vec();
    let zone = |id: &str, parent: Option<&str>, areas| Zone {
        id: id.parse().unwrap(),
        name: id.into(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        areas,
    };
    let harbour = vec![Polygon::new(ring).unwrap()];
    let mut builder = BundleBuilder::new()
        .zone(zone("old-town", None, Vec::new()))
        .zone(zone("harbour", Some("old-town"), harbour));
    for (number, east) in [(1, 0), (2, 500), (3, 9_000)] {
        builder = builder.sensor_with(&format!("gauge-{number}"), "level", |sensor| {
            sensor.position = Some(metres(east, 0));
            sensor.interval = Some(Millis::minutes(20));
        });
    }
    let levels = [(Moderate, 3.0), (Severe, 4.0), (Extreme, 5.0)];
    builder
        .threshold("level-high", "level", &levels, |_| ())
        .report("call", "call", Minor, Millis::minutes(30))
        .silence("level-silent", "level", 2, Millis::minutes(5))
        .correlation("floods", "flood", &["level-high"], |_| ())
        .correlation("crowds", "crowd", &["call"], |_| ())
}

fn city() -> Arc<Bundle> {
    builder().build()
}

fn check(timeline: &str, expected: &Expect) {
    check_with(&city(), timeline, expected);
}

#[test]
fn inv_15_what_is_shelved_opens_nothing_and_acts_as_if_raised_when_that_ends() {
    check(
        "10:00 shelve sensor=gauge-1 for=60 reason=cleaning
         10:05 gauge-1 3.5
         10:30 gauge-1 3.6
         10:50 gauge-2 2.0
         10:55 gauge-3 2.0
         11:05 gauge-1 3.7",
        &expect![[r#"
            10:00 suppression_started quiet#1 gauge-1 shelved until 11:00 for cleaning of ana by ana
            10:05 suppression_updated quiet#1 gauge-1 shelved until 11:00, 1 kept: gauge-1 1
            10:50 suppression_ending_soon quiet#1 gauge-1 shelved until 11:00, 1 kept: gauge-1 1
            11:00 suppression_ended quiet#1 gauge-1: expired, 1 kept: gauge-1 1
            11:00 opened flood#1 moderate: gauge-1 3.6
            11:05 updated flood#1 moderate: gauge-1 3.7
        "#]],
    );
}

#[test]
fn inv_15_what_is_over_before_its_shelving_ends_is_never_told() {
    check(
        "10:00 shelve rule=level-high for=60
         10:05 gauge-1 3.5
         10:20 gauge-1 2.0
         10:40 gauge-1 2.0
         11:10 gauge-1 2.0",
        &expect![[r#"
            10:00 suppression_started quiet#1 level-high shelved until 11:00 for works of ana by ana
            10:05 suppression_updated quiet#1 level-high shelved until 11:00, 1 kept: gauge-1 1
            10:50 suppression_ending_soon quiet#1 level-high shelved until 11:00, 1 kept: gauge-1 1
            11:00 suppression_ended quiet#1 level-high: expired, 1 kept: gauge-1 1
        "#]],
    );
}

#[test]
fn inv_15_what_is_shelved_makes_an_incident_no_worse_and_its_end_passes() {
    check(
        "10:00 gauge-1 3.5
         10:01 shelve zone=old-town for=60
         10:05 gauge-1 4.5
         10:06 gauge-2 3.5
         10:20 gauge-2 2.0
         10:30 gauge-1 2.0
         10:50 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.5
            10:01 suppression_started quiet#1 old-town shelved until 11:01 for works of ana by ana
            10:05 suppression_updated quiet#1 old-town shelved until 11:01, 1 kept: gauge-1 1
            10:06 suppression_updated quiet#1 old-town shelved until 11:01, 2 kept: gauge-1 1, gauge-2 1
            10:40 cleared flood#1 moderate
        "#]],
    );
    check(
        "10:00 gauge-1 3.5
         10:01 shelve sensor=gauge-1 for=15
         10:05 gauge-1 4.5
         10:20 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.5
            10:01 suppression_started quiet#1 gauge-1 shelved until 10:16 for works of ana by ana
            10:05 suppression_updated quiet#1 gauge-1 shelved until 10:16, 1 kept: gauge-1 1
            10:06 suppression_ending_soon quiet#1 gauge-1 shelved until 10:16, 1 kept: gauge-1 1
            10:16 suppression_ended quiet#1 gauge-1: expired, 1 kept: gauge-1 1
            10:16 updated flood#1 severe: gauge-1 4.5
        "#]],
    );
}

#[test]
fn inv_16_what_is_extreme_is_not_hidden() {
    check(
        "10:00 shelve zone=harbour for=60
         10:05 gauge-1 5.5
         10:10 gauge-2 3.5
         10:15 gauge-2 5.5
         10:16 gauge-2 3.5",
        &expect![[r#"
            10:00 suppression_started quiet#1 harbour shelved until 11:00 for works of ana by ana
            10:05 suppression_updated quiet#1 harbour shelved until 11:00, 1 let through
            10:05 opened flood#1 extreme: gauge-1 5.5
            10:10 suppression_updated quiet#1 harbour shelved until 11:00, 1 kept: gauge-2 1, 1 let through
            10:15 suppression_updated quiet#1 harbour shelved until 11:00, 1 kept: gauge-2 1, 2 let through
            10:15 updated flood#1 extreme 2 sensors: gauge-2 5.5 499 m
            10:16 suppression_updated quiet#1 harbour shelved until 11:00, 2 kept: gauge-2 2, 2 let through
        "#]],
    );
}

#[test]
fn inv_16_an_incident_that_becomes_extreme_is_shelved_no_more() {
    check(
        "10:00 gauge-1 4.5
         10:01 shelve incident=flood#1 for=120 reason=known
         10:05 gauge-1 4.6
         10:30 gauge-1 5.5
         10:31 shelve incident=flood#1",
        &expect![[r#"
            10:00 opened flood#1 severe: gauge-1 4.5
            10:01 suppression_started quiet#1 flood#1 shelved until 12:01 for known of ana by ana
            10:01 shelved flood#1 severe by ana
            10:05 updated flood#1 severe: gauge-1 4.6
            10:30 updated flood#1 extreme: gauge-1 5.5
            10:30 suppression_ended quiet#1 flood#1: extreme
            10:31 command_refused extreme_not_shelved flood#1 new active by ana
        "#]],
    );
}

#[test]
fn nobody_is_called_for_an_incident_that_is_shelved_until_that_ends() {
    let within = |builder: BundleBuilder| {
        builder.handling(|rules| rules.acknowledge_within = [Some(Millis::minutes(3)); 5])
    };
    check_with(
        &within(builder()).build(),
        "10:00 gauge-1 3.5
         10:01 shelve incident=flood#1 for=30 reason=known
         10:15 gauge-1 3.6
         10:20 shelve incident=flood#1
         10:33 tick
         10:34 ack flood#1 by=ben request=r",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.5
            10:01 suppression_started quiet#1 flood#1 shelved until 10:31 for known of ana by ana
            10:01 shelved flood#1 moderate by ana
            10:15 updated flood#1 moderate: gauge-1 3.6
            10:20 command_refused already_there flood#1 new active by ana
            10:21 suppression_ending_soon quiet#1 flood#1 shelved until 10:31
            10:31 suppression_ended quiet#1 flood#1: expired
            10:31 unshelved flood#1 moderate
            10:34 escalated flood#1 moderate to shift_supervisor
            10:34 acknowledged flood#1 moderate by ben
        "#]],
    );
    check_with(
        &within(builder()).build(),
        "10:00 gauge-1 3.5
         10:01 shelve incident=flood#1 for=30
         10:02 end quiet#1 by=ben note=seen
         10:04 ack flood#1 by=ben request=r
         10:05 shelve incident=flood#1 for=120
         10:06 gauge-1 2.0
         11:00 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.5
            10:01 suppression_started quiet#1 flood#1 shelved until 10:31 for works of ana by ana
            10:01 shelved flood#1 moderate by ana
            10:02 suppression_ended quiet#1 flood#1: ended by ben "seen"
            10:02 unshelved flood#1 moderate by ben "seen"
            10:04 acknowledged flood#1 moderate by ben
            10:05 suppression_started quiet#2 flood#1 shelved until 12:05 for works of ana by ana
            10:05 shelved flood#1 moderate by ana
            10:16 cleared flood#1 moderate
            10:46 suppression_ended quiet#2 flood#1: incident_over
            10:46 sensor_silent gauge-1 last heard 10:06
        "#]],
    );
}

#[test]
fn a_report_that_is_shelved_counts_again_for_as_long_as_it_lasts() {
    check(
        "10:00 shelve kind=call for=20
         10:05 calls 1 kind=call id=c-1
         10:15 calls 1 kind=call id=c-2
         10:21 tick
         11:00 shelve kind=call for=60
         11:01 calls 1 kind=call id=c-3
         12:01 tick",
        &expect![[r#"
            10:00 suppression_started quiet#1 call shelved until 10:20 for works of ana by ana
            10:05 suppression_updated quiet#1 call shelved until 10:20, 1 kept: calls 1
            10:10 suppression_ending_soon quiet#1 call shelved until 10:20, 1 kept: calls 1
            10:15 suppression_updated quiet#1 call shelved until 10:20, 2 kept: calls 2
            10:20 suppression_ended quiet#1 call: expired, 2 kept: calls 2
            10:20 opened crowd#1 minor 2 sensors: calls 1, calls 1
            10:55 cleared crowd#1 minor 2 sensors
            11:00 suppression_started quiet#2 call shelved until 12:00 for works of ana by ana
            11:01 suppression_updated quiet#2 call shelved until 12:00, 1 kept: calls 1
            11:50 suppression_ending_soon quiet#2 call shelved until 12:00, 1 kept: calls 1
            12:00 suppression_ended quiet#2 call: expired, 1 kept: calls 1
        "#]],
    );
}

#[test]
fn a_sensor_that_falls_silent_where_all_is_shelved_is_told_when_that_ends() {
    check(
        "10:00 gauge-1 1.0
         10:00 gauge-2 1.0
         10:00 gauge-3 1.0
         10:10 shelve zone=harbour for=60 reason=no-power
         10:55 gauge-2 1.0
         11:15 gauge-2 1.0
         11:15 gauge-3 1.0",
        &expect![[r#"
            10:10 suppression_started quiet#1 harbour shelved until 11:10 for no-power of ana by ana
            10:40 suppression_updated quiet#1 harbour shelved until 11:10, 1 kept: gauge-1 1
            10:40 sensor_silent gauge-3 last heard 10:00
            10:41 suppression_updated quiet#1 harbour shelved until 11:10, 2 kept: gauge-1 1, gauge-2 1
            11:00 suppression_ending_soon quiet#1 harbour shelved until 11:10, 2 kept: gauge-1 1, gauge-2 1
            11:10 suppression_ended quiet#1 harbour: expired, 2 kept: gauge-1 1, gauge-2 1
            11:10 sensor_silent gauge-1 last heard 10:00
            11:15 sensor_returned gauge-3 last heard 10:00
        "#]],
    );
    // It fell silent while it was abnormal: what it said is not over, for all that is known.
    check(
        "10:00 gauge-3 1.0
         10:10 shelve sensor=gauge-1 for=60
         10:11 gauge-1 3.5
         11:15 gauge-2 1.0
         11:20 gauge-1 3.6",
        &expect![[r#"
            10:10 suppression_started quiet#1 gauge-1 shelved until 11:10 for works of ana by ana
            10:11 suppression_updated quiet#1 gauge-1 shelved until 11:10, 1 kept: gauge-1 1
            10:40 sensor_silent gauge-3 last heard 10:00
            10:51 suppression_updated quiet#1 gauge-1 shelved until 11:10, 2 kept: gauge-1 2
            11:00 suppression_ending_soon quiet#1 gauge-1 shelved until 11:10, 2 kept: gauge-1 2
            11:10 suppression_ended quiet#1 gauge-1: expired, 2 kept: gauge-1 2
            11:10 sensor_silent gauge-1 last heard 10:11
            11:10 opened flood#1 moderate: gauge-1 3.5
            11:10 unknown flood#1 moderate
            11:20 sensor_returned gauge-1 last heard 10:11
            11:20 reopened flood#1 moderate: gauge-1 3.6
        "#]],
    );
}

#[test]
fn a_gauge_that_is_washed_away_in_a_window_is_told_when_that_ends() {
    let two = builder()
        .without_correlation("floods")
        .correlation("floods", "flood", &["level-high"], |rule| {
            rule.sources_min = 2;
        })
        .window("works", nightly(600, 480), |matching| {
            matching.kind = Some("level".parse().unwrap());
        })
        .build();
    // Two are washed away; a third, far off, is silent too, and had nothing to say.
    check_with(
        &two,
        "09:55 gauge-3 1.0
         10:10 gauge-1 4.5
         10:20 gauge-2 3.5
         18:30 tick",
        &expect![[r#"
            10:00 suppression_started quiet#1 level maintenance until 18:00 for works of the pump crew
            10:10 suppression_updated quiet#1 level maintenance until 18:00, 1 kept: gauge-1 1
            10:20 suppression_updated quiet#1 level maintenance until 18:00, 2 kept: gauge-1 1, gauge-2 1
            10:35 suppression_updated quiet#1 level maintenance until 18:00, 3 kept: gauge-1 1, gauge-2 1, gauge-3 1
            10:50 suppression_updated quiet#1 level maintenance until 18:00, 4 kept: gauge-1 2, gauge-2 1, gauge-3 1
            11:00 suppression_updated quiet#1 level maintenance until 18:00, 5 kept: gauge-1 2, gauge-2 2, gauge-3 1
            18:00 suppression_ended quiet#1 level: expired, 5 kept: gauge-1 2, gauge-2 2, gauge-3 1
            18:00 sensor_silent gauge-1 last heard 10:10
            18:00 sensor_silent gauge-2 last heard 10:20
            18:00 sensor_silent gauge-3 last heard 09:55
            18:00 opened flood#1 severe 2 sensors: gauge-1 4.5, gauge-2 3.5 499 m
            18:00 unknown flood#1 severe 2 sensors
        "#]],
    );
    // One alone waits for company, and is not told by that either.
    check_with(
        &two,
        "10:10 gauge-1 4.5
         18:30 gauge-2 3.5
         18:40 gauge-2 1.0",
        &expect![[r#"
            10:00 suppression_started quiet#1 level maintenance until 18:00 for works of the pump crew
            10:10 suppression_updated quiet#1 level maintenance until 18:00, 1 kept: gauge-1 1
            10:50 suppression_updated quiet#1 level maintenance until 18:00, 2 kept: gauge-1 2
            18:00 suppression_ended quiet#1 level: expired, 2 kept: gauge-1 2
            18:00 sensor_silent gauge-1 last heard 10:10
            18:30 opened flood#1 severe 2 sensors: gauge-1 4.5, gauge-2 3.5 499 m
            18:40 unknown flood#1 severe 2 sensors
        "#]],
    );
}

#[test]
fn what_a_sensor_says_that_is_worked_at_and_then_falls_silent_says_nothing() {
    for shelved in ["", "10:01 shelve zone=harbour for=240\n"] {
        let told = run(
            &[("first", &city())],
            &format!(
                "10:00 out_of_service gauge-1 for=120 reason=calibration
                 {shelved}10:05 gauge-1 4.5
                 14:30 tick
                 14:40 gauge-1 4.5"
            ),
        );
        let about = told.lines().filter(|line| line.contains(" flood#1 "));
        let about: Vec<_> = about.collect();
        assert_eq!(
            about,
            ["14:40 opened flood#1 severe: gauge-1 4.5"],
            "{told}"
        );
        assert!(
            told.contains("sensor_silent gauge-1 last heard 10:05"),
            "{told}"
        );
    }
}

#[test]
fn what_a_sensor_out_of_service_says_says_nothing() {
    // The commonest false alarm: a detector that is calibrated.
    check(
        "10:00 out_of_service gauge-1 for=120 reason=calibration
         10:05 gauge-1 5.5
         10:10 gauge-1 1.0
         10:15 gauge-1 4.5
         10:16 out_of_service gauge-1
         10:20 gauge-1 1.0
         12:10 tick",
        &expect![[r#"
            10:00 suppression_started quiet#1 gauge-1 out_of_service until 12:00 for calibration of ana by ana
            10:05 suppression_updated quiet#1 gauge-1 out_of_service until 12:00, 1 kept: gauge-1 1
            10:15 suppression_updated quiet#1 gauge-1 out_of_service until 12:00, 2 kept: gauge-1 2
            10:16 command_refused already_there by ana
            11:00 suppression_updated quiet#1 gauge-1 out_of_service until 12:00, 3 kept: gauge-1 3
            11:50 suppression_ending_soon quiet#1 gauge-1 out_of_service until 12:00, 3 kept: gauge-1 3
            12:00 suppression_ended quiet#1 gauge-1: expired, 3 kept: gauge-1 3
            12:00 sensor_silent gauge-1 last heard 10:20
        "#]],
    );
}

#[test]
fn an_incident_is_blind_in_a_sensor_that_is_out_of_service() {
    check(
        "10:00 gauge-1 4.5
         10:05 out_of_service gauge-1 for=60
         10:10 gauge-1 1.0
         10:30 gauge-1 5.5
         10:40 gauge-1 1.0
         11:05 tick
         11:20 tick",
        &expect![[r#"
            10:00 opened flood#1 severe: gauge-1 4.5
            10:05 suppression_started quiet#1 gauge-1 out_of_service until 11:05 for works of ana by ana
            10:05 unknown flood#1 severe
            10:10 suppression_updated quiet#1 gauge-1 out_of_service until 11:05, 1 kept: gauge-1 1
            10:55 suppression_ending_soon quiet#1 gauge-1 out_of_service until 11:05, 1 kept: gauge-1 1
            11:05 suppression_ended quiet#1 gauge-1: expired, 1 kept: gauge-1 1
            11:05 reopened flood#1 severe
            11:15 cleared flood#1 severe
            11:20 sensor_silent gauge-1 last heard 10:40
        "#]],
    );
    check(
        "10:00 gauge-1 4.5
         10:05 out_of_service gauge-1 for=60
         10:10 gauge-1 1.0
         10:30 gauge-1 5.5
         11:05 tick",
        &expect![[r#"
            10:00 opened flood#1 severe: gauge-1 4.5
            10:05 suppression_started quiet#1 gauge-1 out_of_service until 11:05 for works of ana by ana
            10:05 unknown flood#1 severe
            10:10 suppression_updated quiet#1 gauge-1 out_of_service until 11:05, 1 kept: gauge-1 1
            10:55 suppression_ending_soon quiet#1 gauge-1 out_of_service until 11:05, 1 kept: gauge-1 1
            11:05 suppression_ended quiet#1 gauge-1: expired, 1 kept: gauge-1 1
            11:05 reopened flood#1 severe
            11:05 updated flood#1 extreme: gauge-1 5.5
        "#]],
    );
    // Who repairs a silent sensor is the first to hear it.
    check(
        "10:00 gauge-1 4.5
         10:41 out_of_service gauge-1 for=60
         10:50 gauge-1 4.4
         11:45 gauge-1 1.0
         12:00 gauge-1 1.0",
        &expect![[r#"
            10:00 opened flood#1 severe: gauge-1 4.5
            10:40 sensor_silent gauge-1 last heard 10:00
            10:40 unknown flood#1 severe
            10:41 suppression_started quiet#1 gauge-1 out_of_service until 11:41 for works of ana by ana
            10:50 suppression_updated quiet#1 gauge-1 out_of_service until 11:41, 1 kept: gauge-1 1
            10:50 sensor_returned gauge-1 last heard 10:00
            11:30 suppression_updated quiet#1 gauge-1 out_of_service until 11:41, 2 kept: gauge-1 2
            11:31 suppression_ending_soon quiet#1 gauge-1 out_of_service until 11:41, 2 kept: gauge-1 2
            11:41 suppression_ended quiet#1 gauge-1: expired, 2 kept: gauge-1 2
            11:41 sensor_silent gauge-1 last heard 10:50
            11:41 updated flood#1 severe unknown: gauge-1 4.4
            11:45 sensor_returned gauge-1 last heard 10:50
            11:45 reopened flood#1 severe
            11:55 cleared flood#1 severe
        "#]],
    );
}

#[test]
fn what_is_kept_quiet_is_extended_reminded_of_and_ended_by_people() {
    check(
        "10:00 shelve sensor=gauge-1 for=30 reason=cleaning request=a
         10:00:01 shelve sensor=gauge-1 for=30 reason=cleaning request=a
         10:25 extend quiet#1 for=60 by=ben note=it-takes-longer
         10:30 gauge-1 3.5
         11:20 end quiet#1 by=ben
         11:21 end quiet#1 by=ben
         11:22 extend quiet#1 for=5",
        &expect![[r#"
            10:00 suppression_started quiet#1 gauge-1 shelved until 10:30 for cleaning of ana by ana
            10:20 suppression_ending_soon quiet#1 gauge-1 shelved until 10:30
            10:25 suppression_extended quiet#1 gauge-1 shelved until 11:25 by ben "it-takes-longer"
            10:30 suppression_updated quiet#1 gauge-1 shelved until 11:25, 1 kept: gauge-1 1
            11:10 suppression_updated quiet#1 gauge-1 shelved until 11:25, 2 kept: gauge-1 2
            11:15 suppression_ending_soon quiet#1 gauge-1 shelved until 11:25, 2 kept: gauge-1 2
            11:20 suppression_ended quiet#1 gauge-1: ended, 2 kept: gauge-1 2 by ben
            11:20 sensor_silent gauge-1 last heard 10:30
            11:20 opened flood#1 moderate: gauge-1 3.5
            11:20 unknown flood#1 moderate
            11:21 command_refused unknown_suppression by ben
            11:22 command_refused unknown_suppression by ana
        "#]],
    );
}

#[test]
fn inv_16_shelving_has_an_end_and_matches_something() {
    check(
        "10:00 shelve sensor=gauge-1 for=100000
         10:01 shelve sensor=gauge-2 for=0
         10:02 shelve zone=nowhere
         10:03 shelve rule=level-low
         10:04 shelve kind=smell
         10:05 shelve incident=flood#1
         10:06 out_of_service gauge-3 for=1000000
         10:07 extend quiet#1 for=100000
         10:08 extend quiet#1 for=-1",
        &expect![[r#"
            10:00 suppression_started quiet#1 gauge-1 shelved until 18:00 for works of ana by ana
            10:01 command_refused too_late by ana
            10:02 command_refused matches_nothing by ana
            10:03 command_refused matches_nothing by ana
            10:04 command_refused matches_nothing by ana
            10:05 command_refused unknown_incident by ana
            10:06 suppression_started quiet#2 gauge-3 out_of_service until 30d 10:06 for works of ana by ana
            10:07 suppression_extended quiet#1 gauge-1 shelved until 18:07 by ana
            10:08 command_refused too_late by ana
        "#]],
    );
}

#[test]
fn what_is_shelved_begins_no_sequence() {
    let rules = |builder: BundleBuilder| {
        builder
            .threshold("rain-heavy", "rain", &[(Minor, 10.0)], |_| ())
            .sequence("rain-then-level", ("rain-heavy", "level-high"), |_| ())
            .correlation("warnings", "warning", &["rain-then-level"], |_| ())
    };
    check_with(
        &rules(builder()).build(),
        "10:00 shelve kind=rain for=20
         10:01 rain-1 12 kind=rain at=0,0
         10:05 gauge-1 3.5
         10:20 gauge-1 2.0
         10:21 gauge-1 3.5
         10:30 shelve rule=rain-then-level for=30
         10:35 gauge-1 2.0
         10:36 gauge-1 3.5
         11:00 tick",
        &expect![[r#"
            10:00 suppression_started quiet#1 rain shelved until 10:20 for works of ana by ana
            10:01 suppression_updated quiet#1 rain shelved until 10:20, 1 kept: rain-1 1
            10:05 opened flood#1 moderate: gauge-1 3.5
            10:10 suppression_ending_soon quiet#1 rain shelved until 10:20, 1 kept: rain-1 1
            10:20 suppression_ended quiet#1 rain: expired, 1 kept: rain-1 1
            10:21 updated flood#1 moderate: gauge-1 3.5
            10:21 opened warning#1 severe: gauge-1 3.5
            10:30 suppression_started quiet#2 rain-then-level shelved until 11:00 for works of ana by ana
            10:36 suppression_updated quiet#2 rain-then-level shelved until 11:00, 1 kept: gauge-1 1
            10:36 updated flood#1 moderate: gauge-1 3.5
            10:45 cleared warning#1 severe
            10:50 suppression_ending_soon quiet#2 rain-then-level shelved until 11:00, 1 kept: gauge-1 1
            11:00 suppression_ended quiet#2 rain-then-level: expired, 1 kept: gauge-1 1
            11:00 reopened warning#1 severe episode 2: gauge-1 3.5
        "#]],
    );
}

fn nightly(minute: u16, minutes: i64) -> Schedule {
    Schedule::Every {
        day: None,
        minute,
        lasting: Millis::minutes(minutes),
        ahead: Millis::ZERO,
    }
}

#[test]
fn a_maintenance_window_comes_again_and_what_is_extreme_passes() {
    let windows = builder().window("pumps", nightly(120, 60), |own| {
        own.zone = Some("old-town".parse().unwrap());
    });
    check_with(
        &windows.build(),
        "02:10 gauge-1 3.5
         02:20 gauge-1 2.0
         02:30 gauge-2 5.5
         02:40 gauge-2 2.0
         1d 02:10 gauge-1 3.5
         1d 02:15 end quiet#2 by=ben note=done
         1d 02:16 extend quiet#1 for=5
         2d 01:00 gauge-1 2.0
         2d 02:30 extend quiet#3 for=5",
        &expect![[r#"
            02:00 suppression_started quiet#1 old-town maintenance until 03:00 for works of the pump crew
            02:10 suppression_updated quiet#1 old-town maintenance until 03:00, 1 kept: gauge-1 1
            02:30 suppression_updated quiet#1 old-town maintenance until 03:00, 1 kept: gauge-1 1, 1 let through
            02:30 opened flood#1 extreme: gauge-2 5.5
            02:50 cleared flood#1 extreme
            03:00 suppression_ended quiet#1 old-town: expired, 1 kept: gauge-1 1, 1 let through
            03:00 sensor_silent gauge-1 last heard 02:20
            03:20 sensor_silent gauge-2 last heard 02:40
            1d 02:00 suppression_started quiet#2 old-town maintenance until 1d 03:00 for works of the pump crew
            1d 02:10 suppression_updated quiet#2 old-town maintenance until 1d 03:00, 1 kept: gauge-1 1
            1d 02:10 sensor_returned gauge-1 last heard 02:20
            1d 02:15 suppression_ended quiet#2 old-town: ended, 1 kept: gauge-1 1 by ben "done"
            1d 02:15 opened flood#2 moderate: gauge-1 3.5
            1d 02:16 command_refused unknown_suppression by ana
            1d 02:50 sensor_silent gauge-1 last heard 1d 02:10
            1d 02:50 unknown flood#2 moderate
            2d 01:00 sensor_returned gauge-1 last heard 1d 02:10
            2d 01:00 reopened flood#2 moderate
            2d 01:10 cleared flood#2 moderate
            2d 01:40 sensor_silent gauge-1 last heard 2d 01:00
            2d 02:00 suppression_started quiet#3 old-town maintenance until 2d 03:00 for works of the pump crew
            2d 02:30 command_refused unknown_suppression by ana
        "#]],
    );
}

#[test]
fn a_window_that_a_reload_brings_is_open_and_one_that_it_takes_away_ends() {
    let with = |minutes| {
        let windows = builder().window("pumps", nightly(120, minutes), |own| {
            own.kind = Some("level".parse().unwrap());
        });
        windows.build()
    };
    let (without, short, long) = (city(), with(60), with(90));
    check_reloading(
        &[("without", &without), ("short", &short), ("long", &long)],
        "02:10 reload short
         02:11 gauge-1 3.5
         02:20 reload long
         02:30 reload long
         02:40 reload without
         03:00 tick",
        &expect![[r#"
            02:10 rules_changed
            02:10 suppression_started quiet#1 level maintenance until 03:00 for works of the pump crew
            02:11 suppression_updated quiet#1 level maintenance until 03:00, 1 kept: gauge-1 1
            02:20 rules_changed
            02:20 suppression_ended quiet#1 level: rules_changed, 1 kept: gauge-1 1
            02:20 suppression_started quiet#2 level maintenance until 03:30 for works of the pump crew
            02:21 suppression_updated quiet#2 level maintenance until 03:30, 1 kept: gauge-1 1
            02:30 rules_changed
            02:40 rules_changed
            02:40 suppression_ended quiet#2 level: rules_changed, 1 kept: gauge-1 1
            02:40 opened flood#1 moderate: gauge-1 3.5
            02:51 sensor_silent gauge-1 last heard 02:11
            02:51 unknown flood#1 moderate
        "#]],
    );
}

/// A shelving that a restart must not forget, after every record of which a restart comes: `run`
/// restarts after each and compares.
#[test]
fn alertmanager_1639_730_a_shelving_is_not_forgotten_by_a_restart() {
    let told = run(
        &[("first", &city())],
        "10:00 shelve sensor=gauge-1 for=60
         10:05 gauge-1 3.5
         10:10 started after=10:05
         10:15 gauge-1 3.6
         10:59 gauge-1 3.7",
    );
    assert!(!told.contains("opened"), "{told}");
}

#[test]
fn alertmanager_3457_a_shelving_does_not_end_by_surprise_nor_come_back() {
    let told = run(
        &[("first", &city())],
        "10:00 shelve sensor=gauge-1 for=60
         10:05 gauge-1 3.5
         12:00 started after=10:30
         12:01 gauge-1 3.6
         12:10 started after=12:05
         12:20 gauge-1 3.7",
    );
    // Its time passed while nobody was there: it is told in its order, and once.
    let ending: Vec<_> = told
        .lines()
        .filter(|line| line.contains("suppression_"))
        .collect();
    assert_eq!(ending.len(), 4, "{told}");
    assert!(
        ending[2].starts_with("10:50 suppression_ending_soon"),
        "{told}"
    );
    assert!(ending[3].starts_with("11:00 suppression_ended"), "{told}");
    assert_eq!(told.matches("11:00 opened flood#1").count(), 1, "{told}");
}

#[test]
fn alertmanager_4064_2628_nothing_is_told_by_a_restart_that_was_kept_quiet_before() {
    let told = run(
        &[("first", &city())],
        "10:00 gauge-2 1.0
         10:00 shelve zone=harbour for=240
         10:05 gauge-1 3.5
         11:30 started after=10:06
         11:31 gauge-1 3.5
         13:30 started after=11:32",
    );
    let after = told.lines().filter(|line| *line > "10:00:01");
    let after: Vec<_> = after
        .filter(|line| !line.contains("suppression_") && !line.contains("gauge-3"))
        .collect();
    assert!(after.is_empty(), "{told}");
}

/// So many gauges in a row, each an incident by itself.
fn row(count: i32) -> Arc<Bundle> {
    let builder = BundleBuilder::new()
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["level-high"], |rule| {
            rule.within_m = 10;
        });
    let place = |number| metres(number % 100 * 50, number / 100 * 50);
    (0..count)
        .fold(builder, |builder, number| {
            builder.sensor(&format!("gauge-{number:04}"), "level", place(number))
        })
        .build()
}

fn high(history: &mut History, at: Timestamp, number: i32) {
    let reading = Reading {
        id: &format!("r-{number}"),
        sensor: &format!("gauge-{number:04}"),
        kind: "level",
        observed_at: at,
        received_at: None,
        value: 4.0,
        unit: "",
        position: None,
        attributes: Attributes::default(),
    };
    history.push(at, &Input::Reading(reading));
}

fn shelve(history: &mut History, at: Timestamp, request: &str, minutes: i64) {
    let command = Command {
        request,
        actor: "ana",
        action: Action::Suppress(Suppress {
            how: How::Shelved,
            target: Quieted::Detections {
                sensor: "",
                zone: "",
                kind: "level",
                rule: "",
            },
            until: at + Millis::minutes(minutes),
            reason: "works",
        }),
    };
    history.push(at, &Input::Command(command));
}

fn opened(decisions: &[Decision]) -> Vec<Timestamp> {
    let opened = decisions
        .iter()
        .filter(|decision| matches!(decision.verdict, Verdict::IncidentOpened(_)));
    opened.map(|decision| decision.at).collect()
}

#[test]
fn p5_what_counts_again_at_once_does_so_in_steps() {
    let count = 200;
    let mut history = History::new(row(count));
    let at = MIDNIGHT + Millis::minutes(1);
    shelve(&mut history, at, "r", 30);
    (0..count).for_each(|number| high(&mut history, at, number));
    history.push(at + Millis::minutes(40), &Input::Tick);
    let outcome = history.run(&Manner::plain());
    let opened = opened(&outcome.decisions);
    assert_eq!(opened.len(), count as usize);
    for step in opened.chunks(SUPPRESSED_PER_STEP) {
        assert_eq!(step.first(), step.last());
    }
    let steps: std::collections::BTreeSet<_> = opened.iter().collect();
    assert_eq!(steps.len(), (count as usize).div_ceil(SUPPRESSED_PER_STEP));
    let restarted = Manner {
        restarts: vec![(100, 3), (202, 2)],
        ..Manner::plain()
    };
    assert_eq!(outcome, history.run(&restarted));
    // The first so many sensors are named, all are counted.
    let ended = outcome.decisions.iter().find_map(|decision| {
        let ended = decision.verdict.word() == SuppressionChange::Ended.word();
        decision.verdict.suppression().filter(|_| ended)
    });
    let ended = ended.unwrap();
    assert_eq!(ended.detections, count as u64);
    assert_eq!(ended.sensors.len(), SUPPRESSED_SENSORS_NAMED);
}

#[test]
fn inv_15_what_counts_again_by_itself_is_not_told_twice_by_its_step() {
    // Between the end and its step, what is about one of them is told by what it says.
    let count = 80;
    let mut history = History::new(row(count));
    let at = MIDNIGHT + Millis::minutes(1);
    shelve(&mut history, at, "r", 30);
    (0..count).for_each(|number| high(&mut history, at, number));
    let ends = at + Millis::minutes(30);
    for number in [79, 78] {
        let reading = Reading {
            id: "again",
            sensor: &format!("gauge-{number:04}"),
            kind: "level",
            observed_at: ends,
            received_at: None,
            value: if number == 79 { 4.5 } else { 1.0 },
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        history.push(ends, &Input::Reading(reading));
    }
    history.push(at + Millis::minutes(40), &Input::Tick);
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    assert_eq!(opened(&decisions).len(), count as usize - 1);
}

#[test]
fn p5_people_keep_so_much_quiet_and_no_more() {
    let mut history = History::new(city());
    let at = MIDNIGHT + Millis::minutes(1);
    for number in 0..=SUPPRESSIONS_MAX {
        shelve(&mut history, at, &format!("r-{number}"), 600);
    }
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    let Verdict::CommandRefused(refusal) = &decisions.last().unwrap().verdict else {
        panic!("{:?}", decisions.last());
    };
    assert_eq!(refusal.code, RefusalCode::TooManySuppressions);
    let started = decisions[1].verdict.suppression().unwrap();
    assert_eq!(started.until, at + SHELVED_MAX);
}

#[test]
fn who_works_at_a_sensor_of_a_large_incident_that_is_being_forgotten_stops_nothing() {
    let mut builder = BundleBuilder::new();
    let (mut timeline, mut normal) = (String::new(), String::new());
    for number in 0..400 {
        let id = format!("gauge-{number:03}");
        builder = builder.sensor(&id, "level", metres(0, 0));
        timeline += &format!("10:00 {id} 3.5\n");
        normal += &format!("10:01 {id} 1\n");
    }
    let bundle = builder
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["level-high"], |_| ())
        .build();
    // The incident is over for good at 10:41: its members are let go little by little.
    timeline += &format!(
        "{normal}10:41 tick
         10:41 out_of_service gauge-399 for=60 by=ana reason=calibration
         10:42 end quiet#1 by=ana
         10:50 gauge-399 3.5"
    );
    let told = run(&[("first", &bundle)], &timeline);
    let last = told.lines().last().unwrap();
    assert_eq!(last, "10:50 opened flood#2 moderate: gauge-399 3.5");
}
