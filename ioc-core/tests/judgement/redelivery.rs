//! P3 over long streams: a client that had thousands of readings in flight sends them all again,
//! and the state is saved and loaded in between (P2).
//!
//! A few sensors of every sort, whose clocks are fine, coarse or a little out of order, some hours
//! of them; then any run of it once more, at any later point, as after a crash or a reconnect.

use std::sync::Arc;

use ioc_core::bundle::Bundle;
use ioc_core::decision::Severity::{Minor, Moderate, Severe};
use ioc_core::decision::Verdict;
use ioc_core::limits::CLOCK_SET_BACK_LASTING;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::Input;
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres, without_numbers};

const SENSORS: [(&str, &str); 5] = [
    ("gauge-1", "level"),
    ("gauge-2", "level"),
    ("vehicle", "smoke"),
    ("calls", "call"),
    ("vehicle", "level"),
];

fn city() -> Arc<Bundle> {
    let gauge = |sensor: &mut ioc_core::bundle::Sensor| {
        sensor.position = Some(metres(0, 0));
        sensor.interval = Some(Millis::minutes(1));
    };
    BundleBuilder::new()
        .sensor_with("gauge-1", "level", gauge)
        .sensor_with("gauge-2", "level", gauge)
        .threshold("high", "level", &[(Moderate, 3.0), (Severe, 4.0)], |rule| {
            rule.clear_gap = 0.5;
        })
        .threshold("long", "level", &[(Moderate, 2.0)], |rule| {
            rule.lasting = Millis::minutes(3);
        })
        .threshold("smoke", "smoke", &[(Moderate, 3.0)], |rule| {
            rule.readings_min = 2;
        })
        .report("call", "call", Minor, Millis::minutes(8))
        .silence("silent", "level", 2, Millis::minutes(2))
        .correlation("floods", "flood", &["high", "long"], |_| ())
        .correlation("fires", "fire", &["smoke", "call"], |rule| {
            rule.sources_min = 2;
            rule.within_m = 300;
        })
        .build()
}

/// A reading: its sensor, its value, the time since the one before, how late it was measured.
#[derive(Debug, Clone)]
struct Said {
    sensor: usize,
    value: f64,
    after_ms: i64,
    late_ms: i64,
    east: i32,
}

fn said() -> impl Strategy<Value = Said> {
    let sensor = prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(2), 3 => Just(3), 1 => Just(4)];
    let value = prop_oneof![4 => 0.0..2.0f64, 3 => 2.0..5.0f64];
    let after_ms = prop_oneof![20 => 0..2_000i64, 1 => 0..300_000i64];
    let late_ms = prop_oneof![6 => Just(0), 1 => 0..20_000i64, 1 => -20_000..0i64];
    (sensor, value, after_ms, late_ms, 0..2_000i32).prop_map(
        |(sensor, value, after_ms, late_ms, east)| Said {
            sensor,
            value,
            after_ms,
            late_ms,
            east,
        },
    )
}

/// How much of its time a sensor's clock shows.
fn resolution_ms() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1), Just(1_000), Just(60_000)]
}

fn history(stream: &[Said], resolution_ms: i64) -> History {
    let mut history = History::new(city());
    let mut now = MIDNIGHT;
    for (number, said) in stream.iter().enumerate() {
        now = now + Millis(said.after_ms);
        let (sensor, kind) = SENSORS[said.sensor];
        let observed_ms = (now - Millis(said.late_ms)).as_millis();
        let reading = Reading {
            id: &format!("r{number}"),
            sensor,
            kind,
            observed_at: Timestamp::from_millis(observed_ms / resolution_ms * resolution_ms),
            received_at: None,
            value: said.value,
            unit: "",
            position: (said.sensor > 1).then(|| metres(said.east, 2_000)),
            attributes: Attributes::default(),
        };
        history.push(now, &Input::Reading(reading));
    }
    history.push(now + Millis::minutes(300), &Input::Tick);
    history
}

/// The history with a run of its readings once more: from a part of its way on, so many, to be
/// sent again after another part of the way that is left.
fn redelivered(history: &History, (from, length, after): (f64, usize, f64)) -> History {
    // The first is the reload, the last a tick.
    let readings = history.inputs.len() - 2;
    let part = |of: usize, part: f64| (of as f64 * part) as usize;
    let from = 1 + part(readings, from);
    let to = (from + length).min(1 + readings);
    let after = to + part(1 + readings - to, after);
    let now = history.inputs[after - 1].0;
    let again = history.inputs[from..to].iter();
    let again: Vec<_> = again.map(|(_, bytes)| (now, bytes.clone())).collect();
    let mut redelivered = history.clone();
    redelivered.inputs.splice(after..after, again);
    redelivered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 5))]

    #[test]
    fn p2_p3_redelivering_any_suffix_of_a_stream_changes_nothing(
        stream in prop::collection::vec(said(), 1..3_000),
        resolution_ms in resolution_ms(),
        again in prop::collection::vec((0.0..1.0f64, 1..3_000usize, 0.0..1.0f64), 1..3),
        shards in 1..4usize,
        restarts in prop::collection::vec((0..4_000usize, 1..4usize), 0..6),
    ) {
        let history = history(&stream, resolution_ms);
        let plain = history.run(&Manner::plain());
        let again = again.iter().fold(history, |history, run| redelivered(&history, *run));
        let (judgement, decisions) = again.judge(&Manner { shards, batches: vec![50], restarts });
        prop_assert_eq!(judgement.audit(), []);
        prop_assert_eq!(without_numbers(&plain.decisions), without_numbers(&decisions));
    }
}

/// A gauge that is heard so often, each so long after the one before, and then is high by a clock that
/// was set back.
fn set_back(before: i64, interval: Millis, back: Millis) -> History {
    let bundle = BundleBuilder::new()
        .sensor_with("gauge-1", "level", |_| ())
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["high"], |_| ());
    let mut history = History::new(bundle.build());
    for number in 0..before + 2 + CLOCK_SET_BACK_LASTING.0 / interval.0.min(60_000) + 1 {
        let now = MIDNIGHT + Millis(number * interval.0);
        let (observed_at, value) = match number < before {
            true => (now, 1.0),
            false => (now - back, 3.5),
        };
        let reading = Reading {
            id: &format!("r{number}"),
            sensor: "gauge-1",
            kind: "level",
            observed_at,
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        history.push(now, &Input::Reading(reading));
    }
    history
}

proptest! {
    #[test]
    fn a_clock_that_is_set_back_makes_nobody_unheard_for_longer_than_it_takes_to_know_it(
        before in 1..100i64, interval_s in 1..1_200i64, back_s in 0..200_000i64,
        shards in 1..4usize, restart in 0..100usize,
    ) {
        let interval = Millis::seconds(interval_s);
        let history = set_back(before, interval, Millis::seconds(back_s));
        let decisions = history.run(&Manner::plain()).decisions;
        let opened = decisions.iter().find(|one| matches!(one.verdict, Verdict::IncidentOpened(_)));
        let readings = 2.max((CLOCK_SET_BACK_LASTING.0 + interval.0 - 1) / interval.0);
        let latest = MIDNIGHT + Millis((before + readings) * interval.0);
        prop_assert!(opened.is_some_and(|one| one.at <= latest), "{opened:?} by {latest:?}");
        let manner = Manner { shards, batches: vec![7], restarts: vec![(restart, shards)] };
        prop_assert_eq!(history.run(&manner), history.run(&Manner::plain()));
    }
}
