//! A TCP connection to a broker, which may have several addresses under one name.
//!
//! Arrives: a host and a port. Leaves: a connection to the first of its addresses that answers, in the
//! order in which the system's resolver names them. Promise: an address that does not answer, as that of a
//! network that is not there, holds up the next one for [`STAGGER`] and no longer (RFC 8305, section 5); all
//! are tried within whatever time the caller gives. Next: `mqtt/socket.rs`, `nats/line.rs`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::sleep;

/// How long an address may take before the next one is tried as well: what RFC 8305 recommends.
const STAGGER: Duration = Duration::from_millis(250);
/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 16;

/// Connects to a host, and sends what is small at once: without that, each acknowledgement may wait 40 ms
/// for the other side's delayed one of TCP.
///
/// # Errors
/// The name is unknown, or none of its addresses can be reached: what the last of them said.
pub(super) async fn connect((host, port): &(String, u16)) -> io::Result<TcpStream> {
    let addresses = lookup_host((host.as_str(), *port)).await?;
    let socket = first(addresses, TcpStream::connect).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// How many addresses of a host are tried; one if nobody knows.
pub(super) async fn addresses_of((host, port): &(String, u16)) -> usize {
    let addresses = lookup_host((host.as_str(), *port)).await;
    let count = addresses.map_or(1, |addresses| addresses.take(ADDRESSES_MAX).count());
    count.max(1)
}

/// The first attempt that succeeds; each begins when the one before has failed, or has taken too long.
async fn first<T>(
    addresses: impl Iterator<Item = SocketAddr>,
    attempt: impl AsyncFn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    let mut addresses = addresses.take(ADDRESSES_MAX).peekable();
    let mut under_way = FuturesUnordered::new();
    loop {
        if let Some(address) = addresses.next() {
            under_way.push(attempt(address));
        }
        let has_more = addresses.peek().is_some();
        tokio::select! {
            ended = under_way.next() => match ended {
                Some(Ok(connected)) => return Ok(connected),
                Some(Err(error)) => failed = error,
                None => return Err(failed),
            },
            () = sleep(STAGGER), if has_more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::net::TcpListener;
    use tokio::time::{Instant, timeout};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    fn addresses(count: u16) -> impl Iterator<Item = SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([192, 0, 2, 7], port)))
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_holds_up_the_next_for_a_moment_only() {
        let began = Instant::now();
        let attempt = async |address: SocketAddr| match address.port() {
            4 => Ok(address.port()),
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => std::future::pending().await,
        };
        let reached = timeout(WITHIN, first(addresses(5), attempt)).await;
        assert_eq!(reached.unwrap().unwrap(), 4);
        assert!(
            began.elapsed() >= 2 * STAGGER,
            "the second has failed at once"
        );
    }

    #[tokio::test]
    async fn one_that_is_slow_is_not_given_up_for_others_that_fail() {
        let asked = Mutex::new(Vec::new());
        let attempt = async |address: SocketAddr| {
            asked.lock().unwrap().push(address.port());
            match address.port() {
                1 => {
                    sleep(3 * STAGGER).await;
                    Ok(1)
                }
                _ => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        };
        assert_eq!(first(addresses(3), attempt).await.unwrap(), 1);
        assert_eq!(*asked.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn what_the_last_address_said_is_told() {
        let attempt = async |address: SocketAddr| {
            let kind = match address.port() {
                3 => io::ErrorKind::ConnectionRefused,
                _ => io::ErrorKind::HostUnreachable,
            };
            Err::<(), _>(io::Error::from(kind))
        };
        let told = |count| first(addresses(count), attempt);
        let error = told(3).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(told(0).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn p5_no_more_addresses_of_a_name_are_tried_than_the_bound() {
        let asked = Mutex::new(0);
        let attempt = async |_| {
            *asked.lock().unwrap() += 1;
            Err::<(), _>(io::ErrorKind::ConnectionRefused.into())
        };
        first(addresses(100), attempt).await.unwrap_err();
        assert_eq!(*asked.lock().unwrap(), ADDRESSES_MAX);
    }

    /// `localhost` is both where the system has both.
    #[tokio::test]
    async fn a_name_is_reached_at_whichever_of_its_addresses_somebody_listens() {
        for listens in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(listens).await else {
                continue;
            };
            let at = listener.local_addr().unwrap();
            let named: Vec<_> = lookup_host(("localhost", at.port()))
                .await
                .unwrap()
                .collect();
            if named.contains(&at) {
                let address = ("localhost".to_owned(), at.port());
                let connected = timeout(WITHIN, connect(&address)).await.unwrap().unwrap();
                assert_eq!(connected.peer_addr().unwrap(), at);
                assert!(connected.nodelay().unwrap());
            }
        }
    }
}
