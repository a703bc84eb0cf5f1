//! Payloads that are packed in a payload, as Eclipse Tahu does it (`PayloadUtil.compress`): the outer one
//! has the uuid `SPBV1.0_COMPRESSED`, the packed bytes as its body, and a metric `algorithm`. Sparkplug
//! 3.0 says nothing of it; edge nodes of Ignition and others can be told to.
//!
//! Arrives: a payload. Leaves: the one in it, if there is one. Bounds: what it unpacks to is no longer
//! than any message ([`MESSAGE_BYTES_MAX`]), nor than [`RATIO_MAX`] times its length beyond
//! [`UNWATCHED_BYTES`]; no more than that is ever unpacked.

use std::io::Read;

use flate2::read::{GzDecoder, ZlibDecoder};

use super::metric::Metrics;
use crate::formats::protobuf::{Fields, Wire, put_varint};
use crate::formats::{MESSAGE_BYTES_MAX, Reason, Reject};

/// What the uuid of a payload says in which another is packed.
const PACKED: &[u8] = b"SPBV1.0_COMPRESSED";
/// The metric that says how.
const ALGORITHM: &str = "algorithm";
/// How many times its length a packed payload may unpack to, beyond [`UNWATCHED_BYTES`].
const RATIO_MAX: usize = 100;
/// So much may be unpacked of however short a payload.
const UNWATCHED_BYTES: usize = 64 * 1024;

/// The fields of a Payload (section 6.4.5).
mod field {
    pub const SEQ: u64 = 3;
    pub const UUID: u64 = 4;
    pub const BODY: u64 = 5;
}

/// The payload that is packed in this one; `None` if none is.
///
/// # Errors
/// If it cannot be unpacked, or is too long then.
pub(super) fn unpacked(payload: &[u8]) -> Result<Option<Vec<u8>>, Reject> {
    let (mut fields, mut is_packed) = (Fields::new(payload), false);
    let (mut body, mut seq) = (None, None);
    // What is malformed is so for whoever reads it.
    while let Ok(Some(found)) = fields.next() {
        match found {
            (field::UUID, Wire::Bytes(uuid)) => is_packed = uuid == PACKED,
            (field::BODY, Wire::Bytes(bytes)) => body = Some(bytes),
            (field::SEQ, Wire::Varint(number)) => seq = Some(number),
            _ => {}
        }
    }
    let Some(body) = body.filter(|_| is_packed) else {
        return Ok(None);
    };
    let max = MESSAGE_BYTES_MAX.min(UNWATCHED_BYTES.max(RATIO_MAX * body.len()));
    let mut inner = Vec::new();
    let read = match algorithm(payload)? {
        Algorithm::Deflate => take(ZlibDecoder::new(body), max, &mut inner),
        Algorithm::Gzip => take(GzDecoder::new(body), max, &mut inner),
    };
    read.map_err(|error| {
        let detail = format!("its packed body cannot be unpacked: {error}");
        Reject::new(Reason::ProtobufMalformed, detail)
    })?;
    if inner.len() > max {
        let detail = format!(
            "it unpacks to more than {max} bytes; a message has at most {MESSAGE_BYTES_MAX}, and a \
             packed one {RATIO_MAX} times its length"
        );
        return Err(Reject::new(Reason::PayloadTooLong, detail));
    }
    // Its place among the node's messages may be said outside alone.
    if let (Some(seq), false) = (seq, says_seq(&inner)) {
        put_varint(&mut inner, field::SEQ, seq);
    }
    Ok(Some(inner))
}

/// Unpacks one byte more than may be, at most.
fn take(packed: impl Read, max: usize, into: &mut Vec<u8>) -> std::io::Result<usize> {
    packed.take(max as u64 + 1).read_to_end(into)
}

#[derive(Clone, Copy)]
enum Algorithm {
    Deflate,
    Gzip,
}

/// How the body is packed: by DEFLATE, with the frame of zlib, unless the payload says otherwise.
fn algorithm(payload: &[u8]) -> Result<Algorithm, Reject> {
    let mut metrics = Metrics::of(payload);
    while let Some((metric, _)) = metrics.next()? {
        if metric.name != ALGORITHM {
            continue;
        }
        let text = metric.as_text().unwrap_or_default();
        if text.eq_ignore_ascii_case("gzip") {
            return Ok(Algorithm::Gzip);
        }
        if !text.eq_ignore_ascii_case("deflate") {
            let text = crate::formats::cut(text);
            let detail = format!("its body is packed by {text:?}; GZIP and DEFLATE are understood");
            return Err(Reject::new(Reason::ProtobufMalformed, detail));
        }
    }
    Ok(Algorithm::Deflate)
}

fn says_seq(payload: &[u8]) -> bool {
    let mut fields = Fields::new(payload);
    while let Ok(Some((number, _))) = fields.next() {
        if number == field::SEQ {
            return true;
        }
    }
    false
}
