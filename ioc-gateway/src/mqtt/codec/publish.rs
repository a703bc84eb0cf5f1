//! PUBLISH: a message, in either version (section 3.3).

use super::body::Body;
use super::property::{self, Allowed, Property};
use super::{Malformed, Version};

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Publish<'a> {
    /// Empty where only an alias says it.
    pub topic: &'a str,
    /// What stands for the topic, or shall stand for it from now on (5.0: section 3.3.2.3.4).
    pub topic_alias: Option<u16>,
    /// What the payload is, if version 5 says so (5.0: section 3.3.2.3.9).
    pub content_type: Option<&'a str>,
    /// All its properties, if it is a CloudEvent in binary mode.
    pub event_properties: &'a [u8],
    pub payload: &'a [u8],
    pub qos: Qos,
    pub duplicate: bool,
    pub retain: bool,
}

/// The quality of service of a message, with its packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Qos {
    /// At most once.
    Zero,
    /// At least once.
    One(u16),
    /// Exactly once.
    Two(u16),
}

/// Reads a message. If its end is missing, so is that of its payload.
#[inline]
pub(super) fn publish(
    version: Version,
    flags: u8,
    mut body: Body<'_>,
) -> Result<Publish<'_>, Malformed> {
    let duplicate = flags & 8 != 0;
    let topic = match version {
        Version::V311 => body.topic()?,
        Version::V5 => body.topic_or_nothing()?,
    };
    let qos = match (flags >> 1) & 3 {
        0 if duplicate => return Err(Malformed::Qos),
        0 => Qos::Zero,
        1 => Qos::One(body.packet_id()?),
        2 => Qos::Two(body.packet_id()?),
        _ => return Err(Malformed::Qos),
    };
    let Described {
        topic_alias,
        content_type,
        event,
    } = match version {
        Version::V311 => Described::default(),
        Version::V5 => described(&mut body)?,
    };
    if topic.is_empty() && topic_alias.is_none() {
        return Err(Malformed::TopicMissing);
    }
    Ok(Publish {
        topic,
        topic_alias,
        content_type,
        event_properties: event,
        payload: body.0,
        qos,
        duplicate,
        retain: flags & 1 != 0,
    })
}

impl<'a> Publish<'a> {
    /// The attributes of the CloudEvent whose data the payload is; of other messages none
    /// ("MQTT Protocol Binding for CloudEvents 1.0", section 3.1.3.1).
    pub fn event(&self) -> Vec<(&'a str, &'a str)> {
        property::user(self.event_properties, Allowed::PUBLISH)
    }
}

/// What the properties say, as far as it changes anything.
#[derive(Default)]
struct Described<'a> {
    topic_alias: Option<u16>,
    content_type: Option<&'a str>,
    event: &'a [u8],
}

/// Reads the properties. A payload that is said to be text is found not to be when it is read as a
/// reading. An expiry interval bounds how long a message may wait to be passed on: readings are
/// not passed on but judged, once and at once.
fn described<'a>(body: &mut Body<'a>) -> Result<Described<'a>, Malformed> {
    let mut described = Described::default();
    if let Some((0, rest)) = body.0.split_first() {
        body.0 = rest;
        return Ok(described);
    }
    let (before, mut is_event) = (body.0, false);
    property::each(body, Allowed::PUBLISH, |property| match property {
        Property::TopicAlias(number) => {
            described.topic_alias = Some(number);
            Ok(())
        }
        Property::ContentType(text) => {
            described.content_type = Some(text);
            Ok(())
        }
        Property::User(name, _) => {
            is_event |= name == property::EVENT;
            Ok(())
        }
        // Section 3.3.4: only a server sends it.
        Property::Subscription => Err(Malformed::SubscriptionId),
        Property::PacketBytesMax(_)
        | Property::SessionExpiry(_)
        | Property::ReceiveMax(_)
        | Property::WillDelay(_)
        | Property::RequestProblem(_)
        | Property::AuthMethod(_)
        | Property::AuthData
        | Property::Other => Ok(()),
    })?;
    if is_event {
        described.event = &before[..before.len() - body.0.len()];
    }
    Ok(described)
}
