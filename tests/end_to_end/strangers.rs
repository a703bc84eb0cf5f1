//! P8: who comes from a web page or from another account of the machine reaches nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Output;

use crate::support::{DEADLINE, Response, Server, Site, high_water, request, river_city};

/// A way of each part of the port: the console, the stream, REST, the intake, health.
const WAYS: [(&str, &str); 17] = [
    ("GET", "/"),
    ("GET", "/console/main.js"),
    ("GET", "/api/v1/stream"),
    ("GET", "/mqtt"),
    ("GET", "/api/v1/incidents"),
    ("GET", "/api/v1/incidents/inc-0000000000"),
    ("POST", "/api/v1/incidents/inc-0000000000/acknowledge"),
    ("GET", "/api/v1/decisions"),
    ("GET", "/api/v1/sensors/silent"),
    ("GET", "/api/v1/city"),
    ("GET", "/api/v1/dead-letters"),
    ("POST", "/api/v1/readings"),
    ("POST", "/api/v1/messages/a/b"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("DELETE", "/nothing/at/all"),
];

/// What makes a request to the stream a handshake.
const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Asks as somebody who knows even the token, with these headers beside.
fn ask(server: &Server, token: &str, way: (&str, &str), with: &[(&str, &str)]) -> Response {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", &*bearer)];
    if matches!(way.1, "/api/v1/stream" | "/mqtt") {
        headers = HANDSHAKE.to_vec();
    }
    headers.extend(with);
    let body = high_water().join("\n");
    request(server.http, way.0, way.1, &headers, body.as_bytes())
}

#[test]
fn p8_a_rebound_name_or_a_foreign_page_gets_nothing_at_any_way() {
    let site = Site::new(&river_city());
    let server = site.start();
    let token = site.token();
    for way in WAYS {
        for host in ["evil.example", "127.0.0.1.evil.example", "192.168.1.7", ""] {
            let refused = ask(&server, &token, way, &[("host", host)]);
            assert_eq!(refused.status, 403, "{way:?} as {host:?}");
            assert!(refused.body.contains("host_not_ours"), "{way:?}");
        }
        for origin in ["http://evil.example", "null", "http://localhost:1"] {
            let refused = ask(&server, &token, way, &[("origin", origin)]);
            assert_eq!(refused.status, 403, "{way:?} from {origin}");
            assert!(refused.body.contains("origin_not_ours"), "{way:?}");
        }
    }
    assert!(server.incidents().is_empty());
    assert_eq!(server.get_json("/api/v1/dead-letters")["total"], 0);
    let own = format!("http://{}", server.http);
    let own = [
        ("origin", &*own),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-ndjson"),
    ];
    let taken = ask(&server, &token, ("POST", "/api/v1/readings"), &own);
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert_eq!(server.incidents().len(), 1);
}

#[test]
fn p8_a_form_of_another_page_posts_neither_readings_nor_orders() {
    let site = Site::new(&river_city());
    let server = site.start();
    let ways = [
        "/api/v1/readings",
        "/api/v1/incidents/inc-0000000000/acknowledge",
    ];
    let body = high_water().join("\n");
    for way in ways {
        let post = |headers: &[(&str, &str)]| server.post(way, headers, &body).status;
        for form in ["text/plain", "multipart/form-data; boundary=x"] {
            let form = ("content-type", form);
            assert_eq!(post(&[form, ("origin", "http://evil.example")]), 403);
            assert_eq!(post(&[form, ("origin", "null")]), 403);
            assert_eq!(post(&[form, ("sec-fetch-site", "cross-site")]), 403);
            assert_eq!(
                post(&[form]),
                415,
                "an old browser hides where it comes from"
            );
        }
    }
    let encoded = "%7B%22id%22%3A%22a%22=%7D";
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(server.post(ways[0], &form, encoded).status, 400);
    assert_eq!(server.post(ways[1], &form, encoded).status, 401);
    assert!(server.incidents().is_empty());
    assert_eq!(server.get_json("/api/v1/dead-letters")["total"], 0);
}

/// What a server says that does not start; it has bound nothing.
fn refused(site: &Site, env: &[(&str, &str)], code: i32) -> String {
    let output = site.command().envs(env.iter().copied()).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{env:?}: {said}");
    assert!(output.stdout.is_empty(), "{env:?}: something was bound");
    said
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn p8_a_listener_beyond_loopback_is_refused_at_start() {
    let mut site = Site::new(&river_city());
    for address in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0", "192.168.1.7:0"] {
        for variable in ["IOC_HTTP_LISTEN", "IOC_MQTT_LISTEN"] {
            let said = refused(&site, &[(variable, address)], 64);
            assert!(
                said.contains(variable) && said.contains("loopback"),
                "{said}"
            );
        }
    }
    let config = site.dir.path().join("config");
    fs::create_dir(&config).unwrap();
    let file = "http: { listen: 0.0.0.0:0 }\nmqtt: { listen: '[::]:0' }\n";
    fs::write(config.join("ioc.yaml"), file).unwrap();
    site.args
        .extend(["--config".into(), config.display().to_string()]);
    let unset = [("IOC_HTTP_LISTEN", ""), ("IOC_MQTT_LISTEN", "")];
    let said = refused(&site, &unset, 64);
    assert!(
        said.contains("http.listen") && said.contains("mqtt.listen"),
        "{said}"
    );
}

/// What the listener answers to a CONNECT of version 3.1.1: the code of its CONNACK.
fn connack(to: SocketAddr, credentials: Option<(&str, &str)>) -> u8 {
    let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let flags = if credentials.is_some() { 0xc2 } else { 0x02 };
    let mut body = [&text("MQTT")[..], &[4, flags, 0, 60], &text("c")].concat();
    if let Some((user, password)) = credentials {
        body.extend([text(user), text(password)].concat());
    }
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let connect = [&[0x10, body.len() as u8][..], &body].concat();
    stream.write_all(&connect).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..3], [0x20, 2, 0]);
    answer[3]
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn p8_with_users_everybody_is_asked_also_on_loopback() {
    let site = Site::new(&river_city());
    let users = site.dir.path().join("users");
    fs::write(&users, "ann:s3cret\n").unwrap();
    let env = [("IOC_MQTT_USERS_FILE", users.to_str().unwrap())];
    set_mode(&users, 0o644);
    let told = refused(&site, &env, 64);
    assert!(
        told.contains("chmod 600") && !told.contains("s3cret"),
        "{told}"
    );
    set_mode(&users, 0o600);
    let mut command = site.command();
    command.envs(env);
    let server = Server::start(command);
    assert_eq!(connack(server.mqtt, None), 5, "not authorised");
    assert_eq!(connack(server.mqtt, Some(("ann", "guess"))), 4);
    assert_eq!(connack(server.mqtt, Some(("bob", "s3cret"))), 4);
    assert_eq!(connack(server.mqtt, Some(("ann", "s3cret"))), 0);
}

#[test]
fn p8_another_account_can_neither_read_the_data_nor_forge_the_token() {
    let site = Site::new(&river_city());
    assert!(site.start().stop().success());
    let token = site.data().join("console.token");
    assert_eq!(mode(&site.data()), 0o700);
    assert_eq!(mode(&token), 0o600);

    let known = site.dir.path().join("known-to-others");
    fs::write(&known, "guess").unwrap();
    fs::remove_file(&token).unwrap();
    symlink(&known, &token).unwrap();
    let told = refused(&site, &[], 1);
    assert!(told.contains("console.token"), "{told}");
    fs::remove_file(&token).unwrap();

    set_mode(&site.data(), 0o777);
    let told = refused(&site, &[], 64);
    assert!(told.contains("chmod o-w"), "{told}");
}
