//! The beginning of a connection: CONNECT, and what it is answered if the client is not let in.
//!
//! Arrives: an accepted socket. Leaves: a [`Client`] with its CONNACK, not yet written; or the
//! reason why the connection ends, which the client was told as far as its version can say it.
//! Promise: it ends in time, whatever the client does.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::admission::{Client, admit};
use super::budget::Account;
use super::close::CloseReason;
use super::codec::{self, Malformed, Packet, Refusal, Split, Version};
use super::connection::READ_BYTES_MIN;
use super::transport::Transport;
use super::{REFUSAL_WAIT, Shared};

/// Reads CONNECT; makes its answer, or sends it if it is a refusal.
pub(super) async fn introduced(
    stream: &mut impl Transport,
    received: &mut BytesMut,
    account: &mut Account,
    (shared, wait_max): (&Shared, Duration),
) -> Result<(Client, BytesMut), CloseReason> {
    let options = &shared.options;
    let first = first_packet(stream, received, account, options.packet_bytes_max);
    let read = timeout(wait_max, first)
        .await
        .unwrap_or(Err(CloseReason::ConnectOverdue));
    // Where nothing else can be told, it is told as in 3.1.1.
    let said = codec::version_said(received);
    let version = said.unwrap_or(Version::V311);
    let (version, refusal) = match read.and_then(|length| packet(received, length, version)) {
        Ok((Packet::Connect(connect), length)) => {
            let admitted = admit(&connect, &options.credentials)
                .and_then(|client| client.connack(options).map(|connack| (client, connack)));
            match admitted {
                Ok(admitted) => {
                    received.advance(length);
                    return Ok(admitted);
                }
                Err(refusal) => (version, refusal),
            }
        }
        // What is newer than version 5 is answered as in version 5 (section 3.1.2.2).
        Ok((Packet::ConnectOtherVersion { level: 6..=127 }, _)) => (Version::V5, Refusal::Version),
        Ok((Packet::ConnectOtherVersion { .. }, _)) => (version, Refusal::Version),
        Ok(_) => return Err(CloseReason::ConnectMissing),
        Err(CloseReason::Malformed(malformed)) if said == Some(Version::V5) => {
            (version, Refusal::Malformed(malformed))
        }
        Err(reason) => return Err(reason),
    };
    Err(refuse(stream, version, refusal).await)
}

/// Tells a client that it is not let in; with that its connection ends.
pub(super) async fn refuse(
    stream: &mut impl Transport,
    version: Version,
    refusal: Refusal,
) -> CloseReason {
    let mut answer = BytesMut::new();
    codec::put_refusal(&mut answer, version, refusal);
    // It fits into an empty socket buffer; who does not take it is not waited for.
    let told = async {
        stream.write_all(&answer).await?;
        stream.flush().await
    };
    let _told = timeout(REFUSAL_WAIT, told).await;
    CloseReason::Refused(refusal)
}

/// The packet of this length at the front, with its length.
fn packet(
    received: &BytesMut,
    length: usize,
    version: Version,
) -> Result<(Packet<'_>, usize), CloseReason> {
    let Ok(Split::Frame(frame, _)) = codec::split(&received[..length], length) else {
        unreachable!("it was found to be one packet");
    };
    let packet = frame.decode(version).map_err(CloseReason::Malformed)?;
    Ok((packet, length))
}

/// Reads until a whole packet lies at the front; returns its length.
async fn first_packet(
    stream: &mut impl Transport,
    received: &mut BytesMut,
    account: &mut Account,
    packet_bytes_max: usize,
) -> Result<usize, CloseReason> {
    loop {
        match codec::split(received, packet_bytes_max).map_err(CloseReason::Malformed)? {
            Split::Frame(_, length) => return Ok(length),
            Split::Part => received.reserve(READ_BYTES_MIN),
            Split::TooLong(_) => return Err(CloseReason::Malformed(Malformed::PacketTooLong)),
        }
        match stream.read_buf(received).await {
            Ok(0) => return Err(CloseReason::SocketClosed),
            // Whoever he is: half a packet is held for him.
            Ok(_) => account.set(received.len()),
            Err(_) => return Err(CloseReason::SocketFailed),
        }
    }
}
