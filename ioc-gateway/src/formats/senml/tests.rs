//! Packs as section 5 shows them, written anew, and what becomes of what is wrong with one.

use proptest::prelude::*;
use serde_json::json;

use super::super::mapping::{Format, Mapping, Mappings};
use super::super::tests::catalogue;
use super::super::{Message, Outcome, Workspace, decode};
use super::{Label, Names, Timestamp};
use crate::catalogue::{Catalogue, Now, Registered};
use crate::formats::ITEMS_MAX;

const NOW_MS: i64 = 1_773_470_710_933;

fn senml() -> Catalogue {
    let gauge = Registered {
        kind: "water_level".into(),
        unit: "m".into(),
        unit_unnamed: "".into(),
    };
    let mut catalogue = catalogue("t", Format::Senml);
    catalogue.now = Now::new(|| Timestamp::from_millis(NOW_MS));
    catalogue.sensors = [("urn:dev:ow:g-7".into(), gauge)].into();
    catalogue.kind_units = [("temperature".into(), "degC".into())].into();
    catalogue
}

fn outcomes_by(payload: &[u8], catalogue: &Catalogue) -> Vec<String> {
    let mut outcomes = Vec::new();
    let message = Message {
        topic: "t",
        payload,
        ..Message::default()
    };
    let decoded = decode(message, catalogue, &mut Workspace::default(), &mut |item| {
        outcomes.push(match item.outcome {
            Outcome::Reading(reading) => {
                let (sensor, kind, at) = (reading.sensor, reading.kind, reading.observed_at);
                let (value, unit) = (reading.value, reading.unit);
                let further = reading.attributes.iter();
                let further: String = further
                    .map(|(name, value)| format!(" {name}={value}"))
                    .collect();
                format!("{sensor} {kind} {value} {unit} {at}{further}")
            }
            Outcome::Rejected(reject) => {
                format!("{} {}: {}", item.place, reject.reason.word(), reject.detail)
            }
            Outcome::Noted(what) => unreachable!("{what}"),
            Outcome::Absent => format!("{} absent", item.place),
        });
    });
    if let Err(reject) = decoded {
        outcomes.push(format!("{}: {}", reject.reason.word(), reject.detail));
    }
    outcomes
}

#[test]
fn p3_what_says_no_time_was_observed_when_whoever_keeps_it_took_it() {
    let catalogue = senml();
    let reading_of = |taken_at: i64| {
        let mut said = None;
        let message = Message {
            topic: "t",
            payload: br#"[{"n":"urn:dev:ow:g-7","u":"m","v":3.2}]"#,
            taken_at: Some(Timestamp::from_millis(taken_at)),
            ..Message::default()
        };
        decode(
            message,
            &catalogue,
            &mut Workspace::default(),
            &mut |item| {
                if let Outcome::Reading(reading) = item.outcome {
                    said = Some((reading.id.to_owned(), reading.observed_at.as_millis()));
                }
            },
        )
        .unwrap();
        said.unwrap()
    };
    let (first, at) = reading_of(NOW_MS - 60_000);
    assert_eq!(at, NOW_MS - 60_000);
    assert_eq!(reading_of(NOW_MS - 60_000).0, first, "it comes again");
    assert_ne!(reading_of(NOW_MS - 59_999).0, first);
    // Whoever keeps it may have another clock.
    assert_eq!(reading_of(NOW_MS + 60_000).1, NOW_MS);
}

fn outcomes(pack: &serde_json::Value) -> Vec<String> {
    outcomes_by(pack.to_string().as_bytes(), &senml())
}

#[test]
fn one_record_says_all_by_itself() {
    let pack =
        json!([{ "n": "urn:dev:ow:t1:temperature", "u": "Cel", "v": 23.1, "t": 1773470710.933 }]);
    assert_eq!(
        outcomes(&pack),
        ["urn:dev:ow:t1:temperature temperature 23.1 degC 2026-03-14T06:45:10.933Z"]
    );
}

#[test]
fn base_fields_hold_until_they_are_changed() {
    let pack = json!([
        { "bn": "urn:dev:ow:", "bt": 1773470700, "bu": "cm", "bver": 5, "bv": 100, "n": "g-7", "v": 20 },
        { "n": "g-7", "t": 10, "v": 25.5 },
        { "n": "g-7", "t": 11, "v": 1, "u": "m" },
        { "bn": "urn:dev:ow:g-7", "bv": 0, "bu": "", "t": 12, "v": 3.72 },
    ]);
    assert_eq!(
        outcomes(&pack),
        [
            "urn:dev:ow:g-7 water_level 1.2 m 2026-03-14T06:45:00.000Z",
            "urn:dev:ow:g-7 water_level 1.255 m 2026-03-14T06:45:10.000Z",
            "urn:dev:ow:g-7 water_level 101 m 2026-03-14T06:45:11.000Z",
            "urn:dev:ow:g-7 water_level 3.72 m 2026-03-14T06:45:12.000Z",
        ]
    );
}

#[test]
fn times_below_two_to_the_28_are_relative_to_now() {
    let at = |pack: &serde_json::Value| outcomes(pack)[0].rsplit(' ').next().unwrap().to_owned();
    let record = |t: f64| json!([{ "n": "urn:dev:ow:g-7", "v": 1, "t": t }]);
    assert_eq!(
        at(&json!([{ "n": "urn:dev:ow:g-7", "v": 1 }])),
        "2026-03-14T06:45:10.933Z"
    );
    assert_eq!(at(&record(-10.0)), "2026-03-14T06:45:00.933Z");
    assert_eq!(at(&record(5.5)), "2026-03-14T06:45:16.433Z");
    assert_eq!(at(&record(268_435_456.0)), "1978-07-04T21:24:16.000Z");
    let based = json!([{ "bt": -3600, "n": "urn:dev:ow:g-7", "v": 1, "t": 60 }]);
    assert_eq!(at(&based), "2026-03-14T05:46:10.933Z");
    assert!(outcomes(&record(1e300))[0].contains("observed_at_invalid"));
}

#[test]
fn each_sort_of_value_is_a_number_or_a_dead_letter() {
    let value = |record: serde_json::Value| {
        let mut record = record;
        record["n"] = json!("urn:dev:ow:g-7");
        record["t"] = json!(1773470710);
        let mut catalogue = senml();
        let names = Names::default();
        catalogue.mappings = Mappings::new(vec![Mapping {
            name: "m".into(),
            topic: "t".parse().unwrap(),
            format: Format::Senml,
            names: Names {
                words: [("OPEN".into(), 1.0)].into(),
                units: [("W.s".into(), "J".into())].into(),
                kinds: [("energy".into(), "energy".into())].into(),
                ..names
            },
        }]);
        outcomes_by(json!([record]).to_string().as_bytes(), &catalogue).remove(0)
    };
    let reading =
        |said: &str| format!("urn:dev:ow:g-7 water_level {said} 2026-03-14T06:45:10.000Z");
    assert_eq!(value(json!({ "vb": true })), reading("1 m"));
    assert_eq!(value(json!({ "vb": false })), reading("0 m"));
    assert_eq!(value(json!({ "vs": "OPEN" })), reading("1 m"));
    assert_eq!(value(json!({ "vs": "2.5" })), reading("2.5 m"));
    assert!(value(json!({ "vs": "SHUT" })).contains("value_not_a_number"));
    assert!(value(json!({ "vd": "AQID" })).contains("value_not_a_number: value: is data"));
    assert!(value(json!({ "v": "1" })).contains("value_not_a_number: v: is a text"));
    assert!(value(json!({ "v": null })).contains("value_not_a_number: v: is null"));
    assert!(value(json!({ "v": 1, "vb": true })).contains("member_repeated"));
    assert!(value(json!({})).contains("value_missing"));
    // A sum beside a value is kept; by itself it is the reading, in the unit times seconds.
    assert_eq!(
        value(json!({ "v": 1, "s": 7.5 })),
        reading("1 m") + " sum=7.5"
    );
    assert!(value(json!({ "s": 7.5, "u": "m" })).contains("unit_unknown: \"m.s\""));
    assert_eq!(value(json!({ "s": 7.5 })), reading("7.5 m"));
}

#[test]
fn what_is_wrong_with_a_record_takes_those_behind_it_only_if_they_depend_on_it() {
    let pack = json!([
        { "bn": "urn:dev:ow:", "bt": 1773470710, "n": "g-7", "v": 1 },
        { "n": "g-7", "v": [] },
        { "n": "g-7", "v": 1, "must_": 1 },
        { "n": "a b", "v": 1 },
        { "n": "g-7", "v": 2, "ut": 60, "further": {} },
        { "bn": "urn:dev:ow:" },
        { "bn": 7, "n": "g-7", "v": 1 },
        { "n": "g-7", "v": 3 },
    ]);
    assert_eq!(
        outcomes(&pack),
        [
            "urn:dev:ow:g-7 water_level 1 m 2026-03-14T06:45:10.000Z",
            "/1 value_not_a_number: v: is a list; a number belongs there",
            "/2 shape_unexpected: \"must_\" must be understood, and is not",
            "/3 sensor_invalid: a sensor's name must be 1 to 128 of letters, digits and . _ : @ -",
            "urn:dev:ow:g-7 water_level 2 m 2026-03-14T06:45:10.000Z",
            "/5 absent",
            "sensor_invalid: /6: bn: is a number; a text belongs there; the records from here on \
             are refused, for they depend on it",
        ]
    );
    for (pack, expected) in [
        (
            json!({}),
            "shape_unexpected: a SenML pack is a list of records, and this is an object",
        ),
        (
            json!([7]),
            "shape_unexpected: /0: a record is an object, and this is a number; the \
                      records from here on are refused, for they depend on it",
        ),
        (
            json!([{ "bver": 11, "v": 1 }]),
            "shape_unexpected: /0: bver: version 11; versions up to \
                      10 are understood; the records from here on are refused, for they depend on it",
        ),
        (
            json!([{ "v": 1 }]),
            "/0 sensor_missing: neither bn nor n names it",
        ),
    ] {
        assert_eq!(outcomes(&pack), [expected]);
    }
    let twice = br#"[{"n":"urn:dev:ow:g-7","v":1,"v":2}]"#;
    assert!(outcomes_by(twice, &senml())[0].contains("member_repeated"));
}

#[test]
fn a_name_is_that_of_the_table_or_without_what_no_sensor_has() {
    let mut catalogue = senml();
    catalogue.mappings = Mappings::new(vec![Mapping {
        name: "m".into(),
        topic: "t".parse().unwrap(),
        format: Format::Senml,
        names: Names {
            sensors: [("urn:dev:mac:01/level".into(), "urn:dev:ow:g-7".into())].into(),
            kinds: [("temp".into(), "temperature".into())].into(),
            ..Names::default()
        },
    }]);
    let pack = json!([{ "bn": "urn:dev:mac:01/", "bt": 1773470710, "n": "level", "v": 1 },
                      { "n": "temp", "u": "Cel", "v": 20 }, { "n": "smell", "v": 20 }]);
    assert_eq!(
        outcomes_by(pack.to_string().as_bytes(), &catalogue),
        [
            "urn:dev:ow:g-7 water_level 1 m 2026-03-14T06:45:10.000Z",
            "urn:dev:mac:01:temp temperature 20 degC 2026-03-14T06:45:10.000Z",
            "/2 kind_missing: kind is left out, and the sensor is not registered",
        ]
    );
}

/// A value as CBOR, with the labels of table 4 where it is a field.
fn cbor(value: &serde_json::Value, out: &mut Vec<u8>) {
    let head = |major: u8, count: u64, out: &mut Vec<u8>| {
        out.push(major << 5 | 27);
        out.extend(count.to_be_bytes());
    };
    match value {
        serde_json::Value::Null => out.push(0xf6),
        serde_json::Value::Bool(truth) => out.push(0xf4 | u8::from(*truth)),
        serde_json::Value::Number(number) => {
            out.push(0xfb);
            out.extend(number.as_f64().unwrap().to_be_bytes());
        }
        serde_json::Value::String(text) => {
            head(3, text.len() as u64, out);
            out.extend(text.as_bytes());
        }
        serde_json::Value::Array(list) => {
            out.push(0x9f);
            list.iter().for_each(|value| cbor(value, out));
            out.push(0xff);
        }
        serde_json::Value::Object(members) => {
            head(5, members.len() as u64, out);
            for (name, value) in members {
                let label = (-6..=8).find(|number| {
                    Label::numbered(*number).is_some_and(|label| label.name() == name)
                });
                match label {
                    Some(label @ 0..) => out.push(label as u8),
                    Some(label) => out.push(0x20 | (-1 - label) as u8),
                    None => cbor(&json!(name), out),
                }
                cbor(value, out);
            }
        }
    }
}

#[test]
fn a_pack_in_cbor_is_read_as_in_json() {
    let pack = json!([
        { "bn": "urn:dev:ow:", "bt": 1773470710.5, "bu": "cm", "bv": 1, "bver": 10, "n": "g-7", "v": 1 },
        { "n": "g-7", "vb": true, "t": -1 },
        { "n": "g-7", "vs": "x", "ut": 1, "further": { "a": [1, { "b": 2 }] } },
        { "n": "g-7", "s": 1, "bs": 2, "v": 3 },
        { "n": "g-7", "must_": 1 },
        { "bt": "soon" },
        { "n": "g-7", "v": 3 },
    ]);
    let mut bytes = Vec::new();
    cbor(&pack, &mut bytes);
    let read = outcomes_by(&bytes, &senml());
    assert_eq!(read, outcomes(&pack));
    assert_eq!(read.len(), 6, "{read:?}");
    // Every pack that is cut anywhere is told.
    for cut in 1..bytes.len() {
        let read = outcomes_by(&bytes[..cut], &senml());
        assert!(read.last().unwrap().contains(": "), "{read:?}");
    }
    // [{0: "urn:dev:ow:g-7", 2: 4([-2, 372]), 6: 1773470710}]
    let decimal =
        b"\x81\xa3\x00\x6eurn:dev:ow:g-7\x02\xc4\x82\x21\x19\x01\x74\x06\x1a\x69\xb5\x03\xf6";
    assert_eq!(
        outcomes_by(decimal, &senml()),
        ["urn:dev:ow:g-7 water_level 3.72 m 2026-03-14T06:45:10.000Z"]
    );
}

#[test]
fn cbor_may_say_that_it_is_cbor_and_bring_texts_in_chunks() {
    // [{-2: "urn:dev:ow:", -3: 1773470710, 0: "g-7", 2: 3}]
    let whole = b"\x81\xa4\x21\x6burn:dev:ow:\x22\x1a\x69\xb5\x03\xf6\x00\x63g-7\x02\x03";
    let read = outcomes_by(whole, &senml());
    assert_eq!(
        read,
        ["urn:dev:ow:g-7 water_level 3 m 2026-03-14T06:45:10.000Z"]
    );
    let described = [&b"\xd9\xd9\xf7"[..], whole].concat();
    assert_eq!(outcomes_by(&described, &senml()), read);
    // The same of indefinite lengths (RFC 8949, section 3.2): the pack, its record, its texts; and with a
    // field of bytes in chunks that nobody here knows.
    let chunks =
        b"\x9f\xbf\x21\x7f\x64urn:\x67dev:ow:\xff\x22\x1a\x69\xb5\x03\xf6\x00\x7f\x60\x63g-7\
\xff\x02\x03\x61x\x5f\x42\x7f\x5f\x40\xff\xff\xff";
    assert_eq!(outcomes_by(chunks, &senml()), read);
    // Chunks that are none: of another type, in chunks themselves, cut off.
    for broken in [
        &b"\x81\xa2\x00\x7f\x43g-7\xff\x02\x03"[..],
        b"\x81\xa2\x00\x7f\x7f\x63g-7\xff\xff\x02\x03",
        b"\x81\xa2\x00\x7f\x63g-7",
        b"\x81\xa2\x00\x7f\x63g",
        b"\x81\xa2\x00\x7f\x1fg",
    ] {
        let read = outcomes_by(broken, &senml());
        assert!(
            read.last().unwrap().starts_with("cbor_malformed"),
            "{read:?}"
        );
    }
    for cut in 1..chunks.len() {
        let read = outcomes_by(&chunks[..cut], &senml());
        assert!(read.last().unwrap().contains(": "), "{read:?}");
    }
}

#[test]
fn p5_a_pack_brings_no_more_readings_than_its_bound() {
    let record = r#"{"n":"urn:dev:ow:g-7","v":1}"#;
    let pack = |count| format!("[{}{record}]", format!("{record},").repeat(count - 1));
    let read = outcomes_by(pack(ITEMS_MAX).as_bytes(), &senml());
    assert!(read.iter().all(|said| said.starts_with("urn")));
    let read = outcomes_by(pack(ITEMS_MAX + 1).as_bytes(), &senml());
    assert_eq!(read.len(), ITEMS_MAX + 1);
    assert!(read[ITEMS_MAX].starts_with("items_too_many"));
}

fn field() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<f64>().prop_map(|number| json!(number)),
        "[a-z:/ ]{0,6}".prop_map(|text| json!(text)),
        any::<bool>().prop_map(|truth| json!(truth)),
        Just(json!(null)),
        Just(json!([1, { "v": 2 }])),
    ]
}

fn pack() -> impl Strategy<Value = serde_json::Value> {
    let labels = [
        "bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x",
        "y_",
    ];
    let record = prop::collection::btree_map(prop::sample::select(labels.to_vec()), field(), 0..6);
    let record = record.prop_map(|fields| json!(fields));
    prop::collection::vec(record, 0..6).prop_map(|records| json!(records))
}

proptest! {
    #[test]
    fn any_pack_is_the_same_in_cbor_as_in_json(pack in pack()) {
        let mut bytes = Vec::new();
        cbor(&pack, &mut bytes);
        prop_assert_eq!(outcomes_by(&bytes, &senml()), outcomes(&pack));
        prop_assert!(crate::formats::cbor::joined(&bytes).is_none_or(|joined| joined == bytes));
    }

    #[test]
    fn any_bytes_are_readings_or_a_reason(
        pack in pack(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        for mut bytes in [pack.to_string().into_bytes(), {
            let mut bytes = Vec::new();
            cbor(&pack, &mut bytes);
            bytes
        }] {
            for (at, byte) in &damages {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            outcomes_by(&bytes, &senml());
        }
    }
}
