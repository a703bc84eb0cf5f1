//! P1 and P3 behind an MQTT broker elsewhere: whatever happens to it, to the link and to us, what
//! it acknowledged to its publishers and kept is judged, once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use ioc_core::time::{Millis, Timestamp};
use serde_json::Value;

use crate::kill::{check_judged_once, reading};
use crate::mosquitto::Mosquitto;
use crate::proxy::{Proxy, Weather};
use crate::publisher::Publisher;
use crate::support::{Server, Site, ioc, json_lines, level, river_city, tool, wait_for};

/// How many readings are published at once.
const ROUND: usize = 300;
/// How many sensors say them, where they come out of order.
const SENSORS: usize = 300;

/// A site that reads from a broker.
pub struct City {
    site: Site,
    config: String,
    server: Option<Server>,
    published: usize,
}

impl City {
    /// `keys` of the broker, in YAML's flow style, besides its address and name.
    pub fn new(section: &str, broker: impl Display, keys: &str) -> Self {
        Self::with_mappings(section, broker, keys, "mappings: {}\n")
    }

    /// The same with a file of mappings.
    pub fn with_mappings(section: &str, broker: impl Display, keys: &str, mappings: &str) -> Self {
        Self::of(&river_city(), section, broker, keys, mappings)
    }

    /// The same in the time of the machine, not in that of its readings.
    pub fn of_now(section: &str, broker: impl Display, keys: &str, mappings: &str) -> Self {
        let mut site = Site::new(&river_city());
        let clock = site.args.iter_mut().find(|arg| *arg == "readings");
        clock.unwrap().replace_range(.., "system");
        Self::at(site, section, broker, keys, mappings)
    }

    /// The same of another city.
    pub fn of(city: &str, section: &str, broker: impl Display, keys: &str, mappings: &str) -> Self {
        Self::at(Site::new(city), section, broker, keys, mappings)
    }

    fn at(mut site: Site, section: &str, broker: impl Display, keys: &str, mappings: &str) -> Self {
        let config = site.dir.path().join("config");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("mappings.yaml"), mappings).unwrap();
        let config = config.display().to_string();
        site.args.extend(["--config".into(), config.clone()]);
        let mut city = Self {
            site,
            config,
            server: None,
            published: 0,
        };
        city.change(section, broker, &format!("name: city, {keys}"));
        city.start();
        city
    }

    /// Gives the broker other keys, for the next start.
    pub fn change(&self, section: &str, broker: impl Display, keys: &str) {
        let settings = format!("brokers: {{ {section}: [{{ address: {broker}, {keys} }}] }}\n");
        std::fs::write(format!("{}/ioc.yaml", self.config), settings).unwrap();
    }

    pub fn start(&mut self) {
        assert!(self.server.is_none() && !self.config.is_empty());
        let mut command: Command = self.site.command();
        command.env("IOC_LOG_FILTER", "warn");
        self.server = Some(Server::start(command));
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    pub fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    pub fn stop(&mut self) {
        let ended = self.server.take().expect("it runs").stop();
        assert!(ended.success());
    }

    /// Waits until `/readyz` says this of the link.
    pub fn wait_for_link(&self, link: &str, state: &str) {
        wait_for(&format!("{link} to be {state}"), || {
            let ready = self.server().get("/readyz").body;
            let line = ready.lines().find_map(|line| line.strip_prefix(link))?;
            line.strip_prefix(": ")?.starts_with(state).then_some(())
        });
    }

    /// Publishes the next readings to a broker, and waits until it has acknowledged them.
    pub fn publish(&mut self, broker: SocketAddr) {
        let range = self.next_readings();
        publish(broker, range);
    }

    /// The numbers of the readings that are published next.
    pub fn next_readings(&mut self) -> Range<usize> {
        let range = self.published..self.published + ROUND;
        self.published = range.end;
        range
    }

    /// What `/readyz` says.
    pub fn ready(&self) -> String {
        self.server().get("/readyz").body
    }

    /// How many readings were judged. The counters are told with each input, at most once a
    /// second, so there has to be one.
    fn judged(&self) -> usize {
        self.server().post_readings(&["no reading".to_owned()]);
        let metric = self
            .server()
            .metric("ioc_judged_total{step=\"readings_judged\"}");
        metric.unwrap_or_default() as usize
    }

    /// How many messages it has taken from brokers of a sort.
    pub fn taken_from(&self, adapter: &str) -> f64 {
        let name = format!("ioc_readings_decoded_total{{adapter=\"{adapter}\"}}");
        self.server().metric(&name).unwrap_or_default()
    }

    /// Waits until all are judged, or so long.
    pub fn wait_for_judgement_until(&self, until: Instant) {
        while self.judged() < self.published && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn wait_until_judged(&self) {
        wait_for("all readings to be judged", || {
            (self.judged() >= self.published).then_some(())
        });
    }

    /// Waits until so many readings and dead letters were taken.
    pub fn wait_until_taken(&self, count: usize) {
        let taken = |name: &str| {
            let page = self.server().get("/metrics").body;
            let lines = page.lines().filter_map(|line| line.strip_prefix(name));
            let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            counts.sum::<f64>() as usize
        };
        wait_for("all messages to be taken", || {
            let letters = taken("ioc_dead_letters_total");
            let readings = taken("ioc_readings_decoded_total");
            (readings + letters >= count).then_some(())
        });
    }

    /// Ends it when so many readings and dead letters were taken; all records and decisions.
    pub fn records(mut self, count: usize) -> Vec<Value> {
        self.wait_until_taken(count);
        assert!(self.server.take().expect("it runs").stop().success());
        let data = self.site.data();
        json_lines(&ioc(&["journal", "dump", data.to_str().unwrap()]).stdout)
    }

    /// The same, of which only what messages became: sensors with their values, reasons with
    /// their topics, sorted.
    pub fn journaled(self, count: usize) -> Vec<String> {
        let dump = self.records(count);
        let told = dump.iter().filter_map(|record| {
            let (reading, letter) = (&record["reading"], &record["dead_letter"]);
            if let Some(sensor) = reading["sensor"].as_str() {
                return Some(format!("{sensor} {}", reading["value"]));
            }
            let (reason, topic) = (letter["reason"].as_str()?, letter["topic"].as_str()?);
            Some(format!("{reason} {topic}"))
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }

    /// The same where the readings of a sensor come in no order: what is late is judged, and need
    /// be no evidence.
    pub fn check_out_of_order(mut self) {
        self.wait_until_judged();
        assert_eq!(self.judged(), self.published, "once");
        assert!(self.server.take().expect("it runs").stop().success());
        let data = self.site.data();
        let dump = json_lines(&ioc(&["journal", "dump", data.to_str().unwrap()]).stdout);
        let ids = dump
            .iter()
            .filter_map(|line| line["reading"]["id"].as_str());
        let journaled: BTreeSet<_> = ids.map(str::to_owned).collect();
        let lost: Vec<_> = (0..self.published)
            .map(|n| format!("r{n}"))
            .filter(|id| !journaled.contains(id))
            .collect();
        assert!(lost.is_empty(), "P1: acknowledged and lost: {lost:?}");
    }

    /// Ends it, and checks that each reading published was judged once.
    pub fn check(mut self) {
        self.wait_until_judged();
        assert_eq!(self.judged(), self.published, "once");
        assert!(self.server.take().expect("it runs").stop().success());
        let ids = (0..self.published).map(|n| format!("r{n}")).collect();
        check_judged_once(&self.site, &ids);
    }
}

fn publish(broker: SocketAddr, range: Range<usize>) {
    publish_all(broker, range.map(reading));
}

/// The same of so many sensors that each is remembered by all that it said.
fn publish_of_many(broker: SocketAddr, range: Range<usize>) {
    let of_many = |n: usize| {
        let (_, id, _) = reading(n);
        let at = Timestamp::parse(b"2026-03-14T00:00:00Z").unwrap() + Millis::seconds(n as i64);
        let sensor = format!("stranger-{}", n % SENSORS);
        let reading = level(&id, &sensor, &at.to_string(), 1.2);
        (sensor, id, reading)
    };
    publish_all(broker, range.map(of_many));
}

fn publish_all<S: AsRef<str>>(
    broker: SocketAddr,
    readings: impl Iterator<Item = (S, String, String)>,
) {
    let mut publisher = Publisher::connect(broker).unwrap();
    for (sensor, id, reading) in readings {
        publisher.publish(sensor.as_ref(), &id, &reading).unwrap();
    }
    while !publisher.in_flight.is_empty() {
        publisher.acknowledged().unwrap();
    }
}

const LINK: &str = "mqtt city";

/// What the messages of [`shapes`] are.
pub const MAPPINGS: &str = "mappings:
  gauges:
    topic: city/gauges/+
    sensor: topic 3
    kind: water_level
    observed_at: { from: /at, as: seconds }
    readings: { value: /cm, unit: cm }
";

/// Messages in several shapes: topic, payload, content type.
pub fn shapes() -> [(&'static str, String, Option<&'static str>); 4] {
    let native = level("n", "wl-2", "2026-03-14T06:45:10Z", 1.25);
    let senml = r#"[{"n":"wl-1","u":"m","v":0.5,"bt":1773470710}]"#.to_owned();
    [
        (
            "city/gauges/wl-1",
            r#"{"at":1773470700,"cm":150}"#.to_owned(),
            None,
        ),
        ("city/senml", senml, Some("application/senml+json")),
        ("city/levels", native, None),
        ("city/words", "high".to_owned(), None),
    ]
}

/// What is journaled of [`shapes`].
pub const JOURNALED: [&str; 4] = [
    "topic_unknown city/words",
    "wl-1 0.5",
    "wl-1 1.5",
    "wl-2 1.25",
];

#[test]
fn messages_of_every_shape_come_from_a_broker_elsewhere() {
    let broker = Mosquitto::start();
    let keys = "topics: ['city/#']";
    let city = City::with_mappings("mqtt", broker.address, keys, MAPPINGS);
    city.wait_for_link(LINK, "up");
    for (topic, payload, content_type) in shapes() {
        let mut publish = tool("mosquitto_pub");
        publish.args(["-V", "5", "-q", "1", "-t", topic, "-m", &payload]);
        publish.args(["-p", &broker.address.port().to_string()]);
        if let Some(content_type) = content_type {
            publish.args(["-D", "publish", "content-type", content_type]);
        }
        assert!(publish.status().unwrap().success());
    }
    assert_eq!(city.journaled(4), JOURNALED);
}

/// The data of a CloudEvent, which say neither their id nor their time.
pub const EVENT_DATA: &str = r#"{"sensor":"wl-1","kind":"water_level","value":1.5,"unit":"m"}"#;

/// Its attributes.
pub const EVENT: [(&str, &str); 5] = [
    ("specversion", "1.0"),
    ("id", "A-1"),
    ("source", "/gauges"),
    ("type", "example.level"),
    ("time", "2026-03-14T06:45:10Z"),
];

/// Waits for the event's reading, and checks that it was given what its envelope says.
pub fn check_event(city: City) {
    let records = city.records(1);
    let reading = records.iter().find(|record| record["reading"].is_object());
    let reading = &reading.unwrap()["reading"];
    assert_eq!(reading["id"], "/gauges A-1");
    assert_eq!(reading["observed_at"], "2026-03-14T06:45:10.000Z");
}

#[test]
fn a_cloud_event_in_binary_mode_comes_from_a_broker_elsewhere() {
    let broker = Mosquitto::start();
    let city = City::new("mqtt", broker.address, "topics: ['city/#']");
    city.wait_for_link(LINK, "up");
    let mut publish = tool("mosquitto_pub");
    publish.args(["-V", "5", "-q", "1", "-t", "city/levels", "-m", EVENT_DATA]);
    publish.args(["-p", &broker.address.port().to_string()]);
    for (name, value) in EVENT {
        publish.args(["-D", "publish", "user-property", name, value]);
    }
    assert!(publish.status().unwrap().success());
    check_event(city);
}

#[test]
fn p1_p3_a_link_that_is_cut_frozen_and_slow_loses_and_repeats_nothing() {
    for version in ["3.1.1", "5"] {
        let broker = Mosquitto::start();
        let proxy = Proxy::new(broker.address);
        let keys = format!("version: {version}, keep_alive_s: 1, inflight_max: 100");
        let mut city = City::new("mqtt", proxy.address, &keys);
        city.wait_for_link(LINK, "up");
        for _ in 0..10 {
            city.publish(broker.address);
            proxy.cut();
        }
        proxy.set(Weather::Slow(Duration::from_millis(5)));
        city.publish(broker.address);
        proxy.set(Weather::Frozen);
        city.publish(broker.address);
        city.wait_for_link(LINK, "down");
        proxy.cut();
        proxy.set(Weather::Down);
        city.publish(broker.address);
        proxy.set(Weather::Fair);
        city.wait_for_link(LINK, "up");
        // In the middle of what it reads.
        city.publish(broker.address);
        city.kill();
        city.publish(broker.address);
        city.start();
        city.check();
    }
}

#[test]
fn p1_p3_frost_server_2405_a_broker_that_is_restarted_is_read_on() {
    let mut broker = Mosquitto::start();
    let mut city = City::new("mqtt", broker.address, "keep_alive_s: 1");
    city.wait_for_link(LINK, "up");
    for _ in 0..3 {
        city.publish(broker.address);
        broker.stop();
        city.wait_for_link(LINK, "down");
        broker.start_again();
        city.publish(broker.address);
        city.wait_for_link(LINK, "up");
    }
    city.wait_until_judged();
    // A broker that loses what it kept: its publishers have to say it again.
    for end in [Mosquitto::kill as fn(&mut Mosquitto), Mosquitto::stop] {
        let from = city.published;
        city.publish(broker.address);
        end(&mut broker);
        broker.forget();
        broker.start_again();
        city.wait_for_link(LINK, "up");
        publish(broker.address, from..city.published);
        city.wait_until_judged();
    }
    city.check();
}

#[test]
fn p1_p3_a_broker_that_is_frozen_or_deaf_is_left_and_read_on() {
    let broker = Mosquitto::start();
    let proxy = Proxy::new(broker.address);
    let mut city = City::new("mqtt", proxy.address, "keep_alive_s: 1, inflight_max: 100");
    city.wait_for_link(LINK, "up");
    city.publish(broker.address);
    broker.freeze(true);
    city.wait_for_link(LINK, "down");
    broker.freeze(false);
    city.wait_for_link(LINK, "up");
    // It goes on delivering, and hears neither what is acknowledged nor that it is asked.
    proxy.set(Weather::Deaf);
    city.publish(broker.address);
    city.wait_for_link(LINK, "down");
    proxy.set(Weather::Fair);
    city.wait_for_link(LINK, "up");
    city.publish(broker.address);
    city.check();
}

#[test]
fn p1_node_red_2864_what_is_published_while_we_are_away_is_judged_when_we_are_back() {
    let broker = Mosquitto::start();
    let mut city = City::new("mqtt", broker.address, "inflight_max: 100");
    city.wait_for_link(LINK, "up");
    for _ in 0..2 {
        city.stop();
        city.publish(broker.address);
        city.start();
        city.wait_until_judged();
    }
    city.check();
}

#[test]
fn p1_thingsboard_6576_each_of_2300_messages_in_a_row_is_judged() {
    let broker = Mosquitto::start();
    let mut city = City::new("mqtt", broker.address, "");
    city.wait_for_link(LINK, "up");
    city.published = 2300;
    publish(broker.address, 0..2300);
    city.check();
}

/// How long links flap: `IOC_TEST_FLAP_S`, or not long.
pub fn flaps() -> Duration {
    let seconds = std::env::var("IOC_TEST_FLAP_S").map_or(5, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

#[test]
fn p1_p3_a_link_that_flaps_every_second_makes_its_way() {
    let broker = Mosquitto::start();
    let proxy = Proxy::new(broker.address);
    let mut city = City::new("mqtt", proxy.address, "inflight_max: 100");
    city.wait_for_link(LINK, "up");
    let until = Instant::now() + flaps();
    proxy.set(Weather::Flapping);
    while Instant::now() < until {
        city.publish(broker.address);
        city.wait_until_judged();
    }
    city.check();
}

#[test]
fn p1_p3_a_broker_that_ends_in_the_middle_of_all_it_reads_out_makes_its_way() {
    let mut broker = Mosquitto::start();
    let mut city = City::new("mqtt", broker.address, "keep_alive_s: 1, inflight_max: 20");
    let until = Instant::now() + flaps();
    while Instant::now() < until {
        city.wait_for_link(LINK, "up");
        let before = city.taken_from("mqtt_broker");
        city.publish(broker.address);
        wait_for("some of it to be read", || {
            (city.taken_from("mqtt_broker") > before).then_some(())
        });
        broker.stop();
        broker.start_again();
    }
    city.check();
}

#[test]
fn p1_p3_a_broker_that_is_killed_and_has_kept_its_sessions_is_read_on() {
    let mut broker = Mosquitto::start();
    let proxy = Proxy::new(broker.address);
    let keys = "keep_alive_s: 1, inflight_max: 20";
    let mut city = City::new("mqtt", proxy.address, keys);
    for _ in 0..3 {
        city.wait_for_link(LINK, "up");
        proxy.set(Weather::Down);
        proxy.cut();
        city.wait_for_link(LINK, "down");
        city.publish(broker.address);
        // What it has acknowledged it writes a moment later: only then a kill takes nothing.
        let last = format!("\"r{}\"", city.published - 1);
        wait_for("the broker to have written it", || {
            broker.has_written(&last).then_some(())
        });
        let before = city.taken_from("mqtt_broker");
        broker.kill();
        broker.start_again();
        proxy.set(Weather::Fair);
        wait_for("some of it to be read", || {
            (city.taken_from("mqtt_broker") > before).then_some(())
        });
        broker.kill();
        broker.start_again();
        city.wait_until_judged();
    }
    city.check();
}

#[test]
fn p1_p3_a_shared_subscription_loses_and_repeats_nothing_whatever_happens() {
    let broker = Mosquitto::start();
    let proxy = Proxy::new(broker.address);
    let keys = "share: ioc, connections: 3, keep_alive_s: 1, inflight_max: 20";
    let mut city = City::new("mqtt", proxy.address, keys);
    let up = |city: &City| {
        for link in [LINK, "mqtt city-2", "mqtt city-3"] {
            city.wait_for_link(link, "up");
        }
    };
    up(&city);
    for _ in 0..5 {
        publish_of_many(broker.address, city.next_readings());
        proxy.cut();
    }
    proxy.set(Weather::Flapping);
    let until = Instant::now() + flaps();
    while Instant::now() < until {
        publish_of_many(broker.address, city.next_readings());
        city.wait_until_judged();
    }
    proxy.set(Weather::Fair);
    up(&city);
    publish_of_many(broker.address, city.next_readings());
    city.kill();
    publish_of_many(broker.address, city.next_readings());
    city.start();
    publish_of_many(broker.address, city.next_readings());
    city.check_out_of_order();
}

#[test]
fn p1_p3_a_link_that_is_cut_with_every_few_readings_makes_its_way() {
    let broker = Mosquitto::start();
    let proxy = Proxy::new(broker.address);
    let mut city = City::new("mqtt", proxy.address, "inflight_max: 20");
    city.wait_for_link(LINK, "up");
    city.publish(broker.address);
    let taken = || {
        city.server()
            .metric("ioc_readings_decoded_total{adapter=\"mqtt_broker\"}")
    };
    let mut before = taken();
    wait_for("all readings, a few with each connection", || {
        let now = taken();
        if now > before {
            before = now;
            proxy.cut();
        }
        (city.judged() >= city.published).then_some(())
    });
    city.check();
}

/// What comes over both is known again.
#[test]
fn p1_p3_topics_that_overlap_lose_and_repeat_nothing_whatever_happens() {
    let mut broker = Mosquitto::start();
    let proxy = Proxy::new(broker.address);
    let keys = "keep_alive_s: 1, inflight_max: 100, topics: ['ioc/v1/readings/#'], \
                urgent_topics: ['ioc/v1/readings/+']";
    let mut city = City::new("mqtt", proxy.address, keys);
    let up = |city: &City| {
        for link in [LINK, "mqtt city-urgent"] {
            city.wait_for_link(link, "up");
        }
    };
    up(&city);
    for _ in 0..5 {
        city.publish(broker.address);
        proxy.cut();
    }
    proxy.set(Weather::Flapping);
    for _ in 0..3 {
        city.publish(broker.address);
        city.wait_until_judged();
    }
    proxy.set(Weather::Fair);
    city.publish(broker.address);
    city.kill();
    city.publish(broker.address);
    city.start();
    up(&city);
    city.publish(broker.address);
    broker.stop();
    broker.start_again();
    city.publish(broker.address);
    city.check();
}

#[test]
fn a_shared_subscription_is_spread_and_urgent_topics_have_their_own_connection() {
    let broker = Mosquitto::start();
    let keys = "share: ioc, connections: 3, topics: ['ioc/v1/readings/wl-1'], \
                urgent_topics: ['ioc/v1/readings/wl-2']";
    let mut city = City::new("mqtt", broker.address, keys);
    for link in [
        "mqtt city",
        "mqtt city-2",
        "mqtt city-3",
        "mqtt city-urgent",
    ] {
        city.wait_for_link(link, "up");
    }
    city.published = 20;
    publish(broker.address, 0..20);
    let taken = || {
        city.server()
            .metric("ioc_readings_decoded_total{adapter=\"mqtt_broker\"}")
    };
    wait_for("each reading once", || {
        (taken() == Some(20.0)).then_some(())
    });
}

/// A session that is not configured any more is read out, ended, and no link.
fn wait_until_ended(city: &City, client_id: &str) {
    let link = format!("mqtt city session {client_id}");
    wait_for(&format!("the session {client_id} to be ended"), || {
        (!city.ready().contains(&link)).then_some(())
    });
    let is_up = format!("ioc_broker_up{{link=\"{link}\"}}");
    assert_ne!(city.server().metric(&is_up), Some(1.0), "it is no link");
}

#[test]
fn p1_a_shared_subscription_with_fewer_connections_loses_nothing_that_lies_in_the_others() {
    let broker = Mosquitto::start();
    let keys = |more: &str| format!("topics: ['ioc/v1/readings/#'], inflight_max: 100, {more}");
    let four = keys("share: ioc, connections: 4");
    let mut city = City::new("mqtt", broker.address, &four);
    let up = |city: &City, links: &[&str]| {
        for link in links {
            city.wait_for_link(link, "up");
        }
    };
    let all = [LINK, "mqtt city-2", "mqtt city-3", "mqtt city-4"];
    up(&city, &all);
    for (more, left) in [
        (
            "share: ioc, connections: 2",
            &["ioc-city-3", "ioc-city-4"][..],
        ),
        ("", &["ioc-city-2"]),
    ] {
        city.stop();
        publish_of_many(broker.address, city.next_readings());
        let keys = format!("name: city, {}", keys(more));
        city.change("mqtt", broker.address, &keys);
        city.start();
        publish_of_many(broker.address, city.next_readings());
        city.wait_until_judged();
        for client_id in left {
            wait_until_ended(&city, client_id);
        }
        publish_of_many(broker.address, city.next_readings());
        city.wait_until_judged();
    }
    city.check_out_of_order();
}

#[test]
fn p1_a_filter_that_is_made_urgent_or_no_longer_loses_nothing_that_the_broker_kept() {
    let broker = Mosquitto::start();
    for version in ["5", "3.1.1"] {
        let both = "topics: ['ioc/v1/readings/wl-1', 'ioc/v1/readings/wl-2']";
        let apart = "topics: ['ioc/v1/readings/wl-2'], urgent_topics: ['ioc/v1/readings/wl-1']";
        let keys = |topics| format!("version: {version}, client_id: c{version}, {topics}");
        let mut city = City::new("mqtt", broker.address, &keys(both));
        city.wait_for_link(LINK, "up");
        for topics in [apart, both] {
            city.stop();
            city.publish(broker.address);
            city.change(
                "mqtt",
                broker.address,
                &format!("name: city, {}", keys(topics)),
            );
            city.start();
            city.wait_until_judged();
            wait_until_ended(&city, &format!("c{version}-urgent"));
            city.publish(broker.address);
            city.wait_until_judged();
        }
        // Nothing comes twice: not by a filter of before.
        let taken = city.taken_from("mqtt_broker");
        city.publish(broker.address);
        city.wait_until_judged();
        assert_eq!(city.taken_from("mqtt_broker"), taken + ROUND as f64);
        city.check_out_of_order();
    }
}

#[test]
fn p1_a_filter_that_moves_to_another_link_loses_nothing_that_the_broker_kept() {
    let broker = Mosquitto::start();
    let (one, two) = ("ioc/v1/readings/wl-1", "ioc/v1/readings/wl-2");
    for version in ["5", "3.1.1"] {
        let links = |of_city: &str, of_hills: &str| {
            format!(
                "version: {version}, client_id: c{version}, topics: [{of_city}] }}, {{ address: {}, name: hills, \
                 version: {version}, client_id: h{version}, topics: [{of_hills}]",
                broker.address
            )
        };
        let both = format!("{one}, {two}");
        let mut city = City::new("mqtt", broker.address, &links(&both, "other"));
        let up = |city: &City| {
            for link in [LINK, "mqtt hills"] {
                city.wait_for_link(link, "up");
            }
        };
        up(&city);
        for (of_city, of_hills) in [(two, one), (&both, "other")] {
            city.stop();
            city.publish(broker.address);
            let keys = format!("name: city, {}", links(of_city, of_hills));
            city.change("mqtt", broker.address, &keys);
            city.start();
            up(&city);
            city.publish(broker.address);
            city.wait_until_judged();
        }
        city.check_out_of_order();
    }
}

#[test]
fn p1_a_link_that_is_called_otherwise_reads_what_its_session_holds() {
    let broker = Mosquitto::start();
    let mut city = City::new("mqtt", broker.address, "");
    city.wait_for_link(LINK, "up");
    city.stop();
    city.publish(broker.address);
    city.change("mqtt", broker.address, "name: hills");
    city.start();
    city.wait_until_judged();
    city.wait_for_link("mqtt hills", "up");
    wait_for("the session of before to be ended", || {
        (!city.ready().contains("session")).then_some(())
    });
    city.check();
}

#[test]
fn p1_p3_a_session_that_is_left_is_read_to_its_end_whatever_happens_to_its_broker() {
    for version in ["5", "3.1.1"] {
        let mut broker = Mosquitto::start();
        let proxy = Proxy::new(broker.address);
        let keys = format!("version: {version}, inflight_max: 10");
        let mut city = City::new("mqtt", proxy.address, &keys);
        city.wait_for_link(LINK, "up");
        city.stop();
        for _ in 0..4 {
            city.publish(broker.address);
        }
        // It has another name, and so another session.
        city.change("mqtt", proxy.address, &format!("name: hills, {keys}"));
        proxy.set(Weather::Slow(Duration::from_millis(10)));
        city.start();
        let ends: [&dyn Fn(&mut Mosquitto); 3] = [
            &|broker| {
                broker.stop();
                broker.start_again();
            },
            &|_| proxy.cut(),
            &|broker| {
                broker.stop();
                broker.start_again();
            },
        ];
        for end in ends {
            let before = city.taken_from("mqtt_broker");
            wait_for("some of it to be read", || {
                (city.taken_from("mqtt_broker") > before).then_some(())
            });
            assert!(city.ready().contains("session ioc-city"), "it is read");
            end(&mut broker);
        }
        proxy.set(Weather::Fair);
        city.wait_until_judged();
        wait_for("the session of before to be ended", || {
            (!city.ready().contains("session")).then_some(())
        });
        city.check();
    }
}

#[test]
fn filters_that_overlap_bring_a_message_once() {
    let broker = Mosquitto::start();
    let keys = "topics: ['ioc/v1/readings/#', 'ioc/v1/readings/+', 'ioc/v1/readings/wl-1']";
    let mut city = City::new("mqtt", broker.address, keys);
    city.wait_for_link(LINK, "up");
    city.publish(broker.address);
    city.wait_until_judged();
    assert_eq!(city.taken_from("mqtt_broker"), ROUND as f64);
    city.check();
}
