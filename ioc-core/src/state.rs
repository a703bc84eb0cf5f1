//! The whole state in one walk: sensors by name, then the engine.
//!
//! Arrives: the stages and the engine, however the sensors are shared out. Leaves: the digest of
//! everything that a later decision can depend on. Not in it: indices and counters, which follow
//! from the rest or matter to nothing, and the rules themselves, which their hash names. A codec
//! for snapshots can take the same walk into bytes, for every part puts itself into anything that
//! takes bytes.

use crate::codec::Put;
use crate::detect::SensorStage;
use crate::engine::Engine;

/// The BLAKE3 hash of the state.
pub(crate) fn digest(stages: &[SensorStage], engine: &Engine) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    put(stages, engine, &mut hasher);
    *hasher.finalize().as_bytes()
}

/// Puts the whole state.
fn put(stages: &[SensorStage], engine: &Engine, out: &mut impl Put) {
    let mut sensors: Vec<_> = stages.iter().flat_map(SensorStage::sensors).collect();
    sensors.sort_by_key(|(id, _)| *id);
    out.put_u32(sensors.len() as u32);
    for (_, sensor) in sensors {
        sensor.put(out);
    }
    for stage in stages.iter().take(1) {
        out.put_time(stage.started_at());
    }
    engine.put(out);
}
