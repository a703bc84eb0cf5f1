//! What a message wants said back to where it came from: an edge node that is to be born again, say.
//!
//! Arrives: messages that a decoder writes. Leaves: the same, to the adapter that the first one came by,
//! if it can say anything there. Bound: [`Replies::COUNT_MAX`]; what comes beyond it is dropped and
//! counted, like what the adapter did not carry away. A decoder asks again when it must.

use std::collections::VecDeque;

use bytes::Bytes;

use super::sparkplug::Gaps;
use crate::telemetry;

/// A message to whoever listens where another came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Where to, as MQTT has it.
    pub topic: String,
    /// What.
    pub payload: Bytes,
}

/// Those that wait to be carried away, and who may be sent one if nothing more comes.
#[derive(Debug, Default)]
pub struct Replies {
    waiting: VecDeque<Reply>,
    /// Edge nodes of which messages are missing.
    pub(super) gaps: Gaps,
}

impl Replies {
    /// How many may wait.
    pub const COUNT_MAX: usize = 64;

    /// Adds one, if there is room.
    pub fn push(&mut self, reply: Reply) {
        if self.waiting.len() < Self::COUNT_MAX {
            self.waiting.push_back(reply);
        } else {
            telemetry::replies_dropped(1);
        }
    }

    /// Takes the oldest away.
    pub fn pop(&mut self) -> Option<Reply> {
        self.waiting.pop_front()
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        telemetry::replies_dropped(self.waiting.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_replies_beyond_the_bound_are_dropped_and_the_oldest_leave_first() {
        let mut replies = Replies::default();
        for number in 0..=Replies::COUNT_MAX {
            replies.push(Reply {
                topic: number.to_string(),
                payload: Bytes::new(),
            });
        }
        let mut topics = std::iter::from_fn(|| replies.pop()).map(|reply| reply.topic);
        assert_eq!(topics.next().as_deref(), Some("0"));
        let others: Vec<_> = topics.collect();
        assert_eq!(others.len(), Replies::COUNT_MAX - 1);
        assert_eq!(others.last().map(String::as_str), Some("63"));
    }
}
