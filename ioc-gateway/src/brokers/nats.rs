//! Readings from a NATS server elsewhere: core subjects, or a JetStream stream.
//!
//! Arrives: messages of the subjects that are configured, each subject on a connection (and, of a
//! stream, with a durable consumer) of its own, so that none lies before another; a second one, which
//! the library keeps, asks and answers. Leaves: inputs
//! through the door; acknowledgements. Promise, of a stream: a message is acknowledged only when it
//! is durable; nothing is pulled that the door has no room for. Core NATS promises nothing: what is
//! published while the link is down, or faster than it is taken, is lost; the latter is counted.
//! Nothing outlives a connection but how long to wait, what is left of the link's quota, whether the
//! stream can be asked what it has, and how much of it is durable (`nats/floor.rs`). Next: `nats/stream.rs`.

mod core;
mod connect;
mod consumer;
mod delivery;
mod doubt;
mod earlier;
mod floor;
mod kept;
mod line;
mod message;
mod order;
pub mod outgoing;
mod pause;
mod prefix;
mod stream;
mod threads;
mod together;
mod wire;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::{self, Context};
use ioc_core::time::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub(crate) use self::connect::{Connected, LinkError};
pub use self::consumer::covers;
use self::earlier::Earlier;
use self::floor::Floor;
pub use self::floor::Strays;
use self::kept::Looks;
use self::message::Incoming;
use super::backoff::Backoff;
use super::epoch::Entrance;
use super::links::{Link, Links};
use super::{AuthToken, Login};
use super::{TlsOptions, told};
use crate::door::Door;
use crate::telemetry;

/// A NATS server elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsOptions {
    /// What it is called in logs, metrics and dead letters.
    pub name: String,
    /// Its host and port; of a cluster, those of several of its servers. Whichever lets us in is read.
    pub addresses: Vec<(String, u16)>,
    /// How TLS is spoken to it. A server that demands it is spoken to with TLS in any case.
    pub tls: Option<TlsOptions>,
    /// Whether TLS begins before the server has said anything (its `handshake_first`).
    pub handshake_first: bool,
    /// Who we are, if it asks for a user.
    pub login: Option<Login>,
    /// The file whose first line is the token, if it asks for one,
    pub token_file: Option<PathBuf>,
    /// and the token.
    pub token: Option<AuthToken>,
    /// Who we are, if it asks for a JWT: a file as `nsc` makes it.
    pub credentials_file: Option<PathBuf>,
    /// What the subjects begin with that we are answered on, if permissions do not allow `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// Whether decisions are sent there, for a stream of `ioc.v1.decisions.>`.
    pub decisions: bool,
    /// Whether commands to devices are sent there, on `ioc.v1.commands.<device>`, and what devices
    /// say about them is heard, on `ioc.v1.feedback.<device>`.
    pub commands: bool,
    /// What is read. Wildcards are `*` and `>`.
    pub subjects: Vec<String>,
    /// The stream that keeps them; without one they are core subjects.
    pub stream: Option<String>,
    /// The domain of JetStream that the stream is in, if not in that of the server.
    pub domain: Option<String>,
    /// Where a consumer of a stream begins of which nothing was read yet.
    pub from: Since,
    /// How our consumers of the stream begin their names.
    pub durable: String,
    /// The directory where it is kept how much of a stream is durable; without one it is not.
    pub floors: Option<PathBuf>,
    /// The queue group that shares core subjects.
    pub queue: Option<String>,
    /// How many messages of a subject may be read and not yet durable; no more are pulled.
    pub inflight_max: u32,
    /// After how long without a word from us a stream delivers a message again. Those that wait
    /// for our disk are asked to be waited for.
    pub ack_wait: Duration,
}

/// Which messages of a stream are read, of those that it has when it is read for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// All of them.
    First,
    /// None.
    New,
    /// Those that it has taken at this time or later.
    Time(Timestamp),
}

impl NatsOptions {
    /// Where it is kept how much of a subject of the stream is durable, if it is.
    fn floor_of(&self, subject: &str) -> Option<PathBuf> {
        let dir = self.floors.as_ref().filter(|_| self.stream.is_some())?;
        let consumer = consumer::name_of(&self.durable, subject);
        Some(dir.join(format!("{}-{consumer}", self.name)))
    }

    /// Whether one of the subjects of a stream is that of a consumer whose file is called so, under whichever
    /// name.
    fn reads_as(&self, file: &str) -> bool {
        let mut subjects = self.subjects.iter().map(|each| consumer::ending_of(each));
        self.stream.is_some() && subjects.any(|ending| file.ends_with(&ending))
    }

    /// How many connections are made: two for each subject, one that its messages come on and one to
    /// ask and to answer, and some beside.
    pub fn connections(&self) -> usize {
        let subjects = self.subjects.len() + usize::from(self.feedback().is_some());
        2 * subjects + usize::from(self.decisions) + usize::from(self.commands)
    }

    /// What devices say about commands, where they are sent there: a core subject, unless it is
    /// among those that are read already.
    pub fn feedback(&self) -> Option<Self> {
        const FEEDBACK: &str = "ioc.v1.feedback.";
        let is_read = self.subjects.iter().any(|each| each.starts_with(FEEDBACK));
        (self.commands && !is_read).then(|| Self {
            subjects: vec![format!("{FEEDBACK}>")],
            stream: None,
            ..self.clone()
        })
    }
}

impl Default for NatsOptions {
    /// A server on this machine with our own subjects.
    fn default() -> Self {
        Self {
            name: "nats".to_owned(),
            addresses: vec![("127.0.0.1".to_owned(), 4222)],
            tls: None,
            handshake_first: false,
            login: None,
            token_file: None,
            token: None,
            credentials_file: None,
            inbox_prefix: None,
            decisions: false,
            commands: false,
            subjects: vec!["ioc.v1.readings.>".to_owned()],
            stream: None,
            domain: None,
            from: Since::First,
            durable: "ioc-nats".to_owned(),
            floors: None,
            queue: None,
            inflight_max: 4096,
            ack_wait: Duration::from_secs(5),
        }
    }
}

/// How a connection ended.
#[derive(Debug)]
enum Ended {
    /// We were told to stop.
    Stopped,
    /// It is to be made again.
    Broke {
        /// Whether anything that came over it became durable.
        brought: bool,
        error: LinkError,
    },
}

/// So long a connection must have lasted for the next attempt to be made at once, if it brought
/// nothing.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Tells of consumers that were read and that none of these servers' settings have any more: a stream
/// may keep its messages for them. Where they stood. `dir` is where it is kept how much of streams is
/// durable.
pub fn tell_of_strays(dir: &Path, servers: &[NatsOptions]) -> Strays {
    let files = servers.iter().flat_map(|server| {
        let subjects = server.subjects.iter();
        subjects.filter_map(|subject| server.floor_of(subject))
    });
    let strays = floor::strays(dir, &files.collect());
    for stray in &strays {
        let mut heirs = servers.iter().filter(|server| server.reads_as(stray));
        telemetry::nats_stray(stray, heirs.next().map(|heir| &*heir.name));
    }
    Strays::read(dir, &strays)
}

/// Serves a server until `shutdown` is ready; then reads no more, waits until what was read is
/// durable and acknowledged, and takes its leave. The engine must go on settling until this
/// returns.
pub async fn run(
    options: NatsOptions,
    strays: Strays,
    door: Door,
    links: &Links,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let options = Arc::new(options);
    let mut connections = JoinSet::new();
    let moves = watch::Sender::default();
    let floor = |subject| Floor::telling(options.floor_of(subject), moves.clone());
    let floors: Vec<_> = options.subjects.iter().map(|each| floor(each)).collect();
    for (at, (subject, floor)) in options.subjects.iter().zip(&floors).enumerate() {
        let before = options.subjects.iter().zip(&floors).take(at);
        let subscriber = Subscriber {
            options: Arc::clone(&options),
            subject: subject.clone(),
            earlier: Earlier::of(subject, before),
            link: links.add(&format!("nats {} {subject}", options.name)),
            held: Mutex::default(),
            looks: Mutex::default(),
            floor: floor.clone(),
            strays: strays.clone(),
        };
        let kept = keep(subscriber, door.clone(), stopping.clone());
        match options.stream {
            Some(_) => connections.spawn(threads::on_its_own(kept)),
            None => connections.spawn(kept),
        };
    }
    shutdown.await;
    stop.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// One subject's reader.
#[derive(Debug)]
struct Subscriber {
    options: Arc<NatsOptions>,
    subject: String,
    /// Those that are configured before it: what they choose is read there.
    earlier: Earlier,
    link: Link,
    held: Mutex<Held>,
    looks: Mutex<Looks>,
    /// How much of the stream is durable.
    floor: Floor,
    strays: Strays,
}

/// Until when a stream can have delivered messages, on any connection.
#[derive(Debug, Default)]
struct Held {
    /// Whose word that is: a server that was started since has forgotten when it delivered them, and
    /// counts from its start.
    server: String,
    /// The number of the last delivery until then that is known of.
    delivery: u64,
    until: Option<Instant>,
}

/// Why a message of another subject is passed over, in a word to count by,
const NOT_SUBSCRIBED: &str = "not_subscribed";
/// and one that a subject before chooses, too.
const READ_ELSEWHERE: &str = "read_elsewhere";

impl Subscriber {
    /// JetStream, as this client reaches it.
    fn jetstream(&self, client: &Client) -> Context {
        let client = client.clone();
        match &self.options.domain {
            Some(domain) => jetstream::with_domain(client, domain),
            None => jetstream::new(client),
        }
    }

    /// Why a message of a stream is of no use to this reader, in a word to count by.
    fn unwanted(&self, message: Incoming<'_>) -> Option<&'static str> {
        let subject = message.subject;
        // The stream may have got other subjects since the connection began.
        if !consumer::covers(&self.subject, subject) {
            return Some(NOT_SUBSCRIBED);
        }
        message.is_deletion().then_some(message::DELETED)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This was the last delivery that came, and it came by then.
    fn note_held(&self, delivery: u64, until: Instant) {
        let mut held = self.held();
        (held.delivery, held.until) = (delivery, Some(until));
    }

    /// From when on this server counts how long messages are unanswered, at the latest. It tells its
    /// last delivery: one that did not come may be of this moment, for a request of the connection
    /// before that it has only just heard.
    fn held_by(&self, server: String, delivery: u64, now: Instant) -> Instant {
        let mut held = self.held();
        if held.server != server || held.delivery != delivery {
            *held = Held {
                server,
                delivery,
                until: None,
            };
        }
        *held.until.get_or_insert(now)
    }
}

/// Keeps one connection: makes it again whenever it ends, until told to stop.
async fn keep(subscriber: Subscriber, door: Door, mut stopping: watch::Receiver<bool>) {
    let mut backoff = Backoff::default();
    let (subscriber, entrance) = (Arc::new(subscriber), Entrance::new(door));
    loop {
        let began = Instant::now();
        // In a task of its own: a panic of ours ends this connection and nothing else.
        let serving = serve(Arc::clone(&subscriber), entrance.clone(), stopping.clone());
        let ended = tokio::spawn(serving).await;
        subscriber.floor.closed();
        let (brought, error) = match ended {
            Ok(Ended::Stopped) => break,
            Ok(Ended::Broke { brought, error }) => (brought, error),
            Err(panic) => (false, LinkError::Panicked(panic.to_string())),
        };
        if brought || began.elapsed() >= STABLE_AFTER {
            backoff.reset();
        } else if subscriber.link.is_up() {
            backoff.ease();
        }
        telemetry::broker_broke(subscriber.link.name(), error.word());
        subscriber.link.down(&error.to_string());
        tokio::select! {
            () = sleep(backoff.next()) => {}
            () = told(&mut stopping) => break,
        }
    }
    let _ = subscriber.floor.save().await;
    subscriber.link.ended();
}

/// Makes a connection and serves it until it ends.
async fn serve(
    subscriber: Arc<Subscriber>,
    entrance: Entrance,
    mut stopping: watch::Receiver<bool>,
) -> Ended {
    let options = &subscriber.options;
    let connected = tokio::select! {
        connected = Connected::new(options) => connected,
        () = told(&mut stopping) => return Ended::Stopped,
    };
    let connected = match connected {
        Ok(connected) => connected,
        Err(error) => {
            return Ended::Broke {
                brought: false,
                error,
            };
        }
    };
    match &options.stream {
        Some(stream) => stream::serve(&subscriber, stream, connected, entrance, stopping).await,
        None => core::serve(&subscriber, connected, entrance, stopping).await,
    }
}

/// A name as one token of a subject: other characters than letters, digits, `_` and `-` are
/// percent-escaped in it.
pub fn token_of(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            token.push(byte.into());
        } else {
            token += &format!("%{byte:02X}");
        }
    }
    token
}

/// Reads any bytes as what a server says; how many words there are, with those of deliveries twice.
///
/// # Panics
/// If a word takes no bytes, or more than there are, or is not the same when less has come of what
/// is behind it; or if a delivery is answered otherwise than it says.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn words_of_any(bytes: &[u8]) -> usize {
    let (mut replies, mut answered) = (delivery::Replies::default(), String::new());
    let (mut rest, mut words) = (bytes, 0);
    loop {
        let (said, length) = match wire::next(rest) {
            Ok(wire::Next::Said(said, length)) => (said, length),
            Ok(wire::Next::Lacks(lacks)) => {
                assert!(lacks > rest.len(), "what lacks is behind what is there");
                return words;
            }
            Err(_) => return words,
        };
        assert!((1..=rest.len()).contains(&length), "a word has bytes");
        let alone = wire::next(&rest[..length]);
        let as_before = matches!(&alone, Ok(wire::Next::Said(word, _)) if *word == said);
        assert!(as_before, "{alone:?}");
        if let wire::Said::Message(raw) = said {
            assert!(raw.bytes() < length, "a message lies within its word");
            wire::Headers::read(raw.headers);
            if let Some(reply) = replies.read(raw.reply) {
                let again = replies.read(reply.put(&mut answered).as_bytes());
                assert_eq!(again, Some(reply), "it is answered as it says");
                words += 1;
            }
        }
        words += 1;
        rest = &rest[length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn subscriber() -> Subscriber {
        Subscriber {
            options: Arc::default(),
            subject: "ioc.v1.readings.>".to_owned(),
            earlier: Earlier::default(),
            link: Links::default().add("nats city ioc.v1.readings.>"),
            held: Mutex::default(),
            looks: Mutex::default(),
            floor: Floor::kept(None),
            strays: Strays::default(),
        }
    }

    #[test]
    fn p1_a_server_that_was_started_again_counts_from_its_start_how_long_it_was_not_answered() {
        let (subscriber, began) = (subscriber(), Instant::now());
        let after = |seconds| began + Duration::from_secs(seconds);
        let held = |server: &str, at| subscriber.held_by(server.to_owned(), 7, after(at));
        assert_eq!(held("a", 0), began);
        subscriber.note_held(7, after(3));
        assert_eq!(held("a", 4), after(3));
        assert_eq!(held("b", 9), after(9));
        assert_eq!(held("b", 12), after(9));
    }

    #[test]
    fn p1_deliveries_that_did_not_come_may_be_as_late_as_when_they_are_noticed() {
        let (subscriber, began) = (subscriber(), Instant::now());
        let after = |seconds| began + Duration::from_secs(seconds);
        let held = |delivery, at| subscriber.held_by("a".to_owned(), delivery, after(at));
        held(0, 0);
        subscriber.note_held(7, after(3));
        assert_eq!(held(7, 5), after(3), "each came");
        assert_eq!(held(9, 5), after(5));
        assert_eq!(held(9, 20), after(5), "no more since");
    }
}
