//! Plain JSON, as nearly all of it is, taken off in one pass without a parser for any JSON.
//!
//! Arrives: JSON text. Leaves: the texts and numbers in it, as whoever asks expects them; or nothing,
//! and then a parser for any JSON has to read it from its beginning: for texts with escape sequences,
//! numbers of many digits or with an exponent, nulls, and all that is wrong, which it says better.
//! Promise: what is read here is read alike there. Next: `native/plain.rs`, `cloud_events/plain.rs`.

use ioc_core::place::Position;
use ioc_core::time::Timestamp;

/// How many digits a number may have: it is then no more than 2^53, and so is the power of ten that
/// it is divided by, so that one division rounds it as any parser must.
const DIGITS_EXACT: usize = 15;
/// The powers of ten to divide by.
const TENS: [f64; DIGITS_EXACT + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// What is not read yet.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    pub const fn of(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    /// What `read` takes, from its first byte on, and what that was written with.
    #[inline]
    pub fn with_source<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<(T, &'a str)> {
        self.next()?;
        self.at -= 1;
        let from = self.at;
        let taken = read(self)?;
        Some((taken, self.json.get(from..self.at)?))
    }

    /// Whether there is more behind a comma; `None` if neither that nor this end follows.
    #[inline]
    pub fn goes_on(&mut self, end: u8) -> Option<bool> {
        match self.next()? {
            b',' => Some(true),
            byte if byte == end => Some(false),
            _ => None,
        }
    }

    /// An object that has members: each one's name, and `member` takes its value.
    #[inline]
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        loop {
            let name = self.text()?;
            self.take(b':')?;
            member(self, name)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    /// The next byte that is no white space.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.as_bytes().get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    #[inline]
    pub fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    pub fn is_at_end(&mut self) -> bool {
        self.next().is_none()
    }

    /// A text in which each character stands for itself.
    pub fn text(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let from = self.at;
        let to = from + plain_length(&self.json.as_bytes()[from..])?;
        // Nothing lies between, no white space either.
        (self.json.as_bytes().get(to) == Some(&b'"')).then_some(())?;
        self.at = to + 1;
        self.json.get(from..to)
    }

    pub fn time(&mut self) -> Option<Timestamp> {
        Timestamp::parse(self.text()?.as_bytes()).ok()
    }

    /// A number without an exponent.
    pub fn number(&mut self) -> Option<f64> {
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

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    /// Longitude and latitude, and perhaps an altitude.
    pub fn position(&mut self) -> Option<Position> {
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

/// How many bytes come before a quotation mark, a backslash or a control character, if there is one;
/// eight are looked at together.
pub(super) fn plain_length(bytes: &[u8]) -> Option<usize> {
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

    use super::*;

    proptest! {
        #[test]
        fn a_text_ends_where_looking_at_each_byte_ends_it(bytes in prop::collection::vec(prop_oneof![0_u8.., 0x1e..0x24_u8, Just(b'\\')], 0..40)) {
            let is_found = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            prop_assert_eq!(plain_length(&bytes), bytes.iter().position(is_found));
        }
    }

    #[test]
    fn white_space_before_the_end_of_a_text_is_not_skipped() {
        assert_eq!(Rest::of("\"pum \"").text(), Some("pum "));
        for other in ["\"pum\r\"", "\"pum\t\"", "\"pum\n\"", "\"pum\r \""] {
            assert_eq!(Rest::of(other).text(), None, "{other:?}");
        }
    }
}
