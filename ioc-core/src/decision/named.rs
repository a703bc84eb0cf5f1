//! Sources by their names, as far as a decision names them.

use crate::codec::{CodecError, Put, Take};
use crate::id::{ReadingId, SensorId};
use crate::incident::Source;

/// Sources that a decision is about: the first of them, and how many they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The first of them by name: a sensor, or one of its reports.
    pub first: Vec<(SensorId, Option<ReadingId>)>,
    /// How many they are.
    pub count: u32,
}

impl Named {
    /// These, of which at most so many are named.
    pub(crate) fn of(sources: &[Source], max: usize) -> Self {
        let first = sources.iter().take(max);
        let first = first.map(|source| (source.sensor.clone(), source.report.clone()));
        Self {
            first: first.collect(),
            count: sources.len() as u32,
        }
    }

    /// Each as people write it: a sensor, or `sensor/reading`.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.first.iter().map(|(sensor, report)| match report {
            None => sensor.to_string(),
            Some(report) => format!("{sensor}/{report}"),
        })
    }

    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_u32(self.count);
        out.put_count(self.first.len());
        for (sensor, report) in &self.first {
            out.put_text(sensor.as_str());
            out.put_option(report.as_ref(), |out, id| out.put_text(id.as_str()));
        }
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let count = take.u32()?;
        let named = take.u32()? as usize;
        let source = |take: &mut Take<'_>| {
            let sensor = take.parsed("sensor")?;
            Ok((sensor, take.option(|take| take.parsed("reading id"))?))
        };
        Ok(Self {
            first: take.each(named, source)?,
            count,
        })
    }
}
