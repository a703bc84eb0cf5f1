//! The MQTT listener, 3.1.1 and 5.0 on one port, and over WebSocket: accepts sensors, devices and
//! subscribers until told to stop.
//!
//! Arrives: connections. Leaves: tasks that serve one each. Promise: nothing is acknowledged
//! before it is durable; a connection that misbehaves is closed with a reason, which a client of
//! version 5 is told, counted, and touches no other; at most [`MqttOptions::connections_max`] are
//! served, of whom those who have not said CONNECT give way to others (`places.rs`), and those whose clients are back to these, and which hold no more than [`MqttOptions::held_bytes_max`] together. Spoken: quality 0, 1 and 2 in, 0 and 1 out; wills; sessions end with their
//! connection (session present is always 0). Next:
//! `mqtt/introduction.rs`, its CONNECT; `mqtt/connection.rs`, one connection; `mqtt/session.rs`,
//! what its packets mean; `mqtt/codec.rs`, their bytes; `mqtt/deliveries.rs`, what is published.

mod codec;
mod close;
mod transport;
mod websocket;
mod admission;
mod introduction;
mod registry;
mod budget;
mod deliveries;
mod session;
mod deadlines;
mod farewell;
mod wills;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use self::deliveries::{Deliveries, Delivery, Lost, Outcome, Topic, TopicError};

pub(crate) use self::session::user_in;
pub(crate) use self::transport::Peer;

use self::budget::Budget;
use self::close::CloseReason;
use self::codec::Refusal;
use self::connection::Admission;
use self::registry::{ClientKey, Registry, Whose};
use self::transport::Transport;
use self::websocket::Upgrade;
use self::wills::Wills;
use crate::door::{Door, Sources};
use crate::error::GatewayError;
use crate::options::{Credentials, MqttOptions};
use crate::places::Places;
use crate::telemetry;

/// How long to wait after the system refused a connection: it has run out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many connections beyond the bound are told so at once, or have the places of such as are ending;
/// more are just closed.
const REFUSALS_MAX: usize = 64;
/// How long one of them may take to say CONNECT, so that it hears the answer.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local_addr: SocketAddr,
    options: MqttOptions,
    places: Arc<Places>,
    upgrades: mpsc::Receiver<Upgrade>,
    /// The other end of `upgrades`.
    way_in: mpsc::Sender<Upgrade>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    options: Arc<MqttOptions>,
    places: Arc<Places>,
    door: Door,
    deliveries: Deliveries,
    registry: Arc<Registry>,
    budget: Arc<Budget>,
    wills: Wills,
    /// What clients have left of what they may send.
    sources: Sources<ClientKey, Whose>,
}

impl Listener {
    /// Binds the address. Refuses one beyond loopback unless users are configured.
    pub async fn bind(options: MqttOptions) -> Result<Self, GatewayError> {
        let listen = options.listen;
        let is_open = matches!(options.credentials, Credentials::Anonymous);
        if is_open && !listen.ip().is_loopback() {
            return Err(GatewayError::BeyondLoopback { listen });
        }
        let failed = |source: io::Error| GatewayError::Listen { listen, source };
        let socket = TcpListener::bind(listen).await.map_err(failed)?;
        let local_addr = socket.local_addr().map_err(failed)?;
        let (way_in, upgrades) = mpsc::channel(websocket::UPGRADES_MAX);
        Ok(Self {
            socket,
            local_addr,
            places: Places::new(options.connections_max),
            options,
            upgrades,
            way_in,
        })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The route by which clients come over WebSocket, once this listener runs. Who may ask is for
    /// the host to say: pages of others must not (Host and Origin).
    pub fn websocket(&self) -> Router {
        websocket::router(Arc::clone(&self.places), self.way_in.clone())
    }

    /// Serves until `shutdown` is ready; then accepts and reads no more, waits until what was
    /// handed over is durable and acknowledged, for at most [`MqttOptions::drain_wait_max`], and
    /// closes the connections. The engine must go on settling until this returns.
    pub async fn run(
        mut self,
        door: Door,
        deliveries: Deliveries,
        shutdown: impl Future<Output = ()>,
    ) {
        telemetry::mqtt_listening(self.local_addr);
        let (stop, stopping) = watch::channel(false);
        let mut reception = Reception {
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            shared: Arc::new(Shared {
                places: Arc::clone(&self.places),
                budget: Budget::new(self.options.held_bytes_max),
                options: Arc::new(self.options),
                sources: door.sources(),
                door,
                deliveries: deliveries.clone(),
                registry: Arc::default(),
                wills: Wills::default(),
            }),
            stopping,
            tasks: JoinSet::new(),
        };
        let mut shutdown = pin!(shutdown);
        let mut deadlines = pin!(deliveries.keep_deadlines());
        loop {
            select! {
                () = &mut shutdown => break,
                never = &mut deadlines => match never {},
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => reception.receive(stream, peer),
                    Err(error) => {
                        telemetry::mqtt_accept_failed(&error);
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(upgrade) = self.upgrades.recv() => reception.receive_upgrade(upgrade),
                Some(ended) = reception.tasks.join_next() => note_panic(ended),
            }
        }
        drop(self.socket);
        self.upgrades.close();
        stop.send_replace(true);
        while let Some(ended) = reception.tasks.join_next().await {
            note_panic(ended);
        }
        deliveries.close();
    }
}

/// Where connections are given a task, or turned away.
struct Reception {
    refusals: Arc<Semaphore>,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Reception {
    fn receive(&mut self, stream: TcpStream, peer: SocketAddr) {
        let peer = Peer::Socket(peer);
        let place = self.shared.places.take().map(Admission::Placed);
        let beyond = || {
            let permit = Arc::clone(&self.refusals).try_acquire_owned();
            permit.ok().map(Admission::Beyond)
        };
        if let Some(admission) = place.or_else(beyond) {
            let (shared, stopping) = (Arc::clone(&self.shared), self.stopping.clone());
            // Without this, each PUBACK may wait 40 ms for the client's delayed acknowledgement of
            // TCP. Where it cannot be set, all is only slower.
            let _set = stream.set_nodelay(true);
            self.tasks
                .spawn(serve(stream, peer, shared, stopping, admission));
            return;
        }
        let reason = CloseReason::Refused(Refusal::ConnectionsMax);
        telemetry::mqtt_closed("", peer, reason.word(), reason.is_trouble());
    }

    fn receive_upgrade(&mut self, upgrade: Upgrade) {
        let (shared, stopping) = (Arc::clone(&self.shared), self.stopping.clone());
        self.tasks.spawn(async move {
            let finished = timeout(shared.options.connect_wait_max, upgrade.finish());
            if let Ok(Some((stream, place))) = finished.await {
                let admission = Admission::Placed(place);
                serve(stream, Peer::WebSocket, shared, stopping, admission).await;
            }
        });
    }
}

/// Serves one connection, which has its place until what it leaves is published.
async fn serve(
    stream: impl Transport,
    peer: Peer,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    admission: Admission,
) {
    let served = Arc::clone(&shared);
    let left = connection::run(stream, peer, served, stopping.clone(), admission).await;
    if let Some((left, place)) = left {
        shared.wills.publish(left, place, &shared, stopping).await;
    }
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        telemetry::mqtt_connection_panicked(&error);
    }
}
