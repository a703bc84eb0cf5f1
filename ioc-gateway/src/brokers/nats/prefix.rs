//! Which message of a stream may be acknowledged, with all before it.
//!
//! Arrives: deliveries, and how many of them are durable. Leaves: the delivery to acknowledge. An
//! acknowledgement of a consumer that acknowledges all covers every message of the stream before
//! it, also one that this connection has never seen: one that was delivered to the connection
//! before and lost with it comes again only when its time is up, after newer ones. Promise: nothing
//! is acknowledged before all that was delivered and not acknowledged when this connection began
//! has come again and is durable, but for messages that follow the last acknowledged one in the
//! stream without a gap: there is nothing among those that has not come. And nothing across a
//! delivery that went elsewhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Where a consumer stands when a connection begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// The number of its last delivery.
    pub delivery: u64,
    /// The greatest message of the stream that it has delivered.
    pub message: u64,
    /// How many it has delivered that are not acknowledged.
    pub pending: usize,
    /// Up to which message of the stream all are acknowledged.
    pub acknowledged: u64,
}

/// One delivery.
#[derive(Debug, Clone)]
pub(super) struct Delivery<R> {
    /// Its number among the consumer's deliveries.
    pub delivery: u64,
    /// The message's number in the stream.
    pub message: u64,
    /// How it is answered.
    pub reply: R,
}

/// The deliveries of one connection that are not acknowledged.
#[derive(Debug)]
pub(super) struct Prefix<R> {
    start: Start,
    last_delivery: u64,
    /// In the order of the connection, each with its number on it.
    unacknowledged: VecDeque<(u64, Delivery<R>)>,
    /// Messages of before that have come again.
    again: BTreeSet<u64>,
    /// While others of them are awaited: each message beyond the acknowledged ones that has come,
    /// with its number on this connection.
    come: BTreeMap<u64, u64>,
    /// Up to which message all are acknowledged by what follows without a gap.
    acknowledged: u64,
    /// The number on this connection of the last of them.
    last_again: u64,
    /// When one of them came last.
    again_at: Instant,
    /// The wait for the others was given up.
    given_up: bool,
}

/// A delivery is missing between the last one and this: somebody else got it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap;

impl<R: Clone> Prefix<R> {
    /// Nothing has been delivered yet.
    pub fn new(start: Start) -> Self {
        Self {
            start,
            last_delivery: start.delivery,
            unacknowledged: VecDeque::new(),
            again: BTreeSet::new(),
            come: BTreeMap::new(),
            acknowledged: start.acknowledged,
            last_again: 0,
            again_at: Instant::now(),
            given_up: false,
        }
    }

    /// Takes the delivery that is number `upto` on this connection.
    pub fn take(&mut self, upto: u64, delivery: Delivery<R>) -> Result<(), Gap> {
        if delivery.delivery != self.last_delivery + 1 {
            return Err(Gap);
        }
        self.last_delivery = delivery.delivery;
        if delivery.message <= self.start.message && self.again.insert(delivery.message) {
            self.last_again = upto;
            self.again_at = Instant::now();
        }
        if self.awaits() || upto == self.last_again {
            self.come.entry(delivery.message).or_insert(upto);
        }
        self.unacknowledged.push_back((upto, delivery));
        Ok(())
    }

    /// What to answer now that so many are durable: the message with the greatest number, which
    /// acknowledges all.
    pub fn settle(&mut self, settled: u64) -> Option<R> {
        if self.awaits() || settled < self.last_again {
            return self.settle_without_a_gap(settled);
        }
        self.come.clear();
        let mut greatest: Option<Delivery<R>> = None;
        while let Some((_, delivery)) = self.unacknowledged.pop_front_if(|each| each.0 <= settled) {
            if greatest
                .as_ref()
                .is_none_or(|each| each.message < delivery.message)
            {
                greatest = Some(delivery);
            }
        }
        greatest.map(|delivery| delivery.reply)
    }

    /// The same while messages of before are awaited: a link that breaks again and again may never
    /// live to see all of them.
    fn settle_without_a_gap(&mut self, settled: u64) -> Option<R> {
        let before = self.acknowledged;
        while let Some(upto) = self.come.get(&(self.acknowledged + 1))
            && *upto <= settled
        {
            self.acknowledged += 1;
            self.come.remove(&self.acknowledged);
        }
        if self.acknowledged == before {
            return None;
        }
        let (acknowledged, mut greatest) = (self.acknowledged, None);
        self.unacknowledged.retain(|(_, delivery)| {
            let is_covered = delivery.message <= acknowledged;
            if delivery.message == acknowledged {
                greatest = Some(delivery.reply.clone());
            }
            !is_covered
        });
        greatest
    }

    /// Whether messages of before have not come again yet.
    pub fn awaits(&self) -> bool {
        !self.given_up && self.again.len() < self.start.pending
    }

    /// Gives up waiting for messages of before that have not come for so long: the stream does
    /// not have them any more. Whether that is news.
    pub fn give_up_after(&mut self, patience: Duration) -> bool {
        let is_over = self.awaits() && self.again_at.elapsed() >= patience;
        self.given_up |= is_over;
        is_over
    }

    /// How to answer each up to number `upto` on this connection that is not acknowledged.
    pub fn replies(&self, upto: u64) -> impl Iterator<Item = &R> {
        let unacknowledged = self.unacknowledged.iter();
        let up_to = unacknowledged.take_while(move |(number, _)| *number <= upto);
        up_to.map(|(_, each)| &each.reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A consumer that delivered up to message 10, of which so many are not acknowledged; message
    /// 6 of the stream is none of its own.
    fn prefix(pending: usize) -> Prefix<u64> {
        beyond(5, pending)
    }

    /// The same, that has acknowledged up to some message.
    fn beyond(acknowledged: u64, pending: usize) -> Prefix<u64> {
        Prefix::new(Start {
            delivery: 100,
            message: 10,
            pending,
            acknowledged,
        })
    }

    fn take(prefix: &mut Prefix<u64>, messages: &[u64]) {
        for message in messages {
            let upto = prefix.last_delivery - 100 + 1;
            let delivery = Delivery {
                delivery: prefix.last_delivery + 1,
                message: *message,
                reply: *message,
            };
            assert_eq!(prefix.take(upto, delivery), Ok(()));
        }
    }

    #[test]
    fn the_greatest_durable_one_answers_for_all() {
        let mut prefix = prefix(0);
        take(&mut prefix, &[11, 12, 11, 13]);
        assert_eq!(prefix.settle(0), None);
        assert_eq!(prefix.settle(3), Some(12));
        assert_eq!(prefix.settle(3), None);
        assert_eq!(prefix.settle(4), Some(13));
    }

    #[test]
    fn p1_what_was_lost_on_the_way_is_not_acknowledged_by_what_came_after_it() {
        let mut prefix = prefix(3);
        take(&mut prefix, &[11, 12, 8, 9]);
        assert_eq!(prefix.settle(4), None, "10 has not come again");
        take(&mut prefix, &[9, 10, 13]);
        assert_eq!(prefix.settle(5), None, "10 has come and is not durable");
        assert_eq!(prefix.settle(6), Some(12));
        assert_eq!(prefix.settle(7), Some(13));
    }

    #[test]
    fn p1_what_follows_the_acknowledged_ones_without_a_gap_does_not_wait_for_the_others() {
        let mut prefix = beyond(7, 3);
        take(&mut prefix, &[11, 8, 9]);
        assert_eq!(prefix.settle(1), None, "8 is not durable");
        assert_eq!(prefix.settle(3), Some(9), "neither 10 nor 11");
        assert_eq!(prefix.settle(3), None);
        take(&mut prefix, &[12, 10]);
        assert_eq!(prefix.settle(4), None);
        assert_eq!(prefix.settle(5), Some(12));
    }

    #[test]
    fn what_the_stream_has_no_more_is_not_waited_for_for_ever() {
        let mut prefix = prefix(1);
        take(&mut prefix, &[11]);
        assert!(!prefix.give_up_after(Duration::from_secs(3600)));
        assert_eq!(prefix.settle(1), None);
        assert!(prefix.give_up_after(Duration::ZERO));
        assert!(!prefix.give_up_after(Duration::ZERO), "told once");
        assert_eq!(prefix.settle(1), Some(11));
    }

    #[test]
    fn a_delivery_that_went_elsewhere_is_noticed() {
        let mut prefix = prefix(0);
        take(&mut prefix, &[11]);
        let delivery = Delivery {
            delivery: prefix.last_delivery + 2,
            message: 13,
            reply: 13,
        };
        assert_eq!(prefix.take(2, delivery), Err(Gap));
    }
}
