//! CONNECT: how a client introduces itself, in either version (section 3.1).

use super::body::Body;
use super::property::{self, Allowed, Property};
use super::{Malformed, Packet, Version};

/// How a client introduces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Connect<'a> {
    pub version: Version,
    /// Whether it is a broker that passes on what others say: it wants to hear what is retained as
    /// it was published. Brokers say so with the highest bit of the protocol level.
    pub is_bridge: bool,
    pub client_id: &'a str,
    /// In version 5, "clean start".
    pub clean_session: bool,
    /// Seconds; 0 for none.
    pub keep_alive_s: u16,
    pub will: Option<Will<'a>>,
    pub user: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    pub properties: ConnectProperties<'a>,
}

/// What a client of version 5 adds; in version 3.1.1, as if it had added nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct ConnectProperties<'a> {
    /// How long it wants its session kept, in seconds; 0 for not at all.
    pub session_expiry_s: u32,
    /// How many messages of quality 1 may be on their way to it and not acknowledged.
    pub receive_max: u16,
    /// The longest packet that it takes.
    pub packet_bytes_max: u32,
    /// Whether it wants to be told why a message was not taken.
    pub wants_problems: bool,
    /// How it wants to prove who it is, other than by a password.
    pub auth_method: Option<&'a str>,
}

impl Default for ConnectProperties<'_> {
    fn default() -> Self {
        Self {
            session_expiry_s: 0,
            receive_max: u16::MAX,
            packet_bytes_max: u32::MAX,
            wants_problems: true,
            auth_method: None,
        }
    }
}

/// What a client leaves to be published when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Will<'a> {
    pub topic: &'a str,
    pub message: &'a [u8],
    pub qos: u8,
    pub retain: bool,
    /// How long to wait with it, in seconds (5.0: section 3.1.3.2.2).
    pub delay_s: u32,
    /// What the message is (5.0: section 3.1.3.2.5).
    pub content_type: Option<&'a str>,
    /// Its properties, if its user properties say that it is the data of a CloudEvent.
    pub event_properties: &'a [u8],
}

impl<'a> Will<'a> {
    /// As [`super::Publish::event`].
    pub fn event(&self) -> Vec<(&'a str, &'a str)> {
        property::user(self.event_properties, Allowed::WILL)
    }
}

mod flag {
    pub const RESERVED: u8 = 0x01;
    pub const CLEAN_SESSION: u8 = 0x02;
    pub const WILL: u8 = 0x04;
    pub const WILL_QOS: u8 = 0x18;
    pub const WILL_RETAIN: u8 = 0x20;
    pub const PASSWORD: u8 = 0x40;
    pub const USER: u8 = 0x80;
}

/// What a broker adds to its protocol level that speaks 3.1.1 for others: no standard says so, and
/// mosquitto and others do it unless they are told not to. In version 5 a subscription says it.
const BRIDGE: u8 = 0x80;

/// The version that the body of a CONNECT begins with, and whether it is of a broker that speaks for
/// others; `Err` for one that is not spoken here.
pub(super) fn version(body: &mut Body<'_>) -> Result<Result<(Version, bool), u8>, Malformed> {
    const OF_A_BRIDGE: u8 = BRIDGE | 4;
    match (body.text()?, body.u8()?) {
        ("MQTT", 4) => Ok(Ok((Version::V311, false))),
        ("MQTT", OF_A_BRIDGE) => Ok(Ok((Version::V311, true))),
        ("MQTT", 5) => Ok(Ok((Version::V5, false))),
        ("MQTT" | "MQIsdp", level) => Ok(Err(level)),
        _ => Err(Malformed::Protocol),
    }
}

pub(super) fn connect(mut body: Body<'_>) -> Result<Packet<'_>, Malformed> {
    let (version, is_bridge) = match version(&mut body)? {
        Ok(version) => version,
        Err(level) => return Ok(Packet::ConnectOtherVersion { level }),
    };
    let flags = body.u8()?;
    // Version 5 allows a password alone: a token (section 3.1.2.9).
    let password_alone = flags & flag::PASSWORD != 0 && flags & flag::USER == 0;
    if flags & flag::RESERVED != 0 || (password_alone && version == Version::V311) {
        return Err(Malformed::ConnectFlags);
    }
    let connect = Connect {
        version,
        is_bridge,
        clean_session: flags & flag::CLEAN_SESSION != 0,
        keep_alive_s: body.u16()?,
        properties: match version {
            Version::V311 => ConnectProperties::default(),
            Version::V5 => properties(&mut body)?,
        },
        client_id: body.text()?,
        will: will(version, flags, &mut body)?,
        user: if flags & flag::USER != 0 {
            Some(body.text()?)
        } else {
            None
        },
        password: if flags & flag::PASSWORD != 0 {
            Some(body.sized()?)
        } else {
            None
        },
    };
    body.end()?;
    Ok(Packet::Connect(connect))
}

fn properties<'a>(body: &mut Body<'a>) -> Result<ConnectProperties<'a>, Malformed> {
    let mut read = ConnectProperties::default();
    let mut has_auth_data = false;
    property::each(body, Allowed::CONNECT, |property| {
        match property {
            Property::ReceiveMax(max) => read.receive_max = max,
            Property::SessionExpiry(seconds) => read.session_expiry_s = seconds,
            Property::PacketBytesMax(bytes) => read.packet_bytes_max = bytes,
            Property::RequestProblem(wants) => read.wants_problems = wants,
            Property::AuthMethod(method) => read.auth_method = Some(method),
            Property::AuthData => has_auth_data = true,
            Property::WillDelay(_)
            | Property::TopicAlias(_)
            | Property::ContentType(_)
            | Property::Subscription
            | Property::User(..)
            | Property::Other => {}
        }
        Ok(())
    })?;
    if has_auth_data && read.auth_method.is_none() {
        return Err(Malformed::PropertyValue);
    }
    Ok(read)
}

fn will<'a>(
    version: Version,
    flags: u8,
    body: &mut Body<'a>,
) -> Result<Option<Will<'a>>, Malformed> {
    if flags & flag::WILL == 0 {
        // Section 3.1.2.6 and 3.1.2.7: without a will, its flags are 0.
        return match flags & (flag::WILL_QOS | flag::WILL_RETAIN) {
            0 => Ok(None),
            _ => Err(Malformed::ConnectFlags),
        };
    }
    let qos = (flags & flag::WILL_QOS) >> 3;
    if qos == 3 {
        return Err(Malformed::ConnectFlags);
    }
    let (mut delay_s, mut content_type, mut event_properties) = (0, None, &b""[..]);
    if version == Version::V5 {
        let (before, mut is_event) = (body.0, false);
        property::each(body, Allowed::WILL, |property| {
            match property {
                Property::WillDelay(seconds) => delay_s = seconds,
                Property::ContentType(text) => content_type = Some(text),
                Property::PacketBytesMax(_)
                | Property::SessionExpiry(_)
                | Property::ReceiveMax(_)
                | Property::RequestProblem(_)
                | Property::AuthMethod(_)
                | Property::AuthData
                | Property::TopicAlias(_)
                | Property::Subscription
                | Property::Other => {}
                Property::User(name, _) => is_event |= name == property::EVENT,
            }
            Ok(())
        })?;
        if is_event {
            event_properties = &before[..before.len() - body.0.len()];
        }
    }
    Ok(Some(Will {
        delay_s,
        content_type,
        event_properties,
        topic: body.topic()?,
        message: body.sized()?,
        qos,
        retain: flags & flag::WILL_RETAIN != 0,
    }))
}
