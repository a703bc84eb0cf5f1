//! The devices of the simulated city: each takes what it is ordered to do, and says when it is done.
//!
//! Arrives: commands, over MQTT or NATS, from where the city's readings go to. Leaves: what the
//! devices say about them (docs/ACTUATORS.md). Nothing is done but that, so a command that comes
//! again is answered again. Promise: nothing is obeyed after its `not_after`. Next:
//! `devices/mqtt.rs`, `devices/nats.rs`.

mod mqtt;
mod nats;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ioc_core::time::{Millis, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::access::Access;
use crate::args::Broker;

/// How long a device takes for what it is ordered to do, in the city's time.
const TAKES: Millis = Millis::seconds(20);
/// How long a broken connection is left alone.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How many commands may be under way; further ones wait for the server to send them again.
const UNDER_WAY_MAX: usize = 1024;

/// The devices, ready to run.
#[derive(Debug)]
pub(super) struct Devices {
    pub at: Broker,
    pub access: Access,
    /// The actuators of the city.
    pub names: Arc<[String]>,
    /// The city's time when its simulation began, and how much faster it runs than ours.
    pub origin: Timestamp,
    pub speed: f64,
    pub began: Instant,
}

/// A command as it came.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    device: String,
    key: String,
    what: String,
}

/// How a device is heard.
trait Voice: Send + 'static {
    /// Says something about a command to a device; whether that can be done still.
    fn say(&self, device: &str, what: String) -> impl Future<Output = bool> + Send;
}

impl Devices {
    /// Serves until it is aborted, or can do no more.
    pub(super) async fn run(self) {
        match &self.at {
            Broker::Mqtt(address) => mqtt::serve(&self, address).await,
            Broker::Nats(address) => nats::serve(&self, address).await,
        }
    }

    /// Has a device obey what has come for it, unless it is none, or too late.
    fn hear(&self, device: &str, message: &[u8], voice: impl Voice, under_way: &mut JoinSet<()>) {
        while under_way.try_join_next().is_some() {}
        if let Some(command) = heard(device, message, self.now()) {
            begin(under_way, obey(voice, command, self.takes()));
        }
    }

    /// The city's time.
    fn now(&self) -> Timestamp {
        let passed_ms = self.began.elapsed().as_secs_f64() * 1e3 * self.speed;
        self.origin + Millis(passed_ms as i64)
    }

    fn takes(&self) -> Duration {
        Duration::from_millis(TAKES.0 as u64).div_f64(self.speed)
    }
}

/// The command in a message to a device; nothing if it is none, or too late.
fn heard(device: &str, message: &[u8], now: Timestamp) -> Option<Command> {
    let message: Value = serde_json::from_slice(message).ok()?;
    let not_after = Timestamp::parse(message["not_after"].as_str()?.as_bytes()).ok()?;
    let command = Command {
        device: device.to_owned(),
        key: message["key"].as_str()?.to_owned(),
        what: message["command"].as_str()?.to_owned(),
    };
    (now < not_after).then_some(command)
}

fn begin(under_way: &mut JoinSet<()>, work: impl Future<Output = ()> + Send + 'static) {
    if under_way.len() < UNDER_WAY_MAX {
        under_way.spawn(work);
    }
}

/// Says that a command is taken and, after a while, that it is done.
async fn obey(voice: impl Voice, command: Command, takes: Duration) {
    let Command { device, key, what } = command;
    for (state, detail) in [("accepted", "begins to"), ("done", "did")] {
        let said = json!({"key": key, "state": state, "detail": format!("{detail} {what}")});
        if !voice.say(&device, said.to_string()).await {
            return;
        }
        sleep(takes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn p5_of_so_many_commands_further_ones_wait_to_be_sent_again() {
        let mut under_way = JoinSet::new();
        for _ in 0..=UNDER_WAY_MAX {
            begin(&mut under_way, std::future::pending());
        }
        assert_eq!(under_way.len(), UNDER_WAY_MAX);
    }

    #[test]
    fn a_device_obeys_what_is_not_too_late() {
        let at = |text: &str| Timestamp::parse(text.as_bytes()).unwrap();
        let message = br#"{"key":"cmd-1","device":"gate-7","command":"close","parameters":{},
            "not_after":"2026-03-14T07:04:22.000Z","issued_at":"2026-03-14T07:03:22.000Z"}"#;
        let command = Command {
            device: "gate-7".to_owned(),
            key: "cmd-1".to_owned(),
            what: "close".to_owned(),
        };
        let in_time = at("2026-03-14T07:04:21Z");
        assert_eq!(heard("gate-7", message, in_time), Some(command));
        assert_eq!(heard("gate-7", message, at("2026-03-14T07:04:22Z")), None);
        assert_eq!(heard("gate-7", b"{}", in_time), None);
    }
}
