//! Little-endian bytes both ways: the one way that a record, a decision or a state is written.
//!
//! Texts carry their length; every length is checked when read, so damaged bytes are an error and
//! never a panic. Next: `reading.rs`.

use std::fmt;

use crate::id::CommandKey;
use crate::place::Position;
use crate::time::Timestamp;

/// Bytes that are not what the format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecError(pub &'static str);

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged bytes: {}", self.0)
    }
}

impl std::error::Error for CodecError {}

/// Appends values to a buffer.
pub trait Put {
    /// Bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// One byte.
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    /// Two bytes.
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    /// Four bytes.
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    /// Eight bytes.
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    /// The bits of a number.
    fn put_f64(&mut self, value: f64) {
        self.put(&value.to_le_bytes());
    }
    /// Milliseconds since 1970.
    fn put_time(&mut self, at: Timestamp) {
        self.put(&at.as_millis().to_le_bytes());
    }
    /// A text or bytes of at most 65,535 bytes: the type of what is put bounds it.
    fn put_bytes(&mut self, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).expect("bounded by the type of what is put");
        self.put_u16(length);
        self.put(bytes);
    }
    /// A text, as [`put_bytes`](Self::put_bytes) does.
    fn put_text(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }
    /// Longitude, then latitude, in millionths of a degree.
    fn put_position(&mut self, position: Position) {
        self.put(&position.lon_micro_degrees().to_le_bytes());
        self.put(&position.lat_micro_degrees().to_le_bytes());
    }
    /// A command's key.
    fn put_key(&mut self, key: CommandKey) {
        self.put(&key.to_bits().to_le_bytes());
    }
    /// Yes or no, as one byte.
    fn put_flag(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }
    /// How many items follow: their bound is below four thousand million.
    fn put_count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("bounded by what is counted");
        self.put_u32(count);
    }
    /// A flag, then the value if there is one.
    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.put_flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Put for blake3::Hasher {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// Takes values off the front of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Take<'a>(pub &'a [u8]);

impl<'a> Take<'a> {
    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(CodecError("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }
    /// So many bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CodecError("cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }
    /// One byte.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }
    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_le_bytes(self.array()?))
    }
    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    /// The bits of a number.
    pub fn f64(&mut self) -> Result<f64, CodecError> {
        Ok(f64::from_le_bytes(self.array()?))
    }
    /// Milliseconds since 1970.
    pub fn time(&mut self) -> Result<Timestamp, CodecError> {
        Ok(Timestamp::from_millis(i64::from_le_bytes(self.array()?)))
    }
    /// What [`Put::put_bytes`] put.
    pub fn sized(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }
    /// What [`Put::put_text`] put.
    pub fn text(&mut self) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.sized()?).map_err(|_| CodecError("text is not UTF-8"))
    }
    /// A place on the globe.
    pub fn position(&mut self) -> Result<Position, CodecError> {
        let lon = i32::from_le_bytes(self.array()?);
        let lat = i32::from_le_bytes(self.array()?);
        Position::from_micro_degrees(lon, lat).ok_or(CodecError("position is not on the globe"))
    }
    /// A command's key.
    pub fn key(&mut self) -> Result<CommandKey, CodecError> {
        let bits = u128::from_le_bytes(self.array()?);
        CommandKey::from_bits(bits).ok_or(CodecError("a command's key"))
    }
    /// Yes or no.
    pub fn flag(&mut self) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError("neither yes nor no")),
        }
    }
    /// What [`Put::put_option`] put.
    pub fn option<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        self.flag()?.then(|| take(self)).transpose()
    }
    /// How many items follow, at most `max` of them.
    pub fn count(&mut self, max: usize) -> Result<usize, CodecError> {
        let count = self.u32()? as usize;
        if count > max {
            return Err(CodecError("more than there can be"));
        }
        Ok(count)
    }
    /// So many items, one after another. Memory is asked for as they are read, so that a damaged
    /// count costs no more than the bytes that are there.
    pub fn each<T>(
        &mut self,
        count: usize,
        mut take: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        let mut items = Vec::with_capacity(count.min(self.0.len() / size_of::<T>().max(1)));
        for _ in 0..count {
            items.push(take(self)?);
        }
        Ok(items)
    }
    /// A text that is a valid identity.
    pub fn parsed<T: std::str::FromStr>(&mut self, what: &'static str) -> Result<T, CodecError> {
        self.text()?.parse().map_err(|_| CodecError(what))
    }
    /// Nothing may be left.
    pub fn end(self) -> Result<(), CodecError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CodecError("bytes left over"))
        }
    }
}
