//! The rules that ship with the product, tried on small stories: what must open an incident, and
//! what must not. The levels and weights are free to change; the names of these tests are not.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use expect_test::{Expect, expect};
use ioc::backtest::BacktestOptions;
use ioc::config::compile::Compiled;
use ioc::config::source::{Source, SourceFile};
use ioc_core::decision::{Decision, Verdict};
use ioc_core::judgement::Judgement;
use ioc_core::place::Position;
use ioc_core::reading::{AttributesBuffer, Reading};
use ioc_core::record::{Input, Record};
use ioc_core::time::{Millis, Timestamp};
use ioc_gateway::catalogue::Unregistered;

/// Gauges with levels of their own and without, and some other sensors. 0.001° are about 110 m.
const CITY: &str = r#"{"features":[
{"id":"gauge","properties":{"type":"sensor","kind":"water_level","unit":"ft","warning":3,"danger":5},"geometry":{"type":"Point","coordinates":[101.6,3.1]}},
{"id":"gauge-downstream","properties":{"type":"sensor","kind":"water_level"},"geometry":{"type":"Point","coordinates":[101.61,3.1]}},
{"id":"slow-gauge","properties":{"type":"sensor","kind":"water_level"},"geometry":{"type":"Point","coordinates":[101.3,3.1]}},
{"id":"gauge-asl","properties":{"type":"sensor","kind":"water_level","unit":"mAOD"},"geometry":{"type":"Point","coordinates":[101.6,3.1]}},
{"id":"street-1","properties":{"type":"sensor","kind":"street_water"},"geometry":{"type":"Point","coordinates":[101.7,3.1]}},
{"id":"street-2","properties":{"type":"sensor","kind":"street_water"},"geometry":{"type":"Point","coordinates":[101.705,3.1]}},
{"id":"rain-1","properties":{"type":"sensor","kind":"rainfall"},"geometry":{"type":"Point","coordinates":[101.7,3.1]}},
{"id":"rain-2","properties":{"type":"sensor","kind":"rainfall"},"geometry":{"type":"Point","coordinates":[101.701,3.1]}},
{"id":"rain-3","properties":{"type":"sensor","kind":"rainfall"},"geometry":{"type":"Point","coordinates":[101.702,3.1]}},
{"id":"road-1","properties":{"type":"sensor","kind":"traffic_speed"},"geometry":{"type":"Point","coordinates":[101.75,3.1]}},
{"id":"road-2","properties":{"type":"sensor","kind":"traffic_speed"},"geometry":{"type":"Point","coordinates":[101.751,3.1]}},
{"id":"smoke-1","properties":{"type":"sensor","kind":"smoke"},"geometry":{"type":"Point","coordinates":[101.8,3.1]}},
{"id":"feeder-1","properties":{"type":"sensor","kind":"feeder"},"geometry":{"type":"Point","coordinates":[101.9,3.1]}},
{"id":"feeder-2","properties":{"type":"sensor","kind":"feeder","interval_s":60},"geometry":{"type":"Point","coordinates":[101.95,3.1]}},
{"id":"signal-2","properties":{"type":"sensor","kind":"traffic_signal","interval_s":60,"fed_by":"feeder-2"},"geometry":{"type":"Point","coordinates":[101.951,3.1]}},
{"id":"signal-1","properties":{"type":"sensor","kind":"traffic_signal"},"geometry":{"type":"Point","coordinates":[101.904,3.1]}}
]}"#;

/// Judges a story by the shipped rules and compares what becomes of incidents.
///
/// A line is a time, a sensor and what it says minute by minute: a value, or for a caller a
/// category; `@` and degrees east give the place of who has no registered one. What is no
/// registered sensor is named like its kind.
fn check(story: &str, expected: &Expect) {
    let mut room = Room::new();
    let mut moments: Vec<_> = story.lines().flat_map(moments).collect();
    moments.sort_by_key(|(at, ..)| *at);
    for (at, sensor, said) in moments {
        room.hear(at, sensor, said);
    }
    let end = Timestamp::from_millis(room.now.as_millis() + Millis::minutes(24 * 60).0);
    room.apply(end, Input::Tick);
    let lines: String = room.decisions.iter().filter_map(tell).collect();
    expected.assert_eq(&lines);
}

fn moments(line: &str) -> impl Iterator<Item = (Timestamp, &str, &str)> {
    let mut words = line.split_whitespace();
    let (at, sensor) = words.next().zip(words.next()).unwrap_or(("00:00", ""));
    let start = Timestamp::parse(format!("2026-03-14T{at}:00Z").as_bytes()).unwrap();
    (0..).zip(words).map(move |(minute, said)| {
        let at = Timestamp::from_millis(start.as_millis() + Millis::minutes(minute).0);
        (at, sensor, said)
    })
}

/// A control room that has nothing but the rules.
struct Room {
    judgement: Judgement,
    compiled: Compiled,
    seq: u64,
    now: Timestamp,
    decisions: Vec<Decision>,
}

impl Room {
    fn new() -> Self {
        let compiled = shipped_rules_with(CITY).compile().unwrap();
        let mut room = Self {
            judgement: Judgement::new(1.try_into().unwrap()),
            seq: 0,
            now: Timestamp::parse(b"2026-03-14T00:00:00Z").unwrap(),
            decisions: Vec::new(),
            compiled,
        };
        let bundle = &room.compiled.bundle;
        let hash = bundle.hash;
        room.judgement.provide(bundle.clone());
        room.apply(room.now, Input::Reload(hash));
        room
    }

    fn hear(&mut self, at: Timestamp, sensor: &str, said: &str) {
        let mut sensors = self.compiled.bundle.city.sensors.iter();
        let registered = sensors.find(|own| own.id.as_str() == sensor);
        // One that is not registered is called by its kind.
        let called = sensor.split(':').next().unwrap_or(sensor);
        let kind = registered.map_or(called, |own| own.kind.as_str());
        let kind = kind.to_owned();
        let (said, east) = said.split_once('@').unwrap_or((said, ""));
        let mut attributes = AttributesBuffer::default();
        let value = said.parse().unwrap_or_else(|_| {
            attributes.push("category", said).unwrap();
            1.0
        });
        let east = east.parse().ok();
        let reading = Reading {
            id: &self.seq.to_string(),
            sensor,
            kind: &kind,
            observed_at: at,
            received_at: None,
            value,
            unit: "",
            position: east.and_then(|east| Position::from_degrees(east, 3.1)),
            attributes: attributes.as_attributes(),
        };
        self.apply(at, Input::Reading(reading));
    }

    fn apply(&mut self, at: Timestamp, input: Input<'_>) {
        self.seq += 1;
        self.now = at;
        let seq = self.seq;
        self.judgement
            .apply(&[Record { seq, at, input }], &mut self.decisions);
    }
}

/// The shipped kinds and rules with another city.
fn shipped_rules_with(city: &str) -> Source {
    let mut files = Source::read(None, None).unwrap().files().to_vec();
    files.retain(|file| file.name != "city.geojson");
    files.push(SourceFile {
        name: "city.geojson".into(),
        shown: "city.geojson".into(),
        bytes: city.into(),
    });
    Source::of(files)
}

fn tell(decision: &Decision) -> Option<String> {
    let (what, incident) = match &decision.verdict {
        Verdict::IncidentOpened(incident) => ("opened", incident),
        Verdict::IncidentMerged { incident, .. } => ("merged", incident),
        Verdict::IncidentCleared(incident) => ("cleared", incident),
        Verdict::IncidentReopened(incident) => ("reopened", incident),
        _ => return None,
    };
    let at = decision.at.to_string();
    let (kind, severity) = (&incident.kind, incident.severity);
    let sources = incident.sensors;
    Some(format!(
        "{} {what} {kind} {severity:?} {sources}\n",
        &at[11..16]
    ))
}

#[test]
fn one_gauge_opens_a_flood_by_its_own_levels_and_a_short_dip_does_not_end_it() {
    // 3 ft are 0.91 m and 5 ft are 1.52 m; two waves 50 minutes apart.
    check(
        "10:00 gauge 0.5 1.0 1.2 1.3 1.2 1.1 1.0 0.7 0.6
         10:55 gauge 1.1 1.6 1.7 0.5 0.5",
        &expect![[r#"
            10:04 opened flood Moderate 1
            11:59 cleared flood Severe 1
        "#]],
    );
}

/// The example that the page about rules tells.
#[test]
fn two_gauges_open_a_flood_at_their_second_readings_and_one_that_stays_alone_later() {
    // By time alone: no reading says that it is over.
    check(
        "10:00 gauge 1.1 1.2",
        &expect![[r#"
        10:02 opened flood Moderate 1
    "#]],
    );
    check(
        "10:00 gauge 1.1 1.2
         10:01 gauge-downstream 3.3 3.4",
        &expect![[r#"
            10:02 opened flood Moderate 2
        "#]],
    );
    check(
        "10:00 gauge-downstream 3.3 3.4 3.3 3.3 3.4",
        &expect![[r#"
            10:02 opened flood Moderate 1
        "#]],
    );
}

#[test]
fn the_readings_in_the_page_about_rules_open_what_it_says() {
    let page = include_str!("../docs/RULES.md");
    let (_, example) = page.split_once("<<'END'\n").unwrap();
    let (readings, _) = example.split_once("END\n").unwrap();
    let lines: Vec<_> = readings.lines().collect();
    let [first, _, third, _] = lines[..] else {
        panic!("four readings")
    };
    let later = first
        .replace("10:00:00", "10:03:00")
        .replace("\"1\"", "\"5\"");
    expect!["10:01:10 flood from 2"].assert_eq(&backtest(&lines));
    expect![""].assert_eq(&backtest(&lines[..3]));
    expect![""].assert_eq(&backtest(&[first, third]));
    expect!["10:02:30 flood from 1"].assert_eq(&backtest(&[first, third, &later]));
}

/// The incidents that recorded readings of the shipped city open by the shipped rules.
fn backtest(readings: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("readings.jsonl");
    std::fs::write(&path, readings.join("\n")).unwrap();
    let compiled = Source::read(None, None).unwrap().compile().unwrap();
    let options = BacktestOptions {
        readings: path,
        catalogue: compiled.catalogue(Unregistered::Refuse),
        bundle: compiled.bundle,
        shards: 1.try_into().unwrap(),
    };
    let mut out = Vec::new();
    ioc::backtest::run(&options, &mut out).unwrap();
    let lines = String::from_utf8(out).unwrap();
    let decisions = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let opened = decisions.filter(|decision| decision["type"] == "incident_opened");
    let told: Vec<_> = opened
        .map(|decision| {
            let incident = &decision["incident"];
            let (kind, at) = (&incident["kind"], &decision["at"]);
            let (kind, at) = (kind.as_str().unwrap(), at.as_str().unwrap());
            format!("{} {kind} from {}", &at[11..19], incident["sensors"])
        })
        .collect();
    told.join("\n")
}

#[test]
fn two_high_readings_of_a_gauge_that_reports_each_five_minutes_are_enough() {
    check(
        "10:00 slow-gauge 1.0
         10:05 slow-gauge 3.3
         10:10 slow-gauge 3.4",
        &expect![[r#"
            10:10 opened flood Moderate 1
        "#]],
    );
}

#[test]
fn lone_spikes_open_nothing() {
    check(
        "10:00 gauge 0.5 9.9 9.9 0.5 0.5 9.9 0.5
         10:00 street-1 0 90 0
         10:00 smoke-1 0 50 0
         10:00 feeder-1 11 0 11",
        &expect![""],
    );
}

#[test]
fn a_gauge_with_a_loose_plug_opens_nothing_and_a_flood_beside_it_does() {
    let plug =
        "10:00 gauge 0.5 5.2 0.5 5.2 0.5 5.2 0.5 5.2 5.2 5.2 5.2 5.2 5.2 0.5 5.2 5.2 5.2 5.2 5.2";
    check(plug, &expect![[""]]);
    check(
        &format!(
            "{plug}\n10:12 emergency_call flood@101.601 flood@101.601 flood@101.601 flood@101.601 flood@101.601"
        ),
        &expect![[r#"
            10:16 opened flood Moderate 6
        "#]],
    );
}

#[test]
fn two_road_sensors_that_flap_are_no_crash() {
    let flaps = "45 14 ".repeat(5) + &"14 ".repeat(4) + &"45 14 ".repeat(9);
    check(
        &format!("10:00 road-1 {flaps}\n10:00 road-2 {flaps}"),
        &expect![[r#""#]],
    );
}

#[test]
fn a_gauge_above_sea_level_without_levels_of_its_own_opens_nothing() {
    check("10:00 gauge-asl 52 52 53 53", &expect![[""]]);
}

#[test]
fn lone_calls_open_nothing_and_three_that_agree_do() {
    check(
        "10:00 emergency_call fire@101.5
         10:01 emergency_call flood@101.5
         10:02 emergency_call theft@101.5 theft@101.5 theft@101.5
         10:03 emergency_call fire@101.53",
        &expect![[""]],
    );
    check(
        "10:00 emergency_call fire@101.5 fire@101.502 smoke@101.501",
        &expect![[r#"
            10:02 opened fire Moderate 3
            10:42 cleared fire Moderate 3
        "#]],
    );
}

#[test]
fn one_sensor_needs_company_of_a_caller_or_a_second_one() {
    check("10:00 street-1 0 20 20 20 20 20", &expect![[""]]);
    check(
        "10:00 street-1 0 20 20 20 20 20
         10:04 emergency_call flood@101.705",
        &expect![[r#"
            10:04 opened flood Moderate 2
        "#]],
    );
    check(
        "10:00 street-1 0 20 20 20 20 20
         10:05 street-2 0 20 20 20 20 20",
        &expect![[r#"
            10:08 opened flood Moderate 2
        "#]],
    );
}

#[test]
fn rain_alone_is_no_flood_however_many_gauges_agree_but_is_told() {
    check(
        "10:00 rain-1 70 70 70 70 70 70
         10:00 rain-2 70 70 70 70 70 70
         10:00 rain-3 70 70 70 70 70 70",
        &expect![[r#"
            10:00 opened heavy_rain Severe 3
        "#]],
    );
}

#[test]
fn a_feeder_that_stays_dead_is_an_outage_and_so_is_one_with_a_dark_signal() {
    check(
        "10:00 feeder-1 11 0 0 0 0 0",
        &expect![[r#"
        10:04 opened outage Severe 1
    "#]],
    );
    check(
        "10:00 feeder-1 11 6 6
         10:01 signal-1 1 0 0",
        &expect![[r#"
            10:03 opened outage Moderate 2
        "#]],
    );
}

#[test]
fn reports_of_one_quake_are_one_incident_and_small_quakes_none() {
    check(
        "10:00 earthquake_report 2.1@101.2
         10:01 earthquake_report 6.2@101.2
         10:01 earthquake_report 6.4@101.5
         10:02 earthquake_report 4.8@101.5",
        &expect![[r#"
            10:01 opened earthquake Severe 1
            10:02 opened earthquake Moderate 1
            10:21 cleared earthquake Severe 1
            10:22 cleared earthquake Moderate 1
        "#]],
    );
}

#[test]
fn a_small_quake_that_two_networks_report_is_noted() {
    check(
        "10:40 earthquake_report 3.1@103.2
         10:40 earthquake_report:other 3.2@103.3
         10:41 earthquake_report 3.2@103.3",
        &expect![[r#"
            10:40 opened earthquake Minor 2
            11:00 cleared earthquake Minor 2
        "#]],
    );
}

/// Rules that no story shows: the shipped city has no sensor of its kind.
const NOT_SHOWN: [&str; 1] = ["flow-gauge-silent"];

#[test]
fn every_shipped_rule_is_tried_by_a_shipped_scenario_and_all_of_these_hold() {
    let options = ioc::scenarios::TestOptions {
        dir: concat!(env!("CARGO_MANIFEST_DIR"), "/config").into(),
        city: None,
        only: None,
        show: false,
        unregistered: Unregistered::Accept,
    };
    let mut out = Vec::new();
    let summary = ioc::scenarios::run(&options, &mut out);
    let told = String::from_utf8_lossy(&out);
    let summary = summary.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(summary.failed, 0, "{told}");
    let idle: Vec<_> = summary
        .idle_rules
        .iter()
        .map(|rule| rule.as_str())
        .collect();
    assert_eq!(idle, NOT_SHOWN);
}

#[test]
fn a_telecom_failure_is_no_outage() {
    // Silence without a last word: feeders and signals that nobody hears are not dark.
    check(
        "10:00 feeder-2 11 11
         10:00 signal-2 1 1
         12:00 gauge 0.5",
        &expect![[""]],
    );
}
