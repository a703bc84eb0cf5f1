//! P5: what the listener does where more come than it serves.

use ioc_gateway::door::DoorOptions;
use ioc_gateway::options::MqttOptions;

use crate::bench::{bench_with, options, said};
use crate::packets::{TOPIC, Version, disconnect, publish_to, reading};

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
    p5_who_holds_most_is_closed_when_all_together_hold_too_much,
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
