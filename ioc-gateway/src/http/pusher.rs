//! Who pushes: anyone, or the holder of a key.
//!
//! Arrives: the headers of a request. Leaves: what may be taken of it, sensor by sensor; or a
//! refusal before its body is read. A key is shown as `Authorization: Bearer …` (RFC 6750 section
//! 2.1) or as `X-API-Key: …`, which more devices can send.

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};

use super::READINGS;
use super::answer::Refusal;
use crate::door::{Door, Source};
use crate::formats::{Origin, Reject, feedback};
use crate::keys::{Key, Keys, Served};
use crate::options::HttpOptions;
use crate::telemetry::{self, Adapter};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who pushes.
#[derive(Debug, Clone)]
pub(super) struct Pusher(Option<Arc<Key>>);

impl Pusher {
    /// Who sends these headers, where these keys are asked for.
    pub fn of(keys: Option<&Keys>, headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(keys) = keys else {
            return Ok(Self(None));
        };
        let refused = |refusal: Refusal| {
            telemetry::http_key_refused();
            refusal
        };
        let shown = shown(headers).ok_or_else(|| refused(Refusal::KeyNeeded))?;
        let key = keys
            .find(shown)
            .ok_or_else(|| refused(Refusal::KeyUnknown))?;
        Ok(Self(Some(key)))
    }

    /// As whom dead letters name it.
    pub fn source(&self) -> &str {
        match &self.0 {
            None => Adapter::Http.word(),
            Some(key) => key.source(),
        }
    }

    /// Where its readings come from.
    pub fn origin(&self) -> Origin<'_> {
        Origin {
            source: self.source(),
            topic: READINGS,
        }
    }

    /// What its key may still send; none without a key.
    pub fn quota(&self, door: &Door) -> Option<&Source> {
        self.0.as_ref().map(|key| key.quota(door))
    }

    /// What its key may have served at once; none without a key.
    pub fn served(&self, options: &HttpOptions) -> Option<&Served> {
        self.0.as_ref().map(|key| key.served(options))
    }

    /// Whether it may publish readings of this sensor.
    pub fn check(&self, sensor: &str) -> Result<(), Reject> {
        self.0.as_ref().map_or(Ok(()), |key| key.check(sensor))
    }

    /// Whether it may publish readings of this sensor, or say something about a command to this
    /// device: by the topic it is one or the other.
    pub fn check_of(&self, topic: &str, name: &str) -> Result<(), Reject> {
        match (&self.0, feedback::device_of(topic)) {
            (Some(key), Some(_)) => key.check_device(name),
            (Some(_), None) | (None, _) => self.check(name),
        }
    }
}

/// The key in these headers.
fn shown(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(API_KEY) {
        return key.to_str().ok().map(str::trim);
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
