//! A message that is no native reading: in, and what was found in it out.

use std::fmt;

use ioc_core::reading::Reading;

use super::Reject;

/// A message as an adapter got it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'m> {
    /// The topic that it was published to; over HTTP, what follows `/api/v1/messages/`.
    pub topic: &'m str,
    /// What it holds.
    pub payload: &'m [u8],
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
}
