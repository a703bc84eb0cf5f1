//! Lists in lists, and tables: what in a message is an item, and in which others it stands.
//!
//! Arrives: a [`Level`], a place of `each`, and what it is looked for in: the message, or an item of
//! the level before. Leaves: [`Items`], each [`Here`] in the message and [`Standing`] in those around
//! it; or why there are none. Promise: nothing is copied but names. Next: `shape.rs`, which asks each
//! item for its readings.

use std::fmt;

use super::super::json::Value;
use super::super::pointer::{Pointer, step, write_key};
use super::super::{Reason, Reject, cut};
use super::expression::{AtPlace, known};

/// Where the items of a level are, within an item of the level before it; of the first, within the
/// message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// A list or an object: its elements are the items.
    Elements(Pointer),
    /// Lists side by side: what stands at the same number in all of them is an item, whose members
    /// have the names of the lists.
    Columns(Columns),
    /// A list of lists, which are the items; what their elements are called is said once.
    Rows {
        /// The list.
        at: Pointer,
        /// The list of the names, or of objects with a `name`.
        names: Pointer,
    },
}

/// Where the lists of a table of columns are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    /// In an object, by their names, or in a list, by their numbers.
    Within(Pointer),
    /// Each at a place of its own.
    Listed(Vec<(Box<str>, Pointer)>),
}

/// What it is that something is looked for in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Here<'d> {
    /// A value of the message.
    Value(Value<'d>),
    /// A row of a table.
    Row(&'d Row<'d>),
}

/// A row of a table: what stands in those of its columns that are asked for.
#[derive(Debug)]
pub(super) struct Row<'d> {
    names: &'d [&'d str],
    cells: &'d [Option<Value<'d>>],
    /// Its JSON, or the beginning of it.
    source: &'d str,
}

impl<'d> Here<'d> {
    /// The value at this place within it; `None` if there is none.
    pub fn at(self, place: &Pointer) -> Result<Option<Value<'d>>, Reject> {
        match self {
            Self::Value(value) => place.of(value),
            Self::Row(row) => {
                let mut names = row.names.iter();
                let column = names.position(|name| Some(*name) == place.first());
                match column.and_then(|column| row.cells[column]) {
                    Some(cell) => place.rest_of(cell),
                    None => Ok(None),
                }
            }
        }
    }

    /// The JSON that it was written with.
    pub fn source(self) -> &'d str {
        match self {
            Self::Value(value) => value.source(),
            Self::Row(row) => row.source,
        }
    }
}

/// Where in a message something stands, as it is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'p> {
    /// The item around it.
    pub outer: Option<&'p Standing<'p>>,
    /// The place of the list within that.
    pub each: Option<&'p Pointer>,
    pub name: Named<'p>,
}

/// How something is called among those beside it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named<'p> {
    /// It is what lies at that place.
    Itself,
    Number(usize),
    Key(&'p str),
}

impl<'p> Named<'p> {
    pub const fn key(self) -> Option<&'p str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Itself | Self::Number(_) => None,
        }
    }
}

/// The number of an item as a text, written only where it is asked for.
#[derive(Debug, Default)]
pub(super) struct NumberText {
    text: String,
    is_asked: bool,
}

impl NumberText {
    pub fn asked(is_asked: bool) -> Self {
        Self {
            text: String::new(),
            is_asked,
        }
    }

    pub fn of(&mut self, number: usize) -> Option<&str> {
        if !self.is_asked {
            return None;
        }
        self.text.clear();
        fmt::Write::write_fmt(&mut self.text, format_args!("{number}")).ok()?;
        Some(&self.text)
    }
}

impl Spot<'_> {
    /// Whether it is the message.
    pub fn is_message(&self) -> bool {
        let is_somewhere = self.each.is_some_and(|each| each.first().is_some());
        self.outer.is_none() && !is_somewhere && matches!(self.name, Named::Itself)
    }
}

impl fmt::Display for Spot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            outer.spot.fmt(f)?;
        }
        if let Some(each) = self.each {
            each.fmt(f)?;
        }
        match self.name {
            Named::Itself => Ok(()),
            Named::Number(number) => write!(f, "/{number}"),
            Named::Key(key) => write_key(key, f),
        }
    }
}

/// An item that others stand in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'s> {
    pub spot: Spot<'s>,
    /// Of which level it is, from 1.
    pub level: usize,
    pub item: Here<'s>,
    /// Its number, if it has one and it is asked for.
    pub number: Option<&'s str>,
    /// What was looked for in it already.
    pub found: &'s [AtPlace<'s>],
}

impl<'s> Standing<'s> {
    /// The item of this level, of those that something stands in.
    pub fn of(mut innermost: Option<&'s Self>, level: usize) -> Option<&'s Self> {
        while let Some(standing) = innermost {
            if standing.level == level {
                return Some(standing);
            }
            innermost = standing.spot.outer;
        }
        None
    }

    pub fn at(&self, place: &Pointer) -> Result<Option<Value<'s>>, Reject> {
        match known(self.found, place) {
            Some(value) => Ok(value),
            None => self.item.at(place),
        }
    }

    pub const fn key(&self) -> Option<&'s str> {
        self.spot.name.key()
    }
}

/// Which columns of a table are asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted<'s> {
    pub names: Vec<&'s str>,
    /// For each entry of `readings`, its columns by their numbers among the names; of a table whose
    /// items hold others, of all entries together.
    pub groups: Vec<Vec<usize>>,
}

impl<'s> Wanted<'s> {
    /// Notes that the last group asks for what begins with this name.
    pub fn note(&mut self, place: &'s Pointer) {
        let Some(name) = place.first() else { return };
        let known = self.names.iter().position(|known| *known == name);
        let column = known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        if let Some(group) = self.groups.last_mut()
            && !group.contains(&column)
        {
            group.push(column);
        }
    }
}

/// The items of a level.
pub(super) enum Items<'d> {
    List(Value<'d>),
    Object(Value<'d>),
    Columns(Vec<Column<'d>>, Drawn<'d>),
    Rows(Value<'d>, Header),
}

/// Where the columns of a table are taken from.
#[derive(Clone, Copy)]
pub(super) enum Drawn<'d> {
    Object(Value<'d>),
    List(Value<'d>),
    Listed,
}

/// What stands where a column is looked for.
#[derive(Clone, Copy)]
pub(super) enum Column<'d> {
    /// Nothing, or null.
    Nothing,
    /// A list, and of how many.
    List(Value<'d>, usize),
    /// Something that is no list.
    Other(Value<'d>),
}

impl<'d> Column<'d> {
    /// What it holds, if it is one.
    pub fn elements(&self) -> Option<impl Iterator<Item = Value<'d>> + use<'d>> {
        match self {
            Self::List(list, _) => list.elements(),
            Self::Nothing | Self::Other(_) => None,
        }
    }
}

/// At which numbers of a row the names that are asked for stand.
pub(super) struct Header {
    /// The number in the row, and that among the names, in the order of the row.
    cells: Vec<(usize, usize)>,
    /// How many names there are.
    count: usize,
}

/// Why there are no items.
pub(super) enum Unopened {
    /// Nothing stands there, or null.
    Nothing(Reject),
    /// What stands there is something else.
    Unexpected(Reject),
}

impl From<Reject> for Unopened {
    fn from(reject: Reject) -> Self {
        Self::Unexpected(reject)
    }
}

impl Unopened {
    pub fn reject(self) -> Reject {
        match self {
            Self::Nothing(reject) | Self::Unexpected(reject) => reject,
        }
    }
}

fn unexpected(what: &str, place: &dyn fmt::Display, wanted: &str) -> Reject {
    let detail = format!("each: {what} at `{place}`; {wanted} belongs there");
    Reject::new(Reason::ShapeUnexpected, detail)
}

/// What stands at a place, if anything does.
fn there<'d>(
    value: Option<Value<'d>>,
    place: &dyn fmt::Display,
    wanted: &str,
) -> Result<Value<'d>, Unopened> {
    match value {
        None => Err(Unopened::Nothing(unexpected("nothing", place, wanted))),
        Some(null) if null.is_null() => Err(Unopened::Nothing(unexpected("null", place, wanted))),
        Some(value) => Ok(value),
    }
}

impl Level {
    /// Its place within what it is looked for in; `None` if it has no single one.
    pub(super) const fn place(&self) -> Option<&Pointer> {
        match self {
            Self::Elements(at) | Self::Columns(Columns::Within(at)) | Self::Rows { at, .. } => {
                Some(at)
            }
            Self::Columns(Columns::Listed(_)) => None,
        }
    }

    /// The places that it is looked for at.
    pub fn each_place<'s>(&'s self, tell: &mut impl FnMut(&'s Pointer)) {
        if let Some(place) = self.place() {
            tell(place);
        }
        match self {
            Self::Columns(Columns::Listed(listed)) => {
                listed.iter().for_each(|(_, place)| tell(place));
            }
            Self::Rows { names, .. } => tell(names),
            Self::Elements(_) | Self::Columns(Columns::Within(_)) => {}
        }
    }

    /// Its items in what is looked into.
    pub(super) fn open<'d>(
        &self,
        item: Here<'d>,
        wanted: &Wanted<'_>,
    ) -> Result<Items<'d>, Unopened> {
        match self {
            Self::Elements(at) => {
                const WANTED: &str = "a list or an object";
                let items = there(item.at(at)?, at, WANTED)?;
                match items {
                    list if list.elements().is_some() => Ok(Items::List(list)),
                    object if object.is_object() => Ok(Items::Object(object)),
                    other => Err(unexpected(other.word(), at, WANTED).into()),
                }
            }
            Self::Columns(columns) => columns.open(item, wanted),
            Self::Rows { at, names } => {
                const WANTED: &str = "a list of rows";
                let rows = there(item.at(at)?, at, WANTED)?;
                match rows.elements() {
                    Some(_) => Ok(Items::Rows(rows, Header::open(names, item, wanted)?)),
                    None => Err(unexpected(rows.word(), at, WANTED).into()),
                }
            }
        }
    }
}

impl Columns {
    fn open<'d>(&self, item: Here<'d>, wanted: &Wanted<'_>) -> Result<Items<'d>, Unopened> {
        let drawn = match self {
            Self::Listed(_) => Drawn::Listed,
            Self::Within(at) => {
                const WANTED: &str = "an object or a list of columns";
                let table = there(item.at(at)?, at, WANTED)?;
                match table {
                    object if object.is_object() => Drawn::Object(object),
                    list if list.elements().is_some() => Drawn::List(list),
                    other => return Err(unexpected(other.word(), at, WANTED).into()),
                }
            }
        };
        let columns = wanted.names.iter().map(|name| {
            let column = match (self, drawn) {
                (Self::Listed(listed), _) => {
                    let mut listed = listed.iter();
                    match listed.find(|(own, _)| **own == **name) {
                        Some((_, place)) => item.at(place)?,
                        None => None,
                    }
                }
                (Self::Within(_), Drawn::Object(table) | Drawn::List(table)) => step(name, table)?,
                (Self::Within(_), Drawn::Listed) => None,
            };
            Ok(match column {
                None => Column::Nothing,
                Some(null) if null.is_null() => Column::Nothing,
                Some(list) => match list.elements() {
                    Some(elements) => Column::List(list, elements.count()),
                    None => Column::Other(list),
                },
            })
        });
        let columns = columns.collect::<Result<_, Reject>>()?;
        Ok(Items::Columns(columns, drawn))
    }
}

/// How many rows there are in some columns of a table; `None` if none of them is there.
///
/// # Errors
/// If one is no list, or they have not equally many: which of their elements belong together nobody
/// can tell then, for what is missing may be missing anywhere.
pub(super) fn rows_of(
    columns: &[Column<'_>],
    names: &[&str],
    group: &[usize],
) -> Result<Option<usize>, Reject> {
    let mut first: Option<(&str, usize)> = None;
    for &column in group {
        let name = cut(names[column]);
        match (columns[column], first) {
            (Column::Nothing, _) => {}
            (Column::Other(value), _) => {
                let word = value.word();
                let detail = format!("each: {word} in the column `{name}`; a list belongs there");
                return Err(Reject::new(Reason::ShapeUnexpected, detail));
            }
            (Column::List(_, count), None) => first = Some((name, count)),
            (Column::List(_, count), Some((other, many))) if many != count => {
                let detail = format!(
                    "each: the columns are not of one length: `{other}` has {many} and `{name}` \
                     {count}, and nobody can tell which belong together; write null for what is \
                     missing"
                );
                return Err(Reject::new(Reason::ShapeUnexpected, detail));
            }
            (Column::List(..), Some(_)) => {}
        }
    }
    Ok(first.map(|(_, count)| count))
}

impl Header {
    fn open(names: &Pointer, item: Here<'_>, wanted: &Wanted<'_>) -> Result<Self, Unopened> {
        const WANTED: &str = "the list of the names";
        let listed = match there(item.at(names)?, names, WANTED) {
            Ok(listed) => listed,
            // Rows without names are none that say nothing.
            Err(nothing) => return Err(nothing.reject().into()),
        };
        let Some(elements) = listed.elements() else {
            return Err(unexpected(listed.word(), names, WANTED).into());
        };
        let (mut cells, mut count) = (Vec::<(usize, usize)>::new(), 0);
        for (number, element) in elements.enumerate() {
            count += 1;
            let called = match element.is_object() {
                true => element.member("name")?.and_then(Value::as_word),
                false => element.as_word(),
            };
            let mut names = wanted.names.iter();
            let Some(name) = names.position(|name| Some(*name) == called) else {
                continue;
            };
            if cells.iter().any(|(_, own)| *own == name) {
                let called = cut(wanted.names[name]);
                let detail = format!("each: the name {called:?} is there twice; write it once");
                return Err(Reject::new(Reason::MemberRepeated, detail).into());
            }
            cells.push((number, name));
        }
        Ok(Self { cells, count })
    }

    /// Puts the cells of a row where their names stand.
    ///
    /// # Errors
    /// If it is no row of these names: what it lacks may be missing anywhere.
    pub fn fill<'d>(&self, row: Value<'d>, into: &mut [Option<Value<'d>>]) -> Result<(), Reject> {
        let Some(elements) = row.elements() else {
            let detail = format!("each: a row is a list, and this is {}", row.word());
            return Err(Reject::new(Reason::ShapeUnexpected, detail));
        };
        into.fill(None);
        let (mut wanted, mut count) = (self.cells.iter().peekable(), 0);
        for (number, element) in elements.enumerate() {
            count += 1;
            if let Some((_, name)) = wanted.next_if(|(own, _)| *own == number) {
                into[*name] = Some(element);
            }
        }
        if count != self.count {
            let names = self.count;
            let detail = format!(
                "each: the row has {count} elements and there are {names} names; write null for \
                 what is missing"
            );
            return Err(Reject::new(Reason::ShapeUnexpected, detail));
        }
        Ok(())
    }
}

/// So much of a row's JSON is put together, and so much more of its last cell: no dead letter of a
/// part keeps more.
const ROW_BYTES_MAX: usize = 4096;

/// A row that is being read, in memory that is used again for the next.
pub(super) struct RowRoom<'d> {
    pub cells: Vec<Option<Value<'d>>>,
    source: String,
}

impl<'d> RowRoom<'d> {
    pub fn new(columns: usize) -> Self {
        Self {
            cells: vec![None; columns],
            source: String::new(),
        }
    }

    /// Puts its JSON together: an object where the columns were members of one; else a list.
    pub fn write(&mut self, names: &[String], is_object: bool) {
        self.source.clear();
        self.source.push(if is_object { '{' } else { '[' });
        for (cell, name) in self.cells.iter().zip(names) {
            if self.source.len() > ROW_BYTES_MAX {
                break;
            }
            let Some(cell) = cell else { continue };
            if self.source.len() > 1 {
                self.source.push(',');
            }
            if is_object {
                self.source.push_str(name);
                self.source.push(':');
            }
            let source = cell.source();
            let end = source.floor_char_boundary(ROW_BYTES_MAX);
            self.source.push_str(&source[..end]);
        }
        self.source.push(if is_object { '}' } else { ']' });
    }

    /// It, as an item.
    pub fn row<'r>(&'r self, names: &'r [&'r str], source: Option<&'r str>) -> Row<'r>
    where
        'd: 'r,
    {
        Row {
            names,
            cells: &self.cells,
            source: source.unwrap_or(&self.source),
        }
    }
}
