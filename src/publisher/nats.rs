//! A NATS publisher: to a JetStream stream that acknowledges, or to core subjects that do not.
//!
//! Arrives: batches of messages, whose topics become subjects. Leaves: messages on one connection,
//! in order; a [`Tally`] of what was acknowledged and how soon. Promise: what a stream is to keep
//! is published again, in its order, on the next connection until the stream has it, with the same
//! id, so that the stream keeps it once; no more than
//! [`NatsPublisherOptions::inflight_max`] are on their way. To core subjects, what a broken
//! connection held is lost, and counted. Next: `ioc-gateway/src/brokers/nats.rs` reads them.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{Context, ContextBuilder, PublishError as NotKept};
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::stream::Config;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use ioc_gateway::brokers::nats::token_of;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::link::LinkError;
use super::persistence::Persistence;
use super::{CONNECT_WITHIN, Message, OnLink, PublishError, Quality, Tally, look_regularly};
use crate::access::{Access, NotLetIn};
use crate::args::NatsAddress;

/// What the topics of readings begin with over MQTT; the sensor follows.
const TOPICS: &str = "ioc/v1/readings/";
/// And what their subjects begin with.
const SUBJECTS: &str = "ioc.v1.readings.";

/// How to publish.
#[derive(Debug, Clone)]
pub struct NatsPublisherOptions {
    /// Where to.
    pub address: NatsAddress,
    /// What the server calls the connection.
    pub name: String,
    /// How we get in.
    pub access: Access,
    /// Whether a stream acknowledges.
    pub quality: Quality,
    /// The stream that keeps the readings: made if it is missing.
    pub stream: Option<String>,
    /// The most messages on their way and not acknowledged. When they are, the source waits.
    pub inflight_max: u16,
    /// Give up after so long without an acknowledgement while something waits; `None`: never.
    pub patience: Option<Duration>,
}

/// One connection's messages, whichever socket they are on.
pub struct NatsPublisher {
    options: NatsPublisherOptions,
    tally: Arc<Tally>,
    persistence: Persistence,
    ready: VecDeque<Message>,
    source_ended: bool,
    /// To a stream: published and not acknowledged, in order.
    inflight: VecDeque<InFlight>,
    /// How many were published: they are numbered.
    published: u64,
    /// To core subjects: with the client, and perhaps not yet with the socket.
    unwritten: u64,
}

struct InFlight {
    subject: String,
    payload: Bytes,
    number: u64,
    since: Instant,
}

type Acks = FuturesOrdered<<PublishAckFuture as IntoFuture>::IntoFuture>;

/// A connection, and why it broke if it did.
struct Connected {
    client: Client,
    context: Context,
    broke: watch::Receiver<Option<String>>,
}

impl NatsPublisher {
    /// A publisher; nothing is connected before [`Self::run`].
    pub fn new(options: NatsPublisherOptions, tally: Arc<Tally>, on_link: OnLink) -> Self {
        let address = options.address.0.clone();
        Self {
            persistence: Persistence::new(address, options.patience, on_link),
            options,
            tally,
            ready: VecDeque::new(),
            source_ended: false,
            inflight: VecDeque::new(),
            published: 0,
            unwritten: 0,
        }
    }

    /// Publishes what the source yields, until it ends and everything is acknowledged, or written
    /// if nobody acknowledges. Reconnects for as long as patience lasts.
    ///
    /// # Cancel safety
    /// If cancelled, what is in flight may or may not have arrived.
    pub async fn run(
        mut self,
        mut source: mpsc::Receiver<Vec<Message>>,
    ) -> Result<(), PublishError> {
        loop {
            let Err(error) = self.serve(&mut source).await else {
                return Ok(());
            };
            self.tally.add_lost(mem::take(&mut self.unwritten));
            let waiting = self.inflight.len() + self.ready.len();
            self.persistence.next_attempt(error, waiting).await?;
        }
    }

    /// One connection, until everything is done or it breaks.
    async fn serve(&mut self, source: &mut mpsc::Receiver<Vec<Message>>) -> Result<(), LinkError> {
        let connecting = timeout(CONNECT_WITHIN, self.connect()).await;
        let mut connected = connecting.map_err(|_| LinkError::ConnectTimeout)??;
        self.persistence.connected();
        let mut acks = Acks::new();
        self.publish_again(&connected, &mut acks).await?;
        let mut look = look_regularly();
        loop {
            self.publish_ready(&connected, &mut acks).await?;
            if self.unwritten > 0 {
                self.flush(&mut connected).await?;
            }
            if self.source_ended && self.ready.is_empty() && self.inflight.is_empty() {
                return Ok(());
            }
            tokio::select! {
                // All are cancel safe: nothing is taken when another branch wins.
                Some(ack) = acks.next(), if !acks.is_empty() => self.take_ack(ack)?,
                why = connected.broken() => return Err(why),
                batch = source.recv(), if self.ready.is_empty() && !self.source_ended => {
                    self.take_batch(batch);
                }
                _ = look.tick() => {
                    if self.has_something_waiting() && self.persistence.is_over() {
                        return Err(LinkError::Stalled);
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<Connected, LinkError> {
        let (breaks, broke) = watch::channel(None);
        let connect = ConnectOptions::new()
            .name(self.options.name.clone())
            .connection_timeout(CONNECT_WITHIN)
            .ignore_discovered_servers()
            .event_callback(move |event| {
                if !matches!(event, Event::Connected | Event::SlowConsumer(_)) {
                    breaks.send_replace(Some(event.to_string()));
                }
                async {}
            });
        let access = &self.options.access;
        let client = access.connect(connect, &self.options.address).await;
        let client = client.map_err(|error| match error {
            NotLetIn::Tls(error) => LinkError::Tls(error),
            NotLetIn::Connect(error) => match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    LinkError::NatsRefused("give --user and --password-file".to_owned())
                }
                _ => LinkError::Nats(error.to_string()),
            },
        })?;
        let inflight = usize::from(self.options.inflight_max) + 1;
        let context = ContextBuilder::new()
            .timeout(CONNECT_WITHIN)
            .ack_timeout(self.options.patience.unwrap_or(CONNECT_WITHIN))
            .max_ack_inflight(inflight)
            .build(client.clone());
        if let Some(stream) = &self.options.stream {
            self.make_stream(&context, stream).await?;
        }
        Ok(Connected {
            client,
            context,
            broke,
        })
    }

    /// Makes the stream, if it is missing.
    async fn make_stream(&self, context: &Context, name: &str) -> Result<(), LinkError> {
        let config = Config {
            name: name.to_owned(),
            subjects: vec![format!("{SUBJECTS}>")],
            ..Config::default()
        };
        let made = context.get_or_create_stream(config).await;
        made.map_err(|error| LinkError::NatsRefused(format!("stream {name}: {error}")))?;
        Ok(())
    }

    /// Everything that the last connection left unacknowledged, in order.
    async fn publish_again(
        &mut self,
        connected: &Connected,
        acks: &mut Acks,
    ) -> Result<(), LinkError> {
        self.tally.add_resent(self.inflight.len() as u64);
        for entry in &self.inflight {
            acks.push_back(self.publish(connected, entry).await?.into_future());
        }
        Ok(())
    }

    /// Publishes what is ready, as far as the bound allows.
    async fn publish_ready(
        &mut self,
        connected: &Connected,
        acks: &mut Acks,
    ) -> Result<(), LinkError> {
        while self.inflight.len() < usize::from(self.options.inflight_max) {
            let Some(message) = self.ready.pop_front() else {
                return Ok(());
            };
            let subject = subject_of(&message.topic);
            match self.options.quality {
                Quality::AtMostOnce => {
                    self.unwritten += 1;
                    let published = connected.client.publish(subject, message.payload).await;
                    published.map_err(|error| LinkError::Nats(error.to_string()))?;
                }
                Quality::AtLeastOnce => {
                    let entry = InFlight {
                        subject,
                        payload: message.payload,
                        number: self.published,
                        since: message.due.unwrap_or_else(Instant::now),
                    };
                    self.published += 1;
                    self.tally.add_sent(1);
                    let published = self.publish(connected, &entry).await;
                    // It is in flight, whether it left or not.
                    self.inflight.push_back(entry);
                    acks.push_back(published?.into_future());
                }
            }
        }
        Ok(())
    }

    /// Publishes one under an id by which the stream knows it again.
    async fn publish(
        &self,
        connected: &Connected,
        entry: &InFlight,
    ) -> Result<PublishAckFuture, LinkError> {
        let mut headers = HeaderMap::new();
        let id = format!("{}-{}", self.options.name, entry.number);
        headers.insert(header::NATS_MESSAGE_ID, id);
        let (subject, payload) = (entry.subject.clone(), entry.payload.clone());
        let published = connected
            .context
            .publish_with_headers(subject, headers, payload);
        published
            .await
            .map_err(|error| self.not_kept(&error, &entry.subject))
    }

    /// Waits until the socket has all of it.
    async fn flush(&mut self, connected: &mut Connected) -> Result<(), LinkError> {
        let client = connected.client.clone();
        tokio::select! {
            flushed = client.flush() => {
                flushed.map_err(|error| LinkError::Nats(error.to_string()))?;
            }
            why = connected.broken() => return Err(why),
        }
        self.tally.add_sent(mem::take(&mut self.unwritten));
        self.persistence.progressed(Instant::now());
        Ok(())
    }

    fn take_ack<T>(&mut self, ack: Result<T, NotKept>) -> Result<(), LinkError> {
        let entry = self.inflight.front().expect("each has one acknowledgement");
        if let Err(error) = ack {
            return Err(self.not_kept(&error, &entry.subject));
        }
        let took = entry.since.elapsed();
        self.inflight.pop_front();
        self.tally.add_acknowledged(1, took);
        self.persistence.progressed(Instant::now());
        Ok(())
    }

    fn not_kept(&self, error: &NotKept, subject: &str) -> LinkError {
        match error.kind() {
            PublishErrorKind::StreamNotFound => LinkError::NoStream(subject.to_owned()),
            _ => LinkError::Nats(error.to_string()),
        }
    }

    fn take_batch(&mut self, batch: Option<Vec<Message>>) {
        if !self.has_something_waiting() {
            self.persistence.has_waited_for_nothing();
        }
        match batch {
            Some(batch) => self.ready.extend(batch),
            None => self.source_ended = true,
        }
    }

    fn has_something_waiting(&self) -> bool {
        !self.inflight.is_empty() || !self.ready.is_empty()
    }
}

impl Connected {
    async fn broken(&mut self) -> LinkError {
        match self.broke.wait_for(Option::is_some).await {
            Ok(why) => LinkError::Nats(why.clone().unwrap_or_default()),
            Err(_) => LinkError::Nats("the client ended".to_owned()),
        }
    }
}

impl fmt::Debug for NatsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsPublisher")
            .field("options", &self.options)
            .field("inflight", &self.inflight.len())
            .finish_non_exhaustive()
    }
}

/// The subject of a topic: of a reading, its sensor is one token.
fn subject_of(topic: &str) -> String {
    match topic.strip_prefix(TOPICS) {
        Some(sensor) => format!("{SUBJECTS}{}", token_of(sensor)),
        None => topic.replace('/', "."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensor_is_one_token_of_its_subject() {
        assert_eq!(subject_of("ioc/v1/readings/wl-1"), "ioc.v1.readings.wl-1");
        assert_eq!(subject_of("ioc/v1/readings/a.b"), "ioc.v1.readings.a%2Eb");
        assert_eq!(subject_of("hydro/north"), "hydro.north");
    }
}
