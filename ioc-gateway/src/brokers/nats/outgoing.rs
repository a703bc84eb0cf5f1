//! Messages to a JetStream stream elsewhere, in order, each with an id that keeps it from being taken
//! twice.
//!
//! Arrives: subjects, ids, payloads. Leaves: how many of them are settled. Many are under way at once,
//! and a server that refuses one goes on to the next: so each names the one before it as the last that
//! the stream must have (`Nats-Expected-Last-Msg-Id`), and with one refused all after it are. Which
//! were taken before a break is not known: they are sent again, with the same ids. Not here: what is
//! sent, and from where on (the host).

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode, message::PublishMessage};
use bytes::Bytes;
use tokio::time::timeout;

use super::NatsOptions;
use super::connect::{ANSWER_WITHIN, Connected, LinkError};
use crate::brokers::links::{Link, Links};
use crate::telemetry;

/// How many bytes both ids take with what is around them.
const HEADERS_BYTES: usize = 256;
/// How many pieces in a row may be interrupted by what others write to the stream, before messages
/// no longer name those before them.
const INTERRUPTIONS_MAX: u32 = 8;

/// A message for a stream.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// Where to.
    pub subject: String,
    /// The stream takes no two with the same, as far back as it remembers.
    pub id: String,
    /// What.
    pub payload: Bytes,
}

/// The server is not there.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotConnected(LinkError);

/// What came of messages that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// So many, from the first on, are settled: the stream has them, or will never take them.
    pub settled: usize,
    /// How many of these it will never take, because they are too long.
    pub too_long: usize,
}

/// A publisher, connected when it has something to say.
pub struct Outgoing {
    options: NatsOptions,
    link: Link,
    connected: Option<Connected>,
    /// Whether what was sent last was refused: then one is sent at a time, until it is taken.
    refused: bool,
    /// How many pieces in a row were interrupted by what others write to the stream.
    interruptions: u32,
}

/// Why not all were settled.
enum Stop {
    /// One is too long for the stream.
    TooLong(PublishError),
    /// Another's message came between.
    Interrupted,
    /// The link broke, or the stream takes no more.
    Failed(LinkError),
}

impl Outgoing {
    /// A publisher that is not connected yet.
    pub fn new(options: NatsOptions, links: &Links) -> Self {
        let link = links.add(&format!("nats {} decisions", options.name));
        Self {
            options,
            link,
            connected: None,
            refused: false,
            interruptions: 0,
        }
    }

    /// Connects, if need be.
    ///
    /// # Errors
    /// The server is not there.
    pub async fn connect(&mut self) -> Result<(), NotConnected> {
        if self.connected.as_ref().is_some_and(Connected::is_broken) {
            self.connected = None;
        }
        if self.connected.is_none() {
            match Connected::new(&self.options).await {
                Ok(connected) => self.connected = Some(connected),
                Err(error) => {
                    self.failed(&error);
                    return Err(NotConnected(error));
                }
            }
            if !self.refused {
                self.link.up();
            }
        }
        Ok(())
    }

    /// Sends these in order, and waits until the stream has answered. Where not all are settled, the
    /// link says why, and they are to be sent again from the first that is not.
    pub async fn send(&mut self, messages: &[OutgoingMessage]) -> Sent {
        let mut sent = Sent::default();
        while sent.settled < messages.len() {
            let mut piece = &messages[sent.settled..];
            if self.refused {
                // Those after it would be sent in vain.
                piece = &piece[..1];
            }
            let sending = self.send_piece(piece, &mut sent.settled);
            let stop = match timeout(ANSWER_WITHIN, sending).await {
                Ok(Ok(())) => {
                    self.interruptions = 0;
                    self.accepted();
                    continue;
                }
                Ok(Err(stop)) => stop,
                Err(_) => Stop::Failed(LinkError::Silent),
            };
            match stop {
                Stop::TooLong(why) => {
                    telemetry::decision_too_long(
                        self.link.name(),
                        &messages[sent.settled].id,
                        &why,
                    );
                    sent.settled += 1;
                    sent.too_long += 1;
                    self.accepted();
                }
                Stop::Interrupted => self.interruptions += 1,
                Stop::Failed(error) => {
                    self.refused = matches!(error, LinkError::Refused { .. });
                    self.failed(&error);
                    return sent;
                }
            }
        }
        sent
    }

    /// The stream takes what it is sent again.
    fn accepted(&mut self) {
        if self.refused {
            self.refused = false;
            self.link.up();
        }
    }

    /// Sends these without waiting in between; `settled` counts those that the stream has taken.
    async fn send_piece(
        &self,
        messages: &[OutgoingMessage],
        settled: &mut usize,
    ) -> Result<(), Stop> {
        let Some(connected) = &self.connected else {
            return Err(Stop::Failed(LinkError::Broke("it is not there".to_owned())));
        };
        let context = jetstream::new(connected.client.clone());
        let bytes_max = connected.client.server_info().max_payload;
        let (mut answers, mut before) = (Vec::with_capacity(messages.len()), None);
        // Why the rest was not sent: of the first that was not, once those before it are settled.
        let mut unsent = None;
        for each in messages {
            if each.payload.len() + HEADERS_BYTES > bytes_max {
                unsent = Some(PublishError::new(PublishErrorKind::MaxPayloadExceeded));
                break;
            }
            let mut message = PublishMessage::build()
                .message_id(&each.id)
                .payload(each.payload.clone());
            if let Some(before) = before
                && self.interruptions < INTERRUPTIONS_MAX
            {
                message = message.expected_last_message_id(before);
            }
            match context.send_publish(each.subject.clone(), message).await {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    unsent = Some(error);
                    break;
                }
            }
            before = Some(&each.id);
        }
        for (at, answer) in answers.into_iter().enumerate() {
            answer.await.map_err(|error| stop_of(error, at > 0))?;
            *settled += 1;
        }
        match unsent {
            Some(error) => Err(stop_of(error, false)),
            None => Ok(()),
        }
    }

    fn failed(&mut self, error: &LinkError) {
        if !matches!(error, LinkError::Refused { .. }) {
            self.connected = None;
        }
        telemetry::broker_broke(self.link.name(), error.word());
        self.link.down(&error.to_string());
    }
}

/// What an answer means; `follows` that the message before it was taken in the same piece.
fn stop_of(error: PublishError, follows: bool) -> Stop {
    let code = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<jetstream::Error>())
        .map(jetstream::Error::error_code);
    match (error.kind(), code) {
        (PublishErrorKind::MaxPayloadExceeded, _)
        | (
            _,
            Some(
                ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
                | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
            ),
        ) => Stop::TooLong(error),
        (PublishErrorKind::WrongLastMessageId, _) if follows => Stop::Interrupted,
        (PublishErrorKind::TimedOut, _) => Stop::Failed(LinkError::Silent),
        (PublishErrorKind::BrokenPipe, _) => Stop::Failed(LinkError::Broke(error.to_string())),
        _ => Stop::Failed(LinkError::refused("publish")(error)),
    }
}
