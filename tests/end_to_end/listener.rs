//! The MQTT listener with mosquitto's own clients: quality 2, wills, what is retained, who may hear
//! what.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::mosquitto::Mosquitto;
use crate::support::{Server, Site, high_water, level, river_city, tool, wait_for};

/// A client of mosquitto's for this server.
fn client(name: &str, mqtt: SocketAddr, version: &str) -> Command {
    let mut command = tool(name);
    let port = mqtt.port().to_string();
    command.args(["-h", "127.0.0.1", "-p", &port, "-V", version]);
    command
}

fn publish_exactly_once(server: &Server, version: &str, sensor: &str, reading: &str) {
    let topic = format!("ioc/v1/readings/{sensor}");
    let published = client("mosquitto_pub", server.mqtt, version)
        .args(["-q", "2", "-t", &topic, "-m", reading])
        .output()
        .unwrap();
    let said = String::from_utf8(published.stderr).unwrap();
    assert!(published.status.success() && said.is_empty(), "{said}");
}

/// A process that is killed when dropped.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_broker_that_bridges_as_it_does_unless_it_is_told_otherwise_is_let_in() {
    let site = Site::new(&river_city());
    let server = site.start();
    let bridge = format!(
        "connection city\naddress {}\nrestart_timeout 1 2\n\
         topic ioc/v1/readings/# out 1\ntopic ioc/v1/decisions/# in 1\n",
        server.mqtt
    );
    let broker = Mosquitto::with(&bridge);
    for reading in high_water() {
        let published = client("mosquitto_pub", broker.address, "311")
            .args(["-q", "1", "-t", "ioc/v1/readings/wl-1", "-m", &reading])
            .status();
        assert!(published.unwrap().success());
    }
    wait_for("the incident", || {
        (!server.incidents().is_empty()).then_some(())
    });
    // What is retained is so behind the bridge, too: who comes there now gets it.
    let retained = wait_for("the decision", || {
        let heard = client("mosquitto_sub", broker.address, "311")
            .args([
                "-t",
                "ioc/v1/decisions/z1",
                "-C",
                "1",
                "-W",
                "2",
                "-F",
                "%r",
            ])
            .output()
            .unwrap();
        heard.status.success().then_some(heard.stdout)
    });
    assert_eq!(String::from_utf8_lossy(&retained).trim(), "1");
    // That it came and goes is nobody's reading, and nothing to mend.
    let letters = server.get_json("/api/v1/dead-letters/groups");
    assert_eq!(letters["total"], 0);
}

#[test]
fn readings_of_quality_2_open_an_incident_whose_decision_is_retained() {
    for version in ["311", "5"] {
        let site = Site::new(&river_city());
        let server = site.start();
        for reading in high_water() {
            publish_exactly_once(&server, version, "wl-1", &reading);
        }
        wait_for("the incident", || {
            (!server.incidents().is_empty()).then_some(())
        });
        // Who comes now gets the last decision of the zone, once.
        let heard = client("mosquitto_sub", server.mqtt, version)
            .args([
                "-q",
                "1",
                "-t",
                "ioc/v1/decisions/z1",
                "-C",
                "1",
                "-F",
                "%r %q %p",
            ])
            .output()
            .unwrap();
        let heard = String::from_utf8(heard.stdout).unwrap();
        let decision = heard.strip_prefix("1 1 ").expect(&heard);
        let decision: serde_json::Value = serde_json::from_str(decision).unwrap();
        assert_eq!(decision["incident"]["zone"], "z1", "{decision}");
        assert!(server.stop().success());
    }
}

#[test]
fn the_will_of_a_client_that_is_killed_is_a_reading() {
    for version in ["311", "5"] {
        let site = Site::new(&river_city());
        let server = site.start();
        let will = level("will", "wl-1", "2026-03-14T06:45:00Z", 1.0);
        let mut subscriber = client("mosquitto_sub", server.mqtt, version);
        subscriber
            .args(["-t", "ioc/v1/decisions/#"])
            .args([
                "--will-topic",
                "ioc/v1/readings/wl-1",
                "--will-payload",
                &will,
            ])
            .args(["--will-qos", "2", "--will-retain"]);
        let mut subscriber = Killed(subscriber.spawn().unwrap());
        wait_for("the client", || {
            (server.metric("ioc_mqtt_subscriptions_total") == Some(1.0)).then_some(())
        });
        subscriber.0.kill().unwrap();
        let published = "ioc_mqtt_wills_ended_total{outcome=\"published\"}";
        wait_for("the will", || {
            (server.metric(published) == Some(1.0)).then_some(())
        });
        let decoded = server.metric("ioc_readings_decoded_total{adapter=\"mqtt\"}");
        assert_eq!(decoded, Some(1.0));
        assert_eq!(server.get_json("/api/v1/dead-letters")["total"], 0);
        assert!(server.stop().success());
    }
}

#[test]
fn p8_a_user_hears_the_commands_of_its_own_devices_only() {
    let site = Site::new(&river_city());
    let users = site.dir.path().join("users");
    std::fs::write(&users, "north:s3cret\n  devices: gate-7, pump-*\n").unwrap();
    std::fs::set_permissions(&users, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = site.command();
    command.env("IOC_MQTT_USERS_FILE", &users);
    let server = Server::start(command);
    let subscribe = |filter: &str| {
        let mut subscriber = client("mosquitto_sub", server.mqtt, "5");
        subscriber.args(["-u", "north", "-P", "s3cret", "-q", "1", "-t", filter, "-d"]);
        subscriber.stdout(Stdio::piped()).stderr(Stdio::piped());
        subscriber
    };
    let refused = subscribe("ioc/v1/commands/gate-8").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned()
        + &String::from_utf8_lossy(&refused.stdout);
    assert!(
        said.to_lowercase().contains("not authorized") || said.contains("135"),
        "{said}"
    );
    let _granted = Killed(subscribe("ioc/v1/commands/pump-1").spawn().unwrap());
    wait_for("the subscription", || {
        (server.metric("ioc_mqtt_subscriptions_total") == Some(1.0)).then_some(())
    });
}

#[test]
fn p8_a_user_publishes_its_own_sensors_only_in_whatever_message() {
    let site = Site::new(&river_city());
    let users = site.dir.path().join("users");
    std::fs::write(
        &users,
        "north:s3cret\n  sensors: wl-1\n  devices: gate-7\nall:s3cret\n",
    )
    .unwrap();
    std::fs::set_permissions(&users, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = site.command();
    command.env("IOC_MQTT_USERS_FILE", &users);
    let server = Server::start(command);
    let publish = |user: &str, topic: &str, payload: &str, content_type: Option<&str>| {
        let mut publisher = client("mosquitto_pub", server.mqtt, "5");
        publisher.args([
            "-u", user, "-P", "s3cret", "-q", "1", "-t", topic, "-m", payload,
        ]);
        if let Some(content_type) = content_type {
            publisher.args(["-D", "publish", "content-type", content_type]);
        }
        // What is not allowed is acknowledged with a reason, which this client tells as it likes.
        publisher.output().unwrap();
    };
    let at = "2026-03-14T06:45:00Z";
    let senml = |sensor: &str| format!(r#"[{{"n":"{sensor}","u":"m","v":1,"t":1773470710}}]"#);
    let pack = Some("application/senml+json");
    publish(
        "north",
        "ioc/v1/readings/wl-1",
        &level("a", "wl-1", at, 1.0),
        None,
    );
    publish(
        "north",
        "ioc/v1/readings/wl-2",
        &level("b", "wl-2", at, 1.0),
        None,
    );
    publish("north", "packs/north", &senml("wl-2"), pack);
    let feedback = r#"{"key":"k-1","state":"done"}"#;
    publish("north", "ioc/v1/feedback/gate-8", feedback, None);
    publish(
        "all",
        "ioc/v1/readings/wl-2",
        &level("c", "wl-2", at, 1.0),
        None,
    );
    let letters = wait_for("the dead letters", || {
        let letters = server.get_json("/api/v1/dead-letters");
        (letters["total"] == 3).then_some(letters)
    });
    let reasons: Vec<_> = letters["dead_letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "feedback_not_allowed",
            "sensor_not_of_user",
            "sensor_not_of_user"
        ],
        "{letters}"
    );
    let decoded = "ioc_readings_decoded_total{adapter=\"mqtt\"}";
    assert_eq!(server.metric(decoded), Some(2.0));
}
