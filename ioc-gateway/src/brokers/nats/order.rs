//! In which order the messages of a stream go on, and which of before are still owed.
//!
//! Arrives: deliveries, in the order of a connection. Leaves: the same, in the order of the stream
//! while there are messages that were under way when the connection began. Those come again when
//! their time is up, which counts from when the server delivered them last: also to the connection
//! before, from a request of it that the server heard late. So newer ones may come before them, and
//! the judgement would take the older for what it had already. Promise: nothing goes on before what
//! is owed; nothing across a delivery that went elsewhere. What is next is known by its number, or
//! when all that is owed has come; nothing newer is asked for until then. Bound:
//! [`WAITING_MAX`] messages and [`OWED_BYTES_MAX`] wait. When it is full, the stream is asked what is
//! next; if that is not among them, the connection ends, and all come again on the next; where the
//! stream cannot be asked they go on early, and nothing is acknowledged until all that is owed has
//! come. Next: `nats/prefix.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

/// How many messages may wait for older ones: as many as the server delivers unacknowledged.
pub(super) const WAITING_MAX: usize = 65_536;
/// How many bytes of them: more than five requests bring, as long as no message is longer.
pub(super) const OWED_BYTES_MAX: usize = 32 << 20;

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
    /// Whether older ones may be owed that have not come.
    pub is_early: bool,
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
    /// There are no others.
    all_came: bool,
    /// Up to which message all that there are have gone on.
    through: u64,
    /// The next that there is, if the stream was asked.
    next: Option<u64>,
    /// Whether it can be.
    can_ask: bool,
    /// What has come and not gone on, by its number in the stream, with its bytes.
    waiting: BTreeMap<u64, (M, usize)>,
    waiting_bytes: usize,
}

impl<M> Order<M> {
    /// Nothing has been delivered yet. `can_ask`: whether the stream can be asked what is next.
    pub fn new(start: Start, waiting_max: usize, can_ask: bool) -> Self {
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
            all_came: false,
            through: start.acknowledged,
            next: None,
            can_ask,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
        }
    }

    /// Takes a delivery; whether its message goes on at once, before what waits. If not, it is kept.
    pub fn take(&mut self, place: Place, kept: impl FnOnce() -> M) -> Result<bool, Disorder> {
        if place.delivery != self.last_delivery + 1 {
            return Err(Disorder::Gap);
        }
        self.last_delivery = place.delivery;
        // One that was acknowledged late may come again, too, and stands for none of the others.
        if self.under_way().contains(&place.message) && self.again.insert(place.message) {
            self.again_at = Instant::now();
        }
        if self.waiting.is_empty() && !self.awaits() {
            return Ok(true);
        }
        self.waiting_bytes += place.bytes;
        if let Some((_, bytes)) = self.waiting.insert(place.message, (kept(), place.bytes)) {
            self.waiting_bytes -= bytes;
        }
        Ok(false)
    }

    /// The next of what waits that may go on.
    pub fn next(&mut self) -> Result<Option<Next<M>>, Disorder> {
        let Some(first) = self.waiting.keys().next().copied() else {
            return Ok(None);
        };
        let is_early = self.awaits() && first > self.through + 1 && self.next != Some(first);
        if is_early && !self.is_full() {
            return Ok(None);
        }
        if is_early && self.can_ask {
            return match self.next {
                Some(_) => Err(Disorder::Early),
                None => Ok(None),
            };
        }
        let Some((number, (message, bytes))) = self.waiting.pop_first() else {
            return Ok(None);
        };
        self.waiting_bytes -= bytes;
        if !is_early {
            self.through = self.through.max(number);
            self.next = None;
        }
        Ok(Some(Next {
            number,
            message,
            is_early,
        }))
    }

    /// From which message on the stream is to be asked what is next, if something waits for that.
    pub fn asks(&self) -> Option<u64> {
        let waits = self.awaits() && self.is_full();
        (waits && self.can_ask && self.next.is_none()).then_some(self.through + 1)
    }

    /// What the stream has next from there on. Whether that is none of those that were owed: it does
    /// not have the others any more.
    pub fn told(&mut self, next: Option<u64>) -> bool {
        self.next = next.filter(|next| self.under_way().contains(next));
        self.all_came |= self.next.is_none();
        self.all_came
    }

    /// Whether the stream has a next one that has not come.
    pub fn lacks_next(&self) -> bool {
        self.awaits() && self.next.is_some()
    }

    /// The number of the last delivery.
    pub const fn last_delivery(&self) -> u64 {
        self.last_delivery
    }

    /// Those that wait, in the order of the stream.
    pub fn all_waiting(&self) -> impl Iterator<Item = &M> {
        self.waiting.values().map(|(message, _)| message)
    }

    /// How many messages of before have not come again yet.
    pub fn owed(&self) -> usize {
        match self.awaits() {
            true => self.start.pending - self.again.len(),
            false => 0,
        }
    }

    /// Whether this one is newer than all that were under way.
    pub const fn is_newer(&self, number: u64) -> bool {
        number > self.start.message
    }

    /// Whether messages of before have not come again yet.
    pub fn awaits(&self) -> bool {
        !self.all_came && self.again.len() < self.start.pending
    }

    /// From which message on it awaits some, if none has come for so long.
    pub fn overdue(&self, patience: Duration) -> Option<u64> {
        let is_over = self.awaits() && self.again_at.elapsed() >= patience;
        is_over.then_some(self.through + 1)
    }

    /// Those that can have been under way.
    fn under_way(&self) -> RangeInclusive<u64> {
        self.start.acknowledged + 1..=self.start.message
    }

    /// Whether no more may wait.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.waiting_max || self.waiting_bytes >= OWED_BYTES_MAX
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
        Order::new(start, 8, true)
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
            if order.take(place, || *message).unwrap() {
                gone.push(*message);
            }
            while let Some(each) = order.next().unwrap() {
                assert_eq!(each.number, each.message);
                gone.push(each.number);
            }
        }
        gone
    }

    #[test]
    fn what_comes_goes_on_where_nothing_is_owed() {
        let mut order = order(10, 0);
        assert_eq!(came(&mut order, &[11, 13, 12]), [11, 13, 12]);
        assert!(order.waiting.is_empty());
    }

    #[test]
    fn p1_newer_messages_wait_for_those_that_were_under_way() {
        // Message 6 of the stream is none of this consumer's.
        let mut order = order(5, 3);
        assert_eq!(came(&mut order, &[11, 12, 8, 9, 4]), [4], "10 is owed");
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
        let mut order = Order::new(order(5, 3).start, 4, true);
        assert_eq!(came(&mut order, &[11, 12, 13]), [0; 0]);
        assert_eq!((order.asks(), order.owed()), (None, 3), "there is room");
        assert_eq!(came(&mut order, &[14]), [0; 0], "it is asked first");
        assert_eq!(order.asks(), Some(6));
        assert!(!order.told(Some(8)));
        assert_eq!(order.next(), Err(Disorder::Early));

        let place = |delivery: u64| Place {
            delivery,
            message: delivery,
            bytes: OWED_BYTES_MAX / 2,
        };
        let mut order = Order::new(order.start, 1000, true);
        assert_eq!(order.take(place(101), || 101), Ok(false));
        assert!(!order.is_full());
        assert_eq!(order.take(place(102), || 102), Ok(false));
        assert!(order.is_full());
    }

    #[test]
    fn p5_what_is_next_among_others_messages_the_stream_says_where_no_more_may_wait() {
        let mut order = Order::new(order(5, 3).start, 1, true);
        assert_eq!(came(&mut order, &[10]), [0; 0]);
        assert_eq!(order.asks(), Some(6));
        assert!(!order.told(Some(10)));
        assert_eq!(order.next().unwrap().unwrap().number, 10);
        assert_eq!(order.asks(), None, "nothing waits");
        assert_eq!(came(&mut order, &[13]), [0; 0], "others may be behind it");
        assert_eq!(order.asks(), Some(11));
        assert!(order.told(Some(12)), "and are not there any more");
        assert_eq!(order.next().unwrap().unwrap().number, 13);
    }

    #[test]
    fn p1_what_has_no_room_goes_on_early_where_nobody_may_ask() {
        let mut order = Order::new(order(5, 3).start, 2, false);
        let place = |delivery: u64, message: u64| Place {
            delivery,
            message,
            bytes: 100,
        };
        assert_eq!(order.take(place(101, 8), || 8), Ok(false));
        assert_eq!((order.asks(), order.next()), (None, Ok(None)));
        assert_eq!(order.take(place(102, 11), || 11), Ok(false));
        let first = order.next().unwrap().unwrap();
        assert_eq!((first.number, first.is_early), (8, true));
        assert_eq!(order.next(), Ok(None));
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
        assert_eq!(came(&mut order, &[6]), [6]);
        assert_eq!(order.overdue(Duration::from_secs(3600)), None);
        assert_eq!(order.overdue(Duration::ZERO), Some(7));
        assert!(order.told(None));
        assert_eq!(order.overdue(Duration::ZERO), None, "told once");
    }

    #[test]
    fn what_waits_behind_those_that_the_stream_has_no_more_goes_on() {
        let mut order = order(5, 4);
        assert_eq!(came(&mut order, &[9, 10]), [0; 0]);
        assert!(!order.told(Some(9)), "6, 7 and 8 are gone");
        assert_eq!(order.next().unwrap().unwrap().number, 9);
        assert!(!order.lacks_next());
        assert_eq!(order.next().unwrap().unwrap().number, 10);
        assert!(order.told(None));
        let mut order = Order::new(order.start, 8, true);
        assert_eq!(came(&mut order, &[9, 10]), [0; 0]);
        assert!(!order.told(Some(7)));
        assert_eq!(order.next(), Ok(None));
        assert!(order.lacks_next());
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
        assert_eq!(order.take(place, || 13), Err(Disorder::Gap));
    }
}
