//! MQTT 3.1.1 packets to clients: answers, and messages of quality 0.
//!
//! Arrives: what is to be said. Leaves: bytes, appended to what is to be written.

use bytes::{BufMut, Bytes, BytesMut};

/// The greatest remaining length (section 2.2.3), in four bytes.
const REMAINING_LENGTH_MAX: usize = 268_435_455;
const LENGTH_BYTES_MAX: usize = 4;

/// The answer to CONNECT (section 3.2.2.3). No session is ever present: none outlives its
/// connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::mqtt) enum ConnectCode {
    Accepted = 0,
    UnacceptableProtocolVersion = 1,
    IdentifierRejected = 2,
    ServerUnavailable = 3,
    BadUserNameOrPassword = 4,
    NotAuthorized = 5,
}

/// CONNACK.
pub(in crate::mqtt) const fn connack(code: ConnectCode) -> [u8; 4] {
    [0x20, 2, 0, code as u8]
}

/// PUBACK.
pub(in crate::mqtt) fn put_puback(out: &mut BytesMut, packet_id: u16) {
    let [high, low] = packet_id.to_be_bytes();
    out.put_slice(&[0x40, 2, high, low]);
}

/// PINGRESP.
pub(in crate::mqtt) fn put_pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// UNSUBACK.
pub(in crate::mqtt) fn put_unsuback(out: &mut BytesMut, packet_id: u16) {
    let [high, low] = packet_id.to_be_bytes();
    out.put_slice(&[0xb0, 2, high, low]);
}

/// What a filter of SUBSCRIBE is answered (section 3.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::mqtt) enum Granted {
    AtMostOnce = 0,
    Refused = 0x80,
}

/// SUBACK, with an answer for each filter.
pub(in crate::mqtt) fn put_suback(
    out: &mut BytesMut,
    packet_id: u16,
    granted: impl ExactSizeIterator<Item = Granted>,
) {
    out.put_u8(0x90);
    put_remaining_length(out, 2 + granted.len());
    out.put_u16(packet_id);
    for each in granted {
        out.put_u8(each as u8);
    }
}

/// A PUBLISH of quality 0; `None` if it is longer than a packet can be.
pub(in crate::mqtt) fn publish_at_most_once(topic: &str, payload: &[u8]) -> Option<Bytes> {
    let topic_bytes = u16::try_from(topic.len()).ok()?;
    let remaining = 2 + topic.len() + payload.len();
    if remaining > REMAINING_LENGTH_MAX {
        return None;
    }
    let mut out = BytesMut::with_capacity(1 + LENGTH_BYTES_MAX + remaining);
    out.put_u8(0x30);
    put_remaining_length(&mut out, remaining);
    out.put_u16(topic_bytes);
    out.put_slice(topic.as_bytes());
    out.put_slice(payload);
    Some(out.freeze())
}

/// Section 2.2.3: seven bits a byte, the least significant first.
fn put_remaining_length(out: &mut BytesMut, mut length: usize) {
    debug_assert!(length <= REMAINING_LENGTH_MAX, "{length}");
    while length > 0x7f {
        out.put_u8(length as u8 | 0x80);
        length >>= 7;
    }
    out.put_u8(length as u8);
}
