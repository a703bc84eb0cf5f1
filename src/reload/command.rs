//! `ioc reload`: has a running server read its rules again.
//!
//! Arrives: a server's address and token. Leaves: what came of it, or every mistake of its files.

use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use crate::ask::{Ask, AskError, ServerArgs, TokenArgs, print};

const HELP: &str = "\
Examples:
  ioc check my-city && ioc test my-city && ioc reload
  ioc reload --server http://127.0.0.1:9090 --token-file /var/lib/ioc/console.token

The server reads the directory that it was started with. All or nothing: with any mistake the rules
that held go on, and each mistake is told with its place. What changed is journaled; a rule that is
unchanged keeps its state, a changed or removed one ends what it had opened. `kill -HUP` does the
same where the server does not run in a terminal, and tells its log. Settings (ioc.yaml) are read
by a start only: those that are other ones by now are named.

Exit codes: 0 in force (or already so), 1 no answer or refused, 64 mistakes in the files.";

/// Has a server read its rules again.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ReloadArgs {
    #[command(flatten)]
    to: ServerArgs,
    #[command(flatten)]
    token: TokenArgs,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

/// Why other rules are not in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no answer, or the server said no.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The files have mistakes.
    #[error("{0}")]
    Mistakes(String),
}

/// Does what was typed.
///
/// # Errors
/// See [`ReloadError`].
pub async fn command(args: ReloadArgs) -> Result<(), ReloadError> {
    let token = args.token.read()?;
    let asked = Ask::post("/api/v1/rules/reload", &token, Bytes::new());
    let (status, answer) = asked.of(&args.to.server).await?;
    if args.json {
        print(&format!("{answer}\n"))?;
    }
    match status {
        200 if args.json => Ok(()),
        200 => Ok(print(&told(&answer))?),
        _ => Err(refused(status, &answer)),
    }
}

fn refused(status: u16, answer: &Value) -> ReloadError {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match answer["mistakes"].as_array() {
        Some(mistakes) => {
            let lines = mistakes.iter().map(|mistake| text(&mistake["text"]) + "\n");
            ReloadError::Mistakes(lines.collect::<String>() + &text(&answer["message"]))
        }
        None => AskError::refused(status, answer).into(),
    }
}

fn told(answer: &Value) -> String {
    let restart = match answer["restart"].as_str() {
        Some(restart) => format!("{restart}\n"),
        None => String::new(),
    };
    if answer["changed"] == false {
        return format!("nothing to do: these rules are in force already\n{restart}");
    }
    let mut told = String::new();
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        told += &format!(
            "warning: {}\n",
            warning["text"].as_str().unwrap_or_default()
        );
    }
    let summary = answer["summary"].as_str().unwrap_or_default();
    told + &format!(
        "in force as of decision {}: {summary}\n{restart}",
        answer["seq"]
    )
}
