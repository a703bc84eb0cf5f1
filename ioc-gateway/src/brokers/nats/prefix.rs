//! Which message of a stream may be acknowledged, with all before it.
//!
//! Arrives: messages in the order in which they went through the door (`order.rs`), and how many of
//! them are durable. Leaves: those to acknowledge. The last one is enough for a consumer that
//! acknowledges all: that covers every message of the stream before it, also one that this connection
//! has never seen. Promise: nothing is acknowledged before all that it covers is durable; where messages
//! went on early, nothing before those that were owed are.

use std::collections::VecDeque;

/// The messages of one connection that are not acknowledged.
#[derive(Debug)]
pub(super) struct Prefix<R> {
    /// In the order of the door.
    unacknowledged: VecDeque<Passed<R>>,
    early: Early,
}

/// Whether messages went on before older ones that are owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    /// None that is not acknowledged.
    None,
    /// Some, and older ones are awaited.
    Awaited,
    /// Some; the older ones are durable when so many are.
    Until(u64),
}

/// A message that went through the door.
#[derive(Debug)]
struct Passed<R> {
    /// Its number on this connection.
    upto: u64,
    /// Its number in the stream.
    message: u64,
    /// How it is answered.
    reply: R,
}

impl<R> Prefix<R> {
    /// Nothing has gone on yet.
    pub const fn new() -> Self {
        Self {
            unacknowledged: VecDeque::new(),
            early: Early::None,
        }
    }

    /// Notes the message that went through the door as number `upto` of this connection.
    pub fn passed(&mut self, upto: u64, message: u64, reply: R, is_early: bool) {
        if is_early {
            self.early = Early::Awaited;
        }
        self.unacknowledged.push_back(Passed {
            upto,
            message,
            reply,
        });
    }

    /// Notes that none of before are awaited any more, and how many have gone on by then.
    pub const fn all_have_come(&mut self, decoded: u64) {
        if matches!(self.early, Early::Awaited) {
            self.early = Early::Until(decoded);
        }
    }

    /// The next to answer now that so many are durable, and its number in the stream.
    pub fn settle(&mut self, settled: u64) -> Option<(u64, R)> {
        match self.early {
            Early::None => {}
            Early::Until(upto) if upto <= settled => self.early = Early::None,
            Early::Until(_) | Early::Awaited => return None,
        }
        let next = self
            .unacknowledged
            .pop_front_if(|each| each.upto <= settled);
        next.map(|passed| (passed.message, passed.reply))
    }

    /// The one with the greatest number of those, which acknowledges all.
    pub fn settle_all(&mut self, settled: u64) -> Option<(u64, R)> {
        let mut greatest = self.settle(settled)?;
        while let Some(next) = self.settle(settled) {
            if next.0 > greatest.0 {
                greatest = next;
            }
        }
        Some(greatest)
    }

    /// How to answer each up to number `upto` on this connection that is not acknowledged.
    pub fn replies(&self, upto: u64) -> impl Iterator<Item = &R> {
        let unacknowledged = self.unacknowledged.iter();
        let up_to = unacknowledged.take_while(move |each| each.upto <= upto);
        up_to.map(|each| &each.reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_durable_one_answers_for_all() {
        let mut prefix = Prefix::new();
        for (upto, message) in (1..).zip([11, 12, 11, 13]) {
            prefix.passed(upto, message, message, false);
        }
        assert_eq!(prefix.settle_all(0), None);
        assert_eq!(prefix.settle_all(3), Some((12, 12)));
        assert_eq!(prefix.settle_all(3), None);
        assert_eq!(prefix.settle_all(4), Some((13, 13)));
    }

    #[test]
    fn each_durable_one_is_answered_by_itself_where_none_answers_for_others() {
        let mut prefix = Prefix::new();
        for (upto, message) in (1..).zip([11, 12, 11, 13]) {
            prefix.passed(upto, message, message, false);
        }
        let mut answered = Vec::new();
        while let Some((message, _)) = prefix.settle(3) {
            answered.push(message);
        }
        assert_eq!(answered, [11, 12, 11]);
    }

    #[test]
    fn p1_what_went_on_early_acknowledges_nothing_until_what_is_owed_is_durable() {
        let mut prefix = Prefix::new();
        let passed = |prefix: &mut Prefix<u64>, upto, message, is_early| {
            prefix.passed(upto, message, message, is_early);
        };
        passed(&mut prefix, 1, 11, true);
        passed(&mut prefix, 2, 8, false);
        assert_eq!(prefix.settle_all(2), None, "more is awaited");
        passed(&mut prefix, 3, 10, false);
        prefix.all_have_come(3);
        assert_eq!(prefix.settle_all(2), None, "10 has come and is not durable");
        assert_eq!(prefix.settle_all(3), Some((11, 11)));
        prefix.all_have_come(3);
        passed(&mut prefix, 4, 12, false);
        assert_eq!(prefix.settle_all(4), Some((12, 12)));
    }
}
