//! What clients leave to be published, over real sockets.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ioc_core::record::Input;
use ioc_gateway::door::{DoorOptions, Lane, Lanes};
use ioc_gateway::options::MqttOptions;
use tokio::io::AsyncWriteExt;

use crate::bench::{Bench, bench, bench_with, options, said, within};
use crate::packets::{
    TOPIC, Version, connect, connect_with, packet, properties, publish, publish_to, reading, text,
};

in_both_versions! {
    a_will_is_published_behind_what_its_client_sent,
    a_will_that_is_taken_back_is_not_published,
    a_will_is_published_however_the_connection_ends,
    a_will_is_what_any_message_of_its_topic_is,
    p5_wills_that_wait_for_the_door_keep_the_places_of_their_connections,
    a_stop_of_the_listener_publishes_no_wills,
}

/// A CONNECT that leaves a will, of quality 2 and to be retained; in version 5 with properties of
/// the connection and of the will.
fn connect_with_will(
    version: Version,
    clean: bool,
    of_connection: &[u8],
    of_will: &[u8],
    topic: &str,
    payload: &str,
) -> Vec<u8> {
    let of_will = properties(version, of_will);
    let left = [&text("c")[..], &of_will, &text(topic), &text(payload)].concat();
    let flags = 0x34 | if clean { 2 } else { 0 };
    connect_with(version, flags, 60, of_connection, &left)
}

fn will_of_a_reading(version: Version) -> Vec<u8> {
    connect_with_will(version, true, b"", b"", TOPIC, &reading("will"))
}

async fn next_said(bench: &Bench) -> Vec<String> {
    said(&bench.inputs(1).await)
}

async fn a_will_is_published_behind_what_its_client_sent(version: Version) {
    let bench = bench().await;
    let mut client = bench.client_of(&will_of_a_reading(version)).await;
    client.send(&publish(version, "e1", 0)).await;
    drop(client);
    let arrivals = bench.inputs(2).await;
    assert_eq!(said(&arrivals), ["e1", "will"]);
}

async fn a_will_that_is_taken_back_is_not_published(version: Version) {
    let bench = bench().await;
    let mut client = bench.client_of(&will_of_a_reading(version)).await;
    client.send(b"\xe0\0").await;
    assert!(client.expect_end().await.is_empty());
    let mut other = bench.client(version, "other").await;
    other.send(&publish(version, "e1", 0)).await;
    assert_eq!(next_said(&bench).await, ["e1"]);
}

async fn a_will_is_published_however_the_connection_ends(version: Version) {
    let bench = bench().await;
    let mut broken = bench.client_of(&will_of_a_reading(version)).await;
    broken.send(b"\0\0").await;
    assert_eq!(next_said(&bench).await, ["will"]);
    let _older = bench.client_of(&will_of_a_reading(version)).await;
    let _newer = bench.client(version, "c").await;
    assert_eq!(next_said(&bench).await, ["will"], "it was taken over");
    let of_will = properties(version, b"");
    let left = [
        &text("c")[..],
        &of_will,
        &text(TOPIC),
        &text(&reading("will")),
    ]
    .concat();
    // A keep-alive of 1 s.
    let silent = connect_with(version, 0x06, 1, b"", &left);
    let _silent = bench.client_of(&silent).await;
    assert_eq!(next_said(&bench).await, ["will"]);
}

async fn p5_wills_that_wait_for_the_door_keep_the_places_of_their_connections(version: Version) {
    let two = MqttOptions {
        connections_max: 2,
        overload_wait_max: Duration::from_secs(3600),
        ..options()
    };
    let full = DoorOptions {
        waiting_bytes_max: Lanes::each(|_| 1),
        ..DoorOptions::default()
    };
    let bench = bench_with(two, full).await;
    let mut other = bench.client(version, "other").await;
    other.send(&publish(version, "e1", 0)).await;
    other.expect_nothing_but_a_ping_answer().await;
    // The door is full.
    drop(bench.client_of(&will_of_a_reading(version)).await);
    for _ in 0..3 {
        let mut next = bench.socket().await;
        next.send(&connect(version, "next", 60)).await;
        let refusal = match version {
            Version::V311 => &b"\x20\x02\0\x03"[..],
            Version::V5 => b"\x20\x03\0\x89\0",
        };
        assert_eq!(next.expect_end().await, refusal, "the will has the place");
    }
    assert_eq!(said(&bench.inputs(2).await), ["e1", "will"]);
}

async fn a_will_is_what_any_message_of_its_topic_is(version: Version) {
    let bench = bench().await;
    for (topic, payload, expected) in [
        (TOPIC, "gone", "json_malformed"),
        ("elsewhere", "gone", "topic_unknown"),
    ] {
        let connect = connect_with_will(version, true, b"", b"", topic, payload);
        drop(bench.client_of(&connect).await);
        assert_eq!(next_said(&bench).await, [expected]);
    }
}

/// A city is not dead because we restart.
async fn a_stop_of_the_listener_publishes_no_wills(version: Version) {
    let mut bench = bench().await;
    let client = bench.client_of(&will_of_a_reading(version)).await;
    bench.stop();
    drop(client.expect_end().await);
    within(&mut bench.running).await.unwrap();
    assert!(bench.arrivals().queue(Lane::Telemetry).is_empty());
}

/// A session of 1,000 s.
const LASTING: &[u8] = b"\x11\0\0\x03\xe8";

#[tokio::test]
async fn a_client_can_say_that_its_will_is_to_be_published() {
    let bench = bench().await;
    let mut client = bench.client_of(&will_of_a_reading(Version::V5)).await;
    client.send(b"\xe0\x01\x04").await;
    assert_eq!(next_said(&bench).await, ["will"]);
    let mut complains = bench.client_of(&will_of_a_reading(Version::V5)).await;
    complains.send(&packet(0xe0, &[&[0x93]])).await;
    assert_eq!(next_said(&bench).await, ["will"]);
}

#[tokio::test]
async fn a_delayed_will_is_published_when_its_time_has_come() {
    let bench = bench().await;
    let in_a_second = b"\x18\0\0\0\x01";
    let connect = connect_with_will(
        Version::V5,
        false,
        LASTING,
        in_a_second,
        TOPIC,
        &reading("will"),
    );
    drop(told_no_session(&bench, &connect).await);
    let mut other = bench.client(Version::V5, "other").await;
    other.send(&publish(Version::V5, "e1", 0)).await;
    assert_eq!(next_said(&bench).await, ["e1"]);
    assert_eq!(next_said(&bench).await, ["will"]);
}

/// A client that was let in, and told that its session ends with its connection.
async fn told_no_session(bench: &Bench, connect: &[u8]) -> crate::bench::Bare {
    let mut client = bench.socket().await;
    client.send(connect).await;
    let answer = client.packet().await;
    assert_eq!((answer[2], answer[3]), (0, 0), "{answer:x?}");
    client
}

#[tokio::test]
async fn a_client_that_is_back_in_time_has_not_been_away() {
    let mut bench = bench().await;
    let in_an_hour = b"\x18\0\0\x0e\x10";
    let with_delay = |clean| {
        let left = reading("will");
        connect_with_will(Version::V5, clean, LASTING, in_an_hour, TOPIC, &left)
    };
    drop(told_no_session(&bench, &with_delay(false)).await);
    // Back without a clean start; this time it goes with a word.
    let mut back = told_no_session(&bench, &with_delay(false)).await;
    back.send(b"\xe0\0").await;
    drop(back.expect_end().await);
    // Whoever begins anew ends the session before, and the will is published.
    drop(told_no_session(&bench, &with_delay(false)).await);
    drop(bench.client_of(&connect(Version::V5, "c", 60)).await);
    let arrivals = bench.inputs(1).await;
    assert_eq!(said(&arrivals), ["will"]);
    // One that waits when we stop is published.
    let mut last = told_no_session(&bench, &with_delay(false)).await;
    last.0.shutdown().await.unwrap();
    assert!(last.expect_end().await.is_empty());
    bench.stop();
    let last = bench.inputs(1).await;
    assert_eq!(said(&last), ["will"]);
    for arrival in last {
        arrival.ack.settle();
    }
    within(&mut bench.running).await.unwrap();
    assert!(bench.arrivals().queue(Lane::Telemetry).is_empty());
}

#[tokio::test]
async fn a_will_that_says_no_time_is_of_the_time_when_it_is_published() {
    let bench = bench().await;
    let left = r#"{"id":"gone","kind":"k","value":0}"#;
    let connect = connect_with_will(Version::V311, true, b"", b"", TOPIC, left);
    let mut client = bench.client_of(&connect).await;
    // Any other message has to say it.
    client
        .send(&publish_to(Version::V311, TOPIC, 0, b"", left))
        .await;
    let refused = bench.inputs(1).await;
    assert_eq!(said(&refused), ["observed_at_missing"]);
    for arrival in refused {
        arrival.ack.settle();
    }
    let before = SystemTime::now();
    drop(client);
    let arrivals = bench.inputs(1).await;
    assert_eq!(said(&arrivals), ["gone"]);
    let bytes = arrivals[0].inputs.iter().next().unwrap();
    let Input::Reading(reading) = Input::decode(bytes).unwrap() else {
        panic!("the will is a reading");
    };
    let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let observed_at = reading.observed_at.as_millis();
    assert!((millis(before)..=millis(SystemTime::now())).contains(&observed_at));
}

#[tokio::test]
async fn a_will_may_be_the_data_of_an_event() {
    let bench = bench().await;
    let attributes = [
        ("specversion", "1.0"),
        ("id", "7"),
        ("source", "/pumps"),
        ("type", "gone"),
        ("time", "2026-03-14T06:45:10Z"),
    ];
    let attributes =
        attributes.map(|(name, value)| [&b"\x26"[..], &text(name), &text(value)].concat());
    let of_will = attributes.concat();
    let left = r#"{"kind":"k","value":0}"#;
    let connect = connect_with_will(Version::V5, true, b"", &of_will, TOPIC, left);
    drop(bench.client_of(&connect).await);
    assert_eq!(next_said(&bench).await, ["/pumps 7"]);
    // Without what says that it is of an event, they are no part of it.
    let others = connect_with_will(
        Version::V5,
        true,
        b"",
        &attributes[1..].concat(),
        TOPIC,
        left,
    );
    drop(bench.client_of(&others).await);
    let arrivals = bench.inputs(1).await;
    assert!(said(&arrivals)[0].starts_with("auto-"));
}
