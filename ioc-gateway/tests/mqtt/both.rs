//! What holds in both versions of MQTT: each test runs with a client of either.

use std::time::Duration;

use ioc_gateway::door::{DoorOptions, Lane, Lanes};
use ioc_gateway::options::MqttOptions;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::bench::{DEADLINE, bench, bench_with, options, said, settle, within};
use crate::packets::{
    TOPIC, Version, connect, disconnect, puback, puback_refused, publish, publish_to, reading,
    suback, subscribe,
};

in_both_versions! {
    nothing_is_acknowledged_before_it_is_durable,
    acknowledgements_follow_the_watermark,
    a_redelivery_is_handed_over_and_acknowledged_again,
    a_message_to_be_retained_is_taken_as_any_other,
    a_newer_connection_of_a_client_takes_over,
    a_malformed_packet_closes_its_connection_and_no_other,
    what_came_before_the_end_is_handed_over,
    who_disconnects_behind_its_messages_hears_that_they_are_durable,
    who_disconnects_is_not_waited_with_for_ever,
    a_message_without_a_payload_is_acknowledged_and_nothing_else,
    what_cannot_be_read_is_a_dead_letter_and_acknowledged,
    a_silent_client_is_closed_after_one_and_a_half_keep_alives,
    a_socket_that_never_says_connect_is_closed,
    a_subscriber_that_reads_nothing_hinders_nobody,
    connections_beyond_the_bound_are_told_so,
    what_was_received_behind_a_bound_is_not_forgotten,
    pings_are_answered_while_the_door_is_full,
    a_connection_that_waits_too_long_for_the_door_is_closed,
    stopping_acknowledges_what_was_handed_over_and_ends,
    stopping_does_not_wait_for_ever,
    connections_end_when_the_engine_is_gone,
}

async fn nothing_is_acknowledged_before_it_is_durable(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    let stream = [
        publish(version, "e1", 7),
        publish(version, "e2", 0),
        publish(version, "e3", 3),
        publish(version, "e4", 9),
    ]
    .concat();
    client.send(&stream).await;
    let arrivals = bench.inputs(4).await;
    assert_eq!(said(&arrivals), ["e1", "e2", "e3", "e4"]);
    client.expect_nothing_but_a_ping_answer().await;
    settle(arrivals);
    client
        .expect(&[puback(7), puback(3), puback(9)].concat())
        .await;
}

async fn acknowledgements_follow_the_watermark(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    client.send(&publish(version, "e1", 1)).await;
    let first = bench.inputs(1).await;
    client.send(&publish(version, "e2", 2)).await;
    let second = bench.inputs(1).await;
    settle(first);
    client.expect(&puback(1)).await;
    client.expect_nothing_but_a_ping_answer().await;
    settle(second);
    client.expect(&puback(2)).await;
}

/// P3: a redelivered reading is handed over again (only the core deduplicates) and acknowledged
/// when its own record is durable.
async fn a_redelivery_is_handed_over_and_acknowledged_again(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    client.send(&publish(version, "e1", 1)).await;
    let first = bench.inputs(1).await;
    drop(client);
    let mut client = bench.client(version, "c").await;
    let mut again = publish(version, "e1", 1);
    again[0] |= 8;
    client.send(&again).await;
    let second = bench.inputs(1).await;
    assert_eq!(said(&second), ["e1"]);
    settle(first);
    client.expect_nothing_but_a_ping_answer().await;
    settle(second);
    client.expect(&puback(1)).await;
}

/// Devices that always set the flag are not shut out; the newest reading is what is judged.
async fn a_message_to_be_retained_is_taken_as_any_other(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    let mut retained = publish(version, "e1", 1);
    retained[0] |= 1;
    client.send(&retained).await;
    settle(bench.inputs(1).await);
    client.expect(&puback(1)).await;
}

async fn a_newer_connection_of_a_client_takes_over(version: Version) {
    let bench = bench().await;
    let older = bench.client(version, "c").await;
    let mut other = bench.client(version, "d").await;
    let mut newer = bench.client(version, "c").await;
    let told = disconnect(version, 0x8e, "taken_over");
    assert_eq!(older.expect_end().await, told);
    newer.expect_nothing_but_a_ping_answer().await;
    other.expect_nothing_but_a_ping_answer().await;
}

async fn a_malformed_packet_closes_its_connection_and_no_other(version: Version) {
    let bench = bench().await;
    let mut bystander = bench.client(version, "bystander").await;
    let second = connect(version, "broken", 60);
    for (bytes, code, word) in [
        (
            &b"\xff\xff\xff\xff\xff"[..],
            0x81,
            "malformed_remaining_length",
        ),
        (b"\0\0", 0x81, "malformed_packet_type"),
        (b"\x30\x03\0\x09a", 0x81, "malformed_length"),
        (b"\x32\x05\0\x01a\0\0", 0x82, "malformed_packet_id"),
        (b"\x36\x05\0\x01a\0\x01", 0x81, "malformed_qos"),
        (b"\x82\xff\xff\xff\x7f", 0x95, "packet_too_long"),
        (b"\x50\x02\0\x01", 0x82, "packet_unexpected"),
        (&second, 0x82, "packet_unexpected"),
    ] {
        let mut broken = bench.client(version, "broken").await;
        broken.send(bytes).await;
        let told = disconnect(version, code, word);
        assert_eq!(broken.expect_end().await, told, "{}", bytes.escape_ascii());
        bystander.expect_nothing_but_a_ping_answer().await;
    }
    bystander.send(&publish(version, "e1", 1)).await;
    settle(bench.inputs(1).await);
    bystander.expect(&puback(1)).await;
}

async fn what_came_before_the_end_is_handed_over(version: Version) {
    let bench = bench().await;
    for end in [&b"\xe0\0"[..], b"\xff\xff", b""] {
        let mut client = bench.client(version, "c").await;
        let stream = [
            &publish(version, "e1", 0)[..],
            &publish(version, "e2", 1),
            end,
        ]
        .concat();
        client.send(&stream).await;
        drop(client);
        assert_eq!(said(&bench.inputs(2).await), ["e1", "e2"]);
    }
}

async fn who_disconnects_behind_its_messages_hears_that_they_are_durable(version: Version) {
    let bench = bench().await;
    let mut client = bench.socket().await;
    let stream = [
        &connect(version, "c", 0)[..],
        &publish(version, "e1", 1),
        &publish(version, "e2", 2),
        b"\xe0\0",
    ]
    .concat();
    client.send(&stream).await;
    settle(bench.inputs(2).await);
    let heard = client.expect_end().await;
    let acknowledged = [puback(1), puback(2)].concat();
    assert_eq!(heard[0], 0x20, "CONNACK: {heard:?}");
    assert!(heard.ends_with(&acknowledged), "{heard:?}");
}

async fn who_disconnects_is_not_waited_with_for_ever(version: Version) {
    let options = MqttOptions {
        overload_wait_max: Duration::from_millis(50),
        ..options()
    };
    let bench = bench_with(options, DoorOptions::default()).await;
    let mut client = bench.client(version, "c").await;
    client
        .send(&[&publish(version, "e1", 1)[..], b"\xe0\0"].concat())
        .await;
    let _never_settled = bench.inputs(1).await;
    assert_eq!(client.expect_end().await, b"");
}

async fn a_message_without_a_payload_is_acknowledged_and_nothing_else(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    for (packet_id, topic) in [(1, TOPIC), (2, "other"), (3, "ioc/v1/feedback/gate-7")] {
        let mut message = publish_to(version, topic, packet_id, b"", "");
        message[0] |= u8::from(packet_id == 1);
        client.send(&message).await;
        client.expect(&puback(packet_id)).await;
    }
    client.send(&publish(version, "e1", 4)).await;
    let arrivals = bench.inputs(1).await;
    assert_eq!(said(&arrivals), ["e1"]);
    settle(arrivals);
    client.expect(&puback(4)).await;
}

async fn what_cannot_be_read_is_a_dead_letter_and_acknowledged(version: Version) {
    let bench = bench().await;
    let mut client = bench.client(version, "c").await;
    let stream = [
        publish_to(version, TOPIC, 1, b"", "no JSON"),
        publish_to(version, "other", 2, b"", &reading("e2")),
    ]
    .concat();
    client.send(&stream).await;
    let arrivals = bench.inputs(2).await;
    assert_eq!(said(&arrivals), ["json_malformed", "topic_unknown"]);
    client.expect_nothing_but_a_ping_answer().await;
    settle(arrivals);
    let first = puback_refused(version, 1, 0x99, "json_malformed");
    let second = puback_refused(version, 2, 0x90, "topic_unknown");
    client.expect(&[first, second].concat()).await;
}

async fn a_silent_client_is_closed_after_one_and_a_half_keep_alives(version: Version) {
    let bench = bench().await;
    let silent = bench.client_of(&connect(version, "silent", 1)).await;
    let mut patient = bench.client_of(&connect(version, "patient", 0)).await;
    let told = disconnect(version, 0x8d, "keep_alive_expired");
    assert_eq!(silent.expect_end().await, told);
    patient.expect_nothing_but_a_ping_answer().await;
}

async fn a_socket_that_never_says_connect_is_closed(version: Version) {
    let connect_wait_max = Duration::from_millis(20);
    let bench = bench_with(
        MqttOptions {
            connect_wait_max,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut slow = bench.socket().await;
    slow.send(&connect(version, "slow", 60)[..12]).await;
    assert!(slow.expect_end().await.is_empty());
    let mut rude = bench.socket().await;
    rude.send(b"\xc0\0").await;
    assert!(rude.expect_end().await.is_empty());
}

async fn a_subscriber_that_reads_nothing_hinders_nobody(version: Version) {
    let bench = bench_with(
        MqttOptions {
            decisions_max: 4,
            unwritten_bytes_max: 64 * 1024,
            write_wait_max: Duration::from_millis(100),
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut slow = bench.client(version, "slow").await;
    slow.send(&subscribe(version, 1, "ioc/v1/decisions/#"))
        .await;
    slow.expect(&suback(version, 1)).await;
    let mut other = bench.client(version, "other").await;
    let long = vec![b' '; 16 * 1024];
    let until_the_slow_one_is_closed = async {
        while slow.0.write_all(b"\xc0\0").await.is_ok() {
            for _ in 0..8 {
                bench.decide("z", &long);
            }
            other.expect_nothing_but_a_ping_answer().await;
        }
    };
    within(until_the_slow_one_is_closed).await;
}

async fn connections_beyond_the_bound_are_told_so(version: Version) {
    let bench = bench_with(
        MqttOptions {
            connections_max: 1,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut first = bench.client(version, "first").await;
    let mut second = bench.socket().await;
    second.send(&connect(version, "second", 60)).await;
    let refusal = match version {
        Version::V311 => &b"\x20\x02\0\x03"[..],
        Version::V5 => b"\x20\x03\0\x89\0",
    };
    assert_eq!(second.expect_end().await, refusal);
    first.expect_nothing_but_a_ping_answer().await;
}

async fn what_was_received_behind_a_bound_is_not_forgotten(version: Version) {
    let bench = bench_with(
        MqttOptions {
            decoded_bytes_max: 1,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut client = bench.client(version, "c").await;
    let stream: Vec<_> = (1..=5)
        .flat_map(|n| publish(version, &format!("e{n}"), n))
        .collect();
    client.send(&stream).await;
    let arrivals = bench.inputs(5).await;
    assert_eq!(said(&arrivals), ["e1", "e2", "e3", "e4", "e5"]);
}

async fn pings_are_answered_while_the_door_is_full(version: Version) {
    let door = DoorOptions {
        waiting_bytes_max: Lanes::each(|_| 1),
        ..DoorOptions::default()
    };
    let bench = bench_with(options(), door).await;
    let mut client = bench.client(version, "c").await;
    client.send(&publish(version, "e1", 1)).await;
    // Not released: the door stays full.
    let queue = bench.arrivals().queue(Lane::Telemetry).clone();
    let next = tokio::task::spawn_blocking(move || queue.recv_timeout(DEADLINE));
    let first = next.await.unwrap().unwrap();
    client.send(&publish(version, "e2", 2)).await;
    client.expect_nothing_but_a_ping_answer().await;
    client.send(&publish(version, "e3", 3)).await;
    client.expect_nothing_but_a_ping_answer().await;
    bench.arrivals().release(&first);
    first.ack.settle();
    client.expect(&puback(1)).await;
    settle(bench.inputs(2).await);
    client.expect(&[puback(2), puback(3)].concat()).await;
}

async fn a_connection_that_waits_too_long_for_the_door_is_closed(version: Version) {
    let bench = bench_with(
        MqttOptions {
            overload_wait_max: Duration::from_millis(50),
            ..options()
        },
        DoorOptions {
            waiting_bytes_max: Lanes::each(|_| 1),
            ..DoorOptions::default()
        },
    )
    .await;
    let mut client = bench.client(version, "c").await;
    client.send(&publish(version, "e1", 1)).await;
    let mut idle = bench.client(version, "idle").await;
    client.send(&publish(version, "e2", 2)).await;
    let told = disconnect(version, 0x89, "overloaded");
    assert_eq!(client.expect_end().await, told);
    idle.expect_nothing_but_a_ping_answer().await;
}

async fn stopping_acknowledges_what_was_handed_over_and_ends(version: Version) {
    let mut bench = bench().await;
    let mut client = bench.client(version, "c").await;
    let idle = bench.client(version, "idle").await;
    client.send(&publish(version, "e1", 1)).await;
    let arrivals = bench.inputs(1).await;
    bench.stop();
    let told = disconnect(version, 0x8b, "stopping");
    assert_eq!(idle.expect_end().await, told);
    assert!(!bench.running.is_finished());
    settle(arrivals);
    assert_eq!(client.expect_end().await, [puback(1), told].concat());
    within(&mut bench.running).await.unwrap();
    let closed = TcpStream::connect(bench.address).await;
    assert!(closed.is_err(), "nobody listens any more");
}

async fn stopping_does_not_wait_for_ever(version: Version) {
    let drain_wait_max = Duration::from_millis(50);
    let mut bench = bench_with(
        MqttOptions {
            drain_wait_max,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut client = bench.client(version, "c").await;
    client.send(&publish(version, "e1", 1)).await;
    let _never_settled = bench.inputs(1).await;
    bench.stop();
    within(&mut bench.running).await.unwrap();
    let told = disconnect(version, 0x8b, "stopping");
    assert_eq!(client.expect_end().await, told);
}

async fn connections_end_when_the_engine_is_gone(version: Version) {
    let mut bench = bench().await;
    let mut waiting = bench.client(version, "waiting").await;
    waiting.send(&publish(version, "e1", 1)).await;
    drop(bench.inputs(1).await);
    let told = disconnect(version, 0x8b, "engine_stopped");
    assert_eq!(waiting.expect_end().await, told);
    drop(bench.arrivals.take());
    let mut late = bench.client(version, "late").await;
    late.send(&publish(version, "e2", 1)).await;
    assert_eq!(late.expect_end().await, told);
}
