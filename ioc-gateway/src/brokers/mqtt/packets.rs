//! The packets of both versions of MQTT, as far as a client of ours needs them: one that
//! subscribes, or one that publishes.
//!
//! Arrives: bytes of a broker. Leaves: [`Packet`]s, the same for 3.1.1 and 5.0. The bytes are read
//! and written by `rumqttc`; its event loop is not used: it flushes each acknowledgement by itself,
//! carries state from one connection to the next, and a message that collides with a lost session
//! can keep it from ever connecting again.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{self as mqttbytes5, v5};

use super::{MqttBrokerOptions, Version};
use crate::formats::Reply;

/// The longest packet that is read. A broker of version 5 is told and sends none that is longer; a
/// longer message is passed over (`oversized.rs`), for any other packet the connection is closed.
pub(super) const PACKET_BYTES_MAX: u32 = 16 << 20;

/// The attribute that each CloudEvent has: without it user properties are of no event.
const EVENT: &str = "specversion";

/// What a broker says to a subscriber.
#[derive(Debug)]
pub(super) enum Packet {
    ConnAck {
        session_present: bool,
        /// `None` if we are let in.
        refused: Option<String>,
        /// The keep-alive that the broker asks for instead.
        keep_alive_s: Option<u16>,
        /// How many messages it takes before it has acknowledged some.
        receive_max: Option<u16>,
        /// For how long it keeps the session while we are away, if not for as long as it was asked to.
        session_s: Option<u32>,
    },
    /// For each filter what was granted.
    SubAck(Vec<Granted>),
    /// It has heard what we do not want any more; why it goes on with some of it all the same.
    UnsubAck {
        refused: Option<String>,
    },
    Publish(Message),
    /// What became of a message of ours.
    PubAck(u16, Published),
    /// It knows that we have a message of quality 2.
    PubRel(u16),
    PingResp,
    /// The broker ends the connection, for this reason.
    Disconnect(String),
    /// The broker ends the connection, for another one has our session (5.0: section 3.1.4).
    TakenOver,
    /// What no broker sends to us.
    Unexpected(&'static str),
}

/// What a broker grants to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Granted {
    Nothing,
    /// QoS 0, where we have asked for 1 (3.1.1: section 3.9.3; 5.0: section 3.9.3).
    AtMostOnce,
    AtLeastOnce,
}

impl Granted {
    const fn of(is_at_most_once: bool) -> Self {
        match is_at_most_once {
            true => Self::AtMostOnce,
            false => Self::AtLeastOnce,
        }
    }
}

/// What a broker says became of a message of ours, as far as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// It has it, for whoever listens.
    Taken,
    /// Nobody listens (5.0: section 3.4.2.1).
    NobodyListens,
    /// It does not take it.
    Refused,
}

/// A message of ours.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub topic: String,
    pub payload: Bytes,
    /// Whether it may come twice rather than not at all.
    pub at_least_once: bool,
    /// For how long a broker of version 5 keeps it for who is not there.
    pub expires_s: u32,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub topic: Topic,
    pub payload: Bytes,
    /// What it says that this is (5.0: section 3.3.2.3.9).
    pub content_type: Option<String>,
    /// The attributes of the event whose data the payload is; of other messages none ("MQTT
    /// Protocol Binding for CloudEvents 1.0", section 3.1.3.1).
    pub event: Vec<(String, String)>,
    pub delivery: Delivery,
    pub duplicate: bool,
    /// Whether it was not published now, but is what the broker keeps of its topic (section
    /// 3.3.1.3).
    pub retained: bool,
}

/// A topic, in each version as it was read.
#[derive(Debug)]
pub(super) enum Topic {
    Text(String),
    Bytes(Bytes),
}

impl Topic {
    /// The text; lossless, for a broker has checked it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or("?"),
        }
    }
}

/// Whether a message wants an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Unacknowledged,
    Acknowledged(u16),
    /// Quality 2: subscribed to with quality 1, so it is not allowed (section 3.8.4), and some brokers
    /// deliver so what was published so.
    ExactlyOnce(u16),
}

/// Bytes that are no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker sent what is no MQTT packet: {0}")]
pub(crate) struct Malformed(pub(super) String);

impl Version {
    /// The next packet; `None` if it has not come whole yet.
    pub(super) fn read(self, bytes: &mut BytesMut) -> Result<Option<Packet>, Malformed> {
        let whole = bytes.len();
        match self {
            Self::V311 => match v4::Packet::read(bytes, PACKET_BYTES_MAX as usize) {
                Ok(packet) => Ok(Some(of_v4(packet))),
                // One that is whole was taken off.
                Err(mqttbytes::Error::InsufficientBytes(_)) if bytes.len() == whole => Ok(None),
                Err(error) => Err(Malformed(error.to_string())),
            },
            // `rumqttc` knows neither a DISCONNECT without a reason nor one with that alone (5.0: sections
            // 3.14.2.1 and 3.14.2.2.1).
            Self::V5 if bytes.starts_with(&[0xe0, 0]) => {
                Ok(Some(Packet::Disconnect("no reason given".to_owned())))
            }
            Self::V5 if bytes.starts_with(&[0xe0, 1]) => {
                let reason = bytes.get(2).map(|reason| (*reason).try_into());
                Ok(reason.map(|reason| match reason {
                    Ok(reason) => disconnected(reason),
                    Err(_) => Packet::Disconnect("a reason that MQTT does not know".to_owned()),
                }))
            }
            Self::V5 => match v5::Packet::read(bytes, Some(PACKET_BYTES_MAX)) {
                Ok(packet) => Ok(Some(of_v5(packet))),
                Err(mqttbytes5::Error::InsufficientBytes(_)) if bytes.len() == whole => Ok(None),
                Err(error) => Err(Malformed(error.to_string())),
            },
        }
    }

    /// CONNECT, for a session that the broker keeps while we are away.
    pub(super) fn put_connect(
        self,
        out: &mut BytesMut,
        client_id: &str,
        options: &MqttBrokerOptions,
    ) {
        let keep_alive = options.keep_alive.as_secs() as u16;
        let written = match self {
            Self::V311 => {
                let mut connect = v4::Connect::new(client_id);
                connect.keep_alive = keep_alive;
                connect.clean_session = false;
                if let Some(login) = &options.login {
                    connect.set_login(&login.user, &login.password);
                }
                connect.write(out).is_ok()
            }
            Self::V5 => {
                let mut properties = v5::ConnectProperties::new();
                properties.session_expiry_interval = Some(options.session_s);
                properties.receive_maximum = Some(options.inflight_max);
                properties.max_packet_size = Some(PACKET_BYTES_MAX);
                let connect = v5::Connect {
                    keep_alive,
                    client_id: client_id.to_owned(),
                    clean_start: false,
                    properties: Some(properties),
                };
                let login = options.login.as_ref();
                let login = login.map(|login| v5::Login::new(&login.user, &login.password));
                connect.write(&None, &login, out).is_ok()
            }
        };
        debug_assert!(written, "the settings bound all that is in it");
    }

    /// SUBSCRIBE to all filters with quality 1.
    pub(super) fn put_subscribe(self, out: &mut BytesMut, filters: &[String]) {
        let written = match self {
            Self::V311 => {
                let filter = |path: &String| {
                    v4::SubscribeFilter::new(path.clone(), mqttbytes::QoS::AtLeastOnce)
                };
                let mut subscribe = v4::Subscribe::new_many(filters.iter().map(filter));
                subscribe.pkid = 1;
                subscribe.write(out).is_ok()
            }
            Self::V5 => {
                let filter = |path: &String| {
                    let mut filter = v5::Filter::new(path.clone(), mqttbytes5::QoS::AtLeastOnce);
                    // A retained message is a reading that we had before.
                    filter.retain_forward_rule = v5::RetainForwardRule::OnNewSubscribe;
                    filter
                };
                let mut subscribe = v5::Subscribe::new_many(filters.iter().map(filter), None);
                subscribe.pkid = 1;
                subscribe.write(out).is_ok()
            }
        };
        debug_assert!(written, "the settings bound all that is in it");
    }

    /// PUBLISH with quality 0: who is not there now does not get it later. Whether it is written:
    /// a topic can be none, or too long.
    pub(super) fn put_publish(self, out: &mut BytesMut, reply: &Reply) -> bool {
        let topic = &*reply.topic;
        let is_topic = !topic.is_empty() && topic.len() <= usize::from(u16::MAX);
        if !is_topic || !mqttbytes::valid_topic(topic) {
            return false;
        }
        let (before, payload) = (out.len(), reply.payload.clone());
        let written = match self {
            Self::V311 => {
                let quality = mqttbytes::QoS::AtMostOnce;
                let publish = v4::Publish::from_bytes(topic, quality, payload);
                publish.write(out).is_ok()
            }
            Self::V5 => {
                let quality = mqttbytes5::QoS::AtMostOnce;
                let publish = v5::Publish::new(topic, quality, payload, None);
                publish.write(out).is_ok()
            }
        };
        if !written {
            out.truncate(before);
        }
        written
    }

    /// CONNECT, for a connection that leaves no session behind.
    pub(super) fn put_connect_once(
        self,
        out: &mut BytesMut,
        client_id: &str,
        options: &MqttBrokerOptions,
    ) {
        let keep_alive = options.keep_alive.as_secs() as u16;
        let login = options.login.as_ref();
        let written = match self {
            Self::V311 => {
                let mut connect = v4::Connect::new(client_id);
                connect.keep_alive = keep_alive;
                if let Some(login) = login {
                    connect.set_login(&login.user, &login.password);
                }
                connect.write(out).is_ok()
            }
            Self::V5 => {
                let connect = v5::Connect {
                    keep_alive,
                    client_id: client_id.to_owned(),
                    clean_start: true,
                    properties: None,
                };
                let login = login.map(|login| v5::Login::new(&login.user, &login.password));
                connect.write(&None, &login, out).is_ok()
            }
        };
        debug_assert!(written, "the settings bound all that is in it");
    }

    /// PUBLISH of a message that is not retained; the number is for one that is acknowledged.
    pub(super) fn put_message(self, out: &mut BytesMut, message: &Outgoing, packet_id: u16) {
        let payload = message.payload.clone();
        let written = match self {
            Self::V311 => {
                let quality = match message.at_least_once {
                    true => mqttbytes::QoS::AtLeastOnce,
                    false => mqttbytes::QoS::AtMostOnce,
                };
                let mut publish = v4::Publish::from_bytes(&*message.topic, quality, payload);
                publish.pkid = if message.at_least_once { packet_id } else { 0 };
                publish.write(out).is_ok()
            }
            Self::V5 => {
                let quality = match message.at_least_once {
                    true => mqttbytes5::QoS::AtLeastOnce,
                    false => mqttbytes5::QoS::AtMostOnce,
                };
                let properties = v5::PublishProperties {
                    message_expiry_interval: Some(message.expires_s),
                    content_type: Some("application/json".to_owned()),
                    ..v5::PublishProperties::default()
                };
                let topic = &*message.topic;
                let mut publish = v5::Publish::new(topic, quality, payload, Some(properties));
                publish.pkid = if message.at_least_once { packet_id } else { 0 };
                publish.write(out).is_ok()
            }
        };
        debug_assert!(written, "a command is short");
    }
}

/// UNSUBSCRIBE from these filters (3.1.1: section 3.10; 5.0: section 3.10, without properties).
pub(super) fn put_unsubscribe(version: Version, out: &mut BytesMut, filters: &[String]) {
    let mut body = vec![0, 2];
    if version == Version::V5 {
        body.push(0);
    }
    for filter in filters {
        body.extend_from_slice(&(filter.len() as u16).to_be_bytes());
        body.extend_from_slice(filter.as_bytes());
    }
    out.extend_from_slice(&[0xa2]);
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        out.extend_from_slice(&[(length & 0x7f) as u8 | more]);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(&body);
}

/// PUBACK, in both versions (5.0: section 3.4.2.1 without a reason).
pub(super) fn put_puback(out: &mut BytesMut, packet_id: u16) {
    put_answer(out, 0x40, packet_id);
}

/// PUBREC, likewise.
pub(super) fn put_pubrec(out: &mut BytesMut, packet_id: u16) {
    put_answer(out, 0x50, packet_id);
}

/// PUBCOMP, likewise.
pub(super) fn put_pubcomp(out: &mut BytesMut, packet_id: u16) {
    put_answer(out, 0x70, packet_id);
}

fn put_answer(out: &mut BytesMut, first: u8, packet_id: u16) {
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[first, 2, high, low]);
}

/// PINGREQ, in both versions.
pub(super) fn put_pingreq(out: &mut BytesMut) {
    out.extend_from_slice(&[0xc0, 0]);
}

/// DISCONNECT, in both versions: a normal end, after which the broker keeps the session.
pub(super) fn put_disconnect(out: &mut BytesMut) {
    out.extend_from_slice(&[0xe0, 0]);
}

fn of_v4(packet: v4::Packet) -> Packet {
    match packet {
        v4::Packet::ConnAck(connack) => Packet::ConnAck {
            session_present: connack.session_present,
            refused: match connack.code {
                v4::ConnectReturnCode::Success => None,
                code => Some(format!("{code:?}")),
            },
            keep_alive_s: None,
            receive_max: None,
            session_s: None,
        },
        v4::Packet::SubAck(suback) => {
            let granted = |code| match code {
                v4::SubscribeReasonCode::Success(qos) => {
                    Granted::of(qos == mqttbytes::QoS::AtMostOnce)
                }
                v4::SubscribeReasonCode::Failure => Granted::Nothing,
            };
            Packet::SubAck(suback.return_codes.into_iter().map(granted).collect())
        }
        v4::Packet::Publish(publish) => Packet::Publish(Message {
            topic: Topic::Text(publish.topic),
            payload: publish.payload,
            content_type: None,
            event: Vec::new(),
            delivery: match publish.qos {
                mqttbytes::QoS::AtMostOnce => Delivery::Unacknowledged,
                mqttbytes::QoS::AtLeastOnce => Delivery::Acknowledged(publish.pkid),
                mqttbytes::QoS::ExactlyOnce => Delivery::ExactlyOnce(publish.pkid),
            },
            duplicate: publish.dup,
            retained: publish.retain,
        }),
        v4::Packet::PingResp => Packet::PingResp,
        v4::Packet::Disconnect => Packet::Unexpected("DISCONNECT"),
        v4::Packet::Connect(_) => Packet::Unexpected("CONNECT"),
        v4::Packet::PubAck(ack) => Packet::PubAck(ack.pkid, Published::Taken),
        v4::Packet::PubRec(_) => Packet::Unexpected("PUBREC"),
        v4::Packet::PubRel(released) => Packet::PubRel(released.pkid),
        v4::Packet::PubComp(_) => Packet::Unexpected("PUBCOMP"),
        v4::Packet::Subscribe(_) => Packet::Unexpected("SUBSCRIBE"),
        v4::Packet::Unsubscribe(_) => Packet::Unexpected("UNSUBSCRIBE"),
        v4::Packet::UnsubAck(_) => Packet::UnsubAck { refused: None },
        v4::Packet::PingReq => Packet::Unexpected("PINGREQ"),
    }
}

fn of_v5(packet: v5::Packet) -> Packet {
    match packet {
        v5::Packet::ConnAck(connack) => Packet::ConnAck {
            session_present: connack.session_present,
            refused: match connack.code {
                v5::ConnectReturnCode::Success => None,
                code => Some(format!("{code:?}")),
            },
            keep_alive_s: connack
                .properties
                .as_ref()
                .and_then(|given| given.server_keep_alive),
            receive_max: connack
                .properties
                .as_ref()
                .and_then(|given| given.receive_max),
            session_s: connack
                .properties
                .as_ref()
                .and_then(|given| given.session_expiry_interval),
        },
        v5::Packet::SubAck(suback) => {
            let granted = |code| match code {
                v5::SubscribeReasonCode::Success(qos) => {
                    Granted::of(qos == mqttbytes5::QoS::AtMostOnce)
                }
                _ => Granted::Nothing,
            };
            Packet::SubAck(suback.return_codes.into_iter().map(granted).collect())
        }
        v5::Packet::Publish(publish) => Packet::Publish(message_of_v5(publish)),
        v5::Packet::PingResp(_) => Packet::PingResp,
        v5::Packet::Disconnect(disconnect) => disconnected(disconnect.reason_code),
        v5::Packet::Auth(_) => Packet::Unexpected("AUTH"),
        v5::Packet::Connect(..) => Packet::Unexpected("CONNECT"),
        v5::Packet::PubAck(ack) => Packet::PubAck(ack.pkid, published(ack.reason)),
        v5::Packet::PubRec(_) => Packet::Unexpected("PUBREC"),
        v5::Packet::PubRel(released) => Packet::PubRel(released.pkid),
        v5::Packet::PubComp(_) => Packet::Unexpected("PUBCOMP"),
        v5::Packet::Subscribe(_) => Packet::Unexpected("SUBSCRIBE"),
        v5::Packet::Unsubscribe(_) => Packet::Unexpected("UNSUBSCRIBE"),
        v5::Packet::UnsubAck(unsuback) => {
            use v5::UnsubAckReason::{NoSubscriptionExisted, Success};
            let mut reasons = unsuback.reasons.into_iter();
            let refused = reasons.find(|reason| !matches!(reason, Success | NoSubscriptionExisted));
            Packet::UnsubAck {
                refused: refused.map(|reason| format!("{reason:?}")),
            }
        }
        v5::Packet::PingReq(_) => Packet::Unexpected("PINGREQ"),
    }
}

fn disconnected(reason: v5::DisconnectReasonCode) -> Packet {
    match reason {
        v5::DisconnectReasonCode::SessionTakenOver => Packet::TakenOver,
        reason => Packet::Disconnect(format!("{reason:?}")),
    }
}

const fn published(reason: v5::PubAckReason) -> Published {
    match reason {
        v5::PubAckReason::Success => Published::Taken,
        v5::PubAckReason::NoMatchingSubscribers => Published::NobodyListens,
        v5::PubAckReason::UnspecifiedError
        | v5::PubAckReason::ImplementationSpecificError
        | v5::PubAckReason::NotAuthorized
        | v5::PubAckReason::TopicNameInvalid
        | v5::PubAckReason::PacketIdentifierInUse
        | v5::PubAckReason::QuotaExceeded
        | v5::PubAckReason::PayloadFormatInvalid => Published::Refused,
    }
}

fn message_of_v5(publish: v5::Publish) -> Message {
    let given = publish.properties.unwrap_or_default();
    let is_event = given.user_properties.iter().any(|(name, _)| name == EVENT);
    Message {
        topic: Topic::Bytes(publish.topic),
        payload: publish.payload,
        content_type: given.content_type,
        event: match is_event {
            true => given.user_properties,
            false => Vec::new(),
        },
        delivery: match publish.qos {
            mqttbytes5::QoS::AtMostOnce => Delivery::Unacknowledged,
            mqttbytes5::QoS::AtLeastOnce => Delivery::Acknowledged(publish.pkid),
            mqttbytes5::QoS::ExactlyOnce => Delivery::ExactlyOnce(publish.pkid),
        },
        duplicate: publish.dup,
        retained: publish.retain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_a_packet_beyond_the_bound_is_not_waited_for() {
        for version in [Version::V311, Version::V5] {
            let mut longest = BytesMut::from(&[0x30, 0xfb, 0xff, 0xff, 0x07][..]);
            assert!(version.read(&mut longest).unwrap().is_none(), "it may come");
            let mut longer = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0x7f][..]);
            assert!(version.read(&mut longer).is_err());
        }
    }

    #[test]
    fn user_properties_are_kept_of_events_only() {
        let event_of = |names: &[&str]| {
            let pair = |name: &&str| ((*name).to_owned(), "1.0".to_owned());
            let properties = v5::PublishProperties {
                content_type: Some("application/json".into()),
                user_properties: names.iter().map(pair).collect(),
                ..Default::default()
            };
            let quality = mqttbytes5::QoS::AtMostOnce;
            let publish = v5::Publish::new("t", quality, "{}", Some(properties));
            let mut bytes = BytesMut::new();
            publish.write(&mut bytes).unwrap();
            match Version::V5.read(&mut bytes).unwrap() {
                Some(Packet::Publish(message)) => {
                    assert_eq!(message.content_type.as_deref(), Some("application/json"));
                    message
                        .event
                        .into_iter()
                        .map(|(name, _)| name)
                        .collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(event_of(&["id", "specversion"]), ["id", "specversion"]);
        assert_eq!(event_of(&["id", "source"]), [""; 0]);
    }

    #[test]
    fn a_farewell_needs_no_reason() {
        let read = |bytes: &[u8]| Version::V5.read(&mut BytesMut::from(bytes));
        for bytes in [
            &[0xe0, 0][..],
            &[0xe0, 2, 0x8b, 0],
            &[0xe0, 1, 0x8b],
            &[0xe0, 1, 0x01],
        ] {
            assert!(
                matches!(read(bytes), Ok(Some(Packet::Disconnect(_)))),
                "{bytes:?}"
            );
        }
        for bytes in [&[0xe0, 1, 0x8e][..], &[0xe0, 2, 0x8e, 0]] {
            assert!(
                matches!(read(bytes), Ok(Some(Packet::TakenOver))),
                "{bytes:?}"
            );
        }
        assert!(
            matches!(read(&[0xe0, 1]), Ok(None)),
            "the reason is to come"
        );
    }

    /// It must not be waited for, nor passed over: what it says would be lost.
    #[test]
    fn a_packet_that_is_whole_and_lacks_something_is_none() {
        for lacks in [
            &[0xb0, 2, 0, 2][..],
            &[0x50, 4, 0, 1, 0, 2],
            &[0x90, 2, 0, 1],
        ] {
            let mut bytes = BytesMut::from(lacks);
            assert!(Version::V5.read(&mut bytes).is_err(), "{lacks:x?}");
        }
    }
}
