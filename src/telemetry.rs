//! What the host tells the outside: each thing in one place, logged and counted together.
//!
//! What happens per reading is a metric and never a log line. The door's and the window's events
//! are told in their own `telemetry.rs`.

use std::time::Duration;

use ioc_core::judgement::Counters;
use metrics::{counter, describe_counter, describe_histogram, gauge, histogram};
use tracing::{error, info, warn};

use crate::recover::Recovered;

/// Says what the host's metrics mean; once, before any is counted.
pub fn describe() {
    describe_counter!("ioc_judged_total", "inputs of the core by what became of them");
    describe_counter!("ioc_detections_total", "detections by rule");
    describe_counter!("ioc_input_batches_total", "batches made durable");
    describe_counter!("ioc_decisions_total", "decisions released, by type");
    describe_histogram!(
        "ioc_inputs_sync_seconds",
        metrics::Unit::Seconds,
        "how long one sync of the inputs log took"
    );
}

/// One sync made so many batches durable.
pub fn inputs_synced(batches: u64, took: Duration) {
    counter!("ioc_input_batches_total").increment(batches);
    histogram!("ioc_inputs_sync_seconds").record(took.as_secs_f64());
}

/// A decision was released.
pub fn released(word: &'static str) {
    counter!("ioc_decisions_total", "type" => word).increment(1);
}

/// What the judgement has counted so far.
pub fn judged(counters: &Counters) {
    for (step, count) in counters.steps() {
        counter!("ioc_judged_total", "step" => step).absolute(count);
    }
    for (rule, count) in counters.rules() {
        counter!("ioc_detections_total", "rule" => rule.to_owned()).absolute(count);
    }
    gauge!("ioc_sensors").set(counters.sensors as f64);
    gauge!("ioc_incidents_open").set(counters.incidents_open as f64);
}

/// The journal is being judged again.
pub fn replaying(seq: u64) {
    info!(seq, "replaying the journal");
}

/// The journal has been judged again.
pub fn recovered(recovered: &Recovered, took: Duration) {
    let took_ms = took.as_millis() as u64;
    let (next, decisions) = (recovered.next, recovered.numbering.last);
    info!(inputs = next - 1, decisions, took_ms, "the journal is replayed");
}

/// The configuration has mistakes; the last accepted rules go on.
pub fn rules_refused(mistakes: &str) {
    error!(
        "the rules on disk have mistakes and are NOT in force; the last accepted ones are:\n{mistakes}"
    );
}

/// Something in the configuration works but is probably not meant.
pub fn rules_warning(warning: &str) {
    warn!("{warning}");
}

/// A signal asked the process to end.
pub fn draining(deadline: Duration) {
    info!(deadline_s = deadline.as_secs(), "stopping: no new connections, draining");
}

/// What was handed over could not be settled in time.
pub fn drain_overrun() {
    warn!("the drain took longer than its deadline; what was not acknowledged will come again");
}

/// All that was handed over is settled.
pub fn drained() {
    info!("stopped cleanly");
}
