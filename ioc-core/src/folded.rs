//! What stands in the log for readings that have no record of their own.
//!
//! Where more telemetry arrives than can be judged, the door folds the readings of one kind that a
//! sensor sent one after another: the least, the greatest and the last of them stay readings and
//! are judged like any other; the rest are left out, and this record, which comes after those,
//! accounts for them. They are acknowledged when it is durable, so nothing is lost without a
//! trace (P1, P7), and a redelivery of one of them is not taken for news (P3). Left out is only
//! what was observed after the one before it, so that all of them lie within `from` and `to`.
//! Next: `detect.rs`.

use crate::codec::{CodecError, Put, Take};
use crate::id::{ReadingKind, SensorId};
use crate::reading::Reading;
use crate::time::Timestamp;

/// Readings of one kind of one sensor, most of which were left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Folded<'a> {
    /// The [`SensorId`].
    pub sensor: &'a str,
    /// The [`ReadingKind`].
    pub kind: &'a str,
    /// The unit of the values; empty if none is known.
    pub unit: &'a str,
    /// How many readings have no record of their own; at least one.
    pub left_out: u32,
    /// When the first of all was observed, those included that stayed.
    pub from: Timestamp,
    /// When the last of all was observed.
    pub to: Timestamp,
    /// The least value of all.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The last.
    pub last: f64,
}

impl<'a> Folded<'a> {
    /// Appends its bytes.
    ///
    /// Precondition: what [`Self::check`] asks for.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.check().is_ok(), "{self:?}");
        let lengths = [self.sensor.len(), self.kind.len(), self.unit.len()];
        out.put(&lengths.map(|length| length as u8));
        out.put_u32(self.left_out);
        out.put_time(self.from);
        out.put_time(self.to);
        for value in [self.min, self.max, self.last] {
            out.put_f64(value);
        }
        for text in [self.sensor, self.kind, self.unit] {
            out.put(text.as_bytes());
        }
    }

    /// Takes what was encoded off the front.
    pub(crate) fn decode(take: &mut Take<'a>) -> Result<Self, CodecError> {
        let lengths: [u8; 3] = take.array()?;
        let left_out = take.u32()?;
        let (from, to) = (take.time()?, take.time()?);
        let (min, max, last) = (take.f64()?, take.f64()?, take.f64()?);
        let mut text = |length: u8| {
            let text = std::str::from_utf8(take.bytes(usize::from(length))?);
            text.map_err(|_| CodecError("text is not UTF-8"))
        };
        let [sensor, kind, unit] = lengths;
        let folded = Self {
            sensor: text(sensor)?,
            kind: text(kind)?,
            unit: text(unit)?,
            left_out,
            from,
            to,
            min,
            max,
            last,
        };
        folded.check()?;
        Ok(folded)
    }

    fn check(&self) -> Result<(), CodecError> {
        let in_order = self.min <= self.last && self.last <= self.max;
        match () {
            () if !SensorId::is_valid(self.sensor) => Err(CodecError("sensor")),
            () if !ReadingKind::is_valid(self.kind) => Err(CodecError("kind")),
            () if self.unit.len() > Reading::UNIT_BYTES_MAX => Err(CodecError("unit")),
            () if self.left_out == 0 => Err(CodecError("nothing is folded")),
            () if self.from > self.to => Err(CodecError("folded from after its end")),
            () if !(in_order && self.min.is_finite() && self.max.is_finite()) => {
                Err(CodecError("value"))
            }
            () => Ok(()),
        }
    }
}
