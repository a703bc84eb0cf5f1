//! The servers that are measured: `ioc`, and mosquitto as what a city would pick instead.
//!
//! Each gets a free loopback port and a scratch directory.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::mqtt::{self, Heard, Received};
use crate::process::{Killed, Usage};

/// How long a server may take until it serves.
const READY_WAIT: Duration = Duration::from_secs(300);

const MOSQUITTO: &str = "mosquitto";
const NATS_SERVER: &str = "nats-server";

/// A running `ioc`.
#[derive(Debug)]
pub struct Ioc {
    process: Killed,
    /// Held open, so that the server can go on telling.
    _stdout: BufReader<ChildStdout>,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where MQTT is served.
    pub mqtt: SocketAddr,
    /// How long it took from the start of the process until `ready`.
    pub ready_after: Duration,
}

impl Ioc {
    /// Starts a server on a data directory; returns when it is ready. `config` is the directory of
    /// its rules, the shipped ones if there is none.
    pub fn start(binary: &str, data: &Path, config: Option<&Path>) -> io::Result<Self> {
        // Each reading is to be judged, however many come.
        Self::start_with(binary, data, config, ("IOC_DOOR_WHEN_FULL", "wait"))
    }

    /// The same with another setting of the environment.
    pub fn start_with(
        binary: &str,
        data: &Path,
        config: Option<&Path>,
        (setting, value): (&str, &str),
    ) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command.arg("run").arg("--data").arg(data);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command
            .env("IOC_HTTP_LISTEN", "127.0.0.1:0")
            .env("IOC_MQTT_LISTEN", "127.0.0.1:0")
            .env("IOC_LOG_FILTER", "warn")
            .env(setting, value)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // What is told to the measurements is no setting of a server, which would refuse it.
        for server in [NATS_SERVER, MOSQUITTO] {
            command.env_remove(chosen_by(server));
        }
        let began = Instant::now();
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("it is piped");
        let process = Killed(child);
        let mut stdout = BufReader::new(stdout);
        let (http, mqtt) = addresses(&mut stdout)?;
        Ok(Self {
            process,
            _stdout: stdout,
            http,
            mqtt,
            ready_after: began.elapsed(),
        })
    }

    /// What it has used so far.
    pub fn usage(&self) -> io::Result<Usage> {
        self.process.usage()
    }

    /// How many readings at least one rule has looked at. It is told once a second, and then only
    /// when something is judged.
    pub fn judged(&self) -> io::Result<u64> {
        const NAME: &str = "ioc_judged_total{step=\"readings_judged\"} ";
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(mqtt::ANSWER_WAIT))?;
        let host = self.http;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        let line = page.lines().find_map(|line| line.strip_prefix(NAME));
        let count = line.and_then(|count| count.parse().ok());
        count.ok_or_else(|| io::Error::other("/metrics does not say how many readings were judged"))
    }

    /// As if its power had been cut.
    pub fn kill(self) {
        drop(self.process);
    }
}

/// Reads what a server says until it is ready.
fn addresses(lines: &mut impl BufRead) -> io::Result<(SocketAddr, SocketAddr)> {
    let (mut http, mut mqtt) = (None, None);
    for line in lines.lines() {
        match line?.split_whitespace().collect::<Vec<_>>()[..] {
            ["listening", "http", address] => http = address.parse().ok(),
            ["listening", "mqtt", address] => mqtt = address.parse().ok(),
            ["ready"] => break,
            _ => {}
        }
    }
    let both = http.zip(mqtt);
    both.ok_or_else(|| io::Error::other("ioc ended before it was ready; run it by hand to see why"))
}

/// A running mosquitto, set up to relay as fast as it can: nothing stored, no bound on what waits.
#[derive(Debug)]
pub struct Mosquitto {
    process: Killed,
    /// Where it listens.
    pub mqtt: SocketAddr,
}

impl Mosquitto {
    /// Where the broker is installed, if it is.
    pub fn find() -> Option<PathBuf> {
        find(MOSQUITTO)
    }

    /// The version that it says it is.
    pub fn version(binary: &Path) -> String {
        let output = Command::new(binary).arg("-h").output();
        let text = output.map_or(Vec::new(), |output| output.stdout);
        let text = String::from_utf8_lossy(&text);
        let first = text.lines().next().unwrap_or("mosquitto");
        first.replace("version ", "")
    }

    /// Starts a broker whose settings are written into `dir`; returns when it accepts connections.
    pub fn start(binary: &Path, dir: &Path) -> io::Result<Self> {
        let mqtt = free_address()?;
        let settings = dir.join("mosquitto.conf");
        let text = format!(
            "listener {} {}\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n\
             max_inflight_messages 1000\nset_tcp_nodelay true\nlog_type error\n",
            mqtt.port(),
            mqtt.ip()
        );
        fs::write(&settings, text)?;
        let mut command = Command::new(binary);
        command.arg("-c").arg(&settings);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Killed(command.spawn()?);
        wait_until_open(mqtt)?;
        Ok(Self { process, mqtt })
    }

    /// What it has used so far.
    pub fn usage(&self) -> io::Result<Usage> {
        self.process.usage()
    }
}

/// A running nats-server, with its streams in files.
#[derive(Debug)]
pub struct Nats {
    _process: Killed,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Nats {
    /// Where the server is installed, if it is.
    pub fn find() -> Option<PathBuf> {
        find(NATS_SERVER)
    }

    /// The version that it says it is.
    pub fn version(binary: &Path) -> String {
        let output = Command::new(binary).arg("-v").output();
        let text = output.map_or(Vec::new(), |output| output.stdout);
        String::from_utf8_lossy(&text).trim().replace(": v", " ")
    }

    /// Starts a server whose streams lie in `dir`; returns when it accepts connections.
    pub fn start(binary: &Path, dir: &Path) -> io::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(binary);
        command
            .args(["-a", "127.0.0.1", "-p", &address.port().to_string(), "-js"])
            .arg("-sd")
            .arg(dir.join("streams"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Killed(command.spawn()?);
        wait_until_open(address)?;
        Ok(Self {
            _process: process,
            address,
        })
    }
}

/// What is installed, or what `IOC_TEST_NATS_SERVER` names of `nats-server`, and of others likewise.
fn find(name: &str) -> Option<PathBuf> {
    if let Some(file) = std::env::var_os(chosen_by(name)) {
        return Some(file.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = ["/usr/sbin".into(), "/usr/local/sbin".into()];
    let dirs = std::env::split_paths(&path).chain(beside);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn chosen_by(name: &str) -> String {
    format!("IOC_TEST_{}", name.to_uppercase().replace('-', "_"))
}

fn wait_until_open(address: SocketAddr) -> io::Result<()> {
    let until = Instant::now() + READY_WAIT;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > until {
            return Err(io::Error::other(format!("nobody listens at {address}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Subscribes to all readings at quality 1, and hands each payload to `take` with the time at which
/// it was received, until the connection ends. Returns how many came so far, as a counter.
pub fn subscribe(
    to: SocketAddr,
    mut take: impl FnMut(&[u8], Instant) + Send + 'static,
) -> io::Result<Arc<AtomicU64>> {
    let mut stream = mqtt::connect(to, "subscriber")?;
    mqtt::subscribe(&mut stream, "ioc/v1/readings/#")?;
    stream.set_read_timeout(None)?;
    let count = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        let mut received = Received::default();
        let mut out = Vec::new();
        // It ends with the broker.
        while received.read(&stream).is_ok() {
            let now = Instant::now();
            let mut taken = 0;
            while let Some(heard) = received.packet() {
                if let Heard::Publish(packet_id, payload) = heard {
                    packet_id
                        .iter()
                        .for_each(|&id| mqtt::put_puback(&mut out, id));
                    take(payload, now);
                    taken += 1;
                }
            }
            counter.fetch_add(taken, Ordering::Relaxed);
            if stream.write_all(&out).is_err() {
                return;
            }
            out.clear();
        }
    });
    Ok(count)
}
