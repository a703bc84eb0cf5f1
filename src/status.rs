//! How the process itself does: for orchestrators, scrapers and the people at the consoles.
//!
//! Arrives: the signs that other parts put up: a full disk, rules that were refused, links to brokers
//! elsewhere, dead letters. Leaves: `/healthz`, `/readyz`, `/metrics`, and `/api/v1/status`, which a
//! console asks every few seconds. Promise: whatever a person must mend is said here, not only in
//! the log. Bound: one line for each link and each reason of dead letters there is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use ioc_gateway::brokers::{LinkState, Links};
use ioc_gateway::dead_letters::DeadLetters;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::sync::watch;

use crate::room::RoomSign;
use crate::space::FullSign;
use crate::telemetry;

/// Up while the rules on disk have mistakes, so that the last accepted ones are in force.
#[derive(Debug, Clone, Default)]
pub struct RefusedSign(Arc<Mutex<Option<Refused>>>);

#[derive(Debug, Clone)]
struct Refused {
    since: Instant,
    mistakes: String,
}

impl RefusedSign {
    /// The rules on disk have these mistakes.
    pub fn put_up(&self, mistakes: &str) {
        telemetry::rules_refused(mistakes);
        let refused = Refused {
            since: Instant::now(),
            mistakes: mistakes.to_owned(),
        };
        self.set(Some(refused));
    }

    /// What is on disk is in force.
    pub fn take_down(&self) {
        telemetry::rules_accepted();
        self.set(None);
    }

    fn set(&self, refused: Option<Refused>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    fn get(&self) -> Option<Refused> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }
}

/// The signs that are looked at.
#[derive(Debug, Clone)]
pub struct Status {
    /// What `/metrics` prints.
    pub metrics: PrometheusHandle,
    /// Whether the disk is full.
    pub full: FullSign,
    /// Whether there is room for what readings bring.
    pub room: RoomSign,
    /// Whether the rules on disk are refused.
    pub refused: RefusedSign,
    /// The links to brokers elsewhere.
    pub links: Links,
    /// What could not be read.
    pub letters: DeadLetters,
    /// Whether the drain has begun.
    pub stopped: watch::Receiver<bool>,
}

/// The answer of `/api/v1/status`.
#[derive(Debug, Serialize)]
struct Told {
    disk_full: bool,
    rules: RulesTold,
    links: Vec<LinkTold>,
    dead_letters: LettersTold,
}

#[derive(Debug, Serialize)]
struct RulesTold {
    /// The mistakes, if the rules on disk are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_for_s: Option<u64>,
}

#[derive(Debug, Serialize)]
struct LinkTold {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    down_for_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Debug, Serialize)]
struct LettersTold {
    /// How many there ever were in this data directory.
    total: u64,
    /// How many are kept and were not read again since.
    waiting: usize,
    /// When the newest of these came.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_at: Option<String>,
    /// These, the most frequent reason first.
    reasons: Vec<ReasonTold>,
}

#[derive(Debug, Serialize)]
struct ReasonTold {
    reason: String,
    count: u64,
}

impl Status {
    /// The pages.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(Self::ready))
            .route("/metrics", get(Self::metrics))
            .route("/api/v1/status", get(Self::told))
            .with_state(self)
    }

    /// Ready from the first answer on (the socket opens when the journal is replayed) until the
    /// drain begins. On a full disk too: consoles are served, and nobody else can take over.
    /// Each link to a broker elsewhere has a line; one that is down takes nobody out of service:
    /// no other process would reach its broker either, and consoles are served.
    async fn ready(State(status): State<Self>) -> (StatusCode, String) {
        if *status.stopped.borrow() {
            return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
        }
        let mut said = match status.full.is_up() {
            true => "ready, but the disk is full: readings wait\n".to_owned(),
            false => "ready\n".to_owned(),
        };
        if status.refused.get().is_some() {
            said += "rules: those on disk are refused, the last accepted ones are in force\n";
        }
        said += &status.room.lines();
        for (link, state) in status.links.states() {
            said += &format!("{link}: {state}\n");
        }
        (StatusCode::OK, said)
    }

    async fn metrics(State(status): State<Self>) -> String {
        status.metrics.render()
    }

    async fn told(State(status): State<Self>) -> Json<Told> {
        let refused = status.refused.get();
        let links = status.links.states().into_iter();
        Json(Told {
            disk_full: status.full.is_up(),
            rules: RulesTold {
                refused_for_s: refused.as_ref().map(|it| it.since.elapsed().as_secs()),
                refused: refused.map(|it| it.mistakes),
            },
            links: links
                .map(|(name, state)| LinkTold::of(name, state))
                .collect(),
            dead_letters: LettersTold::of(&status.letters),
        })
    }
}

impl LinkTold {
    fn of(name: String, state: LinkState) -> Self {
        let said = state.to_string();
        let (state, down_for_s, why) = match state {
            LinkState::Connecting => ("connecting", None, None),
            LinkState::Up { but } => ("up", None, but.map(String::from)),
            LinkState::Paused { .. } => ("paused", None, Some(said)),
            LinkState::Down { since, why } => ("down", Some(since.elapsed().as_secs()), Some(why)),
            LinkState::Ended => ("ended", None, None),
        };
        Self {
            name,
            state,
            down_for_s,
            why,
        }
    }
}

impl LettersTold {
    fn of(letters: &DeadLetters) -> Self {
        let mut waiting = letters.newest(usize::MAX);
        waiting.retain(|letter| !letters.is_replayed(letter.seq));
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for letter in &waiting {
            *counts.entry(&letter.reason).or_default() += 1;
        }
        let mut reasons: Vec<_> = counts
            .into_iter()
            .map(|(reason, count)| ReasonTold {
                reason: reason.to_owned(),
                count,
            })
            .collect();
        reasons.sort_by_key(|told| std::cmp::Reverse(told.count));
        Self {
            total: letters.total(),
            waiting: waiting.len(),
            newest_at: waiting.first().map(|letter| letter.at.to_string()),
            reasons,
        }
    }
}

#[cfg(test)]
mod tests {
    use ioc_core::record::DeadLetter;
    use ioc_core::time::Timestamp;

    use super::*;

    #[test]
    fn letters_that_were_not_read_again_are_counted_by_reason() {
        let letters = DeadLetters::default();
        for (seq, reason) in (1..).zip(["unit_unknown", "value_missing", "value_missing"]) {
            let letter = DeadLetter {
                reason,
                ..DeadLetter::default()
            };
            letters.note(seq, Timestamp::from_millis(1000 * seq as i64), &letter);
        }
        letters.note_replayed(3);
        letters.note(
            4,
            Timestamp::from_millis(4000),
            &DeadLetter {
                reason: "unit_unknown",
                ..DeadLetter::default()
            },
        );
        let told = serde_json::to_value(LettersTold::of(&letters)).unwrap();
        let expected = serde_json::json!({
            "total": 4, "waiting": 3, "newest_at": "1970-01-01T00:00:04.000Z",
            "reasons": [
                { "reason": "unit_unknown", "count": 2 },
                { "reason": "value_missing", "count": 1 },
            ],
        });
        assert_eq!(told, expected);
    }
}
