//! The two lanes of the door: what people must act on at once does not wait behind the rest.
//!
//! Arrives: the kind of a reading. Leaves: its [`Lane`]. Which kinds are urgent is configured, and
//! the same for all sources; so the readings of one kind that a sensor sends keep their order, and
//! one of an urgent kind may be judged before one of another kind that it was sent after. Next:
//! `inputs.rs`.

/// A lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Readings of urgent kinds.
    Urgent,
    /// All other readings, and dead letters.
    Telemetry,
}

impl Lane {
    /// Both, the urgent one first.
    pub const ALL: [Self; 2] = [Self::Urgent, Self::Telemetry];

    /// The word that it is counted by.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Telemetry => "telemetry",
        }
    }
}

/// One of something for each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lanes<T> {
    /// Of the urgent lane.
    pub urgent: T,
    /// Of the telemetry lane.
    pub telemetry: T,
}

impl<T> Lanes<T> {
    /// That of a lane.
    pub const fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Telemetry => &self.telemetry,
        }
    }

    /// That of a lane, to change it.
    pub const fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Telemetry => &mut self.telemetry,
        }
    }

    /// Both, made from their lane.
    pub fn each(mut make: impl FnMut(Lane) -> T) -> Self {
        Self {
            urgent: make(Lane::Urgent),
            telemetry: make(Lane::Telemetry),
        }
    }
}

/// How many inputs, by lane: of one connection, since it began.
pub type Counts = Lanes<u64>;

impl Counts {
    /// Both together.
    pub const fn total(self) -> u64 {
        self.urgent + self.telemetry
    }

    /// Whether these are as many as `other` in both lanes.
    pub const fn cover(self, other: Self) -> bool {
        self.urgent >= other.urgent && self.telemetry >= other.telemetry
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            urgent: self.urgent + other.urgent,
            telemetry: self.telemetry + other.telemetry,
        }
    }
}

/// Names of kinds of readings. They are looked for with every reading, and most of them are not
/// here: that is told by the length alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KindNames {
    /// In order.
    names: Vec<Box<str>>,
    /// A bit for each length, modulo 64, that one of them has.
    lengths: u64,
}

impl KindNames {
    /// Whether this is one of them.
    pub fn contain(&self, kind: &str) -> bool {
        self.lengths & length_bit(kind) != 0
            && self
                .names
                .binary_search_by(|name| (**name).cmp(kind))
                .is_ok()
    }
}

impl<'a> FromIterator<&'a str> for KindNames {
    fn from_iter<I: IntoIterator<Item = &'a str>>(kinds: I) -> Self {
        let mut names: Vec<Box<str>> = kinds.into_iter().map(Into::into).collect();
        names.sort();
        names.dedup();
        let lengths = names.iter().fold(0, |bits, name| bits | length_bit(name));
        Self { names, lengths }
    }
}

const fn length_bit(kind: &str) -> u64 {
    1 << (kind.len() % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_whole_name() {
        let kinds: KindNames = ["seismic", "gas", "emergency_call"].into_iter().collect();
        for urgent in ["seismic", "gas", "emergency_call"] {
            assert!(kinds.contain(urgent), "{urgent}");
        }
        let longer = "g".repeat(64 + 3);
        for other in ["", "air", "gasoline", "traffic", "GAS", &longer] {
            assert!(!kinds.contain(other), "{other}");
        }
        assert!(!KindNames::default().contain(""));
    }
}
