//! Which seeds are tried, and what is told of one that fails.

use std::{env, thread};

/// What a seed's run said of itself: a line for each thing that happened.
pub type Story = Vec<String>;

/// Tries seeds, `usual` of them unless the environment says otherwise; panics with the story of the
/// first that fails. `run` is given the seed, and where to tell its story if it shall be told.
pub fn each<T>(
    usual: u64,
    mut run: impl FnMut(u64, Option<&mut Story>) -> Result<T, String>,
) -> Vec<T> {
    let number = |name| env::var(name).ok().map(|text| text.parse().unwrap());
    if let Some(seed) = number("IOC_TEST_SEED") {
        let mut story = Story::new();
        let outcome = run(seed, Some(&mut story));
        eprintln!("{}", story.join("\n"));
        return vec![outcome.unwrap()];
    }
    let seeds = number("IOC_TEST_SEEDS").unwrap_or(usual);
    let mut results = Vec::new();
    for seed in 0..seeds {
        match run(seed, None) {
            Ok(result) => results.push(result),
            Err(why) => {
                let mut story = Story::new();
                let again = run(seed, Some(&mut story)).err();
                let again = again.is_some_and(|again| again == why);
                let test = thread::current().name().unwrap_or_default().to_owned();
                panic!(
                    "seed {seed}: {why}\n{}\nseed {seed}: {why}\n(the same again: {again})\n\
                     IOC_TEST_SEED={seed} cargo test --test simulation {test}",
                    story.join("\n")
                );
            }
        }
    }
    results
}

/// The first seed of so many that fails, and why.
pub fn first_failing<T>(
    seeds: u64,
    mut run: impl FnMut(u64) -> Result<T, String>,
) -> Option<(u64, String)> {
    (0..seeds).find_map(|seed| run(seed).err().map(|why| (seed, why)))
}
