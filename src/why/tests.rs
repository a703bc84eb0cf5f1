//! What is said of a reading, by rules that are told here, of a city without a registry.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ioc_core::bundle::Bundle;
use ioc_core::judgement::Judgement;
use ioc_core::place::Position;
use ioc_core::reading::{AttributesBuffer, Reading};
use ioc_core::record::{Input, Record};
use ioc_core::time::{Millis, Timestamp};
use serde_json::json;

use super::reading::Named;
use super::*;
use crate::config::source::Source;

/// A reading of a sensor that is so far east of the others.
#[derive(Debug, Clone)]
struct Said {
    minute: i64,
    seconds_ago: i64,
    sensor: &'static str,
    kind: &'static str,
    value: f64,
    east_m: Option<i32>,
    attribute: Option<(&'static str, &'static str)>,
}

fn said(minute: i64, sensor: &'static str, kind: &'static str, value: f64) -> Said {
    Said {
        minute,
        seconds_ago: 0,
        sensor,
        kind,
        value,
        east_m: Some(0),
        attribute: None,
    }
}

impl Said {
    /// When it comes: so many minutes after ten.
    fn at(&self) -> Timestamp {
        let ten: Timestamp = "2026-03-14T10:00:00Z".parse().unwrap();
        ten + Millis::minutes(self.minute)
    }
}

fn bundle(rules: &str) -> Arc<Bundle> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("rules")).unwrap();
    std::fs::write(dir.path().join("rules/a.yaml"), rules).unwrap();
    let compiled = Source::read(Some(dir.path()), None).unwrap().compile();
    compiled.unwrap().bundle
}

/// What is said of the last of these readings.
fn ask(rules: &str, readings: &[Said]) -> ReadingAnswer {
    let bundle = bundle(rules);
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    judgement.provide(Arc::clone(&bundle));
    let reload = Record {
        seq: 1,
        at: readings[0].at(),
        input: Input::Reload(bundle.hash),
    };
    let mut decisions = Vec::new();
    judgement.apply(&[reload], &mut decisions);
    let mut answer = None;
    for (said, seq) in readings.iter().zip(2..) {
        let id = format!("r{seq}");
        let mut attributes = AttributesBuffer::default();
        if let Some((name, value)) = said.attribute {
            attributes.push(name, value).unwrap();
        }
        let reading = Reading {
            id: &id,
            sensor: said.sensor,
            kind: said.kind,
            observed_at: said.at() - Millis::seconds(said.seconds_ago),
            received_at: None,
            value: said.value,
            unit: "",
            position: said.east_m.map(|metres| {
                Position::from_degrees(101.0 + f64::from(metres) / 111_195.0, 0.0).unwrap()
            }),
            attributes: attributes.as_attributes(),
        };
        let record = Record {
            seq,
            at: said.at(),
            input: Input::Reading(reading),
        };
        let explanation = judgement.explain(&record);
        decisions.extend(explanation.decided_before.iter().cloned());
        decisions.extend(explanation.decided.iter().cloned());
        answer = Some((seq, replay::shown(&reading), explanation));
    }
    let (seq, reading, explanation) = answer.unwrap();
    let mut named = Named::of(seq, said_last(readings), &explanation);
    let decisions = decisions.into_iter().map(Arc::new);
    decisions.for_each(|decision| named.take(&decision));
    ReadingAnswer {
        seq,
        reading,
        statement: None,
        explanation,
        named,
        bundle: Some(bundle),
        replayed: (0, seq),
        is_exact: true,
    }
}

fn said_last(readings: &[Said]) -> &'static str {
    readings[readings.len() - 1].sensor
}

/// Whether it is told so, in each of these words.
#[track_caller]
fn expect_told(answer: &ReadingAnswer, parts: &[&str]) {
    let told = answer.to_string();
    for part in parts {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

const FIRE: &str = "\
detections:
  smoke-high: { kind: smoke, above: { moderate: 3 %/m, severe: 8 %/m }, clear: below 2 %/m, for: 2 readings }
  smoke-flapping: { kind: smoke, flapping: 25 %, clear: below 10 % }
correlations:
  fire: { incident: fire, from: { smoke-high: 6 }, opens_at: 6, within: 600 m, within_time: 30 min }
";

#[test]
fn a_sensor_that_is_distrusted_is_said_to_be_by_what_and_since_when() {
    let minutes = 0..30;
    let readings = minutes.map(|m| said(m, "sm-1", "smoke", [0.2, 4.5][m as usize % 2]));
    let mut readings: Vec<_> = readings.collect();
    readings.extend((31..34).map(|m| said(m, "sm-1", "smoke", 9.0)));
    let answer = ask(FIRE, &readings);
    let since = answer.named.faults[0].at.to_string();
    let by = format!(
        "distrusted by smoke-flapping since 2026-03-14 {}",
        &since[11..19]
    );
    let member = "sm-1 weighs 0, distrusted by smoke-flapping: smoke-high";
    expect_told(&answer, &[&by, member]);
    let json = answer.to_json();
    assert!(json["verdict"].as_str().unwrap().contains(&by), "{json}");
    let rule = &json["rules"][0]["distrusted_by"][0];
    assert_eq!(rule["rule"], "smoke-flapping");
    assert_eq!(rule["since"], since);
    assert!(answer.to_string().contains("weighs 0 of 6"), "{answer}");
    let trusted = ask(FIRE, &readings[..2]);
    assert!(!trusted.to_string().contains("distrust"));
    // As evidence of what had opened before it weighs nothing either.
    let opened = FIRE.replace(", for: 2 readings", "");
    let answer = ask(&opened, &readings);
    let json = answer.to_json();
    let verdict = json["verdict"].as_str().unwrap();
    assert!(
        verdict.contains("It is evidence of") && verdict.contains(&by),
        "{verdict}"
    );
}

#[test]
fn of_each_member_that_is_distrusted_it_is_said_by_what() {
    // The second's own reading is asked for; the first flaps, in smoke and not in heat.
    let rules = FIRE
        .replace(
            "correlations",
            "  heat-high: { kind: temperature, above: { moderate: 50 degC }, clear: below 45 degC }\ncorrelations",
        )
        .replace("smoke-high: 6 }", "smoke-high: 3, heat-high: 3 }");
    let minutes = 0..30;
    let readings = minutes.map(|m| said(m, "sm-1", "smoke", [0.2, 4.5][m as usize % 2]));
    let mut readings: Vec<_> = readings.collect();
    readings.extend((31..34).map(|m| said(m, "sm-1", "smoke", 9.0)));
    readings.push(said(34, "sm-1", "temperature", 80.0));
    readings.extend((34..36).map(|m| said(m, "sm-2", "smoke", 4.5)));
    let answer = ask(&rules, &readings);
    let lines = [
        "sm-1 weighs 3, abnormal, distrusted in part by smoke-flapping: ",
        "sm-2 weighs 3, abnormal: smoke-high",
    ];
    expect_told(&answer, &lines);
    let json = answer.to_json();
    let members = json["correlations"][0]["members"].as_array().unwrap();
    let by: Vec<_> = members
        .iter()
        .map(|member| member["distrusted_by"].clone())
        .collect();
    assert_eq!(by, [json!(["smoke-flapping"]), json!([])], "{json}");
    // Without what is believed of it, it is all that is said.
    let mut smoke = readings;
    smoke.retain(|said| said.kind == "smoke");
    let answer = ask(FIRE, &smoke);
    let member = "sm-1 weighs 0, distrusted by smoke-flapping: smoke-high";
    expect_told(&answer, &[member]);
}

const FLOOD: &str = "\
detections:
  river-high: { kind: water_level, above: { moderate: 3 m }, clear: below 2.5 m }
  river-staying: { kind: water_level, above: { moderate: 3 m }, clear: below 2.5 m, for: 2 readings }
correlations:
  flood: { incident: flood, from: { river-high: 7, river-staying: 7 }, opens_at: 10, within: 600 m, within_time: 90 min, stale_after: 90 min }
";

#[test]
fn what_is_stale_is_said_to_be_and_by_how_much() {
    let stale = Said {
        seconds_ago: 92 * 60,
        ..said(100, "wl-1", "water_level", 3.5)
    };
    let answer = ask(FLOOD, &[said(0, "wl-2", "water_level", 1.0), stale]);
    expect_told(
        &answer,
        &[
            "river-high found it abnormal 92 min after it was observed, and flood takes nothing that is older than 90 min (`stale_after`)",
        ],
    );
    assert!(
        !answer.to_string().contains("no correlation rule"),
        "{answer}"
    );
}

#[test]
fn a_late_reading_of_a_candidates_sensor_is_late() {
    let late = Said {
        seconds_ago: 600,
        ..said(2, "wl-1", "water_level", 1.0)
    };
    let answer = ask(FLOOD, &[said(0, "wl-1", "water_level", 3.5), late]);
    expect_told(&answer, &["took it as late"]);
    // One that is in time says how the candidate stands.
    let more = said(2, "wl-1", "water_level", 3.5);
    let answer = ask(FLOOD, &[said(0, "wl-1", "water_level", 3.5), more]);
    expect_told(&answer, &["weighs 7 of 10"]);
}

#[test]
fn a_value_at_the_level_is_said_to_be_at_it() {
    let answer = ask(FLOOD, &[said(0, "wl-1", "water_level", 3.0)]);
    expect_told(
        &answer,
        &[
            "3 is at moderate, and must be beyond it",
            "moderate at 3: at it, and must be beyond it",
        ],
    );
}

const PUMPS: &str = "\
detections:
  pump-trip: { kind: pump, attribute: mode, becomes: { moderate: [tripped], severe: failed }, from: [running, starting] }
correlations:
  trip: { incident: trip, from: [pump-trip], sources: 1, within: 300 m, within_time: 30 min }
";

#[test]
fn what_a_state_has_become_is_said_by_its_name() {
    let mode = |minute, mode| Said {
        attribute: Some(("mode", mode)),
        ..said(minute, "p-1", "pump", 0.0)
    };
    let answer = ask(PUMPS, &[mode(0, "off"), mode(1, "tripped")]);
    expect_told(
        &answer,
        &["it is `tripped`, moderate, and was not seen in `running` or `starting` before"],
    );
    assert!(!answer.to_string().contains("0.5"), "{answer}");
    let answer = ask(PUMPS, &[mode(0, "tripped"), mode(1, "off")]);
    expect_told(
        &answer,
        &["It is normal by pump-trip: `off` is none of the states"],
    );
    let answer = ask(PUMPS, &[mode(0, "running"), mode(1, "tripped")]);
    expect_told(&answer, &["It is evidence of", "says `tripped`, moderate"]);
    assert!(!answer.to_string().contains("0.5"), "{answer}");
}

const QUAKE: &str = "\
detections:
  shake: { kind: seismic, above: { moderate: 0.05 g }, clear: below 0.02 g }
correlations:
  quake: { incident: quake, from: [shake], sources: 3, within: 15 km, within_time: 15 min, observed_within: 1 min, front_speed: 3 km/s }
";

#[test]
fn what_is_near_and_of_another_front_is_said_to_be() {
    let far = Said {
        east_m: Some(4_200),
        ..said(5, "se-2", "seismic", 0.09)
    };
    let answer = ask(QUAKE, &[said(1, "se-1", "seismic", 0.09), far.clone()]);
    expect_told(
        &answer,
        &[
            "observed 2026-03-14 10:01:00, 4 min apart, and may be 61.4 s (`observed_within`, `front_speed`)",
        ],
    );
    let json = answer.to_json();
    let front = &json["correlations"][0]["neighbours"][0]["front"];
    assert_eq!(
        (&front["apart_ms"], &front["is_one"]),
        (&240_000.into(), &false.into())
    );
    // What is of one front is one candidate.
    let one = Said { minute: 1, ..far };
    let answer = ask(QUAKE, &[said(1, "se-1", "seismic", 0.09), one]);
    expect_told(&answer, &["weighs 2 of 3"]);
}

const DRAIN: &str = "\
detections:
  rain-pours: { kind: rainfall, above: { minor: 30 mm/h }, clear: below 20 mm/h }
  street-wet: { kind: street_water, above: { moderate: 10 cm }, clear: below 4 cm }
  drain-blocked: { after: rain-pours, then: street-wet, within: 800 m, within_time: 30 min, severity: severe }
correlations:
  drain: { incident: drain, from: [drain-blocked], sources: 1, within: 300 m, within_time: 30 min }
";

#[test]
fn a_rule_of_sequences_is_named_and_by_how_much_it_was_missed() {
    let wet = |minute| Said {
        east_m: Some(500),
        ..said(minute, "sw-1", "street_water", 15.0)
    };
    let pours = said(12, "r-1", "rainfall", 40.0);
    let alone = ask(DRAIN, &[wet(10)]);
    expect_told(
        &alone,
        &["drain-blocked waits for rain-pours first, which nothing near shows"],
    );
    let first = ask(DRAIN, std::slice::from_ref(&pours));
    expect_told(
        &first,
        &[
            "rain-pours found it abnormal, and that alone opens nothing: drain-blocked asks for street-wet after it",
        ],
    );
    let late = ask(DRAIN, &[pours.clone(), wet(50)]);
    expect_told(
        &late,
        &[
            "street-wet found it abnormal, and drain-blocked asks for rain-pours within 30 min before it: \
             r-1, 500 m away, began 38 min before, 8 min too early",
            "taken by drain-blocked, of which drain takes what it finds",
        ],
    );
    assert_eq!(
        late.to_json()["rules"][0]["sequences"][0]["nearest"]["sensor"],
        "r-1"
    );
    let far = Said {
        east_m: Some(1_000),
        ..wet(20)
    };
    let far = ask(DRAIN, &[pours.clone(), far]);
    expect_told(&far, &["r-1 is 1,000 m away, 200 m too far"]);
    let in_time = ask(DRAIN, &[pours, wet(20)]);
    expect_told(&in_time, &["It is evidence of"]);
}

const CROWD: &str = "\
detections:
  unusual: { kind: crowd_density, above_usual: { moderate: 1.5 p/m2 }, clear: below 0.5 p/m2, learns: 3 weeks }
";

#[test]
fn what_is_not_learnt_yet_is_said_with_how_long_it_takes() {
    let week = 7 * 24 * 60;
    let readings: Vec<_> = (0..3)
        .map(|n| said(n * week, "cr-1", "crowd_density", 1.0))
        .collect();
    let answer = ask(CROWD, &readings);
    expect_told(
        &answer,
        &["unusual has learnt this hour of the week in 2 weeks, and needs 3"],
    );
}

const HAZE: &str = "\
detections:
  haze: { kind: pm25, across: city, of: mean, at_least: 2 sensors, above: { moderate: 150 ug/m3 }, clear: below 120 ug/m3, for: 2 readings }
correlations:
  hazy: { incident: haze, from: [haze], sources: 1, within: 600 m, within_time: 30 min }
";

#[test]
fn what_several_sensors_come_to_is_said_and_how_much_is_missing() {
    let alone = ask(HAZE, &[said(0, "aq-1", "pm25", 400.0)]);
    expect_told(
        &alone,
        &[
            "haze took it in: of the city, 1 sensor has been heard of late, and it asks for 2.",
            "It is asked next at 2026-03-14 10:0",
            "mean of the city: of 1 sensor, 2 needed",
            "taken by hazy",
        ],
    );
    let two = [
        said(0, "aq-1", "pm25", 200.0),
        said(0, "aq-2", "pm25", 60.0),
    ];
    let low = ask(HAZE, &two);
    expect_told(
        &low,
        &["the mean of the city is 130 so far, by 2 sensors: 130 is 20 short of moderate, 150."],
    );
    let json = low.to_json();
    let together = &json["rules"][0]["together"];
    assert_eq!(together["levels"]["value"], 130.0, "{json}");
    assert_eq!(
        (&together["sensors"], &together["sensors_needed"]),
        (&json!(2), &json!(2))
    );
    // Beyond the level, in the first of two steps.
    let mut high: Vec<_> = (0..3).map(|m| said(m, "aq-1", "pm25", 200.0)).collect();
    high.insert(1, said(0, "aq-2", "pm25", 190.0));
    let pending = ask(HAZE, &high[..3]);
    expect_told(
        &pending,
        &["is 195 so far, by 2 sensors, and it asks for more: 1 of 2 steps"],
    );
    let raised = ask(HAZE, &high);
    expect_told(
        &raised,
        &["raised, moderate; clears at 120 after 0 of 1 normal step"],
    );
}

const BULLETINS: &str = "\
detections:
  bulletin: { kind: emergency_call, report: moderate, certainty: possible, counts_for: 6 h }
correlations:
  warning: { incident: warning, from: [bulletin], sources: 2, within: 5 km, within_time: 6 h, group_by: [event] }
";

#[test]
fn what_is_near_and_about_something_else_is_said_to_be() {
    let of = |minute, sensor, event| Said {
        attribute: Some(("event", event)),
        ..said(minute, sensor, "emergency_call", 1.0)
    };
    let answer = ask(
        BULLETINS,
        &[of(0, "met", "Heat"), of(1, "tsunami", "Tsunami")],
    );
    expect_told(
        &answer,
        &[
            "weighs 1 of 2. What is near is about something else (`group_by`).",
            "met of a candidate is 0 m away (within 5,000 m), heard 2026-03-14 10:00:00; about something else (`group_by`)",
        ],
    );
    let json = answer.to_json();
    assert_eq!(
        json["correlations"][0]["neighbours"][0]["of_another_group"], true,
        "{json}"
    );
    let one = ask(BULLETINS, &[of(0, "met", "Heat"), of(1, "tsunami", "Heat")]);
    assert!(!one.to_string().contains("something else"), "{one}");
}

const CALLS: &str = "\
detections:
  crash-call: { kind: emergency_call, where: { category: crash }, report: moderate, certainty: possible, counts_for: 30 min }
correlations:
  crash: { incident: crash, from: [crash-call], sources: 3, within: 300 m, within_time: 30 min }
";

#[test]
fn a_report_without_a_place_is_said_to_have_none() {
    let call = |east_m| Said {
        attribute: Some(("category", "crash")),
        east_m,
        ..said(0, "calls", "emergency_call", 1.0)
    };
    let answer = ask(CALLS, &[call(None)]);
    expect_told(
        &answer,
        &["weighs 1 of 3. It has no place, so nothing is near it"],
    );
    let answer = ask(CALLS, &[call(Some(0))]);
    assert!(!answer.to_string().contains("place"), "{answer}");
}

#[test]
fn what_is_asked_about_is_told_by_how_it_is_written() {
    let reading = About::Reading {
        sensor: "wl-1".to_owned(),
        id: "a/b".to_owned(),
    };
    assert_eq!("wl-1/a/b".parse(), Ok(reading));
    assert_eq!("#981".parse(), Ok(About::Record(981)));
    assert_eq!("981".parse(), Ok(About::Name("981".to_owned())));
    let id = IncidentId::derive(&["x"]);
    assert_eq!(id.to_string().parse(), Ok(About::Incident(id)));
    for wrong in ["", "#x", "inc-?"] {
        assert!(wrong.parse::<About>().is_err(), "{wrong}");
    }
}
