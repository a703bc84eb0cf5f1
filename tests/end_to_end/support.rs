//! A server under test, and the clients that talk to it. Waiting is for a condition with a
//! deadline, never for a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a slow and busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The binary under test.
pub const IOC: &str = env!("CARGO_BIN_EXE_ioc");

/// A running server. Killed when dropped.
pub struct Server {
    process: Child,
    pub http: SocketAddr,
    pub mqtt: SocketAddr,
    told: Arc<Mutex<String>>,
}

/// A data directory and the arguments to start servers on it, one after another.
pub struct Site {
    pub dir: TempDir,
    pub args: Vec<String>,
}

impl Site {
    /// A new site whose city is this GeoJSON. It lives in its readings' time.
    pub fn new(city: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("city.geojson");
        std::fs::write(&path, city).unwrap();
        let args = ["--city", path.to_str().unwrap(), "--clock", "readings"];
        let args = args.map(str::to_owned).to_vec();
        Self { dir, args }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn token(&self) -> String {
        let token = std::fs::read_to_string(self.data().join("console.token")).unwrap();
        token.trim().to_owned()
    }

    /// The command `ioc run`, on free ports.
    pub fn command(&self) -> Command {
        let mut command = Command::new(IOC);
        command
            .args(["run", "--data", self.data().to_str().unwrap()])
            .args(&self.args)
            .env("IOC_HTTP_LISTEN", "127.0.0.1:0")
            .env("IOC_MQTT_LISTEN", "127.0.0.1:0")
            .env("IOC_JOURNAL_SEGMENT_BYTES", "1MiB")
            .env("IOC_SNAPSHOTS_RECORDS", "200")
            .env_remove("RUST_LOG");
        without_ours(&mut command);
        command
    }

    /// Starts a server and waits until it is ready.
    pub fn start(&self) -> Server {
        Server::start(self.command())
    }
}

impl Server {
    /// Starts a command that prints where it listens, then `ready`.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let told = gather(process.stderr.take().unwrap());
        let lines = lines_of(process.stdout.take().unwrap());
        let until = Instant::now() + DEADLINE;
        let (mut http, mut mqtt) = (None, None);
        loop {
            let line = lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.expect("the server says ready in time");
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["listening", "http", address] => http = address.parse().ok(),
                ["listening", "mqtt", address] => mqtt = address.parse().ok(),
                ["ready"] => break,
                _ => {}
            }
        }
        Self {
            process,
            http: http.unwrap(),
            mqtt: mqtt.unwrap(),
            told,
        }
    }

    /// The line of its log that says this.
    pub fn told(&self, what: &str) -> String {
        wait_for(what, || {
            let told = self.told.lock().unwrap();
            let line = told.lines().find(|line| line.contains(what));
            line.map(str::to_owned)
        })
    }

    /// As if the power of the process had been cut.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends it a signal of this name.
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        wait_for("the server to end", || self.process.try_wait().unwrap())
    }

    pub fn get(&self, path: &str) -> Response {
        request(self.http, "GET", path, &[], b"")
    }

    pub fn get_json(&self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        serde_json::from_str(&response.body).unwrap()
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        request(self.http, "POST", path, headers, body.as_bytes())
    }

    /// Posts native readings, one JSON object each.
    pub fn post_readings(&self, readings: &[String]) -> Response {
        let body = readings.join("\n");
        self.post(
            "/api/v1/readings",
            &[("content-type", "application/x-ndjson")],
            &body,
        )
    }

    /// The value of a metric.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.get("/metrics").body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().parse().unwrap())
    }

    /// The incidents as REST lists them.
    pub fn incidents(&self) -> Vec<Value> {
        let listed = self.get_json("/api/v1/incidents");
        listed["incidents"]
            .as_array()
            .expect("a list of incidents")
            .clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The lines of a stream, as they come.
pub fn lines_of(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// What a server says to people, as it comes. It is shown if the test fails.
fn gather(stderr: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let told = Arc::new(Mutex::new(String::new()));
    let gathered = Arc::clone(&told);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let mut told = gathered.lock().unwrap();
            told.push_str(&line);
            told.push('\n');
        }
    });
    told
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

/// One HTTP/1.1 request on a connection of its own.
pub fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head += &format!("host: {to}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    read_response(&mut BufReader::new(stream))
}

/// Reads one answer, whose length its head says: some servers keep the connection open.
fn read_response(answer: &mut impl BufRead) -> Response {
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    let (mut length, mut chunked) = (None, false);
    loop {
        line.clear();
        answer.read_line(&mut line).unwrap();
        let header = line.trim().to_ascii_lowercase();
        match header.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().ok(),
            Some(("transfer-encoding", _)) => chunked = true,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    match length {
        Some(length) => {
            body.resize(length, 0);
            answer.read_exact(&mut body).unwrap();
        }
        None => {
            answer.read_to_end(&mut body).unwrap();
        }
    }
    let body = String::from_utf8(body).unwrap();
    Response {
        status,
        body: if chunked { unchunk(&body) } else { body },
    }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 {
            break;
        }
        whole += &rest[..length];
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

/// Runs `ioc` with these arguments to its end.
pub fn ioc(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(IOC);
    without_ours(&mut command);
    command.args(args).env_remove("RUST_LOG").output().unwrap()
}

/// What is told to the tests is no setting of a server, which would refuse it.
pub fn without_ours(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("IOC_TEST_") {
            command.env_remove(name);
        }
    }
}

/// The same program as another build: a build is the hash of the executable.
pub fn other_build(dir: &Path) -> PathBuf {
    let path = dir.join("ioc-other-build");
    std::fs::copy(IOC, &path).unwrap();
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(&[0]).unwrap();
    path
}

pub fn command_of(build: &Path, site: &Site) -> Command {
    command_under(Command::new(build), site)
}

/// The site's command, with another program before its arguments.
pub fn command_under(mut command: Command, site: &Site) -> Command {
    let template = site.command();
    command.args(template.get_args());
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The decisions or records that a command printed.
pub fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

/// A tool that the machine must have.
pub fn tool(name: &str) -> Command {
    Command::new(tool_file(name))
}

/// Where it is: what `IOC_TEST_NATS_SERVER` names of `nats-server`, and of others likewise, before
/// what is installed.
pub fn tool_file(name: &str) -> PathBuf {
    let chosen = format!("IOC_TEST_{}", name.to_uppercase().replace('-', "_"));
    if let Some(file) = std::env::var_os(&chosen) {
        let file = PathBuf::from(file);
        assert!(file.is_file(), "{chosen}: no {}", file.display());
        return file;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut files = dirs.map(|dir| dir.join(name));
    let found = files.find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("no {name}: run `make tools`"))
}

/// A city of one river gauge with a warning level of 3 m, and a street gauge beside it.
pub fn river_city() -> String {
    let sensor = |id: &str, kind: &str, unit: &str, lon: f64| {
        serde_json::json!({
            "type": "Feature", "id": id,
            "properties": {
                "type": "sensor", "kind": kind, "unit": unit, "zone": "z1", "interval_s": 300,
                "warning": 3.0, "danger": 4.0,
            },
            "geometry": { "type": "Point", "coordinates": [lon, 3.15] },
        })
    };
    let square = [
        [101.6, 3.1],
        [101.7, 3.1],
        [101.7, 3.2],
        [101.6, 3.2],
        [101.6, 3.1],
    ];
    serde_json::json!({
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature", "id": "z1",
                "properties": { "type": "zone", "name": "Old Town" },
                "geometry": { "type": "Polygon", "coordinates": [square] },
            },
            sensor("wl-1", "water_level", "m", 101.65),
            sensor("wl-2", "water_level", "m", 101.651),
        ],
    })
    .to_string()
}

/// Two readings that open an incident: a river that stays above its warning for four minutes.
pub fn high_water() -> [String; 2] {
    [
        level("a", "wl-1", "2026-03-14T06:40:00Z", 3.4),
        level("b", "wl-1", "2026-03-14T06:45:00Z", 3.5),
    ]
}

/// A native reading of a river gauge.
pub fn level(id: &str, sensor: &str, at: &str, value: f64) -> String {
    serde_json::json!({
        "id": id, "sensor": sensor, "kind": "water_level", "observed_at": at, "value": value,
        "unit": "m",
    })
    .to_string()
}
