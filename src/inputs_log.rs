//! The inputs log of a running server, read from its beginning or from a time on, while it grows.
//!
//! Arrives: which records are wanted. Leaves: them, as far as they are durable. Promise: whoever
//! reads stops nobody who writes. Not here: what is looked for (`ioc-gateway/src/replay/log.rs`),
//! and which part of the log is kept (`retention.rs`): what goes while it is read is told.

use std::ops::{ControlFlow, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;

use ioc_core::record::{Record, Seq};
use ioc_core::time::Timestamp;
use ioc_gateway::http::{InputsLog, Unread};

use crate::durable::Durable;
use crate::journal::disk::Disk;
use crate::journal::scan::segments;
use crate::journal::{JournalError, LogKind, Reader};
use crate::telemetry::chain;

/// The log, and how far it is durable.
#[derive(Debug)]
pub struct LiveInputs {
    /// Where it lies.
    pub disk: Arc<dyn Disk>,
    /// The directory of the log.
    pub dir: PathBuf,
    /// How far it is durable.
    pub durable: Arc<Durable>,
}

impl LiveInputs {
    fn reader(&self, from: Seq) -> Reader {
        let disk = Arc::clone(&self.disk);
        Reader::new(disk, self.dir.clone(), LogKind::Inputs, from)
    }

    /// Hands over records from this one on, until `take` breaks or the durable end.
    fn records(
        &self,
        from: Seq,
        take: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let mut reader = self.reader(from);
        while let Some((header, mut rest)) = reader.next(self.durable.inputs()).map_err(unread)? {
            for seq in header.first..header.next() {
                let (record, behind) = Record::unframe(seq, rest)
                    .map_err(|error| Unread::Failed(error.to_string()))?;
                rest = behind;
                if take(&record).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether the record of this number came before that time, or is gone already. Not, if there is
    /// none yet.
    fn is_before(&self, seq: Seq, time: Timestamp) -> Result<bool, String> {
        let mut is_before = false;
        let read = self.records(seq, &mut |record| {
            is_before = record.at < time;
            ControlFlow::Break(())
        });
        match read {
            Ok(()) => Ok(is_before),
            Err(Unread::Removed { .. }) => Ok(true),
            Err(Unread::Failed(why)) => Err(why),
        }
    }
}

fn unread(error: JournalError) -> Unread {
    match error {
        JournalError::Removed { first, .. } => Unread::Removed { first },
        error => Unread::Failed(chain(&error)),
    }
}

impl InputsLog for LiveInputs {
    fn held(&self, since: Option<Timestamp>) -> Result<RangeInclusive<Seq>, String> {
        let found = segments(&*self.disk, &self.dir).map_err(|error| chain(&error))?;
        let firsts: Vec<Seq> = found.into_iter().map(|(first, _)| first).collect();
        let last = self.durable.inputs();
        let (mut begin, mut end) = (0, firsts.len());
        // The first segment that does not begin before that time; the one before it may reach on.
        while let Some(since) = since.filter(|_| begin < end) {
            let middle = usize::midpoint(begin, end);
            match self.is_before(firsts[middle], since)? {
                true => begin = middle + 1,
                false => end = middle,
            }
        }
        let first = firsts.get(begin.saturating_sub(1)).copied();
        Ok(first.unwrap_or(1)..=last)
    }

    fn read(
        &self,
        range: RangeInclusive<Seq>,
        take: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        match range.is_empty() {
            true => Ok(()),
            false => self.records(*range.start(), take),
        }
    }
}
