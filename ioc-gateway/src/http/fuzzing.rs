//! What must hold whatever the body of a request is: driven by `fuzzing.rs`.
//!
//! Arrives: any bytes. Leaves: nothing, or a panic that says which promise was broken: items lie
//! in the body and keep to their bound; what is unpacked is the same wherever its packets were cut,
//! in pieces, and no more than it may be.

use axum::body::Bytes;

use super::answer::Refusal;
use super::body::split;
use super::incoming::{PIECE_BYTES_MAX, Unpacker, unpacked_max};
use crate::formats::bare;

/// How many items a body may have here: few, so that more are met with.
const ITEMS_MAX: usize = 16;
/// The first byte of a body that is packed.
const GZIP_BEGINS: u8 = 0x1f;

/// Any bytes as a body: packed, if they begin as what is packed does. How many items it has.
pub(crate) fn body(bytes: &[u8]) -> usize {
    if bytes.first() != Some(&GZIP_BEGINS) {
        return taken_apart(bytes);
    }
    let Ok(whole) = unpacked(bytes, bytes.len()) else {
        return 0;
    };
    let items = taken_apart(&whole);
    // Beyond it, how much may be unpacked depends on how much has come.
    if whole.len() as u64 <= unpacked_max(0) {
        assert_eq!(Ok(whole), unpacked(bytes, 7), "wherever it is cut");
    }
    items
}

/// A body is items that lie in it, or refused.
fn taken_apart(body: &[u8]) -> usize {
    let Ok(items) = split(body, ITEMS_MAX) else {
        return 0;
    };
    assert!(!items.is_empty() || bare(body).trim_ascii_start().starts_with(b"["));
    assert!(items.len() <= ITEMS_MAX);
    let total: usize = items.iter().map(|item| item.len()).sum();
    assert!(total <= body.len());
    items.len()
}

fn unpacked(packed: &[u8], frame_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let (mut unpacker, mut whole) = (Unpacker::new(), Vec::new());
    let mut frames = packed.chunks(frame_bytes);
    let mut fed = 0;
    loop {
        match unpacker.next()? {
            Some(piece) if piece.is_empty() => return Ok(whole),
            Some(piece) => {
                assert!(piece.len() <= PIECE_BYTES_MAX);
                whole.extend_from_slice(&piece);
                assert!(whole.len() as u64 <= unpacked_max(fed));
            }
            None => match frames.next() {
                Some(frame) => {
                    fed += frame.len() as u64;
                    unpacker.feed(Bytes::copy_from_slice(frame));
                }
                None => unpacker.end(),
            },
        }
    }
}
