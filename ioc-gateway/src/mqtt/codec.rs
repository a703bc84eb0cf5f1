//! MQTT packets from clients, as far as a listener for publishers and subscribers needs them.
//!
//! Arrives: the bytes of a socket. Leaves: [`Packet`]s that borrow from them. Promise: any bytes
//! are split and decoded without a panic and without allocating; what the standard forbids is
//! [`Malformed`], with its own word and reason code. Sections are those of "MQTT Version 3.1.1"
//! (OASIS, 2014) and "MQTT Version 5.0" (OASIS, 2019); most have one number in both. Not here:
//! what packets mean, see `session.rs`. Next: the bodies in `codec/`, `codec/answers.rs`, what is
//! sent back.

mod body;
mod property;
mod connect;
mod publish;
mod subscribe;
mod answers;

pub(super) use self::answers::{
    Granted, Limits, Outgoing, Refusal, Removed, put_answer, put_answer_refused,
    put_completed_unknown, put_connack, put_disconnect, put_message, put_pingresp, put_refusal,
    put_suback, put_unsuback,
};
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::connect::ConnectProperties;
pub(super) use self::connect::{Connect, Will};
pub(super) use self::publish::{Publish, Qos};
pub(super) use self::subscribe::{RetainHandling, SHARED, Subscribe, Wanted};

use self::body::Body;
use self::property::Allowed;

/// The most bytes that a remaining length takes (3.1.1: section 2.2.3; 5.0: section 2.1.4).
const LENGTH_BYTES_MAX: usize = 4;

/// The most bytes of a packet before its payload, as far as they matter here: fixed header,
/// topic, packet identifier.
pub(super) const PUBLISH_HEAD_BYTES_MAX: usize = 1 + LENGTH_BYTES_MAX + 2 + 65_535 + 2;

/// What a connection speaks: its CONNECT says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol version 5.
    V5,
}

impl Version {
    /// The version as people write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }
}

macro_rules! malformed {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $code:literal,)+) => {
        /// What makes a packet malformed. The words are stable: dashboards count by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Malformed { $($(#[$doc])* $variant,)+ }

        impl Malformed {
            /// The word that it is counted by.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The reason code of version 5 (section 2.4): 0x81 for a packet that cannot be read,
            /// 0x82 for one that may not be sent, or the one of its own.
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code),+ }
            }
        }
    };
}

malformed! {
    /// The remaining length takes more than four bytes.
    RemainingLength = "malformed_remaining_length", 0x81,
    /// The packet is longer than the listener takes.
    PacketTooLong = "packet_too_long", 0x95,
    /// The type is reserved, or one that only a server sends.
    PacketType = "malformed_packet_type", 0x81,
    /// The flags of the fixed header are not those of the type.
    Flags = "malformed_flags", 0x81,
    /// The body ends early, or goes on after its end.
    Length = "malformed_length", 0x81,
    /// A variable byte integer is longer than four bytes, or than it needs to be.
    Integer = "malformed_integer", 0x81,
    /// A text is not UTF-8, or holds the character U+0000.
    Text = "malformed_text", 0x81,
    /// A packet identifier is 0.
    PacketId = "malformed_packet_id", 0x82,
    /// A quality of service is 3, or a redelivery claims to be of quality 0.
    Qos = "malformed_qos", 0x81,
    /// A topic is empty or has wildcards, or a filter has them in the wrong place.
    Topic = "malformed_topic", 0x81,
    /// A message has neither a topic nor an alias for one.
    TopicMissing = "topic_missing", 0x82,
    /// CONNECT names a protocol that is not MQTT.
    Protocol = "malformed_protocol", 0x84,
    /// The flags of CONNECT contradict each other.
    ConnectFlags = "malformed_connect_flags", 0x81,
    /// SUBSCRIBE or UNSUBSCRIBE without a filter.
    NoFilter = "malformed_no_filter", 0x82,
    /// The options of a subscription use reserved bits.
    SubscriptionOptions = "malformed_subscription_options", 0x81,
    /// The options of a subscription are ones that may not be asked for.
    SubscriptionForbidden = "subscription_options_forbidden", 0x82,
    /// A message from a client has a subscription identifier.
    SubscriptionId = "subscription_id_unexpected", 0x82,
    /// A property is unknown, or not one of this packet.
    Property = "malformed_property", 0x81,
    /// A property is there twice.
    PropertyRepeated = "property_repeated", 0x82,
    /// A property has a value that the standard forbids.
    PropertyValue = "property_value_forbidden", 0x82,
}

/// One packet as it lies in the socket's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Type and flags.
    first: u8,
    /// What follows the fixed header.
    body: &'a [u8],
}

/// What stands at the front of a socket's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split<'a> {
    /// A whole packet, and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// A part of one. How long it will be is only a claim: nothing is reserved for it.
    Part,
    /// At least the fixed header of a packet that is longer than the listener takes.
    TooLong(TooLong),
}

/// A packet that is longer than the listener takes, as its fixed header announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong {
    first: u8,
    header_bytes: usize,
    /// How many bytes it takes, with its fixed header.
    pub bytes: usize,
}

impl TooLong {
    /// Whether it is a message.
    pub const fn is_publish(self) -> bool {
        self.first >> 4 == 3
    }

    /// As much of it as these bytes hold.
    pub fn beginning(self, bytes: &[u8]) -> Frame<'_> {
        Frame {
            first: self.first,
            body: &bytes[self.header_bytes..bytes.len().min(self.bytes)],
        }
    }
}

/// Finds the first packet of these bytes.
pub(super) fn split(bytes: &[u8], packet_bytes_max: usize) -> Result<Split<'_>, Malformed> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(Split::Part);
    };
    let first = *first;
    let mut remaining = 0;
    for (place, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 != 0 {
            continue;
        }
        let header_bytes = 2 + place;
        let whole = header_bytes + remaining;
        if whole > packet_bytes_max {
            return Ok(Split::TooLong(TooLong {
                first,
                header_bytes,
                bytes: whole,
            }));
        }
        return Ok(match bytes.get(header_bytes..whole) {
            Some(body) => Split::Frame(Frame { first, body }, whole),
            None => Split::Part,
        });
    }
    if rest.len() >= LENGTH_BYTES_MAX {
        return Err(Malformed::RemainingLength);
    }
    Ok(Split::Part)
}

/// The version that the CONNECT at the front of these bytes says, however much of it is there;
/// `None` if it is not spoken here, not said yet, or not said at all.
pub(super) fn version_said(bytes: &[u8]) -> Option<Version> {
    let (first, rest) = bytes.split_first()?;
    let last_of_length = rest
        .iter()
        .take(LENGTH_BYTES_MAX)
        .position(|b| b & 0x80 == 0)?;
    let mut body = Body(&rest[last_of_length + 1..]);
    let is_connect = first >> 4 == 1;
    let (version, _) = connect::version(&mut body).ok()?.ok()?;
    is_connect.then_some(version)
}

/// A packet from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The client introduces itself (section 3.1).
    Connect(Connect<'a>),
    /// The client speaks a version of MQTT that is not spoken here; its CONNECT was not read on.
    ConnectOtherVersion {
        /// The protocol level: 3 for MQTT 3.1, more than 5 for what is to come, and from 128 on what a
        /// broker says that speaks for others.
        level: u8,
    },
    /// A message (section 3.3).
    Publish(Publish<'a>),
    /// An answer to a message of quality 1 or 2, or to such an answer (sections 3.4 to 3.7).
    Answer(Answer),
    /// The client wants messages (section 3.8).
    Subscribe(Subscribe<'a>),
    /// The client no longer wants messages (section 3.10).
    Unsubscribe(Subscribe<'a>),
    /// The client is alive (section 3.12).
    PingReq,
    /// The client goes, and means it (section 3.14).
    Disconnect {
        /// Why; 0 for no reason but its own.
        code: u8,
    },
    /// The client goes on with an authentication (5.0: section 3.15), of which none is begun here.
    Auth,
}

/// What a client answers about one packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub kind: AnswerKind,
    pub packet_id: u16,
    /// Why; 0x80 and more for a fault (5.0: sections 3.4.2.1 to 3.7.2.1).
    pub code: u8,
}

/// Which step of an exchange an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerKind {
    /// PUBACK: a message of quality 1 is taken.
    Acknowledged,
    /// PUBREC: a message of quality 2 is taken.
    Received,
    /// PUBREL: the packet identifier of a message of quality 2 may be forgotten.
    Released,
    /// PUBCOMP: it is forgotten.
    Completed,
}

impl AnswerKind {
    /// Its packet's first byte.
    const fn first_byte(self) -> u8 {
        match self {
            Self::Acknowledged => 0x40,
            Self::Received => 0x50,
            Self::Released => 0x62,
            Self::Completed => 0x70,
        }
    }
}

impl<'a> Frame<'a> {
    /// What the packet says if it is a message.
    #[inline]
    pub fn publish(self, version: Version) -> Option<Result<Publish<'a>, Malformed>> {
        let is_publish = self.first >> 4 == 3;
        is_publish.then(|| publish::publish(version, self.first & 0x0f, Body(self.body)))
    }

    /// What the packet says, in the version of its connection; CONNECT has its own.
    pub fn decode(self, version: Version) -> Result<Packet<'a>, Malformed> {
        if let Some(publish) = self.publish(version) {
            return publish.map(Packet::Publish);
        }
        let flags = self.first & 0x0f;
        let body = Body(self.body);
        let kind = self.first >> 4;
        // Section 2.2.2, in 5.0 section 2.1.3: PUBREL, SUBSCRIBE and UNSUBSCRIBE have a flag.
        let expected = if matches!(kind, 6 | 8 | 10) { 2 } else { 0 };
        if flags != expected {
            return Err(Malformed::Flags);
        }
        match kind {
            1 => connect::connect(body),
            4 => answer(AnswerKind::Acknowledged, version, body),
            5 => answer(AnswerKind::Received, version, body),
            6 => answer(AnswerKind::Released, version, body),
            7 => answer(AnswerKind::Completed, version, body),
            8 => subscribe::subscribe(version, body).map(Packet::Subscribe),
            10 => subscribe::unsubscribe(version, body).map(Packet::Unsubscribe),
            12 => body.end().map(|()| Packet::PingReq),
            14 => disconnect(version, body),
            15 if version == Version::V5 => Ok(Packet::Auth),
            _ => Err(Malformed::PacketType),
        }
    }
}

fn answer(kind: AnswerKind, version: Version, mut body: Body<'_>) -> Result<Packet<'_>, Malformed> {
    let packet_id = body.packet_id()?;
    let code = match version {
        Version::V311 => 0,
        Version::V5 => code_and_properties(&mut body, Allowed::ANSWER)?,
    };
    body.end()?;
    Ok(Packet::Answer(Answer {
        kind,
        packet_id,
        code,
    }))
}

fn disconnect(version: Version, mut body: Body<'_>) -> Result<Packet<'_>, Malformed> {
    let code = match version {
        Version::V311 => 0,
        Version::V5 => code_and_properties(&mut body, Allowed::DISCONNECT)?,
    };
    body.end().map(|()| Packet::Disconnect { code })
}

/// A reason code and properties, each of which may be left out if nothing follows (5.0: sections
/// 3.4.2.1 and 3.14.2.1).
fn code_and_properties(body: &mut Body<'_>, allowed: Allowed) -> Result<u8, Malformed> {
    if body.is_empty() {
        return Ok(0);
    }
    let code = body.u8()?;
    if !body.is_empty() {
        property::pass_over(body, allowed)?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests;
