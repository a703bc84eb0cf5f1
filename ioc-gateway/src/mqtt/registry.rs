//! Which client is connected where, so that a second connection of it takes over.
//!
//! Bound: one entry for each connection, of which the listener has a bound.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;
use tokio::sync::Notify;

use super::transport::Peer;
use crate::places::Seated;

/// What a client is known by. Users do not share identifiers: nobody is thrown out by somebody
/// else's client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub user: Option<Box<str>>,
    pub client_id: Box<str>,
}

/// Whose a client is: whoever has one may make up any number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    User(Box<str>),
    /// Of nobody that is known: from there; `None` from behind our own HTTP.
    From(Option<IpAddr>),
}

impl Whose {
    /// Whose this client is that comes from there.
    pub fn of(key: &ClientKey, peer: Peer) -> Self {
        match (&key.user, peer) {
            (Some(user), _) => Self::User(user.clone()),
            (None, Peer::Socket(address)) => Self::From(Some(network_of(address.ip()))),
            (None, Peer::WebSocket) => Self::From(None),
        }
    }
}

/// The address as one host has it: of version 6 a host has 2^64 of them (RFC 4291 section 2.5.4).
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        address => address,
    }
}

/// How the connection begins that takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Successor {
    /// Without asking for a clean start: it goes on with the session, as far as there is one.
    GoesOn,
    /// With a clean start.
    BeginsAnew,
}

/// All connected clients.
#[derive(Debug, Default)]
pub(super) struct Registry(DashMap<ClientKey, Arc<Place>>);

/// Where a connection hears that it is over.
#[derive(Debug, Default)]
struct Place {
    taken_over: Notify,
    goes_on: AtomicBool,
    /// Its place among all connections.
    seated: Seated,
}

impl Registry {
    /// Which place among all connections a client has, if it is connected.
    pub fn seated(&self, key: &ClientKey) -> Option<Seated> {
        self.0.get(key).map(|place| place.seated.clone())
    }

    /// Enters a client; an older connection of it is told to end.
    pub fn enter(
        self: &Arc<Self>,
        key: ClientKey,
        as_successor: Successor,
        seated: Seated,
    ) -> Entry {
        let place = Arc::new(Place {
            seated,
            ..Place::default()
        });
        let older = self.0.insert(key.clone(), Arc::clone(&place));
        if let Some(older) = older {
            let goes_on = as_successor == Successor::GoesOn;
            older.goes_on.store(goes_on, Ordering::Release);
            older.taken_over.notify_one();
        }
        Entry {
            registry: Arc::clone(self),
            key,
            place,
        }
    }
}

/// A connection's place in the registry, left when dropped.
#[derive(Debug)]
pub(super) struct Entry {
    registry: Arc<Registry>,
    key: ClientKey,
    place: Arc<Place>,
}

impl Entry {
    /// Waits until a newer connection of the client has taken over; says how that one began.
    pub async fn taken_over(&self) -> Successor {
        self.place.taken_over.notified().await;
        // So that who asks again hears it again.
        self.place.taken_over.notify_one();
        match self.place.goes_on.load(Ordering::Acquire) {
            true => Successor::GoesOn,
            false => Successor::BeginsAnew,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let is_own = |_: &ClientKey, there: &Arc<Place>| Arc::ptr_eq(there, &self.place);
        self.registry.0.remove_if(&self.key, is_own);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn told(entry: &Entry) -> Option<Successor> {
        let future = pin!(entry.taken_over());
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(successor) => Some(successor),
            Poll::Pending => None,
        }
    }

    #[test]
    fn p7_whose_a_client_is_is_known_whatever_it_calls_itself() {
        let whose = |user: Option<&str>, client_id: &str, address: &str| {
            let key = ClientKey {
                user: user.map(Into::into),
                client_id: client_id.into(),
            };
            Whose::of(&key, Peer::Socket(address.parse().unwrap()))
        };
        let ann = whose(Some("ann"), "a", "10.0.0.1:7");
        assert_eq!(ann, whose(Some("ann"), "b", "10.0.0.2:8"));
        assert_ne!(ann, whose(Some("ben"), "a", "10.0.0.1:7"));
        let stranger = whose(None, "a", "10.0.0.1:7");
        assert_eq!(stranger, whose(None, "b", "[::ffff:10.0.0.1]:8"));
        assert_ne!(stranger, whose(None, "a", "10.0.0.2:7"));
        let six = whose(None, "a", "[2001:db8:1:2::3]:7");
        assert_eq!(six, whose(None, "b", "[2001:db8:1:2:ffff::9]:8"));
        assert_ne!(six, whose(None, "a", "[2001:db8:1:3::3]:7"));
    }

    #[test]
    fn the_newest_connection_of_a_client_stays() {
        let registry = Arc::<Registry>::default();
        let key = |user: Option<&str>| ClientKey {
            user: user.map(Into::into),
            client_id: "c".into(),
        };
        let enter = |user, successor| registry.enter(key(user), successor, Seated::default());
        let first = enter(None, Successor::BeginsAnew);
        let other = enter(Some("ann"), Successor::BeginsAnew);
        let second = enter(None, Successor::GoesOn);
        assert_eq!(told(&first), Some(Successor::GoesOn));
        assert_eq!(told(&first), Some(Successor::GoesOn), "also if asked again");
        assert_eq!((told(&second), told(&other)), (None, None));
        drop(first);
        assert_eq!(
            registry.0.len(),
            2,
            "the older one does not remove the newer"
        );
        drop((second, other));
        assert_eq!(registry.0.len(), 0);
    }
}
