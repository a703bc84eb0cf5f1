//! The host.

pub mod args;
pub mod clock;
pub mod journal;
pub mod progress;
pub mod publisher;
pub mod simulate;
pub mod config;
pub mod send;
