//! What a sensor said.
//!
//! Arrives: what a decoder of the gateway made of a message, already in the unit that the sensor
//! is registered with. Leaves: the same as bytes of the inputs log, from which it is read without
//! copying. Next: `record.rs`.

use crate::codec::{CodecError, Put, Take};
use crate::id::{ReadingId, ReadingKind, SensorId};
use crate::place::Position;
use crate::time::Timestamp;

/// One measurement, borrowed from the bytes it was decoded from.
///
/// The texts are valid identities (see `id.rs`) and the value is finite: [`Reading::encode`] is
/// given nothing else and [`Reading::decode`] refuses it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading<'a> {
    /// The [`ReadingId`]: unique within the sensor; a second one is a redelivery.
    pub id: &'a str,
    /// The [`SensorId`].
    pub sensor: &'a str,
    /// The [`ReadingKind`].
    pub kind: &'a str,
    /// When the source says it measured.
    pub observed_at: Timestamp,
    /// When a recording says it was received. Logical time under `--clock readings`, else unused.
    pub received_at: Option<Timestamp>,
    /// The value, finite, in [`Reading::unit`].
    pub value: f64,
    /// The unit as registered for the sensor or its kind; empty if none is known.
    pub unit: &'a str,
    /// Where, if the message said so; else the sensor's registered place counts.
    pub position: Option<Position>,
    /// What else the message said.
    pub attributes: Attributes<'a>,
}

/// Further members of a reading: up to 32 names with text values, in the order given.
/// A value that was no text is its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The most attributes that a reading may have.
    pub const COUNT_MAX: usize = 32;
    /// The most bytes that they may take, names, values and lengths together.
    pub const BYTES_MAX: usize = 4096;

    /// The names and values.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = Take(self.0);
        std::iter::from_fn(move || {
            let name = rest.text().ok()?;
            Some((name, rest.text().ok()?))
        })
    }

    /// The value of the first attribute of this name.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Their bytes: the same for the same names and values in the same order.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    fn check(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut rest = Take(bytes);
        let mut count = 0;
        while !rest.0.is_empty() {
            rest.text()?;
            rest.text()?;
            count += 1;
        }
        if count > Self::COUNT_MAX || bytes.len() > Self::BYTES_MAX {
            return Err(CodecError("too many attributes"));
        }
        Ok(Self(bytes))
    }
}

/// Collects attributes for a [`Reading`].
#[derive(Debug, Clone, Default)]
pub struct AttributesBuffer {
    bytes: Vec<u8>,
    count: usize,
}

/// More or longer attributes than a reading may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyAttributes;

impl AttributesBuffer {
    /// Adds one.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), TooManyAttributes> {
        let longer = self.bytes.len() + 4 + name.len() + value.len();
        if self.count == Attributes::COUNT_MAX || longer > Attributes::BYTES_MAX {
            return Err(TooManyAttributes);
        }
        self.bytes.put_text(name);
        self.bytes.put_text(value);
        self.count += 1;
        Ok(())
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// What was collected.
    pub fn as_attributes(&self) -> Attributes<'_> {
        Attributes(&self.bytes)
    }
}

const HAS_POSITION: u8 = 1;
const HAS_RECEIVED_AT: u8 = 2;

impl<'a> Reading<'a> {
    /// Appends the reading's bytes.
    ///
    /// Precondition: the texts are valid identities, the unit has at most 32 bytes and the value
    /// is finite.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.check().is_ok(), "{self:?}");
        let mut flags = 0;
        if self.position.is_some() {
            flags |= HAS_POSITION;
        }
        if self.received_at.is_some() {
            flags |= HAS_RECEIVED_AT;
        }
        let lengths = [
            self.id.len(),
            self.sensor.len(),
            self.kind.len(),
            self.unit.len(),
        ];
        let [id, sensor, kind, unit] = lengths.map(|length| length as u8);
        out.put(&[flags, id, sensor, kind, unit]);
        out.put_time(self.observed_at);
        out.put_f64(self.value);
        if let Some(position) = self.position {
            out.put_position(position);
        }
        if let Some(received_at) = self.received_at {
            out.put_time(received_at);
        }
        for text in [self.id, self.sensor, self.kind, self.unit] {
            out.put(text.as_bytes());
        }
        out.put_bytes(self.attributes.0);
    }

    /// The reading in these bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut take = Take(bytes);
        let [flags, id, sensor, kind, unit] = take.array()?;
        let observed_at = take.time()?;
        let value = take.f64()?;
        let position = if flags & HAS_POSITION != 0 {
            Some(take.position()?)
        } else {
            None
        };
        let received_at = if flags & HAS_RECEIVED_AT != 0 {
            Some(take.time()?)
        } else {
            None
        };
        let [id, sensor, kind, unit] = [id, sensor, kind, unit].map(usize::from);
        let texts = take.bytes(id + sensor + kind + unit)?;
        let texts = std::str::from_utf8(texts).map_err(|_| CodecError("text is not UTF-8"))?;
        let mut rest = texts;
        let mut next = |length| {
            let (text, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(text)
        };
        let parts = (next(id), next(sensor), next(kind), next(unit));
        let (Some(id), Some(sensor), Some(kind), Some(unit)) = parts else {
            return Err(CodecError("a length cuts a character"));
        };
        let attributes = Attributes::check(take.sized()?)?;
        take.end()?;
        let reading = Self {
            id,
            sensor,
            kind,
            observed_at,
            received_at,
            value,
            unit,
            position,
            attributes,
        };
        reading.check()?;
        Ok(reading)
    }

    fn check(&self) -> Result<(), CodecError> {
        match () {
            () if !ReadingId::is_valid(self.id) => Err(CodecError("reading id")),
            () if !SensorId::is_valid(self.sensor) => Err(CodecError("sensor")),
            () if !ReadingKind::is_valid(self.kind) => Err(CodecError("kind")),
            () if self.unit.len() > Self::UNIT_BYTES_MAX => Err(CodecError("unit")),
            () if !self.value.is_finite() => Err(CodecError("value")),
            () => Ok(()),
        }
    }

    /// The longest unit, in bytes.
    pub const UNIT_BYTES_MAX: usize = 32;
}
