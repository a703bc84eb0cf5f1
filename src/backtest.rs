//! `ioc backtest`: judges recorded readings, or a data directory, at full speed.
//!
//! Arrives: native readings in the order of their arrival (JSONL, `.gz` too), whose `received_at`
//! is the clock; or the inputs log of a data directory, without the records that were skipped.
//! Leaves: decisions as JSONL; or, against other rules, the difference in incidents and alarms.
//! What people ordered about incidents is addressed to those that have the same evidence
//! (`backtest/remap.rs`); no effect is executed. The rules are the configuration's, whatever rules
//! the journal names. Next: `backtest/feed.rs`.

mod feed;
mod judge;
mod remap;
mod story;
mod difference;
mod tell;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ioc_core::bundle::Bundle;
use ioc_gateway::catalogue::Catalogue;

pub use self::difference::Difference;
pub(crate) use self::judge::Judged;
pub(crate) use self::judge::alarms;
use self::judge::{Judge, Sink};
pub(crate) use self::remap::Recorded;
pub(crate) use self::story::Story;
use crate::inspect::InspectError;
use crate::journal::JournalError;
use crate::recover::RecoverError;

/// What to judge, and by what.
#[derive(Debug)]
pub struct BacktestOptions {
    /// Readings (JSONL, `.gz`, `-` for standard input) or a data directory.
    pub readings: PathBuf,
    /// The rules and the city.
    pub bundle: Arc<Bundle>,
    /// What the decoders look up.
    pub catalogue: Catalogue,
    /// How many sensor stages share the sensors.
    pub shards: NonZeroUsize,
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Readings judged.
    pub readings: u64,
    /// Messages that no decoder could read.
    pub dead_letters: u64,
    /// The first few of them, with line and reason.
    pub first_dead: Vec<String>,
    /// Decisions made.
    pub decisions: u64,
    /// Incidents opened.
    pub opened: u64,
    /// Orders about incidents that were addressed to others with the same evidence.
    pub commands_remapped: u64,
    /// Orders about incidents that nothing stands for here.
    pub commands_unmatched: u64,
    /// How long it took.
    pub took: Duration,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The readings cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] InspectError),
    /// The output is closed.
    #[error("cannot write the decisions")]
    Output(#[from] io::Error),
}

impl From<RecoverError> for BacktestError {
    fn from(error: RecoverError) -> Self {
        Self::Journal(error.into())
    }
}

impl From<JournalError> for BacktestError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error.into())
    }
}

/// Judges everything and prints what is decided.
pub fn run(options: &BacktestOptions, out: &mut dyn Write) -> Result<Summary, BacktestError> {
    let began = Instant::now();
    let mut judges = [Judge::new(options, Sink::Print(out))];
    feed::feed(&options.readings, &mut judges)?;
    let [judge] = judges;
    let mut summary = judge.finish()?.summary;
    summary.took = began.elapsed();
    Ok(summary)
}

/// Judges everything by both, side by side, and tells how what they decide differs. Both are of the
/// same readings; `names` is what people call the two.
pub fn compare(
    options: [&BacktestOptions; 2],
    names: [String; 2],
) -> Result<Difference, BacktestError> {
    let began = Instant::now();
    let mut judges = options.map(|options| Judge::new(options, Sink::Nothing));
    feed::feed(&options[0].readings, &mut judges)?;
    let [before, after] = judges;
    let sides = [before.finish()?, after.finish()?];
    Ok(Difference::between(sides, names, began.elapsed()))
}

#[cfg(test)]
mod tests;
