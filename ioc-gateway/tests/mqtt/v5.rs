//! What only clients of version 5 see: what is served, and why something was not.

use ioc_gateway::door::DoorOptions;
use ioc_gateway::options::{Credentials, MqttOptions, Users};

use crate::bench::{Bare, Bench, bench, bench_with, options, said, settle};
use crate::packets::{
    TOPIC, Version, connect, connect_with, disconnect, packet, puback, publish, publish_to,
    reading, suback, subscribe, text,
};

const VERSION: Version = Version::V5;

async fn bench_of(options: MqttOptions) -> Bench {
    bench_with(options, DoorOptions::default()).await
}

async fn answer_to(bench: &Bench, connect: &[u8]) -> Vec<u8> {
    let mut client = bench.socket().await;
    client.send(connect).await;
    client.packet().await
}

/// Sends this, and expects to be told why the connection ends.
async fn end_of(mut client: Bare, bytes: &[u8], code: u8, word: &str) {
    client.send(bytes).await;
    assert_eq!(client.expect_end().await, disconnect(VERSION, code, word));
}

#[tokio::test]
async fn a_client_is_told_what_is_served() {
    let bench = bench_of(MqttOptions {
        inflight_max: 0x0102,
        packet_bytes_max: 0x0003_0405,
        topic_alias_max: 0x0607,
        ..options()
    })
    .await;
    let served = b"\x21\x01\x02\x27\x00\x03\x04\x05\x22\x06\x07\x28\x01\x29\0\x2a\0";
    let answer = answer_to(&bench, &connect(VERSION, "c", 60)).await;
    assert_eq!(answer, packet(0x20, &[b"\0\0\x11", served]));
}

#[tokio::test]
async fn a_client_is_told_in_what_its_terms_differ_from_what_it_asked_for() {
    let bench = bench().await;
    // A session of 1 s, no keep-alive, no identifier, and not a clean start.
    let connect = connect_with(VERSION, 0, 0, b"\x11\0\0\0\x01", &text(""));
    let answer = answer_to(&bench, &connect).await;
    let said = answer[4..].escape_ascii().to_string();
    assert!(said.contains(r"\x11\x00\x00\x00\x00"), "no session: {said}");
    assert!(said.ends_with(r"\x13\x0e\x10"), "an hour: {said}");
    // Behind session expiry, receive maximum, packet size.
    let id_at = 5 + 5 + 3 + 5;
    assert_eq!(answer[id_at], 0x12);
    let length = usize::from(answer[id_at + 2]);
    let id = std::str::from_utf8(&answer[id_at + 3..id_at + 3 + length]).unwrap();
    assert!(id.starts_with("ioc-"), "{id}");
    // It may come back with it.
    bench.client(VERSION, id).await;
}

#[tokio::test]
async fn a_refused_connect_is_told_why() {
    let credentials = Credentials::Users(Users::new([("ann", "s3cret")]));
    let bench = bench_of(MqttOptions {
        credentials,
        ..options()
    })
    .await;
    let ann = |id, password| [text(id), text("ann"), text(password)].concat();
    let long_will = text(&"x".repeat(20_000));
    let left = [&text("c")[..], b"\0", &text("t"), &long_will].concat();
    let long_will = [left, text("ann"), text("s3cret")].concat();
    let mut newer = connect(VERSION, "c", 60);
    newer[8] = 6;
    for (connect, code) in [
        (newer, 0x84),
        (connect(VERSION, "c", 60), 0x87),
        (
            connect_with(VERSION, 0xc2, 0, b"", &ann("c\n", "s3cret")),
            0x85,
        ),
        (connect_with(VERSION, 0xc2, 0, b"", &ann("c", "bad")), 0x86),
        (
            connect_with(VERSION, 2, 0, b"\x15\0\x01X", &text("c")),
            0x8c,
        ),
        (connect_with(VERSION, 0xd6, 0, b"", &long_will), 0x97),
        (connect_with(VERSION, 3, 0, b"", &text("c")), 0x81),
        (connect_with(VERSION, 2, 0, b"\x21\0\0", &text("c")), 0x82),
        (connect_with(VERSION, 2, 0, b"\x7f\0\0", &text("c")), 0x81),
        (
            connect_with(VERSION, 0xc2, 0, b"\x27\0\0\0\x14", &ann("c", "s3cret")),
            0x95,
        ),
    ] {
        let mut client = bench.socket().await;
        client.send(&connect).await;
        let answer = client.expect_end().await;
        assert_eq!(answer, [0x20, 3, 0, code, 0], "{}", connect.escape_ascii());
    }
    let connect = connect_with(VERSION, 0xc2, 0, b"\x27\0\0\x10\0", &ann("c", "s3cret"));
    bench.client_of(&connect).await;
}

#[tokio::test]
async fn more_messages_than_may_be_in_flight_end_the_connection() {
    let bench = bench_of(MqttOptions {
        inflight_max: 2,
        ..options()
    })
    .await;
    let client = bench.client(VERSION, "c").await;
    let stream: Vec<_> = (1..=3)
        .flat_map(|n| publish(VERSION, &format!("e{n}"), n))
        .collect();
    end_of(client, &stream, 0x93, "receive_max_exceeded").await;
    let allowed = bench.inputs(2).await;
    assert_eq!(said(&allowed), ["e1", "e2"], "what was allowed is taken");

    let mut obedient = bench.client(VERSION, "c").await;
    for n in (1..=9).step_by(2) {
        let two = [publish(VERSION, "e", n), publish(VERSION, "f", n + 1)];
        obedient.send(&two.concat()).await;
        obedient.expect_nothing_but_a_ping_answer().await;
        settle(bench.inputs(2).await);
        obedient.expect(&[puback(n), puback(n + 1)].concat()).await;
    }
}

#[tokio::test]
async fn a_packet_that_is_too_long_ends_the_connection_and_its_sender_hears_why() {
    let bench = bench().await;
    // More than lies in the buffers of sockets: it is still being sent when it is refused.
    let long = publish_to(VERSION, TOPIC, 1, b"", &"x".repeat(8_000_000));
    let client = bench.client(VERSION, "c").await;
    end_of(client, &long, 0x95, "packet_too_long").await;
}

#[tokio::test]
async fn what_was_answered_before_the_end_is_written_before_the_reason() {
    let bench = bench().await;
    let mut client = bench.client(VERSION, "c").await;
    client.send(b"\xc0\0\xc0\0\0\0").await;
    let answers = b"\xd0\0\xd0\0".to_vec();
    let told = disconnect(VERSION, 0x81, "malformed_packet_type");
    assert_eq!(client.expect_end().await, [answers, told].concat());
}

#[tokio::test]
async fn an_alias_saves_the_topic() {
    let bench = bench_of(MqttOptions {
        topic_alias_max: 2,
        ..options()
    })
    .await;
    let mut client = bench.client(VERSION, "c").await;
    let stream = [
        publish_to(VERSION, TOPIC, 1, b"\x23\0\x02", &reading("e1")),
        publish_to(VERSION, "", 2, b"\x23\0\x02", &reading("e2")),
    ];
    client.send(&stream.concat()).await;
    let arrivals = bench.inputs(2).await;
    assert_eq!(said(&arrivals), ["e1", "e2"]);
    settle(arrivals);
    client.expect(&[puback(1), puback(2)].concat()).await;
    let unknown = publish_to(VERSION, "", 3, b"\x23\0\x01", &reading("e3"));
    end_of(client, &unknown, 0x82, "topic_missing").await;
    for alias in [b"\x23\0\0", b"\x23\0\x03"] {
        let client = bench.client(VERSION, "c").await;
        let beyond = publish_to(VERSION, TOPIC, 3, alias, &reading("e3"));
        end_of(client, &beyond, 0x94, "topic_alias_invalid").await;
    }
    // Aliases end with their connection.
    let client = bench.client(VERSION, "c").await;
    let gone = publish_to(VERSION, "", 3, b"\x23\0\x02", &reading("e3"));
    end_of(client, &gone, 0x82, "topic_missing").await;
}

#[tokio::test]
async fn what_a_message_is_described_with_changes_nothing() {
    let bench = bench().await;
    let mut client = bench.client(VERSION, "c").await;
    let properties = b"\x01\x01\x02\0\0\0\0\x03\0\x01j\x08\0\x01r\x09\0\x01c\x26\0\x01k\0\x01v";
    client
        .send(&publish_to(VERSION, TOPIC, 1, properties, &reading("e1")))
        .await;
    let arrivals = bench.inputs(1).await;
    assert_eq!(said(&arrivals), ["e1"], "also one that is said to expire");
    settle(arrivals);
    client.expect(&puback(1)).await;
}

#[tokio::test]
async fn what_is_not_served_ends_the_connection_with_its_own_reason() {
    let bench = bench().await;
    let identified = publish_to(VERSION, TOPIC, 1, b"\x0b\x01", &reading("e1"));
    for (bytes, code, word) in [
        (&identified[..], 0x82, "subscription_id_unexpected"),
        (b"\xf0\x02\x18\0", 0x82, "packet_unexpected"),
    ] {
        let client = bench.client(VERSION, "c").await;
        end_of(client, bytes, code, word).await;
    }
}

#[tokio::test]
async fn dead_letters_are_acknowledged_without_a_reason_if_none_is_wanted() {
    let bench = bench().await;
    let connect = connect_with(VERSION, 2, 60, b"\x17\0", &text("c"));
    let mut client = bench.client_of(&connect).await;
    client
        .send(&publish_to(VERSION, TOPIC, 1, b"", "no JSON"))
        .await;
    settle(bench.inputs(1).await);
    client.expect(b"\x40\x03\0\x01\x99").await;
}

#[tokio::test]
async fn a_subscriber_gets_no_decision_that_is_longer_than_it_takes() {
    let bench = bench().await;
    let connect = connect_with(VERSION, 2, 60, b"\x27\0\0\0\x40", &text("c"));
    let mut client = bench.client_of(&connect).await;
    client
        .send(&subscribe(VERSION, 1, "ioc/v1/decisions/#"))
        .await;
    client.expect(&suback(VERSION, 1)).await;
    let topic = text("ioc/v1/decisions/z");
    let described = b"\x15\x01\x01\x03\0\x10application/json";
    let fits = [b' '; 64 - 2 - 20 - 22];
    bench.decide("z", &[b' '; 64 - 2 - 20 - 22 + 1]);
    bench.decide("z", &fits);
    client
        .expect(&packet(0x30, &[&topic, described, &fits]))
        .await;
}
