//! Reports that are taken back, and those that take their place.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::Bundle;
use ioc_core::decision::Severity::{Extreme, Moderate, Severe};
use ioc_core::decision::{Decision, Verdict};
use ioc_core::limits::{KINDS_PER_SENSOR_MAX, REPLACED_MAX};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, Manner};
use crate::timeline::{check_reloading, check_with, history};

/// A weather service whose warnings go from moderate to extreme, and callers.
fn city() -> BundleBuilder {
    let day = Millis::minutes(1440);
    BundleBuilder::new()
        .report_of("warned", "warning", Moderate, day, 2.0)
        .report_of("warned-severe", "warning", Severe, day, 3.0)
        .report_of("warned-extreme", "warning", Extreme, day, 4.0)
        .replacing(&["warned", "warned-severe", "warned-extreme"])
}

fn warnings(builder: BundleBuilder) -> Arc<Bundle> {
    let from = ["warned", "warned-severe", "warned-extreme"];
    builder
        .correlation("warnings", "storm", &from, |rule| {
            rule.within_m = 5_000;
            rule.within = Millis::minutes(60);
            rule.clear_after = Millis::minutes(10);
        })
        .handling(|rules| rules.lowers = true)
        .build()
}

fn check(timeline: &str, expected: &Expect) {
    check_with(&warnings(city()), timeline, expected);
}

#[test]
fn what_is_cancelled_ends() {
    check(
        "10:00 met 3 kind=warning id=a/0 at=0,0
         10:30 met 0 kind=warning id=b/0 replaces=a
         11:00 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            10:40 cleared storm#1 severe
        "#]],
    );
}

#[test]
fn what_is_updated_goes_on_as_grave_as_the_update_says() {
    check(
        "10:00 met 3 kind=warning id=a/0 at=0,0
         11:00 met 4 kind=warning id=b/0 at=0,0 replaces=a
         12:00 met 2 kind=warning id=c/0 at=100,0 replaces=a+b
         13:00 met 0 kind=warning id=d/0 replaces=a+b+c
         14:00 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            11:00 updated storm#1 extreme 2 sensors: met 4
            12:00 updated storm#1 extreme 3 sensors: met 2 100 m
            12:10 rated storm#1 moderate 3 sensors
            13:10 cleared storm#1 moderate 3 sensors
        "#]],
    );
}

#[test]
fn a_warning_whose_area_moves_far_away_stays_the_same_incident() {
    check(
        "10:00 met 3 kind=warning id=a/0 at=0,0
         10:00 met 3 kind=warning id=a/1 at=90000,0
         14:00 met 3 kind=warning id=b/0 at=20000,0 replaces=a
         14:00 met 3 kind=warning id=b/1 at=80000,0 replaces=a
         15:00 met 0 kind=warning id=c replaces=a+b
         16:00 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            10:00 opened storm#2 severe: met 3
            14:00 updated storm#1 severe 2 sensors: met 3
            14:00 updated storm#2 severe 2 sensors: met 3
            15:10 cleared storm#1 severe 2 sensors
            15:10 cleared storm#2 severe 2 sensors
        "#]],
    );
}

#[test]
fn only_the_sources_own_reports_are_taken_back() {
    check(
        "10:00 met 3 kind=warning id=a/0 at=0,0
         10:10 other 0 kind=warning id=b/0 replaces=a
         10:20 met 0 kind=warning id=c/0 replaces=a1+b
         10:30 met 0 kind=warning id=d/0 replaces=a/0
         11:00 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            10:40 cleared storm#1 severe
        "#]],
    );
}

#[test]
fn a_report_counts_until_it_says_and_no_longer_than_a_week() {
    check(
        "10:00 met 3 kind=warning id=a at=0,0 until=2026-03-14T10:20:00Z
         11:00 met 3 kind=warning id=b at=0,0 until=2026-03-14T10:59:00Z
         12:00 met 3 kind=warning id=c at=0,0 until=soon
         2d 12:00 met 3 kind=warning id=d at=0,0 until=2036-03-14T10:59:00Z
         12d 12:00 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            10:30 cleared storm#1 severe
            12:00 opened storm#2 severe: met 3
            1d 12:10 cleared storm#2 severe
            2d 12:00 opened storm#3 severe: met 3
            9d 12:10 cleared storm#3 severe
        "#]],
    );
}

#[test]
fn what_is_taken_back_before_it_comes_counts_for_nothing_and_what_is_said_later_does() {
    // An update that is overtaken itself still takes back what came before it.
    check(
        "10:00 met 3 kind=warning id=e/0 at=0,0 observed=09:40
         10:10 met 0 kind=warning id=b replaces=a+c
         10:11 met 3 kind=warning id=a/0 at=0,0 observed=09:50
         10:12 met 3 kind=warning id=c/0 at=0,0 observed=09:55 replaces=e
         10:13 other 3 kind=warning id=a/0 at=90000,0 observed=09:50
         11:00 met 3 kind=warning id=a/1 at=20000,0
         11:30 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            10:13 opened storm#2 severe: other 3
            10:22 cleared storm#1 severe
            11:00 opened storm#3 severe: met 3
        "#]],
    );
}

/// Besides warnings so many kinds of alerts, each an incident of its own.
fn alerts(kinds: usize) -> Arc<Bundle> {
    let day = Millis::minutes(1440);
    let mut builder = city();
    for number in 0..kinds {
        let (rule, kind) = (format!("rule-{number:02}"), format!("kind_{number:02}"));
        builder = builder
            .report_of(&rule, &kind, Severe, day, 1.0)
            .replacing(&[&rule])
            .correlation(
                &format!("{rule}s"),
                &format!("danger_{number:02}"),
                &[&rule],
                |rule| {
                    rule.clear_after = Millis::minutes(10);
                },
            );
    }
    warnings(builder)
}

#[test]
fn what_is_taken_back_ends_whatever_its_kind() {
    check_with(
        &alerts(2),
        "10:00 met 3 kind=warning id=a/0 at=0,0
         10:00 met 3 kind=kind_00 id=a/1 at=0,0
         11:00 met 3 kind=kind_01 id=b/0 at=0,0 replaces=a
         12:00 met 0 kind=unheard_of id=c replaces=b
         12:01 met 1 kind=kind_00 id=b/1 at=0,0 observed=11:00
         13:00 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            10:00 opened danger_00#1 severe: met 3
            11:00 opened danger_01#1 severe: met 3
            11:10 cleared danger_00#1 severe
            11:10 cleared storm#1 severe
            12:10 cleared danger_01#1 severe
        "#]],
    );
}

#[test]
fn an_update_to_another_kind_of_the_same_incident_goes_on_with_it() {
    let day = Millis::minutes(1440);
    let builder = city()
        .report_of("gale", "gale", Severe, day, 1.0)
        .replacing(&["gale"])
        .correlation("winds", "wind", &["warned", "gale"], |rule| {
            rule.within_m = 5_000;
            rule.clear_after = Millis::minutes(10);
        });
    check_with(
        &builder.build(),
        "10:00 met 2 kind=warning id=a/0 at=0,0
         11:00 met 3 kind=gale id=b/0 at=90000,0 replaces=a
         12:00 met 0 kind=warning id=c replaces=a+b
         13:00 tick",
        &expect![[r#"
            10:00 opened wind#1 moderate: met 2
            11:00 updated wind#1 severe 2 sensors: met 3
            12:10 cleared wind#1 severe 2 sensors
        "#]],
    );
}

#[test]
fn p5_a_kind_beyond_those_that_a_sensor_may_send_takes_back_all_the_same() {
    let sent = (0..KINDS_PER_SENSOR_MAX)
        .map(|number| format!("10:{number:02} met 3 kind=kind_{number:02} id=a/{number} at=0,0\n"));
    let sent: String = sent.collect();
    let last = KINDS_PER_SENSOR_MAX;
    let timeline = format!("{sent}11:00 met 3 kind=kind_{last} id=b at=0,0 replaces=a\n12:00 tick");
    let history = history(&[("first", &alerts(last + 1))], &timeline);
    let decisions = history.run(&Manner::plain()).decisions;
    let is_cleared = |decision: &&Decision| matches!(decision.verdict, Verdict::IncidentCleared(_));
    assert_eq!(decisions.iter().filter(is_cleared).count(), last);
}

#[test]
fn a_candidate_forgets_what_is_taken_back() {
    let bundle = city()
        .correlation("storms", "storm", &["warned"], |rule| {
            rule.sources_min = 2;
            rule.within_m = 5_000;
        })
        .build();
    check_with(
        &bundle,
        "10:00 met 3 kind=warning id=a at=0,0
         10:10 met 0 kind=warning id=b replaces=a
         10:20 river 3 kind=warning id=c at=0,0
         10:30 met 3 kind=warning id=e at=0,0 replaces=a",
        &expect![[r#"
            10:30 opened storm#1 moderate 2 sensors: river 3, met 3
        "#]],
    );
}

#[test]
fn what_is_kept_quiet_is_taken_back_too() {
    check(
        "10:00 shelve sensor=met for=60 by=ana reason=drill
         10:01 met 3 kind=warning id=a at=0,0
         10:02 met 0 kind=warning id=b replaces=a
         10:03 met 3 kind=warning id=c at=0,0
         10:04 met 2 kind=warning id=d at=0,0 replaces=c
         11:10 tick",
        &expect![[r#"
            10:00 suppression_started quiet#1 met shelved until 11:00 for drill of ana by ana
            10:01 suppression_updated quiet#1 met shelved until 11:00, 1 kept: met 1
            10:02 suppression_updated quiet#1 met shelved until 11:00, 2 kept: met 2
            10:03 suppression_updated quiet#1 met shelved until 11:00, 3 kept: met 3
            10:04 suppression_updated quiet#1 met shelved until 11:00, 4 kept: met 4
            10:05 suppression_updated quiet#1 met shelved until 11:00, 5 kept: met 5
            10:50 suppression_ending_soon quiet#1 met shelved until 11:00, 5 kept: met 5
            11:00 suppression_ended quiet#1 met: expired, 5 kept: met 5
            11:00 opened storm#1 moderate: met 2
        "#]],
    );
}

#[test]
fn what_counted_before_it_was_kept_quiet_is_taken_back_by_what_is() {
    check(
        "10:00 met 3 kind=warning id=a at=0,0
         10:10 shelve sensor=met for=60 by=ana reason=drill
         10:11 met 3 kind=warning id=b at=0,0 replaces=a
         10:12 met 0 kind=warning id=c replaces=b
         11:20 tick",
        &expect![[r#"
            10:00 opened storm#1 severe: met 3
            10:10 suppression_started quiet#1 met shelved until 11:10 for drill of ana by ana
            10:11 suppression_updated quiet#1 met shelved until 11:10, 1 kept: met 1
            10:12 suppression_updated quiet#1 met shelved until 11:10, 2 kept: met 2
            10:21 cleared storm#1 severe
            11:00 suppression_ending_soon quiet#1 met shelved until 11:10, 2 kept: met 2
            11:10 suppression_ended quiet#1 met: expired, 2 kept: met 2
        "#]],
    );
}

#[test]
fn what_keeps_a_sequence_quiet_is_taken_back_and_so_is_what_follows() {
    let builder = city()
        .report_of("works", "works", Moderate, Millis::minutes(600), 1.0)
        .report_of("called", "call", Moderate, Millis::minutes(60), 1.0)
        .replacing(&["works", "called"])
        .sequence("warned-then-called", ("warned", "called"), |rule| {
            rule.unless = Some("works".parse().unwrap());
            rule.within = Millis::minutes(120);
        });
    let bundle = builder
        .correlation("found", "found", &["warned-then-called"], |rule| {
            rule.clear_after = Millis::minutes(5);
        })
        .build();
    check_with(
        &bundle,
        "10:00 crew 1 kind=works id=w at=0,0
         10:01 met 3 kind=warning id=a at=0,0
         10:02 line 1 kind=call id=one at=0,0
         10:10 crew 0 kind=works id=x replaces=w
         10:11 met 3 kind=warning id=b at=0,0
         10:12 line 1 kind=call id=two at=0,0
         10:20 line 0 kind=call id=three replaces=two
         10:40 tick",
        &expect![[r#"
            10:12 opened found#1 severe: line 1
            10:25 cleared found#1 severe
        "#]],
    );
}

#[test]
fn other_rules_may_let_reports_be_taken_back_that_are_there() {
    let from = ["warned"];
    let storms = |builder: BundleBuilder| {
        builder
            .correlation("storms", "storm", &from, |rule| {
                rule.clear_after = Millis::minutes(10);
            })
            .build()
    };
    let day = Millis::minutes(1440);
    let other = BundleBuilder::new().report_of("other", "warning", Moderate, day, 9.0);
    let first = storms(
        other
            .clone()
            .report_of("warned", "warning", Moderate, day, 2.0),
    );
    let then = storms(
        other
            .report_of("warned", "warning", Moderate, day, 2.0)
            .replacing(&["warned", "other"]),
    );
    check_reloading(
        &[("first", &first), ("then", &then)],
        "10:00 met 3 kind=warning id=a at=0,0
         10:05 met 0 kind=warning id=b replaces=a
         10:10 reload then
         10:15 met 0 kind=warning id=c replaces=a
         10:40 tick",
        &expect![[r#"
            10:00 opened storm#1 moderate: met 3
            10:10 rules_changed
            10:25 cleared storm#1 moderate
        "#]],
    );
}

#[test]
fn p5_a_reading_takes_the_place_of_so_many_reports_and_no_more() {
    let many = (0..REPLACED_MAX + 1).map(|n| {
        let seconds = n % 60;
        let minutes = n / 60;
        format!("10:{minutes:02}:{seconds:02} met 3 kind=warning id=a/{n:04} at=0,0")
    });
    let all: Vec<_> = many.collect();
    let timeline = format!(
        "{}\n10:30 met 0 kind=warning id=b replaces=a\n11:00 tick",
        all.join("\n")
    );
    let once = history(&[("first", &warnings(city()))], &timeline);
    let decisions = once.run(&Manner::plain()).decisions;
    let is_cleared = |decision: &Decision| matches!(decision.verdict, Verdict::IncidentCleared(_));
    assert!(!decisions.iter().any(is_cleared));
    let again = timeline.replace(
        "11:00 tick",
        "11:00 met 0 kind=warning id=c replaces=a/1024\n11:30 tick",
    );
    let twice = history(&[("first", &warnings(city()))], &again);
    let decisions = twice.run(&Manner::plain()).decisions;
    assert!(decisions.iter().any(is_cleared));
}
