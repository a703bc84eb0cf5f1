//! Dead letters from end to end: a message is refused, the mapping is mended, and what it says is
//! judged after all, once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::publisher::Publisher;
use crate::support::{Server, Site, ioc, json_lines, river_city, wait_for};

/// Gauges whose level stands where the first mapping does not look.
const MESSAGE: &str = r#"{"at":"2026-03-14T06:45:10Z","gauges":[{"name":"wl-1","level":3.4},{"name":"wl-2","height":3.5}]}"#;

fn mappings(value: &str) -> String {
    format!(
        "mappings:
  hydro:
    topic: hydro/+
    each: /gauges
    observed_at: message /at
    sensor: /name
    readings: [{{ kind: water_level, value: {value}, unit: m }}]
"
    )
}

struct City {
    site: Site,
    server: Option<Server>,
}

impl City {
    fn new() -> Self {
        let mut site = Site::new(&river_city());
        let config = site.dir.path().join("config");
        std::fs::create_dir(&config).unwrap();
        let args = ["--config".to_owned(), config.display().to_string()];
        site.args.extend(args);
        Self { site, server: None }
    }

    /// Starts with this value in the mapping, or starts again.
    fn start(&mut self, value: &str) {
        self.start_with(&mappings(value));
    }

    /// The same with these mappings.
    fn start_with(&mut self, mappings: &str) {
        if let Some(server) = self.server.take() {
            assert!(server.stop().success());
        }
        let path = self.site.dir.path().join("config/mappings.yaml");
        std::fs::write(path, mappings).unwrap();
        self.server = Some(self.site.start());
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    /// `ioc dead-letters` with these arguments: its exit, and what it prints.
    fn letters(&self, args: &[&str]) -> (bool, String) {
        let server = format!("http://{}", self.server().http);
        let data = self.site.data().display().to_string();
        let mut all = vec!["dead-letters"];
        all.extend(args);
        all.extend(["--server", &server]);
        if args.first() == Some(&"replay") {
            all.extend(["--data", &data]);
        }
        let output = ioc(&all);
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// The records of the log, by what they are.
    fn records(&self, kind: &str) -> Vec<Value> {
        let dumped = ioc(&["journal", "dump", self.site.data().to_str().unwrap()]);
        let lines = json_lines(&dumped.stdout);
        let of_kind = lines
            .into_iter()
            .filter(|line| line.to_string().contains(kind));
        of_kind.collect()
    }
}

#[test]
fn p3_what_was_refused_is_judged_once_when_its_mapping_is_mended() {
    let mut city = City::new();
    city.start("/height");
    for _ in 0..2 {
        let answer = city
            .server()
            .post("/api/v1/messages/hydro/north", &[], MESSAGE);
        assert_eq!(answer.status, 207, "{}", answer.body);
    }
    let (_, listed) = city.letters(&[]);
    assert!(
        listed.contains("value_missing") && listed.contains("hydro/north"),
        "{listed}"
    );
    let (_, each) = city.letters(&["--each"]);
    assert!(each.contains("/gauges/0") && each.contains("3.4"), "{each}");

    // Nothing was mended yet.
    let (done, said) = city.letters(&["replay", "--all"]);
    assert!(!done && said.contains("2 still dead"), "{said}");

    city.start("/level");
    let (done, said) = city.letters(&["replay", "--reason", "value_missing", "--dry-run"]);
    assert!(
        done && said.contains("2 would be replayed (2 readings)"),
        "{said}"
    );
    assert!(
        said.contains("wl-1 water_level 3.4 m at 2026-03-14T06:45:10.000Z"),
        "{said}"
    );
    assert!(city.records("\"replayed\"").is_empty());

    let (done, said) = city.letters(&["replay", "--all"]);
    assert!(done && said.contains("2 replayed (2 readings)"), "{said}");
    let (done, said) = city.letters(&["replay", "--all"]);
    assert!(done && said.contains("2 left as they are"), "{said}");
    // What was replayed is known after a start from the log, and from a snapshot.
    city.server.take().unwrap().kill();
    city.start("/level");
    let (_, said) = city.letters(&["replay", "--all"]);
    assert!(said.contains("2 left as they are"), "{said}");
    city.start("/level");
    let (_, said) = city.letters(&["replay", "--all"]);
    assert!(said.contains("2 left as they are"), "{said}");

    let readings = city.records("\"wl-1\"");
    let taken = readings
        .iter()
        .filter(|line| line["reread"].is_object() || line["reading"].is_object());
    assert_eq!(taken.count(), 2, "{readings:?}");
    let rereads = readings.iter().filter(|line| line["reread"].is_object());
    assert_eq!(rereads.count(), 1, "{readings:?}");
    assert_eq!(city.records("\"replayed\"").len(), 2);
    let judged = |step: &str| {
        let name = format!("ioc_judged_total{{step=\"{step}\"}}");
        city.server().metric(&name).unwrap_or_default()
    };
    wait_for("the second one to be known as the first", || {
        city.server().post("/api/v1/messages/elsewhere", &[], "{}");
        (judged("readings_duplicate") >= 1.0).then_some(())
    });
}

#[test]
fn p3_what_lies_deeper_than_its_mapping_looked_is_judged_when_that_is_mended() {
    let mut city = City::new();
    let stations = r#"{"stations":[
        {"name":"wl-1","gauges":[{"at":"2026-03-14T06:40:00Z","level":3.4},{"at":"2026-03-14T06:45:00Z","level":3.5}]},
        {"name":"wl-2","readings":[{"at":"2026-03-14T06:45:00Z","level":3.5},{"level":3.5}]}]}"#;
    let nested = |inner: &str| {
        format!(
            "mappings:
  hydro:
    topic: hydro/+
    each: [/stations, {inner}]
    observed_at: /at
    sensor: item 1 /name
    readings: [{{ kind: water_level, value: /level, unit: m }}]
"
        )
    };
    city.start_with(&nested("/gauges"));
    let answer = city
        .server()
        .post("/api/v1/messages/hydro/north", &[], stations);
    assert_eq!(answer.status, 207, "{}", answer.body);
    city.start_with(&nested("/readings"));
    let (done, said) = city.letters(&["replay", "--all"]);
    assert!(done && said.contains("1 replayed (1 readings)"), "{said}");
    let (_, each) = city.letters(&["--each"]);
    assert!(each.contains("/stations/1/readings/1"), "{each}");
    let rereads = city.records("\"reread\"");
    let sensors: Vec<_> = rereads
        .iter()
        .map(|line| &line["reread"]["sensor"])
        .collect();
    assert_eq!(sensors, ["wl-2"]);
}

#[test]
fn p8_a_replay_needs_the_token() {
    let mut city = City::new();
    city.start("/height");
    let answer = city
        .server()
        .post("/api/v1/dead-letters/replay", &[], "{\"all\":true}");
    assert_eq!(answer.status, 401, "{}", answer.body);
    let bearer = format!("Bearer {}", city.site.token());
    let headers = [("authorization", bearer.as_str())];
    let answer = city
        .server()
        .post("/api/v1/dead-letters/replay", &headers, "{\"all\":true}");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// How many messages are refused of which each brings one reading, and how many long ones of which
/// each brings three.
const SHORT: usize = 4_700;
const LONG: usize = 100;

/// Has them refused; all are acknowledged when this returns.
fn publish_refused(server: &Server) {
    let mut publisher = Publisher::connect(server.mqtt).unwrap();
    let short = (0..SHORT).map(|n| (n, [format!("s-{n}")].to_vec(), String::new()));
    let long = (0..LONG).map(|n| {
        let gauges = (0..3).map(|part| format!("l-{n}-{part}")).collect();
        (n * SHORT / LONG, gauges, "x".repeat(60 << 10))
    });
    let mut messages: Vec<(usize, Vec<String>, String)> = short.chain(long).collect();
    messages.sort_by_key(|(place, ..)| *place);
    for some in messages.chunks(50) {
        for (place, gauges, blanks) in some {
            let gauges: Vec<_> = gauges
                .iter()
                .map(|name| format!(r#"{{"name":"{name}","level":1.5}}"#))
                .collect();
            let gauges = gauges.join(",");
            let message =
                format!(r#"{{"at":"2026-03-14T06:45:10Z","note":"{blanks}","gauges":[{gauges}]}}"#);
            let id = place.to_string();
            publisher.publish_to("hydro/north", &id, &message).unwrap();
        }
        for _ in some {
            publisher.acknowledged().unwrap();
        }
    }
}

#[test]
fn p3_of_thousands_that_were_refused_each_is_judged_once_however_long_and_whoever_is_killed() {
    let mut city = City::new();
    city.start("/height");
    publish_refused(city.server());
    let all = SHORT + 3 * LONG;
    city.server.take().unwrap().kill();
    city.start("/level");

    // The server is killed in the middle of a replay.
    let replayed = |server: &Server| {
        let groups = server.get_json("/api/v1/dead-letters/groups");
        groups["groups"][0]["replayed"].as_u64().unwrap_or_default()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| city.letters(&["replay", "--all"]));
        wait_for("the first to be replayed", || {
            (replayed(city.server()) > 0).then_some(())
        });
        city.server().signal("KILL");
    });
    city.server.take().unwrap().kill();
    city.start("/level");
    let (_, said) = city.letters(&["replay", "--source", "mqtt publisher"]);
    assert!(said.contains(" 0 still dead"), "{said}");
    let (done, said) = city.letters(&["replay", "--all"]);
    assert!(
        done && said.contains(&format!("{all} left as they are")),
        "{said}"
    );

    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for line in city.records("\"reread\"") {
        let sensor = line["reread"]["sensor"].as_str().unwrap().to_owned();
        *times.entry(sensor).or_default() += 1;
    }
    assert_eq!(times.len(), all, "none is left out");
    assert!(
        times.values().all(|count| *count == 1),
        "none is judged twice"
    );
    let marks = city.records("\"replayed\"");
    let letters: BTreeSet<_> = marks
        .iter()
        .map(|line| line["replayed"]["dead_letter"].as_u64().unwrap())
        .collect();
    assert_eq!((marks.len(), letters.len()), (all, all));
}

#[test]
fn letters_are_chosen_by_when_they_came_and_from_whom() {
    let mut city = City::new();
    city.start("/height");
    let mut publisher = Publisher::connect(city.server().mqtt).unwrap();
    publisher.publish_to("hydro/north", "m", MESSAGE).unwrap();
    publisher.acknowledged().unwrap();
    let answer = city
        .server()
        .post("/api/v1/messages/hydro/north", &[], MESSAGE);
    assert_eq!(answer.status, 207, "{}", answer.body);
    city.start("/level");
    let (_, listed) = city.letters(&["--source", "http"]);
    assert!(
        listed.contains("by http") && !listed.contains("by mqtt"),
        "{listed}"
    );
    let (done, said) = city.letters(&["replay", "--since", "yesterday"]);
    assert!(!done && said.contains("2026-03-14T06:45:10Z"), "{said}");
    let (done, said) = city.letters(&["replay", "--since", "2999-01-01T00:00:00Z"]);
    assert!(done && said.contains("0 replayed (0 readings)"), "{said}");
    let (done, said) = city.letters(&[
        "replay",
        "--source",
        "http",
        "--since",
        "2026-01-01T00:00:00Z",
    ]);
    assert!(done && said.contains("1 replayed (1 readings)"), "{said}");
}
