//! Which messages are in which format: what `mappings.yaml` says, ready to be asked.
//!
//! Arrives: a message's topic. Leaves: the [`Mapping`] that it is read by. Promise: native readings
//! are not looked up here, so that mappings cost them nothing. Bound: [`Mappings::COUNT_MAX`].
//! Next: `mapping/shape.rs`, JSON of any shape; the other formats lie beside this file.

mod expression;
mod level;
mod moment;
mod shape;
mod entry;

use std::collections::HashMap;

pub use self::entry::MadeMarks;
pub(crate) use self::entry::OfEntry;
pub use self::expression::{ExpressionError, Source, Text};
pub use self::level::{Columns, Level};
pub use self::moment::{Epoch, Moment, Pattern, PatternError};
pub use self::shape::{Measured, ReadingShape, Shape, Whence, Where, Written};
pub(super) use self::shape::{decode, numeral as number};
use super::draft::Part;
use super::json::Value;
use super::topic::TopicFilter;
use super::{Reason, Reject};
use crate::catalogue::Catalogue;

/// All mappings, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mappings(Vec<Mapping>);

/// How the messages of some topics become readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// What people call it.
    pub name: Box<str>,
    /// The topics that it is for.
    pub topic: TopicFilter,
    /// What their messages are.
    pub format: Format,
    /// What is called otherwise here than there.
    pub names: Names,
}

/// The formats that a mapping can name: a small closed set.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// JSON of the shape that the mapping describes.
    Json(Shape),
    /// SenML (RFC 8428), in JSON or CBOR.
    Senml,
    /// An observation of OGC SensorThings 1.1.
    SensorThings,
    /// A notification of NGSI-LD (ETSI GS CIM 009).
    NgsiLd,
    /// A CloudEvent 1.0, or several. What is in it says its own content type; JSON without a
    /// standard is native readings, or of the shape that the mapping describes.
    CloudEvents(Option<Shape>),
    /// Sparkplug B, of Eclipse Sparkplug 3.0.
    Sparkplug,
    /// An alert of the Common Alerting Protocol 1.2.
    Cap,
}

/// What sources call otherwise than the city does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    /// Sensors, by what messages call them.
    pub sensors: HashMap<Box<str>, Box<str>>,
    /// Kinds of reading, by what messages call them.
    pub kinds: HashMap<Box<str>, Box<str>>,
    /// Units, by what messages call them.
    pub units: HashMap<Box<str>, Box<str>>,
    /// What words are worth as values.
    pub words: HashMap<Box<str>, f64>,
}

/// No table has longer names.
const LISTED_BYTES_MAX: usize = 1024;

impl Names {
    /// What the city calls it; what is in no table keeps its name.
    pub(super) fn ours<'a>(
        table: &'a HashMap<Box<str>, Box<str>>,
        theirs: Part<'a>,
        texts: &str,
    ) -> Part<'a> {
        let name = match theirs {
            Part::Payload(theirs) => theirs,
            Part::Scratch { from, to } => &texts[from..to],
        };
        // Long ones are in no table, and hashing them costs.
        let found = (name.len() <= LISTED_BYTES_MAX).then(|| table.get(name));
        found.flatten().map_or(theirs, |ours| Part::Payload(ours))
    }

    /// The sensor that a standard's message calls by this name. One that is in no table keeps it,
    /// with `:` for `/`, which names of sensors do not have.
    pub(super) fn sensor<'a>(&'a self, theirs: Part<'a>, texts: &mut String) -> Part<'a> {
        let ours = Self::ours(&self.sensors, theirs, texts);
        let name = ours.resolve(texts);
        if !name.contains('/') {
            return ours;
        }
        let name = name.replace('/', ":");
        Part::append(texts, format_args!("{name}"))
    }

    /// What a standard's message measures that names no kind as the city does: what the table says
    /// of the word that it has for it; else what the sensor is registered for (`None`); else the
    /// kind of that very name, if there is one.
    pub(super) fn kind<'a>(
        &'a self,
        sensor: &str,
        theirs: &'a str,
        catalogue: &Catalogue,
    ) -> Option<Part<'a>> {
        if let Some(ours) = self.kinds.get(theirs) {
            return Some(Part::Payload(ours));
        }
        let is_registered = catalogue.sensors.contains_key(sensor);
        let is_kind = catalogue.kind_units.contains_key(theirs);
        (!is_registered && is_kind).then_some(Part::Payload(theirs))
    }

    /// The kind that the table says for what a standard's message calls by this name, or by the
    /// last part of it.
    pub(super) fn listed_kind(&self, name: &str, last: &str) -> Option<&str> {
        let listed = self.kinds.get(name).or_else(|| self.kinds.get(last));
        listed.map(|kind| &**kind)
    }

    /// The unit that a message calls by this name.
    pub(super) fn unit<'a>(&'a self, theirs: Part<'a>, texts: &str) -> Part<'a> {
        Self::ours(&self.units, theirs, texts)
    }

    /// What a value in JSON is worth: a number, true or false, or a text that the table knows.
    pub(super) fn value(&self, role: &str, value: Value<'_>) -> Result<f64, Reject> {
        if let Some(truth) = value.truth() {
            return Ok(f64::from(u8::from(truth)));
        }
        let Some(word) = value.as_word() else {
            let detail = format!("{role}: is {}; a number belongs there", value.word());
            return Err(Reject::new(Reason::ValueNotANumber, detail));
        };
        let value = self.worth(word)?;
        if value.is_finite() {
            return Ok(value);
        }
        let detail = format!("{role}: is beyond what a double-precision number can be");
        Err(Reject::new(Reason::ValueOverflow, detail))
    }

    /// What a text is worth as a value: what the table says, or the number that it is.
    pub(super) fn worth(&self, text: &str) -> Result<f64, Reject> {
        let worth = self.words.get(text).copied().or_else(|| number(text));
        worth.ok_or_else(|| {
            let text = super::cut(text);
            let detail = format!("value: {text:?} is no number; say in `words` what it is worth");
            Reject::new(Reason::ValueNotANumber, detail)
        })
    }
}

impl Mappings {
    /// The most mappings that there may be: each message of another topic asks them one by one.
    pub const COUNT_MAX: usize = 256;

    /// These mappings, of which the first that chooses a topic is the one for it.
    pub fn new(list: Vec<Mapping>) -> Self {
        Self(list)
    }

    /// The mapping for a topic.
    pub fn of(&self, topic: &str) -> Option<&Mapping> {
        self.0.iter().find(|mapping| mapping.topic.chooses(topic))
    }

    /// What the mapping for a topic says of the shape of its messages, if it is for JSON.
    pub(crate) fn shape_of(&self, topic: &str) -> Option<&Shape> {
        match &self.of(topic)?.format {
            Format::Json(shape) | Format::CloudEvents(Some(shape)) => Some(shape),
            Format::CloudEvents(None)
            | Format::Senml
            | Format::SensorThings
            | Format::NgsiLd
            | Format::Sparkplug
            | Format::Cap => None,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests;
