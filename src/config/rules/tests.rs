use expect_test::{Expect, expect};
use ioc_core::bundle::{Aggregate, Along, Direction, Lag, States, Test};
use ioc_core::time::Millis;

use super::*;
use crate::config::yaml;

const KINDS: &str = "
kinds:
  water_level: { unit: m, normal: 1.2 m, means: Height of a river. }
  traffic_speed: { unit: km/h, normal: 45 km/h, means: Speed. }
  emergency_call: { unit: call, means: A call for help. }
  earthquake_report: { unit: any, means: A quake. }
  breaker: { unit: any, means: Whether a breaker is closed; 0 is open. }
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
    (
        detections,
        rules.correlations.iter().map(|rule| rule.hash).collect(),
    )
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
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes} {warnings}"
    );
    let mut rules = rules;
    rules.detections.iter_mut().for_each(|rule| rule.hash = 0);
    rules.correlations.iter_mut().for_each(|rule| rule.hash = 0);
    expect![[r#"
        Rules {
            detections: [
                DetectionRule {
                    name: "flood-call",
                    hash: 0,
                    kind: "emergency_call",
                    matching: [
                        AttributeMatch {
                            name: "category",
                            values: [
                                "flood",
                                "water",
                            ],
                        },
                    ],
                    settle: Millis(
                        0,
                    ),
                    test: Report(
                        Report {
                            severity: Moderate,
                            certainty: Possible,
                            lasting: Millis(
                                1800000,
                            ),
                            value_min: None,
                            until: None,
                            replaces: None,
                            distinct: None,
                        },
                    ),
                },
                DetectionRule {
                    name: "river-high",
                    hash: 0,
                    kind: "water_level",
                    matching: [],
                    settle: Millis(
                        0,
                    ),
                    test: Threshold(
                        Threshold {
                            side: Above,
                            levels: [
                                Level {
                                    severity: Moderate,
                                    value: 3.0,
                                },
                                Level {
                                    severity: Severe,
                                    value: 3.8,
                                },
                            ],
                            margin_percent: 0,
                            clear_gap: 0.3,
                            readings_min: 2,
                            readings_among: None,
                            lasting: Millis(
                                300000,
                            ),
                            clear_readings_min: 2,
                        },
                    ),
                },
                DetectionRule {
                    name: "river-silent",
                    hash: 0,
                    kind: "water_level",
                    matching: [],
                    settle: Millis(
                        0,
                    ),
                    test: Silence(
                        Silence {
                            intervals: 4,
                            at_least: Millis(
                                300000,
                            ),
                        },
                    ),
                },
            ],
            correlations: [
                CorrelationRule {
                    name: "flood",
                    hash: 0,
                    incident: "flood",
                    detections: [
                        "flood-call",
                        "river-high",
                    ],
                    weights: [
                        1,
                        3,
                    ],
                    within_m: 1500,
                    along: Along {
                        fed_by: false,
                        flows_to_percent: None,
                        river_m: None,
                        line_stops: None,
                        nested_after: None,
                    },
                    same: [],
                    group_by: [],
                    front: None,
                    stale_after: None,
                    within: Millis(
                        5400000,
                    ),
                    sources_min: 3,
                    clear_after: Millis(
                        3600000,
                    ),
                    reopen_within: Millis(
                        1800000,
                    ),
                    may_cause: [],
                },
            ],
            handling: HandlingRules {
                acknowledge_within: [
                    None,
                    Some(
                        Millis(
                            1800000,
                        ),
                    ),
                    Some(
                        Millis(
                            600000,
                        ),
                    ),
                    Some(
                        Millis(
                            180000,
                        ),
                    ),
                    Some(
                        Millis(
                            60000,
                        ),
                    ),
                ],
                overruled_by: 2,
                report_lasting: Millis(
                    10800000,
                ),
                lowers: true,
            },
            suppression: SuppressionRules {
                shelved_max: Millis(
                    28800000,
                ),
                out_of_service_max: Millis(
                    2592000000,
                ),
                remind_before: Millis(
                    600000,
                ),
                windows: [],
            },
        }
    "#]]
    .assert_debug_eq(&rules);
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
  river-high: { kind: water_level, clear: below 270 cm, above: { severe: 3.80 m, moderate: 3 m },
                clear_for: 2 readings, for: [5 min, 2 readings] }
";
    let (detections, correlations) = hashes(FLOOD);
    assert_eq!(
        (detections.clone(), correlations.clone()),
        hashes(rewritten)
    );
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
  other-unit: { kind: water_level, above: { minor: 2, severe: 3 degC }, clear: below 2.5 degC }
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
        &expect![[r#"
            a.yaml:3:16 detections.no-question: asks nothing; write one of `above: { moderate: … }`, `below: { moderate: … }`, `rises: { moderate: … per 15 min }`, `falls: …`, `above_usual: { moderate: … }`, `below_usual: …`, `becomes: { moderate: … }`, `silent: 4 intervals`, `report: moderate`, or of the sensor `flapping: 25 %`, `stuck: 12 h`, `impossible: { below: … }`, `skewed: { ahead: 5 min }` or `spiking: 4 of 60 readings`
            a.yaml:4:18 detections.two-questions: asks two things, `above` and `silent`; make it two rules
            a.yaml:5:41 detections.no-level.above: no level; write for example `{ moderate: 3 m }`
            a.yaml:6:13 detections.no-clear: `clear` is missing; write for example `clear: below 3 m`
            a.yaml:7:50 detections.no-unit.above.severe: without a unit; write `3 m`
            a.yaml:8:52 detections.other-unit.above.minor: without a unit; write `2 m`
            a.yaml:8:63 detections.other-unit.above.severe: `degC` cannot be converted to `m`; write it in `m`
            a.yaml:8:80 detections.other-unit.clear: `degC` cannot be converted to `m`; write it in `m`
            a.yaml:9:67 detections.wrong-way.above.severe: a graver level must lie further above: above 4 m
            a.yaml:10:77 detections.wrong-way-down.below.severe: a graver level must lie further below: below 6 km/h
            a.yaml:12:69 detections.clear-beyond.clear: 3.5 m is still abnormal; write a value that is not above 3 m
            a.yaml:13:67 detections.clear-side.clear: `above 2 m` must begin with `below`, such as `below 3 m`
            a.yaml:14:51 detections.normal-is-abnormal.above: would call the normal value of this kind abnormal, which is 1.2 m in kinds.yaml
            a.yaml:15:43 detections.severities.above: no level; write for example `{ moderate: 3 m }`
            a.yaml:15:45 detections.severities.above.sever: unknown key; did you mean `severe`?
            a.yaml:16:84 detections.persistence.for: `2` is not `2 readings` (1 to 1000), `3 of 5 readings` (of up to 64), `5 min` (up to 7 d), or readings and a time: `[2 readings, 5 min]`
            a.yaml:17:86 detections.twice.for: said twice; write `2 readings` (1 to 1000), `3 of 5 readings` (of up to 64), `5 min` (up to 7 d), or readings and a time: `[2 readings, 5 min]`
            a.yaml:18:23 detections.twice.clear_for: `0 readings` is not a number of readings from 1 to 1000, such as `2 readings`"#]],
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
        &expect![[r#"
            a.yaml:3:13 detections.Bad Name: `Bad Name`: a rule's name must be 1 to 64 of lower-case letters, digits, _ and -
            a.yaml:4:17 detections.watr.kind: unknown kind of reading `watr_level`; did you mean `water_level`?
            a.yaml:5:19 detections.spaces.kind: `water level`: a reading's kind must be 1 to 64 of lower-case letters, digits and _
            a.yaml:6:43 detections.intervals.silent: `5 min` is not a number of intervals from 1 to 1000, such as `4 intervals`
            a.yaml:7:58 detections.foreign-key.clear: unknown key; known here: kind, where, silent, at_least
            a.yaml:8:43 detections.report.report: `bad` is not one of minor, moderate, severe, extreme
            a.yaml:8:59 detections.report.certainty: `maybe` is not one of unlikely, possible, likely, observed
            a.yaml:8:78 detections.report.counts_for: `30` is not a time from 1 s to 7 d, such as `90 s`, `5 min` or `2 h`
            a.yaml:9:12 detections.missing: `certainty` is missing; write for example `certainty: possible`
            a.yaml:9:12 detections.missing: `counts_for` is missing; write for example `counts_for: 30 min`
            a.yaml:10:53 detections.where.where.category: needs 1 to 100 values, such as `[flood, water]`
            a.yaml:12:73 detections.magnitude.value_at_least: this kind has no unit; write `6`
            a.yaml:14:9 detections.list: keys belong here, each as `key: value`"#]],
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
    refused(
        &format!("{detections}{correlations}"),
        &expect![[r#"
            a.yaml:5:49 detections.broken.above.severe: `kg` cannot be converted to `m`; write it in `m`
            a.yaml:8:3 correlations.high: a rule of this name is already at a.yaml:3:3; rename one
            a.yaml:9:8 correlations.empty: `from` is missing; write for example `from: [river-high, flood-call]`
            a.yaml:9:8 correlations.empty: `incident` is missing; write for example `incident: flood`
            a.yaml:9:8 correlations.empty: `within_time` is missing; write for example `within_time: 30 min`
            a.yaml:9:8 correlations.empty: `within` is missing; write for example `within: 500 m`
            a.yaml:9:8 correlations.empty: does not say when to open; write `sources: 2`
            a.yaml:10:24 correlations.unknown.incident: `Flood`: an incident's kind must be 1 to 64 of lower-case letters, digits and _
            a.yaml:10:38 correlations.unknown.from: no detection is named `hihg`; did you mean `high`?
            a.yaml:10:44 correlations.unknown.from: `silent` finds something about sensors, which is no evidence of an incident; remove it
            a.yaml:10:66 correlations.unknown.from: `high` is named twice; remove one
            a.yaml:10:82 correlations.unknown.sources: `0` is not a whole number from 1 to 1000
            a.yaml:10:93 correlations.unknown.within: `5` is not a distance from 1 m to 1000 km, such as `500 m` or `2 km`
            a.yaml:11:27 correlations.unknown.within_time: `8 d` is not a time from 1 s to 7 d, such as `90 s`, `5 min` or `2 h`
            a.yaml:11:45 correlations.unknown.clear_after: `soon` is not a time from 0 s to 7 d, such as `90 s`, `5 min` or `2 h`
            a.yaml:12:60 correlations.weighted.sources: the detections have weights; write `opens_at: 3`, the sum that is enough
            a.yaml:13:58 correlations.unweighted.opens_at: the detections have no weights; write `sources: 2`, or give them weights: `from: { river-high: 3, flood-call: 1 }`
            a.yaml:14:36 correlations.nobody.from: takes no detection; name at least one
            a.yaml:14:84 correlations.nobody.witin: unknown key; did you mean `within`?"#]],
    );
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let (_, mistakes, warnings) = read(
        "
detections:
  high: { kind: water_level, above: { severe: 3 m }, clear: below 2 m }
  unused: { kind: water_level, above: { severe: 3 m }, clear: below 2 m }
  silent: { kind: water_level, silent: 4 intervals }
correlations:
  short: { incident: flood, from: { high: 0 }, opens_at: 1, within: 1 km, within_time: 5 min }
",
    );
    assert!(mistakes.is_empty(), "{mistakes}");
    expect![[r#"
        a.yaml:4:3 detections.unused: no correlation takes it, so it changes nothing; name it in a correlation's `from`, or remove it
        a.yaml:7:10 correlations.short: never opens: all its detections weigh nothing
        a.yaml:7:10 correlations.short: what comes more than 5 min after the last evidence opens a second incident beside the first, which is not clear before 10 min; write a `within_time` of at least `clear_after`"#]].assert_eq(&warnings.to_string());
}

#[test]
fn p5_rules_and_kinds_have_a_bound() {
    let rule = |n: usize| format!("  r{n}: {{ kind: water_level, silent: 4 intervals }}\n");
    let rules: String = (0..=Rules::COUNT_MAX).map(rule).collect();
    let (read, mistakes, _) = read(&format!("detections:\n{rules}"));
    assert!(mistakes.to_string().contains("more than 10000 rules"));
    assert_eq!(read.detections.len(), Rules::COUNT_MAX);

    let kind = |n: usize| format!("  k{n}: {{ unit: m, means: Height. }}\n");
    let kinds: String = (0..=Kinds::COUNT_MAX).map(kind).collect();
    let mut mistakes = Mistakes::default();
    let root = yaml::parse("kinds.yaml", &format!("kinds:\n{kinds}"), &mut mistakes).unwrap();
    Kinds::read(&root, &mut mistakes);
    assert!(mistakes.to_string().contains("kinds are too many"));
}

#[test]
fn p5_values_of_a_rule_have_a_bound() {
    let of_values = |count: usize| {
        let values: Vec<_> = (0..count).map(|n| format!("v{n}")).collect();
        let values = values.join(", ");
        let (_, mistakes, _) = read(&format!(
            "detections:\n  call: {{ kind: emergency_call, report: moderate, \
             counts_for: 30 min, certainty: possible, where: {{ category: [{values}] }} }}\n"
        ));
        mistakes.to_string()
    };
    assert_eq!(of_values(100), "");
    assert!(of_values(101).contains("needs 1 to 100 values"));
}

#[test]
fn p5_states_of_a_rule_have_bounds() {
    let of_states = |count: usize, name: usize| {
        let states: Vec<_> = (0..count).map(|n| format!("s{n}")).collect();
        let (states, name) = (states.join(", "), "n".repeat(name));
        let (_, mistakes, _) = read(&format!(
            "detections:\n  open: {{ kind: breaker, attribute: {name}, \
             becomes: {{ moderate: [{states}] }} }}\n"
        ));
        mistakes.to_string()
    };
    assert_eq!(of_states(100, 128), "");
    assert!(of_states(101, 128).contains("needs 1 to 100 states"));
    assert!(of_states(100, 129).contains("of at most 128 bytes"));
}

#[test]
fn readings_may_be_some_of_the_last() {
    let rule = |hold: &str| {
        format!(
            "detections:\n  r: {{ kind: water_level, above: {{ moderate: 3 m }}, clear: below 2 m, \
             for: {hold} }}\n"
        )
    };
    let threshold = |hold: &str| {
        let (rules, mistakes, _) = read(&rule(hold));
        assert!(mistakes.is_empty(), "{mistakes}");
        let threshold = rules.detections[0].test.threshold().unwrap().clone();
        (
            threshold.readings_min,
            threshold.readings_among,
            threshold.lasting,
        )
    };
    let minutes = Millis::minutes;
    assert_eq!(threshold("3 of 5 readings"), (3, Some(5), minutes(0)));
    assert_eq!(
        threshold("[3 of 5 readings, 2 min]"),
        (3, Some(5), minutes(2))
    );
    assert_eq!(threshold("5 of 5 readings"), (5, None, minutes(0)));
    assert_eq!(
        hashes(&rule("5 of 5 readings")),
        hashes(&rule("5 readings"))
    );
    assert_ne!(
        hashes(&rule("3 of 5 readings")),
        hashes(&rule("3 readings"))
    );
    refused(
        &(rule("5 of 3 readings") + &rule("1 of 65 readings").replace("detections:\n  r:", "  s:")),
        &expect![[r#"
            a.yaml:2:76 detections.r.for: `5 of 3 readings` is not `2 readings` (1 to 1000), `3 of 5 readings` (of up to 64), `5 min` (up to 7 d), or readings and a time: `[2 readings, 5 min]`
            a.yaml:3:76 detections.s.for: `1 of 65 readings` is not `2 readings` (1 to 1000), `3 of 5 readings` (of up to 64), `5 min` (up to 7 d), or readings and a time: `[2 readings, 5 min]`"#]],
    );
}

#[test]
fn a_rise_is_a_change_over_a_time() {
    let text = "detections:
  river-rises:
    kind: water_level
    rises: { moderate: 25 cm per 15 min, severe: 0.5 m per 15 min }
    clear: below 0.1 m per 15 min
    for: 2 readings
";
    let (rules, mistakes, _) = read(text);
    assert!(mistakes.is_empty(), "{mistakes}");
    let Test::Rate(rate) = &rules.detections[0].test else {
        panic!("{rules:?}");
    };
    assert_eq!(
        (rate.direction, rate.over),
        (Direction::Rises, Millis::minutes(15))
    );
    let levels: Vec<_> = rate
        .threshold
        .levels
        .iter()
        .map(|level| level.value)
        .collect();
    assert_eq!((levels, rate.threshold.clear_gap), (vec![0.25, 0.5], 0.15));
    assert_eq!(rate.threshold.readings_min, 2);
    refused(
        "detections:
  a: { kind: water_level, rises: { moderate: 0.5 m }, clear: below 0.2 m per 1 h }
  b: { kind: water_level, falls: { moderate: 1 m per 1 h, severe: 0.5 m per 1 h }, clear: x }
  c: { kind: water_level, rises: { minor: 1 m per 1 h, severe: 2 m per 30 min }, clear: below 1 m per 1 h }
  d: { kind: water_level, rises: { minor: -1 m per 1 h }, clear: below 0 m per 1 h }
  e: { kind: water_level, rises: { minor: 1 m per 0 h }, clear: below 2 m per 1 h }
  f: { kind: water_level, rises: { minor: 1 m per 1 h } }
",
        &expect![[r#"
            a.yaml:2:46 detections.a.rises.moderate: `0.5 m` is not a change over a time, such as `0.5 m per 15 min`
            a.yaml:2:62 detections.a.clear: `0.2 m per 1 h` is over another time than `per 15 min` before; write all over one time
            a.yaml:3:67 detections.b.falls.severe: a graver level must lie further above: above 1 m per 1 h
            a.yaml:3:91 detections.b.clear: `x` must begin with `below`, such as `below 1 m per 1 h`
            a.yaml:4:64 detections.c.rises.severe: `2 m per 30 min` is over another time than `per 1 h` before; write all over one time
            a.yaml:5:43 detections.d.rises.minor: `-1 m per 1 h` is no change; write more than 0, such as `0.5 m per 15 min`
            a.yaml:5:66 detections.d.clear: `0 m per 1 h` is no change; write more than 0, such as `0.5 m per 15 min`
            a.yaml:6:43 detections.e.rises.minor: `1 m per 0 h`: the time is not one from 1 s to 7 d, such as `0.5 m per 15 min`
            a.yaml:6:65 detections.e.clear: `2 m per 1 h` is over another time than `per 15 min` before; write all over one time
            a.yaml:7:6 detections.f: `clear` is missing; write for example `clear: below 1 m per 1 h`"#]],
    );
}

#[test]
fn a_state_is_a_value_or_the_text_of_an_attribute() {
    let text = "detections:
  breaker-open:
    kind: breaker
    attribute: position
    becomes: { moderate: [tripped, open], severe: failed }
    from: closed
    clear_for: 2 readings
  pump-stopped:
    kind: breaker
    becomes: { severe: 0 }
";
    let (rules, mistakes, _) = read(text);
    assert!(mistakes.is_empty(), "{mistakes}");
    let states: Vec<_> = rules.detections.iter().map(|rule| &rule.test).collect();
    let [Test::Becomes(breaker), Test::Becomes(pump)] = states[..] else {
        panic!("{rules:?}");
    };
    let texts = |texts: &[&str]| States::Texts(texts.iter().map(|text| text.to_string()).collect());
    assert_eq!(breaker.attribute.as_deref(), Some("position"));
    assert_eq!(
        breaker.states,
        [texts(&["open", "tripped"]), texts(&["failed"])]
    );
    assert_eq!(breaker.from, Some(texts(&["closed"])));
    let levels: Vec<_> = breaker
        .threshold
        .levels
        .iter()
        .map(|level| level.value)
        .collect();
    assert_eq!(
        (levels, breaker.threshold.clear_readings_min),
        (vec![0.5, 1.5], 2)
    );
    assert_eq!((&pump.attribute, &pump.from), (&None, &None));
    assert_eq!(pump.states, [States::Values(vec![0.0])]);
    refused(
        "detections:
  a: { kind: water_level, becomes: { moderate: 1.2 m } }
  b: { kind: breaker, becomes: { moderate: open } }
  c: { kind: breaker, attribute: position, becomes: { moderate: open, severe: [shut, open] }, from: shut }
  d: { kind: breaker, attribute: position, becomes: {} }
  e: { kind: breaker, attribute: position, becomes: { grave: open }, clear: below 1 }
",
        &expect![[r#"
            a.yaml:2:48 detections.a.becomes.moderate: would call the normal value of this kind abnormal, which is 1.2 m in kinds.yaml
            a.yaml:3:44 detections.b.becomes.moderate: `open` is not a value such as `3`
            a.yaml:4:79 detections.c.becomes.severe: `open` is in another list too; write it in one
            a.yaml:4:101 detections.c.from: `shut` is in another list too; write it in one
            a.yaml:5:53 detections.d.becomes: no level; write for example `{ moderate: open }`
            a.yaml:6:53 detections.e.becomes: no level; write for example `{ moderate: open }`
            a.yaml:6:55 detections.e.becomes.grave: unknown key; known here: minor, moderate, severe, extreme
            a.yaml:6:70 detections.e.clear: unknown key; known here: kind, where, settle, attribute, becomes, from, for, clear_for"#]],
    );
}

#[test]
fn the_networks_that_a_correlation_follows() {
    let with = |along: &str| {
        let along = format!("    within: 1.5 km\n    along: {along}\n");
        FLOOD.replacen("    within: 1.5 km\n", &along, 1)
    };
    let (rules, mistakes, _) = read(&with("{ flows_to: 150 %, river: 15 km, line: 2 stops }"));
    assert!(mistakes.is_empty(), "{mistakes}");
    let along = rules.correlations[0].along;
    assert_eq!(
        (
            along.fed_by,
            along.flows_to_percent,
            along.river_m,
            along.line_stops
        ),
        (false, Some(150), Some(15_000), Some(2))
    );
    let (fed, ..) = read(&with("fed_by"));
    assert!(fed.correlations[0].along.fed_by);
    assert_ne!(fed.correlations[0].hash, rules.correlations[0].hash);
    let (same, ..) = read(&with("{ fed_by: yes }"));
    assert_eq!(fed.correlations[0].hash, same.correlations[0].hash);
    let (nested, ..) = read(&with("{ fed_by: yes, nested_after: 10 min }"));
    let after = nested.correlations[0].along.nested_after;
    assert_eq!(after, Some(Millis::minutes(10)));
    assert_ne!(nested.correlations[0].hash, fed.correlations[0].hash);
    refused(
        &with("{ river: 15 km, nested_after: 10 min }"),
        &expect![
            "a.yaml:22:42 correlations.flood.along.nested_after: is about what hangs on a feeder; write `fed_by: yes` beside it"
        ],
    );
    refused(
        &with("fedby"),
        &expect![
            "a.yaml:22:12 correlations.flood.along: `fedby` is not `fed_by`, or a mapping: `{ fed_by: yes, flows_to: 150 %, river: 15 km, line: 1 stop }`"
        ],
    );
    refused(
        &with("{ flows_to: 0 %, river: far, line: 3 houses, fed_by: often, flow_to: 1 }"),
        &expect![[r#"
            a.yaml:22:24 correlations.flood.along.flows_to: `0 %` is not 1 to 1000 %, such as `150 %`
            a.yaml:22:36 correlations.flood.along.river: `far` is not a distance from 1 m to 1000 km, such as `500 m` or `2 km`
            a.yaml:22:47 correlations.flood.along.line: `3 houses` is not 1 to 20 stop, such as `1 stop`
            a.yaml:22:65 correlations.flood.along.fed_by: `often` is not one of yes, no
            a.yaml:22:72 correlations.flood.along.flow_to: unknown key; did you mean `flows_to`?"#]],
    );
    refused(
        &with("{ fed_by: no }"),
        &expect![
            "a.yaml:22:12 correlations.flood.along: names no network; write `fed_by`, or a mapping: `{ fed_by: yes, flows_to: 150 %, river: 15 km, line: 1 stop }`"
        ],
    );
}

#[test]
fn what_evidence_has_in_common_is_no_more_than_it_can_carry() {
    let text = |distinct: &str, third: &str| {
        format!(
            "detections:
  forced:
    kind: emergency_call
    report: severe
    certainty: likely
    counts_for: 2 min
    {distinct}
correlations:
  one: {{ incident: one, from: [forced], sources: 1, same: [gateway, b, c, d], within_time: 1 h }}
  two: {{ incident: two, from: [forced], sources: 1, same: [gateway, e], group_by: [b, f], within_time: 1 h }}
  three: {{ incident: three, from: [forced], sources: 1, {third}, within: 1 km, within_time: 1 h }}
"
        )
    };
    let (_, mistakes, _) = read(&text("", "group_by: [f, h]"));
    assert!(mistakes.is_empty(), "{mistakes}");
    refused(
        &text("", "same: [h, i]"),
        &expect![
            "a.yaml:2:3 detections.forced: 9 names are asked of what it finds by `same` and `group_by` of the correlations that take it, and by `distinct`: b, f, b, c, d, e, gateway, h, i; at most 8 can be: write fewer, or another detection like it for some of these correlations"
        ],
    );
    refused(
        &text("distinct: caller", "group_by: [f, h]"),
        &expect![
            "a.yaml:2:3 detections.forced: 9 names are asked of what it finds by `same` and `group_by` of the correlations that take it, and by `distinct`: caller, b, f, h, b, c, d, e, gateway; at most 8 can be: write fewer, or another detection like it for some of these correlations"
        ],
    );
}

#[test]
fn levels_may_be_of_what_the_readings_of_a_time_come_to() {
    let text = "detections:
  calls-many:
    kind: emergency_call
    where: { category: crowd }
    count_over: 10 min
    every: 1 min
    above: { moderate: 5, severe: 15 }
    clear: below 3
  river-mean:
    kind: water_level
    mean_over: 1 h
    lateness: 2 min
    at_least: 40 readings
    above: { moderate: 250 cm }
    clear: below 2.3 m
    for: 2 readings
";
    let (rules, mistakes, _) = read(text);
    assert!(mistakes.is_empty(), "{mistakes}");
    let tests: Vec<_> = rules.detections.iter().map(|rule| &rule.test).collect();
    let [Test::Window(calls), Test::Window(river)] = tests[..] else {
        panic!("{rules:?}");
    };
    let (minutes, seconds) = (Millis::minutes, Millis::seconds);
    assert_eq!(
        (calls.of, calls.length, calls.step),
        (Aggregate::Count, minutes(10), minutes(1))
    );
    assert_eq!(
        (calls.lateness, calls.threshold.clear_gap),
        (seconds(30), 2.0)
    );
    assert_eq!(
        (river.of, river.length, river.step),
        (Aggregate::Mean, minutes(60), minutes(60))
    );
    assert_eq!((calls.at_least, river.at_least), (1, 40));
    assert_eq!(
        (river.lateness, river.threshold.levels[0].value),
        (minutes(2), 2.5)
    );
    refused(
        "detections:
  a: { kind: water_level, mean_over: 1 h, above: { moderate: 1 m }, clear: below 1 m }
  b: { kind: water_level, mean_over: 10 min, every: 3 min, above: { moderate: 3 m }, clear: below 3 m }
  c: { kind: water_level, sum_over: 10 min, every: 1 s, lateness: 1 h, above: { moderate: 3 m }, clear: below 3 m }
  d: { kind: water_level, sum_over: 10 min, max_over: 5 min, above: { moderate: 3 m }, clear: below 3 m }
  e: { kind: water_level, count_over: 10 min, above: { moderate: 3 m }, clear: below 3 }
  f: { kind: water_level, count_over: 10 min, settle: 10 s, below: { moderate: 3 }, clear: above 3 }
  g: { kind: water_level, every: 10 min, below: { moderate: 1 m }, clear: above 1 m }
  h: { kind: water_level, sum_over: 10 min, at_least: 6 readings, above: { moderate: 3 m }, clear: below 3 m }
  i: { kind: water_level, mean_over: 10 min, at_least: 6, above: { moderate: 3 m }, clear: below 3 m }
",
        &expect![[r#"
            a.yaml:2:50 detections.a.above: would call the normal value of this kind abnormal, which is 1.2 m in kinds.yaml
            a.yaml:3:53 detections.b.every: 10 min is not 1 to 60 steps of 3 min; write a part of it, such as `1 min`
            a.yaml:4:52 detections.c.every: 10 min is not 1 to 60 steps of 1 s; write a part of it, such as `1 min`
            a.yaml:4:67 detections.c.lateness: `1 h` is not a time from 0 s to 10 min, such as `90 s`, `5 min` or `2 h`
            a.yaml:5:55 detections.d.max_over: asks two things, `sum_over` and `max_over`; make it two rules
            a.yaml:6:66 detections.e.above.moderate: this kind has no unit; write `3`
            a.yaml:7:47 detections.f.settle: unknown key; known here: kind, where, count_over, sum_over, mean_over, min_over, max_over, every, lateness, at_least, below, clear, for, clear_for
            a.yaml:8:27 detections.g.every: unknown key; known here: kind, where, settle, margin, below, clear, for, clear_for
            a.yaml:9:55 detections.h.at_least: a count and a sum are known of any number of readings; leave it out
            a.yaml:10:56 detections.i.at_least: `6` is not a number of readings from 1 to 1000, such as `2 readings`"#]],
    );
}

#[test]
fn readings_may_be_put_in_order_first() {
    let rule = |settle: &str| {
        format!(
            "detections:\n  r: {{ kind: water_level, above: {{ moderate: 3 m }}, clear: below 2 m\
             {settle} }}\n"
        )
    };
    let (rules, mistakes, _) = read(&rule(", settle: 90 s"));
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!(rules.detections[0].settle, Millis::seconds(90));
    assert_eq!(hashes(&rule(", settle: 0 s")), hashes(&rule("")));
    assert_ne!(hashes(&rule(", settle: 90 s")), hashes(&rule("")));
    refused(
        &(rule(", settle: 2 h")
            + "  s: { kind: emergency_call, report: minor, certainty: likely, counts_for: 1 h, settle: 9 s }\n"),
        &expect![[r#"
            a.yaml:2:79 detections.r.settle: `2 h` is not a time from 0 s to 1 h, such as `90 s`, `5 min` or `2 h`
            a.yaml:3:81 detections.s.settle: unknown key; known here: kind, where, report, certainty, counts_for, value_at_least, counts_until, replaces, distinct"#]],
    );
}

#[test]
fn a_sensor_is_examined_in_the_order_in_which_the_rules_that_it_may_fail_see_it() {
    let hash_alone = |rule: &str| {
        let text = format!(
            "detections:
  r: {{ kind: water_level, above: {{ moderate: 3 m }}, clear: below 2 m }}
  s: {{ kind: water_level, above: {{ moderate: 4 m }}, clear: below 3 m }}
  f: {{ kind: water_level, {rule} }}
"
        );
        let (rules, ..) = read(&text);
        let mut detections = rules.detections.iter();
        detections
            .find(|rule| rule.name.as_str() == "f")
            .unwrap()
            .hash
    };
    let settles = |rule: &str| {
        let text = format!(
            "detections:
  r: {{ kind: water_level, above: {{ moderate: 3 m }}, clear: below 2 m, settle: 90 s }}
  s: {{ kind: water_level, above: {{ moderate: 4 m }}, clear: below 3 m, settle: 30 s }}
  f: {{ kind: water_level, {rule} }}
"
        );
        let (rules, mistakes, _) = read(&text);
        assert!(mistakes.is_empty(), "{mistakes}");
        let fault = rules
            .detections
            .iter()
            .find(|rule| rule.name.as_str() == "f");
        let fault = fault.unwrap();
        // It follows from the others: a state of before goes on.
        assert_eq!(fault.hash, hash_alone(rule));
        fault.settle
    };
    let flaps = "flapping: 25 %, clear: below 10 %";
    assert_eq!(settles(flaps), Millis::seconds(90));
    let of_one = format!("{flaps}, of: [s]");
    assert_eq!(settles(&of_one), Millis::seconds(30));
    assert_eq!(settles("stuck: 1 h"), Millis::seconds(90));
    // A clock shows by when its readings come.
    assert_eq!(settles("skewed: { ahead: 5 min }"), Millis::ZERO);
}

#[test]
fn a_sensor_may_be_broken_in_several_ways() {
    let text = "detections:
  high: { kind: water_level, above: { moderate: 3 m }, clear: below 2.5 m, for: 2 readings }
  far: { kind: water_level, above: { severe: 5 m }, clear: below 4 m, where: { bank: left } }
  flaps: { kind: water_level, flapping: 25 %, clear: below 10 % }
  leaps: { kind: water_level, flapping: 6 %, jump: 100 cm within 5 min, clear: below 5 % }
  stuck: { kind: traffic_speed, stuck: 12 h, except: [0 km/h, 5 km/h], distrust: no }
  stuck-fast: { kind: traffic_speed, stuck: 12 h, except: [below 3 km/h, 5 km/h, above 90 km/h, below 2 km/h] }
  cut: { kind: water_level, impossible: { below: -20 m }, for: 2 readings }
  clock: { kind: water_level, skewed: { ahead: 5 min, behind: 6 h } }
  spikes: { kind: water_level, spiking: 4 of 60 readings, spike: 50 cm, distrust: yes }
";
    let (rules, mistakes, warnings) = read(text);
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!(warnings.count(), 2, "of the two levels alone: {warnings}");
    let faults: Vec<_> = rules
        .detections
        .iter()
        .filter_map(|rule| match &rule.test {
            Test::Fault(fault) => Some((rule.name.as_str(), fault::meaning(fault))),
            _ => None,
        })
        .collect();
    expect![[r#"
        [
            (
                "clock",
                " skewed ahead Some(Millis(300000)) behind Some(Millis(21600000)) for 3 clear 3 distrust false",
            ),
            (
                "cut",
                " impossible below Some(-20.0) above None for 2 clear 3 distrust true",
            ),
            (
                "flaps",
                " flapping 25 clear 10 above severity 2 at 3.0 for 1 readings, 0 ms, clear by 0.5 for 1 distrust true",
            ),
            (
                "leaps",
                " flapping 6 clear 5 jump 1.0 in 300000 ms distrust true",
            ),
            (
                "spikes",
                " spiking 4 of 60 by 0.5 distrust true",
            ),
            (
                "stuck",
                " stuck 43200000 ms except [0.0, 5.0] clear 3 distrust false",
            ),
            (
                "stuck-fast",
                " stuck 43200000 ms except [5.0] below 3.0 above 90.0 clear 3 distrust true",
            ),
        ]
    "#]].assert_debug_eq(&faults);

    // About some detections only, at their levels.
    let near = "{ kind: water_level, flapping: 25 %, clear: below 10 %, of: [near, high] }\n  \
                near: { kind: water_level, above: { moderate: 3 m, severe: 4 m }, margin: 25 %, \
                clear: below 2.5 m }";
    let some = "{ kind: water_level, flapping: 25 %, clear: below 10 % }";
    let (rules, mistakes, _) = read(&text.replace(some, near));
    assert!(mistakes.is_empty(), "{mistakes}");
    let mut flaps = rules.detections.iter();
    let flaps = flaps.find(|rule| rule.name.as_str() == "flaps").unwrap();
    let Test::Fault(fault) = &flaps.test else {
        panic!("a fault");
    };
    expect![" flapping 25 clear 10 above severity 2 at 3.0 for 1 readings, 0 ms, clear by 0.5 for 1 above severity 2 at 3.0 severity 3 at 4.0 and 25 % for 1 readings, 0 ms, clear by 0.5 for 1 distrust true of high of near"].assert_eq(&fault::meaning(fault));

    // What the states of a kind are is part of what its flapping means.
    let otherwise = text.replace("moderate: 3 m", "moderate: 3.5 m");
    let flaps = |text: &str| {
        let (rules, ..) = read(text);
        let mut rules = rules.detections.into_iter();
        rules
            .find(|rule| rule.name.as_str() == "flaps")
            .unwrap()
            .hash
    };
    assert_ne!(flaps(text), flaps(&otherwise));
    let persistence = text.replace("for: 2 readings }\n  far", "for: 3 readings }\n  far");
    assert_ne!(text, persistence);
    assert_eq!(flaps(text), flaps(&persistence));
}

#[test]
fn mistakes_of_fault_rules_are_told() {
    refused(
        "detections:
  a: { kind: traffic_speed, flapping: 25 %, clear: below 10 % }
  b: { kind: traffic_speed, stuck: 1 h }
correlations:
  n: { incident: n, from: [b], sources: 1, within: 1 km, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:2:3 detections.a: no level rule of this kind says what its states are; write what a change is, such as `jump: … within 5 min`
            a.yaml:5:28 correlations.n.from: `b` finds something about sensors, which is no evidence of an incident; remove it"#]],
    );
    refused(
        "detections:
  a: { kind: traffic_speed, flapping: 25 %, clear: below 10 %, of: [slwo, slow, stuck, wet] }
  b: { kind: traffic_speed, flapping: 25 %, clear: below 10 %, of: [] }
  c: { kind: traffic_speed, flapping: 25 %, clear: below 10 %, of: [calls] }
  slow: { kind: traffic_speed, below: { moderate: 15 km/h }, clear: above 20 km/h }
  stuck: { kind: traffic_speed, stuck: 1 h, of: slow }
  wet: { kind: water_level, above: { moderate: 3 m }, clear: below 2.5 m }
  calls: { kind: traffic_speed, count_over: 10 min, below: { minor: 2 }, clear: above 3 }
",
        &expect![[r#"
            a.yaml:2:68 detections.a.of: `stuck` is no detection by readings of `traffic_speed`
            a.yaml:2:68 detections.a.of: `wet` is no detection by readings of `traffic_speed`
            a.yaml:2:68 detections.a.of: no detection is called `slwo`; did you mean `slow`?
            a.yaml:3:68 detections.b.of: needs 1 to 16 detections, such as `[river-high]`
            a.yaml:6:45 detections.stuck.of: unknown key; known here: kind, where, stuck, except, clear_for, distrust"#]],
    );
    refused(
        "detections:
  a: { kind: traffic_speed, flapping: 25 %, clear: below 10 % }
  b: { kind: water_level, flapping: 10 %, clear: below 20 %, jump: 1 m }
  c: { kind: water_level, flapping: 0 %, clear: 20 %, jump: 1 m within 5 min }
  d: { kind: water_level, stuck: 9 d, except: [] }
  d2: { kind: water_level, stuck: 9 h, except: below }
  e: { kind: water_level, impossible: {} }
  f: { kind: water_level, impossible: { below: 2 m, above: 1 m } }
  g: { kind: water_level, impossible: { above: 1 m } }
  h: { kind: water_level, skewed: { ahead: 0 s } }
  i: { kind: water_level, skewed: {} }
  j: { kind: water_level, spiking: 65 of 130 readings }
  k: { kind: water_level, spiking: 31 of 60 readings, spike: 0 m }
  l: { kind: water_level, stuck: 1 h, settle: 1 min }
  m: { kind: water_level, stuck: 1 h, distrust: maybe }
correlations:
  n: { incident: n, from: [m], sources: 1, within: 1 km, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:3:50 detections.b.clear: is more than flapping begins with; write less
            a.yaml:3:68 detections.b.jump: `1 m` is not a jump in a time, such as `1 m within 5 min`
            a.yaml:4:37 detections.c.flapping: `0 %` is not hundredths from 1 % to 100 %, such as `25 %`
            a.yaml:4:49 detections.c.clear: `20 %` is not hundredths from 1 % to 100 %, such as `below 25 %`
            a.yaml:5:34 detections.d.stuck: `9 d` is not a time from 1 s to 7 d, such as `90 s`, `5 min` or `2 h`
            a.yaml:5:47 detections.d.except: needs 1 to 16 values, such as `[0 m]` or `below 1 m`
            a.yaml:6:48 detections.d2.except: `below` is not a value such as `3 m`
            a.yaml:7:39 detections.e.impossible: no limit; write for example `{ below: 0 m, above: 100 m }`
            a.yaml:8:39 detections.f.impossible: would leave nothing possible, or call 2 m impossible
            a.yaml:9:39 detections.g.impossible: would leave nothing possible, or call 1.2 m impossible
            a.yaml:10:44 detections.h.skewed.ahead: `0 s` is not a time from 1 s to 7 d, such as `90 s`, `5 min` or `2 h`
            a.yaml:11:35 detections.i.skewed: no limit; write for example `{ ahead: 5 min, behind: 6 h }`
            a.yaml:12:6 detections.j: `spike` is missing; write for example `spike: 1 m`
            a.yaml:12:36 detections.j.spiking: `65 of 130 readings` is not spikes among up to 64 readings, such as `4 of 60 readings`
            a.yaml:13:36 detections.k.spiking: `31 of 60 readings` is not spikes among up to 64 readings, such as `4 of 60 readings`
            a.yaml:13:62 detections.k.spike: `0 m` is no height; write more than nothing
            a.yaml:14:39 detections.l.settle: unknown key; known here: kind, where, stuck, except, clear_for, distrust
            a.yaml:15:49 detections.m.distrust: `maybe` is not one of yes, no"#]],
    );
}

#[test]
fn a_front_is_of_the_sources_own_time() {
    let with = |front: &str| {
        let front = format!("    within: 1.5 km\n{front}");
        FLOOD.replacen("    within: 1.5 km\n", &front, 1)
    };
    let (rules, mistakes, _) = read(&with(
        "    observed_within: 2 s\n    front_speed: 3.5 km/s\n",
    ));
    assert!(mistakes.is_empty(), "{mistakes}");
    let front = rules.correlations[0].front.clone().unwrap();
    assert_eq!(
        (front.tolerance, front.speed_m_per_s),
        (Millis::seconds(2), Some(3_500))
    );
    let (at_once, ..) = read(&with("    observed_within: 2 s\n"));
    let front = at_once.correlations[0].front.clone().unwrap();
    assert_eq!(front.speed_m_per_s, None);
    let (without, ..) = read(FLOOD);
    let hashes = [&rules, &at_once, &without].map(|rules| rules.correlations[0].hash);
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
    refused(
        &with("    front_speed: 3.5 km/s\n"),
        &expect![
            "a.yaml:22:18 correlations.flood.front_speed: needs `observed_within`: how exactly the sources know the time, such as `2 s`"
        ],
    );
    let (of_some, mistakes, _) = read(&with(
        "    observed_within: 2 s\n    observed_of: [river-high]\n",
    ));
    assert!(mistakes.is_empty(), "{mistakes}");
    let front = of_some.correlations[0].front.clone().unwrap();
    assert!(front.asks(&"river-high".parse().unwrap()));
    assert!(!front.asks(&"flood-call".parse().unwrap()));
    assert_ne!(of_some.correlations[0].hash, hashes[1]);
    refused(
        &with("    observed_of: [river-high]\n"),
        &expect![
            "a.yaml:22:18 correlations.flood.observed_of: needs `observed_within`: how exactly the sources know the time, such as `2 s`"
        ],
    );
    refused(
        &with("    observed_within: 2 s\n    observed_of: { river-high: 2 }\n"),
        &expect![
            "a.yaml:23:18 correlations.flood.observed_of: needs names of detections, such as `[ground-shaking]`"
        ],
    );
    refused(
        &with("    observed_within: 2 s\n    observed_of: [river-hihg]\n"),
        &expect![
            "a.yaml:23:19 correlations.flood.observed_of: no detection is named `river-hihg`; did you mean `river-high`?"
        ],
    );
    refused(
        &with("    observed_within: 8 d\n    front_speed: 300 km/h\n"),
        &expect![[r#"
            a.yaml:22:22 correlations.flood.observed_within: `8 d` is not a time from 0 s to 7 d, such as `90 s`, `5 min` or `2 h`
            a.yaml:23:18 correlations.flood.front_speed: `300 km/h` is not a speed from 1 m/s to 100 km/s, such as `3.5 km/s` or `340 m/s`"#]],
    );
}

#[test]
fn a_margin_is_a_share_of_the_way_to_the_second_level() {
    let with = |margin: &str| {
        let levels = "    above: { moderate: 3.0 m, severe: 3.8 m }\n";
        FLOOD.replacen(levels, &format!("{levels}    margin: {margin}\n"), 1)
    };
    let (rules, mistakes, _) = read(&with("25 %"));
    assert!(mistakes.is_empty(), "{mistakes}");
    let of = |rules: &Rules| {
        let mut tests = rules.detections.iter().map(|rule| (&rule.test, rule.hash));
        tests.find_map(|(test, hash)| match test {
            Test::Threshold(threshold) => Some((threshold.margin_percent, hash)),
            _ => None,
        })
    };
    let (percent, hash) = of(&rules).unwrap();
    let (none, other) = of(&read(FLOOD).0).unwrap();
    assert!(percent == 25 && none == 0 && hash != other);
    refused(
        &with("0.2 m"),
        &expect![
            "a.yaml:6:13 detections.river-high.margin: `0.2 m` is not a share of the way to the second level from 1 % to 99 %, such as `25 %`"
        ],
    );
    refused(
        "
detections:
  high: { kind: water_level, above: { severe: 3 m }, margin: 100 %, clear: below 2 m }
",
        &expect![[r#"
            a.yaml:3:62 detections.high.margin: `100 %` is not a share of the way to the second level from 1 % to 99 %, such as `25 %`
            a.yaml:3:62 detections.high.margin: is a share of the way to a second level; write another one, or a level further out"#]],
    );
    refused(
        "
detections:
  high: { kind: water_level, above: { severe: 3 m }, margin: 10 %, clear: below 2 m }
  called: { kind: emergency_call, report: minor, certainty: likely, counts_for: 1 h, margin: 5 % }
",
        &expect![[r#"
            a.yaml:3:62 detections.high.margin: is a share of the way to a second level; write another one, or a level further out
            a.yaml:4:86 detections.called.margin: unknown key; known here: kind, where, report, certainty, counts_for, value_at_least, counts_until, replaces, distinct"#]],
    );
}

#[test]
fn a_rule_may_be_of_what_is_usual_or_of_what_follows() {
    let text = "detections:
  usual: { kind: water_level, above_usual: { moderate: 50 cm }, clear: below 0.1 m, learns: 3 weeks }
  slow: { kind: traffic_speed, below_usual: { minor: 20 km/h }, clear: below 5 km/h, spreads: 0 }
  call: { kind: emergency_call, report: minor, certainty: likely, counts_for: 1 h }
  first: { after: call, then: usual, within: 2 km, within_time: 1 h, severity: severe, unless: slow }
  missing: { after: usual, not_followed_by: call, within: 500 m, within_time: 5 min, severity: minor, along: fed_by, certainty: possible }
correlations:
  all: { incident: all, from: [first, missing], sources: 1, within: 1 km, within_time: 1 h }
";
    let (rules, mistakes, warnings) = read(text);
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes} {warnings}"
    );
    let tests: Vec<_> = rules
        .detections
        .iter()
        .filter_map(|rule| match &rule.test {
            Test::Usual(usual) => Some(usual::meaning(usual)),
            Test::Sequence(sequence) => Some(format!("{}: {sequence:?}", rule.kind)),
            _ => None,
        })
        .collect();
    expect![[r#"
        [
            "water_level: Sequence { first: \"call\", then: \"usual\", absent: false, unless: Some(\"slow\"), within: Millis(3600000), within_m: 2000, fed_by: false, severity: Severe, certainty: Observed }",
            "water_level: Sequence { first: \"usual\", then: \"call\", absent: true, unless: None, within: Millis(300000), within_m: 500, fed_by: true, severity: Minor, certainty: Possible }",
            " below_usual after 4 weeks by 0 spreads above severity 1 at 20.0 for 1 readings, 0 ms, clear by 15.0 for 1",
            " above_usual after 3 weeks by 3 spreads above severity 2 at 0.5 for 1 readings, 0 ms, clear by 0.4 for 1",
        ]
    "#]].assert_debug_eq(&tests);
    assert_ne!(
        hashes(text).0,
        hashes(&text.replace("learns: 3 weeks", "learns: 4 weeks")).0
    );
    refused(
        "detections:
  high: { kind: water_level, above: { moderate: 3 m }, clear: below 2 m }
  a: { after: high, within: 1 km, within_time: 1 h, severity: minor }
  b: { after: high, then: high, within: 1 km, within_time: 1 h, severity: minor }
  c: { after: hihg, then: a, within: 1 km, severity: minor }
  d: { after: high, then: b, not_followed_by: b, within: 1 km, within_time: 9 d }
  e: { kind: water_level, above_usual: { moderate: 0 m }, clear: below 0.1 m, learns: 9 weeks }
  f: { kind: water_level, below_usual: { moderate: 1 m }, spreads: 101 }
correlations:
  g: { incident: g, from: [high], sources: 1, within: 1 km, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:3:6 detections.a: says not what follows; write `then: pump-stopped`, or what must not be missing: `not_followed_by: pump-running`
            a.yaml:4:6 detections.b: `high` does not follow itself; name two detections
            a.yaml:5:6 detections.c: `within_time` is missing; write for example `within_time: 30 min`
            a.yaml:5:15 detections.c.after: no detection is named `hihg`; did you mean `high`?
            a.yaml:5:27 detections.c.then: `a` is about other detections itself; name one that is not
            a.yaml:6:6 detections.d: `severity` is missing; write for example `severity: moderate`
            a.yaml:6:6 detections.d: asks two things, `then` and `not_followed_by`; make it two rules
            a.yaml:6:27 detections.d.then: `b` is about other detections itself; name one that is not
            a.yaml:6:47 detections.d.not_followed_by: `b` is about other detections itself; name one that is not
            a.yaml:6:77 detections.d.within_time: `9 d` is not a time from 1 s to 7 d, such as `90 s`, `5 min` or `2 h`
            a.yaml:7:52 detections.e.above_usual.moderate: `0 m` is no departure; write more than 0, such as `10 m`
            a.yaml:7:87 detections.e.learns: `9 weeks` is not a number of weeks from 1 to 8, such as `4 weeks`
            a.yaml:8:6 detections.f: `clear` is missing; write for example `clear: below 1 m`
            a.yaml:8:68 detections.f.spreads: `101` is not a whole number from 0 to 100"#]],
    );
}

#[test]
fn a_site_is_a_zone_or_what_is_behind_a_gateway() {
    let text = "detections:
  zones: { site_silent: zone, share: 60 % }
  gateways: { site_silent: gateway, share: 50 %, at_least: 10 sensors, hold: 30 s }
";
    let (rules, mistakes, warnings) = read(text);
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes} {warnings}"
    );
    let tests: Vec<_> = rules.detections.iter().map(|rule| &rule.test).collect();
    expect![[r#"
        [
            SiteSilence(
                SiteSilence {
                    by: Gateway,
                    percent: 50,
                    sensors_min: 10,
                    hold: Millis(
                        30000,
                    ),
                    explained_by: [],
                },
            ),
            SiteSilence(
                SiteSilence {
                    by: Zone,
                    percent: 60,
                    sensors_min: 5,
                    hold: Millis(
                        120000,
                    ),
                    explained_by: [],
                },
            ),
        ]
    "#]]
    .assert_debug_eq(&tests);
    refused(
        "detections:
  a: { site_silent: street, share: 60 }
  b: { site_silent: zone, at_least: 1 sensors, hold: 2 h }
  c: { site_silent: zone, share: 0 %, kind: water_level }
  d: { site_silent: zone, share: 50 % }
correlations:
  e: { incident: e, from: [d], sources: 1, within: 1 km, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:2:21 detections.a.site_silent: `street` is not one of zone, gateway, feeder
            a.yaml:2:36 detections.a.share: `60` is not hundredths from 1 % to 100 %, such as `50 %`
            a.yaml:3:6 detections.b: `share` is missing; write for example `share: 50 %`
            a.yaml:3:37 detections.b.at_least: `1 sensors` is not a number of sensors from 2 to 100000, such as `5 sensors`
            a.yaml:3:54 detections.b.hold: `2 h` is not a time from 1 s to 1 h, such as `90 s`, `5 min` or `2 h`
            a.yaml:4:34 detections.c.share: `0 %` is not hundredths from 1 % to 100 %, such as `50 %`
            a.yaml:4:39 detections.c.kind: unknown key; known here: site_silent, share, at_least, hold, explained_by
            a.yaml:7:28 correlations.e.from: `d` finds something about sensors, which is no evidence of an incident; remove it"#]],
    );
}

#[test]
fn what_is_in_common_replaces_or_joins_the_place() {
    let text = "detections:
  a: { kind: emergency_call, report: minor, certainty: possible, counts_for: 10 min }
correlations:
  b: { incident: b, from: [a], sources: 2, same: [gateway, command], within_time: 1 h }
  c: { incident: c, from: [a], sources: 2, same: credential, within: 1 km, within_time: 1 h }
";
    let (rules, mistakes, warnings) = read(text);
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes} {warnings}"
    );
    let asked = rules.correlations.iter();
    let asked: Vec<_> = asked
        .map(|rule| (rule.within_m, rule.same.join(" ")))
        .collect();
    assert_eq!(
        asked,
        [
            (0, "command gateway".to_owned()),
            (1000, "credential".to_owned())
        ]
    );
    refused(
        "detections:
  a: { kind: emergency_call, report: minor, certainty: possible, counts_for: 10 min }
correlations:
  b: { incident: b, from: [a], sources: 2, same: [], within_time: 1 h }
  c: { incident: c, from: [a], sources: 2, same: [sensor, a, a], within_time: 1 h }
  d: { incident: d, from: [a], sources: 2, same: [a, b, c, d, e], within: 0 m, within_time: 1 h }
  e: { incident: e, from: [a], sources: 2, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:4:50 correlations.b.same: needs 1 to 4 names of attributes, such as `[gateway, credential, command]`
            a.yaml:5:51 correlations.c.same: `sensor` is no attribute of a reading; write `gateway`, or the name of an attribute
            a.yaml:5:62 correlations.c.same: `a` is named twice; remove one
            a.yaml:6:50 correlations.d.same: needs 1 to 4 names of attributes, such as `[gateway, credential, command]`
            a.yaml:6:75 correlations.d.within: `0 m` is not a distance from 1 m to 1000 km, such as `500 m` or `2 km`
            a.yaml:7:6 correlations.e: `within` is missing; write for example `within: 500 m`"#]],
    );
}

#[test]
fn what_explains_a_silence_is_a_detection_of_readings() {
    refused(
        "detections:
  a: { kind: emergency_call, report: minor, certainty: possible, counts_for: 10 min }
  b: { kind: breaker, report: minor, certainty: possible, counts_for: 10 min }
  c: { after: a, then: b, within: 1 km, within_time: 1 h, severity: minor }
  d: { site_silent: zone, share: 50 %, explained_by: [a, a] }
  e: { site_silent: zone, share: 50 %, explained_by: [c, feeder-ded, f] }
  f: { kind: breaker, silent: 4 intervals }
  g: { site_silent: zone, share: 50 %, explained_by: [] }
correlations:
  h: { incident: h, from: [c], sources: 1, within: 1 km, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:5:58 detections.d.explained_by: is named twice; remove one
            a.yaml:6:55 detections.e.explained_by: `c` is about other detections itself; name one that is not
            a.yaml:6:58 detections.e.explained_by: no detection is named `feeder-ded`
            a.yaml:6:70 detections.e.explained_by: `f` finds something about sensors, which is no evidence of an incident; remove it
            a.yaml:8:54 detections.g.explained_by: names no detection; name at least one, such as `feeder-dead`"#]],
    );
}

#[test]
fn levels_may_be_of_what_several_sensors_come_to() {
    let text = "detections:
  a: { kind: water_level, across: stop, vote: 3 sensors, above: { severe: 3 m }, clear: below 2 m,
       fresh: 2 min, every: 10 s, lateness: 10 s }
  b: { kind: water_level, across: zone, of: p60, above: { severe: 3 m }, clear: below 2.5 m }
  c: { kind: emergency_call, across: zone, of: count, above: { minor: 5 }, clear: below 3 }
correlations:
  d: { incident: d, from: [a, b, c], sources: 1, within: 1 km, within_time: 1 h }
";
    let (rules, mistakes, warnings) = read(text);
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes} {warnings}"
    );
    let asked = rules.detections.iter().map(|rule| match &rule.test {
        Test::Across(rule) => (
            rule.by,
            rule.of,
            rule.fresh.0,
            rule.step.0,
            rule.sensors_min,
        ),
        _ => panic!("another question"),
    });
    expect![[r#"
        [
            (
                Stop,
                Vote(
                    3,
                ),
                120000,
                10000,
                3,
            ),
            (
                Zone,
                Percentile(
                    60,
                ),
                600000,
                60000,
                3,
            ),
            (
                Zone,
                Count,
                600000,
                60000,
                1,
            ),
        ]
    "#]]
    .assert_debug_eq(&asked.collect::<Vec<_>>());
    refused(
        "detections:
  a: { kind: water_level, across: street, of: p100, above: { severe: 3 m }, clear: below 2.5 m }
  b: { kind: water_level, across: zone, above: { severe: 3 m }, clear: below 2.5 m }
  c: { kind: water_level, across: zone, of: mean, vote: 2 sensors, above: { severe: 3 m },
       clear: below 2.5 m }
  d: { kind: water_level, across: zone, vote: 0 sensors, above: { severe: 3 m }, clear: below 2.5 m }
  e: { kind: water_level, across: zone, of: max, above: { severe: 3 m }, clear: below 2.5 m,
       fresh: 2 h, every: 1 min }
  f: { kind: water_level, across: zone, of: max, above: { severe: 3 m }, clear: below 2.5 m,
       lateness: 11 min, settle: 1 min }
  g: { kind: water_level, across: zone, of: median, above: { severe: 1 m }, clear: below 0.5 m }
  h: { kind: water_level, above: { severe: 3 m }, clear: below 2.5 m, vote: 2 sensors }
  i: { kind: breaker, becomes: { minor: 0 } }
  j: { after: k, then: i, within: 1 km, within_time: 1 h, severity: minor }
  k: { kind: water_level, across: zone, of: max, above: { severe: 3 m }, clear: below 2.5 m }
correlations:
  l: { incident: l, from: [i, k], sources: 1, within: 1 km, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:2:35 detections.a.across: `street` is not one of zone, parent_zone, city, gateway, river, line, stop, feeder
            a.yaml:2:47 detections.a.of: `p100` is not one of count, sum, mean, median, min, max, and p1 to p99 for a percentile
            a.yaml:3:6 detections.b: says not what is made of the values; write `of: mean`, `of: p90`, or how many must agree: `vote: 3 sensors`
            a.yaml:4:57 detections.c.vote: asks two things, `of` and `vote`; make it two rules
            a.yaml:6:47 detections.d.vote: `0 sensors` is not a number of sensors from 1 to 4096, such as `3 sensors`
            a.yaml:7:6 detections.e: `fresh` of 2 h is not 1 to 60 steps of 1 min; write 1 min to 1 h, or another `every`
            a.yaml:9:6 detections.f: `lateness` of 11 min is more than 10 steps of 1 min; write up to 10 min, or another `every`
            a.yaml:10:26 detections.f.settle: unknown key; known here: kind, where, across, of, vote, counts, fresh, every, lateness, at_least, above, clear, for, clear_for
            a.yaml:11:60 detections.g.above: would call the normal value of this kind abnormal, which is 1.2 m in kinds.yaml
            a.yaml:12:71 detections.h.vote: unknown key; known here: kind, where, settle, margin, above, clear, for, clear_for
            a.yaml:14:15 detections.j.after: `k` is about several sensors itself; name one that is not"#]],
    );
}

#[test]
fn a_percentile_of_so_few_that_it_is_one_sensor_is_warned_of() {
    let (rules, mistakes, warnings) = read(
        "detections:
  a: { kind: water_level, across: zone, of: p90, above: { severe: 3 m }, clear: below 2.5 m, at_least: 9 sensors }
  b: { kind: water_level, across: zone, of: p90, above: { severe: 3 m }, clear: below 2.5 m, at_least: 10 sensors }
  c: { kind: water_level, across: zone, of: p10, below: { severe: 0.3 m }, clear: above 0.5 m, at_least: 10 sensors }
  d: { kind: water_level, across: zone, of: p10, below: { severe: 0.3 m }, clear: above 0.5 m, at_least: 11 sensors }
  e: { kind: water_level, across: zone, of: p10, above: { severe: 3 m }, clear: below 2.5 m }
  f: { kind: water_level, across: zone, of: p90, above: { severe: 3 m }, clear: below 2.5 m, counts: readings }
  g: { kind: water_level, across: zone, of: max, above: { severe: 3 m }, clear: below 2.5 m }
  h: { kind: water_level, across: zone, of: median, above: { severe: 3 m }, clear: below 2.5 m }
correlations:
  x: { incident: x, from: [a, b, c, d, e, f, g, h], sources: 1, within: 1 km, within_time: 1 h }
",
    );
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!(rules.detections.len(), 8);
    expect![[r#"
        a.yaml:2:3 detections.a: `p90` of fewer than 10 sensors is the greatest of them, so that one sensor is enough; write `at_least: 10 sensors`, or `of: max`
        a.yaml:4:3 detections.c: `p10` of fewer than 11 sensors is the least of them, so that one sensor is enough; write `at_least: 11 sensors`, or `of: min`"#]].assert_eq(&warnings.to_string());
}

#[test]
fn every_reading_of_several_sensors_may_count() {
    let text = "detections:
  a: { kind: water_level, across: zone, of: p90, counts: readings, fresh: 1 h, above: { severe: 3 m },
       clear: below 2 m }
  b: { kind: emergency_call, across: gateway, of: count, counts: readings, above: { minor: 11 },
       clear: below 3 }
  c: { kind: water_level, across: zone, of: p90, fresh: 1 h, above: { severe: 3 m }, clear: below 2 m,
       at_least: 10 sensors }
  d: { kind: water_level, across: zone, of: p90, counts: sensors, fresh: 1 h, above: { severe: 3 m },
       clear: below 2 m, at_least: 10 sensors }
correlations:
  e: { incident: e, from: [a, b, c, d], sources: 1, within: 1 km, within_time: 1 h }
";
    let (rules, mistakes, warnings) = read(text);
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes} {warnings}"
    );
    let counts = rules.detections.iter().map(|rule| match &rule.test {
        Test::Across(rule) => rule.counts,
        _ => panic!("another question"),
    });
    use ioc_core::bundle::Counted::{Readings, Sensors};
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [Readings, Readings, Sensors, Sensors]
    );
    let hash = |place: usize| rules.detections[place].hash;
    assert_ne!(hash(0), hash(2));
    assert_eq!(hash(2), hash(3), "what is not said means what it did");
    refused(
        "detections:
  a: { kind: water_level, across: stop, vote: 3 sensors, counts: readings, above: { severe: 3 m },
       clear: below 2 m }
  b: { kind: water_level, across: zone, of: sum, counts: readings, below: { severe: 3 m },
       clear: above 4 m }
  c: { kind: emergency_call, across: zone, of: count, counts: readings, at_least: 2 sensors,
       above: { minor: 5 }, clear: below 3 }
  d: { kind: water_level, across: zone, of: p90, counts: readings, fresh: 90 s, above: { severe: 3 m },
       clear: below 2 m }
  e: { kind: water_level, across: zone, of: p90, counts: all, above: { severe: 3 m }, clear: below 2 m }
  g: { kind: water_level, across: zone, of: sum, counts: readings, above: { severe: 3 m }, clear: below -1 m }
correlations:
  f: { incident: f, from: [a, b, c, d, e, g], sources: 1, within: 1 km, within_time: 1 h }
",
        &expect![[r#"
            a.yaml:2:66 detections.a.counts: is no vote: it is sensors that agree; remove it, or write `of: count` and how many readings
            a.yaml:4:58 detections.b.counts: would take for little what nobody has said yet; ask each sensor, by `count_over` or `sum_over`, or whether it is `silent`
            a.yaml:6:83 detections.c.at_least: asks for sensors where readings are counted or added up, and there may be none; remove it
            a.yaml:8:6 detections.d: `fresh` of 90 s is not a whole number of steps of 1 min, which readings are counted by; write 1 min or 2 min, or another `every`
            a.yaml:10:58 detections.e.counts: `all` is not one of sensors, readings
            a.yaml:11:6 detections.g: would go on when nobody says anything any more, which comes to 0; write levels above 0, and `clear: below` a number that is 0 or more"#]],
    );
}

#[test]
fn a_cause_that_is_forgotten_before_its_effect_may_come_is_warned_of() {
    let (_, mistakes, warnings) = read(
        "detections:
  a: { kind: water_level, above: { severe: 3 m }, clear: below 2 m }
correlations:
  b: { incident: b, from: [a], sources: 1, within: 1 km, within_time: 1 h, clear_after: 20 min,
       may_cause: { c: { within: 1 km, after: 2 h }, b: { within: 1 km, after_opening: 51 min } },
       explains: { d: { within: 1 km, after: 50 min } } }
  c: { incident: c, from: [a], sources: 1, within: 1 km, within_time: 1 h, reopen_within: 2 h,
       explains: { d: { within: 1 km, after: 130 min }, b: { within: 1 km, after: 131 min } } }
  d: { incident: d, from: [a], sources: 1, within: 1 km, within_time: 1 h }
",
    );
    assert!(mistakes.is_empty(), "{mistakes}");
    expect![[r#"
        a.yaml:4:3 correlations.b.may_cause.b.after_opening: 51 min may be more than there is: an incident is forgotten 50 min after the last that is heard of it (`clear_after` 20 min and `reopen_within` 30 min), and causes nothing from then on; write `reopen_within: 31 min`, or `after_opening: 50 min`
        a.yaml:4:3 correlations.b.may_cause.c.after: 2 h may be more than there is: an incident is forgotten 50 min after the last that is heard of it (`clear_after` 20 min and `reopen_within` 30 min), and causes nothing from then on; write `reopen_within: 100 min`, or `after: 50 min`
        a.yaml:7:3 correlations.c.explains.b.after: 131 min may be more than there is: an incident is forgotten 130 min after the last that is heard of it (`clear_after` 10 min and `reopen_within` 2 h), and causes nothing from then on; write `reopen_within: 121 min`, or `after: 130 min`"#]].assert_eq(&warnings.to_string());
}

const WINDOWS: &str = "
suppression:
  shelved_max: 4 h
  clock: \"+08:00\"
  windows:
    pumps:
      every: sunday 02:00 for 4 h
      match: { zone: harbour, kind: water_level, rule: river-high }
      reason: the pumps are maintained
      owner: pump crew
    weir:
      from: 2026-03-14T22:00:00+08:00
      to: 2026-03-15T04:00:00+08:00
      match: { sensor: wl-1 }
      reason: the weir is rebuilt
      owner: river works
";

#[test]
fn maintenance_windows_are_read_by_the_clock_of_the_city() {
    use ioc_core::bundle::Schedule;
    let (rules, mistakes, _) = read(&format!("{FLOOD}{WINDOWS}"));
    assert!(mistakes.is_empty(), "{mistakes}");
    let suppression = rules.suppression;
    assert_eq!(suppression.shelved_max, Millis::minutes(240));
    assert_eq!(suppression.remind_before, Millis::minutes(10));
    let [pumps, weir] = &suppression.windows[..] else {
        panic!("{suppression:?}");
    };
    let every = Schedule::Every {
        day: Some(6),
        minute: 120,
        lasting: Millis::minutes(240),
        ahead: Millis::minutes(480),
    };
    assert_eq!(pumps.schedule, every);
    assert_eq!(pumps.matching.zone.as_ref().unwrap().as_str(), "harbour");
    assert_eq!(&*weir.reason, "the weir is rebuilt");
    assert_eq!(weir.owner.as_str(), "river works");
    assert!(matches!(weir.schedule, Schedule::Once { .. }));
    // Another reason is another window: what goes on under it ends.
    let other = WINDOWS.replace("rebuilt", "cleaned");
    let (other, _, _) = read(&format!("{FLOOD}{other}"));
    assert_ne!(other.suppression.windows[1].hash, weir.hash);
    assert_eq!(other.suppression.windows[0].hash, pumps.hash);
}

#[test]
fn what_is_wrong_with_a_window_is_told_with_what_to_write() {
    let wrong = "
suppression:
  shelved_max: 9 h
  clock: Kuala Lumpur
  windows:
    a:
      every: sunday at two
      match: { zone: z, kind: water_levl }
      reason: r
      owner: o
    b:
      from: 2026-03-15T04:00:00Z
      to: 2026-03-14T04:00:00Z
      match: {}
      reason: r
      owner: o
    c:
      every: day 02:00 for 24 h
      match: { rule: river-hig }
      owner: o
    d:
      from: 2026-03-15T04:00:00Z
      match: { sensor: a b }
      reason: r
      owner: o
";
    refused(
        &format!("{FLOOD}{wrong}"),
        &expect![[r#"
        a.yaml:26:16 suppression.shelved_max: `9 h` is not a time from 1 min to 8 h, such as `90 s`, `5 min` or `2 h`
        a.yaml:27:10 suppression.clock: `Kuala Lumpur` is not how far the city's clock is ahead of UTC, such as `+08:00`
        a.yaml:30:14 suppression.windows.a.every: `sunday at two` is not a day, a time and for how long, such as `sunday 02:00 for 4 h` or `day 23:30 for 90 min`
        a.yaml:31:31 suppression.windows.a.match.kind: no rule knows the kind `water_levl`; did you mean `water_level`?
        a.yaml:36:11 suppression.windows.b.to: it ends before it begins; exchange `from` and `to`
        a.yaml:37:14 suppression.windows.b.match: needs at least one of sensor, zone, kind and rule
        a.yaml:41:7 suppression.windows.c: `reason` is missing; write for example `reason: the pumps are maintained`
        a.yaml:41:14 suppression.windows.c.every: it lasts from a minute to less than a day, when it begins again
        a.yaml:42:22 suppression.windows.c.match.rule: no rule knows the detection rule `river-hig`; did you mean `river-high`?
        a.yaml:45:7 suppression.windows.d: write when: `every: sunday 02:00 for 4 h`, or `from` and `to`
        a.yaml:46:24 suppression.windows.d.match.sensor: `a b`: a sensor's name must be 1 to 128 of letters, digits and . _ : @ -"#]],
    );
}

#[test]
fn p5_a_configuration_has_so_many_windows_and_no_more() {
    use ioc_core::limits::WINDOWS_MAX;
    let window = |number| {
        format!(
            "    w-{number}: {{ every: day 02:00 for 1 h, match: {{ sensor: a }}, reason: r, \
             owner: o }}\n"
        )
    };
    let with = |count: usize| {
        let windows: String = (0..count).map(window).collect();
        read(&format!("{FLOOD}suppression:\n  windows:\n{windows}"))
    };
    let (rules, mistakes, _) = with(WINDOWS_MAX);
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!(rules.suppression.windows.len(), WINDOWS_MAX);
    assert!(
        with(WINDOWS_MAX + 1)
            .1
            .to_string()
            .contains("more than 1000 windows")
    );
}

#[test]
fn an_effect_s_time_runs_from_the_last_evidence_or_from_the_opening() {
    let with = |effect: &str| {
        let effect = format!("    within: 1.5 km\n    may_cause: {{ flood: {{ {effect} }} }}\n");
        FLOOD.replacen("    within: 1.5 km\n", &effect, 1)
    };
    let lag = |effect: &str| {
        let (rules, mistakes, _) = read(&with(effect));
        assert!(mistakes.is_empty(), "{mistakes}");
        let rule = &rules.correlations[0];
        (rule.may_cause[0].lag, rule.hash)
    };
    let (last, one) = lag("within: 500 m, after: 15 min");
    let (opening, other) = lag("within: 500 m, after_opening: 15 min");
    assert_eq!(last, Lag::AfterLast(Millis::minutes(15)));
    assert_eq!(opening, Lag::AfterOpening(Millis::minutes(15)));
    assert_ne!(one, other);
    refused(
        &with("within: 500 m, after: 15 min, after_opening: 15 min"),
        &expect![
            "a.yaml:22:49 correlations.flood.may_cause.flood.after: counts from the last evidence of the cause, and `after_opening` from its opening; remove one of the two"
        ],
    );
    refused(
        &with("within: 500 m"),
        &expect![
            "a.yaml:22:25 correlations.flood.may_cause.flood: `after` is missing; write for example `after: 30 min`"
        ],
    );
    refused(
        &with("within: 500 m, after_openng: 15 min"),
        &expect![[r#"
            a.yaml:22:25 correlations.flood.may_cause.flood: `after` is missing; write for example `after: 30 min`
            a.yaml:22:42 correlations.flood.may_cause.flood.after_openng: unknown key; did you mean `after_opening`?"#]],
    );
}

/// Two correlations, the first with these keys about what it causes.
fn read_causing(keys: &str) -> (Rules, String) {
    let text = format!(
        "detections:
  a: {{ kind: water_level, above: {{ severe: 3 m }}, clear: below 2 m }}
correlations:
  b:
    incident: flood
    from: [a]
    sources: 1
    within: 1 km
    within_time: 1 h
    {keys}
  c: {{ incident: outage, from: [a], sources: 1, within: 1 km, within_time: 1 h }}
"
    );
    let (rules, mistakes, _) = read(&text);
    (rules, mistakes.to_string())
}

#[test]
fn what_is_explained_is_said_as_what_is_caused() {
    let effect = |keys: &str| {
        let (rules, mistakes) = read_causing(keys);
        assert_eq!(mistakes, "");
        let rule = &rules.correlations[0];
        (rule.may_cause[0].clone(), rule.hash)
    };
    let (caused, hash) = effect("may_cause: { outage: { within: 5 km, after: 1 h } }");
    let (explained, other) = effect("explains: { outage: { within: 5 km, after: 1 h } }");
    assert!(explained.symptom && !caused.symptom && hash != other);
    assert_eq!(
        (explained.along, explained.within_m),
        (Along::default(), 5_000)
    );
    let (along, another) = effect("explains: { outage: { along: fed_by, after: 1 h } }");
    assert!(along.along.fed_by && another != other);
    assert_eq!(along.within_m, 0);
    let both = "{ flows_to: 150 %, line: 2 stops }, within: 1 km";
    let (both, _) = effect(&format!(
        "may_cause: {{ outage: {{ along: {both}, after: 0 s }} }}"
    ));
    let of = (
        both.along.flows_to_percent,
        both.along.line_stops,
        both.within_m,
    );
    assert_eq!(of, (Some(150), Some(2), 1_000));
}

#[test]
fn rules_that_a_journal_holds_may_say_of_what_is_caused_that_it_is_explained() {
    let rule = |keys: &str| {
        let (rules, mistakes) = read_causing(keys);
        assert_eq!(mistakes, "");
        rules.correlations[0].clone()
    };
    let before = rule("may_cause: { outage: { within: 5 km, after: 1 h, symptom: yes } }");
    let now = rule("explains: { outage: { within: 5 km, after: 1 h } }");
    assert!(before.may_cause[0].symptom);
    assert_eq!(before.hash, now.hash, "the same rules, by the same name");
    let before = rule("may_cause: { outage: { within: 5 km, after: 1 h, symptom: no } }");
    assert!(!before.may_cause[0].symptom);
}

#[test]
fn mistakes_about_what_is_explained_say_what_to_write() {
    let wrong = |keys: &str, expected: &Expect| expected.assert_eq(&read_causing(keys).1);
    wrong(
        "explains: { flood: { within: 5 km, after: 1 h } }",
        &expect![
            "a.yaml:10:24 correlations.b.explains.flood: an incident does not explain its own kind; write it under `may_cause`"
        ],
    );
    wrong(
        "explains: { outrage: { within: 5 km, after: 1 h } }",
        &expect![
            "a.yaml:4:3 correlations.b.explains: no correlation makes incidents `outrage`; did you mean `outage`?"
        ],
    );
    wrong(
        "explains: { outage: { after: 1 h } }",
        &expect![
            "a.yaml:10:25 correlations.b.explains.outage: `within` is missing; write for example `within: 500 m`"
        ],
    );
    wrong(
        "explains: { outage: { along: { flows_to: 80 %, fed_by: maybe }, after: 1 h } }",
        &expect![[r#"
            a.yaml:10:46 correlations.b.explains.outage.along.flows_to: `80 %` is not 100 to 1000 %, such as `150 %`
            a.yaml:10:60 correlations.b.explains.outage.along.fed_by: `maybe` is not one of yes, no"#]],
    );
    wrong(
        "explains: { outage: { along: { fed_by: yes, nested_after: 1 min }, after: 1 h } }",
        &expect![
            "a.yaml:10:34 correlations.b.explains.outage.along: `nested_after` is about parts of one incident; write it in the correlation's own `along`"
        ],
    );
    wrong(
        "may_cause: { outage: { within: 1 km, after: 1 h } }\n    explains: { outage: { along: fed_by, after: 1 h } }",
        &expect![
            "a.yaml:11:25 correlations.b.explains.outage: stands under `may_cause` too; what is explained is caused: remove it there"
        ],
    );
}

#[test]
fn it_is_said_who_reports_by_an_attribute_or_by_the_sensor() {
    let with = |distinct: &str| {
        format!(
            "detections:
  called: {{ kind: emergency_call, report: minor, certainty: likely, counts_for: 1 h{distinct} }}
"
        )
    };
    let distinct = |text: &str| {
        let (rules, mistakes, _) = read(&with(text));
        assert!(mistakes.is_empty(), "{mistakes}");
        let Test::Report(report) = &rules.detections[0].test else {
            panic!("a report");
        };
        (report.distinct.clone(), rules.detections[0].hash)
    };
    let (nobody, of_nobody) = distinct("");
    let (caller, of_caller) = distinct(", distinct: caller");
    let (sensor, of_sensor) = distinct(", distinct: sensor");
    assert_eq!(
        [nobody.as_deref(), caller.as_deref(), sensor.as_deref()],
        [None, Some("caller"), Some("sensor")]
    );
    assert!(of_nobody != of_caller && of_caller != of_sensor);
    refused(
        &with(", distinct: id"),
        &expect![
            "a.yaml:2:96 detections.called.distinct: `id` does not say who reports; write `caller`, or the name of the attribute that does, or `sensor`"
        ],
    );
    refused(
        &with(", distinct: [a, b]"),
        &expect![
            "a.yaml:2:96 detections.called.distinct: a list is not the name of an attribute, of at most 128 bytes"
        ],
    );
}
