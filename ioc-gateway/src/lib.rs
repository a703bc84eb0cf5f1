//! The door: MQTT and HTTP to readings, acknowledged only when durable.

pub mod catalogue;
pub mod door;
