//! What a connection is made of: a socket, or a WebSocket.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, tcp};

use super::budget::Holding;
use super::websocket;

/// A stream of bytes with two halves. A socket's cost nothing.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// The half that is read.
    type Reader<'a>: AsyncRead + Unpin + Send
    where
        Self: 'a;
    /// The half that is written.
    type Writer<'a>: AsyncWrite + Unpin + Send
    where
        Self: 'a;

    fn halves(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// Has counted from now on what it holds itself of what came and was not read.
    fn count_for(&mut self, holding: &Arc<Holding>);
}

impl Transport for TcpStream {
    type Reader<'a> = tcp::ReadHalf<'a>;
    type Writer<'a> = tcp::WriteHalf<'a>;

    fn halves(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        self.split()
    }

    /// The system holds it.
    fn count_for(&mut self, _holding: &Arc<Holding>) {}
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Transport for websocket::Bytes<S> {
    type Reader<'a>
        = ReadHalf<&'a mut Self>
    where
        S: 'a;
    type Writer<'a>
        = WriteHalf<&'a mut Self>
    where
        S: 'a;

    fn halves(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        tokio::io::split(self)
    }

    fn count_for(&mut self, holding: &Arc<Holding>) {
        self.count(holding.share());
    }
}

/// Who is at the other end, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    Socket(SocketAddr),
    /// Who asked over HTTP; a proxy may stand between.
    WebSocket,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::WebSocket => f.write_str("websocket"),
        }
    }
}
