//! The messages that a stream keeps, asked for one by one (`STREAM.MSG.GET`).
//!
//! Arrives: a number in the stream. Leaves: where the first message of our subject stands from there
//! on, and when the stream took it. Promise: nothing is delivered or acknowledged by it.

use async_nats::Client;
use async_nats::jetstream::Context;
use ioc_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LinkError, Subscriber};

/// The messages that a stream keeps of one subject.
pub(super) struct Kept<'a> {
    context: Context,
    stream: &'a str,
    subject: &'a str,
}

#[derive(Serialize)]
struct Ask<'a> {
    seq: u64,
    next_by_subj: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    message: Option<Wire>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: u16,
    description: String,
}

/// A message as the server writes it.
#[derive(Deserialize)]
struct Wire {
    seq: u64,
    #[serde(default)]
    time: String,
}

impl<'a> Kept<'a> {
    /// Those of a subscriber's subject.
    pub fn new(client: &Client, stream: &'a str, subscriber: &'a Subscriber) -> Self {
        Self {
            context: subscriber.jetstream(client),
            stream,
            subject: &subscriber.subject,
        }
    }

    /// The first message from this one on.
    pub async fn next(&self, seq: u64) -> Result<Option<Stored>, LinkError> {
        const ATTEMPT: &str = "get a message of the stream";
        let ask = Ask {
            seq,
            next_by_subj: self.subject,
        };
        let subject = format!("STREAM.MSG.GET.{}", self.stream);
        let answer = self.context.request(subject, &ask).await;
        let answer: Answer = answer.map_err(LinkError::refused(ATTEMPT))?;
        match answer {
            Answer {
                message: Some(wire),
                ..
            } => Ok(Some(Stored {
                sequence: wire.seq,
                taken_at: Timestamp::parse(wire.time.as_bytes()).ok(),
            })),
            Answer {
                error: Some(Refusal { code: 404, .. }),
                ..
            } => Ok(None),
            Answer { error, .. } => {
                let why = error.map(|refusal| refusal.description);
                let why = why.unwrap_or_else(|| "no message and no reason".to_owned());
                Err(LinkError::refused(ATTEMPT)(why))
            }
        }
    }
}

/// A message that the stream keeps.
pub(super) struct Stored {
    pub sequence: u64,
    /// When the stream took it.
    pub taken_at: Option<Timestamp>,
}

/// Whether the stream can be asked, from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// The connection before could not.
    is_unseen: bool,
}

impl Looks {
    /// It could not be asked what the stream has.
    pub const fn could_not_look(&mut self) {
        self.is_unseen = true;
    }

    /// Whether a connection that begins may ask what the stream has: not if the one before could
    /// not; the one after it may again.
    pub const fn may_look(&mut self) -> bool {
        let may_look = !self.is_unseen;
        self.is_unseen = false;
        may_look
    }
}
