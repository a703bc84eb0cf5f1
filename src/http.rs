//! The HTTP socket: accepts connections until told to stop, at most so many, each with a deadline.
//!
//! Arrives: connections. Leaves: requests for the router. Promise: a connection that says nothing,
//! never ends its request's head, or does not take its answer, is closed; one beyond the bound is
//! answered 503 and closed at once, but while others ask for nothing the one of them that has been
//! idle for longest gives way to it; a client that ends its side behind a request is answered, if that
//! does not take too long; none disturbs another; beyond loopback nothing is served, for
//! nobody is asked who he is (P8). Not here: bodies and their deadlines (the intake's), sessions
//! (the window's). Next: `ioc-gateway/src/http.rs`, `ioc-ws/src/server.rs`.

mod patience;
mod placed;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::patience::{Patience, Patient};
use self::placed::{Asked, Placed, Serving};
use ioc_gateway::places::Places;

use crate::host::HostError;
use crate::servers::until;
use crate::telemetry;

/// The bounds of the socket.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections at once; those that became a stream no longer count here.
    pub connections_max: usize,
    /// How many of the last places are for whoever does not push: a request that brings readings
    /// on a connection that has one of them is answered 503, and the connection closed, so that a
    /// console finds a place however many push.
    pub kept_for_people: usize,
    /// How long a client may take for the head of a request, and how long it may keep a connection
    /// open without beginning another.
    pub head_wait_max: Duration,
    /// The longest head of a request, and how much of an answer is buffered; a longer head is
    /// answered 431.
    pub head_bytes_max: usize,
    /// How many headers a request may have; more are answered 431.
    pub headers_max: usize,
    /// How long a client may take nothing of an answer; then it is closed. One that takes less
    /// than 16 KiB a second for so long is closed too.
    pub write_wait_max: Duration,
    /// How long a client that has ended its side (`nc -N` does) is owed the answer to what it has asked.
    /// One that has gone altogether looks the same until something is written to it.
    pub answer_wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            kept_for_people: 128,
            head_wait_max: Duration::from_secs(30),
            head_bytes_max: 32 << 10,
            headers_max: 100,
            write_wait_max: Duration::from_secs(30),
            answer_wait_max: Duration::from_secs(40),
        }
    }
}

/// How long accepting pauses when the machine refuses, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a connection is told for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    connection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// Binds an address of loopback.
///
/// # Errors
/// Any other address, and one that the machine refuses.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HostError> {
    if !address.ip().is_loopback() {
        return Err(HostError::Usage(format!(
            "HTTP asks nobody who he is, and {address} is not on loopback"
        )));
    }
    let failed = |source| HostError::Listen { address, source };
    TcpListener::bind(address).await.map_err(failed)
}

/// Serves connections until `stopping`, then waits until those that are served have ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stopping: watch::Receiver<bool>,
) {
    let places = Places::new(limits.connections_max);
    let mut stopped = pin!(until(stopping.clone()));
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match places.take() {
                    Some(place) => {
                        let (router, stopping) = (router.clone(), stopping.clone());
                        let is_kept = places.free() < limits.kept_for_people;
                        let place = (Serving::new(place), is_kept);
                        served.spawn(connected(stream, router, limits, stopping, place));
                    }
                    None => turn_away(&stream),
                },
                Err(error) => refused(&error).await,
            },
            Some(_) = served.join_next() => {}
        }
    }
    drop(listener);
    while served.join_next().await.is_some() {}
}

/// Serves one connection: its requests, until it ends, gives way, or the server stops. Its place may
/// be one of the last, which are kept from those who push.
async fn connected(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    stopping: watch::Receiver<bool>,
    (serving, is_kept): (Arc<Serving>, bool),
) {
    // Small frames and answers leave at once; where it cannot be set, all is only slower.
    let _ = stream.set_nodelay(true);
    let patience = Patience::default();
    let wait_max = limits.write_wait_max;
    let stream = Patient::new(stream, wait_max, patience.clone(), telemetry::http_stalled);
    let stream = stream.telling(Arc::clone(&serving), limits.answer_wait_max);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let is_refused = is_kept && ioc_gateway::http::is_pushed(request.uri().path());
        let patience = patience.clone();
        let is_refused = !serving.begins() || is_refused;
        let placed = Arc::clone(&serving);
        let request = request.map(|body| Asked::new(body, Arc::clone(&serving)));
        let answer = (!is_refused).then(|| router.call(request));
        async move {
            let Some(answer) = answer else {
                telemetry::http_turned_away();
                return Ok(full().map(|body| Placed::new(body, placed)));
            };
            let answer = answer.await?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                // A session has its own bound for a client that does not read.
                patience.free();
            }
            Ok::<_, std::convert::Infallible>(answer.map(|body| Placed::new(body, placed)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_wait_max)
        .max_buf_size(limits.head_bytes_max)
        .max_header_size(limits.head_bytes_max)
        .max_headers(limits.headers_max)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // How one client's connection ends is nobody else's trouble.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = serving.given_away() => telemetry::http_turned_away(),
        () = until(stopping) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.as_mut().await;
        }
    }
}

/// The same as [`FULL`], to a request.
fn full() -> axum::response::Response {
    let headers = [(CONNECTION, "close"), (RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers).into_response()
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
    use axum::body::Body;
    use axum::routing::get;
    use futures_util::{Stream, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, timeout};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    fn endless() -> impl Stream<Item = Result<Vec<u8>, io::Error>> {
        stream::pending()
    }

    async fn server(limits: Limits) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let large = vec![b'x'; 64 << 20];
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/large", get(|| async { large }))
            .route("/slow", get(slow).post(echo))
            .route("/endless", get(|| async { Body::from_stream(endless()) }));
        tokio::spawn(serve(listener, router, limits, stopping));
        (address, stop)
    }

    /// An answer that has to be waited for, as that to a push whose readings are not durable yet.
    async fn slow() -> String {
        sleep(Duration::from_millis(100)).await;
        "at last".to_owned()
    }

    async fn echo(said: String) -> String {
        slow().await + &said
    }

    /// The same as [`told`], of a client that ends its side behind them.
    async fn told_last(to: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let mut text = Vec::new();
        let exchange = async {
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut text).await;
        };
        let ended = timeout(DEADLINE, exchange).await;
        ended.expect("the connection is closed");
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn who_ends_its_side_behind_a_request_is_answered() {
        let (address, _stop) = server(Limits::default()).await;
        let post = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n!";
        let chunks = b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            1\r\n!\r\n0\r\n\r\n";
        let get = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
        for (asked, answer) in [
            (&get[..], "at last"),
            (post, "at last!"),
            (chunks, "at last!"),
        ] {
            let began = Instant::now();
            let text = told_last(address, asked).await;
            assert!(
                text.starts_with("HTTP/1.1 200") && text.ends_with(answer),
                "{text}"
            );
            assert!(began.elapsed() < Limits::default().answer_wait_max / 2);
        }
        let large = told_last(address, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(large.len() > 64 << 20, "{}", large.len());
    }

    #[tokio::test]
    async fn p5_who_ends_its_side_within_a_request_or_for_too_long_is_not_waited_for() {
        let limits = Limits {
            answer_wait_max: Duration::from_millis(50),
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        let endless = told_last(address, b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(endless.starts_with("HTTP/1.1 200"), "{endless}");
        let (address, _stop) = server(Limits::default()).await;
        let began = Instant::now();
        let part = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n!";
        let part = told_last(address, part).await;
        assert!(!part.contains("at last"), "{part}");
        assert!(began.elapsed() < Limits::default().answer_wait_max / 2);
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
            kept_for_people: 0,
            answer_wait_max: Duration::from_millis(50),
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        // It is busy as long as its answer is not over.
        let asks = b"GET /endless HTTP/1.1\r\n\r\n";
        first.write_all(asks).await.unwrap();
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
    async fn an_answer_that_is_still_written_is_not_cut_off_for_another() {
        let limits = Limits {
            connections_max: 1,
            kept_for_people: 0,
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first
            .write_all(b"GET /large HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 15];
        first.read_exact(&mut answer).await.unwrap();
        // All of it is handed on, and most of it lies here still.
        assert!(told(address, b"").await.starts_with("HTTP/1.1 503"));
        let mut rest = Vec::new();
        let read = timeout(DEADLINE, first.read_to_end(&mut rest)).await;
        read.expect("it ends").unwrap();
        assert!(rest.len() > 64 << 20, "{}", rest.len());
    }

    #[tokio::test]
    async fn p5_who_asks_for_nothing_keeps_nobody_out() {
        let limits = Limits {
            connections_max: 2,
            kept_for_people: 0,
            head_wait_max: Duration::from_secs(3600),
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        let mut idle = Vec::new();
        // They say nothing, begin a head, or have asked and ask no more.
        for said in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\r\n"].repeat(5) {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            if said.ends_with("\r\n\r\n") {
                let mut answer = [0; 15];
                stream.read_exact(&mut answer).await.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 200 OK");
            }
            idle.push(stream);
            let asked = told(address, b"GET / HTTP/1.0\r\n\r\n").await;
            assert!(asked.ends_with("here"), "{asked}");
        }
        // The first of them was let go.
        let mut rest = Vec::new();
        let _ = timeout(DEADLINE, idle[0].read_to_end(&mut rest))
            .await
            .expect("it is closed");
    }

    #[tokio::test]
    async fn p5_whoever_pushes_leaves_places_to_people() {
        let limits = Limits {
            connections_max: 3,
            kept_for_people: 2,
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        let push = b"POST /api/v1/readings HTTP/1.0\r\n\r\n";
        let ask = b"GET / HTTP/1.0\r\n\r\n";
        assert!(
            told(address, push).await.contains(" 404 "),
            "it is let through"
        );
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        first.read_exact(&mut answer).await.unwrap();
        // The first place may be given back a little later than the client hears of its end.
        let until = Instant::now() + DEADLINE;
        while told(address, ask).await.ends_with("here") {
            let refused = told(address, push).await;
            if refused.contains(" 503 ") {
                assert!(refused.contains("retry-after: 1"), "{refused}");
                return;
            }
            assert!(Instant::now() < until, "{refused}");
        }
        panic!("people find no place");
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

    #[tokio::test]
    async fn p5_a_head_that_is_too_long_is_refused() {
        let limits = Limits::default();
        let (address, _stop) = server(limits).await;
        let long = "x".repeat(limits.head_bytes_max);
        let many = "a: b\r\n".repeat(limits.headers_max + 1);
        for headers in [format!("a: {long}\r\n"), many] {
            let text = told(
                address,
                format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes(),
            )
            .await;
            assert!(text.starts_with("HTTP/1.1 431"), "{text}");
        }
    }

    #[tokio::test]
    async fn p5_who_does_not_take_the_answer_is_closed_and_gives_the_place_back() {
        let limits = Limits {
            connections_max: 1,
            kept_for_people: 0,
            write_wait_max: Duration::from_millis(50),
            ..Limits::default()
        };
        let (address, _stop) = server(limits).await;
        let mut stuck = TcpStream::connect(address).await.unwrap();
        let asks = b"GET /large HTTP/1.1\r\n\r\n";
        stuck.write_all(asks).await.unwrap();
        let until = Instant::now() + DEADLINE;
        while !told(address, b"GET / HTTP/1.0\r\n\r\n")
            .await
            .ends_with("here")
        {
            assert!(Instant::now() < until, "it is waited for");
        }
    }

    #[tokio::test]
    async fn p8_nothing_is_served_beyond_loopback() {
        for beyond in ["0.0.0.0:0", "[::]:0", "[::ffff:127.0.0.1]:0", "192.0.2.7:0"] {
            let refused = bind(beyond.parse().unwrap()).await;
            assert!(matches!(refused, Err(HostError::Usage(_))), "{beyond}");
        }
        assert!(bind("127.0.0.2:0".parse().unwrap()).await.is_ok());
    }
}
