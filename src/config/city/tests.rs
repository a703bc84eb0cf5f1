use expect_test::{Expect, expect};

use super::*;
use crate::config::yaml;

fn kinds() -> Kinds {
    let text = "
kinds:
  water_level: { unit: m, means: Height of a river. }
  earthquake_report: { unit: any, means: A quake. }
";
    let mut mistakes = Mistakes::default();
    let root = yaml::parse("kinds.yaml", text, &mut mistakes).unwrap();
    Kinds::read(&root, &mut mistakes)
}

fn load(features: &str) -> (City, Mistakes, Mistakes) {
    let (mut mistakes, mut warnings) = Default::default();
    let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{features}\n]}}");
    let city = read("city", &text, &kinds(), &mut mistakes, &mut warnings);
    (city, mistakes, warnings)
}

fn refused(features: &str, expected: &Expect) {
    expected.assert_eq(&load(features).1.to_string());
}

const SQUARE: &str = "[[[0,0],[1,0],[1,1],[0,1],[0,0,7.5]]]";

#[test]
fn zones_and_sensors_are_read_and_the_rest_let_through() {
    let (city, mistakes, warnings) = load(&format!(
        r#"{{"type":"Feature","id":"south","properties":{{"type":"zone","name":"S\u00fcd","parent":"all"}},"geometry":{{"type":"Polygon","coordinates":{SQUARE}}}}},
{{"id":"all","properties":{{"type":"zone","population":7,"tags":["a",{{"b":null}}]}},"geometry":{{"type":"MultiPolygon","coordinates":[{SQUARE}]}}}},
{{"id":"r","properties":{{"type":"river"}},"geometry":{{"type":"LineString","coordinates":[[0,0],[1,1]]}}}},
{{"id":"b","properties":{{"type":"sensor","kind":"water_level","unit":"mAOD","warning":41,"zone":"south"}},"geometry":null}},
{{"id":7,"properties":{{"type":"sensor","kind":"earthquake_report","unit":"mw"}}}},
{{"id":"a","properties":{{"type":"sensor","kind":"water_level","zone":"suoth","interval_s":0.5,"danger":2}},"geometry":{{"type":"Point","coordinates":[0.5,0.25,12]}}}}"#
    ));
    assert!(mistakes.is_empty(), "{mistakes}");
    let names: Vec<_> = city.zones.iter().map(|zone| (zone.id.as_str(), &*zone.name)).collect();
    assert_eq!(names, [("all", "all"), ("south", "Süd"), ("suoth", "suoth")]);
    let [seven, a, b] = &city.sensors[..] else {
        panic!("three sensors")
    };
    assert_eq!((seven.unit.as_str(), seven.scale), ("mw", Scale::OfKind));
    assert_eq!((b.unit.as_str(), b.scale, b.warning), ("mAOD", Scale::Own, Some(41.0)));
    assert_eq!((a.unit.as_str(), a.scale, a.danger), ("m", Scale::OfKind, Some(2.0)));
    assert_eq!(a.interval, Some(Millis(500)));
    assert_eq!(a.position, Position::from_degrees(0.5, 0.25));
    assert_eq!(city.zone_at(a.position.unwrap()).unwrap().id.as_str(), "all");
    expect![[""]].assert_eq(&warnings.to_string());
}

#[test]
fn a_city_without_zones_of_its_own_groups_its_sensors_by_name() {
    let (city, mistakes, warnings) = load(
        r#"{"id":"a","properties":{"type":"sensor","kind":"water_level","zone":"Parrett, Brue"}}"#,
    );
    assert!(mistakes.is_empty() && warnings.is_empty(), "{mistakes}{warnings}");
    assert_eq!(city.zones[0].name, "Parrett, Brue");
    assert!(city.zones[0].areas.is_empty());
}

#[test]
fn mistakes_of_zones() {
    refused(
        r#"{"id":"a","properties":{"type":"zone","parent":"b"},"geometry":{"type":"Point","coordinates":[0,0]}},
{"id":"b","properties":{"type":"zone","parent":"c"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}},
{"id":"c","properties":{"type":"zone","parent":"b"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]],[[0,0],[1,0],[1,1],[0,0]]]}},
{"id":"c","properties":{"type":"zone"},"geometry":{"type":"Polygon","coordinates":[[[3.1,101.6],[1,0],[1,1],[3.1,101.6]]]}},
{"id":"d","properties":{"type":"zone","parent":"cc"},"geometry":{"type":"Polygon","coordinates":[["a"]]}},
{"id":"e","properties":{"type":"zone","parent":"cc"}}"#,
        &expect![[""]],
    );
}

#[test]
fn mistakes_of_sensors() {
    refused(
        r#"{"properties":{"type":"sensor"}},
{"id":"a","properties":{}}, {"id":"a","properties":{"type":"senzor"}},
{"id":"a b","properties":{"type":"sensor"}},
{"id":"c","properties":{"type":"sensor","kind":"water_levle","unit":"","zone":3,"interval_s":0,"warning":"0.9","danger":[1]}},
{"id":"d","properties":{"type":"sensor","kind":"water_level"},"geometry":{"type":"Point","coordinates":[3.1,101.6]}},
{"id":"e","properties":{"type":"sensor","kind":"water_level"},"geometry":{"type":"Point","coordinates":[3.1]}},
{"id":"f","properties":{"type":"sensor","kind":"water_level"},"geometry":{"type":"Polygon","coordinates":[]}},
{"id":"g","properties":{"type":"sensor","kind":"water_level"}},
{"id":"g","properties":{"type":"sensor","kind":"water_level"}},
7"#,
        &expect![[""]],
    );
}

#[test]
fn what_is_no_feature_collection_is_refused_with_its_place() {
    let (mut mistakes, mut warnings) = Default::default();
    for text in ["", "[]", "{\"features\": [\n{]}", "{\"features\": 3}"] {
        read("city", text, &kinds(), &mut mistakes, &mut warnings);
    }
    expect![[""]].assert_eq(&mistakes.to_string());
}

#[test]
fn a_hundred_thousand_sensors_are_read() {
    let feature = |id: usize| {
        format!(
            r#"{{"type":"Feature","id":"s{id:06}","properties":{{"type":"sensor","kind":"water_level","unit":"m","zone":"z{}","interval_s":60,"warning":1.5,"danger":2.5}},"geometry":{{"type":"Point","coordinates":[101.6,3.1]}}}}"#,
            id % 50
        )
    };
    let features: Vec<_> = (0..100_000).map(feature).collect();
    let started = std::time::Instant::now();
    let (city, mistakes, _) = load(&features.join(",\n"));
    println!("read in {:?}", started.elapsed());
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!((city.sensors.len(), city.zones.len()), (100_000, 50));
}
