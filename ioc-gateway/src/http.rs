//! The HTTP intake: readings in, answered item by item once durable; dead letters out.
//!
//! Arrives: `POST /api/v1/readings` with one reading, an array or a line for each (NDJSON, taken as
//! it comes however long it is); `POST /api/v1/messages/<topic>` with a message as it would be
//! published to that topic, which its mapping reads; `POST /api/v1/notifications`, where context
//! brokers send what they notify of; and questions about dead letters, with the order to read them
//! again (`letters.rs`). Bodies may be packed by gzip. Leaves: JSON. Promise: `accepted` is said
//! only of what is durable; a request
//! that is answered with anything but 200, 207 or 422 may be sent again without harm, for a
//! redelivery changes nothing; where there are keys, nothing is taken without one, and of each
//! only what it may publish. Bounds and their answers are in [`HttpOptions`]. Not here: Host and
//! Origin checks and the identity of people, which the host lays around all routes.

mod body;
mod incoming;
mod lines;
mod pusher;
mod letters;
mod answer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use self::answer::{Answer, BrokenOff, Item, Refusal};
use self::body::BodyKind;
use self::incoming::Incoming;
use self::lines::Lines;
use self::pusher::Pusher;
use crate::catalogue::Catalogue;
use crate::dead_letters::DeadLetters;
use crate::door::{
    Counts, Door, DoorClosed, Inputs, Lane, Ledger, NotHandedOver, Source, WhenFull,
};
use crate::formats;
use crate::formats::native::{self, Scratch};
use crate::formats::{Message, Reject, Sender, Workspace, append_dead_letter, append_message_of};
use crate::keys::Keys;
use crate::options::{Credentials, HttpOptions};
pub use crate::replay::{InputsLog, Unread};
use crate::telemetry::{self, Adapter};

/// What context brokers send (ETSI GS CIM 009), which they may call just JSON.
const NGSI_LD: &str = "application/ld+json";

const READINGS: &str = "/api/v1/readings";
const MESSAGES: &str = "/api/v1/messages/{*topic}";
const NOTIFICATIONS: &str = "/api/v1/notifications";
const NOTIFICATIONS_OF: &str = "/api/v1/notifications/{*topic}";

/// Whether readings are brought by requests of this path, rather than that anything is asked.
pub fn is_pushed(path: &str) -> bool {
    let rest = path.strip_prefix("/api/v1/").unwrap_or_default();
    let (first, _) = rest.split_once('/').unwrap_or((rest, ""));
    matches!(first, "readings" | "messages" | "notifications")
}

/// What the intake is made of.
#[derive(Debug)]
pub struct Parts {
    /// The way to the engine.
    pub door: Door,
    /// What could not be read.
    pub dead_letters: DeadLetters,
    /// All of it, to be read again.
    pub log: Arc<dyn InputsLog>,
    /// The keys that may push; `None` if nobody is asked.
    pub keys: Option<Arc<Keys>>,
    /// Who may publish over MQTT: dead letters from there may be read again.
    pub credentials: Credentials,
    /// Who may have dead letters read again.
    pub operators: Operators,
    /// Whether the server stops: bodies without end are then read no further.
    pub stopping: watch::Receiver<bool>,
    /// The bounds.
    pub options: HttpOptions,
}

/// Tells people who may command from others, by what their requests show.
#[derive(Clone)]
pub struct Operators(Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>);

impl Operators {
    /// Those of whose headers this says yes.
    pub fn new(may_command: impl Fn(&HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(may_command))
    }

    fn may_command(&self, headers: &HeaderMap) -> bool {
        (self.0)(headers)
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operators")
    }
}

/// The routes of the intake.
pub fn router(parts: Parts) -> Router {
    let options = parts.options.clone();
    let letters = letters::router(&parts, &options);
    let intake = Intake {
        slots: Arc::new(Semaphore::new(options.requests_max)),
        streams: Arc::new(Semaphore::new(options.streams_max)),
        options: Arc::new(options),
        source: parts.door.source(),
        door: parts.door,
        keys: parts.keys,
        stopping: parts.stopping,
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
        .merge(letters)
}

#[derive(Clone)]
struct Intake {
    door: Door,
    /// All who show no key.
    source: Source,
    options: Arc<HttpOptions>,
    keys: Option<Arc<Keys>>,
    stopping: watch::Receiver<bool>,
    /// One for each request that is served whole.
    slots: Arc<Semaphore>,
    /// One for each that is taken line by line.
    streams: Arc<Semaphore>,
}

async fn post_readings(State(intake): State<Intake>, request: Request) -> Response {
    let headers = request.headers();
    let content_type = content_type(headers);
    let is_event = !event_of(headers).is_empty();
    let is_standard = is_event || formats::standard(content_type.as_deref()).is_some();
    match BodyKind::of(headers.get(CONTENT_TYPE)) {
        BodyKind::Any if is_standard => {
            answered(intake.take_message(READINGS, content_type, request).await)
        }
        BodyKind::Any => answered(intake.take(request).await),
        BodyKind::Lines if wants_lines(headers) => intake.converse(request),
        BodyKind::Lines => answered(intake.take_lines(request).await),
    }
}

async fn post_message(
    State(intake): State<Intake>,
    Path(topic): Path<String>,
    request: Request,
) -> Response {
    let content_type = content_type(request.headers());
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
fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    value.to_str().ok().map(str::to_owned)
}

/// The attributes of the event whose data the body is, if it is.
fn event_of(headers: &HeaderMap) -> Vec<(Box<str>, String)> {
    let headers = headers.iter();
    formats::event_of_headers(headers.map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// Whether the client asks for an answer line by line.
fn wants_lines(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    let mut kinds = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    kinds.any(body::is_lines)
}

fn answered(taken: Result<Answer, impl IntoResponse>) -> Response {
    let response = match taken {
        Ok(answer) => answer.into_response(),
        Err(refused) => refused.into_response(),
    };
    telemetry::http_answered(response.status().as_u16());
    response
}

impl Intake {
    /// Takes a body whole.
    async fn take(&self, request: Request) -> Result<Answer, Refusal> {
        let pusher = Pusher::of(self.keys.as_deref(), request.headers())?;
        let _slot = self.slot_whole(&pusher)?;
        let body = self.whole(request).await?;
        let items = body::split(&body, self.options.readings_max)?;
        let (inputs, answer) = self.decode(&items, &pusher);
        if !inputs.is_empty() {
            self.make_durable(inputs).await?;
        }
        Ok(answer)
    }

    /// Takes a line after the other as they come, and says at the end what became of them.
    async fn take_lines(&self, request: Request) -> Result<Answer, BrokenOff> {
        let pusher = Pusher::of(self.keys.as_deref(), request.headers())?;
        let _slot = self.slot_of_lines(&pusher)?;
        let incoming = self.incoming(request)?;
        let mut answer = Answer::default();
        Lines::new(self, pusher).run(incoming, &mut answer).await?;
        Ok(answer)
    }

    /// Takes a line after the other and answers each when it is durable, while others come.
    fn converse(&self, request: Request) -> Response {
        let pusher = Pusher::of(self.keys.as_deref(), request.headers());
        let begun = pusher.and_then(|pusher| {
            let slot = self.slot_of_lines(&pusher)?;
            Ok((pusher, slot, self.incoming(request)?))
        });
        let (pusher, slot, incoming) = match begun {
            Ok(begun) => begun,
            Err(refusal) => return answered(Err(refusal)),
        };
        let (mut conversation, response) = answer::conversation();
        let intake = self.clone();
        // Ends with the body, or with whoever reads the answers.
        tokio::spawn(async move {
            let ended = Lines::new(&intake, pusher)
                .run(incoming, &mut conversation)
                .await;
            conversation.end(ended).await;
            drop(slot);
        });
        telemetry::http_answered(response.status().as_u16());
        response
    }

    /// A place among the requests that are taken whole, and among those of the same key.
    fn slot_whole(&self, pusher: &Pusher) -> Result<Slot, Refusal> {
        let of_key = pusher.served(&self.options).map(|served| &served.whole);
        slot(&self.slots, of_key)
    }

    /// The same among those that are taken line by line.
    fn slot_of_lines(&self, pusher: &Pusher) -> Result<Slot, Refusal> {
        let of_key = pusher.served(&self.options).map(|served| &served.lines);
        slot(&self.streams, of_key)
    }

    /// Takes a message as if it was published to a topic.
    async fn take_message(
        &self,
        topic: &str,
        content_type: Option<String>,
        request: Request,
    ) -> Result<Answer, Refusal> {
        let pusher = Pusher::of(self.keys.as_deref(), request.headers())?;
        let _slot = self.slot_whole(&pusher)?;
        let event = event_of(request.headers());
        let event = formats::borrowed(&event);
        let payload = self.whole(request).await?;
        let message = Message {
            topic,
            payload: &payload,
            content_type: content_type.as_deref(),
            event: &event,
            ..Message::default()
        };
        let (inputs, answer) = self.decode_message(message, &pusher);
        if !inputs.is_empty() {
            self.make_durable(inputs).await?;
        }
        Ok(answer)
    }

    fn decode_message(&self, message: Message<'_>, pusher: &Pusher) -> (Inputs, Answer) {
        let (mut inputs, mut answer) = (self.inputs(pusher), Answer::default());
        let mut told = |item: Result<&str, Reject>| match item {
            Ok(id) => answer.push(Item::accepted(id)),
            Err(reject) => {
                telemetry::dead_letter(Adapter::Http, reject.reason);
                answer.push(Item::dead_lettered(reject));
            }
        };
        let sender = Sender {
            source: pusher.source(),
            may: Some(&|name| pusher.check_of(message.topic, name)),
        };
        let catalogue = self.door.catalogue();
        let mut workspace = Workspace::default();
        append_message_of(
            &mut inputs,
            message,
            &sender,
            &catalogue,
            &mut workspace,
            &mut told,
        );
        for (place, why) in workspace.noted {
            let place = place.into();
            answer.push(Item::Noted { place, why });
        }
        telemetry::readings_decoded(Adapter::Http, answer.accepted as u32);
        (inputs, answer)
    }

    fn incoming(&self, request: Request) -> Result<Incoming, Refusal> {
        let (head, body) = request.into_parts();
        Incoming::new(&head.headers, body, self.options.request_wait_max)
    }

    /// The body, if it comes in time and is within its bound, also when it is unpacked.
    async fn whole(&self, request: Request) -> Result<Bytes, Refusal> {
        let bytes_max = self.options.request_bytes_max;
        let mut incoming = self.incoming(request)?;
        let collected = async {
            let mut whole = Vec::new();
            while let Some(piece) = incoming.next().await? {
                if whole.len() + piece.len() > bytes_max {
                    return Err(Refusal::TooLong { bytes_max });
                }
                whole.extend_from_slice(&piece);
            }
            Ok(whole.into())
        };
        let collected = timeout(self.options.request_wait_max, collected).await;
        collected.unwrap_or(Err(Refusal::TooSlow))
    }

    /// Each item as an input, and what will be said of it once it is durable.
    fn decode(&self, items: &[&[u8]], pusher: &Pusher) -> (Inputs, Answer) {
        let catalogue = self.door.catalogue();
        let mut scratch = Scratch::default();
        let total = items.iter().map(|item| item.len()).sum();
        let mut inputs = self.inputs(pusher);
        inputs.reserve(total);
        let mut answer = Answer::default();
        for item in items {
            answer.push(append_item(
                &mut inputs,
                item,
                pusher,
                &catalogue,
                &mut scratch,
            ));
        }
        telemetry::readings_decoded(Adapter::Http, answer.accepted as u32);
        (inputs, answer)
    }

    /// Where a request's inputs are collected: each key is a source, and all without one together.
    fn inputs(&self, pusher: &Pusher) -> Inputs {
        let source = pusher.quota(&self.door);
        let mut inputs = source.unwrap_or(&self.source).inputs();
        inputs.at(Instant::now());
        inputs
    }

    /// Hands inputs over, what is urgent first; counts them to those that were handed over before.
    /// What finds its lane full waits, folded if that is the rule.
    async fn hand_over(
        &self,
        inputs: &mut Inputs,
        ledger: &Arc<Ledger>,
        handed_over: &mut Counts,
    ) -> Result<(), DoorClosed> {
        telemetry::urgent_demoted(Adapter::Http, Adapter::Http.word(), inputs.take_demoted());
        for lane in Lane::ALL {
            let inputs = inputs.take(lane);
            if inputs.is_empty() {
                continue;
            }
            let upto = handed_over.of_mut(lane);
            *upto += u64::from(inputs.count());
            let mut inputs = match self.door.try_hand_over(lane, inputs, ledger, *upto) {
                Ok(()) => continue,
                Err(NotHandedOver::Closed) => return Err(DoorClosed),
                Err(NotHandedOver::Full(inputs)) => inputs,
            };
            if self.door.when_full() == WhenFull::Conflate {
                telemetry::readings_folded(Adapter::Http, inputs.fold());
            }
            self.door.hand_over(lane, inputs, ledger, *upto).await?;
        }
        Ok(())
    }

    /// Hands the inputs over and waits until they are durable.
    async fn make_durable(&self, mut inputs: Inputs) -> Result<(), Refusal> {
        let ledger = Arc::<Ledger>::default();
        let counts = inputs.counts();
        // Dropping this future when time is up takes back what was not handed over; what was is
        // not acknowledged, and sent again it changes nothing.
        let mut before = Counts::default();
        let handed_over = self.hand_over(&mut inputs, &ledger, &mut before);
        match timeout(self.options.overload_wait_max, handed_over).await {
            Ok(Ok(())) => {}
            Ok(Err(DoorClosed)) => return Err(Refusal::Stopping),
            Err(_) => {
                telemetry::door_full(Adapter::Http);
                return Err(Refusal::Overloaded);
            }
        }
        let durable = async {
            let mut settled = Counts::default();
            while !settled.cover(counts) {
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

/// The place of a request among all, and among those of its key: bodies that come slowly are
/// waited for, and whoever sends them keeps out nobody else.
struct Slot {
    _of_all: OwnedSemaphorePermit,
    _of_key: Option<OwnedSemaphorePermit>,
}

fn slot(of_all: &Arc<Semaphore>, of_key: Option<&Arc<Semaphore>>) -> Result<Slot, Refusal> {
    let take = |from: &Arc<Semaphore>| {
        let taken = Arc::clone(from).try_acquire_owned();
        taken.map_err(|_| Refusal::TooManyRequests)
    };
    Ok(Slot {
        _of_key: of_key.map(take).transpose()?,
        _of_all: take(of_all)?,
    })
}

/// Appends an item as a reading, or as a dead letter; says what is to be told of it.
fn append_item(
    inputs: &mut Inputs,
    item: &[u8],
    pusher: &Pusher,
    catalogue: &Catalogue,
    scratch: &mut Scratch,
) -> Item {
    let decoded = native::decode(item, None, catalogue, scratch);
    let decoded = decoded.and_then(|reading| pusher.check(reading.sensor).map(|()| reading));
    match decoded {
        Ok(reading) => {
            inputs.push_reading(&reading, catalogue);
            Item::accepted(reading.id)
        }
        Err(reject) => {
            append_dead_letter(inputs, pusher.origin(), &reject, item);
            telemetry::dead_letter(Adapter::Http, reject.reason);
            Item::dead_lettered(reject)
        }
    }
}

#[cfg(test)]
mod tests;
