//! A request's body as it comes, unpacked.
//!
//! Arrives: frames of a body, packed by gzip (RFC 1952) or not. Leaves: pieces of at most
//! [`PIECE_BYTES_MAX`] when unpacked, else the frames. Promise: no more than a piece and a frame is
//! held, whatever a body unpacks to; one that unpacks to far more than readings do is refused
//! before its bulk exists. Next: `lines.rs`, or the whole of it in `http.rs`.

use std::io::{self, BufRead, ErrorKind, Read};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Buf;
use flate2::bufread::GzDecoder;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::answer::Refusal;

/// How much is unpacked at once.
pub(super) const PIECE_BYTES_MAX: usize = 64 << 10;
/// How many times its length a body may unpack to. Readings pack to a tenth or a twentieth;
/// what packs to a thousandth holds nothing.
const GZIP_RATIO_MAX: u64 = 100;
/// So much is unpacked before that is looked at: short bodies may say one thing again and again.
const GZIP_UNWATCHED_BYTES: u64 = 1 << 20;

/// How many members a packed body may have (RFC 1952, section 2.2), beside one for each
/// [`GZIP_MEMBER_BYTES`] that it unpacks to: each costs as much as tens of kilobytes do, also one
/// that holds nothing.
const GZIP_MEMBERS_MAX: u64 = 1024;
/// What is in a member that is worth its cost.
const GZIP_MEMBER_BYTES: u64 = 1 << 10;

/// How many bytes of a packed body may come to nothing, beside [`GZIP_BYTES_PER_BYTE`] for each that
/// it unpacks to: a block may be empty (RFC 1951, section 3.2.3), and costs what its tables do.
const GZIP_EMPTY_BYTES_MAX: u64 = 64 << 10;
/// How many bytes of 0 may fill up a packed body behind its last member: no tape has a longer block.
const GZIP_PADDING_BYTES_MAX: u64 = 1 << 20;
/// By how much a body may grow by being packed: whoever flushes after each byte sends seven.
const GZIP_BYTES_PER_BYTE: u64 = 8;

/// A body on its way in.
pub(super) struct Incoming {
    body: Body,
    packed: Option<Unpacker>,
    silence_max: Duration,
    heard: Instant,
}

impl Incoming {
    /// The body of a request with these headers, whose sender may be silent for so long.
    pub fn new(headers: &HeaderMap, body: Body, silence_max: Duration) -> Result<Self, Refusal> {
        Ok(Self {
            body,
            packed: unpacker(headers)?,
            silence_max,
            heard: Instant::now(),
        })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing: ask again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            if let Some(unpacker) = &mut self.packed
                && let Some(piece) = unpacker.next()?
            {
                return Ok(Some(piece).filter(|piece| !piece.is_empty()));
            }
            match (self.frame().await?, &mut self.packed) {
                (frame, None) => return Ok(frame),
                (Some(frame), Some(unpacker)) => unpacker.feed(frame),
                (None, Some(unpacker)) => unpacker.end(),
            }
        }
    }

    /// The next bytes as they were sent; `None` at the end.
    async fn frame(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let frame = timeout_at(self.heard + self.silence_max, self.body.frame());
            let frame = match frame.await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(Refusal::BrokenOff(error.to_string())),
                Ok(None) => return Ok(None),
                Err(_) => return Err(Refusal::TooSlow),
            };
            self.heard = Instant::now();
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                // Trailers say nothing that is asked for.
                Err(_) => {}
            }
        }
    }
}

/// How many bytes so many may unpack to.
pub(super) fn unpacked_max(packed_bytes: u64) -> u64 {
    (packed_bytes * GZIP_RATIO_MAX).max(GZIP_UNWATCHED_BYTES)
}

/// What unpacks a body with these headers, if it is packed.
fn unpacker(headers: &HeaderMap) -> Result<Option<Unpacker>, Refusal> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let coding = codings.next().map(|value| value.to_str());
    let coding = match coding {
        None => return Ok(None),
        Some(Ok(coding)) if codings.next().is_none() => coding.trim(),
        Some(_) => return Err(Refusal::EncodingUnknown),
    };
    if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
        Ok(Some(Unpacker::new()))
    } else if coding.eq_ignore_ascii_case("identity") {
        Ok(None)
    } else {
        Err(Refusal::EncodingUnknown)
    }
}

/// Unpacks what it is fed, a piece at a time.
pub(super) struct Unpacker {
    /// Of the member that is read; `None` for a moment only, between two.
    decoder: Option<GzDecoder<Feed>>,
    members: u64,
    /// Whether bytes of 0 came behind the last member, as tapes and blocks are filled up.
    is_padded: bool,
    /// How many of them.
    padding_bytes: u64,
    piece: Box<[u8]>,
    packed_bytes: u64,
    unpacked_bytes: u64,
}

/// The bytes that were fed and are not unpacked yet.
struct Feed {
    bytes: Bytes,
    ended: bool,
    /// How many more are unpacked before it is looked at what they come to.
    allowed: u64,
}

impl Unpacker {
    pub fn new() -> Self {
        let feed = Feed {
            bytes: Bytes::new(),
            ended: false,
            allowed: 0,
        };
        Self {
            decoder: Some(GzDecoder::new(feed)),
            members: 1,
            is_padded: false,
            padding_bytes: 0,
            piece: vec![0; PIECE_BYTES_MAX].into(),
            packed_bytes: 0,
            unpacked_bytes: 0,
        }
    }

    /// Precondition: [`Self::next`] has nothing more to say.
    pub fn feed(&mut self, bytes: Bytes) {
        self.packed_bytes += bytes.len() as u64;
        self.fed().bytes = bytes;
    }

    /// Nothing more will be fed.
    pub fn end(&mut self) {
        self.fed().ended = true;
    }

    fn fed(&mut self) -> &mut Feed {
        let decoder = self.decoder.as_mut();
        decoder.expect("there is one between calls").get_mut()
    }

    /// The next piece, an empty one at the end; `None` if more must be fed.
    pub fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let read = loop {
            if self.is_padded {
                return self.padding();
            }
            let decoder = self.decoder.as_mut().expect("there is one between calls");
            let most = GZIP_EMPTY_BYTES_MAX + GZIP_BYTES_PER_BYTE * self.unpacked_bytes;
            let feed = decoder.get_mut();
            let read_bytes = self.packed_bytes - feed.bytes.len() as u64;
            feed.allowed = most.saturating_sub(read_bytes);
            match decoder.read(&mut self.piece) {
                Ok(0) if decoder.get_ref().ended && decoder.get_ref().bytes.is_empty() => break 0,
                // This member is at its end, and it is not known yet whether another follows.
                Ok(0) if decoder.get_ref().bytes.is_empty() => return Ok(None),
                Ok(0) if decoder.get_ref().bytes[0] == 0 => self.is_padded = true,
                Ok(0) => self.next_member()?,
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let has_more = !decoder.get_ref().bytes.is_empty();
                    return if has_more {
                        Err(Refusal::GzipEmpty)
                    } else {
                        Ok(None)
                    };
                }
                Err(error) => return Err(Refusal::GzipMalformed(error.to_string())),
            }
        };
        self.unpacked_bytes += read as u64;
        if self.unpacked_bytes > unpacked_max(self.packed_bytes) {
            let ratio_max = GZIP_RATIO_MAX;
            return Err(Refusal::GzipRatio { ratio_max });
        }
        Ok(Some(Bytes::copy_from_slice(&self.piece[..read])))
    }

    /// Passes over what fills up the body behind its last member.
    fn padding(&mut self) -> Result<Option<Bytes>, Refusal> {
        let feed = self.fed();
        let zeros = feed.bytes.iter().take_while(|byte| **byte == 0).count();
        feed.bytes.advance(zeros);
        let (is_empty, has_ended) = (feed.bytes.is_empty(), feed.ended);
        self.padding_bytes += zeros as u64;
        if self.padding_bytes > GZIP_PADDING_BYTES_MAX {
            return Err(Refusal::GzipEmpty);
        }
        match (is_empty, has_ended) {
            (false, _) => {
                let what = "something follows the bytes of 0 behind the last member";
                Err(Refusal::GzipMalformed(what.into()))
            }
            (true, false) => Ok(None),
            (true, true) => Ok(Some(Bytes::new())),
        }
    }

    /// Begins the member behind the one that has ended.
    fn next_member(&mut self) -> Result<(), Refusal> {
        self.members += 1;
        if self.members > GZIP_MEMBERS_MAX + self.unpacked_bytes / GZIP_MEMBER_BYTES {
            return Err(Refusal::GzipMembers);
        }
        let ended = self.decoder.take().expect("there is one between calls");
        self.decoder = Some(GzDecoder::new(ended.into_inner()));
        Ok(())
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let read = bytes.len().min(into.len());
        into[..read].copy_from_slice(&bytes[..read]);
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let waits = self.bytes.is_empty() && !self.ended;
        let must_wait = !self.bytes.is_empty() && self.allowed == 0;
        if waits || must_wait {
            return Err(ErrorKind::WouldBlock.into());
        }
        let allowed = usize::try_from(self.allowed).unwrap_or(usize::MAX);
        Ok(&self.bytes[..self.bytes.len().min(allowed)])
    }

    fn consume(&mut self, count: usize) {
        self.bytes.advance(count);
        self.allowed -= count as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn unpacked(packed: &[u8], frame_bytes: usize) -> Result<Vec<u8>, Refusal> {
        let frames: Vec<_> = packed.chunks(frame_bytes).map(<[u8]>::to_vec).collect();
        let frames = stream::iter(frames.into_iter().map(Ok::<_, io::Error>));
        let headers = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        let headers = HeaderMap::from_iter(headers);
        let silence_max = Duration::from_secs(60);
        let mut incoming = Incoming::new(&headers, Body::from_stream(frames), silence_max)?;
        let mut whole = Vec::new();
        while let Some(piece) = incoming.next().await? {
            assert!(piece.len() <= PIECE_BYTES_MAX);
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    #[tokio::test]
    async fn a_packed_body_is_the_same_however_it_is_cut() {
        let lines: String = (0..5000).map(|n| format!("{{\"value\":{n}}}\n")).collect();
        let mut packed = gzip(lines.as_bytes());
        // Members one after another are one text (RFC 1952 section 2.2).
        packed.extend_from_slice(&gzip(b"the end"));
        for frame_bytes in [1, 7, 1000, packed.len()] {
            let whole = unpacked(&packed, frame_bytes).await.unwrap();
            assert_eq!(whole, format!("{lines}the end").as_bytes(), "{frame_bytes}");
        }
    }

    #[tokio::test]
    async fn a_packed_body_may_be_filled_up_with_bytes_of_0() {
        let mut packed = gzip(b"{}");
        packed.resize(packed.len() + 100_000, 0);
        for frame_bytes in [1, 1000, packed.len()] {
            let whole = unpacked(&packed, frame_bytes).await;
            assert_eq!(whole, Ok(b"{}".to_vec()), "{frame_bytes}");
        }
    }

    #[tokio::test]
    async fn p5_bytes_of_0_behind_a_packed_body_have_a_bound() {
        let packed = gzip(b"{}");
        let filled = |zeros: usize| [&packed[..], &vec![0; zeros]].concat();
        let most = 1 << 20;
        for frame_bytes in [4096, 2 * most] {
            let whole = unpacked(&filled(most), frame_bytes).await;
            assert_eq!(whole, Ok(b"{}".to_vec()), "{frame_bytes}");
            let refused = unpacked(&filled(most + 1), frame_bytes).await;
            assert_eq!(refused, Err(Refusal::GzipEmpty), "{frame_bytes}");
        }
    }

    #[tokio::test]
    async fn what_is_no_gzip_or_breaks_off_is_said() {
        let packed = gzip(b"{}");
        let mut other_sum = packed.clone();
        *other_sum.last_mut().unwrap() ^= 1;
        let followed = [&packed[..], b"and more"].concat();
        let behind_padding = [&packed[..], b"\0\0\0\0", &packed[..]].concat();
        let none: &[u8] = b"";
        for broken in [
            &b"{}"[..],
            none,
            &packed[..5],
            &packed[..packed.len() - 3],
            &other_sum,
            &followed,
            &behind_padding,
        ] {
            let refused = unpacked(broken, 3).await;
            let is_said = matches!(refused, Err(Refusal::GzipMalformed(_)));
            assert!(is_said, "{broken:?}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn p5_a_gzip_bomb_is_refused_before_it_goes_off() {
        let bomb = gzip(&vec![b'0'; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let refused = unpacked(&bomb, 16 << 10).await;
        let ratio_max = GZIP_RATIO_MAX;
        assert_eq!(refused, Err(Refusal::GzipRatio { ratio_max }));
        let short = vec![b'0'; GZIP_UNWATCHED_BYTES as usize];
        assert_eq!(unpacked(&gzip(&short), 16 << 10).await, Ok(short));
    }

    #[tokio::test]
    async fn p5_a_body_of_members_that_hold_nothing_is_not_read_to_its_end() {
        let empty = gzip(b"");
        let many = empty.repeat(100_000);
        let frames: usize = 16 << 10;
        let mut unpacker = Unpacker::new();
        let mut refused = None;
        for frame in many.chunks(frames) {
            unpacker.feed(Bytes::copy_from_slice(frame));
            match unpacker.next() {
                Ok(None) => {}
                other => {
                    refused = Some(other);
                    break;
                }
            }
        }
        assert_eq!(refused, Some(Err(Refusal::GzipMembers)));
        assert_eq!(
            unpacker.members,
            GZIP_MEMBERS_MAX + 1,
            "none further is begun"
        );
        // Many that hold something are one text, and so are some that hold nothing.
        let line = vec![b'0'; GZIP_MEMBER_BYTES as usize];
        let lines = 2 * GZIP_MEMBERS_MAX as usize;
        let packed = [gzip(&line).repeat(lines), empty.repeat(100)].concat();
        let whole = unpacked(&packed, frames).await.unwrap();
        assert_eq!(whole.len(), lines * line.len());
    }

    /// A body of one member of these blocks (RFC 1951, section 3.2.3), cut off behind them.
    fn of_blocks(block: &[u8], count: usize) -> Vec<u8> {
        let head = &gzip(b"")[..10];
        [head, &block.repeat(count)].concat()
    }

    #[tokio::test]
    async fn p5_blocks_that_hold_nothing_are_not_read_to_their_end() {
        // A stored block of no bytes, as whoever flushes sends it.
        let empty = [0, 0, 0, 0xff, 0xff];
        let body = of_blocks(&empty, 200_000);
        for frame_bytes in [7, 16 << 10, body.len()] {
            let mut unpacker = Unpacker::new();
            let mut refused = None;
            for frame in body.chunks(frame_bytes) {
                unpacker.feed(Bytes::copy_from_slice(frame));
                match unpacker.next() {
                    Ok(None) => {}
                    other => {
                        refused = Some(other);
                        break;
                    }
                }
            }
            assert_eq!(refused, Some(Err(Refusal::GzipEmpty)), "{frame_bytes}");
            let left = unpacker.fed().bytes.len() as u64;
            let read = unpacker.packed_bytes - left;
            assert!(read <= GZIP_EMPTY_BYTES_MAX, "{read} of them are read");
        }
        // Who flushes after each byte is understood, and who sends what does not pack.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for byte in 0..60_000_u32 {
            encoder.write_all(&[byte as u8]).unwrap();
            encoder.flush().unwrap();
        }
        let packed = encoder.finish().unwrap();
        assert!(packed.len() as u64 > GZIP_EMPTY_BYTES_MAX + 5 * 60_000);
        assert_eq!(unpacked(&packed, 1000).await.unwrap().len(), 60_000);
    }

    #[test]
    fn other_encodings_are_refused() {
        let of = |values: &[&'static str]| {
            let values = values.iter().map(|value| HeaderValue::from_static(value));
            let headers = values.map(|value| (CONTENT_ENCODING, value));
            unpacker(&HeaderMap::from_iter(headers)).map(|unpacker| unpacker.is_some())
        };
        assert_eq!(of(&[]), Ok(false));
        assert_eq!(of(&["Identity"]), Ok(false));
        assert_eq!(of(&["GZIP"]), Ok(true));
        for unknown in [&["br"][..], &["gzip, gzip"], &["deflate"], &[""]] {
            assert_eq!(of(unknown), Err(Refusal::EncodingUnknown), "{unknown:?}");
        }
    }
}
