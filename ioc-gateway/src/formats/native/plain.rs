//! A plain native reading, as nearly all are, taken off the JSON without a parser for any JSON.
//!
//! Arrives: JSON text. Leaves: the same [`Draft`] that the parser (`members.rs`) makes of it; or
//! nothing, and then that one has to read it: for texts with escape sequences, numbers of many digits
//! or with an exponent, nulls, attributes, members that nobody here knows, and all that is wrong,
//! which it says better. Promise: what is read here is read alike there.

use ioc_core::place::Position;
use ioc_core::time::Timestamp;

use super::members::Member;
use crate::formats::draft::{Draft, Part};

/// How many digits a number may have: it is then no more than 2^53, and so is the power of ten that
/// it is divided by, so that one division rounds it as any parser must.
const DIGITS_EXACT: usize = 15;
/// The powers of ten to divide by.
const TENS: [f64; DIGITS_EXACT + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Reads a whole message, if it is a plain one.
pub(super) fn read(json: &str) -> Option<Draft<'_>> {
    let mut rest = Rest { json, at: 0 };
    let mut draft = Draft::default();
    let mut seen = 0_u16;
    rest.take(b'{')?;
    loop {
        let member = Member::named(rest.text()?)?;
        let bit = 1 << member as u16;
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        rest.take(b':')?;
        match member {
            Member::Id => draft.id = Some(Part::Payload(rest.text()?)),
            Member::Sensor => draft.sensor = Some(Part::Payload(rest.text()?)),
            Member::Kind => draft.kind = Some(Part::Payload(rest.text()?)),
            Member::Unit => draft.unit = Some(Part::Payload(rest.text()?)),
            Member::ObservedAt => draft.observed_at = Some(rest.time()?),
            Member::ReceivedAt => draft.received_at = Some(rest.time()?),
            Member::Value => draft.value = Some(rest.number()?),
            Member::Position => draft.position = Some(rest.position()?),
            Member::Attributes => return None,
        }
        match rest.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    rest.is_at_end().then_some(draft)
}

/// What is not read yet.
struct Rest<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.as_bytes().get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn is_at_end(&mut self) -> bool {
        self.next().is_none()
    }

    /// A text in which each character stands for itself.
    fn text(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let from = self.at;
        let length = plain_length(&self.json.as_bytes()[from..])?;
        self.at = from + length;
        self.take(b'"')?;
        self.json.get(from..from + length)
    }

    fn time(&mut self) -> Option<Timestamp> {
        Timestamp::parse(self.text()?.as_bytes()).ok()
    }

    /// A number without an exponent.
    fn number(&mut self) -> Option<f64> {
        let first = self.next()?;
        let is_negative = first == b'-';
        if !is_negative {
            self.at -= 1;
        }
        let from = self.at;
        let mut digits = 0_u64;
        let whole = self.digits(&mut digits)?;
        if whole > 1 && self.json.as_bytes()[from] == b'0' {
            return None;
        }
        let mut fraction = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = self.digits(&mut digits)?;
        }
        if whole + fraction > DIGITS_EXACT || matches!(self.peek(), Some(b'e' | b'E')) {
            return None;
        }
        let number = digits as f64 / TENS[fraction];
        Some(if is_negative { -number } else { number })
    }

    /// Appends decimal digits to a number; how many. None, if there are none, or too many.
    fn digits(&mut self, number: &mut u64) -> Option<usize> {
        let from = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - from == DIGITS_EXACT {
                return None;
            }
            *number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        (self.at > from).then_some(self.at - from)
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    /// Longitude and latitude, and perhaps an altitude.
    fn position(&mut self) -> Option<Position> {
        self.take(b'[')?;
        let lon = self.number()?;
        self.take(b',')?;
        let lat = self.number()?;
        let mut next = self.next()?;
        if next == b',' {
            self.number()?;
            next = self.next()?;
        }
        match next {
            b']' => Position::from_degrees(lon, lat),
            _ => None,
        }
    }
}

/// How many bytes come before a quotation mark, a backslash or a control character; eight are looked
/// at together.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        // The lowest bit that is set stands for the first byte that is meant; those above it may err.
        let below = |limit: u64, bytes: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
        let is = |byte: u8| below(1, eight ^ (ONES * u64::from(byte)));
        let found = (is(b'"') | is(b'\\') | below(0x20, eight)) & (ONES << 7);
        if found != 0 {
            return Some(8 * at + found.trailing_zeros() as usize / 8);
        }
    }
    let is_found = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let found = rest.iter().position(is_found)?;
    Some(bytes.len() - rest.len() + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Scratch;
    use super::*;

    /// What the parser for any JSON makes of it.
    fn parsed(json: &str) -> Option<String> {
        let mut scratch = Scratch::default();
        let draft = Draft::parse(json, &mut scratch).ok()?;
        Some(format!("{draft:?} {:?}", scratch.attributes))
    }

    fn is_alike(json: &str) -> bool {
        let plain = read(json);
        let shown = |draft: &Draft<'_>| format!("{draft:?} {:?}", Scratch::default().attributes);
        plain.is_none() || plain.as_ref().map(shown) == parsed(json)
    }

    #[test]
    fn a_plain_reading_is_read_here() {
        for json in [
            r#"{"id":"e1","sensor":"s","kind":"pm25","observed_at":"2026-03-14T06:45:10.933Z","value":42.25,"unit":"ug/m3","position":[101.07000,3.12]}"#,
            r#" { "id": "é", "value": -0, "position": [ -1 , 0.5 , 12 ] } "#,
            r#"{"received_at":"2026-03-14T06:45:10Z","value":123456789012345}"#,
        ] {
            assert!(read(json).is_some(), "{json}");
            assert!(is_alike(json), "{json}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for json in [
            "",
            "{}",
            "{",
            r#"{"value":1"#,
            r#"{"value":1}}"#,
            r#"{"value":1,}"#,
            r#"{"value":01}"#,
            r#"{"value":-}"#,
            r#"{"value":1.}"#,
            r#"{"value":.5}"#,
            r#"{"value":+1}"#,
            r#"{"value":1e3}"#,
            r#"{"value":1234567890123456}"#,
            r#"{"value":12345678901.23456}"#,
            r#"{"value":"1"}"#,
            r#"{"value":1,"value":2}"#,
            r#"{"id":null}"#,
            r#"{"id":"a\n"}"#,
            "{\"id\":\"a\nb\"}",
            r#"{"id":"a"#,
            r#"{"name":"a"}"#,
            r#"{"attributes":{}}"#,
            r#"{"observed_at":"yesterday"}"#,
            r#"{"position":[1]}"#,
            r#"{"position":[1,2,3,4]}"#,
            r#"{"position":[1,91]}"#,
        ] {
            assert!(read(json).is_none(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_text_ends_where_looking_at_each_byte_ends_it(bytes in prop::collection::vec(prop_oneof![0_u8.., 0x1e..0x24_u8, Just(b'\\')], 0..40)) {
            let is_found = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            prop_assert_eq!(plain_length(&bytes), bytes.iter().position(is_found));
        }

        #[test]
        fn what_is_read_here_is_read_alike_there(
            json in r#"\{("(id|sensor|kind|unit|observed_at|value|position|more)" ?: ?("[aé\\"]{0,3}"|"2026-03-14T06:45:10(\.[0-9]{1,4})?Z"|-?[0-9]{1,17}(\.[0-9]{0,16})?|\[-?[0-9]{1,3}(\.[0-9]{1,8})?, ?-?[0-9]{1,2}(\.[0-9]{1,13})?\]),? ?){1,4}\} ?"#
        ) {
            prop_assert!(is_alike(&json), "{json}");
        }

        #[test]
        fn numbers_are_rounded_alike(whole in 0..1_000_000_u64, digits in "[0-9]{1,9}", minus: bool) {
            let sign = if minus { "-" } else { "" };
            let json = format!(r#"{{"value":{sign}{whole}.{digits},"position":[{sign}{}.{digits},1.{digits}]}}"#, whole % 180);
            prop_assert!(read(&json).is_some(), "{json}");
            prop_assert!(is_alike(&json), "{json}");
        }
    }
}
