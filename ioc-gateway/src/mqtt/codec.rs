//! MQTT 3.1.1 packets from clients, as far as a listener for publishers and subscribers needs them.
//!
//! Arrives: the bytes of a socket. Leaves: [`Packet`]s that borrow from them. Promise: any bytes are split and decoded without a panic and without allocating; what
//! the standard forbids is [`Malformed`], with its own word. Section numbers are those of
//! "MQTT Version 3.1.1" (OASIS, 2014). Not here: what packets mean, see
//! `session.rs`. Next: `codec/answers.rs`, what is sent back.

mod answers;

pub(super) use self::answers::{
    ConnectCode, Granted, connack, publish_at_most_once, put_pingresp, put_puback, put_suback,
    put_unsuback,
};

/// The most bytes that a remaining length takes (section 2.2.3).
const LENGTH_BYTES_MAX: usize = 4;

macro_rules! malformed {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// What makes a packet malformed. The words are stable: dashboards count by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Malformed { $($(#[$doc])* $variant,)+ }

        impl Malformed {
            /// The word that it is counted by.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

malformed! {
    /// The remaining length takes more than four bytes.
    RemainingLength = "malformed_remaining_length",
    /// The packet is longer than the listener takes.
    PacketTooLong = "packet_too_long",
    /// The type is reserved, or one that only a server sends.
    PacketType = "malformed_packet_type",
    /// The flags of the fixed header are not those of the type.
    Flags = "malformed_flags",
    /// The body ends early, or goes on after its end.
    Length = "malformed_length",
    /// A text is not UTF-8, or holds the character U+0000.
    Text = "malformed_text",
    /// A packet identifier is 0.
    PacketId = "malformed_packet_id",
    /// A quality of service is 3, or a redelivery claims to be of quality 0.
    Qos = "malformed_qos",
    /// A topic is empty or has wildcards, or a filter has them in the wrong place.
    Topic = "malformed_topic",
    /// CONNECT names a protocol that is not MQTT.
    Protocol = "malformed_protocol",
    /// The flags of CONNECT contradict each other.
    ConnectFlags = "malformed_connect_flags",
    /// SUBSCRIBE or UNSUBSCRIBE without a filter.
    NoFilter = "malformed_no_filter",
}

/// One packet as it lies in the socket's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Type and flags.
    first: u8,
    /// What follows the fixed header.
    body: &'a [u8],
}

/// What stands at the front of a socket's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split<'a> {
    /// A whole packet, and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// A part of one. How long it will be is only a claim: nothing is reserved for it.
    Part,
}

/// Finds the first packet of these bytes.
pub(super) fn split(bytes: &[u8], packet_bytes_max: usize) -> Result<Split<'_>, Malformed> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(Split::Part);
    };
    let mut remaining = 0;
    for (place, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 != 0 {
            continue;
        }
        let header = 2 + place;
        let whole = header + remaining;
        if whole > packet_bytes_max {
            return Err(Malformed::PacketTooLong);
        }
        return Ok(match bytes.get(header..whole) {
            Some(body) => Split::Frame(
                Frame {
                    first: *first,
                    body,
                },
                whole,
            ),
            None => Split::Part,
        });
    }
    if rest.len() >= LENGTH_BYTES_MAX {
        return Err(Malformed::RemainingLength);
    }
    Ok(Split::Part)
}

/// A packet from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The client introduces itself (section 3.1).
    Connect(Connect<'a>),
    /// The client speaks a version of MQTT that is not spoken here; its CONNECT was not read on.
    ConnectOtherVersion {
        /// The protocol level: 3 for MQTT 3.1, 5 for MQTT 5.
        level: u8,
    },
    /// A message (section 3.3).
    Publish(Publish<'a>),
    /// An answer to a message of quality 1 or 2 (sections 3.4 to 3.7), of which none is sent here.
    Answer,
    /// The client wants messages (section 3.8).
    Subscribe(Subscribe<'a>),
    /// The client no longer wants messages (section 3.10).
    Unsubscribe(Subscribe<'a>),
    /// The client is alive (section 3.12).
    PingReq,
    /// The client goes, and means it (section 3.14).
    Disconnect,
}

/// How a client introduces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connect<'a> {
    pub client_id: &'a str,
    pub clean_session: bool,
    /// Seconds; 0 for none.
    pub keep_alive_s: u16,
    pub will: Option<Will<'a>>,
    pub user: Option<&'a str>,
    pub password: Option<&'a [u8]>,
}

/// What a client leaves to be published when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Will<'a> {
    pub topic: &'a str,
    pub message: &'a [u8],
    pub qos: u8,
    pub retain: bool,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Publish<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: Qos,
    pub duplicate: bool,
    pub retain: bool,
}

/// The quality of service of a message, with its packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Qos {
    /// At most once.
    Zero,
    /// At least once.
    One(u16),
    /// Exactly once.
    Two(u16),
}

/// SUBSCRIBE, or UNSUBSCRIBE, whose filters have no quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subscribe<'a> {
    pub packet_id: u16,
    /// The filters, checked.
    filters: &'a [u8],
    qos_bytes: usize,
}

impl<'a> Subscribe<'a> {
    /// The filters, in order.
    pub fn filters(&self) -> impl Iterator<Item = &'a str> {
        let mut rest = Body(self.filters);
        let qos_bytes = self.qos_bytes;
        std::iter::from_fn(move || {
            let filter = rest.text().ok()?;
            rest.bytes(qos_bytes).ok()?;
            Some(filter)
        })
    }
}

impl<'a> Frame<'a> {
    /// What the packet says.
    pub fn decode(self) -> Result<Packet<'a>, Malformed> {
        let flags = self.first & 0x0f;
        let body = Body(self.body);
        match self.first >> 4 {
            1 => flagged(flags, 0).and_then(|()| connect(body)),
            3 => publish(flags, body).map(Packet::Publish),
            // PUBACK, PUBREC, PUBREL, PUBCOMP: only PUBREL has a flag (section 2.2.2).
            kind @ 4..=7 => {
                flagged(flags, if kind == 6 { 2 } else { 0 })?;
                body.only_packet_id().map(|()| Packet::Answer)
            }
            8 => flagged(flags, 2).and_then(|()| filters(body, 1).map(Packet::Subscribe)),
            10 => flagged(flags, 2).and_then(|()| filters(body, 0).map(Packet::Unsubscribe)),
            12 => flagged(flags, 0)
                .and_then(|()| body.end())
                .map(|()| Packet::PingReq),
            14 => flagged(flags, 0)
                .and_then(|()| body.end())
                .map(|()| Packet::Disconnect),
            _ => Err(Malformed::PacketType),
        }
    }
}

const fn flagged(flags: u8, expected: u8) -> Result<(), Malformed> {
    if flags == expected {
        Ok(())
    } else {
        Err(Malformed::Flags)
    }
}

mod connect_flag {
    pub const RESERVED: u8 = 0x01;
    pub const CLEAN_SESSION: u8 = 0x02;
    pub const WILL: u8 = 0x04;
    pub const WILL_QOS: u8 = 0x18;
    pub const WILL_RETAIN: u8 = 0x20;
    pub const PASSWORD: u8 = 0x40;
    pub const USER: u8 = 0x80;
}

fn connect(mut body: Body<'_>) -> Result<Packet<'_>, Malformed> {
    use connect_flag::{CLEAN_SESSION, PASSWORD, RESERVED, USER};
    let (protocol, level) = (body.text()?, body.u8()?);
    match (protocol, level) {
        ("MQTT", 4) => {}
        ("MQTT" | "MQIsdp", level) => return Ok(Packet::ConnectOtherVersion { level }),
        _ => return Err(Malformed::Protocol),
    }
    let flags = body.u8()?;
    let password_alone = flags & PASSWORD != 0 && flags & USER == 0;
    if flags & RESERVED != 0 || password_alone {
        return Err(Malformed::ConnectFlags);
    }
    let keep_alive_s = body.u16()?;
    let connect = Connect {
        keep_alive_s,
        clean_session: flags & CLEAN_SESSION != 0,
        client_id: body.text()?,
        will: will(flags, &mut body)?,
        user: if flags & USER != 0 {
            Some(body.text()?)
        } else {
            None
        },
        password: if flags & PASSWORD != 0 {
            Some(body.sized()?)
        } else {
            None
        },
    };
    body.end()?;
    Ok(Packet::Connect(connect))
}

fn will<'a>(flags: u8, body: &mut Body<'a>) -> Result<Option<Will<'a>>, Malformed> {
    use connect_flag::{WILL, WILL_QOS, WILL_RETAIN};
    if flags & WILL == 0 {
        // Section 3.1.2.6 and 3.1.2.7: without a will, its flags are 0.
        return match flags & (WILL_QOS | WILL_RETAIN) {
            0 => Ok(None),
            _ => Err(Malformed::ConnectFlags),
        };
    }
    let qos = (flags & WILL_QOS) >> 3;
    if qos == 3 {
        return Err(Malformed::ConnectFlags);
    }
    Ok(Some(Will {
        topic: body.topic()?,
        message: body.sized()?,
        qos,
        retain: flags & WILL_RETAIN != 0,
    }))
}

fn publish(flags: u8, mut body: Body<'_>) -> Result<Publish<'_>, Malformed> {
    let duplicate = flags & 8 != 0;
    let topic = body.topic()?;
    let qos = match (flags >> 1) & 3 {
        0 if duplicate => return Err(Malformed::Qos),
        0 => Qos::Zero,
        1 => Qos::One(body.packet_id()?),
        2 => Qos::Two(body.packet_id()?),
        _ => return Err(Malformed::Qos),
    };
    Ok(Publish {
        topic,
        payload: body.0,
        qos,
        duplicate,
        retain: flags & 1 != 0,
    })
}

fn filters(mut body: Body<'_>, qos_bytes: usize) -> Result<Subscribe<'_>, Malformed> {
    let packet_id = body.packet_id()?;
    let filters = body.0;
    if filters.is_empty() {
        return Err(Malformed::NoFilter);
    }
    while !body.0.is_empty() {
        if !is_filter(body.text()?) {
            return Err(Malformed::Topic);
        }
        if body.bytes(qos_bytes)?.iter().any(|qos| *qos > 2) {
            return Err(Malformed::Qos);
        }
    }
    Ok(Subscribe {
        packet_id,
        filters,
        qos_bytes,
    })
}

/// Section 4.7.1: `+` stands alone in its level, `#` alone in the last one.
fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut is_well_formed = !filter.is_empty();
    while let Some(level) = levels.next() {
        is_well_formed &= match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            level => !level.contains(['+', '#']),
        };
    }
    is_well_formed
}

/// The rest of a packet's body.
#[derive(Clone, Copy)]
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    /// Section 1.5.3: UTF-8 without U+0000.
    fn text(&mut self) -> Result<&'a str, Malformed> {
        match std::str::from_utf8(self.sized()?) {
            Ok(text) if !text.contains('\0') => Ok(text),
            _ => Err(Malformed::Text),
        }
    }

    /// Section 3.3.2.1 and 4.7.3: at least one character, no wildcards.
    fn topic(&mut self) -> Result<&'a str, Malformed> {
        match self.text()? {
            topic if topic.is_empty() || topic.contains(['+', '#']) => Err(Malformed::Topic),
            topic => Ok(topic),
        }
    }

    /// Section 2.3.1: not 0.
    fn packet_id(&mut self) -> Result<u16, Malformed> {
        match self.u16()? {
            0 => Err(Malformed::PacketId),
            id => Ok(id),
        }
    }

    fn only_packet_id(mut self) -> Result<(), Malformed> {
        self.packet_id()?;
        self.end()
    }

    const fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Length)
        }
    }
}

#[cfg(test)]
mod tests;
