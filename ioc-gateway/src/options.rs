//! The bounds and settings of the adapters, checked by whoever makes them.
//!
//! Every bound says what happens when it is reached.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::rights::{Devices, Rights, Sensors};

/// The MQTT listener's settings.
#[derive(Debug, Clone)]
pub struct MqttOptions {
    /// Where to listen. Beyond loopback only with [`Credentials::Users`].
    pub listen: SocketAddr,
    /// Who may connect.
    pub credentials: Credentials,
    /// How many connections at once; more are refused with CONNACK 3 (server unavailable), in
    /// version 5 with 0x89 (server busy).
    pub connections_max: usize,
    /// The longest packet. Clients of version 5 are told; a longer packet of theirs ends the
    /// connection (0x95). Of version 3.1.1, a longer message becomes a dead letter and is
    /// acknowledged, for the client would send it again for ever; other packets end it.
    pub packet_bytes_max: usize,
    /// How many inputs of one connection may be kept and not yet durable; then it is not read until
    /// some are. What was folded away is not kept. Clients of version 5 are told (receive maximum, at most 65,535); one
    /// that sends more messages of quality 1 is disconnected (0x93).
    pub inflight_max: usize,
    /// The greatest topic alias of a client of version 5, which is told; one beyond it ends the
    /// connection (0x94). Of each topic, 512 bytes are kept, of which mappings read 508.
    pub topic_alias_max: u16,
    /// How many bytes one connection may have decoded and not yet handed over, because the door
    /// is full; then it is not read. One more socket read may come on top.
    pub decoded_bytes_max: usize,
    /// The same while its telemetry waits and is folded: only what is several readings of each
    /// sensor can be.
    pub folded_bytes_max: usize,
    /// How many bytes all connections together may hold: received, decoded and not handed over,
    /// not written, waiting in queues, and wills. Beyond it those that hold most are closed (0x97),
    /// as many as it takes.
    pub held_bytes_max: usize,
    /// How many bytes may wait to be written to one connection; then it is not read, and
    /// decisions stay in its queue.
    pub unwritten_bytes_max: usize,
    /// How many decisions may wait for one subscriber; more are dropped for it, and counted.
    pub decisions_max: usize,
    /// How many messages of quality 1 may be on their way to one subscriber and not acknowledged,
    /// unless a client of version 5 takes fewer; then further ones wait in its queue.
    pub unacknowledged_max: u16,
    /// How long a connection may take to send CONNECT; then it is closed.
    pub connect_wait_max: Duration,
    /// How long a connection may wait for the door; then it is closed as `overloaded`, and its
    /// client sends again what was not acknowledged.
    pub overload_wait_max: Duration,
    /// How long a client may take nothing of what is written to it; then it is closed.
    pub write_wait_max: Duration,
    /// How long a stop waits for what was handed over to become durable and be acknowledged.
    pub drain_wait_max: Duration,
}

impl Default for MqttOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            credentials: Credentials::Anonymous,
            connections_max: 10_000,
            packet_bytes_max: 256 * 1024,
            inflight_max: 10_000,
            topic_alias_max: 64,
            decoded_bytes_max: 64 * 1024,
            folded_bytes_max: 256 * 1024,
            held_bytes_max: 256 * 1024 * 1024,
            unwritten_bytes_max: 256 * 1024,
            decisions_max: 1024,
            unacknowledged_max: 256,
            connect_wait_max: Duration::from_secs(10),
            overload_wait_max: Duration::from_secs(30),
            write_wait_max: Duration::from_secs(30),
            drain_wait_max: Duration::from_secs(5),
        }
    }
}

/// The HTTP intake's settings.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// The longest request that is taken whole, also when it is unpacked; a longer one is answered
    /// 413. One of lines may have any length.
    pub request_bytes_max: usize,
    /// How many readings a request that is taken whole may bring; more are answered 413.
    pub readings_max: usize,
    /// How many requests that are taken whole may be served at once; more are answered 503 with
    /// `Retry-After`.
    pub requests_max: usize,
    /// How many that are taken line by line; more are answered likewise.
    pub streams_max: usize,
    /// How many of the former one key may have served at once; more are answered likewise.
    pub key_requests_max: usize,
    /// How many of the latter.
    pub key_streams_max: usize,
    /// How long a request may take to arrive, and how long one of lines may be silent; then it is
    /// answered 408.
    pub request_wait_max: Duration,
    /// How long a request may wait for the door; then it is answered 503 with `Retry-After`.
    pub overload_wait_max: Duration,
    /// How long one of lines may; its sender waits as long.
    pub stream_wait_max: Duration,
    /// How long a request may wait for its readings to become durable; then it is answered 503.
    pub durable_wait_max: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            request_bytes_max: 8 << 20,
            readings_max: 50_000,
            requests_max: 32,
            streams_max: 64,
            key_requests_max: 8,
            key_streams_max: 16,
            request_wait_max: Duration::from_secs(30),
            overload_wait_max: Duration::from_secs(5),
            stream_wait_max: Duration::from_secs(30),
            durable_wait_max: Duration::from_secs(30),
        }
    }
}

/// Who may connect to the MQTT listener.
#[derive(Clone)]
pub enum Credentials {
    /// Anyone; names and passwords are not looked at. On loopback only.
    Anonymous,
    /// These users, with their passwords.
    Users(Users),
}

/// Users with the hashes of their passwords: the passwords themselves are not kept.
#[derive(Clone)]
pub struct Users(Arc<HashMap<Box<str>, User>>);

struct User {
    password: blake3::Hash,
    rights: Rights,
}

impl Users {
    /// The users of these names and passwords, each of whom may publish every sensor, and hear the
    /// commands of the device that is called as he is.
    pub fn new<'a>(users: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let with_own = |(name, password)| {
            let rights = Rights {
                sensors: Sensors::Every,
                devices: Devices::these([name]),
            };
            (name, password, rights)
        };
        Self::with_rights(users.into_iter().map(with_own))
    }

    /// The users of these names and passwords, with what they may say.
    pub fn with_rights<'a>(users: impl IntoIterator<Item = (&'a str, &'a str, Rights)>) -> Self {
        let user = |(name, password, rights): (&str, &str, _)| {
            let password = hash(password.as_bytes());
            (name.into(), User { password, rights })
        };
        Self(Arc::new(users.into_iter().map(user).collect()))
    }

    /// Whether this is the user's password. Takes as long for a wrong one as for the right one,
    /// and as long for a user who does not exist.
    pub fn accept(&self, user: &str, password: &[u8]) -> bool {
        let known = self.0.get(user).map(|user| user.password);
        let expected = known.unwrap_or_else(|| hash(b""));
        let same = hash(password).as_bytes().ct_eq(expected.as_bytes());
        known.is_some() & bool::from(same)
    }

    /// What a user may say.
    pub fn rights(&self, user: &str) -> Option<&Rights> {
        self.0.get(user).map(|user| &user.rights)
    }
}

/// Not a way to store passwords, but to compare them without telling their length.
fn hash(password: &[u8]) -> blake3::Hash {
    blake3::hash(password)
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.0.len())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Users(users) => users.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_needs_his_own_password() {
        let users = Users::new([("pump-house", "s3cret"), ("open", "")]);
        assert!(users.accept("pump-house", b"s3cret"));
        assert!(users.accept("open", b""));
        assert!(!users.accept("pump-house", b"s3cret "));
        assert!(!users.accept("pump-house", b""));
        assert!(!users.accept("nobody", b"s3cret"));
        assert!(
            !users.accept("nobody", b""),
            "an unknown user has no empty password"
        );
    }

    #[test]
    fn a_user_speaks_for_its_own_device_unless_others_are_named() {
        let rights = Rights {
            sensors: Sensors::Every,
            devices: Devices::these(["gate-7", "wl-04*"]),
        };
        let users = Users::with_rights([("north", "s3cret", rights)]);
        let devices = &users.rights("north").unwrap().devices;
        assert!(devices.have("gate-7") && devices.have("wl-0412") && devices.have("wl-04"));
        assert!(!devices.have("gate-70") && !devices.have("north") && !devices.have("wl-0"));
        assert_eq!(users.rights("nobody"), None);
        let users = Users::new([("gate-7", "s3cret")]);
        let own = &users.rights("gate-7").unwrap().devices;
        assert!(own.have("gate-7") && !own.have("gate-8"));
    }

    #[test]
    fn passwords_are_never_printed() {
        let credentials = Credentials::Users(Users::new([("pump-house", "s3cret")]));
        assert_eq!(format!("{credentials:?}"), "1 users");
    }
}
