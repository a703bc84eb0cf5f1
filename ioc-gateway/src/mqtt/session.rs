//! One client's session: what its packets mean, and what it is owed.
//!
//! Arrives: the bytes of its socket. Leaves: decoded inputs to hand over, and bytes to write back.
//! Promise: each PUBLISH becomes a reading or a dead letter, in order (one that a mapping reads, as
//! many as it holds); a PUBACK is written only when all of it is durable, in the order of the
//! messages (section 4.6), however many at once; one of version 5 says if there is no reading. No session outlives its
//! connection. Not here: sockets and time (`connection.rs`).

mod aliases;
mod outbox;
mod oversized;
mod subscriptions;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BytesMut};

use self::aliases::Aliases;
use self::outbox::Outbox;
use self::oversized::Oversized;
use super::admission::{Client, receive_max};
use super::close::CloseReason;
use super::codec::{
    self, Answer, AnswerKind, Malformed, Packet, Publish, Qos, Split, TooLong, Version,
};
use super::deliveries::{Deliveries, Message, Subscription, Takes};
use crate::catalogue::Catalogue;
use crate::door::Inputs;
use crate::formats::native;
use crate::formats::{
    self, Origin, Reason, Reject, Sender, Workspace, append_message_of, append_native,
};
use crate::options::{Devices, MqttOptions};
use crate::telemetry::{self, Adapter};

/// A PUBACK that is owed once so many inputs of the connection are durable.
#[derive(Debug, Clone, Copy)]
struct Owed {
    inputs: u64,
    packet_id: u16,
    /// Why the message is a dead letter. Not a sentence: thousands of these may wait.
    refused: Option<Reason>,
}

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    options: Arc<MqttOptions>,
    deliveries: Deliveries,
    takes: Takes,
    devices: Devices,
    /// Whether a PUBACK may say its reason as a word.
    wants_problems: bool,
    aliases: Aliases,
    /// The message that is being passed over.
    oversized: Option<Oversized>,
    /// Who sends: `mqtt` and the client's identifier.
    source: String,
    workspace: Workspace,
    /// Decoded and not yet handed over.
    inputs: Inputs,
    /// How many inputs were decoded since the connection began.
    decoded: u64,
    /// How many of them are durable.
    settled: u64,
    owed: VecDeque<Owed>,
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
}

impl Session {
    /// The session of a client that was let in.
    pub fn new(client: &Client, options: Arc<MqttOptions>, deliveries: Deliveries) -> Self {
        let takes = Takes {
            version: client.version,
            packet_bytes_max: client.packet_bytes_max,
        };
        let window = client.receive_max.min(options.unacknowledged_max.max(1));
        Self {
            deliveries,
            takes,
            devices: client.devices.clone(),
            outbox: Outbox::new(takes, window),
            wants_problems: client.wants_problems,
            aliases: Aliases::new(options.topic_alias_max),
            oversized: None,
            source: format!("{} {}", Adapter::Mqtt.word(), client.key.client_id),
            workspace: Workspace::default(),
            inputs: Inputs::default(),
            decoded: 0,
            settled: 0,
            owed: VecDeque::new(),
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
        let mut result = Ok(true);
        while result == Ok(true) && self.has_room() {
            result = self.take_one(&mut bytes, catalogue, &mut taken);
        }
        let rest = bytes.len();
        received.advance(received.len() - rest);
        telemetry::readings_decoded(Adapter::Mqtt, taken.readings);
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

    /// Whether more may be taken: of what is not durable, not handed over and not written, none
    /// is at its bound.
    pub fn has_room(&self) -> bool {
        self.in_flight() < self.in_flight_max()
            && self.inputs.bytes() < self.options.decoded_bytes_max
            && self.out.len() < self.options.unwritten_bytes_max
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
    pub const fn in_flight(&self) -> u64 {
        self.decoded - self.settled
    }

    /// How many inputs are durable, as far as was told.
    pub const fn settled(&self) -> u64 {
        self.settled
    }

    /// The decoded inputs that were not handed over yet, and how many the connection has handed
    /// over with them; `None` if there are none.
    pub fn take_inputs(&mut self) -> Option<(Inputs, u64)> {
        if self.inputs.is_empty() {
            return None;
        }
        Some((std::mem::take(&mut self.inputs), self.decoded))
    }

    /// How many decoded inputs were not handed over.
    pub const fn not_handed_over(&self) -> u32 {
        self.inputs.count()
    }

    /// Owes no longer what has become durable: writes the PUBACKs.
    pub fn settle(&mut self, settled: u64) {
        self.settled = settled;
        while let Some(owed) = self.owed.pop_front_if(|owed| owed.inputs <= settled) {
            match owed.refused {
                None => codec::put_puback(&mut self.out, owed.packet_id),
                Some(reason) => self.put_refused(owed.packet_id, reason),
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
            Packet::Disconnect { .. } => return Err(CloseReason::ClientDisconnected),
            Packet::Connect(_) | Packet::ConnectOtherVersion { .. } => {
                return Err(CloseReason::PacketUnexpected);
            }
            Packet::Answer(answer) => return self.answered(*answer),
            Packet::Auth => return Err(CloseReason::PacketUnexpected),
            Packet::Publish(_) => unreachable!("a message is taken by itself"),
        }
        Ok(())
    }

    /// The client answers about a message. None is sent in quality 2.
    fn answered(&mut self, answer: Answer) -> Result<(), CloseReason> {
        match answer.kind {
            AnswerKind::Acknowledged => {
                self.outbox.acknowledged(answer.packet_id, answer.code);
                Ok(())
            }
            AnswerKind::Received | AnswerKind::Released | AnswerKind::Completed => {
                Err(CloseReason::PacketUnexpected)
            }
        }
    }

    fn publish(
        &mut self,
        publish: &Publish<'_>,
        catalogue: &Catalogue,
        taken: &mut Taken,
    ) -> Result<(), CloseReason> {
        self.check_may_publish(publish)?;
        let topic = self.aliases.topic_of(publish)?;
        let (inputs, payload) = (&mut self.inputs, publish.payload);
        let before = inputs.count();
        let mut refused = None;
        match native::sensor_of(topic) {
            Some(sensor) => {
                let origin = Origin {
                    source: &self.source,
                    topic,
                };
                let scratch = &mut self.workspace.native;
                match append_native(inputs, payload, Some(sensor), origin, catalogue, scratch) {
                    Ok(()) => taken.readings += 1,
                    Err(reject) => {
                        telemetry::dead_letter(Adapter::Mqtt, reject.reason);
                        refused = Some(reject.reason);
                    }
                }
            }
            None => {
                let message = formats::Message {
                    topic,
                    payload,
                    content_type: publish.content_type,
                    ..formats::Message::default()
                };
                let mut readings = 0;
                let workspace = &mut self.workspace;
                let mut told = |item: Result<&str, Reject>| match item {
                    Ok(_) => readings += 1,
                    Err(reject) => {
                        telemetry::dead_letter(Adapter::Mqtt, reject.reason);
                        refused = Some(reject.reason);
                    }
                };
                let devices = &self.devices;
                let sender = Sender {
                    source: &self.source,
                    may: &|name: &str| may_speak(topic, devices, name),
                };
                append_message_of(inputs, message, &sender, catalogue, workspace, &mut told);
                // A message of which something was taken is not refused.
                refused = refused.filter(|_| readings == 0);
                taken.readings += readings;
            }
        }
        let count = inputs.count() - before;
        taken.redelivered += u32::from(publish.duplicate);
        self.owe(publish.qos, count, refused);
        Ok(())
    }

    /// Whether the client keeps to what it was told, or could know.
    fn check_may_publish(&self, publish: &Publish<'_>) -> Result<(), CloseReason> {
        if let Qos::Two(_) = publish.qos {
            return Err(CloseReason::Qos2Unsupported);
        }
        if self.takes.version == Version::V311 {
            return Ok(());
        }
        let is_at_most_once = publish.qos == Qos::Zero;
        if !is_at_most_once && self.owed.len() >= usize::from(receive_max(&self.options)) {
            return Err(CloseReason::ReceiveMaxExceeded);
        }
        Ok(())
    }

    /// Counts the inputs of a message, and owes its acknowledgement if it wants one.
    fn owe(&mut self, qos: Qos, inputs: u32, refused: Option<Reason>) {
        self.decoded += u64::from(inputs);
        if let Qos::One(packet_id) = qos {
            self.owed.push_back(Owed {
                inputs: self.decoded,
                packet_id,
                refused: refused.filter(|_| self.takes.version == Version::V5),
            });
        }
        if inputs == 0 {
            // Nothing of it has to become durable.
            self.settle(self.settled);
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
        oversized.append(&mut self.inputs, &self.source);
        telemetry::dead_letter(Adapter::Mqtt, Oversized::REASON);
        taken.packets += 1;
        taken.redelivered += u32::from(oversized.duplicate);
        self.owe(oversized.qos, 1, Some(Oversized::REASON));
    }

    /// The PUBACK of a message that is durable as a dead letter. It ends the message as one
    /// without a reason does: the client does not send it again (5.0: section 4.4).
    fn put_refused(&mut self, packet_id: u16, reason: Reason) {
        let (code, before) = (puback_code(reason), self.out.len());
        let word = self.wants_problems.then(|| reason.word());
        codec::put_puback_refused(&mut self.out, packet_id, code, word);
        if self.out.len() - before > self.takes.packet_bytes_max {
            self.out.truncate(before);
            codec::put_puback_refused(&mut self.out, packet_id, code, None);
        }
    }
}

/// Whether a client may say something about a command to this device; of readings everything.
fn may_speak(topic: &str, devices: &Devices, name: &str) -> Result<(), Reject> {
    if formats::feedback::device_of(topic).is_none() || devices.have(name) {
        return Ok(());
    }
    let detail = format!("this user may not speak for {name}");
    Err(Reject::new(Reason::FeedbackNotAllowed, detail))
}

/// What a PUBACK says of a dead letter (5.0: section 3.4.2.1): whether it was the topic, the
/// sensor that may not publish, or what was published.
const fn puback_code(reason: Reason) -> u8 {
    match reason {
        Reason::TopicUnknown => 0x90,
        Reason::SensorUnregistered | Reason::SensorNotOfKey | Reason::FeedbackNotAllowed => 0x87,
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
    }
}

#[cfg(test)]
mod tests;
