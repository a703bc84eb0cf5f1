//! The members of a native reading, taken off the JSON in one pass.
//!
//! Arrives: JSON text. Leaves: a [`Draft`]: what was written, each member of the right type, not
//! yet compared with the catalogue. Promise: a plain member is borrowed and nothing is allocated;
//! a text with escape sequences is unescaped into the scratch. Depth costs no stack: lists and
//! objects within attributes are skipped over by a loop, not by recursion. Members that nobody
//! here knows are skipped.

use std::fmt;

use ioc_core::reading::{Attributes, AttributesBuffer};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::types::{Place, Text, Time};
use super::{Scratch, plain};
use crate::formats::draft::{Draft, Part};
use crate::formats::{Reason, Reject};

/// How deep lists and objects may lie within each other in an attribute.
const DEPTH_MAX: usize = 16;

impl<'a> Draft<'a> {
    /// Reads a whole message; its attributes and unescaped texts go to the scratch.
    pub(super) fn read(json: &'a str, scratch: &mut Scratch) -> Result<Self, Reject> {
        match plain::read(json) {
            Some(draft) => Ok(draft),
            None => Self::parse(json, scratch),
        }
    }

    /// The same for any JSON.
    pub(super) fn parse(json: &'a str, scratch: &mut Scratch) -> Result<Self, Reject> {
        let mut reader = Reader {
            draft: Self::default(),
            texts: &mut scratch.texts,
            attributes: &mut scratch.attributes,
            seen: 0,
            at: None,
            reason: None,
        };
        let mut json = serde_json::Deserializer::from_str(json);
        let read = json.deserialize_map(&mut reader).and_then(|()| {
            reader.at = None;
            json.end()
        });
        match read {
            Ok(()) => Ok(reader.draft),
            Err(error) => Err(reader.reject(&error)),
        }
    }
}

/// The members that a reading has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Id,
    Sensor,
    Kind,
    ObservedAt,
    ReceivedAt,
    Value,
    Unit,
    Position,
    Attributes,
}

impl Member {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "sensor" => Self::Sensor,
            "kind" => Self::Kind,
            "observed_at" => Self::ObservedAt,
            "received_at" => Self::ReceivedAt,
            "value" => Self::Value,
            "unit" => Self::Unit,
            "position" => Self::Position,
            "attributes" => Self::Attributes,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Sensor => "sensor",
            Self::Kind => "kind",
            Self::ObservedAt => "observed_at",
            Self::ReceivedAt => "received_at",
            Self::Value => "value",
            Self::Unit => "unit",
            Self::Position => "position",
            Self::Attributes => "attributes",
        }
    }

    /// The reason if what is written there is of another type.
    const fn invalid(self) -> Reason {
        match self {
            Self::Id => Reason::IdInvalid,
            Self::Sensor => Reason::SensorInvalid,
            Self::Kind => Reason::KindInvalid,
            Self::ObservedAt => Reason::ObservedAtInvalid,
            Self::ReceivedAt => Reason::ReceivedAtInvalid,
            Self::Value => Reason::ValueNotANumber,
            Self::Unit => Reason::UnitInvalid,
            Self::Position => Reason::PositionInvalid,
            Self::Attributes => Reason::AttributesInvalid,
        }
    }
}

/// The pass over a message: what was read, and where it is.
struct Reader<'s, 'a> {
    draft: Draft<'a>,
    texts: &'s mut String,
    attributes: &'s mut AttributesBuffer,
    /// One bit for each [`Member`] that was there.
    seen: u16,
    /// The member whose value is being read.
    at: Option<Member>,
    /// The reason of our own error, where the member alone does not tell it.
    reason: Option<Reason>,
}

impl Reader<'_, '_> {
    /// What an error of the pass means.
    fn reject(&self, error: &serde_json::Error) -> Reject {
        let Some(member) = self.at else {
            let reason = if error.is_data() {
                self.reason.unwrap_or(Reason::NotAnObject)
            } else {
                Reason::JsonMalformed
            };
            return Reject::new(reason, error.to_string());
        };
        // `NaN` and `1e999` are errors of syntax to a JSON parser; to us they are bad numbers.
        let is_number = matches!(member, Member::Value | Member::Position);
        let reason = match self.reason {
            Some(reason) => reason,
            None if error.is_data() || is_number && error.is_syntax() => member.invalid(),
            None => Reason::JsonMalformed,
        };
        Reject::new(reason, format!("{}: {error}", member.name()))
    }

    fn fail<E: Error>(&mut self, reason: Reason, detail: impl fmt::Display) -> E {
        self.reason = Some(reason);
        E::custom(detail)
    }
}

impl<'a> Visitor<'a> for &mut Reader<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reading as one JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(member) = map.next_key_seed(Name)? {
            let Some(member) = member else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.at = Some(member);
            let bit = 1 << member as u16;
            if self.seen & bit != 0 {
                return Err(self.fail(Reason::MemberRepeated, "is there twice; write it once"));
            }
            self.seen |= bit;
            self.read(member, &mut map)?;
            self.at = None;
        }
        Ok(())
    }
}

impl<'a> Reader<'_, 'a> {
    fn read<M: MapAccess<'a>>(&mut self, member: Member, map: &mut M) -> Result<(), M::Error> {
        match member {
            Member::Id => self.draft.id = map.next_value_seed(Text(self.texts))?,
            Member::Sensor => self.draft.sensor = map.next_value_seed(Text(self.texts))?,
            Member::Kind => self.draft.kind = map.next_value_seed(Text(self.texts))?,
            Member::Unit => self.draft.unit = map.next_value_seed(Text(self.texts))?,
            Member::ObservedAt => self.draft.observed_at = map.next_value_seed(Time)?,
            Member::ReceivedAt => self.draft.received_at = map.next_value_seed(Time)?,
            Member::Position => self.draft.position = map.next_value_seed(Place)?,
            Member::Value => self.draft.value = Some(self.value(map.next_value()?)?),
            Member::Attributes => map.next_value_seed(Further(self))?,
        }
        Ok(())
    }

    /// The number in a JSON value, rounded to the nearest double.
    fn value<E: Error>(&mut self, json: &RawValue) -> Result<f64, E> {
        let text = json.get();
        let value = match text.as_bytes() {
            [b'-' | b'0'..=b'9', ..] => text.parse::<f64>().map_err(E::custom)?,
            [b'n', ..] => return Err(E::custom("is null; write a number")),
            [b'"', ..] => return Err(E::custom("is a text; write a number, without quotes")),
            [b'[', ..] => return Err(E::custom("is a list; write one reading for each number")),
            [b'{', ..] => return Err(E::custom("is an object; write one number")),
            _ => return Err(E::custom("is true or false; write 1 or 0")),
        };
        if value.is_finite() {
            Ok(value)
        } else {
            let detail = "is beyond what a double-precision number can be";
            Err(self.fail(Reason::ValueOverflow, detail))
        }
    }

    /// One further member: a text as it is, anything else as its JSON.
    fn attribute<E: Error>(&mut self, name: Part<'a>, json: &'a RawValue) -> Result<(), E> {
        let json = json.get();
        if depth(json) > DEPTH_MAX {
            let detail = format!("holds lists or objects deeper than {DEPTH_MAX}");
            return Err(self.fail(Reason::NestingTooDeep, detail));
        }
        let unescaped;
        let value = match json
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            Some(text) if !text.contains('\\') => text,
            Some(_) => {
                unescaped = serde_json::from_str::<String>(json).map_err(E::custom)?;
                &unescaped
            }
            None => json,
        };
        let name = match name {
            Part::Payload(name) => name,
            Part::Scratch { from, to } => &self.texts[from..to],
        };
        if self.attributes.as_attributes().get(name).is_some() {
            let detail = format!("{name:?} is there twice; write it once");
            return Err(self.fail(Reason::MemberRepeated, detail));
        }
        if self.attributes.push(name, value).is_err() {
            let (count, bytes) = (Attributes::COUNT_MAX, Attributes::BYTES_MAX);
            let detail = format!("are more than {count}, or longer than {bytes} bytes together");
            return Err(self.fail(Reason::AttributesTooMany, detail));
        }
        Ok(())
    }
}

/// How deep lists and objects lie within each other in valid JSON.
fn depth(json: &str) -> usize {
    if !json.starts_with(['[', '{']) {
        return 0;
    }
    let (mut deepest, mut depth, mut quoted, mut escaped) = (0, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// The name of a member; `None` for one that no reading has.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Option<Member>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<Member>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Member::named(name))
    }
}

/// The object of further members, or null.
struct Further<'r, 's, 'a>(&'r mut Reader<'s, 'a>);

impl<'a> DeserializeSeed<'a> for Further<'_, '_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Further<'_, '_, 'a> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names and values")
    }
    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key_seed(Text(self.0.texts))? {
            let name = name.expect("a member's name is never null");
            self.0.attribute(name, map.next_value()?)?;
        }
        Ok(())
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}
