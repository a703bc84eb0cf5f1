//! Whatever the message: what is read here is read alike by the way for any JSON.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::super::super::tests::{gauges, registered};
use super::super::super::{Format, Message, Reject, Room, Workspace, utf8};
use super::super::{Catalogue, Index, Item, Names, Shape, decode, decode_any, decode_data, json};
use super::*;
use crate::formats::native::READING_BYTES_MAX;
use crate::fuzzing::damage::Damage;

/// A way to read a message.
type Way = fn(
    Message<'_>,
    By<'_>,
    &mut Index,
    &mut Room<'_>,
    &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject>;

/// All that comes of a payload: each item with its place and its source, and how it ends.
fn told(
    payload: &[u8],
    content_type: Option<&str>,
    shape: Option<&Shape>,
    way: Way,
) -> Vec<String> {
    let names = Names {
        sensors: [("p-2".into(), "wl-0412".into())].into(),
        ..Names::default()
    };
    let catalogue = registered("#", Format::CloudEvents(None), names);
    let by = By {
        shape,
        names: &catalogue.mappings.of("t").expect("there is one").names,
        catalogue: &catalogue,
        sensor: None,
    };
    let message = Message {
        topic: "t",
        payload,
        content_type,
        ..Message::default()
    };
    let mut workspace = Workspace::default();
    let mut room = Room {
        native: &mut workspace.native,
        inner: &mut workspace.inner,
        bytes: &mut workspace.bytes,
        replies: &mut workspace.replies,
    };
    let mut told = Vec::new();
    let read = way(message, by, &mut workspace.index, &mut room, &mut |item| {
        let source = String::from_utf8_lossy(item.source);
        told.push(format!("{}> {source} {:?}", item.place, item.outcome));
    });
    assert!(room.native.envelope.is_none());
    told.push(format!("{read:?}"));
    told
}

/// What comes of it as an event in structured mode or a batch; both ways agree.
fn structured(payload: &[u8], shape: Option<&Shape>) -> Vec<String> {
    let here = told(payload, None, shape, decode);
    let there = told(payload, None, shape, |message, by, index, room, take| {
        let json = utf8(message.payload)?;
        decode_any(json, message.topic, by, index, room, take)
    });
    assert_eq!(here, there, "{}", String::from_utf8_lossy(payload));
    here
}

/// What comes of it as the data of an event in binary mode; both ways agree.
fn binary(payload: &[u8]) -> Vec<String> {
    let content_type = Some("application/json");
    let here = told(payload, content_type, None, decode_data);
    let there = told(
        payload,
        content_type,
        None,
        |message, by, index, room, take| {
            let value = index.read(utf8(message.payload)?)?;
            json(value, message.content_type, message.topic, by, room, take)
        },
    );
    assert_eq!(here, there, "{}", String::from_utf8_lossy(payload));
    here
}

/// Whether a message is read here.
fn is_plain(json: &str) -> bool {
    let names = Names::default();
    let catalogue = Catalogue::default();
    let by = By {
        shape: None,
        names: &names,
        catalogue: &catalogue,
        sensor: None,
    };
    one(json, by).is_some() || several(json, by).is_some()
}

const READING: &str = r#"{"sensor":"p-1","kind":"pump","value":1}"#;

/// An event with these members behind those that it must have.
fn event_with(members: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"i","source":"/s","type":"t",{members}}}"#)
}

#[test]
fn plain_events_are_read_here() {
    let data = format!(r#""data":{READING}"#);
    for members in [
        data.clone(),
        format!(r#""datacontenttype":"application/json",{data}"#),
        format!(r#" "datacontenttype" : "text/json; charset=utf-8" , {data} "#),
        format!(r#""time":"2026-03-14T06:45:10.933Z",{data},"subject":"é","subject":"x""#),
        // Said as such: what an envelope must not say is told alike.
        format!(r#"{data},"time":"noon""#),
    ] {
        let json = event_with(&members);
        assert!(is_plain(&json), "{json}");
        let batch = format!(" [ {json} , {json}]\n");
        assert!(is_plain(&batch), "{batch}");
        structured(json.as_bytes(), None);
        structured(batch.as_bytes(), None);
    }
    let first = r#"{"data":{"sensor":"p-1","kind":"pump","value":1},"specversion":"0.3"}"#;
    assert!(is_plain(first));
    assert!(structured(first.as_bytes(), None)[0].contains("specversion"));
}

#[test]
fn what_is_not_plain_is_left_to_the_way_for_any_json() {
    let data = format!(r#""data":{READING}"#);
    for members in [
        r#""subject":"x""#.to_owned(),
        format!("{data},{data}"),
        format!(r#"{data},"data_base64":"""#),
        format!(r#"{data},"id":"i""#),
        format!(r#"{data},"time":null"#),
        format!(r#"{data},"sequence":7"#),
        format!(r#"{data},"subject":"a\n""#),
        format!(r#"{data},"\u0064ata":1"#),
        format!(r#"{data},"datacontenttype":"application/senml+json""#),
        format!(r#"{data},"datacontenttype":"image/png""#),
        format!(r#""data":[{READING}]"#),
        r#""data":{}"#.to_owned(),
        r#""data":null"#.to_owned(),
        r#""data":{"sensor":"p-1","value":1e3}"#.to_owned(),
        format!("{data},"),
        format!("{data}}}"),
    ] {
        let json = event_with(&members);
        assert!(!is_plain(&json), "{json}");
        let batch = format!("[{},{json}]", event_with(&data));
        assert!(!is_plain(&batch), "{batch}");
        structured(json.as_bytes(), None);
        structured(batch.as_bytes(), None);
    }
    for json in ["", "[]", "[", "{}", "7", "[[]]"] {
        assert!(!is_plain(json), "{json}");
        structured(json.as_bytes(), None);
    }
}

#[test]
fn data_that_a_mapping_gives_a_shape_is_not_read_here() {
    let Format::Json(shape) = gauges() else {
        unreachable!("gauges are JSON");
    };
    let json = event_with(&format!(r#""data":{READING}"#));
    let told = structured(json.as_bytes(), Some(&shape));
    assert!(told[0].contains("each: nothing at `/gauges`"), "{told:?}");
}

#[test]
fn p5_the_bounds_are_those_of_the_way_for_any_json() {
    let event = event_with(&format!(r#""data":{READING}"#));
    for (count, items) in [(ITEMS_MAX, ITEMS_MAX), (ITEMS_MAX + 1, ITEMS_MAX)] {
        let batch = format!("[{}]", vec![&*event; count].join(","));
        assert_eq!(is_plain(&batch), count == ITEMS_MAX);
        assert_eq!(structured(batch.as_bytes(), None).len(), items + 1);
    }
    let around = r#"{"sensor":"","value":1}"#.len();
    for (bytes, is_read_here) in [(READING_BYTES_MAX, true), (READING_BYTES_MAX + 1, false)] {
        let sensor = "s".repeat(bytes - around);
        let data = format!(r#"{{"sensor":"{sensor}","value":1}}"#);
        let json = event_with(&format!(r#""data": {data} "#));
        assert_eq!(is_plain(&json), is_read_here);
        structured(json.as_bytes(), None);
        binary(data.as_bytes());
    }
}

#[test]
fn the_examples_are_read_alike() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for target in ["cloud_events", "native_reading", "json_shape"] {
        for file in fs::read_dir(seeds.join(target)).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            structured(&bytes, None);
            binary(&bytes);
        }
    }
}

/// What a member may be called.
const NAMES: [&str; 11] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "data",
    "data_base64",
    "subject",
    "\\u0069d",
    "Data",
];

/// What a member may be.
fn value() -> impl Strategy<Value = String> {
    let texts = prop::sample::select(vec![
        "1.0",
        "0.3",
        "",
        "a",
        "é",
        "a\\u0062",
        "2026-03-14T06:45:10Z",
        "2026-02-30T06:45:10Z",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.x+json",
        "application/senml+json",
        "application/ld+json",
        "application/cloudevents+json",
        "image/png",
        "eyJzZW5zb3IiOiJwLTEiLCJraW5kIjoicHVtcCIsInZhbHVlIjoxfQ==",
    ]);
    let others = prop::sample::select(vec![
        "null",
        "true",
        "7",
        "-0.5e3",
        "[]",
        "{}",
        r#"{"a":[1,{"b":null}]}"#,
    ]);
    prop_oneof![
        3 => texts.prop_map(|text| format!("{text:?}").replace("\\\\", "\\")),
        // Beyond what an id and what a name of an event may be.
        1 => prop::sample::select(vec![190_usize, 250, 1100]).prop_map(|long| format!("{:?}", "x".repeat(long))),
        1 => others.prop_map(str::to_owned),
        2 => reading(),
    ]
}

/// A reading, or nearly one.
fn reading() -> impl Strategy<Value = String> {
    let member = prop::sample::select(vec![
        r#""id":"r-1""#,
        r#""id":"""#,
        r#""id":null"#,
        r#""sensor":"p-1""#,
        r#""sensor" : "wl-0412""#,
        r#""sensor":"a b""#,
        r#""sensor":"\u0070-1""#,
        r#""kind":"pump""#,
        r#""kind":"water_level""#,
        r#""observed_at":"2026-03-14T06:00:00+01:00""#,
        r#""received_at":"2026-03-14T07:00:00Z""#,
        r#""observed_at":7"#,
        r#""value":1"#,
        r#""value": -3.72"#,
        r#""value":1e999"#,
        r#""value":"1""#,
        r#""unit":"cm""#,
        r#""unit":"furlong""#,
        r#""position":[101.6953,3.1466]"#,
        r#""position":[101,91]"#,
        r#""attributes":{"a":"b"}"#,
        r#""quality":"good""#,
    ]);
    let usual = [r#""sensor":"p-1""#, r#""kind":"pump""#, r#""value":1"#];
    prop_oneof![
        Just(usual.to_vec()).prop_shuffle(),
        prop::collection::vec(member.clone(), 0..6),
        member.prop_map(move |further| [&usual[..], &[further]].concat()),
    ]
    .prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// An event: as it should be in any order, but for some changes.
fn event_of_any_members() -> impl Strategy<Value = String> {
    let members = (
        reading(),
        prop::sample::select(vec!["application/json", "", "text/json"]),
    );
    let members = members.prop_flat_map(|(data, content_type)| {
        let usual = [
            ("specversion", "\"1.0\"".to_owned()),
            ("id", "\"A234-1\"".to_owned()),
            ("source", "\"https://city.example/pumps\"".to_owned()),
            ("type", "\"reading\"".to_owned()),
            ("time", "\"2026-03-14T06:45:10.933Z\"".to_owned()),
            ("subject", "\"x\"".to_owned()),
            ("datacontenttype", format!("{content_type:?}")),
            ("data", data),
        ];
        Just(usual.to_vec()).prop_shuffle()
    });
    let change = (
        any::<prop::sample::Index>(),
        0..3_u8,
        prop::sample::select(&NAMES[..]),
        value(),
    );
    let changes = prop_oneof![Just(Vec::new()), prop::collection::vec(change, 1..4)];
    let blank = prop::sample::select(vec!["", " ", "\n\t\r"]);
    (members, changes, blank).prop_map(|(mut members, changes, blank)| {
        for (at, what, name, value) in changes {
            let at = at.index(members.len());
            match what {
                0 => members[at].1 = value,
                1 => members.insert(at, (name, value)),
                _ if members.len() > 1 => drop(members.remove(at)),
                _ => {}
            }
        }
        let members = members.iter();
        let members =
            members.map(|(name, value)| format!("{blank}\"{name}\"{blank}:{blank}{value}{blank}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases * 16,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_event_is_read_alike(event in event_of_any_members(), data in reading()) {
        structured(event.as_bytes(), None);
        binary(data.as_bytes());
    }

    #[test]
    fn a_batch_is_read_alike(events in prop::collection::vec(event_of_any_members(), 0..5)) {
        structured(format!("[{}]", events.join(",")).as_bytes(), None);
    }

    #[test]
    fn a_damaged_message_is_read_alike(
        events in prop::collection::vec(event_of_any_members(), 1..3),
        data in reading(),
        is_batch: bool,
        is_marked: bool,
        damages in prop::collection::vec(Damage::any(), 0..4),
    ) {
        let json = match is_batch {
            true => format!("[{}]", events.join(",")),
            false => events[0].clone(),
        };
        for json in [json, data] {
            let mark = if is_marked { "\u{feff}" } else { "" };
            let mut bytes = format!("{mark}{json}{}", if is_marked { "\0" } else { "" }).into_bytes();
            for damage in &damages {
                damage.apply(&mut bytes);
            }
            structured(&bytes, None);
            binary(&bytes);
        }
    }
}
