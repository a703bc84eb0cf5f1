//! What evidence said in words, and each sensor last, before the start.
//!
//! Arrives: the inputs log. Leaves: the statements of its newest records, to the window, which has
//! the decisions that followed from them again already, and the last values in them. Promise: nobody
//! waits for it, and what cannot be read is not told: it decides nothing. Bounds: [`RECORDS_MAX`],
//! [`RECALLED_MAX`]. Next: `ioc-ws/src/statements.rs`, `latest.rs`.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::thread;

use ioc_core::record::{Frames, Seq};
use ioc_ws::{Recollection, Statement, Window};

use crate::journal::disk::{Disk, SystemDisk};
use crate::journal::{JournalError, Known, LogKind, Since, scan};
use crate::priority;
use crate::recover::INPUTS_DIR;

/// How many of the newest records are looked at.
const RECORDS_MAX: u64 = 1_000_000;
/// How many statements are recalled: the newest. They leave room for those that are said meanwhile.
const RECALLED_MAX: usize = 4_096;

/// Has the window told, by a thread of its own, what was said before this record.
///
/// # Errors
/// The system cannot start a thread.
pub fn start(data: &Path, next: Seq, window: Window) -> io::Result<()> {
    let dir = data.join(INPUTS_DIR);
    let recall = move || {
        priority::be_patient();
        // The log is written to meanwhile, and what is wrong with it others have told.
        let mut recollection = window.recollection();
        if let Ok(statements) = look_through(&SystemDisk, &dir, next, &mut recollection) {
            if !statements.is_empty() {
                window.recall(statements.into());
            }
            window.recall_values(recollection);
        }
    };
    thread::Builder::new()
        .name("ioc-recall".into())
        .spawn(recall)?;
    Ok(())
}

/// What the newest records before this one say in words, and of each sensor.
fn look_through(
    disk: &dyn Disk,
    dir: &Path,
    next: Seq,
    recollection: &mut Recollection,
) -> Result<VecDeque<Statement>, JournalError> {
    let from = next.saturating_sub(RECORDS_MAX).max(1);
    let since = (from > 1).then_some(Since {
        next: from,
        hash: None,
    });
    let known = Known {
        needed_up_to: 0,
        since,
    };
    let (contents, _) = scan::scan_to_damage(disk, dir, LogKind::Inputs, known)?;
    let mut statements = VecDeque::new();
    contents.for_each(disk, from, |header, payload| {
        let frames = Frames::new(header.first, payload).flatten();
        let before = frames.filter(|frame| (from..next).contains(&frame.seq));
        for frame in before {
            let Ok(record) = frame.record() else { continue };
            recollection.take(&record);
            if let Some(reading) = record.input.reading()
                && let Some(statement) = Statement::of(reading)
            {
                keep(statement, &mut statements);
            }
        }
        Ok::<_, JournalError>(())
    })?;
    Ok(statements)
}

fn keep<T>(newest: T, kept: &mut VecDeque<T>) {
    if kept.len() == RECALLED_MAX {
        kept.pop_front();
    }
    kept.push_back(newest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_so_many_statements_are_recalled_the_newest() {
        let mut kept = VecDeque::new();
        (0..=RECALLED_MAX).for_each(|number| keep(number, &mut kept));
        assert_eq!((kept.len(), kept[0]), (RECALLED_MAX, 1));
    }
}
