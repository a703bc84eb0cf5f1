//! What people order, who may, and that it happens once.

use serde_json::{Value, json};

use crate::stream::Stream;
use crate::support::{Server, Site, high_water, level, river_city};

async fn open_incident(server: &Server, stream: &mut Stream) -> String {
    server.post_readings(&high_water());
    let opened = stream.decision("incident_opened").await;
    opened["incident"]["id"].as_str().unwrap().to_owned()
}

fn acknowledge(request: &str, incident: &str) -> Value {
    json!({
        "type": "command", "request_id": request, "action": "acknowledge", "incident": incident,
    })
}

#[tokio::test]
async fn a_person_acknowledges_once_and_everybody_sees_it() {
    let site = Site::new(&river_city());
    let server = site.start();
    let mut stream = Stream::open(server.http, Some(&site.token()), None).await;
    let mut watcher = Stream::open(server.http, None, None).await;
    let incident = open_incident(&server, &mut stream).await;

    stream.send(&acknowledge("r-1", &incident)).await;
    let ok = stream.next_of("ok").await;
    assert_eq!(ok["request_id"], "r-1");
    let seen = watcher.decision("incident_acknowledged").await;
    assert_eq!(seen["incident"]["handling"], "acknowledged");
    assert_eq!(seen["cause"]["actor"], "console");

    stream.send(&acknowledge("r-1", &incident)).await;
    assert_eq!(
        stream.next_of("ok").await["request_id"],
        "r-1",
        "P3: the same request again"
    );
    stream.send(&acknowledge("r-2", &incident)).await;
    assert_eq!(
        stream.next_of("refused").await["code"],
        "already_acknowledged"
    );
    stream.send(&acknowledge("r-3", "inc-0000000000")).await;
    assert_eq!(stream.next_of("refused").await["code"], "unknown_incident");
}

#[tokio::test]
async fn commands_need_the_token_and_a_page_of_another_site_gets_nothing() {
    let site = Site::new(&river_city());
    let server = site.start();
    let mut stream = Stream::open(server.http, Some("a guess"), None).await;
    let incident = open_incident(&server, &mut stream).await;
    stream.send(&acknowledge("r-1", &incident)).await;
    assert_eq!(stream.next_of("refused").await["request_id"], "r-1");

    let path = format!("/api/v1/incidents/{incident}/acknowledge");
    assert_eq!(server.post(&path, &[], "").status, 401);
    let bearer = format!("Bearer {}", site.token());
    let evil = [
        ("authorization", &*bearer),
        ("origin", "http://evil.example"),
    ];
    assert_eq!(
        server.post(&path, &evil, "").status,
        403,
        "P8: another site's page"
    );
    let rebound = [("authorization", &*bearer), ("host", "evil.example")];
    assert_eq!(
        server.post(&path, &rebound, "").status,
        403,
        "P8: a rebound name"
    );
    assert_eq!(
        server
            .post(&path, &[("authorization", &*bearer)], "")
            .status,
        200
    );
    assert_eq!(server.incidents()[0]["handling"], "acknowledged");
}

#[tokio::test]
async fn p4_a_console_that_was_away_misses_nothing_across_a_crash() {
    let site = Site::new(&river_city());
    let server = site.start();
    let mut stream = Stream::open(server.http, None, None).await;
    open_incident(&server, &mut stream).await;
    let place = stream.place.clone();
    drop(stream);

    server.post_readings(&[
        level("c", "wl-1", "2026-03-14T06:50:00Z", 4.4),
        level("d", "wl-1", "2026-03-14T06:55:00Z", 4.4),
    ]);
    server.kill();
    let server = site.start();
    let mut stream = Stream::open(server.http, None, Some(&place)).await;
    let mut told = Vec::new();
    while told.last() != Some(&json!("d")) {
        for decision in stream.next_decisions().await {
            told.extend(decision["cause"]["events"].as_array().unwrap().clone());
        }
    }
    assert_eq!(told, ["c", "d"], "each reading is told once, in order");

    // A place of another journal is told so, not believed.
    let other = crate::stream::Place {
        epoch: "0".repeat(32),
        ..stream.place.clone()
    };
    let mut stranger = Stream::open(server.http, None, Some(&other)).await;
    assert_eq!(stranger.welcome["next"], "snapshot");
    assert_eq!(stranger.welcome["reason"], "epoch_changed");
    stranger.next_of("snapshot").await;
}
