//! Typed access to the YAML tree that collects every mistake instead of stopping at the first.
//!
//! Arrives: [`Node`]s. Leaves: values of the right type and range, or `None` with a mistake that
//! says what to write. A reader asks for all the keys it knows, calls [`Section::finish`], and
//! only then gives up on what is missing. Next: `settings.rs`, `rules.rs`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ioc_core::time::Millis;

use super::mistake::{Mistakes, Place};
use super::quantity::{self, show_span};
use super::suggest::did_you_mean;
use super::yaml::{Entry, Node, Value};

/// A value under its path: `detections.river-high.above`.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// The keys on the way to it, separated by dots.
    pub path: String,
    /// The value.
    pub node: &'a Node,
}

impl<'a> Field<'a> {
    /// Says that something is wrong with it.
    pub fn wrong(&self, mistakes: &mut Mistakes, what: impl Into<String>) {
        mistakes.add(&self.node.place, &self.path, what);
    }

    /// Says that it is allowed, and probably not meant.
    pub fn doubtful(&self, mistakes: &mut Mistakes, what: impl Into<String>) {
        mistakes.doubt(&self.node.place, &self.path, what);
    }

    /// A file, which may be written as seen from `dir`. That none is there is told: another machine
    /// may have it.
    pub fn file(
        &self,
        dir: Option<&Path>,
        mistakes: &mut Mistakes,
        wanted: &str,
    ) -> Option<PathBuf> {
        let written = self.text(mistakes, wanted)?;
        let path = dir.unwrap_or(Path::new("")).join(written);
        if !path.exists() {
            let shown = path.display();
            let what = format!("there is no file {shown}; `ioc run` does not start without it");
            self.doubtful(mistakes, what);
        }
        Some(path)
    }

    /// The identity that the key of this value is, for example a rule's name.
    pub fn name<T: FromStr<Err: Display>>(&self, key: &str, mistakes: &mut Mistakes) -> Option<T> {
        let name = key.parse().map_err(|error| format!("`{key}`: {error}"));
        name.map_err(|what| self.wrong(mistakes, what)).ok()
    }

    /// The scalar as written; `wanted` says what it should be.
    pub fn text(&self, mistakes: &mut Mistakes, wanted: &str) -> Option<&'a str> {
        let found = match &self.node.value {
            Value::Text(text) => return Some(text),
            Value::Empty => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "keys",
        };
        self.wrong(mistakes, format!("{found} is not {wanted}"));
        None
    }

    /// The scalar read by `read`; `wanted` says what it should be, with an example.
    pub fn read<T>(
        &self,
        mistakes: &mut Mistakes,
        wanted: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(mistakes, wanted)?;
        let value = read(text);
        if value.is_none() {
            self.wrong(mistakes, format!("`{text}` is not {wanted}"));
        }
        value
    }

    /// A name that parses itself.
    pub fn parsed<T: FromStr<Err: Display>>(&self, mistakes: &mut Mistakes) -> Option<T> {
        let text = self.text(mistakes, "a name")?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(mistakes, format!("`{text}`: {error}"));
                None
            }
        }
    }

    /// A whole number within a range.
    pub fn integer(&self, mistakes: &mut Mistakes, range: RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let within = |text: &str| quantity::integer(text).filter(|value| range.contains(value));
        self.read(mistakes, &wanted, within)
    }

    /// A number of bytes within a range.
    pub fn bytes(&self, mistakes: &mut Mistakes, range: RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!(
            "a number of bytes from {} to {}, such as `64 MiB`",
            range.start(),
            range.end()
        );
        let within = |text: &str| quantity::bytes(text).filter(|value| range.contains(value));
        self.read(mistakes, &wanted, within)
    }

    /// A span of time within a range.
    pub fn span(&self, mistakes: &mut Mistakes, range: RangeInclusive<Millis>) -> Option<Millis> {
        let (least, most) = (show_span(*range.start()), show_span(*range.end()));
        let wanted = format!("a time from {least} to {most}, such as `90 s`, `5 min` or `2 h`");
        let within = |text: &str| quantity::span(text).filter(|value| range.contains(value));
        self.read(mistakes, &wanted, within)
    }

    /// A distance within a range, in metres.
    pub fn metres(&self, mistakes: &mut Mistakes, range: RangeInclusive<i64>) -> Option<i64> {
        let (least, most) = (range.start(), range.end() / 1000);
        let wanted = format!("a distance from {least} m to {most} km, such as `500 m` or `2 km`");
        let within = |text: &str| quantity::metres(text).filter(|value| range.contains(value));
        self.read(mistakes, &wanted, within)
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, mistakes: &mut Mistakes, words: &[(&str, T)]) -> Option<T> {
        let all = words.iter().map(|(word, _)| *word);
        let wanted = format!("one of {}", all.clone().collect::<Vec<_>>().join(", "));
        let text = self.text(mistakes, &wanted)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let hint = did_you_mean(text, all);
            self.wrong(mistakes, format!("`{text}` is not {wanted}{hint}"));
        }
        found.map(|(_, value)| *value)
    }

    /// The members of a list; a single value is a list of one.
    pub fn items(&self) -> Vec<Field<'a>> {
        let nodes = match &self.node.value {
            Value::List(nodes) => nodes.as_slice(),
            Value::Empty => &[],
            Value::Text(_) | Value::Map(_) => std::slice::from_ref(self.node),
        };
        nodes.iter().map(|node| self.under(node)).collect()
    }

    fn under(&self, node: &'a Node) -> Self {
        Self {
            path: self.path.clone(),
            node,
        }
    }
}

/// A mapping that is being read.
#[derive(Debug)]
pub struct Section<'a> {
    path: String,
    place: &'a Place,
    entries: &'a [Entry],
    /// The keys that were asked for: those that are right here.
    known: Vec<&'static str>,
    /// Keys that had a meaning once or elsewhere, already answered.
    answered: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The mapping in a field. Nothing written is an empty mapping.
    pub fn of(field: &Field<'a>, mistakes: &mut Mistakes) -> Option<Self> {
        let entries = match &field.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Empty => &[],
            Value::Text(_) | Value::List(_) => {
                field.wrong(mistakes, "keys belong here, each as `key: value`");
                return None;
            }
        };
        Some(Self {
            path: field.path.clone(),
            place: &field.node.place,
            entries,
            known: Vec::new(),
            answered: Vec::new(),
        })
    }

    /// The mapping that a whole file is.
    pub fn root(node: &'a Node, mistakes: &mut Mistakes) -> Option<Self> {
        let path = String::new();
        Self::of(&Field { path, node }, mistakes)
    }

    /// The value of a key, if anything is written there.
    pub fn optional(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        let field = self.field(entry);
        (field.node.value != Value::Empty).then_some(field)
    }

    /// The value of a key that must be there; `example` is what to write.
    pub fn required(
        &mut self,
        mistakes: &mut Mistakes,
        key: &'static str,
        example: &str,
    ) -> Option<Field<'a>> {
        let field = self.optional(key);
        if field.is_none() {
            let what = format!("`{key}` is missing; write for example `{key}: {example}`");
            mistakes.add(self.place, &self.path, what);
        }
        field
    }

    /// Answers a key that had a meaning once: it is a mistake that names what to write now.
    pub fn renamed(&mut self, mistakes: &mut Mistakes, old: &'static str, now: &str) {
        self.answered.push(old);
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == old) {
            mistakes.add(&entry.place, &self.path_of(old), format!("is now {now}"));
        }
    }

    /// Whether a key is written, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// All that is written, with the place of each key: for mappings whose keys are names.
    pub fn entries(&self) -> impl Iterator<Item = (&'a Entry, Field<'a>)> {
        self.entries.iter().map(|entry| (entry, self.field(entry)))
    }

    /// Says that something is wrong with it as a whole.
    pub fn wrong(&self, mistakes: &mut Mistakes, what: impl Into<String>) {
        mistakes.add(self.place, &self.path, what);
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, mistakes: &mut Mistakes) {
        for entry in self.entries {
            let key = entry.key.as_str();
            if self.known.contains(&key) || self.answered.contains(&key) {
                continue;
            }
            let hint = match did_you_mean(key, self.known.iter().copied()) {
                none if none.is_empty() => format!("; known here: {}", self.known.join(", ")),
                hint => hint,
            };
            let what = format!("unknown key{hint}");
            mistakes.add(&entry.place, &self.path_of(key), what);
        }
    }

    fn field(&self, entry: &'a Entry) -> Field<'a> {
        Field {
            path: self.path_of(&entry.key),
            node: &entry.value,
        }
    }

    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;
    use expect_test::expect;

    #[test]
    fn a_key_of_former_times_is_answered_and_an_unknown_one_told() {
        let mut mistakes = Mistakes::default();
        let root = yaml::parse(
            "a.yaml",
            "radius: 1 km\nwihtin: 1 km\nx: 1\n",
            &mut mistakes,
        );
        let root = root.unwrap();
        let mut section = Section::root(&root, &mut mistakes).unwrap();
        assert!(section.optional("within").is_none());
        section.renamed(&mut mistakes, "radius", "`within`, as `within: 500 m`");
        section.finish(&mut mistakes);
        expect![[r#"
            a.yaml:1:1 radius: is now `within`, as `within: 500 m`
            a.yaml:2:1 wihtin: unknown key; did you mean `within`?
            a.yaml:3:1 x: unknown key; known here: within"#]]
        .assert_eq(&mistakes.to_string());
    }
}
