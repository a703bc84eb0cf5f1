//! The messages of quality 2 that a client of ours sends, or a broker elsewhere: those between PUBLISH
//! and PUBREL.
//!
//! Arrives: their packet identifiers. Leaves: whether a message is new, when one that comes again is
//! answered, and whether it may be released. Promise: while an identifier is held, the same message again
//! adds nothing (section 4.3.3), and is answered no later than with the first: a PUBREC that left behind
//! PUBCOMP would be taken for the answer to the next message of that identifier. Not here: what came on an earlier connection; that a reading is judged once then, its id
//! sees to. Bound: an identifier has 16 bits, so two sets of them take 16 KiB, and nothing until
//! this quality is used.

/// The packet identifiers of the messages of quality 2 that come over one connection.
#[derive(Debug, Default)]
pub(crate) struct ExactlyOnce {
    /// Those that were received and not released.
    received: Ids,
    /// Those of them for which PUBREC was sent.
    recorded: Ids,
}

/// What a message is whose identifier came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Nothing held the identifier.
    New,
    /// The same again, before PUBREC was sent: it is answered when that is.
    Awaited,
    /// The same again, and PUBREC was sent: it is answered now.
    Recorded,
}

/// What comes of PUBREL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// The identifier is free again.
    Released,
    /// It was not held: the sender goes on with what an earlier connection began.
    Unknown,
    /// PUBREC has not been sent. To answer would be to say that the message is durable.
    TooEarly,
}

impl ExactlyOnce {
    /// A message came; what it is, if none with its identifier is another one.
    pub fn receive(&mut self, packet_id: u16) -> Receipt {
        let receipt = self.again(packet_id);
        self.received.insert(packet_id);
        receipt
    }

    /// Another message has the identifier of one that is held: it is to be answered for itself.
    pub fn renew(&mut self, packet_id: u16) {
        self.recorded.remove(packet_id);
    }

    /// What one is whose identifier came before; new if that is held no more, for the first was refused.
    pub fn again(&self, packet_id: u16) -> Receipt {
        match self.received.contains(packet_id) {
            false => Receipt::New,
            true if self.recorded.contains(packet_id) => Receipt::Recorded,
            true => Receipt::Awaited,
        }
    }

    /// PUBREC is sent for it.
    pub fn record(&mut self, packet_id: u16) {
        if self.received.contains(packet_id) {
            self.recorded.insert(packet_id);
        }
    }

    /// It was refused: the sender forgets the identifier (5.0: section 4.3.3).
    pub fn forget(&mut self, packet_id: u16) {
        self.received.remove(packet_id);
        self.recorded.remove(packet_id);
    }

    /// PUBREL came for it.
    pub fn release(&mut self, packet_id: u16) -> Release {
        match (
            self.received.contains(packet_id),
            self.recorded.contains(packet_id),
        ) {
            (true, true) => {
                self.forget(packet_id);
                Release::Released
            }
            (true, false) => Release::TooEarly,
            (false, _) => Release::Unknown,
        }
    }

    /// How many were answered with PUBREC and not released.
    pub const fn unreleased(&self) -> usize {
        self.recorded.count
    }
}

/// A set of packet identifiers: a bit for each.
#[derive(Debug, Default)]
struct Ids {
    bits: Option<Box<[u64; Self::WORDS]>>,
    count: usize,
}

impl Ids {
    const WORDS: usize = (1 << 16) / 64;

    const fn place(packet_id: u16) -> (usize, u64) {
        (packet_id as usize / 64, 1 << (packet_id % 64))
    }

    fn contains(&self, packet_id: u16) -> bool {
        let (word, bit) = Self::place(packet_id);
        self.bits.as_ref().is_some_and(|bits| bits[word] & bit != 0)
    }

    fn insert(&mut self, packet_id: u16) {
        if self.contains(packet_id) {
            return;
        }
        let (word, bit) = Self::place(packet_id);
        let bits = self.bits.get_or_insert_with(|| Box::new([0; Self::WORDS]));
        bits[word] |= bit;
        self.count += 1;
    }

    fn remove(&mut self, packet_id: u16) {
        if !self.contains(packet_id) {
            return;
        }
        let (word, bit) = Self::place(packet_id);
        if let Some(bits) = &mut self.bits {
            bits[word] &= !bit;
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_held_until_it_is_released() {
        let mut held = ExactlyOnce::default();
        for packet_id in [1, 64, u16::MAX] {
            assert_eq!(held.release(packet_id), Release::Unknown);
            assert_eq!(held.receive(packet_id), Receipt::New);
            assert_eq!(held.receive(packet_id), Receipt::Awaited);
            assert_eq!(held.release(packet_id), Release::TooEarly);
            held.record(packet_id);
            assert_eq!(held.receive(packet_id), Receipt::Recorded, "the same");
        }
        assert_eq!(held.unreleased(), 3);
        held.renew(64);
        assert_eq!(held.receive(64), Receipt::Awaited);
        assert_eq!(held.release(64), Release::TooEarly);
        held.record(64);
        assert_eq!(held.again(64), Receipt::Recorded);
        assert_eq!(held.release(64), Release::Released);
        assert_eq!(held.again(64), Receipt::New);
        assert_eq!(held.release(64), Release::Unknown);
        held.record(64);
        assert_eq!(held.unreleased(), 2, "it is not held");
        held.forget(1);
        for free in [1, 64] {
            assert_eq!(held.receive(free), Receipt::New);
        }
    }

    #[test]
    fn p5_all_identifiers_together_take_no_more_than_two_sets() {
        let mut held = ExactlyOnce::default();
        for packet_id in 1..=u16::MAX {
            assert_eq!(held.receive(packet_id), Receipt::New);
            held.record(packet_id);
        }
        assert_eq!(held.unreleased(), usize::from(u16::MAX));
        assert_eq!(2 * size_of::<[u64; Ids::WORDS]>(), 16 * 1024);
    }
}
