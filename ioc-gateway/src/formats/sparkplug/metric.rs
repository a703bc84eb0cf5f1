//! Payloads and their metrics (section 6.4), as far as readings need them.

use crate::formats::Reject;
use crate::formats::protobuf::{self, Fields, Wire};

/// The fields of a Payload (section 6.4.5).
mod payload {
    pub const TIMESTAMP: u64 = 1;
    pub const METRICS: u64 = 2;
    pub const SEQ: u64 = 3;
}

/// The fields of a Metric (section 6.4.6) and of its value (section 6.4.6).
mod field {
    pub const NAME: u64 = 1;
    pub const ALIAS: u64 = 2;
    pub const TIMESTAMP: u64 = 3;
    pub const DATATYPE: u64 = 4;
    pub const IS_HISTORICAL: u64 = 5;
    pub const IS_NULL: u64 = 7;
    pub const PROPERTIES: u64 = 9;
    pub const INT: u64 = 10;
    pub const LONG: u64 = 11;
    pub const FLOAT: u64 = 12;
    pub const DOUBLE: u64 = 13;
    pub const BOOLEAN: u64 = 14;
    pub const STRING: u64 = 15;
    pub const BYTES: u64 = 16;
    pub const DATASET: u64 = 17;
    pub const TEMPLATE: u64 = 18;
}

/// The fields of a PropertySet (section 6.4.8) and of a PropertyValue (section 6.4.9).
mod properties {
    pub const KEYS: u64 = 1;
    pub const VALUES: u64 = 2;
    pub const INT: u64 = 3;
    pub const LONG: u64 = 4;
    pub const STRING: u64 = 8;
}

/// The numbers of the datatypes (section 6.4.16) that hold a number, or could.
mod datatype {
    pub const INT8: u64 = 1;
    pub const INT16: u64 = 2;
    pub const INT32: u64 = 3;
    pub const INT64: u64 = 4;
    pub const UINT8: u64 = 5;
    pub const UINT16: u64 = 6;
    pub const UINT32: u64 = 7;
    pub const UINT64: u64 = 8;
    pub const FLOAT: u64 = 9;
    pub const DOUBLE: u64 = 10;
    pub const BOOLEAN: u64 = 11;
    pub const STRING: u64 = 12;
    pub const DATETIME: u64 = 13;
    pub const TEXT: u64 = 14;
    pub const UUID: u64 = 15;
}

/// The quality of a value that is good (section 6.4.9.1).
const GOOD: u64 = 192;

/// What a payload says beside its metrics.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Payload {
    /// Milliseconds since 1970.
    pub timestamp: Option<u64>,
    pub seq: Option<u64>,
}

impl Payload {
    /// Reads a payload but for its metrics.
    pub fn read(message: &[u8]) -> Result<Self, Reject> {
        let (mut payload, mut fields) = (Self::default(), Fields::new(message));
        while let Some(field) = fields.next()? {
            match field {
                (payload::TIMESTAMP, Wire::Varint(millis)) => payload.timestamp = Some(millis),
                (payload::SEQ, Wire::Varint(seq)) => payload.seq = Some(seq),
                _ => {}
            }
        }
        Ok(payload)
    }
}

/// The metrics of a payload, one after another, each with its bytes.
pub(super) struct Metrics<'d>(Fields<'d>);

impl<'d> Metrics<'d> {
    pub const fn of(message: &'d [u8]) -> Self {
        Self(Fields::new(message))
    }

    pub fn next(&mut self) -> Result<Option<(Metric<'d>, &'d [u8])>, Reject> {
        while let Some(field) = self.0.next()? {
            if let (payload::METRICS, Wire::Bytes(bytes)) = field {
                return Ok(Some((Metric::read(bytes)?, bytes)));
            }
        }
        Ok(None)
    }
}

/// One metric.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Metric<'d> {
    /// Empty if only the alias says it.
    pub name: &'d str,
    pub alias: Option<u64>,
    /// Milliseconds since 1970.
    pub timestamp: Option<u64>,
    /// 0 if it is left out.
    pub datatype: u64,
    pub is_historical: bool,
    pub is_null: bool,
    /// Its unit (`engUnit`); empty if none is said.
    pub unit: &'d str,
    quality: Option<u64>,
    written: Option<Written<'d>>,
}

/// A value as it is written.
#[derive(Debug, Clone, Copy)]
enum Written<'d> {
    /// In the field for 32 bits or in that for 64.
    Whole(u64),
    Float(f64),
    Boolean(bool),
    Text(&'d str),
    Other(&'static str),
}

/// A value as it is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meant<'d> {
    Number(f64),
    Text(&'d str),
    /// It is not of the datatype that it should be of.
    OtherType,
    /// No number, of whatever datatype it is: a DataSet, a Template, …
    Other(&'static str),
}

impl<'d> Metric<'d> {
    /// The text that it says, if it says one.
    pub const fn as_text(&self) -> Option<&'d str> {
        match self.written {
            Some(Written::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn read(bytes: &'d [u8]) -> Result<Self, Reject> {
        let (mut metric, mut fields) = (Self::default(), Fields::new(bytes));
        while let Some((number, wire)) = fields.next()? {
            metric.note(number, wire)?;
        }
        Ok(metric)
    }

    fn note(&mut self, number: u64, wire: Wire<'d>) -> Result<(), Reject> {
        match (number, wire) {
            (field::NAME, Wire::Bytes(bytes)) => self.name = protobuf::text(bytes)?,
            (field::ALIAS, Wire::Varint(alias)) => self.alias = Some(alias),
            (field::TIMESTAMP, Wire::Varint(millis)) => self.timestamp = Some(millis),
            (field::DATATYPE, Wire::Varint(datatype)) => self.datatype = datatype,
            (field::IS_HISTORICAL, Wire::Varint(truth)) => self.is_historical = truth != 0,
            (field::IS_NULL, Wire::Varint(truth)) => self.is_null = truth != 0,
            (field::PROPERTIES, Wire::Bytes(bytes)) => self.properties(bytes)?,
            (field::INT | field::LONG, Wire::Varint(whole)) => {
                self.written = Some(Written::Whole(whole));
            }
            (field::FLOAT, Wire::Fixed32(bits)) => {
                self.written = Some(Written::Float(widened(f32::from_bits(bits))));
            }
            (field::DOUBLE, Wire::Fixed64(bits)) => {
                self.written = Some(Written::Float(f64::from_bits(bits)));
            }
            (field::BOOLEAN, Wire::Varint(truth)) => {
                self.written = Some(Written::Boolean(truth != 0));
            }
            (field::STRING, Wire::Bytes(bytes)) => {
                self.written = Some(Written::Text(protobuf::text(bytes)?));
            }
            (field::BYTES, Wire::Bytes(_)) => self.written = Some(Written::Other("bytes")),
            (field::DATASET, Wire::Bytes(_)) => self.written = Some(Written::Other("a DataSet")),
            (field::TEMPLATE, Wire::Bytes(_)) => self.written = Some(Written::Other("a Template")),
            _ => {}
        }
        Ok(())
    }

    /// The properties that change something: of the keys each has its value at the same place.
    fn properties(&mut self, bytes: &'d [u8]) -> Result<(), Reject> {
        let mut keys = Fields::new(bytes);
        let mut values = keys;
        while let Some((number, wire)) = keys.next()? {
            let (properties::KEYS, Wire::Bytes(key)) = (number, wire) else {
                continue;
            };
            let value = loop {
                match values.next()? {
                    Some((properties::VALUES, Wire::Bytes(value))) => break value,
                    Some(_) => {}
                    None => return Ok(()),
                }
            };
            match key {
                b"engUnit" | b"EngUnit" => self.unit = property_text(value)?,
                b"Quality" | b"quality" => self.quality = property_number(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the value is good, as far as it says (section 6.4.9.1).
    pub fn is_good(&self) -> bool {
        self.quality.is_none_or(|quality| quality == GOOD)
    }

    /// What the value is, as one of a datatype.
    pub fn meant(&self, datatype: u64) -> Option<Meant<'d>> {
        let number = Meant::Number;
        Some(match (datatype, self.written?) {
            // Two's complement, in as many bits as it has, or in 32 or 64.
            (datatype::INT8, Written::Whole(whole)) => number(f64::from(whole as i8)),
            (datatype::INT16, Written::Whole(whole)) => number(f64::from(whole as i16)),
            (datatype::INT32, Written::Whole(whole)) => number(f64::from(whole as i32)),
            (datatype::INT64, Written::Whole(whole)) => number(whole.cast_signed() as f64),
            (datatype::UINT8, Written::Whole(whole)) => number(f64::from(whole as u8)),
            (datatype::UINT16, Written::Whole(whole)) => number(f64::from(whole as u16)),
            (datatype::UINT32, Written::Whole(whole)) => number(f64::from(whole as u32)),
            (datatype::UINT64, Written::Whole(whole)) => number(whole as f64),
            (datatype::FLOAT | datatype::DOUBLE, Written::Float(float)) => number(float),
            (datatype::BOOLEAN, Written::Boolean(truth)) => number(f64::from(u8::from(truth))),
            (datatype::STRING | datatype::TEXT | datatype::UUID, Written::Text(text)) => {
                Meant::Text(text)
            }
            (datatype::DATETIME, Written::Whole(_)) => Meant::Other("a time"),
            (_, Written::Other(what)) => Meant::Other(what),
            (datatype::INT8..=datatype::TEXT, _) => Meant::OtherType,
            (_, _) => Meant::Other("of a datatype without a number"),
        })
    }
}

/// The number with the fewest digits that is this one in 32 bits: 3.72 and not 3.7200000286102295.
fn widened(float: f32) -> f64 {
    float.to_string().parse().unwrap_or(f64::from(float))
}

fn property_text(value: &[u8]) -> Result<&str, Reject> {
    let mut fields = Fields::new(value);
    while let Some(field) = fields.next()? {
        if let (properties::STRING, Wire::Bytes(bytes)) = field {
            return protobuf::text(bytes);
        }
    }
    Ok("")
}

fn property_number(value: &[u8]) -> Result<Option<u64>, Reject> {
    let mut fields = Fields::new(value);
    while let Some(field) = fields.next()? {
        if let (properties::INT | properties::LONG, Wire::Varint(number)) = field {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// The number that a metric counts sessions by (`bdSeq`, section 6.4.19).
pub(super) fn session_of(message: &[u8]) -> Result<Option<u64>, Reject> {
    let mut metrics = Metrics::of(message);
    while let Some((metric, _)) = metrics.next()? {
        if metric.name == SESSION
            && let Some(Written::Whole(session)) = metric.written
        {
            return Ok(Some(session));
        }
    }
    Ok(None)
}

/// The metric that counts the sessions of a node.
pub(super) const SESSION: &str = "bdSeq";
/// What the metrics begin with that are there to be written (section 6.4.19).
pub(super) const CONTROL: &str = "Node Control/";

/// The payload that asks a node to be born again (sections 6.4.19 and 6.4.23), at a time.
pub(super) fn rebirth(millis: u64) -> Vec<u8> {
    let mut own = Vec::new();
    protobuf::put_bytes(&mut own, field::NAME, b"Node Control/Rebirth");
    protobuf::put_varint(&mut own, field::TIMESTAMP, millis);
    protobuf::put_varint(&mut own, field::DATATYPE, datatype::BOOLEAN);
    protobuf::put_varint(&mut own, field::BOOLEAN, 1);
    let mut payload = Vec::new();
    protobuf::put_varint(&mut payload, payload::TIMESTAMP, millis);
    protobuf::put_bytes(&mut payload, payload::METRICS, &own);
    payload
}
