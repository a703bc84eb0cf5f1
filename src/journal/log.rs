//! A log that is appended to: opening it (with the recovery rule), appending, syncing, rotating.
//!
//! Recovery reads the page cache, not the disk: after a failed sync the cache may hold what the
//! disk never got. So what lies after the last point known durable is written again into a new
//! segment and synced, with its directory, before [`Log::open`] returns. Every opening begins a
//! new segment and a new generation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ioc_core::record::BuildHash;
use ioc_core::time::Timestamp;

use crate::journal::JournalError;
use crate::journal::ahead::{Ahead, Preparer, is_full, make, unmade};
use crate::journal::batch::{BatchHeader, JournalId, LogKind, Mark};
use crate::journal::disk::{Disk, DiskFile};
use crate::journal::retain;
use crate::journal::scan::{Contents, End, Known, SegmentContents, scan, segment_name};
use crate::journal::tail::Tail;

/// What an opening needs beside what is in doubt, for what the host itself has to say first.
const OPENING_BYTES_MIN: u64 = 64 << 10;
/// How much of the space that is there is kept for what people do, at most.
const RESERVE_BYTES_MAX: u64 = 1 << 20;
/// The same, as a part of a segment.
const RESERVE_PARTS: u64 = 8;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Where; made if it is missing.
    pub dir: PathBuf,
    /// Which of the two.
    pub kind: LogKind,
    /// How many bytes a segment is made with; a larger batch makes a larger one.
    pub segment_bytes: u64,
    /// The executable that writes.
    pub build: BuildHash,
}

impl LogOptions {
    fn reserve_bytes(&self) -> u64 {
        RESERVE_BYTES_MAX.min(self.segment_bytes / RESERVE_PARTS)
    }
}

/// How much may still be appended for certain, on a disk that may be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In bytes of batches with their headers, however they are cut, as long as none is larger
    /// than a segment.
    pub bytes: u64,
    /// Whether there will be more.
    pub ahead: Ahead,
}

/// A log, open for appending by one writer.
#[derive(Debug)]
pub struct Log {
    options: LogOptions,
    disk: Arc<dyn Disk>,
    journal: JournalId,
    generation: u32,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// The number that the segment is named by.
    first: u64,
    used_bytes: u64,
    /// The length that the segment was made with.
    made_bytes: u64,
    next: u64,
    previous: [u8; 32],
    durable_up_to: u64,
    preparer: Preparer,
}

impl Log {
    /// Opens a log after whatever happened to it; returns it with what it holds, all of it
    /// durable. `known` is what is known of it from elsewhere; `journal` the
    /// identity if the log is new.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        journal: JournalId,
        known: Known,
    ) -> Result<(Self, Contents), JournalError> {
        let dir = &options.dir;
        disk.create_dir_all(dir)
            .map_err(JournalError::disk("make", dir))?;
        let mut contents = scan(&*disk, dir, options.kind, known)?;
        let durable_up_to = contents.end.durable_up_to.max(known.needed_up_to);
        let tail = Tail::of(&*disk, &contents, durable_up_to)?;

        give_back(&*disk, dir, &contents)?;
        let temporary = dir.join("recovered.tmp");
        let (file, made_bytes) = make_room(&*disk, &temporary, tail.bytes(), &options)?;
        let next = dir.join("next.tmp");
        let preparer = Preparer::new(Arc::clone(&disk), next, options.segment_bytes);
        let mut log = Self {
            journal: contents.end.journal().unwrap_or(journal),
            generation: contents
                .end
                .last
                .map_or(1, |(header, _)| header.generation + 1),
            file,
            path: temporary,
            first: tail.first,
            used_bytes: 0,
            made_bytes,
            next: tail.first,
            previous: tail.previous,
            durable_up_to,
            preparer,
            disk,
            options,
        };
        for (header, payload) in &tail.batches {
            log.write(
                header.count,
                payload,
                header.mark,
                header.wall,
                header.build,
            )?;
        }
        log.sync()?;
        log.name()?;
        log.forget_tail(&mut contents, &tail)?;
        Ok((log, contents))
    }

    /// How many bytes a segment is made with.
    pub const fn segment_bytes(&self) -> u64 {
        self.options.segment_bytes
    }

    /// The journal's identity.
    pub const fn journal(&self) -> JournalId {
        self.journal
    }

    /// The hash of the last batch.
    pub const fn last_hash(&self) -> [u8; 32] {
        self.previous
    }

    /// The number that the next record gets.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Writes a batch of records. It is durable after the next [`Self::sync`].
    ///
    /// [`JournalError::Full`] if it does not fit and there is no space for another segment: then
    /// nothing has changed. After any other error the log must not be used any more.
    pub fn append(
        &mut self,
        count: u32,
        payload: &[u8],
        mark: Mark,
        wall: Timestamp,
    ) -> Result<(), JournalError> {
        let bytes = (BatchHeader::BYTES + payload.len()) as u64;
        if self.used_bytes + bytes > self.made_bytes {
            self.rotate(bytes)?;
        }
        self.write(count, payload, mark, wall, self.options.build)
    }

    /// How much may still be appended for certain. The first call asks for the next segment: an
    /// opening leaves that space to whatever else is to be opened. What was found out about the next segment is
    /// taken note of; an error if making it failed for another reason than space.
    pub fn room(&mut self) -> Result<Room, JournalError> {
        let ahead = self.preparer.look()?;
        let left = self.made_bytes.saturating_sub(self.used_bytes);
        let in_next = self.options.segment_bytes.saturating_sub(self.carried());
        let bytes = match ahead {
            Ahead::Made => left.max(in_next),
            Ahead::Making | Ahead::Full => left,
        };
        Ok(Room { bytes, ahead })
    }

    /// Tries again to make the next segment, if there was no space for it.
    pub fn retry(&mut self) {
        self.preparer.prepare();
    }

    /// How much of the [`room`](Self::room) is to be kept for what people do.
    pub fn reserve_bytes(&self) -> u64 {
        self.options.reserve_bytes()
    }

    /// Makes all that was written durable.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.file
            .sync()
            .map_err(JournalError::disk("sync", &self.path))?;
        self.durable_up_to = self.next - 1;
        Ok(())
    }

    fn write(
        &mut self,
        count: u32,
        payload: &[u8],
        mark: Mark,
        wall: Timestamp,
        build: BuildHash,
    ) -> Result<(), JournalError> {
        let header = BatchHeader {
            kind: self.options.kind,
            journal: self.journal,
            generation: self.generation,
            first: self.next,
            count,
            length: payload.len() as u32,
            durable_up_to: self.durable_up_to,
            wall,
            build,
            mark,
            previous: self.previous,
        };
        let (head, hash) = header.encode(payload);
        self.file
            .append([&head, payload])
            .map_err(JournalError::disk("append to", &self.path))?;
        self.used_bytes += (head.len() + payload.len()) as u64;
        self.previous = hash;
        self.next = header.next();
        Ok(())
    }

    /// Ends the segment and begins the next, which has room for so many bytes. Without space for
    /// it nothing has changed.
    ///
    /// A segment is named by its first record, so one that holds none is not ended: the next takes
    /// its place, with the marks that are in it.
    fn rotate(&mut self, bytes: u64) -> Result<(), JournalError> {
        let carried = self.carried();
        let (path, mut file, made_bytes) = self.preparer.take(carried + bytes)?;
        self.sync()?;
        if self.next > self.first {
            let cut = self.disk.truncate(&self.path, self.used_bytes);
            cut.map_err(JournalError::disk("cut", &self.path))?;
        } else {
            let mut marks = vec![0; carried as usize];
            let read = self.disk.read_at(&self.path, 0, &mut marks);
            read.map_err(JournalError::disk("read", &self.path))?;
            let copied = file.append([&marks, &[]]).and_then(|()| file.sync());
            copied.map_err(JournalError::disk("append to", &path))?;
        }
        self.file = file;
        self.path = path;
        self.first = self.next;
        self.used_bytes = carried;
        self.made_bytes = made_bytes;
        self.name()?;
        self.preparer.prepare();
        Ok(())
    }

    /// How many bytes of marks go over into the next segment.
    fn carried(&self) -> u64 {
        match self.next > self.first {
            true => 0,
            false => self.used_bytes,
        }
    }

    /// Gives the segment its name for good.
    fn name(&mut self) -> Result<(), JournalError> {
        let path = self.options.dir.join(segment_name(self.first));
        self.disk
            .rename(&self.path, &path)
            .map_err(JournalError::disk("rename", &self.path))?;
        let dir = &self.options.dir;
        self.disk
            .sync_dir(dir)
            .map_err(JournalError::disk("sync", dir))?;
        self.path = path;
        Ok(())
    }

    /// The tail is in the new segment now: what is left of it in the old one goes.
    fn forget_tail(&self, contents: &mut Contents, tail: &Tail) -> Result<(), JournalError> {
        match contents.segments.last_mut() {
            // The new segment has taken its place.
            Some(last) if last.path == self.path => {
                contents.segments.pop();
            }
            Some(last) => {
                if let Some(offset) = tail.offset {
                    last.bytes = offset;
                    let cut = self.disk.truncate(&last.path, offset);
                    cut.map_err(JournalError::disk("cut", &last.path))?;
                }
            }
            None => {}
        }
        contents.segments.push(SegmentContents {
            path: self.path.clone(),
            first: tail.first,
            bytes: self.used_bytes,
        });
        contents.end = End {
            first: contents.end.first,
            before: contents.end.before,
            last: contents.end.last.map(|(header, _)| (header, self.previous)),
            durable_up_to: self.durable_up_to,
            torn_bytes: 0,
        };
        Ok(())
    }
}

/// What an earlier opening or rotation did not finish.
fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
    for path in disk.list(dir).map_err(JournalError::disk("list", dir))? {
        if path.extension().is_some_and(|extension| extension == "tmp") {
            disk.remove(&path)
                .map_err(JournalError::disk("remove", &path))?;
        }
    }
    Ok(())
}

/// Gives back space that a log does not need: what an earlier opening, rotation or removal did not
/// finish, and what the last segment was made with beyond its end. Nothing counts there; on a full disk an
/// opening lives on it.
pub fn give_back(disk: &dyn Disk, dir: &Path, contents: &Contents) -> Result<(), JournalError> {
    remove_unfinished(disk, dir)?;
    retain::finish(disk, dir)?;
    let Some(last) = contents.segments.last() else {
        return Ok(());
    };
    let cut = disk.truncate(&last.path, last.bytes);
    cut.map_err(JournalError::disk("cut", &last.path))
}

/// Makes the segment that an opening needs: small, because a whole one is made ahead at once, and
/// on a full disk there is another log to open. It has room for the tail and for as much as is kept
/// for what people do, or on a full disk for what the host itself has to say.
fn make_room(
    disk: &dyn Disk,
    path: &Path,
    tail_bytes: u64,
    options: &LogOptions,
) -> Result<(Box<dyn DiskFile>, u64), JournalError> {
    let least = OPENING_BYTES_MIN.min(options.segment_bytes);
    let mut more = options.reserve_bytes().max(least);
    loop {
        let bytes = tail_bytes + more;
        match make(disk, path, bytes) {
            Ok(file) => return Ok((file, bytes)),
            Err(error) if is_full(&error) && more > least => more = (more / 2).max(least),
            Err(error) => return Err(unmade(path, bytes)(error)),
        }
    }
}
