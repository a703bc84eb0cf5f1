//! Snapshots: the whole state as of a record, so that a start judges again only what came after.
//!
//! Arrives: states at the ends of batches, from the [`Follower`]. Leaves: files, and at a start the
//! newest that is good. Promise: a snapshot is there whole or not at all; it appears only once the
//! decisions that it follows from are durable; a damaged one is passed over for the one before.
//! Not here: how the state becomes bytes (`ioc-core/src/state.rs`). Next: `snapshots/follower.rs`.

pub mod follower;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ioc_core::CodecError;
use ioc_core::codec::{Put, Take};
use ioc_core::decision::DecisionHash;
use ioc_core::record::{BuildHash, BundleHash, Seq, Skip};
use ioc_core::time::Timestamp;

pub use follower::{Due, Follower, FollowerOptions};

use crate::journal::disk::Disk;
use crate::journal::{JournalError, JournalId};
use crate::pipeline::Numbering;
use crate::telemetry;

/// The directory below the data directory.
pub const SNAPSHOTS_DIR: &str = "snapshots";

const MAGIC: [u8; 4] = *b"IOCS";
/// The frame's format; the state and the view inside have their own.
const FORMAT: u16 = 1;
const HASH_BYTES: usize = 32;
/// How the name of a copy ends.
const COPY: &str = ".copy.snapshot";
/// How much is written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A point between two records, and what the host knows there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The last record before it.
    pub through: Seq,
    /// The hash of the batch that ends with that record.
    pub batch: [u8; 32],
    /// That record's time.
    pub at: Timestamp,
    /// The last decision, and the rolling hash.
    pub numbering: Numbering,
    /// The bundle that holds.
    pub bundle: Option<BundleHash>,
}

/// Bytes whose layout may change from one build to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// The format that they were written in.
    pub format: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// All that a start goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Of which journal.
    pub journal: JournalId,
    /// The executable that wrote it.
    pub build: BuildHash,
    /// The wall clock, for people.
    pub wall: Timestamp,
    /// As of where.
    pub point: Point,
    /// The records that were passed over: what says so in the log before it is not read any more.
    pub skipped: Vec<Skip>,
    /// The judgement.
    pub state: Section,
    /// What consoles see, as of this point or a later decision.
    pub view: Section,
    /// The messages that could not be read.
    pub letters: Section,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk does not give it back.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// The bytes are not those that were written.
    #[error("it is damaged")]
    Damaged,
    /// It is whole, but not what this build expects.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// It was copied from another data directory.
    #[error("it belongs to journal {found}, the logs to {journal}")]
    Mixed {
        /// The identity in the snapshot.
        found: JournalId,
        /// The identity in the logs.
        journal: JournalId,
    },
    /// Another build wrote it in a format that this one does not read.
    #[error("it is in format {found}, and this build reads format {FORMAT}")]
    Format {
        /// Its format.
        found: u16,
    },
}

impl Snapshot {
    /// The file's bytes, in pieces: the state may be large.
    fn pieces(&self) -> Vec<Cow<'_, [u8]>> {
        let mut head = Vec::new();
        head.put(&MAGIC);
        head.put_u16(FORMAT);
        head.put(&self.journal.0);
        head.put(&self.build.0);
        head.put_time(self.wall);
        self.point.put(&mut head);
        head.put_u32(self.skipped.len() as u32);
        self.skipped.iter().for_each(|skip| skip.encode(&mut head));
        let mut pieces: Vec<Cow<'_, [u8]>> = vec![Cow::Owned(head)];
        for section in [&self.state, &self.view, &self.letters] {
            let mut head = Vec::new();
            head.put_u16(section.format);
            head.put_u64(section.bytes.len() as u64);
            pieces.push(Cow::Owned(head));
            pieces.push(Cow::Borrowed(&section.bytes[..]));
        }
        let mut hasher = blake3::Hasher::new();
        pieces.iter().for_each(|piece| hasher.put(piece));
        pieces.push(Cow::Owned(hasher.finalize().as_bytes().to_vec()));
        pieces
    }

    /// The snapshot that was encoded.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (bytes, hash) = bytes
            .split_last_chunk::<HASH_BYTES>()
            .ok_or(SnapshotError::Damaged)?;
        if blake3::hash(bytes) != *hash {
            return Err(SnapshotError::Damaged);
        }
        let mut take = Take(bytes);
        if take.array()? != MAGIC {
            return Err(CodecError("it is no snapshot").into());
        }
        let found = take.u16()?;
        if found != FORMAT {
            return Err(SnapshotError::Format { found });
        }
        let snapshot = Self {
            journal: JournalId(take.array()?),
            build: BuildHash(take.array()?),
            wall: take.time()?,
            point: Point::take(&mut take)?,
            skipped: take_skipped(&mut take)?,
            state: Section::take(&mut take)?,
            view: Section::take(&mut take)?,
            letters: Section::take(&mut take)?,
        };
        take.end()?;
        Ok(snapshot)
    }
}

impl Point {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.through);
        out.put(&self.batch);
        out.put_time(self.at);
        out.put_u64(self.numbering.last);
        out.put(&self.numbering.hash.0);
        out.put_option(self.bundle, |out, bundle| out.put(&bundle.0));
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            through: take.u64()?,
            batch: take.array()?,
            at: take.time()?,
            numbering: Numbering {
                last: take.u64()?,
                hash: DecisionHash(take.array()?),
            },
            bundle: take.option(|take| Ok(BundleHash(take.array()?)))?,
        })
    }
}

fn take_skipped(take: &mut Take<'_>) -> Result<Vec<Skip>, CodecError> {
    let count = take.u32()?;
    (0..count).map(|_| Skip::decode(take)).collect()
}

impl Section {
    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let format = take.u16()?;
        let length = usize::try_from(take.u64()?).map_err(|_| CodecError("cut short"))?;
        let bytes = take.bytes(length)?.to_vec();
        Ok(Self { format, bytes })
    }
}

/// The name of the snapshot as of this record.
fn snapshot_name(through: Seq) -> String {
    format!("{through:020}.snapshot")
}

/// The snapshots of a data directory, oldest first, with the records that they are as of.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Seq, PathBuf)>, JournalError> {
    let mut found = Vec::new();
    for path in disk.list(dir).map_err(JournalError::disk("list", dir))? {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = |name: &str| match name.strip_suffix(COPY) {
            Some(number) => number.parse().ok(),
            None => name.strip_suffix(".snapshot")?.parse().ok(),
        };
        let through = name.and_then(number);
        if let Some(through) = through {
            found.push((through, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The newest snapshot that `usable` makes something of. Those that cannot be used are told, and
/// passed over.
pub fn newest<T>(
    disk: &dyn Disk,
    data: &Path,
    usable: impl Fn(Snapshot) -> Result<T, SnapshotError>,
) -> Result<Option<T>, JournalError> {
    let dir = data.join(SNAPSHOTS_DIR);
    disk.create_dir_all(&dir)
        .map_err(JournalError::disk("make", &dir))?;
    for (_, path) in list(disk, &dir)?.into_iter().rev() {
        let read = disk.read(&path).map_err(SnapshotError::Unreadable);
        let snapshot = read.and_then(|bytes| Snapshot::decode(&bytes));
        match snapshot.and_then(&usable) {
            Ok(usable) => return Ok(Some(usable)),
            Err(error) => telemetry::snapshot_unusable(&path, &error),
        }
    }
    Ok(None)
}

/// Writes a snapshot beside the one of `before`, then removes all others: damaged ones too.
pub fn write(
    disk: &dyn Disk,
    data: &Path,
    snapshot: &Snapshot,
    before: Option<Seq>,
) -> Result<(), JournalError> {
    let dir = data.join(SNAPSHOTS_DIR);
    let temporary = dir.join("unfinished.tmp");
    let through = snapshot.point.through;
    let path = dir.join(snapshot_name(through));
    let written = write_file(disk, &temporary, &snapshot.pieces())
        .and_then(|()| disk.rename(&temporary, &path))
        .and_then(|()| disk.sync_dir(&dir));
    if let Err(error) = written {
        // What could not be finished only takes up room.
        let _ = disk.remove(&temporary);
        return Err(JournalError::disk("write", path)(error));
    }
    remove_but(disk, &dir, [Some(through), before])
}

/// Removes all snapshots but one, which gets a copy in place of the one before, if it reads back
/// whole; returns whether there are two good ones of it now.
pub fn double(disk: &dyn Disk, data: &Path, through: Seq) -> Result<bool, JournalError> {
    let dir = data.join(SNAPSHOTS_DIR);
    let path = dir.join(snapshot_name(through));
    let bytes = disk
        .read(&path)
        .map_err(JournalError::disk("read", &path))?;
    if Snapshot::decode(&bytes).is_err() {
        return Ok(false);
    }
    // The copy takes the room that the others took.
    remove_but(disk, &dir, [Some(through), None])?;
    let copy = dir.join(format!("{through:020}{COPY}"));
    let temporary = dir.join("unfinished.tmp");
    let written = write_file(disk, &temporary, &[Cow::Borrowed(&bytes[..])])
        .and_then(|()| disk.rename(&temporary, &copy))
        .and_then(|()| disk.sync_dir(&dir));
    if let Err(error) = written {
        let _ = disk.remove(&temporary);
        return Err(JournalError::disk("write", copy)(error));
    }
    Ok(true)
}

fn remove_but(disk: &dyn Disk, dir: &Path, kept: [Option<Seq>; 2]) -> Result<(), JournalError> {
    for (of, path) in list(disk, dir)? {
        if !kept.contains(&Some(of)) {
            disk.remove(&path)
                .map_err(JournalError::disk("remove", &path))?;
        }
    }
    Ok(())
}

/// Writes a file little by little, so that the logs' syncs beside it never wait for much.
fn write_file(disk: &dyn Disk, path: &Path, pieces: &[Cow<'_, [u8]>]) -> std::io::Result<()> {
    let mut file = disk.create(path, 0)?;
    for chunk in pieces.iter().flat_map(|piece| piece.chunks(CHUNK_BYTES)) {
        file.append([chunk, &[]])?;
        if chunk.len() == CHUNK_BYTES {
            file.sync()?;
        }
    }
    file.sync()
}

#[cfg(test)]
mod tests;
