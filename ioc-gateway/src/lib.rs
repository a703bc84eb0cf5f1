//! The door: MQTT and HTTP to readings, acknowledged only when durable.
//!
//! The modules in reading order, a message's way from its socket to the engine:

pub mod catalogue;
pub mod formats;
pub mod door;
