//! What people do with incidents, as a control room would tell it: steps, time running out, reports
//! over the phone, and a word from somebody who is there.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::Bundle;
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::decision::{Decision, Verdict};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, Manner, metres};
use crate::timeline::{check_with, history, run};

/// Two river gauges that report each minute, callers, and people who are asked to look.
fn city() -> Arc<Bundle> {
    let gauge = |east: i32| {
        move |sensor: &mut ioc_core::bundle::Sensor| {
            sensor.position = Some(metres(east, 0));
            sensor.interval = Some(Millis::minutes(1));
        }
    };
    BundleBuilder::new()
        .sensor_with("river-1", "water_level", gauge(0))
        .sensor_with("river-2", "water_level", gauge(600))
        .sensor_with("river-9", "water_level", gauge(9_000))
        .sensor_with("calls", "call", |_| ())
        .threshold(
            "river-high",
            "water_level",
            &[(Moderate, 3.0), (Severe, 3.8), (Extreme, 4.5)],
            |rule| rule.clear_gap = 0.3,
        )
        .silence("river-silent", "water_level", 3, Millis::minutes(5))
        .report("call", "call", Minor, Millis::minutes(60))
        .correlation("floods", "flood", &["river-high"], |rule| {
            rule.clear_after = Millis::minutes(10);
        })
        .correlation("crowds", "crowd", &["call"], |rule| {
            rule.within_m = 200;
            rule.within = Millis::minutes(180);
        })
        .handling(|rules| {
            let minutes = |minutes| Some(Millis::minutes(minutes));
            rules.acknowledge_within = [None, minutes(30), minutes(10), minutes(3), minutes(1)];
            rules.report_lasting = Millis::minutes(60);
            rules.lowers = true;
        })
        .build()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    check_with(&city(), timeline, &expected);
}

#[test]
fn a_flood_is_handled_from_new_to_closed() {
    check(
        "10:00 river-1 3.9
         10:01 ack flood#1 by=ana request=a
         10:02 do confirm flood#1 by=ana note=seen-by-camera
         10:05 do respond flood#1 by=ben
         10:06 do resolve flood#1 by=ben
         10:20 do contain flood#1 by=ben
         10:30-10:45/1 river-1 2.0
         10:46 do resolve flood#1 by=ana
         12:30 do close flood#1 by=ana
         12:31 do dismiss flood#1 by=ana
         13:00 do reopen flood#1 by=ben note=audit",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 acknowledged flood#1 severe by ana
            10:02 confirmed flood#1 severe by ana "seen-by-camera"
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
            10:05 responding flood#1 severe by ben
            10:06 command_refused still_active flood#1 responding unknown by ben
            10:20 contained flood#1 severe by ben
            10:30 sensor_returned river-1 last heard 10:00
            10:30 reopened flood#1 severe contained
            10:40 cleared flood#1 severe
            10:46 resolved flood#1 severe by ana
            10:50 sensor_silent river-1 last heard 10:45
            12:30 closed flood#1 severe by ana
            12:31 command_refused step_not_possible flood#1 closed cleared by ana
            13:00 reopened flood#1 severe by ben "audit"
        "#]],
    );
}

#[test]
fn one_step_resolves_and_says_what_it_passed_over() {
    check(
        "10:00 river-1 3.9
         10:01-10:13/1 river-1 2.0
         10:14 do resolve flood#1 by=ana",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:03 escalated flood#1 severe to shift_supervisor
            10:06 escalated flood#1 severe to duty_officer
            10:09 escalated flood#1 severe to phone_tree
            10:11 cleared flood#1 severe
            10:14 resolved flood#1 severe without acknowledged without confirmed without responding without contained by ana
        "#]],
    );
}

#[test]
fn what_nobody_has_seen_is_passed_on_three_times_and_not_again() {
    check(
        "10:00 river-1 3.9
         11:00 river-1 3.9",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:03 escalated flood#1 severe to shift_supervisor
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
            10:06 escalated flood#1 severe to duty_officer
            10:09 escalated flood#1 severe to phone_tree
            11:00 sensor_returned river-1 last heard 10:00
            11:00 reopened flood#1 severe: river-1 3.9
        "#]],
    );
}

#[test]
fn what_gets_graver_is_passed_on_sooner() {
    check(
        "10:00 river-1 3.1
         10:02 river-1 4.6
         10:30 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:02 updated flood#1 extreme: river-1 4.6
            10:03 escalated flood#1 extreme to shift_supervisor
            10:04 escalated flood#1 extreme to duty_officer
            10:05 escalated flood#1 extreme to phone_tree
            10:07 sensor_silent river-1 last heard 10:02
            10:07 unknown flood#1 extreme
        "#]],
    );
}

#[test]
fn what_is_over_wakes_nobody_and_what_comes_back_does() {
    check(
        "10:00 river-1 3.1
         10:00:30-10:10:30/1 river-1 2.0
         10:25 river-1 3.1
         10:36 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:10 escalated flood#1 moderate to shift_supervisor
            10:10:30 cleared flood#1 moderate
            10:15:30 sensor_silent river-1 last heard 10:10:30
            10:25 sensor_returned river-1 last heard 10:10:30
            10:25 reopened flood#1 moderate episode 2: river-1 3.1
            10:30 sensor_silent river-1 last heard 10:25
            10:30 unknown flood#1 moderate episode 2
            10:35 escalated flood#1 moderate episode 2 to shift_supervisor
        "#]],
    );
}

#[test]
fn oncall_4654_nobody_is_told_after_it_was_acknowledged() {
    check(
        "10:00 river-1 3.9
         10:02 ack flood#1 by=ana
         11:00 tick",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:02 acknowledged flood#1 severe by ana
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
        "#]],
    );
}

#[test]
fn oncall_1206_an_escalation_that_waits_goes_on_after_a_restart() {
    // Every timeline is run again with a restart after each record.
    check(
        "10:00 river-1 3.9
         10:02 started after=10:01
         10:05 started after=10:04
         10:30 tick",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:03 escalated flood#1 severe to shift_supervisor
            10:06 escalated flood#1 severe to duty_officer
            10:09 escalated flood#1 severe to phone_tree
            10:10 sensor_silent river-1 last heard 10:00
            10:10 unknown flood#1 severe
        "#]],
    );
}

#[test]
fn oncall_724_whoever_was_told_in_vain_is_in_the_record() {
    let history = history(
        &[("first", &city())],
        "10:00 river-1 4.6\n10:01 tick\n10:10 tick",
    );
    let decisions = history.run(&Manner::plain()).decisions;
    let escalated = decisions.iter().filter_map(|decision: &Decision| {
        let told = matches!(decision.verdict, Verdict::IncidentEscalated(_));
        let incident = decision.verdict.incident().filter(|_| told)?;
        Some((
            incident.escalated?.word(),
            decision.cause.due == Some(decision.at),
        ))
    });
    let expected = [
        ("shift_supervisor", true),
        ("duty_officer", true),
        ("phone_tree", true),
    ];
    assert_eq!(escalated.collect::<Vec<_>>(), expected);
}

#[test]
fn thingsboard_6047_who_did_what_and_when_is_in_the_decision() {
    let history = history(
        &[("first", &city())],
        "10:00 river-1 3.9\n10:01 do confirm flood#1 by=ben request=r7 note=camera",
    );
    let decisions = history.run(&Manner::plain()).decisions;
    let last = decisions.last().unwrap();
    let (request, actor) = last.cause.request.as_ref().unwrap();
    assert_eq!((request.as_str(), actor.as_str()), ("r7", "ben"));
    assert_eq!(&*last.cause.note, "camera");
}

#[test]
fn one_undoes_ones_own_last_step_and_nobody_elses() {
    check(
        "10:00 river-1 3.9
         10:01 do dismiss flood#1 by=ana reason=planned
         10:02 do undo flood#1 by=ben
         10:03 do undo flood#1 by=ana
         10:04 do undo flood#1 by=ana
         10:05 do confirm flood#1 by=ben
         10:05:30 do rate flood#1 by=ben severity=extreme
         10:06 do undo flood#1 by=ben
         10:30 tick",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 dismissed flood#1 severe as planned by ana
            10:02 command_refused not_yours flood#1 dismissed active by ben
            10:03 undone flood#1 severe to new by ana
            10:04 command_refused nothing_to_undo flood#1 new active by ana
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
            10:05 confirmed flood#1 severe without acknowledged by ben
            10:05:30 rated flood#1 extreme by ben
            10:06 undone flood#1 severe to confirmed by ben
        "#]],
    );
}

#[test]
fn inv_20_what_further_sources_say_overrules_a_dismissal() {
    // Two callers are a crowd.
    let city = BundleBuilder::new()
        .sensor_with("calls", "call", |_| ())
        .report("call", "call", Minor, Millis::minutes(60))
        .correlation("crowds", "crowd", &["call"], |rule| {
            rule.within_m = 200;
            rule.within = Millis::minutes(180);
            rule.sources_min = 2;
        })
        .build();
    check_with(
        &city,
        "18:00 calls 1 at=0,0
         18:01 calls 1 at=0,0
         18:05 do dismiss crowd#1 by=ana reason=not_ours
         18:30 calls 1 at=10,0
         19:10 calls 1 at=30,0
         19:11 do dismiss crowd#1 by=ana reason=not_ours
         19:30 calls 1 at=0,10",
        &expect![[r#"
            18:01 opened crowd#1 minor 2 sensors: calls 1, calls 1
            18:05 dismissed crowd#1 minor 2 sensors as not_ours by ana
            18:30 updated crowd#1 minor 3 sensors: calls 1 10 m
            19:10 reopened crowd#1 minor 4 sensors: calls 1 20 m
            19:11 dismissed crowd#1 minor 4 sensors as not_ours by ana
            19:30 updated crowd#1 minor 5 sensors: calls 1 10 m
        "#]],
    );
}

#[test]
fn inv_20_what_weighs_nothing_overrules_no_dismissal_until_it_does() {
    // What is warm belongs to the picture alone. Who is hot has something to say, once, however often he
    // comes back; and so has a caller beside what is warm.
    let city = BundleBuilder::new()
        .sensor_with("calls", "call", |_| ())
        .report("call", "call", Minor, Millis::minutes(60))
        .threshold("hot", "heat", &[(Minor, 3.0)], |_| ())
        .threshold("warm", "heat", &[(Minor, 1.0)], |_| ())
        .correlation("fires", "fire", &["call", "hot", "warm"], |rule| {
            rule.within_m = 200;
            rule.within = Millis::minutes(180);
            rule.weights = vec![1, 1, 0];
            rule.sources_min = 2;
        })
        .build();
    check_with(
        &city,
        "18:00 calls 1 at=0,0
         18:01 calls 1 at=0,0
         18:05 do dismiss fire#1 by=ana reason=not_ours
         18:10 h-1 1.5 kind=heat at=10,0
         18:11 h-2 1.5 kind=heat at=20,0
         18:20 h-1 3.5 kind=heat
         18:21 h-1 0.5 kind=heat
         18:22 h-1 3.5 kind=heat
         18:30 h-2 3.5 kind=heat
         18:35 do dismiss fire#1 by=ana reason=not_ours
         18:40 h-3 1.5 kind=heat at=300,0
         18:41 calls 1 at=150,0
         18:42 calls 1 at=160,0",
        &expect![[r#"
            18:01 opened fire#1 minor 2 sensors: calls 1, calls 1
            18:05 dismissed fire#1 minor 2 sensors as not_ours by ana
            18:10 updated fire#1 minor 3 sensors: h-1 1.5 10 m
            18:11 updated fire#1 minor 4 sensors: h-2 1.5 10 m
            18:20 updated fire#1 minor 4 sensors: h-1 3.5
            18:22 updated fire#1 minor 4 sensors: h-1 3.5
            18:30 reopened fire#1 minor 4 sensors: h-2 3.5
            18:35 dismissed fire#1 minor 4 sensors as not_ours by ana
            18:41 updated fire#1 minor 6 sensors: h-3 1.5, calls 1 130 m
            18:42 reopened fire#1 minor 7 sensors: calls 1 10 m
        "#]],
    );
}

#[test]
fn what_gets_graver_overrules_a_dismissal_too() {
    check(
        "10:00 river-1 3.1
         10:01 do dismiss flood#1 by=ana reason=test
         10:05 river-1 3.2
         10:06 river-1 4.7",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:01 dismissed flood#1 moderate as test by ana
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 moderate
            10:05 sensor_returned river-1 last heard 10:00
            10:05 reopened flood#1 moderate dismissed: river-1 3.2
            10:06 reopened flood#1 extreme: river-1 4.7
        "#]],
    );
}

#[test]
fn severity_falls_by_a_persons_word_and_rises_again_with_what_is_graver() {
    check(
        "10:00 river-1 3.9
         10:01 do rate flood#1 by=ana severity=minor note=only-a-meadow
         10:02 river-1 4.0
         10:03 do rate flood#1 by=ana severity=minor
         10:04 river-1 4.6",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 rated flood#1 minor by ana "only-a-meadow"
            10:02 updated flood#1 minor: river-1 4
            10:03 command_refused already_there flood#1 new active by ana
            10:04 updated flood#1 extreme: river-1 4.6
        "#]],
    );
}

#[test]
fn inv_18_severity_falls_by_itself_when_what_is_less_grave_has_lasted() {
    check(
        "10:00 river-1 4.6
         10:00:10 ack flood#1
         10:01 river-2 3.1
         10:02-10:10/1 river-1 2.0
         10:10 river-1 4.6
         10:11-10:30/1 river-1 2.0
         10:11-10:30/1 river-2 3.1",
        expect![[r#"
            10:00 opened flood#1 extreme: river-1 4.6
            10:00:10 acknowledged flood#1 extreme by console
            10:01 updated flood#1 extreme 2 sensors: river-2 3.1 599 m
            10:06 sensor_silent river-2 last heard 10:01
            10:06 unknown flood#1 extreme 2 sensors
            10:10 reopened flood#1 extreme 2 sensors acknowledged: river-1 4.6
            10:11 unknown flood#1 extreme 2 sensors
            10:11 sensor_returned river-2 last heard 10:01
            10:11 reopened flood#1 extreme 2 sensors acknowledged: river-2 3.1
            10:12 updated flood#1 extreme 2 sensors: river-2 3.1
            10:13 updated flood#1 extreme 2 sensors: river-2 3.1
            10:14 updated flood#1 extreme 2 sensors: river-2 3.1
            10:15 updated flood#1 extreme 2 sensors: river-2 3.1
            10:16 updated flood#1 extreme 2 sensors: river-2 3.1
            10:17 updated flood#1 extreme 2 sensors: river-2 3.1
            10:18 updated flood#1 extreme 2 sensors: river-2 3.1
            10:19 updated flood#1 extreme 2 sensors: river-2 3.1
            10:20 updated flood#1 extreme 2 sensors: river-2 3.1
            10:21 rated flood#1 moderate 2 sensors
            10:21:00.250 updated flood#1 moderate 2 sensors: river-2 3.1
            10:22 updated flood#1 moderate 2 sensors: river-2 3.1
            10:23 updated flood#1 moderate 2 sensors: river-2 3.1
            10:24 updated flood#1 moderate 2 sensors: river-2 3.1
            10:25 updated flood#1 moderate 2 sensors: river-2 3.1
            10:26 updated flood#1 moderate 2 sensors: river-2 3.1
            10:27 updated flood#1 moderate 2 sensors: river-2 3.1
            10:28 updated flood#1 moderate 2 sensors: river-2 3.1
            10:29 updated flood#1 moderate 2 sensors: river-2 3.1
            10:30 updated flood#1 moderate 2 sensors: river-2 3.1
        "#]],
    );
}

#[test]
fn a_blind_incident_is_cleared_by_somebody_who_is_there() {
    check(
        "10:00 river-1 3.9
         10:01 ack flood#1
         10:02 do all_clear flood#1 by=ana note=patrol-7
         10:10 do all_clear flood#1 by=ana note=patrol-7
         10:11 do resolve flood#1 by=ana
         10:15 river-1 3.9",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 acknowledged flood#1 severe by console
            10:02 command_refused sensors_say_otherwise flood#1 acknowledged active by ana "patrol-7"
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
            10:10 cleared flood#1 severe by ana "patrol-7"
            10:11 resolved flood#1 severe without confirmed without responding without contained by ana
            10:15 sensor_returned river-1 last heard 10:00
            10:15 reopened flood#1 severe episode 2: river-1 3.9
        "#]],
    );
}

#[test]
fn thingsboard_13050_a_static_value_is_heard_after_somebody_cleared_it() {
    check(
        "10:00 river-1 3.9
         10:10 do all_clear flood#1 by=ana note=gauge-was-stuck
         12:00 river-1 3.9
         12:01 river-1 3.9",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:03 escalated flood#1 severe to shift_supervisor
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
            10:06 escalated flood#1 severe to duty_officer
            10:09 escalated flood#1 severe to phone_tree
            10:10 cleared flood#1 severe by ana "gauge-was-stuck"
            12:00 sensor_returned river-1 last heard 10:00
            12:00 opened flood#2 severe: river-1 3.9
            12:01 updated flood#2 severe: river-1 3.9
        "#]],
    );
}

#[test]
fn a_person_opens_an_incident_and_sensors_join_it() {
    check(
        "10:00 open flood severity=severe at=300,0 by=ana note=call-from-bridge
         10:00:30 ack flood#1
         10:05 river-1 3.1
         10:06 do report flood#1 by=ben severity=extreme note=radio
         10:07-10:30/1 river-1 2.0
         11:30 tick",
        expect![[r#"
            10:00 opened flood#1 severe by ana "call-from-bridge": a report
            10:00:30 acknowledged flood#1 severe by console
            10:05 updated flood#1 severe 2 sensors: river-1 3.1 299 m
            10:06 updated flood#1 extreme 3 sensors by ben "radio": a report
            10:35 sensor_silent river-1 last heard 10:30
            11:16 cleared flood#1 extreme 3 sensors
        "#]],
    );
}

#[test]
fn a_report_about_what_is_there_already_opens_no_second_incident() {
    check(
        "10:00 river-1 3.9
         10:01 open flood severity=moderate at=100,0
         10:02 open flood severity=moderate at=9000,3000
         10:03 open riot severity=severe
         10:04 open crowd severity=minor",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:01 updated flood#1 severe 2 sensors by ana: a report 100 m
            10:02 opened flood#2 moderate by ana: a report
            10:03 escalated flood#1 severe 2 sensors to shift_supervisor
            10:03 command_refused unknown_kind riot by ana
            10:04 opened crowd#1 minor by ana: a report
        "#]],
    );
}

#[test]
fn what_is_over_for_good_is_still_handled() {
    check(
        "10:00 river-1 3.9
         10:01-10:12/1 river-1 2.0
         11:30 do confirm flood#1 by=ana
         11:31 do undo flood#1 by=ana
         11:32 do report flood#1 severity=minor
         11:33 do close flood#1 by=ana",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:03 escalated flood#1 severe to shift_supervisor
            10:06 escalated flood#1 severe to duty_officer
            10:09 escalated flood#1 severe to phone_tree
            10:11 cleared flood#1 severe
            10:17 sensor_silent river-1 last heard 10:12
            11:30 confirmed flood#1 severe without acknowledged by ana
            11:31 undone flood#1 severe to new by ana
            11:32 command_refused incident_over flood#1 new cleared by ana
            11:33 closed flood#1 severe without acknowledged without confirmed without responding without contained without resolved by ana
        "#]],
    );
}

#[test]
fn inv_13_what_was_merged_and_is_split_again_is_as_it_was() {
    check(
        "10:00 river-1 3.9
         10:00:10 river-2 4.6
         10:00:20 river-9 3.1
         10:00:30 river-9 3.2
         10:01 do merge flood#2 other=flood#1 by=ana note=one-river
         10:02 do split flood#2 by=ana
         10:03 river-9 3.3
         10:04 river-1 4.0",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:00:10 updated flood#1 extreme 2 sensors: river-2 4.6 599 m
            10:00:20 opened flood#2 moderate: river-9 3.1
            10:00:30 updated flood#2 moderate: river-9 3.2
            10:01 merged flood#2 into flood#1 by ana "one-river"
            10:01 updated flood#1 extreme 3 sensors by ana "one-river"
            10:01:10 escalated flood#1 extreme 3 sensors to shift_supervisor
            10:02 split flood#3 moderate from flood#1: river-9 by ana
            10:02 updated flood#1 extreme 2 sensors by ana
            10:02:10 escalated flood#1 extreme 2 sensors to duty_officer
            10:03 updated flood#3 moderate: river-9 3.3
            10:03:10 escalated flood#1 extreme 2 sensors to phone_tree
            10:04 updated flood#1 extreme 2 sensors: river-1 4
        "#]],
    );
}

#[test]
fn what_a_person_split_is_not_merged_again_by_evidence() {
    check(
        "10:00 river-1 3.9
         10:00:10 river-2 4.6
         10:01 do split flood#1 sources=river-2 by=ana
         10:02 do split flood#1 sources=river-1 by=ana
         10:03 do split flood#1 sources=river-7 by=ana
         10:04 river-2 2.0
         10:05 river-2 4.7
         10:06 river-1 4.0",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:00:10 updated flood#1 extreme 2 sensors: river-2 4.6 599 m
            10:01 split flood#2 extreme from flood#1: river-2 by ana
            10:01 updated flood#1 severe by ana
            10:02 escalated flood#2 extreme to shift_supervisor
            10:02 command_refused nothing_left flood#1 new active by ana
            10:03 escalated flood#2 extreme to duty_officer
            10:03 command_refused no_such_source flood#1 new active by ana
            10:03:10 escalated flood#1 severe to shift_supervisor
            10:04 escalated flood#2 extreme to phone_tree
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 severe
            10:05 updated flood#2 extreme: river-2 4.7
            10:06 sensor_returned river-1 last heard 10:00
            10:06 reopened flood#1 severe: river-1 4
        "#]],
    );
}

#[test]
fn evidence_that_belongs_elsewhere_is_moved() {
    check(
        "10:00 river-1 3.9
         10:00:10 river-2 4.6
         10:00:20 river-9 3.1
         10:01 do move flood#1 other=flood#2 sources=river-2 by=ana
         10:02 do move flood#1 other=flood#2 sources=river-1 by=ana
         10:03 river-2 4.7",
        expect![[r#"
            10:00 opened flood#1 severe: river-1 3.9
            10:00:10 updated flood#1 extreme 2 sensors: river-2 4.6 599 m
            10:00:20 opened flood#2 moderate: river-9 3.1
            10:01 evidence_moved flood#2 extreme 2 sensors from flood#1: river-2 by ana
            10:01 updated flood#1 severe by ana
            10:02 escalated flood#2 extreme 2 sensors to shift_supervisor
            10:02 command_refused nothing_left flood#1 new active by ana
            10:03 escalated flood#2 extreme 2 sensors to duty_officer
        "#]],
    );
}

#[test]
fn an_acknowledgement_does_not_carry_over_to_what_a_merger_made_graver() {
    check(
        "10:00 river-1 3.1
         10:00:10 ack flood#1 by=ana
         10:00:20 river-9 3.9
         10:01 do merge flood#1 other=flood#2 by=ben
         10:02 do merge flood#1 other=flood#2 by=ben",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 3.1
            10:00:10 acknowledged flood#1 moderate by ana
            10:00:20 opened flood#2 severe: river-9 3.9
            10:01 merged flood#2 into flood#1 by ben
            10:01 updated flood#1 severe 2 sensors by ben
            10:02 command_refused already_there flood#1 new active by ben
        "#]],
    );
}

/// Gauges a hundred metres from each other see one flood.
fn canal(timeline: &str, expected: &Expect) {
    canal_of(1, timeline, expected);
}

/// The same, where so many of them open one.
fn canal_of(sources_min: u32, timeline: &str, expected: &Expect) {
    let city = BundleBuilder::new()
        .threshold(
            "high",
            "water_level",
            &[(Moderate, 3.0), (Severe, 3.8)],
            |rule| rule.clear_gap = 0.3,
        )
        .correlation("floods", "flood", &["high"], |rule| {
            rule.within_m = 100;
            rule.sources_min = sources_min;
            rule.clear_after = Millis::minutes(10);
        })
        .handling(|rules| {
            let minutes = |minutes| Some(Millis::minutes(minutes));
            rules.acknowledge_within = [None, minutes(30), minutes(10), minutes(4), minutes(1)];
        })
        .build();
    check_with(&city, timeline, expected);
}

#[test]
fn inv_10_who_is_at_work_at_what_merges_into_another_incident_is_at_work_at_that() {
    // Nobody is called again, it stays open when it is over for sensors, and what is split from it
    // again is handled as it was.
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 g-2 3.1 kind=water_level at=180,0
         10:02 do respond flood#2 by=ana note=unit-7
         10:03 g-3 3.1 kind=water_level at=90,0
         10:45 do respond flood#1 by=ben
         10:46 do contain flood#2 by=ana
         10:50 do split flood#2 by=ana
         10:51 do contain flood#3 by=ana
         11:00 g-1 1 kind=water_level
         11:00 g-3 1 kind=water_level
         11:20 do contain flood#1 by=ben
         11:21 do resolve flood#1 by=ana",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 opened flood#2 moderate: g-2 3.1
            10:02 responding flood#2 moderate without acknowledged without confirmed by ana "unit-7"
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 moderate 3 sensors: g-3 3.1 90 m
            10:45 command_refused already_there flood#1 responding active by ben
            10:46 contained flood#1 moderate 3 sensors by ana
            10:50 split flood#3 moderate from flood#1: g-2 by ana
            10:50 updated flood#1 moderate 2 sensors by ana
            10:51 command_refused already_there flood#3 contained active by ana
            11:10 cleared flood#1 moderate 2 sensors
            11:20 command_refused already_there flood#1 contained cleared by ben
            11:21 resolved flood#1 moderate 2 sensors by ana
        "#]],
    );
}

#[test]
fn a_dismissal_holds_for_nothing_that_people_are_at_work_at() {
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 g-2 3.1 kind=water_level at=180,0
         10:02 do dismiss flood#1 by=ana reason=false_alarm
         10:02 do confirm flood#2 by=ben
         10:03 g-3 3.1 kind=water_level at=90,0
         10:30 do confirm flood#1 by=ana",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 opened flood#2 moderate: g-2 3.1
            10:02 dismissed flood#1 moderate as false_alarm by ana
            10:02 confirmed flood#2 moderate without acknowledged by ben
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 moderate 3 sensors: g-3 3.1 90 m
            10:30 command_refused already_there flood#1 confirmed active by ana
        "#]],
    );
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 g-2 3.1 kind=water_level at=180,0
         10:02 do contain flood#1 by=ana
         10:02 do dismiss flood#2 by=ben reason=test
         10:03 g-3 3.9 kind=water_level at=90,0
         10:30 do contain flood#1 by=ana",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 opened flood#2 moderate: g-2 3.1
            10:02 contained flood#1 moderate without acknowledged without confirmed without responding by ana
            10:02 dismissed flood#2 moderate as test by ben
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 severe 3 sensors: g-3 3.9 90 m
            10:30 command_refused already_there flood#1 contained active by ana
        "#]],
    );
}

#[test]
fn what_is_seen_and_what_is_dismissed_is_seen_unless_it_is_graver() {
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 g-2 3.1 kind=water_level at=180,0
         10:02 do dismiss flood#1 by=ana reason=test
         10:02 ack flood#2 by=ben
         10:03 g-3 3.1 kind=water_level at=90,0
         10:30 ack flood#1 by=ben request=2",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 opened flood#2 moderate: g-2 3.1
            10:02 dismissed flood#1 moderate as test by ana
            10:02 acknowledged flood#2 moderate by ben
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 moderate 3 sensors: g-3 3.1 90 m
            10:30 command_refused already_acknowledged by ben
        "#]],
    );
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 g-2 3.9 kind=water_level at=180,0
         10:02 do dismiss flood#1 by=ana reason=test
         10:02 ack flood#2 by=ben
         10:03 g-3 3.1 kind=water_level at=90,0
         10:30 ack flood#1 by=ben request=2",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 opened flood#2 severe: g-2 3.9
            10:02 dismissed flood#1 moderate as test by ana
            10:02 acknowledged flood#2 severe by ben
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 severe 3 sensors: g-3 3.1 90 m
            10:07 escalated flood#1 severe 3 sensors to shift_supervisor
            10:11 escalated flood#1 severe 3 sensors to duty_officer
            10:15 escalated flood#1 severe 3 sensors to phone_tree
            10:30 acknowledged flood#1 severe 3 sensors by ben
        "#]],
    );
}

#[test]
fn an_acknowledgement_says_nothing_of_an_older_incident_that_nobody_has_seen() {
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 g-2 3.1 kind=water_level at=180,0
         10:02 ack flood#2 by=ana
         10:03 g-3 3.1 kind=water_level at=90,0
         10:31 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 opened flood#2 moderate: g-2 3.1
            10:02 acknowledged flood#2 moderate by ana
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 moderate 3 sensors: g-3 3.1 90 m
            10:10 escalated flood#1 moderate 3 sensors to shift_supervisor
            10:20 escalated flood#1 moderate 3 sensors to duty_officer
            10:30 escalated flood#1 moderate 3 sensors to phone_tree
        "#]],
    );
}

#[test]
fn inv_20_two_that_were_dismissed_and_become_one_are_dismissed_until_there_is_more() {
    canal_of(
        2,
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:00 g-2 3.1 kind=water_level at=10,0
         10:00 g-3 3.1 kind=water_level at=20,0
         10:01 g-4 3.1 kind=water_level at=180,0
         10:01 g-5 3.1 kind=water_level at=190,0
         10:01 g-6 3.1 kind=water_level at=200,0
         10:02 do dismiss flood#1 by=ana reason=test request=1
         10:02 do dismiss flood#2 by=ana reason=test request=2
         10:03 g-7 3.1 kind=water_level at=100,0
         10:04 do dismiss flood#1 by=ana reason=test request=3
         10:05 g-8 3.1 kind=water_level at=101,0
         10:06 g-9 3.1 kind=water_level at=102,0
         10:07 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate 2 sensors: g-1 3.1, g-2 3.1 10 m
            10:00:00.250 updated flood#1 moderate 3 sensors: g-3 3.1 10 m
            10:01 opened flood#2 moderate 2 sensors: g-4 3.1, g-5 3.1 10 m
            10:01:00.250 updated flood#2 moderate 3 sensors: g-6 3.1 10 m
            10:02 dismissed flood#1 moderate 3 sensors as test by ana
            10:02 dismissed flood#2 moderate 3 sensors as test by ana
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 moderate 7 sensors: g-7 3.1 80 m
            10:04 command_refused already_there flood#1 dismissed active by ana
            10:05 reopened flood#1 moderate 8 sensors: g-8 3.1 1 m
            10:06 updated flood#1 moderate 9 sensors: g-9 3.1 1 m
        "#]],
    );
}

#[test]
fn inv_17_what_merges_is_passed_on_no_later_and_to_nobody_twice() {
    // The younger is graver, and was passed on before.
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:03 g-2 3.9 kind=water_level at=180,0
         10:08 g-3 3.1 kind=water_level at=90,0
         10:16 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:03 opened flood#2 severe: g-2 3.9
            10:07 escalated flood#2 severe to shift_supervisor
            10:08 merged flood#2 into flood#1
            10:08 updated flood#1 severe 3 sensors: g-3 3.1 90 m
            10:11 escalated flood#1 severe 3 sensors to duty_officer
            10:15 escalated flood#1 severe 3 sensors to phone_tree
        "#]],
    );
    // What was seen of the older is no more than a part of it.
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 ack flood#1 by=ana
         10:03 g-2 3.9 kind=water_level at=180,0
         10:08 g-3 3.1 kind=water_level at=90,0
         10:16 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 acknowledged flood#1 moderate by ana
            10:03 opened flood#2 severe: g-2 3.9
            10:07 escalated flood#2 severe to shift_supervisor
            10:08 merged flood#2 into flood#1
            10:08 updated flood#1 severe 3 sensors: g-3 3.1 90 m
            10:11 escalated flood#1 severe 3 sensors to duty_officer
            10:15 escalated flood#1 severe 3 sensors to phone_tree
        "#]],
    );
}

#[test]
fn inv_17_what_waits_and_merges_into_what_is_back_goes_on_to_wait() {
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 g-1 1.0 kind=water_level at=0,0
         10:12 g-2 3.1 kind=water_level at=180,0
         10:13 g-3 3.1 kind=water_level at=90,0
         10:25 g-1 3.1 kind=water_level at=0,0
         10:33 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:10 escalated flood#1 moderate to shift_supervisor
            10:11 cleared flood#1 moderate
            10:12 opened flood#2 moderate: g-2 3.1
            10:13 updated flood#2 moderate 2 sensors: g-3 3.1 90 m
            10:22 escalated flood#2 moderate 2 sensors to shift_supervisor
            10:25 merged flood#2 into flood#1
            10:25 reopened flood#1 moderate episode 2 3 sensors: g-1 3.1
            10:32 escalated flood#1 moderate episode 2 3 sensors to duty_officer
        "#]],
    );
}

#[test]
fn inv_17_how_grave_it_was_before_it_was_over_gives_what_waits_no_more_time() {
    canal(
        "10:00 g-1 3.9 kind=water_level at=0,0
         10:01 g-1 1.0 kind=water_level at=0,0
         10:12 g-2 3.1 kind=water_level at=180,0
         10:13 g-3 3.1 kind=water_level at=90,0
         10:25 g-1 3.1 kind=water_level at=0,0
         10:33 tick",
        &expect![[r#"
            10:00 opened flood#1 severe: g-1 3.9
            10:04 escalated flood#1 severe to shift_supervisor
            10:08 escalated flood#1 severe to duty_officer
            10:11 cleared flood#1 severe
            10:12 opened flood#2 moderate: g-2 3.1
            10:13 updated flood#2 moderate 2 sensors: g-3 3.1 90 m
            10:22 escalated flood#2 moderate 2 sensors to shift_supervisor
            10:25 merged flood#2 into flood#1
            10:25 reopened flood#1 moderate episode 2 3 sensors: g-1 3.1
            10:32 escalated flood#1 moderate episode 2 3 sensors to duty_officer
        "#]],
    );
}

#[test]
fn inv_17_what_somebody_had_seen_before_it_was_over_waits_as_what_it_is_back_with() {
    canal(
        "10:00 g-1 3.1 kind=water_level at=0,0
         10:01 ack flood#1 by=ana
         10:01 g-1 1.0 kind=water_level at=0,0
         10:12 g-2 3.1 kind=water_level at=180,0
         10:13 g-3 3.1 kind=water_level at=90,0
         10:25 g-1 3.1 kind=water_level at=0,0
         10:36 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: g-1 3.1
            10:01 acknowledged flood#1 moderate by ana
            10:11 cleared flood#1 moderate
            10:12 opened flood#2 moderate: g-2 3.1
            10:13 updated flood#2 moderate 2 sensors: g-3 3.1 90 m
            10:22 escalated flood#2 moderate 2 sensors to shift_supervisor
            10:25 merged flood#2 into flood#1
            10:25 reopened flood#1 moderate episode 2 3 sensors: g-1 3.1
            10:32 escalated flood#1 moderate episode 2 3 sensors to duty_officer
        "#]],
    );
}

#[test]
fn inv_17_what_is_graver_and_unseen_is_passed_on_though_somebody_works_at_a_part_of_it() {
    // Confirmed is no word about what is graver.
    canal(
        "10:00 g-1 3.9 kind=water_level at=0,0
         10:01 g-2 3.1 kind=water_level at=180,0
         10:02 do confirm flood#2 by=ana
         10:03 g-3 3.1 kind=water_level at=90,0
         10:09 tick",
        &expect![[r#"
            10:00 opened flood#1 severe: g-1 3.9
            10:01 opened flood#2 moderate: g-2 3.1
            10:02 confirmed flood#2 moderate without acknowledged by ana
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 severe 3 sensors: g-3 3.1 90 m
            10:04 escalated flood#1 severe 3 sensors to shift_supervisor
            10:08 escalated flood#1 severe 3 sensors to duty_officer
        "#]],
    );
    // Who is there is there, but has not contained what nobody has looked at.
    canal(
        "10:00 g-1 3.9 kind=water_level at=0,0
         10:01 g-2 3.1 kind=water_level at=180,0
         10:02 do contain flood#2 by=ana
         10:03 g-3 3.1 kind=water_level at=90,0
         10:09 tick",
        &expect![[r#"
            10:00 opened flood#1 severe: g-1 3.9
            10:01 opened flood#2 moderate: g-2 3.1
            10:02 contained flood#2 moderate without acknowledged without confirmed without responding by ana
            10:03 merged flood#2 into flood#1
            10:03 updated flood#1 severe 3 sensors: g-3 3.1 90 m
        "#]],
    );
}

#[test]
fn zabbix_what_caused_what_is_said_by_a_person_over_any_number_of_levels() {
    check(
        "10:00 river-1 4.6
         10:00:10 river-9 3.1
         10:00:20 calls 1 at=0,5000
         10:01 do link crowd#1 other=flood#2 by=ana
         10:02 do link flood#2 other=flood#1 by=ana
         10:03 do link flood#1 other=crowd#1 by=ana
         10:04 do merge crowd#1 other=flood#1 by=ana
         10:05 do link flood#2 by=ana
         10:06 do link flood#2 by=ana",
        expect![[r#"
            10:00 opened flood#1 extreme: river-1 4.6
            10:00:10 opened flood#2 moderate: river-9 3.1
            10:00:20 opened crowd#1 minor: calls 1
            10:01 escalated flood#1 extreme to shift_supervisor
            10:01 linked crowd#1 minor caused by flood#2 by ana
            10:02 escalated flood#1 extreme to duty_officer
            10:02 linked flood#2 moderate caused by flood#1 by ana
            10:03 escalated flood#1 extreme to phone_tree
            10:03 command_refused would_be_circle flood#1 new active by ana
            10:04 command_refused different_rules crowd#1 new active by ana
            10:05 sensor_silent river-1 last heard 10:00
            10:05 unknown flood#1 extreme
            10:05 linked flood#2 moderate by ana
            10:05:10 sensor_silent river-9 last heard 10:00:10
            10:05:10 unknown flood#2 moderate
            10:06 command_refused already_there flood#2 new unknown by ana
        "#]],
    );
}

/// A gauge that is registered without an interval, and one that nobody has registered.
fn without_interval() -> BundleBuilder {
    BundleBuilder::new()
        .sensor("gauge-1", "water_level", metres(0, 0))
        .threshold("river-high", "water_level", &[(Moderate, 3.0)], |_| ())
        .silence("river-silent", "water_level", 3, Millis::minutes(3))
        .correlation("floods", "flood", &["river-high"], |_| ())
}

#[test]
fn what_a_sensor_said_that_is_never_silent_can_be_ended_by_who_has_been_there() {
    for sensor in ["gauge-1", "a-stranger"] {
        let timeline = format!(
            "10:00 {sensor} 4 kind=water_level at=0,0
             2d 10:00 do all_clear flood#1 by=ana request=r-1 note=mud
             2d 10:01 out_of_service {sensor} for=1440 by=ana reason=dead
             2d 10:02 do all_clear flood#1 by=ana request=r-2 note=mud
             2d 10:03 do close flood#1 by=ana request=r-3 note=reviewed
             2d 10:04 end quiet#1
             3d 10:00 tick"
        );
        let told = run(&[("first", &without_interval().build())], &timeline);
        let told = told.replace(sensor, "it");
        expect![[r#"
            10:00 opened flood#1 moderate: it 4
            2d 10:00 command_refused sensors_say_otherwise flood#1 new active by ana "mud"
            2d 10:01 suppression_started quiet#1 it out_of_service until 3d 10:01 for dead of ana by ana
            2d 10:01 unknown flood#1 moderate
            2d 10:02 cleared flood#1 moderate by ana "mud"
            2d 10:03 closed flood#1 moderate without acknowledged without confirmed without responding without contained without resolved by ana "reviewed"
            2d 10:04 suppression_ended quiet#1 it: ended by ana
        "#]].assert_eq(&told);
    }
}
