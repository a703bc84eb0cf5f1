//! Sensors over REST: what each said last; what is wrong with whom since when, and who causes the
//! most.
//!
//! Arrives: requests. Leaves: JSON as of decision N; values as they are by now, which may be newer.
//! Promise: a page costs a bounded number of sensors looked at, however large the city is.
//! Next: `console.rs`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use ioc_core::bundle::{Bundle, Sensor};
use ioc_core::decision::{Decision, Evidence, Verdict};
use ioc_core::id::{IncidentId, ReadingId, SensorId, ZoneId};
use ioc_core::place::Position;
use ioc_core::time::Timestamp;
use serde::Serialize;

use crate::error::ApiError;
use crate::health;
use crate::health::{Counts, DAYS, HealthPicture, SilentSite, Trouble, Troubled};
use crate::latest::{Last, Latest};
use crate::rest::{AsOf, LIMIT, limit_of, ok, parse_limit, to_json};
use crate::view::{Incident, Picture};
use crate::window::Shared;
use crate::wire::{SensorJson, SiteJson, Text};

/// A sensor with which something is wrong.
#[derive(Serialize)]
struct TroubledJson<'a> {
    #[serde(flatten)]
    sensor: SensorJson<'a>,
    /// What it says weighs nothing.
    distrusted: bool,
    faults: Vec<TroubleJson<'a>>,
}

#[derive(Serialize)]
struct TroubleJson<'a> {
    fault: &'static str,
    rule: Option<&'a str>,
    since: Text<Timestamp>,
    seq: u64,
}

/// A site that is silent as a whole.
#[derive(Serialize)]
struct SilentSiteJson<'a> {
    #[serde(flatten)]
    site: SiteJson<'a>,
    since: Text<Timestamp>,
    seq: u64,
}

impl<'a> SilentSiteJson<'a> {
    fn of(told: &'a Arc<SilentSite>) -> Self {
        let (site, seq, since) = &**told;
        Self {
            site: SiteJson::from(site),
            since: Text(*since),
            seq: *seq,
        }
    }
}

#[derive(Serialize)]
struct BadActorsJson<'a> {
    days: usize,
    alarms: u32,
    faults: u32,
    /// Of all alarms and faults, what those that are listed cause.
    share: f64,
    sensors: Vec<BadActorJson<'a>>,
}

#[derive(Serialize)]
struct BadActorJson<'a> {
    sensor: &'a str,
    alarms: u32,
    faults: u32,
    updates: u32,
    share: f64,
}

impl<'a> From<&'a Troubled> for TroubledJson<'a> {
    fn from(troubled: &'a Troubled) -> Self {
        Self {
            sensor: SensorJson::from(&troubled.state),
            distrusted: troubled.is_distrusted(),
            faults: faults_of(troubled),
        }
    }
}

fn faults_of(troubled: &Troubled) -> Vec<TroubleJson<'_>> {
    let faults = troubled.troubles.iter();
    let faults = faults.map(|trouble: &Trouble| TroubleJson {
        fault: trouble.word(),
        rule: trouble.rule.as_ref().map(|rule| rule.as_str()),
        since: Text(trouble.since),
        seq: trouble.seq,
    });
    faults.collect()
}

impl<'a> From<&'a HealthPicture> for BadActorsJson<'a> {
    fn from(health: &'a HealthPicture) -> Self {
        let all = health.load.load();
        let listed = health.bad_actors.iter();
        let listed: u32 = listed.map(|(_, counts)| counts.load()).sum();
        let actor = |(sensor, counts): &'a (SensorId, Counts)| BadActorJson {
            sensor: sensor.as_str(),
            alarms: counts.alarms,
            faults: counts.faults,
            updates: counts.updates,
            share: share(counts.load(), all),
        };
        Self {
            days: DAYS,
            alarms: health.load.alarms,
            faults: health.load.faults,
            share: share(listed, all),
            sensors: health.bad_actors.iter().map(actor).collect(),
        }
    }
}

/// A share of all, to a thousandth; of nothing it is nothing.
fn share(part: u32, all: u32) -> f64 {
    let thousandths = u64::from(part) * 1000 / u64::from(all.max(1));
    thousandths as f64 / 1000.0
}

/// `GET /api/v1/sensors/health`: the sensors with which something is wrong, those that are not
/// trusted first, then by their ids; and the bad actors.
pub(crate) async fn health(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct HealthJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        total: usize,
        sensors: Vec<TroubledJson<'a>>,
        sites: Vec<SilentSiteJson<'a>>,
        bad_actors: BadActorsJson<'a>,
    }
    let limit = limit_of(query)?;
    let picture = shared.kept.picture().await;
    let mut troubled: Vec<_> = picture.health.troubled.iter().collect();
    troubled.sort_by_key(|each| !each.is_distrusted());
    Ok(ok(to_json(&HealthJson {
        as_of: AsOf::of(&picture),
        total: picture.health.troubled_total,
        sensors: troubled
            .into_iter()
            .take(limit)
            .map(|each| TroubledJson::from(&**each))
            .collect(),
        sites: picture
            .health
            .sites
            .iter()
            .map(SilentSiteJson::of)
            .collect(),
        bad_actors: BadActorsJson::from(&picture.health),
    })))
}

/// How many sensors are looked at for one page: what fits in it is told, the rest is asked for
/// with `after`.
const LOOKED_AT_MAX: usize = 5_000;

/// A sensor with what it said last.
#[derive(Serialize)]
struct SensorNowJson<'a> {
    id: &'a str,
    kind: Option<&'a str>,
    unit: Option<&'a str>,
    zone: Option<&'a str>,
    position: Option<[f64; 2]>,
    /// Whether the city has it.
    registered: bool,
    /// Since the server started; null if it said nothing since.
    value: Option<f64>,
    observed_at: Option<Text<Timestamp>>,
    received_at: Option<Text<Timestamp>>,
    /// Its own levels, which replace the moderate and the severe one of rules.
    warning: Option<f64>,
    danger: Option<f64>,
    /// What it says weighs nothing. Null: more sensors are broken than are listed, and this may be
    /// one of the others.
    distrusted: Option<bool>,
    faults: Option<Vec<TroubleJson<'a>>>,
}

/// A sensor that the city has, or that was heard, or both.
struct Known {
    id: SensorId,
    last: Option<Last>,
}

impl Known {
    fn registered<'a>(&self, bundle: Option<&'a Bundle>) -> Option<&'a Sensor> {
        let sensors = &bundle?.city.sensors;
        let place = sensors.binary_search_by(|sensor| sensor.id.cmp(&self.id));
        place.ok().map(|place| &sensors[place])
    }

    fn position(&self, registered: Option<&Sensor>) -> Option<Position> {
        let said = self.last.as_ref().and_then(|last| last.position);
        said.or(registered.and_then(|own| own.position))
    }

    /// The zone that it is registered in, else the one that it lies in.
    fn zone<'a>(&self, bundle: Option<&'a Bundle>) -> Option<&'a ZoneId> {
        let registered = self.registered(bundle);
        let lies_in = || {
            let zone = bundle?.city.zone_at(self.position(registered)?)?;
            Some(&zone.id)
        };
        registered
            .and_then(|own| own.zone.as_ref())
            .or_else(lies_in)
    }

    fn kind<'a>(&'a self, registered: Option<&'a Sensor>) -> Option<&'a str> {
        let said = self.last.as_ref().map(|last| last.kind.as_str());
        said.or(registered.map(|own| own.kind.as_str()))
    }

    fn json<'a>(&'a self, bundle: Option<&'a Bundle>, picture: &'a Picture) -> SensorNowJson<'a> {
        let registered = self.registered(bundle);
        let last = self.last.as_ref();
        let unit = last.map(|last| &*last.unit).filter(|unit| !unit.is_empty());
        let (distrusted, faults) = match picture.health.of_sensor(&self.id) {
            health::Known::Sound => (Some(false), Some(Vec::new())),
            health::Known::Troubled(own) => (Some(own.is_distrusted()), Some(faults_of(own))),
            health::Known::Unlisted => (None, None),
        };
        SensorNowJson {
            id: self.id.as_str(),
            kind: self.kind(registered),
            unit: unit.or(registered.map(|own| own.unit.as_str())),
            zone: self.zone(bundle).map(|zone| zone.as_str()),
            position: self.position(registered).map(Position::to_degrees),
            registered: registered.is_some(),
            value: last.map(|last| last.value),
            observed_at: last.map(|last| Text(last.observed_at)),
            received_at: last.map(|last| Text(last.received_at)),
            warning: registered.and_then(|own| own.warning),
            danger: registered.and_then(|own| own.danger),
            distrusted,
            faults,
        }
    }
}

/// What a list is asked for.
#[derive(Debug)]
struct SensorsQuery {
    zone: Option<String>,
    kind: Option<String>,
    /// A part of the name, in lower case.
    part: Option<String>,
    after: Option<SensorId>,
    limit: usize,
}

impl SensorsQuery {
    fn parse(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut query = Self {
            zone: None,
            kind: None,
            part: None,
            after: None,
            limit: LIMIT,
        };
        for (name, value) in pairs {
            match name.as_str() {
                "zone" => query.zone = Some(value),
                "kind" => query.kind = Some(value),
                "q" => query.part = Some(value.to_lowercase()),
                "after" => {
                    let wrong = |error: ioc_core::id::IdError| {
                        ApiError::bad_request(format!("after: {error}"))
                    };
                    query.after = Some(value.parse().map_err(wrong)?);
                }
                "limit" => query.limit = parse_limit(&value)?,
                _ => {
                    let message =
                        format!("the parameters are zone, kind, q, after and limit; not {name}");
                    return Err(ApiError::bad_request(message));
                }
            }
        }
        Ok(query)
    }

    fn shows(&self, known: &Known, bundle: Option<&Bundle>) -> bool {
        let is_part = |part: &String| known.id.as_str().to_lowercase().contains(part);
        let is_kind = |kind: &String| known.kind(known.registered(bundle)) == Some(kind.as_str());
        // The dearest question comes last.
        let is_in = |zone: &String| match known.zone(bundle) {
            Some(own) => {
                let city = &bundle.expect("it has zones").city;
                city.zones_around(own).any(|each| each.as_str() == zone)
            }
            None => zone == "_",
        };
        self.part.as_ref().is_none_or(is_part)
            && self.kind.as_ref().is_none_or(is_kind)
            && self.zone.as_ref().is_none_or(is_in)
    }
}

/// The sensors behind this one by name, those of the city and those that were heard, so many at
/// most.
fn known_after(
    after: Option<&SensorId>,
    bundle: Option<&Bundle>,
    latest: &Latest,
    count: usize,
) -> Vec<Known> {
    let registered = bundle.map_or(&[][..], |bundle| &bundle.city.sensors);
    let from = registered.partition_point(|own| after.is_some_and(|after| own.id <= *after));
    let mut registered = registered[from..].iter().map(|own| &own.id).peekable();
    let mut heard = latest.after(after, count).into_iter().peekable();
    let mut known = Vec::new();
    while known.len() < count {
        let next_heard = heard.peek().map(|(id, _)| id);
        let of_the_city = match (registered.peek(), next_heard) {
            (None, None) => break,
            (Some(own), Some(heard)) => *own <= heard,
            (own, _) => own.is_some(),
        };
        if !of_the_city {
            known.extend(heard.next().map(|(id, last)| Known {
                id,
                last: Some(last),
            }));
            continue;
        }
        let id = registered.next().expect("it was seen").clone();
        let said = heard.next_if(|(heard, _)| *heard == id);
        let last = said.map(|(_, last)| last);
        known.push(Known { id, last });
    }
    known
}

/// `GET /api/v1/sensors`: each with its last value, by name.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct ListJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        sensors: Vec<SensorNowJson<'a>>,
        /// What `after` is to be for those that follow; null if there are none.
        next: Option<&'a str>,
    }
    let Query(pairs) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let query = SensorsQuery::parse(pairs)?;
    let picture = shared.kept.picture().await;
    let bundle = shared.bundle();
    let bundle = bundle.as_deref();
    let latest = &shared.kept.latest;
    let looked_at = known_after(query.after.as_ref(), bundle, latest, LOOKED_AT_MAX);
    let mut shown = Vec::new();
    let mut last = None;
    for known in &looked_at {
        if shown.len() == query.limit {
            break;
        }
        last = Some(known);
        if query.shows(known, bundle) {
            shown.push(known.json(bundle, &picture));
        }
    }
    let is_last = last.is_none_or(|last| {
        let more = known_after(Some(&last.id), bundle, latest, 1);
        more.is_empty()
    });
    Ok(ok(to_json(&ListJson {
        as_of: AsOf::of(&picture),
        sensors: shown,
        next: last.filter(|_| !is_last).map(|last| last.id.as_str()),
    })))
}

/// `GET /api/v1/sensors/{id}`: with the incidents that it is evidence of, as far as the ring goes.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct OneJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        sensor: SensorNowJson<'a>,
        /// Open ones, the latest first.
        evidence_of: Vec<Text<IncidentId>>,
    }
    let unknown = || {
        let message = "the city has no sensor of this name, and none was heard lately";
        ApiError::not_found("unknown_sensor", message)
    };
    let id: SensorId = id.parse().map_err(|_| unknown())?;
    let picture = shared.kept.picture().await;
    let bundle = shared.bundle();
    let bundle = bundle.as_deref();
    let last = shared.kept.latest.of(&id);
    let known = Known { id, last };
    if known.last.is_none() && known.registered(bundle).is_none() {
        return Err(unknown());
    }
    let evidence_of = evidence_of(&shared, &picture, &known.id).await;
    Ok(ok(to_json(&OneJson {
        as_of: AsOf::of(&picture),
        sensor: known.json(bundle, &picture),
        evidence_of: evidence_of.into_iter().map(Text).collect(),
    })))
}

/// How many batches of the ring are looked through at a time: others that wait for this thread then
/// have their turn.
const BATCHES_LOOKED_AT: usize = 16;

/// The open incidents that a sensor is evidence of, the latest first.
async fn evidence_of(shared: &Shared, picture: &Picture, sensor: &SensorId) -> Vec<IncidentId> {
    let (_, batches) = shared.kept.feed.newest(usize::MAX);
    let mut found = EvidenceOf {
        sensor,
        picture,
        left: Vec::new(),
        open: Vec::new(),
    };
    for (number, batch) in batches.iter().rev().enumerate() {
        if number % BATCHES_LOOKED_AT == BATCHES_LOOKED_AT - 1 {
            tokio::task::yield_now().await;
        }
        for entry in batch.after(0).iter().rev() {
            found.look_back_at(&entry.decision);
        }
    }
    found.open
}

/// What a sensor is evidence of, found from the newest decision back.
struct EvidenceOf<'a> {
    sensor: &'a SensorId,
    picture: &'a Picture,
    /// The incidents that it was evidence of until people moved it to another.
    left: Vec<IncidentId>,
    /// The open ones, the latest first.
    open: Vec<IncidentId>,
}

impl EvidenceOf<'_> {
    fn look_back_at(&mut self, decision: &Decision) {
        if let Some((incident, from, moved)) = decision.verdict.moved() {
            // Where single reports of it went, others may have stayed.
            let is_all = |(sensor, report): &(SensorId, Option<ReadingId>)| {
                sensor == self.sensor && report.is_none()
            };
            if moved.first.iter().any(is_all) {
                self.note(incident.id);
                self.left.push(from);
            }
        }
        if let Verdict::IncidentMerged { incident, into } = &decision.verdict
            && self.left.contains(into)
        {
            // What left the whole after they became one left this part of it.
            self.left.push(incident.id);
        }
        let is_of = |each: &Evidence| each.sensor == *self.sensor;
        if let Some(incident) = decision.verdict.incident()
            && decision.cause.evidence.iter().any(is_of)
        {
            self.note(incident.id);
        }
    }

    fn note(&mut self, id: IncidentId) {
        if self.left.contains(&id) {
            return;
        }
        let now = surviving(self.picture, id).filter(|now| now.ended.is_none());
        if let Some(id) = now.map(|now| now.state.id)
            && !self.open.contains(&id)
        {
            self.open.push(id);
        }
    }
}

/// The incident, or the one that it is part of now.
fn surviving(picture: &Picture, mut id: IncidentId) -> Option<&Incident> {
    // Survivors are older than what is merged into them, so the way ends; the bound is a fence.
    for _ in 0..=picture.incidents.len() {
        let incident = picture.incident(id)?;
        match incident.merged_into {
            Some(into) if into != id => id = into,
            _ => return Some(incident.as_ref()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use ioc_core::decision::{Cause, DecisionHash, Named};
    use ioc_core::reading::{Attributes, Reading};
    use ioc_core::record::{Input, Record};

    use super::*;
    use crate::auth::Token;
    use crate::examples::{self, id, incident, publish};
    use crate::options::WindowOptions;
    use crate::view::View;

    /// The open incidents that `sm-5` is evidence of after these decisions.
    fn evidence_after(decisions: &[Decision]) -> Vec<IncidentId> {
        let options = WindowOptions::new("j".into(), Token::new("t"), Arc::new(Timestamp::default));
        let mut view = View::new(options);
        for published in publish(DecisionHash([1; 32]), decisions.to_vec()) {
            view.apply(&published, true);
        }
        let picture = view.picture();
        let mut found = EvidenceOf {
            sensor: &"sm-5".parse().unwrap(),
            picture: &picture,
            left: Vec::new(),
            open: Vec::new(),
        };
        for decision in decisions.iter().rev() {
            found.look_back_at(decision);
        }
        found.open
    }

    #[test]
    fn a_sensor_that_was_split_off_is_evidence_of_the_old_incident_no_more() {
        let evidence = Evidence {
            reading: "r".parse().unwrap(),
            seq: 1,
            sensor: "sm-5".parse().unwrap(),
            rule: "smoke".parse().unwrap(),
            value: 3.0,
            distance_m: None,
            through: None,
        };
        let with = |decision: Decision| Decision {
            cause: Cause {
                evidence: vec![evidence.clone()],
                ..Cause::default()
            },
            ..decision
        };
        let split = |seq, report: Option<&str>, from| {
            let named = (
                "sm-5".parse().unwrap(),
                report.map(|it| it.parse().unwrap()),
            );
            let moved = Named {
                first: vec![named],
                count: 1,
            };
            let verdict = Verdict::IncidentSplit {
                incident: incident("c"),
                from: id(from),
                moved,
            };
            examples::decision(seq, verdict)
        };
        let opened = with(examples::opened(1, "a"));
        assert_eq!(evidence_after(std::slice::from_ref(&opened)), [id("a")]);
        let (all, one) = (split(2, None, "a"), split(2, Some("r"), "a"));
        assert_eq!(evidence_after(&[opened.clone(), all.clone()]), [id("c")]);
        assert_eq!(evidence_after(&[opened.clone(), one]), [id("a")]);
        let again = with(examples::updated(3, "a"));
        let both = evidence_after(&[opened.clone(), all, again]);
        assert_eq!(both, [id("a"), id("c")], "what it says later counts again");
        // It left with what had become part of another.
        let whole = [
            examples::opened(1, "b"),
            with(examples::opened(2, "a")),
            examples::merged(3, "a", "b"),
            split(4, None, "b"),
        ];
        assert_eq!(evidence_after(&whole), [id("c")]);
    }

    #[test]
    fn p5_a_page_looks_at_so_many_sensors_and_no_more() {
        let mut framed = Vec::new();
        for number in 0..=LOOKED_AT_MAX {
            let reading = Reading {
                id: "r",
                sensor: &format!("s-{number:05}"),
                kind: "level",
                observed_at: Timestamp::default(),
                received_at: None,
                value: 1.0,
                unit: "",
                position: None,
                attributes: Attributes::default(),
            };
            Record::frame_input(Timestamp::default(), &Input::Reading(reading), &mut framed);
        }
        let latest = Latest::default();
        latest.take((1, &framed, 0), usize::MAX);
        let first = known_after(None, None, &latest, LOOKED_AT_MAX);
        assert_eq!(first.len(), LOOKED_AT_MAX);
        let last = &first[LOOKED_AT_MAX - 1].id;
        assert_eq!(
            known_after(Some(last), None, &latest, LOOKED_AT_MAX).len(),
            1
        );
    }
}
