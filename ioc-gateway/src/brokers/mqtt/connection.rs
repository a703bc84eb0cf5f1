//! One connection to an MQTT broker, from CONNECT to its end.
//!
//! Arrives: a socket's bytes. Leaves: inputs through the door; PUBACKs and PUBRECs, all that are due in
//! one write; what messages want said back. Promise: nothing outlives the connection, so there is no state that could keep the next
//! one from working; a broker hears of us within the keep-alive, however much it says and whether or
//! not we read it; one that is silent for longer than it may is left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::{io, mem};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::keep_alive::KeepAlive;
use super::oversized::{Ahead, Oversized};
use super::packets::{self, Delivery, Granted, Malformed, Message, Packet};
use super::socket::{Socket, connect};
use super::{Publishing, Purpose, Version, Wanted};
use crate::brokers::epoch::{Entrance, Epoch};
use crate::brokers::{HandshakeError, TlsError, tls, told};
use crate::door::DoorClosed;
use crate::exactly_once::{ExactlyOnce, Receipt, Release};
use crate::formats;
use crate::telemetry::{self, Adapter};

/// One read from the socket.
const READ_BYTES: usize = 64 << 10;
/// With so much unwritten, replies wait; those that would be too many are dropped.
const UNWRITTEN_BYTES_MAX: usize = 64 << 10;
/// With so much unwritten no PUBREL is answered any more: the answers to twice as many messages as there
/// are packet identifiers.
const ANSWERS_BYTES_MAX: usize = 512 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("no answer in time")]
    Silent,
    #[error("the socket failed: {0}")]
    Socket(io::Error),
    #[error("the broker closed the connection")]
    Closed,
    #[error(
        "the broker closed the connection before it let us in: it may want TLS (`mqtts://`), or \
         speak another `version`"
    )]
    NotLetIn,
    #[error("the broker ended the connection: {0}")]
    Disconnected(String),
    #[error("the broker ended the connection: SessionTakenOver")]
    TakenOver,
    #[error("the broker refused the connection: {0}")]
    Refused(String),
    #[error("the broker refused the subscription to {0}")]
    Subscription(String),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the broker sent what it may not send here: {0}")]
    Unexpected(&'static str),
    #[error("the engine has stopped")]
    EngineStopped,
    #[error("a mistake of ours: {0}")]
    Panicked(String),
}

impl LinkError {
    /// The word that it is counted by.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect_failed",
            Self::Tls(_) => "tls",
            Self::Silent => "silent",
            Self::Socket(_) => "socket_failed",
            Self::Closed => "closed",
            Self::NotLetIn => "not_let_in",
            Self::Disconnected(_) | Self::TakenOver => "disconnected",
            Self::Refused(_) => "refused",
            Self::Subscription(_) => "subscription_refused",
            Self::Malformed(_) => "malformed",
            Self::Unexpected(_) => "unexpected",
            Self::EngineStopped => "engine_stopped",
            Self::Panicked(_) => "panicked",
        }
    }

    /// Whether a broker that had let us in has ended the connection, and said nothing.
    pub(super) fn is_hang_up(&self) -> bool {
        use io::ErrorKind::{ConnectionReset, UnexpectedEof};
        match self {
            Self::Closed => true,
            Self::Socket(error) => matches!(error.kind(), ConnectionReset | UnexpectedEof),
            _ => false,
        }
    }

    /// What failed on the socket: a broker can refuse our certificate after the handshake.
    pub(super) fn of_socket(error: io::Error) -> Self {
        match tls::behind(&error) {
            Some(error) => Self::Tls(error),
            None => Self::Socket(error),
        }
    }
}

impl From<HandshakeError> for LinkError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Tls(error) => Self::Tls(error),
            HandshakeError::Broke(error) => Self::Connect(error),
        }
    }
}

impl From<DoorClosed> for LinkError {
    fn from(DoorClosed: DoorClosed) -> Self {
        Self::EngineStopped
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// We were told to stop.
    Stopped,
    /// The session is read out and ended.
    Over,
    /// It is to be made again.
    Broke {
        /// Whether anything that came over it became durable.
        brought: bool,
        error: LinkError,
    },
}

/// Makes a connection and serves it until it ends.
pub(super) async fn serve(
    wanted: Arc<Wanted>,
    entrance: Entrance,
    mut stopping: watch::Receiver<bool>,
) -> Ended {
    let connecting = timeout(wanted.options.keep_alive, connect(&wanted.options));
    let connected = tokio::select! {
        connected = connecting => connected,
        () = told(&mut stopping) => return Ended::Stopped,
    };
    let socket = match connected {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return broke(error),
        Err(_) => return broke(LinkError::Silent),
    };
    let mut connection = Connection::new(&wanted, &entrance);
    let ran = match socket {
        Socket::Plain(socket) => {
            let (reader, writer) = socket.into_split();
            connection.run(reader, writer, stopping).await
        }
        Socket::Tls(socket) => {
            let (reader, writer) = tokio::io::split(socket);
            connection.run(reader, writer, stopping).await
        }
    };
    let ended = match ran {
        Ok(()) if connection.stage == Stage::Over => end_session(&wanted).await,
        Ok(()) => return Ended::Stopped,
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => Ended::Over,
        Err(error) => Ended::Broke {
            brought: connection.epoch.settled() > 0,
            error,
        },
    }
}

/// Ends a session: a connection that leaves none behind begins without the one before (section 3.1.2.4).
async fn end_session(wanted: &Wanted) -> Result<(), LinkError> {
    let connecting = Publishing::new(&wanted.options, &wanted.client_id);
    connecting.await.map(drop)
}

const fn broke(error: LinkError) -> Ended {
    Ended::Broke {
        brought: false,
        error,
    }
}

/// Writes something, or flushes if there is nothing; whether there may be something to flush.
///
/// # Cancel safety
/// Cancelling loses nothing.
async fn write_or_flush(
    writer: &mut (impl AsyncWrite + Unpin),
    out: &mut BytesMut,
) -> io::Result<bool> {
    if out.is_empty() {
        writer.flush().await?;
        return Ok(false);
    }
    writer.write_buf(out).await?;
    Ok(true)
}

/// How far the introduction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    AwaitsConnAck,
    AwaitsSubAck,
    Subscribed,
    /// Nothing new is to come; what the broker has kept came last, and was acknowledged, then.
    ReadsOut(Instant),
    /// Nothing has come for a while.
    Over,
}

/// How long nothing may come of a session that is read out, after the last that came is acknowledged and
/// again after the broker has answered, until it is taken for empty.
const READ_OUT_AFTER: Duration = Duration::from_secs(3);

/// Whether the broker has answered since the last message of a session that is read out: what it had to
/// send before comes before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    NotAsked,
    Awaited,
    Given,
}

/// What is said of a link over which nothing comes again.
const LOSES: &str = "the broker grants QoS 0 only: what is under way when the link breaks, or comes while we \
                     are away, is lost";

/// What is said of a link whose session the broker keeps for less long than it was asked to (5.0:
/// section 3.2.2.3.2).
fn forgets(session_s: u32, asked_s: u32) -> String {
    format!(
        "the broker keeps the session for {session_s} s only, and not for the {asked_s} s of \
         `session_s`: what comes while we are away for longer is lost"
    )
}

/// What is said of a link that takes what a session holds which is not configured any more.
const LEFT: &str = "this session is not configured any more: what the broker has kept for it is read, and it is \
                    ended";

/// What was passed over of what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// Nothing: no message that is too long stands there.
    Nothing,
    /// All that there is; the rest of a message that is too long is to come.
    Part,
    /// A message that is too long, to its end.
    Message,
}

/// An acknowledgement that is owed once so many messages are durable.
#[derive(Debug, Clone, Copy)]
struct Owed {
    upto: u64,
    by: Delivery,
    /// Whether it is for a message of quality 2 that came again.
    is_again: bool,
}

struct Connection<'a> {
    wanted: &'a Wanted,
    version: Version,
    epoch: Epoch,
    stage: Stage,
    /// Whether the broker kept the session of a connection before.
    is_session_kept: bool,
    /// For how long the broker keeps it while we are away, if it says so.
    session_s: Option<u32>,
    owed: VecDeque<Owed>,
    /// How many of these are for messages that came again.
    owed_again: usize,
    exactly_once: ExactlyOnce,
    received: BytesMut,
    /// What is being passed over.
    oversized: Option<Oversized>,
    out: BytesMut,
    /// Whether something was written that TLS may hold still.
    unflushed: bool,
    keep_alive: KeepAlive,
    stopping: bool,
    /// Why it is left, once the door has all that it brought.
    leaves_for: Option<LinkError>,
    /// Filters that the broker may have and that are not wanted, until it is told.
    unwanted: Vec<String>,
    /// Of a session that is read out: whether all that came is acknowledged,
    was_settled: bool,
    /// and whether the broker has said that nothing is left.
    answer: Answer,
}

impl<'a> Connection<'a> {
    fn new(wanted: &'a Wanted, entrance: &Entrance) -> Self {
        let version = wanted.options.version;
        let mut out = BytesMut::new();
        version.put_connect(&mut out, &wanted.client_id, &wanted.options);
        Self {
            wanted,
            version,
            epoch: Epoch::new(entrance, Adapter::MqttBroker, wanted.link.name()),
            stage: Stage::AwaitsConnAck,
            is_session_kept: false,
            session_s: None,
            owed: VecDeque::new(),
            owed_again: 0,
            leaves_for: None,
            exactly_once: ExactlyOnce::default(),
            received: BytesMut::new(),
            oversized: None,
            out,
            unflushed: false,
            keep_alive: KeepAlive::new(wanted.options.keep_alive, Instant::now()),
            stopping: false,
            unwanted: Vec::new(),
            was_settled: false,
            answer: Answer::NotAsked,
        }
    }

    /// Serves the socket until it ends, or until told to stop and nothing is owed any more.
    async fn run(
        &mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), LinkError> {
        loop {
            self.take()?;
            self.epoch.hand_over()?;
            self.acknowledge();
            self.reply();
            if let Some(error) = self.leaves_for.take_if(|_| self.epoch.outside() == 0) {
                return Err(error);
            }
            if self.stopping && self.out.is_empty() && self.epoch.in_flight() == 0 {
                packets::put_disconnect(&mut self.out);
                // The broker may be gone already: its session is as it was in any case.
                let _ = writer.write_all_buf(&mut self.out).await;
                let _ = writer.shutdown().await;
                return Ok(());
            }
            if self.reads_out() && self.is_read_out(Instant::now()) {
                self.stage = Stage::Over;
                self.stopping = true;
                continue;
            }
            let reads = !self.stopping && self.leaves_for.is_none() && self.has_room();
            if !reads {
                self.keep_alive.does_not_listen(Instant::now());
            }
            self.received.reserve(READ_BYTES);
            let (gives_up, reads_out) = (!self.unwanted.is_empty(), self.reads_out());
            let read_out_at = self.read_out_at();
            // Each of these is cancel safe: nothing is read, written or settled when another wins.
            tokio::select! {
                read = reader.read_buf(&mut self.received), if reads => {
                    match read.map_err(|error| self.of_read(error))? {
                        0 if self.stage == Stage::AwaitsConnAck => return Err(LinkError::NotLetIn),
                        0 => return Err(LinkError::Closed),
                        _ => self.keep_alive.heard(),
                    }
                }
                unflushed = write_or_flush(&mut writer, &mut self.out),
                    if self.unflushed || !self.out.is_empty() =>
                {
                    self.unflushed = unflushed.map_err(LinkError::of_socket)?;
                    if self.unflushed {
                        self.keep_alive.said(Instant::now());
                    }
                }
                progress = self.epoch.progress() => progress?,
                () = sleep_until(self.keep_alive.due()) => self.ask()?,
                () = self.wanted.all_have_subscribed(), if gives_up => {
                    let unwanted = mem::take(&mut self.unwanted);
                    packets::put_unsubscribe(self.version, &mut self.out, &unwanted);
                }
                () = sleep_until(read_out_at), if reads_out => {}
                () = told(&mut stopping), if !self.stopping => {
                    self.stopping = true;
                }
            }
        }
    }

    const fn reads_out(&self) -> bool {
        matches!(self.stage, Stage::ReadsOut(_))
    }

    /// When a session that is read out is taken for empty.
    fn read_out_at(&self) -> Instant {
        match self.stage {
            Stage::ReadsOut(came) => came + READ_OUT_AFTER,
            _ => Instant::now() + READ_OUT_AFTER,
        }
    }

    /// Whether nothing is left. The time runs anew while something is not acknowledged, and when the
    /// broker is asked whether it is there.
    fn is_read_out(&mut self, now: Instant) -> bool {
        // The rest of a message may be slow to come.
        let is_whole = self.received.is_empty() && self.oversized.is_none();
        let is_written = self.out.is_empty() && !self.unflushed;
        let is_settled = self.epoch.in_flight() == 0 && is_whole && is_written;
        if !is_settled || !self.was_settled {
            self.stage = Stage::ReadsOut(now);
        }
        self.was_settled = is_settled;
        if now < self.read_out_at() {
            return false;
        }
        if self.answer == Answer::NotAsked {
            packets::put_pingreq(&mut self.out);
            self.answer = Answer::Awaited;
        }
        self.stage = Stage::ReadsOut(now);
        self.answer == Answer::Given
    }

    /// A broker that is asked for what it does not speak may reset the connection.
    fn of_read(&self, error: io::Error) -> LinkError {
        let is_reset = error.kind() == io::ErrorKind::ConnectionReset;
        match is_reset && self.stage == Stage::AwaitsConnAck {
            true => LinkError::NotLetIn,
            false => LinkError::of_socket(error),
        }
    }

    fn has_room(&self) -> bool {
        // One more than a broker of version 5 was told, or an answer to a ping would not be read.
        let inflight_max = u64::from(self.wanted.options.inflight_max) + 1;
        self.epoch.has_room(inflight_max)
    }

    /// Says that we are there, and asks whether the broker is; one that does not answer is left.
    fn ask(&mut self) -> Result<(), LinkError> {
        let now = Instant::now();
        if self.keep_alive.is_over(now) {
            return Err(LinkError::Silent);
        }
        // What waits to be written says so too, and nothing may be said before we are let in.
        if self.out.is_empty() && self.stage != Stage::AwaitsConnAck {
            packets::put_pingreq(&mut self.out);
        }
        self.keep_alive.asked(now);
        Ok(())
    }

    /// Takes the packets that were received and have room.
    fn take(&mut self) -> Result<(), LinkError> {
        while self.has_room() && !self.stopping && self.leaves_for.is_none() {
            match self.pass_over()? {
                Passed::Nothing => {}
                Passed::Part => break,
                Passed::Message => continue,
            }
            let Some(packet) = self.version.read(&mut self.received)? else {
                break;
            };
            match packet {
                Packet::ConnAck {
                    session_present,
                    refused,
                    keep_alive_s,
                    receive_max: _,
                    session_s,
                } => {
                    if let Some(reason) = refused {
                        return Err(LinkError::Refused(reason));
                    }
                    self.session_s = session_s;
                    self.let_in(session_present, keep_alive_s)?;
                }
                Packet::SubAck(granted) => self.subscribed(&granted)?,
                Packet::UnsubAck { refused } => self.unsubscribed(refused.as_deref())?,
                Packet::Publish(message) => self.take_message(&message)?,
                Packet::PingResp if self.answer == Answer::Awaited => self.answer = Answer::Given,
                Packet::PingResp => {}
                Packet::PubRel(packet_id) => self.released(packet_id)?,
                Packet::PubAck(..) => return Err(LinkError::Unexpected("PUBACK")),
                Packet::Disconnect(reason) => return Err(LinkError::Disconnected(reason)),
                Packet::TakenOver => return Err(LinkError::TakenOver),
                Packet::Unexpected(what) => return Err(LinkError::Unexpected(what)),
            }
        }
        Ok(())
    }

    fn let_in(&mut self, session: bool, keep_alive_s: Option<u16>) -> Result<(), LinkError> {
        if self.stage != Stage::AwaitsConnAck {
            return Err(LinkError::Unexpected("CONNACK"));
        }
        self.stage = Stage::AwaitsSubAck;
        if let Some(seconds @ 1..) = keep_alive_s {
            self.keep_alive.shorten(Duration::from_secs(seconds.into()));
        }
        self.is_session_kept = session;
        let Wanted {
            options, client_id, ..
        } = self.wanted;
        self.wanted.sessions.let_in(options, client_id);
        match &self.wanted.purpose {
            Purpose::Reads { filters } => {
                telemetry::broker_session(self.wanted.link.name(), session);
                // Also where the broker has a session: the filters may be others than then.
                self.version.put_subscribe(&mut self.out, filters);
            }
            // What was in it is gone.
            Purpose::Ends { filters } if !session || filters.is_empty() => {
                self.stage = Stage::ReadsOut(Instant::now());
            }
            Purpose::Ends { filters } => {
                self.stage = Stage::Subscribed;
                self.wanted.link.up_but(LEFT);
                self.unwanted.clone_from(filters);
            }
        }
        Ok(())
    }

    fn subscribed(&mut self, granted: &[Granted]) -> Result<(), LinkError> {
        let Purpose::Reads { filters } = &self.wanted.purpose else {
            return Err(LinkError::Unexpected("SUBACK"));
        };
        if self.stage != Stage::AwaitsSubAck || granted.len() != filters.len() {
            return Err(LinkError::Unexpected("SUBACK"));
        }
        let filters = filters.iter().zip(granted);
        let refused: Vec<_> = filters
            .filter(|(_, granted)| **granted == Granted::Nothing)
            .collect();
        if let Some((filter, _)) = refused.first() {
            return Err(LinkError::Subscription((*filter).clone()));
        }
        self.stage = Stage::Subscribed;
        let asked_s = self.wanted.options.session_s;
        match self.session_s.filter(|session_s| *session_s < asked_s) {
            _ if granted.contains(&Granted::AtMostOnce) => self.wanted.link.up_but(LOSES),
            Some(session_s) => self.wanted.link.up_but(forgets(session_s, asked_s)),
            None => self.wanted.link.up(),
        }
        self.wanted.note_subscribed();
        if self.is_session_kept {
            self.unwanted = self.wanted.others();
        } else {
            self.wanted.note_filters();
        }
        Ok(())
    }

    /// The broker has heard what is not asked for any more. What it goes on with is passed over, and
    /// given up again at the next start.
    fn unsubscribed(&mut self, refused: Option<&str>) -> Result<(), LinkError> {
        if self.stage != Stage::Subscribed {
            return Err(LinkError::Unexpected("UNSUBACK"));
        }
        if let Some(why) = refused {
            telemetry::broker_unsubscription_refused(self.wanted.link.name(), why);
        }
        match self.wanted.purpose {
            Purpose::Reads { .. } if refused.is_some() => {}
            Purpose::Reads { .. } => self.wanted.note_filters(),
            // It is ended with its filters.
            Purpose::Ends { .. } => self.stage = Stage::ReadsOut(Instant::now()),
        }
        Ok(())
    }

    /// Takes a message. Those of a session that the broker kept may come before SUBACK.
    fn take_message(&mut self, message: &Message) -> Result<(), LinkError> {
        if self.stage == Stage::AwaitsConnAck {
            return Err(LinkError::Unexpected("PUBLISH"));
        }
        self.something_came();
        if self.has_already(message.delivery, message.duplicate)? {
            return Ok(());
        }
        let attributes = message.event.iter();
        let event: Vec<_> = attributes
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let read = formats::Message {
            topic: message.topic.as_str(),
            payload: &message.payload,
            content_type: message.content_type.as_deref(),
            event: &event,
            ..formats::Message::default()
        };
        match self.unwanted(read, message.retained) {
            Some(why) => self.epoch.pass_over(why),
            None => self.epoch.take(read),
        }
        self.owe(message.delivery, message.duplicate);
        Ok(())
    }

    /// The session that is read out was not empty.
    fn something_came(&mut self) {
        if self.reads_out() {
            self.stage = Stage::ReadsOut(Instant::now());
            self.answer = Answer::NotAsked;
        }
    }

    /// Whether a message of quality 2 is one that came over this connection before and is not released
    /// (section 4.3.3): it is passed over, and answered. One that says that it does not come again is another
    /// one: a broker may have given up the first, and readings are known by their ids. Then the first is
    /// answered no more: its PUBREC would be the other's, which need not be durable.
    fn has_already(&mut self, delivery: Delivery, duplicate: bool) -> Result<bool, LinkError> {
        let Delivery::ExactlyOnce(packet_id) = delivery else {
            return Ok(false);
        };
        let receipt = self.exactly_once.receive(packet_id);
        if receipt == Receipt::New {
            return Ok(false);
        }
        if !duplicate {
            self.exactly_once.renew(packet_id);
            self.owed.retain(|owed| owed.by != delivery);
            self.owed_again = self.owed.iter().filter(|owed| owed.is_again).count();
            return Ok(false);
        }
        self.epoch.pass_over("received_already");
        match receipt {
            Receipt::Recorded => {
                self.has_room_for_answers("more messages again than it reads answers")?;
                packets::put_pubrec(&mut self.out, packet_id);
                telemetry::broker_redelivered(1);
            }
            Receipt::New | Receipt::Awaited => {
                self.owe(delivery, duplicate);
                if let Some(owed) = self.owed.back_mut() {
                    owed.is_again = true;
                    self.owed_again += 1;
                }
            }
        }
        Ok(true)
    }

    /// Whether so few answers wait that a broker may ask for another at once.
    fn has_room_for_answers(&self, what: &'static str) -> Result<(), LinkError> {
        match self.out.len() < ANSWERS_BYTES_MAX {
            true => Ok(()),
            false => Err(LinkError::Unexpected(what)),
        }
    }

    /// Why a message is of no use here, in a word to count by.
    fn unwanted(&mut self, message: formats::Message<'_>, retained: bool) -> Option<&'static str> {
        if !self.wanted.chosen.has(message.topic) {
            return Some("not_subscribed");
        }
        if let Some(why) = self.epoch.is_nothing(message) {
            return Some(why);
        }
        // One of version 5 sends what it keeps of a topic for a new subscription only, as it was
        // asked to. One of 3.1.1 cannot be asked: it does so at each connection, and what says no
        // time of its own would be news each time, what cannot be read a dead letter. The rest is
        // known again by what it says, or was published while we were away at quality 0, or on a
        // topic that we have not read before.
        let is_repeated = retained && self.is_session_kept && self.version == Version::V311;
        (is_repeated && !self.epoch.is_known_again(message)).then_some("retained")
    }

    /// Passes over a message that is too long, as far as it has come.
    fn pass_over(&mut self) -> Result<Passed, LinkError> {
        let mut oversized = match self.oversized.take() {
            Some(oversized) => oversized,
            None => match Oversized::ahead(self.version, &self.received)? {
                Ahead::Other => return Ok(Passed::Nothing),
                Ahead::Part => return Ok(Passed::Part),
                Ahead::Oversized(oversized) => oversized,
            },
        };
        if !oversized.pass_over(&mut self.received) {
            self.oversized = Some(oversized);
            return Ok(Passed::Part);
        }
        self.take_oversized(&oversized)?;
        Ok(Passed::Message)
    }

    /// Takes a message that was passed over.
    fn take_oversized(&mut self, oversized: &Oversized) -> Result<(), LinkError> {
        if self.stage == Stage::AwaitsConnAck {
            return Err(LinkError::Unexpected("PUBLISH"));
        }
        let Oversized {
            topic,
            beginning,
            payload_bytes,
            delivery,
            duplicate,
            ..
        } = oversized;
        if self.has_already(*delivery, *duplicate)? {
            return Ok(());
        }
        let reject = oversized.reject();
        self.epoch
            .take_beginning(topic, &reject, beginning, *payload_bytes);
        self.owe(*delivery, *duplicate);
        Ok(())
    }

    /// Owes the acknowledgement of the message that was taken last, if it wants one.
    fn owe(&mut self, by: Delivery, duplicate: bool) {
        if duplicate {
            telemetry::broker_redelivered(1);
        }
        if by != Delivery::Unacknowledged {
            let upto = self.epoch.decoded();
            let is_again = false;
            self.owed.push_back(Owed { upto, by, is_again });
        }
    }

    /// Writes the acknowledgements of what has become durable.
    fn acknowledge(&mut self) {
        let settled = self.epoch.settled();
        while let Some(owed) = self.owed.pop_front_if(|owed| owed.upto <= settled) {
            self.owed_again -= usize::from(owed.is_again);
            self.answer(owed);
        }
        if self.owed_again > 0 {
            self.answer_again();
        }
    }

    /// Writes what is owed for messages that came again and of which the first was answered: their turn
    /// may come behind PUBCOMP.
    fn answer_again(&mut self) {
        let mut owed = mem::take(&mut self.owed);
        owed.retain(|owed| {
            let is_due = match owed.by {
                Delivery::ExactlyOnce(packet_id) => {
                    owed.is_again && self.exactly_once.again(packet_id) != Receipt::Awaited
                }
                Delivery::Unacknowledged | Delivery::Acknowledged(_) => false,
            };
            if is_due {
                self.owed_again -= 1;
                self.answer(*owed);
            }
            !is_due
        });
        self.owed = owed;
    }

    /// Writes what was owed.
    fn answer(&mut self, owed: Owed) {
        match owed.by {
            Delivery::Unacknowledged => {}
            Delivery::Acknowledged(packet_id) => packets::put_puback(&mut self.out, packet_id),
            Delivery::ExactlyOnce(packet_id) => {
                self.exactly_once.record(packet_id);
                packets::put_pubrec(&mut self.out, packet_id);
            }
        }
    }

    /// The broker has heard PUBREC. One that is not held is answered too: it was heard on an earlier
    /// connection.
    fn released(&mut self, packet_id: u16) -> Result<(), LinkError> {
        if self.stage == Stage::AwaitsConnAck {
            return Err(LinkError::Unexpected("PUBREL"));
        }
        self.something_came();
        self.has_room_for_answers("more PUBRELs than it reads answers")?;
        match self.exactly_once.release(packet_id) {
            // To answer would be to say that the message is durable. It does not come again: the door has to
            // have it before the broker is left.
            Release::TooEarly => {
                self.leaves_for = Some(LinkError::Unexpected("PUBREL before PUBREC"));
            }
            Release::Released | Release::Unknown => packets::put_pubcomp(&mut self.out, packet_id),
        }
        Ok(())
    }

    /// Writes what messages want said back.
    fn reply(&mut self) {
        while self.out.len() < UNWRITTEN_BYTES_MAX
            && let Some(reply) = self.epoch.next_reply()
        {
            if !self.version.put_publish(&mut self.out, &reply) {
                telemetry::replies_dropped(1);
            }
        }
    }
}
