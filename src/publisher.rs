//! An MQTT 3.1.1 publisher that keeps every message until it is acknowledged.
//!
//! Arrives: batches of messages. Leaves: PUBLISH packets on one connection, in order, as many in
//! one write as there are; a [`Tally`] of what was acknowledged and how soon. Promise: with QoS 1 a
//! message is published again, in its order, on the next connection until it is acknowledged; no
//! more than [`PublisherOptions::inflight_max`] are on their way. Not here: subscriptions, QoS 2,
//! a session that outlives the process.
//!
//! The packets are those of `rumqttc`; its event loop is not used: it writes and flushes every
//! message by itself, and forgets what was in flight when the broker has no session for it
//! (always so with a clean one).

mod link;
mod persistence;
mod nats;
mod tally;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self, QoS};
use rumqttc::{ConnAck, Connect, ConnectReturnCode, Disconnect, Packet, PingReq, Publish};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use self::persistence::Persistence;
use crate::access::Access;
use crate::args::{Address, Credentials, MqttAddress};

pub(crate) use link::Absence;
pub use link::{LinkError, LinkEvent, OnLink};
pub use nats::{NatsPublisher, NatsPublisherOptions};
pub(crate) use persistence::Pauses;
pub use tally::{Latency, Percentiles, Tally};

/// The longest wait for a TCP connection and for its CONNACK.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// PINGREQ is sent this often; an unanswered one breaks the connection.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(15);
/// How often a connection looks at the clock: for pings and for patience.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Bytes encoded ahead of the socket, at most, and one message more.
pub(crate) const OUT_BYTES_MAX: usize = 64 << 10;
/// The longest packet that is read: a publisher is only sent acknowledgements.
const PACKET_BYTES_MAX: usize = 4096;
/// What every answer to CONNECT begins with (MQTT 3.1.1 section 3.2.1).
const CONNACK_FIRST: u8 = 0x20;

/// What a sender asks of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// QoS 0: nothing is acknowledged; what a broken connection held is lost, and counted.
    AtMostOnce,
    /// QoS 1: sent again until it is acknowledged.
    AtLeastOnce,
}

/// How to publish.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// Where to.
    pub address: MqttAddress,
    /// The MQTT client identifier: each connection its own.
    pub client_id: String,
    /// How we get in.
    pub access: Access,
    /// Whether messages are acknowledged.
    pub quality: Quality,
    /// The most messages on their way and not acknowledged. When they are, the source waits.
    pub inflight_max: u16,
    /// Give up after so long without an acknowledgement while something waits; `None`: never.
    pub patience: Option<Duration>,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// When it should leave, if it was paced: its latency is counted from then, so that a
    /// publisher that cannot keep up does not look quick.
    pub due: Option<Instant>,
}

/// A publisher gave up.
#[derive(Debug, thiserror::Error)]
#[error("gave up on {address}; messages that wait for it: {waiting}")]
pub struct PublishError {
    /// The broker.
    pub address: Address,
    /// How many messages were taken and are not acknowledged.
    pub waiting: usize,
    /// What happened last.
    #[source]
    pub source: LinkError,
}

/// One connection's messages, whichever socket they are on.
pub struct Publisher {
    options: PublisherOptions,
    tally: Arc<Tally>,
    persistence: Persistence,
    /// Taken from the source, not yet written.
    ready: VecDeque<Message>,
    source_ended: bool,
    /// QoS 1: written and not acknowledged, in order; identifiers are consecutive.
    inflight: VecDeque<InFlight>,
    next_packet_id: u16,
    /// QoS 0: encoded, and perhaps not yet with the socket.
    unwritten: u64,
    out: BytesMut,
    is_up: bool,
    ping_sent: Option<Instant>,
    quiet_since: Instant,
}

struct InFlight {
    publish: Publish,
    since: Instant,
    acknowledged: bool,
}

impl Publisher {
    /// A publisher; nothing is connected before [`Self::run`].
    pub fn new(options: PublisherOptions, tally: Arc<Tally>, on_link: OnLink) -> Self {
        let address = options.address.0.clone();
        Self {
            persistence: Persistence::new(address, options.patience, on_link),
            options,
            tally,
            ready: VecDeque::new(),
            source_ended: false,
            inflight: VecDeque::new(),
            next_packet_id: 1,
            unwritten: 0,
            out: BytesMut::with_capacity(OUT_BYTES_MAX),
            is_up: false,
            ping_sent: None,
            quiet_since: Instant::now(),
        }
    }

    /// Publishes what the source yields, until it ends and everything is acknowledged (QoS 1) or
    /// written (QoS 0). Reconnects for as long as patience lasts.
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
            self.link_broke();
            let waiting = self.inflight.len() + self.ready.len();
            self.persistence.next_attempt(error, waiting).await?;
        }
    }

    /// One connection, from CONNECT to DISCONNECT.
    async fn serve(&mut self, source: &mut mpsc::Receiver<Vec<Message>>) -> Result<(), LinkError> {
        let stream = timeout(CONNECT_WITHIN, self.connect())
            .await
            .map_err(|_| LinkError::ConnectTimeout)??;
        self.persistence.connected();
        self.is_up = true;
        self.publish_again();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut is_flushed = true;
        let mut inbox = BytesMut::new();
        let mut look = look_regularly();
        loop {
            self.fill_out();
            if self.out.is_empty() && self.is_finished() {
                Disconnect.write(&mut self.out)?;
                writer.write_all_buf(&mut self.out).await?;
                writer.shutdown().await?;
                return Ok(());
            }
            tokio::select! {
                // Both are cancel safe: nothing is read or written when another branch wins.
                read = reader.read_buf(&mut inbox) => {
                    if read? == 0 {
                        return Err(LinkError::Closed);
                    }
                    self.take_packets(&mut inbox)?;
                }
                written = write_on(&mut writer, &mut self.out, &mut is_flushed),
                    if !self.out.is_empty() || !is_flushed =>
                {
                    written?;
                    self.count_written();
                }
                batch = source.recv(), if self.ready.is_empty() && !self.source_ended => {
                    self.take_batch(batch);
                }
                now = look.tick() => self.look_at_the_clock(now)?,
            }
        }
    }

    async fn connect(&mut self) -> Result<Box<dyn Socket>, LinkError> {
        self.out.clear();
        let options = &self.options;
        introduced(&options.address, &options.access, &options.client_id).await
    }

    /// Everything that the last connection left unacknowledged, in order.
    fn publish_again(&mut self) {
        let now = Instant::now();
        self.ping_sent = None;
        self.quiet_since = now;
        for entry in self.inflight.iter_mut().filter(|entry| !entry.acknowledged) {
            entry.publish.dup = true;
            let written = entry.publish.write(&mut self.out);
            written.expect("it was written once already");
            self.tally.add_resent(1);
        }
    }

    /// Encodes what is ready, as far as the bounds allow.
    fn fill_out(&mut self) {
        let now = Instant::now();
        while self.out.len() < OUT_BYTES_MAX
            && self.inflight.len() < usize::from(self.options.inflight_max)
        {
            let Some(message) = self.ready.pop_front() else {
                return;
            };
            self.encode(message, now);
        }
    }

    fn encode(&mut self, message: Message, now: Instant) {
        let qos = match self.options.quality {
            Quality::AtMostOnce => QoS::AtMostOnce,
            Quality::AtLeastOnce => QoS::AtLeastOnce,
        };
        let mut publish = Publish::from_bytes(message.topic, qos, message.payload);
        if self.options.quality == Quality::AtLeastOnce {
            publish.pkid = self.next_packet_id;
        }
        if publish.write(&mut self.out).is_err() {
            // Longer than the 256 MiB that MQTT 3.1.1 (section 2.2.3) can express.
            self.tally.add_lost(1);
            return;
        }
        match self.options.quality {
            Quality::AtMostOnce => self.unwritten += 1,
            Quality::AtLeastOnce => {
                self.tally.add_sent(1);
                self.next_packet_id = after(self.next_packet_id);
                let since = message.due.unwrap_or(now);
                self.inflight.push_back(InFlight {
                    publish,
                    since,
                    acknowledged: false,
                });
            }
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

    fn take_packets(&mut self, inbox: &mut BytesMut) -> Result<(), LinkError> {
        let now = Instant::now();
        loop {
            match Packet::read(inbox, PACKET_BYTES_MAX) {
                Ok(Packet::PubAck(ack)) => self.take_ack(ack.pkid, now)?,
                Ok(Packet::PingResp) => self.ping_sent = None,
                Ok(_) => return Err(LinkError::Protocol("no acknowledgement".to_owned())),
                Err(mqttbytes::Error::InsufficientBytes(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Identifiers in flight are consecutive, so the place of one is known without searching,
    /// also from a broker that acknowledges out of order.
    fn take_ack(&mut self, packet_id: u16, now: Instant) -> Result<(), LinkError> {
        let unasked = || LinkError::Protocol(format!("an acknowledgement of {packet_id}"));
        let first = self.inflight.front().ok_or_else(unasked)?.publish.pkid;
        let entry = self
            .inflight
            .get_mut(distance(first, packet_id))
            .ok_or_else(unasked)?;
        if !entry.acknowledged {
            entry.acknowledged = true;
            self.tally
                .add_acknowledged(1, now.saturating_duration_since(entry.since));
        }
        self.persistence.progressed(now);
        while self
            .inflight
            .front()
            .is_some_and(|entry| entry.acknowledged)
        {
            self.inflight.pop_front();
        }
        Ok(())
    }

    fn look_at_the_clock(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.has_something_waiting() && self.persistence.is_over() {
            return Err(LinkError::Stalled);
        }
        match self.ping_sent {
            Some(sent) if now - sent > PING_EVERY => Err(LinkError::PingTimeout),
            None if now - self.quiet_since > PING_EVERY => {
                self.ping_sent = Some(now);
                self.quiet_since = now;
                PingReq.write(&mut self.out)?;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn count_written(&mut self) {
        if self.out.is_empty() {
            self.tally.add_sent(self.unwritten);
            if self.unwritten > 0 {
                self.persistence.progressed(Instant::now());
            }
            self.unwritten = 0;
        }
    }

    fn link_broke(&mut self) {
        self.tally.add_lost(mem::take(&mut self.unwritten));
        self.out.clear();
        let had_nothing_to_do = mem::take(&mut self.is_up) && !self.has_something_waiting();
        if had_nothing_to_do {
            self.persistence.has_waited_for_nothing();
        }
    }

    fn has_something_waiting(&self) -> bool {
        !self.inflight.is_empty() || !self.ready.is_empty() || !self.out.is_empty()
    }

    fn is_finished(&self) -> bool {
        self.source_ended && self.ready.is_empty() && self.inflight.is_empty()
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("options", &self.options)
            .field("inflight", &self.inflight.len())
            .finish_non_exhaustive()
    }
}

/// Connects to a broker; ready when it has let us in.
pub(crate) async fn introduced(
    MqttAddress(address, _): &MqttAddress,
    access: &Access,
    client_id: &str,
) -> Result<Box<dyn Socket>, LinkError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    // Without this, small writes wait for the other side's delayed TCP acknowledgements.
    stream.set_nodelay(true)?;
    let mut stream: Box<dyn Socket> = match &access.tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.shake_hands(&address.host, stream).await?),
    };
    let mut connect = Connect::new(client_id);
    connect.keep_alive = 2 * PING_EVERY.as_secs() as u16;
    if let Some(Credentials { user, password }) = &access.credentials {
        connect.set_login(user.as_str(), password.as_str());
    }
    let mut out = BytesMut::new();
    connect.write(&mut out)?;
    stream.write_all_buf(&mut out).await?;
    stream.flush().await?;
    match read_connack(&mut *stream, address).await?.code {
        ConnectReturnCode::Success => Ok(stream),
        code => Err(LinkError::Refused(code)),
    }
}

/// What packets come and go by.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Writes some of it, and sees to it that all that was written leaves.
///
/// # Cancel safety
/// What was written is gone from `out`, and `is_flushed` says whether it has left.
pub(crate) async fn write_on(
    writer: &mut (impl AsyncWrite + Unpin),
    out: &mut BytesMut,
    is_flushed: &mut bool,
) -> io::Result<()> {
    if !out.is_empty() {
        *is_flushed = false;
        writer.write_buf(out).await?;
    }
    if out.is_empty() {
        writer.flush().await?;
        *is_flushed = true;
    }
    Ok(())
}

async fn read_connack(stream: &mut dyn Socket, address: &Address) -> Result<ConnAck, LinkError> {
    let mut inbox = BytesMut::with_capacity(64);
    loop {
        // No byte beyond it can be there: the broker has nothing else to say yet.
        if stream.read_buf(&mut inbox).await? == 0 {
            return Err(LinkError::Unanswered);
        }
        let not_mqtt = LinkError::NotMqtt {
            address: address.clone(),
            http: inbox.starts_with(b"HTTP"),
        };
        if inbox.first() != Some(&CONNACK_FIRST) {
            return Err(not_mqtt);
        }
        match Packet::read(&mut inbox, PACKET_BYTES_MAX) {
            Ok(Packet::ConnAck(connack)) => return Ok(connack),
            Err(mqttbytes::Error::InsufficientBytes(_)) => {}
            Ok(_) | Err(_) => return Err(not_mqtt),
        }
    }
}

fn look_regularly() -> Interval {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// The packet identifier after this one; 0 is none (MQTT 3.1.1 section 2.3.1).
pub(crate) const fn after(packet_id: u16) -> u16 {
    if packet_id == u16::MAX {
        1
    } else {
        packet_id + 1
    }
}

/// How many identifiers lie between two.
const fn distance(first: u16, packet_id: u16) -> usize {
    if packet_id >= first {
        (packet_id - first) as usize
    } else {
        packet_id as usize + u16::MAX as usize - first as usize
    }
}

/// A client identifier that no other process has.
pub(crate) fn client_id(command: &str, connection: usize) -> String {
    let word = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
    format!("ioc-{command}-{word:016x}-{connection}")
}

#[cfg(test)]
mod tests;
