//! Is what a sensor says the first after it was silent?
//!
//! Arrives: when two readings of one kind were observed, one after the other. Leaves: whether the later
//! ends a silence, so that it is in no row with the one before until another follows it. Promise: by
//! when readings were observed, not by when they came, so that a batch is as many readings as it
//! holds; a sensor that had paused so long before, too, speaks as it is wont to, and downtime is no
//! silence. What is forgotten may have been said. Next: `sensor.rs`.

use super::memory::{Before, Memory};
use super::silence;
use crate::away::Away;
use crate::hash::hash_text;
use crate::time::{Millis, Timestamp};

/// What tells of one sensor's pauses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses<'a> {
    pub memory: &'a Memory,
    /// The silence rules that hold for it.
    pub silences: &'a [(u32, silence::State)],
    /// How often it says something, as it is registered.
    pub interval: Option<Millis>,
    /// The last start.
    pub started_at: Timestamp,
    pub away: &'a Away,
}

impl Pauses<'_> {
    /// Whether a reading of this kind that was observed at the later of these is the first after a
    /// silence. The one before was observed at the earlier.
    pub fn end_at(&self, kind: &str, (before, at): (Timestamp, Timestamp)) -> bool {
        if !self.is_silence(before, at) {
            return false;
        }
        match self.memory.last_before(hash_text(kind), before) {
            Before::Nothing => true,
            Before::Observed(earlier) => !self.is_silence(earlier, before),
            Before::Forgotten => false,
        }
    }

    /// Whether one that says nothing between these is silent at the end.
    fn is_silence(&self, from: Timestamp, to: Timestamp) -> bool {
        let heard = silence::Heard {
            at: from,
            interval: self.interval.unwrap_or(Millis::ZERO),
            started_at: self.started_at,
            away: self.away,
        };
        let mut silences = self.silences.iter();
        silences.any(|(_, state)| state.ends_between(from, to) && to >= state.lasts_until(heard))
    }
}
