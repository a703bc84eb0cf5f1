//! A sensor's memory as bytes: most of what a state takes.
//!
//! What was observed first comes first, so that equal memories are equal bytes wherever in their
//! ring they begin. Next: `threshold.rs`.

use super::{Entry, Last, Long, Memory, Reach, SetBack};
use crate::codec::{CodecError, Put, Take};
use crate::limits::{KINDS_PER_SENSOR_MAX, READINGS_REMEMBERED, READINGS_REMEMBERED_LONG};
use crate::time::Timestamp;

/// What a remembered reading takes: its id's hash, when it was observed, its kind's place.
const ENTRY_BYTES: usize = 8 + 8 + 1;

impl Memory {
    /// Puts the whole state, what was observed first first.
    pub fn put(&self, out: &mut impl Put) {
        out.put_u8(self.reaches.len() as u8);
        self.reaches.iter().for_each(|reach| reach.put(out));
        out.put_flag(self.long.is_some());
        match &self.long {
            Some(long) => {
                out.put_u16(long.order.len() as u16);
                long.entries().for_each(|entry| out.put(&entry.to_bytes()));
            }
            None => {
                // In one piece, because every sensor has it.
                let mut bytes = [0; READINGS_REMEMBERED * ENTRY_BYTES];
                let places = bytes.chunks_exact_mut(ENTRY_BYTES);
                for (place, entry) in places.zip(self.last.entries()) {
                    place.copy_from_slice(&entry.to_bytes());
                }
                out.put_u16(u16::from(self.last.count));
                out.put(&bytes[..usize::from(self.last.count) * ENTRY_BYTES]);
            }
        }
    }

    /// The memory as it was put.
    pub fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let reaches = usize::from(take.u8()?);
        if reaches > KINDS_PER_SENSOR_MAX {
            return Err(CodecError("more kinds than a sensor can have"));
        }
        let reaches = take.each(reaches, |take| Reach::take(format, take))?;
        let is_long = take.flag()?;
        let count = usize::from(take.u16()?);
        let entries = take.bytes(count * ENTRY_BYTES)?;
        let entries = entries.chunks_exact(ENTRY_BYTES).map(Entry::from_bytes);
        let known = |entry: Entry| entry.id != 0 && usize::from(entry.kind) < reaches.len();
        let in_order = entries.clone().is_sorted_by_key(|entry| entry.observed_at);
        if !in_order || !entries.clone().all(known) {
            return Err(CodecError("a memory of readings that cannot be"));
        }
        let mut memory = Self {
            last: Last::new(),
            long: None,
            reaches,
        };
        if is_long {
            memory.long = Some(Box::new(Long::of(entries)?));
        } else {
            memory.last = Last::of(entries)?;
        }
        Ok(memory)
    }
}

impl Reach {
    fn put(&self, out: &mut impl Put) {
        out.put_u64(self.kind);
        out.put_time(self.forgotten_to);
        out.put_option(self.set_back.as_deref(), |out, run| {
            out.put_time(run.observed_to);
            out.put_u32(run.last);
            out.put_u32(run.first);
            out.put_time(run.counted_at);
            out.put_u32(run.readings);
            out.put_time(run.begun_at);
            out.put_time(run.observed_from);
            out.put_time(run.slowest);
        });
    }

    /// Before format 7 no run said when it began: it did no later than when one was counted.
    fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let run = |take: &mut Take<'_>| {
            let observed_to = take.time()?;
            // What an older build put here of the last one's id is no id of a first one.
            let (last, first) = (take.u32()?, take.u32()?);
            let counted_at = take.time()?;
            let readings = take.u32()?;
            let [begun_at, observed_from, slowest] = match format {
                1..=6 => [counted_at, observed_to, observed_to],
                _ => [take.time()?, take.time()?, take.time()?],
            };
            Ok(Box::new(SetBack {
                begun_at,
                observed_from,
                slowest,
                observed_to,
                first,
                last,
                counted_at,
                readings,
            }))
        };
        Ok(Self {
            kind: take.u64()?,
            forgotten_to: take.time()?,
            set_back: take.option(run)?,
        })
    }
}

impl Last {
    fn of(entries: impl ExactSizeIterator<Item = Entry>) -> Result<Self, CodecError> {
        if entries.len() > READINGS_REMEMBERED {
            return Err(CodecError("more readings than are remembered"));
        }
        let mut last = Self::new();
        last.count = entries.len() as u8;
        for (at, entry) in entries.enumerate() {
            last.set(at, entry);
        }
        Ok(last)
    }
}

impl Long {
    fn of(entries: impl ExactSizeIterator<Item = Entry> + Clone) -> Result<Self, CodecError> {
        let count = entries.len();
        if count > READINGS_REMEMBERED_LONG {
            return Err(CodecError("more readings than are remembered"));
        }
        let order = entries.clone().map(|entry| (entry.observed_at, entry.id));
        let long = Self {
            order: order.collect(),
            kinds: entries.map(|entry| (entry.id, entry.kind)).collect(),
        };
        if long.kinds.len() < count {
            return Err(CodecError("a reading is remembered twice"));
        }
        Ok(long)
    }
}

impl Entry {
    fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.observed_at.as_millis().to_le_bytes());
        bytes[16] = self.kind;
        bytes
    }

    /// Precondition: there are [`ENTRY_BYTES`].
    fn from_bytes(bytes: &[u8]) -> Self {
        let word = |at: usize| bytes[at..at + 8].try_into().expect("eight bytes");
        Self {
            id: u64::from_le_bytes(word(0)),
            observed_at: Timestamp::from_millis(i64::from_le_bytes(word(8))),
            kind: bytes[16],
        }
    }
}
