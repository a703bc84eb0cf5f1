//! MQTT over WebSocket (MQTT 5.0, section 6; 3.1.1 the same): for browsers, and for clients whose
//! networks let nothing else out.
//!
//! Arrives: requests for `/mqtt` that the host's guard let pass. Leaves: connections for the
//! listener, which serves them as any other: one bound of connections holds for all. Promise: who
//! cannot be served is answered in HTTP, before anything is upgraded. Next: `websocket/pieces.rs`, what
//! its messages are cut to; `websocket/bytes.rs`.

mod pieces;
mod bytes;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, HeaderName, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub(super) use self::bytes::Bytes;

use self::bytes::Framed;
use self::pieces::PIECE_BYTES_MAX;
use crate::places::{Place, Places};

/// The subprotocol that a client must ask for ([MQTT-6.0.0-3]).
const SUBPROTOCOL: &str = "mqtt";
/// How many upgraded connections wait for the listener to take them; one more is answered 503.
pub(super) const UPGRADES_MAX: usize = 64;
/// How much is read from a socket at once.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// A connection that will speak WebSocket, and its place among all.
pub(super) struct Upgrade {
    upgrade: OnUpgrade,
    pub place: Place,
}

impl Upgrade {
    /// The connection, once the answer to its request is written; `None` if the client went.
    pub async fn finish(self) -> Option<(Bytes<TokioIo<hyper::upgrade::Upgraded>>, Place)> {
        let upgraded = Framed::new(TokioIo::new(self.upgrade.await.ok()?));
        // None is longer, once it is cut.
        let bytes_max = Some(PIECE_BYTES_MAX);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(bytes_max)
            .max_frame_size(bytes_max);
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
        Some((Bytes::new(socket), self.place))
    }
}

/// The way from HTTP to the listener.
#[derive(Clone)]
struct Way {
    places: Arc<Places>,
    upgrades: mpsc::Sender<Upgrade>,
}

/// The route that clients connect to.
pub(super) fn router(places: Arc<Places>, upgrades: mpsc::Sender<Upgrade>) -> Router {
    let way = Way { places, upgrades };
    Router::new().route("/mqtt", get(connect)).with_state(way)
}

async fn connect(State(way): State<Way>, mut request: Request) -> Response {
    let accept = match accept_key(request.headers()) {
        Ok(accept) => accept,
        Err(refused) => return refused.into_response(),
    };
    let full = || {
        let retry = [(RETRY_AFTER, "1")];
        (
            StatusCode::SERVICE_UNAVAILABLE,
            retry,
            "too many connections\n",
        )
            .into_response()
    };
    let Some(place) = way.places.take() else {
        return full();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    if way.upgrades.try_send(Upgrade { upgrade, place }).is_err() {
        return full();
    }
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(Body::empty())
        .expect("a key is a header value")
}

/// The answer to the client's key, if this is an opening handshake (RFC 6455, section 4.2.1) for
/// MQTT.
fn accept_key(headers: &HeaderMap) -> Result<String, (StatusCode, &'static str)> {
    let asks = lists(headers, CONNECTION, "upgrade") && lists(headers, UPGRADE, "websocket");
    if !asks {
        let what = "MQTT over WebSocket is spoken here: ask for an upgrade\n";
        return Err((StatusCode::UPGRADE_REQUIRED, what));
    }
    if !lists(headers, SEC_WEBSOCKET_VERSION, "13") {
        return Err((
            StatusCode::BAD_REQUEST,
            "the WebSocket version must be 13\n",
        ));
    }
    if !lists(headers, SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err((StatusCode::BAD_REQUEST, "the subprotocol must be `mqtt`\n"));
    }
    match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) if key.len() == 24 => Ok(derive_accept_key(key.as_bytes())),
        _ => {
            let what = "Sec-WebSocket-Key must be 16 bytes in base 64\n";
            Err((StatusCode::BAD_REQUEST, what))
        }
    }
}

/// Whether a header lists this word, in any case.
fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    let mut words = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|listed| listed.trim().eq_ignore_ascii_case(word))
}
