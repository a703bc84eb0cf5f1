//! Sessions without sockets: bytes in, inputs and bytes out.

use ioc_core::record::Input;

use super::*;

const READING: &str = r#"{"id":"e1","kind":"k","value":1,"observed_at":"2026-03-14T06:45:10Z"}"#;

fn session(options: MqttOptions) -> Session {
    Session::new("pump-house", Arc::new(options), Decisions::default())
}

/// A PUBLISH of quality 1, or of quality 0 if the packet identifier is 0.
fn publish(topic: &str, payload: &str, packet_id: u16) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    let first = match packet_id {
        0 => 0x30,
        id => {
            body.extend_from_slice(&id.to_be_bytes());
            0x32
        }
    };
    body.extend_from_slice(payload.as_bytes());
    assert!(body.len() < 128 * 128);
    let length = [body.len() as u8 | 0x80, (body.len() >> 7) as u8];
    [&[first][..], &length, &body].concat()
}

fn take(session: &mut Session, bytes: &[u8]) -> Result<(), CloseReason> {
    let mut received = BytesMut::from(bytes);
    session.take(&mut received, &Catalogue::default()).1
}

fn inputs(session: &mut Session) -> Vec<String> {
    let Some((inputs, _)) = session.take_inputs() else {
        return Vec::new();
    };
    let said = |bytes: &[u8]| match Input::decode(bytes) {
        Ok(Input::Reading(reading)) => format!("reading of {}", reading.sensor),
        Ok(Input::DeadLetter(letter)) => {
            format!("{} {} {}", letter.source, letter.topic, letter.reason)
        }
        other => panic!("{other:?}"),
    };
    inputs.iter().map(said).collect()
}

#[test]
fn each_publish_is_one_input_in_its_place() {
    let mut session = session(MqttOptions::default());
    let stream = [
        publish("ioc/v1/readings/wl-1", READING, 1),
        publish("ioc/v1/readings/wl-2", "{}", 2),
        publish("ioc/v1/reading/wl-3", READING, 3),
        publish("ioc/v1/readings/", READING, 4),
        publish("ioc/v1/readings/a/b", READING, 5),
        publish("ioc/v1/readings/wl-6", READING, 0),
    ];
    assert_eq!(take(&mut session, &stream.concat()), Ok(()));
    assert_eq!(
        inputs(&mut session),
        [
            "reading of wl-1",
            "mqtt pump-house ioc/v1/readings/wl-2 kind_missing",
            "mqtt pump-house ioc/v1/reading/wl-3 topic_unknown",
            "mqtt pump-house ioc/v1/readings/ topic_unknown",
            "mqtt pump-house ioc/v1/readings/a/b topic_unknown",
            "reading of wl-6",
        ]
    );
    assert_eq!(session.in_flight(), 6);
}

#[test]
fn acknowledgements_are_written_for_what_is_durable_in_order() {
    let mut session = session(MqttOptions::default());
    let stream: Vec<_> = [7, 0, 3, 9, 0]
        .map(|id| publish("ioc/v1/readings/wl-1", READING, id))
        .concat();
    take(&mut session, &stream).unwrap();
    assert_eq!(session.out, b""[..]);
    session.settle(1);
    assert_eq!(session.out.split(), b"\x40\x02\0\x07"[..]);
    session.settle(2);
    assert_eq!(session.out, b""[..]);
    session.settle(5);
    assert_eq!(session.out, b"\x40\x02\0\x03\x40\x02\0\x09"[..]);
    assert_eq!(session.in_flight(), 0);
}

#[test]
fn a_session_takes_no_more_than_its_bounds_allow() {
    let stream = publish("ioc/v1/readings/wl-1", READING, 1).repeat(10);
    let taken_of = |options| {
        let mut session = session(options);
        let mut received = BytesMut::from(&stream[..]);
        let (taken, result) = session.take(&mut received, &Catalogue::default());
        assert_eq!(result, Ok(()));
        assert!(!session.has_room());
        assert_eq!(
            received.len(),
            stream.len() / 10 * (10 - taken.packets as usize)
        );
        taken.packets
    };
    let default = MqttOptions::default;
    assert_eq!(
        taken_of(MqttOptions {
            inflight_max: 3,
            ..default()
        }),
        3
    );
    assert_eq!(
        taken_of(MqttOptions {
            decoded_bytes_max: 1,
            ..default()
        }),
        1
    );

    let mut session = session(MqttOptions {
        unwritten_bytes_max: 4,
        ..default()
    });
    take(&mut session, b"\xc0\0\xc0\0\xc0\0").unwrap();
    assert_eq!(session.out, b"\xd0\0\xd0\0"[..], "the third ping waits");
}

#[test]
fn packets_that_a_client_may_not_send_end_the_session() {
    let end = |bytes: &[u8]| take(&mut session(MqttOptions::default()), bytes);
    let connect = b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0";
    assert_eq!(end(connect), Err(CloseReason::PacketUnexpected));
    assert_eq!(end(b"\x40\x02\0\x01"), Err(CloseReason::PacketUnexpected));
    assert_eq!(
        end(b"\x34\x05\0\x01a\0\x01"),
        Err(CloseReason::Qos2Unsupported)
    );
    assert_eq!(end(b"\xe0\0"), Err(CloseReason::ClientDisconnected));
    let malformed = end(b"\xc0\0\xf0\0").unwrap_err();
    assert_eq!(malformed.word(), "malformed_packet_type");
}

#[test]
fn what_came_before_a_malformed_packet_is_kept() {
    let mut session = session(MqttOptions::default());
    let stream = [&publish("ioc/v1/readings/wl-1", READING, 1)[..], b"\xff\0"].concat();
    assert!(take(&mut session, &stream).is_err());
    assert_eq!(inputs(&mut session), ["reading of wl-1"]);
}

#[test]
fn only_filters_of_decisions_are_granted() {
    let decisions = Decisions::default();
    let options = Arc::new(MqttOptions::default());
    let mut session = Session::new("c", options, decisions.clone());
    let filters = b"\0\x12ioc/v1/decisions/#\x02\0\x01#\0\0\x12ioc/v1/decisions/z\x01";
    let length = 2 + filters.len() as u8;
    let subscribe = [&[0x82, length, 0, 5][..], filters].concat();
    take(&mut session, &subscribe).unwrap();
    assert_eq!(session.out.split(), b"\x90\x05\0\x05\x00\x80\x00"[..]);
    decisions.publish("z", b"{}");
    let packet = session.subscription.as_mut().unwrap().try_next().unwrap();
    session.put_decision(&packet);
    assert_eq!(
        session.out.split(),
        b"\x30\x16\0\x12ioc/v1/decisions/z{}"[..]
    );

    let unsubscribe = b"\xa2\x16\0\x06\0\x12ioc/v1/decisions/#";
    take(&mut session, unsubscribe).unwrap();
    assert_eq!(session.out.split(), b"\xb0\x02\0\x06"[..]);
    decisions.publish("other", b"{}");
    assert!(session.subscription.as_mut().unwrap().try_next().is_none());
}

proptest::proptest! {
    /// Whatever is published, in whatever pieces it is received and whenever it becomes durable:
    /// each message of quality 1 is acknowledged once, in order, never before it is durable.
    #[test]
    fn acknowledgements_never_overtake_durability(
        packet_ids in proptest::collection::vec(0_u16..5, 1..60),
        pieces in proptest::collection::vec(1_usize..400, 1..20),
        steps in proptest::collection::vec(0_u64..6, 1..20),
    ) {
        let options = MqttOptions { inflight_max: 7, ..MqttOptions::default() };
        let mut session = session(options);
        let stream: Vec<_> = packet_ids
            .iter()
            .flat_map(|id| publish("ioc/v1/readings/wl-1", READING, *id))
            .collect();
        let (mut received, mut rest) = (BytesMut::new(), &stream[..]);
        let (mut pieces, mut steps) = (pieces.iter().cycle(), steps.iter().cycle());
        let mut settled = 0;
        let mut acknowledged = Vec::new();
        let count = packet_ids.len() as u64;
        for _ in 0..100_000 {
            let (piece, after) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
            rest = after;
            received.extend_from_slice(piece);
            let (_, result) = session.take(&mut received, &Catalogue::default());
            proptest::prop_assert_eq!(result, Ok(()));
            proptest::prop_assert!(session.in_flight() <= 7);
            drop(session.take_inputs());
            let step = *steps.next().unwrap();
            settled = (settled + step.max(u64::from(rest.is_empty()))).min(session.decoded);
            session.settle(settled);
            let out = session.out.split();
            acknowledged.extend(out.chunks(4).map(|ack| u16::from_be_bytes([ack[2], ack[3]])));
            let durable = packet_ids[..settled as usize].iter().copied();
            let expected: Vec<_> = durable.filter(|id| *id != 0).collect();
            proptest::prop_assert_eq!(&acknowledged, &expected);
            if settled == count {
                return Ok(());
            }
        }
        proptest::prop_assert!(false, "the session came to a halt");
    }
}
