//! Actuators over REST, and orders to them as the stream and REST write them.
//!
//! Arrives: requests; the text of an order. Leaves: what each actuator can be ordered to do and
//! what came of the last command; an [`OperateOrder`] whose names are valid and whose deadline is
//! an instant of logical time, so that an order that had to wait does not live longer for that.
//! Not here: whether the actuator exists and can do that, which is the core's to decide.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use ioc_core::bundle::{Actuator, Bundle};
use ioc_core::decision::CommandState;
use ioc_core::limits::NOT_AFTER_MAX;
use ioc_core::place::Position;
use ioc_core::time::{Millis, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::command::{OperateOrder, Order};
use crate::error::ApiError;
use crate::frame::{CommandedJson, OperateText};
use crate::rest::{AsOf, give, limit_of, ok, to_json};
use crate::view::Picture;
use crate::window::Shared;

/// The order that a text asks for.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn order(
    actuator: &str,
    text: &OperateText,
    now: Timestamp,
) -> Result<OperateOrder, String> {
    let said = |error: ioc_core::id::IdError| error.to_string();
    let command = text.command.as_deref().ok_or("operate needs `command`")?;
    let replaces = text.replaces.as_deref().map(str::parse);
    Ok(OperateOrder {
        actuator: actuator.parse().map_err(said)?,
        command: command.parse().map_err(said)?,
        parameters: parameters(text.parameters.as_ref())?,
        not_after: text.not_after_s.map(|s| not_after(s, now)).transpose()?,
        replaces: replaces.transpose().map_err(said)?,
    })
}

fn parameters(value: Option<&Value>) -> Result<Box<str>, String> {
    const MAX: usize = CommandState::PARAMETERS_BYTES_MAX;
    match value {
        None | Some(Value::Null) => Ok("".into()),
        Some(Value::Object(object)) => {
            let text = serde_json::to_string(object).expect("JSON has a text");
            if text.len() > MAX {
                return Err(format!("`parameters` has at most {MAX} bytes"));
            }
            Ok(text.into())
        }
        Some(_) => Err("`parameters` must be an object".to_owned()),
    }
}

fn not_after(seconds: f64, now: Timestamp) -> Result<Timestamp, String> {
    let max = NOT_AFTER_MAX.0 as f64 / 1e3;
    if !(0.001..=max).contains(&seconds) {
        return Err(format!(
            "`not_after_s` must be 0.001 to {max}; not {seconds}"
        ));
    }
    Ok(now + Millis((seconds * 1e3) as i64))
}

/// `GET /api/v1/actuators`: what can be ordered, by id; with the last command to each.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct ListJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        total: usize,
        actuators: Vec<ActuatorJson<'a>>,
    }
    let limit = limit_of(query)?;
    let (actuators, picture) = (shared.actuators(), shared.kept.picture().await);
    let bundle = shared.bundle();
    let shown = actuators.iter().take(limit);
    let shown = shown.map(|each| ActuatorJson::of(each, &picture, bundle.as_deref()));
    Ok(ok(to_json(&ListJson {
        as_of: AsOf::of(&picture),
        total: actuators.len(),
        actuators: shown.collect(),
    })))
}

/// `GET /api/v1/actuators/{id}`.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct OneJson<'a> {
        #[serde(flatten)]
        as_of: AsOf<'a>,
        actuator: ActuatorJson<'a>,
    }
    let (actuators, picture) = (shared.actuators(), shared.kept.picture().await);
    let place = actuators.binary_search_by(|each| each.id.as_str().cmp(&id));
    let unknown = |_| ApiError::not_found("unknown_actuator", "no actuator has this name");
    let actuator = &actuators[place.map_err(unknown)?];
    let bundle = shared.bundle();
    Ok(ok(to_json(&OneJson {
        as_of: AsOf::of(&picture),
        actuator: ActuatorJson::of(actuator, &picture, bundle.as_deref()),
    })))
}

/// `POST /api/v1/actuators/{id}/commands`: answered once the order is durable. The header
/// `Idempotency-Key` is the request id.
pub(crate) async fn command(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let now = shared.options.now();
    let asked = || {
        let text: OperateText =
            serde_json::from_slice(&body).map_err(|error| format!("not an order: {error}"))?;
        order(&id, &text, now).map(Order::Operate)
    };
    give(&shared, &headers, asked).await
}

#[derive(Serialize)]
struct ActuatorJson<'a> {
    id: &'a str,
    zone: Option<&'a str>,
    position: Option<[f64; 2]>,
    effect: &'static str,
    deadline_s: f64,
    outcome_within_s: f64,
    commands: Vec<AllowedJson<'a>>,
    /// The last command to it.
    last: Option<CommandedJson<'a>>,
}

/// What an actuator can be ordered to do.
#[derive(Serialize)]
struct AllowedJson<'a> {
    command: &'a str,
    confirmed_by: Option<&'a str>,
}

impl<'a> ActuatorJson<'a> {
    fn of(actuator: &'a Actuator, picture: &'a Picture, bundle: Option<&'a Bundle>) -> Self {
        // As the core does: the zone it is registered in, else the one that its place lies in.
        let lies_in = || {
            bundle?
                .city
                .zone_at(actuator.position?)
                .map(|zone| &zone.id)
        };
        let zone = actuator.zone.as_ref().or_else(lies_in);
        let seconds = |millis: Millis| millis.0 as f64 / 1e3;
        let commands = actuator.commands.iter().map(|command| AllowedJson {
            command: command.name.as_str(),
            confirmed_by: command.confirmed_by.as_ref().map(|by| by.sensor.as_str()),
        });
        Self {
            id: actuator.id.as_str(),
            zone: zone.map(|zone| zone.as_str()),
            position: actuator.position.map(Position::to_degrees),
            effect: actuator.effect.word(),
            deadline_s: seconds(actuator.deadline),
            outcome_within_s: seconds(actuator.outcome_within),
            commands: commands.collect(),
            last: picture.command_to(&actuator.id).map(CommandedJson::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<OperateOrder, String> {
        let text: OperateText = serde_json::from_str(json).unwrap();
        order("gate-7", &text, Timestamp::from_millis(1_000))
    }

    #[test]
    fn an_order_is_read_with_its_deadline_as_an_instant() {
        let order = read(r#"{"command":"close","parameters":{"speed":3},"not_after_s":2.5}"#);
        let order = order.unwrap();
        assert_eq!(order.command.as_str(), "close");
        assert_eq!(&*order.parameters, r#"{"speed":3}"#);
        assert_eq!(order.not_after, Some(Timestamp::from_millis(3_500)));
        let plain = read(r#"{"command":"close","parameters":null}"#).unwrap();
        assert_eq!((&*plain.parameters, plain.not_after), ("", None));
    }

    #[test]
    fn what_is_wrong_with_an_order_is_said() {
        for (json, said) in [
            ("{}", "needs `command`"),
            (r#"{"command":"Close it"}"#, "a command must be 1 to 64"),
            (
                r#"{"command":"close","parameters":[1]}"#,
                "must be an object",
            ),
            (r#"{"command":"close","not_after_s":0}"#, "0.001 to 86400"),
            (
                r#"{"command":"close","not_after_s":90000}"#,
                "0.001 to 86400",
            ),
            (r#"{"command":"close","replaces":"x"}"#, "a command's key"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }

    #[test]
    fn p5_the_parameters_of_an_order_have_a_bound() {
        let of = |length: usize| {
            let json = format!(
                r#"{{"command":"close","parameters":{{"x":"{}"}}}}"#,
                "y".repeat(length)
            );
            read(&json)
        };
        const AROUND: usize = r#"{"x":""}"#.len();
        assert!(of(CommandState::PARAMETERS_BYTES_MAX - AROUND).is_ok());
        assert!(of(CommandState::PARAMETERS_BYTES_MAX - AROUND + 1).is_err());
    }
}
