//! The native reading: one JSON object, as `POST /api/v1/readings` and `ioc/v1/readings/…` take it.
//!
//! Arrives: a payload of at most [`READING_BYTES_MAX`] bytes, and the sensor that the topic names.
//! Leaves: a [`Reading`] that borrows from the payload, in the unit that its sensor is registered
//! with; or a [`Reject`] that says what to write instead. Promise: a plain reading is decoded
//! without allocating; any bytes are decoded without a panic. Not here: whether the reading is a
//! duplicate, late or plausible (the core judges that). Next: `door.rs`.

mod members;
mod types;

use ioc_core::id::{ReadingId, ReadingKind, SensorId};
use ioc_core::reading::{Attributes, AttributesBuffer, Reading};
use ioc_core::time::Timestamp;

use self::members::Members;
use self::types::Part;
use super::units::{UnitError, convert};
use super::{Reason, Reject};
use crate::catalogue::{Catalogue, Registered, Unregistered};

/// The longest payload of a reading.
pub const READING_BYTES_MAX: usize = 64 * 1024;

/// Memory that decoding needs and the reading borrows: one for each connection or file.
#[derive(Debug, Default)]
pub struct Scratch {
    attributes: AttributesBuffer,
    /// Unescaped texts and the derived id.
    texts: String,
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
    let json = std::str::from_utf8(payload)
        .map_err(|error| Reject::new(Reason::NotUtf8, error.to_string()))?;
    scratch.attributes.clear();
    scratch.texts.clear();
    let members = Members::read(json, scratch)?;
    let id = match members.id {
        Some(id) => id,
        None => {
            let digest = digest(&members, topic_sensor, catalogue, scratch)?;
            Part::append(&mut scratch.texts, format_args!("auto-{digest:016x}"))
        }
    };
    check(&members, id, topic_sensor, catalogue, scratch)
}

/// Compares what the message says with the catalogue.
fn check<'a>(
    members: &Members<'a>,
    id: Part<'a>,
    topic_sensor: Option<&'a str>,
    catalogue: &'a Catalogue,
    scratch: &'a Scratch,
) -> Result<Reading<'a>, Reject> {
    let texts = &scratch.texts[..];
    let (sensor, registered) = sensor(members, topic_sensor, catalogue, texts)?;
    let kind = kind(members, registered, texts)?;
    let id = id.resolve(texts);
    if !ReadingId::is_valid(id) {
        return Err(Reject::new(
            Reason::IdInvalid,
            ReadingId::error().to_string(),
        ));
    }
    let wanted = wanted_unit(registered, kind, catalogue);
    let (value, unit) = measured(members, registered, wanted, texts)?;
    if unit.len() > Reading::UNIT_BYTES_MAX {
        let detail = format!("unit is longer than {} bytes", Reading::UNIT_BYTES_MAX);
        return Err(Reject::new(Reason::UnitInvalid, detail));
    }
    Ok(Reading {
        id,
        sensor,
        kind,
        observed_at: observed_at(members)?,
        received_at: members.received_at,
        value,
        unit,
        position: members.position,
        attributes: scratch.attributes.as_attributes(),
    })
}

/// The sensor, and what is registered of it.
fn sensor<'a>(
    members: &Members<'a>,
    topic_sensor: Option<&'a str>,
    catalogue: &'a Catalogue,
    texts: &'a str,
) -> Result<(&'a str, Option<&'a Registered>), Reject> {
    let own = members.sensor.map(|sensor| sensor.resolve(texts));
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
    members: &Members<'a>,
    registered: Option<&'a Registered>,
    texts: &'a str,
) -> Result<&'a str, Reject> {
    let own = members.kind.map(|kind| kind.resolve(texts));
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
    members: &Members<'a>,
    registered: Option<&'a Registered>,
    wanted: Option<&'a str>,
    texts: &'a str,
) -> Result<(f64, &'a str), Reject> {
    let Some(value) = members.value else {
        return Err(Reject::new(Reason::ValueMissing, "value is left out"));
    };
    let own = members
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
fn observed_at(members: &Members<'_>) -> Result<Timestamp, Reject> {
    members.observed_at.or(members.received_at).ok_or_else(|| {
        Reject::new(
            Reason::ObservedAtMissing,
            "observed_at is left out; write the time of the measurement in RFC 3339",
        )
    })
}

/// What the id is derived from when the source gives none: all that the reading says, so that a
/// redelivery gets the same id, and two calls to one exchange in the same second do not.
fn digest(
    members: &Members<'_>,
    topic_sensor: Option<&str>,
    catalogue: &Catalogue,
    scratch: &Scratch,
) -> Result<u64, Reject> {
    let texts = &scratch.texts[..];
    let (sensor, registered) = sensor(members, topic_sensor, catalogue, texts)?;
    let kind = kind(members, registered, texts)?;
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u32).to_le_bytes());
        hasher.update(bytes);
    };
    put(sensor.as_bytes());
    put(kind.as_bytes());
    put(&observed_at(members)?.as_millis().to_le_bytes());
    put(&members.value.unwrap_or_default().to_bits().to_le_bytes());
    match members.position {
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

#[cfg(test)]
mod tests;
