//! Posts readings to the HTTP intake, in batches of NDJSON.
//!
//! Arrives: messages. Leaves: `POST /api/v1/readings` requests on one connection, one after
//! another, so that a sensor's readings stay in order. Promise: a batch is posted again until it
//! is answered: the server knows readings that it has by their ids. An answer means that what is
//! in it is durable, as readings or as dead letters, which are counted apart.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::args::HttpAddress;
use crate::publisher::{Absence, CONNECT_WITHIN, LinkEvent, Message, OnLink, Pauses, Tally};

/// The longest request, unless one reading alone is longer.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How much of a refusal's text is told.
const REFUSAL_CHARS_MAX: usize = 300;

/// How to post.
#[derive(Debug, Clone)]
pub(super) struct PosterOptions {
    pub(super) address: HttpAddress,
    /// What it shows, if it has one.
    pub(super) key: Option<String>,
    /// Readings in one request, at most.
    pub(super) batch_max: usize,
    /// Give up after so long without an answer.
    pub(super) patience: Duration,
}

/// Why one request failed.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Nobody accepted a connection in time.
    #[error("no connection within {} s", CONNECT_WITHIN.as_secs())]
    ConnectTimeout,
    /// The connection broke.
    #[error(transparent)]
    Http(hyper::Error),
    /// It was closed before the answer.
    #[error("the other side hung up without an answer; is this the HTTP port?")]
    Unanswered,
    /// Something else than an HTTP server answered.
    #[error("it does not speak HTTP; is this the HTTP port?")]
    NotHttp,
    /// Nothing was answered in time.
    #[error("no answer in time")]
    AnswerTimeout,
    /// The answer broke off or is too long.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
    /// The server has too much to do.
    #[error("the server answered {0}")]
    Busy(StatusCode),
    /// The server will not have it.
    #[error("the server answered {status}: {text}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// The beginning of its text.
        text: String,
    },
}

impl From<hyper::Error> for PostError {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::NotHttp
        } else if error.is_incomplete_message() || error.is_canceled() {
            Self::Unanswered
        } else {
            Self::Http(error)
        }
    }
}

impl PostError {
    /// Whether trying again cannot help.
    const fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Answer(_) | Self::NotHttp)
    }
}

/// One connection's poster.
pub(super) struct Poster {
    options: PosterOptions,
    tally: Arc<Tally>,
    dead_lettered: Arc<AtomicU64>,
    on_link: OnLink,
    connection: Option<Connection>,
    was_down: bool,
    absence: Absence,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Poster {
    pub(super) fn new(
        options: PosterOptions,
        tally: Arc<Tally>,
        dead_lettered: Arc<AtomicU64>,
        on_link: OnLink,
    ) -> Self {
        Self {
            options,
            tally,
            dead_lettered,
            on_link,
            connection: None,
            was_down: false,
            absence: Absence::default(),
        }
    }

    /// Posts what the source yields, until it ends and everything is answered.
    pub(super) async fn run(
        mut self,
        mut source: mpsc::Receiver<Vec<Message>>,
    ) -> Result<(), PostError> {
        let mut ready: VecDeque<Message> = VecDeque::new();
        loop {
            if ready.is_empty() {
                match source.recv().await {
                    Some(batch) => ready.extend(batch),
                    None => return Ok(()),
                }
            }
            while ready.len() < self.options.batch_max
                && let Ok(batch) = source.try_recv()
            {
                ready.extend(batch);
            }
            let batch = take_batch(&mut ready, self.options.batch_max);
            self.post_until_answered(&batch).await?;
        }
    }

    async fn post_until_answered(&mut self, batch: &[Message]) -> Result<(), PostError> {
        let began = Instant::now();
        let body = ndjson(batch);
        let mut pauses = Pauses::default();
        self.tally.add_sent(batch.len() as u64);
        loop {
            match timeout(self.options.patience, self.post(body.clone())).await {
                Ok(Ok(answer)) => {
                    self.count(batch, &answer, began);
                    return Ok(());
                }
                Ok(Err(error)) if error.is_final() => return Err(error),
                Ok(Err(error)) if began.elapsed() > self.options.patience => return Err(error),
                Err(_) => return Err(PostError::AnswerTimeout),
                Ok(Err(error)) => {
                    self.connection = None;
                    self.was_down = true;
                    let wait = pauses.next();
                    let address = &self.options.address.0;
                    let hint = match &error {
                        PostError::Io(error) => self.absence.hint(error),
                        _ => None,
                    };
                    (self.on_link)(&LinkEvent::Down {
                        address,
                        error: &error,
                        retry_in: wait,
                        hint,
                    });
                    sleep(wait).await;
                    self.tally.add_resent(batch.len() as u64);
                }
            }
        }
    }

    fn count(&self, batch: &[Message], answer: &Answer, began: Instant) {
        let now = Instant::now();
        let known = answer.accepted + answer.dead_lettered;
        for message in batch.iter().take(known as usize) {
            let since = message.due.unwrap_or(began);
            self.tally
                .add_acknowledged(1, now.saturating_duration_since(since));
        }
        self.dead_lettered
            .fetch_add(answer.dead_lettered, Ordering::Relaxed);
    }

    async fn post(&mut self, body: Bytes) -> Result<Answer, PostError> {
        let address = self.options.address.0.to_string();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/readings")
            .header(HOST, address)
            .header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(key) = &self.options.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| PostError::Answer(error.to_string()))?;
        let connection = self.connected().await?;
        connection.sender.ready().await?;
        let response = connection.sender.send_request(request).await?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| PostError::Answer(error.to_string()))?
            .to_bytes();
        match status {
            StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_TIMEOUT => Err(PostError::Busy(status)),
            // 422 when all of them became dead letters.
            _ if status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY => {
                let unread = || PostError::Answer("it does not count the readings".to_owned());
                Answer::read(&answer).ok_or_else(unread)
            }
            _ => {
                let text = String::from_utf8_lossy(&answer);
                let text = text.chars().take(REFUSAL_CHARS_MAX).collect();
                Err(PostError::Refused { status, text })
            }
        }
    }

    async fn connected(&mut self) -> Result<&mut Connection, PostError> {
        if self
            .connection
            .as_ref()
            .is_none_or(|connection| connection.sender.is_closed())
        {
            let address = &self.options.address.0;
            let connect = TcpStream::connect((address.host.as_str(), address.port));
            let stream = timeout(CONNECT_WITHIN, connect)
                .await
                .map_err(|_| PostError::ConnectTimeout)??;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            // Its errors come back through the sender.
            let driver = tokio::spawn(async move { drop(connection.await) });
            if mem::take(&mut self.was_down) {
                (self.on_link)(&LinkEvent::Back(address));
            }
            self.connection = Some(Connection { sender, driver });
        }
        Ok(self.connection.as_mut().expect("it was just made"))
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// As many as one request may carry; one at least.
fn take_batch(ready: &mut VecDeque<Message>, count_max: usize) -> Vec<Message> {
    let mut bytes = 0;
    let fits = |message: &&Message| {
        bytes += message.payload.len() + 1;
        bytes <= BATCH_BYTES_MAX
    };
    let count = ready.iter().take(count_max).take_while(fits).count();
    ready.drain(..count.max(1)).collect()
}

fn ndjson(batch: &[Message]) -> Bytes {
    let length = batch.iter().map(|message| message.payload.len() + 1).sum();
    let mut body = BytesMut::with_capacity(length);
    for message in batch {
        body.extend_from_slice(&message.payload);
        body.extend_from_slice(b"\n");
    }
    body.freeze()
}

/// An answer item by item, as far as it is counted.
#[derive(Debug, PartialEq, Deserialize)]
struct Answer {
    accepted: u64,
    dead_lettered: u64,
}

impl Answer {
    fn read(answer: &[u8]) -> Option<Self> {
        serde_json::from_slice(answer).ok()
    }
}

#[cfg(test)]
mod tests;
