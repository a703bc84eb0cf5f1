//! The properties of version 5 (section 2.2.2): what a client may add to its packets.
//!
//! Arrives: a packet's body at its property length. Leaves: each [`Property`], checked, to the
//! packet's own reader. Promise: an identifier that is unknown, not of this packet, or there twice
//! is refused, and so is a value that the standard forbids.

use super::Malformed;
use super::body::Body;

/// Which properties a packet may have: a bit for each identifier.
#[derive(Clone, Copy)]
pub(super) struct Allowed(u64);

impl Allowed {
    pub const CONNECT: Self = Self::these(&[
        id::SESSION_EXPIRY,
        id::RECEIVE_MAX,
        id::PACKET_BYTES_MAX,
        id::TOPIC_ALIAS_MAX,
        id::REQUEST_RESPONSE,
        id::REQUEST_PROBLEM,
        id::USER,
        id::AUTH_METHOD,
        id::AUTH_DATA,
    ]);
    pub const WILL: Self = Self::these(&[
        id::WILL_DELAY,
        id::PAYLOAD_FORMAT,
        id::MESSAGE_EXPIRY,
        id::CONTENT_TYPE,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
        id::USER,
    ]);
    pub const PUBLISH: Self = Self::these(&[
        id::PAYLOAD_FORMAT,
        id::MESSAGE_EXPIRY,
        id::TOPIC_ALIAS,
        id::RESPONSE_TOPIC,
        id::CORRELATION_DATA,
        id::USER,
        id::SUBSCRIPTION,
        id::CONTENT_TYPE,
    ]);
    pub const ANSWER: Self = Self::these(&[id::REASON, id::USER]);
    pub const SUBSCRIBE: Self = Self::these(&[id::SUBSCRIPTION, id::USER]);
    pub const UNSUBSCRIBE: Self = Self::these(&[id::USER]);
    pub const DISCONNECT: Self = Self::these(&[id::SESSION_EXPIRY, id::REASON, id::USER]);

    const fn these(ids: &[u8]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < ids.len() {
            bits |= 1 << ids[at];
            at += 1;
        }
        Self(bits)
    }

    const fn has(self, id: u8) -> bool {
        id < 64 && self.0 & (1 << id) != 0
    }
}

/// A property that is looked at; the others are checked and passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property<'a> {
    /// Section 3.1.2.11.4, in bytes.
    PacketBytesMax(u32),
    /// Section 3.1.2.11.2, in seconds.
    SessionExpiry(u32),
    /// Section 3.1.2.11.3.
    ReceiveMax(u16),
    /// Section 3.1.2.11.7.
    RequestProblem(bool),
    /// Section 3.1.2.11.9.
    AuthMethod(&'a str),
    /// Section 3.1.2.11.10.
    AuthData,
    /// Section 3.1.3.2.2, in seconds.
    WillDelay(u32),
    /// Section 3.3.2.3.4; 0 is not allowed, which is for the session to say.
    TopicAlias(u16),
    /// Section 3.3.2.3.9.
    ContentType(&'a str),
    /// Section 3.8.2.1.2.
    Subscription,
    /// Section 3.3.2.3.7: a name and a value.
    User(&'a str, &'a str),
    /// Any other.
    Other,
}

/// The attribute that each CloudEvent has: without it user properties are only kept out.
pub(super) const EVENT: &str = "specversion";

/// The user properties among these, which were read before; none if there are no properties.
pub(super) fn user(properties: &[u8], allowed: Allowed) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    if properties.is_empty() {
        return found;
    }
    let read = each(&mut Body(properties), allowed, |property| {
        if let Property::User(name, value) = property {
            found.push((name, value));
        }
        Ok(())
    });
    debug_assert!(read.is_ok(), "they were read before");
    found
}

/// Reads the properties and their length off the front of a body.
pub(super) fn each<'a>(
    body: &mut Body<'a>,
    allowed: Allowed,
    mut take: impl FnMut(Property<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let length = body.variable()?;
    let mut rest = Body(body.bytes(length as usize)?);
    let mut seen = Allowed(0);
    while !rest.is_empty() {
        let id = rest.u8()?;
        if !allowed.has(id) {
            return Err(Malformed::Property);
        }
        if seen.has(id) && id != id::USER {
            return Err(Malformed::PropertyRepeated);
        }
        seen.0 |= 1 << id;
        take(property(id, &mut rest)?)?;
    }
    Ok(())
}

/// The same, where none of them changes anything.
pub(super) fn pass_over(body: &mut Body<'_>, allowed: Allowed) -> Result<(), Malformed> {
    each(body, allowed, |_| Ok(()))
}

/// The identifiers (section 2.2.2.2, table 2-4) of those that a client may send.
mod id {
    pub const PAYLOAD_FORMAT: u8 = 1;
    pub const MESSAGE_EXPIRY: u8 = 2;
    pub const CONTENT_TYPE: u8 = 3;
    pub const RESPONSE_TOPIC: u8 = 8;
    pub const CORRELATION_DATA: u8 = 9;
    pub const SUBSCRIPTION: u8 = 11;
    pub const SESSION_EXPIRY: u8 = 17;
    pub const AUTH_METHOD: u8 = 21;
    pub const AUTH_DATA: u8 = 22;
    pub const REQUEST_PROBLEM: u8 = 23;
    pub const WILL_DELAY: u8 = 24;
    pub const REQUEST_RESPONSE: u8 = 25;
    pub const REASON: u8 = 31;
    pub const RECEIVE_MAX: u8 = 33;
    pub const TOPIC_ALIAS_MAX: u8 = 34;
    pub const TOPIC_ALIAS: u8 = 35;
    pub const USER: u8 = 38;
    pub const PACKET_BYTES_MAX: u8 = 39;
}

fn property<'a>(id: u8, body: &mut Body<'a>) -> Result<Property<'a>, Malformed> {
    let property = match id {
        id::PACKET_BYTES_MAX => Property::PacketBytesMax(positive(body.u32()?)?),
        id::SESSION_EXPIRY => Property::SessionExpiry(body.u32()?),
        id::RECEIVE_MAX => match body.u16()? {
            0 => return Err(Malformed::PropertyValue),
            max => Property::ReceiveMax(max),
        },
        id::REQUEST_PROBLEM => Property::RequestProblem(flag(body)?),
        id::AUTH_METHOD => Property::AuthMethod(body.text()?),
        id::AUTH_DATA => {
            body.sized()?;
            Property::AuthData
        }
        id::WILL_DELAY => Property::WillDelay(body.u32()?),
        id::TOPIC_ALIAS => Property::TopicAlias(body.u16()?),
        id::CONTENT_TYPE => Property::ContentType(body.text()?),
        id::SUBSCRIPTION => {
            positive(body.variable()?)?;
            Property::Subscription
        }
        id::USER => Property::User(body.text()?, body.text()?),
        _ => {
            check_other(id, body)?;
            Property::Other
        }
    };
    Ok(property)
}

fn check_other(id: u8, body: &mut Body<'_>) -> Result<(), Malformed> {
    match id {
        id::PAYLOAD_FORMAT | id::REQUEST_RESPONSE => flag(body).map(drop),
        id::MESSAGE_EXPIRY => body.u32().map(drop),
        id::REASON => body.text().map(drop),
        id::RESPONSE_TOPIC => body.topic().map(drop),
        id::CORRELATION_DATA => body.sized().map(drop),
        id::TOPIC_ALIAS_MAX => body.u16().map(drop),
        _ => Err(Malformed::Property),
    }
}

fn flag(body: &mut Body<'_>) -> Result<bool, Malformed> {
    match body.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::PropertyValue),
    }
}

const fn positive(value: u32) -> Result<u32, Malformed> {
    match value {
        0 => Err(Malformed::PropertyValue),
        value => Ok(value),
    }
}
