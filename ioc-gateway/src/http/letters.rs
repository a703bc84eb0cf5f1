//! Dead letters over HTTP: what there is, and the order to read them again.
//!
//! Arrives: `GET /api/v1/dead-letters` (single ones, the newest first), `GET …/groups` (how many of
//! each reason and topic, since when), `POST …/replay` (which of them to read again, or to try),
//! `GET …/replay` (how far that has come).
//! Leaves: JSON. Promise: reading is open like all of the picture; a replay needs the token of an
//! operator. Next: `replay.rs`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::answer::Refusal;
use super::{Operators, Parts};
use crate::dead_letters::{DeadLetters, NotedLetter};
use crate::options::HttpOptions;
use crate::replay::{Choice, Patience, Replayer, Senders, Stopped};

const LETTERS: &str = "/api/v1/dead-letters";
const GROUPS: &str = "/api/v1/dead-letters/groups";
const REPLAY: &str = "/api/v1/dead-letters/replay";
/// The longest order to read letters again: it may name all of them.
const CHOICE_BYTES_MAX: usize = 64 << 10;

pub(super) fn router(parts: &Parts, options: &HttpOptions) -> Router {
    let letters = &parts.dead_letters;
    let patience = Patience {
        door: options.overload_wait_max,
        durable: options.durable_wait_max,
    };
    let senders = Senders {
        keys: parts.keys.clone(),
        credentials: parts.credentials.clone(),
    };
    let log = Arc::clone(&parts.log);
    let replay = Replay {
        replayer: Replayer::new(
            parts.door.clone(),
            senders,
            (letters.clone(), log),
            patience,
        ),
        operators: parts.operators.clone(),
    };
    let replay = post(post_replay).get(get_replay).with_state(replay);
    Router::new()
        .route(LETTERS, get(get_letters).with_state(letters.clone()))
        .route(GROUPS, get(get_groups).with_state(letters.clone()))
        .route(
            REPLAY,
            replay.layer(DefaultBodyLimit::max(CHOICE_BYTES_MAX)),
        )
}

#[derive(Clone)]
struct Replay {
    replayer: Replayer,
    operators: Operators,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default = "Listing::limit_default")]
    limit: usize,
    reason: Option<String>,
    topic: Option<String>,
    source: Option<String>,
}

impl Listing {
    const fn limit_default() -> usize {
        100
    }

    fn takes(&self, letter: &NotedLetter) -> bool {
        let is =
            |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        is(&self.reason, &letter.reason)
            && is(&self.topic, &letter.topic)
            && is(&self.source, &letter.source)
    }
}

/// The newest dead letters, newest first.
async fn get_letters(
    State(letters): State<DeadLetters>,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Response {
    let Ok(Query(listing)) = listing else {
        return Refusal::BadLimit.into_response();
    };
    let kept = letters.newest(usize::MAX);
    let chosen = kept.iter().filter(|letter| listing.takes(letter));
    let listed = chosen.take(listing.limit);
    Json(Listed {
        total: letters.total(),
        dead_letters: listed
            .map(|letter| ListedLetter::of(letter, &letters))
            .collect(),
    })
    .into_response()
}

#[derive(Serialize)]
struct Listed<'a> {
    /// All since the log begins, those included that are no longer listed.
    total: u64,
    dead_letters: Vec<ListedLetter<'a>>,
}

#[derive(Serialize)]
struct ListedLetter<'a> {
    seq: u64,
    at: String,
    source: &'a str,
    topic: &'a str,
    reason: &'a str,
    detail: &'a str,
    /// Its beginning as text; bytes that are not UTF-8 are replaced.
    payload: Cow<'a, str>,
    /// How many bytes the message had.
    payload_bytes: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    place: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    content_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    event: &'a str,
    /// Whether it was read again, as a reading or as what may say no value.
    #[serde(skip_serializing_if = "is_false")]
    replayed: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl<'a> ListedLetter<'a> {
    fn of(letter: &'a NotedLetter, letters: &DeadLetters) -> Self {
        Self {
            seq: letter.seq,
            at: letter.at.to_string(),
            source: &letter.source,
            topic: &letter.topic,
            reason: &letter.reason,
            detail: &letter.detail,
            payload: String::from_utf8_lossy(&letter.payload),
            payload_bytes: letter.payload_bytes,
            place: &letter.place,
            content_type: &letter.content_type,
            event: &letter.event,
            replayed: letters.is_replayed(letter.seq),
        }
    }
}

/// How many letters there are of each reason and topic, the group of the newest first.
async fn get_groups(State(letters): State<DeadLetters>) -> Response {
    let kept = letters.newest(usize::MAX);
    let mut groups: BTreeMap<(&str, &str), Group<'_>> = BTreeMap::new();
    for letter in &kept {
        let group = groups.entry((&*letter.reason, &*letter.topic));
        let group = group.or_insert_with(|| Group::of(letter));
        group.count += 1;
        group.replayed += u64::from(letters.is_replayed(letter.seq));
        group.cut += u64::from(!letter.is_whole);
        group.first = letter.at.to_string();
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.newest));
    Json(Grouped {
        total: letters.total(),
        listed: kept.len(),
        groups,
    })
    .into_response()
}

#[derive(Serialize)]
struct Grouped<'a> {
    total: u64,
    /// Of how many letters these are the groups.
    listed: usize,
    groups: Vec<Group<'a>>,
}

#[derive(Serialize)]
struct Group<'a> {
    reason: &'a str,
    topic: &'a str,
    count: u64,
    replayed: u64,
    /// Those of them of which too little is kept to be read again.
    cut: u64,
    first: String,
    last: String,
    /// The number of the newest, and what is said of it.
    newest: u64,
    detail: &'a str,
}

impl<'a> Group<'a> {
    /// The group that its newest letter begins.
    fn of(letter: &'a Arc<NotedLetter>) -> Self {
        Self {
            reason: &letter.reason,
            topic: &letter.topic,
            count: 0,
            replayed: 0,
            cut: 0,
            first: letter.at.to_string(),
            last: letter.at.to_string(),
            newest: letter.seq,
            detail: &letter.detail,
        }
    }
}

/// How far the replay has come that there is.
async fn get_replay(State(replay): State<Replay>) -> Response {
    Json(replay.replayer.running()).into_response()
}

/// Reads letters again, once, or says what would become of them.
async fn post_replay(
    State(replay): State<Replay>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if !replay.operators.may_command(&headers) {
        return Refusal::TokenNeeded.into_response();
    }
    let choice = match body
        .as_ref()
        .map(|body| serde_json::from_slice::<Choice>(body))
    {
        Ok(Ok(choice)) if choice.is_empty() => {
            let what = "say which: seqs, reason, topic, or all";
            return Refusal::BadChoice(what.into()).into_response();
        }
        Ok(Ok(choice)) => choice,
        Ok(Err(error)) => return Refusal::BadChoice(error.to_string()).into_response(),
        Err(error) => return Refusal::BadChoice(error.body_text()).into_response(),
    };
    // Who asked may go away: what was begun is brought to its end.
    let replayer = replay.replayer;
    let replayed = tokio::spawn(async move { replayer.replay(&choice).await }).await;
    match replayed.unwrap_or(Err(Stopped::Closed)) {
        Ok(summary) => Json(summary).into_response(),
        Err(Stopped::Unread(why)) => Refusal::LogUnread(why).into_response(),
        Err(Stopped::TooManyReplayed) => Refusal::TooManyReplayed.into_response(),
        Err(Stopped::Overloaded) => Refusal::Overloaded.into_response(),
        Err(Stopped::NotDurable) => Refusal::NotDurable.into_response(),
        Err(Stopped::Closed) => Refusal::Stopping.into_response(),
    }
}
