//! Who reports: whoever calls three times is one source.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{BY_SENSOR, Bundle};
use ioc_core::decision::Severity::Moderate;
use ioc_core::time::Millis;

use crate::support::BundleBuilder;
use crate::timeline::{check_reloading, check_with};

/// Three callers are a crowd; it is known of each who calls, if the call centre says so.
fn city(distinct: Option<&str>) -> Arc<Bundle> {
    let builder = BundleBuilder::new().report("called", "call", Moderate, Millis::minutes(30));
    let builder = match distinct {
        Some(attribute) => builder.distinct(&["called"], attribute),
        None => builder,
    };
    let builder = builder.correlation("crowd", "crowd", &["called"], |rule| {
        rule.within_m = 500;
        rule.within = Millis::minutes(60);
        rule.sources_min = 3;
    });
    builder.handling(|rules| rules.overruled_by = 1).build()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    check_with(&city(Some("caller")), timeline, &expected);
}

#[test]
fn ushahidi_1839_the_same_caller_three_times_is_one_source() {
    let thrice = "10:00 centre 1 kind=call at=0,0 caller=abc
         10:01 centre 1 kind=call at=10,0 caller=abc
         10:02 other-centre 1 kind=call at=20,0 caller=abc";
    check(thrice, expect![[r#""#]]);
    check(
        &format!(
            "{thrice}\n10:03 centre 1 kind=call at=0,0 caller=def\n10:04 centre 1 kind=call at=0,0"
        ),
        expect![[r#"
            10:04 opened crowd#1 moderate 3 sensors: centre 1, centre 1 10 m, other-centre 1 10 m, centre 1, centre 1
        "#]],
    );
}

#[test]
fn whoever_does_not_say_who_he_is_counts_by_himself() {
    check(
        "10:00 centre 1 kind=call at=0,0
         10:01 centre 1 kind=call at=0,0
         10:02 centre 1 kind=call at=0,0",
        expect![[r#"
            10:02 opened crowd#1 moderate 3 sensors: centre 1, centre 1, centre 1
        "#]],
    );
}

#[test]
fn a_caller_counts_for_as_long_as_his_last_call_does() {
    check(
        "10:00 centre 1 kind=call at=0,0 caller=abc
         10:29 centre 1 kind=call at=0,0 caller=abc
         10:31 centre 1 kind=call at=0,0 caller=def
         10:58 centre 1 kind=call at=0,0 caller=ghi
         12:00 tick",
        expect![[r#"
            10:58 opened crowd#1 moderate 3 sensors: centre 1, centre 1, centre 1
            11:38 cleared crowd#1 moderate 3 sensors
        "#]],
    );
}

#[test]
fn one_caller_in_two_places_is_one_source_where_they_become_one() {
    check(
        "10:00 centre 1 kind=call at=0,0 caller=abc
         10:01 centre 1 kind=call at=900,0 caller=abc
         10:02 centre 1 kind=call at=900,0 caller=def
         10:03 centre 1 kind=call at=450,0 caller=abc
         10:04 centre 1 kind=call at=450,0 caller=ghi",
        expect![[r#"
            10:04 opened crowd#1 moderate 3 sensors: centre 1, centre 1, centre 1, centre 1 449 m, centre 1
        "#]],
    );
}

#[test]
fn inv_20_a_dismissed_incident_comes_back_by_another_caller_and_not_by_the_same() {
    check(
        "10:00 centre 1 kind=call at=0,0 caller=abc
         10:01 centre 1 kind=call at=0,0 caller=def
         10:02 centre 1 kind=call at=0,0 caller=ghi
         10:03 do dismiss crowd#1 by=ana reason=false_alarm
         10:04 centre 1 kind=call at=0,0 caller=abc
         10:05 centre 1 kind=call at=0,0 caller=jkl",
        expect![[r#"
            10:02 opened crowd#1 moderate 3 sensors: centre 1, centre 1, centre 1
            10:03 dismissed crowd#1 moderate 3 sensors as false_alarm by ana
            10:04 updated crowd#1 moderate 3 sensors: centre 1
            10:05 reopened crowd#1 moderate 4 sensors: centre 1
        "#]],
    );
}

#[test]
fn a_network_that_reports_again_agrees_with_nobody() {
    check_with(
        &city(Some(BY_SENSOR)),
        "10:00 net-a 1 kind=call at=0,0
         10:01 net-a 1 kind=call at=0,0
         10:02 net-a 1 kind=call at=0,0
         10:03 net-b 1 kind=call at=0,0
         10:04 net-c 1 kind=call at=0,0",
        &expect![[r#"
            10:04 opened crowd#1 moderate 3 sensors: net-a 1, net-a 1, net-a 1, net-b 1, net-c 1
        "#]],
    );
}

#[test]
fn who_called_before_a_rule_asked_counts_by_each_call() {
    check_reloading(
        &[("first", &city(None)), ("second", &city(Some("caller")))],
        "10:00 centre 1 kind=call at=0,0 caller=abc
         10:01 reload second
         10:02 centre 1 kind=call at=0,0 caller=abc
         10:03 centre 1 kind=call at=0,0 caller=abc
         10:04 centre 1 kind=call at=0,0 caller=def",
        &expect![[r#"
            10:01 rules_changed
            10:04 opened crowd#1 moderate 3 sensors: centre 1, centre 1, centre 1, centre 1
        "#]],
    );
}

/// The same; what somebody has only heard of weighs nothing.
fn with_rumours(overruled_by: u32) -> Arc<Bundle> {
    let reports = ["called", "heard-of"];
    BundleBuilder::new()
        .report("called", "call", Moderate, Millis::minutes(30))
        .report("heard-of", "rumour", Moderate, Millis::minutes(30))
        .distinct(&reports, "caller")
        .correlation("crowd", "crowd", &reports, |rule| {
            rule.within_m = 500;
            rule.within = Millis::minutes(60);
            rule.weights = vec![1, 0];
            rule.sources_min = 3;
        })
        .handling(|rules| rules.overruled_by = overruled_by)
        .build()
}

/// A crowd of three callers that is dismissed.
const DISMISSED: &str = "10:00 centre 1 kind=call at=0,0 caller=ana
     10:00 centre 1 kind=call at=0,0 caller=ben
     10:00 centre 1 kind=call at=0,0 caller=cem
     10:01 do dismiss crowd#1 by=op request=1 reason=not_ours
";

#[test]
fn inv_20_two_rumours_of_one_caller_hide_nobody_else() {
    // Who has heard of something twice, somewhere else, is one source that weighs nothing. It becomes part of
    // what was dismissed by the first further caller, and the second overrules that.
    check_with(
        &with_rumours(2),
        &format!(
            "{DISMISSED}10:02 centre 1 kind=rumour at=900,0 caller=dan
             10:03 centre 1 kind=rumour at=900,0 caller=dan
             10:04 centre 1 kind=call at=450,0 caller=eve
             10:05 centre 1 kind=call at=450,0 caller=fay"
        ),
        &expect![[r#"
            10:00 opened crowd#1 moderate 3 sensors: centre 1, centre 1, centre 1
            10:01 dismissed crowd#1 moderate 3 sensors as not_ours by op
            10:04 updated crowd#1 moderate 5 sensors: centre 1, centre 1, centre 1 449 m
            10:05 reopened crowd#1 moderate 6 sensors: centre 1
        "#]],
    );
}

#[test]
fn inv_20_who_calls_again_and_has_seen_it_by_now_overrules_a_dismissal() {
    // Two have heard of something first. Each of them counts when he weighs something, and counts once.
    check_with(
        &with_rumours(2),
        &format!(
            "{DISMISSED}10:02 centre 1 kind=rumour at=0,0 caller=dan
             10:03 centre 1 kind=rumour at=0,0 caller=eve
             10:04 centre 1 kind=call at=0,0 caller=ana
             10:05 centre 1 kind=call at=0,0 caller=dan
             10:06 centre 1 kind=call at=0,0 caller=dan
             10:07 centre 1 kind=call at=0,0 caller=eve"
        ),
        &expect![[r#"
            10:00 opened crowd#1 moderate 3 sensors: centre 1, centre 1, centre 1
            10:01 dismissed crowd#1 moderate 3 sensors as not_ours by op
            10:02 updated crowd#1 moderate 4 sensors: centre 1
            10:03 updated crowd#1 moderate 5 sensors: centre 1
            10:04 updated crowd#1 moderate 5 sensors: centre 1
            10:05 updated crowd#1 moderate 5 sensors: centre 1
            10:06 updated crowd#1 moderate 5 sensors: centre 1
            10:07 reopened crowd#1 moderate 5 sensors: centre 1
        "#]],
    );
}

#[test]
fn inv_20_who_has_said_something_is_a_further_source_also_when_that_counts_no_more() {
    // Three callers made a crowd by themselves, and a fourth is heard still when they are not: a person takes
    // it to be the one that was dismissed.
    check_with(
        &with_rumours(3),
        "10:00 hospital 1 kind=call at=2000,0 caller=dan
         10:00 hospital 1 kind=call at=2000,0 caller=eve
         10:00 hospital 1 kind=call at=2000,0 caller=fay
         10:28 centre 1 kind=call at=2000,0 caller=gus
         10:29 centre 1 kind=call at=0,0 caller=ana
         10:29 centre 1 kind=call at=0,0 caller=ben
         10:29 centre 1 kind=call at=0,0 caller=cem
         10:30 do dismiss crowd#2 by=op request=1 reason=not_ours
         10:31 do move crowd#1 other=crowd#2 by=op request=2 sources=hospital",
        &expect![[r#"
            10:00 opened crowd#1 moderate 3 sensors: hospital 1, hospital 1, hospital 1
            10:28 updated crowd#1 moderate 4 sensors: centre 1
            10:29 opened crowd#2 moderate 3 sensors: centre 1, centre 1, centre 1
            10:30 dismissed crowd#2 moderate 3 sensors as not_ours by op
            10:31 evidence_moved crowd#2 moderate 6 sensors from crowd#1: hospital/line-1, hospital/line-2, hospital/line-3 by op
            10:31 updated crowd#1 moderate by op
            10:31 reopened crowd#2 moderate 6 sensors by op
        "#]],
    );
}
