//! Any bytes as an alert of CAP: no panic; what is taken is a record
//! that reads back the same.
#![no_main]

mod support;

use ioc_gateway::formats::mapping::Format;
use ioc_gateway::formats::{Message, Workspace};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let catalogue = support::catalogue(vec![("cap", Format::Cap)]);
    let message = Message {
        topic: "cap",
        payload: bytes,
        ..Message::default()
    };
    support::check(message, &catalogue, &mut Workspace::default());
});
