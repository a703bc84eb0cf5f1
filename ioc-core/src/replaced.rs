//! What a reading names of what its source reported before, and takes the place of.
//!
//! Arrives: a text of names with blanks between them. Leaves: which ids of readings are meant: the
//! one that is the name, and those that begin with the name and a `/`, so that one name is enough
//! for a message that was several reports. Promise: no more than a bounded number of names is read.
//! Next: `correlate/replaced.rs`.

use crate::id::ReadingId;
use crate::limits::REPLACED_NAMES_MAX;

/// The names in a text.
pub(crate) fn named(names: &str) -> impl Iterator<Item = &str> {
    names.split_ascii_whitespace().take(REPLACED_NAMES_MAX)
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
    fn p5_no_more_names_are_read_than_the_bound() {
        let names: Vec<_> = (0..=REPLACED_NAMES_MAX).map(|n| n.to_string()).collect();
        let last = REPLACED_NAMES_MAX.to_string().parse().unwrap();
        let before = (REPLACED_NAMES_MAX - 1).to_string().parse().unwrap();
        assert!(is_named(&before, &names.join(" ")));
        assert!(!is_named(&last, &names.join(" ")));
    }
}
