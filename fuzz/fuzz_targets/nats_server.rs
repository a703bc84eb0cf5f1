//! See `ioc_gateway::fuzzing::Target::NatsServer`.
#![no_main]

use ioc_gateway::fuzzing::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    Target::NatsServer.run(bytes);
});
