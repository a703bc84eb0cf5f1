//! Who may do what: reading is open on loopback, commands need the token.
//!
//! Arrives: what a client shows. Leaves: a [`Desk`], who sits there and whether they may command.
//! Promise: a comparison takes the same time however much of a guess is right. Not here: who may
//! reach the port at all, see `guard.rs`.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use ioc_core::id::Actor;
use serde::Serialize;
use subtle::ConstantTimeEq;

/// The secret that lets a console command. An empty one lets nobody.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it is in these headers: for what is served beside the window.
    pub fn opens(&self, headers: &HeaderMap) -> bool {
        self.desk_of(headers).shown() == Shown::Right
    }

    /// What somebody is who shows this.
    pub(crate) fn desk(&self, shown: Option<&str>) -> Desk {
        let Some(shown) = shown else {
            return Desk { shown: Shown::None };
        };
        let same = bool::from(self.0.as_bytes().ct_eq(shown.as_bytes()));
        let shown = if same && !self.0.is_empty() {
            Shown::Right
        } else {
            Shown::Wrong
        };
        Desk { shown }
    }

    /// What somebody is who sends these headers: `Authorization: Bearer …` (RFC 6750 section 2.1).
    pub(crate) fn desk_of(&self, headers: &HeaderMap) -> Desk {
        let value = headers.get(AUTHORIZATION).map(|value| value.to_str());
        let shown = match value {
            None => None,
            Some(Ok(value)) => Some(bearer(value).unwrap_or_default()),
            Some(Err(_)) => Some(""),
        };
        self.desk(shown)
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Who sits at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Desk {
    shown: Shown,
}

/// What they showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shown {
    /// No token: they may read.
    None,
    /// Another token: they may read, and should be told that theirs is out of date.
    Wrong,
    /// The token: they may command.
    Right,
}

impl Desk {
    /// What they showed.
    pub(crate) const fn shown(self) -> Shown {
        self.shown
    }

    /// As whom they command; `None` if they may not.
    pub(crate) fn actor(self) -> Option<Actor> {
        let console = || "console".parse().expect("a word is an actor");
        (self.shown == Shown::Right).then(console)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_lets_somebody_command() {
        let token = Token::new("s3cret");
        assert!(token.desk(Some("s3cret")).actor().is_some());
        for shown in [
            None,
            Some(""),
            Some("s3cre"),
            Some("s3crets"),
            Some("S3CRET"),
        ] {
            assert!(token.desk(shown).actor().is_none(), "{shown:?}");
        }
        assert_eq!(Token::new("").desk(Some("")).shown(), Shown::Wrong);
    }

    #[test]
    fn the_token_is_never_printed() {
        assert!(!format!("{:?}", Token::new("s3cret")).contains("s3cret"));
    }

    #[test]
    fn reads_the_bearer_scheme_only() {
        let desk = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            Token::new("s3cret").desk_of(&headers).shown()
        };
        assert_eq!(desk("Bearer s3cret"), Shown::Right);
        assert_eq!(desk("bearer  s3cret"), Shown::Right);
        assert_eq!(desk("Basic s3cret"), Shown::Wrong);
        assert_eq!(desk("s3cret"), Shown::Wrong);
    }
}
