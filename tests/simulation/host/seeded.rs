//! The simulation over many seeds, and the proof that it would notice a broken promise.

use std::panic::{self, AssertUnwindSafe};

use super::model::Reached;
use super::sabotage::Sabotage;
use super::world::World;
use crate::seeds::{self, Story};

/// How many seeds are tried as a rule.
const SEEDS: u64 = 1000;
/// How many seeds a broken promise may hide from.
const HIDES_FROM_MAX: u64 = 100;

/// One run: what it came to, or what it broke.
fn run(seed: u64, sabotage: Sabotage, story: Option<&mut Story>) -> Result<Reached, String> {
    let mut world = World::new(seed, sabotage, story.is_some());
    let ran = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Some(story) = story {
        *story = world.story();
    }
    match ran {
        Ok(ran) => ran.map_err(|broken| broken.to_string()),
        Err(_) => Err("it panicked".into()),
    }
}

#[test]
fn the_host_keeps_its_promises_whatever_happens() {
    let runs = seeds::each(SEEDS, |seed, story| run(seed, Sabotage::None, story));
    let count = runs.len();
    let mut all = Reached::default();
    runs.into_iter().for_each(|run| all.add(&run));
    println!("{count} seeds came to {all:#?}");
    if count as u64 >= SEEDS {
        let missing = all.missing();
        assert!(missing.is_empty(), "no seed came to {missing:?}");
    }
}

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in 0..20 {
        let [mut once, mut again] = [Story::new(), Story::new()];
        let outcome = run(seed, Sabotage::None, Some(&mut once));
        assert_eq!(outcome, run(seed, Sabotage::None, Some(&mut again)));
        let differs = once.iter().zip(&again).find(|(once, again)| once != again);
        assert_eq!((differs, once.len()), (None, again.len()), "seed {seed}");
    }
}

/// A promise that is broken on purpose is found broken, and no other before it in any seed.
fn is_noticed(sabotage: Sabotage, promises: &[&str]) {
    let found = seeds::first_failing(HIDES_FROM_MAX, |seed| run(seed, sabotage, None));
    let (seed, why) = found.expect("a broken promise is noticed");
    println!("{sabotage:?} is noticed with seed {seed}: {why}");
    let expected = promises.iter().any(|promise| why.starts_with(promise));
    assert!(expected, "seed {seed}: {why}");
}

#[test]
fn p1_acknowledging_before_durable_is_noticed() {
    is_noticed(
        Sabotage::AcknowledgeBeforeDurable,
        &["P1NothingAcknowledgedIsLost"],
    );
}

#[test]
fn p1_p7_losing_what_is_folded_is_noticed() {
    is_noticed(Sabotage::LoseWhatIsFolded, &["P1NothingAcknowledgedIsLost"]);
}

#[test]
fn releasing_before_durable_is_noticed() {
    is_noticed(Sabotage::ReleaseBeforeDurable, &["NumbersKeepTheirMeaning"]);
}

#[test]
fn answering_before_durable_is_noticed() {
    is_noticed(Sabotage::AnswerBeforeDurable, &["AnsweredCommandsHold"]);
}

#[test]
fn forgetting_the_mark_is_noticed() {
    is_noticed(
        Sabotage::ForgetTheMark,
        &["ItStartsAgain", "P2SameInputsSameDecisions"],
    );
}

#[test]
fn forgetting_an_acknowledgement_is_noticed() {
    is_noticed(Sabotage::ForgetAcknowledgements, &["Liveness"]);
}

#[test]
fn p4_a_decision_that_is_not_shown_is_noticed() {
    is_noticed(Sabotage::HideADecision, &["P4NoGaps"]);
}

#[test]
fn inv_39_forgetting_that_something_may_be_sent_once_is_noticed() {
    is_noticed(
        Sabotage::ForgetTheEffect,
        &["CommandsReachDevicesAsOrdered"],
    );
}
