//! P5: what the listener does where more come than it serves.

use std::time::Duration;

use ioc_gateway::door::DoorOptions;
use ioc_gateway::options::MqttOptions;

use crate::bench::{bench_with, options, said};
use crate::packets::{TOPIC, Version, connect, disconnect, publish_to, reading};

#[tokio::test]
async fn p5_connections_beyond_the_bound_end_however_many_they_are() {
    let one = MqttOptions {
        connections_max: 1,
        ..options()
    };
    let bench = bench_with(one, DoorOptions::default()).await;
    let mut first = bench.client(Version::V311, "first").await;
    // More than are told so at once, and none of them says anything.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(bench.socket().await);
    }
    for silent in silent {
        let told = silent.expect_end().await;
        assert!(told.is_empty() || told == b"\x20\x02\0\x03", "{told:?}");
    }
    first.expect_nothing_but_a_ping_answer().await;
}

in_both_versions! {
    a_client_that_is_back_has_its_place_though_all_are_taken_and_its_socket_is_dead,
    p5_silent_strangers_keep_nobody_out,
    p5_half_a_connect_counts_as_held,
    p5_who_holds_most_is_closed_when_all_together_hold_too_much,
}

async fn a_client_that_is_back_has_its_place_though_all_are_taken_and_its_socket_is_dead(
    version: Version,
) {
    let two = MqttOptions {
        connections_max: 2,
        ..options()
    };
    let bench = bench_with(two, DoorOptions::default()).await;
    let mut other = bench.client(version, "other").await;
    // Nothing is heard of a socket whose other end has vanished, and nothing has to be.
    let pump = connect(version, "pump", 0);
    let mut dead = bench.client_of(&pump).await;
    for _ in 0..100 {
        let back = bench.client_of(&pump).await;
        let told = disconnect(version, 0x8e, "taken_over");
        assert_eq!(dead.expect_end().await, told);
        dead = back;
    }
    // Nobody else has a place by that.
    let refusal = match version {
        Version::V311 => &b"\x20\x02\0\x03"[..],
        Version::V5 => b"\x20\x03\0\x89\0",
    };
    let mut third = bench.socket().await;
    third.send(&connect(version, "third", 60)).await;
    assert_eq!(third.expect_end().await, refusal);
    other.expect_nothing_but_a_ping_answer().await;
    dead.expect_nothing_but_a_ping_answer().await;
}

async fn p5_silent_strangers_keep_nobody_out(version: Version) {
    let two = MqttOptions {
        connections_max: 2,
        connect_wait_max: Duration::from_secs(3600),
        ..options()
    };
    let bench = bench_with(two, DoorOptions::default()).await;
    let mut first = bench.client(version, "first").await;
    let silent = bench.socket().await;
    let mut next = bench.client(version, "next").await;
    assert!(silent.expect_end().await.is_empty(), "it gave way");
    first.expect_nothing_but_a_ping_answer().await;
    next.expect_nothing_but_a_ping_answer().await;
}

async fn p5_half_a_connect_counts_as_held(version: Version) {
    let bench = bench_with(
        MqttOptions {
            held_bytes_max: 64 * 1024,
            connect_wait_max: Duration::from_secs(3600),
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut idle = bench.client(version, "idle").await;
    // A CONNECT of 200,000 bytes, of which so much comes.
    let begun = [&b"\x10\xc0\x9a\x0c"[..], &[0; 40_000]].concat();
    let mut first = bench.socket().await;
    first.send(&begun[..33_000]).await;
    let mut second = bench.socket().await;
    second.send(&begun).await;
    assert!(second.expect_end().await.is_empty(), "it holds most");
    idle.expect_nothing_but_a_ping_answer().await;
    first.send(b"\0").await;
}

/// The beginning of a message that is as long as this, of a reading with so much room before it.
fn long(version: Version, id: &str, bytes: usize) -> Vec<u8> {
    let payload = format!("{}{}", " ".repeat(bytes), reading(id));
    publish_to(version, TOPIC, 0, b"", &payload)
}

async fn p5_who_holds_most_is_closed_when_all_together_hold_too_much(version: Version) {
    let bench = bench_with(
        MqttOptions {
            held_bytes_max: 64 * 1024,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut idle = bench.client(version, "idle").await;
    let mut modest = bench.client(version, "modest").await;
    let mut greedy = bench.client(version, "greedy").await;
    let whole = long(version, "e1", 30_000);
    let (first, rest) = whole.split_at(25_000);
    modest.send(first).await;
    // Never whole: all of it is held.
    greedy.send(&long(version, "e2", 100_000)[..60_000]).await;
    let told = disconnect(version, 0x97, "quota_exceeded");
    assert_eq!(greedy.expect_end().await, told);
    modest.send(rest).await;
    assert_eq!(said(&bench.inputs(1).await), ["e1"]);
    idle.expect_nothing_but_a_ping_answer().await;
}
