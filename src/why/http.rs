//! The same answers over HTTP: `GET /api/v1/why/{about}`.
//!
//! Arrives: `inc-…`, `SENSOR/READING`, a reading's id, a sensor, or a record as `%23981`. Leaves:
//! JSON. Promise: one question at a time, answered by a thread that lets all others go first; who
//! asks meanwhile is told to ask again. Reading is open like all of the picture.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};

use super::{About, WhyError, answer};
use crate::priority;
use crate::rules::Rules;

/// How many questions are answered at once.
const QUESTIONS_MAX: usize = 1;

/// Who answers.
#[derive(Debug, Clone)]
struct Desk {
    data: PathBuf,
    places: Arc<Semaphore>,
}

/// The route, for a server of this data directory.
pub fn router(data: PathBuf) -> Router {
    let places = Arc::new(Semaphore::new(QUESTIONS_MAX));
    Router::new()
        .route("/api/v1/why/{*about}", get(why))
        .with_state(Desk { data, places })
}

async fn why(State(desk): State<Desk>, Path(about): Path<String>) -> Response {
    let about: About = match about.parse() {
        Ok(about) => about,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, "bad_request", &message),
    };
    let Ok(place) = Arc::clone(&desk.places).try_acquire_owned() else {
        let message = "another question is being answered; ask again in a moment";
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
    };
    let (tell, told) = oneshot::channel();
    let thinking = thread::Builder::new()
        .name("why".to_owned())
        .spawn(move || {
            priority::be_patient();
            let bundles = Rules::new(&desk.data, None, None).bundles();
            let answer = answer(&desk.data, &about, &*bundles);
            // Before the answer is there, so that who has it may ask again.
            drop(place);
            // Who asked may have gone.
            let _ = tell.send(answer.map(|answer| answer.to_json()));
        });
    if thinking.is_err() {
        let message = "the machine refuses another thread";
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
    }
    match told.await {
        Ok(Ok(answer)) => json_of(StatusCode::OK, &answer),
        Ok(Err(error)) => failure(&error),
        Err(_) => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            "the question could not be answered by this build",
        ),
    }
}

fn failure(error: &WhyError) -> Response {
    let (status, code) = match error {
        WhyError::Unknown { .. } => (StatusCode::NOT_FOUND, "unknown"),
        WhyError::NoReading { .. } => (StatusCode::BAD_REQUEST, "no_reading"),
        WhyError::Journal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
    };
    refusal(status, code, &error.to_string())
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response = json_of(status, &json!({ "code": code, "message": message }));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = axum::http::HeaderValue::from_static("5");
        response.headers_mut().insert(RETRY_AFTER, soon);
    }
    response
}

fn json_of(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn p5_one_question_why_is_answered_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(crate::recover::INPUTS_DIR)).unwrap();
        let desk = Desk {
            data: dir.path().to_owned(),
            places: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        };
        let held = Arc::clone(&desk.places).try_acquire_owned().unwrap();
        let ask = || why(State(desk.clone()), Path("wl-1".to_owned()));
        let busy = ask().await;
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(busy.headers().contains_key(RETRY_AFTER));
        drop(held);
        assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);
        // Its place is free again once it is answered.
        assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);
    }
}
