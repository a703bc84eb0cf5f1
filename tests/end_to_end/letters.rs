//! Dead letters from end to end: a message is refused, the mapping is mended, and what it says is
//! judged after all, once.

use serde_json::Value;

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
        if let Some(server) = self.server.take() {
            assert!(server.stop().success());
        }
        let path = self.site.dir.path().join("config/mappings.yaml");
        std::fs::write(path, mappings(value)).unwrap();
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
    assert!(!done && said.contains("2 left as they are"), "{said}");
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
