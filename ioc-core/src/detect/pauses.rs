//! Was a sensor silent between two of its readings?
//!
//! Arrives: two times of observation, or a reading and when the sensor spoke before it. Leaves: whether
//! what was said before is in a row with what is said then. Promise: by when readings were observed,
//! not by when they came, so that a batch is as many readings as it holds and an outage after which all
//! of it comes is none; a sensor that is wont to pause so long, as far as what is remembered of it
//! shows, was not silent. Downtime is no silence, nor is anything of a sensor of which none is told.
//! Next: `sensor.rs`.

use super::memory::Memory;
use super::silence;
use crate::away::Away;
use crate::limits::READINGS_REMEMBERED;
use crate::reading::Reading;
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

/// What is said within this, and within half an interval, is said at once.
const AT_ONCE: Millis = Millis::minutes(1);

impl Pauses<'_> {
    /// Whether a reading that is not remembered yet ends a silence.
    pub fn are_ended_by(&self, reading: &Reading<'_>, now: Timestamp) -> bool {
        let observed_at = reading.observed_at;
        let Some(before) = self.memory.spoke_before(observed_at) else {
            return false;
        };
        // By our clock, though the source's be ahead.
        let to = observed_at.min(now);
        let from = to - (observed_at - before);
        let is_habit = || self.are_habit((before, observed_at), READINGS_REMEMBERED);
        self.is_silence(from, to) && !is_habit()
    }

    /// Whether it was silent some time between these, by what it said of whatever kind. What it says of
    /// this kind next was observed at the later one. Some of what is remembered came since: of what was
    /// before, half of it is asked, so that it is the same in whatever order that came.
    pub fn hold_silence(&self, kind: u64, (from, to): (Timestamp, Timestamp)) -> bool {
        if !self.is_silence(from, to) {
            return false;
        }
        let Some((from, to)) = self.memory.longest_pause(kind, from, to) else {
            return false;
        };
        self.is_silence(from, to) && !self.are_habit((from, to), READINGS_REMEMBERED / 2)
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
        silences.any(|(_, state)| to >= state.lasts_until(heard))
    }

    fn are_habit(&self, between: (Timestamp, Timestamp), readings: usize) -> bool {
        let half = Millis(self.interval.map_or(0, |interval| interval.0 / 2));
        self.memory
            .is_wont_to_pause(between, readings, half.min(AT_ONCE))
    }
}
