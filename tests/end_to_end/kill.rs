//! `kill -9` in a loop while publishing: nothing acknowledged is lost, nothing is judged twice, no
//! number is given twice. `IOC_TEST_KILLS` says how often.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ioc_core::time::{Millis, Timestamp};
use serde_json::Value;

use crate::publisher::{Publisher, Quality};
use crate::stream::Stream;
use crate::support::{Site, ioc, json_lines, level, river_city};

const IN_FLIGHT_MAX: usize = 200;

/// Reading number `n`: two gauges take turns, and now and then one of them is high for a while.
pub fn reading(n: usize) -> (&'static str, String, String) {
    let sensor = if n.is_multiple_of(2) { "wl-1" } else { "wl-2" };
    let at = Timestamp::parse(b"2026-03-14T00:00:00Z").unwrap() + Millis::seconds(30 * n as i64);
    let high = n % 700 > 600;
    let id = format!("r{n}");
    let reading = level(&id, sensor, &at.to_string(), if high { 3.7 } else { 1.2 });
    (sensor, id, reading)
}

/// Publishes from the first unacknowledged reading on until `enough` are acknowledged.
pub fn publish(
    to: std::net::SocketAddr,
    acked: &mut BTreeSet<String>,
    enough: usize,
) -> io::Result<()> {
    publish_at(Quality::AtLeastOnce, to, acked, enough)
}

fn publish_at(
    quality: Quality,
    to: std::net::SocketAddr,
    acked: &mut BTreeSet<String>,
    enough: usize,
) -> io::Result<()> {
    let mut next = acked.len();
    let mut publisher = Publisher::connect_at(to, quality)?;
    while acked.len() < enough {
        while publisher.in_flight.len() < IN_FLIGHT_MAX {
            let (sensor, id, reading) = reading(next);
            publisher.publish(sensor, &id, &reading)?;
            next += 1;
        }
        acked.insert(publisher.acknowledged()?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p3_p4_kill_9_in_a_loop_loses_repeats_and_renumbers_nothing() {
    let kills = std::env::var("IOC_TEST_KILLS").map_or(8, |text| text.parse().unwrap());
    let site = Site::new(&river_city());
    let mut acked = BTreeSet::new();
    let mut seen: BTreeMap<u64, Value> = BTreeMap::new();
    let mut place = None;
    for round in 0..kills {
        let server = site.start();
        let mut stream = Stream::open(server.http, None, place.as_ref()).await;
        // Somewhere in the middle of what is in flight, another place each round.
        let enough = acked.len() + 500 + 137 * (round % 5);
        // What was in flight in one quality comes again in the other.
        let quality = match round % 2 {
            0 => Quality::AtLeastOnce,
            _ => Quality::ExactlyOnce,
        };
        publish_at(quality, server.mqtt, &mut acked, enough).unwrap();
        while stream.welcome["seq"].as_u64() > Some(stream.place.seq) {
            for decision in stream.next_decisions().await {
                let seq = decision["seq"].as_u64().unwrap();
                let before = seen.insert(seq, decision.clone());
                assert!(
                    before.is_none_or(|before| before == decision),
                    "P4: {seq} changed"
                );
            }
        }
        place = Some(stream.place.clone());
        server.kill();
    }
    assert!(
        seen.len() > 50,
        "a console that comes back sees what it missed"
    );
    assert!(site.start().stop().success());

    let decisions = check_judged_once(&site, &acked);
    for (place, decision) in decisions.iter().enumerate() {
        assert_eq!(decision["seq"], place as u64 + 1, "numbers are consecutive");
    }
    for (seq, decision) in &seen {
        assert_eq!(
            &decisions[*seq as usize - 1],
            decision,
            "what was seen is what stands"
        );
    }
}

/// Checks that all these readings are journaled and none is evidence twice; the decisions.
pub fn check_judged_once(site: &Site, acked: &BTreeSet<String>) -> Vec<Value> {
    let data = site.data();
    let dump = json_lines(&ioc(&["journal", "dump", data.to_str().unwrap()]).stdout);
    let (records, decisions): (Vec<_>, Vec<_>) = dump
        .into_iter()
        .partition(|line| line.get("type").is_none());
    let readings = records
        .iter()
        .filter_map(|record| record["reading"]["id"].as_str());
    let journaled: BTreeSet<_> = readings.map(str::to_owned).collect();
    let lost: Vec<_> = acked.difference(&journaled).collect();
    assert!(lost.is_empty(), "P1: acknowledged and lost: {lost:?}");

    // A finding about a sensor cites what it was found by, and so does the incident.
    let of_incidents = decisions
        .iter()
        .filter(|decision| decision["incident"].is_object());
    let mut evidence: Vec<_> = of_incidents
        .flat_map(|decision| decision["cause"]["events"].as_array().into_iter().flatten())
        .map(|event| event.as_str().unwrap().to_owned())
        .collect();
    let all = evidence.len();
    evidence.sort();
    evidence.dedup();
    assert_eq!(
        evidence.len(),
        all,
        "P3: a redelivered reading is evidence once"
    );
    let abnormal = acked
        .iter()
        .filter(|id| id[1..].parse::<usize>().unwrap() % 700 > 600)
        .count();
    assert!(all >= abnormal.saturating_sub(2), "{all} of {abnormal}");
    decisions
}
