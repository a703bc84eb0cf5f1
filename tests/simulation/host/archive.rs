//! The machine's disk, of which nothing that goes is forgotten: the checks read the logs from their
//! beginning, also where the host has removed it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ioc::journal::disk::{Disk, DiskFile};

use super::tide::CAPACITY;
use crate::disk::FaultDisk;

/// The segments that were removed, as they were; clones are the same archive.
#[derive(Debug, Clone, Default)]
pub struct Archive(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Archive {
    /// The same disk to the host, whose removed segments are kept here.
    pub fn watch(&self, disk: FaultDisk) -> Arc<dyn Disk> {
        Arc::new(Watched {
            disk,
            archive: self.clone(),
        })
    }

    /// How many segments were removed.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// A sound disk with these directories' segments: those that are there, and those that were.
    pub fn whole(&self, disk: &FaultDisk, dirs: &[PathBuf]) -> io::Result<FaultDisk> {
        let mut segments = self.0.lock().unwrap().clone();
        for dir in dirs {
            for path in disk.list(dir)?.into_iter().filter(|path| is_segment(path)) {
                let bytes = disk.read(&path)?;
                segments.insert(path, bytes);
            }
        }
        let whole = FaultDisk::new(0, CAPACITY, false);
        for (path, bytes) in segments {
            whole.create(&path, 0)?.append([&bytes, &[]])?;
        }
        Ok(whole)
    }
}

fn is_segment(path: &Path) -> bool {
    path.extension() == Some("log".as_ref())
}

/// The disk as the host has it.
#[derive(Debug)]
struct Watched {
    disk: FaultDisk,
    archive: Archive,
}

impl Disk for Watched {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(dir)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(path, offset, into)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.disk.length(path)
    }

    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(path, length)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.disk.truncate(path, length)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let held = self.disk.peek(path).filter(|_| is_segment(path));
        if let Some(bytes) = held {
            let mut archive = self.archive.0.lock().unwrap();
            archive.insert(path.to_owned(), bytes);
        }
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn beside(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.disk.beside(name, work)
    }
}
