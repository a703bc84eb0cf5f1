//! P1, nothing acknowledged is lost: whatever happens to disk, power and process, what a sync
//! returned for is there after the next start, in order, byte for byte, and nothing else is.

use std::sync::Arc;

use ioc::journal::JournalError;
use ioc::journal::disk::Disk;

use crate::chance::Chance;
use crate::disk::{Ending, FaultDisk, Faults};
use crate::liars::{Liar, Lie};
use crate::seeds::{self, Story};
use crate::workload::{self, Done, Found, Logs, Models, Stopped};

const SEEDS: u64 = 1_000;
const CAPACITY: u64 = 4 << 20;
const ROUNDS: usize = 5;
const STEPS_MAX: u64 = 50;

/// What came about in a run: a fault that never comes about proves nothing.
#[derive(Debug, Default, Clone, Copy)]
struct Happened {
    power_lost: u32,
    processes_ended: u32,
    starts_ended: u32,
    failures: u32,
    full: u32,
    full_at_start: u32,
    torn: u32,
    kept_though_not_synced: u32,
    segments: u32,
    begun_later: u32,
}

#[test]
fn p1_what_was_synced_survives_everything() {
    let runs = seeds::each(SEEDS, |seed, story| run(seed, story, |disk| Arc::new(disk)));
    let of = |what: fn(&Happened) -> u32| runs.iter().map(what).sum::<u32>();
    if runs.len() < SEEDS as usize {
        return;
    }
    assert!(of(|run| run.power_lost) > 500);
    assert!(of(|run| run.processes_ended) > 500);
    assert!(of(|run| run.starts_ended) > 500);
    assert!(of(|run| run.failures) > 500);
    assert!(of(|run| run.full) > 200);
    assert!(of(|run| run.full_at_start) > 100);
    assert!(of(|run| run.torn) > 100);
    assert!(of(|run| run.kept_though_not_synced) > 500);
    assert!(of(|run| run.segments) > 5_000);
    assert!(of(|run| run.begun_later) > 500);
}

#[test]
fn a_log_that_does_not_sync_is_found_out() {
    for lie in [Lie::Sync, Lie::SyncDir] {
        let failing = seeds::first_failing(200, |seed| {
            run(seed, None, |disk| Arc::new(Liar { disk, lie }))
        });
        let (_, why) = failing.unwrap_or_else(|| panic!("{lie:?} goes unnoticed"));
        let loss = why.contains("lost: ") || why.contains("damaged journal: ");
        assert!(loss, "{lie:?} is found out as something else: {why}");
    }
}

/// One seed: a few processes, one after another, on one disk.
fn run(
    seed: u64,
    story: Option<&mut Story>,
    put: impl FnOnce(FaultDisk) -> Arc<dyn Disk>,
) -> Result<Happened, String> {
    let faulty = FaultDisk::new(seed, CAPACITY, story.is_some());
    let disk = put(faulty.clone());
    let outcome = lives(seed, &faulty, &disk);
    if let Some(story) = story {
        *story = faulty.story();
    }
    outcome
}

fn lives(seed: u64, faulty: &FaultDisk, disk: &Arc<dyn Disk>) -> Result<Happened, String> {
    let mut happened = Happened::default();
    let mut models = Models::default();
    let mut trouble = Trouble::new(seed);
    let mut work = Chance::new(seed, "work");
    for _ in 0..ROUNDS {
        let (mut logs, found) = start(faulty, disk, &mut trouble, &mut happened)?;
        check(disk, &mut models, &found, &mut happened)?;
        trouble.arm(faulty, 120);
        for _ in 0..work.within(1..STEPS_MAX) {
            trouble.free(faulty);
            match workload::step(disk, &mut logs, &mut models, &mut work) {
                Ok(Done::Done) => {}
                Ok(Done::Full) => happened.full += 1,
                Err(Stopped::Wrong(why)) => return Err(why),
                Err(Stopped::Refused(error)) => {
                    expected(&error, faulty, &mut happened)?;
                    break;
                }
            }
        }
        drop(logs);
        trouble.end(faulty);
        happened.note(faulty);
        faulty.restart();
        faulty.resize(CAPACITY);
    }
    let (_, found) = start(faulty, disk, &mut Trouble::none(), &mut happened)?;
    check(disk, &mut models, &found, &mut happened)?;
    Ok(happened)
}

/// Starts, again and again while starting goes wrong.
fn start(
    faulty: &FaultDisk,
    disk: &Arc<dyn Disk>,
    trouble: &mut Trouble,
    happened: &mut Happened,
) -> Result<(Logs, Found), String> {
    for _ in 0..3 {
        trouble.arm(faulty, 30);
        match workload::open(disk) {
            Ok(opened) if faulty.ended().is_none() => {
                faulty.arm(Faults::default());
                faulty.tell(|| "started".into());
                return Ok(opened);
            }
            // It ended beside the start, in what is made ahead.
            Ok(_) => {}
            Err(error) => expected(&error, faulty, happened)?,
        }
        happened.starts_ended += 1;
        happened.note(faulty);
        faulty.restart();
        faulty.resize(CAPACITY);
    }
    workload::open(disk).map_err(|error| told(&error))
}

fn check(
    disk: &Arc<dyn Disk>,
    models: &mut Models,
    found: &Found,
    happened: &mut Happened,
) -> Result<(), String> {
    let read = |contents| workload::batches(&**disk, contents).map_err(|error| told(&error));
    let more = models.inputs.reopened(&read(&found.inputs)?)?;
    let more = more + models.decisions.reopened(&read(&found.decisions)?)?;
    let last = found.decisions.end.last;
    let needed = last.map_or(0, |(header, _)| header.mark.number);
    if needed > models.inputs.durable_up_to() {
        return Err(format!("lost: input {needed}, from which decisions follow"));
    }
    happened.kept_though_not_synced += u32::from(more > 0);
    happened.begun_later += u32::from(found.inputs.end.first > 1);
    happened.segments += (found.inputs.segments.len() + found.decisions.segments.len()) as u32;
    Ok(())
}

/// A log may refuse to go on if the disk does; damage there is none.
fn expected(
    error: &JournalError,
    faulty: &FaultDisk,
    happened: &mut Happened,
) -> Result<(), String> {
    let JournalError::Disk { source, .. } = error else {
        happened.full_at_start += 1;
        let full = matches!(error, JournalError::Full { .. });
        return full.then_some(()).ok_or_else(|| told(error));
    };
    match source.kind() {
        std::io::ErrorKind::Other if faulty.ended().is_none() => happened.failures += 1,
        std::io::ErrorKind::Other => {}
        _ => return Err(told(error)),
    }
    Ok(())
}

fn told(error: &JournalError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Happened {
    fn note(&mut self, faulty: &FaultDisk) {
        match faulty.ended() {
            Some(Ending::Power) => self.power_lost += 1,
            Some(Ending::Process) | None => self.processes_ended += 1,
        }
        self.torn += u32::from(faulty.has_unsynced());
    }
}

/// What goes wrong when: a stream for each kind.
struct Trouble {
    endings: Option<Chance>,
    failures: Chance,
    capacity: Chance,
}

impl Trouble {
    fn new(seed: u64) -> Self {
        Self {
            endings: Some(Chance::new(seed, "when something ends")),
            failures: Chance::new(seed, "when something fails"),
            capacity: Chance::new(seed, "when the disk is full"),
        }
    }

    fn none() -> Self {
        Self {
            endings: None,
            ..Self::new(0)
        }
    }

    /// Prepares what goes wrong within so many operations, if anything does.
    fn arm(&mut self, faulty: &FaultDisk, operations: u64) {
        let Some(endings) = &mut self.endings else {
            return;
        };
        let ending = [Ending::Process, Ending::Power][endings.below(2)];
        let at = endings.within(1..operations);
        let failing = self.failures.within(1..operations);
        let full = self.capacity.one_in(3);
        faulty.arm(Faults {
            ends: endings.one_in(2).then_some((at, ending)),
            fails: self
                .failures
                .one_in(3)
                .then_some(failing)
                .into_iter()
                .collect(),
        });
        if full {
            faulty.resize(faulty.used() + self.capacity.within(0..4 * workload::SEGMENT_BYTES));
        }
    }

    /// Sometimes somebody makes space.
    fn free(&mut self, faulty: &FaultDisk) {
        if self.capacity.one_in(20) {
            faulty.resize(CAPACITY);
        }
    }

    /// A process that has come to the end of its work is killed, or loses power too.
    fn end(&mut self, faulty: &FaultDisk) {
        if let Some(endings) = &mut self.endings
            && faulty.ended().is_none()
            && endings.one_in(2)
        {
            faulty.cut_power();
        }
    }
}
