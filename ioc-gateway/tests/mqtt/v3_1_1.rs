//! What only clients of version 3.1.1 see: they cannot be told anything.

use ioc_core::record::Input;
use ioc_gateway::GatewayError;
use ioc_gateway::door::DoorOptions;
use ioc_gateway::mqtt::Listener;
use ioc_gateway::options::{Credentials, MqttOptions, Users};

use crate::bench::{bench, bench_with, options, said, settle};
use crate::packets::{TOPIC, Version, puback, publish, publish_to};

const VERSION: Version = Version::V311;

#[tokio::test]
async fn a_refused_connect_is_told_why() {
    let credentials = Credentials::Users(Users::new([("ann", "s3cret")]));
    let bench = bench_with(
        MqttOptions {
            credentials,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    for (connect, code) in [
        (&b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c"[..], 5),
        (
            b"\x10\x17\0\x04MQTT\x04\xc2\0\0\0\x01c\0\x03ann\0\x03bad",
            4,
        ),
        (b"\x10\x0d\0\x04MQTT\x03\x02\0\0\0\x01c", 1),
        (b"\x10\x0f\0\x06MQIsdp\x03\x02\0\0\0\x01c", 1),
        (
            b"\x10\x1a\0\x04MQTT\x04\xc0\0\0\0\x01\n\0\x03ann\0\x06s3cret",
            2,
        ),
        (
            b"\x10\x19\0\x04MQTT\x04\xc0\0\0\0\0\0\x03ann\0\x06s3cret",
            2,
        ),
    ] {
        let mut client = bench.socket().await;
        client.send(connect).await;
        let answer = client.expect_end().await;
        assert_eq!(answer, [0x20, 2, 0, code], "{}", connect.escape_ascii());
    }
    let admitted = b"\x10\x1a\0\x04MQTT\x04\xc2\0\0\0\x01c\0\x03ann\0\x06s3cret";
    bench.client_of(admitted).await;
}

#[tokio::test]
async fn a_connection_is_not_read_beyond_its_inputs_in_flight() {
    let bench = bench_with(
        MqttOptions {
            inflight_max: 2,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut client = bench.client(VERSION, "c").await;
    let stream: Vec<_> = (1..=5)
        .flat_map(|n| publish(VERSION, &format!("e{n}"), n))
        .collect();
    client.send(&stream).await;
    let first = bench.inputs(2).await;
    let mut other = bench.client(VERSION, "other").await;
    other.send(&publish(VERSION, "other", 1)).await;
    assert_eq!(
        said(&bench.inputs(1).await),
        ["other"],
        "nothing more of the first came"
    );
    settle(first);
    client.expect(&[puback(1), puback(2)].concat()).await;
    settle(bench.inputs(2).await);
    settle(bench.inputs(1).await);
    client
        .expect(&[puback(3), puback(4), puback(5)].concat())
        .await;
}

/// A client that is closed for such a message sends it again when it is back, for ever.
#[tokio::test]
async fn a_message_that_is_too_long_is_a_dead_letter_and_acknowledged() {
    let bench = bench().await;
    let mut client = bench.client(VERSION, "c").await;
    let long = "x".repeat(3_000_000);
    client
        .send(&publish_to(VERSION, TOPIC, 7, b"", &long))
        .await;
    let arrivals = bench.inputs(1).await;
    let letter = arrivals[0].inputs.iter().next().unwrap();
    let Input::DeadLetter(letter) = Input::decode(letter).unwrap() else {
        panic!("it is no reading");
    };
    assert_eq!((letter.topic, letter.reason), (TOPIC, "payload_too_long"));
    assert_eq!(
        (letter.payload_bytes, letter.payload.len()),
        (3_000_000, 4096)
    );
    client.expect_nothing_but_a_ping_answer().await;
    settle(arrivals);
    client.expect(&puback(7)).await;
    client.send(&publish(VERSION, "e1", 8)).await;
    settle(bench.inputs(1).await);
    client.expect(&puback(8)).await;
}

#[tokio::test]
async fn beyond_loopback_users_are_needed() {
    let listen = "0.0.0.0:0".parse().unwrap();
    let open = Listener::bind(MqttOptions {
        listen,
        ..options()
    });
    let error = open.await.unwrap_err();
    assert!(matches!(error, GatewayError::BeyondLoopback { .. }));
    assert!(error.to_string().contains("configure users"), "{error}");
}
