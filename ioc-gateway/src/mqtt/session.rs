//! One client's session: what its packets mean, and what it is owed.
//!
//! Arrives: the bytes of its socket. Leaves: decoded inputs to hand over, and bytes to write back.
//! Promise: each PUBLISH becomes a reading or a dead letter, in order (one that a mapping reads, as
//! many as it holds); a PUBACK or PUBREC is written only when all of it is durable, in the order of
//! the messages (section 4.6), however many at once; one of version 5 says if there is no reading.
//! No session outlives its connection. Not here: sockets and time (`connection.rs`).

mod aliases;
pub(super) mod message;
mod outbox;
mod oversized;
mod subscriptions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use self::aliases::Aliases;
use self::outbox::Outbox;
use self::oversized::Oversized;
use super::admission::{Client, receive_max};
use super::budget::Holding;
use super::close::CloseReason;
use super::codec::{
    self, Answer, AnswerKind, Malformed, Packet, Publish, Qos, Split, TooLong, Version,
};
use super::deliveries::{Deliveries, Delivery, Message, Subscription, Takes, TopicError};
use super::registry::ClientKey;
use crate::catalogue::Catalogue;
use crate::door::{Counts, Door, Encoded, Inputs, Lane};
use crate::exactly_once::{ExactlyOnce, Receipt, Release};
use crate::formats::{self, Reason, Reply, Workspace};
use crate::options::MqttOptions;
use crate::rights::Rights;
use crate::telemetry::{self, Adapter};

/// What stands between a client's identifier and its user.
const AS_USER: &str = " as ";

/// How long what a decoder wants said back waits for a device that is not there.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(60);

/// How many answers may be owed: as many as there are packet identifiers. What was folded is in no
/// record of its own and is answered all the same, so these may be far more than the inputs kept.
const OWED_MAX: usize = 65_535;
/// From how much room on for answers it is given back once none is owed.
const OWED_ROOM_KEPT: usize = 256;

/// A PUBACK or PUBREC that is owed once so many inputs of the connection are durable: all that
/// were decoded up to its message, in both lanes, so that answers leave in the order of the messages.
#[derive(Debug, Clone, Copy)]
struct Owed {
    inputs: Counts,
    packet_id: u16,
    kind: AnswerKind,
    /// Whether it is for a message of quality 2 that came again.
    is_again: bool,
    /// Why the message is a dead letter. Not a sentence: thousands of these may wait.
    refused: Option<Reason>,
}

/// What is left out of the telemetry that was handed over at once.
#[derive(Debug, Clone, Copy)]
struct LeftOut {
    /// How many inputs of that lane the connection had handed over with it.
    upto: u64,
    count: u64,
}

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    options: Arc<MqttOptions>,
    deliveries: Deliveries,
    takes: Takes,
    rights: Rights,
    /// Whether it is a broker that speaks for others.
    is_bridge: bool,
    /// Whether a PUBACK may say its reason as a word.
    wants_problems: bool,
    aliases: Aliases,
    /// The message that is being passed over.
    oversized: Option<Oversized>,
    /// Who sends: `mqtt`, the client's identifier, and the user if there is one.
    source: String,
    workspace: Workspace,
    /// Decoded and not yet handed over.
    inputs: Inputs,
    /// How many inputs were handed over since the connection began.
    handed_over: Counts,
    /// How many of them are durable.
    settled: Counts,
    /// What folding left out of the telemetry that was handed over and is not durable.
    left_out: VecDeque<LeftOut>,
    /// How many readings those are.
    left_out_count: u64,
    /// Whether telemetry waits for the door and is folded meanwhile.
    pub folds: bool,
    owed: VecDeque<Owed>,
    /// How many of these are for messages that came again.
    owed_again: usize,
    exactly_once: ExactlyOnce,
    /// Who counts what waits in its queue.
    pub holding: Option<Arc<Holding>>,
    /// To be written to the socket.
    pub out: BytesMut,
    /// What is on its way to the client. Dropped before the subscription, to which it gives back
    /// what was not written.
    pub outbox: Outbox,
    /// Made when the client first subscribes.
    pub subscription: Option<Subscription>,
}

/// What one pass over the received bytes found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Whole packets.
    pub packets: u32,
    readings: u32,
    redelivered: u32,
    /// Messages that were taken for others, whose packet identifier they have.
    reused: u32,
}

impl Session {
    /// The session of a client that was let in.
    pub fn new(
        client: &Client,
        options: Arc<MqttOptions>,
        deliveries: Deliveries,
        inputs: Inputs,
    ) -> Self {
        let takes = Takes {
            version: client.version,
            packet_bytes_max: client.packet_bytes_max,
        };
        let window = client.receive_max.min(options.unacknowledged_max.max(1));
        Self {
            deliveries,
            takes,
            rights: client.rights.clone(),
            is_bridge: client.is_bridge,
            outbox: Outbox::new(takes, window),
            wants_problems: client.wants_problems,
            aliases: Aliases::new(options.topic_alias_max),
            oversized: None,
            source: source(&client.key),
            workspace: Workspace::default(),
            inputs,
            handed_over: Counts::default(),
            settled: Counts::default(),
            left_out: VecDeque::new(),
            left_out_count: 0,
            folds: false,
            owed: VecDeque::new(),
            owed_again: 0,
            exactly_once: ExactlyOnce::default(),
            holding: None,
            out: BytesMut::new(),
            subscription: None,
            options,
        }
    }

    /// Takes whole packets off the received bytes, as many as there is room for.
    pub fn take(
        &mut self,
        received: &mut BytesMut,
        catalogue: &Catalogue,
    ) -> (Taken, Result<(), CloseReason>) {
        let mut taken = Taken::default();
        let mut bytes = &received[..];
        // A reading takes no more as a record than as JSON.
        self.inputs.reserve(received.len());
        self.inputs.at(tokio::time::Instant::now());
        let mut result = Ok(true);
        while result == Ok(true) && self.has_room() {
            result = self.take_one(&mut bytes, catalogue, &mut taken);
        }
        let rest = bytes.len();
        received.advance(received.len() - rest);
        telemetry::readings_decoded(Adapter::Mqtt, taken.readings);
        telemetry::urgent_demoted(Adapter::Mqtt, &self.source, self.inputs.take_demoted());
        if taken.redelivered > 0 {
            telemetry::mqtt_redelivered(taken.redelivered);
        }
        (taken, result.map(drop))
    }

    /// Takes a packet off the bytes; whether there may be another behind it.
    fn take_one(
        &mut self,
        bytes: &mut &[u8],
        catalogue: &Catalogue,
        taken: &mut Taken,
    ) -> Result<bool, CloseReason> {
        if let Some(oversized) = &mut self.oversized {
            *bytes = oversized.pass_over(bytes);
            if !oversized.is_over() {
                return Ok(false);
            }
            self.put_oversized_aside(taken);
            return Ok(true);
        }
        match codec::split(bytes, self.options.packet_bytes_max) {
            Ok(Split::Frame(frame, length)) => {
                *bytes = &bytes[length..];
                taken.packets += 1;
                let version = self.takes.version;
                // Nearly all are messages: these are not made a packet of any kind first.
                match frame.publish(version) {
                    Some(publish) => {
                        let publish = publish.map_err(CloseReason::Malformed)?;
                        self.publish(&publish, catalogue, taken)?;
                    }
                    None => {
                        let packet = frame.decode(version).map_err(CloseReason::Malformed)?;
                        self.take_packet(&packet)?;
                    }
                }
                Ok(true)
            }
            Ok(Split::Part) => Ok(false),
            Ok(Split::TooLong(claim)) => self.take_too_long(claim, bytes),
            Err(malformed) => Err(CloseReason::Malformed(malformed)),
        }
    }

    /// Whether more may be taken: of what is not durable, not handed over, not answered and not
    /// written, none is at its bound.
    pub fn has_room(&self) -> bool {
        let decoded_bytes_max = match self.folds {
            true => self.options.folded_bytes_max,
            false => self.options.decoded_bytes_max,
        };
        // A message of quality 2 that comes again is owed an answer, and adds no input.
        let owed_max = (self.in_flight_max() + self.left_out()).min(OWED_MAX as u64 - 1);
        self.kept() < self.in_flight_max()
            && self.owed.len() as u64 <= owed_max
            && self.inputs.bytes() < decoded_bytes_max
            && self.out.len() < self.options.unwritten_bytes_max
    }

    /// How many inputs are kept that are not durable: those that were decoded but for what folding
    /// left out, of which nothing but an answer is kept.
    fn kept(&self) -> u64 {
        self.in_flight() - self.left_out()
    }

    /// How many inputs that are not durable folding left out.
    fn left_out(&self) -> u64 {
        self.left_out_count + u64::from(self.inputs.left_out())
    }

    /// In version 5 one more than the client was told, to see whether it obeys.
    fn in_flight_max(&self) -> u64 {
        self.options.inflight_max as u64 + u64::from(self.takes.version == Version::V5)
    }

    /// Whether decisions may be written: they leave room for answers.
    pub fn has_room_for_decisions(&self) -> bool {
        self.out.len() < self.options.unwritten_bytes_max / 2 && self.outbox.has_room_for_decision()
    }

    /// The DISCONNECT to end with, if the client can be told the reason.
    pub fn farewell(&self, reason: CloseReason) -> Option<BytesMut> {
        let code = match self.takes.version {
            Version::V311 => None,
            Version::V5 => reason.code(),
        };
        let (mut packet, code) = (BytesMut::new(), code?);
        codec::put_disconnect(&mut packet, code, Some(reason.word()));
        if packet.len() > self.takes.packet_bytes_max {
            packet.clear();
            codec::put_disconnect(&mut packet, code, None);
        }
        Some(packet)
    }

    /// How many inputs were decoded and are not durable.
    pub fn in_flight(&self) -> u64 {
        self.decoded().total() - self.settled.total()
    }

    /// How many inputs were decoded since the connection began.
    fn decoded(&self) -> Counts {
        self.handed_over + self.inputs.counts()
    }

    /// How many inputs are durable, as far as was told.
    pub const fn settled(&self) -> Counts {
        self.settled
    }

    /// The decoded inputs of a lane that were not handed over yet, and how many of that lane the
    /// connection has handed over with them; `None` if there are none.
    pub fn take_inputs(&mut self, lane: Lane) -> Option<(Encoded, u64)> {
        let inputs = self.inputs.take(lane);
        if inputs.is_empty() {
            return None;
        }
        let handed_over = self.handed_over.of_mut(lane);
        *handed_over += u64::from(inputs.count());
        let (upto, count) = (*handed_over, u64::from(inputs.left_out()));
        if count > 0 {
            debug_assert_eq!(lane, Lane::Telemetry, "nothing else is folded");
            self.left_out.push_back(LeftOut { upto, count });
            self.left_out_count += count;
        }
        Some((inputs, upto))
    }

    /// Folds the telemetry that waits for the door, if that is worth it; whether it was. What was
    /// folded is folded again with what came since: only if that is half as much, or where nothing
    /// more can be taken a seventh.
    pub fn fold(&mut self) -> bool {
        let (least, bytes) = (self.options.decoded_bytes_max / 4, self.inputs.bytes());
        let unfolded_min = match self.has_room() {
            true => least.max(bytes / 3),
            false => 1.max(bytes / 8),
        };
        let left_out = self.inputs.fold(unfolded_min);
        telemetry::readings_folded(Adapter::Mqtt, left_out);
        left_out > 0
    }

    /// How many bytes the decoded inputs have that were not handed over.
    pub const fn decoded_bytes(&self) -> usize {
        self.inputs.bytes()
    }

    /// How many bytes the answers take that are owed.
    pub fn owed_bytes(&self) -> usize {
        self.owed.len() * size_of::<Owed>()
    }

    /// How many decoded inputs were not handed over.
    pub const fn not_handed_over(&self) -> u32 {
        self.inputs.count()
    }

    /// Owes no longer what has become durable: writes the PUBACKs and PUBRECs.
    pub fn settle(&mut self, settled: Counts) {
        self.settled = settled;
        if settled.telemetry == self.decoded().telemetry {
            self.inputs.is_settled();
        }
        let is_durable = |left_out: &mut LeftOut| left_out.upto <= settled.telemetry;
        while let Some(durable) = self.left_out.pop_front_if(is_durable) {
            self.left_out_count -= durable.count;
        }
        while let Some(owed) = self.owed.pop_front_if(|owed| settled.cover(owed.inputs)) {
            self.owed_again -= usize::from(owed.is_again);
            self.answer(owed);
        }
        if self.owed_again > 0 {
            self.answer_again();
        }
        if self.owed.is_empty() && self.owed.capacity() > OWED_ROOM_KEPT {
            self.owed = VecDeque::new();
        }
    }

    /// Writes what is owed for messages that came again and of which the first was answered: their turn
    /// may come behind PUBCOMP.
    fn answer_again(&mut self) {
        let mut owed = std::mem::take(&mut self.owed);
        owed.retain(|owed| {
            let is_due =
                owed.is_again && self.exactly_once.again(owed.packet_id) != Receipt::Awaited;
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
        let (kind, packet_id) = (owed.kind, owed.packet_id);
        // Of a message that was refused the client has forgotten the identifier: another one may have it.
        if owed.is_again && self.exactly_once.again(packet_id) == Receipt::New {
            return;
        }
        match owed.refused {
            None => codec::put_answer(&mut self.out, kind, packet_id),
            Some(reason) => self.put_refused(kind, packet_id, reason),
        }
        if kind == AnswerKind::Received {
            match owed.refused {
                None => self.exactly_once.record(packet_id),
                Some(_) => self.exactly_once.forget(packet_id),
            }
        }
    }

    /// Writes a decision, and those that wait behind it.
    pub fn put_decision(&mut self, message: &Message) {
        self.put_message(message);
        while self.has_room_for_decisions() {
            let waiting = self.subscription.as_mut().and_then(Subscription::try_next);
            let Some(message) = waiting else { break };
            self.put_message(&message);
        }
    }

    fn put_message(&mut self, message: &Message) {
        let at = self.out.len();
        self.out.extend_from_slice(&message.packet);
        self.out[at] |= u8::from(message.retain);
        if let Some(place) = message.packet_id_at {
            let packet_id = self.outbox.number().to_be_bytes();
            self.out[at + place..][..2].copy_from_slice(&packet_id);
        }
    }

    /// Takes any packet but a message.
    fn take_packet(&mut self, packet: &Packet<'_>) -> Result<(), CloseReason> {
        match packet {
            Packet::Subscribe(subscribe) => return self.subscribe(*subscribe),
            Packet::Unsubscribe(unsubscribe) => return self.unsubscribe(*unsubscribe),
            Packet::PingReq => codec::put_pingresp(&mut self.out),
            Packet::Disconnect { code: 0x80.. } => return Err(CloseReason::ClientComplained),
            Packet::Disconnect { code: 0 } => return Err(CloseReason::ClientDisconnected),
            Packet::Disconnect { .. } => return Err(CloseReason::ClientLeftItsWill),
            Packet::Connect(_) | Packet::ConnectOtherVersion { .. } => {
                return Err(CloseReason::PacketUnexpected);
            }
            Packet::Answer(answer) => return self.answered(*answer),
            Packet::Auth => return Err(CloseReason::PacketUnexpected),
            Packet::Publish(_) => unreachable!("a message is taken by itself"),
        }
        Ok(())
    }

    /// The client answers about a message: about one of ours, of which none is sent in quality 2,
    /// or goes on with one of its own.
    fn answered(&mut self, answer: Answer) -> Result<(), CloseReason> {
        match answer.kind {
            AnswerKind::Acknowledged => {
                self.outbox.acknowledged(answer.packet_id, answer.code);
                Ok(())
            }
            AnswerKind::Released => self.released(answer.packet_id),
            AnswerKind::Received | AnswerKind::Completed => Err(CloseReason::PacketUnexpected),
        }
    }

    /// The client has heard PUBREC. One that was not held is answered too: its PUBREC, if not its
    /// PUBCOMP, was heard on an earlier connection.
    fn released(&mut self, packet_id: u16) -> Result<(), CloseReason> {
        match (self.exactly_once.release(packet_id), self.takes.version) {
            (Release::TooEarly, _) => return Err(CloseReason::PacketUnexpected),
            (Release::Unknown, Version::V5) => {
                codec::put_completed_unknown(&mut self.out, packet_id);
            }
            (Release::Released | Release::Unknown, _) => {
                codec::put_answer(&mut self.out, AnswerKind::Completed, packet_id);
            }
        }
        Ok(())
    }

    fn publish(
        &mut self,
        publish: &Publish<'_>,
        catalogue: &Catalogue,
        taken: &mut Taken,
    ) -> Result<(), CloseReason> {
        self.check_may_publish(publish)?;
        taken.redelivered += u32::from(publish.duplicate);
        if let Qos::Two(packet_id) = publish.qos {
            // Also one that adds nothing may give its topic a number.
            self.aliases.topic_of(publish)?;
            if self.has_already(packet_id, publish.duplicate, taken) {
                return Ok(());
            }
        }
        let topic = self.aliases.topic_of(publish)?;
        let event = publish.event();
        let message = formats::Message {
            topic,
            payload: publish.payload,
            content_type: publish.content_type,
            event: &event,
            ..formats::Message::default()
        };
        let (inputs, workspace) = (&mut self.inputs, &mut self.workspace);
        let became = message::append(
            inputs,
            message,
            (&self.source, &self.rights),
            catalogue,
            workspace,
        );
        taken.readings += became.readings;
        self.owe(publish.qos, became.refused);
        self.send_replies();
        Ok(())
    }

    /// When somebody is to be asked for what is missing though nothing comes, if anybody is.
    pub fn due(&self) -> Option<tokio::time::Instant> {
        self.workspace.due()
    }

    /// Asks who is due.
    pub fn look_again(&mut self, door: &Door) {
        let now = tokio::time::Instant::now();
        if self.due().is_some_and(|due| due <= now) {
            self.workspace.look_again(&door.catalogue(), now);
            self.send_replies();
        }
    }

    fn send_replies(&mut self) {
        while let Some(reply) = self.workspace.replies.pop() {
            self.reply(reply);
        }
    }

    /// Sends what a decoder wants said back, to an edge node that is to be born again say. It asks
    /// again when it must: an answer that is late is none.
    fn reply(&self, reply: Reply) {
        match reply.topic.parse() {
            Ok(topic) => self.deliveries.reply(Delivery {
                topic,
                payload: reply.payload,
                content_type: None,
                not_after: Some(Instant::now() + REPLY_WAIT_MAX),
                is_wanted: None,
                told: None,
            }),
            Err(TopicError) => telemetry::replies_dropped(1),
        }
    }

    /// Whether the client keeps to what it was told, or could know.
    fn check_may_publish(&self, publish: &Publish<'_>) -> Result<(), CloseReason> {
        if self.takes.version == Version::V311 {
            return Ok(());
        }
        let is_at_most_once = publish.qos == Qos::Zero;
        let unanswered = self.owed.len() + self.exactly_once.unreleased();
        if !is_at_most_once && unanswered >= usize::from(receive_max(&self.options)) {
            return Err(CloseReason::ReceiveMaxExceeded);
        }
        Ok(())
    }

    /// Owes the answer of the message that was decoded last, if it wants one.
    fn owe(&mut self, qos: Qos, refused: Option<Reason>) {
        let (kind, packet_id) = match qos {
            Qos::Zero => return,
            Qos::One(packet_id) => (AnswerKind::Acknowledged, packet_id),
            Qos::Two(packet_id) => (AnswerKind::Received, packet_id),
        };
        let owed = Owed {
            inputs: self.decoded(),
            packet_id,
            kind,
            is_again: false,
            refused: refused.filter(|_| self.takes.version == Version::V5),
        };
        if self.in_flight() > 0 {
            self.owed.push_back(owed);
        } else {
            // Nothing of it has to become durable; what came before is.
            self.answer(owed);
        }
    }

    /// Begins to pass over a packet that is too long, or ends the session for it.
    fn take_too_long(&mut self, claim: TooLong, bytes: &[u8]) -> Result<bool, CloseReason> {
        if self.takes.version == Version::V5 {
            return Err(CloseReason::Malformed(Malformed::PacketTooLong));
        }
        self.oversized = Oversized::begin(claim, bytes, self.options.packet_bytes_max)?;
        Ok(self.oversized.is_some())
    }

    /// Puts the message aside as a dead letter, now that all of it was passed over.
    fn put_oversized_aside(&mut self, taken: &mut Taken) {
        let Some(oversized) = self.oversized.take() else {
            return;
        };
        taken.packets += 1;
        taken.redelivered += u32::from(oversized.duplicate);
        if let Qos::Two(packet_id) = oversized.qos
            && self.has_already(packet_id, oversized.duplicate, taken)
        {
            return;
        }
        oversized.append(&mut self.inputs, &self.source);
        telemetry::dead_letter(Adapter::Mqtt, Oversized::REASON);
        self.owe(oversized.qos, Some(Oversized::REASON));
    }

    /// Nothing tells a message whose identifier is held from the one that holds it (section 4.3.3):
    /// it is acknowledged and adds nothing. One that is not marked as sent again is another one.
    fn has_already(&mut self, packet_id: u16, duplicate: bool, taken: &mut Taken) -> bool {
        match self.exactly_once.receive(packet_id) {
            Receipt::New => return false,
            Receipt::Awaited => {
                self.owed_again += 1;
                self.owed.push_back(Owed {
                    inputs: self.decoded(),
                    packet_id,
                    kind: AnswerKind::Received,
                    is_again: true,
                    refused: None,
                });
            }
            Receipt::Recorded => {
                codec::put_answer(&mut self.out, AnswerKind::Received, packet_id);
            }
        }
        if !duplicate {
            taken.reused += 1;
            telemetry::mqtt_packet_id_reused(&self.source, packet_id);
        }
        true
    }

    /// The PUBACK or PUBREC of a message that is durable as a dead letter. It ends the message as
    /// one without a reason does: the client does not send it again (5.0: section 4.4).
    fn put_refused(&mut self, kind: AnswerKind, packet_id: u16, reason: Reason) {
        let (code, before) = (refusal_code(reason), self.out.len());
        let word = self.wants_problems.then(|| reason.word());
        codec::put_answer_refused(&mut self.out, kind, packet_id, code, word);
        if self.out.len() - before > self.takes.packet_bytes_max {
            self.out.truncate(before);
            codec::put_answer_refused(&mut self.out, kind, packet_id, code, None);
        }
    }
}

/// Who sends, as journal and dead letters say it.
pub(super) fn source(client: &ClientKey) -> String {
    let (adapter, ClientKey { user, client_id }) = (Adapter::Mqtt.word(), client);
    match user {
        Some(user) => format!("{adapter} {client_id}{AS_USER}{user}"),
        None => format!("{adapter} {client_id}"),
    }
}

/// The user in what [`source`] says, if there was one.
pub(crate) fn user_in(source: &str) -> Option<&str> {
    let client = source
        .strip_prefix(Adapter::Mqtt.word())?
        .strip_prefix(' ')?;
    client.rsplit_once(AS_USER).map(|(_, user)| user)
}

/// What PUBACK and PUBREC say of a dead letter (5.0: sections 3.4.2.1 and 3.5.2.1): whether it was the topic, the
/// sensor that may not publish, or what was published.
const fn refusal_code(reason: Reason) -> u8 {
    match reason {
        Reason::TopicUnknown | Reason::TopicTooLong => 0x90,
        Reason::SensorUnregistered | Reason::SensorNotOfKey | Reason::SensorNotOfUser => 0x87,
        Reason::FeedbackNotAllowed => 0x87,
        Reason::PayloadTooLong | Reason::NotUtf8 | Reason::JsonMalformed => 0x99,
        Reason::NotAnObject | Reason::MemberRepeated | Reason::NestingTooDeep => 0x99,
        Reason::SensorMissing | Reason::SensorInvalid | Reason::SensorNotOfTopic => 0x99,
        Reason::KindMissing | Reason::KindInvalid | Reason::KindMismatch => 0x99,
        Reason::IdInvalid | Reason::ObservedAtMissing | Reason::ObservedAtInvalid => 0x99,
        Reason::ReceivedAtInvalid | Reason::ValueMissing | Reason::ValueNotANumber => 0x99,
        Reason::ValueOverflow | Reason::UnitInvalid | Reason::UnitUnknown => 0x99,
        Reason::UnitMismatch | Reason::PositionInvalid => 0x99,
        Reason::AttributesInvalid | Reason::AttributesTooMany => 0x99,
        Reason::CborMalformed
        | Reason::ProtobufMalformed
        | Reason::XmlMalformed
        | Reason::BirthMissing
        | Reason::BirthsTooMany
        | Reason::ShapeUnexpected
        | Reason::NothingMapped
        | Reason::ItemsTooMany => 0x99,
        Reason::FeedbackInvalid | Reason::FeedbackUnknown => 0x99,
        Reason::HeadersMalformed => 0x99,
    }
}

#[cfg(test)]
mod tests;
