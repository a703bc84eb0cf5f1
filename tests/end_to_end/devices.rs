//! Commands to devices, from a person's order to what everybody is told came of it; `kill -9` in
//! between. The devices are here: they listen, and answer or do not.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::listener::Killed;
use crate::mosquitto::Mosquitto;
use crate::nats::Nats;
use crate::stream::Stream;
use crate::support::{DEADLINE, IOC, Server, Site, lines_of, tool, wait_for};

/// A gate whose sensor shows whether it is shut, a sign, and a siren that must not sound twice.
pub fn city() -> String {
    let feature = |id: &str, properties: Value| json!({ "type": "Feature", "id": id, "properties": properties, "geometry": null });
    let shut = |value: i32| json!({ "confirmed_by": { "sensor": "gate-shut", "is": value } });
    let features = [
        feature("gate-shut", json!({ "type": "sensor", "kind": "pump" })),
        feature(
            "gate:7",
            json!({ "type": "actuator", "commands": { "close": shut(1), "open": shut(0) } }),
        ),
        feature(
            "sign",
            json!({ "type": "actuator", "commands": ["flash", "off"] }),
        ),
        feature(
            "siren",
            json!({ "type": "actuator", "commands": ["sound"], "effect": "at_most_once" }),
        ),
    ];
    json!({ "type": "FeatureCollection", "features": features }).to_string()
}

/// A site that lives in the world's time, with these settings.
fn site(settings: &str) -> Site {
    let mut site = Site::new(&city());
    let config = site.dir.path().join("config");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(config.join("ioc.yaml"), settings).unwrap();
    let clock = site.args.iter().position(|arg| arg == "readings").unwrap();
    site.args[clock] = "system".into();
    site.args
        .extend(["--config".into(), config.display().to_string()]);
    site
}

fn over_nats(nats: &Nats) -> Site {
    let address = nats.address;
    let keys = format!("{{ address: '{address}', name: city, commands: yes }}");
    site(&format!("brokers: {{ nats: [{keys}] }}\n"))
}

/// Orders something and returns the command as the picture shows it.
fn order(server: &Server, site: &Site, actuator: &str, body: &Value) -> Value {
    let bearer = format!("Bearer {}", site.token());
    let path = format!("/api/v1/actuators/{actuator}/commands");
    let answer = server.post(&path, &[("authorization", &bearer)], &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    last(server, actuator)
}

fn last(server: &Server, actuator: &str) -> Value {
    server.get_json(&format!("/api/v1/actuators/{actuator}"))["actuator"]["last"].clone()
}

fn wait_for_progress(server: &Server, actuator: &str, progress: &str) -> Value {
    wait_for(&format!("{actuator} to be {progress}"), || {
        let last = last(server, actuator);
        (last["progress"] == progress).then_some(last)
    })
}

#[test]
fn a_visitor_of_the_demonstration_orders_a_device_and_sees_it_obey() {
    let mut demo = Command::new(IOC);
    demo.args(["demo", "--speed", "30"]);
    let server = Server::start(demo);
    let opened = server.told("Open the console:");
    let (_, token) = opened.rsplit_once("#token=").unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let all = server.get_json("/api/v1/actuators");
    let all = all["actuators"].as_array().unwrap().clone();
    assert!(all.len() >= 3, "{all:?}");
    for actuator in all {
        let id = actuator["id"].as_str().unwrap();
        let command = &actuator["commands"][0]["command"];
        let path = format!("/api/v1/actuators/{id}/commands");
        let body = json!({ "command": command }).to_string();
        let answer = server.post(&path, &[("authorization", &bearer)], &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let done = wait_for_progress(&server, id, "done");
        assert_eq!(&done["command"], command, "{done}");
    }
}

#[test]
fn simulated_devices_behind_nats_obey_what_they_are_ordered() {
    let nats = Nats::start();
    let site = over_nats(&nats);
    let server = site.start();
    wait_for_links(&server);
    let city = site.dir.path().join("simulated.geojson");
    let place = "\"geometry\":{\"type\":\"Point\",\"coordinates\":[101.6,3.1]}";
    let placed = self::city().replace("\"geometry\":null", place);
    std::fs::write(&city, placed).unwrap();
    let mut simulate = Command::new(IOC);
    let simulate = simulate
        .args(["simulate", "--to", &format!("nats://{}", nats.address)])
        .args(["--qos", "0", "--city", &city.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let simulated = Killed(simulate.spawn().unwrap());
    let ordered = order(&server, &site, "gate:7", &json!({ "command": "close" }));
    let accepted = wait_for_progress(&server, "gate:7", "accepted");
    assert_eq!(accepted["key"], ordered["key"], "{accepted}");
    assert_eq!(
        accepted["answer"]["detail"], "begins to close",
        "{accepted}"
    );
    drop(simulated);
}

/// A device behind NATS.
struct Device<'a> {
    nats: &'a Nats,
    name: &'static str,
    commands: Subscriber,
}

impl<'a> Device<'a> {
    fn new(nats: &'a Nats, name: &'static str) -> Self {
        let commands = nats.runtime.block_on(async {
            let client = nats.client().await;
            let subject = format!("ioc.v1.commands.{}", name.replace(':', "%3A"));
            let commands = client.subscribe(subject).await.unwrap();
            client.flush().await.unwrap();
            commands
        });
        Self {
            nats,
            name,
            commands,
        }
    }

    /// The next command that comes.
    fn hear(&mut self) -> Value {
        let runtime = &self.nats.runtime;
        let message = runtime.block_on(async { timeout(DEADLINE, self.commands.next()).await });
        let message = message.expect("a command in time").unwrap();
        serde_json::from_slice(&message.payload).unwrap()
    }

    fn answer(&self, key: &Value, state: &str) {
        let said = json!({ "key": key, "state": state, "detail": "motor" }).to_string();
        self.nats.runtime.block_on(async {
            let client = self.nats.client().await;
            let subject = format!("ioc.v1.feedback.{}", self.name.replace(':', "%3A"));
            client.publish(subject, said.into()).await.unwrap();
            client.flush().await.unwrap();
        });
    }
}

/// Waits until the links over which devices are told and heard are there.
fn wait_for_links(server: &Server) {
    for link in ["nats city commands: up", "nats city ioc.v1.feedback.>: up"] {
        wait_for(link, || {
            let ready = server.get("/readyz").body;
            ready.contains(link).then_some(())
        });
    }
}

#[test]
fn a_person_closes_a_gate_over_nats_and_everybody_hears_what_came_of_it() {
    let nats = Nats::start();
    let site = over_nats(&nats);
    let server = site.start();
    wait_for_links(&server);
    let mut gate = Device::new(&nats, "gate:7");
    let mut watcher = nats.runtime.block_on(Stream::open(server.http, None, None));
    let sent = order(
        &server,
        &site,
        "gate:7",
        &json!({
            "command": "close", "parameters": { "speed": 3 }, "not_after_s": 30,
        }),
    );
    let heard = gate.hear();
    assert_eq!(
        (&heard["key"], &heard["device"]),
        (&sent["key"], &json!("gate:7"))
    );
    assert_eq!(
        (&heard["command"], &heard["parameters"]["speed"]),
        (&json!("close"), &json!(3))
    );
    assert_eq!(
        (&heard["not_after"], &heard["issued_at"]),
        (&sent["not_after"], &sent["ordered_at"])
    );
    gate.answer(&heard["key"], "accepted");
    let accepted = wait_for_progress(&server, "gate:7", "accepted");
    gate.answer(&heard["key"], "done");
    let done = wait_for_progress(&server, "gate:7", "done");
    assert_eq!(
        (&done["answer"]["detail"], &done["person_needed"]),
        (&json!("motor"), &json!(false))
    );
    let shut = json!({
        "id": "g1", "sensor": "gate-shut", "value": 1, "observed_at": accepted["updated_at"],
    });
    server.post_readings(&[shut.to_string()]);
    let confirmed = wait_for_progress(&server, "gate:7", "confirmed");
    assert_eq!(confirmed["confirmation"]["reading"], "g1");
    for told in [
        "command_sent",
        "command_accepted",
        "command_done",
        "command_confirmed",
    ] {
        let decision = nats.runtime.block_on(watcher.decision(told));
        assert_eq!(decision["command"]["key"], sent["key"]);
    }
}

#[test]
fn what_is_no_answer_of_that_device_is_kept_with_the_reason() {
    let nats = Nats::start();
    let site = over_nats(&nats);
    let server = site.start();
    wait_for_links(&server);
    let sign = Device::new(&nats, "sign");
    let sent = order(&server, &site, "gate:7", &json!({ "command": "close" }));
    sign.answer(&sent["key"], "done");
    sign.answer(&json!("cmd-1"), "done");
    let reasons = wait_for("both to be kept", || {
        let kept = server.get_json("/api/v1/dead-letters");
        let kept: Vec<_> = kept["dead_letters"]
            .as_array()?
            .iter()
            .map(|each| each["reason"].clone())
            .collect();
        (kept.len() == 2).then_some(kept)
    });
    assert!(
        reasons.contains(&json!("feedback_unknown"))
            && reasons.contains(&json!("feedback_invalid"))
    );
    assert_eq!(last(&server, "gate:7")["progress"], "sent");
}

#[test]
fn inv_39_after_kill_9_a_command_is_sent_with_the_same_key_until_it_is_answered_and_then_never() {
    let mut nats = Nats::start();
    let site = over_nats(&nats);
    nats.stop();
    let server = site.start();
    let sent = order(
        &server,
        &site,
        "gate:7",
        &json!({ "command": "close", "not_after_s": 300 }),
    );
    server.kill();
    nats.start_again();
    let mut gate = Device::new(&nats, "gate:7");
    let server = site.start();
    assert_eq!(
        gate.hear()["key"],
        sent["key"],
        "it was ordered before the crash"
    );
    server.kill();
    let server = site.start();
    assert_eq!(gate.hear()["key"], sent["key"], "nobody had answered");
    wait_for_links(&server);
    gate.answer(&sent["key"], "rejected");
    wait_for_progress(&server, "gate:7", "rejected");
    server.kill();
    let mut gate = Device::new(&nats, "gate:7");
    let server = site.start();
    wait_for_links(&server);
    let other = order(&server, &site, "gate:7", &json!({ "command": "open" }));
    assert_eq!(
        gate.hear()["key"],
        other["key"],
        "what is over is not sent again"
    );
}

#[test]
fn inv_30_a_device_that_is_away_until_after_the_deadline_never_gets_the_command() {
    let mut nats = Nats::start();
    let site = over_nats(&nats);
    nats.stop();
    let server = site.start();
    order(
        &server,
        &site,
        "sign",
        &json!({ "command": "flash", "not_after_s": 0.5 }),
    );
    let expired = wait_for_progress(&server, "sign", "expired");
    assert_eq!(expired["person_needed"], true);
    nats.start_again();
    let mut sign = Device::new(&nats, "sign");
    wait_for_links(&server);
    let other = order(&server, &site, "sign", &json!({ "command": "off" }));
    assert_eq!(sign.hear()["key"], other["key"]);
}

#[test]
fn what_may_be_sent_once_is_not_sent_again_and_after_a_crash_nobody_knows() {
    let nats = Nats::start();
    let site = over_nats(&nats);
    let server = site.start();
    wait_for_links(&server);
    let mut siren = Device::new(&nats, "siren");
    let sent = order(
        &server,
        &site,
        "siren",
        &json!({ "command": "sound", "not_after_s": 300 }),
    );
    assert_eq!(siren.hear()["key"], sent["key"]);
    server.kill();
    let server = site.start();
    let unknown = wait_for_progress(&server, "siren", "outcome_unknown");
    assert_eq!(
        (&unknown["key"], &unknown["person_needed"]),
        (&sent["key"], &json!(true))
    );
    wait_for_links(&server);
    let again = order(&server, &site, "siren", &json!({ "command": "sound" }));
    assert_eq!(
        siren.hear()["key"],
        again["key"],
        "the first was not sent again"
    );
    siren.answer(&again["key"], "done");
    wait_for_progress(&server, "siren", "done");
}

#[test]
fn a_stream_takes_a_command_once_however_often_it_is_sent() {
    let nats = Nats::start();
    nats.make_stream("COMMANDS", "ioc.v1.commands.>");
    let site = over_nats(&nats);
    let server = site.start();
    wait_for_links(&server);
    let sent = order(
        &server,
        &site,
        "sign",
        &json!({ "command": "flash", "not_after_s": 300 }),
    );
    let taken = || server.metric("ioc_command_outcomes_total{way=\"nats\",outcome=\"taken\"}");
    wait_for("the stream to take it", || taken().map(drop));
    server.kill();
    let server = site.start();
    let taken = || server.metric("ioc_command_outcomes_total{way=\"nats\",outcome=\"taken\"}");
    wait_for("the stream to be asked again", || taken().map(drop));
    let kept = nats.runtime.block_on(async {
        let context = async_nats::jetstream::new(nats.client().await);
        let stream = context.get_stream("COMMANDS").await.unwrap();
        assert_eq!(stream.cached_info().state.messages, 1);
        stream.get_raw_message(1).await.unwrap()
    });
    let kept: Value = serde_json::from_slice(&kept.payload).unwrap();
    assert_eq!(kept["key"], sent["key"]);
    assert_eq!(
        last(&server, "sign")["progress"],
        "sent",
        "INV-31: it moves nothing"
    );
}

#[test]
fn who_lives_in_another_time_than_the_world_sends_nothing_to_devices() {
    let nats = Nats::start();
    let mut site = over_nats(&nats);
    let clock = site.args.iter().position(|arg| arg == "system").unwrap();
    site.args[clock] = "scaled:20".into();
    let server = site.start();
    let mut sign = Device::new(&nats, "sign");
    order(
        &server,
        &site,
        "sign",
        &json!({ "command": "flash", "not_after_s": 10 }),
    );
    wait_for_progress(&server, "sign", "expired");
    let runtime = &nats.runtime;
    let heard = async { timeout(Duration::from_millis(1), sign.commands.next()).await };
    assert!(runtime.block_on(heard).is_err());
}

/// A device at our own listener: mosquitto's clients.
struct MqttDevice {
    port: u16,
    name: &'static str,
    listening: Child,
    heard: mpsc::Receiver<String>,
}

impl MqttDevice {
    fn new(server: &Server, name: &'static str) -> Self {
        Self::at(server.mqtt.port(), name)
    }

    fn at(port: u16, name: &'static str) -> Self {
        let mut listening = tool("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1"])
            .args(["-t", &format!("ioc/v1/commands/{name}")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = lines_of(listening.stdout.take().unwrap());
        Self {
            port,
            name,
            listening,
            heard,
        }
    }

    fn hear(&self) -> Value {
        let line = self
            .heard
            .recv_timeout(DEADLINE)
            .expect("a command in time");
        serde_json::from_str(&line).unwrap()
    }

    fn answer(&self, key: &Value, state: &str) {
        let said = json!({ "key": key, "state": state }).to_string();
        let status = tool("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1"])
            .args(["-t", &format!("ioc/v1/feedback/{}", self.name), "-m", &said])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for MqttDevice {
    fn drop(&mut self) {
        let _ = self.listening.kill();
        let _ = self.listening.wait();
    }
}

#[test]
fn a_person_closes_a_gate_over_mqtt_and_its_sensor_shows_it() {
    let site = site("");
    let server = site.start();
    let gate = MqttDevice::new(&server, "gate:7");
    let order_of = json!({ "command": "close", "parameters": { "speed": 3 } });
    let sent = order(&server, &site, "gate:7", &order_of);
    let heard = gate.hear();
    assert_eq!(
        (&heard["key"], &heard["parameters"]["speed"]),
        (&sent["key"], &json!(3))
    );
    gate.answer(&heard["key"], "accepted");
    let accepted = wait_for_progress(&server, "gate:7", "accepted");
    let shut = json!({
        "id": "g1", "sensor": "gate-shut", "value": 1, "observed_at": accepted["updated_at"],
    });
    server.post_readings(&[shut.to_string()]);
    wait_for_progress(&server, "gate:7", "confirmed");
}

#[test]
fn a_person_closes_a_gate_behind_a_broker_elsewhere_and_a_siren_sounds_once() {
    for version in ["3.1.1", "5"] {
        let broker = Mosquitto::start();
        let (address, port) = (broker.address, broker.address.port());
        let keys = format!("address: '{address}', name: city, version: {version}, topics: []");
        let site = site(&format!(
            "brokers: {{ mqtt: [{{ {keys}, commands: yes }}] }}\n"
        ));
        let server = site.start();
        wait_for_broker(&server);
        let late = json!({ "command": "close", "not_after_s": 300 });
        let sent = order(&server, &site, "gate:7", &late);
        server.kill();
        let gate = MqttDevice::at(port, "gate:7");
        let server = site.start();
        assert_eq!(gate.hear()["key"], sent["key"], "nobody had answered");
        wait_for_broker(&server);
        gate.answer(&sent["key"], "accepted");
        wait_for_progress(&server, "gate:7", "accepted");
        gate.answer(&sent["key"], "done");
        wait_for_progress(&server, "gate:7", "done");

        let siren = MqttDevice::at(port, "siren");
        let once = json!({ "command": "sound", "not_after_s": 300 });
        // Until the broker has its subscription, what is published once does not reach it.
        wait_for_subscription(port, "siren", &siren);
        let sent = order(&server, &site, "siren", &once);
        assert_eq!(siren.hear()["key"], sent["key"]);
        server.kill();
        let server = site.start();
        wait_for_progress(&server, "siren", "outcome_unknown");
    }
}

/// Waits until commands go out to the broker, and what comes of them is heard.
fn wait_for_broker(server: &Server) {
    for link in ["mqtt city commands: up", "mqtt city-feedback: up"] {
        wait_for(link, || {
            let ready = server.get("/readyz").body;
            ready.contains(link).then_some(())
        });
    }
}

/// Says something to a device until it hears it.
fn wait_for_subscription(port: u16, name: &str, device: &MqttDevice) {
    wait_for("the device to listen", || {
        let topic = format!("ioc/v1/commands/{name}");
        let said = tool("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1"])
            .args(["-t", &topic, "-m", "{}"])
            .status();
        assert!(said.unwrap().success());
        device.heard.recv_timeout(Duration::from_millis(100)).ok()
    });
    while device
        .heard
        .recv_timeout(Duration::from_millis(100))
        .is_ok()
    {}
}

#[test]
fn a_command_that_was_superseded_does_not_reach_a_device_that_comes_later() {
    let site = site("");
    let server = site.start();
    let first = json!({ "command": "flash", "not_after_s": 300 });
    let first = order(&server, &site, "sign", &first);
    let other = json!({ "command": "off", "not_after_s": 300, "replaces": first["key"] });
    let other = order(&server, &site, "sign", &other);
    let sign = MqttDevice::new(&server, "sign");
    assert_eq!(sign.hear()["key"], other["key"]);
}

#[test]
fn node_red_2864_a_command_waits_for_a_device_that_is_away_and_dies_at_its_deadline() {
    let site = site("");
    let server = site.start();
    let until_late = json!({ "command": "flash", "not_after_s": 300 });
    let sent = order(&server, &site, "sign", &until_late);
    let soon = json!({ "command": "close", "not_after_s": 0.5 });
    order(&server, &site, "gate:7", &soon);
    wait_for_progress(&server, "gate:7", "expired");
    let (sign, gate) = (
        MqttDevice::new(&server, "sign"),
        MqttDevice::new(&server, "gate:7"),
    );
    assert_eq!(sign.hear()["key"], sent["key"], "it waited");
    let other = order(&server, &site, "gate:7", &json!({ "command": "open" }));
    assert_eq!(
        gate.hear()["key"],
        other["key"],
        "INV-30: what expired is gone"
    );
}

#[test]
fn inv_39_after_kill_9_a_device_at_our_listener_gets_what_it_has_not_answered_again() {
    let site = site("");
    let server = site.start();
    let until_late = json!({ "command": "flash", "not_after_s": 300 });
    let sent = order(&server, &site, "sign", &until_late);
    server.kill();
    let server = site.start();
    let sign = MqttDevice::new(&server, "sign");
    assert_eq!(sign.hear()["key"], sent["key"]);
    assert_eq!(last(&server, "sign")["progress"], "sent", "INV-31");
    sign.answer(&sent["key"], "done");
    wait_for_progress(&server, "sign", "done");
    server.kill();
    let server = site.start();
    let sign = MqttDevice::new(&server, "sign");
    let other = order(&server, &site, "sign", &json!({ "command": "off" }));
    assert_eq!(sign.hear()["key"], other["key"]);
}
