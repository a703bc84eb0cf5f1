//! A WebSocket as a stream of bytes: packets may span messages, and messages hold several
//! ([MQTT-6.0.0-2]).
//!
//! Promise: bytes are taken to be written only when all that were taken before are with the
//! system, so that what must not be written late does not wait here; a message that is not binary
//! ends the connection ([MQTT-6.0.0-1]); what has come of a piece of a message counts as held, also before
//! the piece is whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes as MessageBytes, Error, Message};

use super::pieces::Pieces;
use crate::mqtt::budget::Share;

/// How much is sent in one message.
const SENT_BYTES_MAX: usize = 16 * 1024;

/// How many bytes are read from the socket at once.
const READ_BYTES: usize = 4 * 1024;

/// A socket whose messages are cut into short ones, and which counts what is read from it.
#[derive(Debug)]
pub(in crate::mqtt) struct Framed<S> {
    socket: S,
    pieces: Pieces,
    /// What is cut and was not read.
    unread: BytesMut,
    /// How many bytes have come, so far; it may begin anew.
    come: usize,
}

impl<S> Framed<S> {
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            pieces: Pieces::default(),
            unread: BytesMut::new(),
            come: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = &mut *self;
        while own.unread.is_empty() {
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut own.socket).poll_read(context, &mut read))?;
            let read = read.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(()));
            }
            own.come = own.come.wrapping_add(read.len());
            own.pieces.cut(read, &mut own.unread)?;
        }
        let length = own.unread.len().min(buffer.remaining());
        buffer.put_slice(&own.unread.split_to(length));
        if own.unread.is_empty() {
            // There are thousands of connections, and most of them say little.
            own.unread = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// A WebSocket as a stream of bytes.
#[derive(Debug)]
pub(in crate::mqtt) struct Bytes<S> {
    socket: WebSocketStream<Framed<S>>,
    /// What of the last message was not read.
    unread: MessageBytes,
    /// How many bytes had come from the socket when the last message was whole.
    whole_at: usize,
    /// Where it is counted what is held here, once it is.
    share: Option<Share>,
    /// Whether something taken may not be with the system.
    is_unflushed: bool,
}

impl<S> Bytes<S> {
    pub const fn new(socket: WebSocketStream<Framed<S>>) -> Self {
        Self {
            socket,
            unread: MessageBytes::new(),
            whole_at: 0,
            share: None,
            is_unflushed: false,
        }
    }

    /// Counts what is held here from now on.
    pub fn count(&mut self, share: Share) {
        self.share = Some(share);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytes<S> {
    /// The next message, if it is whole.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        let polled = Pin::new(&mut self.socket).poll_next(context);
        if polled.is_ready() {
            self.whole_at = self.socket.get_ref().come;
        }
        self.note_held();
        polled
    }

    /// What has come of a message that is not whole, and what of the last one was not read.
    fn note_held(&mut self) {
        let begun = self.socket.get_ref().come.wrapping_sub(self.whole_at);
        if let Some(share) = &mut self.share {
            share.set(begun + self.unread.len());
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Bytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            let message = ready!(self.poll_message(context));
            match message.transpose().map_err(failed)? {
                Some(Message::Binary(bytes)) => self.unread = bytes,
                Some(Message::Text(_) | Message::Frame(_)) => {
                    let what = "a message that is not binary";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
                // Answered by the library.
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                Some(Message::Close(_)) | None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(length));
        self.note_held();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Bytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(context))?;
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(failed)?;
        let sent = &bytes[..bytes.len().min(SENT_BYTES_MAX)];
        let message = Message::Binary(MessageBytes::copy_from_slice(sent));
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(failed)?;
        self.is_unflushed = true;
        match self.poll_flush(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(sent.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(context)).map_err(failed)?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_close(context)
            .map_err(failed)
    }
}

fn failed(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn pair(
        between: usize,
    ) -> (
        Bytes<tokio::io::DuplexStream>,
        WebSocketStream<tokio::io::DuplexStream>,
    ) {
        let (ours, theirs) = duplex(between);
        let ours = WebSocketStream::from_raw_socket(Framed::new(ours), Role::Server, None).await;
        let theirs = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        (Bytes::new(ours), theirs)
    }

    async fn send(client: &mut WebSocketStream<tokio::io::DuplexStream>, message: Message) {
        use futures_util::SinkExt;
        client.send(message).await.unwrap();
    }

    #[tokio::test]
    async fn messages_are_one_stream_however_it_is_cut() {
        let (mut ours, mut theirs) = pair(1 << 16).await;
        for piece in [&b"ab"[..], b"", b"cde"] {
            send(&mut theirs, Message::binary(piece.to_vec())).await;
            send(&mut theirs, Message::Ping(MessageBytes::new())).await;
        }
        send(&mut theirs, Message::Close(None)).await;
        let mut read = [0; 3];
        ours.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"abc");
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"de");
    }

    #[tokio::test]
    async fn a_message_of_text_is_an_error() {
        let (mut ours, mut theirs) = pair(1 << 16).await;
        send(&mut theirs, Message::text("ab")).await;
        let error = ours.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn nothing_is_taken_while_the_socket_is_full() {
        use futures_util::StreamExt;
        let (mut ours, mut theirs) = pair(100).await;
        let context = &mut Context::from_waker(std::task::Waker::noop());
        let first = Pin::new(&mut ours).poll_write(context, &[1; 200]);
        assert!(matches!(first, Poll::Ready(Ok(200))));
        let second = Pin::new(&mut ours).poll_write(context, &[2; 200]);
        assert!(second.is_pending());
        let message = async {
            let message = theirs.next().await.unwrap().unwrap();
            message.into_data()
        };
        let (message, flushed) = tokio::join!(message, ours.flush());
        assert!(flushed.is_ok() && message == [1; 200][..]);
    }

    #[tokio::test]
    async fn what_is_long_goes_in_several_messages() {
        use futures_util::StreamExt;
        let (mut ours, mut theirs) = pair(1 << 20).await;
        let long = vec![7; SENT_BYTES_MAX + 1];
        ours.write_all(&long).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut heard = Vec::new();
        while let Some(Ok(Message::Binary(bytes))) = theirs.next().await {
            assert!(bytes.len() <= SENT_BYTES_MAX);
            heard.extend_from_slice(&bytes);
        }
        assert_eq!(heard, long);
    }
}
