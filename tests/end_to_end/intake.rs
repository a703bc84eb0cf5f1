//! The HTTP intake as its clients use it: curl, `ioc send`, bodies without end, keys.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{DEADLINE, Server, Site, ioc, level, request, river_city, tool, wait_for};

/// Readings of a gauge a second apart.
fn readings(count: usize) -> String {
    (0..count)
        .map(|n| {
            let at = format!(
                "2026-03-14T{:02}:{:02}:{:02}Z",
                n / 3600,
                n / 60 % 60,
                n % 60
            );
            level(&format!("r{n}"), "wl-1", &at, 1.0) + "\n"
        })
        .collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const PACKED_LINES: [(&str, &str); 2] = [
    ("content-type", "application/x-ndjson"),
    ("content-encoding", "gzip"),
];

#[test]
fn p3_a_packed_body_that_is_posted_again_is_accepted_again_and_judged_once() {
    const COUNT: usize = 60_000;
    let site = Site::new(&river_city());
    let server = site.start();
    let packed = gzip(&readings(COUNT));
    for _ in 0..2 {
        let answer = request(
            server.http,
            "POST",
            "/api/v1/readings",
            &PACKED_LINES,
            &packed,
        );
        let begin = format!("{{\"accepted\":{COUNT},\"dead_lettered\":0,");
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with(&begin), "{}", &answer.body[..200]);
    }
    let judged = |step: &str| server.metric(&format!("ioc_judged_total{{step=\"{step}\"}}"));
    wait_for("all to be judged", || {
        // What is counted is told with the batches that come.
        server.post_readings(&[level("last", "wl-2", "2026-03-15T00:00:00Z", 1.0)]);
        let [known, beyond] = ["readings_duplicate", "readings_beyond_memory"].map(judged);
        let again = known.unwrap_or_default() + beyond.unwrap_or_default();
        (again >= COUNT as f64).then_some(())
    });
}

#[test]
fn p1_each_line_of_a_conversation_is_on_disk_when_it_is_answered() {
    let site = Site::new(&river_city());
    let server = site.start();
    let stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let head = format!(
        "POST /api/v1/readings HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\
         content-type: application/x-ndjson\r\naccept: application/x-ndjson\r\n\r\n",
        server.http
    );
    writer.write_all(head.as_bytes()).unwrap();
    let mut answers = BufReader::new(stream).lines().map(Result::unwrap);
    for (n, line) in readings(3).lines().enumerate() {
        let chunk = format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
        writer.write_all(chunk.as_bytes()).unwrap();
        let told = format!(
            "{{\"line\":{},\"status\":\"accepted\",\"id\":\"r{n}\"}}",
            n + 1
        );
        assert!(answers.any(|answer| answer == told), "{told}");
    }
    server.kill();
    let dumped = ioc(&["journal", "dump", site.data().to_str().unwrap()]);
    let dumped = String::from_utf8(dumped.stdout).unwrap();
    for n in 0..3 {
        assert!(dumped.contains(&format!("\"id\":\"r{n}\"")), "{dumped}");
    }
}

#[test]
fn curl_can_push_a_stream() {
    let site = Site::new(&river_city());
    let server = site.start();
    let mut curl = tool("curl")
        .args(["-sS", "-T", "-", "-X", "POST"])
        .args(["-H", "content-type: application/x-ndjson"])
        .arg(format!("http://{}/api/v1/readings", server.http))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = readings(20_000) + "nonsense\n";
    let mut stdin = curl.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let answer = curl.wait_with_output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer["accepted"], 20_000);
    assert_eq!(answer["items"][1000]["line"], 20_001);
    assert_eq!(answer["items"][1000]["reason"], "json_malformed");
}

#[test]
fn p8_with_keys_each_holder_pushes_its_own_sensors() {
    let site = Site::new(&river_city());
    let path = |name: &str| site.dir.path().join(name).display().to_string();
    let (keys, key_file) = (path("keys"), path("pump.key"));
    let made = ioc(&["key", "new", "pump", "wl-1", "--file", &keys]);
    assert!(made.status.success());
    let key = String::from_utf8(made.stdout).unwrap();
    std::fs::write(&key_file, &key).unwrap();
    let mut command = site.command();
    command.env("IOC_HTTP_KEYS_FILE", &keys);
    let server = Server::start(command);

    let lines = readings(3) + &level("x", "wl-2", "2026-03-14T01:00:00Z", 1.0) + "\n";
    let unasked = server.post_readings(std::slice::from_ref(&lines));
    assert_eq!(unasked.status, 401);
    assert!(unasked.body.contains("key_needed"), "{}", unasked.body);

    let recording = path("readings.jsonl");
    std::fs::write(&recording, &lines).unwrap();
    let to = format!("http://{}", server.http);
    let send = ["send", "--fast", "--to", &to, &recording];
    let refused = ioc(&send);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("key_needed"),
        "{said}"
    );
    let sent = ioc(&[&send[..], &["--key-file", &key_file]].concat());
    let said = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(
        said.contains("4 acknowledged") && said.contains("1 of them dead"),
        "{said}"
    );
    let letters = server.get_json("/api/v1/dead-letters");
    let letter = &letters["dead_letters"][0];
    assert_eq!(
        (&letter["source"], &letter["reason"]),
        (&"http pump".into(), &"sensor_not_of_key".into())
    );
}
