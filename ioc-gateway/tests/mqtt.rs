//! The MQTT listener over real sockets, with an engine that settles when it is told to.
//!
//! `rumqttc` stands for the clients of others; where bytes matter, a bare socket is the client.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ioc_core::record::Input;
use ioc_gateway::GatewayError;
use ioc_gateway::door::{Arrival, Arrivals, Door, DoorOptions};
use ioc_gateway::mqtt::{Decisions, Listener};
use ioc_gateway::options::{Credentials, MqttOptions, Users};
use rumqttc::{AsyncClient, ConnectReturnCode, Packet, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes on the slowest machine.
const DEADLINE: Duration = Duration::from_secs(20);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .expect("the deadline is generous")
}

/// A running listener, with the engine's end of its door.
struct Bench {
    address: SocketAddr,
    arrivals: Option<Arrivals>,
    decisions: Decisions,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

fn options() -> MqttOptions {
    MqttOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..MqttOptions::default()
    }
}

async fn bench() -> Bench {
    bench_with(options(), DoorOptions::default()).await
}

async fn bench_with(options: MqttOptions, door: DoorOptions) -> Bench {
    let (door, arrivals) = Door::new(door, Arc::default());
    let listener = Listener::bind(options).await.unwrap();
    let address = listener.local_addr();
    let decisions = Decisions::default();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let running = tokio::spawn(listener.run(door, decisions.clone(), shutdown));
    Bench {
        address,
        arrivals: Some(arrivals),
        decisions,
        stop: Some(stop),
        running,
    }
}

impl Bench {
    fn arrivals(&self) -> &Arrivals {
        self.arrivals.as_ref().expect("the engine is not gone")
    }

    /// What arrives next; it no longer waits at the door, but is not settled.
    async fn arrival(&self) -> Arrival {
        let queue = self.arrivals().queue().clone();
        let next = tokio::task::spawn_blocking(move || queue.recv_timeout(DEADLINE));
        let arrival = next.await.unwrap().expect("something arrives in time");
        self.arrivals().release(&arrival);
        arrival
    }

    /// Takes arrivals until they are so many inputs.
    async fn inputs(&self, count: u32) -> Vec<Arrival> {
        let (mut arrivals, mut seen) = (Vec::new(), 0);
        while seen < count {
            let arrival = self.arrival().await;
            seen += arrival.inputs.count();
            arrivals.push(arrival);
        }
        assert_eq!(seen, count);
        arrivals
    }

    /// Tells the listener to stop.
    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// A bare socket that said CONNECT and was let in.
    async fn client(&self, client_id: &str) -> Bare {
        let mut bare = self.socket().await;
        bare.send(&connect(client_id, 60)).await;
        bare.expect(b"\x20\x02\0\0").await;
        bare
    }

    async fn socket(&self) -> Bare {
        Bare(TcpStream::connect(self.address).await.unwrap())
    }

    fn rumqttc(&self, client_id: &str) -> (AsyncClient, rumqttc::EventLoop) {
        let mut options = rumqttc::MqttOptions::new(client_id, "127.0.0.1", self.address.port());
        options.set_keep_alive(Duration::from_secs(60));
        AsyncClient::new(options, 100)
    }
}

fn settle(arrivals: Vec<Arrival>) {
    for arrival in arrivals {
        arrival.ack.settle();
    }
}

/// The ids of readings and the reasons of dead letters.
fn said(arrivals: &[Arrival]) -> Vec<String> {
    let said = |bytes: &[u8]| match Input::decode(bytes).unwrap() {
        Input::Reading(reading) => reading.id.to_owned(),
        Input::DeadLetter(letter) => letter.reason.to_owned(),
        other => panic!("{other:?}"),
    };
    arrivals
        .iter()
        .flat_map(|arrival| arrival.inputs.iter())
        .map(said)
        .collect()
}

/// A client that is nothing but a socket.
struct Bare(TcpStream);

impl Bare {
    async fn send(&mut self, bytes: &[u8]) {
        within(self.0.write_all(bytes)).await.unwrap();
    }

    async fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        within(self.0.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, bytes);
    }

    /// Reads whatever comes until the listener closes the connection.
    async fn expect_end(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            match within(self.0.read(&mut chunk)).await {
                Ok(0) | Err(_) => return rest,
                Ok(count) => rest.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Pings; whatever was to come before the answer would have come by then.
    async fn expect_nothing_but_a_ping_answer(&mut self) {
        self.send(b"\xc0\0").await;
        self.expect(b"\xd0\0").await;
    }
}

fn connect(client_id: &str, keep_alive_s: u8) -> Vec<u8> {
    let length = client_id.len() as u8;
    let head = [
        0x10,
        12 + length,
        0,
        4,
        b'M',
        b'Q',
        b'T',
        b'T',
        4,
        2,
        0,
        keep_alive_s,
        0,
        length,
    ];
    [&head[..], client_id.as_bytes()].concat()
}

fn reading(id: &str) -> String {
    format!(r#"{{"id":"{id}","kind":"k","value":1,"observed_at":"2026-03-14T06:45:10Z"}}"#)
}

/// A PUBLISH of quality 1, or 0 for packet identifier 0.
fn publish(id: &str, packet_id: u8) -> Vec<u8> {
    let (topic, payload) = (b"\0\x15ioc/v1/readings/wl-01", reading(id));
    let (first, packet_id) = match packet_id {
        0 => (0x30, &[][..]),
        id => (0x32, &[0, id][..]),
    };
    let length = (topic.len() + packet_id.len() + payload.len()) as u8;
    assert!(length < 128);
    [&[first, length], &topic[..], packet_id, payload.as_bytes()].concat()
}

fn puback(packet_id: u8) -> [u8; 4] {
    [0x40, 2, 0, packet_id]
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable() {
    let bench = bench().await;
    let mut client = bench.client("c").await;
    let stream = [
        publish("e1", 7),
        publish("e2", 0),
        publish("e3", 3),
        publish("e4", 9),
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

#[tokio::test]
async fn acknowledgements_follow_the_watermark() {
    let bench = bench().await;
    let mut client = bench.client("c").await;
    client.send(&publish("e1", 1)).await;
    let first = bench.inputs(1).await;
    client.send(&publish("e2", 2)).await;
    let second = bench.inputs(1).await;
    settle(first);
    client.expect(&puback(1)).await;
    client.expect_nothing_but_a_ping_answer().await;
    settle(second);
    client.expect(&puback(2)).await;
}

#[tokio::test]
async fn a_foreign_client_gets_its_acknowledgements_in_order() {
    const COUNT: u16 = 50;
    let bench = bench().await;
    let (client, mut events) = bench.rumqttc("foreign");
    for n in 1..=COUNT {
        let topic = "ioc/v1/readings/wl-01";
        client
            .publish(topic, QoS::AtLeastOnce, false, reading(&format!("e{n}")))
            .await
            .unwrap();
    }
    let mut acknowledged = Vec::new();
    let client = async {
        while acknowledged.len() < usize::from(COUNT) {
            if let rumqttc::Event::Incoming(Packet::PubAck(ack)) = events.poll().await.unwrap() {
                acknowledged.push(ack.pkid);
            }
        }
    };
    let engine = async {
        let mut seen = 0;
        while seen < u32::from(COUNT) {
            let arrival = bench.arrival().await;
            seen += arrival.inputs.count();
            arrival.ack.settle();
        }
    };
    within(async { tokio::join!(client, engine) }).await;
    assert_eq!(acknowledged, (1..=COUNT).collect::<Vec<_>>());
}

/// P3: a redelivered reading is handed over again (only the core deduplicates) and acknowledged
/// when its own record is durable.
#[tokio::test]
async fn a_redelivery_is_handed_over_and_acknowledged_again() {
    let bench = bench().await;
    let mut client = bench.client("c").await;
    client.send(&publish("e1", 1)).await;
    let first = bench.inputs(1).await;
    drop(client);
    let mut client = bench.client("c").await;
    let mut again = publish("e1", 1);
    again[0] |= 8;
    client.send(&again).await;
    let second = bench.inputs(1).await;
    assert_eq!(said(&second), ["e1"]);
    settle(first);
    client.expect_nothing_but_a_ping_answer().await;
    settle(second);
    client.expect(&puback(1)).await;
}

#[tokio::test]
async fn a_newer_connection_of_a_client_takes_over() {
    let bench = bench().await;
    let older = bench.client("c").await;
    let mut other = bench.client("d").await;
    let mut newer = bench.client("c").await;
    assert!(older.expect_end().await.is_empty());
    newer.expect_nothing_but_a_ping_answer().await;
    other.expect_nothing_but_a_ping_answer().await;
}

#[tokio::test]
async fn a_malformed_packet_closes_its_connection_and_no_other() {
    let bench = bench().await;
    let mut bystander = bench.client("bystander").await;
    for bytes in [
        &b"\xff\xff\xff\xff\xff"[..],
        b"\0\0",
        b"\x30\x03\0\x09a",
        b"\x32\x05\0\x01a\0\0",
        b"\x36\x05\0\x01a\0\x01",
        b"\x34\x05\0\x01a\0\x01",
        b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01x",
        b"\x30\xff\xff\xff\x7f",
    ] {
        let mut broken = bench.client("broken").await;
        broken.send(bytes).await;
        assert!(
            broken.expect_end().await.is_empty(),
            "{}",
            bytes.escape_ascii()
        );
        bystander.expect_nothing_but_a_ping_answer().await;
    }
    bystander.send(&publish("e1", 1)).await;
    settle(bench.inputs(1).await);
    bystander.expect(&puback(1)).await;
}

#[tokio::test]
async fn what_came_before_the_end_is_handed_over() {
    let bench = bench().await;
    for end in [&b"\xe0\0"[..], b"\xff\xff", b""] {
        let mut client = bench.client("c").await;
        let stream = [&publish("e1", 0)[..], &publish("e2", 1), end].concat();
        client.send(&stream).await;
        drop(client);
        assert_eq!(said(&bench.inputs(2).await), ["e1", "e2"]);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dead_letter_and_acknowledged() {
    let bench = bench().await;
    let mut client = bench.client("c").await;
    let stream = [
        &b"\x32\x18\0\x15ioc/v1/readings/wl-01\0\x01"[..],
        b"\x32\x09\0\x05other\0\x02",
    ];
    let mut stream = stream.concat();
    stream[1] = (2 + 21 + 2) as u8;
    client.send(&stream).await;
    let arrivals = bench.inputs(2).await;
    assert_eq!(said(&arrivals), ["json_malformed", "topic_unknown"]);
    client.expect_nothing_but_a_ping_answer().await;
    settle(arrivals);
    client.expect(&[puback(1), puback(2)].concat()).await;
}

#[tokio::test]
async fn a_silent_client_is_closed_after_one_and_a_half_keep_alives() {
    let bench = bench().await;
    let mut silent = bench.socket().await;
    silent.send(&connect("silent", 1)).await;
    silent.expect(b"\x20\x02\0\0").await;
    let mut patient = bench.socket().await;
    patient.send(&connect("patient", 0)).await;
    patient.expect(b"\x20\x02\0\0").await;
    assert!(silent.expect_end().await.is_empty());
    patient.expect_nothing_but_a_ping_answer().await;
}

#[tokio::test]
async fn a_socket_that_never_says_connect_is_closed() {
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
    slow.send(b"\x10\x20\0\x04MQ").await;
    assert!(slow.expect_end().await.is_empty());
    let mut rude = bench.socket().await;
    rude.send(b"\xc0\0").await;
    assert!(rude.expect_end().await.is_empty());
}

#[tokio::test]
async fn a_subscriber_gets_the_decisions_of_its_zones() {
    let bench = bench().await;
    let (client, mut events) = bench.rumqttc("board");
    client
        .subscribe("ioc/v1/decisions/#", QoS::AtLeastOnce)
        .await
        .unwrap();
    let mut messages = Vec::new();
    let receive = async {
        while messages.len() < 3 {
            match events.poll().await.unwrap() {
                rumqttc::Event::Incoming(Packet::SubAck(_)) => {
                    for (zone, json) in [("z21", "{\"seq\":1}"), ("_", "{}"), ("a b", "{}")] {
                        bench.decisions.publish(zone, json.as_bytes());
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

#[tokio::test]
async fn a_subscriber_that_reads_nothing_hinders_nobody() {
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
    let mut slow = bench.client("slow").await;
    slow.send(b"\x82\x17\0\x01\0\x12ioc/v1/decisions/#\0").await;
    slow.expect(b"\x90\x03\0\x01\0").await;
    let mut other = bench.client("other").await;
    let long = vec![b' '; 16 * 1024];
    let until_the_slow_one_is_closed = async {
        while slow.0.write_all(b"\xc0\0").await.is_ok() {
            for _ in 0..8 {
                bench.decisions.publish("z", &long);
            }
            other.expect_nothing_but_a_ping_answer().await;
        }
    };
    within(until_the_slow_one_is_closed).await;
}

#[tokio::test]
async fn connections_beyond_the_bound_are_told_so() {
    let bench = bench_with(
        MqttOptions {
            connections_max: 1,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut first = bench.client("first").await;
    let mut second = bench.socket().await;
    second.send(&connect("second", 60)).await;
    assert_eq!(second.expect_end().await, b"\x20\x02\0\x03");
    first.expect_nothing_but_a_ping_answer().await;
}

#[tokio::test]
async fn a_refused_connect_is_told_why() {
    let bench = bench_with(
        MqttOptions {
            credentials: Credentials::Users(Users::new([("ann", "s3cret")])),
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
        (b"\x10\x0d\0\x04MQTT\x05\x02\0\0\0\x01c", 1),
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
    let (client, mut events) = {
        let mut options = rumqttc::MqttOptions::new("c", "127.0.0.1", bench.address.port());
        options.set_credentials("ann", "s3cret");
        AsyncClient::new(options, 1)
    };
    let first = within(events.poll()).await.unwrap();
    let rumqttc::Event::Incoming(Packet::ConnAck(answer)) = first else {
        panic!("{first:?}");
    };
    assert_eq!(answer.code, ConnectReturnCode::Success);
    assert!(!answer.session_present);
    drop(client);
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
    let mut client = bench.client("c").await;
    let stream: Vec<_> = (1..=5).flat_map(|n| publish(&format!("e{n}"), n)).collect();
    client.send(&stream).await;
    let first = bench.inputs(2).await;
    let mut other = bench.client("other").await;
    other.send(&publish("other", 1)).await;
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

#[tokio::test]
async fn what_was_received_behind_a_bound_is_not_forgotten() {
    let bench = bench_with(
        MqttOptions {
            decoded_bytes_max: 1,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut client = bench.client("c").await;
    let stream: Vec<_> = (1..=5).flat_map(|n| publish(&format!("e{n}"), n)).collect();
    client.send(&stream).await;
    let arrivals = bench.inputs(5).await;
    assert_eq!(said(&arrivals), ["e1", "e2", "e3", "e4", "e5"]);
}

#[tokio::test]
async fn pings_are_answered_while_the_door_is_full() {
    let door = DoorOptions {
        waiting_bytes_max: 1,
    };
    let bench = bench_with(options(), door).await;
    let mut client = bench.client("c").await;
    client.send(&publish("e1", 1)).await;
    // Not released: the door stays full.
    let queue = bench.arrivals().queue().clone();
    let next = tokio::task::spawn_blocking(move || queue.recv_timeout(DEADLINE));
    let first = next.await.unwrap().unwrap();
    client.send(&publish("e2", 2)).await;
    client.expect_nothing_but_a_ping_answer().await;
    client.send(&publish("e3", 3)).await;
    client.expect_nothing_but_a_ping_answer().await;
    bench.arrivals().release(&first);
    first.ack.settle();
    client.expect(&puback(1)).await;
    settle(bench.inputs(2).await);
    client.expect(&[puback(2), puback(3)].concat()).await;
}

#[tokio::test]
async fn a_connection_that_waits_too_long_for_the_door_is_closed() {
    let bench = bench_with(
        MqttOptions {
            overload_wait_max: Duration::from_millis(50),
            ..options()
        },
        DoorOptions {
            waiting_bytes_max: 1,
        },
    )
    .await;
    let mut client = bench.client("c").await;
    client.send(&publish("e1", 1)).await;
    let mut idle = bench.client("idle").await;
    client.send(&publish("e2", 2)).await;
    assert!(client.expect_end().await.is_empty());
    idle.expect_nothing_but_a_ping_answer().await;
}

#[tokio::test]
async fn stopping_acknowledges_what_was_handed_over_and_ends() {
    let mut bench = bench().await;
    let mut client = bench.client("c").await;
    let idle = bench.client("idle").await;
    client.send(&publish("e1", 1)).await;
    let arrivals = bench.inputs(1).await;
    bench.stop();
    assert!(idle.expect_end().await.is_empty());
    assert!(!bench.running.is_finished());
    settle(arrivals);
    assert_eq!(client.expect_end().await, puback(1));
    within(&mut bench.running).await.unwrap();
    let closed = TcpStream::connect(bench.address).await;
    assert!(closed.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let drain_wait_max = Duration::from_millis(50);
    let mut bench = bench_with(
        MqttOptions {
            drain_wait_max,
            ..options()
        },
        DoorOptions::default(),
    )
    .await;
    let mut client = bench.client("c").await;
    client.send(&publish("e1", 1)).await;
    let _never_settled = bench.inputs(1).await;
    bench.stop();
    within(&mut bench.running).await.unwrap();
    assert!(client.expect_end().await.is_empty());
}

#[tokio::test]
async fn connections_end_when_the_engine_is_gone() {
    let mut bench = bench().await;
    let mut waiting = bench.client("waiting").await;
    waiting.send(&publish("e1", 1)).await;
    drop(bench.inputs(1).await);
    assert!(waiting.expect_end().await.is_empty());
    drop(bench.arrivals.take());
    let mut late = bench.client("late").await;
    late.send(&publish("e2", 1)).await;
    assert!(late.expect_end().await.is_empty());
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
