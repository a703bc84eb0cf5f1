//! CBOR (RFC 8949), as far as SenML needs it: one item after another, where they lie.
//!
//! Arrives: bytes. Leaves: numbers, texts, the beginnings of lists and maps, and how to pass over
//! what nobody here knows. Promise: any bytes are read without a panic, without recursion and, but
//! for texts in chunks (section 3.2.3), which are put together first ([`joined`]), without
//! allocating. Bound: [`DEPTH_MAX`].

use super::{Reason, Reject};

/// How deep lists, maps and tags may lie within each other where they are passed over.
const DEPTH_MAX: usize = 32;

/// The initial bytes of bytes and of a text in chunks (section 3.2.3).
const CHUNKED: [u8; 2] = [0x5f, 0x7f];
/// What ends them.
const BREAK: u8 = 0xff;

/// The same with each text that comes in chunks in one, as [`Cbor`] reads them; `None` if there is none.
/// What cannot be read stays as it is, and is refused where it stands.
pub(super) fn joined(bytes: &[u8]) -> Option<Vec<u8>> {
    // Most often none of their initial bytes is there.
    if !bytes.iter().any(|byte| CHUNKED.contains(byte)) {
        return None;
    }
    let (mut cbor, mut whole) = (Cbor::new(bytes), None::<Vec<u8>>);
    while let Some(initial) = cbor.rest.first() {
        let before = cbor.rest;
        if CHUNKED.contains(initial) {
            let written = bytes.len() - before.len();
            let whole = whole.get_or_insert_with(|| bytes[..written].to_vec());
            match cbor.join_chunks(whole) {
                Ok(()) => continue,
                Err(_) => {
                    whole.extend_from_slice(before);
                    break;
                }
            }
        }
        let is_read = cbor.next().is_ok();
        let rest = if is_read { cbor.rest } else { &[] };
        if let Some(whole) = &mut whole {
            whole.extend_from_slice(&before[..before.len() - rest.len()]);
        }
        if !is_read {
            break;
        }
    }
    whole
}

/// The bytes that were not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cbor<'d> {
    rest: &'d [u8],
    /// How many there were.
    bytes: usize,
}

/// One item, of a list or a map only its beginning (section 3.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'d> {
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A negative one: -1 less this.
    Negative(u64),
    /// A number with a fraction.
    Float(f64),
    Bytes(&'d [u8]),
    Text(&'d str),
    /// So many items follow; `None`: until [`Token::Break`].
    List(Option<u64>),
    /// So many pairs follow.
    Map(Option<u64>),
    /// What the next item means.
    Tag(u64),
    Bool(bool),
    /// null, undefined and what has no meaning yet.
    Null,
    Break,
}

impl Token<'_> {
    /// The number, if it is one.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(number as f64),
            Self::Negative(number) => Some(-1.0 - number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }

    /// What it is, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unsigned(_) | Self::Negative(_) | Self::Float(_) => "a number",
            Self::Bytes(_) => "bytes",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Tag(_) => "a tag",
            Self::Bool(_) => "true or false",
            Self::Null => "null",
            Self::Break => "an end",
        }
    }
}

impl<'d> Cbor<'d> {
    /// These bytes.
    pub const fn new(bytes: &'d [u8]) -> Self {
        Self {
            rest: bytes,
            bytes: bytes.len(),
        }
    }

    /// What was not read yet.
    pub const fn rest(&self) -> &'d [u8] {
        self.rest
    }

    /// The next item.
    pub fn next(&mut self) -> Result<Token<'d>, Reject> {
        let initial = self.take(1)?[0];
        let (major, short) = (initial >> 5, initial & 0x1f);
        if major == 7 {
            return self.simple(short);
        }
        let argument = self.argument(short)?;
        let definite = || argument.ok_or_else(|| self.malformed("a length is missing"));
        Ok(match major {
            0 => Token::Unsigned(definite()?),
            1 => Token::Negative(definite()?),
            2 => Token::Bytes(self.take(definite()?)?),
            3 => {
                let bytes = self.take(definite()?)?;
                let text = std::str::from_utf8(bytes);
                Token::Text(text.map_err(|_| self.malformed("a text is not UTF-8"))?)
            }
            4 => Token::List(argument),
            5 => Token::Map(argument),
            _ => Token::Tag(definite()?),
        })
    }

    /// Appends what comes in chunks as one; nothing, if it cannot be read.
    fn join_chunks(&mut self, whole: &mut Vec<u8>) -> Result<(), Reject> {
        let initial = self.take(1)?[0];
        let (mut chunks, mut length) = (*self, 0);
        let next = |cbor: &mut Self| match cbor.rest.first() {
            Some(&BREAK) => cbor.take(1).map(|_| None),
            // Chunks are of the same type, and in no chunks themselves.
            Some(chunk) if chunk & 0xe0 == initial & 0xe0 && *chunk != initial => {
                let short = cbor.take(1)?[0] & 0x1f;
                let length = cbor.argument(short)?;
                cbor.take(length.unwrap_or_default()).map(Some)
            }
            _ => Err(cbor.malformed("a chunk is of another type")),
        };
        while let Some(chunk) = next(&mut chunks)? {
            length += chunk.len() as u64;
        }
        // In eight bytes, though fewer would do.
        whole.push(initial & 0xe0 | 27);
        whole.extend_from_slice(&length.to_be_bytes());
        while let Some(chunk) = next(self)? {
            whole.extend_from_slice(chunk);
        }
        Ok(())
    }

    /// Whether another of `left` items follows; takes the end of a list or map that has one.
    pub fn has_more(&mut self, left: &mut Option<u64>) -> Result<bool, Reject> {
        match left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.rest.first() == Some(&0xff) => {
                self.rest = &self.rest[1..];
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Passes over the items that belong to one that was read.
    pub fn pass_over(&mut self, begun: Token<'d>) -> Result<(), Reject> {
        let mut open = [Some(0); DEPTH_MAX];
        let mut depth = 0;
        let mut token = begun;
        loop {
            let inner = match token {
                Token::List(count) => Some(count),
                Token::Map(Some(pairs)) => {
                    let items = pairs.checked_mul(2);
                    Some(Some(items.ok_or_else(|| self.malformed("it ends early"))?))
                }
                Token::Map(None) => Some(None),
                Token::Tag(_) => Some(Some(1)),
                Token::Break => return Err(self.malformed("an end ends nothing")),
                _ => None,
            };
            if let Some(inner) = inner {
                if depth == DEPTH_MAX {
                    let detail = format!("lists or maps lie deeper than {DEPTH_MAX} in each other");
                    return Err(Reject::new(Reason::NestingTooDeep, detail));
                }
                open[depth] = inner;
                depth += 1;
            }
            while depth > 0 && !self.has_more(&mut open[depth - 1])? {
                depth -= 1;
            }
            if depth == 0 {
                return Ok(());
            }
            token = self.next()?;
        }
    }

    /// Section 3: the number behind the initial byte; `None` for an indefinite length.
    fn argument(&mut self, short: u8) -> Result<Option<u64>, Reject> {
        Ok(Some(match short {
            0..24 => u64::from(short),
            24 => u64::from(self.take(1)?[0]),
            25 => u64::from(u16::from_be_bytes(self.array()?)),
            26 => u64::from(u32::from_be_bytes(self.array()?)),
            27 => u64::from_be_bytes(self.array()?),
            31 => return Ok(None),
            _ => return Err(self.malformed("an initial byte is reserved")),
        }))
    }

    /// Section 3.3.
    fn simple(&mut self, short: u8) -> Result<Token<'d>, Reject> {
        Ok(match short {
            20 => Token::Bool(false),
            21 => Token::Bool(true),
            0..24 => Token::Null,
            24 => {
                self.take(1)?;
                Token::Null
            }
            25 => Token::Float(half(u16::from_be_bytes(self.array()?))),
            26 => Token::Float(f64::from(f32::from_be_bytes(self.array()?))),
            27 => Token::Float(f64::from_be_bytes(self.array()?)),
            31 => Token::Break,
            _ => return Err(self.malformed("an initial byte is reserved")),
        })
    }

    fn take(&mut self, count: u64) -> Result<&'d [u8], Reject> {
        let split = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest.split_at_checked(count));
        let (taken, rest) = split.ok_or_else(|| self.malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reject> {
        let bytes = self.take(N as u64)?;
        Ok(bytes.try_into().expect("so many were taken"))
    }

    /// Says that the bytes are no CBOR.
    pub fn malformed(&self, what: &str) -> Reject {
        let at = self.bytes - self.rest.len();
        Reject::new(Reason::CborMalformed, format!("{what}, at byte {at}"))
    }
}

/// A half-precision number (appendix D).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction / f64::from(1 << 24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (fraction + 1024.0) * f64::from(1_u32 << exponent) / f64::from(1 << 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(bytes: &[u8]) -> Token<'_> {
        let mut cbor = Cbor::new(bytes);
        let token = cbor.next().unwrap();
        assert!(cbor.rest().is_empty());
        token
    }

    #[test]
    fn the_examples_of_appendix_a_are_read() {
        for (bytes, token) in [
            (&b"\x00"[..], Token::Unsigned(0)),
            (b"\x17", Token::Unsigned(23)),
            (b"\x18\x64", Token::Unsigned(100)),
            (b"\x19\x03\xe8", Token::Unsigned(1000)),
            (b"\x1a\x00\x0f\x42\x40", Token::Unsigned(1_000_000)),
            (
                b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
                Token::Unsigned(u64::MAX),
            ),
            (b"\x20", Token::Negative(0)),
            (b"\x39\x03\xe7", Token::Negative(999)),
            (b"\xf9\x3e\x00", Token::Float(1.5)),
            (b"\xf9\x7b\xff", Token::Float(65504.0)),
            (b"\xf9\x00\x01", Token::Float(5.960464477539063e-8)),
            (b"\xf9\x04\x00", Token::Float(0.00006103515625)),
            (b"\xf9\xc4\x00", Token::Float(-4.0)),
            (b"\xf9\x7c\x00", Token::Float(f64::INFINITY)),
            (b"\xfa\x47\xc3\x50\x00", Token::Float(100_000.0)),
            (b"\xfb\xc0\x10\x66\x66\x66\x66\x66\x66", Token::Float(-4.1)),
            (b"\xf4", Token::Bool(false)),
            (b"\xf5", Token::Bool(true)),
            (b"\xf6", Token::Null),
            (b"\xf8\xff", Token::Null),
            (b"\xc1", Token::Tag(1)),
            (b"\x44\x01\x02\x03\x04", Token::Bytes(&[1, 2, 3, 4])),
            (b"\x64IETF", Token::Text("IETF")),
            (b"\x83", Token::List(Some(3))),
            (b"\x9f", Token::List(None)),
            (b"\xa2", Token::Map(Some(2))),
            (b"\xff", Token::Break),
        ] {
            assert_eq!(one(bytes), token);
        }
        assert_eq!(Token::Negative(999).number(), Some(-1000.0));
    }

    #[test]
    fn what_is_passed_over_is_passed_over_whole() {
        for bytes in [
            &b"\x83\x01\x82\x02\x03\x9f\x04\x05\xff"[..],
            b"\xbf\x61a\x01\x61b\x9f\x02\x03\xff\xff",
            b"\xa2\x61a\x01\x61b\xc1\x02",
            b"\x80",
            b"\xc4\x82\x20\x0f",
        ] {
            let whole = [bytes, b"\x07"].concat();
            let mut cbor = Cbor::new(&whole);
            let begun = cbor.next().unwrap();
            cbor.pass_over(begun).unwrap();
            assert_eq!(cbor.rest(), b"\x07");
        }
    }

    #[test]
    fn p5_what_is_deeper_than_its_bound_is_refused() {
        let deep = |depth: usize| [vec![0x81; depth], vec![0]].concat();
        let pass = |bytes: &[u8]| {
            let mut cbor = Cbor::new(bytes);
            let begun = cbor.next()?;
            cbor.pass_over(begun)
        };
        assert_eq!(pass(&deep(DEPTH_MAX)), Ok(()));
        let reject = pass(&deep(DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(reject.reason, Reason::NestingTooDeep);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut cbor = Cbor::new(&bytes);
            while !cbor.rest().is_empty() {
                let before = cbor.rest().len();
                let Ok(begun) = cbor.next() else { return Ok(()) };
                if cbor.pass_over(begun).is_err() {
                    return Ok(());
                }
                prop_assert!(cbor.rest().len() < before);
            }
        }
    }
}
