//! Packets of both versions, damaged and cut anywhere. `PROPTEST_CASES` says how many times.

use proptest::prelude::*;

use super::*;
use crate::fuzzing::damage::Damage;

const READING: &str = r#"{"id":"e1","kind":"k","value":1,"observed_at":"2026-03-14T06:45:10Z"}"#;

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
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

fn own_properties(version: Version, properties: &[u8]) -> Vec<u8> {
    match version {
        Version::V311 => Vec::new(),
        Version::V5 => [&[properties.len() as u8], properties].concat(),
    }
}

fn properties() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![
        4 => Just(&b""[..]),
        2 => Just(&b"\x23\0\x01"[..]),
        1 => Just(&b"\x01\x01\x26\0\x01k\0\x01v\x02\0\0\0\x05"[..]),
        1 => Just(&b"\x23\0\x40\x08\0\x03a/b\x09\0\x01x"[..]),
    ]
}

fn topic() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("ioc/v1/readings/wl-1"),
        1 => Just("elsewhere"),
        1 => Just(""),
    ]
}

fn payload() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(READING.to_owned()),
        2 => "[ -~]{0,60}",
        1 => (500_usize..3000).prop_map(|length| "x".repeat(length)),
    ]
}

fn publish(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let parts = (0_u8..8, topic(), 1_u16..9, properties(), payload());
    parts.prop_map(move |(kind, topic, packet_id, properties, payload)| {
        // Mostly quality 1; redeliveries, quality 2 and one to be retained now and then.
        let first = [0x32, 0x32, 0x34, 0x30, 0x30, 0x3a, 0x3c, 0x33][usize::from(kind)];
        let packet_id = packet_id.to_be_bytes();
        let packet_id = match first {
            0x30 => &[][..],
            _ => &packet_id,
        };
        let own = own_properties(version, properties);
        packet(
            first,
            &[&text(topic), packet_id, &own, payload.as_bytes()].concat(),
        )
    })
}

fn other(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let own = own_properties(version, b"");
    let level = match version {
        Version::V311 => 4,
        Version::V5 => 5,
    };
    let subscribe = [b"\0\x01", &own[..], &text("ioc/v1/decisions/#"), &[1]].concat();
    let unsubscribe = [b"\0\x02", &own[..], &text("ioc/v1/decisions/+")].concat();
    let connect = [&text("MQTT")[..], &[level, 2, 0, 60], &own, &text("c")].concat();
    prop_oneof![
        4 => Just(b"\xc0\0".to_vec()),
        2 => Just(packet(0x82, &subscribe)),
        2 => Just(packet(0xa2, &unsubscribe)),
        1 => Just(packet(0x10, &connect)),
        1 => Just(b"\x40\x02\0\x01".to_vec()),
        1 => (1_u8..9).prop_map(|id| vec![0x62, 2, 0, id]),
        1 => Just(b"\x50\x02\0\x01".to_vec()),
        1 => Just(b"\xe0\0".to_vec()),
        1 => Just(packet(0xf0, b"\x18\0")),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

/// A stream of packets, its first byte choosing the version.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    any::<bool>().prop_flat_map(|is_v5| {
        let version = if is_v5 { Version::V5 } else { Version::V311 };
        let each = prop_oneof![3 => publish(version), 1 => other(version)];
        proptest::collection::vec(each, 1..20).prop_map(move |packets| {
            let mut stream = vec![u8::from(is_v5)];
            stream.extend(packets.concat());
            stream
        })
    })
}

proptest! {
    // A case takes some microseconds: more of them than of other properties.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases * 8,
        ..ProptestConfig::default()
    })]

    #[test]
    fn wherever_a_stream_is_cut_the_same_comes_of_it(
        stream in stream(),
        pieces in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        session(&stream, &pieces);
    }

    #[test]
    fn wherever_a_damaged_stream_is_cut_the_same_comes_of_it(
        mut stream in stream(),
        damages in proptest::collection::vec(Damage::any(), 1..5),
        pieces in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        for damage in &damages {
            damage.apply(&mut stream);
            stream.push(0);
        }
        session(&stream, &pieces);
        introduction(&stream);
        introduction(&stream[1..]);
    }

    #[test]
    fn wherever_any_bytes_are_cut_the_same_comes_of_them(
        stream: Vec<u8>,
        pieces in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        session(&stream, &pieces);
        introduction(&stream);
    }

    #[test]
    fn a_damaged_connect_is_answered_or_has_a_reason(
        is_v5: bool,
        flags in prop_oneof![Just(0x02_u8), Just(0xc2), Just(0x26), any::<u8>()],
        own in prop_oneof![
            Just(&b""[..]),
            Just(&b"\x11\0\0\0\x05\x21\0\x05\x27\0\0\0\x20\x22\0\x01\x19\x01\x17\0\x26\0\0\0\0"[..]),
            Just(&b"\x15\0\x01x\x16\0\x01y"[..]),
        ],
        damages in proptest::collection::vec(Damage::any(), 0..3),
    ) {
        let (version, level) = if is_v5 { (Version::V5, 5) } else { (Version::V311, 4) };
        let own = own_properties(version, own);
        let rest = [text("c"), text("user"), text("password")].concat();
        let body = [&text("MQTT")[..], &[level, flags, 0, 60], &own, &rest].concat();
        let mut bytes = packet(0x10, &body);
        for damage in &damages {
            damage.apply(&mut bytes);
            bytes.push(0);
        }
        introduction(&bytes);
    }
}
