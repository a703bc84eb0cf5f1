//! What settings are written, to tell which of them a running process does not go by.
//!
//! Arrives: `ioc.yaml` and the environment, at the start and later. Leaves: the keys that have other
//! values by now, or what is wrong with the file, which the next start would refuse.

use std::collections::BTreeMap;
use std::path::Path;

use super::Settings;
use super::layers::Layers;
use crate::config::mistake::Mistakes;
use crate::config::yaml::Value;

/// The value of each key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written(BTreeMap<String, String>);

impl Written {
    /// What is written now.
    ///
    /// # Errors
    /// If a process could not start by it.
    pub fn read(
        dir: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let env: Vec<_> = env.collect();
        Settings::load(dir, env.iter().cloned())?;
        let mut mistakes = Mistakes::default();
        let layers = Layers::read(dir, env.into_iter(), &mut mistakes);
        let written = Self(
            layers
                .values()
                .map(|(key, value)| (key, told(value)))
                .collect(),
        );
        mistakes.or(Some(written))
    }

    /// The keys whose values are others by now.
    pub fn changed(&self, now: &Self) -> Vec<String> {
        let is_other = |key: &&String| self.0.get(*key) != now.0.get(*key);
        now.0.keys().filter(is_other).cloned().collect()
    }
}

/// A value without its place: lines that moved change nothing.
fn told(value: &Value) -> String {
    match value {
        Value::Empty => String::new(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| told(&item.value)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|own| format!("{:?}:{}", own.key, told(&own.value.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn keys_with_other_values_are_named_and_lines_that_moved_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(dir.path().join("ioc.yaml"), text).unwrap();
            Written::read(Some(dir.path()), std::iter::empty())
        };
        let before =
            read("http:\n  hosts: [a.example, b.example]\nlog:\n  filter: info\n").unwrap();
        let moved =
            "# why\nlog:\n  filter: info\nhttp:\n  hosts:\n    - a.example\n    - b.example\n";
        assert_eq!(before.changed(&read(moved).unwrap()), [""; 0]);
        let other = "http:\n  hosts: [a.example]\nwindow:\n  sessions_max: 7\n";
        let changed = before.changed(&read(other).unwrap());
        assert_eq!(changed, ["http.hosts", "window.sessions_max"]);
        assert!(read("http:\n  hots: []\n").is_err());
    }
}
