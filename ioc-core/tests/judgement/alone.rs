//! A sensor that leaps while its neighbours stay where they are.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Flow, GroupBy, Near};
use ioc_core::limits::NEIGHBOURS_MAX;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::{check_reloading, check_with, run};

/// Four radars along a river, and one far away, on another one.
fn river() -> BundleBuilder {
    let mut builder = BundleBuilder::new();
    for number in 1..=5 {
        let id = format!("river-{number}");
        let east = if number == 5 { 30_000 } else { number * 1_000 };
        builder = builder
            .sensor(&id, "level", metres(east, 0))
            .node(&id, |node| {
                node.river = Some(if number == 5 { "other" } else { "klang" }.into());
            });
    }
    builder
}

fn near(near: Near) -> BundleBuilder {
    river().alone("gauge-alone", "level", 1.0, near)
}

fn check(timeline: &str, expected: &Expect) {
    let told = [Near::Metres(3_500), Near::Group(GroupBy::River)]
        .map(|neighbours| run(&[("first", &near(neighbours).build())], timeline));
    assert_eq!(told[0], told[1]);
    expected.assert_eq(&told[0]);
}

const FLAT: &str = "10:00-10:30/1 river-2 1.2
                    10:00-10:30/1 river-3 1.3
                    10:00-10:30/1 river-5 9
                    ";

#[test]
fn s1_a_single_radar_that_leaps_with_flat_neighbours_is_broken_until_it_is_back() {
    check(
        &format!(
            "{FLAT}10:00-10:09/1 river-1 1.2
             10:10-10:20/1 river-1 3.2
             10:21-10:30/1 river-1 1.3"
        ),
        &expect![[r#"
            10:12 faulty river-1 spiking: river-1 3.2
            10:21 sound river-1 spiking: river-1 1.3
        "#]],
    );
}

#[test]
fn s1_two_that_leap_together_are_a_wave() {
    check(
        &format!(
            "{FLAT}10:00-10:09/1 river-1 1.2
             10:10-10:20/1 river-1 3.2
             10:00-10:10/1 river-4 1.2
             10:11-10:20/1 river-4 3.2"
        ),
        &expect![[r#""#]],
    );
}

#[test]
fn a_spike_that_is_back_at_once_is_for_the_count_of_spikes() {
    check(
        &format!(
            "{FLAT}10:00-10:09/1 river-1 1.2
             10:10 river-1 3.2
             10:11-10:20/1 river-1 1.2"
        ),
        &expect![[r#""#]],
    );
}

#[test]
fn of_who_has_no_neighbours_that_are_heard_nothing_is_known() {
    check(
        "10:00-10:09/1 river-1 1.2
         10:10-10:20/1 river-1 3.2
         10:00-10:05/1 river-2 1.2
         10:00-10:20/1 river-5 9",
        &expect![[r#""#]],
    );
}

#[test]
fn a_front_that_moves_on_clears_who_saw_it_first_and_breaks_nobody_else() {
    // Slower than the rule says: the second gauge is not alone, for the first has moved before it.
    check(
        "10:00-10:09/1 river-1 1.2
         10:10-10:30/1 river-1 3.2
         10:00-10:15/1 river-2 1.2
         10:16-10:30/1 river-2 2.4",
        &expect![[r#"
            10:12 faulty river-1 spiking: river-1 3.2
            10:17 sound river-1 spiking: river-1 3.2
        "#]],
    );
}

#[test]
fn who_rises_little_by_little_goes_with_it_too() {
    check(
        "10:00-10:30/1 river-2 1.2
         10:00-10:02/1 river-3 1.2
         10:03 river-3 1.4
         10:05 river-3 1.6
         10:07-10:30/1 river-3 1.8
         10:00-10:09/1 river-1 1.2
         10:10-10:30/1 river-1 3.2",
        &expect![[r#""#]],
    );
}

#[test]
fn nobody_is_asked_before_a_wave_would_have_come_to_him() {
    // At 1 m/s it takes a wave 1,000 s to the next gauge. Who stays alone for longer is broken.
    let slow = river().alone_with("gauge-alone", "level", 1.0, Near::Metres(3_500), |rule| {
        rule.speed_m_per_s = Some(1);
    });
    let slow = slow.build();
    check_with(
        &slow,
        "10:00-10:09/1 river-1 1.2
         10:10-11:30/1 river-1 3.2
         10:00-10:24/1 river-2 1.2
         10:25-11:30/1 river-2 3.1
         10:00-10:39/1 river-3 1.2
         10:40-11:30/1 river-3 3.0
         10:00-11:04/1 river-4 1.2
         11:05-11:30/1 river-4 3.0",
        &expect![[r#""#]],
    );
    check_with(
        &slow,
        &format!(
            "{FLAT}10:00-10:02/1 river-1 1.2
             10:03-10:30/1 river-1 3.2"
        ),
        &expect![[r#"
            10:19:39 faulty river-1 spiking: river-1 3.2
        "#]],
    );
}

#[test]
fn where_the_city_knows_how_long_water_takes_that_counts() {
    // Ten minutes from gauge to gauge. The second leaps though the first, upstream, has not; what
    // the first sees comes to the second in time.
    let mut builder = BundleBuilder::new();
    for number in 1..=2 {
        let id = format!("river-{number}");
        builder = builder
            .sensor(&id, "level", metres(number * 1_000, 0))
            .node(&id, |node| {
                node.flows_to = (number == 1).then(|| Flow {
                    to: "river-2".parse().unwrap(),
                    lag: Millis::minutes(10),
                });
            });
    }
    let bundle = builder
        .alone("gauge-alone", "level", 1.0, Near::Metres(1_500))
        .build();
    check_with(
        &bundle,
        "10:00-10:30/1 river-1 1.2
         10:00-10:09/1 river-2 1.2
         10:10-10:30/1 river-2 3.2",
        &expect![[r#"
            10:12 faulty river-2 spiking: river-2 3.2
        "#]],
    );
    check_with(
        &bundle,
        "10:00-10:09/1 river-1 1.2
         10:10-10:40/1 river-1 3.2
         10:00-10:22/1 river-2 1.2
         10:23-10:40/1 river-2 3.2",
        &expect![[r#""#]],
    );
}

#[test]
fn a_rule_that_goes_finds_nobody_broken_any_more() {
    check_reloading(
        &[
            ("with", &near(Near::Metres(3_500)).build()),
            ("without", &river().build()),
        ],
        &format!(
            "{FLAT}10:00-10:09/1 river-1 1.2
             10:10-10:20/1 river-1 3.2
             10:15 reload without"
        ),
        &expect![[r#"
            10:12 faulty river-1 spiking: river-1 3.2
            10:15 rules_changed
            10:15 sound river-1 spiking
        "#]],
    );
}

#[test]
fn p5_so_many_neighbours_are_asked() {
    let mut builder = BundleBuilder::new();
    let mut timeline = String::new();
    let others = NEIGHBOURS_MAX + 4;
    for number in 0..=others {
        let id = format!("river-{number:02}");
        builder = builder.sensor(&id, "level", metres(number as i32 * 10, 0));
        // Only those further away than all that are asked go with it.
        let leaps = number == 0 || number > NEIGHBOURS_MAX;
        let at = if number == 0 { "10:10" } else { "10:11" };
        writeln!(timeline, "10:00-10:09/1 {id} 1").unwrap();
        writeln!(timeline, "{at}-10:20/1 {id} {}", if leaps { 3 } else { 1 }).unwrap();
    }
    let bundle = builder
        .alone("gauge-alone", "level", 1.0, Near::Metres(2_500))
        .build();
    let told = run(&[("first", &bundle)], &timeline);
    assert!(told.contains("10:12 faulty river-00 spiking"), "{told}");
}
