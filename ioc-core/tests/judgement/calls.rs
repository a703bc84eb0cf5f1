//! Stories of who is called: by what stays when its cause is over, and once for it (INV-15).

use std::sync::Arc;

use expect_test::expect;
use ioc_core::bundle::{Along, Bundle, Effect, FaultSign, Impossible, Lag, Side};
use ioc_core::decision::Severity::{Extreme, Moderate, Severe};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::calls;

/// A station that nobody measures feeds two substations, these a feeder each, and those lamps: the first
/// so many. An outage may cause a fire, which is no symptom, and stops pumps, which is one; a fire may
/// cause a jam.
fn city(lamps: i32) -> Arc<Bundle> {
    city_with(lamps, |builder| builder)
}

/// The same, with more rules.
fn city_with(lamps: i32, more: impl FnOnce(BundleBuilder) -> BundleBuilder) -> Arc<Bundle> {
    let effect = |incident: &str, symptom| Effect {
        incident: incident.parse().unwrap(),
        within_m: 5_000,
        along: Along::default(),
        lag: Lag::AfterLast(Millis::minutes(60)),
        before: Millis::minutes(5),
        symptom,
    };
    let mut builder = BundleBuilder::new()
        .sensor("substation", "power", metres(0, 0))
        .sensor("second", "power", metres(300, 0))
        .sensor("feeder-1", "power", metres(1_000, 0))
        .sensor("feeder-2", "power", metres(0, 2_000))
        .sensor("far-lamp", "lamp", metres(0, 4_000))
        .fed_by("feeder-1", "substation")
        .fed_by("feeder-2", "second")
        .fed_by("far-lamp", "feeder-2")
        .fed_by("substation", "station")
        .fed_by("second", "station")
        .node("station", |_| ())
        .sensor("away", "power", metres(9_000, 0));
    for lamp in 0..lamps {
        let id = format!("lamp-{lamp:02}");
        let place = metres(10_000 + lamp * 1_000, 0);
        builder = builder.sensor(&id, "lamp", place).fed_by(&id, "feeder-1");
    }
    let builder = builder
        .threshold("no-power", "power", &[(Severe, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .threshold("dark", "lamp", &[(Moderate, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .threshold("hot", "heat", &[(Moderate, 1.0), (Extreme, 3.0)], |_| ())
        .threshold("stands", "pump", &[(Moderate, 1.0), (Extreme, 3.0)], |_| ())
        .threshold("slow", "speed", &[(Moderate, 1.0)], |_| ())
        .correlation("outages", "outage", &["no-power", "dark"], |rule| {
            rule.within_m = 500;
            rule.within = Millis::minutes(90);
            rule.weights = vec![3, 1];
            rule.sources_min = 3;
            rule.along = Along {
                fed_by: true,
                nested_after: Some(Millis::minutes(10)),
                ..Along::default()
            };
            rule.may_cause = vec![effect("fire", false), effect("pump_failure", true)];
        })
        .correlation("fires", "fire", &["hot"], |rule| {
            rule.within_m = 50;
            rule.may_cause = vec![effect("jam", false)];
        })
        .correlation("jams", "jam", &["slow"], |rule| {
            rule.within_m = 50;
        })
        .correlation("pumps", "pump_failure", &["stands"], |rule| {
            rule.within_m = 50;
        });
    more(builder).build()
}

#[test]
fn a_cause_whose_sensors_nobody_believes_any_more_stands_for_nothing() {
    // What the only meter says cannot be: the fire that nobody was called for is news, and so is the pump
    // that stands from then on, and both pumps when people who were at work there know no more of it. The
    // meter that is well again stands for what comes then.
    let impossible = FaultSign::Impossible(Impossible {
        below: Some(-10.0),
        above: None,
        readings_min: 1,
        clear_readings_min: 3,
    });
    let city = city_with(0, |builder| builder.fault("meter-cut", "power", impossible));
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        10:10 unknown outage#1 severe: substation -99
        10:11 opened pump_failure#1 moderate caused by outage#1: pump-2 1.5
        10:12 opened fire#2 moderate caused by outage#1: oven 1.5
        10:20:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
        10:20:00.001 unsuppressed pump_failure#2 moderate caused by outage#1
    "#]]
    .assert_eq(&calls(
        &city,
        "10:00 substation 0
         10:02 stove 1.5 kind=heat at=2000,0
         10:10 substation -99
         10:11 pump-2 1.5 kind=pump at=3000,0
         10:12 oven 1.5 kind=heat at=2500,0
         10:15 do confirm outage#1 by=ben request=1
         10:16 pump-3 1.5 kind=pump at=3500,0
         10:20 do undo outage#1 by=ben request=2
         10:30-10:35/1 substation 0
         10:36 pump-4 1.5 kind=pump at=4500,0
         10:37 tick",
    ));
}

#[test]
fn a_cause_that_nobody_believes_stands_for_nothing() {
    // A rumour of an outage: the fire and the pump call by themselves. When people are at work at the
    // outage it stands for its effects.
    let expected = expect![[r#"
        10:00 opened outage#1 severe by ana: a report
        10:05 opened fire#1 moderate caused by outage#1: stove 1.5
        10:06 opened pump_failure#1 moderate caused by outage#1: pump 1.5
    "#]];
    expected.assert_eq(&calls(
        &city(0),
        "10:00 open outage by=ana request=1 severity=severe certainty=unlikely at=0,0
         10:05 stove 1.5 kind=heat at=2000,0
         10:06 pump 1.5 kind=pump at=3000,0
         10:20 do confirm outage#1 by=ben request=2
         10:21 oven 1.5 kind=heat at=2500,0
         10:22 tick",
    ));
}

#[test]
fn inv_15_what_stays_dark_calls_when_it_parts_while_another_block_is_dark_still() {
    // Restored in blocks: the second substation is dead for hours more, and the outage lasts.
    let told = calls(
        &city(1),
        "10:00 substation 0
         10:00 second 0
         10:00 feeder-1 0
         10:00 feeder-2 0
         10:01 lamp-00 0
         10:01 far-lamp 0
         11:00 substation 1
         11:00 feeder-1 1
         15:00 second 1
         15:00 feeder-2 1
         15:01 far-lamp 1
         15:30 tick",
    );
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        11:10 opened outage#2 moderate caused by outage#1
    "#]]
    .assert_eq(&told);
}

#[test]
fn what_parts_together_is_one_call_and_what_parts_of_another_block_another() {
    let mut timeline = String::from(
        "10:00 substation 0
         10:00 second 0
         10:00 feeder-1 0
         10:00 feeder-2 0
         10:01 far-lamp 0
         11:00 substation 1
         11:00 feeder-1 1
         12:00 second 1
         12:00 feeder-2 1
         13:00 tick\n",
    );
    for lamp in 0..80 {
        timeline += &format!("10:01 lamp-{lamp:02} 0\n");
    }
    // 80 lamps part in three steps, a millisecond each; nobody is called when the outage is over either:
    // he knows of them.
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        11:10 opened outage#2 moderate caused by outage#1
        12:10 opened outage#82 moderate caused by outage#1
    "#]]
    .assert_eq(&calls(&city(80), &timeline));
}

#[test]
fn inv_15_what_its_cause_does_not_explain_calls_once_when_that_is_over() {
    // Two fires and a pump. The pump is a symptom and calls by itself; the first fire is seen, and who
    // saw that knows of the jam that it has caused.
    let told = calls(
        &city(0),
        "10:00 substation 0
         10:05 house-1 1.5 kind=heat at=500,0
         10:05 house-2 1.5 kind=heat at=0,500
         10:05 house-3 1.5 kind=heat at=0,900
         10:06 road-1 1.5 kind=speed at=600,0
         10:07 pump-1 1.5 kind=pump at=1500,0
         10:20 ack fire#1 by=ana request=1
         11:00 substation 1
         11:30 tick",
    );
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        11:10 cleared outage#1 severe
        11:10:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
    "#]]
    .assert_eq(&told);
}

#[test]
fn what_a_person_dismisses_and_what_a_person_unlinks_leave_what_they_caused_to_be_told() {
    let told = calls(
        &city(0),
        "10:00 substation 0
         10:05 house-1 1.5 kind=heat at=500,0
         10:06 house-2 1.5 kind=heat at=0,500
         10:10 do link fire#1 by=ana request=1
         10:20 do dismiss outage#1 by=ana request=2 reason=test
         11:00 substation 1
         11:30 tick",
    );
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        10:10 linked fire#1 moderate by ana
        10:20 dismissed outage#1 severe as test by ana
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_symptom_that_becomes_graver_than_its_cause_calls_once() {
    let told = calls(
        &city(0),
        "10:00 substation 0
         10:05 pump-1 1.5 kind=pump at=1500,0
         10:10 pump-1 3.5 kind=pump at=1500,0",
    );
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        10:10 unsuppressed pump_failure#1 extreme caused by outage#1
        10:10 updated outage#1 extreme
    "#]]
    .assert_eq(&told);
}

#[test]
fn who_merges_a_cause_with_another_is_called_for_its_effects_when_both_are_over() {
    let told = calls(
        &city(0),
        "10:00 substation 0
         10:00 away 0
         10:05 house-1 1.5 kind=heat at=9500,0
         10:10 do merge outage#1 other=outage#2 by=ana request=1
         11:00 substation 1
         11:00 away 1
         11:30 tick",
    );
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        10:00 opened outage#2 severe: away 0
        11:10 cleared outage#2 severe 2 sensors
    "#]]
    .assert_eq(&told);
}

#[test]
fn who_wants_a_cause_quiet_has_not_heard_of_what_it_causes_then() {
    // What is shelved is told again when its time is over and nobody has seen it (INV-16).
    let told = calls(
        &city(0),
        "10:00 substation 0
         10:05 house-1 1.5 kind=heat at=500,0
         10:10 shelve incident=outage#1 for=30 by=ana reason=known
         10:15 house-2 1.5 kind=heat at=0,500
         10:50 tick",
    );
    expect![[r#"
        10:00 opened outage#1 severe: substation 0
        10:10 shelved outage#1 severe by ana
        10:15 opened fire#2 moderate caused by outage#1: house-2 1.5
        10:40 unshelved outage#1 severe
    "#]]
    .assert_eq(&told);
}
