//! A recording of the simulated city: the readings that it would have sent, without a clock.
//!
//! Arrives: a [`City`]. Leaves: native readings as JSON lines, each with the time at which it was
//! received, in that order, as fast as they are taken: what `ioc backtest` judges and `ioc send`
//! sends. Nothing is paced and nothing is connected to.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use ioc_core::time::{Millis, Timestamp};

use super::map::CityMap;
use super::model::{City, CityOptions, natural_rate};
use super::publish::Bounds;
use super::{Happenings, reading};
use crate::progress::thousands;

/// What to record.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// The city.
    pub map: Arc<CityMap>,
    /// What everything is drawn from.
    pub seed: u64,
    /// What may happen.
    pub happenings: Happenings,
    /// Readings a second of the city's time, in place of the sensors' own intervals; above 0.
    pub rate: Option<f64>,
    /// When to stop, by the city's time.
    pub bounds: Bounds,
    /// When the recording ends, if it is bounded; else when it begins. Now, or earlier: a server
    /// does not believe in readings from its future.
    pub now: Timestamp,
}

/// What a recording came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Readings written.
    pub readings: u64,
    /// From the beginning to the last of them, by the city's time.
    pub lasted: Duration,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (readings, seconds) = (thousands(self.readings), self.lasted.as_secs());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{readings} readings written, ")?;
        write!(f, "{hours}:{minutes:02}:{seconds:02} of the city's time")
    }
}

/// Writes the recording; without bounds it ends when the output does.
pub fn record(options: &RecordOptions, out: &mut impl Write) -> io::Result<Recorded> {
    let natural = natural_rate(&options.map);
    let city_options = CityOptions {
        seed: options.seed,
        happenings: options.happenings,
        chattiness: options.rate.map_or(1.0, |rate| rate / natural),
    };
    let mut city = City::new(Arc::clone(&options.map), city_options);
    let origin = options.now - lasts_about(options.bounds, city.readings_per_s());
    let duration_us = options.bounds.duration.map(|all| all.as_micros());
    let until_us = duration_us.map_or(i64::MAX - 1, |us| us.try_into().unwrap_or(i64::MAX - 1));
    let mut recorded = Recorded {
        readings: 0,
        lasted: Duration::ZERO,
    };
    while options
        .bounds
        .count
        .is_none_or(|count| recorded.readings < count)
        && let Some((arrives_us, said)) = city.next_arrival(until_us)
    {
        let received_at = origin + Millis(arrives_us.div_euclid(1000));
        let mut line = said.to_json(&options.map, origin);
        reading::add_received_at(&mut line, received_at);
        line.push(b'\n');
        out.write_all(&line)?;
        recorded.readings += 1;
        recorded.lasted = Duration::from_micros(arrives_us.unsigned_abs());
    }
    out.flush()?;
    Ok(recorded)
}

/// How long a bounded recording is, as far as that is known beforehand; 0 without bounds.
fn lasts_about(bounds: Bounds, readings_per_s: f64) -> Millis {
    let counted = bounds.count.map(|count| count as f64 / readings_per_s);
    let timed = bounds.duration.map(|all| all.as_secs_f64());
    let seconds = match (counted, timed) {
        (Some(counted), Some(timed)) => counted.min(timed),
        (counted, timed) => counted.or(timed).unwrap_or(0.0),
    };
    Millis((seconds * 1e3) as i64)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::backtest::{self, BacktestOptions};
    use crate::config::settings::Settings;
    use crate::config::source::Source;

    fn options(bounds: Bounds) -> RecordOptions {
        RecordOptions {
            map: Arc::new(CityMap::compiled_in()),
            seed: 7,
            happenings: Happenings::ALL,
            rate: None,
            bounds,
            now: Timestamp::from_millis(1_800_000_000_000),
        }
    }

    fn lines(bounds: Bounds) -> (Vec<serde_json::Value>, Recorded) {
        let mut out = Vec::new();
        let recorded = record(&options(bounds), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (lines.collect(), recorded)
    }

    #[test]
    fn a_recording_is_in_the_order_of_arrival_and_lies_in_the_past() {
        let (lines, recorded) = lines(Bounds {
            duration: Some(Duration::from_secs(1200)),
            count: None,
        });
        assert_eq!(lines.len() as u64, recorded.readings);
        assert!(lines.len() > 1000);
        let received: Vec<_> = lines
            .iter()
            .map(|line| line["received_at"].as_str().unwrap())
            .collect();
        assert!(received.is_sorted());
        let now = Timestamp::from_millis(1_800_000_000_000).to_string();
        assert!(*received.last().unwrap() <= now.as_str());
        for line in &lines {
            assert!(line["observed_at"].as_str() <= line["received_at"].as_str());
        }
    }

    #[test]
    fn a_recording_has_as_many_readings_as_asked_for() {
        let (lines, recorded) = lines(Bounds {
            duration: None,
            count: Some(500),
        });
        assert_eq!((lines.len(), recorded.readings), (500, 500));
    }

    #[test]
    fn a_recording_can_be_judged_offline() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bounds = Bounds {
            duration: Some(Duration::from_secs(1200)),
            count: None,
        };
        let recorded = record(&options(bounds), &mut file).unwrap();
        let compiled = Source::read(None, None).unwrap().compile().unwrap();
        let settings = Settings::load(None, std::iter::empty()).unwrap();
        let options = BacktestOptions {
            readings: file.path().to_owned(),
            catalogue: compiled.catalogue(settings.door.unregistered),
            bundle: compiled.bundle,
            shards: NonZeroUsize::MIN,
        };
        let summary = backtest::run(&options, &mut Vec::new()).unwrap();
        assert_eq!(summary.first_dead, Vec::<String>::new());
        assert_eq!(summary.readings, recorded.readings);
        assert!(summary.opened > 0, "{summary:?}");
    }
}
