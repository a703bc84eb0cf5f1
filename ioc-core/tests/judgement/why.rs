//! Why, and why not: of each reading the step that stopped it, and nothing judged otherwise by asking.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Aggregate, Bundle, Direction};
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::explain::{Explanation, Fate};
use ioc_core::judgement::Judgement;
use ioc_core::record::Input;
use ioc_core::time::Millis;
use proptest::prelude::*;

use crate::support::{BundleBuilder, History, Manner, metres};
use crate::timeline::history;
use crate::workload::{day, history as history_of};

/// Gauges 600 m and 5 km apart that need two readings, and two of them a flood; and one sensor for
/// each other question.
fn city() -> Arc<Bundle> {
    BundleBuilder::new()
        .sensor("river-1", "level", metres(0, 0))
        .sensor("river-2", "level", metres(600, 0))
        .sensor("river-9", "level", metres(5_000, 0))
        .sensor("creek", "creek", metres(0, 900))
        .sensor("rain", "rain", metres(0, 1_000))
        .sensor("dust", "dust", metres(0, 2_000))
        .threshold("high", "level", &[(Moderate, 3.0), (Severe, 4.0)], |rule| {
            rule.clear_gap = 0.5;
            rule.readings_min = 2;
            rule.lasting = Millis::minutes(1);
            rule.clear_readings_min = 2;
        })
        .threshold("rising", "creek", &[(Moderate, 0.3)], |_| ())
        .of_change(Direction::Rises, Millis::minutes(15))
        .threshold("hour", "rain", &[(Moderate, 20.0)], |_| ())
        .of_window(Aggregate::Sum, Millis::minutes(60), Millis::minutes(10))
        .threshold("dusty", "dust", &[(Moderate, 5.0)], |_| ())
        .correlation("floods", "flood", &["high", "rising"], |rule| {
            rule.within_m = 1_000;
            rule.sources_min = 2;
        })
        .build()
}

/// What became of each reading.
fn explained(history: &History) -> Vec<Explanation> {
    let mut judgement = Judgement::new(NonZeroUsize::MIN);
    for bundle in &history.bundles {
        judgement.provide(Arc::clone(bundle));
    }
    let mut explained = Vec::new();
    for record in history.records() {
        let explanation = judgement.explain(&record);
        if matches!(record.input, Input::Reading(_)) {
            explained.push(explanation);
        }
    }
    explained
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    let city = city();
    let lines = explained(&history(&[("first", &city)], timeline));
    let lines: String = lines.iter().map(tell).collect();
    expected.assert_eq(&lines);
}

fn tell(explanation: &Explanation) -> String {
    let mut text = explanation.fate.word().to_owned();
    if explanation.from_the_future {
        text += " from the future";
    }
    for look in &explanation.rules {
        write!(text, "; {} {}", look.rule, look.outcome).unwrap();
        if look.waits_until.is_some() {
            text += " waits";
        }
        let Some(levels) = &look.levels else { continue };
        for level in &levels.levels {
            let (have, need) = level.readings;
            let beyond = levels.beyond(level.level);
            let beyond = beyond.map_or("?".to_owned(), |beyond| format!("{beyond:.2}"));
            write!(text, " {} {beyond} {have}/{need}", level.severity.word()).unwrap();
        }
        if look.takers.is_empty() {
            text += " untaken";
        }
    }
    for case in &explanation.cases {
        let what = if case.incident.is_some() {
            "incident"
        } else {
            "candidate"
        };
        let (weight, needed) = case.weight;
        write!(text, "; {} {what} {weight}/{needed}", case.rule).unwrap();
        for other in &case.neighbours {
            write!(text, " {} {} m", other.sensor, other.distance_m).unwrap();
        }
    }
    let before = explanation
        .decided_before
        .iter()
        .map(|it| format!(" before:{}", it.verdict.word()));
    let words = explanation
        .decided
        .iter()
        .map(|it| format!(" {}", it.verdict.word()));
    text + &before.chain(words).collect::<String>() + "\n"
}

#[test]
fn alertmanager_4205_4120_of_a_reading_that_led_to_nothing_the_step_that_stopped_it_is_told() {
    check(
        "10:00 river-1 2.8
         10:01 river-1 3.5 id=again
         10:01 river-1 3.5 id=again
         10:01:30 river-1 3.6
         10:01:40 river-1 3.6 observed=09:00
         10:01:50 river-1 2.7
         10:02 river-1 3.6 observed=11:00
         10:03 stranger 1 kind=nothing
         10:04 dust 9
         10:05 river-9 3.5
         10:06 river-9 3.6
         10:07 river-2 3.5
         10:08 river-2 4.5
         10:09 river-2 1.0
         10:10 river-2 1.0",
        expect![[r#"
            judged; high normal moderate -0.20 0/2 severe -1.20 0/2
            judged; high pending moderate 0.50 1/2 severe -0.50 0/2
            duplicate
            judged; high pending moderate 0.60 2/2 severe -0.40 0/2
            judged; high late moderate 0.60 2/2 severe -0.40 0/2
            judged; high normal moderate -0.30 0/2 severe -1.30 0/2
            judged from the future; high pending moderate 0.60 1/2 severe -0.40 0/2
            no_rule
            judged; dusty raised moderate 4.00 1/1 untaken
            judged; high pending moderate 0.50 1/2 severe -0.50 0/2
            judged; high raised moderate 0.60 2/2 severe -0.40 0/2; floods candidate 1/2
            judged; high pending moderate 0.50 1/2 severe -0.50 0/2
            judged; high raised moderate 1.50 2/2 severe 0.50 1/2; floods candidate 1/2 river-9 4393 m
            judged; high held moderate -2.00 0/2 severe -3.00 0/2; floods candidate 1/2 river-9 4393 m
            judged; high cleared moderate -2.00 0/2 severe -3.00 0/2
        "#]],
    );
}

#[test]
fn a_change_a_window_and_their_waiting_are_told() {
    check(
        "10:00 creek 0.1
         10:05 creek 0.1
         10:10 creek 0.2
         10:15 creek 0.6
         10:20 creek 0.9
         10:20 rain 12
         10:30 rain 30",
        expect![[r#"
            judged; rising unknown moderate ? 0/1
            judged; rising unknown moderate ? 0/1
            judged; rising unknown moderate ? 0/1
            judged; rising raised moderate 0.00 1/1; floods candidate 1/2
            judged; rising evidence moderate 0.50 2/1; floods candidate 1/2
            judged; hour gathered waits moderate -8.00 0/1 untaken
            judged; hour gathered waits moderate 22.00 0/1 untaken
        "#]],
    );
}

proptest! {
    /// Who asks changes nothing: neither what is decided nor the state.
    #[test]
    fn p6_asking_why_of_every_record_changes_nothing(day in day()) {
        let history = history_of(&day);
        let mut judgement = Judgement::new(NonZeroUsize::MIN);
        for bundle in &history.bundles {
            judgement.provide(Arc::clone(bundle));
        }
        let mut decisions = Vec::new();
        for record in history.records() {
            let explanation = judgement.explain(&record);
            let is_judged = explanation.fate == Fate::Judged;
            prop_assert!(is_judged || explanation.rules.is_empty());
            for look in &explanation.rules {
                prop_assert!(!look.outcome.is_empty());
            }
            decisions.extend(explanation.decided_before);
            decisions.extend(explanation.decided);
        }
        let outcome = history.run(&Manner::plain());
        prop_assert_eq!(decisions, outcome.decisions);
        prop_assert_eq!(judgement.digest(), outcome.digest);
    }
}
