use proptest::prelude::*;

use super::super::mapping::{Format, Mapping, Mappings};
use super::super::{Message, Outcome, Workspace, decode};
use super::*;
use crate::catalogue::{Now, Registered};

fn catalogue() -> Catalogue {
    let gauge = Registered {
        kind: "water_level".into(),
        unit: "m".into(),
        unit_unnamed: "cm".into(),
    };
    let mapping = Mapping {
        name: "m".into(),
        topic: "v1.1/#".parse().unwrap(),
        format: Format::SensorThings,
        names: Names {
            sensors: [("5".into(), "wl-0412".into())].into(),
            kinds: [("7".into(), "pump".into())].into(),
            words: [("ON".into(), 1.0)].into(),
            ..Names::default()
        },
    };
    Catalogue {
        sensors: [("wl-0412".into(), gauge)].into(),
        mappings: Mappings::new(vec![mapping]),
        now: Now::new(|| Timestamp::from_millis(1_773_470_710_933)),
        ..Catalogue::default()
    }
}

fn outcome(topic: &str, payload: &str) -> String {
    let (mut outcomes, catalogue) = (Vec::new(), catalogue());
    let message = Message {
        topic,
        payload: payload.as_bytes(),
        ..Message::default()
    };
    let decoded = decode(
        message,
        &catalogue,
        &mut Workspace::default(),
        &mut |item| {
            outcomes.push(match item.outcome {
                Outcome::Reading(reading) => {
                    let (sensor, kind, at) = (reading.sensor, reading.kind, reading.observed_at);
                    let (id, value, unit) = (reading.id, reading.value, reading.unit);
                    let place = reading
                        .position
                        .map(|place| format!(" {:?}", place.to_degrees()));
                    let further = reading.attributes.iter();
                    let further: String = further
                        .map(|(name, value)| format!(" {name}={value}"))
                        .collect();
                    let id = if id.starts_with("auto-") { "auto" } else { id };
                    format!(
                        "{id} {sensor} {kind} {value}{unit} {at}{}{further}",
                        place.unwrap_or_default()
                    )
                }
                Outcome::Rejected(reject) => format!("{}: {}", reject.reason.word(), reject.detail),
                Outcome::Noted(what) => unreachable!("{what}"),
                Outcome::Absent => unreachable!("an observation has a result"),
            });
        },
    );
    if let Err(reject) = decoded {
        outcomes.push(format!("{}: {}", reject.reason.word(), reject.detail));
    }
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

const TOPIC: &str = "v1.1/Datastreams(5)/Observations";

#[test]
fn an_observation_is_a_reading_of_its_datastream() {
    let whole = r#"{"@iot.id":812,"phenomenonTime":"2026-03-14T06:45:10.933Z","resultTime":null,
        "result":372,"parameters":{"gauge":"north","tide":{"high":true}},
        "FeatureOfInterest":{"name":"Weir","encodingType":"application/geo+json",
        "feature":{"type":"Point","coordinates":[101.6953,3.1466]}}}"#;
    assert_eq!(
        outcome(TOPIC, whole),
        "812 wl-0412 water_level 3.72m 2026-03-14T06:45:10.933Z [101.6953, 3.1466] gauge=north \
         tide={\"high\":true}"
    );
    let feature = whole.replace(
        r#"{"type":"Point","coordinates":[101.6953,3.1466]}"#,
        r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[101.6953,3.1466,7]}}"#,
    );
    assert_eq!(outcome(TOPIC, &feature), outcome(TOPIC, whole));
    let named = r#"{"Datastream":{"@iot.id":5},"result":372}"#;
    let arrived = "auto wl-0412 water_level 3.72m 2026-03-14T06:45:10.933Z";
    assert_eq!(outcome("v1.1/Observations", named), arrived);
    assert_eq!(outcome(TOPIC, r#"{"result":372}"#), arrived);
}

#[test]
fn times_are_instants_or_the_ends_of_intervals() {
    let at = |time: &str| outcome(TOPIC, &format!("{{\"result\":1,{time}}}"));
    let interval = r#""phenomenonTime":"2026-03-14T06:00:00Z/2026-03-14T06:45:00Z""#;
    assert!(at(interval).ends_with("2026-03-14T06:45:00.000Z"));
    let result = r#""phenomenonTime":null,"resultTime":"2026-03-14T14:00:00+08:00""#;
    assert!(at(result).ends_with("2026-03-14T06:00:00.000Z"));
    assert!(at(r#""phenomenonTime":"today""#).starts_with("observed_at_invalid: phenomenonTime"));
    assert!(at(r#""phenomenonTime":17"#).starts_with("observed_at_invalid: phenomenonTime"));
}

#[test]
fn results_are_numbers_or_words_that_are_known() {
    let value = |result: &str| {
        outcome(
            "v1.1/Datastreams(7)/Observations",
            &format!("{{\"result\":{result}}}"),
        )
    };
    let pump = |value: &str| format!("auto datastream-7 pump {value} 2026-03-14T06:45:10.933Z");
    for (result, expected) in [
        ("1.5", "1.5"),
        ("true", "1"),
        ("false", "0"),
        ("\"ON\"", "1"),
        ("\"2\"", "2"),
    ] {
        assert_eq!(value(result), pump(expected));
    }
    for (result, reason) in [
        ("null", "value_missing"),
        ("\"OFF\"", "value_not_a_number"),
        ("[1,2]", "value_not_a_number"),
        ("{}", "value_not_a_number"),
        ("1e999", "value_overflow"),
        ("1,\"result\":2", "member_repeated"),
    ] {
        assert!(value(result).starts_with(reason), "{}", value(result));
    }
}

#[test]
fn the_datastream_is_named_by_the_topic_or_by_the_observation() {
    for (topic, id) in [
        ("v1.1/Datastreams(5)/Observations", Some("5")),
        (
            "v1.1/Datastreams(5)/Observations?$select=result,phenomenonTime",
            Some("5"),
        ),
        (
            "v1.1/Things(1)/Datastreams('a-b')/Observations",
            Some("a-b"),
        ),
        ("v1.1/Datastreams()/Observations", None),
        ("v1.1/Datastreams(5)", None),
        ("v1.1/Observations", None),
    ] {
        assert_eq!(datastream_of(topic), id, "{topic}");
    }
    assert!(outcome("v1.1/Observations", r#"{"result":1}"#).starts_with("sensor_missing: "));
    assert!(outcome("v1.1/Observations", "[]").starts_with("not_an_object: "));
    let unknown = outcome("v1.1/Datastreams(9)/Observations", r#"{"result":1}"#);
    assert!(unknown.starts_with("kind_missing: "), "{unknown}");
}

proptest! {
    #[test]
    fn any_observation_is_a_reading_or_a_reason(
        members in prop::collection::vec((
            prop::sample::select(vec!["result", "phenomenonTime", "Datastream", "@iot.id",
                "FeatureOfInterest", "parameters", "x"]),
            prop::sample::select(vec!["1", "null", "\"2026-03-14T06:45:10Z\"", "{\"@iot.id\":5}",
                "{\"feature\":{\"type\":\"Point\",\"coordinates\":[1,2]}}", "[1]", "\"\\u0000\"",
                "{\"a\":1}", "{\"feature\":{\"geometry\":3}}", "\"/\"", "1e999", "nonsense"]),
        ), 0..7),
        has_topic: bool,
    ) {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let topic = if has_topic { TOPIC } else { "v1.1/Observations" };
        outcome(topic, &format!("{{{}}}", members.join(",")));
    }
}
