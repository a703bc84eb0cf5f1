//! Who is let in: CONNECT against the rules for names and the configured users.
//!
//! Arrives: a decoded CONNECT. Leaves: a [`Client`] with what was agreed with it, or why it is
//! refused. Promise: the password comparison takes as long for a wrong password as for the right
//! one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;

use super::codec::{self, Connect, Limits, Refusal, Version};
use super::registry::{ClientKey, Successor};
use super::wills::{Will, WillTooLong};
use crate::options::{Credentials, MqttOptions};
use crate::rights::Rights;

/// A client that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// What it is known by; a second connection with the same key takes over.
    pub key: ClientKey,
    /// What it speaks.
    pub version: Version,
    /// Whether it is a broker that speaks for others.
    pub is_bridge: bool,
    /// How long it may be silent: one and a half times its keep-alive (section 3.1.2.10).
    pub silence_max: Option<Duration>,
    /// What it leaves to be published.
    pub will: Option<Will>,
    /// How it takes over from an older connection of it.
    pub as_successor: Successor,
    /// What it may say.
    pub rights: Rights,
    /// How many messages of quality 1 may be on their way to it.
    pub receive_max: u16,
    /// The longest packet that it takes.
    pub packet_bytes_max: usize,
    /// Whether it wants to be told why a message was not taken.
    pub wants_problems: bool,
    /// What it must be told about itself.
    told: Told,
}

/// In what a client's terms are not those that it asked for (version 5 only).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    has_assigned_id: bool,
    keep_alive_s: Option<u16>,
    ends_session: bool,
}

/// The longest client identifier. The standard asks for 23 (section 3.1.3.1).
const CLIENT_ID_BYTES_MAX: usize = 256;

/// The longest keep-alive of a client that can be told another (5.0: section 3.2.2.3.14): a
/// connection whose other end has vanished holds its place no longer than one and a half times so
/// many seconds.
const KEEP_ALIVE_S_MAX: u16 = 3600;

/// Lets a client in, or says why not.
pub(super) fn admit(connect: &Connect<'_>, credentials: &Credentials) -> Result<Client, Refusal> {
    let version = connect.version;
    if connect.properties.auth_method.is_some() {
        return Err(Refusal::AuthMethod);
    }
    let user = user(connect, credentials)?;
    let rights = match (credentials, &user) {
        (Credentials::Users(users), Some(user)) => users.rights(user).cloned(),
        (Credentials::Users(_) | Credentials::Anonymous, _) => Some(Rights::ALL),
    };
    let rights = rights.ok_or(Refusal::NotAuthorized)?;
    let has_assigned_id = connect.client_id.is_empty();
    let client_id = match connect.client_id {
        "" if connect.clean_session || version == Version::V5 => made_up_id(),
        "" => return Err(Refusal::ClientId),
        id if id.len() > CLIENT_ID_BYTES_MAX || id.chars().any(char::is_control) => {
            return Err(Refusal::ClientId);
        }
        id => id.into(),
    };
    let keep_alive_s = keep_alive_s(connect);
    let session_expiry_s = connect.properties.session_expiry_s;
    let will = connect.will.as_ref();
    let will = will
        .map(|will| Will::new(will, session_expiry_s))
        .transpose();
    let will = will.map_err(|WillTooLong| Refusal::WillTooLong)?;
    Ok(Client {
        key: ClientKey { user, client_id },
        version,
        is_bridge: connect.is_bridge,
        silence_max: match keep_alive_s {
            0 => None,
            seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
        },
        will,
        as_successor: match connect.clean_session {
            true => Successor::BeginsAnew,
            false => Successor::GoesOn,
        },
        rights,
        receive_max: connect.properties.receive_max,
        packet_bytes_max: connect.properties.packet_bytes_max as usize,
        wants_problems: connect.properties.wants_problems,
        told: Told {
            has_assigned_id,
            keep_alive_s: (keep_alive_s != connect.keep_alive_s).then_some(keep_alive_s),
            ends_session: connect.properties.session_expiry_s > 0,
        },
    })
}

impl Client {
    /// The answer to its CONNECT; a refusal if it takes no packets as long as that.
    pub fn connack(&self, options: &MqttOptions) -> Result<BytesMut, Refusal> {
        let limits = Limits {
            receive_max: receive_max(options),
            packet_bytes_max: u32::try_from(options.packet_bytes_max).unwrap_or(u32::MAX),
            topic_alias_max: options.topic_alias_max,
            assigned_client_id: self.told.has_assigned_id.then_some(&*self.key.client_id),
            keep_alive_s: self.told.keep_alive_s,
            ends_session: self.told.ends_session,
        };
        let mut connack = BytesMut::new();
        codec::put_connack(&mut connack, self.version, &limits);
        if connack.len() > self.packet_bytes_max {
            return Err(Refusal::AnswerTooLong);
        }
        Ok(connack)
    }
}

/// How many messages of quality 1 and 2 a client of version 5 may send and not have acknowledged
/// (section 3.2.2.3.3).
pub(super) fn receive_max(options: &MqttOptions) -> u16 {
    u16::try_from(options.inflight_max.max(1)).unwrap_or(u16::MAX)
}

/// The user that the client proved to be; `None` where nobody needs to.
fn user(connect: &Connect<'_>, credentials: &Credentials) -> Result<Option<Box<str>>, Refusal> {
    let Credentials::Users(users) = credentials else {
        return Ok(None);
    };
    let user = connect.user.ok_or(Refusal::NotAuthorized)?;
    if users.accept(user, connect.password.unwrap_or_default()) {
        Ok(Some(user.into()))
    } else {
        Err(Refusal::Credentials)
    }
}

/// The keep-alive that holds: the client's own, unless it can be told to use a shorter one.
fn keep_alive_s(connect: &Connect<'_>) -> u16 {
    match (connect.version, connect.keep_alive_s) {
        (Version::V311, seconds) => seconds,
        (Version::V5, 0) => KEEP_ALIVE_S_MAX,
        (Version::V5, seconds) => seconds.min(KEEP_ALIVE_S_MAX),
    }
}

/// An identifier for a client that has none (section 3.1.3.1). A client of version 5 is told and
/// may come back with it, also after a restart of ours: so they begin with a number that no two
/// processes share.
fn made_up_id() -> Box<str> {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("ioc-{:016x}-{next}", *PROCESS).into()
}

#[cfg(test)]
mod tests {
    use super::super::codec::ConnectProperties;
    use super::*;
    use crate::options::Users;

    fn connect(version: Version, client_id: &str) -> Connect<'_> {
        Connect {
            version,
            is_bridge: false,
            client_id,
            clean_session: true,
            keep_alive_s: 60,
            will: None,
            user: None,
            password: None,
            properties: ConnectProperties::default(),
        }
    }

    const BOTH: [Version; 2] = [Version::V311, Version::V5];

    fn admitted(connect: Connect<'_>) -> Result<Client, Refusal> {
        admit(&connect, &Credentials::Anonymous)
    }

    #[test]
    fn a_client_without_a_name_gets_one_if_it_wants_no_session() {
        for version in BOTH {
            let first = admitted(connect(version, "")).unwrap();
            assert_ne!(first.key, admitted(connect(version, "")).unwrap().key);
            let again = admitted(connect(version, &first.key.client_id)).unwrap();
            assert_eq!(again.key, first.key, "it may come back with it");
        }
        let lasting = |version| Connect {
            clean_session: false,
            ..connect(version, "")
        };
        assert_eq!(admitted(lasting(Version::V311)), Err(Refusal::ClientId));
        assert!(admitted(lasting(Version::V5)).is_ok(), "it will be told");
    }

    #[test]
    fn a_name_is_printable_and_bounded() {
        for version in BOTH {
            let is_admitted = |id: &str| admitted(connect(version, id)).is_ok();
            assert!(is_admitted("pump-house/3 (spare) ü"));
            assert!(is_admitted(&"c".repeat(256)));
            assert!(!is_admitted(&"c".repeat(257)));
            assert!(!is_admitted("a\nb"));
        }
    }

    #[test]
    fn users_prove_who_they_are() {
        let users = Credentials::Users(Users::new([("ann", "s3cret")]));
        for version in BOTH {
            let as_user = |user, password| {
                let connect = Connect {
                    user,
                    password,
                    ..connect(version, "c")
                };
                admit(&connect, &users).map(|client| client.key.user)
            };
            assert_eq!(
                as_user(Some("ann"), Some(b"s3cret")),
                Ok(Some("ann".into()))
            );
            let wrong = Err(Refusal::Credentials);
            assert_eq!(as_user(Some("ann"), Some(b"secret")), wrong);
            assert_eq!(as_user(Some("ann"), None), wrong);
            assert_eq!(as_user(Some("bob"), Some(b"s3cret")), wrong);
            assert_eq!(as_user(None, None), Err(Refusal::NotAuthorized));
        }
    }

    #[test]
    fn silence_may_last_one_and_a_half_keep_alives() {
        let silence = |version, keep_alive_s| {
            let connect = Connect {
                keep_alive_s,
                ..connect(version, "c")
            };
            admitted(connect).unwrap().silence_max
        };
        assert_eq!(silence(Version::V311, 0), None);
        for version in BOTH {
            assert_eq!(silence(version, 5), Some(Duration::from_millis(7500)));
        }
        let longest = Some(Duration::from_secs(5400));
        assert_eq!(silence(Version::V5, 0), longest);
        assert_eq!(silence(Version::V5, u16::MAX), longest);
    }

    #[test]
    fn a_will_is_kept_whatever_its_quality() {
        let with_will = |version, message: &[u8]| {
            let will = codec::Will {
                topic: "t",
                message,
                qos: 2,
                retain: true,
                delay_s: 0,
                content_type: None,
                event_properties: b"",
            };
            let connect = Connect {
                will: Some(will),
                ..connect(version, "c")
            };
            admitted(connect).map(|client| client.will.is_some())
        };
        for version in BOTH {
            assert_eq!(with_will(version, b"gone"), Ok(true));
            let long = vec![b'x'; Will::BYTES_MAX];
            assert_eq!(with_will(version, &long), Err(Refusal::WillTooLong));
        }
    }

    #[test]
    fn there_is_no_way_to_log_in_but_a_password() {
        let with_method = Connect {
            properties: ConnectProperties {
                auth_method: Some("SCRAM-SHA-1"),
                ..ConnectProperties::default()
            },
            ..connect(Version::V5, "c")
        };
        assert_eq!(admitted(with_method), Err(Refusal::AuthMethod));
    }

    #[test]
    fn a_client_that_cannot_take_the_answer_is_refused() {
        let options = MqttOptions::default();
        let connack = |packet_bytes_max| {
            let connect = Connect {
                properties: ConnectProperties {
                    packet_bytes_max,
                    ..ConnectProperties::default()
                },
                ..connect(Version::V5, "c")
            };
            admitted(connect).unwrap().connack(&options)
        };
        let length = connack(u32::MAX).unwrap().len() as u32;
        assert!(connack(length).is_ok());
        assert_eq!(connack(length - 1), Err(Refusal::AnswerTooLong));
    }
}
