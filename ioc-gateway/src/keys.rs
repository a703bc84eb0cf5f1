//! API keys: who may push over HTTP, and for which sensors.
//!
//! Arrives: lines of a file, each a name, the hash of a key, the sensors that it may publish, and
//! behind `devices=` the devices that it may speak for; then what requests show. Leaves: the [`Key`] that was shown, or none. Promise: the keys
//! themselves are not kept, and a comparison takes as long for a wrong one as for the right one.
//! A key is 128 random bits, so that nobody guesses it and its hash needs no salt. Not here: where
//! the file lies and who may read it (the host's `servers.rs`).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use ioc_core::id::ActuatorId;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::door::{Door, Source};
use crate::formats::{Reason, Reject, cut};
use crate::options::HttpOptions;
use crate::rights::{Devices, Rights, Sensors, SensorsError};

/// The most keys of a file.
pub const KEYS_MAX: usize = 10_000;
/// The longest name of a key.
const NAME_BYTES_MAX: usize = 64;
/// The most devices, and beginnings of devices' names, of one key.
const DEVICES_MAX: usize = 1024;
/// What a word begins with that names devices: no sensor is called so.
const DEVICES: &str = "devices=";
/// What every key begins with, so that people and scanners for secrets know one when they see it.
const KEY_BEGINS: &str = "ioc_";

/// A key, as far as it is kept.
#[derive(Debug)]
pub struct Key {
    source: Box<str>,
    /// What its holder may still send, once something has come.
    quota: OnceLock<Source>,
    /// What is served of it, once something is.
    served: OnceLock<Served>,
    hash: blake3::Hash,
    rights: Rights,
}

/// What of one key may be served at once: whoever has it takes no more from all others.
#[derive(Debug)]
pub(crate) struct Served {
    /// Requests that are taken whole.
    pub whole: Arc<Semaphore>,
    /// Those that are taken line by line.
    pub lines: Arc<Semaphore>,
}

/// All keys, by name.
#[derive(Default)]
pub struct Keys(HashMap<Box<str>, Arc<Key>>);

/// What is wrong with a line of a file of keys. It never quotes a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyLineError {
    /// There is no name, or no hash.
    #[error("not a name, a hash and sensors; `ioc key new NAME SENSORS` makes a line")]
    Incomplete,
    /// The name is none.
    #[error("`{0}` is no name of a key: 1 to {NAME_BYTES_MAX} letters, digits, `.` and `-`")]
    Name(String),
    /// The hash is none.
    #[error(
        "the second word is not the hash of a key (64 hexadecimal digits); if it is the key \
         itself, others may have read it: make a new one with `ioc key new`"
    )]
    Hash,
    /// What follows names no sensors.
    #[error(transparent)]
    Sensors(#[from] SensorsError),
    /// What follows names devices that cannot be.
    #[error("`{0}` is neither a device nor the beginning of one and `*`")]
    Device(String),
    /// What follows names too many.
    #[error("at most {DEVICES_MAX} devices are named; write `gate-*` for all that begin so")]
    TooManyDevices,
}

impl Key {
    /// The name and the key of a line of a file of keys.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_line(line: &str) -> Result<(&str, Self), KeyLineError> {
        let mut words = line.split_whitespace();
        let (Some(name), Some(hash)) = (words.next(), words.next()) else {
            return Err(KeyLineError::Incomplete);
        };
        check_name(name)?;
        let hash = blake3::Hash::from_hex(hash).map_err(|_| KeyLineError::Hash)?;
        let rights = rights(words)?;
        let source = format!("http {name}").into();
        let key = Self {
            source,
            quota: OnceLock::new(),
            served: OnceLock::new(),
            hash,
            rights,
        };
        Ok((name, key))
    }

    /// Who sent what comes with this key, as dead letters name it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What its holder may still send.
    pub fn quota(&self, door: &Door) -> &Source {
        self.quota.get_or_init(|| door.source())
    }

    /// What may be served of it at once.
    pub(crate) fn served(&self, options: &HttpOptions) -> &Served {
        self.served.get_or_init(|| Served {
            whole: Arc::new(Semaphore::new(options.key_requests_max)),
            lines: Arc::new(Semaphore::new(options.key_streams_max)),
        })
    }

    /// An error if it may not publish readings of this sensor, with what to write.
    pub(crate) fn check(&self, sensor: &str) -> Result<(), Reject> {
        if self.may(sensor) {
            return Ok(());
        }
        let detail = format!(
            "this key may not publish `{sensor}`; name the sensor in the key's line of \
             http.keys_file"
        );
        Err(Reject::new(Reason::SensorNotOfKey, detail))
    }

    /// An error if it may not speak for this device, with what to write.
    pub(crate) fn check_device(&self, device: &str) -> Result<(), Reject> {
        if self.rights.devices.have(device) {
            return Ok(());
        }
        let device = cut(device);
        let detail = format!(
            "this key may not speak for `{device}`; name the device in the key's line of \
             http.keys_file, as `{DEVICES}{device}`"
        );
        Err(Reject::new(Reason::FeedbackNotAllowed, detail))
    }

    /// Whether it may publish readings of this sensor.
    pub fn may(&self, sensor: &str) -> bool {
        self.rights.sensors.have(sensor)
    }
}

/// What the words of a line open: sensors by their names, devices behind `devices=`. Who may
/// publish all sensors speaks for no device: a command is over when its device says so.
fn rights<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Rights, KeyLineError> {
    let (mut sensors, mut devices) = (Vec::new(), Vec::new());
    for word in words {
        match word.strip_prefix(DEVICES) {
            None => sensors.push(word),
            Some(names) => devices.extend(names.split(',')),
        }
    }
    if devices.len() > DEVICES_MAX {
        return Err(KeyLineError::TooManyDevices);
    }
    let is_device = |name: &str| match name.strip_suffix('*') {
        Some(beginning) => beginning.is_empty() || ActuatorId::is_valid(beginning),
        None => ActuatorId::is_valid(name),
    };
    if let Some(none) = devices.iter().find(|name| !is_device(name)) {
        return Err(KeyLineError::Device((*none).to_owned()));
    }
    let sensors = match (sensors.is_empty(), devices.is_empty()) {
        (true, false) => Sensors::none(),
        (_, _) => Sensors::of_words(sensors)?,
    };
    Ok(Rights {
        sensors,
        devices: Devices::these(devices),
    })
}

impl Keys {
    /// These keys; a name that is there twice keeps the first.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, Key)>) -> Self {
        let mut all = Self::default();
        for (name, key) in keys {
            all.0.entry(name.into()).or_insert_with(|| Arc::new(key));
        }
        all
    }

    /// The key that this is. A name that does not exist takes as long as one whose key is wrong.
    pub fn find(&self, shown: &str) -> Option<Arc<Key>> {
        let name = shown.strip_prefix(KEY_BEGINS)?.rsplit_once('_')?.0;
        let key = self.0.get(name);
        let hash = blake3::hash(shown.as_bytes());
        let expected = key.map_or([0; 32], |key| *key.hash.as_bytes());
        let same = bool::from(hash.as_bytes().ct_eq(&expected));
        key.filter(|_| same).cloned()
    }

    /// The key whose messages this is the source of.
    pub fn of_source(&self, source: &str) -> Option<Arc<Key>> {
        self.0.get(source.strip_prefix("http ")?).cloned()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// A new key, and its line for the file.
pub struct NewKey {
    /// The key: to be shown once.
    pub key: String,
    /// What the file needs to know of it.
    pub line: String,
}

impl NewKey {
    /// A key of this name for these sensors, and for the devices behind `devices=`, from 16 random
    /// bytes.
    ///
    /// # Errors
    /// The name, the sensors or the devices cannot be those of a key.
    pub fn new(name: &str, sensors: &[String], random: [u8; 16]) -> Result<Self, KeyLineError> {
        check_name(name)?;
        rights(sensors.iter().map(|sensor| &**sensor))?;
        let secret = u128::from_be_bytes(random);
        let key = format!("{KEY_BEGINS}{name}_{secret:032x}");
        let hash = blake3::hash(key.as_bytes()).to_hex();
        let line = format!("{name} {hash} {}", sensors.join(" "));
        Ok(Self { key, line })
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

fn check_name(name: &str) -> Result<(), KeyLineError> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_of_name);
    if is_name {
        Ok(())
    } else {
        Err(KeyLineError::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, sensors: &[&str]) -> NewKey {
        let sensors: Vec<_> = sensors.iter().map(|&sensor| sensor.to_owned()).collect();
        NewKey::new(name, &sensors, [name.len() as u8; 16]).unwrap()
    }

    #[test]
    fn p8_a_key_opens_what_its_line_says_and_nothing_else_does() {
        let pump = new("pump-house", &["wl-1", "hydro.*"]);
        let other = new("other", &["*"]);
        let lines = [&pump.line, &other.line].map(|line| Key::of_line(line).unwrap());
        let keys = Keys::new(lines);
        let key = keys.find(&pump.key).unwrap();
        assert_eq!(key.source(), "http pump-house");
        assert!(key.may("wl-1") && key.may("hydro.7") && key.may("hydro."));
        assert!(!key.may("wl-12") && !key.may("hydro") && !key.may("x"));
        assert!(keys.find(&other.key).unwrap().may("anything"));
        assert!(keys.of_source("http other").is_some());
        assert!(keys.of_source("http").is_none() && keys.of_source("mqtt other").is_none());
        let secret = pump.key.rsplit_once('_').unwrap().1;
        for wrong in [
            "",
            "ioc_",
            "ioc_pump-house",
            "ioc_pump-house_",
            &format!("ioc_other_{secret}"),
            &format!("ioc_nobody_{secret}"),
            &format!("{}0", pump.key),
            &pump.key.to_uppercase(),
            &pump.line,
        ] {
            assert!(keys.find(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn p8_neither_the_line_nor_what_is_printed_holds_the_key() {
        let pump = new("pump", &["wl-1"]);
        let secret = pump.key.rsplit_once('_').unwrap().1;
        let key = Key::of_line(&pump.line).unwrap();
        let printed = format!("{pump:?} {key:?} {}", pump.line);
        assert!(!printed.contains(secret), "{printed}");
    }

    #[test]
    fn p8_a_key_speaks_for_the_devices_of_its_line_and_for_no_others() {
        let of = |words: &[&str]| Key::of_line(&new("k", words).line).unwrap().1;
        let all = of(&["*"]);
        assert!(all.may("siren-1") && all.check_device("siren-1").is_err());
        let own = of(&["wl-1", "devices=siren-1,gate-*", "devices=pump"]);
        for device in ["siren-1", "gate-7", "pump"] {
            assert!(own.check_device(device).is_ok(), "{device}");
        }
        assert!(own.check_device("siren-10").is_err() && !own.may("siren-1"));
        let no_sensors = of(&["devices=siren-1"]);
        assert!(no_sensors.check_device("siren-1").is_ok() && !no_sensors.may("siren-1"));
        let hash = "0".repeat(64);
        for wrong in ["devices=", "devices=a/b", "devices=a,,b"] {
            let refused = Key::of_line(&format!("k {hash} * {wrong}")).unwrap_err();
            assert!(matches!(refused, KeyLineError::Device(_)), "{wrong}");
        }
    }

    #[test]
    fn p5_devices_of_a_key_have_a_bound() {
        let hash = "0".repeat(64);
        let of = |count: usize| {
            let names: Vec<_> = (0..count).map(|number| format!("d{number}")).collect();
            let line = format!("k {hash} devices={}", names.join(","));
            Key::of_line(&line).map(|_| ())
        };
        assert_eq!(of(DEVICES_MAX), Ok(()));
        assert_eq!(of(DEVICES_MAX + 1), Err(KeyLineError::TooManyDevices));
    }

    #[test]
    fn a_line_that_is_wrong_is_told_with_what_to_write() {
        let hash = "0".repeat(64);
        let wrong = |line: &str| Key::of_line(line).unwrap_err();
        assert_eq!(wrong("pump"), KeyLineError::Incomplete);
        assert_eq!(wrong("pump ioc_pump_1234 wl-1"), KeyLineError::Hash);
        let none = SensorsError::None.into();
        assert_eq!(wrong(&format!("pump {hash}")), none);
        for name in ["a_b", "a/b", &"x".repeat(NAME_BYTES_MAX + 1)] {
            let line = format!("{name} {hash} *");
            assert_eq!(wrong(&line), KeyLineError::Name(name.to_owned()));
        }
    }
}
