//! The simulation over many seeds, and the proof that it would notice.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use super::sabotage::Sabotage;
use super::world::World;
use crate::seeds::{self, Story};

/// One run: what it reached, or what it broke.
fn run(
    seed: u64,
    sabotage: Sabotage,
    story: Option<&mut Story>,
) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut world = World::new(seed, sabotage, story.is_some());
    let ran = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Some(story) = story {
        *story = world.story();
    }
    let model = match ran {
        Ok(ran) => ran.map_err(|broken| broken.to_string())?,
        Err(_) => return Err("it panicked".into()),
    };
    let model = model.lock().unwrap();
    Ok(model.reached.clone())
}

#[test]
fn the_host_keeps_its_promises_whatever_happens() {
    let reached = seeds::each(1000, |seed, story| run(seed, Sabotage::None, story));
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, count) in reached.into_iter().flatten() {
        *sums.entry(what).or_default() += count;
    }
    println!("{sums:#?}");
}

fn is_noticed(sabotage: Sabotage) {
    let found = seeds::first_failing(200, |seed| run(seed, sabotage, None));
    let (seed, why) = found.expect("a broken promise is noticed");
    println!("{sabotage:?}: seed {seed}: {why}");
}

#[test]
fn acknowledging_before_durable_is_noticed() {
    is_noticed(Sabotage::AcknowledgeBeforeDurable);
}

#[test]
fn releasing_before_durable_is_noticed() {
    is_noticed(Sabotage::ReleaseBeforeDurable);
}

#[test]
fn answering_before_durable_is_noticed() {
    is_noticed(Sabotage::AnswerBeforeDurable);
}

#[test]
fn forgetting_the_mark_is_noticed() {
    is_noticed(Sabotage::ForgetTheMark);
}
