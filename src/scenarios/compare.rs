//! What was expected beside what was decided.
//!
//! Arrives: a scenario, and what came of it. Leaves: [`Told`], in the order of time: what was
//! decided, what is missing of what was expected and how near it came, and what nobody wanted: an
//! incident that opens is wanted only if some line expects it or it is ignored. Next: `tell.rs`.

use std::cmp::Reverse;

use ioc_core::decision::{Decision, IncidentState, Verdict};
use ioc_core::id::IncidentId;
use ioc_core::time::Timestamp;

use super::clock;
use super::play::{Names, Played};
use super::script::{Expected, Name, Scenario, Trait, Wanted, Window};
use super::tell;
use crate::config::quantity::show_span;

/// A scenario's story with what is wrong about it.
#[derive(Debug)]
pub(super) struct Told {
    pub lines: Vec<Line>,
}

/// Something that was decided, or was not and should have been.
#[derive(Debug)]
pub(super) struct Line {
    pub at: Timestamp,
    pub mark: Mark,
    pub text: String,
    /// It is more of what has been told, and of no interest in itself.
    pub is_update: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it should be, or of no interest.
    Decided,
    /// Expected, and not decided.
    Missing,
    /// Decided, and not wanted.
    Unwanted,
}

impl Told {
    /// Whether all came as expected.
    pub fn holds(&self) -> bool {
        self.lines.iter().all(|line| line.mark == Mark::Decided)
    }
}

/// Compares what was decided with what was expected.
pub(super) fn compare(scenario: &Scenario, played: &Played) -> Told {
    let comparison = Comparison { scenario, played };
    let mut lines: Vec<Line> = Vec::new();
    for decision in &played.decisions {
        if matches!(decision.verdict, Verdict::RulesChanged(_)) {
            continue;
        }
        let reasons = comparison.unwanted(decision);
        let text = tell::decision(decision, &played.names);
        let (mark, text) = match reasons.as_slice() {
            [] => (Mark::Decided, text),
            reasons => (Mark::Unwanted, format!("{text}   ({})", reasons.join("; "))),
        };
        let at = decision.at;
        let is_update =
            mark == Mark::Decided && matches!(decision.verdict, Verdict::IncidentUpdated(_));
        lines.push(Line {
            at,
            mark,
            text,
            is_update,
        });
    }
    let wanted = scenario.expected.iter().filter(|expected| !expected.never);
    for expected in wanted {
        if !played
            .decisions
            .iter()
            .any(|it| comparison.fulfils(it, expected))
        {
            lines.push(comparison.missing(expected));
        }
    }
    lines.sort_by_key(|line| line.at);
    Told { lines }
}

struct Comparison<'a> {
    scenario: &'a Scenario,
    played: &'a Played,
}

impl Comparison<'_> {
    fn fulfils(&self, decision: &Decision, expected: &Expected) -> bool {
        expected.window.has(decision.at)
            && self.is_of(decision, expected)
            && self.unmet(decision, expected).is_empty()
    }

    /// Whether a decision is what is spoken of, whenever and however it is.
    fn is_of(&self, decision: &Decision, expected: &Expected) -> bool {
        let word = decision.verdict.word();
        match &expected.what {
            Wanted::Nothing => matches!(decision.verdict, Verdict::IncidentOpened(_)),
            Wanted::Sensor {
                sensor,
                verb,
                fault,
            } => {
                let own = decision.verdict.sensor();
                own.is_some_and(|own| own.id.as_str() == sensor)
                    && word.strip_prefix("sensor_") == Some(verb)
                    && (fault.is_none() || fault.as_deref() == fault_of(&decision.verdict))
            }
            Wanted::Site {
                site,
                verb,
                explained_by,
            } => {
                let own = decision.verdict.site();
                own.is_some_and(|own| {
                    let explained = own.explained_by.as_ref().map(ToString::to_string);
                    own.id == *site && explained_by.as_ref().is_none_or(|by| *by == explained)
                }) && word.strip_prefix("site_") == Some(verb)
            }
            Wanted::Incident { name, verb, .. } => {
                let own = decision.verdict.incident();
                let is_named = |own: &IncidentState| match expected.never && name.number.is_none() {
                    true => own.kind.as_str() == name.kind,
                    false => Some(own.id) == self.played.names.id(name),
                };
                own.is_some_and(is_named)
                    && (verb == "is" || word.strip_prefix("incident_") == Some(verb))
            }
        }
    }

    /// What is said of the incident and is not so, each as it is.
    fn unmet(&self, decision: &Decision, expected: &Expected) -> Vec<String> {
        let (Wanted::Incident { traits, .. }, Some(incident)) =
            (&expected.what, decision.verdict.incident())
        else {
            return Vec::new();
        };
        let unmet = traits.iter();
        unmet
            .filter_map(|wanted| unmet_trait(wanted, decision, incident, &self.played.names))
            .collect()
    }

    /// Why nobody wanted this decision, if so.
    fn unwanted(&self, decision: &Decision) -> Vec<String> {
        let expected = self.scenario.expected.iter();
        let forbidding = expected
            .clone()
            .filter(|expected| expected.never && self.fulfils(decision, expected));
        let mut reasons: Vec<_> = forbidding
            .map(|expected| format!("line {}: expect {}", expected.place.line, expected.text))
            .collect();
        let Verdict::IncidentOpened(incident) = &decision.verdict else {
            return reasons;
        };
        let speaks_of = |expected: &Expected| match &expected.what {
            Wanted::Incident { name, .. } => self.played.names.id(name) == Some(incident.id),
            Wanted::Nothing | Wanted::Sensor { .. } | Wanted::Site { .. } => false,
        };
        let mut ignored = self.scenario.ignored.iter();
        let is_ignored = ignored.any(|(kind, _)| kind == incident.kind.as_str());
        let is_expected = expected.filter(|expected| !expected.never).any(speaks_of);
        if reasons.is_empty() && !is_ignored && !is_expected {
            reasons.push("no line expects it".to_owned());
        }
        reasons
    }

    /// What was expected and is not there, with how near it came.
    fn missing(&self, expected: &Expected) -> Line {
        let decisions = self.played.decisions.iter();
        let of_it = decisions.filter(|decision| self.is_of(decision, expected));
        let Window { from, to } = expected.window;
        // What is as expected at another time comes nearer than what is otherwise; and how it was last.
        let nearest = of_it.min_by_key(|decision| {
            let unmet = self.unmet(decision, expected).len();
            let off = off(expected.window, decision.at).abs();
            (unmet, off, Reverse(decision.at))
        });
        let note = match nearest {
            Some(decision) => self.near_miss(decision, expected),
            None => self.never_came(expected),
        };
        let at = match (from, to) {
            (Timestamp::MIN, Timestamp::MAX) => self.played.end,
            (Timestamp::MIN, to) => to,
            (from, _) => from,
        };
        let line = expected.place.line;
        Line {
            at,
            mark: Mark::Missing,
            is_update: false,
            text: format!("line {line}: expect {}   ({note})", expected.text),
        }
    }

    fn near_miss(&self, decision: &Decision, expected: &Expected) -> String {
        let mut notes = Vec::new();
        let off = off(expected.window, decision.at);
        let at = clock::show(decision.at, self.scenario.midnight);
        match off {
            0 => notes.push(format!("at {at}")),
            late @ 1.. => notes.push(format!("at {at}, {} too late", span(late))),
            early => notes.push(format!("at {at}, {} too early", span(-early))),
        }
        notes.extend(self.unmet(decision, expected));
        notes.join("; ")
    }

    fn never_came(&self, expected: &Expected) -> String {
        let Wanted::Incident { name, verb, .. } = &expected.what else {
            return "never decided".to_owned();
        };
        match self.played.names.id(name) {
            Some(id) if verb != "opened" => {
                format!(
                    "{} {}, and no more",
                    shown(name),
                    self.told_of(id).join(", ")
                )
            }
            _ => format!("no {} opened", shown(name)),
        }
    }

    /// What was decided about an incident, other than that it goes on, each once.
    fn told_of(&self, id: IncidentId) -> Vec<&'static str> {
        let mut verbs = Vec::new();
        for decision in &self.played.decisions {
            let is_own = decision.verdict.incident().is_some_and(|own| own.id == id);
            let verb = decision.verdict.word().strip_prefix("incident_");
            let verb = verb.filter(|verb| is_own && *verb != "updated" && !verbs.contains(verb));
            verbs.extend(verb);
        }
        verbs
    }
}

/// In which way a sensor is broken, or was.
pub(super) const fn fault_of(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::SensorFaulty(_, fault) | Verdict::SensorSound(_, fault) => Some(fault.kind.word()),
        _ => None,
    }
}

fn shown(name: &Name) -> String {
    match name.number {
        None => name.kind.clone(),
        Some(number) => format!("{}#{number}", name.kind),
    }
}

/// How far an instant is from a window: negative before it. From what was written as one time, it
/// is so far from that.
fn off(window: Window, at: Timestamp) -> i64 {
    let Window { from, to } = window;
    let is_one_time = (to - from).0 < 60_000;
    match at {
        at if window.has(at) => 0,
        at if at < from || is_one_time => (at - from).0,
        at => (at - to).0,
    }
}

fn span(ms: i64) -> String {
    show_span(ioc_core::time::Millis(ms))
}

/// How an incident is, if it is not as wanted.
fn unmet_trait(
    wanted: &Trait,
    decision: &Decision,
    incident: &IncidentState,
    names: &Names,
) -> Option<String> {
    let differs = |is: &str, wanted: &str| (is != wanted).then(|| format!("{is}, not {wanted}"));
    match wanted {
        Trait::Severity(wanted) => differs(incident.severity.word(), wanted),
        Trait::Certainty(wanted) => differs(incident.certainty.word(), wanted),
        Trait::Zone(wanted) => differs(&format!("in {}", incident.zone), &format!("in {wanted}")),
        Trait::Sensors(wanted) => {
            let is = incident.sensors;
            (is != *wanted).then(|| format!("{is} sensors, not {wanted}"))
        }
        Trait::Episode(wanted) => {
            let is = incident.episode;
            (is != *wanted).then(|| format!("episode {is}, not {wanted}"))
        }
        Trait::Rule(wanted) => {
            let cause = &decision.cause;
            let evidence = cause.evidence.iter().map(|evidence| &evidence.rule);
            let mut rules = cause.rule.iter().chain(evidence);
            let is = rules.any(|rule| rule.as_str() == wanted);
            (!is).then(|| format!("not by {wanted}"))
        }
        Trait::CausedBy(wanted) => {
            let is = incident.parent.map(|parent| names.name(parent));
            let met = incident.parent.is_some() && incident.parent == names.id(wanted);
            let is = is.map_or("caused by nothing".to_owned(), |is| {
                format!("caused by {is}")
            });
            (!met).then(|| format!("{is}, not {}", shown(wanted)))
        }
        Trait::Uncaused => {
            let parent = incident.parent.map(|parent| names.name(parent));
            parent.map(|parent| format!("caused by {parent}, not by nothing"))
        }
        Trait::Into(wanted) => match &decision.verdict {
            Verdict::IncidentMerged { into, .. } if Some(*into) == names.id(wanted) => None,
            Verdict::IncidentMerged { into, .. } => {
                Some(format!("into {}, not {}", names.name(*into), shown(wanted)))
            }
            _ => Some("not merged".to_owned()),
        },
    }
}
