//! Protocol Buffers' encoding ("Encoding", protobuf.dev), as far as Sparkplug needs it: field by
//! field, where they lie.
//!
//! Arrives: the bytes of a message. Leaves: the number of each field with what it holds; a message
//! in it is bytes, to be read in its turn. Promise: any bytes are read without a panic, without
//! recursion and without allocating. Left out: groups, which are no longer written.
//!
//! By hand, and not by a library: of four messages some twenty fields are read, and a library would
//! make an own text of each name in each message, and bring a compiler into the build.

use super::{Reason, Reject};

/// The fields of a message that were not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'d>(&'d [u8]);

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'d> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'d [u8]),
    Fixed32(u32),
}

impl<'d> Fields<'d> {
    pub const fn new(message: &'d [u8]) -> Self {
        Self(message)
    }

    /// The next field with its number; `None` behind the last one.
    pub fn next(&mut self) -> Result<Option<(u64, Wire<'d>)>, Reject> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(broken_off)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(malformed(format!("a field is of type {other}"))),
        };
        Ok(Some((key >> 3, wire)))
    }

    fn varint(&mut self) -> Result<u64, Reject> {
        let mut number = 0;
        for (place, byte) in self.0.iter().enumerate() {
            // Ten times seven bits are enough for 64; what does not fit is cut off.
            let bits = u64::from(byte & 0x7f);
            number |= bits.checked_shl(7 * place as u32).unwrap_or_default();
            if byte & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return Ok(number);
            }
            if place == 9 {
                return Err(malformed("a number has more than ten bytes"));
            }
        }
        Err(broken_off())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reject> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(broken_off)?;
        self.0 = rest;
        Ok(*bytes)
    }
}

fn broken_off() -> Reject {
    malformed("it breaks off")
}

fn malformed(detail: impl Into<String>) -> Reject {
    Reject::new(Reason::ProtobufMalformed, detail)
}

/// The text of a field.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Reject> {
    std::str::from_utf8(bytes).map_err(|error| malformed(format!("a text is not UTF-8: {error}")))
}

/// Appends a field that is a number.
pub(super) fn put_varint(out: &mut Vec<u8>, field: u64, number: u64) {
    put(out, field << 3);
    put(out, number);
}

/// Appends a field that is bytes: a text, or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put(out, field << 3 | 2);
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u64, Wire<'_>)>, Reject> {
        let (mut fields, mut found) = (Fields::new(bytes), Vec::new());
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn the_examples_of_the_page_are_read() {
        assert_eq!(read(&[0x08, 0x96, 0x01]), Ok(vec![(1, Wire::Varint(150))]));
        let testing = b"\x12\x07testing";
        assert_eq!(read(testing), Ok(vec![(2, Wire::Bytes(b"testing"))]));
        assert_eq!(
            read(&[0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0]),
            Ok(vec![(3, Wire::Fixed32(1)), (4, Wire::Fixed64(2))])
        );
        // -1 as an int64 takes ten bytes.
        let minus_one = [[0xff; 9].as_slice(), &[0x01]].concat();
        let minus_one = [&[0x08], minus_one.as_slice()].concat();
        assert_eq!(read(&minus_one), Ok(vec![(1, Wire::Varint(u64::MAX))]));
    }

    #[test]
    fn what_is_malformed_is_told() {
        for (bytes, what) in [
            (&[0x08][..], "it breaks off"),
            (&[0x08, 0x96], "it breaks off"),
            (&[0x12, 7, 1], "it breaks off"),
            (&[0x1d, 1], "it breaks off"),
            (&[0x0b], "a field is of type 3"),
            (
                &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
                "more than ten bytes",
            ),
        ] {
            let reject = read(bytes).unwrap_err();
            assert_eq!(reject.reason, Reason::ProtobufMalformed);
            assert!(reject.detail.contains(what), "{bytes:?}: {}", reject.detail);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, field in 1_u64..1000, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_varint(&mut out, field, number);
            put_bytes(&mut out, field, &bytes);
            let expected = vec![(field, Wire::Varint(number)), (field, Wire::Bytes(&bytes))];
            prop_assert_eq!(read(&out), Ok(expected));
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _any = read(&bytes);
        }
    }
}
