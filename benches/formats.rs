//! What it costs to read the same readings in each format, beside native ones.
//!
//! Sketch: a native reading is one borrowed pass of 200–350 ns, and 300 ns more for a derived id if
//! it has none. JSON of any shape is indexed first (a pass without conversions, some 150 ns for 150
//! bytes), then asked by name: a look-up for each part of the reading, of a few members each. SenML
//! names nothing twice, so that a record is a third of a native reading's bytes; in CBOR numbers are
//! not even to be parsed. NGSI-LD wraps some 200 bytes more around the same content, which the index
//! passes over. A CloudEvent wraps 100, which are taken off in the same pass as the native reading in
//! it: a native one and half. Sparkplug is 20 bytes for a
//! reading whose names are looked up, and CAP a kilobyte of XML for a native reading with as many
//! attributes. So no format should cost more than three times the native one.
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
  lists:
    topic: lists
    each: [/stations, /levels]
    sensor: item 1 /name
    kind: water_level
    observed_at: /at
    readings: { value: /level, unit: m }
  columns:
    topic: columns
    each: { columns: /hourly }
    sensor: message /name
    kind: water_level
    observed_at: /at
    readings: { value: /level, unit: m }
  senml: { topic: senml, format: senml, kinds: { level: water_level } }
  things: { topic: v1.1/#, format: sensorthings, kinds: { \"5\": water_level } }
  context: { topic: ngsi-ld, format: ngsi-ld }
  events: { topic: events, format: cloudevents }
  nodes: { topic: spBv1.0/#, format: sparkplug, kinds: { level: water_level } }
  alerts: { topic: alerts, format: cap }
";

/// A message, and how many readings it brings.
struct Case {
    name: &'static str,
    topic: &'static str,
    payload: Vec<u8>,
    /// The attributes of an event whose data the payload is.
    event: &'static [(&'static str, &'static str)],
    readings: usize,
    /// The case that has the same content as native readings.
    beside: usize,
}

/// Where among the cases the native readings stand that others are beside.
const PLACED_WITH_ATTRIBUTE: usize = 10;
const ALERTED_NATIVE: usize = 20;

const NATIVE: &str = "ioc/v1/readings/g-1";
const THINGS: &str = "v1.1/Datastreams(5)/Observations";

fn cases() -> Vec<Case> {
    let at = "2026-03-14T06:45:10.933Z";
    let case = |name, topic, payload: String, readings, beside| Case {
        name,
        topic,
        payload: payload.into_bytes(),
        event: &[],
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
    let level = format!(r#"{{"at":"{at}","level":3.72}}"#);
    let station = format!(
        r#"{{"name":"g-1","levels":[{}]}}"#,
        vec![level; 5].join(",")
    );
    let stations = format!(r#"{{"stations":[{station},{station}]}}"#);
    let times = vec![format!("\"{at}\""); 10].join(",");
    let levels = ["3.72"; 10].join(",");
    let hourly = format!(r#"{{"name":"g-1","hourly":{{"at":[{times}],"level":[{levels}]}}}}"#);
    let record = r#"{"n":"g-1:level","u":"m","v":3.72,"t":1773470710.933}"#;
    let records = [r#"{"n":"level","v":3.72,"t":10.933}"#; 9].join(",");
    let pack = format!(
        r#"[{{"bn":"g-1:","bt":1773470700,"bu":"m","n":"level","v":3.72,"t":10.933}},{records}]"#
    );
    let observed = format!(r#"{{"phenomenonTime":"{at}","result":3.72}}"#);
    let with_attribute = placed.replacen(
        "\"position\"",
        r#""attributes":{"entity_type":"Gauge"},"position""#,
        1,
    );
    let entity = |place: &str| {
        format!(
            r#"{{"id":"g-1","type":"Gauge","waterLevel":{{"type":"Property","value":3.72,"unitCode":"MTR","observedAt":"{at}"}}{place}}}"#
        )
    };
    // Concise and key-values: the same content (clauses 4.5.2 and 4.5.4).
    let placed_at = r#""location":{"type":"Point","coordinates":[101.6953,3.1466]}"#;
    let concise = format!(
        r#"{{"id":"g-1","type":"Gauge","waterLevel":{{"value":3.72,"unitCode":"MTR","observedAt":"{at}"}},{placed_at}}}"#
    );
    let key_values = format!(
        r#"{{"id":"g-1","type":"Gauge","waterLevel":3.72,"dateObserved":"{at}",{placed_at}}}"#
    );
    let notified = |data: &str| {
        format!(
            r#"{{"id":"urn:ngsi-ld:Notification:5fd0","type":"Notification","subscriptionId":"urn:ngsi-ld:Subscription:5fd1","notifiedAt":"{at}","data":[{data}]}}"#
        )
    };
    let place = r#","location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[101.6953,3.1466]}}"#;
    let data = r#"{"sensor":"g-1","kind":"water_level","value":3.72,"unit":"m"}"#;
    let event = format!(
        r#"{{"specversion":"1.0","id":"r-1","source":"/g","type":"level","time":"{at}","data":{data}}}"#
    );
    let events = format!("[{}]", vec![event.clone(); 10].join(","));
    let mut binary = case("cloudevents, binary", "events", data.to_owned(), 1, 2);
    binary.event = &EVENT;
    let mut one = case("sparkplug, one metric", DATA, String::new(), 1, 0);
    one.payload = metrics(1);
    let mut ten = case("sparkplug, ten metrics", DATA, String::new(), 10, 0);
    ten.payload = metrics(10);
    let packed = |name, readings| {
        let mut packed = case(name, "senml", String::new(), readings, 0);
        packed.payload = cbor_pack(readings);
        packed
    };
    let cases = vec![
        case("native", NATIVE, own, 1, 0),
        case("native, with a place", NATIVE, placed, 1, 1),
        case("native, with an id", NATIVE, with_id, 1, 0),
        case("json of a shape, with a place", "shape", shape, 1, 1),
        case("json of a shape, ten in a list", "list", list, 10, 0),
        case("senml, one record", "senml", format!("[{record}]"), 1, 0),
        case("senml, ten records", "senml", pack, 10, 0),
        packed("senml in CBOR, one record", 1),
        packed("senml in CBOR, ten records", 10),
        case("sensorthings", THINGS, observed, 1, 0),
        case(
            "native, with a place and an attribute",
            NATIVE,
            with_attribute,
            1,
            PLACED_WITH_ATTRIBUTE,
        ),
        case(
            "ngsi-ld, one entity",
            "ngsi-ld",
            notified(&entity(place)),
            1,
            PLACED_WITH_ATTRIBUTE,
        ),
        case(
            "ngsi-ld, ten entities",
            "ngsi-ld",
            notified(&vec![entity(place); 10].join(",")),
            10,
            PLACED_WITH_ATTRIBUTE,
        ),
        case(
            "ngsi-ld, concise",
            "ngsi-ld",
            notified(&concise),
            1,
            PLACED_WITH_ATTRIBUTE,
        ),
        case(
            "ngsi-ld, key-values",
            "ngsi-ld",
            notified(&key_values),
            1,
            PLACED_WITH_ATTRIBUTE,
        ),
        case("cloudevents, structured", "events", event, 1, 2),
        case("cloudevents, a batch of ten", "events", events, 10, 2),
        binary,
        one,
        ten,
        case(
            "native, of what an alert says",
            NATIVE_ALERT,
            ALERTED.to_owned(),
            1,
            ALERTED_NATIVE,
        ),
        case("cap", "alerts", ALERT.to_owned(), 1, ALERTED_NATIVE),
        case(
            "json of a shape, ten in lists in a list",
            "lists",
            stations,
            10,
            0,
        ),
        case("json of a shape, ten in columns", "columns", hourly, 10, 0),
    ];
    let of = |at: usize| cases[at].name;
    assert_eq!(
        of(PLACED_WITH_ATTRIBUTE),
        "native, with a place and an attribute"
    );
    assert_eq!(of(ALERTED_NATIVE), "native, of what an alert says");
    cases
}

/// A SenML pack of so many records in CBOR (RFC 8428, section 6), the same as that in JSON.
fn cbor_pack(records: usize) -> Vec<u8> {
    const BASE_NAME: u8 = 0x21;
    const BASE_TIME: u8 = 0x22;
    const BASE_UNIT: u8 = 0x23;
    const NAME: u8 = 0;
    const VALUE: u8 = 2;
    const TIME: u8 = 6;
    let mut pack = vec![0x80 | u8::try_from(records).expect("a short list")];
    let text = |pack: &mut Vec<u8>, label, text: &str| {
        pack.extend_from_slice(&[
            label,
            0x60 | u8::try_from(text.len()).expect("a short text"),
        ]);
        pack.extend_from_slice(text.as_bytes());
    };
    let number = |pack: &mut Vec<u8>, label, number: f64| {
        pack.extend_from_slice(&[label, 0xfb]);
        pack.extend_from_slice(&number.to_be_bytes());
    };
    for record in 0..records {
        pack.push(match record {
            0 => 0xa6,
            _ => 0xa3,
        });
        if record == 0 {
            text(&mut pack, BASE_NAME, "g-1:");
            number(&mut pack, BASE_TIME, 1_773_470_700.0);
            text(&mut pack, BASE_UNIT, "m");
        }
        text(&mut pack, NAME, "level");
        number(&mut pack, VALUE, 3.72);
        number(&mut pack, TIME, 10.933);
    }
    pack
}

const EVENT: [(&str, &str); 5] = [
    ("specversion", "1.0"),
    ("id", "r-1"),
    ("source", "/g"),
    ("type", "level"),
    ("time", "2026-03-14T06:45:10.933Z"),
];

const BIRTH: &str = "spBv1.0/g/NBIRTH/1";
const DATA: &str = "spBv1.0/g/NDATA/1";

/// A varint of Protocol Buffers, after the key of its field.
fn varint(out: &mut Vec<u8>, field: u8, mut number: u64) {
    out.push(field << 3);
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).expect("a short field");
    assert!(length < 0x80, "a short field");
    out.extend_from_slice(&[field << 3 | 2, length]);
    out.extend_from_slice(bytes);
}

/// The birth of a node with this many metrics, `level` and nine more, in metres.
fn birth() -> Vec<u8> {
    let mut payload = Vec::new();
    for alias in 0..10 {
        let (mut unit, mut text, mut metric) = (Vec::new(), Vec::new(), Vec::new());
        bytes(&mut text, 8, b"m");
        bytes(&mut unit, 1, b"engUnit");
        bytes(&mut unit, 2, &text);
        bytes(&mut metric, 1, format!("{alias}/level").as_bytes());
        varint(&mut metric, 2, alias);
        varint(&mut metric, 4, 10);
        bytes(&mut metric, 9, &unit);
        bytes(&mut payload, 2, &metric);
    }
    varint(&mut payload, 3, 0);
    payload
}

/// So many of its metrics, with a time each.
fn metrics(count: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    varint(&mut payload, 1, 1_773_470_710_933);
    for alias in 0..count {
        let mut metric = Vec::new();
        varint(&mut metric, 2, alias);
        varint(&mut metric, 3, 1_773_470_710_933);
        metric.push(13 << 3 | 1);
        metric.extend_from_slice(&3.72_f64.to_le_bytes());
        bytes(&mut payload, 2, &metric);
    }
    // The number of the last message again: so nothing seems to be missing.
    varint(&mut payload, 3, 0);
    payload
}

const NATIVE_ALERT: &str = "ioc/v1/readings/warnings@met.example";

/// An alert, and the same as a native reading.
const ALERT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>MET-2026-0314-7</identifier><sender>warnings@met.example</sender>
<sent>2026-03-14T06:40:00-00:00</sent><status>Actual</status><msgType>Alert</msgType>
<scope>Public</scope><info><language>en</language><category>Met</category>
<event>Flood Warning</event><responseType>Prepare</responseType><urgency>Expected</urgency>
<severity>Severe</severity><certainty>Likely</certainty>
<headline>Rivers in the upper basin rise above their banks</headline>
<description>Heavy rain since noon. Rivers rise by half a metre an hour.</description>
<instruction>Move to higher ground. Do not cross flooded roads.</instruction>
<area><areaDesc>Upper basin</areaDesc>
<polygon>3.1,101.6 3.1,101.8 3.3,101.8 3.3,101.6 3.1,101.6</polygon>
<geocode><valueName>DISTRICT</valueName><value>14</value></geocode></area></info></alert>"#;

const ALERTED: &str = r#"{"id":"warnings@met.example,MET-2026-0314-7/0/0",
"kind":"external_alert","observed_at":"2026-03-14T06:40:00Z","value":3,"position":[101.7,3.2],
"attributes":{"event":"Flood Warning","category":"met","severity":"severe","urgency":"expected",
"certainty":"likely","response_type":"prepare","status":"actual","msg_type":"alert",
"scope":"public","sender":"warnings@met.example","identifier":"MET-2026-0314-7","language":"en",
"headline":"Rivers in the upper basin rise above their banks","area":"Upper basin",
"geocode":"DISTRICT=14","radius_m":"15713"}}"#;

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
        payload: &case.payload,
        event: case.event,
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
    let born = Message {
        topic: BIRTH,
        payload: &birth(),
        ..Message::default()
    };
    let mut workspace = Workspace::default();
    decode(born, &catalogue, &mut workspace, &mut |_| {}).expect("a birth certificate");
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
