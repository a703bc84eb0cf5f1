//! The codec against what the standard says, and against another implementation: version 3.1.1,
//! and what the versions share. Version 5 is in `tests/v5.rs`.

mod v5;

use bytes::BytesMut;
use mqtt_protocol_core::mqtt::packet::v3_1_1 as oracle;
use mqtt_protocol_core::mqtt::packet::{Qos as OracleQos, SubEntry, SubOpts};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, SubackReturnCode};
use proptest::prelude::*;

use super::connect::Will;
use super::*;

const PACKET_BYTES_MAX: usize = 256 * 1024;

/// The one packet that these bytes are.
fn decode_as(version: Version, bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    match split(bytes, PACKET_BYTES_MAX)? {
        Split::Frame(frame, length) => {
            assert_eq!(length, bytes.len());
            frame.decode(version)
        }
        Split::Part => panic!("a part of a packet"),
        Split::TooLong(_) => Err(Malformed::PacketTooLong),
    }
}

fn decode(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    decode_as(Version::V311, bytes)
}

#[test]
fn what_the_standard_forbids_is_malformed() {
    for (bytes, expected) in [
        (&b"\x00\x00"[..], Malformed::PacketType),
        (b"\xf0\x00", Malformed::PacketType),
        (b"\x20\x02\0\0", Malformed::PacketType),
        (b"\xd0\x00", Malformed::PacketType),
        (b"\xc1\x00", Malformed::Flags),
        (b"\xc0\x01x", Malformed::Length),
        (b"\xe2\x00", Malformed::Flags),
        (b"\x30\x00", Malformed::Length),
        (b"\x30\x03\0\x05a", Malformed::Length),
        (b"\x30\x02\0\0", Malformed::Topic),
        (b"\x30\x05\0\x03a/+", Malformed::Topic),
        (b"\x30\x03\0\x01#", Malformed::Topic),
        (b"\x30\x03\0\x01\xff", Malformed::Text),
        (b"\x30\x05\0\x03a\0b", Malformed::Text),
        (b"\x30\x05\0\x03\xed\xa0\x80", Malformed::Text),
        (b"\x36\x05\0\x01a\0\x01", Malformed::Qos),
        (b"\x38\x03\0\x01a", Malformed::Qos),
        (b"\x32\x05\0\x01a\0\0", Malformed::PacketId),
        (b"\x32\x04\0\x01a\0", Malformed::Length),
        (b"\x40\x02\0\0", Malformed::PacketId),
        (b"\x60\x02\0\x01", Malformed::Flags),
        (b"\x80\x06\0\x01\0\x01a\0", Malformed::Flags),
        (b"\x82\x02\0\x01", Malformed::NoFilter),
        (b"\x82\x06\0\x01\0\x01a\x03", Malformed::Qos),
        (b"\x82\x05\0\x01\0\x01a", Malformed::Length),
        (b"\x82\x07\0\x01\0\x02a#\0", Malformed::Topic),
        (b"\x82\x08\0\x01\0\x03#/a\0", Malformed::Topic),
        (b"\x82\x07\0\x01\0\x02a+\0", Malformed::Topic),
        (b"\x82\x05\0\x01\0\0\0", Malformed::Topic),
        (b"\xa2\x02\0\x01", Malformed::NoFilter),
        (b"\xa2\x05\0\0\0\x01a", Malformed::PacketId),
        (b"\x10\x0c\0\x04MQTU\x04\x02\0\0\0\0", Malformed::Protocol),
        (
            b"\x10\x0c\0\x04MQTT\x04\x03\0\0\0\0",
            Malformed::ConnectFlags,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x42\0\0\0\0",
            Malformed::ConnectFlags,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x0a\0\0\0\0",
            Malformed::ConnectFlags,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x22\0\0\0\0",
            Malformed::ConnectFlags,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x1e\0\0\0\0",
            Malformed::ConnectFlags,
        ),
        (b"\x10\x0c\0\x04MQTT\x04\x06\0\0\0\0", Malformed::Length),
        (b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\0x", Malformed::Length),
        (b"\x30\xff\xff\xff\xff\x01", Malformed::RemainingLength),
        (b"\x30\x80\x80\x80\x80", Malformed::RemainingLength),
        (b"\x30\xff\xff\xff\x7f", Malformed::PacketTooLong),
        (b"\x30\x80\x80\x10", Malformed::PacketTooLong),
    ] {
        assert_eq!(decode(bytes), Err(expected), "{}", bytes.escape_ascii());
    }
}

#[test]
fn other_versions_of_mqtt_are_told_apart() {
    let level = |bytes| match decode(bytes) {
        Ok(Packet::ConnectOtherVersion { level }) => level,
        other => panic!("{other:?}"),
    };
    assert_eq!(level(b"\x10\x0e\0\x06MQIsdp\x03\x02\0\0\0\0"), 3);
    assert_eq!(level(b"\x10\x0d\0\x04MQTT\x06\x02\0\0\0\0\0"), 6);
    assert_eq!(level(b"\x10\x0e\0\x06MQIsdp\x83\x02\0\0\0\0"), 0x83);
    assert_eq!(level(b"\x10\x0d\0\x04MQTT\x85\x02\0\0\0\0\0"), 0x85);
}

#[test]
fn a_broker_that_speaks_for_others_is_told_apart() {
    let connect = |bytes| match decode(bytes) {
        Ok(Packet::Connect(connect)) => (connect.version, connect.is_bridge),
        other => panic!("{other:?}"),
    };
    let of_a_bridge = b"\x10\x0d\0\x04MQTT\x84\x02\0\x3c\0\x01b";
    assert_eq!(connect(of_a_bridge), (Version::V311, true));
    assert_eq!(version_said(of_a_bridge), Some(Version::V311));
    let of_a_sensor = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01b";
    assert_eq!(connect(of_a_sensor), (Version::V311, false));
}

#[test]
fn a_connect_says_its_version_before_all_of_it_is_there() {
    let v5 = b"\x10\x80\x01\0\x04MQTT\x05\x02\0\0\0\0\0";
    for length in 0..10 {
        assert_eq!(version_said(&v5[..length]), None, "{length}");
    }
    assert_eq!(version_said(&v5[..10]), Some(Version::V5));
    assert_eq!(version_said(b"\x10\x0c\0\x04MQTT\x04"), Some(Version::V311));
    assert_eq!(version_said(b"\x10\x0c\0\x04MQTT\x03"), None);
    assert_eq!(version_said(b"\x30\x0c\0\x04MQTT\x05"), None);
    assert_eq!(version_said(b"\x10\xff\xff\xff\xff\0\x04MQTT\x05"), None);
}

#[test]
fn a_part_is_no_packet_yet() {
    let whole = [&b"\x30\x80\x01\0\x01a"[..], &[0; 125]].concat();
    for length in 0..whole.len() {
        assert_eq!(split(&whole[..length], 1000), Ok(Split::Part), "{length}");
    }
    assert!(matches!(split(&whole, 1000), Ok(Split::Frame(_, 131))));
}

#[test]
fn answers_are_what_the_oracle_writes() {
    let refusals = [
        (
            Refusal::Version,
            ConnectReturnCode::UnacceptableProtocolVersion,
        ),
        (Refusal::ClientId, ConnectReturnCode::IdentifierRejected),
        (
            Refusal::ConnectionsMax,
            ConnectReturnCode::ServerUnavailable,
        ),
        (
            Refusal::Credentials,
            ConnectReturnCode::BadUserNameOrPassword,
        ),
        (Refusal::NotAuthorized, ConnectReturnCode::NotAuthorized),
    ];
    let connack = |code| {
        let builder = oracle::Connack::builder().session_present(false);
        let packet = builder.return_code(code).build().unwrap();
        packet.to_continuous_buffer()
    };
    for (own, theirs) in refusals {
        let mut out = BytesMut::new();
        put_refusal(&mut out, Version::V311, own);
        assert_eq!(out, connack(theirs));
    }
    let mut out = BytesMut::new();
    put_connack(&mut out, Version::V311, &v5::limits());
    assert_eq!(out, connack(ConnectReturnCode::Accepted));
    let mut out = BytesMut::new();
    put_pingresp(&mut out);
    assert_eq!(out, oracle::Pingresp::new().to_continuous_buffer());
}

fn qos() -> impl Strategy<Value = OracleQos> {
    prop_oneof![
        Just(OracleQos::AtMostOnce),
        Just(OracleQos::AtLeastOnce),
        Just(OracleQos::ExactlyOnce)
    ]
}

fn topic() -> impl Strategy<Value = String> {
    "[a-z0-9/ äß–𝄞]{1,40}"
}

fn filter() -> impl Strategy<Value = String> {
    "([a-z]{0,5}/|\\+/){0,4}([a-z]{1,5}|\\+|#)"
}

#[derive(Debug, Clone)]
struct AnyPublish {
    topic: String,
    payload: Vec<u8>,
    qos: OracleQos,
    packet_id: u16,
    duplicate: bool,
    retain: bool,
}

prop_compose! {
    fn any_publish()(
        topic in topic(),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        qos in qos(),
        packet_id in 1_u16..,
        duplicate: bool,
        retain: bool,
    ) -> AnyPublish {
        let duplicate = duplicate && qos != OracleQos::AtMostOnce;
        AnyPublish { topic, payload, qos, packet_id, duplicate, retain }
    }
}

impl AnyPublish {
    fn encoded_by_oracle(&self) -> Vec<u8> {
        let mut builder = oracle::Publish::builder()
            .topic_name(self.topic.as_str())
            .unwrap()
            .qos(self.qos)
            .dup(self.duplicate)
            .retain(self.retain)
            .payload(self.payload.clone());
        if self.qos != OracleQos::AtMostOnce {
            builder = builder.packet_id(self.packet_id);
        }
        builder.build().unwrap().to_continuous_buffer()
    }

    fn expected(&self) -> Publish<'_> {
        Publish {
            topic: &self.topic,
            topic_alias: None,
            content_type: None,
            event_properties: b"",
            payload: &self.payload,
            qos: match self.qos {
                OracleQos::AtMostOnce => Qos::Zero,
                OracleQos::AtLeastOnce => Qos::One(self.packet_id),
                OracleQos::ExactlyOnce => Qos::Two(self.packet_id),
            },
            duplicate: self.duplicate,
            retain: self.retain,
        }
    }
}

#[derive(Debug, Clone)]
struct AnyConnect {
    client_id: String,
    clean_session: bool,
    keep_alive_s: u16,
    will: Option<(String, Vec<u8>, OracleQos, bool)>,
    user: Option<String>,
    password: Option<Vec<u8>>,
}

prop_compose! {
    fn any_connect()(
        client_id in "[a-zA-Z0-9ü]{1,30}",
        clean_session: bool,
        keep_alive_s: u16,
        will in proptest::option::of((topic(), any::<Vec<u8>>(), qos(), any::<bool>())),
        user in proptest::option::of("[a-zü]{0,20}"),
        password: Option<Vec<u8>>,
    ) -> AnyConnect {
        let password = password.filter(|_| user.is_some());
        AnyConnect { client_id, clean_session, keep_alive_s, will, user, password }
    }
}

impl AnyConnect {
    fn encoded_by_oracle(&self) -> Vec<u8> {
        let mut builder = oracle::Connect::builder()
            .client_id(self.client_id.as_str())
            .unwrap()
            .clean_session(self.clean_session)
            .keep_alive(self.keep_alive_s);
        if let Some((topic, message, qos, retain)) = &self.will {
            let (topic, message) = (topic.as_str(), message.clone());
            builder = builder.will_message(topic, message, *qos, *retain).unwrap();
        }
        if let Some(user) = &self.user {
            builder = builder.user_name(user.as_str()).unwrap();
        }
        if let Some(password) = &self.password {
            builder = builder.password(password.clone()).unwrap();
        }
        builder.build().unwrap().to_continuous_buffer()
    }

    fn expected(&self) -> Connect<'_> {
        Connect {
            version: Version::V311,
            is_bridge: false,
            properties: ConnectProperties::default(),
            client_id: &self.client_id,
            clean_session: self.clean_session,
            keep_alive_s: self.keep_alive_s,
            will: self
                .will
                .as_ref()
                .map(|(topic, message, qos, retain)| Will {
                    topic,
                    message,
                    qos: *qos as u8,
                    retain: *retain,
                    delay_s: 0,
                    content_type: None,
                    event_properties: b"",
                }),
            user: self.user.as_deref(),
            password: self.password.as_deref(),
        }
    }
}

fn subscribe_by_oracle(packet_id: u16, filters: &[(String, OracleQos)]) -> Vec<u8> {
    let entry = |(filter, qos): &(String, OracleQos)| {
        SubEntry::new(filter.as_str(), SubOpts::new().set_qos(*qos)).unwrap()
    };
    let entries: Vec<_> = filters.iter().map(entry).collect();
    let builder = oracle::Subscribe::builder().packet_id(packet_id);
    let packet = builder.entries(entries).build();
    packet.unwrap().to_continuous_buffer()
}

/// Whether the oracle takes the packet, which ours took, for the same.
fn agrees(first: u8, body: &[u8], ours: &Packet<'_>) -> bool {
    match ours {
        Packet::Publish(own) => match oracle::Publish::parse(first & 0x0f, body.into()) {
            Ok((theirs, _)) => {
                own.topic == theirs.topic_name() && own.payload == theirs.payload().as_slice()
            }
            Err(_) => false,
        },
        // It knows nothing of bridges.
        Packet::Connect(own) if own.is_bridge => true,
        Packet::Connect(own) => match oracle::Connect::parse(body) {
            Ok((theirs, _)) => {
                own.client_id == theirs.client_id()
                    && own.user == theirs.user_name()
                    && own.password == theirs.password()
                    && own.will.map(|will| will.topic) == theirs.will_topic()
            }
            Err(_) => false,
        },
        Packet::Subscribe(own) => match oracle::Subscribe::parse(body) {
            Ok((theirs, _)) => {
                let entries = theirs.entries().iter().map(SubEntry::topic_filter);
                own.filters().map(|wanted| wanted.filter).eq(entries)
            }
            Err(_) => false,
        },
        Packet::Unsubscribe(own) => match oracle::Unsubscribe::parse(body) {
            Ok((theirs, _)) => own
                .filters()
                .map(|wanted| wanted.filter)
                .eq(theirs.entries().iter().map(|e| e.as_str())),
            Err(_) => false,
        },
        Packet::ConnectOtherVersion { .. } => oracle::Connect::parse(body).is_err(),
        Packet::Answer(_) | Packet::PingReq | Packet::Disconnect { .. } | Packet::Auth => true,
    }
}

proptest! {
    #[test]
    fn their_publish_is_ours(publish in any_publish()) {
        let bytes = publish.encoded_by_oracle();
        prop_assert_eq!(decode(&bytes), Ok(Packet::Publish(publish.expected())));
        if publish.qos != OracleQos::ExactlyOnce && !publish.duplicate {
            let is_confirmed = publish.qos == OracleQos::AtLeastOnce;
            let mut own = BytesMut::new();
            let placed = put_message(&mut own, Version::V311, &Outgoing {
                topic: &publish.topic,
                payload: &publish.payload,
                content_type: Some("for version 5"),
                is_text: true,
                expires_in_s: Some(7),
                packet_id: is_confirmed.then_some(publish.packet_id),
            });
            own[0] |= u8::from(publish.retain);
            prop_assert_eq!(&own[..], &bytes[..], "and ours is theirs");
            let placed = &own[placed.unwrap()..];
            let id = publish.packet_id.to_be_bytes();
            prop_assert!(!is_confirmed || placed.starts_with(&id), "it is where it is said to be");
        }
    }

    #[test]
    fn their_connect_is_ours(connect in any_connect()) {
        let bytes = connect.encoded_by_oracle();
        prop_assert_eq!(decode(&bytes), Ok(Packet::Connect(connect.expected())));
    }

    #[test]
    fn their_subscriptions_are_ours(
        packet_id in 1_u16..,
        filters in proptest::collection::vec((filter(), qos()), 1..8),
    ) {
        let names: Vec<_> = filters.iter().map(|(filter, _)| filter.as_str()).collect();
        let bytes = subscribe_by_oracle(packet_id, &filters);
        match decode(&bytes) {
            Ok(Packet::Subscribe(own)) => {
                prop_assert_eq!(own.packet_id, packet_id);
                prop_assert_eq!(own.filters().map(|wanted| wanted.filter).collect::<Vec<_>>(), names.clone());
                let qualities = own.filters().map(|wanted| wanted.qos);
                prop_assert!(qualities.eq(filters.iter().map(|(_, qos)| *qos as u8)));
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let builder = oracle::Unsubscribe::builder().packet_id(packet_id);
        let packet = builder.entries(names.clone()).unwrap().build().unwrap();
        match decode(&packet.to_continuous_buffer()) {
            Ok(Packet::Unsubscribe(own)) => {
                prop_assert_eq!(own.packet_id, packet_id);
                prop_assert_eq!(own.filters().map(|wanted| wanted.filter).collect::<Vec<_>>(), names);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn packets_without_a_body_of_note_are_ours(packet_id in 1_u16..) {
        let ping = oracle::Pingreq::new().to_continuous_buffer();
        prop_assert_eq!(decode(&ping), Ok(Packet::PingReq));
        let disconnect = oracle::Disconnect::new().to_continuous_buffer();
        prop_assert_eq!(decode(&disconnect), Ok(Packet::Disconnect { code: 0 }));
        let puback = oracle::Puback::builder().packet_id(packet_id).build().unwrap();
        let pubrec = oracle::Pubrec::builder().packet_id(packet_id).build().unwrap();
        let pubrel = oracle::Pubrel::builder().packet_id(packet_id).build().unwrap();
        let pubcomp = oracle::Pubcomp::builder().packet_id(packet_id).build().unwrap();
        for (bytes, kind) in [
            (puback.to_continuous_buffer(), AnswerKind::Acknowledged),
            (pubrec.to_continuous_buffer(), AnswerKind::Received),
            (pubrel.to_continuous_buffer(), AnswerKind::Released),
            (pubcomp.to_continuous_buffer(), AnswerKind::Completed),
        ] {
            let answer = Answer { kind, packet_id, code: 0 };
            prop_assert_eq!(decode(&bytes), Ok(Packet::Answer(answer)));
        }
    }

    #[test]
    fn our_acknowledgements_are_theirs(packet_id in 1_u16.., granted: Vec<bool>) {
        let mut out = BytesMut::new();
        put_answer(&mut out, AnswerKind::Acknowledged, packet_id);
        let theirs = oracle::Puback::builder().packet_id(packet_id).build().unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);

        out.clear();
        put_answer(&mut out, AnswerKind::Received, packet_id);
        let theirs = oracle::Pubrec::builder().packet_id(packet_id).build().unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);

        out.clear();
        put_answer(&mut out, AnswerKind::Completed, packet_id);
        let theirs = oracle::Pubcomp::builder().packet_id(packet_id).build().unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);

        out.clear();
        put_unsuback(&mut out, Version::V311, packet_id, [Removed::Yes].into_iter());
        let (theirs, _) = oracle::Unsuback::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);

        prop_assume!(!granted.is_empty());
        out.clear();
        let codes = granted.iter().map(|granted| match granted {
            true => (Granted::AtLeastOnce, SubackReturnCode::SuccessMaximumQos1),
            false => (Granted::FilterUnknown, SubackReturnCode::Failure),
        });
        let own = codes.clone().map(|(own, _)| own).collect::<Vec<_>>();
        put_suback(&mut out, Version::V311, packet_id, own.into_iter());
        let builder = oracle::Suback::builder().packet_id(packet_id);
        let theirs = builder.return_codes(codes.map(|(_, theirs)| theirs).collect());
        prop_assert_eq!(&out[..], &theirs.build().unwrap().to_continuous_buffer()[..]);
    }

    #[test]
    fn wherever_a_stream_is_cut_the_packets_are_the_same(
        publishes in proptest::collection::vec(any_publish(), 1..10),
        cuts in proptest::collection::vec(1_usize..400, 1..20),
    ) {
        let stream: Vec<u8> = publishes.iter().flat_map(AnyPublish::encoded_by_oracle).collect();
        let (mut received, mut seen, mut rest) = (Vec::new(), 0, &stream[..]);
        for cut in cuts.iter().cycle() {
            let (read, after) = rest.split_at((*cut).min(rest.len()));
            rest = after;
            received.extend_from_slice(read);
            while let Split::Frame(frame, length) = split(&received, PACKET_BYTES_MAX).unwrap() {
                let expected = publishes[seen].expected();
                prop_assert_eq!(frame.decode(Version::V311), Ok(Packet::Publish(expected)));
                received.drain(..length);
                seen += 1;
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen, publishes.len());
        prop_assert!(received.is_empty());
    }

    #[test]
    fn any_bytes_are_split_and_decoded_without_a_panic(bytes: Vec<u8>) {
        if let Ok(Split::Frame(frame, length)) = split(&bytes, PACKET_BYTES_MAX) {
            prop_assert!(length <= bytes.len());
            if let Ok(packet) = frame.decode(Version::V311) {
                prop_assert!(agrees(frame.first, frame.body, &packet), "{:?}", packet);
            }
        }
    }

    #[test]
    fn what_ours_takes_of_damaged_packets_theirs_takes_for_the_same(
        publish in any_publish(),
        connect in any_connect(),
        filters in proptest::collection::vec((filter(), qos()), 1..4),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for mut bytes in [
            publish.encoded_by_oracle(),
            connect.encoded_by_oracle(),
            subscribe_by_oracle(7, &filters),
        ] {
            for (place, byte) in &damages {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            let Ok(Split::Frame(frame, _)) = split(&bytes, PACKET_BYTES_MAX) else {
                continue;
            };
            if let Ok(packet) = frame.decode(Version::V311) {
                prop_assert!(agrees(frame.first, frame.body, &packet), "{:?}", packet);
            }
        }
    }
}
