//! Whether there is room for what readings bring: for further incidents, and for further sensors.
//!
//! Arrives: the counters of the judgement, once a second. Leaves: a warning in the log, at most one
//! of each kind in [`TOLD_EVERY`], and the lines of `/readyz`, so that nobody reads that all is well
//! while what was sent is not judged. Next: `status.rs`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ioc_core::counters::Counters;
use ioc_core::limits::{INCIDENTS_KEPT_FOR_PEOPLE, INCIDENTS_MAX};

use crate::telemetry;

/// How often the log says again that there is no room, and for how long a page says so after.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Seen by the engine, read by the pages.
#[derive(Debug, Clone, Default)]
pub struct RoomSign(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    incidents: Scarce,
    sensors: Scarce,
}

/// Something of which there may be too much.
#[derive(Debug, Default)]
struct Scarce {
    /// How often there was no room, when that was last looked at.
    refused: u64,
    /// When the log last said that there is none, while there is none.
    told_at: Option<Duration>,
}

impl RoomSign {
    /// What the judgement has counted, and when by the monotonic clock.
    pub fn see(&self, counters: &Counters, now: Duration) {
        let (incidents, sensors) = self.with(|seen| {
            let live = usize::try_from(counters.incidents_live).unwrap_or(usize::MAX);
            let is_full = live >= INCIDENTS_MAX - INCIDENTS_KEPT_FOR_PEOPLE;
            let waited = counters.engine.incidents_over_limit;
            let unheard = counters.sensors.readings_of_sensors_over_limit;
            let incidents = seen.incidents.see(waited, is_full, now);
            (incidents, seen.sensors.see(unheard, false, now))
        });
        if incidents {
            telemetry::no_room_for_incidents(counters.incidents_live);
        }
        if sensors {
            telemetry::no_room_for_sensors(counters.sensors.readings_of_sensors_over_limit);
        }
    }

    /// What a page says of it; nothing while there is room.
    pub fn lines(&self) -> String {
        let (incidents, sensors) = self.with(|seen| {
            let is_scarce = |scarce: &Scarce| scarce.told_at.is_some();
            (is_scarce(&seen.incidents), is_scarce(&seen.sensors))
        });
        let mut lines = String::new();
        if incidents {
            lines += "incidents: as many are open as may be, what readings show further waits; \
                      people still open some\n";
        }
        if sensors {
            lines += "sensors: readings of too many unregistered ones, some are not judged\n";
        }
        lines
    }

    fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Scarce {
    /// Whether the log is to say now that there is no room.
    fn see(&mut self, refused: u64, is_full: bool, now: Duration) -> bool {
        let is_scarce = refused > self.refused || is_full;
        self.refused = refused;
        let told_long_ago = |at: Duration| now.saturating_sub(at) >= TOLD_EVERY;
        let is_due = self.told_at.is_none_or(told_long_ago);
        match (is_scarce, is_due) {
            (true, true) => self.told_at = Some(now),
            (false, true) => self.told_at = None,
            (true | false, false) => {}
        }
        is_scarce && is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_there_is_no_room_is_told_while_it_is_so_and_not_each_second() {
        let sign = RoomSign::default();
        let mut counters = Counters::default();
        sign.see(&counters, Duration::from_secs(1));
        assert_eq!(sign.lines(), "");
        counters.incidents_live = (INCIDENTS_MAX - INCIDENTS_KEPT_FOR_PEOPLE) as u64;
        sign.see(&counters, Duration::from_secs(2));
        assert!(sign.lines().starts_with("incidents: "), "{}", sign.lines());
        counters.incidents_live -= 1;
        sign.see(&counters, Duration::from_secs(62));
        assert_eq!(sign.lines(), "");
        counters.sensors.readings_of_sensors_over_limit = 1;
        sign.see(&counters, Duration::from_secs(63));
        assert!(sign.lines().starts_with("sensors: "), "{}", sign.lines());

        let mut scarce = Scarce::default();
        let told = [1, 2, 3].map(|count| scarce.see(count, false, Duration::from_secs(count)));
        assert_eq!(told, [true, false, false]);
    }
}
