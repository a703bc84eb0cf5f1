//! Chance that can be repeated: every number follows from a seed.
//!
//! Two kinds. A [`Chance`] is a sequence: what is drawn depends on what was drawn before. The
//! functions are stateless: noise at a time, or of the n-th reading, is the same whoever asks and
//! however often, so a sensor's readings do not depend on how the simulation is stepped.

/// Mixes words into one (the finaliser of `SplitMix64`, after Steele, Lea and Flood 2014).
pub(super) fn mix(words: &[u64]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for word in words {
        state = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    state
}

/// A word for a text, to salt a seed with.
pub(super) fn salt(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A number of 0..1 from a word.
pub(super) const fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1_u64 << 53) as f64
}

/// Measurement noise of the n-th reading: between -1 and 1, mostly near 0.
pub(super) fn grain(key: u64, n: u64) -> f64 {
    let word = mix(&[key, n]);
    let third = |shift: u32| f64::from((word >> shift) as u16) / f64::from(u16::MAX);
    (third(0) + third(16) + third(32)) * (2.0 / 3.0) - 1.0
}

/// A smooth wandering between -1 and 1 that has forgotten itself after a few periods.
pub(super) fn wander(key: u64, at_s: f64, period_s: f64) -> f64 {
    let place = at_s / period_s;
    let before = place.floor();
    let knot = |k: f64| unit(mix(&[key, k as i64 as u64])) * 2.0 - 1.0;
    let (from, to) = (knot(before), knot(before + 1.0));
    from + (to - from) * smooth(place - before)
}

/// 0 up to 0, 1 from 1 on, and a smooth rise between.
pub(super) fn smooth(share: f64) -> f64 {
    let share = share.clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// A sequence of draws.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// The sequence of this seed for this purpose.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        Self(mix(&[seed, salt(purpose)]))
    }

    /// Any word.
    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(&[self.0])
    }

    /// A number between two.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * unit(self.word())
    }

    /// Whether something of this probability happens.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        unit(self.word()) < probability
    }

    /// A waiting time for something that happens once in `mean` on average.
    pub(super) fn waiting(&mut self, mean: f64) -> f64 {
        -(1.0 - unit(self.word())).ln() * mean
    }

    /// One of so many.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn index(&mut self, count: usize) -> usize {
        (unit(self.word()) * count as f64) as usize % count
    }

    /// One of these; `None` if there are none.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() {
            None
        } else {
            of.get(self.index(of.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_between_its_bounds_and_is_centred() {
        let mut sum = 0.0;
        for n in 0..10_000 {
            let grain = grain(7, n);
            let wander = wander(7, n as f64, 60.0);
            assert!((-1.0..=1.0).contains(&grain) && (-1.0..=1.0).contains(&wander));
            sum += grain;
        }
        assert!(f64::abs(sum / 10_000.0) < 0.02);
    }

    #[test]
    fn a_sequence_repeats_itself_and_differs_by_seed_and_purpose() {
        let draw = |seed, purpose| Chance::new(seed, purpose).word();
        assert_eq!(draw(1, "calls"), draw(1, "calls"));
        assert_ne!(draw(1, "calls"), draw(2, "calls"));
        assert_ne!(draw(1, "calls"), draw(1, "faults"));
    }
}
