//! `ioc key`: keys for those who push over HTTP.
//!
//! Arrives: a name and sensors. Leaves: a new key, shown once, and the line by which the server
//! knows it again. Nothing is kept here but that line, if a file is named. Of the keys in a file:
//! who holds one and what it opens, and a file without the one that is revoked.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ioc_gateway::keys::{KeyLineError, NewKey};

use crate::config::keys;
use crate::config::mistake::Mistakes;

const EXAMPLES: &str = "\
Examples:
  ioc key new pump-house wl-0007 wl-0008          the key, and its line for http.keys_file
  ioc key new hydro-feed 'hydro-*' --file keys    the same, and appends the line to a file
  ioc key new siren-gateway 'noise-*' devices=siren-1,siren-2     it also answers for these devices
  curl -H \"X-API-Key: $KEY\" --json @reading.json http://127.0.0.1:8080/api/v1/readings

The key is shown once: whoever is to push gets it. The file holds only its hash; its owner alone
may read it. The server reads the file when it starts; where there is one, nothing is taken over
HTTP without a key. `ioc key list keys` says who has one, `ioc key revoke NAME keys` takes one away; both
hold from the server's next start.";

/// Keys for those who push over HTTP.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, show it once, and print its line for the file of keys (http.keys_file)
    New(NewArgs),
    /// Say who has a key, and what it opens
    List(ListArgs),
    /// Take the line of a key out of a file: it opens nothing from the server's next start
    Revoke(RevokeArgs),
}

/// What `ioc key list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The file of keys (http.keys_file)
    file: PathBuf,
}

/// What `ioc key revoke` takes.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Whose key it is
    name: String,
    /// The file of keys (http.keys_file)
    file: PathBuf,
}

/// What `ioc key new` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NewArgs {
    /// Who holds it: letters, digits, `.` and `-`; dead letters name it
    name: String,
    /// The sensors that it may publish; `hydro-*` for all that begin so, `*` for all; and, as
    /// `devices=gate-7,pump-*`, the devices that it may speak for
    #[arg(required = true)]
    sensors: Vec<String>,
    /// Append the line to this file, which is made if it is missing, readable by its owner only
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name or the sensors cannot be those of a key.
    #[error(transparent)]
    Line(#[from] KeyLineError),
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The file of keys cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of keys cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of keys has mistakes.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// Nobody of this name has a key.
    #[error("{} has no key of `{name}`; it has: {others}", path.display())]
    Unknown {
        /// The name.
        name: String,
        /// Which file.
        path: PathBuf,
        /// Who has one.
        others: String,
    },
    /// Stdout cannot be written.
    #[error("cannot print the key")]
    Output(#[source] io::Error),
}

/// Does what was typed; prints to `out`.
///
/// # Errors
/// Nothing was done, and the file is as it was.
pub fn command(command: &KeyCommand, out: &mut dyn Write) -> Result<(), KeyError> {
    let printed = match command {
        KeyCommand::New(args) => new(args)?,
        KeyCommand::List(args) => list(&args.file)?,
        KeyCommand::Revoke(args) => revoke(&args.name, &args.file)?,
    };
    out.write_all(printed.as_bytes()).map_err(KeyError::Output)
}

fn new(args: &NewArgs) -> Result<String, KeyError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| KeyError::Random(error.to_string()))?;
    let NewKey { key, line } = NewKey::new(&args.name, &args.sensors, random)?;
    Ok(match &args.file {
        Some(path) => {
            append(path, &line).map_err(|source| KeyError::File {
                path: path.clone(),
                source,
            })?;
            format!("{key}\n")
        }
        None => {
            format!("the key, shown only now:\n{key}\n\nits line for http.keys_file:\n{line}\n")
        }
    })
}

/// A line for each key: its holder, and the sensors and devices that it opens.
fn list(path: &Path) -> Result<String, KeyError> {
    let text = read(path)?;
    let lines: Vec<_> = text.lines().filter_map(holder).collect();
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut told = String::new();
    for (name, sensors) in lines {
        writeln!(told, "{name:<width$}  {}", sensors.join(" ")).expect("text takes all");
    }
    if told.is_empty() {
        told.push_str("nobody has a key\n");
    }
    Ok(told)
}

/// Takes a key's line out; all else stays as it is written.
fn revoke(name: &str, path: &Path) -> Result<String, KeyError> {
    let _locked = lock(path).map_err(|source| KeyError::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = read(path)?;
    let is_of = |line: &&str| holder(line).is_some_and(|(own, _)| own == name);
    if !text.lines().any(|line| is_of(&line)) {
        let others = text.lines().filter_map(holder);
        let others: Vec<_> = others.map(|(name, _)| name).collect();
        return Err(KeyError::Unknown {
            name: name.to_owned(),
            path: path.to_owned(),
            others: others.join(", "),
        });
    }
    let mut kept = String::new();
    for line in text.lines().filter(|line| !is_of(line)) {
        writeln!(kept, "{line}").expect("text takes all");
    }
    replace(path, &kept).map_err(|source| KeyError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(format!(
        "the key of {name} opens nothing from the server's next start\n"
    ))
}

/// The text of a file whose lines are all keys.
fn read(path: &Path) -> Result<String, KeyError> {
    let text = fs::read_to_string(path).map_err(|source| KeyError::Read {
        path: path.to_owned(),
        source,
    })?;
    match keys::parse(&path.display().to_string(), &text) {
        Ok(_) => Ok(text),
        Err(mistakes) => Err(KeyError::Mistakes(mistakes)),
    }
}

/// Who holds the key of a line, and what it opens; nothing of a line without a key.
fn holder(line: &str) -> Option<(&str, Vec<&str>)> {
    let mut words = line.split_whitespace();
    let name = words.next().filter(|name| !name.starts_with('#'))?;
    Some((name, words.skip(1).collect()))
}

/// Writes beside and renames: whoever reads finds the one or the other, whole. A link is followed,
/// and the file stays its owner's alone, who may be another than who revokes: the server's user.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let owner = fs::metadata(&path)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut beside = tempfile::NamedTempFile::new_in(dir)?;
    beside.write_all(text.as_bytes())?;
    fchown(beside.as_file(), Some(owner.uid()), Some(owner.gid()))?;
    beside.as_file().sync_all()?;
    beside.persist(&path)?;
    File::open(dir)?.sync_all()
}

/// Who changes the file has its directory locked meanwhile, as the file itself may be another after
/// a change: so nobody's line is lost to another's. The lock goes with what is returned.
fn lock(path: &Path) -> io::Result<File> {
    let path = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        found => found?,
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = File::open(dir.unwrap_or(Path::new(".")))?;
    dir.lock()?;
    Ok(dir)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let _locked = lock(path)?;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn p8_a_new_key_opens_the_door_by_its_line_and_the_file_is_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let new = |name: &str| {
            let args = NewArgs {
                name: name.to_owned(),
                sensors: vec!["wl-1".to_owned()],
                file: Some(path.clone()),
            };
            let mut out = Vec::new();
            command(&KeyCommand::New(args), &mut out).unwrap();
            String::from_utf8(out).unwrap().trim().to_owned()
        };
        let shown = [new("a"), new("b")];
        let text = std::fs::read_to_string(&path).unwrap();
        let keys = keys::parse("keys", &text).unwrap();
        for key in &shown {
            assert!(keys.find(key).is_some_and(|key| key.may("wl-1")));
            assert!(!text.contains(key));
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn keys_that_are_made_and_revoked_at_once_lose_nobodys_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let make = |name: String| {
            let args = NewArgs {
                name,
                sensors: vec!["*".to_owned()],
                file: Some(path.clone()),
            };
            command(&KeyCommand::New(args), &mut Vec::new()).unwrap();
        };
        let people = 0..12;
        people
            .clone()
            .for_each(|number| make(format!("old-{number}")));
        let change = |number: usize| {
            make(format!("new-{number}"));
            revoke(&format!("old-{number}"), &path).unwrap();
        };
        std::thread::scope(|scope| {
            for number in people.clone() {
                scope.spawn(move || change(number));
            }
        });
        let listed = list(&path).unwrap();
        let mut listed: Vec<_> = listed
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        let mut expected: Vec<_> = people.map(|number| format!("new-{number}")).collect();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }

    #[test]
    fn who_has_a_key_is_listed_and_one_that_is_revoked_opens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let told = |asked: KeyCommand| {
            let mut out = Vec::new();
            let done = command(&asked, &mut out);
            done.map(|()| String::from_utf8(out).unwrap())
        };
        let new = |name: &str, sensors: &[&str]| {
            let sensors = sensors.iter().map(|&sensor| sensor.to_owned()).collect();
            told(KeyCommand::New(NewArgs {
                name: name.to_owned(),
                sensors,
                file: Some(path.clone()),
            }))
        };
        fs::write(&path, "# ours\n").unwrap();
        let pump = new("pump-house", &["wl-1", "wl-2"]).unwrap();
        new("feed", &["hydro-*"]).unwrap();
        let list = || told(KeyCommand::List(ListArgs { file: path.clone() }));
        assert_eq!(
            list().unwrap(),
            "pump-house  wl-1 wl-2\nfeed        hydro-*\n"
        );
        let revoke = |name: &str| {
            told(KeyCommand::Revoke(RevokeArgs {
                name: name.to_owned(),
                file: path.clone(),
            }))
        };
        assert!(matches!(revoke("nobody"), Err(KeyError::Unknown { .. })));
        revoke("pump-house").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# ours\nfeed "), "{text}");
        assert!(
            keys::parse("keys", &text)
                .unwrap()
                .find(pump.trim())
                .is_none()
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        told(KeyCommand::Revoke(RevokeArgs {
            name: "feed".to_owned(),
            file: link.clone(),
        }))
        .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(list().unwrap(), "nobody has a key\n");
        fs::write(&path, "feed\n").unwrap();
        assert!(matches!(list(), Err(KeyError::Mistakes(_))));
    }
}
