//! What several sensors come to together: a percentile, a mean, a vote.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Bundle, Counted, GroupBy, Statistic, Stop, Zone};
use ioc_core::decision::Severity::{Minor, Moderate, Severe};
use ioc_core::limits::{ACROSS_SENSORS_MAX, ACROSS_TOLD_MAX, ACROSS_VALUES_MAX};
use ioc_core::place::Polygon;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::Input;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::{check_with, run};

/// Eight detectors of one station, and two of the next one.
fn station() -> BundleBuilder {
    let mut builder = BundleBuilder::new();
    for number in 1..=10 {
        let id = format!("gas-{number:02}");
        builder = builder
            .sensor(&id, "gas", metres(number * 20, 0))
            .node(&id, |node| {
                node.stop = Some(Stop {
                    line: "green".into(),
                    order: if number <= 8 { 4 } else { 5 },
                });
            });
    }
    builder
}

fn vote() -> Arc<Bundle> {
    station()
        .threshold("gas-vote", "gas", &[(Severe, 10.0)], |rule| {
            rule.clear_gap = 5.0;
        })
        .across((GroupBy::Stop, Statistic::Vote(3)), |rule| {
            rule.sensors_min = 3;
        })
        .correlation("leak", "gas_leak", &["gas-vote"], |rule| {
            rule.clear_after = Millis::minutes(2);
        })
        .build()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(bundle: &Arc<Bundle>, timeline: &str, expected: Expect) {
    check_with(bundle, timeline, &expected);
}

#[test]
fn s3_three_of_eight_detectors_of_one_station_agree() {
    check(
        &vote(),
        "10:00-10:20/1 gas-01 1
         10:00-10:20/1 gas-02 1
         10:00-10:02/1 gas-03 1
         10:00-10:03/1 gas-04 1
         10:00-10:05/1 gas-05 1
         10:03-10:10/1 gas-03 12
         10:04-10:10/1 gas-04 14
         10:06-10:10/1 gas-05 11
         10:11-10:20/1 gas-03 4
         10:11-10:20/1 gas-04 4
         10:11-10:20/1 gas-05 4",
        expect![[r#"
            10:06:44.522 opened gas_leak#1 severe 3 sensors: gas-03 12, gas-04 14 20 m, gas-05 11 20 m
            10:07:44.522 updated gas_leak#1 severe 3 sensors: gas-03 12, gas-04 14, gas-05 11
            10:08:44.522 updated gas_leak#1 severe 3 sensors: gas-03 12, gas-04 14, gas-05 11
            10:09:44.522 updated gas_leak#1 severe 3 sensors: gas-03 12, gas-04 14, gas-05 11
            10:10:44.522 updated gas_leak#1 severe 3 sensors: gas-03 12, gas-04 14, gas-05 11
            10:13:44.522 cleared gas_leak#1 severe 3 sensors
        "#]],
    );
}

#[test]
fn s3_two_at_one_station_and_one_at_the_next_do_not() {
    check(
        &vote(),
        "10:00-10:20/1 gas-01 12
         10:00-10:20/1 gas-02 14
         10:00-10:20/1 gas-03 1
         10:00-10:20/1 gas-09 20
         10:00-10:20/1 gas-10 1",
        expect![[r#""#]],
    );
}

/// Stations of the air in two zones that are parts of one district.
fn air(of: Statistic) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new();
    for (zone, east) in [("a", 0), ("b", 5_000)] {
        let ring = [(0, 0), (4_000, 0), (4_000, 4_000), (0, 4_000), (0, 0)];
        let ring = ring.map(|(x, y)| metres(east + x, y));
        builder = builder.zone(Zone {
            id: zone.parse().unwrap(),
            name: zone.to_uppercase(),
            parent: Some("district".parse().unwrap()),
            areas: vec![Polygon::new(ring.to_vec()).unwrap()],
        });
    }
    for number in 0..10 {
        let east = number % 2 * 5_000 + 500;
        builder = builder.sensor(&format!("air-{number}"), "pm25", metres(east, number * 300));
    }
    builder
        .threshold("district-haze", "pm25", &[(Moderate, 150.0)], |rule| {
            rule.clear_gap = 30.0;
            rule.readings_min = 2;
        })
        .across((GroupBy::ParentZone, of), |rule| rule.sensors_min = 5)
        .correlation("haze", "haze", &["district-haze"], |rule| {
            rule.within_m = 20_000;
            rule.clear_after = Millis::minutes(3);
        })
        .build()
}

fn of_all(values: &str, times: &str) -> String {
    let mut timeline = String::new();
    for (number, value) in values.split(' ').enumerate() {
        writeln!(timeline, "{times} air-{number} {value}").unwrap();
    }
    timeline
}

#[test]
fn s5_the_nine_tenths_of_a_district_and_neither_one_fire_nor_few_stations() {
    let bundle = air(Statistic::Percentile(90));
    check(
        &bundle,
        &of_all("200 90 90 90 90 90 90 90 90 90", "10:00-10:10/1"),
        expect![[r#""#]],
    );
    check(
        &bundle,
        &of_all("200 160 90 90 90 90 90 90 90 90", "10:00-10:10/1"),
        expect![[r#"
            10:01:42.418 opened haze#1 moderate 2 sensors: air-0 200, air-1 160 5001 m
            10:02:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
            10:03:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
            10:04:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
            10:05:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
            10:06:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
            10:07:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
            10:08:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
            10:09:42.418 updated haze#1 moderate 2 sensors: air-0 200, air-1 160
        "#]],
    );
    check(
        &bundle,
        &of_all("200 200 200 200", "10:00-10:10/1"),
        expect![[r#""#]],
    );
}

#[test]
fn a_value_counts_while_it_is_fresh_and_too_few_change_nothing() {
    let day = of_all("200 160 200 200 200", "10:00-10:04/1") + "10:30-10:40/1 air-0 20";
    check(
        &air(Statistic::Mean),
        &day,
        expect![[r#"
        10:01:42.418 opened haze#1 moderate 5 sensors: air-0 200, air-1 160 5001 m, air-2 200 600 m, air-3 200 600 m, air-4 200 600 m
        10:02:42.418 updated haze#1 moderate 5 sensors: air-0 200, air-1 160, air-2 200, air-3 200, air-4 200
        10:03:42.418 updated haze#1 moderate 5 sensors: air-0 200, air-1 160, air-2 200, air-3 200, air-4 200
        10:04:42.418 updated haze#1 moderate 5 sensors: air-0 200, air-1 160, air-2 200, air-3 200, air-4 200
    "#]],
    );
}

#[test]
fn inv_19_readings_in_any_order_within_the_lateness_come_to_the_same() {
    let bundle = air(Statistic::Mean);
    let in_order: Vec<String> = (0..8)
        .flat_map(|minute| (0..6).map(move |air| (minute, air)))
        .map(|(minute, air)| {
            let value = 120 + minute * 10 + air * 3;
            let (second, late) = (20 + air, 20 + (air * 5 + minute) % 9);
            format!(
                "10:{minute:02}:{late:02} air-{air} {value} id=r{minute}-{air} observed=10:{minute:02}:{second:02}"
            )
        })
        .collect();
    let told = |timeline: &str| run(&[("first", &bundle)], timeline);
    let one = told(&in_order.join("\n"));
    let mut otherwise = in_order.clone();
    otherwise.reverse();
    let later = |line: &String| {
        let (time, rest) = line.split_once(' ').unwrap();
        format!("{}28 {rest}", &time[..6])
    };
    let otherwise: Vec<_> = otherwise.iter().map(later).collect();
    assert!(one.contains("opened haze#1"), "{one}");
    assert_eq!(one, told(&otherwise.join("\n")));
}

fn say(history: &mut History, at: Millis, sensor: &str, value: f64) {
    let reading = Reading {
        id: &format!("{}", at.0),
        sensor,
        kind: "pm25",
        observed_at: MIDNIGHT + at,
        received_at: None,
        value,
        unit: "",
        position: Some(metres(0, 0)),
        attributes: Attributes::default(),
    };
    history.push(MIDNIGHT + at, &Input::Reading(reading));
}

#[test]
fn p5_a_group_takes_in_so_many_sensors_and_tells_of_so_many() {
    let bundle = BundleBuilder::new()
        .threshold("city-haze", "pm25", &[(Moderate, 150.0)], |_| ())
        .across((GroupBy::City, Statistic::Mean), |rule| {
            rule.fresh = Millis::minutes(30);
        })
        .correlation("haze", "haze", &["city-haze"], |_| ())
        .build();
    let mut history = History::new(bundle);
    for number in 0..ACROSS_SENSORS_MAX + 5 {
        say(
            &mut history,
            Millis(number as i64),
            &format!("air-{number}"),
            200.0,
        );
    }
    history.push(MIDNIGHT + Millis::minutes(3), &Input::Tick);
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.counters().engine.sequences_over_limit, 5);
    let sensors = decisions
        .iter()
        .filter_map(|decision| decision.verdict.incident());
    let sensors = sensors.map(|incident| incident.sensors).max();
    assert_eq!(sensors, Some(ACROSS_TOLD_MAX as u32));
}

/// Two stations of one district, of which every reading of ten minutes counts.
fn every_reading(of: Statistic) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new();
    for (number, id) in ["air-0", "air-1"].iter().enumerate() {
        builder = builder.sensor(id, "pm25", metres(number as i32 * 300, 0));
    }
    builder
        .threshold("haze-of-all", "pm25", &[(Moderate, 150.0)], |rule| {
            rule.clear_gap = 30.0;
        })
        .across((GroupBy::City, of), |rule| {
            rule.counts = Counted::Readings;
            rule.fresh = Millis::minutes(10);
            rule.sensors_min = 1;
        })
        .correlation("haze", "haze", &["haze-of-all"], |rule| {
            rule.within_m = 20_000;
            rule.clear_after = Millis::minutes(1);
        })
        .build()
}

#[test]
fn s5_a_percentile_is_of_every_reading_of_the_time_and_not_of_the_latest_of_each() {
    // Of ten minutes two are bad: the latest values say so at once, nine tenths of all do not.
    let gust = "10:00-10:20/1 air-0 100
         10:00-10:07/1 air-1 100
         10:08-10:09/1 air-1 400
         10:10-10:20/1 air-1 100";
    check(
        &every_reading(Statistic::Percentile(90)),
        gust,
        expect![[r#""#]],
    );
    let lasting = "10:00-10:30/1 air-0 100
         10:00-10:07/1 air-1 100
         10:08-10:14/1 air-1 200
         10:15-10:30/1 air-1 100";
    check(
        &every_reading(Statistic::Percentile(90)),
        lasting,
        expect![[r#"
            10:10:19.829 opened haze#1 moderate: air-1 200
            10:11:19.829 updated haze#1 moderate: air-1 200
            10:12:19.829 updated haze#1 moderate: air-1 200
            10:13:19.829 updated haze#1 moderate: air-1 200
            10:14:19.829 updated haze#1 moderate: air-1 200
            10:23:19.829 cleared haze#1 moderate
        "#]],
    );
}

#[test]
fn s8_so_many_calls_of_one_centre_within_ten_minutes_and_they_end_by_themselves() {
    let bundle = BundleBuilder::new()
        .threshold("calls-flood-in", "call", &[(Minor, 11.0)], |rule| {
            rule.clear_gap = 5.0;
        })
        .across((GroupBy::City, Statistic::Count), |rule| {
            rule.counts = Counted::Readings;
            rule.fresh = Millis::minutes(10);
            rule.sensors_min = 1;
        })
        .correlation("rush", "rush", &["calls-flood-in"], |rule| {
            rule.clear_after = Millis::minutes(1);
        })
        .build();
    // Eleven calls are not enough; of the twelfth on they are, however few callers there are.
    let eleven = "10:00-10:10/1 centre 1 kind=call at=0,0";
    check(&bundle, &format!("{eleven}\n11:00 tick"), expect![[r#""#]]);
    check(
        &bundle,
        "10:00-10:09/1 centre 1 kind=call at=0,0
         10:04:30 centre 1 kind=call at=0,0
         10:05:30 centre 1 kind=call at=0,0
         11:00 tick",
        expect![[r#"
            10:09:19.829 opened rush#1 minor: centre 1
            10:16:19.829 cleared rush#1 minor
        "#]],
    );
}

#[test]
fn inv_19_every_reading_counts_once_in_whatever_order_they_come() {
    for of in [
        Statistic::Percentile(60),
        Statistic::Sum,
        Statistic::Mean,
        Statistic::Percentile(100),
    ] {
        let bundle = every_reading(of);
        let lines: Vec<(i64, i64, String)> = (0..8)
            .flat_map(|minute| (0..6).map(move |number| (minute, number)))
            .map(|(minute, number)| {
                let (air, value) = (number % 2, 120 + minute * 10 + number * 3);
                let line = format!(
                    "air-{air} {value} id=r{minute}-{number} observed=10:{minute:02}:{:02}",
                    20 + number
                );
                (minute, number, line)
            })
            .collect();
        let told = |second: &dyn Fn(i64) -> i64, again: bool| {
            let mut timeline: Vec<_> = lines
                .iter()
                .map(|(minute, number, line)| {
                    format!("10:{minute:02}:{:02} {line}", second(*number))
                })
                .collect();
            if again {
                let twice = lines
                    .iter()
                    .map(|(minute, _, line)| format!("10:{minute:02}:29 {line}"));
                timeline.extend(twice);
            }
            timeline.sort();
            run(&[("first", &bundle)], &timeline.join("\n"))
        };
        let one = told(&|number| 20 + number, false);
        assert!(one.contains("opened haze#1"), "{of:?}: {one}");
        assert_eq!(one, told(&|number| 28 - number, false));
        assert_eq!(one, told(&|number| 28 - number, true));
    }
}

#[test]
fn p5_of_more_different_values_than_are_told_apart_the_percentile_is_near() {
    let mut history = History::new(every_reading(Statistic::Percentile(50)));
    // All that it may be is beyond 150, or none of it is.
    for number in 0..ACROSS_VALUES_MAX as i64 * 8 {
        let value = 140.0 + number as f64 / 256.0;
        say(&mut history, Millis(number), "air-0", value);
    }
    history.push(MIDNIGHT + Millis::minutes(3), &Input::Tick);
    let (_, decisions) = history.judge(&Manner::plain());
    let opened = decisions
        .iter()
        .filter_map(|decision| decision.verdict.incident());
    assert_eq!(opened.count(), 0, "the middle is 148");
}
