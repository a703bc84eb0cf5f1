//! What happens at the bounds: nothing grows beyond them, and what is lost is counted.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use ioc_core::counters::Counters;
use ioc_core::decision::Severity::{Minor, Moderate, Severe};
use ioc_core::decision::{Certainty, Decision, RefusalCode, Verdict};
use ioc_core::judgement::Judgement;
use ioc_core::limits::{
    BUNDLES_WAITING_MAX, CANDIDATE_EVIDENCE_MAX, CANDIDATES_PER_RULE_MAX,
    EVIDENCE_PER_DECISION_MAX, INCIDENTS_KEPT_FOR_PEOPLE, INCIDENTS_MAX, KINDS_PER_SENSOR_MAX,
    MEMBERS_PER_INCIDENT_MAX, PENDING_READINGS_MAX,
};
use ioc_core::place::Position;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{Action, Command, Input, Open, Record, Said};
use ioc_core::time::{Millis, Timestamp};

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner};

/// Calls that open a crowd when so many agree; a smoke detector that wants persistence.
fn city(sources_min: u32, readings_min: u32) -> History {
    let builder = BundleBuilder::new()
        .report("call", "call", Minor, Millis::minutes(600))
        .threshold("smoke-high", "smoke", &[(Moderate, 3.0)], |rule| {
            rule.readings_min = readings_min;
        })
        .correlation("crowds", "crowd", &["call"], |rule| {
            rule.sources_min = sources_min;
            rule.within = Millis::minutes(600);
        })
        .correlation("fires", "fire", &["smoke-high"], |rule| {
            rule.sources_min = sources_min;
        });
    History::new(builder.build())
}

fn push(history: &mut History, at: Timestamp, sensor: &str, kind: &str) {
    let id = format!("r{}", history.inputs.len());
    let reading = Reading {
        id: &id,
        sensor,
        kind,
        observed_at: at,
        received_at: None,
        value: 4.0,
        unit: "",
        position: None,
        attributes: Attributes::default(),
    };
    history.push(at, &Input::Reading(reading));
}

fn run(history: &History) -> (Vec<Decision>, Counters) {
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    let restarted = Manner {
        restarts: [100, 300, 5_000, 10_003].map(|after| (after, 2)).to_vec(),
        ..Manner::plain()
    };
    assert_eq!(history.run(&restarted).decisions, decisions);
    (decisions, judgement.counters())
}

#[test]
fn much_evidence_is_told_in_several_decisions() {
    let mut history = city(1, 1);
    let calls = 3 * EVIDENCE_PER_DECISION_MAX;
    for _ in 0..calls {
        push(&mut history, MIDNIGHT, "calls", "call");
    }
    history.push(MIDNIGHT + Millis(250), &Input::Tick);
    let (decisions, _) = run(&history);
    let evidence = decisions
        .iter()
        .map(|decision| decision.cause.evidence.len());
    assert_eq!(evidence.clone().max(), Some(EVIDENCE_PER_DECISION_MAX));
    assert_eq!(evidence.sum::<usize>(), calls);
}

#[test]
fn a_candidate_forgets_what_is_neither_first_nor_new() {
    let mut history = city(2, 1);
    let calls = CANDIDATE_EVIDENCE_MAX + 10;
    for _ in 0..calls {
        push(&mut history, MIDNIGHT, "smoke-1", "smoke");
    }
    let (_, counters) = run(&history);
    assert_eq!(counters.engine.evidence_over_limit, 10);
    assert_eq!(counters.candidates, 1);
}

#[test]
fn a_detection_that_waits_keeps_its_first_and_newest_readings() {
    let readings_min = 2 * PENDING_READINGS_MAX as u32;
    let mut history = city(1, readings_min);
    for _ in 0..readings_min {
        push(&mut history, MIDNIGHT, "smoke-1", "smoke");
    }
    let (decisions, _) = run(&history);
    let opened = decisions.last().unwrap();
    assert!(matches!(opened.verdict, Verdict::IncidentOpened(_)));
    let evidence = &opened.cause.evidence;
    assert_eq!(evidence.len(), PENDING_READINGS_MAX);
    assert_eq!(evidence[0].seq, 2);
    assert_eq!(evidence.last().unwrap().seq, u64::from(readings_min) + 1);
}

#[test]
fn an_incident_counts_sources_beyond_its_bound_without_telling_them_apart() {
    let mut history = city(1, 1);
    for _ in 0..MEMBERS_PER_INCIDENT_MAX + 5 {
        push(&mut history, MIDNIGHT, "calls", "call");
    }
    history.push(MIDNIGHT + Millis::minutes(1), &Input::Tick);
    let (decisions, counters) = run(&history);
    assert_eq!(counters.engine.members_over_limit, 5);
    let incident = decisions
        .last()
        .unwrap()
        .verdict
        .incident()
        .unwrap()
        .clone();
    assert_eq!(incident.sensors as usize, MEMBERS_PER_INCIDENT_MAX);
    assert_eq!(incident.readings as usize, MEMBERS_PER_INCIDENT_MAX + 5);
}

#[test]
fn the_oldest_candidate_is_forgotten_for_a_new_one() {
    let mut history = city(2, 1);
    for number in 0..=CANDIDATES_PER_RULE_MAX {
        push(
            &mut history,
            MIDNIGHT + Millis(number as i64),
            &format!("line-{number}"),
            "call",
        );
    }
    let end = MIDNIGHT + Millis::minutes(1);
    // The first was forgotten and begins anew, the last only lacked a second call.
    push(&mut history, end, "line-0", "call");
    push(
        &mut history,
        end,
        &format!("line-{CANDIDATES_PER_RULE_MAX}"),
        "call",
    );
    let (decisions, counters) = run(&history);
    assert_eq!(counters.engine.candidates_over_limit, 2);
    let opened: Vec<_> = decisions[1..]
        .iter()
        .map(|decision| decision.cause.evidence[0].sensor.to_string())
        .collect();
    assert_eq!(opened, [format!("line-{CANDIDATES_PER_RULE_MAX}")]);
}

#[test]
fn a_sensor_that_speaks_too_many_languages_is_counted() {
    let kinds = KINDS_PER_SENSOR_MAX + 2;
    let mut builder = BundleBuilder::new();
    for number in 0..kinds {
        let kind = format!("kind_{number}");
        builder = builder.threshold(&format!("rule-{number}"), &kind, &[(Minor, 9.0)], |_| ());
    }
    let mut history = History::new(builder.build());
    for number in 0..kinds {
        push(&mut history, MIDNIGHT, "babel", &format!("kind_{number}"));
    }
    let (_, counters) = run(&history);
    assert_eq!(counters.sensors.readings_of_kinds_over_limit, 2);
    assert_eq!(
        counters.sensors.readings_judged,
        KINDS_PER_SENSOR_MAX as u64
    );
}

/// Judges a reload of the first of so many bundles, all provided before.
fn reload_the_first_of(bundles: usize) {
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    let bundle = |number: usize| {
        let name = format!("rule-{number}");
        BundleBuilder::new()
            .threshold(&name, "smoke", &[(Minor, 9.0)], |_| ())
            .build()
    };
    let bundles: Vec<_> = (0..bundles).map(bundle).collect();
    for bundle in &bundles {
        judgement.provide(Arc::clone(bundle));
    }
    let record = Record {
        seq: 1,
        at: MIDNIGHT,
        input: Input::Reload(bundles[0].hash),
    };
    judgement.apply(&[record], &mut Vec::new());
}

#[test]
fn p5_so_many_bundles_may_wait_for_the_record_that_names_them() {
    reload_the_first_of(BUNDLES_WAITING_MAX);
}

#[test]
#[should_panic(expected = "a bundle is provided before the record that names it")]
fn p5_for_one_bundle_more_the_oldest_is_forgotten() {
    reload_the_first_of(BUNDLES_WAITING_MAX + 1);
}

/// Opens an incident at each of so many places, far enough from one another.
fn open_at(history: &mut History, places: usize) {
    for number in 0..places {
        let id = format!("r{number}");
        let sensor = format!("smoke-{number}");
        let (row, column) = (number as i32 / 250, number as i32 % 250);
        let reading = Reading {
            id: &id,
            sensor: &sensor,
            kind: "smoke",
            observed_at: MIDNIGHT,
            received_at: None,
            value: 4.0,
            unit: "",
            position: Position::from_micro_degrees(row * 40_000, column * 40_000),
            attributes: Attributes::default(),
        };
        history.push(MIDNIGHT, &Input::Reading(reading));
    }
}

fn open(history: &mut History, number: usize) {
    let command = Command {
        request: &format!("open-{number}"),
        actor: "ana",
        action: Action::Open(Open {
            kind: "crowd",
            said: Said {
                severity: Severe,
                certainty: Certainty::Observed,
                position: Position::from_micro_degrees(-1_000_000, number as i32 * 40_000),
            },
            note: "",
        }),
    };
    history.push(MIDNIGHT + Millis(1), &Input::Command(command));
}

#[test]
fn readings_take_no_place_of_people_and_who_finds_none_is_told() {
    let mut history = city(1, 1);
    open_at(&mut history, INCIDENTS_MAX);
    for number in 0..=INCIDENTS_KEPT_FOR_PEOPLE {
        open(&mut history, number);
    }
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    let opened = |kind: &str| {
        let opened = decisions.iter().filter(|decision| match &decision.verdict {
            Verdict::IncidentOpened(incident) => incident.kind.as_str() == kind,
            _ => false,
        });
        opened.count()
    };
    assert_eq!(opened("fire"), INCIDENTS_MAX - INCIDENTS_KEPT_FOR_PEOPLE);
    assert_eq!(opened("crowd"), INCIDENTS_KEPT_FOR_PEOPLE);
    let last = decisions.last().unwrap();
    let Verdict::CommandRefused(refusal) = &last.verdict else {
        panic!("the last one is refused: {last:?}");
    };
    assert_eq!(refusal.code, RefusalCode::TooManyIncidents);
}

#[test]
fn every_counter_has_a_name_of_its_own() {
    let (_, counters) = run(&city(1, 1));
    let names = counters.sensors.each().chain(counters.engine.each());
    let mut values = BTreeMap::new();
    for (name, value) in names {
        assert_eq!(values.insert(name, value), None, "{name} is there twice");
    }
}
