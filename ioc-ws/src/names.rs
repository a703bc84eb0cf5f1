//! Names in what is to be kept quiet that nothing has: a slip that would go unseen, for keeping
//! nothing quiet looks the same.
//!
//! Arrives: what is meant, the city and its rules, who was heard. Leaves: a sentence about each name
//! that nobody knows, with the nearest that would have been right. Not here: whether the order is
//! followed, which is the core's to decide: sensors may come that are not registered.

use ioc_core::bundle::{Bundle, Zone};
use ioc_core::decision::{Matcher, Target};
use ioc_core::suggest::did_you_mean;

use crate::command::Order;
use crate::window::Shared;

/// What an order to keep something quiet means.
pub(crate) fn meant(order: &Order) -> Option<&Matcher> {
    match order {
        Order::Suppress(order) => match &order.target {
            Target::Detections(matcher) => Some(matcher),
            Target::Incident(_) => None,
        },
        Order::Acknowledge(_)
        | Order::About(_)
        | Order::Open(_)
        | Order::Operate(_)
        | Order::Resuppress(_) => None,
    }
}

/// What nobody knows of a city, if there is one: its names in sentences.
pub(crate) fn unknown(matcher: &Matcher, shared: &Shared) -> Option<String> {
    let bundle = shared.bundle()?;
    let heard = |name: &_| shared.kept.latest.of(name).is_some();
    let sensor = matcher.sensor.as_ref().filter(|name| !heard(name));
    let sensor = sensor.and_then(|name| no_sensor(name.as_str(), &bundle));
    let told: Vec<_> = sensor.into_iter().chain(others(matcher, &bundle)).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn no_sensor(name: &str, bundle: &Bundle) -> Option<String> {
    let sensors = bundle.city.sensors.iter();
    no_such(
        "sensor of the city",
        name,
        sensors.map(|own| own.id.as_str()),
    )
}

/// Zones, kinds and rules that there are not.
fn others(matcher: &Matcher, bundle: &Bundle) -> impl Iterator<Item = String> {
    let (zones, rules) = (&bundle.city.zones, &bundle.detections);
    let zone = matcher.zone.as_ref().and_then(|zone| {
        let is_named = |own: &&Zone| own.name.eq_ignore_ascii_case(zone.as_str());
        let told = no_such(
            "zone",
            zone.as_str(),
            zones.iter().map(|own| own.id.as_str()),
        )?;
        // People know a zone by its name.
        Some(match zones.iter().find(is_named) {
            Some(own) => format!("no zone has the id `{zone}`; did you mean `{}`?", own.id),
            None => told,
        })
    });
    let kind = matcher.kind.as_ref().and_then(|kind| {
        let kinds = rules.iter().map(|own| own.kind.as_str());
        no_such("kind that a rule is about", kind.as_str(), kinds)
    });
    let rule = matcher.rule.as_ref().and_then(|rule| {
        let names = rules.iter().map(|own| own.name.as_str());
        no_such("detection rule", rule.as_str(), names)
    });
    [zone, kind, rule].into_iter().flatten()
}

fn no_such<'a>(
    what: &str,
    name: &str,
    mut known: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    let near = known.clone();
    if known.any(|own| own == name) {
        return None;
    }
    Some(format!(
        "no {what} is called `{name}`{}",
        did_you_mean(name, near)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suppressions::{MatchText, matcher};

    #[test]
    fn what_nothing_is_called_is_told_with_the_nearest_name() {
        let mut bundle = crate::examples::bundle(&["wl-0412", "wl-0413"]);
        let zone = |id: &str, name: &str| Zone {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            parent: None,
            areas: Vec::new(),
        };
        bundle.city.zones = vec![zone("harbour", "Harbour"), zone("z21", "Old Town")];
        assert_eq!(no_sensor("wl-0412", &bundle), None);
        let slip = no_sensor("wl-9412", &bundle).unwrap();
        assert_eq!(
            slip,
            "no sensor of the city is called `wl-9412`; did you mean `wl-0412`?"
        );
        let told = |zone: &str| {
            let text = MatchText {
                zone: Some(zone.to_owned()),
                ..MatchText::default()
            };
            others(&matcher(&text).unwrap(), &bundle).collect::<Vec<_>>()
        };
        assert_eq!(told("harbour"), [""; 0]);
        let slip = "no zone is called `harbor`; did you mean `harbour`?";
        assert_eq!(told("harbor"), [slip]);
        bundle.city.zones[1].name = "Oldtown".to_owned();
        let text = MatchText {
            zone: Some("oldtown".to_owned()),
            kind: Some("water_level".to_owned()),
            ..MatchText::default()
        };
        let told: Vec<_> = others(&matcher(&text).unwrap(), &bundle).collect();
        assert_eq!(
            told,
            [
                "no zone has the id `oldtown`; did you mean `z21`?",
                "no kind that a rule is about is called `water_level`"
            ]
        );
    }
}
