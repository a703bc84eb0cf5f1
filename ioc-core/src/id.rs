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
    /// Who acts: a person at a console, or a machine.
    Actor, "an actor", 64, "1 to 64 bytes without control characters", is_printable
}
name! {
    /// A person's request, chosen by the console, so that sending it again does not act twice.
    RequestId, "a request id", 64, "1 to 64 of letters, digits and . _ : @ -", is_name
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
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    const BITS: u32 = 50;

    /// The id of the incident that began with these parts, for example
    /// (incident kind, sensor, reading id).
    pub fn derive(parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u32).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.finalize();
        let first = digest
            .as_bytes()
            .first_chunk()
            .expect("a digest is 32 bytes");
        Self(u64::from_le_bytes(*first) >> (64 - Self::BITS))
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
            *digit = Self::ALPHABET[(self.0 >> (5 * place)) as usize & 31];
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
        let error = IdError {
            what: "an incident's id",
            rule: "inc- and ten base 32 digits",
        };
        let digits = text.strip_prefix("inc-").ok_or(error.clone())?.as_bytes();
        if digits.len() != Self::DIGITS {
            return Err(error);
        }
        let mut bits = 0;
        for digit in digits {
            let value = Self::ALPHABET
                .iter()
                .position(|a| a == digit)
                .ok_or(error.clone())?;
            bits = bits << 5 | value as u64;
        }
        Ok(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
