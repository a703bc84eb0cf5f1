//! The registry of identities: every name that crosses a boundary is parsed here, once.
//!
//! Arrives: text from the wire or from `config/`. Leaves: types that cannot be mixed up and whose
//! existence proves that they are well formed. Next: `time.rs`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not a valid identity. `Display` says what would be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    what: &'static str,
    rule: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.what, self.rule)
    }
}

impl std::error::Error for IdError {}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:literal, $rule:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The longest valid text, in bytes.
            pub const BYTES_MAX: usize = $max;

            /// Whether `text` is valid, without making anything: for decoders that borrow.
            pub fn is_valid(text: &str) -> bool {
                let allowed: fn(u8) -> bool = $allowed;
                !text.is_empty() && text.len() <= $max && text.bytes().all(allowed)
            }

            /// The reason that an invalid text is refused with.
            pub const fn error() -> IdError {
                IdError { what: $what, rule: $rule }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if Self::is_valid(text) { Ok(Self(text.into())) } else { Err(Self::error()) }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'@' | b'-')
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

const fn is_slug(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

const fn is_printable(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}

name! {
    /// A sensor, as its network names it.
    SensorId, "a sensor's name", 128, "1 to 128 of letters, digits and . _ : @ -", is_name
}
name! {
    /// A sensor or an asset, as a place in one of the city's networks.
    NodeId, "a node's name", 128, "1 to 128 of letters, digits and . _ : @ -", is_name
}
name! {
    /// A reading, unique within its sensor.
    ReadingId, "a reading's id", 200, "1 to 200 bytes without control characters", is_printable
}
name! {
    /// What a sensor measures: `water_level`, `smoke`, …
    ReadingKind, "a reading's kind", 64, "1 to 64 of lower-case letters, digits and _", is_word
}
name! {
    /// What an incident is: `flood`, `fire`, …
    IncidentKind, "an incident's kind", 64, "1 to 64 of lower-case letters, digits and _", is_word
}
name! {
    /// A zone of the city. `_` is the zone of what lies in none.
    ZoneId, "a zone's id", 64, "1 to 64 bytes without control characters", is_printable
}
name! {
    /// A detection or correlation rule.
    RuleId, "a rule's name", 64, "1 to 64 of lower-case letters, digits, _ and -", is_slug
}
name! {
    /// What can be ordered to do something: a barrier, a pump, a sign. Also the device's name in
    /// the topics of its commands and of its feedback.
    ActuatorId, "an actuator's name", 128, "1 to 128 of letters, digits and . _ : @ -", is_name
}
name! {
    /// What an actuator is ordered to do: `open`, `close`, …
    CommandName, "a command", 64, "1 to 64 of lower-case letters, digits, _ and -", is_slug
}
name! {
    /// Who acts: a person at a console, or a machine.
    Actor, "an actor", 64, "1 to 64 bytes without control characters", is_printable
}
name! {
    /// A person's request, chosen by the console, so that sending it again does not act twice.
    RequestId, "a request id", 64, "1 to 64 of letters, digits and . _ : @ -", is_name
}

/// A command on its way: what its device tells it by from all others, for ever, so that one that
/// arrives twice is done once. Derived from the order, so it is the same live and replayed.
///
/// Written `cmd-` and twenty digits of Crockford's base 32 (100 bits: no two of all commands that
/// a city will ever give share a key).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandKey(u128);

impl CommandKey {
    const DIGITS: usize = 20;
    const BITS: u32 = 100;

    /// The key of a command that was ordered by these parts.
    pub fn derive(parts: &[&str]) -> Self {
        Self(u128::from_le_bytes(hashed(parts)) >> (128 - Self::BITS))
    }

    /// The bits, for codecs.
    pub const fn to_bits(self) -> u128 {
        self.0
    }

    /// The key with these bits; `None` if there are more than a key has.
    pub const fn from_bits(bits: u128) -> Option<Self> {
        if bits >> Self::BITS == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }
}

impl fmt::Display for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base_32(f, "cmd-", self.0, Self::DIGITS)
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CommandKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bits = base_32(text, "cmd-", Self::DIGITS);
        bits.map(Self).ok_or(IdError {
            what: "a command's key",
            rule: "cmd- and twenty base 32 digits",
        })
    }
}

/// The digits of Crockford's base 32.
const BASE_32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Writes so many digits of base 32, the most significant first, behind a word.
fn write_base_32(f: &mut fmt::Formatter<'_>, word: &str, bits: u128, digits: usize) -> fmt::Result {
    f.write_str(word)?;
    for place in (0..digits).rev() {
        let digit = BASE_32[(bits >> (5 * place)) as usize & 31];
        fmt::Write::write_char(f, digit.into())?;
    }
    Ok(())
}

/// The number that so many digits after a prefix say.
fn base_32(text: &str, prefix: &str, digits: usize) -> Option<u128> {
    let text = text.strip_prefix(prefix)?.as_bytes();
    if text.len() != digits {
        return None;
    }
    text.iter().try_fold(0, |bits, digit| {
        let value = BASE_32.iter().position(|known| known == digit)?;
        Some(bits << 5 | value as u128)
    })
}

/// The beginning of the hash (BLAKE3) of parts that do not run together.
fn hashed<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u32).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let first = digest.as_bytes().first_chunk();
    *first.expect("a digest is 32 bytes")
}

/// An incident. Derived from what it began with, so it is the same live, replayed and offline.
///
/// Written `inc-` and ten digits of Crockford's base 32 (50 bits: among 100,000 incidents two share
/// an id with a probability of about one in 200,000). The order is that of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(u64);

impl IncidentId {
    /// The least.
    pub(crate) const MIN: Self = Self(0);
    const DIGITS: usize = 10;
    const BITS: u32 = 50;

    /// The id of the incident that began with these parts, for example
    /// (incident kind, sensor, reading id).
    pub fn derive(parts: &[&str]) -> Self {
        Self(u64::from_le_bytes(hashed(parts)) >> (64 - Self::BITS))
    }

    /// The bits, for codecs.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The id with these bits; `None` if there are more than an id has.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits >> Self::BITS == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *b"inc-0000000000";
        for (place, digit) in text[4..].iter_mut().rev().enumerate() {
            *digit = BASE_32[(self.0 >> (5 * place)) as usize & 31];
        }
        f.write_str(std::str::from_utf8(&text).expect("base 32 is ASCII"))
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for IncidentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bits = base_32(text, "inc-", Self::DIGITS);
        bits.map(|bits| Self(bits as u64)).ok_or(IdError {
            what: "an incident's id",
            rule: "inc- and ten base 32 digits",
        })
    }
}

/// Something that is kept quiet on purpose. Derived from the request, or from the window of the
/// configuration and when it began, so it is the same live, replayed and offline.
///
/// Written `sup-` and ten digits of Crockford's base 32, as an [`IncidentId`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuppressionId(u64);

impl SuppressionId {
    const DIGITS: usize = 10;
    const BITS: u32 = 50;

    /// The id of what was asked for by these parts, for example (request, time).
    pub fn derive(parts: &[&str]) -> Self {
        Self(u64::from_le_bytes(hashed(parts)) >> (64 - Self::BITS))
    }

    /// The bits, for codecs.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The id with these bits; `None` if there are more than an id has.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits >> Self::BITS == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }
}

impl fmt::Display for SuppressionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base_32(f, "sup-", self.0.into(), Self::DIGITS)
    }
}

impl fmt::Debug for SuppressionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SuppressionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bits = base_32(text, "sup-", Self::DIGITS);
        bits.map(|bits| Self(bits as u64)).ok_or(IdError {
            what: "a suppression's id",
            rule: "sup- and ten base 32 digits",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suppression_id_reads_back_as_it_was_written() {
        let id = SuppressionId::derive(&["r-1", "1773446400000"]);
        assert_eq!(id.to_string().len(), 14);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(SuppressionId::from_bits(id.to_bits()), Some(id));
        assert_eq!(SuppressionId::from_bits(1 << 50), None);
        assert!("inc-0000000000".parse::<SuppressionId>().is_err());
    }

    #[test]
    fn an_incident_id_reads_back_as_it_was_written() {
        let id = IncidentId::derive(&["flood", "wl-0412", "e5c1"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(IncidentId::from_bits(id.to_bits()), Some(id));
        assert_eq!(IncidentId::from_bits(1 << 50), None);
        assert!("inc-7k2q9".parse::<IncidentId>().is_err());
        assert!("inc-000000000u".parse::<IncidentId>().is_err());
    }

    #[test]
    fn a_command_key_reads_back_as_it_was_written() {
        let key = CommandKey::derive(&["gate-7", "r-1", "1773446400000"]);
        assert_eq!(key.to_string().len(), 24);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(CommandKey::from_bits(key.to_bits()), Some(key));
        assert_eq!(CommandKey::from_bits(1 << 100), None);
        assert!("cmd-0".parse::<CommandKey>().is_err());
        assert!(
            IncidentId::derive(&["a"])
                .to_string()
                .parse::<CommandKey>()
                .is_err()
        );
    }

    #[test]
    fn the_parts_of_an_incident_id_do_not_run_together() {
        assert_ne!(
            IncidentId::derive(&["a", "bc"]),
            IncidentId::derive(&["ab", "c"])
        );
    }

    #[test]
    fn names_say_what_would_be_valid() {
        assert!(SensorId::is_valid("wl-0412@basin:upper.1_x"));
        assert!(!SensorId::is_valid("wl 0412"));
        assert!(!SensorId::is_valid(""));
        assert!(!SensorId::is_valid(&"x".repeat(129)));
        let error = "a b".parse::<SensorId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a sensor's name must be 1 to 128 of letters, digits and . _ : @ -"
        );
    }
}
