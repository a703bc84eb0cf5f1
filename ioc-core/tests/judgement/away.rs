//! What comes due while no process is there: it comes in the order in which it was due, and in steps
//! where it is much, so that a start after an hour holds nobody up.

use std::collections::BTreeSet;
use std::sync::Arc;

use expect_test::expect;
use ioc_core::bundle::Bundle;
use ioc_core::decision::Severity::Moderate;
use ioc_core::decision::{Decision, Verdict};
use ioc_core::judgement::Judgement;
use ioc_core::limits::{
    ASKED_STEP, DOWNTIMES_MAX, LATE_PER_STEP, LATE_STEP, SILENCE_GRACE, TELL_INTERVAL,
};
use ioc_core::record::{BuildHash, ClockKind, Input, Started};
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::check_with;

/// So many that what comes due of them takes several steps.
const GAUGES: usize = 3 * LATE_PER_STEP + 5;
const LEFT: Timestamp = Timestamp::from_millis(MIDNIGHT.as_millis() + 2_000);
const BACK: Timestamp = Timestamp::from_millis(MIDNIGHT.as_millis() + 3_600_000);

fn gauge(number: usize) -> String {
    format!("gauge-{number:03}")
}

/// A city in which each gauge is a flood by itself; who is not heard for two minutes is silent.
fn city(reopen_within: Millis) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new()
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .silence("level-silent", "level", 2, Millis::seconds(30));
    for number in 0..GAUGES {
        builder = builder.sensor_with(&gauge(number), "level", |sensor| {
            let (east, north) = (number as i32 % 20, number as i32 / 20);
            sensor.position = Some(metres(east * 400, north * 400));
            sensor.interval = Some(Millis::minutes(1));
        });
    }
    let builder = builder.correlation("floods", "flood", &["level-high"], |rule| {
        rule.within_m = 100;
        rule.clear_after = Millis::minutes(1);
        rule.reopen_within = reopen_within;
    });
    builder.build()
}

fn say(history: &mut History, at: Timestamp, number: usize, value: f64) {
    history.say(at, &gauge(number), value);
}

fn start(history: &mut History, (from, to): (Timestamp, Timestamp)) {
    let started = Started {
        down_from: Some(from),
        down_to: to,
        build: BuildHash([1; 32]),
        clock: ClockKind::System,
    };
    history.push(to, &Input::Started(started));
}

/// All gauges were high, one after the other, and said so again when the process goes before that is
/// told; and it is back after an hour.
fn away() -> History {
    let mut history = History::new(city(Millis::minutes(5)));
    (0..GAUGES).for_each(|number| say(&mut history, high_at(number), number, 4.0));
    let again = high_at(GAUGES);
    (0..GAUGES).for_each(|number| say(&mut history, again, number, 4.0));
    start(&mut history, (again, BACK));
    history
}

/// Two in each millisecond: all of them before the growth of the first is told.
fn high_at(number: usize) -> Timestamp {
    MIDNIGHT + Millis(number as i64 / 2)
}

fn judge(history: &History) -> (Judgement, Vec<Decision>) {
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    (judgement, decisions)
}

/// When the growth of each incident was told, and since when it was due.
fn told(decisions: &[Decision]) -> Vec<(Timestamp, Option<Timestamp>)> {
    let updated = |one: &&Decision| matches!(one.verdict, Verdict::IncidentUpdated(_));
    let updated = decisions.iter().filter(updated);
    updated.map(|one| (one.at, one.cause.due)).collect()
}

#[test]
fn p5_what_came_due_of_incidents_while_nobody_was_there_comes_in_steps_and_in_order() {
    let mut history = away();
    let first = history.inputs.len() - 1;
    let due = |number: usize| high_at(number) + TELL_INTERVAL;
    let mut expected = Vec::new();
    for step in 0..5 {
        let at = BACK + Millis(LATE_STEP.0 * step);
        if step > 0 {
            history.push(at, &Input::Tick);
        }
        let from = expected.len();
        let to = GAUGES.min(from + LATE_PER_STEP);
        // The first as if nobody had been away.
        let when = |number| if step == 0 { due(number) } else { at };
        expected.extend((from..to).map(|number| (when(number), Some(due(number)))));
        let (judgement, decisions) = judge(&history);
        assert_eq!(told(&decisions), expected, "after step {step}");
        let next = judgement.next_due();
        assert!(to == GAUGES || next == Some(at + LATE_STEP), "{next:?}");
    }
    assert_eq!(expected.len(), GAUGES);
    history.assert_restarts_from(first);
}

#[test]
fn what_is_told_before_its_turn_is_not_told_again() {
    let mut history = away();
    let first = history.inputs.len() - 1;
    let last = GAUGES - 1;
    say(&mut history, BACK, last, 4.5);
    history.push(BACK + Millis::seconds(1), &Input::Tick);
    let (_, decisions) = judge(&history);
    let told = told(&decisions);
    assert_eq!(told.len(), GAUGES);
    assert!(told.contains(&(BACK, None)));
    history.assert_restarts_from(first);
}

/// All gauges were high, are normal again when the process goes, and it is back after an hour.
fn away_when_all_is_normal() -> History {
    let mut history = History::new(city(Millis::minutes(5)));
    (0..GAUGES).for_each(|number| say(&mut history, MIDNIGHT, number, 4.0));
    (0..GAUGES).for_each(|number| say(&mut history, normal_at(number), number, 1.0));
    start(&mut history, (LEFT, BACK));
    history
}

fn normal_at(number: usize) -> Timestamp {
    MIDNIGHT + Millis(1_000 + number as i64)
}

fn cleared_at(decisions: &[Decision]) -> Vec<Timestamp> {
    let cleared = |one: &&Decision| matches!(one.verdict, Verdict::IncidentCleared(_));
    let cleared = decisions.iter().filter(cleared);
    cleared.map(|one| one.at).collect()
}

#[test]
fn what_has_been_normal_while_nobody_listened_has_not_been_normal_for_long_enough() {
    let mut history = away_when_all_is_normal();
    let first = history.inputs.len() - 1;
    // A second of the minute was heard before.
    let due = |number: usize| normal_at(number) + Millis::minutes(1) + (BACK - LEFT);
    history.push(due(0) - Millis(1), &Input::Tick);
    assert_eq!(cleared_at(&judge(&history).1), []);
    say(&mut history, due(0), GAUGES - 1, 4.5);
    history.push(BACK + Millis::minutes(10), &Input::Tick);
    let (judgement, decisions) = judge(&history);
    let expected: Vec<_> = (0..GAUGES - 1).map(due).collect();
    assert_eq!(cleared_at(&decisions), expected);
    assert_eq!(judgement.counters().incidents_live, 1);
    history.assert_restarts_from(first);
}

#[test]
fn p5_who_is_to_be_asked_for_silence_after_downtime_is_asked_in_steps() {
    let mut history = History::new(city(Millis::minutes(1)));
    (0..GAUGES).for_each(|number| say(&mut history, MIDNIGHT, number, 1.0));
    let first = history.inputs.len();
    start(&mut history, (LEFT, BACK));
    let (judgement, _) = judge(&history);
    // Some are not alone in their buckets: of 389 in 1,024.
    assert_eq!(judgement.next_due(), Some(BACK + ASKED_STEP));
    // Two that are in one bucket are asked, the second when the first has been.
    for step in 1..=40 {
        history.push(BACK + Millis(step * ASKED_STEP.0), &Input::Tick);
    }
    let (judgement, decisions) = judge(&history);
    assert!(judgement.next_due() >= Some(BACK + Millis::minutes(2)));
    assert_eq!(silent(&decisions), [], "downtime is not silence");
    history.push(BACK + Millis::minutes(3), &Input::Tick);
    let (_, decisions) = judge(&history);
    let silent = silent(&decisions);
    let sensors: BTreeSet<_> = silent.iter().map(|(sensor, _)| sensor).collect();
    assert_eq!(sensors.len(), GAUGES);
    let allowed = BACK + Millis::minutes(2);
    assert!(
        silent
            .iter()
            .all(|(_, at)| *at >= allowed && *at <= allowed + Millis(40))
    );
    history.assert_restarts_from(first);
}

#[test]
fn what_was_abnormal_before_needs_to_be_heard_again_to_have_lasted() {
    let lasting = BundleBuilder::new()
        .sensor("gas-1", "gas", metres(0, 0))
        .threshold("gas-high", "gas", &[(Moderate, 10.0)], |rule| {
            rule.lasting = Millis::minutes(5);
        })
        .correlation("leaks", "leak", &["gas-high"], |_| ());
    let lasting = lasting.build();
    check_with(
        &lasting,
        "10:00 gas-1 30
         10:20 started after=10:01
         10:30 tick",
        &expect![[r#""#]],
    );
    check_with(
        &lasting,
        "10:00 gas-1 30
         10:20 started after=10:01
         10:21 gas-1 30",
        &expect![[r#"
            10:21 opened leak#1 moderate: gas-1 30, gas-1 30
        "#]],
    );
    check_with(
        &lasting,
        "10:00 gas-1 30
         10:20 started after=10:01
         10:21 gas-1 0
         10:22 gas-1 30
         10:30 tick",
        &expect![[r#"
            10:27 opened leak#1 moderate: gas-1 30
        "#]],
    );
}

#[test]
fn blind_is_not_safe_over_a_downtime_either() {
    let water = BundleBuilder::new()
        .sensor_with("street-1", "water", |sensor| {
            sensor.interval = Some(Millis::minutes(1));
        })
        .threshold("water-high", "water", &[(Moderate, 30.0)], |_| ())
        .silence("water-silent", "water", 5, Millis::minutes(5))
        .correlation("water", "water", &["water-high"], |rule| {
            rule.clear_after = Millis::minutes(10);
        });
    check_with(
        &water.build(),
        "10:00 street-1 70
         10:06 street-1 0
         10:40 started after=10:07
         11:30 tick",
        &expect![[r#"
            10:00 opened water#1 moderate: street-1 70
            10:05 sensor_silent street-1 last heard 10:00
            10:05 unknown water#1 moderate
            10:06 sensor_returned street-1 last heard 10:00
            10:06 reopened water#1 moderate
            10:45 sensor_silent street-1 last heard 10:06
            10:45 unknown water#1 moderate
        "#]],
    );
}

/// Who is told to be silent, and when.
fn silent(decisions: &[Decision]) -> Vec<(String, Timestamp)> {
    let silent = decisions.iter().filter_map(|one| match &one.verdict {
        Verdict::SensorSilent(sensor) => Some((sensor.id.to_string(), one.at)),
        _ => None,
    });
    silent.collect()
}

/// Gauges that say something each hour, and are silent after three.
const HOURLY: [&str; 3] = ["alive", "dying", "slow"];
const HOUR: Millis = Millis::minutes(60);
const ALLOWED: Millis = Millis::minutes(180);

fn hourly() -> Arc<Bundle> {
    let builder = BundleBuilder::new()
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .silence("level-silent", "level", 3, Millis::minutes(10));
    let gauge = |builder: BundleBuilder, name: &&str| {
        builder.sensor_with(name, "level", |sensor| sensor.interval = Some(HOUR))
    };
    HOURLY.iter().fold(builder, gauge).build()
}

#[test]
fn a_sensor_that_is_dead_is_told_however_often_the_server_starts() {
    let mut history = History::new(hourly());
    let at = |minute: i64| MIDNIGHT + Millis::minutes(minute);
    history.say(at(0), "dying", 1.0);
    for start_at in (150..1_000).step_by(150) {
        history.push(at(start_at), &Input::Tick);
        start(&mut history, (at(start_at), at(start_at + 1)));
    }
    let (_, decisions) = judge(&history);
    // An hour and five minutes after the first start, which came half an hour before its deadline.
    assert_eq!(silent(&decisions), [("dying".to_owned(), at(151 + 65))]);
    history.assert_restarts_from(1);
}

/// A life of gauges and of a server: when each start came, and after how long away; when in its hour
/// each gauge speaks, and when two of them do for the last time, or one later than it should.
#[derive(Debug, Clone)]
struct Lives {
    starts: Vec<(i64, i64)>,
    phases_min: [i64; 3],
    dies_at_min: i64,
}

fn lives() -> impl Strategy<Value = Lives> {
    let up_min = prop_oneof![3 => 1..400i64, 1 => 1..70i64];
    let down_min = prop_oneof![3 => 0..10i64, 1 => 0..600i64];
    let starts = prop::collection::vec((up_min, down_min), 0..90);
    let phases_min = [0..60i64, 0..60i64, 0..60i64];
    (starts, phases_min, 0..2_000i64).prop_map(|(starts, phases_min, dies_at_min)| Lives {
        starts,
        phases_min,
        dies_at_min,
    })
}

/// What the server hears of it: nothing of what is said while it is away.
fn heard(lives: &Lives) -> (History, Vec<(i64, i64)>) {
    let mut gaps = Vec::new();
    let mut now = 0;
    for (up, down) in &lives.starts {
        gaps.push((now + up, now + up + down));
        now += up + down;
    }
    let end = now.max(lives.dies_at_min) + 1_000;
    let mut history = History::new(hourly());
    let at = |minute: i64| MIDNIGHT + Millis::minutes(minute);
    for minute in 0..=end {
        if let Some((from, to)) = gaps.iter().find(|(_, to)| *to == minute) {
            start(&mut history, (at(*from), at(*to)));
        }
        let is_away = gaps.iter().any(|(from, to)| *from < minute && minute < *to);
        if is_away {
            continue;
        }
        for (name, phase) in HOURLY.iter().zip(lives.phases_min) {
            let speaks = match *name {
                "dying" => minute % 60 == phase && minute <= lives.dies_at_min.max(phase),
                "slow" => minute == phase,
                _ => minute % 60 == phase,
            };
            if speaks {
                history.say(at(minute), name, 1.0);
            }
        }
        history.push(at(minute), &Input::Tick);
    }
    (history, gaps)
}

/// When a sensor that was last heard then is to be told, gap by gap: its time is longer by each of
/// them, and after each it has an hour and the grace.
fn told_at(heard_min: i64, gaps: &[(i64, i64)]) -> Timestamp {
    let at = |minute: i64| MIDNIGHT + Millis::minutes(minute);
    let (mut longer, mut told) = (at(heard_min) + ALLOWED, at(heard_min) + ALLOWED);
    for (from, to) in gaps.iter().filter(|(_, to)| *to > heard_min) {
        if told <= at(*from) {
            return told;
        }
        longer = longer + Millis::minutes(to - from);
        told = longer.max(at(*to) + HOUR + SILENCE_GRACE);
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn downtime_makes_nobody_silent_who_speaks_and_hides_nobody_who_is_dead(
        lives in lives(), manner in (1..=8usize, 1..50usize),
    ) {
        let (history, gaps) = heard(&lives);
        let (judgement, decisions) = judge(&history);
        prop_assert_eq!(judgement.audit(), []);
        let told = silent(&decisions);
        let alive = told.iter().filter(|(name, _)| name == "alive");
        prop_assert_eq!(alive.count(), 0, "{:?}", told);
        let at = |minute: i64| MIDNIGHT + Millis::minutes(minute);
        let records = history.records();
        for name in ["dying", "slow"] {
            let heard = records.iter().rev().find_map(|record| match record.input {
                Input::Reading(reading) if reading.sensor == name => Some(record.at),
                _ => None,
            });
            let Some(heard) = heard else { continue };
            let heard_min = (heard - at(0)).0 / 60_000;
            let since = gaps.iter().filter(|(_, to)| *to > heard_min);
            let expected = told_at(heard_min, &gaps);
            // Of more gaps than are remembered the first count for more.
            let latest = match gaps.last() {
                Some((_, to)) if since.count() >= DOWNTIMES_MAX => at(*to) + ALLOWED,
                _ => expected,
            };
            let told = told.iter().filter(|(other, _)| other == name);
            let told: Vec<_> = told.map(|(_, at)| *at).collect();
            // A bucket's sensors are asked one after another.
            let in_time = |told: &Timestamp| expected <= *told && *told <= latest + Millis(2);
            prop_assert!(told.len() == 1 && told.iter().all(in_time), "{told:?} for {expected:?}");
        }
        let (shards, batch) = manner;
        let restarts = (0..4).map(|part| (records.len() * part / 4, shards)).collect();
        let manner = Manner { shards, batches: vec![batch], restarts };
        prop_assert_eq!(history.run(&manner), history.run(&Manner::plain()));
    }
}

#[derive(Debug, Clone)]
enum What {
    Read(usize, f64),
    ReadAll(f64),
    Reload,
    Start,
    Tick,
}

fn events() -> impl Strategy<Value = Vec<(i64, What)>> {
    let value = prop::sample::select(vec![1.0, 4.0]);
    let what = prop_oneof![
        6 => (0..GAUGES, value.clone()).prop_map(|(gauge, value)| What::Read(gauge, value)),
        2 => value.prop_map(What::ReadAll),
        1 => Just(What::Reload),
        3 => Just(What::Start),
        6 => Just(What::Tick),
    ];
    let after_ms = prop_oneof![6 => 0..3i64, 2 => 0..400_000i64];
    prop::collection::vec((after_ms, what), 1..40)
}

fn history(events: &[(i64, What)]) -> History {
    let mut history = History::new(city(Millis::minutes(2)));
    (0..GAUGES).for_each(|number| say(&mut history, MIDNIGHT, number, 4.0));
    let (mut now, mut reloads) = (MIDNIGHT, 0);
    for (after_ms, what) in events {
        let before = now;
        now = now + Millis(*after_ms);
        match what {
            What::Read(number, value) => say(&mut history, now, *number, *value),
            What::ReadAll(value) => {
                (0..GAUGES).for_each(|number| say(&mut history, now, number, *value));
            }
            What::Reload => {
                reloads += 1;
                history.reload(now, city(Millis::minutes(2 + reloads % 2)));
            }
            What::Start => start(&mut history, (before, now)),
            What::Tick => history.push(now, &Input::Tick),
        }
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn p2_what_comes_late_is_decided_the_same_by_any_shards_batches_and_restarts(
        events in events(), shards in 1..=8usize, batch in 1..50usize,
        restarts in prop::collection::vec((0..60usize, 1..=8usize), 0..8),
    ) {
        let history = history(&events);
        let last = history.inputs.len();
        // From the last records back, where most is under way.
        let restarts = restarts.into_iter();
        let restarts = restarts.map(|(before, shards)| (last.saturating_sub(before), shards));
        let manner = Manner { shards, batches: vec![batch], restarts: restarts.collect() };
        prop_assert_eq!(history.run(&manner), history.run(&Manner::plain()));
    }

    #[test]
    fn every_invariant_holds_while_what_is_late_comes(events in events()) {
        let history = history(&events);
        let mut judgement = Judgement::new(std::num::NonZeroUsize::MIN);
        history.bundles.iter().for_each(|bundle| judgement.provide(Arc::clone(bundle)));
        for (number, record) in history.records().into_iter().enumerate() {
            judgement.apply(&[record], &mut Vec::new());
            if number > GAUGES && number % 5 == 0 {
                prop_assert_eq!(judgement.audit(), []);
            }
        }
    }
}
