//! Which messages are in which format: what `mappings.yaml` says, ready to be asked.
//!
//! Arrives: a message's topic. Leaves: the [`Mapping`] that it is read by. Promise: native readings
//! are not looked up here, so that mappings cost them nothing. Bound: [`Mappings::COUNT_MAX`].
//! Next: `mapping/shape.rs`, JSON of any shape; the other formats lie beside this file.

mod expression;
mod shape;

use std::collections::HashMap;

pub use self::expression::{ExpressionError, Source, Text};
pub(super) use self::shape::decode;
pub use self::shape::{Epoch, Measured, Moment, ReadingShape, Shape, Whence, Where};
use super::topic::TopicFilter;

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
}

impl Names {
    /// What the city calls it; what is in no table keeps its name.
    pub(super) fn ours<'a>(table: &'a HashMap<Box<str>, Box<str>>, theirs: &'a str) -> &'a str {
        table.get(theirs).map_or(theirs, |ours| ours)
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

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
