//! GeoJSON features, borrowed from their text, with nothing assumed about the types of properties.
//!
//! Arrives: the text of a FeatureCollection. Leaves: each feature by itself, so that a mistake in
//! one does not hide the others; values as [`Scalar`]s, so that a number where a text belongs can be
//! named instead of ending the parse. Next: `city/properties.rs`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::properties::Properties;

/// The features of a collection, each as its text.
pub fn features(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(expecting = "an object with `features`")]
    struct Collection<'a> {
        #[serde(borrow)]
        features: Vec<&'a RawValue>,
    }
    serde_json::from_str(text).map(|collection: Collection<'_>| collection.features)
}

/// What an error says, without the line and column that it counts from the part that was read.
pub fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// One feature.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object with `id`, `properties` and `geometry`")]
pub struct Feature<'a> {
    /// Its id, beside the properties.
    #[serde(borrow, default)]
    pub id: Scalar<'a>,
    /// What is said of it.
    #[serde(borrow, default)]
    pub properties: Properties<'a>,
    /// Where it is.
    #[serde(borrow, default)]
    pub geometry: Option<Geometry<'a>>,
}

/// A JSON value of which only texts and numbers are looked at.
#[derive(Debug, Default, PartialEq)]
pub enum Scalar<'a> {
    /// Not there, or null.
    #[default]
    Nothing,
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// Something else, named.
    Other(&'static str),
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number as f64))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number as f64))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other("true or false"))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("a list"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an object"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A geometry whose coordinates are not read yet.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object with `type` and `coordinates`, or null")]
pub struct Geometry<'a> {
    #[serde(borrow, default, rename = "type")]
    shape: Scalar<'a>,
    #[serde(borrow, default)]
    coordinates: Option<&'a RawValue>,
}

/// The geometries that mean something here. Positions are longitude and latitude, in degrees.
#[derive(Debug, PartialEq)]
pub enum Shape {
    /// One position.
    Point([f64; 2]),
    /// Polygons, each of rings, the outer one first.
    Areas(Vec<Vec<Vec<[f64; 2]>>>),
    /// Any other.
    Other,
}

impl Geometry<'_> {
    /// What it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn shape(&self) -> Result<Shape, String> {
        let Scalar::Text(shape) = &self.shape else {
            return Err("has no type; write one such as `Point`".to_owned());
        };
        let coordinates = self.coordinates.map_or("null", RawValue::get);
        let shape = match shape.as_ref() {
            "Point" => read(coordinates).map(|Lonlat(point)| Shape::Point(point)),
            "Polygon" => read(coordinates).map(|rings| Shape::Areas(vec![plain(rings)])),
            "MultiPolygon" => read(coordinates)
                .map(|areas: Vec<_>| Shape::Areas(areas.into_iter().map(plain).collect())),
            _ => Ok(Shape::Other),
        };
        shape.map_err(|error| format!("coordinates that cannot be read: {}", without_place(&error)))
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

fn plain(rings: Vec<Vec<Lonlat>>) -> Vec<Vec<[f64; 2]>> {
    let ring = |ring: Vec<Lonlat>| ring.into_iter().map(|Lonlat(position)| position).collect();
    rings.into_iter().map(ring).collect()
}

/// A position; what follows longitude and latitude (the height) is let through.
struct Lonlat([f64; 2]);

impl<'de> Deserialize<'de> for Lonlat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Lonlat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a position such as [101.69, 3.14]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Lonlat, A::Error> {
                let missing = |index| serde::de::Error::invalid_length(index, &self);
                let lon = list.next_element()?.ok_or_else(|| missing(0))?;
                let lat = list.next_element()?.ok_or_else(|| missing(1))?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Lonlat([lon, lat]))
            }
        }
        deserializer.deserialize_seq(Numbers)
    }
}

/// Finds the line and column of parts of a text that are asked for in order.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    /// Up to where lines were counted.
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Lines<'a> {
    /// Nothing counted yet.
    pub const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// Line and column, from 1, of `part`, which is a slice of the text beyond the last one.
    pub fn place(&mut self, part: &str) -> (u32, u32) {
        let offset = part.as_ptr() as usize - self.text.as_ptr() as usize;
        let between = &self.text.as_bytes()[self.at..offset];
        for (index, _) in between
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
        {
            self.line += 1;
            self.line_start = self.at + index + 1;
        }
        self.at = offset;
        // The column in bytes: what precedes a feature on its line is rarely more than ASCII.
        (self.line, (offset - self.line_start) as u32 + 1)
    }
}
