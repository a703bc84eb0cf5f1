//! What something would have kept quiet: told beforehand as it comes when it is there.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use ioc_core::bundle::{Bundle, Test};
use ioc_core::decision::{Decision, Evidence, How, Matcher, SuppressionState, Verdict};
use ioc_core::id::{IncidentId, RuleId};
use ioc_core::judgement::Judgement;
use ioc_core::limits::NOTED_MAX;
use ioc_core::noted::{Noting, WouldHide, would_hide};
use ioc_core::record::{Action, Command, Input, Quieted, Record, Suppress};
use ioc_core::rules::Rules;
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;

use crate::support::{History, MIDNIGHT, Manner};
use crate::workload::{SENSORS, Variant, bundle, day, history};

/// What is to be kept quiet.
#[derive(Debug, Clone)]
struct Silence {
    how: How,
    matcher: Matcher,
}

fn silence() -> impl Strategy<Value = Silence> {
    let sensor = || 0..SENSORS.len();
    let of = |sensor: &str, zone: &str, kind: &str, rule: &str| Matcher {
        sensor: sensor.parse().ok(),
        zone: zone.parse().ok(),
        kind: kind.parse().ok(),
        rule: rule.parse().ok(),
    };
    let rules = prop::sample::select(&[
        "level-high",
        "smoke-high",
        "call-wet",
        "level-silent",
        "level-long",
    ]);
    let shelved = prop_oneof![
        3 => sensor().prop_map(move |it| of(SENSORS[it].0, "", "", "")),
        2 => sensor().prop_map(move |it| of("", "", SENSORS[it].1, "")),
        2 => sensor().prop_map(move |it| of(SENSORS[it].0, "west", "", "")),
        3 => Just(of("", "west", "", "")),
        2 => rules.prop_map(move |it| of("", "", "", it)),
    ];
    let shelved = shelved.prop_map(|matcher| Silence {
        how: How::Shelved,
        matcher,
    });
    let out_of_service = sensor().prop_map(move |it| Silence {
        how: How::OutOfService,
        matcher: of(SENSORS[it].0, "", "", ""),
    });
    prop_oneof![4 => shelved, 1 => out_of_service]
}

/// The day without what people keep quiet themselves and without other rules, up to when the
/// longest shelving would end.
fn plain(mut history: History) -> History {
    let until = end();
    let is_first = |seq: usize| seq == 0;
    let inputs = history.inputs.into_iter().enumerate();
    let kept = inputs.filter(|(seq, (at, bytes))| {
        let is_kept = match Input::decode(bytes).unwrap() {
            Input::Reload(_) => is_first(*seq),
            Input::Command(command) => !matches!(
                command.action,
                Action::Suppress(_) | Action::Resuppress { .. }
            ),
            _ => true,
        };
        is_kept && *at < until - Millis::minutes(2)
    });
    history.inputs = kept.map(|(_, input)| input).collect();
    // What was counted is told by then.
    history.push(until - Millis(1), &Input::Tick);
    history
}

fn end() -> Timestamp {
    MIDNIGHT + Millis::minutes(7 * 60)
}

/// The same day with something kept quiet from its beginning on.
fn silenced(plain: &History, silence: &Silence) -> History {
    let matcher = &silence.matcher;
    let suppress = Suppress {
        how: silence.how,
        target: Quieted::Detections {
            sensor: matcher.sensor.as_ref().map_or("", |it| it.as_str()),
            zone: matcher.zone.as_ref().map_or("", |it| it.as_str()),
            kind: matcher.kind.as_ref().map_or("", |it| it.as_str()),
            rule: matcher.rule.as_ref().map_or("", |it| it.as_str()),
        },
        until: end(),
        reason: "works",
    };
    let mut silenced = plain.clone();
    let mut bytes = Vec::new();
    Input::Command(Command {
        request: "the-silence",
        actor: "ana",
        action: Action::Suppress(suppress),
    })
    .encode(&mut bytes);
    silenced.inputs.insert(1, (plain.inputs[0].0, bytes));
    silenced
}

/// Judges a day; also what was noted, and that nobody can tell whether it was.
fn judged(history: &History) -> (Vec<Decision>, Noting) {
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    for bundle in &history.bundles {
        judgement.provide(Arc::clone(bundle));
    }
    judgement.note_what_counts();
    let records: Vec<Record<'_>> = history.records();
    let mut decisions = Vec::new();
    judgement.apply(&records, &mut decisions);
    let noting = judgement.take_noted();
    assert_eq!(noting.lost, 0);
    (decisions, noting)
}

fn previewed(history: &History, bundle: &Arc<Bundle>, silence: &Silence) -> WouldHide {
    let (_, noting) = judged(history);
    let rules = Rules::new(Arc::clone(bundle));
    would_hide(&rules, silence.how, &silence.matcher, &noting.noted)
}

/// How what was kept quiet stood at the end.
fn stood(decisions: &[Decision]) -> Option<&SuppressionState> {
    let told = decisions.iter().rev();
    let mut told = told.filter_map(|decision| decision.verdict.suppression());
    told.next()
}

/// The readings that each incident was made of, by its rule; of those that opened by readings, not by
/// parting from another.
type Made = BTreeMap<IncidentId, (RuleId, Vec<Evidence>)>;

fn made(decisions: &[Decision]) -> Made {
    let mut made = Made::new();
    for decision in decisions {
        let Some(incident) = decision.verdict.incident() else {
            continue;
        };
        let opens = matches!(decision.verdict, Verdict::IncidentOpened(_));
        let rests_on_readings = !decision.cause.evidence.is_empty();
        if let (true, true, Some(rule)) = (opens, rests_on_readings, &decision.cause.rule) {
            made.insert(incident.id, (rule.clone(), Vec::new()));
        }
        if let Some((_, evidence)) = made.get_mut(&incident.id) {
            evidence.extend(decision.cause.evidence.iter().cloned());
        }
    }
    made
}

/// Rules that are about one sensor each.
const OF_ONE_SENSOR_EACH: [Variant; 4] = [
    Variant::Usual,
    Variant::Asking,
    Variant::Handling,
    Variant::AskingOtherwise,
];

/// Whether no rule is about several sensors: what is hidden begins no sequence, either.
fn is_of_one_sensor_each(bundle: &Bundle) -> bool {
    bundle.detections.iter().all(|rule| {
        !matches!(
            rule.test,
            Test::Sequence(_) | Test::SiteSilence(_) | Test::Across(_) | Test::Alone(_)
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(480))]

    #[test]
    fn what_a_suppression_would_have_hidden_is_what_it_hides(
        mut day in day(),
        first in prop::sample::select(&OF_ONE_SENSOR_EACH),
        silence in silence(),
    ) {
        day.first = first;
        let day_of = history(&day);
        let bundle = Arc::clone(&day_of.bundles[0]);
        prop_assert!(bundle.suppression.windows.is_empty() && is_of_one_sensor_each(&bundle));
        let plain = plain(day_of);
        let told = previewed(&plain, &bundle, &silence);
        let (decisions, _) = judged(&silenced(&plain, &silence));
        let refused = decisions.iter().any(|decision| {
            let asked = decision.cause.request.as_ref();
            matches!(decision.verdict, Verdict::CommandRefused(_))
                && asked.is_some_and(|(request, _)| request.as_str() == "the-silence")
        });
        prop_assume!(!refused);
        let state = stood(&decisions).unwrap();
        prop_assert_eq!(
            (told.detections + told.of_sensors, told.let_through),
            (state.detections, state.let_through)
        );
        // What rests on nothing else is not told.
        let (before, _) = judged(&plain);
        let after = made(&decisions);
        for (id, (rule, evidence)) in made(&before) {
            let rule = bundle.correlations.iter().find(|own| own.name == rule).unwrap();
            let hidden = |it: &Evidence| {
                told.hides(&it.sensor, it.seq, &rule.detections) == Some(true)
            };
            if !evidence.is_empty() && evidence.iter().all(hidden) {
                // Another rule may open one of the same kind, by the same reading.
                let told = after.get(&id).is_some_and(|(by, _)| *by == rule.name);
                prop_assert!(!told, "{} is told all the same", id);
            }
        }
    }

    #[test]
    fn p2_noting_what_counts_changes_nothing(day in day()) {
        let history = history(&day);
        let (noted, _) = judged(&history);
        prop_assert_eq!(noted, history.run(&Manner::plain()).decisions);
    }
}

/// What a gauge says, minute by minute, under the usual rules.
fn gauge(values: &[f64]) -> History {
    let mut history = History::new(bundle(Variant::Usual));
    for (minute, value) in (0..).zip(values) {
        history.say(MIDNIGHT + Millis::minutes(minute), "gauge-1", *value);
    }
    history
}

/// What counts of `level-high` would have been: hidden, told as extreme.
fn hidden(values: &[f64], how: How) -> (u64, u64) {
    let history = gauge(values);
    let matcher = Matcher {
        sensor: "gauge-1".parse().ok(),
        zone: None,
        kind: None,
        rule: (how == How::Shelved).then(|| "level-high".parse().unwrap()),
    };
    let silence = Silence { how, matcher };
    let told = previewed(&history, &history.bundles[0], &silence);
    (told.detections, told.let_through)
}

#[test]
fn what_is_extreme_would_have_been_told_unless_its_sensor_is_out_of_service() {
    assert_eq!(hidden(&[3.5, 3.5], How::Shelved), (1, 0));
    assert_eq!(hidden(&[5.5], How::Shelved), (0, 1));
    // What becomes extreme was hidden until then.
    assert_eq!(hidden(&[3.5, 5.5, 5.5], How::Shelved), (1, 1));
    assert_eq!(hidden(&[3.5, 1.0, 1.0, 4.5], How::Shelved), (2, 0));
    assert_eq!(hidden(&[5.5], How::OutOfService).1, 0);
    assert_eq!(hidden(&[5.5], How::OutOfService).0, 1);
}

#[test]
fn p5_no_more_is_noted_than_the_bound_and_what_went_is_counted() {
    let mut history = History::new(bundle(Variant::Usual));
    let at = |second: usize| MIDNIGHT + Millis::seconds(second as i64);
    // Of three readings the first raises, the last clears.
    for number in 0..=NOTED_MAX / 2 {
        history.say(at(3 * number), "gauge-1", 3.5);
        history.say(at(3 * number + 1), "gauge-1", 1.0);
        history.say(at(3 * number + 2), "gauge-1", 1.0);
    }
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    judgement.provide(Arc::clone(&history.bundles[0]));
    judgement.note_what_counts();
    judgement.apply(&history.records(), &mut Vec::new());
    let noting = judgement.take_noted();
    assert_eq!((noting.noted.len(), noting.lost), (NOTED_MAX, 2));
}
