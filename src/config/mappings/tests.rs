use expect_test::{Expect, expect};

use super::levels::{COLUMNS_MAX, LEVELS_MAX};
use super::shape::NOTHING_MAX;
use super::*;
use crate::config::yaml;

const KINDS: &str = "kinds:
  water_level: { unit: m, means: River. }
  pump: { unit: any, means: Pump. }
";

fn mistakes(text: &str) -> String {
    let mut mistakes = Mistakes::default();
    let kinds = yaml::parse("kinds.yaml", KINDS, &mut mistakes).unwrap();
    let kinds = Kinds::read(&kinds, &mut mistakes);
    if let Some(root) = yaml::parse("m.yaml", text, &mut mistakes) {
        read(&root, &kinds, &mut mistakes);
    }
    mistakes.to_string()
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&mistakes(text));
}

#[test]
fn all_mistakes_of_all_mappings_are_told_at_once() {
    check(
        "mappings:
  a:
    topic: a/+/b#
    sensors: { x: 'not one' }
    kinds: { level: watr_level }
    observed_at: { from: /t, as: second, utc_offset: 8 }
    position: { lon: /x }
    readings:
      - { sensor: 'a b', kind: watr_level, value: temp }
      - { sensor: '{topic 2', kind: water_level, value: { words: { ON: yes }, multiply: x }, unit: degC }
  b: { topic: b, readings: { value: /v, optional: maybe, vlaue: 1 } }
  c: { topic: ioc/v1/readings/+, sensor: s, observed_at: arrival, readings: { value: 1 } }
  d: { topic: b/+, observed_at: arrival, readings: { sensor: topic 3, value: key } }
  e: { topic: b/+, format: jsn }
  f: { topic: f, each: x, sensor: s, observed_at: /t, readings: [] }
  g: { topic: b/+, sensor: s, observed_at: { from: /t, as: seconds, utc_offset: Z }, readings: { value: 1 } }
",
        &expect![[r#"
            m.yaml:3:12 mappings.a.topic: `a/+/b#`: a topic filter has `+` only as a whole level and `#` only as the last one, as in `a/+/#`
            m.yaml:4:19 mappings.a.sensors.x: a sensor's name must be 1 to 128 of letters, digits and . _ : @ -
            m.yaml:5:21 mappings.a.kinds.level: unknown kind of reading `watr_level`; did you mean `water_level`?
            m.yaml:6:34 mappings.a.observed_at.as: `second` is not one of rfc3339, seconds, milliseconds, microseconds, nanoseconds; did you mean `seconds`?
            m.yaml:6:54 mappings.a.observed_at.utc_offset: `8` is not an offset such as `+08:00`
            m.yaml:7:15 mappings.a.position: `lat` is missing; write for example `lat: /lat`
            m.yaml:9:19 mappings.a.readings.sensor: `a b`: a sensor's name must be 1 to 128 of letters, digits and . _ : @ -
            m.yaml:9:32 mappings.a.readings.kind: unknown kind of reading `watr_level`; did you mean `water_level`?
            m.yaml:9:51 mappings.a.readings.value: `temp` is not a source: write `/member/0` for a place within the item, `message /member` for one within the whole message, `topic 2` for a level of the topic, `item`, `key` or `number`, and `item 1 /member`, `key 1` or `number 1` for an item of the first of several places of `each`
            m.yaml:10:19 mappings.a.readings.sensor: `{topic 2` has a brace without its other one; write `{topic 2}-temperature`
            m.yaml:10:57 mappings.a.readings.value: `from` is missing; write for example `from: /temperature`
            m.yaml:10:72 mappings.a.readings.value.words.ON: `yes` is not a number
            m.yaml:10:89 mappings.a.readings.value.multiply: `x` is not a number such as `0.1`
            m.yaml:10:100 mappings.a.readings.unit: `degC` cannot be converted to `m`, the unit of water_level
            m.yaml:11:28 mappings.b.readings: `observed_at` is missing; write it here or beside `topic`, for example `observed_at: /time`
            m.yaml:11:28 mappings.b.readings: `sensor` is missing; write it here or beside `topic`, for example `sensor: "{topic 2}-temperature"`
            m.yaml:11:51 mappings.b.readings.optional: `maybe` is not one of true, false
            m.yaml:11:58 mappings.b.readings.vlaue: unknown key; did you mean `value`?
            m.yaml:12:15 mappings.c.topic: messages of these topics are native readings; no mapping is asked for them
            m.yaml:13:62 mappings.d.readings.sensor: `topic 3`: the topics of `b/+` have 2 levels
            m.yaml:13:78 mappings.d.readings.value: `key` is the name of an item; without `each` there is none
            m.yaml:14:28 mappings.e.format: `jsn` is not one of json, text, senml, sensorthings, ngsi-ld, cloudevents, sparkplug, cap; did you mean `json`?
            m.yaml:15:6 mappings.f: `readings` is empty; write what the message says
            m.yaml:15:24 mappings.f.each: `x`: a place is written `/member/0/member`, with `~1` for `/` and `~0` for `~` in a name
            m.yaml:16:81 mappings.g.observed_at.utc_offset: what is counted since 1970 has no offset; remove it"#]],
    );
}

#[test]
fn the_first_of_two_mappings_of_one_topic_hides_the_other() {
    check(
        "mappings:
  a: { topic: x/+, sensor: s, observed_at: arrival, readings: { value: 1 } }
  b: { topic: x/+, sensor: s, observed_at: arrival, readings: { value: 1 } }
",
        &expect![
            "m.yaml:3:6 mappings.b: `x/+` is the topic of mapping `a` too, which is asked first; give each its own"
        ],
    );
}

#[test]
fn a_mapping_behind_one_that_takes_all_its_messages_is_doubted() {
    let reads = "sensor: s, observed_at: arrival, readings: { value: 1 }";
    let text = format!(
        "mappings:
  a: {{ topic: x/+/y, {reads} }}
  b: {{ topic: x/#, {reads} }}
  c: {{ topic: x/+, {reads} }}
  d: {{ topic: '#', {reads} }}
  e: {{ topic: z, {reads} }}
  f: {{ topic: $x/y, {reads} }}
"
    );
    let mut mistakes = Mistakes::default();
    let kinds = yaml::parse("kinds.yaml", KINDS, &mut mistakes).unwrap();
    let kinds = Kinds::read(&kinds, &mut mistakes);
    let root = yaml::parse("m.yaml", &text, &mut mistakes).unwrap();
    read(&root, &kinds, &mut mistakes);
    let doubts = mistakes.take_doubts().to_string();
    assert_eq!(mistakes.to_string(), "");
    expect![[r#"
        m.yaml:4:6 mappings.c: is never asked: all topics of `x/+` are those of `x/#` too, of mapping `b`, which is asked first; write it before that one
        m.yaml:6:6 mappings.e: is never asked: all topics of `z` are those of `#` too, of mapping `d`, which is asked first; write it before that one"#]].assert_eq(&doubts);
}

#[test]
fn what_is_wrong_with_lists_in_lists_and_tables_is_told_with_what_to_write() {
    check(
        "mappings:
  a: { topic: a, each: '/devices/*/readings/*', sensor: s, observed_at: arrival, readings: { value: 1 } }
  b: { topic: b, each: [/a, [/b]], sensor: s, observed_at: arrival, readings: { value: 1 } }
  c: { topic: c, each: [], sensor: s, observed_at: arrival, readings: { value: 1 } }
  d:
    topic: d
    each: [/a, /b]
    sensor: '{item 2 /id}-{item 3 /id}-{key 2}-{key 3}-{item 2}'
    observed_at: item 1 /t
    readings: { value: /v }
  e: { topic: e, sensor: item 1 /id, observed_at: key 1, readings: { value: number } }
  f: { topic: f, each: { columns: /a, names: /b }, sensor: s, observed_at: arrival, readings: { value: 1 } }
  g: { topic: g, each: { rows: /a }, sensor: s, observed_at: arrival, readings: { value: /v } }
  h: { topic: h, each: { rows: /a, names: n, colums: /b }, sensor: s, observed_at: arrival, readings: { value: /v } }
  i: { topic: i, each: { names: /n }, sensor: s, observed_at: arrival, readings: { value: /v } }
  j:
    topic: j
    each: [{ columns: { time: /t, level: /l } }, item]
    sensor: item 1 /tiem
    observed_at: item 1
    readings: { value: /v }
  k: { topic: k, each: { columns: /a }, sensor: s, observed_at: arrival, readings: [{ value: item }, { value: 1 }] }
  l: { topic: l, each: { columns: {} }, sensor: s, observed_at: arrival, readings: { value: /v } }
  m: { topic: m, each: { columns: /a }, sensor: s, observed_at: arrival, attributes: { note: /note }, readings: { value: message /battery } }
",
        &expect![[r#"
            m.yaml:2:24 mappings.a.each: there is no `*` in a place: of lists in lists write the places, the outermost first, each as it lies in an item of the one before: `[/devices, /readings]`
            m.yaml:3:29 mappings.b.each: a list is no place; write one list of places, the outermost first, as in `[/devices, /readings]`
            m.yaml:4:24 mappings.c.each: is empty; write a place such as `/devices`, or remove it
            m.yaml:8:13 mappings.d.sensor: `item 2 /id`: this is the item itself; write `/id`
            m.yaml:8:13 mappings.d.sensor: `item 2`: this is the item itself; write `item`
            m.yaml:8:13 mappings.d.sensor: `item 3 /id`: `each` has 2 places
            m.yaml:8:13 mappings.d.sensor: `key 2`: this is the item itself; write `key`
            m.yaml:8:13 mappings.d.sensor: `key 3`: `each` has 2 places
            m.yaml:11:26 mappings.e.sensor: `item 1 /id`: without `each` there are no items
            m.yaml:11:51 mappings.e.observed_at: `key 1`: without `each` there are no items
            m.yaml:11:77 mappings.e.readings.value: `number` is that of an item in its list; without `each` there is none
            m.yaml:12:46 mappings.f.each.names: are those of `rows`; columns have names or numbers of their own, or places: `columns: { time: /data/0, level: /data/1 }`
            m.yaml:12:95 mappings.f.readings: asks for none of the columns as its value, time or sensor, which say how many readings there are; write for example `value: /temperature`
            m.yaml:13:32 mappings.g.each.rows: `names` is missing; write where the names of the columns are, for example `names: /fields`; without names, `each` is the place of the rows, and a column is its number: `/0`
            m.yaml:14:43 mappings.h.each.names: `n`: a place is written `/member/0/member`, with `~1` for `/` and `~0` for `~` in a name
            m.yaml:14:46 mappings.h.each.colums: unknown key; did you mean `columns`?
            m.yaml:15:24 mappings.i.each: write one of `columns: PLACE`, for lists side by side, and `rows: PLACE` with `names: PLACE`, for lists whose columns are named once
            m.yaml:18:50 mappings.j.each: `item` is a row of a table; write which column, as in `/temperature`
            m.yaml:19:13 mappings.j.sensor: `/tiem`: `tiem` is none of the columns of `each`; did you mean `time`?
            m.yaml:20:18 mappings.j.observed_at: `item 1` is a row of a table; write which column, as in `/temperature`
            m.yaml:22:94 mappings.k.readings.value: `item` is a row of a table; write which column, as in `/temperature`
            m.yaml:22:102 mappings.k.readings: asks for none of the columns as its value, time or sensor, which say how many readings there are; write for example `value: /temperature`
            m.yaml:23:35 mappings.l.each.columns: 0 columns; write 1 to 256
            m.yaml:24:113 mappings.m.readings: asks for none of the columns as its value, time or sensor, which say how many readings there are; write for example `value: /temperature`"#]],
    );
}

#[test]
fn what_is_wrong_with_how_a_time_is_written_is_told_with_what_to_write() {
    check(
        "mappings:
  a: { topic: a, sensor: s, observed_at: { from: /t, format: '%d.%m.%Y %H:%M' }, readings: { value: /v } }
  b: { topic: b, sensor: s, observed_at: { from: /t, format: '%d.%m.%Y %k', utc_offset: Z }, readings: { value: /v } }
  c: { topic: c, sensor: s, observed_at: { from: /t, format: DD.MM.YYYY, as: seconds }, readings: { value: /v } }
  d: { topic: d, sensor: s, observed_at: { from: noon }, readings: { value: /v } }
  e: { topic: e, sensor: s, observed_at: { from: '{/date} {topic 3}', utc_offset: Z }, readings: { value: /v } }
  f: { topic: f, sensor: s, observed_at: { from: '{/date} {/clock}', format: '%Y%m%d %H%M%z' }, readings: { value: /v } }
",
        &expect![[r#"
            m.yaml:2:62 mappings.a.observed_at.format: `%d.%m.%Y %H:%M` says no offset from UTC; write `%z` where it stands, also for `Z`, or `utc_offset: "+08:00"` beside it
            m.yaml:3:62 mappings.b.observed_at.format: `%d.%m.%Y %k`: `%k` stands for nothing; write %Y or %y for the year, %m or %b for the month, %d for the day, %H, or %I with %p, for the hour, %M for the minute, %S for the second, %f for its fraction, and %z for the offset from UTC
            m.yaml:4:62 mappings.c.observed_at.format: `DD.MM.YYYY`: has not one `%Y` (or `%y`) for the year; write for example `%d.%m.%Y %H:%M`
            m.yaml:4:62 mappings.c.observed_at.format: `as` and `format` both say how the time is written; remove one
            m.yaml:5:50 mappings.d.observed_at.from: `noon` is not a source: write `/member/0` for a place within the item, `message /member` for one within the whole message, `topic 2` for a level of the topic, `item`, `key` or `number`, and `item 1 /member`, `key 1` or `number 1` for an item of the first of several places of `each`
            m.yaml:6:50 mappings.e.observed_at.from: `topic 3`: the topics of `e` have 1 levels"#]],
    );
}

#[test]
fn p5_too_many_words_lists_in_lists_and_columns_are_refused() {
    let usual = "sensor: s, observed_at: arrival";
    let told = |entry: &str| {
        mistakes(&format!(
            "mappings:\n  a: {{ topic: a, {usual}, {entry} }}\n"
        ))
    };
    let lists = |count: usize| {
        let places = vec!["/a"; count].join(", ");
        told(&format!("each: [{places}], readings: {{ value: 1 }}"))
    };
    assert_eq!(lists(LEVELS_MAX), "");
    assert!(lists(LEVELS_MAX + 1).contains("9 are too many; at most 8"));
    let columns = |count: usize| {
        let columns: Vec<_> = (0..count).map(|column| format!("c{column}: /c")).collect();
        let columns = columns.join(", ");
        told(&format!(
            "each: {{ columns: {{ {columns} }} }}, readings: {{ value: /c0 }}"
        ))
    };
    assert_eq!(columns(COLUMNS_MAX), "");
    assert!(columns(COLUMNS_MAX + 1).contains("257 columns; write 1 to 256"));
    let words = |count: usize| {
        let words = vec!["x"; count].join(", ");
        told(&format!(
            "readings: {{ value: {{ from: /v, nothing: [{words}] }} }}"
        ))
    };
    assert_eq!(words(NOTHING_MAX), "");
    assert!(words(NOTHING_MAX + 1).contains("65 are too many; at most 64"));
    let unknown = told("readings: { value: { from: /v, as: leading } }");
    assert!(
        unknown.contains("`leading` is not one of number, leading_number, leading_number_comma"),
        "{unknown}"
    );
}

#[test]
fn no_mappings_are_no_mistake() {
    for text in ["", "mappings:\n", "mappings: {}\n"] {
        assert_eq!(mistakes(text), "");
    }
}

#[test]
fn p5_mappings_their_entries_and_their_names_have_bounds() {
    let entry = "{ sensor: s, observed_at: arrival, value: 1 }";
    let mapping = |topic: usize, entries: usize, names: usize| {
        let entries = vec![entry; entries].join(", ");
        let names: Vec<_> = (0..names).map(|name| format!("{name}: s")).collect();
        let names = names.join(", ");
        format!(
            "  {topic}: {{ topic: '{topic}', sensors: {{ {names} }}, readings: [{entries}] }}\n"
        )
    };
    let all = |count, entries, names| {
        let list = (0..count).map(|topic| mapping(topic, entries, names));
        format!("mappings:\n{}", list.collect::<String>())
    };
    assert_eq!(mistakes(&all(Mappings::COUNT_MAX, 64, 1)), "");
    assert!(mistakes(&all(Mappings::COUNT_MAX + 1, 1, 0)).contains("mappings are too many"));
    assert!(mistakes(&all(1, 65, 0)).contains("65 are too many; at most 64"));
    assert!(mistakes(&all(1, 1, NAMES_MAX / 2)).is_empty());
    let text = all(1, 1, NAMES_MAX + 1);
    assert!(mistakes(&text).contains("too many"), "{}", text.len());
}

#[test]
fn p5_alerts_of_one_sender_are_of_no_more_kinds_than_are_judged() {
    let mapped = |kinds: usize| {
        let mut mistakes = Mistakes::default();
        let listed = (0..kinds).map(|kind| format!("  k{kind}: {{ unit: any, means: K. }}\n"));
        let listed = format!("kinds:\n{}", listed.collect::<String>());
        let listed = yaml::parse("kinds.yaml", &listed, &mut mistakes).unwrap();
        let listed = Kinds::read(&listed, &mut mistakes);
        let events = (0..kinds).map(|kind| format!("E{kind}: k{kind}, F{kind}: k{kind}"));
        let events = events.collect::<Vec<_>>().join(", ");
        let text = format!("mappings:\n  a: {{ topic: a, format: cap, kinds: {{ {events} }} }}\n");
        let root = yaml::parse("m.yaml", &text, &mut mistakes).unwrap();
        read(&root, &listed, &mut mistakes);
        mistakes.to_string()
    };
    assert_eq!(mapped(KINDS_PER_SENSOR_MAX - 1), "");
    let told = mapped(KINDS_PER_SENSOR_MAX);
    let begins =
        "m.yaml:2:6 mappings.a: `kinds` makes alerts of 16 kinds; of one sender at most 15";
    assert!(told.starts_with(begins), "{told}");
}
