//! MQTT over WebSocket, with another's client of WebSocket.

use futures_util::{SinkExt, StreamExt};
use ioc_gateway::door::DoorOptions;
use ioc_gateway::options::MqttOptions;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::bench::{Bench, bench, bench_with, options, said, settle, within};
use crate::packets::{
    TOPIC, Version, connect, disconnect, puback, publish, publish_to, suback, subscribe,
};

in_both_versions! {
    packets_may_span_messages_and_share_them,
    a_message_that_is_not_binary_ends_the_connection,
    a_subscriber_gets_decisions,
    a_stop_is_told_and_the_socket_closed,
    connections_over_websocket_count_with_the_others,
    p5_what_has_come_of_a_message_counts_as_held,
    a_packet_that_is_too_long_is_answered_as_over_a_socket,
}

async fn asked(bench: &Bench, subprotocol: Option<&str>) -> Result<Client, Error> {
    let uri = format!("ws://{}/mqtt", bench.http).parse().unwrap();
    let mut request = ClientRequestBuilder::new(uri);
    if let Some(subprotocol) = subprotocol {
        request = request.with_sub_protocol(subprotocol);
    }
    let socket = TcpStream::connect(bench.http).await.unwrap();
    let (socket, answer) = within(client_async(request, socket)).await?;
    let confirmed = answer.headers().get("sec-websocket-protocol").unwrap();
    assert_eq!(confirmed, "mqtt");
    Ok(Client {
        socket,
        heard: Vec::new(),
    })
}

struct Client {
    socket: WebSocketStream<TcpStream>,
    heard: Vec<u8>,
}

impl Client {
    async fn new(bench: &Bench, version: Version) -> Self {
        let mut client = asked(bench, Some("mqtt")).await.unwrap();
        client.send(&connect(version, "c", 60)).await;
        let connack = client.take(4).await;
        assert_eq!((connack[0], &connack[2..]), (0x20, &[0, 0][..]));
        let rest = usize::from(connack[1]) - 2;
        client.take(rest).await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        let message = Message::binary(bytes.to_vec());
        within(self.socket.send(message)).await.unwrap();
    }

    /// So many bytes, in however many messages they come.
    async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.heard.len() < count {
            match within(self.socket.next()).await.unwrap().unwrap() {
                Message::Binary(bytes) => self.heard.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
        self.heard.drain(..count).collect()
    }

    async fn expect(&mut self, bytes: &[u8]) {
        assert_eq!(self.take(bytes.len()).await, bytes);
    }
}

async fn packets_may_span_messages_and_share_them(version: Version) {
    let bench = bench().await;
    let mut client = Client::new(&bench, version).await;
    for byte in publish(version, "e1", 1) {
        client.send(&[byte]).await;
    }
    let two = [publish(version, "e2", 2), publish(version, "e3", 3)].concat();
    client.send(&two).await;
    let arrivals = bench.inputs(3).await;
    assert_eq!(said(&arrivals), ["e1", "e2", "e3"]);
    client.send(b"\xc0\0").await;
    client.expect(b"\xd0\0").await;
    settle(arrivals);
    client
        .expect(&[puback(1), puback(2), puback(3)].concat())
        .await;
}

async fn a_message_that_is_not_binary_ends_the_connection(version: Version) {
    let bench = bench().await;
    let mut client = Client::new(&bench, version).await;
    client.socket.send(Message::text("text")).await.unwrap();
    while let Some(Ok(_)) = within(client.socket.next()).await {}
}

async fn a_subscriber_gets_decisions(version: Version) {
    let bench = bench().await;
    let mut client = Client::new(&bench, version).await;
    client
        .send(&subscribe(version, 1, "ioc/v1/decisions/#"))
        .await;
    client.expect(&suback(version, 1)).await;
    let long = vec![b' '; 100_000];
    bench.decide("z", &long);
    let packet = client.take(100_000).await;
    assert_eq!(packet[0], 0x30);
}

async fn a_stop_is_told_and_the_socket_closed(version: Version) {
    let mut bench = bench().await;
    let mut client = Client::new(&bench, version).await;
    bench.stop();
    client.expect(&disconnect(version, 0x8b, "stopping")).await;
    let last = within(client.socket.next()).await;
    assert!(
        matches!(last, Some(Ok(Message::Close(_))) | None),
        "{last:?}"
    );
    while let Some(Ok(_)) = within(client.socket.next()).await {}
    within(&mut bench.running).await.unwrap();
    assert_eq!(refused(&bench, Some("mqtt")).await, 503);
}

async fn connections_over_websocket_count_with_the_others(version: Version) {
    let one = MqttOptions {
        connections_max: 1,
        ..options()
    };
    let bench = bench_with(one, DoorOptions::default()).await;
    let mut client = Client::new(&bench, version).await;
    assert_eq!(refused(&bench, Some("mqtt")).await, 503);
    client.send(b"\xc0\0").await;
    client.expect(b"\xd0\0").await;
}

async fn p5_what_has_come_of_a_message_counts_as_held(version: Version) {
    let little = MqttOptions {
        held_bytes_max: 64 * 1024,
        ..options()
    };
    let bench = bench_with(little, DoorOptions::default()).await;
    let mut client = Client::new(&bench, version).await;
    // Fragments of a message that is never whole, and of a packet that is not either.
    let long = publish_to(version, TOPIC, 0, b"", &" ".repeat(100_000));
    let fragment = |n: usize, code| {
        let bytes = long[n * 20_000..][..20_000].to_vec();
        Message::Frame(Frame::message(bytes, code, false))
    };
    let mut sent = vec![fragment(0, OpCode::Data(Data::Binary))];
    sent.extend((1..4).map(|n| fragment(n, OpCode::Data(Data::Continue))));
    for fragment in sent {
        // It may have been closed before all is sent.
        let _closed = within(client.socket.send(fragment)).await;
    }
    let mut heard = Vec::new();
    while let Some(Ok(Message::Binary(bytes))) = within(client.socket.next()).await {
        heard.extend_from_slice(&bytes);
    }
    assert_eq!(heard, disconnect(version, 0x97, "quota_exceeded"));
}

/// A client that is closed for one without a word sends it again when it is back, for ever.
async fn a_packet_that_is_too_long_is_answered_as_over_a_socket(version: Version) {
    let bench = bench().await;
    let mut client = Client::new(&bench, version).await;
    let long = publish_to(version, TOPIC, 7, b"", &"x".repeat(3_000_000));
    // It may be refused before all is sent.
    let _sent = within(client.socket.send(Message::binary(long))).await;
    if version == Version::V5 {
        return client
            .expect(&disconnect(version, 0x95, "packet_too_long"))
            .await;
    }
    let arrivals = bench.inputs(1).await;
    assert_eq!(said(&arrivals), ["payload_too_long"]);
    settle(arrivals);
    client.expect(&puback(7)).await;
    client.send(&publish(version, "e1", 8)).await;
    settle(bench.inputs(1).await);
    client.expect(&puback(8)).await;
}

/// With what status an upgrade is refused.
async fn refused(bench: &Bench, subprotocol: Option<&str>) -> u16 {
    match asked(bench, subprotocol).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn who_does_not_ask_for_mqtt_is_refused() {
    let bench = bench().await;
    assert_eq!(refused(&bench, None).await, 400);
    assert_eq!(refused(&bench, Some("ioc.v1")).await, 400);
}
