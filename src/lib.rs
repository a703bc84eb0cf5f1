//! The host.

pub mod clock;
pub mod journal;
