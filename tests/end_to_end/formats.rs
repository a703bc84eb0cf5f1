//! Messages of the standards as other programs send them: what they open, and what is said back.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;

use crate::brokers::City;
use crate::mosquitto::Mosquitto;
use crate::publisher::Publisher;
use crate::support::{Response, Server, Site, ioc, lines_of, river_city, tool, wait_for};

const MAPPINGS: &str = "mappings:
  context-broker:
    topic: notifications
    format: ngsi-ld
    sensors: { 'urn:ngsi-ld:Gauge:1': wl-1 }
    kinds: { level: water_level }
  plants:
    topic: spBv1.0/#
    format: sparkplug
    sensors: { plant/pump-house/Level: wl-1 }
  warnings:
    topic: warnings
    format: cap
  basins:
    topic: basins/+
    each: [/stations, /levels]
    sensor: item 1 /id
    kind: water_level
    observed_at: { from: /0, format: '%d.%m.%Y %H:%M', utc_offset: '+08:00' }
    readings: { value: /1, unit: m }
  hourly:
    topic: hourly/+
    each: { columns: /hourly }
    sensor: topic 2
    kind: water_level
    observed_at: /time
    readings: { value: /level, unit: cm }
";

/// A site with these mappings, and a server on it.
fn start() -> (Site, Server) {
    let mut site = Site::new(&river_city());
    let config = site.dir.path().join("config");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(config.join("mappings.yaml"), MAPPINGS).unwrap();
    let config = config.display().to_string();
    site.args.extend(["--config".into(), config]);
    let server = site.start();
    (site, server)
}

/// The kinds of the incidents that are open, once there are any.
fn opened(server: &Server) -> Vec<String> {
    wait_for("an incident", || {
        let incidents = server.incidents();
        let kinds = incidents
            .iter()
            .filter_map(|incident| incident["kind"].as_str());
        let kinds: Vec<_> = kinds.map(str::to_owned).collect();
        (!kinds.is_empty()).then_some(kinds)
    })
}

#[test]
fn what_a_context_broker_notifies_of_opens_an_incident() {
    let (_site, server) = start();
    let notify = |at: &str, level: f64| -> Response {
        let notification = serde_json::json!({
            "id": "urn:ngsi-ld:Notification:1", "type": "Notification", "notifiedAt": at,
            "subscriptionId": "urn:ngsi-ld:Subscription:1",
            "data": [{
                "id": "urn:ngsi-ld:Gauge:1", "type": "Gauge",
                "level": {
                    "type": "Property", "value": level, "unitCode": "CMT", "observedAt": at,
                },
            }],
        });
        let headers = [
            ("content-type", "application/json"),
            (
                "link",
                "<https://example/context.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"",
            ),
        ];
        server.post("/api/v1/notifications", &headers, &notification.to_string())
    };
    assert_eq!(notify("2026-03-14T06:40:00Z", 340.0).status, 204);
    assert_eq!(notify("2026-03-14T06:45:00Z", 350.0).status, 204);
    assert_eq!(opened(&server), ["flood"]);
}

#[test]
fn cloud_events_in_both_modes_open_an_incident_and_change_nothing_again() {
    let (_site, server) = start();
    let reading = |level: f64| {
        format!(r#"{{"sensor":"wl-1","kind":"water_level","unit":"m","value":{level}}}"#)
    };
    let structured = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/gauges","type":"level",
        "time":"2026-03-14T06:40:00Z","data":{}}}"#,
        reading(3.4)
    );
    let headers = [(
        "content-type",
        "application/cloudevents+json; charset=utf-8",
    )];
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "2"),
        ("ce-source", "/gauges"),
        ("ce-type", "level"),
        ("ce-time", "2026-03-14T06:45:00Z"),
    ];
    for _ in 0..2 {
        let answer = server.post("/api/v1/readings", &headers, &structured);
        assert_eq!(
            (answer.status, answer.body.contains("/gauges 1")),
            (200, true)
        );
        let answer = server.post("/api/v1/readings", &binary, &reading(3.5));
        assert_eq!(
            (answer.status, answer.body.contains("/gauges 2")),
            (200, true)
        );
    }
    assert_eq!(opened(&server), ["flood"]);
    let listed = server.incidents();
    assert_eq!(listed.len(), 1);
}

#[test]
fn lists_in_lists_open_an_incident_and_what_is_none_is_told_item_by_item() {
    let (_site, server) = start();
    let message = r#"{"stations":[
        {"id":"wl-1","levels":[["14.03.2026 14:40",3.4],["14.03.2026 14:45",3.5],["soon",3.6]]},
        {"id":"wl-2"}]}"#;
    let answer = server.post("/api/v1/messages/basins/north", &[], message);
    assert_eq!(answer.status, 207, "{}", answer.body);
    let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let items = told["items"].as_array().unwrap();
    let reasons: Vec<_> = items.iter().map(|item| item["reason"].as_str()).collect();
    let (time, shape) = (Some("observed_at_invalid"), Some("shape_unexpected"));
    assert_eq!(reasons, [None, None, time, shape], "{told}");
    let detail = items[2]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("/stations/0/levels/2: observed_at: \"soon\" at `/0`"),
        "{told}"
    );
    let detail = items[3]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("/stations/1: each: nothing at `/levels`"),
        "{told}"
    );
    assert_eq!(opened(&server), ["flood"]);
    // All of it once more is the same.
    let again = server.post("/api/v1/messages/basins/north", &[], message);
    let again: serde_json::Value = serde_json::from_str(&again.body).unwrap();
    assert_eq!(again["items"], told["items"]);
}

#[test]
fn columns_over_mqtt_open_an_incident_and_those_that_do_not_fit_are_a_dead_letter() {
    let (_site, server) = start();
    let mut publisher = Publisher::connect(server.mqtt).unwrap();
    let mut publish = |levels: &str| {
        let times = r#"["2026-03-14T06:40:00Z","2026-03-14T06:45:00Z"]"#;
        let message = format!(r#"{{"hourly":{{"time":{times},"level":{levels}}}}}"#);
        publisher.publish_to("hourly/wl-1", "m", &message).unwrap();
        publisher.acknowledged().unwrap();
    };
    publish("[340]");
    let letters = server.get_json("/api/v1/dead-letters");
    assert_eq!(letters["total"], 1, "{letters}");
    let said = letters.to_string();
    assert!(
        said.contains("`level` has 1 and `time` 2") && said.contains("/hourly"),
        "{letters}"
    );
    assert_eq!(server.incidents().len(), 0);
    publish("[340,350]");
    assert_eq!(opened(&server), ["flood"]);
    assert_eq!(server.get_json("/api/v1/dead-letters")["total"], 1);
}

pub const CAP: [(&str, &str); 1] = [("content-type", "application/cap+xml")];
pub const ALERT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
    <alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
    <identifier>MET-7</identifier><sender>warnings@met.example</sender>
    <sent>2026-03-14T14:40:00+08:00</sent><status>Actual</status><msgType>Alert</msgType>
    <scope>Public</scope><info><category>Met</category><event>Flash Flood Warning</event>
    <urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>
    <headline>Leave the river banks</headline><web>https://met.example/7</web>
    <area><areaDesc>Old Town</areaDesc>
    <polygon>3.1,101.6 3.1,101.7 3.2,101.7 3.2,101.6 3.1,101.6</polygon></area></info></alert>"#;

#[test]
fn what_an_alert_says_is_told_with_its_incident_after_a_restart_too() {
    let (site, server) = start();
    assert_eq!(server.post("/api/v1/readings", &CAP, ALERT).status, 200);
    assert_eq!(opened(&server), ["official_warning"]);
    let id = server.incidents()[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/incidents/{id}");
    let said = serde_json::json!([{
        "sensor": "warnings@met.example", "reading": "warnings@met.example,MET-7/0/0",
        "headline": "Leave the river banks", "web": "https://met.example/7", "withdrawn": false,
    }]);
    let told = server.get_json(&path);
    assert_eq!(told["statements"], said, "{told}");
    let why = server.get_json(&format!("/api/v1/why/{id}"));
    assert_eq!(
        why["statements"][0]["web"], "https://met.example/7",
        "{why}"
    );
    server.stop();

    let data = site.data().display().to_string();
    let why = ioc(&["why", &id, "--data", &data]);
    let why = String::from_utf8(why.stdout).unwrap();
    let words = "says \"Leave the river banks\" (https://met.example/7)";
    assert!(why.contains(&format!("\n      {words}\n")), "{why}");
    assert!(why.contains(&format!("\n  {words}\n")), "{why}");

    let server = site.start();
    wait_for("what was said before the start", || {
        let told = server.get_json(&path);
        (told["statements"] == said).then_some(())
    });
    // What is cancelled is told as that, and an alert that its cancellation overtook says nothing.
    let cancel = |identifier: &str, of: &str| {
        let reference = format!("warnings@met.example,{of},2026-03-14T14:40:00+08:00");
        let said = format!("<scope>Public</scope><references>{reference}</references>");
        let xml = ALERT.replace("<identifier>MET-7<", &format!("<identifier>{identifier}<"));
        let xml = xml.replace("<msgType>Alert<", "<msgType>Cancel<");
        xml.replace("<scope>Public</scope>", &said)
    };
    for alert in [cancel("MET-8", "MET-7"), cancel("MET-9", "MET-10")] {
        assert_eq!(server.post("/api/v1/readings", &CAP, &alert).status, 200);
    }
    let withdrawn = || server.get_json(&path)["statements"][0]["withdrawn"] == true;
    wait_for("what was said is withdrawn", || withdrawn().then_some(()));
    server.stop();
    let server = site.start();
    let late = ALERT.replace("<identifier>MET-7<", "<identifier>MET-10<");
    assert_eq!(server.post("/api/v1/readings", &CAP, &late).status, 200);
    wait_for("what was withdrawn before the start", || {
        let told = server.get_json(&path);
        (told["statements"][0]["withdrawn"] == true).then_some(())
    });
    let sensor = "warnings@met.example";
    let why = server.get_json(&format!("/api/v1/why/{sensor}/{sensor},MET-10/0/0"));
    assert_eq!(why["evidence_of"], serde_json::json!([]), "{why}");
    let verdict = why["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("Its source had taken it back"), "{why}");
}

#[test]
fn an_official_warning_opens_an_incident_and_a_bomb_is_a_dead_letter() {
    let (_site, server) = start();
    let alert = ALERT;
    let answer = server.post("/api/v1/readings", &CAP, alert);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains("warnings@met.example,MET-7/0/0"),
        "{}",
        answer.body
    );
    assert_eq!(opened(&server), ["official_warning"]);

    let bomb = alert.replace(
        "<alert ",
        "<!DOCTYPE alert [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><alert ",
    );
    let answer = server.post("/api/v1/messages/warnings", &[], &bomb);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("xml_malformed"), "{}", answer.body);
    assert_eq!(server.get("/healthz").status, 200);
}

/// Protocol Buffers: a field that is a number, one that is bytes, and one that is a double.
fn varint(field: u64, number: u64) -> Vec<u8> {
    let (mut bytes, mut rest) = (vec![(field << 3) as u8], number);
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 0x80);
    [&[(field << 3) as u8 | 2, length], bytes].concat()
}

fn double(field: u64, value: f64) -> Vec<u8> {
    [&[(field << 3) as u8 | 1][..], &value.to_le_bytes()].concat()
}

/// The birth of a node with a level in centimetres, named 2 from now on.
fn birth() -> Vec<u8> {
    let unit = [bytes(1, b"engUnit"), bytes(2, &bytes(8, b"cm"))].concat();
    let level = [
        bytes(1, b"Level"),
        varint(2, 2),
        varint(4, 10),
        bytes(9, &unit),
    ];
    let level = [level.concat(), double(13, 120.0)].concat();
    let session = [bytes(1, b"bdSeq"), varint(4, 8), varint(11, 1)].concat();
    let at = varint(1, 1_773_470_000_000);
    [at, bytes(2, &session), bytes(2, &level), varint(3, 0)].concat()
}

/// Its level at a time.
fn data(seq: u64, at_ms: u64, centimetres: f64) -> Vec<u8> {
    let level = [varint(2, 2), varint(3, at_ms), double(13, centimetres)].concat();
    [varint(1, at_ms), bytes(2, &level), varint(3, seq)].concat()
}

/// Publishes the bytes of a file with `mosquitto_pub`.
fn publish(port: u16, topic: &str, payload: &[u8], dir: &Path) {
    let file = dir.join("payload.bin");
    std::fs::write(&file, payload).unwrap();
    let status = tool("mosquitto_pub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-q",
            "1",
            "-t",
            topic,
            "-f",
        ])
        .arg(&file)
        .status();
    assert!(status.unwrap().success());
}

/// What comes to nodes as commands: topics and payloads in hexadecimal.
fn commands(port: u16, filter: &str) -> (Child, Receiver<String>) {
    let mut subscriber = tool("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-F", "%t %x", "-t", filter])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(subscriber.stdout.take().unwrap());
    (subscriber, lines)
}

/// `Node Control/Rebirth`.
const REBIRTH: &str = "4e6f646520436f6e74726f6c2f52656269727468";

/// 06:40 and 06:45 of the day of the other tests.
const TIMES_MS: [u64; 2] = [1_773_470_400_000, 1_773_470_700_000];

#[test]
fn an_edge_node_behind_a_broker_is_asked_to_be_born_and_then_understood() {
    let broker = Mosquitto::start();
    let keys = "topics: ['spBv1.0/#']";
    let city = City::with_mappings("mqtt", broker.address, keys, MAPPINGS);
    city.wait_for_link("mqtt city", "up");
    let (port, dir) = (broker.address.port(), tempfile::tempdir().unwrap());
    let (mut subscriber, heard) = commands(port, "spBv1.0/plant/NCMD/+");
    let send = |kind: &str, node: &str, payload: &[u8]| {
        let topic = format!("spBv1.0/plant/{kind}/{node}");
        publish(port, &topic, payload, dir.path());
    };
    // Their births were before this server began to listen. Each is asked once, so there is
    // another one until the subscriber is there.
    let mut nodes = 0;
    let asked = wait_for("a node to be asked", || {
        nodes += 1;
        let node = format!("node-{nodes}");
        send("NDATA", &node, &data(9, TIMES_MS[0], 100.0));
        heard.try_recv().ok()
    });
    assert!(asked.starts_with("spBv1.0/plant/NCMD/node-"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains(REBIRTH), "{asked}");
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
    send("NBIRTH", "pump-house", &birth());
    send("NDATA", "pump-house", &data(1, TIMES_MS[0], 340.0));
    send("NDATA", "pump-house", &data(2, TIMES_MS[1], 350.0));
    assert_eq!(opened(city.server()), ["flood"]);
}

#[test]
fn an_edge_node_of_our_own_listener_is_asked_where_it_takes_commands() {
    let (_site, server) = start();
    let (port, dir) = (server.mqtt.port(), tempfile::tempdir().unwrap());
    // It waits for its node, if that is not there yet.
    let (mut subscriber, heard) = commands(port, "spBv1.0/plant/NCMD/pump-house");
    let topic = "spBv1.0/plant/NDATA/pump-house";
    publish(port, topic, &data(9, TIMES_MS[0], 100.0), dir.path());
    let asked = wait_for("the node to be asked", || {
        let line = heard.try_recv().ok()?;
        line.starts_with("spBv1.0/").then_some(line)
    });
    assert!(asked.to_ascii_lowercase().contains(REBIRTH), "{asked}");
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
}

#[test]
fn a_cloud_event_over_mqtt_has_its_attributes_as_user_properties() {
    let (_site, server) = start();
    for (id, at, level) in [
        ("1", "2026-03-14T06:40:00Z", 3.4),
        ("2", "2026-03-14T06:45:00Z", 3.5),
    ] {
        let mut publish = tool("mosquitto_pub");
        let port = server.mqtt.port().to_string();
        publish.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-V",
            "5",
            "-q",
            "1",
            "-t",
            "gauges",
        ]);
        publish.args(["-D", "publish", "content-type", "application/json"]);
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", id),
            ("source", "/gauges"),
            ("type", "level"),
            ("time", at),
        ] {
            publish.args(["-D", "publish", "user-property", name, value]);
        }
        let reading =
            format!(r#"{{"sensor":"wl-1","kind":"water_level","unit":"m","value":{level}}}"#);
        let output = publish.args(["-m", &reading]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(opened(&server), ["flood"]);
}
