//! What the intake says: JSON, with what to do where something was not taken.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::dead_letters::{DeadLetters, NotedLetter};
use crate::formats::Reject;

/// The answer to readings that are durable.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    pub accepted: u32,
    pub dead_lettered: u32,
    items: Vec<Item>,
}

/// What became of one item, in the order of the request.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum Item {
    Accepted {
        id: Box<str>,
    },
    DeadLettered {
        reason: &'static str,
        detail: String,
    },
}

impl Item {
    pub fn accepted(id: &str) -> Self {
        Self::Accepted { id: id.into() }
    }

    pub fn dead_lettered(reject: Reject) -> Self {
        Self::DeadLettered {
            reason: reject.reason.word(),
            detail: reject.detail,
        }
    }
}

impl Answer {
    pub fn push(&mut self, item: Item) {
        match item {
            Item::Accepted { .. } => self.accepted += 1,
            Item::DeadLettered { .. } => self.dead_lettered += 1,
        }
        self.items.push(item);
    }
}

impl IntoResponse for Answer {
    /// 200 if all were accepted, 422 if none, else 207.
    fn into_response(self) -> Response {
        let status = match (self.accepted, self.dead_lettered) {
            (_, 0) => StatusCode::OK,
            (0, _) => StatusCode::UNPROCESSABLE_ENTITY,
            (_, _) => StatusCode::MULTI_STATUS,
        };
        (status, Json(self)).into_response()
    }
}

/// A request of which nothing is known to be durable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}; write one reading as a JSON object, an array of them, or one on each line")]
    Malformed(String),
    #[error("the body broke off: {0}; send it again")]
    BrokenOff(String),
    #[error("limit must be a whole number")]
    BadLimit,
    #[error("the body took too long to arrive; send it again, in parts")]
    TooSlow,
    #[error("a request has at most {bytes_max} bytes; send it in parts")]
    TooLong { bytes_max: usize },
    #[error("a request brings at most {readings_max} readings; send them in parts")]
    TooMany { readings_max: usize },
    #[error("too many requests at once; nothing was taken, send it again later")]
    TooManyRequests,
    #[error("the engine is behind; nothing was taken, send it again later")]
    Overloaded,
    #[error("not durable in time, but it may become so; send it again, twice does no harm")]
    NotDurable,
    #[error("the server stops; send it again later, twice does no harm")]
    Stopping,
}

impl Refusal {
    /// The status, and the code that machines go by.
    const fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "body_malformed"),
            Self::BrokenOff(_) => (StatusCode::BAD_REQUEST, "body_broken_off"),
            Self::BadLimit => (StatusCode::BAD_REQUEST, "limit_invalid"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            Self::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_long"),
            Self::TooMany { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_readings"),
            Self::TooManyRequests => (StatusCode::SERVICE_UNAVAILABLE, "too_many_requests"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::NotDurable => (StatusCode::SERVICE_UNAVAILABLE, "not_durable"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        }
    }
}

/// A refusal on the wire.
#[derive(Serialize)]
struct Refused {
    code: &'static str,
    message: String,
}

/// After how many seconds a client that was turned away may come again.
const RETRY_AFTER_S: &str = "1";

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let message = self.to_string();
        let refused = (status, Json(Refused { code, message }));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            ([(RETRY_AFTER, RETRY_AFTER_S)], refused).into_response()
        } else {
            refused.into_response()
        }
    }
}

/// The newest dead letters, newest first.
pub(super) fn dead_letters(letters: &DeadLetters, limit: usize) -> Response {
    let newest = letters.newest(limit);
    Json(Listed {
        total: letters.total(),
        dead_letters: newest
            .iter()
            .map(|letter| ListedLetter::of(letter))
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
    /// As text; bytes that are not UTF-8 are replaced.
    payload: std::borrow::Cow<'a, str>,
    /// How many bytes the message had; the payload may be cut.
    payload_bytes: u32,
}

impl<'a> ListedLetter<'a> {
    fn of(letter: &'a NotedLetter) -> Self {
        Self {
            seq: letter.seq,
            at: letter.at.to_string(),
            source: &letter.source,
            topic: &letter.topic,
            reason: &letter.reason,
            detail: &letter.detail,
            payload: String::from_utf8_lossy(&letter.payload),
            payload_bytes: letter.payload_bytes,
        }
    }
}
