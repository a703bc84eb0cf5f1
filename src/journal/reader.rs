//! Follows a log from a record on, also while another thread appends to it.
//!
//! Arrives: how far the log is durable, as its writer tells. Leaves: whole batches in order, their
//! hashes and their chain verified, across segments. Promise: nothing that is not durable, nothing
//! twice, nothing left out: what must be there and is not is an error. Memory is one chunk, or one
//! batch if that is larger; nothing is allocated per batch. Not here: which part of the log must
//! be kept for a reader (see `docs/JOURNAL.md`). Next: `recover.rs`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::JournalError;
use crate::journal::batch::{BatchHeader, JournalId, LogKind};
use crate::journal::disk::Disk;
use crate::journal::scan::{Damage, segment_name, segments};

/// How much is read at once by a reader that has caught up: a few batches.
const CHUNK_BYTES_MIN: usize = 64 << 10;
/// How much is read at once by a reader that is far behind.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// A place in a log, from which batches are read one after another.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    kind: LogKind,
    from: u64,
    segment: Option<Segment>,
    /// The number that the next batch begins with.
    next: u64,
    /// The last batch's journal and hash.
    last: Option<(JournalId, [u8; 32])>,
    /// Where in the segment `buffer[start]` is.
    offset: u64,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    chunk_bytes: usize,
}

/// The segment that is read.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    first: u64,
    /// Where the next segment takes over, if there was one when this one was begun.
    follower: Option<u64>,
}

/// A whole batch at the beginning of what is buffered.
type Found = (BatchHeader, [u8; 32]);

impl Reader {
    /// A reader that begins with the batch that holds record `from` (the first is 1).
    ///
    /// The log must have been opened by this process, or not be written to at all: opening is
    /// what settles which batches count.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, kind: LogKind, from: u64) -> Self {
        Self {
            disk,
            dir,
            kind,
            from,
            segment: None,
            next: from,
            last: None,
            offset: 0,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            chunk_bytes: CHUNK_BYTES_MIN,
        }
    }

    /// The number of the next record that was not handed over yet.
    pub fn position(&self) -> u64 {
        self.next.max(self.from)
    }

    /// The next batch, if it is durable: its last record is at most `durable_up_to`. A batch
    /// without records is handed over only once a record after it is durable.
    ///
    /// An error leaves the reader where it was. [`JournalError::Removed`] if retention has taken
    /// what comes next, [`JournalError::Damage`] if it is not what was written.
    pub fn next(
        &mut self,
        durable_up_to: u64,
    ) -> Result<Option<(BatchHeader, &[u8])>, JournalError> {
        let header = loop {
            if self.position() > durable_up_to {
                return Ok(None);
            }
            if self.segment.is_none() {
                self.begin()?;
            }
            if self.follower_takes_over()? {
                self.enter(self.next)?;
            }
            let Some((header, hash)) = self.whole()? else {
                self.cross()?;
                continue;
            };
            if header.next() - 1 > durable_up_to {
                return Ok(None);
            }
            self.consume(&header, hash);
            if header.next() > self.from {
                break header;
            }
        };
        let payload = self.start - header.length as usize..self.start;
        Ok(Some((header, &self.buffer[payload])))
    }

    /// The records of the batch that [`next`](Self::next) handed over last, whose header is given.
    pub fn payload(&self, header: &BatchHeader) -> &[u8] {
        &self.buffer[self.start - header.length as usize..self.start]
    }

    /// The hash of the last batch that was read; zeros before the first.
    pub fn hash(&self) -> [u8; 32] {
        self.last.map_or([0; 32], |(_, hash)| hash)
    }

    /// Goes to the segment that holds the first record to read.
    fn begin(&mut self) -> Result<(), JournalError> {
        let found = segments(&*self.disk, &self.dir)?;
        let holds = found.iter().rfind(|(first, _)| *first <= self.from);
        match holds {
            Some((first, _)) => {
                self.enter(*first)?;
                self.next = *first;
                Ok(())
            }
            None => Err(self.gone(&found, 0)),
        }
    }

    /// Begins a segment that is known to be there.
    fn enter(&mut self, first: u64) -> Result<(), JournalError> {
        let found = segments(&*self.disk, &self.dir)?;
        let follower = found.iter().find(|(later, _)| *later > first);
        self.segment = Some(Segment {
            path: self.dir.join(segment_name(first)),
            first,
            follower: follower.map(|(later, _)| *later),
        });
        self.offset = 0;
        self.start = 0;
        self.end = 0;
        Ok(())
    }

    /// Whether the log goes on in the next segment: an opening that was interrupted leaves what it
    /// wrote again in the old one too, and there only the copy counts.
    fn follower_takes_over(&self) -> Result<bool, JournalError> {
        let follower = self.segment.as_ref().and_then(|segment| segment.follower);
        let Some((_, hash)) = self.last.filter(|_| follower == Some(self.next)) else {
            return Ok(false);
        };
        let path = self.dir.join(segment_name(self.next));
        let mut head = [0; BatchHeader::BYTES];
        let read = self.disk.read_at(&path, 0, &mut head);
        let read = read.map_err(|error| self.unreadable(&path, error))?;
        let previous = BatchHeader::peek(&head[..read]).map(|header| header.previous);
        Ok(previous == Some(hash))
    }

    /// Goes on in the segment that begins with the next record: this one has ended.
    fn cross(&mut self) -> Result<(), JournalError> {
        let found = segments(&*self.disk, &self.dir)?;
        let current = self.segment.as_ref().map(|segment| segment.first);
        let follows = |(first, _): &(u64, PathBuf)| *first == self.next;
        if current != Some(self.next) && found.iter().any(follows) {
            return self.enter(self.next);
        }
        Err(self.gone(&found, self.offset))
    }

    /// The batch at the beginning of what is buffered, reading on if need be: it may have been
    /// written since.
    fn whole(&mut self) -> Result<Option<Found>, JournalError> {
        if let Some(found) = self.decode() {
            return Ok(Some(found));
        }
        self.refill()?;
        Ok(self.decode())
    }

    fn decode(&self) -> Option<Found> {
        let (header, hash, _) = BatchHeader::decode(&self.buffer[self.start..self.end])?;
        let chained = self
            .last
            .is_none_or(|(journal, last)| header.journal == journal && header.previous == last);
        // From where the next segment begins, this one counts only for marks.
        let follower = self.segment.as_ref().and_then(|segment| segment.follower);
        let ours = follower != Some(self.next) || header.count == 0;
        let follows = header.kind == self.kind && header.first == self.next && chained;
        (follows && ours).then_some((header, hash))
    }

    fn consume(&mut self, header: &BatchHeader, hash: [u8; 32]) {
        let bytes = BatchHeader::BYTES + header.length as usize;
        self.start += bytes;
        self.offset += bytes as u64;
        self.next = header.next();
        self.last = Some((header.journal, hash));
    }

    /// Reads on from where the reader is: a chunk, or a whole batch if that is larger.
    fn refill(&mut self) -> Result<(), JournalError> {
        let segment = self.segment.as_ref().expect("a segment was begun");
        let left = &self.buffer[self.start..self.end];
        let behind = self.end > 0 && (left.is_empty() || BatchHeader::peek(left).is_some());
        self.chunk_bytes = match behind {
            true => (self.chunk_bytes * 2).min(CHUNK_BYTES_MAX),
            false => CHUNK_BYTES_MIN,
        };
        let mut wanted = self.chunk_bytes;
        self.start = 0;
        self.end = 0;
        loop {
            self.buffer.resize(wanted.max(self.buffer.len()), 0);
            let into = &mut self.buffer[..wanted];
            self.end = match self.disk.read_at(&segment.path, self.offset, into) {
                Ok(read) => read,
                Err(error) => return Err(self.unreadable(&segment.path, error)),
            };
            let header = BatchHeader::peek(&self.buffer[..self.end]);
            let needed = header.map_or(0, |header| BatchHeader::BYTES + header.length as usize);
            if needed <= self.end || self.end < wanted {
                return Ok(());
            }
            // Stepwise: a damaged length must not take more memory than there are bytes.
            wanted = needed.min(wanted * 2);
        }
    }

    fn unreadable(&self, path: &Path, error: io::Error) -> JournalError {
        let found = segments(&*self.disk, &self.dir);
        match found {
            Ok(found) if error.kind() == io::ErrorKind::NotFound => self.gone(&found, 0),
            _ => JournalError::disk("read", path)(error),
        }
    }

    /// Why what is durable is not there: retention has taken it, or it is damaged.
    fn gone(&self, found: &[(u64, PathBuf)], offset: u64) -> JournalError {
        let number = self.position();
        match found.first() {
            Some((first, _)) if *first > self.next => JournalError::Removed {
                path: self.dir.clone(),
                number,
                first: *first,
            },
            _ => {
                let segment = self.segment.as_ref();
                let first = self.dir.join(segment_name(1));
                JournalError::Damage(Damage {
                    path: segment.map_or(first, |segment| segment.path.clone()),
                    offset,
                    number: self.next,
                    depends: "it was durable",
                })
            }
        }
    }
}
