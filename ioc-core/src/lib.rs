//! The judgement: a deterministic state machine from readings to incidents.
//!
//! The core decides, the edge acts. There is no I/O here, no clock, thread, randomness or logging,
//! and nothing can fail on data: time arrives with the records, and every effect that is wanted is
//! a value that is returned. So the same records give the same decisions, byte for byte, on any
//! machine, with any number of shards, in any batching.
//!
//! The modules in reading order, a reading's way:

pub mod id;
pub mod time;
pub mod place;
pub mod suggest;
mod hash;
pub mod codec;
pub mod reading;
pub mod folded;
pub mod record;
pub mod bundle;
mod network;
mod meters;
mod away;
pub mod decision;
pub mod limits;
pub mod counters;
pub mod rules;
pub mod shared;
mod replaced;
pub mod detection;
pub mod detect;
mod timer;
pub mod engine;
mod group;
mod correlate;
mod incident;
mod book;
mod operate;
mod suppress;
pub mod noted;
pub mod load;
pub mod invariant;
mod state;
pub mod judgement;
pub mod explain;

pub use codec::CodecError;
