//! SenML: lists of records that share what they have in common (RFC 8428), in JSON (section 5) and
//! CBOR (section 6).
//!
//! Arrives: a pack. Leaves: a reading for each record with a value. Promise: records are resolved
//! as section 4.6 says; a record that cannot be read takes no other with it, unless it changes
//! what those behind it mean: then they are refused too, for a reading of the wrong sensor is
//! worse than none. Left out: update times (`ut`), which say when the next reading is due; data
//! (`vd`), which is no measurement.

use std::fmt;

use ioc_core::time::Timestamp;

use super::cbor::{self, Cbor, Token};
use super::draft::{Draft, Part, Scratch};
use super::json::{Index, Value};
use super::mapping::{Names, number};
use super::message::{Found, Item, finish};
use super::{Reason, Reject, epoch, utf8};
use crate::catalogue::Catalogue;

/// The version that this is (section 4.1), and the last that is understood.
const VERSION: f64 = 10.0;
/// Times below this are relative to now (section 4.5.3).
const ABSOLUTE_S: f64 = 268_435_456.0;

/// What some put before CBOR so that it is known for it: the tag 55799 (RFC 8949, section 3.4.6).
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];

/// Finds the readings of a pack.
///
/// # Errors
/// Why the pack, or the rest of it, cannot be read.
pub(super) fn decode(
    payload: &[u8],
    names: &Names,
    catalogue: &Catalogue,
    (index, scratch): (&mut Index, &mut Scratch),
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let is_described = payload.starts_with(&SELF_DESCRIBED);
    let pack = &payload[if is_described {
        SELF_DESCRIBED.len()
    } else {
        0
    }..];
    // The initial bytes of lists (RFC 8949, appendix B); JSON begins with `[` or a blank.
    match pack.first() {
        Some(0x80..=0x9f) => {
            let joined = cbor::joined(pack);
            let pack = joined.as_deref().unwrap_or(pack);
            Pack::new(names, catalogue, scratch, take).cbor(pack)
        }
        _ => decode_json(index.read(utf8(payload)?)?, names, catalogue, scratch, take),
    }
}

/// Finds the readings of a pack in JSON.
///
/// # Errors
/// Why the pack, or the rest of it, cannot be read.
pub(super) fn decode_json(
    pack: Value<'_>,
    names: &Names,
    catalogue: &Catalogue,
    scratch: &mut Scratch,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    Pack::new(names, catalogue, scratch, take).json(pack)
}

/// What the fields of a record are, in the order of table 1, 2 and 3 (sections 4.1 and 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    BaseName,
    BaseTime,
    BaseUnit,
    BaseValue,
    BaseSum,
    BaseVersion,
    Name,
    Unit,
    Value,
    Text,
    Bool,
    Data,
    Sum,
    Time,
    UpdateTime,
}

impl Label {
    /// Section 4.3; `None` for one that may be passed over.
    fn named(name: &str) -> Result<Option<Self>, Reject> {
        Ok(Some(match name {
            "bn" => Self::BaseName,
            "bt" => Self::BaseTime,
            "bu" => Self::BaseUnit,
            "bv" => Self::BaseValue,
            "bs" => Self::BaseSum,
            "bver" => Self::BaseVersion,
            "n" => Self::Name,
            "u" => Self::Unit,
            "v" => Self::Value,
            "vs" => Self::Text,
            "vb" => Self::Bool,
            "vd" => Self::Data,
            "s" => Self::Sum,
            "t" => Self::Time,
            "ut" => Self::UpdateTime,
            // Section 4.4: such a field must be understood.
            name if name.ends_with('_') => {
                let detail = format!("{:?} must be understood, and is not", super::cut(name));
                return Err(Reject::new(Reason::ShapeUnexpected, detail));
            }
            _ => return Ok(None),
        }))
    }

    /// Section 6, table 4.
    const fn numbered(number: i64) -> Option<Self> {
        Some(match number {
            -2 => Self::BaseName,
            -3 => Self::BaseTime,
            -4 => Self::BaseUnit,
            -5 => Self::BaseValue,
            -6 => Self::BaseSum,
            -1 => Self::BaseVersion,
            0 => Self::Name,
            1 => Self::Unit,
            2 => Self::Value,
            3 => Self::Text,
            4 => Self::Bool,
            5 => Self::Sum,
            6 => Self::Time,
            7 => Self::UpdateTime,
            8 => Self::Data,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::BaseName => "bn",
            Self::BaseTime => "bt",
            Self::BaseUnit => "bu",
            Self::BaseValue => "bv",
            Self::BaseSum => "bs",
            Self::BaseVersion => "bver",
            Self::Name => "n",
            Self::Unit => "u",
            Self::Value => "v",
            Self::Text => "vs",
            Self::Bool => "vb",
            Self::Data => "vd",
            Self::Sum => "s",
            Self::Time => "t",
            Self::UpdateTime => "ut",
        }
    }

    /// Whether records behind this one depend on it.
    const fn is_base(self) -> bool {
        (self as u8) < Self::Name as u8
    }
}

/// A field's value, whichever way it was written.
#[derive(Clone, Copy)]
enum Written<'d> {
    Number(f64),
    Text(&'d str),
    Bool(bool),
    Other(&'static str),
}

/// How long names and units may be that are looked up; a sensor's name is shorter still.
const NAME_BYTES_MAX: usize = 512;

/// What holds for the records behind it (section 4.1).
#[derive(Debug, Default, Clone, Copy)]
struct Base<'d> {
    name: &'d str,
    time: f64,
    unit: &'d str,
    value: f64,
    sum: f64,
}

/// What one record says (section 4.2).
#[derive(Debug, Default, Clone, Copy)]
struct Record<'d> {
    name: &'d str,
    unit: Option<&'d str>,
    value: Option<Measured<'d>>,
    sum: Option<f64>,
    time: f64,
    /// One bit for each [`Label`] that was there.
    seen: u16,
    /// Whether anything but base fields is there.
    has_own: bool,
}

#[derive(Debug, Clone, Copy)]
enum Measured<'d> {
    Number(f64),
    Text(&'d str),
    Bool(bool),
    Data,
}

/// A field that cannot be read.
struct Wrong {
    reject: Reject,
    /// Whether records behind it depend on it.
    is_base: bool,
}

impl Wrong {
    const fn in_base(reject: Reject) -> Self {
        Self {
            reject,
            is_base: true,
        }
    }
}

impl<'d> Record<'d> {
    /// Notes a field, of the record or of the base.
    fn note(
        &mut self,
        base: &mut Base<'d>,
        label: Label,
        written: Written<'d>,
    ) -> Result<(), Wrong> {
        let wrong = |reason, detail: String| {
            let reject = Reject::new(reason, format!("{}: {detail}", label.name()));
            Err(Wrong {
                reject,
                is_base: label.is_base(),
            })
        };
        let bit = 1 << label as u16;
        if self.seen & bit != 0 {
            return wrong(
                Reason::MemberRepeated,
                "is there twice; write it once".into(),
            );
        }
        self.seen |= bit;
        self.has_own |= !label.is_base();
        match (label, written) {
            (Label::BaseName, Written::Text(text)) => base.name = text,
            (Label::BaseTime, Written::Number(number)) => base.time = number,
            (Label::BaseUnit, Written::Text(text)) => base.unit = text,
            (Label::BaseValue, Written::Number(number)) => base.value = number,
            (Label::BaseSum, Written::Number(number)) => base.sum = number,
            (Label::BaseVersion, Written::Number(number)) if number <= VERSION => {}
            (Label::BaseVersion, Written::Number(number)) => {
                let detail = format!("version {number}; versions up to {VERSION} are understood");
                return wrong(Reason::ShapeUnexpected, detail);
            }
            (Label::Name, Written::Text(text)) => self.name = text,
            (Label::Unit, Written::Text(text)) => self.unit = Some(text),
            (Label::Value, Written::Number(number)) => self.measured(Measured::Number(number))?,
            (Label::Text, Written::Text(text)) => self.measured(Measured::Text(text))?,
            (Label::Bool, Written::Bool(truth)) => self.measured(Measured::Bool(truth))?,
            (Label::Data, _) => self.measured(Measured::Data)?,
            (Label::Sum, Written::Number(number)) => self.sum = Some(number),
            (Label::Time, Written::Number(number)) => self.time = number,
            (Label::UpdateTime, _) => {}
            (label, written) => {
                let (found, (reason, wanted)) = (written.word(), wanted(label));
                return wrong(reason, format!("is {found}; {wanted} belongs there"));
            }
        }
        Ok(())
    }

    /// Section 4.2: a record has one value.
    fn measured(&mut self, value: Measured<'d>) -> Result<(), Wrong> {
        if self.value.replace(value).is_some() {
            let detail = "has more than one of v, vs, vb and vd";
            let reject = Reject::new(Reason::MemberRepeated, detail);
            return Err(Wrong {
                reject,
                is_base: false,
            });
        }
        Ok(())
    }
}

impl Written<'_> {
    const fn word(self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bool(_) => "true or false",
            Self::Other(word) => word,
        }
    }
}

/// What belongs into a field, and the reason if it is not there.
const fn wanted(label: Label) -> (Reason, &'static str) {
    match label {
        Label::BaseName | Label::Name => (Reason::SensorInvalid, "a text"),
        Label::BaseUnit | Label::Unit => (Reason::UnitInvalid, "a text"),
        Label::BaseTime | Label::Time | Label::UpdateTime => {
            (Reason::ObservedAtInvalid, "a number of seconds")
        }
        Label::BaseVersion => (Reason::ShapeUnexpected, "a number"),
        Label::BaseValue | Label::BaseSum | Label::Value | Label::Sum => {
            (Reason::ValueNotANumber, "a number")
        }
        Label::Text | Label::Data => (Reason::ValueNotANumber, "a text"),
        Label::Bool => (Reason::ValueNotANumber, "true or false"),
    }
}

/// The pass over a pack.
struct Pack<'s, 'd, 't> {
    base: Base<'d>,
    now: Timestamp,
    /// How many records were begun.
    count: usize,
    names: &'d Names,
    catalogue: &'s Catalogue,
    scratch: &'s mut Scratch,
    take: &'s mut (dyn FnMut(Item<'_>) + 't),
}

/// The place of a record.
struct Place(usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl<'s, 'd, 't> Pack<'s, 'd, 't> {
    fn new(
        names: &'d Names,
        catalogue: &'s Catalogue,
        scratch: &'s mut Scratch,
        take: &'s mut (dyn FnMut(Item<'_>) + 't),
    ) -> Self {
        Self {
            base: Base::default(),
            now: scratch.arrival(catalogue),
            count: 0,
            names,
            catalogue,
            scratch,
            take,
        }
    }

    /// Section 5.
    fn json(&mut self, pack: Value<'d>) -> Result<(), Reject> {
        let records = pack.elements().ok_or_else(|| not_a_list(pack.word()))?;
        for record in records {
            let read = self.json_record(record);
            self.record(read, record.source().as_bytes())?;
        }
        Ok(())
    }

    fn json_record(&mut self, value: Value<'d>) -> Result<Record<'d>, Wrong> {
        let mut record = Record::default();
        let Some(fields) = value.members() else {
            return Err(Wrong::in_base(not_a_record(value.word())));
        };
        let mut wrong = None;
        for (name, value) in fields {
            let noted = match Label::named(name) {
                Ok(None) => Ok(()),
                Ok(Some(label)) => record.note(&mut self.base, label, written(value)),
                Err(reject) => Err(Wrong {
                    reject,
                    is_base: false,
                }),
            };
            keep(&mut wrong, noted);
        }
        wrong.map_or(Ok(record), Err)
    }

    /// Section 6.
    fn cbor(&mut self, payload: &'d [u8]) -> Result<(), Reject> {
        let mut cbor = Cbor::new(payload);
        let mut left = match cbor.next()? {
            Token::List(count) => count,
            token => return Err(not_a_list(token.word())),
        };
        while cbor.has_more(&mut left)? {
            let before = cbor.rest();
            let read = self.cbor_record(&mut cbor);
            let source = &before[..before.len() - cbor.rest().len()];
            self.record(read, source)?;
        }
        match cbor.rest() {
            [] => Ok(()),
            _ => Err(cbor.malformed("something follows the pack")),
        }
    }

    fn cbor_record(&mut self, cbor: &mut Cbor<'d>) -> Result<Record<'d>, Wrong> {
        let mut record = Record::default();
        let mut left = match cbor.next().map_err(Wrong::in_base)? {
            Token::Map(count) => count,
            token => return Err(Wrong::in_base(not_a_record(token.word()))),
        };
        let mut wrong = None;
        while cbor.has_more(&mut left).map_err(Wrong::in_base)? {
            let label = match cbor.next().map_err(Wrong::in_base)? {
                Token::Unsigned(number) => Ok(i64::try_from(number).ok().and_then(Label::numbered)),
                Token::Negative(number) => Ok(i64::try_from(number)
                    .ok()
                    .and_then(|n| Label::numbered(-1 - n))),
                Token::Text(name) => Label::named(name),
                token => return Err(Wrong::in_base(not_a_record(token.word()))),
            };
            let written = cbor_written(cbor).map_err(Wrong::in_base)?;
            let noted = match label {
                Ok(None) => Ok(()),
                Ok(Some(label)) => record.note(&mut self.base, label, written),
                Err(reject) => Err(Wrong {
                    reject,
                    is_base: false,
                }),
            };
            keep(&mut wrong, noted);
        }
        wrong.map_or(Ok(record), Err)
    }

    /// What becomes of a record; an error if nothing behind it can be read either.
    fn record(&mut self, read: Result<Record<'d>, Wrong>, source: &[u8]) -> Result<(), Reject> {
        let place = Place(self.count);
        self.count += 1;
        self.scratch.tally.look()?;
        self.scratch.clear();
        let drafted = match read {
            Ok(record) => self.draft(record),
            Err(wrong) if wrong.is_base => {
                let what = "; the records from here on are refused, for they depend on it";
                let mut reject = wrong.reject.at(&place);
                reject.detail.push_str(what);
                return Err(reject);
            }
            Err(wrong) => Err(wrong.reject),
        };
        let found = Found {
            place: &place,
            source,
        };
        finish(drafted, found, self.catalogue, self.scratch, self.take)
    }

    /// The resolved record (section 4.6).
    fn draft(&mut self, record: Record<'d>) -> Result<Option<Draft<'d>>, Reject> {
        if !record.has_own {
            return Ok(None);
        }
        let (base, names) = (self.base, self.names);
        let Scratch {
            texts, attributes, ..
        } = &mut *self.scratch;
        let unit = record.unit.unwrap_or(base.unit);
        // Before they are put together, once for each record.
        if base.name.len() + record.name.len() > NAME_BYTES_MAX {
            let detail = format!("bn and n have more than {NAME_BYTES_MAX} bytes together");
            return Err(Reject::new(Reason::SensorInvalid, detail));
        }
        if unit.len() > NAME_BYTES_MAX {
            let detail = format!("u or bu has more than {NAME_BYTES_MAX} bytes");
            return Err(Reject::new(Reason::UnitInvalid, detail));
        }
        let sum = record.sum.map(|sum| base.sum + sum);
        let (value, unit) = match (record.value, sum) {
            (Some(value), _) => (self::value(value, base.value, names)?, Part::Payload(unit)),
            // Section 4.2: a sum is in the unit, times seconds.
            (None, Some(sum)) if !unit.is_empty() => {
                (sum, Part::append(texts, format_args!("{unit}.s")))
            }
            (None, Some(sum)) => (sum, Part::Payload("")),
            (None, None) => return Err(Reject::new(Reason::ValueMissing, "value is left out")),
        };
        if let (Some(_), Some(sum)) = (record.value, sum) {
            let fits = attributes.push("sum", &sum.to_string());
            fits.expect("one attribute is not too many");
        }
        let sensor = match (base.name, record.name) {
            ("", name) | (name, "") => Part::Payload(name),
            (base, name) => Part::append(texts, format_args!("{base}{name}")),
        };
        if sensor.resolve(texts).is_empty() {
            return Err(Reject::new(
                Reason::SensorMissing,
                "neither bn nor n names it",
            ));
        }
        let hint = match record.name {
            "" => base.name,
            name => name,
        };
        let hint = hint.rsplit([':', '/', '.']).next().unwrap_or_default();
        let sensor = names.sensor(sensor, texts);
        Ok(Some(Draft {
            kind: names.kind(sensor.resolve(texts), hint, self.catalogue),
            sensor: Some(sensor),
            unit: Some(names.unit(unit, texts)),
            observed_at: Some(time(base.time + record.time, self.now)?),
            value: Some(value),
            ..Draft::default()
        }))
    }
}

/// Keeps the gravest of what is wrong with a record: what the records behind depend on.
fn keep(wrong: &mut Option<Wrong>, noted: Result<(), Wrong>) {
    if let Err(new) = noted
        && wrong.as_ref().is_none_or(|old| new.is_base && !old.is_base)
    {
        *wrong = Some(new);
    }
}

fn written(value: Value<'_>) -> Written<'_> {
    if let Some(text) = value.text() {
        return Written::Text(text);
    }
    if let Some(truth) = value.truth() {
        return Written::Bool(truth);
    }
    match value.as_word().and_then(number) {
        Some(number) => Written::Number(number),
        None => Written::Other(value.word()),
    }
}

/// A field of CBOR: a decimal fraction (RFC 8949, section 3.4.4) is a number too.
fn cbor_written<'d>(cbor: &mut Cbor<'d>) -> Result<Written<'d>, Reject> {
    let token = cbor.next()?;
    if token == Token::Tag(4) {
        let before = *cbor;
        if let (Ok(Token::List(Some(2))), Ok(exponent), Ok(mantissa)) =
            (cbor.next(), cbor.next(), cbor.next())
            && let (Some(exponent), Some(mantissa)) = (exponent.number(), mantissa.number())
        {
            // As it would be written: so it is the nearest number to it.
            let text = format!("{mantissa}e{exponent}");
            return Ok(number(&text).map_or(Written::Other("a decimal fraction"), Written::Number));
        }
        *cbor = before;
    }
    Ok(match token {
        Token::Text(text) => Written::Text(text),
        Token::Bool(truth) => Written::Bool(truth),
        token => match token.number() {
            Some(number) => Written::Number(number),
            None => {
                cbor.pass_over(token)?;
                Written::Other(token.word())
            }
        },
    })
}

fn value(value: Measured<'_>, base: f64, names: &Names) -> Result<f64, Reject> {
    let value = match value {
        Measured::Number(number) => base + number,
        Measured::Bool(truth) => f64::from(u8::from(truth)),
        Measured::Text(text) => names.worth(text)?,
        Measured::Data => {
            let detail = "value: is data (vd); a measurement is a number (v)";
            return Err(Reject::new(Reason::ValueNotANumber, detail));
        }
    };
    if value.is_finite() {
        Ok(value)
    } else {
        let detail = "value: is not a number, or more than one can be";
        Err(Reject::new(Reason::ValueOverflow, detail))
    }
}

/// Section 4.5.3: seconds since 1970, or, if they are few, from now.
fn time(seconds: f64, now: Timestamp) -> Result<Timestamp, Reject> {
    let millis = if seconds < ABSOLUTE_S {
        now.as_millis() as f64 + seconds * 1e3
    } else {
        seconds * 1e3
    };
    epoch(millis).ok_or_else(|| {
        let detail = format!("observed_at: {seconds} s is no time");
        Reject::new(Reason::ObservedAtInvalid, detail)
    })
}

fn not_a_list(word: &str) -> Reject {
    let detail = format!("a SenML pack is a list of records, and this is {word}");
    Reject::new(Reason::ShapeUnexpected, detail)
}

fn not_a_record(word: &str) -> Reject {
    let detail = format!("a record is an object, and this is {word}");
    Reject::new(Reason::ShapeUnexpected, detail)
}

#[cfg(test)]
mod tests;
