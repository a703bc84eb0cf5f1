//! JSON of any shape: what a mapping says of it, and the readings that it finds in a message.
//!
//! Arrives: a message of at most [`MESSAGE_BYTES_MAX`](super::super::MESSAGE_BYTES_MAX). Leaves: a
//! reading, or the reason why not, for each item and each entry of `readings`, with its place; and
//! for each item that does not hold the list that others stand in. Promise: what fails takes nothing
//! else with it. Next: `level.rs`, what is an item; `draft.rs`, which compares each reading with what
//! is registered.

use std::collections::HashMap;
use std::fmt;

use ioc_core::place::Position;
use ioc_core::reading::{Attributes, AttributesBuffer};

use super::super::draft::{Draft, Part, Scratch};
use super::super::json::{Index, Value};
use super::super::message::{Found, Item, Outcome, finish};
use super::super::pointer::Pointer;
use super::super::{Reason, Reject, cut};
use super::entry::{MadeMarks, Marks};
use super::expression::{Asked, AtPlace, Filled, Said};
use super::level::{
    Column, Drawn, Header, Here, Items, Level, Named, NumberText, Row, RowRoom, Spot, Standing,
    Unopened, Wanted, rows_of,
};
use super::{Moment, Names, Source, Text};
use crate::catalogue::Catalogue;

/// What a message looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Whether the message is a text, and no JSON: the item is that text.
    pub is_text: bool,
    /// Where the items are, the outermost first: of each but the last, an item holds those of the next.
    /// Without any, the message is the only item.
    pub each: Vec<Level>,
    /// What each item says.
    pub readings: Vec<ReadingShape>,
    /// What dead letters keep of which of these they are.
    pub marks: MadeMarks,
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
    spot: Spot<'p>,
    /// Which one of several entries it is.
    entry: Option<usize>,
    marks: Marks<'p>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spot.fmt(f)?;
        let Some(entry) = self.entry else {
            return Ok(());
        };
        if !self.spot.is_message() {
            f.write_str(", ")?;
        }
        self.marks.write(entry, f)
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
        marks: Marks::of(shape),
        names,
        catalogue,
        scratch,
        take,
        asks_number: false,
        may_repeat: !shape.each.is_empty() || shape.readings.len() > 1,
        called: HashMap::new(),
        said: HashMap::new(),
    };
    // Once, and not for each item.
    let found = shape.found(message, &mut decoder.asks_number)?;
    let asked = Asked {
        topic,
        message,
        found: &found,
        item: Here::Value(message),
        key: None,
        number: None,
        outer: None,
    };
    let spot = Spot {
        outer: None,
        each: None,
        name: Named::Itself,
    };
    match shape.each.len() {
        0 => decoder.item(asked, spot),
        1 => {
            let wanted = shape.wanted(0);
            decoder.level(&[(&shape.each[0], wanted, Places::default())], asked)
        }
        _ => {
            let levels = shape.each.iter().enumerate();
            let levels = levels.map(|(at, level)| (level, shape.wanted(at), shape.places_in(at)));
            decoder.level(&levels.collect::<Vec<_>>(), asked)
        }
    }
}

/// A level, the columns of it that are asked for, and the places within what it is looked for in
/// that its items ask for.
type LevelWith<'s> = (&'s Level, Wanted<'s>, Places<'s>);

/// Places that many items ask for in what they stand in.
#[derive(Default)]
struct Places<'s>(Vec<&'s Pointer>);

impl Places<'_> {
    /// What there is.
    fn found<'d>(&self, item: Here<'d>) -> Result<Vec<AtPlace<'d>>, Reject> {
        let places = self.0.iter();
        let found = places.map(|place| Ok((std::ptr::from_ref(*place), item.at(place)?)));
        found.collect()
    }
}

impl Shape {
    /// What there is at the places within the whole message that its readings ask for; and whether they
    /// ask for the number of an item.
    fn found<'d>(
        &self,
        message: Value<'d>,
        asks_number: &mut bool,
    ) -> Result<Vec<AtPlace<'d>>, Reject> {
        let (mut found, mut failed) = (Vec::new(), Ok(()));
        for reading in &self.readings {
            reading.each_source(&mut |source| {
                let (Source::Message(place), Ok(())) = (source, &failed) else {
                    *asks_number |= matches!(source, Source::Number | Source::OuterNumber(_));
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

    /// The places that its readings ask for in an item of this level, from 1, that they stand in.
    fn places_in(&self, level: usize) -> Places<'_> {
        let mut places = Vec::new();
        for reading in &self.readings {
            reading.each_source(&mut |source| {
                if let Source::Outer(of, place) = source
                    && *of == level
                {
                    places.push(place);
                }
            });
        }
        Places(places)
    }

    /// The columns of a level, from 0, that are asked for, if it is a table.
    fn wanted(&self, level: usize) -> Wanted<'_> {
        let mut wanted = Wanted::default();
        if let Level::Elements(_) = self.each[level] {
            return wanted;
        }
        match self.each.get(level + 1) {
            None => {
                for reading in &self.readings {
                    wanted.groups.push(Vec::new());
                    reading.each_source(&mut |source| {
                        if let Source::Item(place) = source {
                            wanted.note(place);
                        }
                    });
                }
            }
            Some(inner) => {
                wanted.groups.push(Vec::new());
                inner.each_place(&mut |place| wanted.note(place));
                for place in self.places_in(level + 1).0 {
                    wanted.note(place);
                }
            }
        }
        wanted
    }
}

struct Decoder<'s, 't> {
    shape: &'s Shape,
    marks: Marks<'s>,
    names: &'s Names,
    catalogue: &'s Catalogue,
    scratch: &'s mut Scratch,
    take: &'s mut (dyn FnMut(Item<'_>) + 't),
    /// Whether numbers of items are asked for.
    asks_number: bool,
    /// Whether there may be several readings.
    may_repeat: bool,
    /// How many readings of a sensor have the same id, by the hash of both. As many as are looked for
    /// at most.
    called: HashMap<[u8; 32], u32>,
    /// Which of those said this, by the hash of what it says.
    said: HashMap<([u8; 32], u64), u32>,
}

impl Decoder<'_, '_> {
    /// Finds the readings of the items of the first of these levels, and of those behind it. What is
    /// asked is what they are looked for in.
    fn level(&mut self, levels: &[LevelWith<'_>], asked: Asked<'_>) -> Result<(), Reject> {
        let Some(((level, wanted, places), within)) = levels.split_first() else {
            unreachable!("a level has items")
        };
        let items = match level.open(asked.item, wanted) {
            Ok(items) => items,
            Err(unopened) => return self.unopened(unopened, asked),
        };
        let Some(standing) = asked.outer else {
            return self.items(level, items, wanted, within, asked);
        };
        let found = match places.found(standing.item) {
            Ok(found) => found,
            Err(reject) => return self.unopened(reject.into(), asked),
        };
        let standing = Standing {
            found: &found,
            ..*standing
        };
        let asked = Asked {
            outer: Some(&standing),
            ..asked
        };
        self.items(level, items, wanted, within, asked)
    }

    /// Says that there are no items in something: of the message, that is the end of it.
    fn unopened(&mut self, unopened: Unopened, asked: Asked<'_>) -> Result<(), Reject> {
        let Some(standing) = asked.outer else {
            return Err(unopened.reject());
        };
        let outcome = match unopened {
            // As in an item that says no value.
            Unopened::Nothing(_) if self.shape.readings.iter().all(|entry| entry.optional) => {
                Outcome::Absent
            }
            unopened => Outcome::Rejected(unopened.reject()),
        };
        self.told(standing.spot, None, standing.item.source(), outcome)
    }

    /// Hands over what came of something that no entry is asked about, or could be.
    fn told(
        &mut self,
        spot: Spot<'_>,
        entry: Option<usize>,
        source: &str,
        outcome: Outcome<'_>,
    ) -> Result<(), Reject> {
        self.scratch.tally.look()?;
        match outcome {
            Outcome::Absent | Outcome::Noted(_) => self.scratch.tally.pass(),
            Outcome::Reading(_) | Outcome::Rejected(_) => self.scratch.tally.bring()?,
        }
        let place = Place {
            spot,
            entry,
            marks: self.marks,
        };
        (self.take)(Item {
            place: &place,
            source: source.as_bytes(),
            outcome,
        });
        Ok(())
    }

    fn items(
        &mut self,
        level: &Level,
        items: Items<'_>,
        wanted: &Wanted<'_>,
        within: &[LevelWith<'_>],
        asked: Asked<'_>,
    ) -> Result<(), Reject> {
        let spot = |name| Spot {
            outer: asked.outer,
            each: level.place(),
            name,
        };
        match items {
            Items::List(list) => {
                let mut text = NumberText::asked(self.asks_number);
                for (number, item) in list.elements().into_iter().flatten().enumerate() {
                    let asked = Asked {
                        item: Here::Value(item),
                        number: text.of(number),
                        ..asked
                    };
                    self.each(within, asked, spot(Named::Number(number)))?;
                }
                Ok(())
            }
            Items::Object(object) => {
                for (key, item) in object.members().into_iter().flatten() {
                    let asked = Asked {
                        item: Here::Value(item),
                        number: None,
                        ..asked
                    };
                    self.each(within, asked, spot(Named::Key(key)))?;
                }
                Ok(())
            }
            Items::Rows(rows, header) => {
                self.rows(rows, &header, wanted, within, asked, spot(Named::Itself))
            }
            Items::Columns(columns, drawn) => {
                let table = Table {
                    columns,
                    drawn,
                    wanted,
                    spot: spot(Named::Itself),
                };
                self.columns(&table, within, asked)
            }
        }
    }

    /// Finds the readings of an item, or of those in it.
    fn each(
        &mut self,
        within: &[LevelWith<'_>],
        asked: Asked<'_>,
        spot: Spot<'_>,
    ) -> Result<(), Reject> {
        let asked = Asked {
            key: spot.name.key(),
            ..asked
        };
        if within.is_empty() {
            return self.item(asked, spot);
        }
        let standing = Standing {
            spot,
            level: asked.outer.map_or(0, |outer| outer.level) + 1,
            item: asked.item,
            number: asked.number,
            found: &[],
        };
        let outer = Some(&standing);
        self.level(within, Asked { outer, ..asked })
    }

    /// Finds the readings of the rows of a table whose names are said once.
    fn rows(
        &mut self,
        rows: Value<'_>,
        header: &Header,
        wanted: &Wanted<'_>,
        within: &[LevelWith<'_>],
        asked: Asked<'_>,
        spot: Spot<'_>,
    ) -> Result<(), Reject> {
        let mut text = NumberText::asked(self.asks_number);
        let mut room = RowRoom::new(wanted.names.len());
        for (number, row) in rows.elements().into_iter().flatten().enumerate() {
            let spot = Spot {
                name: Named::Number(number),
                ..spot
            };
            if let Err(reject) = header.fill(row, &mut room.cells) {
                self.told(spot, None, row.source(), Outcome::Rejected(reject))?;
                continue;
            }
            let row = room.row(&wanted.names, Some(row.source()));
            let asked = Asked {
                item: Here::Row(&row),
                number: text.of(number),
                ..asked
            };
            self.each(within, asked, spot)?;
        }
        Ok(())
    }

    /// Finds the readings of the rows of a table of columns. Of an entry whose columns do not fit
    /// together nothing is read, and those of the others are.
    fn columns(
        &mut self,
        table: &Table<'_, '_>,
        within: &[LevelWith<'_>],
        asked: Asked<'_>,
    ) -> Result<(), Reject> {
        let names = &table.wanted.names;
        let mut counts = Vec::new();
        for (entry, group) in table.wanted.groups.iter().enumerate() {
            let entry = self.several(entry).filter(|_| within.is_empty());
            let count = match rows_of(&table.columns, names, group) {
                Ok(Some(count)) => count,
                // What its items would say of each row is said once.
                Ok(None) => {
                    let room = RowRoom::new(names.len());
                    let row = room.row(names, Some(table.source(asked)));
                    self.without_rows(entry, table.spot, &row, within, asked)?;
                    0
                }
                Err(reject) => {
                    let outcome = Outcome::Rejected(reject);
                    self.told(table.spot, entry, table.source(asked), outcome)?;
                    0
                }
            };
            counts.push(count);
        }
        let mut columns: Vec<_> = table
            .columns
            .iter()
            .map(|column| column.elements())
            .collect();
        let quoted: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        let mut text = NumberText::asked(self.asks_number);
        let mut room = RowRoom::new(names.len());
        for number in 0..counts.iter().copied().max().unwrap_or_default() {
            for (cell, column) in room.cells.iter_mut().zip(&mut columns) {
                *cell = column.as_mut().and_then(Iterator::next);
            }
            room.write(&quoted, matches!(table.drawn, Drawn::Object(_)));
            let row = room.row(names, None);
            let spot = Spot {
                name: Named::Number(number),
                ..table.spot
            };
            let asked = Asked {
                item: Here::Row(&row),
                key: None,
                number: text.of(number),
                ..asked
            };
            if !within.is_empty() {
                self.each(within, asked, spot)?;
                continue;
            }
            for (entry, count) in counts.iter().enumerate() {
                if number < *count {
                    self.entry(entry, asked, spot)?;
                }
            }
        }
        Ok(())
    }

    /// Says what a table without any of the columns that are asked for says.
    fn without_rows(
        &mut self,
        entry: Option<usize>,
        spot: Spot<'_>,
        row: &Row<'_>,
        within: &[LevelWith<'_>],
        asked: Asked<'_>,
    ) -> Result<(), Reject> {
        let asked = Asked {
            item: Here::Row(row),
            key: None,
            number: None,
            ..asked
        };
        match within.is_empty() {
            true => self.entry(entry.unwrap_or_default(), asked, spot),
            false => self.each(within, asked, spot),
        }
    }

    /// Which entry it is, if there are several.
    fn several(&self, entry: usize) -> Option<usize> {
        (self.shape.readings.len() > 1).then_some(entry)
    }

    /// Finds the readings of one item.
    fn item(&mut self, asked: Asked<'_>, spot: Spot<'_>) -> Result<(), Reject> {
        for entry in 0..self.shape.readings.len() {
            self.entry(entry, asked, spot)?;
        }
        Ok(())
    }

    /// Finds one reading of one item.
    fn entry(&mut self, entry: usize, asked: Asked<'_>, spot: Spot<'_>) -> Result<(), Reject> {
        self.scratch.tally.look()?;
        let shape = &self.shape.readings[entry];
        let place = Place {
            spot,
            entry: self.several(entry),
            marks: self.marks,
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
        finish(drafted, found, self.catalogue, scratch, self.take)
    }
}

/// A table of columns that was opened.
struct Table<'t, 'd> {
    columns: Vec<Column<'d>>,
    drawn: Drawn<'d>,
    wanted: &'t Wanted<'t>,
    spot: Spot<'t>,
}

impl<'d> Table<'_, 'd> {
    /// The JSON that it was written with; if that lies in several places, all around it.
    fn source(&self, asked: Asked<'d>) -> &'d str {
        match self.drawn {
            Drawn::Object(table) | Drawn::List(table) => table.source(),
            Drawn::Listed => asked.item.source(),
        }
    }
}

/// A name as JSON has it.
fn quoted(name: &str) -> String {
    serde_json::to_string(name).expect("a text can be written")
}

impl ReadingShape {
    /// Tells all places that something is taken from.
    pub fn each_source<'s>(&'s self, tell: &mut impl FnMut(&'s Source)) {
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
            Moment::Written { from, .. } | Moment::Counted { from, .. } => {
                from.sources().for_each(&mut *tell);
            }
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

pub(super) fn nothing(role: &str, reason: Reason, from: &Source) -> Reject {
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
/// No point in a text, or in an object, is longer.
const POINT_BYTES_MAX: usize = 1024;

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

impl Where {
    /// The position; `None` if the item says none.
    fn of(&self, asked: Asked<'_>) -> Result<Option<Position>, Reject> {
        let number = |said: Said<'_>| said.as_word().and_then(numeral);
        let degrees = match self {
            Self::List(from) => match from.ask(asked)? {
                None => return Ok(None),
                Some(Said::Value(value)) => point_of(value)?,
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

/// The longitude and the latitude of a point of GeoJSON, or of its coordinates alone; also where either
/// was put into a text.
fn point_of(value: Value<'_>) -> Result<Option<(f64, f64)>, Reject> {
    let mut index = Index::default();
    let value = match value.text() {
        // A longer one is no point, and many items may share it.
        Some(text) if text.len() <= POINT_BYTES_MAX => match index.read(text) {
            Ok(value) => value,
            Err(_) => return Ok(None),
        },
        Some(_) | None => value,
    };
    let list = match value.is_object() {
        // All of it is looked through, and again for each item that shares it.
        true if value.source().len() > POINT_BYTES_MAX => None,
        true => value.member("coordinates")?,
        false => Some(value),
    };
    Ok(list.and_then(Value::elements).and_then(|mut elements| {
        let mut next = || elements.next()?.as_word().and_then(numeral);
        Some((next()?, next()?))
    }))
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
    fn a_text_of_two_numbers_is_a_place() {
        assert_eq!(two_numbers("3.1,101.6"), Some((3.1, 101.6)));
        assert_eq!(two_numbers(" 3.1 ; 101.6 "), Some((3.1, 101.6)));
        for text in ["", "3.1", "3.1,", "3.1,101.6,7", "here, there"] {
            assert_eq!(two_numbers(text), None, "{text}");
        }
    }
}
