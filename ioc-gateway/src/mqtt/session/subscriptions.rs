//! What a client subscribes to, and what it is answered.
//!
//! Arrives: SUBSCRIBE and UNSUBSCRIBE. Leaves: filters of the connection's subscription, and an
//! answer for each of them, no longer than the client takes.

use super::Session;
use crate::mqtt::close::CloseReason;
use crate::mqtt::codec::{self, Granted, Removed, Subscribe, Wanted};
use crate::mqtt::deliveries::Filter;

impl Session {
    pub(super) fn subscribe(&mut self, subscribe: Subscribe<'_>) -> Result<(), CloseReason> {
        let granted: Vec<_> = subscribe
            .filters()
            .map(|wanted| match subscribe.has_subscription_id {
                true => Granted::SubscriptionId,
                false => self.grant(&wanted),
            })
            .collect();
        let (version, before) = (self.takes.version, self.out.len());
        let granted = granted.into_iter();
        codec::put_suback(&mut self.out, version, subscribe.packet_id, granted);
        self.check_answer(before)
    }

    fn grant(&mut self, wanted: &Wanted<'_>) -> Granted {
        if wanted.filter.starts_with(codec::SHARED) {
            return Granted::Shared;
        }
        let wanted = Wanted {
            retain_as_published: wanted.retain_as_published || self.is_bridge,
            ..*wanted
        };
        let filter = match Filter::parse(&wanted, &self.rights.devices) {
            Ok(filter) => filter,
            Err(refused) => return refused,
        };
        let subscription = self.subscription.get_or_insert_with(|| {
            let decisions_max = self.options.decisions_max;
            let (devices, holding) = (self.rights.devices.clone(), self.holding.clone());
            let deliveries = &self.deliveries;
            let subscription = deliveries.subscribe(decisions_max, self.takes, devices, holding);
            self.outbox.take_from(subscription.mailbox());
            subscription
        });
        let granted = filter.granted();
        match subscription.add(&filter, wanted.retain_handling) {
            true => granted,
            false => Granted::FiltersMax,
        }
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: Subscribe<'_>) -> Result<(), CloseReason> {
        let remove = |wanted: &Wanted<'_>| {
            let subscription = self.subscription.as_ref()?;
            let filter = Filter::parse(wanted, &self.rights.devices).ok()?;
            subscription.remove(&filter).then_some(())
        };
        let removed: Vec<_> = unsubscribe
            .filters()
            .map(|wanted| match remove(&wanted) {
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
