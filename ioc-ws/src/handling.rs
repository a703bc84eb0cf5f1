//! What people ask about incidents, as the stream and REST write it.
//!
//! Arrives: an action's word and what is said beside it. Leaves: an [`Order`] whose names and words
//! are valid. Not here: whether the step can be taken, which is the core's to decide.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use ioc_core::decision::{Certainty, Dismissal, NOTE_BYTES_MAX, Severity, Step};
use ioc_core::id::IncidentId;
use ioc_core::limits::NAMED_BYTES_MAX;
use ioc_core::place::Position;
use ioc_core::record::{Ask, Said};
use serde::Deserialize;

use crate::command::{AboutOrder, OpenOrder, Order};
use crate::error::ApiError;
use crate::frame;
use crate::rest::give;
use crate::window::Shared;

/// What is said beside an action about an incident, as it is written.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct HandleText {
    /// In a sentence, for people.
    pub note: Option<String>,
    /// Why it is dismissed.
    pub reason: Option<String>,
    pub severity: Option<String>,
    pub certainty: Option<String>,
    /// Longitude, then latitude.
    pub position: Option<[f64; 2]>,
    /// The kind of incident that is opened.
    pub kind: Option<String>,
    /// The other incident: the one it is merged with, evidence is moved to, or that caused it.
    pub with: Option<String>,
    /// The sources that are meant: sensors, or `sensor/reading` for one report.
    pub sources: Option<Vec<String>>,
}

/// The actions about one incident.
pub(crate) const ACTIONS: [&str; 17] = [
    "acknowledge",
    "confirm",
    "respond",
    "contain",
    "resolve",
    "close",
    "dismiss",
    "reopen",
    "undo",
    "rate",
    "report",
    "all_clear",
    "merge",
    "split",
    "move",
    "link",
    "unlink",
];

/// The order that an action about an incident asks for.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn about(
    action: &str,
    incident: IncidentId,
    text: &HandleText,
) -> Result<Order, String> {
    let (note, sources) = (note(text)?, sources(text)?);
    let step = |step| Ok(Ask::Step(step));
    let ask = match action {
        "acknowledge" if note.is_empty() => return Ok(Order::Acknowledge(incident)),
        "acknowledge" => step(Step::Acknowledge),
        "confirm" => step(Step::Confirm),
        "respond" => step(Step::Respond),
        "contain" => step(Step::Contain),
        "resolve" => step(Step::Resolve),
        "close" => step(Step::Close),
        "dismiss" => dismissal(text).map(|reason| Ask::Step(Step::Dismiss(reason))),
        "reopen" if note.is_empty() => Err("reopen needs a `note` that says why".to_owned()),
        "reopen" => step(Step::Reopen),
        "undo" => step(Step::Undo),
        "rate" => needed_severity("rate", text).map(Ask::Rate),
        "report" => said(text, Severity::Unknown).map(Ask::Report),
        "all_clear" if note.is_empty() => {
            Err("all_clear needs a `note` that says who saw it, and how".to_owned())
        }
        "all_clear" => Ok(Ask::AllClear),
        "merge" => other("merge", text).map(Ask::Merge),
        "split" => Ok(Ask::Split),
        "move" if sources.is_empty() => Err("move needs `sources`".to_owned()),
        "move" => other("move", text).map(Ask::Move),
        "link" => other("link", text).map(|parent| Ask::Link(Some(parent))),
        "unlink" => Ok(Ask::Link(None)),
        other => Err(format!(
            "the actions about an incident are: {}; not {other}",
            ACTIONS.join(", ")
        )),
    };
    Ok(Order::About(AboutOrder {
        incident,
        ask: ask?,
        sources,
        note,
    }))
}

fn other(action: &str, text: &HandleText) -> Result<IncidentId, String> {
    let with = text.with.as_deref();
    frame::incident_id(with.ok_or_else(|| format!("{action} needs `with`, the other incident"))?)
}

/// The names of sources, a line each.
fn sources(text: &HandleText) -> Result<Box<str>, String> {
    let sources = text.sources.as_deref().unwrap_or_default();
    if let Some(odd) = sources.iter().find(|name| name.contains('\n')) {
        return Err(format!(
            "`sources` names sensors, or `sensor/reading`; not {odd:?}"
        ));
    }
    let lines = sources.join("\n");
    if lines.len() > NAMED_BYTES_MAX {
        return Err(format!("`sources` has at most {NAMED_BYTES_MAX} bytes"));
    }
    Ok(lines.into())
}

/// The order to open an incident.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn open(text: &HandleText) -> Result<Order, String> {
    let kind = text.kind.as_deref().ok_or("open needs `kind`")?;
    let severity = needed_severity("open", text)?;
    Ok(Order::Open(OpenOrder {
        kind: kind.parse().map_err(|error| format!("{error}: {kind}"))?,
        said: said(text, severity)?,
        note: note(text)?,
    }))
}

fn note(text: &HandleText) -> Result<Box<str>, String> {
    let note = text.note.as_deref().unwrap_or_default().trim();
    if note.len() > NOTE_BYTES_MAX {
        return Err(format!("`note` has at most {NOTE_BYTES_MAX} bytes"));
    }
    Ok(note.into())
}

fn dismissal(text: &HandleText) -> Result<Dismissal, String> {
    let word = text.reason.as_deref().ok_or("dismiss needs `reason`")?;
    Dismissal::from_word(word).ok_or_else(|| {
        let words: Vec<_> = Dismissal::ALL.iter().map(|each| each.word()).collect();
        format!("`reason` must be one of {}: {word}", words.join(", "))
    })
}

fn needed_severity(action: &str, text: &HandleText) -> Result<Severity, String> {
    let word = text.severity.as_deref();
    severity(word.ok_or_else(|| format!("{action} needs `severity`"))?)
}

fn severity(word: &str) -> Result<Severity, String> {
    let severity = Severity::from_word(word).filter(|each| *each != Severity::Unknown);
    severity.ok_or_else(|| {
        format!("`severity` must be one of minor, moderate, severe, extreme: {word}")
    })
}

fn said(text: &HandleText, unless_said: Severity) -> Result<Said, String> {
    let severity = text.severity.as_deref().map_or(Ok(unless_said), severity);
    let certainty = text
        .certainty
        .as_deref()
        .map_or(Ok(Certainty::Likely), |word| {
            Certainty::from_word(word).ok_or_else(|| {
                let words: Vec<_> = Certainty::ALL.iter().map(|each| each.word()).collect();
                format!("`certainty` must be one of {}: {word}", words.join(", "))
            })
        });
    let position = text.position.map(|[lon, lat]| {
        let place = Position::from_degrees(lon, lat);
        place.ok_or_else(|| format!("`position` is longitude, then latitude; not [{lon}, {lat}]"))
    });
    Ok(Said {
        severity: severity?,
        certainty: certainty?,
        position: position.transpose()?,
    })
}

/// `POST /api/v1/incidents/{id}/{action}`: answered once it is durable. The header
/// `Idempotency-Key` is the request id, so that sending it again does not act twice.
pub(crate) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    if !ACTIONS.contains(&action.as_str()) {
        let message = format!("the actions are: {}; not {action}", ACTIONS.join(", "));
        return Err(ApiError::not_found("no_such_path", message));
    }
    let asked = || about(&action, frame::incident_id(&id)?, &text_of(&body)?);
    give(&shared, &headers, asked).await
}

/// `POST /api/v1/incidents`: opens one, or adds to the one that is near. Answered once it is
/// durable.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    give(&shared, &headers, || open(&text_of(&body)?)).await
}

/// No body says nothing beside the action.
fn text_of(body: &[u8]) -> Result<HandleText, String> {
    if body.is_empty() {
        return Ok(HandleText::default());
    }
    serde_json::from_slice(body).map_err(|error| format!("not an order: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(action: &str, json: &str) -> Result<Order, String> {
        let text = text_of(json.as_bytes())?;
        match action {
            "open" => open(&text),
            _ => about(action, IncidentId::derive(&["a"]), &text),
        }
    }

    #[test]
    fn an_order_is_read_with_what_is_said_beside_it() {
        let order = read(
            "dismiss",
            r#"{"reason":"planned","note":" works on the line "}"#,
        );
        let Ok(Order::About(about)) = order else {
            panic!("{order:?}");
        };
        assert_eq!(about.ask, Ask::Step(Step::Dismiss(Dismissal::Planned)));
        assert_eq!(&*about.note, "works on the line");
        let opened = read(
            "open",
            r#"{"kind":"flood","severity":"severe","position":[101.7,3.1]}"#,
        );
        let Ok(Order::Open(opened)) = opened else {
            panic!("{opened:?}");
        };
        assert_eq!(opened.said.certainty, Certainty::Likely);
        assert_eq!(opened.said.position, Position::from_degrees(101.7, 3.1));
        assert!(matches!(read("acknowledge", ""), Ok(Order::Acknowledge(_))));
    }

    #[test]
    fn p5_what_a_person_says_and_names_has_bounds() {
        let note =
            |bytes: usize| read("confirm", &format!(r#"{{"note":"{}"}}"#, "x".repeat(bytes)));
        assert!(note(NOTE_BYTES_MAX).is_ok() && note(NOTE_BYTES_MAX + 1).is_err());
        let named = |bytes: usize| {
            read(
                "split",
                &format!(r#"{{"sources":["{}"]}}"#, "x".repeat(bytes)),
            )
        };
        assert!(named(NAMED_BYTES_MAX).is_ok() && named(NAMED_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn what_is_wrong_with_an_order_is_said() {
        let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(NOTE_BYTES_MAX + 1));
        for (action, json, said) in [
            ("dismiss", "", "dismiss needs `reason`"),
            (
                "dismiss",
                r#"{"reason":"no"}"#,
                "one of false_alarm, test, planned, not_ours",
            ),
            ("reopen", "", "needs a `note`"),
            ("all_clear", r#"{"note":" "}"#, "who saw it"),
            ("rate", "", "rate needs `severity`"),
            (
                "rate",
                r#"{"severity":"unknown"}"#,
                "one of minor, moderate",
            ),
            (
                "report",
                r#"{"certainty":"maybe"}"#,
                "one of unknown, unlikely",
            ),
            (
                "report",
                r#"{"position":[3.1,101.7]}"#,
                "longitude, then latitude",
            ),
            ("open", r#"{"severity":"minor"}"#, "open needs `kind`"),
            ("confirm", &long, "at most 512 bytes"),
            ("merge", "", "merge needs `with`"),
            ("link", r#"{"with":"x"}"#, "an incident's id"),
            (
                "move",
                r#"{"with":"inc-0000000000"}"#,
                "move needs `sources`",
            ),
            ("sing", "", "the actions about an incident are"),
            ("confirm", "{", "not an order"),
        ] {
            let error = read(action, json).unwrap_err();
            assert!(error.contains(said), "{action} {json}: {error}");
        }
    }
}
