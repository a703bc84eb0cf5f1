//! One batch: the unit that is written, hashed and cut. Its bytes are described in
//! `docs/JOURNAL.md`.
//!
//! A batch is only framing for the disk: where one ends and the next begins never shows in a
//! decision.

use std::fmt;

use ioc_core::decision::DecisionHash;
use ioc_core::record::BuildHash;
use ioc_core::time::Timestamp;

/// Which of the two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LogKind {
    /// Records, as they were judged.
    Inputs = 1,
    /// Decisions, as they were released.
    Decisions = 2,
}

/// A journal's identity: drawn at random when it is made. Consoles call it the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalId(pub [u8; 16]);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How far the other log had come, as far as this batch knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// In the inputs log: the last decision judged before this batch was written.
    /// In the decisions log: the last input that this batch's decisions follow from.
    pub number: u64,
    /// The rolling hash of all decisions: in the inputs log up to that decision, in the decisions
    /// log up to this batch's last.
    pub hash: DecisionHash,
}

/// What stands before a batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Which log.
    pub kind: LogKind,
    /// Which journal.
    pub journal: JournalId,
    /// How often the journal has been opened for writing.
    pub generation: u32,
    /// The number of the first record.
    pub first: u64,
    /// How many records; zero for a batch that only carries its mark.
    pub count: u32,
    /// How many bytes they take.
    pub length: u32,
    /// The last record known to be durable when this was written.
    pub durable_up_to: u64,
    /// The wall clock, for people.
    pub wall: Timestamp,
    /// The executable that wrote it.
    pub build: BuildHash,
    /// How far the other log had come.
    pub mark: Mark,
    /// The hash of the batch before.
    pub previous: [u8; 32],
}

const MAGIC: [u8; 4] = *b"IOCB";
const VERSION: u16 = 1;
const UNHASHED_BYTES: usize = BatchHeader::BYTES - 32;

impl BatchHeader {
    /// How many bytes a header takes, its hash included.
    pub const BYTES: usize = 196;

    /// The number after the last of this batch.
    pub const fn next(&self) -> u64 {
        self.first + self.count as u64
    }

    /// The header's bytes and the batch's hash, which is their end: BLAKE3 of what stands before
    /// it and of the records.
    pub fn encode(&self, payload: &[u8]) -> ([u8; Self::BYTES], [u8; 32]) {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[self.kind as u8, 0]);
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.journal.0);
        out.extend_from_slice(&self.durable_up_to.to_le_bytes());
        out.extend_from_slice(&self.wall.as_millis().to_le_bytes());
        out.extend_from_slice(&self.build.0);
        out.extend_from_slice(&self.mark.number.to_le_bytes());
        out.extend_from_slice(&self.mark.hash.0);
        out.extend_from_slice(&self.previous);
        let hash = hash_of(&out, payload);
        out.extend_from_slice(&hash);
        (
            out.try_into().expect("the fields above take BYTES bytes"),
            hash,
        )
    }

    /// The batch at the beginning of `bytes`: header, hash and records; `None` if there is no
    /// whole and undamaged one.
    pub fn decode(bytes: &[u8]) -> Option<(Self, [u8; 32], &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<{ Self::BYTES }>()?;
        let header = Self::fields(head)?;
        let payload = rest.get(..header.length as usize)?;
        let hash = hash_of(&head[..UNHASHED_BYTES], payload);
        (hash == head[UNHASHED_BYTES..]).then_some((header, hash, payload))
    }

    /// What the header at the beginning of `bytes` says, unproved.
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        Self::fields(bytes.first_chunk()?)
    }

    fn fields(head: &[u8; Self::BYTES]) -> Option<Self> {
        let mut rest = &head[..];
        let magic: [u8; 4] = take(&mut rest);
        let version = u16::from_le_bytes(take(&mut rest));
        if magic != MAGIC || version != VERSION {
            return None;
        }
        let kind = match take(&mut rest) {
            [1, 0] => LogKind::Inputs,
            [2, 0] => LogKind::Decisions,
            _ => return None,
        };
        Some(Self {
            kind,
            length: u32::from_le_bytes(take(&mut rest)),
            count: u32::from_le_bytes(take(&mut rest)),
            first: u64::from_le_bytes(take(&mut rest)),
            generation: u32::from_le_bytes(take(&mut rest)),
            journal: JournalId(take(&mut rest)),
            durable_up_to: u64::from_le_bytes(take(&mut rest)),
            wall: Timestamp::from_millis(i64::from_le_bytes(take(&mut rest))),
            build: BuildHash(take(&mut rest)),
            mark: Mark {
                number: u64::from_le_bytes(take(&mut rest)),
                hash: DecisionHash(take(&mut rest)),
            },
            previous: take(&mut rest),
        })
    }

    /// Where the next batch header may begin in `bytes`: at the next magic.
    pub fn find(bytes: &[u8]) -> Option<usize> {
        bytes
            .windows(MAGIC.len())
            .position(|window| window == MAGIC)
    }
}

/// Takes an array off the front; the header's length covers all its fields.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, after) = rest
        .split_first_chunk()
        .expect("a header has all its fields");
    *rest = after;
    *taken
}

fn hash_of(head: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32) -> BatchHeader {
        BatchHeader {
            kind: LogKind::Inputs,
            journal: JournalId([7; 16]),
            generation: 3,
            first: 41,
            count: 2,
            length,
            durable_up_to: 40,
            wall: Timestamp::from_millis(1_773_470_710_933),
            build: BuildHash([1; 32]),
            mark: Mark {
                number: 5,
                hash: DecisionHash([2; 32]),
            },
            previous: [3; 32],
        }
    }

    #[test]
    fn a_batch_reads_back() {
        let (head, hash) = header(6).encode(b"record");
        let bytes = [&head[..], b"record", b"after"].concat();
        assert_eq!(
            BatchHeader::decode(&bytes),
            Some((header(6), hash, &b"record"[..]))
        );
    }

    #[test]
    fn no_bit_of_a_batch_can_change_unnoticed() {
        let (head, _) = header(6).encode(b"record");
        let bytes = [&head[..], b"record"].concat();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BatchHeader::decode(&damaged), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(
                BatchHeader::decode(&bytes[..length]),
                None,
                "cut to {length}"
            );
        }
    }
}
