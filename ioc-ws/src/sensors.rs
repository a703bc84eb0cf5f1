//! The sensors' health over REST: what is wrong with whom since when, and who causes the most.
//!
//! Arrives: requests. Leaves: JSON as of decision N. Next: `console.rs`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use ioc_core::id::SensorId;
use ioc_core::time::Timestamp;
use serde::Serialize;

use crate::error::ApiError;
use crate::health::{Counts, DAYS, HealthPicture, SilentSite, Trouble, Troubled};
use crate::rest::{AsOf, limit_of, ok, to_json};
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
        let fault = |trouble: &'a Trouble| TroubleJson {
            fault: trouble.word(),
            rule: trouble.rule.as_ref().map(|rule| rule.as_str()),
            since: Text(trouble.since),
            seq: trouble.seq,
        };
        Self {
            sensor: SensorJson::from(&troubled.state),
            distrusted: troubled.is_distrusted(),
            faults: troubled.troubles.iter().map(fault).collect(),
        }
    }
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
