//! A subscriber of an MQTT broker elsewhere, 3.1.1 or 5.0: connects again for ever.
//!
//! Arrives: messages of the topics that are configured. Leaves: inputs through the door, PUBACKs, and PUBRECs
//! of what comes in quality 2 though it is granted 1.
//! Promise: either leaves only when the message is durable, in the order of the messages
//! (section 4.6), and only on the connection that brought it. The session is the broker's to keep:
//! what it took for us while we were away comes when we are back. Urgent topics have a connection
//! of their own, so that no flood of others lies before them. Sessions that are not configured any more
//! are read out and ended (`mqtt/sessions.rs`), over as many connections as it takes, but for one that
//! another process has taken from us. Nothing is carried from one
//! connection to the next but how long to wait, and what is left of the link's quota. Not here: what is published there
//! (`mqtt/outgoing.rs`). Next: `mqtt/connection.rs`.

mod connection;
mod keep_alive;
mod socket;
mod packets;
mod oversized;
mod chosen;
mod sessions;
mod outgoing;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::chosen::Chosen;
use self::connection::Ended;
pub(crate) use self::connection::LinkError;
pub(crate) use self::outgoing::Publishing;
#[cfg(any(test, feature = "fuzzing"))]
use self::packets::Packet;
pub(crate) use self::packets::{Outgoing, Published};
pub use self::sessions::Sessions;
use super::Login;
use super::backoff::Backoff;
use super::epoch::Entrance;
use super::links::{Link, Links};
use super::{TlsOptions, told};
use crate::door::Door;
use crate::telemetry;

/// What a broker speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

/// A broker elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttBrokerOptions {
    /// What it is called in logs, metrics and dead letters.
    pub name: String,
    /// Its host and port.
    pub address: (String, u16),
    /// What it speaks.
    pub version: Version,
    /// How TLS is spoken to it, if it is.
    pub tls: Option<TlsOptions>,
    /// The client identifier that its session has; each connection adds to it.
    pub client_id: String,
    /// Who we are, if it asks.
    pub login: Option<Login>,
    /// The topic filters.
    pub topics: Vec<String>,
    /// Those that have a connection of their own.
    pub urgent_topics: Vec<String>,
    /// Whether commands to devices are sent there, on `ioc/v1/commands/<device>`, and what devices
    /// say about them is heard, on `ioc/v1/feedback/<device>`.
    pub commands: bool,
    /// The group of a shared subscription (5.0: section 4.8.2).
    pub share: Option<String>,
    /// Over how many connections a shared subscription is spread.
    pub connections: u16,
    /// How many messages of a connection may be read and not yet durable; then it is not read
    /// until some are. A broker of version 5 is told (receive maximum) and sends no more.
    pub inflight_max: u16,
    /// How often the broker is told that it hears of us, and how long it has to answer; it is asked
    /// when we have said nothing for half of it.
    pub keep_alive: Duration,
    /// How long a broker of version 5 is to keep the session while we are away. Seconds.
    pub session_s: u32,
}

impl Default for MqttBrokerOptions {
    /// A broker of version 5 on this machine with our own topics.
    fn default() -> Self {
        Self {
            name: "broker".to_owned(),
            address: ("127.0.0.1".to_owned(), 1883),
            version: Version::V5,
            tls: None,
            client_id: "ioc-broker".to_owned(),
            login: None,
            topics: vec!["ioc/v1/readings/#".to_owned()],
            urgent_topics: Vec::new(),
            commands: false,
            share: None,
            connections: 1,
            inflight_max: 4096,
            keep_alive: Duration::from_secs(15),
            session_s: 86_400,
        }
    }
}

impl MqttBrokerOptions {
    /// How many connections are made to it.
    pub fn connections(&self) -> usize {
        self.client_ids().len()
    }

    /// The client identifiers of all these connections. A session is known by nothing else: no other
    /// link may have one of them at the same broker.
    pub fn client_ids(&self) -> Vec<String> {
        let mut suffixes = Vec::new();
        suffixes.extend((!self.urgent_topics.is_empty()).then_some(URGENT));
        suffixes.extend(self.hears_feedback().then_some(HEARS));
        suffixes.extend(self.commands.then_some(SENDS));
        suffixes.extend((!self.topics.is_empty()).then_some(""));
        let own = |suffix: &str| format!("{}{suffix}", self.client_id);
        let mut all: Vec<_> = suffixes.into_iter().map(own).collect();
        if !self.topics.is_empty() {
            all.extend((2..=self.connections).map(|number| own(&nth(number))));
        }
        all
    }

    /// The client identifier that commands are sent under.
    pub(crate) fn sending_id(&self) -> String {
        format!("{}{SENDS}", self.client_id)
    }

    /// Whether what devices say about commands has a connection of its own: unless it is among the
    /// topics that are read already.
    fn hears_feedback(&self) -> bool {
        let mut topics = self.topics.iter().chain(&self.urgent_topics);
        self.commands && !topics.any(|topic| topic.starts_with(FEEDBACK))
    }
}

/// One connection as it is to be made.
#[derive(Debug)]
struct Wanted {
    client_id: String,
    purpose: Purpose,
    /// What the filters of all connections to the broker choose: one that was moved from `topics` to
    /// `urgent_topics`, or to another link, stands in the session of before, with what the broker has kept
    /// for it.
    chosen: Arc<Chosen>,
    link: Link,
    options: Arc<MqttBrokerOptions>,
    sessions: Sessions,
}

/// What a connection is for.
#[derive(Debug)]
enum Purpose {
    /// To be given what these filters choose, for ever.
    Reads { filters: Vec<String> },
    /// To take what the broker has kept for a session that is not configured any more, and to end it;
    /// it had these filters.
    Ends { filters: Vec<String> },
}

impl Wanted {
    /// The filters of its session that are not asked for.
    fn others(&self) -> Vec<String> {
        let Self {
            options, client_id, ..
        } = self;
        self.sessions.others(options, client_id, self.filters())
    }

    /// Its session has its filters and no others.
    fn note_filters(&self) {
        let Self {
            options, client_id, ..
        } = self;
        self.sessions.has(options, client_id, self.filters());
    }

    /// Its session has subscribed.
    fn note_subscribed(&self) {
        self.sessions.subscribed(&self.options, &self.client_id);
    }

    /// Waits until all sessions at its broker have subscribed since the start, of whichever link: before
    /// that none gives up a filter, for what it chooses may be another's from then on.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    async fn all_have_subscribed(&self) {
        self.sessions.all_have_subscribed(&self.options).await;
    }

    /// Its connection broke, or was not made.
    fn note_broke(&self) {
        self.sessions.broke(&self.options, &self.client_id);
    }

    /// How often connections for what is configured have broken at its broker, if all of them are there.
    fn beside(&self) -> Option<u64> {
        self.sessions.beside(&self.options)
    }

    /// Leaves a session that is to be ended to the other process that may have it.
    fn gives_up(&self, error: &LinkError) {
        self.sessions.is_anothers(&self.options, &self.client_id);
        telemetry::broker_session_given_up(self.link.name(), &error.to_string());
        self.link.over();
    }

    const fn is_to_end(&self) -> bool {
        matches!(self.purpose, Purpose::Ends { .. })
    }

    fn filters(&self) -> &[String] {
        match &self.purpose {
            Purpose::Reads { filters } => filters,
            Purpose::Ends { .. } => &[],
        }
    }
}

/// What a connection adds to the client identifier: that of urgent topics,
const URGENT: &str = "-urgent";
/// that on which devices answer,
const HEARS: &str = "-feedback";
/// that on which commands are sent,
const SENDS: &str = "-commands";

/// and each further one of a shared subscription.
fn nth(number: u16) -> String {
    format!("-{number}")
}

/// What the topics begin with that devices answer on.
const FEEDBACK: &str = "ioc/v1/feedback/";

/// How often in a row the broker may hang up on us alone, without a reason, before a session that is read
/// out is taken for another process's: 3.1.1 has no word for that, and mosquitto 2.0 does not say it in
/// version 5 either.
const TURNED_OUT_MAX: u32 = 3;

/// The same where each connection brought something before: two processes that take turns get what the
/// other had not acknowledged, and this one takes filters from the session that the other wants.
const TURNS_MAX: u32 = 10;

/// For how long the connections beside one that was hung up on are watched: as long as they may take to
/// notice that it was their broker that went away, or the way to it.
const WATCHED: Duration = Duration::from_secs(1);

/// So long a connection must have lasted for the next attempt to be made at once, if it brought
/// nothing.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Serves a broker until `shutdown` is ready; then reads no more, waits until what was read is
/// durable and acknowledged, and takes its leave. The engine must go on settling until this
/// returns.
pub async fn run(
    options: MqttBrokerOptions,
    sessions: Sessions,
    door: Door,
    links: &Links,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    for wanted in wanted(options, &sessions, links) {
        connections.spawn(keep(wanted, door.clone(), stopping.clone()));
    }
    shutdown.await;
    stop.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// Each connection that reads: the client identifier of its session, and its filters.
fn subscriptions(options: &MqttBrokerOptions) -> Vec<(String, Vec<String>)> {
    let shared = |filter: &String| match &options.share {
        Some(group) => format!("$share/{group}/{filter}"),
        None => filter.clone(),
    };
    let connection = |suffix: &str, filters: &[String]| {
        let filters = chosen::widest(filters).map(shared);
        (format!("{}{suffix}", options.client_id), filters.collect())
    };
    let mut all = Vec::new();
    if !options.urgent_topics.is_empty() {
        all.push(connection(URGENT, &options.urgent_topics));
    }
    if options.hears_feedback() {
        all.push(connection(HEARS, &[format!("{FEEDBACK}+")]));
    }
    if !options.topics.is_empty() {
        all.push(connection("", &options.topics));
        let others = 2..=options.connections;
        all.extend(others.map(|number| connection(&nth(number), &options.topics)));
    }
    all
}

fn wanted(options: MqttBrokerOptions, sessions: &Sessions, links: &Links) -> Vec<Wanted> {
    let options = Arc::new(options);
    let subscriptions = subscriptions(&options);
    let own = subscriptions.iter().flat_map(|(_, filters)| filters);
    let of_broker = sessions.asked_of(&options);
    let chosen = Arc::new(Chosen::by(own.chain(&of_broker)));
    let connection = |name: String, client_id, purpose| Wanted {
        client_id,
        purpose,
        chosen: Arc::clone(&chosen),
        link: links.add(&name),
        options: Arc::clone(&options),
        sessions: sessions.clone(),
    };
    let left = sessions.left_to(&options);
    let mut all = Vec::new();
    for (client_id, filters) in subscriptions {
        let suffix = client_id.strip_prefix(&options.client_id);
        let name = format!("mqtt {}{}", options.name, suffix.unwrap_or_default());
        all.push(connection(name, client_id, Purpose::Reads { filters }));
    }
    for left in left {
        let name = format!("mqtt {} session {}", options.name, left.client_id);
        let filters = left.filters;
        let purpose = Purpose::Ends { filters };
        all.push(connection(name, left.client_id, purpose));
    }
    all
}

/// Keeps one connection: makes it again whenever it ends, until told to stop.
async fn keep(wanted: Wanted, door: Door, mut stopping: watch::Receiver<bool>) {
    let mut backoff = Backoff::default();
    let (wanted, entrance) = (Arc::new(wanted), Entrance::new(door));
    let (mut turns, mut turned_out) = (0, 0);
    if wanted.is_to_end() {
        // Who waited for the others while connected would take a restart of the broker for another process.
        tokio::select! {
            () = wanted.all_have_subscribed() => {}
            () = told(&mut stopping) => return wanted.link.ended(),
        }
    }
    loop {
        let (began, beside) = (Instant::now(), wanted.beside());
        // In a task of its own: a panic of ours ends this connection and nothing else.
        let serving = connection::serve(Arc::clone(&wanted), entrance.clone(), stopping.clone());
        let (brought, error) = match tokio::spawn(serving).await {
            Ok(Ended::Stopped) => break,
            Ok(Ended::Over) => {
                wanted.sessions.over(&wanted.options, &wanted.client_id);
                telemetry::broker_session_over(wanted.link.name());
                return wanted.link.over();
            }
            Ok(Ended::Broke { brought, error }) => (brought, error),
            Err(panic) => (false, LinkError::Panicked(panic.to_string())),
        };
        if wanted.is_to_end() && matches!(error, LinkError::TakenOver) {
            return wanted.gives_up(&error);
        }
        let is_stable = brought || began.elapsed() >= STABLE_AFTER;
        if is_stable {
            backoff.reset();
        } else if wanted.link.is_up() {
            backoff.ease();
        }
        telemetry::broker_broke(wanted.link.name(), error.word());
        wanted.link.down(&error.to_string());
        wanted.note_broke();
        let is_hung_up = wanted.is_to_end() && error.is_hang_up();
        let pause = match is_hung_up {
            true => backoff.next().max(WATCHED),
            false => backoff.next(),
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut stopping) => break,
        }
        let is_alone = beside.is_some() && wanted.beside() == beside;
        (turns, turned_out) = match (is_hung_up && is_alone, brought) {
            (false, _) => (0, 0),
            (true, true) => (turns + 1, 0),
            (true, false) => (turns + 1, turned_out + 1),
        };
        if turned_out == TURNED_OUT_MAX || turns == TURNS_MAX {
            return wanted.gives_up(&error);
        }
    }
    wanted.link.ended();
}

/// Any bytes as those of a broker: packets, or the end of the connection. The first one says what
/// the broker speaks. How many packets they are.
///
/// # Panics
/// If a packet takes no bytes.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn packets_of_any(bytes: &[u8]) -> usize {
    let Some((first, stream)) = bytes.split_first() else {
        return 0;
    };
    let version = match first & 1 {
        0 => Version::V311,
        _ => Version::V5,
    };
    let (mut received, mut packets) = (bytes::BytesMut::from(stream), 0);
    loop {
        let before = received.len();
        match version.read(&mut received) {
            // Nothing is read behind it.
            Ok(None | Some(Packet::Disconnect(_) | Packet::TakenOver)) | Err(_) => return packets,
            Ok(Some(_)) => assert!(received.len() < before, "a packet has bytes"),
        }
        packets += 1;
    }
}

#[cfg(test)]
mod tests;
