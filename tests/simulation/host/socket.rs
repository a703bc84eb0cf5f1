//! A console's end of its connection: asked, never waited for.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// The connection.
#[derive(Debug)]
pub struct Socket(WebSocketStream<DuplexStream>);

/// What there is to read.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Text(Utf8Bytes),
    /// Something between the two ends.
    Control,
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    Gone,
}

impl Socket {
    /// A connection that is a WebSocket already.
    pub fn new(stream: DuplexStream) -> Self {
        let mut made = pin!(WebSocketStream::from_raw_socket(stream, Role::Client, None));
        match poll(|context| made.as_mut().poll(context)) {
            Poll::Ready(socket) => Self(socket),
            Poll::Pending => unreachable!("nothing is read before the first message"),
        }
    }

    /// Says something, or does not if the connection takes nothing more; returns which.
    pub fn say(&mut self, message: &Value) -> bool {
        let ready = poll(|context| Pin::new(&mut self.0).poll_ready(context));
        if !matches!(ready, Poll::Ready(Ok(()))) {
            return false;
        }
        let message = Message::text(message.to_string());
        let said = Pin::new(&mut self.0).start_send(message).is_ok();
        self.flush();
        said
    }

    /// Gives the connection what it did not take before.
    pub fn flush(&mut self) {
        // If it is broken, reading says so.
        let _ = poll(|context| Pin::new(&mut self.0).poll_flush(context));
    }

    /// The next message.
    pub fn hear(&mut self) -> Heard {
        match poll(|context| Pin::new(&mut self.0).poll_next(context)) {
            Poll::Pending => Heard::Nothing,
            Poll::Ready(Some(Ok(Message::Text(text)))) => Heard::Text(text),
            Poll::Ready(Some(Ok(Message::Close(_)) | Err(_)) | None) => Heard::Gone,
            Poll::Ready(Some(Ok(_))) => Heard::Control,
        }
    }
}

/// Asks once; what it waits for is looked at again when it is asked again.
fn poll<T>(ask: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    ask(&mut Context::from_waker(Waker::noop()))
}
