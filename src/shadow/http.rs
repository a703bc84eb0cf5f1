//! `GET /api/v1/shadow`: how the shadow's rules differ from the live ones by now.
//!
//! Leaves: JSON, with the same as a text for people. Reading is open like all of the picture.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Args;
use serde_json::{Value, json};

use super::{Seen, ShadowView};
use crate::ask::{Ask, AskError, ServerArgs, print};
use crate::config::mistake::counted;

const PATH: &str = "/api/v1/shadow";

/// The route; without a shadow it says that there is none.
pub fn router(shadow: Option<ShadowView>) -> Router {
    Router::new().route(PATH, get(look)).with_state(shadow)
}

async fn look(State(shadow): State<Option<ShadowView>>) -> Response {
    let Some(shadow) = shadow else {
        let message = "no rules lie in the directory `shadow` of the configuration";
        let body = json!({ "code": "no_shadow", "message": message });
        return answer(StatusCode::NOT_FOUND, &body);
    };
    match tokio::task::spawn_blocking(move || told(&shadow.look())).await {
        Ok(body) => answer(StatusCode::OK, &body),
        Err(_) => {
            let body = json!({ "code": "failed", "message": "it cannot be compared" });
            answer(StatusCode::INTERNAL_SERVER_ERROR, &body)
        }
    }
}

fn told(seen: &Seen) -> Value {
    let mut body = seen.difference.to_json();
    body["bundle"] = crate::inspect::hex(&seen.rules.hash.0).into();
    body["since_record"] = seen.since.into();
    body["since"] = seen.since_at.map(|at| at.to_string()).into();
    body["open_before"] = seen.difference.open_before.into();
    body["through_record"] = seen.through.into();
    body["at"] = seen.at.map(|at| at.to_string()).into();
    body["begun_anew"] = seen.begun_anew.into();
    body["ended"] = seen.ended.clone().into();
    body["text"] = text(seen).into();
    body
}

fn text(seen: &Seen) -> String {
    let at = seen.at.map_or_else(String::new, |at| format!(", {at}"));
    let mut text = format!("records {} to {}{at}\n", seen.since + 1, seen.through);
    if let Some(since) = seen.since_at {
        let open = counted(seen.difference.open_before, "incident");
        text += &format!(
            "since {since}; {open} of before, in either, {} heard of since and not compared\n",
            if seen.difference.open_before == 1 {
                "is"
            } else {
                "are"
            }
        );
    }
    if let Some(why) = &seen.ended {
        text += &format!("the shadow has given up: {why}\n");
    }
    if seen.begun_anew > 0 {
        text += &format!(
            "there was too much to compare: begun anew {} times\n",
            seen.begun_anew
        );
    }
    text + "\n" + &seen.difference.to_string()
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body.to_string()).into_response()
}

const HELP: &str = "\
Examples:
  ioc shadow                        how the rules in config/shadow/ differ from the live ones by now
  ioc shadow --json

A server whose configuration has a directory `shadow` with files of rules (a whole set, in place of
those in rules/) judges everything by them a second time. Nobody is told and nothing is sent; what
they would have decided can be compared here. It begins when the server starts.";

/// How the shadow's rules differ from the live ones.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ShadowArgs {
    #[command(flatten)]
    to: ServerArgs,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

/// Does what was typed.
///
/// # Errors
/// See [`AskError`].
pub async fn command(args: ShadowArgs) -> Result<(), AskError> {
    let answer = Ask::get(PATH).granted_by(&args.to.server).await?;
    let text = match args.json {
        true => format!("{answer}\n"),
        false => answer["text"].as_str().unwrap_or_default().to_owned(),
    };
    print(&text)
}
