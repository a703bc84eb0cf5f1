//! The load tools: what they send arrives, and what they measure is what a sensor would feel.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::nats::Nats;
use crate::proxy::Proxy;
use crate::support::{IOC, ioc, level, wait_for};

/// A recording of so many lines, of ten gauges.
fn recording(lines: usize) -> (TempDir, PathBuf) {
    let line = |n: usize| {
        let at = format!(
            "2026-03-14T{:02}:{:02}:{:02}Z",
            n / 3600,
            n / 60 % 60,
            n % 60
        );
        level(&format!("r{n}"), &format!("wl-{}", n % 10), &at, 1.0) + "\n"
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recording.jsonl");
    std::fs::write(&path, (0..lines).map(line).collect::<String>()).unwrap();
    (dir, path)
}

fn send(to: &str, args: &[&str], recording: &Path) -> Command {
    let mut command = Command::new(IOC);
    command
        .args(["send", "--to", to, "--json"])
        .args(args)
        .arg(recording)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What it came to.
fn came_to(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("p99.9"), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn p3_what_is_sent_to_a_stream_is_kept_once_though_the_link_is_cut() {
    const LINES: usize = 8000;
    let server = Nats::start();
    let proxy = Proxy::new(server.address);
    let to = format!("nats://{}", proxy.address);
    let (_dir, path) = recording(LINES);
    let args = [
        "--stream",
        "READINGS",
        "--rate",
        "4000",
        "--inflight",
        "200",
    ];
    let mut sending = send(&to, &args, &path).spawn().unwrap();
    for kept in [1000, 2500, 4000] {
        wait_for("some to be kept", || {
            (server.kept("READINGS") >= kept).then_some(())
        });
        proxy.cut();
    }
    let ended = wait_for("all to be sent", || sending.try_wait().unwrap());
    let mut said = String::new();
    sending.stderr.unwrap().read_to_string(&mut said).unwrap();
    assert!(ended.success(), "{said}");
    assert!(said.contains("8,000 acknowledged"), "{said}");
    assert_eq!(server.kept("READINGS"), LINES as u64);
}

#[test]
fn a_stream_that_nobody_made_is_a_failure_that_says_what_to_do() {
    let server = Nats::start();
    let (_dir, path) = recording(10);
    let to = format!("nats://{}", server.address);
    let refused = send(&to, &["--fast"], &path).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("--stream"),
        "{said}"
    );
    // To core subjects, nobody need keep it.
    let sent = send(&to, &["--fast", "--qos", "0"], &path)
        .output()
        .unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let made = ioc(&["streams", "--to", &to]);
    assert!(made.status.success(), "{made:?}");
    let sent = came_to(&mut send(&to, &["--fast"], &path));
    assert_eq!(sent["acknowledged"], 10);
    assert_eq!(server.kept("READINGS"), 10);
}

/// The numbers are those of the recording, however early it was given up.
#[test]
fn what_is_told_of_a_recording_that_nobody_keeps_is_of_all_its_lines() {
    let server = Nats::start();
    let (_dir, path) = recording(20_000);
    let to = format!("nats://{}", server.address);
    let refused = send(&to, &["--fast"], &path).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains(" of 20,000 lines sent"),
        "{said}"
    );
    let report: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(report["lines"], 20_000);
    assert_eq!(
        (&report["acknowledged"], &report["not_acknowledged"]),
        (&0.into(), &20_000.into())
    );
    // Of a pipe that may never end, those that were read.
    let mut command = send(&to, &["--fast"], Path::new("-"));
    let piped = command
        .stdin(std::fs::File::open(&path).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&piped.stderr);
    assert!(
        !piped.status.success() && said.contains(" of the first "),
        "{said}"
    );
}

/// A broker that takes its time over each message.
fn slow_broker(each: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        // The first only looks whether somebody listens.
        for socket in listener.incoming() {
            answer_slowly(socket.unwrap(), each);
        }
    });
    address
}

fn answer_slowly(mut socket: TcpStream, each: Duration) {
    while let Some((kind, body)) = packet(&mut socket) {
        let answer = match kind {
            1 => vec![0x20, 2, 0, 0],
            3 => {
                thread::park_timeout(each);
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                vec![0x40, 2, body[2 + topic], body[3 + topic]]
            }
            _ => return,
        };
        if socket.write_all(&answer).is_err() {
            return;
        }
    }
}

/// The kind and the body of an MQTT packet.
fn packet(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    socket.read_exact(&mut byte).ok()?;
    let kind = byte[0] >> 4;
    let (mut length, mut shift) = (0, 0);
    loop {
        socket.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).ok()?;
    Some((kind, body))
}

#[test]
fn a_receiver_that_falls_behind_cannot_look_quick() {
    const LINES: usize = 50;
    const EACH: Duration = Duration::from_millis(10);
    let (_dir, path) = recording(LINES);
    let to = format!("mqtt://{}", slow_broker(EACH));
    let paced = came_to(&mut send(
        &to,
        &["--rate", "1000", "--inflight", "1"],
        &path,
    ));
    // The last was to leave after 49 ms, and could not before the others had been answered.
    let at_least_us = EACH.as_micros() as u64 * LINES as u64 - 50_000;
    let latency = &paced["latency_us"];
    assert!(latency["max"].as_u64().unwrap() >= at_least_us, "{paced}");
    assert!(
        latency["p50"].as_u64().unwrap() >= at_least_us / 3,
        "{paced}"
    );
    assert_eq!(paced["acknowledged"], LINES);
}
