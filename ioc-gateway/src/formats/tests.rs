//! What holds for every format: nothing is lost, whatever the bytes.

use proptest::prelude::*;

use super::mapping::{Epoch, Measured, Moment, Names, ReadingShape, Shape, Whence, Where};
use super::*;

/// A catalogue whose only mapping is this one, for these topics.
pub(crate) fn catalogue(topic: &str, format: Format) -> Catalogue {
    let mapping = Mapping {
        name: "tried".into(),
        topic: topic.parse().unwrap(),
        format,
        names: Names::default(),
    };
    Catalogue {
        mappings: Mappings::new(vec![mapping]),
        ..Catalogue::default()
    }
}

/// A list of gauges: `{"at":…,"gauges":[{"name":…,"level":…}]}`.
pub(crate) fn gauges() -> Format {
    let gauge = ReadingShape {
        sensor: "/name".parse().unwrap(),
        kind: Some("water_level".parse().unwrap()),
        value: Measured {
            from: Whence::Source("/level".parse().unwrap()),
            words: vec![("DRY".into(), 0.0)],
            multiply: 1.0,
            add: 0.0,
        },
        unit: None,
        observed_at: Moment::Counted {
            from: "message /at".parse().unwrap(),
            epoch: Epoch::Seconds,
        },
        id: Some("{/name}-{message /at}".parse().unwrap()),
        position: Some(Where::List("/place".parse().unwrap())),
        attributes: vec![("note".into(), "/note".parse().unwrap())],
        optional: false,
    };
    Format::Json(Shape {
        each: Some("/gauges".parse().unwrap()),
        readings: vec![gauge],
    })
}

/// What comes of a message: each input, and what was told of it.
fn outcome(payload: &[u8], catalogue: &Catalogue) -> Vec<String> {
    let (mut inputs, mut told) = (Inputs::default(), Vec::new());
    let message = Message {
        topic: "t",
        payload,
        content_type: None,
    };
    let workspace = &mut Workspace::default();
    append_message(
        &mut inputs,
        message,
        "test",
        catalogue,
        workspace,
        &mut |item| {
            told.push(match item {
                Ok(id) => format!("reading {id}"),
                Err(reject) => format!("{}: {}", reject.reason.word(), reject.detail),
            });
        },
    );
    let inputs: Vec<_> = inputs.iter().map(Input::decode).collect();
    assert_eq!(inputs.len(), told.len());
    for (input, told) in inputs.iter().zip(&told) {
        match input {
            Ok(Input::Reading(reading)) => assert_eq!(*told, format!("reading {}", reading.id)),
            Ok(Input::DeadLetter(letter)) => {
                assert!(told.starts_with(letter.reason));
                assert!(letter.payload.len() <= payload.len());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!told.is_empty(), "nothing is lost");
    told
}

#[test]
fn what_fails_takes_nothing_else_with_it() {
    let catalogue = catalogue("t", gauges());
    let payload = br#"{"at":1773470710,"gauges":[{"name":"a","level":1},{"name":"b c","level":1},
        7,{"name":"d","level":"DRY","place":[200,1]},{"name":"e","level":"DRY"}]}"#;
    assert_eq!(
        outcome(payload, &catalogue),
        [
            "reading a-1773470710",
            "sensor_invalid: /gauges/1: a sensor's name must be 1 to 128 of letters, digits and . _ : @ -",
            "value_missing: /gauges/2: value: nothing at `/level`",
            "position_invalid: /gauges/3: position: is not longitude and latitude in degrees, on the globe",
            "reading e-1773470710",
        ]
    );
}

#[test]
fn p5_a_dead_letter_of_a_part_keeps_the_message_if_it_is_short_and_among_the_first() {
    let letters = |parts: usize, blanks: usize| {
        let catalogue = catalogue("t", gauges());
        let parts = vec![r#"{"name":"b"}"#; parts].join(",");
        let payload = format!(r#"{{"at":1,"gauges":[{parts}]}}{}"#, " ".repeat(blanks));
        let message = Message {
            topic: "t",
            payload: payload.as_bytes(),
            content_type: Some("application/json"),
        };
        let (mut inputs, workspace) = (Inputs::default(), &mut Workspace::default());
        append_message(
            &mut inputs,
            message,
            "test",
            &catalogue,
            workspace,
            &mut |_| {},
        );
        let kept = inputs.iter().map(|bytes| match Input::decode(bytes) {
            Ok(Input::DeadLetter(letter)) => {
                assert_eq!(letter.content_type, "application/json");
                assert_eq!(letter.payload_bytes as usize, payload.len());
                let is_whole = letter.payload == payload.as_bytes();
                assert!(is_whole || letter.payload == br#"{"name":"b"}"#);
                (letter.place.to_owned(), is_whole)
            }
            other => panic!("{other:?}"),
        });
        kept.collect::<Vec<_>>()
    };
    let kept = letters(20, 0);
    assert_eq!(kept[1], ("/gauges/1".to_owned(), true));
    let whole = kept.iter().filter(|(_, is_whole)| *is_whole).count();
    assert_eq!(whole, WHOLE_LETTERS_MAX as usize);
    assert!(letters(2, 4096).iter().all(|(_, is_whole)| !is_whole));
}

#[test]
fn a_message_without_a_mapping_is_a_dead_letter() {
    let told = outcome(b"{}", &Catalogue::default());
    assert!(told[0].starts_with("topic_unknown: "), "{told:?}");
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"name\"",
        "\"level\"",
        "\"at\"",
        "\"gauges\"",
        "1",
        "1e308",
        "-2.5",
        "null",
        "true",
        "\"DRY\"",
        "\"a\"",
        "{\"at\":1,\"gauges\":[",
        "{\"name\":\"a\",\"level\":1}",
        "]}",
        "\"place\":[1,2]",
        "\"note\":",
        "\u{e9}",
        " ",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn any_message_is_readings_or_dead_letters(payload in payload()) {
        outcome(&payload, &catalogue("t", gauges()));
    }
}
