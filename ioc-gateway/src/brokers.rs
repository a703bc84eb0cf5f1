//! Brokers elsewhere: readings that a city already publishes to a broker of its own.
//!
//! Arrives: messages of brokers that we connect to. Leaves: inputs through the door, like those of
//! our own listener, by the same decoders. Promise: a message is acknowledged to its broker only
//! when it is durable here, and on the connection that brought it: what the broker keeps is judged
//! once, however often a link breaks. A link that is down is tried again for ever, and says so.
//! Next: `brokers/mqtt.rs`, `brokers/nats.rs`; `brokers/epoch.rs`, what one connection owes;
//! `brokers/dial.rs`, `brokers/tls.rs`.

pub mod links;
mod backoff;
mod dial;
mod epoch;
pub mod tls;
pub mod mqtt;
pub mod nats;

use std::time::Duration;

use tokio::sync::watch;

pub use links::{LinkState, Links};
pub use tls::{HandshakeError, Identity, TlsError, TlsOptions};

/// The user and the password that a broker asks for. Shown without the latter.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Login");
        shown.field("user", &self.user).finish_non_exhaustive()
    }
}

/// The word that a server asks for in place of a user. Not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthToken(pub String);

impl std::fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthToken").finish_non_exhaustive()
    }
}

/// How many bytes of one connection may be decoded and not yet handed over, because the door is
/// full; then it is not read, and its broker keeps the rest.
const DECODED_BYTES_MAX: usize = 1 << 20;

/// The shortest and the longest pause before the next attempt at a broker that is not there.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(15)];

/// Waits until told to stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever would tell is gone, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
