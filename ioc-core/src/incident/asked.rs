//! Mergers that people have asked for and that are under way, for both incidents have many members.
//!
//! Arrives: the request. Leaves: the decision that tells of the merger, with who asked for it, when the
//! members have moved. Promise: what a person asked for comes whatever sensors say meanwhile, unless one
//! of the two is over for good or a person splits them first; of one incident there are at most so many
//! at once. Next: `correlate/merge.rs`.

use crate::codec::{CodecError, Put, Take};
use crate::decision::{Cause, Decision};
use crate::id::{Actor, IncidentId, RequestId};
use crate::limits::MERGERS_ASKED_MAX;
use crate::record::incident_id;

/// One that is under way.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is to become one with the incident, as it is called there.
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
