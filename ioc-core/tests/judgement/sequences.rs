//! One thing after another, or without another: of several sensors, near each other.

use expect_test::{Expect, expect};
use ioc_core::bundle::{FaultSign, Side, Stuck};
use ioc_core::decision::Severity::{Minor, Moderate};
use ioc_core::limits::SEQUENCE_SENSORS_MAX;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::Input;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::{check_reloading, check_with, run};

/// A tunnel with rain and water gauges, a pump that is fed by a feeder far away, and callers.
fn city() -> BundleBuilder {
    BundleBuilder::new()
        .sensor("rain-1", "rainfall", metres(0, 0))
        .sensor("rain-2", "rainfall", metres(9_000, 0))
        .sensor_with("tunnel-1", "street_water", |sensor| {
            sensor.position = Some(metres(300, 0));
            sensor.interval = Some(Millis::minutes(1));
        })
        .sensor_with("pump-1", "pump", |sensor| {
            sensor.position = Some(metres(350, 0));
            sensor.interval = Some(Millis::minutes(1));
        })
        .sensor("feeder-1", "feeder", metres(5_000, 0))
        .fed_by("pump-1", "feeder-1")
        .node("feeder-1", |_| ())
        .threshold("rain-heavy", "rainfall", &[(Minor, 30.0)], |_| ())
        .threshold("tunnel-wet", "street_water", &[(Moderate, 5.0)], |_| ())
        .silence("tunnel-silent", "street_water", 3, Millis::minutes(3))
        .threshold("pump-runs", "pump", &[(Minor, 0.5)], |_| ())
        .threshold("feeder-low", "feeder", &[(Moderate, 9.0)], |rule| {
            rule.side = Side::Below;
        })
        .report("works", "works", Minor, Millis::minutes(60))
}

fn correlated(builder: BundleBuilder, rule: &str) -> BundleBuilder {
    builder.correlation("found", "found", &[rule], |rule| {
        rule.clear_after = Millis::minutes(2);
    })
}

fn check(builder: BundleBuilder, rule: &str, timeline: &str, expected: &Expect) {
    check_with(&correlated(builder, rule).build(), timeline, expected);
}

fn rain_then_wet() -> BundleBuilder {
    city().sequence("drain-blocked", ("rain-heavy", "tunnel-wet"), |rule| {
        rule.unless = Some("works".parse().unwrap());
    })
}

fn wet_and_no_pump() -> BundleBuilder {
    city().sequence("pump-missing", ("tunnel-wet", "pump-runs"), |rule| {
        rule.absent = true;
        rule.within = Millis::minutes(5);
    })
}

#[test]
fn one_after_another_near_by_and_in_time() {
    check(
        rain_then_wet(),
        "drain-blocked",
        "10:00 rain-1 35
         10:01 rain-1 1
         10:20 tunnel-1 8
         10:21 tunnel-1 9
         10:22-10:30/1 tunnel-1 0
         12:00 tunnel-1 8
         12:01 tunnel-1 0",
        &expect![[r#"
            10:20 opened found#1 severe: tunnel-1 8
            10:21 updated found#1 severe: tunnel-1 9
            10:24 cleared found#1 severe
            10:33 sensor_silent tunnel-1 last heard 10:30
            12:00 sensor_returned tunnel-1 last heard 10:30
        "#]],
    );
}

#[test]
fn what_is_far_or_too_late_or_the_other_way_round_does_not_follow() {
    check(
        rain_then_wet(),
        "drain-blocked",
        "10:00 rain-2 35
         10:01 tunnel-1 8
         10:02 tunnel-1 0
         11:00 rain-1 35
         11:01 rain-1 1
         11:40 tunnel-1 8
         11:41 rain-1 35
         11:42 tunnel-1 0",
        &expect![[r#"
            10:05 sensor_silent tunnel-1 last heard 10:02
            11:40 sensor_returned tunnel-1 last heard 10:02
        "#]],
    );
}

#[test]
fn a_third_near_by_keeps_it_quiet() {
    check(
        rain_then_wet(),
        "drain-blocked",
        "10:00 rain-1 35
         10:05 crew 1 kind=works at=100,0
         10:10 tunnel-1 8
         10:11 tunnel-1 0
         10:12 rain-1 1
         10:20 rain-1 35
         10:21 tunnel-1 8
         10:22 tunnel-1 0",
        &expect![[r#"
            10:14 sensor_silent tunnel-1 last heard 10:11
            10:21 sensor_returned tunnel-1 last heard 10:11
        "#]],
    );
}

#[test]
fn siddhi_937_flink_an_absence_is_told_by_the_clock_and_not_by_the_next_event() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00 tunnel-1 8
         10:01-10:04/1 tunnel-1 8
         23:00 tick",
        &expect![[r#"
            10:05 opened found#1 severe: tunnel-1 8
            10:07 sensor_silent tunnel-1 last heard 10:04
            10:07 unknown found#1 severe
        "#]],
    );
}

#[test]
fn perseo_411_an_absence_needs_no_first_event_after_a_restart() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00 tunnel-1 8
         10:01 started after=10:00
         10:02-10:08/1 tunnel-1 8",
        // For a minute nobody could hear the pump.
        &expect![[r#"
            10:06 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn what_followed_while_nobody_was_there_has_followed() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00 tunnel-1 8
         10:30 started after=10:01
         10:30 pump-1 1 observed=10:02
         10:31-10:40/1 tunnel-1 8",
        &expect![[r#""#]],
    );
}

#[test]
fn an_absence_is_over_when_the_other_comes_after_all_or_the_first_ends() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00-10:06/1 tunnel-1 8
         10:07 pump-1 1
         10:07-10:12/1 tunnel-1 8
         10:13 tunnel-1 0
         11:00-11:06/1 tunnel-1 8
         11:07-11:10/1 tunnel-1 0",
        &expect![[r#"
            10:05 opened found#1 severe: tunnel-1 8
            10:09 cleared found#1 severe
            10:16 sensor_silent tunnel-1 last heard 10:13
            11:00 sensor_returned tunnel-1 last heard 10:13
        "#]],
    );
}

#[test]
fn nothing_is_missing_that_is_there_already_or_comes_in_time() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00 pump-1 1
         10:01-10:10/1 tunnel-1 8
         10:11 tunnel-1 0
         10:12 pump-1 0
         10:20 tunnel-1 8
         10:24 pump-1 1
         10:25-10:30/1 tunnel-1 8
         10:31 tunnel-1 0
         10:32 pump-1 0
         10:40 tunnel-1 8
         10:44 tunnel-1 0
         10:50 tick",
        &expect![[r#"
            10:14 sensor_silent tunnel-1 last heard 10:11
            10:20 sensor_returned tunnel-1 last heard 10:11
            10:23 sensor_silent tunnel-1 last heard 10:20
            10:25 sensor_returned tunnel-1 last heard 10:20
            10:34 sensor_silent tunnel-1 last heard 10:31
            10:40 sensor_returned tunnel-1 last heard 10:31
            10:43 sensor_silent tunnel-1 last heard 10:40
            10:44 sensor_returned tunnel-1 last heard 10:40
            10:47 sensor_silent tunnel-1 last heard 10:44
        "#]],
    );
}

#[test]
fn what_feeds_it_is_near_however_far_it_is() {
    let rules = city()
        .threshold("pump-stops", "pump", &[(Moderate, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .sequence("pump-dark", ("feeder-low", "pump-stops"), |rule| {
            rule.fed_by = true;
        });
    check(
        rules,
        "pump-dark",
        "10:00 feeder-1 2
         10:01 pump-1 0
         10:02 pump-1 1",
        &expect![[r#"
            10:01 opened found#1 severe: pump-1 0
        "#]],
    );
}

#[test]
fn an_incident_of_a_sequence_is_unknown_when_its_sensor_falls_silent() {
    check(
        rain_then_wet(),
        "drain-blocked",
        "10:00 rain-1 35
         10:01 tunnel-1 8
         10:20 tunnel-1 8
         10:21 tunnel-1 0",
        &expect![[r#"
            10:01 opened found#1 severe: tunnel-1 8
            10:04 sensor_silent tunnel-1 last heard 10:01
            10:04 unknown found#1 severe
            10:20 sensor_returned tunnel-1 last heard 10:01
            10:20 reopened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn a_rule_of_a_sequence_that_changes_clears_what_it_had_raised() {
    let with = correlated(rain_then_wet(), "drain-blocked").build();
    let changed = rain_then_wet_within(900);
    check_reloading(
        &[("with", &with), ("changed", &changed)],
        "10:00 rain-1 35
         10:01 tunnel-1 8
         10:02 reload changed
         10:03-10:10/1 tunnel-1 8",
        &expect![[r#"
            10:01 opened found#1 severe: tunnel-1 8
            10:02 rules_changed
            10:04 cleared found#1 severe
        "#]],
    );
}

#[test]
fn what_a_changed_sequence_had_raised_of_a_silent_sensor_stays_raised_until_that_is_heard() {
    let with = correlated(rain_then_wet(), "drain-blocked").build();
    let changed = rain_then_wet_within(900);
    check_reloading(
        &[("with", &with), ("changed", &changed)],
        "10:00 rain-1 35
         10:01 tunnel-1 8
         10:10 reload changed
         10:20-10:22/1 tunnel-1 8
         10:23-10:30/1 tunnel-1 0",
        &expect![[r#"
            10:01 opened found#1 severe: tunnel-1 8
            10:04 sensor_silent tunnel-1 last heard 10:01
            10:04 unknown found#1 severe
            10:10 rules_changed
            10:20 sensor_returned tunnel-1 last heard 10:01
            10:20 reopened found#1 severe: tunnel-1 8
            10:21 updated found#1 severe: tunnel-1 8
            10:22 updated found#1 severe: tunnel-1 8
            10:25 cleared found#1 severe
        "#]],
    );
    let missing = |minutes| {
        let rules = city().sequence("pump-missing", ("tunnel-wet", "pump-runs"), |rule| {
            rule.absent = true;
            rule.within = Millis::minutes(minutes);
        });
        correlated(rules, "pump-missing").build()
    };
    check_reloading(
        &[("five", &missing(5)), ("six", &missing(6))],
        "10:00-10:06/1 tunnel-1 8
         10:20 reload six
         10:30-10:32/1 tunnel-1 8
         10:33 pump-1 1
         10:34-10:40/1 tunnel-1 8",
        &expect![[r#"
            10:05 opened found#1 severe: tunnel-1 8
            10:09 sensor_silent tunnel-1 last heard 10:06
            10:09 unknown found#1 severe
            10:20 rules_changed
            10:30 sensor_returned tunnel-1 last heard 10:06
            10:30 reopened found#1 severe
            10:35 cleared found#1 severe
        "#]],
    );
}

fn rain_then_wet_within(metres: u32) -> std::sync::Arc<ioc_core::bundle::Bundle> {
    let rules = city().sequence("drain-blocked", ("rain-heavy", "tunnel-wet"), |rule| {
        rule.within_m = metres;
    });
    correlated(rules, "drain-blocked").build()
}

#[test]
fn what_a_distrusted_sensor_says_begins_and_follows_nothing() {
    let rules = rain_then_wet().flapping("tunnel-flaps", "street_water", 6, 1);
    check(
        rules,
        "drain-blocked",
        "09:00 tunnel-1 0
         10:00 rain-1 35
         10:01 tunnel-1 8
         10:02-10:40/1 tunnel-1 8",
        &expect![[r#"
            09:03 sensor_silent tunnel-1 last heard 09:00
            10:01 sensor_returned tunnel-1 last heard 09:00
            10:01 faulty tunnel-1 flapping distrusted: tunnel-1 8
            10:21 sound tunnel-1 flapping: tunnel-1 8
            10:21 opened found#1 severe: tunnel-1 8
            10:22 updated found#1 severe: tunnel-1 8
            10:23 updated found#1 severe: tunnel-1 8
            10:24 updated found#1 severe: tunnel-1 8
            10:25 updated found#1 severe: tunnel-1 8
            10:26 updated found#1 severe: tunnel-1 8
            10:27 updated found#1 severe: tunnel-1 8
            10:28 updated found#1 severe: tunnel-1 8
            10:29 updated found#1 severe: tunnel-1 8
            10:30 updated found#1 severe: tunnel-1 8
            10:31 updated found#1 severe: tunnel-1 8
            10:32 updated found#1 severe: tunnel-1 8
            10:33 updated found#1 severe: tunnel-1 8
            10:34 updated found#1 severe: tunnel-1 8
            10:35 updated found#1 severe: tunnel-1 8
            10:36 updated found#1 severe: tunnel-1 8
            10:37 updated found#1 severe: tunnel-1 8
            10:38 updated found#1 severe: tunnel-1 8
            10:39 updated found#1 severe: tunnel-1 8
            10:40 updated found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn p5_a_sequence_watches_a_bounded_number_of_sensors() {
    let mut history = History::new(correlated(wet_and_no_pump(), "pump-missing").build());
    for number in 0..=SEQUENCE_SENSORS_MAX {
        let reading = Reading {
            id: "r",
            sensor: &format!("tunnel-{number}"),
            kind: "street_water",
            observed_at: MIDNIGHT,
            received_at: None,
            value: 9.0,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        history.push(MIDNIGHT, &Input::Reading(reading));
    }
    history.push(MIDNIGHT + Millis::minutes(10), &Input::Tick);
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    assert_eq!(judgement.counters().engine.sequences_over_limit, 1);
    let opened = decisions.iter().map(|decision| decision.verdict.word());
    let opened = opened.filter(|word| *word == "incident_opened");
    assert_eq!(opened.count(), SEQUENCE_SENSORS_MAX);
}

#[test]
fn inv_15_what_comes_quietly_is_not_missing() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "09:50 shelve kind=pump for=120
         10:00-10:10/1 tunnel-1 8
         10:02 pump-1 1
         10:11 tunnel-1 0
         10:12 pump-1 0",
        &expect![[r#"
            09:50 suppression_started quiet#1 pump shelved until 11:50 for works of ana by ana
            10:02 suppression_updated quiet#1 pump shelved until 11:50, 1 kept: pump-1 1
        "#]],
    );
}

#[test]
fn inv_15_what_is_there_quietly_is_not_missing_and_what_was_is() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "09:50 shelve sensor=pump-1 for=120
         09:55 pump-1 1
         10:00-10:08/1 tunnel-1 8
         10:09 tunnel-1 0
         10:10 pump-1 0
         10:11-10:20/1 tunnel-1 8",
        &expect![[r#"
            09:50 suppression_started quiet#1 pump-1 shelved until 11:50 for works of ana by ana
            09:55 suppression_updated quiet#1 pump-1 shelved until 11:50, 1 kept: pump-1 1
            10:16 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn inv_15_an_absence_is_over_when_the_other_comes_quietly_after_all() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00-10:10/1 tunnel-1 8
         10:06 shelve sensor=pump-1 for=120
         10:07 pump-1 1",
        &expect![[r#"
            10:05 opened found#1 severe: tunnel-1 8
            10:06 suppression_started quiet#1 pump-1 shelved until 12:06 for works of ana by ana
            10:07 suppression_updated quiet#1 pump-1 shelved until 12:06, 1 kept: pump-1 1
            10:09 cleared found#1 severe
        "#]],
    );
}

#[test]
fn inv_15_a_third_that_is_quiet_keeps_it_quiet() {
    check(
        rain_then_wet(),
        "drain-blocked",
        "09:50 shelve kind=works for=120
         10:00 rain-1 35
         10:05 crew 1 kind=works at=100,0
         10:10 tunnel-1 8
         10:11 tunnel-1 0",
        &expect![[r#"
            09:50 suppression_started quiet#1 works shelved until 11:50 for works of ana by ana
            10:05 suppression_updated quiet#1 works shelved until 11:50, 1 kept: crew 1
        "#]],
    );
}

#[test]
fn inv_15_what_is_quiet_begins_nothing_and_follows_nothing() {
    for quiet in ["rainfall", "street_water"] {
        let timeline = format!(
            "09:50 shelve kind={quiet} for=120
             10:00 rain-1 35
             10:10 tunnel-1 8
             10:11 tunnel-1 0"
        );
        let told = run(
            &[(
                "first",
                &correlated(rain_then_wet(), "drain-blocked").build(),
            )],
            &timeline,
        );
        assert!(!told.contains("found#1"), "{quiet}: {told}");
    }
    check(
        wet_and_no_pump(),
        "pump-missing",
        "09:50 shelve sensor=tunnel-1 for=120
         10:00-10:10/1 tunnel-1 8",
        &expect![[r#"
            09:50 suppression_started quiet#1 tunnel-1 shelved until 11:50 for works of ana by ana
            10:00 suppression_updated quiet#1 tunnel-1 shelved until 11:50, 1 kept: tunnel-1 1
        "#]],
    );
}

#[test]
fn what_is_out_of_service_says_not_that_something_came() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "09:50 out_of_service pump-1 for=17
         10:00-10:12/1 tunnel-1 8
         10:02 pump-1 1",
        // When it is in service again it is heard.
        &expect![[r#"
            09:50 suppression_started quiet#1 pump-1 out_of_service until 10:07 for works of ana by ana
            09:57 suppression_ending_soon quiet#1 pump-1 out_of_service until 10:07
            10:02 suppression_updated quiet#1 pump-1 out_of_service until 10:07, 1 kept: pump-1 1
            10:05 opened found#1 severe: tunnel-1 8
            10:07 suppression_ended quiet#1 pump-1: expired, 1 kept: pump-1 1
            10:09 cleared found#1 severe
        "#]],
    );
    check(
        rain_then_wet(),
        "drain-blocked",
        "09:50 out_of_service crew for=120
         10:00 rain-1 35
         10:05 crew 1 kind=works at=100,0
         10:10 tunnel-1 8",
        &expect![[r#"
            09:50 suppression_started quiet#1 crew out_of_service until 11:50 for works of ana by ana
            10:05 suppression_updated quiet#1 crew out_of_service until 11:50, 1 kept: crew 1
            10:10 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn what_is_in_service_again_and_quiet_still_is_not_missing() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "09:50 shelve kind=pump for=120
         09:51 out_of_service pump-1 for=11
         10:00-10:10/1 tunnel-1 8
         10:01 pump-1 1",
        &expect![[r#"
            09:50 suppression_started quiet#1 pump shelved until 11:50 for works of ana by ana
            09:51 suppression_started quiet#2 pump-1 out_of_service until 10:02 for works of ana by ana
            09:52 suppression_ending_soon quiet#2 pump-1 out_of_service until 10:02
            10:01 suppression_updated quiet#2 pump-1 out_of_service until 10:02, 1 kept: pump-1 1
            10:02 suppression_ended quiet#2 pump-1: expired, 1 kept: pump-1 1
            10:02 suppression_updated quiet#1 pump shelved until 11:50, 1 kept: pump-1 1
        "#]],
    );
}

#[test]
fn a_report_that_was_quiet_came_when_it_was_said_and_not_when_it_counts() {
    let rules = city().sequence("unwatched", ("tunnel-wet", "works"), |rule| {
        rule.absent = true;
        rule.within = Millis::minutes(5);
    });
    check(
        rules,
        "unwatched",
        "09:00 shelve kind=works for=61
         09:30 crew 1 kind=works at=300,0
         10:00-10:06/1 tunnel-1 8",
        &expect![[r#"
            09:00 suppression_started quiet#1 works shelved until 10:01 for works of ana by ana
            09:30 suppression_updated quiet#1 works shelved until 10:01, 1 kept: crew 1
            09:51 suppression_ending_soon quiet#1 works shelved until 10:01, 1 kept: crew 1
            10:01 suppression_ended quiet#1 works: expired, 1 kept: crew 1
            10:05 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

/// The same with pumps that are missed when they say nothing.
fn wet_and_no_pump_heard() -> BundleBuilder {
    wet_and_no_pump().silence("pump-silent", "pump", 3, Millis::minutes(3))
}

#[test]
fn what_nobody_hears_any_more_follows_nothing() {
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "09:00 pump-1 1
         10:00-10:08/1 tunnel-1 8
         10:09 pump-1 1
         10:09-10:14/1 tunnel-1 8",
        &expect![[r#"
            09:03 sensor_silent pump-1 last heard 09:00
            10:05 opened found#1 severe: tunnel-1 8
            10:09 sensor_returned pump-1 last heard 09:00
            10:11 cleared found#1 severe
            10:12 sensor_silent pump-1 last heard 10:09
        "#]],
    );
}

#[test]
fn what_was_taken_for_followed_by_who_had_died_is_missing() {
    // The water that comes takes the pump's sensor with it.
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "09:50-10:00/1 pump-1 1
         10:01-10:09/1 tunnel-1 8",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
            10:06 opened found#1 severe: tunnel-1 8
        "#]],
    );
    // It had died long before that was found: there is no time left.
    let slow = wet_and_no_pump().silence("pump-silent", "pump", 30, Millis::minutes(30));
    check(
        slow,
        "pump-missing",
        "10:00 pump-1 1
         10:20-10:32/1 tunnel-1 8",
        &expect![[r#"
            10:30 sensor_silent pump-1 last heard 10:00
            10:30 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn what_was_heard_since_the_first_has_followed_though_it_is_silent_then() {
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "09:59-10:02/1 pump-1 1
         10:01-10:20/1 tunnel-1 8",
        &expect![[r#"
            10:05 sensor_silent pump-1 last heard 10:02
        "#]],
    );
}

#[test]
fn what_is_heard_again_after_a_silence_begins_anew() {
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "10:00-10:05/1 pump-1 1
         10:01-10:02/1 tunnel-1 8
         14:00-14:06/1 tunnel-1 8",
        &expect![[r#"
            10:05 sensor_silent tunnel-1 last heard 10:02
            10:08 sensor_silent pump-1 last heard 10:05
            14:00 sensor_returned tunnel-1 last heard 10:02
            14:05 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn a_third_that_nobody_hears_any_more_keeps_nothing_quiet() {
    let rules = city()
        .silence("pump-silent", "pump", 3, Millis::minutes(3))
        .sequence("drain-blocked", ("rain-heavy", "tunnel-wet"), |rule| {
            rule.unless = Some("pump-runs".parse().unwrap());
        });
    check(
        rules,
        "drain-blocked",
        "09:00 pump-1 1
         10:00 rain-1 35
         10:02 tunnel-1 8
         10:03 tunnel-1 0",
        &expect![[r#"
            09:03 sensor_silent pump-1 last heard 09:00
            10:02 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn who_is_found_broken_follows_nothing_that_goes_on() {
    let rules = wet_and_no_pump().fault(
        "pump-stuck",
        "pump",
        FaultSign::Stuck(Stuck {
            lasting: Millis::minutes(60),
            except: vec![0.0],
            except_below: None,
            except_above: None,
            clear_readings_min: 1,
        }),
    );
    check(
        rules,
        "pump-missing",
        "09:30-10:40/1 pump-1 7
         10:20-10:45/1 tunnel-1 8
         10:41 pump-1 6",
        &expect![[r#"
            10:30 faulty pump-1 stuck distrusted: pump-1 7
            10:35 opened found#1 severe: tunnel-1 8
            10:41 sound pump-1 stuck: pump-1 6
            10:43 cleared found#1 severe
        "#]],
    );
}

#[test]
fn who_is_out_of_service_follows_nothing() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "09:00 pump-1 1
         09:10 out_of_service pump-1 for=120
         10:00-10:08/1 tunnel-1 8",
        &expect![[r#"
            09:10 suppression_started quiet#1 pump-1 out_of_service until 11:10 for works of ana by ana
            10:05 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn inv_15_what_was_said_quietly_before_a_silence_has_not_come_when_it_counts() {
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "09:00 shelve sensor=pump-1 for=90
         09:05 pump-1 1
         10:00-10:40/1 tunnel-1 8",
        &expect![[r#"
            09:00 suppression_started quiet#1 pump-1 shelved until 10:30 for works of ana by ana
            09:05 suppression_updated quiet#1 pump-1 shelved until 10:30, 1 kept: pump-1 1
            09:08 suppression_updated quiet#1 pump-1 shelved until 10:30, 2 kept: pump-1 2
            10:05 opened found#1 severe: tunnel-1 8
            10:20 suppression_ending_soon quiet#1 pump-1 shelved until 10:30, 2 kept: pump-1 2
            10:30 suppression_ended quiet#1 pump-1: expired, 2 kept: pump-1 2
            10:30 sensor_silent pump-1 last heard 09:05
        "#]],
    );
}

#[test]
fn what_began_it_and_is_silent_goes_on_to_wait() {
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "09:59 pump-1 0
         10:00 tunnel-1 8
         10:03-10:20/1 pump-1 0",
        &expect![[r#"
            10:02 sensor_silent pump-1 last heard 09:59
            10:03 sensor_silent tunnel-1 last heard 10:00
            10:03 sensor_returned pump-1 last heard 09:59
            10:05 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn another_that_lasts_follows_though_one_is_silent() {
    let two = wet_and_no_pump_heard().sensor_with("pump-2", "pump", |sensor| {
        sensor.position = Some(metres(310, 0));
        sensor.interval = Some(Millis::minutes(1));
    });
    check(
        two,
        "pump-missing",
        "09:50-10:00/1 pump-1 1
         09:50-10:20/1 pump-2 1
         10:01-10:20/1 tunnel-1 8",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
        "#]],
    );
}

#[test]
fn nothing_is_missing_because_of_who_is_worked_at_until_he_says_so_again() {
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00 tunnel-1 8
         10:01 out_of_service tunnel-1 for=30
         10:02-10:40/1 tunnel-1 0",
        &expect![[r#"
            10:01 suppression_started quiet#1 tunnel-1 out_of_service until 10:31 for works of ana by ana
            10:02 suppression_updated quiet#1 tunnel-1 out_of_service until 10:31, 1 kept: tunnel-1 1
            10:21 suppression_ending_soon quiet#1 tunnel-1 out_of_service until 10:31, 1 kept: tunnel-1 1
            10:31 suppression_ended quiet#1 tunnel-1: expired, 1 kept: tunnel-1 1
        "#]],
    );
    check(
        wet_and_no_pump(),
        "pump-missing",
        "10:00 tunnel-1 8
         10:01 out_of_service tunnel-1 for=30
         10:02-10:40/1 tunnel-1 8",
        &expect![[r#"
            10:01 suppression_started quiet#1 tunnel-1 out_of_service until 10:31 for works of ana by ana
            10:02 suppression_updated quiet#1 tunnel-1 out_of_service until 10:31, 1 kept: tunnel-1 1
            10:21 suppression_ending_soon quiet#1 tunnel-1 out_of_service until 10:31, 1 kept: tunnel-1 1
            10:31 suppression_ended quiet#1 tunnel-1: expired, 1 kept: tunnel-1 1
            10:36 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn inv_15_what_was_known_before_its_shelf_has_not_come_when_that_ends_after_its_silence() {
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "09:00 pump-1 1
         09:01 shelve sensor=pump-1 for=89
         09:02 pump-1 1
         10:00-10:40/1 tunnel-1 8",
        &expect![[r#"
            09:01 suppression_started quiet#1 pump-1 shelved until 10:30 for works of ana by ana
            09:02 suppression_updated quiet#1 pump-1 shelved until 10:30, 1 kept: pump-1 1
            09:05 suppression_updated quiet#1 pump-1 shelved until 10:30, 2 kept: pump-1 2
            10:05 opened found#1 severe: tunnel-1 8
            10:20 suppression_ending_soon quiet#1 pump-1 shelved until 10:30, 2 kept: pump-1 2
            10:30 suppression_ended quiet#1 pump-1: expired, 2 kept: pump-1 2
            10:30 sensor_silent pump-1 last heard 09:02
        "#]],
    );
}

#[test]
fn inv_15_what_is_silent_comes_not_when_one_of_two_shelves_ends() {
    check(
        wet_and_no_pump_heard(),
        "pump-missing",
        "09:00 shelve sensor=pump-1 for=90
         09:05 pump-1 1
         09:10 shelve kind=pump for=180
         10:00-10:40/1 tunnel-1 8",
        &expect![[r#"
            09:00 suppression_started quiet#1 pump-1 shelved until 10:30 for works of ana by ana
            09:05 suppression_updated quiet#1 pump-1 shelved until 10:30, 1 kept: pump-1 1
            09:08 suppression_updated quiet#1 pump-1 shelved until 10:30, 2 kept: pump-1 2
            09:10 suppression_started quiet#2 pump shelved until 12:10 for works of ana by ana
            10:05 opened found#1 severe: tunnel-1 8
            10:20 suppression_ending_soon quiet#1 pump-1 shelved until 10:30, 2 kept: pump-1 2
            10:30 suppression_ended quiet#1 pump-1: expired, 2 kept: pump-1 2
            10:30 suppression_updated quiet#2 pump shelved until 12:10, 1 kept: pump-1 1
            10:31 suppression_updated quiet#2 pump shelved until 12:10, 2 kept: pump-1 2
        "#]],
    );
}

#[test]
fn water_that_drowns_both_sensors_is_told_whichever_is_missed_first() {
    let slow = wet_and_no_pump().silence("pump-silent", "pump", 15, Millis::minutes(15));
    check(
        slow,
        "pump-missing",
        "09:59 pump-1 1
         10:00 tunnel-1 8
         10:20 tick",
        &expect![[r#"
            10:03 sensor_silent tunnel-1 last heard 10:00
            10:14 sensor_silent pump-1 last heard 09:59
            10:14 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

/// The same with a pump and water that are over only well below what begins them.
fn wet_and_no_pump_with_a_band() -> BundleBuilder {
    city()
        .silence("pump-silent", "pump", 3, Millis::minutes(3))
        .threshold("pump-turns", "pump", &[(Minor, 1.0)], |rule| {
            rule.clear_gap = 0.5;
        })
        .threshold("water-stands", "street_water", &[(Moderate, 5.0)], |rule| {
            rule.clear_gap = 2.0;
        })
        .sequence("pump-missing", ("water-stands", "pump-turns"), |rule| {
            rule.absent = true;
            rule.within = Millis::minutes(5);
        })
}

#[test]
fn who_is_heard_again_and_is_not_over_yet_is_there() {
    check(
        wet_and_no_pump_with_a_band(),
        "pump-missing",
        "10:00 pump-1 1.2
         10:10-10:30/1 pump-1 0.8
         10:12-10:25/1 tunnel-1 8",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
            10:10 sensor_returned pump-1 last heard 10:00
            10:28 sensor_silent tunnel-1 last heard 10:25
        "#]],
    );
    // It is over by what it says when it is heard again.
    check(
        wet_and_no_pump_with_a_band(),
        "pump-missing",
        "10:00 pump-1 1.2
         10:10-10:19/1 pump-1 0.2
         10:12-10:18/1 tunnel-1 8",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
            10:10 sensor_returned pump-1 last heard 10:00
            10:17 opened found#1 severe: tunnel-1 8
        "#]],
    );
    let rules = wet_and_no_pump_with_a_band().sequence(
        "drain-blocked",
        ("rain-heavy", "tunnel-wet"),
        |rule| {
            rule.unless = Some("pump-turns".parse().unwrap());
        },
    );
    check(
        rules,
        "drain-blocked",
        "09:00 pump-1 1.2
         09:10-10:05/1 pump-1 0.8
         10:00 rain-1 35
         10:02 tunnel-1 8
         10:03 tunnel-1 0",
        &expect![[r#"
            09:03 sensor_silent pump-1 last heard 09:00
            09:10 sensor_returned pump-1 last heard 09:00
        "#]],
    );
}

#[test]
fn who_is_heard_again_in_time_and_is_not_over_yet_is_not_missed() {
    check(
        wet_and_no_pump_with_a_band(),
        "pump-missing",
        "10:00 pump-1 1.2
         10:10-10:20/1 tunnel-1 8
         10:12-10:20/1 pump-1 0.8",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
            10:12 sensor_returned pump-1 last heard 10:00
        "#]],
    );
    check(
        wet_and_no_pump_with_a_band(),
        "pump-missing",
        "10:00 pump-1 1.2
         10:10-10:17/1 tunnel-1 8
         10:12-10:17/1 pump-1 0.2",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
            10:12 sensor_returned pump-1 last heard 10:00
            10:15 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn who_is_heard_again_and_is_over_only_later_is_missed_then() {
    let rules = city()
        .silence("pump-silent", "pump", 3, Millis::minutes(3))
        .threshold("pump-turns", "pump", &[(Minor, 1.0)], |rule| {
            rule.clear_readings_min = 3;
        })
        .sequence("pump-missing", ("tunnel-wet", "pump-turns"), |rule| {
            rule.absent = true;
            rule.within = Millis::minutes(5);
        });
    check(
        rules,
        "pump-missing",
        "10:00 pump-1 1.2
         10:10-10:22/1 tunnel-1 8
         10:14-10:22/1 pump-1 0",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
            10:14 sensor_returned pump-1 last heard 10:00
            10:20 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn what_ends_a_silence_and_is_not_over_yet_ends_no_absence_by_that_alone() {
    check(
        wet_and_no_pump_with_a_band(),
        "pump-missing",
        "10:00 pump-1 1.2
         10:10-10:20/1 tunnel-1 8
         10:17 pump-1 0.2",
        &expect![[r#"
            10:03 sensor_silent pump-1 last heard 10:00
            10:15 opened found#1 severe: tunnel-1 8
            10:17 sensor_returned pump-1 last heard 10:00
            10:20 sensor_silent pump-1 last heard 10:17
        "#]],
    );
}

#[test]
fn what_is_heard_again_and_is_not_over_yet_begins_anew() {
    check(
        wet_and_no_pump_with_a_band(),
        "pump-missing",
        "10:00-10:05/1 pump-1 1.2
         10:01-10:02/1 tunnel-1 8
         14:00-14:06/1 tunnel-1 4",
        &expect![[r#"
            10:05 sensor_silent tunnel-1 last heard 10:02
            10:08 sensor_silent pump-1 last heard 10:05
            14:00 sensor_returned tunnel-1 last heard 10:02
            14:05 opened found#1 severe: tunnel-1 8
        "#]],
    );
    // It is over by what it says then.
    check(
        wet_and_no_pump_with_a_band(),
        "pump-missing",
        "10:00-10:05/1 pump-1 1.2
         10:01-10:02/1 tunnel-1 8
         14:00-14:06/1 tunnel-1 1",
        &expect![[r#"
            10:05 sensor_silent tunnel-1 last heard 10:02
            10:08 sensor_silent pump-1 last heard 10:05
            14:00 sensor_returned tunnel-1 last heard 10:02
        "#]],
    );
}

/// The same with a pump that says something each 10 min, longer than the time in which it is missed.
fn wet_and_no_slow_pump() -> BundleBuilder {
    wet_and_no_pump()
        .sensor_with("pump-2", "pump", |sensor| {
            sensor.position = Some(metres(310, 0));
            sensor.interval = Some(Millis::minutes(10));
        })
        .silence("pump-silent", "pump", 2, Millis::minutes(2))
}

#[test]
fn after_an_outage_the_other_has_time_to_say_something() {
    check(
        wet_and_no_slow_pump(),
        "pump-missing",
        "09:50-10:00/10 pump-2 1
         09:58-10:00/1 tunnel-1 8
         11:00-11:12/1 tunnel-1 8
         11:08 pump-2 1",
        &expect![[r#"
            10:03 sensor_silent tunnel-1 last heard 10:00
            10:20 sensor_silent pump-2 last heard 10:00
            11:00 sensor_returned tunnel-1 last heard 10:00
            11:08 sensor_returned pump-2 last heard 10:00
        "#]],
    );
    check(
        wet_and_no_slow_pump(),
        "pump-missing",
        "09:50-10:00/10 pump-2 1
         09:58-10:00/1 tunnel-1 8
         11:00-11:12/1 tunnel-1 8",
        &expect![[r#"
            10:03 sensor_silent tunnel-1 last heard 10:00
            10:20 sensor_silent pump-2 last heard 10:00
            11:00 sensor_returned tunnel-1 last heard 10:00
            11:10 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn who_was_dead_before_an_outage_or_stands_still_has_no_longer_time() {
    // The pump's sensor died an hour before the tunnel's fell silent.
    check(
        wet_and_no_slow_pump(),
        "pump-missing",
        "08:50-09:00/10 pump-2 1
         08:58-08:59/1 tunnel-1 8
         09:00-10:00/1 tunnel-1 8
         11:00-11:12/1 tunnel-1 8",
        &expect![[r#"
            09:20 sensor_silent pump-2 last heard 09:00
            10:03 sensor_silent tunnel-1 last heard 10:00
            11:00 sensor_returned tunnel-1 last heard 10:00
            11:05 opened found#1 severe: tunnel-1 8
        "#]],
    );
    check(
        wet_and_no_slow_pump(),
        "pump-missing",
        "09:50 pump-2 1
         09:51-10:00/1 tunnel-1 8
         10:00-11:00/10 pump-2 0
         11:00-11:06/1 tunnel-1 8",
        &expect![[r#"
            10:03 sensor_silent tunnel-1 last heard 10:00
            11:00 sensor_returned tunnel-1 last heard 10:00
            11:05 opened found#1 severe: tunnel-1 8
        "#]],
    );
}

#[test]
fn water_from_before_the_rain_does_not_follow_it_however_its_sensor_fares() {
    check(
        rain_then_wet(),
        "drain-blocked",
        "08:00-08:02/1 tunnel-1 8
         10:00 rain-1 35
         10:10-10:12/1 tunnel-1 8",
        &expect![[r#"
            08:05 sensor_silent tunnel-1 last heard 08:02
            10:10 sensor_returned tunnel-1 last heard 08:02
        "#]],
    );
    let told = run(
        &[(
            "first",
            &correlated(rain_then_wet(), "drain-blocked").build(),
        )],
        "08:00 tunnel-1 8
         08:01 out_of_service tunnel-1 for=60
         10:00 rain-1 35
         10:10-10:12/1 tunnel-1 8",
    );
    assert!(!told.contains("found#1"), "{told}");
    let rules = rain_then_wet().fault(
        "tunnel-stuck",
        "street_water",
        FaultSign::Stuck(Stuck {
            lasting: Millis::minutes(60),
            except: vec![0.0],
            except_below: None,
            except_above: None,
            clear_readings_min: 1,
        }),
    );
    let told = run(
        &[("first", &correlated(rules, "drain-blocked").build())],
        "08:00-10:09/1 tunnel-1 7
         10:00 rain-1 35
         10:10-10:12/1 tunnel-1 8",
    );
    assert!(told.contains("sound tunnel-1 stuck"), "{told}");
    assert!(!told.contains("found#1"), "{told}");
}

#[test]
fn who_is_distrusted_when_he_is_heard_again_begins_nothing() {
    let rules = wet_and_no_pump_heard().fault(
        "tunnel-stuck",
        "street_water",
        FaultSign::Stuck(Stuck {
            lasting: Millis::minutes(60),
            except: vec![0.0],
            except_below: None,
            except_above: None,
            clear_readings_min: 1,
        }),
    );
    check(
        rules,
        "pump-missing",
        "08:50-10:05/1 pump-1 1
         09:00-10:01/1 tunnel-1 7
         11:00-11:08/1 tunnel-1 7",
        &expect![[r#"
            10:00 faulty tunnel-1 stuck distrusted: tunnel-1 7
            10:04 sensor_silent tunnel-1 last heard 10:01
            10:08 sensor_silent pump-1 last heard 10:05
            11:00 sensor_returned tunnel-1 last heard 10:01
        "#]],
    );
}
