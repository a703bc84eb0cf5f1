//! What people have asked for and what is under way, for many members are to move: mergers of two
//! incidents that both have many, and parts of one that go over to another.
//!
//! Arrives: the request. Leaves: the decision that tells of the merger when the members have moved, and
//! those that tell of the members that went over, each with who asked for it. Promise: what a person
//! asked for comes whatever sensors say meanwhile, unless one of the two is over for good or a person
//! wants it otherwise first; of one incident there are at most so many at once. What is to become one
//! with the incident waits among those that unite with it, and what members of it go over to does not.
//! Next: `correlate/merge.rs`.

use crate::codec::{CodecError, Put, Take};
use crate::decision::{Cause, Decision};
use crate::id::{Actor, IncidentId, RequestId};
use crate::limits::MERGERS_ASKED_MAX;
use crate::record::incident_id;

/// One that is under way.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is to become one with the incident, as it is called there, or what members of it go over to.
    pub other: IncidentId,
    request: (RequestId, Actor),
    note: Box<str>,
}

impl Asked {
    /// What this request asks for.
    pub fn of(other: IncidentId, cause: &Cause) -> Self {
        let request = cause.request.clone();
        Self {
            other,
            request: request.expect("a person asks by a request"),
            note: cause.note.clone(),
        }
    }

    /// The other is called so by now.
    pub fn with(self, other: IncidentId) -> Self {
        Self { other, ..self }
    }

    /// That a person has asked.
    pub fn cause(&self) -> Cause {
        Cause {
            request: Some(self.request.clone()),
            note: self.note.clone(),
            ..Cause::default()
        }
    }

    /// It is done: what was decided names the request.
    pub fn followed_by(self, decisions: &mut [Decision]) {
        for decision in decisions {
            decision.cause.due = None;
            decision.cause.request = Some(self.request.clone());
            decision.cause.note.clone_from(&self.note);
        }
    }

    /// Puts all of an incident.
    pub fn put_all(all: &[Self], out: &mut impl Put) {
        out.put_count(all.len());
        for asked in all {
            let (request, actor) = &asked.request;
            out.put_u64(asked.other.to_bits());
            out.put_text(request.as_str());
            out.put_text(actor.as_str());
            out.put_text(&asked.note);
        }
    }

    /// All of an incident, as they were put.
    pub fn take_all(take: &mut Take<'_>) -> Result<Vec<Self>, CodecError> {
        let count = take.count(MERGERS_ASKED_MAX)?;
        take.each(count, |take| {
            Ok(Self {
                other: incident_id(take)?,
                request: (take.parsed("request")?, take.parsed("actor")?),
                note: take.text()?.into(),
            })
        })
    }
}
