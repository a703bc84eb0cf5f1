//! Rules beside the live ones: judged by, told nobody, compared.

use std::fs;

use serde_json::Value;

use crate::reload::{Place, rules};
use crate::support::{Server, ioc, level, wait_for};

/// What the shadow says, once it has come to the last record.
fn shadow(server: &Server, is_there: impl Fn(&Value) -> bool) -> Value {
    wait_for("the shadow to have come so far", || {
        let seen = server.get_json("/api/v1/shadow");
        assert_eq!(seen["ended"], Value::Null, "{seen}");
        is_there(&seen).then_some(seen)
    })
}

/// What the difference comes to in numbers, of incidents, alarms and calls.
fn counted(seen: &Value) -> Vec<Value> {
    let sides = ["before", "after"].map(|side| &seen[side]);
    let names = [
        "readings",
        "alarms",
        "incidents",
        "operator_calls",
        "operator_calls_in_10_min_max",
    ];
    let numbers = names.iter().flat_map(|name| sides.map(|side| &side[name]));
    let lists = ["opened", "gone", "changed", "alarms", "same"].map(|list| &seen[list]);
    numbers.chain(lists).cloned().collect()
}

/// What `ioc backtest --against` says of the same readings and rules.
fn backtest(place: &Place) -> Value {
    let dir = place.site.dir.path();
    let other = dir.join("other");
    fs::create_dir_all(other.join("rules")).unwrap();
    fs::write(other.join("rules/flood.yaml"), rules("4 m")).unwrap();
    let [now, other] = [dir.join("config"), other].map(|it| it.display().to_string());
    let city = place.site.args.iter().position(|arg| arg == "--city");
    let city = &place.site.args[city.unwrap() + 1];
    let data = place.site.data().display().to_string();
    let told = ioc(&[
        "backtest",
        "--city",
        city,
        "--config",
        &now,
        "--against",
        &other,
        "--json",
        &data,
    ]);
    let text = String::from_utf8_lossy(&told.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{told:?}"))
}

fn count(seen: &Value, list: &str) -> usize {
    seen[list].as_array().unwrap().len()
}

#[test]
fn a_shadow_judges_by_other_rules_tells_nobody_and_is_compared() {
    let place = Place::new();
    let plain = place.site.start();
    assert_eq!(plain.get("/api/v1/shadow").status, 404);
    assert!(plain.stop().success());

    let dir = place.site.dir.path().join("config/shadow");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("flood.yaml"), rules("4 m")).unwrap();
    let server = place.site.start();
    server.post_readings(&[level("a", "wl-1", "2026-03-14T06:40:00Z", 5.0)]);
    let seen = shadow(&server, |seen| count(seen, "opened") == 1);
    assert_eq!(seen["opened"][0]["kind"], "flood");
    let alarms = ["before", "after"].map(|side| &seen[side]["alarms"]);
    assert_eq!(alarms, [0, 1], "{seen}");
    assert_eq!(seen["alarms"][0]["after"], 1, "{seen}");
    assert!(server.incidents().is_empty(), "nobody is told");

    // Both see the graver one, of another place; a person takes the live one, and so both.
    server.post_readings(&[level("b", "wl-1", "2026-03-14T06:41:00Z", 9.5)]);
    let incident = wait_for("a live incident", || server.incidents().first().cloned());
    let bearer = format!("Bearer {}", place.site.token());
    let path = format!(
        "/api/v1/incidents/{}/acknowledge",
        incident["id"].as_str().unwrap()
    );
    assert_eq!(
        server
            .post(&path, &[("authorization", &*bearer)], "")
            .status,
        200
    );
    let seen = shadow(&server, |seen| {
        count(seen, "changed") == 1 && seen["after"]["commands_remapped"] == 1
    });
    assert_eq!(count(&seen, "opened"), 0, "{seen}");
    assert!(seen["changed"][0]["later_ms"].as_i64() < Some(0), "{seen}");
    let told = ioc(&["shadow", "--server", &format!("http://{}", server.http)]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.status.success() && text.contains("opened earlier (1)"),
        "{text}"
    );
    // Nothing of it is in the logs: a start goes on from the live state.
    assert!(server.stop().success());
    let data = place.site.data();
    assert_eq!(counted(&seen), counted(&backtest(&place)), "{seen}");
    let verified = ioc(&["journal", "verify", data.to_str().unwrap()]);
    assert!(verified.status.success());
    let server = place.site.start();
    assert_eq!(server.incidents().len(), 1);

    // Rules with mistakes are no shadow, and no matter to the live ones.
    fs::write(dir.join("flood.yaml"), "detections: [").unwrap();
    assert!(server.stop().success());
    let server = place.site.start();
    assert_eq!(server.get("/api/v1/shadow").status, 404);
    assert_eq!(server.incidents().len(), 1);
    let config = place.site.dir.path().join("config");
    let checked = ioc(&["check", config.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.status.code() == Some(64) && text.contains("shadow/flood.yaml"),
        "{text}"
    );
}
