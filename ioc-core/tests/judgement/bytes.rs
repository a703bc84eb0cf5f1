//! The bytes of records and decisions: what is written reads back, damage is an error and never a
//! panic, and the format does not change by accident.

use expect_test::expect_file;
use ioc_core::decision::{
    About, Answer, AnswerWord, Cause, Certainty, CommandChange, CommandState, Condition,
    Confirmation, Decision, DecisionHash, EffectClass, Evidence, Far, FaultKind, Handling,
    IncidentState, Named, Network, Progress, Refusal, RefusalCode, SensorFault, SensorState,
    Severity, SiteBy, SiteState, Step, Tier, Verdict, Way,
};
use ioc_core::decision::{Ending, How, Matcher, SuppressionChange, SuppressionState, Target};
use ioc_core::folded::Folded;
use ioc_core::id::{CommandKey, IncidentId, SuppressionId};
use ioc_core::place::Position;
use ioc_core::reading::{Attributes, AttributesBuffer, Reading};
use ioc_core::record::{
    Action, Adopted, Ask, BuildHash, BundleHash, ClockKind, Command, DeadLetter, Effect,
    EffectNews, Input, Open, Operate, Quieted, Record, Replayed, Resuppress, Said, Skip, Started,
    Suppress,
};
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn position() -> impl Strategy<Value = Position> {
    let degrees = (-180_000_000..=180_000_000i32, -90_000_000..=90_000_000i32);
    degrees.prop_map(|(lon, lat)| Position::from_micro_degrees(lon, lat).unwrap())
}

fn incident_id() -> impl Strategy<Value = IncidentId> {
    any::<u64>().prop_map(|bits| IncidentId::from_bits(bits >> 14).unwrap())
}

fn key() -> impl Strategy<Value = CommandKey> {
    any::<u128>().prop_map(|bits| CommandKey::from_bits(bits >> 28).unwrap())
}

fn any_of<T: Copy + std::fmt::Debug>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

/// The owned parts of an input, which borrows.
#[derive(Debug, Clone)]
enum Parts {
    Reading {
        texts: [String; 4],
        times: (Timestamp, Option<Timestamp>),
        value: f64,
        position: Option<Position>,
        attributes: AttributesBuffer,
    },
    DeadLetter {
        texts: [String; 7],
        payload: Vec<u8>,
        payload_bytes: u32,
    },
    Command {
        request: String,
        actor: String,
        incident: IncidentId,
    },
    About {
        /// The request, the actor, the sources, what is said.
        texts: [String; 4],
        incident: IncidentId,
        ask: Ask,
    },
    Open {
        /// The request, the actor, the kind, what is said.
        texts: [String; 4],
        said: Said,
    },
    Folded {
        texts: [String; 3],
        left_out: u32,
        times: (Timestamp, Timestamp),
        values: [f64; 3],
    },
    Operate {
        /// The request, the actor, the actuator, the command, the parameters.
        texts: [String; 5],
        not_after: Option<Timestamp>,
        replaces: Option<CommandKey>,
    },
    Answered {
        key: CommandKey,
        device: String,
        word: AnswerWord,
        detail: String,
    },
    Suppress {
        /// The request, the actor, the sensor, the zone, the kind, the rule, the reason.
        texts: [String; 7],
        incident: Option<IncidentId>,
        until: Timestamp,
        out_of_service: bool,
    },
    Resuppress {
        /// The request, the actor, what is said.
        texts: [String; 3],
        suppression: SuppressionId,
        until: Option<Timestamp>,
    },
    Other(Input<'static>),
}

impl Parts {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Reading {
                texts: [id, sensor, kind, unit],
                times: (observed_at, received_at),
                value,
                position,
                attributes,
            } => Input::Reading(Reading {
                id,
                sensor,
                kind,
                observed_at: *observed_at,
                received_at: *received_at,
                value: *value,
                unit,
                position: *position,
                attributes: attributes.as_attributes(),
            }),
            Self::DeadLetter {
                texts: [source, topic, reason, detail, place, content_type, event],
                payload,
                payload_bytes,
            } => Input::DeadLetter(DeadLetter {
                source,
                topic,
                reason,
                detail,
                payload,
                payload_bytes: *payload_bytes,
                place,
                content_type,
                event,
            }),
            Self::Command {
                request,
                actor,
                incident,
            } => Input::Command(Command {
                request,
                actor,
                action: Action::Acknowledge(*incident),
            }),
            Self::About {
                texts: [request, actor, sources, note],
                incident,
                ask,
            } => Input::Command(Command {
                request,
                actor,
                action: Action::About {
                    incident: *incident,
                    ask: *ask,
                    sources,
                    note,
                },
            }),
            Self::Open {
                texts: [request, actor, kind, note],
                said,
            } => Input::Command(Command {
                request,
                actor,
                action: Action::Open(Open {
                    kind,
                    said: *said,
                    note,
                }),
            }),
            Self::Folded {
                texts: [sensor, kind, unit],
                left_out,
                times: (from, to),
                values: [min, last, max],
            } => Input::Folded(Folded {
                sensor,
                kind,
                unit,
                left_out: *left_out,
                from: *from,
                to: *to,
                min: *min,
                max: *max,
                last: *last,
            }),
            Self::Operate {
                texts: [request, actor, actuator, command, parameters],
                not_after,
                replaces,
            } => Input::Command(Command {
                request,
                actor,
                action: Action::Operate(Operate {
                    actuator,
                    command,
                    parameters,
                    not_after: *not_after,
                    replaces: *replaces,
                }),
            }),
            Self::Answered {
                key,
                device,
                word,
                detail,
            } => Input::Effect(Effect {
                key: *key,
                news: EffectNews::Answered {
                    device,
                    word: *word,
                    detail,
                },
            }),
            Self::Suppress {
                texts: [request, actor, sensor, zone, kind, rule, reason],
                incident,
                until,
                out_of_service,
            } => {
                let detections = if *out_of_service {
                    [sensor.as_str(), "", "", ""]
                } else {
                    [sensor.as_str(), zone, kind, rule]
                };
                let [sensor, zone, kind, rule] = detections;
                let incident = incident.filter(|_| !out_of_service);
                let target = match incident {
                    Some(incident) => Quieted::Incident(incident),
                    None => Quieted::Detections {
                        sensor,
                        zone,
                        kind,
                        rule,
                    },
                };
                Input::Command(Command {
                    request,
                    actor,
                    action: Action::Suppress(Suppress {
                        how: if *out_of_service {
                            How::OutOfService
                        } else {
                            How::Shelved
                        },
                        target,
                        until: *until,
                        reason,
                    }),
                })
            }
            Self::Resuppress {
                texts: [request, actor, note],
                suppression,
                until,
            } => Input::Command(Command {
                request,
                actor,
                action: Action::Resuppress {
                    suppression: *suppression,
                    what: until.map_or(Resuppress::End, Resuppress::Until),
                    note,
                },
            }),
            Self::Other(input) => *input,
        }
    }
}

fn reading_parts() -> impl Strategy<Value = Parts> {
    let texts = [
        "[ -~é]{1,60}",
        "[A-Za-z0-9._:@-]{1,128}",
        "[a-z0-9_]{1,64}",
        "[ -~°]{0,16}",
    ];
    let times = (time(), prop::option::of(time()));
    let value = any::<f64>().prop_filter("finite", |value| value.is_finite());
    let attributes = prop::collection::vec((".{0,20}", ".{0,40}"), 0..5);
    let fields = (
        texts,
        times,
        value,
        prop::option::of(position()),
        attributes,
    );
    fields.prop_map(|(texts, times, value, position, named)| {
        let mut attributes = AttributesBuffer::default();
        for (name, value) in named {
            attributes.push(&name, &value).unwrap();
        }
        Parts::Reading {
            texts,
            times,
            value,
            position,
            attributes,
        }
    })
}

fn folded_parts() -> impl Strategy<Value = Parts> {
    let texts = ["[A-Za-z0-9._:@-]{1,128}", "[a-z0-9_]{1,64}", "[ -~°]{0,16}"];
    let value = || any::<f64>().prop_filter("finite", |value| value.is_finite());
    let values = [value(), value(), value()];
    let fields = (texts, 1..=u32::MAX, (time(), time()), values);
    fields.prop_map(|(texts, left_out, (one, other), mut values)| {
        values.sort_by(f64::total_cmp);
        Parts::Folded {
            texts,
            left_out,
            times: (one.min(other), one.max(other)),
            values,
        }
    })
}

fn said() -> impl Strategy<Value = Said> {
    let parts = (
        any_of(Severity::ALL),
        any_of(Certainty::ALL),
        prop::option::of(position()),
    );
    parts.prop_map(|(severity, certainty, position)| Said {
        severity,
        certainty,
        position,
    })
}

fn about_parts() -> impl Strategy<Value = Parts> {
    let ask = prop_oneof![
        any_of(Step::ALL).prop_map(Ask::Step),
        any_of(Severity::ALL).prop_map(Ask::Rate),
        Just(Ask::AllClear),
        said().prop_map(Ask::Report),
        incident_id().prop_map(Ask::Merge),
        Just(Ask::Split),
        incident_id().prop_map(Ask::Move),
        prop::option::of(incident_id()).prop_map(Ask::Link),
    ];
    let texts = [
        "[A-Za-z0-9._:@-]{1,64}",
        "[ -~]{1,64}",
        "[a-z0-9\n]{0,40}",
        ".{0,40}",
    ];
    let about = (texts, incident_id(), ask);
    about.prop_map(|(texts, incident, ask)| Parts::About {
        texts,
        incident,
        ask,
    })
}

fn open_parts() -> impl Strategy<Value = Parts> {
    let texts = [
        "[A-Za-z0-9._:@-]{1,64}",
        "[ -~]{1,64}",
        "[a-z0-9_]{1,64}",
        ".{0,40}",
    ];
    (texts, said()).prop_map(|(texts, said)| Parts::Open { texts, said })
}

fn suppression_id() -> impl Strategy<Value = SuppressionId> {
    any::<u64>().prop_map(|bits| SuppressionId::from_bits(bits >> 14).unwrap())
}

fn suppress_parts() -> impl Strategy<Value = Parts> {
    let texts = [
        "[A-Za-z0-9._:@-]{1,64}",
        "[ -~]{1,64}",
        "[A-Za-z0-9._:@-]{1,128}",
        "[ -~]{0,64}",
        "[a-z0-9_]{0,64}",
        "[a-z0-9_-]{0,64}",
        ".{1,40}",
    ];
    let parts = (
        texts,
        prop::option::of(incident_id()),
        time(),
        any::<bool>(),
    );
    parts.prop_map(|(texts, incident, until, out_of_service)| Parts::Suppress {
        texts,
        incident,
        until,
        out_of_service,
    })
}

fn resuppress_parts() -> impl Strategy<Value = Parts> {
    let texts = ["[A-Za-z0-9._:@-]{1,64}", "[ -~]{1,64}", ".{0,40}"];
    let parts = (texts, suppression_id(), prop::option::of(time()));
    parts.prop_map(|(texts, suppression, until)| Parts::Resuppress {
        texts,
        suppression,
        until,
    })
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let texts = (
        "[A-Za-z0-9._:@-]{1,128}",
        prop::option::of("[ -~]{1,64}"),
        prop::option::of("[a-z0-9_]{1,64}"),
        prop::option::of("[a-z0-9_-]{1,64}"),
    );
    texts.prop_map(|(sensor, zone, kind, rule)| Matcher {
        sensor: Some(sensor.parse().unwrap()),
        zone: zone.map(|zone| zone.parse().unwrap()),
        kind: kind.map(|kind| kind.parse().unwrap()),
        rule: rule.map(|rule| rule.parse().unwrap()),
    })
}

fn suppression_state() -> impl Strategy<Value = SuppressionState> {
    let target = prop_oneof![
        matcher().prop_map(Target::Detections),
        incident_id().prop_map(Target::Incident),
    ];
    let counted = prop::collection::vec(("[A-Za-z0-9._:@-]{1,128}", any::<u32>()), 0..4);
    let parts = (
        (suppression_id(), any_of(How::ALL), target),
        ("[ -~]{1,64}", ".{1,40}"),
        prop::option::of("[a-z0-9_-]{1,64}"),
        [time(), time()],
        any::<[u64; 2]>(),
        counted,
        prop::option::of(any_of(Ending::ALL)),
    );
    parts.prop_map(
        |((id, how, target), (by, reason), window, times, counts, sensors, ended)| {
            SuppressionState {
                id,
                how,
                target,
                by: by.parse().unwrap(),
                reason: reason.into(),
                window: window.map(|window| window.parse().unwrap()),
                from: times[0],
                until: times[1],
                detections: counts[0],
                let_through: counts[1],
                sensors: sensors
                    .into_iter()
                    .map(|(sensor, count)| (sensor.parse().unwrap(), count))
                    .collect(),
                ended,
            }
        },
    )
}

fn parts() -> impl Strategy<Value = Parts> {
    let letter = (
        [
            ".{0,40}", ".{0,40}", ".{0,40}", ".{0,80}", ".{0,3}", ".{0,3}", ".{0,3}",
        ],
        prop::collection::vec(any::<u8>(), 0..200),
        any::<u32>(),
    );
    let letter = letter.prop_map(|(texts, payload, payload_bytes)| Parts::DeadLetter {
        texts,
        payload,
        payload_bytes,
    });
    let command = ("[A-Za-z0-9._:@-]{1,64}", "[ -~]{1,64}", incident_id());
    let command = command.prop_map(|(request, actor, incident)| Parts::Command {
        request,
        actor,
        incident,
    });
    let operate = (
        [
            "[A-Za-z0-9._:@-]{1,64}",
            "[ -~]{1,64}",
            "[A-Za-z0-9._:@-]{1,128}",
            "[a-z0-9_-]{1,64}",
            ".{0,40}",
        ],
        prop::option::of(time()),
        prop::option::of(key()),
    );
    let operate = operate.prop_map(|(texts, not_after, replaces)| Parts::Operate {
        texts,
        not_after,
        replaces,
    });
    let answered = (
        key(),
        "[A-Za-z0-9._:@-]{1,128}",
        any_of(AnswerWord::ALL),
        ".{0,40}",
    );
    let answered = answered.prop_map(|(key, device, word, detail)| Parts::Answered {
        key,
        device,
        word,
        detail,
    });
    let effect = key().prop_map(|key| {
        let news = EffectNews::Started;
        Parts::Other(Input::Effect(Effect { key, news }))
    });
    let clock = prop_oneof![
        Just(ClockKind::System),
        any::<u32>().prop_map(ClockKind::Scaled),
        Just(ClockKind::Readings),
    ];
    let started = (prop::option::of(time()), time(), any::<[u8; 32]>(), clock);
    let started = started.prop_map(|(down_from, down_to, build, clock)| {
        Parts::Other(Input::Started(Started {
            down_from,
            down_to,
            build: BuildHash(build),
            clock,
        }))
    });
    let skipped = (any::<u64>(), any::<[u8; 32]>(), any::<u64>());
    let skipped = skipped.prop_map(|(seq, record, released)| {
        Parts::Other(Input::Skipped(Skip {
            seq,
            record,
            released,
        }))
    });
    let adopted = (any::<u64>(), any::<u64>(), any::<[u8; 32]>());
    let adopted = adopted.prop_map(|(from, to, build)| {
        let build = BuildHash(build);
        Parts::Other(Input::Adopted(Adopted { from, to, build }))
    });
    let replayed = any::<u64>();
    let replayed = replayed.prop_map(|letter| Parts::Other(Input::Replayed(Replayed { letter })));
    let reload = any::<[u8; 32]>().prop_map(|hash| Parts::Other(Input::Reload(BundleHash(hash))));
    prop_oneof![
        reading_parts(),
        folded_parts(),
        about_parts(),
        open_parts(),
        letter,
        command,
        operate,
        answered,
        effect,
        started,
        skipped,
        adopted,
        replayed,
        reload,
        suppress_parts(),
        resuppress_parts(),
        Just(Parts::Other(Input::Tick)),
    ]
}

prop_compose! {
    fn incident_state()(
        id in incident_id(),
        severity in any_of(Severity::ALL),
        certainty in any_of(Certainty::ALL),
        condition in any_of(Condition::ALL),
        (handling, escalated) in (any_of(Handling::ALL), prop::option::of(any_of(Tier::ALL))),
        position in prop::option::of(position()),
        radius_m in any::<u32>(),
        opened_at in time(),
        (episode, sensors, readings) in any::<(u32, u32, u64)>(),
        parent in prop::option::of(incident_id()),
        (shelved_until, explained) in (prop::option::of(time()), any::<bool>()),
    ) -> IncidentState {
        IncidentState {
            id, kind: "flood".parse().unwrap(), severity, certainty, condition, handling, position,
            radius_m, zone: "_".parse().unwrap(), opened_at, episode, sensors, readings, parent,
            escalated, shelved_until, suppressed: explained && parent.is_some(),
        }
    }
}

prop_compose! {
    fn sensor_state()(
        id in "[A-Za-z0-9._:@-]{1,128}", position in prop::option::of(position()), at in time(),
    ) -> SensorState {
        SensorState {
            id: id.parse().unwrap(),
            kind: "water_level".parse().unwrap(),
            position,
            zone: "z 21".parse().unwrap(),
            last_heard_at: at,
        }
    }
}

fn site_state() -> impl Strategy<Value = SiteState> {
    let site = (
        "[a-z]{1,128}",
        any_of(SiteBy::ALL),
        any::<u32>(),
        any::<u32>(),
        prop::option::of("[a-z]{1,64}"),
    );
    site.prop_map(|(id, by, silent, sensors, explained_by)| SiteState {
        id,
        by,
        zone: "z 21".parse().unwrap(),
        silent,
        sensors,
        explained_by: explained_by.map(|rule| rule.parse().unwrap()),
    })
}

fn sensor_fault() -> impl Strategy<Value = SensorFault> {
    let fault = (any_of(FaultKind::ALL), any::<bool>());
    fault.prop_map(|(kind, distrusted)| SensorFault { kind, distrusted })
}

prop_compose! {
    fn evidence()(
        reading in "[ -~]{1,200}", seq in any::<u64>(), sensor in "[A-Za-z0-9._:@-]{1,128}",
        value in any::<f64>().prop_filter("finite", |value| value.is_finite()),
        distance_m in prop::option::of(any::<u32>()),
        through in prop::option::of("[A-Za-z0-9._:@-]{1,128}"),
    ) -> Evidence {
        Evidence {
            reading: reading.parse().unwrap(),
            seq,
            sensor: sensor.parse().unwrap(),
            rule: "river-high".parse().unwrap(),
            value,
            distance_m,
            through: through.map(|node| node.parse().unwrap()),
        }
    }
}

prop_compose! {
    fn command_state()(
        key in key(),
        texts in ("[A-Za-z0-9._:@-]{1,128}", "[a-z0-9_-]{1,64}", ".{0,40}", "[ -~]{1,64}"),
        effect in any_of(EffectClass::ALL),
        progress in any_of(Progress::ALL),
        times in [time(), time(), time()],
        confirmed_by in prop::option::of("[A-Za-z0-9._:@-]{1,128}"),
        answer in prop::option::of((any_of(AnswerWord::ALL), ".{0,40}", any::<u64>())),
        shown in prop::option::of(("[ -~]{1,200}", -1e9..1e9f64, any::<u64>())),
    ) -> CommandState {
        CommandState {
            key,
            actuator: texts.0.parse().unwrap(),
            zone: "z 21".parse().unwrap(),
            command: texts.1.parse().unwrap(),
            parameters: texts.2.into(),
            effect,
            progress,
            ordered_by: texts.3.parse().unwrap(),
            ordered_at: times[0],
            not_after: times[1],
            outcome_by: times[2],
            confirmed_by: confirmed_by.map(|sensor| sensor.parse().unwrap()),
            answer: answer.map(|(word, detail, seq)| {
                let detail = detail.into();
                Answer { word, detail, seq }
            }),
            confirmation: shown.map(|(reading, value, seq)| {
                let reading = reading.parse().unwrap();
                Confirmation { reading, value, seq }
            }),
        }
    }
}

fn named() -> impl Strategy<Value = Named> {
    let source = ("[A-Za-z0-9._:@-]{1,128}", prop::option::of("[ -~]{1,200}"));
    let sources = prop::collection::vec(source, 0..4);
    (sources, any::<u32>()).prop_map(|(sources, count)| Named {
        first: sources
            .into_iter()
            .map(|(sensor, report)| {
                let report = report.map(|report| report.parse().unwrap());
                (sensor.parse().unwrap(), report)
            })
            .collect(),
        count,
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let standing = (incident_id(), any_of(Handling::ALL), any_of(Condition::ALL));
    let about = prop_oneof![
        incident_id().prop_map(About::Incident),
        standing.prop_map(|(incident, handling, condition)| About::Standing {
            incident,
            handling,
            condition,
        }),
        "[a-z_]{1,64}".prop_map(|kind| About::Kind(kind.parse().unwrap())),
        "[A-Za-z0-9._:@-]{1,128}".prop_map(|id| About::Actuator(id.parse().unwrap())),
        suppression_id().prop_map(About::Suppression),
    ];
    let refusal = (any_of(RefusalCode::ALL), about);
    prop_oneof![
        incident_state().prop_map(Verdict::IncidentOpened),
        incident_state().prop_map(Verdict::IncidentUpdated),
        (incident_state(), incident_id())
            .prop_map(|(incident, into)| Verdict::IncidentMerged { incident, into }),
        incident_state().prop_map(Verdict::IncidentCleared),
        incident_state().prop_map(Verdict::IncidentUnknown),
        incident_state().prop_map(Verdict::IncidentReopened),
        incident_state().prop_map(Verdict::IncidentLinked),
        incident_state().prop_map(Verdict::IncidentAcknowledged),
        incident_state().prop_map(Verdict::IncidentEscalated),
        incident_state().prop_map(Verdict::IncidentRated),
        (incident_state(), incident_id(), named()).prop_map(|(incident, from, moved)| {
            Verdict::IncidentSplit {
                incident,
                from,
                moved,
            }
        }),
        (incident_state(), incident_id(), named()).prop_map(|(incident, from, moved)| {
            Verdict::IncidentEvidenceMoved {
                incident,
                from,
                moved,
            }
        }),
        (any_of(Step::ALL), any_of(Handling::ALL), incident_state()).prop_map(
            |(step, before, incident)| Verdict::IncidentHandled {
                step,
                before,
                incident
            }
        ),
        sensor_state().prop_map(Verdict::SensorSilent),
        sensor_state().prop_map(Verdict::SensorReturned),
        (sensor_state(), sensor_fault())
            .prop_map(|(sensor, fault)| Verdict::SensorFaulty(sensor, fault)),
        (sensor_state(), sensor_fault())
            .prop_map(|(sensor, fault)| Verdict::SensorSound(sensor, fault)),
        site_state().prop_map(Verdict::SiteSilent),
        site_state().prop_map(Verdict::SiteReturned),
        any::<[u8; 32]>().prop_map(|hash| Verdict::RulesChanged(BundleHash(hash))),
        refusal.prop_map(|(code, about)| Verdict::CommandRefused(Refusal { code, about })),
        (any_of(CommandChange::ALL), command_state())
            .prop_map(|(change, command)| Verdict::Command(change, Box::new(command))),
        incident_state().prop_map(Verdict::IncidentShelved),
        incident_state().prop_map(Verdict::IncidentSuppressed),
        (any_of(SuppressionChange::ALL), suppression_state())
            .prop_map(|(change, state)| Verdict::Suppression(change, Box::new(state))),
    ]
}

prop_compose! {
    fn way()(
        along in any_of(Network::ALL), from in "[A-Za-z0-9._:@-]{1,128}",
        to in "[A-Za-z0-9._:@-]{1,128}", is_metres in any::<bool>(), far in any::<u32>(),
        lag in 0..=i64::MAX,
    ) -> Way {
        let far = if is_metres { Far::Metres(far) } else { Far::Steps(far) };
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Way { along, from, to, far, lag: Millis(lag) }
    }
}

prop_compose! {
    fn decision()(
        seq in any::<u64>(), at in time(), verdict in verdict(),
        ruled in any::<bool>(), evidence in prop::collection::vec(evidence(), 0..4),
        due in prop::option::of(time()),
        request in prop::option::of(("[A-Za-z0-9._:@-]{1,64}", "[ -~]{1,64}")),
        note in ".{0,60}",
        way in prop::option::of(way()),
    ) -> Decision {
        let rule = ruled.then(|| "floods".parse().unwrap());
        let request = request.map(|(id, actor)| (id.parse().unwrap(), actor.parse().unwrap()));
        let note = note.into();
        let way = way.map(Box::new);
        Decision { seq, at, verdict, cause: Cause { rule, evidence, due, request, note, way } }
    }
}

proptest! {
    #[test]
    fn an_input_reads_back_as_it_was_written(parts in parts(), at in time()) {
        let input = parts.input();
        let mut bytes = Vec::new();
        input.encode(&mut bytes);
        prop_assert_eq!(Input::decode(&bytes), Ok(input));
        let mut framed = Vec::new();
        Record::frame(at, &bytes, &mut framed);
        framed.push(7);
        let record = Record { seq: 3, at, input };
        prop_assert_eq!(Record::unframe(3, &framed), Ok((record, &[7][..])));
    }

    #[test]
    fn a_decision_reads_back_as_it_was_written(decision in decision()) {
        let mut bytes = Vec::new();
        decision.encode(&mut bytes);
        prop_assert_eq!(Decision::decode(&bytes), Ok(decision));
    }

    #[test]
    fn damaged_inputs_are_errors_and_whatever_reads_writes_the_same(
        parts in parts(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        parts.input().encode(&mut bytes);
        let cut = &bytes[..cut.index(bytes.len())];
        if let Ok(whole) = Input::decode(cut) {
            // What most dead letters do not have takes no room in them: without that one is another.
            prop_assert!(matches!(whole, Input::DeadLetter(_)));
            let mut again = Vec::new();
            whole.encode(&mut again);
            prop_assert_eq!(&again[..], cut);
        }
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(input) = Input::decode(&bytes) {
            let mut again = Vec::new();
            input.encode(&mut again);
            prop_assert_eq!(Input::decode(&again), Ok(input));
        }
        let _ = Record::unframe(1, &bytes);
    }

    #[test]
    fn damaged_decisions_are_errors(
        decision in decision(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        decision.encode(&mut bytes);
        prop_assert!(Decision::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = Decision::decode(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Input::decode(&bytes);
        let _ = Record::unframe(1, &bytes);
        let _ = Decision::decode(&bytes);
    }
}

#[test]
fn what_cannot_have_been_folded_is_an_error() {
    let attributes = AttributesBuffer::default();
    let Some(Input::Folded(folded)) = example_inputs(&attributes).pop() else {
        panic!("it is the last example");
    };
    let mut whole = Vec::new();
    Input::Folded(folded).encode(&mut whole);
    let damaged = |place: usize, bytes: &[u8]| {
        let mut damaged = whole.clone();
        damaged[place..place + bytes.len()].copy_from_slice(bytes);
        Input::decode(&damaged).is_err()
    };
    assert!(!damaged(0, &whole));
    // After the tag and three lengths: how many, from, to, the least, the greatest, the last.
    assert!(damaged(4, &[0; 4]), "nothing was left out");
    assert!(
        damaged(8, &i64::MAX.to_le_bytes()),
        "it ends before it begins"
    );
    assert!(
        damaged(24, &2.6f64.to_le_bytes()),
        "the least is more than the last"
    );
    assert!(
        damaged(32, &2.4f64.to_le_bytes()),
        "the greatest is less than the last"
    );
    assert!(damaged(32, &f64::INFINITY.to_le_bytes()));
    assert!(damaged(40, &f64::NAN.to_le_bytes()));
}

#[test]
fn a_count_that_no_bytes_follow_is_an_error_at_once() {
    // Four thousand million pieces of evidence, claimed by a decision that holds none.
    let mut bytes = Vec::new();
    example_decision(Verdict::RulesChanged(BundleHash([0; 32]))).encode(&mut bytes);
    let count = bytes.len() - 4 - 1 - 1;
    bytes[count..count + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Decision::decode(&bytes).is_err());
}

fn example_decision(verdict: Verdict) -> Decision {
    Decision {
        seq: 1042,
        at: "2026-03-14T06:46:02.120Z".parse().unwrap(),
        verdict,
        cause: Cause::default(),
    }
}

fn example_incident() -> IncidentState {
    IncidentState {
        id: IncidentId::derive(&["flood", "wl-0412", "e5c1"]),
        kind: "flood".parse().unwrap(),
        severity: Severity::Severe,
        certainty: Certainty::Observed,
        condition: Condition::Active,
        handling: Handling::New,
        position: Position::from_degrees(101.6396, 3.1317),
        radius_m: 420,
        zone: "z21".parse().unwrap(),
        opened_at: "2026-03-14T06:46:02.120Z".parse().unwrap(),
        episode: 1,
        sensors: 2,
        readings: 2,
        parent: None,
        escalated: None,
        shelved_until: None,
        suppressed: false,
    }
}

fn example_inputs(attributes: &AttributesBuffer) -> Vec<Input<'_>> {
    let at: Timestamp = "2026-03-14T06:45:10.933Z".parse().unwrap();
    vec![
        Input::Reading(Reading {
            id: "e5c1",
            sensor: "wl-0412",
            kind: "water_level",
            observed_at: at,
            received_at: Some(at),
            value: 3.72,
            unit: "m",
            position: Position::from_degrees(101.6953, 3.1466),
            attributes: attributes.as_attributes(),
        }),
        Input::DeadLetter(DeadLetter {
            source: "mqtt:wl",
            topic: "ioc/v1/readings/wl-0412",
            reason: "value_missing",
            detail: "value is null",
            payload: b"{\"value\":null}",
            payload_bytes: 14,
            ..DeadLetter::default()
        }),
        Input::DeadLetter(DeadLetter {
            source: "http",
            topic: "hydro/north",
            reason: "unit_unknown",
            detail: "/gauges/1: \"furlong\"",
            payload: b"[1,2]",
            payload_bytes: 5,
            place: "/gauges/1",
            content_type: "application/json",
            ..DeadLetter::default()
        }),
        Input::DeadLetter(DeadLetter {
            source: "nats",
            topic: "pumps",
            reason: "value_missing",
            detail: "value is null",
            payload: b"{}",
            payload_bytes: 2,
            event: r#"{"id":"7","source":"/pumps","specversion":"1.0"}"#,
            ..DeadLetter::default()
        }),
        Input::Command(Command {
            request: "r-1",
            actor: "console",
            action: Action::Acknowledge(example_incident().id),
        }),
        Input::Reload(BundleHash([0xb0; 32])),
        Input::Tick,
        Input::Started(Started {
            down_from: Some(at),
            down_to: at,
            build: BuildHash([0xbd; 32]),
            clock: ClockKind::Scaled(60),
        }),
        Input::Skipped(Skip {
            seq: 981,
            record: [0x5c; 32],
            released: 976,
        }),
        Input::Adopted(Adopted {
            from: 977,
            to: 1037,
            build: BuildHash([0xbe; 32]),
        }),
        Input::Command(Command {
            request: "r-2",
            actor: "console",
            action: Action::Operate(Operate {
                actuator: "gate-7",
                command: "close",
                parameters: r#"{"speed":3}"#,
                not_after: Some(at),
                replaces: Some(CommandKey::derive(&["gate-7", "r-1"])),
            }),
        }),
        Input::Effect(Effect {
            key: CommandKey::derive(&["gate-7", "r-2"]),
            news: EffectNews::Started,
        }),
        Input::Effect(Effect {
            key: CommandKey::derive(&["gate-7", "r-2"]),
            news: EffectNews::Answered {
                device: "gate-7",
                word: AnswerWord::Failed,
                detail: "the motor is blocked",
            },
        }),
        Input::Replayed(Replayed { letter: 983 }),
        Input::Command(Command {
            request: "r-3",
            actor: "console",
            action: Action::Suppress(Suppress {
                how: How::Shelved,
                target: Quieted::Detections {
                    sensor: "wl-0412",
                    zone: "z21",
                    kind: "water_level",
                    rule: "river-high",
                },
                until: at,
                reason: "the weir is cleaned",
            }),
        }),
        Input::Command(Command {
            request: "r-4",
            actor: "console",
            action: Action::Suppress(Suppress {
                how: How::Shelved,
                target: Quieted::Incident(example_incident().id),
                until: at,
                reason: "everybody knows",
            }),
        }),
        Input::Command(Command {
            request: "r-5",
            actor: "console",
            action: Action::Resuppress {
                suppression: SuppressionId::derive(&["r-3"]),
                what: Resuppress::Until(at),
                note: "it takes longer",
            },
        }),
        Input::Command(Command {
            request: "r-6",
            actor: "console",
            action: Action::Resuppress {
                suppression: SuppressionId::derive(&["r-3"]),
                what: Resuppress::End,
                note: "",
            },
        }),
        Input::Reread(Reading {
            id: "e2",
            sensor: "wl-0412",
            kind: "water_level",
            observed_at: at,
            received_at: None,
            value: 3.72,
            unit: "m",
            position: None,
            attributes: Attributes::default(),
        }),
        Input::Folded(Folded {
            sensor: "wl-0412",
            kind: "water_level",
            unit: "m",
            left_out: 17,
            from: at,
            to: at + Millis::seconds(19),
            min: 1.25,
            max: 3.72,
            last: 2.5,
        }),
    ]
}

fn example_command() -> CommandState {
    let at: Timestamp = "2026-03-14T06:46:02.120Z".parse().unwrap();
    CommandState {
        key: CommandKey::derive(&["gate-7", "r-2"]),
        actuator: "gate-7".parse().unwrap(),
        zone: "z21".parse().unwrap(),
        command: "close".parse().unwrap(),
        parameters: r#"{"speed":3}"#.into(),
        effect: EffectClass::AtMostOnce,
        progress: Progress::Confirmed,
        ordered_by: "console".parse().unwrap(),
        ordered_at: at,
        not_after: at,
        outcome_by: at,
        confirmed_by: Some("gate-7-shut".parse().unwrap()),
        answer: Some(Answer {
            word: AnswerWord::Done,
            detail: "shut".into(),
            seq: 1043,
        }),
        confirmation: Some(Confirmation {
            reading: "e9".parse().unwrap(),
            value: 1.0,
            seq: 1044,
        }),
    }
}

fn example_suppression(change: SuppressionChange) -> Verdict {
    let at: Timestamp = "2026-03-14T06:46:02.120Z".parse().unwrap();
    let matcher = Matcher {
        sensor: Some("wl-0412".parse().unwrap()),
        zone: Some("z21".parse().unwrap()),
        kind: Some("water_level".parse().unwrap()),
        rule: Some("river-high".parse().unwrap()),
    };
    let state = SuppressionState {
        id: SuppressionId::derive(&["r-3"]),
        how: How::Shelved,
        target: Target::Detections(matcher),
        by: "console".parse().unwrap(),
        reason: "the weir is cleaned".into(),
        window: None,
        from: at,
        until: at + Millis::minutes(60),
        detections: 2,
        let_through: 1,
        sensors: vec![("wl-0412".parse().unwrap(), 2)],
        ended: (change == SuppressionChange::Ended).then_some(Ending::Expired),
    };
    Verdict::Suppression(change, Box::new(state))
}

fn example_decisions() -> Vec<Decision> {
    let incident = example_incident();
    let sensor = SensorState {
        id: "wl-0412".parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        position: incident.position,
        zone: "_".parse().unwrap(),
        last_heard_at: incident.opened_at,
    };
    let mut opened = example_decision(Verdict::IncidentOpened(incident.clone()));
    opened.cause.rule = Some("floods".parse().unwrap());
    opened.cause.evidence.push(Evidence {
        reading: "e5c1".parse().unwrap(),
        seq: 981,
        sensor: sensor.id.clone(),
        rule: "river-high".parse().unwrap(),
        value: 3.72,
        distance_m: Some(350),
        through: None,
    });
    let mut acknowledged = example_decision(Verdict::IncidentAcknowledged(incident.clone()));
    acknowledged.cause.request = Some(("r-1".parse().unwrap(), "console".parse().unwrap()));
    let mut cleared = example_decision(Verdict::IncidentCleared(incident.clone()));
    cleared.cause.due = Some(cleared.at);
    let refusal = |code, about| Verdict::CommandRefused(Refusal { code, about });
    let of_incident = About::Incident(incident.id);
    let of_actuator = About::Actuator("gate-7".parse().unwrap());
    let command = |change| Verdict::Command(change, Box::new(example_command()));
    let mut decisions = vec![
        opened,
        example_decision(Verdict::IncidentUpdated(incident.clone())),
        example_decision(Verdict::IncidentMerged {
            into: IncidentId::derive(&["other"]),
            incident: incident.clone(),
        }),
        cleared,
        example_decision(Verdict::IncidentUnknown(incident.clone())),
        example_decision(Verdict::IncidentReopened(incident.clone())),
        acknowledged,
        example_decision(Verdict::SensorSilent(sensor.clone())),
        example_decision(Verdict::SensorReturned(sensor.clone())),
        example_decision(Verdict::RulesChanged(BundleHash([0xb0; 32]))),
        example_decision(refusal(RefusalCode::AlreadyAcknowledged, of_incident)),
        example_decision(refusal(RefusalCode::AlreadyPending, of_actuator)),
        example_decision(Verdict::IncidentLinked(IncidentState {
            parent: Some(IncidentId::derive(&["other"])),
            ..incident
        })),
    ];
    let changes = CommandChange::ALL.iter().copied();
    decisions.extend(changes.map(|change| example_decision(command(change))));
    let fault = |kind, distrusted| SensorFault { kind, distrusted };
    let flapping = fault(FaultKind::Flapping, true);
    decisions.push(example_decision(Verdict::SensorFaulty(
        sensor.clone(),
        flapping,
    )));
    let sound = fault(FaultKind::Skewed, false);
    decisions.push(example_decision(Verdict::SensorSound(sensor, sound)));
    let changes = SuppressionChange::ALL.iter().copied();
    decisions.extend(changes.map(|change| example_decision(example_suppression(change))));
    let shelved = example_incident();
    let shelved_until = Some(shelved.opened_at + Millis::minutes(60));
    decisions.push(example_decision(Verdict::IncidentShelved(IncidentState {
        shelved_until,
        ..shelved
    })));
    decisions.push(example_decision(refusal(
        RefusalCode::MatchesNothing,
        About::Suppression(SuppressionId::derive(&["r-3"])),
    )));
    let site = SiteState {
        id: "gw-0007".into(),
        by: SiteBy::Gateway,
        zone: "z21".parse().unwrap(),
        silent: 44,
        sensors: 60,
        explained_by: Some("feeder-dead".parse().unwrap()),
    };
    decisions.push(example_decision(Verdict::SiteSilent(site.clone())));
    decisions.push(example_decision(Verdict::SiteReturned(site)));
    for suppressed in [true, false] {
        decisions.push(example_decision(Verdict::IncidentSuppressed(
            IncidentState {
                parent: Some(IncidentId::derive(&["other"])),
                suppressed,
                ..example_incident()
            },
        )));
    }
    decisions.extend([Far::Steps(2), Far::Metres(420)].map(|far| {
        let mut linked = example_decision(Verdict::IncidentLinked(IncidentState {
            parent: Some(IncidentId::derive(&["other"])),
            ..example_incident()
        }));
        linked.cause.way = Some(Box::new(Way {
            along: match far {
                Far::Steps(_) => Network::FlowsTo,
                Far::Metres(_) => Network::River,
            },
            from: "wl-0407".parse().unwrap(),
            to: "wl-0412".parse().unwrap(),
            far,
            lag: match far {
                Far::Steps(_) => Millis::minutes(20),
                Far::Metres(_) => Millis::ZERO,
            },
        }));
        linked
    }));
    decisions
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line each: what it is, then its bytes.
fn check_bytes(lines: impl Iterator<Item = (String, Vec<u8>)>, golden: &expect_test::ExpectFile) {
    let lines: String = lines
        .map(|(name, bytes)| format!("{name} {}\n", hex(&bytes)))
        .collect();
    golden.assert_eq(&lines);
}

#[test]
fn the_bytes_of_records_do_not_change() {
    let mut attributes = AttributesBuffer::default();
    attributes.push("basin", "upper").unwrap();
    let inputs = example_inputs(&attributes);
    let lines = inputs.iter().map(|input| {
        let (mut bytes, mut framed) = (Vec::new(), Vec::new());
        input.encode(&mut bytes);
        Record::frame(
            Timestamp::from_millis(1_773_470_710_933),
            &bytes,
            &mut framed,
        );
        let name = format!("{input:?}");
        (name.split(['(', ' ']).next().unwrap().to_owned(), framed)
    });
    check_bytes(lines, &expect_file!["../golden/records.hex"]);
}

#[test]
fn the_bytes_of_decisions_do_not_change() {
    let decisions = example_decisions();
    let mut hash = DecisionHash::default();
    let mut lines: Vec<_> = decisions
        .iter()
        .map(|decision| {
            let mut bytes = Vec::new();
            decision.encode(&mut bytes);
            hash = hash.after(&bytes);
            (decision.verdict.word().to_owned(), bytes)
        })
        .collect();
    lines.push(("hash_of_all".to_owned(), hash.0.to_vec()));
    check_bytes(lines.into_iter(), &expect_file!["../golden/decisions.hex"]);
}
