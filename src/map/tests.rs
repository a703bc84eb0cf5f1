use std::fs;

use ioc_gateway::catalogue::Unregistered;

use super::*;
use crate::config::source::Source;

/// The parts of the page: what each fence holds, with its language.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

fn catalogue(mappings: &str) -> Catalogue {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mappings.yaml"), mappings).unwrap();
    let compiled = Source::read(Some(dir.path()), None).and_then(|source| source.compile());
    let compiled = compiled.unwrap_or_else(|mistakes| panic!("{mistakes}\n{mappings}"));
    compiled.catalogue(Unregistered::Accept)
}

fn message<'m>(topic: &'m str, payload: &'m [u8]) -> Message<'m> {
    Message {
        topic,
        payload,
        ..Message::default()
    }
}

fn map(catalogue: &Catalogue, topic: &str, payload: &[u8]) -> String {
    let mut out = Vec::new();
    run(catalogue, message(topic, payload), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Each mapping of the page, tried on the messages behind it with the commands that it shows.
#[test]
fn every_example_in_the_page_about_mappings_becomes_what_it_says() {
    let page = include_str!("../../docs/MAPPINGS.md");
    let (mut by, mut payload, mut tried) = (Catalogue::default(), Vec::new(), 0);
    for (language, text) in blocks(page) {
        match language {
            "yaml" => by = catalogue(text),
            "json" | "xml" => payload = text.as_bytes().to_vec(),
            "hex" => {
                let bytes = text.split_ascii_whitespace();
                let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap());
                payload = bytes.collect();
            }
            "console" => {
                let (command, expected) = text.split_once('\n').unwrap();
                let topic = command.strip_prefix("$ ioc map ").unwrap();
                let topic = topic.split(" < ").next().unwrap().trim_matches('\'');
                assert_eq!(map(&by, topic, &payload), expected.to_owned() + "\n");
                tried += 1;
            }
            _ => {}
        }
    }
    assert!(tried >= 4, "only {tried} examples were found");
}

#[test]
fn a_message_that_is_too_long_is_read_no_further() {
    let message = read_message(io::repeat(b'x')).unwrap();
    assert_eq!(message.len(), MESSAGE_BYTES_MAX + 1);
    let by = catalogue(
        "mappings: { a: { topic: a, sensor: s, observed_at: arrival, readings: { kind: pump, value: /v } } }",
    );
    assert!(map(&by, "a", &message).contains("payload_too_long"));
}

#[test]
fn native_readings_and_topics_without_a_mapping_are_told() {
    let reading = br#"{"kind":"pump","value":1,"observed_at":"2026-03-14T06:45:10Z"}"#;
    let told = map(&Catalogue::default(), "ioc/v1/readings/p-1", reading);
    assert!(told.starts_with("no mapping\nreading: {"), "{told}");
    let told = map(&Catalogue::default(), "elsewhere", reading);
    assert!(told.contains("dead letter: topic_unknown: "), "{told}");
}

#[test]
fn what_no_mapping_is_asked_for_is_told_as_what_it_is() {
    let by = catalogue(
        "mappings: { all: { topic: '#', sensor: s, observed_at: arrival, readings: { kind: pump, value: 1 } } }",
    );
    let reading = br#"{"kind":"pump","value":1,"observed_at":"2026-03-14T06:45:10Z"}"#;
    let told = map(&by, "ioc/v1/readings/p-1", reading);
    assert!(told.starts_with("no mapping\nreading: {"), "{told}");
    let told = map(&by, "ioc/v1/feedback/gate-7", b"{}");
    expect_test::expect![[r#"
        feedback about commands, of device gate-7: no mapping is asked
        dead letter: feedback_invalid: missing field `key` at line 1 column 2
        0 readings, 1 dead letter
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_text_that_is_no_json_is_read_as_one() {
    let entry = |value: &str| format!("format: text, {USUAL}, readings: {{ value: {value} }}");
    let relay = "{ from: item, words: { on: 1, off: 0 } }";
    for (value, payload, expected) in [
        (relay, "on", 1.0),
        (relay, "OFF\r\n", 0.0),
        ("item", " 21.5\0", 21.5),
        ("item", "\u{feff}21.5", 21.5),
        ("{ from: item, as: leading_number }", "21.5 \u{b0}C", 21.5),
    ] {
        assert_eq!(
            reading(&entry(value), payload)["value"],
            expected,
            "{payload:?}"
        );
    }
    let told = becomes(&entry(relay), "overpower");
    assert_eq!(
        told,
        "dead letter: value_not_a_number: value: \"overpower\" at `item` is neither a number nor one of on, off"
    );
    // A mark before JSON, and what ends a text in C, are no part of it.
    let said = format!("{USUAL}, readings: {{ value: /v }}");
    assert_eq!(reading(&said, "\u{feff}{\"v\":1}\0\0")["value"], 1.0);
}

/// What becomes of a message, without its first and its last line.
fn becomes(entry: &str, payload: &str) -> String {
    let mappings = format!("mappings: {{ a: {{ topic: a/#, {entry} }} }}\n");
    let told = map(&catalogue(&mappings), "a/b/c", payload.as_bytes());
    let lines: Vec<_> = told.lines().collect();
    lines[1..lines.len() - 1].join("\n")
}

/// The members of the only reading.
fn reading(entry: &str, payload: &str) -> serde_json::Value {
    let told = becomes(entry, payload);
    let json = told.strip_prefix("reading: ");
    serde_json::from_str(json.unwrap_or_else(|| panic!("{told}"))).unwrap()
}

#[test]
fn a_time_that_cannot_be_is_noted() {
    let shape = "sensor: s, kind: pump, observed_at: { from: /t, as: milliseconds }";
    let told = becomes(
        &format!("{shape}, readings: {{ value: /v }}"),
        r#"{"t":1773470710,"v":1}"#,
    );
    assert!(
        told.contains("\nnoted: observed_at 1970-01-21T") && told.contains("milliseconds"),
        "{told}"
    );
    let told = becomes(
        &format!("{shape}, readings: {{ value: /v }}"),
        r#"{"t":1773470710000,"v":1}"#,
    );
    assert!(!told.contains("noted"), "{told}");
    let ahead = Timestamp::parse(b"2126-03-14T06:45:10Z").unwrap();
    let now = Timestamp::parse(b"2026-03-14T06:45:10Z").unwrap();
    assert!(doubt(ahead, now).unwrap().contains("a year ahead"));
}

#[test]
fn p6_a_subject_is_told_as_which_topic_it_is_known() {
    let by = catalogue(
        "mappings: { a: { topic: hydro/+, sensor: s, observed_at: arrival, readings: { kind: pump, value: /v } } }",
    );
    for (subject, topic) in [
        ("hydro.north", "hydro/north"),
        ("ioc.v1.readings.wl-1", "ioc/v1/readings/wl-1"),
    ] {
        let told = map(&by, subject, b"{}");
        let expected = format!("write `{topic}` for `{subject}`");
        assert!(told.contains(&expected), "{told}");
    }
    for other in ["hydro/a.b", "a.b", "hydro"] {
        let told = map(&by, other, b"{}");
        assert!(!told.contains("NATS"), "{told}");
    }
}

const USUAL: &str = "sensor: s, kind: pump, observed_at: arrival";

#[test]
fn a_value_is_a_number_or_what_its_word_is_worth() {
    let value = |value: &str, json: &str| {
        let entry = format!("{USUAL}, readings: {{ value: {value} }}");
        let told = becomes(&entry, &format!("{{\"v\":{json}}}"));
        match told.strip_prefix("reading: ") {
            Some(json) => {
                serde_json::from_str::<serde_json::Value>(json).unwrap()["value"].to_string()
            }
            None => told
                .strip_prefix("dead letter: ")
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .to_owned(),
        }
    };
    let words = "{ from: /v, words: { ON: 1, OFF: 0, \"true\": 7 } }";
    for (from, json, expected) in [
        ("/v", "3.72", "3.72"),
        ("/v", "-1e-3", "-0.001"),
        ("/v", "\"3.72\"", "3.72"),
        ("/v", "true", "1.0"),
        ("/v", "false", "0.0"),
        ("7", "null", "7.0"),
        ("topic 1", "1", "value_not_a_number"),
        (words, "\"ON\"", "1.0"),
        (words, "\"OFF\"", "0.0"),
        (words, "true", "7.0"),
        (words, "false", "value_not_a_number"),
        (words, "\"on\"", "1.0"),
        (words, "\"of\"", "value_not_a_number"),
        ("{ from: /v, words: { on: 1, ON: 2 } }", "\"ON\"", "2.0"),
        (
            "{ from: /v, words: { on: 1, ON: 2 } }",
            "\"On\"",
            "value_not_a_number",
        ),
        ("{ from: /v, as: leading_number }", "\"12 m\"", "12.0"),
        ("{ from: /v, as: leading_number_comma }", "2.15e1", "21.5"),
        (
            "{ from: /v, as: leading_number_comma }",
            "\"+21,5 degC\"",
            "21.5",
        ),
        (
            "{ from: /v, nothing: [unavailable] }",
            "\"Unavailable\"",
            "value_missing",
        ),
        (words, "5", "5.0"),
        ("{ from: /v, multiply: 0.1, add: -40 }", "635", "23.5"),
        ("/v", "null", "value_missing"),
        ("/w", "1", "value_missing"),
        ("/v", "\"NaN\"", "value_not_a_number"),
        ("/v", "\"inf\"", "value_not_a_number"),
        ("/v", "\"\"", "value_not_a_number"),
        ("/v", "\"12 m\"", "value_not_a_number"),
        ("/v", "1e999", "value_overflow"),
        ("/v", "[1]", "value_not_a_number"),
        ("/v", "{}", "value_not_a_number"),
        ("/v", "1,\"v\":2", "member_repeated"),
    ] {
        assert_eq!(value(from, json), expected, "{from} of {json}");
    }
}

#[test]
fn times_are_written_counted_or_that_of_arrival() {
    let at = |moment: &str, json: &str| {
        let entry =
            format!("sensor: s, kind: pump, observed_at: {moment}, readings: {{ value: 1 }}");
        let told = becomes(&entry, &format!("{{\"t\":{json}}}"));
        match told.strip_prefix("reading: ") {
            Some(json) => serde_json::from_str::<serde_json::Value>(json).unwrap()["observed_at"]
                .as_str()
                .unwrap()
                .to_owned(),
            None => told
                .strip_prefix("dead letter: ")
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .to_owned(),
        }
    };
    let time = "2026-03-14T06:45:10.933Z";
    let whole = "2026-03-14T06:45:10.000Z";
    let counted = |unit: &str| format!("{{ from: /t, as: {unit} }}");
    for (moment, json, expected) in [
        ("/t", "\"2026-03-14T06:45:10.933Z\"", time),
        ("/t", "\"2026-03-14T14:45:10.933+08:00\"", time),
        ("/t", "\"2026-03-14T14:45:10\"", "observed_at_invalid"),
        (
            "{ from: /t, utc_offset: '+08:00' }",
            "\"2026-03-14 14:45:10\"",
            whole,
        ),
        (
            "{ from: /t, utc_offset: '+08:00' }",
            "\"2026-03-14T06:45:10Z\"",
            whole,
        ),
        (&counted("seconds"), "1773470710.933", time),
        (&counted("seconds"), "\"1773470710\"", whole),
        (&counted("milliseconds"), "1773470710933", time),
        (&counted("microseconds"), "1773470710933123", time),
        (&counted("nanoseconds"), "1773470710933123456", time),
        (&counted("seconds"), "1773470710933", "observed_at_invalid"),
        (&counted("seconds"), "\"soon\"", "observed_at_invalid"),
        (&counted("seconds"), "[]", "observed_at_invalid"),
        ("/t", "1773470710", "observed_at_invalid"),
        ("/t", "null", "observed_at_missing"),
        ("/t", "\"2026-03-14 14:45:10.933 +0800\"", time),
        ("/t", "\"2026-03-14 06:45:10,933 UTC\"", time),
    ] {
        assert_eq!(at(moment, json), expected, "{moment} of {json}");
    }
    assert!(at("arrival", "0").starts_with("20"));
}

#[test]
fn positions_are_lists_or_pairs() {
    let at = |place: &str, json: &str| {
        let entry = format!("{USUAL}, position: {place}, readings: {{ value: 1 }}");
        let told = becomes(&entry, json);
        match told.strip_prefix("reading: ") {
            Some(json) => {
                serde_json::from_str::<serde_json::Value>(json).unwrap()["position"].to_string()
            }
            None => told
                .strip_prefix("dead letter: ")
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .to_owned(),
        }
    };
    let pair = "{ lon: /x, lat: /y }";
    for (place, json, expected) in [
        ("/p", r#"{"p":[101.5,3.25]}"#, "[101.5,3.25]"),
        ("/p", r#"{"p":[101.5,3.25,60]}"#, "[101.5,3.25]"),
        ("/p", r#"{"p":[101.5]}"#, "position_invalid"),
        ("/p", r#"{"p":[3.25,101.5]}"#, "position_invalid"),
        ("/p", r#"{"p":"here"}"#, "position_invalid"),
        ("/p", "{}", "null"),
        (pair, r#"{"x":101.5,"y":"3.25"}"#, "[101.5,3.25]"),
        (pair, r#"{"x":101.5}"#, "position_invalid"),
        (pair, "{}", "null"),
        ("{ lat_lon: /p }", r#"{"p":"3.25,101.5"}"#, "[101.5,3.25]"),
        ("{ lon_lat: /p }", r#"{"p":"101.5 3.25"}"#, "[101.5,3.25]"),
        (
            "{ lat_lon: /p }",
            r#"{"p":"101.5,3.25"}"#,
            "position_invalid",
        ),
        ("{ lat_lon: /p }", "{}", "null"),
    ] {
        assert_eq!(at(place, json), expected, "{place} of {json}");
    }
}

#[test]
fn names_are_put_together_and_called_as_the_city_calls_them() {
    let entry = "sensor: '{topic 2}-{/n}', sensors: { b-1: wl-1 }, kind: /k,
        kinds: { level: water_level }, units: { CM: cm }, observed_at: arrival, id: /id,
        attributes: { n: /n, o: /o, z: /z, where: 'level {topic 3}' },
        readings: { value: /v, unit: /u }";
    let said = reading(
        entry,
        r#"{"n":1,"k":"level","u":"CM","v":372,"o":{"a":[1]},"id":"x\u0041"}"#,
    );
    assert_eq!(said["sensor"], "wl-1");
    assert_eq!(said["kind"], "water_level");
    assert_eq!(said["id"], "xA");
    assert_eq!((&said["value"], &said["unit"]), (&3.72.into(), &"m".into()));
    let attributes = serde_json::json!({ "n": "1", "o": "{\"a\":[1]}", "where": "level c" });
    assert_eq!(said["attributes"], attributes);
    // What is in no table keeps its name; a text that is none is a dead letter.
    assert_eq!(
        reading(entry, r#"{"n":2,"k":"level","v":1}"#)["sensor"],
        "b-2"
    );
    let told = becomes(entry, r#"{"n":[],"k":"level","v":1}"#);
    assert_eq!(
        told,
        "dead letter: sensor_missing: sensor: a list at `/n`; a text belongs there"
    );
}

#[test]
fn what_is_not_of_the_shape_is_a_dead_letter_as_a_whole() {
    let entry = format!("{USUAL}, each: /list, readings: {{ value: item }}");
    for (payload, expected) in [
        (
            "{\"list\":[]}",
            "dead letter: nothing_mapped: there is no reading in it",
        ),
        (
            "{}",
            "dead letter: shape_unexpected: each: nothing at `/list`; a list or an object belongs there",
        ),
        (
            "{\"list\":7}",
            "dead letter: shape_unexpected: each: a number at `/list`; a list or an object belongs there",
        ),
        (
            "{\"list\":[1}",
            "dead letter: json_malformed: expected `,` or `]` at byte 11",
        ),
        (
            "",
            "dead letter: json_malformed: expected a value at byte 1",
        ),
    ] {
        assert_eq!(becomes(&entry, payload), expected);
    }
    let not_text = map(
        &catalogue(
            "mappings: { a: { topic: a, sensor: s, observed_at: arrival, readings: { value: 1 } } }",
        ),
        "a",
        b"\xff",
    );
    assert!(not_text.contains("dead letter: not_utf8: "), "{not_text}");
}

#[test]
fn p5_a_message_brings_no_more_readings_than_its_bound() {
    let entry = format!("{USUAL}, each: '', readings: {{ value: item }}");
    let told = becomes(&entry, &format!("[{}1]", "1,".repeat(4095)));
    assert_eq!(
        told.lines()
            .filter(|line| line.starts_with("reading"))
            .count(),
        4096
    );
    assert!(!told.contains("dead letter"));
    let told = becomes(&entry, &format!("[{}1]", "1,".repeat(4096)));
    assert_eq!(
        told.lines()
            .filter(|line| line.starts_with("reading"))
            .count(),
        4096
    );
    assert!(told.ends_with("dead letter: items_too_many: a message brings at most 4096 readings at once; those behind are left out: a replay of this dead letter takes the next 4096"), "{told}");
}

/// What a message becomes with these beside it.
fn map_with(headers: &[&str], properties: &[&str], topic: &str, payload: &[u8]) -> String {
    let named = |texts: &[&str]| -> Vec<_> {
        texts
            .iter()
            .map(|text| named_value(text).unwrap())
            .collect()
    };
    let beside = Beside::of(&named(headers), &named(properties));
    let event = beside.event();
    let message = Message {
        content_type: beside.content_type(),
        event: &event,
        ..message(topic, payload)
    };
    let mut out = Vec::new();
    run(&Catalogue::default(), message, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_comes_beside_a_message_is_told_as_it_would_come() {
    let data = br#"{"sensor":"p-1","kind":"pump","value":1}"#;
    let headers = [
        "Ce-SpecVersion: 1.0",
        "ce-id: 7",
        "ce-source: https://pumps.example/north",
        "ce-type: changed",
        "ce-time: 2026-03-14T06:45:10Z",
        "Content-Type: application/json",
    ];
    let of_event = map_with(&headers, &[], "events", data);
    let id = r#""id":"https://pumps.example/north 7""#;
    assert!(of_event.contains(id), "{of_event}");
    let properties = [
        "specversion: 1.0",
        "id: 7",
        "source: https://pumps.example/north",
        "type: changed",
        "time: 2026-03-14T06:45:10Z",
    ];
    assert_eq!(map_with(&[], &properties, "events", data), of_event);
    let none = map_with(&headers[1..], &properties[1..], "events", data);
    assert!(none.contains("topic_unknown"), "{none}");
    let pack = br#"[{"n":"p-1","v":1,"t":1773470710}]"#;
    let senml = map_with(&["content-type: application/senml+json"], &[], "t", pack);
    assert!(senml.contains("kind_missing"), "{senml}");
    for wrong in ["ce-type", ": x", ""] {
        assert!(named_value(wrong).is_err(), "{wrong}");
    }
}
