//! How the members of an incident stand, for whoever asks why.

use super::Cluster;
use super::member::{Stand, Standing};
use crate::explain::MemberLook;

impl Cluster {
    /// The first members, by name.
    pub fn looks(&self, most: usize) -> Vec<MemberLook> {
        let members = self.members().take(most);
        members
            .map(|(source, member)| {
                let Stand {
                    standing, weight, ..
                } = member.stand();
                MemberLook {
                    sensor: source.sensor.clone(),
                    report: source.report.clone(),
                    weight,
                    stands: match standing {
                        Standing::Normal => "normal",
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
                }
            })
            .collect()
    }
}
