//! The window as the host holds it: a cheap handle to hand decisions to and to serve from.
//!
//! Arrives: released decisions, samples, the city. Leaves: a router for the host's HTTP port, and
//! orders for its journal. Promise: whatever clients do, the host's threads wait at most for the
//! keeper. Next: `feed.rs`.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::Router;
use bytes::Bytes;
use ioc_core::CodecError;
use ioc_core::bundle::{Actuator, Bundle};
use ioc_core::decision::RefusalCode;
use ioc_core::id::{Actor, RequestId};
use ioc_core::record::Seq;
use ioc_core::rules::Rules;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::command::{Commands, Order, Orders, RefusalReason};
use crate::counted::Counted;
use crate::error::ApiError;
use crate::feed::{Head, Published};
use crate::keeper::{self, Keeper, Kept};
use crate::latest::Recollection;
use crate::names;
use crate::options::WindowOptions;
use crate::preview::PREVIEWS_MAX;
use crate::saved::Saved;
use crate::statements::Statement;
use crate::view::Sample;
use crate::{server, session, telemetry};

/// A handle to the window; clones are the same window.
#[derive(Debug, Clone)]
pub struct Window {
    shared: Arc<Shared>,
}

/// What handlers and sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub options: WindowOptions,
    pub kept: Kept,
    pub sessions: Arc<Semaphore>,
    /// For questions what a suppression would have hidden.
    pub previews: Arc<Semaphore>,
    /// What counted of late, for them.
    pub counted: Counted,
    /// The rules of the bundle that held when they were asked for last, with their indices.
    rules: Mutex<Option<Arc<Rules>>>,
    orders: Orders,
    closing: watch::Sender<bool>,
    city: RwLock<Option<CityFile>>,
    actuators: RwLock<Arc<[Actuator]>>,
    bundle: RwLock<Option<Arc<Bundle>>>,
}

/// The city as consoles draw it.
#[derive(Debug, Clone)]
pub(crate) struct CityFile {
    pub geojson: Bytes,
    pub etag: String,
}

impl Window {
    /// Opens the window, and starts the thread that keeps its picture; the thread ends with the
    /// last handle. The host drains the commands.
    pub fn new(options: WindowOptions) -> (Self, Commands) {
        let kept = keeper::start(options.clone());
        Self::over(kept, options)
    }

    /// Opens a window without the thread: its picture is as new as the keeper's last step.
    pub fn unattended(options: WindowOptions) -> (Self, Commands, Keeper) {
        let (kept, keeper) = keeper::new(options.clone());
        let (window, commands) = Self::over(kept, options);
        (window, commands, keeper)
    }

    fn over(kept: Kept, options: WindowOptions) -> (Self, Commands) {
        let (orders, commands) = Orders::new(options.commands_max);
        let shared = Shared {
            kept,
            sessions: Arc::new(Semaphore::new(options.sessions_max)),
            previews: Arc::new(Semaphore::new(PREVIEWS_MAX)),
            counted: Counted::default(),
            rules: Mutex::default(),
            orders,
            closing: watch::Sender::new(false),
            city: RwLock::new(None),
            actuators: RwLock::default(),
            bundle: RwLock::default(),
            options,
        };
        let shared = Arc::new(shared);
        (Self { shared }, commands)
    }

    /// Shows decisions, in order and without a gap. Called by one plain thread, also with history
    /// before anything is served. Waits while [`WindowOptions::release_batches_max`] batches wait
    /// for the keeper, never for a session.
    pub fn release(&self, published: Vec<Published>) {
        self.shared.kept.release(published);
    }

    /// The picture as bytes of [`VIEW_FORMAT`](crate::VIEW_FORMAT), with everything that was
    /// released before this call. Called by a plain thread.
    pub fn save(&self) -> Vec<u8> {
        self.shared.kept.save().encode()
    }

    /// Shows what was saved in one of [`VIEW_FORMATS_READ`](crate::VIEW_FORMATS_READ), before
    /// anything is released. Decisions that it knows are then only held for those who come back.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn restore(&self, format: u16, saved: &[u8]) -> Result<(), CodecError> {
        self.shared.kept.restore(Saved::decode(format, saved)?);
        Ok(())
    }

    /// Shows live readings, which the host has thinned. Never waits: what finds no room is dropped
    /// and counted.
    pub fn sample(&self, samples: Vec<Sample>) {
        self.shared.kept.sample(samples);
    }

    /// Notes what sensors said last in these framed records, the first of which has this number, but
    /// the first `left_out` of them. Never waits: what finds no room is dropped and counted.
    pub fn journaled(&self, first: Seq, framed: Arc<Vec<u8>>, left_out: usize) {
        self.shared.kept.journaled((first, framed, left_out));
    }

    /// Notes what readings said in words, before what follows from these readings is released.
    /// Never waits: what finds no room is dropped and counted.
    pub fn heard(&self, statements: Vec<Statement>) {
        self.shared.kept.heard(statements);
    }

    /// Notes what readings said in words before the start, after what was released then is shown
    /// again and before anything new is.
    pub fn recall(&self, statements: Vec<Statement>) {
        self.shared.kept.recall(statements);
    }

    /// Room for what sensors said last before the start.
    pub fn recollection(&self) -> Recollection {
        let shared = &self.shared;
        let sensors_max = shared.options.latest_sensors_max;
        shared.kept.latest.recollection(sensors_max)
    }

    /// Shows what sensors said last before the start, but of those that have spoken since. Waits
    /// for the keeper's thread.
    pub fn recall_values(&self, recollection: Recollection) {
        self.shared.kept.recall_values(recollection);
    }

    /// Shows another city: a GeoJSON feature collection.
    pub fn set_city(&self, geojson: Bytes) {
        let mut hasher = DefaultHasher::new();
        hasher.write(&geojson);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let mut city = self
            .shared
            .city
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *city = Some(CityFile { geojson, etag });
    }

    /// Shows what can be ordered: the actuators of the city, sorted by id.
    pub fn set_actuators(&self, actuators: Arc<[Actuator]>) {
        let shown = self.shared.actuators.write();
        *shown.unwrap_or_else(PoisonError::into_inner) = actuators;
    }

    /// Knows the rules and the city that hold: by them it is told what a suppression would have
    /// hidden, and of whose sensors the last values have room first.
    pub fn set_bundle(&self, bundle: Arc<Bundle>) {
        let shared = &self.shared;
        let latest = &shared.kept.latest;
        latest.set_city(Arc::clone(&bundle), shared.options.latest_sensors_max);
        let held = shared.bundle.write();
        *held.unwrap_or_else(PoisonError::into_inner) = Some(bundle);
    }

    /// Where the host says what counted of late: by that it is told what a suppression would have
    /// hidden.
    pub fn counted(&self) -> Counted {
        self.shared.counted.clone()
    }

    /// The last decision that consoles can see.
    pub fn head(&self) -> Head {
        self.shared.kept.feed.head()
    }

    /// The stream, REST and the console. Lay [`Guard`](crate::Guard) over all that is served on
    /// one port.
    pub fn router(&self) -> Router {
        server::router(Arc::clone(&self.shared))
    }

    /// Serves one operator on a connection that is a WebSocket already, until either side has had
    /// enough. [`router`](Self::router) does it for each that it upgrades, and bounds their count.
    ///
    /// # Cancel safety
    /// Cancelling is to the client as if the connection broke.
    pub async fn serve<S>(&self, connection: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let socket = server::websocket(&self.shared, connection).await;
        session::run(&self.shared, socket).await;
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Asks every session to connect again later, and takes no new ones.
    pub fn close(&self) {
        self.shared.closing.send_replace(true);
    }
}

impl Shared {
    /// The city, if the host has shown one.
    pub(crate) fn city(&self) -> Option<CityFile> {
        self.city
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What can be ordered, sorted by id.
    pub(crate) fn actuators(&self) -> Arc<[Actuator]> {
        let shown = self.actuators.read();
        Arc::clone(&shown.unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules and the city that hold, if the host has said so.
    pub(crate) fn bundle(&self) -> Option<Arc<Bundle>> {
        let held = self.bundle.read();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rules of a bundle with their indices, which take a while to build in a large city.
    pub(crate) fn rules_of(&self, bundle: Arc<Bundle>) -> Arc<Rules> {
        let mut held = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = held.as_ref().filter(|rules| rules.hash() == bundle.hash) {
            return Arc::clone(rules);
        }
        Arc::clone(held.insert(Arc::new(Rules::new(bundle))))
    }

    /// The end of it all, to wait for.
    pub(crate) fn closing(&self) -> Closing {
        Closing(self.closing.subscribe())
    }

    /// Gives an order and waits until it is durable, within bounds.
    pub(crate) async fn command(
        &self,
        request: RequestId,
        actor: Actor,
        order: Order,
    ) -> Result<Seq, ApiError> {
        let meant = names::meant(&order).cloned();
        let answer = self.orders.give(request, actor, order);
        let answered = match timeout(self.options.answer_within, answer).await {
            Ok(answer) => answer.map_err(|reason| {
                let mut error = ApiError::from(reason);
                if let RefusalReason::Core(RefusalCode::MatchesNothing) = reason
                    && let Some(slip) = meant.and_then(|meant| names::unknown(&meant, self))
                {
                    error.message = format!("{}: {slip}", error.message);
                }
                error
            }),
            Err(_) => Err(ApiError::new(
                axum::http::StatusCode::GATEWAY_TIMEOUT,
                "no_answer",
                "it is not known yet whether this is durable; send it again with the same id",
            )),
        };
        telemetry::command_answered(answered.as_ref().map_or_else(|error| error.code, |_| "ok"));
        answered
    }
}

/// Waits for the end.
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Whether it has begun.
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it has begun.
    pub(crate) async fn begun(&mut self) {
        // An error means that the window is gone, which is an end as well.
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}
