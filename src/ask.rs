//! Asking a running server over HTTP, as the commands do.
//!
//! Arrives: an address, a request, the file of the console's token. Leaves: the answer's JSON, or
//! why there is none. Promise: an answer has a bound and a time; nothing is asked twice. Not here:
//! what answers mean, and connections that last (`send/http.rs`, `watch/session.rs`).

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::{Address, HttpAddress};
use crate::identity::TOKEN_FILE;

/// The longest answer that is read: all letters with all that is kept of them, or a large city.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Which server is asked.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub server: HttpAddress,
}

/// What shows that an operator asks.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The file of the console's token [default: console.token in --data]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    token_file: Option<PathBuf>,
    /// The server's data directory, where the console's token lies
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub method: Method,
    pub path: &'a str,
    pub token: Option<&'a str>,
    pub body: Bytes,
}

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
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

impl TokenArgs {
    /// The token.
    pub fn read(&self) -> Result<String, AskError> {
        let path = match &self.token_file {
            Some(path) => path.clone(),
            None => self.data.join(TOKEN_FILE),
        };
        let token = fs::read_to_string(&path);
        let token = token.map_err(|source| AskError::Token { path, source })?;
        Ok(token.trim().to_owned())
    }
}

impl<'a> Ask<'a> {
    /// To be shown something that anybody may see.
    pub const fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            token: None,
            body: Bytes::new(),
        }
    }

    /// To have something done.
    pub const fn post(path: &'a str, token: &'a str, body: Bytes) -> Self {
        Self {
            method: Method::POST,
            path,
            token: Some(token),
            body,
        }
    }

    /// Asks, and reads the answer, whatever it is.
    pub async fn of(self, to: &HttpAddress) -> Result<(u16, Value), AskError> {
        let asked = timeout(ANSWER_WITHIN, self.patiently_of(to)).await;
        asked.map_err(|_| AskError::no_answer(to, "it takes too long".to_owned()))?
    }

    /// The same for what takes as long as it takes.
    pub async fn patiently_of(self, to: &HttpAddress) -> Result<(u16, Value), AskError> {
        let no_answer = |why| AskError::no_answer(to, why);
        let (status, answer) = self.exchange(&to.0).await.map_err(no_answer)?;
        let answer = serde_json::from_slice(&answer);
        let answer = answer.map_err(|_| no_answer("it does not speak as ioc does".to_owned()))?;
        Ok((status, answer))
    }

    /// The same; that something is refused is an error.
    pub async fn granted_by(self, to: &HttpAddress) -> Result<Value, AskError> {
        let (status, answer) = self.of(to).await?;
        AskError::unless_granted(status, answer)
    }

    /// Asks, and reads the answer's status and body. The error says why there is none.
    pub async fn exchange(self, to: &Address) -> Result<(u16, Bytes), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let stream = TcpStream::connect((to.host.as_str(), to.port)).await;
        let stream = stream.map_err(|error| said(&error))?;
        let connected = handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| said(&error))?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(HOST, to.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(self.body));
        let request = request.map_err(|error| said(&error))?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| said(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await;
        driver.abort();
        Ok((status, body.map_err(|error| said(&error))?.to_bytes()))
    }
}

impl AskError {
    fn no_answer(to: &HttpAddress, why: String) -> Self {
        Self::NoAnswer {
            address: to.clone(),
            why,
        }
    }

    /// The answer, unless it is a refusal.
    pub(crate) fn unless_granted(status: u16, answer: Value) -> Result<Value, Self> {
        match status {
            200 => Ok(answer),
            _ => Err(Self::refused(status, &answer)),
        }
    }

    pub(crate) fn refused(status: u16, answer: &Value) -> Self {
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        Self::Refused { status, message }
    }
}

/// Prints what a command has to say.
pub(crate) fn print(text: &str) -> Result<(), AskError> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(AskError::Output)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn a_refusal_is_told_in_the_servers_words_and_p5_no_answer_is_without_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refusal = || async {
            (
                StatusCode::UNAUTHORIZED,
                r#"{"code":"token_needed","message":"show it"}"#,
            )
        };
        let endless = || async { vec![b'x'; ANSWER_BYTES_MAX + 1] };
        let router = Router::new()
            .route("/refusal", get(refusal))
            .route("/endless", get(endless));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let to: HttpAddress = format!("http://{address}").parse().unwrap();
        let of = async |path: &str| {
            let asked = Ask::get(path).granted_by(&to).await;
            asked.unwrap_err().to_string()
        };
        assert_eq!(of("/refusal").await, "the server answered 401: show it");
        assert!(of("/endless").await.contains("limit"));
    }
}
