//! What decoders go by: sensors with their kind and unit, the unit and the lane of each kind, the mappings of
//! messages that are no native readings, and what time it is.
//!
//! Read by every decoder, replaced as a whole when the configuration changes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use ioc_core::id::ReadingKind;
use ioc_core::time::Timestamp;

use crate::commands::CommandBook;
use crate::door::{KindNames, Lane};
use crate::formats::{Mappings, Nodes};

/// Sensors and kinds as the city and the configuration register them.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// By name.
    pub sensors: HashMap<Box<str>, Registered>,
    /// The unit of each kind, for sensors that register none.
    pub kind_units: HashMap<Box<str>, Box<str>>,
    /// The kinds whose readings are urgent.
    pub urgent: KindNames,
    /// The kinds that a rule takes as reports: each of their readings counts by itself, so none is
    /// left out for another.
    pub reports: KindNames,
    /// What happens to readings of sensors that are not registered.
    pub unregistered: Unregistered,
    /// What messages are that are published to other topics than readings.
    pub mappings: Mappings,
    /// The commands that devices may say something about.
    pub commands: CommandBook,
    /// What edge nodes of Sparkplug said when they were born. It is not of the configuration:
    /// another catalogue in this one's place has the same.
    pub sparkplug: Nodes,
    /// The time of what says none.
    pub now: Now,
}

impl Catalogue {
    /// The lane of readings of this kind.
    pub fn lane(&self, kind: &str) -> Lane {
        match self.urgent.contain(kind) {
            true => Lane::Urgent,
            false => Lane::Telemetry,
        }
    }

    /// The kind of this very name, as messages may write it: `water_level` for `waterLevel`.
    pub(crate) fn kind_called(&self, name: &str) -> Option<&str> {
        let mut bytes = [0; ReadingKind::BYTES_MAX];
        let kind = snake(name, &mut bytes)?;
        let known = self.kind_units.get_key_value(kind);
        known.map(|(kind, _)| &**kind)
    }
}

/// A name in lower case, with underscores where words meet, as kinds of reading are named; `None`
/// if that is too long for one.
fn snake<'b>(name: &str, bytes: &'b mut [u8; ReadingKind::BYTES_MAX]) -> Option<&'b str> {
    let (mut length, mut follows_lower) = (0, false);
    let mut put = |byte| {
        *bytes.get_mut(length)? = byte;
        length += 1;
        Some(())
    };
    for byte in name.bytes() {
        if byte.is_ascii_uppercase() && follows_lower {
            put(b'_')?;
        }
        put(match byte {
            b' ' => b'_',
            byte => byte.to_ascii_lowercase(),
        })?;
        follows_lower = byte.is_ascii_lowercase() || byte.is_ascii_digit();
    }
    std::str::from_utf8(&bytes[..length]).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_kinds_as_they_are_written() {
        let snaked = |name: &str| {
            let mut bytes = [0; ReadingKind::BYTES_MAX];
            snake(name, &mut bytes).map(str::to_owned)
        };
        for (name, kind) in [
            ("waterLevel", "water_level"),
            ("PM25", "pm25"),
            ("Street Water", "street_water"),
            ("temperature", "temperature"),
        ] {
            assert_eq!(snaked(name).as_deref(), Some(kind));
        }
        assert_eq!(snaked(&"a".repeat(64)), Some("a".repeat(64)));
        assert_eq!(snaked(&"a".repeat(65)), None);
    }
}
