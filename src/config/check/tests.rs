use std::fs;

use expect_test::expect;

use super::*;

fn check(dir: Option<&Path>) -> (bool, String) {
    let mut out = Vec::new();
    let sound = run(dir, None, &mut out).unwrap();
    (sound, String::from_utf8(out).unwrap())
}

#[test]
fn what_is_shipped_has_no_mistake_and_no_warning() {
    let (sound, text) = check(None);
    assert!(sound, "{text}");
    let (found, hash) = text.trim_end().rsplit_once(' ').unwrap();
    expect!["24 kinds, 162 detections, 17 correlations, 14 zones, 281 sensors, 3 actuators, 0 mappings; bundle"]
        .assert_eq(found);
    assert_eq!(hash.len(), 12);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    assert_eq!(check(Some(&dir)), (true, text));
}

#[test]
fn a_file_of_ones_own_is_told_to_stand_in_place_of_the_shipped_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rules")).unwrap();
    let kinds = "kinds:\n  water_level: { unit: m, means: River. }\n";
    fs::write(dir.path().join("kinds.yaml"), kinds).unwrap();
    let rules = "detections:\n  wet: { kind: rainfall, above: { severe: 3 mm/h } }\n  \
                 dry: { kind: moisture, above: { severe: 3 } }\n";
    fs::write(dir.path().join("rules/a.yaml"), rules).unwrap();
    let (_, text) = check(Some(dir.path()));
    let instead = "`rainfall`; the shipped kinds.yaml has it, but your kinds.yaml stands in place of \
                   the shipped one: copy it from there too";
    assert!(text.contains(instead), "{text}");
    assert!(
        text.contains("`moisture`; describe it in kinds.yaml"),
        "{text}"
    );

    // One shipped file of rules alone misses what the others have.
    let shipped = include_str!("../../../config/rules/flood.yaml");
    fs::write(dir.path().join("rules/a.yaml"), shipped).unwrap();
    fs::remove_file(dir.path().join("kinds.yaml")).unwrap();
    let (_, text) = check(Some(dir.path()));
    for told in [
        "no correlation makes incidents `heavy_rain`; the shipped rules/",
        "no detection is named `heavy-rain`; the shipped rules/",
        "has it, but your rules/ stands in place of all shipped rules",
    ] {
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn the_mistakes_of_all_files_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rules")).unwrap();
    for (name, text) in [
        ("ioc.yaml", "http: { listn: 127.0.0.1:1 }\n"),
        (
            "kinds.yaml",
            "kinds:\n  water_level: { unit: m, means: River., norml: 1 m }\n",
        ),
        (
            "rules/a.yaml",
            "detections:\n  high: { kind: watr_level, above: { severe: 3 m } }\n",
        ),
        ("rules/b.yaml", "corelations: {}\n"),
        (
            "city.geojson",
            "{\"features\": [\n  {\"id\": \"a\", \"properties\": {\"type\": \"sensr\"}}\n]}",
        ),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let (sound, text) = check(Some(dir.path()));
    assert!(!sound);
    let text = text.replace(&dir.path().display().to_string(), "DIR");
    expect![[r#"
        DIR/city.geojson:2:3 feature 1 (a) type: `sensr` is not one of zone, sensor, river, asset, actuator; did you mean `sensor`?
        DIR/ioc.yaml:1:9 http.listn: unknown key; did you mean `listen`?
        DIR/kinds.yaml:2:42 kinds.water_level.norml: unknown key; did you mean `normal`?
        DIR/rules/a.yaml:2:17 detections.high.kind: unknown kind of reading `watr_level`; did you mean `water_level`?
        DIR/rules/b.yaml:1:1 corelations: unknown key; did you mean `correlations`?
        5 mistakes
    "#]].assert_eq(&text);
}

#[test]
fn a_file_that_is_no_yaml_hides_no_mistake_of_another() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rules")).unwrap();
    for (name, text) in [
        ("ioc.yaml", "http: {\n"),
        ("mappings.yaml", "mappings:\n  x: { topic: [\n"),
        ("rules/a.yaml", "detections: { high: {\n"),
        ("rules/b.yaml", "detections: [1, 2\n"),
        ("rules/c.yaml", "corelations: {}\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let (_, text) = check(Some(dir.path()));
    let files = text
        .lines()
        .filter_map(|line| line.strip_prefix(dir.path().to_str()?));
    let files: Vec<_> = files.filter_map(|line| line.split(':').next()).collect();
    let expected = [
        "/ioc.yaml",
        "/mappings.yaml",
        "/rules/a.yaml",
        "/rules/b.yaml",
        "/rules/c.yaml",
    ];
    assert_eq!(files, expected, "{text}");
}

#[test]
fn a_directory_without_a_configuration_is_not_sound() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("Rules")).unwrap();
    let (sound, text) = check(Some(dir.path()));
    assert!(!sound);
    let text = text.replace(&dir.path().display().to_string(), "DIR");
    expect![[r#"
        DIR: no configuration here; expected ioc.yaml, kinds.yaml, rules/, mappings.yaml, city.geojson or city.geojson.gz
        DIR/Rules: is not read; did you mean `rules`?
        2 mistakes
    "#]].assert_eq(&text);
}

#[test]
fn every_example_in_the_page_about_rules_is_right() {
    let page = include_str!("../../../docs/RULES.md");
    let blocks = page.split("```yaml\n").skip(1);
    let examples = blocks.filter_map(|block| block.split("```").next());
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rules")).unwrap();
    // What the examples name of a city.
    let city = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","id":"harbour","properties":{"type":"zone"},"geometry":{"type":"Polygon",
         "coordinates":[[[101.6,3.1],[101.7,3.1],[101.7,3.2],[101.6,3.1]]]}},
        {"type":"Feature","id":"wl-0412","properties":{"type":"sensor","kind":"water_level"},
         "geometry":{"type":"Point","coordinates":[101.65,3.12]}}]}"#;
    fs::write(dir.path().join("city.geojson"), city).unwrap();
    for (index, example) in examples.enumerate() {
        let name = format!("rules/{index}.yaml");
        fs::write(dir.path().join(name), example).unwrap();
    }
    let (sound, text) = check(Some(dir.path()));
    let is_of_a_rule = |line: &&str| line.starts_with("warning: ") && line.contains("rules/");
    let warnings: Vec<_> = text.lines().filter(is_of_a_rule).collect();
    assert!(sound && warnings.is_empty(), "{text}");
    assert!(text.contains("41 detections, 20 correlations"), "{text}");
}
