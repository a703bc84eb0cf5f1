//! Why something was decided and why not, asked of a server and of its data directory.

use serde_json::Value;

use crate::support::{Server, Site, ioc, json_lines, level, river_city, wait_for};

const RULES: &str = "\
detections:
  river-high: { kind: water_level, above: { moderate: 3 m, severe: 4 m }, clear: below 2.9 m, for: 2 readings }
correlations:
  flood: { incident: flood, from: { river-high: 3 }, opens_at: 3, within: 2 km, within_time: 1 h, clear_after: 10 min }
";

fn why(server: &Server, about: &str) -> Value {
    server.get_json(&format!("/api/v1/why/{about}"))
}

fn verdict(answer: &Value) -> &str {
    answer["verdict"].as_str().unwrap()
}

fn post(server: &Server, readings: &[String]) {
    assert_eq!(server.post_readings(readings).status, 200);
}

#[test]
fn alertmanager_4205_a_server_says_why_it_told_nothing_and_why_it_told_something() {
    let mut site = Site::new(&river_city());
    let rules = site.dir.path().join("config/rules");
    std::fs::create_dir_all(&rules).unwrap();
    std::fs::write(rules.join("flood.yaml"), RULES).unwrap();
    let config = rules.parent().unwrap().to_str().unwrap().to_owned();
    site.args.extend(["--config".to_owned(), config]);
    let server = site.start();
    let at = |minute: u32| format!("2026-03-14T06:{minute:02}:00Z");
    post(
        &server,
        &[
            level("low", "wl-1", &at(30), 1.0),
            level("a", "wl-1", &at(40), 3.4),
            level("a", "wl-1", &at(40), 3.4),
        ],
    );
    let low = why(&server, "wl-1/low");
    assert!(
        verdict(&low).contains("1 is 2 short of moderate, 3"),
        "{low}"
    );
    let first = why(&server, "a");
    assert!(
        verdict(&first).contains("asks for more: 1 of 2 readings in a row"),
        "{first}"
    );
    let seq = first["seq"].as_u64().unwrap();
    let second = why(&server, &format!("%23{}", seq + 1));
    assert_eq!(second["fate"], "duplicate");

    post(&server, &[level("b", "wl-1", &at(45), 3.5)]);
    let incident = wait_for("an incident", || server.incidents().first().cloned());
    let id = incident["id"].as_str().unwrap();
    let answer = why(&server, id);
    assert_eq!(answer["decisions"][0]["type"], "incident_opened");
    assert_eq!(answer["rule"]["name"], "flood");
    let opening = &answer["opening"]["correlations"][0];
    assert_eq!(opening["weight"], opening["weight_needed"]);
    assert_eq!(opening["members"][0]["sensor"], "wl-1");
    // Of the first it is known by now that it became evidence.
    assert!(verdict(&why(&server, "wl-1/a")).contains(&format!("evidence of {id}")));

    assert_eq!(server.get("/api/v1/why/nobody").status, 404);
    assert_eq!(server.get("/api/v1/why/inc-").status, 400);
    assert_eq!(server.get("/api/v1/why/%231").status, 400, "no reading");

    // The same beside the server, for people and for programs.
    let data = site.data();
    let data = data.to_str().unwrap();
    let asked = ioc(&["why", "wl-1/a", "--data", data, "--json"]);
    assert_eq!(json_lines(&asked.stdout)[0], why(&server, "wl-1/a"));
    let told = ioc(&["why", id, "--data", data]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for part in [
        "by flood, which opens at 3",
        "opened moderate",
        "wl-1 3.5 by",
        "weighs 3",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(
        ioc(&["why", "nobody", "--data", data]).status.code(),
        Some(64)
    );
    assert_eq!(ioc(&["why", "#", "--data", data]).status.code(), Some(64));
}

#[test]
fn why_goes_from_the_nearest_snapshot_and_from_the_beginning_for_what_came_before() {
    let site = Site::new(&river_city());
    let server = site.start();
    let quiet = |number: u32| {
        let at = format!("2026-03-14T{:02}:{:02}:00Z", number / 60, number % 60);
        level(
            &format!("q{number}"),
            "wl-2",
            &at,
            1.0 + f64::from(number % 7) / 10.0,
        )
    };
    let readings: Vec<_> = (0..600).map(quiet).collect();
    for some in readings.chunks(100) {
        post(&server, some);
    }
    let snapshots = site.data().join("snapshots");
    wait_for("a snapshot", || {
        let mut made = std::fs::read_dir(&snapshots).ok()?.flatten();
        made.any(|entry| entry.path().extension().is_some_and(|it| it == "snapshot"))
            .then_some(())
    });
    let late = wait_for("an answer from a snapshot", || {
        let late = why(&server, "wl-2/q599");
        (late["replayed"]["after_record"].as_u64() > Some(0)).then_some(late)
    });
    let early = why(&server, "wl-2/q3");
    assert_eq!(early["replayed"]["after_record"], 0);
    for answer in [&late, &early] {
        assert_eq!(answer["replayed"]["exact"], true);
        assert!(verdict(answer).starts_with("It is normal by"), "{answer}");
    }
    let rules = |answer: &Value| answer["rules"].as_array().unwrap().len();
    assert_eq!(rules(&late), rules(&early));
}
