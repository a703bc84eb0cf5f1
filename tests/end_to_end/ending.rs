//! How a server ends: asked at once, unheard, short of open files.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support::{
    DEADLINE, IOC, Server, Site, command_under, level, lines_of, river_city, wait_for,
};

#[test]
fn a_server_that_is_asked_to_end_as_soon_as_it_is_ready_ends_cleanly() {
    let site = Site::new(&river_city());
    for _ in 0..5 {
        assert!(site.start().stop().success());
    }
}

#[test]
fn a_server_whose_output_nobody_reads_any_more_goes_on_and_ends_cleanly() {
    let site = Site::new(&river_city());
    let mut command = site.command();
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stderr.take());
    let lines = lines_of(process.stdout.take().unwrap());
    let http = loop {
        let line = lines.recv_timeout(DEADLINE).expect("it says where it is");
        if let Some(address) = line.strip_prefix("listening http ") {
            break address.parse().unwrap();
        }
    };
    drop(lines);
    // Each request under a foreign name is worth a line of the log.
    for _ in 0..3 {
        let answer = crate::support::request(http, "GET", "/", &[("host", "evil.example")], b"");
        assert_eq!(answer.status, 403);
    }
    let pid = process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = wait_for("the server to end", || process.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}

/// `ioc run` as a process that has so many open files at first, and may have so many at most.
fn with_open_files(site: &Site, at_first: u32, at_most: u32) -> Command {
    let script = format!("ulimit -Sn {at_first} && ulimit -Hn {at_most} && exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, IOC]);
    command_under(shell, site)
}

#[test]
fn p5_connections_never_take_the_journals_open_files() {
    let site = Site::new(&river_city());
    let refused = with_open_files(&site, 200, 200).output().unwrap();
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("open files"));

    let server = Server::start(with_open_files(&site, 200, 8192));
    let mut held: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(server.http).unwrap())
        .collect();
    held.extend((0..300).map(|_| TcpStream::connect(server.mqtt).unwrap()));
    // More than two segments: each needs files of its own.
    let padding = "x".repeat(2000);
    for batch in 0..15 {
        let readings: Vec<_> = (0..100)
            .map(|n| {
                level(
                    &format!("{batch}-{n}-{}", &padding[..180]),
                    "wl-1",
                    "2026-03-14T06:40:00Z",
                    1.0,
                )
            })
            .map(|reading| reading.replace('}', &format!(r#","attributes":{{"x":"{padding}"}}}}"#)))
            .collect();
        assert_eq!(server.post_readings(&readings).status, 200);
    }
    drop(held);
    assert!(server.stop().success());
}
