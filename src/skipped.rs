//! The records that a person has had passed over, because a build could not judge them.
//!
//! Arrives: the file `skipped` of a data directory. Leaves: the records of a batch, with a tick in
//! the place of each skipped one: its number is given and its time passes, nothing else happens.
//! Promise: a record is passed over only once the list that says so is durable, from then on
//! wherever the log is judged, and never if it is another record than the one that was meant.
//! Not here: whether a record may be skipped (see `recover.rs`).

use std::io;
use std::path::{Path, PathBuf};

use ioc_core::CodecError;
use ioc_core::codec::{Put, Take};
use ioc_core::record::{Frame, Frames, Record, Seq, Skip};

use crate::journal::disk::{Disk, replace};
use crate::journal::{JournalError, JournalId};

/// The list, below the data directory.
pub const SKIPPED_FILE: &str = "skipped";
/// So many records can be skipped in the life of a journal: it is a way out of an accident, not a
/// way to edit the past.
pub const SKIPPED_MAX: usize = 1000;

const MAGIC: [u8; 4] = *b"IOCK";
const FORMAT: u16 = 1;
const HASH_BYTES: usize = 32;

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SkippedError {
    /// It cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The bytes are not those that were written.
    #[error(
        "the list of skipped records {} is damaged: move it away, and start with --skip-record \
         for each record that `ioc journal verify` then says was skipped",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It was copied from another data directory.
    #[error(
        "the list of skipped records {} belongs to journal {found}, the logs to {journal}: \
         put the files of one journal together again",
        path.display()
    )]
    Mixed {
        /// The file.
        path: PathBuf,
        /// The identity in the list.
        found: JournalId,
        /// The identity in the logs.
        journal: JournalId,
    },
    /// The log holds something else in the place of a skipped record.
    #[error(
        "record {seq} is not the one that was skipped: the file `{SKIPPED_FILE}` and the logs are \
         of different times; put those of one time together again"
    )]
    Other {
        /// The record.
        seq: Seq,
    },
    /// The log or a snapshot says that a record was skipped, and the list does not.
    #[error(
        "record {seq} was skipped once, and the file `{SKIPPED_FILE}` does not say so any more: put \
         it back, or start with --skip-record {seq}"
    )]
    Forgotten {
        /// The record.
        seq: Seq,
    },
    /// There is no such record.
    #[error("record {seq} cannot be skipped: the log ends with record {last}")]
    Missing {
        /// The record.
        seq: Seq,
        /// The last one.
        last: Seq,
    },
    /// Nobody judges it any more.
    #[error(
        "record {seq} cannot be skipped: a snapshot as of record {through} stands for it, so it is \
         not judged again. If it must go all the same, move the snapshots from record {seq} on out \
         of the directory `snapshots` first"
    )]
    Snapshotted {
        /// The record.
        seq: Seq,
        /// The record that the snapshot is as of.
        through: Seq,
    },
    /// It is not what stops this build.
    #[error(
        "record {seq} cannot be skipped: this build has judged it and gone on, and what was decided \
         from it may have been seen; a start without --skip-record names the record that stops it"
    )]
    Judged {
        /// The record.
        seq: Seq,
    },
    /// The list is full.
    #[error("{SKIPPED_MAX} records are skipped already, and no more can be")]
    Full,
}

/// A skipped record, and when it was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The record.
    pub skip: Skip,
    /// The last record that the log held by then: what comes after knows of it.
    pub log_end: Seq,
}

/// All of them, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkippedList(Vec<Skipped>);

impl SkippedList {
    /// The list of a data directory, with the journal that it is of; empty if there is no file.
    pub fn load(disk: &dyn Disk, data: &Path) -> Result<(Self, Option<JournalId>), SkippedError> {
        let path = data.join(SKIPPED_FILE);
        match disk.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Self::default(), None)),
            Err(error) => Err(JournalError::disk("read", path)(error).into()),
            Ok(bytes) => {
                let decoded = Self::decode(&bytes);
                let (list, journal) = decoded.map_err(|_| SkippedError::Damaged { path })?;
                Ok((list, Some(journal)))
            }
        }
    }

    /// The list of a data directory whose logs are of this journal.
    pub fn of(disk: &dyn Disk, data: &Path, journal: JournalId) -> Result<Self, SkippedError> {
        match Self::load(disk, data)? {
            (_, Some(found)) if found != journal => Err(SkippedError::Mixed {
                path: data.join(SKIPPED_FILE),
                found,
                journal,
            }),
            (list, _) => Ok(list),
        }
    }

    /// Writes the list; it is durable when this returns.
    pub fn store(
        &self,
        disk: &dyn Disk,
        data: &Path,
        journal: JournalId,
    ) -> Result<(), JournalError> {
        let path = data.join(SKIPPED_FILE);
        let temporary = path.with_extension("tmp");
        replace(disk, &temporary, &path, &self.encode(journal))
            .map_err(JournalError::disk("write", path))
    }

    /// Adds a record.
    pub fn add(&mut self, skipped: Skipped) -> Result<(), SkippedError> {
        if self.0.len() >= SKIPPED_MAX {
            return Err(SkippedError::Full);
        }
        self.0.push(skipped);
        self.0.sort_unstable_by_key(|skipped| skipped.skip.seq);
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Skipped> {
        self.0.iter()
    }

    /// What is said of each.
    pub fn skips(&self) -> impl Iterator<Item = Skip> {
        self.0.iter().map(|skipped| skipped.skip)
    }

    /// Those of these that the list does not know, or knows otherwise.
    pub fn lacking(&self, skips: &[Skip]) -> impl Iterator<Item = Seq> {
        let lost = skips
            .iter()
            .filter(|skip| self.find(skip.seq) != Some(skip));
        lost.map(|skip| skip.seq)
    }

    /// What a log that ends with this record does not say yet.
    pub fn unsaid(&self, log_end: Seq) -> impl Iterator<Item = Skip> {
        let unsaid = self
            .0
            .iter()
            .filter(move |skipped| skipped.log_end >= log_end);
        unsaid.map(|skipped| skipped.skip)
    }

    /// What is said of a record, if it is skipped.
    pub fn find(&self, seq: Seq) -> Option<&Skip> {
        let place = self
            .0
            .binary_search_by_key(&seq, |skipped| skipped.skip.seq);
        place.ok().map(|place| &self.0[place].skip)
    }

    /// The last record whose decisions had been released when a record was skipped: they stand,
    /// whatever is derived without it.
    pub fn released(&self) -> Seq {
        let released = self.0.iter().map(|skipped| skipped.skip.released);
        released.max().unwrap_or(0)
    }

    /// The frames of a batch, and whether each is skipped.
    pub fn frames<'a>(
        &self,
        first: Seq,
        framed: &'a [u8],
    ) -> impl Iterator<Item = Result<(Frame<'a>, bool), Unread>> {
        Frames::new(first, framed).map(|frame| {
            let frame = frame.map_err(|(seq, error)| Unread::Codec(seq, error))?;
            match self.find(frame.seq) {
                None => Ok((frame, false)),
                Some(skip) if skip.record == fingerprint(&frame) => Ok((frame, true)),
                Some(skip) => Err(Unread::Skipped(SkippedError::Other { seq: skip.seq })),
            }
        })
    }

    /// The records of a batch as they are judged.
    pub fn records<'a>(
        &self,
        first: Seq,
        framed: &'a [u8],
    ) -> impl Iterator<Item = Result<Record<'a>, Unread>> {
        self.frames(first, framed).map(|frame| match frame? {
            (frame, true) => Ok(frame.skipped()),
            (frame, false) => {
                let record = frame.record();
                record.map_err(|error| Unread::Codec(frame.seq, error))
            }
        })
    }

    fn encode(&self, journal: JournalId) -> Vec<u8> {
        let mut out = Vec::new();
        out.put(&MAGIC);
        out.put_u16(FORMAT);
        out.put(&journal.0);
        out.put_u32(self.0.len() as u32);
        for Skipped { skip, log_end } in &self.0 {
            skip.encode(&mut out);
            out.put_u64(*log_end);
        }
        let hash = blake3::hash(&out);
        out.put(hash.as_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<(Self, JournalId), CodecError> {
        const DAMAGED: CodecError = CodecError("list of skipped records");
        let (bytes, hash) = bytes.split_last_chunk::<HASH_BYTES>().ok_or(DAMAGED)?;
        let mut take = Take(bytes);
        if blake3::hash(bytes) != *hash || take.array()? != MAGIC || take.u16()? != FORMAT {
            return Err(DAMAGED);
        }
        let journal = JournalId(take.array()?);
        let mut list = Vec::new();
        for _ in 0..take.u32()? {
            let skip = Skip::decode(&mut take)?;
            let log_end = take.u64()?;
            list.push(Skipped { skip, log_end });
        }
        take.end()?;
        Ok((Self(list), journal))
    }
}

/// Why a record of a batch cannot be had.
#[derive(Debug)]
pub enum Unread {
    /// This build does not know its bytes.
    Codec(Seq, CodecError),
    /// It is not the one that was skipped.
    Skipped(SkippedError),
}

/// What a skipped record is known by.
pub fn fingerprint(frame: &Frame<'_>) -> [u8; 32] {
    *blake3::hash(frame.bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use ioc_core::record::Input;
    use ioc_core::time::Timestamp;

    use super::*;
    use crate::journal::disk::SystemDisk;

    const JOURNAL: JournalId = JournalId([7; 16]);

    /// Three records, of which the last is none that this build knows.
    fn framed() -> Vec<u8> {
        let mut out = Vec::new();
        for (at, input) in [(1, &[5][..]), (2, &[5]), (3, &[250, 1])] {
            Record::frame(Timestamp::from_millis(at), input, &mut out);
        }
        out
    }

    fn skipped(seq: Seq) -> Skipped {
        let framed = framed();
        let frame = Frames::new(11, &framed).find_map(|frame| frame.ok().filter(|f| f.seq == seq));
        let record = frame.map_or([0; 32], |frame| fingerprint(&frame));
        let released = seq - 1;
        let skip = Skip {
            seq,
            record,
            released,
        };
        let log_end = 13;
        Skipped { skip, log_end }
    }

    fn list(seqs: &[Seq]) -> SkippedList {
        let mut list = SkippedList::default();
        seqs.iter().for_each(|seq| list.add(skipped(*seq)).unwrap());
        list
    }

    #[test]
    fn what_was_stored_is_loaded_and_no_bit_of_it_can_change_unnoticed() {
        let dir = tempfile::tempdir().unwrap();
        let of = |journal| SkippedList::of(&SystemDisk, dir.path(), journal);
        assert_eq!(of(JOURNAL).unwrap(), SkippedList::default());
        let stored = list(&[13, 11]);
        stored.store(&SystemDisk, dir.path(), JOURNAL).unwrap();
        assert_eq!(of(JOURNAL).unwrap(), stored);
        assert_eq!(stored.released(), 12);
        let mixed = of(JournalId([8; 16]));
        assert!(
            matches!(mixed, Err(SkippedError::Mixed { .. })),
            "{mixed:?}"
        );

        let bytes = stored.encode(JOURNAL);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(SkippedList::decode(&damaged).is_err(), "bit {bit}");
        }
        std::fs::write(dir.path().join(SKIPPED_FILE), &bytes[1..]).unwrap();
        let damaged = of(JOURNAL);
        assert!(
            matches!(damaged, Err(SkippedError::Damaged { .. })),
            "{damaged:?}"
        );
    }

    #[test]
    fn a_skipped_record_is_a_tick_even_if_nobody_can_read_it() {
        let framed = framed();
        let list = list(&[13]);
        let records: Vec<_> = list.records(11, &framed).map(Result::unwrap).collect();
        let ats = records.iter().map(|record| record.at.as_millis());
        assert_eq!(ats.collect::<Vec<_>>(), [1, 2, 3]);
        assert!(records.iter().all(|record| record.input == Input::Tick));
        let unread = SkippedList::default().records(11, &framed).last().unwrap();
        assert!(matches!(unread, Err(Unread::Codec(13, _))), "{unread:?}");
    }

    #[test]
    fn another_record_of_the_same_number_is_not_skipped() {
        let framed = framed();
        let list = list(&[12]);
        let shifted = list.records(12, &framed).next().unwrap();
        let other = SkippedError::Other { seq: 12 };
        assert!(
            matches!(&shifted, Err(Unread::Skipped(error)) if error.to_string() == other.to_string())
        );
    }

    #[test]
    fn p5_the_list_is_bounded() {
        let seqs: Vec<_> = (1..=SKIPPED_MAX as Seq).collect();
        let mut full = list(&seqs);
        assert!(matches!(full.add(skipped(5000)), Err(SkippedError::Full)));
    }
}
