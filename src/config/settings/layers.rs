//! Three layers of settings: the shipped file, the file of a configuration, the environment.
//!
//! Arrives: the texts. Leaves: for each key the value of the uppermost layer that has one. The
//! shipped file says which keys there are; any other key of a file, and any other variable
//! `IOC_…` but a link to a service, is a mistake that names the nearest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::DEFAULTS;
use super::service_links::is_service_link;
use crate::config::field::{Field, Section};
use crate::config::mistake::{Mistakes, Place};
use crate::config::suggest::did_you_mean;
use crate::config::yaml::{self, Node, Value};

/// The file of settings within a configuration.
pub const FILE: &str = "ioc.yaml";
const PREFIX: &str = "IOC_";

/// The layers, uppermost last.
pub struct Layers {
    /// Every key, by its path.
    shipped: BTreeMap<String, Node>,
    file: BTreeMap<String, Node>,
    env: BTreeMap<String, Node>,
    service_links: Vec<String>,
}

impl Layers {
    /// Reads all layers.
    pub fn read(
        dir: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let shipped = yaml::parse(&format!("shipped/{FILE}"), DEFAULTS, mistakes)
            .expect("the shipped file is valid");
        let shipped = flatten(&shipped, None, mistakes);
        let file = dir
            .and_then(|dir| read_file(dir, mistakes))
            .map(|node| flatten(&node, Some(&shipped), mistakes));
        let (env, service_links) = overrides(env, &shipped, mistakes);
        Self {
            shipped,
            file: file.unwrap_or_default(),
            env,
            service_links,
        }
    }

    /// The variables that are no settings, but links to services.
    pub fn service_links(&self) -> &[String] {
        &self.service_links
    }

    /// The value of a key.
    ///
    /// # Panics
    /// If the shipped file does not have it.
    pub fn field(&self, path: &str) -> Field<'_> {
        let written = [&self.env, &self.file]
            .into_iter()
            .find_map(|layer| layer.get(path).filter(|node| node.value != Value::Empty));
        let node = written.unwrap_or_else(|| &self.shipped[path]);
        let from_env = node.place.line == 0;
        Field {
            // A variable's name is its place, and says which key it is.
            path: if from_env {
                String::new()
            } else {
                path.to_owned()
            },
            node,
        }
    }

    /// Each key with its value.
    pub fn values(&self) -> impl Iterator<Item = (String, &Value)> {
        let keys = self.shipped.keys();
        keys.map(|key| (key.clone(), &self.field(key).node.value))
    }

    /// Whether a key is written anywhere but in the shipped file.
    pub fn is_written(&self, path: &str) -> bool {
        self.field(path).node != &self.shipped[path]
    }

    /// The value of a key that may be empty.
    pub fn optional(&self, path: &str) -> Option<Field<'_>> {
        Some(self.field(path)).filter(|field| field.node.value != Value::Empty)
    }
}

fn read_file(dir: &Path, mistakes: &mut Mistakes) -> Option<Node> {
    let path = dir.join(FILE);
    let shown = path.display().to_string();
    match read_bounded(&path) {
        Ok(text) => yaml::parse(&shown, &text, mistakes),
        Err(error) if error.kind() == ErrorKind::NotFound && dir.is_dir() => None,
        Err(error) => {
            mistakes.add(
                &Place::whole(&shown),
                "",
                format!("cannot be read: {error}"),
            );
            None
        }
    }
}

/// The text of a file; of one that is too long, enough for the parser to say so.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let most = yaml::FILE_BYTES_MAX as u64 + 1;
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// Every key by its path. With `known`, any other key is a mistake.
fn flatten(
    root: &Node,
    known: Option<&BTreeMap<String, Node>>,
    mistakes: &mut Mistakes,
) -> BTreeMap<String, Node> {
    let mut flat = BTreeMap::new();
    let Some(section) = Section::root(root, mistakes) else {
        return flat;
    };
    for (entry, field) in section.entries() {
        let is_section = match known {
            Some(known) => is_section(known, &entry.key),
            None => matches!(entry.value.value, Value::Map(_)),
        };
        if is_section {
            for (inner, field) in Section::of(&field, mistakes)
                .iter()
                .flat_map(Section::entries)
            {
                insert(&mut flat, field, &inner.place, known, mistakes);
            }
        } else {
            insert(&mut flat, field, &entry.place, known, mistakes);
        }
    }
    flat
}

fn is_section(known: &BTreeMap<String, Node>, key: &str) -> bool {
    known.keys().any(|path| {
        path.split_once('.')
            .is_some_and(|(section, _)| section == key)
    })
}

fn insert(
    flat: &mut BTreeMap<String, Node>,
    field: Field<'_>,
    place: &Place,
    known: Option<&BTreeMap<String, Node>>,
    mistakes: &mut Mistakes,
) {
    match known {
        Some(known) if !known.contains_key(&field.path) => {
            let (section, names) = neighbours(known, &field.path);
            let key = field.path.rsplit('.').next().unwrap_or_default();
            let hint = match did_you_mean(key, names.iter().copied()) {
                none if none.is_empty() => format!("; known {section}: {}", names.join(", ")),
                hint => hint,
            };
            mistakes.add(place, &field.path, format!("unknown key{hint}"));
        }
        _ => {
            flat.insert(field.path, field.node.clone());
        }
    }
}

/// The names that would have been right where an unknown key stands.
fn neighbours<'a>(known: &'a BTreeMap<String, Node>, path: &str) -> (String, Vec<&'a str>) {
    let split = known.keys().map(|path| path.split_once('.'));
    match path.split_once('.') {
        Some((section, _)) => {
            let here = split.flatten().filter(|(of, _)| *of == section);
            (format!("in {section}"), here.map(|(_, key)| key).collect())
        }
        None => {
            let mut names: Vec<_> = known
                .keys()
                .filter_map(|path| path.split('.').next())
                .collect();
            names.dedup();
            ("here".to_owned(), names)
        }
    }
}

/// The variables `IOC_<SECTION>_<KEY>`, as values under the paths of their keys; and the names of
/// those that are links to services.
fn overrides(
    env: impl Iterator<Item = (String, String)>,
    known: &BTreeMap<String, Node>,
    mistakes: &mut Mistakes,
) -> (BTreeMap<String, Node>, Vec<String>) {
    let paths: BTreeMap<String, &String> =
        known.keys().map(|path| (variable(path), path)).collect();
    let mut values = BTreeMap::new();
    let mut service_links = Vec::new();
    for (name, text) in env.filter(|(name, _)| name.starts_with(PREFIX)) {
        let place = Place::whole(&name);
        let Some(path) = paths.get(&name) else {
            if is_service_link(&name, &text) {
                service_links.push(name);
                continue;
            }
            let hint = match did_you_mean(&name, paths.keys().map(String::as_str)) {
                none if none.is_empty() => {
                    "; `ioc config` lists the keys: IOC_<SECTION>_<KEY>".into()
                }
                hint => hint,
            };
            mistakes.add(&place, "", format!("unknown variable{hint}"));
            continue;
        };
        let is_list = matches!(known[*path].value, Value::List(_));
        let value = if is_list {
            list(&place, &text)
        } else {
            scalar(&text)
        };
        values.insert((*path).clone(), Node { place, value });
    }
    service_links.sort();
    (values, service_links)
}

/// The variable of a key: `IOC_HTTP_LISTEN` of `http.listen`.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_uppercase())
}

fn scalar(text: &str) -> Value {
    match text.trim() {
        "" => Value::Empty,
        text => Value::Text(text.to_owned()),
    }
}

fn list(place: &Place, text: &str) -> Value {
    let items = text.split(',').map(|item| Node {
        place: place.clone(),
        value: scalar(item),
    });
    Value::List(items.filter(|node| node.value != Value::Empty).collect())
}
