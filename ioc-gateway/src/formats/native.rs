//! The native reading: one JSON object, as `POST /api/v1/readings` and `ioc/v1/readings/…` take it.
//!
//! Arrives: a payload of at most [`READING_BYTES_MAX`] bytes, and the sensor that the topic names.
//! Leaves: a [`Reading`] that borrows from the payload, in the unit that its sensor is registered
//! with; or a [`Reject`] that says what to write instead. Promise: a plain reading is decoded
//! without allocating; any bytes are decoded without a panic. Not here: whether the reading is a
//! duplicate, late or plausible (the core judges that). Next: `draft.rs`, which compares what was
//! read with what is registered.

mod plain;
mod members;
mod types;

use ioc_core::reading::Reading;

use super::draft::Draft;
pub use super::draft::Scratch;
use super::plain::Rest;
use super::{Reason, Reject, utf8};
use crate::catalogue::Catalogue;

/// The longest payload of a reading.
pub const READING_BYTES_MAX: usize = 64 * 1024;

/// What the topics of native readings begin with; the sensor follows.
const TOPIC: &str = "ioc/v1/readings/";

/// The sensor that a topic names, if it is one of native readings.
pub fn sensor_of(topic: &str) -> Option<&str> {
    let sensor = topic.strip_prefix(TOPIC)?;
    (!sensor.is_empty() && !sensor.contains('/')).then_some(sensor)
}

/// Decodes one reading.
///
/// `topic_sensor` is the sensor that the topic names; the payload may then leave it out, and must
/// not name another. What was decoded before into `scratch` is forgotten.
pub fn decode<'a>(
    payload: &'a [u8],
    topic_sensor: Option<&'a str>,
    catalogue: &'a Catalogue,
    scratch: &'a mut Scratch,
) -> Result<Reading<'a>, Reject> {
    if payload.len() > READING_BYTES_MAX {
        let detail = format!(
            "{} bytes; a reading has at most {READING_BYTES_MAX}",
            payload.len()
        );
        return Err(Reject::new(Reason::PayloadTooLong, detail));
    }
    let json = utf8(payload)?;
    scratch.clear();
    let draft = Draft::read(json, scratch)?;
    draft.complete(topic_sensor, catalogue, scratch)
}

/// A plain reading in a message of another format: what it says, and where.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    draft: Draft<'a>,
    /// The JSON that it was written with.
    pub source: &'a str,
}

impl<'a> Plain<'a> {
    /// Reads one that something may follow; nothing, if [`decode`] has to read it.
    pub fn read(rest: &mut Rest<'a>) -> Option<Self> {
        let mut draft = Draft::default();
        let ((), source) = rest.with_source(|rest| plain::reading(rest, &mut draft))?;
        (source.len() <= READING_BYTES_MAX).then_some(Self { draft, source })
    }

    /// Reads one that nothing follows.
    pub fn alone(json: &'a str) -> Option<Self> {
        let mut rest = Rest::of(json);
        let reading = Self::read(&mut rest)?;
        rest.is_at_end().then_some(reading)
    }

    /// What [`decode`] makes of it.
    pub fn complete(
        &self,
        topic_sensor: Option<&'a str>,
        catalogue: &'a Catalogue,
        scratch: &'a mut Scratch,
    ) -> Result<Reading<'a>, Reject> {
        scratch.clear();
        self.draft.complete(topic_sensor, catalogue, scratch)
    }
}

#[cfg(test)]
mod tests;
