//! What keeps a sensor's detections quiet, for whoever asks why nothing came of a reading.

use super::Suppressions;
use super::held::What;
use crate::explain::SuppressionLook;
use crate::id::{ReadingId, SensorId};

impl Suppressions {
    /// What is held of a sensor by its rules, and of its reports this one, in the order of the
    /// rules.
    pub fn looks(&self, sensor: &SensorId, reading: &ReadingId) -> Vec<SuppressionLook> {
        let held = self.held.of_sensor(sensor);
        let own = held.filter(|(subject, _)| {
            let report = subject.report.as_ref();
            report.is_none_or(|report| report == reading)
        });
        own.filter_map(|(subject, entry)| {
            let active = self.active.get(&entry.by)?;
            Some(SuppressionLook {
                rule: subject.rule.clone(),
                what: word(&entry.what),
                by: active.state.clone(),
            })
        })
        .collect()
    }
}

fn word(what: &What) -> &'static str {
    match what {
        What::Raised { .. } => "raised",
        What::Reported { .. } => "reported",
        What::Cleared => "cleared",
        What::Silent(_) => "silent",
        What::Faulty { .. } => "faulty",
    }
}
