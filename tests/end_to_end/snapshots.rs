//! Starts from a snapshot: the city is as it was, and what came before need not be there any more.

use std::fs;

use ioc_core::time::{Millis, Timestamp};
use serde_json::Value;

use crate::stream::Stream;
use crate::support::{Server, Site, high_water, ioc, level, river_city, wait_for};

/// Readings of a gauge that says nothing of interest, from number `from` on.
pub fn calm(from: usize, count: usize) -> Vec<String> {
    let at = Timestamp::parse(b"2026-03-14T06:50:00Z").unwrap();
    let reading = |n: usize| {
        let at = at + Millis::seconds(n as i64);
        level(&format!("calm-{n}"), "wl-2", &at.to_string(), 1.0)
    };
    (from..from + count).map(reading).collect()
}

/// Waits for a snapshot as of a record after this one; returns which.
pub fn snapshot_after(server: &Server, record: u64) -> u64 {
    let through = || server.metric("ioc_snapshot_through").map(|at| at as u64);
    wait_for("a snapshot", || through().filter(|at| *at > record))
}

/// What consoles and REST show, apart from when it was asked for.
fn shown(server: &Server) -> (Value, Value, Value) {
    let incidents = server.get_json("/api/v1/incidents");
    let id = incidents["incidents"][0]["id"].as_str().unwrap();
    let one = server.get_json(&format!("/api/v1/incidents/{id}"));
    let letters = server.get_json("/api/v1/dead-letters");
    (incidents["incidents"].clone(), one, letters)
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_p4_after_kill_9_a_start_from_a_snapshot_shows_the_same_city() {
    let site = Site::new(&river_city());
    let server = site.start();
    let stream = Stream::open(server.http, None, None).await;
    server.post_readings(&high_water());
    server.post_readings(&["no reading".to_owned()]);
    server.post_readings(&calm(0, 400));
    // A snapshot is made where the batch after it says that all is well.
    server.post_readings(&calm(400, 10));
    snapshot_after(&server, 100);
    server.post_readings(&calm(410, 5));
    let before = shown(&server);
    server.kill();
    let server = site.start();
    assert_eq!(shown(&server), before);
    let said = wait_for("what was said last to be known again", || {
        let sensor = server.get_json("/api/v1/sensors/wl-2")["sensor"].clone();
        sensor["value"].is_f64().then_some(sensor)
    });
    assert_eq!(said["value"], 1.0);
    // Consoles have it by now too.
    let mut console = Stream::open(server.http, None, None).await;
    let picture = console.next_of("snapshot").await;
    let heard = picture["readings"].as_array().unwrap();
    let is_known = heard.iter().any(|each| each["sensor"] == "wl-2");
    assert!(is_known, "{heard:?}");
    // In the second segment now: the first one is not needed any more.
    server.post_readings(&calm(415, 400));
    server.post_readings(&calm(815, 10));
    snapshot_after(&server, 500);
    let before = shown(&server);
    server.kill();

    fs::remove_file(site.data().join("inputs").join(format!("{:020}.log", 1))).unwrap();
    let server = site.start();
    assert_eq!(shown(&server), before);
    let again = Stream::open(server.http, None, Some(&stream.place)).await;
    assert!(again.welcome["seq"].as_u64() > Some(0));
    let low = |n: i64| {
        let at = Timestamp::parse(b"2026-03-14T08:00:00Z").unwrap() + Millis::minutes(10 * n);
        level(&format!("low-{n}"), "wl-1", &at.to_string(), 1.0)
    };
    server.post_readings(&(0..30).map(low).collect::<Vec<_>>());
    wait_for("the flood to clear", || {
        let incidents = server.incidents();
        (incidents[0]["condition"] == "cleared").then_some(())
    });
    assert!(server.stop().success());
}

#[test]
fn a_snapshot_is_made_though_nothing_more_comes() {
    let site = Site::new(&river_city());
    let mut command = site.command();
    command.env("IOC_SNAPSHOTS_EVERY_S", "1");
    let server = Server::start(command);
    server.post_readings(&high_water());
    server.post_readings(&calm(0, 20));
    // Where the host said that it started and which rules hold, and all that was posted.
    snapshot_after(&server, 23);
    server.kill();
}

/// The numbers of the first records of the segments that a log has.
fn segments(site: &Site, log: &str) -> Vec<u64> {
    let dir = fs::read_dir(site.data().join(log)).unwrap();
    let names = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut firsts: Vec<u64> = names
        .filter_map(|name| name.strip_suffix(".log")?.parse().ok())
        .collect();
    firsts.sort_unstable();
    firsts
}

#[test]
fn p1_what_is_kept_no_longer_goes_and_nothing_needed_does() {
    let site = Site::new(&river_city());
    let start = || {
        let mut command = site.command();
        command.env("IOC_RETENTION_INPUTS_BYTES", "1MiB");
        Server::start(command)
    };
    let server = start();
    server.post_readings(&high_water());
    for round in 0..20 {
        server.post_readings(&calm(1000 * round, 1000));
    }
    wait_for("the first segments to go", || {
        server.post_readings(&calm(40_000, 1));
        (segments(&site, "inputs")[0] > 1).then_some(())
    });
    let incidents = server.incidents();
    server.kill();
    let server = start();
    assert_eq!(server.incidents(), incidents, "the flood still stands");
    assert_eq!(segments(&site, "decisions")[0], 1, "decisions are kept");
    assert!(server.stop().success());
    let data = site.data();
    let verified = ioc(&["journal", "verify", data.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{told}");
    assert!(told.contains("both logs are whole"), "{told}");
}
