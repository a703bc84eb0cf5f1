//! Which record is asked about.
//!
//! Arrives: a reading's id, with or without its sensor, or a sensor's name. Leaves: the number of
//! the last record of the inputs log that is it. Next: `replay.rs`.

use std::path::Path;

use ioc_core::record::Seq;

use super::{About, WhyError};
use crate::journal::disk::SystemDisk;
use crate::journal::{Contents, Known, LogKind, Since, scan};
use crate::recover::{INPUTS_DIR, RecoverError};
use crate::skipped::SkippedList;

/// What the inputs log holds that is whole, from this record on.
pub(super) fn inputs(data: &Path, from: Option<Seq>) -> Result<Contents, WhyError> {
    let since = from
        .filter(|from| *from > 1)
        .map(|next| Since { next, hash: None });
    let known = Known {
        needed_up_to: 0,
        since,
    };
    let dir = data.join(INPUTS_DIR);
    // A server may be writing: what is not whole yet is nothing to complain about.
    let (contents, _) = scan::scan_to_damage(&SystemDisk, &dir, LogKind::Inputs, known)?;
    Ok(contents)
}

/// The last record that is what is asked about.
pub(super) fn record(data: &Path, about: &About) -> Result<Seq, WhyError> {
    let contents = inputs(data, None)?;
    let (first, next) = (contents.end.first, contents.end.next());
    if let About::Record(seq) = about {
        return match (first..next).contains(seq) {
            true => Ok(*seq),
            false => Err(unknown(about, first)),
        };
    }
    // Of what was sent twice the first one counts.
    let mut by_id: Option<(String, Seq)> = None;
    let mut by_sensor = None;
    let (skipped, _) = SkippedList::load(&SystemDisk, data).map_err(RecoverError::from)?;
    contents.for_each(&SystemDisk, first, |header, payload| {
        for record in skipped.records(header.first, payload) {
            let record = record.map_err(RecoverError::from)?;
            let Some(reading) = record.input.reading() else {
                continue;
            };
            let is_asked = match about {
                About::Reading { sensor, id } => reading.sensor == sensor && reading.id == id,
                About::Name(name) => reading.id == name,
                About::Incident(_) | About::Record(_) => false,
            };
            let is_known = |(sensor, _): &(String, Seq)| sensor == reading.sensor;
            if is_asked && !by_id.as_ref().is_some_and(is_known) {
                by_id = Some((reading.sensor.to_owned(), record.seq));
            }
            if matches!(about, About::Name(name) if reading.sensor == name) {
                by_sensor = Some(record.seq);
            }
        }
        Ok::<_, WhyError>(())
    })?;
    let by_id = by_id.map(|(_, seq)| seq);
    by_id.or(by_sensor).ok_or_else(|| unknown(about, first))
}

/// It is not there; what came before the log's beginning is no longer kept.
pub(super) fn unknown(about: &About, first: Seq) -> WhyError {
    let hint = match first {
        1 => String::new(),
        first => format!("; they begin with record {first}, what came before is no longer kept"),
    };
    WhyError::Unknown {
        about: about.clone(),
        hint,
    }
}
