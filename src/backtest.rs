//! `ioc backtest`: judges recorded readings, or a data directory, at full speed.
//!
//! Arrives: native readings in the order of their arrival (JSONL, `.gz` too), whose `received_at`
//! is the clock; or the inputs log of a data directory, without the records that were skipped.
//! Leaves: decisions as JSONL. No command that a person gave is remapped and no effect is executed;
//! the rules are the configuration's, whatever rules the journal names.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use ioc_core::bundle::Bundle;
use ioc_core::decision::{Decision, Verdict};
use ioc_core::judgement::Judgement;
use ioc_core::record::{Input, Record, Records, Seq};
use ioc_core::time::Timestamp;
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::formats::native;

use crate::inspect::InspectError;
use crate::journal::disk::SystemDisk;
use crate::journal::{JournalError, Known, LogKind, scan};
use crate::pipeline::Numbering;
use crate::progress::Progress;
use crate::recover::{INPUTS_DIR, RecoverError};
use crate::skipped::SkippedList;

/// What to judge, and by what.
#[derive(Debug)]
pub struct BacktestOptions {
    /// Readings (JSONL, `.gz`, `-` for standard input) or a data directory.
    pub readings: PathBuf,
    /// The rules and the city.
    pub bundle: Arc<Bundle>,
    /// What the decoders look up.
    pub catalogue: Catalogue,
    /// How many sensor stages share the sensors.
    pub shards: NonZeroUsize,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Readings judged.
    pub readings: u64,
    /// Messages that no decoder could read.
    pub dead_letters: u64,
    /// The first few of them, with line and reason.
    pub first_dead: Vec<String>,
    /// Decisions printed.
    pub decisions: u64,
    /// Incidents opened.
    pub opened: u64,
    /// How long it took.
    pub took: Duration,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The readings cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] InspectError),
    /// The output is closed.
    #[error("cannot write the decisions")]
    Output(#[from] io::Error),
}

impl From<RecoverError> for BacktestError {
    fn from(error: RecoverError) -> Self {
        Self::Journal(error.into())
    }
}

impl From<JournalError> for BacktestError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error.into())
    }
}

/// How many records are judged at once: enough to share the work out, few enough to stay in cache.
const BATCH_RECORDS: usize = 1024;
/// How many dead letters the summary shows.
const DEAD_SHOWN_MAX: usize = 5;

/// Judges everything and prints what is decided.
pub fn run(options: &BacktestOptions, out: &mut dyn Write) -> Result<Summary, BacktestError> {
    let began = Instant::now();
    let mut run = Run::new(options, out);
    if options.readings.is_dir() {
        run.journal(&options.readings)?;
    } else {
        run.lines(&options.readings, &options.catalogue)?;
    }
    run.judge()?;
    run.out.flush()?;
    run.progress.finish();
    run.summary.took = began.elapsed();
    Ok(run.summary)
}

struct Run<'a> {
    judgement: Judgement,
    bundle: Arc<Bundle>,
    numbering: Numbering,
    out: &'a mut dyn Write,
    progress: Progress,
    /// Framed records that wait to be judged, their number, and the number of the first.
    payload: Vec<u8>,
    count: usize,
    first: Seq,
    at: Timestamp,
    summary: Summary,
}

impl<'a> Run<'a> {
    fn new(options: &BacktestOptions, out: &'a mut dyn Write) -> Self {
        let mut judgement = Judgement::new(options.shards);
        judgement.provide(Arc::clone(&options.bundle));
        let file = fs::metadata(&options.readings)
            .ok()
            .filter(fs::Metadata::is_file);
        let progress = match file {
            Some(file) => Progress::bytes("judging", file.len()),
            None => Progress::spinner("judging"),
        };
        Self {
            judgement,
            bundle: Arc::clone(&options.bundle),
            numbering: Numbering::default(),
            out,
            progress,
            payload: Vec::new(),
            count: 0,
            first: 1,
            at: Timestamp::MIN,
            summary: Summary::default(),
        }
    }

    /// Recorded readings, a line each.
    fn lines(&mut self, path: &Path, catalogue: &Catalogue) -> Result<(), BacktestError> {
        let failed = |source| BacktestError::Read {
            path: path.to_owned(),
            source,
        };
        let mut reader = open(path, &self.progress).map_err(failed)?;
        let mut line = Vec::new();
        let mut scratch = native::Scratch::default();
        let mut number = 0_u64;
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                return Ok(());
            }
            number += 1;
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match native::decode(text, None, catalogue, &mut scratch) {
                Ok(reading) => {
                    let received = reading.received_at.unwrap_or(reading.observed_at);
                    self.add(received, &Input::Reading(reading))?;
                }
                Err(reject) => self.dead(number, reject.reason.word(), &reject.detail),
            }
        }
    }

    fn dead(&mut self, line: u64, reason: &str, detail: &str) {
        self.summary.dead_letters += 1;
        if self.summary.first_dead.len() < DEAD_SHOWN_MAX {
            self.summary
                .first_dead
                .push(format!("line {line}: {reason}: {detail}"));
        }
    }

    /// The readings of a journal, in the order and at the times at which they were judged.
    fn journal(&mut self, data: &Path) -> Result<(), BacktestError> {
        let dir = data.join(INPUTS_DIR);
        let contents = scan::scan(&SystemDisk, &dir, LogKind::Inputs, Known::default())?;
        let first = contents.end.first;
        if first > 1 {
            self.progress.note(format_args!(
                "the log begins with record {first}: what came before is no longer kept"
            ));
        }
        let (skipped, _) = SkippedList::load(&SystemDisk, data).map_err(RecoverError::from)?;
        contents.for_each(&SystemDisk, 1, |header, payload| {
            for record in skipped.records(header.first, payload) {
                let record = record.map_err(RecoverError::from)?;
                match record.input {
                    Input::Reading(_)
                    | Input::Folded(_)
                    | Input::Command(_)
                    | Input::Started(_)
                    | Input::Effect(_) => {
                        self.add(record.at, &record.input)?;
                    }
                    Input::DeadLetter(letter) => {
                        self.dead(record.seq, letter.reason, letter.detail);
                    }
                    Input::Reload(_)
                    | Input::Tick
                    | Input::Skipped(_)
                    | Input::Adopted(_)
                    | Input::Replayed(_) => {}
                }
            }
            Ok(())
        })
    }

    fn add(&mut self, at: Timestamp, input: &Input<'_>) -> Result<(), BacktestError> {
        if self.first == 1 && self.count == 0 {
            self.frame(at, &Input::Reload(self.bundle.hash));
        }
        self.frame(at, input);
        self.summary.readings += u64::from(matches!(input, Input::Reading(_)));
        if self.count >= BATCH_RECORDS {
            self.judge()
        } else {
            Ok(())
        }
    }

    fn frame(&mut self, at: Timestamp, input: &Input<'_>) {
        self.at = self.at.max(at);
        Record::frame_input(self.at, input, &mut self.payload);
        self.count += 1;
    }

    fn judge(&mut self) -> Result<(), BacktestError> {
        let framed = Records::new(self.first, &self.payload);
        let mut records = Vec::with_capacity(self.count);
        records.extend(framed.map(|record| record.expect("framed by this process")));
        let mut decisions = Vec::new();
        self.judgement.apply(&records, &mut decisions);
        drop(records);
        self.payload.clear();
        self.first += self.count as Seq;
        self.count = 0;
        self.print(decisions)
    }

    fn print(&mut self, decisions: Vec<Decision>) -> Result<(), BacktestError> {
        for mut decision in decisions {
            self.numbering.last += 1;
            decision.seq = self.numbering.last;
            self.summary.decisions += 1;
            let opened = matches!(decision.verdict, Verdict::IncidentOpened(_));
            self.summary.opened += u64::from(opened);
            self.out.write_all(&ioc_ws::decision_json(&decision))?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// The lines of a file, unpacked if it is packed; progress counts the bytes on disk.
fn open(path: &Path, progress: &Progress) -> io::Result<Box<dyn BufRead>> {
    let raw: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(Counted {
            file: File::open(path)?,
            bytes: 0,
            progress: progress.clone(),
        })
    };
    let mut raw = BufReader::with_capacity(256 << 10, raw);
    if raw.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(BufReader::with_capacity(
            256 << 10,
            MultiGzDecoder::new(raw),
        )));
    }
    Ok(Box::new(raw))
}

/// A file that tells how much of it has been read.
struct Counted {
    file: File,
    bytes: u64,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes += read as u64;
        self.progress.reached(self.bytes);
        Ok(read)
    }
}
