//! The picture as bytes: what a start could only read back from decisions of long ago.
//!
//! Arrives: the view, for a snapshot. Leaves: bytes, and from them the same view. Promise: a view
//! that was saved and restored goes on as the one that was saved; damaged bytes are an error. Not
//! in it: samples of readings, which come again, and the ring, which is read from the decisions
//! log. Next: `view.rs`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use ioc_core::CodecError;
use ioc_core::codec::{Put, Take};
use ioc_core::decision::SuppressionChange;
use ioc_core::decision::{Cause, CommandChange, Decision, DecisionHash, DecisionSeq, Verdict};
use ioc_core::id::Actor;
use ioc_core::time::Timestamp;

use crate::feed::Head;
use crate::health::Health;
use crate::milestones::Milestones;
use crate::view::{Commanded, Incident, Silent, Suppressed};

/// The format of the bytes.
pub const VIEW_FORMAT: u16 = 3;

/// The formats that are read: before the second there were no commands to actuators and no
/// health of sensors, and nothing was known of who did what but acknowledge; before the third there
/// were no sites, and nothing was kept quiet.
pub const VIEW_FORMATS_READ: RangeInclusive<u16> = 1..=VIEW_FORMAT;

/// A view, apart from what comes again by itself.
#[derive(Debug)]
pub(crate) struct Saved {
    pub head: Head,
    /// Sorted by id.
    pub incidents: Vec<Arc<Incident>>,
    /// Sorted by id.
    pub silent: Vec<Arc<Silent>>,
    /// The last command to each actuator, sorted by actuator.
    pub commands: Vec<Arc<Commanded>>,
    pub health: Health,
    /// What is kept quiet, and was, sorted by id.
    pub suppressions: Vec<Arc<Suppressed>>,
}

impl Saved {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.head.seq);
        out.put(&self.head.hash.0);
        out.put_time(self.head.at);
        out.put_u32(self.incidents.len() as u32);
        for incident in &self.incidents {
            put_incident(&mut out, incident);
        }
        out.put_u32(self.silent.len() as u32);
        for silent in &self.silent {
            put_decision(&mut out, &said(silent));
        }
        out.put_u32(self.commands.len() as u32);
        for command in &self.commands {
            put_decision(&mut out, &told(command));
        }
        for incident in &self.incidents {
            put_person(&mut out, incident.handled.as_ref());
        }
        self.health.put(&mut out);
        out.put_u32(self.suppressions.len() as u32);
        for suppressed in &self.suppressions {
            put_decision(&mut out, &kept_quiet(suppressed));
        }
        out
    }

    pub(crate) fn decode(format: u16, bytes: &[u8]) -> Result<Self, CodecError> {
        if !VIEW_FORMATS_READ.contains(&format) {
            return Err(CodecError("a view's format that is not read"));
        }
        let mut take = Take(bytes);
        let head = Head {
            seq: take.u64()?,
            hash: DecisionHash(take.array()?),
            at: take.time()?,
        };
        let mut incidents = Vec::new();
        for _ in 0..take.u32()? {
            incidents.push(take_incident(&mut take)?);
        }
        let mut silent = Vec::new();
        for _ in 0..take.u32()? {
            silent.push(Arc::new(take_silent(&mut take)?));
        }
        let mut commands = Vec::new();
        let mut health = Health::default();
        if format >= 2 {
            for _ in 0..take.u32()? {
                commands.push(Arc::new(take_command(&mut take)?));
            }
            for incident in &mut incidents {
                incident.handled = take_person(&mut take)?;
            }
            health = Health::take(format, &mut take)?;
        }
        let mut suppressions = Vec::new();
        if format >= 3 {
            for _ in 0..take.u32()? {
                suppressions.push(Arc::new(take_suppressed(&mut take)?));
            }
        }
        let incidents = incidents.into_iter().map(Arc::new).collect();
        take.end()?;
        Ok(Self {
            head,
            incidents,
            silent,
            commands,
            health,
            suppressions,
        })
    }
}

/// The last decision that a saved view knows; `None` if these are not the bytes of one.
pub fn saved_up_to(bytes: &[u8]) -> Option<DecisionSeq> {
    Take(bytes).u64().ok()
}

/// An incident, its state as the decision that last told it.
fn put_incident(out: &mut Vec<u8>, incident: &Incident) {
    let told = Decision {
        seq: incident.updated_seq,
        at: incident.updated_at,
        verdict: Verdict::IncidentUpdated(incident.state.clone()),
        cause: Cause {
            rule: incident.rule.clone(),
            ..Cause::default()
        },
    };
    put_decision(out, &told);
    put_person(out, incident.acknowledged.as_ref());
    out.put_option(incident.ended, |out, (seq, at)| {
        out.put_u64(seq);
        out.put_time(at);
    });
    out.put_option(incident.merged_into, |out, id| {
        out.put_text(&id.to_string());
    });
    incident.milestones.put(out);
}

/// Who did something, and when.
fn put_person(out: &mut Vec<u8>, person: Option<&(Timestamp, Option<Actor>)>) {
    out.put_option(person, |out, (at, actor)| {
        out.put_time(*at);
        out.put_option(actor.as_ref(), |out, actor| out.put_text(actor.as_str()));
    });
}

fn take_person(take: &mut Take<'_>) -> Result<Option<(Timestamp, Option<Actor>)>, CodecError> {
    take.option(|take| {
        let at = take.time()?;
        Ok((at, take.option(|take| take.parsed("no person"))?))
    })
}

fn take_incident(take: &mut Take<'_>) -> Result<Incident, CodecError> {
    let told = take_decision(take)?;
    let Verdict::IncidentUpdated(state) = told.verdict else {
        return Err(CodecError("no incident"));
    };
    Ok(Incident {
        state,
        rule: told.cause.rule,
        updated_seq: told.seq,
        updated_at: told.at,
        acknowledged: take_person(take)?,
        handled: None,
        ended: take.option(|take| Ok((take.u64()?, take.time()?)))?,
        merged_into: take.option(|take| take.parsed("no incident's id"))?,
        milestones: Arc::new(Milestones::take(take)?),
    })
}

/// The decision that told that the sensor is silent.
fn said(silent: &Silent) -> Decision {
    Decision {
        seq: silent.seq,
        at: silent.at,
        verdict: Verdict::SensorSilent(silent.state.clone()),
        cause: Cause::default(),
    }
}

fn take_silent(take: &mut Take<'_>) -> Result<Silent, CodecError> {
    let told = take_decision(take)?;
    let Verdict::SensorSilent(state) = told.verdict else {
        return Err(CodecError("no silent sensor"));
    };
    Ok(Silent {
        state,
        seq: told.seq,
        at: told.at,
    })
}

/// The decision that told how the command stands.
fn told(command: &Commanded) -> Decision {
    Decision {
        seq: command.seq,
        at: command.at,
        verdict: Verdict::Command(CommandChange::Sent, Box::new(command.state.clone())),
        cause: Cause::default(),
    }
}

fn take_command(take: &mut Take<'_>) -> Result<Commanded, CodecError> {
    let told = take_decision(take)?;
    let Verdict::Command(_, state) = told.verdict else {
        return Err(CodecError("no command"));
    };
    Ok(Commanded {
        state: *state,
        seq: told.seq,
        at: told.at,
    })
}

/// The decision that told how something that is kept quiet stands.
fn kept_quiet(suppressed: &Suppressed) -> Decision {
    let state = Box::new(suppressed.state.clone());
    Decision {
        seq: suppressed.seq,
        at: suppressed.at,
        verdict: Verdict::Suppression(SuppressionChange::Updated, state),
        cause: Cause::default(),
    }
}

fn take_suppressed(take: &mut Take<'_>) -> Result<Suppressed, CodecError> {
    let told = take_decision(take)?;
    let Verdict::Suppression(_, state) = told.verdict else {
        return Err(CodecError("nothing that is kept quiet"));
    };
    Ok(Suppressed {
        state: *state,
        seq: told.seq,
        at: told.at,
    })
}

pub(crate) fn put_decision(out: &mut Vec<u8>, decision: &Decision) {
    let mut bytes = Vec::new();
    decision.encode(&mut bytes);
    put_long(out, &bytes);
}

pub(crate) fn take_decision(take: &mut Take<'_>) -> Result<Decision, CodecError> {
    Decision::decode(take_long(take)?)
}

/// Bytes of any length.
pub(crate) fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put(bytes);
}

/// What [`put_long`] put.
pub(crate) fn take_long<'a>(take: &mut Take<'a>) -> Result<&'a [u8], CodecError> {
    let length = take.u32()?;
    take.bytes(length as usize)
}

/// What [`put_long`] put, as JSON to be shown.
pub(crate) fn take_json(take: &mut Take<'_>) -> Result<Bytes, CodecError> {
    let json = take_long(take)?;
    let text = std::str::from_utf8(json).map_err(|_| CodecError("JSON is not UTF-8"))?;
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}
