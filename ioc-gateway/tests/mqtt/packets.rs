//! Packets of either version, written by hand, byte for byte.

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V311,
    V5,
}

pub fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 0x7f {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    bytes
}

pub fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u16).to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}

/// Properties: nothing in 3.1.1.
pub fn properties(version: Version, properties: &[u8]) -> Vec<u8> {
    match version {
        Version::V311 => Vec::new(),
        Version::V5 => [&[properties.len() as u8], properties].concat(),
    }
}

/// A CONNECT for a clean session.
pub fn connect(version: Version, client_id: &str, keep_alive_s: u8) -> Vec<u8> {
    connect_with(version, 2, keep_alive_s, b"", &text(client_id))
}

pub fn connect_with(
    version: Version,
    flags: u8,
    keep_alive_s: u8,
    own_properties: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let level = match version {
        Version::V311 => 4,
        Version::V5 => 5,
    };
    let parts = [
        &text("MQTT")[..],
        &[level, flags, 0, keep_alive_s],
        &properties(version, own_properties),
        payload,
    ];
    packet(0x10, &parts)
}

pub const TOPIC: &str = "ioc/v1/readings/wl-01";

pub fn reading(id: &str) -> String {
    format!(r#"{{"id":"{id}","kind":"k","value":1,"observed_at":"2026-03-14T06:45:10Z"}}"#)
}

/// A reading at quality 1, or 0 for packet identifier 0.
pub fn publish(version: Version, id: &str, packet_id: u8) -> Vec<u8> {
    publish_to(version, TOPIC, packet_id, b"", &reading(id))
}

pub fn publish_to(
    version: Version,
    topic: &str,
    packet_id: u8,
    own_properties: &[u8],
    payload: &str,
) -> Vec<u8> {
    let (first, packet_id) = match packet_id {
        0 => (0x30, &[][..]),
        id => (0x32, &[0, id][..]),
    };
    let own_properties = properties(version, own_properties);
    let parts = [&text(topic), packet_id, &own_properties, payload.as_bytes()];
    packet(first, &parts)
}

pub fn puback(packet_id: u8) -> Vec<u8> {
    vec![0x40, 2, 0, packet_id]
}

/// A reading at quality 2.
pub fn publish_exactly_once(version: Version, id: &str, packet_id: u8) -> Vec<u8> {
    let mut packet = publish(version, id, packet_id);
    packet[0] = 0x34;
    packet
}

pub fn pubrec(packet_id: u8) -> Vec<u8> {
    vec![0x50, 2, 0, packet_id]
}

pub fn pubrel(packet_id: u8) -> Vec<u8> {
    vec![0x62, 2, 0, packet_id]
}

pub fn pubcomp(packet_id: u8) -> Vec<u8> {
    vec![0x70, 2, 0, packet_id]
}

/// The PUBACK of a dead letter.
pub fn puback_refused(version: Version, packet_id: u8, code: u8, word: &str) -> Vec<u8> {
    match version {
        Version::V311 => puback(packet_id),
        Version::V5 => packet(0x40, &[&[0, packet_id, code], &reason(word)]),
    }
}

/// What a client is told when its connection is closed: nothing in 3.1.1.
pub fn disconnect(version: Version, code: u8, word: &str) -> Vec<u8> {
    match version {
        Version::V311 => Vec::new(),
        Version::V5 => packet(0xe0, &[&[code], &reason(word)]),
    }
}

fn reason(word: &str) -> Vec<u8> {
    properties(Version::V5, &[&[31][..], &text(word)].concat())
}

/// A SUBSCRIBE for one filter, with the options (in 3.1.1, the quality) of its last byte.
pub fn subscribe_with(version: Version, packet_id: u8, filter: &str, options: u8) -> Vec<u8> {
    let properties = properties(version, b"");
    let filter = text(filter);
    packet(0x82, &[&[0, packet_id], &properties, &filter, &[options]])
}

pub fn subscribe(version: Version, packet_id: u8, filter: &str) -> Vec<u8> {
    subscribe_with(version, packet_id, filter, 0)
}

/// A SUBACK that says this of one filter.
pub fn suback_with(version: Version, packet_id: u8, code: u8) -> Vec<u8> {
    packet(0x90, &[&[0, packet_id], &properties(version, b""), &[code]])
}

/// A SUBACK that grants one filter at quality 0.
pub fn suback(version: Version, packet_id: u8) -> Vec<u8> {
    suback_with(version, packet_id, 0)
}
