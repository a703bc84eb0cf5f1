//! Two sets of rules on the same readings.

use std::fs;
use std::path::Path;

use expect_test::expect;
use ioc_gateway::catalogue::Unregistered;

use super::*;
use crate::config::source::Source;

/// Rules with this level and so many sources.
fn options(dir: &Path, level: &str, sources: u32, readings: &str) -> BacktestOptions {
    let text = format!(
        "detections:\n  high: {{ kind: water_level, above: {{ moderate: {level} m, severe: 6 m }}, \
         clear: below 1.5 m }}\ncorrelations:\n  floods: {{ incident: flood, from: [high], \
         sources: {sources}, within: 2 km, within_time: 1 h, clear_after: 10 min }}\n"
    );
    options_of(dir, &format!("{level}-{sources}"), &text, readings)
}

fn options_of(dir: &Path, name: &str, text: &str, readings: &str) -> BacktestOptions {
    let rules = dir.join(name);
    fs::create_dir_all(rules.join("rules")).unwrap();
    fs::write(rules.join("rules/a.yaml"), text).unwrap();
    let path = dir.join("readings.jsonl");
    fs::write(&path, readings).unwrap();
    let compiled = Source::read(Some(&rules), None).unwrap().compile().unwrap();
    BacktestOptions {
        catalogue: compiled.catalogue(Unregistered::Accept),
        bundle: compiled.bundle,
        shards: NonZeroUsize::MIN,
        readings: path,
    }
}

/// Three places: one where the water rises to 5 m, one where it reaches 2.5 m, one with two gauges.
fn readings() -> String {
    let mut lines = Vec::new();
    let mut say = |minute: i64, sensor: &str, lon: f64, value: f64| {
        let at = format!("2026-03-14T10:{minute:02}:00Z");
        lines.push(format!(
            "{{\"id\":\"m{minute}\",\"sensor\":\"{sensor}\",\"kind\":\"water_level\",\"value\":{value},\
             \"unit\":\"m\",\"observed_at\":\"{at}\",\"position\":[{lon},3.1]}}\n"
        ));
    };
    for minute in 0..8 {
        say(minute, "rising", 101.6, 1.0 + minute as f64);
        say(minute, "low", 101.7, 2.5);
        say(minute, "pair-a", 101.8, 3.5);
        say(minute, "pair-b", 101.81, 3.5);
    }
    for minute in 8..30 {
        for (sensor, lon) in [("rising", 101.6), ("low", 101.7)] {
            say(minute, sensor, lon, 1.0);
        }
    }
    lines.concat()
}

/// The difference without how long it took.
fn told(difference: &Difference) -> String {
    let text = difference.to_string();
    let lines = text.lines();
    let lines = lines.map(|line| line.split_once("; in ").map_or(line, |(line, _)| line));
    lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

#[test]
fn the_difference_is_told_in_incidents_and_alarms() {
    let dir = tempfile::tempdir().unwrap();
    let readings = readings();
    let before = options(dir.path(), "2", 1, &readings);
    let after = options(dir.path(), "3", 1, &readings);
    let names = ["before".to_owned(), "after".to_owned()];
    let difference = compare([&before, &after], names.clone()).unwrap();
    expect![[r#"
                                                 before        after
        readings                                     76           76
        dead letters                                  0            0
        alarms (detections begun)                     4            3
        incidents                                     3            2
        calls on an operator                          4            3
        the most of them in 10 minutes                4            3

        1 the same, 1 different, 0 new, 1 gone

        gone: opened by before alone (1)
          2026-03-14 10:00:00  inc-t1cc4w8zff flood            moderate                 1 sensor

        opened later (1)
          2026-03-14 10:03:00  inc-eshptgm078 flood            severe                   1 sensor  1 min later, not 2026-03-14 10:02:00

        alarms (1)
          high          4 → 3
    "#]].assert_eq(&told(&difference));
    let back = compare([&after, &before], names).unwrap();
    let counts = |it: &Difference| (it.opened.len(), it.gone.len(), it.changed.len(), it.same);
    let (opened, gone, changed, same) = counts(&difference);
    assert_eq!(counts(&back), (gone, opened, changed, same));
    let json = difference.to_json();
    assert_eq!(json["gone"].as_array().unwrap().len(), gone);
    assert_eq!(json["changed"][0]["later_ms"], 60_000);
}

/// A reading in a minute after ten, in thousandths of a degree east of the first place.
fn line(minute: i64, sensor: &str, kind: &str, east: i64, value: f64) -> String {
    let lon = 101.6 + east as f64 / 1000.0;
    format!(
        "{{\"id\":\"m{minute}\",\"sensor\":\"{sensor}\",\"kind\":\"{kind}\",\"value\":{value},\
         \"observed_at\":\"2026-03-14T10:{minute:02}:00Z\",\"position\":[{lon:.3},3.1]}}\n"
    )
}

/// The difference of two texts of rules over these readings.
fn difference(texts: [&str; 2], readings: &[String]) -> Difference {
    let dir = tempfile::tempdir().unwrap();
    let readings = readings.concat();
    let names = ["before", "after"];
    let sides = [0, 1].map(|side| options_of(dir.path(), names[side], texts[side], &readings));
    compare([&sides[0], &sides[1]], names.map(str::to_owned)).unwrap()
}

#[test]
fn what_rules_about_several_sensors_find_is_among_the_alarms() {
    let haze = "\
detections:
  haze: { kind: pm25, across: city, of: mean, at_least: 2 sensors, above: { moderate: 150 ug/m3 }, clear: below 120 ug/m3 }
correlations:
  hazy: { incident: haze, from: [haze], sources: 1, within: 600 m, within_time: 30 min }
";
    let deaf = haze.replace("moderate: 150", "moderate: 950");
    let aq = |minute, sensor| line(minute, sensor, "pm25", 0, 300.0);
    let readings: Vec<_> = (0..6)
        .flat_map(|m| [aq(m, "aq-1"), aq(m, "aq-2")])
        .collect();
    let told = difference([haze, &deaf], &readings).to_string();
    let line = told
        .lines()
        .find(|line| line.trim_start().starts_with("haze "));
    assert!(line.is_some_and(|line| line.ends_with("2 → 0")), "{told}");
}

const STORM: &str = "\
detections:
  pours: { kind: rainfall, above: { moderate: 30 mm/h }, clear: below 20 mm/h }
  high: { kind: water_level, above: { moderate: 3 m }, clear: below 2.5 m }
correlations:
  storms: { incident: storm, from: [pours], sources: 1, within: 2 km, within_time: 1 h, may_cause: { flood: { within: 3 km, after: 1 h } } }
  floods: { incident: flood, from: [high], sources: 1, within: 2 km, within_time: 1 h }
";

#[test]
fn what_becomes_an_alarm_of_its_own_is_told_with_what_caused_it_before() {
    let without = STORM.replace(", may_cause: { flood: { within: 3 km, after: 1 h } }", "");
    let readings = [
        line(0, "r", "rainfall", 0, 40.0),
        line(5, "g", "water_level", 5, 3.5),
    ];
    let difference = difference([STORM, &without], &readings);
    let told = told(&difference);
    assert!(told.contains("1 the same, 1 different"), "{told}");
    let [changed] = &difference.changed[..] else {
        panic!("{told}");
    };
    let storm = changed.before.parent.unwrap();
    for part in [
        "caused otherwise (1)",
        &format!("caused by nothing, not by {storm}"),
        "calls on an operator (1)",
        "1 call, not 0",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let json = difference.to_json();
    let changed = &json["changed"][0];
    assert_eq!(changed["before"]["caused_by"], storm.to_string());
    assert!(changed["after"]["caused_by"].is_null());
    assert_eq!(
        (&changed["before"]["calls"], &changed["after"]["calls"]),
        (&0.into(), &1.into())
    );
}

#[test]
fn what_merged_later_is_compared_as_well() {
    let rules = |flow: &str| {
        format!(
            "\
detections:
  high: {{ kind: water_level, above: {{ moderate: 3 m }}, clear: below 2.5 m }}
  flow: {{ kind: discharge, above: {{ moderate: {flow} m3/s }}, clear: below 1 m3/s }}
correlations:
  floods: {{ incident: flood, from: [high, flow], sources: 1, within: 1 km, within_time: 1 h }}
"
        )
    };
    let readings = [
        line(0, "g", "water_level", 0, 3.5),
        line(1, "f", "discharge", 14, 15.0),
        line(3, "f", "discharge", 14, 25.0),
        line(5, "between", "water_level", 7, 3.5),
    ];
    let difference = difference([&rules("10"), &rules("20")], &readings);
    let told = told(&difference);
    assert!(told.contains("0 the same, 1 different"), "{told}");
    let part = "one that merged opened 2026-03-14 10:03:00, not 2026-03-14 10:01:00";
    assert!(told.contains(part), "{told}");
    let json = difference.to_json();
    assert_eq!(
        json["changed"][0]["after"]["merged"][0]["opened_at"],
        "2026-03-14T10:03:00.000Z"
    );
}

#[test]
fn faults_that_rules_find_are_compared() {
    let rules = |above: &str| {
        format!(
            "\
detections:
  high: {{ kind: water_level, above: {{ moderate: 3 m }}, clear: below 2.5 m }}
  cannot-be: {{ kind: water_level, impossible: {{ below: -1 m, above: {above} m }} }}
correlations:
  floods: {{ incident: flood, from: [high], sources: 1, within: 1 km, within_time: 1 h }}
"
        )
    };
    let readings: Vec<_> = (0..8)
        .map(|m| line(m, "g", "water_level", 0, 6.0 + m as f64 / 8.0))
        .collect();
    let told = told(&difference([&rules("9"), &rules("5")], &readings));
    let [alarms] = ["cannot-be"].map(|rule| told.lines().find(|line| line.contains(rule)));
    assert!(alarms.is_some_and(|line| line.ends_with("0 → 1")), "{told}");
}

#[test]
fn what_clears_in_one_run_alone_is_told_in_words() {
    let rules = |clear_after: &str| {
        format!(
            "\
detections:
  high: {{ kind: water_level, above: {{ moderate: 3 m }}, clear: below 2.5 m }}
correlations:
  floods: {{ incident: flood, from: [high], sources: 1, within: 1 km, within_time: 1 h, clear_after: {clear_after} }}
"
        )
    };
    let readings: Vec<_> = (0..30)
        .map(|m| line(m, "g", "water_level", 0, if m == 0 { 3.5 } else { 1.0 }))
        .collect();
    let open = told(&difference([&rules("10 min"), &rules("50 min")], &readings));
    assert!(
        open.contains("open at the end, not cleared 2026-03-14 10:11:00"),
        "{open}"
    );
    let cleared = told(&difference([&rules("50 min"), &rules("10 min")], &readings));
    assert!(
        cleared.contains("cleared 2026-03-14 10:11:00, not open at the end"),
        "{cleared}"
    );
}

#[test]
fn the_same_rules_do_not_differ() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), "2", 2, &readings());
    let names = ["one".to_owned(), "other".to_owned()];
    let difference = compare([&options, &options], names).unwrap();
    assert!(difference.opened.is_empty() && difference.gone.is_empty());
    assert!(difference.changed.is_empty() && difference.alarms.is_empty());
    assert_eq!(difference.same, difference.sides[0].incidents);
    assert_eq!(difference.same, 1);
}

#[test]
fn p5_of_many_differences_the_first_are_shown_and_all_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let line = |number: u32| {
        let lon = 100.0 + f64::from(number) * 0.1;
        format!(
            "{{\"id\":\"a\",\"sensor\":\"s-{number}\",\"kind\":\"water_level\",\"value\":2.5,\
             \"unit\":\"m\",\"observed_at\":\"2026-03-14T10:00:00Z\",\"position\":[{lon},3.1]}}\n"
        )
    };
    let readings: String = (0..60).map(line).collect();
    let before = options(dir.path(), "2", 1, &readings);
    let after = options(dir.path(), "3", 1, &readings);
    let names = ["before".to_owned(), "after".to_owned()];
    let told = compare([&before, &after], names).unwrap().to_string();
    assert!(
        told.contains("alone (60)") && told.contains("and 10 more"),
        "{told}"
    );
}
