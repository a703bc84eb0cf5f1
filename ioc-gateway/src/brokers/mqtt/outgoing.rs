//! A connection to an MQTT broker elsewhere that publishes, and leaves no session behind.
//!
//! Arrives: messages, a few at a time. Leaves: PUBLISH packets, and what the broker says became of
//! each. Promise: no more are on their way than the broker takes ([`WINDOW_MAX`]); a connection that
//! breaks forgets them, so that nothing is sent again but by whoever knows that it may be. Not here:
//! which messages, and when again (`commands/`).

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::connection::LinkError;
use super::keep_alive::KeepAlive;
use super::packets::{self, Outgoing, Packet, Published};
use super::socket::{Socket, connect};
use super::{MqttBrokerOptions, Version};

/// How many messages may be on their way at once: fewer than any broker is known to take.
const WINDOW_MAX: usize = 16;
/// How long a broker may take to acknowledge them.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that was let in.
pub(crate) struct Publishing {
    stream: Box<dyn Stream>,
    version: Version,
    received: BytesMut,
    window: usize,
    keep_alive: KeepAlive,
}

impl Publishing {
    /// Connects under an identifier of its own.
    pub async fn new(options: &MqttBrokerOptions, client_id: &str) -> Result<Self, LinkError> {
        let connecting = timeout(options.keep_alive, Self::introduced(options, client_id));
        connecting.await.unwrap_or(Err(LinkError::Silent))
    }

    async fn introduced(options: &MqttBrokerOptions, client_id: &str) -> Result<Self, LinkError> {
        let stream: Box<dyn Stream> = match connect(options).await? {
            Socket::Plain(socket) => Box::new(socket),
            Socket::Tls(socket) => Box::new(socket),
        };
        let mut publishing = Self {
            stream,
            version: options.version,
            received: BytesMut::new(),
            window: WINDOW_MAX,
            keep_alive: KeepAlive::new(options.keep_alive, Instant::now()),
        };
        let mut out = BytesMut::new();
        options
            .version
            .put_connect_once(&mut out, client_id, options);
        publishing.write(out).await?;
        let connack = match publishing.next().await {
            // A broker that is asked for what it does not speak just hangs up.
            Err(LinkError::Closed) => return Err(LinkError::NotLetIn),
            connack => connack?,
        };
        publishing.let_in(connack)?;
        Ok(publishing)
    }

    fn let_in(&mut self, connack: Packet) -> Result<(), LinkError> {
        let Packet::ConnAck {
            refused,
            keep_alive_s,
            receive_max,
            session_present: _,
            session_s: _,
        } = connack
        else {
            return Err(LinkError::Unexpected("a packet before CONNACK"));
        };
        if let Some(reason) = refused {
            return Err(LinkError::Refused(reason));
        }
        if let Some(seconds @ 1..) = keep_alive_s {
            self.keep_alive.shorten(Duration::from_secs(seconds.into()));
        }
        if let Some(receive_max @ 1..) = receive_max {
            self.window = self.window.min(receive_max.into());
        }
        Ok(())
    }

    /// Publishes all of these; what became of each, in their order. Of those that want no
    /// acknowledgement, that they have left.
    ///
    /// # Errors
    /// The connection is of no use any more, and any of them may have arrived.
    pub async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Published>, LinkError> {
        let mut published = Vec::with_capacity(messages.len());
        for some in messages.chunks(self.window) {
            let publishing = self.publish_some(some, &mut published);
            let within = timeout(ANSWER_WITHIN, publishing).await;
            within.unwrap_or(Err(LinkError::Silent))?;
        }
        Ok(published)
    }

    async fn publish_some(
        &mut self,
        messages: &[Outgoing],
        published: &mut Vec<Published>,
    ) -> Result<(), LinkError> {
        let mut out = BytesMut::new();
        let numbered = || (1_u16..).zip(messages);
        for (packet_id, message) in numbered() {
            self.version.put_message(&mut out, message, packet_id);
        }
        self.write(out).await?;
        let mut outcomes: Vec<Option<Published>> = messages
            .iter()
            .map(|message| (!message.at_least_once).then_some(Published::Taken))
            .collect();
        while outcomes.iter().any(Option::is_none) {
            match self.next().await? {
                Packet::PubAck(packet_id, outcome) => {
                    let place = usize::from(packet_id).wrapping_sub(1);
                    let waiting = outcomes.get_mut(place).filter(|place| place.is_none());
                    *waiting.ok_or(LinkError::Unexpected("a PUBACK of no message"))? =
                        Some(outcome);
                }
                other => self.take(other)?,
            }
        }
        published.extend(outcomes.into_iter().flatten());
        Ok(())
    }

    /// Keeps the connection open; returns when it is of no use any more, with the reason.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn broken(&mut self) -> LinkError {
        loop {
            let kept = match timeout_at(self.keep_alive.due(), self.next()).await {
                Ok(Ok(packet)) => self.take(packet),
                Ok(Err(error)) => Err(error),
                Err(_) => self.ask().await,
            };
            if let Err(error) = kept {
                return error;
            }
        }
    }

    /// Says that we are there, and asks whether the broker is; one that does not answer is left.
    async fn ask(&mut self) -> Result<(), LinkError> {
        let now = Instant::now();
        if self.keep_alive.is_over(now) {
            return Err(LinkError::Silent);
        }
        self.keep_alive.asked(now);
        let mut ping = BytesMut::new();
        packets::put_pingreq(&mut ping);
        self.write(ping).await
    }

    /// Takes any packet but one that is waited for.
    fn take(&mut self, packet: Packet) -> Result<(), LinkError> {
        match packet {
            Packet::PingResp => Ok(()),
            Packet::Disconnect(reason) => Err(LinkError::Disconnected(reason)),
            Packet::TakenOver => Err(LinkError::TakenOver),
            Packet::ConnAck { .. } => Err(LinkError::Unexpected("CONNACK")),
            Packet::SubAck(_) | Packet::UnsubAck { .. } => Err(LinkError::Unexpected("SUBACK")),
            Packet::Publish(_) => Err(LinkError::Unexpected("PUBLISH")),
            Packet::PubAck(..) => Err(LinkError::Unexpected("PUBACK")),
            Packet::PubRel(_) => Err(LinkError::Unexpected("PUBREL")),
            Packet::Unexpected(what) => Err(LinkError::Unexpected(what)),
        }
    }

    /// The next packet.
    async fn next(&mut self) -> Result<Packet, LinkError> {
        loop {
            if let Some(packet) = self.version.read(&mut self.received)? {
                self.keep_alive.heard();
                return Ok(packet);
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return Err(LinkError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(LinkError::Closed);
                }
                Err(error) => return Err(LinkError::of_socket(error)),
            }
        }
    }

    async fn write(&mut self, mut out: BytesMut) -> Result<(), LinkError> {
        let written = async {
            self.stream.write_all_buf(&mut out).await?;
            self.stream.flush().await
        };
        written.await.map_err(LinkError::of_socket)?;
        self.keep_alive.said(Instant::now());
        Ok(())
    }
}
