//! What is kept quiet on purpose, over REST; and what people ask about it, as the stream and REST
//! write it.
//!
//! Arrives: requests; the text of an order. Leaves: what is kept quiet, by whom, why, until when,
//! and how much; an [`Order`] whose names are valid and whose end is an instant of logical time.
//! Not here: whether there is such a zone or rule and how long may be, which is the core's to
//! decide; what a suppression would have hidden (`preview.rs`).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use ioc_core::decision::{How, Matcher, NOTE_BYTES_MAX, Target};
use ioc_core::id::SuppressionId;
use ioc_core::limits::{OUT_OF_SERVICE_MAX, SHELVED_MAX};
use ioc_core::record::Resuppress;
use ioc_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use crate::command::{Order, ResuppressOrder, SuppressOrder};
use crate::error::ApiError;
use crate::frame::{self, SuppressedJson};
use crate::rest::{AsOf, give, limit_of, ok, to_json};
use crate::window::Shared;

/// The actions about what is kept quiet.
pub(crate) const ACTIONS: [&str; 4] = ["shelve", "out_of_service", "extend", "end"];

/// What may be out of service.
pub(crate) const ONE_SENSOR: &str =
    "out of service is one sensor: `match` has `sensor` and nothing else";

/// What is to be kept quiet, as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct SuppressText {
    /// For which reason, where the action does not say it.
    pub how: Option<String>,
    /// Which detections.
    pub r#match: Option<MatchText>,
    /// For how long.
    pub for_s: Option<f64>,
    /// Why.
    pub reason: Option<String>,
    /// What is said to its end or to a later one.
    pub note: Option<String>,
    /// The incident that is to be shelved.
    pub incident: Option<String>,
}

/// Which detections are meant: all that is said must fit. A key that is not known is a mistake: it
/// would keep more quiet than was meant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchText {
    pub sensor: Option<String>,
    pub zone: Option<String>,
    pub kind: Option<String>,
    pub rule: Option<String>,
}

/// The order to keep something quiet.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn suppress(
    how: How,
    text: &SuppressText,
    now: Timestamp,
) -> Result<SuppressOrder, String> {
    let reason = note(text.reason.as_deref(), "reason")?;
    if reason.is_empty() {
        return Err("`reason` must say why, for those who see it next".to_owned());
    }
    let target = match (&text.incident, &text.r#match) {
        (Some(_), Some(_)) => {
            return Err("`incident` and `match` cannot both be said; send two orders".to_owned());
        }
        (Some(incident), None) => Target::Incident(frame::incident_id(incident)?),
        (None, Some(text)) => Target::Detections(matcher(text)?),
        (None, None) => return Err("say what in `match`, or which `incident`".to_owned()),
    };
    let is_one_sensor = matches!(&target, Target::Detections(own) if own.is_one_sensor());
    if how == How::OutOfService && !is_one_sensor {
        return Err(ONE_SENSOR.to_owned());
    }
    Ok(SuppressOrder {
        how,
        target,
        until: until(text.for_s, how, now)?,
        reason,
    })
}

/// The reason that is meant by the word of it; shelving if none is said.
///
/// # Errors
/// What may be written.
pub(crate) fn how(text: &SuppressText) -> Result<How, String> {
    match text.how.as_deref() {
        None | Some("shelved") => Ok(How::Shelved),
        Some("out_of_service") => Ok(How::OutOfService),
        Some("maintenance") => Err(
            "maintenance windows are of the configuration: write one in a file of rules".to_owned(),
        ),
        Some(other) => Err(format!("`how` must be shelved or out_of_service: {other}")),
    }
}

/// What fits.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn matcher(text: &MatchText) -> Result<Matcher, String> {
    fn name<T: std::str::FromStr<Err = ioc_core::id::IdError>>(
        text: Option<&String>,
    ) -> Result<Option<T>, String> {
        let parsed = text.map(|text| text.parse().map_err(|error| format!("{error}: {text}")));
        parsed.transpose()
    }
    let matcher = Matcher {
        sensor: name(text.sensor.as_ref())?,
        zone: name(text.zone.as_ref())?,
        kind: name(text.kind.as_ref())?,
        rule: name(text.rule.as_ref())?,
    };
    if matcher.is_empty() {
        return Err("`match` needs at least one of sensor, zone, kind and rule".to_owned());
    }
    Ok(matcher)
}

/// How something is kept quiet that is to be so for longer. What nobody knows of, as if it were out of
/// service: the core refuses it.
pub(crate) async fn how_kept(shared: &Shared, id: SuppressionId) -> How {
    let picture = shared.kept.picture().await;
    let found = picture.suppressions.iter().find(|each| each.state.id == id);
    found.map_or(How::OutOfService, |each| each.state.how)
}

/// The order about something that is kept quiet already, in this way.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn resuppress(
    action: &str,
    (suppression, how): (SuppressionId, How),
    text: &SuppressText,
    now: Timestamp,
) -> Result<ResuppressOrder, String> {
    let what = match action {
        "extend" => Resuppress::Until(until(text.for_s, how, now)?),
        "end" => Resuppress::End,
        other => {
            return Err(format!(
                "the actions about what is kept quiet are extend and end; not {other}"
            ));
        }
    };
    let note = note(text.note.as_deref(), "note")?;
    Ok(ResuppressOrder {
        suppression,
        what,
        note,
    })
}

fn until(seconds: Option<f64>, how: How, now: Timestamp) -> Result<Timestamp, String> {
    let (most, word) = match how {
        // Windows end as the configuration says, which is the core's word.
        How::OutOfService | How::Maintenance => (OUT_OF_SERVICE_MAX, "out of service"),
        How::Shelved => (SHELVED_MAX, "shelved"),
    };
    let seconds = seconds.ok_or("`for_s` must say for how many seconds")?;
    let most_s = most.0 as f64 / 1e3;
    if !(1.0..=most_s).contains(&seconds) {
        return Err(format!(
            "`for_s` must be 1 to {most_s} for what is {word}; not {seconds}"
        ));
    }
    Ok(now + Millis((seconds * 1e3) as i64))
}

fn note(text: Option<&str>, name: &str) -> Result<Box<str>, String> {
    let text = text.unwrap_or_default().trim();
    if text.len() > NOTE_BYTES_MAX {
        return Err(format!("`{name}` has at most {NOTE_BYTES_MAX} bytes"));
    }
    Ok(text.into())
}

/// The id of what is kept quiet.
///
/// # Errors
/// What one looks like.
pub(crate) fn id(text: &str) -> Result<SuppressionId, String> {
    text.parse().map_err(|error| format!("{error}: {text}"))
}

/// `GET /api/v1/suppressions`: what is kept quiet, what ends first before others; after it what
/// was, newest first.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct ListJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        active: usize,
        total: usize,
        suppressions: Vec<SuppressedJson<'a>>,
    }
    let limit = limit_of(query)?;
    let picture = shared.kept.picture().await;
    let mut all: Vec<_> = picture.suppressions.iter().collect();
    all.sort_by_key(|each| {
        let ended = each.state.ended.map(|_| std::cmp::Reverse(each.seq));
        (ended, each.state.until, each.state.id)
    });
    let active = all.iter().filter(|each| each.state.ended.is_none());
    Ok(ok(to_json(&ListJson {
        as_of: AsOf::of(&picture),
        active: active.count(),
        total: all.len(),
        suppressions: all
            .iter()
            .take(limit)
            .map(|each| SuppressedJson::from(&***each))
            .collect(),
    })))
}

/// `GET /api/v1/suppressions/{id}`.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct OneJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        suppression: SuppressedJson<'a>,
    }
    let id = id(&text).map_err(ApiError::bad_request)?;
    let picture = shared.kept.picture().await;
    let mut all = picture.suppressions.iter();
    let found = all.find(|each| each.state.id == id).ok_or_else(|| {
        let message = "nothing that is kept quiet has this id, and of what was the last are held";
        ApiError::not_found("unknown_suppression", message)
    })?;
    Ok(ok(to_json(&OneJson {
        as_of: AsOf::of(&picture),
        suppression: SuppressedJson::from(&**found),
    })))
}

/// `POST /api/v1/suppressions`: keeps something quiet. Answered once it is durable; the header
/// `Idempotency-Key` is the request id.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let now = shared.options.now();
    let asked = || {
        let text = text_of(&body)?;
        suppress(how(&text)?, &text, now).map(Order::Suppress)
    };
    give(&shared, &headers, asked).await
}

/// `POST /api/v1/suppressions/{id}/{action}`: lets it end at another time, or now.
pub(crate) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((suppression, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    if action != "extend" && action != "end" {
        let message = format!("the actions are: extend, end; not {action}");
        return Err(ApiError::not_found("no_such_path", message));
    }
    let now = shared.options.now();
    let kept = match id(&suppression) {
        Ok(id) => Ok((id, how_kept(&shared, id).await)),
        Err(sentence) => Err(sentence),
    };
    let asked = || {
        let order = resuppress(&action, kept?, &text_of(&body)?, now)?;
        Ok(Order::Resuppress(order))
    };
    give(&shared, &headers, asked).await
}

/// No body says nothing.
pub(crate) fn text_of(body: &[u8]) -> Result<SuppressText, String> {
    if body.is_empty() {
        return Ok(SuppressText::default());
    }
    serde_json::from_slice(body).map_err(|error| format!("not an order: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<SuppressOrder, String> {
        let text = text_of(json.as_bytes())?;
        suppress(how(&text)?, &text, Timestamp::from_millis(1_000))
    }

    #[test]
    fn an_order_is_read_with_its_end_as_an_instant() {
        let order = read(
            r#"{"match":{"sensor":"wl-1","kind":"water_level"},"for_s":90,"reason":" cleaning "}"#,
        );
        let order = order.unwrap();
        assert_eq!(order.how, How::Shelved);
        assert_eq!(order.until, Timestamp::from_millis(91_000));
        assert_eq!(&*order.reason, "cleaning");
        let Target::Detections(matcher) = order.target else {
            panic!("{:?}", order.target);
        };
        assert_eq!(matcher.kind.unwrap().as_str(), "water_level");
        let service = r#"{"how":"out_of_service","match":{"sensor":"wl-1"},"for_s":864000,"reason":"test gas"}"#;
        assert_eq!(read(service).unwrap().how, How::OutOfService);
    }

    #[test]
    fn what_is_kept_quiet_is_extended_for_as_long_as_it_may_begin_and_no_longer() {
        let extend = |how, for_s: u32| {
            let text = text_of(format!(r#"{{"for_s":{for_s}}}"#).as_bytes())?;
            let id = id("sup-7k2q9xw3tf")?;
            let order = resuppress("extend", (id, how), &text, Timestamp::from_millis(1_000))?;
            Ok::<_, String>(order.what)
        };
        let until = |ms| Ok(Resuppress::Until(Timestamp::from_millis(ms)));
        assert_eq!(extend(How::Shelved, 28_800), until(28_801_000));
        let error = extend(How::Shelved, 28_801).unwrap_err();
        assert!(error.contains("1 to 28800 for what is shelved"), "{error}");
        assert_eq!(extend(How::OutOfService, 28_801), until(28_802_000));
        assert!(extend(How::OutOfService, 90 * 86_400 + 1).is_err());
    }

    #[test]
    fn what_is_wrong_with_an_order_is_said() {
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(NOTE_BYTES_MAX + 1));
        for (json, said) in [
            (
                r#"{"match":{"sensor":"a"},"for_s":60}"#,
                "`reason` must say why",
            ),
            (r#"{"reason":"r","for_s":60}"#, "say what in `match`"),
            (r#"{"reason":"r","match":{},"for_s":60}"#, "at least one of"),
            (r#"{"reason":"r","match":{"sensr":"a"}}"#, "sensr"),
            (
                r#"{"reason":"r","match":{"sensor":"a b"}}"#,
                "a sensor's name must be",
            ),
            (
                r#"{"reason":"r","match":{"sensor":"a"}}"#,
                "`for_s` must say",
            ),
            (
                r#"{"reason":"r","match":{"sensor":"a"},"for_s":28801}"#,
                "1 to 28800 for what is shelved",
            ),
            (
                r#"{"reason":"r","how":"out_of_service","match":{"zone":"z"},"for_s":60}"#,
                "one sensor",
            ),
            (
                r#"{"reason":"r","how":"maintenance","match":{"zone":"z"},"for_s":60}"#,
                "of the configuration",
            ),
            (
                r#"{"reason":"r","incident":"inc-0000000000","match":{"zone":"z"},"for_s":60}"#,
                "cannot both",
            ),
            (&long, "at most 512 bytes"),
            ("{", "not an order"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }
}
