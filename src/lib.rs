//! The host.

pub mod args;
pub mod progress;
pub mod publisher;
pub mod simulate;
pub mod send;
pub mod watch;
