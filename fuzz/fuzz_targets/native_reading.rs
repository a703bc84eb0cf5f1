//! Any bytes as a native reading: no panic; what is taken is a record that reads back the same.
#![no_main]

use ioc_core::record::Input;
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::formats::native::{Scratch, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (catalogue, mut scratch) = (Catalogue::default(), Scratch::default());
    for topic_sensor in [None, Some("wl-1")] {
        let Ok(reading) = decode(bytes, topic_sensor, &catalogue, &mut scratch) else {
            continue;
        };
        let mut record = Vec::new();
        Input::Reading(reading).encode(&mut record);
        assert_eq!(Input::decode(&record), Ok(Input::Reading(reading)));
    }
});
