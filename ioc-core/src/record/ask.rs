//! What a person asks about incidents, and its bytes.
//!
//! One variant for each thing that can be asked; what may follow when is the engine's to decide
//! (`engine/people.rs`).

use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, Severity, Step, note};
use crate::id::{IncidentId, IncidentKind};
use crate::limits::NAMED_BYTES_MAX;
use crate::place::Position;
use crate::record::incident_id;

/// What is asked about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A further step, or one back.
    Step(Step),
    /// It is as grave as this.
    Rate(Severity),
    /// Somebody who is there says that it is over: what no sensor says any more, and what people
    /// reported.
    AllClear,
    /// Somebody called, or said so by radio: one more piece of evidence.
    Report(Said),
    /// It is the same happening as this one.
    Merge(IncidentId),
    /// The sources that are named are another happening; if none are, what the incident asked about
    /// was before it merged.
    Split,
    /// The sources that are named belong to this incident.
    Move(IncidentId),
    /// It was caused by this one, or nothing is known to have caused it.
    Link(Option<IncidentId>),
}

/// What a person says about something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// How grave.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
    /// Where; `None` if that is not known.
    pub position: Option<Position>,
}

/// What a person knows of and no sensor has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// The [`IncidentKind`].
    pub kind: &'a str,
    /// What is said.
    pub said: Said,
    /// More, for people; empty if nothing.
    pub note: &'a str,
}

impl Ask {
    /// The word of the order.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Step(step) => step.word(),
            Self::Rate(_) => "rate",
            Self::AllClear => "all_clear",
            Self::Report(_) => "report",
            Self::Merge(_) => "merge",
            Self::Split => "split",
            Self::Move(_) => "move",
            Self::Link(_) => "link",
        }
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Step(step) => {
                out.put_u8(1);
                out.put_u8(step.number());
            }
            Self::Rate(severity) => {
                out.put_u8(2);
                out.put_u8(severity as u8);
            }
            Self::AllClear => out.put_u8(3),
            Self::Report(said) => {
                out.put_u8(4);
                said.encode(out);
            }
            Self::Merge(with) => {
                out.put_u8(5);
                out.put_u64(with.to_bits());
            }
            Self::Split => out.put_u8(6),
            Self::Move(to) => {
                out.put_u8(7);
                out.put_u64(to.to_bits());
            }
            Self::Link(parent) => {
                out.put_u8(8);
                out.put_option(parent, |out, parent| out.put_u64(parent.to_bits()));
            }
        }
    }

    pub(super) fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        match take.u8()? {
            1 => Step::take(take).map(Self::Step),
            2 => Severity::take(take).map(Self::Rate),
            3 => Ok(Self::AllClear),
            4 => Said::decode(take).map(Self::Report),
            5 => incident_id(take).map(Self::Merge),
            6 => Ok(Self::Split),
            7 => incident_id(take).map(Self::Move),
            8 => take.option(incident_id).map(Self::Link),
            _ => Err(CodecError("unknown question about an incident")),
        }
    }
}

/// The names of sources.
pub(super) fn sources<'a>(take: &mut Take<'a>) -> Result<&'a str, CodecError> {
    let sources = take.text()?;
    if sources.len() > NAMED_BYTES_MAX {
        return Err(CodecError("too many sources are named"));
    }
    Ok(sources)
}

impl Said {
    fn encode(self, out: &mut Vec<u8>) {
        out.put_u8(self.severity as u8);
        out.put_u8(self.certainty as u8);
        out.put_option(self.position, Put::put_position);
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            severity: Severity::take(take)?,
            certainty: Certainty::take(take)?,
            position: take.option(Take::position)?,
        })
    }
}

impl<'a> Open<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_text(self.kind);
        self.said.encode(out);
        out.put_text(self.note);
    }

    pub(super) fn decode(take: &mut Take<'a>) -> Result<Self, CodecError> {
        let open = Self {
            kind: take.text()?,
            said: Said::decode(take)?,
            note: note(take)?,
        };
        if !IncidentKind::is_valid(open.kind) {
            return Err(CodecError("incident kind"));
        }
        Ok(open)
    }
}
