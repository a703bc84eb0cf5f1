//! Two sets of rules on the same readings.

use std::fs;
use std::path::Path;

use expect_test::expect;
use ioc_gateway::catalogue::Unregistered;

use super::*;
use crate::config::source::Source;

/// Rules with this level and so many sources.
fn options(dir: &Path, level: &str, sources: u32, readings: &str) -> BacktestOptions {
    let rules = dir.join(format!("{level}-{sources}"));
    fs::create_dir_all(rules.join("rules")).unwrap();
    let text = format!(
        "detections:\n  high: {{ kind: water_level, above: {{ moderate: {level} m, severe: 6 m }}, \
         clear: below 1.5 m }}\ncorrelations:\n  floods: {{ incident: flood, from: [high], \
         sources: {sources}, within: 2 km, within_time: 1 h, clear_after: 10 min }}\n"
    );
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
