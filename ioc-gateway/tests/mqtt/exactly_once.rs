//! Quality 2 from a client, over real sockets, in both versions.

use crate::bench::{bench, said, settle};
use crate::packets::{Version, disconnect, pubcomp, publish_exactly_once, pubrec, pubrel};

in_both_versions! {
    p1_a_message_is_received_when_it_is_durable_and_then_released,
    p3_the_same_message_again_adds_nothing,
    p1_a_release_comes_not_before_the_message_is_durable,
}

async fn p1_a_message_is_received_when_it_is_durable_and_then_released(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    let two = [
        publish_exactly_once(version, "e1", 1),
        publish_exactly_once(version, "e2", 2),
    ];
    client.send(&two.concat()).await;
    let arrivals = bench.inputs(2).await;
    assert_eq!(said(&arrivals), ["e1", "e2"]);
    client.expect_nothing_but_a_ping_answer().await;
    settle(arrivals);
    client.expect(&[pubrec(1), pubrec(2)].concat()).await;
    client.send(&[pubrel(2), pubrel(1)].concat()).await;
    client.expect(&[pubcomp(2), pubcomp(1)].concat()).await;
}

async fn p3_the_same_message_again_adds_nothing(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    let first = publish_exactly_once(version, "e1", 1);
    let mut again = first.clone();
    again[0] |= 8;
    client.send(&first).await;
    settle(bench.inputs(1).await);
    client.expect(&pubrec(1)).await;
    client.send(&again).await;
    client.expect(&pubrec(1)).await;
    // On another connection it is handed over again: the judgement knows its id.
    drop(client);
    let mut client = bench.client(version, "c").await;
    client.send(&again).await;
    let arrivals = bench.inputs(1).await;
    assert_eq!(said(&arrivals), ["e1"]);
    settle(arrivals);
    client.expect(&pubrec(1)).await;
    client.send(&pubrel(1)).await;
    client.expect(&pubcomp(1)).await;
    // It was heard, but its answer was not.
    client.send(&pubrel(1)).await;
    match version {
        Version::V311 => client.expect(&pubcomp(1)).await,
        Version::V5 => client.expect(b"\x70\x03\0\x01\x92").await,
    }
}

async fn p1_a_release_comes_not_before_the_message_is_durable(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    let early = [publish_exactly_once(version, "e1", 1), pubrel(1)];
    client.send(&early.concat()).await;
    let told = disconnect(version, 0x82, "packet_unexpected");
    assert_eq!(client.expect_end().await, told);
    assert_eq!(said(&bench.inputs(1).await), ["e1"]);
}
