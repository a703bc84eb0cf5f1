//! Makes snapshots beside the engine: it judges the durable inputs once more, without haste, and
//! so never stalls the engine that it follows.
//!
//! Arrives: the inputs log, as far as it is durable. Leaves: snapshots; segments that nobody needs
//! any more go. Promise: a snapshot is only made where the engine's own mark (that of the next batch, or of
//! what it released last) agrees with what was derived (P2, checked while the city runs), and appears only once the decisions before it are
//! durable; what goes wrong here is told and stops nothing else. It is never left behind by more
//! than [`BEHIND_RECORDS_MAX`] records: readings wait for it then. Next: `retention.rs`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use ioc_core::CodecError;
use ioc_core::bundle::Bundle;
use ioc_core::codec::{Put, Take};
use ioc_core::decision::DecisionSeq;
use ioc_core::judgement::{Judgement, STATE_FORMAT};
use ioc_core::record::{BuildHash, BundleHash, Input, Seq};
use ioc_gateway::dead_letters::DeadLetters;
use ioc_ws::Counted;

use super::{Point, Section, Snapshot, double, write};
use crate::clock::TimeSource;
use crate::durable::Durable;
use crate::journal::disk::Disk;
use crate::journal::reader::Reader;
use crate::journal::{JournalError, JournalId, LogKind, Mark};
use crate::recover::{INPUTS_DIR, RecoverError, Recovered};
use crate::rejudge::Rejudge;
use crate::retention::{self, Needed, Retention};
use crate::skipped::SkippedList;
use crate::telemetry;

/// How often a follower that has caught up looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Up to so many records behind, it leaves the processor to others most of the time.
const UNHURRIED_RECORDS: u64 = 4_000_000;
/// Of its time, an unhurried follower works one part in so many: what a flood brings beyond that, it
/// judges when the flood is over.
const UNHURRIED_PARTS: u32 = 32;
/// And so long at once: batches may hold one record each, and a pause after each costs a wake-up.
const UNHURRIED_WORK: Duration = Duration::from_micros(200);
/// So many records behind, readings wait at the door for it: the next start has to judge them all.
pub const BEHIND_RECORDS_MAX: u64 = 16_000_000;
/// How often it is looked what could go, and at least how often a snapshot is due while the disk is
/// short of space.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// How long it waits after the disk has refused to be read.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How far behind it may be at a clean end and still make a last snapshot.
const LAST_RECORDS_MAX: u64 = 2_000_000;

/// When snapshots are made, and what goes then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerOptions {
    /// When.
    pub due: Due,
    /// How much of the logs is kept.
    pub retention: Retention,
    /// How many decisions before a snapshot a start shows again.
    pub decisions_shown: u64,
}

/// When snapshots are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// After so long, if there is anything new.
    pub every: Duration,
    /// After so many records.
    pub records: u64,
}

/// Where a follower looks things up, as the host has them.
pub struct Surroundings {
    /// The storage.
    pub disk: Arc<dyn Disk>,
    /// The data directory.
    pub data: PathBuf,
    /// The journal.
    pub journal: JournalId,
    /// The executable.
    pub build: BuildHash,
    /// Time.
    pub time: Arc<dyn TimeSource>,
    /// How far the logs are durable.
    pub durable: Arc<Durable>,
    /// The rules and city of a hash.
    pub bundles: Box<dyn Fn(BundleHash) -> Result<Arc<Bundle>, String> + Send>,
    /// What consoles see, with all that was released before the call, and its format.
    pub view: Box<dyn FnMut() -> Section + Send>,
    /// Where it is said what counted.
    pub counted: Counted,
}

/// Makes a follower on the thread that it is for: its state has to be loaded.
pub type MakeFollower = Box<dyn FnOnce() -> Result<Follower, RecoverError> + Send>;

/// A follower that stands where the engine starts, with a copy of its state.
pub fn beside(
    around: Surroundings,
    options: FollowerOptions,
    recovered: &Recovered,
    letters: &DeadLetters,
) -> MakeFollower {
    let mut state = Vec::new();
    recovered.judgement.save(&mut state);
    let (point, kept) = (recovered.point(), recovered.snapshot);
    let skipped = Arc::clone(&recovered.skipped);
    let letters = letters.copy();
    Box::new(move || {
        let through = point.through;
        let bundle = point.bundle.map(&around.bundles).transpose();
        let bundle = bundle.map_err(|reason| RecoverError::Bundle {
            seq: through,
            reason,
        })?;
        let judgement = Judgement::load(STATE_FORMAT, NonZeroUsize::MIN, &state, bundle)
            .map_err(|source| RecoverError::Snapshot { through, source })?;
        let start = (judgement, point);
        Ok(Follower::new(
            around, options, start, skipped, letters, kept,
        ))
    })
}

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// There is probably more to do.
    Some,
    /// It waits for something to become durable.
    Nothing,
}

/// A judgement that follows the engine's.
pub struct Follower {
    around: Surroundings,
    options: FollowerOptions,
    reader: Reader,
    rejudge: Rejudge,
    /// The hash of the batch before `rejudge.next`.
    batch: [u8; 32],
    letters: DeadLetters,
    /// Made, but not all that it says is durable yet.
    waiting: Option<Waiting>,
    /// Where the newest snapshot stands, if there is one.
    newest: Option<Point>,
    /// Where the one before it stands, as far as is known.
    before: Option<Point>,
    /// The record of the last snapshot that was tried, and when that was.
    tried: Seq,
    tried_at: Duration,
    /// When it was last looked what could go.
    tidied_at: Duration,
    /// Whether readings wait for it, as far as was told.
    left_behind: bool,
}

/// A snapshot that something must become durable for.
struct Waiting {
    snapshot: Snapshot,
    has_view: bool,
    /// The last decision that must be durable.
    needed: DecisionSeq,
}

impl Waiting {
    fn of(snapshot: Snapshot) -> Self {
        Self {
            needed: snapshot.point.numbering.last,
            has_view: false,
            snapshot,
        }
    }
}

impl Follower {
    /// A follower that stands at `point` like the engine, with the messages that could not be read
    /// until there. `kept`: where the newest snapshot stands.
    fn new(
        around: Surroundings,
        options: FollowerOptions,
        (judgement, point): (Judgement, Point),
        skipped: Arc<SkippedList>,
        letters: DeadLetters,
        kept: Option<Point>,
    ) -> Self {
        let dir = around.data.join(INPUTS_DIR);
        let next = point.through + 1;
        let mut judgement = judgement;
        judgement.note_what_counts();
        around.counted.begin(point.through, point.at);
        around.durable.set_followed(point.through);
        let disk = Arc::clone(&around.disk);
        Self {
            reader: Reader::new(disk, dir, LogKind::Inputs, next),
            rejudge: Rejudge {
                judgement,
                numbering: point.numbering,
                next,
                last_at: Some(point.at),
                bundle: point.bundle,
                skipped,
            },
            batch: point.batch,
            letters,
            waiting: None,
            newest: kept,
            before: None,
            tried: kept.map_or(0, |point| point.through),
            tried_at: around.time.monotonic(),
            tidied_at: around.time.monotonic(),
            left_behind: false,
            around,
            options,
        }
    }

    /// Follows until `stop` is dropped. Then, if the end is near and all was released as `ended`
    /// says, makes a last snapshot, so that the next start has nothing to judge again.
    pub fn run(mut self, stop: &Receiver<Mark>) {
        let durable = Arc::clone(&self.around.durable);
        let followed = self.follow(stop).and_then(|ended| match ended {
            Some(ended) => self.finish(ended),
            None => Ok(()),
        });
        durable.stop_following();
        if let Err(error) = followed {
            telemetry::following_failed(&error);
        }
    }

    /// Follows until told the end; `None` if there is none to tell.
    fn follow(&mut self, stop: &Receiver<Mark>) -> Result<Option<Mark>, RecoverError> {
        loop {
            let began = self.around.time.monotonic();
            let (followed, worked) = loop {
                let followed = match self.step() {
                    // What could not be read is read again: the reader stays where it was.
                    Err(RecoverError::Journal(error @ JournalError::Disk { .. })) => {
                        telemetry::following_waits(&error);
                        break (Followed::Nothing, RETRY_AFTER);
                    }
                    followed => followed?,
                };
                let worked = self.around.time.monotonic().saturating_sub(began);
                if followed == Followed::Nothing || worked >= UNHURRIED_WORK {
                    break (followed, worked);
                }
            };
            let pause = match followed {
                Followed::Nothing => LOOK_EVERY.max(worked),
                Followed::Some if self.behind() > UNHURRIED_RECORDS => Duration::ZERO,
                Followed::Some => worked * (UNHURRIED_PARTS - 1),
            };
            match stop.recv_timeout(pause) {
                Ok(ended) => return Ok(Some(ended)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The record that the newest snapshot is as of; 0 without one.
    pub fn saved(&self) -> Seq {
        self.newest.map_or(0, |point| point.through)
    }

    /// How many durable records it has not judged.
    fn behind(&self) -> u64 {
        self.around.durable.behind()
    }

    /// Judges one batch, or finishes a snapshot.
    pub fn step(&mut self) -> Result<Followed, RecoverError> {
        let now = self.around.time.monotonic();
        if now.saturating_sub(self.tidied_at) >= TIDY_EVERY {
            self.tidy();
        }
        if let Some(waiting) = self.waiting.take() {
            return Ok(self.go_on(waiting));
        }
        let durable = self.around.durable.inputs();
        let Some((header, _)) = self.reader.next(durable)? else {
            return self.stand();
        };
        self.rejudge.check_mark(&header)?;
        if self.is_due() {
            self.waiting = Some(Waiting::of(self.snapshot()));
        }
        let payload = self.reader.payload(&header);
        let letters = &self.letters;
        let records =
            self.rejudge
                .read(&header, payload, &*self.around.bundles, &mut |letter| {
                    letter.note(letters);
                })?;
        self.rejudge.judge(&records)?;
        let noting = self.rejudge.judgement.take_noted();
        let at = self.rejudge.last_at.unwrap_or_default();
        self.around.counted.note(header.next() - 1, at, noting);
        self.batch = self.reader.hash();
        self.around.durable.set_followed(self.rejudge.next - 1);
        self.tell();
        Ok(Followed::Some)
    }

    /// At the end of what is durable: if nothing more comes, what was released last agrees or not.
    fn stand(&mut self) -> Result<Followed, RecoverError> {
        if !self.is_due() {
            return Ok(Followed::Nothing);
        }
        match self.around.durable.agrees(self.derived()) {
            None => Ok(Followed::Nothing),
            Some(true) => {
                self.waiting = Some(Waiting::of(self.snapshot()));
                Ok(Followed::Some)
            }
            Some(false) => Err(RecoverError::Diverged {
                number: self.rejudge.numbering.last,
            }),
        }
    }

    /// What was derived last.
    fn derived(&self) -> Mark {
        Mark {
            number: self.rejudge.next - 1,
            hash: self.rejudge.numbering.hash,
        }
    }

    fn tell(&mut self) {
        let behind = self.behind();
        telemetry::followed(behind);
        let left_behind = behind > BEHIND_RECORDS_MAX;
        if left_behind && !self.left_behind {
            telemetry::left_behind(behind);
        }
        self.left_behind = left_behind;
    }

    fn is_due(&self) -> bool {
        let records = self.rejudge.next - 1 - self.tried;
        let since = self.around.time.monotonic().saturating_sub(self.tried_at);
        let due = self.options.due;
        let every = match self.around.durable.is_short_of_space() {
            // A newer one may let segments go.
            true => due.every.min(TIDY_EVERY),
            false => due.every,
        };
        records >= due.records || records > 0 && since >= every
    }

    /// All but what consoles see.
    fn snapshot(&self) -> Snapshot {
        let mut state = Vec::new();
        self.rejudge.judgement.save(&mut state);
        let (journal, build) = (self.around.journal, self.around.build);
        Snapshot {
            journal,
            build,
            wall: self.around.time.wall(),
            point: Point {
                through: self.rejudge.next - 1,
                batch: self.batch,
                at: self.rejudge.last_at.unwrap_or_default(),
                numbering: self.rejudge.numbering,
                bundle: self.rejudge.bundle,
            },
            skipped: self.rejudge.skipped.skips().collect(),
            state: Section {
                format: STATE_FORMAT,
                bytes: state,
            },
            view: Section::default(),
            letters: Section {
                format: LETTERS_FORMAT,
                bytes: save_letters(&self.letters),
            },
        }
    }

    /// Goes on with a snapshot: what consoles see is as of a later decision, which must be durable
    /// too before the snapshot may say so.
    fn go_on(&mut self, mut waiting: Waiting) -> Followed {
        if self.around.durable.decisions() < waiting.needed {
            self.waiting = Some(waiting);
            return Followed::Nothing;
        }
        if waiting.has_view {
            self.publish(&waiting.snapshot);
            return Followed::Some;
        }
        waiting.snapshot.view = (self.around.view)();
        waiting.has_view = true;
        waiting.needed = ioc_ws::saved_up_to(&waiting.snapshot.view.bytes).unwrap_or(0);
        self.waiting = Some(waiting);
        Followed::Some
    }

    /// Writes a snapshot whose decisions are durable. One that cannot be written is tried again
    /// when the next is due.
    fn publish(&mut self, snapshot: &Snapshot) {
        let through = snapshot.point.through;
        self.tried = through;
        self.tried_at = self.around.time.monotonic();
        let before = self.newest.map(|point| point.through);
        let (disk, data) = (&*self.around.disk, &self.around.data);
        if let Err(error) = write(disk, data, snapshot, before) {
            telemetry::snapshot_failed(&error);
            return;
        }
        let took = self.around.time.monotonic().saturating_sub(self.tried_at);
        telemetry::snapshot_made(through, snapshot.state.bytes.len(), took);
        self.before = self.newest.replace(snapshot.point);
        self.tidy();
    }

    /// Removes what is neither kept nor needed by the snapshots, now and then also without a new
    /// one. While the disk is short of space a copy of the newest takes the place of the one before,
    /// so that what only that one needs can go.
    fn tidy(&mut self) {
        self.tidied_at = self.around.time.monotonic();
        if self.around.durable.is_short_of_space() && self.newest_is_doubled() {
            self.before = self.newest;
        }
        let Some(oldest) = self.before else { return };
        let shown = self.options.decisions_shown;
        let needed = Needed {
            inputs: oldest.through,
            decisions: oldest.numbering.last.saturating_sub(shown + 1),
        };
        let (disk, data) = (&*self.around.disk, &self.around.data);
        let now = self.around.time.wall();
        if let Err(error) = retention::apply(disk, data, self.options.retention, needed, now) {
            telemetry::retention_failed(&error);
        }
    }

    /// Whether there are two of the newest snapshot now; the others have gone then.
    fn newest_is_doubled(&self) -> bool {
        let Some(newest) = self.newest.filter(|newest| self.before != Some(*newest)) else {
            return false;
        };
        let (disk, data) = (&*self.around.disk, &self.around.data);
        match double(disk, data, newest.through) {
            Ok(is_doubled) => is_doubled,
            Err(error) => {
                telemetry::snapshot_failed(&error);
                false
            }
        }
    }

    /// Goes to the end, which must be what was released last, and makes a snapshot of it.
    pub fn finish(mut self, ended: Mark) -> Result<(), RecoverError> {
        if self.behind() > LAST_RECORDS_MAX {
            telemetry::last_snapshot_left_out(self.behind());
            return Ok(());
        }
        while self.step()? == Followed::Some {}
        if self.derived() != ended {
            return Err(RecoverError::Diverged {
                number: self.rejudge.numbering.last,
            });
        }
        if self.rejudge.next - 1 > self.saved() {
            let mut last = self.snapshot();
            last.view = (self.around.view)();
            self.publish(&last);
        }
        Ok(())
    }
}

/// The format of [`save_letters`].
const LETTERS_FORMAT: u16 = 3;
/// The format that did not say which are whole in the log: those that are whole in the list.
const LETTERS_FORMAT_WITHOUT_WHOLE: u16 = 2;
/// The one before, which did not say what was replayed.
const LETTERS_FORMAT_WITHOUT_REPLAYS: u16 = 1;

/// The newest messages that could not be read.
fn save_letters(letters: &DeadLetters) -> Vec<u8> {
    let newest = letters.newest(DeadLetters::COUNT_MAX);
    let mut out = Vec::new();
    out.put_u64(letters.total());
    out.put_u32(newest.len() as u32);
    for letter in newest.iter().rev() {
        let mut input = Vec::new();
        Input::DeadLetter(letter.record()).encode(&mut input);
        out.put_u64(letter.seq);
        out.put_time(letter.at);
        out.put_u32(input.len() as u32);
        out.put(&input);
        let is_replayed = u8::from(letters.is_replayed(letter.seq));
        out.put_u8(is_replayed | u8::from(letter.is_whole) << 1);
    }
    out
}

/// Notes the messages that were saved.
///
/// # Errors
/// The bytes are damaged, or of a format that this build does not know.
pub fn restore_letters(saved: &Section, letters: &DeadLetters) -> Result<(), CodecError> {
    let (says_what_was_replayed, says_what_is_whole) = match saved.format {
        LETTERS_FORMAT => (true, true),
        LETTERS_FORMAT_WITHOUT_WHOLE => (true, false),
        LETTERS_FORMAT_WITHOUT_REPLAYS => (false, false),
        _ => return Err(CodecError("dead letters of another format")),
    };
    let mut take = Take(&saved.bytes);
    letters.restore_total(take.u64()?);
    for _ in 0..take.u32()? {
        let (seq, at) = (take.u64()?, take.time()?);
        let length = take.u32()? as usize;
        let input = Input::decode(take.bytes(length)?)?;
        let flags = match says_what_was_replayed {
            true => take.u8()?,
            false => 0,
        };
        if let Input::DeadLetter(body) = input {
            let is_whole = match says_what_is_whole {
                true => flags & 2 != 0,
                false => body.is_whole(),
            };
            letters.restore(seq, at, &body, is_whole);
        }
        if flags & 1 != 0 {
            letters.note_replayed(seq);
        }
    }
    take.end()
}
