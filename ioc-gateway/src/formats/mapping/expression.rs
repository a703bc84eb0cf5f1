//! Where a mapping takes something from, as people write it.
//!
//! Arrives: a text of `mappings.yaml`. Leaves: a [`Source`], or a [`Text`] put together from
//! several; and of a message, what they stand for.

use std::str::FromStr;

use super::super::draft::Part;
use super::super::json::Value;
use super::super::pointer::Pointer;
use super::super::{Reason, Reject};
use super::level::{Here, Standing};

/// A place that something is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `/member/0`: a place within the item, which is the message unless `each` says otherwise.
    Item(Pointer),
    /// `message /member/0`: a place within the whole message.
    Message(Pointer),
    /// `item 1 /member/0`: a place within an item that the item stands in, by the number of its place
    /// in `each`, from 1.
    Outer(usize, Pointer),
    /// `topic 2`: a level of the topic, from 1.
    Level(usize),
    /// `key`: the name of the item, if `each` is an object.
    Key,
    /// `key 1`: the name of an item that the item stands in.
    OuterKey(usize),
    /// `number`: that of the item in its list, from 0.
    Number,
    /// `number 1`: that of an item that the item stands in.
    OuterNumber(usize),
}

/// A text: a constant, one source, or `{…}` among constants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// It is always the same.
    Constant(Box<str>),
    /// It is what the source says.
    One(Source),
    /// It is put together.
    Pieces(Vec<Piece>),
}

/// A part of a text that is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A constant.
    Constant(Box<str>),
    /// What the source says.
    From(Source),
}

/// A text that is no expression, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is none of the sources.
    #[error(
        "is not a source: write `/member/0` for a place within the item, `message /member` for \
         one within the whole message, `topic 2` for a level of the topic, `item`, `key` or \
         `number`, and `item 1 /member`, `key 1` or `number 1` for an item of the first of several \
         places of `each`"
    )]
    NoSource,
    /// A brace without its other one.
    #[error("has a brace without its other one; write `{{topic 2}}-temperature`")]
    Brace,
}

impl FromStr for Source {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let pointer = |text: &str| text.parse().map_err(|_| ExpressionError::NoSource);
        if let Some(place) = text.strip_prefix("message") {
            return pointer(place.trim_start()).map(Self::Message);
        }
        let number = |text: &str| {
            let number = text.trim().parse().ok().filter(|number| *number > 0);
            number.ok_or(ExpressionError::NoSource)
        };
        if let Some(level) = text.strip_prefix("topic ") {
            return number(level).map(Self::Level);
        }
        if let Some(of) = text.strip_prefix("key ") {
            return number(of).map(Self::OuterKey);
        }
        if let Some(of) = text.strip_prefix("number ") {
            return number(of).map(Self::OuterNumber);
        }
        if let Some(of) = text.strip_prefix("item ") {
            let of = of.trim_start();
            let (of, place) = of.split_at(of.find('/').unwrap_or(of.len()));
            return Ok(Self::Outer(number(of)?, pointer(place)?));
        }
        match text {
            "item" => Ok(Self::Item(Pointer::default())),
            "key" => Ok(Self::Key),
            "number" => Ok(Self::Number),
            text if text.starts_with('/') => pointer(text).map(Self::Item),
            _ => Err(ExpressionError::NoSource),
        }
    }
}

impl FromStr for Text {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        if text.starts_with('/') {
            return text.parse().map(Self::One);
        }
        if let Ok(source) = text.parse() {
            return Ok(Self::One(source));
        }
        if !text.contains(['{', '}']) {
            return Ok(Self::Constant(text.into()));
        }
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((constant, after)) = rest.split_once('{') {
            let (source, after) = after.split_once('}').ok_or(ExpressionError::Brace)?;
            pieces.push(Piece::Constant(constant.into()));
            pieces.push(Piece::From(source.trim().parse()?));
            rest = after;
        }
        pieces.push(Piece::Constant(rest.into()));
        let is_closed = |piece: &Piece| match piece {
            Piece::Constant(constant) => !constant.contains('}'),
            Piece::From(_) => true,
        };
        if !pieces.iter().all(is_closed) {
            return Err(ExpressionError::Brace);
        }
        pieces.retain(|piece| !matches!(piece, Piece::Constant(text) if text.is_empty()));
        Ok(match &pieces[..] {
            [Piece::From(source)] => Self::One(source.clone()),
            _ => Self::Pieces(pieces),
        })
    }
}

/// What there is at a place within the whole message, or in an item that others stand in; the place is
/// known by where it stands in the mapping.
pub(super) type AtPlace<'d> = (*const Pointer, Option<Value<'d>>);

/// What sources are asked of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'d> {
    pub topic: &'d str,
    pub message: Value<'d>,
    /// What was looked for in the message already.
    pub found: &'d [AtPlace<'d>],
    /// What its places begin at.
    pub item: Here<'d>,
    pub key: Option<&'d str>,
    /// The number of the item, if there is one and it is asked for.
    pub number: Option<&'d str>,
    /// The item that it stands in, if it stands in one.
    pub outer: Option<&'d Standing<'d>>,
}

/// What there is at a place, if it was looked for already.
pub(super) fn known<'d>(found: &[AtPlace<'d>], place: &Pointer) -> Option<Option<Value<'d>>> {
    let mut found = found.iter();
    let known = found.find(|(known, _)| std::ptr::eq(*known, place));
    known.map(|(_, value)| *value)
}

/// What a source says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said<'d> {
    /// A value of the message, not null.
    Value(Value<'d>),
    /// A level of the topic, or the item's name.
    Name(&'d str),
}

impl<'d> Said<'d> {
    /// What it is as a text, if it can be one.
    pub fn as_word(self) -> Option<&'d str> {
        match self {
            Self::Value(value) => value.as_word(),
            Self::Name(name) => Some(name),
        }
    }

    /// The same, with a list or an object as its JSON.
    pub fn as_json(self) -> Option<&'d str> {
        match self {
            Self::Value(value) => value.as_word().or_else(|| Some(value.source())),
            Self::Name(name) => Some(name),
        }
    }

    /// What it is, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Value(value) => value.word(),
            Self::Name(_) => "a text",
        }
    }
}

impl Source {
    /// What it says; `None` if there is nothing, or null.
    pub(super) fn ask<'d>(&self, asked: Asked<'d>) -> Result<Option<Said<'d>>, Reject> {
        let value = match self {
            Self::Item(place) => asked.item.at(place)?,
            Self::Message(place) => match known(asked.found, place) {
                Some(value) => value,
                None => place.of(asked.message)?,
            },
            Self::Outer(of, place) => match Standing::of(asked.outer, *of) {
                Some(outer) => outer.at(place)?,
                None => None,
            },
            Self::Level(level) => {
                return Ok(asked.topic.split('/').nth(level - 1).map(Said::Name));
            }
            Self::Key => return Ok(asked.key.map(Said::Name)),
            Self::OuterKey(of) => {
                let outer = Standing::of(asked.outer, *of);
                return Ok(outer.and_then(Standing::key).map(Said::Name));
            }
            Self::Number => return Ok(asked.number.map(Said::Name)),
            Self::OuterNumber(of) => {
                let outer = Standing::of(asked.outer, *of);
                return Ok(outer.and_then(|outer| outer.number).map(Said::Name));
            }
        };
        Ok(value.filter(|value| !value.is_null()).map(Said::Value))
    }
}

/// How long a text may be that is put together.
const TEXT_BYTES_MAX: usize = 4096;

fn too_long() -> Reject {
    let detail = format!("a text is put together of more than {TEXT_BYTES_MAX} bytes");
    Reject::new(Reason::ShapeUnexpected, detail)
}

/// So much of a text that it is too long if it is put together with nothing.
fn cut_text(text: &str) -> &str {
    &text[..text.ceil_char_boundary(TEXT_BYTES_MAX + 1)]
}

/// What came of a text.
pub(super) enum Filled<'d> {
    /// This.
    Part(Part<'d>),
    /// A source says nothing.
    Nothing(&'d Source),
    /// A source says what is no text: `a list`.
    NoText(&'d Source, &'static str),
}

impl Text {
    /// Puts it together; what is not in the message already is appended to `texts`.
    pub(super) fn fill<'d>(
        &'d self,
        asked: Asked<'d>,
        texts: &mut String,
    ) -> Result<Filled<'d>, Reject> {
        self.fill_with(Said::as_word, asked, texts)
    }

    /// The same, of what sources say so as texts.
    pub(super) fn fill_with<'d>(
        &'d self,
        as_text: fn(Said<'d>) -> Option<&'d str>,
        asked: Asked<'d>,
        texts: &mut String,
    ) -> Result<Filled<'d>, Reject> {
        let word = |source: &'d Source| {
            Ok(match source.ask(asked)? {
                None => Err(Filled::Nothing(source)),
                Some(said) => as_text(said).ok_or_else(|| Filled::NoText(source, said.word())),
            })
        };
        let pieces = match self {
            Self::Constant(text) => return Ok(Filled::Part(Part::Payload(text))),
            Self::One(source) => {
                return Ok(match word(source)? {
                    Ok(text) => Filled::Part(Part::Payload(text)),
                    Err(nothing) => nothing,
                });
            }
            Self::Pieces(pieces) => pieces,
        };
        let from = texts.len();
        for piece in pieces {
            if texts.len() - from > TEXT_BYTES_MAX {
                return Err(too_long());
            }
            match piece {
                Piece::Constant(text) => texts.push_str(text),
                Piece::From(source) => match word(source)? {
                    Ok(text) => texts.push_str(cut_text(text)),
                    Err(nothing) => return Ok(nothing),
                },
            }
        }
        let to = texts.len();
        if to - from > TEXT_BYTES_MAX {
            return Err(too_long());
        }
        Ok(Filled::Part(Part::Scratch { from, to }))
    }

    /// The sources in it.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let (one, pieces) = match self {
            Self::Constant(_) => (None, &[][..]),
            Self::One(source) => (Some(source), &[][..]),
            Self::Pieces(pieces) => (None, &pieces[..]),
        };
        let within = pieces.iter().filter_map(|piece| match piece {
            Piece::Constant(_) => None,
            Piece::From(source) => Some(source),
        });
        one.into_iter().chain(within)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Item(place) if place.to_string().is_empty() => f.write_str("item"),
            Self::Item(place) => place.fmt(f),
            Self::Message(place) => write!(f, "message {place}"),
            Self::Outer(of, place) if place.first().is_none() => write!(f, "item {of}"),
            Self::Outer(of, place) => write!(f, "item {of} {place}"),
            Self::Level(level) => write!(f, "topic {level}"),
            Self::Key => f.write_str("key"),
            Self::OuterKey(of) => write!(f, "key {of}"),
            Self::Number => f.write_str("number"),
            Self::OuterNumber(of) => write!(f, "number {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_constants_sources_or_both() {
        let parsed = |text: &str| text.parse::<Text>().unwrap();
        assert_eq!(parsed("water_level"), Text::Constant("water_level".into()));
        assert_eq!(parsed("topic 2"), Text::One(Source::Level(2)));
        assert_eq!(parsed("{topic 2}"), Text::One(Source::Level(2)));
        assert_eq!(parsed("key"), Text::One(Source::Key));
        assert_eq!(parsed("item"), Text::One(Source::Item(Pointer::default())));
        let place = |text: &str| text.parse::<Pointer>().unwrap();
        assert_eq!(parsed("/a/b"), Text::One(Source::Item(place("/a/b"))));
        assert_eq!(
            parsed("message /a"),
            Text::One(Source::Message(place("/a")))
        );
        assert_eq!(
            parsed("z-{topic 2}-{/a}"),
            Text::Pieces(vec![
                Piece::Constant("z-".into()),
                Piece::From(Source::Level(2)),
                Piece::Constant("-".into()),
                Piece::From(Source::Item(place("/a"))),
            ])
        );
    }

    #[test]
    fn a_source_is_shown_as_it_is_written() {
        for text in [
            "/a/b",
            "message /a",
            "topic 3",
            "item",
            "key",
            "item 1",
            "item 2 /a/b",
            "key 1",
            "number",
            "number 2",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "{topic 2",
            "topic 2}",
            "{}",
            "{nonsense}",
            "/a~",
            "{topic 0}",
        ] {
            assert!(text.parse::<Text>().is_err(), "{text}");
        }
        for text in [
            "topic 0",
            "topic x",
            "messages",
            "x",
            "",
            "item 0",
            "item x",
            "item /a",
            "item 1 a",
            "item 1 /a~",
            "key 0",
            "key a",
            "number 0",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
