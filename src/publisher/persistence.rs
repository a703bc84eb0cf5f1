//! How long a sender goes on trying: the pauses between its attempts, what people are told of them,
//! and when it gives up.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::PublishError;
use super::link::{Absence, LinkError, LinkEvent, OnLink};
use crate::args::Address;

/// The wait after the first failure; it doubles with each further one …
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(8);

/// Longer and longer waits, each by chance a little shorter, so that many clients do not come back
/// at one instant.
#[derive(Debug, Clone)]
pub(crate) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(RETRY_FIRST)
    }
}

impl Pauses {
    /// Begins with the shortest again.
    pub(crate) const fn reset(&mut self) {
        self.0 = RETRY_FIRST;
    }

    /// The next one: between half of it and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let share = getrandom::u32().unwrap_or(u32::MAX) as f64 / f64::from(u32::MAX);
        let pause = self.0.mul_f64(0.5 + 0.5 * share);
        self.0 = (self.0 * 2).min(RETRY_MAX);
        pause
    }
}

/// A publisher's persistence with one server.
pub(super) struct Persistence {
    address: Address,
    /// Give up after so long without an acknowledgement while something waits; `None`: never.
    pub patience: Option<Duration>,
    on_link: OnLink,
    pauses: Pauses,
    was_down: bool,
    absence: Absence,
    progress_at: Instant,
}

impl Persistence {
    pub fn new(address: Address, patience: Option<Duration>, on_link: OnLink) -> Self {
        Self {
            address,
            patience,
            on_link,
            pauses: Pauses::default(),
            was_down: false,
            absence: Absence::default(),
            progress_at: Instant::now(),
        }
    }

    /// There is a connection.
    pub fn connected(&mut self) {
        if std::mem::take(&mut self.was_down) {
            (self.on_link)(&LinkEvent::Back(&self.address));
        }
    }

    /// The server has taken something.
    pub fn progressed(&mut self, now: Instant) {
        self.progress_at = now;
        self.pauses.reset();
    }

    /// Nothing waited for the server until now.
    pub fn has_waited_for_nothing(&mut self) {
        self.progress_at = Instant::now();
    }

    pub fn is_over(&self) -> bool {
        let patience = self.patience;
        patience.is_some_and(|patience| self.progress_at.elapsed() > patience)
    }

    /// Waits until the next attempt is to be made, after a connection ended for this reason while so
    /// many messages wait.
    ///
    /// # Errors
    /// None is to be made.
    pub async fn next_attempt(
        &mut self,
        error: LinkError,
        waiting: usize,
    ) -> Result<(), PublishError> {
        if error.is_final() || self.is_over() {
            return Err(PublishError {
                address: self.address.clone(),
                waiting,
                source: error,
            });
        }
        let retry_in = self.pauses.next();
        self.was_down = true;
        let hint = match &error {
            LinkError::Io(error) => self.absence.hint(error),
            _ => None,
        };
        (self.on_link)(&LinkEvent::Down {
            address: &self.address,
            error: &error,
            retry_in,
            hint,
        });
        sleep(retry_in).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_begin_anew() {
        let mut pauses = Pauses::default();
        for _ in 0..20 {
            let longest = pauses.0;
            let pause = pauses.next();
            assert!(
                pause >= longest / 2 && pause <= longest,
                "{pause:?} of {longest:?}"
            );
        }
        assert_eq!(pauses.0, RETRY_MAX);
        pauses.reset();
        assert!(pauses.next() <= RETRY_FIRST);
    }
}
