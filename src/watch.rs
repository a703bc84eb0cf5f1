//! `ioc watch`: the live decisions in a terminal.
//!
//! Arrives: the stream of a server (`/api/v1/stream`, subprotocol `ioc.v1`; `docs/PROTOCOL.md`).
//! Leaves: one line for each decision on stdout, as people or as machines read it; on stderr what
//! happens to the connection. Promise: after an interruption it goes on at its number and prints
//! every decision once, or says that it could not and why. Not here: orders; this only reads.
//! `session.rs` is one connection, `line.rs` what a decision looks like, `doubt.rs` whether a
//! filter can ever match.

mod line;
mod doubt;
mod session;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use tokio::time::sleep;

use crate::args::{Address, HttpAddress};
use crate::publisher::{Absence, LinkEvent, Pauses};
use crate::reach::Waiting;
use crate::simulate::interrupted;

use line::Look;
use session::{Ended, Session};

const EXAMPLES: &str = "\
Examples:
  ioc watch                                   everything, from this machine's server
  ioc watch --severity severe                 what is severe or worse
  ioc watch --zone riverside --kind flood,fire
  ioc watch --json | jq .incident.id          decisions as the server wrote them, one a line
  ioc watch http://127.0.0.1:9090             another port

Colours are left out when stdout is no terminal or NO_COLOR is set. What happens to the connection
is told on stderr, and a filter that may never match too. It goes on after every interruption; where
nobody listens at the very first try it ends with 69 (--wait waits instead).";

/// Shows live decisions as they are made.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct WatchArgs {
    /// The server: http://HOST:PORT
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: StreamAddress,
    /// Print each decision's JSON as the server wrote it
    #[arg(long)]
    pub json: bool,
    /// Only these zones, by id (comma-separated; _ is outside all zones)
    #[arg(long, value_name = "ZONES", value_delimiter = ',')]
    pub zone: Vec<String>,
    /// Only incidents of these kinds, such as flood,fire
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// Only incidents of this severity or worse
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<SeverityMin>,
    /// What to do where nobody listens yet.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// The least severity that is shown (CAP 1.2 section 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SeverityMin {
    /// Little or no threat.
    Minor,
    /// A possible threat.
    Moderate,
    /// A significant threat.
    Severe,
    /// An extraordinary threat.
    Extreme,
}

impl SeverityMin {
    const fn word(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Moderate => "moderate",
            Self::Severe => "severe",
            Self::Extreme => "extreme",
        }
    }
}

/// The address of a server whose stream is watched: `http://`, `ws://` or nothing before the
/// host, and nothing or the stream's path behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAddress(pub Address);

impl FromStr for StreamAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix(session::PATH).unwrap_or(text);
        let http = match text.split_once("://") {
            Some(("ws" | "http", rest)) => format!("http://{rest}"),
            Some(("wss", _)) => return Err("wss:// needs TLS, which is not spoken yet".to_owned()),
            Some(_) => text.to_owned(),
            None => format!("http://{text}"),
        };
        http.parse::<HttpAddress>()
            .map(|HttpAddress(address)| Self(address))
    }
}

/// Why watching ended, other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The server will not have us, and will not next time either.
    #[error("the server at {address} refuses: {reason}")]
    Refused {
        /// Where.
        address: Address,
        /// In its words.
        reason: String,
    },
    /// Something else answers there.
    #[error("{address} does not speak the ioc stream; is this the HTTP port?")]
    NotTheStream {
        /// Where.
        address: Address,
    },
    /// Stdout cannot be written.
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
}

/// Watches until interrupted, or until nobody reads stdout any more.
pub async fn command(args: WatchArgs) -> Result<(), WatchError> {
    let look = if args.json {
        Look::Json
    } else {
        Look::Lines {
            colour: wants_colour(),
        }
    };
    let watcher = Watcher {
        session: Session::new(args.url.0.clone(), session::filter(&args)),
        look,
        absence: Absence::default(),
        out: io::stdout(),
        notes: io::stderr(),
    };
    tokio::select! {
        ended = watcher.run() => ended,
        () = interrupted() => Ok(()),
    }
}

fn wants_colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !set("NO_COLOR") && !dumb
}

/// Connects again and again, and goes on where it was.
struct Watcher<O, N> {
    session: Session,
    look: Look,
    absence: Absence,
    out: O,
    notes: N,
}

impl<O: Write, N: Write> Watcher<O, N> {
    async fn run(mut self) -> Result<(), WatchError> {
        let mut pauses = Pauses::default();
        loop {
            let (served, ended) = self
                .session
                .serve(self.look, &mut self.out, &mut self.notes)
                .await;
            if served {
                pauses.reset();
            }
            match ended {
                Ended::OutputClosed => return Ok(()),
                Ended::Output(error) => return Err(WatchError::Output(error)),
                Ended::Refused(reason) => {
                    let address = self.session.address().clone();
                    return Err(WatchError::Refused { address, reason });
                }
                Ended::NotTheStream => {
                    let address = self.session.address().clone();
                    return Err(WatchError::NotTheStream { address });
                }
                Ended::Absent(error) => {
                    let hint = self.absence.hint(&error);
                    self.wait(&error, &mut pauses, hint).await;
                }
                Ended::Lost(why) => {
                    self.wait(&why, &mut pauses, None).await;
                }
            }
        }
    }

    /// Tells what happened, and waits; longer each time.
    async fn wait(&mut self, why: &dyn Display, pauses: &mut Pauses, hint: Option<&'static str>) {
        let wait = pauses.next();
        let down = LinkEvent::Down {
            address: self.session.address(),
            error: why,
            retry_in: wait,
            hint,
        };
        // Nobody is left to tell if stderr is gone too.
        drop(writeln!(self.notes, "{down}"));
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
