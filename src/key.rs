//! `ioc key`: keys for those who push over HTTP.
//!
//! Arrives: a name and sensors. Leaves: a new key, shown once, and the line by which the server
//! knows it again. Nothing is kept here but that line, if a file is named.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ioc_gateway::keys::{KeyLineError, NewKey};

const EXAMPLES: &str = "\
Examples:
  ioc key new pump-house wl-0007 wl-0008          the key, and its line for http.keys_file
  ioc key new hydro-feed 'hydro-*' --file keys    the same, and appends the line to a file
  curl -H \"X-API-Key: $KEY\" --json @reading.json http://127.0.0.1:8080/api/v1/readings

The key is shown once: whoever is to push gets it. The file holds only its hash; its owner alone
may read it. The server reads the file when it starts; where there is one, nothing is taken over
HTTP without a key. A key that is no longer wanted is a line that is taken out.";

/// Keys for those who push over HTTP.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, show it once, and print its line for the file of keys (http.keys_file)
    New(NewArgs),
}

/// What `ioc key new` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NewArgs {
    /// Who holds it: letters, digits, `.` and `-`; dead letters name it
    name: String,
    /// The sensors that it may publish; `hydro-*` for all that begin so, `*` for all
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
    /// Stdout cannot be written.
    #[error("cannot print the key")]
    Output(#[source] io::Error),
}

/// Does what was typed; prints to `out`.
///
/// # Errors
/// There is no key, and the file is as it was.
pub fn command(command: &KeyCommand, out: &mut dyn Write) -> Result<(), KeyError> {
    let KeyCommand::New(args) = command;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| KeyError::Random(error.to_string()))?;
    let NewKey { key, line } = NewKey::new(&args.name, &args.sensors, random)?;
    let printed = match &args.file {
        Some(path) => {
            append(path, &line).map_err(|source| KeyError::File {
                path: path.clone(),
                source,
            })?;
            writeln!(out, "{key}")
        }
        None => writeln!(
            out,
            "the key, shown only now:\n{key}\n\nits line for http.keys_file:\n{line}"
        ),
    };
    printed.map_err(KeyError::Output)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
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
    use crate::config::keys;
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
}
