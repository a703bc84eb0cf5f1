//! `ioc journal verify`: checks both logs, the skipped records and the snapshots, without changing
//! or locking them.
//!
//! Arrives: a data directory. Leaves: what each part holds, or what is wrong with it: one that is
//! damaged does not keep the others from being checked. A running server may be writing
//! meanwhile: what it has not finished shows as a torn tail.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use ioc_core::decision::DecisionHash;
use ioc_core::judgement::STATE_FORMATS_READ;
use ioc_core::record::{Input, Seq};
use ioc_core::time::Timestamp;
use ioc_ws::VIEW_FORMATS_READ;

use super::{InspectError, hex};
use crate::journal::disk::SystemDisk;
use crate::journal::{BatchHeader, Contents, JournalError, JournalId, Known, LogKind, scan};
use crate::progress::Progress;
use crate::recover::{DECISIONS_DIR, INPUTS_DIR, RecoverError, decode_decisions};
use crate::skipped::{SkippedError, SkippedList};
use crate::snapshots::{self, SNAPSHOTS_DIR, Snapshot};

const DISK: SystemDisk = SystemDisk;

/// Checks all that a start depends on and says what there is.
///
/// # Errors
/// The first thing that is wrong; the others are said in `out`.
pub fn verify(data: &Path, out: &mut dyn Write) -> Result<(), InspectError> {
    let mut found = Findings {
        out,
        first: None,
        logs_are_whole: true,
    };
    let progress = Progress::spinner("reading both logs");
    let decisions = contents(data, DECISIONS_DIR, LogKind::Decisions, 0);
    let last = decisions.as_ref().ok().and_then(|held| held.end.last);
    let needed = last.map_or(0, |(header, _)| header.mark.number);
    let inputs = contents(data, INPUTS_DIR, LogKind::Inputs, needed);
    progress.finish();

    let mut good_inputs = None;
    if let Some(inputs) = found.keep("inputs", inputs)? {
        let read = read_inputs(data, &inputs);
        if let Some(read) = found.keep("inputs", read)? {
            tell_log(found.out, "inputs", &inputs)?;
            tell_inputs(&mut found, &read)?;
            good_inputs = Some((inputs.end, read));
        }
    }
    let mut journal = good_inputs.as_ref().and_then(|(end, _)| end.journal());
    if let Some(decisions) = found.keep("decisions", decisions)? {
        let read = read_decisions(&decisions);
        if found.keep("decisions", read)?.is_some() {
            tell_log(found.out, "decisions", &decisions)?;
            tell_decisions(found.out, &decisions)?;
        }
        let of_decisions = decisions.end.journal();
        if let (Some(inputs), Some(decisions)) =
            (journal, of_decisions.filter(|id| journal != Some(*id)))
        {
            let mixed = RecoverError::Mixed { inputs, decisions };
            found.wrong("both logs", mixed.into())?;
        }
        journal = journal.or(of_decisions);
    }
    let good = verify_snapshots(
        data,
        journal,
        good_inputs.as_ref().map(|(_, read)| read),
        &mut found,
    )?;
    if let Some((end, _)) = good_inputs {
        let first = end.first;
        if first > 1 && good.is_none_or(|through| through + 1 < first) {
            found.wrong("inputs", RecoverError::Beginning { first }.into())?;
        }
    }
    found.end()
}

/// What is wrong, as it is found.
struct Findings<'a> {
    out: &'a mut dyn Write,
    first: Option<InspectError>,
    logs_are_whole: bool,
}

impl Findings<'_> {
    /// What is good; what is not is said, and remembered.
    fn keep<T>(
        &mut self,
        what: &str,
        checked: Result<T, InspectError>,
    ) -> Result<Option<T>, InspectError> {
        match checked {
            Ok(good) => Ok(Some(good)),
            Err(error) => self.wrong(what, error).map(|()| None),
        }
    }

    fn wrong(&mut self, what: &str, error: InspectError) -> Result<(), InspectError> {
        if let InspectError::Output(_) = error {
            return Err(error);
        }
        writeln!(self.out, "{what}: {error}")?;
        // A start does without a snapshot, as long as the logs are whole.
        self.logs_are_whole &= matches!(error, InspectError::Snapshot { .. });
        self.first.get_or_insert(error);
        Ok(())
    }

    fn end(self) -> Result<(), InspectError> {
        if self.logs_are_whole {
            writeln!(self.out, "both logs are whole")?;
        }
        self.first.map_or(Ok(()), Err)
    }
}

fn contents(
    data: &Path,
    dir: &str,
    kind: LogKind,
    needed_up_to: u64,
) -> Result<Contents, InspectError> {
    let known = Known::needed_up_to(needed_up_to);
    Ok(scan::scan(&DISK, &data.join(dir), kind, known)?)
}

/// What the inputs log holds.
#[derive(Default)]
struct Inputs {
    records: u64,
    span: Option<(Timestamp, Timestamp)>,
    skipped: SkippedList,
    /// Records that the log says were skipped, and the list does not.
    forgotten: Vec<Seq>,
    places: Places,
}

/// After which records a batch ends, and its hash.
type Places = BTreeMap<Seq, [u8; 32]>;

/// Reads every record.
fn read_inputs(data: &Path, contents: &Contents) -> Result<Inputs, InspectError> {
    let skipped = match contents.end.journal() {
        Some(journal) => SkippedList::of(&DISK, data, journal).map_err(RecoverError::from)?,
        None => SkippedList::default(),
    };
    let mut read = Inputs {
        skipped,
        ..Inputs::default()
    };
    let snapshots = snapshots::list(&DISK, &data.join(SNAPSHOTS_DIR)).unwrap_or_default();
    each_batch("inputs", contents, |header, payload| {
        // Where a batch begins, the one before ends.
        let before = header.first - 1;
        if snapshots.iter().any(|(through, _)| *through == before) {
            read.places.entry(before).or_insert(header.previous);
        }
        for frame in read.skipped.frames(header.first, payload) {
            let (frame, is_skipped) = frame.map_err(RecoverError::from)?;
            read.records += 1;
            let (from, _) = read.span.unwrap_or((frame.at, frame.at));
            read.span = Some((from, frame.at));
            let seq = frame.seq;
            match frame.record() {
                Ok(record) => {
                    if let Input::Skipped(skip) = record.input
                        && read.skipped.find(skip.seq) != Some(&skip)
                    {
                        read.forgotten.push(skip.seq);
                    }
                }
                Err(_) if is_skipped => {}
                Err(source) => return Err(RecoverError::Record { seq, source }.into()),
            }
        }
        Ok(())
    })?;
    read.places
        .insert(contents.end.next() - 1, contents.end.hash());
    Ok(read)
}

/// Reads every decision; what the batches say of their rolling hash must be so. Where the log does
/// not begin with the first decision, its first batch is believed.
fn read_decisions(contents: &Contents) -> Result<(), InspectError> {
    let mut rolling = (contents.end.first == 1).then(DecisionHash::default);
    each_batch("decisions", contents, |header, payload| {
        let mut hash = rolling.unwrap_or_default();
        decode_decisions(header, payload, 0, &mut hash)?;
        let number = header.next() - 1;
        if rolling.is_some() && hash != header.mark.hash {
            return Err(InspectError::Hash { number });
        }
        rolling = Some(header.mark.hash);
        Ok(())
    })
}

/// Hands every batch over, and shows how far it has come.
fn each_batch(
    name: &str,
    contents: &Contents,
    mut batch: impl FnMut(&BatchHeader, &[u8]) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let progress = Progress::bytes(&format!("verifying {name}"), bytes_of(contents));
    let mut bytes = 0;
    let read = contents.for_each(&DISK, 0, |header, payload| {
        bytes += (BatchHeader::BYTES + payload.len()) as u64;
        progress.reached(bytes);
        batch(header, payload)
    });
    progress.finish();
    read
}

fn bytes_of(contents: &Contents) -> u64 {
    contents.segments.iter().map(|segment| segment.bytes).sum()
}

fn tell_log(out: &mut dyn Write, name: &str, contents: &Contents) -> io::Result<()> {
    let (segments, bytes) = (contents.segments.len(), bytes_of(contents));
    writeln!(
        out,
        "{name}: {segments} segments, {bytes} bytes, hash chain whole"
    )?;
    if contents.end.first > 1 {
        let first = contents.end.first;
        writeln!(
            out,
            "  begins with number {first}: what came before is no longer kept"
        )?;
    }
    if let Some((header, _)) = contents.end.last {
        let (journal, generation, wall) = (header.journal, header.generation, header.wall);
        writeln!(
            out,
            "  journal {journal}, opened {generation} times, last written {wall}"
        )?;
    }
    match contents.end.torn_bytes {
        0 => Ok(()),
        torn => writeln!(
            out,
            "  {torn} bytes of a torn tail, which the next start cuts"
        ),
    }
}

fn tell_inputs(found: &mut Findings<'_>, read: &Inputs) -> Result<(), InspectError> {
    let records = read.records;
    if let Some((from, to)) = read.span {
        writeln!(
            found.out,
            "  {records} records from {from} to {to}, all readable"
        )?;
    }
    for skipped in read.skipped.iter() {
        writeln!(found.out, "  record {} is skipped", skipped.skip.seq)?;
    }
    for &seq in &read.forgotten {
        let forgotten = RecoverError::from(SkippedError::Forgotten { seq });
        found.wrong("inputs", forgotten.into())?;
    }
    Ok(())
}

fn tell_decisions(out: &mut dyn Write, contents: &Contents) -> io::Result<()> {
    let Some((last, _)) = contents.end.last else {
        return Ok(());
    };
    let (number, mark) = (last.next() - 1, last.mark.number);
    writeln!(
        out,
        "  {number} decisions, all readable, complete up to input {mark}"
    )
}

/// Checks each snapshot; returns the record that the newest usable one is as of.
fn verify_snapshots(
    data: &Path,
    journal: Option<JournalId>,
    inputs: Option<&Inputs>,
    found: &mut Findings<'_>,
) -> Result<Option<Seq>, InspectError> {
    let dir = data.join(SNAPSHOTS_DIR);
    let listed = if dir.is_dir() {
        snapshots::list(&DISK, &dir)?
    } else {
        Vec::new()
    };
    writeln!(found.out, "snapshots: {}", listed.len())?;
    let places = inputs.map(|read| &read.places);
    let mut good = None;
    let mut forgotten = BTreeSet::new();
    for (through, path) in listed {
        let bytes = std::fs::read(&path).map_err(JournalError::disk("read", &path))?;
        let wrong = |why: String| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{SNAPSHOTS_DIR}/{name}");
            InspectError::Snapshot { name, why }
        };
        let checked = Snapshot::decode(&bytes)
            .map_err(|error| wrong(error.to_string()))
            .and_then(|snapshot| {
                check_place(&snapshot, journal, places)
                    .map_err(wrong)
                    .map(|()| snapshot)
            });
        let Some(snapshot) = found.keep("  snapshot", checked)? else {
            continue;
        };
        let lacking = inputs.map(|read| read.skipped.lacking(&snapshot.skipped));
        forgotten.extend(lacking.into_iter().flatten());
        let is_read = tell_snapshot(found.out, &snapshot, bytes.len(), places.is_some())?;
        if is_read {
            good = good.max(Some(through));
        }
    }
    let of_log = inputs.map_or(&[][..], |read| &read.forgotten);
    for seq in forgotten.into_iter().filter(|seq| !of_log.contains(seq)) {
        let forgotten = RecoverError::from(SkippedError::Forgotten { seq });
        found.wrong("snapshots", forgotten.into())?;
    }
    Ok(good)
}

/// Whether a snapshot belongs to the logs.
fn check_place(
    snapshot: &Snapshot,
    journal: Option<JournalId>,
    places: Option<&Places>,
) -> Result<(), String> {
    let (found, point) = (snapshot.journal, snapshot.point);
    if let Some(journal) = journal.filter(|journal| *journal != found) {
        return Err(format!(
            "it belongs to journal {found}, the logs to {journal}"
        ));
    }
    match places.map(|places| places.get(&point.through)) {
        Some(None) => Err("no batch of the log ends there".to_owned()),
        Some(Some(hash)) if *hash != point.batch => {
            Err("the batch that ends there is another one".to_owned())
        }
        Some(Some(_)) | None => Ok(()),
    }
}

/// Says what a good snapshot is; returns whether this build reads it.
fn tell_snapshot(
    out: &mut dyn Write,
    snapshot: &Snapshot,
    bytes: usize,
    is_placed: bool,
) -> io::Result<bool> {
    let (state, view) = (snapshot.state.format, snapshot.view.format);
    let is_read = STATE_FORMATS_READ.contains(&state) && VIEW_FORMATS_READ.contains(&view);
    let place = if is_placed {
        "in its place in the log"
    } else {
        "its place not checked"
    };
    let (through, wall) = (snapshot.point.through, snapshot.wall);
    let build = &hex(&snapshot.build.0)[..16];
    writeln!(
        out,
        "  as of record {through}: {bytes} bytes, whole, {place}; written {wall} by build {build}…"
    )?;
    if !is_read {
        writeln!(
            out,
            "    in formats {state} and {view}, which this build does not read"
        )?;
    }
    Ok(is_read)
}
