//! Bulk work that is spread over logical time: nobody can tell how far it has come, by shards,
//! batches or restarts, and in the end all of it is done.

use std::collections::BTreeSet;
use std::sync::Arc;

use ioc_core::bundle::Bundle;
use ioc_core::bundle::{Changes, FaultSign, Flapping};
use ioc_core::decision::Severity::Moderate;
use ioc_core::decision::{Decision, Dismissal, Handling, RefusalCode, Step, Verdict};
use ioc_core::id::IncidentId;
use ioc_core::judgement::Judgement;
use ioc_core::limits::{
    MEMBERS_MOVED_PER_STEP, MERGED_PER_STEP, RELOAD_BUCKETS_APART, RELOAD_STEP,
    RELOADS_WAITED_FOR_MAX,
};
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{Action, Ask, BuildHash, ClockKind, Command, Input, Started};
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};

/// So many that several are of one bucket.
const SENSORS: usize = 500;

fn name(number: usize) -> String {
    format!("gauge-{number:03}")
}

/// A city of many gauges under rules of this sort.
fn city(sort: usize) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new();
    for number in 0..SENSORS {
        // Some are not registered any more under the last sort.
        if sort == 2 && number % 7 == 0 {
            continue;
        }
        builder = builder.sensor_with(&name(number), "level", |sensor| {
            let (east, north) = (number as i32 % 25, number as i32 / 25);
            sensor.position = Some(metres(east * 400, north * 400));
            sensor.interval = Some(Millis::minutes(if sort == 1 { 1 } else { 2 }));
            sensor.warning = (number % 5 == 0).then_some(2.0);
        });
    }
    builder = builder
        .threshold("level-high", "level", &[(Moderate, 3.0)], |rule| {
            rule.clear_gap = 0.5;
        })
        .threshold("level-long", "level", &[(Moderate, 1.0)], |rule| {
            rule.lasting = Millis(if sort == 1 { 2 } else { 5 });
        })
        .correlation("floods", "flood", &["level-high", "level-long"], |rule| {
            rule.within_m = 500;
            rule.clear_after = Millis::minutes(1);
            rule.reopen_within = Millis::minutes(1);
        });
    if sort != 2 {
        builder = builder.silence("level-silent", "level", 2, Millis::seconds(30));
    }
    if sort != 0 {
        let jumps = Changes::Jumps {
            by: 2.5,
            within: Millis::minutes(3),
        };
        let flaps = Flapping {
            by: jumps,
            high: 5,
            low: 2,
        };
        builder = builder.fault("level-jumps", "level", FaultSign::Flapping(flaps));
    }
    builder.build()
}

#[derive(Debug, Clone)]
enum What {
    Read(usize, f64),
    /// All of them, at one instant.
    ReadAll(f64),
    Reload(usize),
    Tick,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<(i64, What)>> {
    let value = prop_oneof![Just(0.0), Just(2.2), Just(4.0)];
    let what = prop_oneof![
        30 => (0..SENSORS, value.clone()).prop_map(|(sensor, value)| What::Read(sensor, value)),
        1 => value.prop_map(What::ReadAll),
        3 => (0..3usize).prop_map(What::Reload),
        4 => Just(What::Tick),
        1 => Just(What::Restart),
    ];
    let after_ms = prop_oneof![
        8 => 0..3i64, 2 => 0..40i64, 1 => 0..200_000i64,
    ];
    prop::collection::vec((after_ms, what), 1..80)
}

fn push(history: &mut History, at: Timestamp, sensor: usize, value: f64) {
    history.say(at, &name(sensor), value);
}

fn history(events: &[(i64, What)]) -> History {
    let mut history = History::new(city(0));
    let mut now = MIDNIGHT;
    (0..SENSORS).for_each(|sensor| push(&mut history, now, sensor, 4.0));
    for (after_ms, what) in events {
        let before = now;
        now = now + Millis(*after_ms);
        match what {
            What::Read(sensor, value) => push(&mut history, now, *sensor, *value),
            What::ReadAll(value) => {
                (0..SENSORS).for_each(|sensor| push(&mut history, now, sensor, *value));
            }
            What::Reload(sort) => history.reload(now, city(*sort)),
            What::Tick => history.push(now, &Input::Tick),
            What::Restart => {
                let started = Started {
                    down_from: Some(before),
                    down_to: now,
                    build: BuildHash([1; 32]),
                    clock: ClockKind::System,
                };
                history.push(now, &Input::Started(started));
            }
        }
    }
    history.push(now + Millis::minutes(60), &Input::Tick);
    history
}

fn manner() -> impl Strategy<Value = Manner> {
    let restarts = prop::collection::vec((0..2_000usize, 1..=8usize), 0..5);
    let batches = prop::collection::vec(1..200usize, 1..4);
    (1..=8usize, batches, restarts).prop_map(|(shards, batches, restarts)| Manner {
        shards,
        batches,
        restarts,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn p2_what_is_spread_is_decided_the_same_by_any_shards_batches_and_restarts(
        events in events(), manner in manner(), late in 0..80usize,
    ) {
        let history = history(&events);
        let plain = history.run(&Manner::plain());
        let mut manner = manner;
        // One while sensors take over.
        manner.restarts.push((history.inputs.len().saturating_sub(late + 2), manner.shards));
        let other = history.run(&manner);
        prop_assert_eq!(&plain.decisions, &other.decisions);
        prop_assert_eq!(plain.digest, other.digest);
    }

    #[test]
    fn every_invariant_holds_while_bulk_work_is_under_way(events in events()) {
        let history = history(&events);
        let mut judgement = Judgement::new(std::num::NonZeroUsize::new(3).unwrap());
        history.bundles.iter().for_each(|bundle| judgement.provide(Arc::clone(bundle)));
        for (number, record) in history.records().into_iter().enumerate() {
            judgement.apply(&[record], &mut Vec::new());
            // All sensors are looked at: not after each record.
            if number >= SENSORS && number % 7 == 0 {
                prop_assert_eq!(judgement.audit(), []);
            }
        }
    }
}

/// What is decided when a tick comes at each time at which something is due, and how many
/// decisions of one sort each tick brings at most.
fn at_most(
    history: &History,
    to: Timestamp,
    counts: impl Fn(&Verdict) -> bool,
) -> (usize, BTreeSet<String>) {
    let (mut judgement, _) = history.judge(&Manner::plain());
    let mut woken = history.clone();
    let mut out = Vec::new();
    let mut most = 0;
    while let Some(due) = judgement.next_due().filter(|due| *due <= to) {
        woken.push(due, &Input::Tick);
        let from = out.len();
        judgement.apply(&woken.records()[woken.inputs.len() - 1..], &mut out);
        let found = out[from..].iter().filter(|one| counts(&one.verdict));
        most = most.max(found.count());
    }
    let named = out.iter().filter_map(|one| match &one.verdict {
        verdict if !counts(verdict) => None,
        Verdict::SensorSilent(sensor) => Some(sensor.id.to_string()),
        verdict => verdict.incident().map(|incident| incident.id.to_string()),
    });
    (most, named.collect())
}

/// A line that feeds transformers which nobody measures, each with a meter of its own.
fn under_one_line(meters: usize) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new()
        .sensor("line", "line", metres(0, 0))
        .node("line", |_| ())
        .threshold("meter-dead", "meter", &[(Moderate, 3.0)], |_| ())
        .threshold("line-dead", "line", &[(Moderate, 3.0)], |_| ());
    for number in 0..meters {
        let (meter, transformer) = (format!("meter-{number}"), format!("transformer-{number}"));
        builder = builder
            .sensor(&meter, "meter", metres(0, 0))
            .fed_by(&meter, &transformer)
            .fed_by(&transformer, "line");
    }
    let detections = ["meter-dead", "line-dead"];
    let builder = builder.correlation("outages", "outage", &detections, |rule| {
        rule.along.fed_by = true;
        rule.weights = vec![1, 2];
        rule.sources_min = 2;
    });
    builder.build()
}

#[test]
fn p5_many_that_are_shown_to_be_one_become_so_in_steps() {
    let meters = 3 * MERGED_PER_STEP;
    let mut history = History::new(under_one_line(meters));
    let mut say = |at: Timestamp, sensor: &str, kind: &str| {
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
    };
    (0..meters).for_each(|number| say(MIDNIGHT, &format!("meter-{number}"), "meter"));
    say(MIDNIGHT + Millis(5), "line", "line");
    let (judgement, decisions) = history.judge(&Manner::plain());
    let opened = decisions.last().unwrap().verdict.incident().unwrap();
    // It joined one itself.
    assert_eq!(opened.sensors as usize, MERGED_PER_STEP + 2);
    let waiting = judgement.counters().candidates as usize;
    assert_eq!(waiting, 2 * MERGED_PER_STEP - 1);
    history.push(MIDNIGHT + Millis::seconds(1), &Input::Tick);
    let (judgement, decisions) = history.judge(&Manner::plain());
    let told = decisions.last().unwrap().verdict.incident().unwrap();
    assert_eq!(told.sensors as usize, meters + 1);
    assert_eq!(judgement.counters().candidates, 0);
    let restarted = Manner {
        restarts: (meters..meters + 3).map(|after| (after, 2)).collect(),
        ..Manner::plain()
    };
    assert_eq!(history.run(&restarted), history.run(&Manner::plain()));
}

#[test]
fn p5_two_large_incidents_become_one_in_steps() {
    // Gauges north and south of a gap, and one that stands in it.
    const EACH: usize = 3 * MEMBERS_MOVED_PER_STEP;
    let gauges = [("north", 0), ("south", 900)];
    let mut builder = BundleBuilder::new()
        .sensor("between", "level", metres(0, 450))
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["level-high"], |rule| {
            rule.within_m = 500;
        });
    for (side, north) in gauges {
        for number in 0..EACH {
            let id = format!("{side}-{number}");
            builder = builder.sensor(&id, "level", metres(number as i32, north));
        }
    }
    let mut history = History::new(builder.build());
    let mut say = |at: Timestamp, sensor: &str| history.say(at, sensor, 4.0);
    for (number, (side, _)) in gauges.iter().enumerate() {
        let at = MIDNIGHT + Millis(number as i64);
        (0..EACH).for_each(|gauge| say(at, &format!("{side}-{gauge}")));
    }
    say(MIDNIGHT + Millis::seconds(1), "between");
    let together = history.inputs.len();
    let merged = |history: &History| {
        let (judgement, decisions) = history.judge(&Manner::plain());
        assert_eq!(judgement.audit(), []);
        let merged = |verdict: &Verdict| matches!(verdict, Verdict::IncidentMerged { .. });
        let merged = decisions.iter().filter(|one| merged(&one.verdict));
        (merged.count(), judgement.counters().incidents_live)
    };
    // One step moves some, and the next; what is left is few enough to merge.
    assert_eq!(merged(&history), (0, 2));
    for (step, expected) in [(1, (0, 2)), (2, (0, 2)), (3, (1, 1))] {
        let at = MIDNIGHT + Millis::seconds(1) + Millis(step);
        history.push(at, &Input::Tick);
        assert_eq!(merged(&history), expected, "after step {step}");
    }
    history.push(MIDNIGHT + Millis::seconds(5), &Input::Tick);
    let (_, decisions) = history.judge(&Manner::plain());
    let told = decisions.last().unwrap().verdict.incident().unwrap();
    assert_eq!(told.sensors as usize, 2 * EACH + 1);
    assert_eq!(told.readings as usize, 2 * EACH + 1);
    let restarted = Manner {
        restarts: (together..together + 3).map(|after| (after, 2)).collect(),
        ..Manner::plain()
    };
    assert_eq!(history.run(&restarted), history.run(&Manner::plain()));
}

/// A person asks something about an incident.
fn ask(history: &mut History, at: Timestamp, request: &str, incident: IncidentId, ask: Ask) {
    let action = Action::About {
        incident,
        ask,
        note: "one front",
        sources: "",
    };
    let actor = "ana";
    history.push(
        at,
        &Input::Command(Command {
            request,
            actor,
            action,
        }),
    );
}

#[test]
fn two_large_incidents_that_are_dismissed_and_become_one_in_steps_stay_dismissed() {
    const EACH: usize = 2 * MEMBERS_MOVED_PER_STEP;
    let gauges = [("north", 0), ("south", 900)];
    let mut builder = BundleBuilder::new()
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["level-high"], |rule| {
            rule.within_m = 500;
        });
    for (side, north) in gauges {
        for number in 0..EACH {
            let id = format!("{side}-{number}");
            builder = builder.sensor(&id, "level", metres(number as i32, north));
        }
    }
    let mut history = History::new(builder.build());
    for (side, _) in gauges {
        (0..EACH).for_each(|gauge| history.say(MIDNIGHT, &format!("{side}-{gauge}"), 4.0));
    }
    let (_, decisions) = history.judge(&Manner::plain());
    let opened = decisions.iter().filter_map(|one| match &one.verdict {
        Verdict::IncidentOpened(incident) => Some(incident.id),
        _ => None,
    });
    let opened: Vec<_> = opened.collect();
    let [one, other] = opened[..] else {
        panic!("{opened:?}");
    };
    let at = MIDNIGHT + Millis::seconds(1);
    for (request, incident) in [("d-1", one), ("d-2", other)] {
        let dismiss = Ask::Step(Step::Dismiss(Dismissal::Test));
        ask(&mut history, at, request, incident, dismiss);
    }
    ask(&mut history, at, "m-1", other, Ask::Merge(one));
    (0..10).for_each(|step| history.push(at + Millis(step), &Input::Tick));
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    assert_eq!(judgement.counters().incidents_live, 1);
    let told = decisions.last().unwrap().verdict.incident().unwrap();
    assert_eq!(told.sensors as usize, 2 * EACH);
    assert_eq!(told.handling, Handling::Dismissed(Dismissal::Test));
    let reopened = |one: &Decision| matches!(one.verdict, Verdict::IncidentReopened(_));
    assert!(!decisions.iter().any(reopened));
}

#[test]
fn inv_20_who_was_not_known_is_not_when_two_that_are_dismissed_become_one_in_steps() {
    const EACH: usize = 2 * MEMBERS_MOVED_PER_STEP;
    let mut builder = BundleBuilder::new()
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["level-high"], |rule| {
            rule.within_m = 500;
            rule.sources_min = 2;
        })
        .handling(|rules| rules.overruled_by = 2);
    for (side, north) in [("north", 0), ("south", 900)] {
        for number in 0..EACH + 9 {
            let id = format!("{side}-{number:03}");
            builder = builder.sensor(&id, "level", metres(number as i32, north));
        }
    }
    let mut history = History::new(builder.build());
    let say = |history: &mut History, at, side: &str, gauges: std::ops::Range<usize>| {
        gauges.for_each(|gauge| history.say(at, &format!("{side}-{gauge:03}"), 4.0));
    };
    // The smaller one has a further source when it is dismissed already.
    say(&mut history, MIDNIGHT, "north", 0..EACH + 5);
    say(&mut history, MIDNIGHT, "south", 0..EACH - 1);
    let (_, decisions) = history.judge(&Manner::plain());
    let opened = decisions.iter().filter_map(|one| match &one.verdict {
        Verdict::IncidentOpened(incident) => Some(incident.id),
        _ => None,
    });
    let opened: Vec<_> = opened.collect();
    let [one, other] = opened[..] else {
        panic!("{opened:?}");
    };
    let at = MIDNIGHT + Millis::seconds(1);
    for (request, incident) in [("d-1", one), ("d-2", other)] {
        let dismiss = Ask::Step(Step::Dismiss(Dismissal::Test));
        ask(&mut history, at, request, incident, dismiss);
    }
    let at = at + Millis::seconds(1);
    say(&mut history, at, "south", EACH - 1..EACH);
    ask(&mut history, at, "m-1", other, Ask::Merge(one));
    (0..10).for_each(|step| history.push(at + Millis(step), &Input::Tick));
    let reopened = |one: &Decision| matches!(one.verdict, Verdict::IncidentReopened(_));
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.counters().incidents_live, 1);
    assert!(!decisions.iter().any(reopened));
    // The next one is the second that nobody knew of.
    say(
        &mut history,
        at + Millis::seconds(1),
        "north",
        EACH + 5..EACH + 6,
    );
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    assert!(decisions.iter().any(reopened));
}

#[test]
fn p5_two_large_incidents_that_a_person_merges_become_one_in_steps() {
    const EACH: usize = 3 * MEMBERS_MOVED_PER_STEP;
    let gauges = [("north", 0), ("south", 900)];
    let mut builder = BundleBuilder::new()
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["level-high"], |rule| {
            rule.within_m = 500;
        });
    for (side, north) in gauges {
        for number in 0..EACH {
            let id = format!("{side}-{number}");
            builder = builder.sensor(&id, "level", metres(number as i32, north));
        }
    }
    let mut history = History::new(builder.build());
    for (side, _) in gauges {
        for gauge in 0..EACH {
            let reading = Reading {
                id: &format!("r{}", history.inputs.len()),
                sensor: &format!("{side}-{gauge}"),
                kind: "level",
                observed_at: MIDNIGHT,
                received_at: None,
                value: 4.0,
                unit: "",
                position: None,
                attributes: Attributes::default(),
            };
            history.push(MIDNIGHT, &Input::Reading(reading));
        }
    }
    let (_, decisions) = history.judge(&Manner::plain());
    let opened = decisions.iter().filter_map(|one| match &one.verdict {
        Verdict::IncidentOpened(incident) => Some(incident.id),
        _ => None,
    });
    let opened: BTreeSet<_> = opened.collect();
    let opened: Vec<_> = opened.into_iter().collect();
    // Of two that opened at one time that of the least id survives.
    let [survivor, other] = opened[..] else {
        panic!("{opened:?}");
    };
    let at = MIDNIGHT + Millis::seconds(1);
    let begin = history.inputs.len();
    ask(&mut history, at, "m-1", other, Ask::Merge(survivor));
    for (step, live) in [(0, 2), (1, 2), (2, 2), (3, 1)] {
        history.push(at + Millis(step), &Input::Tick);
        let (judgement, decisions) = history.judge(&Manner::plain());
        assert_eq!(judgement.audit(), []);
        assert_eq!(
            judgement.counters().incidents_live,
            live,
            "after step {step}"
        );
        let merged = decisions.iter().find_map(|one| match &one.verdict {
            Verdict::IncidentMerged { incident, into } => Some((incident.id, *into, &one.cause)),
            _ => None,
        });
        assert_eq!(merged.is_some(), live == 1);
        if let Some((loser, into, cause)) = merged {
            assert_eq!((loser, into), (other, survivor));
            let (request, actor) = cause.request.as_ref().unwrap();
            assert_eq!((request.as_str(), actor.as_str()), ("m-1", "ana"));
            assert_eq!((&*cause.note, cause.due), ("one front", None));
        }
    }
    // INV-13: what was merged and is split again is as it was, when all have gone over.
    let at = at + Millis::seconds(1);
    ask(&mut history, at, "s-1", other, Ask::Split);
    for step in 0..3 {
        history.push(at + Millis(step), &Input::Tick);
        let (judgement, decisions) = history.judge(&Manner::plain());
        assert_eq!(judgement.audit(), []);
        assert_eq!(judgement.counters().incidents_live, 2);
        let part = decisions.iter().rev().find_map(|one| {
            let (incident, from, moved) = one.verdict.moved()?;
            Some((incident.sensors as usize, from, moved, &one.cause))
        });
        // Each step tells whom it took, and who asked for it.
        let (sensors, from, moved, cause) = part.unwrap();
        assert_eq!(sensors, (step as usize + 1) * MEMBERS_MOVED_PER_STEP);
        assert_eq!(from, survivor);
        let named = (moved.first.len(), moved.count as usize);
        assert_eq!(named, (MEMBERS_MOVED_PER_STEP, MEMBERS_MOVED_PER_STEP));
        let (request, actor) = cause.request.as_ref().unwrap();
        assert_eq!((request.as_str(), actor.as_str()), ("s-1", "ana"));
    }
    let (_, decisions) = history.judge(&Manner::plain());
    let last = decisions
        .iter()
        .rev()
        .filter_map(|one| one.verdict.incident());
    let both: BTreeSet<_> = last
        .take(2)
        .map(|one| (one.sensors, one.readings))
        .collect();
    assert_eq!(both, BTreeSet::from([(EACH as u32, EACH as u64)]));
    let restarted = Manner {
        restarts: (begin..=history.inputs.len())
            .map(|after| (after, 2))
            .collect(),
        ..Manner::plain()
    };
    assert_eq!(history.run(&restarted), history.run(&Manner::plain()));
}

#[test]
fn p5_what_goes_over_in_steps_goes_wherever_a_person_wants_it_last() {
    // Half of a large incident is split off, and while its members go over a third of all is split off
    // anew, or both are to be one again.
    const ALL: usize = 6 * MEMBERS_MOVED_PER_STEP;
    let mut builder = BundleBuilder::new()
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["level-high"], |rule| {
            rule.within_m = 5_000;
        });
    let gauge = |number: usize| format!("g-{number:03}");
    for number in 0..ALL {
        builder = builder.sensor(&gauge(number), "level", metres(number as i32, 0));
    }
    let bundle = builder.build();
    let (half, third) = (ALL / 2, ALL / 3);
    let named = |numbers: std::ops::Range<usize>| {
        let names = numbers.map(gauge);
        names.collect::<Vec<_>>().join("\n")
    };
    let begin = || {
        let mut history = History::new(Arc::clone(&bundle));
        (0..ALL).for_each(|number| history.say(MIDNIGHT, &gauge(number), 4.0));
        let (_, decisions) = history.judge(&Manner::plain());
        let whole = decisions.iter().find_map(|one| one.verdict.incident());
        let whole = whole.unwrap().id;
        let at = MIDNIGHT + Millis::seconds(1);
        split(&mut history, at, "s-1", whole, &named(0..half));
        (history, whole, at)
    };
    let ends_as = |mut history: History, at: Timestamp, expected: &[usize]| {
        let asked = history.inputs.len();
        for step in 1..=8 {
            history.push(at + Millis(step), &Input::Tick);
            let (judgement, _) = history.judge(&Manner::plain());
            assert_eq!(judgement.audit(), []);
        }
        let (_, decisions) = history.judge(&Manner::plain());
        let told = decisions.iter().filter_map(|one| one.verdict.incident());
        let told: std::collections::BTreeMap<_, _> = told.map(|one| (one.id, one)).collect();
        let live = told.values().filter(|one| one.handling != Handling::Merged);
        let mut sensors: Vec<_> = live.map(|one| one.sensors as usize).collect();
        sensors.sort_unstable();
        assert_eq!(sensors, expected);
        let restarts = (asked..history.inputs.len()).map(|after| (after, 2));
        let restarted = Manner {
            restarts: restarts.collect(),
            ..Manner::plain()
        };
        assert_eq!(history.run(&restarted), history.run(&Manner::plain()));
    };
    let (history, _, at) = begin();
    ends_as(history, at, &[half, half]);
    // Who is to go is none of the whole's any more: what is named of them is not there, and what is left
    // cannot all go.
    let (mut history, whole, at) = begin();
    split(&mut history, at, "s-2", whole, &named(half - 2..half));
    split(&mut history, at, "s-3", whole, &named(half..ALL));
    let (_, decisions) = history.judge(&Manner::plain());
    let refused = decisions.iter().filter_map(|one| match &one.verdict {
        Verdict::CommandRefused(refusal) => Some(refusal.code),
        _ => None,
    });
    let refused: Vec<_> = refused.collect();
    assert_eq!(
        refused,
        [RefusalCode::NoSuchSource, RefusalCode::NothingLeft]
    );
    split(&mut history, at, "s-4", whole, &named(half..half + third));
    ends_as(history, at, &[ALL - half - third, third, half]);
    let (mut history, whole, at) = begin();
    let (_, decisions) = history.judge(&Manner::plain());
    let part = decisions.iter().find_map(|one| match &one.verdict {
        Verdict::IncidentSplit { incident, .. } => Some(incident.id),
        _ => None,
    });
    ask(&mut history, at, "m-1", whole, Ask::Merge(part.unwrap()));
    ends_as(history, at, &[ALL]);
}

/// A person asks for these sources to be another incident.
fn split(history: &mut History, at: Timestamp, request: &str, whole: IncidentId, sources: &str) {
    let action = Action::About {
        incident: whole,
        ask: Ask::Split,
        note: "",
        sources,
    };
    let command = Command {
        request,
        actor: "ana",
        action,
    };
    history.push(at, &Input::Command(command));
}

#[test]
fn p5_sensors_take_other_rules_over_in_steps_and_all_of_them_do() {
    let mut history = History::new(city(1));
    (0..SENSORS).for_each(|sensor| push(&mut history, MIDNIGHT, sensor, 4.0));
    // Without the rule by which they were seen to be abnormal.
    let mut other = Bundle::clone(&city(1));
    other
        .detections
        .retain(|rule| rule.name.as_str() != "level-high");
    other.correlations.clear();
    other.hash.0[0] ^= 1;
    history.reload(MIDNIGHT + Millis::seconds(1), Arc::new(other));
    let (judgement, _) = history.judge(&Manner::plain());
    let next = judgement.next_due();
    assert_eq!(next, Some(MIDNIGHT + Millis::seconds(1) + RELOAD_STEP));
    let steps = RELOAD_STEP.0 * (RELOAD_BUCKETS_APART * 10) as i64;
    history.push(MIDNIGHT + Millis::seconds(1) + Millis(steps), &Input::Tick);
    let (judgement, _) = history.judge(&Manner::plain());
    // Nobody waits any more: what is due next is whether anybody is silent.
    assert!(judgement.next_due() > Some(MIDNIGHT + Millis::minutes(1)));
    assert_eq!(judgement.audit(), []);
}

#[test]
fn p5_sensors_wait_for_so_many_reloads_and_with_one_more_all_take_over() {
    // Nobody is abnormal any more by rules that are gone: the incident is over for as long as that
    // takes from when the last of its sensors has taken over.
    let cleared_after = |reloads: usize| {
        let mut history = History::new(city(1));
        (0..SENSORS).for_each(|sensor| push(&mut history, MIDNIGHT, sensor, 4.0));
        let without = |number: u8| {
            let mut other = Bundle::clone(&city(1));
            let kept = |name: &str| name == "level-silent";
            other.detections.retain(|rule| kept(rule.name.as_str()));
            other.hash.0[0] ^= number;
            Arc::new(other)
        };
        let bundles = [without(1), without(2)];
        let first = MIDNIGHT + Millis::seconds(10);
        for number in 0..reloads {
            let at = first + Millis(number as i64);
            history.reload(at, Arc::clone(&bundles[number % 2]));
        }
        let last = first + Millis(reloads as i64 - 1);
        history.push(first + Millis::seconds(90), &Input::Tick);
        let (judgement, decisions) = history.judge(&Manner::plain());
        assert_eq!(judgement.audit(), []);
        let cleared = |verdict: &Verdict| matches!(verdict, Verdict::IncidentCleared(_));
        let cleared = decisions.iter().filter(|one| cleared(&one.verdict));
        cleared.map(|one| one.at - last).max().unwrap()
    };
    assert!(cleared_after(RELOADS_WAITED_FOR_MAX) > Millis::minutes(1));
    assert_eq!(
        cleared_after(RELOADS_WAITED_FOR_MAX + 1),
        Millis::minutes(1)
    );
}

#[test]
fn all_that_fall_silent_at_one_instant_are_told_one_of_a_bucket_a_millisecond() {
    let mut history = History::new(city(0));
    (0..SENSORS).for_each(|sensor| push(&mut history, MIDNIGHT, sensor, 0.0));
    let is_silent = |verdict: &Verdict| matches!(verdict, Verdict::SensorSilent(_));
    let allowed = MIDNIGHT + Millis::minutes(4);
    let (most, named) = at_most(&history, allowed + Millis(20), is_silent);
    assert_eq!(named.len(), SENSORS);
    // Of 500 sensors in 1,024 buckets some are not alone in theirs.
    assert!(most < SENSORS, "{most} at once");
}
