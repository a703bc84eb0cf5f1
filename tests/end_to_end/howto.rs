//! The how-to pages, run as a reader would, but on free ports; and what `deploy/` names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ioc::config::mistake::Mistakes;
use ioc::config::yaml::{self, Node, Value};
use tempfile::TempDir;

use crate::mosquitto::free_port;
use crate::support::{IOC, tool, tool_file, without_ours};

/// How long a page may take on a slow and busy machine.
const PAGE_WITHIN: Duration = Duration::from_secs(300);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of a page that a machine without rights can run, in their order.
fn commands(page: &str) -> String {
    let mut commands = String::new();
    let mut taken = false;
    for line in page.lines() {
        match line {
            "```sh" => taken = true,
            "```" => taken = false,
            _ if taken => commands += &format!("{line}\n"),
            _ => {}
        }
    }
    commands
}

/// A directory like that of the sources, in which all ports are free ones.
struct Desk {
    dir: TempDir,
    /// Each port of the pages, and the one that takes its place.
    ports: Vec<(&'static str, String)>,
}

impl Desk {
    fn new() -> Self {
        let ports = ["1884", "1883", "8080", "4222", "8222"];
        let desk = Self {
            dir: tempfile::tempdir().unwrap(),
            ports: ports
                .map(|port| (port, free_port().port().to_string()))
                .into(),
        };
        for dir in ["config", "deploy"] {
            copy(&root().join(dir), &desk.path(dir));
        }
        fs::create_dir(desk.path("server-data")).unwrap();
        let data = desk.path("server-data").display().to_string();
        for (file, own_data) in [
            ("mosquitto.conf", "/mosquitto/data"),
            ("nats.conf", "/data"),
        ] {
            let path = desk.path("deploy").join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(own_data));
            fs::write(&path, desk.adapted(&text).replace(own_data, &data)).unwrap();
        }
        // Where the tests run as root, mosquitto is not to become somebody who may not write there.
        let path = desk.path("deploy/mosquitto.conf");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("user root\n{text}")).unwrap();
        desk.install_ioc();
        for server in ["mosquitto", "nats-server"] {
            symlink(tool_file(server), desk.path("bin").join(server)).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn adapted(&self, text: &str) -> String {
        let ports = self.ports.iter();
        ports.fold(text.to_owned(), |text, (port, own)| text.replace(port, own))
    }

    /// The program, which finds its server at the port that it has here.
    fn install_ioc(&self) {
        fs::create_dir(self.path("bin")).unwrap();
        let path = self.path("bin/ioc");
        let server = self.adapted("http://127.0.0.1:8080");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = dead-letters ] && exec {IOC} \"$@\" --server {server}\n\
             exec {IOC} \"$@\"\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Runs a page to its end; panics with what it printed if a command fails.
    fn run(&self, page: &str) {
        let script = format!("set -euo pipefail\n{}", self.adapted(&commands(page)));
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}:/usr/sbin", self.path("bin").display());
        let out = fs::File::create(self.path("out")).unwrap();
        let mut shell = Command::new("bash");
        without_ours(&mut shell);
        let shell = shell
            .args(["-xc", &script])
            .current_dir(self.dir.path())
            .env("PATH", path)
            .env("IOC_HTTP_LISTEN", self.adapted("127.0.0.1:8080"))
            .env("IOC_MQTT_LISTEN", self.adapted("127.0.0.1:1883"))
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .process_group(0)
            .spawn();
        let mut running = Running(shell.unwrap());
        let until = Instant::now() + PAGE_WITHIN;
        let mut ended = None;
        while ended.is_none() && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(20));
            ended = running.0.try_wait().unwrap();
        }
        drop(running);
        let said = fs::read_to_string(self.path("out")).unwrap();
        let is_done = ended.is_some_and(|status| status.success());
        assert!(is_done, "{said}\n{}", self.logs());
    }

    fn logs(&self) -> String {
        let logs = ["ioc.log", "mosquitto.log", "nats.log"];
        logs.map(|log| fs::read_to_string(self.path(log)).unwrap_or_default())
            .join("\n")
    }
}

/// A shell with all that it started; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn the_page_about_mosquitto_can_be_followed() {
    let _installed = (tool("mosquitto_pub"), tool("curl"));
    Desk::new().run(include_str!("../../docs/howto/mosquitto.md"));
}

#[test]
fn the_page_about_nats_can_be_followed() {
    let _installed = tool("curl");
    Desk::new().run(include_str!("../../docs/howto/nats.md"));
}

fn entries(node: &Node) -> Vec<(&str, &Node)> {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .map(|each| (&*each.key, &each.value))
            .collect(),
        other => panic!("{other:?} is no mapping"),
    }
}

fn get<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    entries(node)
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn text(node: &Node) -> &str {
    match &node.value {
        Value::Text(text) => text,
        other => panic!("{other:?} is no text"),
    }
}

fn list(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        other => panic!("{other:?} is no list"),
    }
}

/// What the Compose specification knows of a service, as far as it is used here.
const SERVICE_KEYS: [&str; 10] = [
    "build",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "network_mode",
    "restart",
    "stop_grace_period",
    "volumes",
];

#[test]
fn the_compose_file_names_what_there_is() {
    let deploy = root().join("deploy");
    let file = fs::read_to_string(deploy.join("compose.yaml")).unwrap();
    let mut mistakes = Mistakes::default();
    let compose = yaml::parse("compose.yaml", &file, &mut mistakes);
    let compose = compose.unwrap_or_else(|| panic!("{mistakes}"));
    let top: Vec<_> = entries(&compose).iter().map(|(key, _)| *key).collect();
    assert_eq!(top, ["name", "services", "volumes"]);
    let services = entries(get(&compose, "services").unwrap());
    let names: BTreeSet<_> = services.iter().map(|(name, _)| *name).collect();
    let volumes = entries(get(&compose, "volumes").unwrap());
    let volumes: BTreeSet<_> = volumes.iter().map(|(name, _)| *name).collect();
    let mut mounted = BTreeSet::new();
    for (name, service) in &services {
        for (key, _) in entries(service) {
            assert!(SERVICE_KEYS.contains(&key), "{name}: {key}");
        }
        // P8: nothing is reachable but on the machine's loopback, where each listens.
        assert_eq!(
            get(service, "network_mode").map(text),
            Some("host"),
            "{name}"
        );
        assert!(get(service, "image").is_some());
        if let Some(build) = get(service, "build") {
            let context = deploy.join(text(get(build, "context").unwrap()));
            let dockerfile = text(get(build, "dockerfile").unwrap());
            assert!(context.join(dockerfile).is_file());
        }
        for volume in get(service, "volumes").map_or(&[][..], list) {
            let source = text(volume).split(':').next().unwrap();
            match source.starts_with('.') {
                true => assert!(deploy.join(source).is_file(), "{source}"),
                false => assert!(volumes.contains(source), "{source}"),
            }
            mounted.insert(source);
        }
        for (other, how) in get(service, "depends_on").map_or(Vec::new(), entries) {
            assert!(names.contains(other), "{other}");
            let condition = text(get(how, "condition").unwrap());
            let needs_check = condition == "service_healthy";
            let other = services.iter().find(|(name, _)| *name == other).unwrap().1;
            assert!(!needs_check || get(other, "healthcheck").is_some());
            let known = [
                "service_started",
                "service_healthy",
                "service_completed_successfully",
            ];
            assert!(known.contains(&condition), "{condition}");
        }
    }
    for file in ["./mosquitto.conf", "./nats.conf", "./compose.ioc.yaml"] {
        assert!(mounted.contains(file), "{file}");
    }
    assert!(volumes.iter().all(|volume| mounted.contains(volume)));
    let settings = fs::read_to_string(deploy.join("compose.ioc.yaml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ioc.yaml"), settings).unwrap();
    let checked = crate::support::ioc(&["check", dir.path().to_str().unwrap()]);
    assert!(checked.status.success(), "{checked:?}");
}
