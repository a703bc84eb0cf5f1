//! The sockets: one for HTTP (door, window, health), one for MQTT; and how they end.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use ioc_gateway::door::Door;
use ioc_gateway::mqtt;
use ioc_gateway::options::{Credentials, HttpOptions, MqttOptions, Users};
use ioc_ws::{Guard, Window};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::settings::Settings;
use crate::config::users;
use crate::host::HostError;
use crate::http;
use crate::outlets::Outlets;
use crate::space::FullSign;

/// What the sockets serve.
#[derive(Debug)]
pub struct Sockets {
    /// The way in.
    pub door: Door,
    /// The way out.
    pub window: Window,
    /// Decisions for MQTT subscribers, dead letters for the list.
    pub outlets: Outlets,
    /// What `/metrics` prints.
    pub metrics: PrometheusHandle,
    /// Whether the disk is full.
    pub full: FullSign,
}

/// The running servers.
#[derive(Debug)]
pub struct Servers {
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where MQTT is served.
    pub mqtt: SocketAddr,
    stopping: watch::Sender<bool>,
    running: Vec<JoinHandle<()>>,
    window: Window,
}

impl Servers {
    /// Binds both sockets and begins to serve.
    pub async fn start(settings: &Settings, sockets: Sockets) -> Result<Self, HostError> {
        let Sockets {
            door,
            window,
            outlets,
            metrics,
            full,
        } = sockets;
        let (stopping, stopped) = watch::channel(false);
        let health = Health {
            metrics,
            full,
            stopped: stopped.clone(),
        };
        let router = health
            .router()
            .merge(ioc_gateway::http::router(
                door.clone(),
                outlets.dead_letters,
                HttpOptions::default(),
            ))
            .merge(window.router());
        let router = Guard::new(settings.http.hosts.clone()).over(router);

        let address = settings.http.listen;
        let failed = |source| HostError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let http_address = listener.local_addr().map_err(failed)?;
        let mqtt = mqtt::Listener::bind(mqtt_options(settings)?).await?;
        let mqtt_address = mqtt.local_addr();

        let running = vec![
            tokio::spawn(http::serve(
                listener,
                router,
                http::Limits::default(),
                stopped.clone(),
            )),
            tokio::spawn(mqtt.run(door, outlets.mqtt, until(stopped))),
        ];
        Ok(Self {
            http: http_address,
            mqtt: mqtt_address,
            stopping,
            running,
            window,
        })
    }

    /// Takes nothing new and waits until what was handed over is settled; `false` if that took
    /// longer than the deadline.
    pub async fn stop(self, deadline: Duration) -> bool {
        let _ = self.stopping.send(true);
        self.window.close();
        let all = async {
            for server in self.running {
                let _ = server.await;
            }
        };
        timeout(deadline, all).await.is_ok()
    }
}

fn mqtt_options(settings: &Settings) -> Result<MqttOptions, HostError> {
    let mqtt = &settings.mqtt;
    let mut options = MqttOptions {
        listen: mqtt.listen,
        connections_max: mqtt.connections_max as usize,
        inflight_max: mqtt.inflight_max.into(),
        packet_bytes_max: mqtt.packet_bytes_max as usize,
        overload_wait_max: mqtt.overload_wait,
        ..MqttOptions::default()
    };
    if let Some(path) = &mqtt.users_file {
        options.credentials = Credentials::Users(read_users(path)?);
    }
    Ok(options)
}

/// The users of a file that only its owner may read.
fn read_users(path: &Path) -> Result<Users, HostError> {
    let failed = || HostError::file("read", path);
    let mode = fs::metadata(path).map_err(failed())?.permissions().mode();
    if mode & 0o077 != 0 {
        let shown = path.display();
        return Err(HostError::Usage(format!(
            "{shown} holds passwords and others may read it: chmod 600 {shown}"
        )));
    }
    let text = fs::read_to_string(path).map_err(failed())?;
    let users = users::parse(&path.display().to_string(), &text);
    let users = users.map_err(|mistakes| HostError::Usage(mistakes.to_string()))?;
    Ok(Users::new(
        users.iter().map(|user| (&*user.name, &*user.password)),
    ))
}

/// Until the servers shall stop.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the host is gone, which is the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// What orchestrators and scrapers ask.
#[derive(Debug, Clone)]
struct Health {
    metrics: PrometheusHandle,
    full: FullSign,
    stopped: watch::Receiver<bool>,
}

impl Health {
    fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(Self::ready))
            .route("/metrics", get(Self::metrics))
            .with_state(self)
    }

    /// Ready from the first answer on (the socket opens when the journal is replayed) until the
    /// drain begins. On a full disk too: consoles are served, and nobody else can take over.
    async fn ready(State(health): State<Self>) -> (StatusCode, &'static str) {
        if *health.stopped.borrow() {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else if health.full.is_up() {
            (
                StatusCode::OK,
                "ready, but the disk is full: readings wait\n",
            )
        } else {
            (StatusCode::OK, "ready\n")
        }
    }

    async fn metrics(State(health): State<Self>) -> String {
        health.metrics.render()
    }
}
