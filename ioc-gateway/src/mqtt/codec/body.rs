//! Reading a packet's body from its front: numbers, texts, topics.

use super::Malformed;

/// The rest of a packet's body.
#[derive(Clone, Copy)]
pub(super) struct Body<'a>(pub &'a [u8]);

impl<'a> Body<'a> {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer of version 5, in no more bytes than it needs (section 1.5.5).
    pub fn variable(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for place in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || place == 0;
                return is_shortest.then_some(value).ok_or(Malformed::Integer);
            }
        }
        Err(Malformed::Integer)
    }

    pub fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    /// UTF-8 without U+0000 (3.1.1: section 1.5.3; 5.0: section 1.5.4).
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.sized()?;
        let has_zero = bytes.iter().fold(false, |found, byte| found | (*byte == 0));
        match std::str::from_utf8(bytes) {
            Ok(text) if !has_zero => Ok(text),
            _ => Err(Malformed::Text),
        }
    }

    /// A topic's name: at least one character, no wildcards (section 4.7).
    pub fn topic(&mut self) -> Result<&'a str, Malformed> {
        match self.topic_or_nothing()? {
            "" => Err(Malformed::Topic),
            topic => Ok(topic),
        }
    }

    /// A topic's name, or no character at all where an alias of version 5 may stand for it.
    pub fn topic_or_nothing(&mut self) -> Result<&'a str, Malformed> {
        let topic = self.text()?;
        // Without a way out early, so that many bytes are looked at together.
        let has_wildcard = |found, byte: &u8| found | matches!(byte, b'+' | b'#');
        if topic.as_bytes().iter().fold(false, has_wildcard) {
            return Err(Malformed::Topic);
        }
        Ok(topic)
    }

    /// Not 0 (3.1.1: section 2.3.1; 5.0: section 2.2.1).
    pub fn packet_id(&mut self) -> Result<u16, Malformed> {
        match self.u16()? {
            0 => Err(Malformed::PacketId),
            id => Ok(id),
        }
    }

    pub const fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Length)
        }
    }
}
