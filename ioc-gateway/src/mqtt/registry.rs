//! Which client is connected where, so that a second connection of it takes over.
//!
//! Bound: one entry for each connection, of which the listener has a bound.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Notify;

/// What a client is known by. Users do not share identifiers: nobody is thrown out by somebody
/// else's client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub user: Option<Box<str>>,
    pub client_id: Box<str>,
}

/// All connected clients.
#[derive(Debug, Default)]
pub(super) struct Registry(DashMap<ClientKey, Arc<Notify>>);

impl Registry {
    /// Enters a client; an older connection of it is told to end.
    pub fn enter(self: &Arc<Self>, key: ClientKey) -> Entry {
        let taken_over = Arc::new(Notify::new());
        let older = self.0.insert(key.clone(), Arc::clone(&taken_over));
        if let Some(older) = older {
            older.notify_one();
        }
        Entry {
            registry: Arc::clone(self),
            key,
            taken_over,
        }
    }
}

/// A connection's place in the registry, left when dropped.
#[derive(Debug)]
pub(super) struct Entry {
    registry: Arc<Registry>,
    key: ClientKey,
    taken_over: Arc<Notify>,
}

impl Entry {
    /// Waits until a newer connection of the client has taken over.
    pub async fn taken_over(&self) {
        self.taken_over.notified().await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let is_own = |_: &ClientKey, there: &Arc<Notify>| Arc::ptr_eq(there, &self.taken_over);
        self.registry.0.remove_if(&self.key, is_own);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_told(entry: &Entry) -> bool {
        let future = pin!(entry.taken_over());
        future
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn the_newest_connection_of_a_client_stays() {
        let registry = Arc::<Registry>::default();
        let key = |user: Option<&str>| ClientKey {
            user: user.map(Into::into),
            client_id: "c".into(),
        };
        let (first, other) = (registry.enter(key(None)), registry.enter(key(Some("ann"))));
        let second = registry.enter(key(None));
        assert!(is_told(&first) && !is_told(&second) && !is_told(&other));
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
