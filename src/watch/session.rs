//! One connection to the stream, and what must be known to go on after it.
//!
//! Arrives: the server's messages. Leaves: decisions, each printed once, in order. Promise: the
//! number and hash that are sent to resume are those of the last decision that was printed.

use std::io::{self, Write};
use std::mem;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::WatchArgs;
use super::doubt;
use super::line::{Look, decision_line, incident_line};
use crate::args::Address;

/// Where the stream is.
pub(super) const PATH: &str = "/api/v1/stream";
const SUBPROTOCOL: &str = "ioc.v1";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The server beats every few seconds: after so long without a sign of life it is gone.
const SILENT_MAX: Duration = Duration::from_secs(20);
/// The longest message: a snapshot of a city in trouble.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// The server did not understand us, and will not next time.
const CLOSE_BAD_MESSAGE: u16 = 4400;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It broke, or could not be made; another may work.
    Lost(String),
    /// No connection could be made; later one may.
    Absent(io::Error),
    /// The server will not have us.
    Refused(String),
    /// It is no server of the stream at all.
    NotTheStream,
    /// Nobody reads stdout any more.
    OutputClosed,
    /// Stdout failed.
    Output(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }
}

/// A server, what we want to see of it, and how far we have seen it.
pub(super) struct Session {
    address: Address,
    filter: Value,
    /// Whose numbers these are: a journal, by the server's word for it.
    epoch: String,
    /// The last decision that was printed or passed over.
    known: Option<Known>,
    /// Whether a filter that may never match was told.
    doubted: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Known {
    seq: u64,
    hash: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct Welcome {
    epoch: String,
    seq: u64,
    next: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Snapshot {
    seq: u64,
    hash: String,
    incidents: Vec<Value>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    from: u64,
    to: u64,
    hash: String,
    #[serde(borrow)]
    decisions: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Folded {
    updates_dropped: u64,
}

#[derive(Deserialize)]
struct Reset {
    reason: String,
}

/// What the command line asks to see, as the hello says it.
pub(super) fn filter(args: &WatchArgs) -> Value {
    let mut filter = json!({});
    if !args.zone.is_empty() {
        filter["zone"] = json!(args.zone);
    }
    if !args.kind.is_empty() {
        filter["kind"] = json!(args.kind);
    }
    if let Some(severity) = args.severity {
        filter["severity_min"] = json!(severity.word());
    }
    filter
}

impl Session {
    pub(super) const fn new(address: Address, filter: Value) -> Self {
        Self {
            address,
            filter,
            epoch: String::new(),
            known: None,
            doubted: false,
        }
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// Serves one connection to its end; also says whether the server welcomed us.
    pub(super) async fn serve(
        &mut self,
        look: Look,
        out: &mut impl Write,
        notes: &mut impl Write,
    ) -> (bool, Ended) {
        let mut stream = match self.connect().await {
            Ok(stream) => stream,
            Err(ended) => return (false, ended),
        };
        let mut printer = Printer { look, out, notes };
        if !self.doubted {
            for doubt in doubt::of_zones(&self.address, &words(&self.filter["zone"])).await {
                printer.note(format_args!("{doubt}"));
            }
        }
        let mut welcomed = false;
        loop {
            let text = match next_text(&mut stream).await {
                Ok(text) => text,
                Err(ended) => return (welcomed, ended),
            };
            welcomed = true;
            if let Err(ended) = self.take(&text, &mut printer) {
                return (welcomed, ended);
            }
        }
    }

    async fn connect(&self) -> Result<WebSocketStream<TcpStream>, Ended> {
        let connecting = async {
            let address = (self.address.host.as_str(), self.address.port);
            let stream = TcpStream::connect(address).await.map_err(Ended::Absent)?;
            stream.set_nodelay(true).map_err(lost)?;
            let uri = format!("ws://{}{PATH}", self.address);
            let uri = uri
                .parse()
                .map_err(|_| Ended::Refused(format!("{uri} is no address")))?;
            let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
            let config = WebSocketConfig::default()
                .max_message_size(Some(MESSAGE_BYTES_MAX))
                .max_frame_size(Some(MESSAGE_BYTES_MAX));
            let upgraded = client_async_with_config(request, stream, Some(config)).await;
            let (mut stream, _) = upgraded.map_err(why_not_upgraded)?;
            stream
                .send(Message::text(self.hello().to_string()))
                .await
                .map_err(lost)?;
            Ok(stream)
        };
        let silence = || Ended::Lost(format!("no answer within {} s", CONNECT_WITHIN.as_secs()));
        timeout(CONNECT_WITHIN, connecting)
            .await
            .map_err(|_| silence())?
    }

    fn hello(&self) -> Value {
        let mut hello = json!({"type": "hello", "filter": self.filter, "readings": false});
        if let Some(Known { seq, hash }) = &self.known {
            hello["resume"] = json!({"epoch": self.epoch, "seq": seq, "hash": hash});
        }
        hello
    }

    fn take<O: Write, N: Write>(
        &mut self,
        text: &str,
        printer: &mut Printer<'_, O, N>,
    ) -> Result<(), Ended> {
        let envelope: Envelope<'_> = parse(text)?;
        match envelope.kind {
            "welcome" => self.take_welcome(parse(text)?, printer),
            "snapshot" => self.take_snapshot(parse(text)?, printer),
            "frame" => self.take_frame(parse(text)?, printer),
            "folded" => {
                let Folded { updates_dropped } = parse(text)?;
                printer.note(format_args!("too slow: {updates_dropped} updates left out"));
                Ok(())
            }
            "reset" => {
                let Reset { reason } = parse(text)?;
                printer.note(format_args!(
                    "decisions were missed ({reason}); what is open now:"
                ));
                Ok(())
            }
            // Beats, readings, and whatever a later server may say.
            _ => Ok(()),
        }
    }

    fn take_welcome<O: Write, N: Write>(
        &mut self,
        welcome: Welcome,
        printer: &mut Printer<'_, O, N>,
    ) -> Result<(), Ended> {
        let address = &self.address;
        let goes_on = welcome.next == "decisions";
        match &self.known {
            Some(Known { seq, .. }) if goes_on => {
                let missed = welcome.seq.saturating_sub(*seq);
                printer.note(format_args!(
                    "connected to {address} again; goes on after decision {seq} without a gap, \
                     {missed} to catch up"
                ));
            }
            Some(Known { seq, .. }) => {
                let reason = welcome.reason.as_deref().unwrap_or("unknown");
                printer.note(format_args!(
                    "connected to {address} again, but it cannot go on after decision {seq} \
                     ({reason}): decisions may have been missed; what is open now:"
                ));
            }
            None => {
                printer.note(format_args!(
                    "connected to {address}, at decision {}",
                    welcome.seq
                ));
            }
        }
        if !goes_on {
            self.known = None;
        }
        self.epoch = welcome.epoch;
        Ok(())
    }

    fn take_snapshot<O: Write, N: Write>(
        &mut self,
        snapshot: Snapshot,
        printer: &mut Printer<'_, O, N>,
    ) -> Result<(), Ended> {
        if !mem::replace(&mut self.doubted, true) {
            for kind in words(&self.filter["kind"]) {
                if !snapshot.incidents.iter().any(|each| each["kind"] == kind) {
                    printer.note(format_args!(
                        "no incident of the kind `{kind}` to show so far"
                    ));
                }
            }
        }
        for incident in &snapshot.incidents {
            if incident["ended_at"].is_null() {
                printer.incident(incident)?;
            }
        }
        printer.flush()?;
        self.known = Some(Known {
            seq: snapshot.seq,
            hash: snapshot.hash,
        });
        Ok(())
    }

    fn take_frame<O: Write, N: Write>(
        &mut self,
        frame: Frame<'_>,
        printer: &mut Printer<'_, O, N>,
    ) -> Result<(), Ended> {
        let unasked = || Ended::Lost("decisions came before a snapshot".to_owned());
        let seq = self.known.as_ref().ok_or_else(unasked)?.seq;
        if frame.from != seq + 1 || frame.to < frame.from {
            // It cannot be trusted to go on either: ask for a new picture.
            self.known = None;
            return Err(Ended::Lost(format!(
                "the server went on with decisions {} to {} after {seq}",
                frame.from, frame.to
            )));
        }
        for decision in frame.decisions {
            printer.decision(decision)?;
        }
        printer.flush()?;
        self.known = Some(Known {
            seq: frame.to,
            hash: frame.hash,
        });
        Ok(())
    }
}

fn words(list: &Value) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// Writes what was decided.
struct Printer<'a, O, N> {
    look: Look,
    out: &'a mut O,
    notes: &'a mut N,
}

impl<O: Write, N: Write> Printer<'_, O, N> {
    fn decision(&mut self, decision: &RawValue) -> io::Result<()> {
        match self.look {
            Look::Json => writeln!(self.out, "{decision}"),
            Look::Lines { colour } => {
                let decision = serde_json::from_str(decision.get())?;
                writeln!(self.out, "{}", decision_line(&decision, colour))
            }
        }
    }

    /// An incident that was open before we came: not a decision, so no JSON.
    fn incident(&mut self, incident: &Value) -> io::Result<()> {
        match self.look {
            Look::Json => Ok(()),
            Look::Lines { colour } => writeln!(self.out, "{}", incident_line(incident, colour)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn note(&mut self, note: std::fmt::Arguments<'_>) {
        // Nobody is left to tell if stderr is gone too.
        drop(writeln!(self.notes, "{note}"));
    }
}

async fn next_text(
    stream: &mut WebSocketStream<TcpStream>,
) -> Result<tungstenite::Utf8Bytes, Ended> {
    loop {
        let silence = || Ended::Lost("the server fell silent".to_owned());
        let message = timeout(SILENT_MAX, stream.next())
            .await
            .map_err(|_| silence())?;
        match message {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(Some(close)))) => {
                let reason = close.reason.to_string();
                return Err(if u16::from(close.code) == CLOSE_BAD_MESSAGE {
                    Ended::Refused(reason)
                } else {
                    Ended::Lost(format!("the server closed it: {reason}"))
                });
            }
            // Pings are answered below us.
            Some(Ok(
                Message::Binary(_)
                | Message::Ping(_)
                | Message::Pong(_)
                | Message::Frame(_)
                | Message::Close(None),
            )) => {}
            Some(Err(error)) => return Err(lost(error)),
            None => return Err(Ended::Lost("the server closed the connection".to_owned())),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Ended> {
    serde_json::from_str(text).map_err(|error| {
        Ended::Lost(format!(
            "the server sent what ioc.v1 does not have: {error}"
        ))
    })
}

fn lost(error: impl std::fmt::Display) -> Ended {
    Ended::Lost(error.to_string())
}

fn why_not_upgraded(error: tungstenite::Error) -> Ended {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    match error {
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            lost("the other side hung up without an answer; is this the HTTP port?")
        }
        Error::Protocol(_) | Error::HttpFormat(_) | Error::Utf8(_) => Ended::NotTheStream,
        Error::Http(response) if is_someone_elses(response.status().as_u16()) => {
            Ended::NotTheStream
        }
        Error::Http(response) if response.status().is_client_error() => {
            let body = response.body().as_deref().unwrap_or_default();
            let text = String::from_utf8_lossy(body);
            Ended::Refused(format!("{} {}", response.status(), text.trim()))
        }
        other => lost(other),
    }
}

/// An answer that the stream never gives to a handshake: another web server's.
const fn is_someone_elses(status: u16) -> bool {
    matches!(status, 200..=399 | 404 | 405)
}
