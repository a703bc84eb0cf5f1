//! Simulated devices over MQTT: on `ioc/v1/commands/<device>` and `ioc/v1/feedback/<device>`.

use std::sync::Arc;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{AGAIN_AFTER, Devices, Voice};
use crate::args::{Credentials, MqttAddress};
use crate::publisher::client_id;

/// How many packets may wait for the connection.
const WAITING_MAX: usize = 64;

/// What commands are published under, and what is said about them.
const COMMANDS: &str = "ioc/v1/commands/";
const FEEDBACK: &str = "ioc/v1/feedback/";

/// Serves until it is aborted.
pub(super) async fn serve(devices: &Devices, address: &MqttAddress) {
    let (host, port) = (address.0.host.as_str(), address.0.port);
    let mut options = MqttOptions::new(client_id("devices", 0), host, port);
    if let Some(Credentials { user, password }) = &devices.access.credentials {
        options.set_credentials(user.as_str(), password.as_str());
    }
    let (client, mut events) = AsyncClient::new(options, WAITING_MAX);
    let (mut under_way, mut subscribing) = (JoinSet::new(), JoinSet::new());
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                let (client, names) = (client.clone(), Arc::clone(&devices.names));
                // Beside: who subscribes waits for this loop to write. Those of the last connection
                // subscribe to nothing any more.
                subscribing.abort_all();
                subscribing.spawn(async move { subscribe(&client, &names).await });
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                if let Some(device) = publish.topic.strip_prefix(COMMANDS) {
                    let voice = OverMqtt(client.clone());
                    devices.hear(device, &publish.payload, voice, &mut under_way);
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

async fn subscribe(client: &AsyncClient, names: &[String]) {
    for name in names {
        let topic = format!("{COMMANDS}{name}");
        if client.subscribe(topic, QoS::AtLeastOnce).await.is_err() {
            return;
        }
    }
}

struct OverMqtt(AsyncClient);

impl Voice for OverMqtt {
    async fn say(&self, device: &str, what: String) -> bool {
        let topic = format!("{FEEDBACK}{device}");
        let published = self.0.publish(topic, QoS::AtLeastOnce, false, what);
        published.await.is_ok()
    }
}
