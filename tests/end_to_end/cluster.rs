//! P1 and P3 behind several NATS servers: a cluster whose servers are killed one after another, and
//! a stream in another domain, behind a leaf node.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use async_nats::{ConnectOptions, HeaderMap, header};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::brokers::City;
use crate::kill::reading;
use crate::mosquitto::free_port;
use crate::nats::{KEYS, LINK, Nats};
use crate::support::{request, wait_for};

/// Three servers that keep each message of a stream three times.
struct Cluster {
    servers: Vec<Nats>,
    monitors: Vec<SocketAddr>,
    runtime: Runtime,
}

/// As `address` takes several, and as a client does.
struct Addresses(Vec<SocketAddr>);

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .0
            .iter()
            .map(|address| format!("'{address}'"))
            .collect();
        write!(f, "[{}]", all.join(", "))
    }
}

impl Cluster {
    fn start() -> Self {
        let routes: Vec<_> = (0..3).map(|_| free_port()).collect();
        let monitors: Vec<_> = (0..3).map(|_| free_port()).collect();
        let urls: Vec<_> = routes
            .iter()
            .map(|route| format!("nats://{route}"))
            .collect();
        let urls = urls.join(", ");
        let config = |number: usize| {
            format!(
                "server_name: server-{number}\nhttp: '{}'\n\
                 cluster: {{ name: city, listen: '{}', routes: [{urls}] }}\n",
                monitors[number], routes[number]
            )
        };
        let servers = (0..3).map(|number| Nats::configured(config(number)));
        Self {
            servers: servers.collect(),
            monitors,
            runtime: Runtime::new().unwrap(),
        }
    }

    fn addresses(&self) -> Addresses {
        Addresses(self.servers.iter().map(|server| server.address).collect())
    }

    /// A client that knows all of them and connects again by itself.
    async fn client(addresses: &Addresses) -> async_nats::Client {
        let urls = addresses
            .0
            .iter()
            .map(|address| format!("nats://{address}"));
        let options = ConnectOptions::new().retry_on_initial_connect();
        let connecting = options.connect(urls.collect::<Vec<_>>());
        connecting.await.unwrap()
    }

    /// Makes a stream, as soon as there is a leader who can.
    fn make_stream(&self) {
        wait_for("the stream to be made", || {
            let made = self.runtime.block_on(async {
                let client = Self::client(&self.addresses()).await;
                let config = stream::Config {
                    name: "READINGS".to_owned(),
                    subjects: vec!["ioc.v1.readings.>".to_owned()],
                    num_replicas: 3,
                    ..stream::Config::default()
                };
                let context = jetstream::new(client);
                timeout(Duration::from_secs(5), context.create_stream(config)).await
            });
            made.ok()?.ok().map(drop)
        });
    }

    /// Publishes these one after another, each until the stream has it.
    fn publish(addresses: &Addresses, range: Range<usize>) {
        Runtime::new().unwrap().block_on(async {
            let context = jetstream::new(Self::client(addresses).await);
            for n in range {
                let (sensor, id, reading) = reading(n);
                let subject = format!("ioc.v1.readings.{sensor}");
                let mut headers = HeaderMap::new();
                headers.insert(header::NATS_MESSAGE_ID, id.as_str());
                loop {
                    let reading = reading.clone().into();
                    let taken = async {
                        let published =
                            context.publish_with_headers(subject.clone(), headers.clone(), reading);
                        published.await.ok()?.await.ok()
                    };
                    let taken = timeout(Duration::from_secs(2), taken).await;
                    if taken.ok().flatten().is_some() {
                        break;
                    }
                }
            }
        });
    }

    /// The server that `ioc` reads from.
    fn read_from(&self) -> usize {
        wait_for("a server to be read from", || {
            self.monitors.iter().position(|monitor| {
                let connections = request(*monitor, "GET", "/connz", &[], b"").body;
                connections.contains(r#""name": "ioc""#)
            })
        })
    }
}

#[test]
fn p1_p3_a_cluster_is_read_on_while_the_server_that_is_read_from_is_killed() {
    let mut cluster = Cluster::start();
    cluster.make_stream();
    let mut city = City::new("nats", cluster.addresses(), KEYS);
    city.wait_for_link(LINK, "up");
    for _ in 0..2 {
        let first = city.next_readings();
        let range = first.start..city.next_readings().end;
        let addresses = cluster.addresses();
        let publishing = thread::spawn(move || Cluster::publish(&addresses, range));
        city.wait_until_taken(first.start + 100);
        let read_from = cluster.read_from();
        cluster.servers[read_from].kill();
        publishing.join().unwrap();
        // While it is away.
        city.wait_until_judged();
        cluster.servers[read_from].start_again();
    }
    city.check();
}

#[test]
fn p1_p3_a_stream_in_another_domain_is_read_through_a_leaf_node() {
    let leaves = free_port();
    let hub = format!(
        "server_name: hub\njetstream: {{ domain: hub }}\nleafnodes: {{ listen: '{leaves}' }}\n"
    );
    let mut hub = Nats::configured(hub);
    let leaf = format!(
        "server_name: leaf\njetstream: {{ domain: leaf }}\n\
         leafnodes: {{ remotes: [{{ url: 'nats-leaf://{leaves}' }}], reconnect: 1 }}\n"
    );
    let mut leaf = Nats::configured(leaf);
    hub.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", leaf.address, &format!("domain: hub, {KEYS}"));
    city.wait_for_link(LINK, "up");
    hub.publish(&mut city);
    city.wait_until_judged();
    hub.publish(&mut city);
    hub.kill();
    city.wait_for_link(LINK, "down");
    hub.start_again();
    city.wait_for_link(LINK, "up");
    hub.publish(&mut city);
    leaf.kill();
    leaf.start_again();
    hub.publish(&mut city);
    city.kill();
    hub.publish(&mut city);
    city.start();
    city.check();
}

/// Without its domain, the leaf's own streams are asked for.
#[test]
fn a_stream_in_another_domain_is_not_found_without_its_name() {
    let server = Nats::configured("server_name: hub\njetstream: { domain: hub }\n".to_owned());
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let city = City::new("nats", server.address, &format!("domain: other, {KEYS}"));
    wait_for("the link to say so", || {
        let ready = city.ready();
        ready.contains("cannot find the stream").then_some(())
    });
    let mut city = City::new("nats", server.address, &format!("domain: hub, {KEYS}"));
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.check();
}
