//! Who is let in: CONNECT against the rules for names and the configured users.
//!
//! Arrives: a decoded CONNECT. Leaves: a [`Client`], or the code to refuse it with. Promise: the
//! password comparison takes as long for a wrong password as for the right one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::codec::{Connect, ConnectCode};
use super::registry::ClientKey;
use crate::options::Credentials;

/// A client that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// What it is known by; a second connection with the same key takes over.
    pub key: ClientKey,
    /// How long it may be silent: one and a half times its keep-alive (section 3.1.2.10).
    pub silence_max: Option<Duration>,
    /// Whether it left a will.
    pub has_will: bool,
}

/// The longest client identifier. The standard asks for 23 (section 3.1.3.1).
const CLIENT_ID_BYTES_MAX: usize = 256;

/// Lets a client in, or says why not.
pub(super) fn admit(
    connect: &Connect<'_>,
    credentials: &Credentials,
) -> Result<Client, ConnectCode> {
    let user = user(connect, credentials)?;
    let client_id = match connect.client_id {
        "" if connect.clean_session => made_up_id(),
        "" => return Err(ConnectCode::IdentifierRejected),
        id if id.len() > CLIENT_ID_BYTES_MAX || id.chars().any(char::is_control) => {
            return Err(ConnectCode::IdentifierRejected);
        }
        id => id.into(),
    };
    Ok(Client {
        key: ClientKey { user, client_id },
        silence_max: match connect.keep_alive_s {
            0 => None,
            seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
        },
        has_will: connect.will.is_some(),
    })
}

/// The user that the client proved to be; `None` where nobody needs to.
fn user(connect: &Connect<'_>, credentials: &Credentials) -> Result<Option<Box<str>>, ConnectCode> {
    let Credentials::Users(users) = credentials else {
        return Ok(None);
    };
    let user = connect.user.ok_or(ConnectCode::NotAuthorized)?;
    if users.accept(user, connect.password.unwrap_or_default()) {
        Ok(Some(user.into()))
    } else {
        Err(ConnectCode::BadUserNameOrPassword)
    }
}

/// An identifier for a client that has none (section 3.1.3.1), unlike any that a client may
/// choose by itself: those have no control characters.
fn made_up_id() -> Box<str> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("anonymous\u{1}{}", NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Users;

    fn connect(client_id: &str) -> Connect<'_> {
        Connect {
            client_id,
            clean_session: true,
            keep_alive_s: 60,
            will: None,
            user: None,
            password: None,
        }
    }

    #[test]
    fn a_client_without_a_name_gets_one_if_it_wants_no_session() {
        let admit = |connect| admit(&connect, &Credentials::Anonymous);
        let first = admit(connect("")).unwrap();
        assert_ne!(first.key, admit(connect("")).unwrap().key);
        let lasting = Connect {
            clean_session: false,
            ..connect("")
        };
        assert_eq!(admit(lasting), Err(ConnectCode::IdentifierRejected));
    }

    #[test]
    fn a_name_is_printable_and_bounded() {
        let admit = |id: &str| admit(&connect(id), &Credentials::Anonymous).is_ok();
        assert!(admit("pump-house/3 (spare) ü"));
        assert!(admit(&"c".repeat(256)));
        assert!(!admit(&"c".repeat(257)));
        assert!(!admit("a\nb"));
    }

    #[test]
    fn users_prove_who_they_are() {
        let users = Credentials::Users(Users::new([("ann", "s3cret")]));
        let as_user = |user, password| {
            let connect = Connect {
                user,
                password,
                ..connect("c")
            };
            admit(&connect, &users).map(|client| client.key.user)
        };
        assert_eq!(
            as_user(Some("ann"), Some(b"s3cret")),
            Ok(Some("ann".into()))
        );
        let wrong = Err(ConnectCode::BadUserNameOrPassword);
        assert_eq!(as_user(Some("ann"), Some(b"secret")), wrong);
        assert_eq!(as_user(Some("ann"), None), wrong);
        assert_eq!(as_user(Some("bob"), Some(b"s3cret")), wrong);
        assert_eq!(as_user(None, None), Err(ConnectCode::NotAuthorized));
    }

    #[test]
    fn silence_may_last_one_and_a_half_keep_alives() {
        let silence = |keep_alive_s| {
            let connect = Connect {
                keep_alive_s,
                ..connect("c")
            };
            admit(&connect, &Credentials::Anonymous)
                .unwrap()
                .silence_max
        };
        assert_eq!(silence(0), None);
        assert_eq!(silence(5), Some(Duration::from_millis(7500)));
    }
}
