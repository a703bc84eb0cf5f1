//! What is wrong with a configuration: every mistake with its place and what to write instead.
//!
//! Arrives: whatever the readers of YAML, settings, rules and city find. Leaves: one sorted list
//! that is shown as a whole, so that nobody repairs a file one message at a time. Promise: bounded;
//! beyond [`Mistakes::COUNT_MAX`] mistakes are only counted. Next: `yaml.rs`.

use std::fmt;
use std::sync::Arc;

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, or the environment variable.
    pub file: Arc<str>,
    /// The line, from 1; 0 if the whole file is meant.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// A file as a whole, or an environment variable.
    pub fn whole(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// One mistake, or one thing to be warned of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// Which key, as a path: `detections.river-high.above`; may be empty.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub what: String,
}

impl Mistake {
    fn at(place: &Place, key: &str, what: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            key: key.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.what),
            key => write!(f, "{} {key}: {}", self.place, self.what),
        }
    }
}

/// All mistakes of a configuration, and beside them what is to be doubted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes {
    wrong: Noted,
    /// What is allowed, and probably not meant: no mistake.
    doubts: Noted,
}

/// What was found, up to a bound; the rest is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Noted {
    kept: Vec<Mistake>,
    beyond: usize,
}

impl Noted {
    fn add(&mut self, mistake: Mistake) {
        match self.kept.len() < Mistakes::COUNT_MAX {
            true => self.kept.push(mistake),
            false => self.beyond += 1,
        }
    }

    fn append(&mut self, other: Self) {
        self.beyond += other.beyond;
        other.kept.into_iter().for_each(|mistake| self.add(mistake));
    }
}

impl Mistakes {
    /// The most mistakes that are kept; a file of noise makes no more.
    pub const COUNT_MAX: usize = 200;

    /// Adds one.
    pub fn add(&mut self, place: &Place, key: &str, what: impl Into<String>) {
        self.wrong.add(Mistake::at(place, key, what));
    }

    /// Adds what is allowed, and probably not meant.
    pub fn doubt(&mut self, place: &Place, key: &str, what: impl Into<String>) {
        self.doubts.add(Mistake::at(place, key, what));
    }

    /// What is allowed, and probably not meant, as a list of its own.
    pub fn take_doubts(&mut self) -> Self {
        Self {
            wrong: std::mem::take(&mut self.doubts),
            doubts: Noted::default(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.wrong.kept.is_empty()
    }

    /// How many there are, with those that were not kept.
    pub const fn count(&self) -> usize {
        self.wrong.kept.len() + self.wrong.beyond
    }

    /// The mistakes that were kept, by file and line.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        let mut sorted: Vec<_> = self.wrong.kept.iter().collect();
        sorted.sort();
        sorted.into_iter()
    }

    /// Adds all of another list, and what it doubts.
    pub fn append(&mut self, other: Self) {
        self.wrong.append(other.wrong);
        self.doubts.append(other.doubts);
    }

    /// `value` if there are no mistakes.
    ///
    /// # Panics
    /// If there is neither a value nor a mistake: a reader gave up without saying why.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value.expect("who returns nothing says why"))
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        match self.wrong.beyond {
            0 => Ok(()),
            beyond => write!(f, "\nand {beyond} more"),
        }
    }
}

impl std::error::Error for Mistakes {}

/// A number of things: `1 sensor`, `2 sensors`.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_bounded_and_sorted_by_place() {
        let mut mistakes = Mistakes::default();
        for line in (1..=Mistakes::COUNT_MAX as u32 + 3).rev() {
            let place = Place {
                line,
                column: 1,
                ..Place::whole("a.yaml")
            };
            mistakes.add(&place, "key", "is wrong");
        }
        let text = mistakes.to_string();
        assert!(text.starts_with("a.yaml:4:1 key: is wrong\na.yaml:5:1"));
        assert!(text.ends_with("and 3 more"));
        assert_eq!(mistakes.count(), Mistakes::COUNT_MAX + 3);
    }

    #[test]
    fn what_is_doubted_is_no_mistake_and_goes_with_its_list() {
        let mut doubted = Mistakes::default();
        for _ in 0..Mistakes::COUNT_MAX + 3 {
            doubted.doubt(&Place::whole("a.yaml"), "key", "is odd");
        }
        assert!(doubted.is_empty());
        let mut all = Mistakes::default();
        all.append(doubted);
        let doubts = all.take_doubts();
        assert_eq!(doubts.count(), Mistakes::COUNT_MAX + 3);
        assert!(doubts.to_string().ends_with("and 3 more"));
        assert_eq!(all.take_doubts().count(), 0);
    }
}
