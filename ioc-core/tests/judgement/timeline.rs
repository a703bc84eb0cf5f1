//! Text in, text out: the language of the scenario tests.
//!
//! A line is a time of the day (a later day as `8d 09:25`; again and again as `10:00-11:00/5`, in
//! minutes), then one of
//! - a sensor and its value, then `kind=`, `at=EAST,NORTH` in metres, `id=`, `observed=`, or any
//!   attribute: `09:25 river-1 3.2 observed=09:20`
//! - `folded SENSOR` and its values, a second apart up to this time, as the door folds them
//! - `ack INCIDENT by=PERSON request=ID`, where an incident is named as in what is decided
//! - `do ACTION INCIDENT by=PERSON request=ID note=WORD`, with `reason=` of a dismissal,
//!   `severity=`, `certainty=`, `at=EAST,NORTH`, `other=INCIDENT`, `sources=A,B`; and `open KIND`
//!   with the same
//! - `order ACTUATOR COMMAND by=PERSON request=ID within=SECONDS replaces=yes`, `sent ACTUATOR` when
//!   the executor is about to send its last command, and `answer ACTUATOR WORD detail=TEXT
//!   device=OTHER` when its device answers that
//! - `shelve` with `sensor=`, `zone=`, `kind=`, `rule=` or `incident=`, `for=MINUTES`, `by=PERSON`,
//!   `reason=WORD`; `out_of_service SENSOR` with the same; `extend WHAT for=MINUTES` and
//!   `end WHAT`, where what is kept quiet is named as in what is decided: `quiet#1`
//! - `reload NAME` of a bundle, `started after=TIME` (when it was last alive), or `tick`.
//!
//! What is decided reads the same way: `09:25 opened flood#1 severe: river-1 3.9`. Evidence is in
//! the order it is named, with the distance to what was there before, or the node of a network by
//! which it belongs to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::Expect;
use ioc_core::bundle::Bundle;
use ioc_core::decision::{About, AnswerWord, Certainty, CommandChange, CommandState, Condition};
use ioc_core::decision::{Decision, Dismissal, Handling, IncidentState, Severity, Step, Verdict};
use ioc_core::decision::{Far, How, SuppressionChange, SuppressionState, Target, Way};
use ioc_core::id::{CommandKey, IncidentId, SuppressionId};
use ioc_core::load::Load;
use ioc_core::reading::{AttributesBuffer, Reading};
use ioc_core::record::{
    Action, Ask, BuildHash, ClockKind, Command, Effect, EffectNews, Input, Open, Operate, Quieted,
    Resuppress, Said, Started, Suppress,
};
use ioc_core::rules::BY_PERSON;
use ioc_core::time::{Millis, Timestamp};

use crate::support::{History, MIDNIGHT, Manner, metres};

/// Runs a timeline under a bundle and compares what is decided, however it is run.
pub fn check_with(bundle: &Arc<Bundle>, timeline: &str, expected: &Expect) {
    check_reloading(&[("first", bundle)], timeline, expected);
}

/// The same, with bundles that the timeline reloads. The first holds from the beginning.
pub fn check_reloading(bundles: &[(&str, &Arc<Bundle>)], timeline: &str, expected: &Expect) {
    expected.assert_eq(&run(bundles, timeline));
}

/// The history that a timeline tells, under the first bundle from the beginning.
pub fn history(bundles: &[(&str, &Arc<Bundle>)], timeline: &str) -> History {
    let mut history = History::new(Arc::clone(bundles[0].1));
    let lines = timeline
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let mut lines: Vec<_> = lines.flat_map(repeated).collect();
    lines.sort_by_key(|(at, _)| *at);
    for ((at, line), number) in lines.into_iter().zip(1..) {
        push_line(&mut history, bundles, at, line, number);
    }
    history
}

/// Runs a timeline; returns what is decided, a line each.
pub fn run(bundles: &[(&str, &Arc<Bundle>)], timeline: &str) -> String {
    run_as(bundles, timeline, describe)
}

/// The same, of what is linked to a cause along a network alone: the way from there.
pub fn ways(bundle: &Arc<Bundle>, timeline: &str) -> String {
    run_as(&[("first", bundle)], timeline, |decision, names| {
        let text = describe(decision, names);
        let Some(way) = &decision.cause.way else {
            return String::new();
        };
        let far = match way.far {
            Far::Steps(steps) => format!("{steps} steps"),
            Far::Metres(metres) => format!("{metres} m"),
        };
        let Way {
            from, to, along, ..
        } = &**way;
        let lag = match way.lag {
            Millis::ZERO => String::new(),
            lag => format!(", {} s", lag.0 / 1000),
        };
        format!("{text} [{} {from} > {to}, {far}{lag}]", along.word())
    })
}

/// The same, of what an operator is called by alone.
pub fn calls(bundle: &Arc<Bundle>, timeline: &str) -> String {
    let mut load = Load::default();
    run_as(&[("first", bundle)], timeline, |decision, names| {
        let text = describe(decision, names);
        if load.take(decision) {
            text
        } else {
            String::new()
        }
    })
}

fn run_as(
    bundles: &[(&str, &Arc<Bundle>)],
    timeline: &str,
    mut tell: impl FnMut(&Decision, &mut Names) -> String,
) -> String {
    let history = history(bundles, timeline);
    let outcome = history.run(&Manner::plain());
    let together = Manner {
        shards: 3,
        batches: vec![usize::MAX],
        restarts: Vec::new(),
    };
    assert_eq!(
        outcome,
        history.run(&together),
        "three shards and one batch tell otherwise"
    );
    let restarted = Manner {
        restarts: (0..200).map(|after| (after, 1 + after % 3)).collect(),
        ..Manner::plain()
    };
    assert_eq!(
        outcome,
        history.run(&restarted),
        "a restart after every record tells otherwise"
    );
    let mut names = Names::default();
    let mut text = String::new();
    for decision in &outcome.decisions[1..] {
        let line = tell(decision, &mut names);
        if !line.is_empty() {
            writeln!(text, "{line}").unwrap();
        }
    }
    text
}

/// The times that a line gives, each with the rest of it.
fn repeated(line: &str) -> Vec<(Timestamp, &str)> {
    let (day, rest) = match line.split_once("d ") {
        Some((day, rest)) if day.bytes().all(|byte| byte.is_ascii_digit()) => (day, rest),
        _ => ("0", line),
    };
    let (time, rest) = rest
        .split_once(' ')
        .unwrap_or_else(|| panic!("{line}: who?"));
    let day = Millis(day.parse::<i64>().unwrap() * 86_400_000);
    let Some((from, to)) = time.split_once('-') else {
        return vec![(instant(time) + day, rest)];
    };
    let (to, step) = to.split_once('/').unwrap();
    let (to, step) = (instant(to), Millis::minutes(step.parse().unwrap()));
    let times = std::iter::successors(Some(instant(from)), |at| Some(*at + step));
    let times = times.take_while(|at| *at <= to);
    times.map(|at| (at + day, rest)).collect()
}

fn push_line(
    history: &mut History,
    bundles: &[(&str, &Arc<Bundle>)],
    at: Timestamp,
    line: &str,
    number: usize,
) {
    let words: Vec<_> = line.split_whitespace().collect();
    let (subject, words) = words.split_first().unwrap();
    match *subject {
        "tick" => history.push(at, &Input::Tick),
        "folded" => push_folded(history, at, words, number),
        "ack" => push_ack(history, at, words),
        "do" => push_about(history, at, words, number),
        "open" => push_open(history, at, words, number),
        "order" => push_order(history, at, words),
        "sent" => push_effect(history, at, words[0], EffectNews::Started),
        "answer" => push_answer(history, at, words),
        "shelve" => push_suppress(history, at, words, number, How::Shelved),
        "out_of_service" => push_suppress(history, at, words, number, How::OutOfService),
        "extend" | "end" => push_resuppress(history, at, words, number),
        "reload" => {
            let named = bundles.iter().find(|(name, _)| *name == words[0]);
            history.reload(at, Arc::clone(named.unwrap().1));
        }
        "started" => push_started(history, at, words),
        sensor => push_reading(history, at, sensor, words, number),
    }
}

/// The value of `NAME=`.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let mut options = words.iter().filter_map(|word| word.split_once('='));
    options
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

fn instant(text: &str) -> Timestamp {
    let mut parts = text.split(':').map(|part| part.parse::<f64>().unwrap());
    let mut next = || parts.next().unwrap_or(0.0);
    let seconds = next() * 3600.0 + next() * 60.0 + next();
    MIDNIGHT + Millis((seconds * 1000.0) as i64)
}

fn push_reading(history: &mut History, at: Timestamp, sensor: &str, words: &[&str], number: usize) {
    let registered_kind = kind_of(history, sensor);
    let kind = option(words, "kind").map(str::to_owned).or(registered_kind);
    let position = option(words, "at").map(|text| {
        let (east, north) = text.split_once(',').unwrap();
        metres(east.parse().unwrap(), north.parse().unwrap())
    });
    let mut attributes = AttributesBuffer::default();
    for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
        if !["kind", "at", "id", "observed"].contains(&name) {
            // What stands between blanks in a text stands between them in a line, too.
            attributes.push(name, &value.replace('+', " ")).unwrap();
        }
    }
    let id = format!("line-{number}");
    let reading = Reading {
        id: option(words, "id").unwrap_or(&id),
        sensor,
        kind: &kind.expect("an unregistered sensor's kind is given"),
        observed_at: option(words, "observed").map_or(at, instant),
        received_at: None,
        value: words[0].parse().unwrap(),
        unit: "",
        position,
        attributes: attributes.as_attributes(),
    };
    history.push(at, &Input::Reading(reading));
}

fn push_folded(history: &mut History, at: Timestamp, words: &[&str], number: usize) {
    let (sensor, values) = words.split_first().unwrap();
    let kind = kind_of(history, sensor).expect("a sensor that is registered");
    let values: Vec<f64> = values.iter().map(|word| word.parse().unwrap()).collect();
    let ids = format!("line-{number}");
    history.fold(at, (*sensor, kind.as_str()), &ids, &values);
}

/// The kind that a sensor is registered with.
fn kind_of(history: &History, sensor: &str) -> Option<String> {
    let mut registered = history.bundles.last().unwrap().city.sensors.iter();
    let registered = registered.find(|own| own.id.as_str() == sensor);
    registered.map(|own| own.kind.to_string())
}

/// Acknowledges the incident that is named `KIND#N` by what was decided so far.
fn push_ack(history: &mut History, at: Timestamp, words: &[&str]) {
    let id = incident_named(history, words[0]);
    let command = Command {
        request: option(words, "request").unwrap_or("request"),
        actor: option(words, "by").unwrap_or("console"),
        action: Action::Acknowledge(id),
    };
    history.push(at, &Input::Command(command));
}

/// The incident that is named so by what was decided so far.
fn incident_named(history: &History, wanted: &str) -> IncidentId {
    let mut names = Names::default();
    for decision in history.run(&Manner::plain()).decisions {
        if let Some(incident) = decision.verdict.incident() {
            names.of(incident);
        }
    }
    let id = names.0.iter().find(|(_, name)| *name == wanted);
    id.map_or(IncidentId::derive(&[wanted]), |(id, _)| *id)
}

/// A person's word on something that is wrong.
fn said(words: &[&str]) -> Said {
    let severity = option(words, "severity").map(|word| Severity::from_word(word).unwrap());
    let certainty = option(words, "certainty").map(|word| Certainty::from_word(word).unwrap());
    Said {
        severity: severity.unwrap_or(Severity::Unknown),
        certainty: certainty.unwrap_or(Certainty::Likely),
        position: option(words, "at").map(|text| {
            let (east, north) = text.split_once(',').unwrap();
            metres(east.parse().unwrap(), north.parse().unwrap())
        }),
    }
}

fn push_about(history: &mut History, at: Timestamp, words: &[&str], number: usize) {
    let reason = option(words, "reason").unwrap_or("false_alarm");
    let reason = Dismissal::from_word(reason).unwrap();
    let mut sources = option(words, "sources")
        .unwrap_or_default()
        .replace(',', "\n");
    let other = option(words, "other").map(|name| incident_named(history, name));
    let ask = match words[0] {
        "merge" => Ask::Merge(other.unwrap()),
        "split" => Ask::Split,
        "move" => Ask::Move(other.unwrap()),
        "link" => Ask::Link(other),
        "rate" => Ask::Rate(said(words).severity),
        "report" => Ask::Report(said(words)),
        "all_clear" => Ask::AllClear,
        "dismiss" => Ask::Step(Step::Dismiss(reason)),
        word => {
            let mut steps = Step::ALL.iter().filter(|step| step.word() == word);
            Ask::Step(*steps.next().unwrap_or_else(|| panic!("what is {word}?")))
        }
    };
    let action = Action::About {
        incident: incident_named(history, words[1]),
        ask,
        sources: &std::mem::take(&mut sources),
        note: option(words, "note").unwrap_or_default(),
    };
    push_command(history, at, words, number, action);
}

/// Something is to be kept quiet, for an hour unless it is said.
fn push_suppress(history: &mut History, at: Timestamp, words: &[&str], number: usize, how: How) {
    let name = |name| option(words, name).unwrap_or_default();
    let target = match (how, option(words, "incident")) {
        (_, Some(incident)) => Quieted::Incident(incident_named(history, incident)),
        (How::OutOfService, None) => Quieted::Detections {
            sensor: words[0],
            zone: "",
            kind: "",
            rule: "",
        },
        (_, None) => Quieted::Detections {
            sensor: name("sensor"),
            zone: name("zone"),
            kind: name("kind"),
            rule: name("rule"),
        },
    };
    let action = Action::Suppress(Suppress {
        how,
        target,
        until: at + minutes(words),
        reason: option(words, "reason").unwrap_or("works"),
    });
    push_command(history, at, words, number, action);
}

/// What is said by `for=MINUTES`; an hour if nothing is.
fn minutes(words: &[&str]) -> Millis {
    let minutes = option(words, "for").unwrap_or("60");
    Millis((minutes.parse::<f64>().unwrap() * 60_000.0) as i64)
}

fn push_resuppress(history: &mut History, at: Timestamp, words: &[&str], number: usize) {
    let what = match option(words, "for") {
        Some(_) => Resuppress::Until(at + minutes(words)),
        None => Resuppress::End,
    };
    let mut quiet = Quiet::default();
    let wanted = words[0];
    for decision in history.run(&Manner::plain()).decisions {
        if let Some(state) = decision.verdict.suppression() {
            quiet.of(state.id);
        }
    }
    let id = quiet.0.iter().find(|id| quiet.name(**id) == wanted);
    let action = Action::Resuppress {
        suppression: id.copied().unwrap_or(SuppressionId::derive(&[wanted])),
        what,
        note: option(words, "note").unwrap_or_default(),
    };
    push_command(history, at, words, number, action);
}

fn push_open(history: &mut History, at: Timestamp, words: &[&str], number: usize) {
    let action = Action::Open(Open {
        kind: words[0],
        said: said(words),
        note: option(words, "note").unwrap_or_default(),
    });
    push_command(history, at, words, number, action);
}

fn push_command(
    history: &mut History,
    at: Timestamp,
    words: &[&str],
    number: usize,
    action: Action<'_>,
) {
    let request = format!("line-{number}");
    let command = Command {
        request: option(words, "request").unwrap_or(&request),
        actor: option(words, "by").unwrap_or("ana"),
        action,
    };
    history.push(at, &Input::Command(command));
}

fn push_order(history: &mut History, at: Timestamp, words: &[&str]) {
    let within = option(words, "within").map(|seconds| Millis::seconds(seconds.parse().unwrap()));
    let replaces = option(words, "replaces").map(|_| key_of(history, words[0]));
    let command = Command {
        request: option(words, "request").unwrap_or("request"),
        actor: option(words, "by").unwrap_or("ana"),
        action: Action::Operate(Operate {
            actuator: words[0],
            command: words[1],
            parameters: "",
            not_after: within.map(|within| at + within),
            replaces,
        }),
    };
    history.push(at, &Input::Command(command));
}

fn push_answer(history: &mut History, at: Timestamp, words: &[&str]) {
    let news = EffectNews::Answered {
        device: option(words, "device").unwrap_or(words[0]),
        word: AnswerWord::from_word(words[1]).unwrap(),
        detail: option(words, "detail").unwrap_or_default(),
    };
    push_effect(history, at, words[0], news);
}

fn push_effect(history: &mut History, at: Timestamp, actuator: &str, news: EffectNews<'_>) {
    let key = key_of(history, actuator);
    history.push(at, &Input::Effect(Effect { key, news }));
}

/// The key of the last command that an actuator was sent so far.
fn key_of(history: &History, actuator: &str) -> CommandKey {
    let decisions = history.run(&Manner::plain()).decisions;
    let commands = decisions
        .iter()
        .filter_map(|decision| decision.verdict.command());
    let own = commands.filter(|command| command.actuator.as_str() == actuator);
    let last = own.max_by_key(|command| command.ordered_at);
    last.map_or(CommandKey::derive(&[]), |command| command.key)
}

fn push_started(history: &mut History, at: Timestamp, words: &[&str]) {
    let started = Started {
        down_from: option(words, "after").map(instant),
        down_to: at,
        build: BuildHash([7; 32]),
        clock: ClockKind::System,
    };
    history.push(at, &Input::Started(started));
}

/// Names for what is kept quiet, by the order in which it begins: `quiet#1`.
#[derive(Default)]
struct Quiet(Vec<SuppressionId>);

impl Quiet {
    fn of(&mut self, id: SuppressionId) -> String {
        if !self.0.contains(&id) {
            self.0.push(id);
        }
        self.name(id)
    }

    fn name(&self, id: SuppressionId) -> String {
        let place = self.0.iter().position(|own| *own == id);
        place.map_or(String::new(), |place| format!("quiet#{}", place + 1))
    }
}

/// What is kept quiet: what it fits, until when, and how much it was.
fn describe_suppression(
    change: SuppressionChange,
    state: &SuppressionState,
    names: &Names,
    text: &mut String,
) {
    match &state.target {
        Target::Incident(id) => write!(text, " {}", names.0[id]).unwrap(),
        Target::Detections(matcher) => {
            let names = [
                matcher.sensor.as_ref().map(|own| own.as_str()),
                matcher.zone.as_ref().map(|own| own.as_str()),
                matcher.kind.as_ref().map(|own| own.as_str()),
                matcher.rule.as_ref().map(|own| own.as_str()),
            ];
            let names: Vec<_> = names.into_iter().flatten().collect();
            write!(text, " {}", names.join(" ")).unwrap();
        }
    }
    match (change, state.ended) {
        (SuppressionChange::Ended, ending) => {
            write!(text, ": {}", ending.unwrap().word()).unwrap();
        }
        _ => write!(text, " {} until {}", state.how.word(), clock(state.until)).unwrap(),
    }
    if change == SuppressionChange::Started {
        write!(text, " for {} of {}", state.reason, state.by).unwrap();
    }
    if state.detections > 0 {
        let sensors = state.sensors.iter();
        let sensors: Vec<_> = sensors.map(|(id, count)| format!("{id} {count}")).collect();
        write!(text, ", {} kept: {}", state.detections, sensors.join(", ")).unwrap();
    }
    if state.let_through > 0 {
        write!(text, ", {} let through", state.let_through).unwrap();
    }
}

/// Names for incidents, by the order in which each kind's appear: `flood#1`.
#[derive(Default)]
struct Names(BTreeMap<IncidentId, String>, Quiet);

impl Names {
    fn of(&mut self, incident: &IncidentState) -> String {
        let kind = incident.kind.as_str();
        let known = self
            .0
            .values()
            .filter(|name| name.starts_with(kind))
            .count();
        let name = self.0.entry(incident.id);
        name.or_insert_with(|| format!("{kind}#{}", known + 1))
            .clone()
    }
}

fn describe(decision: &Decision, names: &mut Names) -> String {
    let mut text = format!("{} ", clock(decision.at));
    let verb = decision.verdict.word();
    let verb = verb.strip_prefix("incident_").unwrap_or(verb);
    match &decision.verdict {
        Verdict::IncidentMerged { incident, into } => {
            let into = names
                .0
                .get(into)
                .cloned()
                .unwrap_or_else(|| into.to_string());
            write!(text, "{verb} {} into {into}", names.of(incident)).unwrap();
        }
        Verdict::IncidentSplit {
            incident,
            from,
            moved,
        }
        | Verdict::IncidentEvidenceMoved {
            incident,
            from,
            moved,
        } => {
            let from = names.0[from].clone();
            write!(text, "{verb} {}", names.of(incident)).unwrap();
            describe_incident(incident, &decision.verdict, &mut text);
            let moved: Vec<_> = moved.words().collect();
            write!(text, " from {from}: {}", moved.join(", ")).unwrap();
        }
        Verdict::IncidentOpened(incident)
        | Verdict::IncidentUpdated(incident)
        | Verdict::IncidentCleared(incident)
        | Verdict::IncidentUnknown(incident)
        | Verdict::IncidentReopened(incident)
        | Verdict::IncidentLinked(incident)
        | Verdict::IncidentHandled { incident, .. }
        | Verdict::IncidentEscalated(incident)
        | Verdict::IncidentRated(incident)
        | Verdict::IncidentShelved(incident)
        | Verdict::IncidentSuppressed(incident)
        | Verdict::IncidentAcknowledged(incident) => {
            write!(text, "{verb} {}", names.of(incident)).unwrap();
            describe_incident(incident, &decision.verdict, &mut text);
            describe_handling(incident, &decision.verdict, &mut text);
            describe_parent(incident, &decision.verdict, names, &mut text);
        }
        Verdict::SensorSilent(sensor) | Verdict::SensorReturned(sensor) => {
            let heard = clock(sensor.last_heard_at);
            write!(text, "{verb} {} last heard {heard}", sensor.id).unwrap();
        }
        Verdict::SensorFaulty(sensor, fault) | Verdict::SensorSound(sensor, fault) => {
            let verb = verb.strip_prefix("sensor_").unwrap_or(verb);
            write!(text, "{verb} {} {}", sensor.id, fault.kind.word()).unwrap();
            if fault.distrusted {
                text.push_str(" distrusted");
            }
        }
        Verdict::SiteSilent(site) | Verdict::SiteReturned(site) => {
            let (by, id) = (site.by.word(), &site.id);
            write!(
                text,
                "{verb} {by} {id}: {} of {}",
                site.silent, site.sensors
            )
            .unwrap();
            if let Some(rule) = &site.explained_by {
                write!(text, ", explained by {rule}").unwrap();
            }
        }
        Verdict::RulesChanged(_) => text.push_str(verb),
        Verdict::CommandRefused(refusal) => {
            write!(text, "{verb} {}", refusal.code.word()).unwrap();
            match &refusal.about {
                About::Incident(_) => {}
                About::Actuator(actuator) => write!(text, " {actuator}").unwrap(),
                About::Kind(kind) => write!(text, " {kind}").unwrap(),
                About::Suppression(_) => {}
                About::Standing {
                    incident,
                    handling,
                    condition,
                } => {
                    let name = &names.0[incident];
                    let (handling, condition) = (handling.word(), condition.word());
                    write!(text, " {name} {handling} {condition}").unwrap();
                }
            }
        }
        Verdict::Command(_, command) => describe_command(verb, command, &mut text),
        Verdict::Suppression(change, state) => {
            write!(text, "{verb} {}", names.1.of(state.id)).unwrap();
            describe_suppression(*change, state, names, &mut text);
        }
    }
    if let Some((_, actor)) = &decision.cause.request {
        write!(text, " by {actor}").unwrap();
    }
    if !decision.cause.note.is_empty() {
        write!(text, " \"{}\"", decision.cause.note).unwrap();
    }
    describe_evidence(decision, &mut text);
    text
}

/// A command: what it has come to, what its device says and what its sensor shows.
fn describe_command(verb: &str, command: &CommandState, text: &mut String) {
    write!(text, "{verb} {} {}", command.actuator, command.command).unwrap();
    if verb == CommandChange::Sent.word() {
        let (not_after, outcome_by) = (clock(command.not_after), clock(command.outcome_by));
        write!(text, " until {not_after}, outcome by {outcome_by}").unwrap();
    }
    if verb == CommandChange::AnsweredLate.word() {
        let answer = command.answer.as_ref().unwrap();
        write!(
            text,
            " {} after {}",
            answer.word.word(),
            command.progress.word()
        )
        .unwrap();
    }
    if let Some(answer) = command
        .answer
        .as_ref()
        .filter(|answer| !answer.detail.is_empty())
    {
        write!(text, " \"{}\"", answer.detail).unwrap();
    }
    if let Some(shown) = &command.confirmation {
        let sensor = command.confirmed_by.as_ref().unwrap();
        write!(text, ": {sensor} {}", shown.value).unwrap();
    }
    if command.needs_person() {
        text.push_str(", a person takes over");
    }
}

/// What is worth reading of an incident: what this verdict does not say already.
fn describe_incident(incident: &IncidentState, verdict: &Verdict, text: &mut String) {
    write!(text, " {}", incident.severity.word()).unwrap();
    if incident.episode > 1 {
        write!(text, " episode {}", incident.episode).unwrap();
    }
    let updated = matches!(verdict, Verdict::IncidentUpdated(_));
    if updated && incident.condition != Condition::Active {
        write!(text, " {}", incident.condition.word()).unwrap();
    }
    if incident.sensors > 1 {
        write!(text, " {} sensors", incident.sensors).unwrap();
    }
}

/// What people do about it, where that is news.
fn describe_handling(incident: &IncidentState, verdict: &Verdict, text: &mut String) {
    match verdict {
        Verdict::IncidentHandled { step, before, .. } => {
            if let Some(reason) = incident.handling.dismissal() {
                write!(text, " as {}", reason.word()).unwrap();
            }
            if *step == Step::Undo {
                write!(text, " to {}", incident.handling.word()).unwrap();
            }
            for passed in before.between(incident.handling) {
                write!(text, " without {}", passed.word()).unwrap();
            }
        }
        Verdict::IncidentEscalated(_) => {
            write!(text, " to {}", incident.escalated.unwrap().word()).unwrap();
        }
        Verdict::IncidentReopened(_) if incident.handling != Handling::New => {
            write!(text, " {}", incident.handling.word()).unwrap();
        }
        _ => {}
    }
}

/// What caused it, where that is told.
fn describe_parent(incident: &IncidentState, verdict: &Verdict, names: &Names, text: &mut String) {
    let news = matches!(
        verdict,
        Verdict::IncidentOpened(_) | Verdict::IncidentLinked(_) | Verdict::IncidentSuppressed(_)
    );
    if incident.suppressed && !matches!(verdict, Verdict::IncidentSuppressed(_)) {
        text.push_str(" suppressed");
    }
    if let Some(parent) = incident.parent.filter(|_| news) {
        write!(text, " caused by {}", names.0[&parent]).unwrap();
    }
}

fn describe_evidence(decision: &Decision, text: &mut String) {
    for (evidence, number) in decision.cause.evidence.iter().zip(0..) {
        text.push_str(if number == 0 { ": " } else { ", " });
        match evidence.rule.as_str() {
            BY_PERSON => text.push_str("a report"),
            _ => write!(text, "{} {}", evidence.sensor, evidence.value).unwrap(),
        }
        if let Some(distance_m) = evidence.distance_m.filter(|distance_m| *distance_m > 0) {
            write!(text, " {distance_m} m").unwrap();
        }
        if let Some(node) = &evidence.through {
            write!(text, " by {node}").unwrap();
        }
    }
}

/// A time of the day, with its day if it is a later one.
fn clock(at: Timestamp) -> String {
    let ms = (at - MIDNIGHT).0;
    let (day, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let mut text = String::new();
    if day != 0 {
        write!(text, "{day}d ").unwrap();
    }
    write!(text, "{:02}:{:02}", ms / 3_600_000, ms / 60_000 % 60).unwrap();
    if ms % 60_000 != 0 {
        write!(text, ":{:02}", ms / 1000 % 60).unwrap();
    }
    if ms % 1000 != 0 {
        write!(text, ".{:03}", ms % 1000).unwrap();
    }
    text
}
