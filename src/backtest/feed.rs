//! Where the inputs of a backtest come from: a file of readings, or a data directory.
//!
//! Arrives: a path. Leaves: inputs for one or several judges, the same for all but that each
//! decodes readings by its own catalogue and has orders addressed to its own incidents. A line on a
//! terminal says how far it has come. Next: `judge.rs`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use ioc_core::record::{Input, Record};
use ioc_gateway::formats::native;

use super::BacktestError;
use super::judge::Judge;
use super::remap::Recorded;
use crate::journal::disk::SystemDisk;
use crate::journal::{Known, LogKind, scan};
use crate::progress::{Progress, thousands};
use crate::recover::{INPUTS_DIR, RecoverError};
use crate::skipped::SkippedList;

/// How often the rate is said anew, in inputs.
const SAID_EVERY: u64 = 50_000;

/// Feeds all that lies at a path to all judges.
pub(super) fn feed(readings: &Path, judges: &mut [Judge<'_>]) -> Result<(), BacktestError> {
    let mut feed = Feed {
        judges,
        count: 0,
        began: Instant::now(),
    };
    let progress = if readings.is_dir() {
        feed.journal(readings)?
    } else {
        feed.lines(readings)?
    };
    progress.finish();
    Ok(())
}

struct Feed<'j, 'a> {
    judges: &'j mut [Judge<'a>],
    count: u64,
    began: Instant,
}

impl Feed<'_, '_> {
    /// Recorded readings, a line each.
    fn lines(&mut self, path: &Path) -> Result<Progress, BacktestError> {
        let failed = |source| BacktestError::Read {
            path: path.to_owned(),
            source,
        };
        let file = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        let progress = match file {
            Some(file) => Progress::bytes("judging", file.len()),
            None => Progress::spinner("judging"),
        };
        let mut reader = open(path, &progress).map_err(failed)?;
        let mut line = Vec::new();
        let mut scratch = native::Scratch::default();
        let mut number = 0_u64;
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                return Ok(progress);
            }
            number += 1;
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            self.counts(&progress);
            for judge in &mut *self.judges {
                match native::decode(text, None, judge.catalogue, &mut scratch) {
                    Ok(reading) => {
                        let received = reading.received_at.unwrap_or(reading.observed_at);
                        judge.add(received, &Input::Reading(reading))?;
                    }
                    Err(reject) => judge.dead(number, reject.reason.word(), &reject.detail),
                }
            }
        }
    }

    /// The inputs of a journal, in the order and at the times at which they were judged.
    fn journal(&mut self, data: &Path) -> Result<Progress, BacktestError> {
        let dir = data.join(INPUTS_DIR);
        let contents = scan::scan(&SystemDisk, &dir, LogKind::Inputs, Known::default())?;
        let first = contents.end.first;
        let progress = Progress::items("judging", contents.end.next() - first);
        if first > 1 {
            progress.note(format_args!(
                "the log begins with record {first}: what came before is no longer kept"
            ));
        }
        let (skipped, _) = SkippedList::load(&SystemDisk, data).map_err(RecoverError::from)?;
        let recorded = Recorded::read(data);
        contents.for_each(&SystemDisk, 1, |header, payload| {
            for record in skipped.records(header.first, payload) {
                let record = record.map_err(RecoverError::from)?;
                self.record(&record, &recorded)?;
                self.counts(&progress);
            }
            progress.reached(header.next() - first);
            Ok::<_, BacktestError>(())
        })?;
        Ok(progress)
    }

    fn record(&mut self, record: &Record<'_>, recorded: &Recorded) -> Result<(), BacktestError> {
        for judge in &mut *self.judges {
            match record.input {
                Input::Reading(_)
                | Input::Reread(_)
                | Input::Folded(_)
                | Input::Started(_)
                | Input::Effect(_) => {
                    judge.add(record.at, &record.input)?;
                }
                Input::Command(command) => {
                    // What was decided before it says which incidents there are.
                    judge.judge()?;
                    let (story, counts) = (&judge.story, &mut judge.summary);
                    let command = recorded.readdress(record.seq, &command, story, counts);
                    if let Some(command) = command {
                        judge.add(record.at, &Input::Command(command))?;
                    }
                }
                Input::DeadLetter(letter) => {
                    judge.dead(record.seq, letter.reason, letter.detail);
                }
                Input::Reload(_)
                | Input::Tick
                | Input::Skipped(_)
                | Input::Adopted(_)
                | Input::Replayed(_) => {}
            }
        }
        Ok(())
    }

    fn counts(&mut self, progress: &Progress) {
        self.count += 1;
        if self.count.is_multiple_of(SAID_EVERY) {
            let rate = self.count as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
            progress.says(format_args!("{}/s", thousands(rate as u64)));
        }
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
