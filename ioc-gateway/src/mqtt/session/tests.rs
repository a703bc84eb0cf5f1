//! Sessions without sockets: bytes in, inputs and bytes out.

use bytes::Bytes;
use ioc_core::record::Input;

use super::super::admission::admit;
use super::super::codec::{Connect, ConnectProperties};
use super::*;
use crate::door::{Door, DoorOptions, Lanes};
use crate::formats;
use crate::options::{Credentials, Users};
use crate::rights::{Devices, Rights, Sensors};

const READING: &str = r#"{"id":"e1","kind":"k","value":1,"observed_at":"2026-03-14T06:45:10Z"}"#;
const TOPIC: &str = "ioc/v1/readings/wl-1";
const BOTH: [Version; 2] = [Version::V311, Version::V5];

fn session(version: Version, options: MqttOptions) -> Session {
    session_of(version, options, ConnectProperties::default())
}

fn session_of(
    version: Version,
    options: MqttOptions,
    properties: ConnectProperties<'_>,
) -> Session {
    let connect = Connect {
        version,
        is_bridge: false,
        client_id: "pump-house",
        clean_session: true,
        keep_alive_s: 60,
        will: None,
        user: None,
        password: None,
        properties,
    };
    let client = admit(&connect, &Credentials::Anonymous).unwrap();
    Session::new(
        &client,
        Arc::new(options),
        Deliveries::default(),
        Inputs::default(),
    )
}

/// A packet that needs two bytes for its length.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128 * 128);
    let length = [body.len() as u8 | 0x80, (body.len() >> 7) as u8];
    [&[first][..], &length, body].concat()
}

/// A PUBLISH of quality 1, or of quality 0 if the packet identifier is 0.
fn publish(version: Version, topic: &str, payload: &str, packet_id: u16) -> Vec<u8> {
    let properties = match version {
        Version::V311 => &b""[..],
        Version::V5 => b"\0",
    };
    publish_with(topic, packet_id, properties, payload)
}

fn publish_with(topic: &str, packet_id: u16, properties: &[u8], payload: &str) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    let first = match packet_id {
        0 => 0x30,
        id => {
            body.extend_from_slice(&id.to_be_bytes());
            0x32
        }
    };
    body.extend_from_slice(properties);
    body.extend_from_slice(payload.as_bytes());
    packet(first, &body)
}

/// So many inputs, none of an urgent kind.
const fn telemetry(count: u64) -> Counts {
    Counts {
        urgent: 0,
        telemetry: count,
    }
}

fn take(session: &mut Session, bytes: &[u8]) -> Result<(), CloseReason> {
    let mut received = BytesMut::from(bytes);
    session.take(&mut received, &Catalogue::default()).1
}

fn inputs(session: &mut Session) -> Vec<String> {
    let Some((inputs, _)) = session.take_inputs(Lane::Telemetry) else {
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
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        let stream = [
            publish(version, "ioc/v1/readings/wl-1", READING, 1),
            publish(version, "ioc/v1/readings/wl-2", "{}", 2),
            publish(version, "ioc/v1/reading/wl-3", READING, 3),
            publish(version, "ioc/v1/readings/", READING, 4),
            publish(version, "ioc/v1/readings/a/b", READING, 5),
            publish(version, "ioc/v1/readings/wl-6", READING, 0),
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
}

#[test]
fn acknowledgements_are_written_for_what_is_durable_in_order() {
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        let stream: Vec<_> = [7, 0, 3, 9, 0]
            .map(|id| publish(version, TOPIC, READING, id))
            .concat();
        take(&mut session, &stream).unwrap();
        assert_eq!(session.out, b""[..]);
        session.settle(telemetry(1));
        assert_eq!(session.out.split(), b"\x40\x02\0\x07"[..]);
        session.settle(telemetry(2));
        assert_eq!(session.out, b""[..]);
        session.settle(telemetry(5));
        assert_eq!(session.out, b"\x40\x02\0\x03\x40\x02\0\x09"[..]);
        assert_eq!(session.in_flight(), 0);
    }
}

#[test]
fn a_dead_letter_is_acknowledged_with_its_reason_once_it_is_durable() {
    let stream = |version| {
        [
            publish(version, TOPIC, "no JSON", 1),
            publish(version, "elsewhere", READING, 2),
            publish(version, TOPIC, "no JSON", 0),
            publish(version, TOPIC, READING, 3),
        ]
        .concat()
    };
    let acknowledged = |version, wants_problems| {
        let properties = ConnectProperties {
            wants_problems,
            ..ConnectProperties::default()
        };
        let mut session = session_of(version, MqttOptions::default(), properties);
        take(&mut session, &stream(version)).unwrap();
        assert_eq!(session.out, b""[..], "nothing is durable");
        session.settle(telemetry(4));
        session.out
    };
    let told = b"\x40\x15\0\x01\x99\x11\x1f\0\x0ejson_malformed\
        \x40\x14\0\x02\x90\x10\x1f\0\x0dtopic_unknown\x40\x02\0\x03";
    assert_eq!(acknowledged(Version::V5, true), told[..]);
    let briefly = b"\x40\x03\0\x01\x99\x40\x03\0\x02\x90\x40\x02\0\x03";
    assert_eq!(acknowledged(Version::V5, false), briefly[..]);
    let silently = b"\x40\x02\0\x01\x40\x02\0\x02\x40\x02\0\x03";
    assert_eq!(acknowledged(Version::V311, true), silently[..]);
}

#[test]
fn p8_a_user_publishes_its_own_sensors_and_no_others() {
    let rights = Rights {
        sensors: Sensors::of_words(["wl-1", "g-1"]).unwrap(),
        devices: Devices::Every,
    };
    let users = Users::with_rights([("north", "s3cret", rights)]);
    let connect = Connect {
        version: Version::V5,
        is_bridge: false,
        client_id: "pump-house",
        clean_session: true,
        keep_alive_s: 60,
        will: None,
        user: Some("north"),
        password: Some(b"s3cret"),
        properties: ConnectProperties::default(),
    };
    let client = admit(&connect, &Credentials::Users(users)).unwrap();
    let (options, deliveries) = (Arc::<MqttOptions>::default(), Deliveries::default());
    let mut session = Session::new(&client, options, deliveries, Inputs::default());
    let catalogue = formats::tests::catalogue("hydro/+", formats::tests::gauges());
    let gauges = r#"{"at":1,"gauges":[{"name":"g-1","level":1},{"name":"g-2","level":1}]}"#;
    let mut packets = BytesMut::new();
    for (topic, payload) in [
        (TOPIC, READING),
        ("ioc/v1/readings/wl-2", READING),
        ("hydro/a", gauges),
    ] {
        packets.extend_from_slice(&publish(Version::V5, topic, payload, 7));
    }
    session.take(&mut packets, &catalogue).1.unwrap();
    let taken = session.take_inputs(Lane::Telemetry).unwrap().0;
    let told: Vec<_> = taken
        .iter()
        .map(|input| match Input::decode(input).unwrap() {
            Input::Reading(reading) => reading.sensor.to_owned(),
            Input::DeadLetter(letter) => format!("{} of {}", letter.reason, letter.source),
            other => panic!("{other:?}"),
        })
        .collect();
    let refused = "sensor_not_of_user of mqtt pump-house as north";
    assert_eq!(told, ["wl-1", refused, "g-1", refused]);
    session.settle(telemetry(4));
    // The whole of the second message is refused, a part of the third.
    let answers = &session.out[..];
    assert!(answers.starts_with(b"\x40\x02\0\x07\x40"), "{answers:?}");
    assert!(
        answers.windows(3).any(|bytes| bytes == [0, 7, 0x87]),
        "{answers:?}"
    );
    assert!(answers.ends_with(b"\x40\x02\0\x07"), "{answers:?}");
}

#[test]
fn an_acknowledgement_that_waits_takes_24_bytes_with_its_reason() {
    assert_eq!(size_of::<Owed>(), 24);
}

#[test]
fn a_session_takes_no_more_than_its_bounds_allow() {
    for version in BOTH {
        let stream = publish(version, TOPIC, READING, 0).repeat(10);
        let taken_of = |options| {
            let mut session = session(version, options);
            let mut received = BytesMut::from(&stream[..]);
            let (taken, result) = session.take(&mut received, &Catalogue::default());
            assert_eq!(result, Ok(()));
            assert!(!session.has_room());
            let left = 10 - taken.packets as usize;
            assert_eq!(received.len(), stream.len() / 10 * left);
            taken.packets
        };
        let default = MqttOptions::default;
        let one_to_see_whether_it_obeys = u32::from(version == Version::V5);
        assert_eq!(
            taken_of(MqttOptions {
                inflight_max: 3,
                ..default()
            }),
            3 + one_to_see_whether_it_obeys
        );
        assert_eq!(
            taken_of(MqttOptions {
                decoded_bytes_max: 1,
                ..default()
            }),
            1
        );

        let mut session = session(
            version,
            MqttOptions {
                unwritten_bytes_max: 4,
                ..default()
            },
        );
        take(&mut session, b"\xc0\0\xc0\0\xc0\0").unwrap();
        assert_eq!(session.out, b"\xd0\0\xd0\0"[..], "the third ping waits");
    }
}

#[test]
fn p5_answers_that_are_owed_have_a_bound() {
    let mut session = session(Version::V311, MqttOptions::default());
    session.folds = true;
    let (mut taken, mut most) = (0, 0);
    while session.has_room() {
        let stream: Vec<_> = (0..200_u32)
            .flat_map(|_| {
                taken += 1;
                let (minute, second, milli) = (taken / 60_000, taken / 1000 % 60, taken % 1000);
                let reading = READING.replace(
                    "06:45:10Z",
                    &format!("06:{minute:02}:{second:02}.{milli:03}Z"),
                );
                publish(Version::V311, TOPIC, &reading, taken as u16 | 1)
            })
            .collect();
        take(&mut session, &stream).unwrap();
        session.fold();
        most = most.max(session.decoded_bytes());
    }
    assert_eq!(session.owed.len(), OWED_MAX);
    assert!(most <= session.options.folded_bytes_max, "{most} bytes");
    assert!(session.kept() < 1000, "{} kept", session.kept());
    assert_eq!(session.owed_bytes(), 24 * OWED_MAX);
    // All of it was folded into what is handed over at once.
    let (inputs, upto) = session.take_inputs(Lane::Telemetry).unwrap();
    assert_eq!(
        (u64::from(inputs.count()), upto),
        (OWED_MAX as u64, OWED_MAX as u64)
    );
    assert_eq!(session.kept(), u64::from(inputs.records()));
    session.settle(telemetry(upto));
    assert_eq!((session.kept(), session.owed.len()), (0, 0));
    assert_eq!(session.out.len(), 4 * OWED_MAX);
    assert!(
        session.owed.capacity() <= OWED_ROOM_KEPT,
        "the room is given back"
    );
}

#[test]
fn p7_acknowledgements_keep_their_order_though_what_is_urgent_is_durable_first() {
    let urgent = READING.replace(r#""k""#, r#""alarm""#);
    let catalogue = Catalogue {
        urgent: ["alarm"].into_iter().collect(),
        ..Catalogue::default()
    };
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        let messages = [(READING, 1), (&urgent, 2), (READING, 0), (&urgent, 3)];
        let stream = messages.map(|(payload, id)| publish(version, TOPIC, payload, id));
        let mut received = BytesMut::from(&stream.concat()[..]);
        session.take(&mut received, &catalogue).1.unwrap();
        let handed_over = Lane::ALL.map(|lane| session.take_inputs(lane).unwrap());
        assert_eq!(
            handed_over.map(|(inputs, upto)| (inputs.count(), upto)),
            [(2, 2); 2]
        );
        let acknowledged = |session: &mut Session, urgent, telemetry| {
            session.settle(Counts { urgent, telemetry });
            let out = session.out.split();
            out.chunks(4).map(|packet| packet[3]).collect::<Vec<_>>()
        };
        assert!(acknowledged(&mut session, 2, 0).is_empty());
        assert_eq!(acknowledged(&mut session, 2, 1), [1, 2]);
        assert_eq!(session.in_flight(), 1);
        assert_eq!(acknowledged(&mut session, 2, 2), [3]);
    }
}

#[test]
fn p7_a_source_that_floods_the_urgent_lane_goes_with_the_telemetry() {
    let options = DoorOptions {
        rates: Lanes {
            urgent: Some(1),
            telemetry: None,
        },
        ..DoorOptions::default()
    };
    let catalogue = Catalogue {
        urgent: ["alarm"].into_iter().collect(),
        ..Catalogue::default()
    };
    let (door, _arrivals) = Door::new(options, Arc::default());
    let mut session = session(Version::V311, MqttOptions::default());
    session.inputs = door.source().inputs();
    let urgent = READING.replace(r#""k""#, r#""alarm""#);
    let mut send = |count: usize| {
        let stream = publish(Version::V311, TOPIC, &urgent, 1).repeat(count);
        let mut received = BytesMut::from(&stream[..]);
        session.take(&mut received, &catalogue).1.unwrap();
        let taken = Lane::ALL.map(|lane| session.take_inputs(lane));
        let counts = taken
            .each_ref()
            .map(|taken| taken.as_ref().map_or(0, |own| own.0.count()));
        let telemetry = taken
            .into_iter()
            .flatten()
            .last()
            .map(|(mut inputs, _)| inputs.fold());
        assert_eq!(telemetry.unwrap_or(0), 0, "alarms are never left out");
        let decoded = session.decoded();
        session.settle(decoded);
        counts
    };
    let [urgent, telemetry] = send(200);
    assert!(
        (10..50).contains(&urgent),
        "{urgent} are ten seconds' worth"
    );
    assert_eq!(urgent + telemetry, 200);
    let [urgent, telemetry] = send(100);
    assert!(urgent < 50 && urgent + telemetry == 100, "{urgent} urgent");
}

#[test]
fn a_client_that_was_told_how_much_may_be_in_flight_keeps_to_it() {
    let options = || MqttOptions {
        inflight_max: 3,
        ..MqttOptions::default()
    };
    let stream: Vec<_> = (1..=4)
        .flat_map(|id| publish(Version::V5, TOPIC, READING, id))
        .collect();
    let mut greedy = session(Version::V5, options());
    let result = take(&mut greedy, &stream);
    assert_eq!(result, Err(CloseReason::ReceiveMaxExceeded));
    assert_eq!(inputs(&mut greedy).len(), 3, "what it was allowed is taken");

    let mut modest = session(Version::V5, options());
    for packet in stream.chunks(stream.len() / 4) {
        take(&mut modest, packet).unwrap();
        modest.settle(modest.decoded());
    }
    let mut unanswered = session(Version::V5, options());
    let quality_0 = publish(Version::V5, TOPIC, READING, 0);
    take(&mut unanswered, &quality_0.repeat(4)).unwrap();
    assert_eq!(unanswered.in_flight(), 4);
}

#[test]
fn packets_that_a_client_may_not_send_end_the_session() {
    let end = |version, bytes: &[u8]| take(&mut session(version, MqttOptions::default()), bytes);
    let connect = b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0";
    for version in BOTH {
        let end = |bytes| end(version, bytes);
        assert_eq!(end(connect), Err(CloseReason::PacketUnexpected));
        assert_eq!(end(b"\x50\x02\0\x01"), Err(CloseReason::PacketUnexpected));
        assert_eq!(end(b"\x70\x02\0\x01"), Err(CloseReason::PacketUnexpected));
        assert_eq!(end(b"\xe0\0"), Err(CloseReason::ClientDisconnected));
        let malformed = end(b"\xc0\0\x00\0").unwrap_err();
        assert_eq!(malformed.word(), "malformed_packet_type");
    }
    assert_eq!(
        end(Version::V5, b"\xf0\0"),
        Err(CloseReason::PacketUnexpected)
    );
    assert_eq!(
        end(Version::V5, b"\xe0\x01\x95"),
        Err(CloseReason::ClientComplained)
    );
    assert_eq!(
        end(Version::V5, b"\xe0\x01\x04"),
        Err(CloseReason::ClientLeftItsWill)
    );
    let retained = b"\x31\x04\0\x01a\0";
    assert_eq!(end(Version::V311, retained), Ok(()));
    assert_eq!(end(Version::V5, retained), Ok(()));
}

#[test]
fn what_came_before_a_malformed_packet_is_kept() {
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        let stream = [&publish(version, TOPIC, READING, 1)[..], b"\xff\0"].concat();
        assert!(take(&mut session, &stream).is_err());
        assert_eq!(inputs(&mut session), ["reading of wl-1"]);
    }
}

#[test]
fn an_alias_stands_for_its_topic() {
    let mut session = session(Version::V5, MqttOptions::default());
    let stream = [
        publish_with(TOPIC, 1, b"\x03\x23\0\x02", READING),
        publish_with("", 2, b"\x03\x23\0\x02", READING),
        publish_with("x/y", 3, b"\x03\x23\0\x40", READING),
        publish_with("", 4, b"\x03\x23\0\x40", READING),
    ];
    take(&mut session, &stream.concat()).unwrap();
    assert_eq!(
        inputs(&mut session),
        [
            "reading of wl-1",
            "reading of wl-1",
            "mqtt pump-house x/y topic_unknown",
            "mqtt pump-house x/y topic_unknown",
        ]
    );
    for alias in [b"\x03\x23\0\0", b"\x03\x23\0\x41"] {
        let invalid = take(&mut session, &publish_with(TOPIC, 5, alias, READING));
        assert_eq!(invalid, Err(CloseReason::TopicAliasInvalid));
    }
    let unknown = publish_with("", 5, b"\x03\x23\0\x03", READING);
    let missing = take(&mut session, &unknown).unwrap_err();
    assert_eq!(
        (missing.word(), missing.code()),
        ("topic_missing", Some(0x82))
    );
}

#[test]
fn a_message_that_is_too_long_is_put_aside_as_it_streams_in() {
    let options = || MqttOptions {
        packet_bytes_max: 400,
        ..MqttOptions::default()
    };
    let long = publish(Version::V311, TOPIC, &"x".repeat(10_000), 7);
    let stream = [&long[..], &publish(Version::V311, TOPIC, READING, 8)].concat();
    let mut session = session(Version::V311, options());
    let mut received = BytesMut::new();
    for piece in stream.chunks(90) {
        received.extend_from_slice(piece);
        let (_, result) = session.take(&mut received, &Catalogue::default());
        assert_eq!(result, Ok(()));
        assert!(received.len() < 500, "it is not kept");
    }
    let (inputs, _) = session.take_inputs(Lane::Telemetry).unwrap();
    let [first, second] = inputs.iter().collect::<Vec<_>>()[..] else {
        panic!("two messages were sent");
    };
    let Ok(Input::DeadLetter(letter)) = Input::decode(first) else {
        panic!("it is no reading");
    };
    assert_eq!((letter.topic, letter.reason), (TOPIC, "payload_too_long"));
    assert_eq!(letter.payload_bytes, 10_000);
    assert!(letter.payload.starts_with(b"xxx") && letter.detail.contains("at most 400"));
    assert!(matches!(Input::decode(second), Ok(Input::Reading(_))));
    session.settle(telemetry(2));
    assert_eq!(session.out, b"\x40\x02\0\x07\x40\x02\0\x08"[..]);
}

#[test]
fn a_packet_that_is_too_long_ends_a_session_that_was_told_or_cannot_go_on() {
    let end = |version, bytes: &[u8]| {
        let options = MqttOptions {
            packet_bytes_max: 400,
            ..MqttOptions::default()
        };
        take(&mut session(version, options), bytes)
    };
    let too_long = Err(CloseReason::Malformed(Malformed::PacketTooLong));
    let payload = "x".repeat(1000);
    let publish_v5 = publish(Version::V5, TOPIC, &payload, 7);
    assert_eq!(end(Version::V5, &publish_v5), too_long);
    assert_eq!(
        end(Version::V5, &publish_v5[..3]),
        too_long,
        "at its header"
    );
    assert_eq!(end(Version::V311, &packet(0x82, &[0; 1000])), too_long);
    let topic = "t".repeat(500);
    let publish_v311 = publish(Version::V311, &topic, &payload, 7);
    assert_eq!(end(Version::V311, &publish_v311), too_long);
}

/// A PUBLISH of quality 2.
fn exactly_once(version: Version, payload: &str, packet_id: u16) -> Vec<u8> {
    let mut packet = publish(version, TOPIC, payload, packet_id);
    packet[0] = 0x34;
    packet
}

#[test]
fn a_message_of_quality_2_is_received_once_and_answered_when_it_is_durable() {
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        let first = exactly_once(version, READING, 7);
        let mut again = first.clone();
        again[0] |= 8;
        take(&mut session, &first).unwrap();
        take(&mut session, &again).unwrap();
        assert_eq!(inputs(&mut session), ["reading of wl-1"]);
        assert_eq!(session.out, b""[..], "nothing is durable");
        session.settle(telemetry(1));
        let received = b"\x50\x02\0\x07";
        assert_eq!(session.out.split(), [&received[..], received].concat());
        // It comes again when it has been answered: it is answered again, at once.
        take(&mut session, &again).unwrap();
        assert_eq!(session.out.split(), received[..]);
        take(&mut session, b"\x62\x02\0\x07").unwrap();
        assert_eq!(session.out.split(), b"\x70\x02\0\x07"[..]);
        // Now the identifier is another message's.
        take(&mut session, &first).unwrap();
        assert_eq!(inputs(&mut session), ["reading of wl-1"]);
    }
}

/// What is owed for a message again must not be taken for the answer to the next one of its identifier.
#[test]
fn p1_a_message_of_quality_2_that_comes_again_is_answered_before_it_is_complete() {
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        let first = exactly_once(version, READING, 7);
        let mut again = first.clone();
        again[0] |= 8;
        let between = publish(version, TOPIC, READING, 8);
        let stream = [first.clone(), between.clone(), again.clone(), again.clone()];
        take(&mut session, &stream.concat()).unwrap();
        session.settle(telemetry(1));
        assert_eq!(session.out.split(), b"\x50\x02\0\x07".repeat(3));
        // Once more, and its answer passes what is not durable.
        take(&mut session, &again).unwrap();
        assert_eq!(session.out.split(), b"\x50\x02\0\x07"[..]);
        take(&mut session, b"\x62\x02\0\x07").unwrap();
        assert_eq!(session.out.split(), b"\x70\x02\0\x07"[..]);
        take(&mut session, &first).unwrap();
        session.settle(telemetry(2));
        assert_eq!(session.out.split(), b"\x40\x02\0\x08"[..]);
        session.settle(telemetry(3));
        assert_eq!(session.out.split(), b"\x50\x02\0\x07"[..]);
    }
    // Of one that was refused the client has forgotten the identifier.
    let mut session = session(Version::V5, MqttOptions::default());
    let refused = exactly_once(Version::V5, "no JSON", 7);
    let mut again = refused.clone();
    again[0] |= 8;
    let between = publish(Version::V5, TOPIC, READING, 8);
    take(&mut session, &[refused, between, again].concat()).unwrap();
    session.settle(telemetry(1));
    assert!(session.out.split().ends_with(b"json_malformed"));
    take(&mut session, &exactly_once(Version::V5, READING, 7)).unwrap();
    session.settle(telemetry(2));
    assert_eq!(
        session.out.split(),
        b"\x40\x02\0\x08"[..],
        "nothing of the other one"
    );
}

#[test]
fn answers_of_both_qualities_are_in_the_order_of_the_messages() {
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        let stream = [
            publish(version, TOPIC, READING, 1),
            exactly_once(version, READING, 2),
            publish(version, TOPIC, READING, 3),
        ];
        take(&mut session, &stream.concat()).unwrap();
        session.settle(telemetry(3));
        let expected = b"\x40\x02\0\x01\x50\x02\0\x02\x40\x02\0\x03";
        assert_eq!(session.out, expected[..]);
    }
}

#[test]
fn p1_a_release_before_the_message_is_durable_is_not_answered() {
    for version in BOTH {
        let mut session = session(version, MqttOptions::default());
        take(&mut session, &exactly_once(version, READING, 7)).unwrap();
        let early = take(&mut session, b"\x62\x02\0\x07");
        assert_eq!(early, Err(CloseReason::PacketUnexpected));
        assert_eq!(session.out, b""[..]);
    }
}

#[test]
fn a_release_of_what_an_earlier_connection_began_is_answered() {
    for (version, expected) in [
        (Version::V311, &b"\x70\x02\0\x09"[..]),
        (Version::V5, b"\x70\x03\0\x09\x92"),
    ] {
        let mut session = session(version, MqttOptions::default());
        take(&mut session, b"\x62\x02\0\x09").unwrap();
        assert_eq!(session.out, expected);
    }
}

#[test]
fn a_dead_letter_of_quality_2_is_over_with_its_reason() {
    let told = b"\x50\x15\0\x07\x99\x11\x1f\0\x0ejson_malformed";
    for (version, expected) in [(Version::V311, &b"\x50\x02\0\x07"[..]), (Version::V5, told)] {
        let mut session = session(version, MqttOptions::default());
        take(&mut session, &exactly_once(version, "no JSON", 7)).unwrap();
        session.settle(telemetry(1));
        assert_eq!(session.out.split(), expected);
        // Version 5 has forgotten it (section 4.3.3); version 3.1.1 knows no reason.
        take(&mut session, &exactly_once(version, "no JSON", 7)).unwrap();
        let is_new = usize::from(version == Version::V5);
        assert_eq!(session.in_flight(), is_new as u64);
    }
}

#[test]
fn p5_what_is_not_released_counts_as_unacknowledged() {
    let options = MqttOptions {
        inflight_max: 2,
        ..MqttOptions::default()
    };
    let mut session = session(Version::V5, options);
    for id in [1, 2] {
        take(&mut session, &exactly_once(Version::V5, READING, id)).unwrap();
    }
    session.settle(telemetry(2));
    let third = exactly_once(Version::V5, READING, 3);
    let result = take(&mut session, &third);
    assert_eq!(result, Err(CloseReason::ReceiveMaxExceeded));
    take(&mut session, b"\x62\x02\0\x01").unwrap();
    take(&mut session, &third).unwrap();
}

#[test]
fn another_message_with_a_held_identifier_adds_nothing_and_is_counted() {
    let mut session = session(Version::V5, MqttOptions::default());
    let first = exactly_once(Version::V5, READING, 7);
    let other = exactly_once(Version::V5, "no JSON", 7);
    let mut again = first.clone();
    // The flag DUP (section 3.3.1.1).
    again[0] |= 0b1000;
    for (message, counted) in [(first, 0), (other, 1), (again, 0)] {
        let mut received = BytesMut::from(&message[..]);
        let (taken, result) = session.take(&mut received, &Catalogue::default());
        assert_eq!((taken.reused, result), (counted, Ok(())));
    }
    assert_eq!(session.inputs.count(), 1);
}

#[test]
fn p5_a_message_that_comes_again_and_again_is_not_owed_answers_without_end() {
    let options = MqttOptions {
        inflight_max: 4,
        ..MqttOptions::default()
    };
    let mut session = session(Version::V311, options);
    let again = exactly_once(Version::V311, READING, 7);
    let mut received = BytesMut::from(&again.repeat(100)[..]);
    let (taken, result) = session.take(&mut received, &Catalogue::default());
    assert_eq!((taken.packets, result), (5, Ok(())));
    session.settle(telemetry(1));
    let (taken, _) = session.take(&mut received, &Catalogue::default());
    assert_eq!(taken.packets, 95, "they are answered as they come");
}

#[test]
fn a_message_of_quality_2_that_is_too_long_is_put_aside_once() {
    let options = MqttOptions {
        packet_bytes_max: 400,
        ..MqttOptions::default()
    };
    let mut session = session(Version::V311, options);
    let long = exactly_once(Version::V311, &"x".repeat(10_000), 7);
    for _ in 0..2 {
        for piece in long.chunks(300) {
            let mut received = BytesMut::from(piece);
            session
                .take(&mut received, &Catalogue::default())
                .1
                .unwrap();
            if !received.is_empty() {
                // The beginning is looked at once enough of it is there.
                received.extend_from_slice(&long[piece.len()..]);
                session
                    .take(&mut received, &Catalogue::default())
                    .1
                    .unwrap();
                break;
            }
        }
    }
    assert_eq!(session.in_flight(), 1);
    session.settle(telemetry(1));
    assert_eq!(session.out, b"\x50\x02\0\x07\x50\x02\0\x07"[..]);
}

#[test]
fn only_what_is_published_here_can_be_subscribed_to() {
    let filters = b"\0\x12ioc/v1/decisions/#\x00\0\x01#\0\0\x12ioc/v1/decisions/z\x01\
        \0\x1b$share/g/ioc/v1/decisions/z\0";
    let unsubscribed = b"\0\x12ioc/v1/decisions/#\0\x01#";
    for (version, properties, suback, published, unsuback) in [
        (
            Version::V311,
            &b""[..],
            &b"\x90\x06\0\x05\x00\x80\x01\x80"[..],
            &b"\x32\x18\0\x12ioc/v1/decisions/z\0\x01{}"[..],
            &b"\xb0\x02\0\x06"[..],
        ),
        (
            Version::V5,
            b"\0",
            b"\x90\x07\0\x05\0\x00\x8f\x01\x9e",
            b"\x32\x2e\0\x12ioc/v1/decisions/z\0\x01\x15\x01\x01\x03\0\x10application/json{}",
            b"\xb0\x05\0\x06\0\0\x11",
        ),
    ] {
        let mut session = session(version, MqttOptions::default());
        let deliveries = session.deliveries.clone();
        let subscribe = packet(0x82, &[b"\0\x05", properties, &filters[..]].concat());
        take(&mut session, &subscribe).unwrap();
        assert_eq!(session.out.split(), suback);
        deliveries.decision("z", &Bytes::from_static(b"{}"));
        let next = session.subscription.as_mut().unwrap().try_next().unwrap();
        session.put_decision(&next);
        assert_eq!(session.out.split(), published);

        let unsubscribe = packet(0xa2, &[b"\0\x06", properties, &unsubscribed[..]].concat());
        take(&mut session, &unsubscribe).unwrap();
        assert_eq!(session.out.split(), unsuback);
        deliveries.decision("other", &Bytes::from_static(b"{}"));
        assert!(session.subscription.as_mut().unwrap().try_next().is_none());
    }
}

#[test]
fn subscriptions_are_refused_with_their_reason() {
    let mut session = session(Version::V5, MqttOptions::default());
    let every = b"\0\x12ioc/v1/decisions/#\0";
    let identified = packet(0x82, &[b"\0\x01\x02\x0b\x01", &every[..]].concat());
    take(&mut session, &identified).unwrap();
    assert_eq!(session.out.split(), b"\x90\x04\0\x01\0\xa1"[..]);
    assert!(session.subscription.is_none());

    let filters: Vec<_> = (0..=Subscription::FILTERS_MAX)
        .flat_map(|n| format!("\0\x14ioc/v1/decisions/{n:03}\0").into_bytes())
        .collect();
    take(
        &mut session,
        &packet(0x82, &[b"\0\x02\0", &filters[..]].concat()),
    )
    .unwrap();
    let suback = session.out.split();
    assert!(suback.ends_with(b"\0\0\x97"), "{suback:?}");
}

#[test]
fn an_answer_is_never_longer_than_the_client_takes() {
    let packet_bytes_max = 40;
    let properties = ConnectProperties {
        packet_bytes_max,
        ..ConnectProperties::default()
    };
    let mut session = session_of(Version::V5, MqttOptions::default(), properties);
    let subscribe = |count| {
        packet(
            0x82,
            &[b"\0\x01\0", &b"\0\x01a\0".repeat(count)[..]].concat(),
        )
    };
    take(&mut session, &subscribe(35)).unwrap();
    assert_eq!(session.out.split().len(), 40);
    let result = take(&mut session, &subscribe(36));
    assert_eq!(result, Err(CloseReason::AnswerTooLong));
    assert_eq!(session.out, b""[..]);
}

#[test]
fn a_reason_that_does_not_fit_is_only_a_code() {
    let session = |packet_bytes_max| {
        let properties = ConnectProperties {
            packet_bytes_max,
            ..ConnectProperties::default()
        };
        session_of(Version::V5, MqttOptions::default(), properties)
    };
    let whole = b"\x40\x15\0\x01\x99\x11\x1f\0\x0ejson_malformed";
    for (packet_bytes_max, expected) in [(23, &whole[..]), (22, b"\x40\x03\0\x01\x99")] {
        let mut session = session(packet_bytes_max);
        session.put_refused(AnswerKind::Acknowledged, 1, Reason::JsonMalformed);
        assert_eq!(session.out, expected);
    }
    let whole = b"\xe0\x0d\x8b\x0b\x1f\0\x08stopping";
    for (packet_bytes_max, expected) in [(15, &whole[..]), (14, b"\xe0\x01\x8b")] {
        let farewell = session(packet_bytes_max).farewell(CloseReason::Stopping);
        assert_eq!(farewell.unwrap(), expected);
    }
}

proptest::proptest! {
    /// Whatever is published, in whatever pieces it is received and whenever it becomes durable:
    /// each message of quality 1 is acknowledged once, in order, never before it is durable.
    #[test]
    fn acknowledgements_never_overtake_durability(
        is_v5: bool,
        packet_ids in proptest::collection::vec(0_u16..5, 1..60),
        pieces in proptest::collection::vec(1_usize..400, 1..20),
        steps in proptest::collection::vec(0_u64..6, 1..20),
    ) {
        let version = BOTH[usize::from(is_v5)];
        let inflight_max = if is_v5 { 60 } else { 7 };
        let options = MqttOptions { inflight_max, ..MqttOptions::default() };
        let mut session = session(version, options);
        let stream: Vec<_> = packet_ids
            .iter()
            .flat_map(|id| publish(version, TOPIC, READING, *id))
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
            proptest::prop_assert!(session.in_flight() <= inflight_max as u64);
            drop(session.take_inputs(Lane::Telemetry));
            let step = *steps.next().unwrap();
            settled = (settled + step.max(u64::from(rest.is_empty()))).min(session.decoded().total());
            session.settle(telemetry(settled));
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

#[test]
fn a_message_of_several_readings_is_acknowledged_when_all_of_them_are_durable() {
    let catalogue = formats::tests::catalogue("hydro/+", formats::tests::gauges());
    let both = r#"{"at":1773470710,"gauges":[{"name":"g-1","level":1},{"name":"g-2"},{"name":"g-3","level":1}]}"#;
    let none = r#"{"at":1773470710,"gauges":[{"name":"g-1"},{"name":"g-2"}]}"#;
    let mut session = session(Version::V5, MqttOptions::default());
    let stream = [
        publish(Version::V5, "hydro/north", both, 1),
        publish(Version::V5, "hydro/north", none, 2),
        publish(Version::V5, TOPIC, READING, 3),
    ];
    let mut received = BytesMut::from(&stream.concat()[..]);
    session.take(&mut received, &catalogue).1.unwrap();
    assert_eq!(session.in_flight(), 6);
    assert_eq!(
        inputs(&mut session),
        [
            "reading of g-1",
            "mqtt pump-house hydro/north value_missing",
            "reading of g-3",
            "mqtt pump-house hydro/north value_missing",
            "mqtt pump-house hydro/north value_missing",
            "reading of wl-1",
        ]
    );
    session.settle(telemetry(2));
    assert!(session.out.is_empty(), "a part of it is not durable");
    session.settle(telemetry(3));
    assert_eq!(session.out.split()[..], [0x40, 2, 0, 1]);
    session.settle(telemetry(6));
    let refused = session.out.split();
    assert_eq!((refused[0], &refused[2..5]), (0x40, &[0, 2, 0x99][..]));
    assert_eq!(refused[refused.len() - 4..], [0x40, 2, 0, 3]);
}
