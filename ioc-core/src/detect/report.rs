//! Somebody reports something: each reading is evidence by itself, until it decays.
//!
//! Arrives: a reading of a person or another system. Leaves: a `Reported` detection. There is no
//! state: nothing a source said before makes what it says now more or less of a report. Who said
//! it twice is the duplicates' question, how many agree the correlation's. Next: `timer.rs`.

use crate::bundle::Report;
use crate::detection::{Detection, Sighting};

/// What a report comes to.
pub(super) fn judge(rule: &Report, sighting: Sighting) -> Detection {
    Detection::Reported {
        severity: rule.severity,
        certainty: rule.certainty,
        until: sighting.at + rule.lasting,
        sighting,
    }
}
