//! The next segment, made ahead: rotating does not wait for its zeros, and what fits into it needs
//! no new space.
//!
//! Promise: a file that could not be made whole is removed again, so that a full disk is not made
//! fuller. Not here: when to try again (the log's owner keeps time).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::journal::JournalError;
use crate::journal::disk::{Disk, DiskFile};

/// How the next segment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ahead {
    /// It is there.
    Made,
    /// It is being made.
    Making,
    /// There is no space for it: see [`Log::retry`](crate::journal::Log::retry).
    Full,
}

/// A file being made, or what came of it.
type Made = io::Result<Box<dyn DiskFile>>;

/// Makes the next segment, one at a time, beside whoever writes.
#[derive(Debug)]
pub(super) struct Preparer {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment_bytes: u64,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Unasked,
    Making(Receiver<Made>),
    Made(Box<dyn DiskFile>),
    Failed(io::Error),
}

impl Preparer {
    /// Makes segments of so many bytes at a path that nothing else uses.
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf, segment_bytes: u64) -> Self {
        Self {
            disk,
            path,
            segment_bytes,
            next: Next::Unasked,
        }
    }

    /// Asks for one more, unless there is one, or one is being made.
    pub(super) fn prepare(&mut self) {
        if matches!(self.next, Next::Made(_) | Next::Making(_)) {
            return;
        }
        let (made, making) = bounded(1);
        let refused = made.clone();
        let (disk, path, length) = (
            Arc::clone(&self.disk),
            self.path.clone(),
            self.segment_bytes,
        );
        let work = move || {
            // The log may have gone meanwhile.
            let _ = made.send(make(&*disk, &path, length));
        };
        if let Err(error) = self.disk.beside("segments", Box::new(work)) {
            let _ = refused.send(Err(error));
        }
        self.next = Next::Making(making);
    }

    /// How it stands, without waiting. An error if making it failed for another reason than space.
    pub(super) fn look(&mut self) -> Result<Ahead, JournalError> {
        self.prepare_first();
        if let Next::Making(making) = &self.next {
            match making.try_recv() {
                Ok(made) => self.next = Next::from(made),
                Err(TryRecvError::Empty) => return Ok(Ahead::Making),
                Err(TryRecvError::Disconnected) => unreachable!("{SAYS}"),
            }
        }
        match &self.next {
            Next::Failed(error) if is_full(error) => Ok(Ahead::Full),
            Next::Failed(_) => Err(self.failure(self.segment_bytes)),
            Next::Unasked | Next::Making(_) => Ok(Ahead::Making),
            Next::Made(_) => Ok(Ahead::Made),
        }
    }

    /// Takes a file for at least so many bytes, waiting for it if need be; returns how long it is.
    /// If there is no space, nothing has changed.
    pub(super) fn take(
        &mut self,
        bytes: u64,
    ) -> Result<(PathBuf, Box<dyn DiskFile>, u64), JournalError> {
        self.prepare_first();
        self.wait();
        if bytes > self.segment_bytes {
            self.next = Next::Unasked;
            let file = make(&*self.disk, &self.path, bytes);
            let file = file.map_err(unmade(&self.path, bytes))?;
            return Ok((self.path.clone(), file, bytes));
        }
        match std::mem::replace(&mut self.next, Next::Unasked) {
            Next::Made(file) => Ok((self.path.clone(), file, self.segment_bytes)),
            failed => {
                self.next = failed;
                Err(self.failure(bytes))
            }
        }
    }

    fn prepare_first(&mut self) {
        if matches!(self.next, Next::Unasked) {
            self.prepare();
        }
    }

    fn wait(&mut self) {
        if let Next::Making(making) = &self.next {
            self.next = Next::from(making.recv().expect(SAYS));
        }
    }

    /// Why there is none; it stays so until the next try.
    fn failure(&mut self, bytes: u64) -> JournalError {
        let Next::Failed(error) = &self.next else {
            unreachable!("only what failed is asked why")
        };
        let again = match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        unmade(&self.path, bytes)(again)
    }
}

const SAYS: &str = "whoever makes a segment says what came of it";

impl From<Made> for Next {
    fn from(made: Made) -> Self {
        made.map_or_else(Self::Failed, Self::Made)
    }
}

impl Drop for Preparer {
    /// Whoever opens the log again must not find somebody writing zeros to its files.
    fn drop(&mut self) {
        self.wait();
    }
}

/// Makes a file of zeros; what could not be made whole is removed again.
pub(super) fn make(disk: &dyn Disk, path: &Path, length: u64) -> Made {
    let made = disk.create(path, length);
    if made.is_err() {
        // It may not even be there; what stays, the next opening removes.
        let _ = disk.remove(path);
    }
    made
}

/// For `map_err`: what it means that a file of so many bytes could not be made.
pub(super) fn unmade(path: &Path, bytes: u64) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |error| match is_full(&error) {
        true => JournalError::Full { path, bytes },
        false => JournalError::disk("make", path)(error),
    }
}

/// Whether an error says that there is no space, or none for us.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
