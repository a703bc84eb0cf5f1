//! Messages to a JetStream stream elsewhere, each with an id that keeps it from being taken twice.
//!
//! Arrives: subjects, ids, payloads. Leaves: that the stream has taken them all. Which of them were
//! taken before a break is not known: they are sent again, with the same ids. Not here: what is
//! sent, and from where on (the host).

use async_nats::jetstream::{self, message::PublishMessage};
use bytes::Bytes;
use tokio::time::timeout;

use super::NatsOptions;
use super::connect::{ANSWER_WITHIN, Connected, LinkError};
use crate::brokers::links::{Link, Links};
use crate::telemetry;

/// How many bytes the id takes with what is around it.
const HEADERS_BYTES: usize = 256;

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

/// A stream could not be reached, or did not take everything: all is to be sent again.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotTaken(LinkError);

/// A publisher, connected when it has something to say.
pub struct Outgoing {
    options: NatsOptions,
    link: Link,
    connected: Option<Connected>,
}

impl Outgoing {
    /// A publisher that is not connected yet.
    pub fn new(options: NatsOptions, links: &Links) -> Self {
        let link = links.add(&format!("nats {} decisions", options.name));
        Self {
            options,
            link,
            connected: None,
        }
    }

    /// Connects, if need be.
    ///
    /// # Errors
    /// The server is not there.
    pub async fn connect(&mut self) -> Result<(), NotTaken> {
        if self.connected.as_ref().is_some_and(Connected::is_broken) {
            self.connected = None;
        }
        if self.connected.is_none() {
            let connected = Connected::new(&self.options).await;
            self.connected = Some(connected.map_err(|error| self.broke(error))?);
            self.link.up();
        }
        Ok(())
    }

    /// Sends these in order and waits until the stream has taken all; but those that are longer than
    /// the server takes, which nothing would get past. How many those are.
    ///
    /// # Errors
    /// It has perhaps not.
    pub async fn send(&mut self, messages: &[OutgoingMessage]) -> Result<usize, NotTaken> {
        self.connect().await?;
        let connected = self.connected.as_ref().expect("connected just now");
        let context = jetstream::new(connected.client.clone());
        let sending = async {
            let (mut taken, mut too_long) = (Vec::with_capacity(messages.len()), 0);
            let bytes_max = connected.client.server_info().max_payload;
            for each in messages {
                if each.payload.len() + HEADERS_BYTES > bytes_max {
                    telemetry::decision_too_long(self.link.name(), &each.id, bytes_max);
                    too_long += 1;
                    continue;
                }
                let message = PublishMessage::build()
                    .message_id(&each.id)
                    .payload(each.payload.clone());
                let sent = context.send_publish(each.subject.clone(), message).await;
                taken.push(sent.map_err(LinkError::refused("publish"))?);
            }
            for each in taken {
                each.await.map_err(LinkError::refused("publish"))?;
            }
            Ok(too_long)
        };
        let sent = timeout(ANSWER_WITHIN, sending).await;
        sent.unwrap_or(Err(LinkError::Silent))
            .map_err(|error| self.broke(error))
    }

    fn broke(&mut self, error: LinkError) -> NotTaken {
        self.connected = None;
        telemetry::broker_broke(self.link.name(), error.word());
        self.link.down(&error.to_string());
        NotTaken(error)
    }
}
