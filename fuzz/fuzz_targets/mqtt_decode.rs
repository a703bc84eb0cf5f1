//! Any bytes, as the first packet of a connection and as what follows it, in either version of
//! MQTT, cut anywhere: the promises are those of `ioc_gateway::mqtt::fuzzing`.
#![no_main]

use ioc_gateway::mqtt::fuzzing;
use libfuzzer_sys::fuzz_target;

/// How many bytes at the front say where the rest is cut.
const PIECES: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::introduction(bytes);
    if let Some((pieces, stream)) = bytes.split_first_chunk::<PIECES>() {
        fuzzing::session(stream, pieces);
    }
});
