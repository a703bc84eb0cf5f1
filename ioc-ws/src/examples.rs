//! Decisions for tests.

use std::sync::Arc;

use ioc_core::bundle::{Bundle, City, HandlingRules, Scale, Sensor, SuppressionRules};
use ioc_core::decision::{
    Answer, AnswerWord, CommandChange, CommandState, Confirmation, EffectClass, Progress,
};
use ioc_core::decision::{Cause, Certainty, Condition, Decision, DecisionHash, Handling};
use ioc_core::decision::{Ending, How, Matcher, SuppressionChange, SuppressionState, Target};
use ioc_core::decision::{IncidentState, Released, SensorState, Severity, Verdict};
use ioc_core::id::{CommandKey, IncidentId, SuppressionId};
use ioc_core::place::Position;
use ioc_core::record::BundleHash;
use ioc_core::time::Timestamp;

use crate::feed::{Entry, Published};

pub(crate) fn id(name: &str) -> IncidentId {
    IncidentId::derive(&["flood", name])
}

pub(crate) fn incident(name: &str) -> IncidentState {
    IncidentState {
        id: id(name),
        kind: "flood".parse().unwrap(),
        severity: Severity::Severe,
        certainty: Certainty::Observed,
        condition: Condition::Active,
        handling: Handling::New,
        position: Position::from_degrees(101.6396, 3.1317),
        radius_m: 420,
        zone: "z21".parse().unwrap(),
        opened_at: at(1),
        episode: 1,
        sensors: 2,
        readings: 2,
        parent: None,
        escalated: None,
        shelved_until: None,
        suppressed: false,
    }
}

/// A city of these sensors, sorted by their names.
pub(crate) fn bundle(sensors: &[&str]) -> Bundle {
    let sensor = |id: &&str| Sensor {
        id: id.parse().unwrap(),
        kind: "level".parse().unwrap(),
        unit: "m".to_owned(),
        scale: Scale::OfKind,
        zone: None,
        position: None,
        interval: None,
        warning: None,
        danger: None,
        gateway: None,
    };
    Bundle {
        city: City {
            sensors: sensors.iter().map(sensor).collect(),
            ..City::default()
        },
        hash: BundleHash([0; 32]),
        detections: Vec::new(),
        correlations: Vec::new(),
        handling: HandlingRules::NONE,
        suppression: SuppressionRules::USUAL,
    }
}

pub(crate) fn at(seq: u64) -> Timestamp {
    Timestamp::from_millis(1_773_470_760_000 + seq as i64 * 1000)
}

pub(crate) fn decision(seq: u64, verdict: Verdict) -> Decision {
    Decision {
        seq,
        at: at(seq),
        verdict,
        cause: Cause {
            rule: Some("river-high".parse().unwrap()),
            ..Cause::default()
        },
    }
}

pub(crate) fn opened(seq: u64, name: &str) -> Decision {
    decision(seq, Verdict::IncidentOpened(incident(name)))
}

pub(crate) fn updated(seq: u64, name: &str) -> Decision {
    let readings = 2 + seq;
    decision(
        seq,
        Verdict::IncidentUpdated(IncidentState {
            readings,
            ..incident(name)
        }),
    )
}

pub(crate) fn rose(seq: u64, name: &str) -> Decision {
    decision(
        seq,
        Verdict::IncidentUpdated(IncidentState {
            severity: Severity::Extreme,
            ..incident(name)
        }),
    )
}

pub(crate) fn cleared(seq: u64, name: &str) -> Decision {
    decision(
        seq,
        Verdict::IncidentCleared(IncidentState {
            condition: Condition::Cleared,
            ..incident(name)
        }),
    )
}

pub(crate) fn reopened(seq: u64, name: &str) -> Decision {
    decision(
        seq,
        Verdict::IncidentReopened(IncidentState {
            episode: 2,
            ..incident(name)
        }),
    )
}

pub(crate) fn merged(seq: u64, name: &str, into: &str) -> Decision {
    let into = id(into);
    let incident = IncidentState {
        handling: Handling::Merged,
        ..incident(name)
    };
    decision(seq, Verdict::IncidentMerged { incident, into })
}

pub(crate) fn silent(seq: u64, sensor: &str) -> Decision {
    decision(seq, Verdict::SensorSilent(sensor_state(sensor)))
}

pub(crate) fn returned(seq: u64, sensor: &str) -> Decision {
    decision(seq, Verdict::SensorReturned(sensor_state(sensor)))
}

/// A command to close a gate, as this change leaves it.
pub(crate) fn command(change: CommandChange) -> Verdict {
    command_of(change, "gate-7", "console-7f3a")
}

/// The command of a request to an actuator.
pub(crate) fn command_of(change: CommandChange, actuator: &str, request: &str) -> Verdict {
    use CommandChange as Change;
    let (progress, word) = match change {
        Change::Sent => (Progress::Sent, None),
        Change::Accepted => (Progress::Accepted, Some(AnswerWord::Accepted)),
        Change::Done => (Progress::Done, Some(AnswerWord::Done)),
        Change::Confirmed => (Progress::Confirmed, Some(AnswerWord::Done)),
        Change::Rejected => (Progress::Rejected, Some(AnswerWord::Rejected)),
        Change::Failed => (Progress::Failed, Some(AnswerWord::Failed)),
        Change::Expired => (Progress::Expired, None),
        Change::NotConfirmed => (Progress::NotConfirmed, Some(AnswerWord::Done)),
        Change::OutcomeUnknown => (Progress::OutcomeUnknown, None),
        Change::Superseded => (Progress::Superseded, None),
        Change::AnsweredLate => (Progress::Expired, Some(AnswerWord::Done)),
    };
    let state = CommandState {
        key: CommandKey::derive(&[actuator, request]),
        actuator: actuator.parse().unwrap(),
        zone: "z21".parse().unwrap(),
        command: "close".parse().unwrap(),
        parameters: r#"{"speed":3}"#.into(),
        effect: match change {
            Change::OutcomeUnknown => EffectClass::AtMostOnce,
            _ => EffectClass::Idempotent,
        },
        progress,
        ordered_by: "console".parse().unwrap(),
        ordered_at: at(1042),
        not_after: at(1102),
        outcome_by: at(1162),
        confirmed_by: (change != Change::Expired).then(|| "gate-7-shut".parse().unwrap()),
        answer: word.map(|word| Answer {
            word,
            detail: "".into(),
            seq: 1050,
        }),
        confirmation: (change == Change::Confirmed).then(|| Confirmation {
            reading: "e9".parse().unwrap(),
            value: 1.0,
            seq: 1051,
        }),
    };
    Verdict::Command(change, Box::new(state))
}

/// Something that is kept quiet, as this change leaves it.
pub(crate) fn suppression(change: SuppressionChange) -> Verdict {
    suppression_of(change, "console-7f3a")
}

/// That of a request.
pub(crate) fn suppression_of(change: SuppressionChange, request: &str) -> Verdict {
    let extended = matches!(change, SuppressionChange::Extended);
    let started = change == SuppressionChange::Started;
    let state = SuppressionState {
        id: SuppressionId::derive(&[request]),
        how: How::Shelved,
        target: Target::Detections(Matcher {
            zone: Some("z21".parse().unwrap()),
            kind: Some("water_level".parse().unwrap()),
            ..Matcher::default()
        }),
        by: "console".parse().unwrap(),
        reason: "the weir is cleaned".into(),
        window: None,
        from: at(1042),
        until: at(if extended { 8242 } else { 4642 }),
        detections: if started { 0 } else { 2 },
        let_through: u64::from(!started),
        sensors: match started {
            true => Vec::new(),
            false => vec![("wl-0412".parse().unwrap(), 2)],
        },
        ended: (change == SuppressionChange::Ended).then_some(Ending::Expired),
    };
    Verdict::Suppression(change, Box::new(state))
}

pub(crate) fn sensor_state(sensor: &str) -> SensorState {
    SensorState {
        id: sensor.parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        position: None,
        zone: "z21".parse().unwrap(),
        last_heard_at: at(0),
    }
}

/// Publishes decisions with the rolling hash that follows `hash`.
pub(crate) fn publish(hash: DecisionHash, decisions: Vec<Decision>) -> Vec<Published> {
    let mut hash = hash;
    let mut bytes = Vec::new();
    let publish = |decision: Decision| {
        bytes.clear();
        decision.encode(&mut bytes);
        hash = hash.after(&bytes);
        let decision = Arc::new(decision);
        Published::new(Released { decision, hash })
    };
    decisions.into_iter().map(publish).collect()
}

/// An entry of the ring, as the keeper would make it of a first telling.
pub(crate) fn entry(decision: Decision) -> Entry {
    let rose = decision.verdict.incident().map(|i| i.severity) == Some(Severity::Extreme);
    let update = matches!(decision.verdict, Verdict::IncidentUpdated(_));
    let published = publish(DecisionHash::default(), vec![decision]).remove(0);
    Entry {
        control: !update || rose,
        decision: published.decision,
        hash: published.hash,
        json: published.json,
    }
}
