//! A connection of our own to a NATS server, on which messages come.
//!
//! Arrives: what the server says. Leaves: the same, each message borrowed from the room it was read
//! into, and what we say to it. The library's connection makes a message of its own of each, on its
//! way through a queue, which cost as much as half of what is then done with it
//! (docs/PERFORMANCE.md), and ends at headers or a subject that it cannot read, which whoever may
//! publish can write. What else is asked of a server goes over the library. Promise: it is made to the
//! address where the library was let in, with the same credentials and as safely; it is never made
//! again by itself. Bound: [`ROOM_BYTES_MAX`]; then it is not read until there is room. What is to be
//! said is bounded by who says it: nobody says the same again before it was taken. Next:
//! `nats/wire.rs`.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_nats::{ConnectInfo, Protocol, ServerInfo};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use nkeys::KeyPair;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::connect::ANSWER_WITHIN;
use super::wire::{self, Next, Raw};
use super::{AuthToken, LinkError, NatsOptions};
use crate::brokers::dial;
use crate::brokers::tls::{HandshakeError, TlsOptions};

/// How many bytes are read at once.
const READ_BYTES: usize = 128 << 10;
/// How many may lie here: the longest message that a server can be set up to take, and what some
/// requests for messages bring beside.
const ROOM_BYTES_MAX: usize = 96 << 20;

/// What bytes come and go by, with TLS or without.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// What comes on a connection.
#[derive(Debug)]
pub(super) enum Said<'l> {
    /// A message of our subscription.
    Message(Raw<'l>),
    /// The server has heard all that was said before it was asked last.
    Pong,
}

/// A connection that a server has let in.
pub(super) struct Line {
    socket: Box<dyn Socket>,
    /// What has come.
    room: Vec<u8>,
    /// How much of it was taken,
    taken: usize,
    /// and how much there is.
    filled: usize,
    /// How many bytes the next word has at least.
    lacks: usize,
    room_max: usize,
    unsaid: Unsaid,
    /// Since when the server was asked whether it is there, and nothing has come.
    asked: Option<Instant>,
    /// How often it was asked and has not answered,
    unanswered: u32,
    /// and when it was last.
    asked_last: Instant,
}

/// What is to be said.
#[derive(Default)]
struct Unsaid {
    bytes: Vec<u8>,
    /// How much of it was.
    sent: usize,
    /// Whether some of that may not have left.
    is_under_way: bool,
}

impl Line {
    /// Connects to this address.
    pub async fn open(options: &NatsOptions, address: &(String, u16)) -> Result<Self, LinkError> {
        let opened = timeout(ANSWER_WITHIN, Self::open_now(options, address)).await;
        opened.unwrap_or(Err(LinkError::Silent))
    }

    async fn open_now(options: &NatsOptions, address: &(String, u16)) -> Result<Self, LinkError> {
        let host = &address.0;
        let mut socket = dial::connect(address).await.map_err(connect_failed)?;
        let default = TlsOptions::default();
        let tls = options.tls.as_ref();
        let (socket, info): (Box<dyn Socket>, _) = match tls.filter(|_| options.handshake_first) {
            Some(tls) => {
                let mut socket = tls.shake_hands(host, socket).await?;
                let info = info_of(&mut socket).await?;
                (Box::new(socket), info)
            }
            None => {
                let info = info_of(&mut socket).await?;
                match tls.or_else(|| info.tls_required.then_some(&default)) {
                    Some(tls) => (Box::new(tls.shake_hands(host, socket).await?), info),
                    None => (Box::new(socket), info),
                }
            }
        };
        let mut line = Self::over(socket);
        line.sign_in(options, &info).await?;
        Ok(line)
    }

    fn over(socket: Box<dyn Socket>) -> Self {
        Self {
            socket,
            room: vec![0; READ_BYTES],
            taken: 0,
            filled: 0,
            lacks: 0,
            room_max: ROOM_BYTES_MAX,
            unsaid: Unsaid::default(),
            asked: None,
            unanswered: 0,
            asked_last: Instant::now(),
        }
    }

    /// Says who we are, and waits until we are let in.
    async fn sign_in(&mut self, options: &NatsOptions, info: &ServerInfo) -> Result<(), LinkError> {
        let said = connect_info(options, info).await?;
        let said = serde_json::to_vec(&said).map_err(LinkError::refused("say who we are"))?;
        self.unsaid.put(&[b"CONNECT ", &said, b"\r\n"]);
        self.ping();
        loop {
            self.more(true).await?;
            match self.next() {
                Ok(Some(Said::Pong)) => return Ok(()),
                Ok(_) => {}
                Err(LinkError::Broke(why)) => return Err(LinkError::Connect(why)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Wants what is published on these subjects, shared with the others of a queue group if it is one.
    pub fn subscribe(&mut self, subjects: &str, queue: Option<&str>) {
        let queue = queue.map_or_else(String::new, |queue| format!(" {queue}"));
        self.unsaid
            .put(&[b"SUB ", subjects.as_bytes(), queue.as_bytes(), b" 1\r\n"]);
    }

    /// Wants nothing more; it is told when all that was sent before has come.
    pub fn unsubscribe(&mut self) {
        self.unsaid.put(&[b"UNSUB 1\r\n"]);
        self.ping();
    }

    /// Asks the server whether it has heard what was said before.
    pub fn ping(&mut self) {
        self.unsaid.put(&[b"PING\r\n"]);
        self.unanswered += 1;
        self.asked_last = Instant::now();
        self.asked.get_or_insert(self.asked_last);
    }

    /// When the server was asked last whether it is there.
    pub const fn asked_last(&self) -> Instant {
        self.asked_last
    }

    /// Whether the server was asked and has not answered yet.
    pub const fn awaits_answer(&self) -> bool {
        self.unanswered > 0
    }

    /// Asks the server whether it is there, unless it does not even take what was said before.
    pub fn ask(&mut self) {
        match self.is_taken() {
            true => self.ping(),
            false => {
                self.asked.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Whether the server has taken all that was said.
    pub fn is_taken(&self) -> bool {
        self.unsaid.sent == self.unsaid.bytes.len() && !self.unsaid.is_under_way
    }

    /// Whether nothing has come for so long since the server was asked whether it is there. While there
    /// is no room to read, nobody can tell.
    ///
    /// # Errors
    /// The connection broke.
    pub fn is_deaf(&mut self, patience: Duration) -> Result<bool, LinkError> {
        if self.asked.is_none_or(|asked| asked.elapsed() < patience) {
            return Ok(false);
        }
        if !self.make_room() {
            self.asked = None;
            return Ok(false);
        }
        // We may have been held up ourselves.
        match self.more(true).now_or_never() {
            Some(read) => read.map(|()| false),
            None => Ok(true),
        }
    }

    /// How many bytes have come of what has not come whole.
    pub const fn under_way(&self) -> usize {
        match self.lacks {
            0 => 0,
            _ => self.filled - self.taken,
        }
    }

    /// Publishes something, with how it is to be answered; nothing, if it is not. It is sent with the
    /// next [`Line::more`].
    pub fn publish(&mut self, subject: &str, reply: &str, payload: &[u8]) {
        let length = payload.len().to_string();
        let (subject, reply) = (subject.as_bytes(), reply.as_bytes());
        let gap: &[u8] = if reply.is_empty() { b"" } else { b" " };
        self.unsaid.put(&[
            b"PUB ",
            subject,
            b" ",
            reply,
            gap,
            length.as_bytes(),
            b"\r\n",
        ]);
        self.unsaid.put(&[payload, b"\r\n"]);
    }

    /// The next of what has come that is whole; the server's asking whether we are there is answered.
    ///
    /// # Errors
    /// The server does not want something, or is about to go; it is no server of NATS; or something is
    /// longer than there may be room for.
    pub fn next(&mut self) -> Result<Option<Said<'_>>, LinkError> {
        let room: &[u8] = &self.room[..self.filled];
        loop {
            let come = &room[self.taken..];
            if come.len() < self.lacks.max(1) {
                return Ok(None);
            }
            let (said, length) = match wire::next(come).map_err(broke)? {
                Next::Said(said, length) => (said, length),
                Next::Lacks(lacks) if lacks > self.room_max => {
                    let why =
                        format!("a message of {lacks} bytes is longer than there is room for");
                    return Err(LinkError::Broke(why));
                }
                Next::Lacks(lacks) => {
                    self.lacks = lacks;
                    continue;
                }
            };
            self.taken += length;
            self.lacks = 0;
            match said {
                wire::Said::Message(raw) => return Ok(Some(Said::Message(raw))),
                wire::Said::Pong => {
                    self.unanswered = self.unanswered.saturating_sub(1);
                    if self.unanswered == 0 {
                        return Ok(Some(Said::Pong));
                    }
                }
                wire::Said::Ping => self.unsaid.put(&[b"PONG\r\n"]),
                wire::Said::Ok => {}
                wire::Said::Error(why) => return Err(broke(format!("the server says: {why}"))),
                wire::Said::Info(info) => {
                    let info = serde_json::from_slice::<ServerInfo>(info);
                    if info.is_ok_and(|info| info.lame_duck_mode) {
                        return Err(broke("the server is about to go (lame duck mode)"));
                    }
                }
            }
        }
    }

    /// Says what is to be said, and waits until more has come; reads nothing if it is not to.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    ///
    /// # Errors
    /// The connection broke, or the server ended it.
    pub async fn more(&mut self, reads: bool) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_more(reads, cx)).await.map_err(broke)
    }

    /// Says what is to be said, as far as that can be done now.
    ///
    /// # Errors
    /// The connection broke.
    pub fn say(&mut self) -> Result<(), LinkError> {
        let said = poll_fn(|cx| Poll::Ready(self.unsaid.poll_send(&mut self.socket, cx)));
        match said.now_or_never() {
            Some(Poll::Ready(Err(error))) => Err(broke(error)),
            Some(Poll::Ready(Ok(())) | Poll::Pending) | None => Ok(()),
        }
    }

    /// Says what is to be said, and waits until the server has heard it. What comes meanwhile is
    /// passed over.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn leave(&mut self) -> Result<(), LinkError> {
        self.ping();
        loop {
            while let Some(said) = self.next()? {
                if matches!(said, Said::Pong) {
                    return Ok(());
                }
            }
            self.more(true).await?;
        }
    }

    fn poll_more(&mut self, reads: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let said = self.unsaid.poll_send(&mut self.socket, cx);
        if reads && self.make_room() {
            let mut room = ReadBuf::new(&mut self.room[self.filled..]);
            if let Poll::Ready(read) = Pin::new(&mut self.socket).poll_read(cx, &mut room) {
                read?;
                let read = room.filled().len();
                self.filled += read;
                self.asked = None;
                return Poll::Ready(match read {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => Ok(()),
                });
            }
        }
        // What had come before it broke was read first.
        match said {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Whether there is room to read more.
    fn make_room(&mut self) -> bool {
        let lies_here = self.filled - self.taken;
        let wanted = self.lacks.max(lies_here + 1);
        // What lies here is moved where that is little, or cannot be helped.
        let is_at_end = self.taken + wanted > self.room.len();
        if self.taken > 0 && (self.taken >= lies_here || is_at_end) {
            self.room.copy_within(self.taken..self.filled, 0);
            (self.taken, self.filled) = (0, lies_here);
        }
        if self.taken == 0 && wanted <= READ_BYTES && self.room.len() > READ_BYTES {
            self.room.truncate(READ_BYTES);
            self.room.shrink_to_fit();
        }
        if self.taken + wanted > self.room.len() {
            let wanted = wanted.max(2 * self.room.len()).min(self.room_max);
            self.room.resize(wanted, 0);
        }
        self.filled < self.room.len()
    }
}

impl Unsaid {
    fn put(&mut self, parts: &[&[u8]]) {
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(READ_BYTES);
            self.sent = 0;
        } else if self.sent >= READ_BYTES {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    fn poll_send(
        &mut self,
        socket: &mut Box<dyn Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            let unsent = &self.bytes[self.sent..];
            match ready!(Pin::new(&mut *socket).poll_write(cx, unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
            self.is_under_way = true;
        }
        if self.is_under_way {
            ready!(Pin::new(socket).poll_flush(cx))?;
            self.is_under_way = false;
        }
        Poll::Ready(Ok(()))
    }
}

fn broke(error: impl std::fmt::Display) -> LinkError {
    LinkError::Broke(error.to_string())
}

fn connect_failed(error: impl std::fmt::Display) -> LinkError {
    LinkError::Connect(error.to_string())
}

impl From<HandshakeError> for LinkError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Tls(error) => Self::Tls(error),
            HandshakeError::Broke(error) => Self::Connect(error.to_string()),
        }
    }
}

/// What a server says first. It says no more until we have spoken, but that it does not want us.
async fn info_of(socket: &mut (impl AsyncRead + Unpin)) -> Result<ServerInfo, LinkError> {
    let mut said = Vec::new();
    loop {
        match wire::next(&said).map_err(broke)? {
            Next::Said(wire::Said::Info(info), length) if length == said.len() => {
                return serde_json::from_slice(info).map_err(broke);
            }
            Next::Said(wire::Said::Info(_), length) => match wire::next(&said[length..]) {
                Ok(Next::Said(wire::Said::Error(why), _)) => {
                    return Err(LinkError::Connect(format!("the server says: {why}")));
                }
                Ok(Next::Lacks(_)) => {}
                Ok(Next::Said(..)) | Err(_) => {
                    let why = "the server says more than it may before it knows us";
                    return Err(LinkError::Connect(why.to_owned()));
                }
            },
            Next::Said(..) => {
                let why = "what answers there does not begin as a NATS server does";
                return Err(LinkError::Connect(why.to_owned()));
            }
            Next::Lacks(_) => {}
        }
        if socket.read_buf(&mut said).await.map_err(connect_failed)? == 0 {
            return Err(connect_failed(io::Error::from(
                io::ErrorKind::UnexpectedEof,
            )));
        }
    }
}

/// Who we are, as a server wants to hear it.
async fn connect_info(
    options: &NatsOptions,
    server: &ServerInfo,
) -> Result<ConnectInfo, LinkError> {
    let (user_jwt, signature) = match &options.credentials_file {
        Some(file) => {
            let (jwt, key) = credentials(file).await.map_err(LinkError::Credentials)?;
            let signed = key.sign(server.nonce.as_bytes());
            let signed = signed.map_err(LinkError::refused("sign in"))?;
            (Some(jwt), Some(URL_SAFE_NO_PAD.encode(signed)))
        }
        None => (None, None),
    };
    let login = options.login.as_ref();
    let token = options.token.as_ref();
    Ok(ConnectInfo {
        verbose: false,
        pedantic: false,
        user_jwt,
        nkey: None,
        signature,
        name: Some("ioc".to_owned()),
        echo: true,
        lang: "rust".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: Protocol::Dynamic,
        tls_required: options.tls.is_some(),
        user: login.map(|login| login.user.clone()),
        pass: login.map(|login| login.password.clone()),
        auth_token: token.map(|AuthToken(token)| token.clone()),
        headers: true,
        no_responders: true,
    })
}

/// The JWT and the key in a file as `nsc` makes it: what stands between two lines of dashes, each.
async fn credentials(file: &Path) -> io::Result<(String, KeyPair)> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let file = file.to_owned();
    let text = spawn_blocking(move || std::fs::read_to_string(file)).await??;
    let mut between = between_dashes(&text);
    let (Some(jwt), Some(seed)) = (between.next(), between.next()) else {
        return Err(invalid("there is no JWT, or no seed of a key".to_owned()));
    };
    let key = KeyPair::from_seed(seed).map_err(|error| invalid(error.to_string()))?;
    Ok((jwt.to_owned(), key))
}

fn between_dashes(text: &str) -> impl Iterator<Item = &str> {
    let is_dashes = |line: &&str| line.starts_with("---") && line.ends_with("---");
    let mut lines = text.lines().map(str::trim);
    std::iter::from_fn(move || {
        lines.find(|line| is_dashes(line))?;
        let what = lines.next()?;
        lines.find(|line| is_dashes(line))?;
        Some(what)
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn connected() -> (Line, DuplexStream) {
        let (ours, theirs) = duplex(64 << 10);
        (Line::over(Box::new(ours)), theirs)
    }

    /// The payloads of what has come whole.
    fn payloads(line: &mut Line) -> Vec<String> {
        let mut payloads = Vec::new();
        while let Some(said) = line.next().unwrap() {
            let Said::Message(raw) = said else {
                panic!("{said:?}");
            };
            payloads.push(String::from_utf8_lossy(raw.payload).into_owned());
        }
        payloads
    }

    #[tokio::test]
    async fn what_comes_in_pieces_is_read_whole_and_a_ping_between_is_answered() {
        let (mut line, mut server) = connected();
        let said = b"MSG a 1 3\r\none\r\nPING\r\nMSG a 1 $JS.ACK.x 3\r\ntwo\r\n";
        let mut come = Vec::new();
        for piece in said.chunks(5) {
            server.write_all(piece).await.unwrap();
            line.more(true).await.unwrap();
            come.extend(payloads(&mut line));
        }
        assert_eq!(come, ["one", "two"]);
        line.publish("$JS.ACK.x", "", b"+ACK");
        line.publish("b", "_INBOX.c", b"");
        line.say().unwrap();
        let wanted = b"PONG\r\nPUB $JS.ACK.x 4\r\n+ACK\r\nPUB b _INBOX.c 0\r\n\r\n";
        let mut heard = vec![0; wanted.len()];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(
            heard.escape_ascii().to_string(),
            wanted.escape_ascii().to_string()
        );
        drop(server);
        assert!(matches!(line.more(true).await, Err(LinkError::Broke(_))));
    }

    #[tokio::test]
    async fn p5_what_has_come_and_is_not_taken_has_a_bound() {
        let (mut line, mut server) = connected();
        line.room_max = READ_BYTES + 1000;
        let message = format!("MSG a 1 1000\r\n{}\r\n", "x".repeat(1000));
        let sent = tokio::spawn(async move {
            for _ in 0..1000 {
                server.write_all(message.as_bytes()).await.unwrap();
            }
            server
        });
        // Read until there is no more room, and then taken.
        let mut taken = 0;
        while taken < 1000 {
            let lies_here = |line: &Line| line.filled - line.taken;
            while lies_here(&line) < line.room_max && taken + lies_here(&line) / 1016 < 1000 {
                line.more(true).await.unwrap();
            }
            assert!(line.room.len() <= line.room_max);
            assert!(line.more(true).now_or_never().is_none(), "it is not read");
            taken += payloads(&mut line).len();
        }
        let mut server = sent.await.unwrap();
        // What is short is read into as much room as ever again.
        server.write_all(b"MSG a 1 3\r\none\r\n").await.unwrap();
        line.more(true).await.unwrap();
        assert_eq!(payloads(&mut line), ["one"]);
        assert_eq!(line.room.len(), READ_BYTES);
        let too_long = format!("MSG a 1 {}\r\n", line.room_max);
        server.write_all(too_long.as_bytes()).await.unwrap();
        line.more(true).await.unwrap();
        assert!(line.next().is_err());
    }

    #[tokio::test]
    async fn what_is_long_gets_the_room_that_it_takes() {
        let (mut line, mut server) = connected();
        let payload = "x".repeat(5 * READ_BYTES);
        let message = format!("MSG a 1 {}\r\n{payload}\r\n", payload.len());
        let sent = tokio::spawn(async move { server.write_all(message.as_bytes()).await });
        let come = loop {
            line.more(true).await.unwrap();
            let come = payloads(&mut line);
            if !come.is_empty() {
                break come;
            }
        };
        assert!(come == [payload]);
        sent.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_takes_its_leave_is_heard_first() {
        let (mut line, mut server) = connected();
        // It was asked before, and its answer lies here.
        line.ping();
        line.say().unwrap();
        server.write_all(b"PONG\r\n").await.unwrap();
        line.more(true).await.unwrap();
        server.read_exact(&mut [0; 6]).await.unwrap();
        line.publish("$JS.ACK.x", "", b"+ACK");
        let (left, heard) = tokio::join!(line.leave(), async {
            let wanted = b"PUB $JS.ACK.x 4\r\n+ACK\r\nPING\r\n";
            let mut heard = vec![0; wanted.len()];
            server.read_exact(&mut heard).await.unwrap();
            server
                .write_all(b"MSG a 1 3\r\none\r\nPONG\r\n")
                .await
                .unwrap();
            heard == wanted
        });
        assert!(heard);
        left.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_though_it_is_asked_is_deaf() {
        let (mut line, mut server) = connected();
        let patience = Duration::from_secs(10);
        tokio::time::advance(patience).await;
        assert!(!line.is_deaf(patience).unwrap(), "it was asked nothing");
        line.ask();
        assert!(!line.is_taken());
        line.say().unwrap();
        assert!(line.is_taken());
        tokio::time::advance(patience / 2).await;
        line.ask();
        assert!(!line.is_deaf(patience).unwrap());
        tokio::time::advance(patience / 2).await;
        assert!(line.is_deaf(patience).unwrap(), "since the first time");
        server.write_all(b"MSG a 1 3\r\no").await.unwrap();
        assert!(!line.is_deaf(patience).unwrap(), "it has spoken meanwhile");
        assert!(line.next().unwrap().is_none());
        assert_eq!(line.under_way(), 12);
        server.write_all(b"ne\r\n").await.unwrap();
        line.more(true).await.unwrap();
        assert_eq!(payloads(&mut line), ["one"]);
        assert_eq!(line.under_way(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_nothing_is_deaf_and_one_that_is_not_read_is_not() {
        let (mut line, mut server) = connected();
        let patience = Duration::from_secs(10);
        line.publish("a", "", &[b'x'; 100 << 10]);
        line.say().unwrap();
        assert!(!line.is_taken(), "it takes 64 KiB");
        let unsaid = line.unsaid.bytes.len();
        line.ask();
        line.ask();
        assert_eq!(line.unsaid.bytes.len(), unsaid, "it is not asked in vain");
        tokio::time::advance(patience).await;
        assert!(line.is_deaf(patience).unwrap());
        line.room_max = READ_BYTES;
        line.filled = READ_BYTES;
        assert!(!line.is_deaf(patience).unwrap());
        line.filled = 0;
        assert!(!line.is_deaf(patience).unwrap(), "it is asked anew");
        line.ask();
        server.read_exact(&mut vec![0; 64 << 10]).await.unwrap();
        tokio::time::advance(patience).await;
        assert!(line.is_deaf(patience).unwrap());
    }

    #[test]
    fn credentials_stand_between_lines_of_dashes() {
        let text = "-----BEGIN NATS USER JWT-----\r\nabc\r\n------END NATS USER JWT------\r\n\r\n\
                    *** IMPORTANT ***\n\n-----BEGIN USER NKEY SEED-----\nSUA\n------END------\n";
        assert_eq!(between_dashes(text).collect::<Vec<_>>(), ["abc", "SUA"]);
        assert_eq!(between_dashes("abc").count(), 0);
        assert_eq!(between_dashes("---a---\nabc\n").count(), 0);
    }
}
