use expect_test::{Expect, expect};

use super::*;
use crate::config::yaml;

const KINDS: &str = "
kinds:
  water_level: { unit: m, normal: 1.2 m, means: Height of a river. }
  traffic_speed: { unit: km/h, normal: 45 km/h, means: Speed. }
  emergency_call: { unit: call, means: A call for help. }
  earthquake_report: { unit: any, means: A quake. }
";

fn read(text: &str) -> (Rules, Mistakes, Mistakes) {
    let (mut mistakes, mut warnings) = Default::default();
    let kinds = yaml::parse("kinds.yaml", KINDS, &mut mistakes).unwrap();
    let kinds = Kinds::read(&kinds, &mut mistakes);
    let root = yaml::parse("a.yaml", text, &mut mistakes);
    let files = Vec::from_iter(root);
    let rules = Rules::read(&files, &kinds, &mut mistakes, &mut warnings);
    (rules, mistakes, warnings)
}

fn refused(text: &str, expected: &Expect) {
    expected.assert_eq(&read(text).1.to_string());
}

/// The one rule in `text`, in the canonical words that its hash is made of.
fn hashes(text: &str) -> (Vec<u64>, Vec<u64>) {
    let (rules, mistakes, _) = read(text);
    assert!(mistakes.is_empty(), "{mistakes}");
    let detections = rules.detections.iter().map(|rule| rule.hash).collect();
    (detections, rules.correlations.iter().map(|rule| rule.hash).collect())
}

const FLOOD: &str = "
detections:
  river-high:
    kind: water_level
    above: { moderate: 3.0 m, severe: 3.8 m }
    clear: below 2.7 m
    for: [2 readings, 5 min]
    clear_for: 2 readings
  river-silent: { kind: water_level, silent: 4 intervals, at_least: 5 min }
  flood-call:
    kind: emergency_call
    where: { category: [water, flood] }
    report: moderate
    certainty: possible
    counts_for: 30 min
correlations:
  flood:
    incident: flood
    from: { river-high: 3, flood-call: 1 }
    opens_at: 3
    within: 1.5 km
    within_time: 90 min
    clear_after: 60 min
";

#[test]
fn rules_mean_what_they_say() {
    let (rules, mistakes, warnings) = read(FLOOD);
    assert!(mistakes.is_empty() && warnings.is_empty(), "{mistakes} {warnings}");
    let mut rules = rules;
    rules.detections.iter_mut().for_each(|rule| rule.hash = 0);
    rules.correlations.iter_mut().for_each(|rule| rule.hash = 0);
    expect![[""]].assert_debug_eq(&rules);
}

#[test]
fn only_a_rule_s_meaning_changes_its_hash() {
    let rewritten = "
# The same, written otherwise.
correlations:
  flood: { within: 1500 m, from: { flood-call: 1, river-high: 3 }, opens_at: 3, incident: flood,
           reopen_within: 30 min, clear_after: 1 h, within_time: 90 min }
detections:
  flood-call: { counts_for: 1800 s, certainty: possible, report: moderate, kind: emergency_call,
                where: { category: [flood, water, flood] } }
  river-silent: { kind: water_level, at_least: 300 s, silent: 4 intervals }
  river-high: { kind: water_level, clear: below 2.70 m, above: { severe: 3.8 m, moderate: 3 m },
                clear_for: 2 readings, for: [5 min, 2 readings] }
";
    let (detections, correlations) = hashes(FLOOD);
    assert_eq!((detections.clone(), correlations.clone()), hashes(rewritten));
    for (from, to, rule) in [
        ("severe: 3.8 m", "severe: 3.9 m", 1),
        ("below 2.7 m", "below 2.6 m", 1),
        ("[2 readings, 5 min]", "2 readings", 1),
        ("4 intervals", "3 intervals", 2),
        ("water, flood", "water", 0),
        ("counts_for: 30", "counts_for: 31", 0),
    ] {
        let (changed, same) = hashes(&FLOOD.replace(from, to));
        assert_eq!(same, correlations, "{from}");
        for (index, (old, new)) in detections.iter().zip(&changed).enumerate() {
            assert_eq!(old != new, index == rule, "{from} {index}");
        }
    }
    let (same, changed) = hashes(&FLOOD.replace("flood-call: 1", "flood-call: 2"));
    assert_eq!(same, detections);
    assert_ne!(changed, correlations);
}

#[test]
fn mistakes_of_thresholds() {
    refused(
        "
detections:
  no-question: { kind: water_level }
  two-questions: { kind: water_level, above: { severe: 3 m }, silent: 4 intervals }
  no-level: { kind: water_level, above: {}, clear: below 2 m }
  no-clear: { kind: water_level, above: { severe: 3 m } }
  no-unit: { kind: water_level, above: { severe: 3 }, clear: below 2.5 m }
  other-unit: { kind: water_level, above: { severe: 3 degC }, clear: below 2.5 degC }
  wrong-way: { kind: water_level, above: { moderate: 4 m, severe: 3 m }, clear: below 2 m }
  wrong-way-down: { kind: traffic_speed, below: { moderate: 6 km/h, severe: 15 km/h },
                    clear: above 20 km/h }
  clear-beyond: { kind: water_level, above: { severe: 3 m }, clear: below 3.5 m }
  clear-side: { kind: water_level, above: { severe: 3 m }, clear: above 2 m }
  normal-is-abnormal: { kind: water_level, above: { severe: 1 m }, clear: below 1 m }
  severities: { kind: water_level, above: { sever: 3 m }, clear: below 2 m }
  persistence: { kind: water_level, above: { severe: 3 m }, clear: below 2 m, for: 2 }
  twice: { kind: water_level, above: { severe: 3 m }, clear: below 2 m, for: [1 min, 2 min],
           clear_for: 0 readings }
",
        &expect![[""]],
    );
}

#[test]
fn mistakes_of_other_detections() {
    refused(
        "
detections:
  Bad Name: { kind: water_level, silent: 4 intervals }
  watr: { kind: watr_level, silent: 4 intervals }
  spaces: { kind: water level, silent: 4 intervals }
  intervals: { kind: water_level, silent: 5 min }
  foreign-key: { kind: water_level, silent: 4 intervals, clear: below 2 m }
  report: { kind: emergency_call, report: bad, certainty: maybe, counts_for: 30 }
  missing: { kind: emergency_call, report: moderate }
  where: { kind: emergency_call, where: { category: [] }, report: minor, certainty: possible,
           counts_for: 10 min }
  magnitude: { kind: earthquake_report, report: severe, value_at_least: 6 mw, certainty: likely,
               counts_for: 10 min }
  list: [1, 2]
",
        &expect![[""]],
    );
}

#[test]
fn mistakes_of_correlations() {
    let detections = "
detections:
  high: { kind: water_level, above: { severe: 3 m }, clear: below 2 m }
  silent: { kind: water_level, silent: 4 intervals }
  broken: { kind: water_level, above: { severe: 3 kg }, clear: below 2 m }
correlations:
";
    let correlations = "
  high: { incident: flood }
  empty:
  unknown: { incident: Flood, from: [hihg, silent, broken, high, high], sources: 0, within: 5,
             within_time: 8 d, clear_after: soon }
  weighted: { incident: flood, from: { high: 2 }, sources: 2, within: 1 km, within_time: 1 h }
  unweighted: { incident: flood, from: [high], opens_at: 2, within: 1 km, within_time: 1 h }
  nobody: { incident: flood, from: [], sources: 1, within: 1 km, within_time: 1 h, witin: 2 }
";
    refused(&format!("{detections}{correlations}"), &expect![[""]]);
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let (_, mistakes, warnings) = read("
detections:
  high: { kind: water_level, above: { severe: 3 m }, clear: below 2 m }
  unused: { kind: water_level, above: { severe: 3 m }, clear: below 2 m }
  silent: { kind: water_level, silent: 4 intervals }
correlations:
  short: { incident: flood, from: { high: 0 }, opens_at: 1, within: 1 km, within_time: 5 min }
");
    assert!(mistakes.is_empty(), "{mistakes}");
    expect![[""]].assert_eq(&warnings.to_string());
}
