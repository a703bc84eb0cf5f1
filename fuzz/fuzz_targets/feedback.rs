//! See `ioc_gateway::fuzzing::Target::Feedback`.
#![no_main]

use ioc_gateway::fuzzing::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    Target::Feedback.run(bytes);
});
