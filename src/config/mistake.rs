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

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.what),
            key => write!(f, "{} {key}: {}", self.place, self.what),
        }
    }
}

/// All mistakes of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes {
    kept: Vec<Mistake>,
    beyond: usize,
    /// What is allowed, and probably not meant: no mistake.
    doubts: Vec<Mistake>,
}

impl Mistakes {
    /// The most mistakes that are kept; a file of noise makes no more.
    pub const COUNT_MAX: usize = 200;

    /// Adds one.
    pub fn add(&mut self, place: &Place, key: &str, what: impl Into<String>) {
        if self.kept.len() == Self::COUNT_MAX {
            self.beyond += 1;
            return;
        }
        self.kept.push(Mistake {
            place: place.clone(),
            key: key.to_owned(),
            what: what.into(),
        });
    }

    /// Adds what is allowed, and probably not meant.
    pub fn doubt(&mut self, place: &Place, key: &str, what: impl Into<String>) {
        if self.doubts.len() < Self::COUNT_MAX {
            self.doubts.push(Mistake {
                place: place.clone(),
                key: key.to_owned(),
                what: what.into(),
            });
        }
    }

    /// What is allowed, and probably not meant, as a list of its own.
    pub fn take_doubts(&mut self) -> Self {
        Self {
            kept: std::mem::take(&mut self.doubts),
            ..Self::default()
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many there are, with those that were not kept.
    pub const fn count(&self) -> usize {
        self.kept.len() + self.beyond
    }

    /// The mistakes that were kept, by file and line.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        let mut sorted: Vec<_> = self.kept.iter().collect();
        sorted.sort();
        sorted.into_iter()
    }

    /// Adds all of another list.
    pub fn append(&mut self, other: Self) {
        self.beyond += other.beyond;
        for mistake in other.kept {
            self.add(&mistake.place, &mistake.key, mistake.what);
        }
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
        match self.beyond {
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
}
