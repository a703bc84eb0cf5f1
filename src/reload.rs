//! Other rules without a restart.
//!
//! Arrives: an operator's word, by `ioc reload`, `POST /api/v1/rules/reload` or SIGHUP. Leaves: one
//! `Reload` record, if the files on disk mean something new and have no mistake; else all mistakes,
//! and the rules that held go on. Promise: all or nothing. The files are read, checked and stored by
//! their hash, and their indices are built, all beside the engine; the record names them; once it is
//! durable the door decodes by the new kinds and sensors, and consoles draw the new city. One reload
//! at a time. Next: `reload/command.rs`.

pub mod command;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use crossbeam_channel::{Sender, TrySendError};
use ioc_core::record::ClockKind;
use ioc_core::record::{BundleHash, Seq};
use ioc_core::rules::Rules as Prepared;
use ioc_gateway::catalogue::{Catalogue, Unregistered};
use ioc_gateway::door::KindNames;
use ioc_ws::{RefusalReason, Token, Window};
use serde_json::{Value, json};
use tokio::sync::{Mutex, oneshot};

use crate::config::check::summary;
use crate::config::compile::Compiled;
use crate::config::mistake::{Mistake, Mistakes, counted};
use crate::config::settings::{FILE, Written};
use crate::config::source::{Source, StoreError};
use crate::host::city_of;
use crate::pipeline::ReloadOrder;
use crate::rules::Rules;
use crate::status::RefusedSign;
use crate::telemetry;

/// Where rules are read from, and who is told of new ones.
#[derive(Clone)]
pub struct Reloader(Arc<Parts>);

/// What a [`Reloader`] is made of.
pub struct Parts {
    /// The data directory, which keeps the bundles.
    pub data: PathBuf,
    /// The directory of the rules; `None` for those compiled in.
    pub config: Option<PathBuf>,
    /// The city file in place of the configuration's.
    pub city: Option<PathBuf>,
    /// What happens to readings of sensors that are not registered.
    pub unregistered: Unregistered,
    /// Which readings are judged before others.
    pub turns: Turns,
    /// What the door decodes by.
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    /// Where consoles look.
    pub window: Window,
    /// To the engine.
    pub orders: Sender<ReloadOrder>,
    /// The bundle that holds.
    pub held: Mutex<BundleHash>,
    /// Up while the files have mistakes.
    pub refused: RefusedSign,
    /// The settings that the process was started by.
    pub settings: Written,
}

/// Which readings are judged before others that were sent before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// Those of urgent kinds.
    UrgentFirst,
    /// None: what is recorded is judged in the order in which it is sent, as it is offline.
    AsSent,
}

impl Turns {
    /// Where readings are the clock, that is their order too.
    pub const fn under(clock: ClockKind) -> Self {
        match clock {
            ClockKind::Readings => Self::AsSent,
            ClockKind::System | ClockKind::Scaled(_) => Self::UrgentFirst,
        }
    }

    /// The catalogue of rules, by which no kind is urgent if none is to come first.
    pub fn catalogue(self, compiled: &Compiled, unregistered: Unregistered) -> Catalogue {
        let catalogue = compiled.catalogue(unregistered);
        match self {
            Self::UrgentFirst => catalogue,
            Self::AsSent => Catalogue {
                urgent: KindNames::default(),
                ..catalogue
            },
        }
    }
}

/// What a reload does not bring: settings that are other ones than at the start.
#[derive(Debug, Default)]
pub struct Restart {
    /// The keys with other values.
    pub changed: Vec<String>,
    /// Why the next start would be refused.
    pub mistakes: Mistakes,
}

impl Restart {
    /// What there is to say of it; nothing if all is in force.
    pub fn told(&self) -> Option<String> {
        if !self.mistakes.is_empty() {
            let count = counted(self.mistakes.count(), "mistake");
            return Some(format!(
                "{FILE} has {count} and the next start would be refused (`ioc check` tells them); \
                 its settings are read by a start only"
            ));
        }
        (!self.changed.is_empty()).then(|| {
            let keys = self.changed.join(", ");
            format!("NOT in force before a restart, as all settings of {FILE}: {keys}")
        })
    }
}

/// What a reload came to.
#[derive(Debug)]
pub enum Reloaded {
    /// The files say what holds already.
    Same(BundleHash),
    /// Other rules hold.
    New {
        /// Which.
        bundle: BundleHash,
        /// As of this decision.
        decision: Seq,
        /// What they are, in a line.
        summary: String,
        /// What is allowed, and probably not meant.
        warnings: Mistakes,
    },
}

/// Why the rules that held go on.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// The files have mistakes.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// The bundle cannot be stored, so it must not be named.
    #[error("the rules cannot be stored")]
    Store(#[source] StoreError),
    /// The engine does not take them now.
    #[error("{}", .0.message())]
    Refused(RefusalReason),
    /// A bug.
    #[error("the rules could not be read by this build")]
    Failed,
}

/// Rules that can come to hold.
struct Ready {
    source: Source,
    compiled: Compiled,
    prepared: Arc<Prepared>,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl Reloader {
    /// A reloader of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Reads the rules again, and puts them into force if they are others and have no mistake.
    pub async fn reload(&self) -> Result<Reloaded, NotReloaded> {
        let mut held = self.0.held.lock().await;
        let (parts, before) = (Arc::clone(&self.0), *held);
        let read = tokio::task::spawn_blocking(move || parts.read(before)).await;
        let ready = match read.map_err(|_| NotReloaded::Failed)? {
            Ok(Some(ready)) => ready,
            Ok(None) => {
                self.0.refused.take_down();
                return Ok(Reloaded::Same(before));
            }
            Err(NotReloaded::Mistakes(mistakes)) => {
                self.0.refused.put_up(&mistakes.to_string());
                return Err(NotReloaded::Mistakes(mistakes));
            }
            Err(error) => return Err(error),
        };
        let Ready {
            source,
            compiled,
            prepared,
        } = ready;
        let decision = self.0.order(prepared).await?;
        *held = compiled.bundle.hash;
        self.0.refused.take_down();
        self.0.catalogue.store(Arc::new(self.0.next(&compiled)));
        self.0.window.set_city(city_of(&source));
        let actuators = compiled.bundle.city.actuators.as_slice();
        self.0.window.set_actuators(actuators.into());
        self.0.window.set_bundle(Arc::clone(&compiled.bundle));
        Ok(Reloaded::New {
            bundle: compiled.bundle.hash,
            decision,
            summary: summary(&compiled),
            warnings: compiled.warnings,
        })
    }

    /// Which settings a restart would bring.
    pub async fn restart(&self) -> Restart {
        let parts = Arc::clone(&self.0);
        let read = move || Written::read(parts.config.as_deref(), std::env::vars());
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(now)) => Restart {
                changed: self.0.settings.changed(&now),
                ..Restart::default()
            },
            Ok(Err(mistakes)) => Restart {
                mistakes,
                ..Restart::default()
            },
            Err(_) => Restart::default(),
        }
    }

    /// The same on a signal, which nobody waits for: the log tells what came of it.
    pub async fn reload_and_tell(self) {
        let reloaded = self.reload().await;
        if let Some(restart) = self.restart().await.told() {
            telemetry::settings_not_in_force(&restart);
        }
        match reloaded {
            Ok(Reloaded::New {
                summary, warnings, ..
            }) => telemetry::rules_reloaded(&summary, &warnings.to_string()),
            Ok(Reloaded::Same(_)) => telemetry::rules_unchanged(),
            // The sign tells them.
            Err(NotReloaded::Mistakes(_)) => {}
            Err(error) => telemetry::rules_not_reloaded(&error),
        }
    }
}

impl Parts {
    /// The rules on disk, stored and prepared; `None` if they hold already.
    fn read(&self, held: BundleHash) -> Result<Option<Ready>, NotReloaded> {
        let read = Source::read(self.config.as_deref(), self.city.as_deref());
        let source = read.map_err(NotReloaded::Mistakes)?;
        let compiled = source.compile().map_err(NotReloaded::Mistakes)?;
        if compiled.bundle.hash == held {
            return Ok(None);
        }
        let store = Rules::new(&self.data, None, None);
        store.store(&source).map_err(NotReloaded::Store)?;
        Ok(Some(Ready {
            prepared: Arc::new(Prepared::new(Arc::clone(&compiled.bundle))),
            source,
            compiled,
        }))
    }

    /// Has the engine journal and judge the reload; returns once it is durable.
    async fn order(&self, rules: Arc<Prepared>) -> Result<Seq, NotReloaded> {
        let (answer, answered) = oneshot::channel();
        let refused = |reason| Err(NotReloaded::Refused(reason));
        match self.orders.try_send(ReloadOrder { rules, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return refused(RefusalReason::Busy),
            Err(TrySendError::Disconnected(_)) => return refused(RefusalReason::Stopping),
        }
        let answer = answered.await.unwrap_or(Err(RefusalReason::Stopping));
        answer.map_err(NotReloaded::Refused)
    }

    /// The catalogue of new rules, with what is not of the configuration as it was.
    fn next(&self, compiled: &Compiled) -> Catalogue {
        let before = self.catalogue.load();
        Catalogue {
            now: before.now.clone(),
            commands: before.commands.clone(),
            sparkplug: before.sparkplug.clone(),
            ..self.turns.catalogue(compiled, self.unregistered)
        }
    }
}

/// The route, which needs the token of an operator.
pub fn router(reloader: Reloader, token: Token) -> Router {
    Router::new()
        .route("/api/v1/rules/reload", post(reload))
        .with_state((reloader, token))
}

async fn reload(
    State((reloader, token)): State<(Reloader, Token)>,
    headers: HeaderMap,
) -> Response {
    if !token.opens(&headers) {
        let body = json!({ "code": "token_needed", "message": "rules are an operator's matter" });
        let mut response = answer(StatusCode::UNAUTHORIZED, &body);
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        return response;
    }
    let reloaded = reloader.reload().await;
    let restart = reloader.restart().await;
    match reloaded {
        Ok(Reloaded::Same(bundle)) => {
            let body = json!({
                "changed": false, "bundle": hex(bundle), "restart_needed": restart.changed,
                "restart": restart.told(),
            });
            answer(StatusCode::OK, &body)
        }
        Ok(Reloaded::New {
            bundle,
            decision,
            summary,
            warnings,
        }) => {
            telemetry::rules_reloaded(&summary, &warnings.to_string());
            let body = json!({
                "changed": true, "bundle": hex(bundle), "seq": decision, "summary": summary,
                "warnings": warnings.iter().map(mistake_json).collect::<Vec<_>>(),
                "restart_needed": restart.changed, "restart": restart.told(),
            });
            answer(StatusCode::OK, &body)
        }
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &NotReloaded) -> Response {
    let (status, code) = match error {
        NotReloaded::Mistakes(_) => (StatusCode::BAD_REQUEST, "mistakes"),
        NotReloaded::Refused(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.code()),
        NotReloaded::Store(_) | NotReloaded::Failed => {
            telemetry::rules_not_reloaded(error);
            (StatusCode::INTERNAL_SERVER_ERROR, "failed")
        }
    };
    let mut body = json!({ "code": code, "message": error.to_string() });
    if let NotReloaded::Mistakes(mistakes) = error {
        let count = counted(mistakes.count(), "mistake");
        body["message"] = format!("{count}: the rules that held go on").into();
        body["mistakes"] = mistakes.iter().map(mistake_json).collect();
    }
    answer(status, &body)
}

fn mistake_json(mistake: &Mistake) -> Value {
    let place = &mistake.place;
    json!({
        "file": &*place.file, "line": place.line, "column": place.column, "key": mistake.key,
        "what": mistake.what, "text": mistake.to_string(),
    })
}

fn hex(bundle: BundleHash) -> String {
    crate::inspect::hex(&bundle.0)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use ioc_gateway::door::Lane;

    use super::*;

    #[test]
    fn where_readings_are_the_clock_none_is_judged_before_another() {
        let compiled = Source::read(None, None).unwrap().compile().unwrap();
        let lane = |clock| {
            let catalogue = Turns::under(clock).catalogue(&compiled, Unregistered::Accept);
            catalogue.lane("emergency_call")
        };
        assert_eq!(lane(ClockKind::System), Lane::Urgent);
        assert_eq!(lane(ClockKind::Readings), Lane::Telemetry);
    }

    #[tokio::test]
    async fn p5_a_reload_that_finds_another_waiting_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (orders, waiting) = crossbeam_channel::bounded(1);
        let (window, _commands) = Window::new(ioc_ws::WindowOptions::new(
            String::new(),
            Token::new("token"),
            Arc::new(ioc_core::time::Timestamp::default),
        ));
        let parts = Parts {
            data: dir.path().to_owned(),
            config: None,
            city: None,
            unregistered: Unregistered::Accept,
            turns: Turns::UrgentFirst,
            catalogue: Arc::default(),
            window,
            orders,
            held: Mutex::new(BundleHash([0; 32])),
            refused: RefusedSign::default(),
            settings: Written::default(),
        };
        let (answer, _answered) = oneshot::channel();
        let rules = Arc::new(Prepared::none());
        parts.orders.send(ReloadOrder { rules, answer }).unwrap();
        let reloader = Reloader::new(parts);
        let refused = reloader.reload().await;
        assert!(
            matches!(refused, Err(NotReloaded::Refused(RefusalReason::Busy))),
            "{refused:?}"
        );
        drop(waiting);
        let refused = reloader.reload().await;
        assert!(
            matches!(refused, Err(NotReloaded::Refused(RefusalReason::Stopping))),
            "{refused:?}"
        );
    }
}
