//! The files that a bundle is made from, and the store of those in force.
//!
//! Arrives: a configuration directory, a city file, or neither: then what is shipped. Leaves: a
//! [`Source`], named by the BLAKE3 hash of its files, so that the journal can name the rules that
//! held at any record. Promise: what was [stored](Source::store) is on disk before its name may be
//! written anywhere, and what is [loaded](Source::load) is what was stored, or refused. Bounded:
//! files in number and size, also unpacked ones. Next: `compile.rs`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ioc_core::record::BundleHash;

use super::mistake::{Mistakes, Place};
use super::survey;
use super::yaml;

/// The name of the file of kinds.
pub const KINDS: &str = "kinds.yaml";
/// The name of the file of mappings.
pub const MAPPINGS: &str = "mappings.yaml";
/// The name of the city, unpacked.
pub const CITY: &str = "city.geojson";
/// What the names of files of rules begin with.
pub const RULES: &str = "rules/";

/// Where other rules lie that are judged by beside the live ones, and told nobody.
pub const SHADOW: &str = "shadow";

/// The largest city file, unpacked.
const CITY_BYTES_MAX: u64 = 512 << 20;
/// The most files of rules.
const RULE_FILES_MAX: usize = 1000;

/// What is shipped: a whole working city.
const SHIPPED: [(&str, &str); 19] = [
    (CITY, include_str!("../../config/city.geojson")),
    (KINDS, include_str!("../../config/kinds.yaml")),
    (MAPPINGS, include_str!("../../config/mappings.yaml")),
    (
        "rules/alerts.yaml",
        include_str!("../../config/rules/alerts.yaml"),
    ),
    (
        "rules/crowd.yaml",
        include_str!("../../config/rules/crowd.yaml"),
    ),
    (
        "rules/earthquake.yaml",
        include_str!("../../config/rules/earthquake.yaml"),
    ),
    (
        "rules/faults.yaml",
        include_str!("../../config/rules/faults.yaml"),
    ),
    (
        "rules/fire.yaml",
        include_str!("../../config/rules/fire.yaml"),
    ),
    (
        "rules/flood.yaml",
        include_str!("../../config/rules/flood.yaml"),
    ),
    (
        "rules/gas.yaml",
        include_str!("../../config/rules/gas.yaml"),
    ),
    (
        "rules/handling.yaml",
        include_str!("../../config/rules/handling.yaml"),
    ),
    (
        "rules/haze.yaml",
        include_str!("../../config/rules/haze.yaml"),
    ),
    (
        "rules/mains.yaml",
        include_str!("../../config/rules/mains.yaml"),
    ),
    (
        "rules/metro.yaml",
        include_str!("../../config/rules/metro.yaml"),
    ),
    (
        "rules/power.yaml",
        include_str!("../../config/rules/power.yaml"),
    ),
    (
        "rules/rain.yaml",
        include_str!("../../config/rules/rain.yaml"),
    ),
    (
        "rules/silence.yaml",
        include_str!("../../config/rules/silence.yaml"),
    ),
    (
        "rules/suppression.yaml",
        include_str!("../../config/rules/suppression.yaml"),
    ),
    (
        "rules/traffic.yaml",
        include_str!("../../config/rules/traffic.yaml"),
    ),
];

/// The files that make a bundle, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    files: Vec<SourceFile>,
    /// What was strange about where the files came from. Not part of the hash, nor stored.
    warnings: Mistakes,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name within the bundle: `kinds.yaml`, `rules/flood.yaml`, `city.geojson`.
    pub name: String,
    /// Its name for people: the path that it was read from. Not part of the hash.
    pub shown: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Why a stored bundle cannot be had back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("bundle store: {0}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold what its name says.
    #[error("bundle store: {} is damaged", path.display())]
    Damaged {
        /// Which one.
        path: PathBuf,
    },
}

/// What to say of a name that the shipped files have and those of a configuration do not: whoever
/// writes a file of his own thinks that it comes beside the shipped ones. `folder` is what the names
/// of the files begin with, `is_it` knows the line that brings the name; nothing if none does.
pub fn only_shipped(folder: &str, is_it: impl Fn(&str) -> bool) -> Option<String> {
    let mut files = SHIPPED.iter().filter(|(name, _)| name.starts_with(folder));
    let (name, _) = files.find(|(_, text)| text.lines().any(&is_it))?;
    let whole = match folder {
        RULES => format!("your {RULES} stands in place of all shipped rules"),
        _ => format!("your {folder} stands in place of the shipped one"),
    };
    Some(format!(
        "; the shipped {name} has it, but {whole}: copy it from there too"
    ))
}

impl Source {
    /// Reads the rules and the city of a configuration.
    ///
    /// Without `dir` all is as shipped. In a `dir`, kinds or rules that are not there are the
    /// shipped ones, mappings that are not there are none, and a city that is not there is empty:
    /// its sensors are taken as they come.
    /// `city` replaces the city of either. A file of rules is any `rules/*.yaml`.
    ///
    /// # Errors
    /// What cannot be read or is too large, and a `dir` that holds no part of a configuration.
    pub fn read(dir: Option<&Path>, city: Option<&Path>) -> Result<Self, Mistakes> {
        let (mut mistakes, mut warnings) = <(Mistakes, Mistakes)>::default();
        let mut files = match dir {
            None => shipped(|_| true),
            Some(dir) => read_dir(dir, city.is_none(), &mut mistakes, &mut warnings),
        };
        if let Some(path) = city {
            files.retain(|file| file.name != CITY);
            files.extend(read_file(CITY, path, &mut mistakes));
        }
        mistakes.or(Some(Self {
            warnings,
            ..Self::of(files)
        }))
    }

    /// The same with the rules in the directory [`SHADOW`] of a configuration in place of these;
    /// `None` if it has none.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn shadow(&self, dir: &Path) -> Result<Option<Self>, Mistakes> {
        let rules = dir.join(SHADOW);
        if !rules.is_dir() {
            return Ok(None);
        }
        let mut mistakes = Mistakes::default();
        let own = read_rules(&rules, &mut mistakes);
        let others = self
            .files
            .iter()
            .filter(|file| !file.name.starts_with(RULES));
        let files = others.cloned().chain(own).collect();
        mistakes.or(Some(Some(Self::of(files))))
    }

    /// A source of these files.
    pub fn of(mut files: Vec<SourceFile>) -> Self {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            files,
            warnings: Mistakes::default(),
        }
    }

    /// The files, sorted by name.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// What is allowed of the place that the files were read from, and probably not meant.
    pub const fn warnings(&self) -> &Mistakes {
        &self.warnings
    }

    /// The name of the bundle: the hash over the names, lengths and bytes of its files.
    pub fn hash(&self) -> BundleHash {
        BundleHash(*blake3::hash(&self.encode()).as_bytes())
    }

    /// Writes the bundle into a directory, under its hash. What is already there stays.
    ///
    /// # Errors
    /// What could not be written; then the bundle must not be named anywhere.
    pub fn store(&self, dir: &Path) -> Result<BundleHash, StoreError> {
        let bytes = self.encode();
        let hash = BundleHash(*blake3::hash(&bytes).as_bytes());
        let path = path_of(dir, hash);
        if Self::load(dir, hash).is_err() {
            let error = |source| StoreError::Io {
                path: path.clone(),
                source,
            };
            write_durably(dir, &path, &bytes).map_err(error)?;
        }
        Ok(hash)
    }

    /// Reads a bundle back.
    ///
    /// # Errors
    /// If it is not there, or not what was stored.
    pub fn load(dir: &Path, hash: BundleHash) -> Result<Self, StoreError> {
        let path = path_of(dir, hash);
        match fs::read(&path) {
            Ok(bytes) if *blake3::hash(&bytes).as_bytes() == hash.0 => {
                Self::decode(&bytes).ok_or(StoreError::Damaged { path })
            }
            Ok(_) => Err(StoreError::Damaged { path }),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// The files one after another, each as name and content with their lengths before them
    /// (64 bits, little-endian).
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for file in &self.files {
            for part in [file.name.as_bytes(), &file.bytes] {
                bytes.extend((part.len() as u64).to_le_bytes());
                bytes.extend(part);
            }
        }
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut files = Vec::new();
        while !bytes.is_empty() {
            let name = String::from_utf8(take_part(&mut bytes)?.to_vec()).ok()?;
            files.push(SourceFile {
                shown: name.clone(),
                name,
                bytes: take_part(&mut bytes)?.to_vec(),
            });
        }
        Some(Self::of(files))
    }
}

fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u64::from_le_bytes(*length).try_into().ok()?;
    let (part, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

fn path_of(dir: &Path, hash: BundleHash) -> PathBuf {
    dir.join(format!(
        "{}.bundle",
        blake3::Hash::from_bytes(hash.0).to_hex()
    ))
}

/// Writes beside, syncs, renames, and syncs the directory: after a crash the file is whole or
/// not there.
fn write_durably(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let beside = path.with_extension("bundle.new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(dir)?.sync_all()
}

fn shipped(wanted: impl Fn(&str) -> bool) -> Vec<SourceFile> {
    let files = SHIPPED.iter().filter(|(name, _)| wanted(name));
    files
        .map(|(name, text)| SourceFile {
            name: (*name).to_owned(),
            shown: format!("shipped/{name}"),
            bytes: text.as_bytes().to_vec(),
        })
        .collect()
}

fn read_dir(
    dir: &Path,
    with_city: bool,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Vec<SourceFile> {
    if !dir.is_dir() {
        mistakes.add(
            &Place::whole(&dir.display().to_string()),
            "",
            "is not a directory",
        );
        return Vec::new();
    }
    survey::look(dir, !with_city, mistakes, warnings);
    let mut files = match dir.join(KINDS) {
        path if path.exists() => Vec::from_iter(read_file(KINDS, &path, mistakes)),
        _ => shipped(|name| name == KINDS),
    };
    let mappings = dir.join(MAPPINGS);
    if mappings.exists() {
        files.extend(read_file(MAPPINGS, &mappings, mistakes));
    }
    files.extend(match dir.join(RULES) {
        rules if rules.exists() => read_rules(&rules, mistakes),
        _ => shipped(|name| name.starts_with(RULES)),
    });
    let cities = [dir.join(CITY), dir.join(format!("{CITY}.gz"))];
    match cities.each_ref().map(|path| with_city && path.exists()) {
        [true, true] => {
            let what = format!("`{CITY}` is there too; remove one");
            mistakes.add(&Place::whole(&cities[1].display().to_string()), "", what);
        }
        [true, false] => files.extend(read_file(CITY, &cities[0], mistakes)),
        [false, true] => files.extend(read_file(CITY, &cities[1], mistakes)),
        [false, false] => {}
    }
    files
}

fn read_rules(dir: &Path, mistakes: &mut Mistakes) -> Vec<SourceFile> {
    let whole = Place::whole(&dir.display().to_string());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            mistakes.add(&whole, "", format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension() == Some(OsStr::new("yml")))
    {
        let place = Place::whole(&path.display().to_string());
        mistakes.add(&place, "", "is not read; name it `.yaml`");
    }
    paths.retain(|path| path.extension() == Some(OsStr::new("yaml")));
    if paths.len() > RULE_FILES_MAX {
        let what = format!(
            "{} files are too many; at most {RULE_FILES_MAX}",
            paths.len()
        );
        mistakes.add(&whole, "", what);
        return Vec::new();
    }
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.extend(read_file(&format!("{RULES}{name}"), &path, mistakes));
    }
    files
}

/// Reads a file whole, unpacked if its name ends in `.gz`.
fn read_file(name: &str, path: &Path, mistakes: &mut Mistakes) -> Option<SourceFile> {
    let most = if name == CITY {
        CITY_BYTES_MAX
    } else {
        yaml::FILE_BYTES_MAX as u64
    };
    let shown = path.display().to_string();
    let what = match read_bounded(path, most) {
        Ok(bytes) if bytes.len() as u64 <= most => {
            return Some(SourceFile {
                name: name.to_owned(),
                shown,
                bytes,
            });
        }
        Ok(_) => format!("more than {most} bytes"),
        Err(error) => format!("cannot be read: {error}"),
    };
    mistakes.add(&Place::whole(&shown), "", what);
    None
}

/// The bytes of a file, of one that is longer one more than `most`.
fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if path.extension() == Some(OsStr::new("gz")) {
        MultiGzDecoder::new(file)
            .take(most + 1)
            .read_to_end(&mut bytes)?;
    } else {
        file.take(most + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
