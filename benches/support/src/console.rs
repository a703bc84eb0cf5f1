//! A console's end of the stream, as `docs/PROTOCOL.md` has it: hello, welcome, snapshot, frames.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use tokio_tungstenite::tungstenite::client::{ClientRequestBuilder, client};
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// A console that has been shown the picture.
#[derive(Debug)]
pub struct Console {
    socket: WebSocket<TcpStream>,
}

impl Console {
    /// Connects, says hello as the shipped console does, and takes the snapshot.
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let uri: Uri = format!("ws://{to}/api/v1/stream")
            .parse()
            .map_err(io::Error::other)?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol("ioc.v1");
        let shaken = client(request, stream).map_err(io::Error::other)?;
        let mut console = Self { socket: shaken.0 };
        let hello = Message::text(r#"{"type":"hello"}"#);
        console.socket.send(hello).map_err(io::Error::other)?;
        while !console.next()?.starts_with(r#"{"type":"snapshot""#) {}
        Ok(console)
    }

    /// Hands each frame to `take` with the time at which it was received, on a thread of its own,
    /// until the connection ends.
    pub fn listen(mut self, mut take: impl FnMut(&str, Instant) + Send + 'static) {
        thread::spawn(move || {
            while let Ok(text) = self.next() {
                let now = Instant::now();
                if text.starts_with(r#"{"type":"frame""#) {
                    take(&text, now);
                }
            }
        });
    }

    fn next(&mut self) -> io::Result<String> {
        loop {
            match self.socket.read().map_err(io::Error::other)? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

/// The ids of the readings that opened incidents, in one frame. Found by their place in the text:
/// what is measured must not wait for a JSON parser of ours.
pub fn openers(frame: &str) -> impl Iterator<Item = &str> {
    const OPENED: &str = r#""type":"incident_opened""#;
    const EVENTS: &str = r#""events":[""#;
    let opened = frame.split(OPENED).skip(1);
    opened.filter_map(|decision| {
        let (_, events) = decision.split_once(EVENTS)?;
        events.split('"').next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openers_are_the_first_readings_of_opened_incidents_only() {
        let frame = r#"{"type":"frame","decisions":[
            {"seq":1,"type":"incident_opened","cause":{"events":["e1"]}},
            {"seq":2,"type":"incident_updated","cause":{"events":["e2"]}},
            {"seq":3,"type":"incident_opened","cause":{"events":["e3","e4"]}}]}"#;
        assert_eq!(openers(frame).collect::<Vec<_>>(), ["e1", "e3"]);
    }
}
