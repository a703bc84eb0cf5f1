//! The logs' only door to storage, so that faults can be put behind it.
//!
//! Promise of an implementation: what [`DiskFile::sync`] returned for is on the medium, and a name
//! is there for good once [`Disk::sync_dir`] returned for its directory. Nothing else is promised:
//! what was not synced may be lost, torn or reordered by a power cut.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::FallocateFlags;

use crate::priority;

/// A file system, as far as the logs need one.
pub trait Disk: Debug + Send + Sync {
    /// Makes a directory and those above it, their names durable.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// The files of a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// All that a file holds.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Reads from `offset` on until `into` is full or the file ends; returns how many bytes.
    fn read_at(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// How many bytes a file has.
    fn length(&self, path: &Path) -> io::Result<u64>;
    /// Makes a file of so many zeros, truncating one that is there, and syncs it. If that fails,
    /// part of it may be there.
    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>>;
    /// Cuts a file to a length, and syncs it.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Runs work that would keep the caller waiting, on a thread of this name. A simulated disk
    /// may run it before it returns: the caller must be able to go on only after it.
    fn beside(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}

/// A file that is written from its beginning on.
pub trait DiskFile: Debug + Send {
    /// Writes all of the parts, one after another, after what was written before.
    fn append(&mut self, parts: [&[u8]; 2]) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Writes a file whole or not at all, in place of one that is there; it is durable when this
/// returns. `temporary` is its name until then, in the same directory.
pub fn replace(disk: &dyn Disk, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = disk.create(temporary, 0)?;
        file.append([bytes, &[]])?;
        file.sync()?;
        disk.rename(temporary, path)?;
        disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
    };
    write().inspect_err(|_| {
        // What could not be finished only takes up room.
        let _ = disk.remove(temporary);
    })
}

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl Disk for SystemDisk {
    /// The two directories above are synced whoever made them: a process may have ended between
    /// making one and syncing its name.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        for above in dir.ancestors().skip(1).take(2) {
            let here = above.as_os_str().is_empty();
            let synced = self.sync_dir(if here { Path::new(".") } else { above });
            match synced {
                // Not ours to read, so we have not made anything in it.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn read_at(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = File::open(path)?;
        let mut filled = 0;
        while filled < into.len() {
            match file.read_at(&mut into[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// The zeros are written, not only reserved: a write into reserved space changes the file
    /// system's own records, which makes each sync of it dearer.
    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        reserve(&file, length)?;
        let mut left = length;
        while left > 0 {
            let chunk = left.min(ZEROS.len() as u64);
            file.write_all(&ZEROS[..chunk as usize])?;
            left -= chunk;
        }
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(file))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn beside(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let builder = thread::Builder::new().name(name.into());
        let patient = move || {
            priority::be_patient();
            work();
        };
        builder.spawn(patient).map(drop)
    }
}

/// Finds out that there is no space before any of it is taken from others, where the file system
/// can tell.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    use rustix::io::Errno;
    if length == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length) {
        Err(full @ (Errno::NOSPC | Errno::DQUOT)) => Err(full.into()),
        // Writing the zeros will tell.
        Ok(()) | Err(_) => Ok(()),
    }
}

impl DiskFile for File {
    fn append(&mut self, parts: [&[u8]; 2]) -> io::Result<()> {
        let mut slices = parts.map(IoSlice::new);
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match self.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
