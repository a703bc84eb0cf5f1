//! P5: what the listener does where more come than it serves.

use ioc_gateway::door::DoorOptions;
use ioc_gateway::options::MqttOptions;

use crate::bench::{bench_with, options};
use crate::packets::Version;

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
