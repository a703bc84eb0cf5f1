//! Disks that say that they have synced and have not: what must not go unnoticed.

use std::io;
use std::path::{Path, PathBuf};

use ioc::journal::disk::{Disk, DiskFile};

use crate::disk::FaultDisk;

/// What is not done though it is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Files are not synced after they were made.
    Sync,
    /// Directories are not synced.
    SyncDir,
}

/// A disk that lies.
#[derive(Debug)]
pub struct Liar {
    /// The disk.
    pub disk: FaultDisk,
    /// What it lies about.
    pub lie: Lie,
}

#[derive(Debug)]
struct LyingFile(Box<dyn DiskFile>);

impl DiskFile for LyingFile {
    fn append(&mut self, parts: [&[u8]; 2]) -> io::Result<()> {
        self.0.append(parts)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk for Liar {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(dir)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.disk.length(path)
    }

    fn read_at(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(path, offset, into)
    }

    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.create(path, length)?;
        match self.lie {
            Lie::Sync => Ok(Box::new(LyingFile(file))),
            Lie::SyncDir => Ok(file),
        }
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.disk.truncate(path, length)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self.lie {
            Lie::Sync => self.disk.sync_dir(dir),
            Lie::SyncDir => Ok(()),
        }
    }

    fn beside(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.disk.beside(name, work)
    }
}
