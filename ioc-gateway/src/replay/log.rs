//! The inputs log as a replay reads it: who was replayed already, and the letters themselves.
//!
//! Arrives: the records of the log, twice. Leaves: first what is known of earlier replays, then the
//! letters that were chosen, some at a time, each with all of its message. Promise: a letter whose
//! replay a crash cut short is read again without what it had brought by then; what retention takes
//! while it is read is passed over, and counted. Memory: the numbers of replayed letters
//! ([`Known::REPLAYED_MAX`]), and a page of letters. Next: `../replay.rs`.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use ioc_core::record::{DeadLetter, Input, Record, Seq};
use ioc_core::time::Timestamp;

use super::{Choice, Named, Reread, Running, Stopped, named, named_left};
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
    /// See [`Unread`].
    fn read(
        &self,
        range: RangeInclusive<Seq>,
        take: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread>;
}

/// Why records were not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// They are no longer kept.
    Removed {
        /// The first record that still is.
        first: Seq,
    },
    /// The log cannot be read, and why.
    Failed(String),
}

/// How many records before the first that is wanted are looked at: the parts of a message, of which
/// the first keeps all of it, stand one after another but for urgent readings in between.
const LOOKED_AT_BEFORE: Seq = 65_536;
/// How many bytes of letters are read before they are worked on.
pub(super) const PAGE_BYTES_MAX: usize = 1 << 20;
/// How many letters are, however short they are.
pub(super) const PAGE_LETTERS_MAX: usize = 4096;
/// Now and then it is told how far it has come.
const TOLD_EVERY: Seq = 4096;

/// The records that a choice is about, and those around them.
pub(super) fn range(log: &dyn InputsLog, choice: &Choice) -> Result<RangeInclusive<Seq>, Stopped> {
    let held = log.held(choice.since).map_err(Stopped::Unread)?;
    let (first, last) = held.into_inner();
    let wanted = choice.seqs.first().copied().unwrap_or_default().max(first);
    Ok(wanted.saturating_sub(LOOKED_AT_BEFORE).max(first)..=last)
}

/// Hands over the records of a range that are held. What goes while it is read is passed over.
fn read_held(
    log: &dyn InputsLog,
    range: RangeInclusive<Seq>,
    take: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
) -> Result<(), Stopped> {
    let (mut next, last) = range.into_inner();
    loop {
        let read = log.read(next..=last, &mut |record| {
            if record.seq < next {
                return ControlFlow::Continue(());
            }
            if record.seq > last {
                return ControlFlow::Break(());
            }
            next = record.seq + 1;
            take(record)
        });
        match read {
            Ok(()) => return Ok(()),
            Err(Unread::Removed { first }) if first > next => next = first,
            Err(Unread::Removed { first }) => {
                let why = format!("records from {next} on are missing behind {first}");
                return Err(Stopped::Unread(why));
            }
            Err(Unread::Failed(why)) => return Err(Stopped::Unread(why)),
        }
    }
}

/// How many letters were looked at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub letters: u64,
    /// Of them those that were chosen.
    pub chosen: u64,
}

impl Seen {
    /// Counts one. Returns whether it was chosen.
    fn note(&mut self, choice: &Choice, record: &Record<'_>, letter: &DeadLetter<'_>) -> bool {
        let is_chosen = choice.takes(record.seq, record.at, letter);
        self.letters += 1;
        self.chosen += u64::from(is_chosen);
        is_chosen
    }
}

/// What the log says of earlier replays.
#[derive(Debug, Default)]
pub(super) struct Known {
    replayed: Vec<Seq>,
    /// Readings that were read again, and letters that a replay left, since the last letter was done
    /// with.
    open: BTreeSet<Named>,
    /// The same of letters that were not done with when a process ended.
    pub left: BTreeSet<Named>,
    /// Letters there are.
    pub seen: Seen,
}

impl Known {
    /// How many replayed letters may lie behind where a replay begins.
    pub const REPLAYED_MAX: usize = 8 << 20;

    /// Reads it; `reread` gets the readings that were read again.
    pub fn read(
        log: &dyn InputsLog,
        range: RangeInclusive<Seq>,
        choice: &Choice,
        reread: &mut Reread,
        running: &Running,
    ) -> Result<Self, Stopped> {
        Self::read_within(log, range, choice, (reread, running), Self::REPLAYED_MAX)
    }

    /// The same within another bound.
    pub fn read_within(
        log: &dyn InputsLog,
        range: RangeInclusive<Seq>,
        choice: &Choice,
        (reread, running): (&mut Reread, &Running),
        replayed_max: usize,
    ) -> Result<Self, Stopped> {
        let mut known = Self::default();
        read_held(log, range, &mut |record| {
            if record.seq.is_multiple_of(TOLD_EVERY) {
                running.reached(0, record.seq);
            }
            if let Input::DeadLetter(letter) = &record.input {
                known.seen.note(choice, record, letter);
            }
            known.note(&record.input, reread);
            match known.replayed.len() > replayed_max {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        if known.replayed.len() > replayed_max {
            return Err(Stopped::TooManyReplayed);
        }
        known.replayed.sort_unstable();
        known.end();
        Ok(known)
    }

    fn note(&mut self, input: &Input<'_>, reread: &mut Reread) {
        match input {
            Input::Reread(reading) => {
                let own = named(reading);
                reread.note(own);
                self.open(own);
            }
            Input::DeadLetter(letter) => {
                if let Some(own) = named_left(letter) {
                    self.open(own);
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

    fn open(&mut self, own: Named) {
        if self.open.len() < Reread::COUNT_MAX {
            self.open.insert(own);
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

/// What a letter takes of a page, behind another one.
fn bytes_of(letter: &NotedLetter, before: Option<&NotedLetter>) -> usize {
    let texts = [
        &letter.source,
        &letter.topic,
        &letter.reason,
        &letter.detail,
        &letter.place,
        &letter.content_type,
        &letter.event,
    ];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    let is_shared = before.is_some_and(|before| Arc::ptr_eq(&before.payload, &letter.payload));
    let payload = if is_shared { 0 } else { letter.payload.len() };
    size_of::<NotedLetter>() + texts + payload
}

/// Reads the letters that were chosen; `send` gets them by the page, and breaks if nobody wants
/// more. Returns how many were still there.
pub(super) fn letters(
    log: &dyn InputsLog,
    range: RangeInclusive<Seq>,
    choice: &Choice,
    running: &Running,
    send: &mut dyn FnMut(Page) -> ControlFlow<()>,
) -> Result<Seen, Stopped> {
    let (mut page, mut bytes, mut around) = (Page::new(), 0, LastWhole::default());
    let mut seen = Seen::default();
    read_held(log, range, &mut |record| {
        if record.seq.is_multiple_of(TOLD_EVERY) {
            running.reached(1, record.seq);
        }
        let Input::DeadLetter(letter) = &record.input else {
            return ControlFlow::Continue(());
        };
        let whole = around.of(letter, DeadLetter::PAYLOAD_BYTES_MAX);
        if !seen.note(choice, record, letter) {
            return ControlFlow::Continue(());
        }
        let mut own = NotedLetter::of(record.seq, record.at, letter, letter.payload);
        if let Some(whole) = whole {
            own.payload.clone_from(&whole.payload);
            own.is_whole = true;
        }
        bytes += bytes_of(&own, page.last());
        page.push(own);
        if bytes < PAGE_BYTES_MAX && page.len() < PAGE_LETTERS_MAX {
            return ControlFlow::Continue(());
        }
        bytes = 0;
        send(std::mem::take(&mut page))
    })?;
    if !page.is_empty() {
        let _ = send(page);
    }
    Ok(seen)
}

/// The log, shared by whoever replays.
pub(super) type SharedLog = Arc<dyn InputsLog>;

/// A log in memory.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct MemoryLog {
    records: std::sync::Mutex<Vec<(Timestamp, Vec<u8>)>>,
    removal: std::sync::Mutex<Removal>,
}

/// What retention takes of it.
#[cfg(test)]
#[derive(Debug, Default, Clone, Copy)]
struct Removal {
    /// Those before this one are gone.
    first: Seq,
    /// Behind this one that is read, those before that one go.
    awaited: Option<(Seq, Seq)>,
}

#[cfg(test)]
impl MemoryLog {
    /// Appends an encoded input; returns its number.
    pub fn append(&self, at: Timestamp, input: &[u8]) -> Seq {
        let mut records = self.records.lock().unwrap();
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
        self.records.lock().unwrap().truncate(records);
        let started = ioc_core::record::Started {
            clock: ioc_core::record::ClockKind::System,
            build: ioc_core::record::BuildHash([0; 32]),
            down_from: None,
            down_to: Timestamp::default(),
        };
        self.push(Timestamp::default(), &Input::Started(started));
    }

    /// When this record has been read, once, those before `first` go.
    pub fn removes(&self, behind: Seq, first: Seq) {
        self.removal.lock().unwrap().awaited = Some((behind, first));
    }
}

#[cfg(test)]
impl InputsLog for MemoryLog {
    fn held(&self, _: Option<Timestamp>) -> Result<RangeInclusive<Seq>, String> {
        let first = self.removal.lock().unwrap().first.max(1);
        Ok(first..=self.records.lock().unwrap().len() as Seq)
    }

    fn read(
        &self,
        range: RangeInclusive<Seq>,
        take: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let records = self.records.lock().unwrap().clone();
        for (seq, (at, bytes)) in (1..).zip(&records).skip(*range.start() as usize - 1) {
            let first = self.removal.lock().unwrap().first;
            if seq < first {
                return Err(Unread::Removed { first });
            }
            let input = Input::decode(bytes).map_err(|error| Unread::Failed(error.to_string()))?;
            let record = Record {
                seq,
                at: *at,
                input,
            };
            let ended = take(&record);
            let mut removal = self.removal.lock().unwrap();
            if let Some((_, first)) = removal.awaited.take_if(|(behind, _)| *behind == seq) {
                removal.first = first;
            }
            if ended.is_break() {
                break;
            }
        }
        Ok(())
    }
}
