//! The devices of the simulated city: each takes what it is ordered to do, and says when it is done.
//!
//! Arrives: commands, over MQTT, from the server that the city's readings go to. Leaves: what the
//! devices say about them (docs/ACTUATORS.md). Nothing is done but that, so a command that comes
//! again is answered again. Promise: nothing is answered after its `not_after`. Not here: NATS.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ioc_core::time::{Millis, Timestamp};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::args::{Credentials, MqttAddress};
use crate::publisher::client_id;

/// How long a device takes for what it is ordered to do, in the city's time.
const TAKES: Millis = Millis::seconds(20);
/// How long a broken connection is left alone.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How many packets may wait for the connection.
const WAITING_MAX: usize = 64;
/// How many commands may be under way; further ones wait for the server to send them again.
const UNDER_WAY_MAX: usize = 1024;

/// What commands are published under, and what is said about them.
const COMMANDS: &str = "ioc/v1/commands/";
const FEEDBACK: &str = "ioc/v1/feedback/";

/// The devices, ready to run.
#[derive(Debug)]
pub(super) struct Devices {
    pub address: MqttAddress,
    pub credentials: Option<Credentials>,
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

impl Devices {
    /// Serves until it is aborted.
    pub(super) async fn run(self) {
        let Self { address, names, .. } = &self;
        let host = address.0.host.as_str();
        let mut options = MqttOptions::new(client_id("devices", 0), host, address.0.port);
        if let Some(Credentials { user, password }) = &self.credentials {
            options.set_credentials(user.as_str(), password.as_str());
        }
        let (client, mut events) = AsyncClient::new(options, WAITING_MAX);
        let mut under_way = JoinSet::new();
        loop {
            while under_way.try_join_next().is_some() {}
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    let (client, names) = (client.clone(), Arc::clone(names));
                    // Beside: who subscribes waits for this loop to write.
                    under_way.spawn(async move { subscribe(&client, &names).await });
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let command = heard(&publish.topic, &publish.payload, self.now());
                    if let Some(command) = command {
                        begin(&mut under_way, obey(client.clone(), command, self.takes()));
                    }
                }
                Ok(
                    Event::Incoming(
                        Packet::Connect(_)
                        | Packet::PubAck(_)
                        | Packet::PubRec(_)
                        | Packet::PubRel(_)
                        | Packet::PubComp(_)
                        | Packet::Subscribe(_)
                        | Packet::SubAck(_)
                        | Packet::Unsubscribe(_)
                        | Packet::UnsubAck(_)
                        | Packet::PingReq
                        | Packet::PingResp
                        | Packet::Disconnect,
                    )
                    | Event::Outgoing(_),
                ) => {}
                Err(_) => sleep(AGAIN_AFTER).await,
            }
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

/// The command in a message; nothing if it is none, or too late.
fn heard(topic: &str, payload: &[u8], now: Timestamp) -> Option<Command> {
    let device = topic.strip_prefix(COMMANDS)?;
    let message: Value = serde_json::from_slice(payload).ok()?;
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

async fn subscribe(client: &AsyncClient, names: &[String]) {
    for name in names {
        let topic = format!("{COMMANDS}{name}");
        if client.subscribe(topic, QoS::AtLeastOnce).await.is_err() {
            return;
        }
    }
}

/// Says that a command is taken and, after a while, that it is done.
async fn obey(client: AsyncClient, command: Command, takes: Duration) {
    let Command { device, key, what } = command;
    let topic = format!("{FEEDBACK}{device}");
    for (state, detail) in [("accepted", "begins to"), ("done", "did")] {
        let said = json!({"key": key, "state": state, "detail": format!("{detail} {what}")});
        let published = client.publish(&topic, QoS::AtLeastOnce, false, said.to_string());
        if published.await.is_err() {
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
        let topic = "ioc/v1/commands/gate-7";
        let in_time = at("2026-03-14T07:04:21Z");
        assert_eq!(heard(topic, message, in_time), Some(command));
        assert_eq!(heard(topic, message, at("2026-03-14T07:04:22Z")), None);
        assert_eq!(heard("ioc/v1/feedback/gate-7", message, in_time), None);
        assert_eq!(heard(topic, b"{}", in_time), None);
    }
}
