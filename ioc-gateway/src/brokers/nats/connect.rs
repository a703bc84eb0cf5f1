//! A connection to a NATS server, and that it broke.
//!
//! The library would connect again by itself, with the same consumers and inboxes. Here the first
//! break ends the connection: whoever uses it begins anew and asks the server where it stands.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{NatsOptions, message};
use crate::brokers::dial;
use crate::brokers::epoch::Epoch;
use crate::brokers::{AuthToken, TlsError, tls};
use crate::door::DoorClosed;
use crate::telemetry;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot use the credentials file: {0}")]
    Credentials(std::io::Error),
    #[error("the connection broke: {0}")]
    Broke(String),
    #[error("no word from the server in time")]
    Silent,
    #[error("cannot {attempt}: {why}")]
    Refused { attempt: &'static str, why: String },
    #[error("somebody else reads with our consumer, or a delivery was lost")]
    Gap,
    #[error(
        "newer messages came before those that were under way, and more than may wait for them"
    )]
    Early,
    #[error("messages that were under way have not come again, and the stream has them")]
    Owed,
    #[error("`{0}` was to read what it chooses, too, and does not get on: that is read here")]
    Elsewhere(String),
    #[error("the engine has stopped")]
    EngineStopped,
    #[error("a mistake of ours: {0}")]
    Panicked(String),
}

impl LinkError {
    /// The word that it is counted by.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect_failed",
            Self::Tls(_) => "tls",
            Self::Credentials(_) => "credentials",
            Self::Broke(_) => "broke",
            Self::Silent => "silent",
            Self::Refused { .. } => "refused",
            Self::Gap => "gap",
            Self::Early => "early",
            Self::Owed => "owed",
            Self::Elsewhere(_) => "elsewhere",
            Self::EngineStopped => "engine_stopped",
            Self::Panicked(_) => "panicked",
        }
    }

    /// For `map_err`: what was attempted.
    pub fn refused<E: std::fmt::Display>(attempt: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Refused {
            attempt,
            why: error.to_string(),
        }
    }
}

impl From<DoorClosed> for LinkError {
    fn from(DoorClosed: DoorClosed) -> Self {
        Self::EngineStopped
    }
}

/// How long a server may take to let us in, and to answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a server is asked whether it is there.
pub(super) const PING_EVERY: Duration = Duration::from_secs(5);

/// A connection that works, or did.
pub(crate) struct Connected {
    pub client: Client,
    /// Where it was let in.
    pub address: (String, u16),
    /// Why it broke.
    broke: watch::Receiver<Option<String>>,
}

impl Connected {
    /// Connects once: to the first of its addresses that lets us in.
    pub async fn new(options: &NatsOptions) -> Result<Self, LinkError> {
        let (breaks, broke) = watch::channel(None);
        let mut connect = ConnectOptions::new()
            .name("ioc")
            .connection_timeout(ANSWER_WITHIN)
            .request_timeout(Some(ANSWER_WITHIN))
            .ping_interval(PING_EVERY)
            .ignore_discovered_servers()
            .event_callback(move |event| {
                note(&breaks, &event);
                async {}
            });
        if let Some(login) = &options.login {
            connect = connect.user_and_password(login.user.clone(), login.password.clone());
        }
        if let Some(AuthToken(token)) = &options.token {
            connect = connect.token(token.clone());
        }
        if let Some(file) = &options.credentials_file {
            let with_file = connect.credentials_file(file).await;
            connect = with_file.map_err(LinkError::Credentials)?;
        }
        if let Some(tls) = &options.tls {
            let tls = tls.clone();
            let config = spawn_blocking(move || tls.config()).await;
            let config = config.map_err(|panic| LinkError::Panicked(panic.to_string()))??;
            connect = connect.require_tls(true).tls_client_config(config);
            if options.handshake_first {
                connect = connect.tls_first();
            }
        }
        if let Some(prefix) = &options.inbox_prefix {
            connect = connect.custom_inbox_prefix(prefix);
        }
        let mut addresses = options.addresses.clone();
        // Tried one after another, in an order that is another each time: so clients spread over a
        // cluster, and one of its servers that lets us in and is of no use is not the next one again.
        let order = RandomState::new();
        addresses.sort_by_cached_key(|address| order.hash_one(address));
        // What is told is what somebody can mend, whichever address was tried last.
        let mut failed = (0, LinkError::Silent);
        for address in addresses {
            let connecting = connect.clone().connect(url_of(&address));
            // The library tries one after another what a name stands for, each for as long.
            let addresses = timeout(ANSWER_WITHIN, dial::addresses_of(&address)).await;
            let within = ANSWER_WITHIN * addresses.unwrap_or(1) as u32;
            match timeout(within, connecting).await {
                Ok(Ok(client)) => {
                    return Ok(Self {
                        client,
                        address,
                        broke,
                    });
                }
                Ok(Err(error)) => {
                    let refused = matches!(
                        error.kind(),
                        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation
                    );
                    let failure = match tls::behind(&error) {
                        Some(error) => (3, LinkError::Tls(error)),
                        None => (1 + u8::from(refused), LinkError::Connect(error.to_string())),
                    };
                    if failure.0 > failed.0 {
                        failed = failure;
                    }
                }
                Err(_) => {}
            }
        }
        Err(failed.1)
    }

    /// Whether it has broken.
    pub fn is_broken(&self) -> bool {
        self.broke.borrow().is_some()
    }

    /// Publishes what messages want said back. What the client has no room for is dropped: it is
    /// asked for again, and nobody waits here.
    pub(in crate::brokers) fn reply(&self, epoch: &mut Epoch) {
        while let Some(reply) = epoch.next_reply() {
            let subject = message::subject_of(&reply);
            let sent = subject.and_then(|subject| {
                let publishing = self.client.publish(subject, reply.payload);
                publishing.now_or_never()
            });
            if !matches!(sent, Some(Ok(()))) {
                telemetry::replies_dropped(1);
            }
        }
    }

    /// Waits until it breaks.
    pub async fn broken(&mut self) -> LinkError {
        match self.broke.wait_for(Option::is_some).await {
            Ok(why) => LinkError::Broke(why.clone().unwrap_or_default()),
            Err(_) => LinkError::Broke("the client ended".to_owned()),
        }
    }
}

/// An address as the library reads it.
fn url_of((host, port): &(String, u16)) -> String {
    match host.contains(':') {
        true => format!("nats://[{host}]:{port}"),
        false => format!("nats://{host}:{port}"),
    }
}

fn note(breaks: &watch::Sender<Option<String>>, event: &Event) {
    match event {
        // Nothing is subscribed to on it but answers.
        Event::Connected | Event::SlowConsumer(_) => {}
        Event::Disconnected | Event::LameDuckMode | Event::Draining | Event::Closed => {
            breaks.send_replace(Some(event.to_string()));
        }
        Event::ServerError(_) | Event::ClientError(_) => {
            breaks.send_replace(Some(event.to_string()));
        }
    }
}
