use expect_test::expect;
use ioc_gateway::door::Lane;

use super::*;

const KINDS_YAML: &str = "
kinds:
  water_level: { unit: m, means: Height of a river. }
  feeder: { unit: kV, means: Voltage. }
  temperature: { unit: degC, means: Temperature. }
  earthquake_report: { unit: any, means: A quake. }
";
const RULES_YAML: &str = "
detections:
  river-high: { kind: water_level, above: { moderate: 3 m, severe: 3.8 m }, clear: below 2.7 m }
  feeder-low: { kind: feeder, below: { moderate: 9 kV, severe: 2 kV }, clear: above 10 kV }
  hot: { kind: temperature, above: { severe: 50 degC }, clear: below 45 degC }
  cold: { kind: temperature, below: { severe: 0 degC }, clear: above 2 degC }
correlations:
  any:
    incident: any
    from: [river-high, feeder-low, hot, cold]
    sources: 1
    within: 1 km
    within_time: 1 h
";

fn compile(city: &str) -> Result<Compiled, Mistakes> {
    let city = format!("{{\"features\":[{city}]}}");
    let files = [
        (KINDS, KINDS_YAML),
        ("rules/a.yaml", RULES_YAML),
        (CITY, &city),
    ];
    let files = files.map(|(name, text)| SourceFile {
        name: name.to_owned(),
        shown: name.to_owned(),
        bytes: text.as_bytes().to_vec(),
    });
    Source::of(files.into()).compile()
}

fn sensor(id: &str, kind: &str, more: &str) -> String {
    format!(r#"{{"id":"{id}","properties":{{"type":"sensor","kind":"{kind}"{more}}}}}"#)
}

#[test]
fn who_could_fall_silent_without_being_missed_is_warned_of() {
    let heard = r#","interval_s":60"#;
    let sensors = [("a", "water_level", heard), ("b", "water_level", heard)];
    let sensors = sensors.map(|(id, kind, more)| sensor(id, kind, more));
    let compiled = compile(&format!(
        "{},{}",
        sensors.join(","),
        sensor("c", "feeder", "")
    ));
    expect!["city.geojson interval_s: 2 of kind water_level have an `interval_s`, and no rule tells when one falls silent; write one: `water_level-silent: { kind: water_level, silent: 5 intervals, at_least: 5 min }`"].assert_eq(&compiled.unwrap().warnings.to_string());
}

#[test]
fn own_levels_and_the_rules_levels_make_one_ladder_or_the_own_ones_stand_alone() {
    let scale = |more: &str| {
        let compiled = compile(&sensor("a", "water_level", more)).unwrap();
        compiled.bundle.city.sensors[0].scale
    };
    assert_eq!(scale(""), Scale::OfKind);
    assert_eq!(scale(r#","warning":0.9,"danger":1.5"#), Scale::OfKind);
    assert_eq!(scale(r#","warning":0.9"#), Scale::OfKind);
    assert_eq!(scale(r#","warning":5.5"#), Scale::Own);
    assert_eq!(scale(r#","danger":2.5"#), Scale::Own);
    assert_eq!(scale(r#","warning":5.5,"danger":7"#), Scale::OfKind);
    assert_eq!(
        scale(r#","unit":"mAOD","warning":41,"danger":42"#),
        Scale::Own
    );
}

#[test]
fn levels_that_contradict_themselves_or_the_rules_are_mistakes() {
    let sensors = [
        sensor("river", "water_level", r#","warning":2,"danger":1"#),
        sensor("feeder", "feeder", r#","warning":2,"danger":9"#),
        sensor("fine", "feeder", r#","warning":20,"danger":5"#),
        sensor("air", "temperature", r#","warning":30"#),
    ];
    let mistakes = compile(&sensors.join(",")).unwrap_err();
    expect![[r#"
        city.geojson sensor air: rules look both above and below the levels of temperature, and `warning` and `danger` cannot say which they mean; remove them, or the rules of one side
        city.geojson sensor feeder: danger 9 lies above warning 2, but feeder is abnormal below its levels; exchange them
        city.geojson sensor river: danger 1 lies below warning 2, but water_level is abnormal above its levels; exchange them"#]].assert_eq(&mistakes.to_string());
}

#[test]
fn the_door_converts_to_the_unit_that_the_rules_are_written_in() {
    let sensors = [
        sensor("a", "water_level", r#","unit":"cm""#),
        sensor("b", "water_level", r#","unit":"mAOD""#),
        sensor("c", "earthquake_report", ""),
    ];
    let compiled = compile(&sensors.join(",")).unwrap();
    let catalogue = compiled.catalogue(Unregistered::Refuse);
    let unit = |sensor: &str| catalogue.sensors[sensor].unit.as_ref();
    assert_eq!((unit("a"), unit("b"), unit("c")), ("m", "mAOD", ""));
    let unnamed = |sensor: &str| catalogue.sensors[sensor].unit_unnamed.as_ref();
    assert_eq!((unnamed("a"), unnamed("b"), unnamed("c")), ("cm", "", ""));
    assert_eq!(catalogue.kind_units["feeder"].as_ref(), "kV");
    assert!(!catalogue.kind_units.contains_key("earthquake_report"));
    assert_eq!(catalogue.unregistered, Unregistered::Refuse);
}

#[test]
fn files_that_are_no_text_or_not_there_are_mistakes() {
    let file = |name: &str, bytes: &[u8]| SourceFile {
        name: name.to_owned(),
        shown: name.to_owned(),
        bytes: bytes.to_vec(),
    };
    let bad = vec![file(KINDS, b"\xff"), file("rules/a.yaml", b"\xff")];
    let mistakes = Source::of(bad).compile().unwrap_err();
    expect![[r#"
        kinds.yaml: is not UTF-8 text
        rules/a.yaml: is not UTF-8 text"#]]
    .assert_eq(&mistakes.to_string());
    let mistakes = Source::of(Vec::new()).compile().unwrap_err();
    expect!["kinds.yaml: is missing"].assert_eq(&mistakes.to_string());
}

#[test]
fn p7_kinds_are_urgent_that_say_so_or_that_a_rule_takes_as_reports() {
    let kinds = KINDS_YAML
        .replace("Voltage. }", "Voltage., urgent: yes }")
        .replace("A quake. }", "A quake. }\n  call: { unit: call, means: A call. }\n  chat: { unit: call, means: A chat., urgent: no }");
    let rules = RULES_YAML.replace(
        "detections:",
        "detections:
  called: { kind: call, report: minor, certainty: possible, counts_for: 1 h }
  chatted: { kind: chat, report: minor, certainty: possible, counts_for: 1 h }",
    );
    let files = [(KINDS, &*kinds), ("rules/a.yaml", &*rules)].map(|(name, text)| SourceFile {
        name: name.to_owned(),
        shown: name.to_owned(),
        bytes: text.as_bytes().to_vec(),
    });
    let compiled = Source::of(files.into()).compile();
    let compiled = compiled.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let catalogue = compiled.catalogue(Unregistered::Accept);
    let kinds = ["call", "chat", "feeder", "water_level", "unknown"];
    let urgent = kinds.map(|kind| catalogue.lane(kind) == Lane::Urgent);
    assert_eq!(urgent, [true, false, true, false, false]);
}
