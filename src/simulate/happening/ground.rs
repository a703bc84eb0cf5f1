//! An earthquake: one shock, perhaps a weaker one some minutes later, felt in the whole city and
//! more so near its middle. It may set off gas leaks and an outage.

use super::super::chance::Chance;
use super::super::map::{CityMap, Site};
use super::super::normal::Physics;
use super::{CallsAbout, Effect, Happening, HappeningKind, Moment, Observation};

/// The peak falls to about a third over this distance.
const FELT_M: f64 = 12_000.0;

/// An earthquake.
#[derive(Debug, Clone)]
pub(super) struct Quake {
    at: Site,
    /// When, and the peak in the middle, in g.
    shocks: Vec<(f64, f64)>,
}

impl Quake {
    pub(super) fn draw(from_s: f64, map: &CityMap, chance: &mut Chance) -> Option<Happening> {
        let stations = map.of(Physics::Seismic);
        let station = map.sensors[*chance.pick(&stations)?].site;
        let at = station.moved(chance.between(-4e3, 4e3), chance.between(-4e3, 4e3));
        let mut shocks = vec![(from_s, chance.between(0.14, 0.3))];
        if chance.happens(0.5) {
            shocks.push((
                from_s + chance.between(180.0, 480.0),
                chance.between(0.05, 0.1),
            ));
        }
        let mut consequences = Vec::new();
        for (kind, probability) in [
            (HappeningKind::Gas, 0.8),
            (HappeningKind::Gas, 0.4),
            (HappeningKind::Outage, 0.6),
        ] {
            if chance.happens(probability) {
                consequences.push((from_s + chance.between(60.0, 240.0), kind));
            }
        }
        let places: Vec<Site> = map.sensors.iter().map(|sensor| sensor.site).collect();
        let calls = CallsAbout {
            category: "earthquake",
            text: "the building shook",
            count: (14.0, 26.0),
            between_s: (from_s + 10.0, from_s + 420.0),
            within_m: 400.0,
        };
        let last_s = shocks.last().map_or(from_s, |(at_s, _)| *at_s);
        Some(Happening {
            kind: HappeningKind::Quake,
            // Long enough for every station to have said its peak.
            until_s: last_s + 600.0,
            calls: calls.draw(&places, chance),
            consequences,
            effect: Effect::Quake(Self { at, shocks }),
        })
    }

    /// A station says the peak since it last spoke.
    pub(super) fn touch(&self, moment: Moment<'_>, seen: &mut Observation) {
        if moment.sensor.physics != Physics::Seismic {
            return;
        }
        let felt = (-moment.sensor.site.distance_m(self.at) / FELT_M).exp();
        for (at_s, peak) in &self.shocks {
            if (0.0..moment.period_s * 1.1).contains(&(moment.at_s - at_s)) {
                seen.value = seen.value.max(peak * felt);
            }
        }
    }
}
