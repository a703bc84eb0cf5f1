//! A message that is no native reading: in, and what was found in it out.

use std::fmt;

use ioc_core::reading::Reading;
use ioc_core::time::Timestamp;

use super::draft::{Draft, Scratch};
use super::{Origin, Part, Reject};
use crate::catalogue::Catalogue;

/// A message as an adapter got it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'m> {
    /// The topic that it was published to; over HTTP, what follows `/api/v1/messages/`, or
    /// the path.
    pub topic: &'m str,
    /// What it holds.
    pub payload: &'m [u8],
    /// What it says that this is, with parameters or without.
    pub content_type: Option<&'m str>,
    /// The attributes of the CloudEvent whose data this is, by their names, where the transport
    /// says them beside the payload (binary mode); else none.
    pub event: &'m [(&'m str, &'m str)],
    /// When whoever keeps it took it, where that is known: what says no time was observed then, however
    /// often and late it comes. Else it is now.
    pub taken_at: Option<Timestamp>,
    /// How many of its items were taken another time: they are found as ever, and count for no bound.
    pub behind: usize,
}

impl<'m> Message<'m> {
    /// All of it, for dead letters.
    pub(super) fn whole(self) -> Part<'m> {
        Part {
            payload: self.payload,
            payload_bytes: self.payload.len(),
            place: "",
            content_type: self.content_type.unwrap_or_default(),
            event: self.event,
        }
    }

    /// Where it comes from, for dead letters.
    pub(super) const fn origin(self, source: &'m str) -> Origin<'m> {
        Origin {
            source,
            topic: self.topic,
        }
    }
}

/// One thing that was looked for in a message.
pub struct Item<'i> {
    /// Where in the message it stands; shown as nothing if it is the message.
    pub place: &'i dyn fmt::Display,
    /// The part of the message that it is in.
    pub source: &'i [u8],
    /// What came of it.
    pub outcome: Outcome<'i>,
}

/// What came of one item.
#[derive(Debug)]
pub enum Outcome<'i> {
    /// A reading.
    Reading(Reading<'i>),
    /// What should be a reading and is none.
    Rejected(Reject),
    /// Nothing, as the mapping allows.
    Absent,
    /// No reading, and rightly so: what the format says beside readings, and what came of it.
    Noted(&'static str),
}

/// Where something was found.
#[derive(Clone, Copy)]
pub(super) struct Found<'f> {
    pub place: &'f dyn fmt::Display,
    pub source: &'f [u8],
}

/// Completes what a decoder made of one item, and hands over what came of it.
///
/// # Errors
/// If the message has brought too many.
pub(super) fn finish(
    drafted: Result<Option<Draft<'_>>, Reject>,
    found: Found<'_>,
    catalogue: &Catalogue,
    scratch: &mut Scratch,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    match drafted {
        Ok(None) => scratch.tally.pass(),
        Ok(Some(_)) | Err(_) => scratch.tally.bring()?,
    }
    let outcome = match drafted {
        Ok(None) => Outcome::Absent,
        Ok(Some(draft)) => match draft.complete(None, catalogue, scratch) {
            Ok(reading) => Outcome::Reading(reading),
            Err(reject) => Outcome::Rejected(reject),
        },
        Err(reject) => Outcome::Rejected(reject),
    };
    take(Item {
        place: found.place,
        source: found.source,
        outcome,
    });
    Ok(())
}
