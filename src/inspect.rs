//! `ioc journal verify` and `dump`: looks at both logs without changing or locking them.
//!
//! A running server may be writing meanwhile: what it has not finished shows as a torn tail.

use std::io::{self, Write};
use std::path::Path;

use ioc_core::decision::DecisionHash;
use ioc_core::reading::Reading;
use ioc_core::record::{Action, Input, Record, Records};
use serde_json::{Value, json};

use crate::journal::disk::{Disk, SystemDisk};
use crate::journal::{BatchHeader, Contents, JournalError, Known, LogKind, scan};
use crate::recover::{DECISIONS_DIR, INPUTS_DIR, RecoverError, decode_decisions};

/// Why a journal could not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// A log cannot be read or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record or decision cannot be read.
    #[error(transparent)]
    Record(#[from] RecoverError),
    /// The decisions' rolling hash is not what a batch says.
    #[error("the decisions up to number {number} are not those that the log was sealed with")]
    Hash {
        /// The last decision of the batch.
        number: u64,
    },
    /// The output is closed.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// Checks both logs from end to end and says what they hold.
pub fn verify(data: &Path, out: &mut dyn Write) -> Result<(), InspectError> {
    let (inputs, decisions) = contents(data)?;
    let mut records = 0;
    let mut span = None;
    inputs.for_each(&SystemDisk, 1, |header, payload| {
        each_record(header, payload, |record| {
            records += 1;
            let (from, _) = span.unwrap_or((record.at, record.at));
            span = Some((from, record.at));
            Ok(())
        })
    })?;
    tell(out, "inputs", &inputs)?;
    if let Some((from, to)) = span {
        writeln!(out, "  {records} records from {from} to {to}, all readable")?;
    }
    let mut hash = DecisionHash::default();
    decisions.for_each(&SystemDisk, 1, |header, payload| {
        decode_decisions(header, payload, 0, &mut hash)?;
        let number = header.next() - 1;
        if hash == header.mark.hash {
            Ok(())
        } else {
            Err(InspectError::Hash { number })
        }
    })?;
    tell(out, "decisions", &decisions)?;
    if let Some((last, _)) = decisions.end.last {
        let (number, mark) = (last.next() - 1, last.mark.number);
        writeln!(
            out,
            "  {number} decisions, all readable, complete up to input {mark}"
        )?;
    }
    writeln!(out, "both logs are whole")?;
    Ok(())
}

fn tell(out: &mut dyn Write, name: &str, contents: &Contents) -> io::Result<()> {
    let bytes: u64 = contents.segments.iter().map(|segment| segment.bytes).sum();
    let segments = contents.segments.len();
    writeln!(
        out,
        "{name}: {segments} segments, {bytes} bytes, hash chain whole"
    )?;
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

/// Prints every record of the inputs log, then every decision, each as a line of JSON.
pub fn dump(data: &Path, out: &mut dyn Write) -> Result<(), InspectError> {
    let (inputs, decisions) = contents(data)?;
    inputs.for_each(&SystemDisk, 1, |header, payload| {
        each_record(header, payload, |record| {
            Ok(writeln!(out, "{}", record_json(record))?)
        })
    })?;
    let mut hash = DecisionHash::default();
    decisions.for_each(&SystemDisk, 1, |header, payload| {
        for released in decode_decisions(header, payload, 0, &mut hash)? {
            out.write_all(&ioc_ws::decision_json(&released.decision))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    })
}

fn contents(data: &Path) -> Result<(Contents, Contents), InspectError> {
    let disk: &dyn Disk = &SystemDisk;
    let decisions = scan::scan(
        disk,
        &data.join(DECISIONS_DIR),
        LogKind::Decisions,
        Known::default(),
    )?;
    let needed = decisions
        .end
        .last
        .map_or(0, |(header, _)| header.mark.number);
    let inputs = scan::scan(
        disk,
        &data.join(INPUTS_DIR),
        LogKind::Inputs,
        Known::needed_up_to(needed),
    )?;
    match (inputs.end.journal(), decisions.end.journal()) {
        (Some(inputs), Some(decisions)) if inputs != decisions => {
            Err(RecoverError::Mixed { inputs, decisions }.into())
        }
        _ => Ok((inputs, decisions)),
    }
}

fn each_record(
    header: &BatchHeader,
    payload: &[u8],
    mut each: impl FnMut(&Record<'_>) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    for record in Records::new(header.first, payload) {
        each(&record.map_err(RecoverError::from)?)?;
    }
    Ok(())
}

/// A record as a person reads it.
fn record_json(record: &Record<'_>) -> Value {
    let (name, body) = match &record.input {
        Input::Reading(reading) => ("reading", reading_json(reading)),
        Input::DeadLetter(letter) => (
            "dead_letter",
            json!({
                "source": letter.source, "topic": letter.topic, "reason": letter.reason,
                "detail": letter.detail, "payload_bytes": letter.payload_bytes,
                "payload": String::from_utf8_lossy(letter.payload),
            }),
        ),
        Input::Command(command) => {
            let Action::Acknowledge(incident) = command.action;
            (
                "command",
                json!({
                    "request_id": command.request, "actor": command.actor,
                    "action": "acknowledge", "incident": incident.to_string(),
                }),
            )
        }
        Input::Reload(hash) => ("reload", json!({ "bundle": hex(&hash.0) })),
        Input::Tick => ("tick", json!({})),
        Input::Started(started) => (
            "started",
            json!({
                "down_from": started.down_from.map(|at| at.to_string()),
                "down_to": started.down_to.to_string(),
                "build": hex(&started.build.0),
                "clock": crate::clock::ClockMode(started.clock).to_string(),
            }),
        ),
    };
    json!({ "seq": record.seq, "at": record.at.to_string(), name: body })
}

fn reading_json(reading: &Reading<'_>) -> Value {
    let attributes: serde_json::Map<_, _> = reading
        .attributes
        .iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    json!({
        "id": reading.id, "sensor": reading.sensor, "kind": reading.kind,
        "observed_at": reading.observed_at.to_string(), "value": reading.value,
        "unit": reading.unit, "position": reading.position.map(|place| place.to_degrees()),
        "attributes": attributes,
    })
}

/// A hash as text.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
