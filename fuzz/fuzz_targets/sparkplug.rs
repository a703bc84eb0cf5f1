//! Any bytes as messages of an edge node of Sparkplug, one after another: no panic; what is taken is a record
//! that reads back the same.
#![no_main]

mod support;

use ioc_gateway::formats::mapping::Format;
use ioc_gateway::formats::{Message, Workspace};
use libfuzzer_sys::fuzz_target;

/// What a byte before each message says that it is.
const TOPICS: [&str; 7] = [
    "spBv1.0/g/NBIRTH/n",
    "spBv1.0/g/NDATA/n",
    "spBv1.0/g/NDEATH/n",
    "spBv1.0/g/DBIRTH/n/d",
    "spBv1.0/g/DDATA/n/d",
    "spBv1.0/g/DDEATH/n/d",
    "spBv1.0/STATE/h",
];

fuzz_target!(|bytes: &[u8]| {
    let catalogue = support::catalogue(vec![("spBv1.0/#", Format::Sparkplug)]);
    let (mut workspace, mut rest) = (Workspace::default(), bytes);
    while let [topic, length, after @ ..] = rest {
        let (payload, behind) = after.split_at(after.len().min(usize::from(*length)));
        let message = Message {
            topic: TOPICS[usize::from(*topic) % TOPICS.len()],
            payload,
            ..Message::default()
        };
        support::check(message, &catalogue, &mut workspace);
        rest = behind;
    }
});
