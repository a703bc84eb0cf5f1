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
    let topic_alias = match version {
        Version::V311 => None,
        Version::V5 => topic_alias(&mut body)?,
    };
    if topic.is_empty() && topic_alias.is_none() {
        return Err(Malformed::TopicMissing);
    }
    Ok(Publish {
        topic,
        topic_alias,
        payload: body.0,
        qos,
        duplicate,
        retain: flags & 1 != 0,
    })
}

/// The properties, of which only the alias changes anything here. A payload that is said to be
/// text is found not to be when it is read as a reading. An expiry interval bounds how long a
/// message may wait to be passed on: readings are not passed on but judged, once and at once.
fn topic_alias(body: &mut Body<'_>) -> Result<Option<u16>, Malformed> {
    if let Some((0, rest)) = body.0.split_first() {
        body.0 = rest;
        return Ok(None);
    }
    let mut alias = None;
    property::each(body, Allowed::PUBLISH, |property| match property {
        Property::TopicAlias(number) => {
            alias = Some(number);
            Ok(())
        }
        // Section 3.3.4: only a server sends it.
        Property::Subscription => Err(Malformed::SubscriptionId),
        Property::PacketBytesMax(_)
        | Property::SessionExpiry(_)
        | Property::RequestProblem(_)
        | Property::AuthMethod(_)
        | Property::AuthData
        | Property::Other => Ok(()),
    })?;
    Ok(alias)
}
