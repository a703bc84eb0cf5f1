//! What the host tells the outside: each thing in one place, logged and counted together.
//!
//! What happens per reading is a metric and never a log line. The door's and the window's events
//! are told in their own `telemetry.rs`.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use ioc_core::counters::Counters;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::journal::JournalError;
use crate::recover::{Left, RecoverError, Recovered};
use crate::retention::RetentionError;
use crate::snapshots::SnapshotError;
use crate::space::Shortage;

/// Installs the recorder that `/metrics` prints from; once in a process.
pub fn start_metrics() -> PrometheusHandle {
    static STARTED: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let handle = PrometheusBuilder::new().install_recorder();
        describe();
        handle.expect("nobody else installs a recorder")
    };
    STARTED.get_or_init(install).clone()
}

/// So many records came faster than it is noted what sensors said last.
pub fn values_not_noted(records: usize) {
    metrics::counter!("ioc_values_not_noted_total").increment(records as u64);
}

/// How often the samples of histograms are summed up: until then each takes memory, and nobody may
/// be there to scrape.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Sums up the samples of histograms, again and again until `stopped`.
pub async fn keep_up(metrics: PrometheusHandle, stopped: impl Future<Output = ()>) {
    again_and_again(UPKEEP_EVERY, || metrics.run_upkeep(), stopped).await;
}

async fn again_and_again(
    every: Duration,
    mut work: impl FnMut(),
    stopped: impl Future<Output = ()>,
) {
    let mut stopped = std::pin::pin!(stopped);
    let mut beats = tokio::time::interval(every);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = beats.tick() => work(),
        }
    }
}

/// Logs to stderr what the filter lets through; once in a process. What cannot be written is lost:
/// a full or closed stderr must not end a thread, as complaining about it there would.
pub fn start_logging(filter: &str) {
    let filter = EnvFilter::new(filter);
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first one's filter.
    let _ = logging.try_init();
}

/// Says what the host's metrics mean.
fn describe() {
    describe_counter!(
        "ioc_judged_total",
        "inputs of the core by the step that they came to"
    );
    describe_counter!(
        "ioc_rule_total",
        "what each detection rule made of its readings, by step"
    );
    describe_gauge!("ioc_sensors", "sensors that the core knows");
    describe_gauge!("ioc_candidates", "candidates that wait for more evidence");
    describe_gauge!("ioc_incidents_live", "incidents that are not over");
    describe_counter!("ioc_input_batches_total", "batches made durable");
    describe_counter!("ioc_snapshots_total", "snapshots made");
    describe_counter!(
        "ioc_snapshots_failed_total",
        "snapshots that could not be made or written"
    );
    describe_counter!(
        "ioc_retention_failed_total",
        "times that what is not kept any more could not be removed"
    );
    describe_gauge!(
        "ioc_snapshot_through",
        "the record that the newest snapshot is as of"
    );
    describe_gauge!(
        "ioc_snapshot_behind",
        "durable records that the judgement for snapshots has not judged yet"
    );
    describe_counter!("ioc_decisions_total", "decisions released, by type");
    describe_counter!(
        "ioc_http_turned_away_total",
        "HTTP connections refused because there were too many"
    );
    describe_counter!(
        "ioc_http_stalled_total",
        "HTTP connections closed because the client did not take its answer"
    );
    describe_counter!(
        "ioc_http_accept_failed_total",
        "HTTP connections that the machine would not accept"
    );
    describe_gauge!(
        "ioc_storage_full",
        "1 while there is no space for the next segment and readings wait, else 0"
    );
    describe_gauge!(
        "ioc_storage_low",
        "1 while there is no space for the next segment, else 0"
    );
    describe_gauge!(
        "ioc_rules_refused",
        "1 while the rules on disk have mistakes and the last accepted ones are in force, else 0"
    );
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

/// How short of space the disk is, when that changes and while it lasts.
pub fn storage(shortage: Shortage, segment_bytes: u64, left: (u64, u64)) {
    let (inputs_left, decisions_left) = left;
    gauge!("ioc_storage_full").set(f64::from(u8::from(shortage == Shortage::Full)));
    gauge!("ioc_storage_low").set(f64::from(u8::from(shortage != Shortage::None)));
    match shortage {
        Shortage::None => info!("there is space on the disk again; readings are taken"),
        Shortage::Near => warn!(
            inputs_left,
            decisions_left,
            segment_bytes,
            "THE DISK IS NEARLY FULL: there is no space for the next segment; readings are taken \
             until what is left is used; free space, or make segments smaller \
             (journal.segment_bytes)"
        ),
        Shortage::Full => error!(
            inputs_left,
            decisions_left,
            segment_bytes,
            "THE DISK IS FULL: there is no space for the next segment; readings wait at the door, \
             unacknowledged; commands go on as long as the reserve lasts; free space, and all \
             goes on by itself"
        ),
    }
}

/// So many decisions were taken by a stream elsewhere.
pub fn decisions_sent(count: usize) {
    counter!("ioc_decisions_sent_total").increment(count as u64);
}

/// Decisions cannot be read, or not be noted as sent; it is tried again.
pub fn decisions_wait(error: &dyn std::error::Error) {
    warn!(error = %chain(error), "decisions are not sent elsewhere");
}

/// Decisions that were not sent yet were removed: the log has grown to its bound.
pub fn decisions_gone(from: u64, first: u64) {
    counter!("ioc_decisions_unsent_total").increment(first - from);
    error!(from, first, "decisions were removed before they were sent");
}

/// Commands are not sent to devices, because time is not the world's.
pub fn commands_not_sent() {
    info!("no command is sent to a device: the clock is not the system's");
}

/// A decision was released.
pub fn released(word: &'static str) {
    counter!("ioc_decisions_total", "type" => word).increment(1);
}

/// What the judgement has counted so far.
pub fn judged(counters: &Counters) {
    for (step, count) in counters.sensors.each().chain(counters.engine.each()) {
        counter!("ioc_judged_total", "step" => step).absolute(count);
    }
    for (rule, of_rule) in &counters.rules {
        for (step, count) in of_rule.each() {
            let labels = [("rule", rule.to_string()), ("step", step.to_owned())];
            counter!("ioc_rule_total", &labels).absolute(count);
        }
    }
    gauge!("ioc_sensors").set(counters.sensors_known as f64);
    gauge!("ioc_candidates").set(counters.candidates as f64);
    gauge!("ioc_incidents_live").set(counters.incidents_live as f64);
}

/// The journal is being judged again.
pub fn replaying(seq: u64) {
    info!(seq, "replaying the journal");
}

/// What came after the snapshot has been judged again.
pub fn recovered(recovered: &Recovered, took: Duration) {
    let took_ms = took.as_millis() as u64;
    let Left {
        judged_again,
        unsettled: left_unsettled,
    } = recovered.left;
    let (records, decisions) = (recovered.next - 1, recovered.numbering.last);
    info!(
        records,
        judged_again, left_unsettled, decisions, took_ms, "going on where the journal ends"
    );
    let skipped = recovered.skipped.skips().map(|skip| skip.seq.to_string());
    let skipped: Vec<_> = skipped.collect();
    if !skipped.is_empty() {
        let (count, records) = (skipped.len(), skipped.join(" "));
        info!(count, records, "records that a person has had skipped");
    }
}

/// A person has had a record passed over.
pub fn record_skipped(seq: u64) {
    warn!(seq, "a record is skipped from now on");
    counter!("ioc_records_skipped_total").increment(1);
}

/// The start goes on from a snapshot.
pub fn snapshot_loaded(through: u64) {
    info!(through, "going on from a snapshot");
}

/// A snapshot cannot be used; an older one, or the whole log, takes its place.
pub fn snapshot_unusable(path: &Path, error: &SnapshotError) {
    let path = path.display();
    warn!(%path, %error, "a snapshot cannot be used; going on from what was before it");
}

/// A snapshot was made beside the engine.
pub fn snapshot_made(through: u64, state_bytes: usize, took: Duration) {
    let took_ms = took.as_millis() as u64;
    info!(through, state_bytes, took_ms, "snapshot");
    counter!("ioc_snapshots_total").increment(1);
    gauge!("ioc_snapshot_through").set(through as f64);
}

/// A snapshot could not be written; it is tried again when the next one is due.
pub fn snapshot_failed(error: &JournalError) {
    counter!("ioc_snapshots_failed_total").increment(1);
    warn!(error = %chain(error), "no snapshot could be written; the next start takes longer");
}

/// Segments that nobody needs any more went.
pub fn removed_before(log: &'static str, first: u64) {
    info!(log, first, "older segments are removed");
}

/// What is not kept any more could not be removed; it is tried again with the next snapshot.
pub fn retention_failed(error: &RetentionError) {
    counter!("ioc_retention_failed_total").increment(1);
    warn!(error = %chain(error), "older segments cannot be removed");
}

/// How far snapshots' judgement is behind the engine's.
pub fn followed(behind: u64) {
    gauge!("ioc_snapshot_behind").set(behind as f64);
}

/// Readings wait until the judgement for snapshots has caught up.
pub fn left_behind(behind: u64) {
    warn!(
        behind,
        "snapshots are left behind: readings wait at the door until they have caught up"
    );
}

/// The end was too far away to be waited for.
pub fn last_snapshot_left_out(behind: u64) {
    warn!(
        behind,
        "ending without a last snapshot: the next start judges these records again"
    );
}

/// The disk refused to be read; it is tried again.
pub fn following_waits(error: &JournalError) {
    counter!("ioc_snapshots_failed_total").increment(1);
    warn!(error = %chain(error), "snapshots wait: the journal cannot be read");
}

/// A cursor cannot be used: its reader is waited for as one that has taken nothing.
pub fn cursor_unusable(path: &Path, error: &std::io::Error) {
    let path = path.display();
    warn!(%path, %error, "a cursor cannot be used; its reader is waited for, within the bound");
}

/// No snapshots are made any more: what was decided could not be derived again, or not be read.
pub fn following_failed(error: &RecoverError) {
    counter!("ioc_snapshots_failed_total").increment(1);
    error!(error = %chain(error), "no further snapshots are made until the next start");
}

/// An error with all that caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The configuration has mistakes; the last accepted rules go on.
pub fn rules_refused(mistakes: &str) {
    gauge!("ioc_rules_refused").set(1.0);
    error!("the rules on disk are NOT in force, the last accepted ones are; mistakes:\n{mistakes}");
}

/// Settings were changed that only a restart brings.
pub fn settings_not_in_force(what: &str) {
    warn!("{what}");
}

/// What is on disk is in force.
pub fn rules_accepted() {
    gauge!("ioc_rules_refused").set(0.0);
}

/// Readings show more than there may be incidents.
pub fn no_room_for_incidents(live: u64) {
    warn!(
        live,
        "as many incidents are open as may be: what readings show further waits, and only people \
         open some; close those that are over, and look at who sends so many readings"
    );
}

/// Readings come of more unregistered sensors than may be.
pub fn no_room_for_sensors(readings: u64) {
    warn!(
        readings,
        "readings are NOT judged, for they are of more unregistered sensors than there may be: \
         register those that count, and look at who invents names"
    );
}

/// Other rules hold from here on.
pub fn rules_reloaded(summary: &str, warnings: &str) {
    info!("other rules are in force: {summary}");
    if !warnings.is_empty() {
        rules_warning(warnings);
    }
}

/// Somebody had the rules read again, and they say what held before.
pub fn rules_unchanged() {
    info!("the rules on disk are those in force");
}

/// The rules could not be read again; those that held go on.
pub fn rules_not_reloaded(error: &(dyn std::error::Error + 'static)) {
    error!(
        error = error,
        "the rules on disk are NOT in force, the last accepted ones are"
    );
}

/// The shadow's rules are not judged by any more; the live ones go on.
pub fn shadow_ended(why: &str) {
    warn!(%why, "the shadow's rules are not compared any more");
}

/// The shadow's rules have mistakes: there is no shadow.
pub fn shadow_refused(mistakes: &str) {
    error!("the shadow's rules are NOT compared; mistakes:\n{mistakes}");
}

/// Variables of the environment look like settings and are an orchestrator's links to services.
pub fn service_links_ignored(names: &[String]) {
    let names = names.join(", ");
    warn!(%names, "not settings but links to a Kubernetes service: ignored");
}

/// A file of the data directory could be read by others, and cannot any more.
pub fn secret_was_readable(path: &Path) {
    let path = path.display();
    warn!(%path, "others could read this secret; remove the file if anybody may have");
}

/// Something in the configuration works but is probably not meant.
pub fn rules_warning(warning: &str) {
    warn!("{warning}");
}

/// A signal asked the process to end.
pub fn draining(deadline: Duration) {
    info!(
        deadline_s = deadline.as_secs(),
        "stopping: no new connections, draining"
    );
}

/// There was no place for one more HTTP connection.
pub fn http_turned_away() {
    counter!("ioc_http_turned_away_total").increment(1);
}

/// An HTTP client did not take its answer for too long.
pub fn http_stalled() {
    counter!("ioc_http_stalled_total").increment(1);
}

/// An HTTP connection could not be accepted.
pub fn http_accept_failed(error: &std::io::Error) {
    counter!("ioc_http_accept_failed_total").increment(1);
    warn!(%error, "cannot accept an HTTP connection");
}

/// What was handed over could not be settled in time.
pub fn drain_overrun() {
    warn!("the drain took longer than its deadline; what was not acknowledged will come again");
}

/// The last snapshot would have taken longer than the stop may.
pub fn last_snapshot_given_up(within: Duration) {
    let within_s = within.as_secs();
    warn!(
        within_s,
        "the last snapshot was given up; the next start judges more again"
    );
}

/// All that was handed over is settled.
pub fn drained() {
    info!("stopped cleanly");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn p5_histograms_are_summed_up_though_nobody_scrapes() {
        let (sender, mut upkeeps) = tokio::sync::mpsc::channel(1);
        let work = move || {
            let _ = sender.try_send(());
        };
        let never = std::future::pending();
        let keeping = tokio::spawn(again_and_again(Duration::from_millis(1), work, never));
        for _ in 0..3 {
            let upkeep = tokio::time::timeout(Duration::from_secs(60), upkeeps.recv()).await;
            assert!(upkeep.is_ok(), "samples pile up");
        }
        keeping.abort();
    }
}
