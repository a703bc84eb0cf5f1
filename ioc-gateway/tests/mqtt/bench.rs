//! A listener that runs, the engine's end of its door, and clients that are nothing but a socket.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use ioc_core::record::Input;
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::door::{Arrival, Arrivals, Door, DoorOptions, Lane};
use ioc_gateway::mqtt::{Deliveries, Listener};
use ioc_gateway::options::MqttOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::packets::{Version, connect};

/// Longer than anything here takes on the slowest machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .expect("the deadline is generous")
}

/// A running listener, with the engine's end of its door.
pub struct Bench {
    pub address: SocketAddr,
    /// Where it is reached over WebSocket.
    pub http: SocketAddr,
    pub arrivals: Option<Arrivals>,
    pub deliveries: Deliveries,
    stop: Option<oneshot::Sender<()>>,
    pub running: JoinHandle<()>,
}

pub fn options() -> MqttOptions {
    MqttOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..MqttOptions::default()
    }
}

pub async fn bench() -> Bench {
    bench_with(options(), DoorOptions::default()).await
}

pub async fn bench_with(options: MqttOptions, door: DoorOptions) -> Bench {
    bench_of(options, door, Arc::default()).await
}

pub async fn bench_of(
    options: MqttOptions,
    door: DoorOptions,
    catalogue: Arc<ArcSwap<Catalogue>>,
) -> Bench {
    let (door, arrivals) = Door::new(door, catalogue);
    let listener = Listener::bind(options).await.unwrap();
    let address = listener.local_addr();
    let deliveries = Deliveries::default();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = socket.local_addr().unwrap();
    let serving = axum::serve(socket, listener.websocket());
    // It ends with the test's runtime.
    tokio::spawn(serving.into_future());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let running = tokio::spawn(listener.run(door, deliveries.clone(), shutdown));
    Bench {
        address,
        http,
        arrivals: Some(arrivals),
        deliveries,
        stop: Some(stop),
        running,
    }
}

impl Bench {
    pub fn arrivals(&self) -> &Arrivals {
        self.arrivals.as_ref().expect("the engine is not gone")
    }

    /// What telemetry arrives next; it no longer waits at the door, but is not settled.
    pub async fn arrival(&self) -> Arrival {
        self.arrival_in(Lane::Telemetry).await
    }

    /// The same in any lane.
    pub async fn arrival_in(&self, lane: Lane) -> Arrival {
        let queue = self.arrivals().queue(lane).clone();
        let next = tokio::task::spawn_blocking(move || queue.recv_timeout(DEADLINE));
        let arrival = next.await.unwrap().expect("something arrives in time");
        self.arrivals().release(&arrival);
        arrival
    }

    /// Takes arrivals until they are so many inputs.
    pub async fn inputs(&self, count: u32) -> Vec<Arrival> {
        let (mut arrivals, mut seen) = (Vec::new(), 0);
        while seen < count {
            let arrival = self.arrival().await;
            seen += arrival.inputs.count();
            arrivals.push(arrival);
        }
        assert_eq!(seen, count);
        arrivals
    }

    /// Publishes a decision.
    pub fn decide(&self, zone: &str, json: &[u8]) {
        self.deliveries
            .decision(zone, &Bytes::copy_from_slice(json));
    }

    /// Tells the listener to stop.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// A bare socket that said CONNECT and was let in.
    pub async fn client(&self, version: Version, client_id: &str) -> Bare {
        self.client_of(&connect(version, client_id, 60)).await
    }

    /// The same for a CONNECT of its own.
    pub async fn client_of(&self, connect: &[u8]) -> Bare {
        let mut bare = self.socket().await;
        bare.send(connect).await;
        let answer = bare.packet().await;
        assert_eq!(
            (answer[0], &answer[2..4]),
            (0x20, &[0, 0][..]),
            "{answer:x?}"
        );
        bare
    }

    pub async fn socket(&self) -> Bare {
        Bare(TcpStream::connect(self.address).await.unwrap())
    }
}

pub fn settle(arrivals: Vec<Arrival>) {
    for arrival in arrivals {
        arrival.ack.settle();
    }
}

/// The ids of readings and the reasons of dead letters.
pub fn said(arrivals: &[Arrival]) -> Vec<String> {
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
pub struct Bare(pub TcpStream);

impl Bare {
    pub async fn send(&mut self, bytes: &[u8]) {
        within(self.0.write_all(bytes)).await.unwrap();
    }

    pub async fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        within(self.0.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, bytes);
    }

    /// The next packet, which is shorter than 128 bytes.
    pub async fn packet(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 2];
        within(self.0.read_exact(&mut packet)).await.unwrap();
        assert!(packet[1] < 0x80);
        packet.resize(2 + usize::from(packet[1]), 0);
        within(self.0.read_exact(&mut packet[2..])).await.unwrap();
        packet
    }

    /// Reads whatever comes until the listener closes the connection.
    pub async fn expect_end(mut self) -> Vec<u8> {
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
    pub async fn expect_nothing_but_a_ping_answer(&mut self) {
        self.send(b"\xc0\0").await;
        self.expect(b"\xd0\0").await;
    }
}
