//! What must hold whatever bytes a client sends: driven by the tests below and by
//! `fuzzing.rs`.
//!
//! Arrives: any bytes. Leaves: nothing, or a panic that says which promise was broken: no byte is
//! read twice or left out, wherever the stream is cut; what is kept is bounded; every end has a
//! reason. Not here: sockets and time.

use std::sync::Arc;

use bytes::BytesMut;

use super::admission::{Client, admit};
use super::close::CloseReason;
use super::codec::{self, Connect, ConnectProperties, Packet, Split, Version};
use super::deliveries::Deliveries;
use super::session::Session;
use crate::catalogue::Catalogue;
use crate::door::{Inputs, Lane, Lanes};
use crate::options::{Credentials, MqttOptions};

/// The longest packet of these sessions: short, so that longer ones are met with.
const PACKET_BYTES_MAX: usize = 600;

/// What came of a stream of bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    inputs: Vec<Vec<u8>>,
    acknowledgements: BytesMut,
    answers: BytesMut,
    end: Option<CloseReason>,
}

/// Feeds a stream to a session of the version that its first byte chooses, once whole and once cut
/// into pieces of these lengths, over and over; both must come to the same: so many inputs.
///
/// # Panics
/// If a promise of the listener is broken.
pub(crate) fn session(stream: &[u8], pieces: &[u8]) -> usize {
    let Some((first, stream)) = stream.split_first() else {
        return 0;
    };
    let version = match first & 1 {
        0 => Version::V311,
        _ => Version::V5,
    };
    let whole = feed(version, stream, &mut std::iter::once(stream.len()));
    let mut lengths = pieces.iter().map(|length| usize::from(*length) + 1).cycle();
    assert_eq!(whole, feed(version, stream, &mut lengths));
    whole.inputs.len()
}

/// Reads these bytes as the first of a connection; how many that are let in.
///
/// # Panics
/// If a promise of the listener is broken.
pub(crate) fn introduction(bytes: &[u8]) -> usize {
    let said = codec::version_said(bytes);
    let packet = match codec::split(bytes, PACKET_BYTES_MAX) {
        Ok(Split::Frame(frame, length)) => {
            assert!(length <= bytes.len());
            frame.decode(said.unwrap_or(Version::V311))
        }
        Ok(Split::Part | Split::TooLong(_)) => return 0,
        Err(malformed) => Err(malformed),
    };
    match packet {
        Ok(Packet::Connect(connect)) => {
            assert_eq!(said, Some(connect.version));
            usize::from(answer(&connect))
        }
        Ok(_) => 0,
        Err(malformed) => {
            assert!(!malformed.word().is_empty() && malformed.code() >= 0x80);
            0
        }
    }
}

/// Whether it is let in.
fn answer(connect: &Connect<'_>) -> bool {
    let options = MqttOptions::default();
    let connack = admit(connect, &Credentials::Anonymous)
        .and_then(|client| Ok((client.connack(&options)?, client)));
    match connack {
        Ok((connack, client)) => {
            assert!(connack.len() <= client.packet_bytes_max);
            assert!(!client.key.client_id.is_empty());
            true
        }
        Err(refusal) => {
            assert!(refusal.code(connect.version) > 0);
            false
        }
    }
}

fn client(version: Version) -> Client {
    let connect = Connect {
        version,
        is_bridge: false,
        client_id: "fuzzer",
        clean_session: true,
        keep_alive_s: 60,
        will: None,
        user: None,
        password: None,
        properties: ConnectProperties::default(),
    };
    admit(&connect, &Credentials::Anonymous).expect("it keeps to the rules")
}

/// Bounds that no stream of these tests reaches, so that cutting it changes nothing.
fn options() -> MqttOptions {
    MqttOptions {
        packet_bytes_max: PACKET_BYTES_MAX,
        inflight_max: usize::MAX >> 1,
        decoded_bytes_max: usize::MAX,
        folded_bytes_max: usize::MAX,
        unwritten_bytes_max: usize::MAX,
        ..MqttOptions::default()
    }
}

/// Feeds a stream in pieces of these lengths. Nothing is durable before the end, so that what is
/// acknowledged does not depend on them.
fn feed(version: Version, mut stream: &[u8], lengths: &mut dyn Iterator<Item = usize>) -> Outcome {
    let mut session = Session::new(
        &client(version),
        Arc::new(options()),
        Deliveries::default(),
        Inputs::default(),
    );
    let mut outcome = Outcome {
        inputs: Vec::new(),
        acknowledgements: BytesMut::new(),
        answers: BytesMut::new(),
        end: None,
    };
    let mut received = BytesMut::new();
    while outcome.end.is_none()
        && let Some(length) = lengths.next()
        && !stream.is_empty()
    {
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        stream = rest;
        received.extend_from_slice(piece);
        outcome.end = take(&mut session, &mut received).err();
        // No kind is urgent here.
        let inputs = session.take_inputs(Lane::Telemetry);
        let inputs = inputs.map(|(inputs, _)| inputs).unwrap_or_default();
        assert!(inputs.bytes() <= bytes_max(piece.len(), inputs.count()));
        outcome.inputs.extend(inputs.iter().map(<[u8]>::to_vec));
        outcome.answers.unsplit(session.out.split());
    }
    if let Some(end) = outcome.end {
        assert!(!end.word().is_empty() && end.code().is_none_or(|code| code >= 0x80));
        assert_eq!(
            session.farewell(end).is_some(),
            version == Version::V5 && end.code().is_some()
        );
    }
    assert_eq!(session.in_flight(), outcome.inputs.len() as u64);
    session.settle(Lanes {
        urgent: 0,
        telemetry: outcome.inputs.len() as u64,
    });
    outcome.acknowledgements = session.out.split();
    outcome
}

/// Takes what was received: each byte of it once, and no more is left than a part of a packet.
fn take(session: &mut Session, received: &mut BytesMut) -> Result<(), CloseReason> {
    let before = received.clone();
    let (_, result) = session.take(received, &Catalogue::default());
    assert!(before.ends_with(received), "bytes are taken from the front");
    if result.is_ok() {
        assert!(
            received.len() < PACKET_BYTES_MAX,
            "{} bytes wait",
            received.len()
        );
        let left = received.clone();
        let (taken, again) = session.take(received, &Catalogue::default());
        assert_eq!(
            (taken.packets, again),
            (0, Ok(())),
            "nothing whole was left"
        );
        assert_eq!(*received, left);
    }
    result
}

/// How many bytes inputs may take: what was received, what a message before left to be ended,
/// and for each what a dead letter adds.
const fn bytes_max(received: usize, count: u32) -> usize {
    received + PACKET_BYTES_MAX + count as usize * 2048
}

#[cfg(test)]
mod tests;
