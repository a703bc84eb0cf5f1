//! Logical time: the one caller of the system's clock.
//!
//! Logical time is the high-water mark of the log plus monotonic elapsed time, slewed gently
//! towards the wall clock. It never goes back, and when NTP steps, timers do not all fire at once.
//! The two clocks that it follows lie behind [`TimeSource`], so that a simulation can be its own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use ioc_core::reading::Reading;
use ioc_core::record::ClockKind;
use ioc_core::time::{Millis, Timestamp};

/// What logical time follows, as `--clock` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockMode(pub ClockKind);

impl FromStr for ClockMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let scaled = text.strip_prefix("scaled:").map(str::parse);
        match (text, scaled) {
            ("system", _) => Ok(Self(ClockKind::System)),
            ("readings", _) => Ok(Self(ClockKind::Readings)),
            (_, Some(Ok(speed))) if (1..=100_000).contains(&speed) => {
                Ok(Self(ClockKind::Scaled(speed)))
            }
            _ => Err("write system, readings, or scaled:N with N from 1 to 100000".into()),
        }
    }
}

impl fmt::Display for ClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ClockKind::System => f.write_str("system"),
            ClockKind::Readings => f.write_str("readings"),
            ClockKind::Scaled(speed) => write!(f, "scaled:{speed}"),
        }
    }
}

/// Where a process's time comes from: the system's two clocks, or a simulation's.
pub trait TimeSource: fmt::Debug + Send + Sync {
    /// The wall clock, in microseconds since 1970: it may be wrong, and it may be set.
    fn wall_us(&self) -> i64;
    /// How long it is since some moment in the past: it never falls.
    fn monotonic(&self) -> Duration;

    /// The wall clock, for people and for the headers of batches.
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_us() / 1000)
    }
}

/// The clocks of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemTimeSource {
    began: Instant,
}

impl Default for SystemTimeSource {
    fn default() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

impl TimeSource for SystemTimeSource {
    fn wall_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The machine's wall clock.
pub fn wall() -> Timestamp {
    SystemTimeSource::default().wall()
}

/// How far apart the log and the wall clock may be at a start before a person must say so. Ahead,
/// a wrong clock would push logical time, which never goes back, into the future. Behind, the log
/// has been pushed there already: every reading would count as too late.
const APART_MAX: Millis = Millis::minutes(30 * 24 * 60);

/// The slew: at most one part in so many of elapsed time.
const SLEW_PARTS: i64 = 200;

/// The wall clock and the journal are too far apart to be believed.
#[derive(Debug, thiserror::Error)]
pub enum ClockRefused {
    /// The wall clock is ahead.
    #[error(
        "the system's clock says {wall}, which is more than 30 days after the journal's last \
         record ({last}): if the clock is right, start once with --accept-clock; if not, set the \
         clock"
    )]
    Ahead {
        /// What the clock says.
        wall: Timestamp,
        /// The last record.
        last: Timestamp,
    },
    /// The wall clock is behind.
    #[error(
        "the system's clock says {wall}, which is more than 30 days before the journal's last \
         record ({last}): if the clock is wrong, set it; if the journal was kept in the time of \
         recorded readings, give live ones another --data directory, or start with --accept-clock \
         to go on from that record's time"
    )]
    Behind {
        /// What the clock says.
        wall: Timestamp,
        /// The last record.
        last: Timestamp,
    },
}

/// Logical time as it passes: owned by the engine, which alone may move it.
#[derive(Debug)]
pub struct Clock {
    kind: ClockKind,
    /// Logical time in microseconds when it was last asked for.
    logical_us: i64,
    asked: Duration,
    face: Arc<Face>,
    time: Arc<dyn TimeSource>,
}

/// What others may see of the clock: good enough to show, never to judge by.
#[derive(Debug)]
pub struct Face {
    /// City milliseconds that pass in one of ours; 0 where time comes with readings.
    speed: i64,
    began: Duration,
    time: Arc<dyn TimeSource>,
    /// Logical time minus what passed since `began`, in microseconds.
    origin_us: AtomicI64,
}

impl Face {
    /// Logical time, about.
    pub fn now(&self) -> Timestamp {
        let origin_us = self.origin_us.load(Ordering::Relaxed);
        Timestamp::from_millis((origin_us + self.passed_us(self.time.monotonic())) / 1000)
    }

    fn passed_us(&self, now: Duration) -> i64 {
        let passed = now.saturating_sub(self.began).as_micros();
        i64::try_from(passed)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.speed)
    }
}

impl Clock {
    /// The clock of a process that starts now, after a journal whose last record has the time
    /// `last`.
    pub fn start(
        time: Arc<dyn TimeSource>,
        mode: ClockMode,
        last: Option<Timestamp>,
        accept: bool,
    ) -> Result<Self, ClockRefused> {
        let wall = time.wall();
        let start = match (mode.0, last) {
            (ClockKind::Readings, last) => last.unwrap_or_default(),
            (_, None) => wall,
            (ClockKind::System, Some(last)) if wall - last > APART_MAX && !accept => {
                return Err(ClockRefused::Ahead { wall, last });
            }
            (ClockKind::System, Some(last)) if last - wall > APART_MAX && !accept => {
                return Err(ClockRefused::Behind { wall, last });
            }
            (_, Some(last)) => wall.max(last),
        };
        let began = time.monotonic();
        let speed = match mode.0 {
            ClockKind::System => 1,
            ClockKind::Scaled(speed) => i64::from(speed),
            ClockKind::Readings => 0,
        };
        let logical_us = start.as_millis() * 1000;
        let face = Arc::new(Face {
            speed,
            began,
            time: Arc::clone(&time),
            origin_us: AtomicI64::new(logical_us),
        });
        Ok(Self {
            kind: mode.0,
            logical_us,
            asked: began,
            face,
            time,
        })
    }

    /// What others may see of it.
    pub fn face(&self) -> Arc<Face> {
        Arc::clone(&self.face)
    }

    /// The clocks that it follows.
    pub const fn time(&self) -> &Arc<dyn TimeSource> {
        &self.time
    }

    /// What it follows.
    pub const fn kind(&self) -> ClockKind {
        self.kind
    }

    /// Logical time now. Under [`ClockKind::Readings`] the latest reading's.
    pub fn now(&mut self) -> Timestamp {
        let elapsed = self.time.monotonic().saturating_sub(self.asked);
        let elapsed_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX / 1_000_000);
        // Whole microseconds only, so that asking often does not lose their fractions.
        self.asked += Duration::from_micros(elapsed_us as u64);
        self.logical_us += match self.kind {
            ClockKind::System => slewed(self.logical_us, elapsed_us, self.time.wall_us()),
            ClockKind::Scaled(speed) => elapsed_us.saturating_mul(i64::from(speed)),
            ClockKind::Readings => 0,
        };
        self.show(self.asked);
        Timestamp::from_millis(self.logical_us / 1000)
    }

    fn show(&self, at: Duration) {
        let origin_us = self.logical_us - self.face.passed_us(at);
        self.face.origin_us.store(origin_us, Ordering::Relaxed);
    }

    /// The logical time of a recorded reading under [`ClockKind::Readings`]: when the recording
    /// received it, else when it was observed, never falling.
    pub fn receive(&mut self, reading: &Reading<'_>) -> Timestamp {
        let recorded = reading.received_at.unwrap_or(reading.observed_at);
        self.logical_us = self.logical_us.max(recorded.as_millis() * 1000);
        self.show(self.asked);
        Timestamp::from_millis(self.logical_us / 1000)
    }

    /// How long to wait for nothing else until a timer that is due then must fire; `None` for
    /// ever, where time comes with readings.
    pub fn wait_until(&mut self, due: Timestamp) -> Option<Duration> {
        let left = (due - self.now()).0.max(0).unsigned_abs();
        match self.kind {
            ClockKind::System => Some(Duration::from_millis(left)),
            ClockKind::Scaled(speed) => Some(Duration::from_millis(left.div_ceil(speed.into()))),
            ClockKind::Readings => None,
        }
    }
}

/// By how much logical time advances while `elapsed_us` pass: that, and a little towards the wall
/// clock.
fn slewed(logical_us: i64, elapsed_us: i64, wall_us: i64) -> i64 {
    let drift = wall_us - (logical_us + elapsed_us);
    let most = elapsed_us / SLEW_PARTS;
    elapsed_us + drift.clamp(-most, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(
        mode: ClockMode,
        last: Option<Timestamp>,
        accept: bool,
    ) -> Result<Clock, ClockRefused> {
        Clock::start(Arc::new(SystemTimeSource::default()), mode, last, accept)
    }

    #[test]
    fn a_clock_is_said_in_words() {
        for text in ["system", "readings", "scaled:60"] {
            assert_eq!(text.parse::<ClockMode>().unwrap().to_string(), text);
        }
        for text in ["", "scaled:0", "scaled:x", "wall", "scaled:100001"] {
            assert!(text.parse::<ClockMode>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_moves_logical_time_gently() {
        let second = 1_000_000;
        assert_eq!(slewed(0, second, second), second);
        assert_eq!(slewed(0, second, 3600 * second), second + second / 200);
        assert_eq!(slewed(0, second, -3600 * second), second - second / 200);
    }

    #[test]
    fn a_start_after_downtime_takes_the_wall_clock_but_not_any() {
        let system = ClockMode(ClockKind::System);
        let yesterday = wall() - Millis::minutes(24 * 60);
        let mut clock = start(system, Some(yesterday), false).unwrap();
        assert!(clock.now() - wall() < Millis::seconds(10));
        let last_year = wall() - Millis::minutes(365 * 24 * 60);
        assert!(start(system, Some(last_year), false).is_err());
        assert!(start(system, Some(last_year), true).is_ok());
        let tomorrow = wall() + Millis::minutes(24 * 60);
        let mut clock = start(system, Some(tomorrow), false).unwrap();
        assert!(clock.now() >= tomorrow, "logical time never goes back");
        // As after a recording with one reading of a wrong year.
        let far = Timestamp::MAX;
        let refused = start(system, Some(far), false);
        assert!(matches!(refused, Err(ClockRefused::Behind { .. })));
        assert!(start(system, Some(far), true).is_ok());
        assert!(start(ClockMode(ClockKind::Readings), Some(far), false).is_ok());
    }
}
