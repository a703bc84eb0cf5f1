//! A log that is appended to: opening it (with the recovery rule), appending, syncing, rotating.
//!
//! Recovery reads the page cache, not the disk: after a failed sync the cache may hold what the
//! disk never got. So what lies after the last point known durable is written again into a new
//! segment and synced, with its directory, before [`Log::open`] returns. Every opening begins a
//! new segment and a new generation.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use ioc_core::record::BuildHash;
use ioc_core::time::Timestamp;

use crate::journal::JournalError;
use crate::journal::batch::{BatchHeader, JournalId, LogKind, Mark};
use crate::journal::disk::{Disk, DiskFile};
use crate::journal::scan::{Contents, End, Known, SegmentContents, scan, segment_name};

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
        remove_unfinished(&*disk, dir)?;
        let mut contents = scan(&*disk, dir, options.kind, known)?;
        let durable_up_to = contents.end.durable_up_to.max(known.needed_up_to);
        let tail = Tail::of(&*disk, &contents, durable_up_to)?;

        let temporary = dir.join("recovered.tmp");
        let room = options.segment_bytes.max(tail.bytes());
        let file = disk.create(&temporary, room);
        let file = file.map_err(JournalError::disk("make", &temporary))?;
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
            next: tail.first,
            previous: tail.previous,
            durable_up_to,
            preparer: Preparer::new(Arc::clone(&disk), &options),
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
    pub fn append(
        &mut self,
        count: u32,
        payload: &[u8],
        mark: Mark,
        wall: Timestamp,
    ) -> Result<(), JournalError> {
        let bytes = (BatchHeader::BYTES + payload.len()) as u64;
        // A segment is named by its first record, so one that holds none is not ended.
        let may_end = self.next > self.first;
        if may_end && self.used_bytes + bytes > self.options.segment_bytes {
            self.rotate()?;
        }
        self.write(count, payload, mark, wall, self.options.build)
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

    /// Ends the segment and begins the next with the file that was made ahead.
    fn rotate(&mut self) -> Result<(), JournalError> {
        self.sync()?;
        let cut = self.disk.truncate(&self.path, self.used_bytes);
        cut.map_err(JournalError::disk("cut", &self.path))?;
        let (path, file) = self.preparer.take()?;
        self.file = file;
        self.path = path;
        self.first = self.next;
        self.used_bytes = 0;
        self.name()
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
        self.preparer.prepare();
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
                last.bytes = tail.offset.unwrap_or(last.bytes);
                let cut = self.disk.truncate(&last.path, last.bytes);
                cut.map_err(JournalError::disk("cut", &last.path))?;
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

/// The batches after the last point known durable: at most what was in flight when the process
/// ended.
struct Tail {
    first: u64,
    previous: [u8; 32],
    /// Where it begins in the log's last segment.
    offset: Option<u64>,
    batches: Vec<(BatchHeader, Vec<u8>)>,
}

impl Tail {
    fn of(disk: &dyn Disk, contents: &Contents, durable_up_to: u64) -> Result<Self, JournalError> {
        let mut tail = Self {
            first: contents.end.next(),
            previous: contents.end.hash(),
            offset: None,
            batches: Vec::new(),
        };
        let Some(last) = contents.segments.last() else {
            return Ok(tail);
        };
        let bytes = disk
            .read(&last.path)
            .map_err(JournalError::disk("read", &last.path))?;
        let mut offset = 0;
        while let Some((header, _, payload)) =
            BatchHeader::decode(&bytes[offset..last.bytes as usize])
        {
            // A batch without records is in doubt as long as only such follow it.
            let certain = header.count > 0 && header.next() <= durable_up_to + 1;
            if certain {
                tail.batches.clear();
                tail.offset = None;
            } else if tail.offset.is_none() {
                tail.first = header.first;
                tail.previous = header.previous;
                tail.offset = Some(offset as u64);
            }
            if !certain {
                tail.batches.push((header, payload.to_vec()));
            }
            offset += BatchHeader::BYTES + payload.len();
        }
        if tail.offset.is_none() {
            tail.first = contents.end.next();
            tail.previous = contents.end.hash();
        }
        Ok(tail)
    }

    fn bytes(&self) -> u64 {
        let of = |(_, payload): &(BatchHeader, Vec<u8>)| BatchHeader::BYTES + payload.len();
        self.batches.iter().map(of).sum::<usize>() as u64
    }
}

/// Makes the next segment ahead, so that rotating does not wait for its zeros.
#[derive(Debug)]
struct Preparer {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment_bytes: u64,
    /// Where the one that is being made arrives; `None` if none was asked for.
    making: Option<Receiver<io::Result<Box<dyn DiskFile>>>>,
}

impl Preparer {
    fn new(disk: Arc<dyn Disk>, options: &LogOptions) -> Self {
        Self {
            disk,
            path: options.dir.join("next.tmp"),
            segment_bytes: options.segment_bytes,
            making: None,
        }
    }

    /// Asks for one more; at most one is made ahead.
    fn prepare(&mut self) {
        if self.making.is_some() {
            return;
        }
        let (made, making) = bounded(1);
        let (disk, path, length) = (
            Arc::clone(&self.disk),
            self.path.clone(),
            self.segment_bytes,
        );
        let refused = made.clone();
        let make = move || {
            // The log may have gone meanwhile.
            let _ = made.send(disk.create(&path, length));
        };
        if let Err(error) = self.disk.beside("segments", Box::new(make)) {
            let _ = refused.send(Err(error));
        }
        self.making = Some(making);
    }

    /// The one that was made, waiting for it if need be.
    fn take(&mut self) -> Result<(PathBuf, Box<dyn DiskFile>), JournalError> {
        self.prepare();
        let making = self.making.take().expect("asked for above");
        let file = making
            .recv()
            .expect("whoever makes it says what came of it");
        Ok((
            self.path.clone(),
            file.map_err(JournalError::disk("make", &self.path))?,
        ))
    }
}

impl Drop for Preparer {
    /// Whoever opens the log again must not find somebody writing zeros to its files.
    fn drop(&mut self) {
        if let Some(making) = self.making.take() {
            let _ = making.recv();
        }
    }
}
