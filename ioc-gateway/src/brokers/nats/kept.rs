//! The messages that a stream keeps, asked for one by one (`STREAM.MSG.GET`).
//!
//! Arrives: a number in the stream. Leaves: the first message of our subject from there on, with its
//! headers as data. Promise: nothing is delivered or acknowledged by it.

use async_nats::Client;
use async_nats::jetstream::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ioc_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LinkError, Subscriber};

/// The messages that a stream keeps of one subject.
pub(super) struct Kept<'a> {
    pub client: Client,
    context: Context,
    pub stream: &'a str,
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
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    time: String,
}

impl<'a> Kept<'a> {
    /// Those of a subscriber's subject.
    pub fn new(client: &Client, stream: &'a str, subscriber: &'a Subscriber) -> Self {
        Self {
            client: client.clone(),
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
            } => {
                let stored = Stored::of(wire);
                stored.map(Some).map_err(LinkError::refused(ATTEMPT))
            }
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

/// A message as the stream keeps it.
pub(super) struct Stored {
    pub subject: String,
    pub sequence: u64,
    pub headers: Vec<u8>,
    pub payload: Vec<u8>,
    /// When the stream took it.
    pub taken_at: Option<Timestamp>,
}

impl Stored {
    fn of(wire: Wire) -> Result<Self, base64::DecodeError> {
        Ok(Self {
            headers: STANDARD.decode(wire.hdrs)?,
            payload: STANDARD.decode(wire.data)?,
            subject: wire.subject,
            sequence: wire.seq,
            taken_at: Timestamp::parse(wire.time.as_bytes()).ok(),
        })
    }
}
