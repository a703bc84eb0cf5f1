//! A decision as JSON: written here, once, for the stream, REST, MQTT and `ioc backtest` alike.
//!
//! Arrives: a decision of the core. Leaves: its bytes, one object on one line, as
//! `docs/PROTOCOL.md` documents it (a golden test ties the two). Promise: the same decision gives
//! the same bytes. Not here: what frames them on the socket, see `frame.rs`.

use std::fmt;

use bytes::Bytes;
use ioc_core::decision::{About, Cause, CommandState, Decision, DecisionHash, Evidence, Far};
use ioc_core::decision::{
    Handling, IncidentState, Refusal, SensorFault, SensorState, SiteState, Verdict,
};
use ioc_core::decision::{Matcher, Network, SuppressionState, Target, Way};
use ioc_core::id::{CommandKey, IncidentId, NodeId, RuleId, SuppressionId};
use ioc_core::place::Position;
use ioc_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::command::possible;

/// The decision's JSON, without a line end.
pub fn decision_json(decision: &Decision) -> Bytes {
    let json = DecisionJson::from(decision);
    let bytes = serde_json::to_vec(&json).expect("numbers and texts always have a JSON");
    Bytes::from(bytes)
}

#[derive(Serialize)]
struct DecisionJson<'a> {
    seq: u64,
    at: Text<Timestamp>,
    r#type: &'static str,
    #[serde(flatten)]
    subject: SubjectJson<'a>,
    cause: CauseJson<'a>,
}

impl<'a> From<&'a Decision> for DecisionJson<'a> {
    fn from(decision: &'a Decision) -> Self {
        Self {
            seq: decision.seq,
            at: Text(decision.at),
            r#type: decision.verdict.word(),
            subject: SubjectJson::from(&decision.verdict),
            cause: CauseJson(&decision.cause),
        }
    }
}

/// What the decision is about.
#[derive(Serialize)]
#[serde(untagged)]
enum SubjectJson<'a> {
    Handled {
        incident: IncidentJson<'a>,
        before: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<&'static str>,
    },
    Regrouped {
        incident: IncidentJson<'a>,
        from: Text<IncidentId>,
        sources: Vec<String>,
        sources_total: u32,
    },
    Incident {
        incident: IncidentJson<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        into: Option<Text<IncidentId>>,
    },
    Sensor {
        sensor: SensorJson<'a>,
        #[serde(flatten)]
        fault: Option<FaultJson>,
    },
    Site {
        site: SiteJson<'a>,
    },
    Rules {
        bundle: Hex<'a>,
    },
    Refused {
        code: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        incident_id: Option<Text<IncidentId>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        actuator_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        suppression_id: Option<Text<SuppressionId>>,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        standing: Option<StandingJson>,
    },
    Command {
        command: CommandJson<'a>,
    },
    Suppression {
        suppression: SuppressionJson<'a>,
    },
}

/// How an incident stood when an order about it was refused, and what is possible instead.
#[derive(Serialize)]
struct StandingJson {
    handling: &'static str,
    condition: &'static str,
    possible: Vec<&'static str>,
}

impl<'a> From<&'a Verdict> for SubjectJson<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        match verdict {
            Verdict::IncidentMerged { incident, into } => Self::Incident {
                incident: IncidentJson::from(incident),
                into: Some(Text(*into)),
            },
            Verdict::IncidentOpened(incident)
            | Verdict::IncidentUpdated(incident)
            | Verdict::IncidentCleared(incident)
            | Verdict::IncidentUnknown(incident)
            | Verdict::IncidentReopened(incident)
            | Verdict::IncidentLinked(incident)
            | Verdict::IncidentEscalated(incident)
            | Verdict::IncidentRated(incident)
            | Verdict::IncidentShelved(incident)
            | Verdict::IncidentSuppressed(incident)
            | Verdict::IncidentAcknowledged(incident) => Self::Incident {
                incident: IncidentJson::from(incident),
                into: None,
            },
            Verdict::IncidentSplit {
                incident,
                from,
                moved,
            }
            | Verdict::IncidentEvidenceMoved {
                incident,
                from,
                moved,
            } => Self::Regrouped {
                incident: IncidentJson::from(incident),
                from: Text(*from),
                sources: moved.words().collect(),
                sources_total: moved.count,
            },
            Verdict::IncidentHandled {
                before, incident, ..
            } => Self::Handled {
                incident: IncidentJson::from(incident),
                before: before.word(),
                passed_over: words(before.between(incident.handling)),
            },
            Verdict::SensorSilent(sensor) | Verdict::SensorReturned(sensor) => Self::Sensor {
                sensor: SensorJson::from(sensor),
                fault: None,
            },
            Verdict::SensorFaulty(sensor, fault) | Verdict::SensorSound(sensor, fault) => {
                Self::Sensor {
                    sensor: SensorJson::from(sensor),
                    fault: Some(FaultJson::from(*fault)),
                }
            }
            Verdict::SiteSilent(site) | Verdict::SiteReturned(site) => Self::Site {
                site: SiteJson::from(site),
            },
            Verdict::RulesChanged(bundle) => Self::Rules {
                bundle: Hex(&bundle.0),
            },
            Verdict::CommandRefused(refusal) => Self::refused(refusal),
            Verdict::Command(_, command) => Self::Command {
                command: CommandJson::from(&**command),
            },
            Verdict::Suppression(_, suppression) => Self::Suppression {
                suppression: SuppressionJson::from(&**suppression),
            },
        }
    }
}

impl<'a> SubjectJson<'a> {
    fn refused(refusal: &'a Refusal) -> Self {
        let (mut incident_id, mut actuator_id) = (None, None);
        let (mut kind, mut standing) = (None, None);
        let mut suppression_id = None;
        match &refusal.about {
            About::Incident(incident) => incident_id = Some(Text(*incident)),
            About::Actuator(actuator) => actuator_id = Some(actuator.as_str()),
            About::Kind(own) => kind = Some(own.as_str()),
            About::Suppression(own) => suppression_id = Some(Text(*own)),
            About::Standing {
                incident,
                handling,
                condition,
            } => {
                incident_id = Some(Text(*incident));
                standing = Some(StandingJson {
                    handling: handling.word(),
                    condition: condition.word(),
                    possible: possible(*handling, *condition),
                });
            }
        }
        Self::Refused {
            code: refusal.code.word(),
            incident_id,
            actuator_id,
            kind,
            suppression_id,
            standing,
        }
    }
}

fn words(handlings: &[Handling]) -> Vec<&'static str> {
    handlings.iter().map(|each| each.word()).collect()
}

/// A command to an actuator, in decisions, snapshots and REST answers.
#[derive(Serialize)]
pub(crate) struct CommandJson<'a> {
    key: Text<CommandKey>,
    actuator: &'a str,
    zone: &'a str,
    command: &'a str,
    parameters: Value,
    effect: &'static str,
    progress: &'static str,
    person_needed: bool,
    ordered_by: &'a str,
    ordered_at: Text<Timestamp>,
    not_after: Text<Timestamp>,
    outcome_by: Text<Timestamp>,
    confirmed_by: Option<&'a str>,
    answer: Option<AnswerJson<'a>>,
    confirmation: Option<ConfirmationJson<'a>>,
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    state: &'static str,
    detail: &'a str,
    seq: u64,
}

#[derive(Serialize)]
struct ConfirmationJson<'a> {
    reading: &'a str,
    value: f64,
    seq: u64,
}

impl<'a> From<&'a CommandState> for CommandJson<'a> {
    fn from(command: &'a CommandState) -> Self {
        Self {
            key: Text(command.key),
            actuator: command.actuator.as_str(),
            zone: command.zone.as_str(),
            command: command.command.as_str(),
            parameters: parameters(&command.parameters),
            effect: command.effect.word(),
            progress: command.progress.word(),
            person_needed: command.needs_person(),
            ordered_by: command.ordered_by.as_str(),
            ordered_at: Text(command.ordered_at),
            not_after: Text(command.not_after),
            outcome_by: Text(command.outcome_by),
            confirmed_by: command.confirmed_by.as_ref().map(|sensor| sensor.as_str()),
            answer: command.answer.as_ref().map(|answer| AnswerJson {
                state: answer.word.word(),
                detail: &answer.detail,
                seq: answer.seq,
            }),
            confirmation: command.confirmation.as_ref().map(|shown| ConfirmationJson {
                reading: shown.reading.as_str(),
                value: shown.value,
                seq: shown.seq,
            }),
        }
    }
}

/// Something that is kept quiet, in decisions, snapshots and REST answers.
#[derive(Serialize)]
pub(crate) struct SuppressionJson<'a> {
    id: Text<SuppressionId>,
    how: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#match: Option<MatchJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_id: Option<Text<IncidentId>>,
    by: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<&'a str>,
    from: Text<Timestamp>,
    until: Text<Timestamp>,
    detections: u64,
    let_through: u64,
    sensors: Vec<KeptJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
}

/// Which detections are meant.
#[derive(Serialize)]
pub(crate) struct MatchJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sensor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
}

/// How much of a sensor was kept quiet.
#[derive(Serialize)]
struct KeptJson<'a> {
    sensor: &'a str,
    detections: u32,
}

impl<'a> From<&'a SuppressionState> for SuppressionJson<'a> {
    fn from(state: &'a SuppressionState) -> Self {
        let (matcher, incident) = match &state.target {
            Target::Detections(matcher) => (Some(matcher), None),
            Target::Incident(incident) => (None, Some(*incident)),
        };
        let sensors = state.sensors.iter();
        Self {
            id: Text(state.id),
            how: state.how.word(),
            r#match: matcher.map(MatchJson::from),
            incident_id: incident.map(Text),
            by: state.by.as_str(),
            reason: &state.reason,
            window: state.window.as_ref().map(|window| window.as_str()),
            from: Text(state.from),
            until: Text(state.until),
            detections: state.detections,
            let_through: state.let_through,
            sensors: sensors
                .map(|(sensor, count)| KeptJson {
                    sensor: sensor.as_str(),
                    detections: *count,
                })
                .collect(),
            ended: state.ended.map(|ending| ending.word()),
        }
    }
}

impl<'a> From<&'a Matcher> for MatchJson<'a> {
    fn from(matcher: &'a Matcher) -> Self {
        Self {
            sensor: matcher.sensor.as_ref().map(|own| own.as_str()),
            zone: matcher.zone.as_ref().map(|own| own.as_str()),
            kind: matcher.kind.as_ref().map(|own| own.as_str()),
            rule: matcher.rule.as_ref().map(|own| own.as_str()),
        }
    }
}

/// The parameters of a command: whoever took the order has seen to it that they are an object.
fn parameters(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// An incident, in decisions, snapshots and REST answers.
#[derive(Serialize)]
pub(crate) struct IncidentJson<'a> {
    id: Text<IncidentId>,
    kind: &'a str,
    severity: &'static str,
    certainty: &'static str,
    condition: &'static str,
    handling: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dismissed_as: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    escalated_to: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shelved_until: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed_by: Option<Text<IncidentId>>,
    position: Option<[f64; 2]>,
    radius_m: u32,
    zone: &'a str,
    opened_at: Text<Timestamp>,
    parent: Option<Text<IncidentId>>,
    episode: u32,
    sensors: u32,
    readings: u64,
}

impl<'a> From<&'a IncidentState> for IncidentJson<'a> {
    fn from(incident: &'a IncidentState) -> Self {
        Self {
            id: Text(incident.id),
            kind: incident.kind.as_str(),
            severity: incident.severity.word(),
            certainty: incident.certainty.word(),
            condition: incident.condition.word(),
            handling: incident.handling.word(),
            dismissed_as: incident.handling.dismissal().map(|reason| reason.word()),
            escalated_to: incident.escalated.map(|tier| tier.word()),
            shelved_until: incident.shelved_until.map(Text),
            suppressed_by: incident.parent.filter(|_| incident.suppressed).map(Text),
            position: incident.position.map(Position::to_degrees),
            radius_m: incident.radius_m,
            zone: incident.zone.as_str(),
            opened_at: Text(incident.opened_at),
            parent: incident.parent.map(Text),
            episode: incident.episode,
            sensors: incident.sensors,
            readings: incident.readings,
        }
    }
}

/// A sensor, in decisions, snapshots and REST answers.
#[derive(Serialize)]
pub(crate) struct SensorJson<'a> {
    id: &'a str,
    kind: &'a str,
    position: Option<[f64; 2]>,
    zone: &'a str,
    last_heard_at: Text<Timestamp>,
}

impl<'a> From<&'a SensorState> for SensorJson<'a> {
    fn from(sensor: &'a SensorState) -> Self {
        Self {
            id: sensor.id.as_str(),
            kind: sensor.kind.as_str(),
            position: sensor.position.map(Position::to_degrees),
            zone: sensor.zone.as_str(),
            last_heard_at: Text(sensor.last_heard_at),
        }
    }
}

/// A site, in decisions and REST answers.
#[derive(Serialize)]
pub(crate) struct SiteJson<'a> {
    id: &'a str,
    by: &'static str,
    zone: &'a str,
    silent: u32,
    sensors: u32,
    explained_by: Option<&'a str>,
}

impl<'a> From<&'a SiteState> for SiteJson<'a> {
    fn from(site: &'a SiteState) -> Self {
        Self {
            id: &site.id,
            by: site.by.word(),
            zone: site.zone.as_str(),
            silent: site.silent,
            sensors: site.sensors,
            explained_by: site.explained_by.as_ref().map(RuleId::as_str),
        }
    }
}

/// A fault of a sensor, in decisions about it.
#[derive(Serialize)]
struct FaultJson {
    fault: &'static str,
    distrusted: bool,
}

impl From<SensorFault> for FaultJson {
    fn from(fault: SensorFault) -> Self {
        Self {
            fault: fault.kind.word(),
            distrusted: fault.distrusted,
        }
    }
}

/// Why: `events` and `seqs` are the members that every consumer knows, `evidence` says more.
struct CauseJson<'a>(&'a Cause);

impl Serialize for CauseJson<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let Cause {
            rule,
            evidence,
            due,
            request,
            note,
            way,
        } = self.0;
        let mut map = serializer.serialize_map(None)?;
        if let Some(rule) = rule {
            map.serialize_entry("rule", rule.as_str())?;
        }
        let each = || evidence.iter();
        map.serialize_entry("events", &Each(|| each().map(|e| e.reading.as_str())))?;
        map.serialize_entry("seqs", &Each(|| each().map(|e| e.seq)))?;
        map.serialize_entry("evidence", &Each(|| each().map(EvidenceJson::from)))?;
        if let Some(due) = due {
            map.serialize_entry("due", &Text(*due))?;
        }
        if let Some((request, actor)) = request {
            map.serialize_entry("request", request.as_str())?;
            map.serialize_entry("actor", actor.as_str())?;
        }
        if !note.is_empty() {
            map.serialize_entry("note", note)?;
        }
        if let Some(way) = way {
            map.serialize_entry("way", &WayJson::from(&**way))?;
        }
        map.end()
    }
}

/// The way from a cause, along a network.
#[derive(Serialize)]
struct WayJson<'a> {
    along: &'static str,
    from: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_m: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ms: Option<i64>,
}

impl<'a> From<&'a Way> for WayJson<'a> {
    fn from(way: &'a Way) -> Self {
        let (steps, distance_m) = match way.far {
            Far::Steps(steps) => (Some(steps), None),
            Far::Metres(metres) => (None, Some(metres)),
        };
        Self {
            along: way.along.word(),
            from: way.from.as_str(),
            to: way.to.as_str(),
            steps,
            distance_m,
            lag_ms: (way.along == Network::FlowsTo).then_some(way.lag.0),
        }
    }
}

#[derive(Serialize)]
struct EvidenceJson<'a> {
    reading: &'a str,
    seq: u64,
    sensor: &'a str,
    rule: &'a str,
    value: f64,
    distance_m: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<&'a str>,
}

impl<'a> From<&'a Evidence> for EvidenceJson<'a> {
    fn from(evidence: &'a Evidence) -> Self {
        Self {
            reading: evidence.reading.as_str(),
            seq: evidence.seq,
            sensor: evidence.sensor.as_str(),
            rule: evidence.rule.as_str(),
            value: evidence.value,
            distance_m: evidence.distance_m,
            through: evidence.through.as_ref().map(NodeId::as_str),
        }
    }
}

/// An array made from an iterator, without a vector between.
struct Each<F>(F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// A value whose JSON is the text that it displays.
pub(crate) struct Text<T>(pub T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Thirty-two bytes in lower-case hexadecimal.
pub(crate) struct Hex<'a>(pub &'a [u8; 32]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The hash that a console hands back when it resumes; `None` if the text is none.
pub(crate) fn parse_hash(text: &str) -> Option<DecisionHash> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(DecisionHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::opened;

    #[test]
    fn foreign_text_is_escaped() {
        let mut decision = opened(1, "a");
        decision.cause.request = Some(("r".parse().unwrap(), "a\"},{\"".parse().unwrap()));
        let json: serde_json::Value = serde_json::from_slice(&decision_json(&decision)).unwrap();
        assert_eq!(json["cause"]["actor"], "a\"},{\"");
    }

    #[test]
    fn a_hash_reads_back_as_it_was_written() {
        let hash = DecisionHash([0xa7; 32]);
        assert_eq!(parse_hash(&Hex(&hash.0).to_string()), Some(hash));
        assert_eq!(parse_hash(""), None);
        assert_eq!(parse_hash(&"g".repeat(64)), None);
        assert_eq!(parse_hash(&"é".repeat(32)), None);
    }
}
