//! How an incident goes on, gets less and ends: what is heard no more ends nothing, and what gets
//! less says so.

use expect_test::{Expect, expect};
use ioc_core::bundle::Schedule;
use ioc_core::decision::Decision;
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::time::{Millis, Timestamp};

use crate::support::{BundleBuilder, MIDNIGHT, Manner, metres};
use crate::timeline::{check_with, history};

/// Two gauges of one river that report each minute, callers, and people who are asked to look.
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

#[test]
fn thingsboard_11803_what_one_gauge_says_is_less_grave_when_the_gauge_has_said_so_for_long() {
    // A value that is back from the severe level by less than the gap to clear is severe still.
    check(
        "10:00 river-1 3.9
         10:02 do confirm flood#1 by=ana
         10:02-10:06/2 river-1 3.6
         10:08-10:22/2 river-1 3.2
         10:24-10:34/2 river-1 2.0",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:02 confirmed flood#1 severe without acknowledged by ana
            10:02 updated flood#1 severe: river-1 3.6
            10:04 updated flood#1 severe: river-1 3.6
            10:06 updated flood#1 severe: river-1 3.6
            10:08 updated flood#1 severe: river-1 3.2
            10:10 updated flood#1 severe: river-1 3.2
            10:12 updated flood#1 severe: river-1 3.2
            10:14 updated flood#1 severe: river-1 3.2
            10:16 updated flood#1 severe: river-1 3.2
            10:18 rated flood#1 moderate
            10:18:00.250 updated flood#1 moderate: river-1 3.2
            10:20 updated flood#1 moderate: river-1 3.2
            10:22 updated flood#1 moderate: river-1 3.2
            10:34 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn what_is_no_evidence_any_more_and_not_yet_normal_is_less_grave_too() {
    check(
        "10:00 river-1 4.6
         10:01-10:15/1 river-1 2.8
         10:16-10:28/1 river-1 2.0",
        expect![[r#"
            10:00 opened flood#1 extreme: river-1 4.6
            10:01 escalated flood#1 extreme to shift_supervisor
            10:02 escalated flood#1 extreme to duty_officer
            10:03 escalated flood#1 extreme to phone_tree
            10:11 rated flood#1 moderate
            10:26 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn what_rises_again_before_the_time_is_over_was_never_less() {
    check(
        "10:00 river-1 3.9
         10:01 do confirm flood#1 by=ana
         10:02-10:08/2 river-1 3.2
         10:10 river-1 3.9
         10:12-10:24/2 river-1 3.2",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 confirmed flood#1 severe without acknowledged by ana
            10:02 updated flood#1 severe: river-1 3.2
            10:04 updated flood#1 severe: river-1 3.2
            10:06 updated flood#1 severe: river-1 3.2
            10:08 updated flood#1 severe: river-1 3.2
            10:10 updated flood#1 severe: river-1 3.9
            10:12 updated flood#1 severe: river-1 3.2
            10:14 updated flood#1 severe: river-1 3.2
            10:16 updated flood#1 severe: river-1 3.2
            10:18 updated flood#1 severe: river-1 3.2
            10:20 updated flood#1 severe: river-1 3.2
            10:22 rated flood#1 moderate
            10:22:00.250 updated flood#1 moderate: river-1 3.2
            10:24 updated flood#1 moderate: river-1 3.2
        "#]],
    );
}

#[test]
fn it_falls_to_the_gravest_that_it_was_while_it_was_less_and_then_further() {
    check(
        "10:00 river-1 4.6
         10:01 do confirm flood#1 by=ana
         10:02-10:06/2 river-1 4.0
         10:08-10:24/2 river-1 3.2",
        expect![[r#"
            10:00 opened flood#1 extreme: river-1 4.6
            10:01 escalated flood#1 extreme to shift_supervisor
            10:01 confirmed flood#1 extreme without acknowledged by ana
            10:02 updated flood#1 extreme: river-1 4
            10:04 updated flood#1 extreme: river-1 4
            10:06 updated flood#1 extreme: river-1 4
            10:08 updated flood#1 extreme: river-1 3.2
            10:10 updated flood#1 extreme: river-1 3.2
            10:12 rated flood#1 severe
            10:12:00.250 updated flood#1 severe: river-1 3.2
            10:14 updated flood#1 severe: river-1 3.2
            10:16 updated flood#1 severe: river-1 3.2
            10:18 updated flood#1 severe: river-1 3.2
            10:20 updated flood#1 severe: river-1 3.2
            10:22 rated flood#1 moderate
            10:22:00.250 updated flood#1 moderate: river-1 3.2
            10:24 updated flood#1 moderate: river-1 3.2
        "#]],
    );
}

#[test]
fn only_a_person_lowers_it_where_the_rules_say_so() {
    let bundle = city().handling(|rules| rules.lowers = false).build();
    check_with(
        &bundle,
        "10:00 river-1 3.9
         10:01 do confirm flood#1 by=ana
         10:02-10:20/2 river-1 3.2",
        &expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 confirmed flood#1 severe without acknowledged by ana
            10:02 updated flood#1 severe: river-1 3.2
            10:04 updated flood#1 severe: river-1 3.2
            10:06 updated flood#1 severe: river-1 3.2
            10:08 updated flood#1 severe: river-1 3.2
            10:10 updated flood#1 severe: river-1 3.2
            10:12 updated flood#1 severe: river-1 3.2
            10:14 updated flood#1 severe: river-1 3.2
            10:16 updated flood#1 severe: river-1 3.2
            10:18 updated flood#1 severe: river-1 3.2
            10:20 updated flood#1 severe: river-1 3.2
        "#]],
    );
}

#[test]
fn as_many_readings_as_clear_it_make_it_less_grave() {
    let bundle = city()
        .threshold(
            "often-high",
            "water_level",
            &[(Moderate, 3.0), (Severe, 3.8)],
            |rule| {
                rule.clear_gap = 0.3;
                rule.clear_readings_min = 3;
            },
        )
        .correlation("often", "often_flood", &["often-high"], |rule| {
            rule.clear_after = Millis::minutes(5);
        })
        .build();
    check_with(
        &bundle,
        "10:00 river-1 3.9
         10:01-10:02/1 river-1 3.2
         10:03 river-1 3.6
         10:04-10:12/1 river-1 3.2",
        &expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:00 opened often_flood#1 severe: river-1 3.9
            10:01 updated flood#1 severe: river-1 3.2
            10:01 updated often_flood#1 severe: river-1 3.2
            10:02 updated flood#1 severe: river-1 3.2
            10:02 updated often_flood#1 severe: river-1 3.2
            10:03 escalated flood#1 severe to shift_supervisor
            10:03 escalated often_flood#1 severe to shift_supervisor
            10:03:00.250 updated flood#1 severe: river-1 3.6
            10:03:00.250 updated often_flood#1 severe: river-1 3.6
            10:04 updated flood#1 severe: river-1 3.2
            10:04 updated often_flood#1 severe: river-1 3.2
            10:05 updated flood#1 severe: river-1 3.2
            10:05 updated often_flood#1 severe: river-1 3.2
            10:06 escalated flood#1 severe to duty_officer
            10:06 escalated often_flood#1 severe to duty_officer
            10:06:00.250 updated flood#1 severe: river-1 3.2
            10:06:00.250 updated often_flood#1 severe: river-1 3.2
            10:07 updated flood#1 severe: river-1 3.2
            10:07 updated often_flood#1 severe: river-1 3.2
            10:08 updated flood#1 severe: river-1 3.2
            10:08 updated often_flood#1 severe: river-1 3.2
            10:09 escalated flood#1 severe to phone_tree
            10:09 escalated often_flood#1 severe to phone_tree
            10:09:00.250 updated flood#1 severe: river-1 3.2
            10:09:00.250 updated often_flood#1 severe: river-1 3.2
            10:10 updated flood#1 severe: river-1 3.2
            10:10 updated often_flood#1 severe: river-1 3.2
            10:11 rated flood#1 moderate
            10:11 rated often_flood#1 moderate
            10:11:00.250 updated flood#1 moderate: river-1 3.2
            10:11:00.250 updated often_flood#1 moderate: river-1 3.2
            10:12 updated flood#1 moderate: river-1 3.2
            10:12 updated often_flood#1 moderate: river-1 3.2
        "#]],
    );
}

#[test]
fn what_is_shelved_gets_less_grave_all_the_same() {
    check(
        "10:00 river-1 3.9
         10:01 shelve sensor=river-1 for=60 by=ana reason=works
         10:02-10:20/1 river-1 3.2",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 suppression_started quiet#1 river-1 shelved until 11:01 for works of ana by ana
            10:02 suppression_updated quiet#1 river-1 shelved until 11:01, 1 kept: river-1 1
            10:03 escalated flood#1 severe to shift_supervisor
            10:06 escalated flood#1 severe to duty_officer
            10:09 escalated flood#1 severe to phone_tree
            10:12 rated flood#1 moderate
        "#]],
    );
}

#[test]
fn inv_17_what_a_person_rates_down_is_passed_on_at_the_new_pace() {
    check(
        "10:00 river-1 3.9
         10:01 do rate flood#1 by=ana severity=minor
         11:40 tick",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 rated flood#1 minor by ana
            10:03 sensor_silent river-1 last heard 10:00
            10:03 unknown flood#1 minor
            10:30 escalated flood#1 minor to shift_supervisor
            11:00 escalated flood#1 minor to duty_officer
            11:30 escalated flood#1 minor to phone_tree
        "#]],
    );
}

#[test]
fn inv_17_what_gets_less_grave_is_passed_on_as_if_it_had_been_so() {
    let bundle = city().handling(|rules| {
        let minutes = |minutes| Some(Millis::minutes(minutes));
        rules.acknowledge_within = [None, minutes(30), minutes(20), minutes(8), minutes(1)];
    });
    check_with(
        &bundle.build(),
        "10:00 river-1 3.9
         10:02-10:12/2 river-1 2.9
         10:42 tick",
        &expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:08 escalated flood#1 severe to shift_supervisor
            10:12 rated flood#1 moderate
            10:15 sensor_silent river-1 last heard 10:12
            10:15 unknown flood#1 moderate
            10:40 escalated flood#1 moderate to duty_officer
        "#]],
    );
}

#[test]
fn inv_17_the_part_that_is_left_of_a_split_is_passed_on_at_its_pace() {
    check(
        "10:00 river-1 3.9
         10:00 river-2 3.1
         10:01 do split flood#1 by=ana sources=river-1
         10:01 ack flood#2 by=ben
         10:11 tick",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:00:00.250 updated flood#1 severe 2 sensors: river-2 3.1 599 m
            10:01 split flood#2 severe from flood#1: river-1 by ana
            10:01 updated flood#1 moderate by ana
            10:01 acknowledged flood#2 severe by ben
            10:03 sensor_silent river-1 last heard 10:00
            10:03 unknown flood#2 severe
            10:03 sensor_silent river-2 last heard 10:00
            10:03 unknown flood#1 moderate
            10:10 escalated flood#1 moderate to shift_supervisor
        "#]],
    );
}

#[test]
fn inv_20_a_dismissed_incident_that_comes_back_is_to_be_seen_anew() {
    check(
        "10:00 river-1 3.1
         10:01 do dismiss flood#1 by=ana reason=false_alarm
         10:02-10:13/1 river-1 2.0
         10:30 river-1 3.1
         10:45 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:01 dismissed flood#1 moderate as false_alarm by ana
            10:12 cleared flood#1 moderate
            10:16 sensor_silent river-1 last heard 10:13
            10:30 sensor_returned river-1 last heard 10:13
            10:30 reopened flood#1 moderate episode 2: river-1 3.1
            10:33 sensor_silent river-1 last heard 10:30
            10:33 unknown flood#1 moderate episode 2
            10:40 escalated flood#1 moderate episode 2 to shift_supervisor
        "#]],
    );
}

#[test]
fn a_dismissal_holds_while_what_was_dismissed_goes_on() {
    check(
        "10:00 river-1 3.1
         10:01 do dismiss flood#1 by=ana reason=false_alarm
         10:02-10:04/1 river-1 2.0
         10:06-10:16/2 river-1 3.1",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:01 dismissed flood#1 moderate as false_alarm by ana
            10:06 updated flood#1 moderate: river-1 3.1
            10:08 updated flood#1 moderate: river-1 3.1
            10:10 updated flood#1 moderate: river-1 3.1
            10:12 updated flood#1 moderate: river-1 3.1
            10:14 updated flood#1 moderate: river-1 3.1
            10:16 updated flood#1 moderate: river-1 3.1
        "#]],
    );
}

/// What is decided of readings that bring their time, where rules came to hold at this time.
fn decided(rules_at: Timestamp) -> Vec<Decision> {
    let bundle = city()
        .window(
            "weekly",
            Schedule::Every {
                day: Some(5),
                minute: 60,
                lasting: Millis::minutes(120),
                ahead: Millis::ZERO,
            },
            |what| what.kind = Some("water_level".parse().unwrap()),
        )
        .build();
    let timeline = "00:30 tick\n01:30 river-1 3.1\n03:30 river-1 3.1";
    let mut history = history(&[("first", &bundle)], timeline);
    history.inputs[0].0 = rules_at;
    let outcome = history.run(&Manner::plain());
    let restarted = Manner {
        restarts: vec![(1, 2), (2, 1), (3, 3)],
        ..Manner::plain()
    };
    assert_eq!(
        outcome,
        history.run(&restarted),
        "a restart tells otherwise"
    );
    outcome.decisions[1..].to_vec()
}

#[test]
fn the_weeks_before_the_first_of_recorded_readings_have_no_maintenance_windows() {
    // The 14th of March 2026 is a Saturday.
    let live = decided(Timestamp::from_millis(0));
    assert_eq!(live, decided(MIDNIGHT));
    let words = live.iter().map(|decision| decision.verdict.word());
    let started = words.filter(|word| *word == "suppression_started");
    assert_eq!(started.count(), 1);
}

/// Fire detectors, and an air station between them that shows where the smoke goes.
fn haze(timeline: &str, expected: &Expect) {
    let bundle = BundleBuilder::new()
        .sensor("smoke-1", "smoke", metres(0, 0))
        .sensor("smoke-2", "smoke", metres(1_100, 0))
        .sensor("air", "air", metres(550, 0))
        .threshold("smoke", "smoke", &[(Moderate, 4.0), (Severe, 8.0)], |_| ())
        .threshold("plume", "air", &[(Severe, 80.0)], |_| ())
        .correlation("fires", "fire", &["smoke", "plume"], |rule| {
            rule.weights = vec![1, 0];
            rule.within_m = 600;
            rule.clear_after = Millis::minutes(10);
        });
    check_with(&bundle.build(), timeline, expected);
}

#[test]
fn haze_between_two_fires_makes_them_neither_one_nor_graver() {
    haze(
        "10:00 smoke-1 4.5
         10:01 air 90
         10:10 ack fire#1 by=ana
         10:30 smoke-2 9
         10:31 air 95
         10:32 smoke-1 9",
        &expect![[r#"
            10:00 opened fire#1 moderate: smoke-1 4.5
            10:01 updated fire#1 moderate 2 sensors: air 90 549 m
            10:10 acknowledged fire#1 moderate 2 sensors by ana
            10:30 opened fire#2 severe: smoke-2 9
            10:31 updated fire#1 moderate 2 sensors: air 95
            10:32 updated fire#1 severe 2 sensors: smoke-1 9
        "#]],
    );
}

#[test]
fn haze_that_was_there_before_two_fires_is_evidence_of_the_first() {
    haze(
        "09:00 air 90
         10:00 smoke-1 4.5
         10:01 smoke-2 4.5
         10:02 air 95",
        &expect![[r#"
            10:00 opened fire#1 moderate 2 sensors: air 90, smoke-1 4.5 549 m
            10:01 opened fire#2 moderate: smoke-2 4.5
            10:02 updated fire#1 moderate 2 sensors: air 95
        "#]],
    );
}

#[test]
fn who_has_died_takes_in_what_is_near_for_its_time_and_no_longer() {
    check(
        "10:00 river-1 3.1
         10:05 ack flood#1 by=ana
         11:04 river-2 3.1
         11:05-14:00/1 river-2 2
         15:00 river-2 3.1
         15:00 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:03 sensor_silent river-1 last heard 10:00
            10:03 unknown flood#1 moderate
            10:05 acknowledged flood#1 moderate by ana
            11:04 opened flood#2 moderate: river-2 3.1
            11:14 escalated flood#2 moderate to shift_supervisor
            11:15 cleared flood#2 moderate
            14:03 sensor_silent river-2 last heard 14:00
            15:00 sensor_returned river-2 last heard 14:00
            15:00 opened flood#3 moderate: river-2 3.1
        "#]],
    );
}

#[test]
fn those_who_die_on_different_days_agree_in_nothing() {
    let bundle = city().without_correlation("floods");
    let bundle = bundle.correlation("floods", "flood", &["river-high", "call"], |rule| {
        rule.sources_min = 2;
    });
    check_with(
        &bundle.build(),
        "10:00 river-1 3.1
         12:00 river-2 3.1",
        &expect![[r#"
            10:03 sensor_silent river-1 last heard 10:00
        "#]],
    );
}

#[test]
fn haze_that_a_person_moves_makes_nothing_graver_either() {
    haze(
        "10:00 smoke-1 4.5
         10:01 air 90
         10:30 smoke-2 4.5
         10:40 do move fire#1 by=ana sources=air other=fire#2",
        &expect![[r#"
            10:00 opened fire#1 moderate: smoke-1 4.5
            10:01 updated fire#1 moderate 2 sensors: air 90 549 m
            10:30 opened fire#2 moderate: smoke-2 4.5
            10:40 evidence_moved fire#2 moderate 2 sensors from fire#1: air by ana
            10:40 updated fire#1 moderate by ana
        "#]],
    );
}
