//! `ioc reload`: has a running server read its rules again.
//!
//! Arrives: a server's address and token. Leaves: what came of it, or every mistake of its files.

use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use hyper::Method;
use serde_json::Value;

use crate::args::HttpAddress;
use crate::identity::TOKEN_FILE;
use crate::letters;

const HELP: &str = "\
Examples:
  ioc check my-city && ioc test my-city && ioc reload
  ioc reload --server http://ops:8080 --token-file /var/lib/ioc/console.token

The server reads the directory that it was started with. All or nothing: with any mistake the rules
that held go on, and each mistake is told with its place. What changed is journaled; a rule that is
unchanged keeps its state, a changed or removed one ends what it had opened. `kill -HUP` does the
same where the server does not run in a terminal, and tells its log.

Exit codes: 0 in force (or already so), 1 no answer or refused, 64 mistakes in the files.";

/// Has a server read its rules again.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ReloadArgs {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: HttpAddress,
    /// The file of the console's token [default: console.token in --data]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    token_file: Option<PathBuf>,
    /// The server's data directory, where the console's token lies
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

/// Why other rules are not in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file of the token cannot be read.
    #[error("cannot read the console's token in {}; name it with --token-file", path.display())]
    Token {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody is there, or somebody else.
    #[error("no answer from {address}: {why}; is `ioc run` running there?")]
    NoAnswer {
        /// Where.
        address: HttpAddress,
        /// Why not.
        why: String,
    },
    /// The files have mistakes.
    #[error("{0}")]
    Mistakes(String),
    /// The server said no.
    #[error("the server answered {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// Stdout cannot be written.
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
}

/// Does what was typed.
///
/// # Errors
/// See [`ReloadError`].
pub async fn command(args: ReloadArgs) -> Result<(), ReloadError> {
    let path = match &args.token_file {
        Some(path) => path.clone(),
        None => args.data.join(TOKEN_FILE),
    };
    let token = std::fs::read_to_string(&path);
    let token = token.map_err(|source| ReloadError::Token { path, source })?;
    let (path, token) = ("/api/v1/rules/reload", Some(token.trim()));
    let no_answer = |why| ReloadError::NoAnswer {
        address: args.server.clone(),
        why,
    };
    let asked = letters::exchange(&args.server, Method::POST, path, token, Bytes::new()).await;
    let (status, body) = asked.map_err(no_answer)?;
    let answer: Value = serde_json::from_slice(&body)
        .map_err(|_| no_answer("it does not speak as ioc does".to_owned()))?;
    if args.json {
        print(&format!("{answer}\n"))?;
    }
    match status {
        200 if args.json => Ok(()),
        200 => print(&told(&answer)),
        _ => Err(refused(status, &answer)),
    }
}

fn refused(status: u16, answer: &Value) -> ReloadError {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = text(&answer["message"]);
    match answer["mistakes"].as_array() {
        Some(mistakes) => {
            let lines = mistakes.iter().map(|mistake| text(&mistake["text"]) + "\n");
            ReloadError::Mistakes(lines.collect::<String>() + &message)
        }
        None => ReloadError::Refused { status, message },
    }
}

fn told(answer: &Value) -> String {
    if answer["changed"] == false {
        return "nothing to do: these rules are in force already\n".to_owned();
    }
    let mut told = String::new();
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        told += &format!(
            "warning: {}\n",
            warning["text"].as_str().unwrap_or_default()
        );
    }
    let summary = answer["summary"].as_str().unwrap_or_default();
    told + &format!("in force as of decision {}: {summary}\n", answer["seq"])
}

fn print(text: &str) -> Result<(), ReloadError> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(ReloadError::Output)
}
