//! What is written, synced and released in which order, on a real directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crossbeam_channel::bounded;
use ioc_core::record::{BuildHash, Input, Record};

use super::*;
use crate::clock::SystemTimeSource;
use crate::journal::disk::{Disk, DiskFile, SystemDisk};
use crate::journal::{JournalId, Known, LogKind, LogOptions};
use crate::space;

/// What happened, in order: `append`, `sync`, `released 7`.
#[derive(Debug, Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>, Busy);

/// The end of the queue that an engine fills again as soon as the writer takes from it, and how
/// often it still does.
type Busy = Arc<Mutex<Option<(Sender<Work>, usize)>>>;

impl Events {
    fn add(&self, event: impl Into<String>) {
        self.0.lock().unwrap().push(event.into());
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The system's disk, which tells what is done to its files.
#[derive(Debug)]
struct Telling(Events);

#[derive(Debug)]
struct TellingFile(Box<dyn DiskFile>, Events);

impl Disk for Telling {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        SystemDisk.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        SystemDisk.list(dir)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        SystemDisk.read(path)
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        SystemDisk.length(path)
    }

    fn read_at(&self, path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        SystemDisk.read_at(path, offset, into)
    }
    fn create(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = SystemDisk.create(path, length)?;
        Ok(Box::new(TellingFile(file, self.0.clone())))
    }
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        SystemDisk.truncate(path, length)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(dir)
    }
    fn beside(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        SystemDisk.beside(name, work)
    }
}

impl DiskFile for TellingFile {
    fn append(&mut self, parts: [&[u8]; 2]) -> io::Result<()> {
        self.1.add("append");
        if let Some((work, left)) = &mut *self.1.1.lock().unwrap()
            && *left > 0
        {
            *left -= 1;
            work.try_send(one_record()).unwrap();
        }
        self.0.append(parts)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.1.add("sync");
        self.0.sync()
    }
}

/// An outlet that tells which records were released.
struct Told(Events);

impl Outlet for Told {
    fn release(&mut self, _: Vec<Released>) {}
    fn dead_letter(&mut self, letter: &OwnedDeadLetter) {
        self.0.add(format!("released {}", letter.seq));
    }
}

/// A writer whose queue is filled by hand, and what it does.
struct Bench {
    writer: Writer,
    work: Sender<Work>,
    events: Events,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::default();
        let open = |name: &str, kind, disk: Arc<dyn Disk>| {
            let options = LogOptions {
                dir: dir.path().join(name),
                kind,
                segment_bytes: 1 << 16,
                build: BuildHash([0; 32]),
            };
            let opened = Log::open(disk, options, JournalId([0; 16]), Known::default());
            opened.unwrap().0
        };
        let mut inputs = open("inputs", LogKind::Inputs, Arc::new(Telling(events.clone())));
        let mut decisions = open("decisions", LogKind::Decisions, Arc::new(SystemDisk));
        let (work, to_do) = bounded(WORK_MAX);
        let (spare, _) = bounded(WORK_MAX);
        let (_, stop) = bounded(0);
        let (_, gauge) = space::space(&mut inputs, &mut decisions, Arc::default()).unwrap();
        let ends = Ends {
            work: to_do,
            spare,
            gauge,
            stop,
        };
        let outlet = Box::new(Told(events.clone()));
        let writer = Writer::new(
            (inputs, decisions),
            ends,
            outlet,
            Mark::default(),
            Arc::new(SystemTimeSource::default()),
            Arc::default(),
        );
        events.taken();
        Self {
            writer,
            work,
            events,
            _dir: dir,
        }
    }

    /// A batch of one record.
    fn append(&self) {
        self.work.send(one_record()).unwrap();
    }

    /// What followed from the batch of this record.
    fn release(&self, through: Seq) {
        let letter = OwnedDeadLetter {
            seq: through,
            at: Timestamp::default(),
            input: Vec::new(),
        };
        let release = Release {
            through,
            decisions: Vec::new(),
            encoded: Vec::new(),
            acks: Vec::new(),
            answers: Vec::new(),
            dead_letters: vec![letter],
        };
        self.work.send(Work::Release(release)).unwrap();
    }

    fn step(&mut self) -> Vec<String> {
        self.writer.step().unwrap();
        self.events.taken()
    }
}

/// A batch of one record.
fn one_record() -> Work {
    let mut payload = Vec::new();
    Record::frame_input(Timestamp::default(), &Input::Tick, &mut payload);
    Work::Append(Append {
        count: 1,
        payload: Arc::new(payload),
        mark: Mark::default(),
    })
}

#[test]
fn an_engine_that_is_never_out_of_work_does_not_put_off_the_sync() {
    let mut bench = Bench::new();
    let refills = 5 * WORK_MAX;
    *bench.events.1.lock().unwrap() = Some((bench.work.clone(), refills));
    bench.append();
    let mut events = Vec::new();
    while events.iter().filter(|event| *event == "append").count() <= refills {
        events.extend(bench.step());
    }
    let longest = events.split(|event| event == "sync").map(<[_]>::len).max();
    assert!(
        longest <= Some(WORK_MAX),
        "{longest:?} batches waited for one sync"
    );
}

#[test]
fn one_sync_serves_all_that_waits_and_comes_before_what_follows() {
    let mut bench = Bench::new();
    bench.append();
    bench.release(1);
    bench.append();
    let all = ["append", "append", "sync", "released 1"];
    assert_eq!(bench.step(), all);
    bench.release(2);
    assert_eq!(bench.step(), ["released 2"]);
}

#[test]
fn what_follows_from_a_durable_batch_does_not_wait_for_the_next_ones_sync() {
    let mut bench = Bench::new();
    bench.append();
    assert_eq!(bench.step(), ["append", "sync"]);
    bench.release(1);
    bench.append();
    assert_eq!(bench.step(), ["released 1", "append", "sync"]);
}
