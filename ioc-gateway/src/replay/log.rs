//! The inputs log as a replay reads it: who was replayed already, and the letters themselves.
//!
//! Arrives: the records of the log, twice. Leaves: first what is known of earlier replays, then the
//! letters that were chosen, some at a time, each with all of its message. Promise: a letter whose
//! replay a crash cut short is read again without what it had brought by then. Memory: the numbers
//! of replayed letters ([`Known::REPLAYED_MAX`]), and a page of letters. Next: `../replay.rs`.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use ioc_core::record::{DeadLetter, Input, Record, Seq};
use ioc_core::time::Timestamp;

use super::{Choice, Named, Reread, Running, Stopped, named};
use crate::dead_letters::{LastWhole, NotedLetter};

/// The inputs log, read while it is written.
pub trait InputsLog: Debug + Send + Sync {
    /// The durable records that the log holds, but for those that came before `since` as far as
    /// they are easily passed over.
    ///
    /// # Errors
    /// Why the log cannot be read.
    fn held(&self, since: Option<Timestamp>) -> Result<RangeInclusive<Seq>, String>;

    /// Hands over records in their order until `take` breaks, at least those of this range.
    ///
    /// # Errors
    /// Why the log cannot be read.
    fn read(
        &self,
        range: RangeInclusive<Seq>,
        take: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), String>;
}

/// How many records before the first that is wanted are looked at: the parts of a message, of which
/// the first keeps all of it, stand one after another but for urgent readings in between.
const LOOKED_AT_BEFORE: Seq = 65_536;
/// How many bytes of messages are read before they are worked on.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Now and then it is told how far it has come.
const TOLD_EVERY: Seq = 4096;

/// The records that a choice is about, and those around them.
pub(super) fn range(log: &dyn InputsLog, choice: &Choice) -> Result<RangeInclusive<Seq>, Stopped> {
    let held = log.held(choice.since).map_err(Stopped::Unread)?;
    let (first, last) = held.into_inner();
    let wanted = choice.seqs.first().copied().unwrap_or_default().max(first);
    Ok(wanted.saturating_sub(LOOKED_AT_BEFORE).max(first)..=last)
}

/// What the log says of earlier replays.
#[derive(Debug, Default)]
pub(super) struct Known {
    replayed: Vec<Seq>,
    /// Readings that were read again since the last letter was done with.
    open: BTreeSet<Named>,
    /// Readings of letters that were not done with when a process ended.
    pub left: BTreeSet<Named>,
    /// Letters there are.
    pub letters: u64,
}

impl Known {
    /// How many replayed letters may lie behind where a replay begins.
    pub const REPLAYED_MAX: usize = 8 << 20;

    /// Reads it; `reread` gets the readings that were read again.
    pub fn read(
        log: &dyn InputsLog,
        range: RangeInclusive<Seq>,
        reread: &mut Reread,
        running: &Running,
    ) -> Result<Self, Stopped> {
        Self::read_within(log, range, (reread, running), Self::REPLAYED_MAX)
    }

    /// The same within another bound.
    pub fn read_within(
        log: &dyn InputsLog,
        range: RangeInclusive<Seq>,
        (reread, running): (&mut Reread, &Running),
        replayed_max: usize,
    ) -> Result<Self, Stopped> {
        let (mut known, last) = (Self::default(), *range.end());
        log.read(range, &mut |record| {
            if record.seq.is_multiple_of(TOLD_EVERY) {
                running.reached(0, record.seq);
            }
            match record.seq > last {
                true => ControlFlow::Break(()),
                false => {
                    known.note(&record.input, reread);
                    match known.replayed.len() > replayed_max {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                }
            }
        })
        .map_err(Stopped::Unread)?;
        if known.replayed.len() > replayed_max {
            return Err(Stopped::TooManyReplayed);
        }
        known.replayed.sort_unstable();
        known.end();
        Ok(known)
    }

    fn note(&mut self, input: &Input<'_>, reread: &mut Reread) {
        match input {
            Input::DeadLetter(_) => self.letters += 1,
            Input::Reread(reading) => {
                let own = named(reading);
                reread.note(own);
                if self.open.len() < Reread::COUNT_MAX {
                    self.open.insert(own);
                }
            }
            Input::Replayed(replayed) => {
                self.open.clear();
                self.replayed.push(replayed.letter);
            }
            Input::Started(_) => self.end(),
            Input::Reading(_)
            | Input::Folded(_)
            | Input::Command(_)
            | Input::Reload(_)
            | Input::Tick
            | Input::Skipped(_)
            | Input::Adopted(_)
            | Input::Effect(_) => {}
        }
    }

    /// Whoever replayed does no more.
    fn end(&mut self) {
        let room = Reread::COUNT_MAX.saturating_sub(self.left.len());
        let open = std::mem::take(&mut self.open);
        self.left.extend(open.into_iter().take(room));
    }

    /// Whether the log says that this letter was replayed.
    pub fn is_replayed(&self, letter: Seq) -> bool {
        self.replayed.binary_search(&letter).is_ok()
    }
}

/// Letters that were chosen, with their messages.
pub(super) type Page = Vec<NotedLetter>;

/// Reads the letters that were chosen; `send` gets them by the page, and breaks if nobody wants
/// more.
pub(super) fn letters(
    log: &dyn InputsLog,
    range: RangeInclusive<Seq>,
    choice: &Choice,
    running: &Running,
    send: &mut dyn FnMut(Page) -> ControlFlow<()>,
) -> Result<(), Stopped> {
    let (mut page, mut bytes, mut around) = (Page::new(), 0, LastWhole::default());
    let last = *range.end();
    log.read(range, &mut |record| {
        if record.seq.is_multiple_of(TOLD_EVERY) {
            running.reached(1, record.seq);
        }
        if record.seq > last {
            return ControlFlow::Break(());
        }
        let Input::DeadLetter(letter) = &record.input else {
            return ControlFlow::Continue(());
        };
        let whole = around.of(letter, DeadLetter::PAYLOAD_BYTES_MAX);
        if !choice.takes(record.seq, record.at, letter) {
            return ControlFlow::Continue(());
        }
        let mut own = NotedLetter::of(record.seq, record.at, letter, letter.payload);
        if let Some(whole) = whole {
            own.payload.clone_from(&whole.payload);
            own.is_whole = true;
        }
        bytes += own.payload.len();
        page.push(own);
        if bytes < PAGE_BYTES_MAX {
            return ControlFlow::Continue(());
        }
        bytes = 0;
        send(std::mem::take(&mut page))
    })
    .map_err(Stopped::Unread)?;
    if !page.is_empty() {
        let _ = send(page);
    }
    Ok(())
}

/// The log, shared by whoever replays.
pub(super) type SharedLog = Arc<dyn InputsLog>;

/// A log in memory.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct MemoryLog(std::sync::Mutex<Vec<(Timestamp, Vec<u8>)>>);

#[cfg(test)]
impl MemoryLog {
    /// Appends an encoded input; returns its number.
    pub fn append(&self, at: Timestamp, input: &[u8]) -> Seq {
        let mut records = self.0.lock().unwrap();
        records.push((at, input.to_vec()));
        records.len() as Seq
    }

    /// Appends an input.
    pub fn push(&self, at: Timestamp, input: &Input<'_>) -> Seq {
        let mut bytes = Vec::new();
        input.encode(&mut bytes);
        self.append(at, &bytes)
    }

    /// As if the process had been killed before what follows these records was durable.
    pub fn cut(&self, records: usize) {
        self.0.lock().unwrap().truncate(records);
        let started = ioc_core::record::Started {
            clock: ioc_core::record::ClockKind::System,
            build: ioc_core::record::BuildHash([0; 32]),
            down_from: None,
            down_to: Timestamp::default(),
        };
        self.push(Timestamp::default(), &Input::Started(started));
    }
}

#[cfg(test)]
impl InputsLog for MemoryLog {
    fn held(&self, _: Option<Timestamp>) -> Result<RangeInclusive<Seq>, String> {
        Ok(1..=self.0.lock().unwrap().len() as Seq)
    }

    fn read(
        &self,
        range: RangeInclusive<Seq>,
        take: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), String> {
        let records = self.0.lock().unwrap().clone();
        for (seq, (at, bytes)) in (1..).zip(&records).skip(*range.start() as usize - 1) {
            let input = Input::decode(bytes).map_err(|error| error.to_string())?;
            let record = Record {
                seq,
                at: *at,
                input,
            };
            if take(&record).is_break() {
                break;
            }
        }
        Ok(())
    }
}
