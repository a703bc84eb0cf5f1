//! What decoders go by: sensors with their kind and unit, the unit of each kind, the mappings of
//! messages that are no native readings, and what time it is.
//!
//! Read by every decoder, replaced as a whole when the configuration changes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use ioc_core::time::Timestamp;

use crate::commands::CommandBook;
use crate::formats::Mappings;

/// Sensors and kinds as the city and the configuration register them.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By name.
    pub sensors: HashMap<Box<str>, Registered>,
    /// The unit of each kind, for sensors that register none.
    pub kind_units: HashMap<Box<str>, Box<str>>,
    /// What happens to readings of sensors that are not registered.
    pub unregistered: Unregistered,
    /// What messages are that are published to other topics than readings.
    pub mappings: Mappings,
    /// The commands that devices may say something about.
    pub commands: CommandBook,
    /// The time of what says none.
    pub now: Now,
}

/// What time it is: that of the process, which need not be the machine's.
#[derive(Clone)]
pub struct Now(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Now {
    /// What this function says.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Now {
    /// The machine's clock.
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let millis = since.map_or(0, |since| since.as_millis());
            Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
        })
    }
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
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
