//! A console's end of the stream, as any client could write it from `docs/PROTOCOL.md`.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::DEADLINE;

/// What a client must know to go on where it stopped.
#[derive(Debug, Clone)]
pub struct Place {
    pub epoch: String,
    pub seq: u64,
    pub hash: String,
}

impl Place {
    /// Where a snapshot stands: at what the welcome before it names.
    fn of(welcome: &Value) -> Self {
        Self {
            epoch: welcome["epoch"].as_str().unwrap().to_owned(),
            seq: welcome["seq"].as_u64().unwrap(),
            hash: welcome["hash"].as_str().unwrap().to_owned(),
        }
    }
}

pub struct Stream {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub place: Place,
    pub welcome: Value,
}

impl Stream {
    /// Connects and says hello; the welcome has come when this returns.
    pub async fn open(to: SocketAddr, token: Option<&str>, resume: Option<&Place>) -> Self {
        let mut request = format!("ws://{to}/api/v1/stream")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "ioc.v1".parse().unwrap());
        let (mut socket, _) = connect_async(request).await.unwrap();
        let mut hello = json!({ "type": "hello", "token": token });
        if let Some(place) = resume {
            hello["resume"] = json!({ "epoch": place.epoch, "seq": place.seq, "hash": place.hash });
        }
        socket.send(Message::text(hello.to_string())).await.unwrap();
        let place = Place {
            epoch: String::new(),
            seq: 0,
            hash: String::new(),
        };
        let mut stream = Self {
            socket,
            place,
            welcome: Value::Null,
        };
        let welcome = stream.next_of("welcome").await;
        stream.place = match resume {
            Some(place) if welcome["next"] != "snapshot" => place.clone(),
            _ => Place::of(&welcome),
        };
        stream.welcome = welcome;
        stream
    }

    /// The next message of a type; others are passed over.
    pub async fn next_of(&mut self, wanted: &str) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            let message = timeout_at(until, self.socket.next()).await;
            let message = message.unwrap_or_else(|_| panic!("waited in vain for a {wanted}"));
            let Message::Text(text) = message.unwrap().unwrap() else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == wanted {
                return message;
            }
        }
    }

    /// The decisions of the next frame; its place is remembered, and it follows the last one.
    pub async fn next_decisions(&mut self) -> Vec<Value> {
        let frame = self.next_of("frame").await;
        let (from, to) = (
            frame["from"].as_u64().unwrap(),
            frame["to"].as_u64().unwrap(),
        );
        assert_eq!(from, self.place.seq + 1, "P4: no gap");
        self.place.seq = to;
        self.place.hash = frame["hash"].as_str().unwrap().to_owned();
        frame["decisions"].as_array().unwrap().clone()
    }

    /// Waits for a decision of a type.
    pub async fn decision(&mut self, wanted: &str) -> Value {
        loop {
            let decisions = self.next_decisions().await;
            if let Some(found) = decisions.into_iter().find(|each| each["type"] == wanted) {
                return found;
            }
        }
    }

    pub async fn send(&mut self, message: &Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }
}
