//! What was decided live is what is decided offline, and what the commands print and exit with.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::{Site, high_water, ioc, json_lines, river_city, wait_for};

/// A flashy stream in 5-minute steps: up, a dip shorter than its rule's hour, up again, and a
/// second storm a week later.
fn recorded_stream() -> String {
    let begin = ioc_core::time::Timestamp::parse(b"2018-06-03T16:00:00Z").unwrap();
    let storm = |at: i64| match at {
        30..52 | 63..96 => 3.6,
        52..63 => 2.2,
        2100..2122 => 4.4,
        _ => 1.0,
    };
    let line = |step: i64| {
        let at = begin + ioc_core::time::Millis::minutes(5 * step);
        let received = at + ioc_core::time::Millis::seconds(20);
        format!(
            "{{\"id\":\"r{step}\",\"sensor\":\"wl-1\",\"kind\":\"water_level\",\
             \"observed_at\":\"{at}\",\"value\":{},\"unit\":\"m\",\"received_at\":\"{received}\"}}\n",
            storm(step)
        )
    };
    (0..2300).map(line).collect()
}

/// The decisions about incidents, without what may differ: their numbers, the records' numbers.
pub fn incidents(decisions: &[Value]) -> Vec<Value> {
    let of_incident = decisions
        .iter()
        .filter(|decision| decision["incident"].is_object());
    let strip = |decision: &Value| {
        let mut decision = decision.clone();
        decision.as_object_mut().unwrap().remove("seq");
        let cause = decision["cause"].as_object_mut().unwrap();
        cause.remove("seqs");
        for evidence in cause
            .get_mut("evidence")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            evidence.as_object_mut().unwrap().remove("seq");
        }
        decision
    };
    of_incident.map(strip).collect()
}

#[test]
fn p2_recorded_data_gives_the_same_incidents_live_offline_and_from_the_journal() {
    let site = Site::new(&river_city());
    let file = site.dir.path().join("readings.jsonl");
    fs::write(&file, recorded_stream()).unwrap();
    let (file, city) = (file.to_str().unwrap(), site.args[1].clone());

    let server = site.start();
    let to = format!("mqtt://{}", server.mqtt);
    let sent = ioc(&["send", file, "--to", &to, "--fast", "--connections", "1"]);
    assert!(
        sent.status.success(),
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    wait_for("the second storm's incident", || {
        (server.incidents().len() == 2).then_some(())
    });
    assert!(server.stop().success());

    let dump = ioc(&["journal", "dump", site.data().to_str().unwrap()]);
    assert!(dump.status.success());
    let live = incidents(&json_lines(&dump.stdout));
    let opened = live
        .iter()
        .filter(|decision| decision["type"] == "incident_opened")
        .count();
    assert_eq!(
        opened, 2,
        "one for each storm: the dip is shorter than the rule's hour"
    );

    for shards in ["1", "2", "7"] {
        let offline = ioc(&["backtest", "--city", &city, "--shards", shards, file]);
        assert_eq!(
            incidents(&json_lines(&offline.stdout)),
            live,
            "{shards} shards"
        );
    }
    let journal = site.data();
    let again = ioc(&["backtest", "--city", &city, journal.to_str().unwrap()]);
    assert_eq!(
        incidents(&json_lines(&again.stdout)),
        live,
        "from the journal"
    );
}

#[test]
fn a_clean_journal_verifies_and_a_damaged_one_is_refused_with_its_place() {
    let site = Site::new(&river_city());
    for _ in 0..2 {
        assert!(site.start().stop().success());
    }
    let data = site.data();
    let verified = ioc(&["journal", "verify", data.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&verified.stdout);
    assert!(
        verified.status.success() && told.contains("both logs are whole"),
        "{told}"
    );

    let mut segments: BTreeMap<_, _> = BTreeMap::new();
    for entry in fs::read_dir(data.join("inputs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            segments.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    let (path, mut bytes) = segments.pop_first().unwrap();
    bytes[200] ^= 1;
    fs::write(&path, bytes).unwrap();
    let verified = ioc(&["journal", "verify", data.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(65));
    // A snapshot stands for what is damaged; without it a start depends on it.
    assert!(site.start().stop().success());
    fs::remove_dir_all(data.join("snapshots")).unwrap();
    let refused = site.command().output().unwrap();
    assert_eq!(refused.status.code(), Some(65));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("damaged journal") && told.contains("byte 0"),
        "{told}"
    );
}

#[test]
fn one_directory_serves_one_process() {
    let site = Site::new(&river_city());
    let _server = site.start();
    let second = site.command().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another ioc uses"));
}

#[test]
fn bad_usage_and_bad_settings_exit_with_64_before_anything_is_bound() {
    assert_eq!(ioc(&["run", "--clock", "sundial"]).status.code(), Some(64));
    assert_eq!(ioc(&["check", "no-such-directory"]).status.code(), Some(64));
    let site = Site::new("{\"type\":\"FeatureCollection\",\"features\":[{}]}");
    let refused = site.command().output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
    assert!(refused.stdout.is_empty(), "nothing was bound");
    let site = Site::new(&river_city());
    let beyond = site
        .command()
        .env("IOC_MQTT_LISTEN", "0.0.0.0:0")
        .output()
        .unwrap();
    assert_eq!(
        beyond.status.code(),
        Some(64),
        "P8: loopback unless secured"
    );
}

#[test]
fn broken_rules_do_not_stop_a_city_that_had_good_ones() {
    let site = Site::new(&river_city());
    assert!(site.start().stop().success());
    fs::write(&site.args[1], "not GeoJSON").unwrap();
    let server = site.start();
    assert_eq!(server.get("/readyz").status, 200);
    assert!(
        server.get("/api/v1/city").body.contains("wl-1"),
        "the last accepted city"
    );
}

#[test]
fn the_shipped_configuration_is_printed_and_has_no_mistakes() {
    let printed = ioc(&["config"]);
    assert!(String::from_utf8_lossy(&printed.stdout).contains("127.0.0.1:8080"));
    let checked = ioc(&["check", concat!(env!("CARGO_MANIFEST_DIR"), "/config")]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}

/// Rules that call a flood something else, and ask for less.
const OTHER_RULES: &str = "\
detections:
  high: { kind: water_level, above: { moderate: 3.0 m, severe: 3.8 m }, clear: below 2.9 m }
correlations:
  deluge: { incident: deluge, from: [high], sources: 1, within: 2 km, within_time: 1 h, clear_after: 10 min }
";

#[test]
fn what_a_person_ordered_is_addressed_to_what_other_rules_made_of_the_same_readings() {
    let site = Site::new(&river_city());
    let server = site.start();
    server.post_readings(&high_water());
    let incident = wait_for("an incident", || server.incidents().first().cloned());
    let id = incident["id"].as_str().unwrap();
    let bearer = format!("Bearer {}", site.token());
    let headers = [("authorization", &*bearer)];
    let path = format!("/api/v1/incidents/{id}/acknowledge");
    assert_eq!(server.post(&path, &headers, "").status, 200);
    assert!(server.stop().success());

    let rules = site.dir.path().join("other");
    fs::create_dir_all(rules.join("rules")).unwrap();
    fs::write(rules.join("rules/deluge.yaml"), OTHER_RULES).unwrap();
    let (rules, city, data) = (rules.to_str().unwrap(), site.args[1].clone(), site.data());
    let data = data.to_str().unwrap();
    let other = ioc(&["backtest", "--config", rules, "--city", &city, data]);
    let decisions = incidents(&json_lines(&other.stdout));
    let acknowledged = decisions
        .iter()
        .find(|decision| decision["type"] == "incident_acknowledged");
    let acknowledged = acknowledged.expect("the order found what stands for its incident");
    assert_eq!(acknowledged["incident"]["kind"], "deluge");
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(told.contains("1 addressed to others"), "{told}");

    let against = ["backtest", "--city", &city, "--against", rules, data];
    let told = ioc(&against);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{text}");
    assert!(
        text.contains("opened earlier (1)") && text.contains("5 min earlier"),
        "{text}"
    );
    assert!(
        told.stderr.is_empty() || !text.contains('\u{1b}'),
        "no bar where nobody looks"
    );
    let json = ioc(&[&against[..], &["--json"]].concat());
    let json = &json_lines(&json.stdout)[0];
    assert_eq!(json["changed"][0]["after"]["kind"], "deluge");
    assert_eq!(json["changed"][0]["later_ms"], -300_000);
    assert_eq!(json["after"]["commands_remapped"], 1);
    assert_eq!(json["before"]["commands_remapped"], 0);
}

#[test]
fn ioc_test_exits_by_what_came_of_the_scenarios() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let held = ioc(&["test", shipped]);
    let told = String::from_utf8_lossy(&held.stdout).into_owned();
    assert!(
        held.status.success() && told.contains(" held, in "),
        "{told}"
    );
    assert_eq!(
        ioc(&["test", shipped, "--only", "no such"]).status.code(),
        Some(64)
    );

    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("scenarios")).unwrap();
    write("city.geojson", &river_city());
    let dir_text = dir.path().to_str().unwrap();
    write(
        "scenarios/a.txt",
        "scenario One\n  at 10:00 wl-1 9 m\n  expect flood opened\n",
    );
    let failed = ioc(&["test", dir_text]);
    assert_eq!(failed.status.code(), Some(1));
    let told = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(
        told.contains("FAILED") && told.contains("no flood opened"),
        "{told}"
    );
    write("scenarios/a.txt", "scenario One\n  at 10:00 wl-1 9 m\n");
    assert_eq!(ioc(&["test", dir_text]).status.code(), Some(64));
}
