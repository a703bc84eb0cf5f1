//! The whole state in one walk, into a digest or into bytes, and back from bytes.
//!
//! Arrives: the stages and the engine, however the sensors are shared out; or bytes that were
//! saved. Leaves: the digest of everything that a later decision can depend on; the same walk as
//! bytes, with the counters beside it; or stages and an engine that go on as those did. Promise:
//! equal states are equal bytes, on any machine, with any number of stages; damaged bytes are an
//! error, cost no more memory than there are bytes, and never a panic. Not in it: what follows from
//! the rest (indices, sums, weights, timers), and the rules themselves, which their hash names.
//!
//! Four sections, each with its tag and its length: what holds, the sensors, the engine, the
//! counters. A format with more fields gets a number of its own; a part whose bytes differ between
//! the formats that are read is given the number. Ids of readings are kept as their hash
//! (`hash.rs`), so another hash is another format too. Next: `judgement.rs`.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::codec::{CodecError, Put, Take};
use crate::counters::{Counters, EngineCounters, RuleCounters, SensorCounters};
use crate::detect::{self, SensorStage};
use crate::engine::Engine;
use crate::id::RuleId;
use crate::invariant::Audit;
use crate::record::BundleHash;
use crate::rules::Rules;
use crate::time::Timestamp;

/// The format that a state is saved in.
pub const STATE_FORMAT: u16 = 8;

/// The formats that are read: the one that is written, and those before it.
pub const STATE_FORMATS_READ: RangeInclusive<u16> = 1..=STATE_FORMAT;

/// Tags of the sections, in their order.
mod tag {
    pub const HOLDS: u8 = 1;
    pub const SENSORS: u8 = 2;
    pub const ENGINE: u8 = 3;
    pub const COUNTERS: u8 = 4;
}

/// The BLAKE3 hash of the state.
pub(crate) fn digest(stages: &[SensorStage], engine: &Engine) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    Holds::of(stages, engine).put(&mut hasher);
    detect::put(stages, &mut hasher);
    engine.put(&mut hasher);
    *hasher.finalize().as_bytes()
}

/// Appends the state and the counters.
pub(crate) fn save(
    stages: &[SensorStage],
    engine: &Engine,
    counters: &Counters,
    out: &mut Vec<u8>,
) {
    out.reserve(detect::bytes_expected(stages));
    let holds = Holds::of(stages, engine);
    put_section(tag::HOLDS, out, |out| holds.put(out));
    put_section(tag::SENSORS, out, |out| detect::put(stages, out));
    put_section(tag::ENGINE, out, |out| engine.put(out));
    put_section(tag::COUNTERS, out, |out| put_counters(counters, out));
}

/// The bundle that held when these bytes were saved; `None` if none did yet.
pub(crate) fn bundle_of(format: u16, bytes: &[u8]) -> Result<Option<BundleHash>, CodecError> {
    let mut take = open(format, bytes)?;
    let mut section = take_section(tag::HOLDS, &mut take)?;
    let hash = BundleHash(section.array()?);
    Ok((hash != Rules::none().hash()).then_some(hash))
}

/// The stages, so many, and the engine, as they were saved.
pub(crate) fn load(
    format: u16,
    shards: NonZeroUsize,
    bytes: &[u8],
    bundle: Option<Arc<Bundle>>,
) -> Result<(Vec<SensorStage>, Engine), CodecError> {
    let rules = Arc::new(bundle.map_or_else(Rules::none, Rules::new));
    let mut take = open(format, bytes)?;

    let mut section = take_section(tag::HOLDS, &mut take)?;
    let started_at = Holds::take(&mut section, &rules)?.started_at;
    section.end()?;

    let mut section = take_section(tag::SENSORS, &mut take)?;
    let mut stages = detect::take(format, &mut section, &rules, started_at, shards)?;
    section.end()?;

    let mut section = take_section(tag::ENGINE, &mut take)?;
    let mut engine = Engine::take(format, &mut section, &rules)?;
    section.end()?;
    if format < 7 {
        engine.hear_meters(detect::meters(&stages).collect());
    }

    let mut section = take_section(tag::COUNTERS, &mut take)?;
    take_counters(&mut section, &rules, &mut stages[0], &mut engine)?;
    section.end()?;
    take.end()?;

    let mut audit = Audit::default();
    engine.audit(&mut audit);
    if !audit.0.is_empty() {
        return Err(CodecError("incidents or commands contradict each other"));
    }
    Ok((stages, engine))
}

/// What holds for all sensors and incidents.
struct Holds<'a> {
    rules: &'a Rules,
    started_at: Timestamp,
}

impl<'a> Holds<'a> {
    fn of(stages: &[SensorStage], engine: &'a Engine) -> Self {
        let started_at = stages.first().map(SensorStage::started_at);
        Self {
            rules: engine.rules(),
            started_at: started_at.expect("there is at least one stage"),
        }
    }

    /// Puts it, and the meaning of each detection rule: what the rules know of a sensor is put in
    /// their order and names none of them.
    fn put(&self, out: &mut impl Put) {
        out.put(&self.rules.hash().0);
        out.put_time(self.started_at);
        out.put_count(self.rules.detections().len());
        for rule in self.rules.detections() {
            out.put_text(rule.name.as_str());
            out.put_u64(rule.hash);
        }
    }

    fn take(take: &mut Take<'_>, rules: &'a Rules) -> Result<Self, CodecError> {
        if take.array()? != rules.hash().0 {
            return Err(CodecError("saved under another bundle"));
        }
        let started_at = take.time()?;
        if take.u32()? as usize != rules.detections().len() {
            return Err(CodecError("other detection rules than hold"));
        }
        for rule in rules.detections() {
            if (take.text()?, take.u64()?) != (rule.name.as_str(), rule.hash) {
                return Err(CodecError("a detection rule meant something else"));
            }
        }
        Ok(Self { rules, started_at })
    }
}

fn put_counters(counters: &Counters, out: &mut Vec<u8>) {
    counters.sensors.put(out);
    counters.engine.put(out);
    out.put_count(counters.rules.len());
    for (rule, counters) in &counters.rules {
        out.put_text(rule.as_str());
        counters.put(out);
    }
}

/// What all stages had counted, the first goes on counting.
fn take_counters(
    take: &mut Take<'_>,
    rules: &Rules,
    stage: &mut SensorStage,
    engine: &mut Engine,
) -> Result<(), CodecError> {
    let sensors = SensorCounters::take(take)?;
    engine.count_from(EngineCounters::take(take)?);
    let mut by_rule = vec![RuleCounters::default(); rules.detections().len()];
    for _ in 0..take.u32()? {
        let name: RuleId = take.parsed("rule")?;
        let place = rules
            .detections()
            .binary_search_by(|rule| rule.name.cmp(&name));
        let place = place.map_err(|_| CodecError("counters of a rule that does not hold"))?;
        by_rule[place] = RuleCounters::take(take)?;
    }
    stage.count_from(sensors, by_rule);
    Ok(())
}

fn open(format: u16, bytes: &[u8]) -> Result<Take<'_>, CodecError> {
    if STATE_FORMATS_READ.contains(&format) {
        Ok(Take(bytes))
    } else {
        Err(CodecError("a state's format that is not read"))
    }
}

/// Appends a section: its tag, its length, its body.
fn put_section(tag: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.put_u8(tag);
    let length_at = out.len();
    out.put_u64(0);
    let begin = out.len();
    body(out);
    let length = (out.len() - begin) as u64;
    out[length_at..begin].copy_from_slice(&length.to_le_bytes());
}

fn take_section<'a>(tag: u8, take: &mut Take<'a>) -> Result<Take<'a>, CodecError> {
    if take.u8()? != tag {
        return Err(CodecError("another section than expected"));
    }
    let length = usize::try_from(take.u64()?).map_err(|_| CodecError("cut short"))?;
    take.bytes(length).map(Take)
}
