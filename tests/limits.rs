//! `docs/LIMITS.md` against the code: each bound's value, that each test it names exists, each
//! metric, and that no bound of the sources is missing from it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../docs/LIMITS.md");
/// What may happen when a bound is reached.
const ANSWERS: [&str; 6] = ["wait", "conflate", "refuse", "close", "drop", "split"];

/// A bound as the page has it.
#[derive(Debug)]
struct Row {
    name: &'static str,
    file: &'static str,
    value: &'static str,
    answer: &'static str,
    shown_by: &'static str,
    proved_by: &'static str,
}

/// The name and the file of a row's first cell: ``[`NAME`](../path)``.
fn linked(cell: &'static str) -> Option<(&'static str, &'static str)> {
    let (name, file) = cell.strip_prefix("[`")?.split_once("`](../")?;
    Some((name, file.strip_suffix(')')?))
}

fn cells(line: &'static str) -> Vec<&'static str> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    line.split('|').map(str::trim).collect()
}

fn rows() -> Vec<Row> {
    let row = |line: &'static str| {
        let cells = cells(line);
        let [first, value, _of_what, answer, shown_by, proved_by] = cells[..] else {
            return None;
        };
        let (name, file) = linked(first)?;
        Some(Row {
            name,
            file,
            value,
            answer,
            shown_by,
            proved_by,
        })
    };
    PAGE.lines().filter_map(row).collect()
}

/// The constants that the page says are no bounds.
fn not_bounds() -> Vec<(&'static str, &'static str)> {
    let row = |line: &'static str| match cells(line)[..] {
        [first, _] => linked(first),
        _ => None,
    };
    PAGE.lines().filter_map(row).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file, by its path below the root. Tests are among them.
fn sources() -> BTreeMap<String, String> {
    let mut waiting: Vec<PathBuf> = ["src", "tests", "ioc-core", "ioc-gateway", "ioc-ws"]
        .map(|dir| root().join(dir))
        .into();
    let mut sources = BTreeMap::new();
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                sources.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

/// A value in the smallest unit: bytes, milliseconds, or just a number.
type Value = f64;

/// What a cell of the page says: `64 KiB`, `30 s`, `1,048,576`.
fn said(cell: &str) -> Option<Value> {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number: f64 = number.replace(',', "").parse().ok()?;
    let of_unit = match unit {
        "" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "ms" => 1.0,
        "s" => 1000.0,
        "days" => 86_400_000.0,
        _ => return None,
    };
    Some(number * of_unit)
}

/// What an expression of the sources is worth; enough of the language for constants.
fn worth(expression: &str, file: &str) -> Option<Value> {
    let text = expression.trim().trim_end_matches(" as usize");
    for (call, of_unit) in [
        ("Duration::from_secs(", 1000.0),
        ("Duration::from_millis(", 1.0),
        ("Millis::seconds(", 1000.0),
        ("Millis(", 1.0),
    ] {
        if let Some(argument) = text.strip_prefix(call) {
            return Some(worth(argument.strip_suffix(')')?, file)? * of_unit);
        }
    }
    if let Some((left, right)) = text.split_once(" << ") {
        return Some(worth(left, file)? * worth(right, file)?.exp2());
    }
    if let Some((left, right)) = text.split_once(" * ") {
        return Some(worth(left, file)? * worth(right, file)?);
    }
    match text {
        "ZoneId::BYTES_MAX" => Some(ioc_core::id::ZoneId::BYTES_MAX as f64),
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
            let limits = include_str!("../ioc-core/src/limits.rs");
            worth(
                constant(name, file).or_else(|| constant(name, limits))?,
                file,
            )
        }
        number => number.replace('_', "").parse().ok(),
    }
}

/// The expression of a constant.
fn constant<'a>(name: &str, file: &'a str) -> Option<&'a str> {
    let (_, after) = file.split_once(&format!("const {name}: "))?;
    let (_type, after) = after.split_once('=')?;
    Some(after.split_once(';')?.0.trim())
}

/// The expression of a field's default.
fn field<'a>(of: &str, name: &str, file: &'a str) -> Option<&'a str> {
    let default = format!("impl Default for {of} ");
    let inherent = format!("impl {of} ");
    let (_, after) = file
        .split_once(&default)
        .or_else(|| file.split_once(&inherent))?;
    let (_, after) = after.split_once(&format!(" {name}: "))?;
    Some(after.split_once(",\n")?.0.trim())
}

/// The default of a setting as the shipped file writes it.
fn setting<'a>(path: &str, file: &'a str) -> Option<&'a str> {
    let (section, key) = path.split_once('.')?;
    let (_, after) = file.split_once(&format!("\n{section}:\n"))?;
    let (_, after) = after.split_once(&format!("\n  {key}: "))?;
    after.lines().next()
}

/// What the code says of a row's bound.
fn found(row: &Row) -> Option<Value> {
    let file = fs::read_to_string(root().join(row.file)).unwrap();
    if row.file.ends_with(".yaml") {
        let value = said(setting(row.name, &file)?)?;
        let of_unit = match row.name {
            name if name.ends_with("_s") => 1000.0,
            name if name.ends_with("_days") => 86_400_000.0,
            _ => 1.0,
        };
        return Some(value * of_unit);
    }
    let (of, name) = row.name.rsplit_once("::").unwrap_or(("", row.name));
    let is_constant = !name.contains(|c: char| c.is_ascii_lowercase());
    if is_constant {
        let value = worth(constant(name, &file)?, &file)?;
        // Bare numbers whose name has the unit.
        Some(if name.ends_with("_S_MAX") {
            value * 1000.0
        } else {
            value
        })
    } else {
        worth(field(of, name, &file)?, &file)
    }
}

#[test]
fn p5_each_bound_has_the_value_that_the_page_says() {
    let rows = rows();
    assert!(rows.len() > 90, "only {} rows were read", rows.len());
    for row in &rows {
        let (said, found) = (said(row.value), found(row));
        assert!(said.is_some(), "{}: `{}` is no value", row.name, row.value);
        assert_eq!(said, found, "{} of {}", row.name, row.file);
    }
}

#[test]
fn p5_each_bound_has_one_answer_and_a_test_that_exists() {
    let sources: String = sources().into_values().collect();
    for row in rows() {
        let word = row
            .answer
            .strip_prefix("**")
            .and_then(|rest| rest.split_once("**"));
        let word = word.map(|(word, _)| word).unwrap_or_default();
        assert!(ANSWERS.contains(&word), "{}: {}", row.name, row.answer);
        let tests: Vec<_> = quoted(row.proved_by).collect();
        assert!(!tests.is_empty(), "{} is not proved", row.name);
        for test in tests {
            let there = sources.contains(&format!("fn {test}("));
            assert!(there, "{}: there is no test {test}", row.name);
        }
        for metric in quoted(row.shown_by).filter(|name| name.starts_with("ioc_")) {
            let there = sources.contains(&format!("\"{metric}\""));
            assert!(there, "{}: there is no metric {metric}", row.name);
        }
        assert!(!row.shown_by.is_empty(), "{} is shown by nothing", row.name);
    }
}

#[test]
fn what_the_page_names_elsewhere_exists() {
    let sources: String = sources().into_values().collect();
    let is_sentence = |name: &&str| name.matches('_').count() >= 3 && !name.contains(' ');
    for name in quoted(PAGE).filter(is_sentence) {
        assert!(sources.contains(name), "there is no {name}");
    }
}

/// The constants of a source file whose names sound like bounds, and all of the core's limits.
fn sound_like_bounds(file: &str, text: &str) -> BTreeSet<String> {
    let named = text.lines().filter_map(|line| {
        let (before, after) = line.split_once("const ")?;
        let is_item = before.trim().is_empty() || before.trim().starts_with("pub");
        let (name, _type) = after.split_once(": ")?;
        is_item.then_some(name)
    });
    let is_bound = |name: &&str| {
        let of_the_core = file == "ioc-core/src/limits.rs" && !name.starts_with("CLOCK_");
        of_the_core || name.ends_with("_MAX") || name.contains("_MAX_")
    };
    named.filter(is_bound).map(str::to_owned).collect()
}

#[test]
fn p5_no_bound_of_the_sources_is_missing_from_the_page() {
    let mut known = BTreeSet::new();
    for row in rows() {
        let name = row.name.rsplit("::").next().unwrap();
        known.insert((row.file, name));
    }
    for (name, file) in not_bounds() {
        assert!(
            known.insert((file, name)),
            "{name} of {file} is there twice"
        );
    }
    let is_test = |file: &str| {
        file.contains("tests") || file.contains("fuzzing") || file.contains("examples/")
    };
    let mut missing = Vec::new();
    let mut there = BTreeSet::new();
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file)) {
        for name in sound_like_bounds(file, text) {
            if !known.contains(&(file.as_str(), name.as_str())) {
                missing.push(format!("{name} of {file}"));
            }
            there.insert((file.clone(), name));
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "docs/LIMITS.md lacks them");
    for (name, file) in not_bounds() {
        let key = (file.to_owned(), name.to_owned());
        assert!(there.contains(&key), "{name} is no longer in {file}");
    }
}

#[test]
fn p5_no_bound_of_the_options_or_settings_is_missing_from_the_page() {
    let rows = rows();
    let settings = include_str!("../config/ioc.yaml");
    // Also those of lists, which are explained in comments.
    let keys = settings
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '#']).split_once(':'));
    let keys = keys.map(|(key, _)| key).filter(|key| key.ends_with("_max"));
    for key in keys {
        let there = rows
            .iter()
            .any(|row| row.name.ends_with(&format!(".{key}")));
        assert!(there, "docs/LIMITS.md lacks the setting {key}");
    }
    for file in [
        "ioc-gateway/src/options.rs",
        "ioc-ws/src/options.rs",
        "src/http.rs",
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let fields = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub "));
        let names = fields.filter_map(|field| field.split_once(": ").map(|(name, _)| name));
        for name in names.filter(|name| name.ends_with("_max") || name.ends_with("_within")) {
            // A setting may say it, or a setting in seconds.
            let in_seconds = format!(".{}_s", name.trim_end_matches("_max"));
            let is_it = |row: &&Row| {
                let own = row.file == file && row.name.ends_with(&format!("::{name}"));
                own || row.name.ends_with(&format!(".{name}")) || row.name.ends_with(&in_seconds)
            };
            assert!(
                rows.iter().any(|row| is_it(&row)),
                "docs/LIMITS.md lacks {name} of {file}"
            );
        }
    }
}
