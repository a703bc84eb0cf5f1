//! The promises and invariants, over random days of a small and busy city.
//!
//! Each test is named for what it proves: `p…` a promise of the design, `inv_…` an invariant of
//! the domain.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use ioc_core::bundle::{Bundle, Side};
use ioc_core::decision::Severity::{Extreme, Minor, Moderate, Severe};
use ioc_core::decision::{Condition, Decision, Handling, Verdict};
use ioc_core::id::{IncidentId, ReadingId, SensorId};
use ioc_core::judgement::Judgement;
use ioc_core::reading::{AttributesBuffer, Reading};
use ioc_core::record::{Action, BuildHash, ClockKind, Command, DeadLetter, Input, Started};
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres, without_numbers};

/// Sensors of every sort: registered with and without interval, with levels of their own, in
/// reach of each other and not; a vehicle and callers that nobody registered.
const SENSORS: [(&str, &str); 12] = [
    ("gauge-1", "level"),
    ("gauge-2", "level"),
    ("gauge-3", "level"),
    ("gauge-4", "level"),
    ("gauge-5", "level"),
    ("smoke-1", "smoke"),
    ("smoke-2", "smoke"),
    ("road-1", "speed"),
    ("road-2", "speed"),
    ("vehicle", "smoke"),
    ("calls", "call"),
    ("nowhere", "call"),
];

/// A city under all kinds of rules; `other` changes one detection rule, one correlation rule and
/// an interval, and drops a silence rule.
fn bundle(other: bool) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new();
    for (number, (id, kind)) in (0..).zip(&SENSORS[..9]) {
        builder = builder.sensor_with(id, kind, |sensor| {
            sensor.position = Some(metres(number * 400, number % 3 * 300));
            sensor.interval = (number % 4 != 3).then_some(Millis::minutes(2));
            sensor.warning = (number == 1).then_some(2.5);
            sensor.danger = (number == 1).then_some(3.5);
            if other && number == 2 {
                sensor.interval = Some(Millis::minutes(1));
            }
        });
    }
    let levels = [(Moderate, 3.0), (Severe, 4.0), (Extreme, 5.0)];
    builder = builder
        .threshold("level-high", "level", &levels, |rule| {
            rule.clear_gap = 0.5;
            rule.clear_readings_min = 2;
        })
        .threshold(
            "level-long",
            "level",
            &[(Moderate, 2.0), (Severe, 3.0)],
            |rule| {
                rule.lasting = Millis::minutes(3);
            },
        )
        .threshold("smoke-high", "smoke", &levels[..2], |rule| {
            rule.readings_min = if other { 3 } else { 2 };
        })
        .threshold(
            "speed-low",
            "speed",
            &[(Minor, 2.0), (Moderate, 1.0)],
            |rule| {
                rule.side = Side::Below;
            },
        )
        .report("call", "call", Minor, Millis::minutes(8))
        .report("call-wet", "call", Moderate, Millis::minutes(5))
        .matching("about", "water")
        .report("smoke-said", "smoke", Severe, Millis::minutes(6))
        .matching("about", "water")
        .silence("level-silent", "level", 2, Millis::minutes(3))
        .correlation("floods", "flood", &["level-high", "call-wet"], |rule| {
            rule.within_m = 500;
            rule.within = Millis::minutes(5);
            rule.clear_after = Millis::minutes(if other { 3 } else { 4 });
            rule.reopen_within = Millis::minutes(6);
        })
        .correlation(
            "slow-floods",
            "flood",
            &["level-high", "level-long"],
            |rule| {
                rule.within_m = 900;
                rule.sources_min = 2;
            },
        )
        .correlation(
            "fires",
            "fire",
            &["smoke-high", "speed-low", "smoke-said"],
            |rule| {
                rule.within_m = 450;
                rule.weights = vec![2, 0, 2];
                rule.sources_min = 2;
                rule.clear_after = Millis::ZERO;
                rule.reopen_within = Millis::ZERO;
            },
        )
        .correlation("big-fires", "fire", &["smoke-high", "smoke-said"], |rule| {
            rule.within_m = 450;
            rule.weights = vec![2, 1];
            rule.sources_min = 4;
            rule.clear_after = Millis::minutes(1);
        })
        .correlation("crowds", "crowd", &["call", "call-wet"], |rule| {
            rule.within_m = 250;
            rule.within = Millis::minutes(4);
            rule.sources_min = 3;
        });
    if !other {
        builder = builder.silence("speed-silent", "speed", 3, Millis::minutes(1));
    }
    builder.build()
}

/// One thing that happens, so long after the one before.
#[derive(Debug, Clone)]
struct Event {
    after_ms: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Reading(Said),
    /// The same message of a sensor once more.
    Redelivery(Index),
    /// A person acknowledges what an earlier reading may have begun.
    Acknowledge(Index, usize, u8),
    Reload(bool),
    Restart,
    DeadLetter,
}

#[derive(Debug, Clone)]
struct Said {
    sensor: usize,
    value: f64,
    observed_before_ms: i64,
    place: Option<(i32, i32)>,
    about_water: bool,
}

fn said() -> impl Strategy<Value = Said> {
    let value = prop_oneof![0.0..6.0f64, Just(3.0), Just(2.5), Just(0.5), 2.9..3.1f64];
    let late = prop_oneof![4 => Just(0), 1 => 0..200_000i64, 1 => -90_000..0i64];
    let place = prop::option::weighted(0.5, (0..3_000i32, 0..900i32));
    let fields = (0..SENSORS.len(), value, late, place, any::<bool>());
    fields.prop_map(
        |(sensor, value, observed_before_ms, place, about_water)| Said {
            sensor,
            value,
            observed_before_ms,
            // Gauges stand where they stand.
            place: place.filter(|_| sensor >= 9),
            about_water,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let what = prop_oneof![
        60 => said().prop_map(What::Reading),
        5 => any::<Index>().prop_map(What::Redelivery),
        4 => (any::<Index>(), 0..3usize, 0..4u8)
            .prop_map(|(index, kind, request)| What::Acknowledge(index, kind, request)),
        1 => any::<bool>().prop_map(What::Reload),
        1 => Just(What::Restart),
        1 => Just(What::DeadLetter),
    ];
    let after_ms = prop_oneof![
        3 => Just(0), 10 => 0..1_000i64, 10 => 0..60_000i64, 1 => Just(250), 1 => 0..900_000i64,
    ];
    (after_ms, what).prop_map(|(after_ms, what)| Event { after_ms, what })
}

fn day() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 1..200)
}

fn manner() -> impl Strategy<Value = Manner> {
    let batches = prop::collection::vec(1..60usize, 1..5);
    (1..=8usize, batches).prop_map(|(shards, batches)| Manner { shards, batches })
}

/// The history of a day, with enough time at its end for everything to happen.
fn history(day: &[Event]) -> History {
    let mut history = History::new(bundle(false));
    let mut now = MIDNIGHT;
    let mut readings: Vec<(String, usize, Vec<u8>)> = Vec::new();
    for event in day {
        now = now + Millis(event.after_ms);
        match &event.what {
            What::Reading(said) => {
                let id = format!("r{}", readings.len());
                push_reading(&mut history, now, &id, said);
                let bytes = history.inputs.last().unwrap().1.clone();
                readings.push((id, said.sensor, bytes));
            }
            What::Redelivery(index) if !readings.is_empty() => {
                // Among the last few, so that each sensor still remembers it.
                let from = readings.len().saturating_sub(20);
                let again = index.get(&readings[from..]).2.clone();
                history.inputs.push((now, again));
            }
            What::Acknowledge(index, kind, request) if !readings.is_empty() => {
                let (id, sensor, _) = index.get(&readings);
                let kind = ["flood", "fire", "crowd"][*kind];
                let incident = IncidentId::derive(&[kind, SENSORS[*sensor].0, id]);
                push_acknowledge(&mut history, now, incident, *request);
            }
            What::Redelivery(_) | What::Acknowledge(..) => history.push(now, &Input::Tick),
            What::Reload(other) => history.reload(now, bundle(*other)),
            What::Restart => {
                let before = history.inputs.last().unwrap().0;
                push_restart(&mut history, before, now);
            }
            What::DeadLetter => push_dead_letter(&mut history, now),
        }
    }
    history.push(now + Millis::minutes(300), &Input::Tick);
    history
}

fn push_reading(history: &mut History, at: Timestamp, id: &str, said: &Said) {
    let (sensor, kind) = SENSORS[said.sensor];
    let mut attributes = AttributesBuffer::default();
    if said.about_water {
        attributes.push("about", "water").unwrap();
    }
    let reading = Reading {
        id,
        sensor,
        kind,
        observed_at: at - Millis(said.observed_before_ms),
        received_at: None,
        value: said.value,
        unit: "",
        position: said.place.map(|(east, north)| metres(east, north)),
        attributes: attributes.as_attributes(),
    };
    history.push(at, &Input::Reading(reading));
}

fn push_acknowledge(history: &mut History, at: Timestamp, incident: IncidentId, request: u8) {
    // Of the few numbers some come twice.
    let request = format!("{incident}-{request}");
    let command = Command {
        request: &request,
        actor: "ana",
        action: Action::Acknowledge(incident),
    };
    history.push(at, &Input::Command(command));
}

fn push_restart(history: &mut History, down_from: Timestamp, down_to: Timestamp) {
    let started = Started {
        down_from: Some(down_from),
        down_to,
        build: BuildHash([1; 32]),
        clock: ClockKind::System,
    };
    history.push(down_to, &Input::Started(started));
}

fn push_dead_letter(history: &mut History, at: Timestamp) {
    let letter = DeadLetter {
        source: "mqtt",
        topic: "t",
        reason: "value_missing",
        detail: "no value",
        payload: b"{}",
        payload_bytes: 2,
    };
    history.push(at, &Input::DeadLetter(letter));
}

/// The same history with ticks in between, except while the process was down.
fn with_ticks(history: &History, ticks: &[(Index, i64)]) -> History {
    let mut ticked = history.clone();
    for (index, part) in ticks {
        let place = index.index(ticked.inputs.len() - 1) + 1;
        let (before, after) = (ticked.inputs[place - 1].0, &ticked.inputs[place]);
        let started = matches!(Input::decode(&after.1), Ok(Input::Started(_)));
        if !started {
            let at = before + Millis((after.0 - before).0 * part / 100);
            let mut tick = Vec::new();
            Input::Tick.encode(&mut tick);
            ticked.inputs.insert(place, (at, tick));
        }
    }
    ticked
}

fn decisions(history: &History) -> Vec<Decision> {
    history.run(&Manner::plain()).decisions
}

#[test]
fn the_random_days_hold_every_kind_of_decision() {
    let mut runner = TestRunner::deterministic();
    let mut words = BTreeMap::new();
    for _ in 0..150 {
        let day = day().new_tree(&mut runner).unwrap().current();
        for decision in decisions(&history(&day)) {
            *words.entry(decision.verdict.word()).or_insert(0) += 1;
        }
    }

    assert_eq!(words.len(), 11, "{words:?}");
}

proptest! {
    #[test]
    fn p2_any_shard_count_and_any_batching_give_the_same_decisions(
        day in day(), manner in manner(),
    ) {
        let history = history(&day);
        let plain = history.run(&Manner::plain());
        let other = history.run(&manner);
        prop_assert_eq!(&plain.decisions, &other.decisions);
        prop_assert_eq!(plain.digest, other.digest);
    }

    #[test]
    fn p2_ticks_show_in_no_decision(
        day in day(), ticks in prop::collection::vec((any::<Index>(), 0..=100i64), 0..40),
        manner in manner(),
    ) {
        let history = history(&day);
        let ticked = with_ticks(&history, &ticks).run(&manner);
        let plain = decisions(&history);
        prop_assert_eq!(without_numbers(&plain), without_numbers(&ticked.decisions));
    }

    #[test]
    fn p2_a_timer_fires_at_its_due_time_whenever_the_next_record_comes(day in day()) {
        // A host that asks for a tick at every due time decides what one that never does decides.
        let history = history(&day);
        let plain = decisions(&history);
        let mut woken = History { bundles: history.bundles.clone(), inputs: Vec::new() };
        let (mut judgement, _) = woken.judge(&Manner::plain());
        let mut out = Vec::new();
        for record in history.records() {
            let restart = matches!(record.input, Input::Started(_));
            while let Some(due) = judgement.next_due().filter(|due| !restart && *due < record.at) {
                woken.push(due, &Input::Tick);
                judgement.apply(&woken.records()[woken.inputs.len() - 1..], &mut out);
            }
            woken.push(record.at, &record.input);
            judgement.apply(&woken.records()[woken.inputs.len() - 1..], &mut out);
        }
        prop_assert_eq!(without_numbers(&plain), without_numbers(&out));
    }

    #[test]
    fn p3_a_redelivered_reading_changes_nothing(day in day()) {
        let history = history(&day);
        let mut silent = history.clone();
        let mut seen = BTreeSet::new();
        for (_, bytes) in &mut silent.inputs {
            let is_reading = matches!(Input::decode(bytes), Ok(Input::Reading(_)));
            if is_reading && !seen.insert(bytes.clone()) {
                bytes.clear();
                Input::Tick.encode(bytes);
            }
        }
        prop_assert_eq!(history.run(&Manner::plain()), silent.run(&Manner::plain()));
    }

    #[test]
    fn decisions_are_numbered_without_a_gap_and_time_never_falls(day in day()) {
        let decisions = decisions(&history(&day));
        for (decision, seq) in decisions.iter().zip(1..) {
            prop_assert_eq!(decision.seq, seq);
        }
        prop_assert!(decisions.is_sorted_by_key(|decision| decision.at));
    }

    #[test]
    fn p6_every_reading_is_counted_where_it_stopped(day in day(), manner in manner()) {
        let history = history(&day);
        let (judgement, _) = history.judge(&manner);
        let counters = judgement.counters();
        let readings = history.records();
        let readings = readings.iter().filter(|record| matches!(record.input, Input::Reading(_)));
        let sensors = counters.sensors;
        let stopped = sensors.readings_judged + sensors.readings_duplicate
            + sensors.readings_of_no_rule + sensors.readings_of_sensors_over_limit
            + sensors.readings_of_kinds_over_limit + sensors.readings_beyond_memory;
        prop_assert_eq!(stopped, readings.count() as u64);
        prop_assert_eq!(&counters, &history.judge(&Manner::plain()).0.counters());
    }

    #[test]
    fn p6_every_reading_that_counts_is_named_once(day in day()) {
        let mut named: BTreeMap<IncidentId, u64> = BTreeMap::new();
        for decision in decisions(&history(&day)) {
            let Some(incident) = decision.verdict.incident() else { continue };
            *named.entry(incident.id).or_default() += decision.cause.evidence.len() as u64;
            match decision.verdict {
                // What is waiting to be told is not a person's doing.
                Verdict::IncidentAcknowledged(_) => {}
                Verdict::IncidentMerged { into, .. } => {
                    prop_assert_eq!(named[&incident.id], incident.readings);
                    *named.entry(into).or_default() += incident.readings;
                }
                _ => prop_assert_eq!(named[&incident.id], incident.readings),
            }
        }
    }

    #[test]
    fn inv_10_only_people_handle_and_only_the_world_changes_a_condition(day in day()) {
        let mut known: BTreeMap<IncidentId, (Condition, Handling)> = BTreeMap::new();
        let mut merged_into = BTreeSet::new();
        for decision in decisions(&history(&day)) {
            let Some(incident) = decision.verdict.incident() else { continue };
            let now = (incident.condition, incident.handling);
            let before = known.insert(incident.id, now);
            let by_person = decision.cause.request.is_some();
            match (&decision.verdict, before) {
                (Verdict::IncidentOpened(_), before) => {
                    prop_assert_eq!(now, (Condition::Active, Handling::New));
                    prop_assert_eq!(before, None);
                }
                (Verdict::IncidentAcknowledged(_), Some((condition, handling))) => {
                    prop_assert!(by_person);
                    prop_assert_eq!(handling, Handling::New);
                    prop_assert_eq!(now, (condition, Handling::Acknowledged));
                }
                (Verdict::IncidentReopened(_), Some((Condition::Cleared, _))) => {
                    prop_assert_eq!(now, (Condition::Active, Handling::New));
                }
                (Verdict::IncidentMerged { into, .. }, Some(_)) => {
                    prop_assert_eq!(now.1, Handling::Merged);
                    merged_into.insert(*into);
                }
                (_, Some((_, handling))) => {
                    let unseen_again = merged_into.contains(&incident.id)
                        && (handling, now.1) == (Handling::Acknowledged, Handling::New);
                    prop_assert!(!by_person && (handling == now.1 || unseen_again));
                }
                (_, None) => prop_assert!(false, "told before it opened: {decision:?}"),
            }
        }
    }

    #[test]
    fn every_invariant_of_the_state_holds_after_every_record(
        day in day(), shards in 1..4usize,
    ) {
        let history = history(&day);
        let mut judgement = Judgement::new(NonZeroUsize::new(shards).unwrap());
        history.bundles.iter().for_each(|bundle| judgement.provide(Arc::clone(bundle)));
        for record in history.records() {
            judgement.apply(&[record], &mut Vec::new());
            prop_assert_eq!(judgement.audit(), []);
        }
    }

    #[test]
    fn inv_12_membership_is_a_partition(day in day()) {
        let mut told = BTreeSet::new();
        for decision in decisions(&history(&day)) {
            for evidence in decision.cause.evidence {
                let once = (
                    decision.cause.rule.clone(),
                    evidence.rule,
                    evidence.sensor,
                    evidence.reading,
                );
                prop_assert!(told.insert(once.clone()), "twice: {once:?}");
            }
        }
    }

    #[test]
    fn a_reading_is_evidence_once(day in day()) {
        let mut told: BTreeMap<IncidentId, BTreeSet<(SensorId, ReadingId)>> = BTreeMap::new();
        for decision in decisions(&history(&day)) {
            let Some(incident) = decision.verdict.incident() else { continue };
            let own = told.entry(incident.id).or_default();
            for evidence in &decision.cause.evidence {
                let reading = (evidence.sensor.clone(), evidence.reading.clone());
                prop_assert!(own.insert(reading.clone()), "twice: {reading:?} in {decision:?}");
            }
            if let Verdict::IncidentMerged { into, .. } = decision.verdict {
                // What both told before is told by each; neither tells the other's again.
                let ended = std::mem::take(own);
                told.entry(into).or_default().extend(ended);
            }
        }
    }

    #[test]
    fn inv_12_a_merged_id_resolves_to_one_survivor(day in day()) {
        let mut into = BTreeMap::new();
        for decision in decisions(&history(&day)) {
            let Some(incident) = decision.verdict.incident() else { continue };
            prop_assert!(!into.contains_key(&incident.id), "told after it merged");
            if let Verdict::IncidentMerged { into: survivor, .. } = decision.verdict {
                prop_assert!(!into.contains_key(&survivor));
                into.insert(incident.id, survivor);
            }
        }
    }

    #[test]
    fn nothing_is_over_before_its_time_and_everything_ends(day in day()) {
        // Five quiet hours at the end: whatever is not unknown has cleared.
        let (judgement, decisions) = history(&day).judge(&Manner::plain());
        let mut last = BTreeMap::new();
        for decision in &decisions {
            if let Some(incident) = decision.verdict.incident() {
                last.insert(incident.id, incident.clone());
            }
        }
        let live = last.values().filter(|incident| incident.handling != Handling::Merged);
        let open = live.filter(|incident| incident.condition != Condition::Cleared).count();
        prop_assert_eq!(judgement.counters().incidents_live as usize, open);
    }
}
