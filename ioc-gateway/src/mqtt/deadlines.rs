//! The clocks of one connection: what it waits for, since when, and until when it may.
//!
//! Only instants are kept; one alarm rings at the earliest deadline that there is when it is set,
//! and looks again: nothing is re-armed for a message.

use std::time::Duration;

use tokio::time::Instant;

use super::close::CloseReason;
use crate::options::MqttOptions;

/// Later than any deadline.
pub(super) const FAR: Duration = Duration::from_secs(30 * 24 * 3600);

/// What one connection waits for.
#[derive(Debug)]
pub(super) struct Deadlines {
    silence_max: Option<Duration>,
    overload_wait_max: Duration,
    write_wait_max: Duration,
    drain_wait_max: Duration,
    heard_at: Instant,
    is_listening: bool,
    waiting_since: Option<Instant>,
    writing_since: Option<Instant>,
    leaves_by: Option<Instant>,
    is_over: bool,
}

impl Deadlines {
    pub fn new(silence_max: Option<Duration>, options: &MqttOptions) -> Self {
        let now = Instant::now();
        Self {
            silence_max,
            overload_wait_max: options.overload_wait_max,
            write_wait_max: options.write_wait_max,
            drain_wait_max: options.drain_wait_max,
            heard_at: now,
            is_listening: true,
            waiting_since: None,
            writing_since: Some(now),
            leaves_by: None,
            is_over: false,
        }
    }

    /// A whole packet came.
    pub fn heard(&mut self) {
        self.heard_at = Instant::now();
    }

    /// Whether the socket is read: while it is not, silence means nothing.
    pub const fn listens(&mut self, is_listening: bool) {
        self.is_listening = is_listening;
    }

    /// The door is full, in some lane.
    pub fn waits_for_door(&mut self) {
        self.waiting_since.get_or_insert_with(Instant::now);
    }

    /// The door took what waited.
    pub const fn door_opened(&mut self) {
        self.waiting_since = None;
    }

    /// There is something to write.
    pub fn writes(&mut self) {
        self.writing_since.get_or_insert_with(Instant::now);
    }

    /// The client took some of it, or all.
    pub fn wrote(&mut self, all: bool) {
        self.writing_since = if all { None } else { Some(Instant::now()) };
    }

    /// The connection ends as soon as it can; sooner if this process stops.
    pub fn leaves(&mut self, because_we_stop: bool) {
        let wait = if because_we_stop {
            self.drain_wait_max
        } else {
            self.overload_wait_max
        };
        let by = Instant::now() + wait;
        self.leaves_by = Some(self.leaves_by.map_or(by, |earlier| earlier.min(by)));
    }

    /// The connection ends now.
    pub const fn ended(&mut self) {
        self.is_over = true;
    }

    /// Whether it ends without waiting for anything any more.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// The earliest deadline, and what it means that it passed.
    pub fn earliest(&self) -> Option<(Instant, CloseReason)> {
        let silent = match self.silence_max {
            Some(silence) if self.is_listening => Some(self.heard_at + silence),
            _ => None,
        };
        [
            (silent, CloseReason::KeepAliveExpired),
            (
                self.waiting_since.map(|at| at + self.overload_wait_max),
                CloseReason::Overloaded,
            ),
            (
                self.writing_since.map(|at| at + self.write_wait_max),
                CloseReason::WriteStalled,
            ),
            (self.leaves_by, CloseReason::Stopping),
        ]
        .into_iter()
        .filter_map(|(at, reason)| Some((at?, reason)))
        .min_by_key(|(at, _)| *at)
    }
}
