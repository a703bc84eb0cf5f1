//! Every strange reading that the contract names, and what becomes of it.

use super::*;
use crate::catalogue::{Registered, Unregistered};

/// A river gauge in metres, a pump without unit, and units of two kinds.
fn catalogue() -> Catalogue {
    let registered = |kind: &str, unit: &str| Registered {
        kind: kind.into(),
        unit: unit.into(),
        unit_unnamed: "".into(),
    };
    let in_feet = Registered {
        unit_unnamed: "ft".into(),
        ..registered("water_level", "m")
    };
    Catalogue {
        sensors: [
            ("wl-0412".into(), registered("water_level", "m")),
            ("ts-7".into(), registered("traffic_speed", "km/h")),
            ("gauge-9".into(), registered("water_level", "mASD")),
            ("pump-1".into(), registered("pump", "")),
            ("wl-us".into(), in_feet),
        ]
        .into(),
        kind_units: [
            ("pump".into(), "state".into()),
            ("temperature".into(), "degC".into()),
        ]
        .into(),
        unregistered: Unregistered::Accept,
        ..Catalogue::default()
    }
}

/// The reading as one line, or the reason why there is none.
fn outcome_of(payload: &[u8], topic_sensor: Option<&str>, catalogue: &Catalogue) -> String {
    let mut scratch = Scratch::default();
    match decode(payload, topic_sensor, catalogue, &mut scratch) {
        Ok(reading) => {
            let mut bytes = Vec::new();
            reading.encode(&mut bytes);
            assert_eq!(Reading::decode(&bytes), Ok(reading));
            let place = reading
                .position
                .map(|p| format!(" at {:?}", p.to_degrees()));
            let further: String = reading
                .attributes
                .iter()
                .map(|(name, value)| format!(" {name}={value}"))
                .collect();
            let (sensor, kind, id) = (reading.sensor, reading.kind, reading.id);
            let (value, unit, at) = (reading.value, reading.unit, reading.observed_at);
            let place = place.unwrap_or_default();
            format!("{sensor} {kind} {value} {unit} {at} {id}{place}{further}")
        }
        Err(reject) => format!("{}: {}", reject.reason.word(), reject.detail),
    }
}

/// What becomes of a reading of `wl-0412` in which these members are put, changed or left out.
fn with(members: &str) -> String {
    let defaults = [
        ("id", r#""e1""#),
        ("sensor", r#""wl-0412""#),
        ("kind", r#""water_level""#),
        ("observed_at", r#""2026-03-14T06:45:10.933Z""#),
        ("value", "3.72"),
        ("unit", r#""m""#),
    ];
    let changed: Vec<_> = members
        .split(';')
        .filter_map(|m| m.split_once('='))
        .collect();
    let mut json: Vec<String> = Vec::new();
    for (name, value) in defaults {
        if !changed.iter().any(|(own, _)| *own == name) {
            json.push(format!("{name:?}:{value}"));
        }
    }
    for (name, value) in changed {
        if !value.is_empty() {
            json.push(format!("{name:?}:{value}"));
        }
    }
    let json = format!("{{{}}}", json.join(","));
    outcome_of(json.as_bytes(), None, &catalogue())
}

#[track_caller]
fn accepted(members: &str, expected: &str) {
    assert_eq!(with(members), expected, "{members}");
}

#[track_caller]
fn rejected(members: &str, expected: &str) {
    let outcome = with(members);
    assert!(outcome.starts_with(expected), "{members}: {outcome}");
}

const PLAIN: &str = "wl-0412 water_level 3.72 m 2026-03-14T06:45:10.933Z e1";

#[test]
fn the_reading_of_the_contract_is_read_in_full() {
    let json = br#"{"id":"e5c1","sensor":"wl-0412","kind":"water_level",
        "observed_at":"2026-03-14T06:45:10.933Z","value":3.72,"unit":"m",
        "position":[101.6953,3.1466],"attributes":{"basin":"upper"}}"#;
    let expected = "wl-0412 water_level 3.72 m 2026-03-14T06:45:10.933Z e5c1 \
                    at [101.6953, 3.1466] basin=upper";
    assert_eq!(outcome_of(json, Some("wl-0412"), &catalogue()), expected);
}

#[test]
fn a_value_is_one_finite_number() {
    accepted(
        "value=-0.5e1",
        "wl-0412 water_level -5 m 2026-03-14T06:45:10.933Z e1",
    );
    accepted(
        "value=1e-400",
        "wl-0412 water_level 0 m 2026-03-14T06:45:10.933Z e1",
    );
    rejected("value=", "value_missing");
    rejected("value=null", "value_not_a_number: value: is null");
    rejected("value=NaN", "value_not_a_number");
    rejected("value=Infinity", "value_not_a_number");
    rejected("value=-Infinity", "value_not_a_number");
    rejected("value=\"3.72\"", "value_not_a_number: value: is a text");
    rejected("value=\"---\"", "value_not_a_number: value: is a text");
    rejected("value=[3.72,3.81]", "value_not_a_number: value: is a list");
    rejected("value={}", "value_not_a_number: value: is an object");
    rejected("value=true", "value_not_a_number: value: is true or false");
    rejected("value=1e999", "value_overflow");
    rejected("value=-1e999", "value_overflow");
    rejected("value=03", "value_not_a_number");
    rejected("value=.5", "value_not_a_number");
    rejected(
        "sensor=\"ts-7\";kind=;unit=\"mph\";value=1.7e308",
        "value_overflow",
    );
}

#[test]
fn a_value_is_rounded_to_the_nearest_double() {
    for text in [
        "0.1",
        "3.72",
        "123456789012345680",
        "2.2250738585072011e-308",
    ] {
        let json = format!(
            r#"{{"sensor":"a","kind":"k","observed_at":"2026-03-14T06:45:10Z","value":{text}}}"#
        );
        let (catalogue, mut scratch) = (catalogue(), Scratch::default());
        let reading = decode(json.as_bytes(), None, &catalogue, &mut scratch).unwrap();
        assert_eq!(reading.value, text.parse::<f64>().unwrap(), "{text}");
    }
}

#[test]
fn a_sensor_is_named_once_and_as_its_topic() {
    rejected("sensor=", "sensor_missing");
    rejected("sensor=null", "sensor_missing");
    rejected("sensor=\"\"", "sensor_invalid");
    rejected("sensor=\"wl 0412\"", "sensor_invalid");
    rejected("sensor=\"wl/0412\"", "sensor_invalid");
    rejected("sensor=412", "sensor_invalid");
    rejected(&format!("sensor=\"{}\"", "s".repeat(129)), "sensor_invalid");
    accepted("sensor=\"wl\\u002d0412\"", PLAIN);
    let topic = |topic| {
        let json = br#"{"id":"e1","sensor":"wl-0412","observed_at":"2026-03-14T06:45:10.933Z",
            "value":3.72}"#;
        outcome_of(json, Some(topic), &catalogue())
    };
    assert_eq!(topic("wl-0412"), PLAIN);
    assert!(topic("wl-0413").starts_with("sensor_not_of_topic"));
}

#[test]
fn a_mark_before_a_message_and_what_ends_a_text_in_c_are_no_part_of_it() {
    let catalogue = catalogue();
    let plain = r#"{"kind":"water_level","observed_at":"2026-03-14T06:45:10Z","value":1}"#;
    let outcome = |payload: &str| outcome_of(payload.as_bytes(), Some("wl-0412"), &catalogue);
    let said = outcome(plain);
    assert!(said.starts_with("wl-0412 water_level 1 m"), "{said}");
    for (before, behind) in [("\u{feff}", ""), ("", "\0"), ("\u{feff} ", "\r\n\0\0")] {
        assert_eq!(outcome(&format!("{before}{plain}{behind}")), said);
    }
    for other in ["\u{feff}", "\0", "\u{feff}\0\0"] {
        let said = outcome(other);
        assert!(said.starts_with("json_malformed: EOF"), "{said}");
    }
    let said = outcome(&format!("\0{plain}"));
    assert!(said.starts_with("json_malformed"), "{said}");
}

#[test]
fn a_topic_names_the_sensor_of_a_message_that_does_not() {
    let json = br#"{"id":"e1","observed_at":"2026-03-14T06:45:10.933Z","value":3.72}"#;
    assert_eq!(outcome_of(json, Some("wl-0412"), &catalogue()), PLAIN);
    let outcome = outcome_of(json, Some("wl 0412"), &catalogue());
    assert!(outcome.starts_with("sensor_invalid"), "{outcome}");
}

#[test]
fn an_unregistered_sensor_is_accepted_or_refused_as_configured() {
    let json = br#"{"id":"e1","sensor":"new-1","kind":"smoke","value":1,"unit":"%/m",
        "observed_at":"2026-03-14T06:45:10.933Z"}"#;
    let mut catalogue = catalogue();
    assert_eq!(
        outcome_of(json, None, &catalogue),
        "new-1 smoke 1 %/m 2026-03-14T06:45:10.933Z e1"
    );
    catalogue.unregistered = Unregistered::Refuse;
    let outcome = outcome_of(json, None, &catalogue);
    assert_eq!(
        outcome,
        "sensor_unregistered: \"new-1\" is not in the city's file"
    );
}

#[test]
fn a_kind_is_the_registered_one() {
    accepted("kind=", PLAIN);
    accepted("kind=null", PLAIN);
    rejected(
        "kind=\"rainfall\"",
        "kind_mismatch: registered as \"water_level\", sent as \"rainfall\"",
    );
    rejected("kind=5", "kind_invalid");
    rejected("sensor=\"new-1\";kind=", "kind_missing");
    rejected("sensor=\"new-1\";kind=\"Water Level\"", "kind_invalid");
}

#[test]
fn an_id_is_given_or_derived() {
    rejected("id=\"\"", "id_invalid");
    rejected("id=17", "id_invalid");
    rejected("id=\"a\\nb\"", "id_invalid");
    rejected(&format!("id=\"{}\"", "i".repeat(201)), "id_invalid");
    let id = |members: &str| with(members).split(' ').nth(5).unwrap().to_owned();
    let derived = id("id=");
    assert!(
        derived.starts_with("auto-") && derived.len() == 21,
        "{derived}"
    );
    assert_eq!(derived, id("id=null"), "the same reading again");
    assert_eq!(derived, id("id=;unit="), "however the unit is told");
    for other in [
        "id=;value=3.73",
        "id=;observed_at=\"2026-03-14T06:45:10.934Z\"",
        "id=;sensor=\"wl-0413\"",
        "id=;sensor=\"new-1\";kind=\"other\"",
        "id=;position=[101.6953,3.1466]",
        "id=;attributes={\"call\":\"2\"}",
    ] {
        assert_ne!(derived, id(other), "{other}");
    }
}

#[test]
fn a_derived_id_is_the_same_for_ever() {
    // A redelivery may come after an upgrade: if this changes, it would count twice.
    accepted(
        "id=",
        "wl-0412 water_level 3.72 m 2026-03-14T06:45:10.933Z auto-f046ed210fb2e2dc",
    );
}

#[test]
fn a_time_of_observation_is_rfc_3339() {
    accepted("observed_at=\"2026-03-14T14:45:10.933+08:00\"", PLAIN);
    rejected("observed_at=", "observed_at_missing");
    rejected("observed_at=null", "observed_at_missing");
    rejected("observed_at=1773470710", "observed_at_invalid");
    rejected(
        "observed_at=\"yesterday\"",
        "observed_at_invalid: observed_at: \"yesterday\" is not",
    );
    rejected(
        "observed_at=\"2026-02-29T00:00:00Z\"",
        "observed_at_invalid",
    );
    rejected("id=;observed_at=", "observed_at_missing");
}

#[test]
fn a_recording_tells_when_it_was_received() {
    accepted("received_at=\"2026-03-14T06:50:00Z\"", PLAIN);
    accepted(
        "observed_at=;received_at=\"2026-03-14T06:45:10.933Z\"",
        PLAIN,
    );
    rejected("received_at=\"soon\"", "received_at_invalid");
}

#[test]
fn a_unit_is_converted_to_the_registered_one() {
    accepted("unit=", PLAIN);
    accepted("unit=null", PLAIN);
    accepted("unit=\"\"", PLAIN);
    accepted("unit=\"cm\";value=372", PLAIN);
    accepted(
        "sensor=\"wl-us\";unit=;value=10",
        "wl-us water_level 3.048 m 2026-03-14T06:45:10.933Z e1",
    );
    accepted(
        "sensor=\"wl-us\";unit=\"m\";value=10",
        "wl-us water_level 10 m 2026-03-14T06:45:10.933Z e1",
    );
    accepted(
        "sensor=\"ts-7\";kind=;unit=\"mph\";value=60",
        "ts-7 traffic_speed 96.56064 km/h 2026-03-14T06:45:10.933Z e1",
    );
    accepted(
        "sensor=\"pump-1\";kind=;unit=;value=1",
        "pump-1 pump 1 state 2026-03-14T06:45:10.933Z e1",
    );
    accepted(
        "sensor=\"tp-1\";kind=\"temperature\";unit=\"degF\";value=212",
        "tp-1 temperature 100 degC 2026-03-14T06:45:10.933Z e1",
    );
    rejected(
        "unit=\"furlong\"",
        "unit_unknown: \"furlong\" cannot be converted to the registered \"m\"",
    );
    rejected(
        "unit=\"degC\"",
        "unit_mismatch: \"degC\" measures something else than the registered \"m\"",
    );
    rejected(
        "sensor=\"gauge-9\"",
        "unit_unknown: \"m\" cannot be converted to the registered",
    );
    rejected("unit=7", "unit_invalid");
    let long = format!("sensor=\"new-1\";unit=\"{}\"", "u".repeat(33));
    rejected(&long, "unit_invalid");
}

#[test]
fn a_position_is_two_or_three_numbers_on_the_globe() {
    accepted("position=null", PLAIN);
    accepted(
        "position=[101.6953,3.1466]",
        &format!("{PLAIN} at [101.6953, 3.1466]"),
    );
    accepted(
        "position=[-180,90,12.5]",
        &format!("{PLAIN} at [-180.0, 90.0]"),
    );
    // A receiver that does not know where it is.
    accepted("position=[0,0]", PLAIN);
    accepted("position=[0.0,-0.0,3]", PLAIN);
    accepted("position=[0,3.1466]", &format!("{PLAIN} at [0.0, 3.1466]"));
    for wrong in [
        "[3.1466,101.6953]",
        "[101.6953]",
        "[]",
        "[101.6953,3.1466,12,1]",
        "[101.6953,\"3.1466\"]",
        "[101.6953,null]",
        "[1e999,3.1466]",
        "[NaN,3.1466]",
        "{\"lon\":101.6953,\"lat\":3.1466}",
        "\"101.6953,3.1466\"",
        "[[101.6953,3.1466]]",
    ] {
        rejected(&format!("position={wrong}"), "position_invalid");
    }
    rejected(
        "position=[3.1466,101.6953]",
        "position_invalid: position: [3.1466,101.6953] is not on",
    );
}

#[test]
fn attributes_are_texts_or_their_json() {
    accepted("attributes=null", PLAIN);
    accepted("attributes={}", PLAIN);
    accepted(
        r#"attributes={"place":"5km \"N\"","depth_km":-2.15,"tsunami":0,"ok":true,"none":null}"#,
        &format!("{PLAIN} place=5km \"N\" depth_km=-2.15 tsunami=0 ok=true none=null"),
    );
    accepted(
        r#"attributes={"a\tb":"x","nested":{"x": [1,{"y":"]"}]}}"#,
        &format!(r#"{PLAIN} a	b=x nested={{"x": [1,{{"y":"]"}}]}}"#),
    );
    rejected("attributes=[]", "attributes_invalid");
    rejected("attributes=\"basin\"", "attributes_invalid");
    rejected(r#"attributes={"a":"\ud800 "}"#, "attributes_invalid");
    let many: Vec<_> = (0..33).map(|n| format!("\"a{n}\":{n}")).collect();
    rejected(
        &format!("attributes={{{}}}", many.join(",")),
        "attributes_too_many",
    );
    let few = format!("attributes={{{}}}", many[..32].join(","));
    assert!(with(&few).ends_with("a31=31"));
    let long = "x".repeat(5000);
    rejected(
        &format!("attributes={{\"a\":\"{long}\"}}"),
        "attributes_too_many",
    );
}

#[test]
fn members_that_nobody_knows_are_skipped() {
    accepted(
        "quality=\"good\";nested={\"value\":[1,2,{\"id\":3}]}",
        PLAIN,
    );
}

#[test]
fn a_member_that_is_there_twice_is_nobodys_guess() {
    let json = br#"{"sensor":"wl-0412","value":1,"observed_at":"2026-03-14T06:45:10Z","value":2}"#;
    let outcome = outcome_of(json, None, &catalogue());
    assert!(outcome.starts_with("member_repeated: value"), "{outcome}");
    rejected(
        r#"attributes={"a":1,"b":2,"a":3}"#,
        "member_repeated: attributes: \"a\"",
    );
}

#[test]
fn depth_is_refused_and_overflows_no_stack() {
    let deep = |open: &str, close: &str, n| format!("{}{}", open.repeat(n), close.repeat(n));
    rejected(
        &format!("attributes={{\"a\":{}}}", deep("[", "]", 17)),
        "nesting_too_deep",
    );
    rejected(
        &format!("attributes={{\"a\":{}}}", deep("[", "]", 20_000)),
        "nesting_too_deep",
    );
    assert!(with(&format!("attributes={{\"a\":{}}}", deep("[", "]", 16))).starts_with(PLAIN));
    rejected(
        &format!("sensor={}", deep("[", "]", 20_000)),
        "sensor_invalid",
    );
    rejected(
        &format!("value={}", deep("[", "]", 20_000)),
        "value_not_a_number",
    );
    rejected(
        &format!("position={}", deep("[", "]", 20_000)),
        "position_invalid",
    );
    accepted(&format!("other={}", deep("[", "]", 20_000)), PLAIN);
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    let outcome = |json: &[u8]| outcome_of(json, None, &catalogue());
    for (json, expected) in [
        (&b""[..], "json_malformed"),
        (b"   ", "json_malformed"),
        (b"3.72", "not_an_object"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b"\"wl-0412\"", "not_an_object"),
        (b"wl-0412,3.72,m", "json_malformed"),
        (b"<reading/>", "json_malformed"),
        (b"{", "json_malformed"),
        (b"{\"sensor\":\"wl-0412\"", "json_malformed"),
        (b"{\"sensor\":\"wl-04", "json_malformed"),
        (b"{\"value\":3.", "value_not_a_number"),
        (b"{'sensor':'wl-0412'}", "json_malformed"),
        (b"{\"sensor\":wl}", "json_malformed"),
        (b"{\"value\":3.72,}", "json_malformed"),
        (b"{} {}", "json_malformed"),
        (b"{\"value\":1}x", "json_malformed"),
        (b"{\"sensor\":\"a\x01b\"}", "json_malformed"),
        (b"\xff\xfe{\0}\0", "not_utf8"),
        (b"{\"sensor\":\"\xe9t\xe9\"}", "not_utf8"),
        (b"\0\0\0\0", "json_malformed"),
    ] {
        let outcome = outcome(json);
        let json = String::from_utf8_lossy(json);
        assert!(outcome.starts_with(expected), "{json}: {outcome}");
    }
}

#[test]
fn a_payload_has_a_bound() {
    let fits = format!(
        "value=3.72;other=\"{}\"",
        "x".repeat(READING_BYTES_MAX - 200)
    );
    accepted(&fits, PLAIN);
    let long = vec![b' '; READING_BYTES_MAX + 1];
    let outcome = outcome_of(&long, None, &catalogue());
    assert_eq!(
        outcome,
        "payload_too_long: 65537 bytes; a reading has at most 65536"
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes: Vec<u8>) {
        outcome_of(&bytes, Some("wl-0412"), &catalogue());
    }

    #[test]
    fn a_damaged_reading_is_decoded_without_a_panic(at in 0_usize..190, byte: u8, cut in 0_usize..190) {
        let mut json = br#"{"id":"e5c1","sensor":"wl-0412","kind":"water_level","observed_at":"2026-03-14T06:45:10.933Z","value":3.72,"unit":"m","position":[101.6953,3.1466],"attributes":{"basin":"upper"}}"#.to_vec();
        let length = json.len();
        json[at % length] = byte;
        outcome_of(&json, None, &catalogue());
        outcome_of(&json[..cut % length], None, &catalogue());
    }
}

#[test]
fn p5_a_unit_is_no_longer_than_its_bound() {
    let of_unit = |bytes: usize| {
        let unit = "u".repeat(bytes);
        with(&format!(r#"sensor="new-1";kind="humidity";unit="{unit}""#))
    };
    let longest = of_unit(Reading::UNIT_BYTES_MAX);
    assert!(longest.starts_with("new-1 humidity"), "{longest}");
    let longer = of_unit(Reading::UNIT_BYTES_MAX + 1);
    assert!(longer.starts_with("unit_invalid"), "{longer}");
}
