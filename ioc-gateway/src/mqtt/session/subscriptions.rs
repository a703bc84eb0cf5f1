//! What a client subscribes to, and what it is answered.
//!
//! Arrives: SUBSCRIBE and UNSUBSCRIBE. Leaves: filters of the connection's subscription, and an
//! answer for each of them, no longer than the client takes.

use super::Session;
use crate::mqtt::close::CloseReason;
use crate::mqtt::codec::{self, Granted, Removed, Subscribe};
use crate::mqtt::decisions::Filter;

impl Session {
    pub(super) fn subscribe(&mut self, subscribe: Subscribe<'_>) -> Result<(), CloseReason> {
        let granted: Vec<_> = subscribe
            .filters()
            .map(|filter| match subscribe.has_subscription_id {
                true => Granted::SubscriptionId,
                false => self.grant(filter),
            })
            .collect();
        let (version, before) = (self.takes.version, self.out.len());
        let granted = granted.into_iter();
        codec::put_suback(&mut self.out, version, subscribe.packet_id, granted);
        self.check_answer(before)
    }

    fn grant(&mut self, filter: &str) -> Granted {
        if filter.starts_with(codec::SHARED) {
            return Granted::Shared;
        }
        let Some(filter) = Filter::parse(filter) else {
            return Granted::FilterUnknown;
        };
        let subscription = self.subscription.get_or_insert_with(|| {
            let decisions_max = self.options.decisions_max;
            self.decisions.subscribe(decisions_max, self.takes)
        });
        match subscription.add(filter) {
            true => Granted::AtMostOnce,
            false => Granted::FiltersMax,
        }
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: Subscribe<'_>) -> Result<(), CloseReason> {
        let remove = |filter| {
            let subscription = self.subscription.as_ref()?;
            subscription.remove(&Filter::parse(filter)?).then_some(())
        };
        let removed: Vec<_> = unsubscribe
            .filters()
            .map(|filter| match remove(filter) {
                Some(()) => Removed::Yes,
                None => Removed::WasNotThere,
            })
            .collect();
        let (version, before) = (self.takes.version, self.out.len());
        let removed = removed.into_iter();
        codec::put_unsuback(&mut self.out, version, unsubscribe.packet_id, removed);
        self.check_answer(before)
    }

    /// Takes back an answer that is longer than the client takes.
    fn check_answer(&mut self, before: usize) -> Result<(), CloseReason> {
        if self.out.len() - before <= self.takes.packet_bytes_max {
            return Ok(());
        }
        self.out.truncate(before);
        Err(CloseReason::AnswerTooLong)
    }
}
