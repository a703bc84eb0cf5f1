//! P1 and P3 behind a NATS server elsewhere: whatever happens to it, to the link and to us, what a
//! stream has taken is judged, once.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, FromConsumer, pull};
use async_nats::jetstream::stream::RetentionPolicy;
use async_nats::jetstream::{self, stream};
use async_nats::{ConnectOptions, HeaderMap};
use futures_util::{StreamExt, TryStreamExt};
use ioc_core::record::DeadLetter;
use ioc_core::time::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::brokers::{City, EVENT, EVENT_DATA, JOURNALED, MAPPINGS, check_event, flaps, shapes};
use crate::certificates::{Authority, Signed};
use crate::kill::reading;
use crate::mosquitto::{free_port, freeze, terminate};
use crate::proxy::{Proxy, Weather};
use crate::support::{tool, wait_for};

/// How long a server may take until it listens; then another is started.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

/// A server on a free port, with its streams on disk, and a client of it.
pub struct Nats {
    pub address: SocketAddr,
    dir: TempDir,
    process: Option<Child>,
    pub runtime: Runtime,
    tls: Option<Tls>,
    /// What its file of settings says, if it has one.
    config: Option<String>,
    /// How its client says who it is.
    sign_in: fn(ConnectOptions, &str) -> ConnectOptions,
    /// With which secret.
    secret: String,
}

/// The files of a server that speaks only TLS, and asks for a certificate.
struct Tls {
    ca: PathBuf,
    shows: [PathBuf; 2],
    own: [PathBuf; 2],
}

impl Nats {
    pub fn start() -> Self {
        Self::with(None, None)
    }

    /// One that lets everybody publish to these subjects only.
    fn allowing(subjects: &[&str]) -> Self {
        let permissions = format!("permissions: {{publish: {{allow: {subjects:?}}}}}");
        let users = format!("[{{user: city, password: city, {permissions}}}]");
        Self::configured(format!(
            "authorization: {{users: {users}}}\nno_auth_user: city\n"
        ))
    }

    /// Whether the server that the tests use is of this version or a later one.
    pub fn is_at_least(major: u32, minor: u32) -> bool {
        let output = tool("nats-server").arg("--version").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers = text.trim().rsplit('v').next().unwrap().split('.');
        let mut numbers = numbers.map(|number| number.parse::<u32>().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap()) >= (major, minor)
    }

    /// One whose settings are these, besides where it listens and keeps its streams.
    pub fn configured(config: String) -> Self {
        Self::with(None, Some(config))
    }

    /// One that shows a certificate and asks for one of the same authority, which `own` is.
    pub fn with_tls(authority: &Authority, shows: &Signed, own: &Signed) -> Self {
        let files = |signed: &Signed| [signed.certificate.clone(), signed.key.clone()];
        let tls = Tls {
            ca: authority.file(),
            shows: files(shows),
            own: files(own),
        };
        Self::with(Some(tls), None)
    }

    /// One with these settings that wants to know who its client is.
    pub fn asking(
        config: String,
        sign_in: fn(ConnectOptions, &str) -> ConnectOptions,
        secret: &str,
    ) -> Self {
        let mut server = Self::configured(config);
        (server.sign_in, server.secret) = (sign_in, secret.to_owned());
        server
    }

    fn with(tls: Option<Tls>, config: Option<String>) -> Self {
        let mut server = Self {
            address: free_port(),
            dir: tempfile::tempdir().unwrap(),
            process: None,
            runtime: Runtime::new().unwrap(),
            tls,
            config,
            sign_in: |options, _| options,
            secret: String::new(),
        };
        server.start_again();
        server
    }

    pub fn start_again(&mut self) {
        // Whoever tries to reach a port of the loopback that is free may come to hold it itself for a
        // moment: then the server ends at once, and is started again.
        let process = wait_for("the server to listen", || {
            let mut process = self.command().spawn().unwrap();
            let until = Instant::now() + LISTENS_WITHIN;
            while process.try_wait().unwrap().is_none() && Instant::now() < until {
                if TcpStream::connect(self.address).is_ok() {
                    return Some(process);
                }
                thread::park_timeout(Duration::from_millis(10));
            }
            let _ = process.kill();
            process.wait().unwrap();
            None
        });
        self.process = Some(process);
    }

    fn command(&self) -> Command {
        let mut command = tool("nats-server");
        if let Some(tls) = &self.tls {
            let [certificate, key] = &tls.shows;
            command.args(["--tls", "--tlsverify"]);
            command.arg("--tlscacert").arg(&tls.ca);
            command.arg("--tlscert").arg(certificate);
            command.arg("--tlskey").arg(key);
        }
        if let Some(config) = &self.config {
            let file = self.dir.path().join("server.conf");
            std::fs::write(&file, config).unwrap();
            command.arg("-c").arg(file);
        }
        command
            .args(["-a", "127.0.0.1", "-p", &self.address.port().to_string()])
            .arg("-js")
            .arg("-sd")
            .arg(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub fn stop(&mut self) {
        terminate(&mut self.process.take().expect("it runs"));
    }

    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Stops the process where it is, and lets it go on.
    fn freeze(&self, frozen: bool) {
        freeze(self.process.as_ref().expect("it runs"), frozen);
    }

    /// Takes its streams away.
    fn forget(&mut self) {
        assert!(self.process.is_none(), "it would write them again");
        self.dir = tempfile::tempdir().unwrap();
    }

    pub fn make_stream(&self, name: &str, subject: &str) {
        self.make_stream_that_keeps(name, subject, RetentionPolicy::Limits);
    }

    fn make_stream_that_keeps(&self, name: &str, subject: &str, retention: RetentionPolicy) {
        self.make(stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            retention,
            ..stream::Config::default()
        });
    }

    /// Makes a stream.
    pub fn make(&self, config: stream::Config) {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            context.create_stream(config).await.unwrap();
        });
    }

    /// Gives a stream other bounds.
    pub fn change(&self, config: &stream::Config) {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            context.update_stream(config).await.unwrap();
        });
    }

    /// The number of the last message that a stream has taken.
    fn last(&self, stream: &str) -> u64 {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let stream = context.get_stream(stream).await.unwrap();
            stream.cached_info().state.last_sequence
        })
    }

    /// What the consumers of a stream choose.
    fn filters(&self, stream: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let stream = context.get_stream(stream).await.unwrap();
            let consumers: Vec<_> = stream.consumers().try_collect().await.unwrap();
            let filters = consumers.into_iter().map(|each| each.config.filter_subject);
            filters.collect()
        })
    }

    fn remove_consumers(&self, stream: &str) {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let stream = context.get_stream(stream).await.unwrap();
            let consumers: Vec<_> = stream.consumer_names().try_collect().await.unwrap();
            for consumer in consumers {
                stream.delete_consumer(&consumer).await.unwrap();
            }
        });
    }

    /// Where the messages of a stream are kept.
    fn messages_dir(&self, stream: &str) -> PathBuf {
        let streams = self.dir.path().join("jetstream/$G/streams");
        streams.join(stream).join("msgs")
    }

    /// When a stream took a message, in milliseconds.
    fn taken_at(&self, stream: &str, message: u64) -> i64 {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let stream = context.get_stream(stream).await.unwrap();
            let message = stream.get_raw_message(message).await.unwrap();
            (message.time.unix_timestamp_nanos() / 1_000_000) as i64
        })
    }

    /// How many messages of a stream are delivered and not acknowledged.
    fn under_way(&self, stream: &str) -> usize {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let stream = context.get_stream(stream).await.unwrap();
            let consumers: Vec<_> = stream.consumers().try_collect().await.unwrap();
            consumers.iter().map(|each| each.num_ack_pending).sum()
        })
    }

    /// How many messages a stream holds; none if it is not there.
    pub fn kept(&self, stream: &str) -> u64 {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let stream = context.get_stream(stream).await;
            stream.map_or(0, |stream| stream.cached_info().state.messages)
        })
    }

    /// All decisions that a stream holds.
    async fn decisions(&self, stream: &str) -> Vec<serde_json::Value> {
        let context = jetstream::new(self.client().await);
        let stream = context.get_stream(stream).await.unwrap();
        let consumer = pull::Config {
            ack_policy: AckPolicy::None,
            filter_subject: "ioc.v1.decisions.>".to_owned(),
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(consumer).await.unwrap();
        let held = consumer.cached_info().num_pending as usize;
        if held == 0 {
            return Vec::new();
        }
        let messages = consumer.fetch().max_messages(held).messages().await;
        let messages: Vec<_> = messages.unwrap().try_collect().await.unwrap();
        let decision = |each: &jetstream::Message| serde_json::from_slice(&each.payload).unwrap();
        messages.iter().map(decision).collect()
    }

    pub async fn client(&self) -> async_nats::Client {
        let mut options = (self.sign_in)(ConnectOptions::new(), &self.secret);
        if let Some(tls) = &self.tls {
            let [certificate, key] = tls.own.clone();
            options = options.add_root_certificates(tls.ca.clone());
            options = options
                .add_client_certificate(certificate, key)
                .require_tls(true);
        }
        let address = format!("nats://localhost:{}", self.address.port());
        options.connect(address).await.unwrap()
    }

    /// Publishes the next readings of a city, and waits until the stream has taken them.
    pub fn publish(&self, city: &mut City) {
        self.publish_range(city.next_readings());
    }

    /// Publishes a message, and waits until the stream has taken it.
    fn publish_text(&self, subject: &'static str, text: &'static str) {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let taken = context.publish(subject, text.into()).await.unwrap();
            taken.await.unwrap();
        });
    }

    /// Says something about a key of the bucket `gauges`.
    fn put_key(&self, key: &str, text: &'static str, headers: &[(&str, &str)]) {
        self.runtime.block_on(async {
            let context = jetstream::new(self.client().await);
            let mut all = HeaderMap::new();
            headers
                .iter()
                .for_each(|(name, value)| all.insert(*name, *value));
            let subject = format!("$KV.gauges.{key}");
            let taken = context.publish_with_headers(subject, all, text.into());
            taken.await.unwrap().await.unwrap();
        });
    }

    fn publish_range(&self, range: Range<usize>) {
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

pub const LINK: &str = "nats city ioc.v1.readings.>";
pub const KEYS: &str = "stream: READINGS, ack_wait_s: 1, inflight_max: 100";

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
fn p1_p3_jetstream_a_server_that_is_frozen_or_deaf_is_left_and_read_on() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let proxy = Proxy::new(server.address);
    let mut city = City::new("nats", proxy.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    server.freeze(true);
    city.wait_for_link(LINK, "down");
    server.freeze(false);
    city.wait_for_link(LINK, "up");
    proxy.set(Weather::Deaf);
    server.publish(&mut city);
    city.wait_for_link(LINK, "down");
    proxy.set(Weather::Fair);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.check();
}

/// What was under way is more than may wait for what is owed, and others' messages lie between.
#[test]
fn p1_p5_much_that_was_under_way_in_a_filtered_stream_comes_again_and_goes_on() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    city.kill();
    let ranges: Vec<_> = (0..4).map(|_| city.next_readings()).collect();
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        for n in ranges.into_iter().flatten() {
            let (sensor, _, reading) = reading(n);
            // A native reading may be written with as much space as one likes.
            let reading = reading + &" ".repeat(32 << 10);
            let subject = format!("ioc.v1.readings.{sensor}");
            context.publish(subject, reading.into()).await.unwrap();
            context
                .publish("ioc.v1.doors", "open".into())
                .await
                .unwrap();
        }
        let stream = context.get_stream("READINGS").await.unwrap();
        let names: Vec<_> = stream.consumer_names().try_collect().await.unwrap();
        let ours = stream
            .get_consumer::<pull::Config>(&names[0])
            .await
            .unwrap();
        let mut messages = ours.fetch().max_messages(1200).messages().await.unwrap();
        for _ in 0..1200 {
            messages.next().await.unwrap().unwrap();
        }
    });
    city.start();
    city.check();
}

/// A newer message of its subject takes the place of one that is under way: the server takes that,
/// and all before it, for acknowledged.
#[test]
fn p1_what_a_stream_drops_while_it_is_under_way_takes_nothing_else_with_it() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    for _ in 0..2 {
        city.server().signal("STOP");
        let range = city.next_readings();
        server.publish_range(range.start..range.start + 10);
        server.publish_text("ioc.v1.readings.wl-1", "old");
        let old = server.last("READINGS");
        server.publish_range(range.start + 10..range.end);
        wait_for("some to be under way", || {
            (server.under_way("READINGS") >= 20).then_some(())
        });
        city.kill();
        server.runtime.block_on(async {
            let context = jetstream::new(server.client().await);
            let stream = context.get_stream("READINGS").await.unwrap();
            stream.delete_message(old).await.unwrap();
        });
        city.start();
        city.wait_until_judged();
    }
    city.check();
}

/// The server gives the numbers of what it lost to others.
#[test]
fn p1_a_stream_that_lost_its_last_messages_is_read_on() {
    let mut server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    // Its messages as they were, its consumers as they are.
    server.stop();
    let kept = server.messages_dir("READINGS");
    let before = tempfile::tempdir().unwrap();
    copy_files(&kept, before.path());
    server.start_again();
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    server.kill();
    for file in std::fs::read_dir(&kept).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    copy_files(before.path(), &kept);
    server.start_again();
    assert_eq!(server.last("READINGS"), 300, "as it was");
    server.publish(&mut city);
    city.check();
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// What says no time itself was observed when the stream took it, however late and often it comes.
#[test]
fn p3_what_has_no_time_of_its_own_has_that_of_the_stream() {
    let server = Nats::start();
    server.make_stream("READINGS", "city.>");
    let keys = "stream: READINGS, subjects: ['city.>']";
    let mut city = City::of_now("nats", server.address, keys, NO_TIMES);
    city.wait_for_link("nats city city.>", "up");
    city.kill();
    server.publish_text("city.gauges.wl-1", "{\"cm\":150}");
    let taken_at = server.taken_at("READINGS", 1);
    city.start();
    city.wait_until_taken(1);
    let records = city.records(1);
    let reading = records.iter().find(|record| record["reading"].is_object());
    let observed_at = &reading.unwrap()["reading"]["observed_at"];
    let observed_at = Timestamp::parse(observed_at.as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(observed_at.as_millis(), taken_at);
}

const NO_TIMES: &str = "mappings:
  gauges:
    topic: city/gauges/+
    sensor: topic 3
    kind: water_level
    observed_at: arrival
    readings: { value: /cm, unit: cm }
";

/// A stream that takes over what others have taken has no subjects of its own.
#[test]
fn a_stream_that_mirrors_another_is_filtered() {
    let server = Nats::start();
    server.make_stream("ALL", "city.>");
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        let config = stream::Config {
            name: "READINGS".to_owned(),
            mirror: Some(stream::Source {
                name: "ALL".to_owned(),
                ..stream::Source::default()
            }),
            ..stream::Config::default()
        };
        context.create_stream(config).await.unwrap();
    });
    let keys = "stream: READINGS, subjects: ['city.gauges.>', 'city.levels']";
    let city = City::with_mappings("nats", server.address, keys, MAPPINGS);
    for link in ["nats city city.gauges.>", "nats city city.levels"] {
        city.wait_for_link(link, "up");
    }
    let mut filters = server.filters("READINGS");
    filters.sort();
    assert_eq!(filters, ["city.gauges.>", "city.levels"]);
}

/// The link broke, or we did, after the consumer was removed and before it was made anew.
#[test]
fn a_consumer_that_was_not_made_anew_is_made_where_it_stood() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    city.kill();
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        let stream = context.get_stream("READINGS").await.unwrap();
        let names: Vec<_> = stream.consumer_names().try_collect().await.unwrap();
        let held = pull::Config {
            name: Some(format!("{}-held", names[0])),
            ack_policy: AckPolicy::All,
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: stream.cached_info().state.last_sequence + 1,
            },
            inactive_threshold: Duration::from_secs(60),
            ..pull::Config::default()
        };
        stream.create_consumer(held).await.unwrap();
        stream.delete_consumer(&names[0]).await.unwrap();
    });
    server.publish(&mut city);
    city.start();
    city.wait_until_judged();
    assert_eq!(decoded(&city), Some(300.0), "none of before");
    city.check();
}

#[test]
fn p1_p3_jetstream_over_a_link_that_flaps_every_second_makes_its_way() {
    makes_its_way(&Nats::start());
}

#[test]
fn p1_p3_jetstream_whose_server_ends_in_the_middle_of_all_it_reads_out_makes_its_way() {
    let mut server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    let until = Instant::now() + flaps();
    for end in [Nats::stop as fn(&mut Nats), Nats::kill]
        .into_iter()
        .cycle()
    {
        city.wait_for_link(LINK, "up");
        let before = city.taken_from("nats");
        server.publish(&mut city);
        wait_for("some of it to be read", || {
            (city.taken_from("nats") > before).then_some(())
        });
        end(&mut server);
        server.start_again();
        if Instant::now() >= until {
            break;
        }
    }
    city.check();
}

#[test]
fn p1_p3_jetstream_that_lets_nobody_look_for_a_message_makes_its_way_too() {
    makes_its_way(&Nats::allowing(&[
        "$JS.API.STREAM.CREATE.READINGS",
        "ioc.v1.readings.>",
        // What a subscriber needs (docs/BROKERS.md) but `STREAM.MSG.GET`.
        "$JS.API.STREAM.INFO.READINGS",
        "$JS.API.CONSUMER.*.READINGS.>",
        "$JS.API.CONSUMER.MSG.NEXT.READINGS.>",
        "$JS.ACK.READINGS.>",
    ]));
}

fn makes_its_way(server: &Nats) {
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let proxy = Proxy::new(server.address);
    let mut city = City::new("nats", proxy.address, KEYS);
    city.wait_for_link(LINK, "up");
    let until = Instant::now() + flaps();
    proxy.set(Weather::Flapping);
    while Instant::now() < until {
        server.publish(&mut city);
        // A server delivers again only when its time is up, so that now and then none of them
        // is judged for several breaks.
        city.wait_for_judgement_until(until.min(Instant::now() + Duration::from_secs(5)));
    }
    proxy.set(Weather::Fair);
    city.check();
}

#[test]
fn p1_p3_jetstream_that_has_lost_its_consumer_or_all_it_kept_is_read_on() {
    let mut server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    server.remove_consumers("READINGS");
    city.wait_for_link(LINK, "down");
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();

    // A server that loses what it kept: its publishers have to say it again.
    let range = city.next_readings();
    server.publish_range(range.clone());
    server.kill();
    server.forget();
    server.start_again();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    city.wait_for_link(LINK, "up");
    server.publish_range(range);
    city.check();
}

#[test]
fn a_stream_that_gets_other_subjects_is_filtered_from_the_next_connection_on() {
    is_filtered(RetentionPolicy::Limits);
}

#[test]
fn p1_a_stream_that_keeps_by_interest_loses_nothing_when_it_is_filtered() {
    is_filtered(RetentionPolicy::Interest);
}

#[test]
fn p1_a_work_queue_loses_nothing_when_it_is_filtered() {
    is_filtered(RetentionPolicy::WorkQueue);
}

/// It keeps what is not acknowledged, whoever loses the consumer.
#[test]
fn p1_p3_a_work_queue_is_read_whatever_happens_and_keeps_nothing_that_is_durable() {
    let mut server = Nats::start();
    server.make_stream_that_keeps("READINGS", "ioc.v1.readings.>", RetentionPolicy::WorkQueue);
    let proxy = Proxy::new(server.address);
    let mut city = City::new("nats", proxy.address, KEYS);
    city.wait_for_link(LINK, "up");
    for _ in 0..3 {
        server.publish(&mut city);
        proxy.cut();
    }
    server.publish(&mut city);
    server.kill();
    city.wait_for_link(LINK, "down");
    server.start_again();
    server.publish(&mut city);
    city.wait_until_judged();
    city.server().signal("STOP");
    server.publish(&mut city);
    wait_for("some to be under way", || {
        (server.under_way("READINGS") >= 20).then_some(())
    });
    city.kill();
    server.publish(&mut city);
    city.start();
    city.wait_until_judged();
    city.kill();
    server.remove_consumers("READINGS");
    server.publish(&mut city);
    city.start();
    city.wait_until_judged();
    wait_for("all to be acknowledged", || {
        (server.kept("READINGS") == 0).then_some(())
    });
    city.check();
}

fn is_filtered(retention: RetentionPolicy) {
    let server = Nats::start();
    server.make_stream_that_keeps("READINGS", "ioc.v1.readings.>", retention);
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    assert_eq!(server.filters("READINGS"), [""], "the whole stream is ours");
    server.publish(&mut city);
    city.kill();
    server.publish(&mut city);
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        let config = stream::Config {
            name: "READINGS".to_owned(),
            subjects: vec!["ioc.v1.readings.>".to_owned(), "doors.>".to_owned()],
            retention,
            ..stream::Config::default()
        };
        context.update_stream(config).await.unwrap();
    });
    city.start();
    city.wait_for_link(LINK, "up");
    assert_eq!(server.filters("READINGS"), ["ioc.v1.readings.>"]);
    server.publish(&mut city);
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
fn a_cloud_event_in_binary_mode_comes_from_a_server_elsewhere() {
    let server = Nats::start();
    server.make_stream("CITY", "city.>");
    let keys = "stream: CITY, subjects: ['city.>']";
    let city = City::new("nats", server.address, keys);
    city.wait_for_link("nats city city.>", "up");
    server.runtime.block_on(async {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        for (name, value) in EVENT {
            headers.insert(format!("ce-{name}"), value);
        }
        let client = server.client().await;
        let published = client.publish_with_headers("city.levels", headers, EVENT_DATA.into());
        published.await.unwrap();
        client.flush().await.unwrap();
    });
    check_event(city);
}

/// What a publisher can write at the top of a message's headers, and in them.
const HEADERS: [&[u8]; 4] = [
    b"NATS/1.0 408 Request Timeout\r\nName: x\r\n\r\n",
    b"garbage\r\n\r\n",
    b"NATS/1.0\r\nName: Jos\xe9\r\n\r\n",
    b"NATS/1.0 9x9 hm\r\nName: x\r\n\r\n",
];

#[test]
fn p1_no_headers_keep_what_lies_behind_them_in_a_stream_from_being_read() {
    is_read_behind_headers(RetentionPolicy::Limits);
}

#[test]
fn p1_no_headers_keep_a_stream_that_keeps_by_interest_from_being_read_whole() {
    is_read_behind_headers(RetentionPolicy::Interest);
}

#[test]
fn p1_no_headers_keep_a_work_queue_from_being_read() {
    is_read_behind_headers(RetentionPolicy::WorkQueue);
}

fn is_read_behind_headers(retention: RetentionPolicy) {
    let server = Nats::start();
    server.make_stream_that_keeps("READINGS", "ioc.v1.readings.>", retention);
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    let mut socket = std::net::TcpStream::connect(server.address).unwrap();
    socket
        .write_all(b"CONNECT {\"verbose\":false,\"headers\":true}\r\n")
        .unwrap();
    put_headers(&mut socket);
    wait_for("the stream to have them", || {
        (server.last("READINGS") == 304).then_some(())
    });
    server.publish(&mut city);
    city.wait_until_judged();
    assert_eq!(server.filters("READINGS"), [""], "one consumer, ours");
    let metrics = city.server().get("/metrics").body;
    let broke = metrics.contains("ioc_broker_breaks_total");
    assert!(!broke, "none of them ends the connection");
    let letters = |reason: &str| {
        let name = format!("ioc_dead_letters_total{{adapter=\"nats\",reason=\"{reason}\"}}");
        city.server().metric(&name)
    };
    // A server of 2.12 writes the top by itself when its stream takes a message.
    let client = server.runtime.block_on(server.client());
    let malformed = match client.is_server_compatible(2, 12, 0) {
        true => 2.0,
        false => 3.0,
    };
    assert_eq!(letters("headers_malformed"), Some(malformed));
    assert!(
        letters("kind_missing") >= Some(4.0 - malformed),
        "a word of the server is none"
    );
    city.check();
}

#[test]
fn p5_long_messages_of_a_stream_are_pulled_a_few_at_a_time_and_all_are_taken() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, "stream: READINGS");
    city.wait_for_link(LINK, "up");
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        for number in 0..20 {
            // Of one half the dead letter keeps the beginning, of the other all: as much of a segment
            // of the log as one record can take.
            let bytes = [1_000_000, DeadLetter::PAYLOAD_BYTES_MAX][number % 2];
            let long = vec![b'x'; bytes].into();
            let taken = context.publish("ioc.v1.readings.long", long).await;
            taken.unwrap().await.unwrap();
        }
    });
    server.publish(&mut city);
    assert_eq!(city.journaled(320).len(), 320);
}

/// How many urgent readings, and how many times as much telemetry lies before each.
const URGENT: usize = 300;
const TIMES: usize = 20;

#[test]
fn p7_urgent_readings_of_a_stream_pass_twenty_times_the_telemetry() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    // Where readings are the clock, nothing passes anything.
    let keys = "stream: READINGS";
    let mut city = City::of_now("nats", server.address, keys, "mappings: {}\n");
    city.wait_for_link(LINK, "up");
    // A backlog, so that nothing waits for the publisher.
    city.kill();
    let total = URGENT * (TIMES + 1);
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        let message = |n: usize| {
            let (sensor, kind) = match n % (TIMES + 1) {
                0 => ("alarm-1", "seismic"),
                _ => ("gauge-1", "water_level"),
            };
            let (second, milli) = (n / 1000, n % 1000);
            let reading = format!(
                r#"{{"id":"{n}","kind":"{kind}","value":0,"observed_at":"2026-03-14T06:45:{second:02}.{milli:03}Z"}}"#
            );
            (format!("ioc.v1.readings.{sensor}"), reading)
        };
        let all: Vec<_> = (1..=total).map(message).collect();
        for some in all.chunks(1000) {
            let mut taken = Vec::new();
            for (subject, reading) in some.iter().cloned() {
                taken.push(context.publish(subject, reading.into()).await.unwrap());
            }
            for each in taken {
                each.await.unwrap();
            }
        }
    });
    city.start();
    let records = city.records(total);
    let ids = records
        .iter()
        .filter_map(|record| record["reading"]["id"].as_str());
    let places: Vec<usize> = ids.map(|id| id.parse().unwrap()).collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=total).collect::<Vec<_>>(), "each once");
    let urgent = (1..).zip(&places).filter(|(_, n)| **n % (TIMES + 1) == 0);
    let ahead = urgent.map(|(place, n)| n.checked_sub(place).expect("none is later than its turn"));
    let ahead: Vec<_> = ahead.collect();
    let passed = ahead.iter().filter(|ahead| **ahead > 0).count();
    assert!(
        passed > URGENT / 2,
        "{passed} of {URGENT} passed what lay before them: {ahead:?}"
    );
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
fn p1_no_headers_end_the_link_of_a_core_subject() {
    let server = Nats::start();
    let mut city = City::new("nats", server.address, "queue: ioc");
    city.wait_for_link(LINK, "up");
    let mut socket = std::net::TcpStream::connect(server.address).unwrap();
    socket
        .write_all(b"CONNECT {\"verbose\":false,\"headers\":true}\r\n")
        .unwrap();
    put_headers(&mut socket);
    for n in city.next_readings() {
        let (sensor, _, reading) = reading(n);
        let head = format!("PUB ioc.v1.readings.{sensor} {}\r\n", reading.len());
        let message = [head.as_bytes(), reading.as_bytes(), b"\r\n"].concat();
        socket.write_all(&message).unwrap();
    }
    city.wait_until_judged();
    let name = "ioc_dead_letters_total{adapter=\"nats\",reason=\"headers_malformed\"}";
    assert_eq!(city.server().metric(name), Some(3.0));
    let metrics = city.server().get("/metrics").body;
    let broke = metrics.contains("ioc_broker_breaks_total");
    assert!(!broke, "none of them ends the connection");
    city.check();
}

#[test]
fn what_cannot_be_read_is_one_dead_letter_though_two_subjects_choose_it() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let keys = format!("{KEYS}, subjects: [ioc.v1.readings.>, ioc.v1.readings.a]");
    let city = City::new("nats", server.address, &keys);
    city.wait_for_link(LINK, "up");
    city.wait_for_link("nats city ioc.v1.readings.a", "up");
    let mut socket = std::net::TcpStream::connect(server.address).unwrap();
    let message = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n\
                    HPUB ioc.v1.readings.a 24 26\r\nNATS/1.0\r\nno colon \xe9\r\n\r\n{}\r\n";
    socket.write_all(message).unwrap();
    let count = |name: &str| city.server().metric(name);
    let passed =
        "ioc_broker_passed_over_total{link=\"nats city ioc.v1.readings.a\",why=\"read_elsewhere\"}";
    wait_for("both to have it", || {
        (count(passed) == Some(1.0)).then_some(())
    });
    let letters = "ioc_dead_letters_total{adapter=\"nats\",reason=\"headers_malformed\"}";
    wait_for("the dead letter", || {
        (count(letters) == Some(1.0)).then_some(())
    });
}

#[test]
fn p1_a_consumer_that_somebody_has_changed_is_made_anew_where_it_stood() {
    let server = Nats::start();
    server.make_stream_that_keeps("READINGS", "ioc.v1.readings.>", RetentionPolicy::Interest);
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    let change = |change: Option<fn(&mut pull::Config)>| {
        server.runtime.block_on(async {
            let context = jetstream::new(server.client().await);
            let stream = context.get_stream("READINGS").await.unwrap();
            let name = stream.consumer_names().try_next().await.unwrap().unwrap();
            let consumer: consumer::Consumer<pull::Config> =
                stream.get_consumer(&name).await.unwrap();
            let info = consumer.cached_info().config.clone();
            if let Some(change) = change {
                let mut config = pull::Config::try_from_consumer_config(info.clone()).unwrap();
                change(&mut config);
                stream.create_consumer(config).await.unwrap();
            }
            (info.headers_only, info.inactive_threshold)
        })
    };
    let changes: [fn(&mut pull::Config); 2] = [
        |config| config.headers_only = true,
        |config| config.inactive_threshold = Duration::from_secs(600),
    ];
    for each in changes {
        city.kill();
        server.publish(&mut city);
        change(Some(each));
        city.start();
        city.wait_until_judged();
        assert_eq!(change(None), (false, Duration::ZERO));
    }
    city.check();
}

/// It has acknowledged with the rest what it did not deliver.
#[test]
fn p1_what_a_consumer_did_not_deliver_because_somebody_had_narrowed_it_is_read_when_that_is_seen() {
    for from in ["first", "new"] {
        let server = Nats::start();
        server.make_stream("READINGS", "ioc.v1.readings.>");
        server.publish_range(5000..5100);
        let before = if from == "first" { 100 } else { 0 };
        let mut city = City::new("nats", server.address, &format!("{KEYS}, from: {from}"));
        city.wait_for_link(LINK, "up");
        server.publish(&mut city);
        city.wait_until_taken(before + 300);
        server.runtime.block_on(async {
            let context = jetstream::new(server.client().await);
            let stream = context.get_stream("READINGS").await.unwrap();
            let name = stream.consumer_names().try_next().await.unwrap().unwrap();
            let consumer: consumer::Consumer<pull::Config> =
                stream.get_consumer(&name).await.unwrap();
            let info = consumer.cached_info().config.clone();
            let mut config = pull::Config::try_from_consumer_config(info).unwrap();
            config.filter_subject = OWN.to_owned();
            stream.create_consumer(config).await.unwrap();
        });
        server.publish(&mut city);
        // Half of them are of the subject that is left.
        city.wait_until_taken(before + 450);
        city.kill();
        city.start();
        // By the process that has begun now.
        city.wait_until_taken(before + 600);
        assert_eq!(server.filters("READINGS"), [""]);
        let records = city.records(before + 600);
        let ids = records
            .iter()
            .filter_map(|each| each["reading"]["id"].as_str());
        let ids: BTreeSet<_> = ids.map(str::to_owned).collect();
        assert!((0..600).all(|n| ids.contains(&format!("r{n}"))));
        assert_eq!(ids.contains("r5000"), from == "first");
    }
}

/// That of the first of two subjects that choose the same.
const OWN: &str = "ioc.v1.readings.wl-1";

#[test]
fn p1_a_subject_that_is_written_before_another_begins_behind_what_that_has_not_read() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let keys = |subjects: &str| format!("{KEYS}, from: new, subjects: [{subjects}]");
    let mut city = City::new("nats", server.address, &keys("ioc.v1.readings.>"));
    city.wait_for_link(LINK, "up");
    server.publish_range(0..20);
    city.wait_until_taken(20);
    city.stop();
    server.publish_range(20..40);
    let both = format!(
        "name: city, {}",
        keys("ioc.v1.readings.wl-1, ioc.v1.readings.>")
    );
    city.change("nats", server.address, &both);
    city.start();
    city.wait_for_link(LINK, "up");
    city.wait_for_link(&format!("nats city {OWN}"), "up");
    // What follows is no word of what came before.
    server.publish_range(40..60);
    let records = city.records(40);
    let ids = records
        .iter()
        .filter_map(|each| each["reading"]["id"].as_str());
    let ids: BTreeSet<_> = ids.map(str::to_owned).collect();
    assert_eq!(ids, (0..60).map(|n| format!("r{n}")).collect());
}

#[test]
fn p1_what_is_read_by_another_subject_is_read_here_where_that_is_not_let_in() {
    let consumer = format!("ioc-city-{}", &blake3::hash(OWN.as_bytes()).to_hex()[..8]);
    let denied = ["*", "*.*"].map(|what| format!("$JS.API.CONSUMER.{what}.READINGS.{consumer}"));
    let [one, two] = &denied;
    let permissions = format!(
        "permissions: {{publish: {{allow: \">\", deny: {:?}}}}}",
        [one, two, &format!("{one}.>")]
    );
    let users = format!("[{{user: city, password: city, {permissions}}}]");
    let server = Nats::configured(format!(
        "authorization: {{users: {users}}}\nno_auth_user: city\n"
    ));
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let keys = format!("{KEYS}, subjects: [{OWN}, ioc.v1.readings.>]");
    let mut city = City::new("nats", server.address, &keys);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    city.check();
}

#[test]
fn a_message_that_two_core_subjects_choose_is_one_reading() {
    let server = Nats::start();
    let mappings = "mappings:
  gauges:
    topic: city/#
    sensor: topic 3
    kind: water_level
    observed_at: arrival
    readings: { value: /cm, unit: cm }
";
    let keys = "subjects: [city.gauges.*, city.>]";
    let city = City::with_mappings("nats", server.address, keys, mappings);
    city.wait_for_link("nats city city.gauges.*", "up");
    city.wait_for_link("nats city city.>", "up");
    server.runtime.block_on(async {
        let client = server.client().await;
        for cm in 1..=50 {
            let text = format!("{{\"cm\":{cm}}}");
            client
                .publish("city.gauges.wl-1", text.into())
                .await
                .unwrap();
        }
        client.flush().await.unwrap();
    });
    let passed = "ioc_broker_passed_over_total{link=\"nats city city.>\",why=\"read_elsewhere\"}";
    wait_for("the second to pass them over", || {
        (city.server().metric(passed) == Some(50.0)).then_some(())
    });
    assert_eq!(city.journaled(50).len(), 50);
}

/// Publishes messages of which most have headers that cannot be read.
fn put_headers(socket: &mut std::net::TcpStream) {
    for headers in HEADERS {
        let head = format!(
            "HPUB ioc.v1.readings.a {} {}\r\n",
            headers.len(),
            headers.len() + 2
        );
        let message = [head.as_bytes(), headers, b"{}\r\n"].concat();
        socket.write_all(&message).unwrap();
    }
}

/// Permissions that do not allow `_INBOX`.
#[test]
fn p1_p3_jetstream_that_answers_us_on_subjects_of_our_own_only_is_read() {
    let allowed = "permissions: {
        publish: { allow: ['$JS.API.STREAM.INFO.READINGS', '$JS.API.STREAM.MSG.GET.READINGS',
            '$JS.API.CONSUMER.*.READINGS.>', '$JS.API.CONSUMER.MSG.NEXT.READINGS.>',
            '$JS.ACK.READINGS.>'] }
        subscribe: { allow: ['_INBOX_ioc.>'] } }";
    let server = Nats::configured(format!(
        "authorization: {{ users: [{{ user: tests, password: t }},
            {{ user: ioc, password: city, {allowed} }}] }}\nno_auth_user: tests\n"
    ));
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "city\n").unwrap();
    std::fs::set_permissions(&password, PermissionsExt::from_mode(0o600)).unwrap();
    let user = format!("user: ioc, password_file: '{}'", password.display());
    let without = City::new("nats", server.address, &format!("{user}, {KEYS}"));
    wait_for("the server to forbid it", || {
        without.ready().contains("_INBOX.").then_some(())
    });
    drop(without);
    let keys = format!("{user}, inbox_prefix: _INBOX_ioc, {KEYS}");
    let mut city = City::new("nats", server.address, &keys);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.kill();
    server.publish(&mut city);
    city.start();
    city.check();
}

/// How many messages of a stream were read since the start.
fn decoded(city: &City) -> Option<f64> {
    let decoded = "ioc_readings_decoded_total{adapter=\"nats\"}";
    city.server().metric(decoded)
}

#[test]
fn p1_a_stream_is_read_from_now_on_and_nothing_of_it_is_lost_with_its_consumer() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    server.publish_range(5000..5100);
    let mut city = City::new("nats", server.address, &format!("from: new, {KEYS}"));
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    assert_eq!(decoded(&city), Some(300.0), "none of before");
    city.kill();
    server.publish(&mut city);
    server.remove_consumers("READINGS");
    city.start();
    city.wait_until_judged();
    // What came within a second before the end may come again.
    assert!(decoded(&city) < Some(650.0), "{:?}", decoded(&city));
    city.check();
}

#[test]
fn p1_a_link_of_a_stream_that_is_called_otherwise_goes_on_where_it_stopped() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    server.publish_range(5000..5100);
    let keys = format!("from: new, {KEYS}");
    let mut city = City::new("nats", server.address, &keys);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    city.stop();
    server.publish(&mut city);
    city.change("nats", server.address, &format!("name: hills, {keys}"));
    city.start();
    city.wait_until_judged();
    assert_eq!(decoded(&city), Some(300.0), "none of before");
    city.check();
}

#[test]
fn a_work_queue_whose_link_is_called_otherwise_says_what_to_do() {
    let server = Nats::start();
    server.make_stream_that_keeps("READINGS", "ioc.v1.readings.>", RetentionPolicy::WorkQueue);
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    city.stop();
    server.publish(&mut city);
    let hills = |durable: &str| format!("name: hills, {KEYS}{durable}");
    city.change("nats", server.address, &hills(""));
    city.start();
    let link = LINK.replace("city", "hills");
    wait_for("what to do", || {
        city.ready().contains("write its `durable`").then_some(())
    });
    city.stop();
    city.change("nats", server.address, &hills(", durable: ioc-city"));
    city.start();
    city.wait_for_link(&link, "up");
    city.wait_until_judged();
    city.check();
}

#[test]
fn a_stream_is_read_from_a_time_on() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    server.publish_range(5000..5100);
    let last = server.taken_at("READINGS", server.last("READINGS"));
    wait_for("a later time", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_millis() as i64 > last + 1).then_some(())
    });
    let after = Timestamp::from_millis(last + 1);
    let range = 0..300;
    server.publish_range(range.clone());
    let keys = format!("from: '{after}', {KEYS}");
    let mut city = City::new("nats", server.address, &keys);
    assert_eq!(city.next_readings(), range);
    city.wait_until_judged();
    assert_eq!(decoded(&city), Some(300.0), "none of before");
    city.check();
}

/// The stream of a key-value bucket; a server of 2.9 does not let the library make one.
fn make_bucket(server: &Nats) {
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        let config = stream::Config {
            name: "KV_gauges".to_owned(),
            subjects: vec!["$KV.gauges.>".to_owned()],
            max_messages_per_subject: 8,
            allow_rollup: true,
            deny_delete: true,
            ..stream::Config::default()
        };
        context.create_stream(config).await.unwrap();
    });
}

#[test]
fn the_keys_of_a_bucket_are_read_and_what_deletes_them_is_counted() {
    let server = Nats::start();
    make_bucket(&server);
    let mappings = MAPPINGS.replace("city/gauges/+", "$KV/gauges/+");
    for keys in [
        "stream: KV_gauges, subjects: ['$KV.gauges.>']",
        "subjects: ['$KV.gauges.>']",
    ] {
        let city = City::with_mappings("nats", server.address, keys, &mappings);
        city.wait_for_link("nats city $KV.gauges.>", "up");
        let put = |key, text| server.put_key(key, text, &[]);
        put("wl-1", r#"{"at":1773470700,"cm":150}"#);
        server.put_key("wl-1", "", &[("KV-Operation", "DEL")]);
        put("wl-2", r#"{"at":1773470700,"cm":250}"#);
        // A purge takes from the stream what is not read yet.
        city.wait_until_taken(2);
        let purge = [("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")];
        server.put_key("wl-2", "", &purge);
        put("wl-2", r#"{"at":1773470710,"cm":260}"#);
        city.wait_until_taken(3);
        let deleted =
            "ioc_broker_passed_over_total{link=\"nats city $KV.gauges.>\",why=\"key_deleted\"}";
        let count = city.server().metric(deleted);
        let journaled = city.journaled(3);
        assert_eq!(journaled, ["wl-1 1.5", "wl-2 2.5", "wl-2 2.6"], "{keys}");
        assert_eq!(count, Some(2.0), "{keys}");
    }
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
fn a_server_that_allows_less_than_is_asked_for_is_read_with_what_it_allows() {
    let limits = "jetstream { limits { max_ack_pending: 500, max_request_batch: 40 } }\n";
    let server = Nats::configured(limits.to_owned());
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    for _ in 0..3 {
        server.publish(&mut city);
    }
    city.wait_until_judged();
    let refusals = format!("ioc_broker_breaks_total{{link=\"{LINK}\",reason=\"refused\"}} ");
    assert_eq!(city.server().metric(&refusals), None, "no link broke");
    city.check();
}

/// The numbers of the decisions that a stream has taken, in its order.
pub fn taken(server: &Nats) -> Vec<u64> {
    let taken = server.runtime.block_on(server.decisions("DECISIONS"));
    let number = |each: &serde_json::Value| each["seq"].as_u64().unwrap();
    taken.iter().map(number).collect()
}

/// What a city has decided.
pub fn decided(city: &City) -> Vec<serde_json::Value> {
    let decided = city.server().get_json("/api/v1/decisions?limit=1000");
    decided["decisions"].as_array().unwrap().clone()
}

/// Waits until a stream has as many decisions as were made: it has each once, and in order.
pub fn check_taken_once(server: &Nats, city: &City) {
    let decided = wait_for("all decisions to be taken", || {
        let decided = decided(city).len();
        (decided > 10 && taken(server).len() >= decided).then_some(decided)
    });
    let all: Vec<_> = (1..=decided as u64).collect();
    assert_eq!(taken(server), all);
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
    check_taken_once(&server, &city);
}

#[test]
fn a_consumer_that_somebody_has_paused_is_told_for_what_it_is() {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let mut city = City::new("nats", server.address, KEYS);
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.wait_until_judged();
    let pause = |until: serde_json::Value| {
        server.runtime.block_on(async {
            let context = jetstream::new(server.client().await);
            let stream = context.get_stream("READINGS").await.unwrap();
            let name = stream.consumer_names().try_next().await.unwrap().unwrap();
            let subject = format!("CONSUMER.PAUSE.READINGS.{name}");
            let asked = context.request::<_, _, serde_json::Value>(subject, &until);
            asked.await.is_ok_and(|answer| answer["error"].is_null())
        })
    };
    let is_paused = pause(serde_json::json!({ "pause_until": "2199-01-01T00:00:00Z" }));
    // Servers before 2.11 cannot.
    assert_eq!(is_paused, Nats::is_at_least(2, 11));
    if is_paused {
        city.wait_for_link(LINK, "paused on its server for another");
        let links = city.server().get_json("/api/v1/status")["links"].clone();
        assert_eq!(links[0]["state"], "paused", "{links}");
        assert!(pause(serde_json::json!({})), "resumed");
    }
    city.wait_for_link(LINK, "up");
    server.publish(&mut city);
    city.check();
}
