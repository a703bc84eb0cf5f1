//! A window on a loopback port, decisions to show in it, and a client that talks to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use ioc_core::decision::{Cause, Certainty, Condition, Decision, DecisionHash, Handling};
use ioc_core::decision::{Evidence, IncidentState, Released, SensorState, Severity, Verdict};
use ioc_core::id::IncidentId;
use ioc_core::place::Position;
use ioc_core::time::Timestamp;
use ioc_ws::{Commands, Guard, Published, Token, Window, WindowOptions};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub const TOKEN: &str = "s3cret";

pub fn at(seq: u64) -> Timestamp {
    Timestamp::from_millis(1_773_470_760_000 + seq as i64 * 1000)
}

pub fn id(name: &str) -> IncidentId {
    IncidentId::derive(&["flood", name])
}

pub fn incident(name: &str) -> IncidentState {
    IncidentState {
        id: id(name),
        kind: "flood".parse().unwrap(),
        severity: Severity::Severe,
        certainty: Certainty::Observed,
        condition: Condition::Active,
        handling: Handling::New,
        position: Position::from_degrees(101.6396, 3.1317),
        radius_m: 420,
        zone: "z21".parse().unwrap(),
        opened_at: at(1),
        episode: 1,
        sensors: 2,
        readings: 2,
        parent: None,
        escalated: None,
        shelved_until: None,
        suppressed: false,
    }
}

pub fn opened(name: &str) -> Verdict {
    Verdict::IncidentOpened(incident(name))
}

pub fn updated(name: &str, readings: u64) -> Verdict {
    let state = incident(name);
    Verdict::IncidentUpdated(IncidentState { readings, ..state })
}

pub fn merged(name: &str, into: &str) -> Verdict {
    let incident = IncidentState {
        handling: Handling::Merged,
        ..incident(name)
    };
    let into = id(into);
    Verdict::IncidentMerged { incident, into }
}

pub fn sensor_state(sensor: &str) -> SensorState {
    SensorState {
        id: sensor.parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        position: None,
        zone: "z21".parse().unwrap(),
        last_heard_at: at(0),
    }
}

pub fn cleared(name: &str) -> Verdict {
    Verdict::IncidentCleared(IncidentState {
        condition: Condition::Cleared,
        ..incident(name)
    })
}

/// A history in the making.
#[derive(Default)]
pub struct History {
    pub seq: u64,
    pub hash: DecisionHash,
}

impl History {
    /// The next decisions of it.
    pub fn publish(&mut self, verdicts: impl IntoIterator<Item = Verdict>) -> Vec<Published> {
        let publish = |verdict| {
            self.seq += 1;
            let evidence = Evidence {
                reading: format!("r{}", self.seq).parse().unwrap(),
                seq: self.seq * 10,
                sensor: "wl-0412".parse().unwrap(),
                rule: "river-high".parse().unwrap(),
                value: 3.72,
                distance_m: None,
                through: None,
            };
            let decision = Decision {
                seq: self.seq,
                at: at(self.seq),
                verdict,
                cause: Cause {
                    rule: Some("river-flood".parse().unwrap()),
                    evidence: vec![evidence],
                    ..Cause::default()
                },
            };
            let mut bytes = Vec::new();
            decision.encode(&mut bytes);
            self.hash = self.hash.after(&bytes);
            Published::new(Released {
                decision: Arc::new(decision),
                hash: self.hash,
            })
        };
        verdicts.into_iter().map(publish).collect()
    }
}

/// A window that is served.
pub struct Served {
    pub window: Window,
    pub commands: Commands,
    pub history: History,
    pub address: SocketAddr,
}

pub fn options(epoch: &str) -> WindowOptions {
    let mut options = WindowOptions::new(epoch.into(), Token::new(TOKEN), Arc::new(|| at(0)));
    options.beat_every = Duration::from_secs(3600);
    options
}

impl Served {
    pub async fn new() -> Self {
        Self::with(options("epoch-1")).await
    }

    pub async fn with(options: WindowOptions) -> Self {
        let (window, commands) = Window::new(options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Guard::new([]).over(window.router());
        // Small frames must not wait for the acknowledgement of the one before.
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            window,
            commands,
            history: History::default(),
            address,
        }
    }

    pub fn release(&mut self, verdicts: impl IntoIterator<Item = Verdict>) {
        self.window.release(self.history.publish(verdicts));
    }

    pub fn request(&self) -> Request {
        let url = format!("ws://{}/api/v1/stream", self.address);
        let mut request = url.into_client_request().unwrap();
        let protocol = "ioc.v1".parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        request
    }

    /// Connects and says hello.
    pub async fn connect(&self, hello: Value) -> Client {
        let mut client = Client::open(self.request()).await.unwrap();
        client.say(hello).await;
        client
    }
}

/// One end of the stream.
pub struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub async fn open(request: Request) -> Result<Self, Error> {
        let (socket, response) = tokio_tungstenite::connect_async(request).await?;
        assert_eq!(response.headers()["sec-websocket-protocol"], "ioc.v1");
        Ok(Self(socket))
    }

    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message.
    pub async fn hear(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.0.next());
            match next.await.expect("a message within 20 s").unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message of a type; those before it are dropped.
    pub async fn hear_of(&mut self, wanted: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == wanted {
                return message;
            }
        }
    }

    /// The code with which the server closes.
    pub async fn closed(mut self) -> u16 {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Close(close) => return close.unwrap().code.into(),
                _ => continue,
            }
        }
    }
}

/// The numbers of a frame's decisions.
pub fn numbers(frame: &Value) -> Vec<u64> {
    let decisions = frame["decisions"].as_array().unwrap();
    decisions
        .iter()
        .map(|decision| decision["seq"].as_u64().unwrap())
        .collect()
}
