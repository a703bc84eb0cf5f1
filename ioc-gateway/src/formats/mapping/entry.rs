//! Which entry of `readings` a dead letter is of, also when its mapping was mended since.
//!
//! Arrives: the entries of a mapping. Leaves: a mark of each, which stands behind its number in the
//! place of a dead letter; and at a replay the entry of now that has it. Promise: an entry is known
//! by what it was (where its value stood, the sensor, the kind), never by its number alone; one
//! that cannot be told from others is none. Next: `replay.rs`.

use std::fmt::{self, Write};
use std::sync::OnceLock;

use super::shape::{ReadingShape, Whence};
use super::{Shape, Text};

/// The beginning of a number of an entry in a place.
const ENTRY: &str = "readings[";
/// How many bytes a mark has.
const MARK_BYTES: usize = 41;

/// What an entry says, by hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    sensor: u32,
    kind: u32,
    value: u32,
    /// Everything, as this build writes it: another build may write the same otherwise.
    all: u32,
}

/// Two entries are the same if they share one of these, and no other entry does, then or now.
const SIGNS: [fn(&Entry, &Entry) -> bool; 4] = [
    |one, other| one.sensor == other.sensor && one.kind == other.kind && one.value == other.value,
    |one, other| one.sensor == other.sensor && one.kind == other.kind,
    |one, other| one.sensor == other.sensor && one.value == other.value,
    |one, other| one.kind == other.kind && one.value == other.value,
];

/// What is known of an entry of another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    entry: Entry,
    /// One bit for each of the [`SIGNS`] that no other entry beside it had.
    unique: u8,
    /// All entries of its mapping in their order.
    list: u32,
}

fn hash(text: fmt::Arguments<'_>) -> u32 {
    let mut written = String::new();
    written
        .write_fmt(text)
        .expect("writing to a String cannot fail");
    let hash = blake3::hash(written.as_bytes());
    let first = hash.as_bytes().first_chunk();
    u32::from_le_bytes(*first.expect("a hash is 32 bytes"))
}

impl Entry {
    fn of(reading: &ReadingShape) -> Self {
        let kind = match &reading.kind {
            Some(kind) => hash(format_args!("{kind}")),
            None => 0,
        };
        Self {
            sensor: hash(format_args!("{}", reading.sensor)),
            kind,
            value: match &reading.value.from {
                Whence::Source(from) => hash(format_args!("{from}")),
                Whence::Constant(value) => hash(format_args!("= {value}")),
            },
            all: hash(format_args!("{reading:?}")),
        }
    }

    fn all_of(readings: &[ReadingShape]) -> Vec<Self> {
        readings.iter().map(Self::of).collect()
    }
}

/// All entries in their order, by what they are known by.
fn list(entries: &[Entry]) -> u32 {
    let mut written = String::new();
    for Entry {
        sensor,
        kind,
        value,
        all: _,
    } in entries
    {
        let put = write!(written, "{sensor:x} {kind:x} {value:x},");
        put.expect("writing to a String cannot fail");
    }
    hash(format_args!("{written}"))
}

impl Mark {
    fn of(entries: &[Entry], number: usize, list: u32) -> Self {
        let entry = entries[number];
        let is_unique = |is_same: &fn(&Entry, &Entry) -> bool| {
            entries
                .iter()
                .filter(|other| is_same(&entry, other))
                .count()
                == 1
        };
        let bits = (0..).zip(&SIGNS);
        let unique = bits.map(|(bit, sign)| u8::from(is_unique(sign)) << bit);
        Self {
            entry,
            unique: unique.sum(),
            list,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let is_mark = text.len() == MARK_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = |from: usize| {
            let digits = text.get(from..from + 8).filter(|_| is_mark)?;
            u32::from_str_radix(digits, 16).ok()
        };
        Some(Self {
            entry: Entry {
                sensor: number(0)?,
                kind: number(8)?,
                value: number(16)?,
                all: number(24)?,
            },
            list: number(32)?,
            unique: u8::from_str_radix(text.get(40..)?, 16).ok()?,
        })
    }

    /// The number of the entry that it is of, among these.
    fn found_in(&self, entries: &[Entry]) -> Option<usize> {
        let is_it = |number: &usize| entries[*number] == self.entry;
        let mut same = (0..entries.len()).filter(is_it);
        if let (Some(number), None) = (same.next(), same.next()) {
            return Some(number);
        }
        let mut found = None;
        for (bit, is_same) in (0..).zip(&SIGNS) {
            if self.unique & (1 << bit) == 0 {
                continue;
            }
            let mut alike = (0..entries.len()).filter(|n| is_same(&entries[*n], &self.entry));
            let (Some(number), None) = (alike.next(), alike.next()) else {
                continue;
            };
            if bit == 0 {
                return Some(number);
            }
            if found.is_some_and(|found| found != number) {
                return None;
            }
            found = Some(number);
        }
        found
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry {
            sensor,
            kind,
            value,
            all,
        } = self.entry;
        let (list, unique) = (self.list, self.unique);
        write!(
            f,
            "{sensor:08x}{kind:08x}{value:08x}{all:08x}{list:08x}{unique:x}"
        )
    }
}

/// The marks that were made of a mapping's entries, once for all letters. They follow from the mapping, and
/// are no part of what it says.
#[derive(Default)]
pub struct MadeMarks(OnceLock<Box<[Mark]>>);

/// A copy may become another mapping.
impl Clone for MadeMarks {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for MadeMarks {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for MadeMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MadeMarks")
    }
}

/// The marks of a mapping's entries, made when the first letter asks for them.
#[derive(Clone, Copy)]
pub(super) struct Marks<'s> {
    readings: &'s [ReadingShape],
    made: &'s MadeMarks,
}

impl<'s> Marks<'s> {
    pub(super) fn of(shape: &'s Shape) -> Self {
        Self {
            readings: &shape.readings,
            made: &shape.marks,
        }
    }

    /// Writes which entry it is: its number, and, where a letter is to keep it, its mark.
    pub(super) fn write(&self, number: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ENTRY}{number}]")?;
        if !f.alternate() {
            return Ok(());
        }
        let made = self.made.0.get_or_init(|| {
            let entries = Entry::all_of(self.readings);
            let list = list(&entries);
            let marks = (0..entries.len()).map(|number| Mark::of(&entries, number, list));
            marks.collect()
        });
        write!(f, "#{}", made[number])
    }
}

/// A place: where in the message, and of which entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfEntry<'p> {
    /// Where in the message.
    pub spot: &'p str,
    /// What stands of the entry; empty if there was but one.
    pub entry: &'p str,
    number: usize,
    mark: Option<Mark>,
}

impl<'p> OfEntry<'p> {
    /// Takes apart a place as a letter keeps it.
    pub fn of(place: &'p str) -> Self {
        let whole = Self {
            spot: place,
            entry: "",
            number: 0,
            mark: None,
        };
        let Some(at) = place.rfind(ENTRY) else {
            return whole;
        };
        let (before, entry) = place.split_at(at);
        let Some((number, mark)) = entry[ENTRY.len()..].split_once(']') else {
            return whole;
        };
        let mark = match mark.strip_prefix('#').map(Mark::parse) {
            None if mark.is_empty() => None,
            Some(Some(mark)) => Some(mark),
            None | Some(None) => return whole,
        };
        let Ok(number) = number.parse() else {
            return whole;
        };
        let spot = before.strip_suffix(", ").unwrap_or(before);
        Self {
            spot,
            entry: &place[spot.len()..],
            number,
            mark,
        }
    }

    /// The place without what tells the entry from others.
    pub fn plain(&self) -> String {
        match self.entry.split_once('#') {
            Some((entry, _)) => format!("{}{entry}", self.spot),
            None => format!("{}{}", self.spot, self.entry),
        }
    }

    /// Whether the mapping has the entries that it had, in their order.
    pub fn is_in_order(&self, shape: &Shape) -> bool {
        let entries = || list(&Entry::all_of(&shape.readings));
        self.mark.is_none_or(|mark| mark.list == entries())
    }

    /// The plain place by the entries of now; `None` if nobody can tell which of them it is of.
    /// `detail` is why it was refused.
    pub fn now(&self, shape: &Shape, detail: &str) -> Option<String> {
        if self.entry.is_empty() {
            return Some(self.spot.to_owned());
        }
        let number = match self.mark {
            Some(mark) => mark.found_in(&Entry::all_of(&shape.readings))?,
            None => by_number(self.number, shape, detail)?,
        };
        Some(match shape.readings.len() {
            1 if self.mark.is_some() => self.spot.to_owned(),
            _ if self.entry.starts_with(',') => format!("{}, {ENTRY}{number}]", self.spot),
            _ => format!("{}{ENTRY}{number}]", self.spot),
        })
    }
}

/// The entry of a letter that tells just its number, as older builds made them: it is that, unless
/// the reason names the place of another one's value.
fn by_number(number: usize, shape: &Shape, detail: &str) -> Option<usize> {
    let is_named = |reading: &&ReadingShape| match &reading.value.from {
        Whence::Source(from) => detail.contains(&format!(" at `{from}`")),
        Whence::Constant(_) => false,
    };
    let is_of_a_value = detail.starts_with("value: ") || detail.contains(": value: ");
    let mut named = shape.readings.iter().filter(is_named).peekable();
    if !is_of_a_value || named.peek().is_none() {
        return Some(number);
    }
    let own = shape.readings.get(number)?;
    named
        .any(|reading| std::ptr::eq(reading, own))
        .then_some(number)
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(text) => f.write_str(text),
            Self::One(source) => write!(f, "{{{source}}}"),
            Self::Pieces(pieces) => pieces.iter().try_for_each(|piece| match piece {
                super::expression::Piece::Constant(text) => f.write_str(text),
                super::expression::Piece::From(source) => write!(f, "{{{source}}}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::mapping::Format;
    use crate::formats::tests::gauges;

    struct Written<'s>(Marks<'s>);

    impl fmt::Display for Written<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.write(0, f)
        }
    }

    #[test]
    fn marks_are_made_once_for_all_letters_and_not_those_of_another_mapping() {
        let Format::Json(mut shape) = gauges() else {
            unreachable!("gauges are JSON");
        };
        let made = |shape: &Shape| shape.marks.0.get().map(|made| made.as_ptr());
        assert_eq!(format!("{}", Written(Marks::of(&shape))), "readings[0]");
        assert_eq!(made(&shape), None, "no letter keeps it");
        let mark = format!("{:#}", Written(Marks::of(&shape)));
        let first = made(&shape);
        assert_eq!(format!("{:#}", Written(Marks::of(&shape))), mark);
        assert!(first.is_some() && made(&shape) == first);
        shape = shape.clone();
        shape.readings[0].sensor = "/other".parse().unwrap();
        assert_ne!(format!("{:#}", Written(Marks::of(&shape))), mark);
    }
}
