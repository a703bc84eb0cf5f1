//! Start-up: what the journal holds is judged again, and what a crash withheld is released.
//!
//! Arrives: both logs. Leaves: a judgement in the state in which the process ended, and the
//! numbers to go on from. Promise: a decision that was released keeps its number for ever; what
//! this build released it derives again identically, or the start is refused; what another build
//! did not finish is refused until a person lets this one take over (`ioc journal adopt`).
//! Next: `pipeline.rs`.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ioc_core::CodecError;
use ioc_core::bundle::Bundle;
use ioc_core::decision::{Decision, DecisionHash, Released};
use ioc_core::judgement::Judgement;
use ioc_core::record::{BuildHash, BundleHash, Input, Record, Records, Seq};
use ioc_core::time::Timestamp;

use crate::clock::TimeSource;
use crate::journal::disk::Disk;
use crate::journal::{
    BatchHeader, Contents, JournalError, JournalId, Known, Log, LogKind, LogOptions, Mark, scan,
};
use crate::pipeline::Numbering;
use crate::telemetry;
use crate::writer::{Outlet, OwnedDeadLetter};

/// What opening a journal needs to know.
#[derive(Debug, Clone, Copy)]
pub struct RecoverOptions<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// How many bytes a segment of the inputs log is made with.
    pub segment_bytes: u64,
    /// The executable that runs.
    pub build: BuildHash,
    /// The identity of the journal if there is none yet.
    pub new_journal: JournalId,
    /// The clock that the headers of batches show to people.
    pub time: &'a dyn TimeSource,
}

/// Finds the rules and city of a hash, as they were stored when they came to hold.
pub type Bundles<'a> = &'a dyn Fn(BundleHash) -> Result<Arc<Bundle>, String>;

/// Where the process goes on.
#[derive(Debug)]
pub struct Recovered {
    /// The state.
    pub judgement: Judgement,
    /// Both logs, open.
    pub logs: (Log, Log),
    /// The number of the next input.
    pub next: Seq,
    /// The last decision.
    pub numbering: Numbering,
    /// How far the decisions log has come.
    pub released: Mark,
    /// The time of the last record.
    pub last_at: Option<Timestamp>,
    /// The bundle that holds.
    pub bundle: Option<BundleHash>,
}

/// Why the process cannot go on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A log could not be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The two logs do not belong together.
    #[error(
        "the decisions log belongs to journal {decisions}, the inputs log to {inputs}: \
         put the two directories of one journal together again"
    )]
    Mixed {
        /// The identity in the inputs log.
        inputs: JournalId,
        /// The identity in the decisions log.
        decisions: JournalId,
    },
    /// Records after the last released decision were judged by another executable.
    #[error(
        "records {from} to {to} were judged by another build of ioc, which did not end cleanly, so \
         its decisions on them may have been seen: start that build once more and stop it with \
         SIGTERM, or let this build judge them with `ioc journal adopt {}`",
        data.display()
    )]
    ForeignTail {
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
        /// The data directory.
        data: PathBuf,
    },
    /// The same build and inputs gave other decisions: P2 is broken.
    #[error(
        "this build derives other decisions than it released (up to number {number}): \
         keep the data directory and report it; `ioc journal adopt` does not help here"
    )]
    Diverged {
        /// The last released number.
        number: u64,
    },
    /// A bundle that the journal names cannot be used.
    #[error("the rules that record {seq} names cannot be loaded: {reason}")]
    Bundle {
        /// The record.
        seq: Seq,
        /// Why.
        reason: String,
    },
    /// A record that this build cannot read.
    #[error("record {seq} cannot be read by this build: {source}")]
    Record {
        /// The record.
        seq: Seq,
        /// Why.
        source: CodecError,
    },
}

impl From<(Seq, CodecError)> for RecoverError {
    fn from((seq, source): (Seq, CodecError)) -> Self {
        Self::Record { seq, source }
    }
}

/// The directories of a journal below the data directory.
pub const INPUTS_DIR: &str = "inputs";
/// See [`INPUTS_DIR`].
pub const DECISIONS_DIR: &str = "decisions";
/// A person's word that a named build may judge what another left.
const ADOPT_FILE: &str = "adopt";
/// Decisions are few: their segments are no larger than this, nor than those of the inputs.
const DECISIONS_SEGMENT_BYTES_MAX: u64 = 4 << 20;

/// Lets this build judge what another left unfinished, at its next start.
pub fn adopt(data: &Path, build: BuildHash) -> Result<(), JournalError> {
    let path = data.join(ADOPT_FILE);
    fs::write(&path, build.0).map_err(JournalError::disk("write", path))
}

/// Opens both logs; all that they hold is durable from here on.
pub fn open<'a>(
    disk: &Arc<dyn Disk>,
    options: RecoverOptions<'a>,
) -> Result<Opened<'a>, RecoverError> {
    let decisions_dir = options.data.join(DECISIONS_DIR);
    disk.create_dir_all(&decisions_dir)
        .map_err(JournalError::disk("make", &decisions_dir))?;
    let found = scan::scan(
        &**disk,
        &decisions_dir,
        LogKind::Decisions,
        Known::default(),
    )?;
    let needed = found.end.last.map_or(0, |(header, _)| header.mark.number);

    let log_options = |dir: &str, kind, segment_bytes| LogOptions {
        dir: options.data.join(dir),
        kind,
        segment_bytes,
        build: options.build,
    };
    let inputs = Log::open(
        Arc::clone(disk),
        log_options(INPUTS_DIR, LogKind::Inputs, options.segment_bytes),
        found.end.journal().unwrap_or(options.new_journal),
        Known::needed_up_to(needed),
    )?;
    let journal = inputs.0.journal();
    if let Some(decisions) = found.end.journal().filter(|id| *id != journal) {
        return Err(RecoverError::Mixed {
            inputs: journal,
            decisions,
        });
    }
    let decisions = Log::open(
        Arc::clone(disk),
        log_options(
            DECISIONS_DIR,
            LogKind::Decisions,
            DECISIONS_SEGMENT_BYTES_MAX.min(options.segment_bytes),
        ),
        journal,
        Known::default(),
    )?;
    Ok(Opened {
        disk: Arc::clone(disk),
        options,
        inputs,
        decisions,
    })
}

/// Both logs, open, not yet judged again.
#[derive(Debug)]
pub struct Opened<'a> {
    disk: Arc<dyn Disk>,
    options: RecoverOptions<'a>,
    inputs: (Log, Contents),
    decisions: (Log, Contents),
}

impl Opened<'_> {
    /// The journal's identity.
    pub const fn journal(&self) -> JournalId {
        self.inputs.0.journal()
    }

    /// Judges again what the journal holds, and releases what a crash withheld.
    pub fn replay(
        self,
        shards: NonZeroUsize,
        bundles: Bundles<'_>,
        outlet: &mut dyn Outlet,
    ) -> Result<Recovered, RecoverError> {
        let Self {
            disk,
            options,
            inputs: (inputs, held),
            decisions: (decisions, released),
        } = self;
        let past = Past::read(&*disk, &released, options.build, outlet)?;
        check_tail(&options, &held, &past)?;
        let judgement = Judgement::new(shards);
        let mut replay = Replay::new(judgement, &options, bundles, past, decisions, outlet);
        held.for_each(&*disk, 1, |header, payload| replay.batch(header, payload))?;
        let recovered = replay.finish(inputs)?;
        // The tail is judged and its decisions are in the log: the word has been used.
        let _ = fs::remove_file(options.data.join(ADOPT_FILE));
        Ok(recovered)
    }
}

/// What was released, as the decisions log tells.
struct Past {
    /// The last decision.
    numbering: Numbering,
    /// The last input that decisions follow from.
    mark: Mark,
    /// The same, for what another build released last.
    foreign: (Numbering, Mark),
}

impl Past {
    /// Reads the decisions log; what was released is shown again as it was.
    fn read(
        disk: &dyn Disk,
        contents: &Contents,
        build: BuildHash,
        outlet: &mut dyn Outlet,
    ) -> Result<Self, RecoverError> {
        let mut past = Self {
            numbering: Numbering::default(),
            mark: Mark::default(),
            foreign: (Numbering::default(), Mark::default()),
        };
        contents.for_each(disk, 1, |header, payload| {
            let mut hash = past.numbering.hash;
            let decisions = decode_decisions(header, payload, &mut hash)?;
            if !decisions.is_empty() {
                outlet.release(decisions);
            }
            past.numbering = Numbering {
                last: header.next() - 1,
                hash,
            };
            past.mark = header.mark;
            if header.build != build {
                past.foreign = (past.numbering, past.mark);
            }
            Ok::<_, RecoverError>(())
        })?;
        Ok(past)
    }
}

/// The decisions of a batch of the decisions log, and the rolling hash up to its last.
pub fn decode_decisions(
    header: &BatchHeader,
    mut payload: &[u8],
    hash: &mut DecisionHash,
) -> Result<Vec<Released>, RecoverError> {
    let mut decisions = Vec::with_capacity(header.count as usize);
    let damaged = |source| RecoverError::Record {
        seq: header.first,
        source,
    };
    while !payload.is_empty() {
        let cut = || damaged(CodecError("cut short"));
        let (length, rest) = payload.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (encoded, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let decision = Decision::decode(encoded).map_err(damaged)?;
        *hash = hash.after(encoded);
        decisions.push(Released {
            decision: Arc::new(decision),
            hash: *hash,
        });
        payload = rest;
    }
    Ok(decisions)
}

/// Another build's unfinished work is not judged without a person's word.
fn check_tail(
    options: &RecoverOptions<'_>,
    inputs: &Contents,
    past: &Past,
) -> Result<(), RecoverError> {
    let Some((last, _)) = inputs.end.last else {
        return Ok(());
    };
    let to = last.next() - 1;
    if last.build == options.build || to <= past.mark.number {
        return Ok(());
    }
    let adopted = fs::read(options.data.join(ADOPT_FILE));
    if adopted.is_ok_and(|build| build == options.build.0) {
        return Ok(());
    }
    let data = options.data.to_owned();
    Err(RecoverError::ForeignTail {
        from: past.mark.number + 1,
        to,
        data,
    })
}

/// The inputs log, judged again from its beginning.
struct Replay<'a> {
    build: BuildHash,
    time: &'a dyn TimeSource,
    bundles: Bundles<'a>,
    past: Past,
    decisions: Log,
    outlet: &'a mut dyn Outlet,
    judgement: Judgement,
    numbering: Numbering,
    next: Seq,
    last_at: Option<Timestamp>,
    bundle: Option<BundleHash>,
    told: Instant,
}

impl<'a> Replay<'a> {
    fn new(
        judgement: Judgement,
        options: &RecoverOptions<'a>,
        bundles: Bundles<'a>,
        past: Past,
        decisions: Log,
        outlet: &'a mut dyn Outlet,
    ) -> Self {
        Self {
            build: options.build,
            time: options.time,
            bundles,
            past,
            decisions,
            outlet,
            judgement,
            numbering: Numbering::default(),
            next: 1,
            last_at: None,
            bundle: None,
            told: Instant::now(),
        }
    }

    fn batch(&mut self, header: &BatchHeader, payload: &[u8]) -> Result<(), RecoverError> {
        self.check_mark(header)?;
        let mut records = Vec::with_capacity(header.count as usize);
        for record in Records::new(header.first, payload) {
            let record = record?;
            self.note(&record)?;
            records.push(record);
        }
        // What another build released stands as it is: where it ends, a batch may have to be cut.
        let (_, foreign) = self.past.foreign;
        let known = records.partition_point(|record| record.seq <= foreign.number);
        let (known, own) = records.split_at(known);
        self.judgement.apply(known, &mut Vec::new());
        if known
            .last()
            .is_some_and(|record| record.seq == foreign.number)
        {
            self.numbering = self.past.foreign.0;
        }
        let mut decisions = Vec::new();
        self.judgement.apply(own, &mut decisions);
        self.next = header.next();
        self.settle(decisions)?;
        if self.told.elapsed() > Duration::from_secs(2) {
            self.told = Instant::now();
            telemetry::replaying(self.next - 1);
        }
        Ok(())
    }

    /// What this build had decided when it wrote the batch must be what it has derived now: also
    /// where the decisions log has lost what another build released before.
    fn check_mark(&self, header: &BatchHeader) -> Result<(), RecoverError> {
        let (_, foreign) = self.past.foreign;
        let own = header.build == self.build && header.first > foreign.number;
        let derived = Mark {
            number: self.numbering.last,
            hash: self.numbering.hash,
        };
        if own && header.mark != derived {
            return Err(RecoverError::Diverged {
                number: header.mark.number,
            });
        }
        Ok(())
    }

    /// What the host itself must know of a record.
    fn note(&mut self, record: &Record<'_>) -> Result<(), RecoverError> {
        self.last_at = Some(record.at);
        match record.input {
            Input::Reload(hash) => {
                let bundle = (self.bundles)(hash).map_err(|reason| RecoverError::Bundle {
                    seq: record.seq,
                    reason,
                })?;
                self.judgement.provide(bundle);
                self.bundle = Some(hash);
            }
            Input::DeadLetter(_) => {
                let mut input = Vec::new();
                record.input.encode(&mut input);
                let letter = OwnedDeadLetter {
                    seq: record.seq,
                    at: record.at,
                    input,
                };
                self.outlet.dead_letter(&letter);
            }
            Input::Reading(_) | Input::Command(_) | Input::Tick | Input::Started(_) => {}
        }
        Ok(())
    }

    /// Numbers what was derived: what was released must be the same; the rest is released now.
    fn settle(&mut self, decisions: Vec<Decision>) -> Result<(), RecoverError> {
        let released = self.past.numbering;
        let left = released.last.saturating_sub(self.numbering.last) as usize;
        let mut again = decisions;
        let fresh = again.split_off(left.min(again.len()));
        let derived = !again.is_empty();
        self.numbering.number(again, &mut Vec::new());
        if derived && self.numbering.last == released.last && self.numbering.hash != released.hash {
            return Err(RecoverError::Diverged {
                number: released.last,
            });
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let mut encoded = Vec::new();
        let fresh = self.numbering.number(fresh, &mut encoded);
        let mark = Mark {
            number: self.next - 1,
            hash: self.numbering.hash,
        };
        self.decisions
            .append(fresh.len() as u32, &encoded, mark, self.time.wall())?;
        self.past.mark = mark;
        self.outlet.release(fresh);
        Ok(())
    }

    fn finish(mut self, inputs: Log) -> Result<Recovered, RecoverError> {
        if self.numbering.last < self.past.numbering.last {
            return Err(RecoverError::Diverged {
                number: self.past.numbering.last,
            });
        }
        let released = Mark {
            number: self.next - 1,
            hash: self.numbering.hash,
        };
        // Said even where nothing followed: what is judged here is nobody else's tail any more.
        if self.past.mark.number < released.number {
            self.decisions.append(0, &[], released, self.time.wall())?;
        }
        self.decisions.sync()?;
        Ok(Recovered {
            judgement: self.judgement,
            logs: (inputs, self.decisions),
            next: self.next,
            numbering: self.numbering,
            released,
            last_at: self.last_at,
            bundle: self.bundle,
        })
    }
}
