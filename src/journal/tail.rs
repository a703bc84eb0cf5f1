//! What is in doubt at the end of a log: written, but not known durable.

use crate::journal::JournalError;
use crate::journal::batch::BatchHeader;
use crate::journal::disk::Disk;
use crate::journal::scan::Contents;

/// The batches after the last point known durable: at most what was in flight when the process
/// ended.
pub(super) struct Tail {
    pub(super) first: u64,
    pub(super) previous: [u8; 32],
    /// Where it begins in the log's last segment.
    pub(super) offset: Option<u64>,
    pub(super) batches: Vec<(BatchHeader, Vec<u8>)>,
}

impl Tail {
    pub(super) fn of(
        disk: &dyn Disk,
        contents: &Contents,
        durable_up_to: u64,
    ) -> Result<Self, JournalError> {
        let mut tail = Self {
            first: contents.end.next(),
            previous: contents.end.hash(),
            offset: None,
            batches: Vec::new(),
        };
        let Some(last) = contents.segments.last() else {
            return Ok(tail);
        };
        let bytes = disk
            .read(&last.path)
            .map_err(JournalError::disk("read", &last.path))?;
        let mut offset = 0;
        while let Some((header, _, payload)) =
            BatchHeader::decode(&bytes[offset..last.bytes as usize])
        {
            // A batch without records is in doubt as long as only such follow it.
            let certain = header.count > 0 && header.next() <= durable_up_to + 1;
            if certain {
                tail.batches.clear();
                tail.offset = None;
            } else if tail.offset.is_none() {
                tail.first = header.first;
                tail.previous = header.previous;
                tail.offset = Some(offset as u64);
            }
            if !certain {
                tail.batches.push((header, payload.to_vec()));
            }
            offset += BatchHeader::BYTES + payload.len();
        }
        if tail.offset.is_none() {
            tail.first = contents.end.next();
            tail.previous = contents.end.hash();
        }
        Ok(tail)
    }

    pub(super) fn bytes(&self) -> u64 {
        let of = |(_, payload): &(BatchHeader, Vec<u8>)| BatchHeader::BYTES + payload.len();
        self.batches.iter().map(of).sum::<usize>() as u64
    }
}
