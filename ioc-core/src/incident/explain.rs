//! How the members of an incident stand, for whoever asks why.

use std::collections::BTreeMap;

use super::Cluster;
use super::cluster::who;
use super::member::{Stand, Standing};
use crate::explain::MemberLook;
use crate::id::NodeId;

impl Cluster {
    /// The first members, by name. Who reports again adds only what the report weighs more.
    pub fn looks(&self, most: usize) -> Vec<MemberLook> {
        let mut heard = BTreeMap::<&NodeId, u32>::new();
        let members = self.members().take(most);
        members
            .map(|(source, member)| {
                let Stand {
                    standing, weight, ..
                } = member.stand();
                let before = who(source, member).map(|who| heard.entry(who).or_default());
                let told = before.as_deref().copied().unwrap_or(0);
                if let Some(before) = before {
                    *before = weight.max(told);
                }
                let is_repeated = weight > 0 && weight <= told;
                MemberLook {
                    sensor: source.sensor.clone(),
                    report: source.report.clone(),
                    weight: weight.saturating_sub(told),
                    stands: match standing {
                        _ if is_repeated => "repeated",
                        Standing::Normal => "normal",
                        Standing::Context if member.is_doubted() => "distrusted",
                        Standing::Context => "context",
                        Standing::Abnormal => "abnormal",
                        Standing::Silent => "silent",
                        Standing::Reported => "reported",
                        Standing::Lost => "distrusted",
                        Standing::Gone => "gone",
                    },
                    rules: member
                        .raised
                        .iter()
                        .map(|raised| raised.rule.clone())
                        .collect(),
                    // What is wrong with a sensor is known where it is examined.
                    distrusted_by: Vec::new(),
                }
            })
            .collect()
    }
}
