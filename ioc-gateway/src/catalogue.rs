//! What is registered: sensors with their kind and unit, and the unit of each kind.
//!
//! Read by every decoder, replaced as a whole when the configuration changes.

use std::collections::HashMap;

/// Sensors and kinds as the city and the configuration register them.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By name.
    pub sensors: HashMap<Box<str>, Registered>,
    /// The unit of each kind, for sensors that register none.
    pub kind_units: HashMap<Box<str>, Box<str>>,
    /// What happens to readings of sensors that are not registered.
    pub unregistered: Unregistered,
}

/// A registered sensor, as far as decoders ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What it measures.
    pub kind: Box<str>,
    /// The unit that its readings are converted to; empty if none is registered.
    pub unit: Box<str>,
    /// The unit of its readings that name none; empty if it is [`unit`](Self::unit).
    pub unit_unnamed: Box<str>,
}

/// What happens to readings of sensors that are not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unregistered {
    /// They are judged, by the rules of their kind.
    #[default]
    Accept,
    /// They become dead letters.
    Refuse,
}
