use expect_test::{Expect, expect};

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
            m.yaml:9:51 mappings.a.readings.value: `temp` is not a source: write `/member/0` for a place within the item, `message /member` for one within the whole message, `topic 2` for a level of the topic, `item` or `key`
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
fn p5_lists_in_lists_and_too_many_words_are_refused() {
    let usual = "sensor: s, observed_at: arrival";
    let told = |entry: &str| {
        mistakes(&format!(
            "mappings:\n  a: {{ topic: a, {usual}, {entry} }}\n"
        ))
    };
    let told_each = told("each: /devices/*/readings, readings: { value: 1 }");
    assert!(
        told_each.contains("mappings.a.each: there is no `*` in a place: lists in lists"),
        "{told_each}"
    );
    assert_eq!(told_each.lines().count(), 1, "{told_each}");
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
