//! What else users of other systems suffered from: incidents over several sensors, state that grows,
//! places that nobody thought of, what is over and what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use expect_test::expect;
use ioc_core::bundle::{Along, Counted, Effect, GroupBy, Lag, Statistic, Zone};
use ioc_core::decision::Severity::{Minor, Moderate};
use ioc_core::decision::Verdict;
use ioc_core::place::Polygon;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, Manner, metres};
use crate::timeline::{check_reloading, check_with, history};

/// Three gauges, the third 5 km from the others, that each open a flood when they are high.
fn gauges() -> BundleBuilder {
    BundleBuilder::new()
        .sensor("gauge-1", "level", metres(0, 0))
        .sensor("gauge-2", "level", metres(400, 0))
        .sensor("gauge-3", "level", metres(5_400, 0))
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["high"], |_| ())
}

#[test]
fn thingsboard_8603_what_several_sensors_see_is_one_incident() {
    check_with(
        &gauges().build(),
        "10:00 gauge-1 3.1
         10:01 gauge-2 3.2
         10:02 gauge-3 3.3
         10:10 gauge-1 1.0
         10:25 gauge-2 1.0
         10:40 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.1
            10:01 updated flood#1 moderate 2 sensors: gauge-2 3.2 399 m
            10:02 opened flood#2 moderate: gauge-3 3.3
            10:35 cleared flood#1 moderate 2 sensors
        "#]],
    );
}

#[test]
fn thingsboard_11566_a_zone_has_several_areas_and_what_moves_is_in_the_one_that_it_enters() {
    let area = |east: i32| {
        let corners = [(0, 0), (1_000, 0), (1_000, 1_000), (0, 1_000), (0, 0)];
        let ring = corners.map(|(x, y)| metres(east + x, y));
        Polygon::new(ring.to_vec()).unwrap()
    };
    let zone = |id: &str, areas: Vec<Polygon>| Zone {
        id: id.parse().unwrap(),
        name: id.into(),
        parent: None,
        areas,
    };
    let bundle = BundleBuilder::new()
        .zone(zone("banks", vec![area(0), area(20_000)]))
        .zone(zone("island", vec![area(10_000)]))
        .threshold("smoke", "smoke", &[(Moderate, 3.0)], |_| ())
        .correlation("fires", "fire", &["smoke"], |_| ());
    let story = "10:00 van-1 4 kind=smoke at=500,500
         10:00 van-2 4 kind=smoke at=10500,500
         10:00 van-3 4 kind=smoke at=20500,500
         10:00 van-4 4 kind=smoke at=30500,500";
    let outcome = history(&[("first", &bundle.build())], story).run(&Manner::plain());
    let zones = outcome
        .decisions
        .iter()
        .filter_map(|decision| match &decision.verdict {
            Verdict::IncidentOpened(incident) => Some(incident.zone.as_str()),
            _ => None,
        });
    assert_eq!(zones.collect::<Vec<_>>(), ["banks", "island", "banks", "_"]);
}

#[test]
fn siddhi_777_what_lies_in_no_group_is_judged_all_the_same() {
    // It is in no zone, on no feeder and behind no gateway, and its value between no two levels.
    check_with(
        &gauges().build(),
        "10:00 stray 7.5 kind=level at=90000,0
         10:01 nowhere 7.5 kind=level",
        &expect![[r#"
            10:00 opened flood#1 moderate: stray 7.5
            10:01 opened flood#2 moderate: nowhere 7.5
        "#]],
    );
}

#[test]
fn thingsboard_7811_what_is_over_for_good_is_not_used_again() {
    check_with(
        &gauges().build(),
        "10:00 gauge-1 3.1
         10:05 gauge-1 1.0
         10:30 gauge-1 3.1
         10:35 gauge-1 1.0
         11:30 gauge-1 3.1",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.1
            10:15 cleared flood#1 moderate
            10:30 reopened flood#1 moderate episode 2: gauge-1 3.1
            10:45 cleared flood#1 moderate episode 2
            11:30 opened flood#2 moderate: gauge-1 3.1
        "#]],
    );
}

#[test]
fn keep_5212_who_is_normal_again_does_not_count() {
    let bundle = gauges().without_correlation("floods");
    let bundle = bundle.correlation("floods", "flood", &["high"], |rule| rule.sources_min = 2);
    check_with(
        &bundle.build(),
        "10:00 gauge-1 3.1
         10:01 gauge-1 1.0
         10:02 gauge-2 3.1
         10:03 gauge-1 3.1",
        &expect![[r#"
            10:03 opened flood#1 moderate 2 sensors: gauge-2 3.1, gauge-1 3.1 399 m
        "#]],
    );
}

#[test]
fn alertmanager_1860_who_has_seen_it_says_so_and_nobody_else_is_called() {
    let bundle = gauges().handling(|rules| {
        rules.acknowledge_within = [Some(Millis::minutes(10)); 5];
    });
    check_with(
        &bundle.build(),
        "10:00 gauge-1 3.1
         10:00 gauge-3 3.1
         10:05 ack flood#1 by=ana request=1
         10:12 started after=10:11
         10:45 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.1
            10:00 opened flood#2 moderate: gauge-3 3.1
            10:05 acknowledged flood#1 moderate by ana
            10:10 escalated flood#2 moderate to shift_supervisor
            10:20 escalated flood#2 moderate to duty_officer
            10:30 escalated flood#2 moderate to phone_tree
        "#]],
    );
}

#[test]
fn siddhi_1256_flink_16431_24084_esper_263_what_was_awaited_leaves_nothing_behind() {
    // A train that leaves is followed by one that arrives, again and again: nothing is missing, and
    // nothing of those that are through is kept.
    let bundle = BundleBuilder::new()
        .sensor("north", "leaves", metres(0, 0))
        .sensor("south", "arrives", metres(100, 0))
        .threshold("left", "leaves", &[(Minor, 0.5)], |_| ())
        .threshold("arrived", "arrives", &[(Minor, 0.5)], |_| ())
        .sequence("missing", ("left", "arrived"), |rule| {
            rule.absent = true;
            rule.within = Millis::minutes(5);
        })
        .correlation("trains", "missing_train", &["missing"], |_| ())
        .build();
    let state_after = |last: &str| {
        let story = format!(
            "00:00-{last}:00/10 north 1
             00:01-{last}:01/10 north 0
             00:02-{last}:02/10 south 1
             00:03-{last}:03/10 south 0
             {last}:30 tick"
        );
        let (judgement, decisions) = history(&[("first", &bundle)], &story).judge(&Manner::plain());
        assert_eq!(decisions.len(), 1, "only that rules hold: {decisions:?}");
        let mut bytes = Vec::new();
        judgement.save(&mut bytes);
        bytes.len()
    };
    assert_eq!(state_after("10"), state_after("22"));
}

#[test]
fn alertmanager_3932_4606_thousands_of_alarms_under_86_rules_that_hide_are_each_hidden_by_their_own()
 {
    // 86 substations 10 km apart, each with a rule of its own by which it explains alarms within 1 km;
    // of those some come before it fails and some after.
    const RULES: usize = 86;
    const ALARMS: usize = 24;
    let mut city = BundleBuilder::new()
        .threshold("stands", "pump", &[(Minor, 0.5)], |_| ())
        .correlation("pumps", "pump_failure", &["stands"], |rule| {
            rule.within_m = 10;
        });
    let mut story = String::new();
    for number in 0..RULES {
        let (kind, dark) = (format!("power_{number}"), format!("dark-{number}"));
        let hides = Effect {
            incident: "pump_failure".parse().unwrap(),
            within_m: 1_000,
            along: Along::default(),
            lag: Lag::AfterLast(Millis::minutes(60)),
            before: Millis::minutes(5),
            symptom: true,
        };
        let name = format!("outages-{number}");
        city = city
            .threshold(&dark, &kind, &[(Moderate, 0.5)], |_| ())
            .correlation(&name, &format!("outage_{number}"), &[&dark], |rule| {
                rule.may_cause = vec![hides];
            });
        let east = number * 10_000;
        writeln!(story, "10:01 sub-{number} 1 kind={kind} at={east},0").unwrap();
        for alarm in 0..ALARMS {
            let (minute, east) = (alarm % 3, east + alarm * 20);
            writeln!(
                story,
                "10:0{minute} pump-{number}-{alarm} 1 kind=pump at={east},100"
            )
            .unwrap();
        }
    }
    story += "10:03 tick";
    let history = history(&[("first", &city.build())], &story);
    let outcome = history.run(&Manner::plain());
    let mut causes = BTreeMap::new();
    let mut hidden = BTreeMap::new();
    for decision in &outcome.decisions {
        match &decision.verdict {
            Verdict::IncidentOpened(one) if one.kind.as_str() != "pump_failure" => {
                causes.insert(one.id, one.position.unwrap());
            }
            verdict => {
                let pump = verdict.incident().filter(|one| one.suppressed);
                hidden.extend(pump.map(|one| (one.id, one.clone())));
            }
        }
    }
    assert_eq!((causes.len(), hidden.len()), (RULES, RULES * ALARMS));
    for pump in hidden.values() {
        let cause = causes[&pump.parent.unwrap()];
        assert!(cause.distance_m(pump.position.unwrap()) < 1_000);
    }
    // Nobody hears of one by a restart in the middle.
    let restarted = Manner {
        restarts: vec![(history.inputs.len() / 2, 3)],
        ..Manner::plain()
    };
    assert_eq!(history.run(&restarted), outcome);
}

#[test]
fn alertmanager_event_recorder_more_than_8192_decisions_of_one_record_and_none_is_dropped() {
    const SENSORS: usize = 9_000;
    let mut city = BundleBuilder::new().silence("quiet", "level", 2, Millis::minutes(1));
    let mut story = String::new();
    for number in 0..SENSORS {
        let id = format!("gauge-{number}");
        city = city.sensor_with(&id, "level", |sensor| {
            sensor.interval = Some(Millis::minutes(5));
        });
        writeln!(story, "10:00 {id} 1").unwrap();
    }
    story += "12:00 tick";
    let outcome = history(&[("first", &city.build())], &story).run(&Manner::plain());
    let silent = outcome
        .decisions
        .iter()
        .filter_map(|one| match &one.verdict {
            Verdict::SensorSilent(sensor) => Some(&sensor.id),
            _ => None,
        });
    assert_eq!(silent.collect::<BTreeSet<_>>().len(), SENSORS);
    let numbers = outcome.decisions.iter().map(|one| one.seq);
    assert!(numbers.eq(1..=outcome.decisions.len() as u64));
}

#[test]
fn thingsboard_4814_what_several_sensors_measure_adds_up_to_one_alarm() {
    // No station alone has much rain, and none is beyond the level; together it is what the basin
    // cannot hold. So it is of their latest values, and of every reading of a time.
    for (counts, level) in [(Counted::Sensors, 50.0), (Counted::Readings, 90.0)] {
        let mut city = BundleBuilder::new();
        for number in 0..3 {
            city = city.sensor(&format!("rain-{number}"), "rain", metres(number * 300, 0));
        }
        let city = city
            .threshold("basin-full", "rain", &[(Moderate, level)], |_| ())
            .across((GroupBy::City, Statistic::Sum), |rule| {
                rule.counts = counts;
                rule.fresh = Millis::minutes(10);
            })
            .correlation("floods", "flood", &["basin-full"], |_| ())
            .build();
        let story = |third: &str| {
            format!(
                "10:00-10:04/1 rain-0 15
                 10:00-10:04/1 rain-1 20
                 10:02-10:04/1 rain-2 {third}
                 10:30 tick"
            )
        };
        let opened = |third: &str| {
            let (_, decisions) =
                history(&[("first", &city)], &story(third)).judge(&Manner::plain());
            let opened = decisions.iter().filter_map(|one| match &one.verdict {
                Verdict::IncidentOpened(incident) => Some(incident.sensors),
                _ => None,
            });
            opened.collect::<Vec<_>>()
        };
        assert_eq!(opened("18"), [3], "{counts:?}");
        if counts == Counted::Sensors {
            assert_eq!(opened("14"), [0; 0], "{counts:?}");
        }
    }
}

#[test]
fn thingsboard_6425_an_alarm_may_be_of_the_values_of_several_devices() {
    // Two of three must agree at one time; one that drifts is none, and one incident names all.
    let mut city = BundleBuilder::new();
    for number in 0..3 {
        city = city.sensor(&format!("gas-{number}"), "gas", metres(number * 300, 0));
    }
    let city = city
        .threshold("agreed", "gas", &[(Moderate, 10.0)], |_| ())
        .across((GroupBy::City, Statistic::Vote(2)), |rule| {
            rule.sensors_min = 2;
        })
        .correlation("leaks", "gas_leak", &["agreed"], |_| ())
        .build();
    check_with(
        &city,
        "10:00-10:05/1 gas-0 12
         10:00-10:05/1 gas-1 1
         10:00-10:05/1 gas-2 1",
        &expect![[r#""#]],
    );
    check_with(
        &city,
        "10:00-10:02/1 gas-0 12
         10:00-10:02/1 gas-1 1
         10:00-10:02/1 gas-2 13",
        &expect![[r#"
            10:00:19.829 opened gas_leak#1 moderate 2 sensors: gas-0 12, gas-2 13 599 m
            10:01:19.829 updated gas_leak#1 moderate 2 sensors: gas-0 12, gas-2 13
        "#]],
    );
}

#[test]
fn opennms_alec_a_thousand_alarms_are_one_incident_as_each_comes() {
    const ALARMS: usize = 1_000;
    let mut story = String::new();
    for number in 0..ALARMS {
        let (second, east) = (number / 20, number % 100 * 3);
        writeln!(
            story,
            "10:00:{second:02} gauge-{number} 4 kind=level at={east},0"
        )
        .unwrap();
    }
    story += "10:01 tick";
    let city = BundleBuilder::new()
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["high"], |_| ())
        .build();
    let (_, decisions) = history(&[("first", &city)], &story).judge(&Manner::plain());
    let of_floods = decisions
        .iter()
        .filter(|one| one.verdict.incident().is_some());
    let of_floods: Vec<_> = of_floods.collect();
    let opened = of_floods
        .iter()
        .filter(|one| matches!(one.verdict, Verdict::IncidentOpened(_)));
    // By the reading itself, and by no timer that looks at all of them now and then.
    let due: Vec<_> = opened.map(|one| one.cause.due).collect();
    assert_eq!(due, [None]);
    let last = of_floods.last().and_then(|one| one.verdict.incident());
    assert_eq!(last.map(|flood| flood.sensors), Some(ALARMS as u32));
}

#[test]
fn perseo_core_216_a_rule_that_is_gone_fires_no_more() {
    let without = gauges()
        .without_correlation("floods")
        .without("high")
        .build();
    check_reloading(
        &[("with", &gauges().build()), ("without", &without)],
        "10:00 gauge-1 3.1
         10:01 gauge-2 2.9
         10:02 reload without
         10:03 gauge-1 3.5
         10:04 gauge-2 3.5
         11:00 tick",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.1
            10:02 rules_changed
            10:02 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn perseo_253_a_rule_about_silence_that_is_changed_has_one_timer() {
    let city = |intervals: u32| {
        let builder = BundleBuilder::new().sensor_with("gauge-1", "level", |sensor| {
            sensor.interval = Some(Millis::minutes(1));
        });
        let builder = builder.silence("silent", "level", intervals, Millis::minutes(3));
        builder.build()
    };
    check_reloading(
        &[
            ("slow", &city(10)),
            ("quick", &city(5)),
            ("slower", &city(15)),
        ],
        "10:00 gauge-1 1
         10:01 reload quick
         10:02 reload slower
         10:03 reload quick
         10:30 gauge-1 1
         10:31 reload slower
         11:00 tick",
        &expect![[r#"
            10:01 rules_changed
            10:02 rules_changed
            10:03 rules_changed
            10:08 sensor_silent gauge-1 last heard 10:00
            10:30 sensor_returned gauge-1 last heard 10:00
            10:31 rules_changed
            10:46 sensor_silent gauge-1 last heard 10:30
        "#]],
    );
}
