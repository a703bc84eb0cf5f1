//! What a request is answered with when it cannot be served: `{"code":…,"message":…}`.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::command::RefusalReason;

/// Why not, as a stable word and as a sentence for a person.
#[derive(Debug, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// The request itself is wrong.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }
}

impl From<RefusalReason> for ApiError {
    fn from(reason: RefusalReason) -> Self {
        use ioc_core::decision::RefusalCode;
        let status = match reason {
            RefusalReason::Busy | RefusalReason::Stopping | RefusalReason::StorageFull => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            RefusalReason::Core(code) | RefusalReason::Standing(code, ..) => match code {
                RefusalCode::UnknownIncident
                | RefusalCode::UnknownActuator
                | RefusalCode::UnknownSuppression => StatusCode::NOT_FOUND,
                RefusalCode::AlreadyAcknowledged
                | RefusalCode::AlreadyPending
                | RefusalCode::NotPending
                | RefusalCode::TooLate
                | RefusalCode::AlreadyThere
                | RefusalCode::StepNotPossible
                | RefusalCode::StillActive
                | RefusalCode::NothingToUndo
                | RefusalCode::NotYours
                | RefusalCode::IncidentOver
                | RefusalCode::SensorsSayOtherwise
                | RefusalCode::DifferentRules
                | RefusalCode::NoSuchSource
                | RefusalCode::NothingLeft
                | RefusalCode::ExtremeNotShelved
                | RefusalCode::SetByConfiguration
                | RefusalCode::WouldBeCircle => StatusCode::CONFLICT,
                RefusalCode::CommandNotAllowed
                | RefusalCode::UnknownKind
                | RefusalCode::MatchesNothing => StatusCode::BAD_REQUEST,
                RefusalCode::TooManyPending
                | RefusalCode::TooManyIncidents
                | RefusalCode::TooManySuppressions => StatusCode::SERVICE_UNAVAILABLE,
            },
        };
        Self::new(status, reason.code(), reason.message())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("texts always have a JSON");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
