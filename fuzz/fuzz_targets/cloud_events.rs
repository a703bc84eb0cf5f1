//! Any bytes as CloudEvents in structured mode, and as the data of one in binary mode: no panic; what is taken is a record
//! that reads back the same.
#![no_main]

mod support;

use ioc_gateway::formats::mapping::Format;
use ioc_gateway::formats::{Message, Workspace};
use libfuzzer_sys::fuzz_target;

/// The attributes of an event in binary mode.
const EVENT: [(&str, &str); 5] = [
    ("specversion", "1.0"),
    ("id", "1"),
    ("source", "/s"),
    ("type", "t"),
    ("time", "2026-03-14T06:45:10Z"),
];

fuzz_target!(|bytes: &[u8]| {
    let catalogue = support::catalogue(vec![("events", Format::CloudEvents(None))]);
    let structured = Message {
        topic: "events",
        payload: bytes,
        ..Message::default()
    };
    let mut workspace = Workspace::default();
    support::check(structured, &catalogue, &mut workspace);
    for content_type in ["application/json", "application/senml+cbor", "application/ld+json"] {
        let binary = Message {
            content_type: Some(content_type),
            event: &EVENT,
            ..structured
        };
        support::check(binary, &catalogue, &mut workspace);
    }
});
