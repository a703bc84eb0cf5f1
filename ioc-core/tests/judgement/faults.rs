//! Sensors that are broken: what is told of them, and what becomes of incidents that they speak of.

use std::collections::BTreeSet;

use expect_test::expect;
use ioc_core::bundle::{Changes, FaultSign, Flapping, Impossible, Skewed, Spiking, Stuck};
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::decision::Verdict;
use ioc_core::time::Millis;
use proptest::prelude::*;

use crate::support::{BundleBuilder, Manner, metres};
use crate::timeline::{check_reloading, check_with, history, run};

/// A river with two gauges that are high from two readings in a row on, opens from either alone,
/// and a caller's floods.
fn city() -> BundleBuilder {
    BundleBuilder::new()
        .sensor("river-1", "water_level", metres(0, 0))
        .sensor("river-2", "water_level", metres(600, 0))
        .sensor_with("calls", "call", |_| ())
        .threshold(
            "river-high",
            "water_level",
            &[(Moderate, 3.0), (Severe, 4.0)],
            |rule| {
                rule.clear_gap = 0.5;
                rule.readings_min = 2;
                rule.clear_readings_min = 2;
            },
        )
        .report("call", "call", Moderate, Millis::minutes(30))
        .correlation("floods", "flood", &["river-high", "call"], |rule| {
            rule.clear_after = Millis::minutes(10);
        })
}

fn flapping() -> BundleBuilder {
    city().flapping("river-flaps", "water_level", 25, 10)
}

/// A sensor's values, a minute apart from 10:00 on.
fn each_minute(sensor: &str, values: &[f64]) -> String {
    let lines = (0..).zip(values);
    let lines = lines.map(|(minute, value)| {
        format!("{}:{:02} {sensor} {value}\n", 10 + minute / 60, minute % 60)
    });
    lines.collect()
}

#[test]
fn a_gauge_that_flaps_opens_nothing_and_is_trusted_again_when_it_is_steady() {
    let flaps = [1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 3.1, 3.1, 3.1];
    let steady = [1.2; 20];
    check_with(
        &flapping().build(),
        &each_minute("river-1", &[&flaps[..], &steady].concat()),
        &expect![[r#"
            10:05 faulty river-1 flapping distrusted: river-1 3.1
            10:26 sound river-1 flapping: river-1 1.2
        "#]],
    );
}

#[test]
fn a_river_that_goes_up_and_down_at_its_level_does_not_flap() {
    // Not back far enough to be normal: the same state for the level rule.
    let waves = [2.9, 3.1, 2.8, 3.2, 2.7, 3.3, 2.9, 3.1, 2.8, 3.2, 2.6, 3.3];
    check_with(
        &flapping().build(),
        &each_minute("river-1", &waves),
        &expect![[r#""#]],
    );
}

#[test]
fn what_a_distrusted_gauge_still_says_counts_when_it_is_trusted_again() {
    let flaps = [1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 1.2, 3.1];
    let high = [3.5; 20];
    check_with(
        &flapping().build(),
        &each_minute("river-1", &[&flaps[..], &high].concat()),
        &expect![[r#"
            10:05 faulty river-1 flapping distrusted: river-1 3.1
            10:25 sound river-1 flapping: river-1 3.5
            10:25 opened flood#1 moderate: river-1 3.1, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5
            10:26 updated flood#1 moderate: river-1 3.5
            10:27 updated flood#1 moderate: river-1 3.5
        "#]],
    );
}

#[test]
fn an_incident_is_unknown_while_its_only_gauge_is_distrusted() {
    let high = [3.5, 3.5];
    let flaps = [1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 3.1, 1.2, 1.2];
    let steady = [1.2; 40];
    check_with(
        &flapping().build(),
        &each_minute("river-1", &[&high[..], &flaps, &steady].concat()),
        &expect![[r#"
            10:01 opened flood#1 moderate: river-1 3.5, river-1 3.5
            10:03 updated flood#1 moderate: river-1 3.1
            10:05 updated flood#1 moderate: river-1 3.1
            10:06 faulty river-1 flapping distrusted: river-1 1.2
            10:06 unknown flood#1 moderate
            10:07 updated flood#1 moderate unknown: river-1 3.1
            10:08 updated flood#1 moderate unknown: river-1 3.1
            10:26 sound river-1 flapping: river-1 1.2
            10:26 reopened flood#1 moderate
            10:36 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn an_incident_clears_by_its_other_gauges_and_a_distrusted_one_does_not_reopen_it() {
    let first = [3.5, 3.5, 1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 3.1, 1.2];
    let goes_on = [
        3.1, 1.2, 3.1, 3.1, 1.2, 3.1, 3.1, 3.1, 1.2, 3.1, 3.1, 1.2, 3.1, 3.1,
    ];
    let second = [3.6, 3.6, 3.6, 3.6, 1.2, 1.2, 1.2];
    check_with(
        &flapping().build(),
        &(each_minute("river-1", &[&first[..], &goes_on].concat())
            + &each_minute("river-2", &second)),
        &expect![[r#"
            10:01 opened flood#1 moderate: river-1 3.5, river-1 3.5
            10:01:00.250 updated flood#1 moderate 2 sensors: river-2 3.6 599 m, river-2 3.6
            10:02 updated flood#1 moderate 2 sensors: river-2 3.6
            10:03 updated flood#1 moderate 2 sensors: river-1 3.1
            10:03:00.250 updated flood#1 moderate 2 sensors: river-2 3.6
            10:05 updated flood#1 moderate 2 sensors: river-1 3.1
            10:06 faulty river-1 flapping distrusted: river-1 1.2
            10:07 updated flood#1 moderate 2 sensors: river-1 3.1
            10:09 updated flood#1 moderate 2 sensors: river-1 3.1
            10:10 updated flood#1 moderate 2 sensors: river-1 3.1
            10:12 updated flood#1 moderate 2 sensors: river-1 3.1
            10:14 updated flood#1 moderate 2 sensors: river-1 3.1
            10:15 updated flood#1 moderate 2 sensors: river-1 3.1
            10:16 cleared flood#1 moderate 2 sensors
            10:17 updated flood#1 moderate cleared 2 sensors: river-1 3.1
            10:18 updated flood#1 moderate cleared 2 sensors: river-1 3.1
            10:19 updated flood#1 moderate cleared 2 sensors: river-1 3.1
            10:21 updated flood#1 moderate cleared 2 sensors: river-1 3.1
            10:22 updated flood#1 moderate cleared 2 sensors: river-1 3.1
            10:24 updated flood#1 moderate cleared 2 sensors: river-1 3.1
            10:25 updated flood#1 moderate cleared 2 sensors: river-1 3.1
        "#]],
    );
}

#[test]
fn a_distrusted_gauge_joins_what_others_open_and_makes_it_no_graver() {
    let flaps = [1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 4.5, 4.5, 4.5, 4.5];
    check_with(
        &flapping().build(),
        &(each_minute("river-1", &flaps)
            + "10:08:30 river-2 3.2
               10:09:30 river-2 3.2"),
        &expect![[r#"
            10:05 faulty river-1 flapping distrusted: river-1 4.5
            10:09:30 opened flood#1 moderate 2 sensors: river-1 4.5, river-1 4.5, river-1 4.5, river-2 3.2 599 m, river-2 3.2
            10:10 updated flood#1 moderate 2 sensors: river-1 4.5
            10:11 updated flood#1 moderate 2 sensors: river-1 4.5
        "#]],
    );
}

#[test]
fn what_nobody_believed_when_an_incident_was_rated_is_news_when_it_is_believed() {
    let flaps = [1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 1.2, 4.5];
    let told = run(
        &[("first", &flapping().build())],
        &(each_minute("river-1", &[&flaps[..], &[4.5; 20]].concat())
            + "10:08:30-10:27:30/1 river-2 3.2
               10:12:10 do rate flood#1 by=ana severity=minor"),
    );
    let mut lines = told.lines();
    let before: Vec<_> = lines
        .by_ref()
        .take_while(|line| !line.contains("sound"))
        .collect();
    assert!(
        before.contains(&"10:12:10 rated flood#1 minor 2 sensors by ana"),
        "{told}"
    );
    assert!(!before.iter().any(|line| line.contains("severe")), "{told}");
    assert!(
        lines.next().unwrap().contains("updated flood#1 severe"),
        "{told}"
    );
}

#[test]
fn an_incident_is_as_grave_as_those_say_who_are_believed() {
    // The one gauge chatters at a severe level, and the other stands at a moderate one: so grave is the
    // flood when that has lasted. When the first is steady it is severe, as it says.
    let high = [4.5, 4.5, 4.5];
    let chatters = [
        1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 1.2, 4.5,
    ];
    let first = [&high[..], &chatters, &chatters, &[4.5; 30]].concat();
    let city = flapping().handling(|rules| rules.lowers = true);
    let told = run(
        &[("first", &city.build())],
        &(each_minute("river-1", &first) + &each_minute("river-2", &[3.2; 60])),
    );
    // Of what it is updated with, what is graver than before.
    let mut told: Vec<_> = told.lines().collect();
    told.dedup_by_key(|line| line.split(' ').skip(1).take(3).collect::<Vec<_>>());
    expect![[r#"
        10:01 opened flood#1 severe: river-1 4.5, river-1 4.5
        10:01:00.250 updated flood#1 severe 2 sensors: river-2 3.2 599 m, river-2 3.2
        10:07 faulty river-1 flapping distrusted: river-1 1.2
        10:07 updated flood#1 severe 2 sensors: river-2 3.2
        10:17 rated flood#1 moderate 2 sensors
        10:17:00.250 updated flood#1 moderate 2 sensors: river-2 3.2
        10:48 sound river-1 flapping: river-1 4.5
        10:48 updated flood#1 severe 2 sensors: river-1 4.5"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_distrusted_gauge_makes_no_two_incidents_one() {
    let flaps = [1.2, 3.5, 1.2, 3.5, 1.2, 3.5, 1.2, 3.5, 3.5];
    check_with(
        &flapping().build(),
        &(each_minute("river-1", &flaps)
            + "10:01:30 calls 1 at=-900,0
               10:02:30 calls 1 at=900,0"),
        &expect![[r#"
            10:01:30 opened flood#1 moderate: calls 1
            10:02:30 opened flood#2 moderate: calls 1
            10:05 faulty river-1 flapping distrusted: river-1 3.5
            10:08 updated flood#1 moderate 2 sensors: river-1 3.5 899 m, river-1 3.5
        "#]],
    );
}

/// The city, where a gauge well beyond its level is a finding of its own, and it is told apart at
/// which of the two it flaps.
fn flapping_near_and_far() -> BundleBuilder {
    let levels = [(Moderate, 3.0), (Severe, 4.0)];
    city()
        .threshold("river-beyond", "water_level", &levels, |rule| {
            rule.clear_gap = 0.5;
            rule.margin_percent = 25;
            rule.readings_min = 2;
            rule.clear_readings_min = 2;
        })
        .flapping_of("river-flaps", "water_level", &["river-high"], (25, 10))
        .flapping_of("river-swings", "water_level", &["river-beyond"], (25, 10))
        .without_correlation("floods")
        .correlation(
            "floods",
            "flood",
            &["river-beyond", "river-high", "call"],
            |rule| rule.clear_after = Millis::minutes(10),
        )
}

#[test]
fn a_gauge_that_flaps_at_its_level_is_believed_when_it_stays_well_beyond_it() {
    let flaps = [1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 3.1, 3.1, 3.1];
    let wave = [3.8, 3.9, 3.9, 1.2, 1.2, 3.1, 3.1];
    check_with(
        &flapping_near_and_far().build(),
        &each_minute("river-1", &[&flaps[..], &wave].concat()),
        &expect![[r#"
            10:05 faulty river-1 flapping distrusted: river-1 3.1
            10:10 opened flood#1 moderate: river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.8, river-1 3.9
            10:11 updated flood#1 moderate: river-1 3.9
            10:15 updated flood#1 moderate: river-1 3.1, river-1 3.1
        "#]],
    );
}

#[test]
fn a_gauge_that_flaps_over_all_its_levels_is_not_believed_at_any() {
    let swings = [1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 1.2, 4.5, 4.5, 4.5, 4.5];
    let steady = [1.2; 20];
    check_with(
        &flapping_near_and_far().build(),
        &each_minute("river-1", &[&swings[..], &steady].concat()),
        &expect![[r#"
            10:05 faulty river-1 flapping distrusted: river-1 4.5
            10:05 faulty river-1 flapping distrusted: river-1 4.5
            10:26 sound river-1 flapping distrusted: river-1 1.2
            10:26 sound river-1 flapping: river-1 1.2
        "#]],
    );
}

#[test]
fn a_member_that_flaps_at_its_level_still_speaks_well_beyond_it() {
    let first = [3.8, 3.8, 1.2, 3.1, 1.2, 3.1, 1.2, 3.1, 3.1, 1.2, 3.1];
    let then = [3.8, 3.8, 1.2, 1.2, 1.2, 1.2];
    let all = [&first[..], &then, &[1.2; 20]].concat();
    check_with(
        &flapping_near_and_far().build(),
        &each_minute("river-1", &all),
        &expect![[r#"
            10:01 opened flood#1 moderate: river-1 3.8, river-1 3.8
            10:03 updated flood#1 moderate: river-1 3.1
            10:05 updated flood#1 moderate: river-1 3.1
            10:06 faulty river-1 flapping distrusted: river-1 1.2
            10:07 updated flood#1 moderate: river-1 3.1
            10:08 updated flood#1 moderate: river-1 3.1
            10:10 updated flood#1 moderate: river-1 3.1
            10:11 updated flood#1 moderate: river-1 3.8
            10:12 updated flood#1 moderate: river-1 3.8
            10:14 unknown flood#1 moderate
            10:29 sound river-1 flapping: river-1 1.2
            10:29 reopened flood#1 moderate
        "#]],
    );
    let without = flapping_near_and_far().without("river-flaps");
    check_reloading(
        &[
            ("with", &flapping_near_and_far().build()),
            ("without", &without.build()),
        ],
        &(each_minute("river-1", &all) + "10:10:30 reload without"),
        &expect![[r#"
            10:01 opened flood#1 moderate: river-1 3.8, river-1 3.8
            10:03 updated flood#1 moderate: river-1 3.1
            10:05 updated flood#1 moderate: river-1 3.1
            10:06 faulty river-1 flapping distrusted: river-1 1.2
            10:07 updated flood#1 moderate: river-1 3.1
            10:08 updated flood#1 moderate: river-1 3.1
            10:10 updated flood#1 moderate: river-1 3.1
            10:10:30 rules_changed
            10:10:30 sound river-1 flapping
            10:11 updated flood#1 moderate: river-1 3.8
            10:12 updated flood#1 moderate: river-1 3.8
            10:24 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn reports_of_people_open_beside_a_distrusted_gauge() {
    let flaps = [1.2, 3.5, 1.2, 3.5, 1.2, 3.5, 1.2, 3.5, 3.5, 3.5];
    check_with(
        &flapping().build(),
        &(each_minute("river-1", &flaps) + "10:12 calls 1 at=100,0"),
        &expect![[r#"
            10:05 faulty river-1 flapping distrusted: river-1 3.5
            10:12 opened flood#1 moderate 2 sensors: river-1 3.5, river-1 3.5, river-1 3.5, calls 1 100 m
        "#]],
    );
}

#[test]
fn a_jump_that_no_river_makes_is_doubted_for_a_while() {
    let jumps = Flapping {
        by: Changes::Jumps {
            by: 1.0,
            within: Millis::minutes(5),
        },
        high: 6,
        low: 5,
    };
    let rules = city().fault("river-leaps", "water_level", FaultSign::Flapping(jumps));
    check_with(
        &rules.build(),
        // After a gap it may well have risen so far.
        "10:00-10:02/1 river-1 1.2
         10:03-10:20/1 river-1 3.1
         11:00-11:02/1 river-2 1.2
         11:20-11:21/1 river-2 3.1",
        &expect![[r#"
            10:03 faulty river-1 flapping distrusted: river-1 3.1
            10:13 sound river-1 flapping: river-1 3.1
            10:13 opened flood#1 moderate: river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1, river-1 3.1
            10:14 updated flood#1 moderate: river-1 3.1
            10:15 updated flood#1 moderate: river-1 3.1
            10:16 updated flood#1 moderate: river-1 3.1
            10:17 updated flood#1 moderate: river-1 3.1
            10:18 updated flood#1 moderate: river-1 3.1
            10:19 updated flood#1 moderate: river-1 3.1
            10:20 updated flood#1 moderate: river-1 3.1
            11:21 updated flood#1 moderate 2 sensors: river-2 3.1 599 m, river-2 3.1
        "#]],
    );
}

#[test]
fn a_cut_cable_is_no_flood_however_high_it_says_the_river_is() {
    let impossible = Impossible {
        below: Some(-20.0),
        above: Some(100.0),
        readings_min: 1,
        clear_readings_min: 3,
    };
    let rules = city().fault(
        "river-impossible",
        "water_level",
        FaultSign::Impossible(impossible),
    );
    check_with(
        &rules.build(),
        "10:00 river-1 1.2
         10:01-10:09/1 river-1 6553.5
         10:10-10:14/1 river-1 1.2
         10:15-10:16/1 river-1 3.3",
        &expect![[r#"
            10:01 faulty river-1 impossible distrusted: river-1 6553.5
            10:12 sound river-1 impossible: river-1 1.2
            10:16 opened flood#1 moderate: river-1 3.3, river-1 3.3
        "#]],
    );
}

#[test]
fn a_gauge_that_says_the_same_for_hours_is_stuck_until_it_moves() {
    let stuck = Stuck {
        lasting: Millis::minutes(180),
        except: vec![0.0],
        except_below: None,
        except_above: None,
        clear_readings_min: 2,
    };
    let rules = city().fault("river-stuck", "water_level", FaultSign::Stuck(stuck));
    check_with(
        &rules.build(),
        "10:00-14:00/30 river-1 3.21
         14:30 river-1 3.22
         15:00 river-1 3.25
         10:00-14:00/30 river-2 0",
        &expect![[r#"
            10:30 opened flood#1 moderate: river-1 3.21, river-1 3.21
            11:00 updated flood#1 moderate: river-1 3.21
            11:30 updated flood#1 moderate: river-1 3.21
            12:00 updated flood#1 moderate: river-1 3.21
            12:30 updated flood#1 moderate: river-1 3.21
            13:00 faulty river-1 stuck distrusted: river-1 3.21
            13:00 unknown flood#1 moderate: river-1 3.21
            13:30 updated flood#1 moderate unknown: river-1 3.21
            14:00 updated flood#1 moderate unknown: river-1 3.21
            14:30 updated flood#1 moderate unknown: river-1 3.22
            15:00 sound river-1 stuck: river-1 3.25
            15:00 reopened flood#1 moderate: river-1 3.25
        "#]],
    );
}

#[test]
fn a_clock_that_is_ahead_is_told_and_what_is_measured_still_counts() {
    let skewed = Skewed {
        ahead: Some(Millis::minutes(5)),
        behind: Some(Millis::minutes(60)),
        readings_min: 2,
        clear_readings_min: 2,
    };
    let rules = city().fault("river-clock", "water_level", FaultSign::Skewed(skewed));
    check_with(
        &rules.trusting().build(),
        "10:00 river-1 3.1 observed=10:30
         10:01 river-1 3.1 observed=10:31
         10:02 river-1 3.1 observed=10:32
         10:03 river-1 3.1
         10:40 river-1 3.1
         10:41 river-1 3.1
         10:45 river-2 1.2 observed=09:00
         10:46 river-2 1.2 observed=10:30
         10:47 river-2 1.2 observed=09:10
         10:48 river-2 1.2 observed=09:20",
        &expect![[r#"
            10:01 faulty river-1 skewed: river-1 3.1
            10:01 opened flood#1 moderate: river-1 3.1, river-1 3.1
            10:02 updated flood#1 moderate: river-1 3.1
            10:03 updated flood#1 moderate: river-1 3.1
            10:40 sound river-1 skewed: river-1 3.1
            10:40 updated flood#1 moderate: river-1 3.1
            10:41 updated flood#1 moderate: river-1 3.1
            10:48 faulty river-2 skewed: river-2 1.2
        "#]],
    );
}

#[test]
fn a_clock_that_is_set_back_is_told_however_little_it_is_behind_until_it_is_right() {
    let skewed = Skewed {
        ahead: Some(Millis::minutes(5)),
        behind: Some(Millis::minutes(360)),
        readings_min: 3,
        clear_readings_min: 2,
    };
    let rules = city().fault("river-clock", "water_level", FaultSign::Skewed(skewed));
    // By twenty minutes, told though the rule asks for six hours; then set right.
    check_with(
        &rules.trusting().build(),
        "10:00-10:09/1 river-1 1.2
         10:10 river-1 1.2 observed=09:50
         10:11 river-1 1.2 observed=09:51
         10:12 river-1 3.1 observed=09:52
         10:13 river-1 3.1 observed=09:53
         10:14 river-1 3.1
         10:15 river-1 3.1",
        &expect![[r#"
            10:12 faulty river-1 skewed: river-1 3.1
            10:13 opened flood#1 moderate: river-1 3.1, river-1 3.1
            10:14 updated flood#1 moderate: river-1 3.1
            10:15 sound river-1 skewed: river-1 3.1
            10:15 updated flood#1 moderate: river-1 3.1
        "#]],
    );
}

#[test]
fn a_clock_that_was_ahead_and_is_set_right_is_not_told_as_behind() {
    let skewed = Skewed {
        ahead: Some(Millis::minutes(5)),
        behind: Some(Millis::minutes(360)),
        readings_min: 1,
        clear_readings_min: 2,
    };
    let rules = city().fault("river-clock", "water_level", FaultSign::Skewed(skewed));
    let mut timeline = String::new();
    for minute in 0..40 {
        timeline += &format!("10:{minute} river-1 1.2 observed=11:{minute}\n");
    }
    timeline += "10:40-10:55/1 river-1 1.2\n";
    check_with(
        &rules.trusting().build(),
        &timeline,
        &expect![[r#"
            10:00 faulty river-1 skewed: river-1 1.2
            10:43 sound river-1 skewed: river-1 1.2
        "#]],
    );
}

#[test]
fn spikes_are_told_when_there_are_several_and_a_wave_is_none() {
    let spiking = Spiking {
        height: 1.0,
        spikes_min: 2,
        among: 10,
    };
    let rules = city().fault("river-spikes", "water_level", FaultSign::Spiking(spiking));
    let spikes = [
        1.2, 1.3, 4.0, 1.2, 1.3, 0.1, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2,
    ];
    let wave = [1.2, 1.8, 2.9, 2.9, 1.7, 1.2, 1.2, 2.0, 2.9, 2.8, 1.2];
    check_with(
        &rules.trusting().build(),
        &(each_minute("river-1", &spikes) + &each_minute("river-2", &wave)),
        &expect![[r#"
            10:06 faulty river-1 spiking: river-1 1.2
        "#]],
    );
}

#[test]
fn a_fault_rule_that_goes_leaves_its_sensors_trusted() {
    let flaps = [1.2, 3.5, 1.2, 3.5, 1.2, 3.5, 1.2, 3.5, 3.5, 3.5, 3.5];
    check_reloading(
        &[("with", &flapping().build()), ("without", &city().build())],
        &(each_minute("river-1", &flaps)
            + "10:12 reload without
               10:13 river-1 3.5"),
        &expect![[r#"
            10:05 faulty river-1 flapping distrusted: river-1 3.5
            10:12 rules_changed
            10:12 sound river-1 flapping
            10:12 opened flood#1 moderate: river-1 3.5, river-1 3.5, river-1 3.5, river-1 3.5
            10:13 updated flood#1 moderate: river-1 3.5
        "#]],
    );
}

#[test]
fn alertmanager_204_3048_flapping_is_one_finding_about_the_sensor_and_no_alarm() {
    let flaps = [1.2, 3.5].repeat(200);
    let told = run(
        &[("first", &flapping().build())],
        &each_minute("river-1", &flaps),
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("faulty river-1 flapping distrusted"));
}

/// Values that make every fault come and go.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![Just(1.0), Just(3.5), Just(3.5), Just(9.0), 2.4..3.6f64];
    prop::collection::vec(value, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever opens, somebody says so who is trusted at that time.
    #[test]
    fn whatever_opens_somebody_says_so_who_is_trusted(one in values(), other in values()) {
        let told = each_minute("river-1", &one) + &each_minute("river-2", &other);
        let bundle = flapping().build();
        let (judgement, decisions) =
            history(&[("first", &bundle)], &told).judge(&Manner::plain());
        prop_assert_eq!(judgement.audit(), []);
        let mut distrusted = BTreeSet::new();
        for decision in &decisions {
            match &decision.verdict {
                Verdict::SensorFaulty(sensor, _) => {
                    distrusted.insert(&sensor.id);
                }
                Verdict::SensorSound(sensor, _) => {
                    distrusted.remove(&sensor.id);
                }
                Verdict::IncidentOpened(_) | Verdict::IncidentReopened(_) => {
                    let unknown_before = decision.cause.evidence.is_empty();
                    let mut evidence = decision.cause.evidence.iter();
                    let trusted = evidence.any(|each| !distrusted.contains(&each.sensor));
                    prop_assert!(trusted || unknown_before, "{:?}", decision);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn inv_19_whether_a_sensor_is_believed_does_not_depend_on_the_order_of_its_readings() {
    // A gauge chatters for eight minutes and then stays high. By the way each second reading is 50
    // seconds late.
    let rules = BundleBuilder::new()
        .sensor("river-1", "water_level", metres(0, 0))
        .threshold("river-high", "water_level", &[(Moderate, 3.0)], |rule| {
            rule.clear_gap = 0.3;
            rule.readings_min = 2;
        })
        .settling(Millis::minutes(1))
        .flapping("river-flaps", "water_level", 25, 10)
        .settling(Millis::minutes(1))
        .correlation("floods", "flood", &["river-high"], |_| ())
        .build();
    let told = |late: i64| {
        let mut lines = Vec::new();
        for number in 0..60_i64 {
            let value = if number < 24 && number % 2 == 0 {
                1.2
            } else {
                3.5
            };
            let observed = 20 * number;
            let received = observed + if number % 2 == 1 { late } else { 0 };
            lines.push((
                received,
                number,
                format!(
                    "10:{:02}:{:02} river-1 {value} id=r{number:02} observed=10:{:02}:{:02}",
                    received / 60,
                    received % 60,
                    observed / 60,
                    observed % 60,
                ),
            ));
        }
        lines.sort();
        let story: Vec<_> = lines.into_iter().map(|(.., line)| line).collect();
        run(&[("first", &rules)], &(story.join("\n") + "\n11:00 tick"))
    };
    let in_order = told(0);
    assert!(
        in_order.contains(" faulty river-1 flapping distrusted"),
        "{in_order}"
    );
    for late in [21, 41, 59] {
        assert_eq!(told(late), in_order, "{late} s late");
    }
}

#[test]
fn what_a_gauge_said_before_it_was_doubted_counts_again_when_nobody_else_is_there() {
    // A caller is believed for half an hour, and a gauge is severe that came to be distrusted then. When the
    // call counts no more there is nobody but the gauge: nobody knows that it is less.
    let high = [4.5, 4.5, 4.5];
    let chatters = [1.2, 4.5].repeat(40);
    let first = [&high[..], &chatters].concat();
    let city = flapping().handling(|rules| rules.lowers = true);
    let told = run(
        &[("first", &city.build())],
        &(each_minute("river-1", &first) + "10:04 calls 1 at=10,0\n"),
    );
    let mut told: Vec<_> = told.lines().collect();
    told.dedup_by_key(|line| line.split(' ').skip(1).take(3).collect::<Vec<_>>());
    expect![[r#"
        10:01 opened flood#1 severe: river-1 4.5, river-1 4.5
        10:02 updated flood#1 severe: river-1 4.5
        10:04:00.250 updated flood#1 severe 2 sensors: calls 1 10 m
        10:07 faulty river-1 flapping distrusted: river-1 1.2
        10:08 updated flood#1 severe 2 sensors: river-1 4.5
        10:17 rated flood#1 moderate 2 sensors
        10:18 updated flood#1 moderate 2 sensors: river-1 4.5
        10:34 unknown flood#1 severe 2 sensors
        10:34:00.250 updated flood#1 severe unknown 2 sensors: river-1 4.5"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn what_a_distrusted_gauge_said_makes_nothing_graver_where_others_are_believed() {
    // A person moves a gauge that had been severe, and chatters by now, to where another is moderate, as it
    // says; and splits it from that again, so that there is nobody beside it who is believed.
    let chatters = [&[4.5, 4.5, 4.5][..], &[1.2, 4.5].repeat(20)].concat();
    let timeline = each_minute("river-1", &chatters)
        + &each_minute("river-2", &[3.2; 43])
        + "10:02:30 calls 1 at=5000,0
           10:30:10 do move flood#1 other=flood#2 by=ana request=1 sources=river-1
           10:30:20 do split flood#2 by=ana request=2 sources=river-1";
    let told = run(&[("first", &flapping().build())], &timeline);
    let told: Vec<_> = told
        .lines()
        .filter(|line| !line.contains("updated"))
        .collect();
    expect![[r#"
        10:01 opened flood#1 severe: river-1 4.5, river-1 4.5
        10:02:30 opened flood#2 moderate: calls 1
        10:07 faulty river-1 flapping distrusted: river-1 1.2
        10:30:10 evidence_moved flood#2 moderate 2 sensors from flood#1: river-1 by ana
        10:30:20 split flood#3 severe from flood#2: river-1 by ana"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_part_of_a_distrusted_gauge_and_one_that_is_well_is_as_grave_as_that_was() {
    let chatters = [&[4.5, 4.5, 4.5][..], &[1.2, 4.5].repeat(20)].concat();
    let timeline = each_minute("river-1", &chatters)
        + &each_minute("river-2", &[&[3.2; 12][..], &[1.0; 31]].concat())
        + "10:02:30 calls 1 at=10,0
           10:30:10 do split flood#1 by=ana request=1 sources=river-1,river-2\n";
    let told = run(&[("first", &flapping().build())], &timeline);
    let split = told.lines().find(|line| line.contains(" split "));
    expect!["10:30:10 split flood#2 severe 2 sensors from flood#1: river-1, river-2 by ana"]
        .assert_eq(split.unwrap_or_default());
}
