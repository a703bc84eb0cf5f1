use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::mapping::Format;
use super::super::tests::{found, registered};
use super::super::{Message, Workspace};
use super::*;
use crate::formats::ITEMS_MAX;

fn catalogue() -> Catalogue {
    let names = Names {
        sensors: [
            ("urn:ngsi-ld:Gauge:5".into(), "wl-0412".into()),
            ("urn:ngsi-ld:Pump:1/running".into(), "pump-1".into()),
        ]
        .into(),
        kinds: [
            ("level".into(), "water_level".into()),
            ("running".into(), "pump".into()),
        ]
        .into(),
        words: [("ON".into(), 1.0)].into(),
        ..Names::default()
    };
    registered("ngsi/#", Format::NgsiLd, names)
}

fn check(payload: &str, expected: &Expect) {
    let message = Message {
        topic: "ngsi/a",
        payload: payload.as_bytes(),
        ..Message::default()
    };
    let found = found(message, &catalogue(), &mut Workspace::default());
    expected.assert_eq(&found.join("\n"));
}

/// A notification of these entities.
fn notified(entities: &str) -> String {
    format!(
        r#"{{"id":"urn:ngsi-ld:Notification:1","type":"Notification",
        "subscriptionId":"urn:ngsi-ld:Subscription:2",
        "notifiedAt":"2026-03-14T06:45:12Z","data":{entities}}}"#
    )
}

const NORMALIZED: &str = r#"{"id":"urn:ngsi-ld:Gauge:5","type":"WaterLevelObserved",
    "level":{"type":"Property","value":372,"unitCode":"CMT","observedAt":"2026-03-14T06:45:10.933Z"},
    "name":{"type":"Property","value":"Weir"},
    "controls":{"type":"Relationship","object":"urn:ngsi-ld:Pump:1"},
    "location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[101.6953,3.1466]}},
    "@context":["https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.7.jsonld"]}"#;

#[test]
fn a_location_that_was_put_into_a_text_is_read() {
    let with = |location: &str| {
        let entity = format!(
            r#"{{"id":"urn:ngsi-ld:Gauge:5","level":1,"location":{location},
                "dateObserved":"2026-03-14T06:45:00Z"}}"#
        );
        let message = Message {
            topic: "ngsi/a",
            payload: entity.as_bytes(),
            ..Message::default()
        };
        found(message, &catalogue(), &mut Workspace::default()).join("\n")
    };
    let plain = with(r#"{"type":"Point","coordinates":[101.6953,3.1466]}"#);
    assert!(plain.contains("[101.6953, 3.1466]"), "{plain}");
    let text = r#""{\"type\":\"Point\",\"coordinates\":[101.6953,3.1466]}""#;
    assert_eq!(with(text), plain);
    let property = format!(r#"{{"type":"GeoProperty","value":{text}}}"#);
    assert_eq!(with(&property), plain);
    for wrong in [
        r#""{""#,
        r#""{\"coordinates\":[1]}""#,
        r#""{\"coordinates\":\"{}\"}""#,
    ] {
        let told = with(wrong);
        assert!(told.contains("position_invalid"), "{wrong}: {told}");
    }
}

#[test]
fn what_orion_sends_by_ngsiv2_was_observed_when_it_says() {
    // Normalized, with the time of the entity, with that of the attribute, and as key-values.
    let notified = r#"{"subscriptionId":"5fd","data":[
        {"id":"urn:ngsi-ld:Gauge:5","type":"Gauge",
         "TimeInstant":{"type":"DateTime","value":"2026-03-14T06:40:00.00Z","metadata":{}},
         "level":{"type":"Number","value":372,"metadata":{"unitCode":{"type":"Text","value":"CMT"}}},
         "location":{"type":"geo:point","value":"3.1466, 101.6953","metadata":{}}},
        {"id":"urn:ngsi-ld:Gauge:6","type":"Gauge",
         "TimeInstant":{"type":"DateTime","value":"2026-03-14T06:40:00.00Z","metadata":{}},
         "level":{"type":"Number","value":1,
            "metadata":{"TimeInstant":{"type":"DateTime","value":"2026-03-14T06:41:00.00Z"}}}},
        {"id":"urn:ngsi-ld:Gauge:7","type":"Gauge","level":2,"TimeInstant":"2026-03-14T06:42:00.00Z"},
        {"id":"urn:ngsi-ld:Gauge:8","type":"Gauge","TimeInstant":" ",
         "level":{"type":"Number","value":3,
            "metadata":{"dateModified":{"type":"DateTime","value":"2026-03-14T06:43:00.00Z"}}}},
        {"id":"urn:ngsi-ld:Gauge:9","type":"Gauge","level":2,"TimeInstant":"yesterday"},
        {"id":"urn:ngsi-ld:Gauge:9","type":"Gauge","level":2,"location":"101.6953, 203.1466"}]}"#;
    check(
        notified,
        &expect![[r#"
        /data/0/level> auto wl-0412 water_level 3.72m 2026-03-14T06:40:00.000Z [101.6953, 3.1466] entity_type=Gauge
        /data/1/level> auto urn:ngsi-ld:Gauge:6:level water_level 1m 2026-03-14T06:41:00.000Z entity_type=Gauge
        /data/2/level> auto urn:ngsi-ld:Gauge:7:level water_level 2m 2026-03-14T06:42:00.000Z entity_type=Gauge
        /data/3/level> auto urn:ngsi-ld:Gauge:8:level water_level 3m 2026-03-14T06:43:00.000Z entity_type=Gauge
        /data/4/level> observed_at_invalid: dateObserved: "yesterday" is not an RFC 3339 time such as 2026-03-14T06:45:10.933Z
        /data/5> position_invalid: location: is no `latitude, longitude` in degrees, on the globe"#]],
    );
}

#[test]
fn an_entity_is_read_in_each_representation() {
    let normalized = expect![
        "/data/0/level> auto wl-0412 water_level 3.72m 2026-03-14T06:45:10.933Z [101.6953, 3.1466] entity_type=WaterLevelObserved name=Weir"
    ];
    check(&notified(&format!("[{NORMALIZED}]")), &normalized);
    let concise = r#"{"id":"urn:ngsi-ld:Gauge:5","type":"WaterLevelObserved",
        "level":{"value":372,"unitCode":"CMT","observedAt":"2026-03-14T06:45:10.933Z"},"name":"Weir",
        "controls":{"object":"urn:ngsi-ld:Pump:1"},
        "location":{"type":"Point","coordinates":[101.6953,3.1466]}}"#;
    check(&notified(&format!("[{concise}]")), &normalized);
    // Key-values say no unit: that of the registered sensor; and no time but that of the whole.
    let simplified = r#"{"id":"urn:ngsi-ld:Gauge:5","type":"WaterLevelObserved","level":372,"name":"Weir",
        "dateObserved":"2026-03-14T06:00:00Z/2026-03-14T06:45:00Z",
        "location":{"type":"Point","coordinates":[101.6953,3.1466]}}"#;
    check(
        &notified(&format!("[{simplified}]")),
        &expect![
            "/data/0/level> auto wl-0412 water_level 3.72m 2026-03-14T06:45:00.000Z [101.6953, 3.1466] entity_type=WaterLevelObserved name=Weir"
        ],
    );
}

#[test]
fn entities_come_alone_in_lists_and_with_headers_beside_them() {
    let alone = expect![
        "/level> auto wl-0412 water_level 3.72m 2026-03-14T06:45:10.933Z [101.6953, 3.1466] entity_type=WaterLevelObserved name=Weir"
    ];
    check(NORMALIZED, &alone);
    check(
        &format!("[{NORMALIZED}]"),
        &expect![
            "/0/level> auto wl-0412 water_level 3.72m 2026-03-14T06:45:10.933Z [101.6953, 3.1466] entity_type=WaterLevelObserved name=Weir"
        ],
    );
    let body = notified(&format!("[{NORMALIZED}]"));
    check(
        &format!(
            r#"{{"metadata":{{"Content-Type":"application/json","Link":"<x>"}},"body":{body}}}"#
        ),
        &expect![
            "/body/data/0/level> auto wl-0412 water_level 3.72m 2026-03-14T06:45:10.933Z [101.6953, 3.1466] entity_type=WaterLevelObserved name=Weir"
        ],
    );
}

#[test]
fn an_entity_of_several_measurements_is_several_sensors() {
    check(
        &notified(
            r#"[{"id":"urn:ngsi-ld:Station:7","type":["Station","Thing"],
            "https://uri.etsi.org/ngsi-ld/default-context/temperature":{"type":"Property","value":86,"unitCode":"FAH"},
            "PM25":{"value":40.5,"unitCode":"GQ","modifiedAt":"2026-03-14T06:44:00Z"},
            "batteryLevel":0.7,"waterLevel":{"value":null}},
            {"id":"urn:ngsi-ld:Pump:1","type":"Pump","running":"ON"}]"#,
        ),
        &expect![[r#"
            /data/0/https:~1~1uri.etsi.org~1ngsi-ld~1default-context~1temperature> auto urn:ngsi-ld:Station:7:temperature temperature 30degC 2026-03-14T06:45:12.000Z entity_type=Station
            /data/0/PM25> auto urn:ngsi-ld:Station:7:PM25 pm25 40.5ug/m3 2026-03-14T06:44:00.000Z entity_type=Station
            /data/0/waterLevel> absent
            /data/1/running> auto pump-1 pump 1state 2026-03-14T06:45:12.000Z entity_type=Pump"#]],
    );
}

#[test]
fn each_dataset_of_an_attribute_is_a_sensor() {
    check(
        r#"{"id":"urn:ngsi-ld:Gauge:5","type":"Gauge","level":[
            {"type":"Property","value":3,"unitCode":"MTR","datasetId":"urn:ngsi-ld:d:radar"},
            {"type":"Property","value":2,"unitCode":"MTR"}]}"#,
        &expect![[r#"
            /level/0> auto wl-0412:level:urn:ngsi-ld:d:radar water_level 3m 2026-03-14T06:45:10.933Z entity_type=Gauge
            /level/1> auto wl-0412 water_level 2m 2026-03-14T06:45:10.933Z entity_type=Gauge"#]],
    );
}

#[test]
fn an_entity_without_a_reading_takes_no_other_with_it() {
    check(
        &notified(
            r#"[{"id":"urn:ngsi-ld:Lamp:1","type":"Lamp","dimming":3}, 7, {"type":"Gauge","level":1},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"type":"Relationship","object":"urn:x"}},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"value":[1,2]}},
            {"id":"urn:ngsi-ld:Gauge:5","level":1,"level":2},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"value":1,"value":2}},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"value":1,"observedAt":"noon"}},
            {"id":"urn:ngsi-ld:Gauge:5","level":1,"location":{"type":"Point","coordinates":[1,200]}},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"value":1,"unitCode":"CEL"}},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"value":"urn:ngsi-ld:null"}},
            {"id":"urn:ngsi-ld:Gauge:5","level":1e999},
            {"id":"urn:ngsi-ld:Gauge:5","level":"high"}]"#,
        ),
        &expect![[r#"
            /data/0> nothing_mapped: no attribute of the entity is of a kind that is known here; say in `kinds` which attributes are readings, and of which kind
            /data/1> not_an_object: an entity is an object, and this is a number
            /data/2> sensor_missing: an entity has an id, which is a text
            /data/3/level> value_missing: value: is left out; a Relationship or an object is no measurement
            /data/4/level> value_not_a_number: value: is a list; a number belongs there
            /data/5/level> member_repeated: "level" is there twice; write it once
            /data/5/level> member_repeated: "level" is there twice; write it once
            /data/6/level> member_repeated: "value" is there twice; write it once
            /data/7/level> observed_at_invalid: observedAt: "noon" is not an RFC 3339 time such as 2026-03-14T06:45:10.933Z
            /data/8> position_invalid: location: is no geometry with longitude and latitude in degrees, on the globe
            /data/9/level> unit_mismatch: "degC" measures something else than the registered "m"
            /data/10/level> absent
            /data/11/level> value_overflow: value: is beyond what a double-precision number can be
            /data/12/level> value_not_a_number: value: "high" is no number; say in `words` what it is worth"#]],
    );
}

#[test]
fn what_was_deleted_says_no_value_though_its_last_one_stands_beside() {
    check(
        &notified(
            r#"[{"id":"urn:ngsi-ld:Gauge:5","type":"Gauge","deletedAt":"2026-03-14T06:45:11Z","level":1},
            {"id":"urn:ngsi-ld:Gauge:5","deletedAt":"2026-03-14T06:45:11Z"},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"type":"Property","value":1,"deletedAt":"2026-03-14T06:45:11Z"}},
            {"id":"urn:ngsi-ld:Gauge:5","level":{"type":"Property","deletedAt":"2026-03-14T06:45:11Z"}},
            {"id":"urn:ngsi-ld:Gauge:5","deletedAt":null,"level":{"value":1,"deletedAt":null}}]"#,
        ),
        &expect![[r#"
            /data/0> absent
            /data/1> absent
            /data/2/level> absent
            /data/3/level> absent
            /data/4/level> auto wl-0412 water_level 0.01m 2026-03-14T06:45:12.000Z"#]],
    );
}

#[test]
fn an_entity_that_is_no_point_is_in_the_middle_of_what_it_covers() {
    let place = |location: &str| {
        format!(r#"{{"id":"urn:ngsi-ld:Gauge:5","level":100,"location":{location}}}"#)
    };
    for location in [
        r#"{"type":"Polygon","coordinates":[[[101,3],[102,3],[102,4],[101,4],[101,3]]]}"#,
        r#"{"type":"GeoProperty","value":{"type":"LineString","coordinates":[[101,3],[102,4]]}}"#,
        r#"[{"type":"GeoProperty","value":{"type":"MultiPolygon","coordinates":[[[[101,3],[102,4],[101,4],[101,3]]]]}}]"#,
    ] {
        check(
            &place(location),
            &expect!["/level> auto wl-0412 water_level 1m 2026-03-14T06:45:10.933Z [101.5, 3.5]"],
        );
    }
}

#[test]
fn p5_a_notification_brings_no_more_readings_than_its_bound() {
    let entity = r#"{"id":"urn:ngsi-ld:Gauge:5","level":1}"#;
    let entities = vec![entity; ITEMS_MAX + 1].join(",");
    let payload = notified(&format!("[{entities}]"));
    let message = Message {
        topic: "ngsi/a",
        payload: payload.as_bytes(),
        ..Message::default()
    };
    let found = found(message, &catalogue(), &mut Workspace::default());
    assert_eq!(found.len(), ITEMS_MAX + 1);
    assert!(
        found[ITEMS_MAX].starts_with("items_too_many: "),
        "{}",
        found[ITEMS_MAX]
    );
}

proptest! {
    #[test]
    fn any_entity_is_readings_or_reasons(
        members in prop::collection::vec((
            prop::sample::select(vec!["id", "type", "level", "location", "dateObserved", "running",
                "data", "body", "metadata", "waterLevel", "notifiedAt", "x"]),
            prop::sample::select(vec!["1", "null", "\"urn:ngsi-ld:Gauge:5\"", "\"Notification\"",
                "{\"value\":1,\"unitCode\":\"CMT\"}", "[{\"value\":1},{\"value\":{\"@value\":2}}]",
                "[[[[[1,2]]]]]", "{\"coordinates\":[[[[[[1,2]]]]]]}", "{\"value\":{}}", "[]", "{}",
                "\"2026-03-14T06:45:10Z\"", "{\"id\":\"a\",\"level\":2}", "[{\"id\":\"b/c\",\"level\":\"ON\"}]"]),
        ), 0..7),
    ) {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let payload = format!("{{{}}}", members.join(","));
        let message = Message { topic: "ngsi/a", payload: payload.as_bytes(), ..Message::default() };
        let found = found(message, &catalogue(), &mut Workspace::default());
        prop_assert!(found.len() <= ITEMS_MAX);
    }
}
