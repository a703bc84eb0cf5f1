//! A fixed hash for look-ups, and the map that uses it.
//!
//! The same on every machine and in every build, for hashes of reading ids are part of the state.
//! A [`Map`] only answers look-ups: its order means nothing, so it is never iterated.

use std::borrow::Borrow;
use std::hash::{BuildHasherDefault, Hash, Hasher};

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

/// The same in many parts, none of which is large: where one grows, only its own entries move, so
/// that nobody who puts something in waits until tens of thousands have been hashed anew.
#[derive(Debug)]
pub(crate) struct WideMap<K, V>(Box<[Map<K, V>]>);

/// How many parts there are.
const PARTS: u64 = 64;

impl<K, V> Default for WideMap<K, V> {
    fn default() -> Self {
        Self((0..PARTS).map(|_| Map::default()).collect())
    }
}

impl<K: Hash + Eq, V> WideMap<K, V> {
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0[part(key)].get(key)
    }

    /// Makes room for about so many, where it is known that they come.
    pub fn reserve(&mut self, more: usize) {
        let each = more / PARTS as usize;
        self.0.iter_mut().for_each(|part| part.reserve(each));
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0[part(&key)].insert(key, value)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0[part(key)].remove(key)
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(Map::len).sum()
    }
}

/// The part that a key is in, by bits of its hash that a part itself does not look at first.
fn part(key: &(impl Hash + ?Sized)) -> usize {
    let mut hasher = FixedHasher::default();
    key.hash(&mut hasher);
    (hasher.finish() >> 40 & (PARTS - 1)) as usize
}

/// The hash of a text.
pub(crate) fn hash_text(text: &str) -> u64 {
    let mut hasher = FixedHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_map_finds_names_by_what_they_are_made_of() {
        let mut wide = WideMap::default();
        wide.reserve(1_000);
        for number in 0..1_000_u32 {
            wide.insert(format!("meter-{number}"), number);
        }
        let found = (0..1_000).map(|number| wide.get(format!("meter-{number}").as_str()));
        assert!(found.zip(0..).all(|(found, number)| found == Some(&number)));
        assert_eq!(wide.get("meter"), None);
    }

    #[test]
    fn a_wide_map_is_a_map() {
        let mut wide = WideMap::default();
        for number in 0..10_000_u64 {
            assert_eq!(wide.insert(number, number + 1), None);
        }
        assert_eq!(wide.insert(7, 9), Some(8));
        assert_eq!(
            (wide.len(), wide.get(&7), wide.get(&8)),
            (10_000, Some(&9), Some(&9))
        );
        assert_eq!((wide.remove(&7), wide.get(&7)), (Some(9), None));
        let most = wide.0.iter().map(Map::len).max().unwrap();
        assert!(most < 300, "one part has {most}");
    }
}
