//! Snapshots as files: whole or not at all, and the newest good one.

use std::fs;

use super::*;
use crate::journal::disk::SystemDisk;

fn snapshot(through: Seq) -> Snapshot {
    let section = |format, bytes: &[u8]| Section {
        format,
        bytes: bytes.to_vec(),
    };
    Snapshot {
        journal: JournalId([1; 16]),
        build: BuildHash([2; 32]),
        wall: Timestamp::from_millis(3),
        point: Point {
            through,
            batch: [4; 32],
            at: Timestamp::from_millis(5),
            numbering: Numbering {
                last: 6,
                hash: DecisionHash([7; 32]),
            },
            bundle: Some(BundleHash([8; 32])),
        },
        skipped: vec![Skip {
            seq: 9,
            record: [10; 32],
            released: 11,
        }],
        state: section(1, b"state"),
        view: section(2, b""),
        letters: section(3, b"letters"),
    }
}

fn newest_in(data: &Path) -> Option<Seq> {
    let through = |snapshot: Snapshot| Ok(snapshot.point.through);
    newest(&SystemDisk, data, through).unwrap()
}

#[test]
fn a_snapshot_reads_back_and_no_bit_of_it_can_change_unnoticed() {
    let bytes = snapshot(9).pieces().concat();
    assert_eq!(Snapshot::decode(&bytes).unwrap(), snapshot(9));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Snapshot::decode(&damaged).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(Snapshot::decode(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn the_newest_good_one_is_found_and_only_the_last_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    assert_eq!(newest_in(data), None);
    let mut before = None;
    for through in [5, 40, 300] {
        write(&SystemDisk, data, &snapshot(through), before).unwrap();
        before = Some(through);
    }
    assert_eq!(newest_in(data), Some(300));
    let left = list(&SystemDisk, &data.join(SNAPSHOTS_DIR)).unwrap();
    let left: Vec<_> = left.iter().map(|(through, _)| *through).collect();
    assert_eq!(left, [40, 300]);
    let path = data.join(SNAPSHOTS_DIR).join(snapshot_name(300));
    let mut bytes = fs::read(&path).unwrap();
    bytes[70] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(newest_in(data), Some(40), "the damaged one is passed over");
    write(&SystemDisk, data, &snapshot(500), Some(40)).unwrap();
    assert!(!path.exists(), "and not taken for the one before");
}

#[test]
fn one_that_was_not_finished_is_none() {
    let dir = tempfile::tempdir().unwrap();
    write(&SystemDisk, dir.path(), &snapshot(5), None).unwrap_err();
    assert_eq!(newest_in(dir.path()), None);
    let unfinished = dir.path().join(SNAPSHOTS_DIR).join("unfinished.tmp");
    fs::write(unfinished, snapshot(5).pieces().concat()).unwrap();
    assert_eq!(newest_in(dir.path()), None);
}

#[test]
fn a_copy_of_the_newest_takes_the_place_of_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    assert_eq!(newest_in(data), None);
    write(&SystemDisk, data, &snapshot(5), None).unwrap();
    write(&SystemDisk, data, &snapshot(40), Some(5)).unwrap();
    assert!(double(&SystemDisk, data, 40).unwrap());
    let snapshots = data.join(SNAPSHOTS_DIR);
    let left = list(&SystemDisk, &snapshots).unwrap();
    assert_eq!(left.iter().map(|(of, _)| *of).collect::<Vec<_>>(), [40, 40]);
    for (_, path) in left {
        let whole = fs::read(&path).unwrap();
        fs::write(&path, b"damaged").unwrap();
        assert_eq!(newest_in(data), Some(40), "the other one is good");
        fs::write(&path, whole).unwrap();
    }
    write(&SystemDisk, data, &snapshot(50), Some(40)).unwrap();
    write(&SystemDisk, data, &snapshot(60), Some(50)).unwrap();
    assert_eq!(list(&SystemDisk, &snapshots).unwrap().len(), 2);
    let newest = snapshots.join(snapshot_name(60));
    fs::write(newest, b"damaged").unwrap();
    assert!(!double(&SystemDisk, data, 60).unwrap());
    assert_eq!(newest_in(data), Some(50), "nothing goes for a damaged one");
}

#[test]
fn one_that_the_disk_does_not_give_back_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(newest_in(dir.path()), None);
    write(&SystemDisk, dir.path(), &snapshot(5), None).unwrap();
    let unreadable = dir.path().join(SNAPSHOTS_DIR).join(snapshot_name(99));
    fs::create_dir(unreadable).unwrap();
    assert_eq!(newest_in(dir.path()), Some(5));
}
