use std::path::Path;

use expect_test::{Expect, expect};

use super::*;

fn load(file: &str, env: &[(&str, &str)]) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ioc.yaml"), file).unwrap();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let shown = format!("{}/", dir.path().display());
    Settings::load(Some(dir.path()), env)
        .map_err(|mistakes| mistakes.to_string().replace(&shown, ""))
}

fn refused(file: &str, env: &[(&str, &str)], expected: &Expect) {
    expected.assert_eq(&load(file, env).unwrap_err());
}

#[test]
fn without_any_file_the_shipped_settings_hold() {
    let settings = Settings::load(None, std::iter::empty()).unwrap();
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.mqtt.packet_bytes_max, 262_144);
    assert_eq!(settings.mqtt.users_file, None);
    assert_eq!(settings.clock, ClockKind::System);
    assert_eq!(Ok(settings), load("", &[]));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_what_is_shipped() {
    let file = "http: { listen: 127.0.0.1:1, hosts: [a.example] }\nmqtt:\n  inflight_max: 7\n";
    let env = [
        ("IOC_HTTP_LISTEN", "[::1]:0"),
        ("IOC_HTTP_HOSTS", "IOC.example, b.example"),
        ("IOC_DATA", "/var/lib/ioc"),
        ("IOC_CLOCK", "scaled:60"),
        ("IOC_JOURNAL_SEGMENT_BYTES", "1 GiB"),
        ("PATH", "/bin"),
    ];
    let settings = load(file, &env).unwrap();
    assert_eq!(settings.http.listen.to_string(), "[::1]:0");
    assert_eq!(settings.http.hosts, ["ioc.example", "b.example"]);
    assert_eq!(settings.data, Path::new("/var/lib/ioc"));
    assert_eq!(settings.clock, ClockKind::Scaled(60));
    assert_eq!(settings.journal.segment_bytes, 1 << 30);
    assert_eq!(settings.mqtt.inflight_max, 7);
    assert_eq!(settings.mqtt.listen.to_string(), "127.0.0.1:1883");
}

#[test]
fn an_empty_variable_leaves_the_key_alone() {
    let settings = load("data: here\n", &[("IOC_DATA", "")]).unwrap();
    assert_eq!(settings.data, Path::new("here"));
}

#[test]
fn every_mistake_of_file_and_environment_is_told_at_once() {
    let file = "
htpp: { listen: 127.0.0.1:1 }
http: [1]
mqtt:
  listen: localhost:1883
  conections_max: 3
  inflight_max: 70000
  packet_bytes_max: 1 MB
  overload_wait_s: [5]
door:
  unregistered: acept
clock: scaled:0
speed: 3
";
    let env = [
        ("IOC_HTP_LISTEN", "x"),
        ("IOC_FOO", "1"),
        ("IOC_SHUTDOWN_DRAIN_S", "soon"),
    ];
    refused(
        file,
        &env,
        &expect![[r#"
        ioc.yaml:2:1 htpp: unknown key; did you mean `http`?
        ioc.yaml:3:7 http: keys belong here, each as `key: value`
        ioc.yaml:5:11 mqtt.listen: `localhost:1883` is not an address and a port, such as `127.0.0.1:8080` or `[::1]:8080`
        ioc.yaml:6:3 mqtt.conections_max: unknown key; did you mean `connections_max`?
        ioc.yaml:7:17 mqtt.inflight_max: `70000` is not a whole number from 1 to 65535
        ioc.yaml:8:21 mqtt.packet_bytes_max: `1 MB` is not a number of bytes from 1024 to 16777216, such as `64 MiB`
        ioc.yaml:9:20 mqtt.overload_wait_s: a list is not a whole number from 1 to 3600
        ioc.yaml:11:17 door.unregistered: `acept` is not one of accept, refuse; did you mean `accept`?
        ioc.yaml:12:8 clock: `scaled:0` is not `system`, `readings` or `scaled:N` with N from 1 to 100000
        ioc.yaml:13:1 speed: unknown key; known here: brokers, clock, core, data, door, http, journal, log, mqtt, retention, shutdown, snapshots, window
        IOC_FOO: unknown variable; `ioc config` lists the keys: IOC_<SECTION>_<KEY>
        IOC_HTP_LISTEN: unknown variable; did you mean `IOC_HTTP_LISTEN`?
        IOC_SHUTDOWN_DRAIN_S: `soon` is not a whole number from 1 to 600"#]],
    );
}

#[test]
fn the_links_of_kubernetes_to_a_service_named_ioc_are_no_settings() {
    let env = [
        ("IOC_SERVICE_HOST", "10.0.0.11"),
        ("IOC_PORT", "tcp://10.0.0.11:8080"),
        ("IOC_PORT_8080_TCP_ADDR", "10.0.0.11"),
        ("IOC_DATA", "here"),
    ];
    let settings = load("", &env).unwrap();
    assert_eq!(settings.data, Path::new("here"));
    assert_eq!(
        settings.service_links,
        ["IOC_PORT", "IOC_PORT_8080_TCP_ADDR", "IOC_SERVICE_HOST"]
    );
    refused(
        "",
        &[("IOC_PORT", "8080")],
        &expect!["IOC_PORT: unknown variable; `ioc config` lists the keys: IOC_<SECTION>_<KEY>"],
    );
}

/// Every way to write an address that strangers reach.
const BEYOND_LOOPBACK: [&str; 9] = [
    "0.0.0.0:1",
    "192.168.1.7:1",
    "10.0.0.1:1",
    "[::]:1",
    "[fe80::1]:1",
    "[2001:db8::1]:1",
    "[::ffff:0.0.0.0]:1",
    "[::ffff:192.168.1.7]:1",
    "[::ffff:127.0.0.1]:1",
];

#[test]
fn p8_no_listener_leaves_loopback_however_it_is_written() {
    for address in BEYOND_LOOPBACK {
        for (section, variable) in [("http", "IOC_HTTP_LISTEN"), ("mqtt", "IOC_MQTT_LISTEN")] {
            let file = format!("{section}: {{ listen: '{address}' }}\n");
            let by_file = load(&file, &[]).unwrap_err();
            assert!(by_file.contains("is not on loopback"), "{by_file}");
            let by_env = load("", &[(variable, address)]).unwrap_err();
            assert!(by_env.contains("is not on loopback"), "{by_env}");
        }
        let secured = [
            ("IOC_MQTT_LISTEN", address),
            ("IOC_MQTT_USERS_FILE", "/etc/ioc/users"),
        ];
        assert!(load("", &secured).is_ok(), "{address}");
        let secured = [("IOC_HTTP_LISTEN", address), secured[1]];
        assert!(load("", &secured).is_err(), "users are MQTT's: {address}");
    }
    for odd in [
        "localhost:1",
        "0:1",
        ":1",
        "*:1",
        "127.1:1",
        "0x7f.0.0.1:1",
        "0177.0.0.1:1",
    ] {
        assert!(load("", &[("IOC_HTTP_LISTEN", odd)]).is_err(), "{odd}");
    }
    for own in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
        let both = [("IOC_HTTP_LISTEN", own), ("IOC_MQTT_LISTEN", own)];
        assert!(load("", &both).is_ok(), "{own}");
    }
}

#[test]
fn p8_an_address_beyond_loopback_is_refused_with_the_remedy() {
    let file = "http:\n  listen: 0.0.0.0:8080\nmqtt:\n  listen: '[::]:1883'\n";
    refused(
        file,
        &[],
        &expect![[r#"
        ioc.yaml:2:11 http.listen: is not on loopback, and HTTP asks nobody who he is (http.keys_file asks only who pushes, and without encryption); write `127.0.0.1:8080` and let others in through a proxy or an SSH tunnel that asks
        ioc.yaml:4:11 mqtt.listen: is not on loopback, and without users nobody is asked who he is; name a file of users in mqtt.users_file, or write `127.0.0.1:1883`"#]],
    );
    let secured = "mqtt: { listen: 0.0.0.0:1883, users_file: /etc/ioc/users }\n";
    assert!(load(secured, &[]).is_ok());
}

#[test]
fn bounds_that_contradict_each_other_are_refused() {
    let file = "mqtt: { packet_bytes_max: 16 MiB }\ndoor: { waiting_bytes_max: 1 MiB }\n";
    refused(
        file,
        &[],
        &expect![[r#"
            ioc.yaml:1:27 mqtt.packet_bytes_max: mqtt.packet_bytes_max (16777216) is more than journal.batch_bytes_max (4194304), which must hold a packet; lower the one or raise the other
            ioc.yaml:2:28 door.waiting_bytes_max: mqtt.packet_bytes_max (16777216) is more than door.waiting_bytes_max (1048576), which must hold a packet; lower the one or raise the other"#]],
    );
}

#[test]
fn a_directory_that_is_not_there_is_a_mistake() {
    let mistakes = Settings::load(Some(Path::new("no/such/dir")), std::iter::empty()).unwrap_err();
    assert!(
        mistakes
            .to_string()
            .starts_with("no/such/dir/ioc.yaml: cannot be read")
    );
}

#[test]
fn p5_a_file_of_settings_has_a_bound() {
    let long = "# comment\n".repeat(crate::config::yaml::FILE_BYTES_MAX / 10 + 1);
    let said = load(&long, &[]).unwrap_err();
    assert!(said.contains("bytes are too many"), "{said}");
}
