//! What the window tells about itself: one function per event, which logs and counts together.
//!
//! Per-decision and per-reading events are metrics only. No label names a sensor or a session.

use std::borrow::Cow;

use crate::frame::CloseCode;

/// A decision entered the picture and the ring.
pub(crate) fn decision_published(word: &'static str) {
    metrics::counter!("ioc_window_decisions_total", "type" => word).increment(1);
}

/// Last readings of sensors that were not noted: batches for which the queue was full, or readings
/// of sensors beyond the bound.
pub(crate) fn latest_dropped(why: &'static str, count: usize) {
    if count > 0 {
        metrics::counter!("ioc_window_latest_dropped_total", "why" => why).increment(count as u64);
    }
}

/// What evidence may say in words found no room.
pub(crate) fn statements_dropped(count: usize) {
    metrics::counter!("ioc_window_statements_dropped_total").increment(count as u64);
}

/// Samples found no room.
pub(crate) fn samples_dropped(count: usize) {
    metrics::counter!("ioc_window_samples_dropped_total").increment(count as u64);
}

/// The keeper's thread has ended although the window lives: it panicked.
pub(crate) fn keeper_is_gone() {
    tracing::error!("the window's keeper is gone; consoles see nothing new");
}

/// A session began; the guard counts it for as long as it lives.
pub(crate) fn session_began() -> SessionGauge {
    metrics::gauge!("ioc_window_sessions").increment(1.0);
    metrics::counter!("ioc_window_sessions_total").increment(1);
    SessionGauge
}

/// Counts one session.
pub(crate) struct SessionGauge;

impl Drop for SessionGauge {
    fn drop(&mut self) {
        metrics::gauge!("ioc_window_sessions").decrement(1.0);
    }
}

/// A session was refused because there are as many as may be.
pub(crate) fn session_refused() {
    metrics::counter!("ioc_window_sessions_refused_total").increment(1);
}

/// The server closed a session.
pub(crate) fn session_closed(code: CloseCode, reason: &str) {
    metrics::counter!("ioc_window_sessions_closed_total", "code" => code.word()).increment(1);
    if code != CloseCode::GoingAway {
        tracing::debug!(code = code.word(), reason, "session closed");
    }
}

/// A session got a snapshot.
pub(crate) fn snapshot_sent(reason: &'static str) {
    metrics::counter!("ioc_window_snapshots_total", "reason" => reason).increment(1);
}

/// A slow session missed updates that newer ones replace.
pub(crate) fn updates_folded(count: u64) {
    metrics::counter!("ioc_window_updates_folded_total").increment(count);
}

/// A slow session missed a frame of readings.
pub(crate) fn readings_skipped(count: u64) {
    metrics::counter!("ioc_window_readings_frames_skipped_total").increment(count);
}

/// An order was answered.
pub(crate) fn command_answered(outcome: &'static str) {
    metrics::counter!("ioc_window_commands_total", "outcome" => outcome).increment(1);
}

/// A request was turned away at the door: another site, or another name than ours.
pub(crate) fn request_turned_away(reason: &'static str, host: &str, origin: &str) {
    metrics::counter!("ioc_window_requests_refused_total", "reason" => reason).increment(1);
    let (host, origin) = (shortened(host), shortened(origin));
    tracing::warn!(reason, %host, %origin, "request refused");
}

/// Foreign text is logged up to a bound.
fn shortened(text: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 100;
    match text.char_indices().nth(CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}
