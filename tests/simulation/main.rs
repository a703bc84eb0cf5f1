//! The promises of durability, proved where everything that can go wrong does: on a disk in memory
//! that loses power, tears, fails and fills, all from one seed.
//!
//! `IOC_TEST_SEEDS=N` tries so many seeds, `IOC_TEST_SEED=S` one, and tells its story; a seed that
//! fails tells it too.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chance;
mod seeds;
mod disk;
mod liars;
mod model;
mod workload;

mod promises;
mod rot;

mod host;
