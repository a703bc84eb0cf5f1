//! The topics of deliveries: each names a device.

use std::fmt;
use std::str::FromStr;

/// What a device's own topic begins with.
const COMMANDS: [&str; 3] = ["ioc", "v1", "commands"];
/// What all topics of Sparkplug B begin with (Sparkplug 3.0, section 4.1: `namespace/group_id/
/// message_type/edge_node_id/[device_id]`).
const SPARKPLUG: &str = "spBv1.0";

/// A topic that a delivery can be sent to: `ioc/v1/commands/<device>`, and Sparkplug's
/// `spBv1.0/<group>/NCMD/<edge node>` and `spBv1.0/<group>/DCMD/<edge node>/<device>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Box<str>);

/// A text that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "deliveries go to ioc/v1/commands/DEVICE, spBv1.0/GROUP/NCMD/NODE and \
    spBv1.0/GROUP/DCMD/NODE/DEVICE, of at most {} bytes",
    Topic::BYTES_MAX
)]
pub struct TopicError;

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let levels: Vec<_> = text.split('/').collect();
        let is_right = match namespace(&levels) {
            Some(Namespace::Commands) => levels.len() == 4,
            Some(Namespace::Nodes) => levels.len() == 4,
            Some(Namespace::Devices) => levels.len() == 5,
            None => false,
        };
        let is_printable = !text.contains(|c: char| c.is_control() || matches!(c, '+' | '#'));
        let is_named = levels.iter().all(|level| !level.is_empty());
        if !is_right || !is_printable || !is_named || text.len() > Self::BYTES_MAX {
            return Err(TopicError);
        }
        Ok(Self(text.into()))
    }
}

impl Topic {
    /// The longest topic, and so the longest filter for one.
    pub const BYTES_MAX: usize = 512;

    /// The topic as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The device that it names; of Sparkplug's the edge node, which is what connects.
    pub fn device(&self) -> &str {
        let device = self.0.split('/').nth(3);
        device.expect("all topics have four levels")
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the first three levels say; the fourth names the device in all of them.
pub(super) enum Namespace {
    Commands,
    Nodes,
    Devices,
}

/// Which namespace these levels of a topic or filter begin with; at least one level follows.
pub(super) fn namespace(levels: &[&str]) -> Option<Namespace> {
    match levels {
        [first, second, third, _, ..] if [*first, *second, *third] == COMMANDS => {
            Some(Namespace::Commands)
        }
        [SPARKPLUG, _, "NCMD", _, ..] => Some(Namespace::Nodes),
        [SPARKPLUG, _, "DCMD", _, ..] => Some(Namespace::Devices),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_a_device() {
        for (text, device) in [
            ("ioc/v1/commands/gate-7", "gate-7"),
            ("spBv1.0/water/NCMD/north", "north"),
            ("spBv1.0/water/DCMD/north/gate-7", "north"),
        ] {
            let topic: Topic = text.parse().unwrap();
            assert_eq!((topic.as_str(), topic.device()), (text, device));
        }
        let longest = format!("ioc/v1/commands/{}", "d".repeat(496));
        assert!(longest.parse::<Topic>().is_ok());
        for other in [
            "ioc/v1/commands",
            "ioc/v1/commands/",
            "ioc/v1/commands/a/b",
            "ioc/v1/commands/+",
            "ioc/v1/commands/a\n",
            "ioc/v1/decisions/z",
            "spBv1.0/water/NCMD/north/gate-7",
            "spBv1.0/water/DCMD/north",
            "spBv1.0//NCMD/north",
            "spBv1.0/water/NDATA/north",
            "",
            &format!("{longest}d"),
        ] {
            assert_eq!(other.parse::<Topic>(), Err(TopicError), "{other}");
        }
    }
}
