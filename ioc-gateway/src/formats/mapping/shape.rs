//! JSON of any shape: what a mapping says of it, and the readings that it finds in a message.
//!
//! Arrives: a message of at most [`MESSAGE_BYTES_MAX`](super::super::MESSAGE_BYTES_MAX). Leaves: a
//! reading, or the reason why not, for each item and each entry of `readings`, with its place.
//! Promise: what fails takes nothing else with it. Next: `draft.rs`, which compares each reading
//! with what is registered.

use std::collections::HashMap;
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
    /// Whether the message is a text, and no JSON: the item is that text.
    pub is_text: bool,
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
    /// How a text says a number.
    pub written: Written,
    /// What words are worth, in whichever case unless two of them differ in nothing else. Without
    /// them, true is 1 and false is 0.
    pub words: Vec<(Box<str>, f64)>,
    /// Words that say that there is no value.
    pub nothing: Vec<Box<str>>,
    /// What it is multiplied by, and then what is added.
    pub multiply: f64,
    /// See there.
    pub add: f64,
}

/// How a text says a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Written {
    /// It is one, as JSON writes them.
    #[default]
    Whole,
    /// It begins with one, perhaps with a `+`; what follows is its unit, or any other words.
    Leading {
        /// What stands before its decimals.
        point: char,
    },
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
    /// One text of two numbers, such as `3.1466,101.6953`.
    Text {
        /// Where it stands.
        from: Source,
        /// Whether the latitude comes first.
        is_lat_first: bool,
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
        may_repeat: shape.each.is_some() || shape.readings.len() > 1,
        called: HashMap::new(),
        said: HashMap::new(),
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
        let (mut found, mut failed) = (Vec::new(), Ok(()));
        for reading in &self.readings {
            reading.each_source(&mut |source| {
                let (Source::Message(place), Ok(())) = (source, &failed) else {
                    return;
                };
                match place.of(message) {
                    Ok(value) => found.push((std::ptr::from_ref(place), value)),
                    Err(reject) => failed = Err(reject),
                }
            });
        }
        failed?;
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
    /// Whether there may be several readings.
    may_repeat: bool,
    /// How many readings of a sensor have the same id, by the hash of both. As many as there are items
    /// at most.
    called: HashMap<[u8; 32], u32>,
    /// Which of those said this, by the hash of what it says.
    said: HashMap<([u8; 32], u64), u32>,
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
            // Also of what is refused: read again one day it has the id that it would have had.
            let is_there = !matches!(drafted, Ok(None));
            let number = match is_there && self.may_repeat {
                true => shape.called(asked, self.names, &mut scratch.texts),
                false => None,
            };
            let number = number.map_or(1, |called| {
                let says = drafted.as_ref().ok().and_then(Option::as_ref);
                let says = says.and_then(|draft| draft.says(self.catalogue, scratch));
                // Who says the same once more says it once.
                let said = says.and_then(|says| self.said.get(&(called, says)));
                if let Some(number) = said {
                    return *number;
                }
                let count = self.called.entry(called).or_default();
                *count += 1;
                self.said.extend(says.map(|says| ((called, says), *count)));
                *count
            });
            let drafted = drafted.map(|draft| draft.map(|draft| draft.nth(number, scratch)));
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
    /// Tells all places that something is taken from.
    fn each_source<'s>(&'s self, tell: &mut impl FnMut(&'s Source)) {
        let further = [&self.kind, &self.unit, &self.id].into_iter().flatten();
        for text in [&self.sensor].into_iter().chain(further) {
            text.sources().for_each(&mut *tell);
        }
        for (_, text) in &self.attributes {
            text.sources().for_each(&mut *tell);
        }
        if let Whence::Source(from) = &self.value.from {
            tell(from);
        }
        match &self.observed_at {
            Moment::Written { from, .. } | Moment::Counted { from, .. } => tell(from),
            Moment::Arrival => {}
        }
        match &self.position {
            Some(Where::List(from) | Where::Text { from, .. }) => tell(from),
            Some(Where::Pair { lon, lat }) => {
                tell(lon);
                tell(lat);
            }
            None => {}
        }
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

    /// What stands for the sensor and the id that the message gives a reading; `None` if it gives none.
    fn called<'d>(
        &'d self,
        asked: Asked<'d>,
        names: &'d Names,
        texts: &mut String,
    ) -> Option<[u8; 32]> {
        let mut part = |text: &'d Text| match text.fill(asked, texts) {
            Ok(Filled::Part(part)) => Some(part),
            Ok(Filled::Nothing(_) | Filled::NoText(..)) | Err(_) => None,
        };
        let (id, sensor) = (part(self.id.as_ref()?)?, part(&self.sensor)?);
        let sensor = Names::ours(&names.sensors, sensor, texts);
        let mut hasher = blake3::Hasher::new();
        hasher.update(sensor.resolve(texts).as_bytes());
        // No sensor's name has it.
        hasher.update(b"\0");
        hasher.update(id.resolve(texts).as_bytes());
        Some(*hasher.finalize().as_bytes())
    }

    fn attributes(
        &self,
        asked: Asked<'_>,
        attributes: &mut AttributesBuffer,
        texts: &mut String,
    ) -> Result<(), Reject> {
        for (name, text) in &self.attributes {
            // A list or an object is kept as its JSON.
            let Filled::Part(part) = text.fill_with(Said::as_json, asked, texts)? else {
                continue;
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
                Some(said) if self.is_nothing(said) => return Ok(None),
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

    /// Whether it is a word that says that there is no value.
    fn is_nothing(&self, said: Said<'_>) -> bool {
        let is_it = |word: &str| {
            let mut words = self.nothing.iter();
            words.any(|own| own.eq_ignore_ascii_case(word))
        };
        !self.nothing.is_empty() && said.as_word().is_some_and(is_it)
    }

    /// The number that a word is: a text as it is said to be written, anything else as in JSON.
    fn number(&self, said: Said<'_>, word: &str) -> Option<f64> {
        match said {
            Said::Value(value) if value.text().is_none() => numeral(word),
            Said::Value(_) | Said::Name(_) => self.written.number(word),
        }
    }

    /// What a word is worth, if it is listed.
    fn listed(&self, word: &str) -> Option<f64> {
        let mut words = self.words.iter();
        if let Some((_, value)) = words.find(|(own, _)| **own == *word) {
            return Some(*value);
        }
        let words = self.words.iter();
        let mut alike = words.filter(|(own, _)| own.eq_ignore_ascii_case(word));
        let (_, value) = alike.next()?;
        alike.next().is_none().then_some(*value)
    }

    fn worth(&self, said: Said<'_>, from: &Source) -> Result<f64, Reject> {
        let word = said.as_word();
        if let Some(value) = word.and_then(|word| self.listed(word)) {
            return Ok(value);
        }
        match (said, word) {
            (Said::Value(value), _) if value.truth().is_some() && self.words.is_empty() => {
                Ok(f64::from(u8::from(value.truth() == Some(true))))
            }
            (_, Some(word)) => self.number(said, word).ok_or_else(|| {
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

impl Written {
    /// The number that a text says so.
    fn number(self, text: &str) -> Option<f64> {
        match self {
            Self::Whole => numeral(text),
            Self::Leading { point: '.' } => numeral(text).or_else(|| leading(text, '.')),
            Self::Leading { point } => leading(text, point),
        }
    }
}

/// The number that a text begins with. What follows must not look as if the number went on, or were
/// a part of a time, a date or a list: `1,234.5`, `1'234`, `0x1F`, `1h30m`, `10:30` and `3 4` are none.
fn leading(text: &str, point: char) -> Option<f64> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_part = |c: char| c.is_ascii_digit() || c == point;
    let end = unsigned.find(|c| !is_part(c)).unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(end);
    let ends = |c: char| c.is_whitespace() || c.is_alphabetic() || "%‰°'\"".contains(c);
    let is_exponent = rest.strip_prefix(['e', 'E']);
    let goes_on = is_exponent.is_some_and(|rest| rest.starts_with(is_sign_or_digit));
    // Of a unit nothing but its end is a digit: `m2`, `m3`.
    let unit = rest.split_whitespace().next().unwrap_or_default();
    let letters = unit.strip_suffix(['2', '3']).unwrap_or(unit);
    let is_unit = letters.len() == unit.len() || letters.ends_with(char::is_alphabetic);
    let is_other = !is_unit
        || letters.contains(|c: char| c.is_ascii_digit())
        || letters.eq_ignore_ascii_case("x")
        || rest.trim_start().starts_with(is_sign_or_digit);
    let is_over = rest.is_empty() || (rest.starts_with(ends) && !goes_on && !is_other);
    let number = digits.replace(point, ".");
    let value = numeral(&number).filter(|_| is_over)?;
    Some(if text.starts_with('-') { -value } else { value })
}

fn is_sign_or_digit(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '+' | '-')
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
            let whole = completed(text, offset.as_deref())?;
            Timestamp::parse(whole.as_bytes()).ok()
        })
    }
}

/// A time as RFC 3339 has it, of one that ISO 8601 or a device writes otherwise: without seconds, with a
/// comma before its fraction, with `+0800`, `+08` or a name of UTC, perhaps behind a blank; and with
/// this offset if it has none.
fn completed(text: &str, offset: Option<&str>) -> Option<String> {
    let text = text.trim();
    let (minutes, rest) = text.is_ascii().then(|| text.split_at_checked(16))??;
    let (seconds, rest) = match rest.starts_with(':') {
        true => rest.split_at_checked(3)?,
        false => (":00", rest),
    };
    let digits = rest.strip_prefix(['.', ',']).unwrap_or_default();
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = match count {
        0 => (String::new(), rest),
        count => (format!(".{}", &digits[..count]), &digits[count..]),
    };
    let zone = zone.trim();
    let zone = match zone.as_bytes() {
        [] => offset?.to_owned(),
        b"UTC" | b"GMT" | b"utc" | b"gmt" | b"z" => "Z".to_owned(),
        [b'+' | b'-', _, _] => format!("{zone}:00"),
        [b'+' | b'-', _, _, m1, _] if m1.is_ascii_digit() => {
            format!("{}:{}", &zone[..3], &zone[3..])
        }
        _ => zone.to_owned(),
    };
    Some(format!("{minutes}{seconds}{fraction}{zone}"))
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
            Self::Text { from, is_lat_first } => match from.ask(asked)? {
                None => return Ok(None),
                Some(said) => {
                    said.as_word()
                        .and_then(two_numbers)
                        .map(|(one, other)| match is_lat_first {
                            true => (other, one),
                            false => (one, other),
                        })
                }
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

/// Two numbers with a comma, a semicolon or blanks between them.
fn two_numbers(text: &str) -> Option<(f64, f64)> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let separator = |c: char| c == ',' || c == ';' || c.is_whitespace();
    let mut numbers = text.split(separator).filter(|part| !part.is_empty());
    let both = (numeral(numbers.next()?)?, numeral(numbers.next()?)?);
    numbers.next().is_none().then_some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_begin_with_its_number() {
        let point = |text: &str| leading(text, '.');
        for (text, value) in [
            ("21.5 °C", 21.5),
            ("21.5C", 21.5),
            ("+21.5", 21.5),
            (" -3 ", -3.0),
            ("99 seconds", 99.0),
            ("40%", 40.0),
            ("12 m3", 12.0),
            ("7", 7.0),
        ] {
            assert_eq!(point(text), Some(value), "{text}");
        }
        for text in [
            "",
            "+",
            "C",
            "°C 21",
            "1,234.5",
            "21,5 °C",
            "10:30",
            "2026-03-14",
            "3 4",
            "1e5",
            "1.2.3",
            "--5",
            "+-5",
            ".5",
            "5 -3",
            "1/2",
            "1'234.5",
            "1'234",
            "0x1F",
            "0x3",
            "1h30m",
            "5m30",
            "3°08'48\"",
            "5'3",
        ] {
            assert_eq!(point(text), None, "{text}");
        }
        assert_eq!(leading("21,5 °C", ','), Some(21.5));
        assert_eq!(leading("1.234,5", ','), None);
    }

    #[test]
    fn times_that_devices_write_otherwise_are_completed() {
        let read = |text: &str, offset: Option<&str>| {
            let whole = completed(text, offset)?;
            let time = Timestamp::parse(whole.as_bytes()).ok()?;
            Some(time.to_string())
        };
        let whole = Some("2026-03-14T06:45:10.000Z".to_owned());
        for text in [
            "2026-03-14T14:45:10+0800",
            "2026-03-14T14:45:10+08",
            "2026-03-14 14:45:10 +08:00",
            "2026-03-14 06:45:10 UTC",
            "2026-03-14T06:45:10GMT",
            " 2026-03-14T06:45:10Z ",
        ] {
            assert_eq!(read(text, None), whole, "{text}");
        }
        let minute = Some("2026-03-14T06:45:00.000Z".to_owned());
        assert_eq!(read("2026-03-14T06:45Z", None), minute);
        assert_eq!(read("2026-03-14 14:45", Some("+08:00")), minute);
        let exact = Some("2026-03-14T06:45:10.933Z".to_owned());
        assert_eq!(read("2026-03-14T06:45:10,933Z", None), exact);
        assert_eq!(read("2026-03-14 06:45:10.933 UTC", None), exact);
        for text in [
            "2026-03-14T06:45:10",
            "2026-03-14",
            "14.03.2026 06:45:10",
            "2026-03-14T06:45:10 MST",
            "2026-03-14T06:45:1Z",
            "2026-03-14T06:45:10+8",
            "2026-03-14T06:45:10+080",
            "20260314T064510Z",
            "2026-03-14T06:45:10é",
            "",
        ] {
            assert_eq!(read(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_text_of_two_numbers_is_a_place() {
        assert_eq!(two_numbers("3.1,101.6"), Some((3.1, 101.6)));
        assert_eq!(two_numbers(" 3.1 ; 101.6 "), Some((3.1, 101.6)));
        for text in ["", "3.1", "3.1,", "3.1,101.6,7", "here, there"] {
            assert_eq!(two_numbers(text), None, "{text}");
        }
    }
}
