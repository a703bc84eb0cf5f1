use std::num::NonZeroUsize;

use ioc_core::bundle::{
    Along, Bundle, City, CorrelationRule, DetectionRule, HandlingRules, Report, Scale, Sensor,
    SuppressionRules, Test, Zone,
};
use ioc_core::decision::Certainty;
use ioc_core::judgement::Judgement;
use ioc_core::limits::NOTED_MAX;
use ioc_core::noted::Noted;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{BundleHash, Input, Record};

use super::*;
use crate::counted::Counted;
use crate::examples::{at, decision, entry, incident, opened};

/// A caller in a zone that is part of another, and rules about calls: what is called in is graver
/// the more its value says.
fn bundle() -> Arc<Bundle> {
    let zone = |id: &str, parent: Option<&str>| Zone {
        id: id.parse().unwrap(),
        name: id.into(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        areas: Vec::new(),
    };
    let sensor = Sensor {
        id: "wl-1".parse().unwrap(),
        kind: "call".parse().unwrap(),
        unit: String::new(),
        position: None,
        zone: Some("z-in".parse().unwrap()),
        interval: None,
        warning: None,
        danger: None,
        scale: Scale::OfKind,
        gateway: None,
    };
    let detection = |name: &str, severity, value_min| DetectionRule {
        name: name.parse().unwrap(),
        hash: 0,
        kind: "call".parse().unwrap(),
        matching: Vec::new(),
        settle: Millis::ZERO,
        test: Test::Report(Report {
            severity,
            certainty: Certainty::Possible,
            lasting: Millis::minutes(60),
            value_min: Some(value_min),
            until: None,
            replaces: None,
            distinct: None,
        }),
    };
    let detections = vec![
        detection("call-big", Severity::Severe, 2.0),
        detection("call-huge", Severity::Extreme, 9.0),
        detection("call-small", Severity::Minor, 1.0),
    ];
    let correlation = CorrelationRule {
        name: "crowds".parse().unwrap(),
        hash: 0,
        incident: "crowd".parse().unwrap(),
        weights: vec![1; detections.len()],
        detections: detections.iter().map(|rule| rule.name.clone()).collect(),
        within_m: 0,
        same: Vec::new(),
        group_by: Vec::new(),
        along: Along::default(),
        front: None,
        stale_after: None,
        within: Millis::minutes(60),
        sources_min: 1,
        clear_after: Millis::minutes(10),
        reopen_within: Millis::ZERO,
        may_cause: Vec::new(),
    };
    Arc::new(Bundle {
        hash: BundleHash([7; 32]),
        detections,
        correlations: vec![correlation],
        handling: HandlingRules::NONE,
        suppression: SuppressionRules::USUAL,
        city: City {
            zones: vec![zone("z-in", Some("z-out")), zone("z-out", None)],
            sensors: vec![sensor],
            ..City::default()
        },
    })
}

/// What is decided of these calls, and what counts of them; one second after another.
fn judged(calls: &[(&str, f64)]) -> (Vec<Arc<Batch>>, Counted) {
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    judgement.provide(bundle());
    judgement.note_what_counts();
    let counted = Counted::default();
    counted.begin(0, Timestamp::MIN);
    let mut decisions = Vec::new();
    let mut apply = |seq: Seq, input: Input<'_>| {
        let record = Record {
            seq,
            at: at(seq),
            input,
        };
        judgement.apply(&[record], &mut decisions);
        counted.note(seq, at(seq), judgement.take_noted());
    };
    apply(1, Input::Reload(bundle().hash));
    for (seq, (sensor, value)) in (2..).zip(calls) {
        let id = format!("r-{seq}");
        apply(
            seq,
            Input::Reading(Reading {
                id: &id,
                sensor,
                kind: "call",
                observed_at: at(seq),
                received_at: None,
                value: *value,
                unit: "",
                position: None,
                attributes: Attributes::default(),
            }),
        );
    }
    let batch = Batch::new(decisions.into_iter().map(entry).collect());
    (vec![Arc::new(batch)], counted)
}

fn hidden(json: &str, (batches, counted): &(Vec<Arc<Batch>>, Counted)) -> serde_json::Value {
    let text = text_of(json.as_bytes()).unwrap();
    let how = how(&text).unwrap();
    let target = target(how, text.incident.as_deref(), text.r#match.as_ref()).unwrap();
    let rules = Arc::new(Rules::new(bundle()));
    let to = at(1_000);
    let look = counted.look(to - HORIZON);
    let mut hidden = Hidden::new((how, target), rules, to - HORIZON, to);
    hidden.look_through(&look, batches);
    serde_json::from_slice(&to_json(&hidden.told())).unwrap()
}

fn numbers<const N: usize>(told: &serde_json::Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| {
        told[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {told}"))
    })
}

#[test]
fn what_would_have_been_hidden_is_told_apart_from_what_would_not() {
    let day = judged(&[("wl-1", 2.5), ("wl-9", 2.5), ("wl-1", 9.5)]);
    for json in [
        r#"{"match":{"sensor":"wl-1"}}"#,
        r#"{"match":{"zone":"z-in"}}"#,
        r#"{"match":{"zone":"z-out","kind":"call"}}"#,
    ] {
        let told = hidden(json, &day);
        let names = [
            "detections",
            "let_through",
            "incidents_total",
            "sensors_total",
        ];
        // One call is two detections; the extreme one is three, of which one is told.
        assert_eq!(numbers(&told, names), [4, 1, 1, 1], "{json} {told}");
        assert_eq!(told["complete"], true);
        // It would have opened later, by that.
        assert_eq!(told["incidents"][0]["opens"], "perhaps", "{told}");
    }
    let other = hidden(r#"{"match":{"rule":"gas-high"}}"#, &day);
    assert_eq!(numbers(&other, ["detections", "of_sensors"]), [0, 0]);
}

#[test]
fn what_another_rule_takes_too_is_not_hidden_by_its_weightiest_alone() {
    let day = judged(&[("wl-1", 2.5)]);
    let by_one = hidden(r#"{"match":{"rule":"call-big"}}"#, &day);
    assert_eq!(numbers(&by_one, ["detections", "incidents_total"]), [1, 0]);
    let by_all = hidden(r#"{"match":{"kind":"call"}}"#, &day);
    let names = ["detections", "incidents_total", "never_opened"];
    assert_eq!(numbers(&by_all, names), [2, 1, 1]);
    assert_eq!(by_all["incidents"][0]["opens"], "no");
}

#[test]
fn what_is_extreme_is_told_unless_its_sensor_is_out_of_service() {
    let day = judged(&[("wl-1", 9.5)]);
    let names = ["detections", "let_through", "never_opened"];
    let shelved = hidden(r#"{"match":{"sensor":"wl-1"}}"#, &day);
    assert_eq!(numbers(&shelved, names), [2, 1, 0], "{shelved}");
    let out = hidden(
        r#"{"how":"out_of_service","match":{"sensor":"wl-1"}}"#,
        &day,
    );
    assert_eq!(numbers(&out, names), [3, 0, 1], "{out}");
    let text = text_of(br#"{"how":"out_of_service","match":{"zone":"z-in"}}"#).unwrap();
    let refused = target(How::OutOfService, None, text.r#match.as_ref());
    assert_eq!(refused.unwrap_err(), ONE_SENSOR);
}

#[test]
fn it_is_told_since_when_what_counted_is_held() {
    let (batches, _) = judged(&[("wl-1", 2.5)]);
    let late = Counted::default();
    let nobody = hidden(
        r#"{"match":{"sensor":"wl-1"}}"#,
        &(batches.clone(), late.clone()),
    );
    assert_eq!(
        (&nobody["complete"], &nobody["from"]),
        (&false.into(), &nobody["to"])
    );
    late.begin(9, at(9));
    let told = hidden(r#"{"match":{"sensor":"wl-1"}}"#, &(batches, late));
    assert_eq!(told["complete"], false);
    assert_eq!(told["from"], at(9).to_string());
}

#[test]
fn of_an_incident_it_is_told_how_often_it_was_passed_on() {
    let escalated = |seq| decision(seq, Verdict::IncidentEscalated(incident("a")));
    let json = format!(r#"{{"incident":"{}"}}"#, incident("a").id);
    let story = [opened(1, "a"), escalated(2), escalated(3)];
    let batch = Batch::new(story.into_iter().map(entry).collect());
    let told = hidden(&json, &(vec![Arc::new(batch)], Counted::default()));
    assert_eq!(told["passed_on"], 2);
}

#[test]
fn p5_so_many_previews_are_looked_up_at_once() {
    let previews = Arc::new(Semaphore::new(PREVIEWS_MAX));
    let asked: Vec<_> = (0..PREVIEWS_MAX)
        .map(|_| place(&previews).unwrap())
        .collect();
    let refused = place(&previews).unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.code),
        (503, "previews_full")
    );
    drop(asked);
    assert!(place(&previews).is_ok());
}

#[test]
fn p5_a_preview_names_so_many_and_counts_all() {
    let sensors: Vec<_> = (0..=NAMED_MAX)
        .map(|number| format!("s-{number}"))
        .collect();
    let calls: Vec<_> = sensors
        .iter()
        .map(|sensor| (sensor.as_str(), 1.5))
        .collect();
    let told = hidden(r#"{"match":{"kind":"call"}}"#, &judged(&calls));
    for (list, total) in [
        ("incidents", "incidents_total"),
        ("sensors", "sensors_total"),
    ] {
        assert_eq!(told[list].as_array().unwrap().len(), NAMED_MAX, "{list}");
        assert_eq!(told[total], NAMED_MAX + 1, "{total}");
    }
}

#[test]
fn p5_no_more_of_what_counted_is_held_than_the_bound() {
    let noted = |number: usize| {
        let (_, counted) = judged(&[("wl-1", 1.5)]);
        let mut noting = ioc_core::noted::Noting::default();
        let one = Noted::clone(&counted.look(Timestamp::MIN).noted[0]);
        noting.noted = vec![one; number];
        noting
    };
    let counted = Counted::default();
    counted.begin(0, Timestamp::MIN);
    counted.note(1, at(1), noted(NOTED_MAX));
    assert_eq!(counted.look(Timestamp::MIN).since, Some(Timestamp::MIN));
    counted.note(2, at(2), noted(1));
    let look = counted.look(Timestamp::MIN);
    assert_eq!(look.noted.len(), NOTED_MAX);
    assert!(look.since > Some(Timestamp::MIN), "what went is told");
}
