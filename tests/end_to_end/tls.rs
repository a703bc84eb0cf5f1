//! TLS to brokers elsewhere: what they say comes, and whom we do not trust is told nothing.

use std::fs;
use std::net::SocketAddr;

use crate::brokers::City;
use crate::certificates::{Authority, NOW, PAST, Signed};
use crate::mosquitto::{Mosquitto, free_port};
use crate::nats::Nats;
use crate::proxy::Proxy;
use crate::support::{Server, Site, river_city, wait_for};

/// The name that certificates of brokers are for.
const NAME: &str = "broker.test";

/// A listener of mosquitto that shows this certificate.
fn listener(address: SocketAddr, authority: &Authority, shows: &Signed, asks: bool) -> String {
    format!(
        "listener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate {asks}\n",
        address.port(),
        authority.file().display(),
        shows.certificate.display(),
        shows.key.display(),
    )
}

/// The keys of TLS, in YAML's flow style.
fn keys(authority: &Authority, own: Option<&Signed>, name: &str) -> String {
    let own = own.map_or_else(String::new, |own| {
        let (certificate, key) = (own.certificate.display(), own.key.display());
        format!("certificate_file: {certificate}, key_file: {key}, ")
    });
    let ca = authority.file();
    format!(
        "tls: {{ ca_file: {}, {own}server_name: {name} }}",
        ca.display()
    )
}

#[test]
fn p1_p3_mqtt_with_tls_loses_and_repeats_nothing() {
    let authority = Authority::new("ours");
    let secure = free_port();
    let shows = authority.sign(NAME, NOW);
    let broker = Mosquitto::with(&listener(secure, &authority, &shows, true));
    let own = authority.sign("ioc.test", NOW);
    for version in ["3.1.1", "5"] {
        let proxy = Proxy::new(secure);
        let tls = keys(&authority, Some(&own), NAME);
        let keys =
            format!("version: {version}, client_id: ioc-{version}, inflight_max: 100, {tls}");
        let mut city = City::new("mqtt", proxy.address, &keys);
        city.wait_for_link("mqtt city", "up");
        for _ in 0..3 {
            city.publish(broker.address);
            proxy.cut();
        }
        city.publish(broker.address);
        city.check();
    }
}

#[test]
fn p1_p3_jetstream_with_tls_loses_and_repeats_nothing() {
    let authority = Authority::new("ours");
    let (shows, own) = (authority.sign(NAME, NOW), authority.sign("ioc.test", NOW));
    let server = Nats::with_tls(&authority, &shows, &own);
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let proxy = Proxy::new(server.address);
    let tls = keys(&authority, Some(&own), NAME);
    let keys = format!("stream: READINGS, ack_wait_s: 1, inflight_max: 100, {tls}");
    let mut city = City::new("nats", proxy.address, &keys);
    city.wait_for_link("nats city ioc.v1.readings.>", "up");
    for _ in 0..3 {
        server.publish(&mut city);
        proxy.cut();
    }
    server.publish(&mut city);
    city.check();
}

/// A site with these brokers, each with its keys, named by their order.
fn site(mqtt: &[String], nats: &[String]) -> (Site, Server) {
    let mut site = Site::new(&river_city());
    let config = site.dir.path().join("config");
    fs::create_dir(&config).unwrap();
    let list = |brokers: &[String]| {
        let brokers = brokers.iter().enumerate();
        let brokers = brokers.map(|(n, keys)| format!("    - {{ name: n{n}, {keys} }}\n"));
        brokers.collect::<String>()
    };
    let settings = format!("brokers:\n  mqtt:\n{}  nats:\n{}", list(mqtt), list(nats));
    fs::write(config.join("ioc.yaml"), settings).unwrap();
    site.args
        .extend(["--config".into(), config.display().to_string()]);
    let server = site.start();
    (site, server)
}

fn wait_for_state(server: &Server, link: &str, says: &str) {
    wait_for_one_of(server, link, &[says]);
}

fn wait_for_one_of(server: &Server, link: &str, says: &[&str]) {
    wait_for(&format!("{link} to say one of {says:?}"), || {
        let ready = server.get("/readyz").body;
        let lines = ready.lines();
        let mut of_link = lines.filter_map(|line| line.strip_prefix(link)?.strip_prefix(": "));
        let said = |state: &str| says.iter().any(|says| state.contains(says));
        of_link.any(said).then_some(())
    });
}

#[test]
fn p8_an_mqtt_broker_whose_certificate_does_not_hold_is_told_nothing() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let ports = [(); 5].map(|()| free_port());
    let good = ours.sign(NAME, NOW);
    let broker = Mosquitto::with(
        &[
            listener(ports[0], &ours, &ours.sign(NAME, PAST), false),
            listener(ports[1], &theirs, &theirs.sign(NAME, NOW), false),
            listener(ports[2], &ours, &good, false),
            listener(ports[3], &ours, &good, true),
            listener(ports[4], &theirs, &good, true),
        ]
        .concat(),
    );
    let stranger = ours.sign("ioc.test", NOW);
    let at = |address: SocketAddr, keys: String| format!("address: '{address}', {keys}");
    let (_site, server) = site(
        &[
            at(ports[0], keys(&ours, None, NAME)),
            at(ports[1], keys(&ours, None, NAME)),
            at(ports[2], keys(&ours, None, "other.test")),
            at(ports[3], keys(&ours, None, NAME)),
            at(ports[4], keys(&ours, Some(&stranger), NAME)),
            at(broker.address, keys(&ours, None, NAME)),
            at(ports[2], "version: 5".to_owned()),
            at(ports[2], keys(&ours, None, NAME)),
        ],
        &[],
    );
    for (link, says) in [
        ("mqtt n0", "certificate expired at 2020-01-01"),
        (
            "mqtt n1",
            "name the file with that authority's certificate in `ca_file`",
        ),
        ("mqtt n2", "not for other.test, but for"),
        ("mqtt n3", "asks for a certificate of ours"),
        ("mqtt n4", "does not accept our certificate"),
        ("mqtt n5", "is it the port for TLS?"),
        ("mqtt n6", "it may want TLS"),
        ("mqtt n7", "up"),
    ] {
        wait_for_state(&server, link, says);
    }
}

#[test]
fn p8_a_nats_server_whose_certificate_does_not_hold_is_told_nothing() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("ours"));
    let own = ours.sign("ioc.test", NOW);
    let good = ours.sign(NAME, NOW);
    let servers = [
        Nats::with_tls(&ours, &ours.sign(NAME, PAST), &own),
        Nats::with_tls(
            &theirs,
            &theirs.sign(NAME, NOW),
            &theirs.sign("ioc.test", NOW),
        ),
        Nats::with_tls(&ours, &good, &own),
        Nats::start(),
    ];
    let at = |n: usize, keys: String| format!("address: '{}', {keys}", servers[n].address);
    let (_site, server) = site(
        &[],
        &[
            at(0, keys(&ours, Some(&own), NAME)),
            at(1, keys(&ours, Some(&own), NAME)),
            at(2, keys(&ours, Some(&own), "other.test")),
            at(2, keys(&ours, None, NAME)),
            at(3, keys(&ours, Some(&own), NAME)),
            at(2, keys(&ours, Some(&own), NAME)),
        ],
    );
    for (number, says) in [
        (0, "certificate expired at 2020-01-01"),
        (1, "another authority of the same name"),
        (2, "not for other.test, but for"),
        (4, "does not speak TLS"),
        (5, "up"),
    ] {
        let link = format!("nats n{number} ioc.v1.readings.>");
        wait_for_state(&server, &link, says);
    }
    // By the word of TLS that its server has for it: newer ones have a better one.
    let lacks = [
        "our certificate, or that we have none",
        "asks for a certificate of ours",
    ];
    wait_for_one_of(&server, "nats n3 ioc.v1.readings.>", &lacks);
}

#[test]
fn files_of_tls_are_read_for_each_connection_and_checked_at_the_start() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let secure = free_port();
    let shows = ours.sign(NAME, NOW);
    let _broker = Mosquitto::with(&listener(secure, &ours, &shows, false));
    let trusted = theirs.file();
    let keys = format!("address: '{secure}', {}", keys(&theirs, None, NAME));
    let (site, server) = site(&[keys], &[]);
    wait_for_state(&server, "mqtt n0", "not trusted");
    fs::copy(ours.file(), &trusted).unwrap();
    wait_for_state(&server, "mqtt n0", "up");
    assert!(server.stop().success());

    fs::write(&trusted, "no certificate").unwrap();
    let refused = site.command().output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("ca.pem: there is no certificate in it"),
        "{told}"
    );
}
