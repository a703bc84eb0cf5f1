//! From a foreign client's message to every operator's screen.

use std::net::SocketAddr;

use crate::stream::Stream;
use crate::support::{Site, high_water, level, lines_of, river_city, tool, wait_for};

fn publish(mqtt: SocketAddr, sensor: &str, reading: &str) {
    let said = publish_in("311", mqtt, sensor, reading);
    assert_eq!(said, "", "mosquitto_pub was not acknowledged");
}

/// Publishes in this version of MQTT; what `mosquitto_pub` has to say about it.
fn publish_in(version: &str, mqtt: SocketAddr, sensor: &str, reading: &str) -> String {
    let port = mqtt.port().to_string();
    let topic = format!("ioc/v1/readings/{sensor}");
    let output = tool("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-V", version])
        .args(["-q", "1", "-t", &topic, "-m", reading])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "mosquitto_pub failed: {said}");
    said
}

#[tokio::test]
async fn two_high_readings_from_mosquitto_become_one_incident_everywhere() {
    let site = Site::new(&river_city());
    let server = site.start();
    let mut stream = Stream::open(server.http, None, None).await;
    for reading in high_water() {
        publish(server.mqtt, "wl-1", &reading);
    }

    let opened = stream.decision("incident_opened").await;
    assert_eq!(opened["incident"]["severity"], "moderate");
    assert_eq!(opened["incident"]["zone"], "z1");
    assert_eq!(opened["cause"]["events"], serde_json::json!(["a", "b"]));

    let listed = server.incidents();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], opened["incident"]["id"]);
    let id = opened["incident"]["id"].as_str().unwrap();
    let one = server.get_json(&format!("/api/v1/incidents/{id}"));
    assert_eq!(one["incident"]["kind"], opened["incident"]["kind"]);

    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let metrics = server.get("/metrics").body;
    assert!(
        metrics.contains("ioc_decisions_total{type=\"incident_opened\"} 1"),
        "{metrics}"
    );
    assert!(server.stop().success());
}

#[test]
fn a_subscriber_over_mqtt_hears_the_decisions() {
    let site = Site::new(&river_city());
    let server = site.start();
    let port = server.mqtt.port().to_string();
    let mut subscriber = tool("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port, "-V", "311", "-v"])
        .args(["-t", "ioc/v1/decisions/#"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(subscriber.stdout.take().unwrap());
    wait_for("the subscription", || {
        server
            .get("/metrics")
            .body
            .contains("ioc_mqtt_subscriptions_total 1")
            .then_some(())
    });
    server.post_readings(&high_water());
    wait_for("the decision", || {
        let line = lines.try_recv().ok()?;
        let topic_and_decision = line.split_once(' ')?;
        (topic_and_decision.0 == "ioc/v1/decisions/z1").then_some(())?;
        topic_and_decision
            .1
            .contains("\"incident_opened\"")
            .then_some(())
    });
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
}

#[test]
fn mosquitto_of_version_5_publishes_is_told_of_a_dead_letter_and_hears_the_decisions() {
    let site = Site::new(&river_city());
    let server = site.start();
    let port = server.mqtt.port().to_string();
    let mut subscriber = tool("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port, "-V", "5"])
        .args(["-t", "ioc/v1/decisions/+", "-F", "%t %C %p"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(subscriber.stdout.take().unwrap());
    wait_for("the subscription", || {
        let metrics = server.get("/metrics").body;
        metrics
            .contains("ioc_mqtt_subscriptions_total 1")
            .then_some(())
    });
    for reading in high_water() {
        assert_eq!(publish_in("5", server.mqtt, "wl-1", &reading), "");
    }
    wait_for("the decision", || {
        let line = lines.try_recv().ok()?;
        let decision = line.strip_prefix("ioc/v1/decisions/z1 application/json ")?;
        decision.contains("\"incident_opened\"").then_some(())
    });
    let said = publish_in("5", server.mqtt, "wl-1", "not JSON at all");
    assert!(said.contains("Payload format invalid"), "{said}");
    let listed = server.get_json("/api/v1/dead-letters");
    assert_eq!(listed["dead_letters"][0]["reason"], "json_malformed");
    assert!(server.stop().success());
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
}

#[test]
fn what_cannot_be_read_is_answered_counted_and_listed_with_its_reason() {
    let site = Site::new(&river_city());
    let server = site.start();
    let answer = server.post_readings(&[
        level("a", "wl-1", "2026-03-14T06:45:00Z", 1.0),
        r#"{"id":"b","sensor":"wl-1","kind":"water_level","value":null,"unit":"m"}"#.into(),
        r#"{"id":"c","sensor":"wl-1","kind":"water_level","value":2,"unit":"furlong","observed_at":"2026-03-14T06:45:10Z"}"#.into(),
    ]);
    assert_eq!(answer.status, 207, "{}", answer.body);
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&answer["accepted"], &answer["dead_lettered"]),
        (&1.into(), &2.into())
    );
    publish(server.mqtt, "wl-9", "not JSON at all");
    let listed = server.get_json("/api/v1/dead-letters");
    let letters = listed["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 3, "{listed}");
    let unit = letters
        .iter()
        .find(|letter| letter["reason"] == "unit_unknown")
        .expect("unit");
    let detail = unit["detail"].as_str().unwrap();
    assert!(
        detail.contains("furlong") && detail.contains("\"m\""),
        "names both units: {detail}"
    );

    // They are records of the inputs log: a restart lists them again.
    server.kill();
    let again = site.start().get_json("/api/v1/dead-letters");
    assert_eq!(again["dead_letters"], listed["dead_letters"]);
}
