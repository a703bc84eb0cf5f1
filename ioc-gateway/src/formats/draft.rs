//! One reading as a message says it, before it is compared with what is registered.
//!
//! Arrives: a [`Draft`], which the decoder of a format filled from a message. Leaves: a [`Reading`]
//! in the unit that its sensor is registered with, with an id derived from all that it says if it
//! has none; or a [`Reject`] that says what to write instead. Promise: every format is judged by
//! the same rules, and nothing is allocated for a plain reading. Next: `reject.rs`.

use std::cell::OnceCell;
use std::fmt;

use ioc_core::id::{ReadingId, ReadingKind, SensorId};
use ioc_core::place::Position;
use ioc_core::reading::{Attributes, AttributesBuffer, Reading};
use ioc_core::time::Timestamp;

use super::tally::Tally;
use super::units::{UnitError, convert};
use super::{Reason, Reject};
use crate::catalogue::{Catalogue, Registered, Unregistered};

/// Memory that decoding needs and the reading borrows: one for each connection or file.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) attributes: AttributesBuffer,
    /// Unescaped texts and the derived id.
    pub(super) texts: String,
    /// What the message came in, if it came in something.
    pub(super) envelope: Option<Envelope>,
    /// Who sent the envelope, and what it is called there.
    pub(super) enveloped: String,
    /// When the message was taken by whoever kept it, if it was.
    pub(super) taken_at: Option<Timestamp>,
    /// When it arrived, once that was asked for: all of it at one time.
    pub(super) arrived: OnceCell<Timestamp>,
    /// When a native reading was observed that says no time, if one need not say it.
    unsaid: Option<Timestamp>,
    /// How much of the message was looked for, and came of it.
    pub(super) tally: Tally,
}

/// What an envelope says of the message in it, for what the message does not say itself.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub time: Option<Timestamp>,
    /// How many readings have their id from it.
    pub named: u32,
}

impl Envelope {
    /// An id for the next reading, from what the envelope is called; of one that would be too long,
    /// its hash.
    fn append_id<'a>(&mut self, name: &str, texts: &mut String) -> Part<'a> {
        self.named += 1;
        numbered(Part::Payload(name), self.named, "event", texts)
    }
}

/// What the so-manieth reading is called that has this name: the first just so, the others with their
/// number behind it; one that would be too long by its hash.
pub(super) fn numbered<'a>(
    name: Part<'_>,
    number: u32,
    what: &str,
    texts: &mut String,
) -> Part<'a> {
    let whole = match number {
        0 | 1 => name.and(texts, format_args!("")),
        number => name.and(texts, format_args!(" {number}")),
    };
    let Part::Scratch { from, to } = whole else {
        unreachable!("what is put together is there")
    };
    if to - from <= ReadingId::BYTES_MAX {
        return Part::Scratch { from, to };
    }
    let digest = blake3::hash(&texts.as_bytes()[from..to]).to_hex();
    Part::append(texts, format_args!("{what}-{digest}"))
}

impl Scratch {
    /// Forgets what was decoded before.
    pub(super) fn clear(&mut self) {
        self.attributes.clear();
        self.texts.clear();
    }

    /// From now on native readings that say no time were observed now: of messages that nobody could
    /// write the time into.
    pub(crate) fn observed_now(&mut self, catalogue: &Catalogue) {
        self.unsaid = Some(catalogue.now.now());
    }

    /// From now on native readings say their time themselves again.
    pub(crate) fn observed_when_said(&mut self) {
        self.unsaid = None;
    }

    /// Whether what is read is one of those messages.
    pub(super) fn is_of_will(&self) -> bool {
        self.unsaid.is_some()
    }

    /// When what says no time was observed: when its envelope says, when it was taken, or now.
    pub(super) fn arrival(&self, catalogue: &Catalogue) -> Timestamp {
        if let Some(said) = self.envelope.as_ref().and_then(|envelope| envelope.time) {
            return said;
        }
        *self.arrived.get_or_init(|| {
            let now = catalogue.now.now();
            // Whoever kept it may have another clock.
            self.taken_at.map_or(now, |taken_at| taken_at.min(now))
        })
    }
}

/// What the message says; `None` for what is left out or null. The attributes are in the scratch.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    pub id: Option<Part<'a>>,
    pub sensor: Option<Part<'a>>,
    pub kind: Option<Part<'a>>,
    pub unit: Option<Part<'a>>,
    pub observed_at: Option<Timestamp>,
    pub received_at: Option<Timestamp>,
    pub value: Option<f64>,
    pub position: Option<Position>,
}

/// A text of the message: there, or in the scratch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    Payload(&'a str),
    Scratch { from: usize, to: usize },
}

impl<'a> Part<'a> {
    pub(super) fn append(texts: &mut String, text: fmt::Arguments<'_>) -> Self {
        let from = texts.len();
        fmt::Write::write_fmt(texts, text).expect("writing to a String cannot fail");
        let to = texts.len();
        Self::Scratch { from, to }
    }

    /// The text with more behind it. Precondition: as of [`Self::resolve`].
    pub(super) fn and(self, texts: &mut String, more: fmt::Arguments<'_>) -> Self {
        let before = texts.len();
        match self {
            Self::Payload(text) => texts.push_str(text),
            Self::Scratch { from, to } => texts.extend_from_within(from..to),
        }
        let Self::Scratch { to, .. } = Self::append(texts, more) else {
            unreachable!("what is appended is there")
        };
        Self::Scratch { from: before, to }
    }

    /// The text. Precondition: these are the texts that it was appended to.
    pub(super) fn resolve(self, texts: &'a str) -> &'a str {
        match self {
            Self::Payload(text) => text,
            Self::Scratch { from, to } => &texts[from..to],
        }
    }
}

impl<'a> Draft<'a> {
    /// Itself, as the so-manieth reading of its sensor in one message that has this id.
    pub(super) fn nth(mut self, number: u32, scratch: &mut Scratch) -> Self {
        if number > 1 {
            let texts = &mut scratch.texts;
            self.id = self.id.map(|id| numbered(id, number, "id", texts));
        }
        self
    }

    /// What it says besides its id, as a hash; `None` if it does not say what a reading needs.
    pub(super) fn says(&self, catalogue: &Catalogue, scratch: &Scratch) -> Option<u64> {
        digest(self, None, catalogue, scratch).ok()
    }

    /// The reading, if the message says all that one needs and it fits what is registered.
    ///
    /// `topic_sensor` is the sensor that the topic names; the draft may then leave it out, and must
    /// not name another.
    pub(super) fn complete(
        &self,
        topic_sensor: Option<&'a str>,
        catalogue: &'a Catalogue,
        scratch: &'a mut Scratch,
    ) -> Result<Reading<'a>, Reject> {
        let id = match (self.id, &mut scratch.envelope) {
            (Some(id), _) => id,
            (None, Some(envelope)) => envelope.append_id(&scratch.enveloped, &mut scratch.texts),
            (None, None) => {
                let digest = digest(self, topic_sensor, catalogue, scratch)?;
                Part::append(&mut scratch.texts, format_args!("auto-{digest:016x}"))
            }
        };
        check(self, id, topic_sensor, catalogue, scratch)
    }
}

/// Compares what the message says with the catalogue.
fn check<'a>(
    draft: &Draft<'a>,
    id: Part<'a>,
    topic_sensor: Option<&'a str>,
    catalogue: &'a Catalogue,
    scratch: &'a Scratch,
) -> Result<Reading<'a>, Reject> {
    let texts = &scratch.texts[..];
    let (sensor, registered) = sensor(draft, topic_sensor, catalogue, texts)?;
    let kind = kind(draft, registered, texts)?;
    let id = id.resolve(texts);
    if !ReadingId::is_valid(id) {
        return Err(Reject::new(
            Reason::IdInvalid,
            ReadingId::error().to_string(),
        ));
    }
    let wanted = wanted_unit(registered, kind, catalogue);
    let (value, unit) = measured(draft, registered, wanted, texts)?;
    if unit.len() > Reading::UNIT_BYTES_MAX {
        let detail = format!("unit is longer than {} bytes", Reading::UNIT_BYTES_MAX);
        return Err(Reject::new(Reason::UnitInvalid, detail));
    }
    Ok(Reading {
        id,
        sensor,
        kind,
        observed_at: observed_at(draft, scratch)?,
        received_at: draft.received_at,
        value,
        unit,
        position: draft.position.filter(is_fix),
        attributes: scratch.attributes.as_attributes(),
    })
}

/// Whether it is a place: a receiver that does not know where it is says zeros, and no city lies there
/// to a millionth of a degree.
fn is_fix(position: &Position) -> bool {
    (position.lon_micro_degrees(), position.lat_micro_degrees()) != (0, 0)
}

/// The sensor, and what is registered of it.
fn sensor<'a>(
    draft: &Draft<'a>,
    topic_sensor: Option<&'a str>,
    catalogue: &'a Catalogue,
    texts: &'a str,
) -> Result<(&'a str, Option<&'a Registered>), Reject> {
    let own = draft.sensor.map(|sensor| sensor.resolve(texts));
    let Some(sensor) = own.or(topic_sensor) else {
        return Err(Reject::new(Reason::SensorMissing, "sensor is left out"));
    };
    if !SensorId::is_valid(sensor) {
        return Err(Reject::new(
            Reason::SensorInvalid,
            SensorId::error().to_string(),
        ));
    }
    if let Some(topic) = topic_sensor.filter(|topic| *topic != sensor) {
        let detail = format!("the topic is that of {topic:?}, the message that of {sensor:?}");
        return Err(Reject::new(Reason::SensorNotOfTopic, detail));
    }
    let registered = catalogue.sensors.get(sensor);
    if registered.is_none() && catalogue.unregistered == Unregistered::Refuse {
        let detail = format!("{sensor:?} is not in the city's file");
        return Err(Reject::new(Reason::SensorUnregistered, detail));
    }
    Ok((sensor, registered))
}

/// The kind that the message says, which must be the registered one; or that one.
fn kind<'a>(
    draft: &Draft<'a>,
    registered: Option<&'a Registered>,
    texts: &'a str,
) -> Result<&'a str, Reject> {
    let own = draft.kind.map(|kind| kind.resolve(texts));
    let kind = match (own, registered) {
        (Some(own), Some(registered)) if *own != *registered.kind => {
            let detail = format!("registered as {:?}, sent as {own:?}", registered.kind);
            return Err(Reject::new(Reason::KindMismatch, detail));
        }
        (Some(own), _) => own,
        (None, Some(registered)) => &registered.kind,
        (None, None) => {
            let detail = "kind is left out, and the sensor is not registered";
            return Err(Reject::new(Reason::KindMissing, detail));
        }
    };
    if ReadingKind::is_valid(kind) {
        Ok(kind)
    } else {
        Err(Reject::new(
            Reason::KindInvalid,
            ReadingKind::error().to_string(),
        ))
    }
}

/// The unit that readings of this sensor and kind are converted to, if one is configured.
fn wanted_unit<'a>(
    registered: Option<&'a Registered>,
    kind: &str,
    catalogue: &'a Catalogue,
) -> Option<&'a str> {
    registered
        .map(|registered| &*registered.unit)
        .filter(|unit| !unit.is_empty())
        .or_else(|| catalogue.kind_units.get(kind).map(|unit| &**unit))
}

/// The value with its unit, converted to the wanted one; a unit left out is what the sensor is
/// registered to mean then, else the wanted one.
fn measured<'a>(
    draft: &Draft<'a>,
    registered: Option<&'a Registered>,
    wanted: Option<&'a str>,
    texts: &'a str,
) -> Result<(f64, &'a str), Reject> {
    let Some(value) = draft.value else {
        return Err(Reject::new(Reason::ValueMissing, "value is left out"));
    };
    let own = draft
        .unit
        .map(|unit| unit.resolve(texts))
        .filter(|unit| !unit.is_empty())
        .or(registered.map(|registered| &*registered.unit_unnamed))
        .filter(|unit| !unit.is_empty());
    let (own, wanted) = match (own, wanted) {
        (None, wanted) => return Ok((value, wanted.unwrap_or_default())),
        (Some(own), None) => return Ok((value, own)),
        (Some(own), Some(wanted)) => (own, wanted),
    };
    match convert(value, own, wanted) {
        Ok(value) if value.is_finite() => Ok((value, wanted)),
        Ok(_) => {
            let detail = format!("{value} {own} are too many {wanted}");
            Err(Reject::new(Reason::ValueOverflow, detail))
        }
        Err(UnitError::Unknown) => {
            let detail = format!("{own:?} cannot be converted to the registered {wanted:?}");
            Err(Reject::new(Reason::UnitUnknown, detail))
        }
        Err(UnitError::Mismatch) => {
            let detail = format!("{own:?} measures something else than the registered {wanted:?}");
            Err(Reject::new(Reason::UnitMismatch, detail))
        }
    }
}

/// When it was observed: in a recording that does not say, not after it was received.
fn observed_at(draft: &Draft<'_>, scratch: &Scratch) -> Result<Timestamp, Reject> {
    let enveloped = || scratch.envelope.as_ref()?.time;
    let said = draft.observed_at.or_else(enveloped).or(draft.received_at);
    let said = said.or(scratch.unsaid);
    said.ok_or_else(|| {
        Reject::new(
            Reason::ObservedAtMissing,
            "observed_at is left out; write the time of the measurement in RFC 3339",
        )
    })
}

/// What the id is derived from when the source gives none: all that the reading says, so that a
/// redelivery gets the same id, and two calls to one exchange in the same second do not.
fn digest(
    draft: &Draft<'_>,
    topic_sensor: Option<&str>,
    catalogue: &Catalogue,
    scratch: &Scratch,
) -> Result<u64, Reject> {
    let texts = &scratch.texts[..];
    let (sensor, registered) = sensor(draft, topic_sensor, catalogue, texts)?;
    let kind = kind(draft, registered, texts)?;
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u32).to_le_bytes());
        hasher.update(bytes);
    };
    put(sensor.as_bytes());
    put(kind.as_bytes());
    put(&observed_at(draft, scratch)?.as_millis().to_le_bytes());
    put(&draft.value.unwrap_or_default().to_bits().to_le_bytes());
    match draft.position {
        Some(position) => {
            put(&position.lon_micro_degrees().to_le_bytes());
            put(&position.lat_micro_degrees().to_le_bytes());
        }
        None => put(&[]),
    }
    put_attributes(scratch.attributes.as_attributes(), put);
    let first = *hasher
        .finalize()
        .as_bytes()
        .first_chunk()
        .expect("a digest is 32 bytes");
    Ok(u64::from_le_bytes(first))
}

fn put_attributes(attributes: Attributes<'_>, mut put: impl FnMut(&[u8])) {
    for (name, value) in attributes.iter() {
        put(name.as_bytes());
        put(value.as_bytes());
    }
}
