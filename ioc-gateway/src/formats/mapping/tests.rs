//! Lists in lists, and tables: they say the same as the list that they could be written as.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{catalogue, found};
use super::super::{ITEMS_MAX, Message, Workspace};
use super::*;
use crate::catalogue::Catalogue;

fn elements(place: &str) -> Level {
    Level::Elements(place.parse().unwrap())
}

fn columns(place: &str) -> Level {
    Level::Columns(Columns::Within(place.parse().unwrap()))
}

fn rows(place: &str, names: &str) -> Level {
    Level::Rows {
        at: place.parse().unwrap(),
        names: names.parse().unwrap(),
    }
}

/// A reading of this value, by this sensor at so many seconds, which are its id too.
fn entry(value: &str, sensor: &str, at: &str) -> ReadingShape {
    ReadingShape {
        sensor: sensor.parse().unwrap(),
        kind: Some("water_level".parse().unwrap()),
        value: Measured {
            from: Whence::Source(value.parse().unwrap()),
            written: Written::Whole,
            nothing: Vec::new(),
            words: Vec::new(),
            multiply: 1.0,
            add: 0.0,
        },
        unit: None,
        observed_at: Moment::Counted {
            from: at.parse().unwrap(),
            epoch: Epoch::Seconds,
        },
        id: Some(format!("t{{{at}}}").parse().unwrap()),
        position: None,
        attributes: Vec::new(),
        optional: false,
    }
}

fn optional(entry: ReadingShape) -> ReadingShape {
    ReadingShape {
        optional: true,
        ..entry
    }
}

fn shape(each: impl Into<Vec<Level>>, readings: impl Into<Vec<ReadingShape>>) -> Shape {
    Shape {
        is_text: false,
        each: each.into(),
        readings: readings.into(),
        marks: MadeMarks::default(),
    }
}

fn of(shape: Shape) -> Catalogue {
    catalogue("t", Format::Json(shape))
}

/// What is found in a message, one line each.
fn lines(shape: &Shape, message: &Value) -> Vec<String> {
    let payload = message.to_string();
    let message = Message {
        topic: "t",
        payload: payload.as_bytes(),
        ..Message::default()
    };
    found(message, &of(shape.clone()), &mut Workspace::default())
}

/// The same without where it stands, and of what is refused just the reason.
fn said(shape: &Shape, message: &Value) -> Vec<String> {
    let lines = lines(shape, message);
    let said = lines.iter().map(|line| {
        let (_, said) = line.split_once("> ").expect("an item");
        said.split(": ").next().unwrap().to_owned()
    });
    said.collect()
}

#[test]
fn lists_in_lists_are_read_and_each_item_knows_those_around_it() {
    let shape = shape(
        [elements("/stations"), elements("/readings")],
        [entry("/v", "{item 1 /id}-{/n}", "/t")],
    );
    let message = json!({"stations": [
        {"id": "a", "readings": [{"n": 1, "t": 10, "v": 1}, {"n": 2, "t": 10, "v": "x"}]},
        {"id": "b", "readings": []},
        {"id": "c"},
        {"id": "d", "readings": 7},
        {"id": "e", "readings": {"k/l": {"n": 1, "t": 11, "v": 2.5}}},
        8,
        {"readings": [{"n": 1, "t": 11, "v": 2.5}]},
    ]});
    assert_eq!(
        lines(&shape, &message),
        [
            "/stations/0/readings/0> t10 a-1 water_level 1 1970-01-01T00:00:10.000Z",
            "/stations/0/readings/1> value_not_a_number: value: \"x\" at `/v` is no number; say in \
             `words` what it is worth",
            "/stations/2> shape_unexpected: each: nothing at `/readings`; a list or an object \
             belongs there",
            "/stations/3> shape_unexpected: each: a number at `/readings`; a list or an object \
             belongs there",
            "/stations/4/readings/k~1l> t11 e-1 water_level 2.5 1970-01-01T00:00:11.000Z",
            "/stations/5> shape_unexpected: each: nothing at `/readings`; a list or an object \
             belongs there",
            "/stations/6/readings/0> sensor_missing: sensor: nothing at `item 1 /id`",
        ]
    );
    let none = json!({"stations": 7});
    let whole =
        "shape_unexpected: each: a number at `/stations`; a list or an object belongs there";
    assert_eq!(lines(&shape, &none), [whole]);
}

#[test]
fn three_levels_and_pairs_are_read_too() {
    let matrix = shape([elements("/m"), elements("")], [entry("/1", "a", "/0")]);
    assert_eq!(
        lines(&matrix, &json!({"m": [[[10, 1]], [[11, 2], [12]]]})),
        [
            "/m/0/0> t10 a water_level 1 1970-01-01T00:00:10.000Z",
            "/m/1/0> t11 a water_level 2 1970-01-01T00:00:11.000Z",
            "/m/1/1> value_missing: value: nothing at `/1`",
        ]
    );
    let shape = shape(
        [elements("/series"), elements("/values"), elements("/value")],
        [entry(
            "/1",
            "{key 1}.{item 1 /source/site}.{item 2 /method}",
            "/0",
        )],
    );
    let message = json!({"series": {
        "north": {"source": {"site": "n"}, "values": [
            {"method": 1, "value": [[10, 1], [11, 2]]},
            {"method": 2, "value": [[10, 3], [11]]},
        ]},
    }});
    assert_eq!(
        lines(&shape, &message),
        [
            "/series/north/values/0/value/0> t10 north.n.1 water_level 1 1970-01-01T00:00:10.000Z",
            "/series/north/values/0/value/1> t11 north.n.1 water_level 2 1970-01-01T00:00:11.000Z",
            "/series/north/values/1/value/0> t10 north.n.2 water_level 3 1970-01-01T00:00:10.000Z",
            "/series/north/values/1/value/1> value_missing: value: nothing at `/1`",
        ]
    );
}

#[test]
fn an_item_has_the_number_that_it_has_in_its_list() {
    let loggers = shape(
        [elements("/loggers"), elements("/channels")],
        [entry("item", "{number 1}-{number}", "item 1 /at")],
    );
    let message = json!({"loggers": [
        {"at": 10, "channels": [1, 2]}, {"at": 11, "channels": {"x": 3}}, {"at": 12, "channels": [4]},
    ]});
    assert_eq!(
        lines(&loggers, &message),
        [
            "/loggers/0/channels/0> t10 0-0 water_level 1 1970-01-01T00:00:10.000Z",
            "/loggers/0/channels/1> t10 0-1 water_level 2 1970-01-01T00:00:10.000Z",
            "/loggers/1/channels/x> sensor_missing: sensor: nothing at `number`",
            "/loggers/2/channels/0> t12 2-0 water_level 4 1970-01-01T00:00:12.000Z",
        ]
    );
    let table = json!({"c": {"v": [7, 8], "t": [1, 2]}, "n": ["v", "t"], "r": [[7, 1], [8, 2]]});
    for level in [columns("/c"), rows("/r", "/n")] {
        let table_of = shape([level], [entry("/v", "s{number}", "/t")]);
        assert_eq!(
            said(&table_of, &table),
            [
                "t1 s0 water_level 7 1970-01-01T00:00:01.000Z",
                "t2 s1 water_level 8 1970-01-01T00:00:02.000Z",
            ]
        );
    }
}

#[test]
fn an_item_without_its_list_is_as_one_that_says_no_value() {
    let required = entry("/v", "{item 1 /id}", "/t");
    let each = [elements("/stations"), elements("/readings")];
    let message = json!({"stations": [
        {"id": "a"},
        {"id": "b", "readings": null},
        {"id": "c", "readings": "x"},
    ]});
    let both = [required.clone(), optional(required.clone())];
    for (entries, expected) in [
        (
            vec![optional(required.clone())],
            ["absent", "absent", "shape_unexpected"],
        ),
        (vec![required], ["shape_unexpected"; 3]),
        (both.into(), ["shape_unexpected"; 3]),
    ] {
        assert_eq!(said(&shape(each.clone(), entries), &message), expected);
    }
}

#[test]
fn what_many_items_ask_of_the_one_around_them_and_is_there_twice_is_one_dead_letter() {
    let shape = shape(
        [elements("/s"), elements("/r")],
        [entry("/v", "{item 1 /id}", "/t")],
    );
    let text = r#"{"s":[{"id":"a","id":"b","r":[{"v":1,"t":1},{"v":2,"t":2}]},{"id":"c","r":[{"v":1,"t":1}]}]}"#;
    let message = Message {
        topic: "t",
        payload: text.as_bytes(),
        ..Message::default()
    };
    let found = found(message, &of(shape), &mut Workspace::default());
    assert_eq!(
        found,
        [
            "/s/0> member_repeated: \"id\" is there twice; write it once",
            "/s/1/r/0> t1 c water_level 1 1970-01-01T00:00:01.000Z",
        ]
    );
}

#[test]
fn columns_are_read_row_by_row_and_null_is_no_value() {
    let entries = [
        entry("/level", "message /name", "/time"),
        optional(entry("/rain", "rain", "/time")),
    ];
    let shape = shape([columns("/hourly")], entries);
    let message = json!({"name": "g", "hourly": {
        "time": [10, 11], "level": [1, null], "rain": [null, 2], "other": [1, 2, 3], "step": 3600,
    }});
    assert_eq!(
        lines(&shape, &message),
        [
            "/hourly/0, readings[0]> t10 g water_level 1 1970-01-01T00:00:10.000Z",
            "/hourly/0, readings[1]> absent",
            "/hourly/1, readings[0]> value_missing: value: nothing at `/level`",
            "/hourly/1, readings[1]> t11 rain water_level 2 1970-01-01T00:00:11.000Z",
        ]
    );
    // What is asked for and not there says no value: once, if nothing else says how often.
    let message = json!({"name": "g", "hourly": {"time": [10], "level": null}});
    assert_eq!(said(&shape, &message), ["value_missing", "absent"]);
    let message = json!({"name": "g", "hourly": {}});
    assert_eq!(
        lines(&shape, &message),
        [
            "/hourly, readings[0]> value_missing: value: nothing at `/level`",
            "/hourly, readings[1]> absent",
        ]
    );
    let message = json!({"name": "g", "hourly": {"time": [], "level": [], "rain": []}});
    assert_eq!(lines(&shape, &message), [""; 0]);
    for (hourly, what) in [(json!(7), "a number"), (json!(null), "null")] {
        let found = lines(&shape, &json!({"hourly": hourly}));
        let expected = format!(
            "shape_unexpected: each: {what} at `/hourly`; an object or a list of columns belongs \
             there"
        );
        assert_eq!(found, [expected]);
    }
}

#[test]
fn of_columns_that_do_not_fit_together_nothing_is_read_and_it_is_said_and_the_others_are() {
    let entries = [
        entry("/level", "a", "/time"),
        entry("/rain", "b", "/time"),
        entry("/snow", "c", "/time"),
    ];
    let table = shape([columns("/hourly")], entries);
    let message = json!({"hourly": {
        "time": [10, 11], "level": [1, 2], "rain": [3], "snow": 7,
    }});
    assert_eq!(
        lines(&table, &message),
        [
            "/hourly, readings[1]> shape_unexpected: each: the columns are not of one length: \
             `time` has 2 and `rain` 1, and nobody can tell which belong together; write null for \
             what is missing",
            "/hourly, readings[2]> shape_unexpected: each: a number in the column `snow`; a list \
             belongs there",
            "/hourly/0, readings[0]> t10 a water_level 1 1970-01-01T00:00:10.000Z",
            "/hourly/1, readings[0]> t11 a water_level 2 1970-01-01T00:00:11.000Z",
        ]
    );
    let one = shape([columns("/hourly")], [entry("/rain", "b", "/time")]);
    let found = lines(&one, &message);
    assert!(
        found.len() == 1 && found[0].starts_with("/hourly> shape_unexpected"),
        "{found:?}"
    );
}

#[test]
fn columns_lie_in_a_list_or_in_several_places_too_and_in_lists() {
    let message = json!({"schema": 1, "data": {"values": [[10, 11], [1, 2]]}});
    let by_number = shape([columns("/data/values")], [entry("/1", "a", "/0")]);
    let listed = [("t", "/data/values/0"), ("v", "/data/values/1")];
    let listed = listed.map(|(name, place)| (name.into(), place.parse().unwrap()));
    let listed = Level::Columns(Columns::Listed(listed.into()));
    let by_place = shape([listed], [entry("/v", "a", "/t")]);
    let expected = |place: &str| {
        [
            format!("{place}/0> t10 a water_level 1 1970-01-01T00:00:10.000Z"),
            format!("{place}/1> t11 a water_level 2 1970-01-01T00:00:11.000Z"),
        ]
    };
    assert_eq!(lines(&by_number, &message), expected("/data/values"));
    assert_eq!(lines(&by_place, &message), expected(""));

    let within = shape(
        [elements(""), columns("/hourly")],
        [entry("/level/cm", "{item 1 /id}", "/time")],
    );
    let message = json!([
        {"id": "a", "hourly": {"time": [10], "level": [{"cm": 1}]}},
        {"id": "b", "hourly": {"time": [10], "level": [{"cm": 1}, {"cm": 2}]}},
        {"id": "c", "hourly": {"time": [12], "level": [{"cm": 3}]}},
    ]);
    let found = lines(&within, &message);
    assert_eq!(
        found[0],
        "/0/hourly/0> t10 a water_level 1 1970-01-01T00:00:10.000Z"
    );
    assert!(
        found[1].starts_with("/1/hourly> shape_unexpected: each: the columns"),
        "{found:?}"
    );
    assert_eq!(
        found[2],
        "/2/hourly/0> t12 c water_level 3 1970-01-01T00:00:12.000Z"
    );
}

#[test]
fn rows_have_the_names_that_are_said_once() {
    let table = shape(
        [rows("/data", "/fields")],
        [entry("/level", "{/site}", "/time")],
    );
    let data = json!([
        [10, "x", "a", 1],
        [11, "y", "a", null],
        [12, "y", "a"],
        7,
        [13, "y", "b", 2, 5],
        [14, "z", "c", 3],
    ]);
    let named = json!([{"name": "time"}, {"type": 7}, {"name": "site"}, {"name": "level"}]);
    for fields in [json!(["time", null, "site", "level"]), named] {
        assert_eq!(
            lines(&table, &json!({"fields": fields, "data": data})),
            [
                "/data/0> t10 a water_level 1 1970-01-01T00:00:10.000Z",
                "/data/1> value_missing: value: nothing at `/level`",
                "/data/2> shape_unexpected: each: the row has 3 elements and there are 4 names; \
                 write null for what is missing",
                "/data/3> shape_unexpected: each: a row is a list, and this is a number",
                "/data/4> shape_unexpected: each: the row has 5 elements and there are 4 names; \
                 write null for what is missing",
                "/data/5> t14 c water_level 3 1970-01-01T00:00:14.000Z",
            ]
        );
    }
    for (fields, expected) in [
        (json!(null), "null at `/fields`; the list of the names"),
        (json!("time"), "a text at `/fields`; the list of the names"),
        (
            json!(["time", "level", "time"]),
            "the name \"time\" is there twice",
        ),
    ] {
        let found = lines(&table, &json!({"fields": fields, "data": data}));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
    let tables = shape(
        [elements("/tables"), rows("/rows", "/fields")],
        [entry("/level", "{key 1}", "/time")],
    );
    let message = json!({"tables": {"a": {"fields": ["level", "time"], "rows": [[1, 10]]}}});
    assert_eq!(
        lines(&tables, &message),
        ["/tables/a/rows/0> t10 a water_level 1 1970-01-01T00:00:10.000Z"]
    );
}

#[test]
fn a_row_may_hold_further_items() {
    for level in [columns("/t"), rows("/t/rows", "/t/names")] {
        let is_columns = matches!(level, Level::Columns(_));
        let shape = shape(
            [level, elements("/log")],
            [entry("/v", "{item 1 /id}", "/t")],
        );
        let (one, two) = (json!([{"v": 1, "t": 10}]), json!({"k": {"v": 2, "t": 11}}));
        let table = match is_columns {
            true => json!({"id": ["a", "b", "c"], "log": [one, two, null]}),
            false => json!({
                "names": ["log", "id"], "rows": [[one, "a"], [two, "b"], [null, "c"]],
            }),
        };
        let found = lines(&shape, &json!({"t": table}));
        let said: Vec<_> = found
            .iter()
            .map(|line| line.split_once("> ").unwrap().1)
            .collect();
        assert_eq!(
            said,
            [
                "t10 a water_level 1 1970-01-01T00:00:10.000Z",
                "t11 b water_level 2 1970-01-01T00:00:11.000Z",
                "shape_unexpected: each: null at `/log`; a list or an object belongs there",
            ]
        );
    }
}

#[test]
fn a_row_of_columns_that_is_refused_is_kept_as_json_of_its_own() {
    let kept = |place: &str, table: Value| {
        let shape = shape([columns(place)], [entry("/1", "a", "/0")]);
        let payload = json!({"t": table}).to_string();
        let message = Message {
            topic: "t",
            payload: payload.as_bytes(),
            ..Message::default()
        };
        let (catalogue, mut sources) = (of(shape), Vec::new());
        let mut take = |item: super::super::Item<'_>| {
            sources.push(String::from_utf8(item.source.to_vec()).unwrap());
        };
        super::super::decode(message, &catalogue, &mut Workspace::default(), &mut take).unwrap();
        sources
    };
    let long = "é".repeat(10_000);
    let object = json!({"0": [10, 11], "1": ["x", [2]], "2": [0, 0]});
    assert_eq!(
        kept("/t", object),
        [r#"{"0":10,"1":"x"}"#, r#"{"0":11,"1":[2]}"#]
    );
    assert_eq!(
        kept("/t", json!([[10, 11], ["x", null]])),
        [r#"[10,"x"]"#, "[11,null]"]
    );
    let cut = kept("/t", json!([[10], [long]]));
    assert!(cut[0].len() < 5_000, "{}", cut[0].len());
}

#[test]
fn the_data_of_an_event_has_lists_in_lists_too() {
    let shape = shape(
        [elements("/stations"), elements("/readings")],
        [entry("/v", "{item 1 /id}", "/t")],
    );
    let data = json!({"stations": [{"id": "a", "readings": [{"v": 1, "t": 10}]}, {"id": "b"}]});
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t",
        "datacontenttype": "application/json", "data": data,
    });
    let payload = event.to_string();
    let message = Message {
        topic: "t",
        payload: payload.as_bytes(),
        ..Message::default()
    };
    let catalogue = catalogue("t", Format::CloudEvents(Some(shape)));
    assert_eq!(
        found(message, &catalogue, &mut Workspace::default()),
        [
            "/data/stations/0/readings/0> t10 a water_level 1 1970-01-01T00:00:10.000Z",
            "/data/stations/1> shape_unexpected: each: nothing at `/readings`; a list or an object \
             belongs there",
        ]
    );
}

#[test]
fn p5_a_message_brings_no_more_readings_than_its_bound_over_all_its_lists() {
    let nested = shape([elements("/s"), elements("/r")], [entry("/v", "a", "/t")]);
    let table = shape([elements("/s"), columns("/r")], [entry("/v", "a", "/t")]);
    let bare = shape(
        [elements("/s"), elements("/none")],
        [entry("/v", "a", "/t")],
    );
    let item = json!({"v": 1, "t": 1});
    let message = |lists: usize, items: usize, shape: &Shape| {
        let r = match &shape.each[1] {
            Level::Columns(_) => json!({"v": vec![1; items], "t": vec![1; items]}),
            _ => json!(vec![item.clone(); items]),
        };
        lines(shape, &json!({"s": vec![json!({"r": r}); lists]}))
    };
    for shape in [&nested, &table, &bare] {
        let half = match shape.each[1] == bare.each[1] {
            true => (ITEMS_MAX, 0),
            false => (64, ITEMS_MAX / 64),
        };
        let most = message(half.0, half.1, shape);
        assert_eq!(most.len(), ITEMS_MAX);
        assert!(
            !most[ITEMS_MAX - 1].contains("items_too_many"),
            "{}",
            most[ITEMS_MAX - 1]
        );
        let more = message(half.0 + 1, half.1, shape);
        assert_eq!(more.len(), ITEMS_MAX + 1);
        assert!(
            more[ITEMS_MAX].starts_with("items_too_many"),
            "{}",
            more[ITEMS_MAX]
        );
    }
}

/// Times, each with a value or null: often the same.
fn log() -> impl Strategy<Value = Vec<(u8, Value)>> {
    let value = prop_oneof![
        4 => (0..3_u8).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!("x")),
        1 => Just(json!("7")),
    ];
    prop::collection::vec((0..4_u8, value), 0..5)
}

proptest! {
    #[test]
    fn lists_in_lists_say_what_the_list_of_all_of_them_says(
        areas in prop::collection::vec(prop::collection::vec(log(), 0..4), 0..4),
        is_keyed: bool,
    ) {
        let (mut nested, mut flat) = (Vec::new(), Vec::new());
        for (area, stations) in areas.iter().enumerate() {
            let stations = stations.iter().enumerate().map(|(station, log)| {
                let readings = log.iter().map(|(t, v)| {
                    flat.push(json!({"a": area, "s": station, "t": t, "v": v}));
                    json!({"t": t, "v": v})
                });
                let readings: Vec<_> = readings.collect();
                json!({"id": station, "readings": readings})
            });
            let stations: Vec<_> = stations.collect();
            nested.push(json!({"id": area, "stations": stations}));
        }
        let nested = match is_keyed {
            true => {
                let named = nested.into_iter().enumerate();
                json!({"areas": named.map(|(at, area)| (at.to_string(), area)).collect::<serde_json::Map<_, _>>()})
            }
            false => json!({"areas": nested}),
        };
        let area = if is_keyed { "{key 1}" } else { "{item 1 /id}" };
        // By one of two names: so that readings of several lists have the same id.
        for (deep, wide) in [(format!("s{area}-{{item 2 /id}}"), "s{/a}-{/s}"), ("s{item 2 /id}".into(), "s{/s}")] {
            let each = [elements("/areas"), elements("/stations"), elements("/readings")];
            for optional in [false, true] {
                let entry = |sensor: &str| ReadingShape { optional, ..entry("/v", sensor, "/t") };
                let deep = shape(each.clone(), [entry(&deep)]);
                let wide = shape([elements("/all")], [entry(wide)]);
                prop_assert_eq!(said(&deep, &nested), said(&wide, &json!({"all": flat.clone()})));
            }
        }
    }

    #[test]
    fn tables_say_what_the_list_of_their_rows_says(log in log(), is_optional: bool) {
        let (times, values): (Vec<_>, Vec<_>) = log.iter().cloned().unzip();
        let flat: Vec<_> = log.iter().map(|(t, v)| json!({"t": t, "v": v})).collect();
        let data: Vec<_> = log.iter().map(|(t, v)| json!([v, 0, t])).collect();
        let message = json!({
            "flat": flat, "columns": {"v": values, "t": times, "other": [1]},
            "lists": [times, values], "names": ["v", "-", "t"], "rows": data,
        });
        let entry = |value: &str, at: &str| {
            ReadingShape { optional: is_optional, ..entry(value, "a", at) }
        };
        let own = || [entry("/v", "/t"), entry("/t", "/t")];
        let expected = said(&shape([elements("/flat")], own()), &message);
        prop_assert_eq!(&said(&shape([columns("/columns")], own()), &message), &expected);
        prop_assert_eq!(&said(&shape([rows("/rows", "/names")], own()), &message), &expected);
        let numbered = [entry("/1", "/0"), entry("/0", "/0")];
        prop_assert_eq!(&said(&shape([columns("/lists")], numbered), &message), &expected);
    }
}
