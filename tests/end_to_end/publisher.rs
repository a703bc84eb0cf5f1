//! A publisher that remembers exactly which of its readings were acknowledged: MQTT 3.1.1 at
//! QoS 1 or 2, written by hand so that nothing is sent again behind the test's back.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::DEADLINE;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    AtLeastOnce,
    ExactlyOnce,
}

pub struct Publisher {
    socket: TcpStream,
    quality: Quality,
    next_packet: u16,
    /// Readings in flight, oldest first: their packet ids and ids.
    pub in_flight: VecDeque<(u16, String)>,
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 128 } else { 0 };
        out.push((length % 128) as u8 | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

impl Publisher {
    /// Connects; the listener has accepted when this returns.
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        Self::connect_at(to, Quality::AtLeastOnce)
    }

    /// The same, to publish in this quality.
    pub fn connect_at(to: SocketAddr, quality: Quality) -> io::Result<Self> {
        let mut socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let mut body = Vec::new();
        field(&mut body, b"MQTT");
        body.extend([4, 2, 0, 60]);
        field(&mut body, b"publisher");
        socket.write_all(&packet(0x10, &body))?;
        let mut answer = [0; 4];
        socket.read_exact(&mut answer)?;
        assert_eq!(answer, [0x20, 2, 0, 0], "refused");
        Ok(Self {
            socket,
            quality,
            next_packet: 1,
            in_flight: VecDeque::new(),
        })
    }

    /// Sends a reading; its acknowledgement comes some time.
    pub fn publish(&mut self, sensor: &str, id: &str, reading: &str) -> io::Result<()> {
        self.publish_to(&format!("ioc/v1/readings/{sensor}"), id, reading)
    }

    /// Sends a message of any shape, which `id` names.
    pub fn publish_to(&mut self, topic: &str, id: &str, payload: &str) -> io::Result<()> {
        let mut body = Vec::new();
        field(&mut body, topic.as_bytes());
        body.extend(self.next_packet.to_be_bytes());
        body.extend(payload.as_bytes());
        self.in_flight.push_back((self.next_packet, id.to_owned()));
        self.next_packet = self.next_packet.checked_add(1).unwrap_or(1);
        let first = match self.quality {
            Quality::AtLeastOnce => 0x32,
            Quality::ExactlyOnce => 0x34,
        };
        self.socket.write_all(&packet(first, &body))
    }

    /// Waits for one acknowledgement, which must be the oldest's (MQTT 3.1.1 section 4.6). Of a
    /// message of quality 2 that is PUBREC; it is released at once.
    pub fn acknowledged(&mut self) -> io::Result<String> {
        let mut answer = self.answer()?;
        while answer[0] == 0x70 {
            answer = self.answer()?;
        }
        let (expected, id) = self.in_flight.pop_front().expect("something is in flight");
        let first = match self.quality {
            Quality::AtLeastOnce => 0x40,
            Quality::ExactlyOnce => 0x50,
        };
        assert_eq!(answer[..2], [first, 2], "PUBACK or PUBREC");
        let packet_id = u16::from_be_bytes([answer[2], answer[3]]);
        assert_eq!(packet_id, expected, "in order");
        if self.quality == Quality::ExactlyOnce {
            self.socket.write_all(&[0x62, 2, answer[2], answer[3]])?;
        }
        Ok(id)
    }

    fn answer(&mut self) -> io::Result<[u8; 4]> {
        let mut answer = [0; 4];
        self.socket.read_exact(&mut answer)?;
        Ok(answer)
    }
}
