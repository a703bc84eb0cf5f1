//! How much memory a message takes while it is read, whatever is in it: measured by an allocator
//! that counts, in a binary of its own. One test after another, for all allocate from it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::io::Write;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use crossbeam_channel::RecvTimeoutError;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http_body_util::BodyExt;
use ioc_core::record::{Record, Seq};
use ioc_core::time::Timestamp;
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::dead_letters::DeadLetters;
use ioc_gateway::door::{Arrivals, Door, DoorOptions, Inputs, Lane};
use ioc_gateway::formats::mapping::{
    Columns, Format, Level, MadeMarks, Mapping, Mappings, Measured, Moment, Names, ReadingShape,
    Shape, Whence, Written,
};
use ioc_gateway::formats::{
    ITEM_MEMORY_MAX, MESSAGE_BYTES_MAX, MESSAGE_MEMORY_MAX, MESSAGE_MEMORY_PER_BYTE, Message,
    Workspace, append_message,
};
use ioc_gateway::http::{self, InputsLog, Operators, Parts, Unread};
use ioc_gateway::options::{Credentials, HttpOptions};
use peak_alloc::PeakAlloc;
use tokio::sync::watch;
use tower::ServiceExt;

/// A log without records.
#[derive(Debug)]
struct NoLog;

impl InputsLog for NoLog {
    fn held(&self, _: Option<Timestamp>) -> Result<RangeInclusive<Seq>, String> {
        Ok(RangeInclusive::new(1, 0))
    }

    fn read(
        &self,
        _: RangeInclusive<Seq>,
        _: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        Ok(())
    }
}

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Only whoever has it allocates.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes more than before were allocated at once meanwhile.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let done = work();
    (ALLOCATED.peak_usage().saturating_sub(before), done)
}

/// A shape that looks for several readings in each of many items.
fn shape() -> Format {
    let each = Level::Elements("/e".parse().unwrap());
    shape_in(vec![each], "{/s}-{key}")
}

/// The same in lists that lie in lists.
fn lists() -> Format {
    let each = ["/e", "", ""].map(|place| Level::Elements(place.parse().unwrap()));
    shape_in(each.into(), "{item 1 /s}-{item 2 /0/s}-{key 1}-{/s}")
}

/// The same in a table.
fn table() -> Format {
    let at = "/e".parse().unwrap();
    shape_in(vec![Level::Columns(Columns::Within(at))], "/s")
}

/// The same in rows that are named once.
fn rows() -> Format {
    let at = "/e".parse().unwrap();
    let names = "/n".parse().unwrap();
    shape_in(vec![Level::Rows { at, names }], "/s")
}

fn shape_in(each: Vec<Level>, sensor: &str) -> Format {
    let reading = || ReadingShape {
        sensor: sensor.parse().unwrap(),
        kind: Some("/k".parse().unwrap()),
        value: Measured {
            from: Whence::Source("/v".parse().unwrap()),
            written: Written::Whole,
            nothing: Vec::new(),
            words: Vec::new(),
            multiply: 1.0,
            add: 0.0,
        },
        unit: None,
        observed_at: Moment::Arrival,
        id: None,
        position: None,
        attributes: Vec::new(),
        optional: false,
    };
    Format::Json(Shape {
        is_text: false,
        each,
        readings: (0..4).map(|_| reading()).collect(),
        marks: MadeMarks::default(),
    })
}

fn catalogue(format: Format) -> Catalogue {
    let mapping = Mapping {
        name: "tried".into(),
        topic: "#".parse().unwrap(),
        format,
        names: Names::default(),
    };
    Catalogue {
        kind_units: [("v".into(), "m".into())].into(),
        mappings: Mappings::new(vec![mapping]),
        ..Catalogue::default()
    }
}

/// A message of about so many bytes: what is repeated stands between a beginning and an end.
fn filled(length: usize, begin: &str, piece: &str, end: &str) -> Vec<u8> {
    let room = length.saturating_sub(begin.len() + end.len());
    let middle = piece.repeat(room / piece.len());
    let middle = middle.strip_suffix(',').unwrap_or(&middle);
    [begin, middle, end].concat().into_bytes()
}

/// Messages that hold as much as their length allows, of every format, and bombs.
fn dense(length: usize) -> Vec<(&'static str, Format, Vec<u8>)> {
    let json = |begin, piece, end| filled(length, begin, piece, end);
    let cbor = |piece: u8| {
        let count = length - 5;
        let head = [&[0x9a][..], &(count as u32).to_be_bytes()].concat();
        [head, vec![piece; count]].concat()
    };
    let base64 = |text: &str| filled(length, text, "oKCg", r#""}"#);
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t",
        "datacontenttype":"application/senml+cbor","data_base64":"mgAP"#;
    let cap = |begin, piece, end| (Format::Cap, json(begin, piece, end));
    let alert = r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">"#;
    let entity = r#"{"type":"Notification","data":[{"id":"a","type":"T""#;
    let sparkplug = |piece: &[u8]| piece.repeat(length / piece.len());
    let caps = [
        ("tiny elements", cap(alert, "<a/>", "</alert>")),
        ("tiny blocks", cap(alert, "<info/>", "</alert>")),
        (
            "references",
            cap("<alert><event>", "&#65;", "</event></alert>"),
        ),
        (
            "entities",
            cap(
                "<!DOCTYPE a [<!ENTITY b \"ha\">",
                "<!ENTITY c \"&b;&b;\">",
                "]><a>&c;</a>",
            ),
        ),
        ("deep elements", cap("", "<a>", "")),
        ("attributes", cap("<alert", " a='1'", "/>")),
    ];
    let caps = caps.map(|(name, (format, payload))| (name, format, payload));
    let others = vec![
        ("tiny items", shape(), json(r#"{"e":["#, "1,", "]}")),
        ("tiny objects", shape(), json(r#"{"e":["#, "{},", "]}")),
        ("tiny members", shape(), json(r#"{"e":{"#, r#""":1,"#, "}}")),
        ("escapes", shape(), json(r#"{"e":[""#, r"\u0041", r#""]}"#)),
        ("open lists", shape(), json("", "[", "")),
        (
            "readings",
            shape(),
            json(r#"{"e":["#, r#"{"s":"a","k":"v","v":1},"#, "]}"),
        ),
        (
            "tiny lists in lists",
            lists(),
            json(r#"{"e":["#, "[[1]],", "]}"),
        ),
        (
            "empty lists in lists",
            lists(),
            json(r#"{"e":["#, "[[]],", "]}"),
        ),
        (
            "items that are no lists",
            lists(),
            json(r#"{"e":["#, "1,", "]}"),
        ),
        (
            "one list in two",
            lists(),
            json(r#"{"e":[[["#, "{},", "]]]}"),
        ),
        ("a column", table(), json(r#"{"e":{"k":["#, "1,", "]}}")),
        (
            "columns of nothing",
            table(),
            json(r#"{"e":{"#, r#""":[],"#, "}}"),
        ),
        (
            "a column of one length and one of another",
            table(),
            json(r#"{"e":{"k":[1],"v":["#, "1,", "]}}"),
        ),
        (
            "a long cell",
            table(),
            json(r#"{"e":{"v":[1],"k":[""#, "k", r#""]}}"#),
        ),
        (
            "tiny rows",
            rows(),
            json(r#"{"n":["k","v","s"],"e":["#, r#"["v",1,"a"],"#, "]}"),
        ),
        (
            "rows of too little",
            rows(),
            json(r#"{"n":["k","v","s"],"e":["#, "[],", "]}"),
        ),
        (
            "many names",
            rows(),
            json(r#"{"e":[["v",1,"a"]],"n":["k","v","s","#, r#""","#, "]}"),
        ),
        ("tiny records", Format::Senml, json("[", "{},", "]")),
        ("tiny records of CBOR", Format::Senml, cbor(0xa0)),
        ("numbers of CBOR", Format::Senml, cbor(0x00)),
        ("open lists of CBOR", Format::Senml, vec![0x81; length]),
        (
            "an observation",
            Format::SensorThings,
            json(r#"{"result":["#, "1,", "]}"),
        ),
        (
            "tiny entities",
            Format::NgsiLd,
            json(r#"{"type":"Notification","data":["#, "{},", "]}"),
        ),
        (
            "tiny attributes",
            Format::NgsiLd,
            json(entity, r#","v":1"#, "}]}"),
        ),
        (
            "tiny events",
            Format::CloudEvents(None),
            json("[", "0,", "]"),
        ),
        (
            "tiny readings of events that break off",
            Format::CloudEvents(None),
            json("[", r#"{"data":{"id":""}},"#, ""),
        ),
        (
            "a pack in an event",
            Format::CloudEvents(None),
            base64(event),
        ),
        ("tiny metrics", Format::Sparkplug, sparkplug(b"\x12\x00")),
        (
            "nameless metrics",
            Format::Sparkplug,
            sparkplug(b"\x12\x02\x50\x01"),
        ),
        (
            "metrics",
            Format::Sparkplug,
            sparkplug(b"\x12\x07\x0a\x01a\x20\x03\x50\x01"),
        ),
    ];
    others.into_iter().chain(caps).collect()
}

#[test]
fn p5_a_message_takes_no_more_memory_than_a_multiple_of_its_length_and_of_what_it_brings() {
    let _alone = alone();
    let long = "t/".repeat(600);
    for length in [
        16,
        4 << 10,
        64 << 10,
        MESSAGE_BYTES_MAX,
        2 * MESSAGE_BYTES_MAX,
    ] {
        for (name, format, payload) in dense(length) {
            let topic = match format {
                Format::Sparkplug => "spBv1.0/g/NBIRTH/n",
                _ => &long,
            };
            let catalogue = catalogue(format);
            let message = Message {
                topic,
                payload: &payload,
                content_type: Some(&long),
                ..Message::default()
            };
            let (peak, (inputs, workspace)) = peak_of(|| {
                let (mut inputs, mut workspace) = (Inputs::default(), Workspace::default());
                let told = &mut |_: Result<&str, _>| {};
                append_message(
                    &mut inputs,
                    message,
                    "test",
                    &catalogue,
                    &mut workspace,
                    told,
                );
                (inputs, workspace)
            });
            let items = inputs.count() as usize;
            let may = MESSAGE_MEMORY_MAX
                + payload.len() * MESSAGE_MEMORY_PER_BYTE
                + items * ITEM_MEMORY_MAX;
            assert!(
                peak <= may,
                "{name}, {length} bytes: {peak} of {may} for {items} items"
            );
            drop((inputs, workspace));
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Says of everything that arrives that it is durable, until the door is closed.
fn settle_all(arrivals: &Arrivals) {
    while let Ok(arrival) = arrivals.queue(Lane::Telemetry).recv() {
        arrivals.release(&arrival);
        arrival.ack.settle();
    }
}

/// The same, but no sooner than nothing more comes: as much as may be in flight is.
fn settle_late(arrivals: &Arrivals) {
    let queue = arrivals.queue(Lane::Telemetry);
    let mut held = Vec::new();
    loop {
        match queue.recv_timeout(Duration::from_millis(50)) {
            Ok(arrival) => held.push(arrival),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                for arrival in held.drain(..) {
                    arrivals.release(&arrival);
                    arrival.ack.settle();
                }
            }
        }
    }
}

/// Posts a packed body, frame by frame; returns the peak, and how it was answered.
fn post(content_type: &str, packed: &Bytes) -> (usize, u16) {
    post_to(content_type, packed, settle_all)
}

/// The same to this engine.
fn post_to(content_type: &str, packed: &Bytes, engine: fn(&Arrivals)) -> (usize, u16) {
    let (door, arrivals) = Door::new(DoorOptions::default(), Arc::new(ArcSwap::default()));
    let (_stop, stopping) = watch::channel(false);
    let router = http::router(Parts {
        door,
        dead_letters: DeadLetters::default(),
        log: Arc::new(NoLog),
        keys: None,
        credentials: Credentials::Anonymous,
        operators: Operators::new(|_| false),
        stopping,
        options: HttpOptions::default(),
    });
    let frames: Vec<_> = (0..packed.len()).step_by(16 << 10).collect();
    let packed = packed.clone();
    let frame = move |from| packed.slice(from..packed.len().min(from + (16 << 10)));
    let frames = stream::iter(
        frames
            .into_iter()
            .map(move |from| Ok::<_, Infallible>(frame(from))),
    );
    let request = Request::post("/api/v1/readings")
        .header(CONTENT_TYPE, content_type)
        .header(CONTENT_ENCODING, "gzip")
        .body(Body::from_stream(frames))
        .unwrap();
    let engine = std::thread::spawn(move || engine(&arrivals));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (peak, status) = peak_of(|| {
        runtime.block_on(async {
            let response = router.oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let mut body = response.into_body();
            while body.frame().await.is_some() {}
            status
        })
    });
    drop(runtime);
    engine.join().unwrap();
    (peak, status)
}

#[test]
fn p5_a_packed_request_takes_no_more_memory_than_one_that_is_taken_whole_may() {
    let _alone = alone();
    // One that unpacks to more than a request may have, and one that unpacks a thousandfold.
    let numbers: String = (0..2_000_000).map(|number| format!("{number},")).collect();
    let zeros = vec![b'0'; 64 << 20];
    for packed in [numbers.as_bytes(), &zeros].map(|bytes| Bytes::from(gzip(bytes))) {
        let (peak, status) = post("application/json", &packed);
        assert!([400, 413].contains(&status), "{status}");
        let may = 3 * HttpOptions::default().request_bytes_max;
        assert!(peak <= may, "{} bytes: {peak} of {may}", packed.len());
    }
}

#[test]
fn p5_packed_lines_without_end_take_bounded_memory() {
    let _alone = alone();
    let line = |number: usize| {
        format!(
            "{{\"id\":\"{number:x}\",\"sensor\":\"wl-{}\",\"kind\":\"k\",\"value\":{number},\
             \"observed_at\":\"2026-03-14T06:45:10Z\"}}\n",
            number % 97
        )
    };
    let lines: String = (0..200_000).map(line).collect();
    let packed = Bytes::from(gzip(lines.as_bytes()));
    let unpacked_bytes = lines.len();
    drop(lines);
    let may = 3 << 20;
    // Whether what is in flight is durable at once or late.
    for engine in [settle_all, settle_late] {
        let (peak, status) = post_to("application/x-ndjson", &packed, engine);
        assert_eq!(status, 200);
        assert!(
            peak <= may && may < unpacked_bytes / 3,
            "{peak} of {may}, {unpacked_bytes} unpacked"
        );
    }
    // Lines of nothing, and one that never ends.
    for bytes in [vec![b'\n'; 64 << 20], vec![b'{'; 64 << 20]] {
        let (peak, status) = post("application/x-ndjson", &Bytes::from(gzip(&bytes)));
        assert!((400..500).contains(&status), "{status}");
        assert!(peak <= may, "{peak} of {may}");
    }
}
