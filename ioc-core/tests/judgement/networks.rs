//! Stories of networks: what feeds what, where water goes, who is next on the line.

use std::collections::BTreeSet;
use std::sync::Arc;

use expect_test::expect;
use ioc_core::bundle::{Along, Bundle, FaultSign, Flow, Front, Impossible, Side, Stop};
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::decision::SiteBy;
use ioc_core::time::Millis;
use proptest::prelude::*;

use crate::support::{BundleBuilder, metres};
use crate::timeline::{check_reloading, check_with, run};

/// A station that nobody measures feeds feeders 1 to 4, of which 1 to 3 are measured; feeder 1 feeds
/// two signals that lie 4 km apart, feeder 2 one beside the first of them; a transformer that nobody
/// measures hangs on feeder 2 and feeds two pumps.
fn power() -> BundleBuilder {
    power_heard_each(None)
}

/// The same, where feeder 1 is heard so often.
fn power_heard_each(interval: Option<Millis>) -> BundleBuilder {
    BundleBuilder::new()
        .sensor_with("feeder-1", "volts", |sensor| {
            sensor.position = Some(metres(0, 0));
            sensor.interval = interval;
        })
        .sensor("feeder-2", "volts", metres(100, 0))
        .sensor("feeder-3", "volts", metres(9_000, 0))
        .sensor("signal-a", "signal", metres(200, 0))
        .sensor("signal-b", "signal", metres(4_200, 0))
        .sensor("signal-c", "signal", metres(250, 0))
        .sensor("pump-1", "pump", metres(0, 6_000))
        .sensor("pump-2", "pump", metres(0, 9_000))
        .node("station", |_| ())
        .fed_by("feeder-1", "station")
        .fed_by("feeder-2", "station")
        .fed_by("feeder-3", "station")
        .fed_by("feeder-4", "station")
        .fed_by("lamp-3", "feeder-3")
        .fed_by("lamp-4", "feeder-4")
        .fed_by("signal-a", "feeder-1")
        .fed_by("signal-b", "feeder-1")
        .fed_by("signal-c", "feeder-2")
        .fed_by("transformer", "feeder-2")
        .fed_by("pump-1", "transformer")
        .fed_by("pump-2", "transformer")
        .threshold("volts-low", "volts", &[(Moderate, 9.0)], |rule| {
            rule.side = Side::Below;
        })
        .threshold("signal-dark", "signal", &[(Moderate, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .threshold("pump-dead", "pump", &[(Moderate, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .report("call", "call", Moderate, Millis::minutes(30))
}

fn outages(builder: BundleBuilder) -> Arc<Bundle> {
    let from = ["volts-low", "signal-dark", "pump-dead", "call"];
    let builder = builder.correlation("outages", "outage", &from, |rule| {
        rule.along.fed_by = true;
        rule.weights = vec![2, 1, 1, 1];
        rule.sources_min = 2;
    });
    builder.build()
}

#[test]
fn what_a_dead_feeder_feeds_is_one_outage_however_far_it_is() {
    check_with(
        &outages(power()),
        "10:00 signal-b 0
         10:01 feeder-1 0
         10:02 signal-a 0",
        &expect![[r#"
            10:01 opened outage#1 moderate 2 sensors: signal-b 0, feeder-1 0 by feeder-1
            10:02 updated outage#1 moderate 3 sensors: signal-a 0 by feeder-1
        "#]],
    );
}

#[test]
fn a_neighbour_on_another_feeder_does_not_join() {
    check_with(
        &outages(power()),
        "10:00 feeder-1 0
         10:01 signal-c 0
         10:02 signal-a 0
         10:03 feeder-2 0",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 0
            10:02 updated outage#1 moderate 2 sensors: signal-a 0 by feeder-1
            10:03 opened outage#2 moderate 2 sensors: signal-c 0, feeder-2 0 by feeder-2
        "#]],
    );
}

#[test]
fn things_on_a_feeder_that_nobody_measures_are_one_outage() {
    check_with(
        &outages(power()),
        "10:00 pump-1 0
         10:01 pump-2 0",
        &expect![[r#"
            10:01 opened outage#1 moderate 2 sensors: pump-1 0, pump-2 0 by transformer
        "#]],
    );
}

#[test]
fn things_far_apart_on_a_feeder_that_is_measured_and_well_are_not() {
    check_with(
        &outages(power()),
        "09:59 feeder-1 11
         10:00 signal-a 0
         10:01 signal-b 0
         10:02 caller 1 kind=call at=4300,0",
        &expect![[r#"
            10:02 opened outage#1 moderate 2 sensors: signal-b 0, caller 1 100 m
        "#]],
    );
}

/// The same, where feeder 1 is silent after five minutes and not believed when it says what cannot be.
fn failing_meters() -> BundleBuilder {
    let impossible = FaultSign::Impossible(Impossible {
        below: None,
        above: Some(15.0),
        readings_min: 1,
        clear_readings_min: 1,
    });
    power_heard_each(Some(Millis::minutes(1)))
        .silence("volts-silent", "volts", 5, Millis::minutes(5))
        .fault("volts-impossible", "volts", impossible)
}

#[test]
fn a_feeder_that_was_never_heard_measures_nothing() {
    check_with(
        &outages(power()),
        "10:00 signal-a 0
         10:01 signal-b 0",
        &expect![[r#"
            10:01 opened outage#1 moderate 2 sensors: signal-a 0, signal-b 0 by feeder-1
        "#]],
    );
}

#[test]
fn a_feeder_that_fell_silent_says_nothing_for_what_it_feeds() {
    check_with(
        &outages(failing_meters()),
        "10:00 feeder-1 11
         10:10 signal-a 0
         10:11 signal-b 0",
        &expect![[r#"
            10:05 sensor_silent feeder-1 last heard 10:00
            10:11 opened outage#1 moderate 2 sensors: signal-a 0, signal-b 0 by feeder-1
        "#]],
    );
    // What waited is judged again when the silence is found, and needs no further reading.
    check_with(
        &outages(failing_meters()),
        "10:00 feeder-1 11
         10:01 signal-a 0
         10:02 signal-b 0
         10:10 tick",
        &expect![[r#"
            10:05 sensor_silent feeder-1 last heard 10:00
            10:05 opened outage#1 moderate 2 sensors: signal-a 0 by feeder-1, signal-b 0 by feeder-1
        "#]],
    );
    // It speaks again, and is well: what is dark then has faults of its own.
    check_with(
        &outages(failing_meters()),
        "10:00 feeder-1 11
         10:10 feeder-1 11
         10:11 signal-a 0
         10:12 signal-b 0",
        &expect![[r#"
            10:05 sensor_silent feeder-1 last heard 10:00
            10:10 sensor_returned feeder-1 last heard 10:00
        "#]],
    );
}

#[test]
fn a_feeder_that_nobody_believes_says_nothing_for_what_it_feeds() {
    check_with(
        &outages(failing_meters()),
        "10:00 feeder-1 11
         10:01 signal-a 0
         10:02 signal-b 0
         10:03 feeder-1 99",
        &expect![[r#"
            10:03 faulty feeder-1 impossible distrusted: feeder-1 99
            10:03 opened outage#1 moderate 2 sensors: signal-a 0 by feeder-1, signal-b 0 by feeder-1
        "#]],
    );
}

#[test]
fn a_meter_keeps_its_word_over_a_reload_and_has_one_when_a_city_says_what_it_feeds() {
    let linked = outages(failing_meters());
    let unlinked = BundleBuilder::new()
        .sensor("feeder-1", "volts", metres(0, 0))
        .threshold("volts-low", "volts", &[(Moderate, 9.0)], |rule| {
            rule.side = Side::Below;
        });
    for before in [outages(power()), unlinked.build()] {
        check_reloading(
            &[("before", &before), ("linked", &linked)],
            "09:58 feeder-1 11
             09:59 reload linked
             10:00 signal-a 0
             10:01 signal-b 0
             10:02 tick",
            &expect![[r#"
                09:59 rules_changed
            "#]],
        );
    }
}

#[test]
fn a_fault_further_up_makes_one_of_two_feeders_and_callers_between_them_do_not() {
    let measured = power().sensor("station", "volts", metres(50, 500));
    check_with(
        &outages(measured),
        "10:00 feeder-1 0
         10:01 feeder-2 0
         10:02 caller 1 kind=call at=50,0
         10:03 signal-c 0
         10:04 station 0
         10:05 pump-1 0",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 0
            10:01 opened outage#2 moderate: feeder-2 0
            10:02 updated outage#1 moderate 2 sensors: caller 1 50 m
            10:03 updated outage#2 moderate 2 sensors: signal-c 0 by feeder-2
            10:04 merged outage#2 into outage#1
            10:04 updated outage#1 moderate 5 sensors: station 0 by station
            10:05 updated outage#1 moderate 6 sensors: pump-1 0 by feeder-2
        "#]],
    );
}

#[test]
fn a_station_that_nobody_measures_is_what_failed_when_most_of_its_feeders_are_dead() {
    check_with(
        &outages(power()),
        "10:00 feeder-1 0
         10:01 feeder-2 0
         10:02 feeder-3 0",
        &expect![[r#"
            10:00 opened outage#1 moderate: feeder-1 0
            10:01 opened outage#2 moderate: feeder-2 0
            10:02 merged outage#2 into outage#1
            10:02 updated outage#1 moderate 3 sensors: feeder-3 0 by station
        "#]],
    );
}

#[test]
fn callers_who_said_it_first_belong_to_the_feeder_near_them() {
    check_with(
        &outages(power()),
        "10:00 caller 1 kind=call at=300,0
         10:01 caller 1 kind=call at=310,0
         10:02 feeder-1 0
         10:03 feeder-2 0",
        &expect![[r#"
            10:01 opened outage#1 moderate 2 sensors: caller 1, caller 1 10 m
            10:02 updated outage#1 moderate 3 sensors: feeder-1 0 299 m
            10:03 opened outage#2 moderate: feeder-2 0
        "#]],
    );
}

/// A brook of three gauges, each half an hour above the next, the last 20 km down; and a gauge on
/// another brook beside the last.
fn water() -> BundleBuilder {
    let flow = |to: &str, minutes| {
        Some(Flow {
            to: to.parse().unwrap(),
            lag: Millis::minutes(minutes),
        })
    };
    BundleBuilder::new()
        .sensor("upper", "level", metres(0, 20_000))
        .sensor("middle", "level", metres(0, 10_000))
        .sensor("lower", "level", metres(0, 0))
        .sensor("other", "level", metres(300, 0))
        .node("upper", |node| node.flows_to = flow("middle", 30))
        .node("middle", |node| node.flows_to = flow("lower", 30))
        .node("lower", |_| ())
        .node("other", |node| node.flows_to = flow("sea", 60))
        .node("sea", |_| ())
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
}

fn floods(builder: BundleBuilder) -> Arc<Bundle> {
    let builder = builder.correlation("floods", "flood", &["high"], |rule| {
        rule.along.flows_to_percent = Some(150);
        rule.clear_after = Millis::minutes(90);
        rule.within = Millis::minutes(5);
    });
    builder.build()
}

#[test]
fn a_wave_that_travels_downstream_is_one_flood_and_the_next_brook_is_another() {
    check_with(
        &floods(water()),
        "10:00 upper 3.5
         10:05 upper 2.0
         10:40 middle 3.5
         10:45 middle 2.0
         11:20 other 3.5
         11:24 lower 3.5",
        &expect![[r#"
            10:00 opened flood#1 moderate: upper 3.5
            10:40 updated flood#1 moderate 2 sensors: middle 3.5 by upper
            11:20 opened flood#2 moderate: other 3.5
            11:24 updated flood#1 moderate 3 sensors: lower 3.5 by middle
        "#]],
    );
}

#[test]
fn a_gauge_counts_in_its_candidate_until_its_water_has_come_to_the_next() {
    // Two gauges must agree, and the wave has passed the one when it comes to the other: by half an
    // hour, and half of that more or less.
    let two = |builder: BundleBuilder| {
        let builder = builder
            .threshold("very-high", "level", &[(Severe, 3.4)], |_| ())
            .correlation("floods", "flood", &["high", "very-high"], |rule| {
                rule.along.flows_to_percent = Some(150);
                rule.weights = vec![2, 3];
                rule.sources_min = 5;
                rule.clear_after = Millis::minutes(30);
                rule.within = Millis::minutes(90);
            });
        builder.build()
    };
    check_with(
        &two(water()),
        "10:00 upper 3.5
         10:05 upper 2.0
         10:40 middle 3.2
         10:42 middle 2.0
         11:30 tick",
        &expect![[r#"
            10:40 opened flood#1 severe 2 sensors: upper 3.5, middle 3.2 by upper
            11:15 cleared flood#1 severe 2 sensors
        "#]],
    );
    // Later it is another wave, or none; and one that rises anew is heard anew.
    check_with(
        &two(water()),
        "10:00 upper 3.5
         10:05 upper 2.0
         10:46 middle 3.2
         10:47 middle 2.0
         11:00 upper 3.2
         11:05 upper 2.0
         11:10 upper 3.3
         11:50 middle 3.5",
        &expect![[r#"
            11:50 opened flood#1 severe 2 sensors: upper 3.2 by middle, upper 3.3, middle 3.5 by upper
        "#]],
    );
    // Where no water flows on there is nothing to wait for.
    check_with(
        &two(water()),
        "10:00 lower 3.5
         10:05 lower 2.0
         10:10 lower 3.2
         10:20 other 3.5
         10:21 other 3.5",
        &expect![""],
    );
}

#[test]
fn water_that_comes_too_late_for_the_wave_is_another_flood() {
    check_with(
        &floods(water()),
        "10:00 upper 3.5
         10:05 upper 2.0
         10:46 middle 3.5
         10:50 middle 2.0
         11:17 upper 3.5",
        &expect![[r#"
            10:00 opened flood#1 moderate: upper 3.5
            10:46 opened flood#2 moderate: middle 3.5
            11:17 updated flood#1 moderate: upper 3.5
        "#]],
    );
}

#[test]
fn a_gauge_upstream_that_speaks_after_the_one_downstream_belongs_to_it() {
    check_with(
        &floods(water()),
        "10:00 middle 3.5
         10:10 upper 3.5",
        &expect![[r#"
            10:00 opened flood#1 moderate: middle 3.5
            10:10 updated flood#1 moderate 2 sensors: upper 3.5 by middle
        "#]],
    );
}

#[test]
fn gas_travels_to_the_next_station_and_reports_of_one_river_are_one() {
    let stop = |line: &str, order| {
        let line = line.to_owned();
        Some(Stop { line, order })
    };
    let mut builder = BundleBuilder::new().threshold("gas", "gas", &[(Moderate, 10.0)], |_| ());
    for (order, id) in (1..).zip(["north", "square", "market", "harbour"]) {
        builder = builder
            .sensor(id, "gas", metres(0, order * 3_000))
            .node(id, |node| node.stop = stop("red", order));
    }
    let builder = builder
        .sensor("depot", "gas", metres(0, 6_100))
        .node("depot", |node| node.stop = stop("blue", 2))
        .correlation("leaks", "leak", &["gas"], |rule| {
            rule.along = Along {
                line_stops: Some(1),
                ..Along::default()
            };
        });
    check_with(
        &builder.build(),
        "10:00 north 12
         10:01 market 12
         10:02 square 12
         10:03 depot 12",
        &expect![[r#"
            10:00 opened leak#1 moderate: north 12
            10:01 opened leak#2 moderate: market 12
            10:02 merged leak#2 into leak#1
            10:02 updated leak#1 moderate 3 sensors: square 12 by market
            10:03 opened leak#3 moderate: depot 12
        "#]],
    );
    let on = |name: &str| Some(name.to_owned());
    let builder = BundleBuilder::new()
        .sensor("avon-1", "level", metres(0, 0))
        .sensor("avon-2", "level", metres(9_000, 0))
        .sensor("avon-far", "level", metres(60_000, 0))
        .sensor("stour", "level", metres(100, 0))
        .node("avon-1", |node| node.river = on("Avon"))
        .node("avon-2", |node| node.river = on("Avon"))
        .node("avon-far", |node| node.river = on("Avon"))
        .node("stour", |node| node.river = on("Stour"))
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["high"], |rule| {
            rule.along.river_m = Some(10_000);
        });
    check_with(
        &builder.build(),
        "10:00 avon-1 4
         10:01 avon-2 4
         10:02 stour 4
         10:03 avon-far 4",
        &expect![[r#"
            10:00 opened flood#1 moderate: avon-1 4
            10:01 updated flood#1 moderate 2 sensors: avon-2 4 8987 m
            10:02 opened flood#2 moderate: stour 4
            10:03 opened flood#3 moderate: avon-far 4
        "#]],
    );
}

#[test]
fn a_front_joins_those_whom_it_can_have_reached_when_they_noticed_it() {
    let builder = BundleBuilder::new()
        .sensor("near", "shake", metres(0, 0))
        .sensor("far", "shake", metres(20_000, 0))
        .sensor("lorry", "shake", metres(1_000, 0))
        .threshold("shaking", "shake", &[(Moderate, 1.0)], |_| ())
        .report("report", "report", Moderate, Millis::minutes(30))
        .correlation("quakes", "quake", &["shaking", "report"], |rule| {
            rule.within_m = 30_000;
            rule.front = Some(Front {
                tolerance: Millis::seconds(2),
                speed_m_per_s: Some(3_500),
                of: Vec::new(),
            });
        });
    check_with(
        &builder.build(),
        "10:00:00 near 1.5
         10:00:07 far 1.5
         10:00:20 lorry 1.5
         10:03:00 one 5 kind=report at=100,0 observed=10:00:01
         10:03:10 two 5 kind=report at=0,100 observed=10:02:30
         10:03:20 three 5 kind=report at=0,100 observed=10:02:31",
        &expect![[r#"
            10:00 opened quake#1 moderate: near 1.5
            10:00:07 updated quake#1 moderate 2 sensors: far 1.5 19970 m
            10:00:20 opened quake#2 moderate: lorry 1.5
            10:03 updated quake#1 moderate 3 sensors: one 5 100 m
            10:03:10 opened quake#3 moderate: two 5
            10:03:20 updated quake#3 moderate 2 sensors: three 5
        "#]],
    );
}

#[test]
fn what_is_stale_opens_nothing_where_its_sensor_was_abnormal_long_before() {
    let rules = BundleBuilder::new()
        .sensor("gauge", "level", metres(0, 0))
        .threshold("high", "level", &[(Moderate, 3.0)], |rule| {
            rule.readings_min = 2;
        })
        .threshold("seen-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["high", "seen-high"], |rule| {
            rule.weights = vec![2, 1];
            rule.sources_min = 2;
            rule.stale_after = Some(Millis::minutes(90));
        });
    check_with(
        &rules.build(),
        // A snapshot of a country now and then: what it saw in the first is what the second repeats.
        "08:00 gauge 3.5 observed=07:45
         18:00 gauge 3.6 observed=08:15
         18:15 gauge 3.6 observed=18:00",
        &expect![[r#"
            18:15 opened flood#1 moderate: gauge 3.5, gauge 3.6
        "#]],
    );
}

#[test]
fn what_is_stale_opens_nothing_and_joins_nothing() {
    let builder = BundleBuilder::new()
        .sensor("gauge", "level", metres(0, 0))
        .sensor("stale", "level", metres(300, 0))
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .threshold("lasting", "level", &[(Moderate, 3.0)], |rule| {
            rule.readings_min = 2;
            rule.lasting = Millis::minutes(2);
        })
        .report("call", "call", Moderate, Millis::minutes(30))
        .correlation("floods", "flood", &["high", "call"], |rule| {
            rule.within = Millis::minutes(90);
            rule.stale_after = Some(Millis::minutes(90));
        })
        .correlation("long-floods", "long_flood", &["lasting"], |rule| {
            rule.within = Millis::minutes(90);
            rule.stale_after = Some(Millis::minutes(90));
        });
    // By time alone too. A gauge that was offline sends its backlog: what is fresh counts. One that
    // is part of what goes on is heard however late.
    check_with(
        &builder.build(),
        "08:00 stale 4 observed=02:00
         08:01 stale 4 observed=02:15
         08:04 tick
         09:00 caller 1 kind=call at=0,100 observed=07:20
         10:00 gauge 4 observed=05:00
         10:00 gauge 4.5 observed=09:50
         10:01 gauge 4 observed=09:59
         10:02 caller 1 kind=call at=0,100 observed=08:31
         10:03 caller 2 kind=call at=0,100 observed=08:34
         10:04 stale 4 observed=10:03
         10:05 stale 4.2 observed=04:00",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge 4.5
            10:01 updated flood#1 moderate: gauge 4
            10:02 opened long_flood#1 moderate: gauge 4, gauge 4.5, gauge 4
            10:03 updated flood#1 moderate 2 sensors: caller 2 100 m
            10:04 updated flood#1 moderate 3 sensors: stale 4 299 m
            10:04 updated long_flood#1 moderate 2 sensors: stale 4 299 m
            10:05 updated flood#1 moderate 3 sensors: stale 4.2
            10:05 updated long_flood#1 moderate 2 sensors: stale 4.2
        "#]],
    );
}

/// A substation with two feeders of its own, and lamps on both; people know of what is dark.
fn nested_city() -> BundleBuilder {
    nested_city_of(Millis::minutes(10))
}

/// The same, where so long is waited for what is fed.
fn nested_city_of(nested_after: Millis) -> BundleBuilder {
    BundleBuilder::new()
        .sensor("substation", "power", metres(0, 0))
        .sensor("feeder-1", "power", metres(1_000, 0))
        .sensor("feeder-2", "power", metres(0, 9_000))
        .sensor("lamp-1", "lamp", metres(3_000, 0))
        .sensor("lamp-2", "lamp", metres(3_100, 0))
        .sensor("lamp-3", "lamp", metres(7_000, 0))
        .sensor("lamp-4", "lamp", metres(0, 9_500))
        .fed_by("feeder-1", "substation")
        .fed_by("feeder-2", "substation")
        .fed_by("lamp-1", "feeder-1")
        .fed_by("lamp-2", "feeder-1")
        .fed_by("lamp-3", "feeder-1")
        .fed_by("lamp-4", "feeder-2")
        .node("substation", |_| ())
        .threshold("no-power", "power", &[(Severe, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .threshold("dark", "lamp", &[(Moderate, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .correlation("outages", "outage", &["no-power", "dark"], |rule| {
            rule.within_m = 500;
            rule.within = Millis::minutes(90);
            rule.weights = vec![3, 1];
            rule.sources_min = 3;
            rule.along = Along {
                fed_by: true,
                nested_after: Some(nested_after),
                ..Along::default()
            };
        })
}

#[test]
fn inv_15_what_stays_dark_when_its_feeder_is_well_again_is_an_outage_of_its_own() {
    // The lamps beside each other are one, the far one another; feeder-2 stays dead with its lamp
    // until it is well too. Who follows in time follows.
    check_with(
        &nested_city().build(),
        "10:00 substation 0
         10:00 feeder-1 0
         10:00 feeder-2 0
         10:01 lamp-1 0
         10:01 lamp-2 0
         10:01 lamp-3 0
         10:01 lamp-4 0
         11:00 substation 1
         11:00 feeder-1 1
         11:05 lamp-2 0
         11:12 lamp-2 1
         11:20 feeder-2 1
         11:21 lamp-4 1
         11:40 lamp-1 1
         11:40 lamp-3 1
         12:30 tick",
        &expect![[r#"
            10:00 opened outage#1 severe: substation 0
            10:00:00.250 updated outage#1 severe 3 sensors: feeder-1 0 by substation, feeder-2 0 by substation
            10:01 updated outage#1 severe 4 sensors: lamp-1 0 by feeder-1
            10:01:00.250 updated outage#1 severe 7 sensors: lamp-2 0 by feeder-1, lamp-3 0 by feeder-1, lamp-4 0 by feeder-2
            11:05 updated outage#1 severe 7 sensors: lamp-2 0
            11:10 opened outage#2 moderate caused by outage#1
            11:10 opened outage#3 severe 2 sensors caused by outage#1
            11:10 opened outage#4 moderate 2 sensors caused by outage#1
            11:10:00.250 updated outage#1 severe 2 sensors
            11:20 cleared outage#1 severe 2 sensors
            11:31 cleared outage#3 severe 2 sensors
            11:50 cleared outage#2 moderate
            11:50 cleared outage#4 moderate 2 sensors
        "#]],
    );
}

/// The same, and two more substations that hang on the same station, each with a lamp.
fn blocks() -> BundleBuilder {
    nested_city()
        .sensor("substation-2", "power", metres(300, 0))
        .sensor("substation-3", "power", metres(-300, 0))
        .without_node("substation")
        .node("station", |_| ())
        .fed_by("substation", "station")
        .fed_by("substation-2", "station")
        .fed_by("substation-3", "station")
        .sensor("lamp-5", "lamp", metres(0, 5_000))
        .sensor("lamp-6", "lamp", metres(0, -5_000))
        .fed_by("lamp-5", "substation-2")
        .fed_by("lamp-6", "substation-3")
}

/// When outages open, and which are caused by another.
fn openings(builder: BundleBuilder, timeline: &str) -> Vec<String> {
    let told = run(&[("first", &builder.build())], timeline);
    let opened = told.lines().filter(|line| line.contains(" opened "));
    opened.map(str::to_owned).collect()
}

/// When those of them open that are caused by another.
fn children(builder: BundleBuilder, timeline: &str) -> Vec<String> {
    let opened = openings(builder, timeline).into_iter();
    let caused = opened.filter(|line| line.contains("caused by"));
    let time = |line: String| line.split(' ').next().map(str::to_owned);
    caused.filter_map(time).collect()
}

const ALL_DARK: &str = "10:00 substation 0
     10:00 substation-2 0
     10:00 substation-3 0
     10:01 lamp-1 0
     10:01 lamp-5 0
     10:01 lamp-6 0
";

#[test]
fn inv_15_what_stays_dark_of_one_block_does_not_wait_until_the_last_is_restored() {
    let restored = "11:00 substation 1
         11:08 substation-2 1
         11:12 lamp-6 1
         11:16 substation-3 1
         12:30 tick";
    assert_eq!(
        openings(blocks(), &format!("{ALL_DARK}{restored}")),
        [
            "10:00 opened outage#1 severe: substation 0",
            "11:10 opened outage#2 moderate caused by outage#1",
            "11:18 opened outage#3 moderate caused by outage#1",
        ]
    );
}

#[test]
fn inv_15_what_goes_dark_below_what_is_well_again_does_not_wait_for_another_block() {
    // The first two blocks are bright again when a fuse of one of their lamps blows, and the third is dark
    // for hours.
    let restored = "11:00 substation 1
         11:00 substation-2 1
         11:02 lamp-1 1
         11:02 lamp-5 1
         11:30 lamp-1 0
         13:00 substation-3 1
         13:01 lamp-6 1
         13:30 tick";
    assert_eq!(
        openings(blocks(), &format!("{ALL_DARK}{restored}")),
        [
            "10:00 opened outage#1 severe: substation 0",
            "11:40 opened outage#2 moderate caused by outage#1",
        ]
    );
}

#[test]
fn inv_15_what_feeds_it_directly_has_been_well_for_as_long() {
    let restored = "10:00 feeder-1 0
         11:00 substation 1
         11:00 substation-2 1
         11:00 substation-3 1
         11:08 feeder-1 1
         11:09 lamp-5 1
         11:09 lamp-6 1
         12:30 tick";
    assert_eq!(
        openings(blocks(), &format!("{ALL_DARK}{restored}")),
        [
            "10:00 opened outage#1 severe: substation 0",
            "11:18 opened outage#2 moderate caused by outage#1",
        ]
    );
}

/// Seventy lamps of the first substation, one after the other in order of their names and far from each
/// other, so that it takes three steps until all have parted.
fn row(builder: BundleBuilder) -> (BundleBuilder, String) {
    let (mut builder, mut dark) = (builder, String::new());
    for lamp in 0..70 {
        let id = format!("row-{lamp:02}");
        let place = metres(20_000 + lamp * 1_000, 0);
        builder = builder.sensor(&id, "lamp", place).fed_by(&id, "substation");
        dark += &format!("10:01 {id} 0\n");
    }
    (builder, dark)
}

#[test]
fn inv_15_what_ripens_while_others_part_in_steps_is_not_forgotten() {
    // The one lamp comes first by its name, and has been passed when it is ripe; the feeder of the other
    // has been, and is restored then.
    let (builder, row) = row(blocks());
    let builder = builder
        .sensor("a-lamp", "lamp", metres(0, 50_000))
        .fed_by("a-lamp", "substation-2")
        .sensor("a-feeder", "power", metres(0, 0))
        .fed_by("a-feeder", "station")
        .sensor("b-lamp", "lamp", metres(0, 60_000))
        .fed_by("b-lamp", "a-feeder");
    let timeline = format!(
        "{ALL_DARK}10:00 a-feeder 0
         10:01 a-lamp 0
         10:01 b-lamp 0
         {row}
         11:00:00 substation 1
         11:00:00.002 substation-2 1
         11:01 lamp-5 1
         11:10 tick
         11:10:00.001 a-feeder 1
         11:10:00.002 tick
         12:30 tick"
    );
    let opened = children(builder, &timeline);
    // The first lamp and those of the row, and then these.
    assert_eq!(opened.len(), 71 + 2, "{opened:?}");
    let in_steps = opened[..71].iter();
    assert_eq!(
        Vec::from_iter(in_steps.collect::<BTreeSet<_>>()),
        ["11:10", "11:10:00.001", "11:10:00.002"]
    );
    assert_eq!(opened[71..], ["11:11:00.002", "11:20:00.001"]);
}

#[test]
fn inv_15_nobody_follows_while_nobody_listens() {
    let restored = "11:00 substation 1
         11:05 substation-2 1
         11:36 started after=11:06
         12:30 tick";
    // Four minutes of the ten are left of the one, and nine of the other.
    assert_eq!(
        openings(blocks(), &format!("{ALL_DARK}{restored}")),
        [
            "10:00 opened outage#1 severe: substation 0",
            "11:40 opened outage#2 moderate caused by outage#1",
            "11:45 opened outage#3 moderate caused by outage#1",
        ]
    );
}

#[test]
fn p5_blocks_that_are_restored_one_after_the_other_part_in_rounds_a_minute_apart() {
    let mut builder = blocks();
    let mut timeline = ALL_DARK.to_owned();
    for block in 0..40 {
        let (feeder, lamp) = (format!("block-{block}"), format!("of-{block}"));
        builder = builder
            .sensor(&feeder, "power", metres(0, 0))
            .fed_by(&feeder, "station")
            .sensor(&lamp, "lamp", metres(20_000 + block * 1_000, 0))
            .fed_by(&lamp, &feeder);
        let (minute, second) = (2 * block / 60, 2 * block % 60);
        timeline += &format!("10:00 {feeder} 0\n10:01 {lamp} 0\n");
        timeline += &format!("11:{minute:02}:{second:02} {feeder} 1\n");
    }
    timeline += "12:30 tick";
    let opened = children(builder, &timeline);
    assert_eq!(opened.len(), 40, "{opened:?}");
    let rounds: BTreeSet<_> = opened.iter().collect();
    assert_eq!(Vec::from_iter(rounds), ["11:10", "11:11", "11:12"]);
}

/// The first two feeders fail, each with a lamp, and are restored then; two outages that a person says
/// are one.
fn two_outages(restored: [&str; 2], merged: &str) -> Vec<String> {
    let [one, two] = restored;
    openings(
        nested_city(),
        &format!(
            "09:59 substation 1
             10:00 feeder-1 0
             10:01 feeder-2 0
             10:02 lamp-1 0
             10:02 lamp-4 0
             {one} feeder-1 1
             {two} feeder-2 1
             {merged} do merge outage#1 other=outage#2
             12:30 tick"
        ),
    )
}

#[test]
fn inv_15_what_stays_dark_of_either_of_two_that_become_one_parts_when_it_would_have() {
    let opened = |first: &str, second: &str| {
        [
            "10:00 opened outage#1 severe: feeder-1 0".to_owned(),
            "10:01 opened outage#2 severe: feeder-2 0".to_owned(),
            format!("{first} opened outage#3 moderate caused by outage#1"),
            format!("{second} opened outage#4 moderate caused by outage#1"),
        ]
    };
    assert_eq!(
        two_outages(["11:00", "11:06"], "11:08"),
        opened("11:10", "11:16")
    );
    assert_eq!(
        two_outages(["11:06", "11:00"], "11:08"),
        opened("11:10", "11:16")
    );
    // Of the one all has parted by then.
    assert_eq!(
        two_outages(["11:00", "11:09"], "11:12"),
        [
            "10:00 opened outage#1 severe: feeder-1 0",
            "10:01 opened outage#2 severe: feeder-2 0",
            "11:10 opened outage#3 moderate caused by outage#1",
            "11:19 opened outage#4 moderate caused by outage#1"
        ]
    );
}

#[test]
fn inv_15_what_stays_dark_parts_also_from_what_a_person_has_split() {
    let timeline = |split: &str| {
        format!(
            "10:00 substation 0
             10:00 feeder-1 0
             10:00 feeder-2 0
             10:02 lamp-1 0
             10:02 lamp-4 0
             11:00 substation 1
             11:00 feeder-1 1
             11:00 feeder-2 1
             11:05 {split}
             12:30 tick"
        )
    };
    let opened = openings(
        nested_city(),
        &timeline("do split outage#1 sources=feeder-2,lamp-4"),
    );
    assert_eq!(
        opened,
        [
            "10:00 opened outage#1 severe: substation 0",
            "11:10 opened outage#3 moderate caused by outage#1",
            "11:10 opened outage#4 moderate caused by outage#2",
        ]
    );
}

#[test]
fn a_lamp_that_another_city_hangs_on_nothing_does_not_part() {
    let first = blocks().build();
    let second = blocks().without_node("lamp-1").build();
    let timeline = format!(
        "{ALL_DARK}11:00 substation 1
         11:02 substation-2 1
         11:05 reload second
         12:30 tick"
    );
    let told = run(&[("first", &first), ("second", &second)], &timeline);
    let opened: Vec<_> = told
        .lines()
        .filter(|line| line.contains(" opened "))
        .collect();
    assert_eq!(
        opened,
        [
            "10:00 opened outage#1 severe: substation 0",
            "11:12 opened outage#2 moderate caused by outage#1",
        ]
    );
}

/// A street of forty meters below the first feeder, and a lamp, in a city that waits two hours for
/// what is fed.
fn patient_street() -> BundleBuilder {
    let mut builder = nested_city_of(Millis::minutes(120))
        .silence("meter-silent", "meter", 3, Millis::minutes(5))
        .fed_by("street", "feeder-1")
        .site_silence("feeder-unheard", SiteBy::Feeder, |site| {
            site.explained_by = vec!["no-power".parse().unwrap()];
        });
    for number in 0..40 {
        let id = format!("meter-{number:02}");
        builder = builder
            .sensor_with(&id, "meter", |sensor| {
                sensor.position = Some(metres(2_000, 10 * number));
                sensor.interval = Some(Millis::minutes(1));
            })
            .fed_by(&id, "street");
    }
    builder
}

#[test]
fn inv_15_what_is_to_part_does_before_its_outage_is_forgotten_however_many_steps_that_takes() {
    let mut timeline = String::from(
        "10:01 feeder-1 0
         10:02 lamp-1 0
         11:00 feeder-1 1
         11:05 lamp-1 1
         14:00 tick\n",
    );
    for number in 0..40 {
        timeline += &format!("10:00 meter-{number:02} 1\n12:30-12:50/1 meter-{number:02} 1\n");
    }
    let told = run(&[("first", &patient_street().build())], &timeline);
    let of_outages = told.lines().filter(|line| line.contains(" outage#"));
    let of_outages: Vec<_> = of_outages.collect();
    // Over at 11:15, and forgotten half an hour later; the last of them have spoken when it is well.
    expect![[r#"
        10:01 opened outage#1 severe: feeder-1 0
        10:02 updated outage#1 severe 2 sensors: lamp-1 0 by feeder-1
        11:15 cleared outage#1 severe 2 sensors
        11:44:59.999 opened outage#2 moderate 32 sensors caused by outage#1
        12:30 reopened outage#2 moderate 40 sensors
        12:40 cleared outage#2 moderate 40 sensors
    "#]]
    .assert_eq(&(of_outages.join("\n") + "\n"));
}

#[test]
fn what_hangs_on_a_feeder_that_is_dead_again_stays_with_it() {
    check_with(
        &nested_city().build(),
        "10:00 feeder-1 0
         10:01 lamp-1 0
         11:00 feeder-1 1
         11:08 feeder-1 0
         11:30 feeder-1 1
         11:35 lamp-1 1
         12:30 tick",
        &expect![[r#"
            10:00 opened outage#1 severe: feeder-1 0
            10:01 updated outage#1 severe 2 sensors: lamp-1 0 by feeder-1
            11:08 updated outage#1 severe 2 sensors: feeder-1 0 by feeder-1
            11:45 cleared outage#1 severe 2 sensors
        "#]],
    );
}

#[test]
fn who_is_distrusted_parts_when_he_is_believed() {
    // Both go dark with their feeder, and one chatters. Of that nobody is told before it is believed,
    // and has not followed in ten minutes more.
    let doubting = nested_city().flapping("lamp-flaps", "lamp", 25, 10);
    let told = run(
        &[("first", &doubting.build())],
        "09:59 lamp-3 1
         10:00 feeder-1 0
         10:01 lamp-1 0
         10:01 lamp-3 0
         10:09-10:29/2 lamp-3 1
         10:10-10:30/2 lamp-3 0
         11:00 feeder-1 1
         11:15-12:10/2 lamp-3 0
         13:00 tick",
    );
    let told = told.lines().filter(|line| !line.contains(" updated "));
    let told: Vec<_> = told.collect();
    expect![[r#"
        10:00 opened outage#1 severe: feeder-1 0
        10:12 faulty lamp-3 flapping distrusted: lamp-3 0
        11:10 opened outage#2 moderate caused by outage#1
        11:20 cleared outage#1 severe 2 sensors
        11:49 sound lamp-3 flapping: lamp-3 0
        11:49 reopened outage#1 moderate episode 2 2 sensors: lamp-3 0
        11:59 opened outage#3 moderate caused by outage#1
        12:09 cleared outage#1 moderate episode 2
    "#]]
    .assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn who_is_silent_when_its_feeder_is_well_again_parts_when_it_speaks_and_is_dark() {
    let heard = nested_city()
        .sensor_with("lamp-9", "lamp", |sensor| {
            sensor.position = Some(metres(3_000, 0));
            sensor.interval = Some(Millis::minutes(5));
        })
        .fed_by("lamp-9", "feeder-1")
        .silence("lamp-silent", "lamp", 3, Millis::minutes(15));
    check_with(
        &heard.build(),
        "10:00 feeder-1 0
         10:01 lamp-9 0
         11:00 feeder-1 1
         11:30 lamp-9 0
         11:35 lamp-9 0
         11:45 lamp-9 0",
        &expect![[r#"
            10:00 opened outage#1 severe: feeder-1 0
            10:01 updated outage#1 severe 2 sensors: lamp-9 0 by feeder-1
            10:16 sensor_silent lamp-9 last heard 10:01
            11:00 unknown outage#1 severe 2 sensors
            11:30 sensor_returned lamp-9 last heard 10:01
            11:30 reopened outage#1 severe 2 sensors: lamp-9 0
            11:35 updated outage#1 severe 2 sensors: lamp-9 0
            11:40 opened outage#2 moderate caused by outage#1
            11:40:00.250 updated outage#1 severe
            11:45 updated outage#2 moderate: lamp-9 0
        "#]],
    );
}

/// The same city, with two streets below the first feeder of which meters are heard each minute: three
/// in the one, ten in the other.
fn streets() -> Arc<Bundle> {
    let mut builder = nested_city()
        .silence("meter-silent", "meter", 3, Millis::minutes(5))
        .fed_by("street-a", "feeder-1")
        .fed_by("street-b", "feeder-1")
        .site_silence("feeder-unheard", SiteBy::Feeder, |site| {
            site.explained_by = vec!["no-power".parse().unwrap()];
        });
    for (street, meters) in [("a", 3), ("b", 10)] {
        for number in 0..meters {
            let id = format!("meter-{street}{number}");
            builder = builder
                .sensor_with(&id, "meter", |sensor| {
                    sensor.position = Some(metres(2_000, 100 * number));
                    sensor.interval = Some(Millis::minutes(1));
                })
                .fed_by(&id, &format!("street-{street}"));
        }
    }
    builder.build()
}

/// What is told of incidents and sites when the first feeder fails at 10:01 and these meters are heard.
fn told_of_streets(feeder_well: &str, heard: &[(&str, &str)]) -> String {
    let street_b: Vec<_> = (0..10).map(|number| format!("meter-b{number}")).collect();
    let mut timeline = format!("10:01 feeder-1 0\n{feeder_well} feeder-1 1\n14:00 tick\n");
    let before = ["meter-a0", "meter-a1", "meter-a2"];
    let before = before
        .into_iter()
        .chain(street_b.iter().map(String::as_str));
    for meter in before {
        timeline += &format!("09:50-10:00/1 {meter} 1\n");
    }
    for meter in &street_b {
        timeline += &format!("11:01-13:50/1 {meter} 1\n");
    }
    for (meter, times) in heard {
        timeline += &format!("{times} {meter} 1\n");
    }
    let told = run(&[("first", &streets())], &timeline);
    let of_streets = told.lines().filter(|line| {
        let words = ["opened", "unknown", "reopened", "cleared", "site_"];
        words.iter().any(|word| line.contains(word)) && !line.starts_with("13:5")
    });
    of_streets.map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn inv_15_a_street_that_fell_silent_in_an_outage_and_stays_so_is_an_outage_of_its_own() {
    // Nobody says that it is dark: its meters have no power to. It is unknown until they speak, and
    // over when they have been heard.
    let spoke = [
        ("meter-a0", "12:00-13:50/1"),
        ("meter-a1", "12:01-13:50/1"),
        ("meter-a2", "12:02-13:50/1"),
    ];
    expect![[r#"
        10:01 opened outage#1 severe: feeder-1 0
        10:05 site_silent feeder feeder-1: 7 of 13, explained by no-power
        11:01 site_returned feeder feeder-1: 3 of 13, explained by no-power
        11:10 cleared outage#1 severe
        11:10 opened outage#2 moderate 3 sensors caused by outage#1
        12:02 reopened outage#2 moderate 3 sensors
        12:12 cleared outage#2 moderate 3 sensors
    "#]]
    .assert_eq(&told_of_streets("11:00", &spoke));
}

#[test]
fn inv_15_a_street_whose_silence_is_found_when_its_feeder_is_well_has_as_long_to_speak() {
    // A short outage: nobody is missed before it is over.
    expect![[r#"
        10:01 opened outage#1 severe: feeder-1 0
        10:05 site_silent feeder feeder-1: 7 of 13, explained by no-power
        10:13 cleared outage#1 severe
        10:13 opened outage#2 moderate 10 sensors caused by outage#1
        10:13 opened outage#3 moderate 3 sensors caused by outage#1
        11:01 site_returned feeder feeder-1: 3 of 13, explained by no-power
        11:01 reopened outage#2 moderate 10 sensors
        11:11 cleared outage#2 moderate 10 sensors
    "#]]
    .assert_eq(&told_of_streets("10:03", &[]));
}

#[test]
fn a_single_sensor_that_stays_silent_after_an_outage_opens_nothing() {
    let spoke = [("meter-a0", "11:05-13:50/1"), ("meter-a2", "11:06-13:50/1")];
    expect![[r#"
        10:01 opened outage#1 severe: feeder-1 0
        10:05 site_silent feeder feeder-1: 7 of 13, explained by no-power
        11:01 site_returned feeder feeder-1: 3 of 13, explained by no-power
        11:10 cleared outage#1 severe
    "#]]
    .assert_eq(&told_of_streets("11:00", &spoke));
}

#[test]
fn p5_many_lamps_part_in_steps_and_none_is_lost() {
    let mut builder = nested_city();
    for lamp in 0..100 {
        let id = format!("row-{lamp:02}");
        let place = metres(20_000 + lamp * 1_000, 0);
        builder = builder.sensor(&id, "lamp", place).fed_by(&id, "feeder-1");
    }
    let mut timeline = String::from("10:00 feeder-1 0\n");
    for lamp in 0..100 {
        timeline += &format!("10:01 row-{lamp:02} 0\n");
    }
    timeline += "11:00 feeder-1 1\n11:10:01 tick\n";
    let told = run(&[("first", &builder.build())], &timeline);
    let opened = told.lines().filter(|line| line.contains("opened")).count();
    assert_eq!(opened, 101, "{told}");
    let steps: BTreeSet<_> = told
        .lines()
        .filter(|line| line.contains("opened") && line.starts_with("11:10"))
        .map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(steps.len(), 4, "32 a step: {told}");
}

#[test]
fn opennms_alec_thousands_of_alarms_of_one_second_are_one_incident() {
    // Each lamp lies by itself and its feeder is measured, so each waits alone until that tells.
    let mut builder = nested_city();
    let (mut dark, mut light) = (String::new(), String::new());
    for lamp in 0..1_500 {
        let id = format!("row-{lamp:04}");
        let place = metres(20_000 + lamp % 40 * 1_000, lamp / 40 * 1_000);
        builder = builder.sensor(&id, "lamp", place).fed_by(&id, "feeder-1");
        dark += &format!("10:00:00 {id} 0\n");
        light += &format!("11:00:00 {id} 1\n");
    }
    let timeline = format!("{dark}10:00:01 feeder-1 0\n{light}11:00:01 feeder-1 1\n12:00 tick\n");
    let told = run(&[("first", &builder.build())], &timeline);
    let told_of = |what: &str| told.lines().filter(|line| line.contains(what)).count();
    let (opened, merged, cleared) = (
        told_of(" opened "),
        told_of(" merged "),
        told_of(" cleared "),
    );
    assert_eq!((opened, merged, cleared), (1, 0, 1), "{told}");
    assert!(
        told.contains("cleared outage#1 severe 1501 sensors"),
        "{told}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Instruments tell when the wave came to them; a lorry passes one of them a minute later.
    #[test]
    fn what_fits_one_wave_is_one_incident_and_what_does_not_is_another(
        stations in prop::collection::vec((-40_000..40_000i32, -40_000..40_000i32), 2..12),
        lorry in any::<prop::sample::Index>(),
    ) {
        let mut builder = BundleBuilder::new();
        let mut timeline = String::new();
        for (number, (east, north)) in stations.iter().enumerate() {
            let id = format!("station-{number}");
            builder = builder.sensor(&id, "shake", metres(*east, *north));
            let square = |metres: i32| i64::from(metres) * i64::from(metres);
            let away = (square(*east) + square(*north)).isqrt();
            timeline += &format!("10:00:{:02} {id} 1.5\n", away / 3_500);
        }
        let (east, north) = stations[lorry.index(stations.len())];
        builder = builder
            .sensor("lorry", "shake", metres(east + 50, north))
            .threshold("shaking", "shake", &[(Moderate, 1.0)], |_| ())
            .correlation("quakes", "quake", &["shaking"], |rule| {
                rule.within_m = 150_000;
                rule.front = Some(Front {
                    tolerance: Millis::seconds(2),
                    speed_m_per_s: Some(3_500),
                    of: Vec::new(),
                });
            });
        timeline += "10:01:20 lorry 1.5\n";
        let told = run(&[("first", &builder.build())], &timeline);
        let opened: Vec<_> = told.lines().filter(|line| line.contains("opened")).collect();
        prop_assert!(opened.len() == 2 && opened[1].contains("lorry"), "{told}");
    }
}

#[test]
fn whose_time_is_not_asked_joins_a_front_and_makes_no_two_of_them_one() {
    let bundle = BundleBuilder::new()
        .sensor("near", "shake", metres(0, 0))
        .sensor("far", "shake", metres(3_000, 0))
        .sensor("lorry", "shake", metres(6_000, 0))
        .threshold("shaking", "shake", &[(Moderate, 1.0)], |_| ())
        .report("felt", "call", Moderate, Millis::minutes(30))
        .correlation("quakes", "quake", &["shaking", "felt"], |rule| {
            rule.within_m = 30_000;
            rule.within = Millis::minutes(30);
            rule.sources_min = 3;
            rule.front = Some(Front {
                tolerance: Millis::seconds(60),
                speed_m_per_s: None,
                of: vec!["shaking".parse().unwrap()],
            });
        })
        .build();
    // What lorries shake one after another and one caller are no quake; two callers more are one,
    // of the lorry that shook last and was nearest.
    check_with(
        &bundle,
        "10:00 near 1.5
         10:05 far 1.5
         10:10 lorry 1.5
         10:11 centre 1 kind=call at=5000,0
         10:12 centre 1 kind=call at=5000,0",
        &expect![[r#"
            10:12 opened quake#1 moderate 3 sensors: lorry 1.5, centre 1 999 m, centre 1
        "#]],
    );
    // Callers may be late, and come first.
    check_with(
        &bundle,
        "10:00 centre 1 kind=call at=100,0
         10:00:30 near 1.5
         10:01:20 far 1.5
         10:14 centre 1 kind=call at=0,0",
        &expect![[r#"
            10:01:20 opened quake#1 moderate 3 sensors: centre 1, near 1.5 100 m, far 1.5 2896 m
            10:14 updated quake#1 moderate 4 sensors: centre 1
        "#]],
    );
}
