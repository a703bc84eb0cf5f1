//! Clients that others wrote.

use std::time::Duration;

use rumqttc::{AsyncClient, Packet, QoS, v5};

use crate::bench::{Bench, bench, options, within};
use crate::packets::{TOPIC, reading};

const COUNT: u16 = 50;

/// Settles so many inputs as they arrive.
async fn settle_all(bench: &Bench, count: u16) {
    let mut seen = 0;
    while seen < u32::from(count) {
        let arrival = bench.arrival().await;
        seen += arrival.inputs.count();
        arrival.ack.settle();
    }
}

fn client(bench: &Bench) -> (AsyncClient, rumqttc::EventLoop) {
    let mut options = rumqttc::MqttOptions::new("foreign", "127.0.0.1", bench.address.port());
    options.set_keep_alive(Duration::from_secs(60));
    AsyncClient::new(options, 100)
}

fn client_v5(bench: &Bench) -> (v5::AsyncClient, v5::EventLoop) {
    let mut options = v5::MqttOptions::new("foreign", "127.0.0.1", bench.address.port());
    options.set_keep_alive(Duration::from_secs(60));
    v5::AsyncClient::new(options, 100)
}

#[tokio::test]
async fn acknowledgements_come_in_order() {
    let bench = bench().await;
    let (client, mut events) = client(&bench);
    for n in 1..=COUNT {
        let reading = reading(&format!("e{n}"));
        let sent = client.publish(TOPIC, QoS::AtLeastOnce, false, reading);
        sent.await.unwrap();
    }
    let mut acknowledged = Vec::new();
    let client = async {
        while acknowledged.len() < usize::from(COUNT) {
            if let rumqttc::Event::Incoming(Packet::PubAck(ack)) = events.poll().await.unwrap() {
                acknowledged.push(ack.pkid);
            }
        }
    };
    within(async { tokio::join!(client, settle_all(&bench, COUNT)) }).await;
    assert_eq!(acknowledged, (1..=COUNT).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_subscriber_gets_the_decisions_of_its_zones() {
    let bench = bench().await;
    let (client, mut events) = client(&bench);
    let subscribed = client.subscribe("ioc/v1/decisions/#", QoS::AtLeastOnce);
    subscribed.await.unwrap();
    let mut messages = Vec::new();
    let receive = async {
        while messages.len() < 3 {
            match events.poll().await.unwrap() {
                rumqttc::Event::Incoming(Packet::SubAck(_)) => {
                    for (zone, json) in [("z21", "{\"seq\":1}"), ("_", "{}"), ("a b", "{}")] {
                        bench.decide(zone, json.as_bytes());
                    }
                }
                rumqttc::Event::Incoming(Packet::Publish(message)) => {
                    messages.push((message.topic, message.payload));
                }
                _ => {}
            }
        }
    };
    within(receive).await;
    let expected = [
        ("ioc/v1/decisions/z21", "{\"seq\":1}"),
        ("ioc/v1/decisions/_", "{}"),
        ("ioc/v1/decisions/a b", "{}"),
    ];
    assert_eq!(
        messages,
        expected.map(|(topic, json)| (topic.to_owned(), json.into()))
    );
}

/// Version 5: a client that learns what is served, publishes with and without success, hears
/// decisions and is told when the listener stops.
#[tokio::test]
async fn a_client_of_version_5_is_told_everything() {
    use v5::mqttbytes::QoS;
    use v5::mqttbytes::v5::{DisconnectReasonCode, Packet, PubAckReason};

    let mut bench = bench().await;
    let (client, mut events) = client_v5(&bench);
    let subscribed = client.subscribe("ioc/v1/decisions/#", QoS::AtLeastOnce);
    subscribed.await.unwrap();
    for payload in [reading("e1"), "no JSON".into(), reading("e3")] {
        let sent = client.publish(TOPIC, QoS::AtLeastOnce, false, payload);
        sent.await.unwrap();
    }
    let engine = settle_all(&bench, 3);
    let (mut limits, mut acknowledged, mut decision) = (None, Vec::new(), None);
    let everything = async {
        while limits.is_none() || acknowledged.len() < 3 || decision.is_none() {
            let v5::Event::Incoming(packet) = events.poll().await.unwrap() else {
                continue;
            };
            match packet {
                Packet::ConnAck(answer) => limits = answer.properties,
                Packet::SubAck(_) => bench.decide("z21", b"{\"seq\":1}"),
                Packet::PubAck(ack) => acknowledged.push((ack.reason, ack.properties)),
                Packet::Publish(message) => decision = Some(message),
                _ => {}
            }
        }
    };
    within(async { tokio::join!(everything, engine) }).await;

    let limits = limits.unwrap();
    assert_eq!(
        limits.max_packet_size,
        Some(options().packet_bytes_max as u32)
    );
    assert_eq!(limits.receive_max, Some(options().inflight_max as u16));
    assert_eq!((limits.max_qos, limits.retain_available), (None, None));
    let decision = decision.unwrap();
    assert_eq!(decision.payload, "{\"seq\":1}");
    let described = decision.properties.unwrap();
    assert_eq!(described.content_type.as_deref(), Some("application/json"));
    let reasons = acknowledged.iter().map(|(reason, _)| *reason);
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [
            PubAckReason::Success,
            PubAckReason::PayloadFormatInvalid,
            PubAckReason::Success
        ]
    );
    let told = acknowledged[1].1.as_ref().unwrap();
    assert_eq!(told.reason_string.as_deref(), Some("json_malformed"));

    bench.stop();
    let end = loop {
        if let Err(end) = within(events.poll()).await {
            break end;
        }
    };
    let v5::ConnectionError::MqttState(v5::StateError::ServerDisconnect { reason_code, .. }) = end
    else {
        panic!("{end:?}");
    };
    assert_eq!(reason_code, DisconnectReasonCode::ServerShuttingDown);
}
