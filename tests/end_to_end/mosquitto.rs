//! Mosquitto on a free port, with everything that it has acknowledged on disk.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{tool, wait_for};

pub struct Mosquitto {
    pub address: SocketAddr,
    dir: TempDir,
    process: Option<Child>,
}

/// A port that was free a moment ago.
pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Waits until something listens.
pub fn wait_until_open(address: SocketAddr) {
    wait_for("the broker to listen", || TcpStream::connect(address).ok());
}

/// Asks a process to end, and waits until it has.
pub fn terminate(process: &mut Child) {
    let pid = process.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(asked.unwrap().success());
    process.wait().unwrap();
}

/// Stops a process where it is, or lets it go on.
pub fn freeze(process: &Child, frozen: bool) {
    let signal = if frozen { "-STOP" } else { "-CONT" };
    let told = Command::new("kill")
        .args([signal, &process.id().to_string()])
        .status();
    assert!(told.unwrap().success());
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::with("")
    }

    /// One whose settings end with these.
    pub fn with(settings: &str) -> Self {
        let mut broker = Self {
            address: free_port(),
            dir: tempfile::tempdir().unwrap(),
            process: None,
        };
        let (port, dir) = (broker.address.port(), broker.dir.path().display());
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n\
             persistence_location {dir}/\nautosave_on_changes true\nautosave_interval 1\n\
             max_inflight_messages 1000\nmax_queued_messages 0\nlog_dest none\nuser root\n{settings}"
        );
        std::fs::write(broker.config(), config).unwrap();
        broker.start_again();
        broker
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("mosquitto.conf")
    }

    pub fn start_again(&mut self) {
        let process = tool("mosquitto")
            .arg("-c")
            .arg(self.config())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        wait_until_open(self.address);
    }

    /// Ends it; it keeps its sessions.
    pub fn stop(&mut self) {
        terminate(&mut self.process.take().expect("it runs"));
    }

    /// Ends it in the middle of everything.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Whether this is in what it has written.
    pub fn has_written(&self, text: &str) -> bool {
        let written = std::fs::read(self.dir.path().join("mosquitto.db"));
        let written = written.unwrap_or_default();
        written
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    }

    /// Stops the process where it is, and lets it go on.
    pub fn freeze(&self, frozen: bool) {
        freeze(self.process.as_ref().expect("it runs"), frozen);
    }

    /// Takes its sessions away, with all that they hold.
    pub fn forget(&self) {
        assert!(self.process.is_none(), "it would write them again");
        let _ = std::fs::remove_file(self.dir.path().join("mosquitto.db"));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
