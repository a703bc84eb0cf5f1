//! The same recording through every door gives the same incidents: what carries a reading, and in
//! what shape, decides nothing.
//!
//! The recording is of one flashy river, stage and flow every five minutes: two storms in nine
//! days. `IOC_TEST_READINGS` and `IOC_TEST_CITY` name another one, in native lines.

use std::any::Any;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use async_nats::jetstream;
use ioc_core::time::{Millis, Timestamp};
use serde_json::Value;

use crate::brokers::City;
use crate::mosquitto::Mosquitto;
use crate::nats::Nats;
use crate::offline::incidents;
use crate::publisher::Publisher;
use crate::support::{ioc, json_lines};

/// A reading as every format can say it. The number is kept as it is written, so that no format
/// rounds it otherwise. Without an id: the derived one is the same whatever it came in.
struct Said {
    sensor: String,
    kind: String,
    unit: String,
    at: Timestamp,
    value: String,
}

impl Said {
    fn native(&self) -> String {
        let Self {
            sensor,
            kind,
            unit,
            at,
            value,
        } = self;
        format!(
            "{{\"sensor\":\"{sensor}\",\"kind\":\"{kind}\",\"observed_at\":\"{at}\",\
             \"value\":{value},\"unit\":\"{unit}\"}}"
        )
    }

    fn senml(&self) -> String {
        let Self {
            sensor,
            unit,
            value,
            ..
        } = self;
        let millis = self.at.as_millis();
        let (seconds, millis) = (millis / 1000, millis % 1000);
        format!("{{\"n\":\"{sensor}\",\"u\":\"{unit}\",\"v\":{value},\"t\":{seconds}.{millis:03}}}")
    }
}

/// A site that a recording has been sent to, and the broker that it went through.
type Through = (City, Box<dyn Any>);

struct Recording {
    city: String,
    said: Vec<Said>,
}

impl Recording {
    fn get() -> Self {
        let path =
            |name: &str| std::env::var_os(name).map(|path| fs::read_to_string(path).unwrap());
        let (readings, city) = (path("IOC_TEST_READINGS"), path("IOC_TEST_CITY"));
        match (readings, city) {
            (Some(readings), Some(city)) => Self {
                city,
                said: readings.lines().map(said).collect(),
            },
            _ => Self::river(),
        }
    }

    /// Low water with a little noise; two storms, the second higher, both with a fast rise and a
    /// long fall; and between them one that stays below the warning.
    fn river() -> Self {
        let begin = Timestamp::parse(b"2026-06-01T04:00:00Z").unwrap();
        let storms = [(300_i64, 19_000_i64), (1000, 5_000), (1700, 36_000)];
        let mut said = Vec::new();
        for step in 0..2500_i64 {
            // In tenths of a millimetre, whole numbers: the same on every machine.
            let mut stage = 2800 + step * 7919 % 61;
            for (at, crest) in storms {
                stage += match step - at {
                    since @ 0..7 => crest * since / 6,
                    since @ 7..600 => crest * 40 / (40 + since - 6),
                    _ => 0,
                };
            }
            let flow = 6000 + stage * stage / 3000;
            let at = begin + Millis::minutes(5 * step);
            for (sensor, kind, unit, value) in [
                ("brook-stage", "water_level", "m", stage),
                ("brook-flow", "discharge", "m3/s", flow),
            ] {
                said.push(Said {
                    sensor: sensor.to_owned(),
                    kind: kind.to_owned(),
                    unit: unit.to_owned(),
                    at,
                    value: format!("{}.{:04}", value / 10_000, value % 10_000),
                });
            }
        }
        let gauge = |id: &str, kind: &str, unit: &str, levels: &str| {
            format!(
                r#"{{"type":"Feature","id":"{id}","properties":{{"type":"sensor","kind":"{kind}","unit":"{unit}","interval_s":300{levels}}},"geometry":{{"type":"Point","coordinates":[-76.7,39.3]}}}}"#
            )
        };
        let levels = r#","warning":0.9,"danger":1.5"#;
        let city = format!(
            r#"{{"type":"FeatureCollection","features":[{},{}]}}"#,
            gauge("brook-stage", "water_level", "m", levels),
            gauge("brook-flow", "discharge", "m3/s", ""),
        );
        Self { city, said }
    }

    /// Packs of SenML, in order.
    fn packs(&self) -> impl Iterator<Item = String> {
        self.said.chunks(50).map(|pack| {
            let records: Vec<_> = pack.iter().map(Said::senml).collect();
            format!("[{}]", records.join(","))
        })
    }

    /// A site that reads from a broker.
    fn city(&self, section: &str, broker: SocketAddr, keys: &str) -> City {
        let mappings = "mappings: { senml: { topic: senml/#, format: senml } }\n";
        City::of(&self.city, section, broker, keys, mappings)
    }

    /// What was decided about incidents, once all has been taken. Until then the broker is there:
    /// what it would have to deliver again is not lost.
    fn incidents_of(&self, (city, broker): Through) -> Vec<Value> {
        let records = city.records(self.said.len());
        drop(broker);
        incidents(&records)
    }
}

/// A native reading of a recording.
fn said(line: &str) -> Said {
    let reading: Value = serde_json::from_str(line).unwrap();
    let text = |member: &str| reading[member].as_str().unwrap().to_owned();
    Said {
        sensor: text("sensor"),
        kind: text("kind"),
        unit: text("unit"),
        at: Timestamp::parse(text("observed_at").as_bytes()).unwrap(),
        value: reading["value"].to_string(),
    }
}

#[test]
fn p2_one_recording_through_every_door_gives_the_same_incidents() {
    let recording = Recording::get();
    let offline = offline(&recording);
    let opened = |decisions: &[Value]| {
        let opened = decisions.iter();
        opened
            .filter(|each| each["type"] == "incident_opened")
            .count()
    };
    println!(
        "{} readings: {} decisions about {} incidents",
        recording.said.len(),
        offline.len(),
        opened(&offline)
    );
    assert!(opened(&offline) >= 2, "one for each storm at least");
    for (door, through) in [
        ("mosquitto", mosquitto as fn(&Recording) -> Through),
        ("core NATS", core_nats),
        ("JetStream", jetstream),
        ("our own listener", our_own_listener),
        ("HTTP, line by line", http),
        ("SenML over mosquitto", senml_over_mosquitto),
        ("SenML over JetStream", senml_over_jetstream),
        ("SenML over HTTP", senml_over_http),
    ] {
        let live = recording.incidents_of(through(&recording));
        assert_eq!(live.len(), offline.len(), "{door}");
        for (live, offline) in live.iter().zip(&offline) {
            assert_eq!(live, offline, "{door}");
        }
    }
}

/// What the same readings give without any door.
fn offline(recording: &Recording) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let (city, readings) = (dir.path().join("c.geojson"), dir.path().join("r.jsonl"));
    fs::write(&city, &recording.city).unwrap();
    let mut lines = String::new();
    for each in &recording.said {
        let mut line = each.native();
        line.pop();
        writeln!(lines, "{line},\"received_at\":\"{}\"}}", each.at).unwrap();
    }
    fs::write(&readings, lines).unwrap();
    let (city, readings) = (city.to_str().unwrap(), readings.to_str().unwrap());
    let judged = ioc(&["backtest", "--city", city, readings]);
    assert!(judged.status.success());
    incidents(&json_lines(&judged.stdout))
}

/// Publishes messages in order, and waits until the broker has acknowledged them.
fn publish(broker: &Mosquitto, messages: impl Iterator<Item = (String, String)>) {
    publish_to(broker.address, messages);
}

fn publish_to(address: SocketAddr, messages: impl Iterator<Item = (String, String)>) {
    let mut publisher = Publisher::connect(address).unwrap();
    for (topic, payload) in messages {
        publisher.publish_to(&topic, "", &payload).unwrap();
        if publisher.in_flight.len() == 100 {
            publisher.acknowledged().unwrap();
        }
    }
    while !publisher.in_flight.is_empty() {
        publisher.acknowledged().unwrap();
    }
}

fn mosquitto(recording: &Recording) -> Through {
    let broker = Mosquitto::start();
    let city = recording.city("mqtt", broker.address, "");
    city.wait_for_link("mqtt city", "up");
    let messages = recording.said.iter();
    publish(
        &broker,
        messages.map(|each| (format!("ioc/v1/readings/{}", each.sensor), each.native())),
    );
    (city, Box::new(broker))
}

/// To us instead of a broker.
fn our_own_listener(recording: &Recording) -> Through {
    let broker = Mosquitto::start();
    let city = recording.city("mqtt", broker.address, "");
    let messages = recording.said.iter();
    publish_to(
        city.server().mqtt,
        messages.map(|each| (format!("ioc/v1/readings/{}", each.sensor), each.native())),
    );
    (city, Box::new(broker))
}

fn http(recording: &Recording) -> Through {
    let broker = Mosquitto::start();
    let city = recording.city("mqtt", broker.address, "");
    let lines: Vec<_> = recording.said.iter().map(Said::native).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let taken = city
        .server()
        .post("/api/v1/readings", &headers, &lines.join("\n"));
    assert_eq!(taken.status, 200, "{}", taken.body);
    (city, Box::new(broker))
}

fn senml_over_mosquitto(recording: &Recording) -> Through {
    let broker = Mosquitto::start();
    let city = recording.city("mqtt", broker.address, "topics: ['senml/#']");
    city.wait_for_link("mqtt city", "up");
    let packs = recording.packs();
    publish(&broker, packs.map(|pack| ("senml/brook".to_owned(), pack)));
    (city, Box::new(broker))
}

fn core_nats(recording: &Recording) -> Through {
    let server = Nats::start();
    let city = recording.city("nats", server.address, "");
    city.wait_for_link("nats city ioc.v1.readings.>", "up");
    server.runtime.block_on(async {
        let client = server.client().await;
        for each in &recording.said {
            let subject = format!("ioc.v1.readings.{}", each.sensor);
            client.publish(subject, each.native().into()).await.unwrap();
        }
        client.flush().await.unwrap();
    });
    (city, Box::new(server))
}

fn jetstream(recording: &Recording) -> Through {
    let messages = recording.said.iter();
    let messages = messages.map(|each| (format!("ioc.v1.readings.{}", each.sensor), each.native()));
    through_a_stream(recording, "ioc.v1.readings.>", messages)
}

fn senml_over_jetstream(recording: &Recording) -> Through {
    let packs = recording.packs();
    let packs = packs.map(|pack| ("senml.brook".to_owned(), pack));
    through_a_stream(recording, "senml.>", packs)
}

fn through_a_stream(
    recording: &Recording,
    subject: &str,
    messages: impl Iterator<Item = (String, String)>,
) -> Through {
    let server = Nats::start();
    server.make_stream("CITY", subject);
    let keys = format!("stream: CITY, subjects: ['{subject}']");
    let city = recording.city("nats", server.address, &keys);
    city.wait_for_link(&format!("nats city {subject}"), "up");
    server.runtime.block_on(async {
        let context = jetstream::new(server.client().await);
        let mut taken = Vec::new();
        for (subject, payload) in messages {
            taken.push(context.publish(subject, payload.into()).await.unwrap());
            // The client lets only so many be under way.
            if taken.len() == 1000 {
                for each in taken.drain(..) {
                    each.await.unwrap();
                }
            }
        }
        for each in taken {
            each.await.unwrap();
        }
    });
    (city, Box::new(server))
}

fn senml_over_http(recording: &Recording) -> Through {
    let broker = Mosquitto::start();
    let city = recording.city("mqtt", broker.address, "");
    for pack in recording.packs() {
        let headers = [("content-type", "application/senml+json")];
        let taken = city.server().post("/api/v1/readings", &headers, &pack);
        assert_eq!(taken.status, 200, "{}", taken.body);
    }
    (city, Box::new(broker))
}
