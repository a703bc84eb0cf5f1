//! Correlation rules that a reload changes or takes away: their incidents clear in steps, whatever
//! comes meanwhile, and nobody can tell how far that has come by shards, batches or restarts.

use std::collections::BTreeSet;
use std::sync::Arc;

use expect_test::expect;
use ioc_core::bundle::{Bundle, CorrelationRule};
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::decision::{Cause, Decision, RefusalCode, Step, Verdict};
use ioc_core::id::IncidentId;
use ioc_core::judgement::Judgement;
use ioc_core::limits::{LEAVING_PER_STEP, LEAVING_STEP, RELOADS_WAITED_FOR_MAX};
use ioc_core::record::{Action, Ask, Command, Input};
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::check_reloading;

/// So many that they leave in several steps.
const GAUGES: usize = 4 * LEAVING_PER_STEP;

/// How long a step is, as a number.
const STEP: i64 = LEAVING_STEP.0;

/// A city in which each gauge is a flood by itself, by a rule of this sort; of sort 0 by none.
fn city(sort: u8) -> Arc<Bundle> {
    city_of(GAUGES, sort)
}

fn city_of(gauges: usize, sort: u8) -> Arc<Bundle> {
    let mut builder =
        BundleBuilder::new().threshold("level-high", "level", &[(Moderate, 3.0)], |_| ());
    for number in 0..gauges {
        let place = metres(number as i32 % 20 * 400, number as i32 / 20 * 400);
        builder = builder.sensor(&gauge(number), "level", place);
    }
    if sort > 0 {
        builder = builder.correlation("floods", "flood", &["level-high"], |rule| {
            rule.within_m = 100 + u32::from(sort);
            rule.clear_after = Millis::minutes(1);
            rule.reopen_within = Millis::minutes(i64::from(sort));
            rule.sources_min = 1;
        });
    }
    builder.build()
}

fn gauge(number: usize) -> String {
    format!("gauge-{number:03}")
}

fn say(history: &mut History, at: Timestamp, number: usize, value: f64) {
    history.say(at, &gauge(number), value);
}

fn ask(history: &mut History, at: Timestamp, incident: IncidentId, ask: Ask) {
    let request = format!("q{}", history.inputs.len());
    let command = Command {
        request: &request,
        actor: "ana",
        action: Action::About {
            incident,
            ask,
            note: "",
            sources: "",
        },
    };
    history.push(at, &Input::Command(command));
}

/// All gauges are high under the first rule.
fn all_high() -> History {
    all_high_of(GAUGES)
}

fn all_high_of(gauges: usize) -> History {
    let mut history = History::new(city_of(gauges, 1));
    (0..gauges).for_each(|number| say(&mut history, MIDNIGHT, number, 4.0));
    history
}

const RELOADED: Timestamp = Timestamp::from_millis(MIDNIGHT.as_millis() + 1_000);

fn cleared(decisions: &[Decision]) -> Vec<IncidentId> {
    let cleared = decisions.iter().filter_map(|one| match &one.verdict {
        Verdict::IncidentCleared(incident) => Some(incident.id),
        _ => None,
    });
    cleared.collect()
}

fn judge(history: &History) -> (Judgement, Vec<Decision>) {
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.audit(), []);
    (judgement, decisions)
}

/// Callers in a square, of whom two open a crush, and a gauge that one reading opens a flood of.
fn square(set: impl Fn(&mut CorrelationRule)) -> Arc<Bundle> {
    let builder = BundleBuilder::new()
        .sensor("river-1", "level", metres(9_000, 0))
        .threshold("level-high", "level", &[(Moderate, 3.0)], |_| ())
        .report("call", "call", Severe, Millis::minutes(180));
    let builder = builder.correlation("crushes", "crush", &["call"], |rule| {
        rule.sources_min = 2;
        set(rule);
    });
    let builder = builder.correlation("floods", "flood", &["level-high"], |rule| {
        rule.clear_after = Millis::minutes(10);
        set(rule);
    });
    builder.build()
}

#[test]
fn a_rule_that_relates_as_before_goes_on_with_its_incidents_and_what_waits() {
    let before = square(|_| ());
    let slower = square(|rule| rule.clear_after = Millis::minutes(30));
    let keener = square(|rule| rule.sources_min = 1);
    check_reloading(
        &[
            ("before", &before),
            ("slower", &slower),
            ("keener", &keener),
        ],
        "10:00 caller 1 kind=call at=0,0
         10:00 river-1 4
         10:05 reload slower
         10:06 caller 2 kind=call at=10,0
         10:07 river-1 1
         10:30 river-1 1
         10:40 caller 3 kind=call at=5000,0
         10:41 reload keener
         10:42 caller 4 kind=call at=5010,0
         10:43 caller 5 kind=call at=0,5000",
        &expect![[r#"
            10:00 opened flood#1 moderate: river-1 4
            10:05 rules_changed
            10:06 opened crush#1 severe 2 sensors: caller 1, caller 2 10 m
            10:37 cleared flood#1 moderate
            10:41 rules_changed
            10:42 opened crush#2 severe 2 sensors: caller 3, caller 4 10 m
            10:43 opened crush#3 severe: caller 5
        "#]],
    );
}

#[test]
fn a_rule_that_relates_otherwise_begins_anew() {
    let wider = square(|rule| rule.within_m = 900);
    check_reloading(
        &[("before", &square(|_| ())), ("wider", &wider)],
        "10:00 river-1 4
         10:05 reload wider
         10:06 river-1 4",
        &expect![[r#"
            10:00 opened flood#1 moderate: river-1 4
            10:05 rules_changed
            10:05 cleared flood#1 moderate
            10:06 opened flood#2 moderate: river-1 4
        "#]],
    );
}

#[test]
fn p5_incidents_of_a_rule_that_goes_or_changes_clear_in_steps() {
    for sort in [0, 2] {
        let mut history = all_high();
        let first = history.inputs.len();
        history.reload(RELOADED, city(sort));
        for step in 0..4 {
            let at = RELOADED + Millis(step * STEP);
            history.push(at, &Input::Tick);
            let (judgement, decisions) = judge(&history);
            let done = LEAVING_PER_STEP * (step as usize + 1);
            assert_eq!(cleared(&decisions).len(), done, "after step {step}");
            let left = judgement.counters().incidents_live as usize;
            assert_eq!(left, GAUGES - done);
            // Sensors take over meanwhile, too.
            let next = judgement.next_due();
            assert!(left == 0 || next == Some(at + LEAVING_STEP), "{next:?}");
        }
        let (_, decisions) = judge(&history);
        let cleared = cleared(&decisions);
        assert!(cleared.is_sorted(), "in the order of their ids");
        let each: BTreeSet<_> = cleared.iter().collect();
        assert_eq!(each.len(), GAUGES);
        let by_reload = decisions.iter().filter(|one| {
            let Cause {
                rule, due, request, ..
            } = &one.cause;
            let is_end = matches!(one.verdict, Verdict::IncidentCleared(_));
            is_end && rule.is_none() && due.is_none() && request.is_none()
        });
        let count = by_reload.count();
        assert_eq!(count, GAUGES, "no rule is the cause, no timer and nobody");
        history.assert_restarts_from(first);
    }
}

#[test]
fn what_leaves_takes_no_more_members_and_what_comes_is_of_the_new_rule() {
    let mut history = all_high();
    let first = history.inputs.len();
    history.reload(RELOADED, city(2));
    let (_, before) = judge(&history);
    // A gauge whose incident has its turn last says more.
    let gone: BTreeSet<_> = cleared(&before).into_iter().collect();
    let opened = before.iter().filter_map(|one| match &one.verdict {
        Verdict::IncidentOpened(incident) => Some((incident.id, &one.cause.evidence[0].sensor)),
        _ => None,
    });
    let (left, sensor) = opened.filter(|(id, _)| !gone.contains(id)).max().unwrap();
    let number: usize = sensor.as_str()["gauge-".len()..].parse().unwrap();
    say(&mut history, RELOADED, number, 4.5);
    let (_, decisions) = judge(&history);
    let opened = decisions.last().unwrap();
    let Verdict::IncidentOpened(incident) = &opened.verdict else {
        panic!("{opened:?} opens none");
    };
    assert_ne!(incident.id, left);
    assert_eq!(incident.readings, 1);
    history.push(RELOADED + Millis::seconds(1), &Input::Tick);
    let (judgement, decisions) = judge(&history);
    let told = decisions.iter().rfind(|one| {
        let incident = one.verdict.incident();
        incident.is_some_and(|incident| incident.id == left)
    });
    let told = &told.unwrap().verdict;
    assert!(matches!(told, Verdict::IncidentCleared(incident) if incident.readings == 1));
    assert_eq!(judgement.counters().incidents_live, 1);
    history.assert_restarts_from(first);
}

#[test]
fn whoever_asks_about_what_leaves_finds_it_over() {
    let mut history = all_high();
    let first = history.inputs.len();
    history.reload(RELOADED, city(0));
    let (_, before) = judge(&history);
    let gone: BTreeSet<_> = cleared(&before).into_iter().collect();
    let opened = before.iter().filter_map(|one| match &one.verdict {
        Verdict::IncidentOpened(incident) => Some(incident.id),
        _ => None,
    });
    let left: Vec<_> = opened.filter(|id| !gone.contains(id)).collect();
    let [one, two, three, ..] = left[..] else {
        panic!("none is left");
    };
    ask(&mut history, RELOADED, one, Ask::Step(Step::Acknowledge));
    ask(&mut history, RELOADED, two, Ask::Merge(three));
    let (_, decisions) = judge(&history);
    let [.., clears, acknowledged, second, third, refused] = &decisions[..] else {
        panic!("less was decided");
    };
    assert_eq!(cleared(std::slice::from_ref(clears)), [one]);
    assert!(matches!(&acknowledged.verdict,
        Verdict::IncidentAcknowledged(incident) if incident.id == one));
    assert_eq!(cleared(&[second.clone(), third.clone()]), [two, three]);
    assert!(matches!(&refused.verdict,
        Verdict::CommandRefused(refusal) if refusal.code == RefusalCode::IncidentOver));
    history.push(RELOADED + Millis::seconds(1), &Input::Tick);
    let (judgement, decisions) = judge(&history);
    assert_eq!(cleared(&decisions).len(), GAUGES);
    assert_eq!(judgement.counters().incidents_live, 0);
    history.assert_restarts_from(first);
}

#[test]
fn a_rule_that_comes_back_while_its_incidents_leave_begins_anew() {
    let mut history = all_high();
    let first = history.inputs.len();
    history.reload(RELOADED, city(0));
    history.reload(RELOADED + LEAVING_STEP, city(1));
    (0..GAUGES).for_each(|number| say(&mut history, RELOADED + LEAVING_STEP, number, 4.5));
    history.push(RELOADED + Millis::seconds(1), &Input::Tick);
    let (judgement, decisions) = judge(&history);
    assert_eq!(cleared(&decisions).len(), GAUGES);
    assert_eq!(judgement.counters().incidents_live as usize, GAUGES);
    history.assert_restarts_from(first);
}

#[test]
fn p5_with_one_reload_too_many_what_left_with_the_first_is_gone_at_once() {
    // More than leave with the first step of each.
    let gauges = (RELOADS_WAITED_FOR_MAX + 2) * LEAVING_PER_STEP;
    let mut history = all_high_of(gauges);
    let reload = |history: &mut History, number: usize| {
        history.reload(RELOADED, city_of(gauges, 1 + (number as u8 + 1) % 2));
        // So that each leaves something behind.
        say(history, RELOADED, number, 4.5);
    };
    (0..RELOADS_WAITED_FOR_MAX).for_each(|number| reload(&mut history, number));
    let (_, decisions) = judge(&history);
    assert_eq!(
        cleared(&decisions).len(),
        RELOADS_WAITED_FOR_MAX * LEAVING_PER_STEP
    );
    let records = history.inputs.len();
    reload(&mut history, RELOADS_WAITED_FOR_MAX);
    let (_, decisions) = judge(&history);
    assert!(cleared(&decisions).len() >= gauges);
    history.assert_restarts_from(records);
}

#[derive(Debug, Clone)]
enum What {
    Read(usize, f64),
    Reload(u8),
    Tick,
    Acknowledge(usize),
}

fn events() -> impl Strategy<Value = Vec<(i64, What)>> {
    let value = prop::sample::select(vec![1.0, 4.0, 5.0]);
    let what = prop_oneof![
        6 => (0..GAUGES, value).prop_map(|(gauge, value)| What::Read(gauge, value)),
        3 => (0..3u8).prop_map(What::Reload),
        3 => Just(What::Tick),
        2 => (0..GAUGES).prop_map(What::Acknowledge),
    ];
    let after_ms = prop_oneof![8 => 0..3i64, 1 => 0..100_000i64];
    prop::collection::vec((after_ms, what), 1..40)
}

fn history(events: &[(i64, What)]) -> History {
    let mut history = all_high();
    let (_, decisions) = history.judge(&Manner::plain());
    let opened = decisions.iter().filter_map(|one| match &one.verdict {
        Verdict::IncidentOpened(incident) => Some(incident.id),
        _ => None,
    });
    let opened: Vec<_> = opened.collect();
    let mut now = MIDNIGHT;
    for (after_ms, what) in events {
        now = now + Millis(*after_ms);
        match what {
            What::Read(number, value) => say(&mut history, now, *number, *value),
            What::Reload(sort) => history.reload(now, city(*sort)),
            What::Tick => history.push(now, &Input::Tick),
            What::Acknowledge(number) => {
                ask(
                    &mut history,
                    now,
                    opened[*number],
                    Ask::Step(Step::Acknowledge),
                );
            }
        }
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn p2_what_leaves_is_decided_the_same_by_any_shards_batches_and_restarts(
        events in events(), shards in 1..=8usize, batch in 1..50usize,
        restarts in prop::collection::vec((0..60usize, 1..=8usize), 0..8),
    ) {
        let history = history(&events);
        let restarts = restarts.into_iter().map(|(after, shards)| (GAUGES + after, shards));
        let manner = Manner { shards, batches: vec![batch], restarts: restarts.collect() };
        prop_assert_eq!(history.run(&manner), history.run(&Manner::plain()));
    }

    #[test]
    fn every_invariant_holds_while_incidents_leave(events in events()) {
        let history = history(&events);
        let mut judgement = Judgement::new(std::num::NonZeroUsize::MIN);
        history.bundles.iter().for_each(|bundle| judgement.provide(Arc::clone(bundle)));
        for (number, record) in history.records().into_iter().enumerate() {
            judgement.apply(&[record], &mut Vec::new());
            if number > GAUGES {
                prop_assert_eq!(judgement.audit(), []);
            }
        }
    }
}
