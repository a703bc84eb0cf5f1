//! JSON of any shape: what a mapping says of it, and the readings that it finds in a message.
//!
//! Arrives: a message of at most [`MESSAGE_BYTES_MAX`](super::super::MESSAGE_BYTES_MAX). Leaves: a
//! reading, or the reason why not, for each item and each entry of `readings`, with its place.
//! Promise: what fails takes nothing else with it. Next: `draft.rs`, which compares each reading
//! with what is registered.

use std::fmt;

use ioc_core::place::Position;
use ioc_core::reading::{Attributes, AttributesBuffer};
use ioc_core::time::Timestamp;

use super::super::draft::{Draft, Part, Scratch};
use super::super::json::Value;
use super::super::message::{Found, Item, finish};
use super::super::pointer::Pointer;
use super::super::{ITEMS_MAX, Reason, Reject, cut, epoch};
use super::expression::{Asked, AtPlace, Filled, Said};
use super::{Names, Source, Text};
use crate::catalogue::Catalogue;

/// What a message looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// The list or object whose elements are the items; without it, the message is the only one.
    pub each: Option<Pointer>,
    /// What each item says.
    pub readings: Vec<ReadingShape>,
}

/// One reading of each item.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingShape {
    /// Who measured.
    pub sensor: Text,
    /// What it measured; without it, what the sensor is registered for.
    pub kind: Option<Text>,
    /// How much.
    pub value: Measured,
    /// In which unit; without it, or if the message says none, the one that is registered.
    pub unit: Option<Text>,
    /// When.
    pub observed_at: Moment,
    /// Its id; without it, or if the message says none, one is derived from what it says.
    pub id: Option<Text>,
    /// Where.
    pub position: Option<Where>,
    /// What else is kept.
    pub attributes: Vec<(Box<str>, Text)>,
    /// Whether a message without its value is as it should be.
    pub optional: bool,
}

/// How a value is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Where it stands.
    pub from: Whence,
    /// What words are worth. Without them, true is 1 and false is 0.
    pub words: Vec<(Box<str>, f64)>,
    /// What it is multiplied by, and then what is added.
    pub multiply: f64,
    /// See there.
    pub add: f64,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Whence {
    /// In the message, or in the topic.
    Source(Source),
    /// It is always the same: that there is a message says it all.
    Constant(f64),
}

/// How the time of observation is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// The message says none: it is when the message arrived.
    Arrival,
    /// A time as in RFC 3339; one without an offset from UTC has this one.
    Written {
        /// Where it stands.
        from: Source,
        /// `+08:00`, if times come without.
        offset: Option<Box<str>>,
    },
    /// A number since 1970.
    Counted {
        /// Where it stands.
        from: Source,
        /// Of what.
        epoch: Epoch,
    },
}

/// What is counted since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    /// Seconds, perhaps with a fraction.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// How a position is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Where {
    /// A list of longitude, latitude and perhaps altitude, as in GeoJSON.
    List(Source),
    /// Two numbers.
    Pair {
        /// Degrees east.
        lon: Source,
        /// Degrees north.
        lat: Source,
    },
}

/// Where in a message a reading stands.
struct Place<'p> {
    each: Option<&'p Pointer>,
    /// The number or the name of the item.
    item: Named<'p>,
    entry: usize,
    /// More than one entry: which one is worth saying.
    entries: usize,
}

#[derive(Clone, Copy)]
enum Named<'p> {
    Number(usize),
    Key(&'p str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(each) = self.each {
            match self.item {
                Named::Number(number) => write!(f, "{each}/{number}")?,
                Named::Key(key) => {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    write!(f, "{each}/{key}")?;
                }
            }
            separator = ", ";
        }
        if self.entries > 1 {
            write!(f, "{separator}readings[{}]", self.entry)?;
        }
        Ok(())
    }
}

/// Finds the readings of a message.
///
/// # Errors
/// If the message as a whole is not of this shape.
pub(in crate::formats) fn decode<'d>(
    shape: &Shape,
    names: &Names,
    (topic, message): (&'d str, Value<'d>),
    catalogue: &Catalogue,
    scratch: &mut Scratch,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let mut decoder = Decoder {
        shape,
        names,
        catalogue,
        scratch,
        take,
        count: 0,
    };
    // Once, and not for each item.
    let found = shape.found(message)?;
    let asked = Asked {
        topic,
        message,
        found: &found,
        item: message,
        key: None,
    };
    let Some(each) = &shape.each else {
        return decoder.item(asked, Named::Number(0));
    };
    let items = each.of(message)?;
    let unexpected = |what: &str| {
        let detail = format!("each: {what} at `{each}`; a list or an object belongs there");
        Reject::new(Reason::ShapeUnexpected, detail)
    };
    let items = items.ok_or_else(|| unexpected("nothing"))?;
    if let Some(elements) = items.elements() {
        for (number, item) in elements.enumerate() {
            decoder.item(Asked { item, ..asked }, Named::Number(number))?;
        }
    } else if let Some(members) = items.members() {
        for (key, item) in members {
            let asked = Asked {
                item,
                key: Some(key),
                ..asked
            };
            decoder.item(asked, Named::Key(key))?;
        }
    } else {
        return Err(unexpected(items.word()));
    }
    Ok(())
}

impl Shape {
    /// What there is at the places within the whole message that its readings ask for.
    fn found<'d>(&self, message: Value<'d>) -> Result<Vec<AtPlace<'d>>, Reject> {
        let mut found = Vec::new();
        for source in self.readings.iter().flat_map(ReadingShape::sources) {
            if let Source::Message(place) = source {
                found.push((std::ptr::from_ref(place), place.of(message)?));
            }
        }
        Ok(found)
    }
}

struct Decoder<'s, 't> {
    shape: &'s Shape,
    names: &'s Names,
    catalogue: &'s Catalogue,
    scratch: &'s mut Scratch,
    take: &'s mut (dyn FnMut(Item<'_>) + 't),
    count: usize,
}

impl Decoder<'_, '_> {
    /// Finds the readings of one item.
    fn item(&mut self, asked: Asked<'_>, named: Named<'_>) -> Result<(), Reject> {
        for (entry, shape) in self.shape.readings.iter().enumerate() {
            self.count += 1;
            if self.count > ITEMS_MAX {
                return Err(Reject::too_many_items());
            }
            let place = Place {
                each: self.shape.each.as_ref(),
                item: named,
                entry,
                entries: self.shape.readings.len(),
            };
            let scratch = &mut *self.scratch;
            scratch.clear();
            let drafted = shape.draft(asked, self.names, self.catalogue, scratch);
            let found = Found {
                place: &place,
                source: asked.item.source().as_bytes(),
            };
            finish(drafted, found, self.catalogue, scratch, self.take);
        }
        Ok(())
    }
}

impl ReadingShape {
    /// All places that something is taken from.
    fn sources(&self) -> impl Iterator<Item = &Source> {
        let texts = [
            Some(&self.sensor),
            self.kind.as_ref(),
            self.unit.as_ref(),
            self.id.as_ref(),
        ];
        let texts = texts.into_iter().flatten();
        let texts = texts.chain(self.attributes.iter().map(|(_, text)| text));
        let value = match &self.value.from {
            Whence::Source(from) => Some(from),
            Whence::Constant(_) => None,
        };
        let moment = match &self.observed_at {
            Moment::Written { from, .. } | Moment::Counted { from, .. } => Some(from),
            Moment::Arrival => None,
        };
        let position = match &self.position {
            Some(Where::List(from)) => [Some(from), None],
            Some(Where::Pair { lon, lat }) => [Some(lon), Some(lat)],
            None => [None, None],
        };
        let others = [value, moment].into_iter().chain(position).flatten();
        texts.flat_map(Text::sources).chain(others)
    }

    /// What an item says of this reading; `None` if it says nothing of it and need not.
    fn draft<'d>(
        &'d self,
        asked: Asked<'d>,
        names: &'d Names,
        catalogue: &Catalogue,
        scratch: &mut Scratch,
    ) -> Result<Option<Draft<'d>>, Reject> {
        let Some(value) = self.value.of(asked)? else {
            if self.optional {
                return Ok(None);
            }
            let Whence::Source(from) = &self.value.from else {
                unreachable!("a constant is always there")
            };
            return Err(nothing("value", Reason::ValueMissing, from));
        };
        let observed_at = self.observed_at.of(asked, scratch, catalogue)?;
        let texts = &mut scratch.texts;
        let sensor = required("sensor", Reason::SensorMissing, &self.sensor, asked, texts)?;
        let kind = match &self.kind {
            Some(kind) => Some(required("kind", Reason::KindMissing, kind, asked, texts)?),
            None => None,
        };
        let unit = optional(
            "unit",
            Reason::UnitInvalid,
            self.unit.as_ref(),
            asked,
            texts,
        )?;
        let id = optional("id", Reason::IdInvalid, self.id.as_ref(), asked, texts)?;
        let renamed = |part, table| Names::ours(table, part, texts);
        let draft = Draft {
            id,
            sensor: Some(renamed(sensor, &names.sensors)),
            kind: kind.map(|kind| renamed(kind, &names.kinds)),
            unit: unit.map(|unit| renamed(unit, &names.units)),
            observed_at: Some(observed_at),
            received_at: None,
            value: Some(value),
            position: match &self.position {
                Some(place) => place.of(asked)?,
                None => None,
            },
        };
        self.attributes(asked, &mut scratch.attributes, &mut scratch.texts)?;
        Ok(Some(draft))
    }

    fn attributes(
        &self,
        asked: Asked<'_>,
        attributes: &mut AttributesBuffer,
        texts: &mut String,
    ) -> Result<(), Reject> {
        for (name, text) in &self.attributes {
            let part = match text.fill(asked, texts)? {
                Filled::Part(part) => part,
                Filled::Nothing(_) => continue,
                // A list or an object is kept as its JSON.
                Filled::NoText(source, _) => match source.ask(asked)? {
                    Some(Said::Value(value)) => Part::Payload(value.source()),
                    Some(Said::Name(name)) => Part::Payload(name),
                    None => continue,
                },
            };
            if attributes.push(name, part.resolve(texts)).is_err() {
                let (count, bytes) = (Attributes::COUNT_MAX, Attributes::BYTES_MAX);
                let detail =
                    format!("attributes: more than {count}, or longer than {bytes} bytes together");
                return Err(Reject::new(Reason::AttributesTooMany, detail));
            }
        }
        Ok(())
    }
}

fn nothing(role: &str, reason: Reason, from: &Source) -> Reject {
    Reject::new(reason, format!("{role}: nothing at `{from}`"))
}

fn required<'d>(
    role: &str,
    missing: Reason,
    text: &'d Text,
    asked: Asked<'d>,
    texts: &mut String,
) -> Result<Part<'d>, Reject> {
    match text.fill(asked, texts)? {
        Filled::Part(part) => Ok(part),
        Filled::Nothing(from) => Err(nothing(role, missing, from)),
        Filled::NoText(from, word) => {
            let detail = format!("{role}: {word} at `{from}`; a text belongs there");
            Err(Reject::new(missing, detail))
        }
    }
}

fn optional<'d>(
    role: &str,
    invalid: Reason,
    text: Option<&'d Text>,
    asked: Asked<'d>,
    texts: &mut String,
) -> Result<Option<Part<'d>>, Reject> {
    match text.map(|text| text.fill(asked, texts)).transpose()? {
        None | Some(Filled::Nothing(_)) => Ok(None),
        Some(Filled::Part(part)) => Ok(Some(part)),
        Some(Filled::NoText(from, word)) => {
            let detail = format!("{role}: {word} at `{from}`; a text belongs there");
            Err(Reject::new(invalid, detail))
        }
    }
}

impl Measured {
    /// The value, if the item says one.
    fn of(&self, asked: Asked<'_>) -> Result<Option<f64>, Reject> {
        let value = match &self.from {
            Whence::Constant(value) => return Ok(Some(*value)),
            Whence::Source(from) => match from.ask(asked)? {
                None => return Ok(None),
                Some(said) => self.worth(said, from)?,
            },
        };
        let value = value * self.multiply + self.add;
        if value.is_finite() {
            return Ok(Some(value));
        }
        let detail = "value: is beyond what a double-precision number can be";
        Err(Reject::new(Reason::ValueOverflow, detail))
    }

    fn worth(&self, said: Said<'_>, from: &Source) -> Result<f64, Reject> {
        let word = said.as_word();
        let named = word.and_then(|word| self.words.iter().find(|(own, _)| **own == *word));
        if let Some((_, value)) = named {
            return Ok(*value);
        }
        match (said, word) {
            (Said::Value(value), _) if value.truth().is_some() && self.words.is_empty() => {
                Ok(f64::from(u8::from(value.truth() == Some(true))))
            }
            (_, Some(word)) => numeral(word).ok_or_else(|| {
                let word = cut(word);
                let known = self.words.iter().map(|(own, _)| &**own);
                let known = known.collect::<Vec<_>>().join(", ");
                let detail = match known.as_str() {
                    "" => format!(
                        "value: {word:?} at `{from}` is no number; say in `words` what it is worth"
                    ),
                    known => format!(
                        "value: {word:?} at `{from}` is neither a number nor one of {known}"
                    ),
                };
                Reject::new(Reason::ValueNotANumber, detail)
            }),
            (_, None) => {
                let detail = format!("value: {} at `{from}`; a number belongs there", said.word());
                Err(Reject::new(Reason::ValueNotANumber, detail))
            }
        }
    }
}

/// No number that somebody has measured is longer.
const NUMBER_BYTES_MAX: usize = 1024;
/// No time is longer.
const TIME_BYTES_MAX: usize = 64;

/// The number that a text is, as JSON writes numbers.
pub(in crate::formats) fn numeral(text: &str) -> Option<f64> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let is_plain = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let has_digit = text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| is_plain && has_digit)
}

impl Moment {
    fn of(
        &self,
        asked: Asked<'_>,
        scratch: &Scratch,
        catalogue: &Catalogue,
    ) -> Result<Timestamp, Reject> {
        let from = match self {
            Self::Arrival => return Ok(scratch.arrival(catalogue)),
            Self::Written { from, .. } | Self::Counted { from, .. } => from,
        };
        let Some(said) = from.ask(asked)? else {
            let enveloped = scratch.envelope.as_ref().and_then(|envelope| envelope.time);
            let missing = || nothing("observed_at", Reason::ObservedAtMissing, from);
            return enveloped.ok_or_else(missing);
        };
        let time = said.as_word().and_then(|text| self.read(text));
        time.ok_or_else(|| {
            let found = cut(said.as_word().unwrap_or_else(|| said.word()));
            let wanted = match self {
                Self::Counted { epoch, .. } => epoch.word(),
                Self::Arrival | Self::Written { .. } => "a time such as 2026-03-14T06:45:10.933Z",
            };
            let detail = format!("observed_at: {found:?} at `{from}` is not {wanted}");
            Reject::new(Reason::ObservedAtInvalid, detail)
        })
    }

    /// The time that a text says.
    fn read(&self, text: &str) -> Option<Timestamp> {
        if text.len() > TIME_BYTES_MAX {
            return None;
        }
        let offset = match self {
            Self::Arrival => return None,
            Self::Counted { epoch, .. } => return epoch.time(numeral(text)?),
            Self::Written { offset, .. } => offset,
        };
        let as_is = Timestamp::parse(text.as_bytes()).ok();
        as_is.or_else(|| {
            let whole = format!("{text}{}", offset.as_ref()?);
            Timestamp::parse(whole.as_bytes()).ok()
        })
    }
}

impl Epoch {
    /// The time of so many of them.
    fn time(self, count: f64) -> Option<Timestamp> {
        epoch(match self {
            Self::Seconds => count * 1e3,
            Self::Millis => count,
            Self::Micros => count / 1e3,
            Self::Nanos => count / 1e6,
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Seconds => "seconds since 1970",
            Self::Millis => "milliseconds since 1970",
            Self::Micros => "microseconds since 1970",
            Self::Nanos => "nanoseconds since 1970",
        }
    }
}

impl Where {
    /// The position; `None` if the item says none.
    fn of(&self, asked: Asked<'_>) -> Result<Option<Position>, Reject> {
        let number = |said: Said<'_>| said.as_word().and_then(numeral);
        let degrees = match self {
            Self::List(from) => match from.ask(asked)? {
                None => return Ok(None),
                Some(Said::Value(list)) => list.elements().and_then(|mut elements| {
                    let mut next = || elements.next().map(Said::Value).and_then(number);
                    Some((next()?, next()?))
                }),
                Some(Said::Name(_)) => None,
            },
            Self::Pair { lon, lat } => match (lon.ask(asked)?, lat.ask(asked)?) {
                (None, None) => return Ok(None),
                (lon, lat) => lon.and_then(number).zip(lat.and_then(number)),
            },
        };
        let position = degrees.and_then(|(lon, lat)| Position::from_degrees(lon, lat));
        position.map(Some).ok_or_else(|| {
            let detail = "position: is not longitude and latitude in degrees, on the globe";
            Reject::new(Reason::PositionInvalid, detail)
        })
    }
}
