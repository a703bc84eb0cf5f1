//! A flood: everything is said as fast as it is taken, for as long as `IOC_TEST_FLOOD_S` says, with
//! sensors that nobody knows among it, and a console that looks on. Nothing acknowledged is lost,
//! the console misses nothing, and neither memory nor disk grows with what was said.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ioc_core::time::{Millis, Timestamp};
use tokio::sync::watch;

use crate::publisher::Publisher;
use crate::stream::Stream;
use crate::support::{Server, Site, level, river_city, wait_for};

/// As many as a client may have under way.
const IN_FLIGHT_MAX: usize = 500;
/// What a server of this city may have in memory, whatever comes.
const RESIDENT_BYTES_MAX: f64 = (512 << 20) as f64;
/// How much of it may be added from a quarter of a long flood on: what a heap leaves between things.
const GROWTH_MAX: f64 = 1.25;
/// How long a flood must be for all that is bounded to be full by then.
const LONG: u64 = 600;
/// Both logs, and the segments that are being made.
const DISK_BYTES_MAX: u64 = 64 << 20;

/// Reading number `n`: two gauges take turns and are high for a while now and then; each hundredth is
/// of one of many that nobody knows.
fn reading(n: u64) -> (String, String) {
    let at = Timestamp::parse(b"2026-03-14T00:00:00Z").unwrap() + Millis::seconds(n as i64);
    let sensor = match n % 100 {
        0 => format!("stranger-{}", n / 100 % 20_000),
        odd => format!("wl-{}", 1 + odd % 2),
    };
    let value = if n % 7000 > 6000 { 3.7 } else { 1.2 };
    let reading = level(&format!("r{n}"), &sensor, &at.to_string(), value);
    (sensor, reading)
}

/// What a process has in memory, in bytes.
fn resident(server: &Server) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1024.0
}

fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => bytes_below(&path),
            // A segment may have gone since.
            false => path.metadata().map_or(0, |about| about.len()),
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p4_p5_a_flood_loses_nothing_and_takes_no_more_room_the_longer_it_lasts() {
    let seconds = std::env::var("IOC_TEST_FLOOD_S").map_or(8, |text| text.parse().unwrap());
    let site = Site::new(&river_city());
    let mut command = site.command();
    command
        .env("IOC_SNAPSHOTS_RECORDS", "20000")
        .env("IOC_RETENTION_INPUTS_BYTES", "16MiB")
        .env("IOC_RETENTION_DECISIONS_BYTES", "4MiB");
    let server = Server::start(command);
    let mut stream = Stream::open(server.http, None, None).await;
    let (tell, mut told) = watch::channel(None);
    let console = tokio::spawn(async move {
        let mut seen = 0;
        while told.borrow().is_none_or(|last| stream.place.seq < last) {
            tokio::select! {
                // Its frames follow one another without a gap, or this panics.
                decisions = stream.next_decisions() => seen += decisions.len(),
                _ = told.changed() => {}
            }
        }
        seen
    });
    let mut publisher = Publisher::connect(server.mqtt).unwrap();
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let (mut next, mut acknowledged, mut early) = (0, 0, None);
    while Instant::now() < until {
        while publisher.in_flight.len() < IN_FLIGHT_MAX {
            let (sensor, reading) = reading(next);
            publisher.publish(&sensor, "", &reading).unwrap();
            next += 1;
        }
        publisher.acknowledged().unwrap();
        acknowledged += 1;
        if early.is_none() && began.elapsed() >= Duration::from_secs(seconds) / 4 {
            early = Some(resident(&server));
        }
    }
    while !publisher.in_flight.is_empty() {
        publisher.acknowledged().unwrap();
        acknowledged += 1;
    }
    assert_eq!(acknowledged, next);
    let judged = "ioc_judged_total{step=\"readings_judged\"}";
    wait_for("all that was acknowledged to be judged", || {
        (server.metric(judged) == Some(next as f64)).then_some(())
    });
    let (early, late) = (early.unwrap(), resident(&server));
    assert!(late < RESIDENT_BYTES_MAX, "{late} bytes");
    let is_flat = late < early * GROWTH_MAX || seconds < LONG;
    assert!(is_flat, "{early} bytes, then {late}");
    let disk = bytes_below(&site.data());
    assert!(disk < DISK_BYTES_MAX, "{disk} bytes");
    let last = server.get_json("/api/v1/decisions?limit=1")["seq"].as_u64();
    tell.send(last).unwrap();
    let seen = console.await.unwrap();
    println!("{next} readings, {seen} decisions, {late:.0} bytes resident, {disk} on disk");
    assert!(server.stop().success());
}
