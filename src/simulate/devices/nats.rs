//! Simulated devices over NATS: on `ioc.v1.commands.<device>` and `ioc.v1.feedback.<device>`.
//!
//! Core subjects: what a stream of them keeps comes to whoever listens all the same. The library
//! connects again by itself and subscribes again; what it does not say in between is asked for
//! again by the server that ordered it.

use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use ioc_gateway::brokers::nats::token_of;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{AGAIN_AFTER, Devices, Voice};
use crate::args::NatsAddress;
use crate::publisher::client_id;

/// What commands are published under, and what is said about them.
const COMMANDS: &str = "ioc.v1.commands.";
const FEEDBACK: &str = "ioc.v1.feedback.";

/// Serves until it is aborted.
pub(super) async fn serve(devices: &Devices, address: &NatsAddress) {
    let mut under_way = JoinSet::new();
    loop {
        let client = connect(devices, address).await;
        if let Some(client) = client {
            listen(devices, &client, &mut under_way).await;
        }
        sleep(AGAIN_AFTER).await;
    }
}

async fn connect(devices: &Devices, address: &NatsAddress) -> Option<Client> {
    let connect = ConnectOptions::new()
        .name(client_id("devices", 0))
        .ignore_discovered_servers();
    devices.access.connect(connect, address).await.ok()
}

/// Hears what comes for each device, until the client ends.
async fn listen(devices: &Devices, client: &Client, under_way: &mut JoinSet<()>) {
    let mut commands = Vec::with_capacity(devices.names.len());
    for name in devices.names.iter() {
        let subject = format!("{COMMANDS}{}", token_of(name));
        let Ok(own) = client.subscribe(subject).await else {
            return;
        };
        commands.push(own.map(move |message| (name, message)));
    }
    let mut commands = select_all(commands);
    while let Some((device, message)) = commands.next().await {
        let voice = OverNats(client.clone());
        devices.hear(device, &message.payload, voice, under_way);
    }
}

struct OverNats(Client);

impl Voice for OverNats {
    async fn say(&self, device: &str, what: String) -> bool {
        let subject = format!("{FEEDBACK}{}", token_of(device));
        self.0.publish(subject, what.into()).await.is_ok()
    }
}
