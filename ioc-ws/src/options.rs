//! The bounds of the window, each with what happens when it is reached.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ioc_core::time::Timestamp;

use crate::auth::Token;

/// Asks the host what logical time it is.
pub type LogicalClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the window needs to know, and its bounds.
#[derive(Clone)]
pub struct WindowOptions {
    /// The journal's id: numbers and hashes of decisions mean something only within one journal.
    /// While it is empty nobody resumes, everybody gets a snapshot.
    pub epoch: String,
    /// What commands must show.
    pub token: Token,
    /// Logical time, shown to consoles.
    pub clock: LogicalClock,
    /// How many sessions at once; a further one is refused with HTTP 503.
    pub sessions_max: usize,
    /// How many decisions are held for those who resume or lag; older ones are let go, and whoever
    /// still needs them gets a snapshot.
    pub ring_decisions_max: usize,
    /// How many batches may wait for the keeper; then [`Window::release`](crate::Window::release)
    /// waits. The keeper itself waits for nobody.
    pub release_batches_max: usize,
    /// How many batches of samples may wait for the keeper; then they are dropped and counted.
    pub sample_batches_max: usize,
    /// How many sensors' last values are held; samples of further sensors are dropped and counted.
    pub sampled_sensors_max: usize,
    /// How many sensors' last readings are held for REST, about 170 bytes each; those of further
    /// sensors are dropped and counted.
    pub latest_sensors_max: usize,
    /// How many readings one frame holds; the others wait for the next.
    pub readings_frame_max: usize,
    /// How often readings are told.
    pub readings_every: Duration,
    /// How many cleared and merged incidents stay in the picture; the oldest go first. Open ones
    /// all stay.
    pub ended_incidents_max: usize,
    /// How many silent sensors a snapshot lists, and silent or broken ones the list of their health;
    /// the others are counted.
    pub silent_listed_max: usize,
    /// Of how many actuators the last command is held; that which has been over longest goes first.
    pub commanded_actuators_max: usize,
    /// How much of what was kept quiet, and is no more, is held; the oldest goes first.
    pub ended_suppressions_max: usize,
    /// How many commands may wait for the host; a further one is refused as `busy`.
    pub commands_max: usize,
    /// How many commands of one session may be under way; a further one is refused as `busy`.
    pub session_commands_max: usize,
    /// How many bytes of decisions a session takes from the ring at once, and so may keep alive.
    pub round_bytes_max: usize,
    /// A session that finds so many new decisions after one round of writing is slow: updates of
    /// one incident are folded into the newest.
    pub fold_after_decisions: u64,
    /// The largest message that a client may send; beyond it the session is closed.
    pub message_bytes_max: usize,
    /// How long a client may take to say hello.
    pub hello_within: Duration,
    /// How often the session says that it lives, with the logical time.
    pub beat_every: Duration,
    /// How long a client may say nothing, not even a pong, before the session is closed.
    pub client_silence_max: Duration,
    /// How long one message may lie unwritten before the session is closed.
    pub write_stall_max: Duration,
    /// How long a command may be under way before whoever waits for it is told so.
    pub answer_within: Duration,
}

impl WindowOptions {
    /// The default bounds.
    pub fn new(epoch: String, token: Token, clock: LogicalClock) -> Self {
        Self {
            epoch,
            token,
            clock,
            sessions_max: 1024,
            ring_decisions_max: 65_536,
            release_batches_max: 64,
            sample_batches_max: 512,
            sampled_sensors_max: 10_000,
            latest_sensors_max: 200_000,
            readings_frame_max: 1_000,
            readings_every: Duration::from_secs(1),
            ended_incidents_max: 500,
            silent_listed_max: 10_000,
            commanded_actuators_max: 8_192,
            ended_suppressions_max: 500,
            commands_max: 256,
            session_commands_max: 16,
            round_bytes_max: 1 << 20,
            fold_after_decisions: 512,
            message_bytes_max: 64 << 10,
            hello_within: Duration::from_secs(10),
            beat_every: Duration::from_secs(2),
            client_silence_max: Duration::from_secs(90),
            write_stall_max: Duration::from_secs(60),
            answer_within: Duration::from_secs(10),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl fmt::Debug for WindowOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowOptions")
            .field("epoch", &self.epoch)
            .field("sessions_max", &self.sessions_max)
            .field("ring_decisions_max", &self.ring_decisions_max)
            .finish_non_exhaustive()
    }
}
