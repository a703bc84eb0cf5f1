//! As much of MQTT 3.1.1 as a load generator needs, encoded by hand.
//!
//! Arrives: payloads. Leaves: packets in a buffer, many to a write; and, of what comes back, the
//! packets one by one without a copy. Not here: keep-alive (0: none is promised), sessions,
//! answers to anything that a server only sends unasked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a server may take to answer before a bench gives up.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// First bytes of packets (section 2.2), with the flags that the standard fixes for them.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBLISH_QOS_1: u8 = 0x32;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// A connection that the server has accepted.
pub fn connect(to: SocketAddr, client_id: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    let id_length = client_id.len() as u16;
    let mut packet = vec![CONNECT, (12 + id_length) as u8];
    // Protocol name and level, clean session, no keep-alive (section 3.1.2).
    packet.extend_from_slice(b"\0\x04MQTT\x04\x02\0\0");
    packet.extend_from_slice(&id_length.to_be_bytes());
    packet.extend_from_slice(client_id.as_bytes());
    stream.write_all(&packet)?;
    expect_answer::<4>(&mut stream, CONNACK)?;
    Ok(stream)
}

/// Subscribes to one filter at quality 1.
pub fn subscribe(stream: &mut TcpStream, filter: &str) -> io::Result<()> {
    let length = filter.len() as u16;
    let mut packet = vec![SUBSCRIBE, (length + 5) as u8, 0, 1];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(filter.as_bytes());
    packet.push(1);
    stream.write_all(&packet)?;
    expect_answer::<5>(stream, SUBACK)
}

/// Lets one client of 3.1.1 in that subscribes to one filter, whatever it asks for.
pub fn let_in(listener: &TcpListener) -> io::Result<TcpStream> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    let mut received = Received::default();
    for answer in [&[CONNACK, 2, 0, 0][..], &[SUBACK, 3, 0, 1, 1]] {
        while received.packet().is_none() {
            received.read(&stream)?;
        }
        stream.write_all(answer)?;
    }
    Ok(stream)
}

fn expect_answer<const N: usize>(stream: &mut TcpStream, first: u8) -> io::Result<()> {
    let mut answer = [0; N];
    stream.read_exact(&mut answer)?;
    let refused = answer[0] != first || answer[N - 1] >= 0x80 || (N == 4 && answer[3] != 0);
    if refused {
        let message = format!("the server refused: {answer:02x?}");
        return Err(io::Error::other(message));
    }
    Ok(())
}

/// A PUBLISH at quality 1 (section 3.3) that is being written: topic, identifier, payload, in this
/// order.
#[derive(Debug)]
pub struct Publish {
    head: usize,
}

impl Publish {
    /// Begins one; the topic is to be appended next.
    pub fn begin(out: &mut Vec<u8>) -> Self {
        let head = out.len();
        out.extend_from_slice(&[PUBLISH_QOS_1, 0, 0, 0, 0]);
        Self { head }
    }

    /// Ends the topic; the payload is to be appended next.
    pub fn put_packet_id(&self, packet_id: u16, out: &mut Vec<u8>) {
        let topic = self.head + 5;
        let length = (out.len() - topic) as u16;
        out[topic - 2..topic].copy_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&packet_id.to_be_bytes());
    }

    /// Ends the packet.
    pub fn end(self, out: &mut [u8]) {
        // Two bytes of length reach to 16,383, more than any reading here.
        let length = out.len() - self.head - 3;
        assert!(length < 1 << 14, "a reading is short");
        out[self.head + 1] = length as u8 | 0x80;
        out[self.head + 2] = (length >> 7) as u8;
    }
}

/// Appends a PUBACK.
pub fn put_puback(out: &mut Vec<u8>, packet_id: u16) {
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[PUBACK, 2, high, low]);
}

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A message at quality 1 is taken over.
    PubAck,
    /// A message, with its packet identifier if it is at quality 1.
    Publish(Option<u16>, &'a [u8]),
    /// Anything else.
    Other,
}

/// Bytes received and not yet looked at.
#[derive(Debug)]
pub struct Received {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            bytes: vec![0; 256 << 10],
            begin: 0,
            end: 0,
        }
    }
}

impl Received {
    /// Reads once; returns how many bytes came. The end of the connection is an error.
    pub fn read(&mut self, mut from: impl Read) -> io::Result<usize> {
        self.bytes.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let read = from.read(&mut self.bytes[self.end..])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += read;
        Ok(read)
    }

    /// The next whole packet.
    pub fn packet(&mut self) -> Option<Heard<'_>> {
        let bytes = &self.bytes[self.begin..self.end];
        let (first, rest) = bytes.split_first()?;
        let (length, head) = remaining_length(rest)?;
        let body = rest.get(head..head + length)?;
        self.begin += 1 + head + length;
        Some(match first & 0xf0 {
            PUBACK => Heard::PubAck,
            PUBLISH => {
                let (topic, after) = body.split_first_chunk::<2>()?;
                let after = after.get(usize::from(u16::from_be_bytes(*topic))..)?;
                match first & 0x06 {
                    0 => Heard::Publish(None, after),
                    _ => {
                        let (id, payload) = after.split_first_chunk::<2>()?;
                        Heard::Publish(Some(u16::from_be_bytes(*id)), payload)
                    }
                }
            }
            _ => Heard::Other,
        })
    }
}

/// The remaining length (section 2.2.3) and how many bytes say it.
fn remaining_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for place in 0..4 {
        let byte = *bytes.get(place)?;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((length, place + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_however_it_is_cut() {
        let mut packet = Vec::new();
        let payload = [7; 200];
        let publish = Publish::begin(&mut packet);
        packet.push(b't');
        publish.put_packet_id(513, &mut packet);
        packet.extend(payload);
        publish.end(&mut packet);
        put_puback(&mut packet, 513);
        for cut in 0..packet.len() {
            let mut received = Received::default();
            let mut heard = Vec::new();
            for part in [&packet[..cut], &packet[cut..]] {
                if !part.is_empty() {
                    received.read(part).expect("bytes");
                }
                while let Some(packet) = received.packet() {
                    heard.push(match packet {
                        Heard::Publish(id, payload) => (id, payload.len()),
                        Heard::PubAck => (None, 0),
                        Heard::Other => (None, 1),
                    });
                }
            }
            assert_eq!(heard, [(Some(513), 200), (None, 0)], "cut at {cut}");
        }
    }
}
