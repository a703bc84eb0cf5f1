//! P5 where it takes the whole: what one part's bound means for the others.

use std::process::Stdio;

use serde_json::json;

use crate::stream::Stream;
use crate::support::{Server, Site, ioc, level, lines_of, river_city};

#[test]
fn p5_a_batch_is_closed_when_it_is_full() {
    let site = Site::new(&river_city());
    let mut command = site.command();
    command.env("IOC_JOURNAL_BATCH_RECORDS_MAX", "1");
    let server = Server::start(command);
    let batches = || server.metric("ioc_input_batches_total").unwrap_or(0.0);
    let before = batches();
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..10 {
                    let id = format!("{sender}-{n}");
                    let reading = level(&id, "wl-2", "2026-03-14T06:40:00Z", 1.0);
                    assert_eq!(server.post_readings(&[reading]).status, 200);
                }
            });
        }
    });
    let batches = batches() - before;
    assert!(batches >= 80.0, "{batches} batches of 80 requests");
}

#[tokio::test]
async fn p5_of_many_readings_at_once_some_are_shown() {
    let site = Site::new(&river_city());
    let server = site.start();
    let reading = |n: u32| {
        let sensor = format!("street-{n}");
        level(&format!("r-{n}"), &sensor, "2026-03-14T06:40:00Z", 1.0)
    };
    let readings: Vec<_> = (0..2000).map(reading).collect();
    assert_eq!(server.post_readings(&readings).status, 200);
    let mut stream = Stream::open(server.http, None, None).await;
    let snapshot = stream.next_of("snapshot").await;
    let shown = snapshot["readings"].as_array().unwrap().len();
    assert_eq!(shown, 512, "of 2000, all of which were judged");
    assert_eq!(snapshot["incidents"], json!([]));
}

#[test]
fn links_to_services_of_an_orchestrator_do_not_stop_a_server() {
    let site = Site::new(&river_city());
    let mut command = site.command();
    command
        .env("IOC_SERVICE_HOST", "10.0.0.11")
        .env("IOC_SERVICE_PORT_HTTP", "8080")
        .env("IOC_PORT", "tcp://10.0.0.11:8080")
        .env("IOC_PORT_8080_TCP_PROTO", "tcp")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let told = lines_of(process.stderr.take().unwrap());
    let warning = told.recv_timeout(crate::support::DEADLINE).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(warning.contains("IOC_PORT_8080_TCP_PROTO"), "{warning}");
    let refused = site.command().env("IOC_PORT", "8080").output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
}

#[test]
fn p5_of_many_flaws_the_first_are_told_and_all_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("flawed.jsonl");
    std::fs::write(&recording, "not a reading\n".repeat(25)).unwrap();
    let recording = recording.to_str().unwrap();
    // Nothing can be sent, so nobody needs to be there.
    let to = "http://127.0.0.1:1";
    let sent = ioc(&["send", "--fast", "--wait", "--to", to, recording]);
    let told = String::from_utf8(sent.stderr).unwrap();
    assert_eq!(told.matches("; not sent").count(), 10, "{told}");
    assert!(told.contains("25"), "{told}");
}

#[test]
fn p5_of_many_dead_letters_the_first_are_told_and_all_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("flawed.jsonl");
    std::fs::write(&recording, "{}\n".repeat(25)).unwrap();
    let judged = ioc(&["backtest", recording.to_str().unwrap()]);
    let told = String::from_utf8(judged.stderr).unwrap();
    assert_eq!(told.matches("dead letter: ").count(), 5, "{told}");
    assert!(told.contains("25 dead letters"), "{told}");
}
