//! `ioc journal dump`: prints both logs, without changing or locking them.
//!
//! Arrives: a data directory. Leaves: a line of JSON for each record, then for each decision; where
//! a log is damaged, all that is whole before it, and the place. A running server may be writing
//! meanwhile: what it has not finished is not shown.
//! Next: `inspect/verify.rs`.

mod verify;

use std::io::{self, Write};
use std::path::Path;

use ioc_core::decision::{Decision, DecisionHash, Step};
use ioc_core::reading::Reading;
use ioc_core::record::{Action, Ask, EffectNews, Frame, Input, Quieted, Resuppress, Said, Seq};
use serde_json::{Value, json};

pub use verify::verify;

use crate::journal::disk::SystemDisk;
use crate::journal::{BatchHeader, Contents, Damage, JournalError, Known, LogKind, scan};
use crate::recover::{DECISIONS_DIR, INPUTS_DIR, RecoverError, decode_decisions};
use crate::skipped::SkippedList;

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
    /// There is no such record.
    #[error("there is no record {seq} in the inputs log")]
    NoRecord {
        /// The record.
        seq: Seq,
    },
    /// A snapshot is of no use.
    #[error("{name} is of no use: {why}")]
    Snapshot {
        /// Its name, below the data directory.
        name: String,
        /// Why not.
        why: String,
    },
    /// The output is closed.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// Prints every record of the inputs log, then every decision, each as a line of JSON. A log that
/// is damaged is printed as far as it is whole, and the other one all the same.
///
/// # Errors
/// The first thing that is wrong.
pub fn dump(data: &Path, out: &mut dyn Write) -> Result<(), InspectError> {
    let records = dump_records(data, 0, |frame, is_skipped| {
        writeln!(out, "{}", frame_json(frame, is_skipped))
    });
    if let Err(InspectError::Output(error)) = records {
        return Err(error.into());
    }
    let decisions = dump_decisions(data, out);
    records.and(decisions)
}

fn dump_decisions(data: &Path, out: &mut dyn Write) -> Result<(), InspectError> {
    let (decisions, damage) = held(data, DECISIONS_DIR, LogKind::Decisions, 0)?;
    decisions.for_each(&SystemDisk, 0, |header, payload| {
        for_each_in(header, payload, |decision| {
            out.write_all(&ioc_ws::decision_json(decision))?;
            out.write_all(b"\n")
        })
    })?;
    whole(damage)
}

/// Hands every decision of a data directory over, up to the first damage.
///
/// # Errors
/// The log cannot be read, or is damaged.
pub fn each_decision(data: &Path, mut each: impl FnMut(&Decision)) -> Result<(), InspectError> {
    let (decisions, damage) = held(data, DECISIONS_DIR, LogKind::Decisions, 0)?;
    decisions.for_each(&SystemDisk, 0, |header, payload| {
        for_each_in(header, payload, |decision| {
            each(decision);
            Ok(())
        })
    })?;
    whole(damage)
}

fn for_each_in(
    header: &BatchHeader,
    payload: &[u8],
    mut each: impl FnMut(&Decision) -> io::Result<()>,
) -> Result<(), InspectError> {
    // Nothing is proved here, so it may begin with anything.
    let mut hash = DecisionHash::default();
    for released in decode_decisions(header, payload, 0, &mut hash)? {
        each(&released.decision)?;
    }
    Ok(())
}

/// Prints one record.
pub fn dump_record(data: &Path, seq: Seq, out: &mut dyn Write) -> Result<(), InspectError> {
    let mut is_found = false;
    let looked = dump_records(data, seq, |frame, is_skipped| {
        if frame.seq != seq {
            return Ok(());
        }
        is_found = true;
        writeln!(out, "{}", frame_json(frame, is_skipped))
    });
    match looked {
        Err(InspectError::Output(error)) => Err(error.into()),
        _ if is_found => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(InspectError::NoRecord { seq }),
    }
}

/// Hands every record over from the batch on that holds this one, up to the first damage, and
/// whether it is skipped.
fn dump_records(
    data: &Path,
    from: Seq,
    mut each: impl FnMut(&Frame<'_>, bool) -> io::Result<()>,
) -> Result<(), InspectError> {
    // What is wrong with the other log is said where that one is printed.
    let decisions = held(data, DECISIONS_DIR, LogKind::Decisions, 0).ok();
    let last = decisions.and_then(|(decisions, _)| decisions.end.last);
    let needed = last.map_or(0, |(header, _)| header.mark.number);
    let (inputs, damage) = held(data, INPUTS_DIR, LogKind::Inputs, needed)?;
    let (skipped, _) = SkippedList::load(&SystemDisk, data).map_err(RecoverError::from)?;
    inputs.for_each(&SystemDisk, from, |header, payload| {
        for frame in skipped.frames(header.first, payload) {
            let (frame, is_skipped) = frame.map_err(RecoverError::from)?;
            each(&frame, is_skipped)?;
        }
        Ok::<_, InspectError>(())
    })?;
    whole(damage)
}

/// What a log holds that is whole, and what is damaged after it.
fn held(
    data: &Path,
    dir: &str,
    kind: LogKind,
    needed_up_to: Seq,
) -> Result<(Contents, Option<Damage>), JournalError> {
    let known = Known::needed_up_to(needed_up_to);
    scan::scan_to_damage(&SystemDisk, &data.join(dir), kind, known)
}

fn whole(damage: Option<Damage>) -> Result<(), InspectError> {
    damage.map_or(Ok(()), |damage| Err(JournalError::from(damage).into()))
}

/// A record as a person reads it.
fn frame_json(frame: &Frame<'_>, is_skipped: bool) -> Value {
    let (name, body) = match frame.record() {
        Ok(record) => input_json(&record.input),
        Err(_) => ("unreadable", Value::from(hex(frame.input()))),
    };
    let mut line = json!({ "seq": frame.seq, "at": frame.at.to_string(), name: body });
    if is_skipped {
        line["skipped"] = Value::from(true);
    }
    line
}

/// What is asked about an incident, beside the word.
fn ask_json(ask: Ask) -> Value {
    match ask {
        Ask::Step(Step::Dismiss(reason)) => json!({ "reason": reason.word() }),
        Ask::Step(_) | Ask::AllClear | Ask::Split | Ask::Link(None) => json!({}),
        Ask::Merge(with) | Ask::Move(with) | Ask::Link(Some(with)) => {
            json!({ "with": with.to_string() })
        }
        Ask::Rate(severity) => json!({ "severity": severity.word() }),
        Ask::Report(said) => said_json(said),
    }
}

fn said_json(said: Said) -> Value {
    json!({
        "severity": said.severity.word(), "certainty": said.certainty.word(),
        "position": said.position.map(|place| place.to_degrees()),
    })
}

/// The name and the content of an input.
fn input_json(input: &Input<'_>) -> (&'static str, Value) {
    match input {
        Input::Reading(reading) => ("reading", reading_json(reading)),
        Input::Reread(reading) => ("reread", reading_json(reading)),
        Input::Folded(folded) => (
            "folded",
            json!({
                "sensor": folded.sensor, "kind": folded.kind, "unit": folded.unit,
                "left_out": folded.left_out, "from": folded.from.to_string(),
                "to": folded.to.to_string(), "min": folded.min, "max": folded.max,
                "last": folded.last,
            }),
        ),
        Input::DeadLetter(letter) => (
            "dead_letter",
            json!({
                "source": letter.source, "topic": letter.topic, "reason": letter.reason,
                "detail": letter.detail, "payload_bytes": letter.payload_bytes,
                "payload": String::from_utf8_lossy(letter.payload),
                "place": letter.place, "content_type": letter.content_type,
                "event": letter.event,
            }),
        ),
        Input::Command(command) => {
            let by = json!({ "request_id": command.request, "actor": command.actor });
            let asked = match command.action {
                Action::Acknowledge(incident) => json!({
                    "action": "acknowledge", "incident": incident.to_string(),
                }),
                Action::About {
                    incident,
                    ask,
                    sources,
                    note,
                } => {
                    let sources: Vec<_> = sources.lines().collect();
                    let about = json!({
                        "action": ask.word(), "incident": incident.to_string(), "note": note,
                        "sources": sources,
                    });
                    joined(about, ask_json(ask))
                }
                Action::Open(open) => {
                    let opened = json!({ "action": "open", "kind": open.kind, "note": open.note });
                    joined(opened, said_json(open.said))
                }
                Action::Operate(order) => json!({
                    "action": "operate", "actuator": order.actuator, "command": order.command,
                    "parameters": order.parameters,
                    "not_after": order.not_after.map(|at| at.to_string()),
                    "replaces": order.replaces.map(|key| key.to_string()),
                }),
                Action::Suppress(order) => {
                    let asked = json!({
                        "action": "suppress", "how": order.how.word(), "reason": order.reason,
                        "until": order.until.to_string(),
                    });
                    let target = match order.target {
                        Quieted::Incident(incident) => {
                            json!({ "incident": incident.to_string() })
                        }
                        Quieted::Detections {
                            sensor,
                            zone,
                            kind,
                            rule,
                        } => json!({
                            "match": {
                                "sensor": sensor, "zone": zone, "kind": kind, "rule": rule,
                            },
                        }),
                    };
                    joined(asked, target)
                }
                Action::Resuppress {
                    suppression,
                    what,
                    note,
                } => json!({
                    "action": match what {
                        Resuppress::Until(_) => "extend",
                        Resuppress::End => "end",
                    },
                    "suppression": suppression.to_string(), "note": note,
                    "until": match what {
                        Resuppress::Until(until) => Some(until.to_string()),
                        Resuppress::End => None,
                    },
                }),
            };
            ("command", joined(by, asked))
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
        Input::Skipped(skip) => (
            "skip",
            json!({
                "record": skip.seq, "hash": hex(&skip.record), "released": skip.released,
            }),
        ),
        Input::Adopted(adopted) => (
            "adopted",
            json!({ "from": adopted.from, "to": adopted.to, "build": hex(&adopted.build.0) }),
        ),
        Input::Effect(effect) => {
            let key = effect.key.to_string();
            let news = match effect.news {
                EffectNews::Started => json!({ "key": key, "news": "started" }),
                EffectNews::Answered {
                    device,
                    word,
                    detail,
                } => json!({
                    "key": key, "news": "answered", "device": device, "state": word.word(),
                    "detail": detail,
                }),
            };
            ("effect", news)
        }
        Input::Replayed(replayed) => ("replayed", json!({ "dead_letter": replayed.letter })),
    }
}

/// An object with the members of both.
fn joined(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

/// A reading as its sensor could have sent it.
pub fn reading_json(reading: &Reading<'_>) -> Value {
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

#[cfg(test)]
mod tests {
    use ioc_core::folded::Folded;
    use ioc_core::time::Timestamp;

    use super::*;

    #[test]
    fn what_was_folded_is_shown_as_it_was_counted() {
        let at = Timestamp::from_millis(1_773_470_710_933);
        let folded = Input::Folded(Folded {
            sensor: "wl-0412",
            kind: "water_level",
            unit: "m",
            left_out: 17,
            from: at,
            to: at,
            min: 1.25,
            max: 3.72,
            last: 2.5,
        });
        let (name, body) = input_json(&folded);
        let shown = json!({
            "sensor": "wl-0412", "kind": "water_level", "unit": "m", "left_out": 17,
            "from": "2026-03-14T06:45:10.933Z", "to": "2026-03-14T06:45:10.933Z",
            "min": 1.25, "max": 3.72, "last": 2.5,
        });
        assert_eq!((name, body), ("folded", shown));
    }
}
