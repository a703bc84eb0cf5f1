//! A fixed hash for look-ups, and the map that uses it.
//!
//! The same on every machine and in every build, for hashes of reading ids are part of the state.
//! A [`Map`] only answers look-ups: its order means nothing, so it is never iterated.

use std::hash::{BuildHasherDefault, Hasher};

/// A hash map with a fixed hash. Never iterated.
#[expect(
    clippy::disallowed_types,
    reason = "this is the one place that fixes its hasher"
)]
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<FixedHasher>>;

/// Eight bytes at a time, folded by a 64 × 64 → 128 bit multiplication (after wyhash).
#[derive(Debug, Clone, Copy)]
pub(crate) struct FixedHasher(u64);

impl Default for FixedHasher {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl FixedHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0xe703_7ed1_a0b4_28db;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(
                word.try_into().expect("chunks of eight"),
            ));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.mix(u64::from_le_bytes(last));
        self.mix(bytes.len() as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of a text.
pub(crate) fn hash_text(text: &str) -> u64 {
    let mut hasher = FixedHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}
