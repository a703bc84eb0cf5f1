//! What people ask about incidents: each is followed, or refused with where the incident stands.
//!
//! Arrives: what is asked, with its cause: the request and who gave it. Leaves: decisions that name
//! the request. Promise: the id of a merged incident means its survivor; handling goes on when an
//! incident is over. Next: `correlate/people.rs`.

use super::{Engine, family};
use crate::book::Entry;
use crate::correlate::{Part, Report, actor, refused, told};
use crate::decision::{About, Cause, Decision, Refusal, RefusalCode, Severity, Step};
use crate::id::{IncidentId, RuleId};
use crate::incident::Grounds;
use crate::record::{Ask, Open, Seq};
use crate::time::Timestamp;

/// When a person asks, and by which record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub at: Timestamp,
    pub seq: Seq,
}

/// What something is asked about.
#[derive(Debug, Clone, Copy)]
struct Which<'a> {
    /// As it was written: it may have merged since.
    asked: IncidentId,
    id: IncidentId,
    /// The sources that are named; empty if none are.
    sources: &'a str,
}

const AT_WORK: &str = "live incidents are of rules that hold";

impl Engine {
    /// Follows what is asked about an incident.
    pub(super) fn ask(
        &mut self,
        now: Moment,
        asked: IncidentId,
        (ask, sources): (Ask, &str),
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) -> Result<(), Refusal> {
        self.leave_if_asked(now.at, asked, out);
        if let Ask::Merge(other) | Ask::Move(other) | Ask::Link(Some(other)) = ask {
            self.leave_if_asked(now.at, other, out);
        }
        let (id, rule) = match self.desk.book.find(asked) {
            None => {
                return Err(Refusal {
                    code: RefusalCode::UnknownIncident,
                    about: About::Incident(asked),
                });
            }
            Some((id, Entry::Over(_))) => (id, None),
            Some((id, Entry::Live(rule))) => (id, Some(rule.clone())),
            Some((_, Entry::Merged(_))) => unreachable!("found"),
        };
        match (rule, ask) {
            (None, Ask::Step(step)) => self.step_past(now.at, id, step, cause, out),
            (None, _) => Err(self.is_over(id)),
            (Some(rule), Ask::Merge(_) | Ask::Split | Ask::Move(_) | Ask::Link(_)) => {
                let which = Which { asked, id, sources };
                self.regroup(now.at, which, &rule, ask, cause, out)
            }
            (Some(rule), ask) => self.ask_live(now, id, &rule, ask, cause, out),
        }
    }

    fn ask_live(
        &mut self,
        now: Moment,
        id: IncidentId,
        rule: &RuleId,
        ask: Ask,
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) -> Result<(), Refusal> {
        let begin = out.len();
        let (correlators, mut turn) = self.people(now.at, out);
        let floor = match ask {
            Ask::Rate(_) | Ask::Step(Step::Undo) => family::gravest_child(correlators, id, &turn),
            _ => Severity::Unknown,
        };
        let correlator = correlators.get_mut(rule);
        let correlator = correlator.expect("live incidents are of rules that hold");
        let followed = match ask {
            Ask::Step(step) => correlator.step(id, (step, floor), cause, &mut turn),
            Ask::Rate(severity) => correlator.rate(id, (severity, floor), cause, &mut turn),
            Ask::AllClear => correlator.all_clear(id, &mut turn),
            Ask::Report(said) => {
                let (request, _) = cause.request.as_ref().expect("a person asks by a request");
                let request = request.as_str();
                let seq = now.seq;
                let report = Report { said, request, seq };
                correlator.report(id, &report, &mut turn);
                Ok(())
            }
            Ask::Merge(_) | Ask::Split | Ask::Move(_) | Ask::Link(_) => {
                unreachable!("asked about two incidents")
            }
        };
        family::settle(correlators, rule, &mut turn);
        follow_from(&mut out[begin..], cause);
        followed
    }

    /// What belongs together, or does not, by a person's word.
    fn regroup(
        &mut self,
        at: Timestamp,
        which: Which<'_>,
        rule: &RuleId,
        ask: Ask,
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) -> Result<(), Refusal> {
        let begin = out.len();
        let Which { asked, id, sources } = which;
        let (correlators, mut turn) = self.people(at, out);
        let state = correlators[rule].state(id);
        let other = |other: IncidentId| match turn.desk.book.find(other) {
            Some((now, _)) if now == id => Err(refused(RefusalCode::AlreadyThere, &state)),
            Some((now, Entry::Live(own))) if own == rule => Ok(now),
            Some((_, Entry::Live(_))) => Err(refused(RefusalCode::DifferentRules, &state)),
            Some((_, Entry::Over(past))) => Err(refused(RefusalCode::IncidentOver, &past.state)),
            Some((_, Entry::Merged(_))) | None => Err(Refusal {
                code: RefusalCode::UnknownIncident,
                about: About::Incident(other),
            }),
        };
        let followed = match ask {
            Ask::Merge(with) => {
                let with = other(with)?;
                let correlator = correlators.get_mut(rule).expect(AT_WORK);
                correlator.merge_by_person([id, with], cause, &mut turn)
            }
            Ask::Move(to) => {
                let to = other(to)?;
                let correlator = correlators.get_mut(rule).expect(AT_WORK);
                correlator.move_evidence([id, to], sources, cause, &mut turn)
            }
            Ask::Split => {
                let part = match sources {
                    "" => Part::Merged(asked),
                    sources => Part::Named(sources),
                };
                let (request, _) = cause.request.as_ref().expect("a person asks by a request");
                let at = at.as_millis().to_string();
                let parts = ["split", &id.to_string(), request.as_str(), &at];
                let new = IncidentId::derive(&parts);
                let correlator = correlators.get_mut(rule).expect(AT_WORK);
                let split = correlator.split(id, (part, new), cause, &mut turn);
                family::divide(correlators, rule, &mut turn);
                split
            }
            Ask::Link(parent) => family::link(correlators, rule, id, parent, &mut turn)
                .map_err(|code| refused(code, &state)),
            Ask::Step(_) | Ask::Rate(_) | Ask::AllClear | Ask::Report(_) => {
                unreachable!("asked about one incident")
            }
        };
        family::settle(correlators, rule, &mut turn);
        follow_from(&mut out[begin..], cause);
        followed
    }

    /// A step about an incident that can no longer reopen by itself.
    fn step_past(
        &mut self,
        at: Timestamp,
        id: IncidentId,
        step: Step,
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) -> Result<(), Refusal> {
        let Some((_, Entry::Over(past))) = self.desk.book.resolve(id) else {
            unreachable!("it is over");
        };
        let grounds = Grounds {
            condition: past.state.condition,
            sources: past.state.sensors,
            severity: Severity::Unknown,
            own: Severity::Unknown,
        };
        let severity = &mut past.state.severity;
        let by = (actor(cause), at);
        let followed = past.docket.follow(step, by, grounds, severity);
        let before = followed.map_err(|code| refused(code, &past.state))?;
        past.docket.escalated = None;
        past.state.handling = past.docket.handling;
        let state = past.state.clone();
        self.turn(at, out)
            .decide(told(step, before, state), cause.clone());
        Ok(())
    }

    fn is_over(&self, id: IncidentId) -> Refusal {
        match self.desk.book.find(id) {
            Some((_, Entry::Over(past))) => refused(RefusalCode::IncidentOver, &past.state),
            _ => unreachable!("it is over"),
        }
    }

    /// Takes what a person knows of as evidence of this kind of incident: of what is near, or of a
    /// new one. Where there is no room for one, not even of those that are kept for people, it waits
    /// as a candidate does, and the person is told.
    pub(super) fn open(
        &mut self,
        now: Moment,
        open: &Open<'_>,
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) -> Result<(), Refusal> {
        let begin = out.len();
        let mut rules = self.rules.correlations().iter();
        let rule = rules.find(|rule| rule.incident.as_str() == open.kind);
        let rule = rule.map(|rule| rule.name.clone()).ok_or_else(|| Refusal {
            code: RefusalCode::UnknownKind,
            about: About::Kind(open.kind.parse().expect("an order's kind is valid")),
        })?;
        let (request, _) = cause.request.as_ref().expect("a person asks by a request");
        let report = Report {
            said: open.said,
            request: request.as_str(),
            seq: now.seq,
        };
        let (correlators, mut turn) = self.people(now.at, out);
        let finding = report.finding(&turn);
        let correlator = correlators.get_mut(&rule);
        let correlator = correlator.expect("all rules that hold are at work");
        let waited = turn.desk.counters.incidents_over_limit;
        correlator.take(&finding, &mut turn);
        family::settle(correlators, &rule, &mut turn);
        let waits = turn.desk.counters.incidents_over_limit > waited;
        follow_from(&mut out[begin..], cause);
        if waits && out.len() == begin {
            return Err(Refusal {
                code: RefusalCode::TooManyIncidents,
                about: About::Kind(open.kind.parse().expect("an order's kind is valid")),
            });
        }
        Ok(())
    }
}

/// What followed from a request names it.
fn follow_from(decisions: &mut [Decision], cause: &Cause) {
    for decision in decisions {
        if decision.cause.request.is_none() {
            decision.cause.request.clone_from(&cause.request);
            decision.cause.note.clone_from(&cause.note);
        }
    }
}
