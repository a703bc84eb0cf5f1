//! When a broker must hear of us again, and how long it may be silent.
//!
//! Arrives: when something was written, heard, asked. Leaves: when to ask next, and whether the
//! broker is gone. Promise: between two packets of ours there is never more than the keep-alive
//! that the broker was told (section 3.1.2.10), whatever it says meanwhile: what we hear is no sign
//! of life of ours, and with quality 0 we answer nothing. Silence counts only while we listen.

use tokio::time::{Duration, Instant};

/// The keep-alive of one connection.
#[derive(Debug)]
pub(super) struct KeepAlive {
    every: Duration,
    /// When something was last written.
    said: Instant,
    /// Since when an answer is awaited.
    asked: Option<Instant>,
}

impl KeepAlive {
    /// That of a connection whose first packet, which wants an answer, is written now.
    pub const fn new(every: Duration, now: Instant) -> Self {
        Self {
            every,
            said: now,
            asked: Some(now),
        }
    }

    /// The broker wants a shorter one.
    pub fn shorten(&mut self, every: Duration) {
        self.every = self.every.min(every);
    }

    /// Something was written.
    pub const fn said(&mut self, now: Instant) {
        self.said = now;
    }

    /// The broker was heard: it is there.
    pub const fn heard(&mut self) {
        self.asked = None;
    }

    /// A question is on its way.
    pub fn asked(&mut self, now: Instant) {
        self.said = now;
        self.asked.get_or_insert(now);
    }

    /// The socket is not read: an answer may lie in it.
    pub fn does_not_listen(&mut self, now: Instant) {
        self.asked = self.asked.map(|_| now);
    }

    /// When to ask, or to give up. Halfway, so that the broker hears of us in time however long
    /// the way is.
    pub fn due(&self) -> Instant {
        let ask = self.said + self.every / 2;
        let give_up = self.asked.map(|asked| asked + self.every);
        give_up.map_or(ask, |give_up| ask.min(give_up))
    }

    /// Whether an answer is overdue.
    pub fn is_over(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now >= asked + self.every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_heard_does_not_put_off_what_is_to_be_said() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut keep_alive = KeepAlive::new(EVERY, began);
        keep_alive.heard();
        assert_eq!(keep_alive.due(), after(5));
        keep_alive.said(after(3));
        keep_alive.heard();
        assert_eq!(keep_alive.due(), after(8));
        keep_alive.asked(after(8));
        assert_eq!(keep_alive.due(), after(13));
        assert!(!keep_alive.is_over(after(13)));
        assert!(keep_alive.is_over(after(18)));
        keep_alive.heard();
        assert!(!keep_alive.is_over(after(18)));
        keep_alive.shorten(Duration::from_secs(4));
        assert_eq!(keep_alive.due(), after(10));
    }

    #[test]
    fn silence_counts_from_the_first_question_and_while_we_listen() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut keep_alive = KeepAlive::new(EVERY, began);
        keep_alive.asked(after(5));
        assert!(keep_alive.is_over(after(10)), "asked since the beginning");
        keep_alive.does_not_listen(after(9));
        assert!(!keep_alive.is_over(after(18)));
        assert!(keep_alive.is_over(after(19)));
        keep_alive.heard();
        keep_alive.does_not_listen(after(20));
        assert!(!keep_alive.is_over(after(99)), "nothing is asked");
    }
}
