//! The recovery rule on a real directory: what is cut, what is kept, what is damage.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ioc_core::record::BuildHash;
use ioc_core::time::Timestamp;

use super::disk::SystemDisk;
use super::scan::segment_name;
use super::*;

const SEGMENT_BYTES: u64 = 4096;

fn open(dir: &Path, needed: u64) -> Result<(Log, Contents), JournalError> {
    open_knowing(dir, Known::needed_up_to(needed))
}

fn open_knowing(dir: &Path, known: Known) -> Result<(Log, Contents), JournalError> {
    let options = LogOptions {
        dir: dir.to_owned(),
        kind: LogKind::Inputs,
        segment_bytes: SEGMENT_BYTES,
        build: BuildHash([9; 32]),
    };
    Log::open(Arc::new(SystemDisk), options, JournalId([1; 16]), known)
}

fn append(log: &mut Log, payloads: &[&str]) {
    for payload in payloads {
        log.append(
            1,
            payload.as_bytes(),
            Mark::default(),
            Timestamp::from_millis(0),
        )
        .unwrap();
    }
}

fn texts(contents: &Contents) -> Vec<String> {
    let mut found = Vec::new();
    let read = contents.for_each(&SystemDisk, 1, |header, payload| {
        assert_eq!(header.first, found.len() as u64 + 1);
        if header.count > 0 {
            found.push(String::from_utf8(payload.to_vec()).unwrap());
        }
        Ok::<_, JournalError>(())
    });
    read.unwrap();
    found
}

/// Changes one byte of the batch whose payload is `text`, in whichever segment it is.
fn damage(dir: &Path, text: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let found = bytes
            .windows(text.len())
            .position(|window| window == text.as_bytes());
        if let Some(at) = found {
            bytes[at] ^= 0x20;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("no segment holds {text}");
}

#[test]
fn what_was_appended_is_there_after_any_number_of_openings() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let (mut log, contents) = open(dir.path(), 0).unwrap();
        assert_eq!(contents.end.next(), round * 3 + 1);
        assert_eq!(texts(&contents).len() as u64, round * 3);
        append(&mut log, &["a", "b", "c"]);
        if round % 2 == 0 {
            log.sync().unwrap();
        }
    }
    let (_, contents) = open(dir.path(), 12).unwrap();
    assert_eq!(texts(&contents).concat(), "abc".repeat(4));
}

#[test]
fn segments_follow_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    let long = "x".repeat(1000);
    append(&mut log, &[&*long; 20]);
    log.sync().unwrap();
    drop(log);
    let (_, contents) = open(dir.path(), 20).unwrap();
    assert!(contents.segments.len() > 5, "{contents:?}");
    assert_eq!(texts(&contents), vec![long; 20]);
}

#[test]
fn a_batch_larger_than_a_segment_gets_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    let long = "x".repeat(3 * SEGMENT_BYTES as usize);
    append(&mut log, &["a", &long, "b"]);
    log.sync().unwrap();
    drop(log);
    assert_eq!(texts(&open(dir.path(), 3).unwrap().1), ["a", &*long, "b"]);
}

#[test]
fn a_mark_without_records_keeps_its_place_across_segments_and_openings() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let (mut log, contents) = open(dir.path(), 0).unwrap();
        assert_eq!(
            texts(&contents)
                .iter()
                .filter(|text| !text.is_empty())
                .count(),
            round - 1
        );
        append(&mut log, &[&*"y".repeat(3500)]);
        let mark = Mark {
            number: round as u64,
            ..Mark::default()
        };
        log.append(0, &[], mark, Timestamp::from_millis(0)).unwrap();
        log.sync().unwrap();
    }
    let (_, contents) = open(dir.path(), 5).unwrap();
    assert_eq!(contents.end.last.unwrap().0.mark.number, 5);
}

#[test]
fn p1_a_torn_tail_is_cut_and_what_was_durable_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["kept-1", "kept-2"]);
    log.sync().unwrap();
    append(&mut log, &["torn-3", "lost-4"]);
    drop(log);
    damage(dir.path(), "torn-3");
    let (mut log, contents) = open(dir.path(), 2).unwrap();
    assert_eq!(texts(&contents), ["kept-1", "kept-2"]);
    append(&mut log, &["new-3"]);
    log.sync().unwrap();
    drop(log);
    assert_eq!(
        texts(&open(dir.path(), 3).unwrap().1),
        ["kept-1", "kept-2", "new-3"]
    );
}

#[test]
fn p1_damage_before_a_durable_batch_is_reported_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["one", "two"]);
    log.sync().unwrap();
    append(&mut log, &["three"]);
    drop(log);
    damage(dir.path(), "two");
    let Err(JournalError::Damage(found)) = open(dir.path(), 0) else {
        panic!("not noticed")
    };
    assert_eq!(found.number, 2);
    assert_eq!(found.offset, (BatchHeader::BYTES + "one".len()) as u64);
    assert_eq!(found.depends, "a later batch says that it is durable");
}

#[test]
fn p1_damage_before_a_durable_batch_that_ends_in_zeros_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["one", "two"]);
    log.sync().unwrap();
    append(&mut log, &["three\0\0"]);
    drop(log);
    damage(dir.path(), "two");
    let found = open(dir.path(), 0);
    assert!(
        matches!(found, Err(JournalError::Damage(Damage { number: 2, .. }))),
        "{found:?}"
    );
}

#[test]
fn p1_damage_that_released_decisions_follow_from_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["one", "two"]);
    drop(log);
    damage(dir.path(), "two");
    let Err(JournalError::Damage(found)) = open(dir.path(), 2) else {
        panic!("not noticed")
    };
    assert_eq!(
        (found.number, found.depends),
        (2, "released decisions or a snapshot follow from it")
    );
    assert!(open(dir.path(), 1).is_ok());
}

#[test]
fn p1_damage_in_an_older_segment_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["first"]);
    log.sync().unwrap();
    drop(log);
    let (mut log, _) = open(dir.path(), 1).unwrap();
    append(&mut log, &["second"]);
    log.sync().unwrap();
    drop(log);
    damage(dir.path(), "first");
    let Err(JournalError::Damage(found)) = open(dir.path(), 0) else {
        panic!("not noticed")
    };
    assert_eq!(
        (found.number, found.depends),
        (1, "a later segment follows")
    );
}

#[test]
fn what_is_in_doubt_is_written_again_into_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["durable"]);
    log.sync().unwrap();
    append(&mut log, &["doubt-2", "doubt-3"]);
    drop(log);
    let (_, contents) = open(dir.path(), 0).unwrap();
    assert_eq!(texts(&contents), ["durable", "doubt-2", "doubt-3"]);
    let names: Vec<_> = contents
        .segments
        .iter()
        .map(|segment| segment.first)
        .collect();
    assert_eq!(names, [1, 2]);
    let old = fs::read(dir.path().join(segment_name(1))).unwrap();
    assert!(
        !old.windows(7).any(|window| window == b"doubt-2"),
        "the old copy is gone"
    );
    assert_eq!(contents.end.durable_up_to, 3);
}

#[test]
fn an_opening_that_was_interrupted_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["durable"]);
    log.sync().unwrap();
    append(&mut log, &["doubt"]);
    drop(log);
    let before = fs::read(dir.path().join(segment_name(1))).unwrap();
    drop(open(dir.path(), 0).unwrap());
    // As if the power had failed after the new segment had its name, before the old was cut.
    fs::write(dir.path().join(segment_name(1)), before).unwrap();
    fs::write(dir.path().join("recovered.tmp"), b"half").unwrap();
    assert_eq!(texts(&open(dir.path(), 2).unwrap().1), ["durable", "doubt"]);
}

#[test]
fn p1_a_log_without_its_beginning_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    for (durable, text) in ["first", "second"].into_iter().enumerate() {
        let (mut log, _) = open(dir.path(), durable as u64).unwrap();
        append(&mut log, &[text]);
        log.sync().unwrap();
    }
    fs::remove_file(dir.path().join(segment_name(1))).unwrap();
    let Err(JournalError::Damage(found)) = open(dir.path(), 0) else {
        panic!("not noticed")
    };
    assert_eq!((found.number, found.depends), (1, "the log begins with it"));
}

/// The hash of the batch that ends with this record.
fn hash_at(contents: &Contents, number: u64) -> [u8; 32] {
    for segment in &contents.segments {
        let bytes = fs::read(&segment.path).unwrap();
        let mut rest = &bytes[..segment.bytes as usize];
        while let Some((header, hash, payload)) = BatchHeader::decode(rest) {
            if header.next() == number + 1 {
                return hash;
            }
            rest = &rest[BatchHeader::BYTES + payload.len()..];
        }
    }
    panic!("no batch ends with record {number}")
}

/// Three segments with a batch of one record each: 1, 2 and 3.
fn three_segments(dir: &Path) -> Contents {
    for number in 1..=3 {
        let (mut log, _) = open(dir, number - 1).unwrap();
        append(&mut log, &[&format!("record {number}")]);
        log.sync().unwrap();
    }
    open(dir, 3).unwrap().1
}

fn since(next: u64, hash: [u8; 32]) -> Known {
    let hash = Some(hash);
    Known {
        needed_up_to: next - 1,
        since: Some(Since { next, hash }),
    }
}

#[test]
fn what_a_snapshot_stands_for_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let hash = hash_at(&three_segments(dir.path()), 2);
    fs::remove_file(dir.path().join(segment_name(1))).unwrap();
    assert!(matches!(open(dir.path(), 3), Err(JournalError::Damage(_))));
    let (log, contents) = open_knowing(dir.path(), since(3, hash)).unwrap();
    assert_eq!(log.next(), 4);
    assert_eq!(contents.segments[0].first, 2);
}

#[test]
fn a_snapshot_of_another_log_is_damage_and_so_is_one_beyond_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let hash = hash_at(&three_segments(dir.path()), 2);
    let depends = |known| match open_knowing(dir.path(), known) {
        Err(JournalError::Damage(damage)) => (damage.number, damage.depends),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        depends(since(3, [7; 32])),
        (2, "a snapshot follows from another one")
    );
    assert_eq!(
        depends(since(9, hash)),
        (4, "released decisions or a snapshot follow from it")
    );
}

/// All that a reader hands over as durable up to a number, as texts.
fn follow(reader: &mut Reader, durable_up_to: u64) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((header, payload)) = reader.next(durable_up_to).unwrap() {
        assert!(header.next() <= durable_up_to + 1);
        if header.count > 0 {
            found.push(String::from_utf8(payload.to_vec()).unwrap());
        }
    }
    found
}

fn reader(dir: &Path, from: u64) -> Reader {
    Reader::new(Arc::new(SystemDisk), dir.to_owned(), LogKind::Inputs, from)
}

#[test]
fn a_reader_follows_what_is_durable_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    let mut following = reader(dir.path(), 1);
    assert_eq!(follow(&mut following, 0), [""; 0]);
    let mut appended = Vec::new();
    for round in 0..30 {
        let text = format!("{round}-{}", "x".repeat(round * 40));
        append(&mut log, &[&text]);
        log.append(0, &[], Mark::default(), Timestamp::default())
            .unwrap();
        assert_eq!(follow(&mut following, appended.len() as u64), [""; 0]);
        log.sync().unwrap();
        appended.push(text.clone());
        assert_eq!(follow(&mut following, appended.len() as u64), [text]);
    }
    assert_eq!(follow(&mut reader(dir.path(), 1), 30), appended);
    assert_eq!(follow(&mut reader(dir.path(), 17), 30), appended[16..]);
    assert_eq!(follow(&mut reader(dir.path(), 17), 20), appended[16..20]);
    assert_eq!(following.position(), 31);
}

#[test]
fn a_reader_reads_what_is_larger_than_its_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    let long = "long".repeat(1 << 20);
    append(&mut log, &["a", &long, "b"]);
    log.sync().unwrap();
    assert_eq!(follow(&mut reader(dir.path(), 1), 3), ["a", &*long, "b"]);
}

#[test]
fn a_reader_never_goes_on_over_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["one", "two", "three"]);
    log.sync().unwrap();
    damage(dir.path(), "two");
    let mut following = reader(dir.path(), 1);
    assert!(following.next(3).unwrap().is_some());
    for _ in 0..2 {
        let Err(JournalError::Damage(found)) = following.next(3) else {
            panic!("not noticed")
        };
        let place = (BatchHeader::BYTES + "one".len()) as u64;
        assert_eq!((found.number, found.offset), (2, place));
    }
}

#[test]
fn a_reader_is_told_when_what_it_must_read_is_no_longer_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    let long = "x".repeat(SEGMENT_BYTES as usize / 2);
    append(&mut log, &[&*long; 8]);
    log.sync().unwrap();
    let mut following = reader(dir.path(), 1);
    assert!(following.next(8).unwrap().is_some());
    for first in 1..=4 {
        fs::remove_file(dir.path().join(segment_name(first))).unwrap();
    }
    for found in [&mut following, &mut reader(dir.path(), 2)].map(|reader| reader.next(8).map(drop))
    {
        assert!(
            matches!(
                found,
                Err(JournalError::Removed {
                    number: 2,
                    first: 5,
                    ..
                })
            ),
            "{found:?}"
        );
    }
}

#[test]
fn a_reader_takes_the_copy_that_an_interrupted_opening_has_made() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["durable"]);
    log.sync().unwrap();
    append(&mut log, &["doubt"]);
    drop(log);
    let before = fs::read(dir.path().join(segment_name(1))).unwrap();
    drop(open(dir.path(), 0).unwrap());
    fs::write(dir.path().join(segment_name(1)), before).unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["new"]);
    log.sync().unwrap();
    assert_eq!(
        follow(&mut reader(dir.path(), 1), 3),
        ["durable", "doubt", "new"]
    );
}

#[test]
fn a_segment_of_marks_alone_is_not_replaced_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    let mark = Mark {
        number: 7,
        ..Mark::default()
    };
    log.append(0, &[], mark, Timestamp::default()).unwrap();
    append(&mut log, &[&*"x".repeat(SEGMENT_BYTES as usize)]);
    log.sync().unwrap();
    drop(log);
    let (_, contents) = open(dir.path(), 1).unwrap();
    let mut marks = Vec::new();
    let read = contents.for_each(&SystemDisk, 0, |header, _| {
        marks.push(header.mark.number);
        Ok::<_, JournalError>(())
    });
    read.unwrap();
    assert_eq!(marks, [7, 0]);
}

#[test]
fn a_mark_before_a_segment_that_holds_nothing_yet_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), 0).unwrap();
    append(&mut log, &["a"]);
    let mark = Mark {
        number: 7,
        ..Mark::default()
    };
    log.append(0, &[], mark, Timestamp::default()).unwrap();
    log.sync().unwrap();
    drop(log);
    // As if the power had failed after the next segment got its name, before anything was in it.
    fs::write(dir.path().join(segment_name(2)), [0; 4096]).unwrap();
    let (_, contents) = open(dir.path(), 1).unwrap();
    assert_eq!(contents.end.last.unwrap().0.mark.number, 7);
}

#[test]
fn whole_segments_are_removed_and_the_log_knows_where_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    three_segments(dir.path());
    let remove = |number| remove_before(&SystemDisk, dir.path(), LogKind::Inputs, number).unwrap();
    assert_eq!(remove(1).first, 1);
    assert_eq!(remove(2).first, 2);
    assert_eq!(remove(1).first, 2, "nothing comes back");
    let (mut log, contents) = open(dir.path(), 3).unwrap();
    assert_eq!((contents.end.first, log.next()), (2, 4));
    append(&mut log, &["record 4"]);
    log.sync().unwrap();
    assert_eq!(remove(100).first, 4, "the newest segment stays");
    drop(log);
    assert_eq!(open(dir.path(), 4).unwrap().1.end.first, 4);
    let gone = reader(dir.path(), 3).next(4).map(drop);
    assert!(matches!(
        gone,
        Err(JournalError::Removed {
            number: 3,
            first: 4,
            ..
        })
    ));
    assert_eq!(follow(&mut reader(dir.path(), 4), 4), ["record 4"]);
}

#[test]
fn p1_a_beginning_that_is_not_what_the_anchor_says_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    three_segments(dir.path());
    remove_before(&SystemDisk, dir.path(), LogKind::Inputs, 3).unwrap();
    let damaged = || match open(dir.path(), 0) {
        Err(JournalError::Damage(damage)) => damage.number,
        other => panic!("{other:?}"),
    };
    // The same numbers, after other batches.
    let other = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        let (mut log, _) = open(other.path(), number - 1).unwrap();
        append(&mut log, &[&format!("foreign {number}")]);
        log.sync().unwrap();
    }
    let first = segment_name(3);
    fs::copy(other.path().join(&first), dir.path().join(&first)).unwrap();
    assert_eq!(damaged(), 3);
    fs::remove_file(dir.path().join(&first)).unwrap();
    assert_eq!(damaged(), 3);
}

#[test]
fn what_is_to_be_the_beginning_must_be_whole() {
    let dir = tempfile::tempdir().unwrap();
    three_segments(dir.path());
    damage(dir.path(), "record 3");
    let found = remove_before(&SystemDisk, dir.path(), LogKind::Inputs, 3);
    assert!(matches!(
        found,
        Err(JournalError::Damage(Damage { number: 3, .. }))
    ));
    assert!(dir.path().join(segment_name(1)).exists());
}
