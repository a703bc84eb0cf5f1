//! Stories of a small city, as a control room would tell them.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Aggregate, Bundle, Direction, Side, States, Test};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::{check_reloading, check_with, run};

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

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
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
         10:05-11:15/1 river-1 2.7
         10:06-11:15/1 river-2 2.5",
        expect![[r#"
            10:01 opened flood#1 moderate: river-1 3.1
            10:02 updated flood#1 moderate: river-1 3.2
            10:03 updated flood#1 severe 2 sensors: river-2 3.9 599 m
            11:06 cleared flood#1 severe 2 sensors
        "#]],
    );
}

#[test]
fn a_river_that_dips_for_less_than_an_hour_is_one_flood_and_eight_days_later_another() {
    check_with(
        &flashy_river(),
        "18:25 stage 0.80
         18:30-18:35/5 stage 1.10
         20:20 stage 1.10
         20:25-21:15/5 stage 0.90
         21:20-21:30/5 stage 1.50
         21:35-23:55/5 stage 0.90
         8d 09:25-09:35/5 stage 0.95
         8d 09:40-11:00/5 stage 0.60",
        &expect![[r#"
            18:35 opened flood#1 moderate: stage 1.1, stage 1.1
            20:20 updated flood#1 moderate: stage 1.1
            21:25 updated flood#1 moderate: stage 1.5, stage 1.5
            21:30 updated flood#1 moderate: stage 1.5
            22:35 cleared flood#1 moderate
            8d 09:30 opened flood#2 moderate: stage 0.95, stage 0.95
            8d 09:35 updated flood#2 moderate: stage 0.95
            8d 10:40 cleared flood#2 moderate
        "#]],
    );
}

/// A stream in a city, every five minutes: two readings above 0.9144 m are a flood, an hour below
/// it is its end.
fn flashy_river() -> Arc<Bundle> {
    BundleBuilder::new()
        .sensor("stage", "water_level", metres(0, 0))
        .threshold("stage-high", "water_level", &[(Moderate, 0.9144)], |rule| {
            rule.readings_min = 2;
        })
        .correlation("floods", "flood", &["stage-high"], |rule| {
            rule.clear_after = Millis::minutes(60);
        })
        .build()
}

#[test]
fn growth_is_told_at_most_every_quarter_of_a_second_and_severity_at_once() {
    check(
        "10:00 river-1 3.1
         10:00:00.050 river-1 3.2
         10:00:00.100 river-2 3.2
         10:00:00.150 river-2 3.3
         10:00:00.200 river-2 3.9
         10:00:00.210 river-2 3.8
         10:00:01 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:00:00.200 updated flood#1 severe 2 sensors: river-1 3.2, river-2 3.2 599 m, river-2 3.3, river-2 3.9
            10:00:00.450 updated flood#1 severe 2 sensors: river-2 3.8
        "#]],
    );
}

#[test]
fn one_smoke_detector_alone_is_no_fire() {
    check(
        "10:00-10:20/1 smoke-1 4
         10:21 smoke-1 1
         10:22 smoke-1 1
         10:23 smoke-2 4
         10:24 smoke-2 4
         10:24 smoke-2 4",
        expect![[""]],
    );
}

#[test]
fn two_smoke_detectors_that_agree_are_a_fire() {
    check(
        "10:00 smoke-1 4
         10:01 smoke-1 9
         10:02 smoke-2 4
         10:03 smoke-2 4
         10:04 smoke-3 5
         10:05 smoke-3 5",
        expect![[r#"
            10:03 opened fire#1 moderate 2 sensors: smoke-1 4, smoke-1 9, smoke-2 4 100 m, smoke-2 4
        "#]],
    );
}

#[test]
fn two_fires_that_grow_together_are_one() {
    check(
        "10:00-10:01/1 smoke-1 4
         10:00-10:01/1 smoke-2 4
         10:02-10:03/1 drone-1 9 kind=smoke at=700,5000
         10:02-10:03/1 drone-2 9 kind=smoke at=750,5000
         10:04 ack fire#1 by=ana request=1
         10:05 ack fire#2 by=ana request=2
         10:06-10:07/1 drone-3 5 kind=smoke at=400,5000
         10:08 ack fire#2 by=ben request=3
         10:09 ack fire#1 by=ben request=4",
        expect![[r#"
            10:01 opened fire#1 moderate 2 sensors: smoke-1 4, smoke-1 4, smoke-2 4 100 m, smoke-2 4
            10:03 opened fire#2 severe 2 sensors: drone-1 9, drone-1 9, drone-2 9 50 m, drone-2 9
            10:04 acknowledged fire#1 moderate 2 sensors by ana
            10:05 acknowledged fire#2 severe 2 sensors by ana
            10:07 merged fire#2 into fire#1
            10:07 updated fire#1 severe 5 sensors: drone-3 5 300 m, drone-3 5
            10:08 acknowledged fire#1 severe 5 sensors by ben
            10:09 command_refused already_acknowledged by ben
        "#]],
    );
}

#[test]
fn a_flood_that_comes_back_within_half_an_hour_is_the_same_and_must_be_seen_again() {
    check(
        "10:00 river-1 4.6
         10:01 ack flood#1 by=ana
         10:02-11:20/1 river-1 2.0
         11:21 river-1 3.1
         11:22-12:22/1 river-1 2.0
         12:23-12:55/1 river-1 2.0
         12:56 river-1 3.1",
        expect![[r#"
            10:00 opened flood#1 extreme: river-1 4.6
            10:01 acknowledged flood#1 extreme by ana
            11:02 cleared flood#1 extreme
            11:21 reopened flood#1 moderate episode 2: river-1 3.1
            12:22 cleared flood#1 moderate episode 2
            12:56 opened flood#2 moderate: river-1 3.1
        "#]],
    );
}

#[test]
fn a_flood_whose_gauge_falls_silent_is_unknown_and_never_clears_by_itself() {
    check(
        "10:00 river-1 4.0
         20:00 river-1 2.0
         20:01-21:01/1 river-1 2.0",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 4
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
            20:00 sensor_returned river-1 last heard 10:00
            20:00 reopened flood#1 severe
            21:00 cleared flood#1 severe
        "#]],
    );
}

#[test]
fn a_silent_gauge_that_returns_abnormal_makes_the_flood_active_again() {
    check(
        "10:00 river-1 4.0
         10:00-10:07/1 river-2 4.0
         10:08 river-1 3.9
         10:09-10:15/1 river-1 3.9",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 4
            10:00:00.250 updated flood#1 severe 2 sensors: river-2 4 599 m
            10:01 updated flood#1 severe 2 sensors: river-2 4
            10:02 updated flood#1 severe 2 sensors: river-2 4
            10:03 updated flood#1 severe 2 sensors: river-2 4
            10:04 updated flood#1 severe 2 sensors: river-2 4
            10:05 sensor_silent river-1 last heard 10:00
            10:05 updated flood#1 severe 2 sensors: river-2 4
            10:06 updated flood#1 severe 2 sensors: river-2 4
            10:07 updated flood#1 severe 2 sensors: river-2 4
            10:08 sensor_returned river-1 last heard 10:00
            10:08 updated flood#1 severe 2 sensors: river-1 3.9
            10:09 updated flood#1 severe 2 sensors: river-1 3.9
            10:10 updated flood#1 severe 2 sensors: river-1 3.9
            10:11 updated flood#1 severe 2 sensors: river-1 3.9
            10:12 sensor_silent river-2 last heard 10:07
            10:12 updated flood#1 severe 2 sensors: river-1 3.9
            10:13 updated flood#1 severe 2 sensors: river-1 3.9
            10:14 updated flood#1 severe 2 sensors: river-1 3.9
            10:15 updated flood#1 severe 2 sensors: river-1 3.9
        "#]],
    );
}

#[test]
fn three_callers_are_a_crowd_until_their_calls_are_old() {
    check(
        "10:00 calls 1 at=0,0
         10:05 calls 1 at=900,0
         10:10 calls 1 at=50,0
         10:15 calls 1 at=100,0
         10:20 calls 1 at=250,0
         11:40 tick",
        expect![[r#"
            10:15 opened crowd#1 minor 3 sensors: calls 1, calls 1 50 m, calls 1 50 m
            10:20 updated crowd#1 minor 4 sensors: calls 1 150 m
            11:30 cleared crowd#1 minor 4 sensors
        "#]],
    );
}

#[test]
fn calls_too_far_apart_in_time_are_no_crowd() {
    check(
        "10:00 calls 1 at=0,0
         10:31 calls 1 at=0,0
         11:02 calls 1 at=0,0",
        expect![[""]],
    );
}

#[test]
fn callers_without_a_place_agree_by_the_line_they_call_on() {
    check(
        "10:00 calls 1
         10:01 calls 1
         10:02 line-2 1 kind=call
         10:03 calls 1",
        expect![[r#"
            10:03 opened crowd#1 minor 3 sensors: calls 1, calls 1, calls 1
        "#]],
    );
}

#[test]
fn a_road_is_jammed_when_it_has_been_slow_for_five_minutes_whoever_speaks_next() {
    check(
        "10:00 road-1 10
         10:03 road-1 12
         10:04 road-1 15
         10:05 road-1 9
         10:30 tick",
        expect![[r#"
            10:10 opened jam#1 moderate: road-1 9
        "#]],
    );
}

#[test]
fn what_was_observed_before_is_evidence_but_neither_raises_nor_clears() {
    check(
        "10:00 river-1 2.0 observed=10:00
         10:01 river-1 3.9 observed=09:50
         10:02 river-1 3.9 observed=10:02
         10:03 river-1 1.0 observed=09:55
         10:04 river-1 5.0 observed=10:01
         10:05 river-1 3.9 observed=23:00
         10:06 river-1 3.9 observed=10:06",
        expect![[r#"
            10:02 opened flood#1 severe: river-1 3.9
            10:04 updated flood#1 severe: river-1 5
            10:05 updated flood#1 severe: river-1 3.9
            10:06 updated flood#1 severe: river-1 3.9
        "#]],
    );
}

#[test]
fn the_same_message_twice_is_one_reading() {
    check(
        "10:00 smoke-1 4 id=a
         10:00 smoke-1 4 id=a
         10:00 smoke-2 4 id=a
         10:01 smoke-2 4 id=b
         10:02 smoke-1 4 id=a
         10:03 smoke-1 4 id=b",
        expect![[r#"
            10:03 opened fire#1 moderate 2 sensors: smoke-2 4, smoke-2 4, smoke-1 4 100 m, smoke-1 4
        "#]],
    );
}

#[test]
fn a_gauge_with_levels_of_its_own_is_judged_by_them() {
    let own = city().sensor_with("weir", "water_level", |sensor| {
        sensor.position = Some(metres(0, 9_000));
        sensor.warning = Some(1.0);
        sensor.danger = Some(2.0);
    });
    check_with(
        &own.build(),
        "10:00 weir 1.0
         10:01 weir 1.1
         10:02 weir 2.1
         10:03 weir 4.6
         10:04 weir 0.8
         10:05 weir 0.7
         11:05 tick",
        &expect![[r#"
            10:01 opened flood#1 moderate: weir 1.1
            10:02 updated flood#1 severe: weir 2.1
            10:03 updated flood#1 extreme: weir 4.6
            11:05 cleared flood#1 extreme
        "#]],
    );
}

#[test]
fn a_person_acknowledges_once() {
    check(
        "10:00 river-1 3.1
         10:01 ack flood#1 by=ana request=1
         10:01 ack flood#1 by=ana request=1
         10:02 ack flood#1 by=ben request=2
         10:03 ack flood#9 by=ben request=3
         10:03 ack flood#9 by=ben request=3",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:01 acknowledged flood#1 moderate by ana
            10:02 command_refused already_acknowledged by ben
            10:03 command_refused unknown_incident by ben
            10:03 command_refused unknown_incident by ben
        "#]],
    );
}

#[test]
fn what_is_over_for_good_can_still_be_acknowledged() {
    check(
        "10:00 smoke-1 4
         10:00 smoke-2 4
         10:01 smoke-1 4
         10:01 smoke-2 4
         10:02-10:03/1 smoke-1 1
         10:02-10:03/1 smoke-2 1
         15:00 ack fire#1 by=ana request=1
         15:01 ack fire#1 by=ben request=2",
        expect![[r#"
            10:01 opened fire#1 moderate 2 sensors: smoke-1 4, smoke-1 4, smoke-2 4 100 m, smoke-2 4
            10:13 cleared fire#1 moderate 2 sensors
            15:00 acknowledged fire#1 moderate 2 sensors by ana
            15:01 command_refused already_acknowledged by ben
        "#]],
    );
}

#[test]
fn other_rules_clear_what_they_no_longer_find_and_keep_the_rest() {
    let higher = city_with_higher_rivers();
    check_reloading(
        &[("today", &city().build()), ("higher", &higher)],
        "10:00 river-1 3.1
         10:00-10:01/1 smoke-1 4
         10:00-10:01/1 smoke-2 4
         10:02 reload higher
         10:03 smoke-1 5
         10:03-11:05/1 river-1 3.1
         11:06 river-1 4.1",
        &expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:01 opened fire#1 moderate 2 sensors: smoke-1 4, smoke-1 4, smoke-2 4 100 m, smoke-2 4
            10:02 rules_changed
            10:03 updated fire#1 moderate 2 sensors: smoke-1 5
            11:02 cleared flood#1 moderate
            11:06 reopened flood#1 moderate episode 2: river-1 4.1
        "#]],
    );
}

/// The same city with a changed river rule.
fn city_with_higher_rivers() -> Arc<Bundle> {
    let mut bundle = city().build().as_ref().clone();
    let mut rules = bundle.detections.iter_mut();
    let rule = rules
        .find(|rule| rule.name.as_str() == "river-high")
        .unwrap();
    rule.hash += 1;
    if let Test::Threshold(threshold) = &mut rule.test {
        threshold
            .levels
            .iter_mut()
            .for_each(|level| level.value += 1.0);
    }
    bundle.hash.0[0] ^= 1;
    Arc::new(bundle)
}

#[test]
fn incidents_of_a_correlation_rule_that_is_gone_clear_at_once() {
    let mut without = city().build().as_ref().clone();
    without
        .correlations
        .retain(|rule| rule.name.as_str() != "floods");
    without.hash.0[0] ^= 1;
    check_reloading(
        &[
            ("today", &city().build()),
            ("without", &Arc::new(without)),
            ("again", &city().build()),
        ],
        "10:00 river-1 3.1
         10:01 reload without
         10:02 river-1 3.1
         10:03 reload again
         10:04 river-1 3.1",
        &expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:01 rules_changed
            10:01 cleared flood#1 moderate
            10:03 rules_changed
            10:04 opened flood#2 moderate: river-1 3.1
        "#]],
    );
}

#[test]
fn a_gauge_that_was_never_heard_or_has_no_interval_is_never_silent() {
    check(
        "10:00 road-1 40
         23:00 tick",
        expect![[""]],
    );
}

#[test]
fn readings_between_the_limit_and_the_level_neither_clear_nor_count() {
    check(
        "10:00 river-1 3.1
         10:01-10:04/1 river-1 2.9
         10:05 river-1 2.71
         10:06 river-1 2.7
         10:07-11:05/1 river-1 2.9
         11:06 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            11:06 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn one_spike_while_a_river_is_low_begins_the_quiet_hour_anew() {
    check_with(
        &flashy_river(),
        "10:00-10:05/5 stage 1.0
         10:10-11:00/5 stage 0.5
         11:05 stage 1.0
         11:10-12:30/5 stage 0.5",
        &expect![[r#"
            10:05 opened flood#1 moderate: stage 1, stage 1
            12:10 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn one_spike_beyond_the_next_level_does_not_make_a_fire_severe() {
    check(
        "10:00-10:01/1 smoke-1 4
         10:00-10:01/1 smoke-2 4
         10:02 smoke-1 9
         10:03 smoke-1 4
         10:04-10:05/1 smoke-1 9",
        expect![[r#"
            10:01 opened fire#1 moderate 2 sensors: smoke-1 4, smoke-1 4, smoke-2 4 100 m, smoke-2 4
            10:02 updated fire#1 moderate 2 sensors: smoke-1 9
            10:03 updated fire#1 moderate 2 sensors: smoke-1 4
            10:04 updated fire#1 moderate 2 sensors: smoke-1 9
            10:05 updated fire#1 severe 2 sensors: smoke-1 9
        "#]],
    );
}

#[test]
fn of_two_fires_the_nearer_one_grows() {
    check(
        "10:00-10:01/1 drone-1 4 kind=smoke at=0,0
         10:00-10:01/1 drone-2 4 kind=smoke at=0,10
         10:00-10:01/1 drone-3 4 kind=smoke at=550,0
         10:00-10:01/1 drone-4 4 kind=smoke at=550,10
         10:05-10:06/1 drone-5 4 kind=smoke at=-200,0
         10:05-10:06/1 drone-6 4 kind=smoke at=800,0",
        expect![[r#"
            10:01 opened fire#1 moderate 2 sensors: drone-1 4, drone-1 4, drone-2 4 10 m, drone-2 4
            10:01 opened fire#2 moderate 2 sensors: drone-3 4, drone-3 4, drone-4 4 10 m, drone-4 4
            10:06 updated fire#1 moderate 3 sensors: drone-5 4 200 m, drone-5 4
            10:06 updated fire#2 moderate 3 sensors: drone-6 4 250 m, drone-6 4
        "#]],
    );
}

#[test]
fn rules_that_make_one_kind_of_incident_from_one_reading_make_two_incidents() {
    let twice = city().correlation("floods-too", "flood", &["river-high"], |_| ());
    check_with(
        &twice.build(),
        "10:00 river-1 3.1",
        &expect![[r#"
        10:00 opened flood#1 moderate: river-1 3.1
        10:00 opened flood#2 moderate: river-1 3.1
    "#]],
    );
}

#[test]
fn evidence_counts_by_its_weight_and_what_weighs_nothing_joins_without_deciding() {
    let weighed = city()
        .threshold("rain", "rain", &[(Severe, 30.0)], |_| ())
        .threshold("street-wet", "street", &[(Minor, 10.0)], |_| ())
        .correlation(
            "weighed",
            "flood",
            &["rain", "street-wet", "river-high"],
            |rule| {
                rule.weights = vec![0, 2, 3];
                rule.sources_min = 3;
            },
        );
    let mut bundle = weighed.build().as_ref().clone();
    bundle
        .correlations
        .retain(|rule| rule.name.as_str() != "floods");
    check_with(
        &Arc::new(bundle),
        "10:00-10:50/10 sky-1 40 kind=rain at=0,0
         10:00 sky-2 40 kind=rain at=10,0
         10:01 street-1 20 kind=street at=0,300
         10:02 street-2 20 kind=street at=300,0
         10:03 street-1 1 kind=street
         10:04 street-2 1 kind=street
         10:31 street-1 20 kind=street
         10:32 street-1 1 kind=street
         11:50 tick",
        &expect![[r#"
            10:02 opened flood#1 minor 4 sensors: sky-1 40, sky-2 40 10 m, street-1 20 300 m, street-2 20 290 m
            10:10 updated flood#1 minor 4 sensors: sky-1 40
            10:14 cleared flood#1 minor 4 sensors
            10:20 updated flood#1 minor cleared 4 sensors: sky-1 40
            10:30 updated flood#1 minor cleared 4 sensors: sky-1 40
            10:31 reopened flood#1 minor episode 2 4 sensors: street-1 20
            10:40 updated flood#1 minor episode 2 4 sensors: sky-1 40
            10:42 cleared flood#1 minor episode 2 4 sensors
            10:50 updated flood#1 minor episode 2 cleared 4 sensors: sky-1 40
        "#]],
    );
}

#[test]
fn p7_an_excursion_within_folded_telemetry_is_judged_as_if_every_reading_had_come() {
    let told = run(
        &[("first", &city().build())],
        "09:00 folded river-1 1.0 1.1 3.2 3.9 4.1 1.2 1.1 1.0
         09:01 folded river-2 1.0 1.1 1.2 1.3 1.2 1.1
         09:02 folded river-3 3.1 3.3 3.4 3.5 3.6 3.7
         09:03 tick",
    );
    let opened: Vec<_> = told
        .lines()
        .filter(|line| line.contains("opened"))
        .collect();
    let expected = [
        "09:00 opened flood#1 severe: river-1 4.1",
        "09:02 opened flood#2 moderate: river-3 3.1",
    ];
    assert_eq!(opened, expected, "{told}");
    assert!(told.contains("river-3 3.7"), "{told}");
    let cleared: Vec<_> = told
        .lines()
        .filter(|line| line.contains("cleared"))
        .collect();
    assert!(cleared.is_empty(), "that takes an hour: {told}");
}

#[test]
fn what_was_left_out_of_folded_telemetry_and_comes_again_is_no_news_and_what_follows_is() {
    let told = run(
        &[("first", &city().build())],
        "09:00 folded river-1 1.0 3.2 3.9 4.1 3.5 3.4 1.2 1.0
         09:10 river-1 3.9 observed=08:59:55
         09:11 river-1 3.9 observed=09:00:01
         09:12 tick",
    );
    let named: Vec<_> = told.lines().filter(|line| line.contains("3.9")).collect();
    assert!(
        matches!(named[..], [line] if line.starts_with("09:11")),
        "{told}"
    );
}

#[test]
fn a_gauge_that_waves_splash_over_is_high_by_three_of_its_last_five() {
    // In a row it never is: each trough begins the row anew.
    let waves = city()
        .threshold("waves-high", "water_level", &[(Moderate, 3.0)], |rule| {
            rule.readings_min = 3;
            rule.readings_among = Some(5);
        })
        .threshold("in-a-row", "water_level", &[(Moderate, 3.0)], |rule| {
            rule.readings_min = 3;
        })
        .correlation("waves", "wave", &["waves-high"], |_| ())
        .correlation("rows", "row", &["in-a-row"], |_| ())
        .build();
    let waves = only(&waves, &["waves", "rows"]);
    check_with(
        &waves,
        "10:00 river-1 3.1
         10:01 river-1 2.9
         10:02 river-1 3.2
         10:03 river-1 2.9
         10:04 river-1 3.1
         10:05 river-1 2.8
         10:06-10:20/1 river-1 2.0",
        &expect![[r#"
            10:04 opened wave#1 moderate: river-1 3.1, river-1 3.2, river-1 3.1
            10:15 cleared wave#1 moderate
        "#]],
    );
}

#[test]
fn a_flash_flood_is_told_by_its_rise_before_it_is_high() {
    let rising = city()
        .threshold(
            "river-rises",
            "water_level",
            &[(Moderate, 0.3), (Severe, 0.6)],
            |rule| {
                rule.clear_gap = 0.2;
            },
        )
        .of_change(Direction::Rises, Millis::minutes(15))
        .correlation("rises", "flash_flood", &["river-rises"], |_| ())
        .build();
    // Flat, a spike, then half a metre in five minutes; the backlog of a gauge comes at once.
    let mut timeline = String::from(
        "10:00-10:19/1 river-1 1.0
         10:07:30 river-1 2.9\n",
    );
    for minute in 0..10 {
        let level = 1.1 + 0.1 * f64::from(minute);
        timeline += &format!("10:{} river-1 {level:.1}\n", 20 + minute);
    }
    timeline += "10:30-11:10/1 river-1 2.0\n";
    for minute in 0..20 {
        let level = 1.0 + 0.01 * f64::from(minute);
        timeline += &format!("12:00 river-3 {level:.2} observed=11:{}\n", 30 + minute);
    }
    check_with(
        &only(&rising, &["rises"]),
        &timeline,
        &expect![[r#"
            10:24 opened flash_flood#1 moderate: river-1 1.5
            10:25 updated flash_flood#1 moderate: river-1 1.6
            10:26 updated flash_flood#1 severe: river-1 1.7
            10:27 updated flash_flood#1 severe: river-1 1.8
            10:28 updated flash_flood#1 severe: river-1 1.9
            10:29 updated flash_flood#1 severe: river-1 2
            10:30 updated flash_flood#1 severe: river-1 2
            10:31 updated flash_flood#1 severe: river-1 2
            10:32 updated flash_flood#1 severe: river-1 2
            10:33 updated flash_flood#1 severe: river-1 2
            10:34 updated flash_flood#1 severe: river-1 2
            10:35 updated flash_flood#1 severe: river-1 2
            10:36 updated flash_flood#1 severe: river-1 2
            10:37 updated flash_flood#1 severe: river-1 2
            10:38 updated flash_flood#1 severe: river-1 2
            10:49 cleared flash_flood#1 severe
            11:15 sensor_silent river-1 last heard 11:10
        "#]],
    );
}

#[test]
fn a_breaker_that_opens_is_told_and_one_that_is_switched_off_by_hand_is_not() {
    let texts = |texts: &[&str]| States::Texts(texts.iter().map(|text| (*text).into()).collect());
    let breakers = BundleBuilder::new()
        .sensor("breaker-1", "breaker", metres(0, 0))
        .sensor("breaker-2", "breaker", metres(9_000, 0))
        .threshold(
            "breaker-opens",
            "breaker",
            &[(Moderate, 0.0), (Severe, 0.0)],
            |rule| {
                rule.readings_min = 2;
            },
        )
        .of_states(
            Some("position"),
            &[texts(&["open", "tripped"]), texts(&["failed"])],
            Some(texts(&["closed"])),
        )
        .correlation("outages", "outage", &["breaker-opens"], |_| ())
        .build();
    check_with(
        &breakers,
        "10:00 breaker-1 1 position=closed
         10:01 breaker-1 1 position=open
         10:02 breaker-1 1 position=open
         10:03 breaker-1 1 position=failed
         10:04 breaker-1 1
         10:05 breaker-1 1 position=failed
         10:06 breaker-1 1 position=closed
         10:07 breaker-1 1 position=open observed=10:01:30
         10:10 breaker-2 1 position=earthed
         10:11 breaker-2 1 position=open
         10:12 breaker-2 1 position=open
         10:13 breaker-2 1 position=closed
         10:14 breaker-2 1 position=tripped
         10:15 breaker-2 1 position=open",
        &expect![[r#"
            10:02 opened outage#1 moderate: breaker-1 1, breaker-1 1
            10:03 updated outage#1 moderate: breaker-1 1
            10:05 updated outage#1 severe: breaker-1 1
            10:15 opened outage#2 moderate: breaker-2 1, breaker-2 1
        "#]],
    );
}

/// The bundle with these correlations only.
fn only(bundle: &Arc<Bundle>, correlations: &[&str]) -> Arc<Bundle> {
    let mut bundle = Bundle::clone(bundle);
    let named = |name: &str| correlations.contains(&name);
    bundle.correlations.retain(|rule| named(rule.name.as_str()));
    Arc::new(bundle)
}

/// A line that many call is jammed from four calls in an hour on, for as long as that.
fn busy_line() -> BundleBuilder {
    BundleBuilder::new()
        .sensor("line-1", "call", metres(0, 0))
        .threshold("calls-many", "call", &[(Moderate, 3.0)], |_| ())
        .of_window(Aggregate::Count, Millis::minutes(60), Millis::minutes(10))
        .correlation("rushes", "rush", &["calls-many"], |rule| {
            rule.clear_after = Millis::minutes(5);
            rule.reopen_within = Millis::minutes(5);
        })
}

const BUSY_AGAIN: &str = "
    10:03 line-1 1 id=a
    10:33 line-1 1 id=b
    10:43 line-1 1 id=c
    10:53 line-1 1 id=d
    11:25 line-1 1 id=e
    12:00 tick";

#[test]
fn inv_12_what_a_window_still_counts_is_evidence_of_the_first_incident_alone() {
    check_with(
        &busy_line().build(),
        BUSY_AGAIN,
        &expect![[r#"
        11:02:24.682 opened rush#1 moderate: line-1 1, line-1 1, line-1 1, line-1 1
        11:17:24.682 cleared rush#1 moderate
        11:32:24.682 opened rush#2 moderate: line-1 1
        11:47:24.682 cleared rush#2 moderate
    "#]],
    );
}

#[test]
fn inv_12_nor_does_another_correlation_rule_in_its_place_take_it_again() {
    let other = busy_line().correlation("rushes", "rush", &["calls-many"], |rule| {
        rule.clear_after = Millis::minutes(6);
        rule.within_m += 1;
    });
    let mut other = Bundle::clone(&other.build());
    other.correlations.remove(0);
    check_reloading(
        &[("first", &busy_line().build()), ("other", &Arc::new(other))],
        "10:03 line-1 1
         10:33 line-1 1
         10:43 line-1 1
         10:53 line-1 1
         11:05 reload other
         11:06 line-1 1
         12:30 tick",
        &expect![[r#"
            11:02:24.682 opened rush#1 moderate: line-1 1, line-1 1, line-1 1, line-1 1
            11:05 rules_changed
            11:05 cleared rush#1 moderate
            11:12:24.682 opened rush#2 moderate: line-1 1
            11:48:24.682 cleared rush#2 moderate
        "#]],
    );
}
