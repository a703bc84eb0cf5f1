//! What may be kept quiet, for how long, and the maintenance windows, as the configuration says.
//!
//! A window is told by the city's clock, which is a fixed time from UTC: it neither comes twice nor
//! is it left out when clocks are changed.

use crate::decision::Matcher;
use crate::id::{Actor, RuleId};
use crate::time::{Millis, Timestamp};

/// What the configuration says about keeping things quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionRules {
    /// For how long at most something is shelved; no longer than
    /// [`SHELVED_MAX`](crate::limits::SHELVED_MAX).
    pub shelved_max: Millis,
    /// For how long at most a sensor is out of service; no longer than
    /// [`OUT_OF_SERVICE_MAX`](crate::limits::OUT_OF_SERVICE_MAX).
    pub out_of_service_max: Millis,
    /// How long before its end people are told; zero: they are not.
    pub remind_before: Millis,
    /// The maintenance windows, sorted by name, each once.
    pub windows: Vec<MaintenanceWindow>,
}

/// Works that come again, or once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceWindow {
    /// Its name.
    pub name: RuleId,
    /// The hash of its meaning: what goes on under another configuration goes on if it means the
    /// same.
    pub hash: u64,
    /// What is kept quiet.
    pub matching: Matcher,
    /// When.
    pub schedule: Schedule,
    /// Why; never empty.
    pub reason: Box<str>,
    /// Who answers for it.
    pub owner: Actor,
}

/// When a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Again and again. It is over before it begins again.
    Every {
        /// On which day of the week, Monday is 0; `None`: every day.
        day: Option<u8>,
        /// At which minute of the day, by the city's clock.
        minute: u16,
        /// For how long; not zero.
        lasting: Millis,
        /// How far the city's clock is ahead of UTC.
        ahead: Millis,
    },
    /// Once.
    Once {
        /// From when on …
        from: Timestamp,
        /// … until when; later.
        until: Timestamp,
    },
}

const DAY: i64 = Millis::minutes(24 * 60).0;
const WEEK: i64 = 7 * DAY;
/// The first of January 1970 was a Thursday.
const FIRST_WEEKDAY: i64 = 3;

impl SuppressionRules {
    /// What holds where nothing is written.
    pub const USUAL: Self = Self {
        shelved_max: crate::limits::SHELVED_MAX,
        out_of_service_max: Millis::minutes(30 * 24 * 60),
        remind_before: Millis::minutes(10),
        windows: Vec::new(),
    };

    /// The window of this name.
    pub fn window(&self, name: &RuleId) -> Option<&MaintenanceWindow> {
        let place = self.windows.binary_search_by(|own| own.name.cmp(name));
        place.ok().map(|place| &self.windows[place])
    }
}

impl Schedule {
    /// The time that it is open at, or that it opens at next, at this time: from when until when.
    /// `None` if that is over for ever.
    pub fn open_at_or_after(self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Once { from, until } => (at < until).then_some((from, until)),
            Self::Every { lasting, .. } => {
                let from = self.last_beginning(at)?;
                let is_open = at < from + lasting;
                let from = if is_open {
                    from
                } else {
                    from + Millis(self.period())
                };
                (from < Timestamp::MAX).then(|| (from, from + lasting))
            }
        }
    }

    /// When it opens next, after this time.
    pub fn opens_after(self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once { from, .. } => (at < from).then_some(from),
            Self::Every { .. } => {
                let next = self.last_beginning(at)? + Millis(self.period());
                (next < Timestamp::MAX).then_some(next)
            }
        }
    }

    fn period(self) -> i64 {
        match self {
            Self::Every { day: Some(_), .. } => WEEK,
            Self::Every { day: None, .. } | Self::Once { .. } => DAY,
        }
    }

    /// When it began last, at this time at the latest.
    fn last_beginning(self, at: Timestamp) -> Option<Timestamp> {
        let Self::Every {
            day, minute, ahead, ..
        } = self
        else {
            return None;
        };
        let minute = Millis::minutes(i64::from(minute)).0;
        // The phase of its beginnings within a period, counted from 1970 by the city's clock.
        let phase = match day {
            Some(day) => (i64::from(day) - FIRST_WEEKDAY).rem_euclid(7) * DAY + minute,
            None => minute,
        };
        let local = at.as_millis() + ahead.0;
        let since = (local - phase).rem_euclid(self.period());
        Some(Timestamp::from_millis(local - since - ahead.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn sundays_at_two(ahead_hours: i64) -> Schedule {
        Schedule::Every {
            day: Some(6),
            minute: 120,
            lasting: Millis::minutes(240),
            ahead: Millis::minutes(60 * ahead_hours),
        }
    }

    #[test]
    fn a_window_is_told_by_the_clock_of_the_city() {
        // The 15th of March 2026 is a Sunday.
        let utc = sundays_at_two(0);
        let open = (at("2026-03-15T02:00:00Z"), at("2026-03-15T06:00:00Z"));
        for (now, known) in [
            ("2026-03-14T12:00:00Z", open),
            ("2026-03-15T02:00:00Z", open),
            ("2026-03-15T05:59:59.999Z", open),
            (
                "2026-03-15T06:00:00Z",
                (at("2026-03-22T02:00:00Z"), at("2026-03-22T06:00:00Z")),
            ),
        ] {
            assert_eq!(utc.open_at_or_after(at(now)), Some(known), "{now}");
        }
        let kuala_lumpur = sundays_at_two(8);
        let (from, _) = kuala_lumpur
            .open_at_or_after(at("2026-03-14T12:00:00Z"))
            .unwrap();
        assert_eq!(from, at("2026-03-14T18:00:00Z"));
        assert_eq!(
            kuala_lumpur.opens_after(from),
            Some(at("2026-03-21T18:00:00Z"))
        );
    }

    #[test]
    fn a_window_of_every_day_may_go_over_midnight() {
        let nightly = Schedule::Every {
            day: None,
            minute: 23 * 60,
            lasting: Millis::minutes(120),
            ahead: Millis::ZERO,
        };
        let open = nightly.open_at_or_after(at("2026-03-15T00:30:00Z"));
        assert_eq!(
            open,
            Some((at("2026-03-14T23:00:00Z"), at("2026-03-15T01:00:00Z")))
        );
        let before_1970 = nightly.open_at_or_after(at("1969-12-31T23:30:00Z"));
        assert_eq!(before_1970.unwrap().0, at("1969-12-31T23:00:00Z"));
    }

    #[test]
    fn what_is_once_is_over_for_ever() {
        let (from, until) = (at("2026-03-15T02:00:00Z"), at("2026-03-15T06:00:00Z"));
        let once = Schedule::Once { from, until };
        assert_eq!(
            once.open_at_or_after(at("2026-01-01T00:00:00Z")),
            Some((from, until))
        );
        assert_eq!(once.open_at_or_after(until), None);
        assert_eq!(once.opens_after(from), None);
    }
}
