//! OGC SensorThings observations (OGC 18-088, "SensorThings API Part 1: Sensing Version 1.1").
//!
//! Arrives: an Observation (section 8.2.7), as it is created over MQTT ("Create Observations with
//! MQTT Publish") or HTTP ("Create an entity"): on `…/Datastreams(5)/Observations`, or on
//! `…/Observations` with its Datastream in it. Leaves: a reading. The Datastream is the sensor: its
//! unit and kind are not in an Observation, but what it is registered with, or the mapping's tables,
//! say them. Left out: MultiDatastreams, whose results are lists, and the Data Array Extension.

use ioc_core::place::Position;
use ioc_core::reading::{Attributes, AttributesBuffer};
use ioc_core::time::Timestamp;

use super::draft::{Draft, Part, Scratch};
use super::json::Value;
use super::mapping::{Names, number};
use super::message::{Found, Item, finish};
use super::{Reason, Reject};
use crate::catalogue::Catalogue;

/// Finds the reading of an observation.
///
/// # Errors
/// If what it lies in has brought too many.
pub(super) fn decode<'d>(
    (topic, observation): (&'d str, Value<'d>),
    names: &Names,
    catalogue: &Catalogue,
    scratch: &mut Scratch,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    scratch.clear();
    let drafted = draft(topic, observation, names, catalogue, scratch).map(Some);
    let found = Found {
        place: &"",
        source: observation.source().as_bytes(),
    };
    finish(drafted, found, catalogue, scratch, take)
}

fn draft<'d>(
    topic: &'d str,
    observation: Value<'d>,
    names: &'d Names,
    catalogue: &Catalogue,
    scratch: &mut Scratch,
) -> Result<Draft<'d>, Reject> {
    if !observation.is_object() {
        let detail = format!(
            "an Observation is an object, and this is {}",
            observation.word()
        );
        return Err(Reject::new(Reason::NotAnObject, detail));
    }
    let arrival = || scratch.arrival(catalogue);
    let observed_at = observed_at(observation, arrival)?;
    let Scratch {
        texts, attributes, ..
    } = scratch;
    let datastream = datastream(topic, observation)?;
    let sensor = match names.sensors.get(datastream) {
        Some(ours) => Part::Payload(ours),
        None => {
            let name = Part::append(texts, format_args!("datastream-{datastream}"));
            names.sensor(name, texts)
        }
    };
    parameters(observation, attributes)?;
    let id = said(observation, "@iot.id")?.and_then(Value::as_word);
    Ok(Draft {
        id: id.map(Part::Payload),
        kind: names.kind(sensor.resolve(texts), datastream, catalogue),
        sensor: Some(sensor),
        observed_at: Some(observed_at),
        value: Some(result(observation, names)?),
        position: position(observation)?,
        ..Draft::default()
    })
}

/// The member, unless it is null.
fn said<'d>(object: Value<'d>, name: &str) -> Result<Option<Value<'d>>, Reject> {
    Ok(object.member(name)?.filter(|value| !value.is_null()))
}

/// The id of the Datastream, which the topic names, or else the observation.
fn datastream<'d>(topic: &'d str, observation: Value<'d>) -> Result<&'d str, Reject> {
    if let Some(id) = datastream_of(topic) {
        return Ok(id);
    }
    let id = match said(observation, "Datastream")? {
        Some(datastream) => said(datastream, "@iot.id")?.and_then(Value::as_word),
        None => None,
    };
    id.ok_or_else(|| {
        let detail = "neither the topic (…/Datastreams(5)/Observations) nor the observation \
                      (\"Datastream\":{\"@iot.id\":5}) names the Datastream";
        Reject::new(Reason::SensorMissing, detail)
    })
}

/// The id in `…/Datastreams(5)/Observations`; in quotes if it is a text. Who subscribes may have asked
/// for some members only: `…/Observations?$select=result,phenomenonTime` (section 14.2).
fn datastream_of(topic: &str) -> Option<&str> {
    let resource = topic
        .split_once('?')
        .map_or(topic, |(resource, _)| resource);
    let entity = resource.strip_suffix("/Observations")?;
    let (_, id) = entity.rsplit_once("Datastreams(")?;
    let id = id.strip_suffix(')')?;
    let quoted = id.strip_prefix('\'').and_then(|id| id.strip_suffix('\''));
    Some(quoted.unwrap_or(id)).filter(|id| !id.is_empty())
}

/// Section 8.2.7 allows any value: here a number, true or false, or a text that the mapping knows.
fn result(observation: Value<'_>, names: &Names) -> Result<f64, Reject> {
    let Some(result) = said(observation, "result")? else {
        return Err(Reject::new(Reason::ValueMissing, "result is left out"));
    };
    names.value("result", result)
}

/// When it was observed: the end of an interval; when it became known, if nothing else is said;
/// and the time of arrival, as a service assigns it (section 8.2.7).
fn observed_at(
    observation: Value<'_>,
    arrival: impl FnOnce() -> Timestamp,
) -> Result<Timestamp, Reject> {
    for name in ["phenomenonTime", "resultTime"] {
        let Some(time) = said(observation, name)? else {
            continue;
        };
        let text = time.text().unwrap_or_else(|| time.source());
        let end = text.rsplit('/').next().unwrap_or(text);
        return Timestamp::parse(end.as_bytes()).map_err(|error| {
            let detail = format!("{name}: {:?} is {error}", super::cut(text));
            Reject::new(Reason::ObservedAtInvalid, detail)
        });
    }
    Ok(arrival())
}

/// The place of a FeatureOfInterest that is a point of GeoJSON (section 8.2.8).
fn position(observation: Value<'_>) -> Result<Option<Position>, Reject> {
    let Some(interest) = said(observation, "FeatureOfInterest")? else {
        return Ok(None);
    };
    let Some(feature) = said(interest, "feature")? else {
        return Ok(None);
    };
    let geometry = said(feature, "geometry")?.unwrap_or(feature);
    let is_point = said(geometry, "type")?.and_then(Value::text) == Some("Point");
    let Some(place) = said(geometry, "coordinates")?.filter(|_| is_point) else {
        return Ok(None);
    };
    let degrees = place.elements().and_then(|mut elements| {
        let mut next = || elements.next()?.as_word().and_then(number);
        Some((next()?, next()?))
    });
    let position = degrees.and_then(|(lon, lat)| Position::from_degrees(lon, lat));
    position.map(Some).ok_or_else(|| {
        let detail = "FeatureOfInterest: is not longitude and latitude in degrees, on the globe";
        Reject::new(Reason::PositionInvalid, detail)
    })
}

/// What the observation says beside, as attributes.
fn parameters(observation: Value<'_>, attributes: &mut AttributesBuffer) -> Result<(), Reject> {
    let Some(parameters) = said(observation, "parameters")? else {
        return Ok(());
    };
    for (name, value) in parameters.members().into_iter().flatten() {
        let text = value.text().unwrap_or_else(|| value.source());
        if attributes.push(name, text).is_err() {
            let (count, bytes) = (Attributes::COUNT_MAX, Attributes::BYTES_MAX);
            let detail =
                format!("parameters: more than {count}, or longer than {bytes} bytes together");
            return Err(Reject::new(Reason::AttributesTooMany, detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
