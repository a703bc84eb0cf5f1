//! Who we are to a NATS server: each way to say it, on each of our connections to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use async_nats::ConnectOptions;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::brokers::City;
use crate::nats::{LINK, Nats};
use crate::proxy::Proxy;

/// How a way to sign in is asked for and taken.
struct Way {
    /// The server's settings,
    asks: String,
    /// what a client of the library says,
    sign_in: fn(ConnectOptions, &str) -> ConnectOptions,
    /// with this secret,
    secret: String,
    /// and our own keys, with the name of a file in which that secret stands for `FILE`.
    keys: &'static str,
}

/// A token that says who somebody is ("NATS JWT", version 2).
fn jwt(issuer: &KeyPair, subject: &KeyPair, mut says: Value) -> String {
    says["version"] = json!(2);
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({
        "jti": subject.public_key(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "name": "city", "sub": subject.public_key(), "nats": says,
    });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = issuer
        .sign(format!("{header}.{claims}").as_bytes())
        .unwrap();
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signed))
}

/// A server of an operator with one account, and the credentials of a user of it as `nsc` writes them.
fn with_accounts() -> Way {
    let operator = KeyPair::new_operator();
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let of_operator = jwt(&operator, &operator, json!({"type": "operator"}));
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = jwt(
        &operator,
        &account,
        json!({"type": "account", "limits": limits}),
    );
    let limits = json!({"type": "user", "subs": -1, "data": -1, "payload": -1});
    let of_user = jwt(&account, &user, limits);
    let system = KeyPair::new_account();
    let of_system = jwt(&operator, &system, json!({"type": "account"}));
    Way {
        asks: format!(
            "operator: {of_operator}\nresolver: MEMORY\nsystem_account: {1}\n\
             resolver_preload: {{ {0}: {of_account}, {1}: {of_system} }}\n",
            account.public_key(),
            system.public_key()
        ),
        sign_in: |options, credentials| options.credentials(credentials).unwrap(),
        secret: format!(
            "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             NKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed().unwrap()
        ),
        keys: "credentials_file: FILE",
    }
}

#[test]
fn p1_p3_p8_a_stream_is_read_by_whoever_the_server_asks_for() {
    let secret = || "s3cret \" \\ \u{fc}".to_owned();
    let quoted = json!(secret());
    let ways = [
        Way {
            asks: format!("authorization: {{ user: city, password: {quoted} }}\n"),
            sign_in: |options, secret| options.user_and_password("city".into(), secret.into()),
            secret: secret(),
            keys: "user: city, password_file: FILE",
        },
        Way {
            asks: format!("authorization: {{ token: {quoted} }}\n"),
            sign_in: |options, secret| options.token(secret.into()),
            secret: secret(),
            keys: "token_file: FILE",
        },
        with_accounts(),
    ];
    let dir = tempfile::tempdir().unwrap();
    for way in ways {
        let server = Nats::asking(way.asks, way.sign_in, &way.secret);
        server.make_stream("READINGS", "ioc.v1.readings.>");
        let file = dir.path().join("secret");
        fs::write(&file, &way.secret).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        let keys = way.keys.replace("FILE", &file.display().to_string());
        let keys = format!("stream: READINGS, ack_wait_s: 1, inflight_max: 100, {keys}");
        let proxy = Proxy::new(server.address);
        let mut city = City::new("nats", proxy.address, &keys);
        city.wait_for_link(LINK, "up");
        server.publish(&mut city);
        proxy.cut();
        server.publish(&mut city);
        city.check();
    }
}
