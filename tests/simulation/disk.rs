//! A disk in memory that does what disks do on their worst day.
//!
//! What a program sees (the page cache) and what is on the medium are kept apart. What was not
//! synced is kept or lost sector by sector, in any order, also torn, when the power is lost; names
//! that were not synced are as a file system may leave them. A failed sync leaves the cache clean:
//! it shows what the medium never got. The process may end at any operation, the power may go at
//! any operation, any operation may fail, the disk may fill.
//!
//! Assumed, as the logs assume it: a sector that is written when the power goes holds old and new
//! bytes, nothing else, so that bytes which do not change survive in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ioc::journal::disk::{Disk, DiskFile};

use crate::chance::Chance;
use crate::seeds::Story;

/// What a medium writes at once, at least.
const SECTOR: usize = 512;

/// The disk; its clones are the same one.
#[derive(Debug, Clone)]
pub struct FaultDisk(Arc<Mutex<State>>);

/// What shall go wrong, counted in operations from now on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The process or the power ends at this operation.
    pub ends: Option<(u64, Ending)>,
    /// These operations fail.
    pub fails: Vec<u64>,
}

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The process; the cache stays.
    Process,
    /// The power; only the medium stays.
    Power,
}

#[derive(Debug)]
struct State {
    nodes: Vec<Node>,
    /// As programs see them.
    names: BTreeMap<PathBuf, usize>,
    /// As the medium has them.
    durable_names: BTreeMap<PathBuf, usize>,
    /// What happened to names since they were synced, in order.
    changes: Vec<Change>,
    capacity: u64,
    faults: Faults,
    operations: u64,
    ended: Option<Ending>,
    chances: Chances,
    story: Option<Story>,
}

/// One stream for each kind of fault.
#[derive(Debug)]
struct Chances {
    sectors: Chance,
    names: Chance,
    endings: Chance,
    failures: Chance,
}

/// A file's bytes.
#[derive(Debug, Default, Clone)]
struct Node {
    cache: Vec<u8>,
    medium: Vec<u8>,
    /// The sectors in which the cache has what the medium may not have.
    dirty: BTreeSet<usize>,
}

/// A name and what it now stands for.
#[derive(Debug, Clone)]
struct Change {
    name: PathBuf,
    node: Option<usize>,
    /// Changes that a journaling file system makes at once have the same step.
    step: u64,
}

/// How far an operation gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Partly,
}

impl FaultDisk {
    /// An empty disk of so many bytes.
    pub fn new(seed: u64, capacity: u64, tell: bool) -> Self {
        let state = State {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            capacity,
            faults: Faults::default(),
            operations: 0,
            ended: None,
            chances: Chances {
                sectors: Chance::new(seed, "sectors"),
                names: Chance::new(seed, "names"),
                endings: Chance::new(seed, "endings"),
                failures: Chance::new(seed, "failures"),
            },
            story: tell.then(Story::new),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The story is told of a run that panicked, too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what shall go wrong from here on, in place of what was said before.
    pub fn arm(&self, faults: Faults) {
        let mut state = self.state();
        state.operations = 0;
        state.faults = faults;
    }

    /// Changes how many bytes fit; what is there stays.
    pub fn resize(&self, capacity: u64) {
        let mut state = self.state();
        state.capacity = capacity;
        state.tell(|| format!("capacity {capacity}"));
    }

    /// How many bytes are taken.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Whether anything is not on the medium yet.
    pub fn has_unsynced(&self) -> bool {
        let state = self.state();
        let dirty = state.nodes.iter().any(|node| !node.dirty.is_empty());
        dirty || !state.changes.is_empty()
    }

    /// Whether something has ended since the last start.
    pub fn ended(&self) -> Option<Ending> {
        self.state().ended
    }

    /// The process starts again, after whatever ended, or after it was killed now.
    pub fn restart(&self) {
        let mut state = self.state();
        state.faults = Faults::default();
        match state.ended.take() {
            Some(Ending::Power) => state.lose_power(),
            Some(Ending::Process) | None => state.evict(),
        }
    }

    /// The power is lost now.
    pub fn cut_power(&self) {
        let mut state = self.state();
        state.tell(|| "the power is lost".into());
        state.ended = Some(Ending::Power);
    }

    /// Flips one bit, on the medium too.
    pub fn rot(&self, path: &Path, byte: usize, bit: u8) {
        let mut state = self.state();
        state.tell(|| format!("bit {bit} of byte {byte} of {} rots", path.display()));
        let node = state.names[path];
        let node = &mut state.nodes[node];
        node.cache[byte] ^= 1 << bit;
        node.medium[byte] ^= 1 << bit;
    }

    /// What programs see in a file, if it is there: no operation of theirs.
    pub fn peek(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let node = state.names.get(path)?;
        Some(state.nodes[*node].cache.clone())
    }

    /// Adds a line to the story.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        self.state().tell(line);
    }

    /// What happened.
    pub fn story(&self) -> Story {
        self.state().story.clone().unwrap_or_default()
    }

    /// One operation: done, failed, or the last one.
    fn perform<T>(
        &self,
        what: &str,
        path: &Path,
        act: impl FnOnce(&mut State, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        if state.ended.is_some() {
            return Err(io::Error::other("the process has ended"));
        }
        state.operations += 1;
        let now = state.operations;
        if let Some((_, ending)) = state.faults.ends.filter(|(at, _)| *at == now) {
            match state.chances.endings.below(3) {
                0 => {}
                1 => drop(act(&mut state, Extent::Partly)),
                _ => drop(act(&mut state, Extent::Whole)),
            }
            state.tell(|| format!("{ending:?} ends in: {what} {}", path.display()));
            state.ended = Some(ending);
            return Err(io::Error::other("the process has ended"));
        }
        if state.faults.fails.contains(&now) {
            state.tell(|| format!("EIO: {what} {}", path.display()));
            let _ = act(&mut state, Extent::Partly);
            return Err(io::Error::other("input/output error"));
        }
        let done = act(&mut state, Extent::Whole);
        state.tell(|| match &done {
            Ok(_) => format!("{what} {}", path.display()),
            Err(error) => format!("{what} {}: {error}", path.display()),
        });
        done
    }
}

impl State {
    fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    fn node(&self, path: &Path) -> io::Result<usize> {
        let node = self.names.get(path).copied();
        node.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What files take that have a name, or will have one again if the power is lost.
    fn used(&self) -> u64 {
        let named: BTreeSet<_> = self.names.values().collect();
        let lengths = named.iter().map(|node| self.nodes[**node].cache.len());
        lengths.sum::<usize>() as u64
    }

    fn change(&mut self, step: u64, name: &Path, node: Option<usize>) {
        match node {
            Some(node) => self.names.insert(name.to_owned(), node),
            None => self.names.remove(name),
        };
        self.changes.push(Change {
            name: name.to_owned(),
            node,
            step,
        });
    }

    /// Writes at a place, as much as fits on the disk.
    fn write(&mut self, node: usize, at: usize, bytes: &[u8]) -> io::Result<()> {
        let free = self.capacity.saturating_sub(self.used()) as usize;
        let node = &mut self.nodes[node];
        let room = node.cache.len().saturating_sub(at) + free;
        let fits = bytes.len().min(room);
        let end = at + fits;
        if node.cache.len() < end {
            node.cache.resize(end, 0);
        }
        node.cache[at..end].copy_from_slice(&bytes[..fits]);
        if fits > 0 {
            node.dirty.extend(at / SECTOR..=(end - 1) / SECTOR);
        }
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    /// Syncs a file; partly: some of it, and the cache is clean all the same.
    fn sync(&mut self, node: usize, extent: Extent) {
        let sectors = &mut self.chances.failures;
        let node = &mut self.nodes[node];
        match extent {
            Extent::Whole => node.write_back(|_| true),
            Extent::Partly => node.write_back(|_| sectors.one_in(2)),
        }
    }

    /// Only the medium stays; what was not synced is kept or lost by chance.
    fn lose_power(&mut self) {
        self.keep_names();
        let sectors = &mut self.chances.sectors;
        for node in &mut self.nodes {
            let unit = [1, 8][sectors.below(2)];
            let kept_in = sectors.within(1..5);
            let seed = sectors.within(0..u64::MAX);
            let mut units = BTreeMap::new();
            let mut kept = Chance::new(seed, "kept");
            let torn = (!node.dirty.is_empty() && sectors.one_in(2)).then(|| {
                *node
                    .dirty
                    .iter()
                    .nth(sectors.below(node.dirty.len()))
                    .unwrap()
            });
            if let Some(torn) = torn {
                node.tear(torn, sectors);
            }
            node.write_back(|sector| {
                let unit = units.entry(sector / unit);
                *unit.or_insert_with(|| kept.one_in(kept_in)) && torn != Some(sector)
            });
            node.cache.clone_from(&node.medium);
        }
        self.tell(|| "power again".into());
    }

    /// The names that were synced, and of what happened since, what a file system may keep: all up
    /// to a step if it keeps a journal, else any state that each name has had.
    fn keep_names(&mut self) {
        let chance = &mut self.chances.names;
        let changes = std::mem::take(&mut self.changes);
        let journaling = chance.one_in(2);
        let last = changes.last().map_or(0, |change| change.step);
        let kept_up_to = chance.within(0..last + 1);
        for change in changes {
            let kept = match journaling {
                true => change.step <= kept_up_to,
                false => chance.one_in(2),
            };
            if kept {
                set(&mut self.durable_names, &change);
            }
        }
        self.names.clone_from(&self.durable_names);
    }

    /// The cache may have been given to something else: what is clean is read again.
    fn evict(&mut self) {
        for node in &mut self.nodes {
            if self.chances.sectors.one_in(2) {
                node.evict();
            }
        }
    }
}

fn set(names: &mut BTreeMap<PathBuf, usize>, change: &Change) {
    match change.node {
        Some(node) => names.insert(change.name.clone(), node),
        None => names.remove(&change.name),
    };
}

impl Node {
    /// The bytes of a sector, as far as both lengths go.
    fn range(&self, sector: usize) -> std::ops::Range<usize> {
        let end = self.cache.len().min(self.medium.len());
        (sector * SECTOR).min(end)..((sector + 1) * SECTOR).min(end)
    }

    /// Puts some of what is dirty on the medium; then nothing counts as dirty.
    fn write_back(&mut self, mut is_kept: impl FnMut(usize) -> bool) {
        if self.cache.len() != self.medium.len() && is_kept(usize::MAX / SECTOR) {
            self.medium.resize(self.cache.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if is_kept(sector) {
                let range = self.range(sector);
                self.medium[range.clone()].copy_from_slice(&self.cache[range]);
            }
        }
    }

    /// A sector of which one part is new and one part old.
    fn tear(&mut self, sector: usize, chance: &mut Chance) {
        let range = self.range(sector);
        if range.is_empty() {
            return;
        }
        let middle = chance.within(range.start as u64..range.end as u64) as usize;
        let new = match chance.one_in(2) {
            true => range.start..middle,
            false => middle..range.end,
        };
        self.medium[new.clone()].copy_from_slice(&self.cache[new]);
    }

    fn evict(&mut self) {
        let clean = self.cache.len().min(self.medium.len()).div_ceil(SECTOR);
        for sector in (0..clean).filter(|sector| !self.dirty.contains(sector)) {
            let range = self.range(sector);
            self.cache[range.clone()].copy_from_slice(&self.medium[range]);
        }
    }
}

impl Disk for FaultDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.perform("make directory", dir, |_, _| Ok(()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.perform("list", dir, |state, _| {
            let names = state.names.keys();
            let inside = names.filter(|name| name.parent() == Some(dir));
            Ok(inside.cloned().collect())
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.perform("read", path, |state, _| {
            Ok(state.nodes[state.node(path)?].cache.clone())
        })
    }

    fn read_at(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.perform("read part of", path, |state, _| {
            let bytes = &state.nodes[state.node(path)?].cache;
            let from = (offset as usize).min(bytes.len());
            let read = into.len().min(bytes.len() - from);
            into[..read].copy_from_slice(&bytes[from..from + read]);
            Ok(read)
        })
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.perform("measure", path, |state, _| {
            Ok(state.nodes[state.node(path)?].cache.len() as u64)
        })
    }

    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        self.perform("create", path, |state, extent| {
            let step = state.operations;
            if state.names.contains_key(path) {
                state.change(step, path, None);
            }
            let node = state.nodes.len();
            state.nodes.push(Node::default());
            state.change(step, path, Some(node));
            let written = match extent {
                Extent::Whole => length as usize,
                Extent::Partly => state.chances.failures.below(length as usize + 1),
            };
            state.write(node, 0, &vec![0; written])?;
            state.sync(node, extent);
            Ok(Box::new(FaultFile {
                disk: self.clone(),
                path: path.to_owned(),
                node,
                at: 0,
            }) as Box<dyn DiskFile>)
        })
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.perform("truncate", path, |state, extent| {
            let node = state.node(path)?;
            let cut = &mut state.nodes[node];
            let length = length as usize;
            cut.cache.resize(length, 0);
            cut.dirty = cut
                .dirty
                .range(..length.div_ceil(SECTOR))
                .copied()
                .collect();
            state.sync(node, extent);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.perform("rename", from, |state, extent| {
            let node = state.node(from)?;
            if extent == Extent::Whole {
                let step = state.operations;
                state.change(step, to, Some(node));
                state.change(step, from, None);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.perform("remove", path, |state, extent| {
            state.node(path)?;
            if extent == Extent::Whole {
                let step = state.operations;
                state.change(step, path, None);
            }
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.perform("sync directory", dir, |state, extent| {
            let inside = |change: &Change| change.name.parent() == Some(dir);
            let changes = std::mem::take(&mut state.changes);
            let (here, elsewhere) = changes.into_iter().partition(inside);
            state.changes = elsewhere;
            let here: Vec<Change> = here;
            let synced = match extent {
                Extent::Whole => here.len(),
                Extent::Partly => state.chances.failures.below(here.len() + 1),
            };
            for change in &here[..synced] {
                set(&mut state.durable_names, change);
            }
            let left = here[synced..].iter().cloned();
            state.changes.splice(0..0, left);
            Ok(())
        })
    }

    /// At once: a simulation has one thread.
    fn beside(&self, _: &'static str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        work();
        Ok(())
    }
}

#[derive(Debug)]
struct FaultFile {
    disk: FaultDisk,
    path: PathBuf,
    node: usize,
    at: usize,
}

impl DiskFile for FaultFile {
    fn append(&mut self, parts: [&[u8]; 2]) -> io::Result<()> {
        let bytes = parts.concat();
        let at = self.at;
        self.disk
            .perform("append to", &self.path, |state, extent| {
                let written = match extent {
                    Extent::Whole => bytes.len(),
                    Extent::Partly => state.chances.failures.below(bytes.len() + 1),
                };
                state.write(self.node, at, &bytes[..written])
            })?;
        self.at += bytes.len();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.perform("sync", &self.path, |state, extent| {
            state.sync(self.node, extent);
            Ok(())
        })
    }
}
