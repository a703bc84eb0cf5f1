//! What a reading names of what its source reported before, and takes the place of.
//!
//! Arrives: a text of names with blanks between them. Leaves: which ids of readings are meant: the
//! one that is the name, and those that begin with the name and a `/`, so that one name is enough
//! for a message that was several reports. Promise: no more than a bounded number of names is read.
//! Next: `correlate/replaced.rs`.

use std::collections::BTreeSet;

use crate::id::ReadingId;
use crate::limits::REPLACED_NAMES_MAX;

/// The names in a text.
pub(crate) fn named(names: &str) -> impl Iterator<Item = &str> {
    names.split_ascii_whitespace().take(REPLACED_NAMES_MAX)
}

/// Ids of readings that stand together in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meant {
    /// The one that is the name.
    Itself(ReadingId),
    /// Those that begin so: the name and a `/`.
    Under(String),
}

impl Meant {
    /// Whether a reading is among them.
    pub fn means(&self, reading: &ReadingId) -> bool {
        match self {
            Self::Itself(own) => own == reading,
            Self::Under(text) => reading.as_str().starts_with(text),
        }
    }
}

/// What the names in a text mean, each once, with the first id that may be meant: what is looked
/// through from there on until one is not meant holds nothing else.
pub(crate) fn meant(names: &str) -> BTreeSet<(ReadingId, Meant)> {
    let meant = named(names).flat_map(|name| {
        let itself = name.parse::<ReadingId>().ok();
        let itself = itself.map(|own| (own.clone(), Meant::Itself(own)));
        let under = format!("{name}/");
        let first = under.parse::<ReadingId>().ok();
        itself
            .into_iter()
            .chain(first.map(|first| (first, Meant::Under(under))))
    });
    meant.collect()
}

/// Whether a name means this reading.
pub(crate) fn is_of(reading: &ReadingId, name: &str) -> bool {
    let rest = reading.as_str().strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether one of the names in a text means this reading.
pub(crate) fn is_named(reading: &ReadingId, names: &str) -> bool {
    named(names).any(|name| is_of(reading, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_an_id_and_what_goes_on_behind_a_slash() {
        let is = |id: &str, names: &str| is_named(&id.parse().unwrap(), names);
        assert!(is("a,1/0/1", "b,1 a,1"));
        assert!(is("a,1", "a,1"));
        assert!(!is("a,10/0/1", "a,1"));
        assert!(!is("a,1", "a,1/0"));
        assert!(!is("a,1", ""));
    }

    #[test]
    fn what_is_meant_is_what_the_names_mean_each_once() {
        let ids = ["a,1", "a,1/0", "a,1/0/1", "a,10", "a,10/0", "a,1-/0", "b"];
        let ids = ids.map(|id| id.parse::<ReadingId>().unwrap());
        for names in ["a,1", "a,1 a,1 b", "a,10 c", "a", ""] {
            let meant = meant(names);
            for id in &ids {
                let times = meant.iter().filter(|(_, meant)| meant.means(id)).count();
                assert_eq!(times, usize::from(is_named(id, names)), "{id:?} {names}");
            }
            let in_order = meant.iter().all(|(first, meant)| match meant {
                Meant::Itself(own) => own == first,
                Meant::Under(text) => first.as_str() == text,
            });
            assert!(in_order, "{names}");
        }
    }

    #[test]
    fn p5_no_more_names_are_read_than_the_bound() {
        let names: Vec<_> = (0..=REPLACED_NAMES_MAX).map(|n| n.to_string()).collect();
        let last = REPLACED_NAMES_MAX.to_string().parse().unwrap();
        let before = (REPLACED_NAMES_MAX - 1).to_string().parse().unwrap();
        assert!(is_named(&before, &names.join(" ")));
        assert!(!is_named(&last, &names.join(" ")));
    }
}
