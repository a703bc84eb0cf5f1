//! Removes what is no longer kept, and knows where a log begins once it has.
//!
//! Promise: a log never loses its beginning by accident unnoticed. Before the first segment goes,
//! an *anchor* is durable: an empty file whose name says the first record that is kept and the hash
//! of the batch before it, which the first kept batch must follow. It is a name and no content so
//! that it needs no space: removing must work on a full disk. Segments go oldest first; one that
//! is left over by an interruption no longer counts. Not here: what may go (see `retention.rs`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::journal::JournalError;
use crate::journal::batch::{BatchHeader, LogKind};
use crate::journal::disk::Disk;
use crate::journal::scan::{Damage, segments};

/// Where a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    /// The first record that is kept.
    pub first: u64,
    /// The hash of the batch before it.
    pub previous: [u8; 32],
}

impl Anchor {
    /// Where a log begins of which nothing was removed.
    pub const BEGINNING: Self = Self {
        first: 1,
        previous: [0; 32],
    };

    /// The file's name.
    fn name(&self) -> String {
        let mut name = format!("{:020}-", self.first);
        for byte in self.previous {
            write!(name, "{byte:02x}").expect("a text takes all that is written to it");
        }
        name + SUFFIX
    }

    fn parse(name: &str) -> Option<Self> {
        let (first, hash) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let mut previous = [0; 32];
        if hash.len() != 2 * previous.len() {
            return None;
        }
        for (place, byte) in previous.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hash.get(2 * place..2 * place + 2)?, 16).ok()?;
        }
        let first = first.parse().ok()?;
        let anchor = Self { first, previous };
        (anchor.name() == name).then_some(anchor)
    }
}

const SUFFIX: &str = ".anchor";

/// The anchors of a log, oldest first, with their files: more than one only after an interruption.
fn anchors(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Anchor, PathBuf)>, JournalError> {
    let mut found = Vec::new();
    for path in disk.list(dir).map_err(JournalError::disk("list", dir))? {
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(anchor) = name.and_then(Anchor::parse) {
            found.push((anchor, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Where a log begins: what is before no longer counts, even if it is there.
pub fn anchor(disk: &dyn Disk, dir: &Path) -> Result<Anchor, JournalError> {
    let newest = anchors(disk, dir)?.pop();
    Ok(newest.map_or(Anchor::BEGINNING, |(anchor, _)| anchor))
}

/// Removes the segments that hold only records below this number, which must be durable; returns
/// where the log begins now. Runs beside whoever appends or reads; one at a time.
///
/// After an error it can be called again; the log is whole in any case. A reader that is before the
/// new beginning is told so.
pub fn remove_before(
    disk: &dyn Disk,
    dir: &Path,
    kind: LogKind,
    number: u64,
) -> Result<Anchor, JournalError> {
    let held = anchor(disk, dir)?;
    let found = segments(disk, dir)?;
    let Some((first, path)) = found.iter().rfind(|(first, _)| *first <= number) else {
        return Ok(held);
    };
    if *first <= held.first {
        finish(disk, dir)?;
        return Ok(held);
    }
    let anchor = Anchor {
        first: *first,
        previous: previous_of(disk, path, kind, *first)?,
    };
    let file = dir.join(anchor.name());
    disk.create(&file, 0)
        .map_err(JournalError::disk("make", &file))?;
    disk.sync_dir(dir)
        .map_err(JournalError::disk("sync", dir))?;
    finish(disk, dir)?;
    Ok(anchor)
}

/// Removes what is before the log's beginning: what an interruption has left.
pub(super) fn finish(disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
    let mut anchors = anchors(disk, dir)?;
    let Some((newest, _)) = anchors.pop() else {
        return Ok(());
    };
    let gone = segments(disk, dir)?.into_iter();
    let gone = gone.take_while(|(first, _)| *first < newest.first);
    let gone: Vec<_> = gone.map(|(_, path)| path).collect();
    remove(disk, dir, gone)?;
    let older = anchors.into_iter().map(|(_, path)| path);
    remove(disk, dir, older.collect())
}

/// Removes files for good, in this order.
fn remove(disk: &dyn Disk, dir: &Path, paths: Vec<PathBuf>) -> Result<(), JournalError> {
    if paths.is_empty() {
        return Ok(());
    }
    for path in paths {
        disk.remove(&path)
            .map_err(JournalError::disk("remove", &path))?;
    }
    disk.sync_dir(dir).map_err(JournalError::disk("sync", dir))
}

/// The hash that the first batch of a segment follows; the batch must be whole.
fn previous_of(
    disk: &dyn Disk,
    path: &Path,
    kind: LogKind,
    first: u64,
) -> Result<[u8; 32], JournalError> {
    let mut bytes = vec![0; BatchHeader::BYTES];
    let read = |bytes: &mut [u8]| {
        let read = disk.read_at(path, 0, bytes);
        read.map_err(JournalError::disk("read", path))
    };
    read(&mut bytes)?;
    let claimed = BatchHeader::peek(&bytes).filter(|head| head.kind == kind && head.first == first);
    // What a damaged header says of its length must not take more memory than there are bytes.
    let mut length = bytes.len();
    let needed = claimed.map_or(0, |head| BatchHeader::BYTES + head.length as usize);
    while length < needed {
        length = needed.min(2 * length);
        bytes.resize(length, 0);
        if read(&mut bytes)? < length {
            break;
        }
    }
    let whole = claimed.and_then(|_| BatchHeader::decode(&bytes));
    let damaged = || Damage {
        path: path.to_owned(),
        offset: 0,
        number: first,
        depends: "it is durable and the log is to begin with it",
    };
    Ok(whole.ok_or_else(damaged)?.0.previous)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_back_from_its_name_and_nothing_else_is_one() {
        let anchor = Anchor {
            first: 41,
            previous: [0xab; 32],
        };
        let name = anchor.name();
        assert_eq!(Anchor::parse(&name), Some(anchor));
        for other in [
            name.replace("ab.anchor", ".anchor"),
            name.replace("ab.anchor", "aB.anchor"),
            name.replace("ab.anchor", "é.anchor"),
            name.replace("00041", "41"),
            "00000000000000000041.log".into(),
        ] {
            assert_eq!(Anchor::parse(&other), None, "{other}");
        }
    }
}
