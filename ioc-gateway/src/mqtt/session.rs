//! One client's session: what its packets mean, and what it is owed.
//!
//! Arrives: the bytes of its socket. Leaves: decoded inputs to hand over, and bytes to write back.
//! Promise: each PUBLISH becomes exactly one input, a reading or a dead letter, in order; a PUBACK
//! is written only for what is durable, in the order of the messages (section 4.6), however many
//! at once. No session outlives its connection. Not here: sockets and time (`connection.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::close::CloseReason;
use super::codec::{self, Granted, Packet, Publish, Qos, Split, Subscribe};
use super::decisions::{Decisions, Filter, Subscription};
use crate::catalogue::Catalogue;
use crate::door::Inputs;
use crate::formats::native::Scratch;
use crate::formats::{Origin, Reason, Reject, append_dead_letter, append_native};
use crate::options::MqttOptions;
use crate::telemetry::{self, Adapter};

/// What the topics of readings begin with; the sensor follows.
const READINGS: &str = "ioc/v1/readings/";

/// A PUBACK that is owed once so many inputs of the connection are durable.
#[derive(Debug, Clone, Copy)]
struct Owed {
    inputs: u64,
    packet_id: u16,
}

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    options: Arc<MqttOptions>,
    decisions: Decisions,
    /// Who sends: `mqtt` and the client's identifier.
    source: String,
    scratch: Scratch,
    /// Decoded and not yet handed over.
    inputs: Inputs,
    /// How many inputs were decoded since the connection began.
    decoded: u64,
    /// How many of them are durable.
    settled: u64,
    owed: VecDeque<Owed>,
    /// To be written to the socket.
    pub out: BytesMut,
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
    pub fn new(client_id: &str, options: Arc<MqttOptions>, decisions: Decisions) -> Self {
        Self {
            options,
            decisions,
            source: format!("{} {client_id}", Adapter::Mqtt.word()),
            scratch: Scratch::default(),
            inputs: Inputs::default(),
            decoded: 0,
            settled: 0,
            owed: VecDeque::new(),
            out: BytesMut::new(),
            subscription: None,
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
        let mut result = Ok(());
        while result.is_ok() && self.has_room() {
            match codec::split(bytes, self.options.packet_bytes_max) {
                Ok(Split::Frame(frame, length)) => {
                    bytes = &bytes[length..];
                    taken.packets += 1;
                    result = match frame.decode() {
                        Ok(packet) => self.take_packet(&packet, catalogue, &mut taken),
                        Err(malformed) => Err(CloseReason::Malformed(malformed)),
                    };
                }
                Ok(Split::Part) => break,
                Err(malformed) => result = Err(CloseReason::Malformed(malformed)),
            }
        }
        let rest = bytes.len();
        received.advance(received.len() - rest);
        telemetry::readings_decoded(Adapter::Mqtt, taken.readings);
        if taken.redelivered > 0 {
            telemetry::mqtt_redelivered(taken.redelivered);
        }
        (taken, result)
    }

    /// Whether more may be taken: of what is not durable, not handed over and not written, none
    /// is at its bound.
    pub fn has_room(&self) -> bool {
        self.in_flight() < self.options.inflight_max as u64
            && self.inputs.bytes() < self.options.decoded_bytes_max
            && self.out.len() < self.options.unwritten_bytes_max
    }

    /// Whether decisions may be written: they leave room for answers.
    pub fn has_room_for_decisions(&self) -> bool {
        self.out.len() < self.options.unwritten_bytes_max / 2
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
            codec::put_puback(&mut self.out, owed.packet_id);
        }
    }

    /// Writes a decision, and those that wait behind it.
    pub fn put_decision(&mut self, packet: &[u8]) {
        self.out.extend_from_slice(packet);
        while self.has_room_for_decisions() {
            let waiting = self.subscription.as_mut().and_then(Subscription::try_next);
            let Some(packet) = waiting else { break };
            self.out.extend_from_slice(&packet);
        }
    }

    fn take_packet(
        &mut self,
        packet: &Packet<'_>,
        catalogue: &Catalogue,
        taken: &mut Taken,
    ) -> Result<(), CloseReason> {
        match packet {
            Packet::Publish(publish) => return self.publish(publish, catalogue, taken),
            Packet::Subscribe(subscribe) => self.subscribe(*subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(*unsubscribe),
            Packet::PingReq => codec::put_pingresp(&mut self.out),
            Packet::Disconnect => return Err(CloseReason::ClientDisconnected),
            Packet::Connect(_) | Packet::ConnectOtherVersion { .. } | Packet::Answer => {
                return Err(CloseReason::PacketUnexpected);
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
        if let Qos::Two(_) = publish.qos {
            return Err(CloseReason::Qos2Unsupported);
        }
        let origin = Origin {
            source: &self.source,
            topic: publish.topic,
        };
        let (inputs, payload) = (&mut self.inputs, publish.payload);
        let appended = match sensor_of(publish.topic) {
            Some(sensor) => {
                let scratch = &mut self.scratch;
                append_native(inputs, payload, Some(sensor), origin, catalogue, scratch)
            }
            None => {
                let detail = format!("readings are published to {READINGS}<sensor>");
                let reject = Reject::new(Reason::TopicUnknown, detail);
                append_dead_letter(inputs, origin, &reject, payload);
                Err(reject)
            }
        };
        match appended {
            Ok(()) => taken.readings += 1,
            Err(reject) => telemetry::dead_letter(Adapter::Mqtt, reject.reason),
        }
        taken.redelivered += u32::from(publish.duplicate);
        self.decoded += 1;
        if let Qos::One(packet_id) = publish.qos {
            let inputs = self.decoded;
            self.owed.push_back(Owed { inputs, packet_id });
        }
        Ok(())
    }

    fn subscribe(&mut self, subscribe: Subscribe<'_>) {
        let decisions_max = self.options.decisions_max;
        let subscription = self
            .subscription
            .get_or_insert_with(|| self.decisions.subscribe(decisions_max));
        let granted: Vec<_> = subscribe
            .filters()
            .map(Filter::parse)
            .map(|filter| filter.is_some_and(|filter| subscription.add(filter)))
            .map(|is_granted| match is_granted {
                true => Granted::AtMostOnce,
                false => Granted::Refused,
            })
            .collect();
        codec::put_suback(&mut self.out, subscribe.packet_id, granted.into_iter());
    }

    fn unsubscribe(&mut self, unsubscribe: Subscribe<'_>) {
        if let Some(subscription) = &self.subscription {
            for filter in unsubscribe.filters().filter_map(Filter::parse) {
                subscription.remove(&filter);
            }
        }
        codec::put_unsuback(&mut self.out, unsubscribe.packet_id);
    }
}

/// The sensor that a topic of readings names.
fn sensor_of(topic: &str) -> Option<&str> {
    let sensor = topic.strip_prefix(READINGS)?;
    (!sensor.is_empty() && !sensor.contains('/')).then_some(sensor)
}

#[cfg(test)]
mod tests;
