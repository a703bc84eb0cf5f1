//! Damage of what somebody depends on is reported with its place, and never skipped.

use std::path::PathBuf;
use std::sync::Arc;

use ioc::journal::disk::Disk;
use ioc::journal::{BatchHeader, Damage, JournalError, LogKind};

use crate::chance::Chance;
use crate::disk::FaultDisk;
use crate::seeds::{self, Story};
use crate::workload::{self, Models};

const SEEDS: u64 = 1_000;

/// A batch and where it is.
struct Place {
    path: PathBuf,
    offset: u64,
    header: BatchHeader,
}

#[test]
fn p1_bit_rot_is_reported_with_its_place_or_hurts_nobody() {
    let reported = seeds::each(SEEDS, run);
    if reported.len() == SEEDS as usize {
        let count = reported.iter().filter(|reported| **reported).count();
        assert!((300..900).contains(&count), "{count}");
    }
}

/// Whether something was reported.
fn run(seed: u64, story: Option<&mut Story>) -> Result<bool, String> {
    let faulty = FaultDisk::new(seed, 4 << 20, story.is_some());
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    let mut models = Models::default();
    let mut work = Chance::new(seed, "work");
    for _ in 0..2 {
        let (mut logs, _) = workload::open(&disk).unwrap();
        for _ in 0..work.within(1..40) {
            workload::step(&disk, &mut logs, &mut models, &mut work).unwrap();
        }
        logs.inputs.sync().unwrap();
        logs.decisions.sync().unwrap();
        models.inputs.synced();
        models.decisions.synced();
    }
    let outcome = rot(seed, &faulty, &disk);
    if let Some(story) = story {
        *story = faulty.story();
    }
    outcome
}

/// Flips a bit somewhere and starts.
fn rot(seed: u64, faulty: &FaultDisk, disk: &Arc<dyn Disk>) -> Result<bool, String> {
    let mut chance = Chance::new(seed, "rot");
    let kind = [LogKind::Inputs, LogKind::Decisions][chance.below(2)];
    let places = places(&**disk, kind);
    let mut segments: Vec<_> = places.iter().map(|place| &place.path).collect();
    segments.dedup();
    if segments.is_empty() {
        return Ok(false);
    }
    let segment = segments[chance.below(segments.len())].clone();
    let byte = chance.below(disk.read(&segment).unwrap().len());
    faulty.rot(&segment, byte, chance.below(8) as u8);
    let hit = places.iter().position(|place| {
        let end = place.offset + (BatchHeader::BYTES + place.header.length as usize) as u64;
        place.path == segment && (place.offset..end).contains(&(byte as u64))
    });
    let needed = match kind {
        LogKind::Inputs => self::places(&**disk, LogKind::Decisions)
            .last()
            .map_or(0, |last| last.header.mark.number),
        LogKind::Decisions => 0,
    };
    // Where a log begins whose beginning was removed, it must begin.
    let begins = places.first().map_or(0, |place| place.header.first);
    let needed = needed.max(if begins > 1 { begins } else { 0 });
    let must = hit.filter(|hit| is_needed(&places, *hit, needed));
    match (workload::open(disk), must) {
        (Err(JournalError::Damage(damage)), Some(hit)) => placed(&damage, &places[hit]),
        (Ok((_, found)), None) => {
            let contents = match kind {
                LogKind::Inputs => &found.inputs,
                LogKind::Decisions => &found.decisions,
            };
            let found = workload::batches(&**disk, contents).unwrap();
            whole_up_to(found.len(), hit.unwrap_or(places.len()))
        }
        (Ok(_), Some(hit)) => Err(format!(
            "skipped: damage of batch {hit} of {}",
            places.len()
        )),
        (Err(error), _) => Err(format!("reported without need: {error}")),
    }
}

/// What is cut is only what nobody depends on.
fn whole_up_to(found: usize, expected: usize) -> Result<bool, String> {
    match found == expected {
        true => Ok(false),
        false => Err(format!("{found} batches are left of {expected} whole ones")),
    }
}

fn placed(damage: &Damage, hit: &Place) -> Result<bool, String> {
    let found = (&damage.path, damage.offset, damage.number);
    match found == (&hit.path, hit.offset, hit.header.first) {
        true => Ok(true),
        false => Err(format!(
            "reported {damage}, but it is record {} at byte {} of {}",
            hit.header.first,
            hit.offset,
            hit.path.display()
        )),
    }
}

/// Whether a later segment, a later batch or the other log depends on a batch.
fn is_needed(places: &[Place], hit: usize, needed_up_to: u64) -> bool {
    let Place { path, header, .. } = &places[hit];
    let mut later = places[hit + 1..].iter();
    needed_up_to >= header.first
        || later.any(|later| later.path != *path || later.header.durable_up_to >= header.first)
}

/// Every batch that counts, in order, read without the log's own reading of it.
fn places(disk: &dyn Disk, kind: LogKind) -> Vec<Place> {
    let mut segments = disk.list(&workload::dir(kind)).unwrap();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    let mut places = Vec::new();
    for path in segments {
        let bytes = disk.read(&path).unwrap();
        let mut offset = 0;
        while let Some((header, _, _)) = BatchHeader::decode(&bytes[offset..]) {
            places.push(Place {
                path: path.clone(),
                offset: offset as u64,
                header,
            });
            offset += BatchHeader::BYTES + header.length as usize;
        }
    }
    places
}
