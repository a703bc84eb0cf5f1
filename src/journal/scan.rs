//! Reads a log back: which batches are whole, where it ends, and what is damaged.
//!
//! The rule: the first bad batch ends the log, if nothing depends on it; it is then a torn tail
//! that never was durable. If a later whole batch says that it was durable, if another segment
//! follows, or if the other log or a snapshot follows from it, it is [`Damage`]. Where a snapshot
//! stands for the beginning, only what comes after is read.

use std::path::{Path, PathBuf};

use crate::journal::JournalError;
use crate::journal::batch::{BatchHeader, JournalId, LogKind};
use crate::journal::disk::Disk;
use crate::journal::retain::{self, Anchor};

/// A place where the log is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "damaged journal: {} at byte {offset}: record {number} is missing or damaged, but {depends}",
    path.display()
)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// The first record that cannot be read.
    pub number: u64,
    /// What depends on it.
    pub depends: &'static str,
}

/// What a log holds that is whole.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Its segments in order, each with how much of it counts.
    pub segments: Vec<SegmentContents>,
    /// Where it ends.
    pub end: End,
}

/// What one segment holds that is whole.
#[derive(Debug, Clone)]
pub struct SegmentContents {
    /// The file.
    pub path: PathBuf,
    /// The number of its first record.
    pub first: u64,
    /// How many bytes of it count.
    pub bytes: u64,
}

/// The end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The number of the first record that was looked for.
    pub first: u64,
    /// The hash that the first batch must follow; `None` if reading began somewhere in the middle.
    pub before: Option<[u8; 32]>,
    /// The last whole batch's header and hash; `None` if there is none.
    pub last: Option<(BatchHeader, [u8; 32])>,
    /// The last record that some header says is durable.
    pub durable_up_to: u64,
    /// How many bytes after the last whole batch are not zero: a torn write.
    pub torn_bytes: u64,
}

impl End {
    /// The number of the next record.
    pub fn next(&self) -> u64 {
        self.last.map_or(self.first, |(header, _)| header.next())
    }

    /// The journal's identity.
    pub fn journal(&self) -> Option<JournalId> {
        self.last.map(|(header, _)| header.journal)
    }

    /// The hash of the last batch, or of the one before the log's beginning.
    pub fn hash(&self) -> [u8; 32] {
        let before = self.before.unwrap_or_default();
        self.last.map_or(before, |(_, hash)| hash)
    }
}

/// The name of the segment whose first record has this number.
pub fn segment_name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The segments of a log, in order, with the numbers of their first records.
pub fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let mut found = Vec::new();
    for path in disk.list(dir).map_err(JournalError::disk("list", dir))? {
        let name = path.file_name().and_then(|name| name.to_str());
        let first = name.and_then(|name| name.strip_suffix(".log")?.parse().ok());
        if let Some(first) = first {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The identity of the journal that a log is of, as its newest readable batch says; `None` if it
/// holds none.
pub fn identity(disk: &dyn Disk, dir: &Path) -> Result<Option<JournalId>, JournalError> {
    for (_, path) in segments(disk, dir)?.into_iter().rev() {
        let bytes = disk.read(&path);
        let bytes = bytes.map_err(JournalError::disk("read", path))?;
        if let Some((header, _, _)) = BatchHeader::decode(&bytes) {
            return Ok(Some(header.journal));
        }
    }
    Ok(None)
}

/// From where on a log is read: what is before is known from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The first record that matters. The segment that holds the one before is read too.
    pub next: u64,
    /// The hash of the batch that ends before that record, if it is known: it must be there.
    pub hash: Option<[u8; 32]>,
}

/// What is known of a log before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// The last record that something else follows from: the other log, or a snapshot.
    pub needed_up_to: u64,
    /// From where on to read; `None`: all of it.
    pub since: Option<Since>,
}

impl Known {
    /// Nothing but the last record that something else follows from.
    pub const fn needed_up_to(needed_up_to: u64) -> Self {
        Self {
            needed_up_to,
            since: None,
        }
    }
}

impl Known {
    /// Whether this batch holds the record before the first that matters, and is not the one that
    /// is known to end with it.
    fn contradicts(&self, header: &BatchHeader, hash: [u8; 32]) -> bool {
        let holds = |since: &Since| header.first < since.next && since.next <= header.next();
        let known = |since: Since| since.hash.map(|known| (since.next, known));
        let known = self.since.filter(holds).and_then(known);
        known.is_some_and(|known| known != (header.next(), hash))
    }
}

/// Reads a log and finds its end.
pub fn scan(
    disk: &dyn Disk,
    dir: &Path,
    kind: LogKind,
    known: Known,
) -> Result<Contents, JournalError> {
    match scan_to_damage(disk, dir, kind, known)? {
        (contents, None) => Ok(contents),
        (_, Some(damage)) => Err(damage.into()),
    }
}

/// Reads a log up to its end, or up to the first damage: what is whole before it.
pub fn scan_to_damage(
    disk: &dyn Disk,
    dir: &Path,
    kind: LogKind,
    known: Known,
) -> Result<(Contents, Option<Damage>), JournalError> {
    let Known {
        needed_up_to,
        since,
    } = known;
    let anchor = retain::anchor(disk, dir)?;
    // The record that the log was made to begin with was durable then.
    let kept_from = if anchor == Anchor::BEGINNING {
        0
    } else {
        anchor.first
    };
    let needed_up_to = needed_up_to.max(kept_from);
    let known = Known {
        needed_up_to,
        since,
    };
    let mut found = segments(disk, dir)?;
    found.retain(|(first, _)| *first >= anchor.first);
    let start = since.map_or(0, |since| {
        let before = found.partition_point(|(first, _)| *first < since.next);
        before.saturating_sub(1)
    });
    found.drain(..start);
    let begins = found.first().map(|(first, _)| *first);
    let whole = match (begins, since) {
        (Some(first), Some(since)) => first < since.next.max(2),
        (Some(first), None) => first == anchor.first,
        (None, _) => anchor == Anchor::BEGINNING,
    };
    let mut contents = Contents {
        segments: Vec::with_capacity(found.len()),
        end: End {
            first: begins.unwrap_or(1),
            before: begins
                .is_none_or(|first| first == anchor.first)
                .then_some(anchor.previous),
            last: None,
            durable_up_to: kept_from,
            torn_bytes: 0,
        },
    };
    if !whole {
        let damage = Damage {
            path: dir.join(segment_name(anchor.first)),
            offset: 0,
            number: anchor.first,
            depends: "the log begins with it",
        };
        return Ok((contents, Some(damage)));
    }
    let read = |path: &PathBuf| disk.read(path).map_err(JournalError::disk("read", path));
    let mut following = found.first().map(|(_, path)| read(path)).transpose()?;
    for (index, (first, path)) in found.iter().enumerate() {
        let bytes = following.take().expect("a segment is read before its turn");
        let mut follower = None;
        if let Some((first, path)) = found.get(index + 1) {
            let bytes = following.insert(read(path)?);
            let previous = BatchHeader::decode(bytes).map(|(header, _, _)| header.previous);
            follower = Some(Follower {
                first: *first,
                previous,
            });
        }
        let segment = Segment {
            kind,
            path,
            first: *first,
            bytes: &bytes,
            follower,
        };
        let used = segment.read(&mut contents.end, known);
        contents.segments.push(SegmentContents {
            path: path.clone(),
            first: *first,
            bytes: match &used {
                Ok(used) => *used as u64,
                // All before it is whole.
                Err(damage) => damage.offset,
            },
        });
        if let Err(damage) = used {
            return Ok((contents, Some(damage)));
        }
    }
    let damage = (needed_up_to >= contents.end.next()).then(|| Damage {
        path: found.last().map_or(dir, |(_, path)| path).to_owned(),
        offset: contents.segments.last().map_or(0, |segment| segment.bytes),
        number: contents.end.next(),
        depends: "released decisions or a snapshot follow from it",
    });
    Ok((contents, damage))
}

/// One segment as it is read.
struct Segment<'a> {
    kind: LogKind,
    path: &'a Path,
    first: u64,
    bytes: &'a [u8],
    follower: Option<Follower>,
}

/// The segment after one: where it begins, only it counts.
#[derive(Clone, Copy)]
struct Follower {
    first: u64,
    /// The hash that its first batch follows; `None` if it holds none.
    previous: Option<[u8; 32]>,
}

impl Follower {
    /// Whether the log has come to where this segment takes over. One that holds nothing yet does
    /// so after all that the one before it holds.
    fn takes_over(&self, end: &End) -> bool {
        end.next() == self.first && self.previous.is_some_and(|previous| previous == end.hash())
    }

    /// Whether the log has come to where this segment begins, and nothing is missing.
    fn begins(&self, end: &End) -> bool {
        end.next() == self.first && self.previous.is_none_or(|previous| previous == end.hash())
    }
}

impl Segment<'_> {
    /// Follows the batches from `end` on; returns how many bytes count.
    fn read(&self, end: &mut End, known: Known) -> Result<usize, Damage> {
        if end.last.is_some() && end.next() != self.first {
            return Err(self.damage(0, end.next(), "a later segment follows"));
        }
        let mut offset = 0;
        while !self
            .follower
            .is_some_and(|follower| follower.takes_over(end))
        {
            let Some((header, hash, _)) = BatchHeader::decode(&self.bytes[offset..]) else {
                break;
            };
            let handed_over = self.follower.is_some_and(|next| next.first == end.next());
            if !self.follows(&header, end) || (handed_over && header.count > 0) {
                break;
            }
            if known.contradicts(&header, hash) {
                return Err(self.damage(
                    offset,
                    header.first,
                    "a snapshot follows from another one",
                ));
            }
            end.durable_up_to = end.durable_up_to.max(header.durable_up_to);
            end.last = Some((header, hash));
            offset += BatchHeader::BYTES + header.length as usize;
        }
        match self.follower {
            Some(follower) if follower.begins(end) => Ok(offset),
            Some(_) => Err(self.damage(offset, end.next(), "a later segment follows")),
            None => self
                .check_tail(offset, end, known.needed_up_to)
                .map(|()| offset),
        }
    }

    /// Whether the batch is the one that must come here.
    fn follows(&self, header: &BatchHeader, end: &End) -> bool {
        let expected = match end.last {
            None => {
                let begins = end.before.is_none_or(|before| header.previous == before);
                header.first == self.first && begins
            }
            Some((last, hash)) => {
                header.journal == last.journal
                    && header.generation >= last.generation
                    && header.first == last.next()
                    && header.previous == hash
            }
        };
        expected && header.kind == self.kind
    }

    /// What follows the last whole batch must be nothing that anybody depends on.
    fn check_tail(&self, offset: usize, end: &mut End, needed_up_to: u64) -> Result<(), Damage> {
        let number = end.next();
        if needed_up_to >= number {
            return Err(self.damage(
                offset,
                number,
                "released decisions or a snapshot follow from it",
            ));
        }
        let tail = &self.bytes[offset..];
        end.torn_bytes = tail
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1) as u64;
        // A batch may end in zeros: it is looked for in what is not zero, and read beyond it.
        let mut at = 0;
        while let Some(next) = BatchHeader::find(&tail[at..end.torn_bytes as usize]) {
            at += next;
            if self.is_durable_after(&tail[at..], end) {
                return Err(self.damage(offset, number, "a later batch says that it is durable"));
            }
            at += 1;
        }
        Ok(())
    }

    /// Whether a whole batch of this log begins here that says that what is missing was durable.
    fn is_durable_after(&self, bytes: &[u8], end: &End) -> bool {
        // What the header claims is cheap to see, that the batch is whole is not.
        let claims = BatchHeader::peek(bytes).is_some_and(|later| {
            later.kind == self.kind
                && end.journal().is_none_or(|journal| journal == later.journal)
                && later.durable_up_to >= end.next()
        });
        claims && BatchHeader::decode(bytes).is_some()
    }

    fn damage(&self, offset: usize, number: u64, depends: &'static str) -> Damage {
        Damage {
            path: self.path.to_owned(),
            offset: offset as u64,
            number,
            depends,
        }
    }
}

impl Contents {
    /// Hands every whole batch over, in order, from the one that holds record `from` on.
    pub fn for_each<E: From<JournalError>>(
        &self,
        disk: &dyn Disk,
        from: u64,
        mut batch: impl FnMut(&BatchHeader, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (index, segment) in self.segments.iter().enumerate() {
            let follower = self.segments.get(index + 1);
            if follower.is_some_and(|next| next.first <= from) {
                continue;
            }
            let bytes = disk
                .read(&segment.path)
                .map_err(JournalError::disk("read", &segment.path));
            let bytes = bytes.map_err(E::from)?;
            let mut rest = &bytes[..(segment.bytes as usize).min(bytes.len())];
            while let Some((header, _, payload)) = BatchHeader::decode(rest) {
                rest = &rest[BatchHeader::BYTES + payload.len()..];
                if header.next() > from {
                    batch(&header, payload)?;
                }
            }
        }
        Ok(())
    }
}
