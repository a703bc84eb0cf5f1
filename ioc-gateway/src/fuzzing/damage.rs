//! Damage to bytes, for tests that have good ones to begin with.

use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that happens to bytes.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    /// A byte is another.
    Set(Index, u8),
    /// One more is there.
    Insert(Index, u8),
    /// One is missing.
    Remove(Index),
    /// What follows is missing.
    Cut(Index),
    /// Two change places.
    Swap(Index, Index),
    /// A piece is there again, somewhere.
    Repeat(Index, Index, Index),
}

impl Damage {
    /// Any of them, the small ones more often.
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Set(at, byte)),
            2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Insert(at, byte)),
            2 => any::<Index>().prop_map(Self::Remove),
            1 => any::<Index>().prop_map(Self::Cut),
            1 => any::<(Index, Index)>().prop_map(|(one, other)| Self::Swap(one, other)),
            2 => any::<(Index, Index, Index)>()
                .prop_map(|(from, to, into)| Self::Repeat(from, to, into)),
        ]
    }

    /// Does it. Precondition: there are bytes; some are left.
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Self::Remove(_) if length == 1 => {}
            Self::Remove(at) => drop(bytes.remove(at.index(length))),
            Self::Cut(at) => bytes.truncate(at.index(length).max(1)),
            Self::Swap(one, other) => bytes.swap(one.index(length), other.index(length)),
            Self::Repeat(from, to, into) => {
                let (from, to) = (from.index(length), to.index(length));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                let into = into.index(length);
                bytes.splice(into..into, piece);
            }
        }
    }
}
