use std::collections::BTreeMap;

use ioc_core::time::Timestamp;

use super::super::happening::HappeningKind;
use super::super::normal::Physics;
use super::*;

const MINUTE_US: i64 = 60_000_000;

fn city(seed: u64, happenings: &str) -> City {
    let options = CityOptions {
        seed,
        happenings: happenings.parse().unwrap(),
        chattiness: 1.0,
    };
    City::new(Arc::new(CityMap::compiled_in()), options)
}

/// The first reading beyond its warning, by sensor.
fn first_abnormal(city: &mut City, minutes: i64) -> BTreeMap<usize, i64> {
    let map = Arc::clone(&city.map);
    let mut first = BTreeMap::new();
    for reading in city.readings_until(minutes * MINUTE_US) {
        if let Said::Measured { sensor, value } = reading.said
            && map.sensors[sensor].is_abnormal(value)
        {
            first.entry(sensor).or_insert(reading.observed_us);
        }
    }
    first
}

#[test]
fn the_same_seed_gives_the_same_readings_however_time_is_stepped() {
    let whole: Vec<_> = city(7, "all").readings_until(60 * MINUTE_US).collect();
    let mut stepped_city = city(7, "all");
    let mut stepped = Vec::new();
    let mut until_us = 0;
    while until_us < 60 * MINUTE_US {
        until_us = (until_us + 777_001).min(60 * MINUTE_US);
        stepped.extend(stepped_city.readings_until(until_us));
    }
    assert!(whole.len() > 10_000);
    assert_eq!(whole, stepped);
    let other: Vec<_> = city(8, "all").readings_until(60 * MINUTE_US).collect();
    assert_ne!(whole, other);
}

#[test]
fn a_city_where_nothing_happens_stays_below_every_warning() {
    for seed in 0..3 {
        let abnormal = first_abnormal(&mut city(seed, "none"), 24 * 60);
        assert!(abnormal.is_empty(), "seed {seed}: {abnormal:?}");
    }
}

#[test]
fn every_sensor_speaks_as_often_as_it_is_registered_to() {
    let mut city = city(3, "none");
    let mut counts = BTreeMap::new();
    for reading in city.readings_until(60 * MINUTE_US) {
        if let Said::Measured { sensor, .. } = reading.said {
            *counts.entry(sensor).or_insert(0) += 1;
        }
    }
    for (index, sensor) in city.map.sensors.iter().enumerate() {
        let expected = (3600.0 / sensor.interval_s) as i32;
        assert!(
            (expected - 1..=expected).contains(&counts[&index]),
            "{}",
            sensor.id
        );
    }
}

#[test]
fn a_flood_comes_as_rain_then_down_the_river_then_into_the_streets() {
    for seed in 0..5 {
        let mut city = city(seed, "flood");
        let first = first_abnormal(&mut city, 90);
        let of = |physics| -> Vec<(usize, i64)> {
            let wanted = |index: &usize| city.map.sensors[*index].physics == physics;
            first
                .iter()
                .map(|(i, at)| (*i, *at))
                .filter(|(i, _)| wanted(i))
                .collect()
        };
        let earliest = |physics| of(physics).into_iter().map(|(_, at_us)| at_us).min();
        let rain = earliest(Physics::Rainfall).expect("rain");
        let river = earliest(Physics::WaterLevel).expect("a gauge rises");
        let street = earliest(Physics::StreetWater).expect("a street is wet");
        assert!(
            (5..=25).contains(&((river - rain) / MINUTE_US)),
            "seed {seed}"
        );
        assert!(street > river, "seed {seed}");
        gauges_rise_downstream(&city, seed, &of(Physics::WaterLevel));
    }
}

fn gauges_rise_downstream(city: &City, seed: u64, risen: &[(usize, i64)]) {
    assert!(risen.len() >= 2, "seed {seed}: only {} gauges", risen.len());
    let reach = |sensor: usize| city.map.sensors[sensor].bank.unwrap().reach;
    for (upper, upper_at) in risen {
        for (lower, lower_at) in risen {
            // Gauges closer than the wave runs between two readings may swap.
            let run_m = city.map.downstream_m(reach(*upper), reach(*lower));
            if run_m.is_some_and(|run_m| run_m > 1500.0) {
                assert!(lower_at >= upper_at, "seed {seed}");
            }
        }
    }
}

#[test]
fn an_outage_darkens_what_the_feeder_supplies_and_nothing_else() {
    let mut city = city(2, "outage");
    let first = first_abnormal(&mut city, 40);
    let feeder = *first
        .keys()
        .find(|index| city.map.sensors[**index].physics == Physics::Feeder)
        .expect("a feeder falls");
    assert!(first.len() > 2);
    for index in first.keys().filter(|index| **index != feeder) {
        assert_eq!(city.map.sensors[*index].fed_by, Some(feeder));
    }
}

#[test]
fn each_kind_of_happening_shows_at_the_sensors_that_measure_it() {
    for (word, physics) in [
        ("flood", Physics::WaterLevel),
        ("fire", Physics::Smoke),
        ("crash", Physics::TrafficSpeed),
        ("outage", Physics::Feeder),
        ("quake", Physics::Seismic),
        ("gas", Physics::Gas),
        ("crowd", Physics::CrowdDensity),
    ] {
        let mut city = city(5, word);
        let first = first_abnormal(&mut city, 24 * 60);
        let shows = first
            .keys()
            .any(|index| city.map.sensors[*index].physics == physics);
        assert!(shows, "{word}");
    }
    assert_eq!(HappeningKind::ALL.len(), 8);
}

#[test]
fn what_happens_is_called_in_near_where_it_happens() {
    let mut city = city(4, "fire");
    let calls = city.readings_until(15 * MINUTE_US).filter(|reading| {
        matches!(
            reading.said,
            Said::Called {
                text: "smoke and flames",
                ..
            }
        )
    });
    assert!(calls.count() >= 2);
}

#[test]
fn a_chatty_city_sends_as_much_as_it_is_asked_to() {
    let options = CityOptions {
        seed: 1,
        happenings: Happenings::ALL,
        chattiness: 1000.0,
    };
    let mut city = City::new(Arc::new(CityMap::compiled_in()), options);
    let expected = city.readings_per_s() * 10.0;
    let count = city.readings_until(10_000_000).count() as f64;
    assert!(
        (count / expected - 1.0).abs() < 0.05,
        "{count} of {expected}"
    );
}

#[test]
fn a_reading_is_a_native_reading() {
    let mut city = city(1, "all");
    let map = Arc::clone(&city.map);
    let origin = Timestamp::parse(b"2026-03-14T06:00:00Z").unwrap();
    for reading in city.readings_until(10 * MINUTE_US) {
        let json: serde_json::Value =
            serde_json::from_slice(&reading.to_json(&map, origin)).unwrap();
        assert_eq!(json["sensor"], reading.sensor(&map));
        assert!(json["value"].is_number() && json["position"][1].is_number());
        let observed_at = json["observed_at"].as_str().unwrap();
        assert!(Timestamp::parse(observed_at.as_bytes()).unwrap() >= origin);
    }
}
