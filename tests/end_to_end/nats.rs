//! P1 and P3 behind a NATS server elsewhere: whatever happens to it, to the link and to us, what a
//! stream has taken is judged, once.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, stream};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::brokers::{City, JOURNALED, MAPPINGS, shapes};
use crate::kill::reading;
use crate::mosquitto::{free_port, terminate, wait_until_open};
use crate::proxy::{Proxy, Weather};
use crate::support::{tool, wait_for};

/// A server on a free port, with its streams on disk, and a client of it.
pub struct Nats {
    pub address: SocketAddr,
    dir: TempDir,
    process: Option<Child>,
    pub runtime: Runtime,
}

impl Nats {
    pub fn start() -> Self {
        let mut server = Self {
            address: free_port(),
            dir: tempfile::tempdir().unwrap(),
            process: None,
            runtime: Runtime::new().unwrap(),
        };
        server.start_again();
        server
    }

    pub fn start_again(&mut self) {
        let process = tool("nats-server")
            .args(["-a", "127.0.0.1", "-p", &self.address.port().to_string()])
            .arg("-js")
            .arg("-sd")
            .arg(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        wait_until_open(self.address);
    }

    pub fn stop(&mut self) {
        terminate(&mut self.process.take().expect("it runs"));
    }

    fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub fn make_stream(&self, name: &str, subject: &str) {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let config = stream::Config {
                name: name.to_owned(),
                subjects: vec![subject.to_owned()],
                ..stream::Config::default()
            };
            context.create_stream(config).await.unwrap();
        });
    }

    /// All that a stream holds.
    async fn messages(&self, stream: &str) -> Vec<serde_json::Value> {
        let context = jetstream::new(self.client().await);
        let stream = context.get_stream(stream).await.unwrap();
        let mut messages = Vec::new();
        for number in 1..=stream.cached_info().state.messages {
            let message = stream.get_raw_message(number).await.unwrap();
            assert!(message.subject.starts_with("ioc.v1.decisions."));
            messages.push(serde_json::from_slice(&message.payload).unwrap());
        }
        messages
    }

    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(format!("nats://{}", self.address))
            .await
            .unwrap()
    }

    /// Publishes the next readings of a city, and waits until the stream has taken them.
    fn publish(&self, city: &mut City) {
        let range = city.next_readings();
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let mut taken = Vec::new();
            for n in range {
                let (sensor, _, reading) = reading(n);
                let subject = format!("ioc.v1.readings.{sensor}");
                taken.push(context.publish(subject, reading.into()).await.unwrap());
            }
            for each in taken {
                each.await.unwrap();
            }
        });
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

const LINK: &str = "nats city ioc.v1.readings.>";
const KEYS: &str = "stream: READINGS, ack_wait_s: 1, inflight_max: 100";

#[test]
fn p1_p3_jetstream_whatever_happens_to_the_link() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let proxy = Proxy::new(server.address);
    let mut city = City::new("nats", proxy.address, KEYS);
    city.wait_for_link(LINK, "up");
    for _ in 0..5 {
        server.publish(&mut city);
        proxy.cut();
    }
    proxy.set(Weather::Slow(Duration::from_millis(5)));
    server.publish(&mut city);
    proxy.set(Weather::Frozen);
    server.publish(&mut city);
    city.wait_for_link(LINK, "down");
    proxy.cut();
    proxy.set(Weather::Down);
    server.publish(&mut city);
    proxy.set(Weather::Fair);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.kill();
    server.publish(&mut city);
    city.start();
    city.check();
}

#[test]
fn p1_p3_jetstream_restarted_and_killed() {
    let mut server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    for end in [Nats::stop as fn(&mut Nats), Nats::kill, Nats::kill] {
        server.publish(&mut city);
        end(&mut server);
        city.wait_for_link(LINK, "down");
        server.start_again();
        server.publish(&mut city);
        city.wait_for_link(LINK, "up");
    }
    city.check();
}

#[test]
fn messages_of_every_shape_come_from_a_server_elsewhere() {
    let server = Nats::start();
    server.make_stream("CITY", "city.>");
    for (keys, links) in [
        ("stream: CITY, subjects: ['city.>']", "nats city city.>"),
        ("subjects: ['city.>']", "nats city city.>"),
    ] {
        let city = City::with_mappings("nats", server.address, keys, MAPPINGS);
        city.wait_for_link(links, "up");
        server.runtime.block_on(async {
            let client = server.client().await;
            for (topic, payload, content_type) in shapes() {
                let (subject, payload) = (topic.replace('/', "."), payload.into());
                let mut headers = HeaderMap::new();
                if let Some(content_type) = content_type {
                    headers.insert("Content-Type", content_type);
                }
                let published = client.publish_with_headers(subject, headers, payload);
                published.await.unwrap();
            }
            client.flush().await.unwrap();
        });
        assert_eq!(city.journaled(4), JOURNALED, "{keys}");
    }
}

#[test]
fn a_core_subject_is_read_while_the_link_is_up() {
    let server = Nats::start();
    let mut city = City::new("nats", server.address, "queue: ioc");
    city.wait_for_link(LINK, "up");
    let range = city.next_readings();
    server.runtime.block_on(async {
        let client = server.client().await;
        for n in range {
            let (sensor, _, reading) = reading(n);
            let subject = format!("ioc.v1.readings.{sensor}");
            client.publish(subject, reading.into()).await.unwrap();
        }
        client.flush().await.unwrap();
    });
    city.check();
}

#[test]
fn a_stream_that_is_not_there_is_said_and_waited_for() {
    let server = Nats::start();
    let mut city = City::new("nats", server.address, KEYS);
    wait_for("the link to say so", || {
        let ready = city.ready();
        ready.contains("cannot find the stream").then_some(())
    });
    server.make_stream("READINGS", "ioc.v1.readings.>");
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.check();
}

#[test]
fn p4_decisions_reach_a_stream_once_and_in_order_whatever_happens() {
    let mut server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    server.make_stream("DECISIONS", "ioc.v1.decisions.>");
    let proxy = Proxy::new(server.address);
    let keys = format!("decisions: yes, {KEYS}");
    let mut city = City::new("nats", proxy.address, &keys);
    for round in 0..6 {
        server.publish(&mut city);
        server.publish(&mut city);
        match round {
            0 => proxy.cut(),
            1 => {
                server.kill();
                city.wait_for_link("nats city decisions", "down");
                server.start_again();
            }
            2 => {
                city.kill();
                city.start();
            }
            3 => proxy.set(Weather::Down),
            4 => proxy.set(Weather::Fair),
            _ => {}
        }
    }
    city.wait_until_judged();
    let decided = || city.server().get_json("/api/v1/decisions?limit=1000")["decisions"].clone();
    let taken = || server.runtime.block_on(server.messages("DECISIONS"));
    let decided = wait_for("all decisions to be taken", || {
        let decided = decided();
        let decided = decided.as_array().unwrap();
        (decided.len() > 10 && taken().len() >= decided.len()).then(|| decided.clone())
    });
    let taken: Vec<_> = taken().iter().map(|each| each["seq"].clone()).collect();
    let all: Vec<_> = (1..=decided.len() as u64)
        .map(serde_json::Value::from)
        .collect();
    assert_eq!(taken, all);
}
