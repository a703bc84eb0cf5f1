//! In which order the messages of a stream go on, and which of before are still owed.
//!
//! Arrives: deliveries, in the order of a connection. Leaves: the same, in the order of the stream
//! while there are messages that were under way when the connection began. Those come again when
//! their time is up, which counts from when the server delivered them last: also to the connection
//! before, from a request of it that the server heard late. So newer ones may come before them, and
//! the judgement would take the older for what it had already. Promise: nothing goes on before what
//! is owed, but what follows the acknowledged messages without a gap: there is nothing among those
//! that has not come. Nothing across a delivery that went elsewhere. Bound: `waiting_max` messages
//! and [`EARLY_BYTES_MAX`] wait; when it is full the connection ends, and all of them come again
//! on the next, the older first. Next: `nats/prefix.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

/// How many bytes of messages may wait for older ones.
pub(super) const EARLY_BYTES_MAX: usize = 4 << 20;

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

/// What a delivery is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its number among the consumer's deliveries.
    pub delivery: u64,
    /// The message's number in the stream.
    pub message: u64,
    /// How many bytes the message has.
    pub bytes: usize,
}

/// A message that goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next<M> {
    /// Its number in the stream.
    pub number: u64,
    pub message: M,
}

/// Why a connection cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Disorder {
    /// A delivery is missing between the last one and this: somebody else got it.
    Gap,
    /// More newer messages than may wait have come before those that are owed.
    Early,
}

/// The deliveries of one connection that have not gone on.
#[derive(Debug)]
pub(super) struct Order<M> {
    start: Start,
    waiting_max: usize,
    last_delivery: u64,
    /// Messages of before that have come again.
    again: BTreeSet<u64>,
    /// When one of them came last.
    again_at: Instant,
    /// The wait for the others was given up.
    given_up: bool,
    /// Up to which message all that there are have gone on, as far as their numbers show it.
    through: u64,
    /// What has come and not gone on, by its number in the stream, with its bytes.
    waiting: BTreeMap<u64, (M, usize)>,
    waiting_bytes: usize,
}

impl<M> Order<M> {
    /// Nothing has been delivered yet.
    pub fn new(start: Start, waiting_max: usize) -> Self {
        // A server of 2.9 counts back what it has delivered when a client is gone, and no further
        // than to what waits for acknowledgements.
        let under_way = start.acknowledged + start.pending as u64;
        let start = Start {
            message: start.message.max(under_way),
            ..start
        };
        Self {
            start,
            waiting_max,
            last_delivery: start.delivery,
            again: BTreeSet::new(),
            again_at: Instant::now(),
            given_up: false,
            through: start.acknowledged,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
        }
    }

    /// Takes a delivery, and gives its message back if it goes on at once, before what waits.
    pub fn take(&mut self, place: Place, message: M) -> Result<Option<Next<M>>, Disorder> {
        if place.delivery != self.last_delivery + 1 {
            return Err(Disorder::Gap);
        }
        self.last_delivery = place.delivery;
        if place.message <= self.start.message && self.again.insert(place.message) {
            self.again_at = Instant::now();
        }
        if self.waiting.is_empty() && !self.awaits() {
            return Ok(Some(Next {
                number: place.message,
                message,
            }));
        }
        self.waiting_bytes += place.bytes;
        if let Some((_, bytes)) = self.waiting.insert(place.message, (message, place.bytes)) {
            self.waiting_bytes -= bytes;
        }
        Ok(None)
    }

    /// The next of what waits that may go on.
    pub fn next(&mut self) -> Result<Option<Next<M>>, Disorder> {
        let follows = |number: &u64| *number <= self.through + 1;
        if self.awaits() && !self.waiting.keys().next().is_some_and(follows) {
            return match self.is_full() {
                true => Err(Disorder::Early),
                false => Ok(None),
            };
        }
        let Some((number, (message, bytes))) = self.waiting.pop_first() else {
            return Ok(None);
        };
        self.waiting_bytes -= bytes;
        self.through = self.through.max(number);
        Ok(Some(Next { number, message }))
    }

    /// The number of the last delivery.
    pub const fn last_delivery(&self) -> u64 {
        self.last_delivery
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Those that wait, in the order of the stream.
    pub fn all_waiting(&self) -> impl Iterator<Item = &M> {
        self.waiting.values().map(|(message, _)| message)
    }

    /// Whether messages of before have not come again yet.
    pub fn awaits(&self) -> bool {
        !self.given_up && self.again.len() < self.start.pending
    }

    /// Whether it awaits some, and none has come for so long.
    pub fn is_overdue(&self, patience: Duration) -> bool {
        self.awaits() && self.again_at.elapsed() >= patience
    }

    /// Up to which message there can be any that it awaits; from behind the acknowledged ones on.
    pub fn under_way(&self) -> RangeInclusive<u64> {
        self.start.acknowledged + 1..=self.start.message
    }

    /// Whether this message of before has not come again.
    pub fn owes(&self, number: u64) -> bool {
        number <= self.start.message && !self.again.contains(&number)
    }

    /// Waits for none of before any more.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.waiting_max || self.waiting_bytes >= EARLY_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A consumer that delivered up to message 10, of which so many are not acknowledged.
    fn order(acknowledged: u64, pending: usize) -> Order<u64> {
        let start = Start {
            delivery: 100,
            message: 10,
            pending,
            acknowledged,
        };
        Order::new(start, 8)
    }

    /// What goes on as these messages come.
    fn came(order: &mut Order<u64>, messages: &[u64]) -> Vec<u64> {
        let mut gone = Vec::new();
        for message in messages {
            let place = Place {
                delivery: order.last_delivery + 1,
                message: *message,
                bytes: 100,
            };
            let mut next = order.take(place, *message).unwrap();
            while let Some(each) = next.or_else(|| order.next().unwrap()) {
                assert_eq!(each.number, each.message);
                gone.push(each.number);
                next = None;
            }
        }
        gone
    }

    #[test]
    fn what_comes_goes_on_where_nothing_is_owed() {
        let mut order = order(10, 0);
        assert_eq!(came(&mut order, &[11, 13, 12]), [11, 13, 12]);
        assert_eq!(order.waiting(), 0);
    }

    #[test]
    fn p1_newer_messages_wait_for_those_that_were_under_way() {
        // Message 6 of the stream is none of this consumer's.
        let mut order = order(5, 3);
        assert_eq!(came(&mut order, &[11, 12, 8, 9]), [0; 0], "10 is owed");
        assert_eq!(
            order.all_waiting().copied().collect::<Vec<_>>(),
            [8, 9, 11, 12]
        );
        assert_eq!(came(&mut order, &[10]), [8, 9, 10, 11, 12]);
        assert_eq!(came(&mut order, &[13, 9]), [13, 9], "it is as ever");
    }

    #[test]
    fn p1_what_follows_the_acknowledged_ones_without_a_gap_does_not_wait_for_the_others() {
        let mut order = order(7, 3);
        assert_eq!(came(&mut order, &[11, 8, 9]), [8, 9], "neither 10 nor 11");
        assert_eq!(came(&mut order, &[8, 12]), [8], "once more");
        assert_eq!(came(&mut order, &[10]), [10, 11, 12]);
    }

    #[test]
    fn p5_more_newer_messages_than_may_wait_end_the_connection() {
        let mut order = Order::new(order(5, 3).start, 4);
        assert_eq!(came(&mut order, &[11, 12, 13]), [0; 0]);
        let place = |delivery: u64, bytes: usize| Place {
            delivery,
            message: delivery - 90,
            bytes,
        };
        assert_eq!(order.take(place(104, 100), 14), Ok(None));
        assert_eq!(order.next(), Err(Disorder::Early));

        let mut order = Order::new(order.start, 1000);
        let half = EARLY_BYTES_MAX / 2;
        assert_eq!(order.take(place(101, half), 11), Ok(None));
        assert_eq!(order.next(), Ok(None));
        assert_eq!(order.take(place(102, half), 12), Ok(None));
        assert_eq!(order.next(), Err(Disorder::Early));
    }

    #[test]
    fn nats_server_2_9_counts_back_what_it_has_delivered_to_a_client_that_is_gone() {
        // Three are under way behind message 9, and it tells of one.
        let mut order = order(9, 3);
        assert_eq!(came(&mut order, &[13, 10, 11]), [10, 11]);
        assert_eq!(came(&mut order, &[12]), [12, 13]);
        assert!(!order.awaits());
    }

    #[test]
    fn what_the_stream_has_no_more_is_not_waited_for_for_ever() {
        let mut order = order(5, 2);
        assert_eq!(came(&mut order, &[11, 9]), [0; 0]);
        assert!(!order.is_overdue(Duration::from_secs(3600)) && order.is_overdue(Duration::ZERO));
        assert_eq!(order.under_way(), 6..=10);
        assert!(order.owes(8) && !order.owes(9) && !order.owes(11));
        order.give_up();
        assert!(!order.is_overdue(Duration::ZERO), "told once");
        let next = |order: &mut Order<u64>| order.next().unwrap().map(|next| next.number);
        assert_eq!((next(&mut order), next(&mut order)), (Some(9), Some(11)));
    }

    #[test]
    fn a_delivery_that_went_elsewhere_is_noticed() {
        let mut order = order(10, 0);
        came(&mut order, &[11]);
        let place = Place {
            delivery: order.last_delivery + 2,
            message: 13,
            bytes: 100,
        };
        assert_eq!(order.take(place, 13), Err(Disorder::Gap));
    }
}
