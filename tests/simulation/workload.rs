//! What is done with two logs, and what is checked of them: appending, syncing, rotating, following
//! and starting again, as the host does it, while the disk does its worst.

use std::path::PathBuf;
use std::sync::Arc;

use ioc::journal::disk::Disk;
use ioc::journal::remove_before;
use ioc::journal::{
    BatchHeader, Contents, JournalError, JournalId, Known, Log, LogKind, LogOptions, Mark, Reader,
    scan,
};
use ioc_core::decision::DecisionHash;
use ioc_core::record::BuildHash;

use crate::chance::Chance;
use crate::model::{Batch, Model};

/// Small, so that a few batches fill one.
pub const SEGMENT_BYTES: u64 = 8 << 10;

/// Both logs, open.
pub struct Logs {
    /// What came in.
    pub inputs: Log,
    /// What was decided.
    pub decisions: Log,
}

/// What both logs must hold.
#[derive(Default)]
pub struct Models {
    /// What came in.
    pub inputs: Model,
    /// What was decided.
    pub decisions: Model,
}

/// What a start found.
pub struct Found {
    /// In the inputs log.
    pub inputs: Contents,
    /// In the decisions log.
    pub decisions: Contents,
}

/// Where a log is kept.
pub fn dir(kind: LogKind) -> PathBuf {
    match kind {
        LogKind::Inputs => "/data/inputs".into(),
        LogKind::Decisions => "/data/decisions".into(),
    }
}

fn options(kind: LogKind) -> LogOptions {
    LogOptions {
        dir: dir(kind),
        kind,
        segment_bytes: SEGMENT_BYTES,
        build: BuildHash([9; 32]),
    }
}

/// Opens both logs as the host does: the inputs must reach what decisions follow from.
pub fn open(disk: &Arc<dyn Disk>) -> Result<(Logs, Found), JournalError> {
    let journal = JournalId([7; 16]);
    let there = dir(LogKind::Decisions);
    disk.create_dir_all(&there)
        .map_err(JournalError::disk("make", &there))?;
    let released = scan::scan(&**disk, &there, LogKind::Decisions, Known::default())?;
    let needed = released
        .end
        .last
        .map_or(0, |(header, _)| header.mark.number);
    let open = |kind, known| Log::open(Arc::clone(disk), options(kind), journal, known);
    let (inputs, in_inputs) = open(LogKind::Inputs, Known::needed_up_to(needed))?;
    let (decisions, in_decisions) = open(LogKind::Decisions, Known::default())?;
    let logs = Logs { inputs, decisions };
    let found = Found {
        inputs: in_inputs,
        decisions: in_decisions,
    };
    Ok((logs, found))
}

/// All batches of what was found.
pub fn batches(disk: &dyn Disk, contents: &Contents) -> Result<Vec<Batch>, JournalError> {
    let mut found = Vec::new();
    contents.for_each(disk, 0, |header, payload| {
        found.push(Batch::read(header, payload));
        Ok::<_, JournalError>(())
    })?;
    Ok(found)
}

/// Follows a log and compares with what must be there.
pub fn follow(
    disk: &Arc<dyn Disk>,
    kind: LogKind,
    model: &Model,
    from: u64,
) -> Result<(), Stopped> {
    let mut reader = Reader::new(Arc::clone(disk), dir(kind), kind, from);
    let mut found = Vec::new();
    while let Some((header, payload)) = reader.next(model.durable_up_to())? {
        found.push(Batch::read(&header, payload));
    }
    if found != model.durable_from(from) {
        let (found, must) = (found.len(), model.durable_from(from).len());
        let why = format!("{kind:?} from {from} on: a reader found {found} of {must} batches");
        return Err(Stopped::Wrong(why));
    }
    Ok(())
}

/// Why a workload does not go on.
#[derive(Debug)]
pub enum Stopped {
    /// The log said that it cannot go on.
    Refused(JournalError),
    /// A promise was broken.
    Wrong(String),
}

impl From<JournalError> for Stopped {
    fn from(error: JournalError) -> Self {
        Self::Refused(error)
    }
}

/// Does one thing.
pub fn step(
    disk: &Arc<dyn Disk>,
    logs: &mut Logs,
    models: &mut Models,
    chance: &mut Chance,
) -> Result<Done, Stopped> {
    match chance.below(19) {
        0..6 => {
            let count = chance.within(1..6) as u32;
            let payload = payload(chance);
            let mark = models.decisions.next() - 1;
            let (log, model) = (&mut logs.inputs, &mut models.inputs);
            return put(log, model, count, mark, &payload);
        }
        6..9 => {
            logs.inputs.sync()?;
            models.inputs.synced();
        }
        9..12 => {
            // A mark alone says that nothing followed from the inputs up to it.
            let count = chance.below(4) as u32;
            let payload = match count {
                0 => Vec::new(),
                _ => payload(chance),
            };
            let mark = models.inputs.durable_up_to();
            let (log, model) = (&mut logs.decisions, &mut models.decisions);
            return put(log, model, count, mark, &payload);
        }
        12 => {
            logs.decisions.sync()?;
            models.decisions.synced();
        }
        13..15 => {
            let from = chance.within(models.inputs.first()..models.inputs.next() + 1);
            follow(disk, LogKind::Inputs, &models.inputs, from)?;
        }
        15 => {
            let from = chance.within(models.decisions.first()..models.decisions.next() + 1);
            follow(disk, LogKind::Decisions, &models.decisions, from)?;
        }
        16 => logs.inputs.retry(),
        17 => logs.decisions.retry(),
        _ => match chance.below(2) {
            0 => remove(disk, LogKind::Inputs, &mut models.inputs, chance)?,
            _ => remove(disk, LogKind::Decisions, &mut models.decisions, chance)?,
        },
    }
    Ok(Done::Done)
}

/// Removes what is before some durable record.
fn remove(
    disk: &Arc<dyn Disk>,
    kind: LogKind,
    model: &mut Model,
    chance: &mut Chance,
) -> Result<(), Stopped> {
    let number = chance.within(0..model.durable_up_to() + 1);
    model.remove_before(number);
    let begins = remove_before(&**disk, &dir(kind), kind, number)?;
    model.removed_before(begins.first).map_err(Stopped::Wrong)
}

/// Appends a batch, if there is space for it: there must be as much as the log says.
fn put(
    log: &mut Log,
    model: &mut Model,
    count: u32,
    mark: u64,
    payload: &[u8],
) -> Result<Done, Stopped> {
    let room = log.room()?;
    let fits = (BatchHeader::BYTES + payload.len()) as u64 <= room.bytes;
    let wall = model.append(count, mark, payload);
    let mark = Mark {
        number: mark,
        hash: DecisionHash::default(),
    };
    match log.append(count, payload, mark, wall) {
        Err(JournalError::Full { .. }) if fits => {
            Err(Stopped::Wrong(format!("full, though there was {room:?}")))
        }
        Err(JournalError::Full { .. }) => {
            model.was_not_appended();
            Ok(Done::Full)
        }
        Ok(()) => Ok(Done::Done),
        Err(error) => Err(error.into()),
    }
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was done.
    Done,
    /// There was no space.
    Full,
}

/// Mostly short, sometimes longer than a segment, sometimes with a batch's beginning in it.
fn payload(chance: &mut Chance) -> Vec<u8> {
    let length = match chance.below(12) {
        0 => chance.below(2 * SEGMENT_BYTES as usize),
        1..4 => chance.below(SEGMENT_BYTES as usize / 2),
        _ => chance.below(400),
    };
    let mut payload = vec![0; length];
    let filled = chance.below(length + 1);
    for byte in &mut payload[..filled] {
        *byte = chance.below(256) as u8;
    }
    if length > 8 && chance.one_in(8) {
        payload[2..6].copy_from_slice(b"IOCB");
    }
    payload
}
