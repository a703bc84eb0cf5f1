//! The HTTP intake: readings in, answered item by item once durable; dead letters out.
//!
//! Arrives: `POST /api/v1/readings` with one reading, an array or a line for each (NDJSON);
//! `POST /api/v1/messages/<topic>` with a message as it would be published to that topic, which its
//! mapping reads; `POST /api/v1/notifications`, where context brokers send what they notify of; and
//! `GET /api/v1/dead-letters`. Leaves: JSON. Promise: `accepted` is said only of what is durable;
//! a request that is answered with anything but 200, 207 or 422 may be sent again without harm,
//! for a redelivery changes nothing. Bounds and their answers are in [`HttpOptions`]. Not here:
//! Host and Origin checks and identity, which the host lays around all routes.

mod body;
mod answer;
mod event;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::answer::{Answer, Item, Refusal};
use self::body::BodyKind;
use crate::dead_letters::DeadLetters;
use crate::door::{Door, DoorClosed, Inputs, Ledger};
use crate::formats;
use crate::formats::native::{self, Scratch};
use crate::formats::{Message, Origin, Reject, Workspace, append_dead_letter, append_message};
use crate::options::HttpOptions;
use crate::telemetry::{self, Adapter};

/// What context brokers send (ETSI GS CIM 009), which they may call just JSON.
const NGSI_LD: &str = "application/ld+json";

const READINGS: &str = "/api/v1/readings";
const MESSAGES: &str = "/api/v1/messages/{*topic}";
const NOTIFICATIONS: &str = "/api/v1/notifications";
const NOTIFICATIONS_OF: &str = "/api/v1/notifications/{*topic}";
const DEAD_LETTERS: &str = "/api/v1/dead-letters";

/// The routes of the intake.
pub fn router(door: Door, dead_letters: DeadLetters, options: HttpOptions) -> Router {
    let intake = Intake {
        slots: Arc::new(Semaphore::new(options.requests_max)),
        options: Arc::new(options),
        door,
    };
    Router::new()
        .route(READINGS, post(post_readings).with_state(intake.clone()))
        .route(MESSAGES, post(post_message).with_state(intake.clone()))
        .route(
            NOTIFICATIONS,
            post(post_notification).with_state(intake.clone()),
        )
        .route(
            NOTIFICATIONS_OF,
            post(post_notification_of).with_state(intake),
        )
        .route(DEAD_LETTERS, get(get_dead_letters).with_state(dead_letters))
}

#[derive(Clone)]
struct Intake {
    door: Door,
    options: Arc<HttpOptions>,
    /// One for each request that is served.
    slots: Arc<Semaphore>,
}

async fn post_readings(State(intake): State<Intake>, request: Request) -> Response {
    let content_type = content_type(&request);
    let is_event = !event::attributes(request.headers()).is_empty();
    let taken = match formats::standard(content_type.as_deref()) {
        None if !is_event => intake.take(request).await,
        Some(_) | None => intake.take_message(READINGS, content_type, request).await,
    };
    answered(taken)
}

async fn post_message(
    State(intake): State<Intake>,
    Path(topic): Path<String>,
    request: Request,
) -> Response {
    let content_type = content_type(&request);
    answered(intake.take_message(&topic, content_type, request).await)
}

async fn post_notification(State(intake): State<Intake>, request: Request) -> Response {
    notified(&intake, "notifications", request).await
}

async fn post_notification_of(
    State(intake): State<Intake>,
    Path(topic): Path<String>,
    request: Request,
) -> Response {
    notified(&intake, &topic, request).await
}

/// Takes what a context broker notifies of, whatever content type it says that this is. Once it is
/// durable it is answered as received, also what of it is a dead letter: a broker that was told
/// otherwise would count a failure, and after some of them notify no more.
async fn notified(intake: &Intake, topic: &str, request: Request) -> Response {
    let content_type = Some(NGSI_LD.to_owned());
    match intake.take_message(topic, content_type, request).await {
        Ok(_) => {
            telemetry::http_answered(StatusCode::NO_CONTENT.as_u16());
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => answered(Err(refusal)),
    }
}

/// What the request says that its body is.
fn content_type(request: &Request) -> Option<String> {
    let value = request.headers().get(CONTENT_TYPE)?;
    value.to_str().ok().map(str::to_owned)
}

fn answered(taken: Result<Answer, Refusal>) -> Response {
    let response = match taken {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_response(),
    };
    telemetry::http_answered(response.status().as_u16());
    response
}

impl Intake {
    async fn take(&self, request: Request) -> Result<Answer, Refusal> {
        let _slot = self
            .slots
            .try_acquire()
            .map_err(|_| Refusal::TooManyRequests)?;
        let kind = BodyKind::of(request.headers().get(CONTENT_TYPE));
        let body = self.whole(request.into_body()).await?;
        let items = body::split(&body, kind, self.options.readings_max)?;
        let (inputs, answer) = self.decode(&items);
        if !inputs.is_empty() {
            self.make_durable(inputs).await?;
        }
        Ok(answer)
    }

    /// Takes a message as if it was published to a topic.
    async fn take_message(
        &self,
        topic: &str,
        content_type: Option<String>,
        request: Request,
    ) -> Result<Answer, Refusal> {
        let _slot = self
            .slots
            .try_acquire()
            .map_err(|_| Refusal::TooManyRequests)?;
        let (head, body) = request.into_parts();
        let payload = self.whole(body).await?;
        let event = event::attributes(&head.headers);
        let event: Vec<_> = event
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let message = Message {
            topic,
            payload: &payload,
            content_type: content_type.as_deref(),
            event: &event,
        };
        let (mut inputs, mut answer) = (Inputs::default(), Answer::default());
        let mut told = |item: Result<&str, Reject>| match item {
            Ok(id) => answer.push(Item::accepted(id)),
            Err(reject) => {
                telemetry::dead_letter(Adapter::Http, reject.reason);
                answer.push(Item::dead_lettered(reject));
            }
        };
        append_message(
            &mut inputs,
            message,
            Adapter::Http.word(),
            &self.door.catalogue(),
            &mut Workspace::default(),
            &mut told,
        );
        telemetry::readings_decoded(Adapter::Http, answer.accepted);
        if !inputs.is_empty() {
            self.make_durable(inputs).await?;
        }
        Ok(answer)
    }

    /// The body, if it comes in time and is within its bound.
    async fn whole(&self, body: Body) -> Result<axum::body::Bytes, Refusal> {
        let bytes_max = self.options.request_bytes_max;
        let collected = timeout(
            self.options.request_wait_max,
            Limited::new(body, bytes_max).collect(),
        );
        match collected.await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLong { bytes_max }),
            Ok(Err(error)) => Err(Refusal::BrokenOff(error.to_string())),
            Err(_) => Err(Refusal::TooSlow),
        }
    }

    /// Each item as an input, and what will be said of it once it is durable.
    fn decode(&self, items: &[&[u8]]) -> (Inputs, Answer) {
        let catalogue = self.door.catalogue();
        let mut scratch = Scratch::default();
        let total = items.iter().map(|item| item.len()).sum();
        let mut inputs = Inputs::default();
        inputs.reserve(total);
        let mut answer = Answer::default();
        let origin = Origin {
            source: Adapter::Http.word(),
            topic: READINGS,
        };
        for item in items {
            match native::decode(item, None, &catalogue, &mut scratch) {
                Ok(reading) => {
                    inputs.push(&ioc_core::record::Input::Reading(reading));
                    answer.push(Item::accepted(reading.id));
                }
                Err(reject) => {
                    append_dead_letter(&mut inputs, origin, &reject, item);
                    telemetry::dead_letter(Adapter::Http, reject.reason);
                    answer.push(Item::dead_lettered(reject));
                }
            }
        }
        telemetry::readings_decoded(Adapter::Http, answer.accepted);
        (inputs, answer)
    }

    /// Hands the inputs over and waits until they are durable.
    async fn make_durable(&self, inputs: Inputs) -> Result<(), Refusal> {
        let ledger = Arc::<Ledger>::default();
        let count = u64::from(inputs.count());
        // Dropping this future when time is up takes the inputs back: nothing was handed over.
        let handed_over = self.door.hand_over(inputs, &ledger, count);
        match timeout(self.options.overload_wait_max, handed_over).await {
            Ok(Ok(())) => {}
            Ok(Err(DoorClosed)) => return Err(Refusal::Stopping),
            Err(_) => {
                telemetry::door_full(Adapter::Http);
                return Err(Refusal::Overloaded);
            }
        }
        let durable = async {
            let mut settled = 0;
            while settled < count {
                settled = ledger.settled_beyond(settled).await?;
            }
            Ok(())
        };
        match timeout(self.options.durable_wait_max, durable).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(DoorClosed)) => Err(Refusal::Stopping),
            Err(_) => Err(Refusal::NotDurable),
        }
    }
}

#[derive(serde::Deserialize)]
struct Listing {
    #[serde(default = "Listing::limit_default")]
    limit: usize,
}

impl Listing {
    const fn limit_default() -> usize {
        100
    }
}

async fn get_dead_letters(
    State(letters): State<DeadLetters>,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Response {
    match listing {
        Ok(Query(listing)) => answer::dead_letters(&letters, listing.limit),
        Err(_) => Refusal::BadLimit.into_response(),
    }
}

#[cfg(test)]
mod tests;
