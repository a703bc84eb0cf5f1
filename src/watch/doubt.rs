//! Whether what is asked for can ever be shown: a misspelt filter would stay silent for ever.
//!
//! Arrives: the zones of the filter, and the server's city (`GET /api/v1/city`). Leaves: a note on
//! each zone that the city does not have, with the nearest one that it has. A server that does not
//! answer, or has no city, raises no doubt. Nothing is refused: a zone may come with a new city.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::args::Address;
use crate::ask::Ask;
use crate::config::suggest::did_you_mean;

const CITY_PATH: &str = "/api/v1/city";
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What the filter calls the outside of all zones.
const OUTSIDE: &str = "_";

/// A note on each of these zones that the server's city does not have.
pub(super) async fn of_zones(address: &Address, wanted: &[&str]) -> Vec<String> {
    if wanted.iter().all(|zone| *zone == OUTSIDE) {
        return Vec::new();
    }
    match timeout(ANSWER_WITHIN, fetch_zones(address)).await {
        Ok(Some(zones)) => unknown(wanted, &zones),
        Ok(None) | Err(_) => Vec::new(),
    }
}

fn unknown(wanted: &[&str], zones: &[String]) -> Vec<String> {
    let is_known = |zone: &str| zone == OUTSIDE || zones.iter().any(|known| known == zone);
    let doubt = |zone: &&str| {
        let names = zones.iter().map(String::as_str);
        let or_which = match did_you_mean(zone, names) {
            nearest if nearest.is_empty() => format!("; its zones: {}", zones.join(", ")),
            nearest => nearest,
        };
        format!("the server's city has no zone `{zone}`{or_which}")
    };
    let unknown = wanted.iter().filter(|zone| !is_known(zone));
    unknown.map(doubt).collect()
}

/// The ids of the city's zones; `None` if there are none, or no answer.
async fn fetch_zones(address: &Address) -> Option<Vec<String>> {
    let (status, city) = Ask::get(CITY_PATH).exchange(address).await.ok()?;
    let zones = (status == 200).then(|| zones_of(&city))??;
    (!zones.is_empty()).then_some(zones)
}

#[derive(Deserialize)]
struct City {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    id: Option<Value>,
    properties: Option<Value>,
}

fn zones_of(geojson: &[u8]) -> Option<Vec<String>> {
    let city: City = serde_json::from_slice(geojson).ok()?;
    let is_zone = |feature: &Feature| {
        let properties = feature.properties.as_ref();
        properties.is_some_and(|properties| properties["type"] == "zone")
    };
    let id = |feature: Feature| Some(feature.id?.as_str()?.to_owned());
    Some(
        city.features
            .into_iter()
            .filter(is_zone)
            .filter_map(id)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    #[test]
    fn a_zone_that_the_city_does_not_have_is_told_with_the_nearest() {
        let city = br#"{"type":"FeatureCollection","features":[
            {"type":"Feature","id":"riverside","properties":{"type":"zone"},"geometry":null},
            {"type":"Feature","id":"harbour","properties":{"type":"zone"},"geometry":null},
            {"type":"Feature","id":"wl-1","properties":{"type":"sensor"},"geometry":null}]}"#;
        let zones = zones_of(city).unwrap();
        assert_eq!(zones, ["riverside", "harbour"]);
        assert_eq!(
            unknown(&["harbour", "_", "rivreside", "nowhere"], &zones),
            [
                "the server's city has no zone `rivreside`; did you mean `riverside`?",
                "the server's city has no zone `nowhere`; its zones: riverside, harbour",
            ]
        );
    }

    /// What is doubted of a zone called `nowhere` where this answers for the city.
    async fn doubts(answer: (StatusCode, &'static str)) -> Vec<String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        let routes = axum::Router::new().route(CITY_PATH, get(move || async move { answer }));
        let serving = tokio::spawn(axum::serve(listener, routes).into_future());
        let doubts = of_zones(&address, &["nowhere"]).await;
        serving.abort();
        doubts
    }

    #[tokio::test]
    async fn the_servers_city_says_which_zones_there_are() {
        let city = r#"{"features":[{"id":"harbour","properties":{"type":"zone"}}]}"#;
        assert_eq!(
            doubts((StatusCode::OK, city)).await,
            ["the server's city has no zone `nowhere`; its zones: harbour"]
        );
        let no_city = (StatusCode::NOT_FOUND, r#"{"code":"no_city"}"#);
        assert!(doubts(no_city).await.is_empty());
    }

    #[tokio::test]
    async fn p5_a_city_beyond_the_bound_is_not_read() {
        let start = r#"{"features":[{"id":"harbour","properties":{"type":"zone"}}]}"#;
        let long = format!("{start}{}", " ".repeat(crate::ask::ANSWER_BYTES_MAX));
        assert!(doubts((StatusCode::OK, long.leak())).await.is_empty());
    }
}
