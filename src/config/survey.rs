//! What in a directory is a configuration, and what only looks like one.
//!
//! Arrives: a configuration directory. Leaves: a mistake if it holds no part of a configuration (a
//! wrong path must not run the shipped rules in silence), and warnings of parts that are taken from
//! what is compiled in and of files that nobody reads. Not here: what the files hold. Next:
//! `source.rs`.

use std::fs;
use std::path::Path;

use super::mistake::{Mistakes, Place};
use super::settings;
use super::source::{CITY, KINDS, MAPPINGS, RULES};
use super::suggest::did_you_mean;

/// The city, packed.
const CITY_PACKED: &str = "city.geojson.gz";
/// Everything that a configuration directory may hold and that is read.
const PARTS: [&str; 6] = [settings::FILE, KINDS, RULES, MAPPINGS, CITY, CITY_PACKED];
/// What the names of files end in that look like a part of a configuration.
const ENDINGS: [&str; 5] = [".yaml", ".yml", ".geojson", ".geojson.gz", ".json"];
/// The most entries of a directory that are looked at; beyond, none is spoken of.
const ENTRIES_MAX: usize = 10_000;

/// Looks at the names in a directory. A city may be missing if `city_is_given` from elsewhere.
pub fn look(dir: &Path, city_is_given: bool, mistakes: &mut Mistakes, warnings: &mut Mistakes) {
    let place = Place::whole(&dir.display().to_string());
    let is_there = |part: &&str| dir.join(part).exists();
    if !PARTS.iter().any(is_there) {
        let what = format!(
            "no configuration here; expected {}, {KINDS}, {RULES}, {MAPPINGS}, {CITY} or {CITY_PACKED}",
            settings::FILE
        );
        mistakes.add(&place, "", what);
        return strangers(dir, mistakes);
    }
    for (part, instead) in [
        (settings::FILE, "every setting has its default"),
        (KINDS, "the shipped kinds are used"),
        (RULES, "the shipped rules are used"),
    ] {
        if !is_there(&part) {
            warnings.add(&place, "", format!("no {part} here: {instead}"));
        }
    }
    if !city_is_given && !is_there(&CITY) && !is_there(&CITY_PACKED) {
        let what = format!("no {CITY} here: no sensor is registered, none is in a zone");
        warnings.add(&place, "", what);
    }
    strangers(dir, warnings);
}

/// Tells of what looks like a part of a configuration and is not read.
fn strangers(dir: &Path, told: &mut Mistakes) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.take(ENTRIES_MAX) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.path().is_dir();
        if let Some(what) = stranger(&name, is_dir) {
            let place = Place::whole(&entry.path().display().to_string());
            told.add(&place, "", what);
        }
    }
}

/// What to say of an entry of this name, if it is not read and looks as if it should be.
fn stranger(name: &str, is_dir: bool) -> Option<String> {
    let rules = RULES.trim_end_matches('/');
    if is_dir {
        let hint = did_you_mean(name, [rules]);
        return (name != rules && !hint.is_empty()).then(|| format!("is not read{hint}"));
    }
    let looks_like_a_part = ENDINGS.iter().any(|ending| name.ends_with(ending));
    if PARTS.contains(&name) || name.starts_with('.') || !looks_like_a_part {
        return None;
    }
    let hint = match did_you_mean(name, PARTS) {
        none if none.is_empty() && is_yaml(name) => format!("; rules are read from {RULES}"),
        hint => hint,
    };
    Some(format!("is not read{hint}"))
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn look_at(entries: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        for name in entries {
            match name.strip_suffix('/') {
                Some(name) => fs::create_dir(dir.path().join(name)).unwrap(),
                None => fs::write(dir.path().join(name), "").unwrap(),
            }
        }
        let (mut mistakes, mut warnings) = Default::default();
        look(dir.path(), false, &mut mistakes, &mut warnings);
        let text = format!("mistakes:\n{mistakes}\nwarnings:\n{warnings}");
        text.replace(&dir.path().display().to_string(), "DIR")
    }

    #[test]
    fn a_directory_without_a_configuration_is_a_mistake() {
        expect![[r#"
            mistakes:
            DIR: no configuration here; expected ioc.yaml, kinds.yaml, rules/, mappings.yaml, city.geojson or city.geojson.gz
            warnings:
        "#]].assert_eq(&look_at(&[]));
        expect![[r#"
            mistakes:
            DIR: no configuration here; expected ioc.yaml, kinds.yaml, rules/, mappings.yaml, city.geojson or city.geojson.gz
            DIR/Rules: is not read; did you mean `rules`?
            DIR/flood.yaml: is not read; rules are read from rules/
            DIR/kinds.yml: is not read; did you mean `kinds.yaml`?
            warnings:
        "#]].assert_eq(&look_at(&[
            "Rules/",
            "flood.yaml",
            "kinds.yml",
            "notes.txt",
        ]));
    }

    #[test]
    fn parts_that_are_compiled_in_and_files_that_nobody_reads_are_warned_of() {
        expect![[r#"
            mistakes:

            warnings:
            DIR: no city.geojson here: no sensor is registered, none is in a zone
            DIR: no ioc.yaml here: every setting has its default
            DIR: no rules/ here: the shipped rules are used
            DIR/City.geojson: is not read; did you mean `city.geojson`?
            DIR/rule: is not read; did you mean `rules`?"#]]
        .assert_eq(&look_at(&["kinds.yaml", "rule/", "old/", "City.geojson"]));
        expect![[r#"
            mistakes:

            warnings:
            DIR: no city.geojson here: no sensor is registered, none is in a zone
            DIR: no ioc.yaml here: every setting has its default
            DIR: no kinds.yaml here: the shipped kinds are used
            DIR/city.json: is not read; did you mean `city.geojson`?
            DIR/flood.yaml: is not read; rules are read from rules/"#]]
        .assert_eq(&look_at(&["rules/", "flood.yaml", "users", "city.json"]));
        let whole = [
            "ioc.yaml",
            "kinds.yaml",
            "rules/",
            "city.geojson.gz",
            ".x.yaml",
        ];
        assert_eq!(look_at(&whole), "mistakes:\n\nwarnings:\n");
    }

    #[test]
    fn p5_a_directory_of_many_files_is_looked_at_in_part() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..ENTRIES_MAX + 10 {
            fs::write(dir.path().join(format!("{number}.yaml")), "").unwrap();
        }
        let mut told = Mistakes::default();
        strangers(dir.path(), &mut told);
        assert_eq!(told.count(), ENTRIES_MAX);
    }
}
