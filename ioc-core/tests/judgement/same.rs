//! What belongs together by its cause, the gateway, the credential or the command behind it, and
//! not by its place; and what belongs apart although it is near, because it is about something else.

use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::Bundle;
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::{check_reloading, check_with};

/// Signal controllers 3 km apart. The fifth and the sixth are registered behind one gateway.
fn signals(gateway: &str) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new();
    for number in 1..=6 {
        builder = builder.sensor_with(&format!("sg-{number}"), "plan", |sensor| {
            sensor.position = Some(metres(number * 3_000, 0));
            sensor.gateway = (number > 4).then(|| gateway.parse().unwrap());
        });
    }
    builder
        .report("plan-forced", "plan", Severe, Millis::minutes(1))
        .matching("origin", "remote")
        .correlation("tampering", "tampering", &["plan-forced"], |rule| {
            rule.within_m = 0;
            rule.same = ["command", "credential", "gateway"]
                .map(str::to_owned)
                .into();
            rule.within = Millis::minutes(1);
            rule.sources_min = 3;
        })
        .build()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    check_with(&signals("gw-1"), timeline, &expected);
}

#[test]
fn s6_controllers_that_one_credential_changes_are_one_whatever_lies_between_them() {
    check(
        "03:00:01 sg-1 4 origin=remote credential=ops-7
         03:00:02 sg-3 4 origin=remote credential=ops-7
         03:00:04 sg-2 4 origin=remote credential=ops-7
         03:00:06 sg-4 4 origin=remote credential=ops-9",
        expect![[r#"
            03:00:04 opened tampering#1 severe 3 sensors: sg-1 4, sg-3 4 by ops-7, sg-2 4 by ops-7
        "#]],
    );
}

#[test]
fn s6_an_adaptive_plan_at_rush_hour_is_none() {
    check(
        "08:00:01 sg-1 4 origin=adaptive credential=tms
         08:00:02 sg-2 4 origin=adaptive credential=tms
         08:00:03 sg-3 4 origin=adaptive credential=tms
         08:00:04 sg-4 4 origin=adaptive credential=tms",
        expect![[r#""#]],
    );
}

#[test]
fn causes_that_differ_and_texts_that_are_no_names_join_nothing() {
    check(
        "03:00:01 sg-1 4 origin=remote credential=a
         03:00:02 sg-2 4 origin=remote credential=b
         03:00:03 sg-3 4 origin=remote credential=c
         03:00:04 sg-3 4 origin=remote command=/
         03:00:05 sg-2 4 origin=remote command=/
         03:00:06 sg-1 4 origin=remote command=/
         03:00:07 sg-1 4 origin=remote
         03:00:08 sg-2 4 origin=remote
         03:00:09 sg-3 4 origin=remote",
        expect![[r#""#]],
    );
}

#[test]
fn who_shares_two_causes_makes_one_of_both() {
    check(
        "03:00:01 sg-1 4 origin=remote credential=a
         03:00:02 sg-2 4 origin=remote credential=a
         03:00:03 sg-3 4 origin=remote credential=a
         03:00:04 sg-4 4 origin=remote command=c-17
         03:00:05 sg-5 4 origin=remote command=c-17
         03:00:06 sg-6 4 origin=remote command=c-17
         03:00:07 sg-1 4 origin=remote command=c-17 credential=a",
        expect![[r#"
            03:00:03 opened tampering#1 severe 3 sensors: sg-1 4, sg-2 4 by a, sg-3 4 by a
            03:00:06 opened tampering#2 severe 3 sensors: sg-4 4, sg-5 4 by c-17, sg-6 4 by c-17
            03:00:07 merged tampering#2 into tampering#1
            03:00:07 updated tampering#1 severe 7 sensors: sg-1 4 by c-17
        "#]],
    );
}

#[test]
fn the_gateway_is_the_one_that_is_registered_unless_the_reading_says_another() {
    check(
        "03:00:01 sg-5 4 origin=remote
         03:00:02 sg-6 4 origin=remote
         03:00:03 sg-1 4 origin=remote
         03:00:04 sg-2 4 origin=remote gateway=gw-1
         03:00:30 sg-5 4 origin=remote gateway=gw-8",
        expect![[r#"
            03:00:04 opened tampering#1 severe 3 sensors: sg-5 4, sg-6 4 by gw-1, sg-2 4 by gw-1
        "#]],
    );
}

#[test]
fn another_city_registers_another_gateway_for_what_comes_from_then_on() {
    check_reloading(
        &[("first", &signals("gw-1")), ("other", &signals("gw-2"))],
        "03:00:01 sg-5 4 origin=remote
         03:00:02 sg-6 4 origin=remote
         03:00:03 sg-1 4 origin=remote gateway=gw-1
         03:00:04 reload other
         03:00:05 sg-5 4 origin=remote
         03:00:06 sg-1 4 origin=remote gateway=gw-1",
        &expect![[r#"
            03:00:03 opened tampering#1 severe 3 sensors: sg-5 4, sg-6 4 by gw-1, sg-1 4 by gw-1
            03:00:04 rules_changed
            03:00:06 updated tampering#1 severe 4 sensors: sg-1 4 by gw-1
        "#]],
    );
}

/// Warnings of other agencies; rain, which says nothing of what it is about, goes with any of them.
fn warnings() -> Arc<Bundle> {
    BundleBuilder::new()
        .sensor("rain", "rain", metres(1_000, 0))
        .threshold("rain-heavy", "rain", &[(Moderate, 5.0)], |_| ())
        .report("warned", "warning", Severe, Millis::minutes(60))
        .replacing(&["warned"])
        .correlation("warning", "warning", &["rain-heavy", "warned"], |rule| {
            rule.within_m = 30_000;
            rule.group_by = vec!["event".to_owned()];
        })
        .build()
}

#[test]
fn a_tsunami_is_no_heat_although_both_are_warned_of_in_one_place() {
    check_with(
        &warnings(),
        "06:00 met 3 kind=warning event=heat at=0,0
         06:05 ack warning#1 by=ana
         06:10 met 3 kind=warning event=tsunami at=100,0
         06:20 sea 3 kind=warning event=tsunami at=200,0
         06:30 met 3 kind=warning event=heat at=300,0
         06:40 met 3 kind=warning at=300,0",
        &expect![[r#"
            06:00 opened warning#1 severe: met 3
            06:05 acknowledged warning#1 severe by ana
            06:10 opened warning#2 severe: met 3
            06:20 updated warning#2 severe 2 sensors: sea 3 100 m
            06:30 updated warning#1 severe 2 sensors: met 3 299 m
            06:40 updated warning#1 severe 3 sensors: met 3
        "#]],
    );
}

#[test]
fn without_a_place_it_is_what_its_sender_says_of_the_same() {
    check_with(
        &warnings(),
        "06:00 met 3 kind=warning event=heat
         06:10 met 3 kind=warning event=tsunami
         06:20 sea 3 kind=warning event=tsunami
         06:30 met 3 kind=warning event=heat
         06:40 met 3 kind=warning event=tsunami",
        &expect![[r#"
            06:00 opened warning#1 severe: met 3
            06:10 opened warning#2 severe: met 3
            06:20 opened warning#3 severe: sea 3
            06:30 updated warning#1 severe 2 sensors: met 3
            06:40 updated warning#2 severe 2 sensors: met 3
        "#]],
    );
}

#[test]
fn an_update_may_be_about_another_and_who_says_nothing_makes_no_two_one() {
    check_with(
        &warnings(),
        "06:00 met 3 kind=warning event=rain id=a/0 at=0,0
         06:05 rain 9
         06:10 sea 3 kind=warning event=surge at=2000,0
         06:20 rain 9
         06:30 met 3 kind=warning event=flood id=b/0 replaces=a at=500,0
         06:40 sea 3 kind=warning event=flood at=600,0",
        &expect![[r#"
            06:00 opened warning#1 severe: met 3
            06:05 updated warning#1 severe 2 sensors: rain 9 999 m
            06:10 opened warning#2 severe: sea 3
            06:20 updated warning#1 severe 2 sensors: rain 9
            06:30 updated warning#1 severe 3 sensors: met 3
            06:40 updated warning#1 severe 4 sensors: sea 3 100 m
        "#]],
    );
}

#[test]
fn what_a_person_makes_one_is_one_and_takes_more_of_both() {
    check_with(
        &warnings(),
        "06:00 met 3 kind=warning event=heat at=0,0
         06:10 met 3 kind=warning event=drought at=100,0
         06:15 do merge warning#2 by=ana other=warning#1
         06:20 met 3 kind=warning event=drought at=200,0
         06:30 met 3 kind=warning event=heat at=300,0
         06:40 met 3 kind=warning event=wind at=300,0",
        &expect![[r#"
            06:00 opened warning#1 severe: met 3
            06:10 opened warning#2 severe: met 3
            06:15 merged warning#2 into warning#1 by ana
            06:15 updated warning#1 severe 2 sensors by ana
            06:20 updated warning#1 severe 3 sensors: met 3 100 m
            06:30 updated warning#1 severe 4 sensors: met 3 100 m
            06:40 opened warning#3 severe: met 3
        "#]],
    );
}

#[test]
fn who_says_a_part_of_what_tells_groups_apart_makes_no_two_one() {
    let bundle = BundleBuilder::new()
        .report("warned", "warning", Severe, Millis::minutes(60))
        .correlation("warning", "warning", &["warned"], |rule| {
            rule.within_m = 30_000;
            rule.group_by = vec!["agency".to_owned(), "event".to_owned()];
        })
        .correlation("told", "told", &["warned"], |rule| {
            rule.within_m = 30_000;
            rule.group_by = vec!["agency".to_owned()];
        })
        .build();
    check_with(
        &bundle,
        "06:00 a 3 kind=warning event=heat agency=met at=0,0
         06:10 b 3 kind=warning event=heat agency=civil at=100,0
         06:20 c 3 kind=warning event=heat at=50,0
         06:30 d 3 kind=warning event=wind agency=met at=50,0
         06:40 e 3 kind=warning event=wind
         06:50 e 3 kind=warning event=wind",
        &expect![[r#"
            06:00 opened told#1 severe: a 3
            06:00 opened warning#1 severe: a 3
            06:10 opened told#2 severe: b 3
            06:10 opened warning#2 severe: b 3
            06:20 updated told#1 severe 2 sensors: c 3 50 m
            06:20 updated warning#1 severe 2 sensors: c 3 50 m
            06:30 updated told#1 severe 3 sensors: d 3
            06:30 opened warning#3 severe: d 3
            06:40 opened told#3 severe: e 3
            06:40 opened warning#4 severe: e 3
            06:50 updated told#3 severe 2 sensors: e 3
            06:50 updated warning#4 severe 2 sensors: e 3
        "#]],
    );
}

#[test]
fn what_a_report_has_replaced_makes_no_two_groups_one_later() {
    check_with(
        &warnings(),
        "06:00 met 3 kind=warning event=heat id=a/0 at=0,0
         06:05 sea 3 kind=warning event=heat at=100,0
         06:10 met 3 kind=warning event=flood id=b/0 replaces=a at=200,0
         06:20 sea 3 kind=warning event=flood at=40000,0
         06:30 sea 3 kind=warning event=flood at=20000,0",
        &expect![[r#"
            06:00 opened warning#1 severe: met 3
            06:05 updated warning#1 severe 2 sensors: sea 3 100 m
            06:10 updated warning#1 severe 3 sensors: met 3
            06:20 opened warning#2 severe: sea 3
            06:30 updated warning#1 severe 4 sensors: sea 3 19770 m
        "#]],
    );
}
