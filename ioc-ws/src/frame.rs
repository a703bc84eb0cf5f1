//! The messages of the stream, both ways: with `wire.rs` the only JSON that crosses the socket.
//!
//! Arrives: a client's text. Leaves: [`ClientMessage`], or the sentence to close with; and the
//! server's messages as text. `docs/PROTOCOL.md` documents each. Next: `session.rs`.

use std::io::Write;
use std::sync::Arc;

use ioc_core::decision::{DecisionSeq, IncidentState, Severity};
use ioc_core::id::{IncidentId, RequestId};
use ioc_core::place::Position;
use ioc_core::record::Seq;
use ioc_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::auth::Desk;
use crate::feed::{Entry, Head, SnapshotReason};
use crate::filter::{Filter, FilterText};
use crate::handling::HandleText;
use crate::suppressions::{MatchText, SuppressText};
use crate::view::{Commanded, Incident, Picture, Sample, Silent, Suppressed};
use crate::wire::{CommandJson, Hex, IncidentJson, SensorJson, SuppressionJson, Text};

/// What a client says. Members that are not known are ignored, types that are not known are not.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ClientMessage {
    /// The first message.
    Hello(Hello),
    /// An order.
    Command(Box<CommandText>),
}

/// Who comes, from where it goes on, and what it wants to see.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Hello {
    pub token: Option<String>,
    pub resume: Option<Resume>,
    #[serde(default)]
    pub filter: FilterText,
    /// Whether live readings are wanted too.
    #[serde(default = "yes")]
    pub readings: bool,
}

const fn yes() -> bool {
    true
}

/// The last point that a client knows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Resume {
    pub epoch: String,
    pub seq: DecisionSeq,
    pub hash: String,
}

/// An order as it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct CommandText {
    pub request_id: String,
    pub action: String,
    pub incident: Option<String>,
    pub actuator: Option<String>,
    /// What is kept quiet, by its id.
    pub suppression: Option<String>,
    pub r#match: Option<MatchText>,
    pub for_s: Option<f64>,
    #[serde(flatten)]
    pub operate: OperateText,
    #[serde(flatten)]
    pub handle: HandleText,
}

/// What an actuator is to do, as it is written.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OperateText {
    pub command: Option<String>,
    pub parameters: Option<serde_json::Value>,
    pub not_after_s: Option<f64>,
    pub replaces: Option<String>,
}

impl CommandText {
    /// What it says about keeping something quiet.
    pub(crate) fn suppress(&self) -> SuppressText {
        SuppressText {
            how: None,
            r#match: self.r#match.clone(),
            for_s: self.for_s,
            reason: self.handle.reason.clone(),
            note: self.handle.note.clone(),
            incident: self.incident.clone(),
        }
    }
}

impl ClientMessage {
    /// The message in this text, or a sentence that says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("not a message of ioc.v1: {error}"))
    }
}

/// Why the server closes a connection (RFC 6455 section 7.4; 4000 and above are our own).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseCode {
    /// The server is stopping: connect again soon.
    GoingAway = 1001,
    /// A message was not text.
    NotText = 1003,
    /// A message was longer than the bound.
    TooLong = 1009,
    /// A message was not understood.
    BadMessage = 4400,
    /// No hello came in time.
    HelloTimeout = 4408,
    /// Nothing came for too long, not even a pong.
    Silent = 4410,
    /// Nothing could be written for too long.
    Stalled = 4411,
}

impl CloseCode {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 7] = [
        Self::GoingAway,
        Self::NotText,
        Self::TooLong,
        Self::BadMessage,
        Self::HelloTimeout,
        Self::Silent,
        Self::Stalled,
    ];

    /// The code as a stable word, for counting.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::GoingAway => "going_away",
            Self::NotText => "not_text",
            Self::TooLong => "too_long",
            Self::BadMessage => "bad_message",
            Self::HelloTimeout => "hello_timeout",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
        }
    }
}

/// The beginning of a frame that covers `from` up to `to`; decisions follow, between commas.
pub(crate) fn open_frame(from: DecisionSeq, to: Head) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    write!(
        text,
        r#"{{"type":"frame","from":{from},"to":{},"hash":"{}","decisions":["#,
        to.seq,
        Hex(&to.hash.0)
    )
    .expect("a vector grows");
    text
}

/// The end of a frame.
pub(crate) const CLOSE_FRAME: &[u8] = b"]}";

/// A frame of some of the decisions that it covers.
pub(crate) fn frame<'a>(
    from: DecisionSeq,
    to: Head,
    entries: impl Iterator<Item = &'a Entry>,
) -> Utf8Bytes {
    let mut text = open_frame(from, to);
    for (place, entry) in entries.enumerate() {
        if place > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&entry.json);
    }
    text.extend_from_slice(CLOSE_FRAME);
    Utf8Bytes::try_from(text).expect("JSON is UTF-8")
}

/// The notice before a frame from which updates were left out.
pub(crate) fn folded(from: DecisionSeq, to: DecisionSeq, updates_dropped: u64) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Folded {
        from: DecisionSeq,
        to: DecisionSeq,
        updates_dropped: u64,
    }
    message(
        "folded",
        Folded {
            from,
            to,
            updates_dropped,
        },
    )
}

/// The answer to a hello.
pub(crate) struct Welcome<'a> {
    pub epoch: &'a str,
    pub head: Head,
    pub now: Timestamp,
    pub desk: Desk,
    /// What comes next: the decisions since, or a snapshot and why.
    pub snapshot: Option<SnapshotReason>,
}

impl Welcome<'_> {
    pub(crate) fn to_text(&self) -> Utf8Bytes {
        #[derive(Serialize)]
        struct WelcomeJson<'a> {
            epoch: &'a str,
            seq: DecisionSeq,
            hash: Hex<'a>,
            now: Text<Timestamp>,
            next: &'static str,
            reason: Option<&'static str>,
            you: YouJson,
        }
        #[derive(Serialize)]
        struct YouJson {
            actor: Option<String>,
            commands: bool,
            token: crate::auth::Shown,
        }
        let actor = self.desk.actor();
        message(
            "welcome",
            WelcomeJson {
                epoch: self.epoch,
                seq: self.head.seq,
                hash: Hex(&self.head.hash.0),
                now: Text(self.now),
                next: if self.snapshot.is_some() {
                    "snapshot"
                } else {
                    "decisions"
                },
                reason: self.snapshot.map(SnapshotReason::word),
                you: YouJson {
                    commands: actor.is_some(),
                    actor: actor.map(|actor| actor.to_string()),
                    token: self.desk.shown(),
                },
            },
        )
    }
}

/// The notice before a snapshot that replaces what the client knows.
pub(crate) fn reset(reason: SnapshotReason) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Reset {
        reason: &'static str,
    }
    let reason = reason.word();
    message("reset", Reset { reason })
}

/// The picture, as far as the filter shows it.
pub(crate) fn snapshot(picture: &Picture, filter: &Filter) -> Utf8Bytes {
    #[derive(Serialize)]
    struct SnapshotJson<'a> {
        seq: DecisionSeq,
        hash: Hex<'a>,
        at: Text<Timestamp>,
        incidents: Vec<IncidentViewJson<'a>>,
        sensors_silent: Vec<SilentJson<'a>>,
        sensors_silent_total: usize,
        commands: Vec<CommandedJson<'a>>,
        suppressions: Vec<SuppressedJson<'a>>,
        readings: Vec<SampleJson<'a>>,
    }
    let shown = |incident: &&Arc<Incident>| {
        incident.merged_into.is_none() && filter.shows_incident(&incident.state)
    };
    let shows_silent = |silent: &&Arc<Silent>| filter.shows_zone(&silent.state.zone);
    let shows_command = |command: &&Arc<Commanded>| filter.shows_zone(&command.state.zone);
    let incidents = picture.incidents.iter().filter(shown);
    let commands = picture.commands.iter().filter(shows_command);
    let silent = picture.silent.iter().filter(shows_silent);
    // What is about no place is shown to everybody.
    let suppressions = picture.suppressions.iter();
    let suppressions = suppressions.filter(|each| each.state.ended.is_none());
    let json = SnapshotJson {
        seq: picture.head.seq,
        hash: Hex(&picture.head.hash.0),
        at: Text(picture.head.at),
        incidents: incidents
            .map(|each| IncidentViewJson::from(&**each))
            .collect(),
        sensors_silent: silent.map(|each| SilentJson::from(&**each)).collect(),
        sensors_silent_total: picture.silent_total,
        commands: commands.map(|each| CommandedJson::from(&**each)).collect(),
        suppressions: suppressions
            .map(|each| SuppressedJson::from(&**each))
            .collect(),
        readings: picture
            .samples
            .iter()
            .map(|each| SampleJson::from(&**each))
            .collect(),
    };
    message("snapshot", json)
}

/// Live readings, the newest of each sensor.
pub(crate) fn readings(now: Timestamp, samples: &[Arc<Sample>]) -> Utf8Bytes {
    #[derive(Serialize)]
    struct ReadingsJson<'a> {
        now: Text<Timestamp>,
        readings: Vec<SampleJson<'a>>,
    }
    let json = ReadingsJson {
        now: Text(now),
        readings: samples
            .iter()
            .map(|each| SampleJson::from(&**each))
            .collect(),
    };
    message("readings", json)
}

/// The sign of life.
pub(crate) fn beat(now: Timestamp, seq: DecisionSeq, calls: usize) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Beat {
        now: Text<Timestamp>,
        seq: DecisionSeq,
        /// How often an operator was called in the last ten minutes.
        calls: usize,
    }
    let now = Text(now);
    message("beat", Beat { now, seq, calls })
}

/// The answer to an order that is durable.
pub(crate) fn ok(request_id: &RequestId, seq: Seq) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Ok<'a> {
        request_id: &'a str,
        seq: Seq,
    }
    let request_id = request_id.as_str();
    message("ok", Ok { request_id, seq })
}

/// The answer to an order that is not followed.
pub(crate) fn refused(request_id: &str, code: &str, text: &str) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Refused<'a> {
        request_id: &'a str,
        code: &'a str,
        message: &'a str,
    }
    message(
        "refused",
        Refused {
            request_id,
            code,
            message: text,
        },
    )
}

fn message<T: Serialize>(r#type: &'static str, body: T) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Message<T> {
        r#type: &'static str,
        #[serde(flatten)]
        body: T,
    }
    let text = serde_json::to_string(&Message { r#type, body });
    Utf8Bytes::from(text.expect("numbers and texts always have a JSON"))
}

/// An incident in a snapshot and in REST answers: as decisions show it, and what became of it.
#[derive(Serialize)]
pub(crate) struct IncidentViewJson<'a> {
    #[serde(flatten)]
    incident: IncidentJson<'a>,
    rule: Option<&'a str>,
    updated_seq: DecisionSeq,
    updated_at: Text<Timestamp>,
    acknowledged_at: Option<Text<Timestamp>>,
    acknowledged_by: Option<&'a str>,
    handled_at: Option<Text<Timestamp>>,
    handled_by: Option<&'a str>,
    ended_at: Option<Text<Timestamp>>,
}

impl<'a> From<&'a Incident> for IncidentViewJson<'a> {
    fn from(incident: &'a Incident) -> Self {
        let acknowledged = incident.acknowledged.as_ref();
        let handled = incident.handled.as_ref();
        Self {
            incident: IncidentJson::from(&incident.state),
            rule: incident.rule.as_ref().map(|rule| rule.as_str()),
            updated_seq: incident.updated_seq,
            updated_at: Text(incident.updated_at),
            acknowledged_at: acknowledged.map(|(at, _)| Text(*at)),
            acknowledged_by: acknowledged.and_then(|(_, by)| by.as_ref().map(|by| by.as_str())),
            handled_at: handled.map(|(at, _)| Text(*at)),
            handled_by: handled.and_then(|(_, by)| by.as_ref().map(|by| by.as_str())),
            ended_at: incident.ended.map(|(_, at)| Text(at)),
        }
    }
}

/// A silent sensor: as decisions show it, and since when it counts as silent.
#[derive(Serialize)]
pub(crate) struct SilentJson<'a> {
    #[serde(flatten)]
    sensor: SensorJson<'a>,
    silent_at: Text<Timestamp>,
    seq: DecisionSeq,
}

impl<'a> From<&'a Silent> for SilentJson<'a> {
    fn from(silent: &'a Silent) -> Self {
        Self {
            sensor: SensorJson::from(&silent.state),
            silent_at: Text(silent.at),
            seq: silent.seq,
        }
    }
}

/// The last command to an actuator: as decisions show it, and since when it stands so.
#[derive(Serialize)]
pub(crate) struct CommandedJson<'a> {
    #[serde(flatten)]
    command: CommandJson<'a>,
    updated_seq: DecisionSeq,
    updated_at: Text<Timestamp>,
}

impl<'a> From<&'a Commanded> for CommandedJson<'a> {
    fn from(command: &'a Commanded) -> Self {
        Self {
            command: CommandJson::from(&command.state),
            updated_seq: command.seq,
            updated_at: Text(command.at),
        }
    }
}

/// Something that is kept quiet: as decisions show it, and since when it stands so.
#[derive(Serialize)]
pub(crate) struct SuppressedJson<'a> {
    #[serde(flatten)]
    suppression: SuppressionJson<'a>,
    updated_seq: DecisionSeq,
    updated_at: Text<Timestamp>,
}

impl<'a> From<&'a Suppressed> for SuppressedJson<'a> {
    fn from(suppressed: &'a Suppressed) -> Self {
        Self {
            suppression: SuppressionJson::from(&suppressed.state),
            updated_seq: suppressed.seq,
            updated_at: Text(suppressed.at),
        }
    }
}

#[derive(Serialize)]
struct SampleJson<'a> {
    sensor: &'a str,
    kind: &'a str,
    value: f64,
    unit: &'a str,
    observed_at: Text<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<[f64; 2]>,
}

impl<'a> From<&'a Sample> for SampleJson<'a> {
    fn from(sample: &'a Sample) -> Self {
        Self {
            sensor: sample.sensor.as_str(),
            kind: sample.kind.as_str(),
            value: sample.value,
            unit: &sample.unit,
            observed_at: Text(sample.observed_at),
            position: sample.position.map(Position::to_degrees),
        }
    }
}

/// How many open incidents there are of each severity, gravest first, and how many nobody has seen.
#[derive(Debug, Serialize)]
pub(crate) struct CountsJson {
    pub open: usize,
    pub unacknowledged: usize,
    pub extreme: usize,
    pub severe: usize,
    pub moderate: usize,
    pub minor: usize,
    pub unknown: usize,
}

impl CountsJson {
    /// Counts the open ones.
    pub(crate) fn of<'a>(incidents: impl Iterator<Item = &'a Arc<Incident>>) -> Self {
        use ioc_core::decision::Handling;
        let open: Vec<&IncidentState> = incidents
            .filter(|incident| incident.ended.is_none())
            .map(|incident| &incident.state)
            .collect();
        let of = |severity| open.iter().filter(|each| each.severity == severity).count();
        let new = open.iter().filter(|each| each.handling == Handling::New);
        Self {
            unacknowledged: new.count(),
            extreme: of(Severity::Extreme),
            severe: of(Severity::Severe),
            moderate: of(Severity::Moderate),
            minor: of(Severity::Minor),
            unknown: of(Severity::Unknown),
            open: open.len(),
        }
    }
}

/// The incident that an order names.
pub(crate) fn incident_id(text: &str) -> Result<IncidentId, String> {
    text.parse().map_err(|error| format!("{error}: {text}"))
}
