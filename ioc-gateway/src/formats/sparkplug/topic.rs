//! The topics of Sparkplug (sections 4.1 and 4.2): `spBv1.0/GROUP/TYPE/NODE`, and `/DEVICE` if it
//! is of one; `spBv1.0/STATE/HOST`.

use crate::formats::{Reason, Reject};

/// What the topics begin with (section 4.1.1).
const NAMESPACE: &str = "spBv1.0";

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Birth,
    Data,
    Death,
    /// To a node or a device, from a host application, which may be this one.
    Command,
    /// Whether a host application is there.
    State,
}

/// A topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Topic<'t> {
    pub kind: Kind,
    pub group: &'t str,
    pub node: &'t str,
    /// Empty if it is of the node itself.
    pub device: &'t str,
}

impl<'t> Topic<'t> {
    /// What a topic says.
    ///
    /// # Errors
    /// If it is none of Sparkplug's.
    pub fn parse(topic: &'t str) -> Result<Self, Reject> {
        Self::parts(topic).ok_or_else(|| {
            let topic = crate::formats::cut(topic);
            let detail = format!(
                "{topic:?} is no topic of Sparkplug B, such as {NAMESPACE}/GROUP/DDATA/NODE/DEVICE"
            );
            Reject::new(Reason::ShapeUnexpected, detail)
        })
    }

    /// The same, without a reason.
    pub fn parts(topic: &'t str) -> Option<Self> {
        let mut levels = topic.split('/');
        if levels.next()? != NAMESPACE {
            return None;
        }
        let mut level = || levels.next().unwrap_or_default();
        let (group, kind, node, device) = (level(), level(), level(), level());
        if group == "STATE" && node.is_empty() {
            return Some(Self {
                kind: Kind::State,
                group: "",
                node: kind,
                device: "",
            });
        }
        let (kind, is_of_device) = match kind {
            "NBIRTH" => (Kind::Birth, false),
            "NDATA" => (Kind::Data, false),
            "NDEATH" => (Kind::Death, false),
            "NCMD" => (Kind::Command, false),
            "DBIRTH" => (Kind::Birth, true),
            "DDATA" => (Kind::Data, true),
            "DDEATH" => (Kind::Death, true),
            "DCMD" => (Kind::Command, true),
            _ => return None,
        };
        let is_whole = !group.is_empty() && !node.is_empty() && is_of_device != device.is_empty();
        (is_whole && levels.next().is_none()).then_some(Self {
            kind,
            group,
            node,
            device,
        })
    }
}

/// Where a node takes commands (section 4.1.7).
pub(super) fn command(group: &str, node: &str) -> String {
    format!("{NAMESPACE}/{group}/NCMD/{node}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_taken_apart() {
        let topic = |kind, group, node, device| {
            Some(Topic {
                kind,
                group,
                node,
                device,
            })
        };
        for (text, expected) in [
            ("spBv1.0/G/NBIRTH/N", topic(Kind::Birth, "G", "N", "")),
            ("spBv1.0/G/DDATA/N/D", topic(Kind::Data, "G", "N", "D")),
            ("spBv1.0/G/DDEATH/N/D", topic(Kind::Death, "G", "N", "D")),
            ("spBv1.0/G/NCMD/N", topic(Kind::Command, "G", "N", "")),
            ("spBv1.0/STATE/host", topic(Kind::State, "", "host", "")),
            ("spBv1.0/STATE/NDATA/N", topic(Kind::Data, "STATE", "N", "")),
            ("spBv1.0/G/NDATA/N/D", None),
            ("spBv1.0/G/DDATA/N", None),
            ("spBv1.0/G/DDATA/N/D/E", None),
            ("spBv1.0//NDATA/N", None),
            ("spBv1.0/G/XDATA/N", None),
            ("spAv1.0/G/NDATA/N", None),
        ] {
            assert_eq!(Topic::parse(text).ok(), expected, "{text}");
        }
    }
}
