//! Stories of symptoms: incidents that are suppressed by design while what caused them lasts, and
//! that are judged again when it does no more (INV-15).

use std::fmt::Write;
use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Along, Bundle, CorrelationRule, Effect, FaultSign, Impossible, Lag};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::limits::{CHILDREN_PER_STEP, CHILDREN_STEP, MEMBERS_PER_INCIDENT_MAX};
use ioc_core::time::Millis;

use crate::support::BundleBuilder;
use crate::timeline::{check_reloading, check_with, run};

fn effect(incident: &str, within_m: u32, symptom: bool) -> Effect {
    Effect {
        incident: incident.parse().unwrap(),
        within_m,
        along: Along::default(),
        lag: Lag::AfterLast(Millis::minutes(60)),
        before: Millis::minutes(5),
        symptom,
    }
}

fn causes(rule: &mut CorrelationRule, effects: &[Effect]) {
    rule.may_cause = effects.to_vec();
    rule.within_m = 50;
}

/// A dead substation stops pumps within 5 km, a pump that stands lets water rise within 300 m, and
/// that stops traffic within 100 m: each explains the next. A fire is an effect and no symptom.
fn builder(symptom: bool) -> BundleBuilder {
    let levels = [(Minor, 0.5), (Moderate, 1.0), (Severe, 2.0), (Extreme, 3.0)];
    BundleBuilder::new()
        .threshold("dark", "power", &levels, |_| ())
        .threshold("stands", "pump", &levels, |_| ())
        .threshold("wet", "water", &levels, |_| ())
        .threshold("slow", "speed", &levels, |_| ())
        .threshold("hot", "heat", &levels, |_| ())
        .correlation("outages", "outage", &["dark"], |rule| {
            causes(
                rule,
                &[
                    effect("fire", 5_000, false),
                    effect("pump_failure", 5_000, symptom),
                ],
            );
        })
        .correlation("pumps", "pump_failure", &["stands"], |rule| {
            causes(rule, &[effect("street_flood", 300, symptom)]);
        })
        .correlation("streets", "street_flood", &["wet"], |rule| {
            causes(rule, &[effect("jam", 100, symptom)]);
        })
        .correlation("jams", "jam", &["slow"], |rule| causes(rule, &[]))
        .correlation("fires", "fire", &["hot"], |rule| causes(rule, &[]))
        .handling(|rules| {
            rules.acknowledge_within = [None, None, Some(Millis::minutes(30)), None, None];
        })
}

fn city() -> Arc<Bundle> {
    builder(true).build()
}

fn check(timeline: &str, expected: &Expect) {
    check_with(&city(), timeline, expected);
}

#[test]
fn zabbix_inv_15_over_all_levels_one_cause_is_told_and_each_is_judged_again_when_its_own_is_over() {
    // The substation is well again at 11:00 and its pump is not: that is news, and explains the
    // water until somebody repairs the pump. The jam is over by then and never told.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:10 street-1 1.5 kind=water at=2200,0
         10:15 road-1 1.5 kind=speed at=2250,0
         10:20 ack outage#1 by=ana request=1
         10:20 house-1 1.5 kind=heat at=1000,0
         10:21 ack fire#1 by=ana request=2
         10:55 road-1 0 kind=speed
         11:00 sub-1 0 kind=power
         11:30 ack pump_failure#1 by=ana request=3
         11:40 pump-1 0 kind=pump
         12:00 street-1 1.7 kind=water",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:10 opened street_flood#1 moderate suppressed caused by pump_failure#1: street-1 1.5
            10:15 opened jam#1 moderate suppressed caused by street_flood#1: road-1 1.5
            10:20 acknowledged outage#1 moderate by ana
            10:20 opened fire#1 moderate caused by outage#1: house-1 1.5
            10:21 acknowledged fire#1 moderate by ana
            11:05 cleared jam#1 moderate
            11:10 cleared outage#1 moderate
            11:10:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            11:30 acknowledged pump_failure#1 moderate by ana
            11:50 cleared pump_failure#1 moderate
            11:50:00.001 unsuppressed street_flood#1 moderate caused by pump_failure#1
            12:00 updated street_flood#1 moderate: street-1 1.7
        "#]],
    );
}

#[test]
fn inv_16_what_is_extreme_is_hidden_behind_no_cause() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 pump-2 3.5 kind=pump at=3000,0
         10:10 street-1 1.5 kind=water at=2200,0
         10:12 street-1 3.5 kind=water at=2200,0",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 opened pump_failure#2 extreme caused by outage#1: pump-2 3.5
            10:06 updated outage#1 extreme
            10:10 opened street_flood#1 moderate suppressed caused by pump_failure#1: street-1 1.5
            10:12 updated street_flood#1 extreme: street-1 3.5
            10:12 unsuppressed street_flood#1 extreme caused by pump_failure#1
            10:12 updated pump_failure#1 extreme
            10:12 unsuppressed pump_failure#1 extreme caused by outage#1
        "#]],
    );
}

#[test]
fn inv_16_a_symptom_that_was_seen_and_becomes_extreme_is_to_be_seen_anew() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:07 ack pump_failure#1 by=ben request=1
         10:12 pump-1 3.5 kind=pump at=2000,0
         10:13 ack pump_failure#1 by=ben request=2",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:07 acknowledged pump_failure#1 moderate suppressed by ben
            10:12 updated pump_failure#1 extreme: pump-1 3.5
            10:12 unsuppressed pump_failure#1 extreme caused by outage#1
            10:12 updated outage#1 extreme
            10:13 acknowledged pump_failure#1 extreme by ben
        "#]],
    );
}

#[test]
fn what_is_graver_than_its_cause_is_told_for_as_long_as_it_is() {
    // The outage is moderate by itself, however grave the pump makes it, so the second pump is told
    // too. When the outage is severe itself, it explains both.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 ack pump_failure#1 by=ben request=1
         10:10 pump-1 2.5 kind=pump at=2000,0
         10:11 pump-2 2.5 kind=pump at=3000,0
         10:20 sub-1 2.5 kind=power at=0,0
         10:21 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 acknowledged pump_failure#1 moderate suppressed by ben
            10:10 updated pump_failure#1 severe: pump-1 2.5
            10:10 unsuppressed pump_failure#1 severe caused by outage#1
            10:10 updated outage#1 severe
            10:11 opened pump_failure#2 severe caused by outage#1: pump-2 2.5
            10:20 updated outage#1 severe: sub-1 2.5
            10:20:00.001 suppressed pump_failure#1 severe caused by outage#1
            10:20:00.001 suppressed pump_failure#2 severe caused by outage#1
        "#]],
    );
}

#[test]
fn a_symptom_whose_own_symptom_is_grave_is_no_graver_by_that() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:10 street-1 2.5 kind=water at=2200,0",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:10 opened street_flood#1 severe caused by pump_failure#1: street-1 2.5
            10:10 updated pump_failure#1 severe suppressed
            10:10 updated outage#1 severe
        "#]],
    );
}

#[test]
fn a_cause_that_is_less_grave_by_itself_explains_less_though_its_child_keeps_it_grave() {
    // The outage is as grave as the pump that it caused, and by itself it is moderate again: who sees
    // to it has not heard that the pump is severe. Severe again by itself, it explains both.
    let lowering = builder(true).handling(|rules| rules.lowers = true);
    check_with(
        &lowering.build(),
        "10:00 sub-1 2.5 kind=power at=0,0
         10:01 sub-2 1.5 kind=power at=10,0
         10:05 pump-1 2.5 kind=pump at=2000,0
         10:06 pump-2 1.5 kind=pump at=3000,0
         10:20 sub-1 0 kind=power at=0,0
         10:25 pump-3 2.5 kind=pump at=4000,0
         10:40 sub-1 2.5 kind=power at=0,0
         10:41 tick",
        &expect![[r#"
            10:00 opened outage#1 severe: sub-1 2.5
            10:01 updated outage#1 severe 2 sensors: sub-2 1.5 10 m
            10:05 opened pump_failure#1 severe suppressed caused by outage#1: pump-1 2.5
            10:06 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:25 opened pump_failure#3 severe suppressed caused by outage#1: pump-3 2.5
            10:30:00.001 unsuppressed pump_failure#3 severe caused by outage#1
            10:30:00.001 unsuppressed pump_failure#1 severe caused by outage#1
            10:40 updated outage#1 severe 2 sensors: sub-1 2.5
            10:40:00.001 suppressed pump_failure#3 severe caused by outage#1
            10:40:00.001 suppressed pump_failure#1 severe caused by outage#1
        "#]],
    );
}

#[test]
fn a_person_s_word_on_how_grave_a_cause_is_counts() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 do rate outage#1 by=ana request=1 severity=severe
         10:05 pump-1 2.5 kind=pump at=2000,0
         10:20 do rate outage#1 by=ana request=2 severity=minor
         10:21 do undo outage#1 by=ana request=3
         10:22 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 rated outage#1 severe by ana
            10:05 opened pump_failure#1 severe suppressed caused by outage#1: pump-1 2.5
            10:20 rated outage#1 severe by ana
            10:20:00.001 unsuppressed pump_failure#1 severe caused by outage#1
            10:21 undone outage#1 severe to new by ana
            10:21:00.001 suppressed pump_failure#1 severe caused by outage#1
        "#]],
    );
}

#[test]
fn a_cause_that_nobody_believes_explains_nothing_until_it_is_believed() {
    // Somebody has heard of an outage, which he takes to be no more than a rumour: the pump that stands is
    // told. When another knows of it the pump is its symptom, and so is the next.
    check(
        "10:00 open outage by=ana request=1 severity=severe certainty=unknown at=0,0
         10:05 pump-1 2.5 kind=pump at=2000,0
         10:06 do report outage#1 by=ben request=2 severity=minor certainty=unlikely
         10:10 do report outage#1 by=cem request=3 severity=minor certainty=possible
         10:11 pump-2 1.5 kind=pump at=3000,0",
        &expect![[r#"
            10:00 opened outage#1 severe by ana: a report
            10:05 opened pump_failure#1 severe caused by outage#1: pump-1 2.5
            10:06 updated outage#1 severe 2 sensors by ben: a report
            10:10 updated outage#1 severe 3 sensors by cem: a report
            10:10:00.001 suppressed pump_failure#1 severe caused by outage#1
            10:11 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
        "#]],
    );
}

#[test]
fn a_cause_that_nobody_believes_explains_what_it_does_when_people_are_at_work() {
    check(
        "10:00 open outage by=ana request=1 severity=severe certainty=unlikely at=0,0
         10:05 pump-1 2.5 kind=pump at=2000,0
         10:10 do acknowledge outage#1 by=ben request=2
         10:15 do confirm outage#1 by=ben request=3
         10:20 do undo outage#1 by=ben request=4
         10:21 tick",
        &expect![[r#"
            10:00 opened outage#1 severe by ana: a report
            10:05 opened pump_failure#1 severe caused by outage#1: pump-1 2.5
            10:10 acknowledged outage#1 severe by ben
            10:15 confirmed outage#1 severe by ben
            10:15:00.001 suppressed pump_failure#1 severe caused by outage#1
            10:20 undone outage#1 severe to acknowledged by ben
            10:20:00.001 unsuppressed pump_failure#1 severe caused by outage#1
        "#]],
    );
}

#[test]
fn a_cause_that_is_back_and_less_sure_than_before_explains_no_more() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:20 sub-1 0 kind=power
         10:40 open outage by=ana request=1 severity=moderate certainty=unlikely at=0,0
         10:41 pump-2 1.5 kind=pump at=3000,0",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:30 cleared outage#1 moderate
            10:30:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            10:40 reopened outage#1 moderate episode 2 2 sensors by ana: a report
            10:41 opened pump_failure#2 moderate caused by outage#1: pump-2 1.5
        "#]],
    );
}

#[test]
fn a_cause_that_rests_on_a_sensor_that_nobody_believes_any_more_explains_nothing() {
    // What the meter says cannot be, so nobody knows of the outage: the pump is told. People who are there
    // know of it; and so does the meter that is well again.
    let impossible = FaultSign::Impossible(Impossible {
        below: None,
        above: Some(100.0),
        readings_min: 1,
        clear_readings_min: 3,
    });
    check_with(
        &builder(true)
            .fault("meter-cut", "power", impossible)
            .build(),
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:10 sub-1 999 kind=power
         10:11 pump-2 1.5 kind=pump at=3000,0
         10:15 do confirm outage#1 by=ben
         10:16 do undo outage#1 by=ben
         10:20-10:25/1 sub-1 1.5 kind=power",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:10 faulty sub-1 impossible distrusted: sub-1 999
            10:10 unknown outage#1 moderate: sub-1 999
            10:10:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            10:11 opened pump_failure#2 moderate caused by outage#1: pump-2 1.5
            10:15 confirmed outage#1 moderate without acknowledged by ben
            10:15:00.001 suppressed pump_failure#2 moderate caused by outage#1
            10:15:00.001 suppressed pump_failure#1 moderate caused by outage#1
            10:16 undone outage#1 moderate to new by ben
            10:16:00.001 unsuppressed pump_failure#2 moderate caused by outage#1
            10:16:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            10:20 updated outage#1 moderate unknown: sub-1 1.5
            10:21 updated outage#1 moderate unknown: sub-1 1.5
            10:22 sound sub-1 impossible: sub-1 1.5
            10:22 reopened outage#1 moderate: sub-1 1.5
            10:22:00.001 suppressed pump_failure#2 moderate caused by outage#1
            10:22:00.001 suppressed pump_failure#1 moderate caused by outage#1
            10:23 updated outage#1 moderate: sub-1 1.5
            10:24 updated outage#1 moderate: sub-1 1.5
            10:25 updated outage#1 moderate: sub-1 1.5
        "#]],
    );
}

#[test]
fn what_a_person_opens_is_no_symptom_unless_he_says_so() {
    // Who opens one has not seen the one that is hidden here, or does not take it for the same. A person
    // may link it himself.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 open pump_failure by=ana request=1 severity=moderate at=2000,0
         10:06 pump-2 1.5 kind=pump at=3000,0
         10:07 open pump_failure by=ben request=2 severity=moderate at=3000,10
         10:08 pump-3 1.5 kind=pump at=4000,0
         10:09 do report pump_failure#3 by=cem request=3 severity=minor
         10:20 do link pump_failure#1 by=ana request=4
         10:21 do link pump_failure#1 other=outage#1 by=ana request=5
         13:30 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate caused by outage#1 by ana: a report
            10:06 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:07 updated pump_failure#2 moderate 2 sensors by ben: a report 10 m
            10:07 unsuppressed pump_failure#2 moderate 2 sensors caused by outage#1 by ben
            10:08 opened pump_failure#3 moderate suppressed caused by outage#1: pump-3 1.5
            10:09 updated pump_failure#3 moderate 2 sensors by cem: a report
            10:09 unsuppressed pump_failure#3 moderate 2 sensors caused by outage#1 by cem
            10:20 linked pump_failure#1 moderate by ana
            10:21 linked pump_failure#1 moderate suppressed caused by outage#1 by ana
            10:30 escalated outage#1 moderate to shift_supervisor
            10:37 escalated pump_failure#2 moderate 2 sensors to shift_supervisor
            10:39 escalated pump_failure#3 moderate 2 sensors to shift_supervisor
            11:00 escalated outage#1 moderate to duty_officer
            11:07 escalated pump_failure#2 moderate 2 sensors to duty_officer
            11:09 escalated pump_failure#3 moderate 2 sensors to duty_officer
            11:30 escalated outage#1 moderate to phone_tree
            11:37 escalated pump_failure#2 moderate 2 sensors to phone_tree
            11:39 escalated pump_failure#3 moderate 2 sensors to phone_tree
            13:15 cleared pump_failure#1 moderate
        "#]],
    );
}

#[test]
fn what_a_person_reports_of_is_told_however_many_have_said_it() {
    let mut timeline = "10:00 sub-1 1.5 kind=power at=0,0\n".to_owned();
    for pump in 0..MEMBERS_PER_INCIDENT_MAX + 1 {
        writeln!(timeline, "10:01 pump-{pump} 1.5 kind=pump at=2000,0").unwrap();
    }
    timeline += "10:02 do report pump_failure#1 by=ana request=1 severity=minor
         10:03 do report pump_failure#1 by=ben request=2 severity=minor
         10:04 tick";
    let told = run(&[("first", &builder(true).build())], &timeline);
    let told: Vec<_> = told
        .lines()
        .filter(|line| !line.contains(": pump-"))
        .collect();
    expect![[r#"
        10:00 opened outage#1 moderate: sub-1 1.5
        10:02 updated pump_failure#1 moderate 10001 sensors by ana: a report
        10:02 unsuppressed pump_failure#1 moderate 10001 sensors caused by outage#1 by ana
        10:03 updated pump_failure#1 moderate 10001 sensors by ben: a report"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn what_a_person_opens_is_told_when_it_becomes_one_with_what_is_hidden() {
    // By his word, and by a pump between them; and a symptom of the second is hidden by that alone.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=2000,0
         10:02 ack pump_failure#1 by=ana
         10:05 open pump_failure by=ben request=1 severity=moderate at=9000,0
         10:06 do merge pump_failure#2 other=pump_failure#1 by=ben request=2
         10:10 pump-3 1.5 kind=pump at=4000,0
         10:11 ack pump_failure#3 by=ana request=3
         10:12 open pump_failure by=ben request=4 severity=moderate at=4080,0
         10:13 pump-4 1.5 kind=pump at=4040,0
         10:14 street-1 1.5 kind=water at=4100,0",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:02 acknowledged pump_failure#1 moderate suppressed by ana
            10:05 opened pump_failure#2 moderate by ben: a report
            10:06 merged pump_failure#2 into pump_failure#1 by ben
            10:06 linked pump_failure#1 moderate 2 sensors by ben
            10:06 unsuppressed pump_failure#1 moderate 2 sensors by ben
            10:10 opened pump_failure#3 moderate suppressed caused by outage#1: pump-3 1.5
            10:11 acknowledged pump_failure#3 moderate suppressed by ana
            10:12 opened pump_failure#4 moderate caused by outage#1 by ben: a report
            10:13 merged pump_failure#4 into pump_failure#3
            10:13 updated pump_failure#3 moderate 3 sensors: pump-4 1.5 40 m
            10:13 unsuppressed pump_failure#3 moderate 3 sensors caused by outage#1
            10:14 opened street_flood#1 moderate suppressed caused by pump_failure#3: street-1 1.5
        "#]],
    );
}

#[test]
fn a_symptom_is_one_again_when_what_a_person_has_told_is_of_another() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:06 pump-2 1.5 kind=pump at=3000,0
         10:07 open pump_failure by=ben request=2 severity=moderate at=3000,10
         10:08 pump-3 1.5 kind=pump at=4000,0
         10:10 do move pump_failure#1 other=pump_failure#2 by=ana request=3 sources=person:2@1773482820000
         10:20 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:06 opened pump_failure#1 moderate suppressed caused by outage#1: pump-2 1.5
            10:07 updated pump_failure#1 moderate 2 sensors by ben: a report 10 m
            10:07 unsuppressed pump_failure#1 moderate 2 sensors caused by outage#1 by ben
            10:08 opened pump_failure#2 moderate suppressed caused by outage#1: pump-3 1.5
            10:10 evidence_moved pump_failure#2 moderate 2 sensors from pump_failure#1: person:2@1773482820000/2 by ana
            10:10 unsuppressed pump_failure#2 moderate 2 sensors caused by outage#1 by ana
            10:10 suppressed pump_failure#1 moderate caused by outage#1 by ana
            10:10 updated pump_failure#1 moderate suppressed by ana
        "#]],
    );
}

#[test]
fn inv_16_a_cause_that_is_shelved_explains_what_is_minor_alone() {
    check(
        "10:00 sub-1 2.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 pump-2 0.7 kind=pump at=3000,0
         10:10 shelve incident=outage#1 for=60 by=ana reason=known
         10:20 pump-3 2.5 kind=pump at=4000,0
         10:30 pump-1 0 kind=pump
         11:30 tick",
        &expect![[r#"
            10:00 opened outage#1 severe: sub-1 2.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 opened pump_failure#2 minor suppressed caused by outage#1: pump-2 0.7
            10:10 suppression_started quiet#1 outage#1 shelved until 11:10 for known of ana by ana
            10:10 shelved outage#1 severe by ana
            10:10:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            10:20 opened pump_failure#3 severe caused by outage#1: pump-3 2.5
            10:40 cleared pump_failure#1 moderate
            11:00 suppression_ending_soon quiet#1 outage#1 shelved until 11:10
            11:10 suppression_ended quiet#1 outage#1: expired
            11:10 unshelved outage#1 severe
            11:10:00.001 suppressed pump_failure#3 severe caused by outage#1
        "#]],
    );
}

#[test]
fn a_cause_that_is_shelved_stays_so_when_what_it_causes_makes_it_graver() {
    // That is told by itself; what makes the cause graver by itself is not.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:10 shelve incident=outage#1 for=60 by=ana reason=known
         10:20 stove-1 2.5 kind=heat at=2000,0
         10:30 sub-1 2.5 kind=power",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:10 suppression_started quiet#1 outage#1 shelved until 11:10 for known of ana by ana
            10:10 shelved outage#1 moderate by ana
            10:20 opened fire#1 severe caused by outage#1: stove-1 2.5
            10:20 updated outage#1 severe
            10:30 updated outage#1 severe: sub-1 2.5
            10:30 suppression_ended quiet#1 outage#1: graver
        "#]],
    );
}

#[test]
fn children_follow_the_part_of_a_split_parent_that_is_nearer() {
    // The pump in the east goes with its substation; that in the west stays, and so does one of
    // which a person has said what caused it.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 sub-2 1.5 kind=power at=40,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 pump-2 1.5 kind=pump at=-2000,0
         10:07 pump-3 1.5 kind=pump at=9000,0
         10:08 do link pump_failure#3 other=outage#1 by=ana request=1
         10:10 do split outage#1 by=ana request=2 sources=sub-2
         10:20 sub-2 0 kind=power
         10:41 sub-1 0 kind=power
         10:52 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 updated outage#1 moderate 2 sensors: sub-2 1.5 40 m
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:07 opened pump_failure#3 moderate: pump-3 1.5
            10:08 linked pump_failure#3 moderate suppressed caused by outage#1 by ana
            10:10 split outage#2 moderate from outage#1: sub-2 by ana
            10:10 updated outage#1 moderate by ana
            10:10 linked pump_failure#1 moderate suppressed caused by outage#2 by ana
            10:30 escalated outage#1 moderate to shift_supervisor
            10:30 cleared outage#2 moderate
            10:30:00.001 unsuppressed pump_failure#1 moderate caused by outage#2
            10:51 cleared outage#1 moderate
            10:51:00.001 unsuppressed pump_failure#2 moderate caused by outage#1
            10:51:00.001 unsuppressed pump_failure#3 moderate caused by outage#1
        "#]],
    );
}

#[test]
fn what_is_an_effect_and_no_symptom_is_told_as_ever() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 ack outage#1 by=ana request=1
         10:20 house-1 1.5 kind=heat at=1000,0
         10:51 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 acknowledged outage#1 moderate by ana
            10:20 opened fire#1 moderate caused by outage#1: house-1 1.5
            10:50 escalated fire#1 moderate to shift_supervisor
        "#]],
    );
}

#[test]
fn a_symptom_that_is_noticed_before_its_cause_is_suppressed_when_that_opens() {
    check(
        "10:00 pump-1 1.5 kind=pump at=2000,0
         10:04 sub-1 1.5 kind=power at=0,0
         10:05 ack outage#1 by=ana request=1
         10:40 tick",
        &expect![[r#"
            10:00 opened pump_failure#1 moderate: pump-1 1.5
            10:04 opened outage#1 moderate: sub-1 1.5
            10:04 linked pump_failure#1 moderate suppressed caused by outage#1
            10:05 acknowledged outage#1 moderate by ana
        "#]],
    );
}

#[test]
fn inv_15_a_cause_that_a_person_dismisses_explains_nothing_until_that_is_undone() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 pump-2 1.5 kind=pump at=3000,0
         10:07 ack pump_failure#2 by=ben request=1
         10:10 do dismiss outage#1 by=ana request=2 reason=false_alarm
         10:12 do undo outage#1 by=ana request=3
         10:20 sub-1 0 kind=power
         10:31 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:07 acknowledged pump_failure#2 moderate suppressed by ben
            10:10 dismissed outage#1 moderate as false_alarm by ana
            10:10:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            10:10:00.001 unsuppressed pump_failure#2 moderate caused by outage#1
            10:12 undone outage#1 moderate to new by ana
            10:12:00.001 suppressed pump_failure#1 moderate caused by outage#1
            10:12:00.001 suppressed pump_failure#2 moderate caused by outage#1
            10:30 cleared outage#1 moderate
            10:30:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            10:30:00.001 unsuppressed pump_failure#2 moderate caused by outage#1
        "#]],
    );
}

#[test]
fn a_person_says_what_explains_an_incident_and_what_does_not() {
    // The second pump is too far for the rule. A fire is no symptom, whoever says what caused it.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 pump-2 1.5 kind=pump at=9000,0
         10:06 house-1 1.5 kind=heat at=9000,0
         10:10 do link pump_failure#1 by=ana request=1
         10:11 do link pump_failure#2 other=outage#1 by=ana request=2
         10:12 do link fire#1 other=outage#1 by=ana request=3",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 opened pump_failure#2 moderate: pump-2 1.5
            10:06 opened fire#1 moderate: house-1 1.5
            10:10 linked pump_failure#1 moderate by ana
            10:10 unsuppressed pump_failure#1 moderate by ana
            10:11 linked pump_failure#2 moderate suppressed caused by outage#1 by ana
            10:12 linked fire#1 moderate caused by outage#1 by ana
        "#]],
    );
}

#[test]
fn symptoms_follow_to_the_survivor_when_their_causes_merge() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 sub-2 1.5 kind=power at=90,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 sub-3 1.5 kind=power at=45,0
         10:10 sub-1 0 kind=power
         10:10 sub-3 0 kind=power
         10:30 sub-2 0 kind=power
         10:41 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened outage#2 moderate: sub-2 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#2: pump-1 1.5
            10:06 merged outage#2 into outage#1
            10:06 updated outage#1 moderate 3 sensors: sub-3 1.5 45 m
            10:06:00.001 linked pump_failure#1 moderate suppressed caused by outage#1
            10:30 escalated outage#1 moderate 3 sensors to shift_supervisor
            10:40 cleared outage#1 moderate 3 sensors
            10:40:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
        "#]],
    );
}

#[test]
fn a_cause_that_began_after_an_incident_explains_nothing_of_it_by_a_merger() {
    check(
        "10:00 pump-1 1.5 kind=pump at=0,0
         10:20 sub-1 1.5 kind=power at=1000,0
         10:21 ack outage#1 by=ana
         10:21 pump-2 1.5 kind=pump at=90,0
         10:22 pump-3 1.5 kind=pump at=45,0
         11:31 tick",
        &expect![[r#"
            10:00 opened pump_failure#1 moderate: pump-1 1.5
            10:20 opened outage#1 moderate: sub-1 1.5
            10:21 acknowledged outage#1 moderate by ana
            10:21 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:22 merged pump_failure#2 into pump_failure#1
            10:22 updated pump_failure#1 moderate 3 sensors: pump-3 1.5 45 m
            10:30 escalated pump_failure#1 moderate 3 sensors to shift_supervisor
            11:00 escalated pump_failure#1 moderate 3 sensors to duty_officer
            11:30 escalated pump_failure#1 moderate 3 sensors to phone_tree
        "#]],
    );
}

#[test]
fn what_was_told_is_hidden_by_no_symptom_that_it_becomes_part_of_and_is_passed_on_as_before() {
    // The second pump is farther from the substation than its outage reaches. It has been told, and
    // the supervisor was called for it, when the third is found between the two.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=4950,0
         10:02 ack outage#1 by=ana
         10:02 pump-2 1.5 kind=pump at=5040,0
         10:40 pump-3 1.5 kind=pump at=4995,0
         11:33 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:02 acknowledged outage#1 moderate by ana
            10:02 opened pump_failure#2 moderate: pump-2 1.5
            10:32 escalated pump_failure#2 moderate to shift_supervisor
            10:40 merged pump_failure#2 into pump_failure#1
            10:40 linked pump_failure#1 moderate 3 sensors: pump-3 1.5 45 m
            10:40 unsuppressed pump_failure#1 moderate 3 sensors
            11:02 escalated pump_failure#1 moderate 3 sensors to duty_officer
            11:32 escalated pump_failure#1 moderate 3 sensors to phone_tree
        "#]],
    );
}

#[test]
fn what_somebody_has_seen_as_a_symptom_is_seen_anew_when_something_else_is_part_of_it() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=4950,0
         10:01 ack outage#1 by=ana
         10:02 ack pump_failure#1 by=ana request=2
         10:02 pump-2 1.5 kind=pump at=5040,0
         10:10 pump-3 1.5 kind=pump at=4995,0
         10:33 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:01 acknowledged outage#1 moderate by ana
            10:02 acknowledged pump_failure#1 moderate suppressed by ana
            10:02 opened pump_failure#2 moderate: pump-2 1.5
            10:10 merged pump_failure#2 into pump_failure#1
            10:10 linked pump_failure#1 moderate 3 sensors: pump-3 1.5 45 m
            10:10 unsuppressed pump_failure#1 moderate 3 sensors
            10:32 escalated pump_failure#1 moderate 3 sensors to shift_supervisor
        "#]],
    );
}

#[test]
fn symptoms_of_one_cause_that_become_one_are_a_symptom_of_it() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=4000,0
         10:01 ack outage#1 by=ana
         10:02 pump-2 1.5 kind=pump at=4090,0
         10:10 pump-3 1.5 kind=pump at=4045,0
         10:59 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:01 acknowledged outage#1 moderate by ana
            10:02 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:10 merged pump_failure#2 into pump_failure#1
            10:10 updated pump_failure#1 moderate 3 sensors suppressed: pump-3 1.5 45 m
        "#]],
    );
}

#[test]
fn a_cause_that_is_an_effect_of_more_stays_that_of_a_survivor_that_it_does_not_hide() {
    // A fire is no symptom of an outage: whoever is called for it is called in any case.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 house-1 1.5 kind=heat at=4980,0
         10:02 house-2 1.5 kind=heat at=5060,0
         10:03 house-3 1.5 kind=heat at=5020,0
         10:04 house-8 1.5 kind=heat at=-5060,0
         10:05 house-9 1.5 kind=heat at=-4980,0
         10:06 house-7 1.5 kind=heat at=-5020,0",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened fire#1 moderate caused by outage#1: house-1 1.5
            10:02 opened fire#2 moderate: house-2 1.5
            10:03 merged fire#2 into fire#1
            10:03 updated fire#1 moderate 3 sensors: house-3 1.5 40 m
            10:04 opened fire#3 moderate: house-8 1.5
            10:05 opened fire#4 moderate caused by outage#1: house-9 1.5
            10:06 merged fire#4 into fire#3
            10:06 updated fire#3 moderate 3 sensors: house-7 1.5 40 m
        "#]],
    );
}

#[test]
fn what_a_person_merges_into_a_symptom_or_moves_there_is_told_by_itself() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=1000,0
         10:01 ack outage#1 by=ana
         10:02 pump-2 1.5 kind=pump at=9000,0
         10:03 do merge pump_failure#1 other=pump_failure#2 by=ana
         10:33 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:01 acknowledged outage#1 moderate by ana
            10:02 opened pump_failure#2 moderate: pump-2 1.5
            10:03 merged pump_failure#2 into pump_failure#1 by ana
            10:03 linked pump_failure#1 moderate 2 sensors by ana
            10:03 unsuppressed pump_failure#1 moderate 2 sensors by ana
            10:32 escalated pump_failure#1 moderate 2 sensors to shift_supervisor
        "#]],
    );
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=1000,0
         10:01 ack outage#1 by=ana
         10:02 pump-2 1.5 kind=pump at=9000,0
         10:03 pump-3 1.5 kind=pump at=9040,0
         10:04 do move pump_failure#2 other=pump_failure#1 sources=pump-3 by=ana
         10:35 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:01 acknowledged outage#1 moderate by ana
            10:02 opened pump_failure#2 moderate: pump-2 1.5
            10:03 updated pump_failure#2 moderate 2 sensors: pump-3 1.5 40 m
            10:04 evidence_moved pump_failure#1 moderate 2 sensors from pump_failure#2: pump-3 by ana
            10:04 updated pump_failure#2 moderate by ana
            10:04 linked pump_failure#1 moderate 2 sensors by ana
            10:04 unsuppressed pump_failure#1 moderate 2 sensors by ana
            10:32 escalated pump_failure#2 moderate to shift_supervisor
            10:34 escalated pump_failure#1 moderate 2 sensors to shift_supervisor
        "#]],
    );
}

#[test]
fn inv_17_a_symptom_that_is_back_as_a_part_of_what_was_told_is_passed_on_with_that() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=4950,0
         10:01 ack outage#1 by=ana
         10:02 pump-1 0 kind=pump at=4950,0
         10:13 pump-2 1.5 kind=pump at=5040,0
         10:14 pump-3 1.5 kind=pump at=4998,0
         10:35 pump-1 1.5 kind=pump at=4950,0
         11:06 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:01 acknowledged outage#1 moderate by ana
            10:12 cleared pump_failure#1 moderate
            10:13 opened pump_failure#2 moderate: pump-2 1.5
            10:14 updated pump_failure#2 moderate 2 sensors: pump-3 1.5 42 m
            10:35 merged pump_failure#2 into pump_failure#1
            10:35 linked pump_failure#1 moderate 3 sensors: pump-1 1.5
            10:35 reopened pump_failure#1 moderate episode 2 3 sensors
            10:43 escalated pump_failure#1 moderate episode 2 3 sensors to shift_supervisor
        "#]],
    );
}

#[test]
fn what_a_person_says_of_the_cause_of_one_holds_for_what_it_becomes_part_of() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 house-1 1.5 kind=heat at=20000,0
         10:02 house-2 1.5 kind=heat at=20080,0
         10:03 do link fire#2 other=outage#1 by=ana
         10:04 house-3 1.5 kind=heat at=20040,0
         10:05 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened fire#1 moderate: house-1 1.5
            10:02 opened fire#2 moderate: house-2 1.5
            10:03 linked fire#2 moderate caused by outage#1 by ana
            10:04 merged fire#2 into fire#1
            10:04 updated fire#1 moderate 3 sensors: house-3 1.5 40 m
        "#]],
    );
}

#[test]
fn what_somebody_has_seen_as_a_symptom_is_not_seen_with_what_it_becomes_part_of() {
    check(
        "10:00 pump-1 1.5 kind=pump at=5040,0
         10:01 do dismiss pump_failure#1 by=ana reason=false_alarm request=1
         10:02 sub-1 1.5 kind=power at=0,0
         10:02 ack outage#1 by=ana request=2
         10:03 pump-2 1.5 kind=pump at=4950,0
         10:04 ack pump_failure#2 by=ana request=3
         10:10 pump-3 1.5 kind=pump at=4995,0
         10:41 tick",
        &expect![[r#"
            10:00 opened pump_failure#1 moderate: pump-1 1.5
            10:01 dismissed pump_failure#1 moderate as false_alarm by ana
            10:02 opened outage#1 moderate: sub-1 1.5
            10:02 acknowledged outage#1 moderate by ana
            10:03 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:04 acknowledged pump_failure#2 moderate suppressed by ana
            10:10 merged pump_failure#2 into pump_failure#1
            10:10 updated pump_failure#1 moderate 3 sensors: pump-3 1.5 45 m
            10:40 escalated pump_failure#1 moderate 3 sensors to shift_supervisor
        "#]],
    );
}

#[test]
fn what_a_person_moves_to_the_symptom_that_it_belongs_to_stays_hidden_with_it() {
    // Both pumps of the second were found together; one of them stands near the first.
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:01 pump-1 1.5 kind=pump at=4900,0
         10:01 ack outage#1 by=ana
         10:02 pump-2 1.5 kind=pump at=5020,0
         10:03 pump-3 1.5 kind=pump at=4985,0
         10:04 do move pump_failure#2 other=pump_failure#1 sources=pump-3 by=ana
         10:59 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:01 acknowledged outage#1 moderate by ana
            10:02 opened pump_failure#2 moderate: pump-2 1.5
            10:03 updated pump_failure#2 moderate 2 sensors: pump-3 1.5 35 m
            10:04 evidence_moved pump_failure#1 moderate 2 sensors from pump_failure#2: pump-3 by ana
            10:04 updated pump_failure#2 moderate by ana
            10:32 escalated pump_failure#2 moderate to shift_supervisor
        "#]],
    );
}

#[test]
fn inv_15_a_cause_that_is_back_explains_its_symptoms_again() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 pump-2 1.5 kind=pump at=3000,0
         10:20 sub-1 0 kind=power
         10:35 sub-1 1.5 kind=power
         10:36 pump-2 0 kind=pump
         10:50 pump-2 1.5 kind=pump
         10:51 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 opened pump_failure#2 moderate suppressed caused by outage#1: pump-2 1.5
            10:30 cleared outage#1 moderate
            10:30:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            10:30:00.001 unsuppressed pump_failure#2 moderate caused by outage#1
            10:35 reopened outage#1 moderate episode 2: sub-1 1.5
            10:35:00.001 suppressed pump_failure#1 moderate caused by outage#1
            10:35:00.001 suppressed pump_failure#2 moderate caused by outage#1
            10:46 cleared pump_failure#2 moderate
            10:50 reopened pump_failure#2 moderate episode 2 suppressed: pump-2 1.5
        "#]],
    );
}

#[test]
fn a_cause_that_nobody_hears_any_more_explains_as_if_it_went_on() {
    let builder = builder(true).silence("power-silent", "power", 2, Millis::minutes(5));
    let builder = builder.sensor_with("sub-1", "power", |sensor| {
        sensor.position = Some(crate::support::metres(0, 0));
        sensor.interval = Some(Millis::minutes(5));
    });
    check_with(
        &builder.build(),
        "10:00 sub-1 1.5
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:50 do all_clear outage#1 by=ana request=1
         10:51 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:10 sensor_silent sub-1 last heard 10:00
            10:10 unknown outage#1 moderate
            10:30 escalated outage#1 moderate to shift_supervisor
            10:50 cleared outage#1 moderate by ana
            10:50:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
        "#]],
    );
}

#[test]
fn inv_15_a_cause_whose_rule_goes_leaves_its_symptoms_to_themselves() {
    check_reloading(
        &[("first", &city()), ("later", &builder(false).build())],
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 street-1 1.5 kind=water at=2200,0
         10:07 road-1 1.5 kind=speed at=2250,0
         10:10 reload later
         10:20 sub-1 1.5 kind=power at=0,0
         10:41 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 opened street_flood#1 moderate suppressed caused by pump_failure#1: street-1 1.5
            10:07 opened jam#1 moderate suppressed caused by street_flood#1: road-1 1.5
            10:10 rules_changed
            10:10 cleared outage#1 moderate
            10:10 cleared pump_failure#1 moderate
            10:10 cleared street_flood#1 moderate
            10:10:00.001 unsuppressed jam#1 moderate caused by street_flood#1
            10:20 opened outage#2 moderate: sub-1 1.5
            10:40:00.001 escalated jam#1 moderate to shift_supervisor
        "#]],
    );
}

/// Each day is judged with a restart after every record too, and with three shards in one batch:
/// what is suppressed is part of the state, and one order decides.
#[test]
fn alertmanager_4064_2628_4315_a_symptom_is_not_told_by_a_restart() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:00 pump-1 1.5 kind=pump at=2000,0
         10:00 started after=10:00
         10:20 ack outage#1 by=ana request=1
         10:20 started after=10:20
         10:50 pump-1 1.7 kind=pump at=2000,0",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:00 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:20 acknowledged outage#1 moderate by ana
            10:50 updated pump_failure#1 moderate suppressed: pump-1 1.7
        "#]],
    );
}

/// Whichever of the two is heard first: in the same moment both are known.
#[test]
fn alertmanager_2229_a_cause_that_begins_in_the_same_moment_wins_no_race() {
    let told = |first: &str, second: &str| {
        let story = format!("10:00 {first}\n10:00 {second}\n10:40 tick");
        run(&[("first", &city())], &story)
    };
    let (cause, symptom) = (
        "sub-1 1.5 kind=power at=0,0",
        "pump-1 1.5 kind=pump at=2000,0",
    );
    for told in [told(cause, symptom), told(symptom, cause)] {
        let escalated: Vec<_> = told
            .lines()
            .filter(|line| line.contains("escalated"))
            .collect();
        assert_eq!(
            escalated,
            ["10:30 escalated outage#1 moderate to shift_supervisor"],
            "{told}"
        );
    }
}

#[test]
fn zabbix_a_symptom_does_not_stay_a_symptom_when_its_cause_closes() {
    check(
        "10:00 sub-1 1.5 kind=power at=0,0
         10:05 pump-1 1.5 kind=pump at=2000,0
         10:06 ack pump_failure#1 by=ben request=1
         10:07 do respond pump_failure#1 by=ben request=2
         10:10 sub-1 0 kind=power
         10:51 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub-1 1.5
            10:05 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:06 acknowledged pump_failure#1 moderate suppressed by ben
            10:07 responding pump_failure#1 moderate without confirmed suppressed by ben
            10:20 cleared outage#1 moderate
            10:20:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
        "#]],
    );
}

#[test]
fn p5_symptoms_are_judged_again_in_steps_and_none_is_lost() {
    let mut story = String::from("10:00 sub-1 1.5 kind=power at=0,0\n");
    for number in 0..100 {
        let (east, north) = (number % 10 * 200, number / 10 * 200);
        writeln!(story, "10:01 pump-{number} 1.5 kind=pump at={east},{north}").unwrap();
    }
    // Every tenth is well again before.
    for number in (0..100).step_by(10) {
        writeln!(story, "10:05 pump-{number} 0 kind=pump").unwrap();
    }
    story += "11:00 sub-1 0 kind=power\n11:11 tick";
    let told = run(&[("first", &city())], &story);
    let lines = |what: &str| told.lines().filter(|line| line.contains(what)).count();
    assert_eq!(lines(" suppressed caused by outage#1"), 100, "{told}");
    assert_eq!(lines(" unsuppressed "), 90, "{told}");
    let steps: std::collections::BTreeMap<_, _> = told
        .lines()
        .filter(|line| line.contains(" unsuppressed "))
        .fold(Default::default(), |mut steps, line| {
            *steps.entry(line.split_once(' ').unwrap().0).or_insert(0) += 1;
            steps
        });
    assert!(
        steps.values().all(|many| *many <= CHILDREN_PER_STEP),
        "{steps:?}"
    );
    assert_eq!((CHILDREN_STEP, steps.len()), (Millis(1), 3), "{steps:?}");
    assert_eq!(steps.first_key_value().unwrap().0, &"11:10:00.001");
}
