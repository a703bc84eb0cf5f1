//! MQTT packets to clients: answers, and messages of quality 0 and 1, in either version.
//!
//! Arrives: what is to be said. Leaves: bytes, appended to what is to be written.

use bytes::{BufMut, BytesMut};

use super::{AnswerKind, Malformed, Version};

/// The greatest remaining length, in four bytes.
const REMAINING_LENGTH_MAX: usize = 268_435_455;
const LENGTH_BYTES_MAX: usize = 4;

/// The identifiers of the properties that are sent (5.0: section 2.2.2.2).
mod id {
    pub const PAYLOAD_FORMAT: u8 = 1;
    pub const MESSAGE_EXPIRY: u8 = 2;
    pub const CONTENT_TYPE: u8 = 3;
    pub const SESSION_EXPIRY: u8 = 17;
    pub const ASSIGNED_CLIENT_ID: u8 = 18;
    pub const SERVER_KEEP_ALIVE: u8 = 19;
    pub const REASON: u8 = 31;
    pub const RECEIVE_MAX: u8 = 33;
    pub const TOPIC_ALIAS_MAX: u8 = 34;
    pub const PACKET_BYTES_MAX: u8 = 39;
    pub const WILDCARDS_AVAILABLE: u8 = 40;
    pub const SUBSCRIPTION_IDS_AVAILABLE: u8 = 41;
    pub const SHARED_SUBSCRIPTIONS_AVAILABLE: u8 = 42;
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Refusal {
    /// It speaks another version.
    Version,
    /// Its identifier is too long, has control characters, or is missing in 3.1.1 with a session.
    ClientId,
    /// As many as may be are connected.
    ConnectionsMax,
    /// The password is not the user's.
    Credentials,
    /// It does not say who it is.
    NotAuthorized,
    /// It wants to prove who it is in a way that is not known here. Version 5 only.
    AuthMethod,
    /// Its will is longer than is kept.
    WillTooLong,
    /// It takes no packets as long as this answer would be. Version 5 only.
    AnswerTooLong,
    /// Its CONNECT is malformed. Version 5 only; in 3.1.1 the connection is closed.
    Malformed(Malformed),
}

impl Refusal {
    /// The code that the version has for it (3.1.1: section 3.2.2.3; 5.0: section 3.2.2.2).
    pub const fn code(self, version: Version) -> u8 {
        match version {
            Version::V311 => match self {
                Self::Version => 1,
                Self::ClientId => 2,
                Self::ConnectionsMax => 3,
                Self::Credentials => 4,
                Self::NotAuthorized | Self::AuthMethod | Self::WillTooLong => 5,
                Self::AnswerTooLong | Self::Malformed(_) => 5,
            },
            Version::V5 => match self {
                Self::Version => 0x84,
                Self::ClientId => 0x85,
                Self::ConnectionsMax => 0x89,
                Self::Credentials => 0x86,
                Self::NotAuthorized => 0x87,
                Self::AuthMethod => 0x8c,
                Self::WillTooLong => 0x97,
                Self::AnswerTooLong => 0x95,
                Self::Malformed(malformed) => malformed.code(),
            },
        }
    }

    /// The word that it is counted by.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Version => "refused_protocol_version",
            Self::ClientId => "refused_client_id",
            Self::ConnectionsMax => "refused_connections_max",
            Self::Credentials => "refused_credentials",
            Self::NotAuthorized => "refused_not_authorized",
            Self::AuthMethod => "refused_auth_method",
            Self::WillTooLong => "refused_will_too_long",
            Self::AnswerTooLong => "refused_packet_bytes_max",
            Self::Malformed(malformed) => malformed.word(),
        }
    }
}

/// CONNACK to a client that is not let in.
pub(in crate::mqtt) fn put_refusal(out: &mut BytesMut, version: Version, refusal: Refusal) {
    let code = refusal.code(version);
    match version {
        Version::V311 => out.put_slice(&[0x20, 2, 0, code]),
        Version::V5 => out.put_slice(&[0x20, 3, 0, code, 0]),
    }
}

/// What a client of version 5 is told when it is let in (section 3.2.2.3). What is not served at
/// all is said by [`put_connack`] itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Limits<'a> {
    /// How many messages of quality 1 and 2 it may send and not have acknowledged.
    pub receive_max: u16,
    /// The longest packet that it may send.
    pub packet_bytes_max: u32,
    /// The greatest topic alias that it may use.
    pub topic_alias_max: u16,
    /// What it is called, if it did not say.
    pub assigned_client_id: Option<&'a str>,
    /// Its keep-alive, if not the one that it asked for.
    pub keep_alive_s: Option<u16>,
    /// Whether it must be told that its session ends with the connection: it asked for more.
    pub ends_session: bool,
}

/// CONNACK to a client that is let in. No session is ever present: none outlives its connection.
pub(in crate::mqtt) fn put_connack(out: &mut BytesMut, version: Version, limits: &Limits<'_>) {
    if version == Version::V311 {
        out.put_slice(&[0x20, 2, 0, 0]);
        return;
    }
    let mut properties = BytesMut::new();
    if limits.ends_session {
        properties.put_u8(id::SESSION_EXPIRY);
        properties.put_u32(0);
    }
    properties.put_u8(id::RECEIVE_MAX);
    properties.put_u16(limits.receive_max);
    properties.put_u8(id::PACKET_BYTES_MAX);
    properties.put_u32(limits.packet_bytes_max);
    if let Some(client_id) = limits.assigned_client_id {
        properties.put_u8(id::ASSIGNED_CLIENT_ID);
        put_text(&mut properties, client_id);
    }
    properties.put_u8(id::TOPIC_ALIAS_MAX);
    properties.put_u16(limits.topic_alias_max);
    properties.put_slice(&[id::WILDCARDS_AVAILABLE, 1]);
    properties.put_slice(&[id::SUBSCRIPTION_IDS_AVAILABLE, 0]);
    properties.put_slice(&[id::SHARED_SUBSCRIPTIONS_AVAILABLE, 0]);
    if let Some(seconds) = limits.keep_alive_s {
        properties.put_u8(id::SERVER_KEEP_ALIVE);
        properties.put_u16(seconds);
    }
    out.put_u8(0x20);
    put_length(out, 2 + length_bytes(properties.len()) + properties.len());
    out.put_slice(&[0, 0]);
    put_length(out, properties.len());
    out.put_slice(&properties);
}

/// PUBACK, PUBREC or PUBCOMP of what was taken: in both versions four bytes, for in version 5 a
/// reason code of 0 may be left out (sections 3.4.2.1, 3.5.2.1 and 3.7.2.1).
pub(in crate::mqtt) fn put_answer(out: &mut BytesMut, kind: AnswerKind, packet_id: u16) {
    let [high, low] = packet_id.to_be_bytes();
    out.put_slice(&[kind.first_byte(), 2, high, low]);
}

/// PUBACK or PUBREC of version 5 with a reason code, and the reason as a word if it is wanted and
/// fits.
pub(in crate::mqtt) fn put_answer_refused(
    out: &mut BytesMut,
    kind: AnswerKind,
    packet_id: u16,
    code: u8,
    reason: Option<&str>,
) {
    out.put_u8(kind.first_byte());
    put_length(out, 3 + reason.map_or(0, reason_bytes));
    out.put_u16(packet_id);
    out.put_u8(code);
    if let Some(reason) = reason {
        put_reason(out, reason);
    }
}

/// PUBCOMP of version 5 for a packet identifier that is not held (section 3.7.2.1).
pub(in crate::mqtt) fn put_completed_unknown(out: &mut BytesMut, packet_id: u16) {
    put_answer_refused(out, AnswerKind::Completed, packet_id, 0x92, None);
}

/// PINGRESP.
pub(in crate::mqtt) fn put_pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// DISCONNECT of version 5, with the reason as a word if it fits into what the client takes.
pub(in crate::mqtt) fn put_disconnect(out: &mut BytesMut, code: u8, reason: Option<&str>) {
    out.put_u8(0xe0);
    put_length(out, 1 + reason.map_or(0, reason_bytes));
    out.put_u8(code);
    if let Some(reason) = reason {
        put_reason(out, reason);
    }
}

/// What a filter of SUBSCRIBE is answered (3.1.1: section 3.9.3; 5.0: the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Granted {
    /// At quality 0.
    AtMostOnce,
    /// At quality 1, which is the highest.
    AtLeastOnce,
    /// The client may not speak for the device.
    NotAuthorized,
    /// Nothing is published to such topics.
    FilterUnknown,
    /// The connection has as many filters as it may have.
    FiltersMax,
    /// Subscriptions are not shared.
    Shared,
    /// Messages have no subscription identifiers.
    SubscriptionId,
}

impl Granted {
    const fn code(self, version: Version) -> u8 {
        match (self, version) {
            (Self::AtMostOnce, _) => 0,
            (Self::AtLeastOnce, _) => 1,
            (_, Version::V311) => 0x80,
            (Self::NotAuthorized, Version::V5) => 0x87,
            (Self::FilterUnknown, Version::V5) => 0x8f,
            (Self::FiltersMax, Version::V5) => 0x97,
            (Self::Shared, Version::V5) => 0x9e,
            (Self::SubscriptionId, Version::V5) => 0xa1,
        }
    }
}

/// SUBACK, with an answer for each filter.
pub(in crate::mqtt) fn put_suback(
    out: &mut BytesMut,
    version: Version,
    packet_id: u16,
    granted: impl ExactSizeIterator<Item = Granted>,
) {
    let codes = granted.map(|granted| granted.code(version));
    match version {
        Version::V311 => put_answers(out, 0x90, packet_id, &[], codes),
        Version::V5 => put_answers(out, 0x90, packet_id, &[0], codes),
    }
}

/// What a filter of UNSUBSCRIBE is answered (5.0: section 3.11.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::mqtt) enum Removed {
    Yes = 0,
    WasNotThere = 0x11,
}

/// UNSUBACK, in version 5 with an answer for each filter.
pub(in crate::mqtt) fn put_unsuback(
    out: &mut BytesMut,
    version: Version,
    packet_id: u16,
    removed: impl ExactSizeIterator<Item = Removed>,
) {
    match version {
        Version::V311 => put_answers(out, 0xb0, packet_id, &[], std::iter::empty()),
        Version::V5 => {
            let codes = removed.map(|removed| removed as u8);
            put_answers(out, 0xb0, packet_id, &[0], codes);
        }
    }
}

fn put_answers(
    out: &mut BytesMut,
    first: u8,
    packet_id: u16,
    properties: &[u8],
    codes: impl ExactSizeIterator<Item = u8>,
) {
    out.put_u8(first);
    put_length(out, 2 + properties.len() + codes.len());
    out.put_u16(packet_id);
    out.put_slice(properties);
    out.extend(codes);
}

/// A message to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Outgoing<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    /// What the payload is, for clients of version 5 (section 3.3.2.3.9).
    pub content_type: Option<&'a str>,
    /// Whether the payload is text; said in version 5 only (section 3.3.2.3.2).
    pub is_text: bool,
    /// In how many seconds it expires; said in version 5 only (section 3.3.2.3.3).
    pub expires_in_s: Option<u32>,
    /// At quality 1 with this packet identifier, or at quality 0.
    pub packet_id: Option<u16>,
}

/// Appends a PUBLISH. Returns where in it the packet identifier is, or would be; `None` if the
/// message is longer than a packet can be, and nothing is appended.
pub(in crate::mqtt) fn put_message(
    out: &mut BytesMut,
    version: Version,
    message: &Outgoing<'_>,
) -> Option<usize> {
    let properties = match version {
        Version::V311 => BytesMut::new(),
        Version::V5 => described(message),
    };
    let id_bytes = if message.packet_id.is_some() { 2 } else { 0 };
    let topic_bytes = message.topic.len();
    let remaining = 2 + topic_bytes + id_bytes + properties.len() + message.payload.len();
    if topic_bytes > usize::from(u16::MAX) || remaining > REMAINING_LENGTH_MAX {
        return None;
    }
    out.reserve(1 + LENGTH_BYTES_MAX + remaining);
    out.put_u8(if message.packet_id.is_some() {
        0x32
    } else {
        0x30
    });
    put_length(out, remaining);
    put_text(out, message.topic);
    if let Some(packet_id) = message.packet_id {
        out.put_u16(packet_id);
    }
    out.put_slice(&properties);
    out.put_slice(message.payload);
    Some(1 + length_bytes(remaining) + 2 + topic_bytes)
}

/// The properties of a message, with their length.
fn described(message: &Outgoing<'_>) -> BytesMut {
    let mut values = BytesMut::new();
    if message.is_text {
        values.put_slice(&[id::PAYLOAD_FORMAT, 1]);
    }
    if let Some(seconds) = message.expires_in_s {
        values.put_u8(id::MESSAGE_EXPIRY);
        values.put_u32(seconds);
    }
    if let Some(content_type) = message.content_type {
        values.put_u8(id::CONTENT_TYPE);
        put_text(&mut values, content_type);
    }
    let mut properties = BytesMut::with_capacity(LENGTH_BYTES_MAX + values.len());
    put_length(&mut properties, values.len());
    properties.put_slice(&values);
    properties
}

/// How many bytes [`put_reason`] puts.
fn reason_bytes(reason: &str) -> usize {
    let properties = 1 + 2 + reason.len();
    length_bytes(properties) + properties
}

/// Properties that are nothing but a reason string.
fn put_reason(out: &mut BytesMut, reason: &str) {
    put_length(out, 1 + 2 + reason.len());
    out.put_u8(id::REASON);
    put_text(out, reason);
}

/// A text of at most 65,535 bytes.
fn put_text(out: &mut BytesMut, text: &str) {
    debug_assert!(u16::try_from(text.len()).is_ok(), "{text}");
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}

/// Seven bits a byte, the least significant first (3.1.1: section 2.2.3; 5.0: section 1.5.5).
fn put_length(out: &mut BytesMut, mut length: usize) {
    debug_assert!(length <= REMAINING_LENGTH_MAX, "{length}");
    while length > 0x7f {
        out.put_u8(length as u8 | 0x80);
        length >>= 7;
    }
    out.put_u8(length as u8);
}

/// How many bytes [`put_length`] puts.
const fn length_bytes(length: usize) -> usize {
    match length {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}
