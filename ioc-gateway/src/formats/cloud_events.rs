//! CloudEvents 1.0: what another system says, in an envelope of its own.
//!
//! Arrives: an event in structured mode ("JSON Event Format for CloudEvents", section 3), a batch of
//! them (section 4), or the data of one whose attributes the transport says beside it (binary mode:
//! the "Protocol Binding" of HTTP, of MQTT and of NATS, section 3.1 of each). Leaves: the readings
//! of its data, in the format that its content type says. Promise: a reading that has no id of its
//! own gets the event's source and id, so that an event that is sent twice changes nothing; one
//! that has no time gets the event's; an event that cannot be read takes no other with it. Left
//! out: events within events.

mod headers;
mod plain;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ioc_core::reading::Reading;
use ioc_core::time::Timestamp;

pub use self::headers::attributes_of;
pub(crate) use self::headers::borrowed;

use super::draft::Envelope;
use super::json::{Index, Value};
use super::mapping::{Names, Shape};
use super::message::{Item, Outcome};
use super::{Format, Message, Reason, Reject, Room, native, read_value};
use crate::catalogue::Catalogue;

/// Beyond so many bytes an event's source and id are known by their hash.
const NAME_BYTES_MAX: usize = 1024;
/// How many bytes of data are kept room for between messages.
const KEPT_BYTES: usize = 4096;

/// What an event is read by.
#[derive(Clone, Copy)]
pub(super) struct By<'b> {
    /// What JSON is in it, if not native readings.
    pub shape: Option<&'b Shape>,
    pub names: &'b Names,
    pub catalogue: &'b Catalogue,
    /// The sensor that the topic names, of an event among native readings: what it holds then are such.
    pub sensor: Option<&'b str>,
}

/// An event's attributes ("CloudEvents", section 3.1), as far as they change anything.
#[derive(Debug, Default)]
struct Attributes<'d> {
    version: Option<&'d str>,
    id: Option<&'d str>,
    source: Option<&'d str>,
    kind: Option<&'d str>,
    time: Option<&'d str>,
    content_type: Option<&'d str>,
}

/// What an event carries.
#[derive(Debug)]
enum Data<'d> {
    /// A plain reading, and native by its content type.
    Reading(native::Plain<'d>),
    Json(Value<'d>),
    Base64(&'d str),
}

/// An event, opened.
type Opened<'d> = (Attributes<'d>, Option<Data<'d>>);

/// What data is by its content type.
enum Inner<'b> {
    Native,
    Format(&'b Format),
    Shape(&'b Shape),
}

/// Where in a batch the readings of an event stand.
struct Place<'p> {
    event: Option<usize>,
    data: &'static str,
    within: &'p dyn fmt::Display,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.event {
            write!(f, "/{number}")?;
        }
        f.write_str(self.data)?;
        // As it is asked for itself.
        self.within.fmt(f)
    }
}

/// Reads an event in structured mode, or a batch.
///
/// # Errors
/// Why it, or the rest of it, cannot be read.
pub(super) fn decode(
    message: Message<'_>,
    by: By<'_>,
    index: &mut Index,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let json = super::utf8(message.payload)?;
    let topic = message.topic;
    if let Some(opened) = plain::one(json, by) {
        return event(opened, None, topic, by, room, take);
    }
    if let Some(events) = plain::several(json, by) {
        let events = events.into_iter();
        let events = events.map(|(opened, source)| (Ok(opened), source));
        return batch(events, topic, by, room, take);
    }
    decode_any(json, topic, by, index, room, take)
}

/// The same for any JSON.
fn decode_any(
    json: &str,
    topic: &str,
    by: By<'_>,
    index: &mut Index,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let whole = index.read(json)?;
    match whole.elements() {
        Some(events) => {
            let events = events.map(|event| (opened(event), event.source()));
            batch(events, topic, by, room, take)
        }
        None => event(opened(whole)?, None, topic, by, room, take),
    }
}

/// Reads the events of a batch, each with the JSON that it was written with.
fn batch<'d>(
    events: impl Iterator<Item = (Result<Opened<'d>, Reject>, &'d str)>,
    topic: &str,
    by: By<'_>,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    for (number, (opened, source)) in events.enumerate() {
        let mut count = 0;
        let mut counted = |item: Item<'_>| {
            count += 1;
            take(item);
        };
        room.native.tally.look()?;
        let read =
            opened.and_then(|opened| event(opened, Some(number), topic, by, room, &mut counted));
        let reject = match read {
            Ok(()) if count > 0 => continue,
            Ok(()) => no_reading(),
            // What is behind is the rest of the message.
            Err(reject) if room.native.tally.is_full() => return Err(reject),
            Err(reject) => reject,
        };
        room.native.tally.bring()?;
        // What was taken of an event that cannot be read to its end is not taken again.
        let behind = super::behind(count, "");
        let separator = if count == 0 { "" } else { " " };
        let place = Place {
            event: Some(number),
            data: separator,
            within: &behind,
        };
        take(Item {
            place: &place,
            source: source.as_bytes(),
            outcome: Outcome::Rejected(reject),
        });
    }
    Ok(())
}

/// Whether an attribute of this name changes how an event is read.
pub(super) fn is_read(name: &str) -> bool {
    let mut attributes = Attributes::default();
    attributes.note(name, "");
    let Attributes {
        version,
        id,
        source,
        kind,
        time,
        content_type,
    } = attributes;
    [version, id, source, kind, time, content_type]
        .iter()
        .any(Option::is_some)
}

fn no_reading() -> Reject {
    let detail = "there is no reading in the event";
    Reject::new(Reason::NothingMapped, detail)
}

/// Opens the envelope of a message in binary mode: what is read from now on is in it. The content
/// type is that of the data.
///
/// # Errors
/// If it is no event, or one that says no id.
pub(super) fn open(message: Message<'_>, name: &mut String) -> Result<Envelope, Reject> {
    let mut attributes = Attributes::default();
    for (name, value) in message.event {
        attributes.note(name, value);
    }
    attributes.envelope(name)
}

/// Reads the data of an event in binary mode, whose envelope is open.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn decode_data(
    message: Message<'_>,
    by: By<'_>,
    index: &mut Index,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    match inner(message.content_type, by)? {
        Inner::Format(format) => {
            super::read(format, message, by.names, by.catalogue, (index, room), take)
        }
        Inner::Native => {
            let text = super::utf8(message.payload)?;
            match native::Plain::alone(text) {
                Some(reading) => plain_reading(&reading, by, room, take),
                None => native_readings(index.read(text)?, by, room, take),
            }
        }
        Inner::Shape(shape) => {
            let found = (message.topic, index.read(super::utf8(message.payload)?)?);
            super::mapping::decode(shape, by.names, found, by.catalogue, room.native, take)
        }
    }
}

fn event(
    (attributes, data): Opened<'_>,
    number: Option<usize>,
    topic: &str,
    by: By<'_>,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let Some(data) = data else {
        return Err(no_reading());
    };
    let envelope = attributes.envelope(&mut room.native.enveloped)?;
    let name = data.name();
    let mut placed = |item: Item<'_>| {
        let place = Place {
            event: number,
            data: name,
            within: item.place,
        };
        take(Item {
            place: &place,
            ..item
        });
    };
    room.native.envelope = Some(envelope);
    let content_type = attributes.content_type;
    let read = match data {
        Data::Reading(reading) => plain_reading(&reading, by, room, &mut placed),
        Data::Json(value) => json(value, content_type, topic, by, room, &mut placed),
        Data::Base64(text) => bytes(text, content_type, topic, by, room, &mut placed),
    };
    room.native.envelope = None;
    read
}

impl Data<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Reading(_) | Self::Json(_) => "/data",
            Self::Base64(_) => "/data_base64",
        }
    }
}

/// Sections 3.1 and 3.1.1 of the JSON format: the attributes are members, and so is the data.
fn opened(event: Value<'_>) -> Result<Opened<'_>, Reject> {
    let Some(members) = event.members() else {
        let detail = format!("an event is an object, and this is {}", event.word());
        return Err(Reject::new(Reason::NotAnObject, detail));
    };
    let (mut attributes, mut data) = (Attributes::default(), None);
    for (name, value) in members {
        let found = match name {
            "data" if value.is_null() => continue,
            "data" => Data::Json(value),
            "data_base64" => match value.text() {
                Some(text) => Data::Base64(text),
                None if value.is_null() => continue,
                None => return Err(unexpected("data_base64 is no text")),
            },
            name => {
                if let Some(text) = value.text()
                    && attributes.note(name, text)
                {
                    let detail = format!("{:?} is there twice; write it once", super::cut(name));
                    return Err(Reject::new(Reason::MemberRepeated, detail));
                }
                continue;
            }
        };
        if data.replace(found).is_some() {
            return Err(unexpected(
                "an event has data or data_base64, and one of them once",
            ));
        }
    }
    Ok((attributes, data))
}

fn unexpected(detail: impl Into<String>) -> Reject {
    Reject::new(Reason::ShapeUnexpected, detail)
}

impl<'d> Attributes<'d> {
    /// Notes an attribute; whether it was there before.
    fn note(&mut self, name: &str, value: &'d str) -> bool {
        let kept = match name {
            "specversion" => &mut self.version,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "time" => &mut self.time,
            "datacontenttype" => &mut self.content_type,
            _ => return false,
        };
        kept.replace(value).is_some()
    }

    /// What holds for the readings of the event; its name, which is its source and its id.
    fn envelope(&self, name: &mut String) -> Result<Envelope, Reject> {
        match self.version {
            Some("1.0") => {}
            Some(version) => {
                let version = super::cut(version);
                let detail = format!("specversion is {version:?}; events of 1.0 are understood");
                return Err(unexpected(detail));
            }
            None => return Err(unexpected("specversion is left out: this is no CloudEvent")),
        }
        let required = |name: &str, value: Option<&'d str>| {
            let missing = || unexpected(format!("an event has {name}, and it is no empty text"));
            value.filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        required("a type", self.kind)?;
        let time = self.time.map(|text| {
            Timestamp::parse(text.as_bytes()).map_err(|error| {
                let detail = format!("time: {:?} is {error}", super::cut(text));
                Reject::new(Reason::ObservedAtInvalid, detail)
            })
        });
        let id = required("an id", self.id)?;
        name.clear();
        name.shrink_to(KEPT_BYTES);
        name.push_str(required("a source", self.source)?);
        name.push(' ');
        name.push_str(id);
        if name.len() > NAME_BYTES_MAX {
            // Once for the event, not for each reading in it.
            let digest = blake3::hash(name.as_bytes()).to_hex();
            name.clear();
            name.push_str(&digest);
        }
        Ok(Envelope {
            time: time.transpose()?,
            named: 0,
        })
    }
}

/// What data of a content type is. JSON that is none of the standards is what the mapping says.
fn inner<'b>(content_type: Option<&str>, by: By<'b>) -> Result<Inner<'b>, Reject> {
    let essence = super::essence(content_type);
    match super::standard(content_type) {
        Some(Format::CloudEvents(_)) => Err(unexpected("an event within an event")),
        Some(_) if by.sensor.is_some() => {
            let detail = "an event on a topic of native readings holds native readings; other topics \
                          take the other standards";
            Err(unexpected(detail))
        }
        Some(format) => Ok(Inner::Format(format)),
        None if essence.is_empty() || essence.ends_with("json") => {
            Ok(by.shape.map_or(Inner::Native, Inner::Shape))
        }
        None => {
            let essence = super::cut(essence);
            let detail =
                format!("data of {essence:?} is not understood; JSON and the standards are");
            Err(unexpected(detail))
        }
    }
}

/// Section 3.1.1 of the JSON format: data that is JSON lies in the event; other text, as a text.
fn json(
    value: Value<'_>,
    content_type: Option<&str>,
    topic: &str,
    by: By<'_>,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let By {
        names, catalogue, ..
    } = by;
    match (inner(content_type, by)?, value.text()) {
        (Inner::Format(format), Some(text)) => {
            let message = Message {
                topic,
                payload: text.as_bytes(),
                ..Message::default()
            };
            room.again(|index, room| {
                super::read(format, message, names, catalogue, (index, room), take)
            })
        }
        (Inner::Format(format), None) => {
            read_value(format, (topic, value), names, catalogue, room.native, take)
        }
        (Inner::Shape(shape), _) => {
            let native = &mut *room.native;
            super::mapping::decode(shape, names, (topic, value), catalogue, native, take)
        }
        (Inner::Native, _) => native_readings(value, by, room, take),
    }
}

/// Section 3.1.1: data that is no text is in base 64.
fn bytes(
    text: &str,
    content_type: Option<&str>,
    topic: &str,
    by: By<'_>,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let mut payload = std::mem::take(&mut *room.bytes);
    payload.clear();
    let decoded = STANDARD.decode_vec(text, &mut payload).map_err(|error| {
        let detail = format!("data_base64 is not in base 64: {error}");
        unexpected(detail)
    });
    let message = Message {
        topic,
        payload: &payload,
        content_type,
        ..Message::default()
    };
    let read = decoded
        .and_then(|()| room.again(|index, room| decode_data(message, by, index, room, take)));
    payload.shrink_to(KEPT_BYTES);
    *room.bytes = payload;
    read
}

/// Where in the data a native reading stands.
struct Nth(Option<usize>);

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "/{number}"),
            None => Ok(()),
        }
    }
}

/// A plain reading, which is all of the data.
fn plain_reading(
    reading: &native::Plain<'_>,
    by: By<'_>,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    room.native.tally.bring()?;
    let read = reading.complete(by.sensor, by.catalogue, room.native);
    take(item(&Nth(None), reading.source, read));
    Ok(())
}

/// What came of the reading that is written so at this place.
fn item<'i>(place: &'i Nth, source: &'i str, read: Result<Reading<'i>, Reject>) -> Item<'i> {
    Item {
        place,
        source: source.as_bytes(),
        outcome: read.map_or_else(Outcome::Rejected, Outcome::Reading),
    }
}

/// One native reading, or a list of them.
fn native_readings(
    value: Value<'_>,
    by: By<'_>,
    room: &mut Room<'_>,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let mut one = |place: Nth, value: Value<'_>| {
        room.native.tally.look()?;
        room.native.tally.bring()?;
        let source = value.source();
        let read = native::decode(source.as_bytes(), by.sensor, by.catalogue, room.native);
        take(item(&place, source, read));
        Ok(())
    };
    let Some(readings) = value.elements() else {
        return one(Nth(None), value);
    };
    let mut readings = readings.enumerate();
    readings.try_for_each(|(number, value)| one(Nth(Some(number)), value))
}

#[cfg(test)]
mod tests;
