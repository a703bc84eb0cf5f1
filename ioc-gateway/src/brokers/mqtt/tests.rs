//! The subscriber against a broker that is written out byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use arc_swap::ArcSwap;
use ioc_core::record::Input;

use crate::catalogue::Catalogue;
use crate::door::{Arrivals, DoorOptions, Encoded, Lane, Lanes, WhenFull};
use crate::formats::mapping::{Format, Moment};
use crate::formats::tests::{catalogue, gauges};

const WITHIN: Duration = Duration::from_secs(60);
const TOPIC: &str = "ioc/v1/readings/s";
const READING: &str = r#"{"id":"a","kind":"k","observed_at":"2026-03-14T06:45:10Z","value":1}"#;

const NAMED: &str =
    r#"{"id":"a","sensor":"s","kind":"k","observed_at":"2026-03-14T06:45:10Z","value":1}"#;

struct Bench {
    listener: TcpListener,
    arrivals: Arrivals,
    links: Links,
    stop: watch::Sender<bool>,
}

/// A subscriber of a listener that answers nothing by itself.
async fn bench(version: Version, change: impl FnOnce(&mut MqttBrokerOptions)) -> Bench {
    bench_of(version, Catalogue::default(), change).await
}

/// The same, with mappings.
async fn bench_of(
    version: Version,
    catalogue: Catalogue,
    change: impl FnOnce(&mut MqttBrokerOptions),
) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = MqttBrokerOptions {
        name: "city".into(),
        address: ("127.0.0.1".into(), listener.local_addr().unwrap().port()),
        version,
        ..MqttBrokerOptions::default()
    };
    change(&mut options);
    let catalogue = Arc::new(ArcSwap::from_pointee(catalogue));
    bench_of_door(
        listener,
        options,
        Door::new(DoorOptions::default(), catalogue),
    )
}

/// The same, with another door.
async fn bench_at(version: Version, door: DoorOptions) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = MqttBrokerOptions {
        name: "city".into(),
        address: ("127.0.0.1".into(), listener.local_addr().unwrap().port()),
        version,
        ..MqttBrokerOptions::default()
    };
    bench_of_door(listener, options, Door::new(door, Arc::default()))
}

fn bench_of_door(
    listener: TcpListener,
    options: MqttBrokerOptions,
    (door, arrivals): (Door, Arrivals),
) -> Bench {
    let sessions = Sessions::default();
    let (stop, stopping) = watch::channel(false);
    let links = Links::default();
    let shown = links.clone();
    tokio::spawn(async move {
        let mut told = stopping;
        let shutdown = async move {
            let _ = told.wait_for(|told| *told).await;
        };
        run(options, sessions, door, &shown, shutdown).await;
    });
    Bench {
        listener,
        arrivals,
        links,
        stop,
    }
}

impl Bench {
    /// The next connection, let in and subscribed.
    async fn subscribed(&self, version: Version) -> TcpStream {
        self.let_in(version, true).await
    }

    /// The same, with the session of before or without one.
    async fn let_in(&self, version: Version, session: bool) -> TcpStream {
        let (mut socket, _) = self.connected().await;
        self.introduce(&mut socket, version, session).await;
        socket
    }

    /// The next connection, and its CONNECT.
    async fn connected(&self) -> (TcpStream, Vec<u8>) {
        let accepted = timeout(WITHIN, self.listener.accept()).await;
        let (mut socket, _) = accepted.unwrap().unwrap();
        let connect = packet(&mut socket).await;
        assert_eq!(connect[0], 0x10, "CONNECT");
        (socket, connect)
    }

    /// Lets a connection in, with the session of before or without one, and subscribes it.
    async fn introduce(&self, socket: &mut TcpStream, version: Version, session: bool) {
        let v5 = version == Version::V5;
        let session = u8::from(session);
        let connack: &[u8] = if v5 {
            &[0x20, 3, session, 0, 0]
        } else {
            &[0x20, 2, session, 0]
        };
        socket.write_all(connack).await.unwrap();
        assert_eq!(packet(socket).await[0], 0x82, "SUBSCRIBE");
        self.grant(socket, version, 1).await;
    }

    /// Grants this quality of service.
    async fn grant(&self, socket: &mut TcpStream, version: Version, quality: u8) {
        let suback: &[u8] = if version == Version::V5 {
            &[0x90, 4, 0, 1, 0, quality]
        } else {
            &[0x90, 3, 0, 1, quality]
        };
        socket.write_all(suback).await.unwrap();
    }

    fn settle_next(&self) {
        self.next_arrival();
    }

    /// The next inputs, settled.
    fn next_arrival(&self) -> Encoded {
        let arrival = self
            .arrivals
            .queue(Lane::Telemetry)
            .recv_timeout(WITHIN)
            .unwrap();
        self.arrivals.release(&arrival);
        arrival.ack.settle();
        arrival.inputs
    }

    /// Settles all that comes, for ever.
    async fn settle_all(&self) {
        loop {
            while let Ok(arrival) = self.arrivals.queue(Lane::Telemetry).try_recv() {
                self.arrivals.release(&arrival);
                arrival.ack.settle();
            }
            tokio::task::yield_now().await;
        }
    }

    async fn until(&self, wanted: impl Fn(&str) -> bool) {
        let until = Instant::now() + WITHIN;
        while !self
            .links
            .states()
            .iter()
            .any(|(_, state)| wanted(&state.to_string()))
        {
            assert!(Instant::now() < until, "{:?}", self.links.states());
            tokio::task::yield_now().await;
        }
    }
}

/// The next packet.
async fn packet(socket: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let mut packet = vec![socket.read_u8().await.unwrap()];
        let length = socket.read_u8().await.unwrap();
        assert!(length < 128, "short packets only");
        packet.push(length);
        packet.resize(2 + usize::from(length), 0);
        socket.read_exact(&mut packet[2..]).await.unwrap();
        packet
    };
    timeout(WITHIN, read).await.unwrap()
}

async fn publish(socket: &mut TcpStream, version: Version, packet_id: u16, payload: &str) {
    publish_on(socket, version, (0x32, TOPIC), packet_id, payload).await;
}

/// A message of quality 1 with this type and flags, on this topic.
async fn publish_on(
    socket: &mut TcpStream,
    version: Version,
    (first, topic): (u8, &str),
    packet_id: u16,
    payload: &str,
) {
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    let topic = [&(topic.len() as u16).to_be_bytes()[..], topic.as_bytes()].concat();
    let body = [
        &topic,
        &packet_id.to_be_bytes()[..],
        properties,
        payload.as_bytes(),
    ]
    .concat();
    assert!(body.len() < 128);
    let head = [first, body.len() as u8];
    socket
        .write_all(&[&head[..], &body].concat())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_message_is_acknowledged_when_it_is_durable_and_not_on_the_next_connection() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut first = bench.subscribed(version).await;
        publish(&mut first, version, 7, READING).await;
        publish(&mut first, version, 8, "no reading").await;
        let held = bench
            .arrivals
            .queue(Lane::Telemetry)
            .recv_timeout(WITHIN)
            .unwrap();
        drop(first);
        let mut second = bench.subscribed(version).await;
        held.ack.settle();
        publish(&mut second, version, 9, READING).await;
        // What the first one brought may lie in the queue still, and before the second's.
        let settler = async {
            loop {
                while let Ok(arrival) = bench.arrivals.queue(Lane::Telemetry).try_recv() {
                    arrival.ack.settle();
                }
                tokio::task::yield_now().await;
            }
        };
        let acked = tokio::select! {
            acked = packet(&mut second) => acked,
            () = settler => unreachable!("it never ends"),
        };
        assert_eq!(acked, [0x40, 2, 0, 9], "never 7 nor 8");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rumqtt_1014_1056_what_a_lost_session_owed_does_not_keep_the_next_from_working() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut held = Vec::new();
        for session in [true, false, false, true] {
            let mut socket = bench.let_in(version, session).await;
            // The same identifiers as ever, of which the connections before acknowledged none.
            publish(&mut socket, version, 1, READING).await;
            publish(&mut socket, version, 2, READING).await;
            held.push(
                bench
                    .arrivals
                    .queue(Lane::Telemetry)
                    .recv_timeout(WITHIN)
                    .unwrap(),
            );
        }
        let mut last = bench.let_in(version, false).await;
        for arrival in held {
            arrival.ack.settle();
        }
        publish(&mut last, version, 1, READING).await;
        let settler = async {
            loop {
                while let Ok(arrival) = bench.arrivals.queue(Lane::Telemetry).try_recv() {
                    arrival.ack.settle();
                }
                tokio::task::yield_now().await;
            }
        };
        let acked = tokio::select! {
            acked = packet(&mut last) => acked,
            () = settler => unreachable!("it never ends"),
        };
        assert_eq!(acked, [0x40, 2, 0, 1]);
        bench.until(|state| state == "up").await;
    }
}

/// Subscribed to with quality 1, it may not be delivered so (3.8.4); some brokers do.
#[tokio::test(flavor = "multi_thread")]
async fn p1_a_message_of_quality_2_is_received_when_it_is_durable() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut socket = bench.subscribed(version).await;
        publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
        let held = bench.arrivals.queue(Lane::Telemetry);
        let held = held.recv_timeout(WITHIN).unwrap();
        publish(&mut socket, version, 8, READING).await;
        assert!(socket.try_read(&mut [0]).is_err(), "nothing is durable");
        bench.arrivals.release(&held);
        held.ack.settle();
        bench.settle_next();
        assert_eq!(packet(&mut socket).await, [0x50, 2, 0, 7], "PUBREC");
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 8]);
        // The number is free again for another message.
        for _ in 0..2 {
            socket.write_all(&[0x62, 2, 0, 7]).await.unwrap();
            assert_eq!(packet(&mut socket).await, [0x70, 2, 0, 7], "PUBCOMP");
            publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
            bench.settle_next();
            assert_eq!(packet(&mut socket).await, [0x50, 2, 0, 7], "PUBREC");
        }
        bench.until(|state| state == "up").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_message_of_quality_2_that_comes_again_is_received_once_on_each_connection() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut first = bench.subscribed(version).await;
        publish_on(&mut first, version, (0x34, TOPIC), 7, READING).await;
        bench.settle_next();
        assert_eq!(packet(&mut first).await, [0x50, 2, 0, 7]);
        publish_on(&mut first, version, (0x3c, TOPIC), 7, READING).await;
        assert_eq!(packet(&mut first).await, [0x50, 2, 0, 7]);
        assert!(bench.arrivals.queue(Lane::Telemetry).is_empty());
        // Another one, of a broker that has given up the first.
        publish_on(&mut first, version, (0x34, TOPIC), 7, READING).await;
        bench.settle_next();
        assert_eq!(packet(&mut first).await, [0x50, 2, 0, 7]);
        publish_on(&mut first, version, (0x34, TOPIC), 9, READING).await;
        bench.settle_next();
        drop(first);
        let mut second = bench.subscribed(version).await;
        // Of one our PUBREC was heard, of the other it was not.
        let released = [0x62, 2, 0, 7];
        second.write_all(&released).await.unwrap();
        assert_eq!(packet(&mut second).await, [0x70, 2, 0, 7]);
        publish_on(&mut second, version, (0x3c, TOPIC), 9, READING).await;
        bench.settle_next();
        assert_eq!(packet(&mut second).await, [0x50, 2, 0, 9]);
        second.write_all(&[0x62, 2, 0, 9]).await.unwrap();
        assert_eq!(packet(&mut second).await, [0x70, 2, 0, 9]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_message_of_quality_2_is_not_complete_before_it_is_durable() {
    let version = Version::V5;
    let bench = bench(version, |_| {}).await;
    let mut socket = bench.subscribed(version).await;
    publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
    socket.write_all(&[0x62, 2, 0, 7]).await.unwrap();
    bench
        .until(|state| state.contains("PUBREL before PUBREC"))
        .await;
}

/// What is owed for a message again must not be taken for the answer to the next one of its identifier.
#[tokio::test(flavor = "multi_thread")]
async fn p1_a_message_of_quality_2_that_comes_again_is_answered_before_it_is_complete() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut socket = bench.subscribed(version).await;
        let next = || {
            let arrival = bench.arrivals.queue(Lane::Telemetry).recv_timeout(WITHIN);
            let arrival = arrival.unwrap();
            bench.arrivals.release(&arrival);
            arrival
        };
        publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
        let first = next();
        publish(&mut socket, version, 8, READING).await;
        let between = next();
        publish_on(&mut socket, version, (0x3c, TOPIC), 7, READING).await;
        publish(&mut socket, version, 9, READING).await;
        let behind = next();
        first.ack.settle();
        for _ in 0..2 {
            assert_eq!(packet(&mut socket).await, [0x50, 2, 0, 7], "PUBREC");
        }
        // Once more, and its answer passes what is not durable.
        publish_on(&mut socket, version, (0x3c, TOPIC), 7, READING).await;
        assert_eq!(packet(&mut socket).await, [0x50, 2, 0, 7], "PUBREC");
        socket.write_all(&[0x62, 2, 0, 7]).await.unwrap();
        assert_eq!(packet(&mut socket).await, [0x70, 2, 0, 7], "PUBCOMP");
        // Another message: nothing says that it is received before it is durable.
        publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
        let another = next();
        between.ack.settle();
        behind.ack.settle();
        for packet_id in [8, 9] {
            assert_eq!(packet(&mut socket).await, [0x40, 2, 0, packet_id]);
        }
        publish(&mut socket, version, 10, READING).await;
        let last = next();
        another.ack.settle();
        last.ack.settle();
        assert_eq!(packet(&mut socket).await, [0x50, 2, 0, 7], "PUBREC");
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 10]);
    }
}

/// A broker that has given up a message takes what is said of it for the one that has its identifier.
#[tokio::test(flavor = "multi_thread")]
async fn p1_a_message_of_quality_2_that_takes_the_place_of_another_is_answered_for_itself() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut socket = bench.subscribed(version).await;
        let next = || {
            let arrival = bench.arrivals.queue(Lane::Telemetry).recv_timeout(WITHIN);
            let arrival = arrival.unwrap();
            bench.arrivals.release(&arrival);
            arrival
        };
        publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
        let given_up = next();
        publish(&mut socket, version, 8, READING).await;
        let between = next();
        publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
        let another = next();
        given_up.ack.settle();
        between.ack.settle();
        assert_eq!(
            packet(&mut socket).await,
            [0x40, 2, 0, 8],
            "of the first nothing"
        );
        another.ack.settle();
        assert_eq!(packet(&mut socket).await, [0x50, 2, 0, 7], "PUBREC");
        // A third one, and the broker goes on with what was said of the second.
        publish_on(&mut socket, version, (0x34, TOPIC), 7, READING).await;
        let third = next();
        socket.write_all(&[0x62, 2, 0, 7]).await.unwrap();
        bench
            .until(|state| state.contains("PUBREL before PUBREC"))
            .await;
        third.ack.settle();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_message_that_is_released_too_early_is_at_the_door_before_its_broker_is_left() {
    for version in [Version::V311, Version::V5] {
        let options = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| 1),
            when_full: WhenFull::Wait,
            ..DoorOptions::default()
        };
        let bench = bench_at(version, options).await;
        let mut socket = bench.subscribed(version).await;
        for packet_id in 1..=3 {
            publish_on(&mut socket, version, (0x34, TOPIC), packet_id, READING).await;
        }
        socket.write_all(&[0x62, 2, 0, 3]).await.unwrap();
        // Two of them wait for the first to be taken out.
        let mut taken = 0;
        while taken < 3 {
            taken += bench.next_arrival().records();
        }
        bench
            .until(|state| state.contains("PUBREL before PUBREC"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_broker_that_does_not_read_what_it_is_answered_is_left() {
    let version = Version::V311;
    let bench = bench(version, |_| {}).await;
    let mut socket = bench.subscribed(version).await;
    let released = [0x62_u8, 2, 0, 7].repeat(64 << 10);
    let writes = async { while socket.write_all(&released).await.is_ok() {} };
    timeout(WITHIN, writes).await.unwrap();
    bench
        .until(|state| state.contains("more PUBRELs than it reads answers"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orion_ld_1427_a_broker_that_falls_silent_is_left_and_connected_to_again() {
    let version = Version::V5;
    let bench = bench(version, |options| {
        options.keep_alive = Duration::from_secs(1);
    })
    .await;
    let mut silent = bench.subscribed(version).await;
    assert_eq!(packet(&mut silent).await, [0xc0, 0], "a ping");
    let again = bench.subscribed(version).await;
    bench.until(|state| state == "up").await;
    drop((silent, again));
}

/// A message of quality 1 that is longer than any may be.
fn oversized(version: Version) -> Vec<u8> {
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    let topic = [&[0, TOPIC.len() as u8], TOPIC.as_bytes()].concat();
    // Behind a fixed header that says 16 MiB and 4,096 bytes.
    let head = [0x32, 0x80, 0xa0, 0x80, 0x08];
    let mut packet = [&head[..], &topic, &[0, 1], properties].concat();
    packet.resize(head.len() + (16 << 20) + 4096, b'x');
    packet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_is_a_dead_letter_and_what_lies_behind_it_is_read() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut socket = bench.subscribed(version).await;
        socket.write_all(&oversized(version)).await.unwrap();
        let letter = bench.next_arrival();
        let letter = letter.iter().next().unwrap();
        match Input::decode(letter).unwrap() {
            Input::DeadLetter(letter) => {
                assert_eq!((letter.reason, letter.topic), ("payload_too_long", TOPIC));
                assert!(letter.payload_bytes > 16 << 20, "{}", letter.payload_bytes);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 1]);
        publish(&mut socket, version, 2, READING).await;
        bench.settle_next();
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_subscribed_to_any_more_is_acknowledged_and_not_read() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut socket = bench.subscribed(version).await;
        publish_on(&mut socket, version, (0x32, "city/old/7"), 1, READING).await;
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 1]);
        assert!(bench.arrivals.queue(Lane::Telemetry).is_empty());
        publish(&mut socket, version, 2, READING).await;
        bench.settle_next();
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 2]);
    }
}

/// A filter that was moved between two lists stands in the session of before.
#[tokio::test(flavor = "multi_thread")]
async fn p1_what_another_connection_of_the_link_asks_for_is_read_on_each() {
    for version in [Version::V311, Version::V5] {
        let change = |options: &mut MqttBrokerOptions| {
            options.urgent_topics = vec!["city/alarms/#".into()];
        };
        let bench = bench(version, change).await;
        for _ in 0..2 {
            let mut socket = bench.subscribed(version).await;
            for (packet_id, topic) in [(1, TOPIC), (2, "city/alarms/7")] {
                let on = (0x32, topic);
                publish_on(&mut socket, version, on, packet_id, NAMED).await;
                bench.settle_next();
                assert_eq!(packet(&mut socket).await, [0x40, 2, 0, packet_id as u8]);
            }
        }
    }
}

/// What these links become, which read from a listener.
fn bench_of_links(
    listener: TcpListener,
    options: &[MqttBrokerOptions],
    sessions: &Sessions,
) -> Bench {
    let (door, arrivals) = Door::new(DoorOptions::default(), Arc::default());
    let (stop, links) = (watch::Sender::new(false), Links::default());
    for options in options {
        let (options, sessions) = (options.clone(), sessions.clone());
        let (door, links, mut told) = (door.clone(), links.clone(), stop.subscribe());
        tokio::spawn(async move {
            let shutdown = async move {
                let _ = told.wait_for(|told| *told).await;
            };
            run(options, sessions, door, &links, shutdown).await;
        });
    }
    Bench {
        listener,
        arrivals,
        links,
        stop,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_filters_that_the_broker_does_not_give_up_are_known_at_the_next_start() {
    for (reason, is_given_up) in [(0, true), (0x11, true), (0x87, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = |topics: &[&str]| MqttBrokerOptions {
            client_id: "a".to_owned(),
            address: ("127.0.0.1".into(), port),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            ..MqttBrokerOptions::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let file = Some(dir.path().join("sessions/mqtt"));
        let before = link(&["ioc/v1/readings/#", "city/#"]);
        Sessions::kept(file.clone(), std::slice::from_ref(&before)).let_in(&before, "a");
        let now = [link(&["ioc/v1/readings/#"])];
        let sessions = Sessions::kept(file.clone(), &now);
        let bench = bench_of_links(listener, &now, &sessions);
        let mut socket = bench.let_in(Version::V5, true).await;
        assert_eq!(packet(&mut socket).await[0], 0xa2, "UNSUBSCRIBE");
        let unsuback = [0xb0, 4, 0, 2, 0, reason];
        socket.write_all(&unsuback).await.unwrap();
        publish(&mut socket, Version::V5, 1, READING).await;
        bench.settle_next();
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 1]);
        let next = Sessions::kept(file, &now);
        let others = next.others(&now[0], "a", &now[0].topics);
        assert_eq!(others.is_empty(), is_given_up, "{reason:x}");
    }
}

/// A filter that was moved to another link of the same broker stands in the session of before.
#[tokio::test(flavor = "multi_thread")]
async fn p1_no_filter_is_given_up_before_all_links_of_its_broker_have_subscribed() {
    for version in [Version::V311, Version::V5] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = |name: &str, topics: &[&str]| MqttBrokerOptions {
            name: name.to_owned(),
            client_id: name.to_owned(),
            address: ("127.0.0.1".into(), port),
            version,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            ..MqttBrokerOptions::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let file = Some(dir.path().join("sessions/mqtt"));
        let before = link("a", &["ioc/v1/readings/#", "city/#"]);
        let sessions = Sessions::kept(file.clone(), std::slice::from_ref(&before));
        sessions.let_in(&before, "a");
        let both = [link("a", &["ioc/v1/readings/#"]), link("b", &["city/#"])];
        let sessions = Sessions::kept(file, &both);
        let bench = bench_of_links(listener, &both, &sessions);
        let (first, second) = (bench.connected().await, bench.connected().await);
        let (mut a, mut b) = match first.1.ends_with(b"a") {
            true => (first.0, second.0),
            false => (second.0, first.0),
        };
        bench.introduce(&mut a, version, true).await;
        publish_on(&mut a, version, (0x32, "city/7"), 1, NAMED).await;
        bench.settle_next();
        assert_eq!(
            packet(&mut a).await,
            [0x40, 2, 0, 1],
            "read, nothing given up"
        );
        bench.introduce(&mut b, version, false).await;
        assert_eq!(packet(&mut a).await[0], 0xa2, "UNSUBSCRIBE");
    }
}

/// While one link is not let in, a restart of the broker must not look like another process.
#[tokio::test(flavor = "multi_thread")]
async fn p1_a_session_that_is_left_is_not_taken_up_before_all_links_of_its_broker_have_subscribed()
{
    for version in [Version::V311, Version::V5] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = |name: &str| MqttBrokerOptions {
            name: name.to_owned(),
            client_id: name.to_owned(),
            address: ("127.0.0.1".into(), port),
            version,
            ..MqttBrokerOptions::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let file = Some(dir.path().join("sessions/mqtt"));
        let left = link("left");
        let sessions = Sessions::kept(file.clone(), std::slice::from_ref(&left));
        sessions.let_in(&left, "left");
        let both = [link("a"), link("b")];
        let sessions = Sessions::kept(file.clone(), &both);
        let bench = bench_of_links(listener, &both, &sessions);
        let is_of = |connect: &[u8], id: &str| connect.ends_with(id.as_bytes());
        // One is let in, and the other refused, several times.
        let (mut kept, mut refused) = (Vec::new(), 0);
        while refused < 3 {
            let (mut socket, connect) = bench.connected().await;
            if is_of(&connect, "b") {
                let refusal: &[u8] = match version {
                    Version::V311 => &[0x20, 2, 0, 5],
                    Version::V5 => &[0x20, 3, 0, 0x87, 0],
                };
                socket.write_all(refusal).await.unwrap();
                refused += 1;
            } else if is_of(&connect, "a") {
                bench.introduce(&mut socket, version, true).await;
                kept.push(socket);
            } else {
                // The broker is started again while the session is waited for.
                let connack: &[u8] = match version {
                    Version::V311 => &[0x20, 2, 1, 0],
                    Version::V5 => &[0x20, 3, 1, 0, 0],
                };
                socket.write_all(connack).await.unwrap();
                bench
                    .until(|state| state.contains("not configured any more"))
                    .await;
            }
        }
        // It is as it was: the next start reads it.
        let next = Sessions::kept(file, &both);
        let left_to = |link: &MqttBrokerOptions| next.left_to(link).len();
        assert_eq!(left_to(&both[0]) + left_to(&both[1]), 1);
        loop {
            let (mut socket, connect) = bench.connected().await;
            if is_of(&connect, "left") {
                break;
            }
            bench.introduce(&mut socket, version, true).await;
            kept.push(socket);
        }
    }
}

/// A link, and a session of before that is not configured any more, at a listener.
async fn bench_with_left(version: Version) -> (Bench, MqttBrokerOptions, tempfile::TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = |name: &str| MqttBrokerOptions {
        name: name.to_owned(),
        client_id: name.to_owned(),
        address: ("127.0.0.1".into(), listener.local_addr().unwrap().port()),
        version,
        ..MqttBrokerOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let file = Some(dir.path().join("sessions/mqtt"));
    let left = link("left");
    Sessions::kept(file.clone(), std::slice::from_ref(&left)).let_in(&left, "left");
    let now = link("a");
    let sessions = Sessions::kept(file, std::slice::from_ref(&now));
    let bench = bench_of_links(listener, std::slice::from_ref(&now), &sessions);
    (bench, now, dir)
}

impl Bench {
    /// The next connection, which is of the session that is left.
    async fn left(&self, version: Version, session: bool) -> TcpStream {
        let (mut socket, connect) = self.connected().await;
        assert!(connect.ends_with(b"left"), "{connect:?}");
        introduce_left(&mut socket, version, session).await;
        socket
    }

    /// The next two: that of the link, and that.
    async fn both(&self, version: Version) -> (TcpStream, TcpStream) {
        let (first, second) = (self.connected().await, self.connected().await);
        let ((mut a, _), (mut left, connect)) = match first.1.ends_with(b"left") {
            true => (second, first),
            false => (first, second),
        };
        assert!(connect.ends_with(b"left"), "{connect:?}");
        self.introduce(&mut a, version, true).await;
        introduce_left(&mut left, version, true).await;
        (a, left)
    }
}

/// Lets in the connection of a session that is left, with that or without, and unsubscribes it.
async fn introduce_left(socket: &mut TcpStream, version: Version, session: bool) {
    let present = u8::from(session);
    let (connack, unsuback): (&[u8], &[u8]) = match version {
        Version::V311 => (&[0x20, 2, present, 0], &[0xb0, 2, 0, 2]),
        Version::V5 => (&[0x20, 3, present, 0, 0], &[0xb0, 4, 0, 2, 0, 0]),
    };
    socket.write_all(connack).await.unwrap();
    if session {
        assert_eq!(packet(socket).await[0], 0xa2, "UNSUBSCRIBE");
        socket.write_all(unsuback).await.unwrap();
    }
}

/// How many sessions are left to a link at the next start.
fn left_to(link: &MqttBrokerOptions, dir: &tempfile::TempDir) -> usize {
    let file = Some(dir.path().join("sessions/mqtt"));
    let next = Sessions::kept(file, std::slice::from_ref(link));
    next.left_to(link).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_session_that_is_left_is_read_on_whatever_happens_to_its_connections() {
    for version in [Version::V311, Version::V5] {
        let (bench, now, dir) = bench_with_left(version).await;
        let mut a = bench.subscribed(version).await;
        let mut left = bench.left(version, true).await;
        // The broker is stopped, and says so if it can.
        for packet_id in 1..=4 {
            publish(&mut left, version, packet_id, READING).await;
            bench.settle_next();
            assert_eq!(packet(&mut left).await, [0x40, 2, 0, packet_id as u8]);
            if version == Version::V5 {
                left.write_all(&[0xe0, 2, 0x8b, 0]).await.unwrap();
            }
            drop((left, a));
            (a, left) = bench.both(version).await;
        }
        // It flaps, and brings nothing.
        for _ in 0..2 * TURNED_OUT_MAX {
            drop((left, a));
            (a, left) = bench.both(version).await;
        }
        // The connection alone is cut, and brings something each time.
        for packet_id in 1..=4 {
            publish(&mut left, version, packet_id, READING).await;
            bench.settle_next();
            assert_eq!(packet(&mut left).await, [0x40, 2, 0, packet_id as u8]);
            drop(left);
            left = bench.left(version, true).await;
        }
        assert_eq!(left_to(&now, &dir), 1, "it is there still");
        // Its broker has lost it.
        drop(left);
        let mut left = bench.left(version, false).await;
        assert_eq!(packet(&mut left).await, [0xc0, 0], "is there anything");
        left.write_all(&[0xd0, 0]).await.unwrap();
        assert_eq!(packet(&mut left).await, [0xe0, 0], "it takes its leave");
        bench.connected().await;
        drop(a);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_session_that_another_process_takes_is_left_to_it() {
    // Where nobody says so the connection ends, again and again, and no other.
    for (version, is_told, brings, times) in [
        (Version::V5, true, false, 1),
        (Version::V5, false, false, TURNED_OUT_MAX),
        (Version::V311, false, false, TURNED_OUT_MAX),
        // It takes turns with the other, and each time it is given what that had not acknowledged.
        (Version::V311, false, true, TURNS_MAX),
    ] {
        let (bench, now, dir) = bench_with_left(version).await;
        let _a = bench.subscribed(version).await;
        for _ in 0..times {
            assert_eq!(left_to(&now, &dir), 1);
            let mut left = bench.left(version, true).await;
            if brings {
                publish(&mut left, version, 1, READING).await;
                bench.settle_next();
                assert_eq!(packet(&mut left).await, [0x40, 2, 0, 1]);
            }
            if is_told {
                left.write_all(&[0xe0, 1, 0x8e]).await.unwrap();
            }
        }
        let until = Instant::now() + WITHIN;
        while bench.links.states().len() > 1 {
            assert!(Instant::now() < until, "{:?}", bench.links.states());
            tokio::task::yield_now().await;
        }
        assert_eq!(left_to(&now, &dir), 0, "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_payload_removes_what_was_retained_and_is_no_reading() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let mut socket = bench.subscribed(version).await;
        for (packet_id, first) in [(1_u8, 0x32), (2, 0x33)] {
            publish_on(&mut socket, version, (first, TOPIC), packet_id.into(), "").await;
            assert_eq!(packet(&mut socket).await, [0x40, 2, 0, packet_id]);
        }
        assert!(bench.arrivals.queue(Lane::Telemetry).is_empty());
        publish(&mut socket, version, 3, READING).await;
        bench.settle_next();
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_keeps_of_a_topic_is_no_news_at_each_connection() {
    let timeless = r#"{"gauges":[{"name":"g","level":1}]}"#;
    for (version, session, (topic, payload), is_read) in [
        (Version::V311, true, ("city/gauges", timeless), false),
        (Version::V311, true, (TOPIC, "no reading"), false),
        // Known by what it says, if it was read before.
        (Version::V311, true, (TOPIC, READING), true),
        (Version::V311, true, ("city/own", NAMED), true),
        (Version::V311, false, ("city/gauges", timeless), true),
        (Version::V5, true, ("city/gauges", timeless), true),
    ] {
        let Format::Json(mut shape) = gauges() else {
            panic!("gauges are JSON");
        };
        shape.readings[0].observed_at = Moment::Arrival;
        shape.readings[0].id = None;
        let catalogue = catalogue("city/gauges", Format::Json(shape));
        let change = |options: &mut MqttBrokerOptions| {
            options.topics = vec!["#".to_owned()];
        };
        let bench = bench_of(version, catalogue, change).await;
        let mut socket = bench.let_in(version, session).await;
        publish_on(&mut socket, version, (0x33, topic), 1, payload).await;
        if is_read {
            let inputs = bench.next_arrival();
            let is_reading = |input| matches!(Input::decode(input), Ok(Input::Reading(_)));
            assert!(inputs.iter().all(is_reading), "{payload}");
        }
        assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 1]);
        assert!(bench.arrivals.queue(Lane::Telemetry).is_empty());
    }
}

/// What a broker sends all the time: messages of quality 0.
async fn chatter(socket: &mut (impl AsyncWriteExt + Unpin)) {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    let message = [
        &[0x30, 2 + TOPIC.len() as u8 + 2][..],
        &[0, TOPIC.len() as u8],
        TOPIC.as_bytes(),
        b"{}",
    ];
    loop {
        beat.tick().await;
        socket.write_all(&message.concat()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_hears_of_us_in_time_however_much_it_says() {
    let version = Version::V311;
    let bench = bench(version, |options| {
        options.keep_alive = Duration::from_secs(1);
    })
    .await;
    let socket = bench.subscribed(version).await;
    let (mut reader, mut writer) = socket.into_split();
    for _ in 0..2 {
        let began = Instant::now();
        let mut ping = [0; 2];
        tokio::select! {
            read = timeout(WITHIN, reader.read_exact(&mut ping)) => {
                read.unwrap().unwrap();
            }
            () = chatter(&mut writer) => unreachable!("it never ends"),
        }
        assert_eq!(ping, [0xc0, 0]);
        assert!(began.elapsed() < WITHIN / 2, "it waited for silence");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_hears_of_us_in_time_while_the_door_is_full() {
    let version = Version::V311;
    let bench = bench(version, |options| {
        options.keep_alive = Duration::from_secs(1);
        options.inflight_max = 1;
    })
    .await;
    let mut socket = bench.subscribed(version).await;
    for packet_id in 1..=3 {
        publish(&mut socket, version, packet_id, READING).await;
    }
    for _ in 0..3 {
        // The answers lie behind what is not read, and are not missed.
        assert_eq!(packet(&mut socket).await, [0xc0, 0], "a ping");
        socket.write_all(&[0xd0, 0]).await.unwrap();
    }
    let acked = async {
        for packet_id in 1..=3 {
            let mut next = packet(&mut socket).await;
            while next == [0xc0, 0] {
                next = packet(&mut socket).await;
            }
            assert_eq!(next, [0x40, 2, 0, packet_id], "on the same connection");
        }
    };
    tokio::select! {
        () = acked => {}
        () = bench.settle_all() => unreachable!("it never ends"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_shown_and_tried_again() {
    let bench = bench(Version::V311, |_| {}).await;
    let (mut socket, _) = bench.listener.accept().await.unwrap();
    packet(&mut socket).await;
    socket.write_all(&[0x20, 2, 0, 5]).await.unwrap();
    bench
        .until(|state| state.contains("refused the connection: NotAuthorized"))
        .await;
    let (mut socket, _) = timeout(WITHIN, bench.listener.accept())
        .await
        .unwrap()
        .unwrap();
    packet(&mut socket).await;
    socket.write_all(&[0x20, 2, 0, 0]).await.unwrap();
    packet(&mut socket).await;
    socket.write_all(&[0x90, 3, 0, 1, 0x80]).await.unwrap();
    bench
        .until(|state| state.contains("subscription to ioc/v1/readings/#"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_grants_no_more_than_qos_0_is_told_of() {
    for version in [Version::V311, Version::V5] {
        let bench = bench(version, |_| {}).await;
        let (mut socket, _) = bench.listener.accept().await.unwrap();
        packet(&mut socket).await;
        let connack: &[u8] = match version {
            Version::V311 => &[0x20, 2, 0, 0],
            Version::V5 => &[0x20, 3, 0, 0, 0],
        };
        socket.write_all(connack).await.unwrap();
        packet(&mut socket).await;
        bench.grant(&mut socket, version, 0).await;
        let lossy = |state: &str| state.starts_with("up, but the broker grants QoS 0");
        bench.until(lossy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_keeps_the_session_for_less_long_is_told_of() {
    let version = Version::V5;
    for (kept_s, granted, told) in [
        (
            0_u32,
            1,
            "up, but the broker keeps the session for 0 s only",
        ),
        (
            3600,
            1,
            "up, but the broker keeps the session for 3600 s only",
        ),
        (3600, 0, "up, but the broker grants QoS 0"),
        (86_400, 1, "up"),
        (u32::MAX, 1, "up"),
    ] {
        let bench = bench(version, |_| {}).await;
        let (mut socket, _) = bench.connected().await;
        let connack = [&[0x20, 8, 0, 0, 5, 0x11][..], &kept_s.to_be_bytes()].concat();
        socket.write_all(&connack).await.unwrap();
        assert_eq!(packet(&mut socket).await[0], 0x82, "SUBSCRIBE");
        bench.grant(&mut socket, version, granted).await;
        bench.until(|state| state != "connecting").await;
        let (_, state) = bench.links.states().remove(0);
        let state = state.to_string();
        let is_told = state.starts_with(told) && (told != "up" || state == "up");
        assert!(is_told, "{kept_s}: {state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_waits_for_what_was_read_and_then_takes_leave() {
    let version = Version::V5;
    let bench = bench(version, |_| {}).await;
    let mut socket = bench.subscribed(version).await;
    publish(&mut socket, version, 3, READING).await;
    while bench.arrivals.queue(Lane::Telemetry).is_empty() {
        tokio::task::yield_now().await;
    }
    bench.stop.send_replace(true);
    bench.settle_next();
    assert_eq!(packet(&mut socket).await, [0x40, 2, 0, 3]);
    assert_eq!(packet(&mut socket).await, [0xe0, 0]);
    bench.until(|state| state == "ended").await;
}

#[tokio::test]
async fn p5_no_more_commands_are_on_their_way_than_the_broker_takes() {
    for (version, connack, window) in [
        (Version::V311, &[0x20, 2, 0, 0][..], 16),
        (Version::V5, &[0x20, 6, 0, 0, 3, 0x21, 0, 5], 5),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = MqttBrokerOptions {
            address: ("127.0.0.1".into(), listener.local_addr().unwrap().port()),
            version,
            ..MqttBrokerOptions::default()
        };
        let broker = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert_eq!(packet(&mut socket).await[0], 0x10, "CONNECT");
            socket.write_all(connack).await.unwrap();
            for some in [window, window, 1] {
                for _ in 0..some {
                    assert_eq!(packet(&mut socket).await[0], 0x32, "PUBLISH");
                }
                let mut byte = [0];
                let more = socket.try_read(&mut byte);
                assert!(more.is_err(), "no more before they are acknowledged");
                for packet_id in 1..=some {
                    let puback = [0x40, 2, 0, packet_id];
                    socket.write_all(&puback).await.unwrap();
                }
            }
            socket
        });
        let mut publishing = Publishing::new(&options, "c").await.unwrap();
        let message = |_| Outgoing {
            topic: "ioc/v1/commands/gate".into(),
            payload: "{}".into(),
            at_least_once: true,
            expires_s: 60,
        };
        let messages: Vec<_> = (0..2 * window + 1).map(message).collect();
        let published = publishing.publish(&messages).await.unwrap();
        assert_eq!(published, vec![Published::Taken; messages.len()]);
        drop(broker.await.unwrap());
        let broken = timeout(WITHIN, publishing.broken()).await.unwrap();
        assert!(matches!(broken, LinkError::Closed), "{broken}");
    }
}

#[tokio::test]
async fn urgent_topics_have_a_connection_of_their_own_and_shared_ones_several() {
    let bench = bench(Version::V5, |options| {
        options.urgent_topics = vec!["alarms/#".into()];
        options.share = Some("ioc".into());
        options.connections = 3;
    })
    .await;
    let until = Instant::now() + WITHIN;
    while bench.links.states().len() < 4 {
        assert!(Instant::now() < until);
        tokio::task::yield_now().await;
    }
    let names: Vec<_> = bench
        .links
        .states()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "mqtt city",
            "mqtt city-2",
            "mqtt city-3",
            "mqtt city-urgent"
        ]
    );
}
