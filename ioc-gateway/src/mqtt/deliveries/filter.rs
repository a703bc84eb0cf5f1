//! The topic filters that a client can subscribe to, and who may.
//!
//! Decisions: whoever is let in. Deliveries: who may speak for the device. A wildcard in the
//! device's level is granted to who may speak for any, and gets those of devices that it may
//! speak for, no others.

use ioc_core::id::ZoneId;

use super::DECISIONS;
use super::topic::{Topic, namespace};
use crate::formats::TopicFilter;
use crate::mqtt::codec::{Granted, Wanted};
use crate::rights::Devices;

/// A filter, with what was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Filter {
    topics: Topics,
    pub(super) grant: Grant,
}

/// How a subscriber gets what a filter chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// 0 or 1.
    pub qos: u8,
    pub retain_as_published: bool,
}

impl Grant {
    /// What two filters that choose the same topic grant together: it comes once, in the higher
    /// quality (section 3.3.5).
    pub const fn or(self, other: Self) -> Self {
        Self {
            qos: if self.qos > other.qos {
                self.qos
            } else {
                other.qos
            },
            retain_as_published: self.retain_as_published || other.retain_as_published,
        }
    }
}

/// What a filter chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Topics {
    /// `ioc/v1/decisions/#` or `ioc/v1/decisions/+`: every zone is one level.
    EveryZone,
    /// `ioc/v1/decisions/<zone>`, the zone as it is escaped in the topic.
    Zone(Box<str>),
    /// Of devices.
    Devices(TopicFilter),
}

impl Filter {
    /// The longest zone in a filter: each byte may be escaped. None is published to a longer one,
    /// and what could never match is not kept for a client.
    pub const ZONE_BYTES_MAX: usize = 3 * ZoneId::BYTES_MAX;

    /// The filter of a SUBSCRIBE of a client that may speak for these devices; or why not.
    pub fn parse(wanted: &Wanted<'_>, devices: &Devices) -> Result<Self, Granted> {
        Ok(Self {
            topics: topics(wanted.filter, devices)?,
            grant: Grant {
                // Quality 2 is granted as 1, which is the highest.
                qos: wanted.qos.min(1),
                retain_as_published: wanted.retain_as_published,
            },
        })
    }

    /// What SUBACK says of it.
    pub const fn granted(&self) -> Granted {
        match self.grant.qos {
            0 => Granted::AtMostOnce,
            _ => Granted::AtLeastOnce,
        }
    }

    /// Whether another is for the same topics.
    pub fn is_same(&self, other: &Self) -> bool {
        self.topics == other.topics
    }

    pub(super) fn chooses_zone(&self, escaped_zone: &str) -> bool {
        match &self.topics {
            Topics::EveryZone => true,
            Topics::Zone(own) => **own == *escaped_zone,
            Topics::Devices(_) => false,
        }
    }

    pub(super) fn chooses(&self, topic: &Topic) -> bool {
        match &self.topics {
            Topics::EveryZone | Topics::Zone(_) => false,
            Topics::Devices(filter) => filter.chooses(topic.as_str()),
        }
    }
}

fn topics(filter: &str, devices: &Devices) -> Result<Topics, Granted> {
    match filter.strip_prefix(DECISIONS) {
        Some("#" | "+") => return Ok(Topics::EveryZone),
        Some(zone) if zone.is_empty() || zone.contains('/') => return Err(Granted::FilterUnknown),
        Some(zone) if zone.len() > Filter::ZONE_BYTES_MAX => return Err(Granted::FilterUnknown),
        Some(zone) => return Ok(Topics::Zone(zone.into())),
        None => {}
    }
    let levels: Vec<_> = filter.split('/').collect();
    if namespace(&levels).is_none() || filter.len() > Topic::BYTES_MAX {
        return Err(Granted::FilterUnknown);
    }
    let may = match levels[3] {
        "+" | "#" => devices.are_some(),
        device => devices.have(device),
    };
    if !may {
        return Err(Granted::NotAuthorized);
    }
    let filter = filter.parse().map_err(|_| Granted::FilterUnknown)?;
    Ok(Topics::Devices(filter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::codec::RetainHandling;

    fn parse(filter: &str, devices: &Devices) -> Result<Filter, Granted> {
        let wanted = Wanted {
            filter,
            qos: 1,
            retain_as_published: false,
            retain_handling: RetainHandling::Always,
        };
        Filter::parse(&wanted, devices)
    }

    #[test]
    fn nothing_else_can_be_subscribed_to() {
        for filter in [
            "ioc/v1/decisions/#",
            "ioc/v1/decisions/+",
            "ioc/v1/decisions/z21",
            "ioc/v1/commands/gate-7",
            "ioc/v1/commands/gate-7/#",
            "ioc/v1/commands/+",
            "ioc/v1/commands/#",
            "spBv1.0/water/NCMD/north/#",
            "spBv1.0/+/DCMD/north/+",
            "spBv1.0/+/NCMD/#",
        ] {
            assert!(parse(filter, &Devices::Every).is_ok(), "{filter}");
        }
        for filter in [
            "#",
            "+/+/+/+",
            "ioc/#",
            "ioc/v1/#",
            "ioc/v1/readings/#",
            "ioc/v1/decisions",
            "ioc/v1/decisions/",
            "ioc/v1/decisions/z21/#",
            "ioc/v1/commands",
            "ioc/v1/+/gate-7",
            "spBv1.0/#",
            "spBv1.0/water/#",
            "spBv1.0/water/+/north",
            "spBv1.0/water/NDATA/north",
            "spBv1.0/water/NCMD",
            "$SYS/#",
            &format!("ioc/v1/commands/{}", "d".repeat(497)),
        ] {
            let refused = parse(filter, &Devices::Every);
            assert_eq!(refused, Err(Granted::FilterUnknown), "{filter}");
        }
    }

    #[test]
    fn who_may_speak_for_a_device_may_hear_its_commands() {
        let own = Devices::these(["gate-7", "wl-04*"]);
        for (filter, may) in [
            ("ioc/v1/decisions/#", true),
            ("ioc/v1/commands/gate-7", true),
            ("ioc/v1/commands/gate-70", false),
            ("ioc/v1/commands/wl-0412", true),
            ("ioc/v1/commands/+", true),
            ("spBv1.0/water/NCMD/gate-7/#", true),
            ("spBv1.0/water/NCMD/north/#", false),
        ] {
            let expected = if may {
                Ok(())
            } else {
                Err(Granted::NotAuthorized)
            };
            assert_eq!(parse(filter, &own).map(drop), expected, "{filter}");
        }
        let none = Devices::these([]);
        let refused = parse("ioc/v1/commands/#", &none);
        assert_eq!(refused, Err(Granted::NotAuthorized));
    }
}
