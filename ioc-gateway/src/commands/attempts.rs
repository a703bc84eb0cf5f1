//! What became of each command on one way, and when it is to be tried again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ioc_core::decision::{CommandState, EffectClass};
use ioc_core::id::CommandKey;
use tokio::time::{Duration, Instant};

/// After how long a command that nobody is known to have taken is sent again.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// After how long one is sent again that a broker or a stream elsewhere has: it may have come for a
/// device that was there for a moment, be lost on the way to one, or be recorded only.
pub(super) const TAKEN_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// After how long one is sent again that was lost on the way.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(1);

/// The attempts on one way. Forgotten with the commands that are no longer to be sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempts(Arc<Mutex<BTreeMap<CommandKey, Attempt>>>);

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is on its way, or has been taken, or may not be made again.
    Made,
    /// It is to be made again from then on.
    Again(Instant),
}

impl Attempts {
    /// Those that are to be sent on this way now; and when the next is, if nothing changes.
    pub fn due(
        &self,
        to_send: Vec<Arc<CommandState>>,
        now: Instant,
    ) -> (Vec<Arc<CommandState>>, Option<Instant>) {
        let mut next = None;
        let mut due = to_send;
        self.with(|attempts| {
            attempts.retain(|key, _| due.iter().any(|command| command.key == *key));
            due.retain(|command| match attempts.get(&command.key) {
                None => true,
                Some(Attempt::Made) => false,
                Some(Attempt::Again(at)) if *at <= now => true,
                Some(Attempt::Again(at)) => {
                    next = next.into_iter().chain([*at]).min();
                    false
                }
            });
        });
        (due, next)
    }

    /// Notes how an attempt stands. What may be sent once only is never sent again.
    pub fn note(&self, command: &CommandState, attempt: Attempt) {
        let attempt = match command.effect {
            EffectClass::Idempotent => attempt,
            EffectClass::AtMostOnce => Attempt::Made,
        };
        self.with(|attempts| attempts.insert(command.key, attempt));
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<CommandKey, Attempt>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::command;
    use super::*;

    #[test]
    fn a_command_is_tried_again_in_its_time_and_one_that_may_be_sent_once_is_not() {
        let attempts = Attempts::default();
        let gate = Arc::new(command("gate"));
        let siren = Arc::new(CommandState {
            effect: EffectClass::AtMostOnce,
            ..command("siren")
        });
        let both = || vec![Arc::clone(&gate), Arc::clone(&siren)];
        let now = Instant::now();
        assert_eq!(attempts.due(both(), now).0.len(), 2);
        let later = now + AGAIN_AFTER;
        attempts.note(&gate, Attempt::Again(later));
        attempts.note(&siren, Attempt::Again(later));
        assert_eq!(attempts.due(both(), now), (vec![], Some(later)));
        assert_eq!(attempts.due(both(), later), (vec![Arc::clone(&gate)], None));
        attempts.note(&gate, Attempt::Made);
        assert_eq!(attempts.due(both(), later), (vec![], None));
        attempts.due(vec![Arc::clone(&siren)], later);
        assert_eq!(
            attempts.due(both(), later).0.len(),
            1,
            "p5: forgotten with its command"
        );
    }
}
