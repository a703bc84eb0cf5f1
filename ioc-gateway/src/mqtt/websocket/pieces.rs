//! A client's frames, cut into short messages.
//!
//! Arrives: the bytes of a socket. Leaves: the same frames, but each message in pieces of at most
//! [`PIECE_BYTES_MAX`] that are messages of their own: to MQTT the borders of messages mean nothing
//! ([MQTT-6.0.0-2]), and the library hands over whole ones only, of which one may be as long as its sender
//! likes. So a packet that is too long is answered as over a socket, and no more than a piece is held of a
//! message. Not here: whether a frame is as it must be. What is not cut goes on as it is, for the library to
//! judge; but for a message within another, which it would not see any more. An empty frame of what may be
//! empty has no piece.

use std::io;

use bytes::{BufMut, BytesMut};

/// The longest piece. A multiple of four, so that each is masked as it was (RFC 6455, section 5.3).
pub(super) const PIECE_BYTES_MAX: usize = 16 * 1024;

/// The most bytes of a frame before its payload (RFC 6455, section 5.2): two, eight of a length, a mask.
const HEAD_BYTES_MAX: usize = 2 + 8 + 4;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;

/// The opcodes that are cut.
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// Where in its frames a client is.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// What has come of the head of a frame.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// The frame whose payload comes.
    frame: Option<Frame>,
    /// What the message is that has begun and is not at its end.
    begun: Option<u8>,
}

/// A frame whose head has come.
#[derive(Debug)]
struct Frame {
    /// How many bytes of its payload are to come,
    left: u64,
    /// and how many of the piece that is under way.
    of_piece: u64,
    /// What its pieces are, if it is cut.
    opcode: u8,
    mask: Option<[u8; 4]>,
}

impl Pieces {
    /// Takes what has come, and appends what it is in pieces.
    ///
    /// # Errors
    /// A message within another (RFC 6455, section 5.4).
    pub fn cut(&mut self, mut bytes: &[u8], out: &mut BytesMut) -> io::Result<()> {
        loop {
            match &mut self.frame {
                Some(frame) if frame.left == 0 => self.frame = None,
                Some(frame) => {
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    bytes = frame.pass(bytes, out);
                }
                None => {
                    let Some((byte, rest)) = bytes.split_first() else {
                        return Ok(());
                    };
                    self.head[self.head_bytes] = *byte;
                    self.head_bytes += 1;
                    bytes = rest;
                    if self.head_bytes == head_bytes(&self.head[..self.head_bytes]) {
                        self.begin(out)?;
                    }
                }
            }
        }
    }

    /// Begins the frame whose head has come.
    fn begin(&mut self, out: &mut BytesMut) -> io::Result<()> {
        let head = &self.head[..std::mem::take(&mut self.head_bytes)];
        let (first, left) = (head[0], payload_bytes(head));
        let is_last = first & FIN != 0;
        let opcode = match first & OPCODE {
            _ if first & RESERVED != 0 => None,
            TEXT | BINARY if self.begun.is_some() => {
                let what = "a message within another";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            opcode @ (TEXT | BINARY) => Some(opcode),
            CONTINUATION => self.begun,
            _ => None,
        };
        match opcode {
            Some(opcode) => self.begun = (!is_last).then_some(opcode),
            // As it is.
            None => out.put_slice(head),
        }
        let mask = head[head.len().saturating_sub(4)..].try_into();
        let frame = Frame {
            left,
            of_piece: if opcode.is_some() { 0 } else { left },
            opcode: opcode.unwrap_or_default(),
            mask: mask.ok().filter(|_| head[1] & MASKED != 0),
        };
        let is_wrong = frame.opcode == TEXT || frame.mask.is_none();
        if opcode.is_some() && left == 0 && is_wrong {
            // It has no piece, and ends the connection all the same.
            frame.put_head(out);
        }
        self.frame = Some(frame);
        Ok(())
    }
}

impl Frame {
    /// Passes on what has come of its payload; the rest is of others.
    fn pass<'b>(&mut self, bytes: &'b [u8], out: &mut BytesMut) -> &'b [u8] {
        if self.of_piece == 0 {
            self.of_piece = self.left.min(PIECE_BYTES_MAX as u64);
            self.put_head(out);
        }
        let passed =
            usize::try_from(self.of_piece).map_or(bytes.len(), |most| most.min(bytes.len()));
        let (own, rest) = bytes.split_at(passed);
        out.put_slice(own);
        self.of_piece -= passed as u64;
        self.left -= passed as u64;
        rest
    }

    /// The head of a piece, which is a message of its own.
    fn put_head(&self, out: &mut BytesMut) {
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.put_u8(FIN | self.opcode);
        match self.of_piece as u16 {
            short @ ..=125 => out.put_u8(masked | short as u8),
            long => {
                out.put_u8(masked | 126);
                out.put_u16(long);
            }
        }
        if let Some(mask) = self.mask {
            out.put_slice(&mask);
        }
    }
}

/// How many bytes a head has of which these have come, at least.
fn head_bytes(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else { return 2 };
    let mask = if second & MASKED != 0 { 4 } else { 0 };
    mask + match second & !MASKED {
        126 => 2 + 2,
        127 => 2 + 8,
        _ => 2,
    }
}

/// How many bytes of payload a head announces.
fn payload_bytes(head: &[u8]) -> u64 {
    let long = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    };
    match head[1] & !MASKED {
        126 => long(&head[2..4]),
        127 => long(&head[2..10]),
        short => short.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame of a client.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u64;
        let mut frame = vec![first];
        match length {
            0..=125 => frame.push(MASKED | length as u8),
            126..=0xffff => {
                frame.push(MASKED | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(MASKED | 127);
                frame.extend(length.to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        frame.extend(mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// What comes of these bytes, in chunks of so many.
    fn cut(bytes: &[u8], chunk: usize) -> io::Result<Vec<u8>> {
        let (mut pieces, mut out) = (Pieces::default(), BytesMut::new());
        for bytes in bytes.chunks(chunk) {
            pieces.cut(bytes, &mut out)?;
        }
        Ok(out.to_vec())
    }

    #[test]
    fn p5_a_long_message_is_several_short_ones_however_it_is_framed() {
        let long: Vec<_> = (0..100_000_u32).map(|n| n as u8).collect();
        let ping = frame(0x89, b"there?");
        let framed = [
            frame(BINARY, &long[..70_000]),
            ping.clone(),
            frame(CONTINUATION, b""),
            frame(FIN | CONTINUATION, &long[70_000..]),
            frame(FIN | BINARY, b"short"),
        ];
        let mut expected = Vec::new();
        for piece in long[..70_000].chunks(PIECE_BYTES_MAX) {
            expected.extend(frame(FIN | BINARY, piece));
        }
        expected.extend(ping);
        for piece in long[70_000..].chunks(PIECE_BYTES_MAX) {
            expected.extend(frame(FIN | BINARY, piece));
        }
        expected.extend(frame(FIN | BINARY, b"short"));
        for chunk in [1, 7, 4096, 1 << 20] {
            assert!(cut(&framed.concat(), chunk).unwrap() == expected, "{chunk}");
        }
    }

    #[test]
    fn what_is_not_as_it_must_be_goes_on_as_it_is_or_is_an_error() {
        for alone in [
            // A continuation of nothing, an opcode that is not there, a reserved bit, a long ping.
            frame(FIN | CONTINUATION, b"a"),
            frame(FIN | 3, b"a"),
            frame(FIN | 0x40 | BINARY, b"a"),
            frame(0x89, &[0; 200]),
        ] {
            assert_eq!(cut(&alone, 3).unwrap(), alone);
        }
        let within = [frame(BINARY, b"a"), frame(FIN | BINARY, b"b")];
        let error = cut(&within.concat(), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        // Not masked, as the library refuses.
        assert_eq!(cut(b"\x82\x01a", 1).unwrap(), b"\x82\x01a");
    }

    #[test]
    fn an_empty_frame_that_ends_the_connection_is_not_passed_over() {
        let text = frame(FIN | TEXT, b"");
        assert_eq!(cut(&text, 1).unwrap(), text);
        // Not at its end: as a message that is.
        assert_eq!(cut(&frame(TEXT, b""), 3).unwrap(), text);
        assert_eq!(cut(b"\x82\x00", 1).unwrap(), b"\x82\x00");
        // What may be empty brings nothing.
        assert_eq!(cut(&frame(FIN | BINARY, b""), 3).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_alike_however_they_come(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            chunk in 1..50_usize,
        ) {
            let whole = cut(&bytes, 1 << 20);
            let chunked = cut(&bytes, chunk);
            prop_assert_eq!(whole.ok(), chunked.ok());
        }
    }
}
