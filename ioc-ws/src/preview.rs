//! What a suppression would have hidden: looked up in what was decided of late, before it is asked
//! for.
//!
//! Arrives: the text of an order that is not given. Leaves: which detections fit it, and the
//! incidents that they were evidence of. Promise: nothing is judged anew and nothing changes; what
//! is looked through is what the ring holds of the last day, and the answer says from when on.
//! Bounded: the ring, so many incidents and sensors are named, and so many questions are looked up
//! at once ([`PREVIEWS_MAX`]). Next: `suppressions.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ioc_core::bundle::Bundle;
use ioc_core::decision::{Decision, IncidentState, Matcher, Severity, Target, Verdict};
use ioc_core::id::{IncidentId, RuleId, SensorId, ZoneId};
use ioc_core::time::{Millis, Timestamp};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::feed::Batch;
use crate::frame;
use crate::names;
use crate::rest::{ok, to_json};
use crate::suppressions::{MatchText, matcher, text_of};
use crate::window::Shared;
use crate::wire::Text;

/// How far back is looked.
const HORIZON: Millis = Millis::minutes(24 * 60);
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
    let target = target(text.incident.as_deref(), text.r#match.as_ref());
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
    let now = shared.options.now().max(head.at);
    let looked = tokio::task::spawn_blocking(move || {
        // Until it is looked up, also if whoever asked has gone.
        let _place = place;
        let mut hidden = Hidden::new(target, bundle, now);
        hidden.look_through(&batches);
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

fn target(incident: Option<&str>, text: Option<&MatchText>) -> Result<Target, String> {
    match (incident, text) {
        (Some(incident), None) => frame::incident_id(incident).map(Target::Incident),
        (None, Some(text)) => matcher(text).map(Target::Detections),
        (Some(_), Some(_)) | (None, None) => {
            Err("say what in `match`, or which `incident`".to_owned())
        }
    }
}

/// What would have been hidden.
struct Hidden {
    target: Target,
    bundle: Arc<Bundle>,
    from: Timestamp,
    to: Timestamp,
    /// Whether all of the time is held.
    complete: bool,
    decisions: u64,
    /// The detections that fit, each sensor and rule once.
    detections: BTreeSet<(SensorId, RuleId)>,
    incidents: BTreeMap<IncidentId, Seen>,
    /// Silences and faults of sensors.
    of_sensors: u64,
    /// How often somebody was called because nobody had seen the incident.
    calls: u64,
    /// Whether a sensor lies in what fits, by its name, so that zones are looked up once each.
    zones: BTreeMap<SensorId, Option<ZoneId>>,
}

/// An incident that had evidence which fits.
struct Seen {
    state: IncidentState,
    evidence: u64,
    fits: u64,
    gravest: Severity,
}

impl Hidden {
    fn new(target: Target, bundle: Arc<Bundle>, now: Timestamp) -> Self {
        Self {
            target,
            bundle,
            from: now - HORIZON,
            to: now,
            complete: false,
            decisions: 0,
            detections: BTreeSet::new(),
            incidents: BTreeMap::new(),
            of_sensors: 0,
            calls: 0,
            zones: BTreeMap::new(),
        }
    }

    fn look_through(&mut self, batches: &[Arc<Batch>]) {
        let oldest = batches.first().and_then(|batch| batch.after(0).first());
        self.complete = oldest.is_none_or(|entry| {
            let from_the_beginning = entry.decision.seq == 1;
            from_the_beginning || entry.decision.at <= self.from
        });
        if let Some(entry) = oldest.filter(|_| !self.complete) {
            self.from = entry.decision.at;
        }
        let from = self.from;
        let entries = batches.iter().flat_map(|batch| batch.after(0));
        for entry in entries.filter(|entry| entry.decision.at >= from) {
            self.decisions += 1;
            self.look_at(&entry.decision);
        }
    }

    fn look_at(&mut self, decision: &Decision) {
        let target = self.target.clone();
        match &target {
            Target::Incident(asked) => self.look_at_incident(*asked, decision),
            Target::Detections(matcher) => self.look_for(matcher, decision),
        }
    }

    /// Of an incident that is shelved nothing is hidden but that nobody has seen it.
    fn look_at_incident(&mut self, asked: IncidentId, decision: &Decision) {
        let about_it = decision.verdict.incident().filter(|own| own.id == asked);
        if let (Some(_), Verdict::IncidentEscalated(_)) = (about_it, &decision.verdict) {
            self.calls += 1;
        }
    }

    fn look_for(&mut self, matcher: &Matcher, decision: &Decision) {
        if let Some(state) = decision.verdict.incident() {
            let mut fits = 0;
            for evidence in &decision.cause.evidence {
                let zone = self.zone_of(&evidence.sensor, &state.zone);
                let (sensor, rule) = (&evidence.sensor, &evidence.rule);
                if self.bundle.fits(matcher, sensor, rule, zone.as_ref()) {
                    fits += 1;
                    self.detections.insert((sensor.clone(), rule.clone()));
                }
            }
            self.count(state, decision.cause.evidence.len() as u64, fits);
            return;
        }
        let begins = matches!(
            decision.verdict,
            Verdict::SensorSilent(_) | Verdict::SensorFaulty(..)
        );
        if let (true, Some(sensor), Some(rule)) =
            (begins, decision.verdict.sensor(), &decision.cause.rule)
        {
            let fits = self
                .bundle
                .fits(matcher, &sensor.id, rule, Some(&sensor.zone));
            self.of_sensors += u64::from(fits);
        }
    }

    fn count(&mut self, state: &IncidentState, evidence: u64, fits: u64) {
        let seen = self.incidents.entry(state.id).or_insert_with(|| Seen {
            state: state.clone(),
            evidence: 0,
            fits: 0,
            gravest: state.severity,
        });
        seen.evidence += evidence;
        seen.fits += fits;
        seen.gravest = seen.gravest.max(state.severity);
        seen.state = state.clone();
    }

    /// The zone of a sensor; of one that is not registered, that of its incident.
    fn zone_of(&mut self, sensor: &SensorId, of_incident: &ZoneId) -> Option<ZoneId> {
        let city = &self.bundle.city;
        let zones = &mut self.zones;
        let known = zones
            .entry(sensor.clone())
            .or_insert_with(|| city.zone_of(sensor));
        Some(known.as_ref().unwrap_or(of_incident).clone())
    }

    fn told(&self) -> PreviewJson<'_> {
        let mut fit: Vec<_> = self.incidents.values().collect();
        fit.retain(|seen| seen.fits > 0);
        // Those of which nothing would have been told first, then the gravest.
        fit.sort_by_key(|seen| {
            let gravest = std::cmp::Reverse(seen.gravest);
            (
                !seen.is_whole(),
                gravest,
                seen.state.opened_at,
                seen.state.id,
            )
        });
        let mut sensors: Vec<&SensorId> = self.detections.iter().map(|(id, _)| id).collect();
        sensors.dedup();
        PreviewJson {
            from: Text(self.from),
            to: Text(self.to),
            complete: self.complete,
            decisions: self.decisions,
            warning: None,
            detections: self.detections.len(),
            sensors_total: sensors.len(),
            sensors: sensors
                .iter()
                .take(NAMED_MAX)
                .map(|sensor| sensor.as_str())
                .collect(),
            of_sensors: self.of_sensors,
            calls: self.calls,
            never_opened: fit.iter().filter(|seen| seen.is_whole()).count(),
            incidents_total: fit.len(),
            incidents: fit.iter().take(NAMED_MAX).map(|seen| seen.told()).collect(),
        }
    }
}

impl Seen {
    /// Whether nothing would have been told of it: all that it rests on fits, and none of it was
    /// extreme, which is never hidden.
    fn is_whole(&self) -> bool {
        self.fits == self.evidence && self.gravest < Severity::Extreme
    }

    fn told(&self) -> SeenJson<'_> {
        SeenJson {
            id: Text(self.state.id),
            kind: self.state.kind.as_str(),
            severity: self.gravest.word(),
            zone: self.state.zone.as_str(),
            opened_at: Text(self.state.opened_at),
            evidence: self.evidence,
            hidden: self.fits,
            never_opened: self.is_whole(),
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
    detections: usize,
    sensors_total: usize,
    sensors: Vec<&'a str>,
    of_sensors: u64,
    calls: u64,
    never_opened: usize,
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
    never_opened: bool,
}

#[cfg(test)]
mod tests {
    use ioc_core::bundle::{City, HandlingRules, Sensor, SuppressionRules, Zone};
    use ioc_core::decision::{Cause, Evidence};
    use ioc_core::record::BundleHash;

    use super::*;
    use crate::examples::{at, decision, entry, incident, opened, silent};

    /// A sensor in a zone that is part of another.
    fn bundle() -> Arc<Bundle> {
        let zone = |id: &str, parent: Option<&str>| Zone {
            id: id.parse().unwrap(),
            name: id.into(),
            parent: parent.map(|parent| parent.parse().unwrap()),
            areas: Vec::new(),
        };
        let sensor = Sensor {
            id: "wl-1".parse().unwrap(),
            kind: "water_level".parse().unwrap(),
            unit: String::new(),
            position: None,
            zone: Some("z-in".parse().unwrap()),
            interval: None,
            warning: None,
            danger: None,
            scale: ioc_core::bundle::Scale::OfKind,
            gateway: None,
        };
        Arc::new(Bundle {
            hash: BundleHash([0; 32]),
            detections: Vec::new(),
            correlations: Vec::new(),
            handling: HandlingRules::NONE,
            suppression: SuppressionRules::USUAL,
            city: City {
                zones: vec![zone("z-in", Some("z-out")), zone("z-out", None)],
                sensors: vec![sensor],
                ..City::default()
            },
        })
    }

    /// Opened by these sensors.
    fn by(seq: u64, name: &str, sensors: &[&str]) -> Decision {
        let evidence = sensors.iter().map(|sensor| Evidence {
            reading: format!("r-{seq}").parse().unwrap(),
            seq,
            sensor: sensor.parse().unwrap(),
            rule: "river-high".parse().unwrap(),
            value: 3.0,
            distance_m: None,
            through: None,
        });
        Decision {
            cause: Cause {
                evidence: evidence.collect(),
                ..Cause::default()
            },
            ..opened(seq, name)
        }
    }

    fn hidden(json: &str, decisions: Vec<Decision>) -> serde_json::Value {
        let text = text_of(json.as_bytes()).unwrap();
        let target = target(text.incident.as_deref(), text.r#match.as_ref()).unwrap();
        let now = at(decisions.len() as u64 + 1);
        let mut hidden = Hidden::new(target, bundle(), now);
        let batch = Batch::new(decisions.into_iter().map(entry).collect());
        hidden.look_through(&[Arc::new(batch)]);
        serde_json::from_slice(&to_json(&hidden.told())).unwrap()
    }

    #[test]
    fn what_would_have_been_hidden_is_told_apart_from_what_would_not() {
        let extreme = Decision {
            verdict: Verdict::IncidentOpened(IncidentState {
                severity: Severity::Extreme,
                ..incident("c")
            }),
            ..by(3, "c", &["wl-1"])
        };
        let story = vec![
            by(1, "a", &["wl-1"]),
            by(2, "b", &["wl-1", "wl-9"]),
            extreme,
            by(4, "d", &["wl-9"]),
            silent(5, "wl-1"),
        ];
        for json in [
            r#"{"match":{"sensor":"wl-1"}}"#,
            r#"{"match":{"zone":"z-in"}}"#,
            r#"{"match":{"zone":"z-out","rule":"river-high"}}"#,
        ] {
            let told = hidden(json, story.clone());
            let counts = [
                "detections",
                "incidents_total",
                "never_opened",
                "sensors_total",
            ];
            let counts = counts.map(|name| told[name].as_u64().unwrap());
            assert_eq!(counts, [1, 3, 1, 1], "{json} {told}");
            assert_eq!(told["complete"], true);
            let first = &told["incidents"][0];
            assert_eq!(
                (&first["hidden"], &first["evidence"]),
                (&1.into(), &1.into())
            );
        }
        let by_sensor = hidden(r#"{"match":{"sensor":"wl-1"}}"#, story.clone());
        assert_eq!(by_sensor["of_sensors"], 1);
        let other = hidden(r#"{"match":{"rule":"gas-high"}}"#, story);
        assert_eq!(
            (&other["detections"], &other["of_sensors"]),
            (&0.into(), &0.into())
        );
    }

    #[test]
    fn of_an_incident_it_is_told_how_often_somebody_was_called() {
        let escalated = |seq| decision(seq, Verdict::IncidentEscalated(incident("a")));
        let json = format!(r#"{{"incident":"{}"}}"#, incident("a").id);
        let told = hidden(&json, vec![opened(1, "a"), escalated(2), escalated(3)]);
        assert_eq!(told["calls"], 2);
    }

    #[test]
    fn p5_so_many_previews_are_looked_up_at_once() {
        let previews = Arc::new(Semaphore::new(PREVIEWS_MAX));
        let asked: Vec<_> = (0..PREVIEWS_MAX)
            .map(|_| place(&previews).unwrap())
            .collect();
        let refused = place(&previews).unwrap_err();
        assert_eq!(
            (refused.status.as_u16(), refused.code),
            (503, "previews_full")
        );
        drop(asked);
        assert!(place(&previews).is_ok());
    }

    #[test]
    fn p5_a_preview_names_so_many_and_counts_all() {
        let names: Vec<_> = (0..=NAMED_MAX)
            .map(|number| format!("i-{number}"))
            .collect();
        let sensors: Vec<_> = (0..=NAMED_MAX)
            .map(|number| format!("s-{number}"))
            .collect();
        let story = names.iter().zip(&sensors).zip(1..);
        let story = story.map(|((name, sensor), seq)| by(seq, name, &[sensor]));
        let told = hidden(r#"{"match":{"rule":"river-high"}}"#, story.collect());
        for (list, total) in [
            ("incidents", "incidents_total"),
            ("sensors", "sensors_total"),
        ] {
            assert_eq!(told[list].as_array().unwrap().len(), NAMED_MAX, "{list}");
            assert_eq!(told[total], NAMED_MAX + 1, "{total}");
        }
    }
}
