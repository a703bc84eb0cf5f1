//! What a person says of an incident that he knows, and what he has not known: a rating, a dismissal and
//! a shelf hold for what was there, and hide nothing else.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Bundle, CorrelationRule};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::check_with;

/// Smoke detectors 450 m from each other, and two far away. Two at their level open a fire, or one that
/// is well beyond it; five further ones overrule a dismissal.
fn builder(set: impl FnOnce(&mut CorrelationRule)) -> BundleBuilder {
    let mut builder = BundleBuilder::new();
    for (number, east) in [(1, 0), (2, 450), (3, 900), (8, 9_000), (9, 9_300)] {
        builder = builder.sensor(&format!("s-{number}"), "smoke", metres(east, 0));
    }
    let levels = [(Moderate, 3.0), (Severe, 8.0), (Extreme, 20.0)];
    builder
        .threshold("smoke-high", "smoke", &levels, |_| ())
        .threshold("smoke-dense", "smoke", &[(Moderate, 5.0)], |_| ())
        .report("fire-call", "call", Minor, Millis::minutes(20))
        .distinct(&["fire-call"], "caller")
        .correlation(
            "fires",
            "fire",
            &["smoke-high", "smoke-dense", "fire-call"],
            |rule| {
                rule.within_m = 600;
                rule.weights = vec![2, 4, 4];
                rule.sources_min = 4;
                set(rule);
            },
        )
        .handling(|rules| {
            let minutes = |minutes| Some(Millis::minutes(minutes));
            rules.acknowledge_within = [None, minutes(60), minutes(10), minutes(3), minutes(1)];
            rules.overruled_by = 5;
        })
}

fn city() -> Arc<Bundle> {
    builder(|_| ()).build()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    check_with(&city(), timeline, &expected);
}

#[test]
fn inv_18_a_rating_holds_against_the_sources_that_were_there_and_no_others() {
    // What said so before goes on to say so, also if it was normal in between.
    check(
        "10:00 s-1 9
         10:01 do rate fire#1 by=ana severity=minor note=the-kitchen
         10:02 s-1 9.5
         10:03 s-1 1
         10:04 s-1 9
         10:05 s-2 4
         10:06 s-2 9
         10:09:30 tick",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:01 rated fire#1 minor by ana "the-kitchen"
            10:02 updated fire#1 minor: s-1 9.5
            10:04 updated fire#1 minor: s-1 9
            10:05 updated fire#1 moderate 2 sensors: s-2 4 449 m
            10:06 updated fire#1 severe 2 sensors: s-2 9
            10:09 escalated fire#1 severe 2 sensors to shift_supervisor
        "#]],
    );
}

#[test]
fn a_rating_is_no_word_about_what_was_less_grave_then_and_is_graver_now() {
    check(
        "10:00 s-1 9
         10:00:10 s-2 4
         10:01 do rate fire#1 by=ana severity=minor
         10:02 s-2 4.5
         10:03 s-2 8.5",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:00:10 updated fire#1 severe 2 sensors: s-2 4 449 m
            10:01 rated fire#1 minor 2 sensors by ana
            10:02 updated fire#1 minor 2 sensors: s-2 4.5
            10:03 updated fire#1 severe 2 sensors: s-2 8.5
        "#]],
    );
}

#[test]
fn a_rating_is_no_word_about_what_had_opened_nothing_and_joins_nor_about_what_a_person_moves() {
    check(
        "10:00 s-1 9
         10:01 do rate fire#1 by=ana severity=minor
         10:02 s-3 4
         10:03 s-2 3.5",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:01 rated fire#1 minor by ana
            10:03 updated fire#1 moderate 3 sensors: s-3 4, s-2 3.5 449 m
        "#]],
    );
    check(
        "10:00 s-1 9
         10:00:10 s-8 9
         10:00:20 s-9 9
         10:01 do rate fire#1 by=ana severity=minor
         10:02 do move fire#2 other=fire#1 sources=s-9 by=ana",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:00:10 opened fire#2 severe: s-8 9
            10:00:20 updated fire#2 severe 2 sensors: s-9 9 299 m
            10:01 rated fire#1 minor by ana
            10:02 evidence_moved fire#1 severe 2 sensors from fire#2: s-9 by ana
            10:02 updated fire#2 severe by ana
        "#]],
    );
}

#[test]
fn a_rating_holds_against_a_caller_who_calls_again_and_not_against_another() {
    check(
        "10:00 centre 1 kind=call at=0,0 caller=abc
         10:01 do rate fire#1 by=ana severity=unknown
         10:02 centre 1 kind=call at=0,0 caller=abc
         10:03 centre 1 kind=call at=0,0 caller=def",
        expect![[r#"
            10:00 opened fire#1 minor: centre 1
            10:01 rated fire#1 unknown by ana
            10:02 updated fire#1 unknown: centre 1
            10:03 updated fire#1 minor 2 sensors: centre 1
        "#]],
    );
}

#[test]
fn inv_20_what_would_open_an_incident_by_itself_overrules_a_dismissal_of_another() {
    // What was dismissed goes on, falls and comes back, and is known.
    check(
        "10:00 s-1 9
         10:01 do dismiss fire#1 by=ana reason=false_alarm
         10:02 s-1 9.5
         10:03 s-1 1
         10:05 s-1 9
         10:06 s-2 9
         10:07 do dismiss fire#1 by=ana reason=false_alarm
         10:08 s-2 1
         10:09 s-2 9.5",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:01 dismissed fire#1 severe as false_alarm by ana
            10:02 updated fire#1 severe: s-1 9.5
            10:05 updated fire#1 severe: s-1 9
            10:06 reopened fire#1 severe 2 sensors: s-2 9 449 m
            10:07 dismissed fire#1 severe 2 sensors as false_alarm by ana
            10:09 updated fire#1 severe 2 sensors: s-2 9.5
        "#]],
    );
}

#[test]
fn inv_20_what_joins_a_dismissed_incident_and_grows_until_it_would_open_one_overrules_that() {
    check(
        "10:00 s-1 9
         10:01 do dismiss fire#1 by=ana reason=false_alarm
         10:02 s-2 4
         10:05 s-2 6",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:01 dismissed fire#1 severe as false_alarm by ana
            10:02 updated fire#1 severe 2 sensors: s-2 4 449 m
            10:05 reopened fire#1 severe 2 sensors: s-2 6
        "#]],
    );
    // It had begun elsewhere before.
    check(
        "10:00 s-1 9
         10:00:30 s-3 4
         10:01 do dismiss fire#1 by=ana reason=false_alarm
         10:02 s-2 3.5
         10:05 s-3 6",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:01 dismissed fire#1 severe as false_alarm by ana
            10:02 updated fire#1 severe 3 sensors: s-3 4, s-2 3.5 449 m
            10:05 reopened fire#1 severe 3 sensors: s-3 6
        "#]],
    );
    // It was there when it was dismissed, and who dismissed it knew of it.
    check(
        "10:00 s-1 9
         10:00:10 s-2 4
         10:01 do dismiss fire#1 by=ana reason=false_alarm
         10:05 s-2 6
         10:06 s-2 1
         10:07 s-2 6",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:00:10 updated fire#1 severe 2 sensors: s-2 4 449 m
            10:01 dismissed fire#1 severe 2 sensors as false_alarm by ana
            10:05 updated fire#1 severe 2 sensors: s-2 6
            10:07 updated fire#1 severe 2 sensors: s-2 6
        "#]],
    );
}

#[test]
fn inv_20_who_calls_again_overrules_no_dismissal_and_who_calls_first_does() {
    check(
        "10:00 centre 1 kind=call at=0,0 caller=abc
         10:01 do dismiss fire#1 by=ana reason=false_alarm
         10:02 centre 1 kind=call at=0,0 caller=abc
         10:03 centre 1 kind=call at=0,0 caller=def",
        expect![[r#"
            10:00 opened fire#1 minor: centre 1
            10:01 dismissed fire#1 minor as false_alarm by ana
            10:02 updated fire#1 minor: centre 1
            10:03 reopened fire#1 minor 2 sensors: centre 1
        "#]],
    );
}

#[test]
fn inv_20_a_person_s_word_that_something_is_there_overrules_a_dismissal() {
    check(
        "10:00 s-1 9
         10:01 do dismiss fire#1 by=ana reason=false_alarm
         10:02 open fire severity=moderate at=300,0 by=ben note=the-warehouse
         10:03 do dismiss fire#1 by=ana reason=false_alarm
         10:04 do report fire#1 severity=minor by=ben note=smoke
         10:08 tick",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:01 dismissed fire#1 severe as false_alarm by ana
            10:02 reopened fire#1 severe 2 sensors by ben "the-warehouse": a report 299 m
            10:03 dismissed fire#1 severe 2 sensors as false_alarm by ana
            10:04 reopened fire#1 severe 3 sensors by ben "smoke": a report
            10:07 escalated fire#1 severe 3 sensors to shift_supervisor
        "#]],
    );
}

#[test]
fn what_a_person_opens_beside_a_shelved_incident_ends_its_shelf() {
    // What he reports about one that he knows does not, unless that is graver.
    check(
        "10:00 s-1 9
         10:01 shelve incident=fire#1 for=120 by=ana reason=known
         10:02 do report fire#1 severity=minor by=ana
         10:03 open fire severity=moderate at=300,0 by=ben
         10:07 tick",
        expect![[r#"
            10:00 opened fire#1 severe: s-1 9
            10:01 suppression_started quiet#1 fire#1 shelved until 12:01 for known of ana by ana
            10:01 shelved fire#1 severe by ana
            10:02 updated fire#1 severe 2 sensors by ana: a report
            10:03 updated fire#1 severe 3 sensors by ben: a report 299 m
            10:03 suppression_ended quiet#1 fire#1: reported
            10:06 escalated fire#1 severe 3 sensors to shift_supervisor
        "#]],
    );
    check(
        "10:00 s-1 6
         10:01 shelve incident=fire#1 for=120 by=ana reason=known
         10:02 do report fire#1 severity=severe by=ben
         10:03 tick",
        expect![[r#"
            10:00 opened fire#1 moderate: s-1 6
            10:01 suppression_started quiet#1 fire#1 shelved until 12:01 for known of ana by ana
            10:01 shelved fire#1 moderate by ana
            10:02 updated fire#1 severe 2 sensors by ben: a report
            10:02 suppression_ended quiet#1 fire#1: graver
        "#]],
    );
}

#[test]
fn inv_16_an_incident_is_shelved_no_more_when_evidence_makes_it_graver() {
    check(
        "10:00 s-1 6
         10:01 shelve incident=fire#1 for=120 by=ana reason=the-kitchen
         10:05 s-2 6
         10:10 s-2 9
         10:14 tick",
        expect![[r#"
            10:00 opened fire#1 moderate: s-1 6
            10:01 suppression_started quiet#1 fire#1 shelved until 12:01 for the-kitchen of ana by ana
            10:01 shelved fire#1 moderate by ana
            10:05 updated fire#1 moderate 2 sensors: s-2 6 449 m
            10:10 updated fire#1 severe 2 sensors: s-2 9
            10:10 suppression_ended quiet#1 fire#1: graver
            10:13 escalated fire#1 severe 2 sensors to shift_supervisor
        "#]],
    );
    // Whoever rates what he has shelved knows it.
    check(
        "10:00 s-1 6
         10:01 shelve incident=fire#1 for=120 by=ana reason=the-kitchen
         10:05 do rate fire#1 by=ana severity=severe
         10:14 s-2 9
         10:15 tick",
        expect![[r#"
            10:00 opened fire#1 moderate: s-1 6
            10:01 suppression_started quiet#1 fire#1 shelved until 12:01 for the-kitchen of ana by ana
            10:01 shelved fire#1 moderate by ana
            10:05 rated fire#1 severe by ana
            10:14 updated fire#1 severe 2 sensors: s-2 9 449 m
        "#]],
    );
}
