//! Start-up: what the journal holds after the newest snapshot is judged again, and what a crash
//! withheld is released.
//!
//! Arrives: a snapshot and both logs. Leaves: a judgement in the state in which the process ended, and the
//! numbers to go on from. Promise: a decision that was released keeps its number for ever; what
//! this build released it derives again identically, or the start is refused; what another build
//! did not finish is refused until a person lets this one take over (`ioc journal adopt`).
//! Next: `pipeline.rs`.

mod past;
mod skip;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ioc_core::CodecError;
use ioc_core::bundle::Bundle;
use ioc_core::decision::Decision;
use ioc_core::judgement::{Judgement, STATE_FORMATS_READ};
use ioc_core::record::{Adopted, BuildHash, BundleHash, Input, Record, Records, Seq};
use ioc_core::time::Timestamp;
use ioc_ws::VIEW_FORMATS_READ;

pub use past::decode_decisions;
use past::{Past, Stands};

use crate::clock::TimeSource;
use crate::durable::Durable;
use crate::journal::disk::{Disk, replace};
use crate::journal::{
    BatchHeader, Contents, JournalError, JournalId, Known, Log, LogKind, LogOptions, Mark, Since,
    log, retain, scan,
};
use crate::pipeline::Numbering;
use crate::rejudge::Rejudge;
use crate::skipped::{SkippedError, SkippedList, Unread};
use crate::snapshots::{self, Point, SNAPSHOTS_DIR, Section, Snapshot, SnapshotError};
use crate::telemetry;
use crate::writer::Outlet;

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
    /// How many of the decisions before a snapshot are shown again, to those who come back.
    pub decisions_shown: u64,
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
    /// How far both logs are durable, from here on told by their writer.
    pub durable: Arc<Durable>,
    /// Where the snapshot stands that the start went on from, if there was one.
    pub snapshot: Option<Point>,
    /// The records that were passed over.
    pub skipped: Arc<SkippedList>,
    /// What the last end has left to do.
    pub left: Left,
}

/// What the end of the process before has left to this start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// How many records came after the snapshot, and were judged again.
    pub judged_again: u64,
    /// On how many of them the decisions log did not say what was decided: 0 after a clean end.
    pub unsettled: u64,
}

impl Recovered {
    /// Where the judgement stands.
    pub fn point(&self) -> Point {
        Point {
            through: self.next - 1,
            batch: self.logs.0.last_hash(),
            at: self.last_at.unwrap_or_default(),
            numbering: self.numbering,
            bundle: self.bundle,
        }
    }
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
    /// The beginning of the log is no longer kept, and no snapshot stands for it.
    #[error(
        "the inputs log begins with record {first}, and there is no snapshot that this build can \
         use for what came before: put back one from a copy of the directory `{SNAPSHOTS_DIR}`, or \
         start the build that wrote the newest"
    )]
    Beginning {
        /// The first record that is kept.
        first: Seq,
    },
    /// A record stops this build.
    #[error(
        "record {seq} could not be judged: {reason}; \
         keep a copy of the data directory and start with --skip-record {seq} to go on without it"
    )]
    Unjudged {
        /// The record.
        seq: Seq,
        /// Why.
        reason: String,
    },
    /// The rules that a record names are lost.
    #[error(
        "record {seq} could not be judged: the rules that it names cannot be loaded: {reason}; \
         put them back from a backup into the directory `bundles`; if there is none, keep a copy \
         of the data directory and start with --skip-record {seq} to go on without them"
    )]
    Rules {
        /// The record.
        seq: Seq,
        /// Why.
        reason: String,
    },
    /// A record that is not to be skipped, or the list of those that are is not to be used.
    #[error(transparent)]
    Skipped(#[from] SkippedError),
    /// The bundle that held when a snapshot was made cannot be used.
    #[error(
        "the rules that held at record {seq} cannot be loaded: {reason}; put them back from a \
         backup into the directory `bundles`"
    )]
    Bundle {
        /// The record.
        seq: Seq,
        /// Why.
        reason: String,
    },
    /// A snapshot is whole, and yet this build makes nothing of it.
    #[error(
        "the snapshot as of record {through} cannot be loaded by this build: {source}; \
         move it out of the directory `{SNAPSHOTS_DIR}` to go on from what was before it"
    )]
    Snapshot {
        /// The record.
        through: Seq,
        /// Why.
        source: CodecError,
    },
    /// A record or decision that this build cannot read.
    #[error("number {seq} cannot be read by this build: {source}")]
    Record {
        /// Its number.
        seq: Seq,
        /// Why.
        source: CodecError,
    },
}

impl From<Unread> for RecoverError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Codec(seq, error) => Self::Unjudged {
                seq,
                reason: format!("this build cannot read it ({error})"),
            },
            Unread::Skipped(error) => error.into(),
        }
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
pub fn adopt(disk: &dyn Disk, data: &Path, build: BuildHash) -> Result<(), JournalError> {
    let path = data.join(ADOPT_FILE);
    let temporary = path.with_extension("tmp");
    replace(disk, &temporary, &path, &build.0).map_err(JournalError::disk("write", path))
}

/// Opens both logs from the newest good snapshot on; all that they hold is durable from here on.
pub fn open<'a>(
    disk: &Arc<dyn Disk>,
    options: RecoverOptions<'a>,
) -> Result<Opened<'a>, RecoverError> {
    let of_logs = identity(&**disk, options.data)?;
    let snapshot = snapshots::newest(&**disk, options.data, |snapshot| {
        readable(snapshot, of_logs)
    })?;
    let decisions_dir = options.data.join(DECISIONS_DIR);
    let begins = retain::anchor(&**disk, &decisions_dir)?.first;
    let known = snapshot.as_ref().map_or_else(Default::default, |snapshot| {
        known_by(&snapshot.point, options.decisions_shown, begins)
    });
    let (known_inputs, known_decisions) = known;
    let kind = LogKind::Decisions;
    let found = scan::scan(&**disk, &decisions_dir, kind, known_decisions)?;
    let needed = found.end.last.map_or(0, |(header, _)| header.mark.number);

    let log_options = |dir: &str, kind, segment_bytes| LogOptions {
        dir: options.data.join(dir),
        kind,
        segment_bytes,
        build: options.build,
    };
    let journal = found.end.journal();
    // The other log may need it.
    log::give_back(&**disk, &decisions_dir, &found)?;
    let inputs = Log::open(
        Arc::clone(disk),
        log_options(INPUTS_DIR, LogKind::Inputs, options.segment_bytes),
        journal.unwrap_or(options.new_journal),
        Known {
            needed_up_to: known_inputs.needed_up_to.max(needed),
            ..known_inputs
        },
    )?;
    let journal = inputs.0.journal();
    let segment_bytes = options.segment_bytes.min(DECISIONS_SEGMENT_BYTES_MAX);
    let decisions = Log::open(
        Arc::clone(disk),
        log_options(DECISIONS_DIR, LogKind::Decisions, segment_bytes),
        journal,
        known_decisions,
    )?;
    let skipped = SkippedList::of(&**disk, options.data, journal)?;
    Ok(Opened {
        disk: Arc::clone(disk),
        options,
        skipped: Arc::new(skipped),
        snapshot,
        inputs,
        decisions,
        known_decisions,
    })
}

/// The identity of both logs, which must be one; `None` if both are new. Their directories are made
/// if they are missing.
fn identity(disk: &dyn Disk, data: &Path) -> Result<Option<JournalId>, RecoverError> {
    let of = |name| {
        let dir = data.join(name);
        let made = disk.create_dir_all(&dir);
        made.map_err(JournalError::disk("make", &dir))?;
        scan::identity(disk, &dir)
    };
    match (of(INPUTS_DIR)?, of(DECISIONS_DIR)?) {
        (Some(inputs), Some(decisions)) if inputs != decisions => {
            Err(RecoverError::Mixed { inputs, decisions })
        }
        (inputs, decisions) => Ok(inputs.or(decisions)),
    }
}

/// A snapshot of this journal, whose formats this build reads.
fn readable(snapshot: Snapshot, journal: Option<JournalId>) -> Result<Snapshot, SnapshotError> {
    let found = snapshot.journal;
    if let Some(journal) = journal.filter(|journal| *journal != found) {
        return Err(SnapshotError::Mixed { found, journal });
    }
    let found = snapshot.state.format;
    if !STATE_FORMATS_READ.contains(&found) {
        return Err(SnapshotError::Format { found });
    }
    let found = snapshot.view.format;
    if !VIEW_FORMATS_READ.contains(&found) {
        return Err(SnapshotError::Format { found });
    }
    Ok(snapshot)
}

/// What a snapshot says about the inputs log, and about the decisions log that begins with this
/// decision.
fn known_by(point: &Point, decisions_shown: u64, begins: u64) -> (Known, Known) {
    let inputs = Known {
        needed_up_to: point.through,
        since: Some(Since {
            next: point.through + 1,
            hash: Some(point.batch),
        }),
    };
    let shown_from = point.numbering.last.saturating_sub(decisions_shown);
    let decisions = Known {
        needed_up_to: point.numbering.last,
        since: (shown_from > begins).then_some(Since {
            next: shown_from,
            hash: None,
        }),
    };
    (inputs, decisions)
}

/// Both logs, open, not yet judged again.
#[derive(Debug)]
pub struct Opened<'a> {
    disk: Arc<dyn Disk>,
    options: RecoverOptions<'a>,
    snapshot: Option<Snapshot>,
    skipped: Arc<SkippedList>,
    inputs: (Log, Contents),
    decisions: (Log, Contents),
    /// What the snapshot says about the decisions log.
    known_decisions: Known,
}

impl Opened<'_> {
    /// The journal's identity.
    pub const fn journal(&self) -> JournalId {
        self.inputs.0.journal()
    }

    /// What another build has left unfinished, which takes a person's word.
    pub fn foreign_tail(&self) -> Option<Adopted> {
        let last = self.decisions.1.end.last;
        let released = last.map_or(0, |(header, _)| header.mark.number);
        foreign_tail(&self.inputs.1, released, self.options.build)
    }

    /// Whether a record is passed over.
    pub fn is_skipped(&self, seq: Seq) -> bool {
        self.skipped.find(seq).is_some()
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
            snapshot,
            skipped,
            inputs: (inputs, held),
            decisions: (decisions, released),
            ..
        } = self;
        let said = snapshot.as_ref().map(|snapshot| &snapshot.skipped[..]);
        if let Some(seq) = skipped.lacking(said.unwrap_or_default()).next() {
            return Err(SkippedError::Forgotten { seq }.into());
        }
        let from = match &snapshot {
            None => Rejudge::new(Judgement::new(shards), skipped),
            Some(snapshot) => resume(snapshot, skipped, shards, bundles, outlet)?,
        };
        let (through, point) = (from.next - 1, snapshot.map(|snapshot| snapshot.point));
        let first = held.end.first;
        if first > from.next {
            return Err(RecoverError::Beginning { first });
        }
        let stands = Stands {
            build: options.build,
            up_to: from.skipped.released(),
        };
        let past = Past::read(&*disk, &released, stands, from.numbering, outlet)?;
        past.check(from.numbering)?;
        let adopted = check_tail(&*disk, &options, &held, past.mark.number)?;
        let last = held.end.next() - 1;
        let left = Left {
            judged_again: last.saturating_sub(through),
            unsettled: last.saturating_sub(past.mark.number),
        };
        let skipped = Arc::clone(&from.skipped);
        let mut replay = Replay::new(from, &options, bundles, past, decisions, outlet);
        let replayed = held.for_each(&*disk, through + 1, |header, payload| {
            replay.batch(header, payload)
        });
        let recovered = replayed.and_then(|()| replay.finish(inputs, point, left, adopted));
        // What is judged though it was skipped once shows in many ways: this is the reason.
        let recovered = recovered.map_err(|error| {
            skip::forgotten(&*disk, &held, through + 1, &skipped).unwrap_or(error)
        })?;
        // The tail is judged and the log says so: the word has been used.
        let _ = disk.remove(&options.data.join(ADOPT_FILE));
        Ok(recovered)
    }
}

/// The state as of a snapshot; consoles and dead letters go on from it as well.
fn resume(
    snapshot: &Snapshot,
    skipped: Arc<SkippedList>,
    shards: NonZeroUsize,
    bundles: Bundles<'_>,
    outlet: &mut dyn Outlet,
) -> Result<Rejudge, RecoverError> {
    let Point {
        through,
        at,
        numbering,
        bundle,
        ..
    } = snapshot.point;
    let held = bundle.map(bundles).transpose();
    let held = held.map_err(|reason| RecoverError::Bundle {
        seq: through,
        reason,
    })?;
    let Section { format, bytes } = &snapshot.state;
    let load = || {
        outlet.resume(snapshot)?;
        Judgement::load(*format, shards, bytes, held)
    };
    let judgement = load().map_err(|source| RecoverError::Snapshot { through, source })?;
    telemetry::snapshot_loaded(through);
    Ok(Rejudge {
        judgement,
        numbering,
        next: through + 1,
        last_at: Some(at),
        bundle,
        skipped,
    })
}

/// Another build's unfinished work is not judged without a person's word. Returns what it was said
/// of.
fn check_tail(
    disk: &dyn Disk,
    options: &RecoverOptions<'_>,
    inputs: &Contents,
    released: Seq,
) -> Result<Option<Adopted>, RecoverError> {
    let Some(tail) = foreign_tail(inputs, released, options.build) else {
        return Ok(None);
    };
    let word = disk.read(&options.data.join(ADOPT_FILE));
    if word.is_ok_and(|word| word == options.build.0) {
        return Ok(Some(tail));
    }
    let Adopted { from, to, .. } = tail;
    let data = options.data.to_owned();
    Err(RecoverError::ForeignTail { from, to, data })
}

/// What another build has left unfinished: the records after those that decisions were released of.
fn foreign_tail(inputs: &Contents, released: Seq, own: BuildHash) -> Option<Adopted> {
    let (last, _) = inputs.end.last?;
    let (from, to) = (released + 1, last.next() - 1);
    let build = last.build;
    (build != own && from <= to).then_some(Adopted { from, to, build })
}

/// The inputs log, judged again.
struct Replay<'a> {
    build: BuildHash,
    time: &'a dyn TimeSource,
    bundles: Bundles<'a>,
    past: Past,
    decisions: Log,
    outlet: &'a mut dyn Outlet,
    rejudge: Rejudge,
    told: Duration,
}

impl<'a> Replay<'a> {
    fn new(
        rejudge: Rejudge,
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
            rejudge,
            told: options.time.monotonic(),
        }
    }

    fn batch(&mut self, header: &BatchHeader, payload: &[u8]) -> Result<(), RecoverError> {
        let (standing_numbering, standing) = self.past.standing;
        // What this build had decided when it wrote the batch: also where the decisions log has
        // lost what another build released before.
        if header.build == self.build && header.first > standing.number {
            self.rejudge.check_mark(header)?;
        }
        let outlet = &mut *self.outlet;
        let mut letter = |letter| outlet.dead_letter(&letter);
        let records = self
            .rejudge
            .read(header, payload, self.bundles, &mut letter)?;
        // What stands is not derived: where it ends, a batch may have to be cut.
        let known = records.partition_point(|record| record.seq <= standing.number);
        let (known, own) = records.split_at(known);
        self.rejudge.apply(known, &mut Vec::new())?;
        if known
            .last()
            .is_some_and(|record| record.seq == standing.number)
        {
            self.rejudge.numbering = standing_numbering;
        }
        let mut decisions = Vec::new();
        self.rejudge.apply(own, &mut decisions)?;
        self.settle(decisions)?;
        let now = self.time.monotonic();
        if now.saturating_sub(self.told) > Duration::from_secs(2) {
            self.told = now;
            telemetry::replaying(self.rejudge.next - 1);
        }
        Ok(())
    }

    /// Numbers what was derived: what was released must be the same; the rest is released now.
    fn settle(&mut self, decisions: Vec<Decision>) -> Result<(), RecoverError> {
        let released = self.past.numbering;
        let left = released.last.saturating_sub(self.rejudge.numbering.last) as usize;
        let mut again = decisions;
        let fresh = again.split_off(left.min(again.len()));
        let derived = !again.is_empty();
        let numbering = &mut self.rejudge.numbering;
        numbering.number(again, &mut Vec::new());
        if derived && numbering.last == released.last && numbering.hash != released.hash {
            return Err(RecoverError::Diverged {
                number: released.last,
            });
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let mut encoded = Vec::new();
        let fresh = numbering.number(fresh, &mut encoded);
        let mark = Mark {
            number: self.rejudge.next - 1,
            hash: numbering.hash,
        };
        self.decisions
            .append(fresh.len() as u32, &encoded, mark, self.time.wall())?;
        self.past.mark = mark;
        self.outlet.release(fresh);
        Ok(())
    }

    fn finish(
        mut self,
        mut inputs: Log,
        snapshot: Option<Point>,
        left: Left,
        adopted: Option<Adopted>,
    ) -> Result<Recovered, RecoverError> {
        if self.rejudge.numbering.last < self.past.numbering.last {
            return Err(RecoverError::Diverged {
                number: self.past.numbering.last,
            });
        }
        self.say(&mut inputs, adopted)?;
        let released = Mark {
            number: self.rejudge.next - 1,
            hash: self.rejudge.numbering.hash,
        };
        // Said even where nothing followed: what is judged here is nobody else's tail any more.
        if self.past.mark.number < released.number {
            self.decisions.append(0, &[], released, self.time.wall())?;
        }
        self.decisions.sync()?;
        let Rejudge {
            judgement,
            numbering,
            next,
            last_at,
            bundle,
            skipped,
        } = self.rejudge;
        Ok(Recovered {
            judgement,
            logs: (inputs, self.decisions),
            next,
            numbering,
            released,
            last_at,
            bundle,
            durable: Arc::new(Durable::new(released.number, numbering.last)),
            snapshot,
            skipped,
            left,
        })
    }

    /// Journals what people have said that the log does not say yet.
    fn say(&mut self, inputs: &mut Log, adopted: Option<Adopted>) -> Result<(), RecoverError> {
        let unsaid = self.rejudge.skipped.unsaid(self.rejudge.next - 1);
        let mut words: Vec<_> = unsaid.map(Input::Skipped).collect();
        words.extend(adopted.map(Input::Adopted));
        if words.is_empty() {
            return Ok(());
        }
        let at = self.rejudge.last_at.unwrap_or_default();
        let mut payload = Vec::new();
        for word in &words {
            Record::frame_input(at, word, &mut payload);
        }
        let mark = Mark {
            number: self.rejudge.numbering.last,
            hash: self.rejudge.numbering.hash,
        };
        let count = words.len() as u32;
        inputs.append(count, &payload, mark, self.time.wall())?;
        inputs.sync()?;
        let records = Records::new(self.rejudge.next, &payload);
        let records: Vec<_> = records
            .map(|record| record.expect("framed by this process"))
            .collect();
        self.rejudge.next += u64::from(count);
        let mut decisions = Vec::new();
        self.rejudge.apply(&records, &mut decisions)?;
        self.settle(decisions)
    }
}

#[cfg(test)]
mod tests;
