//! Other rules without a restart: all or nothing, journaled, and all mistakes told.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Server, Site, ioc, level, river_city, wait_for};

/// A flood from one gauge beyond this level.
pub fn rules(level: &str) -> String {
    format!(
        "detections:\n  high: {{ kind: water_level, above: {{ minor: {level}, extreme: 9 m }}, clear: below 1 m }}\n\
         correlations:\n  floods: {{ incident: flood, from: [high], sources: 1, within: 2 km, \
         within_time: 1 h, clear_after: 10 min }}\n"
    )
}

pub struct Place {
    pub site: Site,
    file: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let mut site = Site::new(
            &river_city()
                .replace("\"warning\":3.0", "\"warning\":8.0")
                .replace("\"danger\":4.0", "\"danger\":8.5"),
        );
        let dir = site.dir.path().join("config");
        fs::create_dir_all(dir.join("rules")).unwrap();
        let file = dir.join("rules/flood.yaml");
        fs::write(&file, rules("7 m")).unwrap();
        site.args
            .extend(["--config".to_owned(), dir.to_str().unwrap().to_owned()]);
        Self { site, file }
    }

    fn reload(&self, server: &Server) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.site.token());
        let headers = [("authorization", &*bearer)];
        let answer = server.post("/api/v1/rules/reload", &headers, "");
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }
}

fn rules_changed(server: &Server) -> usize {
    let decisions = server.get_json("/api/v1/decisions?limit=1000");
    let decisions = decisions["decisions"].as_array().unwrap().clone();
    decisions
        .iter()
        .filter(|it| it["type"] == "rules_changed")
        .count()
}

/// Whether the server says that the rules on disk are refused, with their mistakes.
fn refused_for(server: &Server) -> Option<bool> {
    let rules = server.get_json("/api/v1/status")["rules"].clone();
    let told = rules.as_object()?.contains_key("refused_for_s");
    assert_eq!(
        told,
        rules["refused"]
            .as_str()
            .is_some_and(|it| it.contains("flood.yaml:"))
    );
    Some(told)
}

#[test]
fn other_rules_hold_without_a_restart_and_broken_ones_never_do() {
    let place = Place::new();
    let server = place.site.start();
    server.post_readings(&[level("a", "wl-1", "2026-03-14T06:40:00Z", 5.0)]);
    assert_eq!(
        server.post("/api/v1/rules/reload", &[], "").status,
        401,
        "P8"
    );
    let (status, same) = place.reload(&server);
    assert_eq!((status, &same["changed"]), (200, &Value::Bool(false)));
    assert_eq!(same["restart"], Value::Null, "{same}");

    // Settings are not of the rules: what only a restart brings is named.
    let settings = place.file.parent().unwrap().with_file_name("ioc.yaml");
    fs::write(&settings, "window:\n  sessions_max: 7\n").unwrap();
    let (_, same) = place.reload(&server);
    assert_eq!(same["restart_needed"][0], "window.sessions_max", "{same}");
    fs::remove_file(&settings).unwrap();

    // Two mistakes, both told with their places; what held goes on.
    fs::write(
        &place.file,
        rules("4 furlong").replace("sources: 1", "sources: 0"),
    )
    .unwrap();
    let (status, refused) = place.reload(&server);
    assert_eq!((status, refused["code"].as_str()), (400, Some("mistakes")));
    let mistakes = refused["mistakes"].as_array().unwrap();
    assert_eq!(mistakes.len(), 2, "{refused}");
    let lines: Vec<_> = mistakes
        .iter()
        .map(|it| it["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [2, 4], "{refused}");
    assert_eq!(refused_for(&server), Some(true), "a console says so");
    assert!(
        server
            .get("/readyz")
            .body
            .contains("rules: those on disk are refused")
    );
    assert_eq!(rules_changed(&server), 1, "the start's own");
    let data = place.site.data();
    let to = format!("http://{}", server.http);
    let command = ["reload", "--server", &to, "--data", data.to_str().unwrap()];
    let told = ioc(&command);
    assert_eq!(told.status.code(), Some(64));
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        text.contains("flood.yaml:2:") && text.contains("flood.yaml:4:"),
        "{text}"
    );

    fs::write(&place.file, rules("4 m")).unwrap();
    let (status, new) = place.reload(&server);
    assert_eq!(
        (status, &new["changed"]),
        (200, &Value::Bool(true)),
        "{new}"
    );
    assert_eq!(rules_changed(&server), 2);
    assert_eq!(refused_for(&server), Some(false));
    server.post_readings(&[level("b", "wl-1", "2026-03-14T06:41:00Z", 5.0)]);
    wait_for("an incident by the new level", || {
        server.incidents().first().cloned()
    });

    fs::write(&place.file, rules("3 m")).unwrap();
    let told = ioc(&command);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.status.success() && text.contains("in force as of decision"),
        "{text}"
    );
    assert_eq!(rules_changed(&server), 3);
    // After a crash the same, with the last accepted rules.
    server.kill();
    fs::write(&place.file, "detections: [").unwrap();
    let server = place.site.start();
    assert_eq!(rules_changed(&server), 3);
    assert_eq!(refused_for(&server), Some(true), "since the start");
    server.post_readings(&[level("c", "wl-2", "2026-03-14T08:00:00Z", 3.5)]);
    wait_for("an incident by the last accepted level", || {
        let incidents = server.incidents();
        incidents
            .iter()
            .any(|it| it["condition"] == "active")
            .then_some(())
    });
    assert!(server.stop().success());
    let verified = ioc(&["journal", "verify", data.to_str().unwrap()]);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
}

#[test]
fn a_hangup_has_a_service_read_its_rules_and_its_city_again() {
    let place = Place::new();
    let server = place.site.start();
    fs::write(&place.file, rules("4 m")).unwrap();
    let city = fs::read_to_string(&place.site.args[1]).unwrap();
    fs::write(&place.site.args[1], city.replace("wl-2", "wl-3")).unwrap();
    server.signal("HUP");
    wait_for("the new rules", || {
        (rules_changed(&server) == 2).then_some(())
    });
    wait_for("the new city", || {
        server
            .get("/api/v1/city")
            .body
            .contains("wl-3")
            .then_some(())
    });
    // The door knows the sensor by then: its feet become metres.
    let feet =
        r#"{"id":"f","sensor":"wl-3","observed_at":"2026-03-14T06:41:00Z","value":14,"unit":"ft"}"#;
    assert_eq!(server.post_readings(&[feet.to_owned()]).status, 200);
    wait_for("an incident", || server.incidents().first().cloned());
    assert!(server.stop().success());
}
