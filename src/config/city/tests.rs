use expect_test::{Expect, expect};
use ioc_core::bundle::Expected;
use ioc_core::decision::EffectClass;

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
    let (city, _) = read("city", &text, &kinds(), &mut mistakes, &mut warnings);
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
    let names: Vec<_> = city
        .zones
        .iter()
        .map(|zone| (zone.id.as_str(), &*zone.name))
        .collect();
    assert_eq!(
        names,
        [("all", "all"), ("south", "Süd"), ("suoth", "suoth")]
    );
    let [seven, a, b] = &city.sensors[..] else {
        panic!("three sensors")
    };
    assert_eq!((seven.unit.as_str(), seven.scale), ("mw", Scale::OfKind));
    assert_eq!(
        (b.unit.as_str(), b.scale, b.warning),
        ("mAOD", Scale::Own, Some(41.0))
    );
    assert_eq!(
        (a.unit.as_str(), a.scale, a.danger),
        ("m", Scale::OfKind, Some(2.0))
    );
    assert_eq!(a.interval, Some(Millis(500)));
    assert_eq!(a.position, Position::from_degrees(0.5, 0.25));
    assert_eq!(
        city.zone_at(a.position.unwrap()).unwrap().id.as_str(),
        "all"
    );
    expect![[r#"
        city: 1 sensor is in no zone: `7`
        city: `mAOD` of 1 sensor cannot be converted to `m`: only their own `warning` and `danger` count
        city: no feature describes zone `suoth` of 1 sensor; did you mean `south`?"#]].assert_eq(&warnings.to_string());
}

#[test]
fn properties_that_are_nearly_known_are_warned_of_once_where_the_known_one_is_missing() {
    let (_, mistakes, warnings) = load(
        r#"{"id":"a","properties":{"type":"sensor","kind":"water_level","interval":60,"warnin":2,"river":"x"}},
{"id":"b","properties":{"type":"sensor","kind":"water_level","interval":60,"interval_s":60}},
{"id":"c","properties":{"type":"sensor","kind":"water_level","interval":60,"manager":"y"}},
{"id":"z","properties":{"type":"zone","parrent":"y"}}"#,
    );
    assert!(mistakes.is_empty(), "{mistakes}");
    expect![[r#"
        city:2:1: `interval` of 2 sensors is not read; did you mean `interval_s`?
        city:2:1: `warnin` of 1 sensor is not read; did you mean `warning`?
        city:5:1: `parrent` of 1 zone is not read; did you mean `parent`?"#]]
    .assert_eq(&warnings.to_string());
}

#[test]
fn sensors_in_no_zone_are_warned_of_and_exchanged_coordinates_guessed() {
    let zone = r#"{"id":"z","properties":{"type":"zone"},"geometry":{"type":"Polygon","coordinates":[[[8,50],[9,50],[9,51],[8,51],[8,50]]]}}"#;
    let sensor = |id: &str, at: &str| {
        format!(
            r#"{{"id":"{id}","properties":{{"type":"sensor","kind":"water_level"}},"geometry":{{"type":"Point","coordinates":{at}}}}}"#
        )
    };
    let told = |sensors: &[(&str, &str)]| {
        let sensors = sensors.iter().map(|(id, at)| sensor(id, at));
        let features: Vec<_> = std::iter::once(zone.to_owned()).chain(sensors).collect();
        load(&features.join(",\n")).2.to_string()
    };
    expect![[""]].assert_eq(&told(&[("a", "[8.5,50.5]")]));
    expect!["city: 1 sensor is in no zone: `a`"].assert_eq(&told(&[("a", "[7,50.5]")]));
    let far = [
        ("a", "[7,5]"),
        ("b", "[50.5,8.5]"),
        ("c", "[7,5]"),
        ("d", "[50.5,8.5]"),
    ];
    expect!["city: 4 sensors are in no zone: `a`, `b`, `c` and 1 more; 2 would be with coordinates exchanged: GeoJSON has the longitude first"].assert_eq(&told(&far));
}

#[test]
fn a_city_without_zones_of_its_own_groups_its_sensors_by_name() {
    let (city, mistakes, warnings) = load(
        r#"{"id":"a","properties":{"type":"sensor","kind":"water_level","zone":"Parrett, Brue"}}"#,
    );
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes}{warnings}"
    );
    assert_eq!(city.zones[0].name, "Parrett, Brue");
    assert!(city.zones[0].areas.is_empty());
}

#[test]
fn levels_of_sensors_are_converted_to_the_unit_of_their_kind() {
    let (city, mistakes, _) = load(
        r#"{"id":"a","properties":{"type":"sensor","kind":"water_level","unit":"cm","warning":372}}"#,
    );
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!(city.sensors[0].unit, "m");
    assert_eq!(city.sensors[0].warning, Some(3.72));
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
        &expect![[r#"
            city:2:1 feature 1 (a) geometry: a zone needs a geometry of type Polygon or MultiPolygon, or null
            city:3:1 feature 2 (b) geometry: a ring needs at least four positions, the last equal to the first
            city:3:1 zone b parent: lies in itself, or more than 16 zones deep
            city:4:1 feature 3 (c) geometry: has a hole, and a zone cannot have one; make the inner area a zone of its own
            city:4:1 zone c parent: lies in itself, or more than 16 zones deep
            city:5:1 feature 4 (c) geometry: [3.1, 101.6] is not on the globe; write longitude (-180 to 180), then latitude (-90 to 90)
            city:5:1 feature 4 (c) id: another zone of this id is at city:4:1; rename one
            city:6:1 feature 5 (d) geometry: coordinates that cannot be read: invalid type: string "a", expected a position such as [101.69, 3.14]
            city:7:1 zone e parent: no zone has the id `cc`; did you mean `c`?"#]],
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
        &expect![[r#"
            city:2:1 feature 1: has no id; write `"id": "wl-0412"` beside `properties`
            city:3:1 feature 2 (a) type: is missing; write one of zone, sensor, river, asset, actuator
            city:3:29 feature 3 (a) type: `senzor` is not one of zone, sensor, river, asset, actuator; did you mean `sensor`?
            city:4:1 feature 4 (a b) id: `a b`: a sensor's name must be 1 to 128 of letters, digits and . _ : @ -
            city:4:1 feature 4 (a b) kind: is missing; write what it measures, such as `water_level`
            city:5:1 feature 5 (c) danger: a list is not a number
            city:5:1 feature 5 (c) interval_s: 0 is not from 0.001 to 2678400 seconds
            city:5:1 feature 5 (c) kind: unknown kind of reading `water_levle`; did you mean `water_level`?
            city:5:1 feature 5 (c) unit: must have 1 to 32 bytes, such as `m`
            city:5:1 feature 5 (c) warning: `0.9` is not a number
            city:5:1 feature 5 (c) zone: 3 is not a text
            city:6:1 feature 6 (d) geometry: [3.1, 101.6] is not on the globe; write longitude (-180 to 180), then latitude (-90 to 90)
            city:7:1 feature 7 (e) geometry: coordinates that cannot be read: invalid length 1, expected a position such as [101.69, 3.14]
            city:8:1 feature 8 (f) geometry: a sensor or an actuator needs a geometry of type Point, or null
            city:10:1 feature 10 (g) id: another sensor has this id; rename one
            city:11:1 feature 11: not a GeoJSON feature: invalid type: integer `7`, expected an object with `id`, `properties` and `geometry`"#]],
    );
}

#[test]
fn what_is_no_feature_collection_is_refused_with_its_place() {
    let (mut mistakes, mut warnings) = Default::default();
    for text in ["", "[]", "{\"features\": [\n{]}", "{\"features\": 3}"] {
        read("city", text, &kinds(), &mut mistakes, &mut warnings);
    }
    expect![[r#"
        city:1:1: not a GeoJSON FeatureCollection: EOF while parsing a value
        city:1:2: not a GeoJSON FeatureCollection: invalid length 0, expected an object with `features`
        city:1:14: not a GeoJSON FeatureCollection: invalid type: integer `3`, expected a sequence
        city:2:2: not a GeoJSON FeatureCollection: key must be a string"#]].assert_eq(&mistakes.to_string());
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
    let (city, mistakes, _) = load(&features.join(",\n"));
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!((city.sensors.len(), city.zones.len()), (100_000, 50));
}

#[test]
fn p5_a_city_has_no_more_features_than_its_bound() {
    let (_, mistakes, _) = load(&vec!["{}"; FEATURES_MAX + 1].join(","));
    let said = mistakes.to_string();
    assert!(said.contains("features are too many"), "{said}");
}

#[test]
fn networks_are_read_of_sensors_and_assets() {
    let (city, mistakes, warnings) = load(
        r#"{"id":"wl-1","properties":{"type":"sensor","kind":"water_level","flows_to":"wl-2","lag_s":600,"river":"Klang"}},
{"id":"wl-2","properties":{"type":"sensor","kind":"water_level","fed_by":"tr-1","line":"red","order":-3}},
{"id":"tr-1","properties":{"type":"asset","fed_by":"ss-1"}},
{"id":"ss-1","properties":{"type":"asset"}},
{"id":"unlinked","properties":{"type":"asset"}}"#,
    );
    assert!(
        mistakes.is_empty() && warnings.is_empty(),
        "{mistakes}{warnings}"
    );
    let ids: Vec<_> = city.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["ss-1", "tr-1", "wl-1", "wl-2"]);
    let [_, transformer, upper, lower] = &city.nodes[..] else {
        panic!("four nodes")
    };
    assert_eq!(
        transformer.fed_by.as_ref().map(|id| id.as_str()),
        Some("ss-1")
    );
    let flow = upper.flows_to.as_ref().unwrap();
    assert_eq!((flow.to.as_str(), flow.lag), ("wl-2", Millis::minutes(10)));
    assert_eq!(upper.river.as_deref(), Some("Klang"));
    let stop = lower.stop.as_ref().unwrap();
    assert_eq!((&*stop.line, stop.order), ("red", -3));
}

#[test]
fn mistakes_of_networks() {
    refused(
        r#"{"id":"a","properties":{"type":"sensor","kind":"water_level","flows_to":"b","lag_s":0,"order":1.5}},
{"id":"b","properties":{"type":"sensor","kind":"water_level","flows_to":"aa","lag_s":60,"fed_by":"fd-2"}},
{"id":"b","properties":{"type":"asset","lag_s":60,"line":"red"}},
{"id":"c","properties":{"type":"asset","flows_to":"d","lag_s":60,"line":"red","order":0.5}},
{"id":"d","properties":{"type":"asset","flows_to":"e","lag_s":60,"fed_by":7}},
{"id":"e","properties":{"type":"asset","flows_to":"d","lag_s":9e9}},
{"id":"e","properties":{"type":"asset","flows_to":"d"}},
{"id":"fd-1","properties":{"type":"asset","fed_by":"fd-1"}},
{"id":"g","properties":{"type":"asset","fed_by":"h"}},
{"id":"h","properties":{"type":"asset","fed_by":"g","river":"?"}}"#,
        &expect![[r#"
            city:2:1 feature 1 (a) lag_s: 0 is not from 1 to 2592000 seconds
            city:2:1 feature 1 (a) line: is missing; write the line's name
            city:3:1 b fed_by: no sensor or asset has the id `fd-2`; did you mean `fd-1`?
            city:3:1 b flows_to: no sensor or asset has the id `aa`; did you mean `a`?
            city:4:1 asset b: a sensor has the id `b` too; rename one
            city:4:1 feature 3 (b) flows_to: is missing; write the next place downstream
            city:4:1 feature 3 (b) order: is missing; write where on the line it is: 1, 2, 3, …
            city:5:1 feature 4 (c) order: 0.5 is not a whole number from -1000000 to 1000000
            city:6:1 feature 5 (d) fed_by: 7 is not a text
            city:7:1 feature 6 (e) lag_s: 9000000000 is not from 1 to 2592000 seconds
            city:8:1 feature 7 (e) id: another asset of this id is at city:7:1; rename one
            city:9:1 fd-1 fed_by: feeds itself: fd-1 → fd-1; remove one of these
            city:10:1 g fed_by: feeds itself: g → h → g; remove one of these"#]],
    );
    let chain = (0..18).map(|level| {
        let next = level + 1;
        format!(r#"{{"id":"n{level:02}","properties":{{"type":"asset","fed_by":"n{next:02}"}}}},"#)
    });
    let chain = chain.collect::<Vec<_>>().join("\n");
    refused(
        &format!(r#"{chain}{{"id":"n18","properties":{{"type":"asset"}}}}"#),
        &expect![[r#"
            city:2:1 n00 fed_by: is more than 16 levels below what feeds all
            city:3:1 n01 fed_by: is more than 16 levels below what feeds all"#]],
    );
}

const SHUT: &str = r#"{"id":"gate-shut","properties":{"type":"sensor","kind":"water_level"}},
"#;

fn actuator(properties: &str) -> String {
    format!(r#"{SHUT}{{"id":"gate","properties":{{"type":"actuator",{properties}}}}}"#)
}

#[test]
fn an_actuator_has_commands_deadlines_and_what_shows_that_they_are_done() {
    let (city, mistakes, _) = load(&actuator(
        r#""commands":{"open":{"confirmed_by":{"sensor":"gate-shut","below":0.5}},
           "close":{"confirmed_by":{"sensor":"gate-shut","is":1}},"flash":{}},
           "effect":"at_most_once","deadline_s":2.5,"outcome_within_s":90,"zone":"south""#,
    ));
    assert!(mistakes.is_empty(), "{mistakes}");
    let gate = &city.actuators[0];
    assert_eq!(
        (gate.effect, gate.deadline),
        (EffectClass::AtMostOnce, Millis(2_500))
    );
    assert_eq!(gate.outcome_within, Millis::seconds(90));
    let shown = gate.commands.iter().map(|command| {
        let by = command.confirmed_by.as_ref().map(|by| by.expected);
        (command.name.as_str(), by)
    });
    let expected = [
        ("close", Some(Expected::Is(1.0))),
        ("flash", None),
        ("open", Some(Expected::Below(0.5))),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);

    let (city, mistakes, _) = load(&actuator(r#""commands":["open","close"]"#));
    assert!(mistakes.is_empty(), "{mistakes}");
    let gate = &city.actuators[0];
    assert_eq!(
        (gate.effect, gate.deadline),
        (EffectClass::Idempotent, Millis::minutes(1))
    );
    assert_eq!(gate.commands.len(), 2);
}

#[test]
fn p5_an_actuator_has_no_more_commands_than_its_bound() {
    let with = |count: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("\"c{number}\"")).collect();
        load(&actuator(&format!("\"commands\":[{}]", names.join(",")))).1
    };
    assert!(with(100).is_empty());
    assert!(with(101).to_string().contains("101 are not from 1 to 100"));
}

#[test]
fn mistakes_of_actuators() {
    let told = |features: &str| load(features).1.to_string();
    for (properties, said) in [
        (
            r#""zone":"south""#,
            "commands: is missing; write what it can be ordered to do",
        ),
        (r#""commands":7"#, "commands: invalid type: integer `7`"),
        (r#""commands":[]"#, "commands: 0 are not from 1 to 100"),
        (
            r#""commands":["Open it"]"#,
            "`Open it`: a command must be 1 to 64",
        ),
        (
            r#""commands":{"open":{"confirmd_by":1}}"#,
            "unknown field `confirmd_by`",
        ),
        (
            r#""commands":{"open":{"confirmed_by":{"sensor":"gate-shut"}}}"#,
            "`confirmed_by` of open needs one of `is`, `above`, `below`",
        ),
        (
            r#""commands":{"open":{"confirmed_by":{"sensor":"gate-shut","is":1,"above":2}}}"#,
            "`confirmed_by` of open needs one of `is`, `above`, `below`",
        ),
        (
            r#""commands":{"open":{"confirmed_by":{"sensor":"gate-shud","is":1}}}"#,
            "no sensor has the id `gate-shud`; did you mean `gate-shut`?",
        ),
        (
            r#""commands":["open"],"effect":"once""#,
            "effect: `once` is not one of idempotent, at_most_once",
        ),
        (
            r#""commands":["open"],"deadline_s":0"#,
            "deadline_s: 0 is not from 0.001 to 86400",
        ),
        (
            r#""commands":["open"],"outcome_within_s":90000"#,
            "outcome_within_s: 90000 is not from 0.001 to 86400",
        ),
    ] {
        let told = told(&actuator(properties));
        assert!(
            told.contains(said) && told.contains("(gate)"),
            "{properties}: {told}"
        );
    }
    let one = actuator(r#""commands":["open"]"#);
    let two = format!("{one},\n{}", one.replace(SHUT, ""));
    assert!(told(&two).contains("another actuator has this id; rename one"));
}
