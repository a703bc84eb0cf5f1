//! Sensors that move: what one says anew far from where it spoke before is evidence where it is now,
//! and what it said there stays there.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Bundle, CorrelationRule};
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::time::Millis;

use crate::support::BundleBuilder;
use crate::timeline::{check_with, run};

/// Leaks that are near within a kilometre, clear after ten minutes and may reopen within thirty.
fn leaks(set: impl FnOnce(&mut CorrelationRule)) -> Arc<Bundle> {
    BundleBuilder::new()
        .threshold(
            "gas-high",
            "gas",
            &[(Moderate, 10.0), (Severe, 20.0)],
            |_| (),
        )
        .correlation("leaks", "leak", &["gas-high"], set)
        .build()
}

fn check(timeline: &str, expected: &Expect) {
    check_with(&leaks(|_| ()), timeline, expected);
}

/// What was decided but for growth, each without its evidence.
fn outline(bundle: &Arc<Bundle>, timeline: &str) -> Vec<String> {
    let told = run(&[("first", bundle)], timeline);
    let told = told.lines().filter(|line| !line.contains(" updated "));
    let short = |line: &str| line.split(": ").next().unwrap().to_owned();
    told.map(short).collect()
}

#[test]
fn what_a_van_measures_elsewhere_is_another_leak_though_somebody_has_seen_the_first() {
    check(
        "10:00-10:03/1 van-7 22 kind=gas at=0,0
         10:02 ack leak#1 by=ana
         10:04-10:08/1 van-7 1 kind=gas at=5000,0
         10:09-10:11/1 van-7 24 kind=gas at=9000,0
         10:12 van-7 1 kind=gas at=9500,0
         11:30 tick",
        &expect![[r#"
            10:00 opened leak#1 severe: van-7 22
            10:01 updated leak#1 severe: van-7 22
            10:02 updated leak#1 severe: van-7 22
            10:02 acknowledged leak#1 severe by ana
            10:03 updated leak#1 severe: van-7 22
            10:09 opened leak#2 severe: van-7 24
            10:10 updated leak#2 severe: van-7 24
            10:11 updated leak#2 severe: van-7 24
            10:14 cleared leak#1 severe
            10:22 cleared leak#2 severe
        "#]],
    );
}

#[test]
fn what_is_over_in_one_place_comes_back_there_and_is_new_elsewhere() {
    let over = "10:00-10:03/1 drone 22 kind=gas at=0,0
                10:04-10:30/1 drone 1 kind=gas at=5000,0";
    assert_eq!(
        outline(
            &leaks(|_| ()),
            &format!("{over}\n10:31 drone 22 kind=gas at=900,0")
        ),
        [
            "10:00 opened leak#1 severe",
            "10:14 cleared leak#1 severe",
            "10:31 reopened leak#1 severe episode 2",
        ]
    );
    assert_eq!(
        outline(
            &leaks(|_| ()),
            &format!("{over}\n10:31 drone 22 kind=gas at=1100,0")
        ),
        [
            "10:00 opened leak#1 severe",
            "10:14 cleared leak#1 severe",
            "10:31 opened leak#2 severe",
        ]
    );
}

#[test]
fn a_probe_that_stands_in_two_places_makes_no_one_of_them() {
    check(
        "10:00-10:40/10 fixed-1 22 kind=gas at=0,0
         10:00-10:40/10 fixed-2 22 kind=gas at=6000,0
         10:05-10:06/1 probe 22 kind=gas at=100,0
         10:07-10:11/1 probe 1 kind=gas at=3000,0
         10:12-10:13/1 probe 23 kind=gas at=6100,0
         10:14-10:17/1 probe 1 kind=gas at=3000,0
         10:18 probe 24 kind=gas at=200,0
         10:41 fixed-1 1 kind=gas at=0,0
         10:42 fixed-2 1 kind=gas at=6000,0
         10:43 probe 1 kind=gas at=0,0
         11:00 tick",
        &expect![[r#"
            10:00 opened leak#1 severe: fixed-1 22
            10:00 opened leak#2 severe: fixed-2 22
            10:05 updated leak#1 severe 2 sensors: probe 22 100 m
            10:06 updated leak#1 severe 2 sensors: probe 22
            10:10 updated leak#1 severe 2 sensors: fixed-1 22
            10:10 updated leak#2 severe: fixed-2 22
            10:12 updated leak#2 severe 2 sensors: probe 23 100 m
            10:13 updated leak#2 severe 2 sensors: probe 23
            10:18 updated leak#1 severe 2 sensors: probe 24 100 m
            10:20 updated leak#1 severe 2 sensors: fixed-1 22
            10:20 updated leak#2 severe 2 sensors: fixed-2 22
            10:30 updated leak#1 severe 2 sensors: fixed-1 22
            10:30 updated leak#2 severe 2 sensors: fixed-2 22
            10:40 updated leak#1 severe 2 sensors: fixed-1 22
            10:40 updated leak#2 severe 2 sensors: fixed-2 22
            10:52 cleared leak#2 severe 2 sensors
            10:53 cleared leak#1 severe 2 sensors
        "#]],
    );
}

#[test]
fn what_is_left_of_it_near_by_keeps_a_sensor_in_its_incident() {
    // It is far from where it was, and near to another of the same leak.
    assert_eq!(
        outline(
            &leaks(|_| ()),
            "10:00 fixed-1 22 kind=gas at=0,0
             10:01 fixed-2 22 kind=gas at=900,0
             10:02 probe 22 kind=gas at=0,0
             10:03 probe 1 kind=gas at=900,0
             10:04 probe 22 kind=gas at=1500,0"
        ),
        ["10:00 opened leak#1 severe"]
    );
}

#[test]
fn what_goes_on_while_its_sensor_moves_stays_one() {
    // A cloud that a drone follows, and what it comes to.
    assert_eq!(
        outline(
            &leaks(|_| ()),
            "10:00 drone 22 kind=gas at=0,0
             10:00 fixed-1 22 kind=gas at=3600,0
             10:01 drone 22 kind=gas at=900,0
             10:02 drone 22 kind=gas at=1800,0
             10:03 drone 22 kind=gas at=2700,0"
        ),
        [
            "10:00 opened leak#1 severe",
            "10:00 opened leak#2 severe",
            "10:03 merged leak#1 into leak#2",
        ]
    );
    // It says too little to be followed, and nothing else is near.
    assert_eq!(
        outline(
            &leaks(|_| ()),
            "10:00 drone 22 kind=gas at=0,0
             10:05 drone 22 kind=gas at=2000,0
             10:06 drone 1 kind=gas at=2000,0
             10:20 tick"
        ),
        ["10:00 opened leak#1 severe", "10:16 cleared leak#1 severe"]
    );
}

#[test]
fn who_comes_to_another_while_it_is_abnormal_makes_no_one_of_them() {
    let comes = "10:00-10:30/10 fixed-1 22 kind=gas at=0,0
         10:00-10:30/10 fixed-2 22 kind=gas at=6000,0
         10:05 probe 22 kind=gas at=100,0
         10:12 probe 23 kind=gas at=6100,0
         10:13 fixed-3 22 kind=gas at=6200,0
         10:14 probe 23 kind=gas at=6100,0";
    assert_eq!(
        outline(&leaks(|_| ()), comes),
        ["10:00 opened leak#1 severe", "10:00 opened leak#2 severe"]
    );
    // When it has been normal it is evidence where it is.
    check(
        &format!(
            "{comes}
             10:15 probe 1 kind=gas at=6100,0
             10:16 probe 23 kind=gas at=6100,0
             10:31 fixed-1 1 kind=gas at=0,0
             10:45 tick"
        ),
        &expect![[r#"
            10:00 opened leak#1 severe: fixed-1 22
            10:00 opened leak#2 severe: fixed-2 22
            10:05 updated leak#1 severe 2 sensors: probe 22 100 m
            10:10 updated leak#1 severe 2 sensors: fixed-1 22
            10:10 updated leak#2 severe: fixed-2 22
            10:12 updated leak#1 severe 2 sensors: probe 23
            10:13 updated leak#2 severe 2 sensors: fixed-3 22 200 m
            10:14 updated leak#1 severe 2 sensors: probe 23
            10:16 updated leak#2 severe 3 sensors: probe 23 100 m
            10:20 updated leak#1 severe 2 sensors: fixed-1 22
            10:20 updated leak#2 severe 3 sensors: fixed-2 22
            10:30 updated leak#1 severe 2 sensors: fixed-1 22
            10:30 updated leak#2 severe 3 sensors: fixed-2 22
            10:41 cleared leak#1 severe 2 sensors
        "#]],
    );
    // What nobody was told of stays behind with who is there.
    let two = leaks(|rule| rule.sources_min = 3);
    assert_eq!(
        outline(
            &two,
            "10:00 fixed-1 22 kind=gas at=0,0
             10:01 probe 22 kind=gas at=100,0
             10:02 fixed-2 22 kind=gas at=6000,0
             10:03 fixed-3 22 kind=gas at=6200,0
             10:04 probe 22 kind=gas at=6100,0
             10:05 fixed-4 22 kind=gas at=0,100
             10:06 fixed-5 22 kind=gas at=0,200"
        ),
        [
            "10:04 opened leak#1 severe 3 sensors",
            "10:06 opened leak#2 severe 3 sensors",
        ]
    );
}

#[test]
fn a_reading_that_another_is_called_by_is_one_with_it() {
    // What is measured here is a report as well, and may be another incident's by a person's word.
    let rules = BundleBuilder::new()
        .threshold("gas-high", "gas", &[(Severe, 20.0)], |_| ())
        .report_of("smelt", "gas", Moderate, Millis::minutes(30), 20.0)
        .correlation("leaks", "leak", &["gas-high", "smelt"], |_| ())
        .build();
    check_with(
        &rules,
        "10:00 van-7 22 kind=gas at=0,0 id=a
         10:01 fixed-1 22 kind=gas at=500,0
         10:02 do split leak#1 sources=van-7/a
         10:03 van-7 1 kind=gas at=500,0
         10:04 van-7 22 kind=gas at=12000,0
         10:05 do merge leak#1 other=leak#2
         10:06 do split leak#1 sources=van-7/a
         10:07 do merge leak#1 other=leak#3
         11:00 tick",
        &expect![[r#"
            10:00 opened leak#1 severe 2 sensors: van-7 22
            10:01 updated leak#1 severe 4 sensors: fixed-1 22 499 m
            10:02 split leak#2 moderate from leak#1: van-7/a by ana
            10:02 updated leak#1 severe 3 sensors by ana
            10:04 opened leak#3 severe 2 sensors: van-7 22
            10:05 merged leak#2 into leak#1 by ana
            10:05 updated leak#1 severe 3 sensors by ana
            10:06 split leak#4 moderate from leak#1: van-7/a by ana
            10:06 updated leak#1 severe 2 sensors by ana
            10:07 merged leak#3 into leak#1 by ana
            10:07 updated leak#1 severe 4 sensors by ana
            10:40 cleared leak#4 moderate
        "#]],
    );
}

#[test]
fn who_comes_again_is_no_further_source() {
    let mut timeline = "10:00-12:00/10 fixed-1 22 kind=gas at=0,0\n".to_owned();
    for minute in (0..50).step_by(10) {
        timeline += &format!(
            "10:{minute:02} probe 22 kind=gas at=100,0
             10:{:02} probe 1 kind=gas at=3000,0
             10:{:02} probe 22 kind=gas at=6000,0
             10:{:02} probe 1 kind=gas at=3000,0\n",
            minute + 2,
            minute + 4,
            minute + 6,
        );
    }
    timeline += "12:01 fixed-1 1 kind=gas at=0,0\n12:20 tick";
    let told = outline(&leaks(|_| ()), &timeline);
    assert_eq!(
        told,
        [
            "10:00 opened leak#1 severe",
            "10:04 opened leak#2 severe",
            "10:56 cleared leak#2 severe",
            "12:11 cleared leak#1 severe 2 sensors",
        ]
    );
}

#[test]
fn what_a_sensor_left_behind_is_a_part_of_its_incident_for_people_too() {
    check(
        "10:00 van-7 22 kind=gas at=0,0
         10:01 fixed-1 22 kind=gas at=500,0
         10:02 van-7 1 kind=gas at=500,0
         10:03 van-7 22 kind=gas at=9000,0
         10:04 do split leak#1 sources=van-7
         10:05 do dismiss leak#2
         10:06 do merge leak#1 other=leak#3
         10:30 tick",
        &expect![[r#"
            10:00 opened leak#1 severe: van-7 22
            10:01 updated leak#1 severe 2 sensors: fixed-1 22 499 m
            10:03 opened leak#2 severe: van-7 22
            10:04 split leak#3 unknown from leak#1: van-7/line-1 by ana
            10:04 updated leak#1 severe by ana
            10:05 dismissed leak#2 severe as false_alarm by ana
            10:06 merged leak#3 into leak#1 by ana
            10:06 updated leak#1 severe 2 sensors by ana
        "#]],
    );
}

#[test]
fn what_needs_company_is_found_where_its_sensor_is() {
    let two = leaks(|rule| {
        rule.sources_min = 2;
        rule.reopen_within = Millis::minutes(120);
    });
    assert_eq!(
        outline(
            &two,
            "10:00 van-7 22 kind=gas at=0,0
             10:01 fixed-1 22 kind=gas at=500,0
             10:02 fixed-1 1 kind=gas at=500,0
             10:02 van-7 1 kind=gas at=500,0
             11:00 van-7 22 kind=gas at=9000,0
             11:01 fixed-2 22 kind=gas at=9100,0"
        ),
        [
            "10:01 opened leak#1 severe 2 sensors",
            "10:12 cleared leak#1 severe 2 sensors",
            "11:01 opened leak#2 severe 2 sensors",
        ]
    );
}
