//! What a credential may say: which sensors it may publish, which devices it may speak for.
//!
//! Arrives: the words of a file of keys or users, each a name, or the beginning of names with a `*`
//! behind it. Leaves: whether a sensor or a device is among them. Bound: [`SENSORS_MAX`].

use std::collections::HashSet;
use std::sync::Arc;

use ioc_core::id::SensorId;

/// The most sensors, and beginnings of sensors' names, of one credential.
pub const SENSORS_MAX: usize = 10_000;

/// What a client may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The sensors that it may publish readings of.
    pub sensors: Sensors,
    /// The devices that it may speak for, and so hear the commands of.
    pub devices: Devices,
}

impl Rights {
    /// Everything: where nobody is asked who he is.
    pub const ALL: Self = Self {
        sensors: Sensors::Every,
        devices: Devices::Every,
    };
}

/// The sensors that somebody may publish readings of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sensors {
    /// All.
    Every,
    /// Those that are named, or whose names begin so.
    These(Arc<Named>),
}

/// Sensors by their names, and by the beginnings of their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    names: HashSet<Box<str>>,
    beginnings: Vec<Box<str>>,
}

/// Words that name no sensors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SensorsError {
    /// There is none.
    #[error("no sensor is named; write their names, `hydro-*` for all that begin so, `*` for all")]
    None,
    /// There are too many.
    #[error("at most {SENSORS_MAX} sensors are named; write `hydro-*` for all that begin so")]
    TooMany,
    /// One of them is none.
    #[error("`{0}` is neither a sensor nor the beginning of one and `*`")]
    Word(String),
}

impl Sensors {
    /// The sensors that these words name.
    ///
    /// # Errors
    /// They do not.
    pub fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, SensorsError> {
        let mut named = Named::default();
        for word in words {
            if named.names.len() + named.beginnings.len() == SENSORS_MAX {
                return Err(SensorsError::TooMany);
            }
            match word.strip_suffix('*') {
                // A beginning that is a sensor's name can go on as one.
                Some(beginning) if beginning.is_empty() || SensorId::is_valid(beginning) => {
                    named.beginnings.push(beginning.into());
                }
                None if SensorId::is_valid(word) => {
                    named.names.insert(word.into());
                }
                Some(_) | None => return Err(SensorsError::Word(word.to_owned())),
            }
        }
        match named.names.is_empty() && named.beginnings.is_empty() {
            true => Err(SensorsError::None),
            false => Ok(Self::These(Arc::new(named))),
        }
    }

    /// None at all.
    pub fn none() -> Self {
        Self::These(Arc::default())
    }

    /// Whether this one is among them.
    #[inline]
    pub fn have(&self, sensor: &str) -> bool {
        match self {
            Self::Every => true,
            Self::These(named) => {
                let mut beginnings = named.beginnings.iter();
                named.names.contains(sensor)
                    || beginnings.any(|beginning| sensor.starts_with(&**beginning))
            }
        }
    }
}

/// Which devices a client may speak for, and so hear the commands of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// All: where nobody is asked who he is.
    Every,
    /// Those whose names are one of these; one that ends in `*` stands for all that begin so.
    These(Arc<[Box<str>]>),
}

impl Devices {
    /// The devices of these names and beginnings of names.
    pub fn these<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::These(names.into_iter().map(Into::into).collect())
    }

    /// Whether this one is among them.
    pub fn have(&self, device: &str) -> bool {
        let is_it = |name: &str| match name.strip_suffix('*') {
            Some(beginning) => device.starts_with(beginning),
            None => name == device,
        };
        match self {
            Self::Every => true,
            Self::These(names) => names.iter().any(|name| is_it(name)),
        }
    }

    /// Whether there may be any.
    pub fn are_some(&self) -> bool {
        match self {
            Self::Every => true,
            Self::These(names) => !names.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_sensors_are_named_whole_or_by_how_their_names_begin() {
        let of = |words: &[&str]| Sensors::of_words(words.iter().copied());
        let own = of(&["wl-1", "hydro.*"]).unwrap();
        assert!(own.have("wl-1") && own.have("hydro.7") && own.have("hydro."));
        assert!(!own.have("wl-12") && !own.have("hydro") && !own.have("x"));
        assert!(of(&["*"]).unwrap().have("anything") && Sensors::Every.have("anything"));
        assert!(!Sensors::none().have("anything"));
        assert_eq!(of(&[]), Err(SensorsError::None));
        for word in ["wl/1", "w*l", "**", "/*"] {
            assert_eq!(of(&[word]), Err(SensorsError::Word(word.to_owned())));
        }
    }

    #[test]
    fn p5_no_more_sensors_are_named_than_the_bound() {
        let words: Vec<_> = (0..=SENSORS_MAX)
            .map(|number| format!("s{number}"))
            .collect();
        let of = |count: usize| Sensors::of_words(words[..count].iter().map(String::as_str));
        assert!(of(SENSORS_MAX).is_ok());
        assert_eq!(of(SENSORS_MAX + 1), Err(SensorsError::TooMany));
    }
}
