//! TLS to brokers elsewhere: what they say comes, and whom we do not trust is told nothing.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::ConnectOptions;

use crate::brokers::City;
use crate::certificates::{Authority, NOW, PAST, Signed};
use crate::devices;
use crate::listener::Killed;
use crate::mosquitto::{Mosquitto, free_port};
use crate::nats::Nats;
use crate::proxy::Proxy;
use crate::support::{IOC, Server, Site, high_water, ioc, river_city, tool, wait_for};

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

#[test]
fn p1_p3_a_stream_of_a_server_that_waits_for_tls_first_is_read() {
    if !Nats::is_at_least(2, 10) {
        return; // It does not know the word.
    }
    let authority = Authority::new("ours");
    let shows = authority.sign(NAME, NOW);
    let (ca, tls) = (authority.file(), keys(&authority, None, NAME));
    let config = format!(
        "tls: {{ cert_file: '{}', key_file: '{}', handshake_first: true }}\n",
        shows.certificate.display(),
        shows.key.display(),
    );
    let trusts = |options: ConnectOptions, ca: &str| {
        let options = options.add_root_certificates(ca.into());
        options.require_tls(true).tls_first()
    };
    let server = Nats::asking(config, trusts, ca.to_str().unwrap());
    server.make_stream("READINGS", "ioc.v1.readings.>");
    let proxy = Proxy::new(server.address);
    let keys = format!("stream: READINGS, ack_wait_s: 1, {tls}, handshake_first: yes");
    let mut city = City::new("nats", proxy.address, &keys);
    city.wait_for_link("nats city ioc.v1.readings.>", "up");
    server.publish(&mut city);
    proxy.cut();
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

/// What a command prints that ends well.
fn done(args: &[&str]) -> String {
    let output = ioc(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

/// What a command prints that does not.
fn refused(args: &[&str]) -> String {
    let output = ioc(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?}: {said}");
    said
}

#[test]
fn p8_what_publishes_speaks_tls_and_tells_nobody_else_anything() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (shows, own) = (ours.sign(NAME, NOW), ours.sign("ioc.test", NOW));
    let secure = free_port();
    let broker = Mosquitto::with(&listener(secure, &ours, &shows, true));
    let server = Nats::with_tls(&ours, &shows, &own);
    let recording = tempfile::NamedTempFile::new().unwrap();
    fs::write(recording.path(), high_water().join("\n")).unwrap();
    let file = recording.path().to_str().unwrap();
    let texts = |paths: [&Path; 3]| paths.map(|path| path.to_str().unwrap().to_owned());
    let authority = ours.file();
    let [ca, certificate, key] = texts([&authority, &own.certificate, &own.key]);
    let flags = [
        "--ca-file",
        &ca,
        "--certificate-file",
        &certificate,
        "--certificate-key-file",
        &key,
        "--server-name",
        NAME,
    ];
    let mqtts = format!("mqtts://{secure}");
    let tls = format!("tls://{}", server.address);
    let with = |args: &[&'static str], to: &str, flags: &[&str]| {
        let args = args.iter().copied().chain(["--to", to]);
        args.chain(flags.iter().copied())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let send = |to: &str, more: &[&str], flags: &[&str]| {
        let mut args = with(&["send", "--fast", "--timeout", "5s"], to, flags);
        args.extend(more.iter().map(|more| (*more).to_owned()));
        args.push(file.to_owned());
        args
    };
    let run = |args: &[String], does: fn(&[&str]) -> String| {
        does(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run(&with(&["streams"], &tls, &flags), done);
    let sent = run(&send(&mqtts, &[], &flags), done);
    assert!(sent.contains("2 acknowledged"), "{sent}");
    let sent = run(&send(&tls, &["--stream", "READINGS"], &flags), done);
    assert!(sent.contains("2 acknowledged"), "{sent}");
    for to in [&mqtts, &tls] {
        let simulate = ["simulate", "--count", "20", "--rate", "1000"];
        let mut args = with(&simulate, to, &flags);
        if to == &tls {
            args.extend(["--stream", "READINGS"].map(str::to_owned));
        }
        run(&args, done);
    }
    obeys_over_tls(&broker, &with(&["simulate"], &mqtts, &flags));
    // Whom we do not trust is told nothing, and what to do is.
    let strangers = theirs.file();
    let strangers = [
        "--ca-file",
        strangers.to_str().unwrap(),
        "--server-name",
        NAME,
    ];
    for to in [&mqtts, &tls] {
        let said = run(&send(to, &[], &strangers), refused);
        assert!(said.contains("an authority that is not trusted"), "{said}");
    }
    let said = run(&send(&format!("mqtt://{secure}"), &[], &flags), refused);
    assert!(said.contains("mqtts://"), "{said}");
    drop(broker);
}

/// The simulated actuators of a city obey what is published at the broker's other listener.
fn obeys_over_tls(broker: &Mosquitto, simulate: &[String]) {
    let city = tempfile::NamedTempFile::new().unwrap();
    let place = "\"geometry\":{\"type\":\"Point\",\"coordinates\":[101.6,3.1]}";
    let placed = devices::city().replace("\"geometry\":null", place);
    fs::write(city.path(), placed).unwrap();
    let mut command = Command::new(IOC);
    let command = command
        .args(simulate)
        .args(["--city", city.path().to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _simulated = Killed(command.spawn().unwrap());
    let port = broker.address.port().to_string();
    let at = ["-h", "127.0.0.1", "-p", &port, "-q", "1"];
    let mut hears = tool("mosquitto_sub");
    let hears = hears.args(at).args(["-t", "ioc/v1/feedback/gate:7"]);
    let hears = hears.args(["-C", "1", "-W", "60"]).stdout(Stdio::piped());
    let mut heard = Killed(hears.spawn().unwrap());
    let order = r#"{"key":"c-1","command":"close","not_after":"2126-03-14T07:04:22Z"}"#;
    wait_for("the actuator to obey", || {
        let mut says = tool("mosquitto_pub");
        let says = says.args(at).args(["-t", "ioc/v1/commands/gate:7"]);
        assert!(says.args(["-m", order]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(100));
        heard.0.try_wait().unwrap()
    });
    let mut said = String::new();
    let mut stdout = heard.0.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    assert!(said.contains("begins to close"), "{said}");
}

#[test]
fn a_broker_that_shows_the_certificate_of_an_authority_is_told_for_what_it_is() {
    let authority = Authority::new("ours");
    let secure = free_port();
    let broker = Mosquitto::with(&listener(secure, &authority, &authority.itself(), false));
    let keys = format!("address: '{secure}', {}", keys(&authority, None, NAME));
    let (_site, server) = site(&[keys], &[]);
    wait_for_state(
        &server,
        "mqtt n0",
        "the certificate of an authority as its own",
    );
    drop(broker);
}

#[test]
fn p8_a_nats_server_that_asks_for_a_token_and_for_tls_first_is_read() {
    let authority = Authority::new("ours");
    let shows = authority.sign(NAME, NOW);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (right, wrong) = (file("right", "s3cret\n"), file("wrong", "guess\n"));
    let plain = Nats::configured("authorization: { token: s3cret }\n".to_owned());
    // Versions before 2.10 do not know the word, and speak first themselves.
    let knows_it = Nats::is_at_least(2, 10);
    let speaks = if knows_it {
        ", handshake_first: true"
    } else {
        ""
    };
    let first = Nats::configured(format!(
        "tls: {{ cert_file: '{}', key_file: '{}', ca_file: '{}'{speaks} }}\n",
        shows.certificate.display(),
        shows.key.display(),
        authority.file().display(),
    ));
    let tls = keys(&authority, None, NAME);
    let (_site, server) = site(
        &[],
        &[
            format!("address: '{}', token_file: {right}", plain.address),
            format!("address: '{}', token_file: {wrong}", plain.address),
            format!("address: '{}', {tls}, handshake_first: yes", first.address),
            format!("address: '{}', {tls}", first.address),
        ],
    );
    let link = |number: usize| format!("nats n{number} ioc.v1.readings.>");
    wait_for_state(&server, &link(0), "up");
    wait_for_state(&server, &link(1), "authorization violation");
    match knows_it {
        true => {
            wait_for_state(&server, &link(2), "up");
            wait_for_state(&server, &link(3), "down");
        }
        false => {
            wait_for_state(&server, &link(2), "does not speak TLS");
            wait_for_state(&server, &link(3), "up");
        }
    }
}
