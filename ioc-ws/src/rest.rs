//! REST: the same picture as the stream, asked for rather than told.
//!
//! Arrives: requests. Leaves: JSON as of decision N, which each answer names. What is changed here
//! goes to the journal and comes back as a decision to every console. Not here: questions about
//! the past beyond the ring.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ioc_core::decision::{Condition, DecisionSeq};
use ioc_core::id::{IncidentId, RequestId};
use ioc_core::time::Timestamp;
use serde::Serialize;

use crate::command::{Order, possible};
use crate::console::is_known;
use crate::error::ApiError;
use crate::feed::{About, Head};
use crate::filter::{Filter, FilterText, Words};
use crate::frame::{self, CountsJson, IncidentViewJson, SilentJson};
use crate::listen::TOKEN_NEEDED;
use crate::names;
use crate::statements::Statement;
use crate::view::{Incident, Picture};
use crate::window::Shared;
use crate::wire::{Hex, Text};

/// How many incidents a list holds unless asked otherwise.
pub(crate) const LIMIT: usize = 100;
/// How many incidents a list holds at most.
const LIMIT_MAX: usize = 1000;
/// How many decisions the timeline of an incident holds at most, beside older milestones.
const TIMELINE_MAX: usize = 200;

/// What a list is asked for.
#[derive(Debug)]
struct ListQuery {
    filter: Filter,
    condition: Option<Vec<Condition>>,
    suppressed: Option<bool>,
    limit: usize,
}

impl ListQuery {
    fn parse(pairs: &[(String, String)]) -> Result<Self, ApiError> {
        let mut text = FilterText::default();
        let (mut condition, mut suppressed, mut limit) = (None, None, LIMIT);
        for (name, value) in pairs {
            match name.as_str() {
                "zone" => text.zone = words(value),
                "kind" => text.kind = words(value),
                "severity_min" => text.severity_min = Some(value.clone()),
                "condition" => condition = Some(conditions(value)?),
                "suppressed" => suppressed = Some(yes_or_no(value)?),
                "limit" => limit = parse_limit(value)?,
                _ => {
                    return Err(ApiError::bad_request(format!(
                        "the parameters are condition, kind, zone, severity_min, suppressed and \
                         limit; not {name}"
                    )));
                }
            }
        }
        Ok(Self {
            filter: Filter::parse(&text).map_err(ApiError::bad_request)?,
            condition,
            suppressed,
            limit,
        })
    }

    fn shows(&self, incident: &Incident) -> bool {
        let condition = incident.state.condition;
        incident.merged_into.is_none()
            && self.filter.shows_incident(&incident.state)
            && self
                .condition
                .as_ref()
                .is_none_or(|wanted| wanted.contains(&condition))
            && self
                .suppressed
                .is_none_or(|wanted| wanted == incident.state.suppressed)
    }
}

fn words(value: &str) -> Words {
    Words::Several(value.split(',').map(str::to_owned).collect())
}

fn conditions(value: &str) -> Result<Vec<Condition>, ApiError> {
    let condition = |word| {
        Condition::from_word(word).ok_or_else(|| {
            ApiError::bad_request(format!(
                "condition must be active, cleared or unknown; not {word}"
            ))
        })
    };
    value.split(',').map(condition).collect()
}

fn yes_or_no(value: &str) -> Result<bool, ApiError> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(ApiError::bad_request(format!(
            "suppressed must be yes or no; not {value}"
        ))),
    }
}

/// How many are asked for, where nothing else can be.
pub(crate) fn limit_of(
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<usize, ApiError> {
    let Query(pairs) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let mut limit = LIMIT;
    for (name, value) in &pairs {
        match name.as_str() {
            "limit" => limit = parse_limit(value)?,
            _ => {
                let message = format!("the parameter is limit; not {name}");
                return Err(ApiError::bad_request(message));
            }
        }
    }
    Ok(limit)
}

pub(crate) fn parse_limit(value: &str) -> Result<usize, ApiError> {
    match value.parse() {
        Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
        _ => Err(ApiError::bad_request(format!(
            "limit must be 1 to {LIMIT_MAX}; not {value}"
        ))),
    }
}

/// `GET /api/v1/incidents`: open ones first, then the worst, then the newest.
pub(crate) async fn incidents(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct ListJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        counts: CountsJson,
        total: usize,
        incidents: Vec<IncidentViewJson<'a>>,
    }
    let Query(pairs) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let query = ListQuery::parse(&pairs)?;
    let picture = shared.kept.picture().await;
    let mut found: Vec<_> = picture
        .incidents
        .iter()
        .filter(|each| query.shows(each))
        .collect();
    found.sort_by_key(|incident| {
        let state = &incident.state;
        let gravest = std::cmp::Reverse((state.severity, state.opened_at));
        (incident.ended.is_some(), gravest, state.id)
    });
    let json = ListJson {
        as_of: AsOf::of(&picture),
        counts: CountsJson::of(found.iter().copied()),
        total: found.len(),
        incidents: found
            .iter()
            .take(query.limit)
            .map(|incident| IncidentViewJson::from(&***incident))
            .collect(),
    };
    Ok(ok(to_json(&json)))
}

/// `GET /api/v1/incidents/{id}`: the incident, or the one that it was merged into, with how it
/// opened, what became of it, its updates as far as the ring holds them, and what its evidence said
/// in words.
pub(crate) async fn incident(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let asked = frame::incident_id(&id).map_err(ApiError::bad_request)?;
    let picture = shared.kept.picture().await;
    let (incident, about) = resolve(&shared, &picture, asked)?;
    let mut body = b"{".to_vec();
    push_members(&mut body, &AsOf::of(&picture));
    if incident.state.id != asked {
        body.extend_from_slice(b",\"merged_from\":");
        body.extend_from_slice(&to_json(&Text(asked)));
    }
    body.extend_from_slice(b",\"incident\":");
    body.extend_from_slice(&to_json(&IncidentViewJson::from(&incident)));
    let possible = possible(incident.state.handling, incident.state.condition);
    body.extend_from_slice(b",\"possible\":");
    body.extend_from_slice(&to_json(&possible));
    let statements = shared.kept.statements.of(incident.state.id);
    let statements: Vec<_> = statements
        .iter()
        .map(|(each, withdrawn)| StatementJson::of(each, *withdrawn))
        .collect();
    body.extend_from_slice(b",\"statements\":");
    body.extend_from_slice(&to_json(&statements));
    let (timeline, left_out) = timeline(&incident, &about);
    body.extend_from_slice(format!(",\"timeline_left_out\":{left_out}").as_bytes());
    body.extend_from_slice(b",\"timeline\":");
    push_array(&mut body, timeline.into_iter());
    body.push(b'}');
    Ok(ok(body))
}

/// What evidence said in words.
#[derive(Serialize)]
struct StatementJson<'a> {
    sensor: &'a str,
    reading: &'a str,
    headline: &'a str,
    web: Option<&'a str>,
    withdrawn: bool,
}

impl<'a> StatementJson<'a> {
    fn of(statement: &'a Statement, withdrawn: bool) -> Self {
        Self {
            sensor: statement.sensor.as_str(),
            reading: statement.reading.as_str(),
            headline: &statement.headline,
            web: statement.web.as_deref(),
            withdrawn,
        }
    }
}

/// What the ring holds of late, after the milestones before that; and how many lie between.
fn timeline<'a>(incident: &'a Incident, about: &'a About) -> (Vec<&'a Bytes>, usize) {
    let oldest = about.newest_first.last();
    let oldest = oldest.map_or(DecisionSeq::MAX, |(decision, _)| decision.seq);
    let late = about.newest_first.iter().rev().map(|(_, json)| json);
    let timeline: Vec<_> = incident.milestones.before(oldest).chain(late).collect();
    let held = about.newest_first.len() + about.left_out;
    let told = incident.milestones.told().max(held);
    let left_out = told.saturating_sub(timeline.len());
    (timeline, left_out)
}

/// `GET /api/v1/decisions`: the newest decisions that the ring holds, oldest first.
pub(crate) async fn decisions(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    let limit = limit_of(query)?;
    // What the host handed over before this question is in the ring once the picture is there.
    shared.kept.picture().await;
    let (head, batches) = shared.kept.feed.newest(limit);
    let total = batches
        .iter()
        .map(|batch| batch.after(0).len())
        .sum::<usize>();
    let entries = batches.iter().flat_map(|batch| batch.after(0));
    let newest = entries.skip(total.saturating_sub(limit));
    let mut body = b"{".to_vec();
    push_members(&mut body, &AsOf::at(&head));
    body.extend_from_slice(b",\"decisions\":");
    push_array(&mut body, newest.map(|entry| &entry.json));
    body.push(b'}');
    Ok(ok(body))
}

/// Follows an id to the incident that it means today.
fn resolve(
    shared: &Shared,
    picture: &Picture,
    asked: IncidentId,
) -> Result<(Incident, About), ApiError> {
    let mut id = asked;
    // Survivors are older than what is merged into them, so the way ends; the bound is a fence.
    for _ in 0..=picture.incidents.len() {
        let about = shared.kept.feed.about(id, TIMELINE_MAX);
        let known = picture
            .incident(id)
            .map(|incident| Incident::clone(incident));
        let incident = known
            .or_else(|| from_timeline(id, &about))
            .ok_or_else(not_known)?;
        match incident.merged_into {
            Some(into) if into != id => id = into,
            _ => return Ok((incident, about)),
        }
    }
    Err(not_known())
}

/// An incident that has left the picture, as the ring still tells it.
fn from_timeline(id: IncidentId, about: &About) -> Option<Incident> {
    let decisions = about
        .newest_first
        .iter()
        .rev()
        .map(|(decision, _)| decision);
    let own = decisions.filter(|decision| {
        decision
            .verdict
            .incident()
            .is_some_and(|incident| incident.id == id)
    });
    own.fold(None, |before, decision| {
        Incident::after(before.as_ref(), decision)
    })
}

fn not_known() -> ApiError {
    let message = "no incident has this id, or it is over and lies further back than is held";
    ApiError::not_found("unknown_incident", message)
}

/// Gives an order and answers once it is durable, with its request id and the decision.
pub(crate) async fn give(
    shared: &Shared,
    headers: &HeaderMap,
    order: impl FnOnce() -> Result<Order, String>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct OkJson<'a> {
        request_id: &'a str,
        seq: u64,
        /// What was probably not meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    }
    let desk = shared.options.token.desk_of(headers);
    let actor = desk
        .actor()
        .ok_or_else(|| ApiError::new(StatusCode::UNAUTHORIZED, "token_needed", TOKEN_NEEDED))?;
    let order = order().map_err(ApiError::bad_request)?;
    let request = request_id(headers)?;
    let warning = names::meant(&order).and_then(|meant| names::unknown(meant, shared));
    let seq = shared.command(request.clone(), actor, order).await?;
    Ok(ok(to_json(&OkJson {
        request_id: request.as_str(),
        seq,
        warning,
    })))
}

fn request_id(headers: &HeaderMap) -> Result<RequestId, ApiError> {
    let Some(key) = headers.get("idempotency-key") else {
        let number = getrandom::u64().expect("the system has random numbers");
        return Ok(format!("rest-{number:016x}")
            .parse()
            .expect("digits are a request id"));
    };
    let text = key
        .to_str()
        .map_err(|_| ApiError::bad_request("Idempotency-Key is not ASCII"))?;
    text.parse()
        .map_err(|error| ApiError::bad_request(format!("Idempotency-Key: {error}")))
}

/// `GET /api/v1/sensors/silent`: the sensors that say nothing.
pub(crate) async fn sensors_silent(State(shared): State<Arc<Shared>>) -> Response {
    #[derive(Serialize)]
    struct ListJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        total: usize,
        sensors: Vec<SilentJson<'a>>,
    }
    let picture = shared.kept.picture().await;
    ok(to_json(&ListJson {
        as_of: AsOf::of(&picture),
        total: picture.silent_total,
        sensors: picture
            .silent
            .iter()
            .map(|each| SilentJson::from(&**each))
            .collect(),
    }))
}

/// What nobody serves.
pub(crate) async fn no_such_path(uri: Uri) -> ApiError {
    let message = format!("nothing is served at {}", uri.path());
    ApiError::not_found("no_such_path", message)
}

/// What is served, but not to be asked for so. The router adds `Allow`.
pub async fn wrong_method(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message).into_response()
}

/// `GET /api/v1/city`: what the console draws, as GeoJSON (RFC 7946).
pub(crate) async fn city(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let city = shared.city();
    let city = city.ok_or_else(|| ApiError::not_found("no_city", "no city is configured"))?;
    let tags = [
        (ETAG, city.etag.clone()),
        (CACHE_CONTROL, "no-cache".into()),
    ];
    if is_known(&headers, &city.etag) {
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    let content_type = [(CONTENT_TYPE, "application/geo+json")];
    Ok((tags, content_type, city.geojson).into_response())
}

/// The point in the stream that an answer shows.
#[derive(Serialize)]
pub(crate) struct AsOf<'a> {
    seq: DecisionSeq,
    hash: Hex<'a>,
    at: Text<Timestamp>,
}

impl<'a> AsOf<'a> {
    pub(crate) const fn of(picture: &'a Picture) -> Self {
        Self::at(&picture.head)
    }

    const fn at(head: &'a Head) -> Self {
        Self {
            seq: head.seq,
            hash: Hex(&head.hash.0),
            at: Text(head.at),
        }
    }
}

/// Appends an array of what is JSON already.
fn push_array<'a>(body: &mut Vec<u8>, items: impl Iterator<Item = &'a Bytes>) {
    body.push(b'[');
    for (place, json) in items.enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(json);
    }
    body.push(b']');
}

/// Appends an object's members without its braces.
fn push_members<T: Serialize>(body: &mut Vec<u8>, object: &T) {
    let json = to_json(object);
    body.extend_from_slice(&json[1..json.len() - 1]);
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers and texts always have a JSON")
}

pub(crate) fn ok(json: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, json).into_response()
}
