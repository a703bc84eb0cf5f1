//! What people ask to be kept quiet, and what follows of it for incidents.
//!
//! Arrives: orders, what is due. Leaves: decisions that name the request, or why not. Promise: all
//! of it has a person, a reason and an end within the bounds of the configuration; what is extreme
//! is not shelved (INV-16). Next: `suppress.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::people::Moment;
use super::{Engine, family};
use crate::book::Entry;
use crate::correlate::{Turn, refused};
use crate::decision::{About, Cause, Decision, Ending, How, Matcher, Refusal, RefusalCode};
use crate::decision::{Severity, SuppressionState, Target};
use crate::detection::{Detection, Finding};
use crate::id::{IncidentId, RuleId, SuppressionId};
use crate::record::{Quieted, Resuppress, Suppress};
use crate::rules::Rules;
use crate::suppress::{Follow, Origin, Passed, Suppressions};
use crate::time::{Millis, Timestamp};

impl Engine {
    /// The suppressions, and a moment for them.
    pub(super) fn suppress<'a>(
        &'a mut self,
        at: Timestamp,
        due: Option<Timestamp>,
        decisions: &'a mut Vec<Decision>,
    ) -> (&'a mut Suppressions, Turn<'a>) {
        let turn = Turn {
            at,
            due,
            rules: &self.rules,
            desk: &mut self.desk,
            decisions,
        };
        (&mut self.suppressions, turn)
    }

    /// Something is to be kept quiet.
    pub(super) fn keep_quiet(
        &mut self,
        now: Moment,
        asked: &Suppress<'_>,
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) -> Result<(), Refusal> {
        let (request, by) = cause.request.as_ref().expect("a person asks by a request");
        let id = SuppressionId::of_request(request, now.at);
        let about = About::Suppression(id);
        let refuse = |code| Refusal {
            code,
            about: about.clone(),
        };
        if let Quieted::Incident(incident) = asked.target {
            self.leave_if_asked(now.at, incident, out);
        }
        let target = self.target(&asked.target, id)?;
        if asked.how == How::OutOfService
            && let Target::Detections(Matcher {
                sensor: Some(sensor),
                ..
            }) = &target
            && self.suppressions.is_out_of_service(sensor)
        {
            return Err(refuse(RefusalCode::AlreadyThere));
        }
        if !self.suppressions.has_room() {
            return Err(refuse(RefusalCode::TooManySuppressions));
        }
        let until = until(asked.until, now.at, asked.how, &self.rules);
        let until = until.map_err(refuse)?;
        let state = SuppressionState {
            id,
            how: asked.how,
            target,
            by: by.clone(),
            reason: asked.reason.into(),
            window: None,
            from: now.at,
            until,
            detections: 0,
            let_through: 0,
            sensors: Vec::new(),
            ended: None,
        };
        let (suppressions, mut turn) = self.suppress(now.at, None, out);
        let follows = suppressions.start(state, cause.clone(), &mut turn);
        self.follow(now.at, follows, cause, out);
        Ok(())
    }

    /// What is asked about, if there is such a thing.
    fn target(&self, asked: &Quieted<'_>, id: SuppressionId) -> Result<Target, Refusal> {
        match *asked {
            Quieted::Incident(incident) => self.incident_to_shelve(incident),
            Quieted::Detections {
                sensor,
                zone,
                kind,
                rule,
            } => {
                let matcher = Matcher {
                    sensor: sensor.parse().ok(),
                    zone: zone.parse().ok(),
                    kind: kind.parse().ok(),
                    rule: rule.parse().ok(),
                };
                match is_known(&matcher, &self.rules) {
                    true => Ok(Target::Detections(matcher)),
                    false => Err(Refusal {
                        code: RefusalCode::MatchesNothing,
                        about: About::Suppression(id),
                    }),
                }
            }
        }
    }

    fn incident_to_shelve(&self, asked: IncidentId) -> Result<Target, Refusal> {
        let (id, rule) = match self.desk.book.find(asked) {
            None => {
                return Err(Refusal {
                    code: RefusalCode::UnknownIncident,
                    about: About::Incident(asked),
                });
            }
            Some((_, Entry::Over(past))) => {
                return Err(refused(RefusalCode::IncidentOver, &past.state));
            }
            Some((id, Entry::Live(rule))) => (id, rule),
            Some((_, Entry::Merged(_))) => unreachable!("found"),
        };
        let state = self.correlators[rule].state(id);
        if state.severity == Severity::Extreme {
            return Err(refused(RefusalCode::ExtremeNotShelved, &state));
        }
        match state.shelved_until {
            Some(_) => Err(refused(RefusalCode::AlreadyThere, &state)),
            None => Ok(Target::Incident(id)),
        }
    }

    /// Something that is kept quiet is to be so for another time, or no longer.
    pub(super) fn keep_quiet_otherwise(
        &mut self,
        now: Moment,
        (id, what): (SuppressionId, Resuppress),
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) -> Result<(), Refusal> {
        let refuse = |code| Refusal {
            code,
            about: About::Suppression(id),
        };
        let state = self.suppressions.get(id);
        let state = state.ok_or_else(|| refuse(RefusalCode::UnknownSuppression))?;
        let follows = match what {
            Resuppress::End => {
                let (suppressions, mut turn) = self.suppress(now.at, None, out);
                suppressions.end(id, Ending::Ended, cause.clone(), &mut turn)
            }
            Resuppress::Until(_) if state.window.is_some() => {
                return Err(refuse(RefusalCode::SetByConfiguration));
            }
            Resuppress::Until(asked) => {
                let until = until(asked, now.at, state.how, &self.rules).map_err(refuse)?;
                let (suppressions, mut turn) = self.suppress(now.at, None, out);
                suppressions.extend(id, until, cause.clone(), &mut turn)
            }
        };
        self.follow(now.at, follows, cause, out);
        Ok(())
    }

    /// Fires what is due of what is kept quiet.
    pub(super) fn fire_suppression(&mut self, due: Timestamp, out: &mut Vec<Decision>) {
        let (suppressions, mut turn) = self.suppress(due, Some(due), out);
        let follows = suppressions.fire(due, &mut turn);
        let cause = Cause {
            due: Some(due),
            ..Cause::default()
        };
        self.follow(due, follows, &cause, out);
    }

    /// Time begins, for which windows waited.
    pub(super) fn wake_windows(&mut self, at: Timestamp, out: &mut Vec<Decision>) {
        let (suppressions, mut turn) = self.suppress(at, None, out);
        let follows = suppressions.wake(&mut turn);
        self.follow(at, follows, &Cause::default(), out);
    }

    /// Other windows hold.
    pub(super) fn reload_windows(&mut self, new: &Rules, at: Timestamp, out: &mut Vec<Decision>) {
        let mut turn = Turn {
            at,
            due: None,
            rules: new,
            desk: &mut self.desk,
            decisions: out,
        };
        let follows = self.suppressions.reload(new, &mut turn);
        self.follow(at, follows, &Cause::default(), out);
    }

    /// What follows for incidents.
    fn follow(
        &mut self,
        at: Timestamp,
        follows: Vec<Follow>,
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) {
        for follow in follows {
            match follow {
                Follow::Shelve(incident, until) => self.shelve(at, (incident, until), cause, out),
                Follow::OutOfService(id, sensor) => {
                    let mut was_silent = false;
                    for name in self.correlation_names() {
                        let (correlators, mut turn) = self.people(at, out);
                        let correlator = correlators.get_mut(&name).expect("of all that hold");
                        was_silent |= correlator.lose_sight_of(&sensor, at);
                        family::settle(correlators, &name, &mut turn);
                    }
                    self.suppressions.was_silent(id, was_silent);
                    self.group.lose_sight_of(&sensor, at);
                }
                Follow::InService(sensor) => {
                    for name in self.correlation_names() {
                        let (correlators, mut turn) = self.people(at, out);
                        let correlator = correlators.get_mut(&name).expect("of all that hold");
                        correlator.see_again(&sensor, at);
                        family::settle(correlators, &name, &mut turn);
                    }
                }
                Follow::Release(found, quiet) => {
                    let mut quiet: Vec<_> = quiet.iter().map(|finding| (0, finding)).collect();
                    let unheard = found.iter().filter(|each| is_of_silent(each));
                    let unheard = unheard.map(|each| (each.sensor.clone(), each.rule.clone()));
                    let unheard: Vec<_> = unheard.collect();
                    let [said, fell_silent] = one_after_another(found);
                    for found in [said, fell_silent] {
                        let [of_sensors, of_group] = Suppressions::by_origin(found, &self.rules);
                        let of_sensors = Passed {
                            found: of_sensors.into(),
                            quiet: std::mem::take(&mut quiet),
                            unheard: unheard.clone(),
                        };
                        self.group_and_correlate(at, cause.due, &of_sensors, out);
                        self.correlate(at, cause.due, &of_group, out);
                    }
                }
            }
        }
    }

    fn correlation_names(&self) -> Vec<RuleId> {
        self.correlators.keys().cloned().collect()
    }

    /// Nobody is called for an incident, or somebody is again. One that is over is left alone.
    fn shelve(
        &mut self,
        at: Timestamp,
        (asked, until): (IncidentId, Option<Timestamp>),
        cause: &Cause,
        out: &mut Vec<Decision>,
    ) {
        if let Some((id, Entry::Live(rule))) = self.desk.book.find(asked)
            && !self.desk.leaving.has(rule, id)
        {
            let rule = rule.clone();
            let (correlators, mut turn) = self.people(at, out);
            let correlator = correlators.get_mut(&rule).expect("of all that hold");
            correlator.shelve(id, until, cause, &mut turn);
        }
    }

    /// Ends what shelved incidents that are not shelved any more.
    pub(super) fn end_of_incidents(
        &mut self,
        at: Timestamp,
        due: Option<Timestamp>,
        out: &mut Vec<Decision>,
    ) {
        if self.desk.unshelved.is_empty() {
            return;
        }
        let unshelved = std::mem::take(&mut self.desk.unshelved);
        let (suppressions, mut turn) = self.suppress(at, due, out);
        suppressions.end_of_incidents(unshelved, &mut turn);
    }

    /// What passes of these findings, and what does not.
    pub(super) fn pass<'f>(
        &mut self,
        at: Timestamp,
        due: Option<Timestamp>,
        (found, from): (&'f [Finding], Origin),
        out: &mut Vec<Decision>,
    ) -> Passed<'f> {
        let rules = Arc::clone(&self.rules);
        let mut turn = Turn {
            at,
            due,
            rules: &rules,
            desk: &mut self.desk,
            decisions: out,
        };
        self.suppressions.pass(found, from, &mut turn)
    }
}

/// What is released in two moments: that a sensor is silent comes after what it said that nobody knew, so
/// that this opens what it would have opened.
fn one_after_another(found: Vec<Finding>) -> [Vec<Finding>; 2] {
    let raised = found.iter();
    let raised = raised.filter(|finding| matches!(finding.detection, Detection::Raised { .. }));
    let raised: BTreeSet<_> = raised.map(|finding| finding.sensor.clone()).collect();
    let (fell_silent, said) = found
        .into_iter()
        .partition(|finding| is_of_silent(finding) && raised.contains(&finding.sensor));
    [said, fell_silent]
}

/// Whether it says that what is released with it was said before its sensor fell silent.
fn is_of_silent(finding: &Finding) -> bool {
    matches!(&finding.detection, Detection::Silent(hearing) if hearing.untold)
}

/// Whether every name but a sensor's is one of the configuration. Sensors that nobody registered
/// speak too.
fn is_known(matcher: &Matcher, rules: &Rules) -> bool {
    let Matcher {
        sensor: _,
        zone,
        kind,
        rule,
    } = matcher;
    let is_kind = |kind: &_| rules.detections().iter().any(|rule| rule.kind == *kind);
    zone.as_ref()
        .is_none_or(|zone| rules.city().zone(zone).is_some())
        && rule
            .as_ref()
            .is_none_or(|rule| rules.detection_named(rule).is_some())
        && kind.as_ref().is_none_or(is_kind)
}

/// Until when at most.
fn until(
    asked: Timestamp,
    now: Timestamp,
    how: How,
    rules: &Rules,
) -> Result<Timestamp, RefusalCode> {
    let suppression = rules.suppression();
    let most: Millis = match how {
        How::Shelved => suppression.shelved_max,
        How::OutOfService => suppression.out_of_service_max,
        How::Maintenance => unreachable!("windows are of the configuration"),
    };
    match asked > now {
        true => Ok(asked.min(now + most)),
        false => Err(RefusalCode::TooLate),
    }
}
