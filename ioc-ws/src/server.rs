//! What the window serves on the host's HTTP port: the stream, REST, the console's files.
//!
//! Arrives: requests that the guard let pass. Leaves: answers, or an upgraded connection with a
//! session of its own (RFC 6455 section 4.2). Promise: at most `sessions_max` sessions; one more
//! is refused with 503 and `Retry-After`, before anything is upgraded. Next: `session.rs`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use axum::http::header::{HeaderName, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::error::ApiError;
use crate::window::Shared;
use crate::{
    actuators, console, handling, preview, rest, sensors, session, suppressions, telemetry,
};

/// The version of the stream that we speak.
const SUBPROTOCOL: &str = "ioc.v1";
/// How much is gathered before a write that is not flushed goes out by itself.
const WRITE_BUFFER_BYTES: usize = 32 << 10;

/// All routes of the window, and the answer to what no route takes: the host's other routers, which
/// are merged with this one, leave that to it.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(console::page))
        .route("/console/{*path}", get(console::file))
        .route("/api/v1/stream", get(stream))
        .route(
            "/api/v1/incidents",
            get(rest::incidents).post(handling::begin),
        )
        .route("/api/v1/incidents/{id}", get(rest::incident))
        .route("/api/v1/incidents/{id}/{action}", post(handling::act))
        .route("/api/v1/actuators", get(actuators::list))
        .route("/api/v1/actuators/{id}", get(actuators::one))
        .route("/api/v1/actuators/{id}/commands", post(actuators::command))
        .route(
            "/api/v1/suppressions",
            get(suppressions::list).post(suppressions::begin),
        )
        .route("/api/v1/suppressions/preview", post(preview::preview))
        .route("/api/v1/suppressions/{id}", get(suppressions::one))
        .route(
            "/api/v1/suppressions/{id}/{action}",
            post(suppressions::act),
        )
        .route("/api/v1/decisions", get(rest::decisions))
        .route("/api/v1/sensors/silent", get(rest::sensors_silent))
        .route("/api/v1/sensors/health", get(sensors::health))
        .route("/api/v1/sensors", get(sensors::list))
        .route("/api/v1/sensors/{id}", get(sensors::one))
        .route("/api/v1/city", get(rest::city))
        .fallback(rest::no_such_path)
        .method_not_allowed_fallback(rest::wrong_method)
        .with_state(shared)
}

/// Upgrades the connection and gives it a session.
async fn stream(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
) -> Result<Response, ApiError> {
    let accept = accept_key(request.headers())?;
    let subprotocol = subprotocol(request.headers())?;
    let place = place(&shared)?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(serve(shared, upgrade, place));
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept);
    if subprotocol {
        response = response.header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    }
    Ok(response
        .body(Body::empty())
        .expect("a key is a header value"))
}

fn place(shared: &Shared) -> Result<OwnedSemaphorePermit, ApiError> {
    if shared.closing().has_begun() {
        let message = "the server is stopping; connect again soon";
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            message,
        ));
    }
    Arc::clone(&shared.sessions)
        .try_acquire_owned()
        .map_err(|_| {
            telemetry::session_refused();
            let message = format!("there are {} sessions already", shared.options.sessions_max);
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "sessions_full", message)
        })
}

async fn serve(shared: Arc<Shared>, upgrade: OnUpgrade, _place: OwnedSemaphorePermit) {
    // A client that goes before it is upgraded had no session.
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let socket = websocket(&shared, TokioIo::new(upgraded)).await;
    session::run(&shared, socket).await;
}

/// Our end of an upgraded connection, within our bounds.
pub(crate) async fn websocket<S>(shared: &Shared, connection: S) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes_max = Some(shared.options.message_bytes_max);
    let config = WebSocketConfig::default()
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max);
    WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await
}

/// The answer to the client's key, if this is an opening handshake.
fn accept_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let asks = lists(headers, CONNECTION, "upgrade") && lists(headers, UPGRADE, "websocket");
    if !asks {
        let message = "this is a WebSocket: ask for an upgrade (RFC 6455 section 4.1)";
        return Err(ApiError::new(
            StatusCode::UPGRADE_REQUIRED,
            "not_a_websocket",
            message,
        ));
    }
    if !lists(headers, SEC_WEBSOCKET_VERSION, "13") {
        return Err(ApiError::bad_request("the WebSocket version must be 13"));
    }
    match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) if key.len() == 24 => Ok(derive_accept_key(key.as_bytes())),
        _ => Err(ApiError::bad_request(
            "Sec-WebSocket-Key must be 16 bytes in base 64",
        )),
    }
}

/// Whether to confirm our subprotocol. Who asks for none gets it all the same.
fn subprotocol(headers: &HeaderMap) -> Result<bool, ApiError> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(false);
    }
    if lists(headers, SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Ok(true);
    }
    let message = format!("the subprotocol spoken here is {SUBPROTOCOL}");
    Err(ApiError::bad_request(message))
}

/// Whether a header that holds a list holds this word.
fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|each| each.trim().eq_ignore_ascii_case(word))
}
