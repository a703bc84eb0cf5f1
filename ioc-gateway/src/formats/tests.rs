//! What holds for every format: nothing is lost, whatever the bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ioc_core::reading::Reading;
use ioc_core::record::Input;
use proptest::prelude::*;

use super::mapping::{
    Columns, Epoch, Level, MadeMarks, Measured, Moment, Names, ReadingShape, Shape, Whence, Where,
    Written,
};
use super::*;
use crate::catalogue::{Now, Registered};

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
            written: Written::Whole,
            nothing: Vec::new(),
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
        is_text: false,
        each: vec![Level::Elements("/gauges".parse().unwrap())],
        readings: vec![gauge],
        marks: MadeMarks::default(),
    })
}

/// The same where these places lead, of which each lies in an item of the one before, and asks for
/// what it may have.
fn gauges_in(each: &[&str]) -> Format {
    let Format::Json(mut shape) = gauges() else {
        unreachable!("gauges are JSON");
    };
    let place = |place: &str| place.parse().unwrap();
    let level = |text: &&str| match text.split(' ').collect::<Vec<_>>()[..] {
        ["columns", at] => Level::Columns(Columns::Within(place(at))),
        ["rows", at, names] => Level::Rows {
            at: place(at),
            names: names.parse().unwrap(),
        },
        ["item"] => Level::Elements(Pointer::default()),
        _ => Level::Elements(place(text)),
    };
    shape.each = each.iter().map(level).collect();
    if shape.each.len() > 1 {
        shape.readings[0].attributes = vec![("station".into(), "item 1 /id".parse().unwrap())];
    }
    Format::Json(shape)
}

/// A catalogue of these sensors, each with its kind, of which some units are known.
pub(crate) fn registered(topic: &str, format: Format, names: Names) -> Catalogue {
    let gauge = Registered {
        kind: "water_level".into(),
        unit: "m".into(),
        unit_unnamed: "cm".into(),
    };
    let mapping = Mapping {
        name: "tried".into(),
        topic: topic.parse().unwrap(),
        format,
        names,
    };
    let kind_units = [
        ("water_level", "m"),
        ("temperature", "degC"),
        ("pm25", "ug/m3"),
        ("pump", "state"),
    ];
    Catalogue {
        sensors: [("wl-0412".into(), gauge)].into(),
        kind_units: kind_units
            .map(|(kind, unit)| (kind.into(), unit.into()))
            .into(),
        mappings: Mappings::new(vec![mapping]),
        now: Now::new(|| Timestamp::from_millis(1_773_470_710_933)),
        ..Catalogue::default()
    }
}

/// What is found in a message, one line each.
pub(crate) fn found(
    message: Message<'_>,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
) -> Vec<String> {
    let mut lines = Vec::new();
    let decoded = decode(message, catalogue, workspace, &mut |item| {
        let place = item.place.to_string();
        assert!(item.source.len() <= MESSAGE_BYTES_MAX);
        let what = match item.outcome {
            Outcome::Reading(reading) => said(&reading),
            Outcome::Rejected(reject) => format!("{}: {}", reject.reason.word(), reject.detail),
            Outcome::Absent => "absent".into(),
            Outcome::Noted(what) => format!("noted: {what}"),
        };
        lines.push(format!("{place}> {what}"));
    });
    if let Err(reject) = decoded {
        lines.push(format!("{}: {}", reject.reason.word(), reject.detail));
    }
    lines
}

fn said(reading: &Reading<'_>) -> String {
    let (sensor, kind, at) = (reading.sensor, reading.kind, reading.observed_at);
    let (value, unit) = (reading.value, reading.unit);
    let id = match reading.id {
        id if id.starts_with("auto-") => "auto",
        id => id,
    };
    let mut line = format!("{id} {sensor} {kind} {value}{unit} {at}");
    if let Some(place) = reading.position {
        line += &format!(" {:?}", place.to_degrees());
    }
    for (name, value) in reading.attributes.iter() {
        line += &format!(" {name}={value}");
    }
    line
}

/// What comes of a message: each input, and what was told of it.
fn outcome(payload: &[u8], catalogue: &Catalogue) -> Vec<String> {
    let (mut inputs, mut told) = (Inputs::default(), Vec::new());
    let message = Message {
        topic: "t",
        payload,
        ..Message::default()
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

/// Two entries of one item: who measured is in the topic, and the message has one id for all.
fn climate(change: impl Fn(&mut ReadingShape)) -> Format {
    let entry = |place: &str, kind: &str| {
        let mut entry = ReadingShape {
            sensor: "topic 1".parse().unwrap(),
            kind: Some(kind.parse().unwrap()),
            value: Measured {
                from: Whence::Source(place.parse().unwrap()),
                written: Written::Whole,
                nothing: Vec::new(),
                words: Vec::new(),
                multiply: 1.0,
                add: 0.0,
            },
            unit: None,
            observed_at: Moment::Arrival,
            id: Some("message /id".parse().unwrap()),
            position: None,
            attributes: Vec::new(),
            optional: true,
        };
        change(&mut entry);
        entry
    };
    let readings = vec![entry("/t", "temperature"), entry("/pm", "pm25")];
    Format::Json(Shape {
        is_text: false,
        each: Vec::new(),
        readings,
        marks: MadeMarks::default(),
    })
}

#[test]
fn readings_of_a_sensor_that_have_one_id_in_a_message_are_told_apart() {
    let catalogue = catalogue("t", climate(|_| ()));
    let both = br#"{"id":"a1","t":21,"pm":9}"#;
    let told = ["reading a1", "reading a1 2"];
    assert_eq!(outcome(both, &catalogue), told);
    assert_eq!(outcome(both, &catalogue), told, "also when it comes again");
    assert_eq!(
        outcome(br#"{"id":"a1","pm":9}"#, &catalogue),
        ["reading a1"]
    );
    // What is refused keeps its number, by which it may be read again one day.
    let told = outcome(br#"{"id":"a1","t":"--","pm":9}"#, &catalogue);
    assert!(told[0].starts_with("value_not_a_number"), "{told:?}");
    assert_eq!(told[1], "reading a1 2");
    // So is what lies in a list.
    let Format::Json(mut shape) = climate(|_| ()) else {
        unreachable!("climate is JSON");
    };
    shape.each = vec![Level::Elements("/log".parse().unwrap())];
    let listed = catalogue_of(Format::Json(shape));
    let told = outcome(br#"{"id":"a1","log":[{"t":1},{"t":2},{"pm":3}]}"#, &listed);
    assert_eq!(told, ["reading a1", "reading a1 2", "reading a1 3"]);
    // Who says the same once more says it once, as in a list that is kept and sent again.
    let told = outcome(
        br#"{"id":"a1","log":[{"t":1},{"t":2},{"t":1},{"pm":1}]}"#,
        &listed,
    );
    assert_eq!(
        told,
        ["reading a1", "reading a1 2", "reading a1", "reading a1 3"]
    );
    // Sensors of their own, each with that id, are told apart already.
    let own = catalogue_of(climate(|entry| {
        let name = format!(
            "s-{}",
            if entry.kind == Some("pm25".parse().unwrap()) {
                2
            } else {
                1
            }
        );
        entry.sensor = name.parse().unwrap();
    }));
    assert_eq!(outcome(both, &own), ["reading a1", "reading a1"]);
    // A number makes no id too long.
    let id = "x".repeat(ioc_core::id::ReadingId::BYTES_MAX);
    let long = outcome(
        format!(r#"{{"id":"{id}","t":1,"pm":2}}"#).as_bytes(),
        &catalogue,
    );
    assert_eq!(long[0], format!("reading {id}"));
    assert!(long[1].starts_with("reading id-"), "{long:?}");
}

#[test]
fn a_message_arrives_at_one_time_however_long_it_is_read() {
    let ticks = Arc::new(AtomicI64::new(0));
    let tick = move || Timestamp::from_millis(ticks.fetch_add(1, Ordering::Relaxed));
    let Format::Json(mut shape) = climate(|_| ()) else {
        unreachable!("climate is JSON");
    };
    shape.each = vec![Level::Elements("/log".parse().unwrap())];
    let catalogue = Catalogue {
        now: Now::new(tick),
        ..catalogue_of(Format::Json(shape))
    };
    let workspace = &mut Workspace::default();
    let mut times = |payload: &str| {
        let message = Message {
            topic: "t",
            payload: payload.as_bytes(),
            ..Message::default()
        };
        let mut times = Vec::new();
        let mut take = |item: Item<'_>| {
            if let Outcome::Reading(reading) = item.outcome {
                times.push((reading.id.to_owned(), reading.observed_at.as_millis()));
            }
        };
        decode(message, &catalogue, workspace, &mut take).unwrap();
        times
    };
    let said = |id: &str, at| (id.to_owned(), at);
    // Who says the same once more says it once.
    let log = r#"{"id":"a1","log":[{"t":1},{"pm":2},{"t":1}]}"#;
    let first = times(log);
    assert_eq!(first, [said("a1", 0), said("a1 2", 0), said("a1", 0)]);
    assert_eq!(times(log), [said("a1", 1), said("a1 2", 1), said("a1", 1)]);
}

fn catalogue_of(format: Format) -> Catalogue {
    catalogue("t", format)
}

#[test]
fn a_message_that_says_none_of_its_values_is_noted_and_no_dead_letter() {
    let noted = |payload: &str, catalogue: &Catalogue| {
        let message = Message {
            topic: "t",
            payload: payload.as_bytes(),
            ..Message::default()
        };
        let (mut inputs, workspace) = (Inputs::default(), &mut Workspace::default());
        let mut told = Vec::new();
        append_message(
            &mut inputs,
            message,
            "test",
            catalogue,
            workspace,
            &mut |item| told.push(item.map(str::to_owned)),
        );
        let noted: Vec<_> = workspace.noted.iter().map(|(_, what)| *what).collect();
        (inputs.count(), told.len(), noted)
    };
    let optional = catalogue_of(climate(|_| ()));
    let switch = r#"{"method":"NotifyStatus","params":{"output":true}}"#;
    assert_eq!(noted(switch, &optional), (0, 0, vec![NOTHING_SAID]));
    let deleted = r#"{"id":"urn:ngsi-ld:Gauge:5","waterLevel":{"value":"urn:ngsi-ld:null"}}"#;
    let ngsi_ld = registered("t", Format::NgsiLd, Names::default());
    assert_eq!(noted(deleted, &ngsi_ld), (0, 0, vec![NOTHING_SAID]));
    // What is wrong is a dead letter as before, and so is what must be there.
    assert_eq!(noted(r#"{"id":"a","t":"--"}"#, &optional), (1, 1, vec![]));
    let required = catalogue_of(climate(|entry| entry.optional = false));
    assert_eq!(noted("{}", &required), (2, 2, vec![]));
}

#[test]
fn a_place_may_be_a_point_of_geojson_and_either_may_be_put_into_a_text() {
    let with = |place: &str| {
        let payload =
            format!(r#"{{"at":1773470710,"gauges":[{{"name":"a","level":1,"place":{place}}}]}}"#);
        let message = Message {
            topic: "t",
            payload: payload.as_bytes(),
            ..Message::default()
        };
        found(
            message,
            &catalogue("t", gauges()),
            &mut Workspace::default(),
        )
        .join("\n")
    };
    let list = with("[101.6953,3.1466]");
    assert!(list.ends_with("[101.6953, 3.1466]"), "{list}");
    for place in [
        r#"{"type":"Point","coordinates":[101.6953,3.1466]}"#,
        r#""{\"type\":\"Point\",\"coordinates\":[101.6953,3.1466]}""#,
        r#""[101.6953, 3.1466]""#,
    ] {
        assert_eq!(with(place), list, "{place}");
    }
    for place in [
        r#""101.6953,3.1466""#,
        r#""{""#,
        r#"{"coordinates":7}"#,
        "{}",
    ] {
        let told = with(place);
        assert!(told.contains("position_invalid"), "{place}: {told}");
    }
}

#[test]
fn p5_what_says_nothing_counts_for_no_bound_but_that_of_what_is_looked_for() {
    let message = |absent: usize, present: usize| {
        let mut items = vec!["{}"; absent];
        items.extend(vec![r#"{"t":1}"#; present]);
        format!(r#"{{"log":[{}]}}"#, items.join(","))
    };
    let Format::Json(mut shape) = climate(|entry| entry.id = None) else {
        unreachable!("climate is JSON");
    };
    shape.each = vec![Level::Elements("/log".parse().unwrap())];
    let catalogue = catalogue_of(Format::Json(shape));
    let told = |payload: &str| {
        let (readings, details) = told_of(payload, None, &catalogue);
        (readings, details.into_iter().next().unwrap_or_default())
    };
    assert_eq!(
        told(&message(10_000, ITEMS_MAX)),
        (ITEMS_MAX, String::new())
    );
    let (readings, detail) = told(&message(10_000, ITEMS_MAX + 1));
    assert_eq!(readings, ITEMS_MAX);
    assert!(
        detail.contains("a replay of this dead letter takes"),
        "{detail}"
    );
    // Two are looked for in each.
    let looked = LOOKS_MAX / 2;
    assert_eq!(told(&message(looked - 1, 1)), (1, String::new()));
    let (readings, detail) = told(&message(looked, 1));
    assert_eq!(readings, 0);
    assert!(detail.contains("messages of its own"), "{detail}");
}

#[test]
fn p5_in_a_short_message_not_much_is_looked_for() {
    let Format::Json(mut shape) = climate(|entry| entry.id = None) else {
        unreachable!("climate is JSON");
    };
    shape.each = vec![Level::Elements("/log".parse().unwrap())];
    shape.readings = vec![shape.readings[0].clone(); 64];
    let catalogue = catalogue_of(Format::Json(shape));
    let with = |items: usize| {
        let payload = format!(r#"{{"log":[{}]}}"#, vec!["{}"; items].join(","));
        told_of(&payload, None, &catalogue)
    };
    assert_eq!(with(64), (0, vec![]));
    let (readings, details) = with(1_000);
    assert_eq!((readings, details.len()), (0, 1));
    assert!(details[0].contains("of this length"), "{details:?}");
}

#[test]
fn the_letter_of_a_will_says_that_it_is_one() {
    let with = |topic: &str, payload: &[u8]| {
        let (mut inputs, catalogue) = (Inputs::default(), catalogue("t", gauges()));
        let mut workspace = Workspace::default();
        workspace.native.observed_now(&catalogue);
        match native::sensor_of(topic) {
            Some(sensor) => {
                let origin = Origin {
                    source: "mqtt a",
                    topic,
                };
                let scratch = &mut workspace.native;
                let read = append_native(
                    &mut inputs,
                    payload,
                    Some(sensor),
                    origin,
                    &catalogue,
                    scratch,
                );
                assert!(read.is_err());
            }
            None => {
                let message = Message {
                    topic,
                    payload,
                    ..Message::default()
                };
                let told = &mut |_: Result<&str, Reject>| {};
                append_message(
                    &mut inputs,
                    message,
                    "mqtt a",
                    &catalogue,
                    &mut workspace,
                    told,
                );
            }
        }
        let letters = inputs.iter().map(|bytes| match Input::decode(bytes) {
            Ok(Input::DeadLetter(letter)) => letter.place.to_owned(),
            other => panic!("{other:?}"),
        });
        letters.collect::<Vec<_>>()
    };
    assert_eq!(with("ioc/v1/readings/a", b"{}"), ["will "]);
    assert_eq!(with("t", br#"{"gauges":[{}]}"#), ["will /gauges/0"]);
    assert_eq!(with("elsewhere", b"{}"), ["will "]);
}

#[test]
fn an_attribute_that_is_put_together_keeps_a_list_as_json_and_all_around_it() {
    let texts = [("a", "{/y}-{/x}"), ("b", "/x"), ("c", "{/y}-{/none}")];
    let format = climate(|entry| {
        entry.attributes = texts
            .map(|(name, text)| (name.into(), text.parse().unwrap()))
            .into();
    });
    let message = Message {
        topic: "t",
        payload: br#"{"id":"1","t":1,"y":"Y","x":[1, {"z":2}]}"#,
        ..Message::default()
    };
    let found = found(message, &catalogue("t", format), &mut Workspace::default());
    assert!(
        found[0].ends_with(r#" a=Y-[1, {"z":2}] b=[1, {"z":2}]"#),
        "{found:?}"
    );
}

#[test]
fn p5_a_dead_letter_of_a_part_keeps_the_message_if_it_is_among_the_first_and_of_a_long_one_the_first()
 {
    let letters = |parts: usize, blanks: usize| {
        let catalogue = catalogue("t", gauges());
        let parts = vec![r#"{"name":"b"}"#; parts].join(",");
        let payload = format!(r#"{{"at":1,"gauges":[{parts}]}}{}"#, " ".repeat(blanks));
        let message = Message {
            topic: "t",
            payload: payload.as_bytes(),
            content_type: Some("application/json"),
            ..Message::default()
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
    let of_a_long_one: Vec<_> = letters(3, 4096)
        .into_iter()
        .map(|(_, whole)| whole)
        .collect();
    assert_eq!(of_a_long_one, [true, false, false]);
}

#[test]
fn a_part_that_lies_in_what_was_unpacked_is_not_taken_for_its_message() {
    let (message, part) = ([b'm'; 100], [b'p'; 5_000]);
    assert_eq!(kept_of(&message, &part, 0), message);
    for part in [&part[..], &part[..100]] {
        let kept = kept_of(&message, part, WHOLE_LETTERS_MAX);
        assert!(part.starts_with(kept) && kept.len() < message.len());
    }
    assert_eq!(kept_of(&message, &message, WHOLE_LETTERS_MAX), message);
}

/// What a message becomes: how many readings, and what each dead letter says.
fn told_of(
    payload: &str,
    content_type: Option<&str>,
    catalogue: &Catalogue,
) -> (usize, Vec<String>) {
    let message = Message {
        topic: "t",
        payload: payload.as_bytes(),
        content_type,
        ..Message::default()
    };
    let (mut inputs, workspace) = (Inputs::default(), &mut Workspace::default());
    let (mut readings, mut details) = (0, Vec::new());
    let mut told = |item: Result<&str, Reject>| match item {
        Ok(_) => readings += 1,
        Err(reject) => details.push(reject.detail),
    };
    append_message(
        &mut inputs,
        message,
        "test",
        catalogue,
        workspace,
        &mut told,
    );
    (readings, details)
}

#[test]
fn p5_a_long_text_that_all_items_share_is_told_cut_by_each() {
    let items = vec![r#"{"name":"a","level":1}"#; 100].join(",");
    let long = "x".repeat(100_000);
    let gauges_at = format!(r#"{{"at":"{long}","gauges":[{items}]}}"#);
    let (readings, details) = told_of(&gauges_at, None, &catalogue("t", gauges()));
    assert_eq!((readings, details.len()), (0, 100));
    let longest = details.iter().map(String::len).max();
    assert!(longest < Some(600), "{longest:?}");
}

#[test]
fn p5_names_beyond_their_bound_are_refused_before_they_are_put_together() {
    let none = Catalogue::default();
    let long = "x".repeat(100_000);
    let records = vec![r#"{"v":1}"#; 100].join(",");
    for (content_type, payload, most) in [
        (
            "application/senml+json",
            format!(r#"[{{"bn":"{long}","v":1}},{records}]"#),
            101,
        ),
        (
            "application/senml+json",
            format!(r#"[{{"bn":"a","bu":"{long}","s":1}},{records}]"#),
            101,
        ),
        (
            "application/ld+json",
            format!(r#"{{"id":"{long}","type":"G","level":{{"value":1}}}}"#),
            1,
        ),
    ] {
        let (readings, details) = told_of(&payload, Some(content_type), &none);
        assert!(
            readings == 0 && (1..=most).contains(&details.len()),
            "{content_type}"
        );
        assert!(
            details.iter().all(|detail| detail.len() < 600),
            "{content_type}"
        );
    }
}

/// How many values are looked at while a message is read, how many items it brings, and how many
/// bytes their places have.
fn cost_of(payload: &str, content_type: Option<&str>, catalogue: &Catalogue) -> [usize; 3] {
    let message = Message {
        topic: "t",
        payload: payload.as_bytes(),
        content_type,
        ..Message::default()
    };
    let before = json::STEPS.get();
    let (mut items, mut places) = (0, 0);
    let mut take = |item: Item<'_>| {
        items += 1;
        places += item.place.to_string().len();
    };
    let _whole = decode(message, catalogue, &mut Workspace::default(), &mut take);
    [json::STEPS.get() - before, items, places]
}

#[test]
fn p5_reading_a_message_takes_no_more_steps_than_a_multiple_of_its_length() {
    let known = registered("other", Format::NgsiLd, Names::default());
    let many = |count: usize, text: &dyn Fn(usize) -> String| {
        let texts: Vec<_> = (0..count).map(text).collect();
        texts.join(",")
    };
    let members = many(10_000, &|_| r#""":"""#.to_owned());
    let attributes = many(4_000, &|number| format!(r#""{number}:waterLevel":1"#));
    let instances = many(4_000, &|number| {
        format!(r#"{{"value":1,"datasetId":"d{number}"}}"#)
    });
    let gauges_read = many(4_000, &|_| r#"{"name":"a","level":1}"#.to_owned());
    let events = many(1_000, &|number| {
        format!(
            r#"{{"specversion":"1.0","id":"{number}","source":"s","type":"t",
            "datacontenttype":"application/ld+json","data":{{"id":"urn:g","waterLevel":1}}}}"#
        )
    });
    let named_gauges = many(4_000, &|number| {
        format!(r#"{{"name":"g{number}","level":1}}"#)
    });
    let column = |what: &str| many(4_000, &|_| what.to_owned());
    let (names, levels) = (column("\"a\""), column("1"));
    let named_rows = many(4_000, &|_| r#"["a",1,0,0,0]"#.to_owned());
    for (what, each, payload) in [
        (
            "items in an item",
            vec!["/stations", "/gauges"],
            format!(r#"{{"at":1,"stations":[{{"gauges":[{named_gauges}],{members}}}]}}"#),
        ),
        (
            "columns of a table",
            vec!["columns /gauges"],
            format!(r#"{{"at":1,"gauges":{{"name":[{names}],"level":[{levels}],{members}}}}}"#),
        ),
        (
            "rows with names",
            vec!["rows /gauges /names"],
            format!(
                r#"{{"at":1,"names":["name","level","","",""],"gauges":[{named_rows}],{members}}}"#
            ),
        ),
    ] {
        let catalogue = catalogue("t", gauges_in(&each));
        let [steps, items, _] = cost_of(&payload, None, &catalogue);
        assert_eq!(items, 4_000, "{what}");
        assert!(
            steps <= 4 * payload.len(),
            "{what}: {steps} steps for {} bytes",
            payload.len()
        );
    }
    let Format::Json(mut shape) = gauges_in(&["/gauges"]) else {
        unreachable!("gauges are JSON");
    };
    shape.readings[0].position = Some(Where::List("message /place".parse().unwrap()));
    for place in [
        format!(r#"{{"coordinates":[1,2],{members}}}"#),
        format!(
            r#"{{{},"coordinates":[1,2]}}"#,
            many(250, &|_| r#""":"""#.to_owned())
        ),
    ] {
        let catalogue = catalogue("t", Format::Json(shape.clone()));
        let payload = format!(r#"{{"at":1,"place":{place},"gauges":[{gauges_read}]}}"#);
        let [steps, items, _] = cost_of(&payload, None, &catalogue);
        assert_eq!(items, 4_000, "a place that all share");
        assert!(
            steps <= 4 * payload.len(),
            "a place that all share: {steps} steps for {} bytes",
            payload.len()
        );
    }
    for (what, content_type, payload) in [
        (
            "attributes of an entity",
            "application/ld+json",
            format!(r#"{{"id":"urn:g","type":"T",{attributes},{members}}}"#),
        ),
        (
            "instances of an attribute",
            "application/ld+json",
            format!(r#"{{"id":"urn:g","waterLevel":[{instances}],{members}}}"#),
        ),
        (
            "items of a mapping",
            "",
            format!(r#"{{"at":1,"gauges":[{gauges_read}],{members}}}"#),
        ),
        (
            "events of a batch",
            "application/cloudevents-batch+json",
            format!("[{events}]"),
        ),
        (
            "records of a pack",
            "application/senml+json",
            format!(
                r#"[{{"bn":"a",{members}}},{}]"#,
                many(4_000, &|_| r#"{"v":1}"#.to_owned())
            ),
        ),
    ] {
        let catalogue = match content_type {
            "" => &catalogue("t", gauges()),
            _ => &known,
        };
        let content_type = Some(content_type).filter(|text| !text.is_empty());
        let [steps, items, _] = cost_of(&payload, content_type, catalogue);
        assert!(items >= 1_000, "{what}: {items} items");
        assert!(
            steps <= 4 * payload.len(),
            "{what}: {steps} steps for {} bytes",
            payload.len()
        );
    }
}

#[test]
fn p5_a_long_key_does_not_cost_each_item_that_stands_in_it() {
    let catalogue = catalogue("t", gauges_in(&["/stations", "item"]));
    let (long, items) = ("x".repeat(100_000), vec!["{}"; 4_000].join(","));
    let payload = format!(r#"{{"at":1,"stations":{{"{long}":[{items}]}}}}"#);
    let [_, items, places] = cost_of(&payload, None, &catalogue);
    assert_eq!(items, 4_000);
    assert!(places < 1_000 * items, "{places} bytes");
}

#[test]
fn p5_an_attribute_whose_name_is_too_long_does_not_cost_each_of_its_instances() {
    let known = registered("other", Format::NgsiLd, Names::default());
    let (long, instances) = ("x".repeat(100_000), vec![r#"{"value":1}"#; 4_000].join(","));
    let payload = format!(r#"{{"id":"urn:g","{long}:waterLevel":[{instances}]}}"#);
    let [_, items, places] = cost_of(&payload, Some("application/ld+json"), &known);
    assert!(items == 1 && places < 100, "{items} items, {places} bytes");
    let (_, details) = told_of(&payload, Some("application/ld+json"), &known);
    assert!(details[0].contains("more than 1024 bytes"), "{details:?}");
}

#[test]
fn p5_a_text_that_is_put_together_has_a_bound() {
    let catalogue = catalogue("t", gauges());
    for (long, is_read) in [(10, true), (100_000, false)] {
        let name = "x".repeat(long);
        let payload = format!(r#"{{"at":1,"gauges":[{{"name":"{name}","level":1}}]}}"#);
        let (readings, details) = told_of(&payload, None, &catalogue);
        assert_eq!(
            (readings == 1, details.len()),
            (is_read, usize::from(!is_read)),
            "{details:?}"
        );
        assert!(is_read || details[0].contains("4096 bytes"), "{details:?}");
    }
}

#[test]
fn a_place_in_the_whole_message_is_looked_for_once_and_found_by_each_item() {
    let payload = r#"{"at":1773470710,"gauges":[{"name":"a","level":1},{"name":"b","level":2}]}"#;
    let (readings, details) = told_of(payload, None, &catalogue("t", gauges()));
    assert_eq!((readings, details), (2, Vec::<String>::new()));
}

#[test]
fn a_message_without_a_mapping_is_a_dead_letter() {
    let told = outcome(b"{}", &Catalogue::default());
    assert!(told[0].starts_with("topic_unknown: "), "{told:?}");
}

/// Of what is longer not all is kept, by an alias or a letter: the rest would be another sensor's name.
#[test]
fn a_topic_that_is_not_kept_whole_is_mapped_by_nothing() {
    let Format::Json(mut shape) = gauges() else {
        unreachable!("gauges are JSON");
    };
    shape.readings[0].sensor = "topic 3".parse().unwrap();
    let catalogue = catalogue("city/#", Format::Json(shape));
    let payload = br#"{"at":1,"gauges":[{"level":1}]}"#;
    for (bytes, is_read) in [(TOPIC_BYTES_MAX, true), (TOPIC_BYTES_MAX + 1, false)] {
        let topic = format!("city/{}/pump-12", "x".repeat(bytes - "city//pump-12".len()));
        let message = Message {
            topic: &topic,
            payload,
            ..Message::default()
        };
        let (mut inputs, mut told) = (Inputs::default(), Vec::new());
        append_message(
            &mut inputs,
            message,
            "mqtt a",
            &catalogue,
            &mut Workspace::default(),
            &mut |item| told.push(item.map(str::to_owned).map_err(|reject| reject.reason)),
        );
        let refused: Vec<_> = told
            .iter()
            .map(|item| item.as_ref().err().copied())
            .collect();
        let expected = (!is_read).then_some(Reason::TopicTooLong);
        assert_eq!(refused, [expected], "{told:?}");
        assert_eq!(inputs.count(), 1, "a reading, or a letter");
    }
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

/// Pieces of messages of the standards, in any order.
fn standard_payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"id\":\"a\"",
        "\"data\":",
        "\"value\":1",
        "\"specversion\":\"1.0\"",
        "\"source\":\"/s\"",
        "\"type\":\"t\"",
        "\"data_base64\":\"eyJ9\"",
        "\"water_level\":",
        "\"n\":\"a:pump\"",
        "\"v\":1",
        "\"result\":1",
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">",
        "</alert>",
        "<info>",
        "</info>",
        "<area>",
        "</area>",
        "<severity>Minor</severity>",
        "<event>e</event>",
        "<identifier>i</identifier><sender>s</sender><sent>2026-03-14T06:40:00Z</sent>",
        "<status>Actual</status><msgType>Alert</msgType>",
        "\x12\x07\x0a\x01m\x20\x0a",
        "\x18\x01",
        "\x08\x01",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn any_message_of_a_standard_is_records_that_read_back(
        payload in standard_payload(), is_enveloped: bool,
    ) {
        const EVENT: [(&str, &str); 4] =
            [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
        let standards = [
            ("a/Datastreams(5)/Observations", Format::SensorThings),
            ("a", Format::Senml),
            ("a", Format::NgsiLd),
            ("a", Format::CloudEvents(None)),
            ("a", Format::Cap),
            ("spBv1.0/g/NBIRTH/n", Format::Sparkplug),
            ("spBv1.0/g/NDATA/n", Format::Sparkplug),
        ];
        for (topic, format) in standards {
            let catalogue = registered("#", format, Names::default());
            let message = Message {
                topic,
                payload: &payload,
                event: if is_enveloped { &EVENT } else { &[] },
                ..Message::default()
            };
            let (mut inputs, mut told) = (Inputs::default(), 0);
            let workspace = &mut Workspace::default();
            append_message(&mut inputs, message, "test", &catalogue, workspace, &mut |_| told += 1);
            prop_assert_eq!(inputs.count(), told);
            for record in inputs.iter() {
                prop_assert!(Input::decode(record).is_ok());
            }
        }
    }
}
