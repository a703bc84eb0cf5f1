//! What it costs to read the same readings in each format, beside native ones.
//!
//! Sketch: a native reading is one borrowed pass of 200–350 ns, and 300 ns more for a derived id if
//! it has none. JSON of any shape is indexed first (a pass without conversions, some 150 ns for 150
//! bytes), then asked by name: a look-up for each part of the reading, of a few members each. SenML
//! names nothing twice, so that a record is a third of a native reading's bytes. So no format should
//! cost more than three times the native one.
//!
//! Run with `cargo bench --bench formats`; each figure is the median of several rounds in which the
//! formats take turns.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use clap::Parser;
use ioc::config::source::Source;
use ioc_bench::report::{median, spread};
use ioc_gateway::catalogue::{Catalogue, Unregistered};
use ioc_gateway::formats::{Message, Outcome, Workspace, decode};

/// What it costs to read the same readings in each format, as a ratio of native ones.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench formats --")]
struct Options {
    /// How many readings are read in each format and round.
    #[arg(long, default_value_t = 200_000)]
    readings: usize,
    /// How many rounds; the medians are told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// `cargo bench` says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

const MAPPINGS: &str = "mappings:
  shape:
    topic: shape
    sensor: /name
    kind: water_level
    observed_at: /at
    position: { lon: /place/lon, lat: /place/lat }
    readings: { value: /level, unit: m }
  list:
    topic: list
    each: /gauges
    sensor: /name
    kind: water_level
    observed_at: /at
    readings: { value: /level, unit: m }
  senml: { topic: senml, format: senml, kinds: { level: water_level } }
  things: { topic: v1.1/#, format: sensorthings, kinds: { \"5\": water_level } }
";

/// A message, and how many readings it brings.
struct Case {
    name: &'static str,
    topic: &'static str,
    payload: String,
    readings: usize,
    /// The case that has the same content as native readings.
    beside: usize,
}

const NATIVE: &str = "ioc/v1/readings/g-1";
const THINGS: &str = "v1.1/Datastreams(5)/Observations";

fn cases() -> Vec<Case> {
    let at = "2026-03-14T06:45:10.933Z";
    let case = |name, topic, payload: String, readings, beside| Case {
        name,
        topic,
        payload,
        readings,
        beside,
    };
    let own = format!(
        r#"{{"sensor":"g-1","kind":"water_level","observed_at":"{at}","value":3.72,"unit":"m"}}"#
    );
    let with_id = own.replacen('{', r#"{"id":"r-1","#, 1);
    let placed = format!(
        r#"{{"sensor":"g-1","kind":"water_level","observed_at":"{at}","value":3.72,"unit":"m","position":[101.6953,3.1466]}}"#
    );
    let shape = format!(
        r#"{{"name":"g-1","at":"{at}","level":3.72,"battery":3.6,"place":{{"lon":101.6953,"lat":3.1466}}}}"#
    );
    let gauge = format!(r#"{{"name":"g-1","at":"{at}","level":3.72}}"#);
    let list = format!(r#"{{"gauges":[{}]}}"#, vec![gauge; 10].join(","));
    let record = r#"{"n":"g-1:level","u":"m","v":3.72,"t":1773470710.933}"#;
    let records = [r#"{"n":"level","v":3.72,"t":10.933}"#; 9].join(",");
    let pack = format!(
        r#"[{{"bn":"g-1:","bt":1773470700,"bu":"m","n":"level","v":3.72,"t":10.933}},{records}]"#
    );
    let observed = format!(r#"{{"phenomenonTime":"{at}","result":3.72}}"#);
    vec![
        case("native", NATIVE, own, 1, 0),
        case("native, with a place", NATIVE, placed, 1, 1),
        case("native, with an id", NATIVE, with_id, 1, 0),
        case("json of a shape, with a place", "shape", shape, 1, 1),
        case("json of a shape, ten in a list", "list", list, 10, 0),
        case("senml, one record", "senml", format!("[{record}]"), 1, 0),
        case("senml, ten records", "senml", pack, 10, 0),
        case("sensorthings", THINGS, observed, 1, 0),
    ]
}

fn catalogue() -> Catalogue {
    let dir = tempfile::tempdir().expect("a directory can be made");
    fs::write(dir.path().join("mappings.yaml"), MAPPINGS).expect("it can be written to");
    let compiled = Source::read(Some(dir.path()), None).and_then(|source| source.compile());
    let compiled = compiled.expect("the mappings have no mistake");
    compiled.catalogue(Unregistered::Accept)
}

/// Nanoseconds for each reading.
fn measure(case: &Case, catalogue: &Catalogue, readings: usize) -> f64 {
    let mut workspace = Workspace::default();
    let message = Message {
        topic: case.topic,
        payload: case.payload.as_bytes(),
        ..Message::default()
    };
    let (mut found, began) = (0, Instant::now());
    for _ in 0..readings / case.readings {
        let decoded = decode(black_box(message), catalogue, &mut workspace, &mut |item| {
            let Outcome::Reading(reading) = item.outcome else {
                panic!("{}: {:?}", case.name, item.outcome);
            };
            black_box(reading);
            found += 1;
        });
        decoded.expect("a message of its format");
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(found)
}

fn main() {
    let options = Options::parse();
    let (cases, catalogue) = (cases(), catalogue());
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    for _ in 0..options.rounds {
        for (case, figures) in cases.iter().zip(&mut rounds) {
            figures.push(measure(case, &catalogue, options.readings));
        }
    }
    println!("| format | ns a reading | of native | rounds |");
    println!("|---|---|---|---|");
    for (case, figures) in cases.iter().zip(&rounds) {
        let ratios = figures
            .iter()
            .zip(&rounds[case.beside])
            .map(|(own, native)| own / native);
        let ratio = median(ratios.collect());
        let shown = spread(figures.clone(), |ns| format!("{ns:.0}"));
        println!(
            "| {} | {:.0} | {ratio:.2} | {shown} |",
            case.name,
            median(figures.clone())
        );
    }
}
