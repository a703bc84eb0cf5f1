//! Stories of causes along networks: what a dead feeder stops, what a burst main drains, what a
//! blocked stop fills, over several levels.

use std::fmt::Write;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Along, CorrelationRule, Effect, Flow, Lag, Stop};
use ioc_core::decision::Severity::{Extreme, Moderate, Severe};
use ioc_core::limits::{CHILDREN_COMPARED_MAX, CHILDREN_PER_STEP, REACH_MEMBERS_MAX};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::{check_reloading, check_with, run};

/// What comes along networks within half an hour, and may be noticed five minutes early.
fn effect(incident: &str, along: Along) -> Effect {
    Effect {
        incident: incident.parse().unwrap(),
        within_m: 0,
        along,
        lag: Lag::AfterLast(Millis::minutes(30)),
        before: Millis::minutes(5),
        symptom: true,
    }
}

fn power() -> Along {
    Along {
        fed_by: true,
        ..Along::default()
    }
}

fn water() -> Along {
    Along {
        flows_to_percent: Some(150),
        ..Along::default()
    }
}

fn causes(rule: &mut CorrelationRule, effects: &[Effect]) {
    rule.may_cause = effects.to_vec();
    rule.within_m = 50;
}

/// A substation feeds feeders 1 and 2; feeder 1 feeds pump 1, which lies 9 km away, and feeder 2 pump
/// 2. Pump 1 pumps to `main-1`, ten minutes away, and that flows to `main-2`, ten more. All stand kilometres
/// apart.
fn city() -> BundleBuilder {
    let flows_to = |to: &str| {
        Some(Flow {
            to: to.parse().unwrap(),
            lag: Millis::minutes(10),
        })
    };
    BundleBuilder::new()
        .sensor("sub", "power", metres(0, 0))
        .sensor("feeder-1", "power", metres(1_000, 0))
        .sensor("feeder-2", "power", metres(2_000, 0))
        .sensor("pump-1", "pump", metres(9_000, 0))
        .sensor("pump-2", "pump", metres(9_040, 0))
        .sensor("main-1", "pressure", metres(20_000, 0))
        .sensor("main-2", "pressure", metres(30_000, 0))
        .sensor("main-9", "pressure", metres(25_000, 0))
        .sensor("lone", "pump", metres(1_020, 0))
        .node("sub", |_| ())
        .fed_by("feeder-1", "sub")
        .fed_by("feeder-2", "sub")
        .node("pump-1", |node| {
            node.fed_by = Some("feeder-1".parse().unwrap());
            node.flows_to = flows_to("main-1");
        })
        .fed_by("pump-2", "feeder-2")
        .node("main-1", |node| node.flows_to = flows_to("main-2"))
        .node("main-2", |_| ())
        .node("main-9", |node| node.flows_to = flows_to("main-2"))
}

/// A dead feeder explains pumps that stand, and those the pressure that is gone.
fn rules(city: BundleBuilder) -> BundleBuilder {
    let levels = [(Moderate, 1.0), (Severe, 2.0), (Extreme, 3.0)];
    city.threshold("dark", "power", &levels, |_| ())
        .threshold("stands", "pump", &levels, |_| ())
        .threshold("low", "pressure", &levels, |_| ())
        .correlation("outages", "outage", &["dark"], |rule| {
            rule.along.fed_by = true;
            causes(rule, &[effect("pump_failure", power())]);
        })
        .correlation("pumps", "pump_failure", &["stands"], |rule| {
            causes(rule, &[effect("low_pressure", water())]);
        })
        .correlation("mains", "low_pressure", &["low"], |rule| causes(rule, &[]))
        .handling(|rules| {
            rules.acknowledge_within = [None, None, Some(Millis::minutes(30)), None, None];
        })
}

fn check(timeline: &str, expected: &Expect) {
    check_with(&rules(city()).build(), timeline, expected);
}

#[test]
fn inv_15_one_cause_is_told_over_two_networks_and_each_level_is_judged_again_by_itself() {
    // The feeder is back at 11:00 and the pump is not: that is news. When the pump runs again, what
    // has no pressure still has another fault.
    check(
        "10:00 feeder-1 1.5
         10:02 pump-1 1.5
         10:12 main-1 1.5
         10:12 ack outage#1 by=ana request=1
         11:00 feeder-1 0
         11:15 ack pump_failure#1 by=ana request=2
         11:20 pump-1 0
         11:31 main-1 1.6",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:02 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:12 opened low_pressure#1 moderate suppressed caused by pump_failure#1: main-1 1.5
            10:12 acknowledged outage#1 moderate by ana
            11:10 cleared outage#1 moderate
            11:10:00.001 unsuppressed pump_failure#1 moderate caused by outage#1
            11:15 acknowledged pump_failure#1 moderate by ana
            11:30 cleared pump_failure#1 moderate
            11:30:00.001 unsuppressed low_pressure#1 moderate caused by pump_failure#1
            11:31 updated low_pressure#1 moderate: main-1 1.6
        "#]],
    );
}

#[test]
fn an_effect_begins_with_what_is_believed_of_it() {
    // The pump chattered before, and what it says belongs to the picture alone. What its feeder stops
    // begins with the pump beside it.
    let city = city()
        .sensor("pump-3", "pump", metres(9_020, 0))
        .fed_by("pump-3", "feeder-1");
    let doubting = rules(city).flapping("pump-flaps", "pump", 25, 10);
    let told = run(
        &[("first", &doubting.build())],
        "09:00-09:50/2 pump-1 0
         09:01-09:51/2 pump-1 1.5
         10:00 feeder-1 1.5
         10:02 pump-3 1.5",
    );
    let told = told.lines().filter(|line| line.starts_with("10:"));
    let told: Vec<_> = told.collect();
    expect![[r#"
        10:00 opened outage#1 moderate: feeder-1 1.5
        10:02 opened pump_failure#2 moderate 2 sensors suppressed caused by outage#1: pump-1 1.5, pump-3 1.5 20 m
    "#]].assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn what_hangs_on_another_feeder_has_another_cause_and_what_feeds_both_explains_both() {
    check(
        "10:00 feeder-1 1.5
         10:02 pump-2 1.5
         10:10 sub 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:02 opened pump_failure#1 moderate: pump-2 1.5
            10:10 updated outage#1 moderate 2 sensors: sub 1.5 by sub
            10:10 linked pump_failure#1 moderate suppressed caused by outage#1
        "#]],
    );
}

#[test]
fn what_is_noticed_before_its_cause_is_explained_when_that_opens() {
    check(
        "10:00 pump-1 1.5
         10:04 sub 1.5",
        &expect![[r#"
            10:00 opened pump_failure#1 moderate: pump-1 1.5
            10:04 opened outage#1 moderate: sub 1.5
            10:04 linked pump_failure#1 moderate suppressed caused by outage#1
        "#]],
    );
}

#[test]
fn what_a_cause_comes_to_be_about_explains_from_then_on() {
    // The pump on feeder 2 is told at 10:01; feeder 2 joins the outage at 10:03, by the substation.
    let joined = rules(city()).without_correlation("outages");
    let joined = joined.correlation("outages", "outage", &["dark"], |rule| {
        causes(rule, &[effect("pump_failure", power())]);
        rule.within_m = 3_000;
    });
    check_with(
        &joined.build(),
        "10:00 feeder-1 1.5
         10:01 pump-2 1.5
         10:03 feeder-2 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:01 opened pump_failure#1 moderate: pump-2 1.5
            10:03 updated outage#1 moderate 2 sensors: feeder-2 1.5 999 m
            10:03 linked pump_failure#1 moderate suppressed caused by outage#1
        "#]],
    );
}

#[test]
fn what_is_only_in_part_below_a_cause_is_an_alarm_of_its_own() {
    check(
        "10:00 pump-1 1.5
         10:00 pump-2 1.5
         10:04 feeder-1 1.5
         10:05 sub 1.5",
        &expect![[r#"
            10:00 opened pump_failure#1 moderate: pump-1 1.5
            10:00:00.250 updated pump_failure#1 moderate 2 sensors: pump-2 1.5 40 m
            10:04 opened outage#1 moderate: feeder-1 1.5
            10:05 updated outage#1 moderate 2 sensors: sub 1.5 by sub
            10:05 linked pump_failure#1 moderate 2 sensors suppressed caused by outage#1
        "#]],
    );
}

#[test]
fn what_grows_by_what_is_not_below_its_cause_is_an_alarm_of_its_own() {
    // The second pump hangs on a feeder that is well, and joins the first, which somebody has seen as
    // part of the outage. By the substation both are explained.
    check(
        "10:00 feeder-1 1.5
         10:01 pump-1 1.5
         10:01:30 ack pump_failure#1 by=ana request=1
         10:02 pump-2 1.5
         10:03 pump-1 1.6
         10:05 sub 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:01:30 acknowledged pump_failure#1 moderate suppressed by ana
            10:02 updated pump_failure#1 moderate 2 sensors suppressed: pump-2 1.5 40 m
            10:02 linked pump_failure#1 moderate 2 sensors
            10:02 unsuppressed pump_failure#1 moderate 2 sensors
            10:03 updated pump_failure#1 moderate 2 sensors: pump-1 1.6
            10:05 updated outage#1 moderate 2 sensors: sub 1.5 by sub
            10:05 linked pump_failure#1 moderate 2 sensors suppressed caused by outage#1
        "#]],
    );
}

#[test]
fn a_cause_is_less_grave_when_what_made_it_so_turns_out_to_have_another() {
    // The pump that made the outage extreme is found not to hang on it alone. What people were told is
    // not taken back at once.
    let rules = rules(city()).handling(|rules| rules.lowers = true);
    check_with(
        &rules.build(),
        "10:00 feeder-1 1.5
         10:01 pump-1 3.5
         10:02 pump-2 1.5
         10:11 tick
         10:13 tick",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:01 opened pump_failure#1 extreme caused by outage#1: pump-1 3.5
            10:01 updated outage#1 extreme
            10:02 updated pump_failure#1 extreme 2 sensors: pump-2 1.5 40 m
            10:02 linked pump_failure#1 extreme 2 sensors
            10:12 rated outage#1 moderate
        "#]],
    );
}

#[test]
fn p5_so_many_children_are_compared_when_one_is_found_to_have_another_cause() {
    let told = |lamps: usize| {
        let mut city = city();
        let mut story = String::from("10:00 feeder-1 1.5\n10:01 pump-1 3.5\n");
        for number in 0..lamps {
            let id = format!("lamp-{number:04}");
            let place = metres(
                10_000 + number as i32 % 40 * 200,
                10_000 + number as i32 / 40 * 200,
            );
            city = city.sensor(&id, "pump", place).fed_by(&id, "feeder-1");
            writeln!(story, "10:01 {id} 1.5").unwrap();
        }
        story += "10:02 pump-2 1.5\n10:13 tick";
        let rules = rules(city).handling(|rules| rules.lowers = true);
        run(&[("first", &rules.build())], &story)
    };
    let lowers = |lamps| told(lamps).contains(" rated outage#1 moderate");
    assert!(lowers(CHILDREN_COMPARED_MAX));
    assert!(!lowers(CHILDREN_COMPARED_MAX + 1));
}

#[test]
fn what_grows_below_its_cause_or_outside_of_all_networks_stays_explained() {
    let city = city()
        .sensor("pump-3", "pump", metres(9_020, 0))
        .sensor("van", "pump", metres(9_010, 0))
        .fed_by("pump-3", "feeder-1");
    check_with(
        &rules(city).build(),
        "10:00 feeder-1 1.5
         10:01 pump-1 1.5
         10:02 pump-3 1.5
         10:03 van 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:02 updated pump_failure#1 moderate 2 sensors suppressed: pump-3 1.5 20 m
            10:03 updated pump_failure#1 moderate 3 sensors suppressed: van 1.5 10 m
        "#]],
    );
}

#[test]
fn what_grows_beyond_its_cause_is_of_another_that_reaches_all_of_it() {
    // The substation fails by itself, as the rule of outages has no network.
    let apart = rules(city()).without_correlation("outages");
    let apart = apart.correlation("outages", "outage", &["dark"], |rule| {
        causes(rule, &[effect("pump_failure", power())]);
    });
    check_with(
        &apart.build(),
        "10:00 sub 1.5
         10:00 feeder-1 1.5
         10:01 pump-1 1.5
         10:02 pump-2 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub 1.5
            10:00 opened outage#2 moderate: feeder-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#2: pump-1 1.5
            10:02 updated pump_failure#1 moderate 2 sensors suppressed: pump-2 1.5 40 m
            10:02 linked pump_failure#1 moderate 2 sensors suppressed caused by outage#1
        "#]],
    );
}

#[test]
fn what_merges_with_something_that_is_not_below_its_cause_is_an_alarm_of_its_own() {
    // A pump between both, on the feeder that is dead, or on no feeder, makes them one: whichever is
    // the older, and whichever has more pumps.
    let told = |story: &str| {
        let city = city()
            .sensor("far-1", "pump", metres(9_080, 0))
            .sensor("far-2", "pump", metres(9_090, 0))
            .sensor("between-1", "pump", metres(9_040, 0))
            .sensor("between-2", "pump", metres(9_040, 0))
            .fed_by("far-1", "feeder-2")
            .fed_by("far-2", "feeder-2")
            .fed_by("between-1", "feeder-1");
        run(&[("first", &rules(city).build())], story)
    };
    let hides = |told: &str| {
        let mut of_first = told
            .lines()
            .filter(|line| line.contains(" pump_failure#1 "));
        of_first
            .next_back()
            .is_some_and(|line| line.contains(" suppressed"))
    };
    for between in ["between-1", "between-2"] {
        for [one, two] in [["pump-1", "far-1"], ["far-1", "pump-1"]] {
            for more in ["", "10:03 far-2 1.5\n"] {
                let told = told(&format!(
                    "10:00 feeder-1 1.5\n10:01 {one} 1.5\n10:02 {two} 1.5\n{more}10:04 {between} 1.5\n10:05 tick"
                ));
                assert!(told.contains(" merged "), "{told}");
                assert!(told.contains(" suppressed ") && !hides(&told), "{told}");
            }
        }
    }
}

#[test]
fn water_takes_its_time_and_what_is_low_before_or_long_after_it_is_low_by_itself() {
    let quick = |minutes: i64| {
        let mut rules = rules(city()).effects(|effect| {
            effect.before = Millis::ZERO;
            effect.lag = Lag::AfterOpening(Millis::ZERO);
        });
        rules = rules.without_correlation("outages");
        let story = format!("10:00 pump-1 1.5\n10:{minutes:02} main-2 1.5");
        let told = run(&[("first", &rules.build())], &story);
        told.contains("low_pressure#1 moderate suppressed caused by pump_failure#1")
    };
    // The water takes 20 minutes: half of it to one and a half times it is in time.
    let in_time: Vec<_> = (0..60).filter(|minutes| quick(*minutes)).collect();
    assert_eq!(in_time, (10..=30).collect::<Vec<_>>());
}

#[test]
fn what_lies_upstream_or_in_another_pipe_is_not_explained() {
    // Main 9 flows to main 2 as main 1 does, and not from it.
    check(
        "10:00 pump-1 1.5
         10:20 main-9 1.5
         10:25 main-2 1.5",
        &expect![[r#"
            10:00 opened pump_failure#1 moderate: pump-1 1.5
            10:20 opened low_pressure#1 moderate: main-9 1.5
            10:25 opened low_pressure#2 moderate suppressed caused by pump_failure#1: main-2 1.5
        "#]],
    );
}

#[test]
fn what_lies_in_no_network_is_judged_by_metres_and_only_if_they_are_written() {
    let story = "10:00 feeder-1 1.5
         10:02 lone 1.5
         10:03 pump-2 1.5";
    check(
        story,
        &expect![[r#"
        10:00 opened outage#1 moderate: feeder-1 1.5
        10:02 opened pump_failure#1 moderate: lone 1.5
        10:03 opened pump_failure#2 moderate: pump-2 1.5
    "#]],
    );
    let near = rules(city()).effects(|effect| effect.within_m = 100_000);
    check_with(
        &near.build(),
        story,
        &expect![[r#"
        10:00 opened outage#1 moderate: feeder-1 1.5
        10:02 opened pump_failure#1 moderate suppressed caused by outage#1: lone 1.5
        10:03 opened pump_failure#2 moderate: pump-2 1.5
    "#]],
    );
}

#[test]
fn a_blocked_stop_explains_the_crowd_at_the_next_ones_and_a_flood_what_lies_on_its_river() {
    let along = Along {
        line_stops: Some(1),
        ..Along::default()
    };
    let river = Along {
        river_m: Some(5_000),
        ..Along::default()
    };
    let mut builder = BundleBuilder::new();
    for (order, id) in (1..).zip(["north", "square", "market", "harbour"]) {
        let place = metres(0, order * 3_000);
        let stop = |line: &str, order| {
            let line = line.to_owned();
            Some(Stop { line, order })
        };
        let (doors, platform) = (format!("doors-{id}"), format!("platform-{id}"));
        builder = builder
            .sensor(&doors, "doors", place)
            .sensor(&platform, "density", place)
            .node(&doors, |node| node.stop = stop("red", order))
            .node(&platform, |node| node.stop = stop("red", order));
    }
    for (id, kind, east) in [
        ("gauge", "level", 0),
        ("quay", "wet", 4_000),
        ("mill", "wet", 6_000),
    ] {
        builder = builder
            .sensor(id, kind, metres(east, 50_000))
            .node(id, |node| node.river = Some("elbe".into()));
    }
    let levels = [(Moderate, 1.0), (Severe, 2.0)];
    let builder = builder
        .threshold("shut", "doors", &levels, |_| ())
        .threshold("dense", "density", &levels, |_| ())
        .threshold("high", "level", &levels, |_| ())
        .threshold("flooded", "wet", &levels, |_| ())
        .correlation("blocks", "line_blocked", &["shut"], |rule| {
            causes(rule, &[effect("crowding", along)]);
        })
        .correlation("crowds", "crowding", &["dense"], |rule| causes(rule, &[]))
        .correlation("floods", "flood", &["high"], |rule| {
            causes(rule, &[effect("wet_quay", river)]);
        })
        .correlation("quays", "wet_quay", &["flooded"], |rule| causes(rule, &[]));
    check_with(
        &builder.build(),
        "10:00 doors-square 1.5
         10:01 platform-square 1.5
         10:02 platform-market 1.5
         10:03 platform-harbour 1.5
         11:00 gauge 1.5
         11:01 quay 1.5
         11:02 mill 1.5",
        &expect![[r#"
            10:00 opened line_blocked#1 moderate: doors-square 1.5
            10:01 opened crowding#1 moderate suppressed caused by line_blocked#1: platform-square 1.5
            10:02 opened crowding#2 moderate suppressed caused by line_blocked#1: platform-market 1.5
            10:03 opened crowding#3 moderate: platform-harbour 1.5
            11:00 opened flood#1 moderate: gauge 1.5
            11:01 opened wet_quay#1 moderate suppressed caused by flood#1: quay 1.5
            11:02 opened wet_quay#2 moderate: mill 1.5
        "#]],
    );
}

#[test]
fn of_several_causes_the_one_along_the_network_is_the_parent_and_of_these_the_nearest() {
    let rules = rules(city()).correlation("smells", "smell", &["stands"], |rule| {
        causes(rule, &[]);
        rule.may_cause = vec![Effect {
            within_m: 9_000,
            ..effect("low_pressure", Along::default())
        }];
    });
    // The substation fails, and its feeder by itself, as their rule has no network.
    let apart = rules.without_correlation("outages");
    let apart = apart.correlation("outages", "outage", &["dark"], |rule| {
        causes(rule, &[effect("pump_failure", power())]);
    });
    check_with(
        &apart.build(),
        "10:00 sub 1.5
         10:01 feeder-1 1.5
         10:02 pump-1 1.5
         10:12 main-1 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub 1.5
            10:01 opened outage#2 moderate: feeder-1 1.5
            10:02 opened pump_failure#1 moderate suppressed caused by outage#2: pump-1 1.5
            10:02 opened smell#1 moderate: pump-1 1.5
            10:12 opened low_pressure#1 moderate suppressed caused by pump_failure#1: main-1 1.5
        "#]],
    );
}

#[test]
fn another_city_explains_by_its_own_networks_from_then_on() {
    let moved = || {
        let city = city().without_node("pump-2");
        rules(city.fed_by("pump-2", "feeder-1"))
    };
    check_reloading(
        &[
            ("first", &rules(city()).build()),
            ("later", &moved().build()),
        ],
        "10:00 feeder-1 1.5
         10:05 reload later
         10:06 pump-2 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:05 rules_changed
            10:06 opened pump_failure#1 moderate suppressed caused by outage#1: pump-2 1.5
        "#]],
    );
}

#[test]
fn alertmanager_4064_2628_4315_what_a_network_explains_is_not_told_by_a_restart() {
    check(
        "10:00 sub 1.5
         10:00 pump-1 1.5
         10:00 started after=10:00
         10:10 main-1 1.5
         10:20 ack outage#1 by=ana request=1
         10:20 started after=10:20
         10:50 pump-1 1.7",
        &expect![[r#"
            10:00 opened outage#1 moderate: sub 1.5
            10:00 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
            10:10 opened low_pressure#1 moderate suppressed caused by pump_failure#1: main-1 1.5
            10:20 acknowledged outage#1 moderate by ana
            10:50 updated pump_failure#1 moderate suppressed: pump-1 1.7
        "#]],
    );
}

#[test]
fn p5_a_thousand_things_below_a_feeder_follow_it_in_steps_and_none_is_lost() {
    let mut city = city();
    let mut story = String::new();
    for number in 0..1_000 {
        let id = format!("lamp-{number:03}");
        let place = metres(10_000 + number % 40 * 200, 10_000 + number / 40 * 200);
        city = city.sensor(&id, "pump", place).fed_by(&id, "feeder-2");
        writeln!(story, "10:00 {id} 1.5").unwrap();
    }
    story += "10:01 feeder-2 1.5\n10:05 tick\n11:00 feeder-2 0\n11:20 tick";
    let told = run(&[("first", &rules(city).build())], &story);
    let lines = |what: &str| told.lines().filter(|line| line.contains(what)).count();
    assert_eq!(lines(" suppressed caused by outage#1"), 1_000);
    assert_eq!(lines(" unsuppressed "), 1_000);
    let at_once = "10:01 linked";
    let at_once = told.lines().filter(|line| line.starts_with(at_once));
    assert_eq!(at_once.count(), CHILDREN_PER_STEP);
}

#[test]
fn p5_so_many_members_are_looked_at_for_a_cause_along_networks() {
    // Only the last by name may hang on another feeder than all others: of more, nobody has looked at
    // it, and nothing explains them.
    let opened = |lamps: usize, last: &str| {
        let mut city = city();
        let mut story = String::from("10:00 feeder-1 1.5\n");
        for number in 0..lamps {
            let id = format!("lamp-{number:03}");
            city = city.sensor(&id, "pump", metres(10_000, 10_000));
            let is_last = number + 1 == lamps;
            let feeder = if is_last { last } else { "feeder-1" };
            city = city.fed_by(&id, feeder);
            writeln!(story, "10:01 {id} 1.5").unwrap();
        }
        let rules = rules(city).without_correlation("pumps");
        let rules = rules.correlation("pumps", "pump_failure", &["stands"], |rule| {
            rule.sources_min = lamps as u32;
        });
        run(&[("first", &rules.build())], &story)
    };
    let explained = |lamps, last| opened(lamps, last).contains("suppressed caused by outage#1");
    assert!(explained(REACH_MEMBERS_MAX, "feeder-1"));
    assert!(!explained(REACH_MEMBERS_MAX, "feeder-2"));
    assert!(!explained(REACH_MEMBERS_MAX + 1, "feeder-1"));
    assert!(!explained(REACH_MEMBERS_MAX + 1, "feeder-2"));
}

#[test]
fn p5_of_what_joins_a_cause_at_once_so_many_members_are_looked_at_for_what_it_has_caused() {
    // Feeders on four sides of a gap are four outages; the one that stands in the gap makes them one.
    // A pump failure below a feeder of the first and of the last is reached by all together alone.
    let linked = |west: usize, below: usize| {
        let grid = metres(0, 100_000);
        let mut city = BundleBuilder::new().sensor("grid", "power", grid);
        city = city.node("grid", |_| ());
        let mut story = String::new();
        let sides = [
            ("a", REACH_MEMBERS_MAX + 2, metres(1_000, 500)),
            ("b", 100, metres(0, 500)),
            ("c", 100, metres(500, 1_000)),
            ("d", west - 200, metres(500, 0)),
        ];
        for (second, (side, count, place)) in sides.into_iter().enumerate() {
            for number in 0..count {
                let id = format!("{side}-{number:03}");
                city = city.sensor(&id, "power", place).fed_by(&id, "grid");
                writeln!(story, "10:00:0{second} {id} 1.5").unwrap();
            }
        }
        let below = format!("d-{:03}", below - 200);
        for (id, feeder) in [("pump-1", "a-257"), ("pump-2", below.as_str())] {
            let place = metres(90_000, 0);
            city = city.sensor(id, "pump", place).fed_by(id, feeder);
            writeln!(story, "10:00:30 {id} 1.5").unwrap();
        }
        city = city.sensor("gap", "power", metres(500, 500));
        story += "10:01 gap 1.5\n10:02 tick";
        let rules = rules(city).without_correlation("outages");
        let rules = rules.correlation("outages", "outage", &["dark"], |rule| {
            causes(rule, &[effect("pump_failure", power())]);
            rule.within_m = 600;
        });
        let rules = rules.without_correlation("pumps");
        let rules = rules.correlation("pumps", "pump_failure", &["stands"], |rule| {
            causes(rule, &[]);
            rule.sources_min = 2;
        });
        let told = run(&[("first", &rules.build())], &story);
        assert!(told.contains(" merged "), "{told}");
        told.contains(" suppressed caused by outage#")
    };
    assert!(linked(REACH_MEMBERS_MAX, REACH_MEMBERS_MAX - 1));
    assert!(!linked(REACH_MEMBERS_MAX + 1, REACH_MEMBERS_MAX));
}

#[test]
fn p5_a_way_along_a_circle_ends_and_nothing_explains_itself() {
    let circle = BundleBuilder::new()
        .sensor("feeder-1", "power", metres(0, 0))
        .sensor("pump-1", "pump", metres(9_000, 0))
        .fed_by("feeder-1", "pump-1")
        .fed_by("pump-1", "feeder-1");
    let rules = rules(circle).effects(|effect| effect.along = power());
    let both = rules.without_correlation("pumps");
    let both = both.correlation("pumps", "pump_failure", &["stands"], |rule| {
        causes(rule, &[effect("outage", power())]);
    });
    check_with(
        &both.build(),
        "10:00 feeder-1 1.5
         10:01 pump-1 1.5",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 1.5
            10:01 opened pump_failure#1 moderate suppressed caused by outage#1: pump-1 1.5
        "#]],
    );
}
