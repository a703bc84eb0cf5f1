//! The door: MQTT, NATS and HTTP to readings, acknowledged only when durable; and commands to
//! devices, the other way.
//!
//! The modules in reading order, a message's way from its socket to the engine:

pub mod options;
pub mod rights;
pub mod keys;
pub mod places;
mod exactly_once;
pub mod mqtt;
pub mod http;
pub mod brokers;
pub mod formats;
pub mod commands;
pub mod catalogue;
pub mod door;
pub mod dead_letters;
mod replay;
mod sparing;
mod telemetry;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;

pub use error::GatewayError;
