//! The HTTP socket: accepts connections until told to stop, at most so many, each with a deadline.
//!
//! Arrives: connections. Leaves: requests for the router. Promise: a connection that says nothing,
//! or never ends its request's head, is closed; one beyond the bound is answered 503 and closed at
//! once; none disturbs another. Not here: bodies and their deadlines (the intake's), sessions
//! (the window's). Next: `ioc-gateway/src/http.rs`, `ioc-ws/src/server.rs`.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::servers::until;
use crate::telemetry;

/// The bounds of the socket.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections at once; those that became a stream no longer count here.
    pub connections_max: usize,
    /// How long a client may take for the head of a request, and how long it may keep a connection
    /// open without beginning another.
    pub head_wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            head_wait_max: Duration::from_secs(30),
        }
    }
}

/// How long accepting pauses when the machine refuses, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a connection is told for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    connection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// Serves connections until `stopping`, then waits until those that are served have ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut stopped = pin!(until(stopping.clone()));
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let (router, stopping) = (router.clone(), stopping.clone());
                        served.spawn(connected(stream, router, limits, stopping, place));
                    }
                    Err(_) => turn_away(&stream),
                },
                Err(error) => refused(&error).await,
            },
            Some(_) = served.join_next() => {}
        }
    }
    drop(listener);
    while served.join_next().await.is_some() {}
}

/// Serves one connection: its requests, until it ends or the server stops.
async fn connected(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    stopping: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) {
    // Small frames and answers leave at once; where it cannot be set, all is only slower.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_wait_max)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    // How one client's connection ends is nobody else's trouble.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = until(stopping) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    drop(place);
}

/// Says that there is no place. Nobody is waited for: what fits into an empty socket buffer is
/// sent.
fn turn_away(stream: &TcpStream) {
    telemetry::http_turned_away();
    let _ = stream.try_write(FULL);
}

/// A connection could not be accepted: one that is gone already costs nothing, anything else is
/// likely to happen again at once.
async fn refused(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    let gone = [ConnectionAborted, ConnectionRefused, ConnectionReset];
    if !gone.contains(&error.kind()) {
        telemetry::http_accept_failed(error);
        sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    async fn server(limits: Limits) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve(listener, router, limits, stopping));
        (address, stop)
    }

    /// What a connection is told for these bytes, until it is closed.
    async fn told(to: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let mut text = Vec::new();
        let exchange = async {
            // Who is turned away may find the connection closed before all is said.
            let _ = stream.write_all(bytes).await;
            let _ = stream.read_to_end(&mut text).await;
        };
        let ended = timeout(DEADLINE, exchange).await;
        ended.expect("the connection is closed");
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn p5_one_connection_too_many_is_turned_away_and_a_place_is_given_back() {
        let limits = Limits {
            connections_max: 1,
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        assert!(told(address, b"").await.starts_with("HTTP/1.1 503"));
        drop(first);
        let until = Instant::now() + DEADLINE;
        while !told(address, b"GET / HTTP/1.0\r\n\r\n")
            .await
            .ends_with("here")
        {
            assert!(Instant::now() < until, "there is no place again");
        }
    }

    #[tokio::test]
    async fn p5_a_head_that_never_ends_is_not_waited_for() {
        let limits = Limits {
            head_wait_max: Duration::from_millis(50),
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        for part in ["", "GET / HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\n\r\n"] {
            let text = told(address, part.as_bytes()).await;
            assert_eq!(text.contains("here"), part.ends_with("\r\n\r\n"), "{part}");
        }
    }
}
