//! When a recorded reading is sent again.

use std::time::Duration;

use ioc_core::time::Timestamp;
use tokio::time::Instant;

/// How fast a recording is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the receiver takes it.
    Fast,
    /// As recorded, so many times faster.
    Recorded(f64),
    /// So many a second, whatever was recorded and whatever the receiver does.
    Rate(f64),
}

/// Turns recorded times into instants; never an earlier one than before.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// The first recorded time, and when it was sent.
    began: Option<(Timestamp, Instant)>,
    last: Duration,
    /// How many were sent at a rate, and since when.
    at_rate: Option<(u64, Instant)>,
}

impl Pacer {
    pub(super) const fn new(pace: Pace) -> Self {
        Self {
            pace,
            began: None,
            last: Duration::ZERO,
            at_rate: None,
        }
    }

    /// When a reading of this time is due; `None`: at once.
    pub(super) fn due(&mut self, recorded_at: Option<Timestamp>, now: Instant) -> Option<Instant> {
        let speed = match self.pace {
            Pace::Fast => return None,
            Pace::Rate(rate) => {
                let (sent, began) = self.at_rate.get_or_insert((0, now));
                let since = Duration::try_from_secs_f64(*sent as f64 / rate).unwrap_or(NEVER);
                *sent += 1;
                return Some(*began + since.min(NEVER));
            }
            Pace::Recorded(speed) => speed,
        };
        let (first, began) = match (self.began, recorded_at) {
            (Some(began), _) => began,
            (None, Some(recorded_at)) => *self.began.insert((recorded_at, now)),
            (None, None) => return None,
        };
        if let Some(recorded_at) = recorded_at {
            let since_ms = (recorded_at - first).0.max(0) as f64;
            // A recording may span centuries: what does not fit is as good as never.
            let since = Duration::try_from_secs_f64(since_ms / 1e3 / speed).unwrap_or(NEVER);
            self.last = self.last.max(since.min(NEVER));
        }
        Some(began + self.last)
    }
}

const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_times_become_instants_that_never_fall() {
        let now = Instant::now();
        let at = |ms| Some(Timestamp::from_millis(ms));
        let mut pacer = Pacer::new(Pace::Recorded(10.0));
        let mut due = |recorded_at| pacer.due(recorded_at, now).map(|at| at - now);
        assert_eq!(due(None), None);
        assert_eq!(due(at(5_000)), Some(Duration::ZERO));
        assert_eq!(due(at(25_000)), Some(Duration::from_secs(2)));
        assert_eq!(due(at(15_000)), Some(Duration::from_secs(2)));
        assert_eq!(due(None), Some(Duration::from_secs(2)));
        assert_eq!(due(Some(Timestamp::MAX)), Some(NEVER));
    }

    #[test]
    fn at_a_rate_each_has_its_time_however_late_it_is_asked_for() {
        let began = Instant::now();
        let mut pacer = Pacer::new(Pace::Rate(4.0));
        for (n, late_ms) in [0, 0, 10_000, 10_000, 0].into_iter().enumerate() {
            let now = began + Duration::from_millis(late_ms);
            let due = pacer.due(Some(Timestamp::MAX), now).unwrap();
            assert_eq!(due - began, Duration::from_millis(250 * n as u64));
        }
    }

    #[test]
    fn fast_waits_for_nothing() {
        let mut pacer = Pacer::new(Pace::Fast);
        assert_eq!(pacer.due(Some(Timestamp::MAX), Instant::now()), None);
    }
}
