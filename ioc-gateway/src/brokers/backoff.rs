//! How long to wait before the next attempt: longer each time, and never in step with others.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use super::RETRY;

/// How often the pause of a link that comes up is doubled: to 0.8 s.
const EASED: u32 = 3;

/// The pauses of one link.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// The next pause: twice the one before, up to the longest, less up to a half of it, so that
    /// a broker that comes back is not met by all its clients at once.
    pub fn next(&mut self) -> Duration {
        let [shortest, longest] = RETRY;
        let whole = shortest.saturating_mul(1 << self.0.min(16)).min(longest);
        self.0 += 1;
        // Each of these hashers has keys of its own, drawn from the system's randomness.
        let share = RandomState::new().hash_one(self.0) as u32;
        whole - whole.mul_f64(0.5 * f64::from(share) / f64::from(u32::MAX))
    }

    /// The link came up, but brought nothing: a network that flaps has to be met while it is there.
    pub fn ease(&mut self) {
        self.0 = self.0.min(EASED);
    }

    /// The link works.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ_between_links() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        for (n, pause) in pauses.iter().enumerate() {
            let whole = (RETRY[0] * (1 << n.min(16))).min(RETRY[1]);
            assert!(whole / 2 <= *pause && *pause <= whole, "{n}: {pause:?}");
        }
        let mut others: Vec<_> = (0..40).map(|_| Backoff::default().next()).collect();
        others.dedup();
        assert!(others.len() > 1, "all in step");
        backoff.ease();
        assert!(backoff.next() <= RETRY[0] * 8);
        backoff.reset();
        assert!(backoff.next() <= RETRY[0]);
    }
}
