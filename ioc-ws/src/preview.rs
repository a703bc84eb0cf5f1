//! What a suppression would have hidden: tried on what counted of late, before it is asked for.
//!
//! Arrives: the text of an order that is not given. Leaves: which detections it would have hidden,
//! and the incidents that they were evidence of. Promise: what is hidden is decided by what decides
//! it when an order is given (`ioc_core::noted`), over what counted in the last day. No incident is
//! judged anew: one is told to have opened not at all if all that it rests on would have been hidden,
//! and otherwise only that it might not have. Nothing changes; the answer says from when to when it
//! is. Bounded: what is held of what counted and of decisions, so many incidents and sensors are
//! named, and so many questions are looked up at once ([`PREVIEWS_MAX`]). Next: `counted.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ioc_core::decision::{Decision, How, IncidentState, Severity, Target, Verdict};
use ioc_core::id::{IncidentId, RuleId, SensorId};
use ioc_core::noted::{WouldHide, would_hide};
use ioc_core::record::Seq;
use ioc_core::rules::Rules;
use ioc_core::time::{Millis, Timestamp};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::counted::Look;
use crate::error::ApiError;
use crate::feed::Batch;
use crate::frame;
use crate::names;
use crate::rest::{ok, to_json};
use crate::suppressions::{MatchText, ONE_SENSOR, how, matcher, text_of};
use crate::window::Shared;
use crate::wire::Text;

/// How far back is looked.
const HORIZON: Millis = Millis::minutes(24 * 60);
/// For how long it is waited for what counted of what consoles know already.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many such questions are looked up at once: each goes through a day of decisions.
pub(crate) const PREVIEWS_MAX: usize = 4;
/// How many incidents, and how many sensors, are named.
const NAMED_MAX: usize = 100;

/// `POST /api/v1/suppressions/preview`: what this would have hidden in the last day.
pub(crate) async fn preview(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let text = text_of(&body).map_err(ApiError::bad_request)?;
    let how = how(&text).map_err(ApiError::bad_request)?;
    let target = target(how, text.incident.as_deref(), text.r#match.as_ref());
    let target = target.map_err(ApiError::bad_request)?;
    let bundle = shared.bundle();
    let bundle =
        bundle.ok_or_else(|| ApiError::not_found("no_rules", "no rules are configured"))?;
    let warning = match &target {
        Target::Detections(matcher) => names::unknown(matcher, &shared),
        Target::Incident(_) => None,
    };
    let place = place(&shared.previews)?;
    // What the host handed over before this question is in the ring once the picture is there.
    shared.kept.picture().await;
    let (head, batches) = shared.kept.feed.newest(usize::MAX);
    let known = newest_evidence(&batches);
    shared.counted.wait_for(known, PATIENCE).await;
    let is_behind = shared.counted.through() < known;
    let now = shared.options.now().max(head.at);
    let looked = tokio::task::spawn_blocking(move || {
        // Until it is looked up, also if whoever asked has gone.
        let _place = place;
        let rules = shared.rules_of(bundle);
        let look = shared.counted.look(now - HORIZON);
        let to = if is_behind { look.at.min(now) } else { now };
        let mut hidden = Hidden::new((how, target), rules, now - HORIZON, to);
        hidden.look_through(&look, &batches);
        to_json(&PreviewJson {
            warning,
            ..hidden.told()
        })
    });
    let json = looked.await.map_err(|_| {
        let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(status, "failed", "it could not be looked up")
    })?;
    Ok(ok(json))
}

/// A place among those whose questions are looked up.
fn place(previews: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    Arc::clone(previews).try_acquire_owned().map_err(|_| {
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        let message = format!("{PREVIEWS_MAX} such questions are being looked up; ask again soon");
        ApiError::new(status, "previews_full", message)
    })
}

fn target(how: How, incident: Option<&str>, text: Option<&MatchText>) -> Result<Target, String> {
    let target = match (incident, text) {
        (Some(incident), None) => frame::incident_id(incident).map(Target::Incident),
        (None, Some(text)) => matcher(text).map(Target::Detections),
        (Some(_), Some(_)) | (None, None) => {
            Err("say what in `match`, or which `incident`".to_owned())
        }
    }?;
    let is_one_sensor = matches!(&target, Target::Detections(own) if own.is_one_sensor());
    match how == How::OutOfService && !is_one_sensor {
        true => Err(ONE_SENSOR.to_owned()),
        false => Ok(target),
    }
}

/// The last record that is evidence of anything that consoles know.
fn newest_evidence(batches: &[Arc<Batch>]) -> Seq {
    let entries = batches.iter().rev().map(|batch| batch.after(0));
    let newest = entries.map(|entries| {
        let evidence = entries
            .iter()
            .flat_map(|entry| &entry.decision.cause.evidence);
        evidence.map(|evidence| evidence.seq).max()
    });
    newest.flatten().next().unwrap_or(0)
}

/// What would have been hidden.
struct Hidden {
    how: How,
    target: Target,
    rules: Arc<Rules>,
    from: Timestamp,
    to: Timestamp,
    /// Whether all of the time is held.
    complete: bool,
    decisions: u64,
    would: WouldHide,
    incidents: BTreeMap<IncidentId, Seen>,
    /// How often the incident was passed on because nobody had seen it.
    passed_on: u64,
}

/// An incident that had evidence.
struct Seen {
    state: IncidentState,
    evidence: u64,
    hidden: u64,
    gravest: Severity,
    /// How much of what opened it would have been hidden, if it opened in this time.
    opening: Option<Opening>,
}

/// What opened an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opening {
    evidence: u64,
    hidden: u64,
}

/// Whether an incident would have opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Opens {
    /// All that it rests on would have been hidden.
    No,
    /// Something of it would have been left: whether that is enough is for its rule to say.
    Perhaps,
    /// Nothing of what opened it would have been hidden, or it was open before.
    Yes,
}

impl Opens {
    const fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Perhaps => "perhaps",
            Self::Yes => "yes",
        }
    }
}

impl Hidden {
    fn new(
        (how, target): (How, Target),
        rules: Arc<Rules>,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        Self {
            how,
            target,
            rules,
            from,
            to,
            complete: false,
            decisions: 0,
            would: WouldHide::default(),
            incidents: BTreeMap::new(),
            passed_on: 0,
        }
    }

    fn look_through(&mut self, look: &Look, batches: &[Arc<Batch>]) {
        let asked = self.from;
        let oldest = batches.first().and_then(|batch| batch.after(0).first());
        let oldest = oldest.filter(|entry| entry.decision.seq > 1);
        let held = oldest.map_or(Timestamp::MIN, |entry| entry.decision.at);
        let counted = match &self.target {
            // Nothing is tried for it.
            Target::Incident(_) => Timestamp::MIN,
            Target::Detections(_) => look.since.unwrap_or(self.to),
        };
        self.from = asked.max(held).max(counted);
        self.complete = self.from <= asked;
        let (from, to) = (self.from, self.to);
        if let Target::Detections(matcher) = &self.target {
            let noted = look.noted.iter().map(|noted| &**noted);
            let noted = noted.filter(|noted| (from..=to).contains(&noted.at));
            self.would = would_hide(&self.rules, self.how, matcher, noted);
        }
        let entries = batches.iter().flat_map(|batch| batch.after(0));
        for entry in entries.filter(|entry| (from..=to).contains(&entry.decision.at)) {
            self.decisions += 1;
            self.look_at(&entry.decision);
        }
    }

    fn look_at(&mut self, decision: &Decision) {
        match &self.target {
            Target::Incident(asked) => {
                // Of an incident that is shelved nothing is hidden but that nobody has seen it.
                let about_it = decision.verdict.incident();
                let about_it = about_it.is_some_and(|own| own.id == *asked);
                let is_passed_on = matches!(decision.verdict, Verdict::IncidentEscalated(_));
                self.passed_on += u64::from(about_it && is_passed_on);
            }
            Target::Detections(_) => self.look_for(decision),
        }
    }

    fn look_for(&mut self, decision: &Decision) {
        let Some(state) = decision.verdict.incident() else {
            return;
        };
        let takes = takes(&self.rules, decision.cause.rule.as_ref());
        let evidence = &decision.cause.evidence;
        let hidden = evidence.iter().filter(|evidence| {
            let own = std::slice::from_ref(&evidence.rule);
            let rules = takes.unwrap_or(own);
            self.would.hides(&evidence.sensor, evidence.seq, rules) == Some(true)
        });
        let opening = Opening {
            hidden: hidden.count() as u64,
            evidence: evidence.len() as u64,
        };
        let seen = self.incidents.entry(state.id).or_insert_with(|| Seen {
            state: state.clone(),
            evidence: 0,
            hidden: 0,
            gravest: state.severity,
            opening: None,
        });
        seen.evidence += opening.evidence;
        seen.hidden += opening.hidden;
        seen.gravest = seen.gravest.max(state.severity);
        seen.state = state.clone();
        if let Verdict::IncidentOpened(_) = decision.verdict {
            seen.opening = Some(opening);
        }
    }

    fn told(&self) -> PreviewJson<'_> {
        let mut fit: Vec<_> = self.incidents.values().collect();
        fit.retain(|seen| seen.hidden > 0);
        // Those of which nothing would have been told first, then the gravest.
        fit.sort_by_key(|seen| {
            let gravest = std::cmp::Reverse(seen.gravest);
            (seen.opens(), gravest, seen.state.opened_at, seen.state.id)
        });
        let subjects = self.would.subjects.iter();
        let mut sensors: Vec<&SensorId> = subjects.map(|(id, _)| id).collect();
        sensors.dedup();
        let opens = |wanted: Opens| fit.iter().filter(|seen| seen.opens() == wanted).count();
        PreviewJson {
            from: Text(self.from),
            to: Text(self.to),
            complete: self.complete,
            decisions: self.decisions,
            warning: None,
            detections: self.would.detections,
            let_through: self.would.let_through,
            sensors_total: sensors.len(),
            sensors: sensors
                .iter()
                .take(NAMED_MAX)
                .map(|sensor| sensor.as_str())
                .collect(),
            of_sensors: self.would.of_sensors,
            passed_on: self.passed_on,
            never_opened: opens(Opens::No),
            perhaps_opened: opens(Opens::Perhaps),
            incidents_total: fit.len(),
            incidents: fit.iter().take(NAMED_MAX).map(|seen| seen.told()).collect(),
        }
    }
}

/// What the correlation rule of this name takes.
fn takes<'r>(rules: &'r Rules, name: Option<&RuleId>) -> Option<&'r [RuleId]> {
    let mut correlations = rules.correlations().iter();
    let rule = correlations.find(|rule| Some(&rule.name) == name)?;
    Some(&rule.detections)
}

impl Seen {
    fn opens(&self) -> Opens {
        match self.opening {
            // What parted from another opens by what that rests on.
            Some(Opening { evidence: 0, .. }) => Opens::Perhaps,
            Some(_) if self.hidden == self.evidence => Opens::No,
            Some(opening) if opening.hidden > 0 => Opens::Perhaps,
            Some(_) | None => Opens::Yes,
        }
    }

    fn told(&self) -> SeenJson<'_> {
        SeenJson {
            id: Text(self.state.id),
            kind: self.state.kind.as_str(),
            severity: self.gravest.word(),
            zone: self.state.zone.as_str(),
            opened_at: Text(self.state.opened_at),
            evidence: self.evidence,
            hidden: self.hidden,
            opens: self.opens().word(),
        }
    }
}

#[derive(Serialize)]
struct PreviewJson<'a> {
    from: Text<Timestamp>,
    to: Text<Timestamp>,
    complete: bool,
    decisions: u64,
    /// What was probably not meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    detections: u64,
    let_through: u64,
    sensors_total: usize,
    sensors: Vec<&'a str>,
    of_sensors: u64,
    passed_on: u64,
    never_opened: usize,
    perhaps_opened: usize,
    incidents_total: usize,
    incidents: Vec<SeenJson<'a>>,
}

#[derive(Serialize)]
struct SeenJson<'a> {
    id: Text<IncidentId>,
    kind: &'a str,
    severity: &'static str,
    zone: &'a str,
    opened_at: Text<Timestamp>,
    evidence: u64,
    hidden: u64,
    /// Whether it would have opened: `no`, `perhaps` or `yes`.
    opens: &'static str,
}

#[cfg(test)]
mod tests;
