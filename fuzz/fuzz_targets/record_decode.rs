//! Any bytes as an input of the log, and as a frame of one: no panic; what is taken is written
//! back as bytes that read the same.
#![no_main]

use ioc_core::record::{Input, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _framed = Record::unframe(1, bytes);
    if let Ok(input) = Input::decode(bytes) {
        let mut again = Vec::new();
        input.encode(&mut again);
        assert_eq!(Input::decode(&again), Ok(input));
    }
});
