//! Stories of causes and their effects: who becomes whose child, and what that means.

use std::fmt::Write;
use std::sync::Arc;

use expect_test::expect;
use ioc_core::bundle::{Along, Bundle, CorrelationRule, Effect, Lag};
use ioc_core::decision::Severity::{Extreme, Moderate, Severe};
use ioc_core::decision::Verdict;
use ioc_core::limits::EFFECTS_LOOKED_AT;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, Manner, metres};
use crate::timeline::{check_reloading, check_with, history, run};

fn effect(incident: &str, within_m: u32, after: i64, before: i64) -> Effect {
    Effect {
        incident: incident.parse().unwrap(),
        within_m,
        along: Along::default(),
        lag: Lag::AfterLast(Millis::minutes(after)),
        before: Millis::minutes(before),
        symptom: false,
    }
}

fn causes(rule: &mut CorrelationRule, effects: &[Effect]) {
    rule.may_cause = effects.to_vec();
}

/// A quake may cause leaks and outages within 5 km and an hour, and is noticed up to five minutes
/// late; a leak may cause a fire within 300 m and half an hour; a fire may cause a leak too.
fn city() -> BundleBuilder {
    let levels = [(Moderate, 1.0), (Severe, 2.0), (Extreme, 3.0)];
    BundleBuilder::new()
        .threshold("shaking", "shake", &levels, |_| ())
        .threshold("gas-high", "gas", &levels, |_| ())
        .threshold("hot", "heat", &levels, |_| ())
        .threshold("dark", "dark", &levels, |_| ())
        .correlation("quakes", "quake", &["shaking"], |rule| {
            causes(
                rule,
                &[effect("leak", 5_000, 60, 5), effect("outage", 5_000, 60, 5)],
            );
        })
        .correlation("leaks", "leak", &["gas-high"], |rule| {
            rule.within_m = 200;
            causes(rule, &[effect("fire", 300, 30, 0)]);
        })
        .correlation("fires", "fire", &["hot"], |rule| {
            rule.within_m = 100;
            causes(rule, &[effect("leak", 300, 30, 0)]);
        })
        .correlation("outages", "outage", &["dark"], |rule| rule.within_m = 50)
}

#[test]
fn a_quake_s_leak_is_its_child_and_the_leak_s_fire_its_grandchild() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:01 s-1 0 kind=shake at=0,0
         10:10 g-1 1.5 kind=gas at=1000,0
         10:20 h-1 1.5 kind=heat at=1100,0
         10:21 h-2 1.5 kind=heat at=3000,0
         10:22 g-1 0 kind=gas
         10:23 h-1 0 kind=heat",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:10 opened leak#1 moderate caused by quake#1: g-1 1.5
            10:11 cleared quake#1 moderate
            10:20 opened fire#1 moderate caused by leak#1: h-1 1.5
            10:21 opened fire#2 moderate: h-2 1.5
        "#]],
    );
}

#[test]
fn what_is_too_far_too_late_or_was_there_before_is_nobody_s_child() {
    check_with(
        &city().build(),
        "09:54 g-0 1.5 kind=gas at=0,0
         10:00 s-1 1.5 kind=shake at=0,0
         10:00:01 s-1 0 kind=shake at=0,0
         10:05 g-1 1.5 kind=gas at=6000,0
         10:05 ack quake#1 by=ana request=1
         11:02 g-2 1.5 kind=gas at=1000,0",
        &expect![[r#"
            09:54 opened leak#1 moderate: g-0 1.5
            10:00 opened quake#1 moderate: s-1 1.5
            10:05 opened leak#2 moderate: g-1 1.5
            10:05 acknowledged quake#1 moderate by ana
            10:10:01 cleared quake#1 moderate
            11:02 opened leak#3 moderate: g-2 1.5
        "#]],
    );
}

#[test]
fn an_effect_that_is_noticed_before_its_cause_is_linked_when_the_cause_opens() {
    check_with(
        &city().build(),
        "10:00 g-1 1.5 kind=gas at=1000,0
         10:01 h-1 1.5 kind=heat at=1050,0
         10:03 s-1 1.5 kind=shake at=0,0",
        &expect![[r#"
            10:00 opened leak#1 moderate: g-1 1.5
            10:01 opened fire#1 moderate caused by leak#1: h-1 1.5
            10:03 opened quake#1 moderate: s-1 1.5
            10:03 linked leak#1 moderate caused by quake#1
        "#]],
    );
}

#[test]
fn inv_18_a_person_s_word_makes_no_parent_less_grave_than_a_child_that_nobody_has_dismissed() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:10 g-1 2.5 kind=gas at=1000,0
         10:11 do rate quake#1 severity=minor by=ana
         10:12 do dismiss leak#1 by=ana
         10:13 do rate quake#1 severity=minor by=ana
         10:14 g-1 2.6 kind=gas
         10:20 g-1 3.5 kind=gas",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:10 opened leak#1 severe caused by quake#1: g-1 2.5
            10:10 updated quake#1 severe
            10:11 rated quake#1 severe by ana
            10:12 dismissed leak#1 severe as false_alarm by ana
            10:13 rated quake#1 minor by ana
            10:14 updated leak#1 severe: g-1 2.6
            10:20 reopened leak#1 extreme: g-1 3.5
            10:20 updated quake#1 extreme
        "#]],
    );
}

#[test]
fn inv_18_what_a_person_has_judged_is_no_word_about_children_that_come_later() {
    check_with(
        &city().build(),
        "10:00 s-1 3.5 kind=shake at=0,0
         10:01 do rate quake#1 severity=minor by=ana
         10:10 g-1 2.5 kind=gas at=1000,0",
        &expect![[r#"
            10:00 opened quake#1 extreme: s-1 3.5
            10:01 rated quake#1 minor by ana
            10:10 opened leak#1 severe caused by quake#1: g-1 2.5
            10:10 updated quake#1 severe
        "#]],
    );
    // Nor does it come back below them when a later word is taken back.
    check_with(
        &city().build(),
        "10:00 s-1 3.5 kind=shake at=0,0
         10:01 do rate quake#1 severity=minor by=ana
         10:02 do rate quake#1 severity=extreme by=ana
         10:10 g-1 2.5 kind=gas at=1000,0
         10:11 do undo quake#1 by=ana",
        &expect![[r#"
            10:00 opened quake#1 extreme: s-1 3.5
            10:01 rated quake#1 minor by ana
            10:02 rated quake#1 extreme by ana
            10:10 opened leak#1 severe caused by quake#1: g-1 2.5
            10:11 undone quake#1 severe to new by ana
        "#]],
    );
}

#[test]
fn inv_18_a_parent_is_as_grave_as_its_gravest_child_over_all_levels() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:10 g-1 1.5 kind=gas at=1000,0
         10:20 h-1 1.5 kind=heat at=1100,0
         10:21 h-1 3.5 kind=heat at=1100,0
         10:22 h-1 0 kind=heat
         10:23 s-1 0 kind=shake
         10:34 s-1 1.5 kind=shake",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:10 opened leak#1 moderate caused by quake#1: g-1 1.5
            10:20 opened fire#1 moderate caused by leak#1: h-1 1.5
            10:21 updated fire#1 extreme: h-1 3.5
            10:21 updated leak#1 extreme
            10:21 updated quake#1 extreme
            10:32 cleared fire#1 extreme
            10:33 cleared quake#1 extreme
            10:34 reopened quake#1 extreme episode 2: s-1 1.5
        "#]],
    );
}

#[test]
fn of_several_causes_the_nearest_is_the_parent_then_the_earliest() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:01 s-2 1.5 kind=shake at=6000,0
         10:05 g-1 1.5 kind=gas at=4000,0
         10:06 g-2 1.5 kind=gas at=3000,0",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:01 opened quake#2 moderate: s-2 1.5
            10:05 opened leak#1 moderate caused by quake#2: g-1 1.5
            10:06 opened leak#2 moderate caused by quake#1: g-2 1.5
        "#]],
    );
}

#[test]
fn inv_12_children_follow_to_the_survivor_when_their_parents_merge() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:01 s-2 1.5 kind=shake at=1800,0
         10:02 g-1 1.5 kind=gas at=2500,0
         10:03 g-2 1.5 kind=gas at=5500,0
         10:04 s-3 1.5 kind=shake at=900,0
         10:05 ack leak#2 by=ana request=1
         10:06 tick",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:01 opened quake#2 moderate: s-2 1.5
            10:02 opened leak#1 moderate caused by quake#2: g-1 1.5
            10:03 opened leak#2 moderate caused by quake#2: g-2 1.5
            10:04 merged quake#2 into quake#1
            10:04 updated quake#1 moderate 3 sensors: s-3 1.5 899 m
            10:04:00.001 linked leak#2 moderate caused by quake#1
            10:04:00.001 linked leak#1 moderate caused by quake#1
            10:05 acknowledged leak#2 moderate by ana
        "#]],
    );
}

#[test]
fn keep_5463_causes_that_lead_back_to_themselves_make_no_circle() {
    // A fire causes a leak that causes a fire, and the two fires turn out to be one.
    check_with(
        &city().build(),
        "10:00 h-1 1.5 kind=heat at=0,0
         10:01 g-1 1.5 kind=gas at=150,0
         10:02 h-2 1.5 kind=heat at=180,0
         10:03 h-3 1.5 kind=heat at=90,0
         10:04 tick",
        &expect![[r#"
            10:00 opened fire#1 moderate: h-1 1.5
            10:01 opened leak#1 moderate caused by fire#1: g-1 1.5
            10:02 opened fire#2 moderate caused by leak#1: h-2 1.5
            10:03 merged fire#2 into fire#1
            10:03 updated fire#1 moderate 3 sensors: h-3 1.5 90 m
        "#]],
    );
    // Here the survivor is the child.
    check_with(
        &city().build(),
        "10:00 h-1 1.5 kind=heat at=0,0
         10:00 g-1 1.5 kind=gas at=150,0
         10:00 h-2 1.5 kind=heat at=180,0
         10:03 h-3 1.5 kind=heat at=90,0
         10:04 tick",
        &expect![[r#"
            10:00 opened fire#1 moderate: h-1 1.5
            10:00 opened leak#1 moderate caused by fire#1: g-1 1.5
            10:00 opened fire#2 moderate caused by leak#1: h-2 1.5
            10:03 merged fire#1 into fire#2
            10:03 linked fire#2 moderate 3 sensors: h-3 1.5 90 m
            10:03:00.001 linked leak#1 moderate caused by fire#2
        "#]],
    );
}

#[test]
fn zabbix_symptoms_a_child_stays_open_by_itself_when_its_cause_is_over() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:01 d-1 1.5 kind=dark at=1000,0
         10:02 s-1 0 kind=shake
         11:00 d-1 1.7 kind=dark
         11:01 d-1 0 kind=dark",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:01 opened outage#1 moderate caused by quake#1: d-1 1.5
            10:12 cleared quake#1 moderate
            11:00 updated outage#1 moderate: d-1 1.7
        "#]],
    );
}

/// Every check runs the day with a restart after every record too, and with three shards in one
/// batch: a parent is durable state, found in one order, so there is nothing to race.
#[test]
fn alertmanager_4064_2229_2370_889_a_child_is_still_a_child_after_a_restart_and_there_is_no_race() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:00 g-1 1.5 kind=gas at=1000,0
         10:00 d-1 1.5 kind=dark at=2000,0
         10:00 started after=10:00
         10:01 g-1 2.5 kind=gas at=1000,0
         10:02 g-1 0 kind=gas
         10:13 g-1 1.5 kind=gas",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:00 opened leak#1 moderate caused by quake#1: g-1 1.5
            10:00 opened outage#1 moderate caused by quake#1: d-1 1.5
            10:01 updated leak#1 severe: g-1 2.5
            10:01 updated quake#1 severe
            10:12 cleared leak#1 severe
            10:13 reopened leak#1 moderate episode 2: g-1 1.5
        "#]],
    );
}

#[test]
fn a_rule_that_no_longer_causes_anything_leaves_children_as_they_are() {
    let city_now = city();
    let without = BundleBuilder::new()
        .threshold(
            "gas-high",
            "gas",
            &[(Moderate, 1.0), (Severe, 2.0), (Extreme, 3.0)],
            |_| (),
        )
        .correlation("leaks", "leak", &["gas-high"], |rule| {
            rule.within_m = 200;
            causes(rule, &[effect("fire", 300, 30, 0)]);
        });
    check_reloading(
        &[("first", &city_now.build()), ("later", &without.build())],
        "10:00 s-1 1.5 kind=shake at=0,0
         10:01 g-1 1.5 kind=gas at=1000,0
         10:02 reload later
         10:03 g-1 2.5 kind=gas at=1000,0
         10:04 g-2 2.5 kind=gas at=3000,0",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:01 opened leak#1 moderate caused by quake#1: g-1 1.5
            10:02 rules_changed
            10:02 cleared quake#1 moderate
            10:03 updated leak#1 severe: g-1 2.5
            10:04 opened leak#2 severe: g-2 2.5
        "#]],
    );
}

fn many(children: i32) -> (Arc<Bundle>, String) {
    let mut story = String::new();
    for number in 0..children {
        let (east, north) = (number % 100 * 60, number / 100 * 60);
        writeln!(story, "10:00 d-{number} 1.5 kind=dark at={east},{north}").unwrap();
    }
    (city().build(), story)
}

#[test]
fn p5_children_that_were_there_before_their_cause_are_taken_in_steps() {
    let (bundle, mut story) = many(100);
    story += "10:01 s-1 1.5 kind=shake at=3000,0\n10:02 tick";
    let told = run(&[("first", &bundle)], &story);
    let linked: Vec<_> = told
        .lines()
        .filter(|line| line.contains("linked"))
        .collect();
    assert_eq!(linked.len(), 100, "{told}");
    let at = |time: &str| {
        let at = |line: &&&str| line.split_once(' ').unwrap().0 == time;
        linked.iter().filter(at).count()
    };
    assert_eq!(
        (at("10:01"), at("10:01:00.001"), at("10:01:00.003")),
        (32, 32, 4)
    );
}

#[test]
fn p5_the_nearest_effects_are_looked_at_first_and_in_the_end_all_of_them() {
    let outages = 2 * EFFECTS_LOOKED_AT + 60;
    let (bundle, mut story) = many(outages as i32);
    story += "10:01 s-1 1.5 kind=shake at=3000,150\n10:02 tick";
    let history = history(&[("first", &bundle)], &story);
    let outcome = history.run(&Manner::plain());
    let quake = metres(3_000, 150);
    let linked = outcome.decisions.iter().filter_map(|decision| {
        let Verdict::IncidentLinked(outage) = &decision.verdict else {
            return None;
        };
        Some(quake.distance_m(outage.position.unwrap()))
    });
    let linked: Vec<_> = linked.collect();
    assert_eq!(linked.len(), outages);
    assert!(linked.is_sorted(), "{linked:?}");
    // Whoever goes on from between two looks looks for the same.
    let restarted = Manner {
        restarts: vec![(outages + 2, 2)],
        ..Manner::plain()
    };
    assert_eq!(history.run(&restarted), outcome);
}

#[test]
fn p5_a_chain_of_causes_has_a_bound() {
    // Leaks and fires in turn, each within reach of the one before and of no other.
    let mut story = String::new();
    for number in 0..20 {
        let (name, kind) = [("g", "gas"), ("h", "heat")][number % 2];
        let (at, minute) = (number * 250, number);
        writeln!(
            story,
            "10:{minute:02} {name}-{number} 1.5 kind={kind} at={at},0"
        )
        .unwrap();
    }
    let told = run(&[("first", &city().build())], &story);
    let alone: Vec<_> = told
        .lines()
        .filter(|line| !line.contains("caused by"))
        .collect();
    assert_eq!(alone.len(), 2, "the first and the seventeenth: {told}");
}

#[test]
fn a_candidate_that_has_the_id_of_another_rule_s_incident_changes_no_family() {
    // Both rules make floods, so that what they begin with the same reading has the same id; the
    // careful one still waits for company when the other's incident is a parent already.
    let builder = BundleBuilder::new()
        .threshold("high", "level", &[(Moderate, 1.0)], |_| ())
        .threshold("higher", "level", &[(Moderate, 2.0)], |_| ())
        .correlation("bold", "flood", &["high"], |rule| {
            rule.within_m = 100;
            causes(rule, &[effect("flood", 5_000, 60, 0)]);
        })
        .correlation("careful", "flood", &["high", "higher"], |rule| {
            rule.within_m = 1_500;
            rule.weights = vec![1, 3];
            rule.sources_min = 3;
        });
    check_with(
        &builder.build(),
        "10:00 l-1 1.5 kind=level at=0,0
         10:01 l-2 2.5 kind=level at=3000,0
         10:02 l-3 1.5 kind=level at=1400,0
         10:03 l-4 1.5 kind=level at=2200,0",
        &expect![[r#"
            10:00 opened flood#1 moderate: l-1 1.5
            10:01 opened flood#2 moderate caused by flood#1: l-2 2.5
            10:01 opened flood#3 moderate caused by flood#2: l-2 2.5
            10:02 opened flood#4 moderate caused by flood#1: l-3 1.5
            10:03 opened flood#5 moderate caused by flood#2: l-4 1.5
            10:03 updated flood#3 moderate 4 sensors: l-1 1.5, l-3 1.5 1398 m, l-4 1.5 799 m
        "#]],
    );
}

#[test]
fn what_a_quake_breaks_it_breaks_at_once_however_long_people_call_about_it() {
    let at_once = |incident| Effect {
        lag: Lag::AfterOpening(Millis::minutes(15)),
        ..effect(incident, 5_000, 0, 1)
    };
    let rules = city().report("felt", "call", Moderate, Millis::minutes(10));
    let rules = rules.correlation("felt-quakes", "quake", &["felt", "shaking"], |rule| {
        causes(rule, &[at_once("leak"), at_once("outage")]);
    });
    let rules = rules.without_correlation("quakes");
    check_with(
        &rules.build(),
        "09:59:30 d-1 1.5 kind=dark at=500,0
         10:00 s-1 1.5 kind=shake at=0,0
         10:01 s-1 0 kind=shake at=0,0
         10:12 calls 1 kind=call at=900,0
         10:14 g-1 1.5 kind=gas at=1000,0
         10:20 g-2 1.5 kind=gas at=2000,0
         10:20 d-1 0 kind=dark",
        &expect![[r#"
            09:59:30 opened outage#1 moderate: d-1 1.5
            10:00 opened quake#1 moderate: s-1 1.5
            10:00 linked outage#1 moderate caused by quake#1
            10:11 cleared quake#1 moderate
            10:12 reopened quake#1 moderate episode 2 2 sensors: calls 1 899 m
            10:14 opened leak#1 moderate caused by quake#1: g-1 1.5
            10:20 opened leak#2 moderate: g-2 1.5
        "#]],
    );
}

#[test]
fn inv_12_children_that_merge_in_the_moment_in_which_their_parents_do_follow_too() {
    check_with(
        &city().build(),
        "10:00 s-1 1.5 kind=shake at=0,0
         10:01 s-2 1.5 kind=shake at=1800,0
         10:02 g-1 1.5 kind=gas at=2500,0
         10:03 g-2 1.5 kind=gas at=2800,0
         10:04 s-3 1.5 kind=shake at=900,0
         10:04 g-3 1.5 kind=gas at=2650,0
         10:06 tick",
        &expect![[r#"
            10:00 opened quake#1 moderate: s-1 1.5
            10:01 opened quake#2 moderate: s-2 1.5
            10:02 opened leak#1 moderate caused by quake#2: g-1 1.5
            10:03 opened leak#2 moderate caused by quake#2: g-2 1.5
            10:04 merged quake#2 into quake#1
            10:04 updated quake#1 moderate 3 sensors: s-3 1.5 899 m
            10:04 merged leak#2 into leak#1
            10:04 updated leak#1 moderate 3 sensors: g-3 1.5 150 m
            10:04:00.001 linked leak#1 moderate 3 sensors caused by quake#1
        "#]],
    );
}

#[test]
fn inv_20_a_dismissal_hides_no_evidence_of_its_own_that_gets_as_grave_as_a_child_was() {
    check_with(
        &city().build(),
        "10:00 gas-1 1.5 kind=gas at=0,0
         10:02 smoke-1 2.5 kind=heat at=100,0
         10:07 do dismiss leak#1 by=ana
         10:08 gas-1 1.6 kind=gas
         10:09 gas-1 2.5 kind=gas",
        &expect![[r#"
            10:00 opened leak#1 moderate: gas-1 1.5
            10:02 opened fire#1 severe caused by leak#1: smoke-1 2.5
            10:02 updated leak#1 severe
            10:07 dismissed leak#1 severe as false_alarm by ana
            10:08 updated leak#1 severe: gas-1 1.6
            10:09 reopened leak#1 severe: gas-1 2.5
        "#]],
    );
}
