//! What other systems lose at their doors, and this one does not. Each test is named after the
//! thread in which their users tell of it.

use std::process::Command;

use serde_json::{Value, json};

use crate::publisher::Publisher;
use crate::support::{IOC, Site, high_water, level, river_city, wait_for};

/// Messages that no decoder, or no sensor, has anything to do with; the first says nothing at all, and
/// is no dead letter.
const POISON: [&str; 7] = [
    "",
    "{",
    "\u{0}\u{1}\u{2}",
    r#"{"kind":"water_level","value":"high","unit":"m","observed_at":"2026-03-14T06:30:00Z"}"#,
    r#"{"kind":"water_level","value":1e999,"unit":"m","observed_at":"2026-03-14T06:30:00Z"}"#,
    r#"{"kind":"water_level","value":3,"unit":"furlong","observed_at":"2026-03-14T06:30:00Z"}"#,
    r#"{"kind":"water_level","value":3,"unit":"m","observed_at":"yesterday"}"#,
];

#[test]
fn thingsboard_5238_9625_what_cannot_be_read_stops_nothing() {
    let site = Site::new(&river_city());
    let server = site.start();
    let mut publisher = Publisher::connect(server.mqtt).unwrap();
    let mut dead = 0;
    for round in 0..200 {
        for poison in POISON {
            publisher
                .publish("wl-1", &format!("p{round}"), poison)
                .unwrap();
            dead += u32::from(!poison.is_empty());
        }
    }
    for reading in high_water() {
        publisher.publish("wl-1", "good", &reading).unwrap();
    }
    wait_for("an incident", || server.incidents().first().cloned());
    // What is urgent passes them on its way.
    wait_for("each that cannot be read to be a dead letter", || {
        let status = server.get_json("/api/v1/status");
        (status["dead_letters"]["total"] == dead).then_some(())
    });
    // Nothing had to be started again for what comes after it either.
    let again = level("c", "wl-1", "2026-03-14T06:50:00Z", 4.5);
    assert_eq!(server.post_readings(&[again]).status, 200);
    wait_for("it to become graver", || {
        (server.incidents()[0]["severity"] != "moderate").then_some(())
    });
}

#[test]
fn thingsboard_10588_at_fifty_messages_a_second_nothing_waits() {
    let mut site = Site::new(&river_city());
    let clock = site.args.iter().position(|arg| arg == "readings").unwrap();
    site.args[clock] = "system".into();
    let server = site.start();
    let output = Command::new(IOC)
        .args(["simulate", "--to", &format!("mqtt://{}", server.mqtt)])
        .args(["--rate", "50", "--for", "4s", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let came_to: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(came_to["acknowledged"], came_to["sent"], "{came_to}");
    // They waited for hours there, and ever longer; on a machine as busy as it may be, not for
    // seconds here.
    let slowest_us = came_to["latency_us"]["max"].as_u64().unwrap();
    assert!(slowest_us < 10_000_000, "{came_to}");
}

#[test]
fn orion_ld_1650_fiware_orion_4318_notifications_two_milliseconds_apart_both_count() {
    let site = Site::new(&river_city());
    let server = site.start();
    let headers = [("content-type", "application/ld+json")];
    for (at, height) in [("10.100", 3.1), ("10.102", 3.2), ("10.102", 3.3)] {
        let at = format!("2026-03-14T06:45:{at}Z");
        let notification = json!({
            "@context": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
            "id": format!("urn:ngsi-ld:Notification:{height}"), "type": "Notification",
            "notifiedAt": at, "subscriptionId": "urn:ngsi-ld:Subscription:1",
            "data": [{
                "id": "wl-1", "type": "Gauge",
                "water_level": {
                    "type": "Property", "value": height, "unitCode": "MTR", "observedAt": at,
                },
            }],
        });
        let body = notification.to_string();
        let answer = server.post("/api/v1/notifications", &headers, &body);
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
    let last = server.get_json("/api/v1/why/wl-1");
    // Three readings, each judged: none is taken for another that came in the same moment.
    for seq in 0..3 {
        let seq = last["seq"].as_u64().unwrap() - seq;
        let judged = server.get_json(&format!("/api/v1/why/%23{seq}"));
        assert_eq!(judged["fate"], "judged", "{judged}");
    }
}
