use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::tests::{found, registered};
use super::super::{Format, Message, Workspace};
use super::*;

fn catalogue() -> Catalogue {
    let names = Names {
        kinds: [("level".into(), "water_level".into())].into(),
        ..Names::default()
    };
    registered("events/#", Format::CloudEvents(None), names)
}

fn tried(message: Message<'_>) -> String {
    found(message, &catalogue(), &mut Workspace::default()).join("\n")
}

fn check(payload: &str, expected: &Expect) {
    expected.assert_eq(&tried(Message {
        topic: "events/a",
        payload: payload.as_bytes(),
        ..Message::default()
    }));
}

/// An event with these members beside the usual ones.
fn event(members: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"A234-1","source":"https://city.example/pumps","type":"reading",
        "time":"2026-03-14T06:45:10.933Z",{members}}}"#
    )
}

const READING: &str = r#"{"sensor":"p-1","kind":"pump","value":1}"#;

#[test]
fn a_reading_gets_the_id_and_the_time_of_its_event() {
    check(
        &event(&format!(r#""data":{READING}"#)),
        &expect![
            "/data> https://city.example/pumps A234-1 p-1 pump 1state 2026-03-14T06:45:10.933Z"
        ],
    );
    check(
        &event(&format!(
            r#""datacontenttype":"application/json","data":[{READING},{READING}]"#
        )),
        &expect![[r#"
            /data/0> https://city.example/pumps A234-1 p-1 pump 1state 2026-03-14T06:45:10.933Z
            /data/1> https://city.example/pumps A234-1 2 p-1 pump 1state 2026-03-14T06:45:10.933Z"#]],
    );
    let own = r#"{"id":"r-1","sensor":"p-1","kind":"pump","value":1,"observed_at":"2026-03-14T06:00:00Z"}"#;
    check(
        &event(&format!(r#""data":{own}"#)),
        &expect!["/data> r-1 p-1 pump 1state 2026-03-14T06:00:00.000Z"],
    );
}

#[test]
fn an_id_that_would_be_too_long_is_shortened_and_stays_the_same() {
    let long = event(&format!(r#""data":{READING}"#)).replace("A234", &"A".repeat(200));
    let message = Message {
        topic: "events/a",
        payload: long.as_bytes(),
        ..Message::default()
    };
    let first = tried(message);
    assert!(first.starts_with("/data> event-"), "{first}");
    assert_eq!(tried(message), first);
}

#[test]
fn the_content_type_says_what_is_in_an_event() {
    check(
        &event(
            r#""datacontenttype":"application/senml+json",
            "data":[{"n":"a:level","u":"m","v":3},{"n":"b:level","u":"m","v":4,"t":1773470700}]"#,
        ),
        &expect![[r#"
            /data/0> https://city.example/pumps A234-1 a:level water_level 3m 2026-03-14T06:45:10.933Z
            /data/1> https://city.example/pumps A234-1 2 b:level water_level 4m 2026-03-14T06:45:00.000Z"#]],
    );
    check(
        &event(
            r#""datacontenttype":"application/ld+json",
            "data":{"id":"urn:g","type":"Gauge","waterLevel":2}"#,
        ),
        &expect![
            "/data/waterLevel> https://city.example/pumps A234-1 urn:g:waterLevel water_level 2m 2026-03-14T06:45:10.933Z entity_type=Gauge"
        ],
    );
    // JSON as a text, as some write it.
    check(
        &event(
            r#""datacontenttype":"application/senml+json","data":"[{\"n\":\"a:level\",\"v\":3}]""#,
        ),
        &expect![
            "/data/0> https://city.example/pumps A234-1 a:level water_level 3m 2026-03-14T06:45:10.933Z"
        ],
    );
    // 81 a3 00 67 "a:level" 01 61 "m" 02 03: one record of CBOR.
    check(
        &event(
            r#""datacontenttype":"application/senml+cbor","data_base64":"gaMAZ2E6bGV2ZWwBYW0CAw==""#,
        ),
        &expect![
            "/data_base64/0> https://city.example/pumps A234-1 a:level water_level 3m 2026-03-14T06:45:10.933Z"
        ],
    );
    check(
        &event(r#""data_base64":"eyJzZW5zb3IiOiJwLTEiLCJraW5kIjoicHVtcCIsInZhbHVlIjoxfQ==""#),
        &expect![
            "/data_base64> https://city.example/pumps A234-1 p-1 pump 1state 2026-03-14T06:45:10.933Z"
        ],
    );
}

#[test]
fn an_event_of_a_batch_takes_no_other_with_it() {
    let good = event(&format!(r#""data":{READING}"#));
    let bad = good.replace("\"1.0\"", "\"0.3\"");
    let empty = event(r#""subject":"x""#);
    check(
        &format!("[{good},{bad},{empty},7,{good}]"),
        &expect![[r#"
            /0/data> https://city.example/pumps A234-1 p-1 pump 1state 2026-03-14T06:45:10.933Z
            /1> shape_unexpected: specversion is "0.3"; events of 1.0 are understood
            /2> nothing_mapped: there is no reading in the event
            /3> not_an_object: an event is an object, and this is a number
            /4/data> https://city.example/pumps A234-1 p-1 pump 1state 2026-03-14T06:45:10.933Z"#]],
    );
}

#[test]
fn in_binary_mode_the_attributes_lie_beside_the_data() {
    let attributes = [
        ("specversion", "1.0"),
        ("id", "A234-1"),
        ("source", "/pumps"),
        ("type", "reading"),
        ("time", "2026-03-14T06:45:10.933Z"),
    ];
    let message = Message {
        topic: "elsewhere",
        payload: READING.as_bytes(),
        content_type: Some("application/json"),
        event: &attributes,
        ..Message::default()
    };
    expect!["> /pumps A234-1 p-1 pump 1state 2026-03-14T06:45:10.933Z"].assert_eq(&tried(message));
    let pack = Message {
        payload: br#"[{"n":"a:water_level","u":"m","v":3}]"#,
        content_type: Some("application/senml+json; charset=utf-8"),
        ..message
    };
    expect!["/0> /pumps A234-1 a:water_level water_level 3m 2026-03-14T06:45:10.933Z"]
        .assert_eq(&tried(pack));
    let nameless = Message {
        event: &attributes[..1],
        ..message
    };
    expect!["shape_unexpected: an event has a type, and it is no empty text"]
        .assert_eq(&tried(nameless));
}

#[test]
fn what_is_no_event_is_told() {
    for (members, expected) in [
        (
            r#""data":1,"data_base64":"""#,
            "shape_unexpected: an event has data or data_base64",
        ),
        (
            r#""data_base64":"%""#,
            "shape_unexpected: data_base64 is not in base 64",
        ),
        (
            r#""data_base64":7"#,
            "shape_unexpected: data_base64 is no text",
        ),
        (r#""id":"b""#, "member_repeated: \"id\" is there twice"),
        (
            r#""datacontenttype":"image/png","data":"""#,
            "shape_unexpected: data of \"image/png\"",
        ),
        (
            r#""datacontenttype":"application/cloudevents+json","data":{}"#,
            "shape_unexpected: an event within an event",
        ),
        (r#""data":null"#, "nothing_mapped: "),
    ] {
        let payload = event(members);
        let told = tried(Message {
            topic: "events/a",
            payload: payload.as_bytes(),
            ..Message::default()
        });
        assert!(told.starts_with(expected), "{members}: {told}");
    }
    check(
        &event(r#""data":{}"#).replace("2026", "noon"),
        &expect![[
            r#"observed_at_invalid: time: "noon-03-14T06:45:10.933Z" is not an RFC 3339 time such as 2026-03-14T06:45:10.933Z"#
        ]],
    );
}

#[test]
fn nothing_of_an_envelope_stays_for_the_next_message() {
    let (mut workspace, catalogue) = (Workspace::default(), catalogue());
    let broken = event(r#""data_base64":"%""#);
    for payload in [event(&format!(r#""data":{READING}"#)), broken] {
        let message = Message {
            topic: "events/a",
            payload: payload.as_bytes(),
            ..Message::default()
        };
        found(message, &catalogue, &mut workspace);
        let native = Message {
            topic: "ioc/v1/readings/p-1",
            payload: br#"{"kind":"pump","value":1}"#,
            ..Message::default()
        };
        let told = found(native, &catalogue, &mut workspace);
        assert!(told[0].starts_with("observed_at_missing: "), "{told:?}");
    }
}

proptest! {
    #[test]
    fn any_event_is_readings_or_reasons(
        members in prop::collection::vec((
            prop::sample::select(vec!["specversion", "id", "source", "type", "time", "data",
                "data_base64", "datacontenttype", "x"]),
            prop::sample::select(vec!["\"1.0\"", "null", "\"a\"", "\"2026-03-14T06:45:10Z\"",
                "\"application/ld+json\"", "\"application/senml+cbor\"", "\"gaMAZ2E6bGV2ZWwBYW0CAw==\"",
                "{\"sensor\":\"p-1\",\"kind\":\"pump\",\"value\":1}", "[]", "\"[{\\\"n\\\":\\\"a\\\"}]\"",
                "\"application/senml+json\"", "[{\"id\":\"urn:g\",\"waterLevel\":2}]", "7"]),
        ), 0..9),
        is_batch: bool,
    ) {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let mut payload = format!("{{{}}}", members.join(","));
        if is_batch {
            payload = format!("[{payload},{payload}]");
        }
        tried(Message { topic: "events/a", payload: payload.as_bytes(), ..Message::default() });
    }
}

#[test]
fn an_event_of_its_own_content_type_is_one_on_the_topic_of_a_sensor_too() {
    let on = |topic: &str, payload: &str, content_type| {
        tried(Message {
            topic,
            payload: payload.as_bytes(),
            content_type: Some(content_type),
            ..Message::default()
        })
    };
    let structured = "application/cloudevents+json; charset=utf-8";
    let of_p1 = "https://city.example/pumps A234-1 p-1 pump 1state 2026-03-14T06:45:10.933Z";
    let one = event(r#""data":{"kind":"pump","value":1}"#);
    let topic = "ioc/v1/readings/p-1";
    assert_eq!(on(topic, &one, structured), format!("/data> {of_p1}"));
    let indented = event(r#""data":[{"kind":"pump","value":1,"more":[]}]"#);
    assert_eq!(
        on(topic, &indented, structured),
        format!("/data/0> {of_p1}")
    );
    let batch = format!("[{one}]");
    let of_batch = on(topic, &batch, "application/cloudevents-batch+json");
    assert_eq!(of_batch, format!("/0/data> {of_p1}"));
    // It is of that sensor, and of no other.
    let other = on(
        topic,
        &event(&format!(r#""data":{}"#, READING.replace("p-1", "p-2"))),
        structured,
    );
    assert!(other.starts_with("/data> sensor_not_of_topic"), "{other}");
    let pack = r#""datacontenttype":"application/senml+json","data":[{"n":"p-2","v":1}]"#;
    let pack = on(topic, &event(pack), structured);
    assert!(pack.starts_with("shape_unexpected"), "{pack}");
    // Without it, it is a reading as ever.
    let plain = on(topic, &one, "application/json");
    assert!(plain.starts_with("kind_missing"), "{plain}");
}
