//! Which segments of the logs are still kept: by size and age, but never what a start needs.
//!
//! Arrives: what lies on disk, and who still reads where. Leaves: the first number to keep.
//! Promise: the newest segment stays, and so does all that a snapshot needs. Other readers leave a
//! cursor; they are waited for until the log is [`WAITED`] times as large as it should be, so that
//! a forgotten one does not fill the disk. Next: `journal/log.rs`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use ioc_core::time::{Millis, Timestamp};

use crate::journal::disk::Disk;
use crate::journal::{BatchHeader, JournalError, LogKind, retain, scan};
use crate::recover::{DECISIONS_DIR, INPUTS_DIR};
use crate::telemetry;

/// The directory of the cursors, below the data directory: a file for each reader of the decisions
/// log, named after it, with the number of the last decision that it has taken.
pub const CURSORS_DIR: &str = "cursors";
/// How many times as large as it should be a log may grow for a slow reader.
pub const WAITED: u64 = 2;

/// How much of a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Beyond so many bytes the oldest go.
    pub bytes: u64,
    /// What is older than this goes.
    pub age: Duration,
}

/// How much of both logs is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records.
    pub inputs: Keep,
    /// Decisions.
    pub decisions: Keep,
}

impl Keep {
    /// Nothing goes.
    pub const EVERYTHING: Self = Self {
        bytes: u64::MAX,
        age: Duration::MAX,
    };
}

impl Retention {
    /// Nothing goes.
    pub const EVERYTHING: Self = Self {
        inputs: Keep::EVERYTHING,
        decisions: Keep::EVERYTHING,
    };
}

/// What the older of the two snapshots needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// The first record.
    pub inputs: u64,
    /// The first decision.
    pub decisions: u64,
}

/// Why nothing was removed, or not all that could be.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// A log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It is not known who reads the decisions log.
    #[error("the cursors cannot be listed")]
    Cursors(#[from] io::Error),
}

/// Removes the segments of both logs that are neither kept nor needed.
///
/// # Errors
/// It can be called again; the logs are whole in any case.
pub fn apply(
    disk: &dyn Disk,
    data: &Path,
    retention: Retention,
    needed: Needed,
    now: Timestamp,
) -> Result<(), RetentionError> {
    let inputs = Readers {
        needed: needed.inputs,
        wanted: None,
    };
    let decisions = Readers {
        needed: needed.decisions,
        wanted: slowest_cursor(data)?,
    };
    let logs = [
        (INPUTS_DIR, LogKind::Inputs, retention.inputs, inputs),
        (
            DECISIONS_DIR,
            LogKind::Decisions,
            retention.decisions,
            decisions,
        ),
    ];
    for (name, kind, keep, readers) in logs {
        let dir = data.join(name);
        let held = kept(disk, &dir)?;
        let from = keep_from(&held, keep, now, readers);
        if held.first().is_some_and(|oldest| oldest.first < from) {
            let anchor = retain::remove_before(disk, &dir, kind, from)?;
            telemetry::removed_before(name, anchor.first);
        }
    }
    Ok(())
}

/// The segments of a log, as far as keeping them is concerned.
fn kept(disk: &dyn Disk, dir: &Path) -> Result<Vec<Kept>, JournalError> {
    let mut found = Vec::new();
    for (first, path) in scan::segments(disk, dir)? {
        let unreadable = JournalError::disk("read", &path);
        let mut head = [0; BatchHeader::BYTES];
        let read = disk.read_at(&path, 0, &mut head);
        let (bytes, read) =
            (disk.length(&path).and_then(|bytes| Ok((bytes, read?)))).map_err(unreadable)?;
        found.push(Kept {
            first,
            bytes,
            began: BatchHeader::peek(&head[..read]).map(|header| header.wall),
        });
    }
    Ok(found)
}

/// From which numbers on somebody still reads a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readers {
    /// A start reads from here on.
    pub needed: u64,
    /// The slowest other reader; `None` without any.
    pub wanted: Option<u64>,
}

/// A segment, as far as keeping it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The number of its first record.
    pub first: u64,
    /// How long the file is.
    pub bytes: u64,
    /// The wall clock when its first batch was written; `None` if it has none yet.
    pub began: Option<Timestamp>,
}

/// The first number to keep of a log with these segments, oldest first.
pub fn keep_from(segments: &[Kept], keep: Keep, now: Timestamp, readers: Readers) -> u64 {
    let age_s = i64::try_from(keep.age.as_secs()).unwrap_or(i64::MAX);
    let age = Millis::seconds(age_s.min(i64::MAX / 1000));
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut first = segments.first().map_or(1, |segment| segment.first);
    for pair in segments.windows(2) {
        let [this, next] = pair else { break };
        let waited_for = bytes <= keep.bytes.saturating_mul(WAITED);
        let wanted = readers.wanted.filter(|_| waited_for);
        let unneeded = next.first <= readers.needed && wanted.is_none_or(|at| next.first <= at);
        // All that is in this one is older than the next.
        let old = next.began.is_some_and(|began| now - began > age);
        if !unneeded || !(old || bytes > keep.bytes) {
            break;
        }
        bytes -= this.bytes;
        first = next.first;
    }
    first
}

/// The first decision that some reader with a cursor has not taken; `None` without cursors. Whose
/// cursor cannot be read has taken nothing. A name with a dot is not finished, or no cursor.
pub fn slowest_cursor(data: &Path) -> io::Result<Option<u64>> {
    let dir = match fs::read_dir(data.join(CURSORS_DIR)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        dir => dir?,
    };
    let mut slowest: Option<u64> = None;
    for entry in dir {
        let path = entry?.path();
        if path.extension().is_some() {
            continue;
        }
        let taken = cursor(&path).unwrap_or_else(|error| {
            telemetry::cursor_unusable(&path, &error);
            0
        });
        let next = taken.saturating_add(1);
        slowest = Some(slowest.map_or(next, |slowest| slowest.min(next)));
    }
    Ok(slowest)
}

fn cursor(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let number = text.trim().parse();
    number.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not a decision's number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Segments of ten records and 100 bytes each, a day apart.
    fn segments(count: u64) -> Vec<Kept> {
        let segment = |number| Kept {
            first: number * 10 + 1,
            bytes: 100,
            began: Some(day(number)),
        };
        (0..count).map(segment).collect()
    }

    fn day(number: u64) -> Timestamp {
        Timestamp::from_millis((DAY.as_millis() as u64 * number) as i64)
    }

    fn kept(bytes: u64, days: u32, readers: Readers) -> u64 {
        let age = DAY * days;
        keep_from(&segments(10), Keep { bytes, age }, day(10), readers)
    }

    fn needed(needed: u64) -> Readers {
        let wanted = None;
        Readers { needed, wanted }
    }

    #[test]
    fn the_oldest_go_by_size_and_by_age() {
        assert_eq!(kept(1000, 100, needed(100)), 1);
        assert_eq!(kept(999, 100, needed(100)), 11);
        assert_eq!(kept(300, 100, needed(100)), 71);
        // The segment of day 5 ended when that of day 6 began, which is four days ago.
        assert_eq!(kept(1000, 3, needed(100)), 61);
    }

    #[test]
    fn what_a_start_needs_stays_and_so_does_the_newest_segment() {
        assert_eq!(kept(0, 0, needed(35)), 31);
        assert_eq!(kept(0, 0, needed(31)), 31);
        assert_eq!(kept(0, 0, needed(30)), 21);
        assert_eq!(kept(0, 0, needed(u64::MAX)), 91);
        let keep = Keep { bytes: 0, age: DAY };
        assert_eq!(keep_from(&[], keep, day(10), needed(9)), 1);
    }

    #[test]
    fn a_slow_reader_is_waited_for_but_not_for_ever() {
        let behind = Readers {
            needed: 100,
            wanted: Some(15),
        };
        assert_eq!(kept(600, 100, behind), 11, "the reader's own segment stays");
        assert_eq!(kept(400, 100, behind), 21, "waited for up to 800 bytes");
    }

    #[test]
    fn the_slowest_cursor_counts_and_one_that_cannot_be_read_has_taken_nothing() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(slowest_cursor(data.path()).unwrap(), None);
        let cursors = data.path().join(CURSORS_DIR);
        fs::create_dir(&cursors).unwrap();
        fs::write(cursors.join("history"), "41\n").unwrap();
        fs::write(cursors.join("archive"), "1000").unwrap();
        assert_eq!(slowest_cursor(data.path()).unwrap(), Some(42));
        fs::write(cursors.join("history.tmp"), "").unwrap();
        assert_eq!(slowest_cursor(data.path()).unwrap(), Some(42));
        fs::write(cursors.join("archive"), "all").unwrap();
        assert_eq!(slowest_cursor(data.path()).unwrap(), Some(1));
    }
}
