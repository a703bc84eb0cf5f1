//! What the intake says: JSON, with what to do where something was not taken.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::formats::Reject;

/// How many lines of a body are told one by one in one answer; of those behind, so many that were
/// refused.
const LINES_TOLD_MAX: usize = 1000;
/// How many parts of an answer may wait for a client that reads while it sends.
const WAITING_PARTS_MAX: usize = 2;

/// The answer to readings that are durable.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    pub accepted: u64,
    pub dead_lettered: u64,
    /// How much was rightly no reading.
    #[serde(skip_serializing_if = "is_zero")]
    pub noted: u64,
    items: Vec<Told>,
    #[serde(skip_serializing_if = "is_zero")]
    items_left_out: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What became of one item, in the order of the request; what is rightly no reading comes last.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// The number of its line, where lines are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(flatten)]
    pub item: Item,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum Item {
    Accepted {
        id: Box<str>,
    },
    DeadLettered {
        reason: &'static str,
        detail: Box<str>,
    },
    Noted {
        #[serde(skip_serializing_if = "str::is_empty")]
        place: Box<str>,
        why: &'static str,
    },
}

impl Item {
    pub fn accepted(id: &str) -> Self {
        Self::Accepted { id: id.into() }
    }

    pub fn dead_lettered(reject: Reject) -> Self {
        Self::DeadLettered {
            reason: reject.reason.word(),
            detail: reject.detail.into(),
        }
    }

    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

impl Answer {
    /// Counts and tells one item of a body that was taken whole.
    pub fn push(&mut self, item: Item) {
        self.count(&item);
        self.items.push(Told { line: None, item });
    }

    fn count(&mut self, item: &Item) {
        match item {
            Item::Accepted { .. } => self.accepted += 1,
            Item::DeadLettered { .. } => self.dead_lettered += 1,
            Item::Noted { .. } => self.noted += 1,
        }
    }

    /// Counts one of any number, and tells it if there is room.
    fn push_if_room(&mut self, told: Told) {
        let before = self.accepted + self.dead_lettered;
        self.count(&told.item);
        let is_of_the_first = before < LINES_TOLD_MAX as u64;
        let has_room = !told.item.is_accepted() && self.items.len() < 2 * LINES_TOLD_MAX;
        if is_of_the_first || has_room {
            self.items.push(told);
        } else {
            self.items_left_out += 1;
        }
    }
}

/// Who hears what became of the lines of a body.
pub(super) trait Teller {
    /// Hears of the next lines, which are durable.
    ///
    /// # Errors
    /// Nobody hears any more.
    async fn tell(&mut self, told: impl Iterator<Item = Told> + Send) -> Result<(), Refusal>;
}

impl Teller for Answer {
    async fn tell(&mut self, told: impl Iterator<Item = Told> + Send) -> Result<(), Refusal> {
        told.for_each(|told| self.push_if_room(told));
        Ok(())
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

/// An answer line by line, while the body still comes.
pub(super) struct Conversation {
    parts: mpsc::Sender<Bytes>,
    accepted: u64,
    dead_lettered: u64,
}

/// A conversation, and the response that carries it.
pub(super) fn conversation() -> (Conversation, Response) {
    let (parts, waiting) = mpsc::channel(WAITING_PARTS_MAX);
    let body = stream::unfold(waiting, async |mut waiting: mpsc::Receiver<Bytes>| {
        let part = waiting.recv().await?;
        Some((Ok::<_, Infallible>(part), waiting))
    });
    let headers = [(CONTENT_TYPE, "application/x-ndjson")];
    let conversation = Conversation {
        parts,
        accepted: 0,
        dead_lettered: 0,
    };
    (
        conversation,
        (headers, Body::from_stream(body)).into_response(),
    )
}

/// The last line of a conversation.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Last {
    /// All lines are answered.
    Done { accepted: u64, dead_lettered: u64 },
    /// The others are to be sent again.
    BrokenOff(Refused),
}

impl Conversation {
    /// Says how it ended: a client that hears no such line knows that it has not heard all.
    pub async fn end(self, ended: Result<(), BrokenOff>) {
        let last = match ended {
            Ok(()) => Last::Done {
                accepted: self.accepted,
                dead_lettered: self.dead_lettered,
            },
            Err(broken_off) => Last::BrokenOff(broken_off.refused()),
        };
        let mut line = Vec::new();
        put_line(&mut line, &last);
        // Whoever asked may have gone.
        let _ = self.parts.send(line.into()).await;
    }
}

impl Teller for Conversation {
    async fn tell(&mut self, told: impl Iterator<Item = Told> + Send) -> Result<(), Refusal> {
        let mut part = Vec::new();
        for told in told {
            match told.item {
                Item::Accepted { .. } => self.accepted += 1,
                Item::DeadLettered { .. } => self.dead_lettered += 1,
                Item::Noted { .. } => {}
            }
            put_line(&mut part, &told);
        }
        let sent = self.parts.send(part.into()).await;
        sent.map_err(|_| Refusal::BrokenOff("nobody hears the answers".into()))
    }
}

fn put_line(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(&mut *out, value).expect("numbers and texts always have a JSON");
    out.push(b'\n');
}

/// A request of which nothing is known to be durable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}; write one reading as a JSON object, an array of them, or one on each line")]
    Malformed(String),
    #[error("the body broke off: {0}; send it again")]
    BrokenOff(String),
    #[error("the body is no whole gzip: {0}; send it again, or without Content-Encoding")]
    GzipMalformed(String),
    #[error("limit must be a whole number")]
    BadLimit,
    #[error("the inputs log cannot be read: {0}; what was replayed until then is, try it again")]
    LogUnread(String),
    #[error(
        "more letters were replayed than a replay keeps in mind; choose with `since` those that came \
         of late"
    )]
    TooManyReplayed,
    #[error("{0}; write for example {{\"reason\":\"unit_unknown\",\"dry_run\":true}}")]
    BadChoice(String),
    #[error(
        "an operator's token is needed: send `Authorization: Bearer TOKEN` with the console's \
             token, which lies in the data directory"
    )]
    TokenNeeded,
    #[error("a key is needed: send `Authorization: Bearer KEY` or `X-API-Key: KEY`")]
    KeyNeeded,
    #[error("nobody has this key; `ioc key new` makes one, and its line goes into http.keys_file")]
    KeyUnknown,
    #[error("the body took too long to arrive; send it again, in parts")]
    TooSlow,
    #[error(
        "a request has at most {bytes_max} bytes, also when unpacked; send it in parts, or a \
         reading a line as application/x-ndjson, however many they are"
    )]
    TooLong { bytes_max: usize },
    #[error(
        "a request brings at most {readings_max} readings; send them in parts, or one a line as \
         application/x-ndjson, however many they are"
    )]
    TooMany { readings_max: usize },
    #[error("the body unpacks to more than {ratio_max} times its length; send it unpacked")]
    GzipRatio { ratio_max: u64 },
    #[error("the body has far more gzip members than it holds anything; pack it as one")]
    GzipMembers,
    #[error("the body has far more of gzip than it holds anything; send it unpacked")]
    GzipEmpty,
    #[error("the Content-Encoding is not known; send gzip, or none")]
    EncodingUnknown,
    #[error("too many requests at once; nothing was taken, send it again later")]
    TooManyRequests,
    #[error("the engine is behind; what was not accepted was not taken, send it again later")]
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
            Self::GzipMalformed(_) => (StatusCode::BAD_REQUEST, "gzip_malformed"),
            Self::BadLimit => (StatusCode::BAD_REQUEST, "limit_invalid"),
            Self::BadChoice(_) => (StatusCode::BAD_REQUEST, "choice_invalid"),
            Self::LogUnread(_) => (StatusCode::SERVICE_UNAVAILABLE, "log_unread"),
            Self::TooManyReplayed => (StatusCode::BAD_REQUEST, "too_many_replayed"),
            Self::TokenNeeded => (StatusCode::UNAUTHORIZED, "token_needed"),
            Self::KeyNeeded => (StatusCode::UNAUTHORIZED, "key_needed"),
            Self::KeyUnknown => (StatusCode::UNAUTHORIZED, "key_unknown"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            Self::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_long"),
            Self::TooMany { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_readings"),
            Self::GzipRatio { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "gzip_ratio"),
            Self::GzipMembers => (StatusCode::PAYLOAD_TOO_LARGE, "gzip_members"),
            Self::GzipEmpty => (StatusCode::PAYLOAD_TOO_LARGE, "gzip_empty"),
            Self::EncodingUnknown => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding_unknown"),
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
    /// How many lines of the body are durable: what lies behind is to be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines_durable: Option<u64>,
}

/// A body of lines that was not taken to its end.
#[derive(Debug)]
pub(super) struct BrokenOff {
    pub refusal: Refusal,
    /// This line and all before it are durable, if they are readings at all.
    pub lines_durable: Option<u64>,
}

impl From<Refusal> for BrokenOff {
    /// Refused before its first line.
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            lines_durable: None,
        }
    }
}

impl BrokenOff {
    fn refused(&self) -> Refused {
        Refused {
            code: self.refusal.status_and_code().1,
            message: self.refusal.to_string(),
            lines_durable: self.lines_durable,
        }
    }
}

/// After how many seconds a client that was turned away may come again.
const RETRY_AFTER_S: &str = "1";

impl IntoResponse for BrokenOff {
    fn into_response(self) -> Response {
        let (status, _) = self.refusal.status_and_code();
        let refused = (status, Json(self.refused()));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                ([(RETRY_AFTER, RETRY_AFTER_S)], refused).into_response()
            }
            StatusCode::UNAUTHORIZED => {
                // RFC 9110 section 11.6.1.
                ([(WWW_AUTHENTICATE, "Bearer realm=\"ioc\"")], refused).into_response()
            }
            _ => refused.into_response(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        BrokenOff::from(self).into_response()
    }
}
