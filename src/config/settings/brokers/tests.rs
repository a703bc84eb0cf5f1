use expect_test::expect;
use ioc_core::time::Timestamp;
use ioc_gateway::brokers::nats::Since;

use super::*;
use crate::config::settings::{DEFAULTS, Settings};

fn load(file: &str, env: &[(&str, &str)]) -> Result<Brokers, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ioc.yaml"), file).unwrap();
    let env = env.iter();
    let env = env.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let shown = format!("{}/", dir.path().display());
    Settings::load(Some(dir.path()), env)
        .map(|settings| settings.brokers)
        .map_err(|mistakes| mistakes.to_string().replace(&shown, ""))
}

/// The example of a list, as the shipped file has it in a comment.
fn example(key: &str) -> String {
    let lines = DEFAULTS.lines().filter_map(|line| line.strip_prefix("  #"));
    let begin = format!("   {key}:");
    let lines = lines.skip_while(|line| *line != begin);
    let example: Vec<_> = lines.take_while(|line| line.starts_with("   ")).collect();
    assert!(example.len() > 10, "no example of {key}");
    format!("brokers:\n{}\n", example.join("\n"))
}

#[test]
fn the_example_in_the_shipped_file_has_every_key_with_its_default() {
    let shown = load(&example("mqtt"), &[]).unwrap();
    let bare = load("brokers: { mqtt: [broker.city.example] }\n", &[]).unwrap();
    assert_eq!(shown.mqtt, bare.mqtt);
    assert_eq!(bare.mqtt[0].options.address.1, 1883);
    assert_eq!(bare.connections(), 1);

    let shown = load(&example("nats"), &[]).unwrap();
    let bare = load("brokers: { nats: [nats.city.example] }\n", &[]).unwrap();
    let Broker { options, user } = &shown.nats[0];
    assert_eq!((options, user), (&bare.nats[0].options, &None));
    assert_eq!(options.addresses[0].1, 4222);
}

#[test]
fn every_mistake_in_a_nats_server_is_told() {
    let file = "
brokers:
  nats:
    - { address: ws://a, subject: a }
    - { address: b, subjects: [a..b, '>', 'a.>.b', '>'] }
    - { address: b, stream: a.b, subjects: [] }
    - { address: c, stream: S, queue: q, inflight_max: 0 }
    - { address: [], name: d, domain: a.b }
    - { address: [tls://e, f, 'ws://g'], domain: hub, from: new, inbox_prefix: a.* }
    - { address: h, stream: S, from: yesterday }
    - { address: i, domain: hub, from: new }
    - { address: j, user: ann, token_file: t, handshake_first: yes }
    - { address: tls://k, token_file: t, credentials_file: c, handshake_first: maybe }
";
    expect![[r#"
        ioc.yaml:4:5 brokers.nats: two brokers are called `b`; give one another `name`
        ioc.yaml:4:18 brokers.nats.address: `ws://a` is not an address, such as `nats.city.example:4222` or, with TLS, `tls://nats.city.example`
        ioc.yaml:4:26 brokers.nats.subject: unknown key; did you mean `subjects`?
        ioc.yaml:5:32 brokers.nats.subjects: `a..b` is not a subject, such as `city.water.*` or `city.>`
        ioc.yaml:5:43 brokers.nats.subjects: `a.>.b` is not a subject, such as `city.water.*` or `city.>`
        ioc.yaml:5:52 brokers.nats.subjects: `>` stands here twice
        ioc.yaml:6:7 brokers.nats: there is neither a subject to read nor are decisions sent
        ioc.yaml:6:29 brokers.nats.stream: `a.b` is not letters, digits, `_` and `-`
        ioc.yaml:7:39 brokers.nats.queue: a stream is not shared by a queue group; leave one of them out
        ioc.yaml:7:56 brokers.nats.inflight_max: `0` is not a whole number from 1 to 32768
        ioc.yaml:8:18 brokers.nats.address: an empty list; write at least one address
        ioc.yaml:8:39 brokers.nats.domain: `a.b` is not letters, digits, `_` and `-`
        ioc.yaml:8:39 brokers.nats.domain: is that of a stream; write also `stream: NAME`
        ioc.yaml:9:18 brokers.nats.address: write `tls://` before all of them, or before none
        ioc.yaml:9:31 brokers.nats.address: `ws://g` is not an address, such as `nats.city.example:4222` or, with TLS, `tls://nats.city.example`
        ioc.yaml:9:50 brokers.nats.domain: is that of a stream; write also `stream: NAME`
        ioc.yaml:9:61 brokers.nats.from: core subjects keep nothing; write also `stream: NAME`
        ioc.yaml:9:80 brokers.nats.inbox_prefix: `a.*` is not a subject without wildcards, such as `_INBOX_ioc`
        ioc.yaml:10:38 brokers.nats.from: `yesterday` is not `first`, `new` or a time, such as `2026-03-14T06:45:00Z`
        ioc.yaml:11:29 brokers.nats.domain: is that of a stream; write also `stream: NAME`
        ioc.yaml:11:40 brokers.nats.from: core subjects keep nothing; write also `stream: NAME`
        ioc.yaml:12:44 brokers.nats.token_file: a server asks for a user, a token or a credentials file; leave the others out
        ioc.yaml:12:64 brokers.nats.handshake_first: there is no handshake without TLS; write `tls://` before the address
        ioc.yaml:13:39 brokers.nats.token_file: a server asks for a user, a token or a credentials file; leave the others out
        ioc.yaml:13:80 brokers.nats.handshake_first: `maybe` is not one of yes, no"#]].assert_eq(&load(file, &[]).unwrap_err());
}

#[test]
fn a_cluster_has_several_addresses_and_is_called_as_its_first() {
    let file = "
brokers:
  nats:
    - address: [tls://a.example, tls://b.example:5222]
      stream: READINGS
      domain: hub
      inbox_prefix: _INBOX_ioc.city
      from: 2026-03-14T06:45:00Z
    - { address: c.example, stream: READINGS, from: new }
";
    let brokers = load(file, &[]).unwrap();
    let [cluster, single] = [0, 1].map(|at| &brokers.nats[at].options);
    let addresses = [("a.example", 4222), ("b.example", 5222)];
    let addresses = addresses.map(|(host, port)| (host.to_owned(), port));
    assert_eq!(cluster.addresses, addresses);
    assert_eq!(
        (&*cluster.name, &*cluster.durable),
        ("a.example", "ioc-a-example")
    );
    assert!(cluster.tls.is_some());
    assert_eq!(cluster.domain.as_deref(), Some("hub"));
    assert_eq!(cluster.inbox_prefix.as_deref(), Some("_INBOX_ioc.city"));
    let at = Timestamp::parse(b"2026-03-14T06:45:00Z").unwrap();
    assert_eq!([cluster.from, single.from], [Since::Time(at), Since::New]);
    // `IOC_BROKERS_NATS` has commas between servers, not within a cluster.
    let env = [("IOC_BROKERS_NATS", "a.example,b.example")];
    assert_eq!(load("", &env).unwrap().nats.len(), 2);
}

#[test]
fn tls_is_asked_for_by_the_address_or_by_its_keys() {
    let file = "
brokers:
  mqtt:
    - mqtts://a.example
    - address: b.example
      tls: { ca_file: ../ca.pem, certificate_file: me.pem, key_file: me.key, server_name: b }
    - address: mqtt://c.example
  nats:
    - tls://a.example
    - { address: b.example, tls: { server_name: b } }
    - c.example
";
    let brokers = load(file, &[]).unwrap();
    let mqtt = brokers.mqtt.iter().map(|broker| &broker.options);
    let mqtt: Vec<_> = mqtt
        .map(|each| (each.address.1, each.tls.is_some()))
        .collect();
    assert_eq!(mqtt, [(8883, true), (8883, true), (1883, false)]);
    let tls = brokers.mqtt[1].options.tls.as_ref().unwrap();
    assert!(tls.ca_file.as_ref().unwrap().ends_with("../ca.pem"));
    assert!(tls.identity.as_ref().unwrap().key_file.ends_with("me.key"));
    assert_eq!(tls.server_name.as_deref(), Some("b"));
    let nats = brokers.nats.iter().map(|server| &server.options);
    let nats: Vec<_> = nats
        .map(|each| (each.addresses[0].1, each.tls.is_some()))
        .collect();
    assert_eq!(nats, [(4222, true), (4222, true), (4222, false)]);
}

#[test]
fn every_mistake_about_tls_is_told() {
    let file = "
brokers:
  mqtt:
    - { address: 'https://a', tls: yes }
    - { address: b, tls: { cafile: x, key_file: k } }
  nats: { address: 'mqtts://c', tls: { certificate_file: k } }
";
    expect![[r#"
        ioc.yaml:4:18 brokers.mqtt.address: `https://a` is not an address, such as `broker.city.example:1883` or, with TLS, `mqtts://broker.city.example`
        ioc.yaml:4:36 brokers.mqtt.tls: keys belong here, each as `key: value`
        ioc.yaml:5:26 brokers.mqtt.tls: a key without its `certificate_file`
        ioc.yaml:5:28 brokers.mqtt.tls.cafile: unknown key; did you mean `ca_file`?
        ioc.yaml:6:20 brokers.nats.address: `mqtts://c` is not an address, such as `nats.city.example:4222` or, with TLS, `tls://nats.city.example`
        ioc.yaml:6:38 brokers.nats.tls: a certificate without its `key_file`"#]].assert_eq(&load(file, &[]).unwrap_err());
}

#[test]
fn two_links_never_take_turns_in_one_session_or_one_consumer() {
    let file = "
brokers:
  mqtt:
    - { address: b.example, name: hills, urgent_topics: ['a/#'], share: g, connections: 2 }
    - { address: B.example, name: hills-urgent, topics: ['c/#'] }
    - { address: b.example, name: hills-2, topics: ['d/#'] }
    - { address: b.example, name: x, client_id: gate, commands: yes }
    - { address: b.example, name: y, client_id: gate-feedback }
    - { address: b.example, name: z, client_id: gate-commands }
    - { address: c.example, name: elsewhere, client_id: gate }
  nats:
    - { address: [s1, s2], name: a.b, stream: S, subjects: ['x.>', y] }
    - { address: [s3, s2], name: a-b, stream: S, subjects: [z, 'x.>'] }
    - { address: s1, name: c, durable: ioc-a-b, stream: S, subjects: [q] }
    - { address: s1, name: d, durable: ioc-a-b, stream: T, subjects: ['x.>'] }
    - { address: s9, name: e, durable: ioc-a-b, stream: S, subjects: ['x.>'] }
";
    expect![[r#"
        ioc.yaml:5:7 brokers.mqtt: `hills` and `hills-urgent` would both be `ioc-hills-urgent` at one broker, and each would drop what is for the other; write another `client_id`, or name one of them otherwise
        ioc.yaml:6:7 brokers.mqtt: `hills` and `hills-2` would both be `ioc-hills-2` at one broker, and each would drop what is for the other; write another `client_id`, or name one of them otherwise
        ioc.yaml:8:7 brokers.mqtt: `x` and `y` would both be `gate-feedback` at one broker, and each would drop what is for the other; write another `client_id`, or name one of them otherwise
        ioc.yaml:9:7 brokers.mqtt: `x` and `z` would both be `gate-commands` at one broker, and each would drop what is for the other; write another `client_id`, or name one of them otherwise
        ioc.yaml:13:7 brokers.nats: `a.b` and `a-b` would read a subject of one stream by one consumer, `ioc-a-b`; write another `durable`, or name one of them otherwise"#]].assert_eq(&load(file, &[]).unwrap_err());
}

#[test]
fn one_consumer_of_two_users_is_doubted_for_they_may_have_streams_of_their_own() {
    let file = "
brokers:
  nats:
    - { address: s, name: a, durable: d, stream: S, subjects: [x], user: ann, password_file: here }
    - { address: s, name: b, durable: d, stream: S, subjects: [x], user: bob, password_file: here }
";
    expect![[r#"
        ioc.yaml:5:7 brokers.nats: `a` and `b` would read a subject of one stream by one consumer, `d`; write another `durable`, or name one of them otherwise; unless their users have streams of their own"#]].assert_eq(&doubts(file));
}

#[test]
fn brokers_come_from_the_environment_as_addresses() {
    let env = [("IOC_BROKERS_MQTT", "mqtt://a.example:1884, [::1]:1885")];
    let brokers = load("", &env).unwrap();
    let names = brokers.mqtt.iter().map(|broker| &*broker.options.name);
    assert_eq!(names.collect::<Vec<_>>(), ["a.example", "--1"]);
    assert_eq!(load("", &[]).unwrap(), Brokers::default());
}

#[test]
fn a_whole_broker_is_read() {
    let file = "
brokers:
  mqtt:
    - address: b:1
      name: hills
      user: ann
      password_file: ../secrets/hills
      topics: [a/#, b/+]
      urgent_topics: [alarm]
      share: ioc
      connections: 3
";
    let brokers = load(file, &[]).unwrap();
    let Broker { options, user } = &brokers.mqtt[0];
    assert_eq!(options.client_id, "ioc-hills");
    assert_eq!(options.topics, ["a/#", "b/+"]);
    assert_eq!(brokers.connections(), 4);
    let file = user.as_ref().unwrap().password_file.as_ref().unwrap();
    assert!(file.ends_with("../secrets/hills"));
}

#[test]
fn every_mistake_in_a_broker_is_told() {
    let file = "
brokers:
  mqtt:
    - { address: mqtts://a, topcs: [x] }
    - { address: b, version: 3.1.1, share: g }
    - { address: b, connections: 2, password_file: p }
    - { address: c, topics: [a/#/b] }
    - { address: d, topics: [], keep_alive_s: 0 }
    - { name: a/b }
";
    expect![[r#"
        ioc.yaml:4:5 brokers.mqtt: two brokers are called `b`; give one another `name`
        ioc.yaml:4:29 brokers.mqtt.topcs: unknown key; did you mean `topics`?
        ioc.yaml:5:44 brokers.mqtt.share: MQTT 3.1.1 has no shared subscriptions; write `version: 5`
        ioc.yaml:6:34 brokers.mqtt.connections: each connection would get every message; write also `share: GROUP`
        ioc.yaml:6:52 brokers.mqtt.password_file: a password without a `user`
        ioc.yaml:7:30 brokers.mqtt.topics: `a/#/b` is not a topic filter, such as `city/water/#`; for a shared one write `share: GROUP`
        ioc.yaml:8:7 brokers.mqtt: there is neither a topic nor an urgent one, nor are commands sent
        ioc.yaml:8:47 brokers.mqtt.keep_alive_s: `0` is not a whole number from 1 to 3600
        ioc.yaml:9:7 brokers.mqtt: `address` is missing; write for example `address: broker.city.example:1883`
        ioc.yaml:9:15 brokers.mqtt.name: `a/b` is not a name of at most 64 letters, digits, `.`, `_` and `-`"#]]
    .assert_eq(&load(file, &[]).unwrap_err());
}

/// What is allowed, and probably not meant.
fn doubts(file: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ioc.yaml"), file).unwrap();
    std::fs::write(dir.path().join("here"), "s3cret").unwrap();
    let shown = format!("{}/", dir.path().display());
    let settings = Settings::load(Some(dir.path()), std::iter::empty()).unwrap();
    settings.doubts.to_string().replace(&shown, "")
}

#[test]
fn files_that_are_not_there_and_filters_of_the_other_protocol_are_doubted() {
    let file = "
http: { keys_file: keys }
mqtt: { users_file: here }
brokers:
  mqtt:
    - { address: a, user: ann, topics: [city/water/#, city.water.north, 'a/>', v1.2/x, b/*] }
    - { address: b, user: ann, password_file: here, tls: { ca_file: ca.pem } }
  nats:
    - { address: c, user: ann, subjects: [city.water.>, city/water, city.+, 'a.#'] }
    - { address: d, credentials_file: me.creds, stream: S }
";
    expect![[r#"
        ioc.yaml:2:20 http.keys_file: there is no file keys; `ioc run` does not start without it
        ioc.yaml:6:27 brokers.mqtt.user: a user without a `password_file`
        ioc.yaml:6:55 brokers.mqtt.topics: `city.water.north`: `.` separates the tokens of a NATS subject; levels of a topic are separated by `/`
        ioc.yaml:6:73 brokers.mqtt.topics: `a/>`: `*` and `>` are wildcards of NATS; those of a topic are `+` and `#`
        ioc.yaml:6:88 brokers.mqtt.topics: `b/*`: `*` and `>` are wildcards of NATS; those of a topic are `+` and `#`
        ioc.yaml:7:69 brokers.mqtt.tls.ca_file: there is no file ca.pem; `ioc run` does not start without it
        ioc.yaml:9:27 brokers.nats.user: a user without a `password_file`
        ioc.yaml:9:57 brokers.nats.subjects: `city/water`: `/` separates the levels of an MQTT topic; tokens of a subject are separated by `.`
        ioc.yaml:9:69 brokers.nats.subjects: `city.+`: `+` and `#` are wildcards of MQTT; those of a subject are `*` and `>`
        ioc.yaml:9:77 brokers.nats.subjects: `a.#`: `+` and `#` are wildcards of MQTT; those of a subject are `*` and `>`
        ioc.yaml:10:39 brokers.nats.credentials_file: there is no file me.creds; `ioc run` does not start without it"#]]
    .assert_eq(&doubts(file));
    assert_eq!(doubts("brokers: { mqtt: [a], nats: [b] }\n"), "");
}

#[test]
fn all_mistakes_of_one_broker_are_told_at_once() {
    let file = "
brokers:
  mqtt:
    - { address: a, version: 4, topics: [a#], share: a/b, inflight_max: 0, keep_alive_s: 0, sesion_s: 1 }
  nats:
    - { address: b, subjects: [a..b], stream: a.b, durable: c.d, inflight_max: 0, ack_wait_s: 0, quue: x }
";
    let told = load(file, &[]).unwrap_err();
    for key in [
        "mqtt.version",
        "mqtt.topics",
        "mqtt.share",
        "mqtt.inflight_max",
        "mqtt.keep_alive_s",
        "mqtt.sesion_s",
        "nats.subjects",
        "nats.stream",
        "nats.durable",
        "nats.inflight_max",
        "nats.ack_wait_s",
        "nats.quue",
    ] {
        assert!(told.contains(&format!("brokers.{key}: ")), "{key}: {told}");
    }
    assert_eq!(told.lines().count(), 12, "{told}");
}

#[test]
fn a_broker_may_be_there_for_commands_alone() {
    let with = |topics: &str| {
        let file = format!("brokers: {{ mqtt: [{{ address: b, commands: yes, {topics} }}] }}\n");
        load(&file, &[]).unwrap().connections()
    };
    assert_eq!(
        with("topics: []"),
        2,
        "one to send, one to hear what comes of it"
    );
    assert_eq!(with("urgent_topics: [a]"), 4);
    assert_eq!(
        with("topics: [ioc/v1/feedback/#]"),
        2,
        "it is heard already"
    );
}

#[test]
fn p5_brokers_and_topics_have_a_bound() {
    let brokers = |count: usize| -> String {
        let items: Vec<_> = (0..count).map(|n| format!("b{n}")).collect();
        format!("brokers: {{ mqtt: [{}] }}\n", items.join(", "))
    };
    assert_eq!(
        load(&brokers(BROKERS_MAX), &[]).unwrap().mqtt.len(),
        BROKERS_MAX
    );
    assert!(
        load(&brokers(BROKERS_MAX + 1), &[])
            .unwrap_err()
            .contains("too many")
    );
    let cluster = |count: usize| -> String {
        let servers: Vec<_> = (0..count).map(|n| format!("s{n}")).collect();
        let servers = servers.join(", ");
        format!("brokers: {{ nats: [{{ address: [{servers}] }}] }}\n")
    };
    assert!(load(&cluster(ADDRESSES_MAX), &[]).is_ok());
    assert!(
        load(&cluster(ADDRESSES_MAX + 1), &[])
            .unwrap_err()
            .contains("too many")
    );
    let topics = |count: usize| -> String {
        let items: Vec<_> = (0..count).map(|n| format!("t{n}")).collect();
        format!(
            "brokers: {{ mqtt: [{{ address: b, topics: [{}] }}] }}\n",
            items.join(", ")
        )
    };
    assert!(load(&topics(TOPICS_MAX), &[]).is_ok());
    assert!(
        load(&topics(TOPICS_MAX + 1), &[])
            .unwrap_err()
            .contains("too many")
    );
    let long = format!(
        "brokers: {{ mqtt: [{{ address: b, user: {} }}] }}\n",
        "x".repeat(1025)
    );
    assert!(
        load(&long, &[])
            .unwrap_err()
            .contains("is not a user's name")
    );
}
