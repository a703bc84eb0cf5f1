//! Pins the protocol: the golden files, and the page that documents them.
//!
//! `UPDATE_EXPECT=1 cargo test -p ioc-ws protocol` writes the golden files anew; the page is
//! written by hand, and each golden example must stand in it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect_file;
use futures_util::{SinkExt, StreamExt};
use ioc_core::decision::{
    About, Cause, CommandChange, Condition, Decision, DecisionHash, Evidence,
};
use ioc_core::decision::{
    AnswerWord, EffectClass, FaultKind, IncidentState, Progress, RefusalCode, SensorFault,
    SensorState, SiteBy, SiteState,
};
use ioc_core::decision::{Dismissal, Handling, Named, Refusal, Step, Tier};
use ioc_core::decision::{Ending, How, SuppressionChange};
use ioc_core::decision::{Far, Network, Severity, Verdict, Way};
use ioc_core::id::SuppressionId;
use ioc_core::load::Load;
use ioc_core::place::Position;
use ioc_core::record::BundleHash;
use ioc_core::time::{Millis, Timestamp};
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::auth::Token;
use crate::command::possible;
use crate::examples::{self, at, id, incident, publish};
use crate::feed::SnapshotReason;
use crate::frame::{self, CloseCode, Welcome};
use crate::options::WindowOptions;
use crate::view::Sample;
use crate::window::Window;
use crate::wire::decision_json;

const PAGE: &str = include_str!("../../docs/PROTOCOL.md");

/// One decision of each type, as one flood would bring them about.
fn every_type() -> Vec<Decision> {
    let opened = IncidentState {
        opened_at: at(1042),
        ..incident("a")
    };
    let grown = IncidentState {
        severity: Severity::Extreme,
        sensors: 3,
        readings: 5,
        ..opened.clone()
    };
    let near = IncidentState {
        handling: Handling::Merged,
        opened_at: at(1040),
        ..incident("b")
    };
    let seen = IncidentState {
        handling: Handling::Acknowledged,
        ..grown.clone()
    };
    let blind = IncidentState {
        condition: Condition::Unknown,
        ..seen.clone()
    };
    let again = IncidentState {
        episode: 2,
        ..seen.clone()
    };
    let over = IncidentState {
        condition: Condition::Cleared,
        ..again.clone()
    };
    let caused = IncidentState {
        parent: Some(id("a")),
        ..incident("b")
    };
    let verdicts = vec![
        Verdict::IncidentOpened(opened),
        Verdict::IncidentUpdated(grown),
        Verdict::IncidentMerged {
            incident: near,
            into: id("a"),
        },
        Verdict::IncidentAcknowledged(seen),
        Verdict::SensorSilent(sensor()),
        Verdict::IncidentUnknown(blind),
        Verdict::SensorReturned(sensor()),
        Verdict::IncidentReopened(again),
        Verdict::IncidentCleared(over),
        Verdict::RulesChanged(BundleHash([0xb5; 32])),
        Verdict::CommandRefused(Refusal {
            code: RefusalCode::AlreadyAcknowledged,
            about: About::Incident(id("a")),
        }),
        Verdict::CommandRefused(Refusal {
            code: RefusalCode::AlreadyPending,
            about: About::Actuator("gate-7".parse().unwrap()),
        }),
        Verdict::IncidentLinked(caused),
    ];
    let changes = CommandChange::ALL.iter().copied();
    let of_faults = [
        Verdict::SensorFaulty(sensor(), flapping(true)),
        Verdict::SensorSound(sensor(), flapping(false)),
        Verdict::SiteSilent(site(44)),
        Verdict::SiteReturned(site(12)),
    ];
    let verdicts = verdicts.into_iter().chain(changes.map(examples::command));
    let verdicts = verdicts.chain(by_people()).chain(every_step());
    let verdicts = verdicts.chain(of_faults).chain(of_quiet());
    let decision = |(verdict, seq)| Decision {
        cause: cause_of(&verdict),
        ..examples::decision(seq, verdict)
    };
    verdicts.zip(1042..).map(decision).collect()
}

/// What people do beside steps, what they do not do, and what they are refused.
fn by_people() -> Vec<Verdict> {
    vec![
        Verdict::IncidentEscalated(IncidentState {
            escalated: Some(Tier::ShiftSupervisor),
            ..incident("c")
        }),
        Verdict::IncidentRated(IncidentState {
            severity: Severity::Minor,
            ..incident("c")
        }),
        Verdict::IncidentSplit {
            incident: incident("d"),
            from: id("a"),
            moved: named(),
        },
        Verdict::IncidentEvidenceMoved {
            incident: incident("d"),
            from: id("a"),
            moved: named(),
        },
        Verdict::CommandRefused(Refusal {
            code: RefusalCode::StillActive,
            about: About::Standing {
                incident: id("a"),
                handling: Handling::Contained,
                condition: Condition::Unknown,
            },
        }),
        Verdict::CommandRefused(Refusal {
            code: RefusalCode::UnknownKind,
            about: About::Kind("riot".parse().unwrap()),
        }),
    ]
}

/// What is kept quiet on purpose.
fn of_quiet() -> impl Iterator<Item = Verdict> {
    let changes = SuppressionChange::ALL.iter().copied();
    let refused = Verdict::CommandRefused(Refusal {
        code: RefusalCode::MatchesNothing,
        about: About::Suppression(SuppressionId::derive(&["console-7f3a"])),
    });
    let of_incidents = [
        shelved("c", Some(at(4642))),
        shelved("c", None),
        refused,
        suppressed("c", true),
        suppressed("c", false),
    ];
    changes.map(examples::suppression).chain(of_incidents)
}

/// One decision of each step that a person takes.
fn every_step() -> impl Iterator<Item = Verdict> {
    let dismissed = Handling::Dismissed(Dismissal::Planned);
    let steps = [
        (Step::Confirm, Handling::New, Handling::Confirmed),
        (Step::Respond, Handling::Confirmed, Handling::Responding),
        (Step::Contain, Handling::Responding, Handling::Contained),
        (Step::Resolve, Handling::Confirmed, Handling::Resolved),
        (Step::Close, Handling::Resolved, Handling::Closed),
        (Step::Dismiss(Dismissal::Planned), Handling::New, dismissed),
        (Step::Undo, dismissed, Handling::New),
    ];
    steps.into_iter().map(|(step, before, handling)| {
        let over = matches!(handling, Handling::Resolved | Handling::Closed);
        let condition = if over {
            Condition::Cleared
        } else {
            Condition::Active
        };
        let incident = IncidentState {
            handling,
            condition,
            ..incident("c")
        };
        Verdict::IncidentHandled {
            step,
            before,
            incident,
        }
    })
}

fn named() -> Named {
    Named {
        first: vec![
            ("calls".parse().unwrap(), Some("c-17".parse().unwrap())),
            ("wl-0412".parse().unwrap(), None),
        ],
        count: 2,
    }
}

fn site(silent: u32) -> SiteState {
    SiteState {
        id: "gw-0007".into(),
        by: SiteBy::Gateway,
        zone: "z21".parse().unwrap(),
        silent,
        sensors: 60,
        explained_by: Some("feeder-dead".parse().unwrap()),
    }
}

fn flapping(distrusted: bool) -> SensorFault {
    let kind = FaultKind::Flapping;
    SensorFault { kind, distrusted }
}

fn sensor() -> SensorState {
    SensorState {
        id: "wl-0412".parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        position: Position::from_degrees(101.6953, 3.1466),
        zone: "z21".parse().unwrap(),
        last_heard_at: at(1000),
    }
}

fn cause_of(verdict: &Verdict) -> Cause {
    let rule = |name: &str| Some(name.parse().unwrap());
    match verdict {
        Verdict::IncidentOpened(_) => Cause {
            rule: rule("river-flood"),
            evidence: vec![
                evidence("e5c1", 981, "wl-0412", None),
                evidence("e77a", 1037, "wl-0413", Some(180)),
            ],
            ..Cause::default()
        },
        Verdict::IncidentUpdated(_) | Verdict::IncidentMerged { .. } => Cause {
            rule: rule("river-flood"),
            evidence: vec![evidence("e801", 1044, "wl-0411", Some(310))],
            ..Cause::default()
        },
        Verdict::IncidentReopened(_) => Cause {
            rule: rule("river-flood"),
            ..Cause::default()
        },
        Verdict::IncidentLinked(_) => Cause {
            rule: rule("river-flood"),
            way: Some(Box::new(Way {
                along: Network::FlowsTo,
                from: "wl-0407".parse().unwrap(),
                to: "wl-0412".parse().unwrap(),
                far: Far::Steps(2),
                lag: Millis::minutes(25),
            })),
            ..Cause::default()
        },
        Verdict::IncidentCleared(_) | Verdict::IncidentUnknown(_) => Cause {
            rule: rule("river-flood"),
            due: Some(at(1047)),
            ..Cause::default()
        },
        Verdict::IncidentEscalated(_) => Cause {
            rule: rule("river-flood"),
            due: Some(at(1055)),
            ..Cause::default()
        },
        Verdict::IncidentHandled { .. }
        | Verdict::IncidentSplit { .. }
        | Verdict::IncidentEvidenceMoved { .. }
        | Verdict::IncidentRated(_) => Cause {
            request: Some(("console-7f3a".parse().unwrap(), "console".parse().unwrap())),
            note: "the patrol is there".into(),
            ..Cause::default()
        },
        Verdict::SensorSilent(_) => Cause {
            rule: rule("river-silent"),
            due: Some(at(1000) + Millis::seconds(46)),
            ..Cause::default()
        },
        Verdict::SensorReturned(_) => Cause {
            rule: rule("river-silent"),
            ..Cause::default()
        },
        Verdict::SensorFaulty(..) | Verdict::SensorSound(..) => Cause {
            rule: rule("river-flapping"),
            evidence: vec![Evidence {
                rule: "river-flapping".parse().unwrap(),
                ..evidence("e90d", 1058, "wl-0412", None)
            }],
            ..Cause::default()
        },
        Verdict::SiteSilent(_) => Cause {
            rule: rule("gateway-silent"),
            due: Some(at(1000) + Millis::seconds(46)),
            ..Cause::default()
        },
        Verdict::SiteReturned(_) => Cause {
            rule: rule("gateway-silent"),
            ..Cause::default()
        },
        Verdict::RulesChanged(_) => Cause::default(),
        Verdict::Suppression(change, state) => match change {
            SuppressionChange::Started => by_console(),
            SuppressionChange::Extended => Cause {
                note: "it takes longer".into(),
                ..by_console()
            },
            SuppressionChange::Updated => Cause::default(),
            SuppressionChange::EndingSoon => Cause {
                due: Some(state.until - Millis::minutes(10)),
                ..Cause::default()
            },
            SuppressionChange::Ended => Cause {
                due: Some(state.until),
                ..Cause::default()
            },
        },
        Verdict::IncidentSuppressed(_) => Cause {
            rule: rule("river-flood"),
            due: Some(at(4642)),
            ..Cause::default()
        },
        Verdict::IncidentShelved(incident) => match incident.shelved_until {
            Some(_) => by_console(),
            None => Cause {
                due: Some(at(4642)),
                ..Cause::default()
            },
        },
        Verdict::Command(CommandChange::Expired | CommandChange::NotConfirmed, command) => Cause {
            due: Some(match command.confirmed_by {
                None => command.not_after,
                Some(_) => command.outcome_by,
            }),
            ..Cause::default()
        },
        Verdict::Command(change, _)
            if !matches!(change, CommandChange::Sent | CommandChange::Superseded) =>
        {
            Cause::default()
        }
        Verdict::IncidentAcknowledged(_) | Verdict::CommandRefused(_) | Verdict::Command(..) => {
            Cause {
                request: Some(("console-7f3a".parse().unwrap(), "console".parse().unwrap())),
                ..Cause::default()
            }
        }
    }
}

fn by_console() -> Cause {
    Cause {
        request: Some(("console-7f3a".parse().unwrap(), "console".parse().unwrap())),
        ..Cause::default()
    }
}

fn evidence(reading: &str, seq: u64, sensor: &str, distance_m: Option<u32>) -> Evidence {
    Evidence {
        reading: reading.parse().unwrap(),
        seq,
        sensor: sensor.parse().unwrap(),
        rule: "river-high".parse().unwrap(),
        value: 3.72,
        distance_m,
        through: None,
    }
}

/// One message of each type of the server, as text.
fn every_message() -> Vec<String> {
    let published = publish(DecisionHash([1; 32]), every_type());
    let head = crate::feed::Head {
        seq: 1042,
        hash: published[0].hash,
        at: at(1042),
    };
    let desk = Token::new("t").desk(Some("t"));
    let welcome = |snapshot| Welcome {
        epoch: "j-5k2m",
        head,
        now: at(1043),
        desk,
        snapshot,
    };
    let options = WindowOptions::new("j-5k2m".into(), Token::new("t"), Arc::new(|| at(0)));
    let mut view = crate::view::View::new(options);
    let sample = sample();
    view.apply(&published[0], true);
    view.apply(&published[13], true);
    let started = published
        .iter()
        .find(|each| each.decision.verdict.suppression().is_some());
    view.apply(started.unwrap(), true);
    view.sample(Arc::clone(&sample));
    let mut entry = crate::examples::entry(every_type().remove(0));
    entry.json = published[0].json.clone();
    let request = "console-7f3a".parse().unwrap();
    let texts = [
        welcome(None).to_text(),
        welcome(Some(SnapshotReason::EpochChanged)).to_text(),
        view.picture().snapshot(),
        frame::frame(1042, head, [entry].iter()),
        frame::folded(1042, 1107, 61),
        frame::reset(SnapshotReason::Behind),
        frame::readings(at(1043), &[sample]),
        frame::beat(at(1044), 1042, 3),
        frame::ok(&request, 1203),
        frame::refused(
            "console-7f3a",
            "already_acknowledged",
            "somebody has acknowledged it",
        ),
    ];
    texts.iter().map(|text| text.as_str().to_owned()).collect()
}

fn sample() -> Arc<Sample> {
    Arc::new(Sample {
        sensor: "wl-0412".parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        value: 3.72,
        unit: "m".into(),
        observed_at: at(1041),
        position: None,
    })
}

#[test]
fn golden_decisions() {
    let mut lines = String::new();
    for decision in every_type() {
        lines.push_str(std::str::from_utf8(&decision_json(&decision)).unwrap());
        lines.push('\n');
    }
    expect_file!["../tests/golden/decisions.jsonl"].assert_eq(&lines);
}

/// Which steps can be taken when: `handling.js` must say the same.
#[test]
fn golden_steps() {
    let mut table = serde_json::Map::new();
    for handling in Handling::ALL {
        for condition in Condition::ALL {
            let now = format!("{} {}", handling.word(), condition.word());
            table.insert(now, possible(*handling, *condition).into());
        }
    }
    let golden = serde_json::to_string_pretty(&table).unwrap() + "\n";
    expect_file!["../tests/golden/steps.json"].assert_eq(&golden);
}

/// Whether each decision of a story calls an operator: `calls.js` must say the same.
#[test]
fn golden_calls() {
    let mut load = Load::default();
    let mut lines = String::new();
    for decision in calling_story().into_iter().chain(story()) {
        let json = decision_json(&decision);
        let decision_json: Value = serde_json::from_slice(&json).unwrap();
        let line = serde_json::json!({"calls": load.take(&decision), "decision": decision_json});
        lines += &format!("{line}\n");
    }
    expect_file!["../tests/golden/calls.jsonl"].assert_eq(&lines);
}

/// Causes and effects, in all the ways in which somebody is called for an effect or is not.
fn calling_story() -> Vec<Decision> {
    let effect = |name: &str, of: &str| IncidentState {
        parent: Some(id(of)),
        severity: Severity::Moderate,
        kind: "jam".parse().unwrap(),
        ..incident(name)
    };
    let opened = |incident: IncidentState| {
        let verdict = Verdict::IncidentOpened(incident);
        let cause = Cause {
            evidence: vec![evidence("e5c1", 981, "wl-0412", None)],
            ..Cause::default()
        };
        Decision {
            cause,
            ..examples::decision(0, verdict)
        }
    };
    let told = |verdict| examples::decision(0, verdict);
    let parts = |name: &str, of: &str, severity| {
        let kind = incident(name).kind;
        told(Verdict::IncidentOpened(IncidentState {
            kind,
            severity,
            ..effect(name, of)
        }))
    };
    let cleared = |incident: IncidentState| {
        told(Verdict::IncidentCleared(IncidentState {
            condition: Condition::Cleared,
            ..incident
        }))
    };
    let shelved = |incident: IncidentState, until| {
        told(Verdict::IncidentShelved(IncidentState {
            shelved_until: until,
            ..incident
        }))
    };
    let symptom = |suppressed, severity| IncidentState {
        suppressed,
        severity,
        ..effect("symptom", "cause")
    };
    let minor = IncidentState {
        severity: Severity::Minor,
        ..effect("minor", "cause")
    };
    let seen = IncidentState {
        handling: Handling::Acknowledged,
        ..effect("seen", "cause")
    };
    let merged = |name: &str, into: &str| {
        let verdict = Verdict::IncidentMerged {
            incident: IncidentState {
                handling: Handling::Merged,
                ..incident(name)
            },
            into: id(into),
        };
        told(verdict)
    };
    let dismissed = told(Verdict::IncidentHandled {
        step: Step::Dismiss(Dismissal::Test),
        before: Handling::New,
        incident: IncidentState {
            handling: DISMISSED,
            ..incident("other")
        },
    });
    let linked = |of: Option<&str>| {
        told(Verdict::IncidentLinked(IncidentState {
            parent: of.map(id),
            ..effect("linked", "cause")
        }))
    };
    let by_person = |mut decision: Decision| {
        decision.cause.request = by_console().request;
        decision
    };
    let mut story = vec![
        opened(incident("cause")),
        opened(effect("unseen", "cause")),
        opened(effect("seen", "cause")),
        told(Verdict::IncidentAcknowledged(seen)),
        opened(effect("below-unseen", "unseen")),
        opened(minor),
        opened(symptom(true, Severity::Moderate)),
        // What is graver than its cause is a symptom no more.
        told(Verdict::IncidentUpdated(symptom(false, Severity::Extreme))),
        told(Verdict::IncidentSuppressed(symptom(
            false,
            Severity::Extreme,
        ))),
        opened(effect("linked", "cause")),
        linked(Some("other")),
        linked(None),
        linked(Some("cause")),
        parts("dark-1", "cause", Severity::Moderate),
        parts("dark-2", "cause", Severity::Moderate),
        parts("dark-3", "cause", Severity::Severe),
        parts("dark-4", "told-before", Severity::Moderate),
        shelved(incident("cause"), Some(at(4642))),
        opened(effect("while-shelved", "cause")),
        shelved(incident("cause"), None),
        by_person(shelved(incident("cause"), Some(at(4642)))),
        by_person(shelved(incident("cause"), None)),
        cleared(incident("cause")),
        cleared(incident("cause")),
        cleared(effect("unseen", "cause")),
        opened(incident("other")),
        opened(incident("twin")),
        opened(effect("of-twin", "twin")),
        opened(effect("known-twin", "other")),
        opened(incident("joins")),
        merged("joins", "known-twin"),
        merged("twin", "other"),
        dismissed,
        opened(effect("after-dismissal", "other")),
        opened(incident("later")),
        opened(effect("undone", "later")),
        by_person(told(Verdict::IncidentRated(effect("undone", "later")))),
        cleared(incident("later")),
    ];
    let last = parts("dark-5", "told-before", Severity::Moderate);
    story.push(last);
    for (decision, seq) in story.iter_mut().zip(1..) {
        (decision.seq, decision.at) = (seq, at(seq));
    }
    // It parts later than what is one call with the one before.
    let later = story.last_mut().expect("there are some");
    later.at = at(600);
    story
}

#[test]
fn golden_messages() {
    let lines = every_message().join("\n") + "\n";
    expect_file!["../tests/golden/messages.jsonl"].assert_eq(&lines);
}

/// What a session tells of a story, and the picture at its end: `store.js` must come to the same.
#[tokio::test(flavor = "multi_thread")]
async fn golden_story() {
    let mut options = WindowOptions::new("j-5k2m".into(), Token::new("t"), Arc::new(|| at(30)));
    options.beat_every = Duration::from_secs(3600);
    options.readings_every = Duration::from_millis(1);
    let window = Window::new(options).0;
    let mut story = publish(DecisionHash::default(), story());
    let later = story.split_off(3);
    window.release(story);
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let shared = window.shared();
    tokio::spawn(async move {
        let socket = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        crate::session::run(&shared, socket).await;
    });
    let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    client
        .send(Message::text(r#"{"type":"hello"}"#))
        .await
        .unwrap();
    let mut messages = Vec::new();
    let mut hear = async || {
        let message = client.next().await.unwrap().unwrap();
        messages.push(serde_json::from_str::<Value>(&message.into_text().unwrap()).unwrap());
    };
    hear().await;
    hear().await;
    for chunk in later.chunks(4) {
        window.release(chunk.to_vec());
        hear().await;
    }
    window.sample(vec![Sample::clone(&sample())]);
    hear().await;
    let picture = window.shared().kept.picture().await.snapshot();
    let picture: Value = serde_json::from_str(&picture).unwrap();
    let golden = serde_json::json!({"messages": messages, "picture": picture});
    let golden = serde_json::to_string_pretty(&golden).unwrap() + "\n";
    expect_file!["../tests/golden/story.json"].assert_eq(&golden);
}

fn story() -> Vec<Decision> {
    let seen = |name| IncidentState {
        handling: Handling::Acknowledged,
        ..incident(name)
    };
    let acknowledged = |seq, name| {
        let verdict = Verdict::IncidentAcknowledged(seen(name));
        let cause = cause_of(&verdict);
        Decision {
            cause,
            ..examples::decision(seq, verdict)
        }
    };
    let over = |name| IncidentState {
        condition: Condition::Cleared,
        ..seen(name)
    };
    vec![
        examples::opened(1, "a"),
        examples::silent(2, "wl-1"),
        examples::opened(3, "b"),
        examples::updated(4, "a"),
        examples::rose(5, "a"),
        examples::silent(6, "wl-2"),
        examples::merged(7, "b", "a"),
        acknowledged(8, "a"),
        examples::returned(9, "wl-1"),
        examples::opened(10, "c"),
        acknowledged(11, "c"),
        examples::decision(12, Verdict::IncidentCleared(over("c"))),
        examples::cleared(13, "a"),
        examples::reopened(14, "a"),
        examples::updated(15, "never-opened-here"),
        examples::decision(16, Verdict::RulesChanged(BundleHash([0xb5; 32]))),
        commanded(17, CommandChange::Sent, "gate-7"),
        commanded(18, CommandChange::Sent, "gate-8"),
        commanded(19, CommandChange::Confirmed, "gate-7"),
        examples::decision(20, late_word_of_an_older_command("gate-7")),
        examples::opened(21, "d"),
        handled(22, Step::Confirm, "d", Handling::New, Handling::Confirmed),
        examples::decision(
            23,
            Verdict::IncidentCleared(handled_as("d", Handling::Confirmed, true)),
        ),
        handled(
            24,
            Step::Resolve,
            "d",
            Handling::Confirmed,
            Handling::Resolved,
        ),
        examples::opened(25, "e"),
        examples::decision(26, escalated("e")),
        handled(
            27,
            Step::Dismiss(Dismissal::Test),
            "e",
            Handling::New,
            DISMISSED,
        ),
        examples::opened(28, "f"),
        handled(
            29,
            Step::Dismiss(Dismissal::Test),
            "f",
            Handling::New,
            DISMISSED,
        ),
        handled(30, Step::Undo, "f", DISMISSED, Handling::New),
        quiet(31, SuppressionChange::Started, "q-1"),
        quiet(32, SuppressionChange::Started, "q-2"),
        quiet(33, SuppressionChange::Updated, "q-2"),
        examples::decision(34, shelved("f", Some(at(4642)))),
        quiet(35, SuppressionChange::Ended, "q-1"),
        examples::decision(36, suppressed("f", true)),
    ]
}

const DISMISSED: Handling = Handling::Dismissed(Dismissal::Test);

fn handled_as(name: &str, handling: Handling, over: bool) -> IncidentState {
    IncidentState {
        handling,
        condition: if over {
            Condition::Cleared
        } else {
            Condition::Active
        },
        ..incident(name)
    }
}

fn handled(seq: u64, step: Step, name: &str, before: Handling, after: Handling) -> Decision {
    let over = step == Step::Resolve;
    let verdict = Verdict::IncidentHandled {
        step,
        before,
        incident: handled_as(name, after, over),
    };
    let cause = cause_of(&verdict);
    Decision {
        cause,
        ..examples::decision(seq, verdict)
    }
}

fn escalated(name: &str) -> Verdict {
    Verdict::IncidentEscalated(IncidentState {
        escalated: Some(Tier::ShiftSupervisor),
        ..incident(name)
    })
}

fn quiet(seq: u64, change: SuppressionChange, request: &str) -> Decision {
    examples::decision(seq, examples::suppression_of(change, request))
}

fn shelved(name: &str, shelved_until: Option<Timestamp>) -> Verdict {
    Verdict::IncidentShelved(IncidentState {
        shelved_until,
        ..incident(name)
    })
}

fn suppressed(name: &str, suppressed: bool) -> Verdict {
    Verdict::IncidentSuppressed(IncidentState {
        parent: Some(id("a")),
        suppressed,
        ..incident(name)
    })
}

fn commanded(seq: u64, change: CommandChange, actuator: &str) -> Decision {
    examples::decision(seq, examples::command_of(change, actuator, "r-1"))
}

fn late_word_of_an_older_command(actuator: &str) -> Verdict {
    examples::command_of(CommandChange::AnsweredLate, actuator, "r-0")
}

/// The JSON examples of the page.
fn examples_of_the_page() -> Vec<Value> {
    let blocks = PAGE.split("```json\n").skip(1);
    blocks
        .map(|block| {
            let json = block.split("```").next().unwrap();
            serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"))
        })
        .collect()
}

#[test]
fn each_golden_example_stands_in_the_page() {
    let shown = examples_of_the_page();
    let decisions = every_type();
    let decisions = decisions
        .iter()
        .map(|each| serde_json::from_slice(&decision_json(each)).unwrap());
    let messages = every_message();
    let messages = messages
        .iter()
        .map(|text| serde_json::from_str(text).unwrap());
    for example in decisions.chain(messages) {
        let example: Value = example;
        assert!(
            shown.contains(&example),
            "docs/PROTOCOL.md does not show {example:#}"
        );
    }
}

#[test]
fn each_word_of_the_protocol_stands_in_the_page() {
    let decisions = every_type();
    let types = decisions.iter().map(|decision| decision.verdict.word());
    let severities = Severity::ALL.iter().map(|each| each.word());
    let codes = CloseCode::ALL.iter().map(|code| code.word());
    let refusals = RefusalCode::ALL.iter().map(|code| code.word());
    let reasons = [
        SnapshotReason::First,
        SnapshotReason::EpochChanged,
        SnapshotReason::HashDiffers,
        SnapshotReason::TooOld,
        SnapshotReason::Ahead,
        SnapshotReason::Behind,
    ];
    let reasons = reasons.iter().map(|reason| reason.word());
    let progress = Progress::ALL.iter().map(|each| each.word());
    let answers = AnswerWord::ALL.iter().map(|each| each.word());
    let effects = EffectClass::ALL.iter().map(|each| each.word());
    let handlings = Handling::ALL.iter().map(|each| each.word());
    let reasons_of_dismissal = Dismissal::ALL.iter().map(|each| each.word());
    let tiers = Tier::ALL.iter().map(|each| each.word());
    let actions = crate::handling::ACTIONS.iter().copied();
    let actions = actions.chain(crate::suppressions::ACTIONS);
    let hows = How::ALL.iter().map(|each| each.word());
    let endings = Ending::ALL.iter().map(|each| each.word());
    let words = types
        .chain(progress)
        .chain(answers)
        .chain(effects)
        .chain(handlings)
        .chain(reasons_of_dismissal)
        .chain(tiers)
        .chain(actions)
        .chain(hows)
        .chain(endings)
        .chain(severities)
        .chain(codes)
        .chain(refusals)
        .chain(reasons);
    for word in words {
        assert!(
            PAGE.contains(&format!("`{word}`")),
            "docs/PROTOCOL.md does not explain {word}"
        );
    }
    for code in CloseCode::ALL {
        let number = (code as u16).to_string();
        assert!(
            PAGE.contains(&number),
            "docs/PROTOCOL.md does not list {number}"
        );
    }
}

#[test]
fn each_member_of_the_examples_is_explained() {
    fn members<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    found.insert(name);
                    members(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| members(value, found)),
            _ => {}
        }
    }
    let shown = examples_of_the_page();
    let mut found = BTreeSet::new();
    shown
        .iter()
        .for_each(|example| members(example, &mut found));
    for member in found {
        let explained = PAGE.contains(&format!("`{member}`"));
        assert!(
            explained,
            "docs/PROTOCOL.md does not explain the member {member}"
        );
    }
}
