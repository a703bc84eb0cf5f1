//! Stories of what leads from a cause to its effect: every decision that says what something was
//! caused by along a network says by which node of which, how far away, and how long the water took.

use expect_test::{Expect, expect};
use ioc_core::bundle::{Along, Effect, Flow, Lag, Stop};
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::limits::WAYS_COMPARED_MAX;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, metres};
use crate::timeline::{run, ways};

const NOWHERE: Along = Along {
    fed_by: false,
    flows_to_percent: None,
    river_m: None,
    line_stops: None,
    nested_after: None,
};

fn effect(along: Along) -> Effect {
    Effect {
        incident: "failure".parse().unwrap(),
        within_m: 0,
        along,
        lag: Lag::AfterLast(Millis::minutes(30)),
        before: Millis::minutes(5),
        symptom: true,
    }
}

/// What a cause of one kind of reading does to another along these networks.
fn rules(city: BundleBuilder, along: Along) -> BundleBuilder {
    let levels = [(Moderate, 1.0), (Severe, 2.0)];
    city.threshold("dead", "cause", &levels, |_| ())
        .threshold("fails", "effect", &levels, |_| ())
        .correlation("causes", "outage", &["dead"], |rule| {
            rule.may_cause = vec![effect(along)];
            rule.within_m = 50;
        })
        .correlation("failures", "failure", &["fails"], |rule| rule.within_m = 50)
}

fn check(city: BundleBuilder, along: Along, timeline: &str, expected: &Expect) {
    expected.assert_eq(&ways(&rules(city, along).build(), timeline));
}

fn power() -> (BundleBuilder, Along) {
    let city = BundleBuilder::new()
        .sensor("sub", "cause", metres(0, 0))
        .sensor("feeder", "cause", metres(5_000, 0))
        .sensor("pump", "effect", metres(9_000, 0))
        .sensor("lift", "effect", metres(9_020, 0))
        .node("sub", |_| ())
        .fed_by("feeder", "sub")
        .node("box", |node| node.fed_by = Some("feeder".parse().unwrap()))
        .fed_by("pump", "box")
        .fed_by("lift", "feeder");
    let along = Along {
        fed_by: true,
        ..NOWHERE
    };
    (city, along)
}

#[test]
fn what_opens_below_a_dead_feeder_names_it_and_how_many_levels_lie_between() {
    let (city, along) = power();
    check(
        city,
        along,
        "10:00 feeder 1.5
         10:01 pump 1.5",
        &expect![[r#"
            10:01 opened failure#1 moderate suppressed caused by outage#1: pump 1.5 [fed_by feeder > pump, 2 steps]
        "#]],
    );
}

#[test]
fn what_is_linked_later_names_the_node_with_the_shortest_way() {
    let (city, along) = power();
    check(
        city,
        along,
        "10:00 pump 1.5
         10:00 lift 1.5
         10:02 sub 1.5
         10:03 feeder 1.5",
        &expect![[r#"
            10:02 linked failure#1 moderate 2 sensors suppressed caused by outage#1 [fed_by sub > lift, 2 steps]
        "#]],
    );
}

#[test]
fn water_is_told_with_the_time_that_it_took() {
    let flows_to = |to: &str| {
        Some(Flow {
            to: to.parse().unwrap(),
            lag: Millis::minutes(10),
        })
    };
    let city = BundleBuilder::new()
        .sensor("weir", "cause", metres(0, 0))
        .sensor("bridge", "effect", metres(9_000, 0))
        .node("weir", |node| node.flows_to = flows_to("mill"))
        .node("mill", |node| node.flows_to = flows_to("bridge"))
        .node("bridge", |_| ());
    let along = Along {
        flows_to_percent: Some(150),
        ..NOWHERE
    };
    check(
        city,
        along,
        "10:00 weir 1.5
         10:20 bridge 1.5",
        &expect![[r#"
            10:20 opened failure#1 moderate suppressed caused by outage#1: bridge 1.5 [flows_to weir > bridge, 2 steps, 1200 s]
        "#]],
    );
}

#[test]
fn stops_are_counted_and_a_river_is_measured() {
    let stop = |order| {
        Some(Stop {
            line: "green".to_owned(),
            order,
        })
    };
    let city = BundleBuilder::new()
        .sensor("signal", "cause", metres(0, 0))
        .sensor("platform", "effect", metres(3_000, 0))
        .node("signal", |node| node.stop = stop(4))
        .node("platform", |node| node.stop = stop(6));
    let along = Along {
        line_stops: Some(3),
        ..NOWHERE
    };
    check(
        city,
        along,
        "10:00 signal 1.5
         10:01 platform 1.5",
        &expect![[r#"
            10:01 opened failure#1 moderate suppressed caused by outage#1: platform 1.5 [line signal > platform, 2 steps]
        "#]],
    );
    let city = BundleBuilder::new()
        .sensor("ferry", "effect", metres(3_000, 0))
        .sensor("near", "cause", metres(2_000, 0))
        .sensor("nearer", "cause", metres(2_020, 0))
        .node("ferry", |node| node.river = Some("klang".to_owned()))
        .node("near", |node| node.river = Some("klang".to_owned()))
        .node("nearer", |node| node.river = Some("klang".to_owned()));
    let along = Along {
        river_m: Some(5_000),
        ..NOWHERE
    };
    check(
        city,
        along,
        "10:00 near 1.5
         10:00 nearer 1.5
         10:01 ferry 1.5",
        &expect![[r#"
            10:01 opened failure#1 moderate suppressed caused by outage#1: ferry 1.5 [river nearer > ferry, 979 m]
        "#]],
    );
}

#[test]
fn one_node_that_is_of_both_is_the_whole_way() {
    let (city, along) = power();
    let levels = [(Moderate, 10.0)];
    let both = rules(city, along)
        .threshold("hums", "cause", &levels, |_| ())
        .without_correlation("failures")
        .correlation("failures", "failure", &["hums"], |rule| rule.within_m = 50);
    expect![[r#"
        10:01 opened failure#1 moderate suppressed caused by outage#1: feeder 20 [fed_by feeder > feeder, 0 steps]
    "#]].assert_eq(&ways(&both.build(), "10:00 feeder 1.5\n10:01 feeder 20"));
}

#[test]
fn what_stays_dark_names_the_feeder_that_is_well_again() {
    let (city, along) = power();
    let nested = rules(city, along)
        .threshold("dark", "effect", &[(Moderate, 1.0)], |_| ())
        .without_correlation("causes")
        .correlation("causes", "outage", &["dead", "dark"], |rule| {
            rule.along.fed_by = true;
            rule.along.nested_after = Some(Millis::minutes(10));
            rule.within_m = 50;
        });
    expect![[r#"
        10:30 opened outage#2 moderate caused by outage#1 [fed_by feeder > pump, 2 steps]
    "#]]
    .assert_eq(&ways(
        &nested.build(),
        "10:00 feeder 1.5
         10:01 pump 1.5
         10:20 feeder 0
         10:31 tick",
    ));
}

#[test]
fn what_a_person_links_and_what_comes_by_metres_has_no_way() {
    let (city, along) = power();
    let near = Effect {
        within_m: 500,
        ..effect(along)
    };
    let city = city.sensor("lone-cause", "cause", metres(0, 9_000)).sensor(
        "lone-effect",
        "effect",
        metres(100, 9_000),
    );
    let rules = rules(city, along)
        .without_correlation("causes")
        .correlation("causes", "outage", &["dead"], |rule| {
            rule.may_cause = vec![near.clone()];
            rule.within_m = 50;
        });
    let bundle = rules.build();
    let story = "10:00 lone-cause 1.5
         10:01 lone-effect 1.5
         12:00 feeder 1.5
         15:00 lift 1.5
         15:01 do link failure#2 by=ana request=1 other=outage#1";
    expect![[r#"
        10:00 opened outage#1 moderate: lone-cause 1.5
        10:01 opened failure#1 moderate suppressed caused by outage#1: lone-effect 1.5
        12:00 opened outage#2 moderate: feeder 1.5
        15:00 opened failure#2 moderate: lift 1.5
        15:01 linked failure#2 moderate suppressed caused by outage#1 by ana
    "#]]
    .assert_eq(&run(&[("first", &bundle)], story));
    assert_eq!(ways(&bundle, story), "");
}

#[test]
fn p5_of_so_many_nodes_the_shortest_way_is_told() {
    let (mut city, along) = power();
    let mut story = String::new();
    for number in 0..=WAYS_COMPARED_MAX {
        let id = format!("fan-{number:03}");
        // The last hangs on the feeder itself.
        let feeder = if number == WAYS_COMPARED_MAX {
            "feeder"
        } else {
            "box"
        };
        city = city
            .sensor(&id, "effect", metres(20_000 + number as i32, 0))
            .fed_by(&id, feeder);
        story += &format!("10:00 {id} 1.5\n");
    }
    story += "10:02 feeder 1.5";
    check(
        city,
        along,
        &story,
        &expect![[r#"
        10:02 linked failure#1 moderate 9 sensors suppressed caused by outage#1 [fed_by feeder > fan-000, 2 steps]
    "#]],
    );
}
