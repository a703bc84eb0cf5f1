//! The JSON types that members of a reading have; each may be null instead, as if left out.

use std::fmt;

use ioc_core::place::Position;
use ioc_core::time::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use crate::formats::draft::Part;

/// A text, or null.
pub(super) struct Text<'s>(pub &'s mut String);

impl<'a> DeserializeSeed<'a> for Text<'_> {
    type Value = Option<Part<'a>>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Text<'_> {
    type Value = Option<Part<'a>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(Part::Payload(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Part::append(self.0, format_args!("{text}"))))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A time as text, or null.
pub(super) struct Time;

impl<'a> DeserializeSeed<'a> for Time {
    type Value = Option<Timestamp>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Time {
    type Value = Option<Timestamp>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 time such as \"2026-03-14T06:45:10.933Z\"")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let time = Timestamp::parse(text.as_bytes());
        time.map(Some)
            .map_err(|error| E::custom(format_args!("{text:?} is {error}")))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A position: longitude, latitude and perhaps altitude, which is ignored; or null.
pub(super) struct Place;

impl<'a> DeserializeSeed<'a> for Place {
    type Value = Option<Position>;
    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Place {
    type Value = Option<Position>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[longitude, latitude] in degrees")
    }
    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let (lon, lat) = match (list.next_element()?, list.next_element()?) {
            (Some(lon), Some(lat)) => (lon, lat),
            (lon, _) => return Err(S::Error::invalid_length(usize::from(lon.is_some()), &self)),
        };
        let _altitude: Option<f64> = list.next_element()?;
        if list.next_element::<IgnoredAny>()?.is_some() {
            return Err(S::Error::custom(
                "more than longitude, latitude and altitude",
            ));
        }
        Position::from_degrees(lon, lat).map(Some).ok_or_else(|| {
            S::Error::custom(format_args!(
                "[{lon},{lat}] is not on the globe; longitude comes first, then latitude"
            ))
        })
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
